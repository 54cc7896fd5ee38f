//! The old end of the audit chain. What is cut off leaves an anchor, the hash of its last line, and a
//! line of the chain says that hash: an anchor made up later does not agree with it.

use data_encoding::HEXLOWER;
use jiff::Timestamp;

use super::chain;
use crate::store::StoreError;
use crate::store::keeper::Prunable;
use crate::store::operator::By;
use crate::store::sql::micros;
use crate::store::sql::speak::{Conn, Pool, query};

/// The line up to which the next `rows` lines are old enough, with its hash. The newest line stays.
pub(super) async fn next(
    reads: &Pool,
    before: Timestamp,
    rows: u32,
) -> Result<Option<i64>, StoreError> {
    // Lines are in the order of their writing; one that is too young protects what follows it.
    let lines = query("SELECT id, at FROM audit ORDER BY id LIMIT ?1")
        .bind(i64::from(rows) + 1)
        .fetch_all(reads)
        .await?;
    let old = lines
        .iter()
        .take(lines.len().saturating_sub(1))
        .take_while(|line| line.get::<i64>(1) < micros(before));
    Ok(old.last().map(|line| line.get(0)))
}

/// Cuts the chain after line `end`. Returns how many lines went. A chain that is broken there is left
/// alone: it is evidence.
pub(super) async fn cut(tx: &mut Conn, end: i64, now: Timestamp) -> Result<u64, StoreError> {
    let Some(hash) = chain::whole_up_to(tx, end).await? else {
        return Err(StoreError::Refused(
            "the audit chain is broken; it is not cut".into(),
        ));
    };
    query(
        "INSERT INTO audit_anchor (one, through, hash, at) VALUES (1, ?1, ?2, ?3) \
         ON CONFLICT (one) DO UPDATE SET through = excluded.through, hash = excluded.hash, at = excluded.at",
    )
    .bind(end)
    .bind(hash.clone())
    .bind(micros(now))
    .execute(&mut *tx)
    .await?;
    let gone = query("DELETE FROM audit WHERE id <= ?1")
        .bind(end)
        .execute(&mut *tx)
        .await?;
    let by = By {
        actor: "renkei".to_owned(),
        reason: "retention policy".to_owned(),
        at: now,
    };
    let target = chain::witness(end, &HEXLOWER.encode(&hash));
    chain::line(tx, &by, chain::CUT, &target).await?;
    Ok(gone)
}

/// How many lines are old enough.
pub(super) async fn count(reads: &Pool, before: Timestamp) -> Result<Prunable, StoreError> {
    let row = query(
        "SELECT count(*) FROM audit WHERE id < coalesce((SELECT min(id) FROM audit WHERE at >= ?1), (SELECT max(id) FROM audit))",
    )
    .bind(micros(before))
    .fetch_one(reads)
    .await?;
    Ok(Prunable {
        free: row.count(0),
        kept: 0,
    })
}
