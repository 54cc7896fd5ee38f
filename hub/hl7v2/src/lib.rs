//! HL7 v2.5 as Japan writes it: decode, tokenize, unescape, build. Pure.
//!
//! The order is fixed: [`charset::decode`] turns bytes into text, and only then is the text split
//! ([`tokenize::Message::parse`]). 8.5 % of the JIS X 0208 characters contain a byte equal to one
//! of `| ^ ~ \ &`, so a splitter working on bytes breaks practically every Tokyo message.
//!
//! Called by the mappings (read), by the MLLP and SS-MIX2 adapters ([`peek::peek`], [`build::ack`])
//! and by the simulators ([`build`]). Nothing here does I/O, reads a clock or logs; nothing panics
//! on any input; error and finding texts never contain data of the message.
//!
//! ```
//! use renkei_hl7v2::{Message, datatypes::Xpn, decode, split_messages};
//!
//! let raw = b"MSH|^~\\&|SIM||||||ADT^A08|1|P|2.5||||||~ISO IR87\rPID|1||77||\x1b$B;3K\\\x1b(B^\x1b$B5~;R\x1b(B\r";
//! let decoded = decode(raw);
//! for text in split_messages(&decoded.text) {
//!     let message = Message::parse(text)?;
//!     let pid = message.first("PID").expect("this one has a PID");
//!     assert_eq!(Xpn::new(pid.field(5).repetition(1)).text(), "山本 京子");
//!     assert_eq!(pid.at(5).to_string(), "PID-5");
//!     assert_eq!(decoded.located(&message).count(), 0);
//! }
//! # Ok::<(), renkei_hl7v2::ParseError>(())
//! ```

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
