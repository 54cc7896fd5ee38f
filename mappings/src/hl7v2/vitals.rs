//! Vital signs: what is measured at the bed or at home, to `JP_Observation_VitalSigns` (JP Core 1.2.0).
//!
//! The rows of an ORU^R30, of the extended storage (`OBSERVATIONS`) and those among other results whose
//! JLAC10 code is of class 9. One Observation per measurement; systolic and diastolic pressure of one time
//! are the components of one. One item per time of measurement, and an alert where the source itself raised
//! an alarm: no threshold of ours is applied.

use std::borrow::Cow;

use renkei_core::draft::WithdrawReason;
use renkei_core::{ItemClass, ItemEvent, ResourceKey, Strength, Urgency};
use renkei_fhir::emit::{
    Annotation, CodeableConcept, Coding, Meta, Observation, ObservationComponent, Reference,
};
use renkei_fhir::jp_core::{profile, system};

use super::results::{
    Group, Kind, Measured, Row, Shared, Taken, effective_of, fold, is_cancel, is_complete, notes,
    taken, tell,
};
use crate::context::Context;

/// A row with its time and what it says.
struct Measurement<'m> {
    row: Row<'m>,
    taken: Taken<'m>,
    measured: Measured<'m>,
}

/// The two pressures: first characters of their JLAC10 codes, and the LOINC codes of what they measure.
const SYSTOLIC: (&str, &str) = ("9A75", "8480-6");
const DIASTOLIC: (&str, &str) = ("9A76", "8462-4");
/// LOINC: blood pressure with its parts.
const PRESSURE: &str = "85354-9";

/// LOINC: oxygen saturation by pulse oximetry.
const SATURATION: &str = "59408-5";

/// First characters of JLAC10 and the LOINC code of the same thing.
const OTHERS: [(&str, &str); 3] = [("9P1", "8310-5"), ("9P2", "9279-1"), ("9P3", "8867-4")];

/// Records the vital signs of one group and tells of them by time.
pub(super) fn read<'m>(
    context: &mut Context<'m>,
    shared: &mut Shared,
    group: &Group<'m>,
    order: &str,
    rows: Vec<Row<'m>>,
) {
    let scope = Context::order_scope(Kind::VitalSign.word(), order);
    if context.storage.is_some() && !is_complete(context, &scope) {
        context.complete(scope.clone(), WithdrawReason::Superseded);
    }
    let is_cancelled = group.orc.is_some_and(|orc| is_cancel(&orc.text(1)));
    let of_group = effective_of(context, group);
    if let (Some(orc), Some(obr)) = (group.orc, group.obr) {
        orc.mark(&[5]);
        obr.mark(&[2, 3]); // repeats of ORC
    }
    let mut sets: Vec<Vec<Measurement<'m>>> = Vec::new();
    for row in rows {
        let taken = taken(context, group, row.obx, &of_group);
        let measured = Measured::read(context, row.obx);
        let same_time = sets
            .iter_mut()
            .find(|set| set[0].taken.start == taken.start);
        let measurement = Measurement {
            row,
            taken,
            measured,
        };
        match same_time {
            Some(set) => set.push(measurement),
            None => sets.push(vec![measurement]),
        }
    }
    for set in sets {
        record_set(context, shared, order, &scope, set, is_cancelled);
    }
}

/// All measurements of one time.
fn record_set<'m>(
    context: &mut Context<'m>,
    shared: &mut Shared,
    order: &str,
    scope: &str,
    set: Vec<Measurement<'m>>,
    is_cancelled: bool,
) {
    let at = set[0].taken.at;
    let mut recorded: Vec<ResourceKey> = Vec::new();
    for parts in pair(set) {
        let item = match pressure_of(&parts[0].row) {
            Some((_, variant)) => Cow::Owned(format!("blood-pressure{variant}")),
            None => Cow::Borrowed(parts[0].row.item.as_ref()),
        };
        let key = shared.key(
            context,
            &[order, &parts[0].taken.start, &item, &parts[0].row.sub_id],
        );
        let mut parts = parts;
        parts.retain(|part| !is_cancelled && !part.row.is_taken_back());
        if parts.is_empty() {
            context.withdraw(key, WithdrawReason::EnteredInError, Some(scope.to_owned()));
            continue;
        }
        let is_alarm = parts.iter().any(|part| part.measured.is_critical);
        let is_open = parts
            .iter()
            .any(|part| part.measured.strength == Strength::Preliminary);
        let body = observation(&key, &shared.subject, parts).to_json();
        let resource = context.record(key.clone(), body);
        resource.scope = Some(scope.to_owned());
        resource.strength = if is_open {
            Strength::Preliminary
        } else {
            Strength::Final
        };
        if is_alarm {
            context.item(
                ItemClass::Alert,
                ItemEvent::Alarm,
                key.clone(),
                at,
                Urgency::U1,
            );
        }
        recorded.push(key);
    }
    if !recorded.is_empty() {
        let focus = recorded.remove(0);
        tell(context, Kind::VitalSign, focus, recorded, at, false);
    }
}

