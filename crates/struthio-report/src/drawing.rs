//! What drawings share: positions in percent, and the axis below.

use maud::{Markup, html};

/// A position in percent, as SVG takes it.
pub fn at(percent: f64) -> String {
    format!("{percent:.3}%")
}

/// A line from top to bottom.
pub fn upright(class: &str, percent: f64) -> Markup {
    html! { line class=(class) x1=(at(percent)) x2=(at(percent)) y1="0" y2="100%" {} }
}

/// The axis below a panel, with its ticks in percent of the width.
pub fn horizontal_axis(ticks: &[(f64, String)], title: &str) -> Markup {
    html! {
        div.panel.axis aria-hidden="true" {
            svg.ticks {
                @for (percent, label) in ticks {
                    line.tick x1=(at(*percent)) x2=(at(*percent)) y1="0" y2="5" {}
                    text.tick-label x=(at(*percent)) y="19" text-anchor="middle" { (label) }
                }
                text.axis-title x="50%" y="40" text-anchor="middle" { (title) }
            }
        }
    }
}
