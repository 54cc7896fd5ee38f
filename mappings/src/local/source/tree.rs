//! Trees: what XML and JSON documents, OCR field sets and FHIR resources are read as.

use std::borrow::Cow;
use std::cell::Cell;

use renkei_core::limits;

/// A document as one array of nodes; children of a node stand in a chain.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
struct Node<'a> {
    /// Member or element name without namespace; `@name` for attributes; empty for members of a list.
    name: Cow<'a, str>,
    text: Cow<'a, str>,
    form: Form,
    first: u32,
    next: u32,
    last: u32,
    read: Cell<bool>,
}

const NONE: u32 = u32::MAX;

/// What a node was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON object; an XML element, which may have text of its own.
    Object,
    /// A JSON list: its members are what a path means.
    List,
    /// A text in quotes; an XML attribute.
    Text,
    /// A JSON number, `true`, `false` or `null`.
    Bare,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// `*` for any.
    pub(crate) name: String,
    pub(crate) only: Only,
}

/// Which of the nodes a step finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    /// The n-th, from 1.
    Nth(usize),
    /// Those with a member (by path) of this text.
    With(Vec<Step>, String),
}

impl<'a> Tree<'a> {
    /// Adds a node under a parent; `None` when the document is larger than the limit.
    pub(crate) fn add(
        &mut self,
        parent: Option<u32>,
        name: impl Into<Cow<'a, str>>,
        text: impl Into<Cow<'a, str>>,
        form: Form,
    ) -> Option<u32> {
        if self.nodes.len() >= limits::LOCAL_NODES {
            return None;
        }
        let id = u32::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Node {
            name: name.into(),
            text: text.into(),
            form,
            first: NONE,
            next: NONE,
            last: NONE,
            read: Cell::new(false),
        });
        if let Some(parent) = parent {
            let parent = parent as usize;
            match self.nodes[parent].last {
                NONE => self.nodes[parent].first = id,
                last => self.nodes[last as usize].next = id,
            }
            self.nodes[parent].last = id;
        }
        Some(id)
    }

    /// Adds text to a node that has some already.
    pub(crate) fn append_text(&mut self, node: u32, more: &str) {
        self.nodes[node as usize].text.to_mut().push_str(more);
    }

    fn children(&self, node: u32) -> impl Iterator<Item = u32> {
        let mut at = self
            .nodes
            .get(node as usize)
            .map_or(NONE, |node| node.first);
        std::iter::from_fn(move || {
            let current = at;
            at = self.nodes.get(current as usize)?.next;
            Some(current)
        })
    }

    /// What a node was written as.
    pub(crate) fn shape(&self, node: u32) -> Form {
        self.nodes
            .get(node as usize)
            .map_or(Form::Bare, |node| node.form)
    }

    /// The text of a node as it was written, without marking it.
    pub(crate) fn raw(&self, node: u32) -> &str {
        self.nodes.get(node as usize).map_or("", |node| &node.text)
    }

    /// Names and nodes of what is inside a node.
    pub(crate) fn members(&self, node: u32) -> impl Iterator<Item = (&str, u32)> {
        self.children(node)
            .map(|child| (&*self.nodes[child as usize].name, child))
    }

    /// The members a path step sees: those of a list instead of the list.
    fn spread(&self, node: u32, found: &mut Vec<u32>) {
        if self.nodes[node as usize].form == Form::List {
            for child in self.children(node) {
                self.spread(child, found);
            }
        } else {
            found.push(node);
        }
    }

    /// Every node a path leads to.
    pub(crate) fn all(&self, from: u32, steps: &[Step]) -> Vec<u32> {
        let mut current = Vec::new();
        if (from as usize) < self.nodes.len() {
            self.spread(from, &mut current);
        }
        for step in steps {
            let mut next = Vec::new();
            for node in current {
                let before = next.len();
                for child in self.children(node) {
                    if step.name == "*" || self.nodes[child as usize].name == step.name {
                        self.spread(child, &mut next);
                    }
                }
                match &step.only {
                    Only::All => {}
                    Only::Nth(number) => {
                        let kept = next.get(before + number - 1).copied();
                        next.truncate(before);
                        next.extend(kept);
                    }
                    Only::With(path, text) => {
                        let mut at = before;
                        while at < next.len() {
                            let is = self
                                .all(next[at], path)
                                .into_iter()
                                .any(|node| self.text(node) == text);
                            if is {
                                at += 1;
                            } else {
                                next.remove(at);
                            }
                        }
                    }
                }
            }
            current = next;
        }
        current
    }

    /// The text of the first node a path leads to that has some.
    pub(crate) fn get(&self, from: u32, steps: &[Step]) -> &str {
        // The usual path names single members: no list of nodes is made for it.
        if let Some(node) = self.single(from, steps) {
            return node.map_or("", |node| self.text(node));
        }
        let found = self.all(from, steps);
        found
            .into_iter()
            .map(|node| self.text(node))
            .find(|text| !text.is_empty())
            .unwrap_or("")
    }

    /// The node at the end of plain steps through plain members; `None` when that must be searched for.
    fn single(&self, from: u32, steps: &[Step]) -> Option<Option<u32>> {
        let mut at = from;
        for step in steps {
            if step.only != Only::All
                || step.name == "*"
                || self.nodes.get(at as usize)?.form == Form::List
            {
                return None;
            }
            let mut found = self
                .children(at)
                .filter(|child| self.nodes[*child as usize].name == step.name);
            match (found.next(), found.next()) {
                (None, _) => return Some(None),
                (Some(child), None) => at = child,
                (Some(_), Some(_)) => return None,
            }
        }
        (self.nodes.get(at as usize)?.form != Form::List).then_some(Some(at))
    }

    /// The text of a node, marked as read.
    pub(crate) fn text(&self, node: u32) -> &str {
        match self.nodes.get(node as usize) {
            Some(node) => {
                node.read.set(true);
                node.text.trim()
            }
            None => "",
        }
    }

    /// Paths of what holds text and was not read, each once; `separator` between steps.
    pub(crate) fn unread(&self, separator: char) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        self.walk(separator, &mut |path, is_read| {
            if !is_read && found.len() < 1000 && !found.iter().any(|known| known == path) {
                found.push(path.to_owned());
            }
        });
        found.sort_unstable();
        found
    }

    /// Gives the path of every node that holds text, and whether it was read.
    pub(crate) fn walk(&self, separator: char, give: &mut dyn FnMut(&str, bool)) {
        let mut open: Vec<(u32, String)> = vec![(0, String::new())];
        while let Some((node, path)) = open.pop() {
            let Some(own) = self.nodes.get(node as usize) else {
                continue;
            };
            if !own.text.trim().is_empty() {
                give(&path, own.read.get());
            }
            for child in self.children(node) {
                let name = &self.nodes[child as usize].name;
                let path = match (path.is_empty(), name.is_empty()) {
                    (_, true) => path.clone(),
                    (true, false) => name.to_string(),
                    (false, false) => format!("{path}{separator}{name}"),
                };
                open.push((child, path));
            }
        }
    }
}

