//! Patient, Coverage, Organization, Practitioner, Encounter.

use renkei_fhir::emit::*;
use renkei_fhir::jp_core::{extension, identifier, profile, system};

use super::parts::*;

pub(super) fn all() -> Vec<(&'static str, String)> {
    let died = Patient {
        deceased: Some(Deceased::DateTime(TIME.into())),
        ..patient()
    };
    vec![
        ("Patient", patient().to_json()),
        ("Patient (died)", died.to_json()),
        ("Coverage", coverage().to_json()),
        ("Organization", organization("sample-1").to_json()),
        ("Practitioner", practitioner("sample-1").to_json()),
        ("Encounter", encounter().to_json()),
    ]
}

fn patient() -> Patient<'static> {
    Patient {
        id: "sample-1".into(),
        meta: meta(profile::PATIENT),
        extension: every_extension(),
        identifier: vec![
            Identifier::new(identifier::patient(FACILITY), "0001"),
            identifier(),
        ],
        active: Some(true),
        name: vec![name()],
        telecom: vec![telecom()],
        gender: "female".into(),
        birth_date: "1939-02-15".into(),
        deceased: Some(Deceased::Boolean(false)),
        address: vec![address()],
        marital_status: concept(),
        contact: vec![PatientContact {
            relationship: vec![concept()],
            name: name(),
            telecom: vec![telecom()],
            address: address(),
            gender: "male".into(),
            organization: reference("Organization"),
            period: period(),
        }],
        communication: vec![PatientCommunication {
            language: concept(),
            preferred: Some(true),
        }],
        general_practitioner: vec![reference("Practitioner")],
        managing_organization: reference("Organization"),
        link: vec![PatientLink {
            other: reference("Patient"),
            r#type: "seealso".into(),
        }],
    }
}

fn coverage() -> Coverage<'static> {
    let text = |url, text: &'static str| Extension::new(url, ExtensionValue::String(text.into()));
    Coverage {
        id: "coverage-1".into(),
        meta: meta(profile::COVERAGE),
        contained: vec![Contained::Organization(Box::new(organization("payor")))],
        extension: vec![
            text(extension::INSURED_SYMBOL, "あ"),
            text(extension::INSURED_NUMBER, "187"),
            text(extension::INSURED_SUB_NUMBER, "05"),
        ],
        identifier: vec![Identifier::new(
            identifier::INSURED_PERSON,
            "00012345:あ:187:05",
        )],
        status: "active".into(),
        r#type: coded(system::INSURANCE_CATEGORY, "1", "医保"),
        policy_holder: reference("Patient"),
        subscriber: reference("Patient"),
        subscriber_id: "あ:187".into(),
        beneficiary: reference("Patient"),
        dependent: "05".into(),
        relationship: coded(system::SUBSCRIBER_RELATIONSHIP, "self", "Self"),
        period: period(),
        payor: vec![Reference::to_contained("payor")],
        class: vec![CoverageClass {
            r#type: concept(),
            value: "1".into(),
            name: "見本".into(),
        }],
        order: Some(1),
        cost_to_beneficiary: vec![CoverageCost {
            r#type: concept(),
            value_quantity: percent(),
        }],
    }
}

fn percent() -> Quantity<'static> {
    Quantity::in_ucum(number("30"), "%", "%")
}

pub(super) fn organization(id: &'static str) -> Organization<'static> {
    let prefecture = ExtensionValue::Coding(Coding::new(system::PREFECTURE, "13", "東京都"));
    let category = ExtensionValue::Coding(Coding::new(system::FEE_TABLE, "1", "医科"));
    let number = ExtensionValue::Identifier(Box::new(Identifier::new(
        identifier::MEDICAL_ORGANIZATION,
        "2345670",
    )));
    Organization {
        id: id.into(),
        meta: Meta::of_profile(profile::ORGANIZATION),
        extension: vec![
            Extension::new(extension::ORGANIZATION_PREFECTURE, prefecture),
            Extension::new(extension::ORGANIZATION_CATEGORY, category),
            Extension::new(extension::ORGANIZATION_NO, number),
        ],
        identifier: vec![
            Identifier::new(identifier::MEDICAL_INSTITUTION, FACILITY),
            Identifier::new(identifier::INSURER, "00012345"),
        ],
        active: Some(true),
        r#type: vec![coded(
            system::ORGANIZATION_TYPE,
            "prov",
            "Healthcare Provider",
        )],
        name: "架空総合病院".into(),
        alias: vec!["架空病院".into()],
        telecom: vec![ContactPoint {
            r#use: "work".into(),
            ..telecom()
        }],
        address: vec![Address {
            r#use: "work".into(),
            ..address()
        }],
        part_of: reference("Organization"),
    }
}

pub(super) fn practitioner(id: &'static str) -> Practitioner<'static> {
    Practitioner {
        id: id.into(),
        meta: Meta::of_profile(profile::PRACTITIONER),
        extension: vec![extension()],
        identifier: vec![Identifier::new(identifier::doctor(FACILITY), "ishi01")],
        active: Some(true),
        name: vec![name()],
        telecom: vec![telecom()],
        address: vec![address()],
        gender: "male".into(),
        birth_date: "1970-01".into(),
        qualification: vec![PractitionerQualification {
            identifier: vec![Identifier::new(identifier::MEDICAL_REGISTRATION, "123456")],
            code: CodeableConcept::of_coding(Coding::new(
                system::LICENSE,
                "medical-registration",
                "",
            )),
            period: period(),
            issuer: reference("Organization"),
        }],
    }
}

fn encounter() -> Encounter<'static> {
    let planned =
        |url, time: &'static str| Extension::new(url, ExtensionValue::DateTime(time.into()));
    Encounter {
        id: "stay-1".into(),
        meta: meta(profile::ENCOUNTER),
        contained: vec![Contained::Practitioner(Box::new(practitioner("attending")))],
        extension: vec![
            planned(extension::PLANNED_START, "2025-01-10"),
            planned(extension::PLANNED_END, "2025-01-31"),
        ],
        identifier: vec![identifier()],
        status: "finished".into(),
        class: Coding::new(system::ACT_CODE, "IMP", "inpatient encounter"),
        r#type: vec![concept()],
        service_type: coded(system::DEPARTMENT, "01", "内科"),
        subject: reference("Patient"),
        based_on: vec![reference("ServiceRequest")],
        participant: vec![EncounterParticipant {
            r#type: vec![coded(system::PARTICIPATION_TYPE, "ATND", "attender")],
            period: period(),
            individual: Reference::to_contained("attending"),
        }],
        period: period(),
        length: Quantity::in_days(20.into()),
        reason_code: vec![concept()],
        diagnosis: vec![EncounterDiagnosis {
            condition: reference("Condition"),
            r#use: coded(system::DIAGNOSIS_ROLE, "AD", "Admission diagnosis"),
            rank: Some(1),
        }],
        hospitalization: EncounterHospitalization {
            origin: reference("Location"),
            admit_source: concept(),
            destination: reference("Organization"),
            discharge_disposition: coded(system::DISCHARGE_DISPOSITION, "06", "自宅(訪問看護)"),
        },
        location: vec![EncounterLocation {
            location: Reference {
                display: "A棟 301 1".into(),
                ..Reference::default()
            },
            status: "completed".into(),
            physical_type: coded(system::LOCATION_TYPE, "bd", "Bed"),
            period: period(),
        }],
        service_provider: reference("Organization"),
        part_of: reference("Encounter"),
    }
}
