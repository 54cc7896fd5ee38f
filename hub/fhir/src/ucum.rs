//! Units as Japanese laboratories and devices spell them, in UCUM.
//!
//! HL7 v2 in Japan names units by ISO+ (case-insensitive ISO 2955 with extensions) or by habit. UCUM is
//! case-sensitive, so nothing is passed through: a spelling is taken apart at `/` and every part must be known.
//! What is not known stays text; a wrong unit code would be worse than none.

use std::borrow::Cow;

/// The UCUM code system (`Quantity.system`).
pub const SYSTEM: &str = "http://unitsofmeasure.org";

/// The UCUM code for a unit; `None` keeps the unit as text only (the mapper reports it).
///
/// Case, full-width letters, blanks and the usual writings of powers (`10^4`, `×10⁴`, `.10*4`, `万`) do not matter.
#[must_use]
pub fn code(unit: &str) -> Option<Cow<'static, str>> {
    if let Some((_, ucum)) = FREQUENT.iter().find(|(spelling, _)| *spelling == unit) {
        return Some(Cow::Borrowed(ucum));
    }
    let folded = fold(unit)?;
    if let Some((_, ucum)) = WHOLE.iter().find(|(spelling, _)| *spelling == folded) {
        return Some(Cow::Borrowed(ucum));
    }
    let mut ucum = String::new();
    for (index, part) in folded.split('/').enumerate() {
        if index > 0 {
            ucum.push('/');
        } else if part.is_empty() {
            continue; // "/ul": a count per volume
        }
        push_part(&mut ucum, part)?;
    }
    (!ucum.is_empty()).then_some(Cow::Owned(ucum))
}

/// Spellings seen in nearly every message, found without rewriting them.
const FREQUENT: &[(&str, &str)] = &[
    ("mg/dL", "mg/dL"),
    ("g/dL", "g/dL"),
    ("U/L", "U/L"),
    ("%", "%"),
    ("mEq/L", "meq/L"),
    ("mmol/L", "mmol/L"),
    ("10*4/uL", "10*4/uL"),
    (".10*4/uL", "10*4/uL"),
    ("10*3/uL", "10*3/uL"),
    (".10*3/uL", "10*3/uL"),
    ("pg", "pg"),
    ("fL", "fL"),
    ("ng/mL", "ng/mL"),
    ("cm", "cm"),
    ("kg", "kg"),
    ("mm(hg)", "mm[Hg]"),
    ("cel", "Cel"),
    ("/min", "/min"),
];

/// Spellings that are not built from parts; folded.
const WHOLE: &[(&str, &str)] = &[
    ("(hb)", "{beats}"),
    ("bpm", "/min"),
    ("回/分", "/min"),
    ("回/min", "/min"),
    ("拍/分", "/min"),
    ("beats/min", "/min"),
    ("breaths/min", "/min"),
    ("ml/min/1.73m2", "mL/min/{1.73_m2}"),
    ("ml/min/1.73m*2", "mL/min/{1.73_m2}"),
    ("mosm/kg(h2o)", "mosm/kg"),
    ("mosm/kgh2o", "mosm/kg"),
    ("mm(h2o)", "mm[H2O]"),
    ("mmh2o", "mm[H2O]"),
    ("cm(h2o)", "cm[H2O]"),
    ("cmh2o", "cm[H2O]"),
    ("mg/g.cr", "mg/g{creat}"),
    ("mg/gcr", "mg/g{creat}"),
    ("mg/g.cre", "mg/g{creat}"),
    ("kg/m2", "kg/m2"),
    ("kg/m*2", "kg/m2"),
    ("個/ul", "/uL"),
    ("/hpf", "/[HPF]"),
    ("/lpf", "/[LPF]"),
];

