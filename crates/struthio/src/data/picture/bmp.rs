//! BMP of Windows and OS/2, with a palette, with 16, 24 or 32 bits per pixel, or in run lengths. (The crates for it
//! either bring colour management along or misread rows of single bits.)

use super::{Decoded, check_packed, check_size};

/// What the headers say.
struct Header {
    width: usize,
    height: usize,
    top_first: bool,
    bits: usize,
    compression: u32,
    /// Where colours and pixels begin, and bytes of a colour.
    palette: usize,
    pixels: usize,
    colour: usize,
    colours: usize,
}

/// Values of [`Header::compression`].
const RUNS_OF_8: u32 = 1;
const RUNS_OF_4: u32 = 2;
const MASKS: [u32; 2] = [3, 6];

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let header = Header::read(bytes).ok_or("its header is cut off")?;
    let &Header { width, height, bits, compression, .. } = &header;
    check_size(width, height, 9, bytes.len())?;
    let data = bytes.get(header.pixels..).unwrap_or_default();
    let runs = matches!((compression, bits), (RUNS_OF_8, 8) | (RUNS_OF_4, 4));
    let row = (width * bits).div_ceil(32) * 4;
    if !runs {
        check_packed(width, height, row * height, 1, data.len() + row)?;
    }
    let samples = match (compression, bits) {
        (0, 1 | 4 | 8) => coloured(&header, bytes, &indices(data, &header, row))?,
        (0, 24) => {
            let pixel = |row: &[u8], x: usize| [row[3 * x + 2], row[3 * x + 1], row[3 * x], u8::MAX];
            rows(data, &header, row, pixel)
        }
        (0, 16 | 32) => masked(data, &header, row, if bits == 16 { FIVES } else { EIGHTS }),
        (mode, 16 | 32) if MASKS.contains(&mode) => {
            let masks = header.masks(bytes).ok_or("its masks are cut off")?;
            masked(data, &header, row, masks)
        }
        _ if runs => coloured(&header, bytes, &run_lengths(data, &header))?,
        _ => return Err(format!("{bits} bits per pixel in compression {compression} are not read")),
    };
    Ok(Decoded::of_samples(width, height, 4, samples))
}

/// Masks of red, green, blue and alpha where the file has none.
const FIVES: [u32; 4] = [0x7c00, 0x03e0, 0x001f, 0];
const EIGHTS: [u32; 4] = [0x00ff_0000, 0xff00, 0xff, 0];

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

fn short(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|two| u32::from(u16::from_le_bytes(*two)))
}

impl Header {
    /// Of its second part, whose length tells which fields there are.
    const START: usize = 14;
    const OF_OS2: usize = 12;

    fn read(bytes: &[u8]) -> Option<Self> {
        let pixels = word(bytes, 10)? as usize;
        let length = word(bytes, Self::START)? as usize;
        let short = |at| short(bytes, Self::START + at);
        let word = |at| word(bytes, Self::START + at);
        if length == Self::OF_OS2 {
            return Some(Self {
                width: short(4)? as usize,
                height: short(6)? as usize,
                top_first: false,
                bits: short(10)? as usize,
                compression: 0,
                palette: Self::START + length,
                pixels,
                colour: 3,
                colours: 0,
            });
        }
        let (height, compression) = (word(8)?.cast_signed(), word(16)?);
        let masks = if length == 40 && MASKS.contains(&compression) { 12 } else { 0 };
        Some(Self {
            width: word(4)? as usize,
            height: height.unsigned_abs() as usize,
            top_first: height < 0,
            bits: short(14)? as usize,
            compression,
            palette: Self::START + length + masks,
            pixels,
            colour: 4,
            colours: word(32)? as usize,
        })
    }

    /// Masks of red, green, blue and alpha, in the header or behind it.
    fn masks(&self, bytes: &[u8]) -> Option<[u32; 4]> {
        let at = |i: usize| word(bytes, Self::START + 40 + 4 * i);
        let alpha = if self.palette >= Self::START + 56 { at(3)? } else { 0 };
        Some([at(0)?, at(1)?, at(2)?, alpha])
    }

    /// Which row of the picture the row `y` of the file is.
    fn row(&self, y: usize) -> usize {
        if self.top_first { y } else { self.height - 1 - y }
    }
}

