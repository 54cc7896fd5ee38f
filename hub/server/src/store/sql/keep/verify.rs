//! Looking for what is not as it must be. Every rule between rows is one statement over a range of ids,
//! so that no read lasts; each says what mends what it finds. Beside a running hub a finding is true: a
//! statement sees one state, and whatever belongs together is written together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::rules::{RULES, Remedy, Rule};
use super::{blobs, chain, searched};
use crate::store::StoreError;
use crate::store::blob::{BlobError, Folder};
use crate::store::keeper::{Finding, Thoroughness};
use crate::store::operator::By;
use crate::store::packed::{unpack, unpack_text};
use crate::store::sql::Database;
use crate::store::sql::blobs as stored;
use crate::store::sql::json;
use crate::store::sql::speak::{Dialect, Line, Pool, query};
use crate::store::sql::writer::Priority;

/// A page of rows takes about so long.
const PAGE_TIME: Duration = Duration::from_millis(500);
/// Findings of one rule that are named one by one; more of the same say nothing new.
pub(super) const NAMED: usize = 1_000;
/// Bodies in one read.
const BODIES: i64 = 500;
/// Blobs in one page.
const FILES: u32 = 64;
/// What is younger may be named soon.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// See [`crate::store::keeper::Keeper::verify`].
pub(super) async fn verify(
    ledger: &Database,
    how: Thoroughness,
    repair: Option<&By>,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    audit(&ledger.reads, &mut findings).await?;
    for rule in RULES {
        let found = broken(&ledger.reads, rule).await?;
        judge(ledger, &rule.remedy, found, repair, &mut findings).await?;
    }
    files(ledger, &mut findings).await?;
    if how == Thoroughness::Deep {
        bodies(ledger, &mut findings).await?;
        resources(&ledger.reads, &mut findings).await?;
        let found = searched::broken(&ledger.reads).await?;
        judge(ledger, &searched::INDEXED, found, repair, &mut findings).await?;
        pages(&ledger.reads, &mut findings).await?;
    }
    Ok(findings)
}

fn finding(check: &'static str, at: String, repair: &'static str) -> Finding {
    Finding {
        check,
        at,
        repair,
        safe: false,
        mended: false,
    }
}

const EVIDENCE: &str = "keep a copy of the ledger as evidence, find out who changed it, restore a backup whose chain is whole";

async fn audit(reads: &Pool, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    if let Some(line) = chain::check(reads).await?.broken_at {
        findings.push(finding("audit-chain", format!("line {line}"), EVIDENCE));
    }
    if !chain::anchor_agrees(reads).await? {
        findings.push(finding("audit-anchor", "anchor".to_owned(), EVIDENCE));
    }
    Ok(())
}

/// Rows that break a rule: their keys and what they are.
async fn broken(reads: &Pool, rule: &Rule) -> Result<Vec<(i64, String)>, StoreError> {
    let mut found = Vec::new();
    let mut walk = Walk::over(reads, rule.span).await?;
    while let Some((after, to)) = walk.next(reads).await? {
        let rows = query(rule.find)
            .bind(after)
            .bind(to)
            .fetch_all(reads)
            .await?;
        found.extend(rows.iter().map(|row| (row.get(0), row.get::<String>(1))));
        if found.len() >= NAMED {
            break;
        }
    }
    found.truncate(NAMED);
    Ok(found)
}

/// Adds what broke a rule to the findings, mended where that is wished and loses nothing.
async fn judge(
    ledger: &Database,
    remedy: &'static Remedy,
    found: Vec<(i64, String)>,
    repair: Option<&By>,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let safe = !remedy.mend.is_empty();
    let by = repair.filter(|_| safe && !found.is_empty());
    if let Some(by) = by {
        mend(ledger, remedy, &found, by).await?;
    }
    findings.extend(found.into_iter().map(|(_, at)| Finding {
        check: remedy.check,
        at,
        repair: remedy.repair,
        safe,
        mended: by.is_some(),
    }));
    Ok(())
}

