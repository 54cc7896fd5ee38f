//! Damage of every kind is found, named, and mended where that loses nothing.

use renkei_core::MessageId;
use renkei_core::delivery::AttachmentRef;

use super::House;
use super::fixture::*;
use crate::store::blob::{self, Folder};
use crate::store::keeper::{Finding, Keeper, Thoroughness};
use crate::store::operator::Operator;
use crate::store::{Store, StoredBody};

/// Two stays, one told with a file beside it; a long message in the blob store; one message that waits.
async fn lived_in(house: &impl House, ledger: &(impl Store + Operator)) {
    let blobs = Folder::new(house.folder());
    let channel = one_stay(ledger).await;
    let (mut effects, mut framed) = settling(ledger, 1, &channel, 600).await;
    effects
        .decisions
        .push(permitted(1, effects.deliveries[0].version, &channel, 600));
    let mut payload = payload();
    payload.attachments = vec![AttachmentRef {
        sha256: blobs.write(b"sheet").unwrap(),
        media_type: "application/pdf".to_owned(),
        file_name: "joho-sheet.pdf".to_owned(),
        size: 5,
    }];
    framed.payload = Ok(payload);
    ledger.apply(effects, vec![framed]).await.unwrap();
    accepted(ledger, "B", 2).await;
    let mut long = message("long", "MSH|long");
    long.body = StoredBody::Blob;
    blobs.write(b"MSH|long").unwrap();
    ledger.accept(vec![long]).await.unwrap();
    let mut effects = stay(2, "0002", 2);
    effects.outcomes = vec![processed(2, Some(2)), processed(4, Some(2))];
    ledger.apply(effects, Vec::new()).await.unwrap();
}

async fn named(ledger: &impl Keeper) -> Vec<(&'static str, String)> {
    let findings = ledger.verify(Thoroughness::Deep, None).await.unwrap();
    let mut named: Vec<_> = findings
        .into_iter()
        .map(|Finding { check, at, .. }| (check, at))
        .collect();
    named.sort();
    named
}

pub(in crate::store) async fn a_whole_ledger_has_no_findings(house: &impl House) {
    let ledger = house.command().await.unwrap();
    assert_eq!(named(&ledger).await, []);
    lived_in(house, &ledger).await;
    assert_eq!(named(&ledger).await, []);
}

/// What is done to it, and exactly what is said about it.
const DAMAGES: [(&str, &[(&str, &str)]); 19] = [
    (
        "UPDATE audit SET reason = 'other' WHERE id = 2",
        &[("audit-chain", "line 2")],
    ),
    (
        "INSERT INTO waiting (position, lane) VALUES (77, 1)",
        &[("waiting-without-message", "waiting 77")],
    ),
    (
        "UPDATE outcome SET position = 78 WHERE position = 2",
        &[
            ("message-in-no-queue", "message 2"),
            ("outcome-without-message", "outcome 78"),
        ],
    ),
    (
        "DELETE FROM waiting WHERE position = 3",
        &[("message-in-no-queue", "message 3")],
    ),
    (
        "INSERT INTO waiting (position, lane) VALUES (1, 7)",
        &[("outcome-and-waiting", "message 1")],
    ),
    (
        "DELETE FROM person WHERE id = 2",
        &[
            ("notice-without-record", "notice 2"),
            ("record-without-person", "record 2"),
        ],
    ),
    (
        "DELETE FROM version WHERE resource = 2",
        &[("resource-without-current-version", "resource 2")],
    ),
    (
        "UPDATE resource SET version = 2 WHERE id = 2; UPDATE version SET version = 2 WHERE resource = 2",
        &[("version-gap", "resource 2")],
    ),
    (
        "INSERT INTO version (resource, version, body, withdrawn, source_time, recorded_at) VALUES (79, 1, '{}', FALSE, 0, 0)",
        &[("version-without-resource", "version 1 of resource 79")],
    ),
    (
        "UPDATE resource SET record = 1, natural_key = (SELECT natural_key FROM resource WHERE id = 1) WHERE id = 2",
        &[("resource-twice", "resources 1 and 2")],
    ),
    (
        "INSERT INTO sighting (message, resource, version, late) VALUES (2, 80, 1, FALSE)",
        &[(
            "sighting-of-nothing",
            "sighting of resource 80 version 1 by message 2",
        )],
    ),
    (
        "UPDATE notice SET due_at = NULL WHERE id = 2",
        &[("notice-in-no-queue", "notice 2")],
    ),
    (
        "UPDATE notice_version SET version = 5 WHERE notice = 1",
        &[
            ("delivery-without-content", "delivery D"),
            ("notice-version-gap", "notice 1"),
        ],
    ),
    (
        "INSERT INTO reroute (id, notice) VALUES (900, 81)",
        &[("reroute-without-notice", "reroute 900")],
    ),
    (
        "UPDATE decision SET notice = 82",
        &[("decision-without-notice", "decision 1")],
    ),
    (
        "UPDATE delivery SET notice = 83",
        &[("delivery-without-notice", "delivery D")],
    ),
    (
        "UPDATE delivery SET channel = 84",
        &[("delivery-without-channel", "delivery D")],
    ),
    (
        "UPDATE message SET body = (SELECT body FROM message WHERE position = 1) WHERE position = 3",
        &[("body-damaged", "message 3")],
    ),
    (
        "UPDATE version SET body = '{\"resourceType\":\"Patient\"}' WHERE resource = 2",
        &[("resource-damaged", "resource 2")],
    ),
];

