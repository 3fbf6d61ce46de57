//! ONNX in and out.
//!
//! Models are read at run time from the protobuf messages themselves, so that every complaint can
//! name the node and the tensor as the file does.

mod export;
mod import;
mod input;
mod lower;
mod opsets;
mod outputs;
#[cfg(test)]
mod outputs_tests;
mod proto;
mod tensors;
#[cfg(test)]
mod tests;

pub use export::write;
pub use import::{Options, read, read_bytes, read_with};
pub use input::InputShape;
pub use outputs::ModelOutput;
