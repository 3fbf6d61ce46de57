//! One file per command.

pub mod attack;
pub mod bench;
pub mod gradient;
pub mod inspect;
pub mod reproduce;
pub mod spectrum;
pub mod train;
