//! Tables 2 to 4, Figure 7 and the paper's claims.

use maud::{Markup, html};
use struthio::paper::{
    Claim, Figure7, HalfRow, HalfSplit, PAPER_TABLE_2, PAPER_TABLE_4, TransferTables, Verdict,
};
use struthio::run::Manifest;
use struthio::transfer::Study;

use crate::format::{distance, maybe, percent, rate, rate_interval};
use crate::gallery;
use crate::page::scrolling;
use crate::transfer::matrix::{self, Of};
use crate::transfer::{angles, curves};

/// What the paper claims, one card each.
pub fn claims(claims: &[Claim]) -> Markup {
    html! {
        p {
            "What section 4.2 of the paper says about transfer, judged by thresholds that were written before "
            "anything was measured; those of (a), (b2) and (d) were made stricter since. Beyond doubt means that 95 % intervals do not touch."
        }
        ul.claims {
            @for claim in claims {
                li class={ "claim " (class(claim.verdict)) } {
                    p.claim-head { span.verdict { (claim.verdict.as_str()) } b { "(" (claim.id) ") " (claim.claim) } }
                    p { (claim.figures) }
                    p.small { (claim.threshold) }
                }
            }
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::NotHeld => "not-held",
        Verdict::Undecided => "undecided",
    }
}

/// Table 2 with what belongs to it.
pub fn table2(tables: &TransferTables) -> Markup {
    let study = &tables.table2.train;
    html! {
        (matrix::reading())
        p.small {
            "Behind the bar: the paper’s Table 2. " b { "Minimal" } " is as short as our search could make it; "
            b { "paper’s" } " is rescaled to the paper’s average distortion for that network; the last line "
            "is brought to 0.1."
        }
        (matrix::figure(study, Some(&PAPER_TABLE_2), Of::Error, &html! {
            b.label { "Table 2" } " Errors on what was made from training images, as in the paper. "
            (crate::transfer::finding(study))
        }))
        (fooled(study))
        (from_test(&tables.table2.test))
    }
}

/// The cells among images that the column has right.
fn fooled(study: &Study) -> Markup {
    html! {
        details {
            summary { "Only images that the network in the column has right; noise of equal size; same wrong class" }
            (matrix::figure(study, None, Of::Fooled, &html! {
                b.label { "Fooled" } " Of the images right without the change. Under each: the share that noise "
                "of the same size fools on the same images, and of those fooled how many take the image for "
                "the very class that the change was made for."
            }))
        }
    }
}

fn from_test(study: &Study) -> Markup {
    html! {
        details {
            summary { "The same from test images" }
            (matrix::figure(study, None, Of::Error, &html! { b.label { "Test images" } " Errors." }))
            (matrix::figure(study, None, Of::Fooled, &html! {
                b.label { "Test images" } " Of those right without the change."
            }))
        }
    }
}

/// Tables 3 and 4.
pub fn halves(tables: &TransferTables) -> Markup {
    html! {
        p {
            "Do networks that never saw the same image share blind spots? The training images are divided "
            "into two halves P1 and P2, "
            @match tables.split {
                HalfSplit::FirstLast => "the first and the last,",
                HalfSplit::Random => "at random,",
            }
            " and each network is trained on one of them only."
        }
        (table3(&tables.table3))
        (matrix::figure(&tables.table4.train, Some(&PAPER_TABLE_4), Of::Error, &html! {
            b.label { "Table 4" } " Errors on what was made for each of them, from images of its own half; "
            "behind the bar the paper’s. FC100-100-10′ was trained on P2, the others on P1. Noise: on images "
            "of both halves alike."
        }))
        (fooled(&tables.table4.train))
        (from_test(&tables.table4.test))
    }
}

fn table3(rows: &[HalfRow]) -> Markup {
    html! {
        figure {
            (scrolling("Table 3", &html! {
                table.figures {
                    thead { tr {
                        th scope="col" { "Network" }
                        th scope="col" { "Trained on" }
                        @for name in ["Error on P1, %", "Error on P2, %", "Test error, %", "Distortion"] {
                            th.number scope="col" { (name) span.unit { "ours | paper" } }
                        }
                    } }
                    tbody { @for row in rows { (line(row)) } }
                }
            }))
            figcaption { b.label { "Table 3" } " Networks trained on disjoint halves, ours and the paper’s." }
        }
    }
}

fn line(row: &HalfRow) -> Markup {
    let (ours, paper) = (&row.result, &row.paper);
    let figures = [
        (percent(ours.p1_error), paper.p1_error),
        (percent(ours.p2_error), paper.p2_error),
        (percent(ours.test_error), paper.test_error),
        (maybe(ours.attack.rms.as_ref().map(|rms| rms.mean), distance), paper.distortion),
    ];
    html! {
        tr {
            th scope="row" { (row.network) }
            td { "P" (row.half) }
            @for (ours, paper) in figures { td.number { (ours) span.paper { " | " (paper) } } }
        }
    }
}

/// Curves and angles of Table 2.
pub fn beyond(tables: &TransferTables) -> Markup {
    html! {
        (curves::figure(&tables.table2.train))
        details {
            summary { "Networks of disjoint halves" }
            (curves::figure(&tables.table4.train))
        }
        h3 { "Angles" }
        (angles::figure(&tables.table2.train.angles))
    }
}

/// Figure 7.
pub fn figure7(figure: &Figure7, study: &Study, manifest: &Manifest) -> Option<Markup> {
    let noise = study.noise.iter().find(|row| row.sigma == 1.0);
    let accuracy = |network: &str| {
        let column = study.columns.iter().position(|column| column == network)?;
        let error = noise?.cells.get(column)?.error;
        let interval = error.interval?;
        let bounds =
            struthio::numeric::statistics::Interval { low: 1.0 - interval.high, high: 1.0 - interval.low };
        Some((1.0 - error.rate?, bounds))
    };
    (!figure.panels.is_empty()).then(|| {
        html! {
            p {
                "Changes that can hardly be seen, brought to the paper’s size, beside noise that all but hides "
                "the digit. "
                b { "3 → 8" } ": an image of class 3, read as 8."
            }
            @for panel in &figure.panels {
                h3 {
                    @if let Some(rms) = panel.rms {
                        "Made for " (panel.network) ", RMS " (rms)
                    } @else {
                        "Gaussian noise, σ = 1, read by " (panel.network)
                    }
                }
                @if panel.rms.is_none() && let Some((share, bounds)) = accuracy(&panel.network) {
                    p {
                        "Over all images drawn on, it still reads " b { (rate(share)) } " right (95 %: "
                        (rate_interval(bounds)) "); the paper says 51 %. The noise is clipped to the box."
                    }
                }
                (gallery::pairs(&panel.images, manifest))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{manifest, study, triple};
    use struthio::paper::Figure7Panel;

    #[test]
    fn a_claim_stands_with_its_verdict_figures_and_threshold() {
        let claim = Claim {
            id: "z".into(),
            claim: "birds <fly>".into(),
            threshold: "held if all do".into(),
            verdict: Verdict::NotHeld,
            figures: "9 of 10".into(),
        };
        let html = claims(&[claim]).into_string();
        for part in ["not-held", ">not held<", "(z) birds &lt;fly&gt;", "9 of 10", "held if all do"] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn accuracy_under_noise_stands_beside_the_papers() {
        let mut under = study(&["FC200-200-10"]);
        under.noise[0].sigma = 1.0;
        let panel = |rms| Figure7Panel { network: "FC200-200-10".into(), rms, images: vec![triple(3, 8)] };
        let figure = Figure7 { panels: vec![panel(Some(0.063)), panel(None)] };
        let html = figure7(&figure, &under, &manifest()).expect("a figure").into_string();
        assert!(html.contains("<b>99.0\u{a0}%</b>") && html.contains("the paper says 51 %"), "{html}");
        assert_eq!(html.matches("<img").count(), 4);
        assert!(figure7(&Figure7::default(), &under, &manifest()).is_none());
    }
}
