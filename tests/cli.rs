//! The command line from outside: what is printed where, and the exit codes scripts go by.

use std::path::Path;

use renkei_sim::hospital::Person;
use serde_json::Value;

use crate::harness::TestHub;
use crate::hub::{Config, Folders, renkei};
use crate::peers::District;
use crate::people::{Told, message};
use crate::stores::{On, on_each_store};

fn committed(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_wrong_and_where() {
    let folders = Folders::new();
    let district = District::start(folders.root.path(), &[]).await;
    let path = folders.configure(&Config::default(), &district);
    let root = folders.root.path();
    let (code, out, complaint) = renkei(&["check", "--config", "renkei.toml"], root).await;
    assert_eq!((code, complaint.as_str()), (0, ""), "{out}");
    assert!(out.contains("3 sources, 3 peers"), "{out}");
    let (code, out, complaint) =
        renkei(&["check", "--probe", "--config", "renkei.toml"], root).await;
    assert_eq!(code, 0, "{complaint}");
    assert_eq!(out.matches("answers").count(), 3, "{out}");

    let whole = std::fs::read_to_string(&path).unwrap();
    for (part, by, place) in [
        ("settle_secs = 0", "settle_sec = 0", "renkei.toml:"),
        (
            "mode = \"live\"\nagreement_ref = \"test\"\n[peer.mcs.",
            "mode = \"live\"\n[peer.mcs.",
            "RNK-RTE-013",
        ),
        (
            "listen = \"127.0.0.1:0\"",
            "listen = \"0.0.0.0:0\"",
            "RNK-CFG-002",
        ),
        ("secret = { file", "secret = { plain", "renkei.toml:"),
    ] {
        assert!(whole.contains(part), "{part}");
        std::fs::write(&path, whole.replacen(part, by, 1)).unwrap();
        let (code, out, complaint) = renkei(&["check", "--config", "renkei.toml"], root).await;
        assert_eq!((code, out.as_str()), (64, ""), "{by}: {complaint}");
        assert!(complaint.contains(place), "{by}: {complaint}");
        assert!(!complaint.contains("s3cret"), "{complaint}");
    }
    let (code, _, complaint) = renkei(&["check", "--config", "nowhere.toml"], root).await;
    assert_eq!(code, 64, "{complaint}");
    let (code, _, _) = renkei(&["fly"], root).await;
    assert_eq!(code, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_are_those_that_are_committed() {
    for (command, file) in [
        (&["schema"][..], "ops/renkei.schema.json"),
        (&["map", "schema"], "ops/mapping.schema.json"),
    ] {
        let (code, out, _) = renkei(command, Path::new(".")).await;
        assert_eq!(code, 0);
        let path = committed(file);
        if std::env::var_os("RENKEI_WRITE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &out).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        let (now, kept): (Value, Value) = (
            serde_json::from_str(&out).unwrap(),
            serde_json::from_str(&kept).unwrap(),
        );
        assert!(
            now == kept,
            "{file} is old: run the test with RENKEI_WRITE_SNAPSHOTS=1 and read the difference"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_is_the_one_that_is_committed() {
    let (code, mut out, _) = renkei(&["--help"], Path::new(".")).await;
    assert_eq!(code, 0);
    let commands: Vec<String> = out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let (code, help, _) = renkei(&[&command, "--help"], Path::new(".")).await;
        assert_eq!(code, 0, "{command}");
        out.push_str(&format!("\n--- {command} ---\n{help}"));
    }
    let path = committed("tests/help.txt");
    if std::env::var_os("RENKEI_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &out).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = out
        .lines()
        .zip(kept.lines())
        .find(|(now, then)| now != then);
    assert!(
        out == kept,
        "tests/help.txt is old, first at {differs:?}: run the test with RENKEI_WRITE_SNAPSHOTS=1 and read the difference"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn map_prints_a_line_per_message_or_a_bundle() {
    let folders = Folders::new();
    let root = folders.root.path();
    let person = Person::synthetic(95);
    let mut told = Told::admitted(&person, 300);
    let admit = told.admit();
    let discharge = told.discharge(10, "01");
    let both = [message(&admit, "M1").bytes, message(&discharge, "M2").bytes].concat();
    std::fs::create_dir(root.join("tree")).unwrap();
    std::fs::write(root.join("tree/both.hl7"), &both).unwrap();
    std::fs::write(root.join("tree/other.hl7"), &both).unwrap();
    let (code, out, complaint) = renkei(&["map", "tree", "--with", "hl7v2"], root).await;
    assert_eq!((code, complaint.as_str()), (0, ""));
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    let places: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["file"].as_str().unwrap(),
                line["index"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places.iter().map(|(file, _)| *file).collect::<Vec<_>>(),
        [
            "tree/both.hl7",
            "tree/both.hl7",
            "tree/other.hl7",
            "tree/other.hl7"
        ]
    );
    assert_ne!(places[0].1, places[1].1);
    for line in &lines {
        assert!(
            line["outcome"].as_str().unwrap().starts_with("mapped"),
            "{line}"
        );
        let types: Vec<_> = line["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|resource| resource["resourceType"].as_str().unwrap())
            .collect();
        assert!(
            types.contains(&"Patient") && types.contains(&"Encounter"),
            "{types:?}"
        );
        assert!(line["findings"].is_array());
    }
    let (code, out, _) = renkei(
        &["map", "tree/both.hl7", "--with", "hl7v2", "--bundle"],
        root,
    )
    .await;
    assert_eq!(code, 0);
    for line in out.lines() {
        let bundle: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (bundle["resourceType"].as_str(), bundle["type"].as_str()),
            (Some("Bundle"), Some("collection"))
        );
        assert!(bundle["entry"].as_array().unwrap().len() >= 2);
    }
    assert_eq!(out.lines().count(), 2);
    std::fs::write(root.join("tree/none.hl7"), "no message at all").unwrap();
    let (code, out, complaint) = renkei(&["map", "tree", "--with", "hl7v2"], root).await;
    assert_eq!((code, out.lines().count()), (65, 5), "{complaint}");
    assert!(
        complaint.contains("tree/none.hl7: RNK-HL7-001"),
        "{complaint}"
    );
    for wrong in [
        &["map", "tree", "--with", "hl9"][..],
        &["map", "tree", "--with", "hl7v2", "--facility", "12"],
        &["map"],
    ] {
        assert_eq!(renkei(wrong, root).await.0, 64, "{wrong:?}");
    }
}

async fn trace_shows_the_whole_way_of_a_message(on: On) {
    let person = Person::synthetic(96);
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    let built = hub.send(&Told::admitted(&person, 120).admit()).await;
    hub.ended(&built.control_id).await;
    hub.idle().await;
    let posts = hub.district.mcs.doors.told_of(&person).await;
    let seen = serde_json::json!({"act": "ack", "entry_id": posts[0].id, "user_ref": "u-nurse"});
    hub.district.mcs.doors.act(seen).await;
    crate::harness::until("了解 came back", async || {
        hub.office.number("SELECT count(*) FROM seen").await == 1
    })
    .await;
    let root = hub.folders.root.path();
    let (code, out, complaint) = renkei(
        &["trace", &built.control_id, "--config", "renkei.toml"],
        root,
    )
    .await;
    assert_eq!(code, 0, "{complaint}");
    let delivery = hub
        .office
        .texts("SELECT id FROM delivery WHERE sink = 'mcs'")
        .await
        .remove(0);
    for part in [
        built.control_id.as_str(),
        "Encounter",
        "入院",
        "permit",
        "mcs",
        "vital_link",
        "ward",
        "confirmed",
        "u-nurse",
        delivery.as_str(),
    ] {
        assert!(out.contains(part), "{part} in:\n{out}");
    }
    assert!(out.lines().count() <= 60, "one screen:\n{out}");
    // The same by what the peer calls it, and by the patient's number.
    for term in [
        posts[0].id.as_str(),
        person.local_id.as_str(),
        delivery.as_str(),
    ] {
        let (code, out, complaint) =
            renkei(&["trace", term, "--config", "renkei.toml"], root).await;
        assert_eq!(code, 0, "{term}: {complaint}");
        assert!(out.contains(&delivery), "{term}:\n{out}");
    }
    let (code, _, complaint) = renkei(&["status", "--config", "renkei.toml"], root).await;
    assert_eq!(code, 0, "{complaint}");
    let (code, out, complaint) =
        renkei(&["deliveries", "--json", "--config", "renkei.toml"], root).await;
    assert_eq!(code, 0, "{complaint}");
    let listed: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed.len(), 3, "{out}");
}

on_each_store! {
    trace_shows_the_whole_way_of_a_message,
}
