//! The loss of a sparse denoising autoencoder over a batch, and its gradient.

use rand::Rng;
use rayon::prelude::*;

use super::super::EncoderRecipe;
use super::terms::{reconstruction_loss, sparsity_penalty};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Graph, ParameterGradients, Plan, ValueId, Wanted, initial_linear};
use crate::numeric::random::stream;

/// Images per shard.
const SHARD_ROWS: usize = 25;

/// Images → code → logits of the reconstructed pixels.
pub(super) struct Autoencoder {
    pub encoder: Graph,
    pub decoder: Graph,
}

impl Autoencoder {
    /// Adds a linear decoder to `pixels` logits, with initial weights like those of any layer.
    pub fn new(encoder: Graph, pixels: usize, seed: u64) -> Result<Self> {
        let code = encoder.features(encoder.output());
        let mut decoder = Graph::new(vec![code]);
        initial_linear(code, pixels, stream(seed, "initial decoder weights", 0))
            .and_then(|linear| decoder.then("decoder", linear))
            .map_err(|problem| Error::model("the autoencoder", problem))?;
        Ok(Self { encoder, decoder })
    }
}

/// Which random numbers corrupt the images.
#[derive(Clone, Copy)]
pub(super) struct Draws {
    pub seed: u64,
    pub epoch: u64,
}

/// The buffers and results of one batch. The penalty couples the images of a batch through the mean
/// activation, so all of them go forward before any goes back.
pub(super) struct Batch {
    shards: Vec<Shard>,
    /// How many of them the latest batch took.
    used: usize,
}

impl Batch {
    /// For up to `rows` images.
    pub fn new(autoencoder: &Autoencoder, rows: usize) -> Self {
        let shards = (0..rows.div_ceil(SHARD_ROWS)).map(|_| Shard::new(autoencoder)).collect();
        Self { shards, used: 0 }
    }

    /// The loss without weight decay, averaged over the images `rows` of `data`; its gradient is in
    /// [`gradients`](Self::gradients) afterwards.
    pub fn evaluate(
        &mut self,
        autoencoder: &Autoencoder,
        data: &Dataset,
        rows: &[u32],
        settings: &EncoderRecipe,
        draws: Draws,
    ) -> Result<f64> {
        let share = 1.0 / rows.len() as f64;
        self.used = rows.len().div_ceil(SHARD_ROWS);
        let shards = &mut self.shards[..self.used];
        shards.par_iter_mut().zip(rows.par_chunks(SHARD_ROWS)).try_for_each(|(shard, rows)| {
            shard.forward(autoencoder, data, rows, (settings.corruption, draws), share)
        })?;
        let mut activity = vec![0.0; autoencoder.decoder.features(ValueId::INPUT)];
        for shard in &*shards {
            activity.iter_mut().zip(&shard.activity).for_each(|(sum, a)| *sum += a * share);
        }
        let mut penalty = 0.0;
        let slopes: Vec<f32> = activity
            .iter()
            .map(|&mean| {
                let (divergence, slope) = sparsity_penalty(mean, settings.sparsity);
                penalty += settings.sparsity_weight * divergence;
                (settings.sparsity_weight * slope * share) as f32
            })
            .collect();
        shards.par_iter_mut().for_each(|shard| shard.backward(autoencoder, &slopes));
        Ok(share * shards.iter().map(|shard| shard.loss).sum::<f64>() + penalty)
    }

    /// The parts, shard by shard, of the gradients for the encoder and for the decoder.
    pub fn gradients(&self) -> (Vec<&ParameterGradients>, Vec<&ParameterGradients>) {
        self.shards[..self.used]
            .iter()
            .map(|shard| (&shard.encoder_gradients, &shard.decoder_gradients))
            .unzip()
    }
}

struct Shard {
    encoder: Plan,
    decoder: Plan,
    /// Gradients with respect to the logits of the pixels.
    seeds: Vec<f32>,
    /// Gradients with respect to the code.
    code_seeds: Vec<f32>,
    encoder_gradients: ParameterGradients,
    decoder_gradients: ParameterGradients,
    /// Sum of the cross-entropies.
    loss: f64,
    /// Sum over the images of each unit's activation.
    activity: Vec<f64>,
}

impl Shard {
    fn new(autoencoder: &Autoencoder) -> Self {
        let Autoencoder { encoder, decoder } = autoencoder;
        Self {
            encoder: Plan::new(encoder, Wanted::ParameterGradients),
            decoder: Plan::new(decoder, Wanted::AllGradients),
            seeds: Vec::new(),
            code_seeds: Vec::new(),
            encoder_gradients: ParameterGradients::zeros(encoder),
            decoder_gradients: ParameterGradients::zeros(decoder),
            loss: 0.0,
            activity: vec![0.0; encoder.features(encoder.output())],
        }
    }

