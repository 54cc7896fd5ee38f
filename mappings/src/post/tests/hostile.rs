//! Whatever strings a source sends, a post keeps the rules and tells a reader no more than its share.

use std::path::PathBuf;

use proptest::prelude::*;
use renkei_core::notice::{
    Allergies, Comparison, Document, Drug, LabRow, Medication, PatientLine, Problem, Speaker,
};
use renkei_core::{Change, Disclosure, Form, ItemClass, NoticeContent, NoticeKind, Urgency};

use super::{Case, CaseAsk, shown};
use crate::post::{check, render};

/// Text as careless or hostile systems send it.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "ｱﾑﾛｼﾞﾋﾟﾝ",
        "錠",
        "^",
        "~",
        "|",
        "\\",
        "&",
        "\r\n",
        "\u{0}",
        "（",
        "）",
        "(",
        ")",
        "：",
        ":",
        "、",
        "／",
        "620004567",
        "I10",
        "2171022F1029",
        "Albumin",
        "g/dL",
        "L",
        "0312345678",
        "20250131",
        "\u{202E}",
        "\u{200B}",
        "\u{E000}",
        "…",
        " ",
        "　",
        "薬",
        "mg",
        "1",
        "Ｈ",
        "\\.br\\",
        "「",
        "」",
        "2025-01-31",
        "M",
        "死亡",
        "長い長い長い長い長い長い長い長い文",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        1 => Just(String::new()),
    ]
}

fn moment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("2025-01-31T11:00".to_owned()),
        Just("2025-12-31".to_owned()),
        text(),
    ]
}

fn drug() -> impl Strategy<Value = Drug> {
    (text(), text(), text(), text()).prop_map(|(name, dose, usage, duration)| Drug {
        name,
        dose,
        usage,
        duration,
    })
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..9)
}

fn medication() -> impl Strategy<Value = Medication> {
    let with = (texts(), texts(), texts()).prop_map(|(added, stopped, changed)| Comparison::With {
        added,
        stopped,
        changed,
    });
    let comparison = prop_oneof![Just(Comparison::None), with];
    (prop::collection::vec(drug(), 0..40), text(), comparison).prop_map(
        |(drugs, label, comparison)| Medication {
            drugs,
            label,
            comparison,
        },
    )
}

fn lab() -> impl Strategy<Value = LabRow> {
    (
        text(),
        text(),
        text(),
        text(),
        text(),
        moment(),
        prop::option::of(text()),
    )
        .prop_map(|(name, value, unit, flag, range, date, previous)| LabRow {
            name,
            value,
            unit,
            flag,
            range,
            date,
            previous,
        })
}

fn document() -> impl Strategy<Value = Document> {
    let class = prop::sample::select(ItemClass::ALL.to_vec());
    (class, text(), moment(), text(), any::<bool>()).prop_map(
        |(class, title, date, media_type, hashed)| Document {
            class,
            title,
            date,
            media_type,
            sha256: if hashed {
                "0f".repeat(32)
            } else {
                "../x".to_owned()
            },
            size: 1,
        },
    )
}

prop_compose! {
    fn head()(
        kind in prop::sample::select(NoticeKind::ALL.to_vec()),
        urgent in any::<bool>(),
        cancelled in prop::bool::weighted(0.1),
        speaker in (text(), text(), text(), text()),
        patient in (text(), prop::option::of(any::<u16>()), text()),
        occurred in moment(),
        planned in prop::option::of(moment()),
        words in prop::collection::vec(prop::option::of(text()), 4),
    ) -> NoticeContent {
        let (facility, desk, phone, hours) = speaker;
        let (family_kana, age, sex) = patient;
        NoticeContent {
            kind,
            urgency: if urgent { Urgency::U0 } else { Urgency::U1 },
            cancelled,
            speaker: Speaker { facility, desk, phone, hours },
            patient: PatientLine { family_kana, age, sex },
            occurred,
            planned,
            place: words[0].clone(),
            department: words[1].clone(),
            destination: words[2].clone(),
            medication: None,
            allergies: Allergies::Unknown,
            problems: Vec::new(),
            labs: Vec::new(),
            documents: Vec::new(),
            alarm: words[3].clone(),
        }
    }
}

