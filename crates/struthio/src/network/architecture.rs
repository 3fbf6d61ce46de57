//! The zoo: networks named as the paper names them.

use std::fmt;
use std::str::FromStr;

use rand_distr::{Distribution, StandardNormal};

use super::graph::Graph;
use super::model::Network;
use super::ops::{Linear, Op, Relu, Reshape, Sigmoid, Tanh, Tensor};
use crate::error::{Error, Result};
use crate::numeric::random::stream;

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

/// A fully connected network of the paper: `fc10`, `fc100-100-10`, any `fcA-B-..-C`.
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
    /// Units of each layer, the last of which are the classes.
    pub units: Vec<usize>,
    /// Nonlinearity of all layers but the last.
    pub activation: Activation,
}

impl Architecture {
    /// The widest layer that [`FromStr`] accepts.
    const MAX_UNITS: usize = 65_536;

    /// A network of this architecture for images of `input_shape`, with weights drawn from
    /// N(0, 1 / fan-in) and biases of zero.
    pub fn initialise(&self, input_shape: &[usize], seed: u64) -> Result<Network> {
        let build = || -> Result<Graph, String> {
            let mut graph = Graph::new(input_shape.to_vec());
            let mut width: usize = input_shape.iter().product();
            if input_shape.len() != 1 {
                graph.then("flatten", Reshape::new(vec![width]))?;
            }
            for (layer, &units) in self.units.iter().enumerate() {
                let mut draws = stream(seed, "initial weights", layer as u64);
                let scale = 1.0 / (width as f64).sqrt();
                let values = (0..width * units)
                    .map(|_| {
                        let normal: f64 = StandardNormal.sample(&mut draws);
                        (normal * scale) as f32
                    })
                    .collect();
                let weight = Tensor { shape: vec![width, units], values };
                graph.then(format!("fc{}", layer + 1), Linear::new(weight, Tensor::zeros(vec![units]))?)?;
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

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<String> = self.units.iter().map(ToString::to_string).collect();
        write!(f, "FC{}", units.join("-"))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        const LATER: [&str; 5] = ["ae400-10", "mnist-cnn", "lenet", "alexnet", "resnet-small"];
        let lower = name.to_ascii_lowercase();
        if LATER.contains(&lower.as_str()) {
            return Err(Error::Request(format!(
                "architecture '{name}' is not in this version yet; fully connected ones are: fc10, fc100-100-10, any fcA-B-..-10"
            )));
        }
        let units = lower
            .strip_prefix("fc")
            .and_then(|units| units.split('-').map(|u| u.parse().ok()).collect::<Option<Vec<usize>>>())
            .ok_or_else(|| {
                Error::Request(format!(
                    "unknown architecture '{name}'; expected fc10, fc100-100-10 or any fcA-B-..-10 with whole numbers of units"
                ))
            })?;
        if let Some(bad) = units.iter().find(|&&u| u == 0 || u > Self::MAX_UNITS) {
            return Err(Error::Request(format!(
                "architecture '{name}' has a layer of {bad} units; between 1 and {} are possible",
                Self::MAX_UNITS
            )));
        }
        Ok(Self { units, activation: Activation::Sigmoid })
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
        for bad in ["", "fc", "fc-10", "fc0-10", "fc99999999-10", "cnn", "fc10-", "fc1e3-10"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("alexnet").expect_err("later").to_string().contains("not in this version"));
    }

    #[test]
    fn initial_weights_have_the_stated_spread() {
        let network = Architecture { units: vec![300, 10], activation: Activation::Sigmoid }
            .initialise(&[1, 28, 28], 1)
            .expect("valid");
        let first = network.graph().parameters().next().expect("weights");
        let variance =
            first.values.iter().map(|w| (*w as f64).powi(2)).sum::<f64>() / first.values.len() as f64;
        assert!((variance * 784.0 - 1.0).abs() < 0.02, "{variance}");
    }
}
