//! Results for tests.

use struthio::data::{Dataset, mnist_test};
use struthio::numeric::statistics::{Interval, mean};
use struthio::paper::{
    Figure7, HalfSplit, Matrices, NetworkReport, PaperRow, Reproduction, SeedResult, Table1, Table1Row,
    TransferTables, UnitsStudy,
};
use struthio::run::{
    AttackSummary, DataRecord, Manifest, ModelRecord, Recorded, Spread, StatusCount, Triple,
};
use struthio::transfer::{Angles, Cell, NoiseCell, NoiseRow, Rate, Reached, Row, Size, SizedRow, Study};

const FOUND: [f64; 30] = {
    let mut rms = [0.02; 30];
    (rms[0], rms[29]) = (0.01, 0.05);
    rms
};

pub fn triple(label: usize, adversarial_label: usize) -> Triple {
    let original: Vec<f32> = (0..784).map(|i| (i % 28) as f32 / 27.0).collect();
    let adversarial = original.iter().map(|pixel| (pixel + 0.02).min(1.0)).collect();
    Triple { index: 7, shape: vec![784], original, adversarial, label, adversarial_label, rms: 0.0197 }
}

pub fn images() -> Dataset {
    mnist_test().and_then(|test| test.range(0..60)).expect("MNIST")
}

pub fn manifest() -> Manifest {
    let mut manifest = Manifest::new(vec!["struthio".into(), "reproduce".into()], 0);
    manifest.models.push(ModelRecord {
        name: "FC10(1), seed 0".into(),
        sha256: "0123456789abcdef".repeat(4),
        input: vec![784],
        classes: 10,
        class_order: Vec::new(),
    });
    manifest.data.push(DataRecord {
        name: "mnist:train".into(),
        sha256: "fedcba9876543210".repeat(4),
        examples: 60_000,
    });
    manifest
}

fn spread(values: &[f64]) -> Option<Spread> {
    Some(Spread {
        mean: mean(values)?,
        median: 0.02,
        median_interval: Interval { low: 0.019, high: 0.021 },
        min: values.iter().copied().reduce(f64::min)?,
        max: values.iter().copied().reduce(f64::max)?,
    })
}

fn found_all() -> AttackSummary {
    AttackSummary {
        examples: 30,
        attacked: 30,
        statuses: vec![StatusCount { status: "found".into(), count: 30 }],
        success_rate: Some(1.0),
        success_interval: Some(Interval { low: 0.88, high: 1.0 }),
        rms: spread(&FOUND),
        l2: spread(&FOUND),
        linf: spread(&FOUND),
        survive_rounding: 17,
        blind: 0,
        optimality_residual_median: Some(1e-7),
        gradients_mean: Some(14.2),
        forwards_mean: Some(20.0),
        curve: Vec::new(),
    }
}

fn found_none() -> AttackSummary {
    AttackSummary {
        examples: 12,
        attacked: 10,
        statuses: vec![
            StatusCount { status: "already_wrong".into(), count: 2 },
            StatusCount { status: "not_found".into(), count: 10 },
        ],
        success_rate: Some(0.0),
        success_interval: Some(Interval { low: 0.0, high: 0.28 }),
        rms: None,
        l2: None,
        linf: None,
        survive_rounding: 0,
        blind: 0,
        optimality_residual_median: None,
        gradients_mean: Some(40.0),
        forwards_mean: Some(60.0),
        curve: Vec::new(),
    }
}

pub fn recorded() -> Recorded {
    Recorded { summary: found_all(), rms: FOUND.to_vec(), gallery: vec![triple(3, 8)], rows: Vec::new() }
}

pub fn recorded_nothing() -> Recorded {
    Recorded { summary: found_none(), rms: Vec::new(), gallery: Vec::new(), rows: Vec::new() }
}

/// A row of a softmax classifier; the paper's distortion is made larger for larger λ.
pub fn row(network: &str, lambda: f64, distortion: f64) -> Table1Row {
    Table1Row {
        network: network.into(),
        lambdas: vec![lambda],
        train_error: 0.06,
        test_error: 0.07,
        test_error_spread: None,
        distortion: Some(distortion),
        distortion_spread: None,
        seeds: vec![SeedResult {
            seed: 0,
            train_mistakes: 3600,
            train_error: 0.06,
            test_mistakes: 700,
            test_error: 0.07,
            attack: found_all(),
        }],
        paper: Some(PaperRow { train_error: 6.7, test_error: 7.4, distortion: 0.1 + 0.1 * lambda }),
        remark: "weights are ours".into(),
    }
}

fn of(rows: Vec<Table1Row>, report: impl Fn(&str) -> NetworkReport) -> Reproduction {
    Reproduction {
        manifest: manifest(),
        units: UnitsStudy { schema_version: 1, top: 5, mnist: Vec::new(), alexnet: None },
        transfer: TransferTables {
            schema_version: 1,
            split: HalfSplit::FirstLast,
            claims: Vec::new(),
            table3: Vec::new(),
            table2: Matrices { train: study(&["FC10(1e-4)", "FC10(1)"]), test: study(&["FC10(1)"]) },
            table4: Matrices { train: study(&[]), test: study(&[]) },
        },
        figure7: Figure7::default(),
        networks: rows.iter().map(|row| report(&row.network)).collect(),
        table1: Table1 { schema_version: 1, samples: 30, table1: rows },
        stages: Vec::new(),
    }
}

pub fn reproduction() -> Reproduction {
    of(vec![row("FC10(1e-4)", 1e-4, 0.02), row("FC10(1)", 1.0, 0.06)], |name| NetworkReport {
        name: name.into(),
        rms: FOUND.to_vec(),
        gallery: vec![triple(3, 8), triple(4, 9)],
        filters: Vec::new(),
    })
}

pub fn nothing_found() -> Reproduction {
    let mut row = row("FC10(1)", 1.0, f64::NAN);
    row.distortion = None;
    row.seeds[0].attack = found_none();
    of(vec![row], |name| NetworkReport { name: name.into(), ..NetworkReport::default() })
}

/// A matrix in which what was made for column r fools column c in 10 (1 + 2 r + c) of 100 images.
pub fn study(columns: &[&str]) -> Study {
    let row = |r: usize| {
        let cell = |c: usize| {
            let fooled = Rate::new(10 * (1 + 2 * r + c) as u64, 100);
            Cell { error: fooled, fooled, same_class: Rate::new(1, 2), noise: Rate::new(3, 100) }
        };
        let sized = SizedRow {
            size: Size::Rms(0.06),
            rms: Reached { mean: 0.06, min: 0.06, max: 0.06, short: 0 },
            cells: (0..columns.len()).map(cell).collect(),
            others: Rate::new(5, 100),
            others_noise: Rate::new(0, 100),
        };
        Row { made_for: columns[r].into(), images: 100, sizes: vec![sized] }
    };
    let noise = NoiseCell { error: Rate::new(1, 100), fooled: Rate::new(1, 99) };
    let noise = NoiseRow {
        sigma: 0.1,
        images: 100,
        draws: 3,
        rms: Reached { mean: 0.07, min: 0.06, max: 0.08, short: 0 },
        cells: vec![noise; columns.len()],
    };
    Study {
        data: "mnist:train".into(),
        columns: columns.iter().map(ToString::to_string).collect(),
        rows: (0..columns.len()).map(row).collect(),
        unchanged: vec![Rate::new(1, 100); columns.len()],
        noise: vec![noise],
        curves: Vec::new(),
        angles: Angles::default(),
    }
}
