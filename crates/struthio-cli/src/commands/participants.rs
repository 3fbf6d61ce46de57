//! The models of `transfer`, brought together: the same images, each normalised and scaled as its model wants
//! them, and the same classes.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use struthio::data::ClassNames;
use struthio::network::Classifier;
use struthio::run::ModelRecord;

use crate::args::{self, Pixels, Size};
use crate::context::{Context, LoadedModel, ModelSource};

/// A model that takes the images of all, and whose classes are counted as the first one's are.
pub struct Participant {
    pub model: LoadedModel,
    /// What the results call it, unlike any other.
    pub name: String,
    pub folder: String,
    pub order: Vec<usize>,
    /// What is said of its pixels on the command line.
    pub pixels: Pixels,
    /// Whether it scales the images.
    pub scales: bool,
}

/// Loads all models and makes sure that they go together; says everything that does not, at once.
pub fn participants(
    context: &Context,
    args: &args::Transfer,
    names: &[ClassNames],
) -> Result<Vec<Participant>> {
    let given = args.models.len();
    args.pixels.check(given)?;
    if names.len() > 1 && names.len() != given {
        bail!("--classes is given {} times for {given} models; give it once, or once for each", names.len());
    }
    if args.output.len() > 1 && args.output.len() != given {
        bail!(
            "--output is given {} times for {given} models; give it once, or once for each",
            args.output.len()
        );
    }
    let called = told_apart(&args.models);
    let mut participants: Vec<Participant> = Vec::new();
    let mut problems = Vec::new();
    let mut images = Vec::new();
    for (i, path) in args.models.iter().enumerate() {
        let pixels = args.pixels.of(i);
        let output = args.output.get(i).or(args.output.first()).map(String::as_str);
        let mut model =
            context.load_model(&ModelSource { path, output, pixels: &pixels, data: Some(&args.data) })?;
        let (name, classes) = (called[i].clone(), model.network.classes());
        if args.pixels.differ() {
            say(context, &mut model, &name, &format!("its pixels are {}", pixels.words()));
        }
        if i == 0 {
            images = common(path, &model.network.input().shape, args.size)?;
        }
        let own = model.network.input().shape.clone();
        if !fitted(context, &mut model, &name, &images) {
            let (first, path) = (args.models[0].display(), path.display());
            problems.push(format!("{first} takes images of shape {images:?}, {path} of shape {own:?}"));
        }
        if let Some(first) = participants.first() {
            let expected = first.model.network.classes();
            if expected != classes {
                problems.push(format!(
                    "{} has {expected} classes, {} has {classes}",
                    args.models[0].display(),
                    path.display()
                ));
            }
        }
        let mut order: Vec<usize> = (0..classes).collect();
        if let (Some(own), Some(reference)) = (names.get(i).or(names.first()), names.first()) {
            model.check_names(own)?;
            match places(reference, own) {
                Ok(places) if problems.is_empty() => order = places,
                Ok(_) => {}
                Err(more) => problems.extend(more),
            }
        }
        let folder = format!("models/{}-{}", i + 1, model.stem());
        let scales = model.network.input().shape != own;
        participants.push(Participant { model, name, folder, order, pixels, scales });
    }
    if !problems.is_empty() {
        bail!(
            "these models cannot be compared; all must take grey images or all colour images, and have the same \
             classes:\n  - {}",
            problems.join("\n  - ")
        );
    }
    Ok(participants)
}

/// Adds a note about a model, and says it.
fn say(context: &Context, model: &mut LoadedModel, name: &str, note: &str) {
    context.printer.note(&format!("{name}: {note}"));
    model.notes.push(note.to_owned());
}

/// The shape of the images that all models are shown: that of the first one, `own`, in the `size` that was asked for.
fn common(path: &Path, own: &[usize], size: Option<Size>) -> Result<Vec<usize>> {
    let Some(Size { height, width }) = size else { return Ok(own.to_vec()) };
    Ok(match *own {
        [channels, _, _] => vec![channels, height, width],
        [_, _] => vec![height, width],
        [pixels] if pixels.isqrt().pow(2) == pixels => vec![1, height, width],
        _ => bail!(
            "--size needs models of images, but {} takes values of shape {own:?}; leave it out",
            path.display()
        ),
    })
}

/// Lets `model` take `images`, scaled to the size that it wants, and says so; or answers that they are of another kind.
fn fitted(context: &Context, model: &mut LoadedModel, name: &str, images: &[usize]) -> bool {
    let own = model.network.input().shape.clone();
    if same_images(images, &own) {
        return true;
    }
    let Ok(network) = model.network.clone().resized(name, images) else { return false };
    model.network = network;
    let note = format!(
        "images of {} are scaled to its {} by its first operation, which gradients go through (bilinear, antialiased \
         where they shrink)",
        side(images),
        side(&own)
    );
    say(context, model, name, &note);
    true
}

