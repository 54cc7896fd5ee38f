//! Against the simulated peer over real HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use renkei_core::{
    Change, Code, Delivery, PeerRef, ReceiptKind, SendError, SendOutcome, Sink, SinkName, Source,
    SystemClock, peer,
};
use renkei_sim::{Running as Sim, Seed, vital_link as sim};
use serde_json::{Value, json};

use super::{Config, build};
use crate::testing::{
    Doors, MemoryInbox, a_channel, a_delivery, a_pdf, a_post, secret_file, start,
};

const ROOM: &str = "g-yamamoto";

struct Peer {
    _sim: Sim,
    doors: Doors,
    sink: Arc<dyn Sink>,
    source: Option<Arc<dyn Source>>,
    _secret: tempfile::NamedTempFile,
}

async fn peer(name: &str) -> Peer {
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let sim = sim::start(sim::Config::new(listen, Seed::demo().unwrap()))
        .await
        .unwrap();
    let (file, reference) = secret_file("demo-secret");
    let config: Config = toml::from_str(&format!(
        "facility = '1311234567'\nuser_ref = 'renkei-hospital'\npoll_secs = 1\n\
         [connection]\nendpoint = '{}'\nclient_id = 'renkei'\nsecret = {reference}\ntimeout_ms = 500",
        sim.url()
    ))
    .unwrap();
    let (sink, source) = build(&SinkName::new(name), config, Arc::new(SystemClock), None).unwrap();
    Peer {
        doors: Doors::new(sim.url()),
        _sim: sim,
        sink,
        source,
        _secret: file,
    }
}

impl Peer {
    fn delivery(&self, version: u32) -> Delivery {
        let mut post = a_post();
        post.attachments = vec![a_pdf().reference];
        a_delivery(&*self.sink, &post, &a_channel(ROOM), version)
    }

    fn correction(&self, first: &Delivery, change: Change, version: u32) -> Delivery {
        let mut post = a_post();
        post.change = change;
        if change == Change::Corrected {
            post.attachments = vec![a_pdf().reference];
        }
        let mut delivery = a_delivery(&*self.sink, &post, &first.channel, version);
        delivery.replaces = Some(first.id.clone());
        delivery
    }

    async fn send(&self, delivery: &Delivery) -> SendOutcome {
        self.sink
            .send(std::slice::from_ref(delivery))
            .await
            .remove(0)
    }

    async fn confirmed(&self, delivery: &Delivery) -> PeerRef {
        match self.send(delivery).await {
            SendOutcome::Confirmed { peer_ref } => peer_ref,
            other => panic!("{other:?}"),
        }
    }
}

fn keys(entries: &Value, withdrawn: bool) -> Vec<String> {
    let entries = entries.as_array().unwrap().iter();
    let wanted = entries.filter(|entry| entry["withdrawn"] == withdrawn);
    wanted
        .map(|entry| entry["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_message_arrives_with_its_document() {
    let peer = peer("shinjuku").await;
    let delivery = peer.delivery(1);
    peer.confirmed(&delivery).await;
    let state = peer.doors.state().await;
    let request = &state["posts"][0]["request"];
    assert_eq!(request["title"], a_post().headline);
    assert_eq!(request["body"], a_post().text);
    assert_eq!(request["uid"], format!("{}.1", delivery.id));
    assert_eq!(
        request["documents"],
        json!([state["documents"][0]["entry_id"]])
    );
    assert_eq!(state["files"][0]["sha256"], a_pdf().reference.sha256);
}

#[tokio::test]
async fn repeats_after_lost_answers_make_one_effect_each() {
    let peer = peer("shinjuku").await;
    let delivery = peer.delivery(1);
    for only in ["/documents", "/messages"] {
        peer.doors
            .faults(json!({"drop": "after", "next": 1, "only": only}))
            .await;
        assert!(
            matches!(peer.send(&delivery).await, SendOutcome::Unknown { .. }),
            "{only}"
        );
    }
    peer.confirmed(&delivery).await;
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], 1);
    assert_eq!(state["counts"]["documents"], 1);
    assert_eq!(peer.doors.key(&format!("{}.1", delivery.id)).await, (2, 1));
}

