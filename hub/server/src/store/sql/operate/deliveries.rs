//! Deliveries: lists, details, release, retry, and the desk.

use renkei_core::{
    ChannelId, Code, DeliveryId, NoticeId, NoticeKind, PeerRef, PersonId, Post, SinkName, Urgency,
};

use super::{at_most, audit, channels, everything_or};
use crate::store::StoreError;
use crate::store::operator::{
    AttemptLine, By, ChannelFilter, DecisionLine, DeliveryDetail, DeliveryFilter, DeliveryLine,
    DeskLine, OperateError, SeenLine, Selection,
};
use crate::store::sql::speak::{Conn, Line, On, Pool, query};
use crate::store::sql::{instant, json, micros, parsed};
use crate::world::DeliveryState;

/// The columns [`line()`] reads, of `delivery AS d` and `notice AS n`.
pub(super) const COLUMNS: &str = "d.id, d.notice, d.version, n.kind, d.sink, d.channel, d.person, d.change, d.urgency, d.state, d.code, d.due_at, \
     d.attempts, d.released_by, d.peer_ref, d.created_at, d.told_at, d.post";

/// What a list shows of a post.
#[derive(Default, serde::Deserialize)]
struct Titled {
    #[serde(default)]
    headline: String,
}

pub(super) fn line(row: &Line) -> Result<DeliveryLine, StoreError> {
    let urgency: Urgency = parsed(&format!("\"{}\"", row.get::<&str>(8)))?;
    Ok(DeliveryLine {
        id: DeliveryId::known(row.get::<&str>(0)),
        notice: NoticeId(row.get(1)),
        version: row.get(2),
        kind: NoticeKind::find(row.get(3))
            .ok_or_else(|| StoreError::Broken("a notice of no kind".into()))?,
        sink: SinkName::new(row.get::<&str>(4)),
        channel: ChannelId(row.get(5)),
        person: PersonId(row.get(6)),
        change: parsed(row.get(7))?,
        urgency,
        state: DeliveryState::find(row.get(9)).unwrap_or(DeliveryState::Dead),
        code: row.get(10),
        due_at: row.get::<Option<i64>>(11).map(instant),
        attempts: row.get(12),
        released_by: row.get(13),
        peer_ref: row.get::<Option<&str>>(14).map(PeerRef::new),
        created_at: instant(row.get(15)),
        told_at: row.get::<Option<i64>>(16).map(instant),
        headline: parsed::<Titled>(row.get(17))?.headline,
    })
}

/// ?1 state, ?2 sink, ?3 code, ?4 limit.
const MATCHES: &str = "(?1 IS NULL OR d.state = ?1) AND (?2 IS NULL OR d.sink = ?2) AND (?3 IS NULL OR d.code = ?3) ORDER BY d.seq DESC LIMIT ?4";

/// See [`crate::store::operator::Operator::deliveries`].
pub(super) async fn list(
    reads: &Pool,
    filter: &DeliveryFilter,
) -> Result<Vec<DeliveryLine>, StoreError> {
    let rows = query(format!(
        "SELECT {COLUMNS} FROM delivery AS d JOIN notice AS n ON n.id = d.notice WHERE {MATCHES}"
    ))
    .bind(filter.state.map(DeliveryState::code))
    .bind(filter.sink.as_ref().map(|sink| sink.as_str().to_owned()))
    .bind(filter.code.map(|code| code.as_str()))
    .bind(at_most(filter.limit))
    .fetch_all(reads)
    .await?;
    rows.iter().map(line).collect()
}

