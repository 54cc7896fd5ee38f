//! Against the simulated ward: a folder and its test doors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use renkei_core::{
    Change, Code, Delivery, PeerEvent, PeerRef, ReceiptKind, SendOutcome, Sink, SinkName, Source,
    SystemClock, peer,
};
use renkei_sim::{Running as Sim, Seed, mcs as rest_sim, ward as sim};
use serde_json::json;

use super::{Config, build};
use crate::testing::{
    Doors, MemoryInbox, a_channel, a_delivery, a_pdf, a_post, secret_file, start,
};

/// The ward's number of the demo patient.
const PATIENT: &str = "0000123456";

struct Peer {
    sim: Option<Sim>,
    doors: Option<Doors>,
    folder: tempfile::TempDir,
    sink: Arc<dyn Sink>,
    source: Arc<dyn Source>,
}

fn half(folder: tempfile::TempDir, encoding: &str) -> Peer {
    let config: Config = toml::from_str(&format!(
        "file_drop = {{ folder = '{}', facility = '1311234567', encoding = '{encoding}', poll_secs = 1 }}",
        folder.path().display()
    ))
    .unwrap();
    let (sink, source) = build(
        &SinkName::new("nakano"),
        config,
        Arc::new(SystemClock),
        None,
    )
    .unwrap();
    Peer {
        sim: None,
        doors: None,
        folder,
        sink,
        source: source.unwrap(),
    }
}

