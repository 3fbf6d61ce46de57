//! Figure: gains at the images, beside the bound of the network.

use maud::{Markup, html};
use struthio::spectrum::Study;

use super::norm;
use crate::drawing::{self, at, upright};
use crate::format::{at_least, at_most, count, counted, factor, rate, significant};
use crate::logarithmic::LogAxis;

const BINS: usize = 80;

/// A histogram of the local gains on an axis that reaches the bound.
pub fn figure(study: &Study) -> Markup {
    let gains: Vec<f64> = study.images.iter().filter_map(|image| image.local_gain).collect();
    let upper = study.network.upper;
    let spread = study.certified.as_ref().and_then(|certified| certified.local_gain.as_ref());
    let axis = LogAxis::covering(gains.iter().copied().chain(upper.filter(|_| !gains.is_empty())));
    let (Some(axis), Some(spread)) = (axis, spread) else {
        return html! { p.nothing { "There are no gains to show: no image has a finite one." } };
    };
    let counts = axis.counts(gains.iter().copied(), BINS);
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let highest = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let ticks: Vec<_> = axis.ticks().into_iter().map(|(tick, label)| (axis.percent(tick), label)).collect();
    let words = format!(
        "histogram of {} local gains, median {}, largest {}; bound {}",
        gains.len(),
        factor(spread.median),
        factor(spread.max),
        norm(upper)
    );
    html! {
        figure.curve.gains {
            p.legend aria-hidden="true" {
                span { i.key-bar {} "images" }
                span { i.key-median {} "median" }
                @if upper.is_some() { span { i.key-paper {} "bound of the network" } }
            }
            p.small.axis-note { "↑ share of the images in each bin" }
            div.panel {
                div.marks aria-hidden="true" {
                    span style="bottom:92%" { (rate(highest / total)) }
                    span style="bottom:0%" { "0" }
                }
                svg.plot role="img" aria-label=(words) {
                    @for (position, _) in &ticks { (upright("grid", *position)) }
                    @for (i, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                        @let height = 92.0 * n as f64 / highest;
                        rect.bar x=(at(100.0 * (i as f64 + 0.06) / BINS as f64)) y=(at(100.0 - height))
                            width=(at(88.0 / BINS as f64)) height=(at(height)) {
                            title {
                                (significant(axis.value(100.0 * i as f64 / BINS as f64), 3)) " to "
                                (significant(axis.value(100.0 * (i + 1) as f64 / BINS as f64), 3)) ": "
                                (counted(n, "image", "images"))
                            }
                        }
                    }
                    line.base x1="0" x2="100%" y1="100%" y2="100%" {}
                    (upright("median-line", axis.percent(spread.median)))
                    @if let Some(upper) = upper { (upright("paper-line", axis.percent(upper))) }
                }
            }
            (drawing::horizontal_axis(&ticks, "gain, L2 of logits over image, logarithmic"))
            figcaption {
                b.label { "Local gains" }
                "at " (count(gains.len() as u64)) " images: the largest singular value of the Jacobian there. Half are at most "
                b { (factor(spread.median)) } ", the largest is " (factor(spread.max)) ". "
                @if let Some(upper) = upper {
                    "So the network’s Lipschitz constant is at least " (at_least(spread.max)) " and at most "
                    (at_most(upper)) ": that bound is at most " b { (at_most(upper / spread.max)) }
                    " times too large."
                } @else {
                    "The network’s Lipschitz constant is at least that; nothing is known from above."
                }
            }
        }
    }
}