#[tokio::test]
async fn every_answer_has_its_outcome() {
    let peer = peer("shinjuku").await;
    let delivery = peer.delivery(1);
    for (status, expected) in [
        (403, "Blocked { code: RNK-DLV-003 }"),
        (404, "Blocked { code: RNK-DLV-002 }"),
        (410, "Blocked { code: RNK-DLV-002 }"),
        (409, "Rejected { code: RNK-DLV-007"),
        (413, "Rejected { code: RNK-DLV-004"),
        (422, "Rejected { code: RNK-DLV-004"),
        (429, "Retry { after: Some(3s), unavailable: false"),
        (503, "Retry { after: Some(3s), unavailable: true"),
    ] {
        peer.doors
            .faults(json!({"status": status, "next": 1, "retry_after_secs": 3}))
            .await;
        let outcome = format!("{:?}", peer.send(&delivery).await);
        assert!(outcome.starts_with(expected), "{status}: {outcome}");
    }
    peer.confirmed(&delivery).await;
    let mut other = peer.delivery(1);
    other.payload.body = other.payload.body.replace("自宅", "施設");
    let outcome = peer.send(&other).await;
    assert!(
        matches!(
            outcome,
            SendOutcome::Rejected {
                code: Code::DLV_KEY_REUSED,
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_correction_replaces_the_newest_version_the_peer_has() {
    let peer = peer("shinjuku").await;
    let first = peer.delivery(1);
    peer.confirmed(&first).await;
    // Version 2 was never sent: version 3 replaces version 1, also when it is repeated.
    let correction = peer.correction(&first, Change::Corrected, 3);
    peer.doors
        .faults(json!({"drop": "after", "next": 1, "only": "/messages"}))
        .await;
    assert!(!matches!(
        peer.send(&correction).await,
        SendOutcome::Confirmed { .. }
    ));
    let told = peer.confirmed(&correction).await;
    assert_eq!(peer.confirmed(&correction).await, told);
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], 2);
    assert_eq!(state["counts"]["documents"], 2);
    assert_eq!(state["posts"][0]["replaced_by"], told.as_str());
    assert_eq!(state["posts"][1]["request"]["change"], "corrected");
    assert_eq!(
        state["documents"][0]["replaced_by"],
        state["documents"][1]["entry_id"]
    );
}

#[tokio::test]
async fn a_wrong_patient_is_emptied_in_every_version_and_document() {
    let peer = peer("shinjuku").await;
    let first = peer.delivery(1);
    peer.confirmed(&first).await;
    peer.confirmed(&peer.correction(&first, Change::Corrected, 2))
        .await;
    peer.doors
        .act(json!({"act": "archive", "team_id": ROOM}))
        .await;
    let recall = peer.correction(&first, Change::WrongPatient, 3);
    peer.confirmed(&recall).await;
    let posts = peer.doors.state().await["counts"]["posts"].clone();
    peer.confirmed(&recall).await;
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], posts, "a repeat adds nothing");
    let stem = first.id.as_str();
    assert_eq!(
        keys(&state["posts"], true),
        [format!("{stem}.1"), format!("{stem}.2")]
    );
    assert_eq!(
        keys(&state["documents"], true),
        [format!("{stem}.1.d1"), format!("{stem}.2.d1")]
    );
    assert!(keys(&state["posts"], false).contains(&format!("{stem}.3")));
}

#[tokio::test]
async fn a_long_text_becomes_numbered_messages() {
    let peer = peer("shinjuku").await;
    let mut post = a_post();
    post.text = "経過の記録です。\n".repeat(200);
    let delivery = a_delivery(&*peer.sink, &post, &a_channel(ROOM), 1);
    peer.confirmed(&delivery).await;
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], 2);
    assert_eq!(state["posts"][1]["key"], format!("{}.1.p2", delivery.id));
}

#[tokio::test]
async fn a_look_shows_who_reads_and_about_whom() {
    let peer = peer("shinjuku").await;
    let view = peer.sink.look(&a_channel(ROOM)).await.unwrap();
    assert_eq!(view.header, Some(a_channel(ROOM).header));
    let readers = view.members.unwrap();
    // Four members, one of them our own system account: it is no reader.
    assert_eq!(readers.len(), 3);
    assert!(
        readers
            .iter()
            .all(|reader| reader.user_ref != "renkei-hospital")
    );
    assert_eq!(peer.sink.channels().await.unwrap().len(), 3);
    peer.sink.probe().await.unwrap();
    let gone = peer.sink.look(&a_channel("nowhere")).await;
    assert!(matches!(
        gone,
        Err(SendError::Refused {
            code: Code::DLV_CHANNEL_ARCHIVED
        })
    ));
}

#[tokio::test]
async fn changes_come_back_but_our_own_do_not() {
    let peer = peer("shinjuku").await;
    let inbox = Arc::new(MemoryInbox::default());
    let posted = peer.confirmed(&peer.delivery(1)).await;
    peer.doors
        .acknowledge(posted.as_str(), "u-care-manager")
        .await;
    peer.doors
        .act(json!({"act": "write", "team_id": ROOM, "user_ref": "u-nurse", "headline": "訪問", "text": "変わりなし"}))
        .await;
    let running = start(peer.source.clone().unwrap(), Arc::clone(&inbox));
    let events = inbox.wait_for(2).await;
    running.stop().await;
    assert_eq!(inbox.events().len(), 2);
    match &events[0].news {
        peer::News::Receipt {
            post,
            kind,
            by,
            professions,
            ..
        } => {
            assert_eq!(post.as_ref(), Some(&posted));
            assert_eq!(*kind, ReceiptKind::Seen);
            assert_eq!(by.as_deref(), Some("u-care-manager"));
            assert_eq!(
                professions.as_slice(),
                [renkei_core::Profession::CareManager]
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        events[1].news,
        peer::News::Other {
            name: "message".to_owned()
        }
    );
    assert_eq!(events[0].sink, SinkName::new("shinjuku"));
}

#[tokio::test]
async fn two_districts_do_not_mix() {
    let (one, other) = (peer("shinjuku").await, peer("suginami").await);
    one.confirmed(&one.delivery(1)).await;
    assert_eq!(one.doors.state().await["counts"]["posts"], 1);
    assert_eq!(other.doors.state().await["counts"]["posts"], 0);
}
