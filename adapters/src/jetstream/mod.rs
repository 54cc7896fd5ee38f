//! NATS JetStream: a stream that messages are read from, a stream that posts are published to, and the
//! wake signal between hubs. Never a second store of truth: what counts is in the ledger, and a stream
//! only brings to it or takes from it.
//!
//! Started beside the other sources ([`Source`]), called by the outbox ([`build`]) and by the hub's
//! `wake` ([`carry`]). It makes no streams: their owner decides how long they keep what, and where.
//!
//! # What is read
//!
//! One HL7 v2 message per stream message, its bytes as they are, or one FHIR Bundle as JSON. A Bundle is
//! kept and gated like everything else; as long as no mapping reads Bundles it ends as `RNK-MAP-001` and
//! can be replayed later. A publisher sets `Nats-Msg-Id`, best to the control id (MSH-10): then neither
//! the server nor the hub takes a repetition for news.
//!
//! # What a reader of posts reads: `renkei-post/1`
//!
//! The body is one JSON object, the same bytes in every repetition:
//!
//! | field | is |
//! |---|---|
//! | `contract` | `renkei-post/1` |
//! | `channel` | whose timeline: the reference the channel was imported with |
//! | `kind` | kind of event: `admission`, `discharge`, … |
//! | `headline`, `text` | what people read; a correction bears 【訂正】, a cancellation 【取消】 |
//! | `urgency` | `u0` (at once) to `u3` |
//! | `occurred_at` | when it happened, RFC 3339 |
//! | `author` | `facility_id` (ten digits) and `display` of the facility that speaks |
//! | `source_note` | which system it came from, and that it is no record |
//! | `documents` | `sha256`, `media_type`, `file_name`, `size` of each document |
//!
//! Headers, none of them about a person: `Nats-Msg-Id` (the delivery; a document's part has `.d1.1` …
//! behind it), `Renkei-Contract`, `Renkei-Delivery`, `Renkei-Kind`, `Renkei-Version` (of the notice, from
//! 1), `Renkei-Change` (`first`, `corrected`, `cancelled`, `wrong_patient`) and, on all but a first
//! telling, `Renkei-Replaces` (the delivery of the first one).
//!
//! Documents come before their post, on the post's subject with `.document` behind it, as parts of at
//! most 512 KiB: `Renkei-Document` is the SHA-256 of the whole, `Renkei-Part` is `2/3`.
//!
//! A reader takes the same `Nats-Msg-Id` for the same message, replaces what it shows under
//! `Renkei-Replaces` by a higher `Renkei-Version`, and shows unknown fields to nobody. A new version of
//! the contract is a new name.
//!
//! # What the server's word is worth
//!
//! The server drops a repeated `Nats-Msg-Id` within the stream's `duplicate_window` (two minutes unless
//! its owner says otherwise; an hour or more is advised, the hub warns below that). Later repetitions
//! are for the reader to recognise. `nats-server` 2.9, as in Debian 12, acknowledges a publication when
//! the operating system has it, not the disk: a power cut on that machine may lose the last ones, as no
//! single server of that version syncs each write. A cluster with three replicas, or a publisher that
//! repeats what nobody read, is the remedy; renkei claims no more than "the server has acknowledged it".

mod config;
mod connection;
mod frame;
mod intake;
mod signal;
mod sink;
mod source;
mod subject;
#[cfg(test)]
mod tests;
mod window;

pub use config::{Begin, FacilityByToken, Sink as SinkConfig, Source as SourceConfig, Wake};
pub use connection::{Auth, Connection, Identity, User, may_be_logged};
pub use signal::carry;
pub use sink::build;
pub use source::Source;
