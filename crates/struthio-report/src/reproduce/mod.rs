//! The page of `struthio reproduce`.

mod attacks;
mod filters;
mod finding;
mod table1;
mod transfer;

use maud::{Markup, html};
use struthio::data::Dataset;
use struthio::numeric::statistics::quantile;
use struthio::paper::{AlexNet, NetworkReport, Reproduction, Table1Row, UnitsStudy};
use struthio::run::StatusCount;

use crate::distribution::{self, Panel};
use crate::format::{count, counted};
use crate::gallery;
use crate::page::{Header, Section, page};
use crate::provenance;
use crate::units;

/// The report of `struthio reproduce`; units were judged by the images of `test`, those of `alexnet` by its own.
#[must_use]
pub fn reproduce_page(reproduction: &Reproduction, test: &Dataset, alexnet: Option<&AlexNet>) -> String {
    let rows = &reproduction.table1.table1;
    let samples = reproduction.table1.samples as u64;
    let header = Header {
        command: "reproduce",
        title: html! { "Intriguing properties of neural networks, " span.accent { "reproduced" } },
        plain_title: "Intriguing properties of neural networks, reproduced".into(),
        lead: lead(reproduction),
        finding: finding::finding(rows),
        picture: picture(reproduction),
    };
    let mut sections = vec![
        Section {
            id: "table-1",
            short: "Table 1",
            title: "How little it takes",
            body: html! { (table1::intro(samples)) (table1::table(rows)) },
        },
        Section {
            id: "distances",
            short: "Distances",
            title: "Near and far images",
            body: distances(reproduction),
        },
        Section {
            id: "table-2",
            short: "Table 2",
            title: "Who else is fooled",
            body: transfer::table2(&reproduction.transfer),
        },
        Section {
            id: "table-4",
            short: "Tables 3, 4",
            title: "Networks trained on other images",
            body: transfer::halves(&reproduction.transfer),
        },
        Section {
            id: "curves",
            short: "Curves",
            title: "Longer and longer",
            body: transfer::beyond(&reproduction.transfer),
        },
        Section {
            id: "claims",
            short: "Claims",
            title: "What the paper claims",
            body: transfer::claims(&reproduction.transfer.claims),
        },
        Section {
            id: "images",
            short: "Images",
            title: "What the change looks like",
            body: examples(reproduction),
        },
        Section { id: "method", short: "Method", title: "How it was made", body: method(reproduction) },
    ];
    sections.splice(2..2, units(reproduction, test, alexnet));
    let study = &reproduction.transfer.table2.train;
    if let Some(body) = transfer::figure7(&reproduction.figure7, study, &reproduction.manifest) {
        let section =
            Section { id: "figure-7", short: "Figure 7", title: "What can be seen, and what cannot", body };
        sections.insert(sections.len() - 1, section);
    }
    if let Some(body) = filters::filters(&reproduction.networks) {
        let section = Section { id: "filters", short: "Filters", title: "What a unit looks for", body };
        sections.insert(sections.len() - 1, section);
    }
    page(&header, &sections, &reproduction.manifest.struthio)
}

/// Figures 1 and 2, and Figures 3 and 4 if AlexNet was given.
fn units(reproduction: &Reproduction, test: &Dataset, alexnet: Option<&AlexNet>) -> Vec<Section> {
    let seed = reproduction.manifest.seed;
    let UnitsStudy { mnist, alexnet: judged, .. } = &reproduction.units;
    let mut sections = Vec::new();
    if !mnist.is_empty() {
        sections.push(Section {
            id: "units",
            short: "Figures 1, 2",
            title: "Units and random directions",
            body: units::figures_of_the_paper(mnist, test, seed),
        });
    }
    if let (Some(network), Some(AlexNet { photographs, .. })) = (judged, alexnet) {
        sections.push(Section {
            id: "photographs",
            short: "Figures 3, 4",
            title: "Units and random directions, with photographs",
            body: units::figures_of_the_paper(std::slice::from_ref(network), photographs, seed),
        });
    }
    sections
}

fn lead(reproduction: &Reproduction) -> Markup {
    let networks = counted(reproduction.table1.table1.len() as u64, "network", "networks");
    let samples = reproduction.table1.samples as u64;
    html! {
        "In 2013 Szegedy and colleagues reported that a neural network which recognises an image can be made "
        "to fail by "
        "a change too small to notice. Here " (networks) " of "
        a href="https://arxiv.org/abs/1312.6199" { "their paper" }
        " were trained again on MNIST, and the smallest such change was looked for, for the first "
        (count(samples)) " training images that each network gets right (seed "
        (reproduction.manifest.seed) ")."
    }
}

