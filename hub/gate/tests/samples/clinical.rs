//! Condition, AllergyIntolerance, MedicationRequest, DocumentReference, Provenance.

use renkei_fhir::emit::*;
use renkei_fhir::jp_core::{extension, identifier, profile, system};

use super::parts::*;
use super::people::practitioner;

pub(super) fn all() -> Vec<(&'static str, String)> {
    let mut samples = vec![
        ("MedicationRequest", prescription().to_json()),
        ("MedicationRequest (injection)", injection().to_json()),
        ("DocumentReference", document().to_json()),
    ];
    for onset in [
        Onset::DateTime("2024".into()),
        Onset::Period(period()),
        Onset::String("3年前".into()),
    ] {
        let abatement = match onset {
            Onset::DateTime(_) => Abatement::DateTime("2025-01-31".into()),
            Onset::Period(_) => Abatement::Period(period()),
            Onset::String(_) => Abatement::String("不明".into()),
        };
        let allergy = AllergyIntolerance {
            onset: Some(onset.clone()),
            ..allergy()
        };
        let condition = Condition {
            onset: Some(onset),
            abatement: Some(abatement),
            ..condition()
        };
        samples.push(("AllergyIntolerance", allergy.to_json()));
        samples.push(("Condition", condition.to_json()));
    }
    for occurred in [Occurred::DateTime(TIME.into()), Occurred::Period(period())] {
        samples.push(("Provenance", provenance(occurred).to_json()));
    }
    samples
}

fn condition() -> Condition<'static> {
    let modifier = |url, code: &'static str, name: &'static str| {
        Extension::new(
            url,
            ExtensionValue::CodeableConcept(coded(system::MODIFIER_EXCHANGE, code, name)),
        )
    };
    let principal = coded(system::DIAGNOSIS_TYPE, extension::PRINCIPAL, "主病名");
    let outcome = coded(system::DISEASE_OUTCOME, "R", "寛解");
    Condition {
        id: "condition-1".into(),
        meta: meta(profile::CONDITION_DIAGNOSIS),
        contained: vec![Contained::Practitioner(Box::new(practitioner("recorder")))],
        extension: vec![
            Extension::new(
                extension::DIAGNOSIS_TYPE,
                ExtensionValue::CodeableConcept(principal),
            ),
            Extension::new(
                extension::DISEASE_OUTCOME,
                ExtensionValue::CodeableConcept(outcome),
            ),
        ],
        identifier: vec![Identifier::new(
            identifier::local(FACILITY, "problem"),
            "P1",
        )],
        clinical_status: coded(system::CONDITION_CLINICAL, "resolved", "Resolved"),
        verification_status: coded(system::CONDITION_VERIFICATION, "provisional", "Provisional"),
        category: vec![coded(
            system::CONDITION_CATEGORY,
            "encounter-diagnosis",
            "Encounter Diagnosis",
        )],
        severity: concept(),
        code: CodeableConcept {
            extension: vec![
                modifier(extension::DISEASE_PREFIX, "1051", "急性"),
                modifier(extension::DISEASE_POSTFIX, "5395", "の疑い"),
            ],
            coding: vec![
                Coding::new(system::DISEASE_KEY, "20054174", "胃炎"),
                Coding::new(system::DISEASE_EXCHANGE, "TSQF", "胃炎"),
                Coding::new(system::ICD10, "K297", ""),
            ],
            text: "急性胃炎の疑い".into(),
        },
        body_site: vec![concept()],
        subject: reference("Patient"),
        encounter: reference("Encounter"),
        onset: None,
        abatement: None,
        recorded_date: "2025-01-11".into(),
        recorder: Reference::to_contained("recorder"),
        asserter: reference("Practitioner"),
        note: vec![annotation()],
    }
}

fn allergy() -> AllergyIntolerance<'static> {
    AllergyIntolerance {
        id: "allergy-1".into(),
        meta: meta(profile::ALLERGY_INTOLERANCE),
        contained: vec![Contained::Practitioner(Box::new(practitioner("recorder")))],
        extension: vec![extension()],
        identifier: vec![identifier()],
        clinical_status: coded(system::ALLERGY_CLINICAL, "active", "Active"),
        verification_status: coded(system::ALLERGY_VERIFICATION, "confirmed", "Confirmed"),
        r#type: "allergy".into(),
        category: vec!["food".into()],
        criticality: "high".into(),
        code: coded(system::ALLERGEN_FOOD, "J9FA00000000", "見本の食品"),
        patient: reference("Patient"),
        encounter: reference("Encounter"),
        onset: None,
        recorded_date: "2025-01-11".into(),
        recorder: Reference::to_contained("recorder"),
        asserter: reference("Patient"),
        last_occurrence: TIME.into(),
        note: vec![annotation()],
        reaction: vec![AllergyReaction {
            substance: concept(),
            manifestation: vec![CodeableConcept::of_text("蕁麻疹")],
            description: "見本".into(),
            onset: "2024-12".into(),
            severity: "moderate".into(),
            exposure_route: concept(),
            note: vec![annotation()],
        }],
    }
}

