//! What is attacked: graphs of ops, their planned execution, ONNX in and out, the paper's zoo.

mod architecture;
mod classifier;
mod convolutional;
mod graph;
mod head;
mod layout;
mod loss;
mod measure;
mod model;
pub mod onnx;
pub mod ops;
mod plan;
mod reordered;
mod steepness;

pub(crate) use architecture::initial_linear;
pub use architecture::{Activation, Architecture, Family};
pub use classifier::{Classifier, InputSpec, Session, argmax};
pub use convolutional::Convolutional;
pub use graph::{Graph, Node, ValueId};
pub use head::OutputKind;
pub use loss::Loss;
pub use measure::{Measured, measure};
pub use model::Network;
pub use plan::{ParameterGradients, Plan, Wanted};
pub use reordered::Reordered;
