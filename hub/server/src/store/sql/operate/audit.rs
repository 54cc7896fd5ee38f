//! The audit chain and the counters of human acts.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::store::StoreError;
use crate::store::operator::{AuditCheck, By};
use crate::store::sql::micros;
use crate::store::sql::speak::{Conn, Dialect, Line, On, Pool, query};

/// Writes one line, chained to the one before. `target` names ids, never patients.
pub(in crate::store::sql) async fn line(
    tx: &mut Conn,
    by: &By,
    act: &str,
    target: &str,
) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Postgres {
        // Each line is chained to the one before: one writer of lines at a time.
        query("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut *tx)
            .await?;
    }
    let last = query("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
        .fetch_optional(&mut *tx)
        .await?;
    let (last, before): (i64, Vec<u8>) = match last {
        Some(row) => (row.get(0), row.get(1)),
        None => anchor(&mut *tx).await?,
    };
    let id = last + 1;
    let at = micros(by.at);
    let hash = link(&before, id, at, [&by.actor, act, target, &by.reason]);
    query("INSERT INTO audit (id, at, actor, act, target, reason, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .bind(id)
        .bind(at)
        .bind(by.actor.clone())
        .bind(act.to_owned())
        .bind(target.to_owned())
        .bind(by.reason.clone())
        .bind(hash.to_vec())
        .execute(tx)
        .await?;
    Ok(())
}

/// Adds to a counter of human acts (`human.release`, …).
pub(in crate::store::sql) async fn human(
    tx: &mut Conn,
    counter: &'static str,
    by: u64,
) -> Result<(), StoreError> {
    query("INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value")
        .bind(counter)
        .bind(i64::try_from(by).unwrap_or(i64::MAX))
        .execute(tx)
        .await?;
    Ok(())
}

/// The act that says where the old end of the chain was cut.
pub(in crate::store::sql) const CUT: &str = "retention.audit";

/// What the line about a cut says of it.
pub(in crate::store::sql) fn witness(through: i64, hash: &str) -> String {
    format!("lines up to {through}, hash {hash}")
}

/// Where the chain begins: the last line that was cut off and its hash.
async fn anchor<'c>(on: impl Into<On<'c>>) -> Result<(i64, Vec<u8>), StoreError> {
    let row = query("SELECT through, hash FROM audit_anchor")
        .fetch_optional(on)
        .await?;
    Ok(row.map_or((0, Vec::new()), |row| (row.get(0), row.get(1))))
}

/// Whether a line of the chain says the same of its beginning as the anchor does.
pub(in crate::store::sql) async fn anchor_agrees(reads: &Pool) -> Result<bool, StoreError> {
    let (through, hash) = anchor(reads).await?;
    let said: Option<String> =
        query("SELECT target FROM audit WHERE act = ?1 ORDER BY id DESC LIMIT 1")
            .bind(CUT)
            .fetch_optional(reads)
            .await?
            .map(|row| row.get(0));
    let expected = (through > 0).then(|| witness(through, &HEXLOWER.encode(&hash)));
    Ok(said == expected)
}

/// Follows the chain over some lines; the id of the first that does not fit.
fn follow(rows: &[Line], before: &mut Vec<u8>, expected: &mut i64) -> Option<i64> {
    for row in rows {
        let id: i64 = row.get(0);
        let fields = [row.get(2), row.get(3), row.get(4), row.get(5)];
        let hash = link(before, id, row.get(1), fields);
        if id != *expected || row.get::<&[u8]>(6) != hash {
            return Some(id);
        }
        *before = hash.to_vec();
        *expected += 1;
    }
    None
}

/// ?1 first id, ?2 rows.
const LINES: &str = "SELECT id, at, actor, act, target, reason, hash FROM audit WHERE id >= ?1 ORDER BY id LIMIT ?2";

/// The hash of line `end`, when the chain is whole from its beginning up to there.
pub(in crate::store::sql) async fn whole_up_to(
    tx: &mut Conn,
    end: i64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (through, mut before) = anchor(&mut *tx).await?;
    let mut expected = through + 1;
    let rows = query(LINES)
        .bind(i64::MIN)
        .bind(end - through)
        .fetch_all(tx)
        .await?;
    let broken = follow(&rows, &mut before, &mut expected);
    Ok((broken.is_none() && expected == end + 1).then_some(before))
}

/// See [`crate::store::operator::Operator::check_audit`].
pub(in crate::store::sql) async fn check(reads: &Pool) -> Result<AuditCheck, StoreError> {
    const PAGE: i64 = 10_000;
    let (through, mut before) = anchor(reads).await?;
    let mut expected = through + 1;
    let mut from = i64::MIN;
    loop {
        let rows = query(LINES).bind(from).bind(PAGE).fetch_all(reads).await?;
        let broken_at = follow(&rows, &mut before, &mut expected);
        if broken_at.is_some() || rows.is_empty() {
            return Ok(AuditCheck {
                lines: u64::try_from(expected - 1 - through).unwrap_or(0),
                broken_at,
            });
        }
        from = expected;
    }
}

fn link(before: &[u8], id: i64, at: i64, fields: [&str; 4]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(id.to_be_bytes());
    hasher.update(at.to_be_bytes());
    for field in fields {
        hasher.update(field.len().to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().into()
}
