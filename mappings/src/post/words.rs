//! The fixed words of a post: dates, laboratory flags, and what an event means for the reader's
//! plans. Tables only; no value of a patient ever chooses a sentence here.

use jiff::civil::{Date, DateTime, Weekday};
use renkei_core::NoticeKind;

/// `1/31(金)11:00` or `1/31(金)`; `None` when the text is no date of the contract.
pub(super) fn moment(text: &str) -> Option<String> {
    let (date, time) = parse(text)?;
    let day = match date.weekday() {
        Weekday::Monday => '月',
        Weekday::Tuesday => '火',
        Weekday::Wednesday => '水',
        Weekday::Thursday => '木',
        Weekday::Friday => '金',
        Weekday::Saturday => '土',
        Weekday::Sunday => '日',
    };
    let mut shown = format!("{}/{}({day})", date.month(), date.day());
    if let Some(time) = time {
        shown.push_str(&format!("{:02}:{:02}", time.hour(), time.minute()));
    }
    Some(shown)
}

/// `1/11`; `None` when the text is no date.
pub(super) fn day(text: &str) -> Option<String> {
    parse(text).map(|(date, _)| format!("{}/{}", date.month(), date.day()))
}

/// The moment for machines: a date as it is, a time as RFC 3339 in Japan time; empty when unknown.
pub(super) fn rfc3339(text: &str) -> String {
    match parse(text) {
        None => String::new(),
        Some((date, None)) => date.to_string(),
        Some((_, Some(time))) => format!("{}+09:00", time.strftime("%Y-%m-%dT%H:%M:%S")),
    }
}

fn parse(text: &str) -> Option<(Date, Option<DateTime>)> {
    if let Ok(time) = DateTime::strptime("%Y-%m-%dT%H:%M", text) {
        return Some((time.date(), Some(time)));
    }
    Date::strptime("%Y-%m-%d", text)
        .ok()
        .map(|date| (date, None))
}

/// The laboratory's flag in words (HL7 table 0078); `None` when the row is not flagged.
pub(super) fn flag(flag: &str) -> Option<&'static str> {
    let folded: String = flag
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| match character {
            'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '＜' | '＞' => {
                char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character)
            }
            other => other,
        })
        .collect::<String>()
        .to_ascii_uppercase();
    match folded.as_str() {
        "" | "N" | "正常" => None,
        "H" | "高" | "高値" | "↑" => Some("高値"),
        "L" | "低" | "低値" | "↓" => Some("低値"),
        "HH" | "異常高値" | "↑↑" => Some("異常高値"),
        "LL" | "異常低値" | "↓↓" => Some("異常低値"),
        ">" => Some("測定上限超"),
        "<" => Some("測定下限未満"),
        _ => Some("異常"),
    }
}

/// What the event means for the reader's plans: organisational, never clinical. `wide` is the
/// audience that sees the whole event, the other sees only that it happened.
pub(super) const fn so_what(kind: NoticeKind, wide: bool) -> Option<&'static str> {
    match (kind, wide) {
        (NoticeKind::Admission, true) => Some("入院中の訪問・サービスの予定をご確認ください"),
        (NoticeKind::Admission, false) => Some("訪問予定をご確認ください"),
        (NoticeKind::DischargePlan, true) => Some("退院日に向けた予定の調整をお願いします"),
        (NoticeKind::DischargePlan, false) => Some("退院日の前後の訪問予定をご確認ください"),
        (NoticeKind::Discharge, _) => Some("退院日の訪問予定をご確認ください"),
        (NoticeKind::Transfer, true) => Some("連絡・面会の際は移動先をご確認ください"),
        (NoticeKind::Transfer | NoticeKind::Document | NoticeKind::Alert, _) => None,
    }
}

/// The sheet's title.
pub(super) const fn sheet_title(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Admission => "入院時情報シート",
        NoticeKind::DischargePlan => "退院予定情報シート",
        NoticeKind::Discharge => "退院時情報シート",
        NoticeKind::Transfer => "転棟時情報シート",
        NoticeKind::Document => "文書情報シート",
        NoticeKind::Alert => "警報情報シート",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_at_a_glance() {
        assert_eq!(moment("2025-01-31T11:00").as_deref(), Some("1/31(金)11:00"));
        assert_eq!(moment("2025-02-05").as_deref(), Some("2/5(水)"));
        assert_eq!(moment("2025-02-30"), None);
        assert_eq!(moment("20250131"), None);
        assert_eq!(rfc3339("2025-01-31T11:00"), "2025-01-31T11:00:00+09:00");
        assert_eq!(rfc3339("2025-01-31"), "2025-01-31");
        assert_eq!(day("2025-01-11T08:00").as_deref(), Some("1/11"));
    }

    #[test]
    fn flags_are_words_and_an_unflagged_row_has_none() {
        assert_eq!(flag("L"), Some("低値"));
        assert_eq!(flag("Ｈ"), Some("高値"));
        assert_eq!(flag("hh"), Some("異常高値"));
        assert_eq!(flag("*"), Some("異常"));
        assert_eq!(flag(" N "), None);
        assert_eq!(flag(""), None);
    }
}
