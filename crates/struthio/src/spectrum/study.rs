use serde::{Deserialize, Serialize};

use super::layer::LayerGain;
use super::network::{bound, chained_bound, value_bounds};
use crate::attack::Status;
use crate::network::Network;
use crate::run::{AttackSummary, Spread};

/// Intervals of the histogram of singular values.
const BINS: usize = 40;

/// What is known of a network: its layers, its bounds, and for images the distances between which the
/// closest mistake lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Name of the model.
    pub model: String,
    /// SHA-256 of structure and constants.
    pub sha256: String,
    /// The layers in their order.
    pub layers: Vec<Layer>,
    /// The network as a whole.
    pub network: NetworkGain,
    /// The images, if any were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<Certified>,
    /// Each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Bracket>,
}

/// The gains of a layer: [`LayerGain`] as it is written to files, where nothing is infinite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of LayerGain")]
pub struct Layer {
    pub name: String,
    pub op: String,
    pub shape: Vec<usize>,
    pub stride: Option<[usize; 2]>,
    pub wrapped: Option<[usize; 2]>,
    pub circular: Option<f64>,
    pub zero_padded: Option<f64>,
    pub residual: Option<f64>,
    /// `None` if there is no such bound.
    pub upper: Option<f64>,
    /// Whether no bound is known of the layer, or of what it makes of a bounded input: the first such one.
    pub unbounded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum: Option<SingularValues>,
}

/// All singular values of a layer, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SingularValues {
    /// How many there are.
    pub count: usize,
    /// Largest over smallest; `None` if the smallest is zero.
    pub condition: Option<f64>,
    /// As many equal values would have the same entropy.
    pub effective_rank: f64,
    /// How many lie in each of forty intervals of equal length from zero to the largest.
    pub histogram: Vec<usize>,
}

/// Between what the Lipschitz constant of the network lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkGain {
    /// The product of the layers' bounds; `None` if there is none.
    pub product: Option<f64>,
    /// The least that is proven: the product, or less where matrices in series are taken together.
    pub upper: Option<f64>,
    /// The largest local gain at an image.
    pub lower: Option<f64>,
}

/// The images together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certified {
    /// The data.
    pub data: String,
    /// Images with both a certified radius above zero and an adversarial image.
    pub brackets: u64,
    /// Of those: the distance of the adversarial image over the certified radius.
    pub ratio: Option<Spread>,
    /// Gains at the images.
    pub local_gain: Option<Spread>,
    /// How the attack went.
    pub attack: AttackSummary,
}

/// The distances between which the closest mistake of an image lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bracket {
    /// Index of the image in its data set.
    pub index: usize,
    /// How the attack ended.
    pub status: Status,
    /// No image within this distance has another class.
    pub certified_l2: f64,
    /// The attack found another class at this one.
    pub attacked_l2: Option<f64>,
    /// The gain at the image.
    pub local_gain: Option<f64>,
}

impl Bracket {
    /// The farther distance over the nearer one, if both are there.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let attacked = self.attacked_l2?;
        (self.certified_l2 > 0.0).then(|| attacked / self.certified_l2)
    }

    /// Whether what is certified contradicts what was found.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        self.attacked_l2.is_some_and(|attacked| attacked < self.certified_l2)
    }
}

impl Study {
    /// Of a network without images.
    #[must_use]
    pub fn of(model: &str, network: &Network, layers: &[LayerGain]) -> Self {
        let graph = network.graph();
        let [product, upper] = [bound(graph, layers), chained_bound(graph, layers)];
        let mut written: Vec<Layer> = layers.iter().map(Layer::of).collect();
        let asked =
            written.iter().all(|layer| layer.shape.is_empty() || layer.upper.is_some() || layer.unbounded);
        let infinite = value_bounds(graph, layers).iter().skip(1).position(|bound| bound.is_infinite());
        if let Some(layer) = infinite.filter(|_| asked).and_then(|first| written.get_mut(first)) {
            layer.unbounded = true;
        }
        Self {
            model: model.into(),
            sha256: network.fingerprint(),
            layers: written,
            network: NetworkGain { product: finite(Some(product)), upper: finite(Some(upper)), lower: None },
            certified: None,
            images: Vec::new(),
        }
    }

    /// Adds the images of `data` and the attack on them. Intervals are drawn from the stream of `seed`.
    pub fn add_images(&mut self, data: &str, images: Vec<Bracket>, attack: AttackSummary, seed: u64) {
        let ratios: Vec<f64> = images.iter().filter_map(Bracket::ratio).collect();
        let gains: Vec<f64> = images.iter().filter_map(|image| image.local_gain).collect();
        self.network.lower = gains.iter().copied().reduce(f64::max);
        self.certified = Some(Certified {
            data: data.into(),
            brackets: ratios.len() as u64,
            ratio: Spread::of(&ratios, seed),
            local_gain: Spread::of(&gains, seed),
            attack,
        });
        self.images = images;
    }
}

impl Layer {
    fn of(gain: &LayerGain) -> Self {
        let spectrum = gain.spectrum.as_ref().map(|spectrum| SingularValues {
            count: spectrum.values.len(),
            condition: finite(Some(spectrum.condition())),
            effective_rank: spectrum.effective_rank(),
            histogram: spectrum.histogram(BINS),
        });
        Self {
            name: gain.name.clone(),
            op: gain.op.into(),
            shape: gain.shape.clone(),
            stride: gain.stride,
            wrapped: gain.wrapped,
            circular: gain.circular,
            zero_padded: gain.zero_padded,
            residual: gain.residual,
            upper: finite(gain.upper),
            unbounded: gain.upper.is_some_and(f64::is_infinite),
            spectrum,
        }
    }

    /// Largest singular value as exactly as it is known: on images that wrap around.
    #[must_use]
    pub fn norm(&self) -> Option<f64> {
        self.circular.or(self.zero_padded)
    }
}

/// Infinity is no number in JSON.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
