//! YAML as a mapping uses it: maps, lists and text, each with its place in the file.
//!
//! Read from parser events, not through a deserializer, because a mapping needs three things serde throws
//! away: the place of every key and value, whether a text was quoted (quoted = fixed text, plain = expression),
//! and the text as written (`no`, `0123`, `12:30` and `6.80` are text). Anchors, aliases, tags and a second
//! document are refused, so a small file cannot become a large one.

use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle};
use renkei_core::{Code, limits};

use super::problem::{Problem, Source, Spot};

mod fault;

/// One value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Nothing was written, `~` or `null`.
    Empty,
    /// A text; `quoted` when it stood in quotation marks.
    Text { text: String, quoted: bool },
    /// `[…]` or lines that begin with `-`.
    List(Vec<Node>),
    /// Keys and values in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// The name before a colon.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) spot: Spot,
}

impl Node {
    /// The value under a key.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.text == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Empty => "nothing",
            Kind::Text { .. } => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// Reads one document.
///
/// # Errors
/// The first thing that is not YAML, or not the YAML a mapping uses.
pub(crate) fn parse(source: &Arc<Source>) -> Result<Node, Box<Problem>> {
    let whole = Spot {
        source: Arc::clone(source),
        start: 0,
        end: 0,
    };
    if source.text.len() > limits::MAPPING_BYTES {
        let text = format!("a mapping has at most {} KiB", limits::MAPPING_BYTES / 1024);
        return Err(Problem::at(Code::MAP_LIMIT, &whole, text).into());
    }
    let mut reader = Reader {
        source,
        open: Vec::new(),
        root: None,
        nodes: 0,
    };
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(0);
            fault::explain(source, at.min(source.text.len()), &error.info())
        })?;
        let spot = reader.spot(span.start.byte_offset(), span.end.byte_offset());
        reader.take(event, spot)?;
    }
    Ok(reader.root.unwrap_or(Node {
        spot: whole,
        kind: Kind::Empty,
    }))
}

/// A map or list that is not closed yet.
enum Open {
    List(Spot, Vec<Node>),
    Map(Spot, Vec<(Key, Node)>, Option<Key>),
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl Reader<'_> {
    fn spot(&self, start: Option<usize>, end: Option<usize>) -> Spot {
        let length = self.source.text.len();
        let start = start.unwrap_or(0).min(length);
        Spot {
            source: Arc::clone(self.source),
            start,
            end: end.unwrap_or(start).clamp(start, length),
        }
    }

