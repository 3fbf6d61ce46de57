use std::ops::Range;

/// A window that slides over the rows and columns of an image: of convolutions and of pooling.
///
/// Pairs are for height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Steps between neighbouring positions.
    pub stride: [usize; 2],
    /// Distance between neighbouring elements of the window.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left that are added to the image.
    pub before: [usize; 2],
    /// Rows below and columns to the right that are added to the image.
    pub after: [usize; 2],
}

/// Most elements in all windows over an image.
const MOST_VISITS: usize = 1 << 26;

impl Window {
    /// Of `size`, over every position inside the image.
    #[must_use]
    pub fn of(size: [usize; 2]) -> Self {
        Self { size, stride: [1; 2], dilation: [1; 2], before: [0; 2], after: [0; 2] }
    }

    /// From the first to the last element of the window.
    pub(crate) fn extent(&self, axis: usize) -> usize {
        (self.size[axis] - 1) * self.dilation[axis] + 1
    }

    /// Numbers of positions over an image of `input` rows and columns.
    ///
    /// # Errors
    ///
    /// If the window is empty, does not step, or is larger than the image with what is added to it.
    pub fn positions(&self, input: [usize; 2]) -> Result<[usize; 2], String> {
        const MOST: usize = 1 << 24;
        let sizes = [self.size, self.stride, self.dilation];
        if sizes.iter().flatten().any(|&n| n == 0 || n > MOST)
            || [self.before, self.after].iter().flatten().any(|&n| n > MOST)
        {
            return Err(format!(
                "a window of {:?} with strides of {:?}, dilations of {:?} and pads of {:?} and {:?} is not possible",
                self.size, self.stride, self.dilation, self.before, self.after
            ));
        }
        let mut positions = [0; 2];
        for axis in 0..2 {
            let padded = input[axis] + self.before[axis] + self.after[axis];
            let Some(room) = padded.checked_sub(self.extent(axis)) else {
                return Err(format!("a window of {:?} does not fit into an image of {input:?}", self.size));
            };
            positions[axis] = room / self.stride[axis] + 1;
        }
        Ok(positions)
    }

    /// Makes sure that all windows over an image together are not of excessive size.
    pub(super) fn check_visits(&self, positions: [usize; 2]) -> Result<(), String> {
        let visits = crate::element_count([positions, self.size].as_flattened());
        if visits.is_none_or(|visits| visits > MOST_VISITS) {
            return Err(format!("{positions:?} windows of {:?} are too many", self.size));
        }
        Ok(())
    }

    /// Elements of the window.
    pub(super) fn taps(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Calls `body` for all positions over an image of `input` rows and columns, with the number of the
    /// position and what the window sees there.
    #[inline(always)]
    pub(super) fn visit(
        &self,
        input: [usize; 2],
        positions: [usize; 2],
        mut body: impl FnMut(usize, Seen<'_>),
    ) {
        for y in 0..positions[0] {
            let lines = self.inside(0, y, input[0]);
            for x in 0..positions[1] {
                let (lines, across) = (lines.clone(), self.inside(1, x, input[1]));
                let seen = Seen { window: self, at: [y, x], lines, across, width: input[1] };
                body(y * positions[1] + x, seen);
            }
        }
    }

    /// Where the window at `position` begins along `axis`, in the image; negative in what was added.
    pub(super) fn start(&self, axis: usize, position: usize) -> isize {
        (position * self.stride[axis]) as isize - self.before[axis] as isize
    }

    /// The row or column of element `k`, which must lie inside, of the window at `position`.
    pub(super) fn at(&self, axis: usize, position: usize, k: usize) -> usize {
        (self.start(axis, position) + (k * self.dilation[axis]) as isize) as usize
    }

    /// The elements of the window at `position` along `axis` that lie inside an image of `length`.
    pub(super) fn inside(&self, axis: usize, position: usize, length: usize) -> Range<usize> {
        let (start, step) = (self.start(axis, position), self.dilation[axis] as isize);
        let first = if start < 0 { (-start + step - 1) / step } else { 0 };
        let end = ((length as isize - start + step - 1) / step).clamp(0, self.size[axis] as isize);
        first.min(end) as usize..end as usize
    }
}

/// The part of an image that a window sees at one position.
pub(super) struct Seen<'a> {
    window: &'a Window,
    at: [usize; 2],
    lines: Range<usize>,
    across: Range<usize>,
    width: usize,
}

impl Seen<'_> {
    /// Calls `body` with the number of every pixel, row by row, and that of the element of the window that
    /// sees it.
    #[inline(always)]
    pub fn each(self, mut body: impl FnMut(usize, usize)) {
        let (window, [y, x]) = (self.window, self.at);
        for ky in self.lines {
            let line = window.at(0, y, ky) * self.width;
            for kx in self.across.clone() {
                body(line + window.at(1, x, kx), ky * window.size[1] + kx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_edges() {
        let window = Window { size: [3, 3], stride: [2, 1], dilation: [1, 2], before: [1, 2], after: [1, 0] };
        assert_eq!(window.positions([7, 9]), Ok([4, 7]));
        let rows: Vec<_> = (0..4).map(|y| window.inside(0, y, 7)).collect();
        assert_eq!(rows, [1..3, 0..3, 0..3, 0..2]);
        let columns: Vec<_> = (0..7).map(|x| window.inside(1, x, 9)).collect();
        assert_eq!(columns, [1..3, 1..3, 0..3, 0..3, 0..3, 0..3, 0..3]);
        assert!(Window::of([5, 5]).positions([4, 9]).is_err());
        assert!(Window { stride: [0, 1], ..window }.positions([7, 9]).is_err());
    }
}
