//! Every op against central differences: the input gradient and the parameter gradients.

use rand::RngExt;
use struthio::network::ops::{
    Abs, Affine, Arithmetic, AveragePool, Celu, Clip, Concat, Conv, Elu, Erf, Exp, Gelu, GeluTanh,
    HardSigmoid, HardSwish, Interpolation, LeakyRelu, Linear, Log, LogSigmoid, LogSoftmax, Lrn, MaxPool,
    Mean, Mish, Op, Operator, PRelu, Power, Reciprocal, Reduce, Reduction, Relu, Relu6, Reshape, Resize,
    Sampling, Selu, Sigmoid, Softmax, Softplus, Softsign, Sqrt, Standardize, Tanh, Tensor, Window,
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
        let shape = vec![WIDTH];
        Affine::new(shape.clone(), shape, uniform(draws, WIDTH), uniform(draws, WIDTH)).expect("lengths fit")
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
        ("softmax fused", around(Softmax::new(WIDTH, 0), &mut draws)),
        ("softmax alone", alone(Softmax::new(WIDTH, 0))),
        ("log-softmax fused", around(LogSoftmax::new(WIDTH, 0), &mut draws)),
        ("log-softmax alone", alone(LogSoftmax::new(WIDTH, 0))),
        ("reshape alone", alone(Reshape::new(vec![2, 3]))),
    ];
    graphs.push(("affine fused", around(affine(&mut draws), &mut draws)));
    graphs.push(("affine alone", alone(affine(&mut draws))));
    let mut normalized = Graph::new(vec![2, 3]);
    normalized.then("normalize", normalize).expect("fits");
    normalized.then("flatten", Reshape::new(vec![6])).expect("fits");
    normalized.then("sigmoid", Sigmoid).expect("fits");
    graphs.push(("normalize, flatten, sigmoid", normalized));

    let add = || Arithmetic::new(Operator::Add, [&[WIDTH], &[WIDTH]]).expect("same shapes");
    // Values with several readers: the input, a linear layer, an activation in place, a view.
    let mut branches = Graph::new(vec![WIDTH]);
    let a = branches.push("a", linear(&mut draws, WIDTH, WIDTH), &[ValueId::INPUT]).expect("fits");
    let view = branches.push("view", Reshape::new(vec![1, WIDTH]), &[a]).expect("fits");
    let flat = branches.push("flat", Reshape::new(vec![WIDTH]), &[view]).expect("fits");
    let squashed = branches.push("squashed", Sigmoid, &[flat]).expect("fits");
    let b = branches.push("b", linear(&mut draws, WIDTH, WIDTH), &[squashed]).expect("fits");
    let c = branches.push("c", Tanh, &[b]).expect("fits");
    let sum = branches.push("sum", add(), &[c, a]).expect("fits");
    let sum = branches.push("with the input", add(), &[sum, ValueId::INPUT]).expect("fits");
    branches.push("doubled", add(), &[sum, sum]).expect("fits");
    graphs.push(("branches", branches));
    let mut logarithm = Graph::new(vec![WIDTH]);
    logarithm.then("positive", Exp).expect("fits");
    logarithm.then("sigmoid", Sigmoid).expect("fits");
    logarithm.then("log", Log).expect("fits");
    graphs.push(("log of a sigmoid", logarithm));
    graphs.extend(activations(&mut draws));
    graphs.extend(of_positive_values());
    graphs.extend(reductions());
    graphs.extend(images(&mut draws));
    graphs
}