/// A way over the ids of a column, from the smallest to the largest there is now, in ranges that take
/// about [`PAGE_TIME`] each.
pub(super) struct Walk {
    span: (&'static str, &'static str),
    after: i64,
    last: i64,
    size: i64,
    /// Since when the caller has had the last range.
    given: Option<Instant>,
}

impl Walk {
    pub(super) async fn over(
        reads: &Pool,
        span: (&'static str, &'static str),
    ) -> Result<Self, StoreError> {
        let (table, column) = span;
        let ends = query(format!("SELECT min({column}), max({column}) FROM {table}"))
            .fetch_one(reads)
            .await?;
        let ends = ends.get::<Option<i64>>(0).zip(ends.get::<Option<i64>>(1));
        let (first, last) = ends.unwrap_or((0, -1));
        Ok(Self {
            span,
            after: first.saturating_sub(1),
            last,
            size: 1_000,
            given: None,
        })
    }

    /// The next range: after the first id, up to the second.
    pub(super) async fn next(&mut self, reads: &Pool) -> Result<Option<(i64, i64)>, StoreError> {
        if let Some(given) = self.given {
            let took = given.elapsed();
            if took < PAGE_TIME / 4 {
                self.size = self.size.saturating_mul(2);
            } else if took > PAGE_TIME {
                self.size = (self.size / 2).max(1);
            }
        }
        if self.after >= self.last {
            return Ok(None);
        }
        // Ids may lie far apart: from the next one that there is.
        let (table, column) = self.span;
        let next = query(format!(
            "SELECT min({column}) FROM {table} WHERE {column} > ?1"
        ))
        .bind(self.after)
        .fetch_one(reads)
        .await?;
        let Some(next) = next.get::<Option<i64>>(0) else {
            return Ok(None);
        };
        let after = next.saturating_sub(1);
        self.after = after.saturating_add(self.size).min(self.last).max(next);
        self.given = Some(Instant::now());
        Ok(Some((after, self.after)))
    }
}

/// Mends what a rule found, in one transaction with its line in the audit.
async fn mend(
    ledger: &Database,
    remedy: &'static Remedy,
    found: &[(i64, String)],
    by: &By,
) -> Result<(), StoreError> {
    let ids = json(&found.iter().map(|(id, _)| id).collect::<Vec<_>>())?;
    let (by, target) = (
        by.clone(),
        format!("{}, {} rows {ids}", remedy.check, found.len()),
    );
    ledger
        .writer
        .write(Priority::Keep, move |tx| {
            Box::pin(async move {
                for statement in remedy.mend {
                    query(*statement).bind(&ids).execute(&mut *tx).await?;
                }
                chain::line(tx, &by, "verify.repair", &target).await
            })
        })
        .await
}

/// Every file that something names is there with its bytes, and nothing old lies there that nothing names.
async fn files(ledger: &Database, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    const LOST: &str = "put the file back from a backup; without one the message or attachment cannot be had again";
    let folder = Folder::new(&ledger.folder);
    let mut after = None;
    loop {
        let named = blobs::named_after(&ledger.reads, after, FILES).await?;
        let Some(last) = named.last() else { break };
        after = Some(*last);
        let names: Vec<String> = named.iter().map(|hash| HEXLOWER.encode(hash)).collect();
        let in_table = match ledger.reads.dialect() {
            Dialect::Sqlite => HashMap::new(),
            Dialect::Postgres => stored::read(&ledger.reads, &names).await?,
        };
        let folder = folder.clone();
        let read = tokio::task::spawn_blocking(move || {
            let judge = |name: String| match in_table.get(&name) {
                Some(bytes) if HEXLOWER.encode(&Sha256::digest(bytes)) == name => None,
                Some(_) => Some(("blob-damaged", name)),
                None => match folder.read(&name) {
                    Ok(_) => None,
                    Err(BlobError::Missing) => Some(("blob-missing", name)),
                    Err(_) => Some(("blob-damaged", name)),
                },
            };
            names.into_iter().filter_map(judge).collect::<Vec<_>>()
        });
        let read = read
            .await
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        findings.extend(
            read.into_iter()
                .map(|(check, name)| finding(check, format!("file {name}"), LOST)),
        );
    }
    for shard in 0..=u8::MAX {
        for hash in blobs::unnamed(ledger, shard, DAY).await? {
            findings.push(finding(
                "blob-unnamed",
                format!("file {}", HEXLOWER.encode(&hash)),
                "harmless; `renkei retention run --now` removes it",
            ));
        }
    }
    Ok(())
}

