/// An image of `shape`, channels × height × width, averaged over square blocks of pixels so that no side is longer
/// than `side`, and its new shape. What fills no block, at the right and at the bottom, is left out.
///
/// `None` if no side is longer, if the shorter side has no whole block, or if the shape is another one.
#[must_use]
pub fn shrunken(image: &[f32], shape: &[usize], side: usize) -> Option<(Vec<f32>, [usize; 3])> {
    let &[channels, height, width] = shape else { return None };
    let block = height.max(width).div_ceil(side);
    let (rows, columns) = (height.checked_div(block)?, width.checked_div(block)?);
    if block == 1 || rows == 0 || columns == 0 {
        return None;
    }
    let mean = |channel: usize, row: usize, column: usize| {
        let corner = (channel * height + row * block) * width + column * block;
        let sum: f32 = (0..block).map(|y| image[corner + y * width..][..block].iter().sum::<f32>()).sum();
        sum / (block * block) as f32
    };
    let at = |i: usize| mean(i / (rows * columns), i / columns % rows, i % columns);
    Some(((0..channels * rows * columns).map(at).collect(), [channels, rows, columns]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_their_means_channel_by_channel() {
        // Two channels of 3 × 4 in blocks of 2 × 2, of which the last row fills none.
        let image: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let means = vec![2.5, 4.5, 14.5, 16.5];
        assert_eq!(shrunken(&image, &[2, 3, 4], 2), Some((means, [2, 1, 2])));
    }

    #[test]
    fn small_thin_and_flat_images_stay_as_they_are() {
        let image = [0.5; 784];
        for shape in [&[1, 28, 28][..], &[1, 1, 784], &[1, 392, 2], &[784], &[28, 28]] {
            assert_eq!(shrunken(&image, shape, 32), None, "{shape:?}");
        }
    }
}