/// Height and width, in words.
fn side(shape: &[usize]) -> String {
    match *shape {
        [.., height, width] => format!("{height} × {width}"),
        _ => format!("{} pixels", shape.iter().product::<usize>()),
    }
}

impl Participant {
    pub fn record(&self) -> ModelRecord {
        let mut record = self.model.record();
        record.name.clone_from(&self.name);
        if !self.order.is_sorted() {
            record.class_order.clone_from(&self.order);
        }
        record
    }
}

/// File names, with as many folders before them as it takes to tell them apart; the same file is numbered.
fn told_apart(paths: &[PathBuf]) -> Vec<String> {
    let parts = |path: &PathBuf| -> Vec<String> {
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let parts: Vec<Vec<String>> = paths.iter().map(parts).collect();
    let end = |i: usize, length: usize| parts[i][parts[i].len().saturating_sub(length)..].join("/");
    let name = |i: usize| {
        let differs = |length: &usize| {
            (0..paths.len()).all(|j| parts[j] == parts[i] || end(j, *length) != end(i, *length))
        };
        let name = end(i, (1..=parts[i].len()).find(differs).unwrap_or(parts[i].len()));
        let before = (0..i).filter(|&j| parts[j] == parts[i]).count();
        if before == 0 { name } else { format!("{name} ({})", before + 1) }
    };
    (0..paths.len()).map(name).collect()
}

/// Whether images of both shapes are the same values in the same order: the shapes agree up to axes of
/// length one, or one is flat and the other grey.
fn same_images(a: &[usize], b: &[usize]) -> bool {
    let long = |shape: &[usize]| shape.iter().copied().filter(|&axis| axis != 1).collect::<Vec<_>>();
    let (a, b) = (long(a), long(b));
    let flat = a.len().min(b.len()) <= 1 && a.len().max(b.len()) <= 2;
    a == b || (flat && a.iter().product::<usize>() == b.iter().product::<usize>())
}

/// For each class of `reference` its number in `own`; else what they do not have in common.
fn places(reference: &ClassNames, own: &ClassNames) -> Result<Vec<usize>, Vec<String>> {
    let (mut places, mut problems) = (Vec::new(), Vec::new());
    for name in reference.names() {
        match reference.number(name).and_then(|_| own.number(name)) {
            Ok(place) => places.push(place),
            Err(problem) => problems.push(format!("class names: {problem}")),
        }
    }
    problems.dedup();
    if problems.is_empty() { Ok(places) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_one_name_are_told_apart_by_their_folders() {
        let names = |paths: &[&str]| told_apart(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["a/x.onnx", "b/y.onnx"]), ["x.onnx", "y.onnx"]);
        assert_eq!(
            names(&["n/a/0/m.onnx", "n/b/0/m.onnx", "z.onnx"]),
            ["a/0/m.onnx", "b/0/m.onnx", "z.onnx"]
        );
        assert_eq!(names(&["m.onnx", "a/m.onnx"]), ["m.onnx", "a/m.onnx"]);
        assert_eq!(names(&["a/m.onnx", "a/m.onnx"]), ["m.onnx", "m.onnx (2)"]);
    }

    #[test]
    fn images_of_two_shapes_may_be_the_same() {
        for (a, b, same) in [
            (&[784][..], &[1, 28, 28][..], true),
            (&[28, 28], &[1, 28, 28], true),
            (&[28, 28], &[14, 56], false),
            (&[3, 32, 32], &[32, 32, 3], false),
            (&[3072], &[3, 32, 32], false),
            (&[784], &[3, 32, 32], false),
        ] {
            assert_eq!(same_images(a, b), same, "{a:?} {b:?}");
            assert_eq!(same_images(b, a), same, "{b:?} {a:?}");
        }
    }

    #[test]
    fn classes_are_found_by_their_names() {
        let names = |text: &str| ClassNames::parse("names.txt", text).expect("valid");
        assert_eq!(places(&names("auk\nemu\nhen"), &names("hen\nauk\nemu")), Ok(vec![1, 2, 0]));
        let missing = places(&names("auk\nemu"), &names("auk\nhen")).expect_err("no emu");
        assert!(missing.len() == 1 && missing[0].contains("'emu'"), "{missing:?}");
        assert!(places(&names("auk\nauk"), &names("auk\nauk")).is_err());
    }
}
