//! The rules of a post as a check (ARCHITECTURE.md "What a post says"), for tests and, in debug builds, for the
//! hub: whatever a source sent, a post must pass.

use renkei_core::limits::{HEADLINE_CHARS, POST_CHARS, POST_LINES};
use renkei_core::{Disclosure, Form, ItemClass, NoticeContent, Post};

use super::clean::{ascii_runs, looks_like_code};
use super::share::{Share, SpeakerShare};

/// One broken rule. The texts name the rule and the place, never the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The headline is longer than [`HEADLINE_CHARS`].
    #[error("the headline is too long")]
    LongHeadline,
    /// The headline does not begin with a kind in brackets.
    #[error("the headline names no kind")]
    NoKind,
    /// The text has more than [`POST_LINES`] lines.
    #[error("the text has too many lines")]
    TooManyLines,
    /// The text has more than [`POST_CHARS`] characters.
    #[error("the text is too long")]
    LongText,
    /// The last lines (contact, source) are missing.
    #[error("the last lines are missing")]
    NoTail,
    /// Half-width kana.
    #[error("half-width kana")]
    HalfWidthKana,
    /// One of `^ ~ | \ &`.
    #[error("a delimiter of a message")]
    Delimiter,
    /// A control or invisible character.
    #[error("a control character")]
    Control,
    /// An empty line, an empty bracket, or a label without a value.
    #[error("an empty label or line")]
    EmptyLabel,
    /// A run of letters and digits that only a machine reads.
    #[error("a code")]
    Code,
    /// Latin letters that are neither a unit nor words as sent.
    #[error("latin letters")]
    Latin,
}

/// The words a notice brought along: drug, item and place names may hold Latin letters as sent.
/// Flags, sexes, kinds and media types are not among them: the hub has its own words for those.
#[derive(Clone, Default)]
pub struct AsSent(Vec<String>);

impl AsSent {
    /// The words of all given notices (the one told, and for a correction the one before).
    pub fn of<'a>(contents: impl IntoIterator<Item = &'a NoticeContent>) -> Self {
        let all = Disclosure(
            ItemClass::ALL
                .iter()
                .map(|class| (*class, Form::Full))
                .collect(),
        );
        let mut words: Vec<String> = contents
            .into_iter()
            .flat_map(|content| {
                let speaker = SpeakerShare::of(&content.speaker);
                let share = Share::of(content, &all);
                let words = share.as_ref().map(words_of).unwrap_or_default();
                words.into_iter().chain([speaker.facility, speaker.contact])
            })
            .filter(|word| word.bytes().any(|byte| byte.is_ascii_alphanumeric()) || has_latin(word))
            .collect();
        words.sort();
        words.dedup();
        Self(words)
    }

    /// Marks the bytes of `line` that stand inside words as sent; a shortened word ends in `…`.
    fn cover(&self, line: &str) -> Vec<bool> {
        let mut covered = vec![false; line.len()];
        for (at, _) in line.char_indices() {
            let rest = &line[at..];
            for word in &self.0 {
                let same: usize = word
                    .chars()
                    .zip(rest.chars())
                    .take_while(|(sent, shown)| sent == shown)
                    .map(|(sent, _)| sent.len_utf8())
                    .sum();
                // A word that holds `…` itself may have been cut right before it.
                let cut = rest[same..].starts_with('…') || rest[..same].ends_with('…');
                if same == word.len() || (same > 0 && cut) {
                    covered[at..at + same].fill(true);
                }
            }
        }
        covered
    }
}

