//! The networks of Table 3, and attacks on images that Table 1 does not need.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use rand::RngExt;

use super::published::{PAPER_TABLE_3, PAPER_TABLE_4, PaperHalf};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Architecture, Network};
use crate::numeric::random::stream;
use crate::paper::reproduce::{Attacked, MadeFor, Run, folder_name};
use crate::run::{AttackSummary, Recorded};
use crate::training::{Recipe, count_errors, predictions};

/// How the training images are divided into P1 and P2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HalfSplit {
    /// The first half and the last.
    FirstLast,
    /// At random, from the seed.
    Random,
}

impl HalfSplit {
    /// P1 and P2 as positions in `data`, in ascending order.
    fn rows(self, data: &Dataset, seed: u64) -> [Vec<usize>; 2] {
        let mut rows: Vec<usize> = (0..data.len()).collect();
        if self == Self::Random {
            let mut draws = stream(seed, "halves", 0);
            for last in (1..rows.len()).rev() {
                rows.swap(last, draws.random_range(0..=last as u64) as usize);
            }
        }
        let mut second = rows.split_off(rows.len() / 2);
        rows.sort_unstable();
        second.sort_unstable();
        [rows, second]
    }
}

/// What training on one half gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HalfResult {
    /// The training seed.
    pub seed: u64,
    /// Share of P1 misclassified.
    pub p1_error: f64,
    /// Share of P2 misclassified.
    pub p2_error: f64,
    /// Share of the test images misclassified.
    pub test_error: f64,
    /// The attack on images of the half that it was trained on.
    pub attack: AttackSummary,
}

impl Attacked for HalfResult {
    fn attack(&self) -> &AttackSummary {
        &self.attack
    }
}

/// A row of our Table 3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HalfRow {
    /// The paper's name of the network.
    pub network: String,
    /// The half it was trained on, 1 or 2.
    pub half: usize,
    /// Ours.
    pub result: HalfResult,
    /// The paper's.
    pub paper: PaperHalf,
}

/// Architecture of each column of Table 4, and the half it is trained on.
const HALVES: [(&str, usize); 3] = [("fc100-100-10", 0), ("fc123-456-10", 0), ("fc100-100-10", 1)];

/// The networks of Table 3.
pub(super) struct Halves {
    pub table3: Vec<HalfRow>,
    pub made: Vec<MadeFor>,
    /// P1 and P2 as positions among the training images.
    pub rows: [Vec<usize>; 2],
}

/// Trains the networks of Table 3 and attacks each on the half it was trained on.
pub(super) fn halves(run: &mut Run<'_>) -> Result<Halves> {
    let (settings, all) = (run.settings, &run.data.train);
    let rows = settings.split.rows(all, settings.seed);
    let set = |half: usize| match settings.split {
        HalfSplit::FirstLast => all.range(rows[half][0]..rows[half][0] + rows[half].len()),
        HalfSplit::Random => {
            all.select(format!("{}, half {} of a random order", all.name(), half + 1), &rows[half])
        }
    };
    let sets = [set(0)?, set(1)?];
    let (mut table3, mut made) = (Vec::new(), Vec::new());
    for ((name, paper), (architecture, half)) in PAPER_TABLE_4.columns.iter().zip(PAPER_TABLE_3).zip(HALVES) {
        let architecture: Architecture = architecture.parse()?;
        // The networks of the two halves share neither images nor initial weights.
        let seed = settings.seed.wrapping_add(half as u64);
        let name_of_half = format!("{architecture} (P{})", half + 1);
        let folder = format!("halves/{}-p{}", folder_name(&architecture.to_string()), half + 1);
        let before = run.attacked_before::<HalfResult>(&name_of_half, &folder, all)?;
        let (result, recorded) = if let Some(before) = before {
            before
        } else {
            let recipe = Recipe::for_architecture(&architecture, seed);
            let network = run.trained(&name_of_half, &architecture, &sets[half], &recipe)?;
            half_attacked(run, &name_of_half, &folder, &network, seed, (&rows, half))?
        };
        made.push(MadeFor { name: (*name).into(), folder, rows: recorded.rows });
        table3.push(HalfRow { network: (*name).into(), half: half + 1, result, paper });
    }
    Ok(Halves { table3, made, rows })
}

