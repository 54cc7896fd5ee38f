//! Dialects: the calls of an adapter's contract in a peer's own words, in a YAML file in the shape of what is
//! sent and of what the adapter reads. The leaves are those of every mapping; `adapters/DIALECTS.md` is the page
//! for integrators.
//!
//! [`Dialect::load`] checks everything that can be known before the first call: calls, paths, fields of the
//! contract, functions, names of XML. Used by the HTTP client of the adapters as a [`Wire`]. No I/O; what is
//! called, when, and what becomes of it stays in the adapter.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use renkei_core::wire::{Asked, AskedBody, CallId, Reading, Signature, Spoken, Unspeakable, Wire};
use renkei_core::{Code, FacilityId, Finding, Severity};

use super::TestOutcome;
use super::library::Library;
use super::plan::{Body, Expression, Plan, Test};
use super::problem::{Problems, Spot};
use super::run::{Known, Made, Run};
use super::source::{Doc, json};
use super::value::{Out, Value};
use crate::Options;

mod beside;
mod contract;
mod load;
mod path;
#[cfg(test)]
mod tests;
mod xml;

use contract::{Contract, Field, Holds};
use path::Line;

/// A dialect that was loaded and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dialect {
    inner: Arc<Inner>,
    options: Arc<Options>,
}

#[derive(Debug)]
struct Inner {
    id: String,
    about: String,
    hash: String,
    contract: &'static Contract,
    format: Format,
    token: String,
    signature: Option<Signature>,
    /// As many as the contract has, in its order.
    calls: Vec<CallPlan>,
    later: Option<Later>,
    refusals: Vec<Rule>,
    /// What requests read: JSON.
    asks: Plan,
    /// What answers are.
    answers: Plan,
    tests: Vec<TestPlan>,
}

/// What bodies are, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
}

#[derive(Debug)]
struct CallPlan {
    line: Line,
    headers: Vec<(String, Expression)>,
    content: Content,
    /// A leaf reads the document as text.
    reads_file: bool,
    answer: Option<Body>,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Body(Body),
    /// The bytes of the document.
    File,
}

/// A call that is answered later.
#[derive(Debug)]
struct Later {
    status: u16,
    ticket: Expression,
    poll: Line,
    working: Test,
    every: Duration,
}

