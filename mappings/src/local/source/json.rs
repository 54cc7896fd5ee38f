//! JSON to a tree: numbers keep their spelling, depth and size are bounded.
//!
//! Own, because a general parser turns `6.80` into 6.8 or needs a feature that breaks other crates.

use std::borrow::Cow;
use std::collections::HashSet;

use renkei_core::limits;

use super::tree::{Form, Tree};

/// Reads a document; `None` when it is not JSON or larger than the limits.
pub(crate) fn parse(text: &str) -> Option<Tree<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        tree: Tree::default(),
    };
    reader.value(None, Cow::Borrowed(""), 0)?;
    reader.blanks();
    (reader.at == text.len()).then_some(reader.tree)
}

/// A document as it prints without some of its nodes.
pub(crate) fn without(tree: &Tree<'_>, others: &HashSet<u32>) -> String {
    let mut out = String::new();
    print(tree, 0, others, &mut out);
    out
}

fn print(tree: &Tree<'_>, node: u32, others: &HashSet<u32>, out: &mut String) {
    let quote = |text: &str, out: &mut String| {
        out.push_str(&serde_json::Value::from(text).to_string());
    };
    let form = tree.shape(node);
    match form {
        Form::Text => quote(tree.raw(node), out),
        Form::Bare if tree.raw(node).is_empty() => out.push_str("null"),
        Form::Bare => out.push_str(tree.raw(node)),
        Form::Object | Form::List => {
            out.push(if form == Form::Object { '{' } else { '[' });
            let mut is_first = true;
            for (name, member) in tree.members(node) {
                if others.contains(&member) {
                    continue;
                }
                if !std::mem::take(&mut is_first) {
                    out.push(',');
                }
                if form == Form::Object {
                    quote(name, out);
                    out.push(':');
                }
                print(tree, member, others, out);
            }
            out.push(if form == Form::Object { '}' } else { ']' });
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    tree: Tree<'a>,
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        self.at += end.unwrap_or(rest.len());
    }

    fn peek(&mut self) -> Option<u8> {
        self.blanks();
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, parent: Option<u32>, name: Cow<'a, str>, depth: usize) -> Option<()> {
        if depth > limits::LOCAL_DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => {
                let node = self.tree.add(parent, name, "", Form::Object)?;
                self.members(b'{', b'}', |reader| {
                    reader.blanks();
                    let name = reader.string()?;
                    reader.take(b':')?;
                    reader.value(Some(node), name, depth + 1)
                })
            }
            b'[' => {
                let node = self.tree.add(parent, name, "", Form::List)?;
                self.members(b'[', b']', |reader| {
                    reader.value(Some(node), Cow::Borrowed(""), depth + 1)
                })
            }
            b'"' => {
                let text = self.string()?;
                self.tree.add(parent, name, text, Form::Text).map(|_| ())
            }
            _ => {
                let rest = &self.text[self.at..];
                let end =
                    rest.find(|sign: char| !(sign.is_ascii_alphanumeric() || "+-.".contains(sign)));
                let word = &rest[..end.unwrap_or(rest.len())];
                let is_number =
                    || serde_json::from_str::<&serde_json::value::RawValue>(word).is_ok();
                if word.is_empty() || !is_number() {
                    return None;
                }
                self.at += word.len();
                let text = if word == "null" { "" } else { word };
                self.tree.add(parent, name, text, Form::Bare).map(|_| ())
            }
        }
    }

    fn members(
        &mut self,
        open: u8,
        close: u8,
        mut member: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            member(self)?;
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        if self.text.as_bytes().get(start) != Some(&b'"') {
            return None;
        }
        let mut end = start + 1;
        let mut is_plain = true;
        loop {
            match self.text.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => {
                    is_plain = false;
                    end += 2;
                }
                0..0x20 => return None,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        let quoted = self.text.get(start..=end)?;
        if is_plain {
            return Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        serde_json::from_str::<String>(quoted).ok().map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::steps;
    use super::*;

    fn get(tree: &Tree<'_>, path: &str) -> String {
        tree.get(0, &steps(path, '.').expect("a path")).to_owned()
    }

    #[test]
    fn members_lists_and_filters() {
        let text =
            r#"{"a":{"b":[{"s":"x","v":6.80},{"s":"y","v":"\u65e5\n"}]},"n":null,"t":true,"u":1}"#;
        let tree = parse(text).expect("JSON");
        assert_eq!(get(&tree, "a.b.v"), "6.80");
        assert_eq!(get(&tree, "a.b[2].v"), "日");
        assert_eq!(get(&tree, "a.b[s='y'].v"), "日");
        assert_eq!(get(&tree, "a.b[3].v"), "");
        assert_eq!(get(&tree, "a.b[s='z'].v"), "");
        assert_eq!(
            (get(&tree, "n"), get(&tree, "t")),
            (String::new(), "true".to_owned())
        );
        assert_eq!(tree.all(0, &steps("a.b", '.').expect("a path")).len(), 2);
        assert_eq!(tree.unread('.'), ["u"]);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "nul",
            "1 2",
            "\"\\x\"",
            "{a:1}",
            "01",
            "--1",
            deep.as_str(),
        ] {
            assert!(parse(bad).is_none(), "{}", bad.get(..20).unwrap_or(bad));
        }
    }
}
