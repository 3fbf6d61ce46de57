//! The paper's experiments, in its order: Szegedy et al., *Intriguing properties of neural
//! networks* (2013).

mod reproduce;
mod table1;

pub use reproduce::{Event, Mnist, ReproduceSettings, Reproduction, reproduce};
pub use table1::{NetworkReport, PAPER_TABLE_1, PaperNetwork, PaperRow, SeedResult, Table1, Table1Row};
