use serde::{Deserialize, Serialize};

use super::evaluate::{Answers, Asking};
use super::noise::gaussian;
use super::perturbed::{Perturbed, difference};
use super::rate::Rate;
use super::scale::{distance, rescale};
use crate::data::Dataset;
use crate::error::Result;
use crate::numeric::statistics::mean;

/// How long a perturbation is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// As short as the attack could make it.
    Minimal,
    /// This root mean square over the pixels, inside the box, for every image.
    Rms(f64),
}

/// The sizes that perturbations really have, as root mean squares over the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Mean over the images.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Images whose box is too small for the size asked for.
    pub short: u64,
}

/// What was made for one network, shown to another in one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Images the network gets wrong: the paper's error.
    pub error: Rate,
    /// Of the images that it has right without the perturbation, those it gets wrong with it.
    pub fooled: Rate,
    /// Of those fooled, how many are taken for the class that the perturbation was made for.
    pub same_class: Rate,
    /// As `fooled`, under noise of the same size on the same images.
    pub noise: Rate,
}

/// What was made for one network, in one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizedRow {
    /// The size asked for.
    pub size: Size,
    /// The sizes reached.
    pub rms: Reached,
    /// One cell per column.
    pub cells: Vec<Cell>,
    /// `fooled` of all columns but the network's own together.
    pub others: Rate,
    /// `noise` of the same columns together.
    pub others_noise: Rate,
}

/// A row of a transfer matrix, in all its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The network that the perturbations were made for.
    pub made_for: String,
    /// Images with a perturbation.
    pub images: u64,
    /// The same row in several sizes.
    pub sizes: Vec<SizedRow>,
}

/// A network under noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseCell {
    /// Images the network gets wrong.
    pub error: Rate,
    /// Of the images that it has right without noise, those it gets wrong with it.
    pub fooled: Rate,
}

/// A row of Gaussian noise, clipped to the box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseRow {
    /// Standard deviation before clipping.
    pub sigma: f64,
    /// Images.
    pub images: u64,
    /// Times that each of them was drawn.
    pub draws: u64,
    /// The sizes after clipping.
    pub rms: Reached,
    /// One cell per column.
    pub cells: Vec<NoiseCell>,
}

/// The answers about one row: the image itself, then for every size the perturbation and as many
/// draws of noise of the same length.
pub(super) struct Sized<'a> {
    of: Perturbed<'a>,
    draws: usize,
    answers: Answers,
}

impl<'a> Sized<'a> {
    /// Asks about the first `images` of `of`, with the noise of `seed`.
    pub fn ask(
        asking: &Asking<'_>,
        of: Perturbed<'a>,
        images: usize,
        draws: usize,
        seed: u64,
        bounds: [f32; 2],
    ) -> Result<Self> {
        let pixels = of.data.image_len();
        let of = Perturbed { images: &of.images[..images.min(of.images.len())], ..of };
        let make = |i: usize, points: &mut [f32], rms: &mut [f64]| {
            let (image, points) = points.split_at_mut(pixels);
            let (mut adversarial, mut noise) = (vec![0.0; pixels], vec![vec![0.0; pixels]; draws]);
            of.load(i, image, &mut adversarial)?;
            let perturbation = difference(image, &adversarial);
            for (draw, noise) in noise.iter_mut().enumerate() {
                gaussian(seed, of.images[i].index, draw, noise);
            }
            let mut points = points.chunks_exact_mut(pixels).zip(&mut rms[1..]);
            for size in of.sizes {
                let mut length = 0.0;
                if let Some((point, rms)) = points.next() {
                    *rms = match *size {
                        Size::Rms(rms) => rescale(image, &perturbation, rms, bounds, point),
                        Size::Minimal => {
                            point.copy_from_slice(&adversarial);
                            distance(image, point)
                        }
                    };
                    length = *rms;
                }
                for (noise, (point, rms)) in noise.iter().zip(&mut points) {
                    *rms = rescale(image, noise, length, bounds, point);
                }
            }
            Ok(())
        };
        let variants = 1 + of.sizes.len() * (1 + draws);
        let answers = asking.ask(of.images.len(), variants, pixels, &make)?;
        Ok(Self { of, draws, answers })
    }

    fn variant(&self, size: usize) -> usize {
        1 + size * (1 + self.draws)
    }

    /// Whether `column` gets variant `v` of image `i` wrong.
    fn is_wrong(&self, column: usize, i: usize, v: usize) -> bool {
        self.answers.class(column, i, v) != Some(self.of.images[i].label)
    }

    /// The images that `column` has right as they are.
    fn right(&self, column: usize) -> impl Iterator<Item = usize> {
        (0..self.of.images.len()).filter(move |&i| !self.is_wrong(column, i, 0))
    }

    /// Of the images that `column` has right, those it gets wrong in the size of this number.
    pub fn fooled(&self, column: usize, size: usize) -> Rate {
        let fooled = self.right(column).filter(|&i| self.is_fooled(column, i, size));
        Rate::new(fooled.count() as u64, self.right(column).count() as u64)
    }

    /// As [`fooled`](Self::fooled), by noise of the same size.
    pub fn noise(&self, column: usize, size: usize) -> Rate {
        let groups: Vec<_> = self.right(column).map(|i| self.misled(column, i, size)).collect();
        Rate::of_groups(&groups)
    }

    /// The mean size of the perturbations that were to have the size of this number.
    pub fn mean_rms(&self, size: usize) -> Option<f64> {
        let v = self.variant(size);
        mean(&(0..self.of.images.len()).map(|i| self.answers.rms(i, v)).collect::<Vec<_>>())
    }

    fn is_fooled(&self, column: usize, i: usize, size: usize) -> bool {
        self.is_wrong(column, i, self.variant(size))
    }

