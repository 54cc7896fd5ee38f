//! Big bytes (documents, long messages) in a content-addressed folder beside the database. A file is
//! written and synced, and its folder synced, before any row names it.

use std::collections::HashSet;
use std::fs::DirEntry;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::StoreError;

/// A content-addressed store.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Stores bytes durably and returns their SHA-256 in lower-case hex. Storing again is cheap and
    /// syncs again: an earlier writer may have died before its sync.
    async fn put(&self, bytes: Bytes) -> Result<String, BlobError>;
    /// Reads bytes and checks them against their name.
    async fn get(&self, sha256: &str) -> Result<Bytes, BlobError>;
}

/// The store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("no blob of this name")]
    Missing,
    /// The bytes are not those of their name.
    #[error("the blob is damaged")]
    Damaged,
    /// The ledger that keeps it says no.
    #[error("the blob store could not be reached")]
    Ledger(#[source] renkei_core::BoxError),
    /// The file system says no.
    #[error("the blob store failed")]
    Io(#[from] std::io::Error),
}

impl BlobError {
    /// Whether there is only no room, or no way to the ledger that keeps it: that passes.
    pub fn is_no_room(&self) -> bool {
        let error = match self {
            Self::Ledger(_) => return true,
            Self::Io(error) => error,
            Self::Missing | Self::Damaged => return false,
        };
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        )
    }

    /// Whether a blob that could not be read may be whole: what is missing is a permission or a means
    /// of this process.
    pub fn is_passing(&self) -> bool {
        /// `EMFILE` and `ENFILE`: too many open files.
        const TOO_MANY_FILES: [i32; 2] = [24, 23];
        let error = match self {
            Self::Ledger(_) => return true,
            Self::Io(error) => error,
            Self::Missing | Self::Damaged => return false,
        };
        let number = error.raw_os_error();
        number.is_some_and(|number| TOO_MANY_FILES.contains(&number))
            || matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::OutOfMemory
            )
    }
}

/// A blob that cannot be written: there is no room, or the disk cannot be trusted any more.
impl From<BlobError> for StoreError {
    fn from(error: BlobError) -> Self {
        if error.is_no_room() {
            Self::Full(Box::new(error))
        } else {
            Self::Broken(Box::new(error))
        }
    }
}

/// Blobs in a folder, `ab/abcdef…`, readable by the hub's user only.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
    /// The folders whose names are known to be on the disk.
    kept: Arc<Mutex<HashSet<PathBuf>>>,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// A store below `data_dir/blobs`.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            root: Arc::from(data_dir.join("blobs")),
            kept: Arc::default(),
        }
    }

    fn path(&self, sha256: &str) -> Option<PathBuf> {
        let right = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        right.then(|| self.root.join(&sha256[..2]).join(sha256))
    }

    /// Stores bytes; blocks.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, bytes: &[u8]) -> Result<String, BlobError> {
        let sha256 = HEXLOWER.encode(&Sha256::digest(bytes));
        let path = self.path(&sha256).ok_or(BlobError::Damaged)?;
        let folder = path.parent().ok_or(BlobError::Damaged)?;
        self.keep(folder)?;
        // From here on until its time is new nobody removes it.
        let turnstile = turnstile(folder)?;
        turnstile.lock_shared()?;
        if std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            let stored = std::fs::File::open(&path)?;
            stored.set_modified(now())?;
            stored.sync_all()?;
        } else {
            let temporary = folder.join(format!(
                ".{}-{}",
                std::process::id(),
                SERIAL.fetch_add(1, Ordering::Relaxed)
            ));
            let mut file = std::fs::File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            let written = file
                .write_all(bytes)
                .and_then(|()| file.sync_all())
                .and_then(|()| std::fs::rename(&temporary, &path));
            if let Err(error) = written {
                let _gone = std::fs::remove_file(&temporary);
                return Err(error.into());
            }
        }
        sync(folder)?;
        Ok(sha256)
    }

    /// Makes the folder of a blob and syncs every name on the way to it. Whoever comes second waits: a
    /// folder that is there may be one whose name the disk does not know yet.
    fn keep(&self, folder: &Path) -> std::io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains(folder) {
            return Ok(());
        }
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        sync(&self.root)?;
        if let Some(data_dir) = self.root.parent() {
            sync(data_dir)?;
        }
        kept.insert(folder.to_owned());
        Ok(())
    }

    /// Reads bytes; blocks.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`], or as the file system says.
    pub fn read(&self, sha256: &str) -> Result<Bytes, BlobError> {
        let path = self.path(sha256).ok_or(BlobError::Missing)?;
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(BlobError::Missing);
            }
            Err(error) => return Err(error.into()),
        };
        if HEXLOWER.encode(&Sha256::digest(&bytes)) == sha256 {
            Ok(bytes.into())
        } else {
            Err(BlobError::Damaged)
        }
    }

    /// The names in one shard of the store (`00` to `ff`) that were stored `age` ago or earlier; leftovers of
    /// unfinished writes are removed on the way.
    ///
    /// # Errors
    /// As the file system says.
    pub fn older_than(
        &self,
        shard: u8,
        now: SystemTime,
        age: Duration,
    ) -> Result<Vec<String>, BlobError> {
        let mut names = Vec::new();
        let folder = self.root.join(format!("{shard:02x}"));
        for file in listed(&folder)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            if !is_old(&file.path(), now, age)? || name == LOCK {
                continue;
            }
            if self.path(&name).is_some() {
                names.push(name);
            } else if name.starts_with('.') {
                let _gone = std::fs::remove_file(file.path());
            }
        }
        Ok(names)
    }

    /// Removes a blob, unless it was stored again since: whoever stores bytes names them soon. Returns
    /// whether it went.
    ///
    /// # Errors
    /// As the file system says.
    pub fn remove(&self, sha256: &str, now: SystemTime, age: Duration) -> Result<bool, BlobError> {
        let path = self.path(sha256).ok_or(BlobError::Missing)?;
        let folder = path.parent().ok_or(BlobError::Damaged)?;
        let lock = match turnstile(folder) {
            // Nothing was ever stored there: not in this folder, at least.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            lock => lock?,
        };
        lock.lock()?;
        let old = is_old(&path, now, age)?;
        if old {
            std::fs::remove_file(&path)?;
        }
        Ok(old)
    }

    /// Taken by whoever removes blobs; `None` while a backup copies them.
    ///
    /// # Errors
    /// As the file system says.
    pub fn sweeping(&self) -> Result<Option<std::fs::File>, BlobError> {
        let lock = self.gate()?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Taken by whoever copies blobs: none is removed meanwhile. Waits for the end of a sweep; blocks.
    ///
    /// # Errors
    /// As the file system says.
    pub fn copying(&self) -> Result<std::fs::File, BlobError> {
        let lock = self.gate()?;
        lock.lock_shared()?;
        Ok(lock)
    }

    fn gate(&self) -> std::io::Result<std::fs::File> {
        std::fs::create_dir_all(&self.root)?;
        turnstile(&self.root)
    }

    /// The file of a blob, for whoever copies it.
    pub fn file(&self, sha256: &str) -> Option<PathBuf> {
        self.path(sha256)
    }
}

