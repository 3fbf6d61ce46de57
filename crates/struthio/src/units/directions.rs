use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::spool::Spool;
use crate::error::Result;
use crate::numeric::orthogonal::{Rotation, about, haar, haar_rotation, symmetric_eigen};
use crate::numeric::random::{Stream, stream};

/// Where a direction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A coordinate axis: one unit.
    Units,
    /// From an orthonormal basis whose directions have the units' mean activations, uniformly distributed among
    /// all of those.
    Matched,
    /// From an orthonormal basis, uniformly distributed among all of them.
    Haar,
    /// A vector of independent normal numbers, the paper's.
    Gaussian,
    /// A uniformly distributed direction of the space where the activations have unit covariance.
    Whitened,
    /// A principal component.
    Principal,
}

impl Kind {
    /// The units, and all that they are compared with.
    pub const ALL: [Self; 6] =
        [Self::Units, Self::Matched, Self::Haar, Self::Gaussian, Self::Whitened, Self::Principal];
    /// All but the units.
    pub const OTHERS: &[Self] = Self::ALL.split_at(1).1;

    /// What the verdict is about. Of other bases half of the directions point away from the mean activation, where
    /// no unit does that is never negative.
    pub const REFERENCE: Self = Self::Matched;

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Matched => "random bases with the units' means",
            Self::Haar => "random orthonormal bases",
            Self::Gaussian => "random Gaussian directions",
            Self::Whitened => "random directions in whitened space",
            Self::Principal => "principal components",
        }
    }

    /// Whether sets of such directions can be drawn again and again.
    #[must_use]
    pub fn is_random(self) -> bool {
        matches!(self, Self::Matched | Self::Haar | Self::Gaussian | Self::Whitened)
    }
}

/// Eigenvalues below this share of the largest count as zero.
const RANK: f64 = 1e-7;

/// The space of some units of a layer, and the covariance of the activations in it.
pub(super) struct Space {
    /// Mean activations of the units.
    mean: Vec<f64>,
    eigenvalues: Vec<f64>,
    /// Rows.
    eigenvectors: Vec<f64>,
}