/// Units without multiples worth recombining; folded spelling and UCUM.
const ATOMS: &[(&str, &str)] = &[
    ("%", "%"),
    ("permil", "[ppth]"),
    ("‰", "[ppth]"),
    ("pcs", "{pieces}"),
    ("(hb)", "{beats}"),
    ("mm(hg)", "mm[Hg]"),
    ("mmhg", "mm[Hg]"),
    ("mm[hg]", "mm[Hg]"),
    ("torr", "mm[Hg]"),
    ("cel", "Cel"),
    ("degc", "Cel"),
    ("°c", "Cel"),
    ("℃", "Cel"),
    ("hpf", "[HPF]"),
    ("lpf", "[LPF]"),
    ("[hpf]", "[HPF]"),
    ("[lpf]", "[LPF]"),
    ("min", "min"),
    ("分", "min"),
    ("h", "h"),
    ("hr", "h"),
    ("hour", "h"),
    ("時間", "h"),
    ("s", "s"),
    ("sec", "s"),
    ("秒", "s"),
    ("msec", "ms"),
    ("ms", "ms"),
    ("d", "d"),
    ("day", "d"),
    ("日", "d"),
    ("wk", "wk"),
    ("mo", "mo"),
    ("a", "a"),
    ("year", "a"),
    ("歳", "a"),
    ("kcal", "kcal"),
    ("cal", "cal"),
    ("m2", "m2"),
    ("m*2", "m2"),
    ("mm3", "mm3"),
    ("mm*3", "mm3"),
    ("copies", "{copies}"),
    ("コピー", "{copies}"),
    ("cfu", "[CFU]"),
    ("hz", "Hz"),
    ("deg", "deg"),
    ("度", "deg"),
];

/// Units that take the prefixes of [`PREFIXES`]; folded spelling and UCUM.
const BASES: &[(&str, &str)] = &[
    ("g", "g"),
    ("l", "L"),
    ("m", "m"),
    ("mol", "mol"),
    ("eq", "eq"),
    ("osm", "osm"),
    ("u", "U"),
    ("iu", "[iU]"),
    ("[iu]", "[iU]"),
    ("pa", "Pa"),
    ("kat", "kat"),
    ("j", "J"),
    ("v", "V"),
];

/// Metric prefixes, longest first.
const PREFIXES: &[(&str, &str)] = &[
    ("mc", "u"),
    ("k", "k"),
    ("d", "d"),
    ("c", "c"),
    ("m", "m"),
    ("u", "u"),
    ("n", "n"),
    ("p", "p"),
    ("f", "f"),
];

/// Appends the UCUM form of one part between slashes, a power of ten in front of it included.
fn push_part(ucum: &mut String, part: &str) -> Option<()> {
    let (power, rest) = split_power(part);
    if let Some(power) = power {
        ucum.push_str("10*");
        ucum.push_str(power);
        if rest.is_empty() {
            return Some(());
        }
        ucum.push('.');
    }
    if let Some((_, atom)) = ATOMS.iter().find(|(spelling, _)| *spelling == rest) {
        ucum.push_str(atom);
        return Some(());
    }
    let base = |spelling: &str| {
        BASES
            .iter()
            .find(|(known, _)| *known == spelling)
            .map(|(_, ucum)| *ucum)
    };
    if let Some(unit) = base(rest) {
        ucum.push_str(unit);
        return Some(());
    }
    let (prefix, unit) = PREFIXES.iter().find_map(|(spelling, prefix)| {
        let unit = base(rest.strip_prefix(spelling)?)?;
        Some((prefix, unit))
    })?;
    ucum.push_str(prefix);
    ucum.push_str(unit);
    Some(())
}

