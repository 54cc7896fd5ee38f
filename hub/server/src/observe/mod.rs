//! Watching a hub: figures for Prometheus, health and readiness for whatever restarts it, alarms for
//! people, traces for developers.
//!
//! Called by `hub` (builds and runs it) and, at each stop of the walk, by the rooms ([`meter`], which
//! counts per group). It only looks: nothing here decides about a message, nothing here holds up the
//! walk, and a failure here never ends the hub. No label, log line or answer holds patient data.

pub mod config;
pub(crate) mod meter;
pub(crate) mod pulse;
mod server;

pub(crate) use server::Listener;
