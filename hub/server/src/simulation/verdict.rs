//! What must hold after a run, whatever happened in between.

use std::collections::{BTreeMap, HashMap, HashSet};

use data_encoding::HEXLOWER;
use renkei_core::{Code, PeerRef};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::Run;
use super::paced::Effect;
use crate::store::sql::ByHand;

/// Nothing waits, nothing is due, nothing is on its way.
const OPEN: &str = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM notice WHERE due_at IS NOT NULL) \
     + (SELECT count(*) FROM reroute) + (SELECT count(*) FROM delivery WHERE state IN ('pending', 'sent'))";

pub(super) async fn is_quiet(run: &Run) -> bool {
    number(run, OPEN).await == 0
}

/// What is left, for whoever reads the failure.
pub(super) async fn what_is_open(run: &Run) -> String {
    let mut open = format!("story over: {}\n", run.story.is_over());
    let mut questions = vec![
        "SELECT 'waiting ' || w.position || ' in lane ' || w.lane || ' of ' || m.source || ' ' || m.control FROM waiting AS w JOIN message AS m ON m.position = w.position",
        "SELECT 'notice ' || id || ' of ' || person || ' due ' || due_at FROM notice WHERE due_at IS NOT NULL",
        "SELECT 'reroute of ' || notice FROM reroute",
        "SELECT 'delivery ' || id || ' of ' || person || ' ' || state || ' due ' || due_at FROM delivery WHERE state IN ('pending', 'sent')",
    ];
    if run.url.is_some() {
        questions.push("SELECT 'lane ' || id || ' ' || kind || ' ' || name || ' ' || number || ' held by ' || coalesce(holder, 0) || ' for ' || (until - now_us()) FROM lane");
    }
    for sql in questions {
        for row in rows(run, sql).await {
            open.push_str(&row[0]);
            open.push('\n');
        }
    }
    open
}

/// Rows of whole numbers and texts; every column as text.
async fn rows(run: &Run, sql: &str) -> Vec<Vec<String>> {
    let sql = AssertSqlSafe(sql.to_owned());
    if let Some(url) = &run.url {
        let mut look = PgConnection::connect(url).await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut look).await.unwrap();
        return rows
            .iter()
            .map(|row| (0..row.len()).map(|at| row.get(at)).collect())
            .collect();
    }
    let file = SqliteConnectOptions::new().filename(run.place(0).folder.join("renkei.db"));
    let mut look = SqliteConnection::connect_with(&file).await.unwrap();
    let rows = sqlx::query(sql).fetch_all(&mut look).await.unwrap();
    rows.iter()
        .map(|row| (0..row.len()).map(|at| row.get(at)).collect())
        .collect()
}

async fn number(run: &Run, sql: &str) -> i64 {
    let sql = format!("SELECT CAST(({sql}) AS TEXT)");
    rows(run, &sql).await[0][0].parse().unwrap()
}

pub(super) async fn pass(run: &Run) {
    every_message_has_had_its_effect_once(run).await;
    everything_was_told_once_and_in_order(run).await;
    what_is_true_was_told_last(run).await;
}

async fn every_message_has_had_its_effect_once(run: &Run) {
    let said = i64::try_from(run.story.count()).unwrap();
    let (superseded, unknown) = (
        Code::DLV_SUPERSEDED.as_str(),
        Code::DLV_UNKNOWN_OUTCOME.as_str(),
    );
    let patients = i64::try_from(run.story.truths().count()).unwrap();
    let wrong_dead = format!(
        "SELECT count(*) FROM delivery WHERE (state = 'held' AND code <> '{unknown}') OR (state = 'dead' AND code <> '{superseded}')"
    );
    for (what, sql, expected) in [
        (
            "acknowledged and kept",
            "SELECT count(*) FROM message",
            said,
        ),
        (
            "processed",
            "SELECT count(*) FROM outcome WHERE state = 'processed'",
            said,
        ),
        (
            "written twice by one message",
            "SELECT count(*) FROM (SELECT 1 FROM version WHERE message IS NOT NULL GROUP BY resource, message HAVING count(*) > 1) AS twice",
            0,
        ),
        ("records", "SELECT count(*) FROM record", patients),
        ("persons", "SELECT count(*) FROM person", patients),
        ("reviews", "SELECT count(*) FROM review", 0),
        ("held, or dead without a better one", wrong_dead.as_str(), 0),
    ] {
        assert_eq!(number(run, sql).await, expected, "{what}");
    }
    // A word about a post whose delivery is held is kept: nobody knows that they belong together.
    let early = number(run, "SELECT count(*) FROM early_receipt").await;
    let held = number(run, "SELECT count(*) FROM delivery WHERE state = 'held'").await;
    assert!(
        early <= held,
        "{early} words of the peer met no post, {held} are held"
    );
    // The wards of a stay were recorded in the order in which they were said.
    let hex = match run.url {
        Some(_) => "encode(v.body, 'hex')",
        None => "lower(hex(v.body))",
    };
    let versions = format!(
        "SELECT CAST(r.id AS TEXT), {hex} FROM version AS v JOIN resource AS r ON r.id = v.resource \
         WHERE r.kind = 'Encounter' ORDER BY r.id, v.version"
    );
    let mut wards: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for row in rows(run, &versions).await {
        let body = HEXLOWER.decode(row[1].as_bytes()).unwrap();
        wards
            .entry(row[0].clone())
            .or_default()
            .extend(ward(&ByHand::text(&body).unwrap()));
    }
    for (stay, wards) in wards {
        assert!(
            wards.is_sorted(),
            "stay {stay} was recorded out of order: {wards:?}"
        );
    }
}

