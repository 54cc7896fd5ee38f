//! The outbox: which deliveries are due, and what became of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use renkei_core::{Code, DeliveryId, NoticeId, PeerRef, PersonId, SinkName, SourceName};

use super::load::record;
use super::notices::{CHANNEL_COLUMNS, channel, consents};
use super::rows::Shape;
use super::speak::{Conn, Dialect, Line, Pool, query};
use super::{instant, json, lanes, micros, parsed, receipts};
use crate::store::StoreError;
use crate::world::{ChannelChange, DeliveryState, Due, Finish};

const ATTEMPTS: Shape = Shape {
    head: "INSERT INTO attempt (delivery, number, at, outcome, code) VALUES ",
    columns: 5,
    tail: " ON CONFLICT DO NOTHING",
};

/// ?1 sink, ?2 now, ?3 limit. A withdrawal has a version of its own that was never minted: it carries
/// the content of the last one.
pub(super) fn due_text() -> String {
    format!(
        "SELECT d.seq, d.id, d.notice, d.version, v.content, d.change, d.disclosure, d.late, d.released_by, n.occurred_at, d.payload, d.attempts, \
         d.created_at, first.peer_ref, d.replaces, d.person, n.source, d.attempts > (SELECT count(*) FROM attempt AS a WHERE a.delivery = d.id AND a.outcome = 'retry'), \
         (SELECT count(DISTINCT r2.person) FROM channel AS c2 JOIN record AS r2 ON r2.facility = c2.facility AND r2.local_id = c2.local_id \
            WHERE c2.sink = c.sink AND c2.peer_ref = c.peer_ref) > 1, \
         rec.id, rec.facility, rec.local_id, rec.person, rec.facts, rec.authority, rec.rejected, {CHANNEL_COLUMNS} \
         FROM ( \
           SELECT seq FROM (SELECT p.seq FROM delivery AS p INDEXED BY delivery_order WHERE p.sink = ?1 AND p.state = 'pending' AND p.due_at <= ?2 AND mine(p.person) \
             AND NOT EXISTS (SELECT 1 FROM delivery AS head WHERE head.sink = ?1 AND head.person = p.person AND head.state = 'pending' AND head.seq < p.seq) \
             ORDER BY p.seq LIMIT ?3) AS heads \
           UNION ALL SELECT seq FROM delivery AS s WHERE s.sink = ?1 AND s.state = 'sent' AND s.due_at <= ?2 AND mine(s.person) \
           ORDER BY seq LIMIT ?3 \
         ) AS line CROSS JOIN delivery AS d ON d.seq = line.seq \
         JOIN notice AS n ON n.id = d.notice JOIN notice_version AS v ON v.notice = d.notice AND v.version = least(d.version, n.version) \
         JOIN channel AS c ON c.id = d.channel JOIN record AS rec ON rec.id = n.record \
         LEFT JOIN delivery AS first ON first.id = d.replaces ORDER BY d.seq"
    )
}

/// ?1 sink.
pub(super) const NEXT: &str = "SELECT min(due_at) FROM (SELECT min(d.due_at) AS due_at FROM delivery AS d WHERE d.sink = ?1 AND d.state = 'pending' AND mine(d.person) AND NOT EXISTS \
     (SELECT 1 FROM delivery AS head WHERE head.sink = ?1 AND head.person = d.person AND head.state = 'pending' AND head.seq < d.seq) \
     UNION ALL SELECT min(s.due_at) FROM delivery AS s WHERE s.sink = ?1 AND s.state = 'sent' AND mine(s.person)) AS next";

