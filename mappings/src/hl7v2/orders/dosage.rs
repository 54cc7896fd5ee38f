//! How a drug is taken or given: TQ1, RXR and the amounts of RXE to Dosage and DispenseRequest
//! (JP Core 1.2.0 `JP_MedicationDosage`, `JP_MedicationDosage_Injection`).

use std::borrow::Cow;

use renkei_core::{Code, Finding, Severity};
use renkei_fhir::Decimal;
use renkei_fhir::emit::{
    Annotation, Bounds, CodeableConcept, Coding, DispenseRequest, Dosage, DoseAndRate, Extension,
    ExtensionValue, MedicationRequest, Period, Quantity, Rate, Ratio, Reference, Text,
    TimingRepeat,
};
use renkei_fhir::jp_core::{Usage, extension, system};
use renkei_fhir::ucum;

use super::Prescribed;
use super::amount::{self, Amount, UnitParts};
use crate::context::Context;
use crate::reader::{Seg, trimmed};

/// Fills dosage, dispense request and the notes about what neither can hold.
pub(super) fn fill<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    is_injection: bool,
    request: &mut MedicationRequest<'m>,
) {
    let mut remarks = Vec::new();
    let mut whole = Dosage::default();
    doses(
        context,
        prescribed.rxe,
        is_injection,
        &mut whole,
        &mut remarks,
    );
    routes(context, prescribed, is_injection, &mut whole);
    instructions(
        context,
        prescribed.rxe,
        &mut whole,
        &mut request.dispense_request,
    );
    if prescribed.rxe.text(27) == "22" {
        whole.as_needed_boolean = Some(true);
    }
    let mut dosages: Vec<Dosage<'m>> = Vec::new();
    for (timing, number) in prescribed.timings.iter().zip(1..) {
        let mut dosage = whole.clone();
        if prescribed.timings.len() > 1 {
            dosage.sequence = Some(number);
        }
        timed(context, *timing, is_injection, &mut dosage, &mut remarks);
        dosages.push(dosage);
    }
    if dosages.is_empty() {
        dosages.push(whole);
    }
    for dosage in &mut dosages {
        dosage.text = text_of(dosage);
    }
    let supply = dosages
        .iter()
        .find_map(|dosage| match &dosage.timing.repeat.bounds {
            Some(Bounds::Duration(days)) => Some(days.clone()),
            _ => None,
        });
    let is_only = dosages.len() == 1;
    request.dosage_instruction = dosages;
    dispense(
        context,
        prescribed.rxe,
        &mut request.dispense_request,
        &mut remarks,
    );
    request.dispense_request.expected_supply_duration =
        supply.filter(|_| is_only).unwrap_or_default();
    request
        .note
        .extend(remarks.into_iter().map(Annotation::of_text));
}

/// RXE-3 to RXE-5 per dose, RXE-19 per day, RXE-23 and RXE-24 the rate of an infusion.
fn doses<'m>(
    context: &mut Context<'m>,
    rxe: Seg<'m>,
    is_injection: bool,
    dosage: &mut Dosage<'m>,
    remarks: &mut Vec<String>,
) {
    let mut dose = DoseAndRate::default();
    let unit = |number| (rxe.field(number).component(1), UnitParts::of_field(rxe, 5));
    let (number, parts) = unit(3);
    match amount::read(context, rxe, 3, number, parts) {
        Amount::Known(quantity) => dose.dose_quantity = quantity,
        Amount::Null => context.note(Code::MAP_DOSE_NULL, rxe.at(3)),
        Amount::Words(words) => remarks.push(format!("1回量 {words}")),
        Amount::Absent => {}
    }
    let (number, parts) = unit(4);
    match amount::read(context, rxe, 4, number, parts) {
        Amount::Known(most) if most != dose.dose_quantity => {
            dosage.max_dose_per_administration = most;
        }
        Amount::Words(words) => remarks.push(format!("1回最大量 {words}")),
        _ => {}
    }
    let daily = rxe.field(19);
    match amount::read(
        context,
        rxe,
        19,
        daily.component(1),
        UnitParts::of_component(daily.component(2)),
    ) {
        Amount::Known(per_day) => dose.rate = Some(Rate::Ratio(Box::new(per_one_day(per_day)))),
        Amount::Words(words) => remarks.push(format!("1日量 {words}")),
        Amount::Null | Amount::Absent => {}
    }
    if is_injection && let Some(rate) = infusion_rate(context, rxe, remarks) {
        dose.rate.get_or_insert(rate);
    }
    if dose != DoseAndRate::default() {
        let kind = Coding::new(system::STRENGTH_TYPE, "1", "製剤量");
        dose.r#type = CodeableConcept::of_coding(kind);
        dosage.dose_and_rate = vec![dose];
    }
}

