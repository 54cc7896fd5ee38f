//! Amounts of drugs: MERIT-9 units, durations in days.

use std::borrow::Cow;

use renkei_core::{Code, Finding, Severity};
use renkei_fhir::Decimal;
use renkei_fhir::emit::{Quantity, Text};
use renkei_fhir::jp_core::{Usage, system};
use renkei_hl7v2::Component;

use super::super::results::coded::one_blank;
use crate::context::Context;
use crate::moment::Moment;
use crate::reader::{Seg, trimmed};

/// An amount as sent: what FHIR can hold, or words for a note.
pub(super) enum Amount<'m> {
    /// Nothing was sent.
    Absent,
    /// `""`: the sender says that the amount cannot be expressed.
    Null,
    /// A number with its unit.
    Known(Quantity<'m>),
    /// A number without a usable unit, or no number: kept as words.
    Words(String),
}

/// Code, words and system of a unit.
pub(super) struct UnitParts<'m> {
    pub(super) code: Text<'m>,
    pub(super) words: Text<'m>,
    pub(super) system: &'m str,
}

impl<'m> UnitParts<'m> {
    /// A unit in a field of its own (`TAB^錠^MR9P`).
    pub(super) fn of_field(segment: Seg<'m>, field: usize) -> Self {
        let value = segment.field(field);
        Self {
            code: trimmed(value.component(1).text()),
            words: trimmed(value.component(2).text()),
            system: value.component(3).raw().trim(),
        }
    }

    /// A unit inside a CQ (`3^TAB&錠&MR9P`).
    pub(super) fn of_component(component: Component<'m>) -> Self {
        Self {
            code: trimmed(component.subcomponent(1).text()),
            words: trimmed(component.subcomponent(2).text()),
            system: component.subcomponent(3).raw().trim(),
        }
    }
}

/// MERIT-9 codes by the words people use, for senders that give no code.
const BY_WORDS: &[(&str, &str)] = &[
    ("錠", "TAB"),
    ("カプセル", "CAP"),
    ("包", "PCK"),
    ("本", "HON"),
    ("枚", "SHT"),
    ("個", "KO"),
    ("瓶", "BTL"),
    ("袋", "BAG"),
    ("管", "TUBE"),
    ("滴", "DROP"),
    ("丸", "PILL"),
    ("回", "TIME"),
    ("回分", "DOSE"),
    ("単位", "UNT"),
    ("国際単位", "IUNT"),
    ("アンプル", "AMP"),
    ("バイアル", "VIL"),
    ("シリンジ", "SYRG"),
    ("キット", "KIT"),
    ("シート", "SHET"),
    ("缶", "CAN"),
    ("mL", "ML"),
    ("ml", "ML"),
    ("ｍＬ", "ML"),
    ("L", "L"),
    ("g", "G"),
    ("ｇ", "G"),
    ("mg", "MG"),
    ("ｍｇ", "MG"),
    ("μg", "MCG"),
    ("μｇ", "MCG"),
    ("mEq", "MEQ"),
];

/// Reads an amount; JP Core 1.2.0 wants a unit code on every drug amount.
pub(super) fn read<'m>(
    context: &mut Context<'m>,
    segment: Seg<'m>,
    field: usize,
    number: Component<'m>,
    unit: UnitParts<'m>,
) -> Amount<'m> {
    if number.is_null() {
        return Amount::Null;
    }
    let sent = number.text();
    if sent.trim().is_empty() {
        return Amount::Absent;
    }
    let value = match sent.clone() {
        Cow::Borrowed(text) => Decimal::parse(text.trim()),
        Cow::Owned(text) => Decimal::parse(text.trim()).map(Decimal::into_owned),
    };
    let Some(value) = value else {
        let finding = Finding::new(Code::MAP_BAD_NUMBER, Severity::Warning, segment.at(field));
        context.find(finding.with_value(sent.as_ref()));
        return Amount::Words(format!("{}{}", sent.trim(), unit.words));
    };
    match unit_of(context, unit) {
        Some((unit, system, code)) => Amount::Known(Quantity {
            value: Some(value),
            unit,
            system,
            code,
            ..Quantity::default()
        }),
        None => {
            context.note(Code::MAP_UNKNOWN_UNIT, segment.at(field));
            Amount::Words(value.as_str().to_owned())
        }
    }
}

/// Words, system and code of a unit.
fn unit_of<'m>(
    context: &Context<'m>,
    unit: UnitParts<'m>,
) -> Option<(Text<'m>, Text<'m>, Text<'m>)> {
    let merit = || Cow::Borrowed(system::DRUG_UNIT);
    let by_words = |words: &str| {
        BY_WORDS
            .iter()
            .find(|(known, _)| *known == words)
            .map(|(_, code)| *code)
    };
    let known = by_words(&unit.words).or_else(|| by_words(&unit.code));
    match (
        unit.code.is_empty(),
        unit.words.is_empty(),
        unit.system.is_empty(),
    ) {
        (true, true, _) => None,
        (false, _, false) => {
            let system = context.system(&Cow::Borrowed(unit.system), &unit.code, Usage::DrugUnit);
            let words = if unit.words.is_empty() {
                unit.code.clone()
            } else {
                unit.words
            };
            Some((words, system, one_blank(unit.code)))
        }
        _ => {
            let words = if unit.words.is_empty() {
                unit.code
            } else {
                unit.words
            };
            match known {
                Some(code) => Some((words, merit(), code.into())),
                None => {
                    // The sender's own word is the code of the sender's own system.
                    let system = context.system(&Cow::Borrowed("unit"), &words, Usage::DrugUnit);
                    Some((words.clone(), system, one_blank(words)))
                }
            }
        }
    }
}

/// Days (`5^d`, `3^D&日&ISO+`, `7^日`); `None` for other units, which JP Core 1.2.0 has no place for.
pub(super) fn days<'m>(segment: Seg<'m>, field: usize) -> Result<Option<Quantity<'m>>, String> {
    let value = segment.field(field);
    let number = trimmed(value.component(1).text());
    if number.is_empty() {
        return Ok(None);
    }
    let unit = UnitParts::of_component(value.component(2));
    let is_day = |text: &str| {
        text.is_empty() || matches!(text, "d" | "D" | "日" | "日分" | "日間" | "DAY" | "day")
    };
    let days = match (&number, is_day(&unit.code)) {
        (_, false) => None,
        (Cow::Borrowed(number), true) => Decimal::parse(number),
        (Cow::Owned(number), true) => Decimal::parse(number).map(Decimal::into_owned),
    };
    match days {
        Some(days) => Ok(Some(Quantity::in_days(days))),
        None => Err(format!(
            "{number}{}",
            if unit.words.is_empty() {
                unit.code
            } else {
                unit.words
            }
        )),
    }
}

/// A time in a field as FHIR text.
pub(super) fn time<'m>(context: &mut Context<'m>, segment: Seg<'m>, field: usize) -> Text<'m> {
    context
        .moment(segment, field)
        .map(Moment::fhir)
        .unwrap_or_default()
        .into()
}
