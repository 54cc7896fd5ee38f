//! `CONTRACT.md` §4: the file drop.

use std::path::Path;
use std::time::{Duration, Instant};

use renkei_sim::{Running, ward};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Api, PDF, free, http, seed, sha256};

const MANIFEST: &str = "doc_id,version,patient_local_id,birth_date,sex,doc_type,occurred_at,author_org,file,sha256\r\n";

struct Ward {
    dir: TempDir,
    doors: Api,
    encoding: ward::Encoding,
    _running: Running,
}

async fn start(encoding: ward::Encoding) -> Ward {
    let dir = tempfile::tempdir().unwrap();
    let mut config = ward::Config::new(free(), dir.path().to_owned(), own_seed());
    config.encoding = encoding;
    config.look_every = Duration::from_millis(2);
    let running = ward::start(config).await.unwrap();
    let doors = Api {
        http: http(),
        base: running.url(),
        token: String::new(),
    };
    Ward {
        dir,
        doors,
        encoding,
        _running: running,
    }
}

/// The common seed with a patient number per team, so that each situation has its own patient.
fn own_seed() -> renkei_sim::Seed {
    let mut seed = seed();
    for team in &mut seed.teams {
        if let Some(patient) = &mut team.patient {
            patient.local_id = team.id.clone();
        }
    }
    seed
}

/// What is dropped; the default is accepted.
#[derive(Clone)]
struct Drop {
    doc: &'static str,
    version: u32,
    patient: &'static str,
    birth: &'static str,
    kind: &'static str,
    org: &'static str,
    text: String,
}

fn good() -> Drop {
    Drop {
        doc: "N1",
        version: 1,
        patient: "g",
        birth: "1939-02-15",
        kind: "discharge",
        org: "A",
        text: "退院しました".to_owned(),
    }
}

impl Drop {
    fn stem(&self) -> String {
        format!("{}_{}", self.doc, self.version)
    }

    fn row(&self, file: &str, sha256: &str) -> String {
        let Self {
            doc,
            version,
            patient,
            birth,
            kind,
            org,
            ..
        } = self;
        format!(
            "{doc},{version},{patient},{birth},female,{kind},2025-01-31T02:00:00Z,{org},{file},{sha256}\r\n"
        )
    }
}

impl Ward {
    fn bytes(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            ward::Encoding::Utf8 => text.as_bytes().to_vec(),
            ward::Encoding::Ms932 => encoding_rs::SHIFT_JIS.encode(text).0.into_owned(),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let folder = self.dir.path().join("in");
        std::fs::write(folder.join(format!("{name}.tmp")), bytes).unwrap();
        std::fs::rename(folder.join(format!("{name}.tmp")), folder.join(name)).unwrap();
    }

    /// The text, a PDF and a manifest naming both, then the marker.
    fn send(&self, drop: &Drop) {
        let stem = drop.stem();
        let text = self.bytes(&format!(
            "headline,text,urgency,source_note\r\n【退院】,\"{}\",u2,自動転送\r\n",
            drop.text
        ));
        self.put(&format!("{stem}.csv"), &text);
        self.put(&format!("{stem}.pdf"), PDF);
        let rows = drop.row(&format!("{stem}.csv"), &sha256(&text))
            + &drop.row(&format!("{stem}.pdf"), &sha256(PDF));
        self.put(
            &format!("{stem}.manifest.csv"),
            &self.bytes(&format!("{MANIFEST}{rows}")),
        );
        self.put(&format!("{stem}.done"), b"");
    }

    fn send_raw(&self, stem: &str, rows: &str, files: &[(&str, &[u8])]) {
        for (name, bytes) in files {
            self.put(name, bytes);
        }
        self.put(
            &format!("{stem}.manifest.csv"),
            &self.bytes(&format!("{MANIFEST}{rows}")),
        );
        self.put(&format!("{stem}.done"), b"");
    }

    /// Waits for a file in `out/`, takes it away and decodes it.
    async fn answer(&self, name: &str) -> Vec<String> {
        let path = self.dir.path().join("out").join(name);
        until(|| path.exists()).await;
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let text = match self.encoding {
            ward::Encoding::Utf8 => String::from_utf8(bytes).unwrap(),
            ward::Encoding::Ms932 => encoding_rs::SHIFT_JIS.decode(&bytes).0.into_owned(),
        };
        text.lines().skip(1).map(str::to_owned).collect()
    }

    /// Status and code of an acknowledgement, after the files have moved.
    async fn acked(&self, stem: &str) -> (String, String) {
        let rows = self.answer(&format!("{stem}.ack.csv")).await;
        let fields: Vec<&str> = rows[0].split(',').collect();
        let done = self.dir.path().join("in").join(format!("{stem}.done"));
        until(|| !done.exists()).await;
        (fields[2].to_owned(), fields[3].to_owned())
    }
}

/// Polls a condition on the file system, for which there is no signal; gives up after ten seconds.
async fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn ok(code: &str) -> (String, String) {
    ("ok".to_owned(), code.to_owned())
}

