use std::io::Cursor;

use png::{ColorType, DecodingError, Transformations};

use super::{Change, DEFLATE_FACTOR, Decoded, check_packed, check_size};

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let words = |error: DecodingError| match error {
        DecodingError::LimitsExceeded => "it claims more pixels than make sense".to_owned(),
        other => other.to_string(),
    };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(words)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let deep = info.bit_depth == png::BitDepth::Sixteen;
    let several = info.animation_control.is_some_and(|control| control.num_frames > 1);
    check_size(width, height, 7, bytes.len())?;
    check_packed(width, height, info.raw_bytes(), DEFLATE_FACTOR, bytes.len())?;
    let size = reader.output_buffer_size().ok_or("too large")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(words)?;
    pixels.truncate(frame.buffer_size());
    let samples = match frame.color_type {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => return Err("its palette is missing".into()),
    };
    // EXIF data may also stand behind the pixels; what is wrong there does not matter.
    let _ = reader.finish();
    let exif = reader.info().exif_metadata.as_deref();
    Ok(Decoded::of_samples(width, height, samples, pixels)
        .changed(Change::EightBits, deep)
        .changed(Change::FirstOfSeveral, several)
        .turned(exif))
}
