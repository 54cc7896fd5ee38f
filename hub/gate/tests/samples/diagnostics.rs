//! Observation, DiagnosticReport, Specimen.

use renkei_fhir::emit::*;
use renkei_fhir::jp_core::{profile, system};

use super::parts::*;

pub(super) fn all() -> Vec<(&'static str, String)> {
    let mut samples = vec![
        ("Observation (lab)", lab().to_json()),
        ("Observation (vital sign)", vital_sign().to_json()),
        ("Observation (weight)", weight().to_json()),
        (
            "Specimen",
            specimen("specimen-1", Collected::DateTime(TIME.into())).to_json(),
        ),
        (
            "Specimen (period)",
            specimen("specimen-2", Collected::Period(period())).to_json(),
        ),
        ("DiagnosticReport", report().to_json()),
    ];
    let times = [
        Effective::Period(period()),
        Effective::Absent(PrimitiveExtension::data_absent("unknown")),
        Effective::DateTime("2025-01".into()),
    ];
    for effective in times {
        let observation = Observation {
            effective: Some(effective),
            value: None,
            ..lab()
        };
        samples.push(("Observation (times)", observation.to_json()));
    }
    for value in values() {
        let component = ObservationComponent {
            value: Some(value.clone()),
            ..component()
        };
        let observation = Observation {
            meta: meta(profile::OBSERVATION_COMMON),
            value: Some(value),
            component: vec![component],
            ..lab()
        };
        samples.push(("Observation (values)", observation.to_json()));
    }
    samples
}

fn values() -> Vec<ObservationValue<'static>> {
    vec![
        ObservationValue::CodeableConcept(concept()),
        ObservationValue::String(" 2 +".trim().into()),
        ObservationValue::Boolean(false),
        ObservationValue::Integer(-1),
        ObservationValue::Range(Box::new(range())),
        ObservationValue::Ratio(Box::new(ratio())),
        ObservationValue::DateTime(TIME.into()),
        ObservationValue::Period(period()),
    ]
}

fn reference_range() -> ReferenceRange<'static> {
    ReferenceRange {
        low: Quantity::in_ucum(number("3.8"), "g/dL", "g/dL"),
        high: Quantity::in_ucum(number("5.20"), "g/dL", "g/dL"),
        r#type: concept(),
        applies_to: vec![concept()],
        text: "3.8-5.2".into(),
    }
}

fn component() -> ObservationComponent<'static> {
    ObservationComponent {
        code: concept(),
        value: Some(ObservationValue::Quantity(quantity())),
        data_absent_reason: coded(system::DATA_ABSENT_REASON, "unknown", "Unknown"),
        interpretation: vec![coded(system::INTERPRETATION, "L", "Low")],
        reference_range: vec![reference_range()],
    }
}

fn lab() -> Observation<'static> {
    Observation {
        id: "lab-1".into(),
        meta: meta(profile::OBSERVATION_LAB),
        contained: vec![Contained::Specimen(Box::new(specimen(
            "material",
            Collected::DateTime(TIME.into()),
        )))],
        extension: vec![extension()],
        identifier: vec![identifier()],
        based_on: vec![reference("ServiceRequest")],
        part_of: vec![reference("Procedure")],
        status: "final".into(),
        category: vec![coded(system::OBSERVATION_CATEGORY, "laboratory", "")],
        code: coded(system::JLAC10, "3A015000002327101", "アルブミン"),
        subject: reference("Patient"),
        encounter: reference("Encounter"),
        effective: Some(Effective::DateTime(TIME.into())),
        issued: "2025-01-11T09:30:00+09:00".into(),
        performer: vec![reference("Organization")],
        value: Some(ObservationValue::Quantity(quantity())),
        data_absent_reason: CodeableConcept::default(), // obs-6: only without a value
        interpretation: vec![coded(system::INTERPRETATION, "L", "Low")],
        note: vec![annotation()],
        body_site: concept(),
        method: concept(),
        specimen: Reference::to_contained("material"),
        device: reference("Device"),
        reference_range: vec![reference_range()],
        has_member: vec![reference("Observation")],
        derived_from: vec![reference("Observation")],
        component: vec![],
    }
}

