//! OBX beside a person (A08): height, weight, blood group, to Observation. They carry no time of their own.

use renkei_core::draft::WithdrawReason;
use renkei_core::{Code, ResourceType, Strength};
use renkei_fhir::Decimal;
use renkei_fhir::emit::{
    CodeableConcept, Coding, Effective, Meta, Observation, ObservationValue, Quantity,
};
use renkei_fhir::jp_core::{Usage, profile, system};
use renkei_fhir::ucum;

use crate::context::Context;
use crate::moment::fhir_instant;
use crate::reader::{Reader, Seg, trimmed};

/// Reads the OBX of a message about a person.
pub(super) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let changed = reader.first("PID").and_then(|pid| context.moment(pid, 33));
    let measured = changed.map_or_else(
        || fhir_instant(context.source_time, context.options.zone),
        |at| at.fhir(),
    );
    for obx in reader.all("OBX") {
        read_one(obx, context, &measured);
    }
}

fn read_one<'m>(obx: Seg<'m>, context: &mut Context<'m>, measured: &str) {
    let code = context.concept(obx, 3);
    let named = match code.coding.first() {
        Some(coding) => format!("{}|{}", coding.system, coding.code),
        None => code.text.to_string(),
    };
    if named.is_empty() {
        context.warn(Code::MAP_NO_CODE, obx.at(3));
        return;
    }
    let sub_id = obx.text(4);
    let key = context.key(ResourceType::Observation, &["ADT-00", &named, &sub_id]);
    let status = match obx.text(11).as_ref() {
        "F" | "" | "U" => "final",
        "P" | "R" | "S" | "I" => "preliminary",
        "C" => "corrected",
        "D" | "W" => {
            context.withdraw(key, WithdrawReason::EnteredInError, None);
            return;
        }
        _ => {
            context.note(Code::MAP_STATUS_UNKNOWN, obx.at(11));
            return;
        }
    };
    let Some(value) = value(obx, context) else {
        context.note(Code::MAP_ROW_INCOMPLETE, obx.at(5));
        return;
    };
    let given = obx.field(14).component(1);
    let own_time = context.moment_in(obx, 14, given).map(|at| at.fhir());
    let kind = match code
        .coding
        .first()
        .map(|coding| coding.code.get(..5).unwrap_or_default())
    {
        Some("9N001") => Some(("height", "身長")),
        Some("9N006") => Some(("weight", "体重")),
        _ => None,
    };
    let (profile, category) = match kind {
        Some(_) => (profile::OBSERVATION_BODY_MEASUREMENT, "body-measurement"),
        None => (profile::OBSERVATION_COMMON, "laboratory"),
    };
    let first = Coding::new(system::OBSERVATION_CATEGORY, category, "");
    let second =
        kind.map(|(code, words)| Coding::new(system::BODY_MEASUREMENT_CATEGORY, code, words));
    let observation = Observation {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile),
        status: status.into(),
        category: [Some(first), second]
            .into_iter()
            .flatten()
            .map(CodeableConcept::of_coding)
            .collect(),
        code,
        subject: context.patient_reference(),
        effective: Some(Effective::DateTime(
            own_time.unwrap_or_else(|| measured.to_owned()).into(),
        )),
        value: Some(value),
        ..Observation::default()
    };
    let body = observation.to_json();
    context.record(key, body).strength = if status == "preliminary" {
        Strength::Preliminary
    } else {
        Strength::Final
    };
}

fn value<'m>(obx: Seg<'m>, context: &mut Context<'m>) -> Option<ObservationValue<'m>> {
    let field = obx.field(5);
    if !field.has_value() {
        return None;
    }
    let kind = obx.text(2);
    if matches!(kind.as_ref(), "CWE" | "CE" | "CNE") {
        return Some(ObservationValue::CodeableConcept(context.concept(obx, 5)));
    }
    if kind == "NM" {
        // A number with an escape sequence in it is no number.
        if let Some(number) = Decimal::parse(field.component(1).raw()) {
            return Some(ObservationValue::Quantity(quantity(obx, context, number)));
        }
        context.warn(Code::MAP_BAD_NUMBER, obx.at(5));
    }
    Some(ObservationValue::String(trimmed(field.full_text())))
}

fn quantity<'m>(obx: Seg<'m>, context: &mut Context<'m>, number: Decimal<'m>) -> Quantity<'m> {
    let unit = context.concept_as(obx, 6, Usage::Any);
    let code = unit
        .coding
        .into_iter()
        .next()
        .map(|coding| coding.code)
        .unwrap_or_default();
    let words = if unit.text.is_empty() {
        code.clone()
    } else {
        unit.text
    };
    let known = ucum::code(&code).or_else(|| ucum::code(&words));
    match known {
        Some(known) => Quantity::in_ucum(number, words, known),
        None => {
            if !words.is_empty() {
                context.note(Code::MAP_UNKNOWN_UNIT, obx.at(6));
            }
            Quantity {
                value: Some(number),
                unit: words,
                ..Quantity::default()
            }
        }
    }
}
