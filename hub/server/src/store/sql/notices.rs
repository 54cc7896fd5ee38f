//! Loading all that settling notices needs.

use std::collections::BTreeSet;

use jiff::Timestamp;
use renkei_core::{
    Channel, ChannelId, ChannelKind, ChannelStatus, Code, DeliveryId, NoticeId, NoticeKind,
    PeerRef, PersonId, RecordId, ResourceType, SinkName, clock,
};

use super::load::{NOTICE_COLUMNS, RESOURCE_COLUMNS, grouped, notice, record, stored};
use super::speak::{Dialect, Line, Pool, query};
use super::{json, micros, parsed};
use crate::store::StoreError;
use crate::world::{Consent, DeliveryState, EarlierDelivery, World};

/// Results of a record that a notice looks at, newest first.
const NEWEST_RESULTS: i64 = 400;

/// See [`crate::store::Store::load_notices`].
pub(super) async fn load(
    reads: &Pool,
    notices: &[NoticeId],
    world: &mut World,
) -> Result<(), StoreError> {
    if reads.dialect() == Dialect::Postgres {
        // Before everything else: what changes later is then found out.
        let rows = query(REVISIONS_OF)
            .bind(json(&notices)?)
            .fetch_all(reads)
            .await?;
        for row in rows {
            world.saw(RecordId(row.get(0)), row.get(1));
        }
    }
    let rows = query(of_due())
        .bind(json(&notices)?)
        .fetch_all(reads)
        .await?;
    let (mut persons, mut records) = (BTreeSet::new(), BTreeSet::new());
    // Whose whole stay is told, with results and prescriptions.
    let mut discharged = BTreeSet::new();
    let mut foci = BTreeSet::new();
    for row in rows {
        let notice = notice(&row)?;
        persons.insert(notice.person.0);
        records.insert(notice.record.0);
        if notice.kind == NoticeKind::Discharge {
            discharged.insert(notice.record.0);
            // What it told stays of its chart, however much came since.
            foci.extend(notice.told.iter().cloned());
        }
        foci.insert(notice.focus.clone());
        world.notices.insert(notice.id, notice);
    }
    let records = json(&records)?;
    known_records(reads, &records, world).await?;
    let rows = query(chart(reads.dialect()))
        .bind(&records)
        .bind(json(&discharged)?)
        .bind(json(&foci)?)
        .bind(NEWEST_RESULTS)
        .fetch_all(reads)
        .await?;
    charts(&rows, world)?;
    world.consents = consents(reads, &records).await?;
    world.channels = channels(reads, &json(&persons)?).await?;
    deliveries(reads, &json(&notices)?, world).await?;
    posts_today(reads, world).await
}

async fn known_records(reads: &Pool, ids: &str, world: &mut World) -> Result<(), StoreError> {
    let rows = query(KNOWN).bind(ids).fetch_all(reads).await?;
    for row in rows {
        let record = record(&row, 0)?;
        world.by_local.insert(
            (record.facility.clone(), record.local_id.clone()),
            record.id,
        );
        world.know(record);
    }
    Ok(())
}

fn charts(rows: &[Line], world: &mut World) -> Result<(), StoreError> {
    for row in rows {
        let stored = stored(row)?;
        let Some(record) = stored.record else {
            continue;
        };
        // What a notice is about is named apart, and may be part of the chart too.
        if world.resources.contains_key(&stored.logical_id) {
            continue;
        }
        if stored.kind == ResourceType::Encounter {
            world
                .stays
                .entry(record)
                .or_default()
                .push(stored.logical_id.clone());
        }
        world
            .charts
            .entry(record)
            .or_default()
            .push(stored.logical_id.clone());
        world.resources.insert(stored.logical_id.clone(), stored);
    }
    Ok(())
}

/// The consents of records, by record.
pub(super) async fn consents(
    reads: &Pool,
    records: &str,
) -> Result<std::collections::HashMap<RecordId, Vec<Consent>>, StoreError> {
    let rows = query(CONSENTS_OF).bind(records).fetch_all(reads).await?;
    let mut all = Vec::new();
    for row in rows {
        let form: crate::store::operator::ConsentForm = parsed(row.get(4))?;
        all.push((
            RecordId(row.get(0)),
            Consent {
                form_id: row.get(1),
                kana: row.get(2),
                birth_date: row.get(3),
                disclosers: form.disclosers,
                recipients: form.recipients,
                items: form.items,
                valid_from: form.valid_from,
                valid_until: form.valid_until,
                withdrawn_on: row.get(5),
            },
        ));
    }
    Ok(grouped(all))
}

