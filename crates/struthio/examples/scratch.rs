use std::sync::atomic::AtomicBool;
use struthio::{data::*, network::*, training::*};
fn main() {
    let train = mnist_train().unwrap();
    let test = mnist_test().unwrap();
    let cache = TrainingCache::new("/tmp/scache");
    for name in std::env::args().skip(1) {
        let (name, lambda) = name
            .split_once(':')
            .map(|(a, b)| (a.to_string(), Some(b.parse::<f64>().unwrap())))
            .unwrap_or((name.clone(), None));
        let arch: Architecture = name.parse().unwrap();
        let mut recipe = Recipe::for_architecture(&arch, 0);
        if let Some(l) = lambda {
            recipe.weight_decay.lambdas = vec![l];
        }
        let t = std::time::Instant::now();
        let (net, _) = cache
            .get_or_train(&arch, &train, &recipe, 2, &AtomicBool::new(false), &mut |p| {
                if p.done % 50 == 0 || p.total > 1000 {
                    eprintln!("{} {:?}", p.done, p)
                }
            })
            .unwrap();
        println!(
            "{name} {lambda:?} {:.1}s train {} test {} {}",
            t.elapsed().as_secs_f64(),
            count_errors(&net, &train, 2).unwrap(),
            count_errors(&net, &test, 2).unwrap(),
            cache.path(&arch, &train, &recipe).display()
        );
    }
}
