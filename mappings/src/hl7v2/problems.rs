//! PPR^ZD1 (SS-MIX2 PPR-01): PRB, ZPR and ORC to Condition (JP Core 1.2.0 `JP_Condition_Diagnosis`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use renkei_core::draft::WithdrawReason;
use renkei_core::{
    Code, Finding, ItemClass, ItemEvent, ResourceKey, ResourceType, Severity, Urgency,
};
use renkei_fhir::emit::{
    Abatement, Annotation, CodeableConcept, Coding, Condition, Extension, ExtensionValue,
    Identifier, Meta, Onset, Text,
};
use renkei_fhir::jp_core::{Usage, extension, identifier, profile, system};

use super::patient::{self, Telling};
use super::restricted;
use crate::ProblemList;
use crate::context::{Context, PROBLEMS};
use crate::moment::Moment;
use crate::reader::{Reader, Seg, trimmed};

/// Reads a problem list.
pub(super) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    patient::read(reader, context, Telling::Snapshot);
    let segments: Vec<_> = reader.segments().collect();
    let mut told: BTreeMap<ItemClass, Vec<ResourceKey>> = BTreeMap::new();
    let mut rest = segments.as_slice();
    while let Some(start) = rest.iter().position(|segment| segment.name() == "PRB") {
        let end = rest[start + 1..]
            .iter()
            .position(|segment| segment.name() == "PRB")
            .map_or(rest.len(), |next| start + 1 + next);
        if let Some((class, key)) = read_one(rest[start], &rest[start + 1..end], context) {
            told.entry(class).or_default().push(key);
        }
        rest = &rest[end..];
    }
    if is_complete(context) {
        context.complete(PROBLEMS, WithdrawReason::Superseded);
    }
    let at = context.source_time;
    for (class, members) in told {
        let Some(focus) = members.first().cloned() else {
            continue;
        };
        let item = context.item(class, ItemEvent::Recorded, focus, at, Urgency::U2);
        item.members = members;
        if class != ItemClass::ProblemList {
            item.never_automatic = Some(Code::RTE_NEVER_AUTOMATIC);
        }
    }
}

/// Whether what is missing from this list is gone.
fn is_complete(context: &Context<'_>) -> bool {
    match context.options.problem_list {
        ProblemList::Snapshot => true,
        ProblemList::Merge => false,
        ProblemList::Auto => context
            .storage
            .as_ref()
            .is_some_and(crate::storage::StoragePath::has_no_order),
    }
}

fn read_one<'m>(
    prb: Seg<'m>,
    group: &[Seg<'m>],
    context: &mut Context<'m>,
) -> Option<(ItemClass, ResourceKey)> {
    let mut code = disease(prb, context);
    for zpr in group.iter().filter(|segment| segment.name() == "ZPR") {
        modifiers(*zpr, context, &mut code);
    }
    let instance = prb.text(4);
    let key = problem_key(prb, &instance, &code, context)?;
    let acted = context.moment(prb, 2);
    if prb.text(1) == "DE" {
        context.withdraw(
            key,
            WithdrawReason::EnteredInError,
            Some(PROBLEMS.to_owned()),
        );
        return None;
    }
    let class = code
        .coding
        .iter()
        .find_map(restricted::of_disease)
        .unwrap_or(ItemClass::ProblemList);
    let outcome = prb.text(14);
    let judged = context.moment(prb, 15).filter(|_| has_ended(&outcome));
    let ended = context.moment(prb, 9).or(judged);
    let recorded = context.moment(prb, 7).or(acted);
    let onset = match context.moment(prb, 16) {
        Some(at) => Some(Onset::DateTime(at.fhir().into())),
        None => Some(prb.text(17))
            .filter(|text| !text.is_empty())
            .map(Onset::String),
    };
    let orc = group.iter().find(|segment| segment.name() == "ORC");
    let condition = Condition {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::CONDITION_DIAGNOSIS),
        extension: extensions(prb, context),
        identifier: identifiers(instance, context),
        clinical_status: clinical_status(&outcome, ended.is_some()),
        verification_status: verification_status(&prb.text(13)),
        category: categories(prb, context),
        code,
        subject: context.patient_reference(),
        onset,
        abatement: ended.map(|at| Abatement::DateTime(at.fhir().into())),
        recorded_date: recorded.map(Moment::fhir).unwrap_or_default().into(),
        recorder: orc
            .map(|orc| context.practitioner(orc.field(12).repetition(1)))
            .unwrap_or_default(),
        note: notes(group),
        ..Condition::default()
    };
    let body = condition.to_json();
    let said = acted
        .and_then(Moment::instant)
        .filter(|&acted| acted < context.source_time);
    let entry = context.record(key.clone(), body);
    entry.scope = Some(PROBLEMS.to_owned());
    // Several lists may hold one problem: the newest PRB-2 wins.
    entry.source_time = said.unwrap_or(entry.source_time);
    Some((class, key))
}

