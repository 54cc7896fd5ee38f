//! Opening the ledger: the file with its pragmas and lock, or the server with its promises; migrations.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use renkei_core::Code;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::Database;
use super::lanes::{self, Lanes};
use super::speak::{Conn, Dialect, Pool, Pooled, Said, Session, query};
use super::writer::{Link, Writer};
use crate::store::{Place, Server, StoreError};

pub(super) static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");
/// A new file's pages. Resources are found by keys in random order: each new one writes a page of that
/// index, whatever its size. With texts as short as they are stored, 16 KiB write more than twice the bytes.
const PAGE_BYTES: u32 = 4096;
/// Memory of a connection for pages, in KiB with a minus. The writer's outlives its transactions: with too
/// little of it every batch reads its indexes from the file again, and writes pages before it is done. A
/// reader forgets its pages whenever something was committed.
const WRITERS_PAGES: &str = "-65536";
const READERS_PAGES: &str = "-8192";
/// Statements a connection keeps ready: all there are, in the sizes they come in.
const STATEMENTS: usize = 384;
/// Readers at a time.
const READERS: u32 = 4;
/// Writers on a server: one for each priority.
const WRITERS: usize = 3;

/// Who opens the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The hub: holds the lock until it ends.
    Hub,
    /// A command beside a running hub: short transactions, no lock.
    Command,
}

/// When the server gives a statement up. A hub's senders wait for theirs; an operator's may read a lot.
fn limit(access: Access) -> Duration {
    Duration::from_secs(match access {
        Access::Hub => 20,
        Access::Command => 120,
    })
}

/// What a session of the server must promise and may take.
const SESSION: [(&str, &str); 5] = [
    // An ACK is a promise: the server answers a commit when it is on its disk.
    ("synchronous_commit", "on"),
    // A hub that stands still in a transaction lets go of its rows.
    // Before others give up waiting for them.
    ("idle_in_transaction_session_timeout", "5s"),
    ("lock_timeout", "10s"),
    // Short statements over indexes: compiling them costs more than running them.
    ("jit", "off"),
    ("client_min_messages", "warning"),
];
/// How long a server may take to answer a call.
pub(super) const DIAL: Duration = Duration::from_secs(5);

impl Database {
    /// Opens (and creates or migrates) the ledger.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when another hub holds the file, a newer renkei has written it, or the
    /// server does not promise to keep what it has committed; otherwise as the database says.
    pub async fn open(place: impl Into<Place>, access: Access) -> Result<Self, StoreError> {
        let place = place.into();
        let broken = |error: std::io::Error| StoreError::Broken(Box::new(error));
        if !place.folder.is_dir() {
            std::fs::create_dir_all(&place.folder).map_err(broken)?;
            // The name of the folder must outlive a power cut as well as what lies in it.
            if let Some(parent) = place.folder.parent().filter(|parent| parent.is_dir()) {
                let parent = std::fs::File::open(parent).map_err(broken)?;
                parent.sync_all().map_err(broken)?;
            }
        }
        match &place.server {
            None => Self::file(&place, access).await,
            Some(server) => Self::server(&place.folder, server, access)
                .await
                .map_err(no_entry),
        }
    }

    /// Whether the server of a ledger can be reached; a file always can.
    ///
    /// # Errors
    /// [`StoreError::Away`] or [`StoreError::Full`] when it may be reached later; otherwise as the server
    /// says.
    pub async fn answers(place: &Place) -> Result<(), StoreError> {
        let Some(server) = &place.server else {
            return Ok(());
        };
        let session = tokio::time::timeout(DIAL, PgConnection::connect_with(&server.0)).await;
        let session = session.map_err(|late| StoreError::Away(Box::new(late)))?;
        let session = session.map_err(|error| no_entry(error.into()))?;
        session.close().await?;
        Ok(())
    }

    async fn file(place: &Place, access: Access) -> Result<Self, StoreError> {
        let folder = place.folder.as_path();
        let lock = match access {
            Access::Hub => Some(lock(folder)?),
            Access::Command => None,
        };
        let options = SqliteConnectOptions::new()
            .filename(folder.join("renkei.db"))
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            .auto_vacuum(SqliteAutoVacuum::None)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What undoes half a statement is not written to a file first.
            .pragma("temp_store", "MEMORY")
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        let said = Said::default();
        let mut conn = Conn {
            session: Session::Sqlite(
                SqliteConnection::connect_with(
                    &options.clone().pragma("cache_size", WRITERS_PAGES),
                )
                .await?,
            ),
            said: said.clone(),
        };
        // A file of an earlier release keeps the size of its pages.
        let page: i64 = query("PRAGMA page_size").fetch_one(&mut conn).await?.get(0);
        let bytes = i64::try_from(place.log_bytes).unwrap_or(i64::MAX);
        let pages = (bytes / page.max(1)).max(1);
        query(format!("PRAGMA wal_autocheckpoint = {pages}"))
            .fetch_all(&mut conn)
            .await?;
        refuse_newer(&mut conn, &SQLITE).await?;
        migrate(&mut conn).await?;
        let reads = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(
                options
                    .pragma("cache_size", READERS_PAGES)
                    .optimize_on_close(false, None),
            );
        let writer = Writer::start(vec![Link::over(conn, None)]);
        Ok(Self {
            work: Pool {
                pooled: Pooled::Writer(writer.clone()),
                said: said.clone(),
            },
            writer,
            reads: Pool {
                pooled: Pooled::Sqlite(reads),
                said,
            },
            folder: folder.to_owned(),
            lanes: Arc::default(),
            search: Default::default(),
            _lock: lock,
        })
    }

