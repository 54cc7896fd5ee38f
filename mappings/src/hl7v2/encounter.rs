//! PV1 and PV2 to Encounter (JP Core 1.2.0 `JP_Encounter`).
//!
//! An inpatient stay has no number in practice, so its id stays open (`renkei_core::draft::STAY_TOKEN`) and
//! `record` finds it by the hint. Every message tells only a part of the stay: bodies are merged.

use std::borrow::Cow;

use jiff::Timestamp;
use renkei_core::draft::WithdrawReason;
use renkei_core::{Carry, Code, ItemEvent, ResourceKey, ResourceType, StayEvent, StayHint};
use renkei_fhir::emit::{
    CodeableConcept, Coding, Encounter, EncounterHospitalization, EncounterLocation,
    EncounterParticipant, Extension, ExtensionValue, Identifier, Meta, Period, Reference, Text,
};
use renkei_fhir::jp_core::{extension, identifier, profile, system};
use renkei_hl7v2::Repetition;

use super::adt::Event;
use super::tables;
use crate::context::Context;
use crate::moment::Moment;
use crate::reader::{Reader, Seg, trimmed};

/// Reads an event of an inpatient stay.
pub(super) fn stay<'m>(reader: Reader<'m>, context: &mut Context<'m>, event: &Event) {
    let key = ResourceKey::unresolved_stay(&context.options.facility);
    let pv1 = reader.first("PV1");
    if pv1.is_none() {
        context.warn(Code::HL7_SEGMENT_MISSING, "PV1");
    }
    let times = Times::read(reader, context, event);
    let disposition = pv1.map(|pv1| pv1.text(36)).unwrap_or_default();
    let visit_number = pv1.map(|pv1| pv1.text(19)).unwrap_or_default();
    let admitted = times.admitted.or(times
        .planned_start
        .filter(|_| event.stay == StayEvent::Planned));
    context.stay(StayHint {
        visit_number: Some(visit_number.to_string()).filter(|number| !number.is_empty()),
        admitted_at: admitted.map(Moment::to_the_minute),
        occurred_at: times.occurred,
        event: event.stay,
    });
    let told = event.told(&disposition);
    let item = context.item(
        event.class,
        told,
        key.clone(),
        times.occurred,
        event.urgency,
    );
    if told == (ItemEvent::Discharged { death: true }) {
        item.never_automatic = Some(Code::RTE_NEVER_AUTOMATIC);
    }
    if event.stay == StayEvent::Cancelled {
        context.withdraw(key, WithdrawReason::Cancelled, None);
        return;
    }
    let encounter = Encounter {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::ENCOUNTER),
        extension: times.planned(),
        identifier: visit_identifier(context, visit_number),
        status: event.status.into(),
        class: class_of(pv1.map(|pv1| pv1.text(2)).as_deref().unwrap_or("I")),
        service_type: pv1.map(|pv1| department(pv1, context)).unwrap_or_default(),
        subject: context.patient_reference(),
        participant: pv1
            .filter(|_| !is_undone(context, event))
            .map(|pv1| participants(pv1, context))
            .unwrap_or_default(),
        period: times.period(),
        hospitalization: hospitalization(pv1, context, &disposition, event),
        location: locations(reader, context, event, &times),
        ..Encounter::default()
    };
    let body = encounter.to_json();
    let clear = event.clear.iter().map(|&path| path.to_owned()).collect();
    context.record(key, body).carry = Carry::Merge { clear };
}

/// True when the event is a cancel made from a deleted file: the message inside still says what is undone.
fn is_undone(context: &Context<'_>, event: &Event) -> bool {
    context.trigger != event.trigger
}

/// Reads an outpatient visit. Key: patient, day, department, order number if any.
pub(super) fn visit<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let Some(pv1) = reader.first("PV1") else {
        context.warn(Code::HL7_SEGMENT_MISSING, "PV1");
        return;
    };
    let arrived = context
        .moment(pv1, 44)
        .or_else(|| context.moment(reader.first("EVN")?, 2));
    let day = arrived.map(Moment::date).unwrap_or_default();
    let mut place = pv1.text(10);
    if place.is_empty() {
        place = pv1.text(3);
    }
    let order = match &context.storage {
        Some(path) if !path.has_no_order() => path.order.clone(),
        _ => String::new(),
    };
    let key = context.key(ResourceType::Encounter, &["visit", &day, &place, &order]);
    let visit_number = pv1.text(19);
    let encounter = Encounter {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::ENCOUNTER),
        identifier: visit_identifier(context, visit_number),
        status: "arrived".into(),
        class: class_of(&pv1.text(2)),
        service_type: department(pv1, context),
        subject: context.patient_reference(),
        participant: participants(pv1, context),
        period: Period {
            start: arrived.map(Moment::fhir).unwrap_or_default().into(),
            ..Period::default()
        },
        location: location(context, pv1.field(3).repetition(1), "active")
            .into_iter()
            .collect(),
        ..Encounter::default()
    };
    let body = encounter.to_json();
    context.record(key, body);
}

