//! What laboratories write as a result: reads one OBX-5 of type ST or SN as a number with a
//! comparator, a qualitative grade, or words.
//!
//! The classes follow the SN idea of HL7 v2.5 ch. 2.A.67 as Japanese senders print it into ST
//! (`< 0.02`, ` 2 +`, `100<`, `5以下`, `検出せず`). What is not surely a number or a grade stays
//! text: `12/3`, `1:40`, `溶血`. Nothing is ever computed.

use std::borrow::Cow;

use renkei_fhir::Decimal;
use renkei_hl7v2::kana;

/// One result as its writer meant it.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading<'a> {
    /// Nothing but blanks.
    Nothing,
    /// A number; the comparator is empty, `<`, `<=`, `>=` or `>`.
    Number {
        /// FHIR R4 `quantity-comparator`, or empty.
        comparator: &'static str,
        /// The number as written.
        number: Decimal<'a>,
    },
    /// A qualitative or semi-quantitative result, with its spelling freed of blanks.
    Grade(Grade, Cow<'a, str>),
    /// Words, a ratio, a range, a titre: kept as written, outer blanks removed.
    Text(Cow<'a, str>),
}

/// How a qualitative result came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grade {
    /// `-`, 陰性, 検出せず.
    Negative,
    /// `+`, 陽性, 検出.
    Positive,
    /// `+-`, `±`, 擬陽性, 判定保留.
    Undecided,
    /// `1+` to `5+`, `++`.
    Degree,
}

impl Reading<'_> {
    /// The same reading, independent of the text it was made from.
    pub(crate) fn into_owned(self) -> Reading<'static> {
        match self {
            Self::Nothing => Reading::Nothing,
            Self::Number { comparator, number } => Reading::Number {
                comparator,
                number: number.into_owned(),
            },
            Self::Grade(grade, spelled) => Reading::Grade(grade, Cow::Owned(spelled.into_owned())),
            Self::Text(text) => Reading::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// Reads a result. Leading blanks mean nothing here: they separate the empty parts of an SN.
pub(crate) fn read(text: &str) -> Reading<'_> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Reading::Nothing;
    }
    if let Some(number) = Decimal::parse(trimmed) {
        return Reading::Number {
            comparator: "",
            number,
        };
    }
    let folded = fold(trimmed);
    if let Some((comparator, number)) = compared(&folded) {
        return Reading::Number { comparator, number };
    }
    if let Some(grade) = grade(&folded) {
        return Reading::Grade(grade, without_blanks(trimmed));
    }
    Reading::Text(Cow::Borrowed(trimmed))
}

/// Half-width signs, digits and letters, one spelling per comparator, no blanks except between two
/// digits (`12 34` is not 1234).
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains([' ', '\t']) {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len());
    let widened = kana::to_full_width_kana(text);
    let mut blank = false;
    for character in widened.chars() {
        if character.is_whitespace() {
            blank = true;
            continue;
        }
        let character = narrow(character);
        if blank && is_digit(folded.chars().next_back()) && is_digit(Some(character)) {
            folded.push(' ');
        }
        blank = false;
        match character {
            '≦' | '≤' | '⩽' => folded.push_str("<="),
            '≧' | '≥' | '⩾' => folded.push_str(">="),
            '±' => folded.push_str("+-"),
            other => folded.push(other),
        }
    }
    Cow::Owned(folded)
}

fn is_digit(character: Option<char>) -> bool {
    character.is_some_and(|character| character.is_ascii_digit())
}

/// The ASCII form of a full-width sign, and one spelling for what senders use alike.
fn narrow(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(character as u32 - 0xFEE0).unwrap_or(character),
        '\u{2212}' | '\u{2010}'..='\u{2015}' => '-',
        '\u{301C}' => '~',
        '〈' => '<',
        '〉' => '>',
        '×' => 'x',
        other => other,
    }
}

/// Comparator signs before a number. `L` is the NHO reading of an analyser's "lower than".
const BEFORE: [(&str, &str); 7] = [
    ("<=", "<="),
    ("=<", "<="),
    (">=", ">="),
    ("=>", ">="),
    ("<", "<"),
    (">", ">"),
    ("L", "<"),
];

/// The same after a number, where a sign points the other way: `100<` says that 100 is exceeded.
const AFTER: [(&str, &str); 13] = [
    ("<=", ">="),
    ("=<", ">="),
    (">=", "<="),
    ("=>", "<="),
    ("<", ">"),
    (">", "<"),
    ("以下", "<="),
    ("イカ", "<="),
    ("未満", "<"),
    ("ミマン", "<"),
    ("以上", ">="),
    ("超過", ">"),
    ("超", ">"),
];

fn compared(folded: &str) -> Option<(&'static str, Decimal<'static>)> {
    if let Some(number) = plain_number(folded) {
        return Some(("", number));
    }
    for (sign, comparator) in BEFORE {
        if let Some(number) = folded.strip_prefix(sign).and_then(plain_number) {
            return Some((comparator, number));
        }
    }
    for (sign, comparator) in AFTER {
        if let Some(number) = folded.strip_suffix(sign).and_then(plain_number) {
            return Some((comparator, number));
        }
    }
    None
}

