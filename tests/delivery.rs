//! What may keep a delivery from going, and how the hub ends.

use std::time::Duration;

use renkei::world::{DeliveryState, MessageState};
use renkei_core::Code;
use renkei_sim::hospital::{LabReport, LabRow, MllpClient, Person, What};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{TestHub, until};
use crate::hub::{Config, renkei};
use crate::peers::peer_ref;
use crate::people::{HOSPITAL, Told, ago, message, register};
use crate::stores::{On, on_each_store};

/// A stay whose discharge tells of a low albumin.
async fn discharged(hub: &mut TestHub, person: &Person) {
    let mut told = Told::admitted(person, 300);
    hub.process(&told.admit()).await;
    let report = LabReport {
        specimen: "000000000300001".to_owned(),
        material: ("023".to_owned(), "血清".to_owned()),
        collected: ago(200),
        panel: ("E001".to_owned(), "生化学的検査".to_owned()),
        rows: vec![LabRow::number(
            "3A015000002327101",
            "アルブミン",
            "3.1",
            "g/dL",
            "3.8-5.2",
            "L",
        )],
    };
    hub.process(&told.step(190, What::Results(report)).order(7))
        .await;
    let discharge = told.discharge(10, "01");
    hub.process(&discharge).await;
}

/// A hub that plans for MCS and sends nothing there yet.
async fn paused_at_mcs(on: &On, people: &[Person]) -> TestHub {
    TestHub::prepared(people, Config::on(on), async |office| {
        office.admit(people).await;
        office.pause("mcs", true).await;
    })
    .await
}

async fn inviting_a_helper_shortens_the_next_post(on: On) {
    let people = [Person::synthetic(30), Person::synthetic(31)];
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    discharged(&mut hub, &people[0]).await;
    let helper = json!({"user_ref": "u-helper", "display": "石田", "facility_id": "1379999996", "professions": ["helper"]});
    let invite = json!({"act": "invite", "team_id": peer_ref("mcs", &people[1]), "member": helper});
    hub.district.mcs.doors.act(invite).await;
    discharged(&mut hub, &people[1]).await;
    hub.idle().await;
    let mut texts = Vec::new();
    for person in &people {
        let posts = hub.district.mcs.doors.told_of(person).await;
        let discharge = posts
            .iter()
            .find(|post| post.headline.starts_with("【退院】"));
        texts.push(discharge.unwrap().text.clone());
    }
    assert!(texts[0].contains("検査："), "{}", texts[0]);
    assert!(!texts[1].contains("検査："), "{}", texts[1]);
    assert!(texts[1].chars().count() < texts[0].chars().count());
}

async fn a_helper_invited_between_planning_and_sending_shortens_that_post(on: On) {
    let person = Person::synthetic(32);
    let mut hub = paused_at_mcs(&on, std::slice::from_ref(&person)).await;
    hub.process(&register(&person, 301)).await;
    discharged(&mut hub, &person).await;
    until("both are planned", async || {
        hub.office
            .number("SELECT count(*) FROM delivery WHERE sink = 'mcs' AND state = 'pending'")
            .await
            == 2
    })
    .await;
    assert_eq!(hub.district.mcs.doors.count("posts").await, 0);
    let helper = json!({"user_ref": "u-helper", "display": "石田", "facility_id": "1379999996", "professions": ["helper"]});
    let invite = json!({"act": "invite", "team_id": peer_ref("mcs", &person), "member": helper});
    hub.district.mcs.doors.act(invite).await;
    hub.office.pause("mcs", false).await;
    hub.idle().await;
    let posts = hub.district.mcs.doors.told_of(&person).await;
    assert_eq!(posts.len(), 2, "{posts:#?}");
    assert!(
        posts.iter().all(|post| !post.text.contains("検査：")),
        "{posts:#?}"
    );
}

async fn a_consent_withdrawn_between_planning_and_sending_stops_it(on: On) {
    let people = [Person::synthetic(33), Person::synthetic(34)];
    let mut hub = paused_at_mcs(&on, &people).await;
    for person in &people {
        hub.process(&Told::admitted(person, 120).admit()).await;
    }
    until("both are planned", async || {
        hub.office
            .number("SELECT count(*) FROM delivery WHERE sink = 'mcs' AND state = 'pending'")
            .await
            == 2
    })
    .await;
    let today = ago(0).date().to_string();
    hub.office
        .consent(&people[..1], |row| row.withdrawn_on.clone_from(&today))
        .await;
    hub.office.pause("mcs", false).await;
    hub.idle().await;
    assert!(hub.district.mcs.doors.told_of(&people[0]).await.is_empty());
    assert_eq!(hub.district.mcs.doors.told_of(&people[1]).await.len(), 1);
}

