//! Real folders, against the recording inbox.

use std::fs;

use renkei_core::{FacilityId, Flag};

use super::*;
use crate::contract::{self, Accepted, CANARY, RecordingInbox, Rig, Running, Verdict, within};

const PATIENT: &str = "0000123456";

fn facility() -> FacilityId {
    FacilityId::new("1312345670").unwrap()
}

fn adt(control_id: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|KAKU|HUB|R|20250111||ADT^A08^ADT_A01|{control_id}|P|2.5\rPID|1||{PATIENT}||{CANARY}\r"
    )
}

/// A storage in a temporary folder, and the source that reads it.
struct Site {
    folder: tempfile::TempDir,
    inbox: Arc<RecordingInbox>,
    kind: Kind,
    stable_secs: u64,
}

impl Site {
    fn new(kind: Kind) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            inbox: Arc::new(RecordingInbox::default()),
            kind,
            stable_secs: 0,
        }
    }

    fn start(&self) -> Running {
        let mut config = Config::new(vec![Root {
            path: self.folder.path().join("STD01"),
            facility: facility(),
            kind: self.kind,
        }]);
        fs::create_dir_all(self.folder.path().join("STD01")).unwrap();
        (config.poll_secs, config.stable_secs, config.recheck_secs) = (0, self.stable_secs, 0);
        let source = Ssmix2::new("storage".into(), config).unwrap();
        let inbox: Arc<RecordingInbox> = Arc::clone(&self.inbox);
        Running::start(Arc::new(source), inbox)
    }

    /// The path of a file of a patient; makes its folders.
    fn path(&self, patient: &str, date: &str, data_type: &str, name: &str) -> PathBuf {
        let folder = self
            .folder
            .path()
            .join("STD01")
            .join(&patient[..3])
            .join(&patient[3..6]);
        let folder = folder.join(patient).join(date).join(data_type);
        fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    fn admission(&self, patient: &str, time: &str, flag: u8) -> PathBuf {
        let name = format!("{patient}_20250111_ADT-22_000000000000001_{time}_01_{flag}");
        self.path(patient, "20250111", "ADT-22", &name)
    }

    /// Waits until a pass that began after this call is over: a marker patient is taken in it.
    async fn after_a_pass(&self, number: u32) {
        let patient = format!("99999{number:05}");
        let path = self.admission(&patient, "20250101000000000", 1);
        write_whole(&path, &adt(&format!("M{number}")));
        within(self.inbox.until_text(&format!("|M{number}|"))).await;
    }

    async fn stored(&self, count: usize) -> Vec<Accepted> {
        within(self.inbox.until_stored(count)).await;
        self.inbox.stored()
    }
}

