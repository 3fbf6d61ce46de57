//! Pages of Parquet files: whether they can be what they say, before any is unpacked.
//!
//! The footer, and the header before each page, are structures of Thrift.

use std::fs::File;
use std::io::{BufReader, Error, Read, Result, Seek, SeekFrom, Take};

use flate2::read::MultiGzDecoder;

use super::thrift::{Fields, contradiction};

/// Deflate cannot pack more bytes into one, and snappy packs fewer.
const PER_BYTE: u64 = 1032;
/// So many bytes more may be unpacked, whatever the size.
const ROUNDING: u64 = 64;
/// No value of a dictionary takes fewer bytes.
const SMALLEST_VALUE: u64 = 4;
/// How values may stand in a page: plain, as places in a dictionary (two numbers for it), or as runs. Others promise
/// numbers of values that nothing bounds.
const ENCODINGS: [u64; 4] = [0, 2, 3, 8];

/// Refuses a file of `length` bytes whose footer does not end within its bytes or promises more than they can hold.
pub(super) fn check_footer(file: &File, length: u64) -> std::result::Result<(), String> {
    let unreadable = |error: Error| format!("damaged Parquet file: its footer cannot be read: {error}");
    let mut reader = BufReader::new(file.try_clone().map_err(unreadable)?);
    let mut size = [0; 4];
    reader.seek(SeekFrom::Start(length.saturating_sub(8))).map_err(unreadable)?;
    reader.read_exact(&mut size).map_err(unreadable)?;
    let size = u64::from(u32::from_le_bytes(size));
    let start = length.checked_sub(8 + size).ok_or_else(|| {
        format!("damaged Parquet file: its footer of {size} bytes is longer than its {length} bytes")
    })?;
    reader.seek(SeekFrom::Start(start)).map_err(unreadable)?;
    Fields::read(&mut reader.take(size), true).map_err(unreadable).map(|_| ())
}

/// Refuses the pages in `start..end` of `file` if their headers contradict themselves, or if they unpack to more than
/// `most` bytes together or to more than their bytes can hold.
pub(super) fn check_pages(
    file: &File,
    [start, end]: [u64; 2],
    is_gzip: bool,
    most: u64,
) -> std::result::Result<(), String> {
    let unreadable = |error: Error| format!("damaged Parquet file: a page cannot be read: {error}");
    let mut reader = BufReader::new(file.try_clone().map_err(unreadable)?);
    reader.seek(SeekFrom::Start(start)).map_err(unreadable)?;
    let (mut left, mut unpacked) = (end.saturating_sub(start), 0_u64);
    while left > 0 {
        let mut bytes = reader.by_ref().take(left);
        let page = Page::read(&mut bytes).map_err(unreadable)?;
        unpacked = unpacked.saturating_add(page.unpacked);
        if unpacked > most {
            return Err(format!("a column unpacks to {unpacked} bytes, which is too much for its file"));
        }
        page.check(bytes.limit())?;
        let after = bytes.limit() - page.packed;
        if is_gzip && page.is_compressed {
            let found = page.unzipped(&mut bytes).map_err(unreadable)?;
            if found > page.unpacked {
                return Err(damaged(&format!(
                    "unpacks to more than the {} bytes that it says",
                    page.unpacked
                )));
            }
        }
        let rest = i64::try_from(bytes.limit() - after).unwrap_or(i64::MAX);
        reader.seek_relative(rest).map_err(unreadable)?;
        left = after;
    }
    Ok(())
}

fn damaged(problem: &str) -> String {
    format!("damaged Parquet file: a page {problem}")
}

/// What the header of a page says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    unpacked: u64,
    packed: u64,
    /// Bytes before the compressed part.
    levels: u64,
    is_compressed: bool,
    encoding: Option<u64>,
    /// Values of a dictionary.
    dictionary: Option<u64>,
}

impl Page {
    fn read(bytes: &mut impl Read) -> Result<Self> {
        let header = Fields::read(bytes, false)?;
        let [kind, unpacked, packed] = [1, 2, 3].map(|id| header.number(id));
        let mut page = Self { unpacked: unpacked?, packed: packed?, is_compressed: true, ..Self::default() };
        // The kind says which of the headers counts, so there must be no other.
        match (kind?, header.inner(5), header.inner(7), header.inner(8)) {
            (0, Some(data), None, None) => page.encoding = Some(data.number(2)?),
            (2, None, Some(dictionary), None) => {
                page.dictionary = Some(dictionary.number(1)?);
                page.encoding = Some(dictionary.number(2)?);
            }
            (3, None, None, Some(data)) => {
                page.encoding = Some(data.number(4)?);
                page.levels = data.number(5)?.saturating_add(data.number(6)?);
                page.is_compressed = !data.is_false(7);
            }
            _ => return Err(contradiction()),
        }
        Ok(page)
    }

    /// Refuses a page that `left` bytes cannot hold.
    fn check(&self, left: u64) -> std::result::Result<(), String> {
        let Self { unpacked, packed, .. } = *self;
        if packed > left {
            return Err(damaged(&format!("of {packed} bytes has only {left} left")));
        }
        if unpacked > packed.saturating_mul(PER_BYTE).saturating_add(ROUNDING) {
            return Err(damaged(&format!("of {packed} bytes says that it unpacks to {unpacked}")));
        }
        if self.dictionary.is_some_and(|values| values > unpacked / SMALLEST_VALUE) {
            return Err(damaged("has more values in its dictionary than bytes"));
        }
        if let Some(encoding) = self.encoding.filter(|encoding| !ENCODINGS.contains(encoding)) {
            return Err(format!(
                "values in encoding {encoding} are not read: write the file anew, as by \
                 pyarrow.parquet.write_table(table, path)"
            ));
        }
        Ok(())
    }

