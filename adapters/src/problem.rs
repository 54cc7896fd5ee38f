//! What is wrong with an adapter's configuration, said before anything starts.

use std::fmt;

use renkei_core::Code;

/// A setting that cannot be used. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The reason.
    pub code: Code,
    /// The setting, as it stands below the adapter's table: `connection.endpoint`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

impl ConfigProblem {
    /// A setting that cannot be used ([`Code::CFG_INVALID`]).
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code: Code::CFG_INVALID,
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.code, self.field, self.reason)
    }
}

impl std::error::Error for ConfigProblem {}