async fn another_patients_header_and_an_archived_group_are_held(on: On) {
    let people = [
        Person::synthetic(35),
        Person::synthetic(36),
        Person::synthetic(37),
    ];
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    let mut other = crate::peers::header(&people[0]);
    other["kana"] = json!("サカモト タロウ");
    let wrong =
        json!({"act": "set_patient", "team_id": peer_ref("mcs", &people[0]), "patient": other});
    hub.district.mcs.doors.act(wrong).await;
    let archive = json!({"act": "archive", "team_id": peer_ref("mcs", &people[1])});
    hub.district.mcs.doors.act(archive).await;
    for person in &people {
        hub.process(&Told::admitted(person, 120).admit()).await;
    }
    hub.idle().await;
    let held = hub.office.codes(DeliveryState::Held).await;
    let expected =
        [Code::DLV_HEADER_DIFFERS, Code::DLV_CHANNEL_ARCHIVED].map(|code| (code.to_string(), 1));
    assert_eq!(held, expected.into());
    assert_eq!(hub.district.mcs.doors.count("posts").await, 1);
    assert_eq!(hub.district.vital_link.doors.count("posts").await, 3);
}

async fn a_sink_that_is_down_pauses_and_delays_nobody_else(on: On) {
    let people: Vec<Person> = (40..52).map(Person::synthetic).collect();
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    hub.district.mcs.doors.faults(json!({"status": 503})).await;
    for person in &people {
        hub.process(&Told::admitted(person, 120).admit()).await;
    }
    until("the others have everything", async || {
        hub.district.vital_link.doors.count("posts").await == 12
            && hub.district.ward.doors.count("effects").await == 12
    })
    .await;
    until("the sink is paused", async || {
        let waits = hub.office.codes(DeliveryState::Pending).await;
        waits.contains_key(Code::DLV_SINK_UNAVAILABLE.as_str())
    })
    .await;
    assert_eq!(hub.district.mcs.doors.count("posts").await, 0);
    assert!(hub.office.codes(DeliveryState::Dead).await.is_empty());
    hub.district.mcs.doors.faults(json!({})).await;
    hub.idle().await;
    assert_eq!(hub.district.mcs.doors.count("posts").await, 12);
}

async fn the_facility_comes_from_the_configuration(on: On) {
    let person = Person::synthetic(60);
    let config = Config {
        mllp: format!("facility_by_sender = {{ HOSP01 = \"{HOSPITAL}\" }},"),
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let detail = hub.process(&Told::admitted(&person, 120).admit()).await;
    assert_eq!(detail.message.facility.as_str(), HOSPITAL);
    // An unknown sender is turned away, and nothing is kept under anybody's name.
    let text = message(&register(&person, 100), "STRANGER")
        .text
        .replace("HOSP01", "ELSEWHERE");
    let ack = hub.send_bytes(text.as_bytes()).await;
    assert_eq!(ack.code, "AR", "{ack:?}");
    assert!(ack.text.contains(Code::INB_UNKNOWN_SENDER.as_str()) || !ack.text.is_empty());
    assert_eq!(hub.office.number("SELECT count(*) FROM message").await, 1);
}

/// Sends one frame and reads this many acknowledgment codes.
async fn exchange(hub: &TestHub, text: &str, answers: usize) -> Vec<String> {
    let mut stream = tokio::net::TcpStream::connect(hub.hub.mllp())
        .await
        .unwrap();
    stream
        .write_all(&[b"\x0b", text.as_bytes(), b"\x1c\r"].concat())
        .await
        .unwrap();
    let mut got = String::new();
    let mut codes = Vec::new();
    while codes.len() < answers {
        let mut chunk = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut chunk)).await;
        let read = read.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {codes:?}");
        got.push_str(&String::from_utf8_lossy(&chunk[..read]));
        codes = got
            .split("MSA|")
            .skip(1)
            .filter(|rest| rest.contains('\u{1c}'))
            .map(|rest| rest[..2].to_owned())
            .collect();
    }
    codes
}

