//! Channels: import, proposals from a sink's own list, confirming and breaking.

use std::collections::BTreeSet;

use renkei_core::{
    ChannelId, ChannelKind, ChannelView, Code, FacilityId, Facts, LocalId, Member, PatientHeader,
    PersonId, Profession, SinkName,
};
use renkei_hl7v2::kana;

use super::audit;
use super::consents::{entries, is_day};
use crate::store::StoreError;
use crate::store::operator::{
    By, ChannelFilter, ChannelLine, ChannelRow, Import, OperateError, Proposal, Proposed,
    RowOutcome, RowResult,
};
use crate::store::sql::notices::{CHANNEL_COLUMNS, channel};
use crate::store::sql::speak::{Conn, Line, Pool, query};
use crate::store::sql::{instant, json, micros, parsed};

type Refusal = (Code, &'static str);

/// See [`crate::store::operator::Operator::import_channels`]. `first` is the number of the first row.
pub(super) async fn import(
    tx: &mut Conn,
    rows: &[ChannelRow],
    first: usize,
    by: &By,
    how: Import,
) -> Result<Vec<RowResult>, OperateError> {
    let mut results = Vec::with_capacity(rows.len());
    let mut confirmed = 0;
    for (index, row) in rows.iter().enumerate() {
        let (outcome, code, why) = match one(tx, row, by, how, &mut confirmed).await? {
            Ok(outcome) => (outcome, None, ""),
            Err((code, why)) => (RowOutcome::Refused, Some(code), why),
        };
        results.push(RowResult {
            row: first + index,
            outcome,
            code,
            why: why.to_owned(),
        });
    }
    if !how.dry_run {
        let taken = results
            .iter()
            .filter(|result| result.outcome != RowOutcome::Refused)
            .count();
        audit::line(
            tx,
            by,
            "import.channels",
            &format!("{taken} of {} rows", rows.len()),
        )
        .await?;
        audit::human(tx, "human.confirm", confirmed).await?;
    }
    Ok(results)
}

async fn one(
    tx: &mut Conn,
    row: &ChannelRow,
    by: &By,
    how: Import,
    confirmed: &mut u64,
) -> Result<Result<RowOutcome, Refusal>, StoreError> {
    let members = match checked(row) {
        Ok(members) => members,
        Err(why) => return Ok(Err((Code::CFG_CSV_ROW, why))),
    };
    let record = match record_at(tx, &row.facility, &row.local_id).await? {
        Some(record) if differs(row, &record.facts) => {
            return Ok(Err((
                Code::DLV_HEADER_DIFFERS,
                "kana, birth date or sex differ from the record's",
            )));
        }
        record => record,
    };
    if let Some(person) = record.as_ref().and_then(|record| record.person)
        && is_shared(tx, &row.sink, &row.peer_ref, person).await?
    {
        return Ok(Err((
            Code::DLV_CHANNEL_SHARED,
            "the group is linked to another person",
        )));
    }
    let header = PatientHeader {
        local_id: row.local_id.clone(),
        kana: row.kana.clone(),
        birth_date: row.birth_date.clone(),
        sex: row.sex.clone(),
    };
    let status = if row.status == "confirmed" {
        "confirmed"
    } else {
        "proposed"
    };
    // Without declared readers the ones read from the peer stay.
    let members = if row.professions.trim().is_empty() {
        None
    } else {
        Some(json(&members)?)
    };
    let now = Written {
        row,
        status,
        header: json(&header)?,
        members,
    };
    let before = query(
        "SELECT kind, status, host, header, members, confirmed_by FROM channel WHERE sink = ?1 AND peer_ref = ?2 AND facility = ?3 AND local_id = ?4",
    )
    .bind(row.sink.clone())
    .bind(row.peer_ref.clone())
    .bind(row.facility.clone())
    .bind(row.local_id.clone())
    .fetch_optional(&mut *tx)
    .await?;
    let outcome = match &before {
        Some(before) if now.is_same(before) => RowOutcome::Unchanged,
        Some(_) => RowOutcome::Updated,
        None if record.is_none() => RowOutcome::WaitingForPatient,
        None => RowOutcome::Added,
    };
    if !how.dry_run && outcome != RowOutcome::Unchanged {
        let was_confirmed = before.is_some_and(|before| before.get::<&str>(1) == "confirmed");
        *confirmed += u64::from(status == "confirmed" && !was_confirmed);
        write(tx, &now, by).await?;
    }
    Ok(Ok(outcome))
}

struct Written<'a> {
    row: &'a ChannelRow,
    status: &'static str,
    header: String,
    members: Option<String>,
}

