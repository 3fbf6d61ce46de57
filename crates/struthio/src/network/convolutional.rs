//! The convolutional networks of the zoo.

use super::architecture::{Activation, normal};
use super::graph::{Graph, ValueId};
use super::ops::{
    Arithmetic, AveragePool, Conv, Linear, Lrn, MaxPool, Op, Operator, Relu, Reshape, Tensor, Window,
};
use crate::numeric::random::stream;

/// Convolutional networks that can be named. None has dropout or trainable normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convolutional {
    /// The network for MNIST of Carlini & Wagner (2017): two pairs of convolutions of 3 × 3, each
    /// followed by max-pooling, and three fully connected layers.
    MnistCnn,
    /// LeNet-5 (`LeCun` et al. 1998) as it is used since: hyperbolic tangents, mean-pooling without
    /// coefficients, every feature map connected with all before it, and a linear last layer.
    LeNet,
    /// A residual network of eight layers in the manner of He et al. (2016) for small images: three
    /// stages of one block each, of 16, 32 and 64 channels. In place of batch normalisation the
    /// branches begin as zero (Zhang et al. 2019).
    ResNetSmall,
    /// The network of Krizhevsky et al. (2012), with its two groups, local response normalisation and
    /// overlapping pooling.
    AlexNet,
    /// The same without groups, the shapes of the paper's Table 5.
    AlexNetOneTower,
}

impl Convolutional {
    const ALL: [Self; 5] =
        [Self::MnistCnn, Self::LeNet, Self::ResNetSmall, Self::AlexNet, Self::AlexNetOneTower];

    /// The name as it is typed.
    fn name(self) -> &'static str {
        match self {
            Self::MnistCnn => "mnist-cnn",
            Self::LeNet => "lenet",
            Self::ResNetSmall => "resnet-small",
            Self::AlexNet => "alexnet",
            Self::AlexNetOneTower => "alexnet-one-tower",
        }
    }

    /// Units of each layer with weights.
    fn usual_units(self) -> &'static [usize] {
        match self {
            Self::MnistCnn => &[32, 32, 64, 64, 200, 200, 10],
            Self::LeNet => &[6, 16, 120, 84, 10],
            Self::ResNetSmall => &[16, 16, 16, 32, 32, 32, 64, 64, 64, 10],
            Self::AlexNet | Self::AlexNetOneTower => &[96, 256, 384, 384, 256, 4096, 4096, 1000],
        }
    }

    /// The network called `name`, in lower case and with a number of classes at its end if they are not
    /// the usual ones, and the units of its layers.
    pub(super) fn parse(name: &str) -> Option<(Self, Vec<usize>)> {
        let parse = |kind: Self| {
            let mut units = kind.usual_units().to_vec();
            let rest = name.strip_prefix(kind.name())?;
            if !rest.is_empty() {
                *units.last_mut()? = rest.strip_prefix('-')?.parse().ok()?;
            }
            Some((kind, units))
        };
        Self::ALL.into_iter().find_map(parse)
    }

    /// The name with `classes` classes.
    pub(super) fn named(self, classes: usize) -> String {
        let name = self.name().to_uppercase();
        if self.usual_units().ends_with(&[classes]) { name } else { format!("{name}-{classes}") }
    }

    pub(super) fn activation(self) -> Activation {
        if self == Self::LeNet { Activation::Tanh } else { Activation::Relu }
    }

    pub(super) fn image_shape(self) -> Option<[usize; 3]> {
        matches!(self, Self::AlexNet | Self::AlexNetOneTower).then_some([3, 227, 227])
    }

    /// Channels, height and width of what the first convolution reads.
    fn image(self, input_shape: &[usize]) -> Result<[usize; 3], String> {
        let image = match *input_shape {
            [height, width] => [1, height, width],
            [channels, height, width] => [channels, height, width],
            _ => return Err(format!("it wants images, found shape {input_shape:?}")),
        };
        match (self, image) {
            (Self::MnistCnn, [channels, ..]) if channels != 1 => {
                Err(format!("it wants grey images, found shape {input_shape:?}"))
            }
            (Self::LeNet, [1, 28, 28] | [1, 32, 32]) => Ok(image),
            (Self::LeNet, _) => {
                Err(format!("it wants grey images of 28 × 28 or 32 × 32, found shape {input_shape:?}"))
            }
            _ => match self.image_shape() {
                Some(shape) if shape != image => {
                    Err(format!("it wants images of shape {shape:?}, found {input_shape:?}"))
                }
                _ => Ok(image),
            },
        }
    }

    /// The network for images of `input_shape`, its weights drawn from N(0, 1 / fan-in), or
    /// N(0, 2 / fan-in) before rectified units.
    pub(super) fn build(self, input_shape: &[usize], classes: usize, seed: u64) -> Result<Graph, String> {
        let image = self.image(input_shape)?;
        let mut graph = Graph::new(input_shape.to_vec());
        if input_shape != image {
            graph.then("image", Reshape::between(input_shape, image.to_vec())?)?;
        }
        let mut builder = Builder { graph, seed, kind: self, layers: 0, counts: [0; 4] };
        match self {
            Self::MnistCnn => builder.mnist_cnn()?,
            Self::LeNet => builder.lenet()?,
            Self::ResNetSmall => builder.resnet_small()?,
            Self::AlexNet => builder.alexnet(2)?,
            Self::AlexNetOneTower => builder.alexnet(1)?,
        }
        builder.fully_connected(classes, 1.0)?;
        Ok(builder.graph)
    }
}

