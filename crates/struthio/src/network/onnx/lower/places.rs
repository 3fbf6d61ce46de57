//! Where the elements of a moved tensor come from, all in row-major order: the same for constants, with all axes, and
//! for values that depend on the image, without the batch.

use super::shapes::from_front;

/// A tensor made of elements of another one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub shape: Vec<usize>,
    /// For each element where it comes from.
    pub sources: Vec<u32>,
}

/// Most elements of what is made, unless it is made of as many: a small file must not make us hold very many.
const MOST: usize = 1 << 24;

impl Places {
    /// Where element `i` comes from.
    pub fn source(&self, i: usize) -> usize {
        self.sources[i] as usize
    }

    /// Elements of a tensor of shape `from`, each where `source` says, given where it is itself.
    fn of(
        from: &[usize],
        shape: Vec<usize>,
        source: impl Fn(&[usize], &mut Vec<usize>),
    ) -> Result<Self, String> {
        let most = crate::element_count(from).unwrap_or(0).clamp(MOST, u32::MAX as usize);
        let count = crate::element_count(&shape).filter(|&count| count <= most);
        let count = count.ok_or_else(|| format!("a result of shape {shape:?} is too large"))?;
        let (mut at, mut there) = (vec![0; shape.len()], Vec::with_capacity(from.len()));
        let mut sources = Vec::with_capacity(count);
        for _ in 0..count {
            there.clear();
            source(&at, &mut there);
            sources.push(there.iter().zip(from).fold(0, |flat, (&at, &length)| flat * length + at) as u32);
            for (at, &length) in at.iter_mut().zip(&shape).rev() {
                *at += 1;
                if *at < length {
                    break;
                }
                *at = 0;
            }
        }
        Ok(Self { shape, sources })
    }
}

/// Axis i of the result is axis `axes[i]`.
pub(super) fn transposed(from: &[usize], axes: &[usize]) -> Result<Places, String> {
    if axes.len() != from.len() || (0..axes.len()).any(|axis| !axes.contains(&axis)) {
        return Err(format!("a permutation to {axes:?} does not fit values of shape {from:?}"));
    }
    let inverse: Vec<usize> =
        (0..axes.len()).map(|axis| axes.iter().position(|&a| a == axis).unwrap_or_default()).collect();
    let shape = axes.iter().map(|&axis| from[axis]).collect();
    Places::of(from, shape, |at, there| there.extend(inverse.iter().map(|&axis| at[axis])))
}

/// Along each axis the elements `kept`.
pub(super) fn kept(from: &[usize], kept: &[Vec<usize>]) -> Result<Places, String> {
    let shape = kept.iter().map(Vec::len).collect();
    Places::of(from, shape, |at, there| there.extend(at.iter().zip(kept).map(|(&at, kept)| kept[at])))
}

/// The elements with `indices`, of shape `index_shape`, along `axis`, which takes their shape.
pub(super) fn gathered(
    from: &[usize],
    axis: usize,
    indices: &[i64],
    index_shape: &[usize],
) -> Result<Places, String> {
    let length = from[axis];
    let chosen = indices.iter().map(|&i| from_front(i, length)).collect::<Result<Vec<_>, _>>();
    let chosen = chosen.map_err(|problem| problem.replacen("axis", "element", 1))?;
    let shape = [&from[..axis], index_shape, &from[axis + 1..]].concat();
    let rank = index_shape.len();
    Places::of(from, shape, |at, there| {
        let index =
            at[axis..axis + rank].iter().zip(index_shape).fold(0, |i, (&at, &length)| i * length + at);
        there.extend_from_slice(&at[..axis]);
        there.push(chosen[index]);
        there.extend_from_slice(&at[axis + rank..]);
    })
}

/// Repeated along axes of length one to `shape`, which may have further axes in front.
pub(super) fn expanded(from: &[usize], shape: &[usize]) -> Result<Places, String> {
    let further = shape.len().checked_sub(from.len());
    let fits = further.is_some_and(|further| {
        from.iter().zip(&shape[further..]).all(|(&own, &whole)| own == whole || own == 1)
    });
    let Some(further) = further.filter(|_| fits) else {
        return Err(format!("values of shape {from:?} cannot be repeated to {shape:?}"));
    };
    Places::of(from, shape.to_vec(), |at, there| {
        let own = at[further..].iter().zip(from);
        there.extend(own.map(|(&at, &length)| if length == 1 { 0 } else { at }));
    })
}

/// The shape that values of two shapes have together by the rules of `NumPy`.
pub(super) fn together(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let joined = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    });
    joined.collect::<Option<_>>().ok_or_else(|| format!("the shapes {a:?} and {b:?} do not go together"))
}

/// The elements of an axis of this `length` that a `Slice` keeps, in its order.
pub(super) fn cut(start: i64, end: i64, step: i64, length: usize) -> Result<Vec<usize>, String> {
    let length = length as i64;
    let counted = |i: i64| if i < 0 { i.saturating_add(length) } else { i };
    let (start, end) = (counted(start), counted(end));
    let reach = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    match step {
        0 => Err("a step of zero leads nowhere".into()),
        1.. => {
            Ok((start.clamp(0, length)..end.clamp(0, length)).step_by(reach).map(|i| i as usize).collect())
        }
        _ => {
            let (first, last) = (start.clamp(-1, length - 1), end.clamp(-1, length - 1));
            Ok((last + 1..=first).rev().step_by(reach).map(|i| i as usize).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_go_both_ways() {
        assert_eq!(cut(1, i64::MAX, 1, 4), Ok(vec![1, 2, 3]));
        assert_eq!(cut(-3, -1, 1, 4), Ok(vec![1, 2]));
        assert_eq!(cut(i64::MIN, i64::MAX, 3, 4), Ok(vec![0, 3]));
        assert_eq!(cut(3, 1, 1, 4), Ok(vec![]));
        assert_eq!(cut(-1, i64::MIN, -1, 3), Ok(vec![2, 1, 0]));
        assert_eq!(cut(i64::MAX, -5, -2, 4), Ok(vec![3, 1]));
        assert_eq!(cut(2, 0, -1, 4), Ok(vec![2, 1]));
        assert_eq!(cut(0, 4, i64::MIN, 4), Ok(vec![]));
        assert!(cut(0, 1, 0, 1).is_err());
    }

    #[test]
    fn elements_are_where_they_belong() {
        let places = transposed(&[2, 3], &[1, 0]).expect("fits");
        assert_eq!((places.shape, places.sources), (vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        let places = gathered(&[2, 3], 1, &[-1, 0], &[2, 1]).expect("fits");
        assert_eq!((places.shape, places.sources), (vec![2, 2, 1], vec![2, 0, 5, 3]));
        let places = gathered(&[2, 3], 0, &[1], &[]).expect("fits");
        assert_eq!((places.shape, places.sources), (vec![3], vec![3, 4, 5]));
        let places = expanded(&[2, 1], &[2, 2, 2]).expect("fits");
        assert_eq!((places.shape, places.sources), (vec![2, 2, 2], vec![0, 0, 1, 1, 0, 0, 1, 1]));
        assert!(transposed(&[2, 3], &[1, 1]).is_err() && transposed(&[2, 3], &[0]).is_err());
        assert!(gathered(&[2, 3], 1, &[3], &[1]).is_err() && expanded(&[2], &[3]).is_err());
        assert!(expanded(&[1], &[1 << 40]).is_err());
    }
}
