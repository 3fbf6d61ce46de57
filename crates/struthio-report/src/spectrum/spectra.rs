//! Figure: how the singular values of each layer are distributed.

use maud::{Markup, html};
use struthio::spectrum::{Layer, SingularValues};

use super::norm;
use crate::drawing::at;
use crate::format::{count, factor, maybe, rate};

/// A small histogram for each layer of which all singular values are known.
pub fn figure(layers: &[Layer]) -> Markup {
    let known = layers.iter().filter_map(|layer| Some((layer, layer.spectrum.as_ref()?)));
    let known: Vec<_> = known.collect();
    html! {
        figure.multiples-figure.spectra {
            p.small.axis-note { "↑ share of the layer’s singular values in each of forty bins; → singular value, from 0 to the largest (gain, no unit)" }
            div.multiples { @for (layer, values) in &known { (panel(layer, values)) } }
            figcaption { (caption(&known)) }
        }
    }
}

fn panel(layer: &Layer, values: &SingularValues) -> Markup {
    let bins = values.histogram.len().max(1) as f64;
    let highest = values.histogram.iter().copied().max().unwrap_or(0).max(1) as f64;
    let share = |n: f64| rate(n / values.count.max(1) as f64);
    let largest = layer.norm();
    html! {
        div.multiple {
            h3 { (layer.name) }
            p.small {
                (count(values.count as u64)) " values; effective rank " (factor(values.effective_rank))
                "; condition " (maybe(values.condition, factor))
            }
            div.multiple-plot {
                div.marks aria-hidden="true" {
                    span style="bottom:92%" { (share(highest)) }
                    span style="bottom:0%" { "0" }
                }
                svg role="img" aria-label=(words(layer, values)) {
                    @for (i, &n) in values.histogram.iter().enumerate().filter(|(_, n)| **n > 0) {
                        @let height = 92.0 * n as f64 / highest;
                        rect.bar x=(at(100.0 * (i as f64 + 0.06) / bins)) y=(at(100.0 - height))
                            width=(at(88.0 / bins)) height=(at(height)) {
                            title { (count(n as u64)) " values (" (share(n as f64)) ")" }
                        }
                    }
                    line.base x1="0" x2="100%" y1="100%" y2="100%" {}
                }
                div.multiple-ends aria-hidden="true" { span { "0" } span { "singular value" } span { (norm(largest)) } }
            }
        }
    }
}

/// The share of values above half of the largest.
fn upper_half(values: &SingularValues) -> f64 {
    let bins = &values.histogram;
    bins[bins.len().div_ceil(2)..].iter().sum::<usize>() as f64 / values.count.max(1) as f64
}

fn caption(known: &[(&Layer, &SingularValues)]) -> Markup {
    let shares = || known.iter().map(|(layer, values)| (*layer, upper_half(values)));
    let fewest = shares().min_by(|a, b| a.1.total_cmp(&b.1));
    let most = shares().max_by(|a, b| a.1.total_cmp(&b.1));
    html! {
        b.label { "Singular values" }
        "of every layer, those of a convolution on images that wrap around. "
        @if let (Some((least, low)), Some((most, high))) = (fewest, most) {
            @if known.len() == 1 {
                (rate(high)) " of the values are above half of the largest. "
            } @else {
                "Above half of the largest are between " (rate(low)) " (" (least.name) ") and " (rate(high))
                " (" (most.name) ") of a layer’s values. "
            }
            @if high < 0.5 {
                "So the norm speaks for few directions, and the product of norms is reached only by a change that "
                "meets them in all layers."
            } @else {
                "Where that share is large the norm speaks for many directions, not for a rare one."
            }
        }
        " Effective rank: as many equal values would have the same entropy. Condition: largest over smallest, if "
        "that is not zero."
    }
}

/// The panel in a sentence, for those who do not see it.
fn words(layer: &Layer, values: &SingularValues) -> String {
    format!(
        "{}: histogram of {} singular values, {} of them above half of the largest, {}",
        layer.name,
        count(values.count as u64),
        rate(upper_half(values)),
        norm(layer.norm())
    )
}