    fn take(&mut self, event: Event<'_>, spot: Spot) -> Result<(), Box<Problem>> {
        let refuse = |spot: &Spot, text: &str| Err(Problem::at(Code::MAP_YAML, spot, text).into());
        match event {
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(_, anchor, _)
            | Event::MappingStart(_, anchor, _)
                if anchor != 0 =>
            {
                let mut at = spot;
                // The place is that of the value; its anchor stands before it.
                let before = at.source.text.get(..at.start).unwrap_or("");
                at.start = before.rfind('&').unwrap_or(at.start);
                let problem = Problem::at(
                    Code::MAP_YAML,
                    &at,
                    "anchors (`&name`) are not part of a mapping",
                );
                Err(problem
                    .help("write it out wherever it is needed: so a small file stays small")
                    .into())
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => {
                let problem = Problem::at(
                    Code::MAP_YAML,
                    &spot,
                    "tags (`!name`) are not part of a mapping",
                );
                Err(problem.help(fault::TAG).into())
            }
            Event::Alias(_) => refuse(&spot, "aliases (`*name`) are not part of a mapping"),
            Event::DocumentStart(..) if self.root.is_some() => {
                refuse(&spot, "a mapping is one YAML document")
            }
            Event::Scalar(text, style, ..) => self.scalar(&text, style, spot),
            Event::SequenceStart(..) => self.push(Open::List(spot, Vec::new())),
            Event::MappingStart(..) => self.push(Open::Map(spot, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(start, nodes)) => self.place(Node {
                    spot: start,
                    kind: Kind::List(nodes),
                }),
                Some(Open::Map(start, entries, _)) => self.place(Node {
                    spot: start,
                    kind: Kind::Map(entries),
                }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), Box<Problem>> {
        let (Open::List(spot, _) | Open::Map(spot, ..)) = &open;
        if let Some(Open::Map(_, _, None)) = self.open.last() {
            let text = "a key is a text, not a list or map";
            return Err(Problem::at(Code::MAP_YAML, spot, text).into());
        }
        if self.open.len() >= limits::MAPPING_DEPTH {
            let text = format!("more than {} levels deep", limits::MAPPING_DEPTH);
            return Err(Problem::at(Code::MAP_LIMIT, spot, text).into());
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, spot: Spot) -> Result<(), Box<Problem>> {
        if let Some(Open::Map(_, entries, pending @ None)) = self.open.last_mut() {
            if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == text) {
                let help = format!("the first is in line {}; keep one", first.spot.line());
                let text = format!("`{text}` stands here twice");
                return Err(Problem::at(Code::MAP_YAML, &spot, text).help(help).into());
            }
            *pending = Some(Key {
                text: text.to_owned(),
                spot,
            });
            return Ok(());
        }
        let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let plain = matches!(style, ScalarStyle::Plain);
        let kind = if plain && matches!(text, "" | "~" | "null") {
            Kind::Empty
        } else {
            Kind::Text {
                text: text.to_owned(),
                quoted,
            }
        };
        self.place(Node { spot, kind })
    }

    fn place(&mut self, node: Node) -> Result<(), Box<Problem>> {
        self.nodes += 1;
        if self.nodes > limits::MAPPING_NODES {
            let text = format!("more than {} values", limits::MAPPING_NODES);
            return Err(Problem::at(Code::MAP_LIMIT, &node.spot, text).into());
        }
        match self.open.last_mut() {
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, entries, pending)) => {
                if let Some(key) = pending.take() {
                    entries.push((key, node));
                }
            }
            None => self.root = Some(node),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Box<Problem>> {
        parse(&Arc::new(Source {
            name: "t.yaml".to_owned(),
            text: text.to_owned(),
        }))
    }

    #[test]
    fn what_looks_like_something_else_stays_text() {
        let node =
            read("a: [no, on, 0123, 12:30, 6.80, 1e3, 0x1F, 2025-01-31, yes]\n").expect("YAML");
        let Some(Kind::List(list)) = node.get("a").map(|node| &node.kind) else {
            panic!("a list");
        };
        let texts: Vec<_> = list.iter().filter_map(Node::text).collect();
        let expected = [
            "no",
            "on",
            "0123",
            "12:30",
            "6.80",
            "1e3",
            "0x1F",
            "2025-01-31",
            "yes",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn quoting_and_places_are_kept() {
        let node = read("b: 'x'\nc: 検査日 | date\nd:\n").expect("YAML");
        assert!(matches!(
            &node.get("b").expect("b").kind,
            Kind::Text { quoted: true, .. }
        ));
        let c = node.get("c").expect("c");
        assert!(matches!(&c.kind, Kind::Text { quoted: false, .. }));
        assert_eq!(
            &c.spot.source.text[c.spot.start..c.spot.end],
            "検査日 | date"
        );
        assert!(matches!(node.get("d").expect("d").kind, Kind::Empty));
    }

    #[test]
    fn bombs_and_doubles_are_refused() {
        let deep = "[".repeat(300);
        for (text, says) in [
            ("a: &x [1]\nb: *x\n", "anchors"),
            ("a: *x\n", ""),
            ("a: !!int 3\n", "tags"),
            ("a: 1\na: 2\n", "twice"),
            ("a: 1\n---\nb: 2\n", "one YAML document"),
            ("[a]: 1\n", "a key is a text"),
            (deep.as_str(), ""),
            ("a: 'x\n", ""),
        ] {
            let problem = read(text).expect_err(text);
            assert!(problem.text.contains(says), "{problem}");
        }
    }
}
