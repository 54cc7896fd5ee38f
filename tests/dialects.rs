//! Peers that speak otherwise than the contract: other paths and signed calls, XML, answers that come later. The
//! hub is told so by its configuration and the dialects that come with renkei, nothing else.

use std::path::Path;

use renkei::world::DeliveryState;
use renkei_core::Code;
use renkei_sim::hospital::{Drug, Person, Prescription, What};
use serde_json::{Value, json};

use crate::harness::{TestHub, until};
use crate::hub::{Config, renkei};
use crate::peers::{Post, SIGNING_KEY, SINKS, peer_ref};
use crate::people::{Told, ago};
use crate::stores::{On, on_each_store};

fn config(on: &On) -> Config {
    Config {
        dialects: true,
        ..Config::on(on)
    }
}

/// What a peer was told of a person, further marks on what is taken back aside.
async fn told(hub: &TestHub, sink: &str, person: &Person) -> Vec<Post> {
    let posts = hub.district.sim(sink).doors.told_of(person).await;
    let own = |post: &Post| sink != "vital_link" || !post.key.contains(':');
    posts.into_iter().filter(own).collect()
}

/// Waits until every peer was told so often, and gives what.
async fn each_told(hub: &TestHub, person: &Person, count: usize) -> Vec<(&'static str, Vec<Post>)> {
    let mut all = Vec::new();
    for sink in SINKS {
        until(&format!("{sink} was told {count} times"), async || {
            told(hub, sink, person).await.len() >= count
        })
        .await;
        let posts = told(hub, sink, person).await;
        assert_eq!(posts.len(), count, "{sink}: {posts:#?}");
        all.push((sink, posts));
    }
    all
}

