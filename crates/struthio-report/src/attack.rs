//! The page of `struthio attack`.

use maud::{Markup, html};
use struthio::run::{AttackSummary, Manifest, PictureSummary, Recorded, Spread};

use crate::curve;
use crate::distribution::{self, Panel};
use crate::format::{
    NOTHING, count, counted, distance, grey_levels, interval, maybe, rate, rate_interval, significant,
};
use crate::gallery;
use crate::page::{Header, Section, page, scrolling};
use crate::provenance::{self, found, residual};

/// What the report of `struthio attack` shows.
#[derive(Debug, Clone, Copy)]
pub struct AttackPage<'a> {
    /// What was run.
    pub manifest: &'a Manifest,
    /// Name of the model.
    pub model: &'a str,
    /// The data, as it was specified.
    pub data: &'a str,
    /// What came out.
    pub recorded: &'a Recorded,
    /// What became of pictures of 8 bits, if they were asked for.
    pub pictures: Option<&'a PictureSummary>,
    /// What the reader has to know, such as "the model ends in a softmax; its logits were used".
    pub notes: &'a [String],
}

/// The report of `struthio attack`.
#[must_use]
pub fn attack_page(page_of: &AttackPage<'_>) -> String {
    let AttackPage { manifest, model, data, recorded, pictures, notes } = *page_of;
    let summary = &recorded.summary;
    let header = Header {
        command: "attack",
        title: html! { "Blind spots of " span.accent { (model) } },
        plain_title: format!("Blind spots of {model}"),
        lead: html! {
            "How little must an image change before the network is wrong? Looked at: "
            (counted(summary.examples, "image", "images")) " of " code { (data) } ", of which "
            (count(summary.attacked)) " could be attacked (seed " (manifest.seed) ")."
        },
        finding: html! { (finding(summary)) (rounding(summary, pictures)) (remarks(notes)) },
        picture: summary.rms.as_ref().and_then(|rms| {
            gallery::large(gallery::typical(&recorded.gallery, rms.median)?, model, manifest)
        }),
    };
    let panel = Panel { name: model, rms: &recorded.rms, paper: None };
    let sections = [
        Section {
            id: "figures",
            short: "Figures",
            title: "In figures",
            body: html! { (cards(summary)) @if summary.rms.is_some() { (norms(summary)) } },
        },
        Section {
            id: "distances",
            short: "Distances",
            title: "Near and far images",
            body: distribution::figure(&[panel], &span(summary)),
        },
        Section {
            id: "effort",
            short: "Effort",
            title: "Distance against gradients",
            body: curve::figure(&summary.curve, summary.attacked),
        },
        Section {
            id: "images",
            short: "Images",
            title: "What the change looks like",
            body: html! {
                @if !recorded.gallery.is_empty() {
                    p {
                        (gallery::reading())
                        "Shown is the first image of every class for which one was found."
                    }
                }
                (gallery::gallery(&recorded.gallery, manifest))
            },
        },
        Section {
            id: "method",
            short: "Method",
            title: "How it was made",
            body: html! {
                h3 { "How the searches ended" }
                (provenance::statuses(&summary.statuses))
                h3 { "What the figures mean" }
                (provenance::method())
                h3 { "Inputs" }
                (provenance::inputs(manifest))
            },
        },
    ];
    page(&header, &sections, &manifest.struthio)
}

fn remarks(notes: &[String]) -> Markup {
    html! {
        @if !notes.is_empty() {
            ul.notes aria-label="Notes" { @for note in notes { li { (note) } } }
        }
    }
}

fn finding(summary: &AttackSummary) -> Markup {
    let (attacked, successes) = (summary.attacked, found(summary));
    html! {
        p {
            @if attacked == 0 {
                "No image could be attacked; how the searches ended says why."
            } @else if successes == 0 {
                "No adversarial image was found for any of the " (count(attacked)) " attacked images. "
                "That is no proof that there is none."
            } @else {
                @if successes == attacked {
                    strong {
                        "Every one of the " (count(attacked)) " attacked images has an adversarial image."
                    }
                } @else {
                    strong {
                        (count(successes)) " of " (count(attacked))
                        " attacked images have an adversarial image"
                    }
                    " (" (maybe(summary.success_rate, rate)) "). "
                    "For the others none was found, which is no proof that there is none."
                }
                @if let Some(rms) = &summary.rms {
                    " The median smallest change found is " b { (distance(rms.median)) }
                    " RMS over the pixels, which is "
                    (grey_levels(rms.median)) " of the 255 steps from black to white."
                }
            }
        }
    }
}

/// What is left of it all in a picture of 8 bits.
fn rounding(summary: &AttackSummary, pictures: Option<&PictureSummary>) -> Markup {
    let found = found(summary);
    html! {
        @if found > 0 {
            p {
                (count(summary.survive_rounding)) " of " (count(found))
                " survive rounding to 8 bits, as in a PNG file"
                @match pictures {
                    None => { "; " code { "--png" } " writes pictures that do." }
                    Some(of) => { ". " (written(of)) }
                }
            }
        }
    }
}