fn rp(number: &'static str) -> Identifier<'static> {
    Identifier::new(identifier::RP_NUMBER, number)
}

fn prescription() -> MedicationRequest<'static> {
    MedicationRequest {
        id: "drug-1".into(),
        meta: meta(profile::MEDICATION_REQUEST),
        contained: vec![Contained::Practitioner(Box::new(practitioner("doctor")))],
        extension: vec![extension()],
        identifier: vec![
            rp("1"),
            Identifier::new(identifier::ORDER_IN_RP, "1"),
            Identifier::new(identifier::RESOURCE_INSTANCE, "000000000012345"),
        ],
        status: "active".into(),
        status_reason: concept(),
        intent: "order".into(),
        category: vec![
            coded(system::ORDER_CATEGORY, "DCG", "退院処方"),
            coded(system::ORDER_TYPE, "I", "Inpatient Order"),
        ],
        priority: "routine".into(),
        reported_boolean: Some(false),
        medication: Some(MedicationChoice::CodeableConcept(coded(
            system::HOT9,
            "100000001",
            "架空錠5mg",
        ))),
        subject: reference("Patient"),
        encounter: reference("Encounter"),
        supporting_information: vec![reference("Condition")],
        authored_on: TIME.into(),
        authored_on_absent: PrimitiveExtension {
            extension: vec![extension()],
        },
        requester: Reference::to_contained("doctor"),
        performer: reference("Organization"),
        recorder: reference("Practitioner"),
        reason_code: vec![concept()],
        group_identifier: identifier(),
        insurance: vec![reference("Coverage")],
        note: vec![annotation()],
        dosage_instruction: vec![dosage(), dosage_by_range()],
        dispense_request: dispense_request(),
        substitution: Substitution {
            allowed_codeable_concept: coded(system::SUBSTITUTION, "1", "変更不可"),
            reason: concept(),
        },
        prior_prescription: reference("MedicationRequest"),
    }
}

fn dispense_request() -> DispenseRequest<'static> {
    let crushed = coded(system::JHSP0002, "C", "粉砕指示");
    DispenseRequest {
        extension: vec![
            Extension::new(
                extension::INSTRUCTION_FOR_DISPENSE,
                ExtensionValue::CodeableConcept(crushed),
            ),
            Extension::new(
                extension::EXPECTED_REPEAT_COUNT,
                ExtensionValue::Integer(10),
            ),
        ],
        validity_period: period(),
        number_of_repeats_allowed: Some(1),
        quantity: tablets("42"),
        expected_supply_duration: Quantity::in_days(14.into()),
        performer: reference("Organization"),
    }
}

fn dosage() -> Dosage<'static> {
    let from = Period {
        start: "2025-01-31".into(),
        end: "".into(),
    };
    Dosage {
        extension: vec![
            Extension::new(extension::PERIOD_OF_USE, ExtensionValue::Period(from)),
            Extension::new(
                extension::USAGE_DURATION,
                ExtensionValue::Duration(Quantity::in_days(14.into())),
            ),
        ],
        sequence: Some(1),
        text: "内服・経口・1日3回毎食後".into(),
        additional_instruction: vec![coded(system::DRUG_USAGE_SUPPLEMENT, "I1100000", "1日おき")],
        patient_instruction: "かまずにのむ".into(),
        timing: Timing {
            event: vec![TIME.into()],
            repeat: TimingRepeat {
                bounds: Some(Bounds::Duration(Quantity::in_days(14.into()))),
                count: Some(42),
                frequency: Some(3),
                period: Some(1.into()),
                period_unit: "d".into(),
                day_of_week: vec!["mon".into()],
                time_of_day: vec![],
                when: vec!["PCM".into()],
            },
            code: coded(
                system::DRUG_USAGE,
                "1013044400000000",
                "内服・経口・1日3回毎食後",
            ),
        },
        as_needed_boolean: Some(false),
        site: coded(system::BODY_SITE, "18L", "左腕"),
        route: coded(system::ROUTE, "PO", "口"),
        method: CodeableConcept {
            extension: vec![],
            coding: vec![
                Coding::new(system::METHOD_BASIC, "1", "内服"),
                Coding::new(system::METHOD_DETAIL, "10", "経口"),
            ],
            text: "内服".into(),
        },
        dose_and_rate: vec![DoseAndRate {
            r#type: coded(system::STRENGTH_TYPE, "1", "製剤量"),
            dose_quantity: tablets("1"),
            rate: Some(Rate::Ratio(Box::new(ratio()))),
        }],
        max_dose_per_period: ratio(),
        max_dose_per_administration: tablets("2"),
    }
}

