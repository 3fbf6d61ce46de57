//! Arithmetic shared by training and attacks: matrix products whose bits do not depend on the
//! batch, SIMD loops, random streams, and the box-constrained L-BFGS solver.

pub(crate) mod anderson;
pub(crate) mod cholesky;
pub(crate) mod definite;
pub(crate) mod elementary;
pub(crate) mod gemm;
pub(crate) mod hermitian;
pub(crate) mod lanczos;
pub(crate) mod lbfgs;
pub(crate) mod orthogonal;
pub mod random;
pub(crate) mod ready;
pub(crate) mod scratch;
pub(crate) mod simd;
pub mod statistics;
pub(crate) mod tridiagonal;
pub(crate) mod vector;

pub use gemm::measured_peak_gflops;
