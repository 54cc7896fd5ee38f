//! One state of a SQLite ledger, copied beside a running hub.
//!
//! In WAL mode the file of the database changes only when a checkpoint carries frames of the log into it,
//! and no checkpoint carries more than every reader has seen. So, while one read transaction stands: copy
//! the file, then the log. What the copy of the file may have got twice or in halves stands whole in the
//! log; what was committed while it was copied is in the log too, up to its last whole commit. The hub
//! goes on writing all the time; only the log cannot begin again before the copy is done.
//!
//! `VACUUM INTO` would hold the same read transaction for as long as it rebuilds every page.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::{blobs, inventory};
use crate::store::StoreError;
use crate::store::keeper::Inventory;
use crate::store::sql::speak::{Conn, Said, Session, query};

/// The name of the ledger in its folder.
const NAME: &str = "renkei.db";
/// The salts in the header of the log: they change when it begins again.
const HEADER: usize = 32;
/// Tries at copying the log; while the read transaction stands it begins again once at most.
const TRIES: usize = 3;

/// A ledger that nobody writes: a copy.
#[derive(Debug)]
pub struct Still(Conn);

fn broken(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full(Box::new(error))
        }
        _ => StoreError::Broken(Box::new(error)),
    }
}

/// Copies the ledger in `from` into `to` as one state of it: a single file, synced.
///
/// # Errors
/// As the database or the file system says.
pub async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let (source, target) = (from.join(NAME), to.join(NAME));
    let options = SqliteConnectOptions::new()
        .filename(&source)
        .create_if_missing(false)
        .disable_statement_logging();
    let mut reader = Conn {
        session: Session::Sqlite(SqliteConnection::connect_with(&options).await?),
        said: Said::default(),
    };
    query("BEGIN").execute(&mut reader).await?;
    query("SELECT count(*) FROM message WHERE position = 0")
        .fetch_one(&mut reader)
        .await?;
    let (file, log) = (target.clone(), to.join(format!("{NAME}-wal")));
    let copied = tokio::task::spawn_blocking(move || both(&source, &file, &log)).await;
    query("COMMIT").execute(&mut reader).await?;
    let open = copied
        .map_err(|error| StoreError::Broken(Box::new(error)))?
        .map_err(broken)?;
    close(reader).await?;
    // Closing any handle of a file drops all locks this process holds on it, those of other connections
    // included (POSIX): these stay open until the process ends.
    std::mem::forget(open);
    // Reads the log into the file and removes it.
    let options = SqliteConnectOptions::new()
        .filename(&target)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Delete)
        .disable_statement_logging();
    SqliteConnection::connect_with(&options)
        .await?
        .close()
        .await?;
    for path in [target.as_path(), to] {
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(broken)?;
    }
    Ok(())
}

async fn close(conn: Conn) -> Result<(), StoreError> {
    match conn.session {
        Session::Sqlite(session) => session.close().await?,
        Session::Postgres(session) => session.close().await?,
    }
    Ok(())
}

/// The file, then the log. The handles of the originals come back.
fn both(source: &Path, file: &Path, log: &Path) -> std::io::Result<Vec<File>> {
    let mut open = vec![File::open(source)?];
    let mut to = File::create_new(file)?;
    if let Some(from) = open.first_mut() {
        std::io::copy(from, &mut to)?;
    }
    let original = source.with_file_name(format!("{NAME}-wal"));
    for _ in 0..TRIES {
        let mut from = match File::open(&original) {
            Ok(from) => from,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(open),
            Err(error) => return Err(error),
        };
        let before = header(&original)?;
        std::io::copy(&mut from, &mut File::create(log)?)?;
        open.push(from);
        // Begun again meanwhile: what was copied is a mixture of two logs.
        if header(&original)? == before {
            return Ok(open);
        }
    }
    Err(std::io::Error::other(
        "the log began again and again while it was copied",
    ))
}

fn header(log: &Path) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(HEADER);
    File::open(log)?
        .take(HEADER as u64)
        .read_to_end(&mut header)?;
    Ok(header)
}

impl Still {
    /// Opens the copy in a folder without changing it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(NAME))
            .create_if_missing(false)
            .read_only(true)
            .immutable(true)
            .disable_statement_logging();
        Ok(Self(Conn {
            session: Session::Sqlite(SqliteConnection::connect_with(&options).await?),
            said: Said::default(),
        }))
    }

    /// How much of everything there is.
    ///
    /// # Errors
    /// As the database says.
    pub async fn inventory(&mut self) -> Result<Inventory, StoreError> {
        inventory(&mut self.0).await
    }

    /// The next blobs that something names, in the order of their hashes.
    ///
    /// # Errors
    /// As the database says.
    pub async fn named_after(
        &mut self,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        blobs::named_after(&mut self.0, after, limit).await
    }
}
