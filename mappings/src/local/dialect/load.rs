//! A dialect file to a dialect. Everything wrong with it is found here, all at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use renkei_core::{Code, FacilityId};

use super::super::compile::Compiler;
use super::super::kind::Kinds;
use super::super::layout::known_keys;
use super::super::library::Library;
use super::super::load::{entries, list, tables};
use super::super::plan::{Body, Plan};
use super::super::problem::{Problem, Problems, Source, Spot};
use super::super::shape;
use super::super::source::decode::Encoding;
use super::super::source::{self, Input};
use super::super::yaml::{self, Kind, Node};
use super::contract::{self, CONTRACTS, Contract, Field, Holds};
use super::path;
use super::{CallPlan, Content, Dialect, FACILITY, Format, Inner, Rule, TestPlan, xml};
use crate::Options;

mod around;

const KEYS: &[&str] = &[
    "dialect",
    "about",
    "speaks",
    "format",
    "token",
    "tables",
    "signature",
    "calls",
    "later",
    "refusals",
    "tests",
];
/// Headers a call has by itself.
const OWN_HEADERS: &[&str] = &[
    "authorization",
    "content-type",
    "content-length",
    "connection",
    "host",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
];

pub(super) fn load(name: &str, text: &str, library: &dyn Library) -> Result<Dialect, Problems> {
    let source = Arc::new(Source {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    let root = yaml::parse(&source).map_err(|problem| Problems(vec![*problem]))?;
    let facility = FacilityId::new(FACILITY);
    let mut loader = Loader {
        compiler: Compiler::new(library, requests()),
        format: Format::Json,
    };
    let inner = loader.dialect(&root);
    let mut problems = loader.compiler.problems;
    if let (Some(inner), Ok(facility), true) = (inner, facility, problems.is_empty()) {
        return Ok(Dialect {
            inner: Arc::new(inner),
            options: Arc::new(Options::new(facility)),
        });
    }
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    problems.dedup();
    if problems.is_empty() {
        let says = "the dialect cannot be used";
        problems.push(Problem::at(Code::MAP_KEY, &root.spot, says));
    }
    Err(Problems(problems))
}

/// What the leaves of a request read.
fn requests() -> Input {
    Input {
        format: source::Format::Json { records: None },
        encoding: Encoding::Utf8,
    }
}

/// What the leaves of an answer read.
fn answers(format: Format) -> Input {
    match format {
        Format::Json => requests(),
        Format::Xml => Input {
            format: source::Format::Xml { records: None },
            encoding: Encoding::Auto,
        },
    }
}

/// A plan that only says what the input is.
fn bare(input: Input) -> Plan {
    Plan {
        input,
        builtin: None,
        when: None,
        group: Vec::new(),
        time: None,
        subject: None,
        resources: Vec::new(),
        items: Vec::new(),
        rows: Vec::new(),
        payload: None,
        patches: Vec::new(),
        lineage: Vec::new(),
        read_columns: BTreeSet::new(),
        unused: BTreeSet::new(),
        tests: Vec::new(),
    }
}

struct Loader<'l> {
    compiler: Compiler<'l>,
    format: Format,
}

impl Loader<'_> {
    fn problem(&mut self, code: Code, spot: &Spot, says: impl Into<String>) {
        self.compiler.problem(Problem::at(code, spot, says));
    }

    /// One of some words.
    fn word<'w>(&mut self, node: &Node, what: &str, words: &[&'w str]) -> Option<&'w str> {
        let text = node.text().unwrap_or("");
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let says = format!("{what} is one of {}", words.join(", "));
            let problem = Problem::at(Code::MAP_KEY, &node.spot, says);
            self.compiler
                .problem(problem.did_you_mean(text, words.iter().copied()));
        }
        found
    }

    fn text(&mut self, root: &Node, key: &str) -> Option<String> {
        let text = root.get(key).and_then(Node::text).unwrap_or("");
        if text.is_empty() {
            self.problem(Code::MAP_KEY, &root.spot, format!("`{key}:` is missing"));
            return None;
        }
        Some(text.to_owned())
    }

    fn dialect(&mut self, root: &Node) -> Option<Inner> {
        known_keys(&mut self.compiler, root, KEYS);
        let id = self.text(root, "dialect");
        if let Some(format) = root.get("format") {
            let word = self.word(format, "`format:`", &["json", "xml"]);
            self.format = if word == Some("xml") {
                Format::Xml
            } else {
                Format::Json
            };
        }
        tables(&mut self.compiler, root);
        let contract = self.contract(root)?;
        let token = match root.get("token") {
            Some(node) => path::fixed(&mut self.compiler, node),
            None => Some("/oauth/token".to_owned()),
        };
        let signature = root.get("signature").map(|node| self.signature(node));
        let calls = self.calls(root, contract);
        self.compiler.input = answers(self.format);
        self.compiler.fields = None;
        let later = root.get("later").map(|node| self.later(node));
        let refusals: Vec<Option<Rule>> = list(root.get("refusals"))
            .iter()
            .map(|node| self.rule(node))
            .collect();
        let tests: Vec<Option<TestPlan>> = list(root.get("tests"))
            .iter()
            .map(|node| self.beside(node, contract))
            .collect();
        let text = root.spot.source.text.to_string();
        let hash = self.compiler.hash("dialect", &[text]);
        Some(Inner {
            id: id?,
            about: root
                .get("about")
                .and_then(Node::text)
                .unwrap_or("")
                .to_owned(),
            hash,
            contract,
            format: self.format,
            token: token?,
            signature: match signature {
                Some(signature) => Some(signature?),
                None => None,
            },
            calls: calls?,
            later: match later {
                Some(later) => Some(later?),
                None => None,
            },
            refusals: refusals.into_iter().collect::<Option<_>>()?,
            asks: bare(requests()),
            answers: bare(answers(self.format)),
            tests: tests.into_iter().collect::<Option<_>>()?,
        })
    }

    fn contract(&mut self, root: &Node) -> Option<&'static Contract> {
        let names: Vec<&str> = CONTRACTS.iter().map(|contract| contract.name).collect();
        let Some(node) = root.get("speaks") else {
            let says = format!("`speaks:` is missing: one of {}", names.join(", "));
            self.problem(Code::MAP_KEY, &root.spot, says);
            return None;
        };
        Contract::find(self.word(node, "`speaks:`", &names)?)
    }

    /// Every call of the contract, in its order.
    fn calls(&mut self, root: &Node, contract: &'static Contract) -> Option<Vec<CallPlan>> {
        let Some(node) = root.get("calls") else {
            self.problem(Code::MAP_KEY, &root.spot, "`calls:` is missing");
            return None;
        };
        let names: Vec<&str> = contract.calls.iter().map(|call| call.name).collect();
        known_keys(&mut self.compiler, node, &names);
        let mut plans = Vec::new();
        for call in contract.calls {
            match node.get(call.name) {
                Some(node) => plans.push(self.call(node, call)),
                None => {
                    let says = format!("call `{}` of {} is missing", call.name, contract.name);
                    self.problem(Code::MAP_KEY, &node.spot, says);
                    plans.push(None);
                }
            }
        }
        plans.into_iter().collect()
    }

    fn call(&mut self, node: &Node, call: &'static contract::Call) -> Option<CallPlan> {
        let keys = ["request", "headers", "content", "body", "answer"];
        known_keys(&mut self.compiler, node, &keys);
        self.compiler.input = requests();
        self.compiler.fields = Some(call.fields().collect());
        self.compiler.read_fields.clear();
        let line = match node.get("request") {
            Some(line) => path::line(&mut self.compiler, line, &call.vars()),
            None => {
                let says = "`request:` with method and path is missing";
                self.problem(Code::MAP_KEY, &node.spot, says);
                None
            }
        };
        let mut headers = Vec::new();
        for (key, value) in node.get("headers").map(entries).unwrap_or_default() {
            self.header_name(&key.text, &key.spot);
            let element = format!("{} header {}", call.name, key.text);
            let value = self.compiler.plain(value, &element, Kinds::SCALAR);
            headers.extend(value.map(|value| (key.text.clone(), value)));
        }
        let content = self.content(node, call);
        let reads_file = self.compiler.read_fields.contains("file.base64");
        if call.has_file && !reads_file && !matches!(content, Some(Content::File)) {
            let says = "the document is not sent: `content: file`, or `file.base64` in the body";
            self.problem(Code::MAP_KEY, &node.spot, says);
        }
        if call.has_key && !self.compiler.read_fields.contains("key") && !line_has_key(node) {
            let says = "the idempotency `key` is not sent: a repetition would be told twice";
            self.problem(Code::MAP_KEY, &node.spot, says);
        }
        let answer = self.answer(node, call);
        Some(CallPlan {
            line: line?,
            headers,
            content: content?,
            reads_file,
            answer: answer?,
        })
    }

    fn header_name(&mut self, name: &str, spot: &Spot) {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            self.problem(
                Code::MAP_KEY,
                spot,
                format!("`{name}` is no name of a header"),
            );
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            self.problem(Code::MAP_KEY, spot, format!("renkei itself sends `{name}`"));
        }
    }

    fn content(&mut self, node: &Node, call: &contract::Call) -> Option<Content> {
        if let Some(content) = node.get("content") {
            self.word(content, "`content:`", &["file"])?;
            if !call.has_file {
                let says = format!("`{}` carries no document", call.name);
                self.problem(Code::MAP_KEY, &content.spot, says);
            }
            if let Some(body) = node.get("body") {
                let says = "with `content: file` the document is the body";
                self.problem(Code::MAP_KEY, &body.spot, says);
            }
            return Some(Content::File);
        }
        let Some(body) = node.get("body") else {
            if !call.body.is_empty() {
                self.problem(Code::MAP_KEY, &node.spot, "`body:` is missing");
                return None;
            }
            return Some(Content::Nothing);
        };
        if self.format == Format::Xml {
            xml::check(&mut self.compiler, body);
        }
        shape::free(&mut self.compiler, body, &format!("{}.body", call.name)).map(Content::Body)
    }

    /// What the adapter reads; `Some(None)` when it reads nothing.
    fn answer(&mut self, node: &Node, call: &'static contract::Call) -> Option<Option<Body>> {
        self.compiler.input = answers(self.format);
        self.compiler.fields = None;
        let path = format!("{}.answer", call.name);
        let Some(answer) = node.get("answer") else {
            if !call.answer.is_empty() {
                self.problem(Code::MAP_KEY, &node.spot, "`answer:` is missing");
                return None;
            }
            return Some(None);
        };
        if call.answer.is_empty() {
            let says = format!("nothing is read of the answer to `{}`", call.name);
            self.problem(Code::MAP_KEY, &answer.spot, says);
            return None;
        }
        self.fields(answer, call.answer, &path);
        shape::free(&mut self.compiler, answer, &path).map(Some)
    }

    /// Checks the names of an answer against what the adapter reads.
    fn fields(&mut self, node: &Node, fields: &'static [Field], path: &str) {
        let Kind::Map(entries) = &node.kind else {
            let says = format!("a map of fields is wanted here, this is {}", node.what());
            self.problem(Code::MAP_ELEMENT, &node.spot, says);
            return;
        };
        for (key, value) in entries {
            if ["each", "when"].contains(&key.text.as_str()) {
                continue;
            }
            let Some(field) = fields.iter().find(|field| field.name == key.text) else {
                let says = format!("`{path}` has no field `{}`", key.text);
                let problem = Problem::at(Code::MAP_ELEMENT, &key.spot, says);
                let known = fields.iter().map(|field| field.name);
                self.compiler
                    .problem(problem.did_you_mean(&key.text, known));
                continue;
            };
            self.field(value, field, &format!("{path}.{}", field.name));
        }
        for field in fields.iter().filter(|field| field.required) {
            if !entries.iter().any(|(key, _)| key.text == field.name) {
                let says = format!("`{path}.{}` is required and not written", field.name);
                self.problem(Code::MAP_ELEMENT, &node.spot, says);
            }
        }
    }

    fn field(&mut self, node: &Node, field: &'static Field, path: &str) {
        match &field.holds {
            Holds::Object(inside) | Holds::Open(inside) => self.fields(node, inside, path),
            Holds::Objects(inside) | Holds::Members(inside) => match &node.kind {
                Kind::List(nodes) => nodes
                    .iter()
                    .for_each(|node| self.fields(node, inside, path)),
                _ => self.fields(node, inside, path),
            },
            Holds::Text | Holds::Texts | Holds::Bool => {}
        }
    }
}

fn line_has_key(node: &Node) -> bool {
    let line = node.get("request").and_then(Node::text);
    line.is_some_and(|line| line.contains("{key}"))
}
