use anyhow::{Result, bail};
use serde_json::json;
use struthio::attack::{
    Attack, Example, Lanes, Lbfgs, Outcome, PenaltyLoss, SearchKind, Status, Target, attack_all,
};
use struthio::data::Dataset;
use struthio::network::Classifier;
use struthio::run::{AttackSummary, Manifest, Recorded, Recorder, Timing};
use struthio_report::AttackPage;

use crate::args::{self, Loss, Norm, Search};
use crate::context::{Context, LoadedModel, data_record, run_directory};
use crate::printer::table;

pub fn run(context: &Context, args: &args::Attack) -> Result<()> {
    args.later.refuse()?;
    let attack = attack(args)?;
    let target: Target = args.target.parse()?;
    let model = context.load_model(&args.model)?;
    let classes = model.network.classes();
    if let Target::Class(class) = target
        && class >= classes
    {
        bail!(
            "target class {class} is not one of the {classes} classes (0 to {}) of {}",
            classes - 1,
            model.name
        );
    }
    let data = model.load_data(&args.data)?;
    let directory = run_directory(args.out.as_deref(), &format!("attack-{}", model.stem()))?;
    let mut manifest = Manifest::new(command(context, args, &model, &data), context.seed);
    manifest.models.push(model.record());
    manifest.data.push(data_record(&data));

    let mut recorder =
        Recorder::create(directory.path(), data.len(), data.shape(), attack.name(), target == Target::All)?;
    let lanes = Lanes {
        threads: context.threads,
        lanes: args.lanes.lanes.into(),
        budget: args.budget,
        seed: context.seed,
    };
    search(context, &model, &data, &attack, target, lanes, &mut recorder)?;
    let recorded = recorder.finish(context.seed)?;

    let notes = notes(&model, &recorded);
    let mut summary = summary_json(&model, &data, &recorded.summary, &notes);
    directory.write_json("summary.json", &summary)?;
    let page = AttackPage {
        manifest: &manifest,
        model: &model.name,
        data: data.name(),
        recorded: &recorded,
        notes: &notes,
    };
    directory.write("report.html", struthio_report::attack_page(&page).as_bytes())?;
    directory.write_json("manifest.json", &manifest)?;
    let seconds = context.started.elapsed().as_secs_f64();
    directory.write_json("timing.json", &Timing::new(context.threads, seconds, Vec::new()))?;

    summary["directory"] = json!(directory.path());
    context.printer.result(&summary, || text(&model, &data, &recorded.summary))?;
    let report = directory.path().join("report.html");
    context.printer.done(&format!("{seconds:.1} s; the report is {}", report.display()));
    Ok(())
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

/// Runs every search of every image, and records the outcomes image by image.
fn search(
    context: &Context,
    model: &LoadedModel,
    data: &Dataset,
    attack: &dyn Attack,
    target: Target,
    lanes: Lanes,
    recorder: &mut Recorder,
) -> Result<()> {
    let classes = model.network.classes();
    let criteria = |i: usize| target.criteria(data.label(i), classes, context.seed, data.index(i));
    let searches = criteria(0).len();
    let example = |job: usize| {
        let i = job / searches;
        let criterion = criteria(i)[job % searches];
        Example { index: data.index(i), image: data.image(i), label: data.label(i), criterion }
    };
    let bar = context.printer.bar(&format!("attack {}", model.stem()));
    bar.set_length(data.len() as u64);
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(searches);
    let mut done = 0;
    attack_all(
        &model.network,
        attack,
        lanes,
        data.len() * searches,
        &example,
        &context.cancelled,
        &mut |outcome| {
            outcomes.push(outcome);
            if outcomes.len() == searches {
                recorder.record(&outcomes, &data.image(done))?;
                outcomes.clear();
                done += 1;
                bar.set_position(done as u64);
                bar.set_message(format!("{done} of {} images", data.len()));
            }
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    Ok(())
}

/// The command with everything that determines the results.
fn command(context: &Context, args: &args::Attack, model: &LoadedModel, data: &Dataset) -> Vec<String> {
    let mut words: Vec<String> =
        ["struthio", "attack", &model.name, "--data", data.name()].map(String::from).into();
    words.extend(args.model.normalization());
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
    words
}

/// What was noticed about the model, and everything that went wrong, in words.
fn notes(model: &LoadedModel, recorded: &Recorded) -> Vec<String> {
    let mut notes = model.notes.clone();
    let summary = &recorded.summary;
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

fn summary_json(
    model: &LoadedModel,
    data: &Dataset,
    summary: &AttackSummary,
    notes: &[String],
) -> serde_json::Value {
    json!({
        "schema_version": struthio::run::SCHEMA_VERSION,
        "model": model.name,
        "data": data.name(),
        "attack": summary,
        "notes": notes,
    })
}

fn text(model: &LoadedModel, data: &Dataset, summary: &AttackSummary) -> String {
    let mut lines = vec![format!("{} on {}: {} examples", model.name, data.name(), summary.examples)];
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
    lines.join("\n")
}
