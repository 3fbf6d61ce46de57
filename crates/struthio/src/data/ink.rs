//! Whether images are drawn in dark ink on white.

use super::dataset::Dataset;
use crate::error::Result;

/// Images that are looked at.
const SAMPLE: usize = 100;
/// From this mean on a border is white.
const WHITE: f32 = 0.85;

/// Whether nearly all images have a white border around something darker, as scanned writing has; networks for digits
/// are mostly trained on light ink on black. Up to a hundred images are looked at.
///
/// # Errors
///
/// If an image has to be read from a file, and cannot be.
pub fn looks_inverted(data: &Dataset) -> Result<bool> {
    let border = border(data.shape());
    if border.is_empty() || border.len() == data.image_len() {
        return Ok(false);
    }
    let step = data.len().div_ceil(SAMPLE);
    let (mut seen, mut white) = (0, 0);
    for i in (0..data.len()).step_by(step) {
        let image = data.image(i)?;
        let around = border.iter().map(|&at| image[at]).sum::<f32>() / border.len() as f32;
        let all = image.iter().sum::<f32>() / image.len() as f32;
        seen += 1;
        white += usize::from(around > WHITE && all < around);
    }
    Ok(10 * white >= 9 * seen)
}

/// Places of the values at the border of an image of this shape, whose channels are the first axis or the last.
fn border(shape: &[usize]) -> Vec<usize> {
    /// More channels than that are none of colour.
    const COLOURS: usize = 4;
    let [channels, height, width, last] = match *shape {
        [channels, height, width] if channels <= COLOURS => [channels, height, width, 1],
        [height, width, channels] if channels <= COLOURS => [1, height, width, channels],
        [height, width] => [1, height, width, 1],
        [size] if size.isqrt().pow(2) == size => [1, size.isqrt(), size.isqrt(), 1],
        _ => return Vec::new(),
    };
    let at_border = |at: &usize| {
        let (row, column) = (at / last / width % height, at / last % width);
        row == 0 || row + 1 == height || column == 0 || column + 1 == width
    };
    (0..channels * height * width * last).filter(at_border).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{DataSpec, Loading, Split};
    use super::*;

    #[test]
    fn borders() {
        assert_eq!(border(&[3, 3]), [0, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(border(&[1, 3, 3]), border(&[9]));
        assert_eq!(border(&[2, 3, 3]).len(), 16);
        assert_eq!(border(&[3, 3, 2])[6..8], [6, 7]);
        assert_eq!(border(&[10]), [0; 0]);
    }

    #[test]
    fn digits_in_dark_ink() {
        let digits = |inverted| {
            let spec: DataSpec = "mnist:test[..500]".parse().expect("valid");
            spec.load(&Loading { inverted, ..Loading::new(Split::Test) }).expect("MNIST")
        };
        assert!(!looks_inverted(&digits(false)).expect("in memory"));
        assert!(looks_inverted(&digits(true)).expect("in memory"));
    }
}