    /// Reconstructs the images `rows` from corrupted copies; the seeds are those of the sum of the
    /// cross-entropies times `share`.
    fn forward(
        &mut self,
        autoencoder: &Autoencoder,
        data: &Dataset,
        rows: &[u32],
        (corruption, draws): (f64, Draws),
        share: f64,
    ) -> Result<()> {
        let pixels = data.image_len();
        let mut images = vec![0.0; rows.len() * pixels];
        let inputs = self.encoder.inputs(rows.len()).chunks_exact_mut(pixels);
        for ((&row, image), input) in rows.iter().zip(images.chunks_exact_mut(pixels)).zip(inputs) {
            data.write_image(row as usize, image)?;
            input.copy_from_slice(image);
            corrupt(input, corruption, draws, row);
        }
        let code = self.encoder.forward(&autoencoder.encoder);
        self.activity.fill(0.0);
        for code in code.chunks_exact(self.activity.len()) {
            self.activity.iter_mut().zip(code).for_each(|(sum, &a)| *sum += f64::from(a));
        }
        self.decoder.inputs(rows.len()).copy_from_slice(code);
        let logits = self.decoder.forward(&autoencoder.decoder);
        self.seeds.resize(images.len(), 0.0);
        self.loss = 0.0;
        let logits = logits.chunks_exact(pixels).zip(self.seeds.chunks_exact_mut(pixels));
        for (image, (logits, seed)) in images.chunks_exact(pixels).zip(logits) {
            self.loss += reconstruction_loss(image, logits, share as f32, seed);
        }
        Ok(())
    }

    /// Adds `slopes`, the gradient of the penalty with respect to every image's activations, on the
    /// way back.
    fn backward(&mut self, autoencoder: &Autoencoder, slopes: &[f32]) {
        self.encoder_gradients.clear();
        self.decoder_gradients.clear();
        let of_code =
            self.decoder.backward(&autoencoder.decoder, &self.seeds, Some(&mut self.decoder_gradients));
        self.code_seeds.clear();
        for row in of_code.chunks_exact(slopes.len()) {
            self.code_seeds.extend(row.iter().zip(slopes).map(|(g, slope)| g + slope));
        }
        self.encoder.backward(&autoencoder.encoder, &self.code_seeds, Some(&mut self.encoder_gradients));
    }
}

