//! What is counted: status, ledger counts, events; and what operators have set for sinks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_core::{FacilityId, NoticeId, NoticeKind, PersonId, SinkName, SourceName};

use super::audit;
use crate::config::SinkMode;
use crate::store::StoreError;
use crate::store::operator::{
    By, DecisionCount, DeliveryCount, EventDelivery, EventRow, LedgerCounts, OperateError, Run,
    SinkOverride, Status,
};
use crate::store::sql::load::grouped;
use crate::store::sql::speak::{Conn, Line, Pool, query};
use crate::store::sql::{instant, json, micros, parsed, watch};
use crate::world::DeliveryState;

/// See [`crate::store::operator::Operator::sink_override`].
pub(super) async fn set_sink(
    tx: &mut Conn,
    sink: &SinkName,
    mode: Option<SinkMode>,
    paused: Option<bool>,
    by: &By,
) -> Result<(), OperateError> {
    let mode = mode
        .map(|mode| json(&mode))
        .transpose()?
        .map(|mode| mode.trim_matches('"').to_owned());
    query(
        "INSERT INTO sink_override (sink, mode, paused) VALUES (?1, ?2, coalesce(?3, FALSE)) \
         ON CONFLICT (sink) DO UPDATE SET mode = coalesce(?2, sink_override.mode), paused = coalesce(?3, sink_override.paused)",
    )
    .bind(sink.as_str().to_owned())
    .bind(mode.clone())
    .bind(paused)
    .execute(&mut *tx)
    .await?;
    let target = format!(
        "{sink} mode {} paused {paused:?}",
        mode.as_deref().unwrap_or("as it was")
    );
    audit::line(tx, by, "sink.set", &target).await?;
    audit::human(tx, "human.sink", 1).await?;
    Ok(())
}

/// See [`crate::store::operator::Operator::sink_overrides`].
pub(super) async fn sinks(reads: &Pool) -> Result<Vec<SinkOverride>, StoreError> {
    let rows = query("SELECT sink, mode, paused FROM sink_override ORDER BY sink")
        .fetch_all(reads)
        .await?;
    let one = |row: &Line| {
        let mode = row
            .get::<Option<&str>>(1)
            .map(|mode| parsed(&format!("\"{mode}\"")))
            .transpose()?;
        Ok(SinkOverride {
            sink: SinkName::new(row.get::<&str>(0)),
            mode,
            paused: row.get(2),
        })
    };
    rows.iter().map(one).collect()
}

/// See [`crate::store::operator::Operator::status`].
pub(super) async fn status(reads: &Pool, now: Timestamp) -> Result<Status, StoreError> {
    let standing = watch::standing(reads, now).await?;
    let row = query(
        "SELECT (SELECT count(*) FROM review WHERE decided_at IS NULL), (SELECT count(*) FROM channel WHERE status = 'proposed'), \
         (SELECT count(*) FROM incident WHERE full_report_by >= ?1)",
    )
    .bind(micros(now))
    .fetch_one(reads)
    .await?;
    let last = query("SELECT started_at, ended_at FROM run ORDER BY id DESC LIMIT 1")
        .fetch_optional(reads)
        .await?;
    let lines = || standing.lines.values();
    Ok(Status {
        oldest_waiting_secs: standing.oldest_waiting_secs,
        oldest_pending_secs: lines().filter_map(|line| line.oldest_pending_secs).max(),
        waiting: standing.waiting,
        parked: standing.parked,
        failed: standing.failed,
        pending: lines().map(|line| line.pending).sum(),
        sent: lines().map(|line| line.sent).sum(),
        reviews: row.count(0),
        proposed_channels: row.count(1),
        incidents: row.count(2),
        counters: counted(reads, "SELECT name, value FROM counter").await?,
        sinks: sinks(reads).await?,
        last_run: last.map(|row| Run {
            started_at: instant(row.get(0)),
            ended_at: row.get::<Option<i64>>(1).map(instant),
        }),
        held: standing.held,
        dead: standing.dead,
    })
}

/// Pairs of a name and a number.
async fn counted(reads: &Pool, text: &'static str) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows = query(text).fetch_all(reads).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.count(1))).collect())
}

