//! Section 4.2: what was made for one network, shown to others.
//!
//! `published.rs` has the paper's tables, `networks.rs` trains and attacks what Table 1 does not have,
//! `tables.rs` fills the matrices, `figure7.rs` makes the pictures, and `claims.rs` judges what the
//! paper says of them, by thresholds that were fixed before anything was measured.

mod claims;
mod figure7;
mod networks;
mod published;
mod tables;

pub use claims::{Claim, Verdict};
pub use figure7::{Figure7, Figure7Panel};
pub use networks::{HalfResult, HalfRow, HalfSplit};
pub use published::{
    PAPER_NOISE_ACCURACY, PAPER_TABLE_2, PAPER_TABLE_4, PaperHalf, PaperMatrix, PaperMatrixRow,
};
pub(super) use tables::transfer;
pub use tables::{Matrices, TransferTables};
