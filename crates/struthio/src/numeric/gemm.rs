//! Matrix products in f32 whose bits depend on neither the number of rows nor the thread.
//!
//! The kernels of the `gemm` crate compute every row of a product with the same arithmetic as long
//! as three rules are kept, and this module is the place that keeps them: rows of the left operand
//! and of the result, and panels of the right operand, are contiguous; the inner dimension is walked in fixed blocks of at most [`INNER_BLOCK`], and the
//! kernels never see one row (it is padded to two) or one column (that is a dot product per row).
//!
//! This is the library's only module with `unsafe` code.
#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::Once;
use std::time::{Duration, Instant};

use gemm_common::Parallelism;

/// Longest stretch of the inner dimension handed to the kernel in one call.
const INNER_BLOCK: usize = 512;

/// What happens to the old content of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// `C = A·B`
    Overwrite,
    /// `C = C + A·B`
    Accumulate,
}

/// A matrix `B (k × n)` laid out as the kernels read it: panels of columns, each panel row by row.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    k: usize,
    n: usize,
    panels: Vec<f32>,
}

impl Packed {
    /// Packs `b`, row-major.
    pub fn new([k, n]: [usize; 2], b: &[f32]) -> Self {
        Self::from_rows([k, n], |row, columns, out| {
            out.copy_from_slice(&b[row * n..][columns]);
        })
    }

    /// Packs the transpose of `b (n × k)`, row-major.
    pub fn transposed([k, n]: [usize; 2], b: &[f32]) -> Self {
        Self::from_rows([k, n], |row, columns, out| {
            for (out, column) in out.iter_mut().zip(columns) {
                *out = b[column * k + row];
            }
        })
    }

    /// Packs the values of `at(row, column)`.
    pub fn of(shape: [usize; 2], at: impl Fn(usize, usize) -> f32) -> Self {
        Self::from_rows(shape, |row, columns, out| {
            for (out, column) in out.iter_mut().zip(columns) {
                *out = at(row, column);
            }
        })
    }

    fn from_rows([k, n]: [usize; 2], row: impl Fn(usize, Range<usize>, &mut [f32])) -> Self {
        static PANELS_AS_THEY_ARE: Once = Once::new();
        // The kernels read a panel of whole vectors where it is, instead of packing it again, unless there are
        // very many rows. The setting is the process's, and changes the speed of products only.
        PANELS_AS_THEY_ARE.call_once(|| gemm_common::gemm::set_lhs_packing_threshold_single_thread(256));
        let mut panels = vec![0.0; k * n];
        for columns in panel_columns(n) {
            let panel = &mut panels[columns.start * k..columns.end * k];
            for (l, out) in panel.chunks_exact_mut(columns.len()).enumerate() {
                row(l, columns.clone(), out);
            }
        }
        Self { k, n, panels }
    }
}

/// Splits `n` columns into panels of nearly equal numbers of vectors, at most four.
fn panel_columns(n: usize) -> impl Iterator<Item = Range<usize>> {
    const LANES: usize = 16;
    let vectors = n.div_ceil(LANES);
    let panels = vectors.div_ceil(4).max(1);
    let edge = move |panel: usize| (panel * vectors).div_ceil(panels) * LANES;
    (0..panels)
        .map(move |panel| edge(panel).min(n)..edge(panel + 1).min(n))
        .filter(|columns| !columns.is_empty())
}

/// A left operand whose rows, each contiguous, begin `stride` values apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub values: &'a [f32],
    pub stride: usize,
}

/// A result whose rows, each contiguous, begin `stride` values apart; what lies between stays as it is.
#[derive(Debug)]
pub(crate) struct Right<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
}

/// `C (m × n) ← A (m × k) · B (k × n)`, `a` and `c` row-major and contiguous.
///
/// # Panics
///
/// If a slice is shorter than its shape says: a bug in the caller, never bad input.
pub(crate) fn multiply(m: usize, a: &[f32], b: &Packed, c: &mut [f32], destination: Destination) {
    let (left, right) = (Left { values: a, stride: b.k }, Right { values: c, stride: b.n });
    multiply_into(m, left, b, right, destination);
}

