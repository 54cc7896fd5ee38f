//! Letters: cutting, joining, padding, width.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::{Argument, Ask, Form, Function, form, optional, repeated, value};
use crate::local::kind::Kinds;
use crate::local::value::{Out, Value};

const TEXT: Kinds = Kinds::TEXT;
const SCALAR: Kinds = Kinds::SCALAR;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "upper",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Capital letters.",
        examples: &[("x | upper", "mg/dl", "MG/DL")],
        run: |input, _| Value::text(input.into_text().to_uppercase()),
    },
    Function {
        name: "lower",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Small letters.",
        examples: &[("x | lower", "CRP", "crp")],
        run: |input, _| Value::text(input.into_text().to_lowercase()),
    },
    Function {
        name: "narrow",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Half-width letters, digits and signs; kana stay as they are.",
        examples: &[
            ("x | narrow", "ＣＲＰ　１２－３", "CRP 12-3"),
            ("x | narrow", "ｱ", "ｱ"),
        ],
        run: |input, _| narrow(input),
    },
    Function {
        name: "wide",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Full-width letters, digits, signs and kana.",
        examples: &[("x | wide", "CRP 12ｱ", "ＣＲＰ　１２ア")],
        run: |input, _| wide(input),
    },
    Function {
        name: "normal",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Unicode NFKC: one spelling for what looks alike; kana become full-width.",
        examples: &[
            ("x | normal", "㎎／ｄＬ", "mg/dL"),
            ("x | normal", "ﾔﾏﾀﾞ", "ヤマダ"),
        ],
        run: |input, _| Value::text(input.as_text().nfkc().collect::<String>()),
    },
    Function {
        name: "one_line",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Line ends and runs of blanks become one blank.",
        examples: &[("x | one_line", "a\r\n b　 c", "a b c")],
        run: |input, _| {
            let words: Vec<&str> = input.as_text().split_whitespace().collect();
            Value::text(words.join(" "))
        },
    },
    Function {
        name: "left",
        takes: SCALAR,
        parameters: &[form("characters", Form::Whole)],
        gives: TEXT,
        about: "The first characters.",
        examples: &[
            ("x | left(3)", "杉並区架空町", "杉並区"),
            ("x | left(9)", "ab", "ab"),
        ],
        run: |input, ask| {
            let count = ask.whole(0).unwrap_or(0);
            Value::text(input.as_text().chars().take(count).collect::<String>())
        },
    },
    Function {
        name: "right",
        takes: SCALAR,
        parameters: &[form("characters", Form::Whole)],
        gives: TEXT,
        about: "The last characters.",
        examples: &[("x | right(4)", "2025-0131", "0131")],
        run: |input, ask| {
            let text = input.as_text();
            let skip = text
                .chars()
                .count()
                .saturating_sub(ask.whole(0).unwrap_or(0));
            Value::text(text.chars().skip(skip).collect::<String>())
        },
    },
    Function {
        name: "mid",
        takes: SCALAR,
        parameters: &[form("from", Form::Whole), form("characters", Form::Whole)],
        gives: TEXT,
        about: "Characters from a place, counted from 1.",
        examples: &[
            ("x | mid(3, 2)", "abcdef", "cd"),
            ("x | mid(9, 2)", "abc", ""),
        ],
        run: |input, ask| {
            let skip = ask.whole(0).unwrap_or(1).saturating_sub(1);
            let count = ask.whole(1).unwrap_or(0);
            Value::text(
                input
                    .as_text()
                    .chars()
                    .skip(skip)
                    .take(count)
                    .collect::<String>(),
            )
        },
    },
    Function {
        name: "part",
        takes: SCALAR,
        parameters: &[form("separator", Form::Fixed), form("number", Form::Whole)],
        gives: TEXT,
        about: "One part of a text with separators, counted from 1.",
        examples: &[
            ("x | part('-', 2)", "03-1234-5678", "1234"),
            ("x | part('-', 5)", "a-b", ""),
        ],
        run: part,
    },
    Function {
        name: "replace",
        takes: SCALAR,
        parameters: &[form("what", Form::Fixed), form("by", Form::Fixed)],
        gives: TEXT,
        about: "Every occurrence of a text by another.",
        examples: &[
            ("x | replace('．', '.')", "3．1", "3.1"),
            ("x | replace('-', '')", "1-2-3", "123"),
        ],
        run: |input, ask| {
            let what = ask.text(0);
            if what.is_empty() {
                return input;
            }
            Value::text(input.as_text().replace(what, ask.text(1)))
        },
    },
    Function {
        name: "prefix",
        takes: SCALAR,
        parameters: &[value("text", SCALAR)],
        gives: TEXT,
        about: "A text before it.",
        examples: &[
            ("x | prefix('LAB-')", "7", "LAB-7"),
            ("x | prefix('LAB-')", "", ""),
        ],
        run: |input, ask| Value::text(format!("{}{}", ask.text(0), input.as_text())),
    },
    Function {
        name: "suffix",
        takes: SCALAR,
        parameters: &[value("text", SCALAR)],
        gives: TEXT,
        about: "A text behind it.",
        examples: &[("x | suffix('日分')", "14", "14日分")],
        run: |input, ask| Value::text(format!("{}{}", input.as_text(), ask.text(0))),
    },
    Function {
        name: "pad",
        takes: SCALAR,
        parameters: &[
            form("width", Form::Whole),
            optional(form("with", Form::Fixed)),
        ],
        gives: TEXT,
        about: "Filled on the left up to a width, with zeros unless told otherwise; never cut.",
        examples: &[
            ("x | pad(10)", "123456", "0000123456"),
            ("x | pad(3, 'x')", "1234", "1234"),
        ],
        run: pad,
    },
    Function {
        name: "strip_zeros",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Without zeros on the left; a text of zeros keeps one.",
        examples: &[
            ("x | strip_zeros", "00012", "12"),
            ("x | strip_zeros", "000", "0"),
        ],
        run: |input, _| match input.as_text().trim_start_matches('0') {
            "" => Value::text("0"),
            rest => Value::text(rest.to_owned()),
        },
    },
    Function {
        name: "digits",
        takes: SCALAR,
        parameters: &[],
        gives: TEXT,
        about: "Only its digits, half-width.",
        examples: &[("x | digits", "〒１６６-０００４", "1660004")],
        run: |input, _| {
            let digits = input.as_text().nfkc().filter(char::is_ascii_digit);
            Value::text(digits.collect::<String>())
        },
    },
    Function {
        name: "split",
        takes: SCALAR,
        parameters: &[form("separator", Form::Fixed)],
        gives: Kinds::LIST,
        about: "The parts of a text as a list, for an element that repeats; empty parts go.",
        examples: &[("x | split(';')", "dementia; ;tpn", r#"["dementia","tpn"]"#)],
        run: |input, ask| {
            let separator = ask.text(0);
            if separator.is_empty() {
                return Value::tree(Out::List(vec![Out::Text(input.into_text())]));
            }
            let parts = input
                .as_text()
                .split(separator)
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Value::tree(Out::List(
                parts.map(|part| Out::text(part.to_owned())).collect(),
            ))
        },
    },
    Function {
        name: "join",
        takes: Kinds::NONE,
        parameters: &[
            form("separator", Form::Fixed),
            repeated(value("text", SCALAR)),
        ],
        gives: TEXT,
        about: "Texts with a separator between; what is nothing is passed over.",
        examples: &[
            ("join(' ', x, x | upper)", "a", "a A"),
            ("join('-', x, x)", "", ""),
        ],
        run: |_, ask| {
            let texts: Vec<&str> = ask.arguments[1..]
                .iter()
                .filter_map(|argument| match argument {
                    Argument::Value(value) if !value.is_nothing() => Some(value.as_text()),
                    _ => None,
                })
                .collect();
            Value::text(texts.join(ask.text(0)))
        },
    },
    Function {
        name: "contains",
        takes: SCALAR,
        parameters: &[form("text", Form::Fixed)],
        gives: Kinds::BOOL,
        about: "Whether a text stands in it.",
        examples: &[("x | contains('至急')", "【至急】", "true")],
        run: |input, ask| Value::Bool(input.as_text().contains(ask.text(0))),
    },
    Function {
        name: "starts_with",
        takes: SCALAR,
        parameters: &[form("text", Form::Fixed)],
        gives: Kinds::BOOL,
        about: "Whether it begins with a text.",
        examples: &[("x | starts_with('9')", "0123", "false")],
        run: |input, ask| Value::Bool(input.as_text().starts_with(ask.text(0))),
    },
    Function {
        name: "like",
        takes: SCALAR,
        parameters: &[form("picture", Form::Fixed)],
        gives: Kinds::BOOL,
        about: "Whether it has a form: `9` a digit, `A` a letter, `?` any character, `*` any rest, all else itself.",
        examples: &[
            ("x | like('999-9999')", "166-0004", "true"),
            ("x | like('99*')", "9", "false"),
            ("x | like('A9*')", "B12-x", "true"),
        ],
        run: |input, ask| Value::Bool(is_like(input.as_text(), ask.text(0))),
    },
];

fn narrow(input: Value<'_>) -> Value<'_> {
    match input.into_text() {
        Cow::Borrowed(text) => Value::text(narrowed(text)),
        Cow::Owned(text) => Value::text(narrowed(&text).into_owned()),
    }
}

/// Full-width letters, digits and signs as ASCII.
pub(crate) fn narrowed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let one = |character: char| match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(character as u32 - 0xFEE0).unwrap_or(character),
        '\u{3000}' => ' ',
        '\u{2212}' => '-',
        other => other,
    };
    Cow::Owned(text.chars().map(one).collect())
}