/// Sets each pixel to zero with probability `share`.
fn corrupt(image: &mut [f32], share: f64, draws: Draws, row: u32) {
    if share == 0.0 {
        return;
    }
    let mut random = stream(draws.seed, "corruption", (draws.epoch << 32) | u64::from(row));
    let threshold = (share * f64::from(u16::MAX)) as u16;
    let mut bits = vec![0; 2 * image.len()];
    random.fill_bytes(&mut bits);
    for (pixel, bytes) in image.iter_mut().zip(bits.as_chunks::<2>().0) {
        if u16::from_le_bytes(*bytes) < threshold {
            *pixel = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;
    use crate::network::ops::Tensor;
    use crate::network::{Architecture, Family};

    const PIXELS: usize = 9;
    const UNITS: usize = 4;
    const DRAWS: Draws = Draws { seed: 3, epoch: 1 };

    fn data(images: usize) -> Dataset {
        let pixels = (0..images * PIXELS).map(|i| (i * 7919 % 101) as f32 / 100.0).collect();
        Dataset::new("test", vec![3, 3], Pixels::Floats(pixels), vec![0; images]).expect("valid")
    }

    fn autoencoder() -> Autoencoder {
        let architecture: Architecture = "ae4-10".parse().expect("valid");
        assert_eq!((architecture.family, architecture.units[0]), (Family::Autoencoder, UNITS));
        let mut encoder = architecture.initialise(&[3, 3], 5).expect("valid").graph().clone();
        encoder.truncate(encoder.nodes().len() - 1);
        Autoencoder::new(encoder, PIXELS, 5).expect("valid")
    }

    /// y = x·W + b in f64, for the weight and the bias of a layer.
    fn layer(x: &[f64], [weight, bias]: [&Tensor; 2]) -> Vec<f64> {
        let outputs = bias.values.len();
        (0..outputs)
            .map(|o| {
                let sum: f64 =
                    x.iter().enumerate().map(|(i, x)| x * f64::from(weight.values[i * outputs + o])).sum();
                sum + f64::from(bias.values[o])
            })
            .collect()
    }

    /// The loss as its documentation states it.
    fn stated_loss(autoencoder: &Autoencoder, data: &Dataset, rows: &[u32], settings: &EncoderRecipe) -> f64 {
        let tensors = |graph: &Graph| graph.parameters().cloned().collect::<Vec<Tensor>>();
        let (encoder, decoder) = (tensors(&autoencoder.encoder), tensors(&autoencoder.decoder));
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let n = rows.len() as f64;
        let (mut loss, mut activity) = (0.0, vec![0.0; UNITS]);
        for &row in rows {
            let image = data.image(row as usize).expect("in memory");
            let mut corrupted = image.clone();
            corrupt(&mut corrupted, settings.corruption, DRAWS, row);
            let corrupted: Vec<f64> = corrupted.into_iter().map(f64::from).collect();
            let code: Vec<f64> =
                layer(&corrupted, [&encoder[0], &encoder[1]]).into_iter().map(sigmoid).collect();
            activity.iter_mut().zip(&code).for_each(|(sum, a)| *sum += a / n);
            for (x, z) in image.into_iter().zip(layer(&code, [&decoder[0], &decoder[1]])) {
                let (x, y) = (f64::from(x), sigmoid(z));
                loss -= (x * y.ln() + (1.0 - x) * (1.0 - y).ln()) / n;
            }
        }
        let rho = settings.sparsity;
        let divergence = |a: &f64| rho * (rho / a).ln() + (1.0 - rho) * ((1.0 - rho) / (1.0 - a)).ln();
        loss + settings.sparsity_weight * activity.iter().map(divergence).sum::<f64>()
    }

    /// Over whole shards and a part of one.
    #[test]
    fn gradients_are_central_differences_of_the_stated_loss() {
        let (mut autoencoder, data) = (autoencoder(), data(70));
        let rows: Vec<u32> = (0..60).rev().collect();
        let settings = EncoderRecipe { sparsity_weight: 3.0, ..EncoderRecipe::DEFAULT };
        let mut batch = Batch::new(&autoencoder, rows.len());
        let value = batch.evaluate(&autoencoder, &data, &rows, &settings, DRAWS).expect("in memory");
        let stated = stated_loss(&autoencoder, &data, &rows, &settings);
        assert!((value - stated).abs() < 1e-5 * stated, "{value} {stated}");

        let (of_encoder, of_decoder) = batch.gradients();
        let sum = |parts: &[&ParameterGradients], tensor: usize, at: usize| -> f64 {
            parts.iter().map(|part| f64::from(part.tensors[tensor][at])).sum()
        };
        let mut checked = 0;
        for (encoder, parts) in [(true, of_encoder), (false, of_decoder)] {
            for tensor in 0..2 {
                for at in 0..parts[0].tensors[tensor].len() {
                    let mut at_offset = |h: f32| {
                        let graph = if encoder { &mut autoencoder.encoder } else { &mut autoencoder.decoder };
                        let old = {
                            let mut tensors: Vec<&mut Tensor> = graph.parameters_mut().collect();
                            let value = &mut tensors[tensor].values[at];
                            std::mem::replace(value, *value + h)
                        };
                        let loss = stated_loss(&autoencoder, &data, &rows, &settings);
                        let graph = if encoder { &mut autoencoder.encoder } else { &mut autoencoder.decoder };
                        let mut tensors: Vec<&mut Tensor> = graph.parameters_mut().collect();
                        let moved = std::mem::replace(&mut tensors[tensor].values[at], old);
                        (loss, f64::from(moved))
                    };
                    let ((above, w_above), (below, w_below)) = (at_offset(1e-2), at_offset(-1e-2));
                    let slope = (above - below) / (w_above - w_below);
                    let found = sum(&parts, tensor, at);
                    assert!((slope - found).abs() < 2e-4, "{encoder} {tensor} {at}: {slope} {found}");
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 2 * PIXELS * UNITS + PIXELS + UNITS);
    }

    #[test]
    fn corruption_erases_the_stated_share() {
        let erased = |share, draws, row| {
            let mut image = vec![1.0; 20_000];
            corrupt(&mut image, share, draws, row);
            image
        };
        assert!(erased(0.0, DRAWS, 0).iter().all(|&pixel| pixel == 1.0));
        for share in [0.1, 0.5, 0.9] {
            let kept = erased(share, DRAWS, 7).iter().sum::<f32>() as f64 / 20_000.0;
            assert!((kept - (1.0 - share)).abs() < 0.02, "{share}: {kept}");
        }
        assert_eq!(erased(0.5, DRAWS, 7), erased(0.5, DRAWS, 7));
        assert_ne!(erased(0.5, DRAWS, 7), erased(0.5, DRAWS, 8));
        assert_ne!(erased(0.5, DRAWS, 7), erased(0.5, Draws { epoch: 2, ..DRAWS }, 7));
    }
}