/// Red, green, blue and alpha of all pixels; black where the file ends too early.
fn rows(data: &[u8], header: &Header, row: usize, pixel: impl Fn(&[u8], usize) -> [u8; 4]) -> Vec<u8> {
    let mut samples = [0, 0, 0, u8::MAX].repeat(header.width * header.height);
    for (y, bytes) in data.chunks_exact(row).take(header.height).enumerate() {
        let start = 4 * header.width * header.row(y);
        for (x, sample) in
            samples[start..start + 4 * header.width].as_chunks_mut::<4>().0.iter_mut().enumerate()
        {
            *sample = pixel(bytes, x);
        }
    }
    samples
}

/// Pixels of 16 or 32 bits, of which `masks` say where the colours are.
fn masked(data: &[u8], header: &Header, row: usize, masks: [u32; 4]) -> Vec<u8> {
    let value = |pixel: u32, mask: u32| {
        let largest = u64::from(mask >> mask.trailing_zeros().min(31));
        let value = u64::from((pixel & mask) >> mask.trailing_zeros().min(31));
        (value * 255).checked_div(largest).map_or(0, |value| value as u8)
    };
    rows(data, header, row, |row, x| {
        let pixel = if header.bits == 16 { short(row, 2 * x) } else { word(row, 4 * x) }.unwrap_or(0);
        let [red, green, blue, alpha] = masks.map(|mask| value(pixel, mask));
        [red, green, blue, if masks[3] == 0 { u8::MAX } else { alpha }]
    })
}

/// Places in the palette, row by row from the top; 0 where the file ends too early.
fn indices(data: &[u8], header: &Header, row: usize) -> Vec<u8> {
    let mut indices = vec![0; header.width * header.height];
    for (y, bytes) in data.chunks_exact(row).take(header.height).enumerate() {
        let start = header.width * header.row(y);
        for (x, index) in indices[start..start + header.width].iter_mut().enumerate() {
            let bit = x * header.bits;
            *index = (bytes[bit / 8] << (bit % 8)) >> (8 - header.bits);
        }
    }
    indices
}

/// The same from runs: a count and its index (of 4 bits: two that take turns), or 0 and a command.
fn run_lengths(data: &[u8], header: &Header) -> Vec<u8> {
    let mut indices = vec![0; header.width * header.height];
    let (mut x, mut y, mut at) = (0, 0, 0);
    let mut put = |x: &mut usize, y: usize, index: u8| {
        if *x < header.width && y < header.height {
            indices[header.width * header.row(y) + *x] = index;
        }
        *x += 1;
    };
    let short = header.bits == 4;
    let nibble = |byte: u8, i: usize| match (short, i % 2) {
        (false, _) => byte,
        (true, 0) => byte >> 4,
        (true, _) => byte & 15,
    };
    while let Some(&[count, second]) = data.get(at..at + 2) {
        at += 2;
        match (count, second) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => {
                let Some(&[right, down]) = data.get(at..at + 2) else { break };
                (x, y, at) = (x + usize::from(right), y + usize::from(down), at + 2);
            }
            (0, count) => {
                let length = if short { usize::from(count).div_ceil(2) } else { usize::from(count) };
                let Some(run) = data.get(at..at + length) else { break };
                for i in 0..usize::from(count) {
                    put(&mut x, y, nibble(run[if short { i / 2 } else { i }], i));
                }
                at += length.next_multiple_of(2);
            }
            (count, byte) => (0..usize::from(count)).for_each(|i| put(&mut x, y, nibble(byte, i))),
        }
        if y >= header.height {
            break;
        }
    }
    indices
}

/// The colours of a palette at `indices`.
fn coloured(header: &Header, bytes: &[u8], indices: &[u8]) -> Result<Vec<u8>, String> {
    let colours = if header.colours == 0 { 1 << header.bits } else { header.colours.min(256) };
    let palette: Vec<[u8; 4]> = bytes
        .get(header.palette..)
        .unwrap_or_default()
        .chunks_exact(header.colour)
        .take(colours)
        .map(|colour| [colour[2], colour[1], colour[0], u8::MAX])
        .collect();
    let outside = indices.iter().find(|&&index| usize::from(index) >= palette.len());
    if let Some(index) = outside {
        return Err(format!("a pixel has colour {index} of {}", palette.len()));
    }
    Ok(indices.iter().flat_map(|&index| palette[usize::from(index)]).collect())
}
