//! The suite on PostgreSQL. The server is a private one that the caller has started: `ops/postgres`.

use std::sync::Arc;
use std::time::Duration;

use renkei_core::SourceName;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::counted::every_count;
use super::open::{LIVED_IN, POSTGRES, first};
use super::speak::{Dialect, spell};
use super::{Access, Database};
use crate::store::blob::Blobs as _;
use crate::store::suite::{House, every_behaviour};
use crate::store::{Place, Server, Store as _, StoreError, Wants};

/// The variable that names the server.
const URL: &str = "RENKEI_TEST_POSTGRES";

/// A schema per test, and a folder for its documents.
pub(super) struct Schema {
    folder: tempfile::TempDir,
    name: String,
}

impl Schema {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_str().unwrap();
        let name = unique
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|character| format!("{:x}", u32::from(character)))
            .collect();
        Self { folder, name }
    }

    fn url(&self) -> String {
        let url = std::env::var(URL).unwrap_or_else(|_| {
            panic!("{URL} is not set: these tests need PostgreSQL. Run them by `ops/postgres with cargo test …`")
        });
        format!("{url}?options=-csearch_path%3Dt{}", self.name)
    }

    /// A look into it beside every hub.
    pub(super) async fn raw(&self) -> PgConnection {
        let mut raw = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::query(AssertSqlSafe(format!(
            "CREATE SCHEMA IF NOT EXISTS t{}",
            self.name
        )))
        .execute(&mut raw)
        .await
        .unwrap();
        raw
    }

    async fn open(&self, access: Access) -> Result<Database, StoreError> {
        self.raw().await.close().await.unwrap();
        Database::open(self.place("."), access).await
    }

    /// The ledger as the hub of a folder names it; each of several hubs has its own.
    pub(super) fn place(&self, folder: &str) -> Place {
        Place {
            folder: self.folder.path().join(folder),
            server: Some(Server::new(&self.url(), None).unwrap()),
            ..Place::from(self.folder.path())
        }
    }
}

impl House for Schema {
    type Ledger = Database;

    async fn hub(&self) -> Result<Database, StoreError> {
        let hub = self.open(Access::Hub).await?;
        let wants = Wants {
            sources: ["byoin", "hospital", "one", "other"]
                .map(SourceName::new)
                .into(),
            tasks: Vec::new(),
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        hub.lease(&wants).await?;
        // Nobody renews it here, and a machine with a lot to do may take longer over a test than it lasts.
        let mut raw = self.raw().await;
        let longer = "UPDATE lane SET until = until + 3600000000 WHERE holder IS NOT NULL";
        raw.execute(longer).await?;
        raw.close().await?;
        Ok(hub)
    }

    async fn command(&self) -> Result<Database, StoreError> {
        self.open(Access::Command).await
    }

    async fn migrate_further(&self) {
        let mut raw = self.raw().await;
        sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
            .execute(&mut raw)
            .await
            .unwrap();
        raw.close().await.unwrap();
    }

    async fn tamper(&self, sql: &str) {
        let mut raw = self.raw().await;
        let text = format!("SET session_replication_role = replica; {sql}");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut raw)
            .await
            .unwrap();
        raw.close().await.unwrap();
    }

    async fn live_in_before(&self) {
        let mut raw = self.raw().await;
        first(&POSTGRES).run(&mut raw).await.unwrap();
        let text = LIVED_IN.replace("X'", "'\\x");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut raw)
            .await
            .unwrap();
        for (table, column) in [
            ("message", "position"),
            ("delivery", "seq"),
            ("channel", "id"),
            ("decision", "id"),
        ] {
            let text = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), (SELECT max({column}) FROM {table}))"
            );
            sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut raw)
                .await
                .unwrap();
        }
        raw.close().await.unwrap();
    }

    async fn put(&self, ledger: &Database, bytes: &'static [u8]) -> String {
        ledger.put(bytes.into()).await.unwrap()
    }

    fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

every_behaviour!(Schema::new());
every_count!(Schema::new());

/// Hubs find work without it, only later: so nothing else would show that they are deaf.
#[tokio::test(flavor = "multi_thread")]
async fn hubs_hear_each_other() {
    let schema = Schema::new();
    schema.raw().await.close().await.unwrap();
    let stop = CancellationToken::new();
    let ears: [Arc<Notify>; 2] = Default::default();
    let mouth: Arc<Notify> = Arc::default();
    for (folder, ear) in ["one", "two"].into_iter().zip(&ears) {
        let hub = Database::open(schema.place(folder), Access::Hub).await;
        let (hub, mouth, ear) = (hub.unwrap(), mouth.clone(), ear.clone());
        let stop = stop.clone();
        tokio::spawn(async move { hub.carry(mouth, ear, stop).await });
    }
    // Either of them speaks; both hear it, as soon as both listen.
    let heard = async {
        for ear in &ears {
            loop {
                mouth.notify_one();
                let soon = Duration::from_millis(200);
                if tokio::time::timeout(soon, ear.notified()).await.is_ok() {
                    break;
                }
            }
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, heard).await.unwrap();
    stop.cancel();
}

/// The hot statements walk indexes on a server too: none reads a growing table from end to end, and none
/// makes a list anew for each row of one.
#[tokio::test(flavor = "multi_thread")]
async fn hot_statements_use_indexes() {
    let schema = Schema::new();
    schema.hub().await.unwrap();
    let mut raw = schema.raw().await;
    let how = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
    raw.execute(how).await.unwrap();
    for (name, text) in super::tests::hot(Dialect::Postgres) {
        let text = spell(&text, Dialect::Postgres);
        let binds = (1..10).filter(|bind| text.contains(&format!("${bind}")));
        let nothing = vec!["NULL"; binds.count()].join(", ");
        let prepare = AssertSqlSafe(format!("PREPARE hot AS {text}"));
        let prepared = raw.execute(prepare).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
        let call = if nothing.is_empty() {
            "hot".to_owned()
        } else {
            format!("hot({nothing})")
        };
        let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE {call}"));
        let plan = sqlx::query(explain).fetch_all(&mut raw).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        raw.execute("DEALLOCATE hot").await.unwrap();
        for step in &plan {
            let whole = step.split_once("Seq Scan on ").map(|(_, table)| table);
            let small = ["reroute", "waiting", "lane", "restored"];
            let is_small = |table: &str| small.iter().any(|one| table.starts_with(one));
            assert!(whole.is_none_or(is_small), "{name}: {step}\n{plan:#?}");
            let anew = step.contains("Join Filter:") && step.contains("SubPlan");
            assert!(!anew, "{name}: {step}\n{plan:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_what_its_tables_take() {
    let ledger = Schema::new().hub().await.unwrap();
    let (whole, index) = ledger.by_hand().bytes().await.unwrap();
    assert!(whole > index && index > 0, "{whole} {index}");
}
