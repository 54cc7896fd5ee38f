//! IN1 (and ZI1, which has its fields) to Coverage (JP Core 1.2.0 `JP_Coverage`), and the insurance numbers
//! that are personal enough to recognise someone by.

use std::borrow::Cow;

use renkei_core::{Code, ResourceType};
use renkei_fhir::emit::{
    CodeableConcept, Coding, Coverage, CoverageClass, Extension, ExtensionValue, Identifier, Meta,
    Period, Reference,
};
use renkei_fhir::jp_core::{extension, identifier, profile, system};

use crate::context::{COVERAGES, Context};
use crate::moment::Moment;
use crate::reader::{Reader, Seg, trimmed};

/// Reads all covers; true when there was any.
pub(super) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>) -> bool {
    let mut found = false;
    for segment in reader
        .segments()
        .filter(|segment| matches!(segment.name(), "IN1" | "ZI1"))
    {
        found |= read_one(segment, context);
    }
    found
}

/// 記号, 番号 and 枝番 of the insured person; for a public payer the recipient number is the number.
#[derive(Default)]
struct Insured<'m> {
    symbol: Cow<'m, str>,
    number: Cow<'m, str>,
    branch: Cow<'m, str>,
}

fn read_one<'m>(in1: Seg<'m>, context: &mut Context<'m>) -> bool {
    let kind = context.concept(in1, 2);
    let insurer = in1.text(3);
    let plan = kind
        .coding
        .first()
        .map(|coding| coding.code.clone())
        .unwrap_or_default();
    let insured = insured(in1, &plan);
    if plan.is_empty() && insurer.is_empty() && kind.text.is_empty() {
        context.warn(Code::MAP_NO_CODE, in1.place());
        return false;
    }
    let (start, end) = (context.moment(in1, 12), context.moment(in1, 13));
    let expired = end
        .and_then(Moment::instant)
        .is_some_and(|end| end < context.source_time);
    if !expired
        && let Some(fact) = personal(&plan, &kind.text, &insurer, &insured)
        && let Some(subject) = &mut context.draft.subject
    {
        subject.facts.insurance.push(fact);
    }
    let key = context.key(
        ResourceType::Coverage,
        &[
            &plan,
            &insurer,
            &insured.symbol,
            &insured.number,
            &insured.branch,
        ],
    );
    let text = |moment: Option<Moment>| moment.map(Moment::fhir).unwrap_or_default().into();
    let coverage = Coverage {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::COVERAGE),
        extension: extensions(&insured),
        status: "active".into(),
        r#type: kind,
        subscriber_id: insured.number.clone(),
        beneficiary: context.patient_reference(),
        relationship: relationship(in1, context),
        period: Period {
            start: text(start),
            end: text(end),
        },
        payor: vec![payor(in1, insurer)],
        class: plan_type(in1, context),
        order: in1.text(1).parse().ok().filter(|&order| order > 0),
        ..Coverage::default()
    };
    let body = coverage.to_json();
    context.record(key, body).scope = Some(COVERAGES.to_owned());
    true
}

/// Two forms are in use: `記号~番号~枝番` in IN1-10 (SS-MIX2 Ver.1.2h), or 記号 in 10 and 番号 in 11. Public
/// payers send the recipient number in 10.
fn insured<'m>(in1: Seg<'m>, plan: &str) -> Insured<'m> {
    let field = in1.field(10);
    let part = |number: usize| trimmed(field.repetition(number).text());
    if field.repetition_count() >= 2 {
        return Insured {
            symbol: part(1),
            number: part(2),
            branch: part(3),
        };
    }
    if is_public_payer(plan) {
        return Insured {
            number: part(1),
            ..Insured::default()
        };
    }
    Insured {
        symbol: part(1),
        number: in1.text(11),
        branch: Cow::default(),
    }
}

/// 公費: the numbers of the laws (法別番号) that are not insurances (JAHIS table JHSD0001).
fn is_public_payer(plan: &str) -> bool {
    match plan.parse::<u8>() {
        Ok(law) => matches!(law, 10..=30 | 38 | 51..=54 | 62 | 66 | 79..=99),
        Err(_) => matches!(plan, "PI" | "LI" | "TI" | "PS" | "OE" | "D0" | "OT"),
    }
}

