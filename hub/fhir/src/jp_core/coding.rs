//! Which code system a source means by the short name it writes into HL7 v2 CWE.3.

use std::borrow::Cow;

use super::{own_address, system};

/// What a code stands for, where the name of its system covers several FHIR code systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Nothing special: decided by name and shape.
    Any,
    /// A prefix or suffix of a disease name (`MDCDX2`).
    DiseaseModifier,
    /// A unit of a drug amount (`MR9P`).
    DrugUnit,
    /// A dosage form (`MR9P`).
    DrugForm,
    /// A kind of prescription (`MR9P`).
    OrderCategory,
    /// A germ (`JANIS`).
    Organism,
    /// A drug against germs (`JANIS`).
    Antimicrobial,
}

/// What is known from the name alone; [`SystemMatch::uri`] decides with the code at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemMatch<'n> {
    /// One FHIR code system.
    Fixed(Cow<'n, str>),
    /// JLAC10: 17 digits are an item, 3 a material; prefixes of an item have no system.
    Jlac10,
    /// HOT numbers: 7, 9 or 13 digits, whatever the name says.
    Hot,
    /// YJ, 12 characters; ending in `ZZZ` it names ingredient and strength only.
    Yj,
    /// MEDIS disease master: 8 digits are the key number, 4 characters the exchange code.
    Disease,
    /// JAMI usage: 16 characters, or 8 for the supplement.
    DrugUsage,
    /// MERIT-9: by usage.
    Merit9,
    /// J-FAGY: the third character tells food, drug or other.
    Allergen,
    /// JANIS: by usage.
    Janis,
    /// ISO+ units: UCUM, if [`crate::ucum::code`] knows the unit; that code, not the sent one, is the UCUM code.
    Unit,
    /// Declared local (`99xxx`, `L`) or a national table without FHIR address: scoped by facility.
    Local,
    /// A name never seen: kept, scoped by facility, and worth a finding.
    Unknown,
}

/// Reads CWE.3. Case and surrounding blanks do not matter; OIDs with or without `urn:oid:` and addresses are
/// understood as well.
#[must_use]
pub fn code_system(name: &str) -> SystemMatch<'_> {
    let name = name.trim();
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        if name.starts_with("http://") || name.starts_with("https://") {
            return SystemMatch::Fixed(Cow::Borrowed(name));
        }
        if let Some(oid) = name.strip_prefix("urn:oid:") {
            return by_oid(oid).unwrap_or(SystemMatch::Fixed(Cow::Borrowed(name)));
        }
        return by_name(&name.to_ascii_uppercase());
    }
    by_oid(name).unwrap_or_else(|| by_name(name))
}

impl<'n> SystemMatch<'n> {
    /// The address of the code system `code` belongs to; `None` when only the facility can tell, see
    /// [`SystemMatch::uri_or_local`].
    #[must_use]
    pub fn uri(&self, code: &str, usage: Usage) -> Option<Cow<'n, str>> {
        let uri = match self {
            Self::Fixed(uri) => return Some(uri.clone()),
            Self::Jlac10 => match code.len() {
                17 => system::JLAC10,
                3 => system::SPECIMEN_MATERIAL,
                _ => return None,
            },
            Self::Hot if !code.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            Self::Hot => match code.len() {
                7 => system::HOT7,
                9 => system::HOT9,
                13 => system::HOT13,
                _ => return None,
            },
            Self::Yj if code.len() != 12 => return None,
            Self::Yj if code.ends_with("ZZZ") => system::INGREDIENT_STRENGTH,
            Self::Yj => system::YJ,
            Self::Disease => match (code.len(), usage) {
                (8, Usage::DiseaseModifier) => system::MODIFIER_KEY,
                (8, _) => system::DISEASE_KEY,
                (4, Usage::DiseaseModifier) => system::MODIFIER_EXCHANGE,
                (4, _) => system::DISEASE_EXCHANGE,
                _ => return None,
            },
            Self::DrugUsage => match code.len() {
                16 => system::DRUG_USAGE,
                8 => system::DRUG_USAGE_SUPPLEMENT,
                _ => return None,
            },
            Self::Merit9 => match usage {
                Usage::DrugUnit => system::DRUG_UNIT,
                Usage::DrugForm => system::DRUG_FORM,
                Usage::OrderCategory => system::ORDER_CATEGORY,
                _ => return None,
            },
            Self::Allergen => match code.as_bytes().get(2) {
                Some(b'F') => system::ALLERGEN_FOOD,
                Some(b'N') => system::ALLERGEN_OTHER,
                Some(b'M') => system::ALLERGEN_DRUG,
                _ => return None,
            },
            Self::Janis => match usage {
                Usage::Organism => system::ORGANISM,
                Usage::Antimicrobial => system::ANTIMICROBIAL,
                _ => return None,
            },
            Self::Unit => {
                return crate::ucum::code(code).map(|_| Cow::Borrowed(crate::ucum::SYSTEM));
            }
            Self::Local | Self::Unknown => return None,
        };
        Some(Cow::Borrowed(uri))
    }

    /// Like [`SystemMatch::uri`], with our own address for what only `facility` defines. `name` is CWE.3 again.
    #[must_use]
    pub fn uri_or_local(
        &self,
        code: &str,
        usage: Usage,
        facility: &str,
        name: &str,
    ) -> Cow<'n, str> {
        self.uri(code, usage)
            .unwrap_or_else(|| Cow::Owned(local(facility, name)))
    }
}

