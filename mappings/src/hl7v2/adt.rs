//! ADT: people and stays. One row of [`stay_event`] per trigger says what it means for the stay.

use renkei_core::draft::WithdrawReason;
use renkei_core::{Code, Flag, ItemClass, ItemEvent, StayEvent, Urgency};

use super::patient::{self, Telling};
use super::{allergies, beds, coverage, encounter, measurements, tables};
use crate::context::{COVERAGES, Context};
use crate::reader::Reader;

/// What a trigger does to a stay.
pub(super) struct Event {
    /// The trigger after flags and folders were considered.
    pub(super) trigger: &'static str,
    /// `Encounter.status`.
    pub(super) status: &'static str,
    /// For finding the stay.
    pub(super) stay: StayEvent,
    /// For telling people.
    pub(super) item: ItemEvent,
    /// The item's class.
    pub(super) class: ItemClass,
    /// How soon people must know.
    pub(super) urgency: Urgency,
    /// What is dropped from the recorded Encounter.
    pub(super) clear: &'static [&'static str],
}

/// Reads any ADT message about a patient.
pub(super) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    beds::beside(reader, context);
    match context.trigger.clone().as_str() {
        "A08" | "A28" | "A31" => person(reader, context),
        "A23" => {
            patient::read(reader, context, Telling::Part);
            context.draft.resources.clear();
            let key = context.patient_key().clone();
            context.withdraw(key, WithdrawReason::EnteredInError, None);
        }
        "A60" => {
            patient::read(reader, context, Telling::Part);
            allergies::list(reader, context);
        }
        "A18" | "A34" | "A40" => {
            patient::read(reader, context, Telling::Snapshot);
            context.draft.hold = Some(Code::HL7_MERGE_PARKED);
            context.warn(Code::HL7_MERGE_PARKED, "MSH-9.2");
        }
        "A04" => visit(reader, context),
        "A01" if reader.first("PV1").is_some_and(|pv1| pv1.text(2) == "O") => {
            context.warn(Code::MAP_OUTPATIENT_A01, "PV1-2");
            visit(reader, context);
        }
        trigger => match stay_event(trigger, context.flag) {
            Some(event) => {
                patient::read(reader, context, Telling::Part);
                encounter::stay(reader, context, &event);
            }
            None => super::unknown_type(reader, context),
        },
    }
}

/// A08, A28, A31: everything about the person. What the message lists of allergies is a summary.
fn person<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    patient::read(reader, context, Telling::Whole);
    measurements::read(reader, context);
    allergies::summary(reader, context);
    if coverage::read(reader, context) {
        context.complete(COVERAGES, WithdrawReason::Superseded);
    }
    let members: Vec<_> = context
        .draft
        .resources
        .iter()
        .skip(1)
        .map(|resource| resource.key.clone())
        .collect();
    let (focus, at) = (context.patient_key().clone(), context.source_time);
    context
        .item(
            ItemClass::Demographics,
            ItemEvent::Recorded,
            focus,
            at,
            Urgency::U3,
        )
        .members = members;
}

fn visit<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    patient::read(reader, context, Telling::Part);
    encounter::visit(reader, context);
}

/// The meaning of a trigger for a stay (HL7 v2.5 ch. 3.3, SS-MIX2 data types ADT-01 to ADT-52). A deleted
/// file means the cancel of what it says.
fn stay_event(trigger: &str, flag: Flag) -> Option<Event> {
    use ItemClass::{Admission, Discharge, Transfer};
    use ItemEvent as Told;
    use StayEvent::{Admitted, Cancelled, Discharged, During, Planned};
    use Urgency::{U1, U2, U3};
    let trigger = match flag {
        Flag::Deleted => cancel_of(trigger),
        Flag::Current | Flag::Superseded => trigger,
    };
    let discharged = Told::Discharged { death: false };
    #[rustfmt::skip]
    let row = match trigger {
        "A01" => ("A01", "arrived", Admitted, Told::Admitted, Admission, U1),
        "A02" => ("A02", "in-progress", During, Told::Transferred, Transfer, U2),
        "A03" => ("A03", "finished", Discharged, discharged, Discharge, U1),
        "A11" => ("A11", "cancelled", Cancelled, Told::AdmissionCancelled, Admission, U1),
        "A12" => ("A12", "in-progress", During, Told::TransferCancelled, Transfer, U2),
        "A13" => ("A13", "in-progress", During, Told::DischargeCancelled, Discharge, U1),
        "A14" => ("A14", "planned", Planned, Told::Recorded, Admission, U3),
        "A15" => ("A15", "in-progress", During, Told::Recorded, Transfer, U3),
        "A16" => ("A16", "in-progress", During, Told::DischargePlanned, Discharge, U1),
        "A21" => ("A21", "onleave", During, Told::Recorded, Transfer, U3),
        "A22" => ("A22", "in-progress", During, Told::Recorded, Transfer, U3),
        "A25" => ("A25", "in-progress", During, Told::DischargePlanCancelled, Discharge, U1),
        "A26" => ("A26", "in-progress", During, Told::Recorded, Transfer, U3),
        "A27" => ("A27", "cancelled", Cancelled, Told::Recorded, Admission, U3),
        "A52" => ("A52", "in-progress", During, Told::Recorded, Transfer, U3),
        "A53" => ("A53", "onleave", During, Told::Recorded, Transfer, U3),
        "A54" => ("A54", "in-progress", During, Told::Recorded, Transfer, U3),
        "A55" => ("A55", "in-progress", During, Told::Recorded, Transfer, U3),
        _ => return None,
    };
    let (trigger, status, stay, item, class, urgency) = row;
    let clear: &[&str] = match trigger {
        "A13" => &[
            "period.end",
            "length",
            "hospitalization.dischargeDisposition",
            "hospitalization.destination",
        ],
        // Planned dates are extensions; those that still hold are sent again with the next event.
        "A25" => &["extension"],
        "A55" => &["participant"],
        _ => &[],
    };
    Some(Event {
        trigger,
        status,
        stay,
        item,
        class,
        urgency,
        clear,
    })
}

/// The trigger that takes another one back; itself when it is such a trigger.
fn cancel_of(trigger: &str) -> &str {
    match trigger {
        "A01" => "A11",
        "A02" => "A12",
        "A03" => "A13",
        "A14" => "A27",
        "A15" => "A26",
        "A16" => "A25",
        "A21" => "A52",
        "A22" => "A53",
        "A54" => "A55",
        other => other,
    }
}

impl Event {
    /// What people are told, with the discharge disposition considered.
    pub(super) fn told(&self, disposition: &str) -> ItemEvent {
        match self.item {
            ItemEvent::Discharged { .. } => ItemEvent::Discharged {
                death: tables::is_death(disposition),
            },
            other => other,
        }
    }
}