fn words_of(share: &Share) -> Vec<String> {
    let mut words = vec![
        share.speaker.facility.clone(),
        share.speaker.contact.clone(),
    ];
    let single = [
        &share.patient,
        &share.place,
        &share.department,
        &share.destination,
        &share.alarm,
    ];
    words.extend(single.into_iter().flatten().cloned());
    for drug in share.medication.rows() {
        words.push(drug.name.clone());
        words.extend(
            [&drug.dose, &drug.usage, &drug.duration]
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    let compared = share
        .comparison
        .iter()
        .flatten()
        .flat_map(|(_, part)| part.rows());
    words.extend(compared.cloned());
    words.extend(share.allergies.rows().iter().cloned());
    words.extend(share.problems.rows().iter().cloned());
    for lab in share.labs.rows() {
        words.push(lab.name.clone());
        words.extend(
            [&lab.value, &lab.range, &lab.previous]
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    words.extend(
        share
            .documents
            .iter()
            .map(|document| document.title.clone()),
    );
    words
}

/// Everything that is wrong with `post`; empty when it may be sent.
pub fn check(post: &Post, as_sent: &AsSent) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut note = |wrong: bool, violation| {
        if wrong && !found.contains(&violation) {
            found.push(violation);
        }
    };
    note(
        post.headline.chars().count() > HEADLINE_CHARS,
        Violation::LongHeadline,
    );
    note(!post.headline.starts_with('【'), Violation::NoKind);
    note(
        post.text.split('\n').count() > POST_LINES,
        Violation::TooManyLines,
    );
    note(post.text.chars().count() > POST_CHARS, Violation::LongText);
    note(
        !post.text.contains("問合せ：") || !post.text.ends_with(&post.source_note),
        Violation::NoTail,
    );
    let mut lines: Vec<&str> = vec![&post.headline, &post.author, &post.source_note];
    lines.extend(post.text.split('\n'));
    let mut cells: Vec<&str> = Vec::new();
    if let Some(sheet) = &post.sheet {
        lines.extend([sheet.title.as_str(), sheet.subtitle.as_str()]);
        lines.extend(sheet.foot.iter().map(String::as_str));
        for section in &sheet.sections {
            lines.push(&section.heading);
            note(section.rows.is_empty(), Violation::EmptyLabel);
            for row in &section.rows {
                // A row of a table may have empty cells, but says something.
                note(row.iter().all(String::is_empty), Violation::EmptyLabel);
                cells.extend(
                    row.iter()
                        .map(String::as_str)
                        .filter(|cell| !cell.is_empty()),
                );
            }
        }
    }
    for line in lines.into_iter().chain(cells) {
        for violation in line_violations(line, as_sent) {
            note(true, violation);
        }
    }
    found
}

fn line_violations(line: &str, as_sent: &AsSent) -> Vec<Violation> {
    let mut found = Vec::new();
    if line.chars().any(|c| ('\u{FF61}'..='\u{FF9F}').contains(&c)) {
        found.push(Violation::HalfWidthKana);
    }
    if line.contains(['^', '~', '|', '\\', '&']) {
        found.push(Violation::Delimiter);
    }
    if line.chars().any(is_invisible) {
        found.push(Violation::Control);
    }
    if is_empty_label(line) {
        found.push(Violation::EmptyLabel);
    }
    let covered = as_sent.cover(line);
    for run in ascii_runs(line) {
        let text = &line[run.clone()];
        if covered[run.clone()].iter().all(|inside| *inside) {
            continue;
        }
        if looks_like_code(text) {
            found.push(Violation::Code);
        }
        if text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !is_measure(line, run) {
            found.push(Violation::Latin);
        }
    }
    let wide_latin = |(at, c): (usize, char)| {
        matches!(c, 'Ａ'..='Ｚ' | 'ａ'..='ｚ') && !covered.get(at).copied().unwrap_or(false)
    };
    if line.char_indices().any(wide_latin) {
        found.push(Violation::Latin);
    }
    found
}

fn has_latin(word: &str) -> bool {
    word.chars()
        .any(|c| c.is_ascii_alphabetic() || matches!(c, 'Ａ'..='Ｚ' | 'ａ'..='ｚ'))
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E000}'..='\u{F8FF}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

fn is_empty_label(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line.ends_with(['：', ':'])
        || ["（）", "()", "：、", "：／", "：：", "「」"]
            .iter()
            .any(|empty| line.contains(empty))
}

/// True for a unit behind a number (`3.1 g/dL`, `5mg`). A lone letter after a number is a flag, not
/// a unit: `Albumin 3.1 L` is no Japanese.
fn is_measure(line: &str, run: std::ops::Range<usize>) -> bool {
    const UNITS: &[&str] = &[
        "g", "mg", "kg", "ng", "pg", "fL", "mL", "dL", "mEq", "mmol", "mol", "nmol", "pmol", "IU",
        "mIU", "mm", "cm", "m", "mmHg", "kcal", "bpm", "mOsm", "min",
    ];
    let digits = line[run.clone()]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    let unit = &line[run.start + digits..run.end];
    let before = line[..run.start + digits].trim_end_matches([' ', 'μ', 'µ']);
    let per = before.ends_with('/');
    let behind_number = before.ends_with(|c: char| c.is_ascii_digit()) || per;
    behind_number && (UNITS.contains(&unit) || (per && matches!(unit, "L" | "h")))
}
