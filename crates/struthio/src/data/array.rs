//! Arrays in files: what they hold is known before it is read.

use std::io::{ErrorKind, Read};
use std::ops::Range;

use super::store::Pixels;
use crate::error::{Error, Result};

/// Bytes converted at a time.
const CHUNK: usize = 1 << 14;

/// Type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Unsigned bytes.
    Byte,
    /// Other integers.
    Integer { bytes: usize, signed: bool, big_endian: bool },
    /// IEEE 754 numbers.
    Float { bytes: usize, big_endian: bool },
}

impl Element {
    fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Integer { bytes, .. } | Self::Float { bytes, .. } => bytes,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Byte => "uint8".into(),
            Self::Integer { bytes, signed, .. } => {
                format!("{}int{}", if signed { "" } else { "u" }, 8 * bytes)
            }
            Self::Float { bytes, .. } => format!("float{}", 8 * bytes),
        }
    }
}

/// Shape and type of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub shape: Vec<usize>,
    pub element: Element,
}

/// How many bytes of elements a file can have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Available {
    Exactly(u64),
    /// As compressed data say only at their end.
    AtMost(u64),
}

/// An array whose elements have not been read yet.
pub(super) struct Array<'a> {
    origin: String,
    header: Header,
    data: Box<dyn Read + 'a>,
}

impl<'a> Array<'a> {
    /// An array called `origin` in messages.
    ///
    /// # Errors
    ///
    /// If the file cannot hold an array of this shape.
    pub fn new(
        origin: String,
        header: Header,
        data: Box<dyn Read + 'a>,
        available: Available,
    ) -> Result<Self> {
        let shape = &header.shape;
        let count = shape.iter().try_fold(header.element.bytes(), |product, &size| product.checked_mul(size));
        let needed = count.map(|count| count as u64);
        let (fits, has) = match available {
            Available::Exactly(bytes) => (needed == Some(bytes), format!("there are {bytes}")),
            Available::AtMost(bytes) => {
                (needed.is_some_and(|needed| needed <= bytes), format!("there cannot be more than {bytes}"))
            }
        };
        if fits {
            return Ok(Self { origin, header, data });
        }
        let needed = needed.map_or_else(|| "too many".into(), |needed| needed.to_string());
        let name = header.element.name();
        let problem = format!(
            "{name} values of shape {shape:?} take {needed} bytes, but {has}; the file is truncated or damaged"
        );
        Err(Error::data(origin, problem))
    }

