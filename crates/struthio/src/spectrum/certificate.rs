use super::layer::LayerGain;
use super::network::chained_value_bounds;
use crate::network::Graph;
use crate::network::ops::Gain;

/// Of the largest |logit|: what rounding may change of a margin that is computed in f32.
const ROUNDING: f64 = 1e-5;

/// For each pair of classes, by how much the difference of their logits can change.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificates {
    /// The columns of the matrix that makes the logits, class by class, and the gain up to it.
    last: Option<(Vec<f32>, f64)>,
    classes: usize,
    /// A bound for every pair.
    all: f64,
}

impl Certificates {
    /// From the gains of the layers of `graph`. Where a matrix makes the logits, the difference of two of its
    /// columns takes the place of its norm.
    #[must_use]
    pub fn new(graph: &Graph, layers: &[LayerGain]) -> Self {
        let classes = graph.features(graph.output());
        let values = chained_value_bounds(graph, layers);
        let mut output = graph.output();
        while let Some(node) = graph.producer(output).filter(|node| node.op.is_view()) {
            output = node.inputs[0];
        }
        let last = graph.producer(output).and_then(|node| match node.op.gain() {
            Gain::Linear(weight) => {
                let rows = weight.values.len() / classes.max(1);
                let columns = (0..weight.values.len()).map(|i| weight.values[i % rows * classes + i / rows]);
                Some((columns.collect(), values[node.inputs[0].0]))
            }
            _ => None,
        });
        let all = values[graph.output().0] * std::f64::consts::SQRT_2 * (1.0 + 1e-12);
        Self { last, classes, all }
    }

    /// By how much the logit of `a` less that of `b` can change for a change of the image by one.
    #[must_use]
    pub fn bound(&self, a: usize, b: usize) -> f64 {
        let Some((columns, before)) = &self.last else { return self.all };
        let rows = columns.len() / self.classes;
        let column = |class: usize| columns[class * rows..][..rows].iter();
        let square: f64 =
            column(a).zip(column(b)).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        (square.sqrt() * before * (1.0 + 1e-9)).min(self.all)
    }

    /// A distance within which no image has another class than `label`, given the logits of an image; 0 if
    /// that is not the class of the image itself, or nothing is known.
    ///
    /// The margins are lowered by 10⁻⁵ of the largest logit for the rounding of what computed them.
    #[must_use]
    pub fn radius(&self, logits: &[f32], label: usize) -> f64 {
        let others = (0..logits.len()).filter(|&other| other != label);
        let largest = logits.iter().map(|z| f64::from(z.abs())).fold(0.0, f64::max);
        let radii = others.map(|other| {
            let margin = f64::from(logits[label]) - f64::from(logits[other]) - ROUNDING * largest;
            certified_radius(margin, self.bound(label, other))
        });
        radii.fold(f64::INFINITY, f64::min)
    }
}

/// margin / bound, rounded down; 0 if the margin is not positive, or nothing is known.
#[must_use]
pub fn certified_radius(margin: f64, bound: f64) -> f64 {
    if margin.is_nan() || margin <= 0.0 || bound.is_nan() || bound.is_infinite() {
        return 0.0;
    }
    margin / bound * (1.0 - 4.0 * f64::EPSILON)
}
