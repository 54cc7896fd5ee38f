//! A peer's dialect: the calls of a contract in the peer's own words.
//!
//! An adapter speaks a contract (`adapters/sim/CONTRACT.md`) in Rust and decides what is called and when. A
//! [`Wire`] only changes what goes over the line: paths, headers, bodies, and how an answer is read. It is
//! made from a file by the mappings, used by the HTTP client of the adapters, and does neither I/O nor
//! waiting.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::Code;

/// A dialect that was loaded and checked.
pub trait Wire: fmt::Debug + Send + Sync {
    /// Where the OAuth2 token is asked for: a path.
    fn token_path(&self) -> &str;
    /// How calls are signed; `None` = not at all.
    fn signature(&self) -> Option<&Signature>;
    /// A call of the contract in the peer's words. The same call gives the same bytes.
    ///
    /// # Errors
    /// [`Unspeakable`] when the contract has no such call, or a value cannot be said.
    fn request(&self, call: &Asked<'_>) -> Result<Spoken, Unspeakable>;
    /// The question after what became of a call that is answered later.
    ///
    /// # Errors
    /// [`Unspeakable`] when nothing is answered later in this dialect.
    fn poll(&self, call: CallId, ticket: &str) -> Result<Spoken, Unspeakable>;
    /// What an answer means; `polled` when it answers [`Wire::poll`].
    fn read(&self, call: CallId, polled: bool, status: u16, body: &[u8]) -> Reading;
}

/// Which call of its contract something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallId(pub usize);

/// A call as the contract has it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// Path and query, percent-encoded: `/v1/patient-groups/g%201?limit=1`.
    pub path: &'a str,
    /// The idempotency key, where the contract has one.
    pub key: Option<&'a str>,
    /// What it carries.
    pub body: AskedBody<'a>,
}

/// The body of a call as the contract has it.
pub enum AskedBody<'a> {
    /// None.
    Nothing,
    /// JSON text.
    Json(&'a str),
    /// A document.
    File {
        /// JSON text that goes with it, where the contract has some.
        meta: Option<&'a str>,
        /// Lower-case hex SHA-256 of the bytes.
        sha256: &'a str,
        /// Name for the peer; holds no patient data.
        file_name: &'a str,
        /// Media type.
        media_type: &'a str,
        /// The document.
        bytes: &'a Bytes,
    },
}

impl fmt::Debug for AskedBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Json(_) => "Json",
            Self::File { .. } => "File",
        })
    }
}

/// A call in the peer's words.
#[derive(Clone)]
pub struct Spoken {
    /// Which call it is.
    pub call: CallId,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Path and query, percent-encoded; always begins with one slash.
    pub path: String,
    /// Names and values of headers beside those every call has.
    pub headers: Vec<(String, String)>,
    /// The media type of the body; `None` without a body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spoken({} {} bytes)", self.method, self.body.len())
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Yes; JSON text in the words of the contract.
    Answer(String),
    /// Taken over; what became of it is asked for with the ticket.
    Later {
        /// What the peer calls it.
        ticket: String,
        /// How long to wait before asking.
        every: Duration,
    },
    /// The question after a ticket came too early.
    Working {
        /// How long to wait before asking again.
        every: Duration,
    },
    /// No, in the words of the contract.
    Refused {
        /// Status.
        status: u16,
        /// Code.
        code: &'static str,
    },
    /// The dialect says nothing of it: its HTTP status means what it always means.
    ByStatus,
    /// An answer of another shape; the text says where, without data.
    Unreadable(String),
}

/// A call cannot be said in this dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {at}")]
pub struct Unspeakable {
    /// The reason.
    pub code: Code,
    /// Which call, and where in it; no data.
    pub at: String,
}

/// How a call is signed: HMAC-SHA256 over some of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The header that carries it.
    pub header: String,
    /// Text before it: `v1=`.
    pub prefix: String,
    /// How its bytes are written.
    pub letters: Letters,
    /// The header that carries the time, in Unix seconds.
    pub time_header: Option<String>,
    /// What is signed, in this order.
    pub over: Vec<Signed>,
    /// What stands between the parts.
    pub between: String,
}

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// A part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// `POST`.
    Method,
    /// Path and query as sent.
    Path,
    /// Unix seconds.
    Time,
    /// The body, byte for byte.
    Body,
    /// Lower-case hex SHA-256 of the body.
    BodySha256,
}

/// Percent-encodes everything but RFC 3986's unreserved characters, so that a text stays one segment.
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Undoes [`encode`]; `None` when it is not percent-encoded UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let hex = std::str::from_utf8(behind.get(..2)?).ok()?;
        if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = behind.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment_and_comes_back() {
        for id in ["g-1", "a/b?c=山&..", "100%", ""] {
            let encoded = encode(id);
            assert!(!encoded.contains(['/', '?', '&', '#']), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(id));
        }
        for bad in ["%", "%4", "%zz", "%+1", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
