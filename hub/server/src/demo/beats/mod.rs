//! The story in eight beats, each in a room of its own.

pub mod admission;
pub mod correction;
pub mod discharge;
pub mod foot;
pub mod outage;
pub mod plan;
pub mod refusals;
pub mod rewalk;
