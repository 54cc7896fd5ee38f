//! Accept, waiting, load, apply, runs.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use renkei_core::source::Processed;
use renkei_core::{
    Code, MessageId, Note, NoticeId, PersonId, Receipt, RecordId, ResourceType, SourceName,
};

use super::House;
use super::fixture::*;
use crate::store::{Store, StoreError};
use crate::world::{Effects, MessageState, Review};

pub(in crate::store) async fn repeats_are_recognised(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let first = ledger
        .accept(vec![
            message("1", "a"),
            message("1", "a"),
            message("1", "b"),
            message("2", "a"),
        ])
        .await
        .unwrap();
    assert_eq!(
        first,
        [
            Receipt::Stored(MessageId(1)),
            Receipt::Duplicate(MessageId(1)),
            Receipt::Stored(MessageId(2)),
            Receipt::Stored(MessageId(3))
        ]
    );
    let again = ledger
        .accept(vec![
            message("2", "a"),
            message("1", "b"),
            message("1", "c"),
        ])
        .await
        .unwrap();
    assert_eq!(
        again[..2],
        [
            Receipt::Duplicate(MessageId(3)),
            Receipt::Duplicate(MessageId(2))
        ]
    );
    // Positions rise; they need not be the next ones.
    assert!(matches!(again[2], Receipt::Stored(id) if id > MessageId(3)));
    let mut other = message("1", "a");
    other.message.source = SourceName::new("other");
    assert!(matches!(
        ledger.accept(vec![other]).await.unwrap()[..],
        [Receipt::Stored(id)] if Receipt::Stored(id) != again[2]
    ));
    let waiting = ledger.waiting(10).await.unwrap();
    let reused: Vec<bool> = waiting
        .iter()
        .map(|waiting| waiting.control_id_reused)
        .collect();
    assert_eq!(reused, [false, true, false, true, false]);
}

pub(in crate::store) async fn waiting_comes_in_the_order_of_acceptance(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    accepted(&ledger, "A", 150).await;
    let mut cut = message("cut", "MSH|cut");
    cut.message.refused = Some(Code::HL7_FRAME_TRUNCATED);
    ledger.accept(vec![cut]).await.unwrap();
    accepted(&ledger, "B", 1).await;
    let waiting = ledger.waiting(200).await.unwrap();
    let ids: Vec<i64> = waiting.iter().map(|waiting| waiting.message.id.0).collect();
    assert_eq!(ids, (1..=150).chain([152]).collect::<Vec<_>>());
    assert_eq!(waiting[149].message.body.as_ref(), b"MSH|A149");
    assert_eq!(waiting[0].message.received_at, at(0));
    assert_eq!(
        ledger.outcomes(&[MessageId(151)]).await.unwrap(),
        [(MessageId(151), Processed::Failed(Code::HL7_FRAME_TRUNCATED))]
    );
    assert_eq!(ledger.outcomes(&[MessageId(1)]).await.unwrap(), []);
    ledger.count_attempt(&[MessageId(1)]).await.unwrap();
    ledger
        .count_attempt(&[MessageId(1), MessageId(2)])
        .await
        .unwrap();
    let attempts: Vec<u32> = ledger
        .waiting(3)
        .await
        .unwrap()
        .iter()
        .map(|waiting| waiting.attempts)
        .collect();
    assert_eq!(attempts, [2, 1, 0]);
}

pub(in crate::store) async fn a_lost_blob_is_a_damaged_message(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let mut document = message("doc", "%PDF-1.7");
    document.body = crate::store::StoredBody::Blob;
    ledger.accept(vec![document]).await.unwrap();
    assert_eq!(
        ledger.waiting(1).await.unwrap()[0].damaged,
        Some(Code::INB_BLOB_MISSING)
    );
}