fn wide(input: Value<'_>) -> Value<'_> {
    let kana = renkei_hl7v2::kana::to_full_width_kana(input.as_text()).into_owned();
    let one = |character: char| match character {
        '!'..='~' => char::from_u32(character as u32 + 0xFEE0).unwrap_or(character),
        ' ' => '\u{3000}',
        other => other,
    };
    Value::text(kana.chars().map(one).collect::<String>())
}

fn part<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>) -> Value<'a> {
    let (separator, number) = (ask.text(0), ask.whole(1).unwrap_or(1));
    if separator.is_empty() {
        return input;
    }
    let Some(skip) = number.checked_sub(1) else {
        return Value::Nothing;
    };
    match input.into_text() {
        Cow::Borrowed(text) => Value::text(text.split(separator).nth(skip).unwrap_or("")),
        Cow::Owned(text) => Value::text(text.split(separator).nth(skip).unwrap_or("").to_owned()),
    }
}

fn pad<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>) -> Value<'a> {
    let width = ask.whole(0).unwrap_or(0);
    let length = input.as_text().chars().count();
    if length >= width {
        return Value::text(input.into_text());
    }
    let with = ask.text(1).chars().next().unwrap_or('0');
    let mut text: String = std::iter::repeat_n(with, width - length).collect();
    text.push_str(input.as_text());
    Value::text(text)
}

fn is_like(text: &str, picture: &str) -> bool {
    let mut text = text.chars();
    for sign in picture.chars() {
        if sign == '*' {
            return true;
        }
        let Some(character) = text.next() else {
            return false;
        };
        let fits = match sign {
            '9' => character.is_ascii_digit(),
            'A' => character.is_ascii_alphabetic(),
            '?' => true,
            other => character == other,
        };
        if !fits {
            return false;
        }
    }
    text.next().is_none()
}
