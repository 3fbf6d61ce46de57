//! Figure: errors against the size of perturbations, a panel for each network asked.

use maud::{Markup, html};
use struthio::transfer::{Curve, Study};

use crate::drawing::at;
use crate::format::{counted, rate};

/// Colours there are; further lines repeat them.
const COLOURS: usize = 8;

/// Small panels, one for each column of `study`.
pub fn figure(study: &Study) -> Markup {
    let Some(largest) = study.curves.iter().flat_map(|curve| &curve.rms).copied().reduce(f64::max) else {
        return html! { p.nothing { "There is no perturbation to follow." } };
    };
    let images = study.curves.iter().map(|curve| curve.images).max().unwrap_or(0);
    html! {
        p {
            "Each panel is one network; each line follows the perturbations made for one network to larger sizes, "
            "and says how many of the images that the panel’s network has right it gets wrong. Broken: noise "
            "of the same size on the same images."
        }
        figure.multiples-figure {
            p.legend {
                @for (i, curve) in study.curves.iter().enumerate() {
                    span { i class={ "key-line line-" (i % COLOURS) } {} "made for " (curve.made_for) }
                }
                span { i.key-line.key-noise {} "noise" }
            }
            div.multiples {
                @for (c, column) in study.columns.iter().enumerate() { (panel(&study.curves, c, column, largest)) }
            }
            figcaption {
                "Errors (0 to 100 %) against RMS (0 to " (largest) "), over the first "
                (counted(images, "image", "images")) " of each row. Thick: what was made for the network itself."
            }
        }
    }
}

fn panel(curves: &[Curve], column: usize, name: &str, largest: f64) -> Markup {
    let place = |rms: f64, share: f64| format!("{:.2},{:.2}", 100.0 * rms / largest, 100.0 - 100.0 * share);
    let path = |rms: &[f64], shares: &[Option<f64>]| {
        let known = rms.iter().zip(shares).filter_map(|(&rms, share)| Some(place(rms, (*share)?)));
        known.collect::<Vec<_>>().join(" ")
    };
    let noise = mean_noise(curves, column);
    html! {
        div.multiple {
            h3 { (name) }
            div.multiple-plot {
                div.marks aria-hidden="true" {
                    @for share in [0.0, 0.5, 1.0] { span style={ "bottom:" (at(100.0 * share)) } { (rate(share)) } }
                }
                svg role="img" aria-label=(words(curves, column, name)) {
                    @for share in ["0%", "50%"] { line.grid x1="0" x2="100%" y1=(share) y2=(share) {} }
                    svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none" {
                        @if let Some(first) = curves.first() {
                            polyline.line.line-noise points=(path(&first.rms, &noise)) {}
                        }
                        @for (i, curve) in curves.iter().enumerate() {
                            @if let Some(of) = curve.columns.get(column) {
                                polyline class={ "line line-" (i % COLOURS) @if curve.made_for == name { " line-own" } }
                                    points=(path(&curve.rms, &of.fooled)) {}
                            }
                        }
                    }
                    line.base x1="0" x2="100%" y1="100%" y2="100%" {}
                }
                div.multiple-ends aria-hidden="true" { span { "0" } span { "RMS" } span { (largest) } }
            }
        }
    }
}

/// Noise hardly depends on whose images it is on: one line, the mean over the rows.
fn mean_noise(curves: &[Curve], column: usize) -> Vec<Option<f64>> {
    let sizes = curves.first().map_or(0, |curve| curve.rms.len());
    let mean = |size: usize| {
        let known = curves.iter().filter_map(|curve| *curve.columns.get(column)?.noise.get(size)?);
        let known: Vec<f64> = known.collect();
        struthio::numeric::statistics::mean(&known)
    };
    (0..sizes).map(mean).collect()
}

/// The figure in a sentence, for those who do not see it.
fn words(curves: &[Curve], column: usize, name: &str) -> String {
    let ends = curves.iter().filter_map(|curve| {
        let last = curve.columns.get(column)?.fooled.last()?.map(rate)?;
        Some(format!("{last} by what was made for {}", curve.made_for))
    });
    format!("{name}, fooled at the largest size: {}", ends.collect::<Vec<_>>().join(", "))
}
