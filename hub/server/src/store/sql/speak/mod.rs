//! One SQL text for both databases. Every statement of the ledger is written once, in the subset that
//! SQLite and PostgreSQL share, with a few words that are spelled for each when it is asked:
//!
//! | written | SQLite | PostgreSQL |
//! |---|---|---|
//! | `?1` | `?1` | `$1` |
//! | `ints(?1)`, `texts(?1)`, `tuples(?1)`: a JSON list as rows with a column `value` | `json_each(?1)` | functions of the schema |
//! | `a CROSS JOIN b ON …`: this order of the join | the same | `JOIN` |
//! | `INDEXED BY i` | the same | nothing |
//! | `least(…)`, `greatest(…)` | `min(…)`, `max(…)` | the same |
//! | `mine(a.person)`, `my_lane(a.lane)`: this hub works on it | `TRUE`: there is one hub | among the numbers of its lanes, read once per statement |
//!
//! `FOR SHARE OF m` is left out on SQLite: there is one writer.
//!
//! Types: integers are `i64` (times are microseconds), flags `bool`, texts, bytes. A number out of a
//! tuple is cast: `CAST(t.value ->> 0 AS BIGINT)`.
//!
//! Called by the modules below `store/sql` only. It knows no table.

mod line;
mod spell;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};

pub(super) use line::{Cell, Line};
pub(super) use spell::spell;
use spell::spelled;

use super::writer::Writer;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    /// One file, one writer.
    Sqlite,
    /// A server, several hubs.
    Postgres,
}

/// How a ledger's statements are counted, and how long one may go unanswered.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// How many it has sent: what a group costs is held by tests that read it.
    pub(super) count: Arc<AtomicU64>,
    /// A server that has not answered by then is not there any more: it would have given up itself.
    pub(super) patience: Duration,
}

impl Default for Said {
    fn default() -> Self {
        Self::within(Duration::from_secs(60))
    }
}

impl Said {
    /// For a ledger whose server gives up a statement after `limit`.
    pub(super) fn within(limit: Duration) -> Self {
        Self {
            count: Arc::default(),
            patience: limit + GRACE,
        }
    }

    /// The answer of a server. A network that swallows everything tells nobody that it does.
    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let answered = tokio::time::timeout(self.patience, answer).await;
        answered.unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late).into()))
    }
}

/// For the way there and back.
const GRACE: Duration = Duration::from_secs(3);

/// A connection, in a transaction or not.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) session: Session,
    pub(super) said: Said,
}

/// The driver's connection.
#[derive(Debug)]
pub(super) enum Session {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Conn {
    /// Which database it speaks with.
    pub(super) fn dialect(&self) -> Dialect {
        match self.session {
            Session::Sqlite(_) => Dialect::Sqlite,
            Session::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Its file; `None` when it speaks with a server.
    pub(super) fn file(&mut self) -> Option<&mut SqliteConnection> {
        match &mut self.session {
            Session::Sqlite(session) => Some(session),
            Session::Postgres(_) => None,
        }
    }
}

/// Connections for reading.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) pooled: Pooled,
    pub(super) said: Said,
}

/// The driver's pool.
#[derive(Debug, Clone)]
pub(super) enum Pooled {
    Sqlite(SqlitePool),
    /// The connection that writes: what it has written it still holds in memory, where every other has to
    /// read it again after each commit.
    Writer(Writer),
    Postgres(PgPool),
}

impl Pool {
    /// Which database it speaks with.
    pub(super) fn dialect(&self) -> Dialect {
        match self.pooled {
            Pooled::Sqlite(_) | Pooled::Writer(_) => Dialect::Sqlite,
            Pooled::Postgres(_) => Dialect::Postgres,
        }
    }
}

/// Where a statement runs.
pub(super) enum On<'c> {
    Sqlite(&'c mut SqliteConnection, &'c Said),
    Postgres(&'c mut PgConnection, &'c Said),
    SqlitePool(&'c SqlitePool, &'c Said),
    Writer(&'c Writer, &'c Said),
    PostgresPool(&'c PgPool, &'c Said),
}

impl<'c> From<&'c mut Conn> for On<'c> {
    fn from(conn: &'c mut Conn) -> Self {
        match &mut conn.session {
            Session::Sqlite(session) => Self::Sqlite(session, &conn.said),
            Session::Postgres(session) => Self::Postgres(session, &conn.said),
        }
    }
}

impl<'c> From<&'c Pool> for On<'c> {
    fn from(pool: &'c Pool) -> Self {
        match &pool.pooled {
            Pooled::Sqlite(pooled) => Self::SqlitePool(pooled, &pool.said),
            Pooled::Writer(writer) => Self::Writer(writer, &pool.said),
            Pooled::Postgres(pooled) => Self::PostgresPool(pooled, &pool.said),
        }
    }
}