const CLOSED: &str = "restore the row from a backup, or have the sender send it again; until then it cannot be processed again";

/// Every body in the database against its fingerprint.
async fn bodies(ledger: &Database, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    let mut after = 0_i64;
    loop {
        let rows = query("SELECT position, body_hash, body FROM message WHERE position > ?1 ORDER BY position LIMIT ?2")
            .bind(after)
            .bind(BODIES)
            .fetch_all(&ledger.reads)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.get(0);
        let judged = tokio::task::spawn_blocking(move || {
            let damaged = |row: &&Line| {
                let packed: Option<&[u8]> = row.get(2);
                packed.is_some_and(|packed| {
                    let body = unpack(packed);
                    body.is_none_or(|body| Sha256::digest(&body)[..] != *row.get::<&[u8]>(1))
                })
            };
            let position = |row: &Line| row.get::<i64>(0);
            rows.iter()
                .filter(damaged)
                .map(position)
                .collect::<Vec<_>>()
        });
        let damaged = judged
            .await
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        findings.extend(
            damaged
                .into_iter()
                .map(|position| finding("body-damaged", format!("message {position}"), CLOSED)),
        );
    }
}

/// The current body of every resource against its fingerprint.
async fn resources(reads: &Pool, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    const AGAIN: &str =
        "`renkei replay` the message that wrote it: what differs makes a new version";
    let tombstone = Sha256::digest([]);
    let mut walk = Walk::over(reads, ("resource", "id")).await?;
    while let Some((after, to)) = walk.next(reads).await? {
        let rows = query(
            "SELECT r.id, r.body_hash, v.body FROM resource AS r JOIN version AS v ON v.resource = r.id AND v.version = r.version \
             WHERE r.id > ?1 AND r.id <= ?2 ORDER BY r.id",
        )
        .bind(after)
        .bind(to)
        .fetch_all(reads)
        .await?;
        for row in &rows {
            let hash: &[u8] = row.get(1);
            let whole = || {
                let body = unpack_text(row.get(2));
                body.is_some_and(|body| hash == &Sha256::digest(body)[..])
            };
            if hash != &tombstone[..] && !whole() {
                let at = format!("resource {}", row.get::<i64>(0));
                findings.push(finding("resource-damaged", at, AGAIN));
            }
        }
    }
    Ok(())
}

/// SQLite's own check, table by table, and its foreign keys. PostgreSQL has `pg_amcheck` for this.
async fn pages(reads: &Pool, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    const RESTORE: &str = "stop the hub and restore a backup; the disk may be failing";
    if reads.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let tables: Vec<String> =
        query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
            .column(reads)
            .await?;
    for table in &tables {
        let said: Vec<String> = query(format!("PRAGMA integrity_check('{table}')"))
            .column(reads)
            .await?;
        if said.iter().any(|line| line != "ok") {
            findings.push(finding("pages", format!("table {table}"), RESTORE));
        }
        let orphans = query(format!("PRAGMA foreign_key_check('{table}')"))
            .fetch_all(reads)
            .await?;
        if !orphans.is_empty() {
            let at = format!("table {table}, {} rows", orphans.len());
            findings.push(finding(
                "foreign-keys",
                at,
                "the other findings name the rows; restore them from a backup",
            ));
        }
    }
    Ok(())
}
