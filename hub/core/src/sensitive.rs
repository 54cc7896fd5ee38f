//! Patient data that must not be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that is patient data. `Debug` prints `[redacted]`, there is no `Display`: it cannot reach
/// a log, a metric or an error text by accident. It serializes as its value: what is stored or shown
/// to a permitted person is asked for by name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps patient data.
    pub fn new(value: T) -> Self {
        Self(value)
    }
    /// The value, for storing it or showing it to a permitted person.
    pub fn expose(&self) -> &T {
        &self.0
    }
    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}