impl On<'_> {
    /// The same place for one more statement.
    pub(super) fn again(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(session, said) => On::Sqlite(session, said),
            Self::Postgres(session, said) => On::Postgres(session, said),
            Self::SqlitePool(pool, said) => On::SqlitePool(pool, said),
            Self::Writer(writer, said) => On::Writer(writer, said),
            Self::PostgresPool(pool, said) => On::PostgresPool(pool, said),
        }
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(..) | Self::SqlitePool(..) | Self::Writer(..) => Dialect::Sqlite,
            Self::Postgres(..) | Self::PostgresPool(..) => Dialect::Postgres,
        }
    }

    fn count(&self) {
        let (Self::Sqlite(_, said)
        | Self::Postgres(_, said)
        | Self::SqlitePool(_, said)
        | Self::Writer(_, said)
        | Self::PostgresPool(_, said)) = self;
        said.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The text of a statement.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Fixed(&'static str),
    Made(Arc<str>),
    /// Spelled for its database already.
    Spelled(Arc<str>),
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Made(Arc::from(text))
    }
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Made(text) | Self::Spelled(text) => text,
        }
    }
}

/// A parameter.
#[derive(Debug, Clone)]
pub(super) enum Bind {
    Int(Option<i64>),
    Flag(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! bind_from {
    ($($from:ty => $variant:ident, $value:ident, $into:expr;)*) => { $(
        impl From<$from> for Bind {
            fn from($value: $from) -> Self {
                Self::$variant(Some($into))
            }
        }
        impl From<Option<$from>> for Bind {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map(|$value| $into))
            }
        }
    )* };
}
bind_from! {
    i64 => Int, value, value;
    u32 => Int, value, i64::from(value);
    bool => Flag, value, value;
    String => Text, value, value;
    &str => Text, value, value.to_owned();
    &String => Text, value, value.clone();
    Vec<u8> => Bytes, value, value;
}

/// A statement with its parameters so far.
#[derive(Debug, Clone)]
pub(super) struct Query {
    text: Text,
    binds: Vec<Bind>,
}

/// A statement; parameters follow with [`Query::bind`].
pub(super) fn query(text: impl Into<Text>) -> Query {
    Query {
        text: text.into(),
        binds: Vec::new(),
    }
}

impl Query {
    /// With room for `count` parameters.
    pub(super) fn with_room(mut self, count: usize) -> Self {
        self.binds.reserve(count);
        self
    }

    /// Adds the next parameter.
    pub(super) fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.binds.push(value.into());
        self
    }

    /// Runs it; the number of rows it touched.
    pub(super) async fn execute<'c>(self, on: impl Into<On<'c>>) -> Result<u64, sqlx::Error> {
        let on = on.into();
        on.count();
        let text = spelled(&self.text, on.dialect());
        Ok(match on {
            On::Sqlite(session, _) => sqlite(text, self.binds)
                .execute(session)
                .await?
                .rows_affected(),
            On::SqlitePool(pool, _) => sqlite(text, self.binds)
                .execute(pool)
                .await?
                .rows_affected(),
            On::Writer(writer, _) => {
                let one = sqlite(text, self.binds);
                let done = writer.ask(move |file| one.execute(file).boxed());
                done.await?.rows_affected()
            }
            On::Postgres(session, said) => said
                .answered(postgres(text, self.binds).execute(session))
                .await?
                .rows_affected(),
            On::PostgresPool(pool, said) => said
                .answered(postgres(text, self.binds).execute(pool))
                .await?
                .rows_affected(),
        })
    }

    /// Its rows.
    pub(super) async fn fetch_all<'c>(
        self,
        on: impl Into<On<'c>>,
    ) -> Result<Vec<Line>, sqlx::Error> {
        let on = on.into();
        on.count();
        let text = spelled(&self.text, on.dialect());
        Ok(match on {
            On::Sqlite(session, _) => Line::all(sqlite(text, self.binds).fetch_all(session).await?),
            On::SqlitePool(pool, _) => Line::all(sqlite(text, self.binds).fetch_all(pool).await?),
            On::Writer(writer, _) => {
                let one = sqlite(text, self.binds);
                let rows = writer.ask(move |file| one.fetch_all(file).boxed());
                Line::all(rows.await?)
            }
            On::Postgres(session, said) => {
                let rows = postgres(text, self.binds).fetch_all(session);
                Line::all(said.answered(rows).await?)
            }
            On::PostgresPool(pool, said) => {
                let rows = postgres(text, self.binds).fetch_all(pool);
                Line::all(said.answered(rows).await?)
            }
        })
    }

    /// The first column of its rows.
    pub(super) async fn column<'c, T>(self, on: impl Into<On<'c>>) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> Cell<'r>,
    {
        let rows = self.fetch_all(on).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Its first row, if it has one.
    pub(super) async fn fetch_optional<'c>(
        self,
        on: impl Into<On<'c>>,
    ) -> Result<Option<Line>, sqlx::Error> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// Its first row.
    pub(super) async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<Line, sqlx::Error> {
        self.fetch_optional(on)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }
}

fn sqlite(
    text: Arc<str>,
    binds: Vec<Bind>,
) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for bind in binds {
        query = match bind {
            Bind::Int(value) => query.bind(value),
            Bind::Flag(value) => query.bind(value),
            Bind::Text(value) => query.bind(value),
            Bind::Bytes(value) => query.bind(value),
        };
    }
    query
}

fn postgres(
    text: Arc<str>,
    binds: Vec<Bind>,
) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for bind in binds {
        query = match bind {
            Bind::Int(value) => query.bind(value),
            Bind::Flag(value) => query.bind(value),
            Bind::Text(value) => query.bind(value.map(without_nul)),
            Bind::Bytes(value) => query.bind(value),
        };
    }
    query
}

/// PostgreSQL has no NUL in a text, neither plain nor escaped in JSON that is taken apart.
fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}