pub(in crate::store) async fn what_was_applied_is_loaded(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    one_stay(&ledger).await;
    let mut world = world();
    let mut wanted = keys(HOSPITAL, "0001", facts("カクウハナコ", "1940-04-01"));
    wanted.scopes = vec![(local(HOSPITAL, "0001"), "order:OML:stay-1".to_owned())];
    ledger.load(&wanted, &mut world).await.unwrap();
    assert_eq!(world.by_local[&local(HOSPITAL, "0001")], RecordId(1));
    assert_eq!(world.records[&RecordId(1)].person, Some(PersonId(1)));
    assert_eq!(world.stays[&RecordId(1)], ["id-stay-1"]);
    assert_eq!(
        world.scopes[&(RecordId(1), "order:OML:stay-1".to_owned())],
        ["id-stay-1"]
    );
    let stay = &world.resources["id-stay-1"];
    assert_eq!(
        (stay.version, stay.body.as_ref(), stay.source_time),
        (1, r#"{"resourceType":"Encounter","version":1}"#, at(0))
    );
    assert_eq!(world.notices[&NoticeId(1)].due_at, Some(at(600)));
    assert_eq!(
        ledger.outcomes(&[MessageId(1)]).await.unwrap(),
        [(MessageId(1), Processed::Processed)]
    );
    assert!(ledger.waiting(1).await.unwrap().is_empty());
}

pub(in crate::store) async fn candidates_come_with_a_newcomer(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let mut effects = Effects {
        persons: vec![PersonId(1)],
        ..Effects::default()
    };
    let mut insured = facts("カクウジロウ", "1950-01-01");
    insured.insurance = vec!["care:131000:0000000001".to_owned()];
    for (id, facts) in [
        (1, facts("カクウハナコ", "1940-04-01")),
        (2, facts("ベツノヒト", "1930-01-01")),
        (3, insured.clone()),
        (4, facts("カクウハナコ", "1999-01-02")),
        (5, facts("カクウハナコ", "1950-01-03")),
    ] {
        effects.records.insert(
            RecordId(id),
            record(id, &format!("000{id}"), Some(1), facts),
        );
    }
    ledger.apply(effects, Vec::new()).await.unwrap();
    let mut found = world();
    let mut newcomer = facts("カクウハナコ", "1999-04-01");
    newcomer.insurance = insured.insurance;
    ledger
        .load(&keys(CLINIC, "77", newcomer), &mut found)
        .await
        .unwrap();
    let mut ids: Vec<i64> = found.records.keys().map(|id| id.0).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [1, 3],
        "called the same and born on a near day, or insured alike; no stranger and no namesake"
    );
    assert!(found.by_local.is_empty());
    let mut known = world();
    ledger
        .load(
            &keys(HOSPITAL, "0002", facts("ベツノヒト", "1940-04-01")),
            &mut known,
        )
        .await
        .unwrap();
    assert_eq!(known.records.len(), 1, "a known record needs no candidates");
}

pub(in crate::store) async fn a_refused_batch_leaves_nothing(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    accepted(&ledger, "A", 2).await;
    let mut effects = stay(1, "0001", 1);
    effects.outcomes = vec![processed(1, Some(1))];
    // The same event of the same record under another id: no ledger may take it.
    effects
        .notices
        .insert(NoticeId(2), notice(2, 1, 1, "stay-1"));
    // With several hubs it may also be somebody else's row: then it is decided again first.
    assert!(matches!(
        ledger.apply(effects, Vec::new()).await,
        Err(StoreError::Refused(_) | StoreError::Conflict(_))
    ));
    let mut world = world();
    ledger
        .load(&keys(HOSPITAL, "0001", facts("", "")), &mut world)
        .await
        .unwrap();
    assert!(world.records.is_empty() && world.resources.is_empty());
    assert_eq!(ledger.waiting(10).await.unwrap().len(), 2);
    // And the writer goes on.
    let mut effects = stay(1, "0001", 1);
    effects.outcomes = vec![processed(1, Some(1))];
    ledger.apply(effects, Vec::new()).await.unwrap();
    assert_eq!(ledger.waiting(10).await.unwrap().len(), 1);
}

