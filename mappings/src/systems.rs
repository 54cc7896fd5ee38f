//! Names of coding systems as HL7 v2 messages of Japan write them (CWE.3), and their FHIR uris
//! (JP Core 1.2.0, terminology.hl7.org). What is unknown here is a local code of its facility.

use std::borrow::Cow;

use renkei_core::FacilityId;

/// The patient number of a facility (JP Core 1.2.0 `JP_Patient.identifier`).
pub fn local_patient_number(facility: &FacilityId) -> String {
    format!("urn:oid:1.2.392.100495.20.3.51.1{facility}")
}

/// The number of a doctor within a facility (JP Core 1.2.0 `JP_Practitioner.identifier`).
pub fn local_doctor_number(facility: &FacilityId) -> String {
    format!("urn:oid:1.2.392.100495.20.3.41.1{facility}")
}

/// A coding system of one facility: the same name means different things at two sites.
pub fn local_system(facility: &FacilityId, name: &str) -> String {
    let mut uri = format!("urn:renkei:codesystem:{facility}:");
    push_urn_part(&mut uri, name);
    uri
}

/// Appends `part` so that the result stays a valid URN: other characters as `%XX`.
pub fn push_urn_part(uri: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// The uri of the coding system `name` for `code`; `None` when the system is not a published one.
///
/// `code` decides where one name stands for several systems (`MDCDX2`, `JC10`).
pub fn published(name: &str, code: &str) -> Option<Cow<'static, str>> {
    let digits = |count: usize| code.len() == count && code.bytes().all(|byte| byte.is_ascii_digit());
    let uri = match name {
        "JC10" if code.len() == 17 => "http://medis.or.jp/CodeSystem/master-JLAC10-17digits",
        "JC10" if digits(3) => "http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationSampleMaterialCode_CS",
        "JC10" => "urn:oid:1.2.392.200119.4.504",
        "HOT9" | "HOT" if digits(9) => "http://medis.or.jp/CodeSystem/master-HOT9",
        "HOT7" | "HOT" if digits(7) => "http://medis.or.jp/CodeSystem/master-HOT7",
        "HOT13" | "HOT" if digits(13) => "http://medis.or.jp/CodeSystem/master-HOT13",
        "HOT9" => "http://medis.or.jp/CodeSystem/master-HOT9",
        "YJ" => "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code",
        "MDCDX2" if digits(8) => "http://medis.or.jp/CodeSystem/master-disease-keyNumber",
        "MDCDX2" => "http://medis.or.jp/CodeSystem/master-disease-exCode",
        "I10" => "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full",
        "JAMISDP01" => "http://jami.jp/CodeSystem/MedicationUsage",
        "LN" => "http://loinc.org",
        "DCM" => "http://dicom.nema.org/resources/ontology/DCM",
        "JHSP0002" | "JHSP0007" | "JHSI0001" | "JHSI0003" | "JHSD0006" => {
            return Some(Cow::Owned(format!("http://jpfhir.jp/fhir/core/CodeSystem/{name}")));
        }
        "HL70069" => "http://jami.jp/SS-MIX2/CodeSystem/ClinicalDepartment",
        "HL70162" => "http://jpfhir.jp/fhir/core/CodeSystem/route-codes",
        "J-FAGY" => return Some(Cow::Borrowed(allergen_system(code))),
        _ => return by_pattern(name),
    };
    Some(Cow::Borrowed(uri))
}

fn by_pattern(name: &str) -> Option<Cow<'static, str>> {
    if let Some(table) = name.strip_prefix("HL7").filter(|table| table.len() == 4)
        && table.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(Cow::Owned(format!("http://terminology.hl7.org/CodeSystem/v2-{table}")));
    }
    let prefix = ["JHSP", "JHSI", "JHSD", "JSHR", "JANIS", "JJ1017", "LENDO", "MR9P", "JAN"];
    prefix.iter().any(|prefix| name.starts_with(prefix)).then(|| {
        let mut uri = String::from("urn:renkei:codesystem:");
        push_urn_part(&mut uri, name);
        Cow::Owned(uri)
    })
}

/// The J-FAGY system of an allergen, by the third letter of its code: `J9F…` food, `GCM…` and `D9M…`
/// medication, the rest neither (J-FAGY 2025-04-01).
fn allergen_system(code: &str) -> &'static str {
    match code.as_bytes().get(2) {
        Some(b'F') => "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS",
        Some(b'M') => "http://jpfhir.jp/fhir/core/CodeSystem/GCM/JP_JfagyMedicationAllergen_CS",
        _ => "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyNonFoodNonMedicationAllergen_CS",
    }
}

/// Names that mark a code as local by the rules of HL7 v2.5 table 0396: `L`, `99…`, or nothing known.
pub fn is_local(name: &str) -> bool {
    name == "L" || name.starts_with("99") || name.is_empty()
}

/// The canonical uri of a JP Core 1.2.0 profile.
macro_rules! profile {
    ($name:literal) => {
        concat!("http://jpfhir.jp/fhir/core/StructureDefinition/", $name)
    };
}
pub(crate) use profile;
