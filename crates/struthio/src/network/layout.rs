//! How values lie in memory.
//!
//! A value of shape channels × height × width is stored channels-last, as height × width × channels: there
//! what a convolution reads is contiguous, and one vector holds many channels of a pixel. Values of
//! any other shape are row-major, as are images outside of the network.

/// The axes in the order of memory, slowest first.
pub(crate) fn stored(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [channels, height, width] => vec![height, width, channels],
        _ => shape.to_vec(),
    }
}

/// Whether memory has the elements in row-major order.
pub(crate) fn is_row_major(shape: &[usize]) -> bool {
    match *shape {
        [channels, height, width] => channels == 1 || height * width == 1,
        _ => true,
    }
}

/// Whether the elements along `axis` lie side by side in memory.
pub(crate) fn is_contiguous(shape: &[usize], axis: usize) -> bool {
    match *shape {
        [..] if is_row_major(shape) => shape[axis + 1..].iter().all(|&d| d == 1),
        _ => axis == 0,
    }
}

/// The order of elements in memory: for each, where it stands in row-major order.
pub(crate) fn order(shape: &[usize]) -> Vec<u32> {
    let count: usize = shape.iter().product();
    match *shape {
        [channels, height, width] if !is_row_major(shape) => {
            let plane = height * width;
            (0..count).map(|i| (i % channels * plane + i / channels) as u32).collect()
        }
        _ => (0..count as u32).collect(),
    }
}

/// Whether values whose axes have the lengths `own` are repeated as a whole, again and again, to become
/// values of `whole`: both as they are stored, axes of length one being what is repeated.
pub(crate) fn repeats_whole(own: &[usize], whole: &[usize]) -> bool {
    let same = own.iter().rev().zip(whole.iter().rev()).take_while(|(a, b)| a == b).count();
    own[..own.len() - same].iter().all(|&d| d == 1)
}

/// For element i of values whose axes have the lengths `whole`, the element that it is of values of `own`,
/// repeated along axes of length one: both in the order of these axes.
pub(crate) fn repeated(own: &[usize], whole: &[usize]) -> impl Fn(usize) -> usize {
    move |mut i| {
        let (mut at, mut step) = (0, 1);
        for (&own, &whole) in own.iter().zip(whole).rev() {
            at += if own == 1 { 0 } else { i % whole * step };
            step *= own;
            i /= whole;
        }
        at
    }
}

/// Elements in row-major order, from how they are stored.
pub(crate) fn to_row_major(shape: &[usize], stored: &[f32], row_major: &mut [f32]) {
    match *shape {
        [channels, height, width] if !is_row_major(shape) => {
            transpose([height * width, channels], stored, row_major);
        }
        _ => row_major.copy_from_slice(stored),
    }
}

/// Elements as they are stored, from row-major order.
pub(crate) fn to_stored(shape: &[usize], row_major: &[f32], stored: &mut [f32]) {
    match *shape {
        [channels, height, width] if !is_row_major(shape) => {
            transpose([channels, height * width], row_major, stored);
        }
        _ => stored.copy_from_slice(row_major),
    }
}

fn transpose([rows, columns]: [usize; 2], from: &[f32], to: &mut [f32]) {
    for (row, values) in from.chunks_exact(columns).enumerate() {
        for (out, &value) in to[row..].iter_mut().step_by(rows).zip(values) {
            *out = value;
        }
    }
}

/// Of values of shape `input` whose `axes` become one: the shape that is left, and for each element as it is stored the
/// element of the result that it enters.
///
/// # Errors
///
/// If an axis does not exist.
pub(crate) fn reduced(input: &[usize], axes: &[usize]) -> Result<(Vec<usize>, Vec<u32>), String> {
    if let Some(axis) = axes.iter().find(|&&axis| axis >= input.len()) {
        return Err(format!("axis {axis} does not exist in shape {input:?}"));
    }
    let length = |(i, &d): (usize, &usize)| if axes.contains(&i) { 1 } else { d };
    let output: Vec<usize> = input.iter().enumerate().map(length).collect();
    let (own, kept) = (stored(input), stored(&output));
    let target = repeated(&kept, &own);
    let targets = (0..own.iter().product()).map(|i| target(i) as u32).collect();
    Ok((output, targets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for shape in [&[2, 3, 4][..], &[1, 3, 4], &[5, 1, 1], &[7], &[2, 3]] {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|i: usize| i as f32).collect();
            let (mut memory, mut back) = (vec![0.0; count], vec![0.0; count]);
            to_stored(shape, &values, &mut memory);
            let ordered: Vec<f32> = order(shape).iter().map(|&i| values[i as usize]).collect();
            assert_eq!(memory, ordered, "{shape:?}");
            to_row_major(shape, &memory, &mut back);
            assert_eq!(back, values, "{shape:?}");
        }
        assert_eq!(order(&[2, 1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(stored(&[2, 1, 3]), [1, 3, 2]);
    }

    #[test]
    fn axes_of_length_one_are_repeated() {
        let all = |own: &[usize], whole: &[usize]| -> Vec<usize> {
            (0..whole.iter().product()).map(repeated(own, whole)).collect()
        };
        assert_eq!(all(&[2, 1, 2], &[2, 2, 2]), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert_eq!(all(&[1, 3], &[2, 3]), [0, 1, 2, 0, 1, 2]);
        assert!(repeats_whole(&[1, 3], &[2, 3]) && repeats_whole(&[1, 1], &[2, 3]));
        assert!(!repeats_whole(&[2, 1], &[2, 3]) && !repeats_whole(&[2, 1, 2], &[2, 2, 2]));
    }
}
