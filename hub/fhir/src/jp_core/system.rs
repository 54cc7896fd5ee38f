//! Code system addresses: JP Core 1.2.0 and what it takes from HL7, and the OIDs older senders use for them.

macro_rules! systems {
    ($prefix:literal: $($(#[$meta:meta])* $constant:ident = $name:literal),* $(,)?) => { $(
        $(#[$meta])*
        pub const $constant: &str = concat!($prefix, $name);
    )* };
}

systems! { "http://medis.or.jp/CodeSystem/":
    /// JLAC10, all 17 digits: examined substance, identification, material, method, result.
    JLAC10 = "master-JLAC10-17digits",
    /// Drug without company, 7 digits.
    HOT7 = "master-HOT7",
    /// Drug with company, 9 digits.
    HOT9 = "master-HOT9",
    /// Drug with package, 13 digits.
    HOT13 = "master-HOT13",
    /// Disease name: 管理番号, 8 digits.
    DISEASE_KEY = "master-disease-keyNumber",
    /// Disease name: 交換用コード, 4 characters.
    DISEASE_EXCHANGE = "master-disease-exCode",
    /// Modifier of a disease name: 管理番号.
    MODIFIER_KEY = "master-disease-modKeyNumber",
    /// Modifier of a disease name: 交換用コード, 4 characters.
    MODIFIER_EXCHANGE = "master-disease-modExCode",
    /// What nurses observe, vital signs among it.
    NURSING_OBSERVATION = "master-nursingObservationKeyCode",
}

systems! { "http://jpfhir.jp/fhir/core/CodeSystem/":
    /// Materials of JLAC10, 3 digits.
    SPECIMEN_MATERIAL = "JP_ObservationSampleMaterialCode_CS",
    /// `laboratory`, `vital-signs`, `body-measurement`, …: mandatory in `Observation.category`.
    OBSERVATION_CATEGORY = "JP_SimpleObservationCategory_CS",
    /// Second category of a body measurement: `weight`, `height`, ….
    BODY_MEASUREMENT_CATEGORY = "JP_ObservationBodyMeasurementCategory_CS",
    /// Second category of a vital sign.
    VITAL_SIGNS_CATEGORY = "JP_ObservationVitalSignsCategory_CS",
    /// Codes of body measurements (身長, 体重, …).
    BODY_MEASUREMENT = "JP_ObservationBodyMeasurementCode_CS",
    /// Kinds of documents and reports: `11502-2` 検体検査報告書, ….
    DOCUMENT = "JP_DocumentCodes_CS",
    /// Professions: `JPR10000` 医師, ….
    PRACTITIONER_ROLE = "JP_PractitionerRole_CS",
    /// Licences of a practitioner.
    LICENSE = "JP_MedicalLicenseCertificate_CS",
    /// Foods of J-FAGY.
    ALLERGEN_FOOD = "JP_JfagyFoodAllergen_CS",
    /// J-FAGY allergens that are neither food nor drug.
    ALLERGEN_OTHER = "JP_JfagyNonFoodNonMedicationAllergen_CS",
    /// Drugs as allergens.
    ALLERGEN_DRUG = "GCM/JP_JfagyMedicationAllergen_CS",
    /// Organisms (JANIS).
    ORGANISM = "JP_Microbiology_InfectiousAgent_CS",
    /// Antimicrobial drugs (JANIS).
    ANTIMICROBIAL = "JP_Microbiology_AntiMicrobialDrug_CS",
    /// MERIT-9 dosage forms.
    DRUG_FORM = "JP_MedicationFormMERIT9_CS",
    /// MERIT-9 kinds of prescription: `OHP` 外来, `OHI` 院内, `OHO` 院外, `IHP` 入院, `DCG` 退院, ….
    ORDER_CATEGORY = "JP_MedicationCategoryMERIT9_CS",
    /// HL7 table 0162 as JP Core addresses it.
    ROUTE = "route-codes",
    /// HL7 table 0241 as JP Core addresses it, in the disease outcome extension.
    DISEASE_OUTCOME = "HL70241",
    /// JAHIS table of outcomes.
    JHSD0006 = "JHSD0006",
    /// JAHIS table: preparation instructions.
    JHSP0002 = "JHSP0002",
    /// JAHIS table: kinds of prescription content.
    JHSP0007 = "JHSP0007",
    /// JAHIS table: `FTP` 定時, `EMP` 至急, `PFP` 事後, `OTP` 頓用.
    JHSI0001 = "JHSI0001",
    /// JAHIS table of injection orders.
    JHSI0003 = "JHSI0003",
}

systems! { "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/":
    /// ICD-10 (2013), codes without the point: `K297`.
    ICD10 = "ICD10-2013-full",
    /// Disease names of the receipt computer.
    RECEIPT_DISEASE = "masterB-disease",
    /// Modifiers of the receipt computer.
    RECEIPT_MODIFIER = "masterZ-disease-modifier",
    /// MERIT-9 drug units: `TAB` 錠, `CAP`, `ML`, `TIME` 回, ….
    DRUG_UNIT = "MedicationUnitMERIT9Code",
    /// Kind of amount: `1` 製剤量, `2` 原薬量.
    STRENGTH_TYPE = "MedicationIngredientStrengthStrengthType",
    /// Names of drugs by ingredient (一般名).
    DRUG_GENERIC = "MedicationGeneralOrderCode",
    /// Whether a generic may be handed out.
    SUBSTITUTION = "MedicationSubstitutionProhibittedCategory",
    /// `1` 内服 … `5` 注射.
    MEDICATION_FORM_CLASS = "MedicationForm",
    /// Departments of receipts.
    RECEIPT_DEPARTMENT = "MedicationRequestDepartment",
    /// Prefecture, 2 digits.
    PREFECTURE = "PrefectureNo-2digits",
    /// Fee table: `1` 医科, `3` 歯科, `4` 調剤, `6` 訪問看護.
    FEE_TABLE = "MedicationFeeScoreType",
    /// Kind of insurance: `1` 医保 … `8` 公費.
    INSURANCE_CATEGORY = "InsuranceMajorCategory",
    /// `1` 本人, `2` 被扶養者.
    INSURED_CATEGORY = "InsuredPersonCategory",
}

systems! { "http://jami.jp/":
    /// Usage of a drug, 16 digits.
    DRUG_USAGE = "CodeSystem/MedicationUsage",
    /// Supplement to the usage, 8 digits.
    DRUG_USAGE_SUPPLEMENT = "CodeSystem/MedicationUsageAdditional",
    /// First digit of the usage: 内服, 外用, ….
    METHOD_BASIC = "CodeSystem/MedicationMethodBasicUsage",
    /// First two digits of the usage.
    METHOD_DETAIL = "CodeSystem/MedicationMethodDetailUsage",
    /// Where an external drug is applied, 3 characters.
    BODY_SITE = "CodeSystem/MedicationBodySiteExternal",
    /// Departments, 2 or 3 characters.
    DEPARTMENT = "SS-MIX2/CodeSystem/ClinicalDepartment",
}

systems! { "http://capstandard.jp/":
    /// Drug by package, 12 characters.
    YJ = "iyaku.info/CodeSystem/YJ-code",
    /// Drug by ingredient and strength: YJ ending in `ZZZ`.
    INGREDIENT_STRENGTH = "CodeSystem/KikakubetsuYakuzaiSeibun",
}

systems! { "http://terminology.hl7.org/CodeSystem/":
    /// `active`, `inactive`, `resolved`, ….
    CONDITION_CLINICAL = "condition-clinical",
    /// `confirmed`, `provisional`, `entered-in-error`, ….
    CONDITION_VERIFICATION = "condition-ver-status",
    /// `problem-list-item`, `encounter-diagnosis`.
    CONDITION_CATEGORY = "condition-category",
    /// `active`, `inactive`, `resolved`.
    ALLERGY_CLINICAL = "allergyintolerance-clinical",
    /// `confirmed`, `unconfirmed`, `entered-in-error`, ….
    ALLERGY_VERIFICATION = "allergyintolerance-verification",
    /// `IMP`, `AMB`, `HH`, ….
    ACT_CODE = "v3-ActCode",
    /// `ATND`, `ADM`, ….
    PARTICIPATION_TYPE = "v3-ParticipationType",
    /// `H`, `L`, `N`, `A`, ….
    INTERPRETATION = "v3-ObservationInterpretation",
    /// Why a value is missing.
    DATA_ABSENT_REASON = "data-absent-reason",
    /// `laboratory`, `vital-signs`: sent beside the category of JP Core.
    OBSERVATION_CATEGORY_HL7 = "observation-category",
    /// Role of a diagnosis in a stay.
    DIAGNOSIS_ROLE = "diagnosis-role",
    /// `principal`.
    DIAGNOSIS_TYPE = "ex-diagnosistype",
    /// `wa` ward, `ro` room, `bd` bed.
    LOCATION_TYPE = "location-physical-type",
    /// `pay`, `prov`, ….
    ORGANIZATION_TYPE = "organization-type",
    /// `self`, `other`, ….
    SUBSCRIBER_RELATIONSHIP = "subscriber-relationship",
    /// HL7 table 0112: where a patient goes on discharge.
    DISCHARGE_DISPOSITION = "v2-0112",
    /// HL7 table 0131 and its like: relation of a contact person.
    CONTACT_ROLE = "v2-0131",
    /// HL7 table 0203: kinds of identifiers.
    IDENTIFIER_TYPE = "v2-0203",
    /// HL7 table 0482: `I` inpatient order, `O` outpatient order.
    ORDER_TYPE = "v2-0482",
    /// `author`, `assembler`, `transmitter`, ….
    PROVENANCE_AGENT = "provenance-participant-type",
}

/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// SNOMED CT.
pub const SNOMED: &str = "http://snomed.info/sct";
/// DICOM terms.
pub const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// Unit `回`, `TIME` of [`DRUG_UNIT`]: the fixed denominator of a strength (JP Core 1.2.0 `JP_Medication`).
pub const UNIT_TIME: (&str, &str) = ("回", "TIME");
/// LOINC part for laboratory reports (JP Core 1.2.0 `JP_DiagnosticReport_LabResult.category`).
pub const LAB_REPORT_CATEGORY: &str = "LP29693-6";
/// LOINC part for microbiology reports.
pub const MICROBIOLOGY_REPORT_CATEGORY: &str = "LP7819-8";
/// LOINC part for radiology reports.
pub const RADIOLOGY_REPORT_CATEGORY: &str = "LP29684-5";
/// Code and fixed display of laboratory reports in [`DOCUMENT`].
pub const LAB_REPORT: (&str, &str) = ("11502-2", "検体検査報告書");

/// OIDs of JP Core 1.1.2 and older senders, without `urn:oid:`.
pub(super) const OIDS: &[(&str, &str)] = &[
    ("1.2.392.200119.4.504", JLAC10),
    ("1.2.392.200119.4.403.1", HOT9),
    ("1.2.392.100495.20.2.74", HOT9),
    ("1.2.392.200119.4.403.2", HOT7),
    ("1.2.392.200119.4.402.1", HOT13),
    ("1.2.392.100495.20.2.73", YJ),
    ("1.2.392.100495.20.1.73", YJ),
    ("1.2.392.100495.20.2.81", DRUG_GENERIC),
    ("1.2.392.100495.20.1.81", DRUG_GENERIC),
    ("1.2.392.200119.4.101.2", DISEASE_KEY),
    ("1.2.392.200119.4.101.6", DISEASE_EXCHANGE),
    ("1.2.392.200119.4.201.2", MODIFIER_KEY),
    ("1.2.392.200119.4.201.5", MODIFIER_EXCHANGE),
    ("1.2.392.200119.4.804", NURSING_OBSERVATION),
    ("1.2.392.200250.2.2.20.20", DRUG_USAGE),
    ("1.2.392.200250.2.2.20.22", DRUG_USAGE_SUPPLEMENT),
    ("1.2.392.200250.2.2.20.30", METHOD_BASIC),
    ("1.2.392.200250.2.2.20.40", METHOD_DETAIL),
    ("1.2.392.200250.2.2.20.32", BODY_SITE),
    ("1.2.392.200250.2.2.2", DEPARTMENT),
    ("1.2.392.100495.20.2.101", DRUG_UNIT),
    ("1.2.392.100495.20.2.21", MEDICATION_FORM_CLASS),
    ("1.2.392.100495.20.2.22", STRENGTH_TYPE),
    ("1.2.392.100495.20.2.34", ROUTE),
    ("1.2.392.100495.20.2.41", SUBSTITUTION),
    ("1.2.392.100495.20.2.51", RECEIPT_DEPARTMENT),
    ("1.2.392.100495.20.2.61", INSURANCE_CATEGORY),
    ("1.2.392.100495.20.2.62", INSURED_CATEGORY),
    ("1.2.392.100495.20.3.21", PREFECTURE),
    ("1.2.392.100495.20.3.22", FEE_TABLE),
    ("1.2.392.100495.10.3.100.5.11.5.2", ANTIMICROBIAL),
    ("1.2.392.100495.10.3.100.5.27.6.1", ORGANISM),
];
