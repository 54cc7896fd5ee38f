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

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres, Row, Sqlite, SqliteConnection, SqlitePool,
};

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

/// One row of an answer.
#[derive(Debug)]
pub(super) enum Line {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Line {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Line {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

/// What a column can be read as: `i64` and `u32`, `bool`, text, bytes, and options of them.
pub(super) trait Cell<'r>: Sized {
    /// The column of a row.
    fn read(line: &'r Line, index: usize) -> Self;
}

macro_rules! cells {
    ($($kind:ty),*) => { $(
        impl<'r> Cell<'r> for $kind {
            fn read(line: &'r Line, index: usize) -> Self {
                match line {
                    Line::Sqlite(row) => row.get(index),
                    Line::Postgres(row) => row.get(index),
                }
            }
        }
        impl<'r> Cell<'r> for Option<$kind> {
            fn read(line: &'r Line, index: usize) -> Self {
                match line {
                    Line::Sqlite(row) => row.get(index),
                    Line::Postgres(row) => row.get(index),
                }
            }
        }
    )* };
}
cells!(i64, bool, String, &'r str, Vec<u8>, &'r [u8]);

impl<'r> Cell<'r> for u32 {
    fn read(line: &'r Line, index: usize) -> Self {
        Self::try_from(line.get::<i64>(index)).unwrap_or(0)
    }
}

impl Line {
    fn all<R: Into<Self>>(rows: Vec<R>) -> Vec<Self> {
        rows.into_iter().map(Into::into).collect()
    }

    /// The column at `index`. The statement beside it says its type; another one is a fault of ours.
    pub(super) fn get<'r, T: Cell<'r>>(&'r self, index: usize) -> T {
        T::read(self, index)
    }

    /// A count that cannot be negative.
    pub(super) fn count(&self, index: usize) -> u64 {
        u64::try_from(self.get::<i64>(index)).unwrap_or(0)
    }
}

type Spelled = HashMap<(Dialect, Arc<str>), Arc<str>>;
static SPELLED: RwLock<Option<Spelled>> = RwLock::new(None);
/// Static texts by where they lie and how long they are.
type SpelledFixed = HashMap<(Dialect, usize, usize), Arc<str>>;
static FIXED: RwLock<Option<SpelledFixed>> = RwLock::new(None);

/// The text as `dialect` spells it; worked out once.
fn spelled(text: &Text, dialect: Dialect) -> Arc<str> {
    match text {
        Text::Fixed(fixed) => {
            // A static text is known by where it lies.
            let key = (dialect, fixed.as_ptr().addr(), fixed.len());
            remembered(&FIXED, &key, || key, || spell(text.as_str(), dialect))
        }
        Text::Spelled(spelled) => spelled.clone(),
        Text::Made(made) => {
            let key = (dialect, made.clone());
            remembered(
                &SPELLED,
                &key.clone(),
                || key,
                || spell(text.as_str(), dialect),
            )
        }
    }
}

fn remembered<K: std::hash::Hash + Eq>(
    known: &RwLock<Option<HashMap<K, Arc<str>>>>,
    key: &K,
    owned: impl FnOnce() -> K,
    spell: impl FnOnce() -> Arc<str>,
) -> Arc<str> {
    {
        let known = match known.read() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(text) = known.as_ref().and_then(|known| known.get(key)) {
            return text.clone();
        }
    }
    let text = spell();
    let mut known = match known.write() {
        Ok(known) => known,
        Err(poisoned) => poisoned.into_inner(),
    };
    known.get_or_insert_default().insert(owned(), text.clone());
    text
}

const FOR_SQLITE: [(&str, &str); 6] = [
    (" FOR SHARE OF m", ""),
    (" ints(", " json_each("),
    (" texts(", " json_each("),
    (" tuples(", " json_each("),
    ("least(", "min("),
    ("greatest(", "max("),
];

/// What a hub works on, as PostgreSQL asks it: a list that is read once, where a function would be called
/// for every row. A command works on everything.
const OF_THIS_HUB: [(&str, &str); 2] = [
    (
        " mine(",
        " (this_hub() IS NULL OR mod(abs({}), 16) IN (SELECT own.number FROM lane AS own \
         WHERE own.kind = 'person' AND own.holder = this_hub() AND own.until > now_us()))",
    ),
    (
        " my_lane(",
        " (this_hub() IS NULL OR {} IN (SELECT own.id FROM lane AS own WHERE own.holder = this_hub() AND own.until > now_us()))",
    ),
];

/// Writes every call of a word anew, from what stands in its brackets.
fn each_call(text: &mut String, word: &str, anew: impl Fn(&str) -> String) {
    while let Some(at) = text.find(word) {
        let inner = at + word.len();
        let end = text[inner..]
            .find(')')
            .map_or(text.len(), |length| inner + length);
        let says = anew(&text[inner..end]);
        text.replace_range(at..(end + 1).min(text.len()), &says);
    }
}

/// See the table of the module.
pub(super) fn spell(text: &str, dialect: Dialect) -> Arc<str> {
    let mut spelled = text.to_owned();
    match dialect {
        Dialect::Sqlite => {
            for (written, says) in FOR_SQLITE {
                if spelled.contains(written) {
                    spelled = spelled.replace(written, says);
                }
            }
            for (hub_of, _) in OF_THIS_HUB {
                each_call(&mut spelled, hub_of, |_| " TRUE".to_owned());
            }
        }
        Dialect::Postgres => {
            spelled = spelled.replace("CROSS JOIN", "JOIN").replace('?', "$");
            for (hub_of, says) in OF_THIS_HUB {
                each_call(&mut spelled, hub_of, |of| says.replace("{}", of));
            }
            while let Some(at) = spelled.find(" INDEXED BY ") {
                let name = at + " INDEXED BY ".len();
                let end = spelled[name..]
                    .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                    .map_or(spelled.len(), |length| name + length);
                spelled.replace_range(at..end, "");
            }
        }
    }
    Arc::from(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_reads_its_own_spelling() {
        let text = "SELECT least(a, ?2) FROM ints(?1) AS k CROSS JOIN t INDEXED BY t_line ON t.id = k.value AND mine(t.person)";
        assert_eq!(
            &*spell(text, Dialect::Sqlite),
            "SELECT min(a, ?2) FROM json_each(?1) AS k CROSS JOIN t INDEXED BY t_line ON t.id = k.value AND TRUE"
        );
        assert_eq!(
            &*spell(text, Dialect::Postgres),
            "SELECT least(a, $2) FROM ints($1) AS k JOIN t ON t.id = k.value AND (this_hub() IS NULL OR mod(abs(t.person), 16) IN \
             (SELECT own.number FROM lane AS own WHERE own.kind = 'person' AND own.holder = this_hub() AND own.until > now_us()))"
        );
    }
}
