//! Examples: images with pixels in \[0, 1\] and labels.
//!
//! [`DataSpec`] names a data set and loads it: MNIST (`mnist.rs`, built in), files of arrays
//! (`files.rs`, with `npy.rs`, `idx.rs` and `array.rs`) or folders of images (`folder.rs`; `picture.rs`
//! decodes, `resize.rs` scales, `canvas.rs` brings them to what a model wants); `attributes.rs` gives other
//! labels, `shrink.rs` makes images small enough to be shown and compared. Nothing is believed of a file before
//! its length allows it, and nothing is held twice.

mod array;
mod attributes;
mod canvas;
mod channels;
mod classes;
mod dataset;
mod files;
mod folder;
mod idx;
mod layout;
mod loading;
mod mnist;
mod npy;
mod picture;
mod problems;
mod resize;
mod shrink;
mod spec;
mod table;

pub use attributes::with_attribute;
pub use channels::{channel_axis, channels_assumed, for_each_channel};
pub use classes::ClassNames;
pub(crate) use classes::class_name;
pub use dataset::{Dataset, Pixels};
pub use idx::{IdxArray, parse_idx};
pub use loading::{Loading, Wanted};
pub use mnist::{mnist_test, mnist_train};
pub use shrink::shrunken;
pub use spec::{DataSpec, Split};
