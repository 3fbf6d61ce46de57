//! Pixels as pictures inside the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An image of 8 bits per channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    color: png::ColorType,
    bytes: Vec<u8>,
}

impl Picture {
    /// A picture of pixels in \[0, 1\]: grey for `height × width`, `1 × height × width` and for flat
    /// vectors whose length is a square, colour for `3 × height × width`, else none.
    pub fn new(pixels: &[f32], shape: &[usize]) -> Option<Self> {
        let (channels, height, width) = layout(shape, pixels.len())?;
        let plane = height * width;
        let byte = |value: f32| (255.0 * value.clamp(0.0, 1.0)).round() as u8;
        let bytes =
            (0..plane).flat_map(|i| (0..channels).map(move |c| byte(pixels[c * plane + i]))).collect();
        let color = if channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale };
        Some(Self { width: u32::try_from(width).ok()?, height: u32::try_from(height).ok()?, color, bytes })
    }

    /// The difference, `factor` times enlarged; mid-grey is no change.
    pub fn of_change(original: &[f32], changed: &[f32], shape: &[usize], factor: f32) -> Option<Self> {
        if original.len() != changed.len() {
            return None;
        }
        let difference: Vec<f32> =
            original.iter().zip(changed).map(|(from, to)| 0.5 + factor * (to - from)).collect();
        Self::new(&difference, shape)
    }

    /// The picture as the source of an `img` element.
    pub fn data_uri(&self) -> Option<String> {
        Some(format!("data:image/png;base64,{}", STANDARD.encode(self.png().ok()?)))
    }

    fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(self.color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.bytes)?;
        writer.finish()?;
        Ok(file)
    }
}

/// Channels, height and width of `len` pixels.
fn layout(shape: &[usize], len: usize) -> Option<(usize, usize, usize)> {
    let fits = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)) == Some(len);
    let side = len.isqrt();
    match *shape {
        _ if len == 0 => None,
        [channels @ (1 | 3), height, width] if fits => Some((channels, height, width)),
        [height, width] if fits && height > 1 && width > 1 => Some((1, height, width)),
        _ if side * side == len => Some((1, side, side)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(uri: &str) -> (png::OutputInfo, Vec<u8>) {
        let base64 = uri.strip_prefix("data:image/png;base64,").expect("a PNG");
        let file = STANDARD.decode(base64).expect("base64");
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a header");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a small image")];
        let info = reader.next_frame(&mut bytes).expect("pixels");
        (info, bytes)
    }

    #[test]
    fn grey_pixels_survive_the_file() {
        let picture = Picture::new(&[0.0, 0.2, 1.0, -3.0, 7.0, f32::NAN], &[1, 2, 3]).expect("a picture");
        let (info, bytes) = decoded(&picture.data_uri().expect("a file"));
        assert_eq!((info.width, info.height, info.color_type), (3, 2, png::ColorType::Grayscale));
        assert_eq!(bytes, [0, 51, 255, 0, 255, 0]);
    }

    #[test]
    fn colours_are_interleaved() {
        let planes = [1.0, 0.0, 0.0, 1.0, 0.2, 0.4];
        let picture = Picture::new(&planes, &[3, 1, 2]).expect("a picture");
        let (info, bytes) = decoded(&picture.data_uri().expect("a file"));
        assert_eq!((info.width, info.height, info.color_type), (2, 1, png::ColorType::Rgb));
        assert_eq!(bytes, [255, 0, 51, 0, 255, 102]);
    }

    #[test]
    fn change_is_grey_where_equal_and_clamped_beyond() {
        let original = [0.3, 0.3, 0.3, 0.3];
        let changed = [0.3, 0.321, 0.9, 0.0];
        let picture = Picture::of_change(&original, &changed, &[2, 2], 10.0).expect("a picture");
        assert_eq!(picture.bytes, [128, 181, 255, 0]);
        assert_eq!(Picture::of_change(&original, &changed[..3], &[2, 2], 10.0), None);
    }

    #[test]
    fn shapes() {
        assert_eq!(layout(&[784], 784), Some((1, 28, 28)));
        assert_eq!(layout(&[28, 28, 1], 784), Some((1, 28, 28)));
        assert_eq!(layout(&[1, 784], 784), Some((1, 28, 28)));
        assert_eq!(layout(&[20, 30], 600), Some((1, 20, 30)));
        assert_eq!(layout(&[3, 32, 32], 3072), Some((3, 32, 32)));
        assert_eq!(layout(&[783], 783), None);
        assert_eq!(layout(&[], 0), None);
        assert_eq!(layout(&[usize::MAX, 2], 3), None);
    }
}
