//! Transfer: matrices, curves and angles, and the page of `struthio transfer`.

pub mod angles;
pub mod curves;
pub mod matrix;

use maud::{Markup, html};
use struthio::run::Manifest;
use struthio::transfer::{Cell, Rate, Study};

use crate::format::{count, counted, rate};
use crate::page::{Header, Section, page};
use crate::provenance;

/// What the report of `struthio transfer` shows.
#[derive(Debug, Clone, Copy)]
pub struct TransferPage<'a> {
    /// What was run.
    pub manifest: &'a Manifest,
    /// What came out.
    pub study: &'a Study,
    /// What the reader has to know.
    pub notes: &'a [String],
}

/// The report of `struthio transfer`.
#[must_use]
pub fn transfer_page(page_of: &TransferPage<'_>) -> String {
    let TransferPage { manifest, study, notes } = *page_of;
    let images: u64 = study.rows.iter().map(|row| row.images).sum();
    let header = Header {
        command: "transfer",
        title: html! { "Who else is " span.accent { "fooled" } },
        plain_title: "Who else is fooled".into(),
        lead: html! {
            "Images were changed as little as possible to fool one model, and shown to "
            (counted(study.columns.len() as u64, "model", "models")) ": " (count(images))
            " adversarial images of " code { (study.data) } " (seed " (manifest.seed) ")."
        },
        finding: html! {
            p { (finding(study)) }
            @if !notes.is_empty() {
                ul.notes aria-label="Notes" { @for note in notes { li { (note) } } }
            }
        },
        picture: None,
    };
    let sections = [
        Section {
            id: "matrix",
            short: "Matrix",
            title: "Errors",
            body: html! {
                (matrix::reading())
                (matrix::figure(study, None, matrix::Of::Error, &html! {
                    b.label { "Errors" } " of the models in the columns."
                }))
                (matrix::figure(study, None, matrix::Of::Fooled, &html! {
                    b.label { "Fooled" } " Only images that the model in the column has right without the change; "
                    "small print: noise of the same size on the same images, and how many of those fooled "
                    "take the image for the class that the change was made for."
                }))
            },
        },
        Section { id: "curves", short: "Curves", title: "Longer and longer", body: curves::figure(study) },
        Section {
            id: "angles",
            short: "Angles",
            title: "Angles between changes",
            body: angles::figure(&study.angles),
        },
        Section {
            id: "method",
            short: "Method",
            title: "How it was made",
            body: html! { (method()) (provenance::method()) h3 { "Inputs" } (provenance::inputs(manifest)) },
        },
    ];
    page(&header, &sections, &manifest.struthio)
}

/// Whom the largest size fools most, beside noise.
pub fn finding(study: &Study) -> Markup {
    let share = |cell: &Cell| cell.fooled.rate.unwrap_or(0.0);
    let most = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.sizes.last()?)).filter(|_| row.images > 0))
        .flat_map(|(row, sized)| {
            let cells = study.columns.iter().zip(&sized.cells).filter(|(name, _)| **name != row.made_for);
            cells.map(move |(name, cell)| (row, sized, name, cell))
        })
        .max_by(|a, b| share(a.3).total_cmp(&share(b.3)));
    html! {
        @if let Some((row, sized, asked, cell)) = most {
            "At RMS " (crate::format::distance(sized.rms.mean)) ", "
            strong { "what was made for " (row.made_for) " fools " (asked) " most" } ": " (rate(share(cell)))
            " of the images that it has right (" (bounds(&cell.fooled)) "), where noise of the same size fools "
            (cell.noise.rate.map_or_else(String::new, rate)) "."
        } @else {
            "Nothing was found for any model, so nothing could be shown to others."
        }
    }
}

fn bounds(of: &Rate) -> String {
    of.interval.map_or_else(String::new, |bounds| format!("95 %: {}", crate::format::rate_interval(bounds)))
}

/// How perturbations are brought to a size, and what stands beside them.
pub fn method() -> Markup {
    html! {
        dl.facts {
            dt { "Sizes" }
            dd {
                "A change r of an image x is brought to a size by clip(x + t·r), with the t at which its root mean "
                "square is the one asked for: pixels that come to the end of the box [0, 1] stay there, and the "
                "others make up for it. Where all of them come to the end first, the size is as large as it can be; "
                "the size printed is the mean of those reached."
            }
            dt { "Noise" }
            dd {
                "Gaussian noise, clipped to the box, drawn several times for each image and the same for every "
                "network. Beside a change of some size stands noise brought to exactly that size, on the same "
                "images, in the same way. Its intervals take draws on one image for as many trials as their "
                "variance is worth, not as independent ones."
            }
            dt { "Fooled" }
            dd {
                "Of the images that a network has right without the change, those it gets wrong with it. The "
                "error, which is what the paper prints, counts all images."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{manifest, study};

    fn made(study: &Study, notes: &[String]) -> String {
        transfer_page(&TransferPage { manifest: &manifest(), study, notes })
    }

    #[test]
    fn the_same_results_give_the_same_bytes_and_names_are_escaped() {
        let mut of = study(&["<a>&", "b"]);
        assert_eq!(made(&of, &[]), made(&of, &[]));
        let html = made(&of, &["it <ends>".into()]);
        assert!(html.contains("&lt;a&gt;&amp;") && html.contains("it &lt;ends&gt;"));
        assert!(!html.contains("<a>") && !html.contains("<ends>") && !html.contains("NaN"));
        of.rows.clear();
        of.curves.clear();
        assert!(made(&of, &[]).contains("Nothing was found for any model"));
    }
}
