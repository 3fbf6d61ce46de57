//! What the units of an encoder trained without labels look for.

use maud::{Markup, html};
use struthio::numeric::statistics::quantile;
use struthio::paper::NetworkReport;

use crate::format::count;
use crate::picture::Picture;

/// Units shown.
const SHOWN: usize = 100;
/// A unit is called local if half of its squared weight lies on at most this share of the pixels.
const LOCAL: f64 = 0.125;

/// The filters of every network that has some; nothing if none has.
pub fn filters(networks: &[NetworkReport]) -> Option<Markup> {
    let figures: Vec<Markup> = networks.iter().filter_map(figure).collect();
    (!figures.is_empty()).then(|| {
        html! {
            p {
                "The hidden units of this network were trained without labels, to restore images from which "
                "pixels had been erased; only the softmax on top of them learnt what a digit is. Each "
                "square shows the weights of one unit, pixel by pixel: mid-grey is zero, white excites the "
                "unit, black inhibits it, and the largest weight of each unit is fully white or black."
            }
            @for figure in &figures { (figure) }
        }
    })
}

fn figure(network: &NetworkReport) -> Option<Markup> {
    let shown = network.filters.len().min(SHOWN);
    let sources: Vec<String> =
        network.filters[..shown].iter().filter_map(|weights| source(weights)).collect();
    let pixels = network.filters.first()?.len();
    let halves: Vec<f64> = network.filters.iter().filter_map(|weights| pixels_of_half(weights)).collect();
    let half = quantile(&halves, 0.5)?;
    let local = halves.iter().filter(|&&half| half <= LOCAL * pixels as f64).count();
    let units = network.filters.len() as u64;
    (!sources.is_empty()).then(|| {
        html! {
            figure {
                div.filters role="img" aria-label={ "Weights of " (sources.len()) " hidden units of " (network.name) } {
                    @for source in &sources { img.pixels src=(source) alt="" width="28" height="28"; }
                }
                figcaption {
                    b.label { (network.name) }
                    " The first " (sources.len()) " of " (count(units)) " units, first training seed. "
                    @if local as u64 * 2 > units {
                        b { "Without labels, most units have come to watch one part of the image" }
                    } @else {
                        b { "Without labels, most units watch the image as a whole" }
                    }
                    ": half of a unit’s squared weight lies on " (format!("{half:.0}")) " of " (count(pixels as u64))
                    " pixels (median), and on at most an eighth of them for " (count(local as u64)) " of "
                    (count(units)) " units."
                }
            }
        }
    })
}

/// The weights as a picture, if there is one to make.
fn source(weights: &[f32]) -> Option<String> {
    let largest = weights.iter().fold(0.0_f32, |largest, w| largest.max(w.abs()));
    let scale = if largest > 0.0 { 0.5 / largest } else { 0.0 };
    let grey: Vec<f32> = weights.iter().map(|w| 0.5 + scale * w).collect();
    Picture::new(&grey, &[grey.len()])?.data_uri()
}

/// How many pixels, the heaviest first, hold half of the squared weight; `None` without weights.
fn pixels_of_half(weights: &[f32]) -> Option<f64> {
    let mut squares: Vec<f64> = weights.iter().map(|&w| f64::from(w).powi(2)).collect();
    let total: f64 = squares.iter().sum();
    if !(total > 0.0) {
        return None;
    }
    squares.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let last = squares.iter().position(|square| {
        sum += square;
        2.0 * sum >= total
    });
    last.map(|last| (last + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(filters: Vec<Vec<f32>>) -> NetworkReport {
        NetworkReport { name: "AE3-10".into(), filters, ..NetworkReport::default() }
    }

    #[test]
    fn half_of_the_squared_weight() {
        assert_eq!(pixels_of_half(&[0.0, 0.0]), None);
        assert_eq!(pixels_of_half(&[3.0, 0.0, -1.0]), Some(1.0));
        assert_eq!(pixels_of_half(&[1.0; 8]), Some(4.0));
    }

    #[test]
    fn the_caption_follows_the_weights() {
        let mut narrow = vec![0.0; 784];
        narrow[400] = -2.0;
        let page = filters(&[network(vec![narrow; 3])]).expect("a figure").into_string();
        assert!(page.contains("one part of the image") && page.contains("lies on 1 of 784"), "{page}");
        assert_eq!(page.matches("data:image/png;base64,").count(), 3);
        let page = filters(&[network(vec![vec![0.5; 784]; 3])]).expect("a figure").into_string();
        assert!(page.contains("as a whole") && page.contains("lies on 392 of 784"), "{page}");
    }

    #[test]
    fn without_filters_there_is_no_section() {
        assert!(filters(&[network(Vec::new())]).is_none());
    }
}