/// The columns [`channel`] reads, of `channel AS c` and the person.
pub(super) const CHANNEL_COLUMNS: &str =
    "c.id, c.sink, c.peer_ref, c.kind, c.status, c.host, c.header, c.members";

/// One channel from a row of [`CHANNEL_COLUMNS`], starting at `at`.
pub(super) fn channel(row: &Line, at: usize, person: PersonId) -> Result<Channel, StoreError> {
    let status = match row.get::<&str>(at + 4) {
        "confirmed" => ChannelStatus::Confirmed,
        "proposed" => ChannelStatus::Proposed,
        _ => ChannelStatus::Broken,
    };
    Ok(Channel {
        id: ChannelId(row.get(at)),
        sink: SinkName::new(row.get::<&str>(at + 1)),
        person,
        peer_ref: PeerRef::new(row.get::<&str>(at + 2)),
        kind: ChannelKind::find(row.get(at + 3)).unwrap_or(ChannelKind::Family),
        status,
        host_facility: row.get(at + 5),
        header: parsed(row.get(at + 6))?,
        members: parsed(row.get(at + 7))?,
    })
}

async fn channels(
    reads: &Pool,
    persons: &str,
) -> Result<std::collections::HashMap<PersonId, Vec<Channel>>, StoreError> {
    let rows = query(channels_of()).bind(persons).fetch_all(reads).await?;
    let mut all: std::collections::HashMap<PersonId, Vec<Channel>> =
        std::collections::HashMap::new();
    for row in rows {
        let person = PersonId(row.get(0));
        let channel = channel(&row, 1, person)?;
        let known = all.entry(person).or_default();
        // Two records of one person may name the same group: one recipient gets one notice.
        if !known
            .iter()
            .any(|other| other.sink == channel.sink && other.peer_ref == channel.peer_ref)
        {
            known.push(channel);
        }
    }
    Ok(all)
}

async fn deliveries(reads: &Pool, notices: &str, world: &mut World) -> Result<(), StoreError> {
    let rows = query(DELIVERIES_OF).bind(notices).fetch_all(reads).await?;
    let mut all = Vec::new();
    for row in rows {
        let notice = NoticeId(row.get(0));
        all.push((
            notice,
            EarlierDelivery {
                id: DeliveryId::known(row.get::<&str>(1)),
                notice,
                version: row.get(2),
                channel: ChannelId(row.get(3)),
                change: parsed(row.get(4))?,
                state: DeliveryState::find(row.get(5)).unwrap_or(DeliveryState::Dead),
                code: row.get::<Option<&str>>(6).and_then(Code::find),
                attempts: row.get(7),
                peer_ref: row.get::<Option<&str>>(8).map(PeerRef::new),
                replaces: row.get::<Option<&str>>(9).map(DeliveryId::known),
                content: std::sync::Arc::new(parsed(row.get(10))?),
                released_by: row.get(11),
            },
        ));
    }
    world.deliveries = grouped(all);
    Ok(())
}

async fn posts_today(reads: &Pool, world: &mut World) -> Result<(), StoreError> {
    let channels: Vec<i64> = world
        .channels
        .values()
        .flatten()
        .map(|channel| channel.id.0)
        .collect();
    let rows = query(POSTS_OF)
        .bind(json(&channels)?)
        .bind(micros(midnight(world.now)))
        .fetch_all(reads)
        .await?;
    world.posts_today = rows
        .iter()
        .map(|row| (ChannelId(row.get(0)), row.get(1)))
        .collect();
    Ok(())
}

/// The last midnight in Japan.
fn midnight(now: Timestamp) -> Timestamp {
    clock::in_japan(now)
        .date()
        .to_zoned(clock::japan())
        .map_or(now, |midnight| midnight.timestamp())
}

