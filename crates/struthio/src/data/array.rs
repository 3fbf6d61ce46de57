//! Arrays in files: what they hold is known before it is read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::Range;

use super::element::Element;
use super::fortran;
use crate::error::{Error, Result};

/// Shape and type of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub shape: Vec<usize>,
    pub element: Element,
    /// Whether the first axis runs fastest.
    pub fortran: bool,
}

/// How many bytes of elements a file can have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Available {
    Exactly(u64),
    /// As compressed data say only at their end.
    AtMost(u64),
}

/// A file whose elements lie one after the other from an offset on.
pub(super) type Place = (File, u64);

/// An array whose elements have not been read yet.
pub(super) struct Array<'a> {
    origin: String,
    header: Header,
    data: Box<dyn Read + 'a>,
    place: Option<Place>,
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
            return Ok(Self { origin, header, data, place: None });
        }
        let needed = needed.map_or_else(|| "too many".into(), |needed| needed.to_string());
        let name = header.element.name();
        let problem = format!(
            "{name} values of shape {shape:?} take {needed} bytes, but {has}; the file is truncated or damaged"
        );
        Err(Error::data(origin, problem))
    }

    /// The same array, whose elements are also at `place`.
    pub fn at(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    /// Shape, the first axis being that of the images.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    pub fn element(&self) -> Element {
        self.header.element
    }

    /// What messages call it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where its rows can be read in any order, if they can.
    pub fn take_place(&mut self) -> Option<Place> {
        self.place.take().filter(|_| !self.header.fortran)
    }

    /// Bytes of one row.
    fn row_bytes(&self) -> usize {
        self.header.shape.iter().skip(1).product::<usize>() * self.header.element.bytes()
    }

    /// Hands the bytes of each of `rows` to `visit`, one row after the other.
    pub fn each_row(mut self, rows: &Range<usize>, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if self.header.fortran {
            return fortran::each_row(self, rows, visit);
        }
        self.skip(rows.start as u64 * self.row_bytes() as u64)?;
        let mut bytes = self.room(self.row_bytes())?;
        for _ in rows.clone() {
            if let Err(error) = self.data.read_exact(&mut bytes) {
                return Err(self.broken(&error));
            }
            visit(&bytes)?;
        }
        if Some(&rows.end) == self.header.shape.first() { self.check_end() } else { Ok(()) }
    }

    /// Hands all bytes to `visit`, some at a time.
    pub fn each_piece(&mut self, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        const PIECE: usize = 1 << 16;
        let mut left = self.header.shape.iter().product::<usize>() * self.header.element.bytes();
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            let bytes = &mut buffer[..PIECE.min(left)];
            if let Err(error) = self.data.read_exact(bytes) {
                return Err(self.broken(&error));
            }
            visit(bytes)?;
            left -= bytes.len();
        }
        self.check_end()
    }

    fn skip(&mut self, before: u64) -> Result<()> {
        let skipped = std::io::copy(&mut self.data.by_ref().take(before), &mut std::io::sink());
        let all = |bytes| if bytes == before { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) };
        skipped.and_then(all).map_err(|error| self.broken(&error))
    }

    /// Behind the last row nothing may follow; reading on also verifies checksums.
    fn check_end(&mut self) -> Result<()> {
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

    /// Room for so many bytes, if there is.
    pub fn room(&self, bytes: usize) -> Result<Vec<u8>> {
        let mut room = Vec::new();
        let reserved = room.try_reserve_exact(bytes);
        reserved.map_err(|_| self.error(format!("no memory for {bytes} bytes of one image")))?;
        room.resize(bytes, 0);
        Ok(room)
    }

    fn broken(&self, error: &std::io::Error) -> Error {
        if error.kind() == ErrorKind::UnexpectedEof {
            return self
                .error(format!("truncated: it ends inside its values of shape {:?}", self.header.shape));
        }
        self.error(format!("cannot be read: {error}"))
    }

    pub fn error(&self, problem: String) -> Error {
        Error::data(&self.origin, problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], element: Element, bytes: &'static [u8]) -> Result<Array<'static>> {
        let header = Header { shape: shape.to_vec(), element, fortran: false };
        Array::new("x".into(), header, Box::new(bytes), Available::Exactly(bytes.len() as u64))
    }

    fn rows(array: Array<'_>, rows: Range<usize>) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        array.each_row(&rows, &mut |row| {
            found.push(row.to_vec());
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn rows_are_read_from_the_middle() {
        let array = array(&[4, 2], Element::Byte, b"abcdefgh").expect("valid");
        assert_eq!(rows(array, 1..3).expect("valid"), [b"cd", b"ef"]);
    }

    #[test]
    fn shapes_that_the_file_cannot_hold() {
        let huge = usize::MAX / 2;
        for shape in [&[3][..], &[5], &[huge, huge], &[1 << 40]] {
            let message = array(shape, Element::Byte, &[0; 4]).err().expect("wrong").to_string();
            assert!(message.contains("there are 4"), "{message}");
        }
        let header = Header { shape: vec![9], element: Element::Byte, fortran: false };
        let short = Array::new("x".into(), header, Box::new(&[0; 4][..]), Available::AtMost(100));
        let message = short.and_then(|array| rows(array, 0..9)).expect_err("short").to_string();
        assert!(message.contains("truncated"), "{message}");
    }
}