/// Does something to each table.
async fn copied(house: &impl House, sql: &str) {
    let tables = [
        "audit",
        "waiting",
        "outcome",
        "message",
        "person",
        "record",
        "resource",
        "version",
        "sighting",
        "notice",
        "notice_version",
        "reroute",
        "decision",
        "delivery",
    ];
    let all: Vec<String> = tables
        .iter()
        .map(|table| sql.replace("<t>", table))
        .collect();
    house.tamper(&all.join(" ")).await;
}

/// Each damage alone: it is undone before the next.
pub(in crate::store) async fn each_damage_is_found_and_named(house: &impl House) {
    let ledger = house.command().await.unwrap();
    lived_in(house, &ledger).await;
    house
        .tamper("UPDATE delivery SET id = 'D'; UPDATE attachment SET delivery = 'D'")
        .await;
    let blobs = Folder::new(house.folder());
    let names = ledger.named_after(None, 10).await.unwrap();
    assert_eq!(names.len(), 2);
    assert_eq!(named(&ledger).await, []);
    copied(house, "CREATE TABLE copy_<t> AS SELECT * FROM <t>;").await;
    for (damage, expected) in DAMAGES {
        house.tamper(damage).await;
        let mut found = named(&ledger).await;
        // SQLite's own check of foreign keys says the same once more, by table.
        found.retain(|(check, _)| *check != "foreign-keys");
        let expected: Vec<_> = expected
            .iter()
            .map(|(check, at)| (*check, (*at).to_owned()))
            .collect();
        assert_eq!(found, expected, "{damage}");
        copied(
            house,
            "DELETE FROM <t>; INSERT INTO <t> SELECT * FROM copy_<t>;",
        )
        .await;
        assert_eq!(named(&ledger).await, [], "after {damage}");
    }
    let file = |at: usize| {
        let name = data_encoding::HEXLOWER.encode(&names[at]);
        (blobs.file(&name).unwrap(), format!("file {name}"))
    };
    let (first, first_name) = file(0);
    let whole = std::fs::read(&first).unwrap();
    std::fs::write(&first, b"other bytes").unwrap();
    assert_eq!(named(&ledger).await, [("blob-damaged", first_name.clone())]);
    std::fs::remove_file(&first).unwrap();
    assert_eq!(named(&ledger).await, [("blob-missing", first_name)]);
    std::fs::write(&first, whole).unwrap();
    let orphan = blobs.write(b"orphan").unwrap();
    assert_eq!(named(&ledger).await, [], "what is young may be named soon");
    let day = std::time::Duration::from_secs(48 * 3_600);
    std::fs::File::open(blobs.file(&orphan).unwrap())
        .unwrap()
        .set_modified(blob::now() - day)
        .unwrap();
    assert_eq!(
        named(&ledger).await,
        [("blob-unnamed", format!("file {orphan}"))]
    );
}

