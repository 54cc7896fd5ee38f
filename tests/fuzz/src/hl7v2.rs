//! HL7 v2: what the fuzz targets do with their bytes, and the invariants they check. The package's own
//! `tests/fuzz_smoke.rs` drives the same functions with mutated seeds, so that they run on every `cargo test`.

#![allow(
    dead_code,
    reason = "the fuzz targets and the tests each use a part of it"
)]

use renkei_hl7v2::build::{AckCode, ErrDetail, ErrorCode, ack as build_ack};
use renkei_hl7v2::charset::{Charset, decode as decode_bytes, strip_framing};
use renkei_hl7v2::datatypes::{Cq, Cwe, Cx, Ei, Hd, Pl, Rpt, Ts, Xad, Xcn, Xpn, Xtn};
use renkei_hl7v2::escape::{escape, unescape};
use renkei_hl7v2::{Component, Field, Message, Segment, kana, peek, split_messages};

/// Small messages with what is odd in Japan.
pub(crate) const SEEDS: [&[u8]; 7] = [
    b"MSH|^~\\&|SIM|H|GW|R|20250111113000.000||OUL^R22^OUL_R22|V1|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
      PID|1||0000123456^^^^PI||\x1b$B;3K\\\x1b(B^\x1b$B5~;R\x1b(B^^^^^L^I~\x1b$B%d%^\x1b(J^^^^^^L^P||19390215|F\r\
      OBX|1|NM|3A015^\x1b$B%\"\x1b(B^JC10||3.1|g/dL^g/dL^ISO+|3.8-5.2|L|||F\r\x1c",
    b"\x0bMSH|^~\\&|A|||||||ADT^A08|1\nPID|||\x1b(ITO@^\x1b(B^\xD4\xCF\xC0\xDE|\x0eTO\x0f|\x1b$(D0!\x1b(B\x1b$B-!|b\n\x1c\r",
    "MSH|^~¥&|A|病院||||||ADT^A01|2|P|2.5||||||UNICODE UTF-8\r\nPID|||7||山本　京子~ﾔﾏﾓﾄ|〜−‖～－∥■〓\u{E000}\r\n".as_bytes(),
    b"MSH|^~\\&|A|||||||ADT^A01|3\rPID|||7||\x8E\x52\x96\x7B\xF0\x40\rPV1\rNTE|1||\\F\\\\S\\\\X0D\\\\M2442\\El5~\\C2842\\ \\\\.br\\ C:\\x\r",
    b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rBTS|2\rFTS|1\r",
    b"MSH$%*!@#$A%B@C*D!F!$E\rPID$1\r",
    b"MSH|^~\\&|A|||||||ACK|4\rTQ1|1||1013044400000000&x&JAMISDP01|||5^d|20250111|S140215|^^^^1660004^JPN^H^x|^PRN^PH\r",
];

/// Pieces that matter to the decoder and the tokenizer.
pub(crate) const PIECES: [&[u8]; 16] = [
    b"\x1b$B",
    b"\x1b(B",
    b"\x1b(J",
    b"\x1b(I",
    b"\x1b$(D",
    b"\x1b",
    b"\x0e",
    b"\x0f",
    b"\r",
    b"\n",
    b"|",
    b"\\",
    b"^~&",
    b"\\X1B\\",
    b"MSH|^~\\&|",
    b"\xE5\xB1",
];

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
