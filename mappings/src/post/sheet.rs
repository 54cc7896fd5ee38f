//! 退院時情報シート: the lists of a notice without the limits of a post, for readers who may see at
//! least one list row by row.

use renkei_core::delivery::{Sheet, SheetSection};

use super::body::{self, allergy_phrase, medication_phrase};
use super::share::{DocumentShare, LabShare, Part, Share};
use super::words;

/// The sheet of `share`; `None` when it would say no more than the post. `corrections` stand first.
pub(super) fn sheet(share: &Share, corrections: &[String], reply_reaches: bool) -> Option<Sheet> {
    if !share.has_rows() {
        return None;
    }
    let plain = |lines: &[String]| lines.iter().map(|line| vec![line.clone()]).collect();
    let sections = [
        ("訂正", plain(corrections)),
        ("基本", basics(share)),
        ("処方", medication(share)),
        ("アレルギー", allergies(share)),
        ("病名", problems(share)),
        ("検査値", labs(share)),
        ("添付文書", documents(share)),
        ("問合せ", vec![vec![share.speaker.contact.clone()]]),
    ];
    let subtitle: Vec<&str> = [
        Some(share.speaker.facility.as_str()),
        share.headline_moment(),
        share.patient.as_deref(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut foot = vec![body::source_note(&share.speaker.facility)];
    if !reply_reaches {
        foot.insert(0, body::NO_REPLY.to_owned());
    }
    Some(Sheet {
        title: words::sheet_title(share.kind).to_owned(),
        subtitle: subtitle.join("　"),
        sections: sections
            .into_iter()
            .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
            .map(|(heading, rows)| SheetSection {
                heading: heading.to_owned(),
                rows,
            })
            .collect(),
        foot,
    })
}

fn cells(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn basics(share: &Share) -> Vec<Vec<String>> {
    [
        ("種別", Some(share.kind.label())),
        ("日時", share.occurred.as_deref()),
        ("退院予定", share.planned.as_deref()),
        ("対象", share.patient.as_deref()),
        ("施設", Some(share.speaker.facility.as_str())),
        ("病棟", share.place.as_deref()),
        ("診療科", share.department.as_deref()),
        ("行き先", share.destination.as_deref()),
        ("警報", share.alarm.as_deref()),
    ]
    .into_iter()
    .filter_map(|(label, value)| Some(cells(&[label, value?])))
    .collect()
}

fn medication(share: &Share) -> Vec<Vec<String>> {
    let Some(phrase) = medication_phrase(share, "") else {
        return Vec::new();
    };
    let mut rows = vec![vec![phrase]];
    let drugs = share.medication.rows();
    if !drugs.is_empty() {
        rows.push(cells(&["薬剤名", "用量", "用法", "日数"]));
        rows.extend(drugs.iter().map(|drug| {
            let cell = |part: &Option<String>| part.clone().unwrap_or_default();
            vec![
                drug.name.clone(),
                cell(&drug.dose),
                cell(&drug.usage),
                cell(&drug.duration),
            ]
        }));
    }
    for (word, part) in share.comparison.iter().flatten() {
        if !part.rows().is_empty() {
            rows.push(vec![format!("{word}：{}", part.rows().join("、"))]);
        }
    }
    rows
}

fn allergies(share: &Share) -> Vec<Vec<String>> {
    match &share.allergies {
        Part::List(names) => names.iter().map(|name| vec![name.clone()]).collect(),
        _ => allergy_phrase(share)
            .into_iter()
            .map(|phrase| vec![phrase])
            .collect(),
    }
}

fn problems(share: &Share) -> Vec<Vec<String>> {
    match &share.problems {
        Part::Hidden | Part::NotSent => Vec::new(),
        Part::Count(count) => vec![vec![format!("{count}件")]],
        Part::List(names) => names.iter().map(|name| vec![name.clone()]).collect(),
    }
}

fn labs(share: &Share) -> Vec<Vec<String>> {
    let rows = share.labs.rows();
    if rows.is_empty() {
        let count = share.labs.count();
        return if count == 0 {
            Vec::new()
        } else {
            vec![vec![format!("異常の印{count}件")]]
        };
    }
    let header = cells(&["項目", "値", "判定", "基準", "採取日", "前回"]);
    let row = |lab: &LabShare| {
        let cell = |part: &Option<String>| part.clone().unwrap_or_default();
        vec![
            lab.name.clone(),
            cell(&lab.value),
            lab.flag.to_owned(),
            cell(&lab.range),
            cell(&lab.day),
            cell(&lab.previous),
        ]
    };
    std::iter::once(header)
        .chain(rows.iter().map(row))
        .collect()
}

fn documents(share: &Share) -> Vec<Vec<String>> {
    if share.documents.is_empty() {
        return Vec::new();
    }
    let row = |document: &DocumentShare| {
        let state = if document.attached {
            "添付"
        } else {
            "到着"
        };
        vec![
            document.title.clone(),
            document.day.clone().unwrap_or_default(),
            state.to_owned(),
        ]
    };
    let header = cells(&["文書", "日付", "状態"]);
    std::iter::once(header)
        .chain(share.documents.iter().map(row))
        .collect()
}