/// Like [`multiply`], with rows that are apart.
pub(crate) fn multiply_into(m: usize, a: Left<'_>, b: &Packed, mut c: Right<'_>, destination: Destination) {
    let Packed { k, n, ref panels } = *b;
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.stride >= k && c.stride >= n && panels.len() == k * n);
    assert!(a.values.len() >= (m - 1) * a.stride + k && c.values.len() >= (m - 1) * c.stride + n);
    if n == 1 {
        return multiply_by_column([m, k], a, panels, &mut c, destination);
    }
    if m == 1 {
        let mut a2 = vec![0.0; 2 * k];
        a2[..k].copy_from_slice(&a.values[..k]);
        let mut c2 = vec![0.0; 2 * n];
        c2[..n].copy_from_slice(&c.values[..n]);
        multiply(2, &a2, b, &mut c2, destination);
        c.values[..n].copy_from_slice(&c2[..n]);
        return;
    }
    if k == 0 && destination == Destination::Overwrite {
        c.values.chunks_mut(c.stride).take(m).for_each(|row| row[..n].fill(0.0));
    }
    let blocks = k.div_ceil(INNER_BLOCK);
    for block in 0..blocks {
        let (from, to) = (block * k / blocks, (block + 1) * k / blocks);
        for columns in panel_columns(n) {
            let (panel, width) = (&panels[columns.start * k..], columns.len());
            // SAFETY: the assertions above guarantee that rows `0..m` of `a` (columns `from..to`) and of
            // `c` (columns `columns`), each a stride after the one before, lie inside their slices, and that
            // the panel holds k rows of `width` values; `c` is borrowed mutably, so it overlaps neither.
            unsafe {
                kernel(
                    [m, width, to - from],
                    (a.values[from..].as_ptr(), a.stride as isize, 1),
                    (panel[from * width..].as_ptr(), width as isize, 1),
                    (c.values[columns.start..].as_mut_ptr(), c.stride as isize),
                    block > 0 || destination == Destination::Accumulate,
                );
            }
        }
    }
}

/// `C (m × n) ← Aᵀ · B` for `A (k × m)` and `B (k × n)`, all row-major: the gradient of a weight
/// matrix from `k` rows of output gradients and inputs.
///
/// The bits depend on `k`, so callers keep the number of rows fixed.
pub(crate) fn multiply_transposed(
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    destination: Destination,
) {
    assert!(a.len() >= k * m && b.len() >= k * n && c.len() >= m * n);
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: `a` is read as an m × k matrix with row stride 1 and column stride m, which covers
    // exactly the k × m values asserted above; `b` and `c` as in `multiply`.
    unsafe {
        kernel(
            [m, n, k],
            (a.as_ptr(), 1, m as isize),
            (b.as_ptr(), n as isize, 1),
            (c.as_mut_ptr(), n as isize),
            destination == Destination::Accumulate,
        );
    }
}

/// A product with a single column as plain dot products: one order of summation for every row.
fn multiply_by_column([m, k]: [usize; 2], a: Left<'_>, b: &[f32], c: &mut Right<'_>, to: Destination) {
    for i in 0..m {
        let sum = super::vector::dot(&a.values[i * a.stride..][..k], &b[..k]) as f32;
        let out = &mut c.values[i * c.stride];
        *out = if to == Destination::Accumulate { *out + sum } else { sum };
    }
}

/// # Safety
///
/// Every element addressed through the strides must lie inside its allocation, and `c` (whose rows are
/// contiguous) must not overlap the operands.
unsafe fn kernel(
    [m, n, k]: [usize; 3],
    (a, a_row, a_column): (*const f32, isize, isize),
    (b, b_row, b_column): (*const f32, isize, isize),
    (c, c_row): (*mut f32, isize),
    accumulate: bool,
) {
    // The kernels run along the columns of a column-major result: they are handed Cᵀ = Bᵀ·Aᵀ.
    // SAFETY: forwarded from the caller; the kernel function comes from run-time CPU detection.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            n,
            m,
            k,
            c,
            c_row,
            1,
            accumulate,
            b,
            b_row,
            b_column,
            a,
            a_row,
            a_column,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// A matrix of f64 whose element (i, j) is at i·`strides[0]` + j·`strides[1]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide<'a> {
    pub values: &'a [f64],
    pub strides: [usize; 2],
}

impl Wide<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.strides[0] + (columns - 1) * self.strides[1] < self.values.len()
    }
}