fn per_one_day(numerator: Quantity<'_>) -> Ratio<'_> {
    Ratio {
        numerator,
        denominator: Quantity::in_days(Decimal::from(1)),
        ..Ratio::default()
    }
}

fn infusion_rate<'m>(
    context: &mut Context<'m>,
    rxe: Seg<'m>,
    remarks: &mut Vec<String>,
) -> Option<Rate<'m>> {
    let sent = rxe.text(23);
    if sent.is_empty() {
        return None;
    }
    let unit = UnitParts::of_field(rxe, 24);
    let words = if unit.words.is_empty() {
        unit.code.clone()
    } else {
        unit.words
    };
    let Some(value) = Decimal::parse(&sent).map(Decimal::into_owned) else {
        remarks.push(format!("速度 {sent}{words}"));
        return None;
    };
    let code = ucum::code(&unit.code).or_else(|| ucum::code(&words));
    if code.is_none() && !words.is_empty() {
        context.note(Code::MAP_UNKNOWN_UNIT, rxe.at(24));
    }
    Some(Rate::Quantity(Quantity {
        value: Some(value),
        unit: words,
        system: code.as_ref().map_or("", |_| ucum::SYSTEM).into(),
        code: code.unwrap_or_default(),
        ..Quantity::default()
    }))
}

/// RXR: route, site, device and method.
fn routes<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    is_injection: bool,
    dosage: &mut Dosage<'m>,
) {
    for (rxr, at) in prescribed.routes.iter().zip(0..) {
        let route = context.coded(*rxr, 1, rxr.field(1).repetition(1), Usage::Any);
        if at == 0 {
            dosage.route = route;
            dosage.site = context.coded(*rxr, 2, rxr.field(2).repetition(1), Usage::Any);
            dosage.method = context.coded(*rxr, 4, rxr.field(4).repetition(1), Usage::Any);
        } else {
            // A further route has no element of its own: it stands beside the first.
            dosage.route.coding.extend(route.coding);
        }
        if is_injection {
            let device = context.coded(*rxr, 3, rxr.field(3).repetition(1), Usage::Any);
            let name = if device.text.is_empty() {
                device.coding.into_iter().next().map(|coding| coding.code)
            } else {
                Some(device.text)
            };
            if let Some(display) = name {
                let device = Reference {
                    r#type: "Device".into(),
                    display,
                    ..Reference::default()
                };
                dosage.extension.push(Extension::new(
                    extension::DOSAGE_DEVICE,
                    ExtensionValue::Reference(device),
                ));
            }
        }
    }
}

/// RXE-7: to the pharmacist (JHSP0002) or to whoever takes the drug.
fn instructions<'m>(
    context: &mut Context<'m>,
    rxe: Seg<'m>,
    dosage: &mut Dosage<'m>,
    dispense: &mut DispenseRequest<'m>,
) {
    for repetition in rxe
        .field(7)
        .repetitions()
        .filter(|repetition| repetition.has_value())
    {
        let is_for_pharmacist = repetition.component(3).raw().trim() == "JHSP0002";
        let instruction = context.coded(rxe, 7, repetition, Usage::Any);
        if is_for_pharmacist {
            let value = ExtensionValue::CodeableConcept(instruction);
            dispense
                .extension
                .push(Extension::new(extension::INSTRUCTION_FOR_DISPENSE, value));
        } else {
            dosage.additional_instruction.push(instruction);
        }
    }
}

