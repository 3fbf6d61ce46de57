use std::collections::BTreeMap;

use super::gram::Gram;
use crate::network::ops::{Kernel, Window};

/// A group of a convolution as one with steps of one: of the neighbouring pixels in a step every one is a
/// channel of its own, which orders the aliased frequencies of the paper's A(ξ) differently, but has the
/// same singular values.
#[derive(Debug)]
pub(super) struct Symbol {
    /// For every offset in coarse pixels, the matrix of `rows` × `columns` weights.
    taps: BTreeMap<[i64; 2], Vec<f64>>,
    rows: usize,
    /// Columns with a weight that may differ from zero.
    columns: usize,
    /// Singular values per frequency, those that are zero because no weight is there included.
    pub rank: usize,
}

/// Σₜ Aₜ·e^(i⟨t,θ⟩) with matrices Aₜ of n × k.
#[derive(Debug)]
pub(super) struct Taps {
    pub n: usize,
    pub k: usize,
    pub matrices: Vec<([i64; 2], Vec<f64>)>,
}

impl Symbol {
    pub fn of(kernel: &Kernel<'_>, group: usize) -> Self {
        let [outputs, inputs, height, width] = kernel.weight.shape[..] else {
            return Self { taps: BTreeMap::new(), rows: 0, columns: 0, rank: 0 };
        };
        let rows = outputs / kernel.groups;
        let Window { stride, dilation, .. } = kernel.window;
        let split = |axis: usize, k: usize| {
            let at = k * dilation[axis];
            ((at / stride[axis]) as i64, at % stride[axis])
        };
        // Which of the finer pixels are read at all.
        let mut phases: Vec<[usize; 2]> =
            (0..height * width).map(|t| [split(0, t / width).1, split(1, t % width).1]).collect();
        phases.sort_unstable();
        phases.dedup();
        let columns = phases.len() * inputs;
        let mut taps: BTreeMap<[i64; 2], Vec<f64>> = BTreeMap::new();
        for tap in 0..height * width {
            let ((qy, py), (qx, px)) = (split(0, tap / width), split(1, tap % width));
            let phase = phases.iter().position(|&phase| phase == [py, px]).unwrap_or(0);
            let matrix = taps.entry([qy, qx]).or_insert_with(|| vec![0.0; rows * columns]);
            for o in 0..rows {
                for c in 0..inputs {
                    let at = ((group * rows + o) * inputs + c) * height * width + tap;
                    matrix[o * columns + phase * inputs + c] = f64::from(kernel.weight.values[at]);
                }
            }
        }
        Self { taps, rows, columns, rank: rows.min(inputs * stride[0] * stride[1]) }
    }

    /// A(θ)·A(θ)*, or A(θ)ᵀ times its conjugate if that is smaller.
    pub fn gram(&self) -> Gram {
        let Taps { n, k, matrices } = self.oriented();
        Gram::new([n, k], &matrices)
    }

    /// The taps of A, or of Aᵀ if that has fewer rows.
    pub fn oriented(&self) -> Taps {
        let n = self.rows.min(self.columns);
        let k = self.rows.max(self.columns);
        let oriented = |matrix: &Vec<f64>| {
            if self.rows <= self.columns {
                return matrix.clone();
            }
            (0..n * k).map(|i| matrix[i % k * self.columns + i / k]).collect()
        };
        Taps { n, k, matrices: self.taps.iter().map(|(&at, m)| (at, oriented(m))).collect() }
    }
}
