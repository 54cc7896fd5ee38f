//! TS and DTM: dates and times with the precision that was sent.
//!
//! Nothing is ever added: a day without an hour stays a day. Values without an offset are in the
//! zone of their source (+09:00 in Japan), which the caller names.

use std::fmt::Write as _;

use crate::view::{Component, Field};

/// Why a value is not a date. Carries no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TsError {
    /// Letters, separators, or a number of digits that no date has.
    #[error("not written as `YYYYMMDDHHMMSS`")]
    Format,
    /// A day, hour or second that does not exist (`20250230`, `24:00`).
    #[error("no such day or time")]
    Calendar,
    /// A Japanese-era date (和暦) such as `S14.02.15` or `昭和14年2月15日`.
    #[error("a Japanese-era date")]
    JapaneseEra,
    /// All zeros or all nines: the sender means "unknown" or "without end".
    #[error("a placeholder instead of a date")]
    Placeholder,
}

impl TsError {
    /// A stable short name for reports.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Format => "date-format",
            Self::Calendar => "date-calendar",
            Self::JapaneseEra => "date-japanese-era",
            Self::Placeholder => "date-placeholder",
        }
    }
}

/// The finest part that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYYMM`
    Month,
    /// `YYYYMMDD`
    Day,
    /// `YYYYMMDDHH`
    Hour,
    /// `YYYYMMDDHHMM`
    Minute,
    /// `YYYYMMDDHHMMSS`
    Second,
    /// `YYYYMMDDHHMMSS.S`
    Fraction,
}

/// A date or time as sent. Parts finer than [`Ts::precision`] are 0 (month and day: 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ts {
    /// 1..=9999.
    pub year: u16,
    /// 1..=12.
    pub month: u8,
    /// 1..=31, valid for its month.
    pub day: u8,
    /// 0..=23.
    pub hour: u8,
    /// 0..=59.
    pub minute: u8,
    /// 0..=59.
    pub second: u8,
    /// Ten-thousandths of a second, 0..=9999.
    pub fraction: u16,
    /// How many digits of the fraction were sent, 0..=4.
    pub fraction_digits: u8,
    /// Minutes east of UTC; `None` where the source's zone applies, which is usual in Japan.
    pub offset_minutes: Option<i16>,
    /// The finest part that was sent.
    pub precision: Precision,
}