    /// Shape, the first axis being that of the images.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// What messages call it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The images in `rows` as pixels.
    pub fn pixels(mut self, rows: &Range<usize>) -> Result<Pixels> {
        match self.header.element {
            Element::Byte => {
                let count = self.skip_to(rows)?;
                let mut values = self.room(count)?;
                let read = self.data.by_ref().take(count as u64).read_to_end(&mut values);
                if let Err(error) = read.and_then(|read| complete(read == count)) {
                    return Err(self.broken(&error));
                }
                self.check_end(rows)?;
                Ok(Pixels::Bytes(values))
            }
            Element::Float { bytes: 4, big_endian } => {
                let value =
                    |bytes| if big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
                self.values(rows, |bytes: &[u8; 4]| value(*bytes)).map(Pixels::Floats)
            }
            Element::Float { big_endian, .. } => {
                let value =
                    |bytes| if big_endian { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) };
                self.values(rows, |bytes: &[u8; 8]| value(*bytes) as f32).map(Pixels::Floats)
            }
            Element::Integer { .. } => {
                let name = self.header.element.name();
                Err(self.error(format!(
                    "images of type {name}; expected float32 or float64 in [0, 1], or uint8, which is divided by 255"
                )))
            }
        }
    }

    /// The labels in `rows`.
    pub fn labels(mut self, rows: &Range<usize>) -> Result<Vec<u32>> {
        let labels: Vec<i128> = match self.header.element {
            Element::Byte => self.values(rows, |&[byte]| i128::from(byte))?,
            Element::Integer { bytes, signed, big_endian } => {
                let value = |bytes: &[u8]| integer(bytes, signed, big_endian);
                match bytes {
                    1 => self.values(rows, |bytes: &[u8; 1]| value(bytes))?,
                    2 => self.values(rows, |bytes: &[u8; 2]| value(bytes))?,
                    4 => self.values(rows, |bytes: &[u8; 4]| value(bytes))?,
                    _ => self.values(rows, |bytes: &[u8; 8]| value(bytes))?,
                }
            }
            Element::Float { .. } => {
                let name = self.header.element.name();
                return Err(
                    self.error(format!("labels of type {name}; expected whole numbers of an integer type"))
                );
            }
        };
        let number = |(i, label): (usize, &i128)| {
            u32::try_from(*label).map_err(|_| {
                let at = rows.start + i;
                self.error(format!("the label of image {at} is {label}; labels are numbers from 0"))
            })
        };
        labels.iter().enumerate().map(number).collect()
    }

    fn values<T, const N: usize>(
        &mut self,
        rows: &Range<usize>,
        convert: impl Fn(&[u8; N]) -> T,
    ) -> Result<Vec<T>> {
        let count = self.skip_to(rows)?;
        let mut values = self.room(count)?;
        let mut buffer = [0; CHUNK];
        while values.len() < count {
            let bytes = &mut buffer[..CHUNK.min((count - values.len()) * N)];
            if let Err(error) = self.data.read_exact(bytes) {
                return Err(self.broken(&error));
            }
            values.extend(bytes.as_chunks::<N>().0.iter().map(&convert));
        }
        self.check_end(rows)?;
        Ok(values)
    }

    /// Skips what is before `rows`; the number of elements in them.
    fn skip_to(&mut self, rows: &Range<usize>) -> Result<usize> {
        let row: usize = self.header.shape.iter().skip(1).product();
        let before = (rows.start * row * self.header.element.bytes()) as u64;
        let skipped = std::io::copy(&mut self.data.by_ref().take(before), &mut std::io::sink());
        match skipped.and_then(|bytes| complete(bytes == before)) {
            Ok(()) => Ok((rows.end - rows.start) * row),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Where the last row was read nothing may follow; reading on also verifies checksums.
    fn check_end(&mut self, rows: &Range<usize>) -> Result<()> {
        if Some(&rows.end) != self.header.shape.first() {
            return Ok(());
        }
        match self.data.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => {
                let shape = &self.header.shape;
                Err(self.error(format!(
                    "there is more behind the values of shape {shape:?}; the file is damaged"
                )))
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn room<T>(&self, count: usize) -> Result<Vec<T>> {
        let mut values = Vec::new();
        let reserved = values.try_reserve_exact(count);
        reserved.map_err(|_| self.error(format!("no memory for its {count} values; take a range")))?;
        Ok(values)
    }

    fn broken(&self, error: &std::io::Error) -> Error {
        if error.kind() == ErrorKind::UnexpectedEof {
            return self
                .error(format!("truncated: it ends inside its values of shape {:?}", self.header.shape));
        }
        self.error(format!("cannot be read: {error}"))
    }

    fn error(&self, problem: String) -> Error {
        Error::data(&self.origin, problem)
    }
}

/// An error unless everything was there.
fn complete(all: bool) -> std::io::Result<()> {
    if all { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn integer(bytes: &[u8], signed: bool, big_endian: bool) -> i128 {
    let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = if big_endian { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) };
    let unused = 64 - 8 * bytes.len() as u32;
    if signed { i128::from((value << unused) as i64 >> unused) } else { i128::from(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], element: Element, bytes: &'static [u8]) -> Result<Array<'static>> {
        let header = Header { shape: shape.to_vec(), element };
        Array::new("x".into(), header, Box::new(bytes), Available::Exactly(bytes.len() as u64))
    }

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
    fn rows_are_read_from_the_middle() {
        let element = Element::Float { bytes: 4, big_endian: true };
        let bytes = b"\x00\x00\x00\x00\x3f\x00\x00\x00\x3f\x80\x00\x00\x3e\x80\x00\x00";
        let pixels = array(&[4, 1], element, bytes).and_then(|array| array.pixels(&(1..3))).expect("valid");
        assert_eq!(pixels, Pixels::Floats(vec![0.5, 1.0]));
        let element = Element::Integer { bytes: 2, signed: true, big_endian: false };
        let labels = array(&[3], element, &[1, 0, 2, 0, 3, 0]).and_then(|array| array.labels(&(1..3)));
        assert_eq!(labels.expect("valid"), [2, 3]);
    }

    #[test]
    fn shapes_that_the_file_cannot_hold() {
        let huge = usize::MAX / 2;
        for shape in [&[3][..], &[5], &[huge, huge], &[1 << 40]] {
            let message = array(shape, Element::Byte, &[0; 4]).err().expect("wrong").to_string();
            assert!(message.contains("there are 4"), "{message}");
        }
        let header = Header { shape: vec![9], element: Element::Byte };
        let short = Array::new("x".into(), header, Box::new(&[0; 4][..]), Available::AtMost(100));
        let message = short.and_then(|array| array.pixels(&(0..9))).expect_err("short").to_string();
        assert!(message.contains("truncated"), "{message}");
    }

    #[test]
    fn labels_are_numbers_from_zero() {
        let element = Element::Integer { bytes: 1, signed: true, big_endian: false };
        let message = array(&[2], element, &[1, 0xff]).and_then(|array| array.labels(&(0..2)));
        assert!(message.expect_err("negative").to_string().contains("image 1 is -1"));
        let element = Element::Float { bytes: 4, big_endian: false };
        let message = array(&[1], element, &[0; 4]).and_then(|array| array.labels(&(0..1)));
        assert!(message.expect_err("float").to_string().contains("float32"));
        let element = Element::Integer { bytes: 1, signed: true, big_endian: false };
        let message = array(&[1, 1], element, &[0]).and_then(|array| array.pixels(&(0..1)));
        assert!(message.expect_err("int8").to_string().contains("int8"));
    }
}
