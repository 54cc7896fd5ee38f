//! The text of a post: what the reader's share says, most urgent first, then whom to ask.

use renkei_core::{NoticeKind, Urgency};

use super::clean::clip;
use super::fit::{Group, Shape, rank};
use super::share::{Part, Share, SpeakerShare};
use super::words;

/// Everything between the corrections and the tail, in reading order.
pub(super) fn middle(share: &Share, urgency: Urgency) -> Vec<Group> {
    let mut groups = Vec::new();
    if urgency == Urgency::U0 {
        groups.push(Group::fixed(
            "急ぎの連絡です。電話でご確認ください".to_owned(),
        ));
    }
    groups.extend(share.patient.clone().map(Group::fixed));
    groups.extend(
        share
            .alarm
            .as_ref()
            .map(|alarm| Group::fixed(format!("警報：{alarm}"))),
    );
    groups.extend(place(share));
    groups.extend(medication(share));
    groups.extend(comparison(share));
    groups.extend(allergies(share));
    groups.extend(list(
        share,
        &share.problems,
        "病名",
        "病名",
        rank::PROBLEM_NAMES,
        rank::PROBLEMS,
    ));
    groups.extend(labs(share));
    groups.extend(documents(share));
    let so_what = if share.death {
        None
    } else {
        words::so_what(share.kind, share.wide)
    };
    groups.extend(so_what.map(|line| Group::optional(line.to_owned(), Some(rank::SO_WHAT))));
    groups
}

/// The last lines of every post (ARCHITECTURE.md "What a post says").
pub(super) fn tail(speaker: &SpeakerShare, reply_reaches: bool) -> Vec<Group> {
    let mut groups = vec![Group::fixed(format!("問合せ：{}", speaker.contact))];
    if !reply_reaches {
        groups.push(Group::fixed(NO_REPLY.to_owned()));
    }
    groups.push(Group::fixed(source_note(&speaker.facility)));
    groups
}

/// Said unless a reply really reaches the facility.
pub(super) const NO_REPLY: &str = "この投稿への返信は病院に届きません";

/// Where the post comes from and that it is not a record.
pub(super) fn source_note(facility: &str) -> String {
    format!("{facility}の電子カルテから自動転送・診療録ではありません")
}

/// What is known of allergies in one phrase; `None` when the reader may not know.
pub(super) fn allergy_phrase(share: &Share) -> Option<String> {
    match &share.allergies {
        Part::Hidden => None,
        Part::NotSent if share.no_allergies => Some("アレルギーなし".to_owned()),
        Part::NotSent => Some("アレルギー：情報なし".to_owned()),
        Part::Count(count) => Some(format!("アレルギーあり（{count}件）")),
        Part::List(names) => Some(format!("アレルギー：{}", names.join("、"))),
    }
}

/// `退院処方3剤`, with `、比較なし` or the counts of what changed.
pub(super) fn medication_phrase(share: &Share, attached: &str) -> Option<String> {
    let count = share.medication.count();
    let label = share.medication_label;
    match &share.medication {
        Part::Hidden => return None,
        Part::NotSent => {
            let label = if share.kind == NoticeKind::Discharge {
                "退院処方"
            } else {
                label
            };
            return Some(format!("{label}：情報なし"));
        }
        Part::Count(_) | Part::List(_) => {}
    }
    let compared = match &share.comparison {
        None => "比較なし".to_owned(),
        Some(parts) if parts.iter().all(|(_, part)| part.count() == 0) => {
            "前回から変更なし".to_owned()
        }
        Some(parts) => parts
            .iter()
            .filter(|(_, part)| part.count() > 0)
            .map(|(word, part)| format!("{word}{}", part.count()))
            .collect::<Vec<_>>()
            .join("・"),
    };
    Some(format!("{label}{count}剤{attached}、{compared}"))
}

/// Absence is told where a reader expects the list: at both ends of a stay.
fn tells_absence(share: &Share) -> bool {
    matches!(share.kind, NoticeKind::Admission | NoticeKind::Discharge)
}

