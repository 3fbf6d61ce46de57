//! Pictures: the image, the change, the adversarial image.

use maud::{Markup, html};
use struthio::run::{Manifest, Triple};

use crate::format::{NOTHING, distance};
use crate::picture::Picture;

/// Pictures up to this width are enlarged pixel by pixel.
const SMALL: u32 = 64;

/// How to read a triple, for captions.
pub fn reading() -> Markup {
    html! {
        "Each triple shows the image, the change as many times enlarged as stands below it (mid-grey where nothing "
        "changed), and the adversarial image. "
        b { "3 → 8" } " means: an image of class 3, which the network now takes for class 8. "
    }
}

/// One triple per class, which the manifest may have a name for.
pub fn gallery(triples: &[Triple], manifest: &Manifest) -> Markup {
    let shown: Vec<_> = triples.iter().filter_map(|triple| Some((triple, Sources::of(triple)?))).collect();
    html! {
        @if triples.is_empty() {
            p.nothing { "No adversarial image was found, so there is none to show." }
        } @else if shown.is_empty() {
            p.nothing {
                "The inputs cannot be shown as pictures: they are neither grey (height × width) nor colour "
                "(3 × height × width)."
            }
        } @else {
            ul.gallery {
                @for (triple, sources) in &shown {
                    li {
                        (sources.strip(triple, manifest))
                        p.verdict { (manifest.class(triple.label)) " → " (manifest.class(triple.adversarial_label)) }
                        p.small { "RMS " (rms(triple)) " · " (magnification(triple.rms)) " × change · image " (triple.index) }
                    }
                }
            }
        }
    }
}

/// Each image beside its changed version, without the difference.
pub fn pairs(triples: &[Triple], manifest: &Manifest) -> Markup {
    html! {
        ul.gallery.pairs {
            @for triple in triples {
                @if let Some(sources) = Sources::of(triple) {
                    li {
                        (sources.pair(triple, manifest))
                        p.verdict { (manifest.class(triple.label)) " → " (manifest.class(triple.adversarial_label)) }
                    }
                }
            }
        }
    }
}

/// The triple whose distance is closest to `rms`.
pub fn typical(triples: &[Triple], rms: f64) -> Option<&Triple> {
    let off = |triple: &Triple| (triple.rms - rms).abs();
    triples.iter().min_by(|a, b| off(a).total_cmp(&off(b)))
}

/// One triple, large, with words under each picture.
pub fn large(triple: &Triple, network: &str, manifest: &Manifest) -> Option<Markup> {
    let sources = Sources::of(triple)?;
    Some(html! {
        figure.large {
            (sources.strip(triple, manifest))
            div.words aria-hidden="true" {
                p { "read as " b { (manifest.class(triple.label)) } }
                p { (magnification(triple.rms)) " × change" }
                p { "read as " b { (manifest.class(triple.adversarial_label)) } }
            }
            figcaption {
                "Image " (triple.index) ", the smallest change of it that was found to make " (network)
                " wrong, and the changed image. RMS " (rms(triple)) ": of the images shown below, the one nearest to the median."
            }
        }
    })
}

fn rms(triple: &Triple) -> String {
    if triple.rms.is_finite() { distance(triple.rms) } else { NOTHING.into() }
}

/// By how much a change of this size is enlarged: ten times as in the paper's Figure 5, or as often as it takes
/// for the root mean square to be a tenth.
fn magnification(rms: f64) -> u32 {
    let mut factors = (1..=6).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u32.pow(power)));
    factors.find(|&factor| f64::from(factor) * rms >= 0.1).unwrap_or(10)
}

/// The three pictures of a triple.
struct Sources {
    width: u32,
    height: u32,
    original: String,
    change: String,
    adversarial: String,
}

impl Sources {
    fn of(triple: &Triple) -> Option<Self> {
        let original = Picture::new(&triple.original, &triple.shape)?;
        let factor = magnification(triple.rms) as f32;
        Some(Self {
            width: original.width,
            height: original.height,
            original: original.data_uri()?,
            change: Picture::of_change(&triple.original, &triple.adversarial, &triple.shape, factor)?
                .data_uri()?,
            adversarial: Picture::new(&triple.adversarial, &triple.shape)?.data_uri()?,
        })
    }

    fn strip(&self, triple: &Triple, manifest: &Manifest) -> Markup {
        let [original, adversarial] = self.ends(triple, manifest);
        self.pictures(&[
            original,
            (&self.change, format!("the change, {} times enlarged", magnification(triple.rms))),
            adversarial,
        ])
    }

    fn pair(&self, triple: &Triple, manifest: &Manifest) -> Markup {
        self.pictures(&self.ends(triple, manifest))
    }

    /// The image and its changed version, with words.
    fn ends(&self, triple: &Triple, manifest: &Manifest) -> [(&String, String); 2] {
        let [label, taken_for] = [triple.label, triple.adversarial_label].map(|class| manifest.class(class));
        [
            (&self.original, format!("image {} of class {label}", triple.index)),
            (&self.adversarial, format!("changed image, taken for class {taken_for}")),
        ]
    }

    fn pictures(&self, pictures: &[(&String, String)]) -> Markup {
        html! {
            div.strip {
                @for (source, words) in pictures {
                    img.pixels[self.width <= SMALL] src=(source) alt=(words)
                        width=(self.width) height=(self.height);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{manifest, triple};

    #[test]
    fn small_changes_are_enlarged_until_they_are_seen() {
        let expected = [(0.06, 10), (0.0101, 10), (0.009, 20), (0.0005, 200), (0.0, 10), (f64::NAN, 10)];
        for (rms, factor) in expected {
            assert_eq!(magnification(rms), factor, "{rms}");
        }
    }

    #[test]
    fn says_when_there_is_nothing_to_show() {
        assert!(gallery(&[], &manifest()).into_string().contains("No adversarial image was found"));
        let unseen =
            Triple { shape: vec![3], original: vec![0.0; 3], adversarial: vec![0.0; 3], ..triple(3, 8) };
        let page = gallery(std::slice::from_ref(&unseen), &manifest()).into_string();
        assert!(page.contains("cannot be shown") && !page.contains("<img"), "{page}");
        assert!(large(&unseen, "a network", &manifest()).is_none());
    }

    #[test]
    fn shows_three_pictures_and_both_labels() {
        let page = gallery(&[triple(3, 8)], &manifest()).into_string();
        assert_eq!(page.matches("data:image/png;base64,").count(), 3);
        assert!(page.contains("3 → 8"), "{page}");
    }

    #[test]
    fn classes_are_called_by_their_names() {
        let mut named = manifest();
        named.class_names = ["cat", "dog", "emu", "<hen>"].map(String::from).into();
        let page = gallery(&[triple(3, 2)], &named).into_string();
        assert!(page.contains("&lt;hen&gt; → emu") && page.contains("taken for class emu"), "{page}");
        let page = large(&triple(3, 2), "a network", &named).expect("a picture").into_string();
        assert!(page.contains("<b>&lt;hen&gt;</b>") && page.contains("<b>emu</b>"), "{page}");
        assert!(gallery(&[triple(3, 8)], &named).into_string().contains("&lt;hen&gt; → 8"));
    }
}
