//! HL7 v2.5 as Japan writes it: decode, tokenize, unescape, build. Pure.
//!
//! The order is fixed: [`charset::decode`] turns bytes into text, and only then is the text split
//! ([`tokenize::Message::parse`]). 8.5 % of the JIS X 0208 characters contain a byte equal to one
//! of `| ^ ~ \ &`, so a splitter working on bytes breaks practically every Tokyo message.
//!
//! Called by the mappings (read), by the MLLP and SS-MIX2 adapters ([`peek::peek`], [`build::ack`])
//! and by the simulators ([`build`]). Nothing here does I/O, reads a clock or logs; nothing panics
//! on any input; error and finding texts never contain data of the message.

pub mod ack;
pub mod batch;
pub mod build;
pub mod charset;
pub mod datatypes;
pub mod encode;
pub mod escape;
pub mod kana;
pub mod location;
pub mod peek;
pub mod tokenize;
pub mod view;

pub use batch::split_messages;
pub use charset::{Charset, Decoded, decode};
pub use location::Location;
pub use peek::{Peek, peek};
pub use tokenize::{Message, ParseError, Segment};
pub use view::{Component, Field, Repetition, Subcomponent};
