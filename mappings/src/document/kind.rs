//! Which kind of document it is, and so which item class.

use std::collections::BTreeMap;

use renkei_core::ItemClass;
use unicode_normalization::UnicodeNormalization;

/// A kind of document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// The item class.
    pub(super) class: ItemClass,
    /// LOINC code, or empty.
    pub(super) loinc: String,
    /// The facility's own code, or empty.
    pub(super) local: String,
    /// The facility's own coding system.
    pub(super) local_system: String,
    /// What it is called.
    pub(super) name: String,
    /// False when it could only be called another document.
    pub(super) is_known: bool,
}

/// LOINC codes in use (SS-MIX2 extended storage), their class and Japanese name.
const BY_LOINC: &[(&str, ItemClass, &str)] = &[
    ("18842-5", ItemClass::DischargeSummary, "退院時サマリー"),
    ("57133-1", ItemClass::Referral, "診療情報提供書"),
    ("11506-3", ItemClass::VisitNote, "経過記録"),
    ("34108-1", ItemClass::VisitNote, "外来診療録"),
    ("34112-3", ItemClass::VisitNote, "入院診療録"),
    ("34745-0", ItemClass::NursingSummary, "看護サマリー"),
    ("18776-5", ItemClass::CarePlan, "ケアプラン"),
    ("18748-4", ItemClass::ImagingReport, "画像検査報告書"),
    ("42348-3", ItemClass::Acp, "事前指示"),
];

/// Words in a kind's own name, the more particular ones first.
const BY_WORD: &[(&str, &str)] = &[
    ("訪問看護指示", ""),
    ("看護サマリ", "34745-0"),
    ("看護要約", "34745-0"),
    ("退院時サマリ", "18842-5"),
    ("退院サマリ", "18842-5"),
    ("退院時要約", "18842-5"),
    ("診療情報提供書", "57133-1"),
    ("紹介状", "57133-1"),
    ("経過記録", "11506-3"),
    ("外来診療録", "34108-1"),
    ("入院診療録", "34112-3"),
    ("ケアプラン", "18776-5"),
    ("居宅サービス計画", "18776-5"),
    ("人生会議", "42348-3"),
    ("事前指示", "42348-3"),
];

/// JMIX code of a referral inside a CDA.
const JMIX_REFERRAL: &str = "MD0020730";

/// Judges by, in this order: the facility's table, the standard code of the folder, the code of the CDA, words
/// in the name. `data_kind` is up to six parts joined by `^`: local code, name, system, standard code, name,
/// system; or just a code or name from a sidecar row.
pub(super) fn of(data_kind: &str, cda_code: &str, table: &BTreeMap<String, String>) -> Kind {
    let data_kind: String = data_kind.nfkc().collect();
    let parts: Vec<&str> = data_kind.split('^').map(str::trim).collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let (local, local_name, local_system) = (part(0), part(1), part(2));
    let (standard, standard_name) = (part(3), part(4));
    let configured = [local, local_name]
        .into_iter()
        .filter(|name| !name.is_empty())
        .find_map(|name| table.get(name));
    let cda_code = if cda_code == JMIX_REFERRAL {
        "57133-1"
    } else {
        cda_code
    };
    let codes = [
        configured.map(String::as_str).unwrap_or_default(),
        standard,
        local,
        cda_code,
    ];
    let names = [standard_name, local_name, local];
    let called = || {
        names
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
    };
    let known = codes
        .iter()
        .find_map(|code| BY_LOINC.iter().find(|(loinc, ..)| loinc == code));
    let mut kind = Kind {
        class: ItemClass::OtherDocument,
        loinc: String::new(),
        local: local.to_owned(),
        local_system: local_system.to_owned(),
        name: called().to_owned(),
        is_known: false,
    };
    if let Some((loinc, class, name)) = known {
        (kind.class, kind.is_known) = (*class, true);
        (*loinc).clone_into(&mut kind.loinc);
        if kind.name.is_empty() || kind.name == *loinc {
            (*name).clone_into(&mut kind.name);
        }
        if kind.local == *loinc {
            kind.local.clear();
        }
        return kind;
    }
    let word = BY_WORD
        .iter()
        .find(|(word, _)| names.iter().any(|name| name.contains(word)));
    if let Some((_, loinc)) = word {
        let found = BY_LOINC.iter().find(|(known, ..)| known == loinc);
        kind.class = found.map_or(ItemClass::NurseOrder, |(_, class, _)| *class);
        kind.is_known = true;
        (*loinc).clone_into(&mut kind.loinc);
    } else if !standard.is_empty() {
        standard.clone_into(&mut kind.loinc);
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(data_kind: &str) -> (ItemClass, bool) {
        let kind = of(data_kind, "", &BTreeMap::new());
        (kind.class, kind.is_known)
    }

    #[test]
    fn codes_and_words_name_a_kind() {
        assert_eq!(
            class("^退院要約^^18842-5^退院時サマリー^LN"),
            (ItemClass::DischargeSummary, true)
        );
        assert_eq!(
            class("L12345^入院診療録^99ZZZ^11506-3^経過記録^LN"),
            (ItemClass::VisitNote, true)
        );
        assert_eq!(
            class("N01^看護サマリー（転院用）^99ZZZ"),
            (ItemClass::NursingSummary, true)
        );
        assert_eq!(class("訪問看護指示書"), (ItemClass::NurseOrder, true));
        assert_eq!(class("57133-1"), (ItemClass::Referral, true));
        assert_eq!(class("X^同意書^99ZZZ"), (ItemClass::OtherDocument, false));
        assert_eq!(class(""), (ItemClass::OtherDocument, false));
    }

    #[test]
    fn the_table_of_the_facility_comes_first() {
        let table = BTreeMap::from([("K7".to_owned(), "34745-0".to_owned())]);
        assert_eq!(
            of("K7^連携シート^99ZZZ", "", &table).class,
            ItemClass::NursingSummary
        );
        assert_eq!(of("", JMIX_REFERRAL, &table).class, ItemClass::Referral);
    }
}
