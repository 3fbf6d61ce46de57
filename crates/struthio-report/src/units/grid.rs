//! The paper's picture grids: a row for each direction, its images from the strongest on.

use maud::{Markup, html};
use struthio::data::{Dataset, shrunken};
use struthio::units::{Direction, Kind, LayerResult, Measure};

use crate::format::significant;
use crate::picture::Picture;

const COLUMNS: usize = 10;
/// Longest side of a picture, in pixels; larger images are averaged over blocks.
const SIDE: usize = 56;

/// Units on the left, random directions on the right.
pub fn beside(layer: &LayerResult, data: &Dataset) -> Markup {
    if layer.directions.is_empty() {
        return html! { p.nothing { "Fewer than three units vary, so there is nothing to compare." } };
    }
    html! {
        div.beside {
            @for (kind, title) in [(Kind::Units, "Units"), (Kind::REFERENCE, "Random directions")] {
                div {
                    h4 { (title) }
                    ul.tops.with-made[layer.directions.iter().any(|direction| direction.made.is_some())] { @for direction in layer.sample(kind) { (row(direction, layer.measure, data)) } }
                }
            }
        }
    }
}

fn row(direction: &Direction, measure: Measure, data: &Dataset) -> Markup {
    let coherence = &direction.coherence;
    let (value, name) = match measure {
        Measure::LabelEntropy => (coherence.label_entropy, "bits"),
        Measure::PixelDistance => (coherence.pixel_distance, "RMS"),
    };
    html! {
        li {
            span { @if direction.kind == Kind::Units { "unit " (direction.number) } @else { "no. " (direction.number + 1) } }
            div { (images(direction, data)) }
            @if let Some(made) = &direction.made { (picture(made, data, "made to maximise the direction")) }
            span { (significant(value, 2)) " " (name) }
        }
    }
}

/// The images of a direction, the strongest first.
pub fn images(direction: &Direction, data: &Dataset) -> Markup {
    html! { @for &i in direction.top.iter().take(COLUMNS) { (image(i, data)) } }
}

fn image(i: usize, data: &Dataset) -> Markup {
    let words = format!("image {} of class {}", data.index(i), data.class(data.label(i)));
    match data.image(i) {
        Ok(image) => picture(&image, data, &words),
        // The figures hold all the same; the picture says why it is missing.
        Err(error) => html! { span title=(words) { "– (" (error) ")" } },
    }
}

/// Pixels in the shape of the images of `data`.
fn picture(pixels: &[f32], data: &Dataset, words: &str) -> Markup {
    let picture = small(pixels, data.shape());
    let source = picture.as_ref().and_then(Picture::data_uri);
    html! {
        @if let (Some(picture), Some(source)) = (&picture, &source) {
            img.pixels[data.image_len() <= 3 * SIDE * SIDE] src=(source) alt=(words) title=(words)
                width=(picture.width) height=(picture.height);
        } @else {
            span title=(words) { "–" }
        }
    }
}

/// The image, averaged over blocks if it is large.
fn small(image: &[f32], shape: &[usize]) -> Option<Picture> {
    match shrunken(image, shape, SIDE) {
        Some((pixels, shape)) => Picture::new(&pixels, &shape),
        None => Picture::new(image, shape),
    }
}
