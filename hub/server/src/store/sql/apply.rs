//! Applying the effects of a batch: one transaction, about one multi-row statement per kind of row.

use std::collections::BTreeMap;
use std::collections::HashMap;

use data_encoding::HEXLOWER;
use renkei_core::{Code, DeliveryId, PeerReceipt};

use super::rows::Shape;
use super::search::{self, ResultRow};
use super::speak::{Conn, Dialect, query};
use super::{beds, json, lanes, micros, pack_text, receipts};
use crate::store::{Framed, StoreError};
use crate::world::{DeliveryState, Effects, MessageState, NewVersion, Notice, PlannedDelivery};

const PERSONS: Shape = Shape {
    head: "INSERT INTO person (id, created_at) VALUES ",
    columns: 2,
    tail: "",
};
/// Links and rejections of known records belong to reviewers: what was loaded may be older than theirs.
const RECORDS: Shape = Shape {
    head: "INSERT INTO record (id, facility, local_id, person, facts, birth_date, kana, authority, rejected) VALUES ",
    columns: 9,
    tail: " ON CONFLICT (id) DO UPDATE SET facts = excluded.facts, birth_date = excluded.birth_date, \
           kana = excluded.kana, authority = excluded.authority",
};
const INSURANCE: Shape = Shape {
    head: "INSERT INTO record_insurance (fact, record) VALUES ",
    columns: 2,
    tail: " ON CONFLICT DO NOTHING",
};
const REVIEWS: Shape = Shape {
    head: "INSERT INTO review (record, code, candidates, opened_at) VALUES ",
    columns: 4,
    tail: " ON CONFLICT DO NOTHING",
};
const RESOURCES: Shape = Shape {
    head: "INSERT INTO resource (id, logical_id, kind, record, natural_key, scope, version, body_hash, source_time, storage_order, authority, strength, withdrawn) VALUES ",
    columns: 13,
    tail: " ON CONFLICT (id) DO UPDATE SET record = excluded.record, scope = excluded.scope, version = excluded.version, body_hash = excluded.body_hash, \
           source_time = excluded.source_time, storage_order = excluded.storage_order, authority = excluded.authority, \
           strength = excluded.strength, withdrawn = excluded.withdrawn",
};
const VERSIONS: Shape = Shape {
    head: "INSERT INTO version (resource, version, body, withdrawn, source_time, recorded_at, message) VALUES ",
    columns: 7,
    tail: "",
};
const SIGHTINGS: Shape = Shape {
    head: "INSERT INTO sighting (message, resource, version, late) VALUES ",
    columns: 4,
    tail: " ON CONFLICT (message, resource, version) DO UPDATE SET late = excluded.late",
};
/// The person of a known notice, and that a recall has stopped it, belong to operators.
const NOTICES: Shape = Shape {
    head: "INSERT INTO notice (id, person, record, source, kind, event_key, focus, urgency, occurred_at, cancelled, never_automatic, backfill, \
           first_part_at, last_part_at, due_at, version, told, parts) VALUES ",
    columns: 18,
    tail: " ON CONFLICT (id) DO UPDATE SET urgency = excluded.urgency, occurred_at = excluded.occurred_at, \
           cancelled = excluded.cancelled, never_automatic = coalesce(excluded.never_automatic, notice.never_automatic), backfill = excluded.backfill, \
           first_part_at = excluded.first_part_at, last_part_at = excluded.last_part_at, due_at = excluded.due_at, \
           version = excluded.version, told = excluded.told, parts = excluded.parts",
};
const MINTED: Shape = Shape {
    head: "INSERT INTO notice_version (notice, version, content, at) VALUES ",
    columns: 4,
    tail: "",
};
const DECISIONS: Shape = Shape {
    head: "INSERT INTO decision (notice, version, channel, verdict, code, reason, at) VALUES ",
    columns: 7,
    tail: "",
};
const DELIVERIES: Shape = Shape {
    head: "INSERT INTO delivery (id, notice, version, channel, sink, person, change, disclosure, late, urgency, post, payload, state, code, due_at, replaces, created_at, released_by) VALUES ",
    columns: 18,
    tail: " ON CONFLICT (id) DO NOTHING",
};
const ATTACHMENTS: Shape = Shape {
    head: "INSERT INTO attachment (sha256, delivery) VALUES ",
    columns: 2,
    tail: " ON CONFLICT DO NOTHING",
};
const OUTCOMES: Shape = Shape {
    head: "INSERT INTO outcome (position, state, code, record, mapper, findings, unread, at) VALUES ",
    columns: 8,
    tail: " ON CONFLICT (position) DO UPDATE SET state = excluded.state, code = excluded.code, record = excluded.record, \
           mapper = excluded.mapper, findings = excluded.findings, unread = excluded.unread, at = excluded.at",
};

