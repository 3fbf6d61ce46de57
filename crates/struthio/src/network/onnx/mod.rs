//! ONNX in and out.
//!
//! Models are read at run time from the protobuf messages themselves, so that every complaint can
//! name the node and the tensor as the file does.

mod export;
mod import;
mod input;
mod lower;
mod opsets;
mod proto;
mod tensors;
#[cfg(test)]
mod tests;

pub use export::write;
pub use import::{read, read_bytes, read_for};
pub use input::InputShape;
