//! Points in time as HL7 v2 sends them and FHIR wants them: the precision that was given, no more.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// How much of a time was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYYMM`
    Month,
    /// `YYYYMMDD`
    Day,
    /// At least the hour.
    Time,
}

/// Why a time could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMoment {
    /// A Japanese-era date (`S140215`).
    Era,
    /// Anything else.
    Unreadable,
}

/// A time with its precision and offset (HL7 v2.5 ch. 2.A.75 TS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    local: DateTime,
    offset: Offset,
    precision: Precision,
}

impl Moment {
    /// Reads `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+ZZZZ]`; also the 17 digits without a point that published
    /// samples hold. Without an offset, `zone` is taken.
    ///
    /// # Errors
    /// [`BadMoment`], without the value.
    pub fn parse(text: &str, zone: Offset) -> Result<Self, BadMoment> {
        let text = text.trim();
        if text.starts_with(|letter: char| "MTSHRmtshr明大昭平令".contains(letter)) {
            return Err(BadMoment::Era);
        }
        let (text, offset) = match text.rfind(['+', '-']) {
            Some(at) if at >= 4 => (&text[..at], parse_offset(&text[at..])?),
            _ => (text, zone),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let (whole, fraction) = match whole.len() {
            15..=17 if fraction.is_empty() && whole.is_ascii() => whole.split_at(14),
            _ => (whole, fraction),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 6 {
            return Err(BadMoment::Unreadable);
        }
        let precision = match whole.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 | 12 | 14 => Precision::Time,
            _ => return Err(BadMoment::Unreadable),
        };
        let two = |at: usize, absent: i8| match whole.get(at..at + 2) {
            Some(digits) => digits.parse::<i8>().unwrap_or(-1),
            None => absent,
        };
        let year = whole[..4]
            .parse::<i16>()
            .map_err(|_| BadMoment::Unreadable)?;
        let millis = fraction
            .bytes()
            .chain(*b"000")
            .take(3)
            .fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
        let local = DateTime::new(
            year,
            two(4, 1),
            two(6, 1),
            two(8, 0),
            two(10, 0),
            two(12, 0),
            millis * 1_000_000,
        )
        .ok()
        .filter(|_| year >= 1800)
        .ok_or(BadMoment::Unreadable)?;
        Ok(Self {
            local,
            offset,
            precision,
        })
    }

    /// How much was sent.
    pub fn precision(self) -> Precision {
        self.precision
    }

    /// The FHIR `dateTime` (or `date`) of exactly this precision.
    pub fn fhir(self) -> String {
        let date = self.local.date();
        match self.precision {
            Precision::Year => format!("{:04}", date.year()),
            Precision::Month => format!("{:04}-{:02}", date.year(), date.month()),
            Precision::Day => self.date(),
            Precision::Time => {
                let time = self.local.time();
                let mut text = self.date();
                for (sign, part) in [
                    ('T', time.hour()),
                    (':', time.minute()),
                    (':', time.second()),
                ] {
                    text.push(sign);
                    push_two(&mut text, part);
                }
                if time.subsec_nanosecond() != 0 {
                    text.push_str(&format!(".{:03}", time.subsec_nanosecond() / 1_000_000));
                }
                push_offset(&mut text, self.offset);
                text
            }
        }
    }

    /// `YYYY-MM-DD`; the first day of what was sent when less was sent.
    pub fn date(self) -> String {
        let date = self.local.date();
        // Room for a time and an offset behind it.
        let mut text = String::with_capacity(32);
        // Writing to a string cannot fail.
        let _ok = write!(text, "{:04}", date.year());
        for part in [date.month(), date.day()] {
            text.push('-');
            push_two(&mut text, part);
        }
        text
    }

    /// `YYYY-MM-DDTHH:MM`, or only the date when no time was sent.
    pub fn to_the_minute(self) -> String {
        let mut text = self.date();
        if self.precision == Precision::Time {
            text.push_str(&format!(
                "T{:02}:{:02}",
                self.local.hour(),
                self.local.minute()
            ));
        }
        text
    }

    /// The instant at its beginning; `None` beyond the range of timestamps.
    pub fn instant(self) -> Option<Timestamp> {
        self.offset.to_timestamp(self.local).ok()
    }
}

/// Two digits of a part of a date or time.
fn push_two(text: &mut String, part: i8) {
    let part = part.unsigned_abs() % 100;
    text.push(char::from(b'0' + part / 10));
    text.push(char::from(b'0' + part % 10));
}

/// A timestamp as a FHIR `instant` in the zone.
pub fn fhir_instant(at: Timestamp, zone: Offset) -> String {
    let local = zone.to_datetime(at);
    Moment {
        local,
        offset: zone,
        precision: Precision::Time,
    }
    .fhir()
}

fn parse_offset(text: &str) -> Result<Offset, BadMoment> {
    let digits = &text[1..];
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadMoment::Unreadable);
    }
    let number = |part: &str| part.parse::<i32>().map_err(|_| BadMoment::Unreadable);
    let seconds = number(&digits[..2])? * 3600 + number(&digits[2..])? * 60;
    let seconds = if text.starts_with('-') {
        -seconds
    } else {
        seconds
    };
    Offset::from_seconds(seconds).map_err(|_| BadMoment::Unreadable)
}

fn push_offset(text: &mut String, offset: Offset) {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.abs();
    text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, BadMoment> {
        Moment::parse(text, jiff::tz::offset(9)).map(Moment::fhir)
    }

    #[test]
    fn the_precision_sent_is_the_precision_kept() {
        for (sent, fhir) in [
            ("2025", "2025"),
            ("202501", "2025-01"),
            ("20250131", "2025-01-31"),
            ("2025013111", "2025-01-31T11:00:00+09:00"),
            ("202501311100", "2025-01-31T11:00:00+09:00"),
            ("20250131110059", "2025-01-31T11:00:59+09:00"),
            ("20250131110059.25", "2025-01-31T11:00:59.250+09:00"),
            ("20250131110059012", "2025-01-31T11:00:59.012+09:00"),
            ("20250131110059+0000", "2025-01-31T11:00:59+00:00"),
        ] {
            assert_eq!(read(sent).as_deref(), Ok(fhir), "{sent}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "20251301",
            "20250230",
            "2025-01-31",
            "202501311",
            "20250131250000",
            "東京",
            "00010101",
            "+",
            "1+2",
        ] {
            assert_eq!(read(bad), Err(BadMoment::Unreadable), "{bad}");
        }
        assert_eq!(read("S140215"), Err(BadMoment::Era));
        assert_eq!(read("昭和14年2月15日"), Err(BadMoment::Era));
    }
}
