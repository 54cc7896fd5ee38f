//! A second opinion on FHIR: a resource is parsed by `fhir-sdk`, printed again, and compared with the original.
//!
//! Whatever the other side of that trip does not show is named: elements FHIR does not know, values it cannot read
//! (it drops them without an error), choice elements given twice. The tests use it on everything renkei emits, the
//! `renkei-gate` program on files of resources. Nothing that went through here is ever stored or sent: the text
//! that came in stays the truth.
//!
//! `fhir-sdk` speaks R4B; the resources renkei uses have the same elements there as in R4 (4.0.1), JP Core's base.
//! Its build is slow, so this package is a leaf, and its public functions are not generic: the parser is compiled
//! once, here.

mod compare;
mod fault;
mod read;

use std::fmt;

use fhir_sdk::r4b::resources::Resource;

/// One place where a resource did not survive the trip. Names places, never values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Element path below the resource, as `component[1].valueQuantity.value`.
    pub path: String,
    /// What happened to it.
    pub kind: Kind,
}

/// What happened to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// In the original only: unknown to FHIR, or not readable as what FHIR expects there.
    Lost,
    /// In the printed form only.
    Added,
    /// In both, with another value.
    Changed,
    /// Given twice: the same property, or two forms of one choice element (`value[x]`).
    Doubled,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lost => "lost",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Doubled => "doubled",
        })
    }
}

/// Why no comparison was possible. Carries no text of the resource.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GateError {
    /// The text is not one JSON value.
    #[error("not JSON, at line {line} column {column}")]
    NotJson {
        /// Line in the text, from 1.
        line: usize,
        /// Column in the line, from 1.
        column: usize,
    },
    /// The JSON is no FHIR resource: a mandatory element is missing, a code is not of its required list, ….
    #[error("not FHIR R4: {reason}, at {}", if path.is_empty() { "the resource" } else { path })]
    NotFhir {
        /// Path of the element at fault; empty when one is missing.
        path: String,
        /// What is wrong, without values.
        reason: String,
    },
    /// The parsed resource could not be printed: a defect of the library.
    #[error("a parsed resource could not be printed")]
    NotPrinted,
}

/// Parses a resource, prints it again and names every difference, in path order.
///
/// Not counted: the spelling of decimals (`6.80` and `6.8`), trailing zeros in fractions of seconds, `+00:00`
/// against `Z`. The order of properties means nothing in JSON.
///
/// # Errors
/// When `json` is not JSON or not a FHIR resource at all.
pub fn round_trip(json: &str) -> Result<Vec<Difference>, GateError> {
    let (original, mut differences) = read::json(json)?;
    let resource: Resource =
        serde_json::from_value(original.clone()).map_err(|error| GateError::NotFhir {
            path: fault::place(&original),
            reason: without_values(&error.to_string()),
        })?;
    let printed = serde_json::to_value(&resource).map_err(|_| GateError::NotPrinted)?;
    compare::values(&original, &printed, &mut differences);
    differences.sort();
    differences.dedup();
    Ok(differences)
}

/// Keeps what a parse error says about the definition, drops what it quotes from the resource.
fn without_values(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field `") {
        return format!("missing {}", field.split('`').next().unwrap_or_default());
    }
    for (start, reason) in [
        (
            "unknown variant",
            "a code is not in its required list, or the resource type is unknown",
        ),
        ("invalid type", "an element has the wrong JSON type"),
        ("invalid length", "an array has the wrong length"),
        ("duplicate field", "an element is given twice"),
    ] {
        if message.starts_with(start) {
            return reason.to_owned();
        }
    }
    "a value has the wrong form".to_owned()
}
