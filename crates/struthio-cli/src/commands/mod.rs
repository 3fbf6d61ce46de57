//! One file per command.

pub mod attack;
pub mod bench;
pub mod gradient;
pub mod inspect;
mod matrices;
mod participants;
mod pictures;
pub mod reproduce;
mod searches;
pub mod spectrum;
pub mod train;
pub mod transfer;
pub mod units;
mod verdicts;
