//! Finding results.

use std::sync::Arc;

use renkei_core::{LocalId, PersonId, ResourceType};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::House;
use super::fixture::*;
use crate::store::Store;
use crate::store::keeper::{Keeper, Thoroughness};
use crate::store::operator::By;
use crate::store::search::{Latest, LatestOf, Search, Token, Whose, index_all};
use crate::world::{Effects, NewVersion};

const JLAC: &str = "urn:oid:1.2.392.200119.4.504";
const OWN: &str = "urn:oid:1.2.392.100495.99";

/// What an earlier renkei had: the resources, and no index.
const FORGET_THE_INDEX: [&str; 3] = [
    "DELETE FROM result",
    "DELETE FROM unsearched",
    "INSERT INTO unsearched (below) SELECT top FROM (SELECT max(id) + 1 AS top FROM resource) AS r WHERE top IS NOT NULL",
];

/// `system|code` of each coding.
fn observation(
    row: i64,
    record: i64,
    number: u32,
    codings: &[&str],
    effective: &str,
) -> NewVersion {
    let codings: Vec<String> = codings
        .iter()
        .map(|coding| match coding.split_once('|') {
            Some((system, code)) => format!(r#"{{"system":"{system}","code":"{code}"}}"#),
            None => format!(r#"{{"code":"{coding}"}}"#),
        })
        .collect();
    // Spaces and the number as they are: the text is the truth.
    let body = format!(
        r#"{{"resourceType":"Observation", "code":{{"coding":[{}]}},{effective} "valueQuantity":{{"value":{row}.{number}0}}}}"#,
        codings.join(",")
    );
    let mut version = version(
        row,
        record,
        ResourceType::Observation,
        &format!("o{row}"),
        number,
        1,
    );
    version.stored.hash = Sha256::digest(body.as_bytes()).into();
    version.stored.body = Arc::from(body);
    version
}

fn at_time(text: &str) -> String {
    format!(r#""effectiveDateTime":"{text}","#)
}

/// Two people with their Patients, rows 1 and 2.
async fn two_patients(ledger: &impl Store) {
    accepted(ledger, "A", 1).await;
    let mut effects = Effects {
        persons: vec![PersonId(1), PersonId(2)],
        ..Effects::default()
    };
    for number in [1, 2] {
        let id = format!("000{number}");
        let record = record(number, &id, Some(number), facts("カクウ", "1940-04-01"));
        effects.records.insert(record.id, record);
        let patient = version(number, number, ResourceType::Patient, &id, 1, 1);
        effects.versions.push(patient);
    }
    ledger.apply(effects, Vec::new()).await.unwrap();
}

async fn recorded(ledger: &impl Store, versions: Vec<NewVersion>) {
    let effects = Effects {
        versions,
        ..Effects::default()
    };
    ledger.apply(effects, Vec::new()).await.unwrap();
}

fn of(local_id: &str, code: &str) -> LatestOf {
    let (system, code) = match code.split_once('|') {
        Some((system, code)) => (Some(system.to_owned()), code),
        None => (None, code),
    };
    LatestOf {
        patient: Whose::Local(facility(HOSPITAL), LocalId::new(local_id)),
        code: Token {
            system,
            code: code.to_owned(),
        },
        count: 50,
    }
}

/// The rows by their logical ids.
fn ids(latest: &Latest) -> Vec<&str> {
    latest
        .found
        .iter()
        .map(|found| found.logical_id.as_str())
        .collect()
}

pub(in crate::store) async fn the_latest_results_are_found(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    two_patients(&ledger).await;
    let alb = format!("{JLAC}|3A015");
    let times = [
        at_time("2026-01-10T09:00:00+09:00"),
        // The same instant: what was recorded later comes first.
        at_time("2026-01-10T00:00:00Z"),
        // No time: last.
        String::new(),
        at_time("2026-01-11"),
        r#""effectivePeriod":{"start":"2026-01-09T09:00:00+09:00"},"#.to_owned(),
        at_time("2025-12"),
        r#""effectiveInstant":"2026-01-10T23:59:59.5+09:00","#.to_owned(),
    ];
    let mut versions: Vec<NewVersion> = (10..)
        .zip(&times)
        .map(|(row, time)| observation(row, 1, 1, &[&alb], time))
        .collect();
    versions.push(observation(
        30,
        1,
        1,
        &[&format!("{JLAC}|3C020")],
        &times[0],
    ));
    versions.push(observation(31, 2, 1, &[&alb], &times[0]));
    let bodies: Vec<Arc<str>> = versions.iter().map(|one| one.stored.body.clone()).collect();
    recorded(&ledger, versions).await;

    let newest_first = [
        "id-o13", "id-o16", "id-o11", "id-o10", "id-o14", "id-o15", "id-o12",
    ];
    let latest = ledger.latest(&of("0001", "3A015")).await.unwrap();
    assert!(latest.complete);
    assert_eq!(ids(&latest), newest_first);
    let first = &latest.found[0];
    assert_eq!(
        (first.body.expose().as_str(), first.version),
        (&*bodies[3], 1)
    );
    assert_eq!(
        ids(&ledger.latest(&of("0001", &alb)).await.unwrap()),
        newest_first
    );

    let mut by_id = of("0001", "3A015");
    by_id.patient = Whose::LogicalId("id-0001".to_owned());
    assert_eq!(ledger.latest(&by_id).await.unwrap(), latest);
    by_id.code = of("", &alb).code;
    by_id.count = 2;
    assert_eq!(
        ids(&ledger.latest(&by_id).await.unwrap()),
        newest_first[..2]
    );
    // Only the logical id of a Patient names one.
    by_id.patient = Whose::LogicalId("id-o10".to_owned());
    assert_eq!(ids(&ledger.latest(&by_id).await.unwrap()), [""; 0]);

    assert_eq!(
        ids(&ledger.latest(&of("0002", "3A015")).await.unwrap()),
        ["id-o31"]
    );
    assert_eq!(
        ids(&ledger.latest(&of("0003", "3A015")).await.unwrap()),
        [""; 0]
    );
    let mut elsewhere = of("0001", "3A015");
    elsewhere.patient = Whose::Local(facility(CLINIC), LocalId::new("0001"));
    assert_eq!(ids(&ledger.latest(&elsewhere).await.unwrap()), [""; 0]);
}

pub(in crate::store) async fn every_coding_is_found(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    two_patients(&ledger).await;
    let day = at_time("2026-01-10");
    let long = "長".repeat(2_000);
    let (jlac, own) = (format!("{JLAC}|X1"), format!("{OWN}|X1"));
    recorded(
        &ledger,
        vec![
            // The same code in two systems is one result.
            observation(10, 1, 1, &[&jlac, &own, &format!("{OWN}|X2")], &day),
            observation(11, 1, 1, &["X1", &long], &day),
            observation(12, 1, 1, &[&own, &own], &day),
            observation(13, 1, 1, &[], &day),
        ],
    )
    .await;
    for (asked, expected) in [
        ("X1", &["id-o12", "id-o11", "id-o10"][..]),
        (&jlac, &["id-o10"]),
        (&own, &["id-o12", "id-o10"]),
        ("|X1", &["id-o11"]),
        ("X2", &["id-o10"]),
        (&format!("{JLAC}|X2"), &[]),
        (&long, &["id-o11"]),
        ("x1", &[]),
        ("", &[]),
        ("%", &[]),
    ] {
        let latest = ledger.latest(&of("0001", asked)).await.unwrap();
        assert_eq!(ids(&latest), expected, "{asked}");
    }
    // What cannot be read is kept and not found.
    let mut broken = observation(14, 1, 1, &["X1"], &day);
    broken.stored.body = Arc::from("{\"resourceType\":");
    recorded(&ledger, vec![broken]).await;
    assert_eq!(
        ledger.latest(&of("0001", "X1")).await.unwrap().found.len(),
        3
    );
}

pub(in crate::store) async fn what_was_corrected_or_taken_back_is_not_found(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    two_patients(&ledger).await;
    let (morning, evening) = (
        at_time("2026-01-10T07:00:00+09:00"),
        at_time("2026-01-10T19:00:00+09:00"),
    );
    let first = |row| observation(row, 1, 1, &["OLD", "SAME"], &morning);
    recorded(&ledger, vec![first(10), first(11), first(12)]).await;
    // Another code, another time, and within one batch the last version only.
    recorded(
        &ledger,
        vec![
            observation(10, 1, 2, &["BETWEEN"], &morning),
            observation(10, 1, 3, &["NEW", "SAME"], &evening),
        ],
    )
    .await;
    for (code, expected) in [
        ("OLD", &["id-o12", "id-o11"][..]),
        ("BETWEEN", &[]),
        ("NEW", &["id-o10"]),
        ("SAME", &["id-o10", "id-o12", "id-o11"]),
    ] {
        let latest = ledger.latest(&of("0001", code)).await.unwrap();
        assert_eq!(ids(&latest), expected, "{code}");
    }
    let latest = ledger.latest(&of("0001", "NEW")).await.unwrap();
    assert_eq!(latest.found[0].version, 3);
    // Taken back with a new version, and by a bare tombstone.
    let mut withdrawn = observation(11, 1, 2, &["OLD", "SAME"], &morning);
    withdrawn.stored.withdrawn = true;
    let mut tombstone = first(12);
    tombstone.stored.withdrawn = true;
    tombstone.stored.body = Arc::from("");
    recorded(&ledger, vec![withdrawn, tombstone]).await;
    let latest = ledger.latest(&of("0001", "SAME")).await.unwrap();
    assert_eq!(ids(&latest), ["id-o10"]);
    // It may come back, and may turn out to be another patient's.
    recorded(
        &ledger,
        vec![
            observation(11, 1, 3, &["OLD", "SAME"], &morning),
            observation(10, 2, 4, &["NEW", "SAME"], &evening),
        ],
    )
    .await;
    let latest = ledger.latest(&of("0001", "SAME")).await.unwrap();
    assert_eq!((ids(&latest), latest.found[0].version), (vec!["id-o11"], 3));
    let latest = ledger.latest(&of("0002", "SAME")).await.unwrap();
    assert_eq!(ids(&latest), ["id-o10"]);
}

pub(in crate::store) async fn results_of_an_earlier_renkei_are_indexed(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    two_patients(&ledger).await;
    let day = at_time("2026-01-10");
    let rows: Vec<i64> = (10..1_500).collect();
    for part in rows.chunks(500) {
        let versions = part
            .iter()
            .map(|row| observation(*row, 1, 1, &["X1"], &day));
        recorded(&ledger, versions.collect()).await;
    }
    drop(ledger);
    for text in FORGET_THE_INDEX {
        house.tamper(text).await;
    }
    let ledger = house.hub().await.unwrap();
    let mut asked = of("0001", "X1");
    asked.count = 10_000;
    assert_eq!(ledger.latest(&asked).await.unwrap(), Latest::default());
    // One step, another writer meanwhile, another start; then the rest.
    assert!(ledger.index_older().await.unwrap());
    recorded(
        &ledger,
        vec![
            observation(20, 1, 2, &["X2"], &day),
            observation(2_000, 1, 1, &["X1"], &day),
        ],
    )
    .await;
    let some = ledger.latest(&asked).await.unwrap();
    assert!(!some.complete && some.found.len() > 1 && some.found.len() < rows.len());
    drop(ledger);
    let ledger = house.hub().await.unwrap();
    index_all(&ledger, &CancellationToken::new()).await;
    assert!(!ledger.index_older().await.unwrap());
    let all = ledger.latest(&asked).await.unwrap();
    // The one that was corrected meanwhile is gone, the new one is there.
    assert_eq!((all.complete, all.found.len()), (true, rows.len()));
    assert_eq!(ids(&all)[0], "id-o2000");
    assert!(!ids(&all).contains(&"id-o20"));
}

pub(in crate::store) async fn what_the_index_lacks_is_named_and_made_anew(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    two_patients(&ledger).await;
    let (day, own) = (at_time("2026-01-10"), format!("{OWN}|X2"));
    let versions = vec![
        observation(10, 1, 1, &["X1", &own], &day),
        observation(11, 1, 1, &["X1"], ""),
        observation(12, 2, 1, &[], &day),
    ];
    recorded(&ledger, versions).await;
    recorded(&ledger, vec![observation(11, 1, 2, &["X1"], "")]).await;
    let verify = async |by: Option<&By>| {
        let findings = ledger.verify(Thoroughness::Deep, by).await.unwrap();
        let of_index = findings
            .into_iter()
            .filter(|finding| finding.check == "result-not-indexed");
        of_index
            .map(|finding| (finding.at, finding.mended))
            .collect::<Vec<_>>()
    };
    assert_eq!(verify(None).await, []);
    house
        .tamper("DELETE FROM result WHERE resource = 10 AND system = (SELECT id FROM word WHERE text <> '' AND text LIKE '%99'); UPDATE result SET version = 1 WHERE resource = 11")
        .await;
    let both = |mended| [10, 11].map(|id| (format!("resource {id}"), mended));
    assert_eq!(verify(None).await, both(false));
    assert_eq!(verify(Some(&by(900))).await, both(true));
    // What is known to be incomplete says so by itself.
    assert_eq!(verify(None).await, []);
    index_all(&ledger, &CancellationToken::new()).await;
    assert_eq!(verify(None).await, []);
    let latest = ledger.latest(&of("0001", &own)).await.unwrap();
    assert_eq!(ids(&latest), ["id-o10"]);
}
