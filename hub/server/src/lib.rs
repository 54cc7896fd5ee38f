//! renkei (連携): the hub between the systems of home care. Read `pipeline` first: it is the walk of a
//! message in one page.

/// A hub takes and gives back memory all the time, on several threads: this allocator does it with less
/// work than that of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod backup;
pub mod beds;
pub mod bench;
pub mod cli;
pub mod compose;
pub mod config;
pub mod demo;
pub mod engine;
pub mod hands;
pub mod hub;
pub mod identify;
pub mod inbox;
pub mod killpoint;
pub mod load;
pub mod normalize;
pub mod observe;
pub mod outbox;
pub mod pipeline;
pub mod record;
#[cfg(test)]
mod rehearsal;
pub mod retention;
pub mod route;
pub(crate) mod share;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod wake;
pub mod world;
