use serde::{Deserialize, Serialize};

use super::activations::Pooling;
use super::coherence::Measure;
use super::comparison::Comparison;
use super::directions::Kind;
use super::layer::Layer;

/// Below this p-value, corrected for the number of layers, a difference counts.
const LEVEL: f64 = 0.05;
/// Fewer directions than this are few.
const FEW: usize = 16;

/// Units that choose no more sets of images than this are hardly different directions.
const FEW_SETS: usize = 4;
/// Up to this share of the top images of units and of the directions that they stand against may be there by chance.
/// Of more, nothing is concluded but a difference that is larger than whatever other choices could make
/// ([`swing`]).
const BY_CHANCE: f64 = 0.02;

/// What a comparison with random bases that have the units' means comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// `Some(true)` if units are more coherent, `Some(false)` if less, `None` if there is no telling.
    pub units_more_coherent: Option<bool>,
    /// Whether there is no telling because ties decide which images stand for a direction.
    #[serde(default)]
    pub ties_decide: bool,
    /// In a sentence.
    pub sentence: String,
    /// What has to be known to judge it.
    pub caveats: Vec<String>,
}

/// What caveats depend on.
pub(super) struct Circumstances<'a> {
    pub layer: &'a Layer,
    pub measure: Measure,
    pub k: usize,
    pub images: usize,
    /// Layers whose p-values were corrected together.
    pub family: usize,
    pub pooling: Pooling,
    /// Units of the layer, those looked at, and those of them that vary.
    pub units: usize,
    pub examined: usize,
    pub live: usize,
    /// Units, and directions of the reference, more than k of whose images have the largest activations.
    pub tied: [usize; 2],
    /// Share of the top images of the same that are there by chance, as others of the same activation are not.
    pub chance: [f64; 2],
    /// How much other choices among ties could change the difference.
    pub swing: f64,
    /// Whether units are ranked by what comes before the nonlinearity.
    pub ranked_before: bool,
    pub negative: bool,
    /// Different images among the top ones of all units.
    pub distinct: usize,
    /// Whether the layer is among those nearest to the logits.
    pub last: bool,
}

impl Verdict {
    /// From the comparison with [`Kind::REFERENCE`], and what those with other random directions add.
    pub(super) fn of(comparisons: &[Comparison], about: &Circumstances<'_>) -> Self {
        let name = &about.layer.name;
        let reference = comparisons.iter().find(|comparison| comparison.against == Kind::REFERENCE);
        let Some(reference) = reference else {
            return Self {
                units_more_coherent: None,
                ties_decide: false,
                sentence: format!(
                    "Nothing can be said of {name}: of the units looked at ({}), fewer than three vary.",
                    about.examined
                ),
                caveats: selection(about).collect(),
            };
        };
        let found = found(reference);
        let ties_decide = about.chance.into_iter().any(|share| share > BY_CHANCE)
            && (found.is_none() || reference.difference.abs() <= about.swing);
        let found = found.filter(|_| !ties_decide);
        let subject = match found {
            None if ties_decide => format!(
                "Inconclusive: whether units of {name} are more coherent than random directions is left to chance by \
                 ties ({})",
                shares(about)
            ),
            Some(true) => format!("Units of {name} are more coherent than random directions"),
            Some(false) => format!("Units of {name} are less coherent than random directions"),
            None => format!("Units of {name} are not measurably more coherent than random directions"),
        };
        let Comparison { units, others, superiority, superiority_interval: bounds, .. } = reference;
        let correction =
            if about.family > 1 { format!(", Holm over {} layers", about.family) } else { String::new() };
        Self {
            units_more_coherent: found,
            ties_decide,
            sentence: format!(
                "{subject}: the {} of their top {} images is {units:.3}{unit} on average against {others:.3}{unit} for \
                 random bases with the same mean activations; a unit beats such a direction with probability {superiority:.2} (95 % {:.2} to {:.2}; \
                 p = {}{correction}).",
                about.measure.words(),
                about.k,
                bounds.low,
                bounds.high,
                p_value(reference.p_holm),
                unit = about.measure.unit(),
            ),
            caveats: comparisons
                .iter()
                .filter(|_| !ties_decide)
                .filter_map(|other| other_conclusion(found, other))
                .chain(caveats(about))
                .collect(),
        }
    }
}