/// See [`crate::store::operator::Operator::delivery`].
pub(super) async fn detail(
    reads: &Pool,
    id: &DeliveryId,
) -> Result<Option<DeliveryDetail>, StoreError> {
    let row = query(format!(
        "SELECT {COLUMNS}, d.disclosure, d.late, d.replaces, d.post FROM delivery AS d JOIN notice AS n ON n.id = d.notice WHERE d.id = ?1"
    ))
    .bind(id.as_str().to_owned())
    .fetch_optional(reads)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let delivery = line(&row)?;
    let filter = ChannelFilter {
        id: Some(delivery.channel),
        ..ChannelFilter::default()
    };
    let Some(channel) = channels::list(reads, &filter).await?.pop() else {
        return Ok(None);
    };
    let said = decisions(reads, &[delivery.notice.0]).await?;
    let ids = [id.as_str()];
    Ok(Some(DeliveryDetail {
        disclosure: parsed(row.get(18))?,
        late: row.get(19),
        replaces: row.get::<Option<&str>>(20).map(DeliveryId::known),
        post: parsed(row.get(21))?,
        decisions: said
            .into_iter()
            .filter(|said| {
                said.version == delivery.version
                    && said
                        .channel
                        .is_none_or(|channel| channel == delivery.channel)
            })
            .collect(),
        attempts: attempts(reads, &ids).await?,
        seen: seen(reads, &ids).await?,
        delivery,
        channel,
    }))
}

/// The policy's answers about notices.
pub(super) async fn decisions(
    reads: &Pool,
    notices: &[i64],
) -> Result<Vec<DecisionLine>, StoreError> {
    let rows = query(
        "SELECT d.notice, d.version, d.channel, d.verdict, d.code, d.reason, d.at FROM ints(?1) AS k \
         CROSS JOIN decision AS d ON d.notice = k.value ORDER BY d.id",
    )
    .bind(json(&notices)?)
    .fetch_all(reads)
    .await?;
    let line = |row: &Line| DecisionLine {
        notice: NoticeId(row.get(0)),
        version: row.get(1),
        channel: row.get::<Option<i64>>(2).map(ChannelId),
        verdict: row.get(3),
        code: row.get(4),
        reason: row.get(5),
        at: instant(row.get(6)),
    };
    Ok(rows.iter().map(line).collect())
}

/// Attempts at deliveries.
pub(super) async fn attempts(
    reads: &Pool,
    deliveries: &[&str],
) -> Result<Vec<AttemptLine>, StoreError> {
    let rows = query(
        "SELECT a.delivery, a.number, a.at, a.outcome, a.code FROM texts(?1) AS k CROSS JOIN attempt AS a ON a.delivery = k.value \
         ORDER BY a.at, a.delivery, a.number",
    )
    .bind(json(&deliveries)?)
    .fetch_all(reads)
    .await?;
    let line = |row: &Line| AttemptLine {
        delivery: DeliveryId::known(row.get::<&str>(0)),
        number: row.get(1),
        at: instant(row.get(2)),
        outcome: row.get(3),
        code: row.get(4),
    };
    Ok(rows.iter().map(line).collect())
}

/// Who has seen deliveries.
pub(super) async fn seen<'c>(
    reads: impl Into<On<'c>>,
    deliveries: &[&str],
) -> Result<Vec<SeenLine>, StoreError> {
    let rows = query(
        "SELECT s.delivery, s.reader, s.professions, s.at FROM texts(?1) AS k CROSS JOIN seen AS s ON s.delivery = k.value ORDER BY s.at, s.reader",
    )
    .bind(json(&deliveries)?)
    .fetch_all(reads)
    .await?;
    let line = |row: &Line| {
        Ok(SeenLine {
            delivery: DeliveryId::known(row.get::<&str>(0)),
            reader: row.get(1),
            professions: parsed(row.get(2))?,
            at: instant(row.get(3)),
        })
    };
    rows.iter().map(line).collect()
}

/// See [`crate::store::operator::Operator::release`].
pub(super) async fn release(
    tx: &mut Conn,
    which: &Selection<DeliveryId, DeliveryFilter>,
    by: &By,
) -> Result<u64, OperateError> {
    let ids = chosen(tx, which, DeliveryState::Held).await?;
    let done = query(
        "UPDATE delivery SET state = 'pending', due_at = ?2, released_by = ?3 WHERE id IN (SELECT value FROM texts(?1)) AND state = 'held'",
    )
    .bind(&ids)
    .bind(micros(by.at))
    .bind(by.actor.clone())
    .execute(&mut *tx)
    .await?
    ;
    audit::line(
        tx,
        by,
        "delivery.release",
        &format!("{done} deliveries {ids}"),
    )
    .await?;
    audit::human(tx, "human.release", done).await?;
    Ok(done)
}

