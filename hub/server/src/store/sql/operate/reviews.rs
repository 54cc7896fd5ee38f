//! Reviews of records, and undoing links.

use renkei_core::{Code, PersonId, RecordId};

use super::{audit, person_of_record};
use crate::store::StoreError;
use crate::store::operator::{By, Decision, OperateError, ReviewLine};
use crate::store::sql::operate::people;
use crate::store::sql::speak::{Conn, Pool, query};
use crate::store::sql::{instant, json, micros, parsed};

/// See [`crate::store::operator::Operator::reviews`].
pub(super) async fn open(reads: &Pool) -> Result<Vec<ReviewLine>, StoreError> {
    let rows = query(
        "SELECT v.record, v.code, v.candidates, v.opened_at, \
         (SELECT count(*) FROM outcome AS o WHERE o.state = 'parked' AND o.record = v.record) \
         FROM review AS v WHERE v.decided_at IS NULL ORDER BY v.opened_at, v.record",
    )
    .fetch_all(reads)
    .await?;
    let mut reviews = Vec::with_capacity(rows.len());
    for row in rows {
        let candidates: Vec<i64> = parsed(row.get(2))?;
        let Some(record) = people::records(reads, &[row.get(0)]).await?.pop() else {
            continue;
        };
        reviews.push(ReviewLine {
            record,
            code: row.get(1),
            opened_at: instant(row.get(3)),
            parked: row.get(4),
            candidates: people::persons(reads, &candidates).await?,
        });
    }
    Ok(reviews)
}

/// See [`crate::store::operator::Operator::decide_review`].
pub(super) async fn decide(
    tx: &mut Conn,
    record: RecordId,
    decision: Decision,
    by: &By,
) -> Result<u64, OperateError> {
    let decided = query("SELECT decided_at IS NOT NULL FROM review WHERE record = ?1")
        .bind(record.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(OperateError::Unknown { what: "review" })?;
    if decided.get(0) {
        return Err(OperateError::NotNow {
            why: "the review is decided already; use relink",
        });
    }
    match decision {
        Decision::Join(person) => link(tx, record, Some(person), by).await?,
        Decision::NewPerson => link(tx, record, None, by).await?,
        Decision::Reject => {
            query("UPDATE record SET rejected = TRUE WHERE id = ?1")
                .bind(record.0)
                .execute(&mut *tx)
                .await?;
            person_of_record(record)
        }
    };
    let text = json(&decision)?;
    query("UPDATE review SET decided_at = ?2, decision = ?3, actor = ?4 WHERE record = ?1")
        .bind(record.0)
        .bind(micros(by.at))
        .bind(&text)
        .bind(by.actor.clone())
        .execute(&mut *tx)
        .await?;
    let freed = match decision {
        Decision::Join(_) | Decision::NewPerson => free_parked(tx, record).await?,
        Decision::Reject => {
            query("UPDATE outcome SET code = ?2 WHERE state = 'parked' AND record = ?1")
                .bind(record.0)
                .bind(Code::IDN_REJECTED.as_str())
                .execute(&mut *tx)
                .await?;
            0
        }
    };
    audit::line(tx, by, "review.decide", &format!("record {record} {text}")).await?;
    audit::human(tx, "human.decide", 1).await?;
    Ok(freed)
}

/// See [`crate::store::operator::Operator::relink`].
pub(super) async fn relink(
    tx: &mut Conn,
    record: RecordId,
    person: Option<PersonId>,
    by: &By,
) -> Result<PersonId, OperateError> {
    let before = query("SELECT person FROM record WHERE id = ?1")
        .bind(record.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(OperateError::Unknown { what: "record" })?;
    let person = link(tx, record, person, by).await?;
    if before.get::<Option<i64>>(0) == Some(person.0) {
        return Err(OperateError::NotNow {
            why: "the record is linked to this person already",
        });
    }
    query("UPDATE notice SET person = ?2, backfill = TRUE WHERE record = ?1")
        .bind(record.0)
        .bind(person.0)
        .execute(&mut *tx)
        .await?;
    query(
        "UPDATE delivery SET state = 'dead', code = ?3, due_at = NULL WHERE state IN ('pending', 'held') AND person <> ?2 \
         AND notice IN (SELECT id FROM notice WHERE record = ?1)",
    )
    .bind(record.0)
    .bind(person.0)
    .bind(Code::DLV_RECALLED.as_str())
    .execute(&mut *tx)
    .await?;
    free_parked(tx, record).await?;
    audit::line(
        tx,
        by,
        "relink",
        &format!("record {record} to person {person}"),
    )
    .await?;
    audit::human(tx, "human.relink", 1).await?;
    Ok(person)
}

/// Links a record to a person that exists, or to one of its own.
async fn link(
    tx: &mut Conn,
    record: RecordId,
    person: Option<PersonId>,
    by: &By,
) -> Result<PersonId, OperateError> {
    let person = match person {
        Some(person) => {
            let known = query("SELECT 1 FROM person WHERE id = ?1")
                .bind(person.0)
                .fetch_optional(&mut *tx)
                .await?;
            known
                .map(|_| person)
                .ok_or(OperateError::Unknown { what: "person" })?
        }
        None => {
            let own = person_of_record(record);
            query("INSERT INTO person (id, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
                .bind(own.0)
                .bind(micros(by.at))
                .execute(&mut *tx)
                .await?;
            own
        }
    };
    query("UPDATE record SET person = ?2, rejected = FALSE WHERE id = ?1")
        .bind(record.0)
        .bind(person.0)
        .execute(tx)
        .await?;
    Ok(person)
}

/// Puts what is parked under a record back to waiting. It was never told, so it is no replay.
async fn free_parked(tx: &mut Conn, record: RecordId) -> Result<u64, StoreError> {
    let freed = query(
        "INSERT INTO waiting (position, lane) SELECT m.position, m.lane \
         FROM outcome AS o JOIN message AS m ON m.position = o.position WHERE o.state = 'parked' AND o.record = ?1 ON CONFLICT DO NOTHING",
    )
    .bind(record.0)
    .execute(&mut *tx)
    .await?;
    query("DELETE FROM outcome WHERE state = 'parked' AND record = ?1")
        .bind(record.0)
        .execute(tx)
        .await?;
    Ok(freed)
}
