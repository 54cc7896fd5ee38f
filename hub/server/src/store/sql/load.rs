//! Loading the world of a batch: who the subjects are and may be (round one), what is recorded of them
//! and which notices are open (round two), and a block of row ids. One statement per question, over a
//! JSON list as its only parameter.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use renkei_core::{
    Authority, Code, FacilityId, Facts, LocalId, NoticeContent, NoticeId, NoticeKind, PersonId,
    RecordId, ResourceType, SourceName, Strength, Urgency,
};

use super::alike::Shared;
#[cfg(test)]
use super::alike::of_candidates;
use super::speak::{Dialect, Line, Pool, query};
use super::{instant, json, parsed, text};
use crate::store::StoreError;
use crate::world::{Ids, Keys, Notice, Record, Stored, World};

/// Ids reserved for one batch. Only the engine makes rows of these tables (persons a reviewer asks for
/// have ids below zero), and it applies one batch before it loads the next: the next free id is
/// enough, and nothing has to be written to reserve it. A ledger made from a backup leaves out the numbers
/// the lost hub may have used: they are part of the ids peers know deliveries by.
const NEXT_IDS: &str = "SELECT (SELECT greatest(coalesce(max(id), 0), 0) + 1 FROM person), (SELECT coalesce(max(id), 0) + 1 FROM record), \
     (SELECT coalesce(max(id), 0) + 1 FROM resource), (SELECT greatest(coalesce(max(id), 0), (SELECT coalesce(max(notices_above), 0) FROM restored)) + 1 FROM notice)";
pub(super) const RECORD_COLUMNS: &str =
    "r.id, r.facility, r.local_id, r.person, r.facts, r.authority, r.rejected, r.revision";

/// See [`crate::store::Store::load`].
pub(super) async fn load(reads: &Pool, keys: &Keys, world: &mut World) -> Result<(), StoreError> {
    world.ids = next_ids(reads, keys.room).await?;
    if !keys.beds.is_empty() {
        super::beds::load(reads, &keys.beds, world).await?;
    }
    if keys.subjects.is_empty() {
        return Ok(());
    }
    subjects(reads, keys, world).await?;
    candidates(reads, keys, world).await?;
    let of_batch: BTreeSet<i64> = keys
        .subjects
        .iter()
        .filter_map(|local| world.by_local.get(local))
        .map(|id| id.0)
        .collect();
    resources(reads, keys, &of_batch, world).await?;
    all_notices(reads, &of_batch, world).await
}

/// Row ids that nobody else takes: on a file the next free ones, on a server a block.
async fn next_ids(reads: &Pool, room: Ids) -> Result<Ids, StoreError> {
    if reads.dialect() == Dialect::Postgres {
        return super::lanes::reserve(reads, room).await;
    }
    let row = query(NEXT_IDS).fetch_one(reads).await?;
    Ok(Ids {
        person: row.get(0),
        record: row.get(1),
        resource: row.get(2),
        notice: row.get(3),
    })
}

async fn subjects(reads: &Pool, keys: &Keys, world: &mut World) -> Result<(), StoreError> {
    let locals: BTreeSet<(&str, &str)> = keys
        .subjects
        .iter()
        .map(|(facility, local)| (facility.as_str(), local.expose()))
        .collect();
    let rows = query(of_subjects())
        .bind(json(&locals)?)
        .fetch_all(reads)
        .await?;
    for row in rows {
        let record = record(&row, 0)?;
        world.saw(record.id, row.get(7));
        world.by_local.insert(
            (record.facility.clone(), record.local_id.clone()),
            record.id,
        );
        world.know(record);
    }
    Ok(())
}

/// Records of anyone a new subject may be.
async fn candidates(reads: &Pool, keys: &Keys, world: &mut World) -> Result<(), StoreError> {
    let known = &world.by_local;
    let new: Vec<&Facts> = keys
        .subjects
        .iter()
        .zip(&keys.facts)
        .filter(|(local, _)| !known.contains_key(*local))
        .map(|(_, facts)| facts)
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let rows = Shared::of(new).records()?.fetch_all(reads).await?;
    for row in rows {
        let record = record(&row, 0)?;
        world.saw(record.id, row.get(7));
        world.know(record);
    }
    Ok(())
}

