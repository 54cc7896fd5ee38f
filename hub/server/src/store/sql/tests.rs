//! The suite on SQLite, and what is SQLite's own: plans, pragmas, a full disk.

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::counted::every_count;
use super::open::{LIVED_IN, SQLITE, first};
use super::speak::{Dialect, query, spell};
use super::{Access, Database, accept, deliveries};
use crate::store::operator::Operator;
use crate::store::suite::{House, by, every_behaviour, every_verb, message};
use crate::store::{Store, StoreError};

/// A folder per test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn raw(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!(
            "sqlite://{}",
            self.0.path().join("renkei.db").display()
        ))
        .await
        .unwrap()
    }
}

impl House for Folder {
    type Ledger = Database;

    async fn hub(&self) -> Result<Database, StoreError> {
        Database::open(self.0.path(), Access::Hub).await
    }

    async fn command(&self) -> Result<Database, StoreError> {
        Database::open(self.0.path(), Access::Command).await
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
        let text = format!("PRAGMA foreign_keys = OFF; {sql}");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut raw)
            .await
            .unwrap();
        raw.close().await.unwrap();
    }

    async fn live_in_before(&self) {
        let path = self.0.path().join("renkei.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true);
        let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
        first(&SQLITE).run(&mut raw).await.unwrap();
        sqlx::raw_sql(LIVED_IN).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }

    async fn put(&self, _: &Database, bytes: &'static [u8]) -> String {
        crate::store::blob::Folder::new(self.0.path())
            .write(bytes)
            .unwrap()
    }

    fn folder(&self) -> &std::path::Path {
        self.0.path()
    }
}

every_behaviour!(Folder::new());
every_count!(Folder::new());
every_verb! { Folder::new(), one_hub_at_a_time }

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_what_the_measurements_asked_for() {
    let folder = Folder::new();
    let ledger = folder.hub().await.unwrap();
    ledger.enrolled().await.unwrap();
    let mut raw = folder.raw().await;
    let page: i64 = sqlx::query("PRAGMA page_size")
        .fetch_one(&mut raw)
        .await
        .unwrap()
        .get(0);
    let journal: String = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&mut raw)
        .await
        .unwrap()
        .get(0);
    assert_eq!((page, journal.as_str()), (4096, "wal"));
    let full: i64 = ledger
        .writer
        .read(|connection| {
            Box::pin(async move {
                Ok(query("PRAGMA synchronous")
                    .fetch_one(connection)
                    .await?
                    .get(0))
            })
        })
        .await
        .unwrap();
    assert_eq!(full, 2, "FULL: an ACK survives a power cut");
    let checkpoint: i64 = ledger
        .writer
        .read(|connection| {
            Box::pin(async move {
                Ok(query("PRAGMA wal_autocheckpoint")
                    .fetch_one(connection)
                    .await?
                    .get(0))
            })
        })
        .await
        .unwrap();
    assert_eq!(checkpoint * page, 64 * 1024 * 1024);
}

