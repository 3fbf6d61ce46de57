//! Running async routines whose awaits are all answered at once.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The output of a future that never waits for anything outside itself.
///
/// Only for futures of this crate whose objective is evaluated on the spot; such a future is ready
/// at its first poll, so the loop below runs once.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
