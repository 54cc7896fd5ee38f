//! What a person has: Condition and AllergyIntolerance.

use super::{
    Annotation, CodeableConcept, Contained, Extension, Identifier, Meta, Period, Reference, Text,
    choice, element, resource,
};

resource! {
    /// A problem or diagnosis (JP Core 1.2.0 `JP_Condition`, `JP_Condition_Diagnosis`).
    Condition {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        /// Not allowed when `verification_status` is `entered-in-error` (FHIR R4 con-5).
        clinical_status: CodeableConcept<'a>,
        verification_status: CodeableConcept<'a>,
        category: Vec<CodeableConcept<'a>>,
        severity: CodeableConcept<'a>,
        code: CodeableConcept<'a>,
        body_site: Vec<CodeableConcept<'a>>,
        subject: Reference<'a>,
        encounter: Reference<'a>,
        onset: Option<Onset<'a>>,
        abatement: Option<Abatement<'a>>,
        recorded_date: Text<'a>,
        recorder: Reference<'a>,
        asserter: Reference<'a>,
        note: Vec<Annotation<'a>>,
    }
}

choice! {
    /// `onset[x]` of a condition or an allergy.
    Onset {
        "onsetDateTime" => DateTime(Text<'a>),
        "onsetPeriod" => Period(Period<'a>),
        "onsetString" => String(Text<'a>),
    }
}

choice! {
    /// `Condition.abatement[x]`.
    Abatement {
        "abatementDateTime" => DateTime(Text<'a>),
        "abatementPeriod" => Period(Period<'a>),
        "abatementString" => String(Text<'a>),
    }
}

resource! {
    /// An allergy or intolerance (JP Core 1.2.0 `JP_AllergyIntolerance`).
    AllergyIntolerance {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        /// Not allowed when `verification_status` is `entered-in-error` (FHIR R4 ait-2).
        clinical_status: CodeableConcept<'a>,
        verification_status: CodeableConcept<'a>,
        /// `allergy` or `intolerance`.
        r#type: Text<'a>,
        /// `food`, `medication`, `environment` or `biologic`.
        category: Vec<Text<'a>>,
        /// `low`, `high` or `unable-to-assess`.
        criticality: Text<'a>,
        code: CodeableConcept<'a>,
        patient: Reference<'a>,
        encounter: Reference<'a>,
        onset: Option<Onset<'a>>,
        recorded_date: Text<'a>,
        recorder: Reference<'a>,
        asserter: Reference<'a>,
        last_occurrence: Text<'a>,
        note: Vec<Annotation<'a>>,
        reaction: Vec<AllergyReaction<'a>>,
    }
}

element! {
    /// What happened on exposure; `manifestation` is mandatory.
    AllergyReaction {
        substance: CodeableConcept<'a>,
        manifestation: Vec<CodeableConcept<'a>>,
        description: Text<'a>,
        onset: Text<'a>,
        /// `mild`, `moderate` or `severe`.
        severity: Text<'a>,
        exposure_route: CodeableConcept<'a>,
        note: Vec<Annotation<'a>>,
    }
}
