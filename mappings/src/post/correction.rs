//! What a correction changed, compared on the reader's own share: a change that the reader may not
//! see is not announced either.

use super::clean::clip;
use super::share::{DocumentShare, Part, Share};

/// One line per corrected fact, `訂正：行き先 自宅 → 架空ケアホーム`; empty when this reader sees no
/// difference.
pub(super) fn lines(before: &Share, now: &Share) -> Vec<String> {
    let mut lines = Vec::new();
    for ((label, old), (_, new)) in facts(before).into_iter().zip(facts(now)) {
        if old != new {
            let side = |side: Option<String>| side.unwrap_or_else(|| "情報なし".to_owned());
            lines.push(format!("訂正：{label} {} → {}", side(old), side(new)));
        }
    }
    let lists = lists(before).into_iter().zip(lists(now));
    lines.extend(lists.filter_map(|(old, new)| list_line(&old, &new)));
    lines.extend(replaced(before, now));
    if lines.is_empty() && before != now {
        lines.push("訂正：内容を更新しました".to_owned());
    }
    lines
}

type Facts = [(&'static str, Option<String>); 9];

fn facts(share: &Share) -> Facts {
    [
        ("日時", share.occurred.clone()),
        ("退院予定", share.planned.clone()),
        ("行き先", share.destination.clone()),
        ("病棟", share.place.clone()),
        ("診療科", share.department.clone()),
        ("対象", share.patient.clone()),
        ("警報", share.alarm.clone()),
        ("問合せ", Some(share.speaker.contact.clone())),
        ("発信元", Some(share.speaker.facility.clone())),
    ]
}

/// A list as it is compared: what each entry is, and what is said of it.
struct Listed {
    label: &'static str,
    counter: &'static str,
    entries: Part<(String, String)>,
    /// What the list says when it is empty.
    empty: &'static str,
}

fn lists(share: &Share) -> [Listed; 5] {
    let plain = |name: &String| (name.clone(), String::new());
    let documents = share.documents.iter().map(|document| {
        (
            document.title.clone(),
            document.day.clone().unwrap_or_default(),
        )
    });
    [
        Listed {
            label: "処方",
            counter: "剤",
            entries: map(&share.medication, |drug| {
                (drug.name.clone(), drug.directions())
            }),
            empty: "情報なし",
        },
        Listed {
            label: "アレルギー",
            counter: "件",
            entries: map(&share.allergies, plain),
            empty: if share.no_allergies {
                "アレルギーなし"
            } else {
                "情報なし"
            },
        },
        Listed {
            label: "病名",
            counter: "件",
            entries: map(&share.problems, plain),
            empty: "情報なし",
        },
        Listed {
            label: "検査",
            counter: "件",
            entries: map(&share.labs, |row| {
                let day = row
                    .day
                    .as_ref()
                    .map(|day| format!("（{day}）"))
                    .unwrap_or_default();
                let value = row
                    .value
                    .clone()
                    .unwrap_or_else(|| "値の情報なし".to_owned());
                (
                    format!("{}{day}", row.name),
                    format!("{value} {}", row.flag),
                )
            }),
            empty: "情報なし",
        },
        Listed {
            label: "文書",
            counter: "件",
            entries: Part::List(documents.collect()),
            empty: "情報なし",
        },
    ]
}

fn map<T>(part: &Part<T>, entry: impl Fn(&T) -> (String, String)) -> Part<(String, String)> {
    match part {
        Part::Hidden => Part::Hidden,
        Part::NotSent => Part::NotSent,
        Part::Count(count) => Part::Count(*count),
        Part::List(rows) => Part::List(rows.iter().map(entry).collect()),
    }
}

/// Documents that came again under the same title and date with other bytes.
fn replaced(before: &Share, now: &Share) -> Option<String> {
    let again = now.documents.iter().find(|new| {
        let same = |old: &&DocumentShare| old.title == new.title && old.day == new.day;
        before.documents.iter().filter(same).count() == 1
            && before
                .documents
                .iter()
                .find(same)
                .is_some_and(|old| old.sha256 != new.sha256)
    })?;
    Some(format!("訂正：文書 差替え {}", clip(&again.title, 30)))
}

fn list_line(old: &Listed, new: &Listed) -> Option<String> {
    if old.entries == new.entries && old.empty == new.empty {
        return None;
    }
    let (from, to) = (old.entries.rows(), new.entries.rows());
    if from.is_empty() || to.is_empty() {
        let say = |side: &Listed| match side.entries.count() {
            0 => side.empty.to_owned(),
            count if side.entries.rows().is_empty() => format!("{count}{}", side.counter),
            _ => {
                let names: Vec<&str> = side
                    .entries
                    .rows()
                    .iter()
                    .map(|row| row.0.as_str())
                    .collect();
                clip(&names.join("、"), 60)
            }
        };
        let (from, to) = (say(old), say(new));
        return (from != to).then(|| format!("訂正：{} {from} → {to}", new.label));
    }
    let name = |name: &str| clip(name, 30);
    let find = |rows: &[(String, String)], key: &str| rows.iter().find(|row| row.0 == key).cloned();
    let mut changes = Vec::new();
    for (key, detail) in to {
        match find(from, key) {
            None => changes.push(format!("追加 {}", name(key))),
            Some((_, before)) if before != *detail => {
                changes.push(format!("変更 {}（{before} → {detail}）", name(key)));
            }
            Some(_) => {}
        }
    }
    changes.extend(
        from.iter()
            .filter(|(key, _)| find(to, key).is_none())
            .map(|(key, _)| format!("削除 {}", name(key))),
    );
    if changes.is_empty() {
        // The same entries in another order or number.
        let (from, to) = (from.len(), to.len());
        return (from != to)
            .then(|| format!("訂正：{} {from}{1} → {to}{1}", new.label, new.counter));
    }
    Some(format!("訂正：{} {}", new.label, changes.join("、")))
}
