//! What the demo prints: headings, the posts in their boxes, the table, all aligned for characters of
//! double width.

use crate::cli::say;

use super::cast;
use super::doors::{Entry, Inside};

/// Columns of a box.
const BOX: usize = 78;

/// How many columns a text takes on a terminal: what is not ASCII or half-width kana takes two.
pub fn columns(text: &str) -> usize {
    let wide =
        |character: char| !(character.is_ascii() || ('\u{ff61}'..='\u{ff9f}').contains(&character));
    text.chars()
        .map(|character| 1 + usize::from(wide(character)))
        .sum()
}

/// The text with spaces up to `width` columns.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// A beat begins.
pub fn beat(mark: &str, title: &str) {
    say("");
    say(&format!("{mark} {title}"));
    say(&"=".repeat(BOX));
}

/// A sentence of the story.
pub fn tell(text: &str) {
    say(text);
}

/// One post exactly as the peer received it, with who can read it.
pub fn post(system: &str, inside: &Inside, entry: &Entry) {
    let readers: Vec<String> = entry
        .readable_by
        .iter()
        .filter_map(|user| cast::in_words(inside.member(&entry.team_id, user)?))
        .collect();
    say(&format!("  +-- {system}：{}", readers.join("、")));
    say(&format!("  | {}", entry.headline()));
    for line in entry.text().lines() {
        say(&format!("  | {line}"));
    }
    for file in inside.files_of(entry) {
        say(&format!(
            "  | ［添付］{}（{}、{} KB）",
            file.file_name,
            file.media_type,
            file.bytes.div_ceil(1024)
        ));
    }
    say(&format!("  +{}", "-".repeat(BOX - 3)));
}

/// A table; the first row is its head.
pub fn table(rows: &[Vec<String>]) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for (at, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| padded(cell, *width));
        say(&format!("| {} |", cells.collect::<Vec<_>>().join(" | ")));
        if at == 0 {
            let rule = widths.iter().map(|width| "-".repeat(*width));
            say(&format!("|-{}-|", rule.collect::<Vec<_>>().join("-|-")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(columns("退院 A"), 6);
        assert_eq!(columns("ﾔﾏﾓﾄ"), 4);
        assert_eq!(padded("退院", 6), "退院  ");
    }
}
