use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::activations::{Activations, Pooling};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Classifier, Graph, Network, Plan, Wanted};
use crate::numeric::vector::{scale, squared_norm};

/// Steps of an ascent, and the length of the first, as root mean square over the pixels; later ones are shorter.
const STEPS: usize = 160;
const FIRST_STEP: f64 = 0.05;
/// Weight of the smoothness prior against the activation in standard deviations.
const SMOOTHNESS: f64 = 0.02;
/// Ascents side by side, which share the products of a pass.
const TOGETHER: usize = 8;

/// A direction in a space of activations, to be maximised.
pub(super) struct Wish {
    /// The image of the data that maximises it.
    pub strongest: usize,
    /// One weight for each unit of the [`Activations`].
    pub weights: Vec<f32>,
    /// Standard deviation over the data of the activation in this direction.
    pub deviation: f64,
}

/// Images made to maximise directions, one for each of `wishes`: gradient ascent of ⟨φ(x), v⟩, in standard deviations
/// over the data, less [`SMOOTHNESS`] times the sum of the squared differences between neighbouring pixels, inside
/// the box, from the image that maximises it (Erhan et al. 2009; elsewhere the unit may be silent and give no
/// gradient). The best image on the way is given of those that the direction likes no less than the one it began
/// with: where a unit saturates only the prior is left to climb. Every ascent is on its own, whatever the threads.
pub(super) fn maximise(
    network: &Network,
    activations: &Activations,
    wishes: &[Wish],
    data: &Dataset,
    pool: &rayon::ThreadPool,
    cancelled: &AtomicBool,
) -> Result<Vec<Vec<f32>>> {
    let mut graph = network.graph().clone();
    graph.truncate(activations.layer.value.0);
    let bounds = [network.input().lower, network.input().upper];
    let of_part = |wishes: &[Wish]| ascents(&graph, activations, wishes, data, bounds, cancelled);
    let parts: Vec<_> = pool.install(|| wishes.par_chunks(TOGETHER).map(of_part).collect::<Result<_>>())?;
    Ok(parts.concat())
}

/// The ascents of `wishes`, side by side.
fn ascents(
    graph: &Graph,
    activations: &Activations,
    wishes: &[Wish],
    data: &Dataset,
    [lower, upper]: [f32; 2],
    cancelled: &AtomicBool,
) -> Result<Vec<Vec<f32>>> {
    let len = data.image_len();
    let mut plan = Plan::new(graph, Wanted::InputGradient);
    let images = wishes.iter().map(|wish| data.image(wish.strongest));
    let mut images = images.collect::<Result<Vec<_>>>()?;
    let mut best: Vec<Best> = images.iter().map(|image| Best::new(image.clone())).collect();
    for step in 0..STEPS {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let inputs = plan.inputs(wishes.len()).chunks_exact_mut(len);
        images.iter().zip(inputs).for_each(|(image, input)| input.copy_from_slice(image));
        let outputs = plan.forward(graph);
        let each = outputs.chunks_exact(outputs.len() / wishes.len());
        let (reached, seeds): (Vec<f64>, Vec<Vec<f32>>) =
            each.zip(wishes).map(|(values, wish)| objective(activations, wish, values)).unzip();
        let gradients = plan.backward(graph, &seeds.concat(), None).chunks_exact(len);
        let length = FIRST_STEP * (1.0 - step as f64 / STEPS as f64) * (len as f64).sqrt();
        for (((image, best), reached), gradient) in
            images.iter_mut().zip(&mut best).zip(reached).zip(gradients)
        {
            let mut direction = gradient.to_vec();
            let penalty = smooth(image, data.shape(), &mut direction);
            best.show(image, reached, penalty);
            let norm = squared_norm(&direction).sqrt();
            if norm > 0.0 {
                scale(&mut direction, length / norm);
                image.iter_mut().zip(&direction).for_each(|(x, d)| *x = (*x + d).clamp(lower, upper));
            }
        }
    }
    Ok(best.into_iter().map(|best| best.image).collect())
}

/// The best image of an ascent.
struct Best {
    image: Vec<f32>,
    /// ⟨φ, v⟩ of the first image, once it is known.
    first: Option<f64>,
    /// ⟨φ, v⟩ less the prior.
    reached: f64,
}

impl Best {
    fn new(image: Vec<f32>) -> Self {
        Self { image, first: None, reached: f64::NEG_INFINITY }
    }

    fn show(&mut self, image: &[f32], activation: f64, penalty: f64) {
        let first = *self.first.get_or_insert(activation);
        if activation >= first && activation - penalty > self.reached {
            self.reached = activation - penalty;
            self.image.copy_from_slice(image);
        }
    }
}

/// ⟨φ, v⟩ in standard deviations, and its gradient with respect to the values of the layer. Of equal largest values
/// the first counts.
fn objective(activations: &Activations, wish: &Wish, values: &[f32]) -> (f64, Vec<f32>) {
    let layer = &activations.layer;
    let positions = layer.positions();
    let mut seed = vec![0.0; values.len()];
    let mut sum = 0.0;
    for (&unit, &weight) in activations.units.iter().zip(&wish.weights) {
        let weight = weight as f64 / wish.deviation;
        let mut count = |place: usize, share: f64| {
            sum += weight * share * values[place] as f64;
            seed[place] += (weight * share) as f32;
        };
        let place = |position: usize| layer.place(unit, position);
        match activations.pooling {
            Pooling::None => count(layer.place(unit / positions, unit % positions), 1.0),
            Pooling::Mean => (0..positions).for_each(|p| count(place(p), 1.0 / positions as f64)),
            Pooling::Max => {
                let larger = |a: usize, b: usize| if values[place(b)] > values[place(a)] { b } else { a };
                count(place((0..positions).reduce(larger).unwrap_or(0)), 1.0);
            }
        }
    }
    (sum, seed)
}