pub(in crate::store) async fn a_reviewer_is_not_overruled_by_a_batch_under_way(house: &impl House) {
    use crate::store::operator::{Decision, Operator};
    let ledger = house.hub().await.unwrap();
    accepted(&ledger, "A", 2).await;
    let unknown = record(1, "0001", None, facts("カクウハナコ", "1940-04-01"));
    let mut first = Effects::default();
    first.records.insert(RecordId(1), unknown.clone());
    first.reviews = vec![Review {
        record: RecordId(1),
        code: Code::IDN_AMBIGUOUS,
        candidates: Vec::new(),
    }];
    first.outcomes = vec![ended(
        1,
        Some(1),
        MessageState::Parked,
        Some(Code::IDN_AMBIGUOUS),
    )];
    ledger.apply(first, Vec::new()).await.unwrap();
    assert_eq!(
        ledger
            .decide_review(RecordId(1), Decision::NewPerson, &by(5))
            .await
            .unwrap(),
        1
    );
    // A batch that was loaded before the decision.
    let mut second = Effects::default();
    second.records.insert(RecordId(1), unknown);
    second.outcomes = vec![ended(
        2,
        Some(1),
        MessageState::Parked,
        Some(Code::IDN_AMBIGUOUS),
    )];
    ledger.apply(second, Vec::new()).await.unwrap();
    let mut world = world();
    ledger
        .load(&keys(HOSPITAL, "0001", facts("", "")), &mut world)
        .await
        .unwrap();
    assert_eq!(world.records[&RecordId(1)].person, Some(PersonId(-1)));
    assert_eq!(
        world.ids.person, 1,
        "the engine's own numbers are not touched"
    );
    let waiting = ledger.waiting(10).await.unwrap();
    assert_eq!(waiting.len(), 2, "both are processed again");
    assert!(waiting.iter().all(|waiting| !waiting.replay));
}

pub(in crate::store) async fn one_hub_at_a_time(house: &impl House) {
    let first = house.hub().await.unwrap();
    let second = house.hub().await;
    assert!(matches!(
        second,
        Err(StoreError::Unusable {
            code: Code::CFG_LOCKED
        })
    ));
    house.command().await.unwrap().enrolled().await.unwrap();
    drop(first);
    house.hub().await.unwrap();
}

pub(in crate::store) async fn a_newer_schema_is_left_alone(house: &impl House) {
    drop(house.hub().await.unwrap());
    house.migrate_further().await;
    assert!(matches!(
        house.hub().await,
        Err(StoreError::Unusable {
            code: Code::CFG_SCHEMA_NEWER
        })
    ));
    assert!(matches!(
        house.command().await,
        Err(StoreError::Unusable {
            code: Code::CFG_SCHEMA_NEWER
        })
    ));
}

pub(in crate::store) async fn what_was_accepted_outlives_the_process(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    assert!(
        ledger.begin_run(at(0)).await.unwrap(),
        "the first start is clean"
    );
    accepted(&ledger, "A", 20).await;
    drop(ledger);
    let ledger = house.hub().await.unwrap();
    assert!(
        !ledger.begin_run(at(1)).await.unwrap(),
        "the run before did not end"
    );
    assert_eq!(ledger.waiting(100).await.unwrap().len(), 20);
    assert_eq!(
        ledger.accept(vec![message("A3", "MSH|A3")]).await.unwrap(),
        [Receipt::Duplicate(MessageId(4))]
    );
    ledger.end_run(at(2)).await.unwrap();
    assert!(ledger.begin_run(at(3)).await.unwrap());
}

