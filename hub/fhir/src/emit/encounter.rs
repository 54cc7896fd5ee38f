//! Stays and visits: Encounter.

use super::{
    CodeableConcept, Coding, Contained, Extension, Identifier, Meta, Period, Quantity, Reference,
    Text, element, resource,
};

resource! {
    /// A stay, visit or home visit (JP Core 1.2.0 `JP_Encounter`: `status`, `class`).
    Encounter {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        /// Planned begin and end stand here, see [`crate::jp_core::extension::PLANNED_START`].
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        status: Text<'a>,
        /// v3-ActCode: `IMP` stay, `AMB` visit, `HH` home visit, `EMER`, `VR`.
        class: Coding<'a>,
        r#type: Vec<CodeableConcept<'a>>,
        service_type: CodeableConcept<'a>,
        subject: Reference<'a>,
        based_on: Vec<Reference<'a>>,
        participant: Vec<EncounterParticipant<'a>>,
        period: Period<'a>,
        length: Quantity<'a>,
        reason_code: Vec<CodeableConcept<'a>>,
        diagnosis: Vec<EncounterDiagnosis<'a>>,
        hospitalization: EncounterHospitalization<'a>,
        location: Vec<EncounterLocation<'a>>,
        service_provider: Reference<'a>,
        part_of: Reference<'a>,
    }
}

element! {
    /// A professional taking part.
    EncounterParticipant {
        r#type: Vec<CodeableConcept<'a>>,
        period: Period<'a>,
        individual: Reference<'a>,
    }
}

element! {
    /// A diagnosis of the stay.
    EncounterDiagnosis {
        condition: Reference<'a>,
        r#use: CodeableConcept<'a>,
        rank: Option<u32>,
    }
}

element! {
    /// Where the patient came from and went to.
    EncounterHospitalization {
        origin: Reference<'a>,
        admit_source: CodeableConcept<'a>,
        destination: Reference<'a>,
        discharge_disposition: CodeableConcept<'a>,
    }
}

element! {
    /// A ward, room and bed, or an outpatient department.
    EncounterLocation {
        location: Reference<'a>,
        /// `planned`, `active`, `reserved` or `completed`.
        status: Text<'a>,
        physical_type: CodeableConcept<'a>,
        period: Period<'a>,
    }
}
