//! Tests beside a mapping: an input, and what must come out, by path.

use jiff::Timestamp;
use renkei_core::{FacilityId, Finding};

use super::library::Library;
use super::mapper::LocalMapper;
use super::plan::{TestInput, TestPlan};
use super::problem::Problem;
use super::source::{json, tree};
use super::value::Out;
use super::{Input, Mapping, Piece, Report};
use crate::Options;
use renkei_core::Code;

/// How one test came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// The name of the test.
    pub name: String,
    /// What does not hold; empty when all of it does.
    pub problems: Vec<Problem>,
}

/// The facility that speaks in tests: a number of no real institution.
const FACILITY: &str = "1319999999";
/// When the input of a test was received.
const RECEIVED: i64 = 1_740_787_200; // 2025-03-01T00:00:00Z

/// Runs every test of a mapping.
pub(crate) fn run(mapping: &Mapping, library: &dyn Library) -> Vec<TestOutcome> {
    mapping
        .plan
        .tests
        .iter()
        .map(|test| one(mapping, test, library))
        .collect()
}

fn one(mapping: &Mapping, test: &TestPlan, library: &dyn Library) -> TestOutcome {
    let mut outcome = TestOutcome {
        name: test.name.clone(),
        problems: Vec::new(),
    };
    let bytes = match &test.input {
        TestInput::Text(text) => mapping.plan.input.encoding.encode(text),
        TestInput::File(name) => match library.file(name) {
            Some(bytes) => bytes.into_owned(),
            None => {
                let says = format!("there is no file `{name}`");
                outcome
                    .problems
                    .push(Problem::at(Code::MAP_TEST, &test.spot, says));
                return outcome;
            }
        },
    };
    let Ok(facility) = FacilityId::new(FACILITY) else {
        return outcome;
    };
    let options = Options::new(facility);
    let input = Input {
        bytes: &bytes,
        received_at: Timestamp::from_second(RECEIVED).unwrap_or_default(),
        file: "test",
    };
    let mut made = Everything::default();
    let read = match LocalMapper::new(mapping.clone(), options) {
        Ok(mapper) => mapper.read(input, &mut |piece| made.take(piece)),
        Err(_) => return outcome,
    };
    match read {
        Ok(report) => made.end(report),
        Err(error) => {
            made.failed = error.code.as_str().to_owned();
        }
    }
    let text = made.to_json();
    let Some(document) = json::parse(&text) else {
        return outcome;
    };
    for (path, expected, spot) in &test.expect {
        let found = match tree::steps(path, '.') {
            Some(steps) => document.get(0, &steps).to_owned(),
            None => {
                let says = format!("`{path}` is no path");
                outcome
                    .problems
                    .push(Problem::at(Code::MAP_TEST, spot, says));
                continue;
            }
        };
        if found != *expected {
            let says = format!("`{path}` is `{found}`, expected `{expected}`");
            outcome
                .problems
                .push(Problem::at(Code::MAP_TEST, spot, says));
        }
    }
    if let Some(expected) = &test.findings {
        let mut found = made.findings;
        let mut expected = expected.clone();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            let says = format!(
                "findings are [{}], expected [{}]",
                found.join(", "),
                expected.join(", ")
            );
            outcome
                .problems
                .push(Problem::at(Code::MAP_TEST, &test.spot, says));
        }
    }
    outcome
}

/// All that came out of an input, as one document: counts, bodies by the names of their entries, items.
#[derive(Default)]
struct Everything {
    drafts: usize,
    resources: usize,
    by_type: Vec<(String, Vec<String>)>,
    subjects: Vec<Out<'static>>,
    items: Vec<Out<'static>>,
    withdrawn: Vec<Out<'static>>,
    payload: Option<String>,
    findings: Vec<String>,
    unread: Vec<Out<'static>>,
    failed: String,
}

impl Everything {
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Draft(draft) => {
                self.drafts += 1;
                for resource in &draft.resources {
                    self.resources += 1;
                    self.push(resource.key.kind.as_str(), resource.body.expose().clone());
                }
                if let Some(subject) = &draft.subject {
                    self.subjects.push(Out::object([
                        ("local_id", Out::text(subject.local_id.expose().to_owned())),
                        ("kana", Out::text(subject.facts.kana.clone())),
                        ("birth_date", Out::text(subject.facts.birth_date.clone())),
                        ("sex", Out::text(subject.facts.sex.clone())),
                    ]));
                }
                for item in &draft.items {
                    self.items.push(Out::object([
                        ("class", Out::text(item.class.code())),
                        ("urgency", Out::text(item.urgency.as_str())),
                        (
                            "held",
                            Out::Bare(
                                if item.never_automatic.is_some() {
                                    "true"
                                } else {
                                    "false"
                                }
                                .into(),
                            ),
                        ),
                        ("members", Out::Bare(item.members.len().to_string().into())),
                    ]));
                }
                for withdrawal in &draft.withdrawals {
                    self.withdrawn.push(Out::text(withdrawal.key.kind.as_str()));
                }
                self.found(&draft.findings);
                self.unread
                    .extend(draft.unread.iter().map(|field| Out::text(field.clone())));
            }
            Piece::Row { name, json, .. } => self.push(&name, json),
            Piece::Payload(json) => self.payload = Some(json),
        }
    }

    fn push(&mut self, name: &str, json: String) {
        match self.by_type.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => all.push(json),
            None => self.by_type.push((name.to_owned(), vec![json])),
        }
    }

    fn found(&mut self, findings: &[Finding]) {
        self.findings.extend(
            findings
                .iter()
                .map(|finding| format!("{} {}", finding.code, finding.at)),
        );
    }

    fn end(&mut self, report: Report) {
        self.found(&report.findings);
        self.unread.extend(report.unread.into_iter().map(Out::text));
    }

    fn to_json(&self) -> String {
        let mut members: Vec<(&str, Out<'_>)> = vec![
            ("drafts", Out::Bare(self.drafts.to_string().into())),
            ("resources", Out::Bare(self.resources.to_string().into())),
            ("subject", Out::List(self.subjects.clone())),
            ("item", Out::List(self.items.clone())),
            ("withdrawn", Out::List(self.withdrawn.clone())),
            ("unread", Out::List(self.unread.clone())),
            ("failed", Out::text(self.failed.clone())),
        ];
        for (name, bodies) in &self.by_type {
            let bodies = bodies
                .iter()
                .map(|body| Out::Bare(body.as_str().into()))
                .collect();
            members.push((name, Out::List(bodies)));
        }
        if let Some(payload) = &self.payload {
            members.push(("payload", Out::Bare(payload.as_str().into())));
        }
        Out::object(members).to_json()
    }
}
