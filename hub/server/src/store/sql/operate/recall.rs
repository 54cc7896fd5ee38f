//! Withdrawing what was told about the wrong patient.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Change, ChannelId, Code, DeliveryId, FacilityId, NoticeId, PersonId, SinkName, Urgency,
};

use super::{audit, deliveries};
use crate::store::StoreError;
use crate::store::operator::{By, OperateError, Recalled, RecalledAt, Render, Withdrawing};
use crate::store::sql::notices::{CHANNEL_COLUMNS, channel};
use crate::store::sql::speak::{Conn, query};
use crate::store::sql::{json, micros, parsed};

/// The legal clock: 速報 within 3 to 5 days, 確報 within 30.
const FIRST_REPORT_FROM: SignedDuration = SignedDuration::from_hours(3 * 24);
const FIRST_REPORT_BY: SignedDuration = SignedDuration::from_hours(5 * 24);
const FULL_REPORT_BY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A delivery that may have been read, with what its withdrawal is rendered from.
struct Told {
    id: DeliveryId,
    first: DeliveryId,
    version: u32,
    disclosure: String,
    urgency: Urgency,
    from: Withdrawing,
}

/// See [`crate::store::operator::Operator::recall`].
pub(super) async fn recall(
    tx: &mut Conn,
    id: &DeliveryId,
    by: &By,
    render: &Render,
) -> Result<Recalled, OperateError> {
    let notice: i64 = query("SELECT notice FROM delivery WHERE id = ?1")
        .bind(id.as_str().to_owned())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(OperateError::Unknown { what: "delivery" })?
        .get(0);
    let notice = NoticeId(notice);
    let told = told(tx, notice).await?;
    let stopped = stop(tx, notice).await?;
    // Nothing more of this event goes out without a named person, whatever news comes in.
    query("UPDATE notice SET never_automatic = ?2, due_at = NULL WHERE id = ?1")
        .bind(notice.0)
        .bind(Code::DLV_RECALLED.as_str())
        .execute(&mut *tx)
        .await?;
    let mut recalled = Vec::with_capacity(told.len());
    for told in told {
        recalled.push(withdraw(tx, notice, told, by, render).await?);
    }
    let later = |wait| by.at.checked_add(wait).unwrap_or(Timestamp::MAX);
    let (first_report_from, first_report_by, full_report_by) = (
        later(FIRST_REPORT_FROM),
        later(FIRST_REPORT_BY),
        later(FULL_REPORT_BY),
    );
    let incident = query(
        "INSERT INTO incident (notice, delivery, opened_at, first_report_from, first_report_by, full_report_by, reason, actor) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
    )
    .bind(notice.0)
    .bind(id.as_str().to_owned())
    .bind(micros(by.at))
    .bind(micros(first_report_from))
    .bind(micros(first_report_by))
    .bind(micros(full_report_by))
    .bind(by.reason.clone())
    .bind(by.actor.clone())
    .fetch_one(&mut *tx)
    .await?
    .get(0);
    audit::line(
        tx,
        by,
        "recall",
        &format!("delivery {id}, notice {notice}, incident {incident}"),
    )
    .await?;
    audit::human(tx, "human.recall", 1).await?;
    Ok(Recalled {
        notice,
        incident,
        told: recalled,
        stopped,
        first_report_from,
        first_report_by,
        full_report_by,
    })
}

