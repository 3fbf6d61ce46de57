//! Figure: for every image the distances between which its closest mistake lies.

use maud::{Markup, html};
use struthio::spectrum::{Bracket, Certified, Study};

use crate::drawing::{self, at};
use crate::format::{count, counted, distance, factor, interval};
use crate::logarithmic::LogAxis;

/// Images that are drawn, evenly taken from all by their distance.
const MOST: usize = 200;

/// The brackets, from the closest adversarial image to the farthest.
pub fn figure(study: &Study, certified: &Certified) -> Markup {
    let mut brackets: Vec<&Bracket> = study.images.iter().filter(|image| image.ratio().is_some()).collect();
    brackets.sort_by(|a, b| a.attacked_l2.partial_cmp(&b.attacked_l2).unwrap_or(std::cmp::Ordering::Equal));
    let ends = brackets.iter().flat_map(|image| [Some(image.certified_l2), image.attacked_l2]);
    let Some(axis) = LogAxis::covering(ends.flatten()) else {
        return html! {
            p.nothing {
                "Nothing is certified for any image that was attacked with success, so there are no brackets to "
                "show. Either a layer has no bound, or no adversarial image was found."
            }
        };
    };
    let all = brackets.len();
    let shown: Vec<&Bracket> = (0..all.min(MOST)).map(|i| brackets[i * all / all.min(MOST)]).collect();
    let ranks = [(0.0, "1".to_owned()), (100.0, count(all as u64))];
    html! {
        figure.curve.brackets {
            p.legend aria-hidden="true" {
                span { i.key-certified {} "certified: no mistake closer" }
                span { i.key-between {} "the closest mistake is somewhere here" }
                span { i.key-attacked {} "attacked: a mistake found" }
            }
            p.small.axis-note { "↑ distance from the image: L2 over the pixels, black 0 to white 1, on a logarithmic scale" }
            div.panel {
                div.marks aria-hidden="true" {
                    @for (tick, label) in axis.ticks() {
                        span style={ "bottom:" (at(axis.percent(tick))) } { (label) }
                    }
                }
                svg.plot role="img" aria-label=(words(&brackets, certified)) { (plot(&shown, &axis)) }
            }
            (drawing::horizontal_axis(&ranks, "images, by the distance attacked"))
            figcaption { (caption(certified, all, shown.len())) }
        }
    }
}

fn plot(shown: &[&Bracket], axis: &LogAxis) -> Markup {
    let x = |i: usize| at(100.0 * (i as f64 + 0.5) / shown.len() as f64);
    let y = |value: f64| at(100.0 - axis.percent(value));
    let radius = if shown.len() > 60 { "1.7" } else { "3" };
    html! {
        @for (tick, _) in axis.ticks() {
            line.grid x1="0" x2="100%" y1=(y(tick)) y2=(y(tick)) {}
        }
        @for (i, image) in shown.iter().enumerate() {
            @if let Some(attacked) = image.attacked_l2 {
                g {
                    title {
                        "image " (image.index) ": certified " (distance(image.certified_l2)) ", attacked "
                        (distance(attacked))
                    }
                    line.between x1=(x(i)) x2=(x(i)) y1=(y(image.certified_l2)) y2=(y(attacked)) {}
                    circle.certified cx=(x(i)) cy=(y(image.certified_l2)) r=(radius) {}
                    circle.attacked cx=(x(i)) cy=(y(attacked)) r=(radius) {}
                }
            }
        }
        line.base x1="0" x2="100%" y1="100%" y2="100%" {}
    }
}

fn caption(certified: &Certified, all: usize, shown: usize) -> Markup {
    html! {
        b.label { "Brackets" }
        "of " (counted(all as u64, "image", "images"))
        @if shown < all { ", of which " (count(shown as u64)) " are drawn, evenly by their distance" }
        ": the closest image of another class is at least as far as certified and at most as far as attacked. "
        @if let Some(ratio) = &certified.ratio {
            "The two differ by a factor of " b { (factor(ratio.median)) } " in the median (95 %: "
            (interval(ratio.median_interval, factor)) "), from "
            (factor(ratio.min)) " to " (factor(ratio.max)) ": "
            @if ratio.median < 3.0 {
                "the bound is no farther from the truth than that."
            } @else {
                "the network’s bound proves that mistakes are not arbitrarily close, and little more."
            }
        }
    }
}

/// The figure in a sentence, for those who do not see it.
fn words(brackets: &[&Bracket], certified: &Certified) -> String {
    let ratio = certified.ratio.as_ref().map_or_else(String::new, |ratio| factor(ratio.median));
    format!(
        "{}: certified and attacked distances of each, the median of attacked over certified is {ratio}",
        counted(brackets.len() as u64, "image", "images")
    )
}
