//! The same peer with other words on the wire: proves that a dialect is configuration, not code.

use axum::http::HeaderName;
use serde_json::{Map, Value};

use crate::request::{Body, Call};

/// Names on the wire that differ from `CONTRACT.md` §2. Pairs are (contract's name, wire name).
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Stands for `/v1`, without a trailing slash.
    pub base: String,
    /// Path segments.
    pub paths: Vec<(String, String)>,
    /// JSON field names, wherever they occur.
    pub fields: Vec<(String, String)>,
    /// Stands for `Idempotency-Key`.
    pub key_header: String,
}

impl Default for Dialect {
    /// The contract's own words.
    fn default() -> Self {
        Self {
            base: "/v1".to_owned(),
            paths: Vec::new(),
            fields: Vec::new(),
            key_header: "Idempotency-Key".to_owned(),
        }
    }
}

impl Dialect {
    /// `ward-w2` of `CONTRACT.md` §5.
    #[must_use]
    pub fn ward_w2() -> Self {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        Self {
            base: "/api/v2".to_owned(),
            paths: pairs(&[
                ("patient-groups", "teams"),
                ("posts", "notes"),
                ("acks", "receipts"),
            ]),
            fields: pairs(&[
                ("group_id", "team_id"),
                ("post_id", "note_id"),
                ("headline", "title"),
                ("text", "body"),
                ("ack_id", "receipt_id"),
            ]),
            key_header: "X-Request-Key".to_owned(),
        }
    }

    /// Rewrites an incoming call into the contract's words. The contract's own word, where the
    /// dialect has another, is foreign here and stays unknown.
    pub(crate) fn read(&self, call: &mut Call) {
        if call.path.starts_with("/_sim/") || call.path == "/oauth/token" {
            return;
        }
        call.path = match call.path.strip_prefix(&self.base) {
            Some(rest) if rest.starts_with('/') => {
                let words: Vec<String> = rest
                    .split('/')
                    .map(|word| translate(&self.paths, word))
                    .collect();
                format!("/v1{}", words.join("/"))
            }
            _ => "/unknown".to_owned(),
        };
        let plain = Dialect::default().key_header;
        if !self.key_header.eq_ignore_ascii_case(&plain) {
            call.headers.remove(plain.as_str());
            if let Some(value) = call.headers.remove(self.key_header.as_str()) {
                call.headers
                    .insert(HeaderName::from_static("idempotency-key"), value);
            }
        }
        if let Body::Json(value) = &mut call.body {
            self.rename(value, &|name| translate(&self.fields, name));
        }
    }

    /// Rewrites an answer or an event into the dialect's words.
    pub(crate) fn write(&self, value: &mut Value) {
        self.rename(value, &|name| {
            let pair = self.fields.iter().find(|(own, _)| own == name);
            pair.map_or_else(|| name.to_owned(), |(_, wire)| wire.clone())
        });
        if let Some(field) = value.pointer_mut("/error/field")
            && let Some(name) = field.as_str()
            && let Some((_, wire)) = self.fields.iter().find(|(own, _)| own == name)
        {
            *field = Value::String(wire.clone());
        }
    }

    fn rename(&self, value: &mut Value, word: &dyn Fn(&str) -> String) {
        if self.fields.is_empty() {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item, word)),
            Value::Object(map) => {
                let old = std::mem::take(map);
                let renamed = old.into_iter().map(|(name, mut inner)| {
                    self.rename(&mut inner, word);
                    (word(&name), inner)
                });
                *map = renamed.collect::<Map<String, Value>>();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn translate(pairs: &[(String, String)], word: &str) -> String {
    if let Some((own, _)) = pairs.iter().find(|(_, wire)| wire == word) {
        own.clone()
    } else if pairs.iter().any(|(own, _)| own == word) {
        format!("?{word}")
    } else {
        word.to_owned()
    }
}
