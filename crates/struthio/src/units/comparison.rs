use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::directions::Kind;
use crate::error::Result;
use crate::numeric::random::Stream;
use crate::numeric::statistics::{Interval, mean, quantile};

const RESAMPLES: usize = 1000;
const PERMUTATIONS: usize = 9999;
/// More other directions than this are taken as the whole population.
const MANY: usize = 1024;

/// The units of a layer against directions of another kind. All figures are of [`Measure`](super::Measure), of
/// which less is more coherent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the units stand against.
    pub against: Kind,
    /// Mean over the units.
    pub units: f64,
    /// Mean over the others.
    pub others: f64,
    /// `others − units`: positive where units are more coherent.
    pub difference: f64,
    /// 95 % bootstrap interval of it, from resampled directions; the images stay the same.
    pub difference_interval: Interval,
    /// Probability that a unit is more coherent than one of the others, equality counting half.
    pub superiority: f64,
    /// 95 % bootstrap interval of it.
    pub superiority_interval: Interval,
    /// Two-sided p-value of the units among directions: whether they might be such directions themselves.
    pub p: f64,
    /// Two-sided p-value of the difference among those with images exchanged for each other: whether images
    /// that have nothing to do with the activations might make it.
    pub p_shuffled: f64,
    /// The larger of the two, corrected for the number of layers (Holm 1979).
    pub p_holm: f64,
    /// Sets of directions drawn for the test; `None` where single directions were exchanged instead.
    pub draws: Option<usize>,
}

/// How coherent bases are that were turned away from the units by a part of a random rotation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    /// Part of the angles of a uniformly distributed rotation: 0 leaves the units, 1 is the whole rotation.
    pub alpha: f64,
    /// Mean of the measure over the directions of several such bases.
    pub mean: f64,
    /// 95 % bootstrap interval of it, from resampled directions.
    pub interval: Interval,
}

impl Comparison {
    /// Compares the scores of units with those of `others`, one list for each set that was drawn.
    ///
    /// For random kinds the sets are what is exchangeable: if the units were themselves a set drawn in that
    /// way, the mean over the units would be equally likely to take any rank among the means over the sets,
    /// whatever the data and however the directions of a set depend on each other. Principal components
    /// exist once; there single directions are exchanged, as if their scores were independent draws from one
    /// distribution, which is an approximation. [`p_shuffled`](Self::p_shuffled) is left at one.
    pub(super) fn of(against: Kind, units: &[f64], others: &[Vec<f64>], draws: &mut Stream) -> Option<Self> {
        let pool: Vec<f64> = others.concat();
        let (own, other) = (mean(units)?, mean(&pool)?);
        let (p, sets) = if against.is_random() {
            let means: Vec<f64> = others.iter().filter_map(|set| mean(set)).collect();
            (rank_test(own, &means), Some(others.len()))
        } else {
            (exchange_test(units, &pool, draws), None)
        };
        let (mut differences, mut superiorities) = (Vec::new(), Vec::new());
        let fixed = (pool.len() > MANY).then(|| Population::of(pool.clone()));
        for _ in 0..RESAMPLES {
            let units = resampled(units, draws);
            let drawn = if fixed.is_some() { None } else { Some(Population::of(resampled(&pool, draws))) };
            if let Some(population) = fixed.as_ref().or(drawn.as_ref()) {
                differences.push(population.mean - units.iter().sum::<f64>() / units.len() as f64);
                superiorities.push(population.superiority(&units));
            }
        }
        Some(Self {
            against,
            units: own,
            others: other,
            difference: other - own,
            difference_interval: middle(&differences)?,
            superiority: Population::of(pool).superiority(units),
            superiority_interval: middle(&superiorities)?,
            p,
            p_shuffled: 1.0,
            p_holm: 1.0,
            draws: sets,
        })
    }
}

/// Two-sided p-value of the difference between the means over `others` and over `units` (the top images of every
/// direction) among those for `shuffles` in which the images have changed places. `measured` says how alike
/// images are, given by their places among `images`, which are all that occur, in order.
///
/// Where labels have nothing to do with the activations, the difference is equally likely to take any rank,
/// whichever images the directions share: if they share many, the means of few independent sets are compared,
/// and chance makes large differences. The ranks among bases do not tell, as bases share images in another way.
pub(super) fn shuffle_test(
    images: &[usize],
    units: &[Vec<usize>],
    others: &[Vec<usize>],
    shuffles: usize,
    draw: impl Fn(u64) -> Stream + Sync,
    measured: impl Fn(&[usize]) -> Result<f64> + Sync,
) -> Result<f64> {
    let places = |sets: &[Vec<usize>]| -> Vec<Vec<usize>> {
        let place = |image: &usize| images.partition_point(|other| other < image);
        sets.iter().map(|set| set.iter().map(place).collect()).collect()
    };
    let (units, others) = (places(units), places(others));
    let difference = |order: &[usize]| {
        let total = |sets: &[Vec<usize>]| -> Result<f64> {
            let of = |set: &Vec<usize>| measured(&set.iter().map(|&place| order[place]).collect::<Vec<_>>());
            Ok(sets.iter().map(of).sum::<Result<f64>>()? / sets.len() as f64)
        };
        Ok(total(&others)? - total(&units)?)
    };
    let shuffled = (0..shuffles as u64).into_par_iter().map(|i| {
        let mut order: Vec<usize> = (0..images.len()).collect();
        order.shuffle(&mut draw(i));
        difference(&order)
    });
    let shuffled: Vec<f64> = shuffled.collect::<Result<_>>()?;
    Ok(rank_test(difference(&(0..images.len()).collect::<Vec<_>>())?, &shuffled))
}

