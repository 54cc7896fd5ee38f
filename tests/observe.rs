//! A hub that is watched: its figures, its health, and what they do not say.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use renkei_sim::hospital::Person;
use serde_json::{Value, json};

use crate::harness::{TestHub, until};
use crate::hub::{Config, Hub, renkei};
use crate::people::{Told, message, register};
use crate::stores::{On, on_each_store};

/// Somebody who is told of alarms.
struct Watchman {
    url: String,
    heard: Arc<Mutex<Vec<Value>>>,
    /// Answers 503 while set.
    deaf: Arc<Mutex<bool>>,
}

impl Watchman {
    async fn start() -> Self {
        let (heard, deaf) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::default());
        let (told, away) = (heard.clone(), Arc::<Mutex<bool>>::clone(&deaf));
        let hook = move |body: axum::Json<Value>| {
            let away = *away.lock().unwrap();
            if !away {
                told.lock().unwrap().push(body.0);
            }
            std::future::ready(if away {
                axum::http::StatusCode::SERVICE_UNAVAILABLE
            } else {
                axum::http::StatusCode::NO_CONTENT
            })
        };
        let router = axum::Router::new().route("/hook", axum::routing::post(hook));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard, deaf }
    }

    /// What was heard of an alarm: its states, in order.
    fn states(&self, alarm: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let of = heard.iter().filter(|told| told["alarm"] == alarm);
        of.map(|told| told["state"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A configuration that serves metrics and health on a free port.
fn watched(on: &On) -> Config {
    Config {
        observe: "listen = \"127.0.0.1:0\"\nalarms.free_space_percent = 0".to_owned(),
        ..Config::on(on)
    }
}

/// The monitor's end.
struct Monitor {
    http: reqwest::Client,
    at: SocketAddr,
}

impl Monitor {
    fn of(hub: &Hub) -> Self {
        let log = hub.log_text();
        let line = log
            .lines()
            .find(|line| line.contains("metrics and health are served"))
            .unwrap();
        let at = line.split_once("address=").unwrap().1.trim();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self {
            http,
            at: at.parse().unwrap(),
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.at);
        let answer = self.http.get(url).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Every series and its value.
    async fn metrics(&self) -> Vec<(String, f64)> {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        let series = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let pair = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        series.map(pair).collect()
    }

    /// The sum of the series of a metric that have all these labels.
    async fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics().await;
        let wanted = metrics.iter().filter(|(series, _)| {
            series.split('{').next() == Some(name)
                && labels.iter().all(|label| series.contains(label))
        });
        wanted.map(|(_, value)| value).sum()
    }
}

async fn a_message_is_counted_at_every_stop(on: On) {
    let person = Person::synthetic(700);
    let stranger = Person::synthetic(701);
    let mut hub = TestHub::start(std::slice::from_ref(&person), watched(&on)).await;
    let monitor = Monitor::of(&hub.hub);
    assert_eq!(monitor.sum("renkei_build_info", &[]).await, 1.0);
    let sent = hub.send(&Told::admitted(&person, 120).admit()).await;
    hub.ended(&sent.control_id).await;
    // The same bytes again, somebody who is not enrolled, and bytes nobody can read.
    assert_eq!(hub.send_bytes(&sent.bytes).await.code, "AA");
    hub.send(&Told::admitted(&stranger, 60).admit()).await;
    assert_eq!(hub.send_bytes(b"not HL7 at all").await.code, "AR");
    // A merge of patient numbers waits for a person.
    let merge = message(&register(&person, 30), "MERGE").text;
    let merge = merge.replace("ADT^A08", "ADT^A40");
    assert_eq!(hub.send_bytes(merge.as_bytes()).await.code, "AA");
    hub.idle().await;

    let hospital = "source=\"hospital\"";
    for (name, labels, expected) in [
        ("renkei_messages_accepted_total", vec![hospital], 3.0),
        ("renkei_messages_duplicate_total", vec![hospital], 1.0),
        ("renkei_messages_turned_away_total", vec![hospital], 1.0),
        ("renkei_messages_received_total", vec![hospital], 5.0),
        (
            "renkei_messages_refused_total",
            vec![hospital, "RNK-HL7-001"],
            1.0,
        ),
        (
            "renkei_messages_ended_total",
            vec![hospital, "processed"],
            1.0,
        ),
        (
            "renkei_messages_ended_total",
            vec![hospital, "parked", "RNK-HL7-010"],
            1.0,
        ),
        ("renkei_source_connections", vec![hospital], 1.0),
        ("renkei_notices_settled_total", vec![], 1.0),
        ("renkei_deliveries_planned_total", vec!["sink=\"mcs\""], 1.0),
        (
            "renkei_deliveries_finished_total",
            vec!["sink=\"mcs\"", "state=\"delivered\""],
            1.0,
        ),
        (
            "renkei_attempts_total",
            vec!["sink=\"vital_link\"", "confirmed"],
            1.0,
        ),
        ("renkei_send_seconds_count", vec!["sink=\"mcs\""], 1.0),
        ("renkei_sink_paused", vec![], 0.0),
    ] {
        // What is counted was committed a moment before.
        until(&format!("{name} {labels:?} is {expected}"), async || {
            monitor.sum(name, &labels).await == expected
        })
        .await;
    }
    for verb in ["accept", "apply", "settle", "finish"] {
        let verb = format!("verb=\"{verb}\"");
        assert!(
            monitor.sum("renkei_commit_seconds_count", &[&verb]).await >= 1.0,
            "{verb}"
        );
        assert!(
            monitor.sum("renkei_group_size_sum", &[&verb]).await >= 1.0,
            "{verb}"
        );
    }
    // Labels are names of the configuration and codes: nothing of the patient.
    let (_, text) = monitor.get("/metrics").await;
    for secret in [
        person.local_id.as_str(),
        stranger.local_id.as_str(),
        &sent.control_id,
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

async fn a_hub_that_runs_is_alive_and_ready(on: On) {
    let hub = TestHub::start(&[], watched(&on)).await;
    let monitor = Monitor::of(&hub.hub);
    for path in ["/healthz", "/readyz"] {
        let (status, text) = monitor.get(path).await;
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, said),
            (200, json!({"ok": true, "reasons": []})),
            "{path}"
        );
    }
    assert_eq!(monitor.get("/").await.0, 404);
}

/// How often the hub's logs of a test say that an alarm was raised or resolved.
fn said(hub: &TestHub, what: &str, alarm: &str) -> usize {
    let log = hub.hub.log_text();
    let of = log.lines().filter(|line| line.contains(what));
    of.filter(|line| line.contains(&format!("alarm=\"{alarm}\"")))
        .count()
}

async fn an_alarm_is_raised_once_and_resolved_once_and_outlives_a_restart(on: On) {
    let watchman = Watchman::start().await;
    *watchman.deaf.lock().unwrap() = true;
    let person = Person::synthetic(702);
    let config = Config {
        observe: format!(
            "listen = \"127.0.0.1:0\"\nevery_secs = 1\nalarms = {{ good_for_secs = 1, \
             oldest_pending_secs = 1, free_space_percent = 0, webhook = \"{}\" }}",
            watchman.url
        ),
        ..Config::on(&on)
    };
    let people = std::slice::from_ref(&person);
    let mut hub = TestHub::prepared(people, config, async |office| {
        office.admit(people).await;
        office.pause("mcs", true).await;
    })
    .await;
    let monitor = Monitor::of(&hub.hub);
    until("all is well", async || {
        let metrics = monitor.metrics().await;
        let mut alarms = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("renkei_alarm{"));
        // Four questions about the hub, two about each of three sinks.
        alarms.clone().count() == 10 && alarms.all(|(_, value)| *value == 0.0)
    })
    .await;
    let raised = ["name=\"oldest_pending\"", "sink=\"mcs\""];
    hub.process(&Told::admitted(&person, 120).admit()).await;
    until("the alarm is raised", async || {
        monitor.sum("renkei_alarm", &raised).await == 1.0
    })
    .await;
    assert_eq!(said(&hub, "alarm raised", "oldest_pending"), 1);
    assert!(hub.hub.log_text().contains("code=RNK-OPS-002"));
    let root = hub.folders.root.path().to_owned();
    let (code, out, _) = renkei(&["status", "--config", "renkei.toml"], &root).await;
    assert_eq!(code, 65);
    assert!(
        out.contains("! alarm RNK-OPS-002 oldest_pending mcs since"),
        "{out}"
    );

    // The webhook was down all the time; a restart neither forgets nor repeats.
    hub.restart_after(async |_| *watchman.deaf.lock().unwrap() = false)
        .await;
    until("the webhook has it", async || {
        watchman.states("oldest_pending") == ["raised"]
    })
    .await;
    let monitor = Monitor::of(&hub.hub);
    until("it is still raised", async || {
        monitor.sum("renkei_alarm", &raised).await == 1.0
    })
    .await;
    assert_eq!(
        said(&hub, "alarm raised", "oldest_pending"),
        0,
        "said by the run before"
    );
    let told = watchman.heard.lock().unwrap()[0].clone();
    assert_eq!(
        (&told["code"], &told["sink"]),
        (&json!("RNK-OPS-002"), &json!("mcs"))
    );
    assert!(
        !told.to_string().contains(person.local_id.as_str()),
        "{told}"
    );

    hub.office.pause("mcs", false).await;
    until("it is over", async || {
        watchman.states("oldest_pending") == ["raised", "resolved"]
            && said(&hub, "alarm resolved", "oldest_pending") == 1
    })
    .await;
    assert_eq!(monitor.sum("renkei_alarm", &raised).await, 0.0);
    let (_, out, _) = renkei(&["status", "--config", "renkei.toml"], &root).await;
    assert!(!out.contains("! alarm"), "{out}");
}

async fn a_sink_that_stays_away_and_a_full_disk_are_alarms_too(on: On) {
    let person = Person::synthetic(703);
    let config = Config {
        observe: "listen = \"127.0.0.1:0\"\nevery_secs = 1\nalarms = { good_for_secs = 1, \
                  oldest_pending_secs = 1, sink_paused_secs = 1, free_space_percent = 100 }"
            .to_owned(),
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let monitor = Monitor::of(&hub.hub);
    hub.district.mcs.doors.faults(json!({"status": 503})).await;
    hub.process(&Told::admitted(&person, 120).admit()).await;
    for (alarm, sink) in [
        ("free_space", ""),
        ("oldest_pending", "mcs"),
        ("sink_paused", "mcs"),
    ] {
        let labels = [format!("name=\"{alarm}\""), format!("sink=\"{sink}\"")];
        let labels = labels.each_ref().map(String::as_str);
        until(alarm, async || {
            monitor.sum("renkei_alarm", &labels).await == 1.0
        })
        .await;
        assert_eq!(said(&hub, "alarm raised", alarm), 1, "{alarm}");
    }
    assert_eq!(
        monitor.sum("renkei_sink_paused", &["sink=\"mcs\""]).await,
        1.0
    );
    assert_eq!(monitor.sum("renkei_deliveries_pending", &[]).await, 1.0);
    // The others have theirs: nothing is wrong with them.
    assert_eq!(monitor.sum("renkei_alarm", &["sink=\"ward\""]).await, 0.0);
    hub.district.mcs.doors.faults(json!({})).await;
    for alarm in ["oldest_pending", "sink_paused"] {
        until(alarm, async || said(&hub, "alarm resolved", alarm) == 1).await;
    }
    assert_eq!(said(&hub, "alarm resolved", "free_space"), 0);
}

on_each_store! {
    a_message_is_counted_at_every_stop,
    a_hub_that_runs_is_alive_and_ready,
    an_alarm_is_raised_once_and_resolved_once_and_outlives_a_restart,
    a_sink_that_stays_away_and_a_full_disk_are_alarms_too,
}
