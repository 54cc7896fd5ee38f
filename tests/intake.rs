//! The gate: of people who are not enrolled nothing is kept, and of those who are nothing is said aloud.

use std::collections::HashSet;
use std::path::Path;

use renkei_hl7v2::{Charset, encode::encode};
use renkei_sim::hospital::{LabReport, LabRow, MllpClient, Person, Sex, What};

use crate::harness::{TestHub, put, until};
use crate::hub::Config;
use crate::people::{Told, ago, message, register};
use crate::stores::{On, on_each_store};

/// A name that stands nowhere else: whoever finds it in a log has found a leak.
const CANARY: (&str, &str) = ("鶸", "カナリヤマ");

/// People with names of their own, so that each can be searched for.
fn people(count: u64) -> Vec<Person> {
    let first: Vec<char> = "鮎鯉鮫鯨鰯鱒鰹鱈鯖鰻鷹鷲鳩鶴鷺鴨雁鶉鵜鴎".chars().collect();
    let second: Vec<char> = "梓楓椛榎橘檜桐柊椿榊".chars().collect();
    let kana: Vec<char> = "アイウエオカキクケコサシスセソ".chars().collect();
    let syllables = |first: &str, mut number: u64| -> String {
        let mut name = String::from(first);
        for _ in 0..4 {
            name.push(kana[usize::try_from(number % 15).unwrap()]);
            number /= 15;
        }
        name
    };
    (0..count)
        .map(|number| {
            let mut person = Person::synthetic(number);
            let at = usize::try_from(number).unwrap();
            person.local_id = format!("77{:08}", 31_415_927 + number * 7);
            person.family = format!("{}{}", first[at % 20], second[at / 20]);
            person.given = format!("{}{}", second[at % 10], first[at / 10]);
            person.kana_family = syllables("ヴ", number * 37 + 11);
            person.kana_given = syllables("ヂ", number * 41 + 5000);
            person.phone = format!("03-5555-{:04}", 3000 + number);
            person.sex = if number % 2 == 0 {
                Sex::Female
            } else {
                Sex::Male
            };
            person.insurance[0].number = format!("{:08}", 66_000_000 + number * 13);
            person
        })
        .collect()
}

/// Every way a person can be found in bytes.
fn traces(person: &Person) -> Vec<Vec<u8>> {
    let mut traces = vec![
        person.local_id.clone().into_bytes(),
        person.phone.clone().into_bytes(),
        person.insurance[0].number.clone().into_bytes(),
    ];
    let words = [
        &person.family,
        &person.given,
        &person.kana_family,
        &person.kana_given,
    ];
    for word in words {
        traces.push(word.clone().into_bytes());
        // With its escapes: the bare pairs of two kanji are four letters of ASCII.
        traces.push(encode(word, Charset::Iso2022Jp).bytes);
    }
    traces
}

/// Everything that lies below a folder, and every body in the ledger, unpacked: of messages and of resources.
async fn everything(hub: &TestHub) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    files(&hub.folders.data(), &mut found);
    for entry in std::fs::read_dir(hub.folders.root.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            files(&path, &mut found);
        }
    }
    let messages = "SELECT body FROM message WHERE body IS NOT NULL";
    for packed in hub.office.blobs(messages).await {
        let body = renkei::store::unpack(&packed).unwrap().to_vec();
        found.push(("a stored message".to_owned(), body));
    }
    for packed in hub.office.blobs("SELECT body FROM version").await {
        let text = renkei::store::unpack_text(&packed).unwrap();
        found.push(("a stored resource".to_owned(), text.into_bytes()));
    }
    let rows = hub.office.all_rows().await;
    found.extend(
        rows.into_iter()
            .map(|(table, row)| (table, row.into_bytes())),
    );
    found
}

fn files(path: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), found);
        }
    } else {
        found.push((path.display().to_string(), std::fs::read(path).unwrap()));
    }
}

fn leaks(found: &[(String, Vec<u8>)], people: &[Person]) -> Vec<String> {
    let mut leaks = Vec::new();
    for person in people {
        for trace in traces(person) {
            let finder = memchr::memmem::Finder::new(&trace);
            for (place, bytes) in found {
                if finder.find(bytes).is_some() {
                    leaks.push(format!("{place}: {:?}", String::from_utf8_lossy(&trace)));
                }
            }
        }
    }
    leaks
}

