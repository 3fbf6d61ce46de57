//! Figure: distance against gradients.

use maud::{Markup, html};
use struthio::attack::milestones;
use struthio::run::CurvePoint;

use crate::drawing::{self, at, upright};
use crate::format::{count, counted, distance, rate};
use crate::histogram::Axis;

/// How close the searches were after how many gradients, for `attacked` images.
pub fn figure(curve: &[CurvePoint], attacked: u64) -> Markup {
    let known = || curve.iter().filter(|point| point.rms_quartiles[1].is_some());
    let largest = known().flat_map(|point| point.rms_quartiles).flatten().reduce(f64::max);
    let (Some(largest), Some(first), Some(last)) = (largest, known().next(), known().next_back()) else {
        return nothing();
    };
    if first.gradients == last.gradients {
        return nothing();
    }
    let axes = Axes { gradients: [first.gradients, last.gradients], rms: Axis::covering(largest) };
    let ticks: Vec<_> = axes.ticks().into_iter().map(|tick| (axes.x(tick), tick.to_string())).collect();
    html! {
        figure.curve {
            p.legend aria-hidden="true" {
                span { i.key-median {} "median" }
                span { i.key-bar {} "the middle half of the images" }
            }
            p.small.axis-note { "↑ distortion: RMS over the pixels, black 0 to white 1" }
            div.panel {
                div.marks aria-hidden="true" {
                    @for (tick, label) in axes.rms.ticks() {
                        span style={ "bottom:" (at(axes.rms.percent(tick))) } { (label) }
                    }
                }
                svg.plot role="img" aria-label=(words(curve)) { (plot(curve, &axes)) }
            }
            (drawing::horizontal_axis(&ticks, "gradients per image, on a logarithmic scale"))
            figcaption { (caption(curve, last, attacked)) }
        }
    }
}

fn nothing() -> Markup {
    html! { p.nothing { "Too little was found, or at once, so there is no curve to show." } }
}

/// Logarithmic in gradients, and linear from no distance.
struct Axes {
    gradients: [u64; 2],
    rms: Axis,
}

impl Axes {
    /// In percent of the width.
    fn x(&self, gradients: u64) -> f64 {
        let [from, to] = self.gradients.map(|gradients| (gradients as f64).ln());
        100.0 * ((gradients as f64).ln() - from) / (to - from)
    }

    /// In percent of the height, from the top.
    fn y(&self, rms: f64) -> f64 {
        100.0 - self.rms.percent(rms)
    }

    /// The milestones of the curve, not too many of them.
    fn ticks(&self) -> Vec<u64> {
        let [from, to] = self.gradients;
        let all: Vec<u64> = milestones().skip_while(|&m| m < from).take_while(|&m| m <= to).collect();
        let every = all.len().div_ceil(9);
        all.into_iter().step_by(every).collect()
    }
}

fn plot(curve: &[CurvePoint], axes: &Axes) -> Markup {
    let point = |x: u64, rms: f64| format!("{:.3},{:.3}", axes.x(x), axes.y(rms));
    let quartile = |k: usize| {
        let from = curve.iter().filter(|at| at.gradients >= axes.gradients[0]);
        from.filter_map(move |at| Some((at.gradients, at.rms_quartiles[k]?))).collect::<Vec<_>>()
    };
    let path =
        |points: &[(u64, f64)]| points.iter().map(|&(x, rms)| point(x, rms)).collect::<Vec<_>>().join(" ");
    let (lower, median, upper) = (quartile(0), quartile(1), quartile(2));
    let from = upper.first().map_or(u64::MAX, |at| at.0);
    let band: Vec<_> = upper.iter().chain(lower.iter().rev().filter(|at| at.0 >= from)).copied().collect();
    html! {
        @for tick in axes.ticks() {
            (upright("grid", axes.x(tick)))
        }
        @for (tick, _) in axes.rms.ticks() {
            line.grid x1="0" x2="100%" y1=(at(axes.y(tick))) y2=(at(axes.y(tick))) {}
        }
        svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none" {
            @if upper.len() > 1 { polygon.band points=(path(&band)) {} }
            polyline.curve-line points=(path(&median)) {}
        }
        line.base x1="0" x2="100%" y1="100%" y2="100%" {}
        @for (gradients, rms) in median {
            circle.mean-dot cx=(at(axes.x(gradients))) cy=(at(axes.y(rms))) r="4" {
                title { (counted(gradients, "gradient", "gradients")) ": median " (distance(rms)) " RMS" }
            }
        }
    }
}

fn caption(curve: &[CurvePoint], last: &CurvePoint, attacked: u64) -> Markup {
    let median = |point: &CurvePoint| point.rms_quartiles[1];
    let end = median(last).unwrap_or(f64::INFINITY);
    let near = curve.iter().find(|point| median(point).is_some_and(|rms| rms <= 1.01 * end));
    let all = curve.iter().find(|point| point.found == last.found);
    html! {
        "How close the search had come after as many gradients for every image; one that had ended by then "
        "counts with what it found."
        @if let Some(near) = near {
            " After " b { (counted(near.gradients, "gradient", "gradients")) }
            " the median is within 1 % of where it ends, " (distance(end)) "."
        }
        @if let Some(all) = all {
            " " (count(all.found)) " of " (count(attacked)) " images ("
            (rate(all.found as f64 / attacked.max(1) as f64)) ") had an adversarial image after "
            (counted(all.gradients, "gradient", "gradients")) "."
        }
        " The curve shows this run on its way; a run with that many gradients as its budget makes the most of "
        "them, and does better."
    }
}

/// The figure in a sentence, for those who do not see it.
fn words(curve: &[CurvePoint]) -> String {
    let medians = curve.iter().filter_map(|at| Some((at.gradients, at.rms_quartiles[1]?)));
    let told: Vec<String> = medians.map(|(x, rms)| format!("{} after {x}", distance(rms))).collect();
    format!("median distortion by number of gradients: {}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(gradients: u64, found: u64, rms_quartiles: [Option<f64>; 3]) -> CurvePoint {
        CurvePoint { gradients, found, rms_quartiles }
    }

    #[test]
    fn draws_what_is_known_and_concludes() {
        let curve = [
            point(1, 4, [Some(0.05), None, None]),
            point(2, 8, [Some(0.04), Some(0.05), None]),
            point(3, 10, [Some(0.03), Some(0.04), Some(0.05)]),
            point(4, 10, [Some(0.02), Some(0.03), Some(0.04)]),
            point(6, 10, [Some(0.02), Some(0.0299), Some(0.04)]),
        ];
        let html = figure(&curve, 12).into_string();
        assert_eq!(html.matches("<circle").count(), 4, "{html}");
        assert!(html.contains("After <b>4 gradients</b> the median is within 1 % of where it ends, 0.0299"));
        let share = rate(10.0 / 12.0);
        assert!(
            html.contains(&format!("10 of 12 images ({share}) had an adversarial image after 3 gradients"))
        );
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    #[test]
    fn more_than_a_quarter_without_any() {
        let curve =
            [point(1, 6, [Some(0.05), Some(0.06), None]), point(2, 6, [Some(0.04), Some(0.05), None])];
        let html = figure(&curve, 10).into_string();
        assert!(html.contains("<polyline") && !html.contains("<polygon"), "{html}");
    }

    #[test]
    fn nothing_to_draw() {
        let curves = [
            vec![],
            vec![point(1, 0, [None; 3]), point(2, 0, [None; 3])],
            vec![point(1, 10, [Some(0.1); 3])],
        ];
        for curve in curves {
            assert!(figure(&curve, 10).into_string().contains("no curve to show"));
        }
    }
}
