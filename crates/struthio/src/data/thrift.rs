//! Thrift's compact protocol, as far as headers in Parquet files need it.
//!
//! Only the forms that writers use are read: whatever another reader could understand otherwise than this one is
//! refused, and so is what promises more than its bytes can hold.

use std::io::{Error, ErrorKind, Read, Result};

/// Larger than any number of a field.
const LAST_FIELD: u8 = 32;
/// Structures within structures; a footer needs six.
const DEEPEST: usize = 8;

/// The fields of a structure by their numbers.
pub(super) struct Fields(Vec<(u8, Field)>);

/// What a field holds, as far as somebody asks.
pub(super) enum Field {
    Bool(bool),
    Number(i64),
    Inner(Fields),
    /// Text or a list.
    Other,
}

impl Fields {
    /// Reads a structure: fields in rising order, lists among them only if they are `listed`.
    pub fn read(bytes: &mut impl Read, listed: bool) -> Result<Self> {
        Self::read_inside(bytes, listed, 0)
    }

    fn read_inside(bytes: &mut impl Read, listed: bool, depth: usize) -> Result<Self> {
        if depth > DEEPEST {
            return Err(contradiction());
        }
        let (mut fields, mut id) = (Vec::new(), 0);
        loop {
            let byte = byte(bytes)?;
            if byte == 0 {
                return Ok(Self(fields));
            }
            let further = byte >> 4;
            id += further;
            if further == 0 || id > LAST_FIELD {
                return Err(contradiction());
            }
            let field = match byte & 15 {
                kind @ (1 | 2) => Field::Bool(kind == 1),
                9 if listed => {
                    pass_list(bytes, depth)?;
                    Field::Other
                }
                kind => value(bytes, kind, listed, depth)?,
            };
            fields.push((id, field));
        }
    }

    /// Whether the field is there, and false.
    pub fn is_false(&self, id: u8) -> bool {
        matches!(self.get(id), Some(Field::Bool(false)))
    }

    fn get(&self, id: u8) -> Option<&Field> {
        self.0.iter().find(|(found, _)| *found == id).map(|(_, field)| field)
    }

    /// A size or a number of things.
    pub fn number(&self, id: u8) -> Result<u64> {
        match self.get(id) {
            Some(&Field::Number(number)) => u64::try_from(number).map_err(|_| contradiction()),
            _ => Err(contradiction()),
        }
    }

    pub fn inner(&self, id: u8) -> Option<&Self> {
        match self.get(id) {
            Some(Field::Inner(inner)) => Some(inner),
            _ => None,
        }
    }
}

/// A value that is neither a truth value nor a list.
fn value(bytes: &mut impl Read, kind: u8, listed: bool, depth: usize) -> Result<Field> {
    match kind {
        4..=6 => {
            let zigzag = varint(bytes)?;
            let most = [u64::from(u16::MAX), u64::from(u32::MAX), u64::MAX][usize::from(kind) - 4];
            if zigzag > most {
                return Err(contradiction());
            }
            Ok(Field::Number((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)))
        }
        3 => byte(bytes).map(|_| Field::Other),
        7 => pass(bytes, 8),
        8 => varint(bytes).and_then(|length| pass(bytes, length)),
        12 => Fields::read_inside(bytes, listed, depth + 1).map(Field::Inner),
        _ => Err(contradiction()),
    }
}

/// Reads over so many bytes.
fn pass(bytes: &mut impl Read, length: u64) -> Result<Field> {
    let passed = std::io::copy(&mut bytes.take(length), &mut std::io::sink())?;
    if passed == length { Ok(Field::Other) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Reads over a list. No element takes less than a byte, so a long list ends with the bytes.
fn pass_list(bytes: &mut impl Read, depth: usize) -> Result<()> {
    let header = byte(bytes)?;
    let count = if header >> 4 == 15 { varint(bytes)? } else { u64::from(header >> 4) };
    for _ in 0..count {
        value(bytes, header & 15, true, depth)?;
    }
    Ok(())
}

fn varint(bytes: &mut impl Read) -> Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = byte(bytes)?;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(value);
        }
    }
    Err(contradiction())
}

fn byte(bytes: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    bytes.read_exact(&mut byte)?;
    Ok(byte[0])
}

pub(super) fn contradiction() -> Error {
    Error::new(ErrorKind::InvalidData, "it has a form that writers do not use")
}
