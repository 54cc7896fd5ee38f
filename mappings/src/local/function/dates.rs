//! Dates and times as people and machines in Japan write them, to the FHIR form of the precision given.
//!
//! Everything is turned into the digits [`crate::moment::Moment`] reads; nothing is guessed: two-digit years
//! need a picture that says so, a digit for an era needs `wareki`.

use std::borrow::Cow;

use renkei_core::Code;
use unicode_normalization::UnicodeNormalization;

use super::{Ask, Form, Function, form, optional, value};
use crate::local::kind::Kinds;
use crate::local::value::Value;
use crate::moment::{Moment, Precision};

const MOMENT: Kinds = Kinds::TEXT
    .or(Kinds::DATE)
    .or(Kinds::DATE_TIME)
    .or(Kinds::INSTANT);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "date",
        takes: MOMENT,
        parameters: &[optional(form("picture", Form::Picture))],
        gives: Kinds::DATE,
        about: "A date in any usual form, an era by letter or name included; or by a picture of y M d G.",
        examples: &[
            ("x | date", "20250131", "2025-01-31"),
            ("x | date", "2025/1/31 9:30", "2025-01-31"),
            ("x | date", "昭和14年2月15日", "1939-02-15"),
            ("x | date", "令和元年5月1日", "2019-05-01"),
            ("x | date", "S14.2.15", "1939-02-15"),
            ("x | date", "2025年01月", "2025-01"),
            ("x | date('yyMMdd')", "250131", "2025-01-31"),
            ("x | date('d.M.yyyy')", "31.1.2025", "2025-01-31"),
            ("x | date", "2025-02-30", ""),
        ],
        run: |input, ask| {
            give(input, ask, |read, _| {
                Some(if read.precision() == Precision::Time {
                    read.date()
                } else {
                    read.fhir()
                })
            })
        },
    },
    Function {
        name: "wareki",
        takes: Kinds::TEXT,
        parameters: &[],
        gives: Kinds::DATE,
        about: "A date of the Japanese calendar, also with the era as a digit (1 Meiji … 5 Reiwa).",
        examples: &[
            ("x | wareki", "3140215", "1939-02-15"),
            ("x | wareki", "R7.1.31", "2025-01-31"),
            ("x | wareki", "平成元年1月8日", "1989-01-08"),
            ("x | wareki", "S640108", ""),
        ],
        run: |input, ask| {
            let text = fold(input.as_text());
            match era(&text, true).and_then(|digits| moment(&digits, ask)) {
                Some(read) => Value::Text(read.fhir().into()),
                None => ask.refuse(Code::MAP_BAD_DATE, input.as_text()),
            }
        },
    },
    Function {
        name: "datetime",
        takes: MOMENT,
        parameters: &[optional(value("time", Kinds::SCALAR))],
        gives: Kinds::DATE_TIME,
        about: "A date with its time, or with the time of another field; the offset of the source when none is written.",
        examples: &[
            (
                "x | datetime",
                "20250111070000",
                "2025-01-11T07:00:00+09:00",
            ),
            (
                "x | datetime",
                "2025-01-11 07:00",
                "2025-01-11T07:00:00+09:00",
            ),
            (
                "x | datetime('7時5分')",
                "令和7年1月11日",
                "2025-01-11T07:05:00+09:00",
            ),
            (
                "x | datetime('0700')",
                "20250111",
                "2025-01-11T07:00:00+09:00",
            ),
            ("x | datetime", "2025/01/11", "2025-01-11"),
            (
                "x | datetime",
                "2025-01-11T07:00:00Z",
                "2025-01-11T07:00:00+00:00",
            ),
            ("x | datetime", "20250111250000", ""),
        ],
        run: |input, ask| give(input, ask, |read, _| Some(read.fhir())),
    },
    Function {
        name: "instant",
        takes: MOMENT,
        parameters: &[optional(value("time", Kinds::SCALAR))],
        gives: Kinds::INSTANT,
        about: "As `datetime`, but never less than date and time.",
        examples: &[
            (
                "x | instant",
                "2025-01-31T09:30:00+09:00",
                "2025-01-31T09:30:00+09:00",
            ),
            ("x | instant", "2025-01-31", ""),
        ],
        run: |input, ask| {
            give(input, ask, |read, _| {
                (read.precision() == Precision::Time).then(|| read.fhir())
            })
        },
    },
    Function {
        name: "time",
        takes: Kinds::SCALAR,
        parameters: &[],
        gives: Kinds::TIME,
        about: "A time of day.",
        examples: &[
            ("x | time", "930", "09:30:00"),
            ("x | time", "９：３０", "09:30:00"),
            ("x | time", "25:00", ""),
        ],
        run: |input, ask| match clock(&fold(input.as_text())) {
            Some(digits) => {
                let second = digits.get(4..6).unwrap_or("00");
                Value::text(format!("{}:{}:{second}", &digits[..2], &digits[2..4]))
            }
            None => ask.refuse(Code::MAP_BAD_DATE, input.as_text()),
        },
    },
    Function {
        name: "excel_date",
        takes: Kinds::SCALAR,
        parameters: &[],
        gives: Kinds::DATE_TIME,
        about: "The day number Excel stores (1900 system), with the time its fraction says.",
        examples: &[
            ("x | excel_date", "45688", "2025-01-31"),
            ("x | excel_date", "45688.5", "2025-01-31T12:00:00+09:00"),
            ("x | excel_date", "60", ""),
        ],
        run: excel,
    },
    Function {
        name: "format_date",
        takes: MOMENT,
        parameters: &[form("picture", Form::Picture)],
        gives: Kinds::TEXT,
        about: "A date or time by a picture of y M d H m s, for receivers that want another form.",
        examples: &[
            (
                "x | date | format_date('yyyy/MM/dd')",
                "20250131",
                "2025/01/31",
            ),
            (
                "x | datetime | format_date('M月d日 HH:mm')",
                "202501310905",
                "1月31日 09:05",
            ),
        ],
        run: format_date,
    },
];

