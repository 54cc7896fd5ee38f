//! Paths of a dialect: fixed words and ids of the peer, `GET /care/teams/{group}?page={cursor}`. Nothing of
//! a body can stand in one, and none leads to another host.

use renkei_core::Code;
use renkei_core::wire::encode;

use super::super::compile::Compiler;
use super::super::problem::{Problem, Spot};
use super::super::yaml::{Kind, Node};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A method with its path.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) method: &'static str,
    path: Vec<Piece>,
    /// A pair whose value is nothing is left out.
    query: Vec<(String, Vec<Piece>)>,
}

#[derive(Debug, Clone)]
enum Piece {
    Fixed(String),
    Var(String),
}

/// Reads `METHOD /path`; `vars` is what may stand in it.
pub(super) fn line(compiler: &mut Compiler<'_>, node: &Node, vars: &[&str]) -> Option<Line> {
    let Kind::Text { text, .. } = &node.kind else {
        let says = format!(
            "a method and a path are wanted here, this is {}",
            node.what()
        );
        compiler.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
        return None;
    };
    let (method, path) = text.split_once(' ').unwrap_or(("", text));
    let Some(method) = METHODS.into_iter().find(|known| *known == method) else {
        let says = format!(
            "a method ({}) and a path are wanted here: `GET /teams`",
            METHODS.join(", ")
        );
        let problem = Problem::at(Code::MAP_KEY, &node.spot, says);
        compiler.problem(problem.did_you_mean(method, METHODS));
        return None;
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs_read = Vec::new();
    let path = pieces(compiler, node, text, path, vars);
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        check_words(compiler, node, text, name);
        if let Some(value) = pieces(compiler, node, text, value, vars) {
            pairs_read.push((name.to_owned(), value));
        }
    }
    let path = path?;
    let is_path = matches!(path.first(), Some(Piece::Fixed(first)) if is_plain_path(first));
    if !is_path {
        let says = "a path begins with one `/` and a fixed word; scheme, host and port stand in the configuration";
        compiler.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
        return None;
    }
    Some(Line {
        method,
        path,
        query: pairs_read,
    })
}

/// A path without anything that changes, such as the token's.
pub(super) fn fixed(compiler: &mut Compiler<'_>, node: &Node) -> Option<String> {
    let text = node.text().unwrap_or("");
    check_words(compiler, node, text, text);
    if is_plain_path(text) {
        return Some(text.to_owned());
    }
    let says = "a path that begins with one `/` is wanted here";
    compiler.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
    None
}

fn is_plain_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() > 1
        && !text.split('/').any(|step| matches!(step, "." | ".."))
}

fn pieces(
    compiler: &mut Compiler<'_>,
    node: &Node,
    whole: &str,
    text: &str,
    vars: &[&str],
) -> Option<Vec<Piece>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            check_words(compiler, node, whole, rest);
            found.push(Piece::Fixed(rest.to_owned()));
            break;
        };
        if open > 0 {
            check_words(compiler, node, whole, &rest[..open]);
            found.push(Piece::Fixed(rest[..open].to_owned()));
        }
        let (name, behind) = rest[open + 1..].split_once('}').unwrap_or(("", ""));
        if !vars.contains(&name) {
            let says = if vars.is_empty() {
                format!("nothing can stand for `{{{name}}}` here")
            } else {
                format!(
                    "`{{{name}}}` cannot stand in a path: there are {}",
                    vars.join(", ")
                )
            };
            let problem = Problem::at(
                Code::MAP_FIELD,
                &spot_of(node, whole, &rest[open..=open]),
                says,
            );
            compiler.problem(problem.did_you_mean(name, vars.iter().copied()));
            return None;
        }
        found.push(Piece::Var(name.to_owned()));
        rest = behind;
    }
    Some(found)
}

/// Fixed words of a path are plain: nothing in them can end the path or name another host.
fn check_words(compiler: &mut Compiler<'_>, node: &Node, whole: &str, words: &str) {
    let strange = words
        .chars()
        .find(|sign| !(sign.is_ascii_alphanumeric() || "-._~/:,=%".contains(*sign)));
    if let Some(sign) = strange {
        let says = format!("`{sign}` cannot stand in a path");
        let spot = spot_of(node, whole, words);
        compiler.problem(Problem::at(Code::MAP_KEY, &spot, says));
    }
}

/// The place of a part of a text.
fn spot_of(node: &Node, whole: &str, part: &str) -> Spot {
    let written = node
        .spot
        .source
        .text
        .get(node.spot.start..node.spot.end)
        .unwrap_or("");
    let offset = part
        .as_ptr()
        .addr()
        .checked_sub(whole.as_ptr().addr())
        .filter(|offset| *offset < whole.len());
    match (written.find(whole), offset) {
        (Some(start), Some(offset)) => node.spot.part(start + offset, start + offset + part.len()),
        _ => node.spot.clone(),
    }
}

impl Line {
    /// The path with its parts; `None` when one is missing.
    pub(super) fn with(&self, var: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let mut path = joined(&self.path, var)?;
        let mut mark = '?';
        for (name, value) in &self.query {
            if let Some(value) = joined(value, var) {
                path.push(mark);
                path.push_str(name);
                path.push('=');
                path.push_str(&value);
                mark = '&';
            }
        }
        Some(path)
    }
}

fn joined(pieces: &[Piece], var: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let parts: Option<Vec<String>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Fixed(text) => Some(text.clone()),
            // A step that is `.` or `..` would lead elsewhere.
            Piece::Var(name) => var(name)
                .filter(|value| !matches!(value.as_str(), "" | "." | ".."))
                .map(|value| encode(&value)),
        })
        .collect();
    parts.map(|parts| parts.concat())
}