/// The versions that have a text: a tombstone is no version.
fn with_text(versions: &[NewVersion]) -> impl Iterator<Item = &NewVersion> {
    versions
        .iter()
        .filter(|version| version.stored.version > 0 && !version.stored.body.is_empty())
}

/// The texts of the versions, as they are stored.
pub(super) fn texts(versions: &[NewVersion]) -> Vec<Vec<u8>> {
    with_text(versions)
        .map(|version| pack_text(&version.stored.body))
        .collect()
}

/// See [`crate::store::Store::apply`]; `texts` are those of [`texts`].
pub(super) async fn apply(
    tx: &mut Conn,
    effects: Effects,
    framed: Vec<Framed>,
    results: &[ResultRow],
    texts: Vec<Vec<u8>>,
) -> Result<(), StoreError> {
    let now = effects
        .outcomes
        .first()
        .map(|(_, outcome)| outcome.at)
        .or(effects.minted.first().map(|minted| minted.at));
    let at = now.map_or(0, micros);
    if tx.dialect() == Dialect::Postgres {
        lanes::guard(tx, &effects).await?;
        if effects.seen.is_some() && effects.outcomes.is_empty() {
            // Notices were settled: who settles a person's notices is who delivers them.
            let people = effects.notices.values().map(|notice| notice.person);
            lanes::fence_people(tx, people).await?;
        }
    }
    PERSONS
        .execute(tx, &effects.persons, |query, person| {
            Ok(query.bind(person.0).bind(at))
        })
        .await?;
    people(tx, &effects, at).await?;
    clinical(tx, &effects, texts).await?;
    search::write(tx, results).await?;
    told(tx, &effects, framed).await?;
    let said: Vec<&PeerReceipt> = effects
        .receipts
        .iter()
        .map(|(_, receipt)| receipt)
        .collect();
    receipts::apply(tx, &said).await?;
    beds::apply(tx, &effects).await?;
    ended(tx, &effects).await
}

async fn people(tx: &mut Conn, effects: &Effects, at: i64) -> Result<(), StoreError> {
    let records: Vec<_> = effects.records.values().collect();
    RECORDS
        .execute(tx, &records, |query, record| {
            Ok(query
                .bind(record.id.0)
                .bind(record.facility.as_str().to_owned())
                .bind(record.local_id.expose().to_owned())
                .bind(record.person.map(|person| person.0))
                .bind(json(&record.facts)?)
                .bind(record.facts.birth_date.clone())
                .bind(record.facts.kana.clone())
                .bind(i64::from(
                    record.authority == renkei_core::Authority::Primary,
                ))
                .bind(record.rejected))
        })
        .await?;
    let insured: Vec<(String, i64)> = records
        .iter()
        .flat_map(|record| {
            record
                .facts
                .insurance
                .iter()
                .map(|fact| (fact.clone(), record.id.0))
        })
        .collect();
    INSURANCE
        .execute(tx, &insured, |query, (fact, record)| {
            Ok(query.bind(fact.clone()).bind(*record))
        })
        .await?;
    REVIEWS
        .execute(tx, &effects.reviews, |query, review| {
            Ok(query
                .bind(review.record.0)
                .bind(review.code.as_str())
                .bind(json(&review.candidates)?)
                .bind(at))
        })
        .await?;
    Ok(())
}

