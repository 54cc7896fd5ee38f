//! People and organizations: Patient, Coverage, Organization, Practitioner.

use super::{
    Address, CodeableConcept, ContactPoint, Extension, HumanName, Identifier, Meta, Period,
    Quantity, Reference, Text, choice, element, resource,
};

resource! {
    /// A patient record of one facility (JP Core 1.2.0 `JP_Patient`: `identifier` 1..* with `value`).
    Patient {
        id: Text<'a>,
        meta: Meta<'a>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        active: Option<bool>,
        name: Vec<HumanName<'a>>,
        telecom: Vec<ContactPoint<'a>>,
        gender: Text<'a>,
        birth_date: Text<'a>,
        deceased: Option<Deceased<'a>>,
        address: Vec<Address<'a>>,
        marital_status: CodeableConcept<'a>,
        contact: Vec<PatientContact<'a>>,
        communication: Vec<PatientCommunication<'a>>,
        general_practitioner: Vec<Reference<'a>>,
        managing_organization: Reference<'a>,
        link: Vec<PatientLink<'a>>,
    }
}

choice! {
    /// `Patient.deceased[x]`.
    Deceased {
        "deceasedBoolean" => Boolean(bool),
        "deceasedDateTime" => DateTime(Text<'a>),
    }
}

element! {
    /// A relative or other contact of a patient.
    PatientContact {
        relationship: Vec<CodeableConcept<'a>>,
        name: HumanName<'a>,
        telecom: Vec<ContactPoint<'a>>,
        address: Address<'a>,
        gender: Text<'a>,
        organization: Reference<'a>,
        period: Period<'a>,
    }
}

element! {
    /// A language the patient speaks.
    PatientCommunication {
        language: CodeableConcept<'a>,
        preferred: Option<bool>,
    }
}

element! {
    /// Another record of the same human.
    PatientLink {
        other: Reference<'a>,
        r#type: Text<'a>,
    }
}

resource! {
    /// An insurance or public payer cover (JP Core 1.2.0 `JP_Coverage`: `status`, `beneficiary`, `payor`).
    Coverage {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<super::Contained<'a>>,
        /// 記号, 番号 and 枝番 stand here, see [`crate::jp_core::extension`].
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        status: Text<'a>,
        r#type: CodeableConcept<'a>,
        policy_holder: Reference<'a>,
        subscriber: Reference<'a>,
        subscriber_id: Text<'a>,
        beneficiary: Reference<'a>,
        dependent: Text<'a>,
        relationship: CodeableConcept<'a>,
        period: Period<'a>,
        payor: Vec<Reference<'a>>,
        class: Vec<CoverageClass<'a>>,
        order: Option<u32>,
        cost_to_beneficiary: Vec<CoverageCost<'a>>,
    }
}

element! {
    /// A further classification of a cover.
    CoverageClass {
        r#type: CodeableConcept<'a>,
        value: Text<'a>,
        name: Text<'a>,
    }
}

element! {
    /// The share the patient pays.
    CoverageCost {
        r#type: CodeableConcept<'a>,
        value_quantity: Quantity<'a>,
    }
}

resource! {
    /// A facility, insurer or department (JP Core 1.2.0 `JP_Organization`).
    Organization {
        id: Text<'a>,
        meta: Meta<'a>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        active: Option<bool>,
        r#type: Vec<CodeableConcept<'a>>,
        name: Text<'a>,
        alias: Vec<Text<'a>>,
        telecom: Vec<ContactPoint<'a>>,
        address: Vec<Address<'a>>,
        part_of: Reference<'a>,
    }
}

resource! {
    /// A professional (JP Core 1.2.0 `JP_Practitioner`); inside orders usually contained.
    Practitioner {
        id: Text<'a>,
        meta: Meta<'a>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        active: Option<bool>,
        name: Vec<HumanName<'a>>,
        telecom: Vec<ContactPoint<'a>>,
        address: Vec<Address<'a>>,
        gender: Text<'a>,
        birth_date: Text<'a>,
        qualification: Vec<PractitionerQualification<'a>>,
    }
}

element! {
    /// A licence of a professional.
    PractitionerQualification {
        identifier: Vec<Identifier<'a>>,
        code: CodeableConcept<'a>,
        period: Period<'a>,
        issuer: Reference<'a>,
    }
}
