//! A draft as one FHIR collection Bundle, for `renkei map --bundle`, and the id of a stay put into bodies.

use std::collections::BTreeSet;

use jiff::Timestamp;
use renkei_core::draft::STAY_TOKEN;
use renkei_core::id::hash_id;
use renkei_core::{Draft, ResourceKey, ResourceType};
use renkei_fhir::emit::{Bundle, BundleEntry, Identifier, Meta, Patient, RawJson};
use renkei_fhir::jp_core::{identifier, profile};

use crate::moment::fhir_instant;

/// Puts the id of the stay where the mapper left it open (`id` and references).
pub fn resolve_stay(body: &str, id: &str) -> String {
    body.replace(STAY_TOKEN, id)
}

/// The resources of a draft as a Bundle of type `collection` made at a time, FHIR R4 JSON.
///
/// A stay gets an id made of the patient and the hint, since nothing is recorded here. References always
/// resolve within the bundle: a patient who is only referred to is added with the number alone.
pub fn collection_bundle(at: Timestamp, draft: &Draft) -> String {
    let stay_id = provisional_stay(draft);
    let mut seen = BTreeSet::new();
    let mut bodies = Vec::with_capacity(draft.resources.len() + 1);
    // Of several bodies under one key the last one holds.
    for resource in draft.resources.iter().rev() {
        if seen.insert(&resource.key) {
            let id = if resource.key.is_unresolved_stay() {
                stay_id.clone()
            } else {
                resource.key.logical_id()
            };
            let reference = format!("{}/{id}", resource.key.kind.as_str());
            bodies.push((reference, resolve_stay(resource.body.expose(), &stay_id)));
        }
    }
    bodies.reverse();
    if let Some((reference, body)) = absent_patient(draft, &bodies) {
        bodies.insert(0, (reference, body));
    }
    let entry = bodies.iter().filter_map(|(reference, body)| {
        let resource = RawJson::parse(body).ok()?;
        Some(BundleEntry {
            full_url: reference_url(reference).into(),
            resource: Some(resource),
        })
    });
    let bundle = Bundle {
        r#type: "collection".into(),
        timestamp: fhir_instant(at, jiff::tz::offset(9)).into(),
        entry: entry.collect(),
        ..Bundle::default()
    };
    bundle.to_json()
}

/// An absolute address, so that `Type/id` within the bundle resolves against it (FHIR R4 §2.36.4.1).
fn reference_url(reference: &str) -> String {
    format!("http://renkei.invalid/fhir/{reference}")
}

fn provisional_stay(draft: &Draft) -> String {
    let subject = draft.subject.as_ref();
    let facility = subject
        .map(|subject| subject.facility.as_str())
        .unwrap_or_default();
    let local_id = subject
        .map(|subject| subject.local_id.expose())
        .unwrap_or_default();
    let stay = draft.stay.as_ref();
    let number = stay
        .and_then(|stay| stay.visit_number.as_deref())
        .unwrap_or_default();
    let admitted = stay
        .and_then(|stay| stay.admitted_at.as_deref())
        .unwrap_or_default();
    hash_id(&["provisional stay", facility, local_id, number, admitted])
}

fn absent_patient(draft: &Draft, bodies: &[(String, String)]) -> Option<(String, String)> {
    let subject = draft.subject.as_ref()?;
    let key = ResourceKey::new(
        ResourceType::Patient,
        &subject.facility,
        &[subject.local_id.expose()],
    );
    let reference = key.reference();
    if bodies.is_empty() || bodies.iter().any(|(known, _)| *known == reference) {
        return None;
    }
    let patient = Patient {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::PATIENT),
        identifier: vec![Identifier::new(
            identifier::patient(subject.facility.as_str()),
            subject.local_id.expose(),
        )],
        ..Patient::default()
    };
    Some((reference, patient.to_json()))
}
