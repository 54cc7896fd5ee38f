//! Ten and more damages to a file, by name, and what `renkei map` says to each: code, place, advice, and
//! the exit code a script can go by.

use serde_json::Value;

use crate::hub::renkei;

/// One damage.
struct Damage {
    name: &'static str,
    bytes: Vec<u8>,
    outcome: &'static str,
    /// The code it must name; none for the undamaged file.
    code: Option<&'static str>,
    /// Where in the message.
    at: &'static str,
    exit: i32,
}

const MSH: &str =
    "MSH|^~\\&|HIS|KAKU|GW|RCV|20250110101500||TYPE|D0001|P|2.5||||||~ISO IR87||ISO 2022-1994";
const EVN: &str = "EVN||20250110101500";
const PID: &str = "PID|0001||0000123456^^^^PI||山本^京子^^^^^L^I~ヤマモト^キョウコ^^^^^L^P||19390215|F|||^^^^166-0004^JPN^H^東京都杉並区架空町99丁目1番1号";
const PV1: &str = "PV1|0001|I|3E^301^1^^^N||||DR01^橋本^健一^^^^^^^L^^^^^I|||01||||||||||||||||||||||||||||||||||202501101010";
const ORC: &str = "ORC|SC|000000000000001|||CM||||20250111113000";
const OBR: &str = "OBR|1|000000000000001|000000000300001|E001^生化学的検査^99O03|||202501110700|||||||||||||||20250111113000";
const OBX: &str =
    "OBX|1|NM|3A015000002327101^アルブミン^JC10||3.1|g/dL^g/dL^ISO+|3.8-5.2|L|||F|||202501110700";
const PRB: &str = "PRB|AD|20250110|20058577^急性肺炎^MDCDX2|000000000000101|||20250110";

fn message(kind: &str, segments: &[&str]) -> String {
    let head = MSH.replace("TYPE", kind);
    let mut text = format!("{head}\r");
    for segment in segments {
        text.push_str(segment);
        text.push('\r');
    }
    text
}

fn admission() -> String {
    message("ADT^A01^ADT_A01", &[EVN, PID, PV1])
}

fn result() -> String {
    message("ORU^R01^ORU_R01", &[PID, ORC, OBR, OBX])
}

fn jis(text: &str) -> Vec<u8> {
    renkei_hl7v2::encode::encode(text, renkei_hl7v2::Charset::Iso2022Jp).bytes
}

/// The file is damaged by replacing a part of it.
fn changed(text: &str, part: &str, by: &str) -> Vec<u8> {
    assert!(text.contains(part), "{part}");
    jis(&text.replace(part, by))
}