/// Systolic or diastolic, with what follows in the code (which measurement of several, which method).
fn pressure_of<'r>(row: &'r Row<'_>) -> Option<((&'static str, &'static str), &'r str)> {
    [SYSTOLIC, DIASTOLIC]
        .into_iter()
        .find_map(|pressure| Some((pressure, row.jlac10.strip_prefix(pressure.0)?)))
}

/// Puts the two pressures of one measurement together; everything else stands alone.
fn pair(set: Vec<Measurement<'_>>) -> Vec<Vec<Measurement<'_>>> {
    let mut pairs: Vec<Vec<Measurement<'_>>> = Vec::new();
    for measurement in set {
        let partner = pressure_of(&measurement.row).and_then(|(pressure, variant)| {
            pairs.iter_mut().find(|pair| {
                let other = pressure_of(&pair[0].row);
                pair.len() == 1
                    && other
                        .is_some_and(|(other, of_other)| other != pressure && of_other == variant)
            })
        });
        match partner {
            Some(pair) if measurement.row.jlac10.starts_with(SYSTOLIC.0) => {
                pair.insert(0, measurement)
            }
            Some(pair) => pair.push(measurement),
            None => pairs.push(vec![measurement]),
        }
    }
    pairs
}

fn observation<'a>(
    key: &ResourceKey,
    subject: &'a str,
    parts: Vec<Measurement<'a>>,
) -> Observation<'a> {
    let category =
        |uri: &'static str| CodeableConcept::of_coding(Coding::new(uri, "vital-signs", ""));
    let note: Vec<Annotation<'a>> = parts.iter().flat_map(|part| notes(&part.row)).collect();
    let status = |wanted: &str| parts.iter().any(|part| part.measured.status == wanted);
    let open = [
        "registered",
        "preliminary",
        "unknown",
        "corrected",
        "amended",
    ];
    let status = open
        .into_iter()
        .find(|wanted| status(wanted))
        .unwrap_or(parts[0].measured.status);
    let mut observation = Observation {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::OBSERVATION_VITAL_SIGNS),
        status: status.into(),
        category: vec![
            category(system::OBSERVATION_CATEGORY),
            category(system::OBSERVATION_CATEGORY_HL7),
        ],
        subject: Reference::to(subject),
        note,
        ..Observation::default()
    };
    for part in parts {
        add(&mut observation, part);
    }
    observation
}

/// Adds one measurement: a pressure as a component, anything else as the value itself.
fn add<'a>(observation: &mut Observation<'a>, part: Measurement<'a>) {
    let Measurement {
        row,
        taken,
        measured,
    } = part;
    observation.effective = Some(taken.into_effective());
    let is_pressure = pressure_of(&row).is_some();
    let loinc = loinc_of(&row).map(|loinc| Coding::new(system::LOINC, loinc, ""));
    let mut code = row.code;
    code.coding.extend(loinc);
    if !is_pressure {
        observation.code = code;
        observation.value = measured.value;
        observation.data_absent_reason = measured.absent;
        observation.interpretation = measured.interpretation;
        observation.reference_range = measured.range;
        return;
    }
    observation.code = CodeableConcept {
        coding: vec![Coding::new(system::LOINC, PRESSURE, "")],
        text: "血圧".into(),
        ..CodeableConcept::default()
    };
    observation.component.push(ObservationComponent {
        code,
        value: measured.value,
        data_absent_reason: measured.absent,
        interpretation: measured.interpretation,
        reference_range: measured.range,
    });
}

/// The LOINC code of what a row measures, where its JLAC10 class or its name leaves no doubt.
fn loinc_of(row: &Row<'_>) -> Option<&'static str> {
    if let Some(((_, loinc), _)) = pressure_of(row) {
        return Some(loinc);
    }
    let known = OTHERS
        .iter()
        .find(|(prefix, _)| row.jlac10.starts_with(prefix));
    let is_saturation = || fold(&row.code.text).to_ascii_uppercase().contains("SPO2");
    known
        .map(|(_, loinc)| *loinc)
        .or_else(|| is_saturation().then_some(SATURATION))
}
