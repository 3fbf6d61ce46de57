use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::{Dataset, shrunken};
use crate::error::Result;
use crate::numeric::vector::squared_distance;

/// Classes of fewer images are no candidates for the best class of a direction.
pub const RARE: usize = 5;

/// By what the images of a direction are called alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Entropy of their labels, in bits.
    LabelEntropy,
    /// Mean distance between two of them, as root mean square over the pixels.
    PixelDistance,
}

impl Measure {
    /// What is measured, in words; less of it is more coherent.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LabelEntropy => "label entropy",
            Self::PixelDistance => "pixel distance",
        }
    }

    /// The unit of the figures, with a space before it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::LabelEntropy => " bits",
            Self::PixelDistance => " RMS",
        }
    }
}

/// How coherent a direction is. The first four are about the images that maximise it, the others about all
/// images (or an even sample of them) and blind to the scale and offset of the values ⟨φ(x), v⟩.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coherence {
    /// Entropy of the labels of the top images, in bits: 0 if all are alike.
    pub label_entropy: f64,
    /// Share of the commonest label among the top images.
    pub purity: f64,
    /// Mean distance between two of the top images, as root mean square over the pixels.
    pub pixel_distance: f64,
    /// The same between their activations in the last layer but one; `None` if there is none.
    pub feature_distance: Option<f64>,
    /// Area under the ROC curve of the class that the direction tells best from the rest; `None` with one class.
    pub best_auc: Option<f64>,
    /// That class.
    pub best_class: Option<usize>,
    /// Largest difference between the mean over a class and over the rest, in standard deviations.
    pub selectivity: Option<f64>,
    /// Excess kurtosis of the values: 0 for a normal distribution, large where few images matter (Field 1994).
    pub sparsity: Option<f64>,
}

/// Labels, and pixels in a size at which distances are cheap, of some images of a data set; functions are given
/// their places among those.
pub(super) struct Pictures<'a> {
    data: &'a Dataset,
    images: Vec<usize>,
    /// The distances of each image to those before it, row by row, where they are asked for often and there are not
    /// too many.
    distances: Vec<f32>,
}

impl<'a> Pictures<'a> {
    /// Longest side at which distances are measured.
    const SIDE: usize = 32;
    /// Most images all of whose distances are kept.
    const ALL_PAIRS: usize = 4096;

    /// The images of `data` with these numbers, of which `measure` will be asked for often.
    pub fn of(
        data: &'a Dataset,
        images: Vec<usize>,
        measure: Measure,
        pool: &rayon::ThreadPool,
    ) -> Result<Self> {
        let mut pictures = Self { data, images, distances: Vec::new() };
        if measure == Measure::PixelDistance && pictures.images.len() <= Self::ALL_PAIRS {
            pictures.distances = pictures.all_distances(pool)?;
        }
        Ok(pictures)
    }

    fn all_distances(&self, pool: &rayon::ThreadPool) -> Result<Vec<f32>> {
        let count = self.images.len();
        let pixels = (0..count).map(|i| self.pixels(i)).collect::<Result<Vec<_>>>()?;
        let row = |(i, row): (usize, &mut [f32])| {
            row.iter_mut().zip(&pixels).take(i).for_each(|(out, b)| *out = distance(&pixels[i], b) as f32);
        };
        let mut distances = vec![0.0; count * count];
        pool.install(|| distances.par_chunks_mut(count).enumerate().for_each(row));
        Ok(distances)
    }

    fn pixels(&self, i: usize) -> Result<Vec<f32>> {
        let image = self.data.image(self.images[i])?;
        Ok(shrunken(&image, self.data.shape(), Self::SIDE).map_or(image, |(pixels, _)| pixels))
    }

    fn label(&self, i: usize) -> usize {
        self.data.label(self.images[i])
    }

    /// How alike `images` are by `measure`.
    pub fn measured(&self, measure: Measure, images: &[usize]) -> Result<f64> {
        Ok(match measure {
            Measure::LabelEntropy => {
                let counts = self.label_counts(images);
                let share = |count: usize| count as f64 / images.len() as f64;
                counts.iter().map(|&count| -share(count) * share(count).log2()).sum::<f64>().max(0.0)
            }
            Measure::PixelDistance if !self.distances.is_empty() => {
                let place = |a: usize, b: usize| a.max(b) * self.images.len() + a.min(b);
                mean_of_pairs(images, |&a, &b| self.distances[place(a, b)] as f64)
            }
            Measure::PixelDistance => {
                let pixels = images.iter().map(|&i| self.pixels(i)).collect::<Result<Vec<_>>>()?;
                mean_distance(&pixels)
            }
        })
    }