fn written(of: &PictureSummary) -> Markup {
    html! {
        "A second search among images of 256 levels led to " (counted(of.written, "picture", "pictures"))
        " that still " (if of.written == 1 { "is" } else { "are" }) " adversarial when read back"
        @if of.written < of.wanted { ", of " (count(of.wanted)) " wanted" }
        @if let Some(ratio) = &of.ratio {
            ", in the mean " b { (significant(ratio.mean, 3)) } " times as far from the image"
        }
        @if let Some(gradients) = of.gradients_mean {
            ", for " (significant(gradients, 2)) " further gradients each"
        }
        "."
    }
}

fn cards(summary: &AttackSummary) -> Markup {
    let rms = |of: fn(&Spread) -> f64| maybe(summary.rms.as_ref().map(of), distance);
    let per_image = |mean| maybe(mean, |mean| significant(mean, 3));
    let rms_interval = summary.rms.as_ref().map(|rms| interval(rms.median_interval, distance));
    let cards = [
        (
            count(summary.attacked),
            "images attacked",
            html! { "of " (counted(summary.examples, "example", "examples")) },
        ),
        (
            maybe(summary.success_rate, rate),
            "adversarial image found",
            bounds(summary.success_interval.map(rate_interval)),
        ),
        (rms(|rms| rms.median), "median RMS", bounds(rms_interval)),
        (rms(|rms| rms.mean), "mean RMS", html! { "what the paper calls average minimum distortion" }),
        (
            per_image(summary.gradients_mean),
            "gradients per image",
            html! { (per_image(summary.forwards_mean)) " forward passes" },
        ),
        (residual(summary), "optimality residual", html! { "median; 0 at a closest point" }),
    ];
    html! {
        ul.cards {
            @for (value, name, aside) in &cards {
                li.card {
                    span.value { (value) }
                    span.name { (name) }
                    span.small { (aside) }
                }
            }
        }
    }
}

fn bounds(interval: Option<String>) -> Markup {
    html! { @if let Some(interval) = interval { "95 %: " span.number { (interval) } } }
}

fn norms(summary: &AttackSummary) -> Markup {
    let norms = [
        ("RMS over the pixels", &summary.rms),
        ("L2, Euclidean norm", &summary.l2),
        ("L∞, largest change of a pixel", &summary.linf),
    ];
    html! {
        figure {
            (scrolling("Distances", &html! {
                table.figures {
                    thead {
                        tr {
                            th scope="col" { "Distance" }
                            @for name in ["mean", "median", "95 % of the median", "smallest", "largest"] {
                                th.number scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for (name, spread) in norms {
                            tr {
                                th scope="row" { (name) }
                                @for figure in figures(spread.as_ref()) { td.number { (figure) } }
                            }
                        }
                    }
                }
            }))
            figcaption {
                b.label { "Distances" }
                " between an image and its adversarial image, over the images where one was found. The "
                "interval of a median is a bootstrap interval, that of the rate above a Wilson interval."
            }
        }
    }
}

fn figures(spread: Option<&Spread>) -> [String; 5] {
    spread.map_or_else(
        || std::array::from_fn(|_| NOTHING.into()),
        |of| {
            let bounds = interval(of.median_interval, distance);
            [distance(of.mean), distance(of.median), bounds, distance(of.min), distance(of.max)]
        },
    )
}

/// What the histogram shows.
fn span(summary: &AttackSummary) -> Markup {
    html! {
        @if let Some(rms) = &summary.rms {
            "Half of the distances are at most " (distance(rms.median)) " RMS. "
            "The smallest is " (distance(rms.min))
            ", the largest " (distance(rms.max))
            @if rms.min > 0.0 { ": " (significant(rms.max / rms.min, 2)) " times as large" } "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{manifest, recorded, recorded_nothing};

    fn made(recorded: &Recorded, model: &str, notes: &[String]) -> String {
        let pictures = None;
        attack_page(&AttackPage {
            manifest: &manifest(),
            model,
            data: "mnist:test",
            recorded,
            pictures,
            notes,
        })
    }

    #[test]
    fn names_and_notes_are_escaped() {
        let html = made(&recorded(), "<b>&", &["it ends in <softmax>".into()]);
        assert!(html.contains("&lt;b&gt;&amp;") && html.contains("it ends in &lt;softmax&gt;"));
        assert!(!html.contains("<b>&") && !html.contains("<softmax>"));
    }

    #[test]
    fn says_that_nothing_was_found() {
        let html = made(&recorded_nothing(), "model.onnx", &[]);
        assert!(html.contains("No adversarial image was found for any of the 10 attacked images"), "{html}");
        assert!(!html.contains("NaN") && !html.contains("<img") && !html.contains("<svg"));
    }

    #[test]
    fn the_same_results_give_the_same_bytes() {
        assert_eq!(made(&recorded(), "model.onnx", &[]), made(&recorded(), "model.onnx", &[]));
    }

    #[test]
    fn figures_are_those_of_the_summary() {
        let html = made(&recorded(), "model.onnx", &[]);
        assert!(html.contains("<span class=\"value\">0.0200</span><span class=\"name\">median RMS</span>"));
        assert!(html.contains("Every one of the 30 attacked images"));
        assert!(html.contains("17 of 30 survive rounding to 8 bits"));
    }
}
