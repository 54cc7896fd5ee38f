//! End to end: the real binary in its own process, real sockets, real files, simulated peers on
//! loopback. Compiled by `hub/server`, so that cargo hands over the binary it has just built.
//!
//! No test sleeps to wait for something: it awaits a condition and fails when that does not come true.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod bad_input;
mod beds;
mod cli;
mod conservation;
mod crash;
mod damages;
mod delivery;
mod demo;
mod dialects;
mod faults;
mod harness;
mod hub;
mod hubs;
mod intake;
mod jetstream;
mod keep;
mod labs;
mod load;
mod observe;
mod office;
mod oracle;
mod peers;
mod people;
mod posts;
mod power;
mod push;
mod sender;
mod stores;
mod story;
#[cfg(feature = "otel")]
mod traces;
mod walk;
