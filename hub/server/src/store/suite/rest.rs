//! What no other behaviour says, so that every verb is said to both databases; and the test that holds it.

use std::time::Duration;

use renkei_core::{Code, MessageId, SinkName, SourceName};

use super::House;
use super::fixture::*;
use crate::store::keeper::Keeper;
use crate::store::operator::Operator;
use crate::store::{Held, Store, StoredBody, Wants};
use crate::world::{DeliveryState, Effects};

pub(in crate::store) async fn the_length_of_the_queue_is_counted(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    assert_eq!(ledger.waiting_up_to(10).await.unwrap(), 0);
    assert_eq!(ledger.newest_of_oldest(10).await.unwrap(), None);
    accepted(&ledger, "A", 5).await;
    for (limit, counted) in [(0, 0), (3, 3), (5, 5), (10, 5)] {
        assert_eq!(ledger.waiting_up_to(limit).await.unwrap(), counted);
    }
    for (count, newest) in [(3, 3), (10, 5)] {
        let found = ledger.newest_of_oldest(count).await.unwrap();
        assert_eq!(found, Some(MessageId(newest)));
    }
}

pub(in crate::store) async fn a_hub_alone_holds_everything(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let wants = Wants {
        sources: vec![SourceName::new("byoin")],
        tasks: vec![SourceName::new("storage")],
        now: at(0),
    };
    let expected = Held {
        tasks: wants.tasks.clone(),
        taken_over: false,
    };
    assert_eq!(ledger.lease(&wants).await.unwrap(), expected);
    assert!(ledger.holds());
}

pub(in crate::store) async fn the_hub_sees_what_operators_set(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    assert_eq!(ledger.overrides().await.unwrap(), []);
    for (sink, mode, paused) in [
        ("mcs", Some(crate::config::SinkMode::Shadow), None),
        ("ward", None, Some(true)),
    ] {
        let sink = SinkName::new(sink);
        let set = ledger.sink_override(&sink, mode, paused, &by(0)).await;
        set.unwrap();
    }
    let mut seen = ledger.overrides().await.unwrap();
    seen.sort_by(|one, other| one.sink.cmp(&other.sink));
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].mode, seen[0].paused),
        (Some(crate::config::SinkMode::Shadow), false)
    );
    assert_eq!((seen[1].mode, seen[1].paused), (None, true));
}

pub(in crate::store) async fn what_was_superseded_can_be_revived(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let id = settled(&ledger, 1, &channel, 600).await;
    for (code, state) in [
        (None, DeliveryState::Pending),
        (Some(Code::RTE_STALE), DeliveryState::Held),
    ] {
        let ended = Effects {
            superseded: vec![(id.clone(), Code::DLV_SUPERSEDED)],
            ..Effects::default()
        };
        ledger.apply(ended, Vec::new()).await.unwrap();
        let line = ledger.delivery(&id).await.unwrap().unwrap().delivery;
        assert_eq!(line.state, DeliveryState::Dead);
        let revived = Effects {
            revived: vec![(id.clone(), code)],
            decisions: vec![permitted(1, 1, &channel, 700)],
            ..Effects::default()
        };
        ledger.apply(revived, Vec::new()).await.unwrap();
        let line = ledger.delivery(&id).await.unwrap().unwrap().delivery;
        assert_eq!(line.state, state);
        assert_eq!(line.code, code.map(|code| code.to_string()));
        let due = ledger.next_delivery(&channel.sink).await.unwrap();
        assert_eq!(due, code.is_none().then(|| at(700)));
    }
}

pub(in crate::store) async fn what_nothing_names_is_collected(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let mut long = message("long", "MSH|long");
    long.body = StoredBody::Blob;
    let named = house.put(&ledger, b"MSH|long").await;
    ledger.accept(vec![long]).await.unwrap();
    let orphan = house.put(&ledger, b"orphan").await;
    let shard = |name: &str| u8::from_str_radix(&name[..2], 16).unwrap();
    let collect = async |name: &str, age: Duration, remove: bool| {
        ledger.collect(shard(name), age, remove).await.unwrap()
    };
    let (day, now) = (Duration::from_secs(24 * 3_600), Duration::ZERO);
    assert_eq!(collect(&orphan, day, true).await, 0, "it may be named soon");
    assert_eq!(collect(&named, now, true).await, 0, "a message names it");
    assert_eq!(collect(&orphan, now, false).await, 1);
    assert_eq!(collect(&orphan, now, true).await, 1);
    assert_eq!(collect(&orphan, now, true).await, 0);
    let waiting = ledger.waiting(1).await.unwrap();
    assert_eq!(waiting[0].message.body.as_ref(), b"MSH|long");
}

/// The traits of the ledger.
const TRAITS: [&str; 6] = [
    include_str!("../mod.rs"),
    include_str!("../beds.rs"),
    include_str!("../keeper.rs"),
    include_str!("../operator.rs"),
    include_str!("../search.rs"),
    include_str!("../watch.rs"),
];
/// The behaviours.
const BEHAVIOURS: [&str; 11] = [
    include_str!("beds.rs"),
    include_str!("fixture.rs"),
    include_str!("keeping.rs"),
    include_str!("keeping_whole.rs"),
    include_str!("outbox.rs"),
    include_str!("people.rs"),
    include_str!("queues.rs"),
    include_str!("rest.rs"),
    include_str!("search.rs"),
    include_str!("walk.rs"),
    include_str!("watch.rs"),
];

/// The verbs of every trait: the trait, the verb, and whether it takes anything.
fn verbs() -> Vec<(String, String, bool)> {
    let mut verbs = Vec::new();
    for text in TRAITS {
        let mut name = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("pub trait ") {
                name = rest.split(':').next();
            }
            if line == "}" {
                name = None;
            }
            let verb = line.trim_start().trim_start_matches("async ");
            let verb = verb
                .strip_prefix("fn ")
                .and_then(|rest| rest.split_once('('));
            if let (Some(name), Some((verb, arguments))) = (name, verb) {
                let alone = arguments.starts_with("&self)");
                verbs.push((name.to_owned(), verb.to_owned(), !alone));
            }
        }
    }
    verbs
}

/// A statement nobody has ever said to one of the databases may not be read there at all: a word that is
/// reserved by one of them is enough.
#[test]
fn every_verb_is_said_to_both_databases() {
    let verbs = verbs();
    assert!(verbs.len() > 70, "{verbs:?}");
    let said = BEHAVIOURS.concat();
    let unsaid: Vec<_> = verbs
        .iter()
        .filter(|(name, verb, takes)| {
            let named = format!("{name}::{verb}(");
            let twice = verbs.iter().filter(|(_, other, _)| other == verb).count() > 1;
            let called = format!(".{verb}(");
            let is_called = said
                .match_indices(&called)
                .any(|(at, call)| said[at + call.len()..].starts_with(')') != *takes);
            !(said.contains(&named) || is_called && !twice)
        })
        .collect();
    assert!(unsaid.is_empty(), "no behaviour says {unsaid:?}");
}