/// Our address of a code system that one facility defines: `http://renkei.invalid/facility/<10 digits>/CodeSystem/
/// <name>`, `unnamed` when the source gave no name. Stable: stored resources carry it.
#[must_use]
pub fn local(facility: &str, name: &str) -> String {
    own_address(facility, "CodeSystem", name.trim())
}

fn by_oid(oid: &str) -> Option<SystemMatch<'static>> {
    if !oid.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let known = system::OIDS.iter().find(|(known, _)| *known == oid)?;
    Some(SystemMatch::Fixed(Cow::Borrowed(known.1)))
}

/// `name` in upper case.
fn by_name(name: &str) -> SystemMatch<'static> {
    let fixed = |uri: &'static str| SystemMatch::Fixed(Cow::Borrowed(uri));
    match name {
        "JC10" | "JLAC10" => SystemMatch::Jlac10,
        "HOT" | "HOT7" | "HOT9" | "HOT13" => SystemMatch::Hot,
        "YJ" => SystemMatch::Yj,
        "MDCDX2" => SystemMatch::Disease,
        "I10" | "ICD10" | "ICD-10" => fixed(system::ICD10),
        "JAMISDP01" => SystemMatch::DrugUsage,
        "MR9P" => SystemMatch::Merit9,
        "J-FAGY" | "JFAGY" => SystemMatch::Allergen,
        "JANIS" => SystemMatch::Janis,
        "ISO+" | "ISO" => SystemMatch::Unit,
        "UCUM" => fixed(crate::ucum::SYSTEM),
        "LN" | "LOINC" => fixed(system::LOINC),
        "SCT" => fixed(system::SNOMED),
        "DCM" => fixed(system::DICOM),
        "HL70069" => fixed(system::DEPARTMENT),
        "HL70162" => fixed(system::ROUTE),
        "HL70241" => fixed(system::DISEASE_OUTCOME),
        "JHSD0006" => fixed(system::JHSD0006),
        "JHSP0002" => fixed(system::JHSP0002),
        "JHSP0007" => fixed(system::JHSP0007),
        "JHSI0001" => fixed(system::JHSI0001),
        "JHSI0003" => fixed(system::JHSI0003),
        _ => by_prefix(name),
    }
}

