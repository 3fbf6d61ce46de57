//! Whatever stands behind the logits, the same images are as far from the boundary as it says.

mod common;

use common::{LANES, attacked, exact, right_examples, trained};
use rand::RngExt;
use struthio::attack::{Criterion, Example, Lbfgs, Status, required_margin};
use struthio::network::ops::{
    Affine, Arithmetic, Clip, Concat, Exp, HardSigmoid, Linear, Log, LogSoftmax, Mean, Op, Operator, Reduce,
    Reduction, Reshape, Sigmoid, Softmax, Tanh, Tensor,
};
use struthio::network::{Classifier, Graph, Network, OutputKind, ValueId, argmax};
use struthio::numeric::random::{Stream, stream};

const CLASSES: usize = 10;

fn times(scale: f32, offset: f32) -> Affine {
    Affine::new(vec![CLASSES], vec![1], vec![scale], vec![offset]).expect("fits")
}

fn softmax() -> Softmax {
    Softmax::new(CLASSES, 0)
}

/// `ops` one after the other behind `linear`.
fn behind(linear: &Graph, ops: Vec<Box<dyn Op>>) -> Graph {
    let mut graph = linear.clone();
    for (i, op) in ops.into_iter().enumerate() {
        graph.then(format!("head{i}"), op).expect("fits");
    }
    graph
}

/// The mean of the softmax and the softmax of twice the logits: classes have the order of the logits.
fn average(linear: &Graph) -> Graph {
    let mut graph = linear.clone();
    let logits = graph.output();
    let first = graph.push("p1", softmax(), &[logits]).expect("fits");
    let doubled = graph.push("doubled", times(2.0, 0.0), &[logits]).expect("fits");
    let second = graph.push("p2", softmax(), &[doubled]).expect("fits");
    let add = Arithmetic::new(Operator::Add, [&[CLASSES], &[CLASSES]]).expect("fits");
    let sum = graph.push("sum", add, &[first, second]).expect("fits");
    graph.push("mean", times(0.5, 0.0), &[sum]).expect("fits");
    graph
}

/// The mean of the sigmoids and the sigmoids of twice the logits, which has the order of the logits as well.
fn votes(linear: &Graph) -> Graph {
    let mut graph = linear.clone();
    let logits = graph.output();
    let first = graph.push("s1", Sigmoid, &[logits]).expect("fits");
    let doubled = graph.push("doubled", times(2.0, 0.0), &[logits]).expect("fits");
    let second = graph.push("s2", Sigmoid, &[doubled]).expect("fits");
    let add = Arithmetic::new(Operator::Add, [&[CLASSES], &[CLASSES]]).expect("fits");
    let sum = graph.push("sum", add, &[first, second]).expect("fits");
    graph.push("mean", times(0.5, 0.0), &[sum]).expect("fits");
    graph
}

/// Sigmoids divided by their sum, as one-against-rest classifiers do.
fn normalised(linear: &Graph) -> Graph {
    let mut graph = behind(linear, vec![Sigmoid.into()]);
    let each = graph.output();
    let sum = Reduce::new(Reduction::L1, &[CLASSES], &[0]).expect("fits");
    let sum = graph.push("sum", sum, &[each]).expect("fits");
    let divide = Arithmetic::new(Operator::Div, [&[CLASSES], &[1]]).expect("fits");
    graph.push("shares", divide, &[each, sum]).expect("fits");
    graph
}