async fn clinical(tx: &mut Conn, effects: &Effects, texts: Vec<Vec<u8>>) -> Result<(), StoreError> {
    // Several versions of one resource in a batch: the last one is its current state.
    let mut current: BTreeMap<i64, &NewVersion> = BTreeMap::new();
    for version in &effects.versions {
        current.insert(version.stored.row, version);
    }
    let current: Vec<&NewVersion> = current.into_values().collect();
    RESOURCES
        .execute(tx, &current, |query, version| {
            let stored = &version.stored;
            Ok(query
                .bind(stored.row)
                .bind(stored.logical_id.clone())
                .bind(stored.kind.as_str())
                .bind(stored.record.map(|record| record.0))
                .bind(version.key.expose().clone())
                .bind(stored.scope.clone())
                .bind(stored.version)
                .bind(stored.hash.to_vec())
                .bind(micros(stored.source_time))
                .bind(i64::try_from(stored.storage_order).unwrap_or(i64::MAX))
                .bind(i64::from(
                    stored.authority == renkei_core::Authority::Primary,
                ))
                .bind(i64::from(stored.strength == renkei_core::Strength::Final))
                .bind(stored.withdrawn))
        })
        .await?;
    let bodies: Vec<(&NewVersion, Vec<u8>)> = with_text(&effects.versions).zip(texts).collect();
    VERSIONS
        .execute(tx, &bodies, |query, (version, text)| {
            Ok(query
                .bind(version.stored.row)
                .bind(version.stored.version)
                .bind(text.clone())
                .bind(version.stored.withdrawn)
                .bind(micros(version.stored.source_time))
                .bind(micros(version.recorded_at))
                .bind(version.message.map(|message| message.0)))
        })
        .await?;
    SIGHTINGS
        .execute(tx, &effects.sightings, |query, sighting| {
            Ok(query
                .bind(sighting.message.0)
                .bind(sighting.resource)
                .bind(sighting.version)
                .bind(sighting.late))
        })
        .await?;
    Ok(())
}

