//! A backup: one state of the ledger beside a running hub, the files it names, and a manifest that says
//! what belongs to it. And back: checked first, into an empty place, and telling nobody by itself.
//!
//! Called by `cli`. A ledger on PostgreSQL, whose files lie in its tables, is backed up by the tools of
//! its server; what a restore must do to it afterwards is here too ([`adopt`]).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use renkei_core::Code;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::blob::{BlobError, Folder};
use crate::store::keeper::{Finding, Inventory, Keeper as _, Restored, Stopped, Thoroughness};
use crate::store::sql::snapshot::{self, Still};
use crate::store::sql::{Access, Database};
use crate::store::{Place, StoreError};

/// The shape of the manifest.
const FORMAT: u32 = 1;
/// The name of the manifest.
const MANIFEST: &str = "manifest.json";
/// The name of the ledger.
const LEDGER: &str = "renkei.db";
/// Blobs in one page.
const PAGE: u32 = 512;

/// What belongs to a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The shape of this file.
    pub format: u32,
    /// The renkei that wrote it.
    pub renkei: String,
    /// When the copy was begun. The state is of then or a little later.
    pub taken_at: Timestamp,
    /// SHA-256 of the ledger's file.
    pub ledger_sha256: String,
    /// Its size in bytes.
    pub ledger_bytes: u64,
    /// How much of everything there is.
    pub inventory: Inventory,
    /// Files the ledger names; each is called by its SHA-256.
    pub blobs: u64,
    /// Their size in bytes.
    pub blob_bytes: u64,
    /// Files the ledger names that were not there.
    pub missing: Vec<String>,
}

/// It could not be done.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The backup is damaged or not complete; nothing was restored.
    #[error("{code}: {0}", code = Code::LDG_BACKUP_DAMAGED)]
    Damaged(String),
    /// There is something already.
    #[error("{code}: {place}", code = Code::LDG_NOT_EMPTY, place = .0.display())]
    NotEmpty(PathBuf),
    /// The ledger.
    #[error("the ledger")]
    Store(#[from] StoreError),
    /// The files.
    #[error("the files")]
    Blob(#[from] BlobError),
    /// The file system.
    #[error("the file system")]
    Io(#[from] std::io::Error),
}

/// Takes a backup of the ledger in `data` into the folder `to`, which must be empty or not there.
///
/// # Errors
/// [`BackupError`]. What was begun stays for a look; without its manifest it is not a backup.
pub async fn take(data: &Path, to: &Path, now: Timestamp) -> Result<Manifest, BackupError> {
    empty(to)?;
    let blobs = Folder::new(data);
    // No file that this state names is removed until it has been copied.
    let gate = blobs.clone();
    let _copying = blocking(move || Ok(gate.copying()?)).await?;
    snapshot::copy(data, to).await?;
    let mut still = Still::open(to).await?;
    let inventory = still.inventory().await?;
    let kept = Folder::new(to);
    let (mut count, mut bytes, mut missing) = (0_u64, 0_u64, Vec::new());
    let mut after = None;
    loop {
        let page = still.named_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        let (from, into) = (blobs.clone(), kept.clone());
        let copied = blocking(move || {
            page.iter()
                .map(|hash| link(&from, &into, hash))
                .collect::<Result<Vec<_>, _>>()
        });
        for (name, size) in copied.await? {
            match size {
                Some(size) => (count, bytes) = (count + 1, bytes + size),
                None => missing.push(name),
            }
        }
    }
    drop(still);
    let ledger = to.join(LEDGER);
    let (ledger_sha256, ledger_bytes) = blocking(move || digest(&ledger)).await?;
    let manifest = Manifest {
        format: FORMAT,
        renkei: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: now,
        ledger_sha256,
        ledger_bytes,
        inventory,
        blobs: count,
        blob_bytes: bytes,
        missing,
    };
    let (text, path) = (
        serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other)?,
        to.join(MANIFEST),
    );
    std::fs::write(&path, text)?;
    for path in [path.as_path(), to] {
        std::fs::File::open(path)?.sync_all()?;
    }
    Ok(manifest)
}

/// Checks a backup: the manifest, the ledger against its fingerprint, every file against its name.
///
/// # Errors
/// [`BackupError::Damaged`] says what does not fit.
pub async fn check(from: &Path) -> Result<Manifest, BackupError> {
    let damaged = |what: &str| BackupError::Damaged(what.to_owned());
    let text = std::fs::read(from.join(MANIFEST)).map_err(|_| damaged("no manifest.json"))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|_| damaged("manifest.json cannot be read"))?;
    if manifest.format != FORMAT {
        return Err(damaged("manifest.json was written by another renkei"));
    }
    let ledger = from.join(LEDGER);
    let (sha256, bytes) = blocking(move || digest(&ledger))
        .await
        .map_err(|_| damaged("renkei.db cannot be read"))?;
    if (&sha256, bytes) != (&manifest.ledger_sha256, manifest.ledger_bytes) {
        return Err(damaged("renkei.db is not the file the manifest names"));
    }
    let mut still = Still::open(from).await?;
    if still.inventory().await? != manifest.inventory {
        return Err(damaged("renkei.db has other rows than the manifest says"));
    }
    let blobs = Folder::new(from);
    let (mut after, mut count) = (None, 0);
    loop {
        let page = still.named_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        let (folder, gone) = (blobs.clone(), manifest.missing.clone());
        count += blocking(move || {
            let mut whole = 0;
            for name in page.iter().map(|hash| HEXLOWER.encode(hash)) {
                if gone.contains(&name) {
                    continue;
                }
                folder
                    .read(&name)
                    .map_err(|_| BackupError::Damaged(format!("file {name}")))?;
                whole += 1;
            }
            Ok(whole)
        })
        .await?;
    }
    if count != manifest.blobs {
        return Err(damaged("other files than the manifest says"));
    }
    Ok(manifest)
}