/// The head of each person's line at a sink, when its time has come, and what was handed over but not
/// confirmed in time. See [`crate::store::Store::due_deliveries`].
pub(super) async fn due(
    reads: &Pool,
    sink: &SinkName,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Due>, StoreError> {
    let rows = query(due_text())
        .bind(sink.as_str())
        .bind(micros(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(reads)
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let records: BTreeSet<i64> = rows.iter().map(|row| row.get(19)).collect();
    let consents = consents(reads, &json(&records)?).await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut one = one(row)?;
        one.consents = consents.get(&one.record.id).cloned().unwrap_or_default();
        due.push(one);
    }
    Ok(due)
}

fn one(row: &Line) -> Result<Due, StoreError> {
    let person = PersonId(row.get(15));
    Ok(Due {
        seq: row.get(0),
        id: DeliveryId::known(row.get::<&str>(1)),
        notice: NoticeId(row.get(2)),
        version: row.get(3),
        content: Arc::new(parsed(row.get(4))?),
        change: parsed(row.get(5))?,
        disclosure: parsed(row.get(6))?,
        late: row.get(7),
        released: row.get::<Option<&str>>(8).is_some(),
        occurred_at: instant(row.get(9)),
        payload: parsed(row.get(10))?,
        attempts: row.get(11),
        in_doubt: row.get(17),
        created_at: instant(row.get(12)),
        reply_to: row.get::<Option<&str>>(13).map(PeerRef::new),
        replaces: row.get::<Option<&str>>(14).map(DeliveryId::known),
        source: SourceName::new(row.get::<&str>(16)),
        channel_shared: row.get(18),
        record: record(row, 19)?,
        channel: channel(row, 26, person)?,
        consents: Vec::new(),
    })
}

/// See [`crate::store::Store::finish`].
pub(super) async fn finish(
    tx: &mut Conn,
    group: &[Finish],
    channels: &[ChannelChange],
) -> Result<(), StoreError> {
    let mut group: Vec<&Finish> = group.iter().collect();
    if tx.dialect() == Dialect::Postgres && !group.is_empty() {
        let ids: Vec<&DeliveryId> = group.iter().map(|finish| &finish.id).collect();
        let held = lanes::still_mine(tx, &ids).await?;
        // What another hub works on now, it sends again under the same id and notes itself.
        group.retain(|finish| held.contains(finish.id.as_str()));
        if group.is_empty() {
            return Err(StoreError::Fenced);
        }
    }
    receipts::one_after_the_other(tx, group.iter().filter_map(|one| one.peer_ref.as_ref())).await?;
    let tried: HashMap<String, u32> = numbers(tx, &group).await?;
    let mut attempts = Vec::new();
    let rows: Vec<_> = group.iter().map(|finish| row(finish)).collect();
    query(FINISH).bind(json(&rows)?).execute(&mut *tx).await?;
    for (index, finish) in group.iter().enumerate() {
        if finish.attempt.is_some() {
            let before = tried.get(finish.id.as_str()).copied().unwrap_or(0);
            attempts.push((index, before + 1));
        }
    }
    ATTEMPTS
        .execute(tx, &attempts, |query, (index, number)| {
            let Some(finish) = group.get(*index) else {
                return Err(StoreError::Refused("an attempt of no delivery".into()));
            };
            Ok(query
                .bind(finish.id.as_str().to_owned())
                .bind(*number)
                .bind(micros(finish.at))
                .bind(finish.attempt.unwrap_or(""))
                .bind(finish.code.map(|code| code.as_str())))
        })
        .await?;
    receipts::meet(tx, &group).await?;
    looked(
        tx,
        channels,
        group.first().map_or(0, |finish| micros(finish.at)),
    )
    .await
}

/// A delivery that was ended meanwhile (a receipt came first, an operator recalled it) keeps its state;
/// that the peer has it is written down all the same.
pub(super) const FINISH: &str = "UPDATE delivery SET \
     state = CASE WHEN delivery.state IN ('pending', 'sent') THEN f.value ->> 1 ELSE delivery.state END, \
     code = CASE WHEN delivery.state IN ('pending', 'sent') THEN f.value ->> 2 ELSE delivery.code END, \
     due_at = CASE WHEN delivery.state IN ('pending', 'sent') THEN CAST(f.value ->> 3 AS BIGINT) ELSE delivery.due_at END, \
     peer_ref = coalesce(f.value ->> 4, delivery.peer_ref), attempts = delivery.attempts + CAST(f.value ->> 5 AS BIGINT), \
     told_at = coalesce(delivery.told_at, CAST(f.value ->> 6 AS BIGINT)), started = FALSE \
     FROM tuples(?1) AS f WHERE delivery.id = f.value ->> 0";

/// One finish as [`FINISH`] reads it.
type FinishRow<'a> = (
    &'a str,
    &'a str,
    Option<&'a str>,
    Option<i64>,
    Option<&'a str>,
    u8,
    Option<i64>,
);

fn row(finish: &Finish) -> FinishRow<'_> {
    let told = matches!(finish.state, DeliveryState::Delivered | DeliveryState::Sent);
    (
        finish.id.as_str(),
        finish.state.code(),
        finish.code.as_ref().map(Code::as_str),
        due_at(finish),
        finish.peer_ref.as_ref().map(PeerRef::as_str),
        u8::from(finish.attempt.is_some()),
        told.then(|| micros(finish.at)),
    )
}

