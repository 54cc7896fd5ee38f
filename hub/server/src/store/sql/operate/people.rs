//! Enrolment, and persons with their records.

use std::collections::BTreeMap;

use renkei_core::{FacilityId, LocalId, PersonId};
use renkei_hl7v2::kana;

use super::{at_most, audit};
use crate::store::StoreError;
use crate::store::operator::{By, OperateError, PersonFilter, PersonLine, RecordLine};
use crate::store::sql::load::record;
use crate::store::sql::speak::{Conn, Line, Pool, query};
use crate::store::sql::{json, micros};

/// See [`crate::store::operator::Operator::enrol`].
pub(super) async fn enrol(
    tx: &mut Conn,
    patients: &[(FacilityId, LocalId)],
    by: &By,
) -> Result<u64, OperateError> {
    let done = query(
        "INSERT INTO enrolment (facility, local_id, at, actor) SELECT value ->> 0, value ->> 1, ?2, ?3 FROM tuples(?1) WHERE TRUE ON CONFLICT DO NOTHING",
    )
    .bind(json(&patients)?)
    .bind(micros(by.at))
    .bind(by.actor.clone())
    .execute(&mut *tx)
    .await?;
    audit::line(tx, by, "enrol", &format!("{} patients", done)).await?;
    Ok(done)
}

/// See [`crate::store::operator::Operator::unenrol`].
pub(super) async fn unenrol(
    tx: &mut Conn,
    patients: &[(FacilityId, LocalId)],
    by: &By,
) -> Result<u64, OperateError> {
    let done = query("DELETE FROM enrolment WHERE (facility, local_id) IN (SELECT value ->> 0, value ->> 1 FROM tuples(?1))")
        .bind(json(&patients)?)
        .execute(&mut *tx)
        .await?;
    audit::line(tx, by, "unenrol", &format!("{} patients", done)).await?;
    Ok(done)
}

/// The columns [`line()`] reads.
const COLUMNS: &str = "r.id, r.facility, r.local_id, r.person, r.facts, r.authority, r.rejected, \
    EXISTS (SELECT 1 FROM enrolment AS e WHERE e.facility = r.facility AND e.local_id = r.local_id), \
    (SELECT count(*) FROM consent AS c WHERE c.facility = r.facility AND c.local_id = r.local_id AND c.withdrawn_on = ''), \
    (SELECT count(*) FROM channel AS c WHERE c.facility = r.facility AND c.local_id = r.local_id AND c.status = 'confirmed')";

fn line(row: &Line) -> Result<RecordLine, StoreError> {
    let record = record(row, 0)?;
    Ok(RecordLine {
        record: record.id,
        facility: record.facility,
        local_id: record.local_id,
        person: record.person,
        facts: record.facts,
        rejected: record.rejected,
        enrolled: row.get(7),
        consents: row.get(8),
        channels: row.get(9),
    })
}

/// See [`crate::store::operator::Operator::people`].
pub(super) async fn list(
    reads: &Pool,
    filter: &PersonFilter,
) -> Result<Vec<PersonLine>, StoreError> {
    let kana = filter.kana.as_deref().map(kana::search_key);
    let rows = query(format!(
        "SELECT {COLUMNS} FROM record AS r WHERE (?1 IS NULL OR r.facility = ?1) AND (?2 IS NULL OR r.local_id = ?2) \
         AND (?3 IS NULL OR substr(r.kana, 1, length(?3)) = ?3) ORDER BY r.id LIMIT ?4"
    ))
    .bind(filter.facility.as_ref().map(|facility| facility.as_str().to_owned()))
    .bind(filter.local_id.as_ref().map(|local| local.expose().to_owned()))
    .bind(kana)
    .bind(at_most(filter.limit))
    .fetch_all(reads)
    .await?;
    let records = rows.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    Ok(grouped(records))
}

/// One record.
pub(super) async fn records(reads: &Pool, ids: &[i64]) -> Result<Vec<RecordLine>, StoreError> {
    let rows = query(format!(
        "SELECT {COLUMNS} FROM ints(?1) AS k CROSS JOIN record AS r ON r.id = k.value"
    ))
    .bind(json(&ids)?)
    .fetch_all(reads)
    .await?;
    rows.iter().map(line).collect()
}

/// Persons with all their records.
pub(super) async fn persons(reads: &Pool, ids: &[i64]) -> Result<Vec<PersonLine>, StoreError> {
    let rows = query(format!(
        "SELECT {COLUMNS} FROM ints(?1) AS k CROSS JOIN record AS r ON r.person = k.value ORDER BY r.id"
    ))
    .bind(json(&ids)?)
    .fetch_all(reads)
    .await?;
    let records = rows.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    Ok(grouped(records))
}

fn grouped(records: Vec<RecordLine>) -> Vec<PersonLine> {
    let mut persons: BTreeMap<PersonId, Vec<RecordLine>> = BTreeMap::new();
    let mut alone = Vec::new();
    for record in records {
        match record.person {
            Some(person) => persons.entry(person).or_default().push(record),
            None => alone.push(PersonLine {
                person: None,
                records: vec![record],
            }),
        }
    }
    let known = persons.into_iter().map(|(person, records)| PersonLine {
        person: Some(person),
        records,
    });
    known.chain(alone).collect()
}
