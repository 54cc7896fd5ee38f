//! The audit chain and the counters of human acts.

use sha2::{Digest, Sha256};

use crate::store::StoreError;
use crate::store::operator::{AuditCheck, By};
use crate::store::sql::micros;
use crate::store::sql::speak::{Conn, Dialect, Pool, query};

/// Writes one line, chained to the one before. `target` names ids, never patients.
pub(super) async fn line(
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
    let (id, before): (i64, Vec<u8>) =
        last.map_or((1, Vec::new()), |row| (row.get::<i64>(0) + 1, row.get(1)));
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
pub(super) async fn human(tx: &mut Conn, counter: &'static str, by: u64) -> Result<(), StoreError> {
    query("INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value")
        .bind(counter)
        .bind(i64::try_from(by).unwrap_or(i64::MAX))
        .execute(tx)
        .await?;
    Ok(())
}

/// See [`crate::store::operator::Operator::check_audit`].
pub(super) async fn check(reads: &Pool) -> Result<AuditCheck, StoreError> {
    const PAGE: i64 = 10_000;
    let (mut before, mut expected) = (Vec::new(), 1_i64);
    loop {
        let rows = query("SELECT id, at, actor, act, target, reason, hash FROM audit WHERE id >= ?1 ORDER BY id LIMIT ?2")
            .bind(expected)
            .bind(PAGE)
            .fetch_all(reads)
            .await?;
        if rows.is_empty() {
            return Ok(AuditCheck {
                lines: u64::try_from(expected - 1).unwrap_or(0),
                broken_at: None,
            });
        }
        for row in rows {
            let id: i64 = row.get(0);
            let hash = link(
                &before,
                id,
                row.get(1),
                [row.get(2), row.get(3), row.get(4), row.get(5)],
            );
            if id != expected || row.get::<&[u8]>(6) != hash {
                return Ok(AuditCheck {
                    lines: u64::try_from(expected - 1).unwrap_or(0),
                    broken_at: Some(id),
                });
            }
            before = hash.to_vec();
            expected += 1;
        }
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
