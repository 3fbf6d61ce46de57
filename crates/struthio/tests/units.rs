//! Planted truths: layers of which it is known whether their units are special.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use struthio::data::{Dataset, Pixels};
use struthio::network::ops::{Linear, Op, Relu, Reshape, Sigmoid, Tanh, Tensor};
use struthio::network::{Architecture, Graph, Network};
use struthio::numeric::random::{Stream, stream};
use struthio::units::{Kind, Layer, LayerResult, Options, Pooling, analyse};

const OPTIONS: Options =
    Options { k: 8, pooling: Pooling::Max, units: 64, seed: 0, threads: 2, maximise: false, chunk: None };

/// Box and Muller's.
fn normal(draws: &mut Stream) -> f32 {
    let (radius, angle): (f64, f64) = (1.0 - draws.random::<f64>(), draws.random());
    ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
}

/// Images of noise, of `classes` classes in turn; `planted` is added to the pixel of an image's class.
fn noise(images: usize, pixels: usize, classes: usize, planted: f32, seed: u64) -> Dataset {
    let mut draws = stream(seed, "noise", 0);
    let labels: Vec<u32> = (0..images).map(|_| draws.random_range(0..classes as u32)).collect();
    let mut values = Vec::new();
    for &label in &labels {
        let own = |i: usize| if i == label as usize { planted } else { 0.0 };
        values.extend((0..pixels).map(|i| 0.4 + 0.03 * normal(&mut draws) + own(i)));
    }
    Dataset::new("noise", vec![pixels], Pixels::Floats(values), labels).expect("pixels in [0, 1]")
}

/// A network whose layer `layer` multiplies by `matrix`.
fn linear(matrix: Vec<f32>, n: usize) -> Network {
    let mut graph = Graph::new(vec![n]);
    let weight = Tensor { shape: vec![n, n], values: matrix };
    let layer = Linear::new(weight, Tensor::zeros(vec![n])).expect("shapes");
    graph.then("layer", layer).expect("fits");
    graph.then("relu", Relu).expect("fits");
    graph.then("out", output(n)).expect("fits");
    Network::new("test", graph).expect("a network")
}

/// A last layer, so that what comes before it is not taken off as the tail of the logits.
fn output(n: usize) -> Linear {
    let weight = Tensor { shape: vec![n, n], values: identity(n) };
    Linear::new(weight, Tensor::zeros(vec![n])).expect("shapes")
}

fn identity(n: usize) -> Vec<f32> {
    (0..n * n).map(|i| f32::from(i / n == i % n)).collect()
}

/// Householder reflections along normal vectors, which make a Haar matrix (Stewart 1980) in another way than
/// the library's.
fn rotation(n: usize, seed: u64) -> Vec<f32> {
    let mut draws = stream(seed, "reflections", 0);
    let mut matrix = identity(n);
    for size in 1..=n {
        let v: Vec<f32> = (0..size).map(|_| normal(&mut draws)).collect();
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        let mut u = v.clone();
        u[0] += norm * v[0].signum();
        let square: f32 = u.iter().map(|x| x * x).sum();
        for row in matrix.chunks_exact_mut(n) {
            let part = &mut row[n - size..];
            let share = 2.0 * part.iter().zip(&u).map(|(a, b)| a * b).sum::<f32>() / square;
            part.iter_mut().zip(&u).for_each(|(x, u)| *x = -v[0].signum() * (*x - share * u));
        }
    }
    matrix
}

fn judged(network: &Network, data: &Dataset, options: Options) -> LayerResult {
    let layers = Layer::select(network, "layer").expect("a layer");
    let never = AtomicBool::new(false);
    let folder = tempfile::tempdir().expect("a folder");
    let mut results =
        analyse(network, &layers, data, options, folder.path(), &never, &mut |_, _| {}).expect("judged");
    results.remove(0)
}

fn p(result: &LayerResult, kind: Kind) -> f64 {
    result.comparison(kind).expect("compared").p
}

