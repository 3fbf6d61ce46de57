use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use struthio::attack::{Lanes, Lbfgs, Target};
use struthio::data::{ClassNames, Dataset, Split, Wanted};
use struthio::network::{Classifier, Reordered};
use struthio::run::{
    AttackSummary, DataRecord, Manifest, Opened, Recorded, Recorder, Recording, RunDirectory, SCHEMA_VERSION,
};
use struthio::transfer::{
    Column, NoiseOn, Perturbed, Rate, RecordedPerturbations, Size, Study, StudyOf, study, suitable_sizes,
};
use struthio_report::TransferPage;

use super::matrices;
use super::participants::{Participant, participants};
use super::searches::{Searches, expected_of_fast};
use crate::args::{self, Normalization};
use crate::context::{Context, classes_words, read_summary};
use crate::printer::LateBar;

/// `summary.json`.
#[derive(Serialize, Deserialize)]
struct Summary {
    schema_version: u32,
    models: Vec<ModelSummary>,
    transfer: Study,
    notes: Vec<String>,
}

/// Above this error on unchanged images, something is probably wrong with how a model is used.
const MOSTLY_WRONG: f64 = 0.5;
/// Curves go on to so many times the largest size.
const FOLLOWED: f64 = 3.0;

/// The attack on one model.
#[derive(Serialize, Deserialize)]
struct ModelSummary {
    model: String,
    attack: AttackSummary,
}

pub fn run(context: &Context, args: &args::Transfer) -> Result<()> {
    check_numbers(args)?;
    let names = args.classes.iter().map(|path| ClassNames::read(path)).collect::<Result<Vec<_>, _>>()?;
    let participants = participants(context, args, &names)?;
    let (first, names) = (&participants[0], names.first());
    let (network, model) = (&first.model.network, first.model.name.as_str());
    let wanted = Wanted { model, shape: &network.input().shape, classes: Some(network.classes()) };
    let data = context
        .load_data(&args.data.parse()?, Split::Test, Some(wanted), names, &args.files)
        .map_err(|error| {
            let scaled = participants.iter().any(|of| of.scales) && args.size.is_none();
            let remedy = "the images have the size that the first model wants, unless --size gives another";
            if scaled { anyhow!("{error}; {remedy}") } else { error }
        })?;
    let data = context.labelled(data, network, &first.name)?;
    let mut manifest = Manifest::new(command(context, args, &participants, &data), context.seed);
    manifest.class_names = first.model.class_names(&data);
    manifest.models = participants.iter().map(Participant::record).collect();
    manifest.data.push(DataRecord::of(&data)?);
    let stem = format!("transfer-{}", first.model.stem());
    let directory = match context.open_run(args.out.as_deref(), &stem, manifest, args.resume.wanted())? {
        Opened::Complete(path) => return print(context, &path, &read_summary::<Summary>(&path)?),
        Opened::Unfinished(directory) => directory,
    };
    let classifiers: Vec<Reordered<'_>> =
        participants.iter().map(|of| Reordered::new(&of.model.network, &of.order)).collect();
    let mut doubts = Vec::new();
    for (of, classifier) in participants.iter().zip(&classifiers) {
        doubts.extend(context.first_look(&format!("{}: ", of.name), &of.model, classifier, &data)?);
    }
    let mut recorded = Vec::new();
    for (of, classifier) in participants.iter().zip(&classifiers) {
        recorded.push(attacked(context, args, &directory, of, classifier, &data)?);
    }
    let (transfer, followed) =
        shown(context, args, &directory, &participants, &classifiers, &data, &recorded)?;

    let models = participants.iter().zip(&recorded);
    let models = models
        .map(|(of, recorded)| ModelSummary { model: of.name.clone(), attack: recorded.summary.clone() });
    let mut notes = notes(&participants, &data);
    notes.extend(doubts);
    for remark in followed.into_iter().chain(remarks(&participants, &recorded, &transfer)) {
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
        expected: expected_of_fast(&of.model, Target::Closest, args.budget),
    }
    .record(context, &mut recorder)?;
    Ok(recorder.finish(context.seed)?)
}

