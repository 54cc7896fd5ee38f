//! The FHIR bodies of the twin.

use std::borrow::Cow;

use renkei_core::{Code, ResourceKey, Severity};
use renkei_fhir::emit::{
    Annotation, CodeableConcept, Coding, Contained, DiagnosticReport, Effective, HumanName,
    Identifier, Meta, Observation, ObservationValue, Patient, Quantity, Reference, ReferenceRange,
    Specimen, Text,
};
use renkei_fhir::jp_core::{self, Usage, identifier, profile, system};
use renkei_fhir::{Decimal, ucum};

use super::{Column, Making, Order, Row, katakana, narrowed, one_blank};
use crate::hl7v2::results::value::{self as results, Grade, Reading};
use crate::hl7v2::results::{INTERPRETATIONS, POSITIVE_NEGATIVE, range};

impl Making<'_, '_> {
    pub(super) fn patient_body(
        &mut self,
        row: &Row<'_>,
        key: &ResourceKey,
        local_id: &str,
    ) -> String {
        let facility = self.options().facility.as_str();
        let identifier = Identifier::new(identifier::patient(facility), local_id);
        let kana = katakana(row.get(Column::Kana));
        let kanji = one_blank(row.get(Column::Kanji));
        let names = [("IDE", kanji.as_str()), ("SYL", kana.as_str())];
        let names = names.into_iter().filter(|(_, text)| !text.is_empty());
        Patient {
            id: key.logical_id().into(),
            meta: Meta::of_profile(profile::PATIENT),
            identifier: vec![identifier],
            active: Some(true),
            name: names.map(|(form, text)| name(form, text)).collect(),
            gender: self.sex(row).into(),
            birth_date: self.birth_date(row).into(),
            ..Patient::default()
        }
        .to_json()
    }

    pub(super) fn observation_body(&mut self, row: &Row<'_>, key: &ResourceKey) -> String {
        let patient = std::mem::take(&mut self.patient);
        let value = self.value(row);
        let absent = match row.get(Column::Result) {
            "" => {
                CodeableConcept::of_coding(Coding::new(system::DATA_ABSENT_REASON, "unknown", ""))
            }
            _ => CodeableConcept::default(),
        };
        let body = Observation {
            id: key.logical_id().into(),
            meta: Meta::of_profile(profile::OBSERVATION_LAB),
            contained: self.specimen(row, &patient),
            status: self.status(row),
            category: vec![CodeableConcept::of_coding(Coding::new(
                system::OBSERVATION_CATEGORY,
                "laboratory",
                "",
            ))],
            code: self.code(row),
            subject: Reference::to(&*patient),
            effective: Some(Effective::DateTime(self.effective(row).into())),
            performer: self.performer(row),
            value,
            data_absent_reason: absent,
            interpretation: self.interpretation(row),
            note: vec![Annotation::of_text(row.get(Column::Comment))],
            specimen: Reference::to("#specimen"),
            reference_range: vec![self.range(row)],
            ..Observation::default()
        }
        .to_json();
        self.patient = patient;
        body
    }

    pub(super) fn report_body(
        &mut self,
        order: &Order<'_, '_>,
        key: &ResourceKey,
        results: &[ResourceKey],
    ) -> String {
        let row = order.rows[0];
        let is = |states: &[&str]| {
            let mut all = order.rows.iter();
            all.any(|row| states.contains(&row.get(Column::State)))
        };
        let status = if order.rows.iter().any(|row| row.is_preliminary()) {
            "partial"
        } else if is(&["C", "訂正"]) {
            "corrected"
        } else {
            "final"
        };
        let (code, words) = system::LAB_REPORT;
        let number = match row.get(Column::Order) {
            "" => Vec::new(),
            number => vec![Identifier::new(identifier::RESOURCE_INSTANCE, number)],
        };
        let references = results.iter().map(|key| Reference::to(key.reference()));
        let effective = self.effective(row).into();
        DiagnosticReport {
            id: key.logical_id().into(),
            meta: Meta::of_profile(profile::DIAGNOSTIC_REPORT_LAB),
            identifier: number,
            status: status.into(),
            category: vec![CodeableConcept::of_coding(Coding::new(
                system::LOINC,
                system::LAB_REPORT_CATEGORY,
                "",
            ))],
            code: CodeableConcept {
                coding: vec![Coding::new(system::DOCUMENT, code, words)],
                text: words.into(),
                ..CodeableConcept::default()
            },
            subject: Reference::to(&*self.patient),
            effective: Some(Effective::DateTime(effective)),
            performer: self.performer(row),
            result: references.collect(),
            ..DiagnosticReport::default()
        }
        .to_json()
    }