#[test]
fn indicators_of_classes_are_more_coherent_than_rotations() {
    let data = noise(400, 10, 10, 0.15, 1);
    let found = judged(&linear(identity(10), 10), &data, OPTIONS);
    assert_eq!(found.verdict.units_more_coherent, Some(true), "{}", found.verdict.sentence);
    for comparison in &found.comparisons {
        assert!(comparison.difference > 0.5 && comparison.superiority > 0.8, "{comparison:?}");
    }
    let units: Vec<_> = found.directions.iter().filter(|d| d.kind == Kind::Units).collect();
    for unit in units {
        assert_eq!(unit.coherence.best_class, Some(unit.number));
        assert!(unit.coherence.label_entropy < 0.6 && unit.coherence.best_auc > Some(0.99), "{unit:?}");
    }
    let means: Vec<f64> = found.dose.iter().map(|dose| dose.mean).collect();
    assert!(means[0] + 0.5 < means[5] && means[1] < means[4], "{means:?}");
}

#[test]
fn the_same_layer_turned_at_random_is_not() {
    let data = noise(400, 10, 10, 0.15, 1);
    let more = (0..12).filter(|&seed| {
        let found = judged(&linear(rotation(10, seed), 10), &data, OPTIONS);
        found.verdict.units_more_coherent.is_some()
    });
    // At a level of 5 %, three of twelve or more would happen once in fifty times.
    assert!(more.count() <= 2);
}

/// Quiet images of one class among others without order: they maximise whatever points away from the mean, which
/// no unit does, but half of all directions do. That says nothing of the units, and is not held against them.
#[test]
fn quiet_images_do_not_decide() {
    let mut draws = stream(2, "quiet", 0);
    let labels: Vec<u32> = (0..600).map(|i| if i % 5 == 0 { 0 } else { draws.random_range(1..8) }).collect();
    let mut values = Vec::new();
    for &label in &labels {
        let (level, spread) = if label == 0 { (0.05, 0.01) } else { (0.5, 0.08) };
        values.extend((0..10).map(|_| level + spread * normal(&mut draws)));
    }
    let data = Dataset::new("quiet", vec![10], Pixels::Floats(values), labels).expect("pixels in [0, 1]");
    let found = judged(&linear(identity(10), 10), &data, OPTIONS);
    let plain = found.comparison(Kind::Haar).expect("compared");
    assert!(plain.p < 0.05 && plain.difference < -0.3, "{plain:?}");
    assert_eq!(found.verdict.units_more_coherent, None, "{}", found.verdict.sentence);
}

/// Counts of p-values in ten bins, for as many data sets.
fn bins(classes: usize, planted: f32) -> [u32; 10] {
    let mut bins = [0; 10];
    let network = linear(identity(6), 6);
    for seed in 0..300 {
        let data = noise(60, 6, classes, planted, seed);
        let found = judged(&network, &data, Options { seed, k: 6, threads: 1, ..OPTIONS });
        bins[((10.0 * p(&found, Kind::REFERENCE) - 1e-9) as usize).min(9)] += 1;
    }
    bins
}

/// With nine degrees of freedom, 27.9 is exceeded once in a thousand times.
fn is_uniform(bins: [u32; 10]) -> bool {
    let squares: f64 = bins.iter().map(|&n| (f64::from(n) - 30.0).powi(2) / 30.0).sum();
    squares < 27.9
}

/// Images of one class are judged by their distances, among which none are equal.
#[test]
fn noise_gives_uniform_p_values() {
    let bins = bins(1, 0.0);
    assert!(is_uniform(bins), "{bins:?}");
}

/// Entropies of few labels are often equal, which makes p-values larger but never smaller than uniform ones.
#[test]
fn noise_with_labels_is_not_found_more_often_than_it_may_be() {
    let noise = bins(6, 0.0);
    // Ninety-nine of a hundred binomial counts of 300 at 10 % are at most 42.
    assert!(noise[0] <= 42, "{noise:?}");
    let planted = bins(6, 0.09);
    assert!(!is_uniform(planted) && planted[0] > 100, "{planted:?}");
}

