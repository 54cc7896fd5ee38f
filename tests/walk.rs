//! The walk of a stay, from the hospital's message or file to what people read at three kinds of peer.

use renkei::world::{DeliveryState, MessageState};
use renkei_core::Code;
use renkei_sim::hospital::{Drug, Event, Person, Prescription, Scenario, Site, What};

use crate::harness::{TestHub, until};
use crate::hub::Config;
use crate::peers::{Post, SINKS};
use crate::people::{Told, ago, message, register};
use crate::stores::{On, on_each_store};

/// How the hospital speaks.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Mllp,
    Storage,
}

/// Messages that came over the line or by the drop folder, and those of them that have ended.
const TAKEN: &str = "SELECT count(*) FROM message WHERE source IN ('hospital', 'drop')";
const SAID: &str = "SELECT count(*) FROM outcome JOIN message USING (position) WHERE source IN ('hospital', 'drop')";
/// Messages of the storages that have ended; what peers answered is counted elsewhere.
const STORED: &str = "SELECT count(*) FROM outcome JOIN message USING (position) WHERE source IN ('storage', 'again')";

async fn say(hub: &mut TestHub, way: Way, event: &Event) {
    match way {
        Way::Mllp => {
            hub.send(event).await;
        }
        Way::Storage => hub.store(event),
    }
}

/// Waits until each peer has this many posts about a person, and gives the last of each.
async fn last_posts(
    hub: &TestHub,
    person: &Person,
    count: usize,
) -> Vec<(&'static str, Vec<Post>)> {
    let mut all = Vec::new();
    for sink in SINKS {
        let doors = &hub.district.sim(sink).doors;
        let mut posts = Vec::new();
        until(&format!("{sink} has {count} posts"), async || {
            posts = told(sink, doors.told_of(person).await);
            posts.len() >= count
        })
        .await;
        assert_eq!(posts.len(), count, "{sink}: {posts:#?}");
        all.push((sink, posts));
    }
    all
}

/// At the ward a taken-back document has no words: it is a version of the document it takes back.
fn told(sink: &str, posts: Vec<Post>) -> Vec<Post> {
    let own = |post: &Post| sink != "vital_link" || !post.key.contains(':');
    posts.into_iter().filter(own).collect()
}

fn has(post: &Post, part: &str) -> bool {
    post.headline.contains(part) || post.text.contains(part)
}