pub(in crate::store) async fn others_see_what_is_committed(house: &impl House) {
    use crate::store::operator::Operator;
    let ledger = house.hub().await.unwrap();
    let before = ledger.data_version().await.unwrap();
    accepted(&ledger, "A", 1).await;
    assert_eq!(
        ledger.data_version().await.unwrap(),
        before,
        "one's own writing is no news"
    );
    let command = house.command().await.unwrap();
    assert_eq!(command.waiting(10).await.unwrap().len(), 1);
    command
        .enrol(&[local(HOSPITAL, "0001")], &by(1))
        .await
        .unwrap();
    assert_ne!(ledger.data_version().await.unwrap(), before);
    assert_eq!(ledger.enrolled().await.unwrap(), [local(HOSPITAL, "0001")]);
}

pub(in crate::store) async fn sources_remember(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let (one, other) = (SourceName::new("one"), SourceName::new("other"));
    let note = |key: &str, value: Option<&str>| Note {
        key: key.to_owned(),
        value: value.map(str::to_owned),
    };
    ledger
        .remember(
            &one,
            vec![
                note("a", Some("1")),
                note("b", Some("")),
                note("c", Some("{\"x\":1}")),
            ],
        )
        .await
        .unwrap();
    ledger
        .remember(&other, vec![note("a", Some("9"))])
        .await
        .unwrap();
    ledger
        .remember(&one, vec![note("a", Some("2")), note("c", None)])
        .await
        .unwrap();
    let mut notes = Store::recall(&ledger, &one).await.unwrap();
    notes.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(notes, [note("a", Some("2")), note("b", Some(""))]);
    ledger.count("turned_away", 2).await.unwrap();
    ledger.count("turned_away", 3).await.unwrap();
    use crate::store::operator::Operator;
    assert_eq!(
        ledger.status(at(0)).await.unwrap().counters["turned_away"],
        5
    );
}

/// Upserts under natural keys: applying the same state again changes nothing.
pub(in crate::store) async fn applied_twice_is_applied_once(house: &impl House) {
    use crate::store::operator::Operator;
    let ledger = house.hub().await.unwrap();
    accepted(&ledger, "A", 40).await;
    let shape = proptest::collection::vec((0_i64..6, 0_i64..6, any::<bool>()), 1..25);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut next = 1;
    for _ in 0..12 {
        let rows = shape.new_tree(&mut runner).unwrap().current();
        let build = |with_once: bool| {
            let mut effects = Effects::default();
            for (index, (who, what, late)) in rows.iter().enumerate() {
                let (person, resource) = (next + who, next * 10 + what);
                if with_once && !effects.persons.contains(&PersonId(person)) {
                    effects.persons.push(PersonId(person));
                }
                effects.records.insert(
                    RecordId(person),
                    record(
                        person,
                        &format!("{person}"),
                        Some(person),
                        facts("カナ", "1940-04-01"),
                    ),
                );
                let new = version(
                    resource,
                    person,
                    ResourceType::Observation,
                    &format!("{resource}"),
                    1,
                    1,
                );
                if with_once
                    && effects
                        .versions
                        .iter()
                        .all(|known| known.stored.row != resource)
                {
                    effects.versions.push(new);
                }
                let message = i64::try_from(index).unwrap() + 1;
                effects.sightings.push(crate::world::Sighting {
                    late: *late,
                    ..sighting(message, resource, 1)
                });
                effects.notices.insert(
                    NoticeId(person),
                    notice(person, person, person, &format!("{person}")),
                );
                effects.outcomes.retain(|(known, _)| known.0 != message);
                effects.outcomes.push(processed(message, Some(person)));
            }
            effects
        };
        ledger.apply(build(true), Vec::new()).await.unwrap();
        let once = format!(
            "{:?} {:?}",
            ledger.ledger_counts().await.unwrap(),
            ledger.event_rows().await.unwrap()
        );
        ledger.apply(build(false), Vec::new()).await.unwrap();
        let twice = format!(
            "{:?} {:?}",
            ledger.ledger_counts().await.unwrap(),
            ledger.event_rows().await.unwrap()
        );
        assert_eq!(once, twice);
        next += 10;
    }
}
