//! The page of `struthio spectrum`: Table 5, singular values, and what they certify.

mod brackets;
mod gains;
mod layers;
mod spectra;

use maud::{Markup, html};
use struthio::run::Manifest;
use struthio::spectrum::{Certified, Study};

use crate::format::{NOTHING, at_least, at_most, count, counted, factor, interval, maybe};
use crate::page::{Header, Section, page};
use crate::provenance;

/// What the report of `struthio spectrum` shows.
#[derive(Debug, Clone, Copy)]
pub struct SpectrumPage<'a> {
    /// What was run.
    pub manifest: &'a Manifest,
    /// What came out.
    pub study: &'a Study,
    /// What the reader has to know.
    pub notes: &'a [String],
}

/// The report of `struthio spectrum`.
#[must_use]
pub fn spectrum_page(page_of: &SpectrumPage<'_>) -> String {
    let SpectrumPage { manifest, study, notes } = *page_of;
    let header = Header {
        command: "spectrum",
        title: html! { "How far " span.accent { (study.model) } " amplifies" },
        plain_title: format!("How far {} amplifies", study.model),
        lead: html! {
            "A change of the image grows from layer to layer by at most each layer’s operator norm. Multiplied along "
            "the network, these bound the whole, and divide margins into distances that nothing can undercut"
            @if let Some(certified) = &study.certified {
                "; beside them stands what an attack found, on "
                (counted(certified.attack.examples, "image", "images")) " of " code { (certified.data) }
            } "."
        },
        finding: html! {
            p { (finding(study)) }
            @if !notes.is_empty() {
                ul.notes aria-label="Notes" { @for note in notes { li { (note) } } }
            }
        },
        picture: None,
    };
    let mut sections = vec![Section {
        id: "layers",
        short: "Layers",
        title: "Operator norms",
        body: html! { (cards(study)) (layers::table(study)) },
    }];
    if study.layers.iter().any(|layer| layer.spectrum.is_some()) {
        sections.push(Section {
            id: "spectra",
            short: "Singular values",
            title: "All singular values",
            body: spectra::figure(&study.layers),
        });
    }
    if let Some(certified) = &study.certified {
        sections.push(Section {
            id: "brackets",
            short: "Brackets",
            title: "Between two distances",
            body: brackets::figure(study, certified),
        });
        sections.push(Section {
            id: "gains",
            short: "Local gains",
            title: "Gains at the images",
            body: gains::figure(study),
        });
    }
    sections.push(Section {
        id: "method",
        short: "Method",
        title: "How it was made",
        body: html! { (method(study)) h3 { "Inputs" } (provenance::inputs(manifest)) },
    });
    page(&header, &sections, &manifest.struthio)
}

fn finding(study: &Study) -> Markup {
    let upper = study.network.upper;
    let ratio = study.certified.as_ref().and_then(|certified| Some((certified, certified.ratio.as_ref()?)));
    html! {
        @if let Some(upper) = upper {
            strong { "No change is amplified more than " (at_most(upper)) " times" }
            @if let Some(lower) = study.network.lower {
                ", and at one of the images a small one is by " (at_least(lower))
            }
            "."
        } @else if let Some(layer) = study.layers.iter().find(|layer| layer.unbounded) {
            strong { "Nothing is proven for the network as a whole" }
            ": no bound is known for " code { (layer.name) } " (" (layer.op) ")."
        } @else {
            strong { "Nothing was proven" } ": only gains on images that wrap around were asked for."
        }
        @if let Some((certified, ratio)) = ratio {
            " For " (count(certified.brackets)) " of "
            (counted(certified.attack.attacked, "attacked image", "attacked images"))
            " the closest mistake lies between a certified distance and one that the attack found, in the median "
            b { (factor(ratio.median)) } " times as far."
        }
    }
}

fn cards(study: &Study) -> Markup {
    let of = |value: Option<f64>| maybe(value, factor);
    let with_weights = study.layers.iter().filter(|layer| !layer.shape.is_empty()).count() as u64;
    let ratio = study.certified.as_ref().and_then(|certified| certified.ratio.as_ref());
    let gain = study.certified.as_ref().and_then(|certified| certified.local_gain.as_ref());
    html! {
        ul.cards {
            (card(&count(with_weights), "layers with weights", &html! { "of " (study.layers.len()) }))
            (card(&maybe(study.network.upper, at_most), "bound of the network", &html! {
                "no change is amplified more"
                @if study.network.upper < study.network.product {
                    "; product of the layers " span.number { (maybe(study.network.product, at_most)) }
                }
            }))
            @if study.certified.is_some() {
                (card(&maybe(study.network.lower, at_least), "largest local gain", &html! {
                    "median " span.number { (of(gain.map(|gain| gain.median))) }
                }))
                (card(&of(ratio.map(|ratio| ratio.median)), "attacked / certified", &html! {
                    "median"
                    @if let Some(ratio) = ratio {
                        "; 95 %: " span.number { (interval(ratio.median_interval, factor)) }
                    }
                }))
            }
        }
    }
}

fn card(value: &str, name: &str, aside: &Markup) -> Markup {
    html! {
        li.card {
            span.value { (value) }
            span.name { (name) }
            span.small { (aside) }
        }
    }
}

