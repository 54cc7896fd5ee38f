//! What is wrong with a mapping file: every problem with its place, the line, a caret and a way out.

use std::fmt;
use std::sync::Arc;

use renkei_core::Code;

/// A text that was loaded, for messages that point into it.
#[derive(Debug)]
pub(crate) struct Source {
    /// How messages call it: `lab.yaml`, `tables/sex.csv`.
    pub(crate) name: String,
    /// The text.
    pub(crate) text: String,
}

/// A stretch of a source.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) source: Arc<Source>,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte; never before `start`.
    pub(crate) end: usize,
}

impl Spot {
    /// The part of this spot from `start` to `end`, counted from its beginning; all of it when that lies
    /// outside.
    pub(crate) fn part(&self, start: usize, end: usize) -> Self {
        let text = &self.source.text;
        let (from, to) = (self.start + start, self.start + end.max(start));
        if to <= self.end && text.is_char_boundary(from) && text.is_char_boundary(to) {
            Self {
                source: Arc::clone(&self.source),
                start: from,
                end: to,
            }
        } else {
            self.clone()
        }
    }

    /// Line number from 1.
    pub(crate) fn line(&self) -> usize {
        let before = &self.source.text.as_bytes()[..self.start.min(self.source.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code; its page in `ops/errors/` says what to do.
    pub code: Code,
    /// The file, as the library names it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// One sentence about what is wrong.
    pub text: String,
    /// A way out, when one is likely.
    pub help: Option<String>,
    /// The line it stands in.
    source_line: String,
    /// How far the caret reaches, in characters.
    width: usize,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn at(code: Code, spot: &Spot, text: impl Into<String>) -> Self {
        let whole = &spot.source.text;
        let mut start = spot.start.min(whole.len());
        while !whole.is_char_boundary(start) {
            start -= 1;
        }
        let line_start = whole[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = whole[start..]
            .find('\n')
            .map_or(whole.len(), |at| start + at);
        let end = spot.end.clamp(start, line_end);
        let end = (end..=line_end)
            .find(|at| whole.is_char_boundary(*at))
            .unwrap_or(line_end);
        Self {
            code,
            file: spot.source.name.clone(),
            line: spot.line(),
            column: 1 + whole[line_start..start].chars().count(),
            text: text.into(),
            help: None,
            source_line: whole[line_start..line_end]
                .trim_end_matches('\r')
                .to_owned(),
            width: whole[start..end].chars().count().max(1),
        }
    }

    /// The same problem with a way out.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem, helped by the most similar of `known` when one is similar enough.
    #[must_use]
    pub(crate) fn did_you_mean<'k>(
        self,
        wrong: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Self {
        match nearest(wrong, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = (self.line, self.column);
        writeln!(
            f,
            "{}:{line}:{column}: {}: {}",
            self.file, self.code, self.text
        )?;
        // A line may be longer than a screen: only the part around the caret is shown.
        let skip = column.saturating_sub(100);
        let shown: String = self.source_line.chars().skip(skip).take(140).collect();
        let blanks: String = shown
            .chars()
            .take(column - 1 - skip)
            .map(|character| if is_wide(character) { "  " } else { " " })
            .collect();
        let carets: String = shown
            .chars()
            .skip(column - 1 - skip)
            .take(self.width)
            .map(|character| if is_wide(character) { "^^" } else { "^" })
            .collect();
        let carets = if carets.is_empty() { "^" } else { &carets };
        writeln!(f, "{line:>5} | {shown}")?;
        write!(f, "      | {blanks}{carets}")?;
        if let Some(help) = &self.help {
            write!(f, " {help}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a mapping: never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Takes two columns on a terminal (the East Asian wide and full-width blocks a mapping is written in).
fn is_wide(character: char) -> bool {
    matches!(character,
        '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{33FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FF01}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}' | '\u{20000}'..='\u{3FFFD}')
}

/// A sign in a word that looks like one of the language but is another, as Japanese keyboards and word
/// processors write them.
pub(crate) fn full_width(word: &str) -> Option<String> {
    let found = word.chars().find_map(|sign| {
        let meant = match sign {
            '｜' => "|",
            '（' => "(",
            '）' => ")",
            '，' | '、' => ",",
            '？' => "?",
            '＝' => "=",
            '！' => "!",
            '＜' => "<",
            '＞' => ">",
            '’' | '‘' | '“' | '”' | '＇' | '＂' => "'",
            _ => return None,
        };
        Some((sign, meant))
    });
    found.map(|(sign, meant)| format!("`{sign}` is another sign: write `{meant}`"))
}

/// The word most like `wrong`, when it is like enough to be meant.
pub(crate) fn nearest<'k>(
    wrong: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let length = wrong.chars().count();
    if length > 64 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for word in known {
        let distance = distance(wrong, word);
        let allowed = (length.max(word.chars().count()) / 3).clamp(1, 4);
        let is_part = length >= 3 && (word.starts_with(wrong) || wrong.starts_with(word));
        if (distance <= allowed || (is_part && !word.is_empty()))
            && best.is_none_or(|(least, _)| distance < least)
            && distance < length.max(2)
        {
            best = Some((distance, word));
        }
    }
    best.map(|(_, word)| word)
}

/// Letters to insert, delete, replace or swap, case aside.
fn distance(left: &str, right: &str) -> usize {
    let fold = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    let (left, right) = (fold(left), fold(right));
    if right.len() > 80 {
        return usize::MAX;
    }
    let width = right.len() + 1;
    let mut rows = vec![(0..width).collect::<Vec<usize>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, b) in right.iter().enumerate() {
            let substituted = rows[i][j] + usize::from(a != b);
            row[j + 1] = substituted.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                row[j + 1] = row[j + 1].min(rows[i - 1][j - 1] + 1);
            }
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        let known = ["date", "datetime", "table", "検査日", "検査値"];
        assert_eq!(nearest("dat", known), Some("date"));
        assert_eq!(nearest("tabel", known), Some("table"));
        assert_eq!(nearest("検査月", known), Some("検査日"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn the_caret_stands_under_wide_characters() {
        let source = Arc::new(Source {
            name: "a.yaml".to_owned(),
            text: "x: 検査日 | dat\n".to_owned(),
        });
        let start = source.text.find("dat").expect("there");
        let spot = Spot {
            source,
            start,
            end: start + 3,
        };
        let problem = Problem::at(Code::MAP_BAD_DATE, &spot, "no such function");
        assert_eq!(
            problem.to_string(),
            "a.yaml:1:10: RNK-MAP-003: no such function\n    1 | x: 検査日 | dat\n      |             ^^^"
        );
    }
}