    fn specimen<'t>(&self, row: &Row<'t>, patient: &'t str) -> Vec<Contained<'t>> {
        let words = row.get(Column::MaterialName);
        let code: Cow<'t, str> = match row.get(Column::Material) {
            "" => Cow::Borrowed(row.get(Column::Jlac10).get(9..12).unwrap_or("")),
            code => match narrowed(code) {
                code if code.chars().count() < 3 => Cow::Owned(format!("{code:0>3}")),
                code => code,
            },
        };
        vec![Contained::Specimen(Box::new(Specimen {
            id: "specimen".into(),
            r#type: CodeableConcept {
                coding: self.coding("JC10", code, words),
                text: words.into(),
                ..CodeableConcept::default()
            },
            subject: Reference::to(patient),
            ..Specimen::default()
        }))]
    }

    /// One coding, or none for an empty code.
    fn coding<'t>(
        &self,
        name: &'static str,
        code: Cow<'t, str>,
        display: &'t str,
    ) -> Vec<Coding<'t>> {
        if code.is_empty() {
            return Vec::new();
        }
        let facility = self.options().facility.as_str();
        let uri = jp_core::code_system(name).uri_or_local(&code, Usage::Any, facility, name);
        vec![Coding::new(Cow::Owned(uri.into_owned()), code, display)]
    }

    pub(super) fn status(&mut self, row: &Row<'_>) -> Text<'static> {
        let sent = row.get(Column::State);
        if sent.is_empty() {
            return "final".into();
        }
        match self.mapping.status.row(sent).and_then(|row| row.get(1)) {
            Some(status) => Cow::Owned(status.clone()),
            None => {
                let at = row.place(Column::State);
                self.note(Code::MAP_UNKNOWN_CODE, Severity::Warning, at);
                "unknown".into()
            }
        }
    }

    fn code<'t>(&mut self, row: &Row<'t>) -> CodeableConcept<'t> {
        let words = row.get(Column::ItemName);
        let own = row.get(Column::Item);
        if row.jlac10.is_empty() && !own.is_empty() {
            let at = row.place(Column::Item);
            self.note(Code::MAP_UNKNOWN_CODE, Severity::Warning, at);
        }
        let mut coding = self.coding("JC10", Cow::Borrowed(row.jlac10), words);
        coding.extend(self.coding("lab-item", Cow::Borrowed(own), words));
        CodeableConcept {
            coding,
            text: row
                .first(&[Column::ItemName, Column::Item, Column::Jlac10])
                .into(),
            ..CodeableConcept::default()
        }
    }

    fn performer<'t>(&self, row: &Row<'t>) -> Vec<Reference<'t>> {
        match row.get(Column::Lab) {
            "" => Vec::new(),
            number => {
                let system = identifier::local(self.options().facility.as_str(), "lab");
                let number = Identifier::new(system, number);
                vec![Reference::to_identified(
                    "Organization",
                    number,
                    row.get(Column::LabName),
                )]
            }
        }
    }

    fn value<'t>(&mut self, row: &Row<'t>) -> Option<ObservationValue<'t>> {
        let form = row.get(Column::Form);
        let said = match form {
            "U" | "以上" | ">=" => ">=",
            "E" | "以下" | "<=" => "<=",
            "L" | "未満" | "<" => "<",
            "O" | "超過" | ">" => ">",
            _ => "",
        };
        let result = row.get(Column::Result);
        let is_known = !said.is_empty() || matches!(form, "" | "B" | "N" | "=");
        if !is_known && !result.is_empty() {
            let at = row.place(Column::Result);
            self.note(Code::MAP_UNKNOWN_CODE, Severity::Warning, at);
        }
        match results::read(result) {
            Reading::Nothing => None,
            Reading::Number { comparator, number } => {
                let comparator = if comparator.is_empty() {
                    said
                } else {
                    comparator
                };
                let quantity = self.quantity(comparator, number, row, Column::Result);
                Some(ObservationValue::Quantity(quantity))
            }
            Reading::Grade(grade, spelled) => {
                let known = match grade {
                    Grade::Positive => Some(("1", "陽性")),
                    Grade::Negative => Some(("2", "陰性")),
                    Grade::Undecided if spelled.contains("保留") => Some(("3", "判定保留")),
                    Grade::Undecided | Grade::Degree => None,
                };
                let coding = known.map(|(code, words)| Coding::new(POSITIVE_NEGATIVE, code, words));
                Some(ObservationValue::CodeableConcept(CodeableConcept {
                    coding: coding.into_iter().collect(),
                    text: spelled,
                    ..CodeableConcept::default()
                }))
            }
            Reading::Text(_) => Some(ObservationValue::String(result.into())),
        }
    }

    fn quantity<'t>(
        &mut self,
        comparator: &'static str,
        number: Decimal<'t>,
        row: &Row<'t>,
        column: Column,
    ) -> Quantity<'t> {
        let unit = row.get(Column::Unit);
        let code = (!unit.is_empty()).then(|| ucum::code(unit)).flatten();
        if code.is_none() && !unit.is_empty() {
            self.note(Code::MAP_UNKNOWN_UNIT, Severity::Info, row.place(column));
        }
        Quantity {
            value: Some(number),
            comparator: comparator.into(),
            unit: unit.into(),
            system: code.as_ref().map_or("", |_| ucum::SYSTEM).into(),
            code: code.unwrap_or_default(),
        }
    }

    fn interpretation(&mut self, row: &Row<'_>) -> Vec<CodeableConcept<'static>> {
        let sent = row.get(Column::Flag);
        if sent.is_empty() {
            return Vec::new();
        }
        let folded = results::fold(sent);
        let mut known = INTERPRETATIONS.iter();
        match known.find(|code| code.eq_ignore_ascii_case(&folded)) {
            Some(code) => vec![CodeableConcept::of_coding(Coding::new(
                system::INTERPRETATION,
                *code,
                "",
            ))],
            None => {
                let at = row.place(Column::Flag);
                self.note(Code::MAP_UNKNOWN_CODE, Severity::Warning, at);
                vec![CodeableConcept::of_text(sent.to_owned())]
            }
        }
    }

    fn range<'t>(&mut self, row: &Row<'t>) -> ReferenceRange<'t> {
        let sent = row.get(Column::Range);
        if let Some(read) = range::read(sent) {
            if read.is_words {
                let at = row.place(Column::Range);
                self.note(Code::MAP_RANGE_AS_TEXT, Severity::Info, at);
            }
            let mut end = |end: Option<Decimal<'_>>| {
                let number = end.map(Decimal::into_owned);
                number.map(|number| self.quantity("", number, row, Column::Range))
            };
            return ReferenceRange {
                low: end(read.low).unwrap_or_default(),
                high: end(read.high).unwrap_or_default(),
                text: sent.into(),
                ..ReferenceRange::default()
            };
        }
        let mut end = |column: Column| match results::read(row.get(column)) {
            Reading::Number {
                comparator: "",
                number,
            } => self.quantity("", number, row, Column::Low),
            Reading::Nothing => Quantity::default(),
            _ => {
                let at = row.place(Column::Low);
                self.note(Code::MAP_BAD_NUMBER, Severity::Warning, at);
                Quantity::default()
            }
        };
        ReferenceRange {
            low: end(Column::Low),
            high: end(Column::High),
            ..ReferenceRange::default()
        }
    }
}

/// A name in one representation; one without a blank is not divided by guessing.
fn name<'t>(form: &'static str, text: &'t str) -> HumanName<'t> {
    let (family, given) = match text.split_once(' ') {
        Some((family, given)) => (family, given.split(' ').map(Text::from).collect()),
        None => ("", Vec::new()),
    };
    HumanName {
        r#use: "official".into(),
        text: text.into(),
        family: family.into(),
        given,
        ..HumanName::represented(form)
    }
}