fn give<'a>(
    input: Value<'a>,
    ask: &mut Ask<'_, 'a>,
    print: fn(Moment, &Ask<'_, 'a>) -> Option<String>,
) -> Value<'a> {
    let argument = ask.text(0);
    let text = input.as_text();
    // `date` has a picture where the others have a time; a picture always names a part by its letter.
    let is_picture = argument.contains(['y', 'G']);
    let digits = if is_picture {
        by_picture(&fold(text), argument)
    } else {
        canonical(text, argument)
    };
    let read = digits.and_then(|digits| moment(&digits, ask));
    match read.and_then(|read| print(read, ask)) {
        Some(printed) => Value::Text(printed.into()),
        None => ask.refuse(Code::MAP_BAD_DATE, text),
    }
}

/// A date in any usual form, with the time of another field behind it unless that is empty.
pub(crate) fn read_date(text: &str, time: &str, zone: jiff::tz::Offset) -> Option<Moment> {
    Moment::parse(&canonical(text, time)?, zone).ok()
}

fn moment(digits: &str, ask: &Ask<'_, '_>) -> Option<Moment> {
    Moment::parse(digits, ask.options.zone).ok()
}

/// Half-width, without blanks at the ends.
fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text.trim());
    }
    Cow::Owned(text.nfkc().collect::<String>().trim().to_owned())
}

/// Appends one or two digits as two.
fn push_two(digits: &mut String, part: &str) {
    if part.len() < 2 {
        digits.push('0');
    }
    digits.push_str(part);
}