/// After a full disk SQLite rolls back by itself; the writer must go on as soon as there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_survived() {
    let folder = Folder::new();
    let ledger = folder.hub().await.unwrap();
    let pages = |limit: &'static str| {
        ledger.writer.read(move |connection| {
            Box::pin(async move {
                query(limit).fetch_one(connection).await?;
                Ok(())
            })
        })
    };
    pages("PRAGMA max_page_count = 1").await.unwrap();
    let noise: String = (0..40_000_u32)
        .map(|number| {
            char::from(b'!' + u8::try_from(number.wrapping_mul(2_654_435_761) >> 26).unwrap())
        })
        .collect();
    let mut full = 0;
    for round in 0..40 {
        let group = (0..10)
            .map(|number| message(&format!("{round}-{number}"), &format!("{number}{noise}")))
            .collect();
        match ledger.accept(group).await {
            Ok(_) => {}
            Err(StoreError::Full(_)) => full += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(full > 0, "the limit was never reached");
    pages("PRAGMA max_page_count = 1073741823").await.unwrap();
    ledger
        .accept(vec![message("after", "MSH|after")])
        .await
        .unwrap();
    assert!(
        ledger
            .waiting(1_000)
            .await
            .unwrap()
            .iter()
            .any(|waiting| waiting.message.body.as_ref() == b"MSH|after")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_audit_line_is_found() {
    let folder = Folder::new();
    let ledger = folder.hub().await.unwrap();
    for second in 0..5 {
        ledger.enrol(&[], &by(second)).await.unwrap();
    }
    let mut raw = folder.raw().await;
    sqlx::query("UPDATE audit SET actor = 'somebody else' WHERE id = 3")
        .execute(&mut raw)
        .await
        .unwrap();
    let found = ledger.check_audit().await.unwrap();
    assert_eq!((found.lines, found.broken_at), (2, Some(3)));
    sqlx::query("UPDATE audit SET actor = 'kanri' WHERE id = 3")
        .execute(&mut raw)
        .await
        .unwrap();
    sqlx::query("DELETE FROM audit WHERE id = 4")
        .execute(&mut raw)
        .await
        .unwrap();
    assert_eq!(ledger.check_audit().await.unwrap().broken_at, Some(5));
}

/// What is said for every group.
pub(super) fn hot(dialect: Dialect) -> Vec<(&'static str, String)> {
    let mut statements: Vec<(&str, String)> = vec![
        ("accept lookup", accept::LOOKUP_AND_NEXT.to_owned()),
        ("due deliveries", deliveries::due_text()),
        ("next delivery", deliveries::NEXT.to_owned()),
        ("finish", deliveries::FINISH.to_owned()),
        ("looked", deliveries::LOOKED.to_owned()),
        ("waiting", super::waiting::OLDEST.to_owned()),
        ("due notices", super::DUE_NOTICES.to_owned()),
        ("next due", super::NEXT_DUE.to_owned()),
    ];
    statements.extend(super::load::statements());
    statements.extend(super::notices::statements(dialect));
    statements.extend(super::apply::statements());
    statements
}

/// The hot statements walk indexes: none reads a growing table from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn hot_statements_use_indexes() {
    let folder = Folder::new();
    let ledger = folder.hub().await.unwrap();
    ledger.count("x", 1).await.unwrap();
    let mut raw = folder.raw().await;
    for (name, text) in hot(Dialect::Sqlite) {
        let plan = sqlx::query(AssertSqlSafe(format!(
            "EXPLAIN QUERY PLAN {}",
            spell(&text, Dialect::Sqlite)
        )))
        .fetch_all(&mut raw)
        .await
        .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(3)).collect();
        for step in &plan {
            let words: Vec<&str> = step.split_whitespace().collect();
            // `line`, `heads`, `due`, `wanted`, subqueries and json_each are small; reroute and waiting hold what is to do.
            let small = [
                "json_each",
                "heads",
                "due",
                "found",
                "k",
                "f",
                "j",
                "line",
                "wanted",
                "q",
                "reroute",
                "w",
            ];
            let full = words.first() == Some(&"SCAN")
                && words
                    .get(1)
                    .is_some_and(|table| !small.contains(table) && !table.starts_with('('));
            let by_index_order = name == "due deliveries" && step.contains("delivery_order");
            assert!(
                !full || by_index_order || step.starts_with("SCAN CONSTANT"),
                "{name}: {step}\n{plan:#?}"
            );
        }
    }
}

/// A search walks the index backwards in the order it gives: nothing is sorted, nothing read from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_a_walk_along_its_index() {
    let folder = Folder::new();
    let ledger = folder.hub().await.unwrap();
    ledger.count("x", 1).await.unwrap();
    let mut raw = folder.raw().await;
    for (name, text) in super::search::statements() {
        let plan = sqlx::query(AssertSqlSafe(format!(
            "EXPLAIN QUERY PLAN {}",
            spell(text, Dialect::Sqlite)
        )))
        .fetch_all(&mut raw)
        .await
        .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(3)).collect();
        for step in &plan {
            assert!(!step.contains("TEMP B-TREE"), "{name}: {plan:#?}");
            assert!(
                !step.starts_with("SCAN") || step.starts_with("SCAN k "),
                "{name}: {plan:#?}"
            );
        }
        if name.starts_with("latest") {
            let walk = "SEARCH t USING PRIMARY KEY (record=? AND code=?)";
            assert!(plan[0].starts_with(walk), "{name}: {plan:#?}");
        }
    }
}

/// What is read every few seconds costs what is open, never what was ever stored.
#[tokio::test(flavor = "multi_thread")]
async fn watching_reads_partial_indexes_only() {
    let folder = Folder::new();
    let ledger = folder.hub().await.unwrap();
    ledger.count("x", 1).await.unwrap();
    let mut raw = folder.raw().await;
    for text in super::watch::EVERY_FEW_SECONDS {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")))
            .fetch_all(&mut raw)
            .await
            .unwrap();
        for step in plan.iter().map(|row| row.get::<String, _>(3)) {
            let small = [
                "SCAN w",
                "SCAN waiting",
                "SCAN p",
                "SCAN o",
                "SCAN CONSTANT",
            ];
            let partial = [
                "delivery_order",
                "delivery_sent",
                "delivery_open",
                "outcome_open",
            ];
            assert!(
                !step.starts_with("SCAN")
                    || small.iter().any(|table| step.starts_with(table))
                    || partial.iter().any(|index| step.contains(index)),
                "{text}: {step}"
            );
        }
    }
}
