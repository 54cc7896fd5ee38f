//! `renkei load` against a running hub: what it says it sent is what the ledger holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use renkei_sim::hospital::Person;
use serde_json::Value;

use crate::harness::TestHub;
use crate::hub::{Config, renkei};

/// Number of the first person that `renkei load` invents.
const FIRST_PERSON: u64 = 100_001;
const PATIENTS: u64 = 24;

fn people() -> Vec<Person> {
    (FIRST_PERSON..FIRST_PERSON + PATIENTS)
        .map(Person::synthetic)
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_what_the_ledger_holds() {
    let hub = TestHub::start(&people(), Config::default()).await;
    let (to, patients) = (hub.hub.mllp().to_string(), PATIENTS.to_string());
    let config = hub.folders.path("renkei.toml").display().to_string();
    let arguments = [
        "load",
        "--to",
        &to,
        "--patients",
        &patients,
        "--connections",
        "4",
        "--seed",
        "11",
        "--rate",
        "60/s",
        "--for",
        "3s",
        "--bursts",
        "20/1s",
        "--duplicates",
        "20%",
        "--corrections",
        "30%",
        "--retry",
        "--ledger",
        "sent.jsonl",
        "--watch",
        &config,
        "--drain",
        "30s",
        "--json",
    ];
    let (exit, stdout, stderr) = renkei(&arguments, hub.folders.root.path()).await;
    assert_eq!(exit, 0, "{stdout}\n{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let figure = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(figure("planned"), 3 * (60 + 20));
    assert_eq!(figure("offered"), figure("planned"));
    assert_eq!(figure("accepted"), figure("planned"));
    assert_eq!(
        [
            figure("errors"),
            figure("rejected"),
            figure("unanswered"),
            figure("unsent")
        ],
        [0; 4]
    );
    assert!(
        figure("duplicates") > 0 && figure("corrections") > 0,
        "{report}"
    );
    assert_eq!(report["latency_ms"]["count"], report["accepted"]);
    assert_eq!(report["hub"]["left"], 0);

    let sent = lines(&hub.folders.path("sent.jsonl"));
    assert_eq!(sent.len() as u64, figure("accepted") + figure("duplicates"));
    let first: Vec<&Value> = sent
        .iter()
        .filter(|line| line["duplicate"] == false)
        .collect();
    let corrected = first.iter().filter(|line| line["corrects"] == true);
    assert_eq!(corrected.count() as u64, figure("corrections"));
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let said: BTreeMap<String, String> = first
        .iter()
        .map(|line| (text(line, "control"), text(line, "sha256")))
        .collect();
    assert_eq!(said.len(), first.len(), "every control id is used once");

    // Every message stands in the ledger once, with the bytes that were sent, and was processed.
    let kept = hub
        .office
        .texts("SELECT control || ' ' || lower(hex(body_hash)) FROM message JOIN outcome USING (position) WHERE source = 'hospital' AND state = 'processed'")
        .await;
    let wanted: BTreeSet<String> = said
        .iter()
        .map(|(control, hash)| format!("{control} {hash}"))
        .collect();
    assert_eq!(kept.len(), wanted.len());
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), wanted);

    // In each patient's messages the order of acceptance is the order in which they were acknowledged.
    let order = hub
        .office
        .texts("SELECT control FROM message WHERE source = 'hospital' ORDER BY position")
        .await;
    for patient in first
        .iter()
        .map(|line| text(line, "patient"))
        .collect::<BTreeSet<_>>()
    {
        let mine: Vec<String> = first
            .iter()
            .filter(|line| text(line, "patient") == patient)
            .map(|line| text(line, "control"))
            .collect();
        let theirs: Vec<&String> = order
            .iter()
            .filter(|control| mine.contains(*control))
            .collect();
        assert_eq!(theirs, mine.iter().collect::<Vec<_>>(), "{patient}");
    }
    assert!(
        hub.district.effects().await > 0,
        "nobody was told of any stay"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_gets_again_what_it_did_not_acknowledge() {
    let mut hub = TestHub::start(&people(), Config::default()).await;
    // The hub comes back where it was.
    let to = hub.hub.mllp().to_string();
    let text = std::fs::read_to_string(hub.folders.path("renkei.toml")).unwrap();
    let fixed = text.replace("127.0.0.1:0", &to);
    std::fs::write(hub.folders.path("renkei.toml"), fixed).unwrap();
    let folder = hub.folders.root.path().to_owned();
    let patients = PATIENTS.to_string();
    let sending = tokio::spawn(async move {
        let arguments = [
            "load",
            "--to",
            &to,
            "--patients",
            &patients,
            "--connections",
            "4",
            "--seed",
            "12",
            "--rate",
            "200/s",
            "--for",
            "4s",
            "--retry",
            "--ledger",
            "sent.jsonl",
            "--json",
        ];
        renkei(&arguments, &folder).await
    });
    let office = &hub.office;
    crate::harness::until("the hub has some", async || {
        office.number("SELECT count(*) FROM message").await > 100
    })
    .await;
    hub.hub.kill().await;
    hub.hub = crate::hub::Hub::start(&hub.folders, &hub.config).await;
    let (exit, stdout, stderr) = sending.await.unwrap();
    assert_eq!(exit, 0, "{stdout}\n{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["accepted"], 800, "{report}");
    assert!(report["cuts"].as_u64().unwrap() > 0, "{report}");
    let controls: BTreeSet<String> = lines(&hub.folders.path("sent.jsonl"))
        .iter()
        .map(|line| line["control"].as_str().unwrap().to_owned())
        .collect();
    let kept = hub
        .office
        .texts("SELECT control FROM message WHERE source = 'hospital'")
        .await;
    assert_eq!(kept.len(), 800, "each once");
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), controls);
    hub.idle().await;
    let failed = hub
        .office
        .number("SELECT count(*) FROM outcome WHERE state <> 'processed'")
        .await;
    assert_eq!(failed, 0);
}

#[tokio::test]
async fn nothing_is_sent_beyond_this_machine_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let (exit, _, stderr) = renkei(&["load", "--to", "192.0.2.7:2575"], folder.path()).await;
    assert_eq!(exit, 64);
    assert!(
        stderr.contains("--is-test-system 192.0.2.7:2575"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_listener_that_is_not_there_is_said_in_figures() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = free.local_addr().unwrap().to_string();
    drop(free);
    let arguments = [
        "load",
        "--to",
        &to,
        "--rate",
        "50/s",
        "--for",
        "1s",
        "--patience",
        "500ms",
        "--json",
    ];
    let (exit, stdout, stderr) = renkei(&arguments, folder.path()).await;
    assert_eq!(exit, 65, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&report["unsent"], &report["accepted"]),
        (&50.into(), &0.into()),
        "{report}"
    );
}

#[tokio::test]
async fn a_rehearsal_is_prepared_with_files_that_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let prepare = [
        "load",
        "--prepare",
        "stage",
        "--profile",
        "tokyo",
        "--share",
        "0.01%",
        "--port",
        "20100",
    ];
    let (exit, stdout, stderr) = renkei(&prepare, folder.path()).await;
    assert_eq!(
        (exit, stdout.as_str()),
        (0, "16 patients in stage\n"),
        "{stderr}"
    );
    for (what, rows) in [("consents", 16), ("channels", 48)] {
        let file = format!("stage/{what}.csv");
        let import = [
            "import",
            what,
            &file,
            "--by",
            "tester",
            "--config",
            "stage/renkei.toml",
        ];
        let (exit, stdout, stderr) = renkei(&import, folder.path()).await;
        assert_eq!(exit, 0, "{stdout}{stderr}");
        assert_eq!(stdout, format!("{rows} waiting-for-patient\n"));
    }
}

