//! A hub that is watched: its figures, its health, and what they do not say.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use renkei_sim::hospital::Person;
use serde::Deserialize;
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
    fn states(&self, alarm: &str, sink: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let of = heard
            .iter()
            .filter(|told| told["alarm"] == alarm && told["sink"] == sink);
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
fn said(hub: &TestHub, what: &str, alarm: &str, sink: &str) -> usize {
    let log = hub.hub.log_text();
    let of = log.lines().filter(|line| line.contains(what));
    of.filter(|line| line.contains(&format!("alarm=\"{alarm}\" sink=\"{sink}\"")))
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
    until("it is logged", async || {
        said(&hub, "alarm raised", "oldest_pending", "mcs") == 1
    })
    .await;
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
        watchman.states("oldest_pending", "mcs") == ["raised"]
    })
    .await;
    let monitor = Monitor::of(&hub.hub);
    until("it is still raised", async || {
        monitor.sum("renkei_alarm", &raised).await == 1.0
    })
    .await;
    assert_eq!(
        said(&hub, "alarm raised", "oldest_pending", "mcs"),
        0,
        "said by the run before"
    );
    let heard = watchman.heard.lock().unwrap().clone();
    let told = heard.iter().find(|told| told["sink"] == "mcs").unwrap();
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
        watchman.states("oldest_pending", "mcs") == ["raised", "resolved"]
            && said(&hub, "alarm resolved", "oldest_pending", "mcs") == 1
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
        until(alarm, async || said(&hub, "alarm raised", alarm, sink) == 1).await;
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
        until(alarm, async || {
            said(&hub, "alarm resolved", alarm, "mcs") == 1
        })
        .await;
    }
    assert_eq!(said(&hub, "alarm resolved", "free_space", ""), 0);
}

fn ops(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../ops")
        .join(path)
}

/// `ops/alerts/renkei.rules.yml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    r#for: String,
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let text = std::fs::read_to_string(ops("alerts/renkei.rules.yml")).unwrap();
    let rules: Rules = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(rules.groups.len(), 1);
    assert_eq!(rules.groups[0].name, "renkei");
    rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// The queries of every panel of the dashboard.
fn queries() -> Vec<String> {
    let text = std::fs::read_to_string(ops("grafana/renkei.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| target["expr"].as_str());
    queries.map(|query| query.unwrap().to_owned()).collect()
}

/// The metrics a query asks for: words outside of label matchers that are neither functions nor
/// grouping.
fn metrics_of(query: &str) -> BTreeSet<String> {
    let (mut outside, mut depth, mut quoted) = (String::new(), 0, false);
    for character in query.chars() {
        match character {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            other if depth == 0 && !quoted => outside.push(other),
            _ => {}
        }
    }
    const WORDS: [&str; 16] = [
        "and", "by", "code", "instance", "le", "max", "name", "on", "or", "outcome", "sink",
        "source", "state", "sum", "verb", "version",
    ];
    let mut metrics = BTreeSet::new();
    let mut rest = outside.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if !after.trim_start().starts_with('(') && !WORDS.contains(&word) {
            metrics.insert(word.to_owned());
        }
        rest = after;
    }
    metrics
}

#[test]
fn a_query_is_taken_apart() {
    let query = "histogram_quantile(0.99, sum by (le, verb) (rate(a_bucket{verb=\"accept\"}[5m]))) / b > 0 or vector(0)";
    assert_eq!(
        metrics_of(query),
        ["a_bucket", "b"].map(str::to_owned).into()
    );
}

#[test]
fn every_rule_waits_and_leads_to_its_page_in_both_languages() {
    let runbook = std::fs::read_to_string(ops("runbooks/alarms.md")).unwrap();
    for rule in rules() {
        let Rule {
            alert,
            r#for,
            labels,
            annotations,
            ..
        } = &rule;
        assert!(r#for.ends_with('m'), "{alert}");
        let kana = |text: &str| text.chars().any(|c| matches!(c, 'ぁ'..='ヶ'));
        assert!(kana(&annotations["summary_ja"]), "{alert}");
        assert!(!kana(&annotations["summary_en"]), "{alert}");
        assert_eq!(annotations["runbook"], "ops/runbooks/alarms.md", "{alert}");
        assert!(
            ["page", "ticket"].contains(&labels["severity"].as_str()),
            "{alert}"
        );
        match labels.get("code") {
            Some(code) => {
                assert!(
                    ops(&format!("errors/{code}.md")).exists(),
                    "{alert}: {code}"
                );
                assert!(runbook.contains(code), "{alert}: {code}");
            }
            None => assert!(runbook.contains(&format!("`{alert}`")), "{alert}"),
        }
    }
    // The hub's own alarms and the rules ask the same questions.
    let codes: BTreeSet<String> = rules()
        .into_iter()
        .filter_map(|rule| rule.labels.get("code").cloned())
        .filter(|code| code.starts_with("RNK-OPS-"))
        .collect();
    let own: BTreeSet<String> = renkei_core::Code::ALL
        .iter()
        .map(ToString::to_string)
        .filter(|code| code.starts_with("RNK-OPS-"))
        .collect();
    assert!(codes.is_subset(&own) && codes.len() == 6, "{codes:?}");
}

async fn the_dashboard_and_the_rules_ask_for_figures_a_hub_shows(on: On) {
    let person = Person::synthetic(704);
    let mut hub = TestHub::start(std::slice::from_ref(&person), watched(&on)).await;
    let monitor = Monitor::of(&hub.hub);
    hub.process(&Told::admitted(&person, 120).admit()).await;
    hub.idle().await;
    let mut asked: BTreeSet<String> = rules()
        .iter()
        .flat_map(|rule| metrics_of(&rule.expr))
        .collect();
    assert!(asked.remove("up"), "Prometheus' own");
    for query in queries() {
        let metrics = metrics_of(&query);
        assert!(!metrics.is_empty(), "{query}");
        asked.extend(metrics);
    }
    assert!(asked.len() > 25, "{asked:?}");
    let mut missing = asked.clone();
    let mut shown = BTreeSet::new();
    until(&format!("all of {asked:?} are shown"), async || {
        let metrics = monitor.metrics().await;
        shown.extend(
            metrics
                .into_iter()
                .map(|(series, _)| series.split('{').next().unwrap().to_owned()),
        );
        missing = asked.difference(&shown).cloned().collect();
        missing.is_empty()
    })
    .await;
    // And the other way round: what a hub shows about itself is on the dashboard.
    let (_, text) = monitor.get("/metrics").await;
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for family in families.map(|line| line.split(' ').next().unwrap()) {
        assert!(
            asked.iter().any(|metric| metric.starts_with(family)),
            "{family} is on no panel"
        );
        assert!(
            text.contains(&format!("# HELP {family} ")),
            "{family} has no help"
        );
    }
}

on_each_store! {
    a_message_is_counted_at_every_stop,
    a_hub_that_runs_is_alive_and_ready,
    an_alarm_is_raised_once_and_resolved_once_and_outlives_a_restart,
    a_sink_that_stays_away_and_a_full_disk_are_alarms_too,
    the_dashboard_and_the_rules_ask_for_figures_a_hub_shows,
}
