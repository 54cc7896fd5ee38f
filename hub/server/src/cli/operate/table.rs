//! Tables on a terminal: columns line up although Japanese characters are two cells wide.

use super::super::say;

/// Space between columns.
const GAP: usize = 2;

/// A table that is printed when it is complete.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub(super) fn new(head: &[&'static str]) -> Self {
        Self {
            rows: vec![head.iter().map(|head| (*head).to_owned()).collect()],
        }
    }

    /// Adds a row; every cell becomes one printable line.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(
            cells
                .iter()
                .map(|cell| one_line(cell))
                .collect::<Vec<String>>(),
        );
    }

    /// The lines, without trailing blanks.
    pub(super) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| width(cell)).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (cell, most) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(most - width(cell) + GAP));
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// Prints it.
    pub(super) fn print(&self) {
        for line in self.lines() {
            say(&line);
        }
    }
}

/// The text without what would move a terminal's cursor: it may come from outside.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

/// Cells on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// One or two cells (Unicode UAX #11: wide and full-width), none for what is set upon another.
fn cells(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036F | 0x200B..=0x200F | 0x3099..=0x309A | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF01..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F900..=0x1F9FF
        | 0x2_0000..=0x3_FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_under_wide_characters() {
        let mut table = Table::new(&["id", "name", "state"]);
        table.row(vec!["1".into(), "架空総合病院".into(), "held".into()]);
        table.row(vec!["20".into(), "ﾔﾏﾓﾄ abc".into(), "sent".into()]);
        assert_eq!(
            table.lines(),
            [
                "id  name          state",
                "1   架空総合病院  held",
                "20  ﾔﾏﾓﾄ abc      sent"
            ]
        );
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        let mut table = Table::new(&["a"]);
        table.row(vec!["x\u{1b}[2J\r\ny".into()]);
        assert_eq!(table.lines()[1], "x [2J  y");
    }

    #[test]
    fn combining_marks_take_no_cell() {
        assert_eq!(width("か\u{3099}"), width("が"));
        assert_eq!(width("（山）"), 6);
        assert_eq!(width("ｶﾞ"), 2);
    }

    #[test]
    fn rows_of_any_length_are_printed() {
        let mut table = Table::new(&["a"]);
        table.row(vec!["1".into(), "more".into()]);
        table.row(Vec::new());
        assert_eq!(table.lines(), ["a", "1  more", ""]);
    }
}
