//! Reference ranges (OBX-7) as laboratories write them: `3.8-5.2`, `<0.30`, `10以上`, `(-)`.

use renkei_fhir::Decimal;

use super::value::{self, Reading};

/// One reference range. What the laboratory wrote is its text, whatever was understood.
#[derive(Debug, PartialEq, Default)]
pub(crate) struct Range<'a> {
    /// Lower end, included unless the text says otherwise.
    pub(crate) low: Option<Decimal<'a>>,
    /// Upper end, included unless the text says otherwise.
    pub(crate) high: Option<Decimal<'a>>,
    /// The text names neither a number nor a grade that was understood.
    pub(crate) is_words: bool,
}

impl Range<'_> {
    /// The same range, independent of the text it was read from.
    pub(crate) fn into_owned(self) -> Range<'static> {
        Range {
            low: self.low.map(Decimal::into_owned),
            high: self.high.map(Decimal::into_owned),
            is_words: self.is_words,
        }
    }
}

/// Reads a reference range; `None` when nothing was written.
pub(crate) fn read(text: &str) -> Option<Range<'_>> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if let Some((low, high)) = ends(text) {
        let (low, high) = (Some(low), high);
        return Some(Range {
            low,
            high,
            is_words: false,
        });
    }
    let folded = value::fold(text);
    if let Some((low, high)) = ends(&folded) {
        let (low, high) = (Some(low.into_owned()), high.map(Decimal::into_owned));
        return Some(Range {
            low,
            high,
            is_words: false,
        });
    }
    Some(match value::read(text) {
        Reading::Number {
            comparator: "<" | "<=",
            number,
        } => Range {
            high: Some(number),
            ..Range::default()
        },
        Reading::Number {
            comparator: ">" | ">=",
            number,
        } => Range {
            low: Some(number),
            ..Range::default()
        },
        Reading::Grade(..) => Range::default(),
        _ => Range {
            is_words: true,
            ..Range::default()
        },
    })
}

/// `low-high`, either end may be negative; `low-` leaves the upper end open.
fn ends(text: &str) -> Option<(Decimal<'_>, Option<Decimal<'_>>)> {
    let start = usize::from(text.starts_with(['-', '+']));
    let at = start + text.get(start..)?.find(['-', '~'])?;
    let (low, rest) = (&text[..at], &text[at + 1..]);
    let low = Decimal::parse(low)?;
    if rest.is_empty() {
        return Some((low, None));
    }
    let high = Decimal::parse(rest)?;
    let value = |decimal: &Decimal<'_>| decimal.as_str().parse::<f64>().ok();
    (value(&low)? <= value(&high)?).then_some((low, Some(high)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let range = read(text).expect("not empty");
        let end = |end: &Option<Decimal<'_>>| {
            end.as_ref()
                .map_or_else(String::new, |end| end.as_str().to_owned())
        };
        let words = if range.is_words { " words" } else { "" };
        format!("{}..{}{words}", end(&range.low), end(&range.high))
    }

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("3.8-5.2", "3.8..5.2"),
            (" 6.50 - 8.20 ", "6.50..8.20"),
            ("３．８～５．２", "3.8..5.2"),
            ("3.8〜5.2", "3.8..5.2"),
            ("-2.0-2.0", "-2.0..2.0"),
            ("-3--1", "-3..-1"),
            ("<0.30", "..0.30"),
            ("＜5", "..5"),
            ("0.3以下", "..0.3"),
            (">10", "10.."),
            ("40以上", "40.."),
            ("40-", "40.."),
            ("(-)", ".."),
            ("陰性", ".."),
            ("M 13.5-17.6 F 11.3-15.2", ".. words"),
            ("5.2-3.8", ".. words"),
            ("5", ".. words"),
            ("-", ".."),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(read(" 　"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,24}|[-~<>0-9. ]{0,12}") {
            prop_assert_eq!(read(&text).is_none(), text.trim().is_empty());
        }
    }
}
