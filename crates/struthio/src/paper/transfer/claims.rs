//! What the paper says about transfer, judged.
//!
//! The thresholds were written before anything was measured with them. "Beyond doubt" means that 95 %
//! intervals (Wilson for rates, bootstrap for medians) do not touch.

use serde::{Deserialize, Serialize};

use super::published::PAPER_NOISE_ACCURACY;
use super::tables::AMPLIFIED;
use crate::numeric::statistics::Interval;
use crate::paper::table1::Table1;
use crate::transfer::{Rate, Row, Size, SizedRow, Study};

/// Share of the comparisons that must go the paper's way beyond doubt, none the other way, for a claim
/// about many pairs of networks to be held.
const MOST: f64 = 0.9;
/// Below this share of them a claim about many pairs is not held.
const HALF: f64 = 0.5;
/// How far an accuracy may be from the paper's to be called the same.
const NEAR: f64 = 0.1;

/// Whether a claim of the paper is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Ours says the same, beyond doubt.
    Held,
    /// Ours says the contrary, beyond doubt.
    NotHeld,
    /// Ours does not decide it.
    Undecided,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotHeld => "not held",
            Self::Undecided => "undecided",
        }
    }
}

/// A claim of the paper, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// A letter, with a number where it has several parts.
    pub id: String,
    /// What the paper says.
    pub claim: String,
    /// When it is held, and when it is not; else it is undecided.
    pub threshold: String,
    /// Whether it is.
    pub verdict: Verdict,
    /// The figures behind the verdict.
    pub figures: String,
}

/// Judges all of them, from training images as in the paper.
pub(super) fn claims(table1: &Table1, table2: &Study, table4: &Study) -> Vec<Claim> {
    let [distortion, transfer] = growth(table1, table2);
    let [lowered, above_noise] = disjoint_data(table4);
    vec![
        worse_than_noise(table2),
        distortion,
        transfer,
        lowered,
        above_noise,
        amplified(table2, table4),
        visible(table2),
    ]
}

fn claim(id: &str, claim: &str, threshold: String, (verdict, figures): (Verdict, String)) -> Claim {
    Claim { id: id.into(), claim: claim.into(), threshold, verdict, figures }
}

/// (a) At the paper's distortion and at 0.1, every pair of different networks.
fn worse_than_noise(table2: &Study) -> Claim {
    let cells = sized(table2, |size| size != Size::Minimal).flat_map(|(at, row)| {
        let others = row.cells.iter().enumerate().filter(move |&(column, _)| column != at);
        others.map(|(_, cell)| (cell.fooled, cell.noise))
    });
    claim(
        "a",
        "at equal RMS, adversarial images fool other networks more than noise does",
        format!(
            "of all pairs of different networks, at the paper’s distortion and at {AMPLIFIED}: held if \
             {:.0} % are above noise of the same size on the same images beyond doubt and none below; \
             not held if fewer than {:.0} % are",
            100.0 * MOST,
            100.0 * HALF
        ),
        tally(cells),
    )
}

/// (d) Every pair of different networks, both tables.
fn amplified(table2: &Study, table4: &Study) -> Claim {
    let cells = [table2, table4].into_iter().flat_map(|study| {
        study.rows.iter().enumerate().flat_map(|(at, row)| {
            let pairs = sized_as(row, Size::Minimal).zip(sized_as(row, Size::Rms(AMPLIFIED)));
            let cells = pairs.into_iter().flat_map(|(short, long)| long.cells.iter().zip(&short.cells));
            let others = cells.enumerate().filter(move |&(column, _)| column != at);
            others.map(|(_, (long, short))| (long.fooled, short.fooled)).collect::<Vec<_>>()
        })
    });
    claim(
        "d",
        "amplifying a perturbation makes it fool other networks more",
        format!(
            "of all pairs of different networks of Tables 2 and 4, amplified to {AMPLIFIED} against minimal: \
             held if {:.0} % rise beyond doubt and none falls; not held if fewer than {:.0} % rise",
            100.0 * MOST,
            100.0 * HALF
        ),
        tally(cells),
    )
}

/// How many first rates are above the second, beyond doubt, and what that means.
fn tally(pairs: impl Iterator<Item = (Rate, Rate)>) -> (Verdict, String) {
    let (mut above, mut below, mut all) = (0, 0, 0);
    for (rate, reference) in pairs {
        above += usize::from(rate.is_surely_above(&reference));
        below += usize::from(reference.is_surely_above(&rate));
        all += 1;
    }
    let share = above as f64 / f64::from(all.max(1));
    let verdict = match () {
        () if all == 0 => Verdict::Undecided,
        () if share >= MOST && below == 0 => Verdict::Held,
        () if share < HALF => Verdict::NotHeld,
        () => Verdict::Undecided,
    };
    (verdict, format!("above in {above} of {all} pairs, below in {below}"))
}

