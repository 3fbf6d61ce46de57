//! How the results were made, and how far to trust them.

use maud::{Markup, html};
use struthio::run::{AttackSummary, Manifest, StatusCount};

use crate::format::{count, maybe, shape, short_hash, significant};
use crate::page::scrolling;

/// Command, seed, models, data.
pub fn inputs(manifest: &Manifest) -> Markup {
    html! {
        dl.facts {
            dt { "Command" }
            dd { pre { code { (manifest.command.join(" ")) } } }
            dt { "Version" }
            dd { "struthio " (manifest.struthio) }
            dt { "Seed" }
            dd { (manifest.seed) }
            dt { "Models" }
            dd { (models(manifest)) }
            dt { "Data" }
            dd { (data(manifest)) }
        }
        p.small {
            "Hashes are SHA-256, of a model’s structure and constants as they were executed and of the "
            "data’s shape, pixels and labels. "
            "They are shortened here; " code { "manifest.json" } " has them in full."
        }
    }
}

fn models(manifest: &Manifest) -> Markup {
    scrolling(
        "Models",
        &html! {
            table.plain {
                thead { tr { @for name in ["name", "input", "classes", "hash"] { th scope="col" { (name) } } } }
                tbody {
                    @for model in &manifest.models {
                        tr {
                            th scope="row" { (model.name) }
                            td.number { (shape(&model.input)) }
                            td.number { (model.classes) }
                            td { (hash(&model.sha256)) }
                        }
                    }
                }
            }
        },
    )
}

fn data(manifest: &Manifest) -> Markup {
    scrolling(
        "Data",
        &html! {
            table.plain {
                thead { tr { @for name in ["name", "examples", "hash"] { th scope="col" { (name) } } } }
                tbody {
                    @for set in &manifest.data {
                        tr {
                            th scope="row" { (set.name) }
                            td.number { (count(set.examples as u64)) }
                            td { (hash(&set.sha256)) }
                        }
                    }
                }
            }
        },
    )
}

fn hash(hash: &str) -> Markup {
    html! { code title=(hash) { (short_hash(hash)) } }
}

/// What every search does, and what is checked afterwards.
pub fn method() -> Markup {
    html! {
        dl.facts {
            dt { "Distortion" }
            dd {
                "The root mean square √(Σ(x′ᵢ − xᵢ)²/n) of the change over the n pixels, which go from 0 "
                "(black) to 1 (white). The L2 norm is √n times as large: 28 times for 28 × 28 pixels."
            }
            dt { "Verified" }
            dd {
                "Every adversarial image counted here was shown to the network again, alone. It lies inside "
                "the box of allowed pixel values, and it crosses the decision boundary by a margin of at "
                "least 10⁻⁵ × the largest |logit|, so that rounding in another runtime does not undo it."
            }
            dt { "Optimality residual" }
            dd {
                "At the closest point of a boundary the perturbation is parallel to the gradient of the "
                "margin, wherever the box does not hold a pixel. The residual is one minus the cosine "
                "between the two: 0 at such a point. Near 0 it says that the search has arrived, not that no "
                "other part of the boundary is closer."
            }
            dt { "Gradients, forward passes" }
            dd {
                "Means per attacked image; forward passes include those of gradients and of the verification."
            }
        }
    }
}

/// How the searches ended.
pub fn statuses(statuses: &[StatusCount]) -> Markup {
    html! {
        ul.statuses {
            @for StatusCount { status, count: n } in statuses {
                li { b.number { (count(*n)) } " " code { (status) } span.meaning { " " (meaning(status)) } }
            }
            @if statuses.is_empty() { li { "No image was looked at." } }
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "found" => "an adversarial image was found and verified",
        "already_wrong" => "the network was wrong before anything was changed; not attacked",
        "is_target" => "the image is of the class aimed at; not attacked",
        "not_found" => "the search ended without an adversarial image",
        "zero_gradient" => "the gradient at the image is zero and nothing was found",
        "non_finite" => "the network answered with infinities or NaN and nothing was found",
        _ => "",
    }
}

/// How many of the attacked images have an adversarial image.
pub fn found(summary: &AttackSummary) -> u64 {
    summary.statuses.iter().filter(|status| status.status == "found").map(|status| status.count).sum()
}

/// The median optimality residual.
pub fn residual(summary: &AttackSummary) -> String {
    maybe(summary.optimality_residual_median, |residual| significant(residual, 2))
}
