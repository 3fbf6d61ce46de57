use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::{Change, Decoded, Picture, check_size, one_line, orientation};

/// Besides the samples, the picture that is made of them.
const MEMORY_PER_PIXEL: usize = 6;

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let decoder = Decoder::new(Cursor::new(bytes)).map_err(|error| one_line(&error))?;
    let mut limits = Limits::default();
    limits.intermediate_buffer_size = bytes.len().max(1 << 24);
    let mut decoder = decoder.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(|error| one_line(&error))?;
    let (width, height) = (width as usize, height as usize);
    let colours = decoder.colortype().map_err(|error| one_line(&error))?;
    let samples = usize::from(colours.num_samples());
    let depth = colours.bit_depth();
    let bytes_per_sample = usize::from(depth).div_ceil(8);
    check_size(width, height, samples * bytes_per_sample + MEMORY_PER_PIXEL, bytes.len())?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(|error| one_line(&error))?;
    let pixels = eight_bits(result, depth).ok_or_else(|| unsupported(colours))?;
    let pixels = if depth < 8 { unpacked(&pixels, width, samples, depth) } else { pixels };
    let pixels = if layout.planes > 1 { interleaved(&pixels, samples) } else { pixels };
    if pixels.len() != width * height * samples {
        return Err(format!("{} values for {width} × {height} pixels", pixels.len()));
    }
    let decoded = match colours {
        ColorType::CMYK(_) => printed(width, height, &pixels),
        ColorType::Gray(_) | ColorType::GrayA(_) | ColorType::RGB(_) | ColorType::RGBA(_) => {
            Decoded::of_samples(width, height, samples, pixels)
        }
        _ => return Err(unsupported(colours)),
    };
    let mut decoded =
        decoded.changed(Change::EightBits, depth > 8).changed(Change::FirstOfSeveral, decoder.more_images());
    if let Some(orientation @ 2..=8) = orientation {
        decoded.picture = orientation::upright(decoded.picture, orientation);
        decoded = decoded.changed(Change::Turned, true);
    }
    Ok(decoded)
}

fn unsupported(colours: ColorType) -> String {
    format!("pixels of the kind {colours:?} are not read; convert it to 8-bit grey or RGB")
}

/// The upper eight bits of each sample.
fn eight_bits(result: DecodingResult, depth: u8) -> Option<Vec<u8>> {
    match result {
        DecodingResult::U8(values) if depth <= 8 => Some(values),
        DecodingResult::U16(values) if depth == 16 => {
            Some(values.into_iter().map(|value| (value >> 8) as u8).collect())
        }
        _ => None,
    }
}

/// Samples of fewer than eight bits, whose rows begin at whole bytes, stretched to 0 to 255.
fn unpacked(rows: &[u8], width: usize, samples: usize, depth: u8) -> Vec<u8> {
    let (depth, per_row) = (usize::from(depth), width * samples);
    let largest = (1_u16 << depth) - 1;
    let of_row = |row: &[u8]| {
        let value = |i: usize| {
            let bits = (0..depth)
                .map(|bit| i * depth + bit)
                .fold(0_u16, |value, bit| 2 * value + u16::from(row[bit / 8] >> (7 - bit % 8) & 1));
            (bits * 255 / largest) as u8
        };
        (0..per_row).map(value).collect::<Vec<u8>>()
    };
    rows.chunks_exact((per_row * depth).div_ceil(8).max(1)).flat_map(of_row).collect()
}

/// Planes one behind the other, as values side by side.
fn interleaved(planes: &[u8], samples: usize) -> Vec<u8> {
    let plane = planes.len() / samples;
    (0..plane * samples).map(|i| planes[i % samples * plane + i / samples]).collect()
}

/// Red, green and blue of inks, as Pillow has them.
fn printed(width: usize, height: usize, inks: &[u8]) -> Decoded {
    let colour = |&[cyan, magenta, yellow, black]: &[u8; 4]| {
        let light = 255 - u32::from(black);
        [cyan, magenta, yellow].map(|ink| {
            let product = u32::from(ink) * light + 128;
            light.saturating_sub(((product >> 8) + product) >> 8) as u8
        })
    };
    let bytes = inks.as_chunks::<4>().0.iter().flat_map(colour).collect();
    Decoded::new(Picture { width, height, channels: 3, bytes }).changed(Change::FromCmyk, true)
}
