//! Units against random directions: the page of `struthio units`, and what `reproduce` takes of it.

mod blind;
mod dose;
mod grid;

use maud::{Markup, html};
use struthio::data::Dataset;
use struthio::numeric::statistics::Interval;
use struthio::paper::NetworkUnits;
use struthio::run::Manifest;
use struthio::units::{Comparison, Kind, LayerResult, RARE, Shown};

use crate::format::{counted, maybe, significant};
use crate::page::{Header, Section, page, scrolling};
use crate::provenance;

/// What the report of `struthio units` shows.
#[derive(Debug, Clone, Copy)]
pub struct UnitsPage<'a> {
    /// What was run.
    pub manifest: &'a Manifest,
    /// Name of the model.
    pub model: &'a str,
    /// The images.
    pub data: &'a Dataset,
    /// Images that stand for a direction.
    pub k: usize,
    /// What came out.
    pub layers: &'a [LayerResult],
    /// What the reader has to know about model and data.
    pub notes: &'a [String],
}

/// What Figures 1 and 2 of the paper show, or for other networks Figures 3 and 4, and what it comes to: a section of
/// `reproduce`. One layer of each network is shown at once, the last hidden one; the others unfold. All `networks`
/// were judged by the same images.
pub fn figures_of_the_paper(networks: &[NetworkUnits], data: &Dataset, seed: u64) -> Markup {
    let all: Vec<&LayerResult> = networks.iter().flat_map(|network| &network.layers).collect();
    let count = |found| all.iter().filter(|layer| layer.verdict.units_more_coherent == found).count();
    let undecided = all.iter().filter(|layer| layer.verdict.ties_decide).count();
    html! {
        p {
            "The paper shows that the images which maximise a single unit look alike, and that those which maximise a "
            "random direction of the same layer do so no less: the space carries the meaning, not the units. Here the "
            (counted(data.len() as u64, "image", "images")) " of " code { (data.name()) }
            " are ranked for every unit and for many random "
            "bases. Units are more coherent than random directions in " (count(Some(true))) " of "
            (counted(all.len() as u64, "layer", "layers")) ", less in " (count(Some(false)))
            @if undecided > 0 { ", left to chance by ties in " (undecided) }
            ", and cannot be told apart in " (count(None) - undecided) "."
        }
        @if let Some(network) = networks.first() { (reading(&network.layers)) }
        @for network in networks {
            h3 { (network.network) }
            @let shown = network.layers.len().saturating_sub(2);
            @for (i, layer) in network.layers.iter().enumerate() {
                details.layer open[i == shown] {
                    summary { (layer.layer) ": " (in_short(layer)) }
                    (judged(layer))
                    (grid::beside(layer, data))
                }
            }
            (dose::figure(&network.layers))
        }
        @if let Some(network) = networks.first() {
            h3 { "Can you tell them apart?" }
            (blind::test(&network.network, &network.layers, data, seed))
        }
    }
}

fn in_short(layer: &LayerResult) -> String {
    let found = match layer.verdict.units_more_coherent {
        Some(true) => "units are more coherent",
        Some(false) => "units are less coherent",
        None if layer.verdict.ties_decide => "inconclusive",
        None => "not told apart",
    };
    layer.comparison(Kind::REFERENCE).map_or_else(
        || "nothing to compare".into(),
        |of| format!("{found}, {:.2} against {:.2}{}", of.units, of.others, layer.measure.unit()),
    )
}

/// The report of `struthio units`.
#[must_use]
pub fn units_page(page_of: &UnitsPage<'_>) -> String {
    let UnitsPage { manifest, model, data, k, layers, notes } = *page_of;
    let header = Header {
        command: "units",
        title: html! { "Units of " span.accent { (model) } },
        plain_title: format!("Units of {model}"),
        lead: html! {
            "Is a single unit more meaningful than a random direction of the same space? Looked at: "
            (counted(data.len() as u64, "image", "images")) " of " code { (data.name()) } ", of which the top "
            (k) " stand for every direction (seed " (manifest.seed) ")."
        },
        finding: html! {
            (finding(layers))
            @if !notes.is_empty() {
                ul.notes aria-label="Notes" { @for note in notes { li { (note) } } }
            }
        },
        picture: None,
    };
    let sections = [
        Section {
            id: "images",
            short: "Images",
            title: "What maximises a direction",
            body: images(layers, data),
        },
        Section {
            id: "guess",
            short: "Guess",
            title: "Can you tell them apart?",
            body: blind::test("row", layers, data, manifest.seed),
        },
        Section { id: "dose", short: "Rotation", title: "Away from the units", body: dose::figure(layers) },
        Section { id: "figures", short: "Figures", title: "In figures", body: figures(layers) },
        Section {
            id: "method",
            short: "Method",
            title: "How it was made",
            body: html! { (method(k)) h3 { "Inputs" } (provenance::inputs(manifest)) },
        },
    ];
    page(&header, &sections, &manifest.struthio)
}

