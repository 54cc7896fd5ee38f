//! How one facility writes its patient numbers, so that what a source reads is spelled as the
//! enrolment list spells it.

use renkei_core::LocalId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The facility's rule for patient numbers. Numbers are opaque: by default they are taken as sent,
/// without surrounding spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Characters a number has at this facility: shorter numbers of digits only get zeros in front.
    /// Default: none, numbers are not changed. Example: `10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_to: Option<u8>,
}

impl Rule {
    /// The local id, or `None` when nothing was sent.
    pub fn apply(&self, sent: &str) -> Option<LocalId> {
        let sent = sent.trim();
        if sent.is_empty() {
            return None;
        }
        let width = usize::from(self.pad_to.unwrap_or(0));
        if sent.len() < width && sent.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(LocalId::new(format!("{sent:0>width$}")));
        }
        Some(LocalId::new(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_only_when_asked_and_only_digits() {
        let pad = Rule { pad_to: Some(10) };
        assert_eq!(pad.apply(" 123456 ").unwrap().expose(), "0000123456");
        assert_eq!(pad.apply("A123456").unwrap().expose(), "A123456");
        assert_eq!(pad.apply("12345678901").unwrap().expose(), "12345678901");
        assert_eq!(Rule::default().apply("0012").unwrap().expose(), "0012");
        assert!(pad.apply("  ").is_none());
    }
}