/// The key by which a person may be recognised; `None` where families or whole schemes share the number.
fn personal(plan: &str, kind: &str, insurer: &str, insured: &Insured<'_>) -> Option<String> {
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Insured {
        symbol,
        number,
        branch,
    } = insured;
    if insurer.starts_with("39") && digits(insurer, 8) && digits(number, 8) {
        return Some(format!("late-elderly:{insurer}:{number}"));
    }
    if is_public_payer(plan) {
        return None;
    }
    if kind.contains("介護") && digits(number, 10) && !insurer.is_empty() {
        return Some(format!("care:{insurer}:{number}"));
    }
    let all_there = [insurer, symbol.as_ref(), number.as_ref(), branch.as_ref()]
        .iter()
        .all(|part| !part.is_empty());
    all_there.then(|| format!("member:{insurer:0>8}:{symbol}:{number}:{branch}"))
}

fn extensions<'m>(insured: &Insured<'m>) -> Vec<Extension<'m>> {
    let parts = [
        (extension::INSURED_SYMBOL, &insured.symbol),
        (extension::INSURED_NUMBER, &insured.number),
        (extension::INSURED_SUB_NUMBER, &insured.branch),
    ];
    let filled = parts.into_iter().filter(|(_, part)| !part.is_empty());
    filled
        .map(|(url, part)| Extension::new(url, ExtensionValue::String(part.clone())))
        .collect()
}

/// IN1-17: `SEL` is the insured person, everyone else depends on one.
fn relationship<'m>(in1: Seg<'m>, context: &mut Context<'m>) -> CodeableConcept<'m> {
    let mut concept = context.concept(in1, 17);
    let Some(sent) = concept.coding.first() else {
        return concept;
    };
    let (code, words) = if sent.code == "SEL" {
        ("1", "本人")
    } else {
        ("2", "被扶養者")
    };
    concept
        .coding
        .insert(0, Coding::new(system::INSURED_CATEGORY, code, words));
    concept
}

fn payor<'m>(in1: Seg<'m>, insurer: Cow<'m, str>) -> Reference<'m> {
    let name = in1.text(4);
    if insurer.is_empty() {
        let display = if name.is_empty() {
            Cow::Borrowed("保険者不明")
        } else {
            name
        };
        return Reference {
            r#type: "Organization".into(),
            display,
            ..Reference::default()
        };
    }
    let padded = if insurer.len() < 8 {
        Cow::Owned(format!("{insurer:0>8}"))
    } else {
        insurer
    };
    Reference::to_identified(
        "Organization",
        Identifier::new(identifier::INSURER, padded),
        name,
    )
}

/// IN1-15: a kind of public cover or prefecture.
fn plan_type<'m>(in1: Seg<'m>, context: &mut Context<'m>) -> Vec<CoverageClass<'m>> {
    let concept = context.concept(in1, 15);
    let Some(coding) = concept.coding.into_iter().next() else {
        return Vec::new();
    };
    let plan = Coding::new(
        "http://terminology.hl7.org/CodeSystem/coverage-class",
        "plan",
        "Plan",
    );
    vec![CoverageClass {
        r#type: CodeableConcept::of_coding(plan),
        value: coding.code,
        name: concept.text,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(plan: &str, insurer: &str, parts: [&'static str; 3]) -> Option<String> {
        let [symbol, number, branch] = parts.map(Cow::Borrowed);
        personal(
            plan,
            "",
            insurer,
            &Insured {
                symbol,
                number,
                branch,
            },
        )
    }

    #[test]
    fn only_numbers_of_one_person_are_facts() {
        assert_eq!(
            key("39", "39131234", ["", "00000012", ""]).as_deref(),
            Some("late-elderly:39131234:00000012")
        );
        assert_eq!(
            key("C0", "138057", ["12", "345", "01"]).as_deref(),
            Some("member:00138057:12:345:01")
        );
        assert_eq!(
            key("C0", "138057", ["12", "345", ""]),
            None,
            "families share it"
        );
        assert_eq!(
            key("12", "12131234", ["1", "1234567", "01"]),
            None,
            "public payer"
        );
        assert_eq!(key("39", "39131234", ["", "12", ""]), None);
    }
}
