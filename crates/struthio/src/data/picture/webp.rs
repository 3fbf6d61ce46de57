use std::io::Cursor;

use image_webp::WebPDecoder;

use super::{Change, Decoded, check_size, one_line};

/// Lossless pictures are decoded with alpha, and with tables for blocks of pixels.
const MEMORY_PER_PIXEL: usize = 10;

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| one_line(&error))?;
    decoder.set_memory_limit(bytes.len());
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    check_size(width, height, MEMORY_PER_PIXEL, bytes.len())?;
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or("too large")?];
    decoder.read_image(&mut pixels).map_err(|error| one_line(&error))?;
    let samples = if decoder.has_alpha() { 4 } else { 3 };
    let several = decoder.is_animated() && decoder.num_frames() > 1;
    let exif = decoder.exif_metadata().ok().flatten();
    Ok(Decoded::of_samples(width, height, samples, pixels)
        .changed(Change::FirstOfSeveral, several)
        .turned(exif.as_deref()))
}
