//! How a peer says no.

use serde_json::{Value, json};

/// A refused request: status, stable code, a text without patient data.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) field: Option<&'static str>,
    pub(crate) retry_after_secs: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            field: None,
            retry_after_secs: None,
        }
    }

    pub(crate) fn at(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "bad_request", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, "not_found", format!("no such {what}"))
    }

    pub(crate) fn unprocessable(code: &'static str, field: &'static str) -> Self {
        Self::new(
            422,
            code,
            format!("`{field}` is outside the limits of the contract"),
        )
        .at(field)
    }

    /// The body sent to the caller.
    pub(crate) fn body(&self) -> Value {
        if self.code.starts_with("oauth:") {
            return json!({"error": &self.code["oauth:".len()..], "error_description": self.message});
        }
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(field) = self.field {
            error["field"] = json!(field);
        }
        json!({ "error": error })
    }
}