/// Resources the drafts name, members of complete scopes, and the batch's stays.
async fn resources(
    reads: &Pool,
    keys: &Keys,
    of_batch: &BTreeSet<i64>,
    world: &mut World,
) -> Result<(), StoreError> {
    let scopes: BTreeSet<(i64, &str)> = keys
        .scopes
        .iter()
        .filter_map(|(local, scope)| Some((world.by_local.get(local)?.0, scope.as_str())))
        .collect();
    let rows = query(of_resources())
        .bind(json(&keys.resources)?)
        .bind(json(&scopes)?)
        .bind(json(of_batch)?)
        .fetch_all(reads)
        .await?;
    for row in rows {
        put(world, stored(&row)?);
    }
    Ok(())
}

fn put(world: &mut World, stored: Stored) {
    if let Some(record) = stored.record {
        if stored.kind == ResourceType::Encounter {
            world
                .stays
                .entry(record)
                .or_default()
                .push(stored.logical_id.clone());
        }
        if let Some(scope) = &stored.scope {
            world
                .scopes
                .entry((record, scope.clone()))
                .or_default()
                .push(stored.logical_id.clone());
        }
    }
    world.resources.insert(stored.logical_id.clone(), stored);
}

/// Every notice of the batch's records: an event told long ago must be found again, not opened twice.
async fn all_notices(
    reads: &Pool,
    of_batch: &BTreeSet<i64>,
    world: &mut World,
) -> Result<(), StoreError> {
    let rows = query(of_notices())
        .bind(json(of_batch)?)
        .fetch_all(reads)
        .await?;
    for row in rows {
        let mut notice = notice(&row)?;
        // Only settling answers a request to route again; a message that touches the notice does not.
        notice.reroute = None;
        world.notices.insert(notice.id, notice);
    }
    Ok(())
}

/// The columns [`notice`] reads.
pub(super) const NOTICE_COLUMNS: &str = "n.id, n.person, n.record, n.source, n.kind, n.event_key, n.focus, n.urgency, n.occurred_at, n.cancelled, \
     n.never_automatic, n.backfill, n.first_part_at, n.last_part_at, n.due_at, (SELECT max(q.id) FROM reroute AS q WHERE q.notice = n.id), n.version, n.told, n.parts, v.content";

/// One notice from a row of [`NOTICE_COLUMNS`].
pub(super) fn notice(row: &Line) -> Result<Notice, StoreError> {
    let kind = NoticeKind::find(row.get(4))
        .ok_or_else(|| StoreError::Broken("a notice of no kind".into()))?;
    let urgency: Urgency = parsed(&format!("\"{}\"", row.get::<&str>(7)))?;
    let content: Option<NoticeContent> = row.get::<Option<&str>>(19).map(parsed).transpose()?;
    Ok(Notice {
        id: NoticeId(row.get(0)),
        person: PersonId(row.get(1)),
        record: RecordId(row.get(2)),
        source: SourceName::new(row.get::<&str>(3)),
        kind,
        event_key: row.get(5),
        focus: row.get(6),
        urgency,
        occurred_at: instant(row.get(8)),
        cancelled: row.get(9),
        never_automatic: row.get::<Option<&str>>(10).and_then(Code::find),
        backfill: row.get(11),
        first_part_at: instant(row.get(12)),
        last_part_at: instant(row.get(13)),
        due_at: row.get::<Option<i64>>(14).map(instant),
        reroute: row.get(15),
        version: row.get(16),
        content: content.map(Arc::new),
        told: parsed(row.get(17))?,
        parts: parsed(row.get(18))?,
    })
}