/// The sizes asked for; or those that suit what was found, and what is said of that.
fn sizes(args: &args::Transfer, data: &Dataset, recorded: &[Recorded]) -> (Vec<f64>, Option<String>) {
    if !args.rms.is_empty() {
        return (args.rms.clone(), None);
    }
    let lengths = recorded.iter().flat_map(|recorded| &recorded.rows).filter_map(|row| row.l2);
    let minimal: Vec<f64> = lengths.map(|l2| l2 / (data.image_len() as f64).sqrt()).collect();
    let sizes = suitable_sizes(&minimal);
    let note = sizes.first().map(|median| {
        format!(
            "perturbations are rescaled to RMS {}, 1, 2 and 4 times {median}, the median of the shortest ones of \
             all models (--rms gives other sizes)",
            sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )
    });
    (sizes, note)
}

/// Shows what was found for each model to all of them; and what is to be said of the sizes.
fn shown(
    context: &Context,
    args: &args::Transfer,
    directory: &RunDirectory,
    participants: &[Participant],
    classifiers: &[Reordered<'_>],
    data: &Dataset,
    recorded: &[Recorded],
) -> Result<(Study, Option<String>)> {
    let found = participants.iter().zip(recorded).map(|(of, recorded)| {
        RecordedPerturbations::open(&directory.path().join(&of.folder), &recorded.rows, data.shape())
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<Column<'_>> = participants
        .iter()
        .zip(classifiers)
        .map(|(of, classifier)| Column { name: &of.name, classifier })
        .collect();
    let (rms, followed) = sizes(args, data, recorded);
    let sizes: Vec<Size> = [Size::Minimal].into_iter().chain(rms.iter().copied().map(Size::Rms)).collect();
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
    let shown = study(&StudyOf {
        data: data.name(),
        columns: &columns,
        rows: &rows,
        noise: NoiseOn { data, indices: &indices, sigmas: &args.noise },
        draws: args.draws.into(),
        curves: rms.iter().copied().reduce(f64::max).map(|largest| (FOLLOWED * largest).min(1.0)),
        seed: context.seed,
        threads: context.threads,
        batch: args::Lanes::fitting(bytes, 256),
        cancelled: &context.cancelled,
        progress: &|done, total| bar.show(done, total),
    })?;
    Ok((shown, followed))
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
                 normalisation of its pixels right? They are {}; {}",
                of.name,
                rate.count,
                rate.of,
                of.pixels.words(),
                normalisations(participants, transfer)
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

/// How every model gets its own normalisation: those that are mostly wrong another than they have.
fn normalisations(participants: &[Participant], transfer: &Study) -> String {
    let option = |(of, rate): (&Participant, &Rate)| {
        let wrong = rate.rate.is_some_and(|rate| rate > MOSTLY_WRONG);
        let usual = if matches!(of.model.network.input().shape[..], [3, ..]) { "imagenet" } else { "mnist" };
        let name = match of.pixels.normalize {
            Some(Normalization::Imagenet) if !wrong => "imagenet",
            Some(Normalization::Mnist) if !wrong => "mnist",
            None | Some(Normalization::None) if wrong => usual,
            _ => "none",
        };
        format!("--normalize {name}")
    };
    let options: Vec<String> = participants.iter().zip(&transfer.unchanged).map(option).collect();
    format!(
        "--normalize, or --mean and --std, can be given once for each model in their order, as in {}",
        options.join(" ")
    )
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
    words.extend(args.files.words());
    words.extend(args.pixels.words());
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    if let Some(args::Size { height, width }) = args.size {
        option("size", format!("{height}x{width}"));
    }
    if !args.rms.is_empty() {
        option("rms", list(&args.rms));
    }
    option("noise", list(&args.noise));
    option("draws", args.draws.to_string());
    if let Some(budget) = args.budget {
        option("budget", budget.to_string());
    }
    option("seed", context.seed.to_string());
    words
}