/// `YYYY[MM[DD[HHMM[SS[.f]]]]][+ZZZZ]` from any usual form, with the time of another field behind it.
fn canonical(text: &str, time: &str) -> Option<String> {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if time.is_empty() && matches!(text.len(), 8 | 12 | 14) && is_digits(text) {
        return Some(text.to_owned());
    }
    let text = fold(text);
    let mut digits = if let Some(digits) = era(&text, false) {
        digits
    } else {
        gregorian(&text)?
    };
    if !time.is_empty() {
        digits.truncate(8);
        if digits.len() < 8 {
            return None;
        }
        digits.push_str(&clock(&fold(time))?);
    }
    Some(digits)
}

/// A Gregorian date with separators, and what follows it.
fn gregorian(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return matches!(text.len(), 4 | 6 | 8 | 10 | 12 | 14).then(|| text.to_owned());
    }
    let (year, rest) = number(text)?;
    if year.len() == 14 || year.len() == 12 {
        return Some(format!("{year}{}", tail(rest)?));
    }
    if year.len() == 8 {
        return with_time(year.to_owned(), rest);
    }
    if year.len() != 4 {
        return None;
    }
    parts(year.to_owned(), rest)
}

/// Month, day and time behind a four-digit year.
fn parts(mut digits: String, rest: &str) -> Option<String> {
    digits.reserve(10);
    let Some(mut rest) = after_separator(rest, &['/', '-', '.', '年']) else {
        return rest.is_empty().then_some(digits);
    };
    for separators in [&['/', '-', '.', '月'][..], &['日'][..]] {
        if rest.is_empty() {
            return Some(digits);
        }
        let (part, behind) = number(rest)?;
        if part.len() > 2 {
            return None;
        }
        push_two(&mut digits, part);
        rest = after_separator(behind, separators).unwrap_or(behind);
        if digits.len() == 6 && rest.len() == behind.len() && !behind.is_empty() {
            return None;
        }
    }
    with_time(digits, rest)
}

fn with_time(mut digits: String, rest: &str) -> Option<String> {
    let rest =
        rest.trim_start_matches(|sign: char| sign == 'T' || sign.is_whitespace() || is_day(sign));
    let rest = rest.trim_start_matches([' ', 'T']);
    if rest.is_empty() {
        return Some(digits);
    }
    let offset_at = rest
        .find(['+', 'Z'])
        .or_else(|| rest.rfind('-'))
        .unwrap_or(rest.len());
    let (time, offset) = rest.split_at(offset_at);
    digits.push_str(&clock(time.trim())?);
    digits.push_str(&tail(offset)?);
    Some(digits)
}

/// `(金)` between date and time.
fn is_day(sign: char) -> bool {
    "()月火水木金土日曜".contains(sign)
}

/// An offset as HL7 writes it.
fn tail(offset: &str) -> Option<String> {
    match offset {
        "" => Some(String::new()),
        "Z" | "z" => Some("+0000".to_owned()),
        offset => {
            let digits: String = offset
                .strip_prefix(['+', '-'])?
                .chars()
                .filter(|sign| *sign != ':')
                .collect();
            (digits.len() == 4).then(|| format!("{}{digits}", &offset[..1]))
        }
    }
}

/// Six or four digits of a time, with a fraction of seconds as sent.
fn clock(text: &str) -> Option<String> {
    let bare = |text: &str| -> Option<String> {
        match text.len() {
            3 => Some(format!("0{text}")),
            4 | 6 => Some(text.to_owned()),
            5 => Some(format!("0{text}")),
            _ => None,
        }
    };
    let digits = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        bare(text)?
    } else {
        let (hour, rest) = number(text)?;
        let (minute, rest) = number(after_separator(rest, &[':', '時'])?).unwrap_or(("0", ""));
        let rest = after_separator(rest, &[':', '分']).unwrap_or(rest);
        let (second, rest) = number(rest).unwrap_or(("", rest));
        let rest = after_separator(rest, &['秒']).unwrap_or(rest);
        let fraction = match rest.strip_prefix('.') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            None if rest.is_empty() => "",
            _ => return None,
        };
        if hour.len() > 2 || minute.len() > 2 || second.len() > 2 {
            return None;
        }
        let fraction = fraction.get(..fraction.len().min(7)).unwrap_or("");
        let mut digits = String::with_capacity(14);
        push_two(&mut digits, hour);
        push_two(&mut digits, minute);
        if !second.is_empty() {
            push_two(&mut digits, second);
            digits.push_str(fraction);
        }
        digits
    };
    let two = |at: usize| {
        digits
            .get(at..at + 2)
            .and_then(|part| part.parse::<u8>().ok())
    };
    let right = two(0)? < 24 && two(2)? < 60 && two(4).is_none_or(|second| second < 60);
    right.then_some(digits)
}

