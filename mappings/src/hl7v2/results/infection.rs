//! Which results are about infections people are judged for: HIV, hepatitis, syphilis and the like. They
//! become items of the restricted class `infection`, apart from the other results of the same order.
//!
//! Decided by the analyte of JLAC10 (first five characters) and, because many rows carry only a local code,
//! by the names laboratories use. A name that matches by accident costs a grant; one that is missed would
//! cost a secret, so names are matched generously.

/// How closely a result about an infection is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Infection {
    /// Restricted, but may go out by a rule: hepatitis B and C, HTLV-1.
    Restricted,
    /// Never automatic: HIV and what is transmitted sexually.
    NeverAutomatic,
}

use std::borrow::Cow;

use Infection::{NeverAutomatic, Restricted};

/// Ranges of JLAC10 analytes, both ends included.
const ANALYTES: &[(&str, &str, Infection)] = &[
    ("5E015", "5E021", NeverAutomatic), // Chlamydia trachomatis
    ("5E045", "5E045", NeverAutomatic), // gonococcus
    ("5E071", "5E080", NeverAutomatic), // syphilis: lipid and TP methods, FTA-ABS
    ("5F015", "5F020", Restricted),     // hepatitis B: HBs, HBc, HBe, DNA, core-related antigen
    ("5F101", "5F102", NeverAutomatic), // papilloma virus
    ("5F358", "5F364", Restricted),     // hepatitis C
    ("5F450", "5F460", Restricted),     // HTLV
    ("5F500", "5F560", NeverAutomatic), // HIV
    ("6B610", "6B610", NeverAutomatic), // gonococcus, nucleic acid
    ("6B615", "6B615", NeverAutomatic), // gonococcus and Chlamydia, nucleic acid
    ("6B617", "6B617", NeverAutomatic), // Mycoplasma genitalium
    ("6B643", "6B644", NeverAutomatic), // Trichomonas
];

/// Parts of names, half-width capitals.
const NAMES: &[(&str, Infection)] = &[
    ("HIV", NeverAutomatic),
    ("梅毒", NeverAutomatic),
    ("TPHA", NeverAutomatic),
    ("TPLA", NeverAutomatic),
    ("TPAB", NeverAutomatic),
    ("TP抗体", NeverAutomatic),
    ("抗TP", NeverAutomatic),
    ("RPR", NeverAutomatic),
    ("STS", NeverAutomatic),
    ("FTA-ABS", NeverAutomatic),
    ("トラコマチス", NeverAutomatic),
    ("トラコマティス", NeverAutomatic),
    ("クラミジア", NeverAutomatic),
    ("淋菌", NeverAutomatic),
    ("ジェニタリウム", NeverAutomatic),
    ("トリコモナス", NeverAutomatic),
    ("HPV", NeverAutomatic),
    ("パピローマ", NeverAutomatic),
    ("HBS", Restricted),
    ("HBC", Restricted),
    ("HBE", Restricted),
    ("HBV", Restricted),
    ("HCV", Restricted),
    ("肝炎", Restricted),
    ("HTLV", Restricted),
    ("ATLA", Restricted),
    ("感染症", Restricted),
];

/// By the JLAC10 code of an item.
pub(crate) fn by_jlac10(code: &str) -> Option<Infection> {
    let analyte = code.get(..5)?;
    ANALYTES
        .iter()
        .find(|(first, last, _)| (*first..=*last).contains(&analyte))
        .map(|(_, _, kind)| *kind)
}

/// By the name of an item, a panel or a value.
pub(crate) fn by_name(name: &str) -> Option<Infection> {
    if name.is_empty() {
        return None;
    }
    let folded = super::value::fold(name);
    let capitals = if folded.is_ascii() && !folded.bytes().any(|byte| byte.is_ascii_lowercase()) {
        folded
    } else {
        Cow::Owned(folded.to_uppercase())
    };
    let bytes = capitals.as_bytes();
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    // Every name is asked of every result: one walk over its bytes, and a comparison only where a part begins.
    let mut found = None;
    for (at, first) in bytes.iter().enumerate() {
        for (part, kind) in NAMES {
            let begins = part.as_bytes()[0] == *first && bytes[at..].starts_with(part.as_bytes());
            // `STS` and `RPR` are also parts of words of other meaning: only as words of their own.
            let is_inside = || {
                matches!(*part, "STS" | "RPR")
                    && (is_letter(at.checked_sub(1).and_then(|before| bytes.get(before)))
                        || is_letter(bytes.get(at + part.len())))
            };
            if begins && !is_inside() {
                found = found.max(Some(*kind));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn analytes_and_names() {
        assert_eq!(by_jlac10("5F016141002302311"), Some(Restricted));
        assert_eq!(by_jlac10("5F500000002305151"), Some(NeverAutomatic));
        assert_eq!(by_jlac10("5E075000002310311"), Some(NeverAutomatic));
        for other in [
            "5F400000000000000",
            "5E014",
            "5E081",
            "3A015000002327101",
            "",
            "5F",
        ] {
            assert_eq!(by_jlac10(other), None, "{other}");
        }
        assert_eq!(by_name("ＨＩＶ抗原・抗体"), Some(NeverAutomatic));
        assert_eq!(by_name("梅毒ＴＰ抗体"), Some(NeverAutomatic));
        assert_eq!(by_name("HBs抗原"), Some(Restricted));
        assert_eq!(by_name("HCV抗体／HIV抗体"), Some(NeverAutomatic));
        assert_eq!(by_name("STS定性"), Some(NeverAutomatic));
        for other in [
            "アルブミン",
            "末梢血液一般検査 ヘモグロビン",
            "TESTS",
            "HbA1c",
            "",
        ] {
            assert_eq!(by_name(other), None, "{other}");
        }
    }
}
