//! Sentences that the results allow.

use maud::{Markup, html};
use struthio::paper::Table1Row;

use crate::distribution::Panel;
use crate::format::{count, distance, factor, grey_levels, rate, significant};
use crate::provenance::found;

/// What came out, in two sentences.
pub fn finding(rows: &[Table1Row]) -> Markup {
    let attacks = || rows.iter().flat_map(|row| &row.seeds).map(|seed| &seed.attack);
    let attacked: u64 = attacks().map(|attack| attack.attacked).sum();
    let successes: u64 = attacks().map(found).sum();
    html! {
        p {
            @if attacked == 0 {
                "No network was attacked."
            } @else if successes == 0 {
                "No adversarial image was found in " (count(attacked)) " searches."
            } @else if successes == attacked {
                strong { "Every one of the attacked images has an adversarial image" }
                ": " (count(attacked)) " searches, " (count(successes)) " found. "
                (range(rows))
            } @else {
                strong { (count(successes)) " of " (count(attacked)) " searches found an adversarial image" }
                " (" (rate(successes as f64 / attacked as f64)) "). "
                (range(rows))
            }
        }
    }
}

/// The networks with the smallest and the largest average distortion.
fn range(rows: &[Table1Row]) -> Markup {
    let averages = || rows.iter().filter_map(|row| Some((&row.network, row.distortion?)));
    let least = averages().min_by(|a, b| a.1.total_cmp(&b.1));
    let most = averages().max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((least, most)) = least.zip(most) else { return html! {} };
    html! {
        @if least.1 == most.1 {
            "The average smallest change is " b { (distance(least.1)) } " RMS over the pixels: "
            (grey_levels(least.1)) " of the 255 steps from black to white."
        } @else {
            "The average smallest change lies between " b { (distance(least.1)) } " RMS (" (least.0) ") and "
            b { (distance(most.1)) } " RMS (" (most.0) "): between " (grey_levels(least.1)) " and "
            (grey_levels(most.1)) " of the 255 steps from black to white."
        }
    }
}

/// What Table 1 shows, beside the paper's figures.
pub fn table1(rows: &[Table1Row]) -> Markup {
    let ratios: Vec<f64> = rows
        .iter()
        .filter_map(|row| Some(row.distortion? / row.paper?.distortion))
        .filter(|ratio| ratio.is_finite())
        .collect();
    html! { (sizes(&ratios)) (order(rows)) (errors(rows)) }
}

/// Ours as a multiple of the paper's distortion.
fn sizes(ratios: &[f64]) -> Markup {
    let Some((least, most)) = extremes(ratios) else { return html! {} };
    let smaller = ratios.iter().filter(|&&ratio| ratio < 1.0).count();
    html! {
        @if smaller == ratios.len() {
            b { "Our distances are smaller than the paper’s for every network here that it lists" }
        } @else if smaller == 0 {
            b { "Our distances are not smaller than the paper’s for any network here that it lists" }
        } @else {
            b {
                "Our distances are smaller than the paper’s for " (smaller) " of " (ratios.len())
                " networks here that it lists"
            }
        }
        ": " (significant(least, 2)) @if ratios.len() > 1 { " to " (significant(most, 2)) } " times theirs. "
        @if smaller > 0 {
            "Two differences push this way: the paper calls its search an approximation, while ours walks "
            "along the decision boundary until no small step brings it closer; and ours takes the nearest of "
            "all wrong classes. "
        }
    }
}

/// Whether stronger decay moves the boundary away, as it does in the paper.
fn order(rows: &[Table1Row]) -> Markup {
    let mut softmax: Vec<(f64, f64, f64)> = rows
        .iter()
        .filter(|row| row.network.starts_with("FC10("))
        .filter_map(|row| Some((*row.lambdas.first()?, row.distortion?, row.paper?.distortion)))
        .collect();
    if softmax.len() < 2 {
        return html! {};
    }
    softmax.sort_by(|a, b| a.0.total_cmp(&b.0));
    let grows =
        |value: fn(&(f64, f64, f64)) -> f64| softmax.windows(2).all(|pair| value(&pair[0]) < value(&pair[1]));
    html! {
        @if grows(|row| row.1) && grows(|row| row.2) {
            "As in the paper, a softmax classifier is the harder to fool the stronger its weight decay λ. "
        } @else if grows(|row| row.2) {
            "In the paper a softmax classifier is the harder to fool the stronger its weight decay λ; here "
            "that is not so. "
        }
    }
}

/// The largest difference of test errors.
fn errors(rows: &[Table1Row]) -> Markup {
    let differences = rows.iter().filter_map(|row| {
        let difference = 100.0 * row.test_error - row.paper?.test_error;
        difference.is_finite().then_some((&row.network, difference))
    });
    let Some((network, largest)) = differences.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) else {
        return html! {};
    };
    html! {
        "Test errors differ from the paper’s by at most " (format!("{:.2}", largest.abs()))
        " percentage points (" (network) ")."
    }
}

/// What the histograms show.
pub fn distances(panels: &[Panel<'_>]) -> Markup {
    let spans: Vec<f64> = panels
        .iter()
        .filter_map(|panel| extremes(panel.rms))
        .filter(|&(least, _)| least > 0.0)
        .map(|(least, most)| most / least)
        .collect();
    let below: Vec<f64> = panels
        .iter()
        .filter(|panel| !panel.rms.is_empty())
        .filter_map(|panel| {
            let below = panel.rms.iter().filter(|&&rms| rms < panel.paper.unwrap_or(f64::NAN)).count();
            panel.paper.map(|_| below as f64 / panel.rms.len() as f64)
        })
        .collect();
    html! {
        @if let Some((least, most)) = extremes(&spans) {
            "Within one network the hardest image needs a change "
            (factor(least)) @if spans.len() > 1 { " to " (factor(most)) }
            " times as large as the easiest. "
        }
        @if let Some((least, most)) = extremes(&below) {
            "The paper’s average exceeds "
            @if rate(least) == rate(most) { (rate(least)) } @else { (rate(least)) " to " (rate(most)) }
            " of our distances" @if below.len() > 1 { ", depending on the network" } ". "
        }
    }
}

fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    Some((finite().reduce(f64::min)?, finite().reduce(f64::max)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{reproduction, row};

    #[test]
    fn every_only_if_every() {
        let mut rows = reproduction().table1.table1;
        assert!(finding(&rows).into_string().contains("Every one"));
        rows[0].seeds[0].attack.statuses[0].count -= 1;
        let sentence = finding(&rows).into_string();
        assert!(!sentence.contains("Every one") && sentence.contains("of 60 searches found"), "{sentence}");
    }

    #[test]
    fn conclusions_follow_the_data() {
        let smaller = [row("FC10(1e-4)", 1e-4, 0.01), row("FC10(1)", 1.0, 0.05)];
        let text = table1(&smaller).into_string();
        assert!(
            text.contains("smaller than the paper’s for every") && text.contains("As in the paper"),
            "{text}"
        );
        let larger = [row("FC10(1e-4)", 1e-4, 0.5), row("FC10(1)", 1.0, 0.4)];
        let text = table1(&larger).into_string();
        assert!(text.contains("not smaller") && text.contains("here that is not so"), "{text}");
    }

    #[test]
    fn nothing_to_conclude_is_no_reason_to_panic() {
        assert_eq!(table1(&[]).into_string(), "");
        assert!(finding(&[]).into_string().contains("No network"));
        distances(&[Panel { name: "a", rms: &[], paper: Some(0.1) }]);
    }
}
