//! Examples: images with pixels in \[0, 1\] and labels.

mod dataset;
mod idx;
mod mnist;
mod spec;

pub use dataset::{Dataset, Pixels};
pub use idx::{IdxArray, parse_idx};
pub use mnist::{mnist_test, mnist_train};
pub use spec::{DataSpec, Split};
