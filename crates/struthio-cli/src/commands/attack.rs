use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use struthio::attack::{Attack, Lanes, Lbfgs, PenaltyLoss, SearchKind, Status, Target};
use struthio::data::{ClassNames, Dataset};
use struthio::run::{
    AttackSummary, DataRecord, Manifest, Opened, PictureSummary, Recorded, Recorder, Recording,
    SCHEMA_VERSION,
};
use struthio_report::AttackPage;

use super::pictures::{self, MakePictures};
use super::searches::{Searches, expected_of_fast};
use crate::args::{self, Loss, Norm, Search};
use crate::context::{Context, LoadedModel, read_summary};
use crate::printer::{counted, table};

/// `summary.json`.
#[derive(Serialize, Deserialize)]
struct Summary {
    schema_version: u32,
    model: String,
    data: String,
    attack: AttackSummary,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pictures: Option<PictureSummary>,
    notes: Vec<String>,
}

pub fn run(context: &Context, args: &args::Attack) -> Result<()> {
    let attack = attack(args)?;
    let names = args.data.names()?;
    let model = context.load_model(&args.model.for_data(Some(&args.data.data)))?;
    let target = target(&args.target, model.names(names.as_ref()).as_ref())?;
    if let Target::Class(class) = target {
        model.check_class(class)?;
    }
    let data = context.load_data_for(&model, &args.data, names.as_ref())?;
    let png = args.png.as_ref().map(|folder| pictures::shape(folder.as_deref(), &data, args.resume.resume));
    let png = png.transpose()?;
    let mut manifest = Manifest::new(command(context, args, &model, &data), context.seed);
    manifest.class_names = model.class_names(&data);
    manifest.models.push(model.record());
    manifest.data.push(DataRecord::of(&data)?);
    let stem = format!("attack-{}", model.stem());
    let directory = match context.open_run(args.out.as_deref(), &stem, manifest, args.resume.wanted())? {
        Opened::Complete(path) => return print(context, &path, &read_summary::<Summary>(&path)?),
        Opened::Unfinished(directory) => directory,
    };

    let remarks = context.first_look("", &model, &model.network, &data)?;
    let of = Recording {
        folder: "",
        data: &data,
        examples: data.len(),
        attack: attack.name(),
        per_target: target == Target::All,
        measures: &[],
    };
    let mut recorder = Recorder::open(&directory, of)?;
    let lanes = Lanes {
        threads: context.threads,
        lanes: args.lanes.number_for(model.network.bytes_per_image()),
        budget: args.budget,
        seed: context.seed,
    };
    Searches {
        stem: model.stem(),
        prefix: "",
        classifier: &model.network,
        data: &data,
        attack: &attack,
        target,
        lanes,
        expected: match attack.search {
            SearchKind::Fast => expected_of_fast(&model, target, args.budget),
            SearchKind::Bisection => args.budget.map_or(1000.0, |budget| 1000.0_f64.min(budget as f64)),
        },
    }
    .record(context, &mut recorder)?;
    let recorded = recorder.finish(context.seed)?;
    let pictures = match (png, &args.png) {
        (Some(shape), Some(folder)) => {
            let of = MakePictures {
                model: &model,
                data: &data,
                recorded: &recorded,
                targeted: target != Target::Closest,
                lanes: Lanes { budget: None, ..lanes },
                shape,
                folder: folder.as_deref(),
            };
            Some(of.make(context, &directory)?)
        }
        _ => None,
    };

    let ended = endings(&recorded);
    ended.iter().for_each(|note| context.printer.note(note));
    let notes = [&model.notes, data.notes(), &remarks, &ended].concat();
    let page = AttackPage {
        manifest: directory.manifest(),
        model: &model.name,
        data: data.name(),
        recorded: &recorded,
        pictures: pictures.as_ref(),
        notes: &notes,
    };
    let report = struthio_report::attack_page(&page);
    let summary = Summary {
        schema_version: SCHEMA_VERSION,
        model: model.name,
        data: data.name().into(),
        attack: recorded.summary,
        pictures,
        notes,
    };
    let path = context.finish_run(directory, &report, &summary, Vec::new())?;
    print(context, &path, &summary)?;
    context.done(&path);
    Ok(())
}

fn print(context: &Context, path: &Path, summary: &Summary) -> Result<()> {
    let mut result = json!(summary);
    result["directory"] = json!(path);
    context.printer.result(&result, || text(summary))
}