async fn told(tx: &mut Conn, effects: &Effects, framed: Vec<Framed>) -> Result<(), StoreError> {
    let notices: Vec<&Notice> = effects.notices.values().collect();
    NOTICES
        .execute(tx, &notices, |query, notice| notice_row(query, notice))
        .await?;
    if !notices.is_empty() {
        query(FOLLOW_RECORD)
            .bind(json(&effects.notices.keys().collect::<Vec<_>>())?)
            .execute(&mut *tx)
            .await?;
    }
    let rerouted: Vec<(i64, i64)> = notices
        .iter()
        .filter_map(|notice| Some((notice.id.0, notice.reroute?)))
        .collect();
    if !rerouted.is_empty() {
        query("DELETE FROM reroute WHERE EXISTS (SELECT 1 FROM tuples(?1) AS k WHERE CAST(k.value ->> 0 AS BIGINT) = reroute.notice AND reroute.id <= CAST(k.value ->> 1 AS BIGINT))")
            .bind(json(&rerouted)?)
            .execute(&mut *tx)
            .await?;
    }
    MINTED
        .execute(tx, &effects.minted, |query, minted| {
            Ok(query
                .bind(minted.notice.0)
                .bind(minted.version)
                .bind(json(&*minted.content)?)
                .bind(micros(minted.at)))
        })
        .await?;
    DECISIONS
        .execute(tx, &effects.decisions, |query, decision| {
            Ok(query
                .bind(decision.notice.0)
                .bind(decision.version)
                .bind(decision.channel.map(|channel| channel.0))
                .bind(decision.verdict.code())
                .bind(decision.code.map(|code| code.as_str()))
                .bind(decision.reason.clone())
                .bind(micros(decision.at)))
        })
        .await?;
    let superseded: Vec<(&str, &str)> = effects
        .superseded
        .iter()
        .map(|(id, code)| (id.as_str(), code.as_str()))
        .collect();
    if !superseded.is_empty() {
        query(
            "UPDATE delivery SET state = 'dead', due_at = NULL, code = (SELECT value ->> 1 FROM tuples(?1) WHERE value ->> 0 = delivery.id) \
             WHERE id IN (SELECT value ->> 0 FROM tuples(?1)) AND state IN ('pending', 'held')",
        )
        .bind(json(&superseded)?)
        .execute(&mut *tx)
        .await?;
    }
    revive(tx, effects).await?;
    let mut payloads: HashMap<DeliveryId, Framed> = framed
        .into_iter()
        .map(|framed| (framed.id.clone(), framed))
        .collect();
    let deliveries: Vec<(&PlannedDelivery, Option<Framed>)> = effects
        .deliveries
        .iter()
        .map(|delivery| (delivery, payloads.remove(&delivery.id)))
        .collect();
    DELIVERIES
        .execute(tx, &deliveries, |query, (delivery, framed)| {
            delivery_row(query, delivery, framed.as_ref(), effects)
        })
        .await?;
    // As long as a row names a file, nothing removes it.
    let files: Vec<(Vec<u8>, &DeliveryId)> = deliveries
        .iter()
        .filter_map(|(delivery, framed)| {
            Some((&delivery.id, framed.as_ref()?.payload.as_ref().ok()?))
        })
        .flat_map(|(id, payload)| payload.attachments.iter().map(move |file| (id, file)))
        .filter_map(|(id, file)| Some((HEXLOWER.decode(file.sha256.as_bytes()).ok()?, id)))
        .collect();
    ATTACHMENTS
        .execute(tx, &files, |query, (sha256, id)| {
            Ok(query.bind(sha256.clone()).bind(id.as_str()))
        })
        .await?;
    if !effects.deliveries.is_empty() {
        let ids: Vec<&DeliveryId> = effects
            .deliveries
            .iter()
            .map(|delivery| &delivery.id)
            .collect();
        query(END_MISLED)
            .bind(json(&ids)?)
            .bind(Code::DLV_RECALLED.as_str())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// An operator may have moved the record to another person since it was loaded: its notices follow, and
/// wait for a named person.
const FOLLOW_RECORD: &str = "UPDATE notice SET backfill = TRUE, person = (SELECT r.person FROM record AS r WHERE r.id = notice.record) \
     WHERE id IN (SELECT value FROM ints(?1)) AND person <> (SELECT r.person FROM record AS r WHERE r.id = notice.record)";
/// What was planned for the other person's channels meanwhile never leaves.
const END_MISLED: &str = "UPDATE delivery SET state = 'dead', code = ?2, due_at = NULL \
     WHERE id IN (SELECT value FROM texts(?1)) AND person <> (SELECT n.person FROM notice AS n WHERE n.id = delivery.notice)";

async fn revive(tx: &mut Conn, effects: &Effects) -> Result<(), StoreError> {
    if effects.revived.is_empty() {
        return Ok(());
    }
    let at = effects
        .decisions
        .first()
        .map_or(0, |decision| micros(decision.at));
    let revived: Vec<(&str, Option<&str>)> = effects
        .revived
        .iter()
        .map(|(id, code)| (id.as_str(), code.as_ref().map(|code| code.as_str())))
        .collect();
    query(
        "UPDATE delivery SET code = w.code, state = CASE WHEN w.code IS NULL THEN 'pending' ELSE 'held' END, \
         due_at = CASE WHEN w.code IS NULL THEN ?2 END \
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS code FROM tuples(?1)) AS w \
         WHERE delivery.id = w.id AND delivery.state = 'dead'",
    )
    .bind(json(&revived)?)
    .bind(at)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

fn notice_row(
    query: super::rows::Filling,
    notice: &Notice,
) -> Result<super::rows::Filling, StoreError> {
    Ok(query
        .bind(notice.id.0)
        .bind(notice.person.0)
        .bind(notice.record.0)
        .bind(notice.source.as_str().to_owned())
        .bind(notice.kind.code())
        .bind(notice.event_key.clone())
        .bind(notice.focus.clone())
        .bind(notice.urgency.as_str())
        .bind(micros(notice.occurred_at))
        .bind(notice.cancelled)
        .bind(notice.never_automatic.map(|code| code.as_str()))
        .bind(notice.backfill)
        .bind(micros(notice.first_part_at))
        .bind(micros(notice.last_part_at))
        .bind(notice.due_at.map(micros))
        .bind(notice.version)
        .bind(json(&notice.told)?)
        .bind(json(&notice.parts)?))
}

/// A delivery whose post the sink could not frame is dead from the start, with the code.
fn delivery_row(
    query: super::rows::Filling,
    delivery: &PlannedDelivery,
    framed: Option<&Framed>,
    effects: &Effects,
) -> Result<super::rows::Filling, StoreError> {
    let (payload, state, code) = match framed.map(|framed| &framed.payload) {
        Some(Ok(payload)) => (json(payload)?, delivery.state, delivery.code),
        Some(Err(code)) => ("{}".to_owned(), DeliveryState::Dead, Some(*code)),
        None => ("{}".to_owned(), DeliveryState::Dead, Some(Code::DLV_FRAME)),
    };
    let at = effects
        .decisions
        .first()
        .map_or(0, |decision| micros(decision.at));
    Ok(query
        .bind(delivery.id.as_str().to_owned())
        .bind(delivery.notice.0)
        .bind(delivery.version)
        .bind(delivery.channel.id.0)
        .bind(delivery.channel.sink.as_str().to_owned())
        .bind(delivery.channel.person.0)
        .bind(json(&delivery.change)?)
        .bind(json(&delivery.disclosure)?)
        .bind(delivery.late)
        .bind(delivery.post.urgency.as_str())
        .bind(json(&delivery.post)?)
        .bind(payload)
        .bind(state.code())
        .bind(code.map(|code| code.as_str()))
        .bind((state == DeliveryState::Pending).then_some(at))
        .bind(delivery.replaces.as_ref().map(|id| id.as_str().to_owned()))
        .bind(at)
        .bind(delivery.released_by.clone()))
}

async fn ended(tx: &mut Conn, effects: &Effects) -> Result<(), StoreError> {
    OUTCOMES
        .execute(tx, &effects.outcomes, |query, (message, outcome)| {
            let state = if outcome.state == MessageState::Received {
                MessageState::Failed
            } else {
                outcome.state
            };
            Ok(query
                .bind(message.0)
                .bind(state.code())
                .bind(outcome.code.map(|code| code.as_str()))
                .bind(outcome.record.map(|record| record.0))
                .bind(outcome.mapper.clone())
                .bind(json(&outcome.findings)?)
                .bind(json(&outcome.unread)?)
                .bind(micros(outcome.at)))
        })
        .await?;
    let done: Vec<i64> = effects
        .outcomes
        .iter()
        .map(|(message, _)| message.0)
        .collect();
    let removed = query("DELETE FROM waiting WHERE position IN (SELECT value FROM ints(?1))")
        .bind(json(&done)?)
        .execute(&mut *tx)
        .await?;
    if tx.dialect() == Dialect::Postgres && effects.seen.is_some() {
        lanes::fence(removed, done.len())?;
    }
    let parked: Vec<i64> = effects
        .outcomes
        .iter()
        .filter(|(_, outcome)| outcome.state == MessageState::Parked && outcome.record.is_some())
        .map(|(message, _)| message.0)
        .collect();
    if parked.is_empty() {
        Ok(())
    } else {
        decided_meanwhile(tx, &parked).await
    }
}

/// A reviewer may have decided since the batch was loaded: what was parked for that decision would wait
/// for ever.
async fn decided_meanwhile(tx: &mut Conn, parked: &[i64]) -> Result<(), StoreError> {
    let parked = json(&parked)?;
    query(
        "INSERT INTO waiting (position, lane) SELECT m.position, m.lane FROM ints(?1) AS k CROSS JOIN outcome AS o ON o.position = k.value \
         JOIN record AS r ON r.id = o.record JOIN message AS m ON m.position = o.position \
         WHERE o.state = 'parked' AND o.code IN (?2, ?3) AND r.person IS NOT NULL AND NOT r.rejected",
    )
    .bind(&parked)
    .bind(Code::IDN_AMBIGUOUS.as_str())
    .bind(Code::IDN_REJECTED.as_str())
    .execute(&mut *tx)
    .await?;
    query(
        "DELETE FROM outcome WHERE position IN (SELECT value FROM ints(?1)) \
         AND EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = outcome.position)",
    )
    .bind(&parked)
    .execute(tx)
    .await?;
    Ok(())
}

/// What is changed here by more than a key, for the test of the query plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    vec![
        ("receipts", receipts::RECEIPTS_OF.to_owned()),
        ("refused", receipts::REFUSED.to_owned()),
        ("accepted", receipts::ACCEPTED.to_owned()),
        ("early receipt", receipts::EARLY_OF.to_owned()),
        ("follow record", FOLLOW_RECORD.to_owned()),
        ("end misled", END_MISLED.to_owned()),
    ]
}