async fn the_acknowledgment_modes(on: On) {
    let person = Person::synthetic(61);
    let admit = Told::admitted(&person, 120).admit();
    // MSH-15 and MSH-16 filled: enhanced mode.
    let enhanced = |control: &str, accept: &str, application: &str| {
        let text = message(&admit, control).text;
        let (msh, rest) = text.split_once('\r').unwrap();
        let mut fields: Vec<&str> = msh.split('|').collect();
        fields[14] = accept;
        fields[15] = application;
        format!("{}\r{rest}", fields.join("|"))
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    assert_eq!(exchange(&hub, &message(&admit, "A1").text, 1).await, ["AA"]);
    assert_eq!(exchange(&hub, &enhanced("A2", "AL", "NE"), 1).await, ["CA"]);
    assert_eq!(
        exchange(&hub, &enhanced("A3", "AL", "AL"), 2).await,
        ["CA", "AA"]
    );
    // Accepted is promised when it is stored, whatever happens later: this one will fail.
    let unreadable = message(&admit, "A4").text.replace("ADT^A01", "ADT^A40");
    assert_eq!(exchange(&hub, &unreadable, 1).await, ["AA"]);

    hub.config.mllp = "ack = \"processed\",".to_owned();
    hub.restart_after(async |hub| {
        hub.folders.configure(&hub.config, &hub.district);
    })
    .await;
    assert_eq!(exchange(&hub, &message(&admit, "B1").text, 1).await, ["AA"]);
    assert_eq!(hub.ended("B1").await.message.state, MessageState::Processed);
    let parked = message(&admit, "B2").text.replace("ADT^A01", "ADT^A40");
    assert_eq!(exchange(&hub, &parked, 1).await, ["AA"]);
    assert_eq!(hub.ended("B2").await.message.state, MessageState::Parked);
    assert_eq!(
        exchange(&hub, &enhanced("B3", "AL", "AL"), 2).await,
        ["CA", "AA"]
    );
}

async fn sigterm_drains_and_leaves_nothing_half_done(on: On) {
    let people: Vec<Person> = (70..90).map(Person::synthetic).collect();
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    let address = hub.hub.mllp();
    let senders: Vec<_> = people
        .iter()
        .map(|person| {
            let person = person.clone();
            tokio::spawn(async move {
                let mut client = MllpClient::new(address);
                let mut acknowledged = Vec::new();
                for round in 0.. {
                    let event = register(&person, 1000 - round);
                    let control = format!("D{}{round}", person.local_id);
                    match client.send(&message(&event, &control).bytes).await {
                        Ok(ack) if ack.is_accepted() => acknowledged.push(control),
                        _ => break,
                    }
                    if round == 900 {
                        break;
                    }
                }
                acknowledged
            })
        })
        .collect();
    until("messages come in", async || {
        hub.office.number("SELECT count(*) FROM message").await > 200
    })
    .await;
    let began = std::time::Instant::now();
    let status = hub.hub.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    let kept: std::collections::HashSet<String> = hub
        .office
        .texts("SELECT control FROM message")
        .await
        .into_iter()
        .collect();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|control| !kept.contains(*control))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost",
        lost.len(),
        acknowledged.len()
    );
    assert_eq!(
        hub.office
            .number("SELECT count(*) FROM run WHERE ended_at IS NULL")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_folder_is_refused() {
    let hub = TestHub::start(&[], Config::default()).await;
    let (code, _, complaint) =
        renkei(&["run", "--config", "renkei.toml"], hub.folders.root.path()).await;
    assert_eq!(code, 64, "{complaint}");
    assert!(complaint.contains(Code::CFG_LOCKED.as_str()), "{complaint}");
}

on_each_store! {
    inviting_a_helper_shortens_the_next_post,
    a_helper_invited_between_planning_and_sending_shortens_that_post,
    a_consent_withdrawn_between_planning_and_sending_stops_it,
    another_patients_header_and_an_archived_group_are_held,
    a_sink_that_is_down_pauses_and_delays_nobody_else,
    the_facility_comes_from_the_configuration,
    the_acknowledgment_modes,
    sigterm_drains_and_leaves_nothing_half_done,
}