/// The most by which the entropy of `k` labels, in bits, can depend on which images are taken for `by_chance` of them:
/// none is like another, or all are like the rest, which are all alike.
pub(super) fn swing(by_chance: usize, k: usize) -> f64 {
    let term = |count: usize| if count == 0 { 0.0 } else { count as f64 * (count as f64).log2() };
    (term(k) - term(k - by_chance)) / k.max(1) as f64
}

/// How many of the top images ties decide about.
fn shares(about: &Circumstances<'_>) -> String {
    let [units, others] = about.chance.map(|share| format!("{:.0} %", 100.0 * share));
    format!(
        "{units} of the top images of units and {others} of those of random directions are there by chance"
    )
}

/// Whether units are more coherent; `None` if there is no telling.
fn found(comparison: &Comparison) -> Option<bool> {
    (comparison.p_holm < LEVEL).then_some(comparison.difference > 0.0)
}

/// What a comparison with other random directions says if it leads to another conclusion than the verdict.
fn other_conclusion(verdict: Option<bool>, comparison: &Comparison) -> Option<String> {
    let which = match comparison.against {
        Kind::Whitened => ", which do not all see the strongest components of the layer",
        Kind::Haar | Kind::Gaussian => ", half of which point away from the mean activations",
        Kind::Units | Kind::Matched | Kind::Principal => return None,
    };
    let other = found(comparison).filter(|&other| Some(other) != verdict)?;
    Some(format!(
        "against {}{which}, units are {} coherent",
        comparison.against.words(),
        if other { "more" } else { "less" }
    ))
}

fn p_value(p: f64) -> String {
    if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.3}") }
}

fn caveats(about: &Circumstances<'_>) -> Vec<String> {
    let mut caveats = Vec::new();
    let mut add = |caveat: String| caveats.push(caveat);
    if !about.negative {
        add("no activation is negative, which alone makes the natural basis special: a unit only adds, any other \
             direction weighs units against each other"
            .into());
    }
    if about.layer.positions() > 1 && about.pooling == Pooling::Max {
        add("of every channel the largest value over the positions is taken before directions are formed, which treats \
             units unlike other directions; --pool mean does not".into());
    }
    if about.layer.logits && about.measure == Measure::LabelEntropy {
        add("these units are the classes that the network was trained to tell; where the labels are those classes or go \
             with them, coherent labels are no surprise"
            .into());
    } else if about.last && about.measure == Measure::LabelEntropy {
        add(
            "this is the last nonlinearity before the logits, trained to make its classes separable; labels \
             that go with them flatter every direction here"
                .into(),
        );
    }
    if about.measure == Measure::PixelDistance {
        add("all images have one label, so likeness is measured in pixels, which says little about meaning"
            .into());
    }
    if about.ranked_before {
        add(format!(
            "the images of a unit are ranked by what comes before the {}, which has the same order but no ties where \
             that saturates",
            about.layer.op
        ));
    }
    if about.tied[0] > 0 {
        let verb = if about.tied[0] == 1 { "is" } else { "are" };
        add(format!(
            "{} of the {} units {verb} as active for further images as for the last of the top {}, as where an \
             activation saturates or is silent, or images are the same (of as many random directions {}): {:.1} % of \
             the top images of units are there by chance{}",
            about.tied[0],
            about.live,
            about.k,
            about.tied[1],
            100.0 * about.chance[0],
            if about.tied[0] > about.tied[1] { ", which makes units look less coherent" } else { "" }
        ));
    }
    if about.live > FEW_SETS && about.distinct <= FEW_SETS * about.k && 2 * about.distinct <= about.images {
        add(format!(
            "the top {} of all {} units are only {} different images, so these units are nearly one direction, and \
             what is said of their coherence is said of very few sets of images",
            about.k, about.live, about.distinct
        ));
    }
    if about.live < FEW {
        add(format!("{} directions are few: only large differences can be found", about.live));
    }
    caveats.extend(selection(about));
    caveats
}