impl Ts {
    /// Reads `YYYY[MM[DD[HH[MM[SS[.S{1,4}]]]]]][+/-ZZZZ]`, and 15 to 17 digits without a dot
    /// (`20080203163012345`), which published samples hold.
    ///
    /// # Errors
    /// See [`TsError`]. An empty text is a [`TsError::Format`].
    pub fn parse(text: &str) -> Result<Self, TsError> {
        let text = text.trim();
        if is_japanese_era(text) {
            return Err(TsError::JapaneseEra);
        }
        let (text, offset_minutes) = split_offset(text)?;
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if whole.len() == 14 => (whole, fraction),
            Some(_) => return Err(TsError::Format),
            None if (15..=17).contains(&text.len()) && text.is_ascii() => text.split_at(14),
            None => (text, ""),
        };
        let has_dot = text.contains('.');
        let fits = matches!(whole.len(), 4 | 6 | 8 | 10 | 12 | 14)
            && whole
                .bytes()
                .chain(fraction.bytes())
                .all(|byte| byte.is_ascii_digit())
            && fraction.len() <= 4
            && has_dot <= !fraction.is_empty();
        if !fits {
            return Err(TsError::Format);
        }
        if is_placeholder(whole) {
            return Err(TsError::Placeholder);
        }
        let ts = Self::from_digits(whole, fraction, offset_minutes).ok_or(TsError::Format)?;
        if ts.is_real() {
            Ok(ts)
        } else {
            Err(TsError::Calendar)
        }
    }

    fn from_digits(whole: &str, fraction: &str, offset_minutes: Option<i16>) -> Option<Self> {
        let pair = |from: usize, absent: u8| {
            whole
                .get(from..from + 2)
                .map_or(Some(absent), |two| two.parse().ok())
        };
        let fraction_digits = u8::try_from(fraction.len()).ok()?;
        let precision = match whole.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 => Precision::Hour,
            12 => Precision::Minute,
            _ if fraction.is_empty() => Precision::Second,
            _ => Precision::Fraction,
        };
        Some(Self {
            year: whole.get(..4)?.parse().ok()?,
            month: pair(4, 1)?,
            day: pair(6, 1)?,
            hour: pair(8, 0)?,
            minute: pair(10, 0)?,
            second: pair(12, 0)?,
            fraction: format!("{fraction:0<4}").parse().ok()?,
            fraction_digits,
            offset_minutes,
            precision,
        })
    }

    fn is_real(&self) -> bool {
        self.year >= 1
            && (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// The first component of a field; `None` when it is empty or `""`.
    ///
    /// # Errors
    /// See [`Ts::parse`].
    pub fn from_field(field: Field<'_>) -> Result<Option<Self>, TsError> {
        Self::from_component(field.component(1))
    }

    /// A component, as in SPM-17 (a range, `from^to`); `None` when it is empty or `""`.
    ///
    /// # Errors
    /// See [`Ts::parse`].
    pub fn from_component(component: Component<'_>) -> Result<Option<Self>, TsError> {
        if component.has_value() {
            Self::parse(component.subcomponent(1).raw()).map(Some)
        } else {
            Ok(None)
        }
    }

    /// True when at least hour and minute were sent, so that it names a point in time.
    #[must_use]
    pub fn is_point_in_time(&self) -> bool {
        self.precision >= Precision::Minute
    }

    /// FHIR `date`: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; a time is left out.
    #[must_use]
    pub fn fhir_date(&self) -> String {
        match self.precision {
            Precision::Year => format!("{:04}", self.year),
            Precision::Month => format!("{:04}-{:02}", self.year, self.month),
            _ => format!("{:04}-{:02}-{:02}", self.year, self.month, self.day),
        }
    }

    /// FHIR `dateTime`. `offset` is that of the source (`+09:00`), used unless the value has its
    /// own.
    ///
    /// FHIR wants a time to have minutes, so an hour without minutes gives the date alone: the
    /// hour is lost rather than `:00` invented. It wants seconds too and allows to fill them with
    /// zero (FHIR R4 `dateTime`): `YYYYMMDDHHMM` gives `:00` seconds.
    #[must_use]
    pub fn fhir_date_time(&self, offset: &str) -> String {
        self.fhir_instant(offset)
            .unwrap_or_else(|| self.fhir_date())
    }

    /// FHIR `instant`, `None` when no minute was sent.
    #[must_use]
    pub fn fhir_instant(&self, offset: &str) -> Option<String> {
        if !self.is_point_in_time() {
            return None;
        }
        let mut out = String::with_capacity(30);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        );
        if self.fraction_digits > 0 {
            let digits = format!("{:04}", self.fraction);
            out.push('.');
            out.push_str(
                digits
                    .get(..usize::from(self.fraction_digits))
                    .unwrap_or(&digits),
            );
        }
        match self.offset_minutes {
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            }
            None => out.push_str(offset),
        }
        Some(out)
    }
}

fn split_offset(text: &str) -> Result<(&str, Option<i16>), TsError> {
    let Some(at) = text.find(['+', '-']) else {
        return Ok((text, None));
    };
    let (time, zone) = text.split_at(at);
    let digits = &zone[1..];
    if time.len() < 10 || digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TsError::Format);
    }
    let number: i16 = digits.parse().map_err(|_| TsError::Format)?;
    let (hours, minutes) = (number / 100, number % 100);
    if hours > 14 || minutes > 59 {
        return Err(TsError::Calendar);
    }
    let total = hours * 60 + minutes;
    Ok((
        time,
        Some(if zone.starts_with('-') { -total } else { total }),
    ))
}

fn is_placeholder(digits: &str) -> bool {
    let day = digits.get(..8).unwrap_or(digits);
    day.bytes().all(|byte| byte == b'0') || day.bytes().all(|byte| byte == b'9')
}