/// [`SMOOTHNESS`] times the squared differences between neighbours, whose gradient is taken from `gradient`.
fn smooth(image: &[f32], shape: &[usize], gradient: &mut [f32]) -> f64 {
    let (height, width) = match *shape {
        [.., height, width] => (height, width),
        // A row of pixels may be a square picture.
        _ => (image.len().isqrt(), image.len().isqrt()),
    };
    if width * height == 0 || !image.len().is_multiple_of(width * height) {
        return 0.0;
    }
    let mut sum = 0.0;
    let mut pair = |a: usize, b: usize| {
        let difference = (image[a] - image[b]) as f64;
        sum += SMOOTHNESS * difference * difference;
        let slope = (2.0 * SMOOTHNESS * difference) as f32;
        gradient[a] -= slope;
        gradient[b] += slope;
    };
    for at in 0..image.len() {
        if at % width + 1 < width {
            pair(at, at + 1);
        }
        if at / width % height + 1 < height {
            pair(at, at + width);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::network::Architecture;
    use crate::numeric::random::stream;
    use crate::units::Layer;

    /// Central differences of objective and prior along the gradient, for each way of pooling.
    #[test]
    fn gradients_are_those_of_the_objective() {
        let network =
            "mnist-cnn".parse::<Architecture>().and_then(|of| of.initialise(&[1, 28, 28], 3)).expect("built");
        let layer = Layer::select(&network, "relu2").expect("a layer").remove(0);
        let mut draws = stream(0, "noise", 0);
        let image: Vec<f32> = (0..784).map(|_| draws.random_range(0.2..0.8)).collect();
        let mut graph = network.graph().clone();
        graph.truncate(layer.value.0);
        for pooling in [Pooling::Max, Pooling::Mean, Pooling::None] {
            let activations = Activations::new(&layer, pooling, 7, 0, &std::env::temp_dir()).expect("a file");
            let weights = (0..7).map(|i| 0.5 - 0.2 * i as f32).collect();
            let wish = Wish { strongest: 0, weights, deviation: 0.05 };
            let mut plan = Plan::new(&graph, Wanted::InputGradient);
            let mut at = |image: &[f32]| {
                plan.inputs(1).copy_from_slice(image);
                let (reached, seed) = objective(&activations, &wish, plan.forward(&graph));
                let mut gradient = plan.backward(&graph, &seed, None).to_vec();
                (reached - smooth(image, &[1, 28, 28], &mut gradient), gradient)
            };
            let (_, gradient) = at(&image);
            let norm = squared_norm(&gradient).sqrt();
            let moved = |by: f32| -> Vec<f32> {
                image.iter().zip(&gradient).map(|(x, g)| x + by * g / norm as f32).collect()
            };
            let slope = (at(&moved(0.003)).0 - at(&moved(-0.003)).0) / 0.006;
            assert!((slope / norm - 1.0).abs() < 0.01, "{pooling:?}: {slope} {norm}");
        }
    }

    #[test]
    fn an_ascent_ends_in_the_box_and_higher_than_it_began() {
        let network =
            "mnist-cnn".parse::<Architecture>().and_then(|of| of.initialise(&[1, 28, 28], 3)).expect("built");
        let layer = Layer::select(&network, "relu3").expect("a layer").remove(0);
        let data = crate::data::mnist_test().and_then(|test| test.range(0..20)).expect("MNIST");
        let activations =
            Activations::new(&layer, Pooling::Mean, 4, 0, &std::env::temp_dir()).expect("a file");
        let wish = |i: usize| {
            let weights = (0..4).map(|j| f32::from(u8::from(i == j))).collect();
            Wish { strongest: 3, weights, deviation: 0.01 }
        };
        let wishes: Vec<Wish> = (0..4).map(wish).collect();
        let pool = |threads| crate::thread_pool(threads).expect("threads");
        let made = |pool: &rayon::ThreadPool, cancelled: bool| {
            maximise(&network, &activations, &wishes, &data, pool, &AtomicBool::new(cancelled))
        };
        assert!(matches!(made(&pool(1), true), Err(Error::Interrupted)));
        let [made, again] = [1, 3].map(|threads| made(&pool(threads), false).expect("made"));
        assert_eq!(made, again);
        let mut graph = network.graph().clone();
        graph.truncate(layer.value.0);
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        let mut reached = |image: &[f32], wish: &Wish| {
            plan.inputs(1).copy_from_slice(image);
            objective(&activations, wish, plan.forward(&graph)).0
        };
        let mut higher = 0;
        for (image, wish) in made.iter().zip(&wishes) {
            assert!(image.iter().all(|x| (0.0..=1.0).contains(x)));
            let first = reached(&data.image(3).expect("in memory"), wish);
            assert!(reached(image, wish) >= first);
            higher += usize::from(reached(image, wish) > 1.5 * first);
        }
        assert!(higher >= 3, "{higher} of 4");
    }
}