fn place(share: &Share) -> Option<Group> {
    let in_headline = share.kind == NoticeKind::Transfer && share.destination.is_none();
    let place = share.place.as_ref().filter(|_| !in_headline);
    let planned = share
        .planned
        .as_ref()
        .filter(|_| matches!(share.kind, NoticeKind::Admission | NoticeKind::Transfer));
    let parts: Vec<String> = [
        place.map(|place| format!("病棟：{place}")),
        share
            .department
            .as_ref()
            .map(|department| format!("診療科：{department}")),
        planned.map(|planned| format!("退院予定：{planned}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| Group::optional(parts.join(" "), Some(rank::PLACE)))
}

fn medication(share: &Share) -> Option<Group> {
    if share.medication == Part::NotSent && !tells_absence(share) {
        return None;
    }
    let attached = if share.medication.rows().is_empty() {
        ""
    } else {
        "（添付）"
    };
    Some(Group {
        entries: share
            .medication
            .rows()
            .iter()
            .map(|drug| clip(&drug.line(), 60))
            .collect(),
        shape: Shape::Lines("・"),
        counter: "剤",
        attached: true,
        cut_rank: rank::DRUG_LINES,
        ..Group::optional(medication_phrase(share, attached)?, Some(rank::MEDICATION))
    })
}

fn comparison(share: &Share) -> Option<Group> {
    let entries: Vec<String> = share
        .comparison
        .iter()
        .flatten()
        .flat_map(|(word, part)| {
            part.rows()
                .iter()
                .map(move |name| format!("{word} {}", clip(name, 24)))
        })
        .collect();
    (!entries.is_empty()).then(|| Group {
        head: None,
        word: "前回との比較",
        entries,
        attached: true,
        cut_rank: rank::COMPARISON_NAMES,
        ..Group::optional(String::new(), Some(rank::COMPARISON))
    })
}

fn allergies(share: &Share) -> Option<Group> {
    if !share.allergies.rows().is_empty() {
        return list(
            share,
            &share.allergies,
            "アレルギー",
            "",
            rank::ALLERGY_NAMES,
            rank::ALLERGIES,
        );
    }
    if share.allergies == Part::NotSent && !share.no_allergies && !tells_absence(share) {
        return None;
    }
    allergy_phrase(share).map(|line| Group::optional(line, Some(rank::ALLERGIES)))
}

/// A list on one line: its names, or how many there are (`counted` is the word then used).
fn list(
    share: &Share,
    part: &Part<String>,
    word: &'static str,
    counted: &str,
    cut_rank: u8,
    drop_rank: u8,
) -> Option<Group> {
    match part {
        Part::Hidden | Part::NotSent => None,
        Part::Count(count) => Some(Group::optional(
            format!("{counted}{count}件"),
            Some(drop_rank),
        )),
        Part::List(names) => Some(Group {
            head: None,
            word,
            entries: names.iter().map(|name| clip(name, 30)).collect(),
            floor: 1,
            attached: share.has_rows(),
            cut_rank,
            ..Group::optional(String::new(), Some(drop_rank))
        }),
    }
}

fn labs(share: &Share) -> Option<Group> {
    if let Part::Count(count) = share.labs {
        return Some(Group::optional(
            format!("検査：異常の印{count}件"),
            Some(rank::LABS),
        ));
    }
    let rows = share.labs.rows();
    (!rows.is_empty()).then(|| Group {
        head: None,
        entries: rows.iter().map(|row| clip(&row.line(), 60)).collect(),
        shape: Shape::Lines("検査："),
        floor: 1,
        attached: true,
        cut_rank: rank::LAB_LINES,
        ..Group::optional(String::new(), Some(rank::LABS))
    })
}

fn documents(share: &Share) -> Option<Group> {
    let entries: Vec<String> = share
        .documents
        .iter()
        .map(|document| {
            let attached = if document.attached {
                "（添付）"
            } else {
                ""
            };
            format!("{}{attached}", clip(&document.title, 24))
        })
        .collect();
    (!entries.is_empty()).then(|| Group {
        head: None,
        word: "文書",
        floor: 1,
        attached: share.has_rows(),
        entries,
        cut_rank: rank::DOCUMENT_NAMES,
        ..Group::optional(String::new(), Some(rank::DOCUMENTS))
    })
}
