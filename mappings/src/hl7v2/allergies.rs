//! AL1 and IAM to AllergyIntolerance (JP Core 1.2.0 `JP_AllergyIntolerance`). Key: class and substance.

use renkei_core::draft::WithdrawReason;
use renkei_core::{Authority, Code, ItemClass, ItemEvent, ResourceKey, ResourceType, Urgency};
use renkei_fhir::emit::{
    AllergyIntolerance, AllergyReaction, CodeableConcept, Coding, Meta, Onset, Text,
};
use renkei_fhir::jp_core::{profile, system};

use crate::context::{ALLERGIES, Context};
use crate::moment::Moment;
use crate::reader::{Reader, Seg, trimmed};

/// AL1 inside a message about the person: a summary, weaker than the list of an A60.
pub(super) fn summary<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    for al1 in reader.all("AL1") {
        let Some((key, mut allergy)) = substance(al1, context) else {
            continue;
        };
        allergy.reaction = reaction(al1, context, &al1.text(4), 5);
        if let Some(moment) = context.moment(al1, 6) {
            allergy.onset = Some(Onset::DateTime(moment.fhir().into()));
        }
        let body = allergy.to_json();
        let entry = context.record(key, body);
        entry.authority = Authority::Snapshot;
        entry.scope = Some(ALLERGIES.to_owned());
    }
}

/// A60: the complete list of the patient's allergies.
pub(super) fn list<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let mut members = Vec::new();
    for iam in reader.all("IAM") {
        let Some((key, mut allergy)) = substance(iam, context) else {
            continue;
        };
        if iam.text(6) == "D" {
            context.withdraw(
                key,
                WithdrawReason::EnteredInError,
                Some(ALLERGIES.to_owned()),
            );
            continue;
        }
        allergy.reaction = reaction(iam, context, &iam.text(4), 5);
        allergy.r#type = match iam.text(9).as_ref() {
            "AL" => "allergy",
            "IN" => "intolerance",
            _ => "",
        }
        .into();
        allergy.onset = match context.moment(iam, 11) {
            Some(moment) => Some(Onset::DateTime(moment.fhir().into())),
            None => Some(iam.text(12))
                .filter(|text| !text.is_empty())
                .map(Onset::String),
        };
        allergy.recorded_date = context
            .moment(iam, 13)
            .map(Moment::fhir)
            .unwrap_or_default()
            .into();
        allergy.verification_status = verification(&iam.text(17));
        allergy.asserter = context.practitioner(iam.field(18).repetition(1));
        let body = allergy.to_json();
        context.record(key.clone(), body).scope = Some(ALLERGIES.to_owned());
        members.push(key);
    }
    context.complete(ALLERGIES, WithdrawReason::Superseded);
    let focus = members.first().unwrap_or(context.patient_key()).clone();
    let at = context.source_time;
    context
        .item(
            ItemClass::Allergy,
            ItemEvent::Recorded,
            focus,
            at,
            Urgency::U2,
        )
        .members = members;
}

/// Fields 2 and 3, the same in both segments.
fn substance<'m>(
    segment: Seg<'m>,
    context: &mut Context<'m>,
) -> Option<(ResourceKey, AllergyIntolerance<'m>)> {
    let class = segment.text(2);
    let code = context.concept(segment, 3);
    let named = match code.coding.first() {
        Some(coding) => format!("{}|{}", coding.system, coding.code),
        None => code.text.to_string(),
    };
    if named.is_empty() {
        context.warn(Code::MAP_NO_CODE, segment.at(3));
        return None;
    }
    let category = match class.as_ref() {
        "DA" => "medication",
        "FA" => "food",
        "EA" | "LA" | "PA" | "AA" => "environment",
        "MA" | "MC" | "" => "",
        _ => {
            context.note(Code::MAP_UNKNOWN_CODE, segment.at(2));
            ""
        }
    };
    let key = context.key(ResourceType::AllergyIntolerance, &[&class, &named]);
    let active = Coding::new(system::ALLERGY_CLINICAL, "active", "Active");
    let allergy = AllergyIntolerance {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::ALLERGY_INTOLERANCE),
        clinical_status: CodeableConcept::of_coding(active),
        category: vec![category.into()],
        code,
        patient: context.patient_reference(),
        ..AllergyIntolerance::default()
    };
    Some((key, allergy))
}

/// Severity (HL7 table 0128) and what was seen; FHIR wants the latter with the former.
fn reaction<'m>(
    segment: Seg<'m>,
    context: &mut Context<'m>,
    severity: &str,
    number: usize,
) -> Vec<AllergyReaction<'m>> {
    let severity = match severity {
        "SV" => "severe",
        "MO" => "moderate",
        "MI" => "mild",
        "U" | "" => "",
        _ => {
            context.note(Code::MAP_UNKNOWN_CODE, segment.at(4));
            ""
        }
    };
    let seen = segment
        .field(number)
        .repetitions()
        .map(|text| trimmed(text.full_text()));
    let mut manifestation: Vec<_> = seen
        .filter(|text| !text.is_empty())
        .map(CodeableConcept::of_text)
        .collect();
    if manifestation.is_empty() && severity.is_empty() {
        return Vec::new();
    }
    if manifestation.is_empty() {
        manifestation.push(CodeableConcept::of_text("症状の記載なし"));
    }
    vec![AllergyReaction {
        manifestation,
        severity: severity.into(),
        ..AllergyReaction::default()
    }]
}

/// HL7 table 0438.
fn verification(status: &str) -> CodeableConcept<'static> {
    let code: Text<'static> = match status {
        "C" | "I" => "confirmed".into(),
        "U" | "P" | "S" | "D" => "unconfirmed".into(),
        _ => return CodeableConcept::default(),
    };
    CodeableConcept::of_coding(Coding::new(
        system::ALLERGY_VERIFICATION,
        code,
        Text::default(),
    ))
}
