//! Decimals as they were written.
//!
//! FHIR gives the spelling of a decimal a meaning: `6.80` is measured more finely than `6.8`. An `f64` loses
//! that, so a [`Decimal`] keeps the characters and prints them as a JSON number without ever computing with them.

use std::borrow::Cow;
use std::fmt;

/// A decimal number that is printed in JSON exactly as it is spelled here (FHIR R4 `decimal`).
///
/// Two decimals are equal when their spelling is equal: `6.8` and `6.80` differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Decimal<'a>(Cow<'a, str>);

impl<'a> Decimal<'a> {
    /// The longest spelling accepted. Measured values have a handful of digits; more is not a measurement.
    pub const MAX_CHARS: usize = 64;

    /// Reads a number as laboratory systems spell it; `None` when `text` is not one.
    ///
    /// Blanks around it are ignored. What JSON forbids and HL7 v2.5 NM allows is rewritten without touching the
    /// precision: a leading `+` and leading zeros go (`+05.0` → `5.0`), a missing integer part becomes `0`
    /// (`.5` → `0.5`), a trailing point goes (`1.` → `1`). Everything else is refused: comparators, units,
    /// thousands separators, full-width digits, two points, `NaN`, numbers beyond the range of an IEEE double,
    /// and more than [`Self::MAX_CHARS`] characters.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']);
        if text.len() > Self::MAX_CHARS {
            return None;
        }
        let json = json_spelling(text)?;
        // Only a power of ten can carry so few characters beyond a double.
        if json.contains(['e', 'E']) {
            json.parse::<f64>().ok().filter(|value| value.is_finite())?;
        }
        Some(Self(json))
    }

    /// The spelling that will be printed, a valid JSON number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling that will be printed, with the life of what it was read from.
    #[must_use]
    pub fn into_text(self) -> Cow<'a, str> {
        self.0
    }

    /// The same number, independent of the text it was read from.
    #[must_use]
    pub fn into_owned(self) -> Decimal<'static> {
        Decimal(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Debug for Decimal<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<u32> for Decimal<'static> {
    fn from(value: u32) -> Self {
        Self(Cow::Owned(value.to_string()))
    }
}

/// Rewrites `text` as a JSON number, borrowing it when it is one already.
fn json_spelling(text: &str) -> Option<Cow<'_, str>> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], &unsigned[at..]),
        None => (unsigned, ""),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (integer.is_empty() && fraction.is_empty()) || !digits(integer) || !digits(fraction) {
        return None;
    }
    if !exponent.is_empty() {
        let power = exponent[1..].trim_start_matches(['+', '-']);
        if power.is_empty() || !digits(power) || exponent.len() - power.len() > 2 {
            return None;
        }
    }
    let has_zeros = integer.len() > 1 && integer.starts_with('0');
    let has_bare_point = mantissa.ends_with('.');
    if !has_zeros && !has_bare_point && !integer.is_empty() && !text.starts_with('+') {
        return Some(Cow::Borrowed(text));
    }
    let significant = integer.trim_start_matches('0');
    let mut spelled = String::with_capacity(text.len() + 1);
    if negative {
        spelled.push('-');
    }
    spelled.push_str(if significant.is_empty() {
        "0"
    } else {
        significant
    });
    if !fraction.is_empty() {
        spelled.push('.');
        spelled.push_str(fraction);
    }
    spelled.push_str(exponent);
    Some(Cow::Owned(spelled))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Decimal;

    fn spelled(text: &str) -> Option<String> {
        Decimal::parse(text).map(|decimal| decimal.as_str().to_owned())
    }

    #[test]
    fn spelling_is_kept_or_rewritten_by_rule() {
        for (text, json) in [
            ("6.80", "6.80"),
            ("7", "7"),
            ("0", "0"),
            ("-0.10", "-0.10"),
            ("1.5E+3", "1.5E+3"),
            (" 6.8 ", "6.8"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("+3", "3"),
            ("05", "5"),
            ("00", "0"),
            ("00.50", "0.50"),
            ("1.", "1"),
        ] {
            assert_eq!(spelled(text).as_deref(), Some(json), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in [
            "", " ", ".", "-", "+", "+-3", "1.2.3", "1,234", "<5", "5 mg", "１２", "NaN", "1e",
            "1e+", "1e+-3", "1e999", "0x10", "--1", "1e--3",
        ] {
            assert_eq!(spelled(text), None, "{text}");
        }
        assert_eq!(spelled(&"1".repeat(Decimal::MAX_CHARS + 1)), None);
    }

    proptest! {
        #[test]
        fn json_numbers_keep_every_character(text in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?") {
            prop_assert_eq!(spelled(&text), Some(text));
        }

        #[test]
        fn any_text_gives_json_or_nothing(text in "\\PC{0,20}|[-+.eE0-9 ]{0,12}") {
            if let Some(json) = spelled(&text) {
                prop_assert!(serde_json::from_str::<f64>(&json).is_ok(), "{}", json);
            }
        }
    }
}