impl Dose {
    pub(super) fn of(alpha: f64, scores: &[f64], draws: &mut Stream) -> Option<Self> {
        let means: Vec<f64> = (0..RESAMPLES).filter_map(|_| mean(&resampled(scores, draws))).collect();
        Some(Self { alpha, mean: mean(scores)?, interval: middle(&means)? })
    }
}

/// Scores in order, so that a score finds its place quickly.
struct Population {
    sorted: Vec<f64>,
    mean: f64,
}

impl Population {
    fn of(mut scores: Vec<f64>) -> Self {
        scores.sort_by(f64::total_cmp);
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        Self { sorted: scores, mean }
    }

    /// Mean share of this population that has more than a score of `units`.
    fn superiority(&self, units: &[f64]) -> f64 {
        let all = self.sorted.len();
        let share = |unit: &f64| {
            let less = self.sorted.partition_point(|score| score < unit);
            let up_to = self.sorted.partition_point(|score| score <= unit);
            (all - up_to) as f64 + 0.5 * (up_to - less) as f64
        };
        units.iter().map(share).sum::<f64>() / (units.len() * all).max(1) as f64
    }
}

/// Two-sided p-value of the rank of `own` among `means`, which are exchangeable with it.
fn rank_test(own: f64, means: &[f64]) -> f64 {
    let count = |is: fn(f64, f64) -> bool| means.iter().filter(|&&mean| is(mean, own)).count() + 1;
    let tail = count(|mean, own| mean <= own).min(count(|mean, own| mean >= own));
    (2.0 * tail as f64 / (means.len() + 1) as f64).min(1.0)
}

/// Two-sided p-value of the difference of the means, from exchanges of scores between the groups.
fn exchange_test(units: &[f64], others: &[f64], draws: &mut Stream) -> f64 {
    let mut all = [units, others].concat();
    let total: f64 = all.iter().sum();
    let difference = |group: &[f64]| {
        let sum: f64 = group.iter().sum();
        (sum / group.len() as f64 - (total - sum) / others.len() as f64).abs()
    };
    let found = difference(units);
    let mut as_far = 1;
    for _ in 0..PERMUTATIONS {
        let (group, _) = all.partial_shuffle(draws, units.len());
        as_far += usize::from(difference(group) >= found * (1.0 - 1e-12));
    }
    as_far as f64 / (PERMUTATIONS + 1) as f64
}

/// p-values corrected for their number, so that the chance of any false finding is what is asked for
/// (Holm 1979).
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut corrected = vec![1.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max(((p.len() - rank) as f64 * p[i]).min(1.0));
        corrected[i] = largest;
    }
    corrected
}

fn resampled(scores: &[f64], draws: &mut Stream) -> Vec<f64> {
    (0..scores.len()).map(|_| scores[draws.random_range(0..scores.len())]).collect()
}

fn middle(values: &[f64]) -> Option<Interval> {
    Some(Interval { low: quantile(values, 0.025)?, high: quantile(values, 0.975)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::stream;

    /// The example of Holm's procedure in R: `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn holm_agrees_with_r() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-15, "{corrected:?}");
        }
    }

    #[test]
    fn ranks_give_p_values() {
        let means: Vec<f64> = (1..=99).map(f64::from).collect();
        assert_eq!(rank_test(0.0, &means), 0.02);
        assert_eq!(rank_test(100.0, &means), 0.02);
        assert_eq!(rank_test(50.5, &means), 1.0);
        assert_eq!(rank_test(2.5, &means), 0.06);
        assert_eq!(rank_test(7.0, &[7.0; 19]), 1.0, "equal means say nothing");
    }

    /// Of the 20 ways to choose three of six, two are as far apart as these: p = 0.1.
    #[test]
    fn exchanges_give_the_exact_p_value() {
        let p = exchange_test(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], &mut stream(0, "test", 0));
        assert!((p - 0.1).abs() < 0.01, "{p}");
    }

    /// The unit has four images of label 0, the other four of label 1: one of 70 divisions, and the mirrored one.
    #[test]
    fn shuffles_give_the_exact_p_value() {
        let ones = |places: &[usize]| Ok(places.iter().filter(|&&place| place >= 4).count() as f64);
        let p = |units: &[&[usize]], others: &[&[usize]]| {
            let [units, others] =
                [units, others].map(|sets| sets.iter().map(|set| set.to_vec()).collect::<Vec<_>>());
            shuffle_test(
                &[10, 20, 30, 40, 50, 60, 70, 80],
                &units,
                &others,
                9999,
                |i| stream(0, "test", i),
                ones,
            )
            .expect("no image is read")
        };
        let (low, high) = (&[10, 20, 30, 40][..], &[80, 70, 60, 50][..]);
        let found = p(&[low], &[high]);
        assert!((found - 2.0 / 70.0).abs() < 0.006, "{found}");
        assert!((p(&[low, low, low], &[high, high]) - found).abs() < 1e-12, "as sets of images are repeated");
        assert_eq!(p(&[low], &[low]), 1.0);
    }

    #[test]
    fn effects_are_those_of_the_definition() {
        let (units, others) = ([0.0, 1.0, 2.0], vec![vec![1.0, 3.0]]);
        let found = Comparison::of(Kind::Haar, &units, &others, &mut stream(0, "test", 0)).expect("scores");
        // Pairs: 0 < 1, 0 < 3, 1 = 1, 1 < 3, 2 > 1, 2 < 3.
        assert!((found.superiority - 4.5 / 6.0).abs() < 1e-12);
        assert_eq!((found.units, found.others, found.difference), (1.0, 2.0, 1.0));
        let Interval { low, high } = found.difference_interval;
        assert!(low < 1.0 && 1.0 < high, "{found:?}");
    }
}
