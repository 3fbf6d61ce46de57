use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use struthio::network::onnx::ModelOutput;
use struthio::network::{Classifier, ValueId};
use struthio_report::count;

use crate::args;
use crate::context::Context;
use crate::printer::table;

/// One output of the file.
#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    shape: &'a str,
    taken: bool,
    evidence: &'a [String],
}

impl<'a> Output<'a> {
    fn of(output: &'a ModelOutput) -> Self {
        let ModelOutput { name, shape, taken, evidence } = output;
        Self { name, shape, taken: *taken, evidence }
    }
}

/// One op of the network as it is executed.
#[derive(Serialize)]
struct Layer {
    name: String,
    op: &'static str,
    /// Shape of the output, without the batch.
    output: Vec<usize>,
    parameters: usize,
    /// Floating-point operations in products of a forward pass, per image.
    flops: u64,
}

pub fn run(context: &Context, args: &args::Inspect) -> Result<()> {
    let model = context.load_model(&args.model.for_data(None))?;
    let network = &model.network;
    let graph = network.graph();
    let layers: Vec<Layer> = graph
        .nodes()
        .iter()
        .enumerate()
        .map(|(i, node)| Layer {
            name: node.name.clone(),
            op: node.op.kind(),
            output: graph.shape(ValueId(i + 1)).to_vec(),
            parameters: node.op.parameters().iter().map(|tensor| tensor.values.len()).sum(),
            flops: node.op.flops(),
        })
        .collect();
    let outputs: Vec<Value> = network.outputs().iter().map(|output| json!(Output::of(output))).collect();
    let result = json!({
        "model": model.name,
        "sha256": network.fingerprint(),
        "input": network.input().shape,
        "classes": network.classes(),
        "parameters": network.parameter_count(),
        "flops": network.flops(),
        "outputs": outputs,
        "layers": layers,
    });
    context.printer.result(&result, || {
        let rows: Vec<Vec<String>> = layers.iter().map(row).collect();
        let outputs: Vec<Vec<String>> = network.outputs().iter().map(output_row).collect();
        format!(
            "{}: input {}, {} classes\n\n{}\n\n{}\n\n{} parameters, {} floating-point operations per image",
            model.name,
            shape(&network.input().shape),
            network.classes(),
            table(&["output of the file", "shape", "class scores", "evidence"], &outputs),
            table(&["layer", "op", "output", "parameters", "operations"], &rows),
            count(network.parameter_count() as u64),
            count(network.flops())
        )
    })
}

fn output_row(output: &ModelOutput) -> Vec<String> {
    let taken = if output.taken { "taken" } else { "" };
    vec![output.name.clone(), output.shape.clone(), taken.into(), output.evidence.join(", ")]
}

fn row(layer: &Layer) -> Vec<String> {
    let unless_none = |number: u64| if number == 0 { String::new() } else { count(number) };
    vec![
        layer.name.clone(),
        layer.op.to_owned(),
        shape(&layer.output),
        unless_none(layer.parameters as u64),
        unless_none(layer.flops),
    ]
}

/// `3 × 224 × 224`
fn shape(axes: &[usize]) -> String {
    axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}