/// What an answer means.
#[derive(Debug)]
struct Rule {
    status: Statuses,
    when: Option<Test>,
    means: Meaning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Statuses {
    first: u16,
    last: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Done,
    Refused(u16, &'static str),
}

/// Words for what an answer means, with the contract's own status and code.
const MEANINGS: &[(&str, Meaning)] = &[
    ("done", Meaning::Done),
    ("bad-cursor", Meaning::Refused(400, "bad_cursor")),
    ("credentials", Meaning::Refused(401, "invalid_token")),
    ("not-a-member", Meaning::Refused(403, "not_a_member")),
    ("no-consent", Meaning::Refused(403, "no_consent")),
    ("no-such-channel", Meaning::Refused(404, "not_found")),
    ("conflict", Meaning::Refused(409, "idempotency_conflict")),
    ("archived", Meaning::Refused(410, "archived")),
    ("rejected", Meaning::Refused(422, "rejected")),
    (
        "unknown-replaces",
        Meaning::Refused(422, "unknown_replaces"),
    ),
    ("busy", Meaning::Refused(429, "rate_limited")),
    ("unavailable", Meaning::Refused(503, "unavailable")),
];

/// A test beside a dialect.
#[derive(Debug)]
struct TestPlan {
    name: String,
    spot: Spot,
    call: usize,
    given: Given,
    expect: Vec<(String, String, Spot)>,
}

#[derive(Debug)]
enum Given {
    /// What the adapter asks: JSON with `body`, `file` and what stands in the path.
    Asks(String),
    /// What the peer answers.
    Answers {
        status: u16,
        text: String,
        polled: bool,
    },
}

/// The facility that speaks where none was named: a number of no real institution.
const FACILITY: &str = "1319999999";

impl Dialect {
    /// Whether a file is a dialect and not a mapping.
    pub fn is_one(text: &str) -> bool {
        text.lines().any(|line| line.starts_with("dialect:"))
    }

    /// Loads and checks a dialect. `name` is how messages call it, such as its file name.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(name: &str, text: &str, library: &dyn Library) -> Result<Self, Problems> {
        load::load(name, text, library)
    }

    /// The same for a facility, which `$facility` names.
    #[must_use]
    pub fn of_facility(mut self, facility: FacilityId) -> Self {
        self.options = Arc::new(Options::new(facility));
        self
    }

    /// The name it gives itself.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// What it says it is for.
    pub fn about(&self) -> &str {
        &self.inner.about
    }

    /// Hash of its text and tables: 26 characters.
    pub fn hash(&self) -> &str {
        &self.inner.hash
    }

    /// The contract it is a dialect of.
    pub fn speaks(&self) -> &str {
        self.inner.contract.name
    }

    /// How many calls it has.
    pub fn calls(&self) -> usize {
        self.inner.calls.len()
    }

    /// Runs the tests beside it.
    pub fn test(&self) -> Vec<TestOutcome> {
        beside::run(self)
    }

    fn call(&self, call: CallId) -> Option<(&'static contract::Call, &CallPlan)> {
        let plan = self.inner.calls.get(call.0)?;
        Some((self.inner.contract.calls.get(call.0)?, plan))
    }

    /// A request from the document its leaves read; `shape` gets the body as JSON, whatever its format.
    fn spoken(
        &self,
        call: usize,
        source: &str,
        vars: &[(&'static str, String)],
        file: Option<(&str, &Bytes)>,
        shape: Option<&mut String>,
    ) -> Result<Spoken, Unspeakable> {
        let id = CallId(call);
        let Some((asked, plan)) = self.call(id) else {
            return Err(unspeakable(Code::DLV_FRAME, "no such call"));
        };
        let wrong = |code, at: &str| unspeakable(code, &format!("{} {at}", asked.name));
        let tree = json::parse(source).ok_or_else(|| wrong(Code::DLV_FRAME, "body"))?;
        let doc = Doc::Tree {
            tree,
            records: vec![0],
            separator: '.',
        };
        let mut run = Run::new(&self.inner.asks, &doc, &self.options, Known::default());
        let mut headers = Vec::with_capacity(plan.headers.len());
        for (name, value) in &plan.headers {
            let value = run.text(value);
            if !value
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
            {
                return Err(wrong(Code::DLV_FRAME, &format!("header {name}")));
            }
            if !value.is_empty() {
                headers.push((name.clone(), value));
            }
        }
        let made = match &plan.content {
            Content::Body(body) => Some(whole(&mut run, body)),
            Content::Nothing | Content::File => None,
        };
        // What cannot be said as it was meant is not said otherwise.
        if let Some(finding) = serious(&run.take_findings(), Severity::Warning) {
            return Err(wrong(finding.code, &finding.at));
        }
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        let path = plan.line.with(&var);
        let (content_type, body) = match (&plan.content, made, file) {
            (Content::Body(_), Some(Some(out)), _) => {
                let (kind, text) = match self.inner.format {
                    Format::Json => ("application/json", Some(out.to_json())),
                    Format::Xml => ("application/xml; charset=utf-8", xml::write(&out)),
                };
                let text = text.ok_or_else(|| wrong(Code::DLV_FRAME, "a sign XML cannot carry"))?;
                if let Some(shape) = shape {
                    *shape = out.to_json();
                }
                (Some(kind.to_owned()), Bytes::from(text))
            }
            (Content::Body(_), _, _) => return Err(wrong(Code::DLV_FRAME, "an empty body")),
            (Content::File, _, Some((kind, bytes))) => (Some(kind.to_owned()), bytes.clone()),
            (Content::File, _, None) => return Err(wrong(Code::DLV_FRAME, "no document")),
            (Content::Nothing, _, _) => (None, Bytes::new()),
        };
        Ok(Spoken {
            call: id,
            method: plan.line.method,
            path: path.ok_or_else(|| wrong(Code::DLV_FRAME, "path"))?,
            headers,
            content_type,
            body,
        })
    }

    /// What an answer to this call means, when it means yes.
    fn answer<'a>(&'a self, call: CallId, run: Option<&mut Run<'a>>) -> Reading {
        let Some((asked, plan)) = self.call(call) else {
            return Reading::Unreadable("no such call".to_owned());
        };
        let Some(answer) = &plan.answer else {
            return Reading::Answer("{}".to_owned());
        };
        let Some(run) = run else {
            return Reading::Unreadable(format!("{}: not this format", asked.name));
        };
        let mut out = whole(run, answer).unwrap_or(Out::Object(Vec::new()));
        if let Some(finding) = serious(&run.take_findings(), Severity::Error) {
            return Reading::Unreadable(format!("{}: {} {}", asked.name, finding.code, finding.at));
        }
        match complete(&mut out, asked.answer) {
            Ok(()) => Reading::Answer(out.to_json()),
            Err(field) => Reading::Unreadable(format!("{}: no {field}", asked.name)),
        }
    }
}

impl Wire for Dialect {
    fn token_path(&self) -> &str {
        &self.inner.token
    }

    fn signature(&self) -> Option<&Signature> {
        self.inner.signature.as_ref()
    }

    fn request(&self, asked: &Asked<'_>) -> Result<Spoken, Unspeakable> {
        let found = self.inner.contract.asked(asked.method, asked.path);
        let Some((call, mut vars)) = found else {
            return Err(unspeakable(Code::DLV_FRAME, "no such call in the contract"));
        };
        vars.extend(asked.key.map(|key| ("key", key.to_owned())));
        let reads_file = self
            .inner
            .calls
            .get(call)
            .is_some_and(|plan| plan.reads_file);
        let (source, file) = document(&vars, &asked.body, reads_file);
        self.spoken(call, &source, &vars, file, None)
    }

    fn poll(&self, call: CallId, ticket: &str) -> Result<Spoken, Unspeakable> {
        let later = self.inner.later.as_ref();
        let later = later.ok_or_else(|| unspeakable(Code::DLV_FRAME, "no `later:`"))?;
        let var = |name: &str| (name == "ticket").then(|| ticket.to_owned());
        let path = later.poll.with(&var);
        Ok(Spoken {
            call,
            method: later.poll.method,
            path: path.ok_or_else(|| unspeakable(Code::DLV_FRAME, "later.poll"))?,
            headers: Vec::new(),
            content_type: None,
            body: Bytes::new(),
        })
    }

    fn read(&self, call: CallId, polled: bool, status: u16, body: &[u8]) -> Reading {
        let (mut text, mut findings) = (String::new(), Vec::new());
        let doc = self
            .inner
            .answers
            .input
            .read(body, &mut text, &mut findings);
        let doc = doc.ok();
        let mut run = doc
            .as_ref()
            .map(|doc| Run::new(&self.inner.answers, doc, &self.options, Known::default()));
        let is_yes = (200..300).contains(&status);
        if let Some(later) = &self.inner.later {
            let every = later.every;
            if !polled && status == later.status {
                let ticket = run.as_mut().map(|run| run.text(&later.ticket));
                return match ticket.filter(|ticket| !ticket.is_empty()) {
                    Some(ticket) => Reading::Later { ticket, every },
                    None => Reading::Unreadable("later.ticket".to_owned()),
                };
            }
            if polled && is_yes && run.as_mut().is_some_and(|run| run.test(&later.working)) {
                return Reading::Working { every };
            }
        }
        let rule = self.inner.refusals.iter().find(|rule| {
            let holds = |test| run.as_mut().is_some_and(|run| run.test(test));
            (rule.status.first..=rule.status.last).contains(&status)
                && rule.when.as_ref().is_none_or(holds)
        });
        match rule.map(|rule| rule.means) {
            Some(Meaning::Refused(status, code)) => Reading::Refused { status, code },
            Some(Meaning::Done) => self.answer(call, run.as_mut()),
            None if is_yes => self.answer(call, run.as_mut()),
            None => Reading::ByStatus,
        }
    }
}

fn unspeakable(code: Code, at: &str) -> Unspeakable {
    Unspeakable {
        code,
        at: at.to_owned(),
    }
}

/// What a body gives; nothing when a part it needs is missing, which is a finding.
fn whole<'a>(run: &mut Run<'a>, body: &'a Body) -> Option<Out<'a>> {
    match run.body(body) {
        Made::Value(value) => Value::into_out(value),
        Made::Nothing | Made::Missing => None,
    }
}

/// The first finding that is at least this serious.
fn serious(findings: &[Finding], least: Severity) -> Option<&Finding> {
    let counts = |finding: &&Finding| match finding.severity {
        Severity::Error => true,
        Severity::Warning => least == Severity::Warning,
        _ => false,
    };
    findings.iter().find(counts)
}

/// The document the leaves of a request read, as JSON text; numbers of the body keep their spelling.
fn document<'a>(
    vars: &[(&'static str, String)],
    body: &AskedBody<'a>,
    reads_file: bool,
) -> (String, Option<(&'a str, &'a Bytes)>) {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut members: Vec<String> = vars
        .iter()
        .map(|(name, value)| format!("\"{name}\":{}", quoted(value)))
        .collect();
    let mut file = None;
    match body {
        AskedBody::Nothing => {}
        AskedBody::Json(text) => members.push(format!("\"body\":{text}")),
        AskedBody::File {
            meta,
            sha256,
            file_name,
            media_type,
            bytes,
        } => {
            members.extend(meta.map(|meta| format!("\"body\":{meta}")));
            let text = if reads_file {
                data_encoding::BASE64.encode(bytes)
            } else {
                String::new()
            };
            members.push(format!(
                "\"file\":{{\"name\":{},\"media_type\":{},\"sha256\":{},\"base64\":{}}}",
                quoted(file_name),
                quoted(media_type),
                quoted(sha256),
                quoted(&text)
            ));
            file = Some((*media_type, *bytes));
        }
    }
    (format!("{{{}}}", members.join(",")), file)
}

/// Lists the contract promises are there even when they hold nothing. `Err` with the name of what may not be
/// missing: who reads and about whom a team is, because less known would mean more said.
fn complete(out: &mut Out<'_>, fields: &'static [Field]) -> Result<(), &'static str> {
    let Out::Object(members) = out else {
        return Ok(());
    };
    let is_about_nobody = members
        .iter()
        .any(|(name, value)| name == "kind" && value.as_text() == Some("free"));
    for field in fields {
        let found = members.iter_mut().find(|(name, _)| name == field.name);
        let value = found.map(|(_, value)| value);
        let missing = match (&field.holds, value) {
            (Holds::Text, _) | (Holds::Bool, None) => None,
            (Holds::Bool, Some(value)) => {
                let word = value.as_text().map(str::to_owned);
                let known = word.filter(|word| matches!(word.as_str(), "true" | "false"));
                *value = Out::Bare(known.ok_or(field.name)?.into());
                None
            }
            (Holds::Object(_), None) if field.required && !is_about_nobody => {
                return Err(field.name);
            }
            (Holds::Object(_), None) => None,
            (Holds::Open(_), None) => Some(Out::Object(Vec::new())),
            (Holds::Members(_), None) => return Err(field.name),
            (Holds::Texts | Holds::Objects(_), None) => Some(Out::List(Vec::new())),
            (Holds::Object(inside) | Holds::Open(inside), Some(value)) => {
                complete(value, inside)?;
                None
            }
            (Holds::Texts | Holds::Objects(_) | Holds::Members(_), Some(value)) => {
                if !matches!(value, Out::List(_)) {
                    let one = std::mem::replace(value, Out::List(Vec::new()));
                    *value = Out::List(vec![one]);
                }
                if let (Out::List(values), Holds::Objects(inside) | Holds::Members(inside)) =
                    (value, &field.holds)
                {
                    for one in values {
                        complete(one, inside)?;
                    }
                }
                None
            }
        };
        members.extend(missing.map(|empty| (field.name.into(), empty)));
    }
    Ok(())
}
