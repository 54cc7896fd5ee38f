//! Source text made fit for a reader: full-width kana, no control characters, no delimiters, no
//! bare codes, no empty labels.
//!
//! Every text of a notice passes here once, on its way into [`super::share`]. Nothing here knows
//! what a text means.

use renkei_hl7v2::kana::to_full_width_kana;

/// Cleans one text as sent; `None` when nothing readable is left.
pub(super) fn clean(text: &str) -> Option<String> {
    tidy(&drop_codes(&readable(text)))
}

/// Cleans a value that may look like a code but is none: a measured value, a range, a phone number.
pub(super) fn clean_value(text: &str) -> Option<String> {
    tidy(&readable(text))
}

/// Cleans and shortens to `limit` characters.
pub(super) fn clean_to(text: &str, limit: usize) -> Option<String> {
    clean(text).map(|text| clip(&text, limit))
}

/// Shortens to `limit` characters, the last of them `…` when something was cut.
pub(super) fn clip(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    // Half a date or phone number would be a wrong one.
    let cut_number = short.ends_with(|last: char| last.is_ascii_digit())
        && text[short.len()..].starts_with(|next: char| next.is_ascii_digit());
    while short.ends_with([' ', '：', ':', '（', '(', '「'])
        || (cut_number && short.ends_with(|last: char| last.is_ascii_digit()))
    {
        short.pop();
    }
    short.push('…');
    short
}

/// True for the run of letters and digits that only a machine reads: a drug, laboratory or receipt
/// code. Dates (`20250131`) and phone numbers (`0312345678`) are none.
pub(super) fn looks_like_code(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits < run.len() {
        return run.len() >= 9 && digits >= 5;
    }
    let phone = run.starts_with('0') && matches!(digits, 10 | 11);
    digits >= 7 && !phone && !looks_like_date(run)
}

fn looks_like_date(run: &str) -> bool {
    run.len() == 8
        && (run.starts_with("19") || run.starts_with("20"))
        && run.parse::<u32>().is_ok_and(|number| {
            (1..=12).contains(&(number / 100 % 100)) && (1..=31).contains(&(number % 100))
        })
}

/// The maximal runs of ASCII letters and digits of `text`, with their byte ranges.
pub(super) fn ascii_runs(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().enumerate() {
        match (byte.is_ascii_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                runs.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|from| from..text.len()));
    runs
}

fn drop_codes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for run in ascii_runs(text) {
        if looks_like_code(&text[run.clone()]) {
            kept.push_str(&text[from..run.start]);
            from = run.end;
        }
    }
    kept.push_str(&text[from..]);
    kept
}

/// One line of characters that every reader's system can show.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in to_full_width_kana(text).chars() {
        let shown = match character {
            // Delimiters that leaked from a message stay recognisable without being delimiters.
            '^' => '＾',
            '~' => '～',
            '|' => '｜',
            '\\' => '＼',
            '&' => '＆',
            // Invisible characters can reorder or hide text: bidi controls, zero width, tags.
            '\u{00AD}'
            | '\u{061C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}' => continue,
            // Half-width signs beside the kana block.
            '\u{FFA0}'..='\u{FFDF}' | '\u{FFE8}'..='\u{FFEE}' => '〓',
            // A character only the sender's machine knows (外字).
            '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' => '〓',
            other if other.is_control() || other.is_whitespace() => ' ',
            other => other,
        };
        if shown != ' ' || !out.ends_with(' ') {
            out.push(shown);
        }
    }
    out
}

/// Removes what would read as a label without a value: empty brackets, a colon before nothing.
fn tidy(text: &str) -> Option<String> {
    const EMPTY: &[(&str, &str)] = &[
        // A space, so that what stood on both sides does not become one number.
        ("()", " "),
        ("（）", " "),
        ("（ ）", " "),
        ("( )", " "),
        ("「」", " "),
        ("：、", "、"),
        ("：／", "／"),
        ("：：", "："),
        ("  ", " "),
    ];
    let mut text = text.to_owned();
    while let Some((empty, instead)) = EMPTY.iter().find(|(empty, _)| text.contains(empty)) {
        text = text.replace(empty, instead);
    }
    let bare = |character: char| " 、，,・：:；;／/＾｜～＼＆".contains(character);
    let text = text
        .trim_start_matches(|character| bare(character) || ")）」".contains(character))
        .trim_end_matches(|character| bare(character) || "(（「".contains(character));
    text.chars()
        .any(char::is_alphanumeric)
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kana_delimiters_and_controls_become_readable() {
        assert_eq!(
            clean("ｱﾑﾛｼﾞﾋﾟﾝ\u{0}錠^5mg").as_deref(),
            Some("アムロジピン 錠＾5mg")
        );
        assert_eq!(clean("A&B\r\n薬局").as_deref(), Some("A＆B 薬局"));
        assert_eq!(clean("\u{202E}自宅\u{200B}").as_deref(), Some("自宅"));
    }

    #[test]
    fn codes_go_and_dates_phones_and_values_stay() {
        assert_eq!(clean("620004567"), None);
        assert_eq!(
            clean("アムロジピン錠5mg 2171022F1029").as_deref(),
            Some("アムロジピン錠5mg")
        );
        assert_eq!(
            clean("サマリー20250131").as_deref(),
            Some("サマリー20250131")
        );
        assert_eq!(clean("0312345678").as_deref(), Some("0312345678"));
        assert_eq!(clean_value("10000000").as_deref(), Some("10000000"));
    }

    #[test]
    fn nothing_is_left_of_empty_labels() {
        assert_eq!(clean("（）："), None);
        assert_eq!(clean("用法：").as_deref(), Some("用法"));
        assert_eq!(clean("内科（()）").as_deref(), Some("内科"));
    }

    #[test]
    fn a_cut_shows() {
        assert_eq!(clip("あいうえお", 5), "あいうえお");
        assert_eq!(clip("あいうえおか", 5), "あいうえ…");
    }
}