/// PRB-4; without it the disease itself. `None` when there is neither.
fn problem_key(
    prb: Seg<'_>,
    instance: &str,
    code: &CodeableConcept<'_>,
    context: &mut Context<'_>,
) -> Option<ResourceKey> {
    if !instance.is_empty() {
        return match code.coding.is_empty() && code.text.is_empty() && prb.text(1) != "DE" {
            true => no_disease(prb, context),
            false => Some(context.key(ResourceType::Condition, &[instance])),
        };
    }
    let named = match code.coding.first() {
        Some(coding) => format!("{}|{}", coding.system, coding.code),
        None => code.text.to_string(),
    };
    if named.is_empty() {
        return no_disease(prb, context);
    }
    context.note(Code::MAP_IDENTIFIER_MISSING, prb.at(4));
    Some(context.key(ResourceType::Condition, &["disease", &named]))
}

fn no_disease(prb: Seg<'_>, context: &mut Context<'_>) -> Option<ResourceKey> {
    context.find(Finding::new(Code::MAP_NO_CODE, Severity::Error, prb.at(3)));
    None
}

/// PRB-3 with the ICD-10 code of PRB-10. A local placeholder beside a text is kept as what it is.
fn disease<'m>(prb: Seg<'m>, context: &mut Context<'m>) -> CodeableConcept<'m> {
    let mut code = context.concept(prb, 3);
    let has_standard = code
        .coding
        .iter()
        .any(|coding| coding.system.starts_with("http://medis.or.jp/"));
    if !has_standard && !code.coding.is_empty() {
        context.note(Code::MAP_LOCAL_CODE, prb.at(3));
    }
    let icd = prb.field(10);
    let (sent, words, name) = (
        trimmed(icd.component(1).text()),
        trimmed(icd.component(2).text()),
        trimmed(icd.component(3).text()),
    );
    if !sent.is_empty() {
        let name = if name.is_empty() {
            Cow::Borrowed("I10")
        } else {
            name
        };
        // JP Core spells ICD-10 without the point.
        let sent = if sent.contains('.') {
            Cow::Owned(sent.replace('.', ""))
        } else {
            sent
        };
        let system = context.system(&name, &sent, Usage::Any);
        // An empty edition means 2003 (SS-MIX2 §PRB-10.7).
        let edition = trimmed(icd.component(7).text());
        let version = if edition.is_empty() {
            Cow::Borrowed("2003")
        } else {
            edition
        };
        code.coding.push(Coding {
            version,
            ..Coding::new(system, sent, words.clone())
        });
    }
    if code.text.is_empty() {
        code.text = words;
    }
    code
}

/// ZPR: modifiers by 管理番号 (1 before, 3 behind) and by 交換用コード (4, 6); 5 is the disease again.
fn modifiers<'m>(zpr: Seg<'m>, context: &mut Context<'m>, code: &mut CodeableConcept<'m>) {
    let places = [
        (1, extension::DISEASE_PREFIX),
        (4, extension::DISEASE_PREFIX),
        (3, extension::DISEASE_POSTFIX),
        (6, extension::DISEASE_POSTFIX),
    ];
    for (number, url) in places {
        for sent in zpr
            .field(number)
            .repetitions()
            .filter(|sent| sent.has_value())
        {
            let modifier = context.concept_of(sent, Usage::DiseaseModifier, zpr, number);
            code.extension.push(Extension::new(
                url,
                ExtensionValue::CodeableConcept(modifier),
            ));
        }
    }
    zpr.mark(&[2]);
    let again = context.concept(zpr, 5);
    for coding in again.coding {
        if code
            .coding
            .iter()
            .all(|known| known.system != coding.system)
        {
            code.coding.push(coding);
        }
    }
}

