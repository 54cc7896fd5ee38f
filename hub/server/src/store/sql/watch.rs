//! See [`crate::store::watch::Watch`].

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::SinkName;

use super::speak::{Dialect, Line, Pool, query};
use super::writer::Priority;
use super::{Database, instant, micros};
use crate::store::StoreError;
use crate::store::watch::{AlarmLine, LineStanding, Standing, Watch};

/// The oldest of a line is among its first few: only deliveries that were released or tried again may
/// stand before one that waits for longer. A long line is not read to its end.
const OLDEST_PENDING: &str = "SELECT p.sink, p.pending, (SELECT min(o.since) FROM (\
     SELECT CASE WHEN d.released_by IS NULL THEN d.created_at ELSE d.due_at END AS since FROM delivery AS d \
     WHERE d.sink = p.sink AND d.state = 'pending' ORDER BY d.seq LIMIT 500) AS o) \
     FROM (SELECT sink, count(*) AS pending FROM delivery WHERE state = 'pending' GROUP BY sink) AS p";
const SENT: &str = "SELECT sink, count(*) FROM delivery WHERE state = 'sent' GROUP BY sink";
const WAITING: &str = "SELECT (SELECT m.received_at FROM waiting AS w JOIN message AS m ON m.position = w.position WHERE NOT w.replay ORDER BY w.position LIMIT 1), \
     (SELECT count(*) FROM waiting), (SELECT count(*) FROM notice WHERE due_at <= ?1)";
/// In the words of the partial indexes: other words read every outcome and every delivery there is.
const OPEN_MESSAGES: &str =
    "SELECT state, count(*) FROM outcome WHERE state <> 'processed' GROUP BY state";
const OPEN_DELIVERIES: &str = "SELECT state, code, count(*) FROM delivery WHERE state IN ('held', 'dead') GROUP BY state, code";

#[async_trait]
impl Watch for Database {
    async fn standing(&self, now: Timestamp) -> Result<Standing, StoreError> {
        let mut standing = standing(&self.reads, now).await?;
        (standing.bytes, standing.log_bytes) = match self.reads.dialect() {
            Dialect::Sqlite => (
                size(&self.folder.join("renkei.db")),
                size(&self.folder.join("renkei.db-wal")),
            ),
            Dialect::Postgres => {
                let row = query("SELECT pg_database_size(current_database())")
                    .fetch_one(&self.reads)
                    .await?;
                (row.count(0), 0)
            }
        };
        Ok(standing)
    }

    async fn alarms(&self) -> Result<Vec<AlarmLine>, StoreError> {
        let rows =
            query("SELECT name, sink, raised, since, value, told FROM alarm ORDER BY name, sink")
                .fetch_all(&self.reads)
                .await?;
        let alarm = |row: &Line| AlarmLine {
            name: row.get(0),
            sink: row.get(1),
            raised: row.get(2),
            since: instant(row.get(3)),
            value: row.get(4),
            told: row.get(5),
        };
        Ok(rows.iter().map(alarm).collect())
    }

    async fn turn_alarm(&self, alarm: &AlarmLine) -> Result<bool, StoreError> {
        let turn = query(
            "INSERT INTO alarm (name, sink, raised, since, value, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (name, sink) DO UPDATE SET raised = excluded.raised, since = excluded.since, \
             value = excluded.value, told = excluded.told WHERE alarm.raised <> excluded.raised",
        )
        .bind(&alarm.name)
        .bind(&alarm.sink)
        .bind(alarm.raised)
        .bind(micros(alarm.since))
        .bind(alarm.value)
        .bind(alarm.told);
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move { Ok(turn.clone().execute(&mut *tx).await? > 0) })
            })
            .await
    }

    async fn alarm_told(&self, alarm: &AlarmLine) -> Result<(), StoreError> {
        let told = query("UPDATE alarm SET told = ?4 WHERE name = ?1 AND sink = ?2 AND since = ?3")
            .bind(&alarm.name)
            .bind(&alarm.sink)
            .bind(micros(alarm.since))
            .bind(true);
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    told.clone().execute(&mut *tx).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// How it stands with everything that waits; without the sizes of files.
pub(super) async fn standing(reads: &Pool, now: Timestamp) -> Result<Standing, StoreError> {
    let age = |at: Option<i64>| at.map(|at| now.duration_since(instant(at)).as_secs().max(0));
    let waiting = query(WAITING).bind(micros(now)).fetch_one(reads).await?;
    let mut standing = Standing {
        oldest_waiting_secs: age(waiting.get(0)),
        waiting: waiting.count(1),
        unsettled: waiting.count(2),
        ..Standing::default()
    };
    for row in query(OPEN_MESSAGES).fetch_all(reads).await? {
        match row.get::<&str>(0) {
            "parked" => standing.parked = row.count(1),
            _ => standing.failed = row.count(1),
        }
    }
    for row in query(OLDEST_PENDING).fetch_all(reads).await? {
        let line = line(&mut standing.lines, &row);
        (line.pending, line.oldest_pending_secs) = (row.count(1), age(row.get(2)));
    }
    for row in query(SENT).fetch_all(reads).await? {
        line(&mut standing.lines, &row).sent = row.count(1);
    }
    for row in query(OPEN_DELIVERIES).fetch_all(reads).await? {
        let counts = match row.get::<&str>(0) {
            "held" => &mut standing.held,
            _ => &mut standing.dead,
        };
        counts.insert(row.get(1), row.count(2));
    }
    Ok(standing)
}

fn line<'l>(lines: &'l mut BTreeMap<SinkName, LineStanding>, row: &Line) -> &'l mut LineStanding {
    lines.entry(SinkName::new(row.get::<&str>(0))).or_default()
}

/// A file that is not there takes nothing.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
pub(super) const EVERY_FEW_SECONDS: [&str; 5] = [
    OLDEST_PENDING,
    SENT,
    WAITING,
    OPEN_MESSAGES,
    OPEN_DELIVERIES,
];
