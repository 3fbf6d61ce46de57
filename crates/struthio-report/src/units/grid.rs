//! The paper's picture grids: a row for each direction, its images from the strongest on.

use maud::{Markup, html};
use struthio::data::Dataset;
use struthio::units::{Direction, Kind, LayerResult, Measure};

use super::UnitsPage;
use crate::format::significant;
use crate::picture::Picture;

const ROWS: usize = 6;
const COLUMNS: usize = 10;
/// Longest side of a picture, in pixels; larger images are averaged over blocks.
const SIDE: usize = 56;

/// Units on the left, random directions on the right.
pub fn beside(layer: &LayerResult, page_of: &UnitsPage<'_>) -> Markup {
    if layer.directions.is_empty() {
        return html! { p.nothing { "Fewer than three units vary, so there is nothing to compare." } };
    }
    html! {
        div.beside {
            @for (kind, title) in [(Kind::Units, "Units"), (Kind::REFERENCE, "Random directions")] {
                div {
                    h4 { (title) }
                    ul.tops { @for direction in some(layer, kind) { (row(direction, layer.measure, page_of)) } }
                }
            }
        }
    }
}

/// Directions of `kind` at even steps.
fn some(layer: &LayerResult, kind: Kind) -> Vec<&Direction> {
    let all: Vec<&Direction> = layer.directions.iter().filter(|direction| direction.kind == kind).collect();
    let rows = ROWS.min(all.len());
    (0..rows).map(|row| all[row * all.len() / rows]).collect()
}

fn row(direction: &Direction, measure: Measure, page_of: &UnitsPage<'_>) -> Markup {
    let coherence = &direction.coherence;
    let (value, name) = match measure {
        Measure::LabelEntropy => (coherence.label_entropy, "bits"),
        Measure::PixelDistance => (coherence.pixel_distance, "RMS"),
    };
    html! {
        li {
            span { @if direction.kind == Kind::Units { "unit " (direction.number) } @else { "no. " (direction.number + 1) } }
            div {
                @for &i in direction.top.iter().take(COLUMNS) { (picture(i, page_of)) }
            }
            span { (significant(value, 2)) " " (name) }
        }
    }
}

fn picture(i: usize, page_of: &UnitsPage<'_>) -> Markup {
    let data = page_of.data;
    let words = format!("image {} of class {}", data.index(i), page_of.manifest.class(data.label(i)));
    let picture = small(data, i);
    let source = picture.as_ref().and_then(Picture::data_uri);
    html! {
        @if let (Some(picture), Some(source)) = (&picture, &source) {
            img.pixels[data.image_len() <= 3 * SIDE * SIDE] src=(source) alt=(words) title=(words)
                width=(picture.width) height=(picture.height);
        } @else {
            span { (data.index(i)) }
        }
    }
}

/// The image, averaged over blocks if it is large.
fn small(data: &Dataset, i: usize) -> Option<Picture> {
    let image = data.image(i);
    let [channels, height, width] = *data.shape() else { return Picture::new(&image, data.shape()) };
    let block = height.max(width).div_ceil(SIDE);
    let (rows, columns) = (height / block, width / block);
    if block == 1 || rows == 0 || columns == 0 {
        return Picture::new(&image, data.shape());
    }
    let mean = |channel: usize, row: usize, column: usize| {
        let corner = (channel * height + row * block) * width + column * block;
        let sum: f32 = (0..block).map(|y| image[corner + y * width..][..block].iter().sum::<f32>()).sum();
        sum / (block * block) as f32
    };
    let at = |i: usize| mean(i / (rows * columns), i / columns % rows, i % columns);
    let pixels: Vec<f32> = (0..channels * rows * columns).map(at).collect();
    Picture::new(&pixels, &[channels, rows, columns])
}