fn activations(draws: &mut Stream) -> Vec<(&'static str, Graph)> {
    vec![
        ("leaky relu fused", around(LeakyRelu { alpha: 0.2 }, draws)),
        ("elu alone", alone(Elu { alpha: 0.7 })),
        ("elu fused", around(Elu { alpha: 0.7 }, draws)),
        ("prelu", around(PRelu::new(vec![-0.3]), draws)),
        ("hard sigmoid", around(HardSigmoid { alpha: 0.4, beta: 0.5 }, draws)),
        ("hard swish", around(HardSwish, draws)),
        ("relu6", around(Relu6, draws)),
        ("clip", around(Clip { min: -0.4, max: 0.3 }, draws)),
        ("erf", around(Erf, draws)),
        ("gelu", around(Gelu, draws)),
        ("exp", around(Exp, draws)),
        ("log-sigmoid", around(LogSigmoid, draws)),
        ("log-sigmoid alone", alone(LogSigmoid)),
        ("gelu with tanh", around(GeluTanh, draws)),
        ("selu fused", around(Selu { alpha: 1.6, gamma: 1.1 }, draws)),
        ("celu", around(Celu { alpha: 0.3 }, draws)),
        ("abs", around(Abs, draws)),
        ("softplus", around(Softplus, draws)),
        ("softsign", around(Softsign, draws)),
        ("mish", around(Mish, draws)),
        ("square", around(Power { exponent: 2.0 }, draws)),
        ("cube alone", alone(Power { exponent: 3.0 })),
    ]
}

/// Ops whose slope grows without bound at zero.
fn of_positive_values() -> Vec<(&'static str, Graph)> {
    let of = |op: Box<dyn Op>| {
        let mut graph = Graph::new(vec![WIDTH]);
        graph.then("positive", Exp).expect("fits");
        graph.then("op", op).expect("fits");
        graph
    };
    vec![
        ("log", of(Log.into())),
        ("square root", of(Sqrt.into())),
        ("reciprocal", of(Reciprocal.into())),
        ("power", of(Power { exponent: -0.7 }.into())),
    ]
}

/// Numbers of groups of values.
fn reductions() -> Vec<(&'static str, Graph)> {
    let of = |op: Box<dyn Op>| {
        let mut graph = Graph::new(IMAGE.to_vec());
        graph.then("op", op).expect("fits");
        graph
    };
    let reduce = |reduction, axes: &[usize]| of(Reduce::new(reduction, &IMAGE, axes).expect("fits").into());
    let standardize = |groups| of(Standardize::new(&IMAGE, groups, 0.1).expect("fits").into());
    let mut extremes = Graph::new(IMAGE.to_vec());
    let mean = extremes.then("mean", Mean::new(&IMAGE, &[0]).expect("fits")).expect("fits");
    let max = Arithmetic::new(Operator::Max, [&IMAGE, &[1, 6, 5]]).expect("fits");
    let larger = extremes.push("max", max, &[ValueId::INPUT, mean]).expect("fits");
    let lines = Reduce::new(Reduction::L2, &IMAGE, &[0, 2]).expect("fits");
    let lines = extremes.push("lines", lines, &[ValueId::INPUT]).expect("fits");
    let min = Arithmetic::new(Operator::Min, [&[1, 6, 1], &IMAGE]).expect("fits");
    extremes.push("min", min, &[lines, larger]).expect("fits");
    vec![
        ("sum", reduce(Reduction::Sum, &[0, 2])),
        ("sum of magnitudes", reduce(Reduction::L1, &[1])),
        ("norm of channels", reduce(Reduction::L2, &[0])),
        ("norm of everything", reduce(Reduction::L2, &[0, 1, 2])),
        ("sum of squares", reduce(Reduction::SumSquare, &[1, 2])),
        ("largest", reduce(Reduction::Max, &[0, 1])),
        ("smallest", reduce(Reduction::Min, &[2])),
        ("log-sum-exp", reduce(Reduction::LogSumExp, &[0])),
        ("instance normalisation", standardize(4)),
        ("group normalisation", standardize(2)),
        ("layer normalisation of an image", standardize(1)),
        ("layer normalisation of lines", standardize(24)),
        ("extremes", extremes),
    ]
}

const IMAGE: [usize; 3] = [4, 6, 5];

/// A convolution of `input` to `outputs` channels in `groups`.
fn conv(draws: &mut Stream, input: [usize; 3], outputs: usize, window: Window, groups: usize) -> Conv {
    let shape = vec![outputs, input[0] / groups, window.size[0], window.size[1]];
    // Sums of many products would drown the differences in roundings.
    let scale = 1.0 / shape[1..].iter().product::<usize>() as f32;
    let values = uniform(draws, shape.iter().product()).into_iter().map(|w| 3.0 * scale * w).collect();
    let bias = Tensor { shape: vec![outputs], values: uniform(draws, outputs) };
    Conv::new(input, Tensor { shape, values }, bias, window, groups).expect("shapes fit")
}

