//! Arrays whose first axis runs fastest, as Fortran and `numpy.asfortranarray` have them, row by row.

use std::fs::File;
use std::io::Write;
use std::ops::Range;

use super::array::Array;
use super::rows::read_at;
use super::spool::scratch_file;
use crate::error::{Error, Result};

/// Bytes of an array that is turned in memory, and of a block of a larger one.
const BLOCK: usize = 1 << 24;

/// Hands the bytes of each of `rows`, with the last axis running fastest, to `visit`.
///
/// The values of an image are far apart, so the array is written to a file of its own unless it is small, and turned
/// block by block.
pub(super) fn each_row(
    mut array: Array<'_>,
    rows: &Range<usize>,
    visit: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (shape, size) = (array.shape().to_vec(), array.element().bytes());
    let total = shape.iter().product::<usize>() * size;
    let origin = array.origin().to_owned();
    if total <= BLOCK {
        let mut all = Vec::new();
        array.each_piece(&mut |piece| {
            all.extend_from_slice(piece);
            Ok(())
        })?;
        let read = |at: usize, bytes: &mut [u8]| {
            bytes.copy_from_slice(&all[at..at + bytes.len()]);
            Ok(())
        };
        return turned(&array, &shape, rows, &read, visit);
    }
    let file: File = scratch_file(&origin, total as u64)?;
    array.each_piece(&mut |piece| {
        (&file).write_all(piece).map_err(|error| super::spool::no_room(&origin, total as u64, &error))
    })?;
    let read = |at: usize, bytes: &mut [u8]| {
        read_at(&file, bytes, at as u64)
            .map_err(|error| Error::data(&origin, format!("its temporary copy cannot be read: {error}")))
    };
    turned(&array, &shape, rows, &read, visit)
}

/// Reads column by column what `visit` gets row by row; `read` reads bytes from an offset on.
fn turned(
    array: &Array<'_>,
    shape: &[usize],
    rows: &Range<usize>,
    read: &dyn Fn(usize, &mut [u8]) -> Result<()>,
    visit: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let size = array.element().bytes();
    let (count, places) = (shape[0], places(&shape[1..]));
    let row = places.len() * size;
    let together = (BLOCK / row.max(1)).clamp(1, rows.len().max(1));
    let mut block = array.room(together * row)?;
    let mut column = vec![0; together * size];
    for first in rows.clone().step_by(together) {
        let here = together.min(rows.end - first);
        for (at, place) in places.iter().enumerate() {
            let column = &mut column[..here * size];
            read((at * count + first) * size, column)?;
            for (value, row) in column.chunks_exact(size).zip(block.chunks_exact_mut(row)) {
                row[place * size..][..size].copy_from_slice(value);
            }
        }
        block.chunks_exact(row).take(here).try_for_each(&mut *visit)?;
    }
    Ok(())
}

/// Where the elements of an array of this `shape` are that lie one after the other where the first axis runs fastest, if
/// the last does.
fn places(shape: &[usize]) -> Vec<usize> {
    let place = |mut at: usize| {
        let mut stride: usize = shape.iter().product();
        shape.iter().fold(0, |place, &size| {
            stride /= size.max(1);
            let index = at % size.max(1);
            at /= size.max(1);
            place + index * stride
        })
    };
    (0..shape.iter().product()).map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::array::{Available, Header};
    use super::super::element::Element;
    use super::*;

    #[test]
    fn a_matrix_of_two_rows() {
        assert_eq!(places(&[2, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(places(&[4]), [0, 1, 2, 3]);
        assert_eq!(places(&[]), [0]);
    }

    proptest! {
        /// The element at the index (i, j, …) has the value of its place in C order, and is at i + j·n + … in the file.
        #[test]
        fn every_value_finds_its_place(
            shape in prop::collection::vec(1_usize..5, 2..5),
            part in (0_usize..4, 1_usize..4),
        ) {
            let total: usize = shape.iter().product();
            let rows = part.0.min(shape[0] - 1)..(part.0 + part.1).min(shape[0]).max(part.0.min(shape[0] - 1) + 1);
            let mut data = vec![0; 2 * total];
            for value in 0..total {
                let (mut rest, mut at, mut stride) = (value, 0, total);
                for size in shape.iter().rev() {
                    stride /= size;
                    at += rest % size * stride;
                    rest /= size;
                }
                data[2 * at..2 * at + 2].copy_from_slice(&(value as u16).to_le_bytes());
            }
            let element = Element::Integer { bytes: 2, signed: false, big_endian: false };
            let header = Header { shape: shape.clone(), element, fortran: true };
            let available = Available::Exactly(data.len() as u64);
            let array = Array::new("x".into(), header, Box::new(&data[..]), available).expect("valid");
            let mut found = Vec::new();
            array.each_row(&rows, &mut |row| {
                found.extend(row.chunks(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]])));
                Ok(())
            }).expect("read");
            let row = total / shape[0];
            let expected: Vec<u16> = (rows.start * row..rows.end * row).map(|value| value as u16).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