/// Every head, and what it should be recognised as.
fn heads(linear: &Graph) -> Vec<(&'static str, Graph, OutputKind)> {
    use OutputKind::{Combined, LogProbabilities, Logits, Probabilities, Sigmoids, Squashed};
    let of = |ops: Vec<Box<dyn Op>>| behind(linear, ops);
    let upright = || Box::<dyn Op>::from(Reshape::new(vec![CLASSES, 1, 1]));
    let clip = Clip { min: 1e-7, max: 1.0 - 1e-7 };
    vec![
        ("bare", of(vec![]), Logits),
        ("temperature", of(vec![times(0.25, 0.0).into()]), Logits),
        ("softmax", of(vec![softmax().into()]), Probabilities),
        ("percent", of(vec![softmax().into(), times(100.0, 0.0).into()]), Probabilities),
        ("clipped", of(vec![softmax().into(), clip.into()]), Probabilities),
        ("log-softmax", of(vec![LogSoftmax::new(CLASSES, 0).into()]), LogProbabilities),
        ("log of softmax", of(vec![softmax().into(), times(1.0, 1e-9).into(), Log.into()]), Probabilities),
        ("likelihood", of(vec![LogSoftmax::new(CLASSES, 0).into(), Exp.into()]), LogProbabilities),
        ("softmax twice", of(vec![softmax().into(), softmax().into()]), Probabilities),
        ("maps of one pixel", of(vec![upright(), Softmax::new(CLASSES, 0).into()]), Probabilities),
        ("sigmoids", of(vec![Sigmoid.into()]), Sigmoids),
        ("hard sigmoids", of(vec![HardSigmoid { alpha: 0.01, beta: 0.5 }.into()]), Sigmoids),
        ("tanh", of(vec![times(0.1, 0.0).into(), Tanh.into()]), Squashed),
        ("average", average(linear), Combined),
        ("votes", votes(linear), Combined),
        ("clipped average", behind(&average(linear), vec![clip.into()]), Combined),
        ("log of average", behind(&average(linear), vec![Log.into()]), Combined),
        ("shares of sigmoids", normalised(linear), Sigmoids),
    ]
}

/// The graph's own output, without anything taken off.
fn own_class(graph: &Graph, image: &[f32]) -> Option<usize> {
    let mut plan = struthio::network::Plan::new(graph, struthio::network::Wanted::InputGradient);
    plan.inputs(1).copy_from_slice(image);
    argmax(plan.forward(graph))
}

fn logits(network: &Network, image: &[f32]) -> Vec<f32> {
    let mut session = network.session();
    session.inputs(1).copy_from_slice(image);
    session.forward().expect("works").to_vec()
}

#[test]
fn every_head_has_the_exact_optimum() {
    let linear = trained("fc10", 6000, 1e-2, 150);
    let test = struthio::data::mnist_test().expect("MNIST");
    let images = 100;
    let examples = right_examples(&linear, &test, images);
    let parameters: Vec<_> = linear.graph().parameters().collect();
    let (weight, bias) = (&parameters[0].values, &parameters[1].values);
    for (name, graph, kind) in heads(linear.graph()) {
        let network = Network::new(name, graph.clone()).expect("a classifier");
        assert_eq!(network.output_kind(), kind, "{name}");
        assert_eq!(network.notes().is_empty(), kind == OutputKind::Logits, "{name}");
        let outcomes = attacked(&network, &Lbfgs::default(), &examples, LANES);
        for (example, outcome) in examples.iter().zip(&outcomes) {
            assert_eq!(outcome.status, Status::Found, "{name}, image {}", example.index);
            let adversarial = outcome.adversarial.as_ref().expect("found");
            // The margin asked for, in units of the linear network's logits.
            let margin = required_margin(&logits(&linear, &adversarial.image));
            let exact = exact::exact_untargeted(weight, bias, &example.image, example.label, margin);
            let allowed = (1e-3 * exact).max(2e-5);
            let found = adversarial.l2;
            assert!(
                (found - exact).abs() <= allowed,
                "{name}, image {}: found {found}, exact {exact}",
                example.index
            );
            let own = own_class(&graph, &adversarial.image);
            assert_eq!(own, Some(adversarial.label), "{name}, image {}", example.index);
            assert_ne!(own, Some(example.label), "{name}, image {}", example.index);
        }
    }
}

