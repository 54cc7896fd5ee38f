//! Stop 6, compose: items become notices. One notice per event of one person, settled by a timer,
//! versioned by what a reader would see.
//!
//! [`update`] is called for every processed message and only opens, extends and dates notices;
//! [`settle`] is called when a notice is due and builds what it says from the record's current chart.

pub(crate) mod chart;
pub mod content;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Draft, Item, ItemEvent, NoticeContent, NoticeId, NoticeKind, PersonId, RecordId, ResourceType,
    Urgency,
};

use crate::pipeline::Mapped;
use crate::record::{Changes, logical_id};
use crate::world::{Minted, Notice, World};

/// How long after its event a told notice still follows corrections.
pub const FOLLOWED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Whose message it was.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    /// The record that speaks.
    pub record: RecordId,
    /// The person.
    pub person: PersonId,
}

/// Opens, extends and dates the notices a message touches. A message that changed nothing touches none.
pub fn update(world: &mut World, mapped: &Mapped, draft: &Draft, of: Of, changes: &Changes) {
    if changes.versions.is_empty() {
        return;
    }
    let mut told_inside_others = draft.items.is_empty() || !draft.withdrawals.is_empty();
    for item in &draft.items {
        let focus = logical_id(&item.focus, changes);
        let changed = changes.versions.contains(&focus)
            || item
                .members
                .iter()
                .any(|member| changes.versions.contains(&logical_id(member, changes)));
        if !changed {
            continue;
        }
        match event(item, &focus) {
            Some(event) => tell(world, mapped, of, item, event, &focus),
            None => told_inside_others = true,
        }
    }
    if told_inside_others {
        wait_for_more(world, mapped, of.record);
    }
    look_again(world, mapped, of.record, changes);
}

/// The notice an item asks for.
struct Event {
    kind: NoticeKind,
    key: String,
    cancelled: bool,
}

fn event(item: &Item, focus: &str) -> Option<Event> {
    let of = |kind, cancelled| {
        Some(Event {
            kind,
            key: focus.to_owned(),
            cancelled,
        })
    };
    match item.event {
        ItemEvent::Admitted => of(NoticeKind::Admission, false),
        ItemEvent::AdmissionCancelled => of(NoticeKind::Admission, true),
        ItemEvent::DischargePlanned => of(NoticeKind::DischargePlan, false),
        ItemEvent::DischargePlanCancelled => of(NoticeKind::DischargePlan, true),
        ItemEvent::Discharged { .. } => of(NoticeKind::Discharge, false),
        ItemEvent::DischargeCancelled => of(NoticeKind::Discharge, true),
        ItemEvent::Transferred => Some(Event {
            kind: NoticeKind::Transfer,
            key: transfer_key(item, focus),
            cancelled: false,
        }),
        ItemEvent::TransferCancelled => Some(Event {
            kind: NoticeKind::Transfer,
            key: transfer_key(item, focus),
            cancelled: true,
        }),
        ItemEvent::DocumentArrived => of(NoticeKind::Document, false),
        ItemEvent::Alarm => of(NoticeKind::Alert, false),
        ItemEvent::Recorded => None,
    }
}

/// A stay has several moves: the minute tells them apart.
fn transfer_key(item: &Item, focus: &str) -> String {
    let minute = item.occurred_at.as_second() / 60;
    format!("{focus}@{minute}")
}

fn tell(world: &mut World, mapped: &Mapped, of: Of, item: &Item, event: Event, focus: &str) {
    if event.kind == NoticeKind::Document
        && let Some(discharge) = settling_discharge(world, of.record)
    {
        let mut notice = discharge;
        add_part(&mut notice, focus);
        touch(world, mapped, notice, Some(item));
        return;
    }
    let found = world
        .notices
        .values()
        .find(|notice| {
            notice.record == of.record && notice.kind == event.kind && notice.event_key == event.key
        })
        .cloned();
    let known = found.is_some();
    if !known && event.cancelled {
        return;
    }
    let mut notice = found.unwrap_or_else(|| open(world, mapped, of, item, &event, focus));
    notice.cancelled = event.cancelled;
    notice.urgency = notice.urgency.min(item.urgency);
    if !event.cancelled {
        notice.occurred_at = item.occurred_at;
    }
    // The event itself is told anew: what it says of the stay counts again (see `content::build`).
    notice.told.retain(|told| told != focus);
    notice.never_automatic = item.never_automatic.or(notice.never_automatic);
    if event.kind == NoticeKind::Document {
        add_part(&mut notice, focus);
    }
    if event.kind == NoticeKind::Discharge && !known {
        absorb_documents(world, &mut notice);
    }
    touch(world, mapped, notice, Some(item));
}

/// A discharge of this record that has not been told yet takes documents in.
fn settling_discharge(world: &World, record: RecordId) -> Option<Notice> {
    world
        .notices
        .values()
        .find(|notice| {
            notice.record == record
                && notice.kind == NoticeKind::Discharge
                && notice.version == 0
                && notice.due_at.is_some()
        })
        .cloned()
}

/// Documents that came shortly before the discharge message belong to its notice.
fn absorb_documents(world: &mut World, discharge: &mut Notice) {
    let early: Vec<NoticeId> = world
        .notices
        .values()
        .filter(|notice| {
            notice.record == discharge.record
                && notice.kind == NoticeKind::Document
                && notice.version == 0
                && notice.due_at.is_some()
        })
        .map(|notice| notice.id)
        .collect();
    for id in early {
        let Some(mut absorbed) = world.notices.get(&id).cloned() else {
            continue;
        };
        absorbed.due_at = None;
        for part in std::mem::take(&mut absorbed.parts) {
            add_part(discharge, &part);
        }
        world.put_notice(absorbed);
    }
}

