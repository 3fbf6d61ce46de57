use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Change, Decoded, Picture, check_packed, check_size, one_line};

/// A block of 64 pixels takes a bit at least, and twice as much never hurt.
const PIXELS_PER_BYTE: usize = 2 * 64 * 8;
/// Progressive pictures are decoded from coefficients of two bytes, in all channels.
const MEMORY_PER_PIXEL: usize = 10;
/// One in so many rows may be missing.
const MISSING: usize = 8;

/// A picture that ends too early or has faults inside is used if nearly all its rows are there, and said to be damaged.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let problem = match attempt(bytes, true) {
        Ok(decoded) if ends(bytes) => return Ok(decoded),
        Ok(decoded) => return Ok(Decoded { damage: Some("it ends too early".into()), ..decoded }),
        Err(problem) => problem,
    };
    let Ok(decoded) = attempt(bytes, false) else { return Err(problem) };
    let (missing, height) = (blank_rows(&decoded.picture), decoded.picture.height);
    if missing * MISSING > height {
        return Err(format!("{problem}; {missing} of {height} rows are missing"));
    }
    Ok(Decoded { damage: Some(problem), ..decoded })
}

fn attempt(bytes: &[u8], strict: bool) -> Result<Decoded, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| one_line(&error))?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    check_size(width, height, MEMORY_PER_PIXEL, bytes.len())?;
    check_packed(width, height, width * height, PIXELS_PER_BYTE, bytes.len())?;
    let colours = decoder.input_colorspace();
    let grey = colours == Some(ColorSpace::Luma);
    let print = matches!(colours, Some(ColorSpace::CMYK | ColorSpace::YCCK));
    let (channels, space) = if grey { (1, ColorSpace::Luma) } else { (3, ColorSpace::RGB) };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let pixels = decoder.decode().map_err(|error| one_line(&error))?;
    if pixels.len() != width * height * channels {
        return Err(format!("{} values for {width} × {height} pixels", pixels.len()));
    }
    let exif = decoder.exif().cloned();
    drop(decoder);
    let decoded = Decoded::new(Picture { width, height, channels, bytes: pixels });
    Ok(decoded.changed(Change::FromCmyk, print).turned(exif.as_deref()))
}

/// Whether the end of the picture is marked: segment by segment, then scan by scan.
fn ends(bytes: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut at = 2;
    while let Some(offset) = bytes.get(at..).and_then(|rest| rest.windows(2).position(is_marker)) {
        at += offset;
        match bytes[at + 1] {
            END => return true,
            SCAN | 0xc0..=0xcf | 0xdb..=0xfe => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
            _ => at += 2,
        }
    }
    false
}

/// Neither a byte of data, nor filling, nor a mark to restart at.
fn is_marker(pair: &[u8]) -> bool {
    matches!(pair, [0xff, second] if !matches!(second, 0 | 0xff | 0xd0..=0xd7))
}

/// Rows at the bottom that are all of one colour, as a decoder leaves what it has no data for.
fn blank_rows(picture: &Picture) -> usize {
    let row = picture.width * picture.channels;
    let Some(last) = picture.bytes.last_chunk::<3>() else { return 0 };
    let colour = &last[3 - picture.channels..];
    let blank = |row: &&[u8]| row.chunks_exact(picture.channels).all(|pixel| pixel == colour);
    picture.bytes.chunks_exact(row).rev().take_while(blank).count()
}
