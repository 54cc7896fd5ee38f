//! Diseases that are never told automatically (rules: psychiatric, HIV and STI, abuse).

use renkei_core::ItemClass;
use renkei_fhir::emit::Coding;
use renkei_fhir::jp_core::system;

/// The restricted class of a disease by its ICD-10 code; `None` = tell it as any other.
///
/// Dementia and delirium (F00 to F09) are what home care is about and stay open. Abuse has no class of its own
/// and is guarded like a psychiatric disease.
pub(super) fn of_disease(coding: &Coding<'_>) -> Option<ItemClass> {
    if coding.system != system::ICD10 {
        return None;
    }
    let code = coding.code.as_ref();
    let (chapter, number) = (code.get(..1)?, code.get(1..3)?.parse::<u8>().ok()?);
    match (chapter, number) {
        ("F", 10..) | ("T", 74) | ("X", 60..=84) | ("Y", 6 | 7) => Some(ItemClass::Psychiatric),
        ("A", 50..=64) | ("B", 20..=24) | ("Z", 21) => Some(ItemClass::Infection),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