/// A number, a power of ten (`2.3x10^3` → `2.3e3`), or one with thousands separators.
fn plain_number(text: &str) -> Option<Decimal<'static>> {
    if let Some(number) = Decimal::parse(text) {
        return Some(number.into_owned());
    }
    if let Some((mantissa, power)) = text.split_once(['x', 'X', '*']) {
        let exponent = power
            .strip_prefix("10")
            .and_then(|rest| rest.strip_prefix("**").or(rest.strip_prefix(['^', '*'])))?;
        let right = exponent.len() <= 3 && !mantissa.contains(['e', 'E']);
        return right
            .then(|| format!("{mantissa}e{exponent}"))
            .and_then(|spelled| Decimal::parse(&spelled).map(Decimal::into_owned));
    }
    let (head, groups) = text.split_once(',')?;
    let whole = groups.split_once('.').map_or(groups, |(whole, _)| whole);
    let grouped = (1..=3).contains(&head.len())
        && head.bytes().all(|byte| byte.is_ascii_digit())
        && whole.split(',').all(|group| group.len() == 3);
    grouped
        .then(|| text.replace(',', ""))
        .and_then(|spelled| Decimal::parse(&spelled).map(Decimal::into_owned))
}

const NEGATIVE: &[&str] = &[
    "-",
    "陰性",
    "インセイ",
    "検出せず",
    "検出セズ",
    "検出されず",
    "検出しない",
    "不検出",
    "未検出",
    "ケンシュツセズ",
    "ケンシユツセズ",
    "フケンシュツ",
    "フケンシユツ",
    "ミケンシュツ",
    "ミケンシユツ",
];
const POSITIVE: &[&str] = &["+", "陽性", "ヨウセイ", "弱陽性", "強陽性", "検出"];
const UNDECIDED: &[&str] = &[
    "+-",
    "-+",
    "+/-",
    "-/+",
    "擬陽性",
    "疑陽性",
    "偽陽性",
    "判定保留",
    "保留",
];

pub(crate) fn grade(folded: &str) -> Option<Grade> {
    let inner = folded
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(folded);
    if NEGATIVE.contains(&inner) || is_word(inner, &["NEG", "NEGATIVE"]) {
        return Some(Grade::Negative);
    }
    if POSITIVE.contains(&inner) || is_word(inner, &["POS", "POSITIVE"]) {
        return Some(Grade::Positive);
    }
    if UNDECIDED.contains(&inner) {
        return Some(Grade::Undecided);
    }
    let plusses = (2..=5).contains(&inner.len()) && inner.bytes().all(|byte| byte == b'+');
    let counted = match inner.as_bytes() {
        [b'1'..=b'5', b'+'] | [b'+', b'1'..=b'5'] => true,
        _ => inner
            .strip_suffix("+有")
            .is_some_and(|degree| matches!(degree.as_bytes(), [b'1'..=b'5'])),
    };
    (plusses || counted).then_some(Grade::Degree)
}

fn is_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn without_blanks(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_whitespace) {
        Cow::Owned(text.split_whitespace().collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Reading::Nothing => "nothing".into(),
            Reading::Number { comparator, number } => format!("{comparator}{}", number.as_str()),
            Reading::Grade(grade, spelled) => format!("{grade:?} {spelled}"),
            Reading::Text(text) => format!("text {text}"),
        }
    }

    #[test]
    fn numbers_and_comparators() {
        for (text, expected) in [
            ("3.10", "3.10"),
            (" 7", "7"),
            ("< 0.02", "<0.02"),
            (">= 1", ">=1"),
            ("＜5", "<5"),
            ("≦０．５", "<=0.5"),
            ("〈0.1", "<0.1"),
            ("=<3", "<=3"),
            ("100<", ">100"),
            ("100 ＜", ">100"),
            ("5>", "<5"),
            ("5≧", "<=5"),
            ("5以下", "<=5"),
            ("5 未満", "<5"),
            ("10ﾐﾏﾝ", "<10"),
            ("200以上", ">=200"),
            ("200超過", ">200"),
            ("L300", "<300"),
            ("2.3x10^3", "2.3e3"),
            ("<2.3×10^3", "<2.3e3"),
            ("1*10**-2", "1e-2"),
            ("12,000", "12000"),
            ("１２３", "123"),
            ("－1.5", "-1.5"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn grades() {
        for (text, expected) in [
            ("  -", "Negative -"),
            ("(-)", "Negative (-)"),
            ("（－）", "Negative （－）"),
            ("陰性", "Negative 陰性"),
            ("検出せず", "Negative 検出せず"),
            ("ｹﾝｼｭﾂｾｽﾞ", "Negative ｹﾝｼｭﾂｾｽﾞ"),
            ("negative", "Negative negative"),
            ("  +", "Positive +"),
            ("陽性", "Positive 陽性"),
            ("  +-", "Undecided +-"),
            ("±", "Undecided ±"),
            ("(+/-)", "Undecided (+/-)"),
            ("判定保留", "Undecided 判定保留"),
            (" 2 +", "Degree 2+"),
            ("1+", "Degree 1+"),
            ("(３＋)", "Degree (３＋)"),
            ("+++", "Degree +++"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_may_mean_two_things_stays_text() {
        for text in [
            "12/3", "1:40", "40倍", "溶血", "12 34", "1-4", "U100", "120↑", "2.3x103", "1,23",
            "6+", "E.coli", "A", "<", "<陰性", "x10^3", "()",
        ] {
            assert_eq!(shown(text), format!("text {text}"));
        }
        assert_eq!(shown("　 "), "nothing");
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_none_is_lost(text in "\\PC{0,24}|[-+<>=() 0-9.x^*,以下未満]{0,12}") {
            let empty = matches!(read(&text), Reading::Nothing);
            prop_assert_eq!(empty, text.trim().is_empty());
            prop_assert_eq!(read(&text).into_owned(), read(&text));
        }
    }
}
