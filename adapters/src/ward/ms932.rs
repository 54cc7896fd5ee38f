//! Text for systems that read MS932: what it lacks is written in characters it has, and each
//! replacement is listed.
//!
//! In this order: the documented spellings below (always, because machines without the vendor rows
//! show them as blanks), what MS932 encodes as it is, the same sign under another code point, the
//! compatibility form (NFKC), nothing for variant selectors, and at last `〓`, the printers' mark for a
//! missing type.

use encoding_rs::SHIFT_JIS;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// The mark for a character that could not be written.
const MISSING: &str = "〓";

/// Spellings that are written instead, always: vendor signs as they are read, and forms of a kanji
/// outside JIS X 0208 as its ordinary form.
const SPELLINGS: &[(char, &str)] = &[
    ('㈱', "(株)"),
    ('㈲', "(有)"),
    ('㈹', "(代)"),
    ('№', "No."),
    ('℡', "TEL"),
    ('㏍', "K.K."),
    ('㍻', "平成"),
    ('㍼', "昭和"),
    ('㍽', "大正"),
    ('㍾', "明治"),
    ('㋿', "令和"),
    ('㎜', "mm"),
    ('㎝', "cm"),
    ('㎞', "km"),
    ('㎎', "mg"),
    ('㎏', "kg"),
    ('㏄', "cc"),
    ('㎡', "m2"),
    ('髙', "高"),
    ('﨑', "崎"),
    ('德', "徳"),
    ('瀨', "瀬"),
    ('濵', "濱"),
    ('栁', "柳"),
    ('曻', "昇"),
    ('𠮷', "吉"),
    ('𣘺', "橋"),
    ('𡈽', "土"),
    ('𠀋', "丈"),
];

/// The same sign under the code point MS932 knows.
const SAME_SIGN: &[(char, &str)] = &[
    ('\u{301c}', "～"),
    ('\u{2212}', "－"),
    ('\u{2016}', "∥"),
    ('\u{2014}', "―"),
    ('\u{00a5}', "￥"),
    ('\u{203e}', "￣"),
    ('\u{00a2}', "￠"),
    ('\u{00a3}', "￡"),
    ('\u{00ac}', "￢"),
    ('\u{2013}', "－"),
    ('\u{00a0}', " "),
    ('\u{2022}', "・"),
    ('\u{00b7}', "・"),
    ('\u{200b}', ""),
    ('\u{feff}', ""),
];

/// One replacement. Text of a post: it may be a part of a name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Replacement {
    /// Which column.
    pub(super) column: String,
    /// Position of the character in the column, from 0.
    pub(super) at: usize,
    pub(super) was: char,
    pub(super) became: String,
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replacement({} {})", self.column, self.at)
    }
}

/// The text in characters MS932 has; every replacement is added to `log`.
pub(super) fn substitute(column: &str, text: &str, log: &mut Vec<Replacement>) -> String {
    let mut written = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        match instead(letter) {
            None => written.push(letter),
            Some(became) => {
                written.push_str(&became);
                log.push(Replacement {
                    column: column.to_owned(),
                    at,
                    was: letter,
                    became,
                });
            }
        }
    }
    written
}

/// What is written instead of a character; `None` = itself.
fn instead(letter: char) -> Option<String> {
    if let Some(spelling) = circled(letter) {
        return Some(spelling);
    }
    if let Some(spelling) = listed_in(SPELLINGS, letter).or_else(|| listed_in(SAME_SIGN, letter)) {
        return Some(spelling);
    }
    if encodes(letter.encode_utf8(&mut [0; 4])) {
        return None;
    }
    if matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}')
    {
        return Some(String::new());
    }
    let plain: String = std::iter::once(letter)
        .nfkc()
        .map(|part| listed_in(SAME_SIGN, part).unwrap_or_else(|| part.to_string()))
        .collect();
    let written = plain.chars().ne([letter]) && encodes(&plain);
    Some(if written { plain } else { MISSING.to_owned() })
}

fn listed_in(table: &[(char, &str)], letter: char) -> Option<String> {
    let pair = table.iter().find(|(known, _)| *known == letter);
    pair.map(|(_, became)| (*became).to_owned())
}

/// ① to ㊿ and Ⅰ to Ⅻ as they are read aloud.
fn circled(letter: char) -> Option<String> {
    match letter {
        '①'..='⑳' => Some(format!("({})", u32::from(letter) - u32::from('①') + 1)),
        '㉑'..='㉟' => Some(format!("({})", u32::from(letter) - u32::from('㉑') + 21)),
        '㊱'..='㊿' => Some(format!("({})", u32::from(letter) - u32::from('㊱') + 36)),
        'Ⅰ'..='Ⅻ' | 'ⅰ'..='ⅻ' => Some(std::iter::once(letter).nfkc().collect()),
        _ => None,
    }
}

/// Whether MS932 has all of it. Private-use characters are another machine's gaiji: it has not.
fn encodes(text: &str) -> bool {
    !text
        .chars()
        .any(|letter| ('\u{e000}'..='\u{f8ff}').contains(&letter))
        && !SHIFT_JIS.encode(text).2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> (String, usize) {
        let mut log = Vec::new();
        let written = substitute("text", text, &mut log);
        (written, log.len())
    }

    #[test]
    fn documented_spellings_are_used_and_logged() {
        for (text, became, logged) in [
            ("①アムロジピン㈱", "(1)アムロジピン(株)", 2),
            ("髙橋", "高橋", 1),
            ("山﨑 𠮷田", "山崎 吉田", 2),
            ("渡邉 渡邊", "渡邉 渡邊", 0),
            ("9時〜17時", "9時～17時", 1),
            ("Ⅱ度 ㎎", "II度 mg", 2),
            ("葛\u{e0100}飾", "葛飾", 1),
            ("₋5", "－5", 1),
            ("体温37.5℃ 表能ソ", "体温37.5℃ 表能ソ", 0),
            ("😀\u{e000}", "〓〓", 2),
        ] {
            assert_eq!(written(text), (became.to_owned(), logged), "{text}");
        }
    }

    proptest! {
        #[test]
        fn everything_can_be_written(text in any::<String>()) {
            let (written, _) = written(&text);
            let (bytes, _, lacking) = SHIFT_JIS.encode(&written);
            prop_assert!(!lacking);
            let (back, _, _) = SHIFT_JIS.decode(&bytes);
            prop_assert_eq!(back, written.as_str());
        }
    }
}
