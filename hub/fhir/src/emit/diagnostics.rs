//! Results: Observation, DiagnosticReport, Specimen.

use super::{
    Annotation, Attachment, CodeableConcept, Contained, Extension, Identifier, Meta, Period,
    PrimitiveExtension, Quantity, Range, Ratio, Reference, Text, choice, element, resource,
};

resource! {
    /// A laboratory value, vital sign, body measurement or other finding.
    ///
    /// JP Core 1.2.0: `category` needs a code of `JP_SimpleObservationCategory_CS`; a laboratory result
    /// (`JP_Observation_LabResult`) also needs `code.coding`, `code.text`, `subject`, `effective` and `specimen`.
    Observation {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        based_on: Vec<Reference<'a>>,
        part_of: Vec<Reference<'a>>,
        status: Text<'a>,
        category: Vec<CodeableConcept<'a>>,
        code: CodeableConcept<'a>,
        subject: Reference<'a>,
        encounter: Reference<'a>,
        effective: Option<Effective<'a>>,
        issued: Text<'a>,
        performer: Vec<Reference<'a>>,
        value: Option<ObservationValue<'a>>,
        data_absent_reason: CodeableConcept<'a>,
        interpretation: Vec<CodeableConcept<'a>>,
        note: Vec<Annotation<'a>>,
        body_site: CodeableConcept<'a>,
        method: CodeableConcept<'a>,
        specimen: Reference<'a>,
        device: Reference<'a>,
        reference_range: Vec<ReferenceRange<'a>>,
        has_member: Vec<Reference<'a>>,
        derived_from: Vec<Reference<'a>>,
        component: Vec<ObservationComponent<'a>>,
    }
}

choice! {
    /// `effective[x]` of an observation or report; the last one says why a mandatory time is missing.
    Effective {
        "effectiveDateTime" => DateTime(Text<'a>),
        "effectivePeriod" => Period(Period<'a>),
        "_effectiveDateTime" => Absent(PrimitiveExtension<'a>),
    }
}

choice! {
    /// `value[x]` of an observation or of one of its components.
    ObservationValue {
        "valueQuantity" => Quantity(Quantity<'a>),
        "valueCodeableConcept" => CodeableConcept(CodeableConcept<'a>),
        "valueString" => String(Text<'a>),
        "valueBoolean" => Boolean(bool),
        "valueInteger" => Integer(i32),
        "valueRange" => Range(Box<Range<'a>>),
        "valueRatio" => Ratio(Box<Ratio<'a>>),
        "valueDateTime" => DateTime(Text<'a>),
        "valuePeriod" => Period(Period<'a>),
    }
}

element! {
    /// The range a value is compared with; `text` is what the laboratory wrote.
    ReferenceRange {
        low: Quantity<'a>,
        high: Quantity<'a>,
        r#type: CodeableConcept<'a>,
        applies_to: Vec<CodeableConcept<'a>>,
        text: Text<'a>,
    }
}

element! {
    /// A part of an observation, as systolic and diastolic pressure.
    ObservationComponent {
        code: CodeableConcept<'a>,
        value: Option<ObservationValue<'a>>,
        data_absent_reason: CodeableConcept<'a>,
        interpretation: Vec<CodeableConcept<'a>>,
        reference_range: Vec<ReferenceRange<'a>>,
    }
}

resource! {
    /// A report over several observations (JP Core 1.2.0 `JP_DiagnosticReport_LabResult` and others).
    DiagnosticReport {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        based_on: Vec<Reference<'a>>,
        status: Text<'a>,
        category: Vec<CodeableConcept<'a>>,
        code: CodeableConcept<'a>,
        subject: Reference<'a>,
        encounter: Reference<'a>,
        effective: Option<Effective<'a>>,
        issued: Text<'a>,
        performer: Vec<Reference<'a>>,
        results_interpreter: Vec<Reference<'a>>,
        specimen: Vec<Reference<'a>>,
        result: Vec<Reference<'a>>,
        imaging_study: Vec<Reference<'a>>,
        conclusion: Text<'a>,
        conclusion_code: Vec<CodeableConcept<'a>>,
        presented_form: Vec<Attachment<'a>>,
    }
}

resource! {
    /// The material that was examined (JP Core 1.2.0 `JP_Specimen_Common`).
    Specimen {
        id: Text<'a>,
        meta: Meta<'a>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        accession_identifier: Identifier<'a>,
        status: Text<'a>,
        r#type: CodeableConcept<'a>,
        subject: Reference<'a>,
        received_time: Text<'a>,
        request: Vec<Reference<'a>>,
        collection: SpecimenCollection<'a>,
        note: Vec<Annotation<'a>>,
    }
}

element! {
    /// How and when a specimen was taken.
    SpecimenCollection {
        collector: Reference<'a>,
        collected: Option<Collected<'a>>,
        quantity: Quantity<'a>,
        method: CodeableConcept<'a>,
        body_site: CodeableConcept<'a>,
    }
}

choice! {
    /// `Specimen.collection.collected[x]`.
    Collected {
        "collectedDateTime" => DateTime(Text<'a>),
        "collectedPeriod" => Period(Period<'a>),
    }
}