fn half_attacked(
    run: &mut Run<'_>,
    name: &str,
    folder: &str,
    network: &Network,
    seed: u64,
    (rows, half): (&[Vec<usize>; 2], usize),
) -> Result<(HalfResult, Recorded)> {
    let start = Instant::now();
    let (train, test, threads) = (&run.data.train, &run.data.test, run.settings.threads);
    run.file(name, seed, folder, network)?;
    let classes = predictions(network, train, threads)?;
    let is_right = |i: &usize| classes[*i] == Some(train.label(*i));
    let error = |rows: &[usize]| rows.iter().filter(|i| !is_right(i)).count() as f64 / rows.len() as f64;
    let test_error = count_errors(network, test, threads)? as f64 / test.len() as f64;
    let right: Vec<usize> = rows[half].iter().copied().filter(is_right).take(run.settings.samples).collect();
    let recorded = run.attack(name, folder, network, train, &right)?;
    let attack = recorded.summary.clone();
    let result =
        HalfResult { seed, p1_error: error(&rows[0]), p2_error: error(&rows[1]), test_error, attack };
    run.directory.write_json(&format!("{folder}/summary.json"), &result)?;
    run.stages.push((format!("attack {name}"), start.elapsed().as_secs_f64()));
    Ok((result, recorded))
}

/// Attacks the network of `made` on the first test images that it has right.
pub(super) fn on_test_images(run: &mut Run<'_>, made: &MadeFor, network: &Network) -> Result<MadeFor> {
    let start = Instant::now();
    let (test, threads) = (&run.data.test, run.settings.threads);
    let (name, folder) = (format!("{}, test", made.name), format!("{}/test", made.folder));
    let before = run.attacked_before::<AttackSummary>(&name, &folder, test)?;
    let recorded = if let Some((_, recorded)) = before {
        recorded
    } else {
        let classes = predictions(network, test, threads)?;
        let right = (0..test.len()).filter(|&i| classes[i] == Some(test.label(i)));
        let right: Vec<usize> = right.take(run.settings.samples).collect();
        let recorded = run.attack(&name, &folder, network, test, &right)?;
        run.directory.write_json(&format!("{folder}/summary.json"), &recorded.summary)?;
        run.stages.push((format!("attack {name}"), start.elapsed().as_secs_f64()));
        recorded
    };
    Ok(MadeFor { name: made.name.clone(), folder, rows: recorded.rows })
}

/// The network that `made` was made for, from the run directory.
pub(super) fn network_of(run: &Run<'_>, made: &MadeFor) -> Result<Network> {
    run.saved(&made.folder).map_err(|error| match error {
        Error::Io { source, .. } => Error::io("read", &run.directory.path().join(&made.folder))(source),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    #[test]
    fn halves_share_no_image_and_miss_none() {
        let data = Dataset::new("some", vec![1], Pixels::Bytes(vec![0; 101]), vec![0; 101]).expect("valid");
        let first = HalfSplit::FirstLast.rows(&data, 0);
        assert_eq!(first, [(0..50).collect::<Vec<_>>(), (50..101).collect()]);
        let random = HalfSplit::Random.rows(&data, 0);
        assert_ne!(random, first);
        assert_ne!(random, HalfSplit::Random.rows(&data, 1));
        let mut all = random.concat();
        assert!(random.iter().all(|half| half.is_sorted()) && random[0].len() == 50);
        all.sort_unstable();
        assert_eq!(all, (0..101).collect::<Vec<_>>());
    }
}