/// One output: the difference of two of the linear network's logits, as it is or behind a sigmoid.
#[test]
fn a_single_output_has_the_exact_optimum() {
    let linear = trained("fc10", 6000, 1e-4, 150);
    let parameters: Vec<_> = linear.graph().parameters().collect();
    let (weight, bias) = (&parameters[0].values, &parameters[1].values);
    let w: Vec<f32> = weight.chunks_exact(CLASSES).map(|row| row[3] - row[8]).collect();
    let b = bias[3] - bias[8];
    let column = Tensor { shape: vec![784, 1], values: w.clone() };
    let difference = Linear::new(column, Tensor { shape: vec![1], values: vec![b] }).expect("fits");
    let mut bare = Graph::new(linear.input().shape.clone());
    if bare.shape(ValueId::INPUT).len() > 1 {
        bare.then("flatten", Reshape::between(&linear.input().shape, vec![784]).expect("fits"))
            .expect("fits");
    }
    bare.then("z", difference).expect("fits");
    let sigmoid = behind(&bare, vec![Sigmoid.into()]);
    // The mean of two sigmoids whose inputs change their sign together.
    let mut both = sigmoid.clone();
    let z = ValueId(both.output().0 - 1);
    let first = both.output();
    let halved = both
        .push("half", Affine::new(vec![1], vec![1], vec![0.5], vec![0.0]).expect("fits"), &[z])
        .expect("fits");
    let second = both.push("second", Sigmoid, &[halved]).expect("fits");
    let add = Arithmetic::new(Operator::Add, [&[1], &[1]]).expect("fits");
    both.push("sum", add, &[first, second]).expect("fits");
    both.then("mean", Affine::new(vec![1], vec![1], vec![0.5], vec![0.0]).expect("fits")).expect("fits");

    let test = struthio::data::mnist_test().expect("MNIST");
    for (name, graph, kind) in [
        ("logit", bare, OutputKind::OneLogit),
        ("sigmoid", sigmoid, OutputKind::OneProbability),
        ("sigmoids", both, OutputKind::OneProbability),
    ] {
        let network = Network::new(name, graph).expect("a classifier");
        assert_eq!((network.classes(), network.output_kind()), (2, kind), "{name}");
        let sign = |label: usize| if label == 1 { -1.0 } else { 1.0 };
        let examples: Vec<Example> = (0..100)
            .map(|i| (i, test.image(i).expect("readable")))
            .filter(|(i, _)| [3, 8].contains(&test.label(*i)))
            .map(|(index, image)| {
                let z = logits(&network, &image);
                let label = network.class_of(&z).expect("no NaN");
                Example { index, image, label, criterion: Criterion::NotClass(label) }
            })
            .collect();
        assert!(examples.iter().any(|e| e.label == 0) && examples.iter().any(|e| e.label == 1));
        let outcomes = attacked(&network, &Lbfgs::default(), &examples, LANES);
        for (example, outcome) in examples.iter().zip(&outcomes) {
            let found = outcome.adversarial.as_ref().expect(name).l2;
            let x: Vec<f64> = example.image.iter().map(|&v| v as f64).collect();
            let toward: Vec<f64> = w.iter().map(|&w| sign(example.label) * w as f64).collect();
            let exact = exact::exact_distance(&x, &toward, sign(example.label) * b as f64);
            assert!((found - exact).abs() <= (1e-3 * exact).max(2e-5), "{name}: {found}, exact {exact}");
        }
    }
}

fn uniform(draws: &mut Stream, count: usize) -> Vec<f32> {
    (0..count).map(|_| draws.random::<f32>() * 8.0 - 4.0).collect()
}

/// Two softmaxes of five classes on six pixels, and their matrices.
fn members(draws: &mut Stream) -> (Graph, [ValueId; 2], [Vec<f32>; 2]) {
    let weights = [uniform(draws, 30), uniform(draws, 30)];
    let mut graph = Graph::new(vec![6]);
    let mut member = |i: usize| {
        let weight = Tensor { shape: vec![6, 5], values: weights[i].clone() };
        let linear = Linear::new(weight, Tensor { shape: vec![5], values: vec![0.0; 5] }).expect("fits");
        let z = graph.push(format!("z{i}"), linear, &[ValueId::INPUT]).expect("fits");
        graph.push(format!("p{i}"), Softmax::new(5, 0), &[z]).expect("fits")
    };
    let values = [member(0), member(1)];
    (graph, values, weights)
}

/// Probabilities in f64.
fn probabilities(weight: &[f32], x: &[f64]) -> Vec<f64> {
    let z: Vec<f64> = (0..5).map(|j| (0..6).map(|i| x[i] * weight[i * 5 + j] as f64).sum::<f64>()).collect();
    let sum: f64 = z.iter().map(|z| z.exp()).sum();
    z.iter().map(|z| z.exp() / sum).collect()
}

