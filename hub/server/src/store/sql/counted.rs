//! What a group costs, in statements: each crosses to the driver's thread or to the server and back, so a
//! verb that says one per row is slow however large its groups are.
//!
//! Held here, on both databases, for real messages and real notices: a verb says at most a fixed number
//! of statements, whatever the size of its group, and of each table it writes one multi-row statement per
//! 64 rows and a few for the rest ([`chunks`]). BEGIN and COMMIT count.

use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use renkei_core::{
    ChannelId, Code, DeliveryId, Message, MessageId, Meta, NewMessage, PeerReceipt, PeerRef,
    ReceiptKind, SinkName, SourceName,
};
use renkei_mappings::Options;
use renkei_sim::hospital::{Event, Person, Site, Stay, What, build};

use super::Database;
use crate::pipeline::{self, Mapped};
use crate::rehearsal::{HOSPITAL, Rehearsal, at, day, facility};
use crate::store::operator::{ChannelRow, ConsentRow, Import, Operator};
use crate::store::suite::{House, by};
use crate::store::{Framed, Prepared, Store, StoredBody, pack};
use crate::world::{ChannelChange, DeliveryState, Effects, Finish, Keys, World};

/// Statements a verb may say besides those that hold rows.
const OF_ACCEPT: usize = 8;
const OF_LOAD: usize = 10;
const OF_APPLY: usize = 10;
const OF_FINISH: usize = 12;
const OF_DUE: usize = 4;

/// Statements for so many rows of one table: by 64, one each for 32, 16 and 8, and one for the rest.
fn chunks(rows: usize) -> usize {
    rows / 64
        + rows % 64 / 32
        + rows % 32 / 16
        + rows % 16 / 8
        + usize::from(!rows.is_multiple_of(8))
}

fn said(ledger: &Database) -> usize {
    usize::try_from(ledger.reads.said.count.load(Ordering::Relaxed)).unwrap()
}

/// What `verb` says, which may be `most`; and how its result is.
async fn at_most<T>(
    ledger: &Database,
    what: &str,
    most: usize,
    verb: impl Future<Output = T>,
) -> T {
    let before = said(ledger);
    let result = verb.await;
    let spoken = said(ledger) - before;
    assert!(spoken > 0, "{what}: nothing was counted");
    assert!(
        spoken <= most,
        "{what}: {spoken} statements, at most {most}"
    );
    result
}

/// The admission of a person, ready to be accepted.
pub(super) fn admission(person: &Person) -> Prepared {
    let event = Event::new(day(0), person, What::Admit)
        .stay(&Stay::demo(day(0)))
        .order(1);
    let control = format!("A{}", person.local_id);
    let built = build(&Site::demo(), &event, &control).unwrap();
    let message = NewMessage {
        source: SourceName::new("hospital"),
        facility: facility(),
        dedup_key: control,
        subject: None,
        ordering_key: person.local_id.clone(),
        barrier: false,
        body: built.bytes.into(),
        meta: Meta::default(),
        refused: None,
    };
    Prepared {
        sha256: message.sha256(),
        lane: 7,
        body: StoredBody::Inline(pack(&message.body)),
        message,
        received_at: at(day(0)),
    }
}

pub(super) fn world() -> World {
    let setup = Rehearsal::new().world.setup;
    World::empty(at(day(0)), setup)
}

pub(super) fn mapped(message: Message) -> Mapped {
    let mapper = renkei_mappings::build("hl7v2", Options::new(facility())).unwrap();
    Mapped {
        draft: mapper.map(&message),
        message,
        mapper: "hl7v2".to_owned(),
        replay: false,
        control_id_reused: false,
    }
}

/// People no other part of the test speaks of.
pub(super) fn people(first: u64, count: usize) -> Vec<Person> {
    (first..).take(count).map(Person::synthetic).collect()
}

/// The consents and channels of these people.
pub(super) async fn admitted(ledger: &Database, people: &[Person]) {
    let own = str::to_owned;
    let kana = |person: &Person| format!("{} {}", person.kana_family, person.kana_given);
    let consents: Vec<ConsentRow> = people
        .iter()
        .map(|person| ConsentRow {
            facility: own(HOSPITAL),
            local_id: person.local_id.clone(),
            kana: kana(person),
            birth_date: person.birth.to_string(),
            form_id: own("F-1"),
            form_version: own("1"),
            signed_on: own("2026-01-01"),
            signer: own("本人"),
            recipients: own("sink:mcs"),
            items: own("*"),
            purpose: own("在宅療養"),
            valid_from: own("2020-01-01"),
            ..ConsentRow::default()
        })
        .collect();
    let channels: Vec<ChannelRow> = people
        .iter()
        .map(|person| ChannelRow {
            facility: own(HOSPITAL),
            local_id: person.local_id.clone(),
            sink: own("mcs"),
            peer_ref: format!("g-{}", person.local_id),
            kind: own("professional"),
            host_facility: own(HOSPITAL),
            kana: kana(person),
            birth_date: person.birth.to_string(),
            sex: own("female"),
            professions: own("doctor|nurse"),
            status: own("confirmed"),
            confirmed_by: own("連携室"),
        })
        .collect();
    let new = Import::default();
    ledger
        .import_consents(&consents, &by(0), new)
        .await
        .unwrap();
    ledger
        .import_channels(&channels, &by(0), new)
        .await
        .unwrap();
}

