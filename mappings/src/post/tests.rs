#![expect(
    clippy::disallowed_methods,
    reason = "tests read their cases from fixtures/"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use renkei_core::delivery::Sheet;
use renkei_core::{Form, ItemClass};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;

mod drawing;
mod hostile;

/// `ask.json` of a case. `shows` tells a reader what the case is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseAsk {
    shows: String,
    change: Change,
    late: bool,
    reply_reaches: bool,
    test_prefix: bool,
}

struct Case {
    folder: PathBuf,
    content: NoticeContent,
    previous: Option<NoticeContent>,
    ask: CaseAsk,
}

impl Case {
    fn named(name: &str) -> Self {
        Self::read(&root().join(name))
    }
    fn read(folder: &Path) -> Self {
        let previous = folder.join("previous.json");
        Self {
            content: read(&folder.join("content.json")),
            previous: previous.exists().then(|| read(&previous)),
            ask: read(&folder.join("ask.json")),
            folder: folder.to_owned(),
        }
    }
    fn ask(&self) -> Ask<'_> {
        Ask {
            change: self.ask.change,
            previous: self.previous.as_ref(),
            late: self.ask.late,
            reply_reaches: self.ask.reply_reaches,
            test_prefix: self.ask.test_prefix,
            client_ref: "notice.1".to_owned(),
            author_facility: "1312345678".to_owned(),
        }
    }
    fn post(&self, audience: &str) -> Option<Post> {
        render(&self.content, &disclosure(audience), &self.ask())
    }
    fn as_sent(&self) -> AsSent {
        AsSent::of(std::iter::once(&self.content).chain(&self.previous))
    }
}

const AUDIENCES: [&str; 3] = ["team", "care-manager", "helper"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/posts")
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn disclosure(audience: &str) -> Disclosure {
    read(&root().join("audiences").join(format!("{audience}.json")))
}

fn cases() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("content.json").exists())
        .collect();
    folders.sort();
    folders.iter().map(|folder| Case::read(folder)).collect()
}

/// A post as a person would read it, attachments and sheet behind.
fn shown(post: Option<&Post>) -> String {
    let Some(post) = post else {
        return "（投稿しない）\n".to_owned();
    };
    let mut text = format!("{}\n{}\n", post.headline, post.text);
    for attachment in &post.attachments {
        text.push_str(&format!("＋{}\n", attachment.file_name));
    }
    text + &post.sheet.as_ref().map(shown_sheet).unwrap_or_default()
}

fn shown_sheet(sheet: &Sheet) -> String {
    let mut text = format!("\n＋{}\n{}\n", sheet.title, sheet.subtitle);
    for section in &sheet.sections {
        text.push_str(&format!("■{}\n", section.heading));
        for row in &section.rows {
            text.push_str(&format!("{}\n", row.join(" / ")));
        }
    }
    text + &sheet.foot.join("\n") + "\n"
}

/// `RENKEI_BLESS=1` writes what is rendered now; the difference is then read in the diff.
#[test]
fn posts_read_as_the_fixtures_say() {
    let cases = cases();
    assert_eq!(cases.len(), 12);
    for case in &cases {
        assert!(!case.ask.shows.is_empty());
        for audience in AUDIENCES {
            let post = case.post(audience);
            let expected = case.folder.join(format!("expected.{audience}.txt"));
            let text = shown(post.as_ref());
            if std::env::var_os("RENKEI_BLESS").is_some() {
                std::fs::write(&expected, &text).unwrap();
            }
            let wanted = std::fs::read_to_string(&expected).unwrap();
            assert_eq!(text, wanted, "{}", expected.display());
            let broken = post
                .map(|post| check(&post, &case.as_sent()))
                .unwrap_or_default();
            assert_eq!(broken, [], "{}", expected.display());
        }
    }
}

#[test]
fn the_sample_of_the_rules_is_met() {
    let post = Case::named("discharge-home").post("team").unwrap();
    assert_eq!(
        post.headline,
        "【退院】1/31(金)11:00 架空総合病院 → 自宅（訪問看護あり）"
    );
    for line in [
        "ヤマモト様 85歳 女性",
        "退院処方3剤（添付）、比較なし",
        "アレルギー：ペニシリン",
        "検査：アルブミン 3.1 g/dL 低値（1/11、基準3.8–5.2、前回3.4（12/20））",
        "文書：退院時サマリー（添付）",
        "問合せ：医療連携室 03-0000-1234（平日9–17時）",
        "この投稿への返信は病院に届きません",
        "架空総合病院の電子カルテから自動転送・診療録ではありません",
    ] {
        assert!(
            post.text.lines().any(|shown| shown == line),
            "{line}\n{}",
            post.text
        );
    }
}