fn error(code: &str) -> (String, String) {
    ("error".to_owned(), code.to_owned())
}

fn exists(ward: &Ward, path: &str) -> bool {
    Path::new(ward.dir.path()).join(path).exists()
}

#[tokio::test]
async fn a_drop_is_taken_once_in_either_encoding() {
    for encoding in [ward::Encoding::Ms932, ward::Encoding::Utf8] {
        let ward = start(encoding).await;
        ward.send(&good());
        assert_eq!(ward.acked("N1_1").await, ok(""));
        assert!(exists(&ward, "taken/N1_1.pdf") && exists(&ward, "taken/N1_1.manifest.csv"));
        ward.send(&good());
        assert_eq!(ward.acked("N1_1").await, ok("duplicate"));
        ward.send(&Drop {
            text: "別の文".to_owned(),
            ..good()
        });
        assert_eq!(ward.acked("N1_1").await, error("version_conflict"));
        assert!(exists(&ward, "err/N1_1.csv"));
        let state = ward.doors.state().await;
        assert_eq!(state["documents"].as_array().unwrap().len(), 1);
        assert_eq!(
            state["documents"][0]["request"]["content"]["text"],
            "退院しました"
        );
        assert_eq!(state["documents"][0]["patient"]["local_id"], "g");
        assert_eq!(
            state["keys"],
            json!([{"client_id": "A", "key": "N1_1", "requests": 3, "effects": 1}])
        );
        assert_eq!(state["files"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn nothing_is_looked_at_before_the_marker_and_versions_do_not_mix() {
    let ward = start(ward::Encoding::Ms932).await;
    ward.put("N1_10.pdf", PDF);
    ward.put("N1_1.tmpfile", b"");
    std::fs::remove_file(ward.dir.path().join("in/N1_1.tmpfile")).unwrap();
    ward.send(&good());
    assert_eq!(ward.acked("N1_1").await, ok(""));
    assert!(
        exists(&ward, "in/N1_10.pdf"),
        "another version in flight stays"
    );
    assert_eq!(ward.doors.state().await["counts"]["requests"], 1);
}

#[tokio::test]
async fn each_fault_about_the_patient_has_its_code() {
    let ward = start(ward::Encoding::Ms932).await;
    let people = [
        (
            Drop {
                doc: "P1",
                patient: "nobody",
                ..good()
            },
            "unknown_patient",
        ),
        (
            Drop {
                doc: "P2",
                birth: "1939-02-16",
                ..good()
            },
            "patient_mismatch",
        ),
        (
            Drop {
                doc: "P3",
                patient: "g-no-consent",
                ..good()
            },
            "no_consent",
        ),
        (
            Drop {
                doc: "P4",
                org: "Z",
                ..good()
            },
            "not_a_member",
        ),
        (
            Drop {
                doc: "P5",
                patient: "g-archived",
                ..good()
            },
            "archived",
        ),
        (
            Drop {
                doc: "P6",
                kind: "",
                ..good()
            },
            "bad_manifest",
        ),
    ];
    for (drop, code) in &people {
        ward.send(drop);
        assert_eq!(ward.acked(&drop.stem()).await, error(code), "{}", drop.doc);
    }
    assert_eq!(ward.doors.state().await["counts"]["effects"], 0);
}

/// Stem, manifest rows, files, expected code.
type Case<'a> = (&'a str, String, Vec<(&'a str, &'a [u8])>, &'a str);

#[tokio::test]
async fn each_fault_of_a_file_has_its_code() {
    let ward = start(ward::Encoding::Ms932).await;
    let with = |doc: &'static str| Drop { doc, ..good() };
    let sum = sha256(PDF);
    let big = vec![b'x'; 20 * 1024 * 1024 + 1];
    let cases: [Case<'_>; 9] = [
        (
            "F1_1",
            with("F1").row("F1_1.pdf", &sum),
            vec![],
            "missing_file",
        ),
        (
            "F2_1",
            with("F2").row("F2_1.pdf", &sum),
            vec![("F2_1.pdf", b"%PDF-other")],
            "checksum_mismatch",
        ),
        (
            "F3_1",
            with("F3").row("F3_1.pdf", &sum),
            vec![("F3_1.pdf", PDF), ("F3_1-2.pdf", PDF)],
            "unexpected_file",
        ),
        (
            "F4_1",
            with("F4").row("F4_1.pdf", &sha256(b"text")),
            vec![("F4_1.pdf", b"text")],
            "unsupported_type",
        ),
        (
            "F5_1",
            with("F5").row("F5_1.pdf", &sum),
            vec![("F5_1.pdf", &big)],
            "too_large",
        ),
        (
            "F6_1",
            with("F6").row("../F6_1.pdf", &sum),
            vec![],
            "bad_manifest",
        ),
        (
            "F7_1",
            with("F8").row("F7_1.pdf", &sum),
            vec![("F7_1.pdf", PDF)],
            "bad_manifest",
        ),
        ("F9_1", String::new(), vec![], "bad_manifest"),
        (
            "F10_1",
            with("F10").row("F10_1.csv", &sha256(b"a,b\r\n")),
            vec![("F10_1.csv", b"a,b\r\n")],
            "unsupported_type",
        ),
    ];
    for (stem, rows, files, code) in cases {
        ward.send_raw(stem, &rows, &files);
        assert_eq!(ward.acked(stem).await, error(code), "{stem}");
    }
    ward.put("E1_1.manifest.csv", b"\xFF\xFF\xFF");
    ward.put("E1_1.done", b"");
    assert_eq!(ward.acked("E1_1").await, error("bad_encoding"));
    ward.put("M1_1.done", b"");
    assert_eq!(ward.acked("M1_1").await, error("missing_file"));
    assert_eq!(ward.doors.state().await["counts"]["effects"], 0);
}

#[tokio::test]
async fn utf8_profiles_refuse_ms932_text() {
    let ward = start(ward::Encoding::Utf8).await;
    let text = encoding_rs::SHIFT_JIS
        .encode("headline,text,urgency,source_note\r\n退院,退院,u2,自動\r\n")
        .0
        .into_owned();
    ward.send_raw(
        "N1_1",
        &good().row("N1_1.csv", &sha256(&text)),
        &[("N1_1.csv", &text)],
    );
    assert_eq!(ward.acked("N1_1").await, error("bad_encoding"));
}

#[tokio::test]
async fn a_later_version_replaces_and_withdrawn_takes_everything_back() {
    let ward = start(ward::Encoding::Ms932).await;
    ward.send(&good());
    assert_eq!(ward.acked("N1_1").await, ok(""));
    ward.send(&Drop {
        version: 3,
        ..good()
    });
    assert_eq!(ward.acked("N1_3").await, ok(""));
    ward.send(&Drop {
        version: 2,
        ..good()
    });
    assert_eq!(ward.acked("N1_2").await, ok("superseded"));
    ward.doors
        .door("act", &json!({"act": "archive", "team_id": "g"}))
        .await;
    ward.doors
        .door(
            "act",
            &json!({"act": "set_consent", "team_id": "g", "consent": false}),
        )
        .await;
    let gone = Drop {
        version: 4,
        kind: "withdrawn",
        ..good()
    };
    ward.send_raw("N1_4", &gone.row("", ""), &[]);
    assert_eq!(ward.acked("N1_4").await, ok(""));
    let state = ward.doors.state().await;
    let documents = state["documents"].as_array().unwrap();
    let shown: Vec<(&str, bool, &Value)> = documents
        .iter()
        .map(|one| {
            (
                one["entry_id"].as_str().unwrap(),
                one["withdrawn"].as_bool().unwrap(),
                &one["replaced_by"],
            )
        })
        .collect();
    let newest = json!("N1_4");
    assert_eq!(
        shown,
        [
            ("N1_1", true, &newest),
            ("N1_3", true, &newest),
            ("N1_2", true, &newest),
            ("N1_4", false, &Value::Null)
        ]
    );
}

#[tokio::test]
async fn confirmations_come_as_files_with_everybody_so_far() {
    let ward = start(ward::Encoding::Ms932).await;
    ward.send(&good());
    assert_eq!(ward.acked("N1_1").await, ok(""));
    let ack = |who: &str| json!({"act": "ack", "entry_id": "N1_1", "user_ref": who});
    ward.doors.door("act", &ack("nurse")).await;
    let rows = ward.answer("N1_1.seen.csv").await;
    assert_eq!(rows.len(), 1);
    assert!(
        rows[0].starts_with("N1,1,nurse,坂本 花,B,nurse;public-health-nurse,"),
        "{rows:?}"
    );
    ward.doors.door("act", &ack("sys-a")).await;
    assert_eq!(ward.answer("N1_1.seen.csv").await.len(), 2);
}

#[tokio::test]
async fn faults_reach_the_folder() {
    let ward = start(ward::Encoding::Ms932).await;
    ward.doors
        .door("faults", &json!({"drop": "after", "next": 1}))
        .await;
    ward.send(&good());
    assert_eq!(
        ward.acked("N1_1").await,
        ok("duplicate"),
        "taken, then looked at again"
    );
    let state = ward.doors.state().await;
    assert_eq!(
        state["keys"],
        json!([{"client_id": "A", "key": "N1_1", "requests": 2, "effects": 1}])
    );
    ward.doors
        .door("faults", &json!({"status": 503, "next": 1}))
        .await;
    ward.send(&Drop {
        version: 2,
        ..good()
    });
    assert_eq!(ward.acked("N1_2").await, error("try_later"));
    ward.send(&Drop {
        version: 2,
        ..good()
    });
    assert_eq!(ward.acked("N1_2").await, ok(""));
    ward.doors
        .door("faults", &json!({"drop": "before", "next": 1}))
        .await;
    ward.send(&Drop {
        version: 3,
        ..good()
    });
    assert_eq!(ward.acked("N1_3").await, ok(""));
}
