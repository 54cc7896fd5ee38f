//! Bodies in XML: a map is an element, `"@name"` one of its attributes, `.` its own text, a list the same
//! element several times.

use renkei_core::Code;

use super::super::compile::Compiler;
use super::super::problem::Problem;
use super::super::value::Out;
use super::super::yaml::{Key, Kind, Node};

/// Keys that steer a body and are no names.
const STEERING: &[&str] = &["each", "when", "is"];

/// Checks the names of a body, and that there is one element around everything.
pub(super) fn check(compiler: &mut Compiler<'_>, node: &Node) {
    let elements = match &node.kind {
        Kind::Map(entries) => entries.iter().filter(|(key, _)| is_name(key)).count(),
        _ => 0,
    };
    if elements != 1 {
        let says = "an XML body is one element: a map with one key";
        compiler.problem(Problem::at(Code::MAP_ELEMENT, &node.spot, says));
    }
    names(compiler, node);
}

fn is_name(key: &Key) -> bool {
    !STEERING.contains(&key.text.as_str())
}

fn names(compiler: &mut Compiler<'_>, node: &Node) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                let name = key.text.strip_prefix('=').unwrap_or(&key.text);
                if is_name(key) && name != "." && !is_xml_name(name.trim_start_matches('@')) {
                    let says = format!("`{name}` is no name of XML");
                    compiler.problem(Problem::at(Code::MAP_ELEMENT, &key.spot, says));
                }
                names(compiler, value);
            }
        }
        Kind::List(nodes) => nodes.iter().for_each(|node| names(compiler, node)),
        Kind::Text { .. } | Kind::Empty => {}
    }
}

fn is_xml_name(name: &str) -> bool {
    let first = |sign: char| sign.is_alphabetic() || sign == '_';
    name.starts_with(first)
        && name
            .chars()
            .all(|sign| first(sign) || sign.is_numeric() || "-.:".contains(sign))
}

/// Writes a body; `None` when a text holds what XML cannot carry.
pub(super) fn write(body: &Out<'_>) -> Option<String> {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let Out::Object(members) = body else {
        return None;
    };
    for (name, value) in members {
        element(name, value, &mut xml)?;
    }
    Some(xml)
}

fn element(name: &str, value: &Out<'_>, xml: &mut String) -> Option<()> {
    if let Out::List(values) = value {
        return values
            .iter()
            .try_for_each(|value| element(name, value, xml));
    }
    xml.push('<');
    xml.push_str(name);
    match value {
        Out::Text(text) | Out::Bare(text) => {
            xml.push('>');
            letters(text, xml)?;
        }
        Out::Object(members) => {
            let attributes = members
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix('@')?, value.as_text()?)));
            for (name, value) in attributes {
                xml.push(' ');
                xml.push_str(name);
                xml.push_str("=\"");
                letters(value, xml)?;
                xml.push('"');
            }
            xml.push('>');
            for (name, value) in members.iter().filter(|(name, _)| !name.starts_with('@')) {
                match value.as_text().filter(|_| name == ".") {
                    Some(text) => letters(text, xml)?,
                    None => element(name, value, xml)?,
                }
            }
        }
        Out::List(_) => {}
    }
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
    Some(())
}

/// Text in which nothing is markup. Blanks that a reader would change are written as what they are.
fn letters(text: &str, xml: &mut String) -> Option<()> {
    for letter in text.chars() {
        match letter {
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '&' => xml.push_str("&amp;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#13;"),
            '\n' => xml.push_str("&#10;"),
            '\t' => xml.push_str("&#9;"),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => return None,
            letter => xml.push(letter),
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_letters() {
        let body = Out::object([(
            "Message",
            Out::object([
                ("@version", Out::text("1")),
                ("Title", Out::text("a<b & \"c\"\r\n山")),
                (
                    "File",
                    Out::List(vec![
                        Out::object([("@no", Out::text("1")), (".", Out::text("x"))]),
                        Out::text("y"),
                    ]),
                ),
            ]),
        )]);
        let written = write(&body).expect("XML");
        assert_eq!(
            written.lines().nth(1),
            Some(
                "<Message version=\"1\"><Title>a&lt;b &amp; &quot;c&quot;&#13;&#10;山</Title><File no=\"1\">x</File><File>y</File></Message>"
            )
        );
        assert_eq!(write(&Out::object([("A", Out::text("\u{1}"))])), None);
        assert!(
            is_xml_name("ns:A-1") && !is_xml_name("1a") && !is_xml_name("") && !is_xml_name("a b")
        );
    }
}
