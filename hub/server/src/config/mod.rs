//! `renkei.toml`: typed, checked, and turned into what the rooms need.

pub mod check;
mod dialects;
pub mod file;
pub mod rehearsal;
pub mod setup;

pub use check::{Checked, Problem};
pub use setup::{FacilitySetup, Settle, Setup, SinkMode, SinkSetup};