    /// The bytes that the page unpacks to, or one more than it says.
    fn unzipped(&self, bytes: &mut Take<impl Read>) -> Result<u64> {
        let levels = std::io::copy(&mut bytes.take(self.levels.min(self.packed)), &mut std::io::sink())?;
        if levels == self.packed {
            return Ok(levels);
        }
        let packed = bytes.take(self.packed - levels);
        let unpacked =
            std::io::copy(&mut MultiGzDecoder::new(packed).take(self.unpacked + 1), &mut std::io::sink())?;
        Ok(levels + unpacked)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A dictionary page that says that it unpacks `packed` to `unpacked` bytes, each below 64, and has so many values.
    fn page([unpacked, values]: [u8; 2], packed: &[u8]) -> Vec<u8> {
        assert!(unpacked < 64 && values < 64 && packed.len() < 64, "one byte for each number");
        let length = 2 * packed.len() as u8;
        let mut page = vec![0x15, 4, 0x15, 2 * unpacked, 0x15, length, 0x4c, 0x15, 2 * values, 0x15, 4, 0, 0];
        page.extend(packed);
        page
    }

    fn checked(bytes: &[u8], is_gzip: bool, most: u64) -> std::result::Result<(), String> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[&[9; 5], bytes].concat()).expect("written");
        check_pages(&file, [5, 5 + bytes.len() as u64], is_gzip, most)
    }

    fn refused(bytes: &[u8], is_gzip: bool, fragment: &str) {
        let problem = checked(bytes, is_gzip, 1 << 40).expect_err(fragment);
        assert!(problem.contains(fragment), "{problem} in place of {fragment}");
    }

    #[test]
    fn pages_follow_each_other() {
        let two = [page([20, 5], &[7; 10]), page([60, 1], &[7; 3])].concat();
        assert_eq!(checked(&two, false, 80), Ok(()));
        assert!(checked(&two, false, 79).expect_err("too much").contains("unpacks to 80 bytes"));
    }

    #[test]
    fn pages_that_cannot_be_are_refused() {
        refused(&page([20, 6], &[7; 10]), false, "more values");
        refused(&page([20, 5], &[7; 10])[..20], false, "only 7 left");
        let mut lying =
            vec![0x15, 4, 0x15, 0x80, 0x80, 0x80, 0x80, 0x08, 0x15, 10, 0x4c, 0x15, 2, 0x15, 4, 0, 0];
        lying.extend([7; 5]);
        refused(&lying, false, "5 bytes says that it unpacks to 1073741824");
        let mut delta = page([20, 5], &[7; 10]);
        delta[10] = 14; // twice the encoding
        refused(&delta, false, "encoding 7");
        let mut other = page([20, 5], &[7; 10]);
        other[1] = 0; // a page of data with the header of a dictionary
        refused(&other, false, "a form that writers do not use");
    }

    #[test]
    fn headers_that_could_be_read_in_two_ways_are_refused() {
        for header in [
            &[0x15, 0, 0x15, 3, 0x15, 2, 0][..],                  // a negative size
            &[0x15, 0, 0x14, 2, 0x15, 2, 0],                      // of another type
            &[0x15, 0, 0x25, 2, 0],                               // no second field
            &[0],                                                 // none
            &[0x15, 0, 0x15, 2, 0x15, 2, 0x05, 4, 9, 0],          // a number of a field written out
            &[0x15, 0, 0x15, 2, 0x15, 2, 0x19, 0x11, 0x15, 9, 0], // a list
            &[0x15, 0, 0x15, 0x8a, 0x80, 0x80, 0x80, 0x20, 0x15, 2, 0], // 2³² + 5
            &[0x1c; 40],                                          // ever deeper
        ] {
            refused(&[header, &[7; 9]].concat(), false, "a form that writers do not use");
        }
    }

    #[test]
    fn footers_end_within_their_bytes() {
        let checked = |footer: &[u8], size: u32| {
            let mut file = tempfile::tempfile().expect("a file");
            let bytes = [b"PAR1", footer, &size.to_le_bytes(), b"PAR1"].concat();
            file.write_all(&bytes).expect("written");
            check_footer(&file, bytes.len() as u64)
        };
        // A version, a list of three texts, and a number of two bytes.
        let good = [0x15, 2, 0x19, 0x38, 1, b'a', 0, 2, b'b', b'c', 0x14, 9, 0];
        assert_eq!(checked(&good, 13), Ok(()));
        for (footer, size) in [
            (&good[..], 12),                                                     // cut
            (&good, 100),                                                        // longer than the file
            (&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0], 8), // two thousand million truth values
            (&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7, 0], 8), // as many structures
            (&[0x1c, 0x1c, 0x1c, 0x1c, 0x1c, 0x1c, 0x1c, 0x1c, 0x1c, 0x1c], 10), // ever deeper
        ] {
            assert!(checked(footer, size).is_err(), "{footer:?}");
        }
    }

    #[test]
    fn gzip_unpacks_to_what_the_page_says() {
        let packed = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).expect("packed");
            encoder.finish().expect("packed")
        };
        let bytes = packed(&[0; 50]);
        let two = [page([50, 5], &bytes), page([50, 5], &bytes)].concat();
        assert_eq!(checked(&two, true, 1 << 20), Ok(()));
        refused(&page([49, 5], &bytes), true, "more than the 49 bytes");
        refused(&page([49, 5], &[7; 10]), true, "cannot be read");
    }
}
