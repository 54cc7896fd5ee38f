//! Messages: lists, details, replay.

use renkei_core::{Code, FacilityId, MessageId, RecordId, SourceName};

use super::{at_most, audit, everything_or};
use crate::store::StoreError;
use crate::store::operator::{
    By, MessageDetail, MessageFilter, MessageLine, OperateError, Selection, VersionLine,
};
use crate::store::sql::load::grouped;
use crate::store::sql::speak::{Conn, Line, On, Pool, query};
use crate::store::sql::{instant, json, parsed};
use crate::world::MessageState;

const COLUMNS: &str = "m.position, m.source, m.facility, m.control, m.received_at, w.replay, o.state, o.code, o.record, o.mapper, o.at, m.pruned_at";
const JOINS: &str = "JOIN message AS m ON m.position = k.position LEFT JOIN waiting AS w ON w.position = k.position \
     LEFT JOIN outcome AS o ON o.position = k.position";

/// The state is derived: what waits is received, whatever came of it before.
fn line(row: &Line) -> Result<MessageLine, StoreError> {
    let waits: Option<bool> = row.get(5);
    let ended = row.get::<Option<&str>>(6).and_then(MessageState::find);
    Ok(MessageLine {
        id: MessageId(row.get(0)),
        source: SourceName::new(row.get::<&str>(1)),
        facility: FacilityId::new(row.get::<&str>(2))
            .map_err(|error| StoreError::Broken(Box::new(error)))?,
        control: row.get(3),
        state: if waits.is_some() {
            MessageState::Received
        } else {
            ended.unwrap_or(MessageState::Received)
        },
        code: row.get(7),
        record: row.get::<Option<i64>>(8).map(RecordId),
        mapper: row.get::<Option<String>>(9).unwrap_or_default(),
        received_at: instant(row.get(4)),
        ended_at: row.get::<Option<i64>>(10).map(instant),
        replay: waits.unwrap_or(false),
        body_removed_at: row.get::<Option<i64>>(11).map(instant),
    })
}

/// The positions that match, newest first: ?1 state, ?2 code, ?3 source, ?4 limit.
fn matching(filter: &MessageFilter) -> &'static str {
    match filter.state {
        Some(MessageState::Received) => {
            "SELECT w.position FROM waiting AS w JOIN message AS m ON m.position = w.position LEFT JOIN outcome AS o ON o.position = w.position \
             WHERE ?1 IS NOT NULL AND (?2 IS NULL OR o.code = ?2) AND (?3 IS NULL OR m.source = ?3) ORDER BY w.position DESC LIMIT ?4"
        }
        // The columns of the partial index on what is open, whose condition needs words of its own.
        Some(MessageState::Parked | MessageState::Failed) => {
            "SELECT o.position FROM outcome AS o JOIN message AS m ON m.position = o.position \
             WHERE o.state = ?1 AND o.state <> 'processed' AND (?2 IS NULL OR o.code = ?2) AND (?3 IS NULL OR m.source = ?3) ORDER BY o.position DESC LIMIT ?4"
        }
        Some(MessageState::Processed) | None => {
            "SELECT m.position FROM message AS m LEFT JOIN outcome AS o ON o.position = m.position \
             WHERE (?1 IS NULL OR o.state = ?1) AND (?2 IS NULL OR o.code = ?2) AND (?3 IS NULL OR m.source = ?3) ORDER BY m.position DESC LIMIT ?4"
        }
    }
}

/// See [`crate::store::operator::Operator::messages`].
pub(super) async fn list(
    reads: &Pool,
    filter: &MessageFilter,
) -> Result<Vec<MessageLine>, StoreError> {
    let rows = query(format!(
        "SELECT {COLUMNS} FROM ({}) AS k {JOINS} ORDER BY k.position DESC",
        matching(filter)
    ))
    .bind(filter.state.map(MessageState::code))
    .bind(filter.code.map(|code| code.as_str()))
    .bind(
        filter
            .source
            .as_ref()
            .map(|source| source.as_str().to_owned()),
    )
    .bind(at_most(filter.limit))
    .fetch_all(reads)
    .await?;
    rows.iter().map(line).collect()
}

