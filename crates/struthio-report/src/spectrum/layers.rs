//! Table 5: the operator norm of every layer.

use maud::{Markup, html};
use struthio::paper::{PaperLayer, table5};
use struthio::spectrum::{Layer, Study};

use super::norm;
use crate::format::{NOTHING, at_most, factor, maybe, shape};
use crate::page::scrolling;

/// The table, with the paper's figures where the network has the geometry of its own.
pub fn table(study: &Study) -> Markup {
    let papers = table5(&study.layers);
    let compared = papers.is_some();
    let paper = |i: usize| papers.as_ref().and_then(|papers| papers[i]);
    let rows: Vec<_> = study.layers.iter().enumerate().filter(|(_, layer)| says_something(layer)).collect();
    html! {
        figure {
            (scrolling("Operator norms of the layers", &html! {
                table.figures.operators {
                    thead { (head(compared)) }
                    tbody {
                        @for (i, layer) in &rows { (line(layer, paper(*i), compared)) }
                        tr.total {
                            th scope="row" { "Along the network" }
                            td {} td.number {} td.number {}
                            @if compared { td.number.paper {} }
                            td.number {}
                            td.number { (maybe(study.network.product, at_most)) }
                        }
                    }
                }
            }))
            figcaption {
                b.label { @if compared { "Table 5" } @else { "Operator norms" } }
                (caption(study, papers.as_deref()))
            }
        }
    }
}

/// Most layers without weights pass on at most what they get.
fn says_something(layer: &Layer) -> bool {
    !layer.shape.is_empty() || layer.unbounded || layer.upper.is_some_and(|upper| upper > 1.0 + 1e-6)
}

fn head(compared: bool) -> Markup {
    html! {
        tr {
            th scope="col" rowspan="2" { "Layer" }
            th scope="col" rowspan="2" { "Size" span.unit { "inputs × window × outputs" } }
            th.number scope="col" rowspan="2" { "Stride" }
            th.group scope="colgroup" colspan={ @if compared { "4" } @else { "3" } } {
                "Operator norm" span.unit { "change of the output / change of the input, L2" }
            }
        }
        tr {
            th.number scope="col" { @if compared { "ours, wrapped" } @else { "wrapped" } }
            @if compared { th.number.paper scope="col" { "paper" } }
            th.number scope="col" { "as executed" }
            th.number scope="col" { "proven" }
        }
    }
}

fn line(layer: &Layer, paper: Option<&PaperLayer>, compared: bool) -> Markup {
    let own = size(&layer.shape);
    html! {
        tr {
            th scope="row" {
                (layer.name)
                span.range { (layer.op) @if let Some(paper) = paper { ", " (paper.name) } }
            }
            td.number.size {
                (shape(&own))
                @if let Some(paper) = paper && paper.size != own {
                    span.range { "paper " (shape(paper.size)) }
                }
            }
            td.number { (layer.stride.map_or_else(|| NOTHING.to_owned(), steps)) }
            td.number.ours { (norm(layer.circular)) }
            @if compared {
                td.number.paper { (paper.map_or_else(String::new, |paper| paper.norm.to_string())) }
            }
            td.number { (norm(layer.zero_padded)) }
            td.number { @if layer.unbounded { "unbounded" } @else { (maybe(layer.upper, at_most)) } }
        }
    }
}

/// In the order of the paper: inputs, rows, columns, outputs.
fn size(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [outputs, inputs, rows, columns] => vec![inputs, rows, columns, outputs],
        _ => shape.into(),
    }
}

fn steps(stride: [usize; 2]) -> String {
    if stride[0] == stride[1] { stride[0].to_string() } else { shape(&stride) }
}

fn caption(study: &Study, papers: Option<&[Option<&PaperLayer>]>) -> Markup {
    let norms = study.layers.iter().filter(|layer| !layer.shape.is_empty());
    let largest =
        norms.clone().filter_map(|layer| Some((layer, layer.norm()?))).max_by(|a, b| a.1.total_cmp(&b.1));
    let above = norms.clone().filter(|layer| layer.norm().is_some_and(|norm| norm > 1.0)).count();
    let all = norms.count();
    html! {
        @if let Some((layer, norm)) = largest {
            " " (above) " of " (all) " layers with weights amplify some change; " b { (layer.name) }
            " does so most, by " (factor(norm)) "."
        }
        @if let Some(papers) = papers {
            @let higher = study.layers.iter().zip(papers).filter(|(layer, paper)| {
                layer.norm().zip(**paper).is_some_and(|(ours, paper)| ours > paper.norm)
            }).count();
            " Ours is above the paper’s in " (higher) " of 8 layers; the paper’s weights are not those of this "
            "network, so only the sizes compare."
        }
        " Wrapped: on images that wrap around at their edges, the paper’s formula. As executed: with padding by zeros. "
        "Proven: exceeded by no image of any size; the product of these bounds the network. "
        "Layers that pass on at most what they get are left out."
    }
}