fn attack(args: &args::Attack) -> Result<Lbfgs> {
    if args.method != "lbfgs" {
        bail!("unknown attack '{}'; this version has: lbfgs", args.method);
    }
    if args.norm != Norm::L2 {
        bail!("--norm other than l2 is not in this version yet");
    }
    Ok(Lbfgs {
        search: match args.search {
            Search::Fast => SearchKind::Fast,
            Search::Bisection => SearchKind::Bisection,
        },
        loss: match args.loss {
            Loss::Ce => PenaltyLoss::CrossEntropy,
            Loss::Margin => PenaltyLoss::Margin,
        },
        ..Lbfgs::default()
    })
}

/// The command with everything that determines the results.
fn command(context: &Context, args: &args::Attack, model: &LoadedModel, data: &Dataset) -> Vec<String> {
    let mut words: Vec<String> = ["struthio", "attack", &model.name].map(String::from).into();
    words.extend(args.data.words(data.name()));
    words.extend(args.model.words());
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    option("attack", args.method.clone());
    option("norm", "l2".into());
    option("target", args.target.clone());
    option("loss", if args.loss == Loss::Ce { "ce" } else { "margin" }.into());
    option("search", if args.search == Search::Fast { "fast" } else { "bisection" }.into());
    if let Some(budget) = args.budget {
        option("budget", budget.to_string());
    }
    option("seed", context.seed.to_string());
    if args.png.is_some() {
        words.push("--png".to_owned());
    }
    words
}

/// The target in words; where classes have names, it may be one.
fn target(text: &str, names: Option<&ClassNames>) -> Result<Target> {
    match (text.parse::<Target>(), names) {
        (Err(_), Some(names)) => names.number(text).map(Target::Class).map_err(|problem| {
            anyhow!("unknown target: {problem}; expected closest, random, all, or a class")
        }),
        (target, _) => Ok(target?),
    }
}

/// How searches ended that found nothing, in words.
fn endings(recorded: &Recorded) -> Vec<String> {
    let mut notes = Vec::new();
    let summary = &recorded.summary;
    if summary.blind > 0 {
        notes.push(format!(
            "at {} of {} attacked images the gradient is exactly zero, which points to gradient masking; their search \
             began at random points elsewhere",
            summary.blind, summary.attacked
        ));
    }
    for (status, what) in [
        (Status::NotFound, "no adversarial image was found within the search or its budget"),
        (Status::ZeroGradient, "the gradient at the image is exactly zero, which points to gradient masking"),
        (Status::NonFinite, "the network answered with infinite values or NaN"),
    ] {
        let count = summary.count(status);
        if count > 0 {
            notes.push(format!(
                "{count} of {} images: {what}; they are not part of any mean or median",
                summary.attacked
            ));
        }
    }
    notes
}

fn text(Summary { model, data, attack: summary, pictures, .. }: &Summary) -> String {
    let mut lines = vec![format!("{model} on {data}: {}", counted(summary.examples, "example"))];
    let statuses: Vec<String> =
        summary.statuses.iter().map(|s| format!("{} {}", s.count, s.status)).collect();
    lines.push(statuses.join(", "));
    let measures = [("RMS", &summary.rms), ("L2", &summary.l2), ("L∞", &summary.linf)];
    let rows: Vec<Vec<String>> = measures
        .iter()
        .filter_map(|(name, spread)| {
            let spread = spread.as_ref()?;
            let values = [spread.mean, spread.median, spread.min, spread.max];
            Some(
                std::iter::once((*name).to_owned()).chain(values.iter().map(|v| format!("{v:.5}"))).collect(),
            )
        })
        .collect();
    if !rows.is_empty() {
        lines.push(String::new());
        lines.push(table(&["distance", "mean", "median", "smallest", "largest"], &rows));
    }
    if let (Some(gradients), Some(forwards)) = (summary.gradients_mean, summary.forwards_mean) {
        lines.push(String::new());
        lines.push(format!("{gradients:.1} gradients and {forwards:.1} forward passes per attacked image"));
    }
    let found = summary.count(Status::Found);
    if found > 0 {
        let hint = if pictures.is_none() { "; --png writes pictures that do" } else { "" };
        let survivors = summary.survive_rounding;
        lines.push(format!("{survivors} of {found} survive rounding to 8 bits{hint}"));
    }
    lines.extend(pictures.as_ref().map(pictures::text));
    lines.join("\n")
}
