//! What the trip through `fhir-sdk` loses is named, and nothing else.

use renkei_gate::{GateError, Kind, round_trip};

fn observation(more: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o1","status":"final","code":{{"text":"アルブミン"}}{more}}}"#
    )
}

fn differences(json: &str) -> Vec<(String, Kind)> {
    let found = round_trip(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    found
        .into_iter()
        .map(|difference| (difference.path, difference.kind))
        .collect()
}

fn named(path: &str, kind: Kind) -> Vec<(String, Kind)> {
    vec![(path.to_owned(), kind)]
}

/// With `serde_json/arbitrary_precision` switched on anywhere in the build, every `value[x]` would vanish here.
#[test]
fn a_laboratory_value_survives() {
    let json = observation(r#","valueQuantity":{"value":6.8,"unit":"g/dL"}"#);
    assert_eq!(differences(&json), []);
    let spelled = observation(
        r#","valueQuantity":{"value":6.80,"unit":"g/dL"},"issued":"2025-01-11T00:00:00.000+00:00""#,
    );
    assert_eq!(differences(&spelled), []);
}

#[test]
fn unknown_elements_are_lost() {
    assert_eq!(
        differences(&observation(r#","colour":"red""#)),
        named("colour", Kind::Lost)
    );
    let deep =
        observation(r#","component":[{"code":{"text":"a"}},{"code":{"text":"b","words":1}}]"#);
    assert_eq!(
        differences(&deep),
        named("component[1].code.words", Kind::Lost)
    );
}

#[test]
fn malformed_times_are_lost() {
    let json = observation(r#","effectiveDateTime":"2026-01-01T10:00:00""#);
    assert_eq!(differences(&json), named("effectiveDateTime", Kind::Lost));
}

#[test]
fn two_forms_of_one_choice_are_doubled() {
    let json = observation(r#","valueString":"6.8","valueInteger":7"#);
    let found = differences(&json);
    assert_eq!(found.len(), 1);
    assert!(found[0].0.starts_with("value") && found[0].1 == Kind::Doubled);
}

#[test]
fn a_property_given_twice_is_doubled() {
    let json = observation(r#","issued":"2025-01-11T00:00:00Z","issued":"2025-01-12T00:00:00Z""#);
    assert_eq!(differences(&json), named("issued", Kind::Doubled));
}

#[test]
fn what_is_no_resource_is_refused_without_quoting_it() {
    assert_eq!(
        round_trip("{\n  山田"),
        Err(GateError::NotJson { line: 2, column: 3 })
    );
    for (json, place) in [
        (r#"{"resourceType":"Patient","gender":"山田"}"#, "gender"),
        (r#"{"resourceType":"山田"}"#, "resourceType"),
        (
            r#"{"resourceType":"Patient","birthDate":"山田"}"#,
            "birthDate",
        ),
        (
            r#"{"resourceType":"Patient","contact":[{"gender":"male"},{"gender":"山田"}]}"#,
            "contact[1].gender",
        ),
        (r#"{"resourceType":"Patient","name":"山田"}"#, "name"),
        (
            r#"{"resourceType":"Observation","status":"山田","code":{}}"#,
            "status",
        ),
        (r#""山田""#, ""),
        ("[]", ""),
    ] {
        let Err(error) = round_trip(json) else {
            panic!("accepted {json}")
        };
        assert!(!error.to_string().contains("山田"), "{error}");
        assert!(
            matches!(&error, GateError::NotFhir { path, .. } if path == place),
            "{error}"
        );
    }
    let missing = GateError::NotFhir {
        path: String::new(),
        reason: "missing status".to_owned(),
    };
    assert_eq!(
        round_trip(r#"{"resourceType":"Observation","code":{"text":"a"}}"#),
        Err(missing)
    );
}
