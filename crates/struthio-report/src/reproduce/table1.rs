//! Table 1: ours beside the paper's.

use maud::{Markup, html};
use struthio::numeric::statistics::standard_deviation;
use struthio::paper::{PaperRow, Table1Row};

use super::finding;
use crate::format::{NOTHING, count, deviation, distance, lambda, maybe, percent};
use crate::page::scrolling;
use crate::provenance::found;

/// What the table is about.
pub fn intro(samples: u64) -> Markup {
    html! {
        p {
            "Each network is trained on the 60,000 training images of MNIST with weight decay λ: the loss has "
            "λ·Σw²/k for a layer of k units, weights only. Its " em { "average minimum distortion" }
            " is the mean, over the first " (count(samples)) " training images it classifies correctly, of the "
            "root mean square of the smallest change that makes it wrong. Training images are attacked because "
            "the paper does so; initial weights and optimiser are ours, because the paper does not say what its "
            "own were."
        }
    }
}

/// The table with its caption and footnotes.
pub fn table(rows: &[Table1Row]) -> Markup {
    if rows.is_empty() {
        return html! { p.nothing { "No network was attacked." } };
    }
    let remarks = Remarks::of(rows);
    html! {
        figure {
            (scrolling("Table 1, ours and the paper’s", &html! {
                table.compared {
                    thead { (head()) }
                    tbody { @for row in rows { (line(row, &remarks)) } }
                }
            }))
            figcaption { b.label { "Table 1" } " " (finding::table1(rows)) }
            (remarks.list())
            p.small {
                @if rows.iter().any(|row| row.seeds.len() > 1) {
                    "± is the standard deviation over training seeds, for networks trained with several. "
                }
                "Paper: its Table 1, figures as printed there. " (NOTHING) ": no such figure."
            }
        }
    }
}

fn head() -> Markup {
    html! {
        tr {
            th scope="col" rowspan="2" { "Network" }
            th scope="col" rowspan="2" { "Decay λ" span.unit { "per layer" } }
            th.group scope="colgroup" colspan="2" { "Training error" span.unit { "%" } }
            th.group scope="colgroup" colspan="2" { "Test error" span.unit { "%" } }
            th.group scope="colgroup" colspan="2" { "Av. min. distortion" span.unit { "RMS" } }
            th.number scope="col" rowspan="2" { "Found" span.unit { "of attacked" } }
        }
        tr {
            @for _ in 0..3 {
                th.number.ours scope="col" { "ours" }
                th.number.paper scope="col" { "paper" }
            }
        }
    }
}

fn line(row: &Table1Row, remarks: &Remarks<'_>) -> Markup {
    let train: Vec<f64> = row.seeds.iter().map(|seed| seed.train_error).collect();
    let train_spread = standard_deviation(&train).map(|spread| 100.0 * spread);
    let test_spread = row.test_error_spread.map(|spread| 100.0 * spread);
    let attacked: u64 = row.seeds.iter().map(|seed| seed.attack.attacked).sum();
    let successes: u64 = row.seeds.iter().map(|seed| found(&seed.attack)).sum();
    let paper = |value: fn(&PaperRow) -> f64| maybe(row.paper.as_ref().map(value), |value| value.to_string());
    let figures = [
        ("train error, %", percent(row.train_error), train_spread, paper(|paper| paper.train_error)),
        ("test error, %", percent(row.test_error), test_spread, paper(|paper| paper.test_error)),
        (
            "distortion",
            maybe(row.distortion, distance),
            row.distortion_spread,
            paper(|paper| paper.distortion),
        ),
    ];
    html! {
        tr {
            th scope="row" { (row.network) (remarks.mark(&row.remark)) }
            td.lambda data-label="weight decay λ" { (lambdas(&row.lambdas)) }
            @for (name, ours, spread, paper) in &figures {
                td.number.ours data-label=(name) {
                    span {
                        (ours)
                        @if let Some(spread) = spread.and_then(|spread| deviation(spread, ours)) {
                            span.deviation { (spread) }
                        }
                    }
                }
                td.number.paper { (paper) }
            }
            td.number.found data-label="found / attacked" {
                span { (count(successes)) span.of { " / " (count(attacked)) } }
            }
        }
    }
}

/// One λ for each layer, or the one that all have.
fn lambdas(lambdas: &[f64]) -> String {
    let &[first, ..] = lambdas else { return NOTHING.into() };
    if lambdas.iter().all(|&other| other == first) {
        return lambda(first);
    }
    lambdas.iter().map(|&value| lambda(value)).collect::<Vec<_>>().join(", ")
}

/// What differs from the paper, each thing once.
struct Remarks<'a>(Vec<&'a str>);

impl<'a> Remarks<'a> {
    fn of(rows: &'a [Table1Row]) -> Self {
        let mut remarks: Vec<&str> = Vec::new();
        for row in rows.iter().filter(|row| !row.remark.is_empty()) {
            if !remarks.contains(&row.remark.as_str()) {
                remarks.push(&row.remark);
            }
        }
        Self(remarks)
    }

    fn mark(&self, remark: &str) -> Markup {
        let position = self.0.iter().position(|known| *known == remark);
        html! { @if let Some(position) = position { sup { (letter(position)) } } }
    }

    fn list(&self) -> Markup {
        html! {
            @if !self.0.is_empty() {
                ul.remarks {
                    @for (i, remark) in self.0.iter().enumerate() {
                        li { sup { (letter(i)) } " " (remark) "." }
                    }
                }
            }
        }
    }
}

fn letter(position: usize) -> String {
    u8::try_from(position)
        .ok()
        .filter(|&i| i < 26)
        .map_or_else(|| (position + 1).to_string(), |i| char::from(b'a' + i).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::row;

    #[test]
    fn ours_stands_beside_the_papers() {
        let table = table(&[row("FC10(0)", 0.0, 0.0156)]).into_string();
        let pair = "<span>0.0156</span></td><td class=\"number paper\">0.1</td>";
        assert!(table.contains(pair), "{table}");
    }

    #[test]
    fn a_remark_is_said_once() {
        let table = table(&[row("a", 1.0, 0.1), row("b", 1.0, 0.1)]).into_string();
        assert_eq!(table.matches("weights are ours").count(), 1);
        assert_eq!(table.matches("<sup>a</sup>").count(), 3);
    }

    #[test]
    fn missing_figures_are_dashes() {
        let mut row = row("a", 1.0, 0.1);
        (row.paper, row.distortion, row.test_error) = (None, None, f64::NAN);
        let line = line(&row, &Remarks(Vec::new())).into_string();
        assert_eq!(line.matches(&format!(">{NOTHING}<")).count(), 5, "{line}");
    }
}
