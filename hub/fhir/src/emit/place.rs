//! Wards and what is counted in them: Location, MeasureReport.

use super::{
    CodeableConcept, Coding, ContactPoint, Identifier, Meta, Period, Reference, Text, element,
    resource,
};

resource! {
    /// A ward (JP Core 1.2.0 `JP_Location`).
    Location {
        id: Text<'a>,
        meta: Meta<'a>,
        identifier: Vec<Identifier<'a>>,
        status: Text<'a>,
        /// HL7 v2 table 0116: `C` closed.
        operational_status: Coding<'a>,
        name: Text<'a>,
        mode: Text<'a>,
        r#type: Vec<CodeableConcept<'a>>,
        telecom: Vec<ContactPoint<'a>>,
        physical_type: CodeableConcept<'a>,
        managing_organization: Reference<'a>,
    }
}

resource! {
    /// Counts of one ward at one time (FHIR R4; the shape follows HL7 SANER's bed reports).
    MeasureReport {
        id: Text<'a>,
        meta: Meta<'a>,
        status: Text<'a>,
        r#type: Text<'a>,
        measure: Text<'a>,
        subject: Reference<'a>,
        date: Text<'a>,
        reporter: Reference<'a>,
        period: Period<'a>,
        group: Vec<MeasureGroup<'a>>,
    }
}

element! {
    /// What is counted.
    MeasureGroup {
        code: CodeableConcept<'a>,
        population: Vec<MeasurePopulation<'a>>,
    }
}

element! {
    /// One count.
    MeasurePopulation {
        code: CodeableConcept<'a>,
        count: Option<u32>,
    }
}
