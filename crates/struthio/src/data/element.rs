//! What the elements of an array are, and what they mean as pixels and as labels.

use half::f16;

use super::layout::Layout;
use super::store::Pixels;

/// How far a pixel may be outside \[0, 1\] for it to be a matter of rounding.
const ROUNDING: f32 = 1e-6;

/// Type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Unsigned bytes.
    Byte,
    /// Truth values, a byte each.
    Bool,
    /// Other integers.
    Integer { bytes: usize, signed: bool, big_endian: bool },
    /// IEEE 754 numbers.
    Float { bytes: usize, big_endian: bool },
}

impl Element {
    /// How values in \[0, 1\] are kept.
    pub const KEPT: Self = Self::Float { bytes: 4, big_endian: false };

    /// Bytes that one takes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte | Self::Bool => 1,
            Self::Integer { bytes, .. } | Self::Float { bytes, .. } => bytes,
        }
    }

    pub fn name(self) -> String {
        match self {
            Self::Byte => "uint8".into(),
            Self::Bool => "bool".into(),
            Self::Integer { bytes, signed, .. } => {
                format!("{}int{}", if signed { "" } else { "u" }, 8 * bytes)
            }
            Self::Float { bytes, .. } => format!("float{}", 8 * bytes),
        }
    }

    /// Bytes that a value takes once it is a pixel.
    pub fn pixel_bytes(self) -> usize {
        if matches!(self, Self::Float { .. }) { size_of::<f32>() } else { 1 }
    }

    /// The elements in `bytes` as pixels: whole numbers are levels from 0 to 255, floats what they are.
    ///
    /// # Errors
    ///
    /// Which value is no level, and why not.
    pub fn pixels(self, bytes: &[u8]) -> Result<Pixels, String> {
        Ok(match self {
            Self::Byte => Pixels::Bytes(bytes.to_vec()),
            Self::Bool => Pixels::Bytes(bytes.iter().map(|&bit| if bit == 0 { 0 } else { 255 }).collect()),
            Self::Integer { bytes: width, signed, big_endian } => {
                let level = |bytes: &[u8]| {
                    let value = integer(bytes, signed, big_endian);
                    u8::try_from(value).map_err(|_| {
                        format!(
                            "has the value {value}, but whole numbers are levels from 0 to 255, which are divided by 255; scale \
                             others to floats in [0, 1]"
                        )
                    })
                };
                Pixels::Bytes(bytes.chunks_exact(width).map(level).collect::<Result<_, String>>()?)
            }
            Self::Float { .. } => Pixels::Floats(self.floats(bytes).map(|value| value as f32).collect()),
        })
    }

    /// The elements in `bytes` as numbers, exact up to 2⁵³.
    pub fn floats(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        bytes.chunks_exact(self.bytes()).map(move |bytes| self.float(bytes))
    }

    fn float(self, bytes: &[u8]) -> f64 {
        match self {
            Self::Byte => bytes.first().copied().map_or(0.0, f64::from),
            Self::Bool => f64::from(u8::from(bytes.first().is_some_and(|&bit| bit != 0))),
            Self::Integer { signed, big_endian, .. } => integer(bytes, signed, big_endian) as f64,
            Self::Float { big_endian, .. } => {
                let mut little = [0; 8];
                let little = &mut little[..bytes.len()];
                little.copy_from_slice(bytes);
                if big_endian {
                    little.reverse();
                }
                match *little {
                    [a, b] => f16::from_le_bytes([a, b]).to_f64(),
                    [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
                    [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
                    _ => f64::NAN,
                }
            }
        }
    }

    /// The number of a class in `bytes`.
    ///
    /// # Errors
    ///
    /// The number that is there, if it is none of a class.
    pub fn label(self, bytes: &[u8]) -> Result<u32, String> {
        if let Self::Integer { signed, big_endian, .. } = self {
            let value = integer(bytes, signed, big_endian);
            return u32::try_from(value).map_err(|_| value.to_string());
        }
        let value = self.float(bytes);
        let whole = value == value.trunc() && (0.0..=f64::from(u32::MAX)).contains(&value);
        if whole { Ok(value as u32) } else { Err(value.to_string()) }
    }
}

fn integer(bytes: &[u8], signed: bool, big_endian: bool) -> i128 {
    let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = if big_endian { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) };
    let unused = 64 - 8 * bytes.len() as u32;
    if signed { i128::from((value << unused) as i64 >> unused) } else { i128::from(value) }
}

