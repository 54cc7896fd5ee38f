//! FHIR as renkei writes and reads it: small structs to emit, narrow views to read, the constants of JP Core 1.2.0.
//!
//! Stored and delivered FHIR is JSON *text*. [`emit`] writes that text once, from borrowed strings and with
//! decimals as the source spelled them; [`view`] borrows the few elements a stop needs back out of it. Nothing
//! here parses a whole resource into a model and prints it again, and nothing here does I/O.
//!
//! Callers: the mappings build [`emit`] structs; the stops from *identify* to *route* and the sinks read [`view`].

pub mod decimal;
pub mod emit;
pub mod jp_core;
pub mod ucum;
pub mod view;

pub use decimal::Decimal;
