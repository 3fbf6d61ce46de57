//! A blind test for the reader: which rows are units, and which are random directions?

use maud::{Markup, html};
use rand::seq::SliceRandom;
use struthio::data::Dataset;
use struthio::numeric::random::stream;
use struthio::units::{Direction, Kind, LayerResult};

use super::grid;
use crate::format::{counted, significant};

/// The rows that are to be told apart, kind by kind.
fn rows(layer: &LayerResult) -> [Vec<&Direction>; 2] {
    [Kind::Units, Kind::REFERENCE].map(|kind| layer.unseen(kind))
}

/// Rows of one layer in an order drawn from `seed`, to be told apart; answers and score are uncovered without a
/// script. The layer is the last hidden one with enough units, where most meaning is to be expected.
/// `id` is this test's own on the page.
pub fn test(id: &str, layers: &[LayerResult], data: &Dataset, seed: u64) -> Markup {
    let enough = |layer: &&LayerResult| rows(layer).iter().all(|rows| rows.len() > 1);
    let hidden = layers.iter().filter(|layer| !layer.logits).rfind(enough);
    let Some(layer) = hidden.or(layers.iter().rfind(enough)) else {
        return html! { p.nothing { "Fewer than three units vary, so there is nothing to tell apart." } };
    };
    let mut shuffled: Vec<&Direction> = rows(layer).concat();
    shuffled.shuffle(&mut stream(seed, "blind test", 0));
    let least = surprising(shuffled.len());
    html! {
        p {
            "These are the images of single units of " (layer.layer) " and of as many random directions, shuffled. Tick what "
            "you take each row for, then uncover the answers."
        }
        div.blind {
            ol.guesses {
                @for (number, direction) in shuffled.iter().enumerate() { (row(&format!("{id}-{number}"), direction, data)) }
            }
            details {
                summary { "Uncover the answers" }
                p.score { "of " (counted(shuffled.len() as u64, "row", "rows")) "." }
                p {
                    "Who guesses gets half of them right; " (least) " or more happen in "
                    (significant(100.0 * at_least(least, shuffled.len()), 2)) " % of all attempts. Fewer than that is what is to be expected "
                    "if units are nothing special to the eye."
                }
            }
        }
    }
}

/// `name` is the row's own on the page.
fn row(name: &str, direction: &Direction, data: &Dataset) -> Markup {
    let is_unit = direction.kind == Kind::Units;
    let choice = |unit: bool, words: &str| {
        html! {
            label {
                input.right[unit == is_unit].wrong[unit != is_unit] type="radio" name=(name) autocomplete="off";
                (words)
            }
        }
    };
    html! {
        li {
            div { (grid::images(direction, data)) }
            span.choices { (choice(true, "unit")) (choice(false, "random")) }
            span.answer {
                @if is_unit { "unit " (direction.number) } @else { "random" }
            }
        }
    }
}

/// The chance that at least `right` of `rows` fair coins fall right.
fn at_least(right: usize, rows: usize) -> f64 {
    let ways = |k: usize| (0..k).fold(1.0, |ways, i| ways * (rows - i) as f64 / (i + 1) as f64);
    (right..=rows).map(ways).sum::<f64>() / 2.0_f64.powi(rows as i32)
}

/// The smallest number of right guesses that is rarer than once in twenty attempts, or all.
fn surprising(rows: usize) -> usize {
    (0..=rows).find(|&right| at_least(right, rows) < 0.05).unwrap_or(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_coins() {
        assert_eq!(at_least(0, 12), 1.0);
        assert_eq!(at_least(2, 2), 0.25);
        // (66 + 12 + 1) / 4096
        assert!((at_least(10, 12) - 79.0 / 4096.0).abs() < 1e-15);
        assert_eq!((surprising(12), surprising(3)), (10, 3));
    }
}