impl Written<'_> {
    fn host(&self) -> Option<String> {
        Some(self.row.host_facility.clone()).filter(|host| !host.is_empty())
    }

    fn confirmed_by(&self) -> Option<String> {
        Some(self.row.confirmed_by.clone()).filter(|_| self.status == "confirmed")
    }

    fn is_same(&self, before: &Line) -> bool {
        before.get::<&str>(0) == self.row.kind
            && before.get::<&str>(1) == self.status
            && before.get::<Option<String>>(2) == self.host()
            && before.get::<&str>(3) == self.header
            && self
                .members
                .as_ref()
                .is_none_or(|members| before.get::<&str>(4) == members)
            && before.get::<Option<String>>(5) == self.confirmed_by()
    }
}

async fn write(tx: &mut Conn, now: &Written<'_>, by: &By) -> Result<(), StoreError> {
    query(
        "INSERT INTO channel (facility, local_id, sink, peer_ref, kind, status, host, header, members, confirmed_by, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, '[]'), ?10, ?11) \
         ON CONFLICT (sink, peer_ref, facility, local_id) DO UPDATE SET kind = excluded.kind, status = excluded.status, status_code = NULL, \
         host = excluded.host, header = excluded.header, members = coalesce(?9, channel.members), confirmed_by = excluded.confirmed_by, updated_at = excluded.updated_at",
    )
    .bind(now.row.facility.clone())
    .bind(now.row.local_id.clone())
    .bind(now.row.sink.clone())
    .bind(now.row.peer_ref.clone())
    .bind(now.row.kind.clone())
    .bind(now.status)
    .bind(now.host())
    .bind(now.header.clone())
    .bind(now.members.clone())
    .bind(now.confirmed_by())
    .bind(micros(by.at))
    .execute(tx)
    .await?;
    Ok(())
}

fn checked(row: &ChannelRow) -> Result<Vec<Member>, &'static str> {
    FacilityId::new(&row.facility).map_err(|_| "facility is not a facility number")?;
    if row.local_id.is_empty() || row.sink.is_empty() || row.peer_ref.is_empty() {
        return Err("local_id, sink and peer_ref are needed");
    }
    if ChannelKind::find(&row.kind).is_none() {
        return Err("kind is not professional, direct, family or free");
    }
    if !matches!(row.status.as_str(), "" | "proposed" | "confirmed") {
        return Err("status is neither proposed nor confirmed");
    }
    if row.status == "confirmed" && row.confirmed_by.trim().is_empty() {
        return Err("a confirmed channel needs confirmed_by");
    }
    if !row.host_facility.is_empty() && FacilityId::new(&row.host_facility).is_err() {
        return Err("host_facility is not a facility number");
    }
    if !row.birth_date.is_empty() && !is_day(&row.birth_date) {
        return Err("birth_date is not of the form YYYY-MM-DD");
    }
    if !matches!(
        row.sex.as_str(),
        "" | "male" | "female" | "other" | "unknown"
    ) {
        return Err("sex is not male, female, other or unknown");
    }
    let mut members = Vec::new();
    for (index, reader) in entries(&row.professions).enumerate() {
        let (profession, facility) = reader
            .split_once('@')
            .map_or((reader, None), |(one, at)| (one, Some(at)));
        if !Profession::ALL
            .iter()
            .any(|known| known.code() == profession)
        {
            return Err("a profession is not in the list of professions");
        }
        if facility.is_some_and(|facility| FacilityId::new(facility).is_err()) {
            return Err("a reader's facility is not a facility number");
        }
        members.push(Member {
            user_ref: format!("declared-{:03}", index + 1),
            facility: facility.map(str::to_owned),
            professions: vec![Profession::of(profession)],
        });
    }
    Ok(members)
}

/// Whether what the header says differs from the record; what is not given does not differ.
fn differs(row: &ChannelRow, facts: &Facts) -> bool {
    let other = |given: &str, known: &str| !given.is_empty() && !known.is_empty() && given != known;
    other(&kana::search_key(&row.kana), &kana::search_key(&facts.kana))
        || other(&row.birth_date, &facts.birth_date)
        || other(&row.sex, &facts.sex)
}

struct Found {
    person: Option<PersonId>,
    facts: Facts,
}

async fn record_at(
    tx: &mut Conn,
    facility: &str,
    local_id: &str,
) -> Result<Option<Found>, StoreError> {
    let row = query("SELECT person, facts FROM record WHERE facility = ?1 AND local_id = ?2")
        .bind(facility.to_owned())
        .bind(local_id.to_owned())
        .fetch_optional(tx)
        .await?;
    row.map(|row| {
        Ok(Found {
            person: row.get::<Option<i64>>(0).map(PersonId),
            facts: parsed(row.get(1))?,
        })
    })
    .transpose()
}

