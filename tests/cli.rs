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

/// A Bundle per draft of a local mapping too, and the spelling of numbers its source is configured with.
#[tokio::test(flavor = "multi_thread")]
async fn map_reads_files_by_a_local_mapping() {
    let folders = Folders::new();
    let root = folders.root.path();
    std::fs::write(root.join("in.json"), MANBO).unwrap();
    let with = ["--with", "builtin/emr-manbo"];
    let (code, out, _) = renkei(&["map", "in.json", with[0], with[1], "--bundle"], root).await;
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    let bundle: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(bundle["resourceType"], "Bundle");
    assert_eq!(bundle["entry"][0]["resource"]["birthDate"], "1939-02-15");
    std::fs::write(
        root.join("renkei.toml"),
        "[hub]\ndata_dir = \"data\"\n[facility.1319999999]\nname = \"x\"\nclass = \"clinic\"\ndistrict = \"杉並区\"\n\
         [source.chart]\nmapping = \"builtin/emr-manbo\"\nadapter.folder = { path = \"/srv/chart\", facility = \"1319999999\", local_id = { pad_to = 10 } }\n",
    )
    .unwrap();
    let source = ["--config", "renkei.toml", "--source", "chart"];
    let (code, out, complaint) = renkei(
        &[&["map", "in.json"], &with[..], &source[..]].concat(),
        root,
    )
    .await;
    assert_eq!(code, 0, "{complaint}");
    assert!(out.contains("\"value\":\"000a1b2c3d\""), "{out}");
}

const MANBO: &str = include_str!("../fixtures/mappings/manbo-patient.json");