/// Reads a path: `a.b[2].c`, `a[system='x'].b`, `a/b/@c`. `None` when it is none.
pub(crate) fn steps(path: &str, separator: char) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let name_end = rest.find([separator, '[']).unwrap_or(rest.len());
        let name = &rest[..name_end];
        rest = &rest[name_end..];
        let mut only = Only::All;
        if let Some(inner) = rest.strip_prefix('[') {
            let close = inner.find(']')?;
            only = filter(&inner[..close], separator)?;
            rest = &inner[close + 1..];
        }
        if name.is_empty() || name.contains(['\'', ']']) {
            return None;
        }
        steps.push(Step {
            name: name.to_owned(),
            only,
        });
        if steps.len() > limits::LOCAL_DEPTH {
            return None;
        }
        match rest.strip_prefix(separator) {
            Some(behind) => rest = behind,
            None => return rest.is_empty().then_some(steps),
        }
    }
}

fn filter(inner: &str, separator: char) -> Option<Only> {
    if let Ok(number) = inner.parse::<usize>() {
        return (number > 0).then_some(Only::Nth(number));
    }
    let (path, text) = inner.split_once('=')?;
    let text = text.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let path = path.trim();
    if path.contains('[') {
        return None;
    }
    Some(Only::With(steps(path, separator)?, text.to_owned()))
}