/// Puts layers one after another and numbers them.
struct Builder {
    graph: Graph,
    seed: u64,
    kind: Convolutional,
    /// Layers with weights so far.
    layers: u64,
    /// Convolutions, activations, poolings and fully connected layers so far.
    counts: [usize; 4],
}

impl Builder {
    fn mnist_cnn(&mut self) -> Result<(), String> {
        for units in [32, 64] {
            for _ in 0..2 {
                self.conv(units, Window::of([3, 3]), 1, 2.0)?;
                self.activation()?;
            }
            self.max_pool(2, 2)?;
        }
        self.hidden(&[200, 200])
    }

    fn lenet(&mut self) -> Result<(), String> {
        // An image of MNIST's size is taken as the middle of one of 32 × 32.
        let padding = (32 - self.image_shape()?[1]) / 2;
        for (units, padding) in [(6, padding), (16, 0)] {
            self.conv(units, square(5, 1, padding), 1, 1.0)?;
            self.activation()?;
            let pool = AveragePool::new(self.image_shape()?, square(2, 2, 0), [[0; 2]; 2])?;
            self.pool(pool)?;
        }
        self.hidden(&[120, 84])
    }

    fn resnet_small(&mut self) -> Result<(), String> {
        self.conv(16, square(3, 1, 1), 1, 2.0)?;
        self.activation()?;
        for (units, stride) in [(16, 1), (32, 2), (64, 2)] {
            let before = self.graph.output();
            self.conv(units, square(3, stride, 1), 1, 2.0)?;
            self.activation()?;
            let branch = self.conv(units, square(3, 1, 1), 1, 0.0)?;
            let shortcut =
                if stride == 1 { before } else { self.conv_of(before, units, square(1, stride, 0), 1, 1.0)? };
            let shape = self.graph.shape(branch);
            let add = Arithmetic::new(Operator::Add, [shape, self.graph.shape(shortcut)])?;
            self.graph.push(format!("add{}", self.counts[1]), add, &[branch, shortcut])?;
            self.activation()?;
        }
        let pool = AveragePool::global(self.image_shape()?)?;
        self.pool(pool)?;
        self.hidden(&[])
    }

    fn alexnet(&mut self, groups: usize) -> Result<(), String> {
        for (units, window, groups) in [(96, square(11, 4, 0), 1), (256, square(5, 1, 2), groups)] {
            self.conv(units, window, groups, 2.0)?;
            self.activation()?;
            let lrn = Lrn::new(units, 5, [1e-4, 0.75, 2.0])?;
            self.graph.then(format!("norm{}", self.counts[0]), lrn)?;
            self.max_pool(3, 2)?;
        }
        for (units, groups) in [(384, 1), (384, groups), (256, groups)] {
            self.conv(units, square(3, 1, 1), groups, 2.0)?;
            self.activation()?;
        }
        self.max_pool(3, 2)?;
        self.hidden(&[4096, 4096])
    }

    /// Fully connected layers, each with its activation.
    fn hidden(&mut self, units: &[usize]) -> Result<(), String> {
        let output = self.graph.output();
        let features = self.graph.features(output);
        let flat = Reshape::between(self.graph.shape(output), vec![features])?;
        self.graph.then("flatten", flat)?;
        let gain = if self.kind.activation() == Activation::Relu { 2.0 } else { 1.0 };
        for &units in units {
            self.fully_connected(units, gain)?;
            self.activation()?;
        }
        Ok(())
    }

    /// Weights from N(0, `gain` / fan-in).
    fn weights(&mut self, shape: Vec<usize>, fan_in: usize, gain: f64) -> Tensor {
        let draws = stream(self.seed, "initial weights", self.layers);
        self.layers += 1;
        if gain == 0.0 {
            return Tensor::zeros(shape);
        }
        let values = normal(shape.iter().product(), (gain / fan_in as f64).sqrt(), draws);
        Tensor { shape, values }
    }

    fn conv(&mut self, units: usize, window: Window, groups: usize, gain: f64) -> Result<ValueId, String> {
        self.conv_of(self.graph.output(), units, window, groups, gain)
    }

    fn conv_of(
        &mut self,
        input: ValueId,
        units: usize,
        window: Window,
        groups: usize,
        gain: f64,
    ) -> Result<ValueId, String> {
        let image = image_shape(&self.graph, input)?;
        let [height, width] = window.size;
        let channels = image[0] / groups;
        let weight = self.weights(vec![units, channels, height, width], channels * height * width, gain);
        let conv = Conv::new(image, weight, Tensor::zeros(vec![units]), window, groups)?;
        let name = self.numbered(0, "conv");
        self.graph.push(name, conv, &[input])
    }