    /// Draws of noise that make `column` wrong about image `i`, of all draws.
    fn misled(&self, column: usize, i: usize, size: usize) -> (u64, u64) {
        let first = self.variant(size) + 1;
        let wrong = (first..first + self.draws).filter(|&v| self.is_wrong(column, i, v));
        (wrong.count() as u64, self.draws as u64)
    }

    pub fn row(&self, columns: usize) -> Row {
        let images = self.of.images.len();
        let sizes = (0..self.of.sizes.len()).map(|size| self.sized_row(size, columns)).collect();
        Row { made_for: self.of.made_for.into(), images: images as u64, sizes }
    }

    fn sized_row(&self, size: usize, columns: usize) -> SizedRow {
        let v = self.variant(size);
        let asked = match self.of.sizes[size] {
            Size::Minimal => 0.0,
            Size::Rms(rms) => rms,
        };
        let others = |wrong: &dyn Fn(usize, usize) -> (u64, u64)| {
            let of_image = |i: usize| {
                let columns = (0..columns).filter(|&c| Some(c) != self.of.own);
                let right = columns.filter(|&c| !self.is_wrong(c, i, 0));
                right.map(|c| wrong(c, i)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
            };
            Rate::of_groups(&(0..self.of.images.len()).map(of_image).collect::<Vec<_>>())
        };
        SizedRow {
            size: self.of.sizes[size],
            rms: reached((0..self.of.images.len()).map(|i| self.answers.rms(i, v)), asked),
            cells: (0..columns).map(|column| self.cell(size, column)).collect(),
            others: others(&|column, i| (u64::from(self.is_fooled(column, i, size)), 1)),
            others_noise: others(&|column, i| self.misled(column, i, size)),
        }
    }

    fn cell(&self, size: usize, column: usize) -> Cell {
        let images = self.of.images.len();
        let wrong = (0..images).filter(|&i| self.is_fooled(column, i, size)).count();
        let fooled = self.fooled(column, size);
        let v = self.variant(size);
        let same = |&i: &usize| self.answers.class(column, i, v) == Some(self.of.images[i].taken_for);
        let same = self.right(column).filter(|&i| self.is_fooled(column, i, size)).filter(same).count();
        Cell {
            error: Rate::new(wrong as u64, images as u64),
            same_class: Rate::new(same as u64, fooled.count),
            fooled,
            noise: self.noise(column, size),
        }
    }
}

/// Of distances that were to be `asked`.
fn reached(distances: impl Iterator<Item = f64>, asked: f64) -> Reached {
    let distances: Vec<f64> = distances.collect();
    Reached {
        mean: mean(&distances).unwrap_or(0.0),
        min: distances.iter().copied().reduce(f64::min).unwrap_or(0.0),
        max: distances.iter().copied().reduce(f64::max).unwrap_or(0.0),
        short: distances.iter().filter(|&&rms| rms < asked * (1.0 - 1e-5)).count() as u64,
    }
}

/// Errors of all columns on the images of `data` with `indices`.
pub(super) fn unchanged(asking: &Asking<'_>, data: &Dataset, indices: &[usize]) -> Result<Vec<Rate>> {
    let make = |i: usize, image: &mut [f32], _: &mut [f64]| data.write_image_with_index(indices[i], image);
    let answers = asking.ask(indices.len(), 1, data.image_len(), &make)?;
    let wrong = |column, i: &usize| answers.class(column, *i, 0) != Some(data.label_with_index(indices[*i]));
    let rate = |column| {
        let wrong = (0..indices.len()).filter(|i| wrong(column, i)).count();
        Rate::new(wrong as u64, indices.len() as u64)
    };
    Ok((0..asking.columns.len()).map(rate).collect())
}

/// Asks about noise of standard deviation `sigma` on the images of `data` with `indices`.
pub(super) fn noise_row(
    asking: &Asking<'_>,
    data: &Dataset,
    indices: &[usize],
    sigma: f64,
    draws: usize,
    seed: u64,
    [lower, upper]: [f32; 2],
) -> Result<NoiseRow> {
    let pixels = data.image_len();
    let make = |i: usize, points: &mut [f32], rms: &mut [f64]| {
        let (image, points) = points.split_at_mut(pixels);
        data.write_image_with_index(indices[i], image)?;
        for (draw, (point, rms)) in points.chunks_exact_mut(pixels).zip(&mut rms[1..]).enumerate() {
            gaussian(seed, indices[i], draw, point);
            for (value, &x) in point.iter_mut().zip(&*image) {
                *value = ((x as f64 + sigma * *value as f64) as f32).clamp(lower, upper);
            }
            *rms = distance(image, point);
        }
        Ok(())
    };
    let answers = asking.ask(indices.len(), 1 + draws, pixels, &make)?;
    let label = |i: usize| Some(data.label_with_index(indices[i]));
    let cell = |column: usize| {
        let wrong = |i: usize| {
            let wrong = (1..=draws).filter(|&v| answers.class(column, i, v) != label(i));
            (wrong.count() as u64, draws as u64)
        };
        let all: Vec<_> = (0..indices.len()).map(wrong).collect();
        let right = (0..indices.len()).filter(|&i| answers.class(column, i, 0) == label(i));
        let right: Vec<_> = right.map(|i| all[i]).collect();
        NoiseCell { error: Rate::of_groups(&all), fooled: Rate::of_groups(&right) }
    };
    let distances =
        (0..indices.len()).flat_map(|i| (1..=draws).map(move |v| (i, v))).map(|(i, v)| answers.rms(i, v));
    Ok(NoiseRow {
        sigma,
        images: indices.len() as u64,
        draws: draws as u64,
        rms: reached(distances, 0.0),
        cells: (0..asking.columns.len()).map(cell).collect(),
    })
}
