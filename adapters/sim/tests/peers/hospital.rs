//! The hospital at work: storage rules, documents, MLLP answers.

use std::path::{Path, PathBuf};

use jiff::civil::{date, datetime};
use renkei_hl7v2::build::AckCode;
use renkei_sim::hospital::{
    Config, Document, Drug, Event, Hospital, HospitalError, MllpClient, MllpError, Person,
    Prescription, Scenario, Sex, Site, Stay, VitalRow, What, build, minimal_pdf,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::free;

pub(crate) fn person() -> Person {
    let mut person = Person::synthetic(123_456);
    person.family = "松本".into();
    person.given = "京子".into();
    person.kana_family = "マツモト".into();
    person.kana_given = "キョウコ".into();
    person.birth = date(1939, 2, 15);
    person.sex = Sex::Female;
    person
}

pub(crate) fn stay() -> Stay {
    Stay::demo(datetime(2025, 1, 10, 10, 10, 0, 0))
}

fn hospital(storage: Option<&Path>, mllp: Option<std::net::SocketAddr>) -> Hospital {
    Hospital::new(Config {
        site: Site::demo(),
        storage: storage.map(|root| root.join("STD01")),
        extended: storage.map(|root| root.join("EXT01")),
        mllp,
        first_control_id: 1,
    })
}

/// Paths of all files under a folder, relative to it.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_storage_renames_what_is_changed_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut hospital = hospital(Some(dir.path()), None);
    let root = dir.path().join("STD01");
    let ordered = datetime(2025, 1, 30, 16, 0, 0, 0);
    let drugs = vec![Drug::tablet(1, "103835401", "錠剤", 7, date(2025, 1, 31))];
    let order = Prescription {
        at_discharge: true,
        ordered,
        drugs,
    };
    let event = |minute: i8, what: What| {
        Event::new(datetime(2025, 1, 30, 17, minute, 0, 0), &person(), what)
            .stay(&stay())
            .order(20001)
    };
    let folder = "000/012/0000123456/20250130/OMP-01/0000123456_20250130_OMP-01_000000000020001_";
    let first = hospital
        .perform(&event(0, What::Prescribe(order.clone())))
        .await
        .unwrap();
    assert_eq!(
        first.path.unwrap(),
        root.join(format!("{folder}20250130170000000_01_1"))
    );
    let original = std::fs::read(root.join(format!("{folder}20250130170000000_01_1"))).unwrap();
    assert_eq!(original.last(), Some(&b'\r'));
    assert!(
        original.windows(3).any(|bytes| bytes == b"\x1b$B"),
        "ISO-2022-JP"
    );
    hospital
        .perform(&event(0, What::Prescribe(order.clone())))
        .await
        .unwrap();
    let updated = [
        format!("{folder}20250130170000000_01_2"),
        format!("{folder}20250130170000001_01_1"),
    ];
    assert_eq!(tree(&root), updated);
    assert_eq!(
        std::fs::read(root.join(&updated[0])).unwrap(),
        original,
        "a renamed file keeps its text"
    );
    hospital
        .perform(&event(9, What::CancelPrescription(order)))
        .await
        .unwrap();
    let cancelled = [
        "20250130170000000_01_0",
        "20250130170000001_01_0",
        "20250130170900000_01_0",
    ];
    assert_eq!(tree(&root), cancelled.map(|rest| format!("{folder}{rest}")));
    hospital
        .perform(&Event::new(
            datetime(2025, 1, 30, 18, 0, 0, 0),
            &person(),
            What::Register,
        ))
        .await
        .unwrap();
    let demographics =
        "000/012/0000123456/-/ADT-00/0000123456_-_ADT-00_999999999999999_20250130180000000_-_1";
    assert!(root.join(demographics).exists());
    let mut odd = person();
    odd.local_id = "../etc".into();
    let refused = hospital
        .perform(&Event::new(ordered, &odd, What::Register))
        .await;
    assert!(matches!(refused, Err(HospitalError::Storage(_))));
}