prop_compose! {
    fn content()(
        head in head(),
        medication in prop::option::of(medication()),
        allergies in prop_oneof![
            Just(Allergies::Unknown),
            Just(Allergies::StatedNone),
            texts().prop_map(Allergies::Known),
        ],
        problems in prop::collection::vec((text(), any::<bool>()), 0..9),
        labs in prop::collection::vec(lab(), 0..9),
        documents in prop::collection::vec(document(), 0..9),
    ) -> NoticeContent {
        let problems = problems.into_iter().map(|(name, main)| Problem { name, main }).collect();
        NoticeContent { medication, allergies, problems, labs, documents, ..head }
    }
}

fn any_disclosure() -> impl Strategy<Value = Disclosure> {
    let form = prop::sample::select(vec![Form::None, Form::Summary, Form::Full]);
    let mixed = prop::collection::vec(form, ItemClass::ALL.len())
        .prop_map(|forms| Disclosure(ItemClass::ALL.iter().copied().zip(forms).collect()));
    let full = Disclosure(
        ItemClass::ALL
            .iter()
            .map(|class| (*class, Form::Full))
            .collect(),
    );
    prop_oneof![mixed, Just(full)]
}

prop_compose! {
    fn any_ask()(
        change in prop::sample::select(vec![
            Change::First, Change::Corrected, Change::Cancelled, Change::WrongPatient,
        ]),
        late in any::<bool>(),
        reply_reaches in any::<bool>(),
        test_prefix in any::<bool>(),
    ) -> CaseAsk {
        CaseAsk { shows: String::new(), change, late, reply_reaches, test_prefix }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_source_text_makes_a_post_break_the_rules(
        content in content(),
        previous in prop::option::of(content()),
        disclosure in any_disclosure(),
        ask in any_ask(),
    ) {
        let case = Case { folder: PathBuf::new(), content, previous, ask };
        if let Some(post) = render(&case.content, &disclosure, &case.ask()) {
            let broken = check(&post, &case.as_sent());
            prop_assert!(broken.is_empty(), "{broken:?}\n{}", shown(Some(&post)));
            let again = render(&case.content, &disclosure, &case.ask());
            prop_assert_eq!(again.as_ref(), Some(&post));
        }
    }

    #[test]
    fn a_class_that_is_not_disclosed_leaves_no_trace(
        content in content(),
        disclosure in any_disclosure(),
        ask in any_ask(),
    ) {
        let mut disclosure = disclosure;
        for class in [ItemClass::Medication, ItemClass::Allergy, ItemClass::ProblemList, ItemClass::Lab] {
            disclosure.0.insert(class, Form::None);
        }
        let stripped = NoticeContent {
            medication: None,
            allergies: Allergies::Unknown,
            problems: Vec::new(),
            labs: Vec::new(),
            ..content.clone()
        };
        let case = Case { folder: PathBuf::new(), content, previous: None, ask };
        prop_assert_eq!(
            render(&case.content, &disclosure, &case.ask()),
            render(&stripped, &disclosure, &case.ask())
        );
    }

    #[test]
    fn in_summary_form_only_counts_are_told(content in content(), ask in any_ask()) {
        let summary = Disclosure(ItemClass::ALL.iter().map(|class| (*class, Form::Summary)).collect());
        let mut content = content;
        if let Some(medication) = &mut content.medication {
            for drug in &mut medication.drugs {
                drug.name.insert_str(0, "秘密薬");
            }
        }
        for problem in &mut content.problems {
            problem.name.insert_str(0, "秘密病");
        }
        let case = Case { folder: PathBuf::new(), content, previous: None, ask };
        if let Some(post) = render(&case.content, &summary, &case.ask()) {
            prop_assert!(!shown(Some(&post)).contains("秘密"));
            prop_assert!(post.attachments.is_empty() && post.sheet.is_none());
        }
    }
}