fn method(study: &Study) -> Markup {
    let attack = study.certified.as_ref().map(attack_ends);
    html! {
        dl.facts {
            dt { "On images that wrap around" }
            dd {
                "The largest singular value of a convolution whose image wraps around at its edges, to seven digits: at each "
                "frequency the filters are a small matrix, whose columns are the inputs times the aliases that the "
                "steps fold onto one another. That is the paper’s formula. For a matrix it is its largest "
                "singular value."
            }
            dt { "As executed" }
            dd {
                "The same with the padding by zeros that the network has, by iteration from below. It is never above "
                "what is proven, but may be above the wrapped one, whose image holds only some frequencies."
            }
            dt { "Proven" }
            dd {
                "A number that no image of any size exceeds: Cholesky decompositions at the frequencies of a grid, "
                "and an inequality for what lies between them. Only these are multiplied. Where matrices follow one "
                "another with ReLU, sigmoid or tanh between them, one multiplier for each activation proves a "
                "smaller bound of all of them together (LipSDP-Layer, Fazlyab et al. 2019)."
            }
            dt { "Certified" }
            dd {
                "The margin of an image’s class over each other one, less 10⁻⁵ of the largest |logit| for rounding (an allowance that is not proven), "
                "divided by how fast that difference of logits can change. Within the smallest of these "
                "distances (L2) no image has another class."
            }
            dt { "Local gain" }
            dd {
                "The largest singular value of the Jacobian from pixels to logits at an image, by iteration from "
                "below. Where the network has a derivative there, no Lipschitz constant of it is smaller."
            }
            @if let Some(attack) = attack { (attack) }
        }
    }
}

fn attack_ends(certified: &Certified) -> Markup {
    html! { dt { "How the attack ended" } dd { (provenance::statuses(&certified.attack.statuses)) } }
}

/// `2.75`, or a stroke.
fn norm(value: Option<f64>) -> String {
    value.map_or_else(|| NOTHING.into(), factor)
}

#[cfg(test)]
mod tests {
    use struthio::attack::Status;
    use struthio::spectrum::{Bracket, Layer, NetworkGain, SingularValues};

    use super::*;
    use crate::samples::{manifest, recorded};

    fn conv(name: &str) -> Layer {
        let spectrum = SingularValues {
            count: 40,
            condition: None,
            effective_rank: 12.5,
            histogram: (0..40).map(|i| usize::from(i % 2 == 0) * 2).collect(),
        };
        Layer {
            name: name.into(),
            op: "Conv".into(),
            shape: vec![4, 2, 3, 3],
            stride: Some([1, 2]),
            circular: Some(1.5),
            zero_padded: Some(1.4375),
            upper: Some(1.625),
            spectrum: Some(spectrum),
            ..Layer::default()
        }
    }

    fn study(with_images: bool) -> Study {
        let mut study = Study {
            model: "<m>&.onnx".into(),
            sha256: String::new(),
            layers: vec![conv("<first>"), conv("second")],
            network: NetworkGain { product: Some(2.7), upper: Some(2.64), lower: None },
            certified: None,
            images: Vec::new(),
        };
        if with_images {
            let image = |index: usize| Bracket {
                index,
                status: Status::Found,
                certified_l2: 0.125,
                attacked_l2: Some(0.25 + index as f64),
                local_gain: Some(1.0 + index as f64 / 8.0),
            };
            study.add_images("mnist:test", (0..5).map(image).collect(), recorded().summary, 0);
        }
        study
    }

    fn made(study: &Study) -> String {
        spectrum_page(&SpectrumPage { manifest: &manifest(), study, notes: &["it <ends>".into()] })
    }

    #[test]
    fn the_same_results_give_the_same_bytes_and_names_are_escaped() {
        let html = made(&study(true));
        assert_eq!(html, made(&study(true)));
        for escaped in ["&lt;m&gt;&amp;.onnx", "&lt;first&gt;", "it &lt;ends&gt;"] {
            assert!(html.contains(escaped), "{escaped}");
        }
        assert!(!html.contains("<first>") && !html.contains("NaN") && !html.contains("inf"));
        assert!(html.contains("No change is amplified more than 2.64 times"), "{html}");
        assert!(html.contains("2 × 3 × 3 × 4") && html.contains("1 × 2"), "{html}");
    }

    #[test]
    fn without_images_or_bounds_there_is_no_claim() {
        let html = made(&study(false));
        assert!(!html.contains("id=\"brackets\"") && !html.contains("id=\"gains\""));
        let mut unknown = study(true);
        unknown.network.upper = None;
        unknown.layers.push(Layer {
            name: "odd".into(),
            op: "Odd".into(),
            unbounded: true,
            ..Layer::default()
        });
        unknown.images.iter_mut().for_each(|image| image.certified_l2 = 0.0);
        let html = made(&unknown);
        assert!(html.contains("Nothing is proven for the network as a whole"), "{html}");
        assert!(html.contains("Nothing is certified") && !html.contains("NaN"), "{html}");
        unknown.images.clear();
        assert!(made(&unknown).contains("There are no gains to show"));
    }
}
