//! `renkei.toml`: typed, checked, and turned into what the rooms need.

pub mod check;
pub mod file;
pub mod rehearsal;
pub mod setup;

pub use check::{Checked, Problem};
pub use setup::{FacilitySetup, Settle, Setup, SinkMode, SinkSetup};
