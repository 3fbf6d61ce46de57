//! Anderson acceleration of a fixed-point iteration.
//!
//! Walker & Ni, *Anderson acceleration for fixed-point iterations* (SIAM J. Numer. Anal. 49, 2011):
//! among the affine combinations of the last iterates, go where the residual would be smallest if
//! the map were linear.

use std::collections::VecDeque;

use super::cholesky::{gram_matrix, solve_positive_definite};
use super::vector;

/// Remembers how iterates and residuals changed over the last few steps.
#[derive(Debug)]
pub(crate) struct Anderson {
    memory: usize,
    last: Option<(Vec<f32>, Vec<f32>)>,
    /// Changes of the iterate plus the residual, and of the residual.
    changes: VecDeque<(Vec<f32>, Vec<f32>)>,
}

impl Anderson {
    pub fn new(memory: usize) -> Self {
        Self { memory, last: None, changes: VecDeque::with_capacity(memory) }
    }

    /// Forgets everything.
    pub fn restart(&mut self) {
        self.last = None;
        self.changes.clear();
    }

    /// The next iterate after `point`, whose image under the map is `image`.
    pub fn next(&mut self, point: &[f32], image: &[f32]) -> Vec<f32> {
        let residual = vector::difference(image, point);
        if let Some((last_image, last_residual)) = &self.last {
            if self.changes.len() == self.memory {
                self.changes.pop_front();
            }
            self.changes.push_back((
                vector::difference(image, last_image),
                vector::difference(&residual, last_residual),
            ));
        }
        let mut next = image.to_vec();
        for ((image_change, _), weight) in self.changes.iter().zip(self.weights(&residual)) {
            vector::add_scaled(&mut next, -weight, image_change);
        }
        self.last = Some((image.to_vec(), residual));
        next
    }

    /// Least squares: the combination of residual changes closest to `residual`.
    fn weights(&self, residual: &[f32]) -> Vec<f64> {
        let changes: Vec<&[f32]> = self.changes.iter().map(|(_, change)| change.as_slice()).collect();
        let mut matrix = gram_matrix(&changes);
        // f32 vectors carry seven digits: a direction known to fewer is noise.
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] *= 1.0 + 1e-7;
        }
        let right: Vec<f64> = changes.iter().map(|change| vector::dot(change, residual)).collect();
        solve_positive_definite(matrix, right).unwrap_or_else(|| vec![0.0; changes.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear map with slow modes (0.95, −0.9, …): plain iteration needs hundreds of steps, the
    /// accelerated one about as many as there are distinct modes.
    #[test]
    fn accelerates_a_linear_map() {
        let factors = [0.95_f32, -0.9, 0.5, 0.2];
        let offsets = [1.0_f32, 2.0, -1.0, 0.5];
        let map = |x: &[f32]| -> Vec<f32> { (0..4).map(|i| factors[i] * x[i] + offsets[i]).collect() };
        let mut anderson = Anderson::new(5);
        let mut x = vec![0.0; 4];
        for _ in 0..10 {
            let image = map(&x);
            x = anderson.next(&x, &image);
        }
        for i in 0..4 {
            let fixed = offsets[i] / (1.0 - factors[i]);
            assert!((x[i] - fixed).abs() < 1e-3 * fixed.abs().max(1.0), "{i}: {} {fixed}", x[i]);
        }
    }
}
