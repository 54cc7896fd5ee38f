//! What a notice says, built from the current chart of the record that speaks. Nothing of other
//! records: a consent stays with its record.
//!
//! Once told, a notice follows corrections of what it told and changes of its own prescription and
//! documents; results and diagnoses that come later do not reopen it.

use jiff::Timestamp;
use renkei_core::notice::{Allergies, PatientLine, Speaker};
use renkei_core::{NoticeContent, NoticeKind, clock};
use renkei_fhir::view::{EncounterView, ObservationView};

use super::chart::{Chart, Span, instant};
use crate::world::{Notice, Record, World};

/// What a notice says and which resources it tells.
#[derive(Debug)]
pub struct Built {
    /// The content.
    pub content: NoticeContent,
    /// Logical ids of what it tells.
    pub told: Vec<String>,
}

/// Builds the content of a notice now; `None` when what it is about is not recorded.
pub fn build(world: &World, notice: &Notice) -> Option<Built> {
    let record = world.records.get(&notice.record)?;
    let focus = world.resources.get(&notice.focus)?;
    let chart = Chart {
        world,
        notice,
        record: record.id,
    };
    let mut told = vec![notice.focus.clone()];
    let mut content = NoticeContent {
        kind: notice.kind,
        urgency: notice.urgency,
        cancelled: notice.cancelled || focus.withdrawn,
        speaker: speaker(world, record),
        patient: patient_line(record, notice.occurred_at),
        occurred: minute(notice.occurred_at),
        planned: None,
        place: None,
        department: None,
        destination: None,
        medication: None,
        allergies: Allergies::Unknown,
        problems: Vec::new(),
        labs: Vec::new(),
        documents: Vec::new(),
        alarm: None,
    };
    match notice.kind {
        NoticeKind::Admission
        | NoticeKind::DischargePlan
        | NoticeKind::Discharge
        | NoticeKind::Transfer => {
            let stay = EncounterView::parse(&focus.body).ok()?;
            said_by_stay(&mut content, &stay, notice);
            // A stay moves on after its events: a later bed is no correction of what was told.
            if let Some(before) = notice
                .content
                .as_ref()
                .filter(|_| notice.told.contains(&notice.focus))
            {
                content.place.clone_from(&before.place);
                content.department.clone_from(&before.department);
            }
            content.allergies = chart.allergies(&mut told);
            if notice.kind == NoticeKind::Discharge {
                let stay = Span {
                    start: instant(&stay.period.start),
                    end: instant(&stay.period.end).unwrap_or(notice.occurred_at),
                };
                content.medication = chart.discharge_prescription(stay, &mut told);
                content.labs = chart.flagged_results(stay, &mut told);
            }
            if matches!(notice.kind, NoticeKind::Admission | NoticeKind::Discharge) {
                content.problems = chart.problems(&mut told);
            }
            content.documents = chart.documents(&mut told);
        }
        NoticeKind::Document => {
            content.documents = chart.documents(&mut told);
            content.cancelled = content.documents.is_empty();
        }
        NoticeKind::Alert => {
            let observed = ObservationView::parse(&focus.body).ok()?;
            content.alarm = Some(format!("{} {}", observed.code.words(), observed.value()));
        }
    }
    Some(Built { content, told })
}

fn said_by_stay(content: &mut NoticeContent, stay: &EncounterView<'_>, notice: &Notice) {
    let words = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let when = |text: &str| {
        instant(text).map_or_else(
            || words(text),
            |at| {
                Some(if text.len() > 10 {
                    minute(at)
                } else {
                    text.to_owned()
                })
            },
        )
    };
    content.place = words(stay.place());
    content.department = words(stay.service_type.words());
    match notice.kind {
        NoticeKind::Admission => {
            content.occurred = when(&stay.period.start).unwrap_or_else(|| content.occurred.clone())
        }
        NoticeKind::Discharge => {
            content.occurred = when(&stay.period.end).unwrap_or_else(|| content.occurred.clone());
            content.destination = words(stay.hospitalization.discharge_disposition.words());
        }
        NoticeKind::DischargePlan => content.planned = when(stay.planned_end()),
        NoticeKind::Transfer | NoticeKind::Document | NoticeKind::Alert => {}
    }
}

fn speaker(world: &World, record: &Record) -> Speaker {
    match world.setup.facilities.get(&record.facility) {
        Some(facility) => facility.speaker.clone(),
        None => Speaker {
            facility: record.facility.to_string(),
            desk: String::new(),
            phone: String::new(),
            hours: String::new(),
        },
    }
}

/// Who it is about, as a post names them on the day of the event.
pub(super) fn patient_line(record: &Record, at: Timestamp) -> PatientLine {
    let born: Option<jiff::civil::Date> = record.facts.birth_date.parse().ok();
    let today = clock::in_japan(at).date();
    let age = born.and_then(|born| {
        let had_birthday = (today.month(), today.day()) >= (born.month(), born.day());
        u16::try_from(i32::from(today.year()) - i32::from(born.year()) - i32::from(!had_birthday))
            .ok()
    });
    let sex = match record.facts.sex.as_str() {
        "male" => "男性",
        "female" => "女性",
        _ => "",
    };
    PatientLine {
        family_kana: record.facts.family_kana.clone(),
        age,
        sex: sex.to_owned(),
    }
}

fn minute(at: Timestamp) -> String {
    clock::in_japan(at).strftime("%Y-%m-%dT%H:%M").to_string()
}
