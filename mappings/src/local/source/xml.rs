//! XML to a tree: no entities beyond the five of XML, no DTD, depth and size bounded.

use std::collections::HashSet;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use renkei_core::limits;

use super::tree::{Form, Tree};

/// Reads a document; `None` when it is not XML or larger than the limits.
pub(crate) fn parse(text: &str) -> Option<Tree<'static>> {
    parse_with(text, &mut |_, _| {})
}

/// A document without some of its elements, byte for byte; `None` when it is not XML.
pub(crate) fn without(text: &str, others: &HashSet<u32>) -> Option<String> {
    let mut left: Vec<Range<usize>> = Vec::new();
    parse_with(text, &mut |node, place| {
        if others.contains(&node) {
            left.push(place);
        }
    })?;
    left.sort_unstable_by_key(|place| place.start);
    let (mut out, mut at) = (String::new(), 0);
    for place in left {
        // One inside another that goes is gone already.
        if place.start >= at {
            out.push_str(text.get(at..place.start)?);
            at = place.end;
        }
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// As [`parse`]; gives each element with the bytes it stands in, the last one first closed.
fn parse_with(text: &str, give: &mut dyn FnMut(u32, Range<usize>)) -> Option<Tree<'static>> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut tree = Tree::default();
    let root = tree.add(None, "", "", Form::Object)?;
    let mut open = vec![root];
    let mut starts = vec![0];
    let mut elements = 0_usize;
    loop {
        let top = *open.last()?;
        let before = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() > limits::LOCAL_DEPTH || (open.len() == 1 && elements > 0) {
                    return None;
                }
                elements += 1;
                open.push(element(&mut tree, top, &start)?);
                starts.push(before);
            }
            Event::End(_) => {
                open.pop();
                let start = starts.pop()?;
                if open.is_empty() {
                    return None;
                }
                give(top, start..usize::try_from(reader.buffer_position()).ok()?);
            }
            Event::Text(words) => {
                append(&mut tree, top, root, &words)?;
            }
            Event::CData(words) => {
                append(&mut tree, top, root, &words)?;
            }
            Event::GeneralRef(reference) => {
                let character = resolve(&reference)?;
                append(&mut tree, top, root, character.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Empty(_) => return None,
            Event::Eof => break,
        }
    }
    (open.len() == 1 && elements > 0).then_some(tree)
}

/// Text outside the document element is not XML.
fn append(tree: &mut Tree<'static>, top: u32, root: u32, words: &str) -> Option<()> {
    if top == root {
        return words.trim().is_empty().then_some(());
    }
    tree.append_text(top, words);
    Some(())
}

fn element(tree: &mut Tree<'static>, parent: u32, start: &BytesStart<'_>) -> Option<u32> {
    let name = start.local_name().as_ref().to_owned();
    let node = tree.add(Some(parent), name, "", Form::Object)?;
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name: &str = attribute.key.as_ref();
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let local = name.rsplit(':').next().unwrap_or(name);
        let value = quick_xml::escape::unescape(&attribute.value)
            .ok()?
            .into_owned();
        tree.add(Some(node), format!("@{local}"), value, Form::Text)?;
    }
    Some(node)
}

/// A character reference or one of the five entities.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    let name: &str = reference;
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::steps;
    use super::*;

    #[test]
    fn elements_attributes_and_text() {
        let text = "<?xml version=\"1.0\"?><x:a xmlns:x=\"u\"><b t='1'>山&amp;本<![CDATA[<3]]></b><b t='2'/>\n<c><d>6.80</d></c></x:a>";
        let tree = parse(text).expect("XML");
        let get = |path: &str| tree.get(0, &steps(path, '/').expect("a path")).to_owned();
        assert_eq!(get("a/b"), "山&本<3");
        assert_eq!(get("a/b[2]/@t"), "2");
        assert_eq!(get("a/b[@t='1']"), "山&本<3");
        assert_eq!(get("a/c/d"), "6.80");
        assert_eq!(tree.unread('/'), Vec::<String>::new());
    }

    #[test]
    fn elements_are_left_out_byte_for_byte() {
        let text = "<?xml version=\"1.0\"?>\n<x:r xmlns:x=\"u\" n='1'> <p i='1'/>\n <p i='2'>&amp;<q/></p><!-- z -->\n<p i='3'>山</p>\n</x:r>\n";
        let tree = parse(text).expect("XML");
        let all = tree.all(0, &steps("r/p", '/').expect("a path"));
        let left = |which: &[usize]| {
            let others = which.iter().map(|at| all[*at]).collect();
            without(text, &others).expect("XML")
        };
        assert_eq!(left(&[]), text);
        assert_eq!(
            left(&[0, 2]),
            "<?xml version=\"1.0\"?>\n<x:r xmlns:x=\"u\" n='1'> \n <p i='2'>&amp;<q/></p><!-- z -->\n\n</x:r>\n"
        );
        assert_eq!(left(&[1]), text.replace("<p i='2'>&amp;<q/></p>", ""));
        let nested: HashSet<u32> = tree
            .all(0, &steps("r/p/q", '/').expect("a path"))
            .into_iter()
            .chain([all[1]])
            .collect();
        assert_eq!(without(text, &nested).expect("XML"), left(&[1]));
        assert_eq!(without("<a>", &HashSet::new()), None);
    }

    #[test]
    fn what_is_not_plain_xml_is_refused() {
        let deep = "<a>".repeat(1000);
        for bad in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a>&x;</a>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            deep.as_str(),
        ] {
            assert!(parse(bad).is_none(), "{}", bad.get(..30).unwrap_or(bad));
        }
    }
}
