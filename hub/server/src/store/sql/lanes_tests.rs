//! Two and three hubs on one PostgreSQL, verb by verb: who works on what, and what happens when two of them
//! did the same all the same. No test waits for a lease to run out: it is set back in its row.

use std::collections::BTreeSet;

use renkei_core::{
    MessageId, PeerReceipt, PeerRef, PersonId, Receipt, ReceiptKind, RecordId, SinkName, SourceName,
};
use renkei_sim::hospital::Person;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::counted::{admission, mapped, people, world as hospital_world};
use super::postgres_tests::Schema;
use super::{Access, Database};
use crate::pipeline::{self, Mapped};
use crate::store::suite::fixture::{
    at, channel_of, message, one_stay, processed, settled, settling, stay, world,
};
use crate::store::{Held, Prepared, Store, StoreError, Wants};
use crate::world::{DeliveryState, Effects, Finish, Ids, Keys};

/// A ledger that several hubs share.
struct House {
    schema: Schema,
    raw: PgConnection,
}

impl House {
    async fn new() -> Self {
        let schema = Schema::new();
        let raw = schema.raw().await;
        Self { schema, raw }
    }

    /// The hub of a folder; it holds nothing yet.
    async fn hub(&self, folder: &str) -> Database {
        Database::open(self.schema.place(folder), Access::Hub)
            .await
            .unwrap()
    }

    /// Two hubs that share everything.
    async fn two(&self) -> (Database, Database) {
        let (one, two) = (self.hub("one").await, self.hub("two").await);
        for _ in 0..2 {
            for hub in [&one, &two] {
                lease(hub, &[]).await;
            }
        }
        (one, two)
    }

    async fn number(&mut self, sql: &str) -> i64 {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned()));
        row.fetch_one(&mut self.raw).await.unwrap().get(0)
    }

    /// How many lanes of a kind a hub holds.
    async fn holds(&mut self, hub: &Database, kind: &str) -> i64 {
        let number = hub.lanes.hub.unwrap();
        let sql = format!("SELECT count(*) FROM lane WHERE kind = '{kind}' AND holder = {number}");
        self.number(&sql).await
    }

    /// Nothing was heard of a hub for longer than a lease holds.
    async fn silence(&mut self, hub: &Database) {
        let number = hub.lanes.hub.unwrap();
        for sql in [
            format!("UPDATE lane SET until = 1 WHERE holder = {number}"),
            format!("UPDATE hub SET seen_at = 1 WHERE id = {number}"),
        ] {
            sqlx::query(AssertSqlSafe(sql))
                .execute(&mut self.raw)
                .await
                .unwrap();
        }
    }
}

