use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use struthio::attack::{Attack, Lanes, Lbfgs, Status, Target};
use struthio::data::Dataset;
use struthio::network::Graph;
use struthio::run::{
    DataRecord, Manifest, Measure, Opened, Recorded, Recorder, Recording, RunDirectory, SCHEMA_VERSION,
};
use struthio::spectrum::{
    Bracket, Certificates, Layer, LayerGain, Settings, Study, Surroundings, layer_gains, surroundings,
};
use struthio_report::SpectrumPage;

use super::searches::{Searches, expected_of_fast};
use crate::args;
use crate::context::{Context, LoadedModel, read_summary};
use crate::printer::{LateBar, counted, table};

/// Images that are listed on the terminal; `results.parquet` has all.
const LISTED: usize = 20;
/// Searches at a time per thread.
const LANES: usize = 16;

/// `summary.json`.
#[derive(Serialize, Deserialize)]
struct Summary {
    schema_version: u32,
    #[serde(flatten)]
    study: Study,
    notes: Vec<String>,
}

pub fn run(context: &Context, args: &args::Spectrum) -> Result<()> {
    if args.data.is_none() && args.files != args::Files::default() {
        bail!("--strict, --x, --y and --invert are about the images of --data");
    }
    let model = context.load_model(&args.model.for_data(args.data.as_deref()))?;
    let asked = args.data.clone().map(|data| args::Data {
        data,
        classes: args.classes.clone(),
        files: args.files.clone(),
    });
    let data = asked.as_ref().map(|asked| context.load_data_for(&model, asked, asked.names()?.as_ref()));
    let data = data.transpose()?;
    let mut manifest = Manifest::new(command(context, args, &model, asked.zip(data.as_ref())), context.seed);
    manifest.class_names = data.as_ref().map_or_else(Vec::new, |data| model.class_names(data));
    manifest.models.push(model.record());
    manifest.data = data.iter().map(DataRecord::of).collect::<Result<_, _>>()?;
    let stem = format!("spectrum-{}", model.stem());
    let directory = match context.open_run(args.out.as_deref(), &stem, manifest, args.resume.wanted())? {
        Opened::Complete(path) => return print(context, &path, &read_summary::<Summary>(&path)?),
        Opened::Unfinished(directory) => directory,
    };
    let mut stages = Stages::default();
    let layers = gains(context, args, model.network.graph())?;
    stages.end("layers");

    let graph = model.network.graph();
    let mut study = Study::of(&model.name, &model.network, &layers);
    let mut notes = model.notes.clone();
    for note in layers.iter().filter_map(|layer| wrapped_note(graph, layer)) {
        context.printer.note(&note);
        notes.push(note);
    }
    if let Some(data) = &data {
        notes.extend(data.notes().iter().cloned());
        notes.extend(context.first_look("", &model, &model.network, data)?);
        let around = around_images(context, &model, &layers, data)?;
        stages.end("local gains");
        let recorded = attacked(context, args, &directory, &model, data, &around)?;
        stages.end("attack");
        add_images(context, &mut study, data, &around, recorded)?;
    }
    let summary = Summary { schema_version: SCHEMA_VERSION, study, notes };
    let page = SpectrumPage { manifest: directory.manifest(), study: &summary.study, notes: &summary.notes };
    let report = struthio_report::spectrum_page(&page);
    let path = context.finish_run(directory, &report, &summary, stages.0)?;
    print(context, &path, &summary)?;
    context.done(&path);
    Ok(())
}

/// Seconds of what was done, in order.
struct Stages(Vec<(String, f64)>, Instant);

fn gains(context: &Context, args: &args::Spectrum, graph: &Graph) -> Result<Vec<LayerGain>> {
    let settings = Settings {
        full: args.full,
        zero_padded: !args.circular,
        upper: !args.circular,
        ..Settings::default()
    };
    let bar = LateBar::new(&context.printer, "layers");
    let done = AtomicUsize::new(0);
    let progress = || bar.show(done.fetch_add(1, Ordering::Relaxed) + 1, graph.nodes().len());
    let pool = struthio::spectrum::pool(context.threads)?;
    Ok(pool.install(|| layer_gains(graph, settings, &context.cancelled, &progress))?)
}

