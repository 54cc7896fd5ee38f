//! Which inpatient stay an ADT message speaks of. Senders hardly ever send a visit number, and a
//! discharge seldom carries its admission time, so the stay is found among those recorded.
//!
//! Key of a stay within the facility: local id and visit number (PV1-19) when sent; else local id and
//! admit time to the minute. A corrected admit time keeps the id, because the key is only used when a
//! stay is opened.

use jiff::SignedDuration;
use renkei_core::{
    Code, Finding, Message, RecordId, ResourceKey, ResourceType, Severity, StayEvent, StayHint,
};
use renkei_fhir::view::EncounterView;

use crate::world::World;

/// How far an admit time may be corrected and still be the same stay.
const CORRECTION: SignedDuration = SignedDuration::from_hours(48);

/// A recorded stay, as far as choosing needs it.
struct Known {
    id: String,
    start: Option<String>,
    end: Option<String>,
    status: String,
    visits: Vec<String>,
}

/// Finds or opens the stay. Returns its logical id; `None` only when the record is not loaded.
pub fn find(
    world: &mut World,
    message: &Message,
    hint: &StayHint,
    record: RecordId,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let facility = world.records.get(&record)?.facility.clone();
    let local = world.records.get(&record)?.local_id.clone();
    let stays: Vec<Known> = world
        .stays
        .get(&record)
        .into_iter()
        .flatten()
        .filter_map(|id| known(world, id))
        .collect();
    let chosen = match hint.event {
        _ if hint.visit_number.is_some() => stays.iter().find(|stay| {
            hint.visit_number
                .as_ref()
                .is_some_and(|visit| stay.visits.contains(visit))
        }),
        StayEvent::Planned => {
            starting_at(&stays, hint).or_else(|| only(&stays, |stay| stay.status == "planned"))
        }
        StayEvent::Admitted => starting_at(&stays, hint)
            .or_else(|| only(&stays, |stay| stay.status == "planned"))
            .or_else(|| corrected(&stays, hint)),
        StayEvent::Discharged | StayEvent::During | StayEvent::Cancelled => {
            starting_at(&stays, hint).or_else(|| around(&stays, hint, findings))
        }
    };
    if let Some(stay) = chosen {
        return Some(stay.id.clone());
    }
    let admitted = hint.admitted_at.clone();
    let key = match (&hint.visit_number, admitted) {
        (Some(visit), _) => ["visit", visit.as_str()].join(":"),
        (None, Some(admitted)) => ["admitted", admitted.as_str()].join(":"),
        (None, None) => {
            findings.push(Finding::new(
                Code::REC_STAY_PROVISIONAL,
                Severity::Warning,
                "PV1-44",
            ));
            [
                "message",
                message
                    .meta
                    .path
                    .as_deref()
                    .unwrap_or(&hint.occurred_at.to_string()),
            ]
            .join(":")
        }
    };
    Some(
        ResourceKey::new(
            ResourceType::Encounter,
            &facility,
            &[local.expose(), "stay", &key],
        )
        .logical_id(),
    )
}

fn known(world: &World, id: &str) -> Option<Known> {
    let stored = world.resources.get(id)?;
    if stored.body.is_empty() {
        return None;
    }
    let view = EncounterView::parse(&stored.body).ok()?;
    if view.class.code != "IMP" {
        return None;
    }
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Known {
        id: id.to_owned(),
        start: said(&view.period.start),
        end: said(&view.period.end),
        status: view.status.as_str().to_owned(),
        visits: view
            .identifier
            .iter()
            .map(|identifier| identifier.value.as_str().to_owned())
            .collect(),
    })
}

/// The stay whose start is the hinted admit time, to the precision both have.
fn starting_at<'a>(stays: &'a [Known], hint: &StayHint) -> Option<&'a Known> {
    let admitted = hint.admitted_at.as_deref()?;
    stays.iter().find(|stay| {
        stay.start.as_deref().is_some_and(|start| {
            let length = admitted.len().min(start.len()).min(16);
            length >= 10
                && start.get(..length) == admitted.get(..length)
                && start.len() >= 16
                && admitted.len() >= 16
                || start == admitted
        })
    })
}

fn only(stays: &[Known], wanted: impl Fn(&Known) -> bool) -> Option<&Known> {
    let mut found = stays.iter().filter(|stay| wanted(stay));
    match (found.next(), found.next()) {
        (Some(stay), None) => Some(stay),
        _ => None,
    }
}

/// The only open stay, when the new admit time is near its own: a correction, not a second stay.
fn corrected<'a>(stays: &'a [Known], hint: &StayHint) -> Option<&'a Known> {
    let admitted = instant(hint.admitted_at.as_deref()?)?;
    only(stays, |stay| {
        is_open(stay)
            && stay
                .start
                .as_deref()
                .and_then(instant)
                .is_some_and(|start| start.duration_since(admitted).abs() <= CORRECTION)
    })
}

/// The stay that was open when the event happened: not begun after it, not ended before it.
fn around<'a>(
    stays: &'a [Known],
    hint: &StayHint,
    findings: &mut Vec<Finding>,
) -> Option<&'a Known> {
    let at = hint.occurred_at;
    let slack = SignedDuration::from_mins(1);
    let mut fitting: Vec<&Known> = stays
        .iter()
        .filter(|stay| {
            stay.start
                .as_deref()
                .and_then(instant)
                .is_none_or(|start| start <= at + slack)
        })
        .filter(|stay| {
            let ended = stay.end.as_deref().and_then(instant);
            match hint.event {
                // A repeated or corrected discharge, or its cancel, may name a stay that has ended.
                StayEvent::Discharged | StayEvent::During => {
                    ended.is_none_or(|end| end >= at - SignedDuration::from_hours(24))
                }
                StayEvent::Planned | StayEvent::Admitted | StayEvent::Cancelled => true,
            }
        })
        .filter(|stay| stay.status != "cancelled")
        .collect();
    fitting.sort_by(|one, other| {
        is_open(one)
            .cmp(&is_open(other))
            .then_with(|| one.start.cmp(&other.start))
    });
    if fitting.iter().filter(|stay| is_open(stay)).count() > 1 {
        findings.push(Finding::new(
            Code::REC_STAY_SEVERAL,
            Severity::Warning,
            "PV1",
        ));
    }
    fitting.pop()
}

fn is_open(stay: &Known) -> bool {
    !matches!(
        stay.status.as_str(),
        "finished" | "cancelled" | "entered-in-error"
    )
}

fn instant(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let zoned = if text.len() == 10 {
        format!("{text}T00:00:00+09:00")
    } else {
        format!("{text}:00+09:00")
    };
    zoned.parse().ok()
}