/// The times of a stay event.
struct Times {
    admitted: Option<Moment>,
    discharged: Option<Moment>,
    planned_start: Option<Moment>,
    /// PV2-8 of a planned transfer: when the patient is to move.
    planned_move: Option<Moment>,
    planned_end: Option<Moment>,
    /// EVN-6: when a transfer or leave happened.
    happened: Option<Moment>,
    /// The best of them for this event.
    occurred: Timestamp,
}

impl Times {
    fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>, event: &Event) -> Self {
        let mut read = |name: &str, number: usize| context.moment(reader.first(name)?, number);
        let (admitted, discharged) = (read("PV1", 44), read("PV1", 45));
        let (planned_start, planned_end) = (read("PV2", 8), read("PV2", 9));
        let happened = read("EVN", 6);
        let is_missing = match event.trigger {
            "A14" => planned_start.is_none(),
            "A16" => planned_end.is_none(),
            _ => false,
        };
        if is_missing {
            context.warn(
                Code::MAP_NO_PLANNED_DATE,
                if event.trigger == "A14" {
                    "PV2-8"
                } else {
                    "PV2-9"
                },
            );
        }
        let best = match event.trigger {
            "A01" | "A11" => admitted.or(happened),
            "A03" | "A13" => discharged.or(happened),
            _ => happened,
        };
        let occurred = best
            .and_then(Moment::instant)
            .unwrap_or(context.source_time);
        let (planned_start, planned_move) = match event.trigger {
            "A15" => (None, planned_start),
            _ => (planned_start, None),
        };
        // A discharge that is undone has no end.
        let discharged = discharged.filter(|_| event.trigger != "A13");
        let planned_end = planned_end.filter(|_| event.trigger != "A25");
        Self {
            admitted,
            discharged,
            planned_start,
            planned_move,
            planned_end,
            happened,
            occurred,
        }
    }

    fn period(&self) -> Period<'static> {
        let text = |moment: Option<Moment>| moment.map(Moment::fhir).unwrap_or_default().into();
        Period {
            start: text(self.admitted),
            end: text(self.discharged),
        }
    }

    fn planned(&self) -> Vec<Extension<'static>> {
        let dates = [
            (extension::PLANNED_START, self.planned_start),
            (extension::PLANNED_END, self.planned_end),
        ];
        let filled = dates
            .into_iter()
            .filter_map(|(url, moment)| Some((url, moment?)));
        filled
            .map(|(url, moment)| {
                Extension::new(url, ExtensionValue::DateTime(moment.fhir().into()))
            })
            .collect()
    }
}

fn class_of(code: &str) -> Coding<'static> {
    let (code, display) = match code {
        "O" => ("AMB", "ambulatory"),
        "E" => ("EMER", "emergency"),
        // Everything else on the way through a hospital is a stay: I, P (planned), R, B.
        _ => ("IMP", "inpatient encounter"),
    };
    Coding::new(system::ACT_CODE, code, display)
}

fn visit_identifier<'m>(context: &Context<'_>, number: Cow<'m, str>) -> Vec<Identifier<'m>> {
    if number.is_empty() {
        return Vec::new();
    }
    vec![Identifier::new(
        identifier::local(context.options.facility.as_str(), "visit"),
        number,
    )]
}

/// PV1-10: mostly a bare code of the department table.
fn department<'m>(pv1: Seg<'m>, context: &mut Context<'m>) -> CodeableConcept<'m> {
    let mut concept = context.concept(pv1, 10);
    for coding in &mut concept.coding {
        if coding.system.is_empty() {
            coding.system = system::DEPARTMENT.into();
        }
    }
    let name = concept
        .coding
        .first()
        .and_then(|coding| tables::department(&coding.code));
    if let Some(name) = name.filter(|_| concept.text.is_empty()) {
        concept.text = name.into();
    }
    concept
}

fn participants<'m>(pv1: Seg<'m>, context: &Context<'m>) -> Vec<EncounterParticipant<'m>> {
    let roles = [
        (7, "ATND", "attender"),
        (8, "REF", "referrer"),
        (9, "CON", "consultant"),
        (17, "ADM", "admitter"),
    ];
    let mut participants = Vec::new();
    for (number, code, display) in roles {
        // A repetition in kana repeats the name, not the doctor.
        let field = pv1.field(number);
        for staff in field
            .repetitions()
            .filter(|staff| staff.component(15).raw() != "P")
        {
            let individual = context.practitioner(staff);
            if individual != Reference::default() {
                let role = CodeableConcept::of_coding(Coding::new(
                    system::PARTICIPATION_TYPE,
                    code,
                    display,
                ));
                participants.push(EncounterParticipant {
                    r#type: vec![role],
                    individual,
                    ..EncounterParticipant::default()
                });
            }
        }
    }
    participants
}