fn vital_sign() -> Observation<'static> {
    let pressure =
        |code: &'static str, name: &'static str, value: &'static str| ObservationComponent {
            code: coded(system::NURSING_OBSERVATION, code, name),
            value: Some(ObservationValue::Quantity(Quantity::in_ucum(
                number(value),
                "mmHg",
                "mm[Hg]",
            ))),
            ..ObservationComponent::default()
        };
    Observation {
        meta: meta(profile::OBSERVATION_VITAL_SIGNS),
        category: vec![coded(system::OBSERVATION_CATEGORY, "vital-signs", "")],
        code: coded(system::NURSING_OBSERVATION, "31002716", "血圧"),
        value: None,
        data_absent_reason: coded(system::DATA_ABSENT_REASON, "unknown", "Unknown"),
        component: vec![
            pressure("31000346", "収縮期血圧", "128"),
            pressure("31000347", "拡張期血圧", "71.0"),
        ],
        ..lab()
    }
}

fn weight() -> Observation<'static> {
    Observation {
        meta: meta(profile::OBSERVATION_BODY_MEASUREMENT),
        category: vec![
            coded(system::OBSERVATION_CATEGORY, "body-measurement", ""),
            coded(system::BODY_MEASUREMENT_CATEGORY, "weight", ""),
        ],
        code: coded(system::BODY_MEASUREMENT, "31000296", "体重"),
        value: Some(ObservationValue::Quantity(Quantity::in_ucum(
            number("48.50"),
            "kg",
            "kg",
        ))),
        ..lab()
    }
}

fn specimen(id: &'static str, collected: Collected<'static>) -> Specimen<'static> {
    Specimen {
        id: id.into(),
        meta: Meta::of_profile(profile::SPECIMEN),
        extension: vec![extension()],
        identifier: vec![identifier()],
        accession_identifier: identifier(),
        status: "available".into(),
        r#type: coded(system::SPECIMEN_MATERIAL, "023", "血清"),
        subject: reference("Patient"),
        received_time: TIME.into(),
        request: vec![reference("ServiceRequest")],
        collection: SpecimenCollection {
            collector: reference("Practitioner"),
            collected: Some(collected),
            quantity: Quantity::in_ucum(number("5.0"), "mL", "mL"),
            method: concept(),
            body_site: concept(),
        },
        note: vec![annotation()],
    }
}

fn report() -> DiagnosticReport<'static> {
    let (code, display) = system::LAB_REPORT;
    DiagnosticReport {
        id: "report-1".into(),
        meta: meta(profile::DIAGNOSTIC_REPORT_LAB),
        contained: vec![Contained::Specimen(Box::new(specimen(
            "material",
            Collected::DateTime(TIME.into()),
        )))],
        extension: vec![extension()],
        identifier: vec![identifier()],
        based_on: vec![reference("ServiceRequest")],
        status: "final".into(),
        category: vec![coded(system::LOINC, system::LAB_REPORT_CATEGORY, "")],
        code: coded(system::DOCUMENT, code, display),
        subject: reference("Patient"),
        encounter: reference("Encounter"),
        effective: Some(Effective::DateTime(TIME.into())),
        issued: "2025-01-11T09:30:00+09:00".into(),
        performer: vec![reference("Organization")],
        results_interpreter: vec![reference("Practitioner")],
        specimen: vec![Reference::to_contained("material")],
        result: vec![reference("Observation")],
        imaging_study: vec![reference("ImagingStudy")],
        conclusion: "見本の所見".into(),
        conclusion_code: vec![concept()],
        presented_form: vec![attachment()],
    }
}