/// One record from `id, facility, local_id, person, facts, authority, rejected`, starting at column `at`.
pub(super) fn record(row: &Line, at: usize) -> Result<Record, StoreError> {
    let facility = FacilityId::new(row.get::<&str>(at + 1))
        .map_err(|error| StoreError::Broken(Box::new(error)))?;
    Ok(Record {
        id: RecordId(row.get(at)),
        facility,
        local_id: LocalId::new(row.get::<&str>(at + 2)),
        person: row.get::<Option<i64>>(at + 3).map(PersonId),
        facts: parsed(row.get(at + 4))?,
        authority: if row.get::<i64>(at + 5) > 0 {
            Authority::Primary
        } else {
            Authority::Snapshot
        },
        rejected: row.get(at + 6),
    })
}

/// The columns [`stored`] reads, of `resource AS r` joined with its current `version AS v`.
pub(super) const RESOURCE_COLUMNS: &str = "r.id, r.record, r.kind, r.logical_id, r.scope, r.version, r.body_hash, r.source_time, r.storage_order, \
     r.authority, r.strength, r.withdrawn, v.body";

/// One resource from a row of [`RESOURCE_COLUMNS`].
pub(super) fn stored(row: &Line) -> Result<Stored, StoreError> {
    let kind = ResourceType::find(row.get(2))
        .ok_or_else(|| StoreError::Broken("a resource of no type".into()))?;
    let hash: [u8; 32] = row
        .get::<&[u8]>(6)
        .try_into()
        .map_err(|_| StoreError::Broken("a hash of another length".into()))?;
    Ok(Stored {
        row: row.get(0),
        record: row.get::<Option<i64>>(1).map(RecordId),
        kind,
        logical_id: row.get(3),
        scope: row.get(4),
        version: row.get(5),
        body: match row.get::<Option<&[u8]>>(12) {
            Some(packed) => Arc::from(text(packed)?),
            None => Arc::from(""),
        },
        hash,
        source_time: instant(row.get(7)),
        storage_order: u64::try_from(row.get::<i64>(8)).unwrap_or(0),
        authority: if row.get::<i64>(9) > 0 {
            Authority::Primary
        } else {
            Authority::Snapshot
        },
        strength: if row.get::<i64>(10) > 0 {
            Strength::Final
        } else {
            Strength::Preliminary
        },
        withdrawn: row.get(11),
    })
}

/// Groups rows by the first of a pair.
pub(super) fn grouped<K: std::hash::Hash + Eq, V>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}

fn of_subjects() -> String {
    format!(
        "SELECT {RECORD_COLUMNS} FROM tuples(?1) AS k CROSS JOIN record AS r ON r.facility = k.value ->> 0 AND r.local_id = k.value ->> 1"
    )
}

fn of_resources() -> String {
    format!(
        "SELECT {RESOURCE_COLUMNS} FROM ( \
     SELECT n.id AS id FROM texts(?1) AS k CROSS JOIN resource AS n ON n.logical_id = k.value \
     UNION SELECT s.id FROM tuples(?2) AS k CROSS JOIN resource AS s ON s.record = CAST(k.value ->> 0 AS BIGINT) AND s.scope = k.value ->> 1 \
     UNION SELECT e.id FROM ints(?3) AS k CROSS JOIN resource AS e ON e.record = k.value AND e.kind = 'Encounter' \
     ) AS wanted CROSS JOIN resource AS r ON r.id = wanted.id \
     LEFT JOIN version AS v ON v.resource = r.id AND v.version = r.version"
    )
}

fn of_notices() -> String {
    format!(
        "SELECT {NOTICE_COLUMNS} FROM ints(?1) AS k CROSS JOIN notice AS n ON n.record = k.value \
     LEFT JOIN notice_version AS v ON v.notice = n.id AND v.version = n.version"
    )
}

/// What is asked here, for the test of the query plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    vec![
        ("of_subjects", of_subjects()),
        ("of_candidates", of_candidates()),
        ("of_resources", of_resources()),
        ("of_notices", of_notices()),
        ("next ids", NEXT_IDS.to_owned()),
    ]
}
