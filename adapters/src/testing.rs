//! What the sinks' tests share: a synthetic post on its way to a channel, an inbox in memory, a stop
//! switch, and a simulated peer with its test doors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use renkei_core::delivery::AttachmentRef;
use renkei_core::{
    AcceptError, Attachment, Change, Channel, ChannelId, ChannelKind, ChannelStatus, Delivery,
    DeliveryId, FacilityId, Inbox, LocalId, MessageId, NewMessage, Note, NoticeId, NoticeKind,
    PatientHeader, PeerEvent, PeerRef, PersonId, Post, Receipt, Shutdown, Sink, SinkName, Source,
    SourceError, SourceName, Urgency,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// The hospital of the demo seed.
pub(crate) const HOSPITAL: &str = "1311234567";

pub(crate) fn a_post() -> Post {
    Post {
        client_ref: "7.1".to_owned(),
        kind: NoticeKind::Discharge,
        change: Change::First,
        headline: "【退院】1/31(金)11:00 架空総合病院 → 自宅".to_owned(),
        text: "ヤマモト様 85歳 女性\n退院処方3剤（添付）\nアレルギー：情報なし".to_owned(),
        urgency: Urgency::U1,
        occurred_at: "2025-01-31T11:00:00+09:00".to_owned(),
        author: "架空総合病院".to_owned(),
        author_facility: HOSPITAL.to_owned(),
        source_note: "架空総合病院の電子カルテから自動転送・診療録ではありません".to_owned(),
        attachments: Vec::new(),
        sheet: None,
    }
}

pub(crate) fn a_channel(peer_ref: &str) -> Channel {
    Channel {
        id: ChannelId(1),
        sink: SinkName::new("peer"),
        person: PersonId(1),
        peer_ref: PeerRef::new(peer_ref),
        kind: ChannelKind::Professional,
        status: ChannelStatus::Confirmed,
        host_facility: Some(HOSPITAL.to_owned()),
        header: PatientHeader {
            local_id: "0000123456".to_owned(),
            kana: "ヤマモト キョウコ".to_owned(),
            birth_date: "1939-02-15".to_owned(),
            sex: "female".to_owned(),
        },
        members: Vec::new(),
    }
}

pub(crate) fn a_pdf() -> Attachment {
    let bytes = Bytes::from_static(b"%PDF-1.7\n% synthetic page\n%%EOF\n");
    Attachment {
        reference: AttachmentRef {
            sha256: data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)),
            media_type: "application/pdf".to_owned(),
            file_name: "document-1.pdf".to_owned(),
            size: bytes.len() as u64,
        },
        bytes,
    }
}

/// A delivery of a post, framed by the sink itself.
pub(crate) fn a_delivery(
    sink: &dyn Sink,
    post: &Post,
    channel: &Channel,
    version: u32,
) -> Delivery {
    Delivery {
        id: DeliveryId::derive(channel.id, NoticeId(7), version, "dischargeF"),
        channel: channel.clone(),
        payload: sink.frame(post, channel).unwrap(),
        attachments: post.attachments.iter().map(|_| a_pdf()).collect(),
        change: post.change,
        version,
        reply_to: None,
        replaces: None,
        attempt: 1,
    }
}

/// An inbox that keeps everything in memory and knows repeats.
#[derive(Default)]
pub(crate) struct MemoryInbox {
    messages: Mutex<Vec<NewMessage>>,
    notes: Mutex<HashMap<String, String>>,
    offers: watch::Sender<u64>,
}

impl MemoryInbox {
    pub(crate) fn messages(&self) -> Vec<NewMessage> {
        self.messages.lock().unwrap().clone()
    }

    pub(crate) fn events(&self) -> Vec<PeerEvent> {
        let read = |message: NewMessage| serde_json::from_slice(&message.body).unwrap();
        self.messages().into_iter().map(read).collect()
    }

    /// Waits until so many messages are there; fails after ten seconds.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<PeerEvent> {
        let mut offers = self.offers.subscribe();
        let enough = offers.wait_for(|_| self.messages.lock().unwrap().len() >= count);
        tokio::time::timeout(Duration::from_secs(10), enough)
            .await
            .expect("the messages came in time")
            .unwrap();
        self.events()
    }

    /// Waits until so many messages were offered, repeats included.
    pub(crate) async fn wait_for_offers(&self, count: u64) {
        let mut offers = self.offers.subscribe();
        tokio::time::timeout(
            Duration::from_secs(10),
            offers.wait_for(|seen| *seen >= count),
        )
        .await
        .expect("the offers came in time")
        .unwrap();
    }
}

