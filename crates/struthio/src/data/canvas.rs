//! What pictures are painted on: the input of a model.

use super::channels::channels_assumed;
use super::loading::Wanted;
use super::picture::{Decoded, Picture};
use super::resize::fit;
use crate::error::{Error, Result};

/// Size, colour and order that all images of a folder are brought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Canvas {
    channels: usize,
    height: usize,
    width: usize,
    order: Order,
    /// What the user has to know about it.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// height × width
    Plane,
    /// channels × height × width
    ChannelsFirst,
    /// height × width × channels
    ChannelsLast,
}

impl Canvas {
    /// For the input `wanted`, or like the `first` picture that can be read if no model says what it wants.
    ///
    /// # Errors
    ///
    /// If the input is no picture, or none can be read.
    pub fn for_model(
        origin: &str,
        first: impl FnOnce() -> Option<Decoded>,
        wanted: Option<Wanted<'_>>,
    ) -> Result<Self> {
        let Some(Wanted { model, shape, .. }) = wanted else { return Self::like(origin, first().as_ref()) };
        Self::of_shape(shape).ok_or_else(|| {
            Error::data(
                origin,
                format!(
                    "images cannot be made into the input of {model}, which has shape {shape:?}; expected 3 × height × width or 1 × height × width"
                ),
            )
        })
    }

    fn like(origin: &str, first: Option<&Decoded>) -> Result<Self> {
        let Some(&Decoded { picture: Picture { width, height, channels, .. }, .. }) = first else {
            return Err(Error::data(origin, "none of its files can be read as a picture"));
        };
        let colour = if channels == 3 { "colour" } else { "grey" };
        let note =
            format!("all images are brought to the size of the first, {width} × {height}, in {colour}");
        Ok(Self { channels, height, width, order: Order::ChannelsFirst, note: Some(note) })
    }

    /// A flat input is taken as a square, grey or in three colours.
    fn of_shape(shape: &[usize]) -> Option<Self> {
        let canvas = |channels, height, width, order| Self { channels, height, width, order, note: None };
        match *shape {
            _ if shape.contains(&0) => None,
            [channels @ (1 | 3), height, width] => {
                let first = canvas(channels, height, width, Order::ChannelsFirst);
                Some(Self { note: channels_assumed(shape), ..first })
            }
            [height, width, channels @ (1 | 3)] => Some(canvas(channels, height, width, Order::ChannelsLast)),
            [height, width] => Some(canvas(1, height, width, Order::Plane)),
            [size] => [1, 3].into_iter().find_map(|channels| {
                let side = (size / channels).isqrt();
                let what = if channels == 3 { "3 × " } else { "" };
                let note = format!("the model's {size} inputs are taken as {what}{side} × {side} pixels");
                let square = canvas(channels, side, side, Order::ChannelsFirst);
                (channels * side * side == size).then_some(Self { note: Some(note), ..square })
            }),
            _ => None,
        }
    }

    /// Shape of an image.
    pub fn shape(&self) -> Vec<usize> {
        match self.order {
            Order::Plane => vec![self.height, self.width],
            Order::ChannelsFirst => vec![self.channels, self.height, self.width],
            Order::ChannelsLast => vec![self.height, self.width, self.channels],
        }
    }

    /// Whether it holds no colour.
    pub fn is_grey(&self) -> bool {
        self.channels == 1
    }

    /// By which factor `picture` is enlarged to cover the canvas, and the share of its area that is on it then.
    pub fn fit_of(&self, picture: &Picture) -> (f64, f64) {
        let across = self.width as f64 / picture.width as f64;
        let down = self.height as f64 / picture.height as f64;
        (across.max(down), across.min(down) / across.max(down))
    }

    /// Values of an image.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Brings `picture` to size and colour and writes it into `out`.
    pub fn paint(&self, picture: Picture, out: &mut [u8]) {
        let picture = if self.is_grey() { picture.into_grey() } else { picture };
        let picture = fit(picture, self.width, self.height);
        let plane = self.width * self.height;
        for (i, pixel) in picture.bytes.chunks_exact(picture.channels).enumerate() {
            for channel in 0..self.channels {
                let at = match self.order {
                    Order::ChannelsLast => i * self.channels + channel,
                    _ => channel * plane + i,
                };
                out[at] = pixel[channel.min(picture.channels - 1)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_can_be_painted_on() {
        for (shape, expected, said) in [
            (&[3, 5, 4][..], Some(&[3, 5, 4][..]), false),
            (&[1, 5, 4], Some(&[1, 5, 4]), false),
            (&[5, 4, 3], Some(&[5, 4, 3]), false),
            (&[5, 4], Some(&[5, 4]), false),
            (&[784], Some(&[1, 28, 28]), true),
            (&[3072], Some(&[3, 32, 32]), true),
            (&[785], None, false),
            (&[0], None, false),
            (&[2, 5, 4], None, false),
            (&[3, 0, 4], None, false),
            (&[], None, false),
        ] {
            let canvas = Canvas::of_shape(shape);
            assert_eq!(canvas.as_ref().map(Canvas::shape).as_deref(), expected, "{shape:?}");
            assert_eq!(canvas.is_some_and(|canvas| canvas.note.is_some()), said, "{shape:?}");
        }
    }

    #[test]
    fn colours_and_orders() {
        let paint = |shape: &[usize], width: usize, channels: usize, bytes: &[u8]| {
            let canvas = Canvas::of_shape(shape).expect("a picture");
            let mut out = vec![0; canvas.len()];
            let height = bytes.len() / channels / width;
            canvas.paint(Picture { width, height, channels, bytes: bytes.to_vec() }, &mut out);
            out
        };
        let colours = [255, 0, 0, 10, 20, 30];
        assert_eq!(paint(&[3, 1, 2], 2, 3, &colours), [255, 10, 0, 20, 0, 30]);
        assert_eq!(paint(&[3, 1, 2], 2, 1, &[7, 9]), [7, 9, 7, 9, 7, 9]);
        // 0.299 · 255 and 0.299 · 10 + 0.587 · 20 + 0.114 · 30
        assert_eq!(paint(&[1, 1, 2], 2, 3, &colours), [76, 18]);
        let square: Vec<u8> = (0..12).collect();
        assert_eq!(paint(&[2, 2, 3], 2, 3, &square), square);
    }
}