fn finding(layers: &[LayerResult]) -> Markup {
    let count = |found| layers.iter().filter(|l| l.verdict.units_more_coherent == found).count();
    let (more, less) = (count(Some(true)), count(Some(false)));
    let undecided = layers.iter().filter(|layer| layer.verdict.ties_decide).count();
    html! {
        p {
            @if let [only] = layers {
                strong { (only.verdict.sentence) }
            } @else {
                strong {
                    "Units are more coherent than random directions in " (more) " of "
                    (counted(layers.len() as u64, "layer", "layers"))
                }
                @if less > 0 { ", less coherent in " (less) }
                @if undecided > 0 { ", left to chance by ties in " (undecided) }
                ", and not told apart in " (layers.len() - more - less - undecided) "."
            }
        }
    }
}

fn images(layers: &[LayerResult], data: &Dataset) -> Markup {
    html! {
        (reading(layers))
        @for layer in layers { h3 { (layer.layer) } (judged(layer)) (grid::beside(layer, data)) }
    }
}

/// How the grids are to be read.
fn reading(layers: &[LayerResult]) -> Markup {
    html! {
        p {
            "Every row shows the images that maximise one direction, the strongest first: on the left single units, "
            "taken at even steps, on the right the directions of a random basis that take their place. The figure beside a row is the "
            @if let Some(layer) = layers.first() { (layer.measure.words()) }
            " of its images, of which less is more coherent."
            @if layers.iter().flat_map(|layer| &layer.directions).any(|direction| direction.made.is_some()) {
                " The framed image was made to maximise the direction, by gradient ascent from its strongest image, and does so no less than that; where a unit \
                     saturates there is nothing left to climb."
            }
        }
    }
}

fn judged(layer: &LayerResult) -> Markup {
    html! {
        p.conclusion { (layer.verdict.sentence) }
        @if !layer.verdict.caveats.is_empty() {
            ul.caveats aria-label="Caveats" { @for caveat in &layer.verdict.caveats { li { (caveat) } } }
        }
    }
}

fn figures(layers: &[LayerResult]) -> Markup {
    html! {
        figure {
            (scrolling("Comparisons", &html! {
                table.figures {
                    thead {
                        tr {
                            @for name in ["Layer", "units against"] { th scope="col" { (name) } }
                            @for name in ["units", "others", "difference", "P(unit better)", "p", "p shuffled", "p (Holm)"] {
                                th.number scope="col" { (name) }
                            }
                        }
                    }
                    @for layer in layers { tbody { @for of in &layer.comparisons { (compared(layer, of)) } } }
                }
            }))
            figcaption {
                b.label { "Comparisons" }
                " of the measure that the verdicts are about. A positive difference means that units are more coherent; "
                "P(unit better) is the probability that a unit is more coherent than a direction of the other kind. Below a figure "
                "stands its 95 % interval, from resampled directions. p is about the directions, p shuffled about the images; the larger "
                "one is corrected for the layers."
            }
        }
        figure {
            (scrolling("Measures", &html! {
                table.figures {
                    thead {
                        tr {
                            @for name in ["Layer", "directions"] { th scope="col" { (name) } }
                            @for name in ["number", "different images", "label entropy", "purity", "pixel distance", "feature distance", "best-class AUC", "selectivity", "sparsity"] {
                                th.number scope="col" { (name) }
                            }
                        }
                    }
                    @for layer in layers { tbody { @for of in &layer.kinds { (means(layer, of)) } } }
                }
            }))
            figcaption {
                b.label { "Measures" }
                " as means over one set of each kind. Selectivity is the largest difference between the mean over a "
                "class and over the rest, in standard deviations; sparsity is the excess kurtosis."
            }
        }
    }
}

fn compared(layer: &LayerResult, of: &Comparison) -> Markup {
    let three = |value: f64| significant(value, 3);
    let with_bounds = |value: f64, bounds: Interval| {
        html! { (three(value)) span.range { (three(bounds.low)) " to " (three(bounds.high)) } }
    };
    html! {
        tr {
            th scope="row" { (layer.layer) }
            td { (of.against.words()) }
            @for figure in [
                html! { (three(of.units)) },
                html! { (three(of.others)) },
                with_bounds(of.difference, of.difference_interval),
                with_bounds(of.superiority, of.superiority_interval),
                html! { (significant(of.p, 2)) },
                html! { (significant(of.p_shuffled, 2)) },
                html! { (significant(of.p_holm, 2)) },
            ] {
                td.number { (figure) }
            }
        }
    }
}

