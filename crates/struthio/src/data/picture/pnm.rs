//! PBM, PGM and PPM, in text and in bytes.

use super::{Change, Decoded, Picture, check_size};

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let kind = bytes[1] - b'0';
    let mut numbers = Numbers { bytes, at: 2 };
    let (width, height) = (numbers.next()?, numbers.next()?);
    let bits = matches!(kind, 1 | 4);
    let largest = if bits { 1 } else { numbers.next()? };
    if !(1..=65_535).contains(&largest) {
        return Err(format!("its largest value is {largest}; expected 1 to 65535"));
    }
    let channels = if matches!(kind, 3 | 6) { 3 } else { 1 };
    check_size(width, height, 2 * channels, bytes.len())?;
    let count = width * height * channels;
    let scale = |value: usize| ((value.min(largest) * 510 + largest) / (2 * largest)) as u8;
    let pixels: Vec<u8> = if kind <= 3 {
        if count > bytes.len() {
            return Err(format!("{width} × {height} pixels cannot be in {} bytes", bytes.len()));
        }
        let mut next = || if bits { numbers.bit() } else { numbers.next().map(scale) };
        (0..count).map(|_| next()).collect::<Result<_, _>>()?
    } else {
        let data = bytes.get(numbers.at + 1..).unwrap_or_default();
        let row = if bits { width.div_ceil(8) } else { width * channels * if largest > 255 { 2 } else { 1 } };
        let data = data
            .get(..row * height)
            .ok_or_else(|| format!("its pixels take {} bytes; there are {}", row * height, data.len()))?;
        match (bits, largest) {
            (true, _) => data.chunks_exact(row).flat_map(|row| bits_of(row, width)).collect(),
            (false, 255) => data.to_vec(),
            (false, 65_535) => data.chunks_exact(2).map(|pair| pair[0]).collect(),
            (false, 256..) => data
                .chunks_exact(2)
                .map(|pair| scale(usize::from(u16::from_be_bytes([pair[0], pair[1]]))))
                .collect(),
            (false, _) => data.iter().map(|&value| scale(usize::from(value))).collect(),
        }
    };
    let picture = Picture { width, height, channels, bytes: pixels };
    Ok(Decoded::new(picture).changed(Change::EightBits, largest > 255))
}

/// Black where a bit is set.
fn bits_of(row: &[u8], width: usize) -> impl Iterator<Item = u8> {
    (0..width).map(|x| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 0 } else { 255 })
}

/// Numbers in words, with spaces and comments between them.
struct Numbers<'a> {
    bytes: &'a [u8],
    /// Behind what was read.
    at: usize,
}

impl Numbers<'_> {
    fn skip(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'#' => self.at += self.bytes[self.at..].iter().take_while(|&&byte| byte != b'\n').count(),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
    }

    fn next(&mut self) -> Result<usize, String> {
        self.skip();
        let digits = self.bytes[self.at..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let word = std::str::from_utf8(&self.bytes[self.at..self.at + digits]).unwrap_or_default();
        let number = word.parse().map_err(|_| format!("expected a number at byte {}", self.at))?;
        self.at += digits;
        Ok(number)
    }

    /// A single digit, which needs no space behind it.
    fn bit(&mut self) -> Result<u8, String> {
        self.skip();
        let bit = match self.bytes.get(self.at) {
            Some(b'0') => 255,
            Some(b'1') => 0,
            _ => return Err(format!("expected 0 or 1 at byte {}", self.at)),
        };
        self.at += 1;
        Ok(bit)
    }
}
