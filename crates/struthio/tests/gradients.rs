//! Every op against central differences: the input gradient and the parameter gradients.

use rand::RngExt;
use struthio::network::ops::{
    Add, Affine, Linear, LogSoftmax, Op, Relu, Reshape, Sigmoid, Softmax, Tanh, Tensor,
};
use struthio::network::{Graph, ParameterGradients, Plan, ValueId, Wanted};
use struthio::numeric::random::{Stream, stream};

const ROWS: usize = 5;
const WIDTH: usize = 6;

fn uniform(draws: &mut Stream, count: usize) -> Vec<f32> {
    (0..count).map(|_| draws.random::<f32>() * 2.0 - 1.0).collect()
}

fn linear(draws: &mut Stream, inputs: usize, outputs: usize) -> Linear {
    let weight = Tensor { shape: vec![inputs, outputs], values: uniform(draws, inputs * outputs) };
    Linear::new(weight, Tensor { shape: vec![outputs], values: uniform(draws, outputs) }).expect("shapes fit")
}

/// Linear → the op → linear, so that the op runs fused where it can.
fn around(op: impl Into<Box<dyn Op>>, draws: &mut Stream) -> Graph {
    let mut graph = Graph::new(vec![4]);
    graph.then("before", linear(draws, 4, WIDTH)).expect("fits");
    graph.then("op", op).expect("fits");
    graph.then("after", linear(draws, WIDTH, 3)).expect("fits");
    graph
}

/// The op right at the input, where it must not overwrite anything.
fn alone(op: impl Into<Box<dyn Op>>) -> Graph {
    let mut graph = Graph::new(vec![WIDTH]);
    graph.then("op", op).expect("fits");
    graph
}

fn graphs() -> Vec<(&'static str, Graph)> {
    let mut draws = stream(1, "graphs", 0);
    let affine = |draws: &mut Stream| {
        Affine::new(vec![WIDTH], uniform(draws, WIDTH), uniform(draws, WIDTH)).expect("lengths fit")
    };
    let normalize = Affine::normalize(&[2, 3], &[0.3, 0.4], &[0.5, 2.0]).expect("valid");
    let mut graphs = vec![
        ("linear", alone(linear(&mut draws, WIDTH, 3))),
        ("sigmoid fused", around(Sigmoid, &mut draws)),
        ("sigmoid alone", alone(Sigmoid)),
        ("tanh fused", around(Tanh, &mut draws)),
        ("tanh alone", alone(Tanh)),
        ("relu fused", around(Relu, &mut draws)),
        ("relu alone", alone(Relu)),
        ("softmax fused", around(Softmax::new(WIDTH), &mut draws)),
        ("softmax alone", alone(Softmax::new(WIDTH))),
        ("log-softmax fused", around(LogSoftmax::new(WIDTH), &mut draws)),
        ("log-softmax alone", alone(LogSoftmax::new(WIDTH))),
        ("reshape alone", alone(Reshape::new(vec![2, 3]))),
    ];
    graphs.push(("affine fused", around(affine(&mut draws), &mut draws)));
    graphs.push(("affine alone", alone(affine(&mut draws))));
    let mut normalized = Graph::new(vec![2, 3]);
    normalized.then("normalize", normalize).expect("fits");
    normalized.then("flatten", Reshape::new(vec![6])).expect("fits");
    normalized.then("sigmoid", Sigmoid).expect("fits");
    graphs.push(("normalize, flatten, sigmoid", normalized));

    // Values with several readers: the input, a linear layer, an activation in place, a view.
    let mut branches = Graph::new(vec![WIDTH]);
    let a = branches.push("a", linear(&mut draws, WIDTH, WIDTH), &[ValueId::INPUT]).expect("fits");
    let view = branches.push("view", Reshape::new(vec![1, WIDTH]), &[a]).expect("fits");
    let flat = branches.push("flat", Reshape::new(vec![WIDTH]), &[view]).expect("fits");
    let squashed = branches.push("squashed", Sigmoid, &[flat]).expect("fits");
    let b = branches.push("b", linear(&mut draws, WIDTH, WIDTH), &[squashed]).expect("fits");
    let c = branches.push("c", Tanh, &[b]).expect("fits");
    let sum = branches.push("sum", Add, &[c, a]).expect("fits");
    let sum = branches.push("with the input", Add, &[sum, ValueId::INPUT]).expect("fits");
    branches.push("doubled", Add, &[sum, sum]).expect("fits");
    graphs.push(("branches", branches));
    graphs
}

