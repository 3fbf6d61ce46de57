//! The 256 levels that a picture of 8 bits has for pixels of \[0, 1\].

/// Steps from black to white.
const STEPS: f32 = 255.0;

/// The level nearest to a pixel.
///
/// ```
/// assert_eq!(struthio::attack::nearest_level(0.5), 128);
/// ```
#[must_use]
pub fn nearest_level(pixel: f32) -> u8 {
    (STEPS * pixel).round().clamp(0.0, STEPS) as u8
}

/// The pixel that a level stands for, as a data set of bytes has it.
///
/// ```
/// assert_eq!(struthio::attack::pixel_at(255), 1.0);
/// ```
#[must_use]
pub fn pixel_at(level: u8) -> f32 {
    f32::from(level) / STEPS
}

/// The image after rounding to 256 levels.
#[must_use]
pub fn rounded(image: &[f32]) -> Vec<f32> {
    image.iter().map(|&pixel| pixel_at(nearest_level(pixel))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_what_rounding_leaves_alone() {
        for level in 0..=u8::MAX {
            assert_eq!(nearest_level(pixel_at(level)), level);
            for shift in [-0.49, 0.49] {
                assert_eq!(nearest_level((f32::from(level) + shift) / 255.0), level);
            }
        }
        assert_eq!(rounded(&[-0.1, 0.003, 1.1, 0.6]), [0.0, 1.0 / 255.0, 1.0, 0.6]);
    }
}
