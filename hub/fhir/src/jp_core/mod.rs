//! The names JP Core 1.2.0 gives to profiles, identifiers and extensions, and which code system a source means.
//!
//! Everything here is the `http://` generation (JP Core 1.2.0, "urlmap"); the OID spelling of 1.1.2 is accepted
//! from sources ([`code_system`]) and never emitted. A canonical that is not in JP Core says so.
//!
//! Names that only one facility defines get an address of our own form, `http://renkei.invalid/facility/<10-digit
//! facility number>/…`: `.invalid` never resolves (RFC 2606), the number keeps `99XYZ` of one hospital apart from
//! `99XYZ` of another, and no hospital's OID arc is written to by us.

pub mod coding;
pub mod system;

pub use coding::{SystemMatch, Usage, code_system};

/// Profile canonicals, for `meta.profile`.
pub mod profile {
    macro_rules! canonical {
        ($($constant:ident = $name:literal),* $(,)?) => { $(
            #[doc = concat!("JP Core 1.2.0 profile `", $name, "`.")]
            pub const $constant: &str = concat!("http://jpfhir.jp/fhir/core/StructureDefinition/", $name);
        )* };
    }
    canonical! {
        ALLERGY_INTOLERANCE = "JP_AllergyIntolerance",
        CONDITION = "JP_Condition",
        CONDITION_DIAGNOSIS = "JP_Condition_Diagnosis",
        COVERAGE = "JP_Coverage",
        DIAGNOSTIC_REPORT_COMMON = "JP_DiagnosticReport_Common",
        DIAGNOSTIC_REPORT_LAB = "JP_DiagnosticReport_LabResult",
        DIAGNOSTIC_REPORT_MICROBIOLOGY = "JP_DiagnosticReport_Microbiology",
        DIAGNOSTIC_REPORT_RADIOLOGY = "JP_DiagnosticReport_Radiology",
        DOCUMENT_REFERENCE = "JP_DocumentReference",
        ENCOUNTER = "JP_Encounter",
        IMMUNIZATION = "JP_Immunization",
        LOCATION = "JP_Location",
        MEDICATION = "JP_Medication",
        MEDICATION_ADMINISTRATION = "JP_MedicationAdministration",
        MEDICATION_REQUEST = "JP_MedicationRequest",
        MEDICATION_REQUEST_INJECTION = "JP_MedicationRequest_Injection",
        MEDICATION_STATEMENT = "JP_MedicationStatement",
        OBSERVATION_BODY_MEASUREMENT = "JP_Observation_BodyMeasurement",
        OBSERVATION_COMMON = "JP_Observation_Common",
        OBSERVATION_LAB = "JP_Observation_LabResult",
        OBSERVATION_MICROBIOLOGY = "JP_Observation_Microbiology",
        OBSERVATION_SOCIAL_HISTORY = "JP_Observation_SocialHistory",
        OBSERVATION_VITAL_SIGNS = "JP_Observation_VitalSigns",
        ORGANIZATION = "JP_Organization",
        PATIENT = "JP_Patient",
        PRACTITIONER = "JP_Practitioner",
        PROCEDURE = "JP_Procedure",
        SERVICE_REQUEST = "JP_ServiceRequest_Common",
        SPECIMEN = "JP_Specimen_Common",
    }
}

/// Identifier systems. Those that carry the facility in the system are functions below.
pub mod identifier {
    /// 10-digit facility number: prefecture 2, fee table 1, facility 7.
    pub const MEDICAL_INSTITUTION: &str =
        "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no";
    /// 7-digit facility code, inside [`super::extension::ORGANIZATION_NO`].
    pub const MEDICAL_ORGANIZATION: &str =
        "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicalOrganizationID";
    /// 8-digit insurer number, padded with zeros on the left.
    pub const INSURER: &str = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/InsurerNumber";
    /// `insurer:symbol:number:branch`. The lower-case `s` in `Idsystem` is right.
    pub const INSURED_PERSON: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID";
    /// `payer:recipient` of public assistance, with two colons between.
    pub const PUBLIC_PAYER_PERSON: &str =
        "http://jpfhir.jp/fhir/clins/Idsystem/JP_PublicPayer_memberID";
    /// Insurance check of the national system (CSV id).
    pub const COVERAGE_CSV: &str = "http://jpfhir.jp/fhir/core/IdSystem/JP_Coverage_id";
    /// Doctor registration number, in `Practitioner.qualification`.
    pub const MEDICAL_REGISTRATION: &str =
        "http://jpfhir.jp/fhir/core/mhlw/IdSystem/medicalRegistrationNumber";
    /// Nationwide prescription id.
    pub const PRESCRIPTION: &str = "urn:oid:1.2.392.100495.20.3.11";
    /// Number of the Rp within a prescription; without leading zeros.
    pub const RP_NUMBER: &str = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber";
    /// Place of the drug within its Rp, from 1.
    pub const ORDER_IN_RP: &str =
        "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex";
    /// What the sender calls this thing: order numbers and the like.
    pub const RESOURCE_INSTANCE: &str =
        "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier";

    /// System of local patient numbers: the arc, a digit 1, the 10-digit facility number (JP Core 1.2.0 `JP_Patient`).
    #[must_use]
    pub fn patient(facility: &str) -> String {
        format!("urn:oid:1.2.392.100495.20.3.51.1{facility}")
    }

    /// System of a facility's own doctor ids.
    #[must_use]
    pub fn doctor(facility: &str) -> String {
        format!("urn:oid:1.2.392.100495.20.3.41.1{facility}")
    }