fn hospitalization<'m>(
    pv1: Option<Seg<'m>>,
    context: &mut Context<'m>,
    disposition: &str,
    event: &Event,
) -> EncounterHospitalization<'m> {
    let Some(pv1) = pv1.filter(|_| !disposition.is_empty() && event.trigger != "A13") else {
        return EncounterHospitalization::default();
    };
    let words = tables::discharge_disposition(disposition);
    if words.is_none() {
        context.note(Code::MAP_UNKNOWN_CODE, pv1.at(36));
    }
    let sent = context.concept(pv1, 36).text;
    let text = if sent.is_empty() {
        words.unwrap_or_default().into()
    } else {
        sent
    };
    let coding = Coding::new(
        system::DISCHARGE_DISPOSITION,
        disposition.to_owned(),
        Text::default(),
    );
    let discharge_disposition = CodeableConcept {
        coding: vec![coding],
        text,
        ..CodeableConcept::default()
    };
    EncounterHospitalization {
        discharge_disposition,
        ..EncounterHospitalization::default()
    }
}

/// Where the patient is, was, and will be. Later messages replace the list.
fn locations<'m>(
    reader: Reader<'m>,
    context: &Context<'m>,
    event: &Event,
    times: &Times,
) -> Vec<EncounterLocation<'m>> {
    let Some(pv1) = reader.first("PV1") else {
        return Vec::new();
    };
    let at = |number: usize, status: &'static str| {
        location(context, pv1.field(number).repetition(1), status)
    };
    let pending = reader
        .first("PV2")
        .and_then(|pv2| location(context, pv2.field(1).repetition(1), "planned"));
    let happened: Text<'m> = times.happened.map(Moment::fhir).unwrap_or_default().into();
    match event.trigger {
        "A03" => at(3, "completed").into_iter().collect(),
        "A14" => at(3, "planned").into_iter().collect(),
        // The prior location is where the patient lies again when a transfer was deleted.
        "A12" if is_undone(context, event) => at(6, "active").into_iter().collect(),
        "A26" if is_undone(context, event) => at(6, "active")
            .or_else(|| at(3, "active"))
            .into_iter()
            .collect(),
        "A15" => {
            let (now, next) = match pending {
                Some(pending) => (at(3, "active"), Some(pending)),
                None => (at(6, "active"), at(3, "planned")),
            };
            let from = times.planned_move.map(Moment::fhir).unwrap_or_default();
            let next = next.map(|place| EncounterLocation {
                period: Period {
                    start: from.into(),
                    ..Period::default()
                },
                ..place
            });
            now.into_iter().chain(next).collect()
        }
        "A02" => {
            let before = at(6, "completed").map(|place| EncounterLocation {
                period: Period {
                    end: happened.clone(),
                    ..Period::default()
                },
                ..place
            });
            let now = at(3, "active").map(|place| EncounterLocation {
                period: Period {
                    start: happened,
                    ..Period::default()
                },
                ..place
            });
            before.into_iter().chain(now).collect()
        }
        _ => at(3, "active").into_iter().collect(),
    }
}

/// The number of a place: `ward/room/bed`, as far as it goes.
pub(super) fn place_number(ward: &str, room: &str, bed: &str) -> String {
    let mut number = format!("{ward}/{room}/{bed}");
    number.truncate(number.trim_end_matches('/').len());
    number
}

/// A ward, room and bed (PL) in words; an outpatient place is a department.
fn location<'m>(
    context: &Context<'_>,
    sent: Repetition<'m>,
    status: &'static str,
) -> Option<EncounterLocation<'m>> {
    let part = |number: usize| trimmed(sent.component(number).text());
    let (ward, room, bed) = (part(1), part(2), part(3));
    let with = |name: &str, ending: &str| match name {
        "" => String::new(),
        name if name.ends_with(ending) => name.to_owned(),
        name => format!("{name}{ending}"),
    };
    let display = if part(6) == "C" {
        let known = tables::department(&ward).map(str::to_owned);
        Some(known.unwrap_or_else(|| ward.to_string())).filter(|name| !name.is_empty())
    } else {
        let bed = if bed.is_empty() {
            String::new()
        } else {
            format!("ベッド{bed}")
        };
        let words = [with(&ward, "病棟"), with(&room, "号室"), bed];
        let filled: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        Some(filled.join(" ")).filter(|words| !words.is_empty())
    }?;
    let number = Identifier::new(
        identifier::local(context.options.facility.as_str(), "location"),
        place_number(&ward, &room, &bed),
    );
    Some(EncounterLocation {
        location: Reference::to_identified("Location", number, display),
        status: status.into(),
        ..EncounterLocation::default()
    })
}
