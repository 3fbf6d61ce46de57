//! The one face of a network that attacks know.

use crate::error::{Error, Result};

/// What a classifier takes: the shape of one image and the interval its pixels live in.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Shape of one image, without the batch.
    pub shape: Vec<usize>,
    /// Smallest pixel value.
    pub lower: f32,
    /// Largest pixel value.
    pub upper: f32,
}

impl InputSpec {
    /// Images of `shape` with pixels in \[0, 1\].
    #[must_use]
    pub fn unit_box(shape: Vec<usize>) -> Self {
        Self { shape, lower: 0.0, upper: 1.0 }
    }

    /// Number of pixel values in one image.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether an image has no pixels at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A classifier that can be asked for logits and for gradients with respect to its input.
///
/// Attacks reach a network through this trait alone, so anything that answers these questions can
/// be attacked: a [`Network`](super::Network), or a user's own model (see `examples/`).
pub trait Classifier: Send + Sync {
    /// Shape and box of the input.
    fn input(&self) -> &InputSpec;

    /// Number of classes, which is the number of logits of one image.
    fn classes(&self) -> usize;

    /// The class that these logits stand for; `None` if any is NaN.
    ///
    /// Where what is searched is not the model's own output but what comes before it, that has the last word.
    fn class_of(&self, logits: &[f32]) -> Option<usize> {
        argmax(logits)
    }

    /// The same, but `None` also where another runtime's rounding may put another class first; if a class is to be
    /// `left`, only where it may put that one first.
    fn sure_class_of(&self, logits: &[f32], left: Option<usize>) -> Option<usize> {
        let _ = left;
        self.class_of(logits)
    }

    /// How steep the first units are, where these are sigmoids or the like: the root mean square over units of the
    /// gradient of what a unit takes with respect to the image, by the scale on which the unit saturates (1 for a
    /// sigmoid, 1/2 for tanh). `None` if unknown, or if there are no such units. The larger it is, the less a
    /// linearisation says about the boundary.
    fn unit_steepness(&self) -> Option<f64> {
        None
    }

    /// A session of its own for the calling thread.
    fn session(&self) -> Box<dyn Session + '_>;
}

/// Evaluates batches for one thread, and owns the buffers for that.
///
/// A round is: fill [`inputs`](Self::inputs), call [`forward`](Self::forward), and possibly
/// [`backward`](Self::backward) for the first rows. What a row yields must not depend on the other
/// rows of the batch.
pub trait Session {
    /// Starts a round of `rows` images and returns the buffer to fill, `rows × input` values,
    /// row-major. Its old content is unspecified.
    fn inputs(&mut self, rows: usize) -> &mut [f32];

    /// The logits of the round's images, `rows × classes`, row-major.
    fn forward(&mut self) -> Result<&[f32]>;

    /// For the first rows of the round (as many as `seeds`, `rows × classes`, has): the gradient
    /// with respect to the input of ⟨seed, logits⟩, `rows × input`.
    fn backward(&mut self, seeds: &[f32]) -> Result<&[f32]>;

    /// For the first rows of the round (as many as `tangents`, `rows × input`, has): the derivative of the
    /// logits along that direction of the input, `rows × classes`.
    ///
    /// # Errors
    ///
    /// If the classifier has no such derivatives; no attack needs them.
    fn tangent(&mut self, tangents: &[f32]) -> Result<&[f32]> {
        let _ = tangents;
        Err(Error::Request("this classifier gives no derivatives along directions".into()))
    }
}

/// The class of the largest logit; the first of equals. `None` without logits or if any is NaN.
#[must_use]
pub fn argmax(logits: &[f32]) -> Option<usize> {
    if logits.iter().any(|z| z.is_nan()) {
        return None;
    }
    (0..logits.len()).reduce(|best, j| if logits[j] > logits[best] { j } else { best })
}