/// Convolutions, pooling, and everything that has to know how images are stored.
fn images(draws: &mut Stream) -> Vec<(&'static str, Graph)> {
    let of = |op: Box<dyn Op>| {
        let mut graph = Graph::new(IMAGE.to_vec());
        graph.then("op", op).expect("fits");
        graph
    };
    let plain = Window::of([3, 3]);
    let odd = Window { stride: [2, 1], dilation: [1, 2], before: [1, 2], after: [0, 1], ..plain };
    let wide = Window { before: [2, 3], after: [3, 2], ..plain };
    let padded = Window { before: [1, 1], after: [1, 1], ..plain };
    let steps = Window { stride: [2, 2], ..padded };
    let pool = Window { size: [3, 2], stride: [2, 2], before: [1, 0], after: [1, 1], ..plain };
    let shape = |channels: usize| vec![channels, 6, 5];
    let interpolation = Interpolation::Cubic { slope: -0.75 };
    let cubic = Sampling { interpolation, antialias: false, inside: false, ..Sampling::SMOOTH };
    let mut graphs = vec![
        ("conv", of(conv(draws, IMAGE, 9, plain, 1).into())),
        ("conv 1x1", of(conv(draws, IMAGE, 3, Window::of([1, 1]), 1).into())),
        ("conv with odd steps", of(conv(draws, IMAGE, 3, odd, 1).into())),
        ("conv beyond its pads", of(conv(draws, IMAGE, 3, wide, 1).into())),
        ("conv in groups", of(conv(draws, IMAGE, 6, padded, 2).into())),
        ("conv 1x1 in groups", of(conv(draws, IMAGE, 2, Window::of([1, 1]), 2).into())),
        ("depthwise", of(conv(draws, IMAGE, 4, padded, 4).into())),
        ("depthwise with steps", of(conv(draws, IMAGE, 4, steps, 4).into())),
        ("depthwise with odd steps", of(conv(draws, IMAGE, 4, odd, 4).into())),
        ("max pool", of(MaxPool::new(IMAGE, pool).expect("fits").into())),
        ("average pool", of(AveragePool::new(IMAGE, pool, [[1, 0], [1, 0]]).expect("fits").into())),
        ("smaller and wider", of(Resize::new(IMAGE, [3, 8], None, Sampling::SMOOTH).expect("fits").into())),
        ("larger, cubic", of(Resize::new(IMAGE, [9, 7], Some([1.6, 1.4]), cubic).expect("fits").into())),
        ("mean of an image", of(AveragePool::global(IMAGE).expect("fits").into())),
        ("mean over channels", of(Mean::new(&IMAGE, &[0]).expect("fits").into())),
        ("mean over lines", of(Mean::new(&IMAGE, &[0, 2]).expect("fits").into())),
        (
            "log-sum-exp over channels",
            of(Reduce::new(Reduction::LogSumExp, &IMAGE, &[0]).expect("fits").into()),
        ),
        (
            "log-sum-exp over lines",
            of(Reduce::new(Reduction::LogSumExp, &IMAGE, &[0, 2]).expect("fits").into()),
        ),
        ("lrn", of(Lrn::new(4, 3, [2.0, 0.75, 1.0]).expect("valid").into())),
        ("softmax over channels", of(Softmax::new(4, 0).into())),
        ("log-softmax over channels", of(LogSoftmax::new(4, 0).into())),
        ("lrn, even and steep", of(Lrn::new(4, 4, [2.0, 1.5, 0.8]).expect("valid").into())),
        ("flatten", of(Reshape::between(&IMAGE, vec![120]).expect("fits"))),
        ("reshape", of(Reshape::between(&IMAGE, vec![5, 4, 6]).expect("fits"))),
        ("prelu per channel", of(PRelu::new(uniform(draws, 4)).into())),
    ];
    for (name, constants) in [
        ("per channel", vec![4, 1, 1]),
        ("per line", vec![1, 6, 1]),
        ("per value", shape(4)),
        ("one", vec![1; 3]),
    ] {
        let count = constants.iter().product();
        let [scale, offset] = [uniform(draws, count), uniform(draws, count)];
        graphs.push((name, of(Affine::new(shape(4), constants, scale, offset).expect("fits").into())));
    }

    // Enough channels for the gradient to be a convolution itself, and activations between.
    let mut deep = Graph::new(vec![2, 5, 6]);
    deep.then("conv1", conv(draws, [2, 5, 6], 8, padded, 1)).expect("fits");
    deep.then("tanh", Tanh).expect("fits");
    deep.then("conv2", conv(draws, [8, 5, 6], 5, Window { dilation: [2, 1], ..padded }, 1)).expect("fits");
    deep.then("flatten", Reshape::between(&[5, 3, 6], vec![90]).expect("fits")).expect("fits");
    graphs.push(("convolutions", deep));

    // Branches that meet again: joined, and by arithmetic with repeated axes.
    for (name, axis) in [("channels joined", 0), ("lines joined", 1), ("columns joined", 2)] {
        let mut joined = Graph::new(IMAGE.to_vec());
        let a = joined.push("a", conv(draws, IMAGE, 4, padded, 1), &[ValueId::INPUT]).expect("fits");
        let op = Concat::new(&[&IMAGE, joined.shape(a), &IMAGE], axis).expect("fits");
        joined.push("joined", op, &[ValueId::INPUT, a, ValueId::INPUT]).expect("fits");
        graphs.push((name, joined));
    }
    for (name, operator) in [
        ("squeeze and add", Operator::Add),
        ("squeeze and subtract", Operator::Sub),
        ("squeeze and multiply", Operator::Mul),
        ("squeeze and divide", Operator::Div),
    ] {
        let mut squeezed = Graph::new(IMAGE.to_vec());
        let mean = squeezed.then("mean", AveragePool::global(IMAGE).expect("fits")).expect("fits");
        let gate = squeezed.push("gate", Sigmoid, &[mean]).expect("fits");
        let op = Arithmetic::new(operator, [&IMAGE, &[4, 1, 1]]).expect("fits");
        let scaled = squeezed.push("scaled", op, &[ValueId::INPUT, gate]).expect("fits");
        let lines =
            squeezed.push("lines", Mean::new(&IMAGE, &[0, 2]).expect("fits"), &[scaled]).expect("fits");
        let op = Arithmetic::new(Operator::Mul, [&[1, 6, 1], &IMAGE]).expect("fits");
        squeezed.push("by line", op, &[lines, ValueId::INPUT]).expect("fits");
        graphs.push((name, squeezed));
    }
    graphs
}

