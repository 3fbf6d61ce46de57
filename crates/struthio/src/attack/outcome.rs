use std::fmt;

use serde::{Deserialize, Serialize};

/// How the search for one image ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// An adversarial image was found and verified.
    Found,
    /// The network was wrong before anything was changed.
    AlreadyWrong,
    /// The image is of the class aimed at, so there was nothing to look for.
    IsTarget,
    /// The search ended, or its budget was spent, without an adversarial image.
    NotFound,
    /// The gradient at the image was zero and nothing was found.
    ZeroGradient,
    /// The network answered with infinities or NaN and nothing was found.
    NonFinite,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Found,
        Self::AlreadyWrong,
        Self::IsTarget,
        Self::NotFound,
        Self::ZeroGradient,
        Self::NonFinite,
    ];

    /// Whether a search was run.
    #[must_use]
    pub fn is_attacked(self) -> bool {
        !matches!(self, Self::AlreadyWrong | Self::IsTarget)
    }

    /// The name used in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::AlreadyWrong => "already_wrong",
            Self::IsTarget => "is_target",
            Self::NotFound => "not_found",
            Self::ZeroGradient => "zero_gradient",
            Self::NonFinite => "non_finite",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a search for one image came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Index of the image in its data set.
    pub index: usize,
    /// The image's class.
    pub label: usize,
    /// The class the network gives to the unchanged image.
    pub predicted: Option<usize>,
    /// How the search ended.
    pub status: Status,
    /// The class aimed at, if one was.
    pub target: Option<usize>,
    /// What was found, if anything was.
    pub adversarial: Option<Adversarial>,
    /// Forward passes spent, those of gradients and of the verification included.
    pub forwards: u64,
    /// Gradients spent.
    pub gradients: u64,
    /// Whether the gradient at the image was zero, so that the search began at random points elsewhere.
    #[serde(default)]
    pub blind: bool,
    /// How the search came to what it found.
    pub progress: Vec<Improvement>,
}

/// A closer adversarial point than any before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Improvement {
    /// Gradients spent by then.
    pub gradients: u64,
    /// Root mean square of the perturbation.
    pub rms: f64,
}

/// The numbers of gradients at which progress is told: 1, 2, 3, 4, 6, 8, 12, 16, …
pub fn milestones() -> impl Iterator<Item = u64> {
    [1, 2].into_iter().chain((0..60).flat_map(|k| [3 << k, 4 << k]))
}

impl Improvement {
    /// Adds this one to those before it; of several up to the same milestone the last one stays.
    pub(super) fn add_to(self, progress: &mut Vec<Self>) {
        let milestone = |gradients: u64| milestones().find(|&m| m >= gradients);
        if progress.last().is_some_and(|last| milestone(last.gradients) == milestone(self.gradients)) {
            progress.pop();
        }
        progress.push(self);
    }
}

/// An adversarial image and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adversarial {
    /// Its pixels; kept apart from the rest on disk.
    #[serde(skip)]
    pub image: Vec<f32>,
    /// The class the network gives to it.
    pub label: usize,
    /// Root mean square of the perturbation over the pixels: the paper's distortion.
    pub rms: f64,
    /// Euclidean norm of the perturbation.
    pub l2: f64,
    /// Largest change of a pixel.
    pub linf: f64,
    /// The factor c of the penalty that produced it, for searches over c.
    pub c: Option<f64>,
    /// One minus the cosine between the perturbation and the gradient of the margin, over the
    /// pixels that are not held by the box: 0 at a point of smallest distance.
    pub optimality_residual: Option<f64>,
    /// Whether it is still adversarial after rounding to the 256 levels of a picture of 8 bits.
    #[serde(default)]
    pub survives_rounding: bool,
}