/// The statements that writing these effects may take.
fn of_effects(effects: &Effects) -> usize {
    let mut resources: Vec<i64> = effects.versions.iter().map(|one| one.stored.row).collect();
    resources.sort_unstable();
    resources.dedup();
    let insurance = effects
        .records
        .values()
        .map(|one| one.facts.insurance.len());
    let rows = [
        effects.persons.len(),
        effects.records.len(),
        insurance.sum(),
        effects.reviews.len(),
        resources.len(),
        effects.versions.len(),
        effects.sightings.len(),
        super::search::codings(&effects.versions).len(),
        effects.notices.len(),
        effects.minted.len(),
        effects.decisions.len(),
        effects.deliveries.len(),
        effects.receipts.len(),
        effects.outcomes.len(),
    ];
    OF_APPLY + rows.into_iter().map(chunks).sum::<usize>()
}

/// Takes what waits through stops 3 to 7.
async fn processed(ledger: &Database, count: usize) {
    let waiting = at_most(ledger, "waiting", 2, ledger.waiting(count))
        .await
        .unwrap();
    assert_eq!(waiting.len(), count);
    let batch: Vec<Mapped> = waiting.into_iter().map(|one| mapped(one.message)).collect();
    let mut keys = Keys::default();
    for mapped in &batch {
        keys.add(mapped.draft.as_ref().unwrap());
    }
    let mut world = world();
    let what = format!("load for {count}");
    at_most(ledger, &what, OF_LOAD, ledger.load(&keys, &mut world))
        .await
        .unwrap();
    pipeline::process_batch(&mut world, &batch, &[]).unwrap();
    let effects = world.effects;
    assert_eq!(
        (effects.outcomes.len(), effects.notices.len()),
        (count, count)
    );
    let (what, most) = (format!("apply of {count}"), of_effects(&effects));
    at_most(ledger, &what, most, ledger.apply(effects, Vec::new()))
        .await
        .unwrap();
}

/// Settles what is due: one notice per person and one delivery each.
async fn settled(ledger: &Database, count: usize) {
    let now = at(day(0)) + SignedDuration::from_hours(2);
    let due = at_most(ledger, "due notices", 1, ledger.due_notices(now, count))
        .await
        .unwrap();
    assert_eq!(due.len(), count);
    let mut world = world();
    world.now = now;
    let what = format!("load of {count} notices");
    at_most(
        ledger,
        &what,
        OF_LOAD,
        ledger.load_notices(&due, &mut world),
    )
    .await
    .unwrap();
    for notice in &due {
        pipeline::settle(&mut world, *notice);
    }
    let effects = world.effects;
    assert_eq!(effects.deliveries.len(), count);
    let framed = effects.deliveries.iter().map(|planned| Framed {
        id: planned.id.clone(),
        payload: Ok(renkei_core::Payload {
            body: "{}".to_owned(),
            attachments: Vec::new(),
        }),
    });
    let framed = framed.collect();
    let (what, most) = (format!("settling {count}"), of_effects(&effects));
    at_most(ledger, &what, most, ledger.apply(effects, framed))
        .await
        .unwrap();
}

pub(super) async fn accepting_costs_by_the_group(house: &impl House<Ledger = Database>) {
    let ledger = house.hub().await.unwrap();
    for (turn, count) in [1, 64, 512].into_iter().enumerate() {
        let people = people(10_000 * (turn as u64 + 1), count);
        let group = || people.iter().map(admission).collect::<Vec<_>>();
        let what = format!("accept of {count}");
        let most = OF_ACCEPT + chunks(count);
        at_most(&ledger, &what, most, ledger.accept(group()))
            .await
            .unwrap();
        let what = format!("accept of {count} repeats");
        at_most(&ledger, &what, OF_ACCEPT, ledger.accept(group()))
            .await
            .unwrap();
    }
}