fn days_in(year: u16, month: u8) -> u8 {
    let is_leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// True for `S140215`, `S14.2.15`, `昭和14年2月15日`, `昭14.2.15`, `㍼14...`, `令和元年...`: an era
/// letter or name followed by a number or 元.
fn is_japanese_era(text: &str) -> bool {
    const ERAS: [&str; 24] = [
        "明治", "大正", "昭和", "平成", "令和", "明", "大", "昭", "平", "令", "㍾", "㍽", "㍼",
        "㍻", "㋿", "M", "T", "S", "H", "R", "Ｓ", "Ｈ", "Ｒ", "Ｔ",
    ];
    let upper = text.to_ascii_uppercase();
    ERAS.iter().any(|era| {
        upper.strip_prefix(era).is_some_and(|rest| {
            let rest = rest.trim_start_matches(['.', ' ', '\u{3000}', '-']);
            rest.starts_with(|c: char| {
                c.is_ascii_digit() || ('０'..='９').contains(&c) || c == '元'
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Delimiters;

    fn shown(text: &str) -> (String, String) {
        let ts = Ts::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (ts.fhir_date(), ts.fhir_date_time("+09:00"))
    }

    #[test]
    fn every_precision_keeps_what_was_sent() {
        for (text, date, date_time) in [
            ("1939", "1939", "1939"),
            ("193902", "1939-02", "1939-02"),
            ("19390215", "1939-02-15", "1939-02-15"),
            ("2011070100", "2011-07-01", "2011-07-01"),
            ("201107010930", "2011-07-01", "2011-07-01T09:30:00+09:00"),
            ("20250111113001", "2025-01-11", "2025-01-11T11:30:01+09:00"),
            (
                "20250111113000.000",
                "2025-01-11",
                "2025-01-11T11:30:00.000+09:00",
            ),
            (
                "20250111113000.1234",
                "2025-01-11",
                "2025-01-11T11:30:00.1234+09:00",
            ),
            (
                "20250111113000.05",
                "2025-01-11",
                "2025-01-11T11:30:00.05+09:00",
            ),
            (
                "20080203163012345",
                "2008-02-03",
                "2008-02-03T16:30:12.345+09:00",
            ),
            (
                "200802031630123",
                "2008-02-03",
                "2008-02-03T16:30:12.3+09:00",
            ),
            (
                "20250111113000+0000",
                "2025-01-11",
                "2025-01-11T11:30:00+00:00",
            ),
            (
                "202501111130-0330",
                "2025-01-11",
                "2025-01-11T11:30:00-03:30",
            ),
            ("20240229", "2024-02-29", "2024-02-29"),
            ("20000229", "2000-02-29", "2000-02-29"),
        ] {
            assert_eq!(
                shown(text),
                (date.to_owned(), date_time.to_owned()),
                "{text}"
            );
        }
        let hour = Ts::parse("2011070100").expect("valid");
        assert_eq!(
            (hour.precision, hour.fhir_instant("+09:00")),
            (Precision::Hour, None)
        );
    }

    #[test]
    fn what_is_no_date_says_why() {
        for (text, error) in [
            ("", TsError::Format),
            ("2025013", TsError::Format),
            ("2025-01-31", TsError::Format),
            ("2025/01/31", TsError::Format),
            ("20250111113000.", TsError::Format),
            ("20250111113000.12345", TsError::Format),
            ("20250111.5", TsError::Format),
            ("202501111130001234", TsError::Format),
            ("２０２５", TsError::Format),
            ("2025あ", TsError::Format),
            ("20250111+0900", TsError::Format),
            ("20250229", TsError::Calendar),
            ("19000229", TsError::Calendar),
            ("20250431", TsError::Calendar),
            ("20251301", TsError::Calendar),
            ("20250100", TsError::Calendar),
            ("2025010124", TsError::Calendar),
            ("202501012360", TsError::Calendar),
            ("20250101235960", TsError::Calendar),
            ("20250111113000+1500", TsError::Calendar),
            ("99999999", TsError::Placeholder),
            ("00000000", TsError::Placeholder),
            ("99999999000000", TsError::Placeholder),
            ("S140215", TsError::JapaneseEra),
            ("s14.02.15", TsError::JapaneseEra),
            ("H1/1/8", TsError::JapaneseEra),
            ("昭和14年2月15日", TsError::JapaneseEra),
            ("昭14.2.15", TsError::JapaneseEra),
            ("令和元年5月1日", TsError::JapaneseEra),
            ("㍼14年", TsError::JapaneseEra),
            ("Ｓ１４", TsError::JapaneseEra),
            ("S", TsError::Format),
            ("昭和", TsError::Format),
        ] {
            assert_eq!(Ts::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn empty_and_null_fields_are_no_dates_and_no_errors() {
        let field = |raw| Field::new(raw, Delimiters::default());
        assert_eq!(Ts::from_field(field("")), Ok(None));
        assert_eq!(Ts::from_field(field("\"\"")), Ok(None));
        let range = field("202501110700^202501110730");
        assert_eq!(
            Ts::from_component(range.component(2)).map(|ts| ts.map(|ts| ts.minute)),
            Ok(Some(30))
        );
        assert_eq!(
            Ts::from_field(field("20250111^D")).map(|ts| ts.is_some()),
            Ok(true)
        );
    }
}
