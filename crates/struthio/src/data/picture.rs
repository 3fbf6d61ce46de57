//! PNG and JPEG files as bytes.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use png::{ColorType, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Larger pictures are refused.
const MOST_PIXELS: usize = 1 << 26;
/// Larger files are refused.
const LARGEST_FILE: u64 = 1 << 28;
/// Deflate makes nothing smaller than by this factor.
const DEFLATE_FACTOR: usize = 1032;
/// A block of 64 pixels of a JPEG takes a bit at least, and twice as much never hurt.
const JPEG_PIXELS_PER_BYTE: usize = 2 * 64 * 8;

/// A picture of 8 bits per channel, channels interleaved: one, grey, or three, red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Reads the file at `path`.
    ///
    /// Transparency is dropped, of 16 bits the upper 8 are taken, and no orientation noted beside
    /// the picture is applied, as Pillow does all three.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, without its name.
    pub fn read(path: &Path) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let about = std::fs::metadata(path).map_err(unreadable)?;
        if !about.is_file() {
            return Err("not a regular file".into());
        }
        if about.len() > LARGEST_FILE {
            return Err(format!("{} bytes are more than an image needs", about.len()));
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        Self::decode(&bytes)
    }

    /// Decodes the bytes of a PNG or JPEG file.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let picture = match bytes {
            [] => return Err("the file is empty".into()),
            [0x89, b'P', b'N', b'G', ..] => png(bytes).map_err(|problem| format!("damaged PNG: {problem}")),
            [0xff, 0xd8, ..] => jpeg(bytes).map_err(|problem| format!("damaged JPEG: {problem}")),
            _ => return Err("neither PNG nor JPEG".into()),
        }?;
        debug_assert_eq!(picture.bytes.len(), picture.width * picture.height * picture.channels);
        Ok(picture)
    }

    /// Grey by the luma of ITU-R 601, rounded as Pillow does.
    pub fn into_grey(self) -> Self {
        if self.channels == 1 {
            return self;
        }
        let luma = |&[red, green, blue]: &[u8; 3]| {
            ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7471 + 0x8000) >> 16)
                as u8
        };
        let bytes = self.bytes.as_chunks::<3>().0.iter().map(luma).collect();
        Self { channels: 1, bytes, ..self }
    }
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    match width.checked_mul(height) {
        Some(pixels) if pixels > 0 && pixels <= MOST_PIXELS => Ok(()),
        _ => Err(format!("{width} × {height} pixels; expected between one and {MOST_PIXELS} in all")),
    }
}

fn png(bytes: &[u8]) -> Result<Picture, String> {
    let words = |error: png::DecodingError| match error {
        png::DecodingError::LimitsExceeded => "it claims more pixels than make sense".to_owned(),
        other => other.to_string(),
    };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(words)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    check_size(width, height)?;
    let raw = info.raw_bytes().saturating_sub(1024) / DEFLATE_FACTOR;
    let size = reader.output_buffer_size().ok_or("too large")?;
    if raw > bytes.len() {
        return Err(format!("{width} × {height} pixels cannot be in {} bytes", bytes.len()));
    }
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(words)?;
    pixels.truncate(frame.buffer_size());
    let (channels, bytes) = match frame.color_type {
        ColorType::Grayscale => (1, pixels),
        ColorType::GrayscaleAlpha => (1, pixels.as_chunks::<2>().0.iter().map(|[grey, _]| *grey).collect()),
        ColorType::Rgb => (3, pixels),
        ColorType::Rgba => (
            3,
            pixels
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|[red, green, blue, _]| [*red, *green, *blue])
                .collect(),
        ),
        ColorType::Indexed => return Err("its palette is missing".into()),
    };
    Ok(Picture { width, height, channels, bytes })
}

fn jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let words = |error: DecodeErrors| error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(words)?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    check_size(width, height)?;
    if width * height / JPEG_PIXELS_PER_BYTE > bytes.len() {
        return Err(format!("{width} × {height} pixels cannot be in {} bytes", bytes.len()));
    }
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (channels, space) = if grey { (1, ColorSpace::Luma) } else { (3, ColorSpace::RGB) };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let bytes = decoder.decode().map_err(words)?;
    if bytes.len() != width * height * channels {
        return Err(format!("{} values for {width} × {height} pixels", bytes.len()));
    }
    Ok(Picture { width, height, channels, bytes })
}
