use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::claims::{Claim, claims};
use super::figure7::{Figure7, figure7};
use super::networks::{HalfRow, HalfSplit, halves, network_of, on_test_images};
use super::published::{PAPER_TABLE_2, PAPER_TABLE_4, PaperMatrix};
use crate::data::Dataset;
use crate::error::Result;
use crate::network::{Classifier, Network};
use crate::paper::reproduce::{Event, MadeFor, Run};
use crate::paper::table1::{NetworkReport, Table1};
use crate::run::SCHEMA_VERSION;
use crate::transfer::{Column, NoiseOn, Perturbed, RecordedPerturbations, Size, Study, StudyOf, study};

/// The size to which perturbations are amplified, RMS.
pub(super) const AMPLIFIED: f64 = 0.1;
/// Standard deviations of noise in Table 2, and of Figure 7.
const NOISE_2: &[f64] = &[0.1, 0.3, 1.0];
/// Standard deviations of noise in Table 4.
const NOISE_4: &[f64] = &[0.06, 0.1];
/// Size to which curves are followed.
const CURVES_TO: f64 = 0.3;
/// Times that noise is drawn for each image.
const DRAWS: usize = 3;
/// Images evaluated at a time per thread.
const BATCH: usize = 256;

/// The same matrix twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrices {
    /// From training images, as in the paper.
    pub train: Study,
    /// From test images.
    pub test: Study,
}

/// Tables 2 to 4, and what the paper claims about them: `transfer.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferTables {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How the training images are divided for Tables 3 and 4.
    pub split: HalfSplit,
    /// The paper's claims.
    pub claims: Vec<Claim>,
    /// Table 3.
    pub table3: Vec<HalfRow>,
    /// Table 2.
    pub table2: Matrices,
    /// Table 4.
    pub table4: Matrices,
}

/// Fills Tables 2 to 4 and judges the paper's claims.
pub(in crate::paper) fn transfer(
    run: &mut Run<'_>,
    table1: &Table1,
    reports: &[NetworkReport],
) -> Result<(TransferTables, Figure7)> {
    let data = run.data;
    let rows_2: Vec<usize> = (0..run.settings.samples.min(data.train.len())).collect();
    let made = std::mem::take(&mut run.made);
    let made: Vec<MadeFor> =
        made.into_iter().filter(|made| PAPER_TABLE_2.columns.contains(&made.name.as_str())).collect();
    let (table2, networks) = matrices(run, "Table 2", &PAPER_TABLE_2, &made, NOISE_2, &rows_2)?;
    let figure7 = figure7(run.settings.seed, reports, &made, &networks)?;

    let halves = halves(run)?;
    // Noise on both halves alike: one half is new to each network.
    let rows_4: Vec<usize> = halves.rows[0].iter().zip(&halves.rows[1]).flat_map(|(&a, &b)| [a, b]).collect();
    let rows_4 = &rows_4[..run.settings.samples.min(rows_4.len())];
    let (table4, _) = matrices(run, "Table 4", &PAPER_TABLE_4, &halves.made, NOISE_4, rows_4)?;

    let tables = TransferTables {
        schema_version: SCHEMA_VERSION,
        split: run.settings.split,
        claims: claims(table1, &table2.train, &table4.train),
        table3: halves.table3,
        table2,
        table4,
    };
    run.directory.write_json("transfer.json", &tables)?;
    Ok((tables, figure7))
}

/// A matrix of the paper from training and from test images, with its networks.
fn matrices(
    run: &mut Run<'_>,
    table: &str,
    paper: &PaperMatrix,
    made: &[MadeFor],
    sigmas: &[f64],
    rows: &[usize],
) -> Result<(Matrices, Vec<Network>)> {
    let networks = made.iter().map(|made| network_of(run, made)).collect::<Result<Vec<_>>>()?;
    let pairs = made.iter().zip(&networks);
    let on_test =
        pairs.map(|(made, network)| on_test_images(run, made, network)).collect::<Result<Vec<_>>>()?;
    let data = run.data;
    let start = Instant::now();
    let on = |data| NoiseOn { data, indices: rows, sigmas };
    let train = matrix(run, table, paper, made, &networks, on(&data.train))?;
    let first: Vec<usize> = (0..run.settings.samples.min(data.test.len())).collect();
    let on_first = NoiseOn { data: &data.test, indices: &first, sigmas };
    let test = matrix(run, table, paper, &on_test, &networks, on_first)?;
    run.stages.push((format!("transfer {table}"), start.elapsed().as_secs_f64()));
    Ok((Matrices { train, test }, networks))
}

fn matrix(
    run: &mut Run<'_>,
    table: &str,
    paper: &PaperMatrix,
    made: &[MadeFor],
    networks: &[Network],
    noise: NoiseOn<'_>,
) -> Result<Study> {
    let data: &Dataset = noise.data;
    let recorded = |made: &MadeFor| {
        let folder = run.directory.path().join(&made.folder);
        RecordedPerturbations::open(&folder, &made.rows, data.shape())
    };
    let recorded = made.iter().map(recorded).collect::<Result<Vec<_>>>()?;
    let sizes: Vec<Vec<Size>> = made
        .iter()
        .map(|made| {
            let papers = paper.distortion(&made.name).map(Size::Rms);
            let amplified = Size::Rms(AMPLIFIED);
            let papers = papers.filter(|&papers| papers != amplified);
            [Size::Minimal].into_iter().chain(papers).chain([amplified]).collect()
        })
        .collect();
    let columns: Vec<Column<'_>> = made
        .iter()
        .zip(networks)
        .map(|(made, network)| Column { name: &made.name, classifier: network as &dyn Classifier })
        .collect();
    let row = |own: usize| Perturbed {
        made_for: columns[own].name,
        own: Some(own),
        data,
        images: &recorded[own].images,
        sizes: &sizes[own],
        adversarial: &recorded[own],
    };
    let rows: Vec<Perturbed<'_>> = (0..made.len()).map(row).collect();
    let observe = Mutex::new(&mut *run.observe);
    let progress = |done: usize, total: usize| {
        let mut observe = observe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (observe)(Event::Transferring { table, done, total });
    };
    study(&StudyOf {
        data: data.name(),
        columns: &columns,
        rows: &rows,
        noise,
        draws: DRAWS,
        curves: Some(CURVES_TO),
        seed: run.settings.seed,
        threads: run.settings.threads,
        batch: BATCH,
        cancelled: run.cancelled,
        progress: &progress,
    })
}
