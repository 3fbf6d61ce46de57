//! Where the channels of an image are.

/// The axis of `shape` that counts channels, if one does: the first, or the last if that is 1 or 3 long and the first is
/// not, or 4 and the first none of these.
#[must_use]
pub fn channel_axis(shape: &[usize]) -> Option<usize> {
    let &[first, .., last] = shape else { return None };
    match shape.len() {
        0..=2 => None,
        rank if likely(last) > likely(first) => Some(rank - 1),
        _ => Some(0),
    }
}

/// What is assumed where both the first and the last axis could count channels.
#[must_use]
pub fn channels_assumed(shape: &[usize]) -> Option<String> {
    match *shape {
        // Four channels are rare, and an image four pixels wide is no image.
        [first @ (1 | 3), height, last @ (1 | 3)] if height * last > 1 && first * last > 1 => Some(format!(
            "images of shape {shape:?} could have their channels first or last; they are taken as {first} × {height} × {last}, first"
        )),
        _ => None,
    }
}

/// How likely an axis of this length counts channels.
fn likely(size: usize) -> u8 {
    match size {
        1 | 3 => 2,
        4 => 1,
        _ => 0,
    }
}

fn is_count(size: usize) -> bool {
    matches!(size, 1 | 3 | 4)
}

/// One value for each channel of images of `shape`, as [`Network::normalized`](crate::network::Network::normalized)
/// wants them, from one for all or one for each. A flat image is taken as one channel after the other.
///
/// # Errors
///
/// If there are neither one nor as many as channels; the message says how many those are.
pub fn for_each_channel(shape: &[usize], values: &[f32]) -> Result<Vec<f32>, String> {
    let count = match (channel_axis(shape), shape) {
        (Some(axis), _) => shape[axis],
        (None, &[size]) => size,
        (None, _) => shape.first().copied().unwrap_or(1),
    };
    match (values, shape) {
        ([one], _) => Ok(vec![*one; count]),
        (_, &[size]) if is_count(values.len()) && size.is_multiple_of(values.len()) => {
            Ok(values.iter().flat_map(|&value| std::iter::repeat_n(value, size / values.len())).collect())
        }
        (_, &[_, .., last]) if shape.len() > 2 && values.len() == last && is_count(last) => {
            Ok(values.to_vec())
        }
        (_, &[_, _, ..]) if shape.len() > 2 && values.len() == count => Ok(values.to_vec()),
        (_, &[_, _, _, ..]) => Err(channels(count)),
        (_, &[size]) => Err(format!("{size} values in a row")),
        _ => Err(channels(1)),
    }
}

fn channels(count: usize) -> String {
    format!("{count} channel{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_first_unless_only_the_last_axis_can_be_them() {
        for (shape, axis, said) in [
            (&[3, 32, 32][..], Some(0), false),
            (&[32, 32, 3], Some(2), false),
            (&[28, 28, 1], Some(2), false),
            (&[1, 28, 28], Some(0), false),
            (&[32, 32, 4], Some(2), false),
            (&[4, 5, 3], Some(2), false),
            (&[8, 6, 5], Some(0), false),
            (&[3, 8, 3], Some(0), true),
            (&[1, 8, 3], Some(0), true),
            (&[784], None, false),
            (&[28, 28], None, false),
            (&[], None, false),
        ] {
            assert_eq!((channel_axis(shape), channels_assumed(shape).is_some()), (axis, said), "{shape:?}");
        }
    }

    #[test]
    fn values_are_counted() {
        let [three, one] = [&[0.1, 0.2, 0.3][..], &[0.5][..]];
        for shape in [&[3, 4, 4][..], &[4, 4, 3], &[1, 8, 3]] {
            assert_eq!(for_each_channel(shape, three).as_deref(), Ok(three), "{shape:?}");
        }
        assert_eq!(for_each_channel(&[5, 4, 3], one), Ok(vec![0.5; 3]));
        assert_eq!(for_each_channel(&[28, 28], one), Ok(vec![0.5; 28]));
        assert_eq!(for_each_channel(&[6], three), Ok(vec![0.1, 0.1, 0.2, 0.2, 0.3, 0.3]));
        for (shape, values, found) in [
            (&[1, 28, 28][..], three, "1 channel"),
            (&[32, 32, 3], &[0.1, 0.2][..], "3 channels"),
            (&[28, 28], three, "1 channel"),
            (&[7], three, "7 values in a row"),
        ] {
            assert_eq!(for_each_channel(shape, values), Err(found.into()));
        }
    }
}
