//! Every attack in figures, one line per training seed.

use maud::{Markup, html};
use struthio::paper::{SeedResult, Table1Row};
use struthio::run::Spread;

use crate::format::{count, distance, interval, maybe, rate_interval, significant};
use crate::page::scrolling;
use crate::provenance::{found, residual};

/// One line per trained network.
pub fn table(rows: &[Table1Row]) -> Markup {
    if rows.iter().all(|row| row.seeds.is_empty()) {
        return html! {};
    }
    html! {
        figure {
            (scrolling("Every attack in figures", &html! {
                table.figures {
                    thead { (head()) }
                    @for row in rows {
                        tbody { @for (i, seed) in row.seeds.iter().enumerate() { (line(row, i, seed)) } }
                    }
                }
            }))
            figcaption {
                b.label { "Every attack" }
                " Each line is one trained network. Small print: under the number found and under the median "
                "their 95 % intervals (Wilson, bootstrap), under the mean the smallest and the largest "
                "distance. L2 is the Euclidean norm of the change, L∞ the largest change of a pixel."
            }
        }
    }
}

fn head() -> Markup {
    html! {
        tr {
            th scope="col" rowspan="2" { "Network" }
            th.number scope="col" rowspan="2" { "Seed" }
            th.group scope="colgroup" colspan="2" { "Mistakes" }
            th.number scope="col" rowspan="2" { "Found" span.unit { "95 %" } }
            th.group scope="colgroup" colspan="2" { "RMS" }
            th.number scope="col" rowspan="2" { "L2" span.unit { "median" } }
            th.number scope="col" rowspan="2" { "L∞" span.unit { "median" } }
            th.group scope="colgroup" colspan="2" { "Per image" }
            th.number scope="col" rowspan="2" { "Residual" span.unit { "median" } }
        }
        tr {
            @for (name, below) in [
                ("training", ""), ("test", ""), ("mean", "range"), ("median", "95 %"), ("gradients", ""),
                ("forwards", ""),
            ] {
                th.number scope="col" { (name) @if !below.is_empty() { span.unit { (below) } } }
            }
        }
    }
}

fn line(row: &Table1Row, i: usize, seed: &SeedResult) -> Markup {
    let attack = &seed.attack;
    let median = |spread: &Option<Spread>| maybe(spread.as_ref().map(|spread| spread.median), distance);
    html! {
        tr {
            @if i == 0 { th scope="rowgroup" rowspan=(row.seeds.len()) { (row.network) } }
            td.number { (seed.seed) }
            td.number { (count(seed.train_mistakes)) }
            td.number { (count(seed.test_mistakes)) }
            td.number {
                (count(found(attack))) span.of { " / " (count(attack.attacked)) }
                @if let Some(bounds) = attack.success_interval { span.range { (rate_interval(bounds)) } }
            }
            td.number {
                (maybe(attack.rms.as_ref().map(|rms| rms.mean), distance))
                @if let Some(rms) = &attack.rms { span.range { (distance(rms.min)) "–" (distance(rms.max)) } }
            }
            td.number {
                (median(&attack.rms))
                @if let Some(rms) = &attack.rms { span.range { (interval(rms.median_interval, distance)) } }
            }
            td.number { (median(&attack.l2)) }
            td.number { (median(&attack.linf)) }
            td.number { (maybe(attack.gradients_mean, |mean| significant(mean, 3))) }
            td.number { (maybe(attack.forwards_mean, |mean| significant(mean, 3))) }
            td.number { (residual(attack)) }
        }
    }
}
