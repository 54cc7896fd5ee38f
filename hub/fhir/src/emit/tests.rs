//! Exact bytes of the resources that matter most.

use super::*;
use crate::Decimal;

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
        patient.to_json().unwrap(),
        r#"{"resourceType":"Patient","id":"p1","name":[{"given":["京子"]}]}"#
    );
}

#[test]
fn lab_observation() {
    let observation = Observation {
        id: "o1".into(),
        status: "final".into(),
        code: CodeableConcept {
            coding: vec![Coding::new("http://loinc.org", "1751-7", "Alb")],
            text: "アルブミン".into(),
            ..CodeableConcept::default()
        },
        effective: Some(Effective::DateTime("2025-01-11T07:00:00+09:00".into())),
        value: Some(ObservationValue::Quantity(Quantity::in_ucum(
            Decimal::parse("3.10").unwrap(),
            "g/dL",
            "g/dL",
        ))),
        ..Observation::default()
    };
    assert_eq!(
        observation.to_json().unwrap(),
        concat!(
            r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","#,
            r#""code":"1751-7","display":"Alb"}],"text":"アルブミン"},"effectiveDateTime":"2025-01-11T07:00:00+09:00","#,
            r#""valueQuantity":{"value":3.10,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"}}"#,
        )
    );
}