fn extensions<'m>(prb: Seg<'m>, context: &mut Context<'m>) -> Vec<Extension<'m>> {
    let mut extensions = Vec::new();
    let outcome = context.concept(prb, 14);
    if !outcome.coding.is_empty() || !outcome.text.is_empty() {
        extensions.push(Extension::new(
            extension::DISEASE_OUTCOME,
            ExtensionValue::CodeableConcept(outcome),
        ));
    }
    if matches!(prb.text(18).as_ref(), "1" | "Y") {
        let principal = Coding::new(
            system::DIAGNOSIS_TYPE,
            extension::PRINCIPAL,
            "Principal Diagnosis",
        );
        let concept = CodeableConcept {
            text: "主病名".into(),
            ..CodeableConcept::of_coding(principal)
        };
        extensions.push(Extension::new(
            extension::DIAGNOSIS_TYPE,
            ExtensionValue::CodeableConcept(concept),
        ));
    }
    extensions
}

fn identifiers<'m>(instance: Cow<'m, str>, context: &Context<'_>) -> Vec<Identifier<'m>> {
    if instance.is_empty() {
        return Vec::new();
    }
    vec![Identifier::new(
        identifier::local(context.options.facility.as_str(), "problem"),
        instance,
    )]
}

/// HL7 table 0241 and JHSD0006: an outcome that ends a disease.
fn has_ended(outcome: &str) -> bool {
    matches!(outcome, "N" | "F" | "D" | "S")
}

fn clinical_status(outcome: &str, has_end: bool) -> CodeableConcept<'static> {
    let (code, display) = match outcome {
        "D" | "S" => ("inactive", "Inactive"),
        _ if has_end || has_ended(outcome) => ("resolved", "Resolved"),
        _ => ("active", "Active"),
    };
    CodeableConcept::of_coding(Coding::new(system::CONDITION_CLINICAL, code, display))
}

/// PRB-13: `1` marks a suspected disease (JHSD0005).
fn verification_status(suspected: &str) -> CodeableConcept<'static> {
    let (code, display) = match suspected {
        "1" | "Y" => ("provisional", "Provisional"),
        _ => ("confirmed", "Confirmed"),
    };
    CodeableConcept::of_coding(Coding::new(system::CONDITION_VERIFICATION, code, display))
}

/// The problem list, and when the diagnosis was made (PRB-10.4: on admission, on discharge, …).
fn categories<'m>(prb: Seg<'m>, context: &Context<'m>) -> Vec<CodeableConcept<'m>> {
    let list = Coding::new(
        system::CONDITION_CATEGORY,
        "problem-list-item",
        "Problem List Item",
    );
    let mut categories = vec![CodeableConcept::of_coding(list)];
    let part = |number: usize| trimmed(prb.field(10).component(number).text());
    let (code, words, name) = (part(4), part(5), part(6));
    if !code.is_empty() {
        let name = if name.is_empty() {
            Cow::Borrowed("JHSD0004")
        } else {
            name
        };
        let coding = Coding::new(
            context.system(&name, &code, Usage::Any),
            code,
            words.clone(),
        );
        categories.push(CodeableConcept {
            text: words,
            ..CodeableConcept::of_coding(coding)
        });
    }
    categories
}

fn notes<'m>(group: &[Seg<'m>]) -> Vec<Annotation<'m>> {
    let fields = group.iter().filter_map(|segment| match segment.name() {
        "ZPR" => Some(segment.field(7)),
        "NTE" => Some(segment.field(3)),
        _ => None,
    });
    let texts = fields.map(|field| trimmed(field.full_text()));
    texts
        .filter(|text: &Text<'m>| !text.is_empty())
        .map(Annotation::of_text)
        .collect()
}
