//! Data types, every field filled.

use renkei_fhir::Decimal;
use renkei_fhir::emit::*;
use renkei_fhir::jp_core::{identifier, profile, system};

pub(super) const FACILITY: &str = "1312345670";
pub(super) const TIME: &str = "2025-01-11T07:00:00+09:00";

pub(super) fn number(text: &'static str) -> Decimal<'static> {
    Decimal::parse(text).unwrap()
}

pub(super) fn meta(profile: &'static str) -> Meta<'static> {
    Meta {
        last_updated: "2025-01-31T11:00:00+09:00".into(),
        source: "urn:uuid:5d1a9d3e-0f0c-4b52-8c2e-0a7c1f5d9e10".into(),
        profile: vec![profile.into()],
        security: vec![coding()],
        tag: vec![coding()],
    }
}

pub(super) fn coding() -> Coding<'static> {
    Coding {
        system: "http://example.invalid/CodeSystem/sample".into(),
        version: "1".into(),
        code: "A1".into(),
        display: "見本".into(),
        user_selected: Some(true),
    }
}

pub(super) fn coded(
    system: &'static str,
    code: &'static str,
    display: &'static str,
) -> CodeableConcept<'static> {
    CodeableConcept {
        extension: vec![],
        coding: vec![Coding::new(system, code, display)],
        text: display.into(),
    }
}

pub(super) fn concept() -> CodeableConcept<'static> {
    CodeableConcept {
        extension: vec![extension()],
        coding: vec![coding()],
        text: "見本".into(),
    }
}

pub(super) fn extension() -> Extension<'static> {
    Extension::new(
        "http://example.invalid/StructureDefinition/sample",
        ExtensionValue::String("見本".into()),
    )
}

/// An extension of every value type, and one that holds others.
pub(super) fn every_extension() -> Vec<Extension<'static>> {
    let values = vec![
        ExtensionValue::Boolean(true),
        ExtensionValue::Code("A1".into()),
        ExtensionValue::CodeableConcept(concept()),
        ExtensionValue::Coding(coding()),
        ExtensionValue::Date("2025-01".into()),
        ExtensionValue::DateTime(TIME.into()),
        ExtensionValue::Decimal(number("6.80")),
        ExtensionValue::Duration(Quantity::in_days(14.into())),
        ExtensionValue::Identifier(Box::new(identifier())),
        ExtensionValue::Integer(-3),
        ExtensionValue::Period(period()),
        ExtensionValue::Quantity(quantity()),
        ExtensionValue::Range(Box::new(range())),
        ExtensionValue::Ratio(Box::new(ratio())),
        ExtensionValue::Reference(reference("Patient")),
        ExtensionValue::String("見本".into()),
        ExtensionValue::Uri("urn:oid:1.2.3".into()),
    ];
    let simple = values.into_iter().map(|value| Extension {
        extension: vec![],
        url: "http://example.invalid/StructureDefinition/sample".into(),
        value: Some(value),
    });
    let nested = Extension {
        extension: vec![extension()],
        url: "http://example.invalid/StructureDefinition/group".into(),
        value: None,
    };
    simple.chain([nested]).collect()
}

pub(super) fn identifier() -> Identifier<'static> {
    Identifier {
        r#use: "usual".into(),
        r#type: concept(),
        system: identifier::RESOURCE_INSTANCE.into(),
        value: "0001-1".into(),
        period: period(),
    }
}

pub(super) fn period() -> Period<'static> {
    Period {
        start: "2025-01-11".into(),
        end: "2025-01-31T11:00:00+09:00".into(),
    }
}

pub(super) fn quantity() -> Quantity<'static> {
    Quantity {
        value: Some(number("6.80")),
        comparator: "<".into(),
        unit: "g/dL".into(),
        system: renkei_fhir::ucum::SYSTEM.into(),
        code: "g/dL".into(),
    }
}

pub(super) fn tablets(value: &'static str) -> Quantity<'static> {
    Quantity {
        value: Some(number(value)),
        comparator: "".into(),
        unit: "錠".into(),
        system: system::DRUG_UNIT.into(),
        code: "TAB".into(),
    }
}

pub(super) fn range() -> Range<'static> {
    Range {
        low: tablets("1"),
        high: tablets("2"),
    }
}

pub(super) fn ratio() -> Ratio<'static> {
    Ratio {
        extension: vec![],
        numerator: tablets("3"),
        denominator: Quantity::in_days(1.into()),
    }
}

pub(super) fn reference(kind: &'static str) -> Reference<'static> {
    Reference {
        reference: format!("{kind}/sample-1").into(),
        r#type: kind.into(),
        identifier: Some(Box::new(identifier())),
        display: "見本".into(),
    }
}

pub(super) fn annotation() -> Annotation<'static> {
    Annotation {
        author_string: "架空 太郎".into(),
        time: TIME.into(),
        text: "見本の注記".into(),
    }
}

pub(super) fn attachment() -> Attachment<'static> {
    Attachment {
        content_type: "application/pdf".into(),
        language: "ja".into(),
        data: "JVBERi0=".into(),
        url: "Binary/sample-1".into(),
        size: Some(5),
        hash: "L9ThxnotKPzthJ7hu3bnORuT6xI=".into(),
        title: "退院時サマリー".into(),
        creation: TIME.into(),
    }
}

pub(super) fn name() -> HumanName<'static> {
    HumanName {
        r#use: "official".into(),
        text: "見本 花子".into(),
        family: "見本".into(),
        given: vec!["花子".into()],
        prefix: vec!["Dr.".into()],
        period: period(),
        ..HumanName::represented("IDE")
    }
}

pub(super) fn address() -> Address<'static> {
    Address {
        r#use: "home".into(),
        r#type: "physical".into(),
        text: "東京都架空区見本町1-2-3".into(),
        line: vec!["見本町1-2-3".into()],
        city: "架空区".into(),
        district: "見本郡".into(),
        state: "東京都".into(),
        postal_code: "105-0003".into(),
        country: "JP".into(),
        period: period(),
    }
}

pub(super) fn telecom() -> ContactPoint<'static> {
    ContactPoint {
        extension: vec![extension()],
        system: "phone".into(),
        value: "03-0000-0000".into(),
        r#use: "home".into(),
        rank: Some(1),
        period: period(),
    }
}

pub(super) fn patient_without_extras() -> Patient<'static> {
    Patient {
        id: "sample-1".into(),
        meta: Meta::of_profile(profile::PATIENT),
        identifier: vec![Identifier::new(identifier::patient(FACILITY), "0001")],
        name: vec![HumanName {
            text: "見本 花子".into(),
            ..HumanName::represented("IDE")
        }],
        ..Patient::default()
    }
}
