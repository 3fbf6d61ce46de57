//! The zoo: networks named as the paper names them.

use std::fmt;
use std::str::FromStr;

use rand_distr::{Distribution, StandardNormal};

use super::graph::Graph;
use super::model::Network;
use super::ops::{Conv, Linear, MaxPool, Op, Relu, Reshape, Sigmoid, Tanh, Tensor, Window};
use crate::error::{Error, Result};
use crate::numeric::random::{Stream, stream};

/// The nonlinearity of hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// 1 / (1 + e⁻ˣ), the paper's.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// max(0, x)
    Relu,
}

impl Activation {
    fn op(self) -> Box<dyn Op> {
        match self {
            Self::Sigmoid => Sigmoid.into(),
            Self::Tanh => Tanh.into(),
            Self::Relu => Relu.into(),
        }
    }
}

/// How the hidden layers of a network get their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Together with the last layer, from labels: the paper's FC networks.
    FullyConnected,
    /// As the encoder of an autoencoder, without labels, and left alone when the last layer is
    /// trained on the code: the paper's AE400-10.
    Autoencoder,
    /// Together from labels, with convolutions first: the network for MNIST of Carlini & Wagner
    /// (2017), without its dropout.
    Convolutional,
}

/// Units of the convolutional network for MNIST: two pairs of convolutions of 3 × 3, each followed by
/// max-pooling, and three fully connected layers.
const MNIST_CNN: [usize; 7] = [32, 32, 64, 64, 200, 200, 10];

/// A network of the paper: fully connected (`fc10`, `fc100-100-10`, any `fcA-B-..-C`), a softmax on the
/// code of an autoencoder (`ae400-10`, any `aeA-C`), or convolutional (`mnist-cnn`).
///
/// ```
/// use struthio::network::Architecture;
///
/// let architecture: Architecture = "fc100-100-10".parse()?;
/// assert_eq!(architecture.to_string(), "FC100-100-10");
/// let network = architecture.initialise(&[28, 28], 0)?;
/// assert_eq!(network.parameter_count(), 784 * 100 + 100 + 100 * 100 + 100 + 100 * 10 + 10);
/// # Ok::<(), struthio::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Where the weights of hidden layers come from.
    pub family: Family,
    /// Units of each layer, the last of which are the classes.
    pub units: Vec<usize>,
    /// Nonlinearity of all layers but the last.
    pub activation: Activation,
}

/// What can be named.
const EXPECTED: &str = "fc10, fc100-100-10, any fcA-B-..-10, ae400-10, any aeA-10, mnist-cnn";

impl Architecture {
    /// The widest layer that [`FromStr`] accepts.
    const MAX_UNITS: usize = 65_536;

    /// How many layers are trained with labels, always the last ones.
    #[must_use]
    pub fn supervised_layers(&self) -> usize {
        match self.family {
            Family::FullyConnected | Family::Convolutional => self.units.len(),
            Family::Autoencoder => 1,
        }
    }

    /// A network of this architecture for images of `input_shape`, with weights drawn from
    /// N(0, 1 / fan-in), or N(0, 2 / fan-in) before rectified units (He et al. 2015), and biases of zero.
    pub fn initialise(&self, input_shape: &[usize], seed: u64) -> Result<Network> {
        let build = || -> Result<Graph, String> {
            if self.family == Family::Convolutional {
                return self.convolutional(input_shape, seed);
            }
            let mut graph = Graph::new(input_shape.to_vec());
            let mut width: usize = input_shape.iter().product();
            if input_shape.len() != 1 {
                graph.then("flatten", Reshape::between(input_shape, vec![width])?)?;
            }
            for (layer, &units) in self.units.iter().enumerate() {
                let draws = stream(seed, "initial weights", layer as u64);
                graph.then(format!("fc{}", layer + 1), initial_linear(width, units, draws)?)?;
                if layer + 1 < self.units.len() {
                    graph.then(format!("activation{}", layer + 1), self.activation.op())?;
                }
                width = units;
            }
            Ok(graph)
        };
        let graph = build().map_err(|problem| Error::model(self.to_string(), problem))?;
        Network::new(&self.to_string(), graph)
    }
}

impl Architecture {
    fn convolutional(&self, input_shape: &[usize], seed: u64) -> Result<Graph, String> {
        let ([height, width] | [1, height, width]) = *input_shape else {
            return Err(format!("it wants grey images, found shape {input_shape:?}"));
        };
        let mut graph = Graph::new(input_shape.to_vec());
        graph.then("image", Reshape::between(input_shape, vec![1, height, width])?)?;
        let draws = |layer: usize| stream(seed, "initial weights", layer as u64);
        let [convolutions @ .., a, b, c] = &self.units[..] else {
            return Err("it has too few layers".into());
        };
        for (layer, &units) in convolutions.iter().enumerate() {
            let [channels, height, width] = image_shape(&graph)?;
            let taps = 9 * channels;
            let values = normal(units * taps, (2.0 / taps as f64).sqrt(), draws(layer));
            let weight = Tensor { shape: vec![units, channels, 3, 3], values };
            let window = Window::of([3, 3]);
            let conv = Conv::new([channels, height, width], weight, Tensor::zeros(vec![units]), window, 1)?;
            graph.then(format!("conv{}", layer + 1), conv)?;
            graph.then(format!("relu{}", layer + 1), Relu)?;
            if layer % 2 == 1 {
                let window = Window { stride: [2, 2], ..Window::of([2, 2]) };
                let pool = MaxPool::new(image_shape(&graph)?, window)?;
                graph.then(format!("pool{}", layer / 2 + 1), pool)?;
            }
        }
        let mut inputs = graph.features(graph.output());
        graph.then("flatten", Reshape::between(graph.shape(graph.output()), vec![inputs])?)?;
        for (i, &units) in [a, b, c].into_iter().enumerate() {
            let scale = if i < 2 { 2.0 } else { 1.0 } / inputs as f64;
            let values = normal(inputs * units, scale.sqrt(), draws(convolutions.len() + i));
            let weight = Tensor { shape: vec![inputs, units], values };
            graph.then(format!("fc{}", i + 1), Linear::new(weight, Tensor::zeros(vec![units]))?)?;
            if i < 2 {
                graph.then(format!("relu{}", convolutions.len() + i + 1), Relu)?;
            }
            inputs = units;
        }
        Ok(graph)
    }
}

