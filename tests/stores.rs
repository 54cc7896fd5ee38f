//! Where the ledger of a test lives: in a file, or on a PostgreSQL server. And how tests look into it.

use std::path::{Path, PathBuf};

use renkei::store::{Place, Server};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

/// The variable that names the server: `ops/postgres with COMMAND` starts one and sets it.
const SERVER: &str = "RENKEI_TEST_POSTGRES";

/// A kind of ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum On {
    /// A file in the hub's folder.
    #[default]
    Sqlite,
    /// A schema of its own on the server all tests share.
    Postgres,
    /// A schema on a server that the test has to itself, by its address.
    Cluster(String),
}

/// Makes two tests of each: one with the ledger in a file, one with it on PostgreSQL.
macro_rules! on_each_store {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name(crate::stores::On::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$name(crate::stores::On::Postgres).await;
            }
        }
    )* };
}
pub(crate) use on_each_store;

/// The ledger of one test.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    server: Option<String>,
}

impl From<&PathBuf> for Home {
    fn from(folder: &PathBuf) -> Self {
        Self {
            folder: folder.clone(),
            server: None,
        }
    }
}

impl Home {
    /// Of a hub whose own folder this is; the folder around it has another name in every test, and so
    /// has the schema.
    ///
    /// # Panics
    /// When a server is needed and none is named.
    pub(crate) fn new(on: &On, folder: PathBuf) -> Self {
        let server = match on {
            On::Sqlite => None,
            On::Postgres => Some(std::env::var(SERVER).unwrap_or_else(|_| {
                panic!("{SERVER} is not set: this test needs PostgreSQL. Run it by: ops/postgres with cargo test …")
            })),
            On::Cluster(url) => Some(url.clone()),
        };
        let server = server.map(|url| in_schema(&url, &folder));
        Self { folder, server }
    }

    /// As the configuration of a hub names it; nothing for a file.
    pub(crate) fn address(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Makes the schema when it is not there.
    pub(crate) async fn prepare(&self) {
        if let Some(url) = self.address() {
            let schema = url.rsplit_once("%3D").unwrap().1;
            let make = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
            let mut look = Look::into(self).await;
            look.rows(&make).await.unwrap();
        }
    }

    /// As the library names it.
    pub(crate) fn place(&self) -> Place {
        Place {
            server: self.address().map(|url| Server::new(url, None).unwrap()),
            ..Place::from(&self.folder)
        }
    }

    /// Where this schema is on a server that answers elsewhere: behind a wire that can be cut.
    pub(crate) fn through(&self, server: &str) -> String {
        in_schema(server, &self.folder)
    }
}

/// The address of a server with the schema of a test.
fn in_schema(url: &str, folder: &Path) -> String {
    let unique = folder.parent().and_then(Path::file_name).unwrap();
    // Names of folders differ in case; names of schemas do not.
    let name: String = std::iter::once("t".to_owned())
        .chain(
            unique
                .as_encoded_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}")),
        )
        .collect();
    format!("{url}?options=-csearch_path%3D{name}")
}

/// A look into a ledger beside the hub. Statements are SQL that both databases read, with `tuples(…)` for
/// a JSON list as rows.
pub(crate) enum Look {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A row of either.
pub(crate) enum Line {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Look {
    /// Opens it.
    pub(crate) async fn into(home: &Home) -> Self {
        if let Some(url) = home.address() {
            let mut session = PgConnection::connect(url).await.unwrap();
            // A test that waits for a lock fails; it does not stand still.
            let limit = sqlx::query("SET statement_timeout = '60s'");
            limit.execute(&mut session).await.unwrap();
            return Self::Postgres(session);
        }
        let file = SqliteConnectOptions::new().filename(home.folder.join("renkei.db"));
        Self::Sqlite(SqliteConnection::connect_with(&file).await.unwrap())
    }

    /// The rows of a statement.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Line>, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(session) => {
                let sql = sql.replace(" tuples(", " json_each(");
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(session).await?;
                rows.into_iter().map(Line::Sqlite).collect()
            }
            Self::Postgres(session) => {
                let sql = AssertSqlSafe(sql.to_owned());
                let rows = sqlx::query(sql).fetch_all(session).await?;
                rows.into_iter().map(Line::Postgres).collect()
            }
        })
    }
}

impl Line {
    /// A number in the first column; nothing is 0.
    pub(crate) fn number(&self) -> i64 {
        let number = match self {
            Self::Sqlite(row) => row.get::<Option<i64>, _>(0),
            // Lengths are numbers of four bytes there.
            Self::Postgres(row) => match row.try_get::<Option<i64>, _>(0) {
                Ok(number) => number,
                Err(_) => row.get::<Option<i32>, _>(0).map(i64::from),
            },
        };
        number.unwrap_or(0)
    }

    /// A text in the first column.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Sqlite(row) => row.get(0),
            Self::Postgres(row) => row.get(0),
        }
    }

    /// Bytes in the first column.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(row) => row.get(0),
            Self::Postgres(row) => row.get(0),
        }
    }
}