async fn everything_was_told_once_and_in_order(run: &Run) {
    let sql = "SELECT id, CAST(seq AS TEXT), CAST(notice AS TEXT), state FROM delivery";
    let known: HashMap<String, (i64, i64, String)> = rows(run, sql)
        .await
        .into_iter()
        .map(|row| {
            (
                row[0].clone(),
                (
                    row[1].parse().unwrap(),
                    row[2].parse().unwrap(),
                    row[3].clone(),
                ),
            )
        })
        .collect();
    let effects = run.peer.effects.lock().unwrap();
    let mut told = HashSet::new();
    let mut last: HashMap<&PeerRef, i64> = HashMap::new();
    let mut versions: HashMap<(&PeerRef, i64), u32> = HashMap::new();
    for effect in effects.iter() {
        let (seq, notice, state) = &known[effect.id.as_str()];
        // Held: nobody knows whether it has arrived, and a person looks.
        let is_known = state == "delivered" || state == "held";
        assert!(is_known, "told, and not known to be: {state} {effect:?}");
        assert!(
            told.insert((&effect.channel, *notice, effect.version)),
            "told twice: {effect:?}"
        );
        let before = last.insert(&effect.channel, *seq).unwrap_or(0);
        assert!(before < *seq, "told after what follows it: {effect:?}");
        let older = versions
            .insert((&effect.channel, *notice), effect.version)
            .unwrap_or(0);
        assert!(
            older < effect.version,
            "an older version after a newer: {effect:?}"
        );
    }
    let told: HashSet<&str> = effects.iter().map(|effect| effect.id.as_str()).collect();
    for (id, (_, _, state)) in &known {
        let is_told = told.contains(id.as_str());
        assert!(
            state != "delivered" || is_told,
            "{id} is delivered, and nobody was told"
        );
    }
}

async fn what_is_true_was_told_last(run: &Run) {
    // A group that has changed while it was not known whether it had heard something: a person looks.
    let held = "SELECT DISTINCT c.peer_ref FROM delivery AS d JOIN channel AS c ON c.id = d.channel WHERE d.state = 'held'";
    let held: HashSet<String> = rows(run, held).await.into_iter().flatten().collect();
    let effects = run.peer.effects.lock().unwrap();
    let helped = run.peer.helped.lock().unwrap();
    for (group, truth) in run.story.truths() {
        if held.contains(group.as_str()) {
            assert!(
                helped.contains(&group),
                "{group}: held without a change of the group"
            );
            continue;
        }
        let of = |kind: &str| -> Vec<&Effect> {
            let of_group = effects.iter().filter(|effect| effect.channel == group);
            of_group
                .filter(|effect| effect.body.lines().next().unwrap().contains(kind))
                .collect()
        };
        let (admissions, discharges) = (of("【入院】"), of("【退院】"));
        let wards: Vec<u32> = admissions
            .iter()
            .filter_map(|effect| ward(&effect.body))
            .collect();
        assert!(
            wards.is_sorted(),
            "{group}: wards told out of order: {wards:?}"
        );
        let admitted = |ward: &String| match helped.contains(&group) {
            true => "【入院】".to_owned(),
            false => format!("病棟：{ward}病棟"),
        };
        check(
            &group,
            &admissions,
            truth
                .admitted
                .as_ref()
                .map(|ward| ward.as_ref().map(admitted)),
        );
        let discharged = |place: &str| format!(" → {place}");
        check(
            &group,
            &discharges,
            truth.discharged.map(|place| place.map(discharged)),
        );
    }
}

/// The last of what was told is what is true: these words, or that it was taken back.
fn check(group: &PeerRef, told: &[&Effect], truth: Option<Option<String>>) {
    let last = told.last().map(|effect| effect.body.as_str());
    match (truth, last) {
        (None | Some(None), None) => {}
        (None, Some(last)) => panic!("{group}: nobody said this: {last}"),
        (Some(None), Some(last)) => {
            assert!(last.contains("【取消】"), "{group}: not taken back: {last}")
        }
        (Some(Some(words)), Some(last)) => {
            assert!(
                !last.contains("【取消】") && last.contains(&words),
                "{group}: not {words}: {last}"
            );
        }
        (Some(Some(words)), None) => panic!("{group}: never told: {words}"),
    }
}

/// The number of the ward that a text names: `7N`.
fn ward(text: &str) -> Option<u32> {
    let (before, _) = text
        .split_once("N病棟")
        .or_else(|| text.split_once("N\""))?;
    let digits = before
        .rfind(|one: char| !one.is_ascii_digit())
        .map_or(before, |at| {
            before[at..].trim_start_matches(|one: char| !one.is_ascii_digit())
        });
    digits.parse().ok()
}