/// No key had two effects at any peer.
async fn nothing_twice(hub: &TestHub) {
    for sink in SINKS {
        let state = hub.district.sim(sink).doors.state().await;
        let twice: Vec<&Value> = state["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["effects"].as_u64().unwrap() > 1)
            .collect();
        assert!(twice.is_empty(), "{sink}: {twice:?}");
    }
}

async fn a_stay_reaches_peers_in_their_own_words(on: On) {
    let person = Person::synthetic(110);
    let config = Config {
        sheet: true,
        ..config(&on)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let mut stay = Told::admitted(&person, 300);
    hub.process(&stay.admit()).await;
    for (sink, posts) in each_told(&hub, &person, 1).await {
        assert!(
            posts[0].headline.starts_with("【入院】"),
            "{sink}: {posts:?}"
        );
        assert!(posts[0].text.contains('\n'), "{sink}: {posts:?}");
    }
    let drug = Drug::tablet(1, "103835401", "ムコダイン錠２５０ｍｇ", 14, ago(60).date());
    let prescription = Prescription {
        at_discharge: true,
        ordered: ago(60),
        drugs: vec![drug],
    };
    let prescribed = stay.step(60, What::Prescribe(prescription)).order(77);
    hub.process(&prescribed).await;
    hub.process(&stay.discharge(10, "06")).await;
    for (sink, posts) in each_told(&hub, &person, 2).await {
        assert!(posts[1].files >= 1, "{sink}: the sheet: {posts:?}");
    }
    stay.stay.discharged = Some((ago(10), "01".to_owned()));
    hub.process(&stay.step(8, What::Discharge).order(200)).await;
    for (sink, posts) in each_told(&hub, &person, 3).await {
        let (second, third) = (&posts[1], &posts[2]);
        assert!(third.headline.contains("【訂正】"), "{sink}: {third:?}");
        match sink {
            "vital_link" => {
                assert_eq!(third.change.as_deref(), Some("corrected"), "{third:?}");
                assert_eq!(third.before.as_ref(), Some(&second.key), "{third:?}");
            }
            _ => {
                assert_eq!(third.before.as_ref(), Some(&second.id), "{third:?}");
                assert_eq!(second.corrections, ["corrected"], "{second:?}");
            }
        }
    }
    hub.process(&stay.step(5, What::CancelDischarge).order(200))
        .await;
    for sink in SINKS {
        until(&format!("{sink} knows it is taken back"), async || {
            let posts = told(&hub, sink, &person).await;
            posts.iter().any(|post| post.headline.contains("【取消】"))
        })
        .await;
    }
    hub.idle().await;
    assert!(hub.office.codes(DeliveryState::Held).await.is_empty());
    assert!(hub.office.codes(DeliveryState::Dead).await.is_empty());
    nothing_twice(&hub).await;
    for sink in SINKS {
        let posts = told(&hub, sink, &person).await;
        let seen = json!({"act": "ack", "entry_id": posts[0].id, "user_ref": "u-nurse"});
        hub.district.sim(sink).doors.act(seen).await;
    }
    until("three 了解 came back", async || {
        hub.office.number("SELECT count(*) FROM seen").await == 3
    })
    .await;
}

async fn a_restart_while_an_answer_is_out_tells_it_once(on: On) {
    let person = Person::synthetic(111);
    let mut hub = TestHub::start(std::slice::from_ref(&person), config(&on)).await;
    let ward = hub.district.ward.doors.clone();
    ward.tickets(true).await;
    let mut stay = Told::admitted(&person, 300);
    hub.process(&stay.admit()).await;
    until("the ward has taken it over", async || {
        ward.tickets(true).await["open"] == 1
    })
    .await;
    // What comes later waits behind what has no name at the ward yet.
    hub.process(&stay.discharge(10, "01")).await;
    until("the others were told both", async || {
        hub.district.mcs.doors.count("posts").await == 2
            && hub.district.vital_link.doors.count("posts").await == 2
    })
    .await;
    hub.restart_after(async |hub| {
        assert_eq!(hub.district.ward.doors.count("posts").await, 0);
    })
    .await;
    until("it was asked for again", async || {
        let state = ward.state().await;
        let keys = state["keys"].as_array().unwrap();
        keys.iter()
            .any(|key| key["requests"].as_u64().unwrap() >= 2)
    })
    .await;
    let waiting = "SELECT count(*) FROM delivery WHERE sink = 'ward' AND state = 'pending'";
    assert_eq!(hub.office.number(waiting).await, 2);
    assert_eq!(ward.tickets(false).await["taken"], 1);
    hub.idle().await;
    let headlines: Vec<String> = told(&hub, "ward", &person)
        .await
        .into_iter()
        .map(|post| post.headline.chars().take(4).collect())
        .collect();
    assert_eq!(headlines, ["【入院】", "【退院】"]);
    assert_eq!(ward.tickets(false).await["taken"], 2);
    assert_eq!(hub.district.effects().await, 6);
    nothing_twice(&hub).await;
}

async fn what_peers_refuse_and_drop_is_understood(on: On) {
    let people: Vec<Person> = (112..116).map(Person::synthetic).collect();
    let mut hub = TestHub::start(&people, config(&on)).await;
    for (sink, person) in SINKS.into_iter().zip(&people) {
        let gone =
            json!({"act": "set_consent", "team_id": peer_ref(sink, person), "consent": false});
        hub.district.sim(sink).doors.act(gone).await;
    }
    // An answer that gets lost, a peer that is down, a peer in haste.
    for (sink, plan) in [
        ("mcs", json!({"drop": "after", "next": 2, "only": "/posts"})),
        (
            "vital_link",
            json!({"drop": "after", "next": 2, "only": "/messages"}),
        ),
        ("ward", json!({"status": 503, "next": 2, "only": "/posts"})),
    ] {
        hub.district.sim(sink).doors.faults(plan).await;
    }
    for person in &people {
        hub.process(&Told::admitted(person, 120).admit()).await;
    }
    hub.idle().await;
    let held = hub.office.codes(DeliveryState::Held).await;
    assert_eq!(held, [(Code::DLV_NOT_MEMBER.to_string(), 3)].into());
    assert!(hub.office.codes(DeliveryState::Dead).await.is_empty());
    for (sink, refused) in SINKS.into_iter().zip(&people) {
        assert_eq!(
            hub.district.sim(sink).doors.count("effects").await,
            3,
            "{sink}"
        );
        for person in &people {
            let expected = usize::from(person.local_id != refused.local_id);
            assert_eq!(told(&hub, sink, person).await.len(), expected, "{sink}");
        }
    }
    nothing_twice(&hub).await;
}

async fn a_call_signed_otherwise_is_refused_and_nothing_is_lost(on: On) {
    let person = Person::synthetic(117);
    let mut hub = TestHub::start(std::slice::from_ref(&person), config(&on)).await;
    let key = hub.folders.path("signing");
    std::fs::write(&key, "another-key").unwrap();
    hub.process(&Told::admitted(&person, 120).admit()).await;
    hub.idle().await;
    let held = hub.office.codes(DeliveryState::Held).await;
    assert_eq!(held, [(Code::DLV_CREDENTIALS.to_string(), 1)].into());
    assert_eq!(hub.district.mcs.doors.count("posts").await, 0);
    assert_eq!(hub.district.vital_link.doors.count("posts").await, 1);
    // The key is read at each sending.
    std::fs::write(&key, SIGNING_KEY).unwrap();
    assert_eq!(hub.office.release(Code::DLV_CREDENTIALS).await, 1);
    hub.idle().await;
    assert_eq!(told(&hub, "mcs", &person).await.len(), 1);
}

on_each_store! {
    a_stay_reaches_peers_in_their_own_words,
    a_restart_while_an_answer_is_out_tells_it_once,
    what_peers_refuse_and_drop_is_understood,
    a_call_signed_otherwise_is_refused_and_nothing_is_lost,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialect_is_checked_and_tested_before_anything_starts() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../adapters");
    let files = ["care.yaml", "city.yaml", "room-xml.yaml"].map(|file| format!("dialects/{file}"));
    let mut arguments = vec!["map", "check"];
    arguments.extend(files.iter().map(String::as_str));
    let (code, out, complaint) = renkei(&arguments, &shipped).await;
    assert_eq!(code, 0, "{complaint}");
    assert!(out.contains("care, a dialect of sns-gateway/1"), "{out}");
    arguments[1] = "test";
    let (code, out, complaint) = renkei(&arguments, &shipped).await;
    assert_eq!(code, 0, "{complaint}");
    assert!(
        out.lines().count() >= 10 && out.lines().all(|line| line.ends_with(": ok")),
        "{out}"
    );

    let hub = TestHub::start(&[], config(&On::Sqlite)).await;
    let care = hub.folders.path("care.yaml");
    let text = std::fs::read_to_string(&care).unwrap();
    let wrong = text.replace("title: body.headline", "title: body.headlne");
    std::fs::write(&care, wrong).unwrap();
    let root = hub.folders.root.path();
    let check = ["check", "--config", "renkei.toml"];
    let (code, _, complaint) = renkei(&check, root).await;
    assert_eq!(code, 64, "{complaint}");
    assert!(complaint.contains("care.yaml:"), "{complaint}");
    assert!(
        complaint.contains("did you mean `body.headline`?"),
        "{complaint}"
    );
    // One whose own tests do not hold is not used either.
    let wrong = text.replace("body.urgency | right(1)", "body.urgency");
    std::fs::write(&care, wrong).unwrap();
    let (code, _, complaint) = renkei(&check, root).await;
    assert_eq!(code, 64, "{complaint}");
    assert!(complaint.contains(Code::MAP_TEST.as_str()), "{complaint}");
}
