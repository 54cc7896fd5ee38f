//! Bodies and deliveries: both are passed once, from the oldest on. What is old enough is removed; what
//! may not go yet is written into `retention_kept` and looked at again when it may.

use jiff::{SignedDuration, Timestamp};
use renkei_core::{Code, Payload};

use crate::store::StoreError;
use crate::store::keeper::{Cut, Kind, Prunable};
use crate::store::sql::rows::Shape;
use crate::store::sql::speak::{Conn, Dialect, Line, Pool, query};
use crate::store::sql::{json, micros, parsed};

/// A legal hold stands for the record of an outcome `o`. Of a message of no known patient nobody can say
/// whose it is: it stays while any hold stands.
const BODY_HELD: &str = "EXISTS (SELECT 1 FROM hold AS h WHERE h.released_at IS NULL AND (o.record IS NULL OR EXISTS \
     (SELECT 1 FROM record AS r WHERE r.id = o.record AND r.facility = h.facility AND r.local_id = h.local_id)))";
/// … for the record of the notice of a delivery.
const DELIVERY_HELD: &str = "EXISTS (SELECT 1 FROM hold AS h JOIN record AS r ON r.facility = h.facility AND r.local_id = h.local_id \
     JOIN notice AS n ON n.record = r.id WHERE h.released_at IS NULL AND n.id = delivery.notice)";
/// What was refused for today is asked again tomorrow.
const ASK_AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// Rows looked at in one read when only counting.
const PAGE: u32 = 5_000;

const KEPT: Shape = Shape {
    head: "INSERT INTO retention_kept (what, id, again_at) VALUES ",
    columns: 3,
    tail: " ON CONFLICT (what, id) DO UPDATE SET again_at = excluded.again_at",
};
const DETACH: Shape = Shape {
    head: "DELETE FROM attachment WHERE (sha256, delivery) IN (VALUES ",
    columns: 2,
    tail: ")",
};

/// What the next slice is about.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Old enough, and nothing spoke against it when it was read.
    fit: Vec<i64>,
    /// Old enough, but to be asked again at an instant.
    kept: Vec<(i64, i64)>,
    /// Asked again now, and to be forgotten: it can never go.
    gone: Vec<i64>,
    /// How far it passed.
    through: Option<i64>,
    /// Nothing old enough comes after it.
    pub(super) done: bool,
}

impl Look {
    pub(super) fn is_empty(&self) -> bool {
        self.fit.is_empty()
            && self.kept.is_empty()
            && self.gone.is_empty()
            && self.through.is_none()
    }