pub(in crate::store) async fn what_is_safe_is_mended(house: &impl House) {
    let ledger = house.command().await.unwrap();
    lived_in(house, &ledger).await;
    house
        .tamper(
            "INSERT INTO waiting (position, lane) VALUES (77, 1), (1, 7); DELETE FROM waiting WHERE position = 3; \
             INSERT INTO reroute (id, notice) VALUES (900, 81); UPDATE notice SET due_at = NULL WHERE id = 2; \
             UPDATE delivery SET channel = 84",
        )
        .await;
    let before = ledger.check_audit().await.unwrap().lines;
    let findings = ledger
        .verify(Thoroughness::Rows, Some(&by(5_000)))
        .await
        .unwrap();
    let mended: Vec<_> = findings.iter().filter(|finding| finding.mended).collect();
    assert_eq!((findings.len(), mended.len()), (6, 5), "{findings:?}");
    assert!(mended.iter().all(|finding| finding.safe));
    let left = ledger.verify(Thoroughness::Rows, None).await.unwrap();
    let left: Vec<_> = left.iter().map(|finding| finding.check).collect();
    assert_eq!(left, ["delivery-without-channel"], "a person must decide");
    // What is processed again tells nobody by itself.
    let waiting = ledger.waiting(10).await.unwrap();
    let ids: Vec<_> = waiting
        .iter()
        .map(|waiting| (waiting.message.id.0, waiting.replay))
        .collect();
    assert_eq!(ids, [(1, true), (3, true)]);
    let after = ledger.check_audit().await.unwrap();
    assert_eq!((after.lines, after.broken_at), (before + 5, None));
}

pub(in crate::store) async fn an_older_ledger_is_taken_over_whole(house: &impl House) {
    house.live_in_before().await;
    let blobs = Folder::new(house.folder());
    blobs.write(b"sheet").unwrap();
    blobs.write(b"MSH|long").unwrap();
    let ledger = house.command().await.unwrap();
    assert_eq!(named(&ledger).await, []);
    let rows = ledger.inventory().await.unwrap().rows;
    let counts = [
        "message",
        "outcome",
        "version",
        "delivery",
        "attachment",
        "audit",
    ];
    assert_eq!(counts.map(|table| rows[table]), [4, 3, 2, 1, 1, 2]);
    // What was said before is known, readable and processed on.
    let again = ledger.accept(vec![message("A0", "MSH|A0")]).await.unwrap();
    assert_eq!(again, [renkei_core::Receipt::Duplicate(MessageId(1))]);
    let waiting = ledger.waiting(10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].message.body.as_ref(), b"MSH|B1");
    let mut before = world();
    let known = keys(HOSPITAL, "0001", facts("カクウハナコ", "1940-04-01"));
    ledger.load(&known, &mut before).await.unwrap();
    assert_eq!(
        before.resources["id-stay-1"].body.as_ref(),
        r#"{"resourceType":"Encounter","version":1}"#
    );
    let channel = channel_of(&ledger, 1).await;
    let due = ledger.due_deliveries(&channel.sink, at(700), 10).await;
    let due = due.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].payload.attachments.len(), 1);
    let mut world = world();
    let newcomer = keys(HOSPITAL, "0003", facts("カクウジロウ", "1950-01-01"));
    ledger.load(&newcomer, &mut world).await.unwrap();
    assert!(
        world.ids.record > 2 && world.ids.notice > 2,
        "{:?}",
        world.ids
    );
    let new = ledger
        .accept(vec![message("new", "MSH|new")])
        .await
        .unwrap();
    assert!(
        matches!(new[..], [renkei_core::Receipt::Stored(MessageId(5..))]),
        "{new:?}"
    );
    let mut effects = stay(3, "0003", 3);
    effects.outcomes = vec![processed(3, Some(3))];
    ledger.apply(effects, Vec::new()).await.unwrap();
    ledger.enrol(&[], &by(800)).await.unwrap();
    assert_eq!(named(&ledger).await, []);
    assert_eq!(ledger.check_audit().await.unwrap().lines, 3);
}
