//! What is not YAML, said so that whoever writes a mapping finds the place: the parser's own words name the line
//! where it could not go on, which is often the one behind the mistake.

use std::sync::Arc;

use renkei_core::Code;

use crate::local::problem::{Problem, Source, Spot};

/// What is written instead of a value that begins with `!`.
pub(super) const TAG: &str = "a condition is turned round by `not (…)`";

/// A line of the text: where it begins and what it holds.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    /// The line a byte stands in.
    fn of(text: &'t str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let rest = &text[start..];
        Self {
            start,
            text: rest.split('\n').next().unwrap_or(""),
        }
    }

    /// The nearest line above that holds something.
    fn above(self, text: &'t str) -> Option<Self> {
        let mut line = self;
        while line.start > 0 {
            line = Self::of(text, line.start - 1);
            let words = line.text.trim();
            if !words.is_empty() && !words.starts_with('#') {
                return Some(line);
            }
        }
        None
    }

    /// Bytes before its first sign; `-` of a list stands at the depth of what follows it.
    fn indent(self) -> usize {
        let rest = self.text.trim_start_matches([' ', '-']);
        self.text.len() - rest.len()
    }
}

/// The problem for what a parser said (`info`) about the byte `at`.
pub(super) fn explain(source: &Arc<Source>, at: usize, info: &str) -> Problem {
    let text = &source.text;
    let line = Line::of(text, at);
    let here = |start: usize, end: usize, says: &str, help: String| {
        let spot = Spot {
            source: Arc::clone(source),
            start,
            end,
        };
        Problem::at(Code::MAP_YAML, &spot, format!("not YAML: {says}")).help(help)
    };
    let blanks = &line.text[..line.text.len() - line.text.trim_start().len()];
    if let Some(tab) = blanks.find('\t') {
        let start = line.start + tab;
        let help = "indent with blanks, two for each level".to_owned();
        return here(start, start + 1, "a tab stands before this line", help);
    }
    let above = line.above(text);
    if info.contains("quoted scalar") || info.contains("end of stream") {
        let opened = std::iter::successors(Some(line), |line| line.above(text))
            .take(3)
            .find_map(|line| Some(line.start + open_quote(line.text)?));
        if let Some(start) = opened {
            let help = "close it by the same quote before the line ends".to_owned();
            return here(start, start + 1, "this quote is not closed", help);
        }
    }
    if info.contains("scanning a tag") {
        return here(at, at + 1, "`!` begins a tag of YAML", TAG.to_owned());
    }
    if info.contains("mapping values are not allowed") {
        if let Some((start, key, value)) = above.and_then(unspaced) {
            let help = format!("write `{key}: {value}`");
            return here(start, start + 1, "no blank stands behind this colon", help);
        }
        let before = text.get(line.start..at).unwrap_or("").trim();
        let is_key = !before.is_empty() && !before.contains([' ', '\'', '"', ':']);
        if let Some(above) = above.filter(|above| is_key && line.indent() > above.indent()) {
            return indented(source, line, above);
        }
        let help = "write the expression under `>-`, in a line of its own".to_owned();
        return here(at, at + 1, "a colon with a blank ends a name", help);
    }
    let is_block = ["block mapping", "block collection", "block sequence"]
        .iter()
        .any(|word| info.contains(word));
    if let Some(above) = above.filter(|above| is_block && line.indent() != above.indent()) {
        return indented(source, line, above);
    }
    let spot = Spot {
        source: Arc::clone(source),
        start: at,
        end: at,
    };
    Problem::at(Code::MAP_YAML, &spot, format!("not YAML: {info}"))
}

fn indented(source: &Arc<Source>, line: Line<'_>, above: Line<'_>) -> Problem {
    let (own, other) = (line.indent(), above.indent());
    let (start, end) = (line.start + own, line.text.trim_end().len());
    let spot = Spot {
        source: Arc::clone(source),
        start,
        end: line.start + line.text.find(':').unwrap_or(end).max(own),
    };
    let says = format!(
        "not YAML: this line begins in column {}, the one above in column {}",
        own + 1,
        other + 1
    );
    let help = "keys that belong together begin in the same column; what belongs to a key two further right";
    Problem::at(Code::MAP_YAML, &spot, says).help(help)
}

/// Where a quote stands that the line does not close.
fn open_quote(line: &str) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    for (at, sign) in line.char_indices() {
        match open {
            Some((_, quote)) if sign == quote => open = None,
            None if matches!(sign, '\'' | '"') => open = Some((at, sign)),
            _ => {}
        }
    }
    open.map(|(at, _)| at)
}

/// `key:value` without a blank: where the colon stands, and its sides.
fn unspaced(line: Line<'_>) -> Option<(usize, &str, &str)> {
    let (key, value) = line.text.trim_end().split_once(':')?;
    let is_key = !key.contains(['\'', '"', '(', '#']) && !key.trim().is_empty();
    let is_near = !value.is_empty() && !value.starts_with([' ', ':']);
    (is_key && is_near).then(|| {
        (
            line.start + key.len(),
            key.trim_start_matches([' ', '-']),
            value,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn the_line_with_the_mistake_is_named() {
        for (text, line, column, says) in [
            ("a:\n\tb: 1\n", 2, 1, "a tab"),
            ("a: 'x\nb: 1\n", 1, 4, "quote is not closed"),
            ("a: \"x\nb: 1\n", 1, 4, "quote is not closed"),
            ("a:'x'\nb: 1\n", 1, 2, "no blank stands behind this colon"),
            ("a: join(': ', b)\n", 1, 10, "a colon with a blank"),
            (
                "a:\n  b: 1\n c: 2\n",
                3,
                2,
                "begins in column 2, the one above in column 3",
            ),
            (
                "a: 1\n  b: 2\n",
                2,
                3,
                "begins in column 3, the one above in column 1",
            ),
        ] {
            let source = Arc::new(Source {
                name: "t.yaml".to_owned(),
                text: text.to_owned(),
            });
            let problem = parse(&source).expect_err(text);
            assert!(problem.text.contains(says), "{text}: {problem}");
            assert_eq!((problem.line, problem.column), (line, column), "{problem}");
            assert!(problem.help.is_some(), "{problem}");
        }
    }

    #[test]
    fn any_place_is_explained() {
        let text = "a: 'x\n\tü: [\n:\n";
        let source = Arc::new(Source {
            name: "t.yaml".to_owned(),
            text: text.to_owned(),
        });
        for at in 0..text.len() + 3 {
            for info in [
                "",
                "quoted scalar",
                "mapping values are not allowed",
                "block mapping",
            ] {
                assert!(explain(&source, at, info).line >= 1);
            }
        }
    }
}
