//! Conservation: what the senders were told is safe is recorded and told, once, in the right words and
//! in order, and nothing else is. One judge for everything that may go wrong on the way.

use std::collections::{HashMap, HashSet};

use renkei_sim::hospital::Person;
use serde_json::Value;

use crate::office::Office;
use crate::oracle::{Expected, Judgement};
use crate::peers::{District, SINKS};
use crate::sender::Log;
use crate::story::{Fact, Step};

/// What the ledger and the peers hold, against what was acknowledged.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) events: usize,
    pub(crate) corrections: usize,
    pub(crate) cancellations: usize,
    pub(crate) repeated_sends: u64,
    pub(crate) lost: Vec<String>,
    pub(crate) twice: Vec<String>,
    pub(crate) inversions: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

impl Findings {
    /// Compares everything; `logs` is what the senders were told is safe.
    pub(crate) async fn of(
        people: &[Person],
        logs: &[Log],
        office: &Office,
        district: &District,
    ) -> Self {
        let mut log: Vec<Vec<Step>> = vec![Vec::new(); people.len()];
        for step in logs.iter().flat_map(|log| &log.acknowledged) {
            log[step.patient].push(step.clone());
        }
        let mut found = Self::default();
        found.ledger(&log, office).await;
        let expected = Expected::of(people, &log);
        let payloads = payloads(office).await;
        for sink in SINKS {
            let doors = &district.sim(sink).doors;
            let told = doors.told().await;
            let first_parts: Vec<_> = told
                .into_iter()
                // Nor documents that only accompany a message.
                .filter(|post| !post.key.contains(':') && !post.text.is_empty())
                .collect();
            found.take(expected.judge(sink, &first_parts));
            for post in &first_parts {
                let frozen = payloads.get(
                    post.key
                        .rsplit_once('.')
                        .map_or(post.key.as_str(), |(stem, _)| stem),
                );
                if sink == "mcs" && frozen != Some(&(post.headline.clone(), post.text.clone())) {
                    found
                        .wrong
                        .push(format!("{sink}: {} is not what was frozen", post.key));
                }
            }
            found.keys(sink, &doors.state().await);
        }
        found
    }

    /// Nothing may be found.
    ///
    /// # Panics
    /// When something is.
    pub(crate) fn assert_none(&self, seed: u64) {
        for wrong in [&self.lost, &self.twice, &self.inversions, &self.wrong] {
            assert!(
                wrong.is_empty(),
                "seed {seed}: {} wrong, such as {:#?}",
                wrong.len(),
                &wrong[..wrong.len().min(5)]
            );
        }
    }

    fn take(&mut self, judgement: Judgement) {
        self.events += judgement.events;
        self.corrections += judgement.corrections;
        self.cancellations += judgement.cancellations;
        self.lost.extend(judgement.lost);
        self.twice.extend(judgement.twice);
        self.inversions.extend(judgement.inversions);
        self.wrong.extend(judgement.wrong);
    }

    /// What the peer counted under each key.
    fn keys(&mut self, sink: &str, state: &Value) {
        for key in state["keys"].as_array().unwrap() {
            let count = |name: &str| key[name].as_u64().unwrap();
            if count("effects") > 1 {
                self.twice.push(format!("{sink}: key {}", key["key"]));
            }
            self.repeated_sends += count("requests").saturating_sub(1);
        }
        for refusal in state["rejected"].as_array().unwrap() {
            // A uid that names what an interrupted try had named otherwise is tried again; another
            // content under a key is not.
            if refusal["code"] == "idempotency_conflict" {
                self.wrong.push(format!("{sink}: {refusal}"));
            }
        }
    }

    /// Every acknowledged message is processed, and every result is recorded as it was said last.
    async fn ledger(&mut self, log: &[Vec<Step>], office: &Office) {
        let processed = "SELECT control FROM message JOIN outcome USING (position) WHERE state = 'processed' AND source = 'hospital'";
        let kept = office.texts(processed).await;
        let known: HashSet<&str> = kept.iter().map(String::as_str).collect();
        if known.len() != kept.len() {
            self.twice
                .push("a message is in the inbox twice".to_owned());
        }
        let mut results: HashMap<u64, &str> = HashMap::new();
        for step in log.iter().flatten() {
            if !known.contains(step.control.as_str()) {
                self.lost.push(format!("{} was acknowledged", step.control));
            }
            if let Fact::Result { order, value } = &step.fact {
                results.insert(*order, value);
            }
        }
        let bodies = office.bodies("Observation").await;
        let mut recorded: HashSet<String> = HashSet::new();
        for body in &bodies {
            let body: Value = serde_json::from_str(body).unwrap();
            recorded.insert(body["valueQuantity"]["value"].to_string());
        }
        // Each value holds the number of its order: no two are alike.
        for (order, value) in &results {
            if !recorded.contains(*value) {
                self.lost.push(format!("the result of order {order}"));
            }
        }
        if bodies.len() != results.len() {
            self.wrong.push(format!(
                "{} results recorded, {} said",
                bodies.len(),
                results.len()
            ));
        }
    }
}

/// Headline and text of every delivery as they were frozen when it was planned.
async fn payloads(office: &Office) -> HashMap<String, (String, String)> {
    let ids = office
        .texts("SELECT id FROM delivery WHERE sink = 'mcs' ORDER BY seq")
        .await;
    let frozen = office
        .texts("SELECT payload FROM delivery WHERE sink = 'mcs' ORDER BY seq")
        .await;
    let words = |payload: &String| {
        let payload: Value = serde_json::from_str(payload).unwrap();
        let body: Value = serde_json::from_str(payload["body"].as_str().unwrap()).unwrap();
        let word = |name: &str| {
            body["posts"][0][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (word("headline"), word("text"))
    };
    ids.into_iter().zip(frozen.iter().map(words)).collect()
}
