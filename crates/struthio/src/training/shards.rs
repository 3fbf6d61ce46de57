//! Loss and parameter gradients over many images, in shards whose size never depends on threads.

use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::Result;
use crate::network::{Graph, Loss, ParameterGradients, Plan, Wanted, argmax};

/// One shard's buffers and results.
pub(super) struct Shard {
    plan: Plan,
    seeds: Vec<f32>,
    pub gradients: ParameterGradients,
    /// Sum of the cross-entropies.
    pub loss: f64,
    /// Images misclassified.
    pub errors: usize,
}

impl Shard {
    pub fn new(graph: &Graph) -> Self {
        Self {
            plan: Plan::new(graph, Wanted::ParameterGradients),
            seeds: Vec::new(),
            gradients: ParameterGradients::zeros(graph),
            loss: 0.0,
            errors: 0,
        }
    }

    /// Replaces the results by those for the images `rows`; the gradient is that of the *sum* of
    /// cross-entropies times `scale`.
    fn evaluate(&mut self, graph: &Graph, data: &Dataset, rows: &[u32], scale: f32) -> Result<()> {
        let classes = graph.features(graph.output());
        data.write_images(rows.iter().map(|&row| row as usize), self.plan.inputs(rows.len()))?;
        let logits = self.plan.forward(graph);
        self.seeds.resize(rows.len() * classes, 0.0);
        (self.loss, self.errors) = (0.0, 0);
        let pairs = logits.chunks_exact(classes).zip(self.seeds.chunks_exact_mut(classes));
        for (&row, (logits, seed)) in rows.iter().zip(pairs) {
            let label = data.label(row as usize);
            self.loss += Loss::CrossEntropy(label).value_and_seed(logits, seed);
            self.errors += usize::from(argmax(logits) != Some(label));
            seed.iter_mut().for_each(|s| *s *= scale);
        }
        self.gradients.clear();
        self.plan.backward(graph, &self.seeds, Some(&mut self.gradients));
        Ok(())
    }
}

/// Evaluates `rows` in consecutive pieces of `shard_rows`, one for each of `shards`, in parallel.
pub(super) fn evaluate(
    shards: &mut [Shard],
    graph: &Graph,
    data: &Dataset,
    rows: &[u32],
    shard_rows: usize,
    scale: f32,
) -> Result<()> {
    shards
        .par_iter_mut()
        .zip(rows.par_chunks(shard_rows))
        .try_for_each(|(shard, rows)| shard.evaluate(graph, data, rows, scale))
}
