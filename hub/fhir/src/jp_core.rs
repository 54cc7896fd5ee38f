//! The names JP Core 1.2.0 gives to profiles, identifier systems, code systems and extensions.

/// Extension urls.
pub mod extension {
    /// Representation of a name: `IDE` kanji, `SYL` kana, `ABC` roman.
    pub const EN_REPRESENTATION: &str =
        "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";
    /// Why a mandatory element has no value.
    pub const DATA_ABSENT_REASON: &str =
        "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
    /// Planned begin of a stay (the R5 element, carried into R4).
    pub const PLANNED_START: &str =
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate";
}