/// Messages with all that is said about them, in the order of acceptance.
pub(super) async fn details(
    reads: &Pool,
    positions: &[i64],
) -> Result<Vec<MessageDetail>, StoreError> {
    let ids = json(&positions)?;
    let seen = query(
        "SELECT s.message, r.kind, r.logical_id, s.version, r.withdrawn, coalesce(v.source_time, r.source_time), v.message, s.late, v.withdrawn \
         FROM ints(?1) AS k CROSS JOIN sighting AS s ON s.message = k.value JOIN resource AS r ON r.id = s.resource \
         LEFT JOIN version AS v ON v.resource = s.resource AND v.version = s.version ORDER BY s.message, s.resource, s.version",
    )
    .bind(&ids)
    .fetch_all(reads)
    .await?;
    let mut seen = grouped(seen.iter().map(|row| (row.get::<i64>(0), version(row))));
    let rows = query(format!(
        "SELECT {COLUMNS}, m.meta, o.findings, o.unread FROM (SELECT value AS position FROM ints(?1)) AS k {JOINS} ORDER BY k.position"
    ))
    .bind(&ids)
    .fetch_all(reads)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let message = line(&row)?;
        all.push(MessageDetail {
            versions: seen.remove(&message.id.0).unwrap_or_default(),
            meta: parsed(row.get(12))?,
            findings: row
                .get::<Option<&str>>(13)
                .map(parsed)
                .transpose()?
                .unwrap_or_default(),
            unread: row
                .get::<Option<&str>>(14)
                .map(parsed)
                .transpose()?
                .unwrap_or_default(),
            message,
        });
    }
    Ok(all)
}

fn version(row: &Line) -> VersionLine {
    VersionLine {
        kind: row.get(1),
        logical_id: row.get(2),
        version: row.get(3),
        withdrawn: row.get::<Option<bool>>(8).unwrap_or_else(|| row.get(4)),
        source_time: instant(row.get(5)),
        message: row.get::<Option<i64>>(6).map(MessageId),
        late: row.get(7),
    }
}

/// What was cut off at the door has not all its bytes: it would be read as something shorter.
const CUT_OFF: [Code; 3] = [
    Code::HL7_FRAME_TRUNCATED,
    Code::HL7_FRAME_TOO_LARGE,
    Code::DOC_TOO_LARGE,
];

/// See [`crate::store::operator::Operator::replay`].
pub(super) async fn replay(
    tx: &mut Conn,
    which: &Selection<MessageId, MessageFilter>,
    release: bool,
    by: &By,
) -> Result<u64, OperateError> {
    let ids: Vec<i64> = match which {
        Selection::These(ids) => ids.iter().map(|id| id.0).collect(),
        Selection::Matching(filter) => selected(&mut *tx, filter).await?,
    };
    let ids = json(&ids)?;
    let done = query(
        "INSERT INTO waiting (position, lane, replay) SELECT m.position, m.lane, ?2 FROM ints(?1) AS k \
         CROSS JOIN outcome AS o ON o.position = k.value JOIN message AS m ON m.position = o.position \
         WHERE m.pruned_at IS NULL AND (o.code IS NULL OR o.code NOT IN (SELECT value FROM texts(?3))) FOR SHARE OF m ON CONFLICT DO NOTHING",
    )
    .bind(&ids)
    .bind(!release)
    .bind(json(&CUT_OFF)?)
    .execute(&mut *tx)
    .await?;
    query(
        "DELETE FROM outcome WHERE position IN (SELECT value FROM ints(?1)) AND EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = outcome.position)",
    )
    .bind(&ids)
    .execute(&mut *tx)
    .await?;
    let act = if release { "replay.release" } else { "replay" };
    audit::line(tx, by, act, &format!("{} messages", done)).await?;
    audit::human(tx, "human.replay", 1).await?;
    Ok(done)
}

async fn selected<'c>(
    tx: impl Into<On<'c>>,
    filter: &MessageFilter,
) -> Result<Vec<i64>, StoreError> {
    let positions = query(matching(filter))
        .bind(filter.state.map(MessageState::code))
        .bind(filter.code.map(|code| code.as_str()))
        .bind(
            filter
                .source
                .as_ref()
                .map(|source| source.as_str().to_owned()),
        )
        .bind(everything_or(filter.limit))
        .column(tx)
        .await?;
    Ok(positions)
}
