use super::classifier::{Classifier, InputSpec, Session};
use crate::error::Result;

/// A classifier whose classes are counted in another order.
pub struct Reordered<'a> {
    inner: &'a dyn Classifier,
    order: &'a [usize],
}

impl<'a> Reordered<'a> {
    /// Class j of the result is class `order[j]` of `inner`.
    ///
    /// # Panics
    ///
    /// If `order` does not name every class once.
    #[must_use]
    pub fn new(inner: &'a dyn Classifier, order: &'a [usize]) -> Self {
        let mut named = order.to_vec();
        named.sort_unstable();
        assert!(named.into_iter().eq(0..inner.classes()), "an order names every class once");
        Self { inner, order }
    }

    /// Logits in the order of the inner classifier.
    fn as_inside(&self, logits: &[f32]) -> Vec<f32> {
        let mut inside = vec![0.0; logits.len()];
        self.order.iter().zip(logits).for_each(|(&class, &logit)| inside[class] = logit);
        inside
    }

    /// What a class of the inner classifier is called here.
    fn in_order(&self, class: usize) -> Option<usize> {
        self.order.iter().position(|&of| of == class)
    }
}

impl Classifier for Reordered<'_> {
    fn input(&self) -> &InputSpec {
        self.inner.input()
    }

    fn classes(&self) -> usize {
        self.inner.classes()
    }

    fn class_of(&self, logits: &[f32]) -> Option<usize> {
        self.in_order(self.inner.class_of(&self.as_inside(logits))?)
    }

    fn sure_class_of(&self, logits: &[f32], left: Option<usize>) -> Option<usize> {
        let left = left.map(|class| self.order[class]);
        self.in_order(self.inner.sure_class_of(&self.as_inside(logits), left)?)
    }

    fn unit_steepness(&self) -> Option<f64> {
        self.inner.unit_steepness()
    }

    fn session(&self) -> Box<dyn Session + '_> {
        let (logits, seeds) = (Vec::new(), Vec::new());
        Box::new(ReorderedSession { inner: self.inner.session(), order: self.order, logits, seeds })
    }
}

struct ReorderedSession<'a> {
    inner: Box<dyn Session + 'a>,
    order: &'a [usize],
    logits: Vec<f32>,
    seeds: Vec<f32>,
}

impl Session for ReorderedSession<'_> {
    fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.inner.inputs(rows)
    }

    fn forward(&mut self) -> Result<&[f32]> {
        let logits = self.inner.forward()?;
        self.logits.clear();
        for row in logits.chunks_exact(self.order.len()) {
            self.logits.extend(self.order.iter().map(|&class| row[class]));
        }
        Ok(&self.logits)
    }

    fn backward(&mut self, seeds: &[f32]) -> Result<&[f32]> {
        self.seeds.resize(seeds.len(), 0.0);
        let rows = seeds.chunks_exact(self.order.len()).zip(self.seeds.chunks_exact_mut(self.order.len()));
        for (from, to) in rows {
            self.order.iter().zip(from).for_each(|(&class, &seed)| to[class] = seed);
        }
        self.inner.backward(&self.seeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Architecture;

    #[test]
    fn logits_move_and_the_gradient_of_each_moves_with_it() {
        let architecture: Architecture = "fc5-3".parse().expect("valid");
        let network = architecture.initialise(&[4], 7).expect("valid");
        let order = [2, 0, 1];
        let moved = Reordered::new(&network, &order);
        let image = [0.1, 0.7, 0.4, 0.9];
        let ask = |classifier: &dyn Classifier, class: usize| {
            let mut session = classifier.session();
            session.inputs(1).copy_from_slice(&image);
            let logit = session.forward().expect("logits")[class];
            let mut seed = [0.0; 3];
            seed[class] = 1.0;
            (logit, session.backward(&seed).expect("a gradient").to_vec())
        };
        for (class, &inner) in order.iter().enumerate() {
            assert_eq!(ask(&moved, class), ask(&network, inner));
        }
        assert_ne!(ask(&moved, 0), ask(&network, 0));
    }
}