/// `C (m × n) ← C + factor · A (m × k) · B (k × n)` in f64, rows of `c` contiguous and `stride` apart.
///
/// # Panics
///
/// If a slice is shorter than its shape says: a bug in the caller, never bad input.
pub(crate) fn add_product(
    [m, n, k]: [usize; 3],
    a: Wide<'_>,
    b: Wide<'_>,
    factor: f64,
    (c, stride): (&mut [f64], usize),
) {
    assert!(a.holds(m, k) && b.holds(k, n) && Wide { values: c, strides: [stride, 1] }.holds(m, n));
    assert!(stride >= n);
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    // SAFETY: the assertions above guarantee that all elements lie inside their slices; `c` is borrowed
    // mutably, so it overlaps neither operand.
    unsafe {
        gemm_f64::gemm::f64::get_gemm_fn()(
            n,
            m,
            k,
            c.as_mut_ptr(),
            stride as isize,
            1,
            true,
            b.values.as_ptr(),
            b.strides[0] as isize,
            b.strides[1] as isize,
            a.values.as_ptr(),
            a.strides[0] as isize,
            a.strides[1] as isize,
            1.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The rate, in 10⁹ floating-point operations per second, at which `threads` threads each multiply
/// 1024 × 1024 matrices at the same time: the ceiling against which `bench` reports a share.
#[must_use]
pub fn measured_peak_gflops(threads: usize) -> f64 {
    const SIZE: usize = 1024;
    let work = 2.0 * (SIZE as f64).powi(3) / 1e9;
    let per_thread = || {
        let a = vec![1.0; SIZE * SIZE];
        let b = Packed::new([SIZE; 2], &vec![0.5; SIZE * SIZE]);
        let mut c = vec![0.0; SIZE * SIZE];
        let mut best = Duration::MAX;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(400) {
            let lap = Instant::now();
            multiply(SIZE, &a, &b, &mut c, Destination::Overwrite);
            best = best.min(lap.elapsed());
        }
        work / best.as_secs_f64()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(per_thread)).collect();
        workers.into_iter().map(|w| w.join().unwrap_or(0.0)).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, salt: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|i| {
                let hash = (i ^ salt).wrapping_mul(2_654_435_761).rotate_left(13);
                (hash % 2001) as f32 / 1000.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn agrees_with_sums_in_f64() {
        for [m, n, k] in [[1, 1, 3], [1, 7, 600], [2, 1, 5], [5, 10, 784], [33, 17, 1300], [3, 4, 0]] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let start = values(m * n, 3);
            for destination in [Destination::Overwrite, Destination::Accumulate] {
                let mut c = start.clone();
                multiply(m, &a, &Packed::new([k, n], &b), &mut c, destination);
                for (i, &found) in c.iter().enumerate() {
                    let sum: f64 = (0..k).map(|l| a[i / n * k + l] as f64 * b[l * n + i % n] as f64).sum();
                    let old = if destination == Destination::Accumulate { start[i] as f64 } else { 0.0 };
                    assert!((found as f64 - sum - old).abs() < 2e-4, "{m}x{n}x{k} at {i}");
                }
            }
        }
    }

    #[test]
    fn transposed_agrees_with_sums_in_f64() {
        let [m, n, k] = [7, 13, 29];
        let (a, b) = (values(k * m, 1), values(k * n, 2));
        let mut c = vec![0.0; m * n];
        multiply_transposed([m, n, k], &a, &b, &mut c, Destination::Overwrite);
        for (i, &found) in c.iter().enumerate() {
            let sum: f64 = (0..k).map(|l| a[l * m + i / n] as f64 * b[l * n + i % n] as f64).sum();
            assert!((found as f64 - sum).abs() < 1e-5);
        }
    }

    #[test]
    fn panels_agree_with_sums_in_f64() {
        for [m, n, k] in [[2, 65, 600], [5, 130, 1030], [3, 200, 40], [7, 100, 1], [4, 64, 513]] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let transpose: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
            let (mut c, mut d) = (vec![0.0; m * n], vec![0.0; m * n]);
            multiply(m, &a, &Packed::new([k, n], &b), &mut c, Destination::Overwrite);
            multiply(m, &a, &Packed::transposed([k, n], &transpose), &mut d, Destination::Overwrite);
            assert!(c == d, "{m}x{n}x{k}");
            for (i, &found) in c.iter().enumerate() {
                let sum: f64 = (0..k).map(|l| a[i / n * k + l] as f64 * b[l * n + i % n] as f64).sum();
                assert!((found as f64 - sum).abs() < 2e-4, "{m}x{n}x{k} at {i}");
            }
        }
    }

    #[test]
    fn wide_products_agree_with_sums() {
        let [m, n, k] = [9, 17, 33];
        let wide = |count, salt| values(count, salt).iter().map(|&v| v as f64).collect::<Vec<_>>();
        let (a, b, start) = (wide(m * k, 1), wide(n * k, 2), wide(m * 20, 3));
        let mut c = start.clone();
        let (left, right) = (Wide { values: &a, strides: [k, 1] }, Wide { values: &b, strides: [1, k] });
        add_product([m, n, k], left, right, -0.5, (&mut c, 20));
        for (i, &found) in c.iter().enumerate() {
            let sum: f64 = (0..k).map(|l| a[i / 20 * k + l] * b[(i % 20).min(n - 1) * k + l]).sum();
            let expected = if i % 20 < n { start[i] - 0.5 * sum } else { start[i] };
            assert!((found - expected).abs() < 1e-13);
        }
    }

    /// The bit rule: a row has the same bits alone, among others, and wherever it stands.
    #[test]
    fn a_row_does_not_see_its_neighbours() {
        for [n, k] in [[10, 784], [200, 784], [784, 200], [10, 100], [1, 300], [16, 16], [10, 1030]] {
            let rows = 300;
            let (a, b) = (values(rows * k, 5), Packed::new([k, n], &values(k * n, 6)));
            let mut all = vec![0.0; rows * n];
            multiply(rows, &a, &b, &mut all, Destination::Overwrite);
            for m in (1..=20).chain([31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 299]) {
                let first = rows - m;
                let mut some = vec![0.0; m * n];
                multiply(m, &a[first * k..], &b, &mut some, Destination::Overwrite);
                assert!(some == all[first * n..], "m = {m}, n = {n}, k = {k}");
            }
        }
    }
}
