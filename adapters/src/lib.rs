//! Both ends of the walk: one folder per outside system.
//!
//! Sources ([`mllp`], [`ssmix2`], [`folder`], [`push`]) bring messages to the hub's inbox; peers ([`mcs`],
//! [`vital_link`], [`ward`]) have both halves; [`jetstream`] is a source and a sink of its own each. Every source keeps [`contract`]. Nothing here maps,
//! stores or decides: bytes go in as they came, posts go out as they were framed.

// Sources and what they share.
pub mod contract;
pub mod exposure;
pub mod files;
pub mod folder;
pub mod jetstream;
pub mod local_id;
pub mod mllp;
pub mod push;
mod rows;
pub mod split;
pub mod ssmix2;
pub mod tls;

// Peers and what they share.
pub mod http;
pub mod mcs;
mod news;
mod post;
pub mod problem;
pub mod secret;
#[cfg(test)]
mod testing;
pub mod vital_link;
pub mod ward;

/// The two halves of a peer: what is sent to it, and what it sends back.
pub type Ends = (
    std::sync::Arc<dyn renkei_core::Sink>,
    Option<std::sync::Arc<dyn renkei_core::Source>>,
);