    /// System of prescription ids a facility gives out itself.
    #[must_use]
    pub fn local_prescription(facility: &str) -> String {
        format!("urn:oid:1.2.392.100495.20.3.11.1{facility}")
    }

    /// Our own system for other numbers of one facility: `name` is ours, as `problem`, `document`.
    #[must_use]
    pub fn local(facility: &str, name: &str) -> String {
        super::own_address(facility, "IdSystem", name)
    }
}

/// Extension urls.
pub mod extension {
    macro_rules! core_extension {
        ($($(#[$meta:meta])* $constant:ident = $name:literal),* $(,)?) => { $(
            $(#[$meta])*
            #[doc = concat!("JP Core 1.2.0 `", $name, "`.")]
            pub const $constant: &str = concat!("http://jpfhir.jp/fhir/core/Extension/StructureDefinition/", $name);
        )* };
    }
    core_extension! {
        /// On `Patient`: CodeableConcept.
        PATIENT_RACE = "JP_Patient_Race",
        /// On `Organization`: Coding.
        ORGANIZATION_PREFECTURE = "JP_Organization_PrefectureNo",
        /// On `Organization`: Coding.
        ORGANIZATION_CATEGORY = "JP_Organization_InsuranceOrganizationCategory",
        /// On `Organization`: Identifier.
        ORGANIZATION_NO = "JP_Organization_InsuranceOrganizationNo",
        /// On `Coverage`: 記号, string.
        INSURED_SYMBOL = "JP_Coverage_InsuredPersonSymbol",
        /// On `Coverage`: 番号, string.
        INSURED_NUMBER = "JP_Coverage_InsuredPersonNumber",
        /// On `Coverage`: 枝番, string, half-width.
        INSURED_SUB_NUMBER = "JP_Coverage_InsuredPersonSubNumber",
        /// On `Condition`: 転帰, CodeableConcept with a coding of HL70241, JHSD0006 or the receipt table.
        DISEASE_OUTCOME = "JP_Condition_DiseaseOutcome",
        /// On `Condition.code`: CodeableConcept.
        DISEASE_PREFIX = "JP_Condition_DiseasePrefixModifier",
        /// On `Condition.code`: CodeableConcept.
        DISEASE_POSTFIX = "JP_Condition_DiseasePostfixModifier",
        /// On `MedicationRequest.dispenseRequest`: CodeableConcept.
        INSTRUCTION_FOR_DISPENSE = "JP_MedicationRequest_DispenseRequest_InstructionForDispense",
        /// On `MedicationRequest.dispenseRequest`: times a drug for need is handed out, integer.
        EXPECTED_REPEAT_COUNT = "JP_MedicationRequest_DispenseRequest_ExpectedRepeatCount",
        /// On `Dosage`: first day of use, Period.
        PERIOD_OF_USE = "JP_MedicationDosage_PeriodOfUse",
        /// On `Dosage`: days actually taken, Duration.
        USAGE_DURATION = "JP_MedicationDosage_UsageDuration",
        /// On `Dosage` of an injection: Reference.
        DOSAGE_DEVICE = "JP_MedicationDosage_Device",
        /// On `Dosage` of an injection: CodeableConcept.
        DOSAGE_LINE = "JP_MedicationDosage_Line",
        /// On `Dosage` of an injection: string or CodeableConcept.
        DOSAGE_COMMENT = "JP_MedicationDosage_DosageComment",
        /// On `Medication.ingredient`: integer.
        INGREDIENT_DRUG_NO = "JP_Medication_Ingredient_DrugNo",
        /// On `Medication.ingredient.strength`: 製剤量 or 原薬量, CodeableConcept.
        STRENGTH_TYPE = "JP_Medication_IngredientStrength_StrengthType",
    }

    /// On `HumanName`: code, `IDE` kanji, `SYL` kana, `ABC` roman (FHIR R4).
    pub const EN_REPRESENTATION: &str =
        "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";
    /// On any element: why it has no value, code (FHIR R4).
    pub const DATA_ABSENT_REASON: &str =
        "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
    /// On `Encounter`: planned begin, dateTime. R4 has no element; this is how HL7 carries the one of R5.
    pub const PLANNED_START: &str =
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate";
    /// On `Encounter`: planned end, dateTime; see [`PLANNED_START`].
    pub const PLANNED_END: &str =
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedEndDate";
    /// On `Condition`: marks 主病名 with code [`PRINCIPAL`] of [`super::system::DIAGNOSIS_TYPE`] (CLINS 1.10.0).
    pub const DIAGNOSIS_TYPE: &str =
        "http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_DiagnosisType";
    /// The code of [`DIAGNOSIS_TYPE`] that marks the main disease.
    pub const PRINCIPAL: &str = "principal";
}

/// `http://renkei.invalid/facility/<facility>/<kind>/<name>`, safe as a URI whatever the source put into `name`.
fn own_address(facility: &str, kind: &str, name: &str) -> String {
    let mut address = String::with_capacity(96);
    address.push_str("http://renkei.invalid/facility/");
    push_uri_safe(&mut address, facility);
    address.push('/');
    address.push_str(kind);
    address.push('/');
    push_uri_safe(&mut address, if name.is_empty() { "unnamed" } else { name });
    address
}

/// Appends `part`, percent-encoding what RFC 3986 does not call unreserved.
fn push_uri_safe(address: &mut String, part: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let is_safe =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if part.bytes().all(is_safe) {
        address.push_str(part);
        return;
    }
    for byte in part.bytes() {
        if is_safe(byte) {
            address.push(char::from(byte));
        } else {
            address.push('%');
            address.push(HEX[usize::from(byte >> 4)]);
            address.push(HEX[usize::from(byte & 15)]);
        }
    }
}
