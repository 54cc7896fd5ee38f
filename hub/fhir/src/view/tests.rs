//! Views read back what emit wrote.

use super::*;
use crate::Decimal;
use crate::emit::{self, CodeableConcept, Coding, HumanName, Identifier, Quantity, Reference};
use crate::jp_core::{extension, identifier, system};

#[test]
fn patient() {
    let json = emit::Patient {
        id: "p1".into(),
        identifier: vec![Identifier::new(identifier::patient("1312345670"), "0001")],
        name: vec![
            HumanName {
                text: "山本 京子".into(),
                family: "山本".into(),
                ..HumanName::represented("IDE")
            },
            HumanName {
                text: "ヤマモト キョウコ".into(),
                ..HumanName::represented("SYL")
            },
        ],
        gender: "female".into(),
        birth_date: "1939-02-15".into(),
        address: vec![emit::Address {
            postal_code: "105-0003".into(),
            text: "架空区\"1\"".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
    .to_json();
    let view = PatientView::parse(&json).unwrap_or_default();
    assert!(
        view.name_in("SYL")
            .is_some_and(|name| name.text == *"ヤマモト キョウコ")
    );
    assert!(
        view.name_in("IDE")
            .is_some_and(|name| name.family == *"山本")
    );
    assert!(view.name_in("ABC").is_none());
    assert!(view.birth_date == *"1939-02-15" && view.gender == *"female" && view.id == *"p1");
    assert!(view.address[0].postal_code == *"105-0003" && view.address[0].text == *"架空区\"1\"");
    assert!(
        matches!(&view.birth_date.0, Cow::Borrowed(_))
            && matches!(&view.name[0].text.0, Cow::Borrowed(_))
    );
    assert_eq!(
        identifier_of(&view.identifier, &identifier::patient("1312345670")),
        "0001"
    );
}

#[test]
fn observation_keeps_the_number_as_written() {
    let json = emit::Observation {
        status: "final".into(),
        category: vec![CodeableConcept::of_coding(Coding::new(
            system::OBSERVATION_CATEGORY,
            "laboratory",
            "",
        ))],
        code: CodeableConcept::of_text("アルブミン"),
        effective: Some(emit::Effective::DateTime(
            "2025-01-11T07:00:00+09:00".into(),
        )),
        value: Some(emit::ObservationValue::Quantity(Quantity {
            comparator: "<".into(),
            ..Quantity::in_ucum(Decimal::parse("6.80").unwrap(), "g/dL", "g/dL")
        })),
        interpretation: vec![CodeableConcept::of_coding(Coding::new(
            system::INTERPRETATION,
            "L",
            "",
        ))],
        reference_range: vec![emit::ReferenceRange {
            text: "3.8-5.2".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
    .to_json();
    let view = ObservationView::parse(&json).unwrap_or_default();
    assert_eq!(view.value(), "<6.80 g/dL");
    assert_eq!(view.value_quantity.value.as_str(), "6.80");
    assert_eq!(view.flags().collect::<Vec<_>>(), ["L"]);
    assert_eq!(
        (view.kind(), view.range().as_str(), view.code.words()),
        ("laboratory", "3.8-5.2", "アルブミン")
    );
    assert_eq!(view.effective(), "2025-01-11T07:00:00+09:00");
}

#[test]
fn prescription() {
    let json = emit::MedicationRequest {
        status: "active".into(),
        identifier: vec![
            Identifier::new(identifier::RP_NUMBER, "1"),
            Identifier::new(identifier::ORDER_IN_RP, "2"),
        ],
        category: vec![CodeableConcept::of_coding(Coding::new(
            system::ORDER_CATEGORY,
            "DCG",
            "退院処方",
        ))],
        medication: Some(emit::MedicationChoice::CodeableConcept(
            CodeableConcept::of_text("架空錠5mg"),
        )),
        authored_on: "2025-01-31".into(),
        dosage_instruction: vec![emit::Dosage {
            text: "1日3回毎食後".into(),
            ..Default::default()
        }],
        dispense_request: emit::DispenseRequest {
            expected_supply_duration: Quantity::in_days(14.into()),
            ..Default::default()
        },
        ..Default::default()
    }
    .to_json();
    let view = MedicationRequestView::parse(&json).unwrap_or_default();
    assert_eq!(
        (view.drugs(), view.usage()),
        (vec!["架空錠5mg"], "1日3回毎食後")
    );
    assert_eq!(
        (view.days().as_str(), view.days().to_u32()),
        ("14", Some(14))
    );
    assert_eq!(
        (view.rp_number(), view.order_in_rp(), view.order_number()),
        ("1", "2", "")
    );
    assert!(view.has_category("DCG") && !view.has_category("OHP"));
}

#[test]
fn injection_names_its_mixture() {
    let drug = |name| emit::MedicationIngredient {
        item_codeable_concept: CodeableConcept::of_text(name),
        ..Default::default()
    };
    let mixture = emit::Medication {
        id: "m".into(),
        ingredient: vec![drug("生食"), drug("架空注")],
        ..Default::default()
    };
    let json = emit::MedicationRequest {
        contained: vec![emit::Contained::Medication(Box::new(mixture))],
        medication: Some(emit::MedicationChoice::Reference(Reference::to_contained(
            "m",
        ))),
        ..Default::default()
    }
    .to_json();
    assert!(
        MedicationRequestView::parse(&json).is_ok_and(|view| view.drugs() == ["生食", "架空注"])
    );
}

#[test]
fn stay_and_problem_and_cover() {
    let planned = |url, time: &'static str| {
        emit::Extension::new(url, emit::ExtensionValue::DateTime(time.into()))
    };
    let json = emit::Encounter {
        extension: vec![planned(extension::PLANNED_END, "2025-02-03")],
        status: "in-progress".into(),
        location: [("A棟", "completed"), ("B棟", "active")]
            .map(|(ward, status)| emit::EncounterLocation {
                location: Reference {
                    display: ward.into(),
                    ..Default::default()
                },
                status: status.into(),
                ..Default::default()
            })
            .into(),
        ..Default::default()
    }
    .to_json();
    let stay = EncounterView::parse(&json).unwrap_or_default();
    assert_eq!(
        (stay.place(), stay.planned_start(), stay.planned_end()),
        ("B棟", "", "2025-02-03")
    );

    let principal = Coding::new(system::DIAGNOSIS_TYPE, extension::PRINCIPAL, "");
    let main = emit::ExtensionValue::CodeableConcept(CodeableConcept::of_coding(principal));
    let status = |system, code| CodeableConcept::of_coding(Coding::new(system, code, ""));
    let json = emit::Condition {
        extension: vec![emit::Extension::new(extension::DIAGNOSIS_TYPE, main)],
        clinical_status: status(system::CONDITION_CLINICAL, "active"),
        verification_status: status(system::CONDITION_VERIFICATION, "provisional"),
        ..Default::default()
    }
    .to_json();
    let problem = ConditionView::parse(&json).unwrap_or_default();
    assert!(
        problem.is_main()
            && problem.clinical() == "active"
            && problem.verification() == "provisional"
    );

    let string = |url, text: &'static str| {
        emit::Extension::new(url, emit::ExtensionValue::String(text.into()))
    };
    let json = emit::Coverage {
        extension: vec![
            string(extension::INSURED_NUMBER, "187"),
            string(extension::INSURED_SUB_NUMBER, "05"),
        ],
        payor: vec![Reference::to_identified(
            "Organization",
            Identifier::new(identifier::INSURER, "39130000"),
            "",
        )],
        ..Default::default()
    }
    .to_json();
    let cover = CoverageView::parse(&json).unwrap_or_default();
    assert_eq!((cover.insurer_number(), cover.symbol()), ("39130000", ""));
    assert_eq!((cover.number(), cover.branch()), ("187", "05"));
}

#[test]
fn allergy_and_document() {
    let json = emit::AllergyIntolerance {
        verification_status: CodeableConcept::of_coding(Coding::new(
            system::ALLERGY_VERIFICATION,
            "confirmed",
            "",
        )),
        category: vec!["medication".into()],
        code: CodeableConcept::of_coding(Coding::new("", "", "ペニシリン")),
        ..Default::default()
    }
    .to_json();
    let allergy = AllergyView::parse(&json).unwrap_or_default();
    assert!(
        allergy.stands()
            && allergy.code.words() == "ペニシリン"
            && allergy.category[0] == *"medication"
    );

    let attachment = emit::Attachment {
        content_type: "application/pdf".into(),
        size: Some(1234),
        ..Default::default()
    };
    let json = emit::DocumentReference {
        status: "current".into(),
        r#type: CodeableConcept::of_text("退院時サマリー"),
        content: vec![emit::DocumentContent {
            attachment,
            ..Default::default()
        }],
        ..Default::default()
    }
    .to_json();
    let document = DocumentReferenceView::parse(&json).unwrap_or_default();
    assert_eq!(document.title(), "退院時サマリー");
    assert!(
        document
            .attachment()
            .is_some_and(|file| file.size.to_u32() == Some(1234))
    );
}

#[test]
fn what_is_not_asked_for_is_skipped_and_errors_name_no_data() {
    let json = r#"{"resourceType":"Patient","x":{"y":[1]},"name":[{"given":[null,"京子"],"_given":[{"id":"a"}]}]}"#;
    assert!(PatientView::parse(json).is_ok_and(|view| view.name[0].given.len() == 2));
    let error = PatientView::parse(r#"{"birthDate":19390215}"#).err();
    assert_eq!(
        error.map(|error| error.to_string()).as_deref(),
        Some("stored FHIR is not readable as PatientView, at line 1 column 21")
    );
    assert!(PatientView::parse("[").is_err());
}