/// See [`crate::store::operator::Operator::retry`].
pub(super) async fn retry(
    tx: &mut Conn,
    which: &Selection<DeliveryId, DeliveryFilter>,
    by: &By,
) -> Result<u64, OperateError> {
    let ids = chosen(tx, which, DeliveryState::Dead).await?;
    // What was never framed has no bytes to send.
    let done = query(
        "UPDATE delivery SET state = 'pending', due_at = ?2, released_by = ?3 WHERE id IN (SELECT value FROM texts(?1)) AND state = 'dead' \
         AND payload <> '{}' AND code NOT IN (?4, ?5)",
    )
    .bind(&ids)
    .bind(micros(by.at))
    .bind(by.actor.clone())
    .bind(Code::DLV_SUPERSEDED.as_str())
    .bind(Code::DLV_RECALLED.as_str())
    .execute(&mut *tx)
    .await?
    ;
    audit::line(
        tx,
        by,
        "delivery.retry",
        &format!("{done} deliveries {ids}"),
    )
    .await?;
    audit::human(tx, "human.retry", done).await?;
    Ok(done)
}

/// The ids of a selection as a JSON list, of those in `state`.
async fn chosen(
    tx: &mut Conn,
    which: &Selection<DeliveryId, DeliveryFilter>,
    state: DeliveryState,
) -> Result<String, StoreError> {
    match which {
        Selection::These(ids) => json(ids),
        Selection::Matching(filter) => {
            let ids: Vec<String> = query(format!("SELECT d.id FROM delivery AS d WHERE {MATCHES}"))
                .bind(state.code())
                .bind(filter.sink.as_ref().map(|sink| sink.as_str().to_owned()))
                .bind(filter.code.map(|code| code.as_str()))
                .bind(everything_or(filter.limit))
                .column(tx)
                .await?;
            json(&ids)
        }
    }
}

/// See [`crate::store::operator::Operator::desk`].
pub(super) async fn desk(reads: &Pool) -> Result<Vec<DeskLine>, StoreError> {
    let rows = query(format!(
        "SELECT {COLUMNS}, c.peer_ref, c.header, d.post FROM delivery AS d JOIN notice AS n ON n.id = d.notice JOIN channel AS c ON c.id = d.channel \
         WHERE d.state = 'held' AND d.code = ?1 ORDER BY d.urgency, d.seq"
    ))
    .bind(Code::RTE_ASSISTED.as_str())
    .fetch_all(reads)
    .await?;
    let one = |row: &Line| {
        let post: Post = parsed(row.get(20))?;
        Ok(DeskLine {
            delivery: line(row)?,
            peer_ref: PeerRef::new(row.get::<&str>(18)),
            header: parsed(row.get(19))?,
            attachments: post.attachments.len(),
        })
    };
    rows.iter().map(one).collect()
}

/// See [`crate::store::operator::Operator::desk_done`].
pub(super) async fn desk_done(tx: &mut Conn, id: &DeliveryId, by: &By) -> Result<(), OperateError> {
    let row = query("SELECT state = 'held' AND code = ?2, attempts FROM delivery WHERE id = ?1")
        .bind(id.as_str().to_owned())
        .bind(Code::RTE_ASSISTED.as_str())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(OperateError::Unknown { what: "delivery" })?;
    if !row.get::<bool>(0) {
        return Err(OperateError::NotNow {
            why: "the delivery does not wait at the desk",
        });
    }
    let at = micros(by.at);
    query(
        "UPDATE delivery SET state = 'delivered', code = NULL, due_at = NULL, attempts = attempts + 1, released_by = ?2, told_at = ?3 WHERE id = ?1",
    )
    .bind(id.as_str().to_owned())
    .bind(by.actor.clone())
    .bind(at)
    .execute(&mut *tx)
    .await?;
    query("INSERT INTO attempt (delivery, number, at, outcome) VALUES (?1, ?2, ?3, 'by hand') ON CONFLICT DO NOTHING")
        .bind(id.as_str().to_owned())
        .bind(row.get::<i64>(1) + 1)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    audit::line(tx, by, "desk.done", &format!("delivery {id}")).await?;
    audit::human(tx, "human.desk", 1).await?;
    Ok(())
}
