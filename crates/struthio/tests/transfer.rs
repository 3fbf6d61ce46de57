//! Transfer between networks whose answers are known in closed form.

use std::sync::atomic::AtomicBool;

use struthio::Result;
use struthio::data::{Dataset, Pixels};
use struthio::network::{Classifier, InputSpec, Session};
use struthio::transfer::{
    AdversarialSource, Column, NoiseOn, Perturbed, PerturbedImage, Rate, Size, Study, StudyOf, curve_sizes,
    study,
};

/// Says 1 where ⟨w, x⟩ > threshold, and 0 elsewhere.
struct Threshold {
    input: InputSpec,
    weights: [f32; 4],
    above: f32,
}

fn threshold(weights: [f32; 4], threshold: f32) -> Threshold {
    Threshold { input: InputSpec::unit_box(vec![4]), weights, above: threshold }
}

impl Classifier for Threshold {
    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn classes(&self) -> usize {
        2
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(Answering { of: self, inputs: Vec::new(), logits: Vec::new() })
    }
}

struct Answering<'a> {
    of: &'a Threshold,
    inputs: Vec<f32>,
    logits: Vec<f32>,
}

impl Session for Answering<'_> {
    fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.inputs.resize(4 * rows, 0.0);
        &mut self.inputs
    }

    fn forward(&mut self) -> Result<&[f32]> {
        let answer = |x: &[f32]| {
            let sum: f32 = x.iter().zip(&self.of.weights).map(|(x, w)| x * w).sum();
            [0.0, sum - self.of.above]
        };
        self.logits = self.inputs.chunks_exact(4).flat_map(answer).collect();
        Ok(&self.logits)
    }

    fn backward(&mut self, _seeds: &[f32]) -> Result<&[f32]> {
        unreachable!("transfer asks for no gradient")
    }
}

const FIRST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];
const LAST: [f32; 4] = [0.0, 0.0, 0.0, 1.0];

/// `count` images (0.3, 0.3, 0.3, 0.3), the first `wrong` of which are said to be of class 1.
fn images(count: usize, wrong: usize) -> Dataset {
    let labels = (0..count).map(|i| u32::from(i < wrong)).collect();
    Dataset::new("grey", vec![4], Pixels::Floats(vec![0.3; 4 * count]), labels).expect("valid")
}

/// A row: adversarial images that differ from the image by `perturbation`.
struct Made {
    name: &'static str,
    own: usize,
    perturbation: [f32; 4],
}

impl AdversarialSource for Made {
    fn write(&self, _: usize, out: &mut [f32]) -> Result<()> {
        out.iter_mut().zip(self.perturbation).for_each(|(out, r)| *out = 0.3 + r);
        Ok(())
    }
}

fn studied(
    columns: &[(&str, &Threshold)],
    made: &[Made],
    data: &Dataset,
    sizes: &[Size],
    threads: usize,
) -> Study {
    let columns: Vec<Column<'_>> =
        columns.iter().map(|&(name, classifier)| Column { name, classifier }).collect();
    let all: Vec<PerturbedImage> = (0..data.len())
        .map(|index| PerturbedImage { index, label: data.label(index), taken_for: 1 - data.label(index) })
        .collect();
    let rows: Vec<Perturbed<'_>> = made
        .iter()
        .map(|made| {
            let Made { name: made_for, own, .. } = *made;
            Perturbed { made_for, own: Some(own), data, images: &all, sizes, adversarial: made }
        })
        .collect();
    let indices: Vec<usize> = (0..data.len()).collect();
    study(&StudyOf {
        data: data.name(),
        columns: &columns,
        rows: &rows,
        noise: NoiseOn { data, indices: &indices, sigmas: &[0.2] },
        draws: 3,
        curves: Some(0.3),
        seed: 5,
        threads,
        batch: 64,
        cancelled: &AtomicBool::new(false),
        progress: &|_, _| {},
    })
    .expect("the networks fit")
}

fn shares(study: &Study, size: usize, of: fn(&struthio::transfer::Cell) -> &Rate) -> Vec<Vec<f64>> {
    let row = |row: &struthio::transfer::Row| {
        row.sizes[size].cells.iter().map(|cell| of(cell).rate.expect("images")).collect()
    };
    study.rows.iter().map(row).collect()
}

/// What is just enough for the later threshold is enough for the earlier one, and not the reverse.
#[test]
fn rows_are_who_it_was_made_for_and_columns_who_is_asked() {
    let (early, late) = (threshold(FIRST, 0.41), threshold(FIRST, 0.51));
    let made = [
        Made { name: "early", own: 0, perturbation: [0.111, 0.0, 0.0, 0.0] },
        Made { name: "late", own: 1, perturbation: [0.211, 0.0, 0.0, 0.0] },
    ];
    // RMS 0.15 over four pixels is 0.3 in the only one that moves: enough for both.
    let sizes = [Size::Minimal, Size::Rms(0.15)];
    let study = studied(&[("early", &early), ("late", &late)], &made, &images(50, 0), &sizes, 2);
    assert_eq!(study.columns, ["early", "late"]);
    assert_eq!(study.rows.iter().map(|row| row.made_for.as_str()).collect::<Vec<_>>(), ["early", "late"]);
    assert_eq!(shares(&study, 0, |cell| &cell.error), [[1.0, 0.0], [1.0, 1.0]]);
    assert_eq!(shares(&study, 1, |cell| &cell.error), [[1.0, 1.0], [1.0, 1.0]]);
    let minimal = &study.rows[0].sizes[0];
    assert!((minimal.rms.mean - 0.0555).abs() < 1e-6 && minimal.rms.short == 0);
    assert_eq!((minimal.others.count, minimal.others.of), (0, 50));
    assert_eq!(study.rows[1].sizes[0].others.count, 50);
    // RMS over four pixels is half of what the only one that moves gets.
    let reaches = |threshold: f64| {
        let of = |rms: f64| Some(f64::from(u8::from(0.3 + 2.0 * rms > threshold)));
        curve_sizes(0.3).into_iter().map(of).collect::<Vec<_>>()
    };
    let curve = &study.curves[0];
    assert_eq!(curve.columns[0].fooled, reaches(0.41));
    assert_eq!(curve.columns[1].fooled, reaches(0.51));
}

