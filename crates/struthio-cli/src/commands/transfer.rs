use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use struthio::attack::{Lanes, Lbfgs, Target};
use struthio::data::{ClassNames, Dataset, Split, Wanted};
use struthio::network::{Classifier, Reordered};
use struthio::run::{
    AttackSummary, DataRecord, Manifest, Opened, Recorded, Recorder, Recording, RunDirectory, SCHEMA_VERSION,
};
use struthio::transfer::{Column, NoiseOn, Perturbed, RecordedPerturbations, Size, Study, StudyOf, study};
use struthio_report::TransferPage;

use super::matrices;
use super::searches::Searches;
use crate::args;
use crate::context::{Context, LoadedModel, ModelSource, classes_words, read_summary};
use crate::printer::LateBar;

/// `summary.json`.
#[derive(Serialize, Deserialize)]
struct Summary {
    schema_version: u32,
    models: Vec<ModelSummary>,
    transfer: Study,
    notes: Vec<String>,
}

/// The attack on one model.
/// Above this error on unchanged images, something is probably wrong with how a model is used.
const MOSTLY_WRONG: f64 = 0.5;

#[derive(Serialize, Deserialize)]
struct ModelSummary {
    model: String,
    attack: AttackSummary,
}

/// A model whose classes are counted as the first one's are.
struct Participant {
    model: LoadedModel,
    /// What the results call it, unlike any other.
    name: String,
    folder: String,
    order: Vec<usize>,
}

pub fn run(context: &Context, args: &args::Transfer) -> Result<()> {
    check_numbers(args)?;
    let names = args.classes.iter().map(|path| ClassNames::read(path)).collect::<Result<Vec<_>, _>>()?;
    let participants = participants(context, args, &names)?;
    let (first, names) = (&participants[0], names.first());
    let network = &first.model.network;
    let wanted =
        Wanted { model: &first.model.name, shape: &network.input().shape, classes: Some(network.classes()) };
    let data = context.load_data(&args.data.parse()?, Split::Test, Some(wanted), names)?;
    let mut manifest = Manifest::new(command(context, args, &participants, &data), context.seed);
    manifest.class_names = first.model.class_names(&data);
    manifest.models = participants.iter().map(Participant::record).collect();
    manifest.data.push(DataRecord::of(&data));
    let stem = format!("transfer-{}", first.model.stem());
    let directory = match context.open_run(args.out.as_deref(), &stem, manifest, args.resume.wanted())? {
        Opened::Complete(path) => return print(context, &path, &read_summary::<Summary>(&path)?),
        Opened::Unfinished(directory) => directory,
    };
    let classifiers: Vec<Reordered<'_>> =
        participants.iter().map(|of| Reordered::new(&of.model.network, &of.order)).collect();
    let mut recorded = Vec::new();
    for (of, classifier) in participants.iter().zip(&classifiers) {
        recorded.push(attacked(context, args, &directory, of, classifier, &data)?);
    }
    let transfer = shown(context, args, &directory, &participants, &classifiers, &data, &recorded)?;

    let models = participants.iter().zip(&recorded);
    let models = models
        .map(|(of, recorded)| ModelSummary { model: of.name.clone(), attack: recorded.summary.clone() });
    let mut notes = notes(&participants, &data);
    for remark in remarks(&participants, &recorded, &transfer) {
        context.printer.note(&remark);
        notes.push(remark);
    }
    let summary = Summary { schema_version: SCHEMA_VERSION, models: models.collect(), notes, transfer };
    let page =
        TransferPage { manifest: directory.manifest(), study: &summary.transfer, notes: &summary.notes };
    let report = struthio_report::transfer_page(&page);
    let path = context.finish_run(directory, &report, &summary, Vec::new())?;
    print(context, &path, &summary)?;
    context.done(&path);
    Ok(())
}