fn what_is_said(person: &Person) -> Vec<renkei_sim::hospital::Event> {
    let mut told = Told::admitted(person, 300);
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
    let mut events = vec![register(person, 301), told.admit()];
    events.push(told.step(190, What::Results(report)).order(7));
    let discharge = told.discharge(10, "01");
    events.push(discharge);
    events
}

async fn of_people_who_are_not_enrolled_nothing_is_kept(on: On) {
    let all = people(200);
    let (enrolled, others) = all.split_at(20);
    let config = Config {
        log: "trace",
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(enrolled, config).await;
    let mut client = MllpClient::new(hub.hub.mllp());
    for (number, person) in all.iter().enumerate() {
        for (step, event) in what_is_said(person).iter().enumerate() {
            let control = format!("G{number}-{step}");
            let built = message(event, &control);
            assert!(client.send(&built.bytes).await.unwrap().is_accepted());
            put(
                &hub.folders.path("standard"),
                &hub.folders.path("extended"),
                event,
                &control,
            );
        }
    }
    let ended = "SELECT count(*) FROM outcome JOIN message USING (position) WHERE source IN ('hospital', 'storage')";
    until("the enrolled are processed", async || {
        hub.office.number(ended).await == 20 * 4 * 2
    })
    .await;
    hub.idle().await;
    let found = everything(&hub).await;
    let leaked = leaks(&found, others);
    assert!(
        leaked.is_empty(),
        "{} leaks, such as {:?}",
        leaked.len(),
        &leaked[..leaked.len().min(5)]
    );
    // The search itself finds what is there.
    let known: HashSet<String> = leaks(&found, &enrolled[..1]).into_iter().collect();
    assert!(known.len() >= 10, "{known:?}");
    assert_eq!(hub.office.number("SELECT count(*) FROM record").await, 20);
    until("those turned away are counted", async || {
        hub.office
            .number("SELECT value FROM counter WHERE name = 'intake.not_enrolled'")
            .await
            >= 180 * 4
    })
    .await;

    // Enrolled later: the storage is read from its beginning, and what is old is nobody's news.
    let effects = hub.district.effects().await;
    hub.office.admit(&others[..1]).await;
    until("the storage is read again", async || {
        hub.office.number(ended).await == 21 * 4 * 2 - 4
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.office.number("SELECT count(*) FROM record").await, 21);
    assert_eq!(hub.district.effects().await, effects);
    let leaked = leaks(&everything(&hub).await, &others[1..]);
    assert!(leaked.is_empty(), "{leaked:?}");
    // Over the line it is known from now on.
    let detail = hub.process(&register(&others[0], 5)).await;
    assert_eq!(detail.message.state, renkei::world::MessageState::Processed);
}

async fn no_log_names_a_patient(on: On) {
    let mut canary = people(3);
    for person in &mut canary {
        (person.family, person.kana_family) = (CANARY.0.to_owned(), CANARY.1.to_owned());
    }
    let config = Config {
        log: "trace",
        sheet: true,
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(&canary, config).await;
    hub.district
        .mcs
        .doors
        .faults(serde_json::json!({"status": 500, "next": 6}))
        .await;
    for person in &canary {
        for event in what_is_said(person) {
            hub.store(&event);
            hub.process(&event).await;
        }
    }
    hub.send_bytes(format!("PID|||{}||{}\r", canary[0].local_id, CANARY.0).as_bytes())
        .await;
    hub.idle().await;
    assert_eq!(hub.hub.terminate().await.code(), Some(0));
    let log = hub.hub.log_text();
    assert!(log.lines().count() > 100, "trace says a lot");
    let mut named = Vec::new();
    for person in &canary {
        for trace in traces(person) {
            if memchr::memmem::find(log.as_bytes(), &trace).is_some() {
                named.push(String::from_utf8_lossy(&trace).into_owned());
            }
        }
    }
    assert!(named.is_empty(), "{named:?}");
}

on_each_store! {
    of_people_who_are_not_enrolled_nothing_is_kept,
    no_log_names_a_patient,
}
