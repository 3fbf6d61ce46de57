use anyhow::Result;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use struthio::attack::{Criterion, Example, Lanes, Lbfgs, attack_all};
use struthio::network::Classifier;
use struthio::spectrum::{Certificates, LayerGain, Settings, bound, chained_bound, layer_gains};

use crate::args;
use crate::context::{Context, LoadedModel};
use crate::printer::{LateBar, table};

/// Intervals of the histogram of singular values.
const BINS: usize = 20;

pub fn run(context: &Context, args: &args::Spectrum) -> Result<()> {
    let model = context.load_model(&args.model)?;
    let graph = model.network.graph();
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
    let layers = pool.install(|| layer_gains(graph, settings, &context.cancelled, &progress))?;
    drop(bar);
    for layer in &layers {
        if let Some(note) = wrapped_note(graph, layer) {
            context.printer.note(&note);
        }
    }
    let images = match &args.data {
        Some(spec) => certify(context, &model, &layers, spec)?,
        None => Vec::new(),
    };
    let [product, chained] = [bound(graph, &layers), chained_bound(graph, &layers)];
    let mut result = json!({
        "model": model.name,
        "sha256": model.network.fingerprint(),
        "layers": layers.iter().map(layer_json).collect::<Vec<_>>(),
        "network": { "upper": finite(Some(product)), "chained": finite(Some(chained)) },
    });
    if args.data.is_some() {
        result["images"] = json!(images);
    }
    context.printer.result(&result, || {
        let rows: Vec<Vec<String>> = layers.iter().map(row).collect();
        let header = ["layer", "op", "shape", "stride", "circular", "zero-padded", "upper"];
        let mut gains =
            format!("{}\n\nnetwork, product bound: {}", table(&header, &rows), number(Some(product)));
        if chained < product {
            gains = format!("{gains}\nnetwork, matrices in series taken together: {}", number(Some(chained)));
        }
        if args.data.is_none() {
            return gains;
        }
        let cells =
            |image: &Value| ["index", "certified_l2", "attacked_l2"].map(|key| cell(&image[key])).into();
        let rows: Vec<Vec<String>> = images.iter().map(cells).collect();
        format!("{gains}\n\n{}", table(&["image", "certified L2", "attacked L2"], &rows))
    })
}

/// For every image the certified radius, and the distance that an attack found.
fn certify(context: &Context, model: &LoadedModel, layers: &[LayerGain], spec: &str) -> Result<Vec<Value>> {
    let data = args::Data { data: spec.to_owned(), classes: None };
    let data = context.load_data_for(model, &data, None)?;
    let certificates = Certificates::new(model.network.graph(), layers);
    let mut session = model.network.session();
    let mut radii = Vec::new();
    for i in 0..data.len() {
        session.inputs(1).copy_from_slice(&data.image(i));
        radii.push(certificates.radius(session.forward()?, data.label(i)));
    }
    let lanes = Lanes { threads: context.threads, lanes: 16, budget: None, seed: context.seed };
    let example = |i: usize| Example {
        index: data.index(i),
        image: data.image(i),
        label: data.label(i),
        criterion: Criterion::NotClass(data.label(i)),
    };
    let mut images = Vec::new();
    let bar = LateBar::new(&context.printer, "attack");
    let (attack, count) = (Lbfgs::default(), data.len());
    attack_all(&model.network, &attack, lanes, count, &example, &context.cancelled, &mut |outcome| {
        images.push(json!({
            "index": outcome.index,
            "status": outcome.status,
            "certified_l2": radii[images.len()],
            "attacked_l2": outcome.adversarial.map(|found| found.l2),
        }));
        bar.show(images.len(), count);
        Ok(())
    })?;
    Ok(images)
}

fn layer_json(layer: &LayerGain) -> Value {
    let mut out = json!({
        "name": layer.name,
        "op": layer.op,
        "shape": layer.shape,
        "stride": layer.stride,
        "wrapped": layer.wrapped,
        "circular": layer.circular,
        "zero_padded": layer.zero_padded,
        "residual": layer.residual,
        "upper": finite(layer.upper),
        "unbounded": layer.upper.is_some_and(f64::is_infinite),
    });
    if let Some(spectrum) = &layer.spectrum {
        out["spectrum"] = json!({
            "count": spectrum.values.len(),
            "condition": finite(Some(spectrum.condition())),
            "effective_rank": spectrum.effective_rank(),
            "histogram": spectrum.histogram(BINS),
        });
    }
    out
}

/// Infinity is no number in JSON.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

fn wrapped_note(graph: &struthio::network::Graph, layer: &LayerGain) -> Option<String> {
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

fn row(layer: &LayerGain) -> Vec<String> {
    let list = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    vec![
        layer.name.clone(),
        layer.op.to_owned(),
        list(&layer.shape),
        layer.stride.map_or(String::new(), |stride| list(&stride)),
        layer.circular.map_or(String::new(), |value| number(Some(value))),
        layer.zero_padded.map_or(String::new(), |value| number(Some(value))),
        number(layer.upper),
    ]
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "—".into(),
        Some(value) if value.is_infinite() => "unbounded".into(),
        Some(value) if value < 1e5 => format!("{value:.4}"),
        Some(value) => format!("{value:.3e}"),
    }
}

fn cell(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "—".into(), |v| if value.is_u64() { v.to_string() } else { format!("{v:.5}") })
}
