//! A transfer matrix as a table whose cells are the darker the more is fooled.

use maud::{Markup, html};
use struthio::paper::{PaperMatrix, PaperMatrixRow};
use struthio::transfer::{Cell, NoiseRow, Rate, Reached, Row, Size, SizedRow, Study};

use crate::format::{NOTHING, count, counted, distance, rate, rate_interval};
use crate::page::scrolling;

/// What the cells show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Errors over all images.
    Error,
    /// Errors among the images that the network has right without the change.
    Fooled,
}

/// How to read a matrix.
pub fn reading() -> Markup {
    html! {
        p {
            "Each line is what was made for one network, in one size; each column is a network that is asked, and its "
            "cell says how many of the images it gets wrong. Frames mark the network that the images were made for. "
            "Small print: 95 % intervals."
        }
    }
}

/// The matrix with its caption, beside the paper's if there is one.
pub fn figure(study: &Study, paper: Option<&PaperMatrix>, of: Of, caption: &Markup) -> Markup {
    if study.rows.is_empty() {
        return html! { p.nothing { "There is nothing to show to other networks." } };
    }
    html! {
        figure {
            (scrolling("Transfer matrix", &html! {
                table.figures.heat {
                    thead {
                        tr {
                            th scope="col" { "Made for" }
                            th scope="col" { "Size" span.unit { "RMS reached" } }
                            @for column in &study.columns { th.number scope="col" { (column) } }
                        }
                    }
                    @for row in &study.rows { (group(study, row, paper, of)) }
                    tbody {
                        @if of == Of::Error {
                            tr {
                                th scope="row" { "unchanged" }
                                td { span.number { (distance(0.0)) } }
                                @for rate in &study.unchanged { (filled(false, rate, None, &html! {})) }
                            }
                        }
                        @for noise in &study.noise { (noise_line(noise, paper, of)) }
                    }
                }
            }))
            figcaption { (caption) }
        }
    }
}

fn group(study: &Study, row: &Row, paper: Option<&PaperMatrix>, of: Of) -> Markup {
    html! {
        tbody {
            @for (i, sized) in row.sizes.iter().enumerate() {
                tr {
                    @if i == 0 {
                        th scope="rowgroup" rowspan=(row.sizes.len()) {
                            (row.made_for) span.unit { (counted(row.images, "image", "images")) }
                        }
                    }
                    (size(sized, paper.and_then(|paper| paper.distortion(&row.made_for))))
                    @let published = paper.and_then(|paper| papers(paper, row, sized));
                    @for (c, cell) in sized.cells.iter().enumerate() {
                        @let own = study.columns.get(c) == Some(&row.made_for);
                        (filled(own, shown(cell, of), published.and_then(|errors| errors.get(c)), &small(cell, of)))
                    }
                }
            }
        }
    }
}

fn noise_line(noise: &NoiseRow, paper: Option<&PaperMatrix>, of: Of) -> Markup {
    let papers = paper.and_then(|paper| paper.row(PaperMatrixRow::Noise(noise.sigma)));
    html! {
        tr {
            th scope="row" { "noise, σ = " (noise.sigma) }
            td { span.number { (distance(noise.rms.mean)) } span.range { (counted(noise.draws, "draw", "draws")) } }
            @for (c, cell) in noise.cells.iter().enumerate() {
                @let rate = if of == Of::Error { &cell.error } else { &cell.fooled };
                @let published = papers.filter(|_| of == Of::Error).and_then(|errors| errors.get(c));
                (filled(false, rate, published, &html! {}))
            }
        }
    }
}

fn size(sized: &SizedRow, papers: Option<f64>) -> Markup {
    let Reached { mean, min, max, short } = sized.rms;
    let name = match sized.size {
        Size::Minimal => "minimal",
        Size::Rms(rms) if Some(rms) == papers => "paper’s",
        Size::Rms(_) => "rescaled",
    };
    let title = format!("{} to {}; box too small for {}", distance(min), distance(max), count(short));
    html! { td title=(title) { span.number { (distance(mean)) } span.range { (name) } } }
}

/// The paper's errors in this size.
fn papers(paper: &PaperMatrix, row: &Row, sized: &SizedRow) -> Option<&'static [f64]> {
    let Size::Rms(rms) = sized.size else { return None };
    let errors = paper.rows.iter().find(|published| match published.0 {
        PaperMatrixRow::MadeFor(name, size) | PaperMatrixRow::Amplified(name, size) => {
            name == row.made_for && size == rms
        }
        PaperMatrixRow::Noise(_) => false,
    });
    errors.map(|published| published.1)
}

fn shown(cell: &Cell, of: Of) -> &Rate {
    if of == Of::Error { &cell.error } else { &cell.fooled }
}

/// What a cell says besides its share.
fn small(cell: &Cell, of: Of) -> Markup {
    html! {
        @if of == Of::Fooled {
            @if let Some(noise) = cell.noise.rate { span.range { "noise " (rate(noise)) } }
            @if let Some(same) = cell.same_class.rate { span.range { "same class " (rate(same)) } }
        }
    }
}

fn filled(own: bool, of: &Rate, papers: Option<&f64>, more: &Markup) -> Markup {
    let heat = format!("--heat:{:.1}%", 60.0 * of.rate.unwrap_or(0.0));
    let title = format!("{} of {}", count(of.count), count(of.of));
    html! {
        td.number.cell.own[own] style=(heat) title=(title) {
            @if let Some(share) = of.rate { (rate(share)) } @else { (NOTHING) }
            @if let Some(papers) = papers { span.paper { " | " (papers) } }
            @if let Some(bounds) = of.interval { span.range { (rate_interval(bounds)) } }
            (more)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::study;

    #[test]
    fn rows_and_columns_are_not_confused_and_the_paper_stands_beside() {
        const PAPER: PaperMatrix = PaperMatrix {
            columns: &["a", "b"],
            rows: &[
                (PaperMatrixRow::MadeFor("a", 0.06), &[100.0, 12.5]),
                (PaperMatrixRow::Noise(0.1), &[1.5, 2.5]),
            ],
        };
        // In the sample, what was made for column r fools column c in 10 (1 + 2 r + c) of 100 images.
        let html = figure(&study(&["a", "b"]), Some(&PAPER), Of::Error, &html! {}).into_string();
        let of_a = html.split("noise, σ").next().expect("rows");
        let at = |text: &str| of_a.find(text).unwrap_or_else(|| panic!("{text} in {of_a}"));
        assert!(
            at("10.0\u{a0}%<span class=\"paper\"> | 100") < at("20.0\u{a0}%<span class=\"paper\"> | 12.5")
        );
        assert!(at("20.0\u{a0}%") < at("30.0\u{a0}%") && at("30.0\u{a0}%") < at("40.0\u{a0}%"));
        assert!(html.contains("paper’s") && html.contains("<span class=\"paper\"> | 2.5"));
        assert_eq!(html.matches("cell own").count(), 2);
    }
}