/// What a restore did.
#[derive(Debug)]
pub struct Outcome {
    /// What was restored.
    pub manifest: Manifest,
    /// What waits for a named person now.
    pub stopped: Stopped,
    /// What is not as it must be in the restored ledger.
    pub findings: Vec<Finding>,
}

/// Makes a ledger in the empty folder `to` from a backup that has been checked. `how.taken_at` is
/// replaced by what the manifest says.
///
/// # Errors
/// [`BackupError`].
pub async fn restore(from: &Path, to: &Path, how: Restored) -> Result<Outcome, BackupError> {
    empty(to)?;
    let manifest = check(from).await?;
    let mut still = Still::open(from).await?;
    let (blobs, kept) = (Folder::new(from), Folder::new(to));
    let mut after = None;
    loop {
        let page = still.named_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        let (from, into, gone) = (blobs.clone(), kept.clone(), manifest.missing.clone());
        blocking(move || {
            for name in page.iter().map(|hash| HEXLOWER.encode(hash)) {
                if !gone.contains(&name) {
                    into.write(&from.read(&name)?)?;
                }
            }
            Ok(())
        })
        .await?;
    }
    drop(still);
    // The ledger comes last: a folder without one is no hub's.
    let (source, target) = (from.join(LEDGER), to.join(LEDGER));
    blocking(move || {
        std::fs::copy(&source, &target)?;
        std::fs::File::open(&target)?.sync_all()?;
        Ok(())
    })
    .await?;
    let how = Restored {
        taken_at: manifest.taken_at,
        ..how
    };
    let place = Place::from(to);
    let (stopped, findings) = adopt(&place, &how).await?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(Outcome {
        manifest,
        stopped,
        findings,
    })
}

/// Lets a ledger that was made from a backup tell nobody by itself, and looks whether it is whole. No hub
/// may run on it.
///
/// # Errors
/// As the ledger says; [`StoreError::Unusable`] when a hub holds it.
pub async fn adopt(place: &Place, how: &Restored) -> Result<(Stopped, Vec<Finding>), BackupError> {
    let ledger = Database::open(place, Access::Hub).await?;
    let stopped = ledger.restored(how).await?;
    let findings = ledger.verify(Thoroughness::Rows, None).await?;
    Ok((stopped, findings))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
}

/// Makes the folder; what is in it already is never touched.
fn empty(folder: &Path) -> Result<(), BackupError> {
    std::fs::create_dir_all(folder)?;
    if std::fs::read_dir(folder)?.next().is_some() {
        return Err(BackupError::NotEmpty(folder.to_owned()));
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// A second name for the file, or a copy on another disk. Blobs never change. The size, or `None` when it
/// is not there.
fn link(from: &Folder, to: &Folder, hash: &[u8; 32]) -> Result<(String, Option<u64>), BackupError> {
    let name = HEXLOWER.encode(hash);
    let (Some(source), Some(target)) = (from.file(&name), to.file(&name)) else {
        return Ok((name, None));
    };
    let Ok(found) = std::fs::metadata(&source) else {
        return Ok((name, None));
    };
    if let Some(shard) = target.parent() {
        std::fs::create_dir_all(shard)?;
    }
    if std::fs::hard_link(&source, &target).is_err() {
        std::fs::copy(&source, &target)?;
        std::fs::File::open(&target)?.sync_all()?;
    }
    Ok((name, Some(found.len())))
}

fn digest(path: &Path) -> Result<(String, u64), BackupError> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((HEXLOWER.encode(&hasher.finalize()), bytes));
        }
        bytes += read as u64;
        hasher.update(&buffer[..read]);
    }
}
