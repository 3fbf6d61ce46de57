use rayon::prelude::*;

use super::spool::Spool;
use super::top::Top;
use crate::error::Result;
use crate::numeric::gemm::{Destination, Packed, multiply};

/// Directions of one product.
const GROUP: usize = 256;

/// What the directions of a group gave.
struct Group {
    packed: Packed,
    directions: usize,
    top: Top,
    /// ⟨φ, v⟩ of the sampled images, image by image.
    sampled: Vec<f32>,
    out: Vec<f32>,
}

/// What images do in many directions.
pub(super) struct Projected {
    /// For each direction the images with the largest ⟨φ, v⟩, largest first.
    pub top: Vec<Vec<usize>>,
    /// For each direction, how many images are left out although their value is that of the last one.
    pub tied: Vec<usize>,
    /// For each direction, how many of the images in [`top`](Self::top) are there although others with their value
    /// are left out.
    pub by_chance: Vec<usize>,
    /// For each direction, ⟨φ, v⟩ of every `every`-th image.
    pub sampled: Vec<Vec<f32>>,
}

/// ⟨φ(x), v⟩ for all images and all rows v of `directions`: the `k` images that maximise it, and the values of
/// every `every`-th image if asked for. One pass over the images, `chunk` at a time; neither that nor the threads
/// of the pool change a bit.
pub(super) fn project(
    spool: &mut Spool,
    directions: &[f32],
    k: usize,
    every: Option<usize>,
    chunk: usize,
    pool: &rayon::ThreadPool,
) -> Result<Projected> {
    let width = spool.width();
    let mut groups: Vec<Group> = pool.install(|| {
        let rows = directions.par_chunks(GROUP * width);
        rows.map(|rows| {
            let count = rows.len() / width;
            Group {
                packed: Packed::transposed([width, count], rows),
                directions: count,
                top: Top::new(count, k),
                sampled: Vec::new(),
                out: vec![0.0; chunk * count],
            }
        })
        .collect()
    });
    spool.for_each(chunk, |first, values| {
        let rows = values.len() / width;
        pool.install(|| {
            groups.par_iter_mut().for_each(|group| {
                let Group { packed, directions, top, sampled, out } = group;
                multiply(rows, values, packed, out, Destination::Overwrite);
                for (image, row) in (first..).zip(out.chunks_exact(*directions).take(rows)) {
                    top.show(image, row);
                    if every.is_some_and(|every| image % every == 0) {
                        sampled.extend_from_slice(row);
                    }
                }
            });
        });
    })?;
    let mut projected =
        Projected { top: Vec::new(), tied: Vec::new(), by_chance: Vec::new(), sampled: Vec::new() };
    for group in groups {
        projected.tied.extend(group.top.tied());
        projected.by_chance.extend(group.top.by_chance());
        projected.top.extend(group.top.images());
        if every.is_some() {
            let column = |d| group.sampled.iter().skip(d).step_by(group.directions).copied().collect();
            projected.sampled.extend((0..group.directions).map(column));
        }
    }
    Ok(projected)
}
