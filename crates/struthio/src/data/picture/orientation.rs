//! How a camera was held: the orientation that EXIF data note, and pictures turned by it.

use super::Picture;

/// The orientation, 1 to 8, noted in EXIF data: an image file directory as in TIFF.
pub(super) fn of_exif(exif: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x112;
    const SHORT: u16 = 3;
    const ENTRY: usize = 12;
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let big = match exif.get(..4)? {
        [b'I', b'I', 42, 0] => false,
        [b'M', b'M', 0, 42] => true,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let pair = *exif.get(at..)?.first_chunk::<2>()?;
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let four = *exif.get(4..)?.first_chunk::<4>()?;
    let directory = if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) } as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries)
        .map(|i| directory + 2 + i * ENTRY)
        .find(|&at| short(at) == Some(ORIENTATION) && short(at + 2) == Some(SHORT))?;
    short(entry + 8).filter(|value| (1..=8).contains(value)).map(|value| value as u8)
}

/// The picture as it was seen. Orientations 2 to 4 mirror it or turn it by half, 5 to 8 also exchange its sides.
pub(super) fn upright(picture: Picture, orientation: u8) -> Picture {
    let Picture { width, height, channels, mut bytes } = picture;
    if orientation <= 4 {
        let row = width * channels;
        if matches!(orientation, 2 | 3) {
            bytes.chunks_exact_mut(row).for_each(|row| mirror(row, channels));
        }
        if matches!(orientation, 3 | 4) {
            for y in 0..height / 2 {
                let (above, below) = bytes.split_at_mut((height - 1 - y) * row);
                above[y * row..(y + 1) * row].swap_with_slice(&mut below[..row]);
            }
        }
        return Picture { width, height, channels, bytes };
    }
    let mut turned = Vec::with_capacity(bytes.len());
    for x in 0..width {
        for y in 0..height {
            let x = if matches!(orientation, 7 | 8) { width - 1 - x } else { x };
            let y = if matches!(orientation, 6 | 7) { height - 1 - y } else { y };
            let at = (y * width + x) * channels;
            turned.extend_from_slice(&bytes[at..at + channels]);
        }
    }
    Picture { width: height, height: width, channels, bytes: turned }
}

/// The pixels of a row in the opposite order.
fn mirror(row: &mut [u8], channels: usize) {
    row.reverse();
    row.chunks_exact_mut(channels).for_each(<[u8]>::reverse);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One entry besides the orientation, in both byte orders.
    fn exif(big: bool, kind: u16, value: u16) -> Vec<u8> {
        let short = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = if big { b"MM\0\x2a".to_vec() } else { b"II\x2a\0".to_vec() };
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, kind, value) in [(0x100, 3, 7), (0x112, kind, value)] {
            bytes.extend([short(tag), short(kind)].concat());
            bytes.extend(long(1));
            bytes.extend([short(value), [0, 0]].concat());
        }
        bytes
    }

    #[test]
    fn what_exif_notes() {
        for big in [false, true] {
            for value in 1..=8 {
                assert_eq!(of_exif(&exif(big, 3, value)), Some(value as u8));
                let prefixed = [&b"Exif\0\0"[..], &exif(big, 3, value)].concat();
                assert_eq!(of_exif(&prefixed), Some(value as u8));
            }
            for bad in [exif(big, 3, 0), exif(big, 3, 9), exif(big, 2, 6)] {
                assert_eq!(of_exif(&bad), None);
            }
        }
    }

    #[test]
    fn damaged_exif_is_none() {
        let whole = exif(true, 3, 6);
        for length in 0..whole.len() - 2 {
            assert_eq!(of_exif(&whole[..length]), None);
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                assert!(of_exif(&bytes).is_none_or(|value| (1..=8).contains(&value)));
            }
        }
    }

    #[test]
    fn every_orientation_of_six_pixels() {
        // 0 1 2
        // 3 4 5
        let picture = Picture { width: 3, height: 2, channels: 1, bytes: vec![0, 1, 2, 3, 4, 5] };
        for (orientation, width, bytes) in [
            (1, 3, [0, 1, 2, 3, 4, 5]),
            (2, 3, [2, 1, 0, 5, 4, 3]),
            (3, 3, [5, 4, 3, 2, 1, 0]),
            (4, 3, [3, 4, 5, 0, 1, 2]),
            (5, 2, [0, 3, 1, 4, 2, 5]),
            (6, 2, [3, 0, 4, 1, 5, 2]),
            (7, 2, [5, 2, 4, 1, 3, 0]),
            (8, 2, [2, 5, 1, 4, 0, 3]),
        ] {
            let turned = upright(picture.clone(), orientation);
            assert_eq!((turned.width, &turned.bytes[..]), (width, &bytes[..]), "orientation {orientation}");
        }
    }
}
