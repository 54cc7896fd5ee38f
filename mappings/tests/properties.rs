//! What must hold for every case and for any bytes.

use std::collections::HashSet;

use proptest::prelude::*;
use renkei_core::draft::STAY_TOKEN;
use renkei_core::{Draft, MapError};
use renkei_mappings::{NAMES, ProblemList, bundle};
use serde_json::Value;

use crate::cases::{self, Found};

fn as_text(result: &Result<Draft, MapError>) -> String {
    match result {
        Ok(draft) => serde_json::to_string(draft).unwrap(),
        Err(error) => error.to_string(),
    }
}

fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("reference").and_then(Value::as_str) {
                found.push(reference);
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}

/// Bodies are JSON under their own id, and a bundle of them has no reference that leads nowhere.
fn check(found: &Found, draft: &Draft) {
    for resource in &draft.resources {
        let body: Value = serde_json::from_str(resource.body.expose()).unwrap();
        assert_eq!(body["id"], resource.key.logical_id(), "{}", found.name);
        assert_eq!(
            body["resourceType"],
            resource.key.kind.as_str(),
            "{}",
            found.name
        );
        assert!(
            !resource.key.is_unresolved_stay() || draft.stay.is_some(),
            "{}: no hint for the stay",
            found.name
        );
    }
    let message = found.message(found.input.clone());
    let text = bundle::collection_bundle(message.received_at, draft);
    assert!(!text.contains(STAY_TOKEN), "{}", found.name);
    let bundle: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(bundle["type"], "collection");
    let none = Vec::new();
    let entries = bundle["entry"].as_array().unwrap_or(&none);
    let mut known = HashSet::new();
    for entry in entries {
        let resource = &entry["resource"];
        let reference = format!(
            "{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        assert!(
            entry["fullUrl"].as_str().unwrap().ends_with(&reference),
            "{}",
            found.name
        );
        assert!(
            known.insert(reference),
            "{}: one resource twice",
            found.name
        );
    }
    for entry in entries {
        let mut all = Vec::new();
        references(&entry["resource"], &mut all);
        for reference in all
            .into_iter()
            .filter(|reference| !reference.starts_with('#'))
        {
            assert!(
                known.contains(reference),
                "{}: a reference leads nowhere",
                found.name
            );
        }
    }
}

#[test]
fn every_case_is_sound_and_mapped_the_same_twice() {
    for found in cases::all() {
        let first = found.map();
        assert_eq!(as_text(&first), as_text(&found.map()), "{}", found.name);
        if let Ok(draft) = &first {
            check(&found, draft);
        }
    }
}

#[test]
fn findings_and_unread_places_hold_no_patient_data() {
    for found in cases::all() {
        let Ok(draft) = found.map() else {
            continue;
        };
        for finding in &draft.findings {
            for text in [&finding.at, &finding.text] {
                assert!(
                    text.is_ascii() && !text.contains("00002000"),
                    "{}: {}",
                    found.name,
                    finding.code
                );
            }
        }
    }
}

#[test]
fn decimals_stay_as_they_were_written() {
    let found = cases::all()
        .into_iter()
        .find(|found| found.name == "people/whole")
        .unwrap();
    let draft = found.map().unwrap();
    let bodies: String = draft
        .resources
        .iter()
        .map(|resource| resource.body.expose().as_str())
        .collect();
    assert!(bodies.contains(r#""value":150.20,"#) && bodies.contains(r#""value":48.0,"#));
}

#[test]
fn a_mapper_names_its_configuration() {
    for name in NAMES {
        let auto = cases::mapper(name, ProblemList::Auto).id();
        let merge = cases::mapper(name, ProblemList::Merge).id();
        assert_eq!(auto.name, *name);
        assert_eq!(auto, cases::mapper(name, ProblemList::Auto).id());
        assert_ne!(auto.config, merge.config);
    }
}

/// One change to the bytes of a case.
#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let delimiters = prop::sample::select(vec![
        b'|', b'^', b'~', b'\\', b'&', b'\r', 0x1b, b'"', b'_', 0xff, b'0',
    ]);
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), prop_oneof![delimiters, any::<u8>()]).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), prop::collection::vec(any::<u8>(), 1..6))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), 1..40_usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (at(), 1..60_usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Set(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        Mutation::Insert(at, inserted) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, inserted);
        }
        Mutation::Remove(at, count) => {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Mutation::Repeat(at, count) => {
            let at = at.index(bytes.len());
            let part = bytes[at..(at + count).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mapper_panics_on_damaged_messages(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..12),
    ) {
        thread_local! { static CASES: Vec<Found> = cases::all(); }
        CASES.with(|cases| {
            let found = which.get(cases);
            let mut bytes = found.input.clone();
            for mutation in mutations {
                mutate(&mut bytes, mutation);
            }
            for name in NAMES {
                let mapper = cases::mapper(name, ProblemList::Auto);
                let message = found.message(bytes.clone());
                let first = mapper.map(&message);
                assert_eq!(as_text(&first), as_text(&mapper.map(&message)));
                if let Ok(draft) = &first {
                    check(found, draft);
                }
            }
        });
    }

    #[test]
    fn no_mapper_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), path in "\\PC{0,60}") {
        let found = cases::all().into_iter().next().unwrap();
        for name in NAMES {
            let mut message = found.message(bytes.clone());
            message.meta.path = Some(path.clone());
            let _ = mapper_result(name, &message);
        }
    }
}

fn mapper_result(name: &str, message: &renkei_core::Message) -> Result<Draft, MapError> {
    cases::mapper(name, ProblemList::Auto).map(message)
}