/// Σ in f64 over the window, straight from the definition.
fn convolved(
    x: &[f32],
    [channels, height, width]: [usize; 3],
    op: &Conv,
    window: Window,
    groups: usize,
) -> Vec<f64> {
    let (weight, bias) = (op.parameters()[0], op.parameters()[1]);
    let [outputs, inputs, rows, columns] = weight.shape[..] else { panic!("four axes") };
    let [tall, across] = window.positions([height, width]).expect("fits");
    let mut sums = Vec::new();
    for o in 0..outputs {
        for (y, x0) in (0..tall).flat_map(|y| (0..across).map(move |x| (y, x))) {
            let mut sum = bias.values[o] as f64;
            for (c, ky, kx) in (0..inputs)
                .flat_map(|c| (0..rows).map(move |ky| (c, ky)))
                .flat_map(|(c, ky)| (0..columns).map(move |kx| (c, ky, kx)))
            {
                let from_y = (y * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.before[0]);
                let from_x = (x0 * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.before[1]);
                if from_y < height && from_x < width {
                    let channel = o / (outputs / groups) * (channels / groups) + c;
                    let pixel = x[(channel * height + from_y) * width + from_x] as f64;
                    sum += pixel * weight.values[((o * inputs + c) * rows + ky) * columns + kx] as f64;
                }
            }
            sums.push(sum);
        }
    }
    sums
}