/// Σ ⟨seed, output⟩
fn value(graph: &Graph, inputs: &[f32], seeds: &[f32]) -> f64 {
    let mut plan = Plan::new(graph, Wanted::InputGradient);
    plan.inputs(ROWS).copy_from_slice(inputs);
    plan.forward(graph).iter().zip(seeds).map(|(&z, &s)| z as f64 * s as f64).sum()
}

fn assert_close(name: &str, what: &str, analytic: f64, numeric: f64) {
    let allowed = 2e-3 * numeric.abs().max(1.0);
    assert!(
        (analytic - numeric).abs() < allowed,
        "{name}, {what}: {analytic} but central differences say {numeric}"
    );
}

const H: f32 = 2e-3;

#[test]
fn input_gradients_are_central_differences() {
    for (name, graph) in graphs() {
        let mut draws = stream(2, name, 0);
        let features = graph.features(ValueId::INPUT);
        let inputs = uniform(&mut draws, ROWS * features);
        let seeds = uniform(&mut draws, ROWS * graph.features(graph.output()));
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        plan.inputs(ROWS).copy_from_slice(&inputs);
        plan.forward(&graph);
        let gradient = plan.backward(&graph, &seeds, None).to_vec();
        for i in 0..inputs.len() {
            let at = |h: f32| {
                let mut moved = inputs.clone();
                moved[i] += h;
                value(&graph, &moved, &seeds)
            };
            let numeric = (at(H) - at(-H)) / (2.0 * H as f64);
            assert_close(name, &format!("input {i}"), gradient[i] as f64, numeric);
        }
    }
}

#[test]
fn parameter_gradients_are_central_differences() {
    for (name, graph) in graphs() {
        let mut draws = stream(3, name, 0);
        let inputs = uniform(&mut draws, ROWS * graph.features(ValueId::INPUT));
        let seeds = uniform(&mut draws, ROWS * graph.features(graph.output()));
        let mut plan = Plan::new(&graph, Wanted::ParameterGradients);
        let mut gradients = ParameterGradients::zeros(&graph);
        plan.inputs(ROWS).copy_from_slice(&inputs);
        plan.forward(&graph);
        plan.backward(&graph, &seeds, Some(&mut gradients));
        for (tensor, gradient) in gradients.tensors.iter().enumerate() {
            for (i, &analytic) in gradient.iter().enumerate() {
                let at = |h: f32| {
                    let mut moved = graph.clone();
                    moved.parameters_mut().nth(tensor).expect("tensor").values[i] += h;
                    value(&moved, &inputs, &seeds)
                };
                let numeric = (at(H) - at(-H)) / (2.0 * H as f64);
                assert_close(name, &format!("parameter {tensor}[{i}]"), analytic as f64, numeric);
            }
        }
    }
}

/// A backward pass over the first rows only, as attacks ask for.
#[test]
fn backward_over_the_first_rows() {
    for (name, graph) in graphs() {
        let mut draws = stream(4, name, 0);
        let inputs = uniform(&mut draws, ROWS * graph.features(ValueId::INPUT));
        let seeds = uniform(&mut draws, ROWS * graph.features(graph.output()));
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        plan.inputs(ROWS).copy_from_slice(&inputs);
        plan.forward(&graph);
        let all = plan.backward(&graph, &seeds, None).to_vec();
        plan.inputs(ROWS).copy_from_slice(&inputs);
        plan.forward(&graph);
        let some = plan.backward(&graph, &seeds[..2 * graph.features(graph.output())], None).to_vec();
        assert_eq!(some, all[..some.len()], "{name}");
    }
}