/// The other forms of the choices within a dosage.
fn dosage_by_range() -> Dosage<'static> {
    let hour = |value: u32| Quantity::in_ucum(value.into(), "時", "h");
    let at_rate = |rate| DoseAndRate {
        rate: Some(rate),
        ..DoseAndRate::default()
    };
    let hours = Range {
        low: hour(1),
        high: hour(2),
    };
    Dosage {
        timing: Timing {
            repeat: TimingRepeat {
                bounds: Some(Bounds::Period(period())),
                time_of_day: vec!["07:00:00".into()],
                ..TimingRepeat::default()
            },
            ..Timing::default()
        },
        dose_and_rate: vec![
            at_rate(Rate::Range(Box::new(hours))),
            at_rate(Rate::Quantity(Quantity::in_ucum(
                number("40.0"),
                "mL/h",
                "mL/h",
            ))),
        ],
        ..Dosage::default()
    }
}

fn injection() -> MedicationRequest<'static> {
    let strength = || Ratio {
        extension: vec![Extension::new(
            extension::STRENGTH_TYPE,
            ExtensionValue::CodeableConcept(coded(system::STRENGTH_TYPE, "1", "製剤量")),
        )],
        numerator: Quantity {
            unit: "mL".into(),
            code: "ML".into(),
            ..tablets("100")
        },
        denominator: Quantity {
            unit: system::UNIT_TIME.0.into(),
            code: system::UNIT_TIME.1.into(),
            ..tablets("1")
        },
    };
    let mixture = Medication {
        id: "mixture".into(),
        meta: Meta::of_profile(profile::MEDICATION),
        extension: vec![extension()],
        identifier: vec![identifier()],
        code: CodeableConcept::of_text("見本の混注"),
        status: "active".into(),
        form: coded(system::DRUG_FORM, "INJ", "注射剤"),
        amount: Ratio {
            extension: vec![],
            ..strength()
        },
        ingredient: vec![MedicationIngredient {
            extension: vec![Extension::new(
                extension::INGREDIENT_DRUG_NO,
                ExtensionValue::Integer(1),
            )],
            item_codeable_concept: coded(system::HOT9, "100000002", "架空注100mL"),
            is_active: Some(true),
            strength: strength(),
        }],
    };
    MedicationRequest {
        meta: meta(profile::MEDICATION_REQUEST_INJECTION),
        contained: vec![Contained::Medication(Box::new(mixture))],
        identifier: vec![rp("1")],
        medication: Some(MedicationChoice::Reference(Reference::to_contained(
            "mixture",
        ))),
        requester: reference("Practitioner"),
        dosage_instruction: vec![],
        ..prescription()
    }
}

fn document() -> DocumentReference<'static> {
    DocumentReference {
        id: "document-1".into(),
        meta: meta(profile::DOCUMENT_REFERENCE),
        contained: vec![Contained::Practitioner(Box::new(practitioner("author")))],
        extension: vec![extension()],
        master_identifier: identifier(),
        identifier: vec![identifier()],
        status: "current".into(),
        doc_status: "final".into(),
        r#type: coded(system::LOINC, "18842-5", "退院時サマリー"),
        category: vec![concept()],
        subject: reference("Patient"),
        date: "2025-01-31T11:00:00+09:00".into(),
        author: vec![Reference::to_contained("author")],
        authenticator: reference("Practitioner"),
        custodian: reference("Organization"),
        relates_to: vec![DocumentRelation {
            code: "replaces".into(),
            target: reference("DocumentReference"),
        }],
        description: "見本の文書".into(),
        security_label: vec![concept()],
        content: vec![DocumentContent {
            attachment: attachment(),
            format: coding(),
        }],
        context: DocumentContext {
            encounter: vec![reference("Encounter")],
            event: vec![concept()],
            period: period(),
            facility_type: concept(),
            practice_setting: concept(),
            related: vec![reference("Condition")],
        },
    }
}

fn provenance(occurred: Occurred<'static>) -> Provenance<'static> {
    Provenance {
        id: "provenance-1".into(),
        meta: meta("http://hl7.org/fhir/StructureDefinition/Provenance"),
        extension: vec![extension()],
        target: vec![Reference::to("Observation/lab-1/_history/3")],
        occurred: Some(occurred),
        recorded: "2025-01-31T11:00:00.125+09:00".into(),
        policy: vec!["http://example.invalid/policy".into()],
        reason: vec![concept()],
        activity: concept(),
        agent: vec![ProvenanceAgent {
            r#type: coded(system::PROVENANCE_AGENT, "assembler", "Assembler"),
            role: vec![concept()],
            who: reference("Device"),
            on_behalf_of: reference("Organization"),
        }],
        entity: vec![ProvenanceEntity {
            extension: vec![extension()],
            role: "source".into(),
            what: Reference::to_identified("DocumentReference", identifier(), ""),
        }],
    }
}
