use crate::error::{Error, Result};
use crate::network::{Classifier, Graph, Network, ValueId};

/// A layer whose activations are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Name of the op that computes it.
    pub name: String,
    /// Kind of that op.
    pub op: &'static str,
    /// The value in the graph.
    pub value: ValueId,
    /// Shape of the activations of one image.
    pub shape: Vec<usize>,
    /// Whether these are the logits.
    pub logits: bool,
}

impl Layer {
    /// Channels of channels × height × width, else values.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self.shape[..] {
            [channels, _, _] => channels,
            _ => self.shape.iter().product(),
        }
    }

    /// Positions that every channel has.
    #[must_use]
    pub fn positions(&self) -> usize {
        match self.shape[..] {
            [_, height, width] => height * width,
            _ => 1,
        }
    }

    /// Where the values of an image hold `position` of `channel`: channels lie side by side for every position.
    pub(super) fn place(&self, channel: usize, position: usize) -> usize {
        position * self.channels() + channel
    }

    /// The value that puts images in the same order as every unit of this layer does, but for rounding: what comes
    /// before a sigmoid and the like, whose largest values are all one in f32. `None` if nothing does.
    pub(super) fn ordered_by(&self, graph: &Graph) -> Option<ValueId> {
        let (mut value, mut found) = (self.value, None);
        while let Some(node) = graph.producer(value) {
            let [before] = node.inputs[..] else { break };
            value = before;
            if node.op.is_increasing() {
                found = Some(value);
            } else if !node.op.is_view() {
                break;
            }
        }
        found
    }

    /// The layer of `value`, which an op computes; `None` of the input.
    fn of(graph: &Graph, value: ValueId) -> Option<Self> {
        let node = graph.producer(value)?;
        Some(Self {
            name: node.name.clone(),
            op: node.op.kind(),
            value,
            shape: graph.shape(value).to_vec(),
            logits: value == graph.output(),
        })
    }

    /// Every layer of `network` under the name of the op that computes it; of several with the same name the
    /// last.
    fn every(network: &Network) -> Vec<Self> {
        let graph = network.graph();
        let mut layers: Vec<Self> = Vec::new();
        for layer in (1..=graph.nodes().len()).filter_map(|value| Self::of(graph, ValueId(value))) {
            layers.retain(|earlier| earlier.name != layer.name);
            layers.push(layer);
        }
        layers
    }

    /// What the last op with parameters reads; `None` if that is the input.
    pub(super) fn last_but_one(network: &Network) -> Option<Self> {
        let graph = network.graph();
        let last = graph.nodes().iter().rev().find(|node| !node.op.parameters().is_empty())?;
        Self::of(graph, last.inputs[0])
    }

    /// What the last nonlinearity gives, if that is not the logits.
    pub(super) fn last_activation(network: &Network) -> Option<Self> {
        let hidden = |layer: &Self| !layer.logits && layer.is_activation(network);
        Self::every(network).into_iter().rfind(hidden)
    }

    /// What `name` selects: one layer, or with `all` what every nonlinearity gives, and the logits.
    ///
    /// # Errors
    ///
    /// If there is no such layer; the message lists those there are.
    pub fn select(network: &Network, name: &str) -> Result<Vec<Self>> {
        let every = Self::every(network);
        if let Some(layer) = every.iter().find(|layer| layer.name == name) {
            return Ok(vec![layer.clone()]);
        }
        if name == "all" {
            return Ok(every
                .into_iter()
                .filter(|layer| layer.logits || layer.is_activation(network))
                .collect());
        }
        let known: Vec<String> = every
            .iter()
            .map(|layer| {
                let shape: Vec<String> = layer.shape.iter().map(ToString::to_string).collect();
                format!("{} ({}, {})", layer.name, layer.op, shape.join(" × "))
            })
            .collect();
        Err(Error::Request(format!(
            "there is no layer '{name}' in this network of {} classes; choose all or one of:\n  - {}",
            network.classes(),
            known.join("\n  - ")
        )))
    }

    fn is_activation(&self, network: &Network) -> bool {
        let producer = network.graph().producer(self.value);
        self.op == "PRelu" || producer.is_some_and(|node| node.op.in_place().is_some())
    }
}