    /// How often the labels of `images` occur, in the order of the labels.
    fn label_counts(&self, images: &[usize]) -> Vec<usize> {
        let mut labels: Vec<usize> = images.iter().map(|&i| self.label(i)).collect();
        labels.sort_unstable();
        labels.chunk_by(|a, b| a == b).map(<[usize]>::len).collect()
    }

    /// Everything about a direction with these top images, what the last layer but one gives for them, and these
    /// `values` for every `every`-th image, of which `order` has the order.
    pub fn coherence(
        &self,
        top: &[usize],
        features: Option<&[&[f32]]>,
        values: &[f32],
        order: &[f32],
        every: usize,
    ) -> Result<Coherence> {
        let labels: Vec<usize> = (0..values.len()).map(|i| self.label(i * every)).collect();
        let commonest = self.label_counts(top).into_iter().max().unwrap_or(0);
        let best = best_class(order, &labels);
        let moments = moments(values);
        Ok(Coherence {
            label_entropy: self.measured(Measure::LabelEntropy, top)?,
            purity: commonest as f64 / top.len().max(1) as f64,
            pixel_distance: self.measured(Measure::PixelDistance, top)?,
            feature_distance: features.map(mean_distance),
            best_auc: best.map(|best| best.0),
            best_class: best.map(|best| best.1),
            selectivity: moments.and_then(|(mean, deviation, _)| {
                let means = class_sums(values, &labels);
                let (n, total) = (values.len() as f64, mean * values.len() as f64);
                let apart = means.iter().filter(|(_, count, _)| eligible(*count, labels.len()));
                apart
                    .map(|&(_, count, sum)| {
                        let rest = (total - sum) / (n - count as f64);
                        (sum / count as f64 - rest) / deviation
                    })
                    .reduce(f64::max)
            }),
            sparsity: moments.map(|(_, _, kurtosis)| kurtosis),
        })
    }
}

/// Mean over all pairs of vectors of the root mean square of their difference.
fn mean_distance<V: AsRef<[f32]>>(vectors: &[V]) -> f64 {
    // Rounded as distances are that are kept.
    mean_of_pairs(vectors, |a, b| (distance(a.as_ref(), b.as_ref()) as f32) as f64)
}

fn mean_of_pairs<T>(all: &[T], of: impl Fn(&T, &T) -> f64) -> f64 {
    let pairs = all.iter().enumerate().flat_map(|(i, a)| all[..i].iter().map(move |b| (a, b)));
    let (sum, count) = pairs.fold((0.0, 0_u32), |(sum, count), (a, b)| (sum + of(a, b), count + 1));
    sum / f64::from(count.max(1))
}

/// Root mean square of the difference.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    (squared_distance(a, b) / a.len().max(1) as f64).sqrt()
}

fn eligible(count: usize, all: usize) -> bool {
    count >= RARE && count < all
}

/// Label, number of images and sum of the values, by label.
fn class_sums(values: &[f32], labels: &[usize]) -> Vec<(usize, usize, f64)> {
    let mut sums: BTreeMap<usize, (usize, f64)> = BTreeMap::new();
    for (&label, &value) in labels.iter().zip(values) {
        let (count, sum) = sums.entry(label).or_default();
        *count += 1;
        *sum += value as f64;
    }
    sums.into_iter().map(|(label, (count, sum))| (label, count, sum)).collect()
}

/// Mean, standard deviation and excess kurtosis; `None` where nothing varies.
fn moments(values: &[f32]) -> Option<(f64, f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| v as f64).sum::<f64>() / n;
    let central = |power: i32| values.iter().map(|&v| (v as f64 - mean).powi(power)).sum::<f64>() / n;
    let variance = central(2);
    (variance > 0.0).then(|| (mean, variance.sqrt(), central(4) / (variance * variance) - 3.0))
}