/// (b) Among the softmax networks, weight decay makes perturbations longer, and transfer more.
fn growth(table1: &Table1, table2: &Study) -> [Claim; 2] {
    let mut softmax: Vec<(f64, &str)> = table1
        .table1
        .iter()
        .filter(|row| row.network.starts_with("FC10("))
        .filter_map(|row| Some((*row.lambdas.first()?, row.network.as_str())))
        .collect();
    softmax.sort_by(|a, b| a.0.total_cmp(&b.0));
    let distortion = |name: &str| {
        let row = table1.table1.iter().find(|row| row.network == name)?;
        let rms = row.seeds.first()?.attack.rms.as_ref()?;
        Some((rms.median, rms.median_interval))
    };
    let transfer = |name: &str, size: Size| {
        let row = table2.rows.iter().find(|row| row.made_for == name)?;
        let others = sized_as(row, size)?.others;
        others.rate.zip(others.interval)
    };
    let names = || softmax.iter().map(|&(_, name)| name);
    let distortions: Vec<_> = names().filter_map(distortion).collect();
    let rates: Vec<_> = names().filter_map(|name| transfer(name, Size::Minimal)).collect();
    let equal: Vec<_> = names().filter_map(|name| transfer(name, Size::Rms(AMPLIFIED))).collect();
    let threshold = |what: &str| {
        format!(
            "held if {what} grows beyond doubt from each λ to the next, not held if it falls beyond doubt anywhere"
        )
    };
    let (verdict, figures) = rising(&rates, percent);
    let figures = format!("{figures} (all at RMS {AMPLIFIED}: {})", rising(&equal, percent).1);
    [
        claim(
            "b1",
            "among softmax networks, distortion grows with weight decay λ",
            threshold("the median minimum distortion"),
            rising(&distortions, |rms| format!("{rms:.4}")),
        ),
        claim(
            "b2",
            "among softmax networks, transfer grows with weight decay λ",
            threshold("the share fooled by minimal perturbations, over the five other networks of Table 2,"),
            (verdict, figures),
        ),
    ]
}

/// Whether each of three or more quantities is above the one before.
fn rising(values: &[(f64, Interval)], text: impl Fn(f64) -> String) -> (Verdict, String) {
    let told = values
        .iter()
        .map(|(value, bounds)| format!("{} [{}, {}]", text(*value), text(bounds.low), text(bounds.high)));
    let told = told.collect::<Vec<_>>().join(" → ");
    let pairs = || values.windows(2).map(|pair| (pair[0].1, pair[1].1));
    let verdict = if values.len() < 2 {
        Verdict::Undecided
    } else if pairs().all(|(before, after)| after.low > before.high) {
        Verdict::Held
    } else if pairs().any(|(before, after)| after.high < before.low) {
        Verdict::NotHeld
    } else {
        Verdict::Undecided
    };
    (verdict, told)
}

/// (c) What was made for a network of P1, shown to the other one of P1 and to that of P2.
fn disjoint_data(table4: &Study) -> [Claim; 2] {
    let cell = |made_for: usize, column: usize| {
        let row = sized_as(table4.rows.get(made_for)?, Size::Rms(AMPLIFIED))?;
        row.cells.get(column)
    };
    let same_and_other = [((0, 1), (0, 2)), ((1, 0), (1, 2))];
    let lowered: Vec<(Rate, Rate)> = same_and_other
        .iter()
        .filter_map(|&((a, b), (c, d))| Some((cell(a, b)?.fooled, cell(c, d)?.fooled)))
        .collect();
    let across: Vec<(Rate, Rate)> = [(0, 2), (1, 2), (2, 0), (2, 1)]
        .iter()
        .filter_map(|&(a, b)| cell(a, b).map(|cell| (cell.fooled, cell.noise)))
        .collect();
    [
        claim(
            "c1",
            "a disjoint training set lowers transfer",
            format!(
                "what was made for each network of P1, at RMS {AMPLIFIED}, shown to the other of P1 and to \
                 that of P2: held if the latter is fooled less beyond doubt both times, not held if more \
                 beyond doubt any time"
            ),
            all_above(&lowered, "against"),
        ),
        claim(
            "c2",
            "transfer to a network of a disjoint training set stays above noise",
            format!(
                "between networks of different halves, at RMS {AMPLIFIED}: held if all four pairs are \
                 above noise of the same size on the same images beyond doubt, not held if any is below \
                 beyond doubt"
            ),
            all_above(&across, "against noise"),
        ),
    ]
}

fn all_above(pairs: &[(Rate, Rate)], against: &str) -> (Verdict, String) {
    let told = pairs.iter().map(|(a, b)| format!("{} {against} {}", bounded(a), bounded(b)));
    let told = told.collect::<Vec<_>>().join("; ");
    let verdict = if pairs.iter().any(|(a, b)| b.is_surely_above(a)) {
        Verdict::NotHeld
    } else if !pairs.is_empty() && pairs.iter().all(|(a, b)| a.is_surely_above(b)) {
        Verdict::Held
    } else {
        Verdict::Undecided
    };
    (verdict, told)
}

