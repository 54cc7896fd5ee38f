//! What the fuzz targets do with their bytes, and the invariants they check. `tests/fuzz_smoke.rs`
//! drives the same functions with mutated seeds, so that they run on every `cargo test`.

#![allow(
    dead_code,
    reason = "each fuzz target includes this file and uses one function"
)]

use renkei_hl7v2::build::{AckCode, ErrDetail, ErrorCode, ack as build_ack};
use renkei_hl7v2::charset::{Charset, decode as decode_bytes, strip_framing};
use renkei_hl7v2::datatypes::{Cq, Cwe, Cx, Ei, Hd, Pl, Rpt, Ts, Xad, Xcn, Xpn, Xtn};
use renkei_hl7v2::escape::{escape, unescape};
use renkei_hl7v2::{Component, Field, Message, Segment, kana, peek, split_messages};

/// Decoding: findings lie inside the text, decoding is repeatable, plain ASCII is untouched.
pub(crate) fn decode(data: &[u8]) {
    let decoded = decode_bytes(data);
    for finding in &decoded.findings {
        assert!(
            decoded.text.is_char_boundary(finding.offset),
            "a finding between characters"
        );
    }
    assert!(decoded.findings.is_sorted_by_key(|finding| finding.offset));
    let again = decode_bytes(data);
    assert_eq!(
        (&again.text, &again.findings),
        (&decoded.text, &decoded.findings)
    );
    if decoded.charset == Charset::Ascii {
        assert_eq!(decoded.text.as_bytes(), strip_framing(data));
    }
    // What was decoded can be sent on as UTF-8 and reads the same.
    let resent = decode_bytes(decoded.text.as_bytes());
    if resent.charset == Charset::Utf8
        && strip_framing(decoded.text.as_bytes()).len() == decoded.text.len()
    {
        assert_eq!(resent.text, decoded.text);
    }
    let _ = kana::search_key(&decoded.text);
}

/// Everything between bytes and data types, on every message of the input.
pub(crate) fn parse(data: &[u8]) {
    let decoded = decode_bytes(data);
    let whole = Message::parse(&decoded.text);
    if let Ok(message) = &whole {
        walk(message);
    }
    for part in split_messages(&decoded.text) {
        match Message::parse(part) {
            Ok(message) => {
                for (_, offset) in decoded.findings_in(part) {
                    let _ = message.locate(offset).map(|at| at.to_string());
                }
                walk(&message);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Whatever comes in, the answer is a readable message with the same control id.
pub(crate) fn ack(data: &[u8]) {
    let peeked = peek(data);
    let error = ErrDetail {
        code: ErrorCode::RequiredFieldMissing,
        location: None,
        text: String::from_utf8_lossy(data).into_owned(),
    };
    let answer = build_ack(&peeked, AckCode::AE, Some(&error), "1", "20250111113000");
    let decoded = decode_bytes(&answer);
    assert_eq!(split_messages(&decoded.text).len(), 1, "one answer");
    let message = Message::parse(&decoded.text).expect("an answer is readable");
    let names: Vec<_> = message.segments().map(Segment::name).collect();
    assert_eq!(names, ["MSH", "MSA", "ERR"]);
    if peeked.control_id.is_ascii() {
        let echoed = message
            .first("MSA")
            .map(|msa| msa.field(2).text().into_owned());
        assert_eq!(echoed.as_deref(), Some(peeked.control_id.as_str()));
    }
}

fn walk(message: &Message<'_>) {
    let delimiters = message.delimiters();
    for segment in message.segments().take(200) {
        let mut rebuilt = segment.name().to_owned();
        for (number, field) in segment.fields() {
            let is_own_separator = number == 1 && matches!(segment.name(), "MSH" | "BHS" | "FHS");
            if !is_own_separator {
                rebuilt.push(delimiters.field());
                rebuilt.push_str(field.raw());
            }
            walk_field(field);
        }
        assert_eq!(rebuilt, segment.raw(), "fields rebuild their segment");
        assert!(segment.field(segment.field_count() + 1).is_empty());
        let _ = segment.at(usize::MAX).to_string();
        let escaped = escape(segment.raw(), &delimiters);
        assert_eq!(unescape(&escaped, &delimiters), segment.raw());
    }
    for offset in 0..message.text().len().min(4096) {
        let _ = message.locate(offset).map(|at| at.to_string());
    }
    let _ = message.message_type();
}

fn walk_field(field: Field<'_>) {
    let _ = (
        field.text(),
        field.full_text(),
        field.is_null(),
        field.component(usize::MAX),
    );
    if let Ok(Some(ts)) = Ts::from_field(field) {
        assert!(ts.fhir_date_time("+09:00").starts_with(&ts.fhir_date()));
    }
    Cx::all(field).for_each(|one| drop(one.id()));
    Cwe::all(field).for_each(|one| assert!(one.display().len() <= field.raw().len() * 4));
    Xpn::all(field).for_each(|one| drop(one.text()));
    Xad::all(field).for_each(|one| drop(one.text()));
    Xtn::all(field).for_each(|one| drop(one.number()));
    Xcn::all(field).for_each(|one| drop(one.text()));
    for repetition in field.repetitions() {
        let _ = (
            Xpn::new(repetition).text(),
            Xad::new(repetition).postal_digits(),
        );
        let _ = (
            Pl::new(repetition).is_empty(),
            Cq::new(repetition),
            Rpt::new(repetition),
        );
        let _ = (
            Ei::new(repetition).namespace(),
            Hd::new(repetition).is_empty(),
        );
        for component in repetition.components() {
            walk_component(component);
        }
    }
}

fn walk_component(component: Component<'_>) {
    let _ = (
        component.text(),
        component.subcomponent(0),
        Ts::from_component(component),
    );
    let _ = component
        .subcomponents()
        .map(|part| part.text().len())
        .sum::<usize>();
}