/// A typical image of the network with the fewest test errors.
fn picture(reproduction: &Reproduction) -> Option<Markup> {
    let shown = |row: &Table1Row| {
        let network = report(reproduction, row)?;
        let typical = gallery::typical(&network.gallery, quantile(&network.rms, 0.5)?)?;
        gallery::large(typical, &row.network, &reproduction.manifest)
    };
    let candidates = reproduction.table1.table1.iter().filter_map(|row| Some((row.test_error, shown(row)?)));
    candidates.min_by(|a, b| a.0.total_cmp(&b.0)).map(|best| best.1)
}

fn report<'a>(reproduction: &'a Reproduction, row: &Table1Row) -> Option<&'a NetworkReport> {
    reproduction.networks.iter().find(|network| network.name == row.network)
}

fn distances(reproduction: &Reproduction) -> Markup {
    let rows = &reproduction.table1.table1;
    let panels: Vec<Panel<'_>> = reproduction
        .networks
        .iter()
        .map(|network| Panel {
            name: &network.name,
            rms: &network.rms,
            paper: rows
                .iter()
                .find(|row| row.network == network.name)
                .and_then(|row| Some(row.paper?.distortion)),
        })
        .collect();
    html! {
        p { "An average hides how much images differ. These are all distances of the first training seed." }
        (distribution::figure(&panels, &finding::distances(&panels)))
        (attacks::table(rows))
    }
}

fn examples(reproduction: &Reproduction) -> Markup {
    html! {
        p {
            (gallery::reading())
            "Shown is the first image of every class for which one was found."
        }
        @for network in &reproduction.networks {
            h3 { (network.name) }
            (gallery::gallery(&network.gallery, &reproduction.manifest))
        }
    }
}

fn method(reproduction: &Reproduction) -> Markup {
    html! {
        h3 { "The attack" }
        p {
            "As in the paper’s section 4.1, the smallest perturbation that changes the answer is sought "
            "inside the box of allowed pixel values, [0, 1]. The paper minimises c·|r| + loss for a sequence "
            "of c; here the search walks along the decision boundary towards the image, from several starts, with the paper’s "
            "method where that fails. Any wrong class counts; the closest point found is kept."
        }
        (provenance::method())
        h3 { "Transfer" }
        (crate::transfer::method())
        h3 { "How the searches ended" }
        (provenance::statuses(&statuses(&reproduction.table1.table1)))
        h3 { "Inputs" }
        (provenance::inputs(&reproduction.manifest))
    }
}

/// How often each status occurred in all attacks, in the order of first occurrence.
fn statuses(rows: &[Table1Row]) -> Vec<StatusCount> {
    let mut totals: Vec<StatusCount> = Vec::new();
    for seen in rows.iter().flat_map(|row| &row.seeds).flat_map(|seed| &seed.attack.statuses) {
        match totals.iter_mut().find(|total| total.status == seen.status) {
            Some(total) => total.count += seen.count,
            None => totals.push(seen.clone()),
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{images, nothing_found, reproduction};

    #[test]
    fn the_same_results_give_the_same_bytes() {
        assert_eq!(
            reproduce_page(&reproduction(), &images(), None),
            reproduce_page(&reproduction(), &images(), None)
        );
    }

    #[test]
    fn names_are_escaped() {
        let mut results = reproduction();
        results.networks[0].name = "<b>&".into();
        results.table1.table1[0].network = "<b>&".into();
        let html = reproduce_page(&results, &images(), None);
        assert!(html.contains("&lt;b&gt;&amp;"));
        assert!(!html.contains("<b>&"));
    }

    #[test]
    fn nothing_is_loaded_or_run() {
        let html = reproduce_page(&reproduction(), &images(), None);
        assert!(!html.contains("<script") && !html.contains("<link") && !html.contains("url("));
        assert!(!html.contains("NaN"));
    }

    #[test]
    fn seconds_do_not_reach_the_page() {
        let mut slower = reproduction();
        slower.stages.push(("attack".into(), 1e6));
        assert_eq!(
            reproduce_page(&slower, &images(), None),
            reproduce_page(&reproduction(), &images(), None)
        );
    }

    #[test]
    fn says_that_nothing_was_found() {
        let html = reproduce_page(&nothing_found(), &images(), None);
        assert!(html.contains("No adversarial image was found"), "{html}");
        assert!(html.contains("no distances to show"));
        assert!(!html.contains("NaN") && !html.contains("Every one"));
    }

    #[test]
    fn an_empty_reproduction_is_a_page_too() {
        let mut results = reproduction();
        results.networks.clear();
        results.table1.table1.clear();
        assert!(reproduce_page(&results, &images(), None).contains("No network was attacked"));
    }
}
