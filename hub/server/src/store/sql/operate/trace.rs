//! One screen about a term: received, recorded, decided and why, sent, seen.

use std::collections::BTreeSet;

use renkei_core::{MessageId, NoticeId, NoticeKind, PersonId, RecordId};

use super::{deliveries, messages};
use crate::store::StoreError;
use crate::store::operator::{NoticeLine, Trace, VersionLine};
use crate::store::sql::accept::control_hash;
use crate::store::sql::speak::{Line, Pool, query};
use crate::store::sql::{instant, json, parsed};

/// Rows of one kind shown at most.
const SHOWN: usize = 200;
/// Resources looked through at a time: no read lasts long enough to keep the log from being reset.
const SLICE: i64 = 100_000;

/// What the term led to so far.
#[derive(Default)]
struct Found {
    messages: BTreeSet<i64>,
    records: BTreeSet<i64>,
    /// Records named by the term itself: all of theirs is shown.
    named: BTreeSet<i64>,
    resources: BTreeSet<i64>,
    notices: BTreeSet<i64>,
}

/// See [`crate::store::operator::Operator::trace`].
pub(super) async fn trace(reads: &Pool, term: &str) -> Result<Trace, StoreError> {
    let mut found = Found::default();
    if term.is_empty() {
        return Ok(Trace::default());
    }
    by_term(reads, term, &mut found).await?;
    by_order(reads, term, &mut found).await?;
    follow(reads, &mut found).await?;
    let truncated = [&found.messages, &found.resources, &found.notices]
        .iter()
        .any(|ids| ids.len() > SHOWN);
    let newest = |ids: &BTreeSet<i64>| {
        let mut ids: Vec<i64> = ids.iter().rev().take(SHOWN).copied().collect();
        ids.reverse();
        ids
    };
    let notices = newest(&found.notices);
    let rows = query(format!(
        "SELECT {} FROM ints(?1) AS k CROSS JOIN delivery AS d ON d.notice = k.value JOIN notice AS n ON n.id = d.notice ORDER BY d.seq",
        deliveries::COLUMNS
    ))
    .bind(json(&notices)?)
    .fetch_all(reads)
    .await?;
    let sent = rows
        .iter()
        .map(deliveries::line)
        .collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = sent.iter().map(|delivery| delivery.id.as_str()).collect();
    Ok(Trace {
        messages: messages::details(reads, &newest(&found.messages)).await?,
        versions: versions(reads, &newest(&found.resources)).await?,
        decisions: deliveries::decisions(reads, &notices).await?,
        attempts: deliveries::attempts(reads, &ids).await?,
        seen: deliveries::seen(reads, &ids).await?,
        notices: lines(reads, &notices).await?,
        deliveries: sent,
        truncated,
    })
}

/// What the term names itself: a position, a control id or path, a local id, a delivery, a peer's post.
async fn by_term(reads: &Pool, term: &str, found: &mut Found) -> Result<(), StoreError> {
    let positions: Vec<i64> = query(
        "SELECT position FROM message WHERE control_hash = ?1 AND control = ?2 UNION SELECT position FROM message WHERE position = ?3",
    )
    .bind(control_hash(term))
    .bind(term.to_owned())
    .bind(term.parse::<i64>().ok())
    .column(reads)
    .await?;
    found.messages.extend(positions);
    let records: Vec<i64> = query("SELECT id FROM record WHERE local_id = ?1")
        .bind(term.to_owned())
        .column(reads)
        .await?;
    found.named.extend(&records);
    found.records.extend(records);
    let notices: Vec<i64> =
        query("SELECT notice FROM delivery WHERE id = ?1 UNION SELECT notice FROM delivery WHERE peer_ref = ?1 AND peer_ref IS NOT NULL")
            .bind(term.to_owned())
            .column(reads)
            .await?;
    found.notices.extend(notices);
    Ok(())
}

/// Order numbers stand inside natural keys and scopes: looked for slice by slice, newest first.
async fn by_order(reads: &Pool, term: &str, found: &mut Found) -> Result<(), StoreError> {
    if term.chars().count() < 4 {
        return Ok(());
    }
    let mut top: i64 = query("SELECT coalesce(max(id), 0) FROM resource")
        .fetch_one(reads)
        .await?
        .get(0);
    while top > 0 && found.resources.len() <= SHOWN {
        let hits: Vec<i64> = query(
            "SELECT id FROM resource WHERE id > ?2 AND id <= ?3 AND (instr('|' || natural_key || '|', '|' || ?1 || '|') > 0 \
             OR instr(scope || ':', ':' || ?1 || ':') > 0) ORDER BY id DESC LIMIT ?4",
        )
        .bind(term.to_owned())
        .bind(top - SLICE)
        .bind(top)
        .bind(i64::try_from(SHOWN).unwrap_or(i64::MAX) + 1)
        .column(reads)
        .await?;
        found.resources.extend(hits);
        top -= SLICE;
    }
    Ok(())
}