#[test]
fn convolutions_are_what_they_are_defined_as() {
    let mut draws = stream(5, "convolutions", 0);
    let plain = Window::of([3, 3]);
    let odd = Window { stride: [2, 1], dilation: [1, 2], before: [1, 2], after: [0, 1], ..plain };
    for (outputs, window, groups) in
        [(9, plain, 1), (3, odd, 1), (6, odd, 2), (4, odd, 4), (8, plain, 4), (5, Window::of([1, 1]), 1)]
    {
        let op = conv(&mut draws, IMAGE, outputs, window, groups);
        let mut graph = Graph::new(IMAGE.to_vec());
        graph.then("conv", op.clone()).expect("fits");
        graph
            .then(
                "flat",
                Reshape::between(graph.shape(graph.output()), vec![graph.features(graph.output())])
                    .expect("fits"),
            )
            .expect("fits");
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        let x = uniform(&mut draws, 120);
        plan.inputs(1).copy_from_slice(&x);
        let expected = convolved(&x, IMAGE, &op, window, groups);
        let found = plan.forward(&graph);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((*found as f64 - expected).abs() < 1e-5, "{window:?} {groups}");
        }
    }
}

#[test]
fn local_response_normalisation_is_what_it_is_defined_as() {
    let (channels, size, [alpha, beta, bias]) = (7, 4, [0.5, 0.75, 2.0]);
    let mut graph = Graph::new(vec![channels, 1, 1]);
    graph.then("lrn", Lrn::new(channels, size, [alpha, beta, bias]).expect("valid")).expect("fits");
    let x = uniform(&mut stream(6, "lrn", 0), channels);
    let mut plan = Plan::new(&graph, Wanted::InputGradient);
    plan.inputs(1).copy_from_slice(&x);
    for (c, &found) in plan.forward(&graph).iter().enumerate() {
        // One channel before and two after, as the ONNX standard says.
        let window = c.saturating_sub(1)..(c + 3).min(channels);
        let sum: f64 = x[window].iter().map(|&x| (x as f64).powi(2)).sum();
        let expected = x[c] as f64 / (bias as f64 + alpha as f64 / size as f64 * sum).powf(beta as f64);
        assert!((found as f64 - expected).abs() < 1e-6, "channel {c}: {found} {expected}");
    }
}