/// What is done to the pixels of every image.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    pub layout: Layout,
    /// Whether every pixel x becomes 1 − x.
    pub inverted: bool,
}

impl Finish {
    /// Clips what rounding took out of the box, and brings the values in order.
    pub fn apply(&self, pixels: &mut Pixels) {
        if let Pixels::Floats(values) = pixels {
            values
                .iter_mut()
                .filter(|value| is_rounding(**value))
                .for_each(|value| *value = value.clamp(0.0, 1.0));
        }
        pixels.rearrange(&self.layout);
        if self.inverted {
            pixels.invert();
        }
    }
}

/// Whether a pixel is outside \[0, 1\] by no more than rounding does.
pub(super) fn is_rounding(value: f32) -> bool {
    !(0.0..=1.0).contains(&value) && (-ROUNDING..=1.0 + ROUNDING).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_width_and_order() {
        for (bytes, signed, big_endian, expected) in [
            (&[0xfe][..], true, false, -2),
            (&[0xfe], false, false, 254),
            (&[1, 2], true, false, 513),
            (&[1, 2], true, true, 258),
            (&[0xff, 0xff, 0xff, 0xfe], true, true, -2),
            (&[0xff; 8], true, false, -1),
            (&[0xff; 8], false, false, i128::from(u64::MAX)),
        ] {
            assert_eq!(integer(bytes, signed, big_endian), expected, "{bytes:?}");
        }
    }

    #[test]
    fn floats_of_any_width_and_order() {
        for (bytes, big_endian, expected) in [
            // 1.5, and the smallest half.
            (&[0x00, 0x3e][..], false, 1.5),
            (&[0x3e, 0x00], true, 1.5),
            (&[0x01, 0x00], false, 2.0_f64.powi(-24)),
            (&[0x3f, 0x80, 0, 0], true, 1.0),
            (&[0, 0, 0, 0, 0, 0, 0xe0, 0xbf], false, -0.5),
        ] {
            let element = Element::Float { bytes: bytes.len(), big_endian };
            assert_eq!(element.floats(bytes).collect::<Vec<_>>(), [expected], "{bytes:?}");
        }
    }

    #[test]
    fn whole_numbers_are_levels_and_labels() {
        let short = Element::Integer { bytes: 2, signed: true, big_endian: false };
        assert_eq!(short.pixels(&[255, 0, 7, 0]), Ok(Pixels::Bytes(vec![255, 7])));
        assert!(short.pixels(&[0, 0, 0, 1]).expect_err("256").contains("256"));
        assert!(short.pixels(&[255, 255]).expect_err("-1").contains("-1"));
        assert_eq!(Element::Bool.pixels(&[0, 1]), Ok(Pixels::Bytes(vec![0, 255])));
        let float = Element::Float { bytes: 4, big_endian: false };
        assert_eq!(float.label(&10.0_f32.to_le_bytes()), Ok(10));
        assert_eq!(float.label(&1.5_f32.to_le_bytes()), Err("1.5".into()));
        assert_eq!(float.label(&f32::NAN.to_le_bytes()), Err("NaN".into()));
        assert_eq!(float.label(&(-1.0_f32).to_le_bytes()), Err("-1".into()));
        assert_eq!(short.label(&[255, 255]), Err("-1".into()));
        assert_eq!(Element::Bool.label(&[1]), Ok(1));
    }

    #[test]
    fn rounding_is_less_than_a_millionth() {
        for (value, expected) in
            [(-2.98e-8, true), (1.000_000_1, true), (1.000_001, true), (1.000_01, false), (-1e-5, false)]
        {
            assert_eq!(is_rounding(value), expected, "{value}");
        }
        assert!(!is_rounding(0.0) && !is_rounding(1.0) && !is_rounding(f32::NAN));
    }
}
