//! Diseases that are never told automatically (rules: psychiatric, HIV and STI, abuse).

use renkei_core::ItemClass;
use renkei_fhir::emit::Coding;
use renkei_fhir::jp_core::system;

/// The restricted class of a disease by its ICD-10 code; `None` = tell it as any other.
///
/// Dementia and delirium (F00 to F09) are what home care is about and stay open. Abuse has no class of its own
/// and is guarded like a psychiatric disease.
pub(super) fn of_disease(coding: &Coding<'_>) -> Option<ItemClass> {
    of_code(&coding.system, &coding.code)
}

/// The same for a coding read back from stored FHIR.
pub fn of_code(coding_system: &str, code: &str) -> Option<ItemClass> {
    if coding_system != system::ICD10 {
        return None;
    }
    let (chapter, number) = (code.get(..1)?, code.get(1..3)?.parse::<u8>().ok()?);
    match (chapter, number) {
        ("F", 10..) | ("T", 74) | ("X", 60..=84) | ("Y", 6 | 7) => Some(ItemClass::Psychiatric),
        ("A", 50..=64) | ("B", 20..=24) | ("Z", 21) => Some(ItemClass::Infection),
        _ => None,
    }
}

/// The restricted class of a disease that came without an ICD-10 code, by words of its name. Words can
/// only add caution, never take it away.
pub fn of_name(name: &str) -> Option<ItemClass> {
    const PSYCHIATRIC: [&str; 10] = [
        "統合失調",
        "双極性",
        "うつ病",
        "抑うつ",
        "自殺",
        "自傷",
        "依存症",
        "不安障害",
        "虐待",
        "人格障害",
    ];
    const INFECTION: [&str; 7] = [
        "HIV",
        "ＨＩＶ",
        "免疫不全ウイルス",
        "エイズ",
        "梅毒",
        "淋菌",
        "性感染",
    ];
    if PSYCHIATRIC.iter().any(|word| name.contains(word)) {
        Some(ItemClass::Psychiatric)
    } else if INFECTION.iter().any(|word| name.contains(word)) {
        Some(ItemClass::Infection)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_only_add_caution() {
        assert_eq!(of_name("統合失調症"), Some(ItemClass::Psychiatric));
        assert_eq!(of_name("陳旧性梅毒"), Some(ItemClass::Infection));
        for open in ["アルツハイマー型認知症", "肺炎", ""] {
            assert_eq!(of_name(open), None, "{open}");
        }
    }

    #[test]
    fn codes_are_judged_by_their_category() {
        let class = |code: &'static str| of_disease(&Coding::new(system::ICD10, code, ""));
        assert_eq!(class("F329"), Some(ItemClass::Psychiatric));
        assert_eq!(class("B24"), Some(ItemClass::Infection));
        for open in ["F03", "F009", "G309", "E119", "I10", "A09", "", "東京"] {
            assert_eq!(class(open), None, "{open}");
        }
        assert_eq!(of_disease(&Coding::new("other", "F329", "")), None);
    }
}
