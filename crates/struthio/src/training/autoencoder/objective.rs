//! The loss of a sparse denoising autoencoder over a batch, and its gradient.

use rand::Rng;
use rayon::prelude::*;

use super::super::EncoderRecipe;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Graph, ParameterGradients, Plan, ValueId, Wanted, initial_linear};
use crate::numeric::elementary::exp;
use crate::numeric::random::stream;
use crate::numeric::simd::vectorised;

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
}

impl Batch {
    /// For up to `rows` images.
    pub fn new(autoencoder: &Autoencoder, rows: usize) -> Self {
        Self { shards: (0..rows.div_ceil(SHARD_ROWS)).map(|_| Shard::new(autoencoder)).collect() }
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
    ) -> f64 {
        let share = 1.0 / rows.len() as f64;
        let shards = &mut self.shards[..rows.len().div_ceil(SHARD_ROWS)];
        shards.par_iter_mut().zip(rows.par_chunks(SHARD_ROWS)).for_each(|(shard, rows)| {
            shard.forward(autoencoder, data, rows, (settings.corruption, draws), share)
        });
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
        share * shards.iter().map(|shard| shard.loss).sum::<f64>() + penalty
    }

    /// The parts, shard by shard, of the gradients for the encoder and for the decoder.
    pub fn gradients(&self) -> (Vec<&ParameterGradients>, Vec<&ParameterGradients>) {
        self.shards.iter().map(|shard| (&shard.encoder_gradients, &shard.decoder_gradients)).unzip()
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
    ) {
        let pixels = data.image_len();
        let mut images = vec![0.0; rows.len() * pixels];
        let inputs = self.encoder.inputs(rows.len()).chunks_exact_mut(pixels);
        for ((&row, image), input) in rows.iter().zip(images.chunks_exact_mut(pixels)).zip(inputs) {
            data.write_image(row as usize, image);
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

/// Σᵢ −xᵢ ln σ(zᵢ) − (1 − xᵢ) ln(1 − σ(zᵢ)) for the pixels x and the logits z of one image, with
/// its gradient times `scale` in `seed`.
fn reconstruction_loss(image: &[f32], logits: &[f32], scale: f32, seed: &mut [f32]) -> f64 {
    // ln(1 + e⁻|z|) is taken of products: each factor is at most 2, so that 64 of them cannot overflow.
    const LANES: usize = 16;
    const FACTORS: usize = 64;
    let mut loss = 0.0;
    let blocks = image.chunks(LANES * FACTORS).zip(logits.chunks(LANES * FACTORS));
    for ((image, logits), seed) in blocks.zip(seed.chunks_mut(LANES * FACTORS)) {
        let mut products = [1.0_f32; LANES];
        let mut sums = [0.0_f32; LANES];
        vectorised(|| {
            let rows = image.chunks(LANES).zip(logits.chunks(LANES)).zip(seed.chunks_mut(LANES));
            for ((image, logits), seed) in rows {
                let values = image.iter().zip(logits).zip(seed);
                for (((&x, &z), seed), (product, sum)) in values.zip(products.iter_mut().zip(&mut sums)) {
                    let e = exp(-z.abs());
                    *product *= 1.0 + e;
                    *sum += z.max(0.0) - x * z;
                    let y = if z >= 0.0 { 1.0 } else { e } / (1.0 + e);
                    *seed = scale * (y - x);
                }
            }
        });
        let lanes = products.iter().zip(&sums);
        loss += lanes.map(|(&product, &sum)| f64::from(product).ln() + f64::from(sum)).sum::<f64>();
    }
    loss
}

/// KL(ρ ‖ ρ̂) between Bernoulli distributions of means ρ = `target` and ρ̂ = `mean`, with its slope
/// in ρ̂. A mean of nearly 0 or 1 counts as one slightly inside, where the slope is finite.
fn sparsity_penalty(mean: f64, target: f64) -> (f64, f64) {
    let mean = mean.clamp(1e-6, 1.0 - 1e-6);
    let divergence = target * (target / mean).ln() + (1.0 - target) * ((1.0 - target) / (1.0 - mean)).ln();
    (divergence, (1.0 - target) / (1.0 - mean) - target / mean)
}
