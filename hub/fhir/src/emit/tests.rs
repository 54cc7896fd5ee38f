//! Exact bytes of the resources that matter most.

use serde_json::json;

use super::*;
use crate::Decimal;
use crate::jp_core::{identifier, profile, system};

#[test]
fn empty_parts_leave_no_trace() {
    let patient = Patient {
        id: "p1".into(),
        meta: Meta {
            profile: vec!["".into()],
            ..Meta::default()
        },
        name: vec![
            HumanName::default(),
            HumanName {
                given: vec!["".into(), "京子".into()],
                ..HumanName::default()
            },
        ],
        telecom: vec![ContactPoint::default()],
        deceased: Some(Deceased::DateTime("".into())),
        managing_organization: Reference {
            identifier: Some(Box::default()),
            ..Reference::default()
        },
        ..Patient::default()
    };
    assert_eq!(
        patient.to_json(),
        r#"{"resourceType":"Patient","id":"p1","name":[{"given":["京子"]}]}"#
    );
}

#[test]
fn patient() {
    let patient = Patient {
        id: "p1".into(),
        meta: Meta::of_profile(profile::PATIENT),
        identifier: vec![Identifier::new(
            identifier::patient("1312345670"),
            "0000123456",
        )],
        name: vec![HumanName {
            r#use: "official".into(),
            text: "山本 京子".into(),
            family: "山本".into(),
            given: vec!["京子".into()],
            ..HumanName::represented("IDE")
        }],
        gender: "female".into(),
        birth_date: "1939-02-15".into(),
        ..Patient::default()
    };
    let expected = concat!(
        r#"{"resourceType":"Patient","id":"p1","#,
        r#""meta":{"profile":["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Patient"]},"#,
        r#""identifier":[{"system":"urn:oid:1.2.392.100495.20.3.51.11312345670","value":"0000123456"}],"#,
        r#""name":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation","#,
        r#""valueCode":"IDE"}],"use":"official","text":"山本 京子","family":"山本","given":["京子"]}],"#,
        r#""gender":"female","birthDate":"1939-02-15"}"#,
    );
    assert_eq!(patient.to_json(), expected);
    assert_eq!(
        patient.clone().to_json(),
        expected,
        "the same values give the same bytes"
    );
}

#[test]
fn laboratory_observation() {
    let material = Specimen {
        id: "s".into(),
        r#type: CodeableConcept::of_coding(Coding::new(system::SPECIMEN_MATERIAL, "023", "血清")),
        ..Specimen::default()
    };
    let observation = Observation {
        id: "o1".into(),
        contained: vec![Contained::Specimen(Box::new(material))],
        status: "final".into(),
        category: vec![CodeableConcept::of_coding(Coding::new(
            system::OBSERVATION_CATEGORY,
            "laboratory",
            "",
        ))],
        code: CodeableConcept {
            coding: vec![Coding::new(system::JLAC10, "3A015000002327101", "")],
            text: "アルブミン".into(),
            ..CodeableConcept::default()
        },
        effective: Some(Effective::DateTime("2025-01-11T07:00:00+09:00".into())),
        value: Some(ObservationValue::Quantity(Quantity::in_ucum(
            Decimal::parse("3.10").unwrap(),
            "g/dL",
            "g/dL",
        ))),
        specimen: Reference::to_contained("s"),
        ..Observation::default()
    };
    assert_eq!(
        observation.to_json(),
        concat!(
            r#"{"resourceType":"Observation","id":"o1","contained":[{"resourceType":"Specimen","id":"s","#,
            r#""type":{"coding":[{"system":"http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationSampleMaterialCode_CS","#,
            r#""code":"023","display":"血清"}]}}],"status":"final","category":[{"coding":[{"#,
            r#""system":"http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS","code":"laboratory"}]}],"#,
            r#""code":{"coding":[{"system":"http://medis.or.jp/CodeSystem/master-JLAC10-17digits","#,
            r#""code":"3A015000002327101"}],"text":"アルブミン"},"effectiveDateTime":"2025-01-11T07:00:00+09:00","#,
            r#""valueQuantity":{"value":3.10,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"},"#,
            r##""specimen":{"reference":"#s"}}"##,
        )
    );
}

#[test]
fn prescription() {
    let tablets = |value| Quantity {
        unit: "錠".into(),
        system: system::DRUG_UNIT.into(),
        code: "TAB".into(),
        value: Decimal::parse(value),
        ..Quantity::default()
    };
    let request = MedicationRequest {
        id: "m1".into(),
        identifier: vec![
            Identifier::new(identifier::RP_NUMBER, "1"),
            Identifier::new(identifier::ORDER_IN_RP, "2"),
        ],
        status: "active".into(),
        intent: "order".into(),
        medication: Some(MedicationChoice::CodeableConcept(CodeableConcept::of_text(
            "架空錠5mg",
        ))),
        subject: Reference::to("Patient/p1"),
        authored_on_absent: PrimitiveExtension::data_absent("unknown"),
        dosage_instruction: vec![Dosage {
            text: "1日3回毎食後".into(),
            as_needed_boolean: Some(false),
            dose_and_rate: vec![DoseAndRate {
                dose_quantity: tablets(".5"),
                rate: Some(Rate::Ratio(Box::new(Ratio {
                    numerator: tablets("1.50"),
                    denominator: Quantity::in_days(1.into()),
                    ..Ratio::default()
                }))),
                ..DoseAndRate::default()
            }],
            ..Dosage::default()
        }],
        dispense_request: DispenseRequest {
            expected_supply_duration: Quantity::in_days(14.into()),
            ..Default::default()
        },
        ..MedicationRequest::default()
    };
    let merit9 = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code";
    let days = |value| json!({"value": value, "unit": "日", "system": "http://unitsofmeasure.org", "code": "d"});
    let expected = json!({
        "resourceType": "MedicationRequest",
        "id": "m1",
        "identifier": [
            {"system": "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber", "value": "1"},
            {"system": "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex", "value": "2"},
        ],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "架空錠5mg"},
        "subject": {"reference": "Patient/p1"},
        "_authoredOn": {"extension": [{
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown",
        }]},
        "dosageInstruction": [{
            "text": "1日3回毎食後",
            "asNeededBoolean": false,
            "doseAndRate": [{
                "doseQuantity": {"value": 0.5, "unit": "錠", "system": merit9, "code": "TAB"},
                "rateRatio": {
                    "numerator": {"value": 1.5, "unit": "錠", "system": merit9, "code": "TAB"},
                    "denominator": days(1),
                },
            }],
        }],
        "dispenseRequest": {"expectedSupplyDuration": days(14)},
    });
    let expected = expected.to_string().replace("1.5,", "1.50,");
    assert_eq!(request.to_json(), expected);
}