/// The last thing told in each channel; attempts without an answer count as told.
async fn told(tx: &mut Conn, notice: NoticeId) -> Result<Vec<Told>, StoreError> {
    let rows = query(format!(
        "SELECT d.id, coalesce(d.replaces, d.id), d.version, d.disclosure, d.urgency, v.content, r.facility, d.person, d.change, d.state, {CHANNEL_COLUMNS} \
         FROM delivery AS d JOIN notice AS n ON n.id = d.notice JOIN record AS r ON r.id = n.record JOIN channel AS c ON c.id = d.channel \
         JOIN notice_version AS v ON v.notice = d.notice AND v.version = least(d.version, n.version) \
         WHERE d.notice = ?1 AND (d.state IN ('sent', 'delivered') OR d.attempts > 0 OR d.started OR d.told_at IS NOT NULL OR d.change = ?2) ORDER BY d.seq"
    ))
    .bind(notice.0)
    .bind(json(&Change::WrongPatient)?)
    .fetch_all(tx)
    .await?;
    let mut last: BTreeMap<ChannelId, Option<Told>> = BTreeMap::new();
    for row in rows {
        let channel = channel(&row, 10, PersonId(row.get(7)))?;
        let change: Change = parsed(row.get(8))?;
        if change == Change::WrongPatient {
            // Withdrawn before, or on its way; one that could not be framed is tried again.
            if row.get::<&str>(9) != "dead" {
                last.insert(channel.id, None);
            }
            continue;
        }
        let version: u32 = row.get(2);
        let facility = FacilityId::new(row.get::<&str>(6))
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        let told = Told {
            id: DeliveryId::known(row.get::<&str>(0)),
            first: DeliveryId::known(row.get::<&str>(1)),
            version,
            disclosure: row.get(3),
            urgency: parsed(&format!("\"{}\"", row.get::<&str>(4)))?,
            from: Withdrawing {
                content: parsed(row.get(5))?,
                disclosure: parsed(row.get(3))?,
                client_ref: format!("{notice}.{}", version + 1),
                author_facility: facility,
                channel,
            },
        };
        last.insert(told.from.channel.id, Some(told));
    }
    Ok(last.into_values().flatten().collect())
}

/// Ends everything of the notice that could still be sent.
async fn stop(tx: &mut Conn, notice: NoticeId) -> Result<Vec<DeliveryId>, StoreError> {
    let rows = query(
        "UPDATE delivery SET state = 'dead', code = ?2, due_at = NULL WHERE notice = ?1 AND state IN ('pending', 'held', 'sent') AND change <> ?3 RETURNING id",
    )
    .bind(notice.0)
    .bind(Code::DLV_RECALLED.as_str())
    .bind(json(&Change::WrongPatient)?)
    .fetch_all(tx)
    .await?;
    Ok(rows
        .iter()
        .map(|row| DeliveryId::known(row.get::<&str>(0)))
        .collect())
}

/// Puts the withdrawal into the outbox, released: it goes out whatever the mode and age.
async fn withdraw(
    tx: &mut Conn,
    notice: NoticeId,
    told: Told,
    by: &By,
    render: &Render,
) -> Result<RecalledAt, StoreError> {
    let channel = &told.from.channel;
    let withdrawal = DeliveryId::derive(channel.id, notice, told.version + 1, "wrong-patient");
    let (post, payload, code) = match render(&told.from) {
        Ok((post, payload)) => (json(&post)?, json(&payload)?, None),
        Err(code) => ("{}".to_owned(), "{}".to_owned(), Some(code)),
    };
    query(
        "INSERT INTO delivery (id, notice, version, channel, sink, person, change, disclosure, late, urgency, post, payload, state, code, due_at, \
         released_by, replaces, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, FALSE, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) \
         ON CONFLICT (id) DO UPDATE SET post = excluded.post, payload = excluded.payload, state = excluded.state, code = excluded.code, \
         due_at = excluded.due_at WHERE delivery.state = 'dead'",
    )
    .bind(withdrawal.as_str().to_owned())
    .bind(notice.0)
    .bind(told.version + 1)
    .bind(channel.id.0)
    .bind(channel.sink.as_str().to_owned())
    .bind(channel.person.0)
    .bind(json(&Change::WrongPatient)?)
    .bind(told.disclosure)
    .bind(told.urgency.as_str())
    .bind(post)
    .bind(payload)
    .bind(if code.is_some() { "dead" } else { "pending" })
    .bind(code.map(|code| code.as_str()))
    .bind(code.is_none().then(|| micros(by.at)))
    .bind(by.actor.clone())
    .bind(told.first.as_str().to_owned())
    .bind(micros(by.at))
    .execute(&mut *tx)
    .await?;
    Ok(RecalledAt {
        sink: SinkName::new(channel.sink.as_str()),
        peer_ref: channel.peer_ref.clone(),
        withdrawal,
        code,
        seen: deliveries::seen(&mut *tx, &[told.id.as_str(), told.first.as_str()]).await?,
        members: channel.members.clone(),
        told: told.id,
    })
}
