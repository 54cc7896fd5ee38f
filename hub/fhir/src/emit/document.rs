//! Documents and envelopes: DocumentReference, Provenance, Bundle, OperationOutcome, and what may be contained.

use super::{
    Attachment, CodeableConcept, Coding, Element, Extension, Identifier, Json, Medication, Meta,
    Organization, Period, Practitioner, RawJson, Reference, Specimen, Text, choice, element,
    resource,
};

/// A resource inside another one, referred to as `#id` ([`Reference::to_contained`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Contained<'a> {
    /// The mixture of an injection.
    Medication(Box<Medication<'a>>),
    /// An insurer or facility known only by name or number.
    Organization(Box<Organization<'a>>),
    /// A professional known only from an order.
    Practitioner(Box<Practitioner<'a>>),
    /// A specimen without life of its own.
    Specimen(Box<Specimen<'a>>),
    /// A resource printed before, because many hold the same one.
    Printed(RawJson<'a>),
}

impl Element for Contained<'_> {
    fn is_absent(&self) -> bool {
        match self {
            Self::Medication(resource) => resource.is_absent(),
            Self::Organization(resource) => resource.is_absent(),
            Self::Practitioner(resource) => resource.is_absent(),
            Self::Specimen(resource) => resource.is_absent(),
            Self::Printed(_) => false,
        }
    }

    fn write(&self, json: &mut Json) {
        match self {
            Self::Medication(resource) => resource.write(json),
            Self::Organization(resource) => resource.write(json),
            Self::Practitioner(resource) => resource.write(json),
            Self::Specimen(resource) => resource.write(json),
            Self::Printed(resource) => resource.write(json),
        }
    }
}

resource! {
    /// A document held as bytes: where it is, what it is (JP Core 1.2.0 only names a profile for it).
    DocumentReference {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        extension: Vec<Extension<'a>>,
        master_identifier: Identifier<'a>,
        identifier: Vec<Identifier<'a>>,
        status: Text<'a>,
        doc_status: Text<'a>,
        r#type: CodeableConcept<'a>,
        category: Vec<CodeableConcept<'a>>,
        subject: Reference<'a>,
        /// An instant: with seconds and offset.
        date: Text<'a>,
        author: Vec<Reference<'a>>,
        authenticator: Reference<'a>,
        custodian: Reference<'a>,
        relates_to: Vec<DocumentRelation<'a>>,
        description: Text<'a>,
        security_label: Vec<CodeableConcept<'a>>,
        content: Vec<DocumentContent<'a>>,
        context: DocumentContext<'a>,
    }
}

element! {
    /// An earlier or other form of a document.
    DocumentRelation {
        /// `replaces`, `transforms`, `signs` or `appends`.
        code: Text<'a>,
        target: Reference<'a>,
    }
}

element! {
    /// The bytes of a document in one format.
    DocumentContent {
        attachment: Attachment<'a>,
        format: Coding<'a>,
    }
}

element! {
    /// What a document is about.
    DocumentContext {
        encounter: Vec<Reference<'a>>,
        event: Vec<CodeableConcept<'a>>,
        period: Period<'a>,
        facility_type: CodeableConcept<'a>,
        practice_setting: CodeableConcept<'a>,
        related: Vec<Reference<'a>>,
    }
}

resource! {
    /// Which message the targets came from, and by which mapping.
    Provenance {
        id: Text<'a>,
        meta: Meta<'a>,
        extension: Vec<Extension<'a>>,
        /// Version-specific: `Observation/ID/_history/3`.
        target: Vec<Reference<'a>>,
        occurred: Option<Occurred<'a>>,
        /// An instant: with seconds and offset.
        recorded: Text<'a>,
        policy: Vec<Text<'a>>,
        reason: Vec<CodeableConcept<'a>>,
        activity: CodeableConcept<'a>,
        agent: Vec<ProvenanceAgent<'a>>,
        entity: Vec<ProvenanceEntity<'a>>,
    }
}

choice! {
    /// `Provenance.occurred[x]`.
    Occurred {
        "occurredDateTime" => DateTime(Text<'a>),
        "occurredPeriod" => Period(Period<'a>),
    }
}

element! {
    /// Who or what did it.
    ProvenanceAgent {
        r#type: CodeableConcept<'a>,
        role: Vec<CodeableConcept<'a>>,
        who: Reference<'a>,
        on_behalf_of: Reference<'a>,
    }
}

element! {
    /// What it was made from.
    ProvenanceEntity {
        extension: Vec<Extension<'a>>,
        /// `derivation`, `revision`, `quotation`, `source` or `removal`.
        role: Text<'a>,
        what: Reference<'a>,
    }
}

resource! {
    /// A list of resources in one JSON text; the entries are taken over byte for byte.
    Bundle {
        id: Text<'a>,
        meta: Meta<'a>,
        identifier: Identifier<'a>,
        r#type: Text<'a>,
        /// An instant: with seconds and offset.
        timestamp: Text<'a>,
        total: Option<u32>,
        entry: Vec<BundleEntry<'a>>,
    }
}

element! {
    /// One resource of a bundle.
    BundleEntry {
        full_url: Text<'a>,
        resource: Option<RawJson<'a>>,
    }
}

resource! {
    /// What went wrong, for FHIR clients. Texts carry no patient data.
    OperationOutcome {
        id: Text<'a>,
        meta: Meta<'a>,
        issue: Vec<OutcomeIssue<'a>>,
    }
}

element! {
    /// One problem.
    OutcomeIssue {
        /// `fatal`, `error`, `warning` or `information`.
        severity: Text<'a>,
        /// FHIR R4 `issue-type`.
        code: Text<'a>,
        details: CodeableConcept<'a>,
        diagnostics: Text<'a>,
        expression: Vec<Text<'a>>,
    }
}
