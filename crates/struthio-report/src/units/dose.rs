//! Figure: coherence against the part of a random rotation.

use maud::{Markup, html};
use struthio::units::{Dose, LayerResult};

use crate::drawing::{self, at};
use crate::format::significant;

/// A panel for each layer, all on one scale.
pub fn figure(layers: &[LayerResult]) -> Markup {
    let shown: Vec<&LayerResult> = layers.iter().filter(|layer| layer.dose.len() > 1).collect();
    let doses = || shown.iter().flat_map(|layer| &layer.dose);
    let low = doses().map(|dose| dose.interval.low).fold(f64::INFINITY, f64::min);
    let high = doses().map(|dose| dose.interval.high).fold(f64::NEG_INFINITY, f64::max);
    let Some(first) = shown.first().filter(|_| low < high) else {
        return html! { p.nothing { "Nothing changes with a rotation, so there is no curve to show." } };
    };
    let scale = Scale { low, high };
    let ticks: Vec<_> =
        [0.0, 0.25, 0.5, 0.75, 1.0].iter().map(|&tick| (100.0 * tick, significant(tick, 2))).collect();
    html! {
        figure {
            p.legend aria-hidden="true" {
                span { i.key-mean {} "mean " (first.measure.words()) ", less is more coherent" }
                span { i.key-bar {} "95 % from resampled directions" }
            }
            div.doses {
                @for layer in &shown {
                    div.curve {
                        h3 { (layer.layer) }
                        div.panel {
                            div.marks aria-hidden="true" {
                                @for value in scale.ticks() {
                                    span style={ "bottom:" (at(100.0 - scale.y(value))) } { (value) }
                                }
                            }
                            svg.plot role="img" aria-label=(words(layer)) { (plot(&layer.dose, &scale)) }
                        }
                        (drawing::horizontal_axis(&ticks, "α, part of the rotation"))
                    }
                }
            }
            figcaption {
                b.label { "From units to random bases" }
                " All panels have one scale. If units are nothing special, the curve is flat; it rises where they are more coherent than "
                "what they are turned into, and falls where they are less."
            }
        }
    }
}

struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// In percent of the height, from the top, with room for dots.
    fn y(&self, value: f64) -> f64 {
        95.0 - 90.0 * (value - self.low) / (self.high - self.low)
    }

    /// Three to seven round values.
    fn ticks(&self) -> Vec<f64> {
        let unit = 10_f64.powf((self.high - self.low).log10().floor());
        let multiples = |step: f64| ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        let steps = [5.0, 2.0, 1.0, 0.5, 0.25].map(|part| part * unit);
        let step = steps.into_iter().find(|&step| multiples(step).1 - multiples(step).0 >= 2);
        let ticks = |step| {
            (multiples(step).0..=multiples(step).1).map(move |i| (1e9 * step * i as f64).round() / 1e9)
        };
        step.into_iter().flat_map(ticks).collect()
    }
}

fn plot(doses: &[Dose], scale: &Scale) -> Markup {
    let point = |alpha: f64, value: f64| format!("{:.3},{:.3}", 100.0 * alpha, scale.y(value));
    let line: Vec<String> = doses.iter().map(|dose| point(dose.alpha, dose.mean)).collect();
    let upper = doses.iter().map(|dose| point(dose.alpha, dose.interval.high));
    let lower = doses.iter().rev().map(|dose| point(dose.alpha, dose.interval.low));
    let band: Vec<String> = upper.chain(lower).collect();
    html! {
        svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none" {
            polygon.band points=(band.join(" ")) {}
            polyline.curve-line points=(line.join(" ")) {}
        }
        line.base x1="0" x2="100%" y1="100%" y2="100%" {}
        @for dose in doses {
            circle.mean-dot cx=(at(100.0 * dose.alpha)) cy=(at(scale.y(dose.mean))) r="4" {
                title { "α = " (dose.alpha) ": " (significant(dose.mean, 3)) }
            }
        }
    }
}

/// The panel in a sentence, for those who do not see it.
fn words(layer: &LayerResult) -> String {
    let told: Vec<String> = layer
        .dose
        .iter()
        .map(|dose| format!("{} at α = {}", significant(dose.mean, 3), dose.alpha))
        .collect();
    format!("{}: mean {} {}", layer.layer, layer.measure.words(), told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (low, high, expected) in [
            (0.0, 1.98, &[0.0, 0.5, 1.0, 1.5][..]),
            (0.0, 9.9, &[0.0, 4.0]),
            (0.212, 0.341, &[0.25, 0.3, 0.325]),
            (-0.3, 0.7, &[0.0, 0.5]),
        ] {
            let ticks = Scale { low, high }.ticks();
            assert!(
                expected.iter().all(|value| ticks.iter().any(|tick| (tick - value).abs() < 1e-9)),
                "{ticks:?}"
            );
            assert!((3..=7).contains(&ticks.len()), "{low} {high}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (low..=high).contains(tick)), "{ticks:?}");
        }
    }
}
