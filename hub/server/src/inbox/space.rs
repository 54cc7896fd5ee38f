//! Accepting stops before the disk is full, so that what was accepted can still be processed.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use renkei_core::limits;

/// How long one look at the disk is believed.
const BELIEVED: SignedDuration = SignedDuration::from_secs(1);

/// Watches the free space where the ledger lies.
#[derive(Debug)]
pub struct Space {
    folder: PathBuf,
    last: Mutex<Option<(Timestamp, bool)>>,
}

impl Space {
    /// Watches the file system of `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            last: Mutex::new(None),
        }
    }

    /// For tests: what it believes at `at`.
    #[cfg(test)]
    pub(super) fn believing(at: Timestamp, enough: bool) -> Self {
        Self {
            folder: PathBuf::from("nowhere"),
            last: Mutex::new(Some((at, enough))),
        }
    }

    /// Whether there is room to accept. When the file system cannot be asked, the database will say.
    pub fn is_enough(&self, now: Timestamp) -> bool {
        let mut last = match self.last.lock() {
            Ok(last) => last,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some((at, enough)) = *last
            && now.duration_since(at).abs() < BELIEVED
        {
            return enough;
        }
        let enough = free(&self.folder).is_none_or(|free| free.is_enough());
        *last = Some((now, enough));
        enough
    }
}

/// What a file system says about its space.
#[derive(Debug, Clone, Copy)]
pub struct Free {
    /// Free for us, in bytes.
    pub bytes: u64,
    /// Its size, in bytes.
    pub of: u64,
}

impl Free {
    /// Whether there is room to accept.
    pub fn is_enough(&self) -> bool {
        has_room(self.bytes, self.of / 100 * limits::FREE_SPACE_SHARE)
    }
}

/// The space of the file system that `folder` lies on; `None` when it cannot be asked.
pub fn free(folder: &Path) -> Option<Free> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(Free {
        bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        of: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

fn has_room(free: u64, share: u64) -> bool {
    free >= limits::FREE_SPACE_BYTES.max(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_cannot_be_asked_does_not_stop_the_door() {
        let space = Space::new(PathBuf::from("/nowhere/at/all"));
        assert!(space.is_enough(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn the_larger_of_a_gibibyte_and_five_percent_must_be_free() {
        let gibibyte = limits::FREE_SPACE_BYTES;
        assert!(has_room(gibibyte, gibibyte / 2) && !has_room(gibibyte - 1, 0));
        assert!(!has_room(gibibyte, 2 * gibibyte));
    }
}
