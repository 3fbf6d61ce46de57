//! The paper's experiments, in its order: Szegedy et al., *Intriguing properties of neural
//! networks* (2013).

mod reproduce;
mod table1;
mod table5;
mod transfer;
mod units;

pub use reproduce::{Event, Mnist, ReproduceSettings, Reproduction, reproduce};
pub use table1::{NetworkReport, PAPER_TABLE_1, PaperNetwork, PaperRow, SeedResult, Table1, Table1Row};
pub use table5::{PAPER_TABLE_5, PaperLayer, table5};
pub use transfer::{
    Claim, Figure7, Figure7Panel, HalfResult, HalfRow, HalfSplit, Matrices, PAPER_NOISE_ACCURACY,
    PAPER_TABLE_2, PAPER_TABLE_4, PaperHalf, PaperMatrix, PaperMatrixRow, TransferTables, Verdict,
};
pub use units::{AlexNet, NetworkUnits, UnitsStudy};