/// Of equal values the first takes the gradient, as in PyTorch; flat images make ties common.
#[test]
fn ties_in_max_pooling_go_to_the_first() {
    let mut graph = Graph::new(vec![1, 2, 3]);
    graph.then("pool", MaxPool::new([1, 2, 3], Window::of([2, 2])).expect("fits")).expect("fits");
    let mut plan = Plan::new(&graph, Wanted::InputGradient);
    plan.inputs(2).copy_from_slice(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(plan.forward(&graph), [0.5, 0.5, 1.0, 1.0]);
    let gradient = plan.backward(&graph, &[1.0, 2.0, 3.0, 4.0], None);
    assert_eq!(gradient, [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0]);
}

/// Slopes at kinks are conventions, PyTorch's.
#[test]
fn slopes_at_kinks() {
    let slope = |op: Box<dyn Op>, x: f32| {
        let mut graph = Graph::new(vec![1]);
        graph.then("op", op).expect("fits");
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        plan.inputs(1)[0] = x;
        plan.forward(&graph);
        plan.backward(&graph, &[1.0], None)[0]
    };
    assert_eq!(slope(Relu.into(), 0.0), 0.0);
    assert_eq!(slope(LeakyRelu { alpha: 0.25 }.into(), 0.0), 0.25);
    assert_eq!(slope(Elu { alpha: 0.5 }.into(), 0.0), 0.5);
    assert_eq!([0.0, 6.0].map(|x| slope(Relu6.into(), x)), [0.0, 0.0]);
    assert_eq!([-1.0, 1.0, 1.5].map(|x| slope(Clip { min: -1.0, max: 1.0 }.into(), x)), [1.0, 1.0, 0.0]);
    let hard = HardSigmoid { alpha: 0.25, beta: 0.5 };
    assert_eq!([-2.0, 0.0, 2.0].map(|x| slope(hard.into(), x)), [0.0, 0.25, 0.0]);
    assert_eq!([-3.0, 3.0].map(|x| slope(HardSwish.into(), x)), [0.0, 1.0]);
    assert_eq!(slope(Abs.into(), 0.0), 0.0);
    assert_eq!(slope(Selu { alpha: 1.5, gamma: 2.0 }.into(), 0.0), 3.0);
    assert_eq!(slope(Celu { alpha: 0.5 }.into(), 0.0), 1.0);
}

/// Infinite slopes would make NaN of everything before; they are taken to be 0.
#[test]
fn nothing_is_nan_at_zero() {
    let shape = [WIDTH];
    let ops: Vec<Box<dyn Op>> = vec![
        Sqrt.into(),
        Log.into(),
        Power { exponent: 0.5 }.into(),
        Power { exponent: 2.0 }.into(),
        Reduce::new(Reduction::L1, &shape, &[0]).expect("fits").into(),
        Reduce::new(Reduction::L2, &shape, &[0]).expect("fits").into(),
        Reduce::new(Reduction::Max, &shape, &[0]).expect("fits").into(),
        Standardize::new(&shape, 1, 0.0).expect("fits").into(),
        Standardize::new(&shape, 1, 1e-5).expect("fits").into(),
    ];
    for op in ops {
        let name = format!("{op:?}");
        let mut graph = Graph::new(shape.to_vec());
        graph.then("op", op).expect("fits");
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        plan.inputs(1).fill(0.0);
        plan.forward(&graph);
        let seeds = vec![1.0; graph.features(graph.output())];
        let gradient = plan.backward(&graph, &seeds, None).to_vec();
        assert!(gradient.iter().all(|g| g.is_finite()), "{name}: {gradient:?}");
        let tangent = plan.tangent(&graph, &[1.0; WIDTH]);
        assert!(tangent.iter().all(|t| t.is_finite()), "{name}: {tangent:?}");
    }
}

/// Σ ⟨seed, output⟩
fn value(graph: &Graph, inputs: &[f32], seeds: &[f32]) -> f64 {
    let mut plan = Plan::new(graph, Wanted::InputGradient);
    plan.inputs(ROWS).copy_from_slice(inputs);
    plan.forward(graph).iter().zip(seeds).map(|(&z, &s)| z as f64 * s as f64).sum()
}

/// Compares with the slopes to both sides, which differ where a kink is close.
fn assert_close(name: &str, what: &str, analytic: f64, at: impl Fn(f32) -> f64) {
    let middle = at(0.0);
    let slopes = [(at(H) - middle) / H as f64, (middle - at(-H)) / H as f64];
    let [low, high] = [slopes[0].min(slopes[1]), slopes[0].max(slopes[1])];
    let central = 0.5 * (low + high);
    let allowed = 2e-3 * central.abs().max(1.0);
    let kink = high - low > 5.0 * allowed;
    let [low, high] = if kink { [low, high] } else { [central, central] };
    assert!(
        (low - allowed..=high + allowed).contains(&analytic),
        "{name}, {what}: {analytic}, but differences say {slopes:?}"
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
            assert_close(name, &format!("input {i}"), gradient[i] as f64, at);
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
                assert_close(name, &format!("parameter {tensor}[{i}]"), analytic as f64, at);
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

/// ⟨seed, J·t⟩ = ⟨Jᵀ·seed, t⟩ for every image, and for the first images alone.
#[test]
fn tangents_are_transposed_gradients() {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
    for (name, graph) in graphs() {
        let mut draws = stream(5, name, 0);
        let [features, outputs] = [ValueId::INPUT, graph.output()].map(|value| graph.features(value));
        let inputs = uniform(&mut draws, ROWS * features);
        let tangents = uniform(&mut draws, ROWS * features);
        let seeds = uniform(&mut draws, ROWS * outputs);
        let mut plan = Plan::new(&graph, Wanted::InputGradient);
        plan.inputs(ROWS).copy_from_slice(&inputs);
        plan.forward(&graph);
        let moved = plan.tangent(&graph, &tangents).to_vec();
        let gradient = plan.backward(&graph, &seeds, None).to_vec();
        for row in 0..ROWS {
            let of = |len: usize| row * len..(row + 1) * len;
            let forwards = dot(&seeds[of(outputs)], &moved[of(outputs)]);
            let backwards = dot(&gradient[of(features)], &tangents[of(features)]);
            let allowed = 2e-6 * (features + outputs) as f64;
            assert!((forwards - backwards).abs() < allowed, "{name}: {forwards}, but {backwards}");
        }
        let some = plan.tangent(&graph, &tangents[..2 * features]);
        assert_eq!(some, &moved[..2 * outputs], "{name}");
    }
}