async fn is_shared(
    tx: &mut Conn,
    sink: &str,
    peer_ref: &str,
    person: PersonId,
) -> Result<bool, StoreError> {
    let other = query(
        "SELECT 1 FROM channel AS c JOIN record AS r ON r.facility = c.facility AND r.local_id = c.local_id \
         WHERE c.sink = ?1 AND c.peer_ref = ?2 AND r.person <> ?3 LIMIT 1",
    )
    .bind(sink.to_owned())
    .bind(peer_ref.to_owned())
    .bind(person.0)
    .fetch_optional(tx)
    .await?;
    Ok(other.is_some())
}

/// See [`crate::store::operator::Operator::propose`].
pub(super) async fn propose(
    tx: &mut Conn,
    sink: &SinkName,
    views: &[ChannelView],
    by: &By,
) -> Result<Vec<Proposal>, OperateError> {
    let mut proposals = Vec::with_capacity(views.len());
    for view in views {
        let (outcome, channel) = propose_one(tx, sink, view, by).await?;
        proposals.push(Proposal {
            peer_ref: view.peer_ref.clone(),
            outcome,
            channel,
        });
    }
    let new = proposals
        .iter()
        .filter(|proposal| proposal.outcome == Proposed::New)
        .count();
    audit::line(
        tx,
        by,
        "channel.propose",
        &format!("{new} channels of {sink}"),
    )
    .await?;
    Ok(proposals)
}

async fn propose_one(
    tx: &mut Conn,
    sink: &SinkName,
    view: &ChannelView,
    by: &By,
) -> Result<(Proposed, Option<ChannelId>), StoreError> {
    let fit =
        !view.archived && matches!(view.kind, ChannelKind::Professional | ChannelKind::Direct);
    let Some(header) = view
        .header
        .as_ref()
        .filter(|header| fit && !header.birth_date.is_empty() && !header.sex.is_empty())
    else {
        return Ok((Proposed::Unfit, None));
    };
    let key = kana::search_key(&header.kana);
    if key.is_empty() {
        return Ok((Proposed::Unfit, None));
    }
    let rows = query(
        "SELECT id, facility, local_id, person, facts FROM record WHERE birth_date = ?1 AND birth_date <> '' AND kana = ?2 \
         AND person IS NOT NULL AND NOT rejected ORDER BY id",
    )
    .bind(header.birth_date.clone())
    .bind(key)
    .fetch_all(&mut *tx)
    .await?;
    let mut same = Vec::new();
    for row in rows {
        let facts: Facts = parsed(row.get(4))?;
        if facts.sex == header.sex {
            same.push((
                PersonId(row.get(3)),
                row.get::<String>(1),
                row.get::<String>(2),
            ));
        }
    }
    let persons: BTreeSet<PersonId> = same.iter().map(|(person, ..)| *person).collect();
    let (Some((person, facility, local_id)), true) = (same.first(), persons.len() <= 1) else {
        return Ok((
            if persons.is_empty() {
                Proposed::Nobody
            } else {
                Proposed::Several
            },
            None,
        ));
    };
    if is_shared(tx, sink.as_str(), view.peer_ref.as_str(), *person).await? {
        return Ok((Proposed::Shared, None));
    }
    let known = query(
        "SELECT c.id FROM channel AS c JOIN record AS r ON r.facility = c.facility AND r.local_id = c.local_id \
         WHERE c.sink = ?1 AND c.peer_ref = ?2 AND r.person = ?3 ORDER BY c.id LIMIT 1",
    )
    .bind(sink.as_str().to_owned())
    .bind(view.peer_ref.as_str().to_owned())
    .bind(person.0)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(known) = known {
        return Ok((Proposed::Known, Some(ChannelId(known.get(0)))));
    }
    let row = query(
        "INSERT INTO channel (facility, local_id, sink, peer_ref, kind, status, host, header, members, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'proposed', ?6, ?7, ?8, ?9) RETURNING id",
    )
    .bind(facility.clone())
    .bind(local_id.clone())
    .bind(sink.as_str().to_owned())
    .bind(view.peer_ref.as_str().to_owned())
    .bind(view.kind.code())
    .bind(view.host_facility.clone())
    .bind(json(header)?)
    .bind(json(&view.members.as_deref().unwrap_or_default())?)
    .bind(micros(by.at))
    .fetch_one(tx)
    .await?;
    Ok((Proposed::New, Some(ChannelId(row.get(0)))))
}