/// Takes `10*n` off the front; 万 and 千 are powers as well.
fn split_power(part: &str) -> (Option<&str>, &str) {
    for (word, power) in [("万", "4"), ("千", "3"), ("百万", "6")] {
        if let Some(rest) = part.strip_prefix(word) {
            return (Some(power), rest);
        }
    }
    let stripped = part.trim_start_matches(['.', 'x']);
    let Some(rest) = stripped.strip_prefix("10*") else {
        return (None, part);
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 2 {
        return (None, part);
    }
    (
        Some(&rest[..digits]),
        rest[digits..].trim_start_matches('.'),
    )
}

/// Lower case, half width, no blanks, one spelling for micro and for powers. `None` when too long for a unit.
fn fold(unit: &str) -> Option<String> {
    if unit.is_empty() || unit.len() > 40 {
        return None;
    }
    let mut folded = String::with_capacity(unit.len());
    for letter in unit.chars() {
        let letter = match letter {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
            other => other,
        };
        match letter {
            ' ' | '\u{3000}' => {}
            'µ' | 'μ' => folded.push('u'),
            '×' => folded.push('x'),
            '^' => folded.push('*'),
            '²' => folded.push('2'),
            '³' | '⁴' | '⁵' | '⁶' => {
                folded.push('*');
                folded.push(match letter {
                    '³' => '3',
                    '⁴' => '4',
                    '⁵' => '5',
                    _ => '6',
                });
            }
            '㎎' => folded.push_str("mg"),
            '㎏' => folded.push_str("kg"),
            '㎝' => folded.push_str("cm"),
            '㎜' => folded.push_str("mm"),
            '㎗' => folded.push_str("dl"),
            '％' => folded.push('%'),
            other => folded.extend(other.to_lowercase()),
        }
    }
    Some(folded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::code;

    #[test]
    fn spellings_of_the_field() {
        for (unit, ucum) in [
            ("g/dL", "g/dL"),
            ("G/DL", "g/dL"),
            ("mg/dl", "mg/dL"),
            ("mEq/L", "meq/L"),
            ("meq/l", "meq/L"),
            (".10*4/uL", "10*4/uL"),
            ("10^4/μL", "10*4/uL"),
            ("×10⁴/μL", "10*4/uL"),
            ("x10^2/ul", "10*2/uL"),
            ("万/μl", "10*4/uL"),
            ("10^3/mm³", "10*3/mm3"),
            ("mm(hg)", "mm[Hg]"),
            ("mmHg", "mm[Hg]"),
            ("cel", "Cel"),
            ("℃", "Cel"),
            ("u/L", "U/L"),
            ("IU/L", "[iU]/L"),
            ("mIU/mL", "m[iU]/mL"),
            ("μU/mL", "uU/mL"),
            ("μIU/mL", "u[iU]/mL"),
            ("permil", "[ppth]"),
            ("pcs", "{pieces}"),
            ("％", "%"),
            ("cm", "cm"),
            ("kg", "kg"),
            ("ＫＧ", "kg"),
            ("/min", "/min"),
            ("回/分", "/min"),
            ("mL/min/1.73m2", "mL/min/{1.73_m2}"),
            ("pg/mL", "pg/mL"),
            ("mcg/ml", "ug/mL"),
            ("fL", "fL"),
            ("mm/h", "mm/h"),
            ("sec", "s"),
            ("g/day", "g/d"),
            ("kg/m²", "kg/m2"),
            ("mOsm/kg", "mosm/kg"),
            ("kPa", "kPa"),
            ("/HPF", "/[HPF]"),
            ("L/min", "L/min"),
            ("10*4", "10*4"),
            ("nmol/L", "nmol/L"),
            ("m", "m"),
            ("L", "L"),
        ] {
            assert_eq!(code(unit).as_deref(), Some(ucum), "{unit}");
        }
    }

    #[test]
    fn unknown_units_stay_text() {
        for unit in [
            "",
            "/",
            "//",
            "錠",
            "COI",
            "mg/",
            "mg//dL",
            "S/CO",
            "10*/uL",
            "mg/wibble",
            "1.73m2",
            "x",
            ".",
            " ",
            "　",
        ] {
            assert_eq!(code(unit), None, "{unit}");
        }
        assert_eq!(code(&"g/".repeat(100)), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_gives_plain_codes(unit in "\\PC{0,12}|[mugdlL/.*0-9^]{0,10}") {
            if let Some(ucum) = code(&unit) {
                prop_assert!(!ucum.is_empty() && ucum.is_ascii() && !ucum.contains(' '));
                // A code given out, read again, is never another unit.
                prop_assert!(code(&ucum).is_none_or(|again| again == ucum));
            }
        }
    }
}
