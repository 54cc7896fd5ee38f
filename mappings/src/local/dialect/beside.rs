//! Tests beside a dialect: what the adapter asks and what goes over the line, or what the peer answers and what
//! the adapter reads.

use bytes::Bytes;
use renkei_core::Code;
use renkei_core::wire::{CallId, Reading, Wire as _};

use super::super::TestOutcome;
use super::super::problem::Problem;
use super::super::source::{json, tree};
use super::{Dialect, Given, TestPlan};

pub(super) fn run(dialect: &Dialect) -> Vec<TestOutcome> {
    let tests = dialect.inner.tests.iter();
    tests.map(|test| one(dialect, test)).collect()
}

fn one(dialect: &Dialect, test: &TestPlan) -> TestOutcome {
    let mut problems = Vec::new();
    let text = match &test.given {
        Given::Asks(asks) => asked(dialect, test.call, asks),
        Given::Answers {
            status,
            text,
            polled,
        } => answered(dialect.read(CallId(test.call), *polled, *status, text.as_bytes())),
    };
    match json::parse(&text) {
        None => problems.push(Problem::at(
            Code::MAP_TEST,
            &test.spot,
            "`asks:` is not JSON",
        )),
        Some(document) => {
            for (path, expected, spot) in &test.expect {
                let found = tree::steps(path, '.').map(|steps| document.get(0, &steps).to_owned());
                let says = match found {
                    None => format!("`{path}` is no path"),
                    Some(found) if found != *expected => {
                        format!("`{path}` is `{found}`, expected `{expected}`")
                    }
                    Some(_) => continue,
                };
                problems.push(Problem::at(Code::MAP_TEST, spot, says));
            }
        }
    }
    TestOutcome {
        name: test.name.clone(),
        problems,
    }
}

/// The request as one JSON document.
fn asked(dialect: &Dialect, call: usize, asks: &str) -> String {
    let Some(document) = json::parse(asks) else {
        return String::new();
    };
    let var = |name: &'static str| {
        let steps = tree::steps(name, '.')?;
        let value = document.get(0, &steps);
        (!value.is_empty()).then(|| (name, value.to_owned()))
    };
    let vars: Vec<_> = dialect
        .inner
        .contract
        .calls
        .get(call)
        .into_iter()
        .flat_map(super::contract::Call::vars)
        .filter_map(var)
        .collect();
    let bytes = Bytes::new();
    let media_type = tree::steps("file.media_type", '.');
    let media_type = media_type.map(|steps| document.get(0, &steps).to_owned());
    let file = media_type
        .as_deref()
        .filter(|kind| !kind.is_empty())
        .map(|kind| (kind, &bytes));
    let mut shape = String::new();
    let made = match dialect.spoken(call, asks, &vars, file, Some(&mut shape)) {
        Ok(spoken) => {
            let headers: serde_json::Map<String, serde_json::Value> = spoken
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            let body: Option<serde_json::Value> = serde_json::from_str(&shape).ok();
            serde_json::json!({
                "method": spoken.method,
                "path": spoken.path,
                "headers": headers,
                "content_type": spoken.content_type,
                "body": body,
            })
        }
        Err(error) => serde_json::json!({ "unspeakable": error.to_string() }),
    };
    made.to_string()
}

/// What an answer means, as one JSON document.
fn answered(reading: Reading) -> String {
    match reading {
        Reading::Answer(answer) => format!("{{\"answer\":{answer}}}"),
        Reading::Later { ticket, .. } => serde_json::json!({ "later": ticket }).to_string(),
        Reading::Working { .. } => serde_json::json!({ "working": true }).to_string(),
        Reading::Refused { status, code } => {
            serde_json::json!({ "refused": { "status": status, "code": code } }).to_string()
        }
        Reading::ByStatus => serde_json::json!({ "by_status": true }).to_string(),
        Reading::Unreadable(at) => serde_json::json!({ "unreadable": at }).to_string(),
    }
}
