use super::*;
use crate::data::Pixels;
use crate::network::{InputSpec, Session, argmax};

type Formula = fn(&[f32]) -> Vec<f32>;

/// A classifier given by a formula.
struct Given {
    input: InputSpec,
    classes: usize,
    formula: Formula,
}

struct GivenSession<'a> {
    of: &'a Given,
    inputs: Vec<f32>,
    logits: Vec<f32>,
}

impl Classifier for Given {
    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn classes(&self) -> usize {
        self.classes
    }

    /// Outputs within a thousandth of each other are equal.
    fn sure_class_of(&self, logits: &[f32], _: Option<usize>) -> Option<usize> {
        let class = argmax(logits)?;
        let is_behind = |other: usize| logits[class] - logits[other] > 1e-3;
        (0..logits.len()).all(|other| other == class || is_behind(other)).then_some(class)
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(GivenSession { of: self, inputs: Vec::new(), logits: Vec::new() })
    }
}

impl Session for GivenSession<'_> {
    fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.inputs.resize(rows * self.of.input.len(), 0.0);
        &mut self.inputs
    }

    fn forward(&mut self) -> Result<&[f32]> {
        self.logits = self.inputs.chunks_exact(self.of.input.len()).flat_map(self.of.formula).collect();
        Ok(&self.logits)
    }

    fn backward(&mut self, _: &[f32]) -> Result<&[f32]> {
        unreachable!("a first look needs no gradients")
    }
}

/// Forty images of this shape, image i with four brightnesses of its first pixel in turn, as its class is.
fn data(shape: &[usize], label: fn(usize) -> u32) -> Dataset {
    let size: usize = shape.iter().product();
    let image = |i: usize| (0..size).map(move |pixel| if pixel == 0 { 60 + 40 * (i % 4) as u8 } else { 120 });
    let pixels = Pixels::Bytes((0..40).flat_map(image).collect());
    Dataset::new("forty", shape.to_vec(), pixels, (0..40).map(label).collect()).expect("valid")
}

fn one_hot(class: usize) -> Vec<f32> {
    (0..5).map(|j| if j == class { 7.0 } else { -1.0 }).collect()
}

/// The class of the images of [`data`]; 4 where the first pixel is none of theirs.
fn class_of(pixel: f32) -> usize {
    let step = (255.0 * pixel - 60.0) / 40.0;
    if (step - step.round()).abs() < 0.01 && (-0.5..3.5).contains(&step) { step.round() as usize } else { 4 }
}

fn remarks(shape: &[usize], formula: Formula, label: fn(usize) -> u32) -> String {
    let classes = formula(&vec![0.0; shape.iter().product()]).len();
    let classifier = Given { input: InputSpec::unit_box(shape.to_vec()), classes, formula };
    let data = data(shape, label);
    let look = FirstLook {
        classifier: &classifier,
        data: &data,
        normalization: None,
        most: 32,
        few: 16,
        threads: 2,
    };
    look.remarks().expect("evaluated").join("\n")
}

fn right(i: usize) -> u32 {
    (i % 4) as u32
}

#[test]
fn nothing_is_said_where_nothing_is_wrong() {
    assert_eq!(remarks(&[1, 1, 2], |x| one_hot(class_of(x[0])), right), "");
}

#[test]
fn the_remedy_is_named() {
    let grey = &[1, 1, 2][..];
    let cases: [(&[usize], Formula, &str); 6] = [
        (grey, |x| one_hot(class_of(0.3081 * x[0] + 0.1307)), "with --normalize mnist, 16 of 16 images"),
        (grey, |x| one_hot(class_of(x[0] / 255.0)), "with --mean 0 --std 0.00392157"),
        (grey, |x| one_hot(class_of(1.0 - x[0])), "with inverted pixels (--invert), 16"),
        (&[3, 1, 2], |x| one_hot(class_of(x[4])), "with channels in the order blue, green, red"),
        (&[3, 1, 2], |x| one_hot(class_of(0.229 * x[0] + 0.485)), "with --normalize imagenet, 16"),
        (
            &[1, 2, 3],
            |x| one_hot(class_of(0.225 * x[2] + 0.406)),
            "with --normalize imagenet and channels in the order blue, green, red",
        ),
    ];
    for (shape, formula, expected) in cases {
        let found = remarks(shape, formula, right);
        assert!(found.contains(expected), "{expected}: {found}");
        assert!(found.contains(" of 32 images looked at are classified wrongly as they are; "), "{found}");
    }
}

/// The label of the i-th image.
type Label = fn(usize) -> u32;

#[test]
fn labels_in_another_order_are_told_from_bad_pixels() {
    let formula: Formula = |x| one_hot(class_of(x[0]));
    let cases: [(Label, &str); 3] = [
        (|i| (i % 4) as u32 + 1, "32 get the class before their label: the labels seem to be counted from 1"),
        (|i| [2, 0, 3, 1][i % 4], "most images of a label get the same class"),
        (|i| (i as u32 * 7 / 3) % 5, "are the classes (--classes) and the normalisation"),
    ];
    for (label, expected) in cases {
        let found = remarks(&[1, 1, 2], formula, label);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn scores_of_which_less_is_better_are_told() {
    let found = remarks(&[1, 1, 2], |x| one_hot(class_of(x[0])).iter().map(|z| 1.0 - z).collect(), right);
    assert!(found.contains("for 32 the output of the label is the smallest"), "{found}");
}

#[test]
fn outputs_that_saturate_are_told() {
    let saturated: Formula =
        |x| one_hot(class_of(x[0])).into_iter().map(|z| f32::tanh(9.0 * z + 30.0)).collect();
    let found = remarks(&[1, 1, 2], saturated, right);
    assert!(found.contains("for 32 the largest outputs are equal but for rounding"), "{found}");
}

#[test]
fn a_constant_network_is_one() {
    let found = remarks(&[1, 1, 2], |_| one_hot(4), right);
    assert!(
        found.contains("32 of 32 images looked at are") && found.contains("all get the class 4"),
        "{found}"
    );
}

#[test]
fn outputs_that_are_no_logits_are_said() {
    let probabilities: Formula = |x| {
        let sum = one_hot(class_of(x[0])).iter().map(|z| z.exp()).sum::<f32>();
        one_hot(class_of(x[0])).iter().map(|z| z.exp() / sum).collect()
    };
    let found = remarks(&[1, 1, 2], probabilities, right);
    assert!(found.contains("seem to be probabilities") && !found.contains("wrongly"), "{found}");
    let broken: Formula = |x| if class_of(x[0]) == 1 { vec![f32::NAN; 5] } else { one_hot(class_of(x[0])) };
    let found = remarks(&[1, 1, 2], broken, right);
    assert_eq!(found, "the network answers with infinite values or NaN for 8 of 32 unchanged images");
}

#[test]
fn samples_are_spread() {
    assert_eq!(spread(5, 9), [0, 1, 2, 3, 4]);
    assert_eq!(spread(100, 4), [0, 25, 50, 75]);
}