/// Admission, discharge with documents, correction, cancellation.
async fn a_stay(on: On, way: Way) {
    let person = Person::synthetic(4);
    let config = Config {
        settle_secs: 1,
        sheet: true,
        ..Config::on(&on)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let mut told = Told::admitted(&person, 300);
    say(&mut hub, way, &register(&person, 301)).await;
    say(&mut hub, way, &told.admit()).await;
    for (sink, posts) in last_posts(&hub, &person, 1).await {
        let first = posts.last().unwrap();
        assert!(first.headline.starts_with("【入院】"), "{sink}: {first:?}");
        assert!(
            first.before.is_none() && has(first, "架空総合病院"),
            "{sink}: {first:?}"
        );
    }

    let prescription = Prescription {
        at_discharge: true,
        ordered: ago(60),
        drugs: vec![Drug::tablet(
            1,
            "103835401",
            "ムコダイン錠２５０ｍｇ",
            14,
            ago(60).date(),
        )],
    };
    let discharge = told.discharge(10, "06");
    say(
        &mut hub,
        way,
        &told.step(60, What::Prescribe(prescription)).order(77),
    )
    .await;
    say(&mut hub, way, &discharge).await;
    // Documents have no message: a hospital only files them.
    let story = Scenario::discharge_story(&Site::demo(), &person, ago(300).date(), 1);
    let mut summary = story.events.last().unwrap().clone();
    (summary.at, summary.stay) = (ago(9), Some(told.stay.clone()));
    hub.store(&summary);
    for (sink, posts) in last_posts(&hub, &person, 2).await {
        let second = posts.last().unwrap();
        assert!(
            second.headline.starts_with("【退院】"),
            "{sink}: {second:?}"
        );
        assert!(
            has(second, "ムコダイン") || has(second, "1剤"),
            "{sink}: {second:?}"
        );
        assert!(
            second.files >= 2,
            "{sink}: the sheet and the summary: {second:?}"
        );
    }
    hub.idle().await;

    told.stay.discharged = Some((ago(10), "01".to_owned()));
    let corrected = told.step(8, What::Discharge).order(200);
    say(&mut hub, way, &corrected).await;
    for (sink, posts) in last_posts(&hub, &person, 3).await {
        let third = posts.last().unwrap();
        assert!(has(third, "【訂正】"), "{sink}: {third:?}");
        names_the_first(sink, &posts, "corrected");
    }

    say(
        &mut hub,
        way,
        &told.step(5, What::CancelDischarge).order(200),
    )
    .await;
    for sink in SINKS {
        let doors = &hub.district.sim(sink).doors;
        until(
            &format!("{sink} has taken the discharge back"),
            async || {
                let all = doors.told().await;
                match sink {
                    "ward" => all.iter().filter(|post| post.withdrawn).count() >= 2,
                    _ => all.iter().any(|post| has(post, "【取消】")),
                }
            },
        )
        .await;
        if sink != "ward" {
            names_the_first(sink, &told_posts(&hub, sink, &person).await, "cancelled");
        }
    }
    hub.idle().await;
    assert!(hub.office.codes(DeliveryState::Held).await.is_empty());
    let failed = hub
        .office
        .number("SELECT count(*) FROM outcome WHERE state <> 'processed'")
        .await;
    assert_eq!(failed, 0);
}

async fn told_posts(hub: &TestHub, sink: &str, person: &Person) -> Vec<Post> {
    told(sink, hub.district.sim(sink).doors.told_of(person).await)
}

/// The last post answers the first one about the discharge, in the peer's own way.
fn names_the_first(sink: &str, posts: &[Post], change: &str) {
    let discharge = posts
        .iter()
        .find(|post| post.headline.starts_with("【退院】"))
        .unwrap();
    let last = posts.last().unwrap();
    match sink {
        "mcs" => {
            assert_eq!(last.before.as_ref(), Some(&discharge.id), "{last:?}");
            assert!(
                discharge.corrections.iter().any(|kind| kind == change),
                "{discharge:?}"
            );
        }
        "vital_link" => {
            assert_eq!(last.change.as_deref(), Some(change), "{last:?}");
            let stem = discharge.key.rsplit_once('.').unwrap().0;
            assert!(last.before.as_ref().unwrap().starts_with(stem), "{last:?}");
        }
        _ => {
            let document = |post: &Post| post.key.rsplit_once('_').unwrap().0.to_owned();
            assert_eq!(document(last), document(discharge));
        }
    }
}

async fn a_stay_told_over_mllp_reaches_every_kind_of_peer(on: On) {
    a_stay(on, Way::Mllp).await;
}

async fn a_stay_told_by_a_storage_reaches_every_kind_of_peer(on: On) {
    a_stay(on, Way::Storage).await;
}

async fn both_ways_together_tell_it_once(on: On) {
    let person = Person::synthetic(5);
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    let mut told = Told::admitted(&person, 300);
    let events = [
        register(&person, 301),
        told.admit(),
        told.discharge(10, "01"),
    ];
    for event in &events {
        hub.process(event).await;
    }
    hub.idle().await;
    let before = hub.district.effects().await;
    assert_eq!(before, 6);
    for event in &events {
        hub.store(event);
    }
    until("the storage was read", async || {
        hub.office.number(STORED).await == 3
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.district.effects().await, before);
}

async fn the_flags_of_a_storage_correct_and_cancel(on: On) {
    let person = Person::synthetic(6);
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    let mut told = Told::admitted(&person, 300);
    hub.store(&register(&person, 301));
    hub.store(&told.admit());
    last_posts(&hub, &person, 1).await;
    // The hospital writes the admission anew: the file before becomes flag 2.
    told.stay.place[0] = "7N".to_owned();
    let mut again = told.admit();
    again.at = ago(200);
    hub.store(&again);
    for (sink, posts) in last_posts(&hub, &person, 2).await {
        assert!(has(posts.last().unwrap(), "【訂正】"), "{sink}: {posts:?}");
        assert!(has(posts.last().unwrap(), "7N"), "{sink}: {posts:?}");
    }
    // And deletes it: every file of the key becomes flag 0.
    let mut cancel = told.step(100, What::CancelAdmit).order(100);
    cancel.stay = Some(told.stay.clone());
    hub.store(&cancel);
    for sink in ["mcs", "vital_link"] {
        let doors = &hub.district.sim(sink).doors;
        until(&format!("{sink} reads the cancellation"), async || {
            doors.told().await.iter().any(|post| has(post, "【取消】"))
        })
        .await;
    }
    hub.idle().await;
    let all = hub.district.ward.doors.told().await;
    assert!(
        all.iter()
            .filter(|post| !post.text.is_empty())
            .all(|post| post.withdrawn),
        "{all:#?}"
    );
}

async fn the_same_bytes_are_acknowledged_again_and_change_nothing(on: On) {
    let person = Person::synthetic(7);
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    let told = Told::admitted(&person, 120);
    let first = hub.send(&told.admit()).await;
    hub.ended(&first.control_id).await;
    hub.idle().await;
    let (messages, effects) = (hub.office.number(TAKEN).await, hub.district.effects().await);
    for _ in 0..3 {
        let ack = hub.send_bytes(&first.bytes).await;
        assert_eq!(
            (ack.code.as_str(), ack.control_id.as_str()),
            ("AA", first.control_id.as_str())
        );
    }
    hub.idle().await;
    assert_eq!(hub.office.number(TAKEN).await, messages);
    assert_eq!(hub.district.effects().await, effects);

    // The same control id with other bytes is another message, and says so.
    let other = message(&register(&person, 110), &first.control_id);
    let ack = hub.send_bytes(&other.bytes).await;
    assert_eq!(ack.code, "AA");
    until("both are kept", async || {
        hub.office.number(SAID).await == messages + 1
    })
    .await;
    let detail = hub.ended(&first.control_id).await;
    assert!(
        detail
            .findings
            .iter()
            .any(|finding| finding.code == Code::REC_CONTROL_ID_REUSED),
        "{detail:?}"
    );
}

async fn a_cancel_before_its_order_holds_the_late_order_off(on: On) {
    let person = Person::synthetic(8);
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    let told = Told::admitted(&person, 120);
    hub.process(&told.admit()).await;
    let order = Prescription {
        at_discharge: false,
        ordered: ago(60),
        drugs: vec![Drug::tablet(
            1,
            "103835401",
            "ムコダイン錠２５０ｍｇ",
            7,
            ago(60).date(),
        )],
    };
    let cancel = told
        .step(50, What::CancelPrescription(order.clone()))
        .order(9);
    let detail = hub.process(&cancel).await;
    assert_eq!(detail.message.state, MessageState::Processed);
    assert!(
        detail
            .findings
            .iter()
            .any(|finding| finding.code == Code::REC_CANCEL_FIRST),
        "{detail:?}"
    );
    let detail = hub
        .process(&told.step(60, What::Prescribe(order)).order(9))
        .await;
    assert_eq!(detail.message.state, MessageState::Processed);
    let alive = "SELECT count(*) FROM resource WHERE kind = 'MedicationRequest' AND NOT withdrawn";
    assert_eq!(hub.office.number(alive).await, 0);
    let known = "SELECT count(*) FROM resource WHERE kind = 'MedicationRequest'";
    assert_eq!(hub.office.number(known).await, 1);
}

async fn a_late_message_is_kept_beside_what_is_newer(on: On) {
    let mut person = Person::synthetic(9);
    let mut hub = TestHub::start(std::slice::from_ref(&person), Config::on(&on)).await;
    hub.process(&register(&person, 10)).await;
    let versions = hub.office.number("SELECT count(*) FROM version").await;
    person.phone = "03-0000-7777".to_owned();
    let detail = hub.process(&register(&person, 500)).await;
    assert_eq!(detail.message.state, MessageState::Processed);
    assert_eq!(
        hub.office.number("SELECT count(*) FROM version").await,
        versions
    );
    assert!(
        detail
            .findings
            .iter()
            .any(|finding| finding.code == Code::REC_LATE),
        "{detail:?}"
    );
    assert!(
        hub.office
            .number("SELECT count(*) FROM sighting WHERE late")
            .await
            >= 1
    );
}

async fn two_messages_in_one_file_or_frame_are_two(on: On) {
    let people = [Person::synthetic(10), Person::synthetic(11)];
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    let built = people.each_ref().map(|person| {
        let told = Told::admitted(person, 120);
        message(&told.admit(), &format!("TWO{}", person.local_id))
    });
    let both = [built[0].bytes.clone(), built[1].bytes.clone()].concat();
    std::fs::write(hub.folders.path("drop").join("two.hl7.tmp"), &both).unwrap();
    std::fs::rename(
        hub.folders.path("drop").join("two.hl7.tmp"),
        hub.folders.path("drop").join("two.hl7"),
    )
    .unwrap();
    until("both people are admitted", async || {
        hub.office
            .number("SELECT count(*) FROM resource WHERE kind = 'Encounter'")
            .await
            == 2
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.district.effects().await, 6);

    // The same two in one frame: both known already, by another source; nobody is told again.
    hub.send_bytes(&both).await;
    until("both came over the line", async || {
        hub.office.number(SAID).await == 4
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.district.effects().await, 6);
}

async fn the_storage_walked_again_and_a_replay_tell_nobody(on: On) {
    let people: Vec<Person> = (20..26).map(Person::synthetic).collect();
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    for person in &people {
        let mut told = Told::admitted(person, 300);
        hub.store(&register(person, 301));
        hub.store(&told.admit());
        let discharge = told.discharge(10, "01");
        hub.store(&discharge);
    }
    until("the stays were read", async || {
        hub.office.number(STORED).await == 18
    })
    .await;
    hub.idle().await;
    let effects = hub.district.effects().await;
    assert_eq!(effects, 36);

    // Memory lost: every file is read and recognised.
    hub.restart_after(async |hub| hub.office.forget_walks().await)
        .await;
    hub.walked().await;
    hub.idle().await;
    assert_eq!(hub.office.number(STORED).await, 18);
    assert_eq!(hub.district.effects().await, effects);

    // Another source over the same folders: every file is a new message, and no news.
    let standard = hub.folders.path("standard").display().to_string();
    hub.config.more = format!(
        "[source.again]\nadapter.ssmix2 = {{ roots = [{{ path = \"{standard}\", facility = \"{}\" }}], poll_secs = 0, stable_secs = 0 }}\n",
        crate::people::HOSPITAL
    );
    hub.restart_after(async |hub| {
        hub.folders.configure(&hub.config, &hub.district);
    })
    .await;
    until("the other source has read it", async || {
        hub.office.number(STORED).await == 36
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.district.effects().await, effects);

    assert!(hub.office.replay_all().await >= 36);
    hub.idle().await;
    assert_eq!(hub.district.effects().await, effects);
    assert!(hub.office.codes(DeliveryState::Held).await.is_empty());
}

on_each_store! {
    a_stay_told_over_mllp_reaches_every_kind_of_peer,
    a_stay_told_by_a_storage_reaches_every_kind_of_peer,
    both_ways_together_tell_it_once,
    the_flags_of_a_storage_correct_and_cancel,
    the_same_bytes_are_acknowledged_again_and_change_nothing,
    a_cancel_before_its_order_holds_the_late_order_off,
    a_late_message_is_kept_beside_what_is_newer,
    two_messages_in_one_file_or_frame_are_two,
    the_storage_walked_again_and_a_replay_tell_nobody,
}
