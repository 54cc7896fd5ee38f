//! The cases under `fixtures/` through the mappings, and what must hold for any bytes.
//!
//! A case is a folder with `case.toml` (what it shows, which mapping, path and sidecar), `input.*` and
//! `expected.json`. `RENKEI_UPDATE_FIXTURES=1 cargo test -p renkei-mappings` writes the expected files anew;
//! the difference is then read by a person.

#![expect(
    clippy::disallowed_methods,
    reason = "cases are read from files; only the mappings themselves do no I/O"
)]

#[cfg(test)]
mod cases;
#[cfg(test)]
mod expected;
#[cfg(test)]
mod local;
#[cfg(test)]
mod local_bytes;
#[cfg(test)]
mod local_mistakes;
#[cfg(test)]
mod local_page;
#[cfg(test)]
mod properties;
