//! The simulated other ends: mcs, vital_link, ward, hospital; and a real NATS server. Loopback only.
//!
//! `renkei sim NAME`, the demo and the tests start these; nothing in the hub depends on them.
//! The peers hold every sender to `CONTRACT.md` beside this crate; `/_sim/*` shows what arrived,
//! makes people act and makes things go wrong. State lives in memory and dies with the process.
//! No vendor's product is imitated: where no public interface exists the contract is this project's.

mod dialect;
mod doors;
mod feed;
mod gate;
mod hash;
pub mod hospital;
mod http;
pub mod mcs;
pub mod nats;
mod refusal;
mod request;
mod second;
mod seed;
mod state;
mod uploads;
pub mod vital_link;
pub mod ward;
mod webhook;

pub use dialect::Dialect;
pub use http::{Running, SimError};
pub use second::Second;
pub use seed::{
    Client, Facility, GroupKind, GroupStatus, Member, PatientHeader, Seed, Team, Webhook,
};
pub use state::Limits;