/// Units that come in fours choose the same images, so their mean stands for few sets, and random labels make it
/// stand out among bases: the first p-value alone finds far too much.
#[test]
fn random_labels_are_not_found_where_units_share_their_images() {
    let mut weights = vec![0.0; 16 * 16];
    for pixel in 0..4 {
        (0..4).for_each(|copy| weights[pixel * 16 + 4 * pixel + copy] = 1.0);
    }
    for (at, weight) in weights.iter_mut().enumerate().skip(4 * 16) {
        *weight = 0.1 * f32::from(at / 16 == at % 16);
    }
    let network = linear(weights, 16);
    let results: Vec<LayerResult> = (0..100)
        .map(|seed| judged(&network, &noise(300, 16, 10, 0.0, seed), Options { seed, threads: 1, ..OPTIONS }))
        .collect();
    let among_bases = results.iter().filter(|result| p(result, Kind::REFERENCE) < 0.05).count();
    let found = results.iter().filter(|result| result.verdict.units_more_coherent.is_some()).count();
    // At a level of 5 %, more than eleven of a hundred are found once in a thousand times.
    assert!(among_bases > 15 && found <= 11, "{among_bases} {found}");
}

/// Black or white, class by class: of the images that tie, the first ones would all be of one class.
#[test]
fn ties_in_sorted_images_do_not_make_units_coherent() {
    let grey = noise(200, 16, 1, 0.0, 9);
    let pixels = (0..200)
        .flat_map(|i| grey.image(i).expect("an image"))
        .map(|x| if x < 0.4 { 0.0 } else { 1.0 })
        .collect();
    let labels = (0..200).map(|i| i / 20).collect();
    let data = Dataset::new("sorted", vec![16], Pixels::Floats(pixels), labels).expect("pixels in [0, 1]");
    let found = judged(&linear(identity(16), 16), &data, OPTIONS);
    assert_eq!(found.tied(Kind::Units), 16);
    assert_eq!(found.verdict.units_more_coherent, None, "{}", found.verdict.sentence);
    assert!(found.verdict.ties_decide && found.chance(Kind::Units) == 1.0, "{}", found.verdict.sentence);
}

/// Large weights and a sigmoid: in f32 most of its values are one. The images are those of the layer before it, and
/// so is what is found.
#[test]
fn saturated_units_are_ranked_by_what_comes_before() {
    let data = noise(400, 10, 10, 0.15, 1);
    for (name, op) in [("sigmoid", Sigmoid.into()), ("tanh", Box::<dyn Op>::from(Tanh))] {
        let mut graph = Graph::new(vec![10]);
        let steep = identity(10).iter().map(|w| 400.0 * w).collect();
        let weight = Tensor { shape: vec![10, 10], values: steep };
        let bias = Tensor { shape: vec![10], values: vec![-160.0; 10] };
        graph.then("before", Linear::new(weight, bias).expect("shapes")).expect("fits");
        graph.then(name, op).expect("fits");
        graph.then("layer", Reshape::new(vec![10, 1])).expect("fits");
        graph.then("flat", Reshape::new(vec![10])).expect("fits");
        graph.then("out", output(10)).expect("fits");
        let network = Network::new("test", graph).expect("a network");
        let found = judged(&network, &data, OPTIONS);
        let before = judged(&linear(identity(10), 10), &data, OPTIONS);
        let tops = |result: &LayerResult| -> Vec<Vec<usize>> {
            let units = result.directions.iter().filter(|of| of.kind == Kind::Units);
            units.map(|of| of.top.clone()).collect()
        };
        assert_eq!(tops(&found), tops(&before), "{name}");
        assert!(found.ranked_before && found.tied(Kind::Units) == 0 && found.chance(Kind::Units) == 0.0);
        assert_eq!(found.verdict.units_more_coherent, Some(true), "{}", found.verdict.sentence);
        let auc = |result: &LayerResult| result.kinds[0].best_auc;
        assert_eq!(auc(&found), auc(&before), "{name}");
        assert!((found.dose[0].mean - found.kinds[0].label_entropy).abs() < 1e-12);
    }
}

