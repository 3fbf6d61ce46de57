//! Pictures brought to the size a model wants, with the arithmetic of Pillow.
//!
//! The picture is scaled by the smallest factor that makes it cover the wanted size, its longer side
//! rounded down, then the middle is cut out (half a pixel goes to the even side): the `Resize` and
//! `CenterCrop` of torchvision. The filter is Pillow's `BILINEAR`: a triangle as wide as two pixels of the
//! result when shrinking (so every pixel counts and nothing aliases) and two of the picture when enlarging;
//! first along the rows, rounded to bytes, then along the columns. (Pillow 13 takes the columns of some
//! tall pictures first, which moves a value by one of 255 here and there.)

use std::ops::Range;

use super::picture::Picture;

/// Weights are numbers of this many bits after the point.
const PRECISION: u32 = 22;

/// Scales and cuts `picture` to `width × height`.
pub(super) fn fit(picture: Picture, width: usize, height: usize) -> Picture {
    if (picture.width, picture.height) == (width, height) {
        return picture;
    }
    let (scaled_width, scaled_height) = covering(&picture, width, height);
    let columns = taps(picture.width, scaled_width, middle(scaled_width, width));
    let rows = taps(picture.height, scaled_height, middle(scaled_height, height));
    let from = rows.iter().map(|tap| tap.start).min().unwrap_or(0);
    let to = rows.iter().map(|tap| tap.start + tap.weights.len()).max().unwrap_or(0);
    let narrow = along_rows(&picture, &columns, from..to);
    let bytes = along_columns(&narrow, width * picture.channels, &rows, from);
    Picture { width, height, channels: picture.channels, bytes }
}

/// The size of the scaled picture.
fn covering(picture: &Picture, width: usize, height: usize) -> (usize, usize) {
    let scaled = |side: usize, to: usize, by: usize| (side as u128 * to as u128 / by as u128) as usize;
    if height as u128 * picture.width as u128 >= width as u128 * picture.height as u128 {
        (scaled(picture.width, height, picture.height), height)
    } else {
        (width, scaled(picture.height, width, picture.width))
    }
}

/// The middle `part` of a side.
fn middle(whole: usize, part: usize) -> Range<usize> {
    let spare = whole - part;
    let start = spare / 2 + (spare % 2) * (spare / 2 % 2);
    start..start + part
}

/// What makes one pixel of the result: weights of consecutive pixels.
struct Tap {
    start: usize,
    weights: Vec<i32>,
}

/// The taps of the pixels `wanted` of a side scaled from `from` to `to` pixels.
fn taps(from: usize, to: usize, wanted: Range<usize>) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let radius = scale.max(1.0);
    let inverse = 1.0 / radius; // multiplied by, not divided, so that ties round as Pillow's do
    let tap = |at: usize| {
        let center = (at as f64 + 0.5) * scale;
        let start = (center - radius + 0.5).max(0.0) as usize;
        let end = ((center + radius + 0.5) as usize).min(from);
        let triangle = |i: usize| (1.0 - ((i as f64 - center + 0.5) * inverse).abs()).max(0.0);
        let heights: Vec<f64> = (start..end).map(triangle).collect();
        let sum: f64 = heights.iter().sum();
        let weight = |height: &f64| (0.5 + height / sum * f64::from(1 << PRECISION)) as i32;
        Tap { start, weights: heights.iter().map(weight).collect() }
    };
    wanted.map(tap).collect()
}

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

fn along_rows(picture: &Picture, columns: &[Tap], rows: Range<usize>) -> Vec<u8> {
    let channels = picture.channels;
    let mut out = Vec::with_capacity(rows.len() * columns.len() * channels);
    for row in picture.bytes.chunks_exact(picture.width * channels).skip(rows.start).take(rows.len()) {
        for tap in columns {
            for channel in 0..channels {
                let pixels = row[tap.start * channels + channel..].iter().step_by(channels);
                let products =
                    tap.weights.iter().zip(pixels).map(|(weight, pixel)| weight * i32::from(*pixel));
                out.push(byte(HALF + products.sum::<i32>()));
            }
        }
    }
    out
}

fn along_columns(bytes: &[u8], row_len: usize, rows: &[Tap], first_row: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * row_len);
    let mut sums = vec![HALF; row_len];
    for tap in rows {
        sums.fill(HALF);
        let lines = bytes.chunks_exact(row_len).skip(tap.start - first_row);
        for (weight, line) in tap.weights.iter().zip(lines) {
            sums.iter_mut().zip(line).for_each(|(sum, pixel)| *sum += weight * i32::from(*pixel));
        }
        out.extend(sums.iter().map(|&sum| byte(sum)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, channels: usize) -> Picture {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let bytes = (0..width * height * channels).map(|_| next()).collect();
        Picture { width, height, channels, bytes }
    }

    /// The definition in real numbers: every pixel of the result is the mean of the picture under a
    /// product of two triangles.
    fn directly(picture: &Picture, scaled: (usize, usize), at: (usize, usize), channel: usize) -> f64 {
        let triangle = |from: usize, to: usize, at: usize, i: usize| {
            let scale = from as f64 / to as f64;
            (1.0 - ((i as f64 + 0.5) - (at as f64 + 0.5) * scale).abs() / scale.max(1.0)).max(0.0)
        };
        let (mut sum, mut weights) = (0.0, 0.0);
        for y in 0..picture.height {
            for x in 0..picture.width {
                let weight =
                    triangle(picture.width, scaled.0, at.0, x) * triangle(picture.height, scaled.1, at.1, y);
                weights += weight;
                let pixel = picture.bytes[(y * picture.width + x) * picture.channels + channel];
                sum += weight * f64::from(pixel);
            }
        }
        sum / weights
    }

    #[test]
    fn is_the_mean_under_a_triangle() {
        for (from, scaled, cut) in [
            ((40, 30), (20, 15), (15, 15)),
            ((7, 9), (12, 15), (12, 12)),
            ((31, 100), (8, 25), (8, 8)),
            ((5, 5), (5, 5), (5, 5)),
            ((64, 3), (106, 5), (7, 5)),
        ] {
            for channels in [1, 3] {
                let original = picture(from.0, from.1, channels);
                assert_eq!(covering(&original, cut.0, cut.1), scaled);
                let fitted = fit(original.clone(), cut.0, cut.1);
                let (left, top) = (middle(scaled.0, cut.0).start, middle(scaled.1, cut.1).start);
                for (i, &found) in fitted.bytes.iter().enumerate() {
                    let at = (left + i / channels % cut.0, top + i / channels / cut.0);
                    let exact = directly(&original, scaled, at, i % channels);
                    assert!((f64::from(found) - exact).abs() < 1.01, "{from:?} {at:?}: {found} {exact}");
                }
            }
        }
    }

    #[test]
    fn the_middle_is_that_of_torchvision() {
        for (whole, part, start) in
            [(10, 10, 0), (11, 10, 0), (12, 10, 1), (13, 10, 2), (15, 10, 2), (17, 10, 4)]
        {
            assert_eq!(middle(whole, part), start..start + part);
        }
    }

    #[test]
    fn long_thin_pictures_cost_no_more_than_their_bytes() {
        let fitted = fit(picture(1_000_000, 1, 1), 224, 224);
        assert_eq!(fitted.bytes.len(), 224 * 224);
    }
}