/// The largest area under the ROC curve of a class against the rest, and the first class that has it. Equal
/// values share their mean rank.
fn best_class(values: &[f32], labels: &[usize]) -> Option<(f64, usize)> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0_f32; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f32 + 0.5 * (equal.len() as f32 + 1.0);
        equal.iter().for_each(|&i| ranks[i] = rank);
        before += equal.len();
    }
    let all = values.len();
    let mut best: Option<(f64, usize)> = None;
    for (class, count, ranks) in class_sums(&ranks, labels) {
        if eligible(count, all) {
            let own = (count * (count + 1)) as f64 / 2.0;
            let area = (ranks - own) / (count as f64 * (all - count) as f64);
            if best.is_none_or(|(best, _)| area > best) {
                best = Some((area, class));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    fn data(labels: &[u32]) -> Dataset {
        let pixels = labels.iter().flat_map(|&label| [label as f32 / 10.0, 0.5]).collect();
        Dataset::new("test", vec![2], Pixels::Floats(pixels), labels.to_vec()).expect("a data set")
    }

    #[test]
    fn entropy_purity_and_distance_of_known_sets() {
        let data = data(&[0, 0, 1, 1, 2, 2, 2, 2]);
        let pool = crate::thread_pool(2).expect("threads");
        let asked_for = |measure, images: &[usize]| {
            Pictures::of(&data, images.to_vec(), measure, &pool).expect("in memory")
        };
        let every: Vec<usize> = (0..8).collect();
        let pictures = asked_for(Measure::LabelEntropy, &every);
        let measured = |measure, images: &[usize]| pictures.measured(measure, images).expect("in memory");
        assert_eq!(measured(Measure::LabelEntropy, &[4, 5, 6]), 0.0);
        assert_eq!(measured(Measure::LabelEntropy, &[0, 1, 2, 3]), 1.0);
        assert_eq!(measured(Measure::LabelEntropy, &[0, 2, 4, 5]), 1.5);
        // The pairs are 0, 0.1 and 0.1 apart in one of two pixels.
        let expected = 2.0 / 3.0 * 0.1 / 2.0_f64.sqrt();
        assert!((measured(Measure::PixelDistance, &[0, 1, 2]) - expected).abs() < 1e-7);
        let distances = |pictures: &Pictures<'_>| {
            [[3, 1, 2], [7, 5, 0]]
                .map(|of| pictures.measured(Measure::PixelDistance, &of).expect("in memory"))
        };
        let kept = asked_for(Measure::PixelDistance, &every);
        assert_eq!(distances(&pictures), distances(&kept), "the same whether kept or not");
        for measure in [Measure::LabelEntropy, Measure::PixelDistance] {
            let some = asked_for(Measure::PixelDistance, &[0, 3, 5, 7]);
            assert_eq!(some.measured(measure, &[1, 3, 0]).expect("in memory"), measured(measure, &[3, 7, 0]));
        }
        let coherence = pictures.coherence(
            &[0, 1, 2],
            Some(&[&[0.0], &[1.0], &[3.0]]),
            &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            1,
        );
        let coherence = coherence.expect("in memory");
        assert!((coherence.purity - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(coherence.feature_distance, Some(2.0), "1, 2 and 3 apart");
        assert_eq!(coherence.best_auc, None, "no class has five images");
    }

    #[test]
    fn areas_equal_the_share_of_pairs_in_order() {
        let values: Vec<f32> = (0..60).map(|i: u32| ((i * 37 + 11) % 23) as f32).collect();
        let labels: Vec<usize> = (0..60).map(|i| (i * i + i / 7) % 3).collect();
        let area = |class: usize| {
            let (mut sum, mut pairs) = (0.0, 0.0);
            for (i, j) in (0..60).flat_map(|i| (0..60).map(move |j| (i, j))) {
                if labels[i] == class && labels[j] != class {
                    pairs += 1.0;
                    sum += if values[i] > values[j] { 1.0 } else { 0.5 * f64::from(values[i] == values[j]) };
                }
            }
            sum / pairs
        };
        let (found, class) = best_class(&values, &labels).expect("classes");
        assert!((found - (0..3).map(area).fold(0.0, f64::max)).abs() < 1e-6);
        assert!((found - area(class)).abs() < 1e-6);
    }

    #[test]
    fn large_images_are_averaged_over_blocks() {
        let pixels: Vec<f32> = (0..64 * 64).map(|i| f32::from(i % 2 == 0)).collect();
        let data =
            Dataset::new("test", vec![1, 64, 64], Pixels::Floats(pixels), vec![0]).expect("a data set");
        let pool = crate::thread_pool(1).expect("a thread");
        let pictures = Pictures::of(&data, vec![0], Measure::LabelEntropy, &pool).expect("in memory");
        assert_eq!(pictures.pixels(0).expect("in memory"), vec![0.5; 32 * 32]);
    }

    #[test]
    fn kurtosis_of_two_equal_points_is_minus_two() {
        assert_eq!(moments(&[1.0, -1.0, 1.0, -1.0]), Some((0.0, 1.0, -2.0)));
        assert_eq!(moments(&[3.0, 3.0]), None);
    }
}