/// What is certified around every image, and the gain there.
fn around_images(
    context: &Context,
    model: &LoadedModel,
    layers: &[LayerGain],
    data: &Dataset,
) -> Result<Vec<Surroundings>> {
    let certificates = Certificates::new(model.network.graph(), layers);
    let bar = LateBar::new(&context.printer, "local gains");
    let progress = |done| bar.show(done, data.len());
    let pool = struthio::spectrum::pool(context.threads)?;
    let (network, cancelled) = (&model.network, &context.cancelled);
    Ok(pool.install(|| surroundings(network, &certificates, data, cancelled, &progress))?)
}

/// Attacks every image; `results.parquet` says what is certified beside what was found.
fn attacked(
    context: &Context,
    args: &args::Spectrum,
    directory: &RunDirectory,
    model: &LoadedModel,
    data: &Dataset,
    around: &[Surroundings],
) -> Result<Recorded> {
    let certified: Vec<Option<f64>> = around.iter().map(|of| Some(of.certified)).collect();
    let gains: Vec<Option<f64>> = around.iter().map(|of| of.gain).collect();
    let attack = Lbfgs::default();
    let of = Recording {
        folder: "",
        data,
        examples: data.len(),
        attack: attack.name(),
        per_target: false,
        measures: &[
            Measure { name: "certified_l2", values: &certified },
            Measure { name: "local_gain", values: &gains },
        ],
    };
    let mut recorder = Recorder::open(directory, of)?;
    let lanes = args::Lanes::fitting(model.network.bytes_per_image(), LANES);
    let lanes = Lanes { threads: context.threads, lanes, budget: args.budget, seed: context.seed };
    Searches {
        stem: model.stem(),
        prefix: "",
        classifier: &model.network,
        data,
        attack: &attack,
        target: Target::Closest,
        lanes,
        expected: expected_of_fast(model, Target::Closest, args.budget),
    }
    .record(context, &mut recorder)?;
    Ok(recorder.finish(context.seed)?)
}

fn add_images(
    context: &Context,
    study: &mut Study,
    data: &Dataset,
    around: &[Surroundings],
    recorded: Recorded,
) -> Result<()> {
    let brackets = recorded.rows.iter().zip(around).map(|(row, around)| Bracket {
        index: row.index,
        status: row.status,
        certified_l2: around.certified,
        attacked_l2: row.l2,
        local_gain: around.gain,
    });
    let brackets: Vec<Bracket> = brackets.collect();
    // No rounding explains that: both sides keep a margin from it.
    if let Some(bracket) = brackets.iter().find(|bracket| bracket.is_violated()) {
        bail!(
            "image {}: nothing within {} was to have another class, but the attack found one at {:?}; \
             one of the two is wrong, so no report is written: please report this",
            bracket.index,
            bracket.certified_l2,
            bracket.attacked_l2
        );
    }
    study.add_images(data.name(), brackets, recorded.summary, context.seed);
    Ok(())
}

/// The command with everything that determines the results.
fn command(
    context: &Context,
    args: &args::Spectrum,
    model: &LoadedModel,
    data: Option<(args::Data, &Dataset)>,
) -> Vec<String> {
    let mut words: Vec<String> = ["struthio", "spectrum", &model.name].map(String::from).into();
    if let Some((asked, data)) = data {
        words.extend(asked.words(data.name()));
    }
    if let Some(budget) = args.budget {
        words.extend(["--budget".to_owned(), budget.to_string()]);
    }
    words.extend(args.model.words());
    for (given, option) in [(args.full, "--full"), (args.circular, "--circular")] {
        if given {
            words.push(option.to_owned());
        }
    }
    words.extend(["--seed".to_owned(), context.seed.to_string()]);
    words
}