/// The hub's side alone: what is written can be looked at before anybody takes it.
fn without_ward(encoding: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    for name in ["in", "out"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    half(folder, encoding)
}

async fn with_ward(encoding: &str) -> Peer {
    let mut peer = half(tempfile::tempdir().unwrap(), encoding);
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let folder = peer.folder.path().to_owned();
    let mut config = sim::Config::new(listen, folder, Seed::demo().unwrap());
    config.look_every = Duration::from_millis(5);
    if encoding == "utf-8" {
        config.encoding = sim::Encoding::Utf8;
    }
    let sim = sim::start(config).await.unwrap();
    peer.doors = Some(Doors::new(sim.url()));
    peer.sim = Some(sim);
    peer
}

impl Peer {
    fn doors(&self) -> &Doors {
        self.doors.as_ref().unwrap()
    }

    fn delivery(&self, version: u32) -> Delivery {
        let mut post = a_post();
        post.attachments = vec![a_pdf().reference];
        a_delivery(&*self.sink, &post, &a_channel(PATIENT), version)
    }

    fn correction(&self, first: &Delivery, change: Change, version: u32) -> Delivery {
        let mut post = a_post();
        post.change = change;
        let mut delivery = a_delivery(&*self.sink, &post, &first.channel, version);
        delivery.replaces = Some(first.id.clone());
        delivery
    }

    async fn handed_over(&self, delivery: &Delivery) -> PeerRef {
        match self
            .sink
            .send(std::slice::from_ref(delivery))
            .await
            .remove(0)
        {
            SendOutcome::AwaitingAck {
                peer_ref: Some(peer_ref),
                ..
            } => peer_ref,
            other => panic!("{other:?}"),
        }
    }

    fn waiting_files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.folder.path().join("in"))
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn receipt(event: &PeerEvent) -> (String, ReceiptKind, Option<String>) {
    match &event.news {
        peer::News::Receipt { post, kind, by, .. } => (
            post.as_ref().unwrap().as_str().to_owned(),
            kind.clone(),
            by.clone(),
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_delivery_writes_the_same_files() {
    let peer = without_ward("ms932");
    let delivery = peer.delivery(1);
    let stem = peer.handed_over(&delivery).await;
    let first = peer.waiting_files();
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    let named =
        [".csv", ".done", ".manifest.csv", ".pdf"].map(|end| format!("{}{end}", stem.as_str()));
    assert_eq!(names, named);
    assert!(first[&format!("{}.done", stem.as_str())].is_empty());
    for name in &names {
        fs::remove_file(peer.folder.path().join("in").join(name)).unwrap();
    }
    assert_eq!(peer.handed_over(&delivery).await, stem);
    assert_eq!(peer.waiting_files(), first);
    let (text, _, _) = encoding_rs::SHIFT_JIS.decode(&first[&format!("{}.csv", stem.as_str())]);
    assert!(text.contains("ヤマモト様 85歳 女性\n退院処方3剤"), "{text}");
}

#[tokio::test]
async fn what_waits_for_the_ward_is_left_alone() {
    let peer = without_ward("utf-8");
    let delivery = peer.delivery(1);
    let stem = peer.handed_over(&delivery).await;
    let content = peer
        .folder
        .path()
        .join("in")
        .join(format!("{}.csv", stem.as_str()));
    fs::remove_file(&content).unwrap();
    peer.handed_over(&delivery).await;
    assert!(!content.exists());
}

#[tokio::test]
async fn a_missing_folder_is_an_unavailable_peer() {
    let peer = without_ward("utf-8");
    peer.sink.probe().await.unwrap();
    fs::remove_dir(peer.folder.path().join("in")).unwrap();
    let outcomes = peer.sink.send(&[peer.delivery(1), peer.delivery(2)]).await;
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert!(
            matches!(
                outcome,
                SendOutcome::Retry {
                    unavailable: true,
                    ..
                }
            ),
            "{outcome:?}"
        );
    }
    assert!(peer.sink.probe().await.is_err());
}

#[tokio::test]
async fn a_delivery_id_that_is_no_file_name_is_refused() {
    let peer = without_ward("utf-8");
    let mut bad = peer.delivery(1);
    bad.id = renkei_core::DeliveryId::known("../out/x");
    let outcomes = peer.sink.send(&[bad, peer.delivery(1)]).await;
    assert!(matches!(
        outcomes[0],
        SendOutcome::Rejected {
            code: Code::DLV_FRAME,
            ..
        }
    ));
    assert!(matches!(outcomes[1], SendOutcome::AwaitingAck { .. }));
    assert!(files(&peer.folder.path().join("out")).is_empty());
}

#[tokio::test]
async fn characters_the_ward_cannot_read_are_replaced_and_listed() {
    let peer = without_ward("ms932");
    let mut post = a_post();
    post.text = "①髙橋薬局㈱ 😀".to_owned();
    let payload = peer.sink.frame(&post, &a_channel(PATIENT)).unwrap();
    let framed: serde_json::Value = serde_json::from_str(&payload.body).unwrap();
    assert_eq!(framed["text"], "(1)高橋薬局(株) 〓");
    assert_eq!(framed["replacements"].as_array().unwrap().len(), 4);
    assert_eq!(
        framed["replacements"][1],
        json!({"column": "text", "at": 1, "was": "髙", "became": "高"})
    );
    let untouched = without_ward("utf-8")
        .sink
        .frame(&post, &a_channel(PATIENT))
        .unwrap();
    let framed: serde_json::Value = serde_json::from_str(&untouched.body).unwrap();
    assert_eq!(framed["text"], post.text);
}

#[tokio::test]
async fn documents_arrive_and_answers_and_confirmations_come_back() {
    for encoding in ["ms932", "utf-8"] {
        let peer = with_ward(encoding).await;
        let inbox = Arc::new(MemoryInbox::default());
        let running = start(Arc::clone(&peer.source), Arc::clone(&inbox));
        let stem = peer.handed_over(&peer.delivery(1)).await;
        let events = inbox.wait_for(1).await;
        assert_eq!(
            receipt(&events[0]),
            (stem.as_str().to_owned(), ReceiptKind::Accepted, None)
        );
        let state = peer.doors().state().await;
        assert_eq!(
            state["documents"][0]["request"]["content"]["text"],
            a_post().text
        );
        assert_eq!(state["counts"]["effects"], 1);

        peer.doors().acknowledge(stem.as_str(), "u-nurse").await;
        inbox.wait_for(2).await;
        peer.doors().acknowledge(stem.as_str(), "u-doctor").await;
        let events = inbox.wait_for(3).await;
        running.stop().await;
        assert_eq!(receipt(&events[1]).2.as_deref(), Some("u-nurse"));
        assert_eq!(
            receipt(&events[2]),
            (
                stem.as_str().to_owned(),
                ReceiptKind::Seen,
                Some("u-doctor".to_owned())
            )
        );
        assert_eq!(
            inbox.messages().len(),
            3,
            "the first confirmation stands in the second file too"
        );
        let left: Vec<String> = files(&peer.folder.path().join("out")).into_keys().collect();
        assert_eq!(left, [format!("{}.seen.csv", stem.as_str())]);
    }
}

#[tokio::test]
async fn refusals_come_back_with_our_codes() {
    let peer = with_ward("ms932").await;
    let inbox = Arc::new(MemoryInbox::default());
    let running = start(Arc::clone(&peer.source), Arc::clone(&inbox));
    let mut stranger = a_channel("0000999999");
    let unknown = a_delivery(&*peer.sink, &a_post(), &stranger, 1);
    stranger = a_channel(PATIENT);
    stranger.header.birth_date = "1950-01-01".to_owned();
    let mismatch = a_delivery(&*peer.sink, &a_post(), &stranger, 2);
    peer.handed_over(&unknown).await;
    peer.handed_over(&mismatch).await;
    inbox.wait_for(2).await;
    peer.doors()
        .act(json!({"act": "set_consent", "team_id": "g-yamamoto", "consent": false}))
        .await;
    peer.doors()
        .act(json!({"act": "set_consent", "team_id": "g-yamamoto-direct", "consent": false}))
        .await;
    peer.handed_over(&peer.delivery(3)).await;
    let events = inbox.wait_for(3).await;
    running.stop().await;
    let codes = events.iter().map(|event| match receipt(event).1 {
        ReceiptKind::Refused { code } => code,
        other => panic!("{other:?}"),
    });
    let expected = [
        Code::DLV_HEADER_DIFFERS,
        Code::DLV_CHANNEL_ARCHIVED,
        Code::DLV_NOT_MEMBER,
    ];
    assert_eq!(codes.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
}

#[tokio::test]
async fn a_ward_that_wants_it_later_gets_the_same_files_again() {
    let peer = with_ward("ms932").await;
    let inbox = Arc::new(MemoryInbox::default());
    let running = start(Arc::clone(&peer.source), Arc::clone(&inbox));
    peer.doors().faults(json!({"status": 503, "next": 1})).await;
    let delivery = peer.delivery(1);
    let stem = peer.handed_over(&delivery).await;
    // The refused files are in err/ once the marker, moved last, is there.
    let marker = peer
        .folder
        .path()
        .join("err")
        .join(format!("{}.done", stem.as_str()));
    tokio::time::timeout(Duration::from_secs(10), async {
        while !marker.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(peer.handed_over(&delivery).await, stem);
    let events = inbox.wait_for(1).await;
    running.stop().await;
    assert_eq!(receipt(&events[0]).1, ReceiptKind::Accepted);
    assert_eq!(peer.doors().state().await["counts"]["effects"], 1);
}

#[tokio::test]
async fn corrections_are_versions_and_cancellations_withdraw() {
    let peer = with_ward("utf-8").await;
    let inbox = Arc::new(MemoryInbox::default());
    let running = start(Arc::clone(&peer.source), Arc::clone(&inbox));
    let first = peer.delivery(1);
    let stem = peer.handed_over(&first).await;
    inbox.wait_for(1).await;
    let second = peer
        .handed_over(&peer.correction(&first, Change::Corrected, 2))
        .await;
    inbox.wait_for(2).await;
    assert_eq!(second.as_str(), format!("{}_2", first.id));
    assert_eq!(
        peer.doors().state().await["documents"][0]["replaced_by"],
        second.as_str()
    );
    let third = peer.correction(&first, Change::Cancelled, 3);
    peer.handed_over(&third).await;
    let events = inbox.wait_for(3).await;
    running.stop().await;
    assert!(
        events
            .iter()
            .all(|event| receipt(event).1 == ReceiptKind::Accepted)
    );
    let state = peer.doors().state().await;
    assert_eq!(state["documents"][0]["entry_id"], stem.as_str());
    assert_eq!(state["documents"][0]["withdrawn"], true);
    assert_eq!(state["documents"][1]["withdrawn"], true);
    assert_eq!(
        state["documents"][2]["request"]["manifest"]["doc_type"],
        "withdrawn"
    );
}

#[tokio::test]
async fn the_ward_cannot_be_asked() {
    let peer = without_ward("utf-8");
    let view = peer.sink.look(&a_channel(PATIENT)).await.unwrap();
    assert!(view.header.is_none() && view.members.is_none());
    assert!(peer.sink.channels().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_rest_profile_is_the_same_client_in_other_words() {
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let sim = rest_sim::start(rest_sim::Config::ward(listen, Seed::demo().unwrap()))
        .await
        .unwrap();
    let (_file, reference) = secret_file("demo-secret");
    let config: Config = toml::from_str(&format!(
        "[rest]\nfacility = '1311234567'\nuser_ref = 'renkei-hospital'\n\
         connection = {{ endpoint = '{}', client_id = 'renkei', secret = {reference} }}",
        sim.url()
    ))
    .unwrap();
    let (sink, _) = build(&SinkName::new("ward"), config, Arc::new(SystemClock), None).unwrap();
    let delivery = a_delivery(&*sink, &a_post(), &a_channel("g-yamamoto"), 1);
    let outcome = sink.send(&[delivery]).await.remove(0);
    assert!(
        matches!(outcome, SendOutcome::Confirmed { .. }),
        "{outcome:?}"
    );
}
