//! Bad input over the line: each piece ends as it should, names its code, and the next good message of
//! the same sender is processed.

use std::collections::BTreeSet;

use renkei::world::MessageState;
use renkei_hl7v2::{Charset, encode::encode};
use renkei_sim::hospital::Person;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::damages::advises;
use crate::harness::{TestHub, until};
use crate::hub::Config;
use crate::people::{Told, message, register};
use crate::stores::{On, on_each_store};

/// A frame limit small enough to be passed.
const LIMIT: usize = 64 * 1024;

/// One bad message and how it must end.
struct Bad {
    name: &'static str,
    bytes: Vec<u8>,
    ends: MessageState,
    code: &'static str,
}

fn pieces(person: &Person) -> Vec<Bad> {
    let text = |control: &str| message(&Told::admitted(person, 120).admit(), control).text;
    let jis = |text: &str| encode(text, Charset::Iso2022Jp).bytes;
    let change = |control: &str, part: &str, by: &str| {
        let text = text(control);
        assert!(text.contains(part), "{part} in {text}");
        jis(&text.replace(part, by))
    };
    let born = person.birth.strftime("%Y%m%d").to_string();
    let bad = |name, bytes, ends, code| Bad {
        name,
        bytes,
        ends,
        code,
    };
    use MessageState::{Failed, Parked, Processed};
    let mut undecodable = jis(&text("BAD-01"));
    let name = jis(&person.given);
    let at = undecodable
        .windows(name.len())
        .position(|bytes| bytes == name)
        .unwrap();
    // A pair that no Japanese set knows.
    undecodable[at + 3..at + 5].copy_from_slice(&[0xff, 0xfe]);
    let gaiji = change("BAD-02", &person.family, "\u{e000}");
    let mut gaiji_bytes = gaiji;
    // Row 95, beyond the standard: what a hospital's own characters are sent as.
    let mark = encode("〓", Charset::Iso2022Jp).bytes;
    if let Some(at) = gaiji_bytes
        .windows(mark.len())
        .position(|bytes| bytes == mark)
    {
        gaiji_bytes[at + 3..at + 5].copy_from_slice(&[0x7f, 0x21]);
    }
    vec![
        bad(
            "bytes of no character set in a name",
            undecodable,
            Parked,
            "RNK-CHR-007",
        ),
        bad(
            "a character of the hospital's own in a name",
            gaiji_bytes,
            Parked,
            "RNK-CHR-007",
        ),
        bad(
            "another character set than declared",
            encoding_rs::SHIFT_JIS
                .encode(&text("BAD-03"))
                .0
                .into_owned(),
            Processed,
            "RNK-CHR-001",
        ),
        bad(
            "an unknown type",
            change("BAD-04", "ADT^A01^ADT_A01", "SIU^S12^SIU_S12"),
            Processed,
            "RNK-HL7-002",
        ),
        bad(
            "a merge of identities",
            change("BAD-05", "ADT^A01^ADT_A01", "ADT^A40^ADT_A39"),
            Parked,
            "RNK-HL7-010",
        ),
        bad(
            "a birth date of an era",
            change("BAD-06", &born, "S140215"),
            Processed,
            "RNK-MAP-004",
        ),
        bad(
            "a day of no calendar",
            change("BAD-07", &born, "19390231"),
            Processed,
            "RNK-MAP-003",
        ),
        bad(
            "no MSH",
            text("BAD-08")
                .split_once('\r')
                .unwrap()
                .1
                .as_bytes()
                .to_vec(),
            Failed,
            "RNK-HL7-001",
        ),
        bad(
            "a message that stops after PID",
            text_until_pv1(&text("BAD-09")),
            Processed,
            "RNK-HL7-004",
        ),
    ]
}

fn text_until_pv1(text: &str) -> Vec<u8> {
    let cut = text.split_once("PV1|").unwrap().0;
    encode(cut, Charset::Iso2022Jp).bytes
}

/// Everything an operator is told about a message: its code and those of its findings.
async fn codes_of_all(hub: &TestHub) -> BTreeSet<String> {
    let mut codes: BTreeSet<String> = hub
        .office
        .texts("SELECT code FROM outcome WHERE code IS NOT NULL")
        .await
        .into_iter()
        .collect();
    let found = "SELECT value ->> 'code' FROM outcome, tuples(outcome.findings)";
    codes.extend(hub.office.texts(found).await);
    codes
}

