//! Fingerprints of what was sent.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Lower-case hexadecimal SHA-256.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Hash of a JSON value that ignores the order of fields and the spelling of numbers.
pub(crate) fn fingerprint(value: &Value) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hash_value(value, &mut hasher);
    hasher.finalize().into()
}

fn hash_value(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            hasher.update(b"{");
            for (name, inner) in sorted {
                hasher.update(Value::from(name.as_str()).to_string());
                hash_value(inner, hasher);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                hash_value(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Value::Number(number) => hasher.update(
            number
                .as_f64()
                .map_or_else(|| number.to_string(), |n| n.to_string()),
        ),
        Value::Null | Value::Bool(_) | Value::String(_) => hasher.update(value.to_string()),
    }
}
