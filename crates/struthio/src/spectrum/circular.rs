use rayon::prelude::*;

use super::peak;
use super::symbol::Symbol;
use crate::network::ops::Kernel;
use crate::numeric::hermitian::Hermitian;

/// Up to this size all eigenvalues of a matrix cost no more than looking for the largest.
const SMALL: usize = 16;

/// All singular values of a layer, from the largest to the smallest.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// The values.
    pub values: Vec<f64>,
}

impl Spectrum {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        Self { values }
    }

    /// Largest over smallest; infinite for a layer that forgets something.
    #[must_use]
    pub fn condition(&self) -> f64 {
        match (self.values.first(), self.values.last()) {
            (Some(largest), Some(smallest)) => largest / smallest,
            _ => 1.0,
        }
    }

    /// e^H for the entropy H of the squares divided by their sum (Roy and Vetterli 2007): as many equal
    /// values would have the same entropy.
    #[must_use]
    pub fn effective_rank(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|v| v * v).sum();
        let shares = self.values.iter().map(|v| v * v / sum).filter(|&p| p > 0.0);
        shares.map(|p| -p * p.ln()).sum::<f64>().exp()
    }

    /// How many values lie in each of `bins` intervals of equal length from 0 to the largest.
    #[must_use]
    pub fn histogram(&self, bins: usize) -> Vec<usize> {
        let largest = self.values.first().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let mut counts = vec![0; bins];
        for value in &self.values {
            counts[((value / largest * bins as f64) as usize).min(bins - 1)] += 1;
        }
        counts
    }
}

/// The size on which a convolution with these steps can wrap around: the next multiple.
pub(super) fn wrapped_size(size: [usize; 2], stride: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| size[axis].div_ceil(stride[axis]) * stride[axis])
}

/// Frequencies of a grid of `m` points, one of each conjugate pair, with how often each stands for one.
pub(super) fn frequencies(m: [usize; 2], constant: bool) -> Vec<([f64; 2], usize)> {
    if constant {
        return vec![([0.0; 2], m[0] * m[1])];
    }
    let angle = |k: usize, m: usize| std::f64::consts::TAU * k as f64 / m as f64;
    let all = (0..m[0]).flat_map(|y| (0..m[1]).map(move |x| [y, x]));
    all.filter_map(|at| {
        let mirrored = [(m[0] - at[0]) % m[0], (m[1] - at[1]) % m[1]];
        let count = match at.cmp(&mirrored) {
            std::cmp::Ordering::Less => 2,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => return None,
        };
        Some(([angle(at[0], m[0]), angle(at[1], m[1])], count))
    })
    .collect()
}

/// Calls `at` for G at one of each pair of frequencies of the coarse grid, with how often it counts.
fn each_frequency<R: Send>(
    symbol: &Symbol,
    m: [usize; 2],
    at: impl Fn(&mut Hermitian, usize) -> R + Sync,
) -> Vec<R> {
    let gram = symbol.gram();
    frequencies(m, gram.is_constant())
        .par_iter()
        .map_init(
            || Hermitian::new(gram.n),
            |matrix, &(theta, count)| {
                gram.at(theta, matrix);
                at(matrix, count)
            },
        )
        .collect()
}

/// All singular values of the convolution on images of `size` that wrap around, those that are zero
/// because the layer has fewer outputs than inputs left out.
pub(super) fn spectrum(kernel: &Kernel<'_>, size: [usize; 2]) -> Spectrum {
    let wrapped = wrapped_size(size, kernel.window.stride);
    let m = [0, 1].map(|axis| wrapped[axis] / kernel.window.stride[axis]);
    let groups = (0..kernel.groups).into_par_iter().map(|group| {
        let symbol = Symbol::of(kernel, group);
        let found = each_frequency(&symbol, m, |matrix, count| {
            let values: Vec<f64> = matrix.eigenvalues().iter().map(|v| v.max(0.0).sqrt()).collect();
            values.repeat(count)
        });
        let mut values = found.concat();
        values.resize(symbol.rank * m[0] * m[1], 0.0);
        values
    });
    Spectrum::of(groups.collect::<Vec<_>>().concat())
}

/// The largest of these singular values.
pub(super) fn norm(kernel: &Kernel<'_>, size: [usize; 2]) -> f64 {
    let wrapped = wrapped_size(size, kernel.window.stride);
    let m = [0, 1].map(|axis| wrapped[axis] / kernel.window.stride[axis]);
    let groups = (0..kernel.groups).into_par_iter().map(|group| {
        let symbol = Symbol::of(kernel, group);
        let taps = symbol.oriented();
        if taps.n > SMALL && taps.matrices.len() > 1 {
            return peak::largest(&taps, m);
        }
        let squares = each_frequency(&symbol, m, |matrix, _| matrix.largest());
        squares.into_iter().fold(0.0, f64::max).sqrt()
    });
    groups.reduce(|| 0.0, f64::max)
}