/// Writes beside and renames, so that no reader sees half of it.
fn write_whole(path: &Path, text: &str) {
    let beside = path.with_file_name(".writing");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

struct StorageRig {
    site: Site,
}

#[async_trait]
impl Rig for StorageRig {
    fn source(&self) -> Arc<dyn Source> {
        let mut config = Config::new(vec![Root {
            path: self.site.folder.path().join("STD01"),
            facility: facility(),
            kind: Kind::Standard,
        }]);
        fs::create_dir_all(self.site.folder.path().join("STD01")).unwrap();
        (config.poll_secs, config.stable_secs) = (0, 0);
        Arc::new(Ssmix2::new("storage".into(), config).unwrap())
    }

    async fn offer(&self, number: u32) -> Verdict {
        let patient = format!("00001234{number:02}");
        let key = files::hash_parts(&[
            &files::hash_parts(&[
                facility().as_str(),
                &listing::root_name(&self.site.folder.path().join("STD01")),
            ]),
            &format!("{}/{}/{patient}", &patient[..3], &patient[3..6]),
        ]);
        let is_noted = || {
            self.site
                .inbox
                .notes()
                .keys()
                .any(|note| note.starts_with(&format!("f:{key}")))
        };
        if is_noted() {
            return Verdict::Taken;
        }
        let refusals = self.site.inbox.refused_for_room();
        write_whole(
            &self.site.admission(&patient, "20250111113000000", 1),
            &adt("C1"),
        );
        loop {
            tokio::task::yield_now().await;
            if is_noted() {
                return Verdict::Taken;
            }
            if self.site.inbox.refused_for_room() > refusals {
                return Verdict::TryAgain;
            }
        }
    }

    async fn offer_oversize(&self) -> Verdict {
        let path = self.site.admission("0000123499", "20250111113000000", 1);
        let giant = fs::File::create(path).unwrap();
        giant
            .set_len(renkei_core::limits::FRAME_BYTES as u64 + 1)
            .unwrap();
        Verdict::Rejected
    }

    fn oversize_code(&self) -> Code {
        Code::HL7_FRAME_TOO_LARGE
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let site = Site::new(Kind::Standard);
    let inbox = Arc::clone(&site.inbox);
    contract::holds(Arc::new(StorageRig { site }), inbox).await;
}

#[tokio::test]
async fn a_first_walk_is_backfill_in_order_and_what_follows_is_news() {
    let site = Site::new(Kind::Standard);
    write_whole(&site.admission(PATIENT, "20250111120000000", 1), &adt("C2"));
    write_whole(&site.admission(PATIENT, "20250111110000000", 2), &adt("C1"));
    let running = site.start();
    let stored = site.stored(2).await;
    let first = &stored[0].message;
    assert_eq!(first.meta.flag, Some(Flag::Superseded));
    assert_eq!(first.meta.data_type.as_deref(), Some("ADT-22"));
    let path = "000/012/0000123456/20250111/ADT-22/0000123456_20250111_ADT-22_000000000000001_20250111110000000_01_2";
    assert_eq!(first.meta.path.as_deref(), Some(path));
    assert_eq!(first.dedup_key, format!("1312345670/{path}#1"));
    assert_eq!(first.subject.as_ref().unwrap().expose(), PATIENT);
    assert_eq!(stored[1].message.meta.flag, Some(Flag::Current));
    assert!(stored.iter().all(|accepted| accepted.message.meta.backfill));

    within(async {
        while !site.inbox.notes().keys().any(|key| key.starts_with("r:")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    write_whole(&site.admission(PATIENT, "20250111130000000", 1), &adt("C3"));
    let stored = site.stored(3).await;
    assert!(!stored[2].message.meta.backfill);
    // A patient whose folder is new, while the set of admitted patients is the same, is news too.
    write_whole(
        &site.admission("0000777777", "20250111130000000", 1),
        &adt("C4"),
    );
    let stored = site.stored(4).await;
    assert!(!stored[3].message.meta.backfill);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_rename_is_an_event_and_a_restart_is_none() {
    let site = Site::new(Kind::Standard);
    let current = site.admission(PATIENT, "20250111110000000", 1);
    write_whole(&current, &adt("C1"));
    let running = site.start();
    site.stored(1).await;
    let superseded = site.admission(PATIENT, "20250111110000000", 2);
    fs::rename(&current, &superseded).unwrap();
    let stored = site.stored(2).await;
    assert_eq!(stored[1].message.meta.flag, Some(Flag::Superseded));
    let deleted = site.admission(PATIENT, "20250111110000000", 0);
    fs::rename(&superseded, &deleted).unwrap();
    let stored = site.stored(3).await;
    assert_eq!(stored[2].message.meta.flag, Some(Flag::Deleted));
    assert!(stored[2].message.dedup_key.ends_with("_0#1"));
    site.after_a_pass(1).await;
    running.stop().await.unwrap();

    let offered_before = site.inbox.stored().len();
    let again = site.start();
    site.after_a_pass(2).await;
    assert_eq!(site.inbox.stored().len(), offered_before + 1);
    fs::remove_file(deleted).unwrap();
    site.after_a_pass(3).await;
    assert_eq!(site.inbox.stored().len(), offered_before + 2);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_who_is_not_enrolled_is_read_or_remembered() {
    let site = Site::new(Kind::Standard);
    site.inbox.enroll(&["9999900001", "9999900002"]);
    let path = site.admission(PATIENT, "20250111110000000", 1);
    write_whole(&path, &adt("C1"));
    // Not even listed: a folder that cannot be read would be noticed.
    let running = site.start();
    site.after_a_pass(1).await;
    site.after_a_pass(2).await;
    assert!(site.inbox.asked().contains(PATIENT));
    assert_eq!(
        (site.inbox.stored().len(), site.inbox.not_enrolled()),
        (2, 0)
    );
    let notes = format!("{:?}", site.inbox.notes());
    let root = files::hash_parts(&[
        facility().as_str(),
        &listing::root_name(&site.folder.path().join("STD01")),
    ]);
    let hidden = files::hash_parts(&[&root, "000/012/0000123456"]);
    assert!(!notes.contains(&hidden) && !notes.contains(PATIENT));

    site.inbox.enroll(&["9999900001", "9999900002", PATIENT]);
    let stored = site.stored(3).await;
    assert!(
        stored[2].message.meta.backfill,
        "a patient admitted later is walked as backfill"
    );
    within(async {
        while !format!("{:?}", site.inbox.notes()).contains(&hidden) {
            tokio::task::yield_now().await;
        }
    })
    .await;

    site.inbox.enroll(&["9999900001", "9999900002"]);
    within(async {
        while format!("{:?}", site.inbox.notes()).contains(&hidden) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_is_taken_when_it_stands_still_and_ends_like_hl7() {
    let mut site = Site::new(Kind::Standard);
    site.stable_secs = 3;
    let started = Instant::now();
    write_whole(&site.admission(PATIENT, "20250111110000000", 1), &adt("C1"));
    let running = site.start();
    site.stored(1).await;
    assert!(started.elapsed() >= Duration::from_secs(3));
    let half = adt("C2");
    write_whole(
        &site.admission(PATIENT, "20250111120000000", 1),
        &half[..half.len() - 1],
    );
    let written = Instant::now();
    let empty = site.admission(PATIENT, "20250111130000000", 1);
    write_whole(&empty, "");
    contract_within_paused(site.inbox.until_stored(2)).await;
    assert!(written.elapsed() >= Duration::from_secs(30));
    assert_eq!(site.inbox.stored().len(), 2);
    running.stop().await.unwrap();
}

/// With a paused clock the timeout of `within` would fire first.
async fn contract_within_paused(condition: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(600), condition)
        .await
        .unwrap();
}

#[tokio::test]
async fn several_messages_in_a_file_are_taken_one_by_one() {
    let site = Site::new(Kind::Standard);
    let both = format!("{}\x1c\r\x0b{}\x1c\r", adt("C1"), adt("C2"));
    write_whole(&site.admission(PATIENT, "20250111110000000", 1), &both);
    let running = site.start();
    let stored = site.stored(2).await;
    assert!(stored[0].message.dedup_key.ends_with("_1#1"));
    assert!(stored[1].message.dedup_key.ends_with("_1#2"));
    assert!(String::from_utf8_lossy(&stored[1].message.body).contains("|C2|"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn content_changed_in_place_is_read_again() {
    let site = Site::new(Kind::Standard);
    let path = site.admission(PATIENT, "20250111110000000", 1);
    write_whole(&path, &adt("C1"));
    let running = site.start();
    site.stored(1).await;
    write_whole(&path, &(adt("C1") + "NTE|1||changed\r"));
    let stored = site.stored(2).await;
    assert_eq!(stored[0].message.dedup_key, stored[1].message.dedup_key);
    running.stop().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn extended_storages_hold_messages_and_documents_under_japanese_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let site = Site::new(Kind::Extended);
    let kind = "L12345^退院時サマリー^99ZZZ^18842-5^退院時サマリー^LN";
    let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(kind);
    let content = format!("{PATIENT}_20250131_{kind}_0000000001_20250131101112345_01_1");
    let (content_cp932, _, _) = encoding_rs::SHIFT_JIS.encode(&content);
    let folder = site.path(PATIENT, "20250131", "x", "x");
    let folder = folder
        .ancestors()
        .nth(2)
        .unwrap()
        .join(OsStr::from_bytes(&cp932));
    let current = folder.join(OsStr::from_bytes(&content_cp932));
    fs::create_dir_all(&current).unwrap();
    write_whole(&current.join("main_document.hl7"), &adt("C1"));
    write_whole(&current.join("summary.pdf"), "%PDF-1.7 synthetic");
    write_whole(
        &current.join("scan.xml"),
        "<?xml version=\"1.0\"?><ClinicalDocument/>",
    );
    let running = site.start();
    let stored = site.stored(3).await;
    let by_media = |media: Option<&str>, flag: Flag, stored: &[Accepted]| {
        let is = |accepted: &&Accepted| {
            let meta = &accepted.message.meta;
            meta.media_type.as_deref() == media && meta.flag == Some(flag)
        };
        stored.iter().find(is).unwrap().message.clone()
    };
    let hl7 = by_media(None, Flag::Current, &stored);
    assert_eq!(hl7.meta.data_type.as_deref(), Some(kind));
    assert!(
        hl7.meta
            .path
            .unwrap()
            .ends_with(&format!("{kind}/{content}/main_document.hl7"))
    );
    by_media(Some("text/xml"), Flag::Current, &stored);
    assert_eq!(
        by_media(Some("application/pdf"), Flag::Current, &stored).body,
        "%PDF-1.7 synthetic"
    );

    let deleted = content.replace("_01_1", "_01_0");
    fs::rename(
        &current,
        folder.join(OsStr::from_bytes(
            &encoding_rs::SHIFT_JIS.encode(&deleted).0,
        )),
    )
    .unwrap();
    let stored = site.stored(6).await;
    by_media(Some("application/pdf"), Flag::Deleted, &stored);
    running.stop().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn strangers_links_and_leftovers_are_left_alone() {
    let site = Site::new(Kind::Standard);
    let outside = tempfile::tempdir().unwrap();
    let secret = outside
        .path()
        .join("0000123456_20250111_ADT-22_1_20250111110000000_01_1");
    write_whole(&secret, &adt("OUT"));
    let own = site.admission(PATIENT, "20250111110000000", 1);
    write_whole(&own, &adt("C1"));
    let folder = own.parent().unwrap();
    std::os::unix::fs::symlink(
        &secret,
        folder.join("0000123456_20250111_ADT-22_2_20250111110000000_01_1"),
    )
    .unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.parent().unwrap().join("ADT-52")).unwrap();
    write_whole(
        &folder.join("0000999999_20250111_ADT-22_1_20250111110000000_01_1"),
        &adt("OTHER"),
    );
    write_whole(&folder.join("Thumbs.db"), "MSH|leftover\r");
    write_whole(&folder.join("readme"), "MSH|leftover\r");
    let running = site.start();
    site.after_a_pass(1).await;
    site.after_a_pass(2).await;
    let bodies = site.inbox.bodies().concat();
    assert!(bodies.contains("|C1|"));
    assert!(
        !bodies.contains("|OUT|") && !bodies.contains("|OTHER|") && !bodies.contains("leftover")
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_storage_that_is_not_there_yet_is_waited_for() {
    let site = Site::new(Kind::Standard);
    let running = site.start();
    fs::remove_dir(site.folder.path().join("STD01")).unwrap();
    write_whole(&site.admission(PATIENT, "20250111110000000", 1), &adt("C1"));
    site.stored(1).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_ledger_ends_the_source() {
    let site = Site::new(Kind::Standard);
    site.inbox.break_down();
    write_whole(&site.admission(PATIENT, "20250111110000000", 1), &adt("C1"));
    assert!(site.start().ended().await.is_err());
}

#[tokio::test]
async fn many_files_are_taken_once_each() {
    let site = Site::new(Kind::Standard);
    for patient in 0..20 {
        for file in 0..30 {
            let patient = format!("{:010}", patient * 1_234_567);
            let path = site.admission(&patient, &format!("202501111100{file:02}000"), 1);
            write_whole(&path, &adt(&format!("C{file}")));
        }
    }
    let running = site.start();
    site.stored(600).await;
    site.after_a_pass(1).await;
    assert_eq!(site.inbox.stored().len(), 601);
    let files: usize = site
        .inbox
        .notes()
        .keys()
        .filter(|key| key.starts_with("f:"))
        .count();
    assert!(
        (20..=21).contains(&files),
        "one note per patient and day: {files}"
    );
    running.stop().await.unwrap();
}

#[test]
fn the_configuration_is_checked() {
    let text = r#"
        roots = [
            { path = "/mnt/ssmix2/STD01", facility = "1312345670" },
            { path = "/mnt/ssmix2/ANX01", facility = "1312345670", kind = "extended" },
        ]
        poll_secs = 30
    "#;
    let config: Config = toml::from_str(text).unwrap();
    assert!(config.validate().is_empty());
    assert_eq!(
        (config.poll_secs, config.stable_secs, config.roots[1].kind),
        (30, 3, Kind::Extended)
    );
    let mut wrong = config;
    wrong.roots[1].path = "/mnt/ssmix2/STD01".into();
    wrong.roots[0].path = "relative".into();
    assert_eq!(wrong.validate().len(), 1);
    wrong.roots[0].path = wrong.roots[1].path.clone();
    assert_eq!(wrong.validate().len(), 1);
    assert_eq!(Config::new(Vec::new()).validate().len(), 1);
    assert!(Ssmix2::new("storage".into(), Config::new(Vec::new())).is_err());
}
