//! Kana: width, kind, and the key readings are compared by.

use renkei_hl7v2::kana;
use unicode_normalization::UnicodeNormalization;

use super::Function;
use crate::local::kind::Kinds;
use crate::local::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "katakana",
        takes: Kinds::TEXT,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "Full-width katakana from half-width kana and hiragana; one half-width blank between parts.",
        examples: &[
            ("x | katakana", "ﾔﾏﾓﾄ ｷｮｳｺ", "ヤマモト キョウコ"),
            ("x | katakana", "やまだ　はなこ", "ヤマダ ハナコ"),
        ],
        run: |input, _| Value::text(katakana(input.as_text())),
    },
    Function {
        name: "hiragana",
        takes: Kinds::TEXT,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "Hiragana from kana of any kind; one half-width blank between parts.",
        examples: &[("x | hiragana", "ﾔﾏﾀﾞ ハナコ", "やまだ はなこ")],
        run: |input, _| {
            let wide = kana::to_full_width_kana(input.as_text()).into_owned();
            Value::text(parts(wide.nfc().map(to_hiragana)))
        },
    },
    Function {
        name: "half_kana",
        takes: Kinds::TEXT,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "Half-width kana, for receivers that want them; other letters stay.",
        examples: &[("x | half_kana", "ヤマダ はなこ", "ﾔﾏﾀﾞ ﾊﾅｺ")],
        run: |input, _| {
            let mut text = String::new();
            for character in input.as_text().chars() {
                push_half(&mut text, to_katakana(character));
            }
            Value::text(text)
        },
    },
    Function {
        name: "name_key",
        takes: Kinds::TEXT,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "The key under which readings of names are compared; never shown.",
        examples: &[("x | name_key", "やまもと　きょうこ", "ヤマモトキヨウコ")],
        run: |input, _| Value::text(kana::search_key(input.as_text())),
    },
];

/// Full-width katakana, one half-width blank between parts.
pub(crate) fn katakana(text: &str) -> String {
    parts(kana::to_full_width_kana(text).nfc().map(to_katakana))
}

/// One blank where any blanks stood.
fn parts(characters: impl Iterator<Item = char>) -> String {
    let text: String = characters.collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn to_katakana(character: char) -> char {
    match character {
        '\u{3041}'..='\u{3096}' => char::from_u32(character as u32 + 0x60).unwrap_or(character),
        other => other,
    }
}

fn to_hiragana(character: char) -> char {
    match character {
        '\u{30A1}'..='\u{30F6}' => char::from_u32(character as u32 - 0x60).unwrap_or(character),
        other => other,
    }
}

/// The half-width kana of a katakana, a voicing mark as a character of its own.
fn push_half(text: &mut String, character: char) {
    let mut parts = std::iter::once(character).nfd();
    let (base, mark) = (parts.next().unwrap_or(character), parts.next());
    let Some(half) = half_of(base) else {
        text.push(if character == '\u{3000}' {
            ' '
        } else {
            character
        });
        return;
    };
    text.push(half);
    match mark {
        Some('\u{3099}') => text.push('ﾞ'),
        Some('\u{309A}') => text.push('ﾟ'),
        _ => {}
    }
}

fn half_of(wide: char) -> Option<char> {
    ('\u{FF61}'..='\u{FF9F}').find(|half| {
        let mut buffer = [0; 4];
        kana::to_full_width_kana(half.encode_utf8(&mut buffer))
            .chars()
            .eq([wide])
    })
}