#[test]
fn chunks_and_threads_change_nothing() {
    let network =
        "mnist-cnn".parse::<Architecture>().expect("known").initialise(&[1, 28, 28], 0).expect("a network");
    let data = struthio::data::mnist_test().expect("MNIST").range(0..40).expect("a range");
    let layers: Vec<Layer> = ["relu1", "relu4"]
        .iter()
        .flat_map(|name| Layer::select(&network, name).unwrap_or_default())
        .chain(Layer::select(&network, "all").expect("layers").into_iter().rev().take(2))
        .collect();
    assert!(layers.len() >= 2);
    let run = |chunk, threads| {
        let options = Options { chunk, threads, units: 12, ..OPTIONS };
        let (never, folder) = (AtomicBool::new(false), tempfile::tempdir().expect("a folder"));
        analyse(&network, &layers, &data, options, folder.path(), &never, &mut |_, _| {}).expect("judged")
    };
    let expected = run(None, 1);
    assert!(expected == run(Some(1), 2) && expected == run(Some(7), 3));
}

#[test]
fn a_stopped_analysis_goes_on_after_the_layers_that_are_finished() {
    let network =
        "fc12-10".parse::<Architecture>().expect("known").initialise(&[28, 28], 0).expect("a network");
    let data = struthio::data::mnist_test().expect("MNIST").range(0..40).expect("a range");
    let layers = Layer::select(&network, "all").expect("layers");
    assert!(layers.len() == 2, "{layers:?}");
    let options = Options { maximise: true, ..OPTIONS };
    let judged_in = |folder: &Path, options: Options, stop_at: &str| {
        let (cancelled, mut seen) = (AtomicBool::new(false), Vec::new());
        let results = analyse(&network, &layers, &data, options, folder, &cancelled, &mut |_, doing| {
            seen.push(doing.to_owned());
            cancelled.store(!stop_at.is_empty() && doing.starts_with(stop_at), Ordering::Relaxed);
        });
        (results, seen)
    };
    let judged = |seen: &[String], layer: &Layer| seen.iter().any(|doing| doing.starts_with(&layer.name));
    let fresh = || tempfile::tempdir().expect("a folder");
    let expected = judged_in(fresh().path(), options, "").0.expect("judged");
    assert!(expected.iter().any(|layer| layer.directions.iter().any(|of| of.made.is_some())));

    let folder = fresh();
    let (stopped, _) = judged_in(folder.path(), options, &layers[1].name);
    assert!(matches!(stopped, Err(struthio::Error::Interrupted)));
    let first = folder.path().join("layer-0.json");
    let whole = std::fs::read(&first).expect("kept");
    let (continued, seen) = judged_in(folder.path(), options, "");
    assert_eq!(continued.expect("judged"), expected);
    assert!(!judged(&seen, &layers[0]) && judged(&seen, &layers[1]), "{seen:?}");

    // What is damaged, or from another analysis, is looked at again.
    std::fs::write(&first, &whole[..whole.len() / 2]).expect("written");
    let (mended, seen) = judged_in(folder.path(), options, "");
    assert_eq!(mended.expect("judged"), expected);
    assert!(judged(&seen, &layers[0]) && !judged(&seen, &layers[1]), "{seen:?}");
    let others = Options { seed: options.seed + 1, ..options };
    let (other, seen) = judged_in(folder.path(), others, "");
    assert_ne!(other.expect("judged"), expected);
    assert!(layers.iter().all(|layer| judged(&seen, layer)), "{seen:?}");
}