fn wrapped_note(graph: &Graph, layer: &LayerGain) -> Option<String> {
    let wrapped = layer.wrapped?;
    let node = graph.nodes().iter().find(|node| node.name == layer.name)?;
    let size = &graph.shape(node.inputs[0])[1..];
    (size != wrapped).then(|| {
        format!(
            "{}: its steps do not divide {size:?}; circular is for {wrapped:?}, the next multiples",
            layer.name
        )
    })
}

fn print(context: &Context, path: &Path, summary: &Summary) -> Result<()> {
    let mut result = json!(summary);
    result["directory"] = json!(path);
    context.printer.result(&result, || text(&summary.study))
}

fn text(study: &Study) -> String {
    let rows: Vec<Vec<String>> = study.layers.iter().map(row).collect();
    let header = ["layer", "op", "shape", "stride", "circular", "zero-padded", "upper"];
    let mut parts = vec![table(&header, &rows)];
    let (product, upper) = (study.network.product, study.network.upper);
    let missing =
        if study.layers.iter().any(|layer| layer.unbounded) { "unbounded" } else { "not asked for" };
    let mut bounds = format!("network, product bound: {}", number(product, missing));
    if upper < product {
        bounds =
            format!("{bounds}\nnetwork, matrices in series taken together: {}", number(upper, "unbounded"));
    }
    parts.push(bounds);
    let Some(certified) = &study.certified else { return parts.join("\n\n") };
    let rows: Vec<Vec<String>> = study.images.iter().take(LISTED).map(image).collect();
    let mut images = table(&["image", "certified L2", "attacked L2", "local gain"], &rows);
    if study.images.len() > LISTED {
        let more = counted((study.images.len() - LISTED) as u64, "more image");
        images = format!("{images}\n{more} in results.parquet");
    }
    parts.push(images);
    if let Some(ratio) = &certified.ratio {
        parts.push(format!(
            "attacked / certified, over {}: median {} (95 %: {} to {}), from {} to {}",
            counted(certified.brackets, "image"),
            ratio_text(ratio.median),
            ratio_text(ratio.median_interval.low),
            ratio_text(ratio.median_interval.high),
            ratio_text(ratio.min),
            ratio_text(ratio.max)
        ));
    }
    if let Some(gain) = &certified.local_gain {
        parts.push(format!(
            "local gain: median {}, largest {}; no gain is above {}",
            number(Some(gain.median), ""),
            number(Some(gain.max), ""),
            number(upper, "unbounded")
        ));
    }
    parts.join("\n\n")
}

fn row(layer: &Layer) -> Vec<String> {
    let list = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    let known = |value: Option<f64>| value.map_or_else(String::new, |value| number(Some(value), ""));
    vec![
        layer.name.clone(),
        layer.op.clone(),
        list(&layer.shape),
        layer.stride.map_or_else(String::new, |stride| list(&stride)),
        known(layer.circular),
        known(layer.zero_padded),
        number(layer.upper, if layer.unbounded { "unbounded" } else { "—" }),
    ]
}

fn image(of: &Bracket) -> Vec<String> {
    let known = |value| number(value, "—");
    let certified = (of.status != Status::AlreadyWrong).then_some(of.certified_l2);
    vec![of.index.to_string(), known(certified), known(of.attacked_l2), known(of.local_gain)]
}

fn number(value: Option<f64>, missing: &str) -> String {
    match value {
        None => missing.into(),
        Some(value) if value == 0.0 || (1e-3..1e5).contains(&value) => format!("{value:.4}"),
        Some(value) => format!("{value:.3e}"),
    }
}

fn ratio_text(value: f64) -> String {
    if value < 1e5 { format!("{value:.1}") } else { format!("{value:.2e}") }
}

impl Default for Stages {
    fn default() -> Self {
        Self(Vec::new(), Instant::now())
    }
}

impl Stages {
    fn end(&mut self, name: &str) {
        let now = Instant::now();
        self.0.push((name.to_owned(), (now - self.1).as_secs_f64()));
        self.1 = now;
    }
}