    async fn server(folder: &Path, server: &Server, access: Access) -> Result<Self, StoreError> {
        let lock = match access {
            Access::Hub => Some(lock(folder)?),
            Access::Command => None,
        };
        let mut options = server
            .0
            .clone()
            .application_name("renkei")
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging()
            .options(SESSION)
            .options([("statement_timeout", limit(access).as_millis().to_string())]);
        let said = Said::within(limit(access));
        let mut conn = dial(&options, &said).await?;
        refuse_forgetful(&mut conn).await?;
        refuse_newer(&mut conn, &POSTGRES).await?;
        migrate(&mut conn).await?;
        let mut hub = None;
        if access == Access::Hub {
            let name = name_of(folder)?;
            let number = lanes::sign_in(&mut conn, &name).await?;
            options = options
                .application_name(&format!("renkei {name}"))
                .options([("renkei.hub", number.to_string())]);
            hub = Some(number);
        }
        let mut links = Vec::new();
        for _ in 0..WRITERS {
            links.push(Link::over(
                dial(&options, &said).await?,
                Some(options.clone()),
            ));
        }
        let reads = PgPoolOptions::new()
            // And one that listens.
            .max_connections(READERS + 1)
            .acquire_timeout(DIAL)
            .connect_lazy_with(options.clone());
        let reads = Pool {
            pooled: Pooled::Postgres(reads),
            said,
        };
        Ok(Self {
            writer: Writer::start(links),
            work: reads.clone(),
            reads,
            folder: folder.to_owned(),
            lanes: Arc::new(Lanes::of(hub)),
            search: Default::default(),
            _lock: lock,
        })
    }
}

async fn dial(options: &PgConnectOptions, said: &Said) -> Result<Conn, StoreError> {
    let session = tokio::time::timeout(DIAL, PgConnection::connect_with(options)).await;
    let session = session.map_err(|late| StoreError::Away(Box::new(late)))??;
    Ok(Conn {
        session: Session::Postgres(session),
        said: said.clone(),
    })
}

/// The name by which a hub knows itself again: it lies in its folder, which one process holds at a time.
fn name_of(folder: &Path) -> Result<String, StoreError> {
    let path = folder.join("hub-name");
    let broken = |error: std::io::Error| StoreError::Broken(Box::new(error));
    match std::fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(broken(error)),
    }
    let mut dice = [0_u8; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut dice))
        .map_err(broken)?;
    let name = data_encoding::HEXLOWER.encode(&dice);
    std::fs::write(&path, &name).map_err(broken)?;
    Ok(name)
}

async fn migrate(conn: &mut Conn) -> Result<(), StoreError> {
    match &mut conn.session {
        Session::Sqlite(session) => SQLITE.run(session).await,
        Session::Postgres(session) => {
            // A new index over millions of rows takes its time.
            session.execute("SET statement_timeout = 0").await?;
            let migrated = POSTGRES.run(&mut *session).await;
            session.execute("RESET statement_timeout").await?;
            migrated
        }
    }
    .map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        error => StoreError::Broken(Box::new(error)),
    })
}

/// Who may not come in, or not do what a hub does, needs an operator: trying again changes nothing.
fn no_entry(error: StoreError) -> StoreError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        let state = one
            .downcast_ref::<sqlx::Error>()
            .and_then(sqlx::Error::as_database_error)
            .and_then(|error| error.code());
        if let Some(state) = state
            && (state.starts_with("28") || ["42501", "3D000", "3F000"].contains(&&*state))
        {
            return StoreError::Unusable {
                code: Code::CFG_NO_ENTRY,
            };
        }
        cause = one.source();
    }
    error
}

/// A server that answers before it has written would break the promise of every ACK.
async fn refuse_forgetful(conn: &mut Conn) -> Result<(), StoreError> {
    let row = query(
        "SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' \
         AND current_setting('synchronous_commit') IN ('on', 'remote_apply')",
    )
    .fetch_one(conn)
    .await?;
    if row.get(0) {
        Ok(())
    } else {
        Err(StoreError::Unusable {
            code: Code::CFG_FORGETFUL,
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

/// A migration this binary does not know was applied: leave the database alone.
async fn refuse_newer(conn: &mut Conn, migrations: &Migrator) -> Result<(), StoreError> {
    let known = migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    let table = match conn.dialect() {
        Dialect::Sqlite => "SELECT count(*) > 0 FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Dialect::Postgres => "SELECT to_regclass('_sqlx_migrations') IS NOT NULL",
    };
    if !query(table).fetch_one(&mut *conn).await?.get::<bool>(0) {
        return Ok(());
    }
    let row = query("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(conn)
        .await?;
    if row.get::<i64>(0) > known {
        Err(StoreError::Unusable {
            code: Code::CFG_SCHEMA_NEWER,
        })
    } else {
        Ok(())
    }
}

/// The schema as it was first released.
#[cfg(test)]
pub(super) fn first(migrations: &Migrator) -> Migrator {
    Migrator::with_migrations(migrations.iter().take(1).cloned().collect())
}

/// A ledger of that schema with data in it.
#[cfg(test)]
pub(super) const LIVED_IN: &str = include_str!("../migrations/lived_in_0001.sql");
