//! Labels in arrays: numbers of classes, or a column for each class.

use std::ops::Range;

use super::array::Array;
use crate::error::Result;

/// Most classes that labels may have a column for.
const MOST_CLASSES: usize = 1 << 20;

/// The labels of the images in `rows`, of which there are `images` in all, and what there is to say about them.
///
/// Labels are whole numbers of any type, one for each image, or one column per class with the largest in that of the
/// image.
pub(super) fn read(
    array: Array<'_>,
    images: usize,
    rows: &Range<usize>,
) -> Result<(Vec<u32>, Option<String>)> {
    let classes = match array.shape() {
        [count] | [count, 1] if *count == images => None,
        [count, classes] if *count == images && (2..=MOST_CLASSES).contains(classes) => Some(*classes),
        [count] | [count, _] if *count != images => {
            let problem = format!("{count} labels for {images} images; expected one for each");
            return Err(array.error(problem));
        }
        shape => {
            let problem = format!(
                "labels of shape {shape:?}; expected a whole number for each of the {images} images, or a column for each class"
            );
            return Err(array.error(problem));
        }
    };
    match classes {
        None => Ok((numbers(array, rows)?, None)),
        Some(classes) => {
            let note =
                format!("labels have {classes} columns, and the class of an image is that of its largest");
            Ok((largest(array, rows)?, Some(note)))
        }
    }
}

fn numbers(array: Array<'_>, rows: &Range<usize>) -> Result<Vec<u32>> {
    let (origin, element) = (array.origin().to_owned(), array.element());
    let mut labels = Vec::new();
    let mut at = rows.start;
    array.each_row(rows, &mut |bytes| {
        let label = element.label(bytes).map_err(|found| {
            let problem = format!("the label of image {at} is {found}; labels are whole numbers from 0");
            crate::Error::data(&origin, problem)
        })?;
        at += 1;
        labels.push(label);
        Ok(())
    })?;
    Ok(labels)
}

fn largest(array: Array<'_>, rows: &Range<usize>) -> Result<Vec<u32>> {
    let (origin, element) = (array.origin().to_owned(), array.element());
    let mut labels = Vec::new();
    let mut at = rows.start;
    array.each_row(rows, &mut |bytes| {
        let values: Vec<f64> = element.floats(bytes).collect();
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let places: Vec<usize> = (0..values.len()).filter(|&i| values[i] == largest).collect();
        let [place] = places[..] else {
            let problem = format!(
                "{} of the {} labels of image {at} are the largest; expected one, that of its class (images of several classes at once \
                 are not supported)",
                places.len(),
                values.len()
            );
            return Err(crate::Error::data(&origin, problem));
        };
        at += 1;
        labels.push(place as u32);
        Ok(())
    })?;
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::super::array::{Available, Header};
    use super::super::element::Element;
    use super::*;

    fn labels(shape: &[usize], element: Element, bytes: &[u8]) -> Result<Vec<u32>, String> {
        let header = Header { shape: shape.to_vec(), element, fortran: false };
        let array = Array::new("y".into(), header, Box::new(bytes), Available::Exactly(bytes.len() as u64));
        let found = array.and_then(|array| read(array, 2, &(0..2)));
        found.map(|(labels, _)| labels).map_err(|error| error.to_string())
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn numbers_columns_and_classes() {
        let float = Element::Float { bytes: 4, big_endian: false };
        let byte = Element::Integer { bytes: 1, signed: true, big_endian: false };
        assert_eq!(labels(&[2], float, &floats(&[10.0, 0.0])), Ok(vec![10, 0]));
        assert_eq!(labels(&[2, 1], byte, &[3, 1]), Ok(vec![3, 1]));
        assert_eq!(labels(&[2], Element::Bool, &[1, 0]), Ok(vec![1, 0]));
        assert_eq!(labels(&[2, 3], float, &floats(&[0.0, 1.0, 0.0, 0.2, 0.1, 0.7])), Ok(vec![1, 2]));
        for (shape, element, bytes, fragment) in [
            (&[2][..], float, floats(&[1.0, 1.5]), "image 1 is 1.5"),
            (&[2], byte, vec![1, 255], "image 1 is -1"),
            (&[3], byte, vec![1, 2, 3], "3 labels for 2 images"),
            (&[2, 3], float, floats(&[0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), "2 of the 3 labels of image 1"),
            (&[2, 2, 1], byte, vec![0; 4], "shape [2, 2, 1]"),
            (&[2, 0], byte, vec![], "shape [2, 0]"),
        ] {
            let message = labels(shape, element, &bytes).expect_err("refused");
            assert!(message.contains(fragment), "{message}");
        }
    }
}