/// What is pending or handed over falls due; everything else does not.
fn due_at(finish: &Finish) -> Option<i64> {
    match finish.state {
        DeliveryState::Pending => Some(micros(finish.due_at.unwrap_or(finish.at))),
        DeliveryState::Sent => finish.due_at.map(micros),
        DeliveryState::Delivered | DeliveryState::Held | DeliveryState::Dead => None,
    }
}

/// How often each was tried. On a server its row is taken here, in one order for everybody: a word of a
/// peer about it may be on its way through another hub.
async fn numbers(tx: &mut Conn, group: &[&Finish]) -> Result<HashMap<String, u32>, StoreError> {
    let ids: Vec<&str> = group.iter().map(|finish| finish.id.as_str()).collect();
    let text = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT id, attempts FROM delivery WHERE id IN (SELECT value FROM texts(?1))"
        }
        Dialect::Postgres => {
            "SELECT id, attempts FROM delivery WHERE id IN (SELECT value FROM texts(?1)) ORDER BY seq FOR NO KEY UPDATE"
        }
    };
    let rows = query(text).bind(json(&ids)?).fetch_all(&mut *tx).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// ?1 tuples of channel, members, code of breakage; ?2 now.
pub(super) const LOOKED: &str = "UPDATE channel SET members = coalesce(f.value ->> 1, channel.members), \
     status = CASE WHEN f.value ->> 2 IS NULL THEN channel.status ELSE 'broken' END, \
     status_code = coalesce(f.value ->> 2, channel.status_code), updated_at = ?2 \
     FROM tuples(?1) AS f WHERE channel.id = CAST(f.value ->> 0 AS BIGINT)";

/// Members, breakage, and notices whose audience changed.
async fn looked(tx: &mut Conn, changes: &[ChannelChange], at: i64) -> Result<(), StoreError> {
    let mut last: BTreeMap<i64, &ChannelChange> = BTreeMap::new();
    for change in changes {
        last.insert(change.channel.0, change);
    }
    let mut rows = Vec::with_capacity(last.len());
    for change in last.values() {
        let members = change.members.as_ref().map(json).transpose()?;
        let broken = change.broken.map(|code: Code| code.as_str());
        rows.push((change.channel.0, members, broken));
    }
    if !rows.is_empty() {
        query(LOOKED)
            .bind(json(&rows)?)
            .bind(at)
            .execute(&mut *tx)
            .await?;
    }
    let reroute: Vec<i64> = changes
        .iter()
        .flat_map(|change| &change.reroute)
        .map(|notice| notice.0)
        .collect();
    if !reroute.is_empty() {
        query("INSERT INTO reroute (notice) SELECT value FROM ints(?1)")
            .bind(json(&reroute)?)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
