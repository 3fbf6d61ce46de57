//! The header of a `NumPy` array.
//!
//! Read here and not by a general parser of Python literals: that one descends into nested brackets
//! and allocates what the file asks for, and a file may ask for anything.

use std::io::Read;

use super::array::Header;
use super::element::Element;

/// The longest header that is read; `NumPy` itself refuses longer ones.
const LONGEST: usize = 10_000;
/// `NumPy` allows 64 axes.
const MOST_AXES: usize = 64;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads the header, behind which the elements follow, and says how many bytes it had.
pub(super) fn header(data: &mut impl Read) -> Result<(Header, u64), String> {
    let truncated = |_| "truncated NumPy array: it ends inside its header".to_owned();
    let mut start = [0; 8];
    data.read_exact(&mut start).map_err(truncated)?;
    if &start[..6] != MAGIC {
        return Err("not a NumPy array: it must start with the bytes \\x93NUMPY".into());
    }
    let (length, before) = match start[6] {
        1 => {
            let mut bytes = [0; 2];
            data.read_exact(&mut bytes).map_err(truncated)?;
            (usize::from(u16::from_le_bytes(bytes)), 10)
        }
        2 | 3 => {
            let mut bytes = [0; 4];
            data.read_exact(&mut bytes).map_err(truncated)?;
            (u32::from_le_bytes(bytes) as usize, 12)
        }
        version => return Err(format!("NumPy format version {version} is unknown; expected 1, 2 or 3")),
    };
    if length > LONGEST {
        return Err(format!("its NumPy header claims {length} bytes; at most {LONGEST} make sense"));
    }
    let mut text = vec![0; length];
    data.read_exact(&mut text).map_err(truncated)?;
    let text = String::from_utf8(text).map_err(|_| "damaged NumPy header: it is not a text")?;
    Ok((parse(text.trim())?, (before + length) as u64))
}

fn parse(text: &str) -> Result<Header, String> {
    let damaged = |what: &str| format!("damaged NumPy header: {what} in {text:.200}");
    let descr = value(text, "descr").ok_or_else(|| damaged("no 'descr'"))?;
    let order = value(text, "fortran_order").ok_or_else(|| damaged("no 'fortran_order'"))?;
    let shape = value(text, "shape").ok_or_else(|| damaged("no 'shape'"))?;
    let fortran = order.starts_with("True");
    if !fortran && !order.starts_with("False") {
        return Err(damaged("'fortran_order' is neither True nor False"));
    }
    let inside = shape
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .ok_or_else(|| damaged("'shape' is not a tuple"))?
        .0;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Vec<usize> = sizes
        .map(|size| size.parse().map_err(|_| damaged("'shape' has something else than whole numbers")))
        .collect::<Result<_, String>>()?;
    if shape.len() > MOST_AXES {
        return Err(damaged("more than 64 axes"));
    }
    let quote = descr.chars().next().filter(|quote| ['\'', '"'].contains(quote));
    let name = quote.and_then(|quote| descr[1..].split_once(quote));
    let (name, _) = name.ok_or("a NumPy array of records; expected plain numbers")?;
    Ok(Header { element: element(name)?, fortran: fortran && shape.len() > 1, shape })
}

/// What stands behind `'key':`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    ['\'', '"'].iter().find_map(|quote| {
        let (_, rest) = text.split_once(&format!("{quote}{key}{quote}"))?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    })
}

fn element(name: &str) -> Result<Element, String> {
    let (big_endian, kind) = match name.split_at_checked(1) {
        Some((">", kind)) => (true, kind),
        Some(("<" | "|" | "=", kind)) => (false, kind),
        _ => (false, name),
    };
    match kind {
        "u1" => Ok(Element::Byte),
        "b1" | "?" => Ok(Element::Bool),
        "f2" => Ok(Element::Float { bytes: 2, big_endian }),
        "f4" => Ok(Element::Float { bytes: 4, big_endian }),
        "f8" => Ok(Element::Float { bytes: 8, big_endian }),
        "i1" => Ok(Element::Integer { bytes: 1, signed: true, big_endian }),
        "i2" => Ok(Element::Integer { bytes: 2, signed: true, big_endian }),
        "i4" => Ok(Element::Integer { bytes: 4, signed: true, big_endian }),
        "i8" => Ok(Element::Integer { bytes: 8, signed: true, big_endian }),
        "u2" => Ok(Element::Integer { bytes: 2, signed: false, big_endian }),
        "u4" => Ok(Element::Integer { bytes: 4, signed: false, big_endian }),
        "u8" => Ok(Element::Integer { bytes: 8, signed: false, big_endian }),
        _ => Err(format!(
            "a NumPy array of type '{name:.40}'; expected uint8, float16, float32 or float64 pixels and integer labels"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, text: &str) -> Vec<u8> {
        let mut bytes = [MAGIC, &[version, 0]].concat();
        if version == 1 {
            bytes.extend((text.len() as u16).to_le_bytes());
        } else {
            bytes.extend((text.len() as u32).to_le_bytes());
        }
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }      \n";
        for version in [1, 2, 3] {
            let bytes = file(version, text);
            let (found, length) = header(&mut &bytes[..]).expect("valid");
            assert_eq!(found.shape, [2, 3, 4]);
            assert_eq!(found.element, Element::Float { bytes: 4, big_endian: false });
            assert_eq!(length, bytes.len() as u64);
        }
        let text = r#"{"shape": (7,), "fortran_order": True, "descr": ">i8"}"#;
        let (found, _) = header(&mut &file(1, text)[..]).expect("valid");
        assert_eq!(found.shape, [7]);
        assert_eq!(found.element, Element::Integer { bytes: 8, signed: true, big_endian: true });
        assert!(!found.fortran, "one axis has no order");
        let text = "{'descr': '<f2', 'fortran_order': True, 'shape': (2, 3), }";
        let (found, _) = header(&mut &file(1, text)[..]).expect("valid");
        assert_eq!((found.element, found.fortran), (Element::Float { bytes: 2, big_endian: false }, true));
        let scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': (), }";
        assert_eq!(header(&mut &file(1, scalar)[..]).expect("valid").0.shape, [0; 0]);
    }

    #[test]
    fn other_headers_are_refused() {
        let nested = format!("{{'descr': {}", "[".repeat(9000));
        for (text, fragment) in [
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }", "'<c8'"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", "'|O'"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "records"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", "whole numbers"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "whole numbers"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': 3, }", "tuple"),
            ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,), }", "neither"),
            ("{'descr': '<f4', 'shape': (3,), }", "fortran_order"),
            ("{'descr': '", "no 'fortran_order'"),
            (&nested, "no 'fortran_order'"),
            ("", "no 'descr'"),
        ] {
            let message = header(&mut &file(1, text)[..]).expect_err(text);
            assert!(message.contains(fragment), "{message}");
        }
        let huge = [MAGIC, &[2, 0, 255, 255, 255, 255]].concat();
        assert!(header(&mut &huge[..]).expect_err("huge").contains("4294967295"));
        for bad in [&b""[..], b"\x93NUM", b"GARBAGE-GARBAGE", b"\x93NUMPY\x01\x00\xff\x00{"] {
            assert!(header(&mut &bad[..]).is_err());
        }
        assert!(header(&mut &[MAGIC, &[9, 0, 1, 0, 1]].concat()[..]).expect_err("version").contains('9'));
    }
}