/// See [`crate::store::operator::Operator::confirm_channel`].
pub(super) async fn confirm(
    tx: &mut Conn,
    channel: ChannelId,
    by: &By,
) -> Result<(), OperateError> {
    let row = query(
        "SELECT c.status, c.kind, c.sink, c.peer_ref, r.person FROM channel AS c \
         LEFT JOIN record AS r ON r.facility = c.facility AND r.local_id = c.local_id WHERE c.id = ?1",
    )
    .bind(channel.0)
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(OperateError::Unknown { what: "channel" })?;
    if matches!(row.get::<&str>(1), "family" | "free") {
        return Err(OperateError::NotNow {
            why: "a family or free group is never used",
        });
    }
    if row.get::<&str>(0) == "confirmed" {
        return Err(OperateError::NotNow {
            why: "the channel is confirmed already",
        });
    }
    if let Some(person) = row.get::<Option<i64>>(4)
        && is_shared(tx, row.get(2), row.get(3), PersonId(person)).await?
    {
        return Err(OperateError::NotNow {
            why: "the group is linked to another person",
        });
    }
    query("UPDATE channel SET status = 'confirmed', status_code = NULL, confirmed_by = ?2, updated_at = ?3 WHERE id = ?1")
        .bind(channel.0)
        .bind(by.actor.clone())
        .bind(micros(by.at))
        .execute(&mut *tx)
        .await?;
    audit::line(tx, by, "channel.confirm", &format!("channel {channel}")).await?;
    audit::human(tx, "human.confirm", 1).await?;
    Ok(())
}

/// See [`crate::store::operator::Operator::break_channel`].
pub(super) async fn break_off(
    tx: &mut Conn,
    channel: ChannelId,
    by: &By,
) -> Result<(), OperateError> {
    let done = query(
        "UPDATE channel SET status = 'broken', status_code = ?2, updated_at = ?3 WHERE id = ?1",
    )
    .bind(channel.0)
    .bind(Code::DLV_RECALLED.as_str())
    .bind(micros(by.at))
    .execute(&mut *tx)
    .await?;
    if done == 0 {
        return Err(OperateError::Unknown { what: "channel" });
    }
    query("INSERT INTO reroute (notice) SELECT DISTINCT notice FROM delivery WHERE channel = ?1 AND state IN ('pending', 'held')")
        .bind(channel.0)
        .execute(&mut *tx)
        .await?;
    audit::line(tx, by, "channel.break", &format!("channel {channel}")).await?;
    Ok(())
}

/// The columns [`line()`] reads, of `channel AS c` and its `record AS r`.
const LINE_COLUMNS: &str =
    "c.facility, c.local_id, r.person, c.status_code, c.confirmed_by, c.updated_at";

fn line(row: &Line) -> Result<ChannelLine, StoreError> {
    let person = row.get::<Option<i64>>(2).map(PersonId);
    let channel = channel(row, 6, person.unwrap_or(PersonId(0)))?;
    Ok(ChannelLine {
        id: channel.id,
        facility: FacilityId::new(row.get::<&str>(0))
            .map_err(|error| StoreError::Broken(Box::new(error)))?,
        local_id: LocalId::new(row.get::<&str>(1)),
        person,
        sink: channel.sink,
        peer_ref: channel.peer_ref,
        kind: channel.kind,
        status: channel.status,
        status_code: row.get(3),
        host_facility: channel.host_facility,
        header: channel.header,
        members: channel.members,
        confirmed_by: row.get(4),
        updated_at: instant(row.get(5)),
    })
}

/// See [`crate::store::operator::Operator::list_channels`].
pub(super) async fn list(
    reads: &Pool,
    filter: &ChannelFilter,
) -> Result<Vec<ChannelLine>, StoreError> {
    let status = filter.status.map(|status| json(&status)).transpose()?;
    let rows = query(format!(
        "SELECT {LINE_COLUMNS}, {CHANNEL_COLUMNS} FROM channel AS c LEFT JOIN record AS r ON r.facility = c.facility AND r.local_id = c.local_id \
         WHERE (?1 IS NULL OR c.sink = ?1) AND (?2 IS NULL OR c.status = ?2) AND (?3 IS NULL OR c.facility = ?3) \
         AND (?4 IS NULL OR c.local_id = ?4) AND (?5 IS NULL OR c.id = ?5) ORDER BY c.id"
    ))
    .bind(filter.sink.as_ref().map(|sink| sink.as_str().to_owned()))
    .bind(status.map(|status| status.trim_matches('"').to_owned()))
    .bind(filter.facility.as_ref().map(|facility| facility.as_str().to_owned()))
    .bind(filter.local_id.as_ref().map(|local| local.expose().to_owned()))
    .bind(filter.id.map(|id| id.0))
    .fetch_all(reads)
    .await?;
    rows.iter().map(line).collect()
}