#[test]
fn inviting_a_helper_shortens_the_post_and_drops_medication() {
    let case = Case::named("discharge-home");
    let team = case.post("team").unwrap();
    let helper = case.post("helper").unwrap();
    assert!(helper.text.chars().count() < team.text.chars().count());
    assert!(shown(Some(&team)).contains("アムロジピン"));
    let everything = serde_json::to_string(&helper).unwrap();
    for word in [
        "処方",
        "アムロジピン",
        "ペニシリン",
        "心不全",
        "アルブミン",
        "サマリー",
        "東病棟",
    ] {
        assert!(!everything.contains(word), "{word}");
    }
    assert_eq!(helper.sheet.is_none(), helper.attachments.is_empty());
}

#[test]
fn a_correction_says_first_what_changed_and_only_to_those_who_may_see_it() {
    let case = Case::named("correction");
    let post = case.post("team").unwrap();
    assert!(post.headline.starts_with("【訂正】【退院】"));
    assert_eq!(
        post.text.lines().next(),
        Some("訂正：日時 1/31(金)11:00 → 2/1(土)10:00")
    );
    // Only a drug differs: nothing to tell a helper, a count to nobody.
    let mut content = case.previous.clone().unwrap();
    content.medication.as_mut().unwrap().drugs[0].dose = "2錠".to_owned();
    assert_eq!(render(&content, &disclosure("helper"), &case.ask()), None);
    let team = render(&content, &disclosure("team"), &case.ask()).unwrap();
    assert!(
        team.text.starts_with("訂正：処方 変更 アムロジピン"),
        "{}",
        team.text
    );
}

#[test]
fn a_wrong_patient_withdrawal_repeats_nothing() {
    let case = Case::named("discharge-home");
    let ask = Ask {
        change: Change::WrongPatient,
        ..case.ask()
    };
    for disclosure in [disclosure("team"), Disclosure::default()] {
        let post = render(&case.content, &disclosure, &ask).unwrap();
        assert!(post.headline.starts_with("【取消】誤送信"));
        assert_eq!(check(&post, &case.as_sent()), []);
        assert!(post.attachments.is_empty() && post.sheet.is_none());
        for word in ["ヤマモト", "85", "女性", "1/31", "自宅", "退院", "処方"] {
            assert!(
                !post.headline.contains(word) && !post.text.contains(word),
                "{word}"
            );
        }
    }
}

#[test]
fn without_the_event_there_is_no_post() {
    let case = Case::named("discharge-home");
    let lists = Disclosure(BTreeMap::from([(ItemClass::Medication, Form::Full)]));
    assert_eq!(render(&case.content, &lists, &case.ask()), None);
    assert_eq!(Case::named("document-only").post("helper"), None);
}

#[test]
fn the_check_rejects_what_the_rules_forbid() {
    let case = Case::named("discharge-home");
    let good = case.post("team").unwrap();
    let with = |line: &str| {
        let mut post = good.clone();
        post.text = format!("{line}\n{}", post.source_note);
        post.text.insert_str(0, "問合せ：医療連携室\n");
        check(&post, &case.as_sent())
    };
    for fine in [
        "アルブミン 3.1 g/dL 低値",
        "体重 52kg",
        "アムロジピンOD錠5mg「架空」",
        "1/31(金)11:00",
    ] {
        assert_eq!(with(fine), [], "{fine}");
    }
    for (line, violation) in [
        ("Albumin L", Violation::Latin),
        ("アルブミン 3.1 L", Violation::Latin),
        ("discharge", Violation::Latin),
        ("自宅Ｈ", Violation::Latin),
        ("ﾔﾏﾓﾄ様", Violation::HalfWidthKana),
        ("山本^太郎", Violation::Delimiter),
        ("A01|退院", Violation::Delimiter),
        ("薬 620004567", Violation::Code),
        ("薬 2171022F1029", Violation::Code),
        ("アレルギー：", Violation::EmptyLabel),
        ("検査（）", Violation::EmptyLabel),
        ("", Violation::EmptyLabel),
        ("退院\u{202E}", Violation::Control),
    ] {
        assert!(with(line).contains(&violation), "{line}: {:?}", with(line));
    }
    assert!(with(&"長".repeat(400)).contains(&Violation::LongText));
    assert!(with(&"行\n".repeat(12)).contains(&Violation::TooManyLines));
    let mut bare = good.clone();
    bare.text = "退院".to_owned();
    bare.headline = "退".repeat(61);
    let found = check(&bare, &case.as_sent());
    for violation in [
        Violation::NoTail,
        Violation::LongHeadline,
        Violation::NoKind,
    ] {
        assert!(found.contains(&violation));
    }
}
