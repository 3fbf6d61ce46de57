//! A softmax on the code of a sparse autoencoder: AE400-10 of Szegedy et al. 2013, Table 1.

mod descent;
mod objective;
mod terms;

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::checkpoint::Checkpoints;
use super::{EncoderRecipe, Progress, Recipe, convex};
use crate::data::{Dataset, Pixels};
use crate::error::{Error, Result};
use crate::network::ops::{Affine, Linear, Tensor};
use crate::network::{Graph, Network, Plan, Wanted};

/// Images encoded in one go.
const ROWS: usize = 250;

/// Trains the hidden layer of `network` without labels and then, on its code alone, the last layer.
pub(super) fn train(
    network: &Network,
    data: &Dataset,
    recipe: &Recipe,
    (settings, max_evaluations): (EncoderRecipe, usize),
    checkpoints: &mut Checkpoints,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Network> {
    let problem = |problem| Error::model("the autoencoder", problem);
    let mut encoder = network.graph().clone();
    let last = encoder.nodes().len() - 1;
    let last_layer = encoder.nodes()[last].clone();
    encoder.truncate(last);
    let mut whole =
        descent::encoder(encoder, data, &settings, recipe.seed, checkpoints, cancelled, progress)?;

    let codes = encode(&whole, data)?;
    let mean = mean(&codes)?;
    let centre = Affine::new(
        codes.shape().to_vec(),
        codes.shape().to_vec(),
        vec![1.0; mean.len()],
        mean.iter().map(|m| -m).collect(),
    );
    let mut softmax = Graph::new(codes.shape().to_vec());
    // The optimum is that of the code itself, but far fewer steps away.
    softmax.then("centre", centre.map_err(problem)?).map_err(problem)?;
    softmax.then(&*last_layer.name, last_layer.op).map_err(problem)?;
    let softmax = Network::new("the last layer", softmax)?;
    let softmax = convex::train(softmax, &codes, recipe, max_evaluations, cancelled, progress)?;

    let [weight, bias] = softmax.graph().parameters().collect::<Vec<_>>()[..] else {
        return Err(problem("the last layer is not one linear layer".into()));
    };
    let linear = uncentred(weight, bias, &mean).map_err(problem)?;
    whole.then(last_layer.name, linear).map_err(problem)?;
    Network::new("the autoencoder", whole)
}

/// x ↦ (x − mean)·W + b as one linear layer.
fn uncentred(weight: &Tensor, bias: &Tensor, mean: &[f32]) -> std::result::Result<Linear, String> {
    let mut offset: Vec<f64> = bias.values.iter().map(|&b| f64::from(b)).collect();
    for (row, &mean) in weight.values.chunks_exact(offset.len().max(1)).zip(mean) {
        offset.iter_mut().zip(row).for_each(|(sum, &w)| *sum -= f64::from(mean) * f64::from(w));
    }
    let values = offset.into_iter().map(|b| b as f32).collect();
    Linear::new(weight.clone(), Tensor { shape: bias.shape.clone(), values })
}

/// The mean over all images, value by value.
fn mean(data: &Dataset) -> Result<Vec<f32>> {
    let mut sums = vec![0.0_f64; data.image_len()];
    let mut image = vec![0.0; data.image_len()];
    for i in 0..data.len() {
        data.write_image(i, &mut image)?;
        sums.iter_mut().zip(&image).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    Ok(sums.into_iter().map(|sum| (sum / data.len() as f64) as f32).collect())
}

/// The code of every image, as a data set with the same labels.
fn encode(encoder: &Graph, data: &Dataset) -> Result<Dataset> {
    let units = encoder.features(encoder.output());
    let mut codes = vec![0.0; data.len() * units];
    codes.par_chunks_mut(ROWS * units).enumerate().try_for_each_init(
        || Plan::new(encoder, Wanted::InputGradient),
        |plan, (chunk, codes)| {
            let rows = codes.len() / units;
            data.write_images(chunk * ROWS.., plan.inputs(rows))?;
            codes.copy_from_slice(plan.forward(encoder));
            Ok(())
        },
    )?;
    let labels = (0..data.len()).map(|i| data.label(i) as u32).collect();
    Dataset::new(data.name(), vec![units], Pixels::Floats(codes), labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_on_centred_values_is_one_on_values() {
        let weight = Tensor { shape: vec![3, 2], values: vec![1.0, -2.0, 0.5, 4.0, -1.5, 0.25] };
        let bias = Tensor { shape: vec![2], values: vec![0.75, -1.0] };
        let mean = [0.5, 0.25, 1.0];
        let x = [0.25_f32, 1.0, 0.5];
        let linear = uncentred(&weight, &bias, &mean).expect("shapes fit");
        let mut graph = Graph::new(vec![3]);
        graph.then("linear", linear).expect("fits");
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        plan.inputs(1).copy_from_slice(&x);
        let found = plan.forward(&graph);
        for (o, &found) in found.iter().enumerate() {
            let sum: f32 = (0..3).map(|i| (x[i] - mean[i]) * weight.values[2 * i + o]).sum();
            assert!((found - sum - bias.values[o]).abs() < 1e-6, "{o}");
        }
    }

    #[test]
    fn means_are_taken_value_by_value() {
        let pixels = Pixels::Floats(vec![0.0, 1.0, 0.5, 0.5, 1.0, 0.0]);
        let data = Dataset::new("test", vec![2], pixels, vec![0, 1, 0]).expect("valid");
        assert_eq!(mean(&data).expect("in memory"), [0.5, 0.5]);
    }
}