async fn every_bad_message_ends_with_its_code_and_the_next_good_one_is_processed(on: On) {
    let person = Person::synthetic(90);
    let config = Config {
        mllp: format!("max_frame_bytes = {LIMIT},"),
        admit: "all",
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let mut wrong = Vec::new();
    for (number, piece) in pieces(&person).into_iter().enumerate() {
        let before = hub.office.number("SELECT count(*) FROM outcome WHERE position IN (SELECT position FROM message WHERE source = 'hospital')").await;
        let ack = hub.send_bytes(&piece.bytes).await;
        let expected = if piece.code == "RNK-HL7-001" {
            "AR"
        } else {
            "AA"
        };
        if ack.code != expected {
            wrong.push(format!("{}: {ack:?}", piece.name));
        }
        until(piece.name, async || {
            hub.office.number("SELECT count(*) FROM outcome WHERE position IN (SELECT position FROM message WHERE source = 'hospital')").await == before + 1
        })
        .await;
        let state = hub.office.texts("SELECT state || ' ' || coalesce(code, '') || ' ' || findings FROM outcome ORDER BY position DESC LIMIT 1").await;
        let ends = piece.ends.code();
        if !state[0].starts_with(ends) || !state[0].contains(piece.code) {
            wrong.push(format!("{}: {}", piece.name, state[0]));
        }
        // The lane goes on.
        let detail = hub
            .process(&register(&person, 60 - i64::try_from(number).unwrap()))
            .await;
        if detail.message.state != MessageState::Processed {
            wrong.push(format!("after {}: {:?}", piece.name, detail.message));
        }
    }
    for code in codes_of_all(&hub).await {
        advises(&code, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sends raw bytes on a connection of their own and reads until the hub closes or has answered.
async fn raw(hub: &TestHub, bytes: &[u8], close: bool) -> String {
    let mut stream = TcpStream::connect(hub.hub.mllp()).await.unwrap();
    // The hub may stop reading in the middle of a giant.
    let _sent = stream.write_all(bytes).await;
    if close {
        let _closed = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..count]);
            if answer.ends_with(b"\x1c\r") {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read)
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn cut_and_giant_frames_are_kept_as_failed(on: On) {
    let person = Person::synthetic(91);
    let config = Config {
        mllp: format!("max_frame_bytes = {LIMIT},"),
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let whole = message(&Told::admitted(&person, 120).admit(), "CUT").bytes;
    let cut = [b"\x0b", &whole[..whole.len() / 2]].concat();
    assert_eq!(
        raw(&hub, &cut, true).await,
        "",
        "who has gone is not answered"
    );
    let mut giant = [
        b"\x0b".as_slice(),
        &message(&register(&person, 100), "GIANT").bytes,
    ]
    .concat();
    giant.extend(std::iter::repeat_n(b"NTE|1||x\r".as_slice(), LIMIT / 8).flatten());
    giant.extend_from_slice(b"\x1c\r");
    let answer = raw(&hub, &giant, false).await;
    assert!(answer.contains("MSA|AR|GIANT"), "{answer}");
    until("both are kept", async || {
        hub.office
            .number("SELECT count(*) FROM outcome WHERE state = 'failed'")
            .await
            == 2
    })
    .await;
    let codes = hub
        .office
        .texts("SELECT code FROM outcome WHERE state = 'failed' ORDER BY position")
        .await;
    assert_eq!(codes, ["RNK-HL7-008", "RNK-HL7-009"]);
    let mut wrong = Vec::new();
    codes.iter().for_each(|code| advises(code, &mut wrong));
    assert!(wrong.is_empty(), "{wrong:?}");
    // Another sender, another connection: nobody is held up. And the giant's head does not grow the ledger.
    let detail = hub.process(&Told::admitted(&person, 120).admit()).await;
    assert_eq!(detail.message.state, MessageState::Processed);
    let kept = hub
        .office
        .number("SELECT max(length(body)) FROM message")
        .await;
    assert!(kept <= 64 * 1024 + 1, "{kept}");
}

async fn a_time_far_ahead_is_that_of_receipt_and_an_unknown_patient_is_dropped(on: On) {
    let people = [Person::synthetic(92), Person::synthetic(93)];
    let mut hub = TestHub::start(&people[..1], Config::on(&on)).await;
    let today = crate::people::ago(0).strftime("%Y%m%d").to_string();
    let ahead = message(&register(&people[0], 1), "AHEAD")
        .text
        .replace(&today, "21250110");
    let ack = hub
        .send_bytes(&encode(&ahead, Charset::Iso2022Jp).bytes)
        .await;
    assert_eq!(ack.code, "AA");
    let detail = hub.ended("AHEAD").await;
    assert_eq!(detail.message.state, MessageState::Processed);
    let codes: Vec<_> = detail
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert!(codes.contains(&"RNK-MAP-005"), "{codes:?}");
    // What is right comes later and is not held off by the time ahead.
    let detail = hub.process(&register(&people[0], -2)).await;
    assert!(
        detail
            .findings
            .iter()
            .all(|finding| finding.code.as_str() != "RNK-REC-001"),
        "{detail:?}"
    );

    let messages = hub.office.number("SELECT count(*) FROM message").await;
    let ack = hub
        .send_bytes(&message(&register(&people[1], 1), "NOBODY").bytes)
        .await;
    assert_eq!(ack.code, "AA");
    assert_eq!(
        hub.office.number("SELECT count(*) FROM message").await,
        messages
    );
}

on_each_store! {
    every_bad_message_ends_with_its_code_and_the_next_good_one_is_processed,
    cut_and_giant_frames_are_kept_as_failed,
    a_time_far_ahead_is_that_of_receipt_and_an_unknown_patient_is_dropped,
}