/// Beside the blobs of a shard: who stores goes through together, who removes goes through alone.
const LOCK: &str = ".lock";

/// The file system's clock: ages of files are told by it.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times of files, which no other clock wrote"
)]
pub fn now() -> SystemTime {
    SystemTime::now()
}

fn turnstile(folder: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join(LOCK))
}

fn listed(folder: &Path) -> std::io::Result<impl Iterator<Item = std::io::Result<DirEntry>>> {
    match std::fs::read_dir(folder) {
        Ok(files) => Ok(Some(files).into_iter().flatten()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(None.into_iter().flatten())
        }
        Err(error) => Err(error),
    }
}

/// A file that has gone meanwhile is not old.
fn is_old(path: &Path, now: SystemTime, age: Duration) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(now
            .duration_since(file.modified()?)
            .is_ok_and(|since| since > age)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

#[async_trait]
impl Blobs for Folder {
    async fn put(&self, bytes: Bytes) -> Result<String, BlobError> {
        let store = self.clone();
        let stored = tokio::task::spawn_blocking(move || store.write(&bytes)).await;
        stored.map_err(|error| BlobError::Io(std::io::Error::other(error)))?
    }

    async fn get(&self, sha256: &str) -> Result<Bytes, BlobError> {
        let (store, sha256) = (self.clone(), sha256.to_owned());
        let read = tokio::task::spawn_blocking(move || store.read(&sha256)).await;
        read.map_err(|error| BlobError::Io(std::io::Error::other(error)))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[test]
    fn what_is_stored_is_read_back_and_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::new(folder.path());
        let name = store.write(b"%PDF-1.7").unwrap();
        assert_eq!(store.write(b"%PDF-1.7").unwrap(), name);
        assert_eq!(store.read(&name).unwrap().as_ref(), b"%PDF-1.7");
        let file = folder.path().join("blobs").join(&name[..2]).join(&name);
        std::fs::write(file, b"%PDF-1.8").unwrap();
        assert!(matches!(store.read(&name), Err(BlobError::Damaged)));
        assert!(matches!(
            store.read(&"0".repeat(64)),
            Err(BlobError::Missing)
        ));
        assert!(matches!(
            store.read("../../etc/passwd"),
            Err(BlobError::Missing)
        ));
    }

    #[test]
    fn only_old_blobs_are_removed_and_storing_again_makes_young() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::new(folder.path());
        let name = store.write(b"orphan").unwrap();
        let shard = u8::from_str_radix(&name[..2], 16).unwrap();
        let long_ago = now() - 2 * DAY;
        let age = |time| {
            let file = std::fs::File::open(store.path(&name).unwrap()).unwrap();
            file.set_modified(time).unwrap();
        };
        assert!(store.older_than(shard, now(), DAY).unwrap().is_empty());
        age(long_ago);
        assert_eq!(
            store.older_than(shard, now(), DAY).unwrap(),
            std::slice::from_ref(&name)
        );
        // Somebody stores the same bytes after the list was made, and is about to name them.
        store.write(b"orphan").unwrap();
        assert!(!store.remove(&name, now(), DAY).unwrap());
        assert!(store.read(&name).is_ok());
        age(long_ago);
        assert!(store.remove(&name, now(), DAY).unwrap());
        assert!(matches!(store.read(&name), Err(BlobError::Missing)));
        assert!(!store.remove(&name, now(), DAY).unwrap());
    }

    #[test]
    fn leftovers_of_unfinished_writes_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::new(folder.path());
        let name = store.write(b"whole").unwrap();
        let folder = store.path(&name).unwrap().parent().unwrap().to_owned();
        let leftover = folder.join(".77-0");
        std::fs::write(&leftover, b"half").unwrap();
        let file = std::fs::File::open(&leftover).unwrap();
        file.set_modified(now() - 2 * DAY).unwrap();
        let shard = u8::from_str_radix(&name[..2], 16).unwrap();
        assert!(store.older_than(shard, now(), DAY).unwrap().is_empty());
        assert!(!leftover.exists() && store.read(&name).is_ok());
    }
}
