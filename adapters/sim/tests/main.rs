//! The simulators held to `CONTRACT.md` over real sockets: one test per rule.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "peers/faults.rs"]
mod faults;
#[path = "peers/harness.rs"]
mod harness;
#[path = "peers/hospital.rs"]
mod hospital;
#[path = "peers/hospital_messages.rs"]
mod hospital_messages;
#[path = "peers/mcs.rs"]
mod mcs;
#[path = "peers/mcs_reads.rs"]
mod mcs_reads;
#[path = "peers/vital_link.rs"]
mod vital_link;
#[path = "peers/ward.rs"]
mod ward;
