//! What the units of an encoder trained without labels look for.

use std::cmp::Ordering;

use maud::{Markup, html};
use struthio::numeric::statistics::quantile;
use struthio::paper::NetworkReport;

use crate::format::count;
use crate::picture::Picture;

/// Units shown.
const SHOWN: usize = 100;
/// A unit is called local if its weights spread over at most this share of the side of the image:
/// a disc of that spread covers about an eighth of it.
const LOCAL: f64 = 1.0 / 7.0;

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
    let side = network.filters.first()?.len().isqrt();
    let spreads: Vec<f64> = network.filters.iter().filter_map(|weights| spread(weights)).collect();
    let median = quantile(&spreads, 0.5)?;
    let local = spreads.iter().filter(|&&spread| spread <= LOCAL * side as f64).count() as u64;
    let units = network.filters.len() as u64;
    (!sources.is_empty()).then(|| {
        html! {
            figure {
                div.filters role="img" aria-label={ "Weights of " (sources.len()) " hidden units of " (network.name) } {
                    @for source in &sources { img.pixels src=(source) alt="" width=(side) height=(side); }
                }
                figcaption {
                    b.label { (network.name) }
                    " The first " (sources.len()) " of " (count(units)) " units, first training seed. "
                    @if local * 2 > units {
                        b { "Without labels, most units have come to watch one spot of the image" }
                    } @else {
                        b { "Without labels, most units have learnt patterns as large as a digit, not spots of it" }
                    }
                    ": the squared weights of a unit lie " (format!("{median:.1}")) " pixels from their centre "
                    "(root mean square; median over the units), and within " (format!("{:.0}", LOCAL * side as f64))
                    " pixels for " (count(local)) " of " (count(units)) " units."
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

/// Root mean square distance, in pixels, of the squared weight from its centre; `None` without
/// weights and where they do not fill a square.
fn spread(weights: &[f32]) -> Option<f64> {
    let side = weights.len().isqrt();
    let total: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
    if side * side != weights.len() || total.partial_cmp(&0.0) != Some(Ordering::Greater) {
        return None;
    }
    let mean = |f: &dyn Fn(f64, f64) -> f64| {
        let place = |i: usize| f((i % side) as f64, (i / side) as f64);
        weights.iter().enumerate().map(|(i, &w)| f64::from(w).powi(2) * place(i)).sum::<f64>() / total
    };
    let (x, y) = (mean(&|x, _| x), mean(&|_, y| y));
    Some(mean(&|u, v| (u - x).powi(2) + (v - y).powi(2)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(filters: Vec<Vec<f32>>) -> NetworkReport {
        NetworkReport { name: "AE3-10".into(), filters, ..NetworkReport::default() }
    }

    #[test]
    fn spread_is_the_radius_of_gyration() {
        assert_eq!(spread(&[0.0; 4]), None);
        assert_eq!(spread(&[1.0; 3]), None);
        assert_eq!(spread(&[0.0, 0.0, -3.0, 0.0]), Some(0.0));
        // Two weights, the sides 3 and 4 of a triangle apart: 2.5 from the middle each.
        let mut pair = [0.0; 36];
        (pair[0], pair[4 * 6 + 3]) = (0.5, -0.5);
        assert_eq!(spread(&pair), Some(2.5));
    }

    #[test]
    fn the_caption_follows_the_weights() {
        let mut narrow = vec![0.0; 784];
        narrow[400] = -2.0;
        let page = filters(&[network(vec![narrow; 3])]).expect("a figure").into_string();
        assert!(page.contains("one spot of the image") && page.contains("3 of 3 units"), "{page}");
        assert_eq!(page.matches("data:image/png;base64,").count(), 3);
        // For 28 × 28 equal weights the variance of each coordinate is (28² − 1) / 12.
        let page = filters(&[network(vec![vec![0.5; 784]; 3])]).expect("a figure").into_string();
        assert!(page.contains("as large as a digit") && page.contains("lie 11.4 pixels"), "{page}");
    }

    #[test]
    fn without_filters_there_is_no_section() {
        assert!(filters(&[network(Vec::new())]).is_none());
    }
}