/// One TQ1.
fn timed<'m>(
    context: &mut Context<'m>,
    tq1: Seg<'m>,
    is_injection: bool,
    dosage: &mut Dosage<'m>,
    remarks: &mut Vec<String>,
) {
    for pattern in tq1
        .field(3)
        .repetitions()
        .filter(|pattern| pattern.has_value())
    {
        usage(
            context,
            UnitParts::of_component(pattern.component(1)),
            dosage,
        );
    }
    let mut repeat = TimingRepeat::default();
    match amount::days(tq1, 6) {
        Ok(Some(days)) => repeat.bounds = Some(Bounds::Duration(days)),
        Ok(None) => {}
        Err(words) => {
            context.note(Code::MAP_UNKNOWN_UNIT, tq1.at(6));
            remarks.push(format!("投与期間 {words}"));
        }
    }
    let period = Period {
        start: amount::time(context, tq1, 7),
        end: amount::time(context, tq1, 8),
    };
    if is_injection && repeat.bounds.is_none() && period != Period::default() {
        repeat.bounds = Some(Bounds::Period(period));
    } else if !period.start.is_empty() {
        dosage.extension.push(Extension::new(
            extension::PERIOD_OF_USE,
            ExtensionValue::Period(period),
        ));
    } else if !period.end.is_empty() {
        remarks.push(format!("終了日 {}", period.end));
    }
    let count = tq1.text(14);
    if !count.is_empty() {
        match count.parse::<u32>().ok().filter(|count| *count > 0) {
            Some(count) => repeat.count = Some(count),
            None => {
                let finding = Finding::new(Code::MAP_BAD_NUMBER, Severity::Info, tq1.at(14));
                context.find(finding.with_value(count.as_ref()));
                remarks.push(format!("回数 {count}"));
            }
        }
    }
    dosage.timing.repeat = repeat;
    dosage.patient_instruction = trimmed(tq1.field(11).full_text());
}

/// A usage: 16 characters of JAMI (or a local code) are the timing, 8 a supplement to it.
fn usage<'m>(context: &Context<'m>, usage: UnitParts<'m>, dosage: &mut Dosage<'m>) {
    let system = context.system(&Cow::Borrowed(usage.system), &usage.code, Usage::Any);
    let is_jami =
        system == system::DRUG_USAGE && matches!(usage.code.as_bytes().first(), Some(b'1'..=b'4'));
    let is_supplement = system == system::DRUG_USAGE_SUPPLEMENT;
    let mut concept = CodeableConcept::of_text(usage.words.clone());
    if !usage.code.is_empty() {
        concept
            .coding
            .push(Coding::new(system, usage.code.clone(), usage.words));
    }
    if is_supplement || (dosage.timing.code != CodeableConcept::default() && !is_jami) {
        dosage.additional_instruction.push(concept);
        return;
    }
    if is_jami {
        // JAMI usage, positions 1 and 2: how; position 3: 5 = as needed.
        if let Some(detail) = usage.code.get(..2) {
            let method = Coding::new(system::METHOD_DETAIL, detail.to_owned(), "");
            dosage.method.coding.push(method);
        }
        if usage.code.as_bytes().get(2) == Some(&b'5') {
            dosage.as_needed_boolean = Some(true);
        }
    }
    let code = &mut dosage.timing.code;
    if code.text.is_empty() {
        code.text = concept.text;
    }
    code.coding.extend(concept.coding);
}

/// The words of a dosage: usage, else the instruction to the patient, else the route.
fn text_of<'m>(dosage: &Dosage<'m>) -> Text<'m> {
    let candidates = [&dosage.timing.code.text, &dosage.patient_instruction];
    let extra = dosage
        .additional_instruction
        .iter()
        .map(|instruction| &instruction.text);
    let route = [&dosage.method.text, &dosage.route.text];
    let found = candidates
        .into_iter()
        .chain(extra)
        .chain(route)
        .find(|text| !text.is_empty());
    found.cloned().unwrap_or_default()
}

/// RXE-10 and RXE-11 handed out in all, RXE-12 how often again.
fn dispense<'m>(
    context: &mut Context<'m>,
    rxe: Seg<'m>,
    dispense: &mut DispenseRequest<'m>,
    remarks: &mut Vec<String>,
) {
    match amount::read(
        context,
        rxe,
        10,
        rxe.field(10).component(1),
        UnitParts::of_field(rxe, 11),
    ) {
        Amount::Known(total) => dispense.quantity = total,
        Amount::Null => context.note(Code::MAP_DOSE_NULL, rxe.at(10)),
        Amount::Words(words) => remarks.push(format!("総量 {words}")),
        Amount::Absent => {}
    }
    dispense.number_of_repeats_allowed = rxe.text(12).parse().ok();
}
