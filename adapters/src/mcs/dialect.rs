//! Other words for the same contract: a ward's REST system speaks `sns-gateway/1` with its own path
//! segments, field names and key header. A dialect is configuration, not code.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::{self, CallError, Step};

/// Names on the wire that differ from the contract's. Keys are the contract's words, values the
/// peer's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    /// Start of every path but the token's. Default `/v1`.
    pub base: String,
    /// Path segments. Example: `{ posts = "notes" }`.
    pub paths: BTreeMap<String, String>,
    /// JSON field names, wherever they occur. Example: `{ headline = "title" }`.
    pub fields: BTreeMap<String, String>,
    /// The header that carries the idempotency key. Default `Idempotency-Key`.
    pub key_header: String,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            base: "/v1".to_owned(),
            paths: BTreeMap::new(),
            fields: BTreeMap::new(),
            key_header: "Idempotency-Key".to_owned(),
        }
    }
}

impl Dialect {
    /// The words of the ward REST profile W2.
    pub fn ward_w2() -> Self {
        let words = |pairs: &[(&str, &str)]| {
            let owned = |(ours, theirs): &(&str, &str)| ((*ours).to_owned(), (*theirs).to_owned());
            pairs.iter().map(owned).collect()
        };
        Self {
            base: "/api/v2".to_owned(),
            paths: words(&[
                ("patient-groups", "teams"),
                ("posts", "notes"),
                ("acks", "receipts"),
            ]),
            fields: words(&[
                ("group_id", "team_id"),
                ("post_id", "note_id"),
                ("headline", "title"),
                ("text", "body"),
                ("ack_id", "receipt_id"),
            ]),
            key_header: "X-Request-Key".to_owned(),
        }
    }

    /// A path in the peer's words.
    pub(super) fn path(&self, steps: &[Step<'_>]) -> String {
        let steps: Vec<Step<'_>> = steps
            .iter()
            .map(|step| match step {
                Step::Word(word) => Step::Word(self.paths.get(*word).map_or(word, String::as_str)),
                Step::Id(id) => Step::Id(id),
            })
            .collect();
        http::path(&self.base, &steps)
    }

    /// A field in the peer's words.
    pub(super) fn field<'a>(&'a self, name: &'a str) -> &'a str {
        self.fields.get(name).map_or(name, String::as_str)
    }

    /// A body in the peer's words.
    pub(super) fn write(&self, value: Value) -> Value {
        rename(value, &|word| self.fields.get(word).map(String::as_str))
    }

    /// Reads an answer or event into the contract's words.
    pub(super) fn read<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, CallError> {
        if self.fields.is_empty() {
            return http::read(text);
        }
        let ours = |word: &str| {
            let pair = self.fields.iter().find(|(_, theirs)| *theirs == word);
            pair.map(|(ours, _)| ours.as_str())
        };
        let value = rename(http::read(text)?, &ours);
        T::deserialize(value).map_err(|_| CallError::Protocol("an answer of another shape".into()))
    }
}

fn rename<'a>(value: Value, word: &impl Fn(&str) -> Option<&'a str>) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| rename(item, word)).collect(),
        Value::Object(fields) => {
            let renamed = fields.into_iter().map(|(name, inner)| {
                let name = word(&name).map_or(name.clone(), str::to_owned);
                (name, rename(inner, word))
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        other => other,
    }
}
