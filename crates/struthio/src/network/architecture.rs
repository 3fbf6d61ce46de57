//! The zoo: networks named as the paper names them.

use std::fmt;
use std::str::FromStr;

use rand_distr::{Distribution, StandardNormal};

use super::convolutional::Convolutional;
use super::graph::Graph;
use super::model::Network;
use super::ops::{Linear, Op, Relu, Reshape, Sigmoid, Tanh, Tensor};
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
    pub(super) fn op(self) -> Box<dyn Op> {
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
    /// Together from labels, with convolutions first.
    Convolutional(Convolutional),
}

/// A network by its name: fully connected (`fc10`, `fc100-100-10`, any `fcA-B-..-C`), a softmax on the
/// code of an autoencoder (`ae400-10`, any `aeA-C`), or convolutional (`mnist-cnn`, `lenet`, `resnet-small`,
/// `alexnet`, `alexnet-one-tower`, each possibly with another number of classes, as in `alexnet-20`).
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
    /// Units of each layer with weights, the last of which are the classes.
    pub units: Vec<usize>,
    /// Nonlinearity of all layers but the last.
    pub activation: Activation,
}

/// What can be named.
const EXPECTED: &str = "fc10, fc100-100-10, any fcA-B-..-10, ae400-10, any aeA-10, mnist-cnn, lenet, \
                        resnet-small, alexnet or alexnet-one-tower (these with another number of classes as in \
                        alexnet-20)";

impl Architecture {
    /// The widest layer that [`FromStr`] accepts.
    const MAX_UNITS: usize = 65_536;

    /// How many layers are trained with labels, always the last ones.
    #[must_use]
    pub fn supervised_layers(&self) -> usize {
        match self.family {
            Family::FullyConnected | Family::Convolutional(_) => self.units.len(),
            Family::Autoencoder => 1,
        }
    }

    /// The only shape of images that it takes, if there is one.
    #[must_use]
    pub fn image_shape(&self) -> Option<[usize; 3]> {
        match self.family {
            Family::Convolutional(kind) => kind.image_shape(),
            _ => None,
        }
    }

    /// How many classes it tells apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.units.last().copied().unwrap_or(0)
    }

    /// A network of this architecture for images of `input_shape`, with weights drawn from
    /// N(0, 1 / fan-in), or N(0, 2 / fan-in) before rectified units (He et al. 2015), and biases of zero.
    pub fn initialise(&self, input_shape: &[usize], seed: u64) -> Result<Network> {
        let build = || -> Result<Graph, String> {
            if let Family::Convolutional(kind) = self.family {
                return kind.build(input_shape, self.classes(), seed);
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

/// `count` draws from N(0, `deviation`²).
pub(super) fn normal(count: usize, deviation: f64, mut draws: Stream) -> Vec<f32> {
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
            Family::Convolutional(kind) => return f.write_str(&kind.named(self.classes())),
        };
        write!(f, "{family}{}", units.join("-"))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let lower = name.to_ascii_lowercase();
        let numbers = |units: &str| units.split('-').map(|u| u.parse().ok()).collect::<Option<Vec<usize>>>();
        let parsed = if let Some(units) = lower.strip_prefix("fc") {
            numbers(units).map(|units| (Family::FullyConnected, units))
        } else if let Some(units) = lower.strip_prefix("ae") {
            numbers(units).map(|units| (Family::Autoencoder, units))
        } else {
            Convolutional::parse(&lower).map(|(kind, units)| (Family::Convolutional(kind), units))
        };
        let Some((family, units)) = parsed else {
            return Err(Error::Request(format!(
                "unknown architecture '{name}'; expected {EXPECTED}, with whole numbers of units"
            )));
        };
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
        let activation = match family {
            Family::Convolutional(kind) => kind.activation(),
            _ => Activation::Sigmoid,
        };
        Ok(Self { family, units, activation })
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