/// Leading digits and the rest; `None` without digits.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|sign: char| !sign.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn after_separator<'t>(text: &'t str, separators: &[char]) -> Option<&'t str> {
    let first = text.chars().next()?;
    separators
        .contains(&first)
        .then(|| &text[first.len_utf8()..])
}

/// Era, its names, the year before its first, its first and last day.
const ERAS: [(&[&str], &str, i32, &str, &str); 5] = [
    (&["明治", "明", "M", "m"], "1", 1867, "18680125", "19120730"),
    (&["大正", "大", "T", "t"], "2", 1911, "19120730", "19261225"),
    (&["昭和", "昭", "S", "s"], "3", 1925, "19261225", "19890107"),
    (&["平成", "平", "H", "h"], "4", 1988, "19890108", "20190430"),
    (&["令和", "令", "R", "r"], "5", 2018, "20190501", "29991231"),
];

/// A date of the Japanese calendar as Gregorian digits, a time behind it included; a digit for the era only
/// `with_digit`. Days outside their era are no dates.
fn era(text: &str, with_digit: bool) -> Option<String> {
    for (names, digit, before, first, last) in ERAS {
        let by_name = names.iter().find_map(|name| text.strip_prefix(name));
        let by_digit = || {
            let is_seven = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit());
            let has_point = text
                .get(1..2)
                .is_some_and(|sign| matches!(sign, "." | "/" | "-"));
            (with_digit && (is_seven || has_point))
                .then(|| text.strip_prefix(digit))
                .flatten()
                .map(|rest| rest.trim_start_matches(['.', '/', '-']))
        };
        let Some(rest) = by_name.or_else(by_digit) else {
            continue;
        };
        let rest = rest.trim_start();
        let (year, rest) = match rest.strip_prefix('元') {
            Some(rest) => ("1", rest),
            None => number(rest)?,
        };
        let digits = if year.len() == 6 {
            let whole: i32 = year[..2].parse().ok()?;
            with_time(format!("{:04}{}", before + whole, &year[2..]), rest)?
        } else {
            let whole: i32 = year.parse().ok().filter(|whole| (1..=99).contains(whole))?;
            parts(format!("{:04}", before + whole), rest)?
        };
        let day = digits.get(..8).unwrap_or(&digits);
        let in_era = first.get(..day.len())? <= day && day <= last.get(..day.len())?;
        return in_era.then_some(digits);
    }
    None
}

