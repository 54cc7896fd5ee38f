//! Looking at files and reading them, on a thread that may block.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use renkei_core::limits::KEPT_OF_GIANT;
use tokio::time::Instant;

/// What a look at a file shows: two equal looks mean that nobody is writing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change, milliseconds since 1970.
    pub changed_ms: i64,
}

impl From<&std::fs::Metadata> for Look {
    fn from(metadata: &std::fs::Metadata) -> Self {
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self {
            size: metadata.len(),
            changed_ms: match changed.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => millis(after),
                Err(before) => -millis(before.duration()),
            },
        }
    }
}

/// A file that is watched until it stands still.
#[derive(Debug, Clone, Copy)]
pub struct Standstill {
    look: Look,
    since: Instant,
}

impl Standstill {
    /// Begins with a first look.
    pub fn new(look: Look) -> Self {
        Self {
            look,
            since: Instant::now(),
        }
    }

    /// Takes another look: whether the file is not empty and has looked the same for `stable`.
    pub fn again(&mut self, look: Look, stable: Duration) -> bool {
        if look != self.look {
            *self = Self::new(look);
        }
        look.size > 0 && self.since.elapsed() >= stable
    }

    /// How long it has looked the same.
    pub fn lasts(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Looks at a file without opening it. Links are not followed.
///
/// # Errors
/// The operating system's; also when it is no regular file.
pub fn look(path: &Path) -> std::io::Result<Look> {
    let metadata = std::fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    Ok(Look::from(&metadata))
}

/// [`look`] at what a link points to, for a reader that has checked where the link leads.
///
/// # Errors
/// As [`look`].
pub fn look_behind_links(path: &Path) -> std::io::Result<Look> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    Ok(Look::from(&metadata))
}

/// A file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// All of them.
    Whole(Bytes),
    /// The file is larger than the limit: its first [`KEPT_OF_GIANT`] bytes.
    TooLarge(Bytes),
    /// It changed between the look and the end of reading: look again.
    Changed,
}

/// Reads a file that looked like `expected`, at most `limit` bytes of it.
///
/// # Errors
/// The operating system's.
pub fn read(path: &Path, expected: Look, limit: u64) -> std::io::Result<Read> {
    let mut file = File::open(path)?;
    if Look::from(&file.metadata()?) != expected {
        return Ok(Read::Changed);
    }
    let too_large = expected.size > limit;
    let wanted = if too_large {
        expected.size.min(KEPT_OF_GIANT as u64)
    } else {
        expected.size
    };
    let mut body = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
    file.by_ref().take(wanted).read_to_end(&mut body)?;
    if body.len() as u64 != wanted || Look::from(&file.metadata()?) != expected {
        return Ok(Read::Changed);
    }
    Ok(if too_large {
        Read::TooLarge(Bytes::from(body))
    } else {
        Read::Whole(Bytes::from(body))
    })
}

/// Whether the last byte is one that HL7 files end with (CR, LF, 0x1C, or the leftovers 0x1A and
/// NUL after one): a file cut short in the middle of a segment does not.
pub fn ends_like_hl7(body: &[u8]) -> bool {
    matches!(body.last(), Some(b'\r' | b'\n' | 0x1c | 0x1a | 0))
}