/// (e) Noise that hides the digit is read better than a perturbation that nobody sees.
fn visible(table2: &Study) -> Claim {
    let noise = table2.noise.iter().find(|row| row.sigma == 1.0);
    let accuracy = |name: &str| {
        let column = table2.columns.iter().position(|column| column == name)?;
        let error = noise?.cells.get(column)?.error;
        let interval = error.interval?;
        Some((1.0 - error.rate?, Interval { low: 1.0 - interval.high, high: 1.0 - interval.low }))
    };
    let told = |name: &str| {
        let found = accuracy(name).map_or_else(
            || "none".to_owned(),
            |(rate, bounds)| format!("{} [{}, {}]", percent(rate), percent(bounds.low), percent(bounds.high)),
        );
        format!("{name} {found}")
    };
    let verdict = match accuracy("FC200-200-10") {
        Some((_, bounds))
            if bounds.low >= PAPER_NOISE_ACCURACY - NEAR && bounds.high <= PAPER_NOISE_ACCURACY + NEAR =>
        {
            Verdict::Held
        }
        Some((_, bounds))
            if bounds.high < PAPER_NOISE_ACCURACY - NEAR || bounds.low > PAPER_NOISE_ACCURACY + NEAR =>
        {
            Verdict::NotHeld
        }
        _ => Verdict::Undecided,
    };
    let others = table2.columns.iter().filter(|column| *column != "FC200-200-10");
    let others: Vec<String> = others.map(|column| told(column)).collect();
    let figures = format!("{}; paper 51 %; others: {}", told("FC200-200-10"), others.join(", "));
    claim(
        "e",
        "under noise of σ = 1 a network still reads 51 % of the images",
        format!(
            "FC200-200-10, noise clipped to the box: held if the interval of its accuracy lies within {:.0} points of \
             51 %, not held if it lies outside",
            100.0 * NEAR
        ),
        (verdict, figures),
    )
}

/// Rows in the sizes that `wanted` accepts, with their position.
fn sized(study: &Study, wanted: impl Fn(Size) -> bool + Copy) -> impl Iterator<Item = (usize, &SizedRow)> {
    let rows = study.rows.iter().enumerate();
    rows.flat_map(move |(at, row)| row.sizes.iter().filter(move |of| wanted(of.size)).map(move |of| (at, of)))
}

fn sized_as(row: &Row, size: Size) -> Option<&SizedRow> {
    row.sizes.iter().find(|of| of.size == size)
}

fn bounded(rate: &Rate) -> String {
    let bounds = rate.interval.unwrap_or(Interval { low: 0.0, high: 1.0 });
    let value = rate.rate.map_or_else(|| "none".to_owned(), percent);
    format!("{value} [{}, {}]", percent(bounds.low), percent(bounds.high))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(pairs: &[(u64, u64)]) -> Vec<(Rate, Rate)> {
        pairs.iter().map(|&(a, b)| (Rate::new(a, 100), Rate::new(b, 100))).collect()
    }

    #[test]
    fn many_pairs() {
        let judged = |pairs: &[(u64, u64)]| tally(rates(pairs).into_iter()).0;
        assert_eq!(judged(&[(50, 10); 10]), Verdict::Held);
        assert_eq!(judged(&[&[(50, 10); 9][..], &[(10, 10)]].concat()), Verdict::Held);
        assert_eq!(judged(&[&[(50, 10); 9][..], &[(10, 50)]].concat()), Verdict::Undecided, "one below");
        assert_eq!(judged(&[&[(50, 10); 8][..], &[(10, 10); 2]].concat()), Verdict::Undecided);
        assert_eq!(judged(&[&[(50, 10); 4][..], &[(12, 10); 6]].concat()), Verdict::NotHeld);
        assert_eq!(judged(&[]), Verdict::Undecided);
    }

    #[test]
    fn few_pairs() {
        let judged = |pairs: &[(u64, u64)]| all_above(&rates(pairs), "against").0;
        assert_eq!(judged(&[(50, 10), (60, 20)]), Verdict::Held);
        assert_eq!(judged(&[(50, 10), (60, 59)]), Verdict::Undecided);
        assert_eq!(judged(&[(50, 10), (20, 60)]), Verdict::NotHeld);
        assert_eq!(judged(&[]), Verdict::Undecided);
    }

    #[test]
    fn growth_from_each_to_the_next() {
        let at = |value: f64| (value, Interval { low: value - 0.1, high: value + 0.1 });
        let judged = |values: &[f64]| rising(&values.iter().map(|&v| at(v)).collect::<Vec<_>>(), percent).0;
        assert_eq!(judged(&[0.1, 0.4, 0.7]), Verdict::Held);
        assert_eq!(judged(&[0.1, 0.4, 0.5]), Verdict::Undecided);
        assert_eq!(judged(&[0.4, 0.1, 0.7]), Verdict::NotHeld);
        assert_eq!(judged(&[0.1]), Verdict::Undecided);
    }
}