impl Space {
    /// From all activations, added image by image so that chunks have no say.
    pub fn of(spool: &mut Spool, chunk: usize) -> Result<Self> {
        let (n, rows) = (spool.width(), spool.rows() as f64);
        let mut mean = vec![0.0; n];
        spool.for_each(chunk, |_, values| {
            for row in values.chunks_exact(n) {
                mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x as f64 / rows);
            }
        })?;
        let mut covariance = vec![0.0; n * n];
        let mut centred = vec![0.0; n];
        spool.for_each(chunk, |_, values| {
            for row in values.chunks_exact(n) {
                centred.iter_mut().zip(row).zip(&mean).for_each(|((c, &x), mean)| *c = x as f64 - mean);
                for (i, sums) in covariance.chunks_exact_mut(n).enumerate() {
                    let share = centred[i] / rows;
                    sums[i..].iter_mut().zip(&centred[i..]).for_each(|(sum, &c)| *sum += share * c);
                }
            }
        })?;
        for i in 0..n * n {
            if i % n < i / n {
                covariance[i] = covariance[i % n * n + i / n];
            }
        }
        let (eigenvalues, eigenvectors) = symmetric_eigen(covariance, n);
        Ok(Self { mean, eigenvalues, eigenvectors })
    }

    /// Number of directions in a basis.
    pub fn dimensions(&self) -> usize {
        self.mean.len()
    }

    /// Set number `draw` of `kind`, as many directions as there are units, each a row of length one.
    pub fn directions(&self, kind: Kind, draw: u64, seed: u64, layer: &str) -> Vec<f32> {
        let n = self.dimensions();
        let mut draws = stream(seed, &format!("{} of {layer}", kind.words()), draw);
        self.normalised(&match kind {
            Kind::Units => (0..n * n).map(|i| f64::from(i / n == i % n)).collect::<Vec<_>>(),
            Kind::Matched => self.about_mean(haar, &mut draws),
            Kind::Haar => haar(n, &mut draws),
            Kind::Gaussian => (0..n * n).map(|_| StandardNormal.sample(&mut draws)).collect(),
            Kind::Whitened => self.whitened(&haar(n, &mut draws)),
            Kind::Principal => self.eigenvectors.chunks_exact(n).rev().flatten().copied().collect(),
        })
    }

    /// A rotation to a uniformly distributed basis with the units' means, which can be done in part.
    pub fn rotation(&self, draws: &mut Stream) -> Rotation {
        Rotation::of(&self.about_mean(haar_rotation, draws), self.dimensions())
    }

    /// A matrix of `kind` for the space orthogonal to the mean activation μ: ⟨row i, μ⟩ is that of unit i.
    fn about_mean(&self, kind: fn(usize, &mut Stream) -> Vec<f64>, draws: &mut Stream) -> Vec<f64> {
        let n = self.dimensions();
        if self.mean.iter().all(|&x| x == 0.0) {
            kind(n, draws)
        } else {
            about(&self.mean, &kind(n - 1, draws))
        }
    }

    /// Standard deviation over the images of what a row gives.
    pub fn deviation(&self, row: &[f32]) -> f64 {
        let n = self.dimensions();
        let share = |vector: &[f64]| -> f64 { row.iter().zip(vector).map(|(&x, v)| x as f64 * v).sum() };
        let components = self.eigenvectors.chunks_exact(n).zip(&self.eigenvalues);
        components.map(|(vector, &value)| value.max(0.0) * share(vector).powi(2)).sum::<f64>().sqrt()
    }

    /// The rows, each of length one.
    pub fn normalised(&self, rows: &[f64]) -> Vec<f32> {
        let length = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().sqrt();
        let rows = rows.chunks_exact(self.dimensions()).map(|row| (row, length(row)));
        rows.flat_map(|(row, length)| row.iter().map(move |x| (x / length) as f32)).collect()
    }

    /// Σ^(−1/2)·u for every row u: what has the values of u in whitened space. Where the activations do not
    /// vary at all they are left alone.
    fn whitened(&self, rows: &[f64]) -> Vec<f64> {
        let n = self.dimensions();
        let largest = self.eigenvalues.last().copied().unwrap_or(0.0);
        let mut whitened = vec![0.0; rows.len()];
        for (row, out) in rows.chunks_exact(n).zip(whitened.chunks_exact_mut(n)) {
            for (vector, &value) in self.eigenvectors.chunks_exact(n).zip(&self.eigenvalues) {
                if value > RANK * largest {
                    let share = row.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>() / value.sqrt();
                    out.iter_mut().zip(vector).for_each(|(o, &v)| *o += share * v);
                }
            }
        }
        whitened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space<const N: usize>(rows: &[[f32; N]]) -> Space {
        let mut spool = Spool::new(&std::env::temp_dir(), N).expect("a file");
        rows.iter().for_each(|row| spool.append(row).expect("written"));
        Space::of(&mut spool, 2).expect("read")
    }

    /// The two vary independently, with variances of 4 and 1.
    const ROWS: [[f32; 2]; 4] = [[-2.0, -1.0], [-2.0, 1.0], [2.0, -1.0], [2.0, 1.0]];

    #[test]
    fn directions_have_length_one() {
        let space = space(&ROWS);
        for kind in Kind::ALL {
            let rows = space.directions(kind, 0, 0, "layer");
            assert_eq!(rows.len(), 4);
            for row in rows.as_chunks::<2>().0 {
                assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6, "{kind:?} {row:?}");
            }
        }
        assert_eq!(space.directions(Kind::Units, 0, 0, ""), [1.0, 0.0, 0.0, 1.0]);
        let principal = space.directions(Kind::Principal, 0, 0, "");
        assert_eq!(principal.iter().map(|x| x.abs()).collect::<Vec<_>>(), [1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn deviations_are_those_of_the_values() {
        let deviation = space(&ROWS).deviation(&[0.6, 0.8]);
        assert!((deviation - 2.08_f64.sqrt()).abs() < 1e-6, "0.36 · 4 + 0.64 · 1: {deviation}");
    }

    /// The mean over the images of ⟨φ, v⟩ is that of the unit in whose place v is, also part of the way.
    #[test]
    fn matched_bases_have_the_means_of_the_units() {
        let space = space(&[[1.0, 0.0, 2.0], [0.0, 4.0, 1.0], [2.0, 0.0, 0.0], [5.0, 1.0, 1.0]]);
        let mean = [2.0, 1.25, 1.0_f32];
        let part = space.normalised(&space.rotation(&mut stream(0, "test", 0)).power(0.3));
        for rows in [space.directions(Kind::Matched, 3, 0, "layer"), part] {
            for (row, expected) in rows.as_chunks::<3>().0.iter().zip(mean) {
                let found: f32 = row.iter().zip(mean).map(|(v, m)| v * m).sum();
                assert!((found - expected).abs() < 1e-5, "{rows:?}");
            }
            assert!((rows[0] - 1.0).abs() > 1e-3, "turned: {rows:?}");
        }
    }

    /// In whitened space x counts half as much as z.
    #[test]
    fn whitening_divides_by_standard_deviations() {
        let whitened = space(&ROWS).whitened(&[0.6, 0.8]);
        assert!((whitened[0] - 0.3).abs() < 1e-12 && (whitened[1] - 0.8).abs() < 1e-12, "{whitened:?}");
    }
}
