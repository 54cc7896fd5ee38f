//! A hub that is watched: its figures, its health, and what they do not say.

use std::net::SocketAddr;
use std::time::Duration;

use renkei_sim::hospital::Person;
use serde_json::{Value, json};

use crate::harness::{TestHub, until};
use crate::hub::{Config, Hub};
use crate::people::{Told, message, register};

/// A configuration that serves metrics and health on a free port.
fn watched() -> Config {
    Config {
        more: "[observe]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
        ..Config::default()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_counted_at_every_stop() {
    let person = Person::synthetic(700);
    let stranger = Person::synthetic(701);
    let mut hub = TestHub::start(std::slice::from_ref(&person), watched()).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_runs_is_alive_and_ready() {
    let hub = TestHub::start(&[], watched()).await;
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
