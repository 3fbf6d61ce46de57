//! Loops compiled for the widest vectors of the processor they run on.

/// Runs `body` with the vector instructions found at run time.
///
/// `body` should be a plain loop over slices of functions marked `#[inline(always)]`; the compiler
/// vectorises it once per instruction set. Elementwise loops give the same bits on each of them,
/// because nothing here is reassociated and [`f32::mul_add`] rounds once everywhere.
pub(crate) fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}
