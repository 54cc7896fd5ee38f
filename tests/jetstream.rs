//! NATS JetStream at both ends of the walk: a stream that a hospital's messages come from, a stream that
//! posts go to, and the signal that wakes other hubs. Against a real `nats-server`.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_nats::jetstream::{self, Context, stream};
use renkei::store::operator::{ChannelRow, Import, Operator as _};
use renkei::world::DeliveryState;
use renkei_sim::hospital::Person;
use renkei_sim::nats::Server;
use tokio::time::timeout;

use crate::harness::{TestHub, until};
use crate::hub::{Config, Hub};
use crate::office::{by, channel_row};
use crate::people::{HOSPITAL, Told, message, register};

const PATIENTS: usize = 25;
const MESSAGES: usize = 500;

/// A server with the hospital's stream and the one for posts, and who speaks to it.
struct Streams {
    server: Server,
    context: Context,
    _folder: tempfile::TempDir,
}

impl Streams {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path()).await.unwrap();
        let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
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

    /// The tables of both streams and of the wake signal.
    fn tables(&self) -> String {
        let url = self.server.url();
        format!(
            r#"
[ledger]
wake = {{ nats = "{url}" }}

[source.stream]
admit = "all"
[source.stream.adapter.jetstream]
connection = {{ servers = ["{url}"], timeout_ms = 2000 }}
stream = "HIS"
subject = "his.*.adt"
facility = "{HOSPITAL}"

[peer.posts]
mode = "live"
agreement_ref = "test"
[peer.posts.adapter.jetstream]
connection = {{ servers = ["{url}"], timeout_ms = 2000 }}
stream = "POSTS"
subject = "renkei.posts.{{channel}}"
"#
        )
    }

    /// Publishes a message of the hospital under its control id, as often as it takes.
    async fn publish(&self, control_id: &str, body: Vec<u8>) {
        let publish = jetstream::message::PublishMessage::build()
            .message_id(control_id)
            .payload(body.into());
        until("the server has a message", async || {
            let sent = self.context.send_publish("his.kaku.adt", publish.clone());
            match sent.await {
                Ok(answer) => answer.await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
    }

    /// The ids of the posts in the stream, in order, with their words.
    async fn posts(&self) -> Vec<(String, String)> {
        let mut stream = self.context.get_stream("POSTS").await.unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        let mut posts = Vec::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let id = message.headers.get("Renkei-Delivery").unwrap();
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            posts.push((
                id.to_string(),
                body["headline"].as_str().unwrap().to_owned(),
            ));
        }
        posts
    }
}

fn stream_row(person: &Person) -> ChannelRow {
    ChannelRow {
        peer_ref: format!("s-{}", person.local_id),
        ..channel_row("posts", person)
    }
}

/// `patient-number`, as the control id of a message.
fn control_id(number: usize) -> String {
    format!("P{:02}-{:03}", number % PATIENTS, number / PATIENTS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_arrives_once_and_in_order_though_the_hub_is_cut_off() {
    let streams = Streams::start().await;
    let people: Vec<Person> = (1..=PATIENTS as u64).map(Person::synthetic).collect();
    let mut config = Config {
        more: streams.tables(),
        ..Config::default()
    };
    let flag = tempfile::tempdir().unwrap();
    let flag = flag.path().join("now");
    let armed = format!("accept-after:{}", flag.display());
    config.env = vec![("RENKEI_KILL_AT", armed)];
    let mut signals = streams
        .context
        .client()
        .subscribe("renkei.wake")
        .await
        .unwrap();
    let mut hub = TestHub::prepared(&[], config, async |_| {}).await;
    let stored = "SELECT count(*) FROM message WHERE source = 'stream'";
    let mut published = 0;
    let mut publish_until = async |end: usize| {
        for number in published..end {
            let person = &people[number % PATIENTS];
            let built = message(&register(person, 60), &control_id(number));
            streams.publish(&built.control_id, built.bytes).await;
        }
        published = end;
    };
    publish_until(100).await;
    until("some are stored", async || {
        hub.office.number(stored).await >= 50
    })
    .await;
    let signal = timeout(
        Duration::from_secs(10),
        futures_util::StreamExt::next(&mut signals),
    );
    assert!(signal.await.unwrap().unwrap().payload.is_empty());
    // Once between commit and acknowledgment, then anywhere.
    for end in [250, 400] {
        std::fs::write(&flag, "").unwrap();
        publish_until(end).await;
        assert!(hub.hub.ended(Duration::from_secs(20)).await.is_some());
        std::fs::remove_file(&flag).unwrap();
        hub.hub = Hub::start(&hub.folders, &hub.config).await;
    }
    hub.hub.kill().await;
    publish_until(MESSAGES).await;
    hub.hub = Hub::start(&hub.folders, &hub.config).await;
    until("all are stored", async || {
        hub.office.number(stored).await >= i64::try_from(MESSAGES).unwrap()
    })
    .await;
    hub.idle().await;
    let kept = hub
        .office
        .texts("SELECT control FROM message WHERE source = 'stream' ORDER BY position")
        .await;
    assert_eq!(kept.len(), MESSAGES);
    let mut by_patient: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for control in &kept {
        let (patient, number) = control.split_once('-').unwrap();
        by_patient.entry(patient).or_default().push(number);
    }
    assert_eq!(by_patient.len(), PATIENTS);
    for (patient, numbers) in by_patient {
        let once: HashSet<&str> = numbers.iter().copied().collect();
        assert_eq!(once.len(), MESSAGES / PATIENTS, "{patient}");
        assert!(numbers.is_sorted(), "{patient}: {numbers:?}");
    }
    let processed = "SELECT count(*) FROM outcome JOIN message USING (position) WHERE source = 'stream' AND state = 'processed'";
    assert_eq!(
        hub.office.number(processed).await,
        i64::try_from(MESSAGES).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_stands_in_its_stream_once_though_hub_and_server_are_cut_off() {
    let mut streams = Streams::start().await;
    let people: Vec<Person> = (51..=53).map(Person::synthetic).collect();
    let flag = tempfile::tempdir().unwrap();
    let flag = flag.path().join("now");
    let config = Config {
        more: streams.tables(),
        log: "info,async_nats=trace",
        env: vec![("RENKEI_KILL_AT", format!("send-after:{}", flag.display()))],
        ..Config::default()
    };
    let mut hub = TestHub::prepared(&people, config, async |office| {
        office.enrol(&people).await;
        let to_stream = |row: &mut renkei::store::operator::ConsentRow| {
            row.recipients = "sink:posts".to_owned();
        };
        office.consent(&people, to_stream).await;
        let rows: Vec<ChannelRow> = people.iter().map(stream_row).collect();
        let who = by();
        let done = office
            .ledger
            .import_channels(&rows, &who, Import::default());
        done.await.unwrap();
    })
    .await;
    let admit = async |streams: &Streams, number: usize| {
        let told = Told::admitted(&people[number], 30);
        let built = message(&told.admit(), &format!("A{number}"));
        streams.publish(&built.control_id, built.bytes).await;
    };
    admit(&streams, 0).await;
    admit(&streams, 1).await;
    until("two are told", async || streams.posts().await.len() == 2).await;
    hub.idle().await;
    // The server has the third, the ledger does not know.
    std::fs::write(&flag, "").unwrap();
    admit(&streams, 2).await;
    assert!(hub.hub.ended(Duration::from_secs(20)).await.is_some());
    std::fs::remove_file(&flag).unwrap();
    assert_eq!(streams.posts().await.len(), 3);
    streams.server.kill().await.unwrap();
    let log = hub.hub.log_text();
    hub.hub = Hub::start(&hub.folders, &hub.config).await;
    streams.server.resume().await.unwrap();
    until("all are delivered", async || {
        hub.office.deliveries(DeliveryState::Delivered).await.len() == 3
    })
    .await;
    until("the server answers", async || {
        streams.context.get_stream("POSTS").await.is_ok()
    })
    .await;
    let posts = streams.posts().await;
    let ids: HashSet<&String> = posts.iter().map(|(id, _)| id).collect();
    assert_eq!((posts.len(), ids.len()), (3, 3), "{posts:?}");
    assert!(posts.iter().all(|(_, headline)| headline.contains("入院")));
    let log = log + &hub.hub.log_text();
    for person in &people {
        for personal in [&person.local_id, &person.family, &person.kana_family] {
            assert!(
                !log.contains(personal.as_str()),
                "patient text in a log line"
            );
        }
    }
}

/// What one hospital does differently is laid over the mapping, and its messages may come from a stream.
#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_reads_a_stream() {
    let streams = Streams::start().await;
    let person = Person::synthetic(61);
    let source = "[source.stream]\n";
    let overlaid = format!("{source}mapping = \"maps/his.yaml\"\n");
    let config = Config {
        more: streams.tables().replace(source, &overlaid),
        ..Config::default()
    };
    let people = std::slice::from_ref(&person);
    let hub = TestHub::in_folders(crate::labs::site(), people, config, async |_| {}).await;
    let events = [register(&person, 60), Told::admitted(&person, 30).admit()];
    for (number, event) in events.iter().enumerate() {
        let built = message(event, &format!("O{number}"));
        streams.publish(&built.control_id, built.bytes).await;
    }
    let mut said = Vec::new();
    until("both were read", async || {
        said = crate::labs::outcomes(&hub, "stream").await;
        said.len() == 2
    })
    .await;
    for said in said {
        assert!(said.starts_with("processed - local/1-his."), "{said}");
    }
    let patients = hub.office.bodies("Patient").await;
    assert!(
        patients[0].contains("\"display\":\"HOSP01\""),
        "{patients:?}"
    );
    assert_eq!(hub.office.bodies("Encounter").await.len(), 1);
}
