//! Angles between perturbations made for different networks.

use maud::{Markup, html};
use struthio::transfer::{Angle, Angles};

use crate::format::{NOTHING, count};
use crate::page::scrolling;

/// The mean angle of every pair, and of each with noise.
pub fn figure(angles: &Angles) -> Markup {
    let names: Vec<&str> = angles.noise.iter().map(|angle| angle.a.as_str()).collect();
    if names.is_empty() {
        return html! { p.nothing { "There are no perturbations to compare." } };
    }
    let between = |a: &str, b: &str| {
        let is_this = |angle: &&Angle| (angle.a == a && angle.b == b) || (angle.a == b && angle.b == a);
        angles.pairs.iter().find(is_this)
    };
    html! {
        figure {
            (scrolling("Angles", &html! {
                table.figures.angles {
                    thead {
                        tr {
                            th scope="col" { "Degrees" }
                            @for name in &names { th.number scope="col" { (name) } }
                            th.number scope="col" { "noise" }
                        }
                    }
                    tbody {
                        @for (a, noise) in names.iter().zip(&angles.noise) {
                            tr {
                                th scope="row" { (a) }
                                @for b in &names { (cell(between(a, b))) }
                                (cell(Some(noise)))
                            }
                        }
                    }
                }
            }))
            figcaption {
                b.label { "Angles" }
                " in degrees between the smallest perturbations of the same image made for two networks, mean "
                "over the images that have both; small print: mean cosine ± standard deviation. Last column: "
                "the angle to Gaussian noise of the same length inside the same box, which is what chance gives."
            }
        }
    }
}

fn cell(angle: Option<&Angle>) -> Markup {
    html! {
        @if let Some(angle) = angle {
            td.number title={ (count(angle.images)) " images" } {
                (format!("{:.1}", angle.degrees))
                span.range {
                    (format!("{:.2}", angle.cosine))
                    @if let Some(deviation) = angle.deviation { (format!(" ± {deviation:.2}")) }
                }
            }
        } @else {
            td.number { (NOTHING) }
        }
    }
}