/// Channels, height and width of what `graph` gives so far.
fn image_shape(graph: &Graph) -> Result<[usize; 3], String> {
    let shape = graph.shape(graph.output());
    shape.try_into().map_err(|_| format!("expected channels × height × width, found {shape:?}"))
}

/// `count` draws from N(0, `deviation`²).
fn normal(count: usize, deviation: f64, mut draws: Stream) -> Vec<f32> {
    let draw = |_| {
        let normal: f64 = StandardNormal.sample(&mut draws);
        (normal * deviation) as f32
    };
    (0..count).map(draw).collect()
}

/// A layer with weights drawn from N(0, 1 / inputs) and biases of zero.
pub(crate) fn initial_linear(
    inputs: usize,
    units: usize,
    draws: Stream,
) -> std::result::Result<Linear, String> {
    let values = normal(inputs * units, 1.0 / (inputs as f64).sqrt(), draws);
    Linear::new(Tensor { shape: vec![inputs, units], values }, Tensor::zeros(vec![units]))
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<String> = self.units.iter().map(ToString::to_string).collect();
        let family = match self.family {
            Family::FullyConnected => "FC",
            Family::Autoencoder => "AE",
            Family::Convolutional => return f.write_str("MNIST-CNN"),
        };
        write!(f, "{family}{}", units.join("-"))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        const LATER: [&str; 3] = ["lenet", "alexnet", "resnet-small"];
        let lower = name.to_ascii_lowercase();
        if LATER.contains(&lower.as_str()) {
            return Err(Error::Request(format!(
                "architecture '{name}' is not in this version yet; there are {EXPECTED}"
            )));
        }
        if lower == "mnist-cnn" {
            let (family, activation) = (Family::Convolutional, Activation::Relu);
            return Ok(Self { family, units: MNIST_CNN.to_vec(), activation });
        }
        let (family, units) = lower
            .strip_prefix("fc")
            .map(|units| (Family::FullyConnected, units))
            .or_else(|| Some((Family::Autoencoder, lower.strip_prefix("ae")?)))
            .and_then(|(family, units)| {
                let units: Option<Vec<usize>> = units.split('-').map(|u| u.parse().ok()).collect();
                Some((family, units?))
            })
            .ok_or_else(|| {
                Error::Request(format!(
                    "unknown architecture '{name}'; expected {EXPECTED}, with whole numbers of units"
                ))
            })?;
        if family == Family::Autoencoder && units.len() != 2 {
            return Err(Error::Request(format!(
                "architecture '{name}' has {} layers; an autoencoder has one hidden layer, as in ae400-10",
                units.len()
            )));
        }
        if let Some(bad) = units.iter().find(|&&u| u == 0 || u > Self::MAX_UNITS) {
            return Err(Error::Request(format!(
                "architecture '{name}' has a layer of {bad} units; between 1 and {} are possible",
                Self::MAX_UNITS
            )));
        }
        Ok(Self { family, units, activation: Activation::Sigmoid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let parse = |name: &str| name.parse::<Architecture>().map(|a| a.units);
        assert_eq!(parse("fc10").expect("valid"), [10]);
        assert_eq!(parse("FC123-456-10").expect("valid"), [123, 456, 10]);
        let autoencoder: Architecture = "AE400-10".parse().expect("valid");
        assert_eq!((autoencoder.family, &autoencoder.units[..]), (Family::Autoencoder, &[400, 10][..]));
        assert_eq!((autoencoder.to_string().as_str(), autoencoder.supervised_layers()), ("AE400-10", 1));
        for bad in [
            "",
            "ae",
            "ae10",
            "ae400-100-10",
            "fc",
            "fc-10",
            "fc0-10",
            "fc99999999-10",
            "cnn",
            "fc10-",
            "fc1e3-10",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let cnn: Architecture = "mnist-cnn".parse().expect("valid");
        let network = cnn.initialise(&[28, 28], 0).expect("valid");
        // Carlini & Wagner's network has 312,202 parameters.
        assert_eq!((cnn.to_string().as_str(), network.parameter_count()), ("MNIST-CNN", 312_202));
        assert!(cnn.initialise(&[3, 28, 28], 0).is_err() && cnn.initialise(&[8, 8], 0).is_err());
        assert!(parse("alexnet").expect_err("later").to_string().contains("not in this version"));
    }

    #[test]
    fn initial_weights_have_the_stated_spread() {
        let architecture: Architecture = "fc300-10".parse().expect("valid");
        let network = architecture.initialise(&[1, 28, 28], 1).expect("valid");
        let first = network.graph().parameters().next().expect("weights");
        let variance =
            first.values.iter().map(|w| (*w as f64).powi(2)).sum::<f64>() / first.values.len() as f64;
        assert!((variance * 784.0 - 1.0).abs() < 0.02, "{variance}");
    }
}