/// See [`crate::store::operator::Operator::ledger_counts`].
pub(super) async fn counts(reads: &Pool) -> Result<LedgerCounts, StoreError> {
    let row = query(
        "SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM record), (SELECT count(*) FROM version), \
         (SELECT count(*) FROM notice_version), (SELECT count(*) FROM attempt), (SELECT count(*) FROM seen)",
    )
    .fetch_one(reads)
    .await?;
    let decisions = query(
        "SELECT verdict, code, count(*) FROM decision GROUP BY verdict, code ORDER BY verdict, code",
    );
    let deliveries = query(
        "SELECT sink, state, code, count(*) FROM delivery GROUP BY sink, state, code ORDER BY sink, state, code",
    );
    Ok(LedgerCounts {
        messages: counted(
            reads,
            "SELECT CASE WHEN w.position IS NULL THEN coalesce(o.state, 'received') ELSE 'received' END AS state, count(*) FROM message AS m \
             LEFT JOIN waiting AS w ON w.position = m.position LEFT JOIN outcome AS o ON o.position = m.position GROUP BY 1",
        )
        .await?,
        sources: counted(reads, "SELECT source, count(*) FROM message GROUP BY source").await?,
        persons: row.count(0),
        records: row.count(1),
        resources: counted(reads, "SELECT kind, count(*) FROM resource GROUP BY kind").await?,
        versions: row.count(2),
        notices: counted(reads, "SELECT kind, count(*) FROM notice WHERE version > 0 GROUP BY kind").await?,
        notice_versions: row.count(3),
        decisions: decisions
            .fetch_all(reads)
            .await?
            .iter()
            .map(|row| DecisionCount { verdict: row.get(0), code: row.get(1), count: row.count(2) })
            .collect(),
        deliveries: deliveries
            .fetch_all(reads)
            .await?
            .iter()
            .map(|row| DeliveryCount {
                sink: SinkName::new(row.get::<&str>(0)),
                state: DeliveryState::find(row.get(1)).unwrap_or(DeliveryState::Dead),
                code: row.get(2),
                count: row.count(3),
            })
            .collect(),
        attempts: row.count(4),
        seen: row.count(5),
        counters: counted(reads, "SELECT name, value FROM counter").await?,
    })
}

/// See [`crate::store::operator::Operator::event_rows`].
pub(super) async fn events(reads: &Pool) -> Result<Vec<EventRow>, StoreError> {
    let mut deliveries = deliveries_of_events(reads).await?;
    let said =
        query("SELECT DISTINCT notice, verdict, code FROM decision ORDER BY notice, verdict, code")
            .fetch_all(reads)
            .await?;
    let word = |row: &Line| match row.get::<Option<&str>>(2) {
        Some(code) => format!("{} {code}", row.get::<&str>(1)),
        None => row.get(1),
    };
    let mut said = grouped(said.iter().map(|row| (row.get::<i64>(0), word(row))));
    let rows = query(
        "WITH part AS (SELECT DISTINCT n.id AS notice, r.id AS resource FROM notice AS n, texts(n.told) AS j CROSS JOIN resource AS r ON r.logical_id = j.value \
         UNION SELECT n.id, r.id FROM notice AS n CROSS JOIN resource AS r ON r.logical_id = n.focus \
         UNION SELECT n.id, r.id FROM notice AS n, texts(n.parts) AS j CROSS JOIN resource AS r ON r.logical_id = j.value) \
         SELECT n.id, n.kind, n.occurred_at, rec.facility, n.source, n.person, n.version, \
         (SELECT count(DISTINCT s.message) FROM part AS p JOIN sighting AS s ON s.resource = p.resource WHERE p.notice = n.id), \
         (SELECT count(*) FROM part AS p WHERE p.notice = n.id), \
         (SELECT count(*) FROM part AS p JOIN version AS v ON v.resource = p.resource WHERE p.notice = n.id) \
         FROM notice AS n JOIN record AS rec ON rec.id = n.record ORDER BY n.occurred_at, n.id",
    )
    .fetch_all(reads)
    .await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let notice: i64 = row.get(0);
        events.push(EventRow {
            notice: NoticeId(notice),
            kind: NoticeKind::find(row.get(1))
                .ok_or_else(|| StoreError::Broken("a notice of no kind".into()))?,
            occurred_at: instant(row.get(2)),
            facility: FacilityId::new(row.get::<&str>(3))
                .map_err(|error| StoreError::Broken(Box::new(error)))?,
            source: SourceName::new(row.get::<&str>(4)),
            person: PersonId(row.get(5)),
            messages: row.count(7),
            resources: row.count(8),
            fhir_versions: row.count(9),
            versions: row.get(6),
            deliveries: deliveries.remove(&notice).unwrap_or_default(),
            decisions: said.remove(&notice).unwrap_or_default(),
        });
    }
    Ok(events)
}

async fn deliveries_of_events(
    reads: &Pool,
) -> Result<std::collections::HashMap<i64, Vec<EventDelivery>>, StoreError> {
    let rows = query(
        "SELECT d.notice, d.sink, d.version, d.change, d.state, d.code, (SELECT count(*) FROM seen AS s WHERE s.delivery = d.id) \
         FROM delivery AS d ORDER BY d.seq",
    )
    .fetch_all(reads)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        let delivery = EventDelivery {
            sink: SinkName::new(row.get::<&str>(1)),
            version: row.get(2),
            change: parsed(row.get(3))?,
            state: DeliveryState::find(row.get(4)).unwrap_or(DeliveryState::Dead),
            code: row.get(5),
            seen: row.count(6),
        };
        all.push((row.get::<i64>(0), delivery));
    }
    Ok(grouped(all))
}
