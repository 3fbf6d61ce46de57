//! Images of one shape taken as those of another.

use super::channels::channel_axis;
use super::loading::Wanted;
use crate::element_count;
use crate::error::{Error, Result};

/// How the values of an image have to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Nothing,
    /// `rows × columns` becomes `columns × rows`.
    Transpose {
        rows: usize,
        columns: usize,
    },
}

/// What makes images of one shape into a model's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Shape of the images afterwards.
    pub shape: Vec<usize>,
    /// What the user has to know about it.
    pub note: Option<String>,
    moves: Move,
}

impl Layout {
    /// For images of the shape `found` in the data called `origin`.
    ///
    /// Channels-last images for a channels-first model, and the reverse, are transposed, and so are coloured
    /// channels-last images for a model that wants a flat vector: nearly all of those were made with channels
    /// first. Other images of as many values keep their values in order; they take the model's shape, unless the
    /// model wants a flat vector.
    ///
    /// # Errors
    ///
    /// If the numbers of values differ.
    pub fn of(origin: &str, found: &[usize], wanted: Option<Wanted<'_>>) -> Result<Self> {
        let as_it_is = |shape: &[usize]| Self { shape: shape.to_vec(), note: None, moves: Move::Nothing };
        let Some(Wanted { model, shape: wanted, .. }) = wanted else { return Ok(as_it_is(found)) };
        if element_count(found) != element_count(wanted) {
            return Err(Error::data(
                origin,
                format!(
                    "images of shape {found:?} ({}) do not fit the input of {model}, which has shape {wanted:?} ({})",
                    counted(found),
                    counted(wanted)
                ),
            ));
        }
        if let Some((moves, what)) = transposition(found, wanted) {
            let note = format!("images of shape {found:?} ({what}) are transposed to {wanted:?} for {model}");
            return Ok(Self { shape: wanted.to_vec(), note: Some(note), moves });
        }
        if wanted.len() <= 1 {
            return Ok(flat(found, model).unwrap_or_else(|| as_it_is(found)));
        }
        let mut layout = as_it_is(wanted);
        if found.len() > 1 && long_axes(found) != long_axes(wanted) {
            layout.note = Some(format!(
                "images of shape {found:?} are taken as {wanted:?} for {model}, value by value"
            ));
        }
        Ok(layout)
    }

    /// Number of values of an image.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Moves the values of all images in place.
    pub fn apply<T: Copy>(&self, images: &mut [T]) {
        let Move::Transpose { rows, columns } = self.moves else { return };
        let mut scratch = Vec::with_capacity(rows * columns);
        for image in images.chunks_exact_mut(rows * columns) {
            scratch.clear();
            scratch.extend_from_slice(image);
            for (at, value) in image.iter_mut().enumerate() {
                *value = scratch[at % rows * columns + at / rows];
            }
        }
    }
}

/// Coloured channels-last images for a flat input, which takes one channel after the other.
fn flat(found: &[usize], model: &str) -> Option<Layout> {
    let &[height, width, channels] = found else { return None };
    (channels > 1 && channel_axis(found) == Some(2)).then(|| Layout {
        shape: vec![channels, height, width],
        note: Some(format!(
            "images of shape {found:?} (channels last) are given to the flat input of {model} one channel after the \
             other; for the order they have in the array, reshape it to N × {}",
            channels * height * width
        )),
        moves: Move::Transpose { rows: height * width, columns: channels },
    })
}

fn transposition(found: &[usize], wanted: &[usize]) -> Option<(Move, &'static str)> {
    let (&[a, b, c], &[x, y, z]) = (found, wanted) else { return None };
    if found == wanted {
        None
    } else if [c, a, b] == [x, y, z] && c > 1 {
        Some((Move::Transpose { rows: a * b, columns: c }, "channels last"))
    } else if [b, c, a] == [x, y, z] && a > 1 {
        Some((Move::Transpose { rows: a, columns: b * c }, "channels first"))
    } else {
        None
    }
}

fn long_axes(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&size| size != 1).collect()
}

fn counted(shape: &[usize]) -> String {
    element_count(shape).map_or_else(|| "too many values".into(), |values| format!("{values} values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(found: &[usize], wanted: &[usize]) -> Result<Layout> {
        Layout::of("data", found, Some(Wanted { model: "model", shape: wanted, classes: None }))
    }

    #[test]
    fn channels_move_to_where_the_model_has_them() {
        // Pixel (y, x) of channel c has the value 100c + 10y + x.
        let first: Vec<u32> = vec![0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
        let last: Vec<u32> = vec![0, 100, 1, 101, 10, 110, 11, 111, 20, 120, 21, 121];
        let (chw, hwc) = ([2, 3, 2], [3, 2, 2]);
        let mut images = [last.clone(), last.clone()].concat();
        let to_first = layout(&hwc, &chw).expect("fits");
        assert!(to_first.note.as_ref().is_some_and(|note| note.contains("channels last")));
        to_first.apply(&mut images);
        assert_eq!(images, [first.clone(), first.clone()].concat());
        layout(&chw, &hwc).expect("fits").apply(&mut images);
        assert_eq!(images, [last.clone(), last].concat());
    }

    #[test]
    fn as_many_values_are_taken_in_order() {
        for (found, wanted, shape, said) in [
            (&[784][..], &[1, 28, 28][..], &[1, 28, 28][..], false),
            (&[1, 28, 28], &[784], &[1, 28, 28], false),
            (&[28, 28, 1], &[1, 28, 28], &[1, 28, 28], false),
            (&[28, 28, 1], &[784], &[28, 28, 1], false),
            (&[3, 8, 8], &[192], &[3, 8, 8], false),
            (&[192], &[192], &[192], false),
            (&[28, 28], &[1, 28, 28], &[1, 28, 28], false),
            (&[3, 3, 3], &[3, 3, 3], &[3, 3, 3], false),
            (&[4, 6], &[3, 8], &[3, 8], true),
        ] {
            let layout = layout(found, wanted).expect("fits");
            assert_eq!((&layout.shape[..], layout.note.is_some()), (shape, said), "{found:?} {wanted:?}");
            assert_eq!(layout.moves, Move::Nothing);
        }
    }

    #[test]
    fn a_flat_input_takes_one_channel_after_the_other() {
        let layout = layout(&[1, 2, 3], &[6]).expect("fits");
        assert_eq!(layout.moves, Move::Nothing, "channels may be first");
        let layout = super::tests::layout(&[2, 2, 3], &[12]).expect("fits");
        let mut image = [0, 100, 200, 1, 101, 201, 10, 110, 210, 11, 111, 211];
        layout.apply(&mut image);
        assert_eq!(image, [0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211]);
        assert_eq!(layout.shape, [3, 2, 2]);
        assert!(layout.note.is_some_and(|note| note.contains("reshape it to N × 12")));
    }

    #[test]
    fn other_counts_are_refused() {
        let message = layout(&[1, 28, 28], &[3, 32, 32]).expect_err("no fit").to_string();
        for fragment in ["[1, 28, 28] (784 values)", "model", "[3, 32, 32] (3072 values)"] {
            assert!(message.contains(fragment), "{message}");
        }
        assert!(layout(&[usize::MAX, 2], &[2]).is_err());
    }
}
