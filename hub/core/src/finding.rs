//! What was odd in a message. Bad data is not a failure of the hub: a mapping returns what it could
//! carry *and* the findings.

use serde::{Deserialize, Serialize};

use crate::{Code, Sensitive};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A deviation that lost nothing.
    Info,
    /// Something was left out, replaced or doubtful.
    Warning,
    /// A whole resource or message could not be made.
    Error,
}

/// One oddity, with its place in the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The stable code; its page in `ops/errors/` says what to do.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The place: `OBX[2]-5.1`, `row 3 column 7`, `MSH`, or a file path inside the storage without
    /// patient data.
    pub at: String,
    /// One sentence without patient data.
    pub text: String,
    /// The offending value; shown only by `renkei map` and to permitted people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Sensitive<String>>,
}

impl Finding {
    /// A finding whose text is the code's own title.
    pub fn new(code: Code, severity: Severity, at: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            at: at.into(),
            text: code.title().to_owned(),
            value: None,
        }
    }
    /// The same finding with a more exact text (no patient data).
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }
    /// The same finding with the offending value attached.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(Sensitive::new(value.into()));
        self
    }
}