/// Which units were judged, where not all are.
fn selection(about: &Circumstances<'_>) -> impl Iterator<Item = String> {
    let Circumstances { units, examined, live, .. } = *about;
    let drawn = (examined < units && live > 0)
        .then(|| format!("all directions lie in the span of {live} of the {units} units, drawn at random"));
    let left_out = (live < examined).then(|| {
        format!("left out because they never vary: {} of {examined} units looked at", examined - live)
    });
    drawn.into_iter().chain(left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ValueId;
    use crate::numeric::statistics::Interval;

    const NONE: Interval = Interval { low: 0.0, high: 0.0 };

    /// Of a difference of 0.5 that is beyond doubt, with these shares of images there by chance.
    fn verdict(chance: [f64; 2], swing: f64, ranked_before: bool) -> Verdict {
        let layer =
            Layer { name: "act".into(), op: "Sigmoid", value: ValueId(1), shape: vec![64], logits: false };
        let comparison = Comparison {
            against: Kind::REFERENCE,
            units: 1.6,
            others: 1.1,
            difference: -0.5,
            difference_interval: NONE,
            superiority: 0.3,
            superiority_interval: NONE,
            p: 0.01,
            p_shuffled: 0.01,
            p_holm: 0.01,
            draws: Some(199),
        };
        let other = Comparison { against: Kind::Haar, difference: 0.5, ..comparison.clone() };
        let tied = chance.map(|share| (64.0 * share).ceil() as usize);
        Verdict::of(
            &[comparison, other],
            &Circumstances {
                layer: &layer,
                measure: Measure::LabelEntropy,
                k: 10,
                images: 1000,
                family: 1,
                pooling: Pooling::Mean,
                units: 64,
                examined: 64,
                live: 64,
                tied,
                chance,
                swing,
                ranked_before,
                negative: true,
                distinct: 500,
                last: false,
            },
        )
    }

    #[test]
    fn there_is_no_direction_where_ties_choose_more_than_a_fiftieth_of_the_images() {
        for chance in [[0.021, 0.0], [0.0, 0.021], [1.0, 1.0]] {
            let found = verdict(chance, 0.5, false);
            assert!(found.ties_decide && found.units_more_coherent.is_none(), "{chance:?} {found:?}");
            assert!(found.sentence.contains("left to chance by ties"), "{}", found.sentence);
            assert!(!found.caveats.iter().any(|caveat| caveat.contains("against random orthonormal")));
        }
        for (chance, swing) in [([0.0, 0.0], 0.0), ([0.02, 0.02], 0.5), ([0.3, 0.0], 0.49)] {
            let found = verdict(chance, swing, false);
            assert!(!found.ties_decide && found.units_more_coherent == Some(false), "{chance:?} {found:?}");
            assert!(found.caveats.iter().any(|caveat| caveat.contains("against random orthonormal")));
            assert_eq!(
                chance[0] > 0.0,
                found.caveats.iter().any(|caveat| caveat.contains("there by chance"))
            );
        }
    }

    /// All choices of three labels beside all of the fixed ones, of ten in four classes.
    #[test]
    fn no_choice_changes_an_entropy_by_more() {
        let entropy = |counts: [usize; 6]| -> f64 {
            let all = counts.iter().sum::<usize>() as f64;
            let share = |count: usize| count as f64 / all;
            counts.iter().filter(|&&count| count > 0).map(|&count| -share(count) * share(count).log2()).sum()
        };
        let mut largest = 0.0_f64;
        for fixed in [[7, 0, 0, 0, 0, 0], [4, 3, 0, 0, 0, 0], [3, 2, 2, 0, 0, 0], [5, 1, 1, 0, 0, 0]] {
            let choices = (0..216).map(|n| [n % 6, n / 6 % 6, n / 36]).map(|labels| {
                let mut counts = fixed;
                labels.into_iter().for_each(|label| counts[label] += 1);
                entropy(counts)
            });
            let (low, high) =
                choices.fold((9.0, 0.0), |(low, high): (f64, f64), h| (low.min(h), high.max(h)));
            assert!(high - low <= swing(3, 10) + 1e-12, "{fixed:?}");
            largest = largest.max(high - low);
        }
        assert!((largest - swing(3, 10)).abs() < 1e-12 && swing(0, 10) == 0.0);
        assert!((swing(10, 10) - 10.0_f64.log2()).abs() < 1e-12);
    }

    #[test]
    fn it_is_said_by_what_units_are_ranked() {
        let said =
            |ranked| verdict([0.0; 2], 0.0, ranked).caveats.iter().any(|c| c.contains("before the Sigmoid"));
        assert!(said(true) && !said(false));
    }
}
