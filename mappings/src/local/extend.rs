//! `extends:`: a mapping laid over another, key by key, before anything is compiled.

use std::sync::Arc;

use renkei_core::{Code, limits};

use super::library::Library;
use super::problem::{Problem, Source};
use super::yaml::{self, Kind, Node};

/// A mapping with everything it extends.
pub(crate) struct Extended {
    pub(crate) root: Node,
    /// The mapping in Rust at the bottom.
    pub(crate) builtin: Option<&'static str>,
    /// The texts it was made of, for the mapping's hash.
    pub(crate) texts: Vec<String>,
}

/// Mappings in Rust that can be laid under one.
const RUST: &[(&str, &str)] = &[("builtin/hl7v2", "hl7v2"), ("builtin/ssmix2", "ssmix2")];

/// Reads a mapping and what it extends.
pub(crate) fn resolve(
    source: &Arc<Source>,
    library: &dyn Library,
) -> Result<Extended, Box<Problem>> {
    let mut root = read(source)?;
    let mut texts = vec![source.text.clone()];
    let mut seen = vec![
        root.get("map")
            .and_then(Node::text)
            .unwrap_or("")
            .to_owned(),
    ];
    loop {
        let Some(node) = root
            .get("extends")
            .filter(|node| !matches!(node.kind, Kind::Empty))
        else {
            let builtin = None;
            return Ok(Extended {
                root,
                builtin,
                texts,
            });
        };
        let name = node.text().unwrap_or("").to_owned();
        if let Some((_, builtin)) = RUST.iter().find(|(known, _)| *known == name) {
            let builtin = Some(*builtin);
            return Ok(Extended {
                root,
                builtin,
                texts,
            });
        }
        let problem = |says: String| Box::new(Problem::at(Code::MAP_EXTENDS, &node.spot, says));
        if seen.contains(&name) {
            return Err(of_itself(problem, &seen, &name));
        }
        if seen.len() > limits::MAPPING_EXTENDS {
            return Err(problem(format!(
                "more than {} mappings in a row",
                limits::MAPPING_EXTENDS
            )));
        }
        let Some(text) = library.mapping(&name) else {
            let mut known = library.mappings();
            known.extend(RUST.iter().map(|(known, _)| (*known).to_owned()));
            let problem = problem(format!("no mapping is named `{name}`"));
            let bare = [".yaml", ".yml"]
                .iter()
                .find_map(|ending| name.strip_suffix(ending));
            return Err(match bare {
                Some(bare) => {
                    problem.help(format!("a mapping is named without its ending: `{bare}`"))
                }
                None => problem.did_you_mean(&name, known.iter().map(String::as_str)),
            }
            .into());
        };
        let below = Arc::new(Source {
            name: format!("{name}.yaml"),
            text: text.into_owned(),
        });
        let base = read(&below)?;
        texts.push(below.text.clone());
        let base_name = base.get("map").and_then(Node::text).unwrap_or("");
        if seen.iter().any(|known| known == base_name) && !base_name.is_empty() {
            return Err(of_itself(problem, &seen, &name));
        }
        seen.push(name);
        root = merge_roots(base, root);
    }
}

/// A mapping that refers to itself, directly or over others.
fn of_itself(
    problem: impl Fn(String) -> Box<Problem>,
    seen: &[String],
    name: &str,
) -> Box<Problem> {
    let way = seen.join(" → ");
    let says = format!("this mapping extends itself: {way} → {name}");
    let help = "take `extends:` away, or name another one, such as `builtin/lab-csv`";
    Box::new(problem(says).help(help))
}

fn read(source: &Arc<Source>) -> Result<Node, Box<Problem>> {
    let node = yaml::parse(source)?;
    match node.kind {
        Kind::Map(_) => Ok(node),
        _ => Err(Box::new(Problem::at(
            Code::MAP_KEY,
            &node.spot,
            format!("a mapping is a map of keys, this is {}", node.what()),
        ))),
    }
}

/// Lays `over` over `base`. What a mapping says about itself, and its tests, are not inherited.
fn merge_roots(mut base: Node, over: Node) -> Node {
    if let Kind::Map(entries) = &mut base.kind {
        entries
            .retain(|(key, _)| !matches!(key.text.as_str(), "map" | "version" | "about" | "tests"));
        // What the base extends is looked at next; the name of the base itself is done with.
        let next = entries
            .iter()
            .position(|(key, _)| key.text == "extends")
            .map(|at| entries.remove(at));
        let mut merged = merge(base, without_extends(over));
        if let (Kind::Map(entries), Some(next)) = (&mut merged.kind, next) {
            entries.push(next);
        }
        return merged;
    }
    over
}

fn without_extends(mut node: Node) -> Node {
    if let Kind::Map(entries) = &mut node.kind {
        entries.retain(|(key, _)| key.text != "extends");
    }
    node
}

/// Maps are merged, lists of entries by their names, everything else is replaced.
fn merge(base: Node, over: Node) -> Node {
    match (base.kind, over.kind) {
        (Kind::Map(mut below), Kind::Map(above)) => {
            for (key, value) in above {
                match below.iter().position(|(known, _)| known.text == key.text) {
                    Some(at) => {
                        let (_, old) = below.swap_remove(at);
                        let merged = match (key.text.as_str(), &old.kind, &value.kind) {
                            ("resources" | "rows" | "patch", Kind::List(_), Kind::List(_)) => {
                                entries(old, value)
                            }
                            ("unused", Kind::List(_), Kind::List(_)) => appended(old, value),
                            _ => merge(old, value),
                        };
                        below.push((key, merged));
                    }
                    None => below.push((key, value)),
                }
            }
            Node {
                spot: over.spot,
                kind: Kind::Map(below),
            }
        }
        (_, kind) => Node {
            spot: over.spot,
            kind,
        },
    }
}

fn entries(base: Node, over: Node) -> Node {
    let (Kind::List(mut below), Kind::List(above)) = (base.kind, over.kind) else {
        return Node {
            spot: over.spot,
            kind: Kind::Empty,
        };
    };
    for entry in above {
        let name = entry_name(&entry);
        match below.iter().position(|known| entry_name(known) == name) {
            Some(at) => {
                let old = below.remove(at);
                below.insert(at, merge(old, entry));
            }
            None => below.push(entry),
        }
    }
    Node {
        spot: over.spot,
        kind: Kind::List(below),
    }
}

fn appended(base: Node, over: Node) -> Node {
    let (mut all, spot) = match base.kind {
        Kind::List(nodes) => (nodes, over.spot),
        _ => (Vec::new(), over.spot),
    };
    if let Kind::List(more) = over.kind {
        all.extend(more);
    }
    Node {
        spot,
        kind: Kind::List(all),
    }
}

/// `name:` of an entry, else its type.
pub(crate) fn entry_name(node: &Node) -> String {
    if let Some(name) = node.get("name").and_then(Node::text) {
        return name.to_owned();
    }
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, _)| key.text.as_str())
            .find(|key| key.starts_with(|letter: char| letter.is_ascii_uppercase()))
            .unwrap_or("")
            .to_owned(),
        _ => String::new(),
    }
}