    fn fully_connected(&mut self, units: usize, gain: f64) -> Result<(), String> {
        let inputs = self.graph.features(self.graph.output());
        let weight = self.weights(vec![inputs, units], inputs, gain);
        let name = self.numbered(3, "fc");
        self.graph.then(name, Linear::new(weight, Tensor::zeros(vec![units]))?).map(drop)
    }

    fn activation(&mut self) -> Result<(), String> {
        let (name, op) = match self.kind.activation() {
            Activation::Relu => ("relu", Relu.into()),
            other => ("activation", other.op()),
        };
        let name = self.numbered(1, name);
        self.graph.then(name, op).map(drop)
    }

    fn max_pool(&mut self, size: usize, stride: usize) -> Result<(), String> {
        let pool = MaxPool::new(self.image_shape()?, square(size, stride, 0))?;
        self.pool(pool)
    }

    fn pool(&mut self, pool: impl Op + 'static) -> Result<(), String> {
        let name = self.numbered(2, "pool");
        self.graph.then(name, pool).map(drop)
    }

    fn numbered(&mut self, kind: usize, name: &str) -> String {
        self.counts[kind] += 1;
        format!("{name}{}", self.counts[kind])
    }

    fn image_shape(&self) -> Result<[usize; 3], String> {
        image_shape(&self.graph, self.graph.output())
    }
}

/// Channels, height and width of a value.
fn image_shape(graph: &Graph, value: ValueId) -> Result<[usize; 3], String> {
    let shape = graph.shape(value);
    shape.try_into().map_err(|_| format!("expected channels × height × width, found {shape:?}"))
}

/// A square window.
fn square(size: usize, stride: usize, padding: usize) -> Window {
    let (before, after) = ([padding; 2], [padding; 2]);
    Window { stride: [stride; 2], before, after, ..Window::of([size; 2]) }
}

#[cfg(test)]
mod tests {
    use crate::network::onnx;
    use crate::network::{Architecture, Classifier, Network};

    fn network(name: &str, shape: &[usize]) -> Network {
        name.parse::<Architecture>().expect(name).initialise(shape, 0).expect(name)
    }

    #[test]
    fn parameters_are_those_of_the_originals() {
        for (name, shape, parameters) in [
            ("mnist-cnn", &[28, 28][..], 312_202),
            ("lenet", &[28, 28], 61_706),
            ("lenet", &[1, 32, 32], 61_706),
            // Convolutions of 3 × 3 and their biases, two projections, 64 · 10 + 10.
            ("resnet-small", &[28, 28], 160 + 2 * 2320 + 4640 + 9248 + 544 + 18_496 + 36_928 + 2112 + 650),
            ("alexnet", &[3, 227, 227], 60_965_224),
            ("alexnet-one-tower", &[3, 227, 227], 62_378_344),
            ("alexnet-20", &[3, 227, 227], 60_965_224 - 980 * 4097),
        ] {
            assert_eq!(network(name, shape).parameter_count(), parameters, "{name}");
        }
    }

    #[test]
    fn names_and_images() {
        let parse = |name: &str| name.parse::<Architecture>();
        for (name, named) in
            [("LeNet-26", "LENET-26"), ("resnet-small", "RESNET-SMALL"), ("alexnet-1000", "ALEXNET")]
        {
            assert_eq!(parse(name).expect("valid").to_string(), named);
        }
        for bad in ["cnn", "lenet-", "lenet5", "alexnet-one", "mnist-cnn-0", "resnet-small-99999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for (name, shape) in [
            ("mnist-cnn", &[3, 28, 28][..]),
            ("mnist-cnn", &[8, 8]),
            ("mnist-cnn", &[784]),
            ("lenet", &[29, 29]),
            ("lenet", &[3, 32, 32]),
            ("alexnet", &[3, 224, 224]),
            ("alexnet", &[227, 227]),
        ] {
            assert!(parse(name).expect("valid").initialise(shape, 0).is_err(), "{name} {shape:?}");
        }
    }

    #[test]
    fn a_saved_network_is_the_same_network() {
        for (name, shape) in
            [("mnist-cnn", [1, 28, 28]), ("lenet", [1, 28, 28]), ("resnet-small", [3, 20, 24])]
        {
            let network = network(name, &shape);
            let image: Vec<f32> =
                (0..shape.iter().product()).map(|i: usize| (i * 37 % 256) as f32 / 255.0).collect();
            let saved = onnx::read_bytes(name, &onnx::write(&network)).expect("read");
            let logits = |network: &Network| {
                let mut session = network.session();
                session.inputs(1).copy_from_slice(&image);
                session.forward().expect("finite").to_vec()
            };
            assert_eq!(logits(&network), logits(&saved), "{name}");
        }
    }
}