fn add_part(notice: &mut Notice, logical_id: &str) {
    if !notice.parts.iter().any(|part| part == logical_id) {
        notice.parts.push(logical_id.to_owned());
    }
}

fn open(
    world: &mut World,
    mapped: &Mapped,
    of: Of,
    item: &Item,
    event: &Event,
    focus: &str,
) -> Notice {
    let id = NoticeId(world.ids.notice);
    world.ids.notice += 1;
    Notice {
        id,
        person: of.person,
        record: of.record,
        source: mapped.message.source.clone(),
        kind: event.kind,
        event_key: event.key.clone(),
        focus: focus.to_owned(),
        urgency: item.urgency,
        occurred_at: item.occurred_at,
        cancelled: false,
        never_automatic: None,
        backfill: false,
        first_part_at: world.now,
        last_part_at: world.now,
        due_at: None,
        reroute: None,
        version: 0,
        content: None,
        told: Vec::new(),
        parts: Vec::new(),
    }
}

/// Something of the record changed that is told only inside other notices: those still settling wait
/// a little longer.
fn wait_for_more(world: &mut World, mapped: &Mapped, record: RecordId) {
    let settling = followed(world, record, |notice| {
        notice.version == 0 && notice.due_at.is_some()
    });
    for notice in settling {
        touch(world, mapped, notice, None);
    }
}

/// Notices already told look again whether a reader would see a change, where what changed is read by
/// them (see `content::build`): a patient in hospital gets a hundred messages, few of which say anything
/// about the admission told on the first day.
fn look_again(world: &mut World, mapped: &Mapped, record: RecordId, changes: &Changes) {
    let prescribed = changes.versions.iter().any(|id| {
        let stored = world.resources.get(id);
        stored.is_some_and(|stored| stored.kind == ResourceType::MedicationRequest)
    });
    let patient = world.records.get(&record);
    let concerned = followed(world, record, |notice| {
        let reads = |id: &String| {
            *id == notice.focus || notice.told.contains(id) || notice.parts.contains(id)
        };
        let says_otherwise = |content: &Arc<NoticeContent>| {
            patient.is_some_and(|patient| {
                content.patient != content::patient_line(patient, notice.occurred_at)
            })
        };
        notice.version > 0
            && (changes.versions.iter().any(reads)
                || (prescribed && notice.kind == NoticeKind::Discharge)
                || notice.content.as_ref().is_some_and(says_otherwise))
    });
    for notice in concerned {
        touch(world, mapped, notice, None);
    }
}

/// The notices of a record that still follow corrections, of those `wanted`.
fn followed(world: &World, record: RecordId, wanted: impl Fn(&Notice) -> bool) -> Vec<Notice> {
    let of_record = world.notices.values().filter(|notice| {
        notice.record == record && world.now.duration_since(notice.occurred_at) <= FOLLOWED
    });
    of_record.filter(|notice| wanted(notice)).cloned().collect()
}

/// Dates a notice: `after` the last part, `at_most` after the first of this round, at once for u0 and for kinds whose one
/// message says everything.
fn touch(world: &mut World, mapped: &Mapped, mut notice: Notice, item: Option<&Item>) {
    let settle = &world.setup.settle;
    let first = if notice.due_at.is_some() {
        notice.first_part_at
    } else {
        world.now
    };
    let at_once =
        notice.urgency == Urgency::U0 || (item.is_some() && settle.at_once.contains(&notice.kind));
    let due = if at_once {
        world.now
    } else {
        later(world.now, settle.after).min(later(first, settle.at_most))
    };
    notice.first_part_at = first;
    notice.last_part_at = world.now;
    notice.due_at = Some(if at_once {
        due
    } else {
        notice.due_at.map_or(
            due,
            |already| if already <= world.now { already } else { due },
        )
    });
    notice.backfill = mapped.replay || mapped.message.meta.backfill;
    if at_once && notice.urgency != Urgency::U0 {
        earlier_go_first(world, &notice);
    }
    world.put_notice(notice);
}

/// What happened to a person before something that is told at once does not wait any longer: a discharge
/// is not heard of after the next admission.
fn earlier_go_first(world: &mut World, at_once: &Notice) {
    let settling = world.notices.values().filter(|other| {
        other.person == at_once.person
            && other.occurred_at < at_once.occurred_at
            && other.due_at.is_some_and(|due| due > world.now)
    });
    for mut earlier in settling.cloned().collect::<Vec<_>>() {
        earlier.due_at = Some(world.now);
        world.put_notice(earlier);
    }
}

fn later(at: Timestamp, wait: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| at.checked_add(wait).ok())
        .unwrap_or(at)
}

/// Builds what a due notice says now. Returns whether it is to be routed: a new version was minted, or
/// its audience changed.
pub fn settle(world: &mut World, id: NoticeId) -> bool {
    let Some(mut notice) = world.notices.get(&id).cloned() else {
        return false;
    };
    notice.due_at = None;
    let reroute = notice.reroute.is_some();
    let Some(built) = content::build(world, &notice) else {
        world.put_notice(notice);
        return false;
    };
    let differs = notice
        .content
        .as_ref()
        .is_none_or(|content| **content != built.content);
    let never_told = notice.version == 0 && built.content.cancelled;
    if !never_told {
        notice.told = built.told;
    }
    if never_told || (!differs && !reroute) {
        world.put_notice(notice);
        return false;
    }
    if differs {
        notice.version += 1;
        let content = Arc::new(built.content);
        notice.content = Some(content.clone());
        world.effects.minted.push(Minted {
            notice: id,
            version: notice.version,
            content,
            at: world.now,
        });
    }
    let minted = notice.version > 0;
    world.put_notice(notice);
    minted
}