/// From messages to what they wrote, from that to who told it, and back to the messages behind it.
async fn follow(reads: &Pool, found: &mut Found) -> Result<(), StoreError> {
    let of_messages: Vec<i64> =
        query("SELECT DISTINCT s.resource FROM ints(?1) AS k CROSS JOIN sighting AS s ON s.message = k.value")
            .bind(json(&found.messages)?)
            .column(reads)
            .await?;
    found.resources.extend(of_messages);
    let of_records: Vec<i64> = query(
        "SELECT id FROM (SELECT r.id AS id FROM ints(?1) AS k CROSS JOIN resource AS r ON r.record = k.value ORDER BY r.id DESC LIMIT ?2) AS newest",
    )
    .bind(json(&found.named)?)
    .bind(i64::try_from(SHOWN).unwrap_or(i64::MAX) + 1)
    .column(reads)
    .await?;
    found.resources.extend(of_records);
    let records: Vec<i64> = query(
        "SELECT r.record FROM ints(?1) AS k CROSS JOIN resource AS r ON r.id = k.value WHERE r.record IS NOT NULL \
         UNION SELECT n.record FROM ints(?2) AS k CROSS JOIN notice AS n ON n.id = k.value \
         UNION SELECT o.record FROM ints(?3) AS k CROSS JOIN outcome AS o ON o.position = k.value WHERE o.record IS NOT NULL",
    )
    .bind(json(&found.resources)?)
    .bind(json(&found.notices)?)
    .bind(json(&found.messages)?)
    .column(reads)
    .await?;
    found.records.extend(records);
    telling(reads, found).await?;
    let behind: Vec<i64> = query(
        "SELECT v.message FROM ints(?1) AS k CROSS JOIN version AS v ON v.resource = k.value WHERE v.message IS NOT NULL \
         UNION SELECT o.position FROM ints(?2) AS k CROSS JOIN outcome AS o ON o.record = k.value \
           WHERE o.state IN ('parked', 'failed') AND o.state <> 'processed'",
    )
    .bind(json(&found.resources)?)
    .bind(json(&found.named)?)
    .column(reads)
    .await?;
    found.messages.extend(behind);
    Ok(())
}

/// Notices that tell one of the resources, and the resources of the notices that were named.
async fn telling(reads: &Pool, found: &mut Found) -> Result<(), StoreError> {
    let rows =
        query("SELECT r.logical_id FROM ints(?1) AS k CROSS JOIN resource AS r ON r.id = k.value")
            .bind(json(&found.resources)?)
            .fetch_all(reads)
            .await?;
    let ids: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let rows = query(
        "SELECT n.id, n.record, n.focus, n.told, n.parts FROM ints(?1) AS k CROSS JOIN notice AS n ON n.record = k.value",
    )
    .bind(json(&found.records)?)
    .fetch_all(reads)
    .await?;
    let mut told = BTreeSet::new();
    for row in rows {
        let mut parts: Vec<String> = parsed(row.get(3))?;
        parts.extend(parsed::<Vec<String>>(row.get(4))?);
        parts.push(row.get(2));
        if found.notices.contains(&row.get(0)) {
            told.extend(parts);
        } else if found.named.contains(&row.get(1)) || parts.iter().any(|part| ids.contains(part)) {
            found.notices.insert(row.get(0));
        }
    }
    let told: Vec<i64> =
        query("SELECT r.id FROM texts(?1) AS k CROSS JOIN resource AS r ON r.logical_id = k.value")
            .bind(json(&told)?)
            .column(reads)
            .await?;
    found.resources.extend(told);
    Ok(())
}

async fn versions(reads: &Pool, resources: &[i64]) -> Result<Vec<VersionLine>, StoreError> {
    let rows = query(
        "SELECT r.kind, r.logical_id, v.version, v.withdrawn, v.source_time, v.message FROM ints(?1) AS k \
         CROSS JOIN resource AS r ON r.id = k.value JOIN version AS v ON v.resource = r.id ORDER BY v.recorded_at, r.id, v.version",
    )
    .bind(json(&resources)?)
    .fetch_all(reads)
    .await?;
    let line = |row: &Line| VersionLine {
        kind: row.get(0),
        logical_id: row.get(1),
        version: row.get(2),
        withdrawn: row.get(3),
        source_time: instant(row.get(4)),
        message: row.get::<Option<i64>>(5).map(MessageId),
        late: false,
    };
    Ok(rows.iter().map(line).collect())
}

async fn lines(reads: &Pool, notices: &[i64]) -> Result<Vec<NoticeLine>, StoreError> {
    let rows = query(
        "SELECT n.id, n.kind, n.person, n.record, n.occurred_at, n.version, n.cancelled, n.due_at FROM ints(?1) AS k \
         CROSS JOIN notice AS n ON n.id = k.value ORDER BY n.occurred_at, n.id",
    )
    .bind(json(&notices)?)
    .fetch_all(reads)
    .await?;
    let line = |row: &Line| {
        Ok(NoticeLine {
            id: NoticeId(row.get(0)),
            kind: NoticeKind::find(row.get(1))
                .ok_or_else(|| StoreError::Broken("a notice of no kind".into()))?,
            person: PersonId(row.get(2)),
            record: RecordId(row.get(3)),
            occurred_at: instant(row.get(4)),
            version: row.get(5),
            cancelled: row.get(6),
            due_at: row.get::<Option<i64>>(7).map(instant),
        })
    };
    rows.iter().map(line).collect()
}
