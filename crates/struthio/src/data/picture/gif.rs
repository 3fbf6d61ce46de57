use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::{Change, Decoded, Picture, check_size, one_line};

/// The first picture of the file, on the colour of the background.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::MIN.saturating_add(1 << 27)));
    let mut decoder = options.read_info(bytes).map_err(|error| one_line(&error))?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    check_size(width, height, 5, bytes.len())?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let background = decoder.bg_color();
    let frame =
        decoder.read_next_frame().map_err(|error| one_line(&error))?.ok_or("there is no picture in it")?;
    let palette = frame.palette.as_ref().or(global.as_ref()).ok_or("its palette is missing")?;
    let colour = |index: usize| palette.get(3 * index..3 * index + 3).unwrap_or(&[0; 3]);
    let mut pixels =
        colour(frame.transparent.map_or(background.unwrap_or(0), usize::from)).repeat(width * height);
    let (left, top, across) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    for (y, row) in frame.buffer.chunks_exact(across.max(1)).enumerate().take(height.saturating_sub(top)) {
        for (x, &index) in row.iter().enumerate().take(width.saturating_sub(left)) {
            let at = 3 * ((top + y) * width + left + x);
            pixels[at..at + 3].copy_from_slice(colour(usize::from(index)));
        }
    }
    let transparent = frame.transparent.is_some_and(|index| frame.buffer.contains(&index));
    let several = decoder.next_frame_info().is_ok_and(|frame| frame.is_some());
    Ok(Decoded::new(Picture { width, height, channels: 3, bytes: pixels })
        .changed(Change::Opaque, transparent)
        .changed(Change::FirstOfSeveral, several))
}
