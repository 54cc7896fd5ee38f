//! From a message of a stream to messages for the inbox. Pure.
//!
//! A message is known again by its `Nats-Msg-Id`; without one, by the control id (MSH-10) of what it
//! holds, and without that, by its place in the stream. HL7 v2 is looked at as every source looks at
//! it. Of a FHIR Bundle only the numbers of its patients are looked at, for the intake gate.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use renkei_core::{Code, FacilityId, LocalId, Meta, NewMessage, SourceName, limits};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::config;
use crate::{local_id, split};

/// A message as the server gave it out.
pub(super) struct Arrived<'a> {
    pub(super) subject: &'a str,
    pub(super) headers: Option<&'a HeaderMap>,
    pub(super) payload: &'a Bytes,
    pub(super) stream_sequence: u64,
}

/// What it is for the inbox, in order; `None` when no facility is configured for its subject.
pub(super) fn messages(
    source: &SourceName,
    config: &config::Source,
    arrived: &Arrived<'_>,
) -> Option<Vec<NewMessage>> {
    let facility = config.facility_of(arrived.subject)?;
    let message = |key: &Key, body: Bytes, subject: Option<LocalId>, refused| NewMessage {
        source: source.clone(),
        facility: facility.clone(),
        dedup_key: key.0.clone(),
        ordering_key: subject
            .as_ref()
            .map_or_else(String::new, |id| id.expose().to_owned()),
        barrier: renkei_hl7v2::peek(&body).message_type.moves_identity(),
        subject,
        body,
        meta: Meta {
            peer: Some(config.stream.clone()),
            ..Meta::default()
        },
        refused,
    };
    let payload = arrived.payload;
    if payload.len() > config.max_message_bytes {
        let start = payload.slice(..payload.len().min(limits::KEPT_OF_GIANT));
        let peek = renkei_hl7v2::peek(&start);
        let key = Key::of(config, arrived, &peek.control_id);
        let subject = config.local_id.apply(&peek.patient_id);
        let refused = Some(Code::HL7_FRAME_TOO_LARGE);
        return Some(vec![message(&key, start, subject, refused)]);
    }
    if is_json(payload) {
        let key = Key::of(config, arrived, "");
        let patient = bundle_patient(payload, facility, config.local_id);
        let (subject, refused) = match patient {
            Ok(subject) => (subject, None),
            Err(code) => (None, Some(code)),
        };
        return Some(vec![message(&key, payload.clone(), subject, refused)]);
    }
    let bodies = split::split(payload).bodies;
    if bodies.is_empty() {
        let key = Key::of(config, arrived, "");
        let refused = Some(Code::HL7_NO_MSH);
        return Some(vec![message(&key, payload.clone(), None, refused)]);
    }
    let several = bodies.len() > 1;
    let part = |(at, body): (usize, Bytes)| {
        let peek = renkei_hl7v2::peek(&body);
        let key = Key::of(config, arrived, &peek.control_id);
        let key = if several { key.part(at + 1) } else { key };
        let refused = (!peek.has_header).then_some(Code::HL7_NO_MSH);
        let subject = config.local_id.apply(&peek.patient_id);
        message(&key, body, subject, refused)
    };
    Some(bodies.into_iter().enumerate().map(part).collect())
}

/// By what a repetition is recognised, beside the bytes.
struct Key(String);

impl Key {
    fn of(config: &config::Source, arrived: &Arrived<'_>, control_id: &str) -> Self {
        let given = arrived
            .headers
            .and_then(|headers| headers.get(NATS_MESSAGE_ID))
            .map(|id| id.as_str());
        let known = given.into_iter().chain([control_id]);
        let mut known = known.filter(|id| !id.is_empty());
        Self(known.next().map_or_else(
            || format!("{}#{}", config.stream, arrived.stream_sequence),
            str::to_owned,
        ))
    }

    /// One of several messages in one payload.
    fn part(self, number: usize) -> Self {
        Self(format!("{}#{number}", self.0))
    }
}

fn is_json(payload: &[u8]) -> bool {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'{')
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    resource_type: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    resource_type: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Patient {
    #[serde(default)]
    identifier: Vec<Identifier>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(default)]
    system: String,
    #[serde(default)]
    value: String,
}