#[tokio::test]
async fn the_whole_way_is_measured_with_one_ratio() {
    let folder = tempfile::tempdir().unwrap();
    let bench = [
        "bench",
        "walk",
        "--seconds",
        "3",
        "--rate",
        "40",
        "--patients",
        "60",
        "--connections",
        "4",
        "--stored",
        "200",
        "--dir",
        ".",
        "--json",
    ];
    let (exit, stdout, stderr) = renkei(&bench, folder.path()).await;
    assert_eq!(exit, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let figure = |label: &str| {
        let all = report["figures"].as_array().unwrap();
        let found = all.iter().find(|figure| figure["label"] == label);
        found.unwrap_or_else(|| panic!("{label}: {report}"))["value"]
            .as_f64()
            .unwrap()
    };
    assert!(report["ratio"].as_f64().unwrap() > 0.0);
    for label in ["walk.answered_otherwise", "walk.parked_or_failed"] {
        assert_eq!(figure(label).to_string(), "0", "{label}");
    }
    for label in [
        "walk.posts_per_message",
        "walk.cpu",
        "walk.memory_idle",
        "walk.oru40_alone.cpu",
        "walk.ack_p99",
    ] {
        assert!(figure(label) > 0.0, "{label}");
    }
    assert_eq!(figure("walk.stored").to_string(), "200");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "it takes its folder away");
}
