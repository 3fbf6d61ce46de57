//! Pages of Parquet files: whether they can be as large as they say, before any is unpacked.
//!
//! A page begins with a header in Thrift's compact protocol, of which the second field is the size of what is
//! unpacked and the third that of the bytes that follow.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// Deflate cannot pack more bytes into one, and snappy packs fewer.
const PER_BYTE: u64 = 1032;
/// So many bytes more may be unpacked, whatever the size.
const ROUNDING: u64 = 64;
/// Structures within structures; a page header needs three.
const DEEPEST: usize = 8;

/// Refuses pages in `start..end` of `file` that unpack to more than `most` bytes, or than their bytes can hold.
pub(super) fn check_pages(file: &File, start: u64, end: u64, most: u64) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("a page cannot be read: {error}");
    let mut reader = BufReader::with_capacity(4096, file.try_clone().map_err(unreadable)?);
    let mut at = start;
    while at < end {
        reader.seek(SeekFrom::Start(at)).map_err(unreadable)?;
        let mut header = Header { bytes: reader.by_ref().take(end - at), read: 0 };
        let [unpacked, packed] = header.sizes().map_err(unreadable)?;
        if unpacked > most || unpacked > packed.saturating_mul(PER_BYTE).saturating_add(ROUNDING) {
            return Err(format!("a page of {packed} bytes says that it unpacks to {unpacked}"));
        }
        at = at.saturating_add(header.read).saturating_add(packed);
    }
    Ok(())
}

/// The header of a page, as it is read.
struct Header<R> {
    bytes: R,
    read: u64,
}

impl<R: Read> Header<R> {
    /// Sizes unpacked and packed.
    fn sizes(&mut self) -> std::io::Result<[u64; 2]> {
        let mut sizes = [0; 2];
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match field {
                2 | 3 if (4..=6).contains(&kind) => {
                    let value = self.varint()?;
                    // Zigzag: odd numbers are negative.
                    let size = if value % 2 == 0 { value / 2 } else { return Err(contradiction()) };
                    sizes[field as usize - 2] = size;
                }
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(sizes)
    }

    /// The type of the next field of a structure, whose number is put into `last`; `None` at its end.
    fn field(&mut self, last: &mut i64) -> std::io::Result<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *last = match byte >> 4 {
            0 => (self.varint()? / 2) as i64,
            further => last.saturating_add(i64::from(further)),
        };
        Ok(Some(byte & 15))
    }

    /// Reads over a value of this type, `depth` structures or lists deep.
    fn skip(&mut self, kind: u8, depth: usize) -> std::io::Result<()> {
        if depth > DEEPEST {
            return Err(contradiction());
        }
        match kind {
            1 | 2 => Ok(()), // true or false, as the type says
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => self.varint().and_then(|length| self.pass(length)),
            9 | 10 => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                for _ in 0..count {
                    match byte & 15 {
                        1 | 2 => self.pass(1)?,
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
                Ok(())
            }
            12 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(contradiction()),
        }
    }

    fn varint(&mut self) -> std::io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(contradiction())
    }

    fn byte(&mut self) -> std::io::Result<u8> {
        let mut byte = [0];
        self.bytes.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn pass(&mut self, length: u64) -> std::io::Result<()> {
        let passed = std::io::copy(&mut self.bytes.by_ref().take(length), &mut std::io::sink())?;
        self.read += passed;
        if passed == length { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn contradiction() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "its header contradicts itself")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A header of a dictionary page: type 2, sizes, and a structure of two fields; then the bytes.
    fn page(unpacked: u8, packed: u8) -> Vec<u8> {
        let mut page =
            vec![0x15, 4, 0x15, 2 * unpacked, 0x15, 2 * packed, 0x4c, 0x15, 2, 0x15, 4, 0x00, 0x00];
        page.extend(vec![7; packed.into()]);
        page
    }

    fn checked(bytes: &[u8], most: u64) -> Result<(), String> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        check_pages(&file, 0, bytes.len() as u64, most)
    }

    #[test]
    fn pages_follow_each_other() {
        let two = [page(20, 10), page(60, 3)].concat();
        assert_eq!(checked(&two, 60), Ok(()));
        let problem = checked(&two, 59).expect_err("too large");
        assert!(problem.contains("3 bytes") && problem.contains("60"), "{problem}");
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        // 2^30 bytes out of 5: the size takes five bytes of seven bits, zigzag.
        let mut lying = vec![0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x80, 0x08, 0x15, 10, 0x00];
        lying.extend([7; 5]);
        assert!(checked(&lying, u64::MAX).is_err());
        assert!(checked(&page(20, 10)[..9], 60).is_err());
        // Lists of lists of lists …
        assert!(checked(&[&[0x19][..], &[0x19; 100][..]].concat(), 60).is_err());
        // A negative size.
        assert!(checked(&[0x15, 0, 0x15, 3, 0x15, 2, 0x00, 9], 60).is_err());
    }
}
