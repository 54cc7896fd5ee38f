//! What the readers of folders and storages share: names as people see them, when a file is
//! complete, what kind of document it is, and reading without surprises.

mod media_type;
mod name;
mod read;

pub use media_type::media_type;
pub use name::{as_text, has_hidden_name};
pub use read::{Look, Read, Standstill, ends_like_hl7, look, look_behind_links, read};

use std::fmt::Write as _;

/// A short key for notes: the first 16 bytes of a hash, in hexadecimal. Names of files carry patient
/// numbers; their hash does not show them.
pub fn hash_key(hash: &[u8; 32]) -> String {
    hash[..16].iter().fold(String::new(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    })
}

/// [`hash_key`] of several parts, none of which can run into the next.
pub fn hash_parts(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0x1f]);
    }
    hash_key(&hasher.finalize().into())
}

/// Runs file work where it may block.
///
/// # Errors
/// The work's own; also when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(problem) => Err(std::io::Error::other(problem)),
    }
}
