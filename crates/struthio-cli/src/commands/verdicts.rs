//! Units against random directions, as text.

use struthio::paper::UnitsStudy;
use struthio::units::{Comparison, Kind, LayerResult};

use crate::printer::{counted, table};

/// What [`row`] gives.
pub const HEADER: [&str; 8] =
    ["layer", "units", "bases", "difference", "95 %", "P(unit better)", "p (Holm)", "units are"];

/// What the columns `units` and `bases` are.
pub fn caption(layers: &[LayerResult]) -> String {
    let measure = layers.first().map_or("incoherence", |layer| layer.measure.words());
    let compared: Vec<&Comparison> =
        layers.iter().filter_map(|layer| layer.comparison(Kind::REFERENCE)).collect();
    let least = compared.iter().filter_map(|comparison| comparison.draws).min().map(|bases| {
        let p = (2 * compared.len()) as f64 / (bases as f64 + 1.0);
        format!(
            "\n95 %: from resampled units; p: the larger one of those from the rank of the units among {bases} bases and \
             from the rank of the difference among {bases} with shuffled images, of two sides and {}, and so never \
             below {:.4}; interval and p need not agree",
            counted(compared.len() as u64, "layer"),
            p.min(1.0)
        )
    });
    format!(
        "mean {measure} (less is more coherent) of units and of random bases with the units' mean activations; \
         difference: how much more coherent units are{}",
        least.unwrap_or_default()
    )
}

pub fn row(layer: &LayerResult) -> Vec<String> {
    let figures = |of: &Comparison| {
        let interval = of.difference_interval;
        vec![
            format!("{:.3}", of.units),
            format!("{:.3}", of.others),
            format!("{:+.3}", of.difference),
            format!("{:+.3} to {:+.3}", interval.low, interval.high),
            format!("{:.2}", of.superiority),
            format!("{:.4}", of.p_holm),
        ]
    };
    let mut row = vec![layer.layer.clone()];
    row.extend(layer.comparison(Kind::REFERENCE).map_or_else(|| vec!["–".to_owned(); 6], figures));
    row.push(match layer.verdict.units_more_coherent {
        _ if layer.comparisons.is_empty() => "–".into(),
        Some(true) => "more coherent".into(),
        Some(false) => "less coherent".into(),
        None if layer.verdict.ties_decide => "inconclusive".into(),
        None => "not told apart".into(),
    });
    row
}

/// What to bear in mind about the verdicts: every caveat once, with the layers it is about.
pub fn caveats(layers: &[LayerResult]) -> Vec<String> {
    let mut about: Vec<(&str, Vec<&str>)> = Vec::new();
    for layer in layers {
        for caveat in &layer.verdict.caveats {
            match about.iter_mut().find(|(known, _)| known == caveat) {
                Some((_, names)) => names.push(&layer.layer),
                None => about.push((caveat, vec![&layer.layer])),
            }
        }
    }
    let line = |(caveat, names): (&str, Vec<&str>)| {
        let whose = if names.len() == layers.len() { "all layers".to_owned() } else { names.join(", ") };
        if layers.len() > 1 { format!("  {whose}: {caveat}") } else { format!("  {caveat}") }
    };
    let heading = (!about.is_empty()).then(|| "But bear in mind:".to_owned());
    heading.into_iter().chain(about.into_iter().map(line)).collect()
}

/// Section 3 of the paper in tables.
pub fn study(study: &UnitsStudy) -> String {
    let mut text = String::new();
    for (figures, networks) in [("1 and 2", &study.mnist[..]), ("3 and 4", study.alexnet.as_slice())] {
        let [first, ..] = networks else { continue };
        text.extend([
            format!(
                "Figures {figures}: units against random directions (section 3), the top {} of {} of {} for each\n",
                study.top,
                counted(first.examples as u64, "image"),
                first.data
            ),
            caption(&first.layers) + "\n",
        ]);
        for network in networks {
            let rows: Vec<Vec<String>> = network.layers.iter().map(row).collect();
            text.extend(["\n", &network.network, "\n\n", &table(&HEADER, &rows), "\n"]);
            text.extend(caveats(&network.layers).into_iter().map(|line| line + "\n"));
        }
        text.push('\n');
    }
    text
}
