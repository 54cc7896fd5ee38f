//! Opening the file: pragmas, lock, migrations.

use std::path::Path;
use std::time::Duration;

use renkei_core::Code;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::speak::{Conn, Pool, Pooled, Said, Session};
use super::writer::{Link, Writer};
use super::{Database, classify};
use crate::store::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
/// Pages of log before a checkpoint, 16 KB each: about 64 MB, read again within the start target.
const CHECKPOINT_PAGES: &str = "4000";
/// Readers at a time.
const READERS: u32 = 4;

/// Who opens the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The hub: holds the lock until it ends.
    Hub,
    /// A command beside a running hub: short transactions, no lock.
    Command,
}

impl Database {
    /// Opens (and creates or migrates) the ledger in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when another hub holds it or a newer renkei has written it; otherwise as
    /// the file system says.
    pub async fn open(folder: &Path, access: Access) -> Result<Self, StoreError> {
        let broken = |error: std::io::Error| StoreError::Broken(Box::new(error));
        std::fs::create_dir_all(folder).map_err(broken)?;
        let lock = match access {
            Access::Hub => Some(lock(folder)?),
            Access::Command => None,
        };
        let options = SqliteConnectOptions::new()
            .filename(folder.join("renkei.db"))
            .create_if_missing(true)
            .page_size(16_384)
            .auto_vacuum(SqliteAutoVacuum::None)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await?;
        refuse_newer(&mut connection).await?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        let reads = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options.read_only(false).optimize_on_close(false, None));
        let said = Said::default();
        let conn = Conn {
            session: Session::Sqlite(connection),
            said: said.clone(),
        };
        Ok(Self {
            writer: Writer::start(vec![Link::over(conn, None)]),
            reads: Pool {
                pooled: Pooled::Sqlite(reads),
                said,
            },
            folder: folder.to_owned(),
            _lock: lock,
        })
    }
}

fn lock(folder: &Path) -> Result<std::fs::File, StoreError> {
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("renkei.lock"))
        .map_err(|error| StoreError::Broken(Box::new(error)))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Unusable {
            code: Code::CFG_LOCKED,
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::Broken(Box::new(error))),
    }
}

/// A migration this binary does not know was applied: leave the file alone.
async fn refuse_newer(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let known = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    let table = sqlx::query("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if table.get::<i64, _>(0) == 0 {
        return Ok(());
    }
    let row = sqlx::query("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(classify)?;
    if row.get::<i64, _>(0) > known {
        Err(StoreError::Unusable {
            code: Code::CFG_SCHEMA_NEWER,
        })
    } else {
        Ok(())
    }
}
