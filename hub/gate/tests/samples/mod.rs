//! One sample of every struct renkei emits, with every field filled.
//!
//! Nothing is left to `Default` here on purpose: a field added to an emit struct must be added to its sample, or
//! this does not compile. The person and the facility are invented.

mod clinical;
mod diagnostics;
mod parts;
mod people;

use renkei_fhir::emit::*;

/// Name and JSON text of every sample.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    let mut samples = people::all();
    samples.extend(clinical::all());
    samples.extend(diagnostics::all());
    let member = parts::patient_without_extras().to_json();
    let bundle = Bundle {
        id: "bundle-1".into(),
        meta: parts::meta("http://hl7.org/fhir/StructureDefinition/Bundle"),
        identifier: parts::identifier(),
        r#type: "collection".into(),
        timestamp: "2025-01-31T11:00:00+09:00".into(),
        total: None, // bdl-1: only searches and histories count
        entry: vec![BundleEntry {
            full_url: "urn:uuid:0e8b7d4e-6a55-4c4d-9f0a-3d9f4b3c2a11".into(),
            resource: Some(RawJson::parse(&member).unwrap()),
        }],
    };
    let search = Bundle {
        r#type: "searchset".into(),
        total: Some(0),
        entry: vec![],
        ..bundle.clone()
    };
    let outcome = OperationOutcome {
        id: "outcome-1".into(),
        meta: parts::meta("http://hl7.org/fhir/StructureDefinition/OperationOutcome"),
        issue: vec![OutcomeIssue {
            severity: "error".into(),
            code: "required".into(),
            details: parts::concept(),
            diagnostics: "PID-3 is missing".into(),
            expression: vec!["Patient.identifier".into()],
        }],
    };
    samples.push(("Bundle", bundle.to_json()));
    samples.push(("Bundle (search)", search.to_json()));
    samples.push(("OperationOutcome", outcome.to_json()));
    samples
}