/// A day of everything: per mapping the share of fields that were carried, and by name those that were not.
#[tokio::test(flavor = "multi_thread")]
async fn coverage_of_a_mixed_day() {
    let folders = Folders::new();
    let root = folders.root.path();
    for folder in ["day/his", "day/lab", "day/beds", "day/chart"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (number, case) in [
        "stays/admitted",
        "orders/tapering",
        "results/values",
        "people/whole",
    ]
    .iter()
    .enumerate()
    {
        let from = committed(&format!("fixtures/{case}/input.hl7"));
        std::fs::copy(from, root.join(format!("day/his/{number}.hl7"))).unwrap();
    }
    // One type without a reader: all of it but the patient is unread.
    let order = "MSH|^~\\&|HIS|H|||20250131090000||OML^O33|9|P|2.5||||||UNICODE UTF-8\r\
                 PID|1||0000123456||^^^^^^L^I\rORC|NW|77\rSPM|1|5|||023^血清^JC10\r";
    std::fs::write(root.join("day/his/order.hl7"), order).unwrap();
    std::fs::write(
        root.join("day/lab/r.csv"),
        "患者番号,カナ,オーダ番号,採取日,項目コード,項目名,結果,単位,保険\n\
         1,ﾔﾏﾓﾄ ｷｮｳｺ,5,2025/01/11,A01,アルブミン,3.10,g/dL,国保\n1,ﾔﾏﾓﾄ ｷｮｳｺ,5,2025/01/11,A02,CRP,1,mg/dL,\n",
    )
    .unwrap();
    std::fs::write(root.join("day/chart/p.json"), MANBO).unwrap();
    std::fs::write(
        root.join("day/beds/b.csv"),
        "hospital_code,ward_code,function,staffed,updated_at,memo\n1319999999,3E,回復期,40,2025-01-31T09:00:00+09:00,x\n",
    )
    .unwrap();

    let mapped = [
        "map",
        "coverage",
        "--json",
        "hl7v2=day/his",
        "builtin/lab-csv=day/lab",
        "builtin/bed-csv=day/beds",
        "builtin/emr-manbo=day/chart",
    ];
    let (code, out, complaint) = renkei(&mapped, root).await;
    assert_eq!((code, complaint.as_str()), (0, ""));
    let found: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let unread = |at: usize| -> Vec<(&str, u64, u64)> {
        let all = found[at]["unread"].as_array().unwrap().iter();
        all.map(|one| {
            let number = |name: &str| one[name].as_u64().unwrap();
            (
                one["field"].as_str().unwrap(),
                number("unread"),
                number("of"),
            )
        })
        .collect()
    };
    let his = unread(0);
    assert_eq!(found[0]["records"], 5);
    for field in ["ORC-1", "ORC-2", "SPM-5"] {
        assert!(
            his.iter().any(|(name, ..)| *name == field),
            "{field}: {his:?}"
        );
    }
    assert!(!his.iter().any(|(name, ..)| *name == "PID-3"), "{his:?}");
    // What a message of its own says of itself is what is counted.
    let (_, alone, _) = renkei(&["map", "day/his", "--with", "hl7v2"], root).await;
    let places = alone
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .flat_map(|line| line["unread"].as_array().cloned().unwrap_or_default())
        .filter(|place| place.as_str().unwrap().contains('-'))
        .count() as u64;
    let whole_segments = his.iter().map(|(_, unread, _)| unread).sum::<u64>();
    assert!(whole_segments > places, "{whole_segments} {places}");
    let (fields, values) = (&found[0]["fields"], &found[0]["values"]);
    assert_eq!(fields["unread"], his.len());
    assert!(fields["carried"].as_u64().unwrap() > 40, "{fields}");
    assert!(values["percent"].as_u64().unwrap() >= 80, "{values}");

    assert_eq!(unread(1), [("column 9", 1, 1)]);
    assert_eq!(found[1]["fields"]["carried"], 8);
    assert_eq!(found[1]["values"]["carried"], 16);
    assert_eq!(unread(2), [("column 6", 1, 1)]);
    assert_eq!(unread(3), [("firstReceptionDate", 1, 1)]);
    assert_eq!(found[3]["fields"]["left_on_purpose"], 3);

    // The same by the sources of a hub, and in words.
    let source = |name: &str, mapping: &str| {
        format!(
            "[source.{name}]\n{mapping}adapter.folder = {{ path = \"/srv/{name}\", facility = \"1319999999\" }}\n"
        )
    };
    let config = "[hub]\ndata_dir = \"data\"\n[facility.1319999999]\nname = \"x\"\nclass = \"hospital\"\ndistrict = \"杉並区\"\n"
        .to_owned()
        + &source("his", "")
        + &source("lab", "mapping = \"builtin/lab-csv\"\n")
        + &source("beds", "mapping = \"builtin/bed-csv\"\n")
        + &source("chart", "mapping = \"builtin/emr-manbo\"\n");
    std::fs::write(root.join("renkei.toml"), config).unwrap();
    let by_source = ["map", "coverage", "day", "--config", "renkei.toml"];
    let (code, out, complaint) = renkei(&by_source, root).await;
    assert_eq!((code, complaint.as_str()), (0, ""), "{out}");
    for words in [
        "his (hl7v2): ",
        "lab (lab-csv): 8 of 9 fields carried (88 %), 16 of 17 values (94 %); 2 records, 0 failed",
        "  not read: column 9, 1 of 1",
        "  not read: ORC-2, 1 of ",
        "all: ",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    // One mapping, as ever; and what cannot be read is said.
    std::fs::write(root.join("day/lab/bad.csv"), "a,b\n1,2\n").unwrap();
    let one = ["map", "coverage", "builtin/lab-csv", "day/lab"];
    let (code, out, complaint) = renkei(&one, root).await;
    assert_eq!(code, 65, "{out}");
    assert!(
        complaint.contains("day/lab/bad.csv") && out.contains("1 failed"),
        "{out}"
    );
    for wrong in [
        &["map", "coverage", "builtin/lab-csv"][..],
        &["map", "coverage", "nothing=day/lab"],
        &["map", "coverage", "hl7v2=day/his", "day/lab"],
        &["map", "coverage", "gone=day", "--config", "renkei.toml"],
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