fn damages() -> Vec<Damage> {
    let (admission, result) = (admission(), result());
    let problem = message("PPR^ZD1^PPR_ZD1", &[PID, PRB]);
    let cut = jis(&admission);
    let kanji = cut.windows(3).position(|bytes| bytes == b"\x1b$B").unwrap();
    let finds = "mapped_with_findings";
    let damage = |name, bytes, outcome, code, at, exit| Damage {
        name,
        bytes,
        outcome,
        code,
        at,
        exit,
    };
    vec![
        damage(
            "an admission as it should be",
            jis(&admission),
            "mapped",
            None,
            "",
            0,
        ),
        damage(
            "a result as it should be",
            jis(&result),
            "mapped",
            None,
            "",
            0,
        ),
        damage(
            "no MSH",
            jis(result.split_once('\r').unwrap().1),
            "failed",
            Some("RNK-HL7-001"),
            "MSH",
            65,
        ),
        damage(
            "MSH-2 cut short",
            changed(&result, "|^~\\&|", "|^|"),
            finds,
            Some("RNK-HL7-006"),
            "MSH-2",
            0,
        ),
        damage(
            "no patient number",
            changed(&result, "0000123456^^^^PI", ""),
            finds,
            Some("RNK-MAP-002"),
            "PID-3",
            0,
        ),
        damage(
            "a birth date of an era",
            changed(&admission, "19390215", "S140215"),
            finds,
            Some("RNK-MAP-004"),
            "PID-7",
            0,
        ),
        damage(
            "a day that is in no calendar",
            changed(&admission, "19390215", "19390231"),
            finds,
            Some("RNK-MAP-003"),
            "PID-7",
            0,
        ),
        damage(
            "a numeric value that is none",
            changed(&result, "|3.1|", "|少量|"),
            finds,
            Some("RNK-MAP-006"),
            "OBX-5",
            0,
        ),
        damage(
            "an unknown unit",
            changed(&result, "g/dL^g/dL^ISO+", "杯^杯^99ZZZ"),
            finds,
            Some("RNK-MAP-009"),
            "OBX-6",
            0,
        ),
        damage(
            "another character set than declared",
            encoding_rs::SHIFT_JIS.encode(&admission).0.into_owned(),
            finds,
            Some("RNK-CHR-001"),
            "MSH-18",
            0,
        ),
        damage(
            "cut off inside a name",
            cut[..kanji + 5].to_vec(),
            finds,
            Some("RNK-HL7-004"),
            "PV1",
            0,
        ),
        damage(
            "a diagnosis with neither code nor name",
            changed(&problem, "20058577^急性肺炎^MDCDX2", ""),
            finds,
            Some("RNK-MAP-010"),
            "PRB-3",
            0,
        ),
        damage(
            "an unknown message type",
            jis(&message("SIU^S12^SIU_S12", &[PID])),
            finds,
            Some("RNK-HL7-002"),
            "MSH-9",
            0,
        ),
        damage(
            "a time far ahead",
            changed(&admission, "20250110101500", "21250110101500"),
            finds,
            Some("RNK-MAP-005"),
            "EVN-2",
            0,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_damage_is_named_with_its_place_and_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for damage in damages() {
        let Damage {
            name,
            bytes,
            outcome,
            code,
            at,
            exit,
        } = damage;
        std::fs::write(folder.path().join("damaged.hl7"), bytes).unwrap();
        let arguments = ["map", "damaged.hl7", "--with", "hl7v2"];
        let (ended, out, complaint) = renkei(&arguments, folder.path()).await;
        let line: Value = serde_json::from_str(out.lines().next().unwrap_or("{}")).unwrap();
        let findings = line["findings"].as_array().cloned().unwrap_or_default();
        let finding = findings
            .iter()
            .find(|finding| code.is_some_and(|code| finding["code"] == code));
        let place = finding
            .and_then(|finding| finding["at"].as_str())
            .unwrap_or("");
        if ended != exit || line["outcome"] != outcome || (code.is_none() && !findings.is_empty()) {
            wrong.push(format!(
                "{name}: exit {ended}, {} {findings:?}",
                line["outcome"]
            ));
        }
        if !place.starts_with(at) || (code.is_some() && finding.is_none()) {
            wrong.push(format!("{name}: no {code:?} at {at}: {findings:?}"));
        }
        if let Some(finding) = finding {
            if finding["text"].as_str().unwrap_or("").is_empty() {
                wrong.push(format!("{name}: the finding says nothing: {finding}"));
            }
            advises(code.unwrap(), &mut wrong);
        }
        // What cannot be used is named on stderr too, with the page to read.
        let page = format!("ops/errors/{}.md", code.unwrap_or_default());
        if (exit != 0) != complaint.contains(&page) {
            wrong.push(format!("{name}: stderr {complaint}"));
        }
        if complaint.contains("山本") || complaint.contains("0000123456") {
            wrong.push(format!("{name}: a patient on stderr"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The page of a code says what to do.
pub(crate) fn advises(code: &str, wrong: &mut Vec<String>) {
    let page = format!("{}/../../ops/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    if !text.contains("## すること") || !text.contains("## What to do") {
        wrong.push(format!("{code}: no advice in {page}"));
    }
}
