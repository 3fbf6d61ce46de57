//! Figure: how the distances are distributed.

use maud::{Markup, html};
use struthio::numeric::statistics::{mean, quantile};

use crate::drawing::{self, at, upright};
use crate::format::{count, counted, distance, significant};
use crate::histogram::Axis;

/// The distances of one network.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// Name of the network.
    pub name: &'a str,
    /// Root mean square of every perturbation found.
    pub rms: &'a [f64],
    /// The paper's average.
    pub paper: Option<f64>,
}

/// Histograms under each other on one axis, with what `caption` says.
pub fn figure(panels: &[Panel<'_>], caption: &Markup) -> Markup {
    let found = panels.iter().flat_map(|panel| panel.rms).copied().filter(|rms| rms.is_finite());
    let Some(largest) = found.reduce(f64::max) else {
        return html! { p.nothing { "No adversarial image was found, so there are no distances to show." } };
    };
    let papers = panels.iter().filter_map(|panel| panel.paper);
    let with_paper = papers.clone().next().is_some();
    let axis = Axis::covering(papers.map(|paper| 1.02 * paper).fold(largest, f64::max));
    let ticks: Vec<_> = axis.ticks().into_iter().map(|(tick, label)| (axis.percent(tick), label)).collect();
    html! {
        figure.distribution.single[panels.len() == 1] {
            (legend(with_paper))
            p.small.axis-note { "↑ share of the images in each bin of " (axis.bin_label()) " RMS"
                @if panels.len() > 1 { "; each panel has its own scale" } }
            @for panel in panels { (histogram(panel, &axis)) }
            (drawing::horizontal_axis(&ticks, "distortion: RMS over the pixels, black 0 to white 1"))
            figcaption { (caption) }
        }
    }
}

fn legend(with_paper: bool) -> Markup {
    html! {
        p.legend aria-hidden="true" {
            span { i.key-bar {} "images" }
            span { i.key-median {} "median" }
            span { i.key-mean {} "mean" }
            @if with_paper { span { i.key-paper {} "the paper’s average" } }
        }
    }
}

fn histogram(panel: &Panel<'_>, axis: &Axis) -> Markup {
    let counts = axis.counts(panel.rms);
    let total: u64 = counts.iter().sum();
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let finite: Vec<f64> = panel.rms.iter().copied().filter(|rms| rms.is_finite()).collect();
    let marks = mean(&finite).zip(quantile(&finite, 0.5));
    let words = words(panel, total, marks);
    html! {
        div.panel {
            div.panel-head {
                h3 { (panel.name) }
                @if let Some((mean, median)) = marks {
                    p.small {
                        span { "median " b { (distance(median)) } } " "
                        span { "mean " b { (distance(mean)) } } " "
                        @if let Some(paper) = panel.paper { span.paper { "paper " b { (paper) } } }
                    }
                } @else {
                    p.small { "no adversarial image found" }
                }
            }
            div.heights aria-hidden="true" {
                @if total > 0 {
                    span { (significant(100.0 * highest as f64 / total as f64, 2)) " %" }
                    span { "0" }
                }
            }
            svg.plot role="img" aria-label=(words) {
                (grid(axis))
                @for (i, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                    @let share = 92.0 * n as f64 / highest as f64;
                    rect.bar x=(at(100.0 * (i as f64 + 0.06) / axis.bins as f64)) y=(at(100.0 - share))
                        width=(at(88.0 / axis.bins as f64)) height=(at(share)) {
                        title {
                            (bin_edge(axis, i)) " to " (bin_edge(axis, i + 1)) " RMS: "
                            (counted(n, "image", "images"))
                        }
                    }
                }
                line.base x1="0" x2="100%" y1="100%" y2="100%" {}
                @if let Some(paper) = panel.paper { (upright("paper-line", axis.percent(paper))) }
                @if let Some((mean, median)) = marks {
                    (upright("median-line", axis.percent(median)))
                    circle.mean-dot cx=(at(axis.percent(mean))) cy="4%" r="4" {}
                }
            }
        }
    }
}

/// The panel in a sentence, for those who do not see it.
fn words(panel: &Panel<'_>, total: u64, marks: Option<(f64, f64)>) -> String {
    let Some((mean, median)) = marks else {
        return format!("{}: no adversarial image was found", panel.name);
    };
    let paper = panel.paper.map_or_else(String::new, |paper| format!(", the paper's average {paper}"));
    format!(
        "{}: histogram of {} distances, median {}, mean {}{paper}",
        panel.name,
        count(total),
        distance(median),
        distance(mean)
    )
}

fn grid(axis: &Axis) -> Markup {
    html! {
        @for (tick, _) in axis.ticks() { (upright("grid", axis.percent(tick))) }
    }
}

fn bin_edge(axis: &Axis, i: usize) -> String {
    distance(axis.bin * i as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(panels: &[Panel<'_>]) -> String {
        figure(panels, &html! { "caption" }).into_string()
    }

    #[test]
    fn the_axis_reaches_the_papers_average() {
        let page = drawn(&[Panel { name: "a", rms: &[0.01, 0.02], paper: Some(0.14) }]);
        let axis = Axis::covering(0.14 * 1.02);
        assert!(
            page.contains(&format!("<line class=\"paper-line\" x1=\"{}\"", at(100.0 * 0.14 / axis.end())))
        );
    }

    #[test]
    fn every_image_is_in_a_bar() {
        let page = drawn(&[Panel { name: "a", rms: &[0.01, 0.01, 0.02], paper: None }]);
        assert!(page.contains(": 2 images<") && page.contains(": 1 image<"), "{page}");
    }

    #[test]
    fn nothing_found() {
        let nothing = Panel { name: "a", rms: &[], paper: Some(0.1) };
        assert!(drawn(&[nothing]).contains("no distances to show"));
        let page = drawn(&[nothing, Panel { name: "b", rms: &[0.1, f64::NAN], paper: None }]);
        assert!(page.contains("no adversarial image found") && !page.contains("NaN"), "{page}");
    }
}