fn means(layer: &LayerResult, of: &Shown) -> Markup {
    let three = |value: f64| significant(value, 3);
    html! {
        tr {
            th scope="row" { (layer.layer) }
            td { @if of.kind == Kind::Units { b { "units" } } @else { (of.kind.words()) } }
            @for text in [of.directions.to_string(), format!("{:.0} %", 100.0 * of.distinct), three(of.label_entropy), three(of.purity), three(of.pixel_distance),
                maybe(of.feature_distance, three), maybe(of.best_auc, three), maybe(of.selectivity, three), maybe(of.sparsity, three)] {
                td.number { (text) }
            }
        }
    }
}

fn method(k: usize) -> Markup {
    html! {
        dl.facts {
            dt { "Directions" }
            dd {
                "φ(x) are the activations of a layer, of a channel one number for all positions. A direction v stands for the "
                (k) " images with the largest ⟨φ(x), v⟩, of equal ones some by chance; those of a unit are ranked by what "
                "comes before a sigmoid, tanh or another increasing function, which has the same order without ties. "
                "Where more than 2 % of the images of the units or of the random bases are there by chance, "
                "there is no verdict, unless no other choice of images could make the whole difference. All kinds of directions have "
                "the same number and lie in the same span: that of the units looked at."
            }
            dt { "Random bases" }
            dd {
                "The units are judged by orthonormal bases drawn uniformly from those whose directions have the same mean "
                "activations as the units: the units, turned at random about the mean. Half of the directions of any "
                "other basis point away from the mean, where no unit does that is never negative, and may be maximised by "
                "images that leave the layer quiet. In whitened space all components of the activations vary alike; "
                "other random directions see mostly the strongest ones, which they share, as the share of different "
                "images among all their top images tells."
            }
            dt { "The test" }
            dd {
                "If the units were themselves such a basis drawn at random, the mean over them would take any rank among "
                "the means over others with the same probability. The p-value is that of its rank, for either "
                "side; it needs no directions to be independent, and no distribution. Bases without that condition, "
                "sets of Gaussian directions and of "
                "directions in whitened space are treated alike. Principal components exist once; there single "
                "directions are exchanged, as if they were independent, which is an approximation."
            }
            dt { "Shuffled images" }
            dd {
                "Directions that choose the same images over and over are judged by few sets of images, and may differ "
                "from others by luck alone, whatever the images show. A second p-value tells: that of the "
                "difference among those found when all images that were chosen change places with each other. A verdict "
                "needs both, and counts by the larger one."
            }
            dt { "Many layers" }
            dd { "p-values against one kind are corrected for the number of layers by Holm’s method." }
            dt { "Rotations" }
            dd {
                "A rotation Q is drawn uniformly (Haar) from those about the mean and taken apart into planes and angles; Q^α turns "
                "every plane by α times its angle. α = 0 leaves the units, α = 1 is Q."
            }
            dt { "Best-class AUC" }
            dd {
                "How surely ⟨φ(x), v⟩ tells an image of one class from one of the others (0.5: not at all, 1: always), "
                "for the class it tells best of those with at least " (RARE) " images. Selectivity is how far the mean over "
                "a class is above that over the others, in standard deviations, for the same classes."
            }
            dt { "Feature distance" }
            dd { "The same as pixel distance, of what the last layer but one gives for the images." }
            dt { "Pixel distance" }
            dd { "The mean root mean square between two images, on images averaged over blocks to at most 32 pixels a side where they are larger." }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use struthio::data::mnist_test;
    use struthio::network::Architecture;
    use struthio::units::{Layer, Options, Pooling, analyse};

    use super::*;
    use crate::samples::manifest;

    #[test]
    fn a_page_of_a_real_run_shows_pictures_and_figures() {
        let network =
            "fc12-10".parse::<Architecture>().expect("known").initialise(&[28, 28], 0).expect("built");
        let data = mnist_test().expect("MNIST").range(0..60).expect("a range");
        let layers = Layer::select(&network, "all").expect("layers");
        let options = Options {
            k: 5,
            pooling: Pooling::Max,
            units: 12,
            seed: 0,
            threads: 1,
            maximise: true,
            chunk: None,
        };
        let never = AtomicBool::new(false);
        let folder = tempfile::tempdir().expect("a folder");
        let found = analyse(&network, &layers, &data, options, folder.path(), &never, &mut |_, _| {})
            .expect("judged");
        let made = |model: &str| {
            units_page(&UnitsPage {
                manifest: &manifest(),
                model,
                data: &data,
                k: 5,
                layers: &found,
                notes: &[],
            })
        };
        let html = made("<b>&");
        assert!(html.contains("&lt;b&gt;&amp;") && !html.contains("<b>&"));
        assert!(!html.contains("NaN") && html.contains("<polyline"));
        assert_eq!(
            html.matches("<img").count(),
            2 * 2 * 6 * (5 + 1) + 12 * 5,
            "two layers, two grids, six rows of five and a made one, and twelve rows to guess"
        );
        for layer in &found {
            assert!(html.contains(&layer.verdict.sentence));
        }
        assert_eq!(html, made("<b>&"));
    }
}