/// A value of the two members' and the class.
type Formula = fn(f64, f64, usize) -> f64;

#[test]
fn averages_are_computed_on_logarithms() {
    let mut draws = stream(9, "averages", 0);
    let (graph, [p, q], weights) = members(&mut draws);
    let op = |operator| Arithmetic::new(operator, [&[5], &[5]]).expect("fits");
    let affine = |scale: Vec<f32>| {
        let len = scale.len();
        Affine::new(vec![5], vec![len], scale, vec![0.0; len]).expect("fits")
    };

    let mut weighted = graph.clone();
    let less = weighted.push("less", affine(vec![0.3]), &[p]).expect("fits");
    let more = weighted.push("more", affine(vec![0.7]), &[q]).expect("fits");
    weighted.push("sum", op(Operator::Add), &[less, more]).expect("fits");

    let mut stacked = graph.clone();
    let rows = [p, q].map(|value| stacked.push("row", Reshape::new(vec![1, 5]), &[value]).expect("fits"));
    stacked.push("stack", Concat::new(&[&[1, 5], &[1, 5]], 0).expect("fits"), &rows).expect("fits");
    stacked.then("mean", Mean::new(&[2, 5], &[0]).expect("fits")).expect("fits");
    stacked.then("flat", Reshape::new(vec![5])).expect("fits");

    let mut product = graph.clone();
    product.push("product", op(Operator::Mul), &[p, q]).expect("fits");
    product.then("prior", affine(vec![0.1, 0.2, 0.3, 0.4, 0.5])).expect("fits");

    let mut logs = graph.clone();
    let both = [p, q].map(|value| logs.push("log", Log, &[value]).expect("fits"));
    logs.push("sum", op(Operator::Add), &both).expect("fits");

    let cases: [(&str, Graph, Formula); 4] = [
        ("weighted", weighted, |p, q, _| (0.3 * p + 0.7 * q).ln()),
        ("stacked", stacked, |p, q, _| (0.5 * p + 0.5 * q).ln()),
        ("product", product, |p, q, j| (p * q * 0.1 * (j + 1) as f64).ln()),
        ("logarithms", logs, |p, q, _| p.ln() + q.ln()),
    ];
    for (name, graph, formula) in cases {
        let network = Network::new(name, graph).expect("a classifier");
        assert_eq!(network.output_kind(), OutputKind::Combined, "{name}");
        assert!(network.notes()[0].contains("2 softmaxes"), "{name}");
        let mut session = network.session();
        for _ in 0..20 {
            // Far out, so that single probabilities are as small as e⁻⁶⁰.
            let x: Vec<f32> = uniform(&mut draws, 6);
            let expected = |x: &[f64]| -> Vec<f64> {
                let [p, q] = [probabilities(&weights[0], x), probabilities(&weights[1], x)];
                (0..5).map(|j| formula(p[j], q[j], j)).collect()
            };
            let exact: Vec<f64> = x.iter().map(|&v| v as f64).collect();
            session.inputs(1).copy_from_slice(&x);
            let found = session.forward().expect("works").to_vec();
            for (found, expected) in found.iter().zip(expected(&exact)) {
                assert!(
                    (*found as f64 - expected).abs() < 1e-5 * expected.abs().max(1.0),
                    "{name}: {found} {expected}"
                );
            }
            let seed = uniform(&mut draws, 5);
            let value = |x: &[f64]| expected(x).iter().zip(&seed).map(|(v, &s)| v * s as f64).sum::<f64>();
            let gradient = session.backward(&seed).expect("works").to_vec();
            for i in 0..6 {
                let at = |h: f64| {
                    let mut moved = exact.clone();
                    moved[i] += h;
                    value(&moved)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((gradient[i] as f64 - slope).abs() < 1e-4 * slope.abs().max(1.0), "{name}: {slope}");
            }
        }
    }
}

/// Where saturated sigmoids are equal in f32, the first class is the model's, whatever the logits say.
#[test]
fn the_models_own_output_has_the_last_word() {
    let weight = Tensor { shape: vec![2, 2], values: vec![0.0, 4.0, 0.0, 0.0] };
    let linear = Linear::new(weight, Tensor { shape: vec![2], values: vec![12.0, 10.0] }).expect("fits");
    let mut graph = Graph::new(vec![2]);
    graph.then("z", linear).expect("fits");
    let graph = behind(&graph, vec![Sigmoid.into()]);
    let network = Network::new("saturated", graph.clone()).expect("a classifier");
    assert_eq!(network.class_of(&[30.0, 40.0]), Some(0));
    assert_eq!(network.class_of(&[3.0, 4.0]), Some(1));
    let image = vec![0.2, 0.5];
    let example = Example { index: 0, image: image.clone(), label: 0, criterion: Criterion::NotClass(0) };
    let outcome = &attacked(&network, &Lbfgs::default(), &[example], LANES)[0];
    let adversarial = outcome.adversarial.as_ref().expect("found");
    assert_eq!(own_class(&graph, &adversarial.image), Some(1));
    // The logits are equal at 0.5; the sigmoids differ by 4e-7, which no rounding undoes, from about here on:
    let rest = 1.0 / (1.0 + 12.0_f64.exp()) - 4e-7;
    let exact = ((1.0 / rest - 1.0).ln() - 10.0) / 4.0 - 0.2;
    assert!((0.98 * exact..1.02 * exact).contains(&adversarial.l2), "{} {exact}", adversarial.l2);
    assert_eq!(
        [[12.0, 12.03], [12.0, 12.2]].map(|logits| network.sure_class_of(&logits, None)),
        [None, Some(1)]
    );
}

/// With two classes ahead of the one that is left, it does not matter which of them comes first; and what is
/// infinitely far behind is behind.
#[test]
fn what_is_left_has_to_be_surely_behind() {
    let network =
        |op: Vec<Box<dyn Op>>| Network::new("three", behind(&Graph::new(vec![3]), op)).expect("a classifier");
    let sigmoids = network(vec![Sigmoid.into()]);
    assert_eq!(sigmoids.sure_class_of(&[0.1, 30.0, 40.0], Some(0)), Some(1));
    assert_eq!(sigmoids.sure_class_of(&[0.1, 30.0, 40.0], None), None);
    assert_eq!(sigmoids.sure_class_of(&[29.0, 30.0, -40.0], Some(0)), None);
    let logarithms = network(vec![Softmax::new(3, 0).into(), Clip { min: 0.0, max: 1.0 }.into(), Log.into()]);
    assert_eq!(logarithms.sure_class_of(&[200.0, 0.0, -5.0], None), Some(0));
}

/// Whatever is made from the members' sigmoids, the class is that of the graph as it is.
#[test]
fn sums_of_sigmoids_keep_the_class() {
    let mut draws = stream(10, "votes", 0);
    let row = |operator| Arithmetic::new(operator, [&[5], &[5]]).expect("fits");
    let times = |scale| Affine::new(vec![5], vec![1], vec![scale], vec![0.0]).expect("fits");
    let mut base = Graph::new(vec![6]);
    let members = [0, 1, 2].map(|i| {
        let weight = Tensor { shape: vec![6, 5], values: uniform(&mut draws, 30) };
        let linear = Linear::new(weight, Tensor { shape: vec![5], values: vec![0.0; 5] }).expect("fits");
        let z = base.push(format!("z{i}"), linear, &[ValueId::INPUT]).expect("fits");
        base.push(format!("s{i}"), Sigmoid, &[z]).expect("fits")
    });
    let pair = |operator| {
        let mut graph = base.clone();
        graph.push("pair", row(operator), &members[..2]).expect("fits");
        graph
    };
    let sum = pair(Operator::Add);
    let mut clipped = sum.clone();
    clipped.then("clip", Clip { min: 0.0, max: 1.0 }).expect("fits");
    let mut weighted = base.clone();
    let shares = [0.2, 0.5, 0.9].iter().zip(members);
    let shares: Vec<ValueId> = shares
        .map(|(&share, member)| weighted.push("share", times(share), &[member]).expect("fits"))
        .collect();
    let two = weighted.push("two", row(Operator::Add), &shares[..2]).expect("fits");
    weighted.push("three", row(Operator::Add), &[two, shares[2]]).expect("fits");
    let mut stacked = base.clone();
    let rows = members.map(|member| stacked.push("row", Reshape::new(vec![1, 5]), &[member]).expect("fits"));
    stacked.push("stack", Concat::new(&[[1, 5].as_slice(); 3], 0).expect("fits"), &rows).expect("fits");
    stacked.then("mean", Mean::new(&[3, 5], &[0]).expect("fits")).expect("fits");
    stacked.then("flat", Reshape::new(vec![5])).expect("fits");
    let mut joined = sum.clone();
    let half = joined.output();
    joined.push("joined", Concat::new(&[&[5], &[5]], 0).expect("fits"), &[half, members[2]]).expect("fits");

    let graphs = [
        ("sum", sum),
        ("clipped", clipped),
        ("weighted", weighted),
        ("stacked", stacked),
        ("joined", joined),
        ("maximum", pair(Operator::Max)),
        ("product", pair(Operator::Mul)),
    ];
    for (name, graph) in graphs {
        let network = Network::new(name, graph.clone()).expect("a classifier");
        for _ in 0..300 {
            let x: Vec<f32> = uniform(&mut draws, 6).iter().map(|v| 0.1 * v).collect();
            let mut plan = struthio::network::Plan::new(&graph, struthio::network::Wanted::InputGradient);
            plan.inputs(1).copy_from_slice(&x);
            let mut outputs = plan.forward(&graph).to_vec();
            let class = argmax(&outputs);
            outputs.sort_by(f32::total_cmp);
            if outputs[outputs.len() - 1] - outputs[outputs.len() - 2] > 1e-5 {
                assert_eq!(network.class_of(&logits(&network, &x)), class, "{name}: {x:?}");
            }
        }
    }
}

/// Offsets that differ from class to class decide, however small; the same one for all does not.
#[test]
fn offsets_of_probabilities_are_kept() {
    let linear = trained("fc10", 6000, 1e-2, 150);
    let examples = right_examples(&linear, &struthio::data::mnist_test().expect("MNIST"), 30);
    for steps in [1e-3, 1e-4] {
        let offsets = (0..CLASSES).map(|class| steps * class as f32).collect();
        let offsets = Affine::new(vec![CLASSES], vec![CLASSES], vec![1.0; CLASSES], offsets).expect("fits");
        for then in [None, Some(Box::<dyn Op>::from(Log))] {
            let ops = [softmax().into(), offsets.clone().into()].into_iter().chain(then).collect();
            let graph = behind(linear.graph(), ops);
            let network = Network::new("offsets", graph.clone()).expect("a classifier");
            for outcome in attacked(&network, &Lbfgs::default(), &examples, LANES) {
                let adversarial = outcome.adversarial.expect("found");
                let own = own_class(&graph, &adversarial.image);
                assert!(
                    own == Some(adversarial.label) && own != Some(outcome.label),
                    "image {}",
                    outcome.index
                );
            }
        }
    }
}

/// An output that is NaN is no class.
#[test]
fn an_output_that_is_not_finite_is_said() {
    let linear = trained("fc10", 6000, 1e-2, 150);
    let examples = right_examples(&linear, &struthio::data::mnist_test().expect("MNIST"), 10);
    let graph = behind(linear.graph(), vec![times(1.0, -1e3).into(), Log.into()]);
    let network = Network::new("negative", graph).expect("a classifier");
    for outcome in attacked(&network, &Lbfgs::default(), &examples, LANES) {
        assert_eq!(outcome.status, Status::NonFinite);
    }
}

#[test]
fn what_decides_nothing_is_refused() {
    let refused = |graph: Graph| Network::new("m.onnx", graph).expect_err("refused").to_string();
    let mut one = Graph::new(vec![1]);
    one.then("p", Softmax::new(1, 0)).expect("fits");
    assert!(refused(one).contains("a softmax over a single value, which is always 1"));
    let mut digits = Graph::new(vec![10]);
    digits.then("digits", Reshape::new(vec![2, 5])).expect("fits");
    digits.then("p", Softmax::new(5, 1)).expect("fits");
    assert!(refused(digits).contains("one row of outputs per image, found shape [2, 5]"));
}
