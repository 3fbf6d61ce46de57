use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::json;
use struthio::data::{Dataset, with_attribute};
use struthio::run::{DataRecord, Manifest, Opened, SCHEMA_VERSION};
use struthio::units::{Layer, LayerResult, Options, Pooling, analyse};
use struthio_report::UnitsPage;

use super::verdicts;
use crate::args::{self, Pool};
use crate::context::{Context, LoadedModel, read_summary};
use crate::printer::{counted, table};

/// `summary.json`.
#[derive(Serialize, Deserialize)]
struct Summary {
    schema_version: u32,
    model: String,
    data: String,
    examples: usize,
    /// Images that stand for a direction.
    top: usize,
    pool: Pooling,
    layers: Vec<LayerResult>,
    notes: Vec<String>,
}

pub fn run(context: &Context, args: &args::Units) -> Result<()> {
    let model = context.load_model(&args.model.for_data(Some(&args.data.data)))?;
    let layers = layers(&model, &args.layers)?;
    let names = args.data.names()?;
    let mut data = context.load_images_for(&model, &args.data, names.as_ref())?;
    let said = data.notes().len();
    if let Some(table) = &args.attributes {
        data = with_attribute(&data, table, args.attribute.as_deref())?;
        data.notes().iter().skip(said).for_each(|note| context.printer.note(note));
    }
    let unlabelled = (!data.is_labelled())
        .then(|| "the images have no labels, so directions are judged by the distances of pixels".to_owned());
    unlabelled.iter().for_each(|note| context.printer.note(note));
    let options = Options {
        k: usize::from(args.top),
        pooling: pooling(args.pool),
        units: usize::from(args.most),
        seed: context.seed,
        threads: context.threads,
        maximise: args.maximise,
        chunk: None,
    };
    options.check(&data)?;
    let mut manifest = Manifest::new(command(context, args, &model, &data), context.seed);
    manifest.class_names = data.class_names().to_vec();
    manifest.models.push(model.record());
    manifest.data.push(DataRecord::of(&data)?);
    let stem = format!("units-{}", model.stem());
    let directory = match context.open_run(args.out.as_deref(), &stem, manifest, args.resume.wanted())? {
        Opened::Complete(path) => return print(context, &path, &read_summary::<Summary>(&path)?),
        Opened::Unfinished(directory) => directory,
    };

    let bar = context.printer.bar(&format!("units {}", model.stem()));
    bar.set_length(1000);
    let results = analyse(
        &model.network,
        &layers,
        &data,
        options,
        &directory.workspace("units")?,
        &context.cancelled,
        &mut |share, what| {
            bar.set_position((1000.0 * share) as u64);
            bar.set_message(what.to_owned());
        },
    )?;
    bar.finish_and_clear();

    let summary = Summary {
        schema_version: SCHEMA_VERSION,
        model: model.name.clone(),
        data: data.name().to_owned(),
        examples: data.len(),
        top: options.k,
        pool: options.pooling,
        layers: results,
        notes: [&model.notes[..], data.notes(), unlabelled.as_slice()].concat(),
    };
    directory.write("directions.csv", directions(&summary.layers, &data).as_bytes())?;
    let page = UnitsPage {
        manifest: directory.manifest(),
        model: &model.name,
        data: &data,
        k: options.k,
        layers: &summary.layers,
        notes: &summary.notes,
    };
    let report = struthio_report::units_page(&page);
    let path = context.finish_run(directory, &report, &summary, Vec::new())?;
    print(context, &path, &summary)?;
    context.done(&path);
    Ok(())
}

/// The layers of these `names`, in the order of the network.
fn layers(model: &LoadedModel, names: &[String]) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for name in names {
        layers.extend(Layer::select(&model.network, name)?);
    }
    layers.sort_by_key(|layer| layer.value.0);
    layers.dedup();
    Ok(layers)
}

fn print(context: &Context, path: &Path, summary: &Summary) -> Result<()> {
    let mut result = json!(summary);
    result["directory"] = json!(path);
    context.printer.result(&result, || text(summary))
}

fn pooling(pool: Pool) -> Pooling {
    match pool {
        Pool::Max => Pooling::Max,
        Pool::Mean => Pooling::Mean,
        Pool::None => Pooling::None,
    }
}

/// The command with everything that determines the results.
fn command(context: &Context, args: &args::Units, model: &LoadedModel, data: &Dataset) -> Vec<String> {
    let mut words: Vec<String> = ["struthio", "units", &model.name].map(String::from).into();
    for (_, name) in args.layers.iter().enumerate().filter(|&(i, name)| !args.layers[..i].contains(name)) {
        words.extend(["--layer".to_owned(), name.clone()]);
    }
    words.extend(args.data.words(data.name()));
    words.extend(args.model.words());
    if let Some(table) = args.attributes.as_ref().and_then(|path| path.file_name()) {
        words.extend(["--attributes".to_owned(), table.to_string_lossy().into_owned()]);
    }
    if let Some(column) = &args.attribute {
        words.extend(["--attribute".to_owned(), column.clone()]);
    }
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    option("top", args.top.to_string());
    option("pool", args.pool.to_possible_value().map_or_else(String::new, |value| value.get_name().into()));
    option("units", args.most.to_string());
    option("seed", context.seed.to_string());
    words.extend(args.maximise.then(|| "--maximise".to_owned()));
    words
}

/// Every direction of one set of each kind, as CSV; the images by their index in the whole data set.
fn directions(results: &[LayerResult], data: &Dataset) -> String {
    let mut csv = String::from(
        "layer,kind,number,label_entropy,purity,pixel_distance,feature_distance,best_auc,best_class,selectivity,sparsity,tied,by_chance,top\n",
    );
    for result in results {
        let layer = format!("\"{}\"", result.layer.replace('"', "\"\""));
        for direction in &result.directions {
            let of = &direction.coherence;
            let top: Vec<String> = direction.top.iter().map(|&i| data.index(i).to_string()).collect();
            let kind = json!(direction.kind);
            let maybe = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            // Writing to a string cannot fail.
            let _ = writeln!(
                csv,
                "{layer},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                kind.as_str().unwrap_or_default(),
                direction.number,
                of.label_entropy,
                of.purity,
                of.pixel_distance,
                maybe(of.feature_distance),
                maybe(of.best_auc),
                of.best_class.map_or_else(String::new, |class| class.to_string()),
                maybe(of.selectivity),
                maybe(of.sparsity),
                direction.tied,
                direction.by_chance,
                top.join(" ")
            );
        }
    }
    csv
}

fn text(summary: &Summary) -> String {
    let examples = counted(summary.examples as u64, "image");
    let Summary { model, data, top, layers, .. } = summary;
    let mut lines = vec![
        format!("{model} on {data}: {examples}, the top {top} of every direction"),
        verdicts::caption(layers),
        String::new(),
        table(&verdicts::HEADER, &layers.iter().map(verdicts::row).collect::<Vec<_>>()),
        String::new(),
    ];
    lines.extend(layers.iter().map(|layer| layer.verdict.sentence.clone()));
    lines.extend(verdicts::caveats(layers));
    lines.join("\n")
}
