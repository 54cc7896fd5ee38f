//! Units.

/// The UCUM code system.
pub const SYSTEM: &str = "http://unitsofmeasure.org";