/// Most units of wide layers of rectified units are silent.
#[test]
fn others_are_drawn_in_place_of_units_that_never_vary() {
    let data = noise(60, 40, 3, 0.0, 7);
    let lively = |unit: usize| unit % 3 == 1;
    let mut weights = identity(40);
    for (at, weight) in weights.iter_mut().enumerate() {
        *weight *= f32::from(lively(at % 40));
    }
    let network = linear(weights, 40);
    for (most, live) in [(5, 5), (8, 8), (40, 13)] {
        let found = judged(&network, &data, Options { units: most, ..OPTIONS });
        let units: Vec<usize> =
            found.directions.iter().filter(|of| of.kind == Kind::Units).map(|of| of.number).collect();
        assert!(found.live == live && units.len() == live && found.units == 40, "{units:?}");
        assert!(units.iter().all(|&unit| lively(unit)) && units.is_sorted(), "{units:?}");
        assert_eq!(found.examined == 40, most == 40, "{}", found.examined);
        assert!(found.directions.iter().all(|of| of.coherence.label_entropy.is_finite()));
    }
}

#[test]
fn top_images_of_units_are_those_of_sorting_the_pixels() {
    let data = noise(90, 6, 3, 0.0, 4);
    let found = judged(&linear(identity(6), 6), &data, OPTIONS);
    for unit in found.directions.iter().filter(|d| d.kind == Kind::Units) {
        let mut order: Vec<usize> = (0..90).collect();
        order.sort_by(|&a, &b| {
            data.image(b).expect("an image")[unit.number]
                .total_cmp(&data.image(a).expect("an image")[unit.number])
                .then(a.cmp(&b))
        });
        assert_eq!(unit.top, order[..8]);
    }
}

#[test]
fn a_layer_that_never_changes_is_said_to_say_nothing() {
    let found = judged(&linear(vec![0.0; 36], 6), &noise(60, 6, 3, 0.0, 5), OPTIONS);
    assert_eq!((found.live, found.verdict.units_more_coherent), (0, None));
    assert!(found.verdict.sentence.starts_with("Nothing can be said of layer"), "{}", found.verdict.sentence);
    assert!(found.comparisons.is_empty() && found.directions.is_empty());
}

#[test]
fn thin_images_are_compared_as_they_are() {
    let flat = noise(60, 200, 3, 0.0, 6);
    let pixels = (0..60).flat_map(|i| flat.image(i).expect("an image")).collect();
    let labels = (0..60).map(|i| flat.label(i) as u32).collect();
    let thin = Dataset::new("thin", vec![1, 1, 200], Pixels::Floats(pixels), labels).expect("pixels");
    let network = linear(identity(200), 200);
    assert_eq!(judged(&network, &thin, OPTIONS).kinds, judged(&network, &flat, OPTIONS).kinds);
}

/// Black or white: half of the images tie for the top of every unit.
#[test]
fn ties_are_said() {
    let grey = noise(80, 16, 3, 0.0, 8);
    let pixels = (0..80)
        .flat_map(|i| grey.image(i).expect("an image"))
        .map(|x| if x < 0.4 { 0.0 } else { 1.0 })
        .collect();
    let labels = (0..80).map(|i| grey.label(i) as u32).collect();
    let data = Dataset::new("black or white", vec![16], Pixels::Floats(pixels), labels).expect("pixels");
    let found = judged(&linear(identity(16), 16), &data, OPTIONS);
    assert_eq!((found.tied(Kind::Units), found.tied(Kind::REFERENCE)), (16, 0));
    let said =
        |result: &LayerResult| result.verdict.caveats.iter().any(|caveat| caveat.starts_with("16 of the 16"));
    assert!(said(&found), "{:?}", found.verdict.caveats);
    assert!(!said(&judged(&linear(identity(16), 16), &grey, OPTIONS)));
}

#[test]
fn a_wrong_layer_is_answered_with_the_right_ones() {
    let network = linear(identity(4), 4);
    let message = Layer::select(&network, "conv7").expect_err("unknown").to_string();
    assert!(
        message.contains("'conv7'")
            && message.contains("layer (Linear, 4)")
            && message.contains("relu (Relu, 4)")
    );
    let all: Vec<String> = Layer::select(&network, "all").expect("all").into_iter().map(|l| l.name).collect();
    assert_eq!(all, ["relu", "out"]);
}