fn names(names: &[&'static str]) -> Vec<SourceName> {
    names.iter().copied().map(SourceName::new).collect()
}

/// Leases as a hub does that reads two sources and could run these tasks.
async fn lease(hub: &Database, tasks: &[&'static str]) -> Held {
    lease_for(hub, &["byoin", "hospital"], tasks).await
}

async fn lease_for(hub: &Database, sources: &[&'static str], tasks: &[&'static str]) -> Held {
    let wants = Wants {
        sources: names(sources),
        tasks: names(tasks),
        now: at(10_000),
    };
    hub.lease(&wants).await.unwrap()
}

async fn waiting(hub: &Database) -> Vec<i64> {
    let waiting = hub.waiting(64).await.unwrap();
    waiting.iter().map(|one| one.message.id.0).collect()
}

/// A message of a patient of its own; the lane follows the number.
fn of_patient(number: i64) -> Prepared {
    let mut prepared = message(&format!("P{number}"), &format!("MSH|P{number}"));
    prepared.lane = number;
    prepared
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_share_fairly_and_follow_who_lives() {
    let mut house = House::new().await;
    let one = house.hub("one").await;
    lease(&one, &[]).await;
    assert_eq!(house.holds(&one, "source").await, 16, "alone it has all");
    assert_eq!(house.holds(&one, "person").await, 16);
    let (two, three) = (house.hub("two").await, house.hub("three").await);
    for _ in 0..3 {
        for hub in [&one, &two, &three] {
            lease(hub, &[]).await;
        }
    }
    for kind in ["source", "person"] {
        let mut shares = Vec::new();
        for hub in [&one, &two, &three] {
            shares.push(house.holds(hub, kind).await);
        }
        assert_eq!(shares.iter().sum::<i64>(), 16, "{kind}: {shares:?}");
        assert!(
            shares.iter().all(|share| (4..=6).contains(share)),
            "{kind}: {shares:?}"
        );
    }
    three.end_run(at(1)).await.unwrap();
    for _ in 0..2 {
        for hub in [&one, &two] {
            let held = lease(hub, &[]).await;
            assert!(!held.taken_over, "what was let go is not suspect");
        }
    }
    assert_eq!(house.holds(&one, "person").await, 8);
    assert_eq!(house.holds(&two, "person").await, 8);
    assert_eq!(house.holds(&three, "person").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_hubs_lanes_are_taken_over_after_the_lease() {
    let mut house = House::new().await;
    let (one, two) = house.two().await;
    one.accept((0..16).map(of_patient).collect()).await.unwrap();
    let of_one = waiting(&one).await;
    assert_eq!((of_one.len(), waiting(&two).await.len()), (8, 8));
    assert!(!lease(&two, &[]).await.taken_over, "the lease still holds");
    assert_eq!(waiting(&two).await.len(), 8);
    house.silence(&one).await;
    assert!(waiting(&one).await.is_empty(), "its lease is over");
    let held = lease(&two, &[]).await;
    assert!(held.taken_over);
    assert_eq!(waiting(&two).await.len(), 16);
    // When it is heard again, it gets a share again, and nothing of it is suspect.
    for _ in 0..2 {
        for hub in [&one, &two] {
            assert!(!lease(hub, &[]).await.taken_over);
        }
    }
    assert_eq!(house.holds(&one, "source").await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_hub_takes_its_own_back_at_once() {
    let mut house = House::new().await;
    let (one, two) = house.two().await;
    one.accept((0..16).map(of_patient).collect()).await.unwrap();
    let before = waiting(&one).await;
    drop(one);
    let again = house.hub("one").await;
    assert!(!again.begin_run(at(5)).await.unwrap(), "it had not ended");
    assert!(lease(&again, &[]).await.taken_over);
    assert_eq!(waiting(&again).await, before);
    assert_eq!(house.holds(&two, "source").await, 8);
    // A folder that was copied to a second machine: whoever started last works, and they do not fight.
    let name = std::fs::read(house.schema.place("one").folder.join("hub-name")).unwrap();
    let copy = house.schema.place("copy").folder;
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::write(copy.join("hub-name"), name).unwrap();
    let copied = house.hub("copy").await;
    for _ in 0..3 {
        for hub in [&copied, &again, &two] {
            lease(hub, &[]).await;
        }
    }
    assert_eq!(house.holds(&again, "source").await, 0);
    assert_eq!(house.holds(&copied, "source").await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_only_one_may_run_runs_on_one() {
    let house = House::new().await;
    let (one, two) = (house.hub("one").await, house.hub("two").await);
    let mut last = [Held::default(), Held::default()];
    for _ in 0..3 {
        last = [
            lease(&one, &["a", "b", "c"]).await,
            lease(&two, &["a", "b", "c"]).await,
        ];
        let both: Vec<_> = last.iter().flat_map(|held| &held.tasks).collect();
        let distinct: BTreeSet<_> = both.iter().map(|name| name.as_str()).collect();
        assert_eq!(both.len(), distinct.len(), "one at a time: {last:?}");
    }
    assert_eq!(last[0].tasks.len() + last[1].tasks.len(), 3);
    // What only one of them can do is done by it, however much that is.
    for _ in 0..2 {
        last = [
            lease_for(&one, &["byoin"], &["a", "x", "y", "z"]).await,
            lease_for(&two, &["byoin"], &["a"]).await,
        ];
    }
    let of_one: BTreeSet<_> = last[0].tasks.iter().map(SourceName::as_str).collect();
    assert!(of_one.is_superset(&["x", "y", "z"].into()), "{last:?}");
    assert!(
        last.iter()
            .any(|held| held.tasks.contains(&SourceName::new("a")))
    );
}

/// While a new source is being rolled out, a hub that does not know it yet leaves its messages alone.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_source_go_to_hubs_that_know_it() {
    let mut house = House::new().await;
    let (old, new) = (house.hub("old").await, house.hub("new").await);
    for _ in 0..2 {
        lease_for(&old, &["byoin"], &[]).await;
        lease_for(&new, &["byoin", "hospital"], &[]).await;
    }
    assert_eq!(house.holds(&old, "source").await, 4);
    assert_eq!(house.holds(&new, "source").await, 12);
    // Accepted by a hub nobody has told of the source either: it waits for one that reads it.
    let mut stray = of_patient(1);
    stray.message.source = SourceName::new("later");
    old.accept(vec![stray]).await.unwrap();
    assert!(waiting(&old).await.is_empty() && waiting(&new).await.is_empty());
    lease_for(&new, &["byoin", "hospital", "later"], &[]).await;
    assert_eq!(waiting(&new).await.len(), 1);
}

/// Writes that messages were processed, without anything else.
async fn done(hub: &Database, ids: &[i64]) {
    let effects = Effects {
        outcomes: ids.iter().map(|id| processed(*id, None)).collect(),
        ..Effects::default()
    };
    hub.apply(effects, Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_waits_for_all_and_all_wait_for_it() {
    let house = House::new().await;
    let (one, two) = house.two().await;
    one.accept((0..16).map(of_patient).collect()).await.unwrap();
    let mut barrier = of_patient(100);
    barrier.message.barrier = true;
    let receipts = two.accept(vec![barrier]).await.unwrap();
    let Receipt::Stored(MessageId(barrier)) = receipts[0] else {
        panic!("{receipts:?}");
    };
    two.accept((200..216).map(of_patient).collect())
        .await
        .unwrap();
    let mut other = of_patient(1);
    other.message.source = SourceName::new("hospital");
    one.accept(vec![other]).await.unwrap();
    let earlier = [waiting(&one).await, waiting(&two).await].concat();
    assert_eq!(earlier.len(), 17, "the earlier ones and another source's");
    let of_one = waiting(&one).await;
    done(&one, &of_one).await;
    assert!(waiting(&one).await.is_empty());
    let of_two = waiting(&two).await;
    assert_eq!(of_two.len(), 8);
    done(&two, &of_two[..7]).await;
    let both = [waiting(&one).await, waiting(&two).await].concat();
    assert_eq!(both, of_two[7..], "one earlier message is left");
    done(&two, &both).await;
    let both = [waiting(&one).await, waiting(&two).await].concat();
    assert_eq!(both, [barrier], "now it may, alone");
    done(&one, &both).await;
    let later = [waiting(&one).await, waiting(&two).await].concat();
    assert_eq!(later.len(), 16);
}

/// Loads and decides a batch as the engine does, without writing.
async fn decided(hub: &Database, batch: &[Mapped]) -> Effects {
    let mut keys = Keys::default();
    for mapped in batch {
        keys.add(mapped.draft.as_ref().unwrap());
    }
    let mut world = hospital_world();
    hub.load(&keys, &mut world).await.unwrap();
    pipeline::process_batch(&mut world, batch, &[]).unwrap();
    world.effects
}

/// Accepts admissions and reads them as whoever holds their lanes would.
async fn admitted(house: &mut House, hub: &Database, people: &[Person]) -> Vec<Mapped> {
    let group: Vec<Prepared> = people.iter().map(admission).collect();
    let bodies: Vec<_> = group.iter().map(|one| one.message.body.clone()).collect();
    let receipts = hub.accept(group).await.unwrap();
    let _lanes = house.holds(hub, "source").await;
    receipts
        .iter()
        .zip(bodies)
        .map(|(receipt, body)| {
            let Receipt::Stored(id) = receipt else {
                panic!("{receipt:?}");
            };
            mapped(renkei_core::Message {
                id: *id,
                source: SourceName::new("hospital"),
                facility: crate::rehearsal::facility(),
                body,
                meta: renkei_core::Meta::default(),
                received_at: at(0),
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_hub_has_processed_is_not_written_again() {
    let mut house = House::new().await;
    let (one, two) = house.two().await;
    let batch = admitted(&mut house, &one, &people(50_000, 3)).await;
    let (by_one, by_two) = (
        decided(&one, &batch).await,
        decided(&two, &batch[1..]).await,
    );
    let again = decided(&two, &batch[1..]).await;
    one.apply(by_one, Vec::new()).await.unwrap();
    let refused = two.apply(by_two, Vec::new()).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_) | StoreError::Fenced)),
        "{refused:?}"
    );
    // Decided anew over what is there now: still not its message any more.
    drop(again);
    let again = decided(&two, &batch[1..]).await;
    let refused = two.apply(again, Vec::new()).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    for (sql, count) in [
        ("SELECT count(*) FROM record", 3),
        ("SELECT count(*) FROM person", 3),
        ("SELECT count(*) FROM notice", 3),
        ("SELECT count(*) FROM outcome", 3),
        ("SELECT count(*) FROM waiting", 0),
        ("SELECT count(*) FROM version WHERE version > 1", 0),
    ] {
        assert_eq!(house.number(sql).await, count, "{sql}");
    }
}

/// The same new patient, or two who are alike, by two hubs at the same moment: as if one hub had done
/// them one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn newcomers_by_two_hubs_at_once() {
    let mut house = House::new().await;
    let (one, two) = house.two().await;
    for round in 0..12_u64 {
        let same = people(60_000 + round, 1).remove(0);
        let mut first = same.clone();
        let mut second = same.clone();
        if round % 3 == 1 {
            // Another number at the same hospital, all facts the same: one person.
            second.local_id = format!("{:010}", 90_000 + round);
        }
        if round % 3 == 2 {
            // Only kana and birth date agree: a reviewer decides.
            second.local_id = format!("{:010}", 90_000 + round);
            second.insurance.clear();
            second.phone = format!("03-9999-{round:04}");
            second.address = format!("東京都架空区{round}番");
            second.zip = "100-0001".to_owned();
        }
        first.local_id = same.local_id.clone();
        let a = admitted(&mut house, &one, &[first]).await;
        let b = if round % 3 == 0 {
            let mut event = admission(&second);
            event.message.dedup_key = format!("again{round}");
            let receipt = two.accept(vec![event.clone()]).await.unwrap()[0];
            let Receipt::Stored(id) = receipt else {
                panic!("{receipt:?}");
            };
            let mut message = a[0].message.clone();
            message.id = id;
            vec![mapped(message)]
        } else {
            admitted(&mut house, &two, &[second]).await
        };
        let (by_one, by_two) = (decided(&one, &a).await, decided(&two, &b).await);
        let (first, second) =
            tokio::join!(one.apply(by_one, Vec::new()), two.apply(by_two, Vec::new()));
        let failed = [(first, &one, &a), (second, &two, &b)];
        let mut losers = 0;
        for (applied, hub, batch) in failed {
            match applied {
                Ok(()) => {}
                Err(StoreError::Conflict(_)) => {
                    losers += 1;
                    let anew = decided(hub, batch).await;
                    hub.apply(anew, Vec::new()).await.unwrap();
                }
                Err(error) => panic!("round {round}: {error:?}"),
            }
        }
        assert_eq!(
            losers, 1,
            "round {round}: exactly one of them decides again"
        );
    }
    assert_eq!(house.number("SELECT count(*) FROM record").await, 4 + 8 + 8);
    assert_eq!(house.number("SELECT count(*) FROM person").await, 12);
    assert_eq!(house.number("SELECT count(*) FROM review").await, 4);
    assert_eq!(
        house
            .number("SELECT count(*) FROM outcome WHERE state = 'parked'")
            .await,
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_by_two_hubs_is_stored_once() {
    let mut house = House::new().await;
    let (one, two) = house.two().await;
    for round in 0..20 {
        let group = |turned: bool| {
            let mut group: Vec<Prepared> = (0..5).map(|n| of_patient(round * 10 + n)).collect();
            if turned {
                group.reverse();
            }
            group
        };
        let (first, second) = tokio::join!(one.accept(group(false)), two.accept(group(true)));
        let mut second = second.unwrap();
        second.reverse();
        for (a, b) in first.unwrap().into_iter().zip(second) {
            match (a, b) {
                (Receipt::Stored(id), Receipt::Duplicate(known))
                | (Receipt::Duplicate(known), Receipt::Stored(id)) => assert_eq!(id, known),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(house.number("SELECT count(*) FROM message").await, 100);
    assert_eq!(house.number("SELECT count(*) FROM waiting").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_ids_are_nobody_elses() {
    let house = House::new().await;
    let (one, two) = house.two().await;
    let keys = Keys {
        room: Ids {
            person: 3,
            record: 3,
            resource: 50,
            notice: 2,
        },
        ..Keys::default()
    };
    let (mut records, mut resources) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..10 {
        let load = async |hub: &Database| {
            let mut world = world();
            hub.load(&keys, &mut world).await.unwrap();
            world.ids
        };
        let (a, b) = tokio::join!(load(&one), load(&two));
        for ids in [a, b] {
            assert!((ids.record..ids.record + 3).all(|id| records.insert(id)));
            assert!((ids.resource..ids.resource + 50).all(|id| resources.insert(id)));
        }
    }
}

fn finish(id: &renkei_core::DeliveryId, post: Option<&str>, state: DeliveryState) -> Finish {
    Finish {
        id: id.clone(),
        state,
        code: None,
        due_at: Some(at(20_000)),
        peer_ref: post.map(PeerRef::new),
        attempt: Some("tried"),
        at: at(700),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_lost_its_lane_finishes_and_settles_nothing() {
    let mut house = House::new().await;
    let (one, two) = (house.hub("one").await, house.hub("two").await);
    lease(&one, &[]).await;
    let channel = one_stay(&one).await;
    let id = settled(&one, 1, &channel, 600).await;
    let due = one
        .due_deliveries(&SinkName::new("mcs"), at(700), 8)
        .await
        .unwrap();
    assert_eq!(due.len(), 1, "one is about to send it");
    let (mut effects, framed) = settling(&one, 1, &channel, 650).await;
    // As the engine's world would have it.
    effects.seen = Some(
        [(
            RecordId(1),
            house.number("SELECT revision FROM record").await,
        )]
        .into(),
    );
    effects.superseded = vec![(id.clone(), renkei_core::Code::DLV_SUPERSEDED)];
    house.silence(&one).await;
    lease(&two, &[]).await;
    let due = two
        .due_deliveries(&SinkName::new("mcs"), at(700), 8)
        .await
        .unwrap();
    assert_eq!(
        (due.len(), due[0].attempts),
        (1, 1),
        "it may have been sent"
    );
    let late = one
        .finish(
            vec![finish(&id, Some("p1"), DeliveryState::Delivered)],
            Vec::new(),
        )
        .await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    let late = one.apply(effects, vec![framed]).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert_eq!(
        house
            .number("SELECT count(*) FROM delivery WHERE state = 'pending'")
            .await,
        1
    );
    two.finish(
        vec![finish(&id, Some("p1"), DeliveryState::Delivered)],
        Vec::new(),
    )
    .await
    .unwrap();
    assert_eq!(
        house
            .number("SELECT count(*) FROM delivery WHERE state = 'delivered'")
            .await,
        1
    );
}

/// Of a group, what is still the hub's own is written down; the rest is left to who has it now.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_its_own_is_finished() {
    let mut house = House::new().await;
    let (one, two) = (house.hub("one").await, house.hub("two").await);
    lease(&one, &[]).await;
    let channel = one_stay(&one).await;
    let first = settled(&one, 1, &channel, 600).await;
    let mut effects = stay(2, "0002", 1);
    effects.outcomes.clear();
    one.apply(effects, Vec::new()).await.unwrap();
    let mut of_two = channel_of(&one, 1).await;
    of_two.person = PersonId(2);
    let second = settled(&one, 2, &of_two, 601).await;
    let sql = format!(
        "UPDATE lane SET holder = {} WHERE kind = 'person' AND number = 2",
        two.lanes.hub.unwrap()
    );
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut house.raw)
        .await
        .unwrap();
    let group = [&first, &second].map(|id| finish(id, None, DeliveryState::Delivered));
    one.finish(group.into(), Vec::new()).await.unwrap();
    let delivered = "SELECT person FROM delivery WHERE state = 'delivered'";
    assert_eq!(house.number(delivered).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_leaves_nothing_in_doubt() {
    let house = House::new().await;
    let (one, two) = (house.hub("one").await, house.hub("two").await);
    lease(&one, &[]).await;
    let channel = one_stay(&one).await;
    settled(&one, 1, &channel, 600).await;
    one.end_run(at(700)).await.unwrap();
    assert!(!lease(&two, &[]).await.taken_over);
    let due = two
        .due_deliveries(&SinkName::new("mcs"), at(700), 8)
        .await
        .unwrap();
    assert_eq!((due.len(), due[0].attempts), (1, 0), "it has not left");
}

/// A peer's word about a post goes through one hub while the courier of the other writes down what the
/// peer calls that post.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_and_its_post_meet_whoever_comes_first() {
    let mut house = House::new().await;
    let (one, two) = (house.hub("one").await, house.hub("two").await);
    lease(&one, &[]).await;
    let channel = one_stay(&one).await;
    let id = settled(&one, 1, &channel, 600).await;
    for round in 0..60 {
        sqlx::query("UPDATE delivery SET state = 'pending', due_at = 0, peer_ref = NULL")
            .execute(&mut house.raw)
            .await
            .unwrap();
        let post = format!("post-{round}");
        let receipt = PeerReceipt {
            sink: SinkName::new("mcs"),
            delivery: None,
            post: Some(PeerRef::new(&post)),
            kind: ReceiptKind::Accepted,
            by: None,
            professions: Vec::new(),
            at: at(650),
        };
        let said = Effects {
            receipts: vec![(MessageId(1), receipt)],
            ..Effects::default()
        };
        let (sent, said) = tokio::join!(
            one.finish(
                vec![finish(&id, Some(&post), DeliveryState::Sent)],
                Vec::new()
            ),
            two.apply(said, Vec::new())
        );
        sent.unwrap();
        said.unwrap();
        let met = "SELECT count(*) FROM delivery WHERE state = 'delivered'";
        assert_eq!(
            house.number(met).await,
            1,
            "round {round}: the word was missed"
        );
    }
    assert_eq!(house.number("SELECT count(*) FROM early_receipt").await, 0);
}

/// A group that is written down while another hub takes leases: nobody waits for anybody for ever, and
/// nothing is lost of what was accepted with lanes that did not come to be.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_were_rolled_back_are_not_used() {
    let mut house = House::new().await;
    let one = house.hub("one").await;
    lease_for(&one, &["byoin"], &[]).await;
    // The same new source twice in a group that cannot be written the first time: too long for its index.
    let mut broken = of_patient(1);
    broken.message.source = SourceName::new("fresh");
    broken.sha256 = [1; 32];
    let mut good = of_patient(2);
    good.message.source = SourceName::new("fresh");
    sqlx::query("ALTER TABLE message ADD CONSTRAINT no_first CHECK (control <> 'P1')")
        .execute(&mut house.raw)
        .await
        .unwrap();
    assert!(one.accept(vec![broken]).await.is_err());
    one.accept(vec![good]).await.unwrap();
    lease_for(&one, &["byoin", "fresh"], &[]).await;
    assert_eq!(waiting(&one).await.len(), 1, "its lane is there and held");
}
