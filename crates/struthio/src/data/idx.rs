use std::io::Read;

/// An array of bytes from an IDX file.
#[derive(Debug, Clone, PartialEq)]
pub struct IdxArray {
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub values: Vec<u8>,
}

/// Parses an uncompressed IDX file of unsigned bytes.
///
/// # Errors
///
/// A description of what is wrong with the bytes.
pub fn parse_idx(bytes: &[u8]) -> Result<IdxArray, String> {
    let mut values = bytes;
    let (shape, _) = idx_header(&mut values)?;
    let count = crate::element_count(&shape);
    if count != Some(values.len()) {
        return Err(format!(
            "the IDX sizes {shape:?} do not agree with the {} bytes that follow",
            values.len()
        ));
    }
    Ok(IdxArray { shape, values: values.to_vec() })
}

/// Reads the header, behind which the elements follow: the shape, and how many bytes the header had.
pub(super) fn idx_header(data: &mut impl Read) -> Result<(Vec<usize>, u64), String> {
    const UNSIGNED_BYTE: u8 = 0x08;
    let mut start = [0; 4];
    data.read_exact(&mut start).map_err(|_| "not an IDX file: shorter than its header")?;
    let [zero0, zero1, kind, rank] = start;
    if zero0 != 0 || zero1 != 0 {
        return Err("not an IDX file: it must start with two zero bytes".into());
    }
    if kind != UNSIGNED_BYTE {
        return Err(format!("IDX element type {kind:#04x} is not supported; expected unsigned bytes (0x08)"));
    }
    let mut sizes = vec![0; 4 * usize::from(rank)];
    let truncated = |_| format!("truncated IDX file: it ends inside its {rank} sizes");
    data.read_exact(&mut sizes).map_err(truncated)?;
    let shape = sizes.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b) as usize).collect();
    Ok((shape, (start.len() + sizes.len()) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_small_matrix() {
        let bytes = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
        let array = parse_idx(&bytes).expect("valid");
        assert_eq!((array.shape, array.values), (vec![2, 3], vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn refuses_what_is_not_idx() {
        let huge = [0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        for bad in [
            &[][..],
            &[0, 0, 8],
            &[1, 0, 8, 1, 0, 0, 0, 0],
            &[0, 0, 9, 1, 0, 0, 0, 0],
            &[0, 0, 8, 1, 0, 0],
            &huge,
        ] {
            assert!(parse_idx(bad).is_err(), "{bad:?}");
        }
    }
}