#[test]
fn identical_networks_are_fooled_alike_and_unrelated_ones_not_at_all() {
    let (one, twin, unrelated) = (threshold(FIRST, 0.5), threshold(FIRST, 0.5), threshold(LAST, 0.5));
    let made = [
        Made { name: "one", own: 0, perturbation: [0.21, 0.0, 0.0, 0.0] },
        Made { name: "unrelated", own: 2, perturbation: [0.0, 0.0, 0.0, 0.21] },
    ];
    let columns = [("one", &one), ("twin", &twin), ("unrelated", &unrelated)];
    let sizes = [Size::Minimal, Size::Rms(0.2), Size::Rms(0.9)];
    let study = studied(&columns, &made, &images(80, 0), &sizes, 1);
    for size in 0..3 {
        assert_eq!(shares(&study, size, |cell| &cell.fooled), [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    }
    let cell = &study.rows[0].sizes[0].cells[1];
    assert_eq!((cell.same_class.count, cell.same_class.of), (80, 80));
    // One pixel can go from 0.3 to 1: no more than RMS 0.35.
    let short = &study.rows[0].sizes[2].rms;
    assert!((short.mean - 0.35).abs() < 1e-6 && short.short == 80);
    let [pair] = &study.angles.pairs[..] else { panic!("one pair") };
    assert!((pair.degrees - 90.0).abs() < 1e-3 && pair.cosine.abs() < 1e-6 && pair.images == 80);
}

#[test]
fn errors_from_before_count_as_errors_and_not_as_fooled() {
    let (one, blind) = (threshold(FIRST, 0.5), threshold(FIRST, 0.2));
    let made = [Made { name: "one", own: 0, perturbation: [0.21, 0.0, 0.0, 0.0] }];
    // `blind` says 1 to everything: it has the 10 images of class 1 right, and the 30 others wrong.
    let study = studied(&[("one", &one), ("blind", &blind)], &made, &images(40, 10), &[Size::Minimal], 3);
    let cells = &study.rows[0].sizes[0].cells;
    let counts = |rate: &Rate| (rate.count, rate.of);
    assert_eq!((counts(&cells[0].error), counts(&cells[0].fooled)), ((30, 40), (30, 30)));
    assert_eq!((counts(&cells[1].error), counts(&cells[1].fooled)), ((30, 40), (0, 10)));
    assert_eq!(cells[1].same_class.rate, None);
    // `one` says 0 to all: the 10 of class 1 are wrong.
    assert_eq!(study.unchanged.iter().map(counts).collect::<Vec<_>>(), [(10, 40), (30, 40)]);
    let noise = &study.noise[0].cells[1];
    assert_eq!((noise.error.of, noise.fooled.of), (120, 30));
}

/// P(0.3 + σg > 0.5) with σ = 0.2 is P(g > 1) = 0.158655.
#[test]
fn noise_errs_as_often_as_the_normal_distribution_says() {
    let (count, expected) = (4000, 0.158_655_253_931_457);
    let one = threshold(FIRST, 0.5);
    let study = studied(&[("one", &one)], &[], &images(count, 0), &[], 2);
    let row = &study.noise[0];
    let found = row.cells[0].error.rate.expect("images");
    let deviation = (expected * (1.0 - expected) / (3 * count) as f64).sqrt();
    assert!((found - expected).abs() < 4.0 * deviation, "{found}");
    let interval = row.cells[0].error.interval.expect("images");
    assert!(interval.low < expected && expected < interval.high);
    // Clipping at 0, one and a half deviations below, shortens 0.2 a little.
    assert!(row.rms.mean > 0.15 && row.rms.mean < 0.2, "{:?}", row.rms);
}

#[test]
fn threads_change_nothing() {
    let (one, other) = (threshold(FIRST, 0.45), threshold([0.3, 0.2, 0.5, 0.0], 0.4));
    let made = [Made { name: "one", own: 0, perturbation: [0.16, 0.0, 0.05, -0.1] }];
    let sizes = [Size::Minimal, Size::Rms(0.1)];
    let run =
        |threads| studied(&[("one", &one), ("other", &other)], &made, &images(333, 40), &sizes, threads);
    let alone = run(1);
    assert_eq!(run(2), alone);
    assert_eq!(run(7), alone);
    assert!(alone.rows[0].sizes[1].cells[0].noise.count > 0);
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let one = threshold(FIRST, 0.5);
    let colour = Threshold { input: InputSpec::unit_box(vec![3, 4]), weights: FIRST, above: 0.5 };
    let columns: [Column<'_>; 2] =
        [Column { name: "one", classifier: &one }, Column { name: "colour", classifier: &colour }];
    let data = images(3, 0);
    let refused = study(&StudyOf {
        data: "grey",
        columns: &columns,
        rows: &[],
        noise: NoiseOn { data: &data, indices: &[0], sigmas: &[0.1] },
        draws: 1,
        curves: None,
        seed: 0,
        threads: 1,
        batch: 64,
        cancelled: &AtomicBool::new(false),
        progress: &|_, _| {},
    });
    let message = refused.expect_err("they do not fit").to_string();
    assert!(
        message.contains("colour takes images of 12 values") && message.contains("one takes 4"),
        "{message}"
    );
}