#[async_trait]
impl Inbox for MemoryInbox {
    fn admits(&self, _: &SourceName, _: &FacilityId, _: &LocalId) -> bool {
        true
    }
    fn admission_epoch(&self) -> u64 {
        0
    }
    async fn accept(&self, message: NewMessage) -> Result<Receipt, AcceptError> {
        let receipt = {
            let mut messages = self.messages.lock().unwrap();
            let known = messages.iter().position(|known| {
                known.dedup_key == message.dedup_key && known.sha256() == message.sha256()
            });
            match known {
                Some(at) => Receipt::Duplicate(MessageId(i64::try_from(at).unwrap())),
                None => {
                    messages.push(message);
                    Receipt::Stored(MessageId(i64::try_from(messages.len()).unwrap()))
                }
            }
        };
        self.offers.send_modify(|count| *count += 1);
        Ok(receipt)
    }
    async fn processed(&self, _: MessageId) -> Result<renkei_core::source::Processed, AcceptError> {
        Ok(renkei_core::source::Processed::Processed)
    }
    async fn recall(&self, _: &SourceName) -> Result<Vec<Note>, AcceptError> {
        let notes = self.notes.lock().unwrap();
        let note = |(key, value): (&String, &String)| Note {
            key: key.clone(),
            value: Some(value.clone()),
        };
        Ok(notes.iter().map(note).collect())
    }
    async fn remember(&self, _: &SourceName, notes: Vec<Note>) -> Result<(), AcceptError> {
        let mut known = self.notes.lock().unwrap();
        for note in notes {
            match note.value {
                Some(value) => known.insert(note.key, value),
                None => known.remove(&note.key),
            };
        }
        Ok(())
    }
}

/// A running source half; stopped by [`Running::stop`].
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<(), SourceError>>,
}

pub(crate) fn start(source: Arc<dyn Source>, inbox: Arc<MemoryInbox>) -> Running {
    let (stop, seen) = watch::channel(false);
    let (fired, wait) = (seen.clone(), seen);
    let shutdown = Shutdown::new(
        move || *fired.borrow(),
        move || {
            let mut wait = wait.clone();
            Box::pin(async move {
                let _ = wait.wait_for(|stop| *stop).await;
            })
        },
    );
    let task = tokio::spawn(async move { source.run(inbox, shutdown).await });
    Running { stop, task }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(Duration::from_secs(5), self.task).await;
        ended.expect("the source stopped in time").unwrap().unwrap();
    }
}

/// The test doors of a simulator.
pub(crate) struct Doors {
    url: String,
    http: reqwest::Client,
}

impl Doors {
    pub(crate) fn new(url: String) -> Self {
        let _known = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10));
        Self {
            url,
            http: http.build().unwrap(),
        }
    }

    async fn post(&self, door: &str, body: Value) -> Value {
        let request = self
            .http
            .post(format!("{}/_sim/{door}", self.url))
            .json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{door} {body}");
        response.json().await.unwrap()
    }

    pub(crate) async fn faults(&self, plan: Value) {
        self.post("faults", plan).await;
    }

    pub(crate) async fn seed(&self, seed: Value) {
        self.post("seed", seed).await;
    }

    pub(crate) async fn act(&self, act: Value) -> Value {
        self.post("act", act).await
    }

    pub(crate) async fn acknowledge(&self, entry: &str, user: &str) {
        self.act(json!({"act": "ack", "entry_id": entry, "user_ref": user}))
            .await;
    }

    pub(crate) async fn state(&self) -> Value {
        let request = self.http.get(format!("{}/_sim/state", self.url));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Requests and effects under one key.
    pub(crate) async fn key(&self, key: &str) -> (u64, u64) {
        let state = self.state().await;
        let keys = state["keys"].as_array().unwrap();
        let found = keys.iter().find(|known| known["key"] == key);
        found.map_or((0, 0), |known| {
            (
                known["requests"].as_u64().unwrap(),
                known["effects"].as_u64().unwrap(),
            )
        })
    }
}

/// A file that holds a secret, as configuration text.
pub(crate) fn secret_file(secret: &str) -> (tempfile::NamedTempFile, String) {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(secret.as_bytes()).unwrap();
    let reference = format!("{{ file = '{}' }}", file.path().display());
    (file, reference)
}
