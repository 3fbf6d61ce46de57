//! Images as PNG files of 8 bits, and back.

use super::picture;
use crate::attack::{nearest_level, pixel_at};

/// How the values of an image are a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PngShape {
    height: usize,
    width: usize,
    channels: usize,
    channels_last: bool,
}

impl PngShape {
    /// Of images of this shape: height × width is grey; with one channel or three, first or last, it is grey or red,
    /// green and blue. Other shapes are no pictures.
    #[must_use]
    pub fn of(shape: &[usize]) -> Option<Self> {
        let (channels, height, width, channels_last) = match *shape {
            [height, width] => (1, height, width, false),
            [channels @ (1 | 3), height, width] => (channels, height, width, false),
            [height, width, channels @ (1 | 3)] => (channels, height, width, true),
            _ => return None,
        };
        (height > 0 && width > 0).then_some(Self { height, width, channels, channels_last })
    }

    /// A PNG file of the levels nearest to the pixels of `image`.
    ///
    /// # Errors
    ///
    /// If the image has another number of values, or is larger than a PNG file can say.
    pub fn encode(&self, image: &[f32]) -> Result<Vec<u8>, String> {
        let plane = self.height * self.width;
        if image.len() != plane * self.channels {
            return Err(format!("{} values for {} × {} pixels", image.len(), self.width, self.height));
        }
        let size = |length: usize| u32::try_from(length).map_err(|_| "it is too large for a PNG file");
        let at =
            |i: usize| if self.channels_last { i } else { i % self.channels * plane + i / self.channels };
        let bytes: Vec<u8> = (0..image.len()).map(|i| nearest_level(image[at(i)])).collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, size(self.width)?, size(self.height)?);
        encoder.set_color(if self.channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
        encoder.set_depth(png::BitDepth::Eight);
        let write = || -> Result<(), png::EncodingError> {
            let mut writer = encoder.write_header()?;
            writer.write_image_data(&bytes)?;
            writer.finish()
        };
        write().map_err(|error| error.to_string())?;
        Ok(file)
    }

    /// The image in a PNG file.
    ///
    /// # Errors
    ///
    /// If it is damaged, or not a picture of this size and so many channels.
    pub fn decode(&self, file: &[u8]) -> Result<Vec<f32>, String> {
        let picture = picture::decode(file)?.picture;
        let found = [picture.width, picture.height, picture.channels];
        if found != [self.width, self.height, self.channels] {
            return Err(format!("width, height and channels are {found:?}"));
        }
        let plane = self.height * self.width;
        let at = |i: usize| if self.channels_last { i } else { i % plane * self.channels + i / plane };
        Ok((0..picture.bytes.len()).map(|i| pixel_at(picture.bytes[at(i)])).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for shape in [&[2, 3][..], &[1, 2, 3], &[3, 2, 5], &[2, 5, 3], &[4, 5, 1], &[3, 3, 3]] {
            let count: usize = shape.iter().product();
            let image: Vec<f32> = (0..count).map(|i| pixel_at((37 * i % 256) as u8)).collect();
            let png = PngShape::of(shape).expect("a picture");
            assert_eq!(png.decode(&png.encode(&image).expect("written")).expect("read"), image, "{shape:?}");
        }
    }

    #[test]
    fn colours_are_where_a_reader_expects_them() {
        let red_then_blue = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let file = PngShape::of(&[3, 1, 2]).expect("a picture").encode(&red_then_blue).expect("written");
        assert_eq!(picture::decode(&file).expect("read").picture.bytes, [255, 0, 0, 0, 0, 255]);
        let last = PngShape::of(&[1, 2, 3]).expect("grey");
        assert_eq!(
            picture::decode(&last.encode(&red_then_blue).expect("written")).expect("read").picture.channels,
            1
        );
    }

    #[test]
    fn other_shapes_are_no_pictures() {
        for shape in [&[784][..], &[4, 8, 8], &[8, 8, 2], &[1, 3, 8, 8], &[], &[0, 4]] {
            assert_eq!(PngShape::of(shape), None, "{shape:?}");
        }
        let grey = PngShape::of(&[2, 2]).expect("a picture");
        assert!(grey.encode(&[0.0; 3]).is_err());
        let wide = PngShape::of(&[1, 4]).expect("a picture").encode(&[0.0; 4]).expect("written");
        assert!(grey.decode(&wide).is_err() && grey.decode(b"no picture").is_err());
    }
}