/// The number that the facility gave to the Bundle's one patient (JP Core 1.2 Patient.identifier);
/// `None` when there is no patient in it.
///
/// # Errors
/// No Bundle, or a Bundle of which the gate cannot be asked: two patients, or one without a number
/// of this facility.
fn bundle_patient(
    payload: &[u8],
    facility: &FacilityId,
    spelling: local_id::Rule,
) -> Result<Option<LocalId>, Code> {
    let unreadable = |_| Code::MAP_NOT_THIS_FORMAT;
    let bundle: Bundle<'_> = serde_json::from_slice(payload).map_err(unreadable)?;
    if bundle.resource_type != "Bundle" {
        return Err(Code::MAP_NOT_THIS_FORMAT);
    }
    let system = renkei_fhir::jp_core::identifier::patient(facility.as_str());
    let mut found: Option<LocalId> = None;
    for resource in bundle.entry.iter().filter_map(|entry| entry.resource) {
        let kind: Kind<'_> = serde_json::from_str(resource.get()).map_err(unreadable)?;
        if kind.resource_type != "Patient" {
            continue;
        }
        let patient: Patient = serde_json::from_str(resource.get()).map_err(unreadable)?;
        let own = patient
            .identifier
            .iter()
            .find(|identifier| identifier.system == system)
            .and_then(|identifier| spelling.apply(&identifier.value))
            .ok_or(Code::MAP_NO_PATIENT)?;
        match &found {
            Some(other) if *other != own => return Err(Code::MAP_NO_PATIENT),
            _ => found = Some(own),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::Connection;
    use crate::jetstream::config::FacilityByToken;

    const FACILITY: &str = "1311234567";

    fn config() -> config::Source {
        let connection = Connection::new("nats://127.0.0.1:4222");
        config::Source::new(connection, "HIS", FacilityId::new(FACILITY).unwrap())
    }

    fn taken(config: &config::Source, id: Option<&str>, payload: &str) -> Vec<NewMessage> {
        let mut headers = HeaderMap::new();
        if let Some(id) = id {
            headers.insert(NATS_MESSAGE_ID, id);
        }
        let arrived = Arrived {
            subject: "his.KAKU.adt",
            headers: Some(&headers),
            payload: &Bytes::from(payload.to_owned()),
            stream_sequence: 7,
        };
        messages(&SourceName::new("his"), config, &arrived).unwrap_or_default()
    }

    fn hl7(control_id: &str, patient: &str) -> String {
        format!("MSH|^~\\&|A|KAKU|||20250131||ADT^A08|{control_id}|P|2.5\rPID|1||{patient}\r")
    }

    fn bundle(patients: &[(&str, &str)]) -> String {
        let entries: Vec<String> = patients
            .iter()
            .map(|(system, value)| {
                format!(
                    r#"{{"resource":{{"resourceType":"Patient","identifier":[{{"system":"{system}","value":"{value}"}}]}}}}"#
                )
            })
            .collect();
        format!(
            r#" {{"resourceType":"Bundle","identifier":{{"value":"x"}},"entry":[{{"resource":{{"resourceType":"Composition","identifier":{{"value":"y"}}}}}},{}]}}"#,
            entries.join(",")
        )
    }

    #[test]
    fn a_message_is_known_by_its_id_then_its_control_id_then_its_place() {
        let key = |id, payload: &str| taken(&config(), id, payload)[0].dedup_key.clone();
        assert_eq!(key(Some("m-1"), &hl7("C1", "12")), "m-1");
        assert_eq!(key(None, &hl7("C1", "12")), "C1");
        assert_eq!(key(None, &hl7("", "12")), "HIS#7");
        assert_eq!(key(Some(""), "{}"), "HIS#7");
    }

    #[test]
    fn the_patient_of_a_message_orders_and_gates_it() {
        let mut config = config();
        config.local_id = local_id::Rule { pad_to: Some(6) };
        let one = &taken(&config, None, &hl7("C1", "12"))[0];
        assert_eq!(one.ordering_key, "000012");
        assert_eq!(one.subject, Some(LocalId::new("000012")));
        assert_eq!(one.refused, None);
        let two = taken(&config, Some("m"), &(hl7("C1", "12") + &hl7("C2", "13")));
        let keys: Vec<_> = two.iter().map(|one| one.dedup_key.as_str()).collect();
        assert_eq!(keys, ["m#1", "m#2"]);
    }

    #[test]
    fn the_patient_of_a_bundle_is_the_one_this_facility_numbered() {
        let own = format!("urn:oid:1.2.392.100495.20.3.51.1{FACILITY}");
        let one = |patients: &[(&str, &str)]| {
            let taken = taken(&config(), None, &bundle(patients));
            (taken[0].subject.clone(), taken[0].refused)
        };
        let numbered = (Some(LocalId::new("12")), None);
        assert_eq!(one(&[(&own, "12")]), numbered);
        assert_eq!(one(&[(&own, "12"), (&own, "12")]), numbered);
        for unclear in [
            &[(own.as_str(), "12"), (own.as_str(), "13")][..],
            &[("urn:other", "12")],
        ] {
            assert_eq!(one(unclear), (None, Some(Code::MAP_NO_PATIENT)));
        }
        let other = taken(&config(), None, r#"{"resourceType":"Patient"}"#);
        assert_eq!(other[0].refused, Some(Code::MAP_NOT_THIS_FORMAT));
    }

    #[test]
    fn what_cannot_be_read_is_kept_refused() {
        let mut config = config();
        for text in ["", "hello", "\r\n"] {
            let taken = taken(&config, None, text);
            assert_eq!(taken.len(), 1, "{text:?}");
            assert_eq!(taken[0].refused, Some(Code::HL7_NO_MSH), "{text:?}");
        }
        config.max_message_bytes = 100_000;
        let giant = hl7("C9", "12") + &"x".repeat(100_000);
        let kept = &taken(&config, None, &giant)[0];
        assert_eq!(kept.refused, Some(Code::HL7_FRAME_TOO_LARGE));
        assert_eq!(kept.body.len(), limits::KEPT_OF_GIANT);
        assert_eq!(kept.subject, Some(LocalId::new("12")));
    }

    #[test]
    fn a_token_of_the_subject_names_the_facility() {
        let mut config = config();
        config.facility = None;
        let facility = FacilityId::new(FACILITY).unwrap();
        config.facility_by_token = Some(FacilityByToken {
            token: 2,
            table: [("KAKU".to_owned(), facility.clone())].into(),
        });
        assert!(config.check().is_empty());
        assert_eq!(taken(&config, None, &hl7("C1", "12"))[0].facility, facility);
        config.facility_by_token.as_mut().unwrap().token = 9;
        assert!(taken(&config, None, &hl7("C1", "12")).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_payload_is_taken(raw in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let payload = Bytes::from(raw);
            let arrived = Arrived { subject: "a", headers: None, payload: &payload, stream_sequence: 1 };
            let taken = messages(&SourceName::new("his"), &config(), &arrived);
            proptest::prop_assert!(taken.is_some_and(|taken| !taken.is_empty()));
        }
    }
}