const REVISIONS_OF: &str = "SELECT r.id, r.revision FROM ints(?1) AS k CROSS JOIN notice AS n ON n.id = k.value JOIN record AS r ON r.id = n.record";
fn of_due() -> String {
    format!(
        "SELECT {NOTICE_COLUMNS} FROM ints(?1) AS k CROSS JOIN notice AS n ON n.id = k.value \
     LEFT JOIN notice_version AS v ON v.notice = n.id AND v.version = n.version"
    )
}

const KNOWN: &str = "SELECT r.id, r.facility, r.local_id, r.person, r.facts, r.authority, r.rejected FROM ints(?1) AS k CROSS JOIN record AS r ON r.id = k.value";
/// ?1 records; ?2 those of them who are discharged, ?4 how many results of each; ?3 what the notices are
/// about, and what discharges told.
fn chart(dialect: Dialect) -> String {
    let newest = "FROM resource WHERE record = k.value AND kind = 'Observation' ORDER BY source_time DESC LIMIT ?4";
    let results = match dialect {
        Dialect::Sqlite => format!("CROSS JOIN resource AS r ON r.id IN (SELECT id {newest})"),
        // It would make that list once for each resource it holds.
        Dialect::Postgres => format!("JOIN LATERAL (SELECT * {newest}) AS r ON TRUE"),
    };
    let version = "LEFT JOIN version AS v ON v.resource = r.id AND v.version = r.version";
    format!(
        "SELECT {RESOURCE_COLUMNS} FROM ints(?1) AS k CROSS JOIN resource AS r ON r.record = k.value \
     AND r.kind IN ('Encounter', 'AllergyIntolerance', 'Condition', 'DocumentReference') {version} \
     UNION ALL SELECT {RESOURCE_COLUMNS} FROM texts(?3) AS k CROSS JOIN resource AS r ON r.logical_id = k.value {version} \
     UNION ALL SELECT {RESOURCE_COLUMNS} FROM ints(?2) AS k CROSS JOIN resource AS r ON r.record = k.value \
     AND r.kind = 'MedicationRequest' {version} \
     UNION ALL SELECT {RESOURCE_COLUMNS} FROM ints(?2) AS k {results} {version}"
    )
}

const CONSENTS_OF: &str = "SELECT r.id, c.form_id, c.kana, c.birth_date, c.form, c.withdrawn_on FROM ints(?1) AS k \
     CROSS JOIN record AS r ON r.id = k.value CROSS JOIN consent AS c ON c.facility = r.facility AND c.local_id = r.local_id";
fn channels_of() -> String {
    format!(
        "SELECT DISTINCT r.person, {CHANNEL_COLUMNS} FROM ints(?1) AS k CROSS JOIN record AS r ON r.person = k.value \
     CROSS JOIN channel AS c ON c.facility = r.facility AND c.local_id = r.local_id ORDER BY c.id"
    )
}

const DELIVERIES_OF: &str = "SELECT d.notice, d.id, d.version, d.channel, d.change, d.state, d.code, d.attempts, d.peer_ref, d.replaces, v.content, d.released_by \
     FROM ints(?1) AS k CROSS JOIN notice AS n ON n.id = k.value CROSS JOIN delivery AS d ON d.notice = n.id \
     JOIN notice_version AS v ON v.notice = d.notice AND v.version = least(d.version, n.version) ORDER BY d.seq";
const POSTS_OF: &str = "SELECT d.channel, count(*) FROM ints(?1) AS k CROSS JOIN delivery AS d ON d.channel = k.value AND d.created_at >= ?2 \
     WHERE d.urgency <> 'u0' AND d.state IN ('pending', 'sent', 'delivered') GROUP BY d.channel";

/// What is asked here, for the test of the query plans.
#[cfg(test)]
pub(super) fn statements(dialect: Dialect) -> Vec<(&'static str, String)> {
    vec![
        ("of_due", of_due()),
        ("known", KNOWN.to_owned()),
        ("chart", chart(dialect)),
        ("consents_of", CONSENTS_OF.to_owned()),
        ("channels_of", channels_of()),
        ("deliveries_of", DELIVERIES_OF.to_owned()),
        ("posts_of", POSTS_OF.to_owned()),
    ]
}