#[tokio::test]
async fn documents_lie_in_the_extended_storage_and_are_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut hospital = hospital(Some(dir.path()), None);
    let root = dir.path().join("EXT01");
    let document = Document {
        title: "退院時サマリー".into(),
        loinc: ("18842-5".into(), "退院時サマリー".into()),
        number: "DS1".into(),
        files: vec![
            ("main_document.xml".into(), b"<x/>".to_vec()),
            ("summary.pdf".into(), minimal_pdf()),
        ],
        deleted: false,
    };
    let event = |minute: i8, document: Document| {
        Event::new(
            datetime(2025, 1, 31, 11, minute, 0, 0),
            &person(),
            What::Document(document),
        )
        .stay(&stay())
    };
    let kind = "^退院時サマリー^^18842-5^退院時サマリー^LN";
    let folder = |time: &str, flag: &str| {
        format!(
            "000/012/0000123456/20250131/{kind}/0000123456_20250131_{kind}_DS1_{time}_01_{flag}"
        )
    };
    let done = hospital
        .perform(&event(28, document.clone()))
        .await
        .unwrap();
    assert_eq!(
        done.path.unwrap(),
        root.join(folder("20250131112800000", "1"))
    );
    hospital
        .perform(&event(40, document.clone()))
        .await
        .unwrap();
    let (old, new) = (
        folder("20250131112800000", "2"),
        folder("20250131114000000", "1"),
    );
    let files = |folder: &str| {
        [
            format!("{folder}/main_document.xml"),
            format!("{folder}/summary.pdf"),
        ]
    };
    assert_eq!(tree(&root), [files(&old), files(&new)].concat());
    hospital
        .perform(&event(
            50,
            Document {
                deleted: true,
                ..document.clone()
            },
        ))
        .await
        .unwrap();
    assert!(tree(&root).iter().all(|path| path.contains("_0/")));
    let again = hospital
        .perform(&event(
            55,
            Document {
                deleted: true,
                number: "DS2".into(),
                ..document.clone()
            },
        ))
        .await;
    assert!(matches!(again, Err(HospitalError::Storage(_))));
    let escape = Document {
        files: vec![("../x".into(), vec![])],
        number: "DS3".into(),
        ..document
    };
    assert!(hospital.perform(&event(56, escape)).await.is_err());
    let vital = VitalRow {
        code: "9P100000000000001".into(),
        name: "体温".into(),
        value: "36.8".into(),
        unit: "Cel".into(),
    };
    let measured = Event::new(
        datetime(2025, 2, 1, 8, 0, 0, 0),
        &person(),
        What::Vitals(vec![vital]),
    );
    let done = hospital.perform(&measured).await.unwrap().path.unwrap();
    assert!(done.join("main_document.hl7").exists());
}

async fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(&[0x1C, 0x0D]) {
        bytes.push(stream.read_u8().await.ok()?);
    }
    assert_eq!(bytes[0], 0x0B);
    Some(bytes[1..bytes.len() - 2].to_vec())
}

async fn answer(stream: &mut TcpStream, message: &[u8], code: AckCode) {
    let ack = renkei_hl7v2::build::ack(
        &renkei_hl7v2::peek(message),
        code,
        None,
        "H1",
        "20250131120000",
    );
    stream
        .write_all(&[&[0x0B], &ack[..], &[0x1C, 0x0D]].concat())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_story_is_sent_in_order_and_every_answer_is_read() {
    let listener = TcpListener::bind(free()).await.unwrap();
    let peer = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut types = Vec::new();
        while let Some(message) = read_frame(&mut stream).await {
            let text = renkei_hl7v2::decode(&message).text.into_owned();
            types.push(text.split('|').nth(8).unwrap().to_owned());
            answer(
                &mut stream,
                &message,
                if types.len() == 2 {
                    AckCode::AE
                } else {
                    AckCode::AA
                },
            )
            .await;
        }
        types
    });
    let dir = tempfile::tempdir().unwrap();
    let mut hospital = hospital(Some(dir.path()), Some(peer));
    let story = Scenario::discharge_story(&Site::demo(), &person(), date(2025, 1, 10), 10001);
    let done = hospital.play(&story).await.unwrap();
    drop(hospital);
    let types = server.await.unwrap();
    assert_eq!(
        types,
        [
            "ADT^A08^ADT_A01",
            "ADT^A60^ADT_A60",
            "ADT^A01^ADT_A01",
            "PPR^ZD1^PPR_ZD1",
            "OUL^R22^OUL_R22",
            "ADT^A02^ADT_A02",
            "ADT^A16^ADT_A16",
            "RDE^O11^RDE_O11",
            "ADT^A03^ADT_A03"
        ]
    );
    let codes: Vec<_> = done
        .iter()
        .filter_map(|one| one.ack.as_ref())
        .map(|ack| (ack.code.as_str(), ack.is_accepted()))
        .collect();
    assert_eq!(codes.len(), 9);
    assert_eq!((codes[0], codes[1]), (("AA", true), ("AE", false)));
    assert!(
        done.iter()
            .filter_map(|one| one.ack.as_ref().map(|ack| (ack, one)))
            .all(|(ack, one)| ack.control_id == one.control_id)
    );
    assert_eq!(tree(&dir.path().join("STD01")).len(), 9);
    assert_eq!(tree(&dir.path().join("EXT01")).len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_an_error_and_the_next_message_connects_again() {
    let listener = TcpListener::bind(free()).await.unwrap();
    let mut client = MllpClient::new(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_frame(&mut stream).await.unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        let message = read_frame(&mut stream).await.unwrap();
        answer(&mut stream, &message, AckCode::AR).await;
        read_frame(&mut stream).await.unwrap();
        stream.write_all(b"\x0bgarbage\x1c\r").await.unwrap();
    });
    let built = build(
        &Site::demo(),
        &Event::new(datetime(2025, 1, 10, 9, 0, 0, 0), &person(), What::Register),
        "C1",
    )
    .unwrap();
    assert!(matches!(
        client.send(&built.bytes).await,
        Err(MllpError::Io(_))
    ));
    let refused = client.send(&built.bytes).await.unwrap();
    assert_eq!(
        (
            refused.code.as_str(),
            refused.control_id.as_str(),
            refused.is_accepted()
        ),
        ("AR", "C1", false)
    );
    assert!(matches!(
        client.send(&built.bytes).await,
        Err(MllpError::NotAnAck)
    ));
    server.await.unwrap();
}
