//! Kana spelling: half-width to full-width, and the key under which two readings are compared.
//!
//! Used by [`crate::charset`] for half-width kana in ISO-2022-JP and by whoever matches names.
//! Stored names keep the spelling of their source; only keys are normalised. No reading is ever
//! guessed from kanji.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Full-width forms of U+FF61..=U+FF9F, in code order (JIS X 0201 kana).
const FULL_WIDTH: [char; 63] = [
    '。', '「', '」', '、', '・', 'ヲ', 'ァ', 'ィ', 'ゥ', 'ェ', 'ォ', 'ャ', 'ュ', 'ョ', 'ッ', 'ー',
    'ア', 'イ', 'ウ', 'エ', 'オ', 'カ', 'キ', 'ク', 'ケ', 'コ', 'サ', 'シ', 'ス', 'セ', 'ソ', 'タ',
    'チ', 'ツ', 'テ', 'ト', 'ナ', 'ニ', 'ヌ', 'ネ', 'ノ', 'ハ', 'ヒ', 'フ', 'ヘ', 'ホ', 'マ', 'ミ',
    'ム', 'メ', 'モ', 'ヤ', 'ユ', 'ヨ', 'ラ', 'リ', 'ル', 'レ', 'ロ', 'ワ', 'ン', '゛', '゜',
];

/// True for half-width kana and their marks, U+FF61..=U+FF9F.
#[must_use]
pub fn is_half_width(character: char) -> bool {
    ('\u{FF61}'..='\u{FF9F}').contains(&character)
}

/// True for hiragana, katakana (both widths), the long vowel mark and the kana marks; spaces and
/// the middle dot between the parts of a name count too.
#[must_use]
pub fn is_kana(character: char) -> bool {
    matches!(character, '\u{3041}'..='\u{3096}' | '\u{3099}'..='\u{309F}' | '\u{30A1}'..='\u{30FF}')
        || is_half_width(character)
        || matches!(character, ' ' | '\u{3000}' | '・')
}

/// Rewrites half-width kana as full-width kana and joins the following voicing mark: `ﾀﾞ` → `ダ`.
///
/// Everything else is left alone. A mark that joins nothing becomes `゛` or `゜` (plain NFKC would
/// leave a combining character there).
#[must_use]
pub fn to_full_width_kana(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_half_width) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut joinable = false;
    for character in text.chars() {
        if is_half_width(character) {
            push_half_width(&mut out, character, joinable);
            joinable = true;
        } else {
            out.push(character);
            joinable = false;
        }
    }
    Cow::Owned(out)
}

/// Appends one half-width kana as full-width; a voicing mark joins the last character of `out`
/// when `joinable` says that it was half-width kana too.
pub(crate) fn push_half_width(out: &mut String, half_width: char, joinable: bool) {
    let index = (half_width as usize).wrapping_sub(0xFF61);
    let Some(&full) = FULL_WIDTH.get(index) else {
        out.push(half_width);
        return;
    };
    if joinable
        && matches!(full, '゛' | '゜')
        && let Some(joined) = out.chars().next_back().and_then(|last| join(last, full))
    {
        out.pop();
        out.push(joined);
        return;
    }
    out.push(full);
}

/// The voiced (`゛`) or half-voiced (`゜`) form of a katakana, if there is one.
fn join(base: char, mark: char) -> Option<char> {
    let combining = if mark == '゛' {
        '\u{3099}'
    } else {
        '\u{309A}'
    };
    let mut composed = [base, combining].into_iter().nfc();
    let first = composed.next()?;
    composed.next().is_none().then_some(first)
}

/// The key under which two readings of a name are compared; never shown, never stored as a name.
///
/// NFKC, hiragana to katakana, small kana to large ones (old systems write キヨウコ for キョウコ),
/// one spelling for the long vowel mark, no white space and no middle dots. The long vowel itself
/// is kept: オノ and オーノ are different people. Letters become lower case.
#[must_use]
pub fn search_key(text: &str) -> String {
    let folded = to_full_width_kana(text)
        .nfkc()
        .filter(|character| !matches!(character, '・' | '\u{30A0}') && !character.is_whitespace())
        .flat_map(|character| large(to_katakana(character)).to_lowercase())
        .collect::<String>();
    let mut key = String::with_capacity(folded.len());
    // A mark may only now stand behind the large kana it belongs to.
    for character in folded.nfc() {
        let previous_is_kana = key.chars().next_back().is_some_and(is_kana);
        match character {
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '-' if previous_is_kana => key.push('ー'),
            other => key.push(other),
        }
    }
    key
}

fn to_katakana(character: char) -> char {
    match character {
        '\u{3041}'..='\u{3096}' | '\u{309D}' | '\u{309E}' => {
            char::from_u32(character as u32 + 0x60).unwrap_or(character)
        }
        other => other,
    }
}

fn large(character: char) -> char {
    match character {
        'ァ' => 'ア',
        'ィ' => 'イ',
        'ゥ' => 'ウ',
        'ェ' => 'エ',
        'ォ' => 'オ',
        'ッ' => 'ツ',
        'ャ' => 'ヤ',
        'ュ' => 'ユ',
        'ョ' => 'ヨ',
        'ヮ' => 'ワ',
        'ヵ' => 'カ',
        'ヶ' => 'ケ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_width_kana_become_full_width_and_join_their_marks() {
        assert_eq!(to_full_width_kana("ﾔﾏﾀﾞ ﾊﾅｺ"), "ヤマダ ハナコ");
        assert_eq!(to_full_width_kana("ﾊﾟﾋﾟﾌﾟｳﾞｧ"), "パピプヴァ");
        assert_eq!(to_full_width_kana("ﾞｱﾞﾟ"), "゛ア゛゜");
        assert_eq!(
            to_full_width_kana("カﾞ"),
            "カ゛",
            "only half-width bases take a mark"
        );
        assert!(matches!(
            to_full_width_kana("山田 ヤマダ"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn every_half_width_kana_has_the_full_width_form_of_nfkc() {
        for code in 0xFF61..=0xFF9Du32 {
            let half = char::from_u32(code).expect("assigned").to_string();
            let nfkc: String = half.nfkc().collect();
            assert_eq!(to_full_width_kana(&half), nfkc);
        }
    }

    #[test]
    fn readings_meet_under_one_key() {
        let key = search_key("ヤマモト キョウコ");
        for spelling in [
            "ﾔﾏﾓﾄ ｷｮｳｺ",
            "やまもと　きょうこ",
            "ヤマモトキヨウコ",
            "ヤマモト・キョウコ",
        ] {
            assert_eq!(search_key(spelling), key, "{spelling}");
        }
        assert_eq!(
            search_key("ｵｰﾉ"),
            search_key("オ－ノ"),
            "a minus sign typed for the long vowel"
        );
        assert_ne!(search_key("オーノ"), search_key("オノ"));
        assert_ne!(search_key("ハシモト"), search_key("バシモト"));
        assert_eq!(search_key("か\u{3099}"), "ガ");
        assert_eq!(search_key("ＳＭＩＴＨ　John"), "smithjohn");
    }
}