    fn take(&mut self, row: &Line, cut: &Cut, now: Timestamp) {
        let (id, at): (i64, i64) = (row.get(0), row.get(1));
        let (gone, fit, longer): (bool, bool, bool) = (row.get(2), row.get(3), row.get(4));
        if gone {
            self.gone.push(id);
        } else if !fit {
            self.kept.push((id, later(now, ASK_AGAIN)));
        } else if longer && at >= micros(cut.unread_before) {
            let wait = at.saturating_sub(micros(cut.unread_before));
            self.kept.push((id, micros(now).saturating_add(wait)));
        } else {
            self.fit.push(id);
        }
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> i64 {
    now.checked_add(wait).map_or(i64::MAX, micros)
}

/// The candidates: id, age, "nothing to remove", "may go", "kept by the longer policy".
fn candidates(kind: Kind) -> String {
    match kind {
        Kind::Deliveries => format!(
            "SELECT delivery.seq, greatest(delivery.created_at, coalesce(delivery.told_at, 0)), FALSE, \
             delivery.state IN ('delivered', 'dead') AND NOT {DELIVERY_HELD}, FALSE"
        ),
        // An original document is clinical content, not the wire form of some.
        _ => format!(
            "SELECT m.position, m.received_at, m.pruned_at IS NOT NULL OR instr(m.meta, '\"media_type\"') > 0, \
             coalesce(o.state = 'processed', FALSE) AND w.position IS NULL AND NOT {BODY_HELD}, \
             instr(coalesce(o.findings, ''), '{}') > 0",
            Code::HL7_UNKNOWN_TYPE
        ),
    }
}

/// ?1 after this id, ?2 rows.
fn ahead(kind: Kind) -> String {
    let what = candidates(kind);
    match kind {
        Kind::Deliveries => {
            format!("{what} FROM delivery WHERE delivery.seq > ?1 ORDER BY delivery.seq LIMIT ?2")
        }
        _ => format!(
            "{what} FROM message AS m LEFT JOIN outcome AS o ON o.position = m.position LEFT JOIN waiting AS w ON w.position = m.position \
             WHERE m.position > ?1 ORDER BY m.position LIMIT ?2"
        ),
    }
}

/// ?1 ids.
fn these(kind: Kind) -> String {
    let what = candidates(kind);
    match kind {
        Kind::Deliveries => {
            format!("{what} FROM ints(?1) AS k CROSS JOIN delivery ON delivery.seq = k.value")
        }
        _ => format!(
            "{what} FROM ints(?1) AS k CROSS JOIN message AS m ON m.position = k.value LEFT JOIN outcome AS o ON o.position = m.position \
             LEFT JOIN waiting AS w ON w.position = m.position"
        ),
    }
}

async fn mark(reads: &Pool, kind: Kind) -> Result<i64, StoreError> {
    let row = query("SELECT through FROM retention_mark WHERE what = ?1")
        .bind(kind.name())
        .fetch_optional(reads)
        .await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

/// What to ask again, then what comes next.
pub(super) async fn look(
    reads: &Pool,
    cut: &Cut,
    rows: u32,
    now: Timestamp,
) -> Result<Look, StoreError> {
    let mut look = Look::default();
    let again: Vec<i64> = query(
        "SELECT id FROM retention_kept WHERE what = ?1 AND again_at <= ?2 ORDER BY again_at LIMIT ?3",
    )
    .bind(cut.kind.name())
    .bind(micros(now))
    .bind(rows)
    .column(reads)
    .await?;
    if !again.is_empty() {
        let rows = query(these(cut.kind))
            .bind(json(&again)?)
            .fetch_all(reads)
            .await?;
        for row in &rows {
            look.take(row, cut, now);
        }
    }
    let room = rows.saturating_sub(u32::try_from(again.len()).unwrap_or(u32::MAX));
    if room > 0 {
        let after = mark(reads, cut.kind).await?;
        step(reads, cut, after, room, now, &mut look).await?;
    }
    Ok(look)
}

/// The next rows in order, up to the first that is too young.
async fn step(
    reads: &Pool,
    cut: &Cut,
    after: i64,
    room: u32,
    now: Timestamp,
    look: &mut Look,
) -> Result<(), StoreError> {
    let rows = query(ahead(cut.kind))
        .bind(after)
        .bind(room)
        .fetch_all(reads)
        .await?;
    let before = micros(cut.before);
    let old = rows
        .iter()
        .take_while(|row| row.get::<i64>(1) < before)
        .count();
    look.done = old < usize::try_from(room).unwrap_or(usize::MAX);
    for row in rows.iter().take(old) {
        look.through = Some(row.get(0));
        look.take(row, cut, now);
    }
    Ok(())
}

/// Counts without writing.
pub(super) async fn count(reads: &Pool, cut: &Cut, now: Timestamp) -> Result<Prunable, StoreError> {
    let mut after = mark(reads, cut.kind).await?;
    let mut total = look(reads, cut, 0, now).await?;
    let kept: i64 = query("SELECT count(*) FROM retention_kept WHERE what = ?1")
        .bind(cut.kind.name())
        .fetch_one(reads)
        .await?
        .get(0);
    let mut prunable = Prunable {
        free: 0,
        kept: u64::try_from(kept).unwrap_or(0),
    };
    let again: Vec<i64> = query("SELECT id FROM retention_kept WHERE what = ?1 AND again_at <= ?2")
        .bind(cut.kind.name())
        .bind(micros(now))
        .column(reads)
        .await?;
    for page in again.chunks(usize::try_from(PAGE).unwrap_or(1)) {
        let rows = query(these(cut.kind))
            .bind(json(&page)?)
            .fetch_all(reads)
            .await?;
        let mut asked = Look::default();
        rows.iter().for_each(|row| asked.take(row, cut, now));
        let free = asked.fit.len() as u64;
        prunable.free += free;
        prunable.kept = prunable.kept.saturating_sub(free + asked.gone.len() as u64);
    }
    while !total.done {
        total = Look::default();
        step(reads, cut, after, PAGE, now, &mut total).await?;
        after = total.through.unwrap_or(after);
        prunable.free += total.fit.len() as u64;
        prunable.kept += total.kept.len() as u64;
    }
    Ok(prunable)
}

/// Removes what is fit, if it still may go, and remembers how far this came.
pub(super) async fn remove(
    tx: &mut Conn,
    kind: Kind,
    look: Look,
    at: i64,
) -> Result<u64, StoreError> {
    let (went, removed) = match kind {
        Kind::Deliveries => deliveries(tx, &look.fit).await?,
        _ => bodies(tx, &look.fit, at).await?,
    };
    let again = at.saturating_add(ASK_AGAIN.as_micros().try_into().unwrap_or(i64::MAX));
    let refused = look.fit.iter().filter(|id| !went.contains(id));
    let kept: Vec<(i64, i64)> = look
        .kept
        .iter()
        .copied()
        .chain(refused.map(|id| (*id, again)))
        .collect();
    KEPT.execute(tx, &kept, |query, (id, again)| {
        Ok(query.bind(kind.name()).bind(*id).bind(*again))
    })
    .await?;
    let settled: Vec<i64> = went.iter().chain(&look.gone).copied().collect();
    query("DELETE FROM retention_kept WHERE what = ?1 AND id IN (SELECT value FROM ints(?2))")
        .bind(kind.name())
        .bind(json(&settled)?)
        .execute(&mut *tx)
        .await?;
    if let Some(through) = look.through {
        query(
            "INSERT INTO retention_mark (what, through) VALUES (?1, ?2) \
             ON CONFLICT (what) DO UPDATE SET through = greatest(retention_mark.through, excluded.through)",
        )
        .bind(kind.name())
        .bind(through)
        .execute(&mut *tx)
        .await?;
    }
    Ok(removed)
}

/// Empties bodies. Which ones, and how many.
async fn bodies(tx: &mut Conn, fit: &[i64], at: i64) -> Result<(Vec<i64>, u64), StoreError> {
    let ids = json(&fit)?;
    if tx.dialect() == Dialect::Postgres {
        // A replay under way is seen by the next statement, not by one that has waited for it.
        query("SELECT position FROM message WHERE position IN (SELECT value FROM ints(?1)) ORDER BY position FOR UPDATE")
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
    }
    let went: Vec<i64> = query(format!(
        "UPDATE message SET body = NULL, pruned_at = ?2 WHERE position IN (SELECT value FROM ints(?1)) AND pruned_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = message.position) \
         AND EXISTS (SELECT 1 FROM outcome AS o WHERE o.position = message.position AND o.state = 'processed' AND NOT {BODY_HELD}) \
         RETURNING position"
    ))
    .bind(&ids)
    .bind(at)
    .column(tx)
    .await?;
    let removed = went.len() as u64;
    Ok((went, removed))
}

/// Lets go of sheets and attempts. Of which deliveries, and how many rows.
async fn deliveries(tx: &mut Conn, fit: &[i64]) -> Result<(Vec<i64>, u64), StoreError> {
    let rows = query(format!(
        "SELECT delivery.seq, delivery.id, delivery.payload FROM ints(?1) AS k CROSS JOIN delivery ON delivery.seq = k.value \
         WHERE delivery.state IN ('delivered', 'dead') AND NOT {DELIVERY_HELD}"
    ))
    .bind(json(&fit)?)
    .fetch_all(&mut *tx)
    .await?;
    let (mut went, mut ids, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let id: String = row.get(1);
        went.push(row.get::<i64>(0));
        // One that was never framed has no payload.
        if row.get::<&str>(2) != "{}" {
            let payload: Payload = parsed(row.get(2))?;
            for attachment in &payload.attachments {
                let hash = super::blobs::hash(&attachment.sha256).map(|hash| hash.to_vec());
                files.extend(hash.map(|hash| (hash, id.clone())));
            }
        }
        ids.push(id);
    }
    let detached = DETACH
        .execute(tx, &files, |query, (hash, id)| {
            Ok(query.bind(hash.clone()).bind(id.clone()))
        })
        .await?;
    let attempts = query("DELETE FROM attempt WHERE delivery IN (SELECT value FROM texts(?1))")
        .bind(json(&ids)?)
        .execute(tx)
        .await?;
    Ok((went, detached + attempts))
}