fn by_prefix(name: &str) -> SystemMatch<'static> {
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(table) = name.strip_prefix("HL7")
        && digits(table, 4)
    {
        return SystemMatch::Fixed(Cow::Owned(format!(
            "http://terminology.hl7.org/CodeSystem/v2-{table}"
        )));
    }
    // JAHIS tables without an address in JP Core, JAHIS radiology items, JJ1017, LENDO, JAN: national names, but
    // no FHIR system was published for them.
    let national = ["JHSP", "JHSI", "JHSD", "JSHR"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    if national || name.starts_with("99") || matches!(name, "L" | "JJ1017" | "LENDO" | "JAN") {
        return SystemMatch::Local;
    }
    SystemMatch::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(name: &str, code: &str, usage: Usage) -> Option<String> {
        code_system(name).uri(code, usage).map(Cow::into_owned)
    }

    #[test]
    fn names_and_shapes_give_addresses() {
        use Usage::{
            Antimicrobial, Any, DiseaseModifier, DrugForm, DrugUnit, OrderCategory, Organism,
        };
        for (name, code, usage, expected) in [
            (
                "JC10",
                "3A015000002327101",
                Any,
                "http://medis.or.jp/CodeSystem/master-JLAC10-17digits",
            ),
            (
                "JC10",
                "023",
                Any,
                "http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationSampleMaterialCode_CS",
            ),
            (
                "1.2.392.200119.4.504",
                "3A015000002327101",
                Any,
                system::JLAC10,
            ),
            ("urn:oid:1.2.392.200119.4.504", "x", Any, system::JLAC10),
            ("http://example.org/x", "x", Any, "http://example.org/x"),
            ("urn:oid:1.2.3", "x", Any, "urn:oid:1.2.3"),
            (
                "HOT9",
                "103835401",
                Any,
                "http://medis.or.jp/CodeSystem/master-HOT9",
            ),
            (
                "HOT9",
                "1038354010101",
                Any,
                "http://medis.or.jp/CodeSystem/master-HOT13",
            ),
            (
                "HOT",
                "1038354",
                Any,
                "http://medis.or.jp/CodeSystem/master-HOT7",
            ),
            (
                "YJ",
                "2233002F1280",
                Any,
                "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code",
            ),
            (
                "YJ",
                "2260701F1ZZZ",
                Any,
                "http://capstandard.jp/CodeSystem/KikakubetsuYakuzaiSeibun",
            ),
            (
                "MDCDX2",
                "20054174",
                Any,
                "http://medis.or.jp/CodeSystem/master-disease-keyNumber",
            ),
            (
                "MDCDX2",
                "TSQF",
                Any,
                "http://medis.or.jp/CodeSystem/master-disease-exCode",
            ),
            (
                "MDCDX2",
                "TSQF",
                DiseaseModifier,
                "http://medis.or.jp/CodeSystem/master-disease-modExCode",
            ),
            (
                "MDCDX2",
                "20059001",
                DiseaseModifier,
                "http://medis.or.jp/CodeSystem/master-disease-modKeyNumber",
            ),
            (
                "i10",
                "K297",
                Any,
                "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full",
            ),
            (
                "JAMISDP01",
                "1013044400000000",
                Any,
                "http://jami.jp/CodeSystem/MedicationUsage",
            ),
            (
                "JAMISDP01",
                "I1100000",
                Any,
                "http://jami.jp/CodeSystem/MedicationUsageAdditional",
            ),
            (
                "MR9P",
                "TAB",
                DrugUnit,
                "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code",
            ),
            (
                "MR9P",
                "TAB",
                DrugForm,
                "http://jpfhir.jp/fhir/core/CodeSystem/JP_MedicationFormMERIT9_CS",
            ),
            (
                "MR9P",
                "DCG",
                OrderCategory,
                "http://jpfhir.jp/fhir/core/CodeSystem/JP_MedicationCategoryMERIT9_CS",
            ),
            (
                "J-FAGY",
                "J9FA00000000",
                Any,
                "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS",
            ),
            ("JANIS", "1301", Organism, system::ORGANISM),
            ("JANIS", "1208", Antimicrobial, system::ANTIMICROBIAL),
            (
                "HL70069",
                "01",
                Any,
                "http://jami.jp/SS-MIX2/CodeSystem/ClinicalDepartment",
            ),
            (
                "HL70162",
                "PO",
                Any,
                "http://jpfhir.jp/fhir/core/CodeSystem/route-codes",
            ),
            (
                "HL70482",
                "I",
                Any,
                "http://terminology.hl7.org/CodeSystem/v2-0482",
            ),
            (
                "JHSI0001",
                "FTP",
                Any,
                "http://jpfhir.jp/fhir/core/CodeSystem/JHSI0001",
            ),
            ("ISO+", "mg/dL", Any, "http://unitsofmeasure.org"),
            ("LN", "1751-7", Any, "http://loinc.org"),
            (
                "DCM",
                "US",
                Any,
                "http://dicom.nema.org/resources/ontology/DCM",
            ),
        ] {
            assert_eq!(
                uri(name, code, usage).as_deref(),
                Some(expected),
                "{name} {code}"
            );
        }
    }

    #[test]
    fn what_only_the_facility_knows_is_scoped_by_it() {
        for (name, code) in [
            ("JC10", "3A0150000023"),
            ("MR9P", "TAB"),
            ("JANIS", "1"),
            ("HOT9", "12"),
            ("YJ", "1"),
        ] {
            assert_eq!(uri(name, code, Usage::Any), None, "{name} {code}");
        }
        for name in ["99XYZ", "L", "JSHR002", "JHSP0005", "JJ1017"] {
            assert_eq!(code_system(name), SystemMatch::Local, "{name}");
        }
        for name in ["", "XYZ", "HL7006", "院内"] {
            assert_eq!(code_system(name), SystemMatch::Unknown, "{name}");
        }
        let scoped = |name| {
            code_system(name)
                .uri_or_local("1", Usage::Any, "1312345670", name)
                .into_owned()
        };
        assert_eq!(
            scoped("99XYZ"),
            "http://renkei.invalid/facility/1312345670/CodeSystem/99XYZ"
        );
        assert_eq!(
            scoped(""),
            "http://renkei.invalid/facility/1312345670/CodeSystem/unnamed"
        );
        assert_eq!(
            scoped("院 #"),
            "http://renkei.invalid/facility/1312345670/CodeSystem/%E9%99%A2%20%23"
        );
    }
}
