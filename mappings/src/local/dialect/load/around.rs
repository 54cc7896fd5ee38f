//! The parts of a dialect around its calls: how they are signed, what answers mean, and the tests.

use std::time::Duration;

use renkei_core::Code;
use renkei_core::wire::{Letters, Signature, Signed};

use super::super::super::kind::Kinds;
use super::super::super::layout::known_keys;
use super::super::super::load::{entries, list};
use super::super::super::yaml::Node;
use super::super::contract::Contract;
use super::super::path::{self, Line};
use super::super::{Given, Later, MEANINGS, Rule, Statuses, TestPlan};
use super::Loader;

impl Loader<'_> {
    pub(super) fn signature(&mut self, node: &Node) -> Option<Signature> {
        let keys = [
            "scheme", "header", "prefix", "letters", "time", "over", "between",
        ];
        known_keys(&mut self.compiler, node, &keys);
        if let Some(scheme) = node.get("scheme") {
            self.word(scheme, "`scheme:`", &["hmac-sha256"]);
        }
        let header = self.text(node, "header")?;
        self.header_name(&header, &node.spot);
        let time_header = node.get("time").and_then(Node::text).map(str::to_owned);
        if let Some(name) = &time_header {
            self.header_name(name, &node.spot);
        }
        let letters = match node.get("letters") {
            Some(letters) => self.word(letters, "`letters:`", &["hex", "base64"])?,
            None => "hex",
        };
        const PARTS: &[(&str, Signed)] = &[
            ("method", Signed::Method),
            ("path", Signed::Path),
            ("time", Signed::Time),
            ("body", Signed::Body),
            ("body-sha256", Signed::BodySha256),
        ];
        let words: Vec<&str> = PARTS.iter().map(|(word, _)| *word).collect();
        let mut over = Vec::new();
        for part in list(node.get("over")) {
            let word = self.word(part, "a signed part", &words)?;
            over.extend(
                PARTS
                    .iter()
                    .find(|(known, _)| *known == word)
                    .map(|(_, part)| *part),
            );
        }
        let covers_body = over.contains(&Signed::Body) || over.contains(&Signed::BodySha256);
        if !covers_body {
            self.problem(
                Code::MAP_KEY,
                &node.spot,
                "`over:` must hold `body` or `body-sha256`",
            );
        }
        if over.contains(&Signed::Time) && time_header.is_none() {
            self.problem(
                Code::MAP_KEY,
                &node.spot,
                "`time:` with the header of the time is missing",
            );
        }
        let plain = |key: &str| node.get(key).and_then(Node::text).unwrap_or("").to_owned();
        Some(Signature {
            header,
            prefix: plain("prefix"),
            letters: if letters == "base64" {
                Letters::Base64
            } else {
                Letters::Hex
            },
            time_header,
            over,
            between: plain("between"),
        })
    }

    pub(super) fn later(&mut self, node: &Node) -> Option<Later> {
        let keys = ["status", "ticket", "poll", "working", "every_ms"];
        known_keys(&mut self.compiler, node, &keys);
        let mut missing = |key: &str| {
            let found = node.get(key);
            if found.is_none() {
                self.problem(Code::MAP_KEY, &node.spot, format!("`{key}:` is missing"));
            }
            found
        };
        let (ticket, poll, working) = (missing("ticket"), missing("poll"), missing("working"));
        let status = match node.get("status") {
            Some(status) => self
                .number(status, 200, 299)
                .and_then(|n| u16::try_from(n).ok())?,
            None => 202,
        };
        let every = match node.get("every_ms") {
            Some(every) => self.number(every, 10, 3_600_000)?,
            None => 5_000,
        };
        let ticket = self.compiler.plain(ticket?, "later.ticket", Kinds::SCALAR);
        let poll: Option<Line> = path::line(&mut self.compiler, poll?, &["ticket"]);
        let working = self.compiler.test(working?, "later.working");
        Some(Later {
            status,
            ticket: ticket?,
            poll: poll?,
            working: working?,
            every: Duration::from_millis(every),
        })
    }

    fn number(&mut self, node: &Node, least: u64, most: u64) -> Option<u64> {
        let number = node.text().and_then(|text| text.parse::<u64>().ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let says = format!("a whole number from {least} to {most} is wanted here");
            self.problem(Code::MAP_KEY, &node.spot, says);
        }
        number
    }

    pub(super) fn rule(&mut self, node: &Node) -> Option<Rule> {
        known_keys(&mut self.compiler, node, &["status", "when", "means"]);
        let words: Vec<&str> = MEANINGS.iter().map(|(word, _)| *word).collect();
        let means = match node.get("means") {
            Some(means) => self.word(means, "`means:`", &words),
            None => {
                self.problem(Code::MAP_KEY, &node.spot, "`means:` is missing");
                None
            }
        };
        let status = match node.get("status") {
            Some(status) => self.statuses(status),
            None => {
                self.problem(Code::MAP_KEY, &node.spot, "`status:` is missing");
                None
            }
        };
        let when = node
            .get("when")
            .map(|when| self.compiler.test(when, "refusals when"));
        let (means, status) = (means?, status?);
        let means = MEANINGS.iter().find(|(word, _)| *word == means)?.1;
        Some(Rule {
            status,
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
            means,
        })
    }

    /// `409`, or `4xx` for all of a hundred.
    fn statuses(&mut self, node: &Node) -> Option<Statuses> {
        let text = node.text().unwrap_or("");
        let hundred = text
            .strip_suffix("xx")
            .and_then(|digit| digit.parse::<u16>().ok())
            .filter(|digit| (2..=5).contains(digit));
        let range = match (hundred, text.parse::<u16>()) {
            (Some(digit), _) => Some((digit * 100, digit * 100 + 99)),
            (None, Ok(status)) if (200..600).contains(&status) => Some((status, status)),
            _ => None,
        };
        let Some((first, last)) = range else {
            let says = "a status is wanted here: `409`, or `4xx` for all of them";
            self.problem(Code::MAP_KEY, &node.spot, says);
            return None;
        };
        Some(Statuses { first, last })
    }

    pub(super) fn beside(&mut self, node: &Node, contract: &'static Contract) -> Option<TestPlan> {
        let keys = [
            "name", "call", "asks", "answers", "status", "polled", "expect",
        ];
        known_keys(&mut self.compiler, node, &keys);
        let names: Vec<&str> = contract.calls.iter().map(|call| call.name).collect();
        let Some(call) = node.get("call") else {
            self.problem(Code::MAP_KEY, &node.spot, "`call:` is missing");
            return None;
        };
        let call = self.word(call, "`call:`", &names)?;
        let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
        let given = match (text("asks"), text("answers")) {
            (Some(asks), None) => Given::Asks(asks),
            (None, Some(answers)) => Given::Answers {
                status: match node.get("status") {
                    Some(status) => u16::try_from(self.number(status, 200, 599)?).ok()?,
                    None => 200,
                },
                text: answers,
                polled: text("polled").as_deref() == Some("true"),
            },
            _ => {
                let says = "a test has either `asks:`, what the adapter asks, or `answers:`";
                self.problem(Code::MAP_KEY, &node.spot, says);
                return None;
            }
        };
        let mut expect = Vec::new();
        for (key, value) in node.get("expect").map(entries).unwrap_or_default() {
            let text = value.text().unwrap_or("").to_owned();
            expect.push((key.text.clone(), text, value.spot.clone()));
        }
        Some(TestPlan {
            name: text("name").unwrap_or_else(|| "unnamed".to_owned()),
            spot: node.spot.clone(),
            call: names.iter().position(|name| *name == call)?,
            given,
            expect,
        })
    }
}
