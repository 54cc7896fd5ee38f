//! Real folders, against the recording inbox.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use renkei_core::cutter::{Cut, CutError, Part, Pieces};
use renkei_core::{FacilityId, LocalId, MapError};

use super::*;
use crate::contract::{self, CANARY, RecordingInbox, Rig, Running, Verdict, within};

struct Site {
    folder: tempfile::TempDir,
    inbox: Arc<RecordingInbox>,
    config: Config,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let facility = FacilityId::new("1312345670").unwrap();
        let mut config = Config::new(folder.path().to_owned(), facility);
        (config.poll_secs, config.stable_secs, config.partner_secs) = (0, 0, 600);
        Self {
            folder,
            inbox: Arc::new(RecordingInbox::default()),
            config,
        }
    }

    fn start(&self) -> Running {
        let source = Folder::new("drop".into(), self.config.clone()).unwrap();
        let inbox: Arc<RecordingInbox> = Arc::clone(&self.inbox);
        Running::start(Arc::new(source), inbox)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes beside and renames, so that no reader sees half of it.
    fn drop_file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(".writing"), content).unwrap();
        fs::rename(self.path(".writing"), self.path(name)).unwrap();
    }

    async fn until_gone(&self, name: &str) {
        within(async {
            while self.path(name).exists() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Waits until a pass that began after this call has taken everything before `zz`.
    async fn after_a_pass(&self, number: u32) {
        let name = format!("zz{number}.hl7");
        self.drop_file(&name, adt(&format!("Z{number}"), "999"));
        within(self.inbox.until_text(&format!("|Z{number}|"))).await;
    }
}

fn adt(control_id: &str, patient: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|KAKU|HUB|R|20250111||ADT^A08^ADT_A01|{control_id}|P|2.5\rPID|1||{patient}||{CANARY}\r"
    )
}

/// One part per line, by the word before its comma; a large file in steps of 1,000 bytes.
struct Lines;

impl Lines {
    fn parts(text: &str) -> Vec<Part> {
        let part = |line: &str| Part {
            subject: line.split_once(',').map(|(id, _)| LocalId::new(id)),
            body: Bytes::copy_from_slice(line.as_bytes()),
            places: vec![(1, 1)],
            refused: line.ends_with("too long").then_some(Code::MAP_LIMIT),
        };
        text.lines().map(part).collect()
    }
}

impl Cutter for Lines {
    fn cut(&self, _file: &str, body: &Bytes) -> Result<Cut, MapError> {
        Ok(Cut {
            parts: Self::parts(std::str::from_utf8(body).unwrap()),
            ..Cut::default()
        })
    }

    fn cut_large(
        &self,
        _file: &str,
        body: &mut dyn Pieces,
        give: &mut dyn FnMut(Cut) -> bool,
    ) -> Result<(), CutError> {
        let mut text = Vec::new();
        while (text.len() as u64) < body.length() {
            let at = text.len();
            let step = (body.length() - at as u64).min(1_000);
            text.resize(at + usize::try_from(step).unwrap(), 0);
            body.read(at as u64, &mut text[at..])?;
        }
        let text = String::from_utf8(text).unwrap();
        if !text.contains(',') {
            return Err(CutError::Map(MapError {
                code: Code::MAP_NOT_THIS_FORMAT,
                at: "row 1".to_owned(),
            }));
        }
        let cut_short = !text.ends_with('\n');
        for parts in Self::parts(&text).chunks(200) {
            let cut = Cut {
                parts: parts.to_vec(),
                cut_short,
                ..Cut::default()
            };
            if !give(cut) {
                return Err(CutError::Stopped);
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_file_too_large_to_be_held_is_cut_while_it_is_read() {
    let mut site = Site::new();
    site.config.partner_secs = 0;
    let start = |site: &Site| {
        let source = Folder::new("drop".into(), site.config.clone()).unwrap();
        let source = source.cut_by(Some(Arc::new(Lines))).whole_up_to(64);
        let inbox: Arc<RecordingInbox> = Arc::clone(&site.inbox);
        Running::start(Arc::new(source), inbox)
    };
    let rows: String = (1..=500).map(|row| format!("{row:04},result\n")).collect();
    site.drop_file("day.csv", &rows);
    site.drop_file("small.csv", "7777,result\n");
    site.drop_file("noise.csv", "x".repeat(100_000));
    site.drop_file("one.csv", "0001,result\n".repeat(6) + "0002,too long\n");
    let running = start(&site);
    for name in ["day.csv", "small.csv", "noise.csv", "one.csv"] {
        site.until_gone(name).await;
        assert!(site.path("done").join(name).exists());
    }
    running.stop().await.unwrap();
    let stored = site.inbox.stored();
    let of = |name: &str| {
        let messages = stored.iter().map(|accepted| accepted.message.clone());
        messages
            .filter(|message| message.meta.path.as_deref() == Some(name))
            .collect::<Vec<_>>()
    };
    let day = of("day.csv");
    assert_eq!(day.len(), 500, "every row once");
    assert_eq!(day[499].body, "0500,result");
    assert_eq!(day[499].subject.as_ref().unwrap().expose(), "0500");
    assert_eq!(day[499].dedup_key, "day.csv#0500");
    let noise = of("noise.csv");
    assert_eq!(noise.len(), 1);
    assert_eq!(noise[0].refused, Some(Code::MAP_NOT_THIS_FORMAT));
    assert_eq!(noise[0].body.len(), limits::KEPT_OF_GIANT);
    let one = of("one.csv");
    let refused = one.last().unwrap();
    assert_eq!(refused.refused, Some(Code::MAP_LIMIT));
    assert_eq!(refused.subject.as_ref().unwrap().expose(), "0002");
}

#[tokio::test]
async fn a_large_file_that_is_not_whole_is_left_alone() {
    let site = Site::new();
    let source = Folder::new("drop".into(), site.config.clone()).unwrap();
    let source = source.cut_by(Some(Arc::new(Lines))).whole_up_to(64);
    let rows = "0001,result\n".repeat(100);
    site.drop_file("half.csv", &rows[..rows.len() - 3]);
    site.drop_file("whole.csv", &rows);
    let inbox: Arc<RecordingInbox> = Arc::clone(&site.inbox);
    let running = Running::start(Arc::new(source), inbox);
    site.until_gone("whole.csv").await;
    assert!(site.path("half.csv").exists());
    // Every message so far is of the whole one.
    let stored = site.inbox.stored();
    let mut paths = stored
        .iter()
        .map(|accepted| accepted.message.meta.path.clone());
    assert!(paths.all(|path| path.as_deref() == Some("whole.csv")));
    running.stop().await.unwrap();
}

struct FolderRig(Site);

#[async_trait]
impl Rig for FolderRig {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(Folder::new("drop".into(), self.0.config.clone()).unwrap())
    }

    async fn offer(&self, number: u32) -> Verdict {
        let name = format!("{number}.hl7");
        let refusals = self.0.inbox.refused_for_room();
        self.0
            .drop_file(&name, adt("C1", &format!("00001234{number:02}")));
        loop {
            tokio::task::yield_now().await;
            if !self.0.path(&name).exists() {
                return Verdict::Taken;
            }
            if self.0.inbox.refused_for_room() > refusals {
                return Verdict::TryAgain;
            }
        }
    }

    async fn offer_oversize(&self) -> Verdict {
        let giant = fs::File::create(self.0.path("giant.hl7")).unwrap();
        giant
            .set_len(renkei_core::limits::FRAME_BYTES as u64 + 1)
            .unwrap();
        Verdict::Rejected
    }

    fn oversize_code(&self) -> Code {
        Code::DOC_TOO_LARGE
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let site = Site::new();
    let inbox = Arc::clone(&site.inbox);
    contract::holds(Arc::new(FolderRig(site)), inbox).await;
}

#[tokio::test]
async fn hl7_files_are_cut_into_messages_and_moved() {
    let site = Site::new();
    site.drop_file("both.hl7", adt("C1", "0012") + &adt("C2", "0013"));
    site.drop_file("export.txt", adt("C3", "0012"));
    let running = site.start();
    site.until_gone("both.hl7").await;
    site.until_gone("export.txt").await;
    let stored = site.inbox.stored();
    let subjects: Vec<_> = stored
        .iter()
        .map(|accepted| {
            accepted
                .message
                .subject
                .as_ref()
                .unwrap()
                .expose()
                .to_owned()
        })
        .collect();
    assert_eq!(subjects, ["0012", "0013", "0012"]);
    assert_eq!(stored[1].message.dedup_key, "both.hl7#2");
    assert!(!stored[0].message.meta.backfill);
    assert!(site.path("done/both.hl7").exists());
    // The same name again is another file; nothing in `done` is overwritten.
    site.drop_file("both.hl7", adt("C4", "0012"));
    site.until_gone("both.hl7").await;
    assert!(site.path("done/both.hl7.2").exists());
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_document_goes_with_its_row() {
    let site = Site::new();
    site.drop_file("a.pdf", "%PDF-1.7 a");
    let running = site.start();
    site.after_a_pass(1).await;
    assert_eq!(
        site.inbox.stored().len(),
        1,
        "without its row a document waits"
    );
    let (csv, _, _) = encoding_rs::SHIFT_JIS
        .encode("患者番号,ファイル名,文書種別,文書名\r\n0012,a.pdf,18842-5,退院時サマリー\r\n");
    site.drop_file("documents.csv", csv);
    site.until_gone("documents.csv").await;
    let message = site.inbox.stored()[1].message.clone();
    assert_eq!(message.body, "%PDF-1.7 a");
    assert_eq!(message.subject.unwrap().expose(), "0012");
    assert_eq!(message.meta.media_type.as_deref(), Some("application/pdf"));
    assert_eq!(message.meta.data_type.as_deref(), Some("18842-5"));
    assert_eq!(message.meta.sidecar["title"], "退院時サマリー");
    assert!(site.path("done/a.pdf").exists() && site.path("done/documents.csv").exists());
    site.after_a_pass(2).await;
    assert!(
        site.inbox.notes().is_empty(),
        "what was put away is not remembered"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn documents_of_others_are_not_opened() {
    let site = Site::new();
    site.inbox.enroll(&["0012", "999"]);
    site.drop_file("a.pdf", "%PDF-1.7 a");
    site.drop_file("b.pdf", "%PDF-1.7 b");
    site.drop_file("documents.csv", "local_id,file\n0012,a.pdf\n0013,b.pdf\n");
    let running = site.start();
    site.until_gone("a.pdf").await;
    site.after_a_pass(1).await;
    assert!(site.path("b.pdf").exists() && site.path("documents.csv").exists());
    assert_eq!(
        (site.inbox.stored().len(), site.inbox.not_enrolled()),
        (2, 0)
    );
    site.inbox.enroll(&["0012", "0013", "999"]);
    site.until_gone("documents.csv").await;
    assert_eq!(site.inbox.bodies()[2], "%PDF-1.7 b");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_kept_with_its_code() {
    let mut site = Site::new();
    site.config.partner_secs = 0;
    site.drop_file("alone.pdf", "%PDF-1.7 alone");
    site.drop_file("memo.txt", "just a memo");
    site.drop_file("documents.csv", "local_id,file\n0012,never.pdf\n,x.pdf\n");
    let giant = fs::File::create(site.path(".giant")).unwrap();
    giant
        .set_len(renkei_core::limits::DOCUMENT_BYTES + 1)
        .unwrap();
    fs::rename(site.path(".giant"), site.path("giant.pdf")).unwrap();
    site.drop_file("giant.csv", "local_id\n0012\n");
    let running = site.start();
    for name in [
        "alone.pdf",
        "memo.txt",
        "documents.csv",
        "giant.pdf",
        "giant.csv",
    ] {
        site.until_gone(name).await;
    }
    let stored = site.inbox.stored();
    let mut codes: Vec<_> = stored
        .iter()
        .map(|accepted| {
            let message = &accepted.message;
            let path = message.meta.path.clone().unwrap();
            let name = path.split('#').next().unwrap().to_owned();
            (name, message.refused.unwrap())
        })
        .collect();
    codes.sort();
    assert_eq!(
        codes,
        [
            ("alone.pdf".to_owned(), Code::DOC_NO_SIDECAR),
            ("documents.csv".to_owned(), Code::DOC_SIDECAR_ROW),
            ("documents.csv".to_owned(), Code::DOC_SIDECAR_ROW),
            ("giant.pdf".to_owned(), Code::DOC_TOO_LARGE),
            ("memo.txt".to_owned(), Code::DOC_NO_SIDECAR),
        ]
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_only_read_is_remembered() {
    let mut site = Site::new();
    site.config.after = After::Remember;
    site.config.partner_secs = 0;
    site.drop_file("a.csv", "local_id,kind\n0012,18842-5\n");
    site.drop_file("a.pdf", "%PDF-1.7 a");
    let running = site.start();
    site.after_a_pass(1).await;
    assert!(site.inbox.stored()[0].message.meta.backfill);
    site.after_a_pass(2).await;
    running.stop().await.unwrap();
    let again = site.start();
    site.after_a_pass(3).await;
    assert_eq!(site.inbox.stored().len(), 4);
    assert!(!site.inbox.stored()[3].message.meta.backfill);
    assert!(!format!("{:?}", site.inbox.notes()).contains("a.pdf"));
    // A corrected row makes the same document another message.
    site.drop_file("a.csv", "local_id,kind\n0012,57133-1\n");
    within(site.inbox.until_stored(5)).await;
    assert_eq!(
        site.inbox.stored()[4].message.meta.data_type.as_deref(),
        Some("57133-1")
    );
    site.after_a_pass(4).await;
    assert_eq!(site.inbox.stored().len(), 6);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_not_there_yet_is_waited_for() {
    let mut site = Site::new();
    site.config.path = site.path("later");
    let running = site.start();
    fs::create_dir(site.path("later")).unwrap();
    fs::write(site.path("later/a.hl7"), adt("C1", "0012")).unwrap();
    within(site.inbox.until_stored(1)).await;
    running.stop().await.unwrap();
    assert!(
        Folder::new(
            "drop".into(),
            Config {
                path: "relative".into(),
                ..site.config
            }
        )
        .is_err()
    );
}
