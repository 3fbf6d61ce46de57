//! Examples: images with pixels in \[0, 1\] and labels.
//!
//! [`DataSpec`] names a data set and loads it: MNIST (`mnist.rs`, built in), files of arrays
//! (`files.rs`, with `npz.rs`, `npy.rs`, `idx.rs` and `array.rs`; `cifar.rs`; `hub.rs` for Parquet) or folders of images (`folder.rs`; `listing.rs` finds them, `picture/`
//! decodes, `resize.rs` scales, `canvas.rs` brings them to what a model wants); `attributes.rs` gives other
//! labels, `shrink.rs` makes images small enough to be shown and compared. Nothing is believed of a file before
//! its length allows it. `intake.rs` looks at all images once; those of large sets are read again when they are asked
//! for (`store.rs`).

mod array;
mod array_names;
mod attributes;
mod canvas;
mod changes;
mod channels;
mod cifar;
mod classes;
mod dataset;
mod element;
mod files;
mod folder;
mod fortran;
mod hub;
mod idx;
mod imagenet;
mod ink;
mod intake;
mod labels;
mod layout;
mod listing;
mod loading;
mod mnist;
mod names;
mod npy;
mod npz;
mod pages;
mod paint;
mod part;
mod picture;
mod png_file;
mod problems;
mod resize;
mod rows;
mod shrink;
mod spec;
mod spool;
mod store;
mod table;
mod thrift;

pub use array_names::ArrayNames;
pub use attributes::with_attribute;
pub use channels::{channel_axis, channels_assumed, for_each_channel};
pub use classes::ClassNames;
pub(crate) use classes::class_name;
pub use dataset::Dataset;
pub use idx::{IdxArray, parse_idx};
pub use ink::looks_inverted;
pub use loading::{Loading, Wanted};
pub use mnist::{mnist_test, mnist_train};
pub use png_file::PngShape;
pub use shrink::shrunken;
pub use spec::{DataSpec, Split};
pub use store::Pixels;
