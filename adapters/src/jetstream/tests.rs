//! Against a real `nats-server` on loopback.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context, consumer, stream};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use renkei_core::{Change, Code, FacilityId, SendOutcome, SinkName, Source as _, limits};
use renkei_sim::nats::Server;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::contract::{self, CANARY, RecordingInbox, Rig, Running, Verdict, within};
use crate::testing::{a_channel, a_delivery, a_pdf, a_post};

const FACILITY: &str = "1312345670";

/// A server with a stream for messages and one for posts.
struct World {
    server: Server,
    context: Context,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path()).await.unwrap();
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = jetstream::new(client);
        for (name, subject) in [("HIS", "his.>"), ("POSTS", "renkei.posts.>")] {
            let config = stream::Config {
                name: name.to_owned(),
                subjects: vec![subject.to_owned()],
                ..stream::Config::default()
            };
            context.create_stream(config).await.unwrap();
        }
        Self {
            server,
            context,
            _folder: folder,
        }
    }

    fn config(&self) -> SourceConfig {
        let facility = FacilityId::new(FACILITY).unwrap();
        let mut config = SourceConfig::new(Connection::new(self.server.url()), "HIS", facility);
        config.connection.timeout_ms = 2_000;
        config
    }

    fn source(&self, config: SourceConfig) -> Arc<Source> {
        Arc::new(Source::new("his".into(), config).unwrap())
    }

    async fn publish(&self, subject: &str, body: String) -> u64 {
        let answer = self.context.publish(subject.to_owned(), body.into()).await;
        answer.unwrap().await.unwrap().sequence
    }

    /// Whether the server took it.
    async fn try_to_publish(&self, body: String) -> bool {
        match self.context.publish("his.KAKU.adt", body.into()).await {
            Ok(answer) => answer.await.is_ok(),
            Err(_) => false,
        }
    }

    async fn info(&self, stream: &str) -> Option<consumer::Info> {
        let stream = self.context.get_stream(stream).await.ok()?;
        stream.consumer_info("renkei").await.ok()
    }

    /// Waits until the consumer stands as wanted.
    async fn until(&self, what: impl Fn(&consumer::Info) -> bool) {
        within(async {
            while !self.info("HIS").await.is_some_and(|info| what(&info)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Everything a stream holds: subject, headers, body.
    async fn held(&self, name: &str) -> Vec<(String, HeaderMap, Vec<u8>)> {
        let mut stream = self.context.get_stream(name).await.unwrap();
        let state = stream.info().await.unwrap().state.clone();
        let mut held = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            held.push((
                message.subject.to_string(),
                message.headers,
                message.payload.to_vec(),
            ));
        }
        held
    }
}

fn adt(control_id: &str, patient: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|KAKU|HUB|R|20250111113000||ADT^A08^ADT_A01|{control_id}|P|2.5\rEVN||20250111\rPID|1||{patient}^^^^PI||{CANARY}^TARO\r"
    )
}

/// The publisher, who sees what became of a message by the consumer's state.
struct Publisher {
    world: World,
    inbox: Arc<RecordingInbox>,
}

impl Publisher {
    async fn offer_bytes(&self, body: String) -> Verdict {
        let refusals = self.inbox.refused_for_room();
        let sequence = self.world.publish("his.KAKU.adt", body).await;
        loop {
            let info = self.world.info("HIS").await;
            if info.is_some_and(|info| info.ack_floor.stream_sequence >= sequence) {
                return Verdict::Taken;
            }
            if self.inbox.refused_for_room() > refusals {
                return Verdict::TryAgain;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[async_trait]
impl Rig for Publisher {
    fn source(&self) -> Arc<dyn renkei_core::Source> {
        let mut config = self.world.config();
        config.max_message_bytes = 100_000;
        self.world.source(config)
    }
    async fn offer(&self, number: u32) -> Verdict {
        self.offer_bytes(adt(&format!("C{number}"), "0000123401"))
            .await
    }
    async fn offer_oversize(&self) -> Verdict {
        self.offer_bytes(adt("C9", "0000123401") + &"x".repeat(200_000))
            .await
    }
    fn oversize_code(&self) -> Code {
        Code::HL7_FRAME_TOO_LARGE
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let inbox = Arc::new(RecordingInbox::default());
    let world = World::start().await;
    let publisher = Publisher {
        world,
        inbox: Arc::clone(&inbox),
    };
    contract::holds(Arc::new(publisher), inbox).await;
}

#[tokio::test]
async fn a_source_that_was_cut_off_goes_on_in_order() {
    let world = World::start().await;
    let inbox = Arc::new(RecordingInbox::default());
    inbox.hold();
    let (source, held) = (world.source(world.config()), Arc::clone(&inbox));
    let never = contract::shutdown(&CancellationToken::new());
    let cut_off = tokio::spawn(async move { source.run(held, never).await });
    for number in 1..=3 {
        world
            .publish("his.KAKU.adt", adt(&format!("C{number}"), "1"))
            .await;
    }
    world.until(|info| info.num_ack_pending == 3).await;
    cut_off.abort();
    assert!(cut_off.await.unwrap_err().is_cancelled());
    inbox.release();
    // What was under way would come again only after half a minute, behind this one.
    world.publish("his.KAKU.adt", adt("C4", "1")).await;
    let running = Running::start(world.source(world.config()), inbox.clone());
    within(inbox.until_stored(4)).await;
    let keys: Vec<String> = inbox
        .stored()
        .into_iter()
        .map(|stored| stored.message.dedup_key)
        .collect();
    assert_eq!(keys, ["C1", "C2", "C3", "C4"]);
    world
        .until(|info| info.num_ack_pending == 0 && info.num_pending == 0)
        .await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_loses_nothing() {
    let mut world = World::start().await;
    let inbox = Arc::new(RecordingInbox::default());
    let running = Running::start(world.source(world.config()), inbox.clone());
    for number in 1..=20 {
        world
            .publish("his.KAKU.adt", adt(&format!("C{number}"), "1"))
            .await;
    }
    within(inbox.until_stored(10)).await;
    world.server.kill().await.unwrap();
    world.server.resume().await.unwrap();
    for number in 21..=40 {
        // Not while the connection is on its way back.
        let body = adt(&format!("C{number}"), "1");
        within(async {
            while !world.try_to_publish(body.clone()).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    within(inbox.until_stored(40)).await;
    let stored = inbox.stored();
    let order: Vec<&str> = stored
        .iter()
        .map(|one| one.message.dedup_key.as_str())
        .collect();
    let expected: Vec<String> = (1..=40).map(|number| format!("C{number}")).collect();
    assert_eq!(order, expected);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_source_waits_for_a_server_that_is_not_there_yet() {
    let mut world = World::start().await;
    world.server.kill().await.unwrap();
    let inbox = Arc::new(RecordingInbox::default());
    let running = Running::start(world.source(world.config()), inbox.clone());
    world.server.resume().await.unwrap();
    let client = async_nats::connect(world.server.url()).await.unwrap();
    world.context = jetstream::new(client);
    world.publish("his.KAKU.adt", adt("C1", "1")).await;
    within(inbox.until_stored(1)).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_holds_back_what_a_slow_inbox_has_no_time_for() {
    let world = World::start().await;
    let inbox = Arc::new(RecordingInbox::default());
    inbox.hold();
    let mut config = world.config();
    config.max_ack_pending = 4;
    let running = Running::start(world.source(config), inbox.clone());
    for number in 1..=10 {
        let patient = format!("{number}");
        world
            .publish("his.KAKU.adt", adt(&format!("C{number}"), &patient))
            .await;
    }
    within(inbox.until_offered(4)).await;
    let info = world.info("HIS").await.unwrap();
    assert_eq!((info.num_ack_pending, info.num_pending), (4, 6));
    assert!(inbox.stored().is_empty());
    inbox.release();
    within(inbox.until_stored(10)).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn only_new_messages_of_known_facilities_are_taken_when_asked_so() {
    let world = World::start().await;
    let inbox = Arc::new(RecordingInbox::default());
    world.publish("his.KAKU.adt", adt("OLD", "1")).await;
    let mut config = world.config();
    config.begin = Begin::New;
    config.subject = Some("his.*.adt".to_owned());
    config.facility = None;
    config.facility_by_token = Some(FacilityByToken {
        token: 2,
        table: [("KAKU".to_owned(), FacilityId::new(FACILITY).unwrap())].into(),
    });
    let running = Running::start(world.source(config.clone()), inbox.clone());
    world.until(|_| true).await;
    world.publish("his.OTHER.adt", adt("C1", "1")).await;
    world.publish("his.KAKU.oru", adt("C2", "1")).await;
    world.publish("his.KAKU.adt", adt("C3", "1")).await;
    within(inbox.until_stored(1)).await;
    // What is nobody's is not given out again either.
    world.until(|info| info.num_ack_pending == 0).await;
    running.stop().await.unwrap();
    // The consumer gone, the ledger still knows where it began.
    let stream = world.context.get_stream("HIS").await.unwrap();
    stream.delete_consumer("renkei").await.unwrap();
    let running = Running::start(world.source(config), inbox.clone());
    world.publish("his.KAKU.adt", adt("C4", "1")).await;
    within(inbox.until_stored(2)).await;
    running.stop().await.unwrap();
    let stored = inbox.stored();
    let keys: Vec<&str> = stored
        .iter()
        .map(|one| one.message.dedup_key.as_str())
        .collect();
    assert_eq!(keys, ["C3", "C4"]);
}

fn sink(world: &World, more: &str) -> Arc<dyn renkei_core::Sink> {
    let config: SinkConfig = toml::from_str(&format!(
        "connection = {{ servers = ['{}'], timeout_ms = 2000 }}\nstream = 'POSTS'\n\
         subject = 'renkei.posts.{{channel}}.{{kind}}'\n{more}",
        world.server.url()
    ))
    .unwrap();
    build(&SinkName::new("district"), config).unwrap().0
}

#[tokio::test]
async fn a_post_is_published_once_with_its_documents_before_it() {
    let world = World::start().await;
    let sink = sink(&world, "");
    sink.probe().await.unwrap();
    let mut post = a_post();
    post.attachments = vec![a_pdf().reference];
    let delivery = a_delivery(sink.as_ref(), &post, &a_channel("g1"), 1);
    for _ in 0..2 {
        let outcomes = sink.send(std::slice::from_ref(&delivery)).await;
        let [SendOutcome::Confirmed { peer_ref }] = outcomes.as_slice() else {
            panic!("{outcomes:?}");
        };
        assert_eq!(peer_ref.as_str(), "POSTS:2");
    }
    let held = world.held("POSTS").await;
    let subjects: Vec<&str> = held.iter().map(|(subject, ..)| subject.as_str()).collect();
    let subject = "renkei.posts.g1.discharge";
    assert_eq!(subjects, [&format!("{subject}.document"), subject]);
    assert_eq!(held[0].2, a_pdf().bytes);
    assert_eq!(held[1].2, delivery.payload.body.as_bytes());
    let header = |at: usize, name: &str| held[at].1.get(name).unwrap().as_str().to_owned();
    assert_eq!(header(0, "Renkei-Part"), "1/1");
    assert_eq!(header(0, "Renkei-Document"), a_pdf().reference.sha256);
    assert_eq!(header(1, "Nats-Msg-Id"), delivery.id.as_str());
    assert_eq!(header(1, "Renkei-Change"), "first");
    let body: serde_json::Value = serde_json::from_slice(&held[1].2).unwrap();
    assert_eq!(body["contract"], "renkei-post/1");
    assert_eq!(body["channel"], "g1");
    assert_eq!(body["documents"][0]["sha256"], a_pdf().reference.sha256);
}

#[tokio::test]
async fn a_large_document_goes_in_parts_that_join_to_it_again() {
    let world = World::start().await;
    let sink = sink(&world, "");
    let mut post = a_post();
    post.attachments = vec![a_pdf().reference];
    let mut delivery = a_delivery(sink.as_ref(), &post, &a_channel("g1"), 1);
    let bytes: Vec<u8> = (0..1_300_000_u32).map(|at| (at % 251) as u8).collect();
    delivery.attachments[0].bytes = bytes.clone().into();
    let outcomes = sink.send(&[delivery]).await;
    assert!(matches!(outcomes[0], SendOutcome::Confirmed { .. }));
    let held = world.held("POSTS").await;
    let parts: Vec<&str> = held[..3]
        .iter()
        .map(|(_, headers, _)| headers.get("Renkei-Part").unwrap().as_str())
        .collect();
    assert_eq!(parts, ["1/3", "2/3", "3/3"]);
    let joined: Vec<u8> = held[..3]
        .iter()
        .flat_map(|(.., body)| body.clone())
        .collect();
    assert_eq!(joined, bytes);
}

#[tokio::test]
async fn a_correction_names_what_it_replaces_and_nothing_in_a_header_is_about_a_person() {
    let world = World::start().await;
    let sink = sink(&world, "");
    let first = a_delivery(sink.as_ref(), &a_post(), &a_channel("g1"), 1);
    let mut post = a_post();
    post.change = Change::Corrected;
    let mut second = a_delivery(sink.as_ref(), &post, &a_channel("g1"), 2);
    second.replaces = Some(first.id.clone());
    for outcome in sink.send(&[first.clone(), second]).await {
        assert!(matches!(outcome, SendOutcome::Confirmed { .. }));
    }
    let held = world.held("POSTS").await;
    let header = |name: &str| held[1].1.get(name).unwrap().as_str().to_owned();
    assert_eq!(header("Renkei-Replaces"), first.id.as_str());
    assert_eq!(header("Renkei-Change"), "corrected");
    assert_eq!(header("Renkei-Version"), "2");
    let channel = a_channel("g1");
    for (subject, headers, _) in &held {
        let said = format!("{subject} {headers:?}");
        for personal in [
            &channel.header.local_id,
            &channel.header.birth_date,
            "ヤマモト",
        ] {
            assert!(!said.contains(personal), "{said}");
        }
    }
}

#[tokio::test]
async fn readers_are_those_of_the_configuration_else_those_of_the_channel() {
    let world = World::start().await;
    let unknown = sink(&world, "").look(&a_channel("g1")).await.unwrap();
    assert!(unknown.members.is_none() && unknown.header.is_none());
    let named = sink(&world, "readers = ['nurse', 'doctor']");
    let members = named.look(&a_channel("g1")).await.unwrap().members.unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].professions, [renkei_core::Profession::Nurse]);
    // A name that would change the subject is refused when the post is framed.
    let refused = named.frame(&a_post(), &a_channel("g.1")).unwrap_err();
    assert_eq!(refused.code, Code::DLV_FRAME);
}

#[tokio::test]
async fn a_sink_without_its_server_or_stream_tries_later() {
    let mut world = World::start().await;
    let sink = sink(&world, "");
    let delivery = a_delivery(sink.as_ref(), &a_post(), &a_channel("g1"), 1);
    world.context.delete_stream("POSTS").await.unwrap();
    let is_later = |outcomes: &[SendOutcome]| {
        matches!(
            outcomes,
            [SendOutcome::Retry {
                unavailable: true,
                ..
            }]
        )
    };
    let outcomes = sink.send(std::slice::from_ref(&delivery)).await;
    assert!(is_later(&outcomes), "{outcomes:?}");
    assert!(sink.probe().await.is_err());
    world.server.kill().await.unwrap();
    within(async { while !is_later(&sink.send(std::slice::from_ref(&delivery)).await) {} }).await;
}

#[tokio::test]
async fn a_wake_signal_reaches_the_others_and_many_are_few() {
    let world = World::start().await;
    let mut config = Wake::new(world.server.url());
    config.most_per_sec = 2;
    let watching = world.context.client();
    let mut seen = watching.subscribe("renkei.wake").await.unwrap();
    watching.flush().await.unwrap();
    let stop = CancellationToken::new();
    let hub = || {
        let (said, heard) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (config, shutdown) = (config.clone(), contract::shutdown(&stop));
        let (saying, hearing) = (said.clone(), heard.clone());
        let task = tokio::spawn(async move { carry(&config, saying, hearing, shutdown).await });
        (said, heard, task)
    };
    let (one, other) = (hub(), hub());
    // Each looks once when it is connected.
    within(one.1.notified()).await;
    within(other.1.notified()).await;
    for _ in 0..100 {
        one.0.notify_one();
        tokio::task::yield_now().await;
    }
    within(other.1.notified()).await;
    let first = within(seen.next()).await.unwrap();
    assert!(first.payload.is_empty());
    stop.cancel();
    within(one.2).await.unwrap();
    within(other.2).await.unwrap();
    let answered = tokio::time::timeout(Duration::ZERO, one.1.notified()).await;
    assert!(answered.is_err(), "a hub does not hear itself");
    watching.flush().await.unwrap();
    let mut signals = 1;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, seen.next()).await {
        signals += 1;
    }
    assert!(signals <= 3, "{signals} signals for a hundred words");
}

#[test]
fn the_limits_of_a_configuration_are_checked() {
    let facility = || FacilityId::new(FACILITY).unwrap();
    let fine = || SourceConfig::new(Connection::new("nats://127.0.0.1:4222"), "HIS", facility());
    assert!(fine().check().is_empty());
    let spoil: [fn(&mut SourceConfig); 7] = [
        |config| config.stream = "a.b".to_owned(),
        |config| config.durable = String::new(),
        |config| config.subject = Some("a..b".to_owned()),
        |config| config.facility = None,
        |config| config.max_ack_pending = 0,
        |config| config.ack_wait_secs = 0,
        |config| config.max_message_bytes = limits::FRAME_BYTES + 1,
    ];
    for (at, spoil) in spoil.into_iter().enumerate() {
        let mut config = fine();
        spoil(&mut config);
        assert_eq!(config.check().len(), 1, "number {at}");
        assert!(Source::new("his".into(), config).is_err());
    }
}
