use std::sync::atomic::AtomicBool;
use struthio::{attack::*, data::*, network::*, numeric::statistics::*, training::*};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let net = onnx::read(std::path::Path::new(&a[1])).unwrap();
    let n: usize = a[2].parse().unwrap();
    let search = if a[3] == "fast" { SearchKind::Fast } else { SearchKind::Bisection };
    let loss = if a.get(4).map(|s| s == "margin").unwrap_or(false) {
        PenaltyLoss::Margin
    } else {
        PenaltyLoss::CrossEntropy
    };
    let lanes: usize = a.get(5).map(|s| s.parse().unwrap()).unwrap_or(64);
    let test = mnist_test().unwrap();
    let right: Vec<usize> = predictions(&net, &test, 2)
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(i, p)| **p == Some(test.label(*i)))
        .map(|x| x.0)
        .take(n)
        .collect();
    let attack = Lbfgs { search, loss, ..Default::default() };
    let mut out = vec![];
    let t = std::time::Instant::now();
    attack_all(
        &net,
        &attack,
        Lanes { threads: 2, lanes, budget: None, seed: 0 },
        right.len(),
        &|i| Example {
            index: right[i],
            image: test.image(right[i]),
            label: test.label(right[i]),
            criterion: Criterion::NotClass(test.label(right[i])),
        },
        &AtomicBool::new(false),
        &mut |o| {
            out.push(o);
            Ok(())
        },
    )
    .unwrap();
    let s = t.elapsed().as_secs_f64();
    let d: Vec<f64> = out.iter().filter_map(|o| o.adversarial.as_ref().map(|a| a.l2)).collect();
    let g: f64 = out.iter().map(|o| o.gradients as f64).sum::<f64>() / out.len() as f64;
    let f: f64 = out.iter().map(|o| o.forwards as f64).sum::<f64>() / out.len() as f64;
    let res: Vec<f64> =
        out.iter().filter_map(|o| o.adversarial.as_ref().and_then(|a| a.optimality_residual)).collect();
    println!(
        "found {}/{} median {:.5} mean {:.5} rms {:.5} grads {:.1} fwd {:.1} {:.2}s  residual median {:.1e} p95 {:.1e}",
        d.len(),
        out.len(),
        quantile(&d, 0.5).unwrap(),
        mean(&d).unwrap(),
        mean(&d).unwrap() / 28.0,
        g,
        f,
        s,
        quantile(&res, 0.5).unwrap(),
        quantile(&res, 0.95).unwrap()
    );
    if let Some(p) = a.get(6) {
        std::fs::write(
            p,
            out.iter()
                .map(|o| {
                    format!("{} {}\n", o.index, o.adversarial.as_ref().map(|a| a.l2).unwrap_or(f64::INFINITY))
                })
                .collect::<String>(),
        )
        .unwrap();
    }
}