/// Digits by a picture: `yyyy yy MM M dd d HH H mm ss G`, all else must stand as it is. `yy` of the Gregorian
/// calendar means 1950 to 2049.
fn by_picture(text: &str, picture: &str) -> Option<String> {
    let mut rest = text;
    let mut signs = picture.chars().peekable();
    let (mut era_before, mut year) = (None, None);
    let mut two: [Option<u32>; 5] = [None; 5];
    while let Some(sign) = signs.next() {
        let mut count = 1;
        while "yMdHms".contains(sign) && signs.peek() == Some(&sign) {
            signs.next();
            count += 1;
        }
        if sign == 'G' {
            let (names, _, before, ..) = ERAS.iter().find(|(names, digit, ..)| {
                rest.starts_with(digit) || names.iter().any(|name| rest.starts_with(name))
            })?;
            let name = names.iter().find(|name| rest.starts_with(**name));
            rest = &rest[name.map_or(1, |name| name.len())..];
            era_before = Some(*before);
            continue;
        }
        let Some(place) = "MdHms".find(sign).or((sign == 'y').then_some(9)) else {
            rest = rest.strip_prefix(sign)?;
            continue;
        };
        if sign == 'y' && rest.starts_with('元') {
            (year, rest) = (Some(1), &rest['元'.len_utf8()..]);
            continue;
        }
        let (digits, _) = number(rest)?;
        let taken = match (sign, count) {
            ('y', 1) => digits.len().min(4),
            (_, 1) => digits.len().min(2),
            (_, count) => count,
        };
        let digits = digits.get(..taken)?;
        rest = &rest[taken..];
        if place == 9 {
            year = Some(digits.parse::<i32>().ok()?);
            let is_short = digits.len() == 2 && era_before.is_none();
            year = year.map(|year| match year {
                0..=49 if is_short => year + 2000,
                50..=99 if is_short => year + 1900,
                other => other,
            });
        } else {
            two[place] = Some(digits.parse().ok()?);
        }
    }
    if !rest.trim().is_empty() {
        return None;
    }
    let mut digits = format!("{:04}", year? + era_before.unwrap_or(0));
    for part in two {
        match part {
            Some(part) => digits.push_str(&format!("{part:02}")),
            None => break,
        }
    }
    // An hour alone is not a time people write.
    (digits.len() != 10).then_some(digits)
}

fn excel<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>) -> Value<'a> {
    let text = input.as_text();
    // Day 60 is 29 February 1900, which never was; before it the count is off by one and nobody means it.
    let serial = text
        .parse::<f64>()
        .ok()
        .filter(|serial| (61.0..2_958_466.0).contains(serial));
    let moment = serial.and_then(|serial| {
        let epoch = jiff::civil::date(1899, 12, 30).at(0, 0, 0, 0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "days below three million in seconds are far below the limit"
        )]
        let seconds = (serial * 86_400.0).round() as i64;
        let at = epoch
            .checked_add(jiff::SignedDuration::from_secs(seconds))
            .ok()?;
        let has_time = serial.fract() != 0.0;
        let digits = at
            .strftime(if has_time { "%Y%m%d%H%M%S" } else { "%Y%m%d" })
            .to_string();
        self::moment(&digits, ask)
    });
    match moment {
        Some(read) => Value::Text(read.fhir().into()),
        None => ask.refuse(Code::MAP_BAD_DATE, text),
    }
}

fn format_date<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>) -> Value<'a> {
    let text = input.as_text();
    let Some(digits) = canonical(text, "").filter(|digits| moment(digits, ask).is_some()) else {
        return ask.refuse(Code::MAP_BAD_DATE, text);
    };
    let part = |sign: char| -> &str {
        let range = match sign {
            'y' => 0..4,
            'M' => 4..6,
            'd' => 6..8,
            'H' => 8..10,
            'm' => 10..12,
            _ => 12..14,
        };
        digits
            .get(range)
            .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
            .unwrap_or("00")
    };
    let mut printed = String::new();
    let mut signs = ask.text(0).chars().peekable();
    while let Some(sign) = signs.next() {
        if !"yMdHms".contains(sign) {
            printed.push(sign);
            continue;
        }
        let mut count = 1;
        while signs.peek() == Some(&sign) {
            signs.next();
            count += 1;
        }
        let whole = part(sign);
        printed.push_str(match (sign, count) {
            ('y', 2) => &whole[2..],
            ('y', _) | (_, 2..) => whole,
            (_, _) => whole.strip_prefix('0').unwrap_or(whole),
        });
    }
    Value::text(printed)
}