fn print(context: &Context, path: &Path, summary: &Summary) -> Result<()> {
    let mut result = json!(summary);
    result["directory"] = json!(path);
    context.printer.result(&result, || {
        let study = &summary.transfer;
        format!(
            "Errors (%) of the models in the columns on what was made for those in the rows, from {};\n\
             sizes are RMS over the pixels; the report has the images fooled, beside noise of the same size\n\n{}",
            study.data,
            matrices::matrix(study, None)
        )
    })
}

fn check_numbers(args: &args::Transfer) -> Result<()> {
    const MOST: usize = 20;
    for (name, values, largest) in [("rms", &args.rms, 1.0), ("noise", &args.noise, 10.0)] {
        if values.len() > MOST {
            bail!("--{name} has {} values; at most {MOST} are possible", values.len());
        }
        if let Some(bad) = values.iter().find(|&&value| !(value > 0.0 && value <= largest)) {
            bail!("--{name} must be above 0 and at most {largest}, found {bad}");
        }
        if let Some((i, twice)) = values.iter().enumerate().find(|(i, value)| values[..*i].contains(value)) {
            bail!("--{name} has {twice} twice, the second time at place {}", i + 1);
        }
    }
    Ok(())
}

/// Loads all models and makes sure that they go together; says everything that does not, at once.
fn participants(context: &Context, args: &args::Transfer, names: &[ClassNames]) -> Result<Vec<Participant>> {
    let given = args.models.len();
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
    for (i, path) in args.models.iter().enumerate() {
        let output = args.output.get(i).or(args.output.first()).map(String::as_str);
        let data = Some(args.data.as_str());
        let model = context.load_model(&ModelSource { path, output, pixels: &args.pixels, data })?;
        let classes = model.network.classes();
        let path = path.display();
        if let Some(first) = participants.first() {
            let network = &first.model.network;
            let (ours, theirs) = (&network.input().shape, &model.network.input().shape);
            let first = args.models[0].display();
            if !same_images(ours, theirs) {
                problems.push(format!("{first} takes images of shape {ours:?}, {path} of shape {theirs:?}"));
            }
            if network.classes() != classes {
                problems.push(format!("{first} has {} classes, {path} has {classes}", network.classes()));
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
        let name = called[i].clone();
        let folder = format!("models/{}-{}", i + 1, model.stem());
        participants.push(Participant { model, name, folder, order });
    }
    if !problems.is_empty() {
        bail!(
            "these models cannot be compared; all must take images of the same shape and have the same \
             classes:\n  - {}",
            problems.join("\n  - ")
        );
    }
    Ok(participants)
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

/// The closest adversarial image of every image that the model has right.
fn attacked(
    context: &Context,
    args: &args::Transfer,
    directory: &RunDirectory,
    of: &Participant,
    classifier: &dyn Classifier,
    data: &Dataset,
) -> Result<Recorded> {
    let attack = Lbfgs::default();
    let recording = Recording {
        folder: &of.folder,
        data,
        examples: data.len(),
        attack: "lbfgs",
        per_target: false,
        measures: &[],
    };
    let mut recorder = Recorder::open(directory, recording)?;
    let lanes = Lanes {
        threads: context.threads,
        lanes: args.lanes.number_for(of.model.network.bytes_per_image()),
        budget: args.budget,
        seed: context.seed,
    };
    Searches {
        stem: of.model.stem(),
        prefix: &format!("{}: ", of.name),
        classifier,
        data,
        attack: &attack,
        target: Target::Closest,
        lanes,
    }
    .record(context, &mut recorder)?;
    Ok(recorder.finish(context.seed)?)
}

/// Shows what was found for each model to all of them.
fn shown(
    context: &Context,
    args: &args::Transfer,
    directory: &RunDirectory,
    participants: &[Participant],
    classifiers: &[Reordered<'_>],
    data: &Dataset,
    recorded: &[Recorded],
) -> Result<Study> {
    let found = participants.iter().zip(recorded).map(|(of, recorded)| {
        RecordedPerturbations::open(&directory.path().join(&of.folder), &recorded.rows, data.shape())
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<Column<'_>> = participants
        .iter()
        .zip(classifiers)
        .map(|(of, classifier)| Column { name: &of.name, classifier })
        .collect();
    let sizes: Vec<Size> =
        [Size::Minimal].into_iter().chain(args.rms.iter().copied().map(Size::Rms)).collect();
    let rows: Vec<Perturbed<'_>> = found
        .iter()
        .enumerate()
        .map(|(own, found)| Perturbed {
            made_for: columns[own].name,
            own: Some(own),
            data,
            images: &found.images,
            sizes: &sizes,
            adversarial: found,
        })
        .collect();
    let indices: Vec<usize> = (0..data.len()).map(|i| data.index(i)).collect();
    let bytes: usize = participants.iter().map(|of| of.model.network.bytes_per_image()).sum();
    let bar = LateBar::new(&context.printer, "transfer");
    Ok(study(&StudyOf {
        data: data.name(),
        columns: &columns,
        rows: &rows,
        noise: NoiseOn { data, indices: &indices, sigmas: &args.noise },
        draws: args.draws.into(),
        curves: true,
        seed: context.seed,
        threads: context.threads,
        batch: args::Lanes::fitting(bytes, 256),
        cancelled: &context.cancelled,
        progress: &|done, total| bar.show(done, total),
    })?)
}

/// What was noticed about models and data.
fn notes(participants: &[Participant], data: &Dataset) -> Vec<String> {
    let of_model = |of: &Participant| {
        of.model.notes.iter().map(|note| format!("{}: {note}", of.name)).collect::<Vec<_>>()
    };
    participants.iter().flat_map(of_model).chain(data.notes().iter().cloned()).collect()
}

/// What the results make one wonder about.
fn remarks(participants: &[Participant], recorded: &[Recorded], transfer: &Study) -> Vec<String> {
    let mut notes = Vec::new();
    for (of, rate) in participants.iter().zip(&transfer.unchanged) {
        if rate.rate.is_some_and(|rate| rate > MOSTLY_WRONG) {
            notes.push(format!(
                "{}: gets {} of {} unchanged images wrong; are the order of its classes (--classes) and the \
                 normalisation of its pixels (--normalize) right?",
                of.name, rate.count, rate.of
            ));
        }
    }
    for (of, recorded) in participants.iter().zip(recorded) {
        let found = recorded.rows.iter().filter(|row| row.adversarial_label.is_some()).count() as u64;
        let missing = recorded.summary.attacked - found;
        if missing > 0 {
            notes.push(format!(
                "{}: no adversarial image was found for {missing} of {} images; they are not in its row",
                of.name, recorded.summary.attacked
            ));
        }
    }
    notes
}

/// The command with everything that determines the results.
fn command(
    context: &Context,
    args: &args::Transfer,
    participants: &[Participant],
    data: &Dataset,
) -> Vec<String> {
    let list = |values: &[f64]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut words: Vec<String> = ["struthio", "transfer"].map(String::from).into();
    words.extend(participants.iter().map(|of| of.model.name.clone()));
    words.extend(["--data".to_owned(), data.name().to_owned()]);
    words.extend(args.classes.iter().flat_map(|file| classes_words(Some(file))));
    words.extend(args.output.iter().flat_map(|name| ["--output".to_owned(), name.clone()]));
    words.extend(args.pixels.normalization());
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    option("rms", list(&args.rms));
    option("noise", list(&args.noise));
    option("draws", args.draws.to_string());
    if let Some(budget) = args.budget {
        option("budget", budget.to_string());
    }
    option("seed", context.seed.to_string());
    words
}

impl Participant {
    fn record(&self) -> struthio::run::ModelRecord {
        let mut record = self.model.record();
        record.name.clone_from(&self.name);
        if !self.order.is_sorted() {
            record.class_order.clone_from(&self.order);
        }
        record
    }
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