pub(super) async fn processing_and_settling_cost_by_the_group(
    house: &impl House<Ledger = Database>,
) {
    let ledger = house.hub().await.unwrap();
    for (turn, count) in [1, 16, 128].into_iter().enumerate() {
        let people = people(10_000 * (turn as u64 + 1), count);
        admitted(&ledger, &people).await;
        ledger
            .accept(people.iter().map(admission).collect())
            .await
            .unwrap();
        processed(&ledger, count).await;
        settled(&ledger, count).await;
    }
}

fn receipt(delivery: Option<&DeliveryId>, post: &str, kind: ReceiptKind) -> PeerReceipt {
    PeerReceipt {
        sink: SinkName::new("mcs"),
        delivery: delivery.cloned(),
        post: Some(PeerRef::new(post)),
        kind,
        by: Some("u-nurse".to_owned()),
        professions: Vec::new(),
        at: at(day(0)),
    }
}

/// Everything finishing may have to write at once: outcomes, attempts, what peers had said too early, and
/// what was seen at the channels.
pub(super) async fn finishing_costs_by_the_group(house: &impl House<Ledger = Database>) {
    let ledger = house.hub().await.unwrap();
    let sink = SinkName::new("mcs");
    let now = at(day(0)) + SignedDuration::from_hours(3);
    for (turn, count) in [1, 32, 128].into_iter().enumerate() {
        let people = people(10_000 * (turn as u64 + 1), count);
        admitted(&ledger, &people).await;
        ledger
            .accept(people.iter().map(admission).collect())
            .await
            .unwrap();
        processed(&ledger, count).await;
        settled(&ledger, count).await;
        let post = |place: usize| PeerRef::new(format!("p-{turn}-{place}"));
        let what = format!("receipts of {count} posts nobody knows");
        let early = (0..count).flat_map(|place| {
            [ReceiptKind::Accepted, ReceiptKind::Seen]
                .map(|kind| receipt(None, post(place).as_str(), kind))
        });
        let effects = said_by_peers(early);
        let most = of_effects(&effects);
        at_most(&ledger, &what, most, ledger.apply(effects, Vec::new()))
            .await
            .unwrap();

        let what = format!("{count} due");
        let due = at_most(
            &ledger,
            &what,
            OF_DUE,
            ledger.due_deliveries(&sink, now, count),
        )
        .await
        .unwrap();
        assert_eq!(due.len(), count);
        let group: Vec<Finish> = due
            .iter()
            .enumerate()
            .map(|(place, due)| Finish {
                id: due.id.clone(),
                state: DeliveryState::Sent,
                code: None,
                due_at: Some(now),
                peer_ref: Some(post(place)),
                attempt: Some("awaiting"),
                at: now,
            })
            .collect();
        let looked: Vec<ChannelChange> = due
            .iter()
            .map(|due| ChannelChange {
                channel: ChannelId(due.channel.id.0),
                members: Some(Vec::new()),
                broken: Some(Code::DLV_CHANNEL_ARCHIVED),
                reroute: vec![due.notice],
                sink: sink.clone(),
            })
            .collect();
        let what = format!("finish of {count}");
        let most = OF_FINISH + chunks(count) * 2;
        at_most(&ledger, &what, most, ledger.finish(group, looked))
            .await
            .unwrap();
        // What was said too early has been met, and the channels are known to be gone.
        for due in &due {
            let now = ledger.delivery(&due.id).await.unwrap().unwrap();
            assert_eq!(now.delivery.state, DeliveryState::Delivered);
            assert_eq!(now.seen.len(), 1);
        }
        let what = format!("receipts of {count} posts");
        let later = due
            .iter()
            .map(|due| receipt(Some(&due.id), "", ReceiptKind::Accepted));
        let effects = said_by_peers(later);
        let most = of_effects(&effects);
        at_most(&ledger, &what, most, ledger.apply(effects, Vec::new()))
            .await
            .unwrap();
        // The notices were asked for again: the next round shall not find them.
        let due = ledger.due_notices(now, count).await.unwrap();
        let mut world = world();
        ledger.load_notices(&due, &mut world).await.unwrap();
        for notice in &due {
            pipeline::settle(&mut world, *notice);
        }
        ledger.apply(world.effects, Vec::new()).await.unwrap();
    }
}

fn said_by_peers(receipts: impl Iterator<Item = PeerReceipt>) -> Effects {
    Effects {
        receipts: receipts.map(|receipt| (MessageId(1), receipt)).collect(),
        ..Effects::default()
    }
}

/// One test of each.
macro_rules! every_count {
    ($house:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn accepting_costs_by_the_group() {
            super::counted::accepting_costs_by_the_group(&$house).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn processing_and_settling_cost_by_the_group() {
            super::counted::processing_and_settling_cost_by_the_group(&$house).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn finishing_costs_by_the_group() {
            super::counted::finishing_costs_by_the_group(&$house).await;
        }
    };
}
pub(super) use every_count;
