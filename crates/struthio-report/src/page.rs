//! The frame of every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// What stands above the sections.
pub struct Header {
    /// The command.
    pub command: &'static str,
    /// The title.
    pub title: Markup,
    /// The title as text.
    pub plain_title: String,
    /// What was done.
    pub lead: Markup,
    /// What came out.
    pub finding: Markup,
    /// A picture beside it.
    pub picture: Option<Markup>,
}

/// A part of the page.
pub struct Section {
    /// Where links go.
    pub id: &'static str,
    /// What the table of contents calls it.
    pub short: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its content.
    pub body: Markup,
}

/// A whole page.
pub fn page(header: &Header, sections: &[Section], version: &str) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "struthio " (version) };
                title { (header.plain_title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    div.opening.alone[header.picture.is_none()] {
                        div {
                            p.eyebrow { "struthio " (header.command) }
                            h1 { (header.title) }
                            p.lead { (header.lead) }
                        }
                        @if let Some(picture) = &header.picture { (picture) }
                    }
                    div.finding { (header.finding) }
                    nav aria-label="On this page" {
                        @for section in sections { a href={ "#" (section.id) } { (section.short) } }
                    }
                }
                main {
                    @for section in sections {
                        section id=(section.id) {
                            h2 { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer {
                    p {
                        "Made by struthio " (version) ". This page loads nothing and runs no scripts; "
                        "the same command gives the same bytes. "
                        "How long it took is in " code { "timing.json" } "."
                    }
                }
            }
        }
    }
    .into_string()
}

/// A table that scrolls inside its own frame when the window is narrow.
pub fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}
