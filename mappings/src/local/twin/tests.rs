//! The shipped mapping and its twin on the same rows.

use encoding_rs::SHIFT_JIS;
use renkei_core::{FacilityId, MessageId, Meta, SourceName};

use super::super::{LocalMapper, Mapping, Shipped};
use super::*;

fn options() -> Options {
    Options::new(FacilityId::new("1319999999").expect("ten digits"))
}

/// What each column may hold; the numbers choose.
const VALUES: [&[&str]; COLUMNS.len()] = [
    &["0012", "0012", "００１２"],
    &["山本　京子", "", "山本"],
    &["ﾔﾏﾓﾄ ｷｮｳｺ", "やまもと　きょうこ", ""],
    &["S14.2.15", "1939/02/15", "", "1939-02-30"],
    &["2", "女", "", "9"],
    &["A1", "A1", "A2", ""],
    &["2025/01/11", "20250111", "令和7年1月11日", "", "2025-13-01"],
    &["07:00", "0700", "", "7時"],
    &["2025/01/11 10:30", "", "2025-01-11T10:30:00Z", "2031-01-01"],
    &["023", "23", "", "１"],
    &["血清", ""],
    &["10230", "10555", "", "20010"],
    &["アルブミン", "HIV抗体", "", "CRP"],
    &["3A015000002327101", "", "3A01", "6B0"],
    &["3.10", "<0.30", "(-)", "1+", "溶血", "", "１２", "(+)"],
    &["", "L", "U", "?"],
    &["g/dL", "mg/dL", "架空単位", ""],
    &["3.8-5.2", "", "陰性", "男 1-2 女 3-4"],
    &["3.8", "", "x"],
    &["5.2", ""],
    &["H", "HH", "", "★", "ｌｌ"],
    &["F", "", "P", "C", "D", "zz"],
    &["", "溶血あり"],
    &["LAB01", ""],
    &["架空検査センター", ""],
];

fn file(rows: usize, seed: &mut u64) -> String {
    let mut text = COLUMNS.join(",") + "\r\n";
    for _ in 0..rows {
        let cells = VALUES.map(|values| {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            values[usize::try_from(*seed >> 33).expect("31 bits") % values.len()]
        });
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn message(text: &str) -> Message {
    Message {
        id: MessageId(1),
        source: SourceName::new("lab"),
        facility: options().facility,
        body: SHIFT_JIS.encode(text).0.into_owned().into(),
        meta: Meta::default(),
        received_at: "2025-03-01T00:00:00Z".parse().expect("a time"),
    }
}

/// A draft in words, findings in the order of their places.
fn told(draft: &Draft) -> Vec<String> {
    let mut told = vec![format!("hold {:?}, unread {:?}", draft.hold, draft.unread)];
    if let Some(subject) = &draft.subject {
        let facts = &subject.facts;
        told.push(format!(
            "{} {} {} {} {} {} {:?}",
            subject.local_id.expose(),
            facts.kana,
            facts.family_kana,
            facts.kanji,
            facts.birth_date,
            facts.sex,
            subject.authority
        ));
    }
    for made in &draft.resources {
        told.push(format!(
            "{} {} {} {:?} {:?} {:?} {:?}",
            made.key.key,
            made.body.expose(),
            made.source_time,
            made.authority,
            made.strength,
            made.carry,
            made.scope
        ));
    }
    for gone in &draft.withdrawals {
        told.push(format!(
            "{} {:?} {} {:?}",
            gone.key.key, gone.reason, gone.source_time, gone.scope
        ));
    }
    told.extend(
        draft
            .items
            .iter()
            .map(|item| format!("{item:?} {}", item.focus.key)),
    );
    let findings = draft.findings.iter();
    let mut findings: Vec<String> = findings
        .map(|found| format!("{} {}", found.at, found.code))
        .collect();
    findings.sort();
    findings.dedup();
    told.extend(findings);
    told
}

#[test]
fn the_shipped_mapping_and_its_twin_say_the_same() {
    let text = Shipped.mapping("builtin/lab-csv").expect("shipped");
    let mapping =
        Mapping::load("lab-csv", &text, &Shipped).unwrap_or_else(|problems| panic!("{problems}"));
    let language = LocalMapper::new(mapping, options()).expect("options that suit");
    let rust = LabCsv::new(options(), &Shipped).expect("its tables");
    let mut seed = 11;
    for round in 0..400 {
        let text = file(1, &mut seed);
        let message = message(&text);
        let (left, right) = (language.map(&message), rust.map(&message));
        let (left, right) = (left.expect("CSV"), right.expect("CSV"));
        let (mut left, mut right) = (told(&left), told(&right));
        // Who can be nobody is held by the language; the twin leaves that to whoever calls it.
        (left[0], right[0]) = Default::default();
        assert_eq!(left, right, "round {round}: {text}");
    }
}

#[test]
fn orders_of_many_rows_are_alike() {
    let text = Shipped.mapping("builtin/lab-csv").expect("shipped");
    let mapping =
        Mapping::load("lab-csv", &text, &Shipped).unwrap_or_else(|problems| panic!("{problems}"));
    let language = LocalMapper::new(mapping, options()).expect("options that suit");
    let rust = LabCsv::new(options(), &Shipped).expect("its tables");
    let mut text = COLUMNS.join(",") + "\r\n";
    for row in 0..40 {
        let (order, flag) = (row / 10, if row == 7 { "HH" } else { "" });
        let name = if row % 9 == 0 {
            "HBs抗原"
        } else {
            "アルブミン"
        };
        text.push_str(&format!(
            "0012,山本　京子,ヤマモト キョウコ,1939/02/15,2,A{order},2025/01/11,07:00,2025/01/11 10:30,023,血清,\
             {row},{name},3A015000002327101,3.{row},,g/dL,3.8-5.2,,,{flag},F,,LAB01,架空検査センター\r\n"
        ));
    }
    let message = message(&text);
    let (left, right) = (language.map(&message), rust.map(&message));
    assert_eq!(told(&left.expect("CSV")), told(&right.expect("CSV")));
}
