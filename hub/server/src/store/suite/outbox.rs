//! Notices due, deliveries, receipts.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use renkei_core::{
    ChannelId, Code, DeliveryId, MessageId, NoticeId, PeerReceipt, PeerRef, Profession,
    ReceiptKind, RecordId, SinkName,
};

use super::House;
use super::fixture::*;
use crate::store::Store;
use crate::store::operator::{DeliveryFilter, Import, Operator, Selection};
use crate::world::{ChannelChange, DeliveryState, Due, Effects, Finish};

fn mcs() -> SinkName {
    SinkName::new("mcs")
}

async fn due(ledger: &impl Store, seconds: i64) -> Vec<Due> {
    ledger
        .due_deliveries(&mcs(), at(seconds), 64)
        .await
        .unwrap()
}

fn finish(id: &DeliveryId, state: DeliveryState, seconds: i64) -> Finish {
    Finish {
        id: id.clone(),
        state,
        code: None,
        due_at: None,
        peer_ref: None,
        attempt: Some("tried"),
        at: at(seconds),
    }
}

async fn state(ledger: &impl Operator, id: &DeliveryId) -> (DeliveryState, Option<String>, u32) {
    let line = ledger.delivery(id).await.unwrap().unwrap().delivery;
    (line.state, line.code, line.attempts)
}

pub(in crate::store) async fn notices_fall_due(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    assert_eq!(ledger.next_due().await.unwrap(), Some(at(600)));
    assert!(ledger.due_notices(at(599), 10).await.unwrap().is_empty());
    assert_eq!(
        ledger.due_notices(at(600), 10).await.unwrap(),
        [NoticeId(1)]
    );
    settled(&ledger, 1, &channel, 600).await;
    assert!(ledger.due_notices(at(9_999), 10).await.unwrap().is_empty());
    assert_eq!(ledger.next_due().await.unwrap(), None);
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(1)], &mut world)
        .await
        .unwrap();
    assert_eq!(world.consents[&RecordId(1)][0].kana, "カクウハナコ");
    assert_eq!(world.charts[&RecordId(1)], ["id-stay-1"]);
    assert_eq!(world.deliveries[&NoticeId(1)].len(), 1);
    let notice = &world.notices[&NoticeId(1)];
    assert_eq!(
        (
            notice.version,
            notice
                .content
                .as_deref()
                .and_then(|content| content.place.as_deref())
        ),
        (1, Some("1病棟"))
    );
}

/// A request to route again that comes between load and apply is not lost with the one that was seen.
pub(in crate::store) async fn a_later_reroute_survives(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    settled(&ledger, 1, &channel, 600).await;
    let ask = || {
        let change = ChannelChange {
            channel: channel.id,
            members: None,
            broken: None,
            reroute: vec![NoticeId(1)],
            sink: mcs(),
        };
        ledger.finish(Vec::new(), vec![change])
    };
    ask().await.unwrap();
    // A message that touches the notice meanwhile answers nothing.
    let mut touched = super::fixture::world();
    let of_message = keys(HOSPITAL, "0001", facts("", ""));
    ledger.load(&of_message, &mut touched).await.unwrap();
    let effects = Effects {
        notices: BTreeMap::from([(NoticeId(1), touched.notices[&NoticeId(1)].clone())]),
        ..Effects::default()
    };
    ledger.apply(effects, Vec::new()).await.unwrap();
    assert_eq!(ledger.due_notices(at(0), 10).await.unwrap(), [NoticeId(1)]);
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(1)], &mut world)
        .await
        .unwrap();
    let seen = world.notices[&NoticeId(1)].clone();
    assert!(seen.reroute.is_some());
    ask().await.unwrap();
    let mut effects = Effects::default();
    effects.notices.insert(seen.id, seen);
    ledger.apply(effects, Vec::new()).await.unwrap();
    assert_eq!(
        ledger.due_notices(at(0), 10).await.unwrap(),
        [NoticeId(1)],
        "the second request is still there"
    );
    let mut again = super::fixture::world();
    ledger
        .load_notices(&[NoticeId(1)], &mut again)
        .await
        .unwrap();
    let mut effects = Effects::default();
    effects
        .notices
        .insert(NoticeId(1), again.notices[&NoticeId(1)].clone());
    ledger.apply(effects, Vec::new()).await.unwrap();
    assert!(ledger.due_notices(at(0), 10).await.unwrap().is_empty());
}

/// Backoff blocks the line of its person; held, dead and handed over do not, nor do other persons.
pub(in crate::store) async fn what_waits_too_long_is_due_when_the_clock_was_set_back(
    house: &impl House,
) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let caught_up = ledger.catch_up(at(1), at(600), at(600)).await.unwrap();
    assert_eq!(caught_up, 0, "so long a notice may wait");
    let caught_up = ledger.catch_up(at(1), at(599), at(600)).await.unwrap();
    assert_eq!(caught_up, 1);
    assert_eq!(ledger.next_due().await.unwrap(), Some(at(1)));
    settled(&ledger, 1, &channel, 600).await;
    assert_eq!(ledger.next_delivery(&mcs()).await.unwrap(), Some(at(600)));
    let caught_up = ledger.catch_up(at(2), at(0), at(599)).await.unwrap();
    assert_eq!(caught_up, 1, "what has settled stays settled");
    assert_eq!(ledger.next_delivery(&mcs()).await.unwrap(), Some(at(2)));
}

pub(in crate::store) async fn a_line_per_person(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let one = one_stay(&ledger).await;
    accepted(&ledger, "B", 1).await;
    ledger.apply(stay(2, "0002", 2), Vec::new()).await.unwrap();
    ledger
        .import_channels(&[channel_row("0002", "group-2")], &by(3), Import::default())
        .await
        .unwrap();
    let two = channel_of(&ledger, 2).await;
    let first = settled(&ledger, 1, &one, 600).await;
    let second = settled(&ledger, 1, &one, 601).await;
    let other = settled(&ledger, 2, &two, 602).await;
    let ids = |due: &[Due]| due.iter().map(|due| due.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        ids(&due(&ledger, 700).await),
        [first.clone(), other.clone()]
    );
    assert!(due(&ledger, 599).await.is_empty());
    let mut wait = finish(&first, DeliveryState::Pending, 700);
    wait.due_at = Some(at(900));
    ledger.finish(vec![wait], Vec::new()).await.unwrap();
    assert_eq!(
        ids(&due(&ledger, 800).await),
        std::slice::from_ref(&other),
        "backoff blocks the person's line"
    );
    assert_eq!(ledger.next_delivery(&mcs()).await.unwrap(), Some(at(602)));
    assert_eq!(
        ids(&due(&ledger, 900).await),
        [first.clone(), other.clone()]
    );
    for state in [DeliveryState::Held, DeliveryState::Dead] {
        let mut end = finish(&first, state, 900);
        end.code = Some(Code::DLV_REJECTED);
        ledger.finish(vec![end], Vec::new()).await.unwrap();
        assert_eq!(
            ids(&due(&ledger, 900).await),
            [second.clone(), other.clone()]
        );
        // Back to the line for the second round.
        ledger
            .release(&Selection::These(vec![first.clone()]), &by(800))
            .await
            .unwrap();
    }
    let mut sent = finish(&second, DeliveryState::Sent, 900);
    sent.due_at = Some(at(1_000));
    ledger.finish(vec![sent], Vec::new()).await.unwrap();
    assert_eq!(ids(&due(&ledger, 950).await), std::slice::from_ref(&other));
    ledger
        .finish(
            vec![finish(&other, DeliveryState::Delivered, 950)],
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        ledger.next_delivery(&mcs()).await.unwrap(),
        Some(at(1_000)),
        "what is not confirmed is looked at again"
    );
    assert_eq!(ids(&due(&ledger, 1_000).await), [second]);
    assert_eq!(
        ledger
            .due_deliveries(&mcs(), at(1_000), 0)
            .await
            .unwrap()
            .len(),
        0
    );
}

pub(in crate::store) async fn what_is_due_has_all_that_policy_asks(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let first = settled(&ledger, 1, &channel, 600).await;
    let one = due(&ledger, 600).await.remove(0);
    assert_eq!(
        (
            one.id.clone(),
            one.version,
            one.attempts,
            one.released,
            one.channel_shared
        ),
        (first.clone(), 1, 0, false, false)
    );
    assert_eq!(
        (one.record.id, one.consents.len(), one.channel.members.len()),
        (RecordId(1), 1, 2)
    );
    assert_eq!(
        (one.payload.clone(), one.created_at, one.occurred_at),
        (payload(), at(600), at(0))
    );
    let mut done = finish(&first, DeliveryState::Delivered, 601);
    done.peer_ref = Some(PeerRef::new("post-9"));
    ledger.finish(vec![done], Vec::new()).await.unwrap();
    let (mut effects, framed) = settling(&ledger, 1, &channel, 700).await;
    effects.deliveries[0].replaces = Some(first.clone());
    effects.decisions.push(permitted(1, 2, &channel, 700));
    ledger.apply(effects, vec![framed]).await.unwrap();
    let correction = due(&ledger, 700).await.remove(0);
    assert_eq!(
        (correction.reply_to, correction.replaces),
        (Some(PeerRef::new("post-9")), Some(first))
    );
}

/// One group for two persons must be seen whoever imported it first.
pub(in crate::store) async fn a_shared_channel_is_seen(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    accepted(&ledger, "A", 2).await;
    // Both rows come before their patients: nobody can know yet that they are two.
    let rows = [
        channel_row("0001", "group-1"),
        channel_row("0002", "group-1"),
    ];
    ledger
        .import_channels(&rows, &by(0), Import::default())
        .await
        .unwrap();
    ledger.apply(stay(1, "0001", 1), Vec::new()).await.unwrap();
    ledger.apply(stay(2, "0002", 2), Vec::new()).await.unwrap();
    let channel = channel_of(&ledger, 1).await;
    settled(&ledger, 1, &channel, 600).await;
    assert!(due(&ledger, 600).await[0].channel_shared);
}

pub(in crate::store) async fn only_what_has_not_left_is_superseded(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let (first, second) = (
        settled(&ledger, 1, &channel, 600).await,
        settled(&ledger, 1, &channel, 601).await,
    );
    ledger
        .finish(
            vec![finish(&first, DeliveryState::Delivered, 602)],
            Vec::new(),
        )
        .await
        .unwrap();
    let superseded = vec![
        (first.clone(), Code::DLV_SUPERSEDED),
        (second.clone(), Code::DLV_SUPERSEDED),
    ];
    ledger
        .apply(
            Effects {
                superseded,
                ..Effects::default()
            },
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        state(&ledger, &first).await,
        (DeliveryState::Delivered, None, 1)
    );
    assert_eq!(
        state(&ledger, &second).await,
        (
            DeliveryState::Dead,
            Some(Code::DLV_SUPERSEDED.to_string()),
            0
        )
    );
    // Its attempt was under way: the state stays, that the peer has it is written down.
    let mut late = finish(&second, DeliveryState::Delivered, 603);
    late.peer_ref = Some(PeerRef::new("post-2"));
    ledger.finish(vec![late], Vec::new()).await.unwrap();
    let detail = ledger.delivery(&second).await.unwrap().unwrap();
    assert_eq!(
        (
            detail.delivery.state,
            detail.delivery.attempts,
            detail.delivery.told_at
        ),
        (DeliveryState::Dead, 1, Some(at(603)))
    );
    assert_eq!(detail.attempts.len(), 1);
}

pub(in crate::store) async fn a_post_that_cannot_be_framed_is_dead(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let (mut effects, mut framed) = settling(&ledger, 1, &channel, 600).await;
    effects.decisions.push(permitted(1, 1, &channel, 600));
    let id = framed.id.clone();
    framed.payload = Err(Code::DLV_FRAME);
    ledger.apply(effects, vec![framed]).await.unwrap();
    assert_eq!(
        state(&ledger, &id).await,
        (DeliveryState::Dead, Some(Code::DLV_FRAME.to_string()), 0)
    );
    assert_eq!(
        ledger
            .retry(&Selection::These(vec![id]), &by(700))
            .await
            .unwrap(),
        0,
        "it has no bytes to send"
    );
}

pub(in crate::store) async fn peers_report_back(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let first = settled(&ledger, 1, &channel, 600).await;
    let second = settled(&ledger, 1, &channel, 601).await;
    let mut sent = finish(&first, DeliveryState::Sent, 602);
    (sent.peer_ref, sent.due_at) = (Some(PeerRef::new("post-1")), Some(at(900)));
    ledger.finish(vec![sent], Vec::new()).await.unwrap();
    let receipt =
        |delivery: Option<&DeliveryId>, post: Option<&str>, kind, sink: &str| PeerReceipt {
            sink: SinkName::new(sink),
            delivery: delivery.cloned(),
            post: post.map(PeerRef::new),
            kind,
            by: Some("user-7".to_owned()),
            professions: vec![Profession::Pharmacist],
            at: at(650),
        };
    let told = |receipts: Vec<PeerReceipt>| Effects {
        receipts: receipts
            .into_iter()
            .map(|receipt| (MessageId(1), receipt))
            .collect(),
        ..Effects::default()
    };
    ledger
        .apply(
            told(vec![receipt(
                Some(&first),
                None,
                ReceiptKind::Accepted,
                "elsewhere",
            )]),
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        state(&ledger, &first).await.0,
        DeliveryState::Sent,
        "another sink's word does not count"
    );
    ledger
        .apply(
            told(vec![receipt(
                Some(&first),
                None,
                ReceiptKind::Accepted,
                "mcs",
            )]),
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(state(&ledger, &first).await.0, DeliveryState::Delivered);
    let seen = || receipt(None, Some("post-1"), ReceiptKind::Seen, "mcs");
    ledger
        .apply(told(vec![seen(), seen()]), Vec::new())
        .await
        .unwrap();
    let shown = ledger.delivery(&first).await.unwrap().unwrap().seen;
    assert_eq!(
        (
            shown.len(),
            shown[0].reader.as_str(),
            shown[0].professions[0]
        ),
        (1, "user-7", Profession::Pharmacist)
    );
    let refused = ReceiptKind::Refused {
        code: Code::DLV_NOT_MEMBER,
    };
    ledger
        .apply(
            told(vec![receipt(Some(&second), None, refused, "mcs")]),
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        state(&ledger, &second).await,
        (
            DeliveryState::Held,
            Some(Code::DLV_NOT_MEMBER.to_string()),
            0
        )
    );
}

pub(in crate::store) async fn a_late_word_settles_an_unknown_outcome(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let id = settled(&ledger, 1, &channel, 600).await;
    ledger
        .start_attempt(std::slice::from_ref(&id))
        .await
        .unwrap();
    let mut unknown = finish(&id, DeliveryState::Held, 601);
    unknown.code = Some(Code::DLV_UNKNOWN_OUTCOME);
    ledger.finish(vec![unknown], Vec::new()).await.unwrap();
    let receipt = PeerReceipt {
        sink: mcs(),
        delivery: Some(id.clone()),
        post: None,
        kind: ReceiptKind::Accepted,
        by: None,
        professions: Vec::new(),
        at: at(650),
    };
    ledger
        .apply(
            Effects {
                receipts: vec![(MessageId(1), receipt)],
                ..Effects::default()
            },
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(state(&ledger, &id).await.0, DeliveryState::Delivered);
}

/// A peer may confirm before the courier has written down what the peer calls the post.
pub(in crate::store) async fn a_word_that_comes_first_is_kept(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let id = settled(&ledger, 1, &channel, 600).await;
    let early = |kind| {
        let receipt = PeerReceipt {
            sink: mcs(),
            delivery: None,
            post: Some(PeerRef::new("post-9")),
            kind,
            by: Some("user-7".to_owned()),
            professions: vec![Profession::Nurse],
            at: at(601),
        };
        (MessageId(1), receipt)
    };
    let said = Effects {
        receipts: vec![early(ReceiptKind::Accepted), early(ReceiptKind::Seen)],
        ..Effects::default()
    };
    ledger.apply(said, Vec::new()).await.unwrap();
    assert_eq!(state(&ledger, &id).await.0, DeliveryState::Pending);
    let mut sent = finish(&id, DeliveryState::Sent, 602);
    (sent.peer_ref, sent.due_at) = (Some(PeerRef::new("post-9")), Some(at(900)));
    ledger.finish(vec![sent], Vec::new()).await.unwrap();
    assert_eq!(state(&ledger, &id).await.0, DeliveryState::Delivered);
    let seen = ledger.delivery(&id).await.unwrap().unwrap().seen;
    assert_eq!(seen.len(), 1);
}

/// The day of the budget begins at midnight in Japan.
pub(in crate::store) async fn posts_are_counted_from_midnight_in_japan(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    // 11:00 in Japan less eleven hours and a second: the day before.
    settled(&ledger, 1, &channel, -11 * 3600 - 1).await;
    settled(&ledger, 1, &channel, -11 * 3600).await;
    let held = settled(&ledger, 1, &channel, 10).await;
    let mut blocked = finish(&held, DeliveryState::Held, 11);
    blocked.code = Some(Code::DLV_NOT_MEMBER);
    ledger.finish(vec![blocked], Vec::new()).await.unwrap();
    let mut now = world();
    now.now = at(60);
    ledger.load_notices(&[NoticeId(1)], &mut now).await.unwrap();
    assert_eq!(now.posts_today[&channel.id], 1);
    let mut tomorrow = world();
    tomorrow.now = at(0) + SignedDuration::from_hours(13);
    ledger
        .load_notices(&[NoticeId(1)], &mut tomorrow)
        .await
        .unwrap();
    assert!(tomorrow.posts_today.is_empty());
}

pub(in crate::store) async fn a_look_changes_the_channel(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let change = |members, broken| ChannelChange {
        channel: channel.id,
        members,
        broken,
        reroute: Vec::new(),
        sink: mcs(),
    };
    let mut members = channel.members.clone();
    members.truncate(1);
    ledger
        .finish(Vec::new(), vec![change(Some(members.clone()), None)])
        .await
        .unwrap();
    assert_eq!(channel_of(&ledger, 1).await.members, members);
    ledger
        .finish(
            Vec::new(),
            vec![change(None, Some(Code::DLV_CHANNEL_ARCHIVED))],
        )
        .await
        .unwrap();
    let now = channel_of(&ledger, 1).await;
    assert_eq!(
        (now.status, now.members),
        (renkei_core::ChannelStatus::Broken, members)
    );
    assert_eq!(now.id, ChannelId(1));
}

/// An operator moved the record while its notice was being settled: nothing leaves for the other person.
pub(in crate::store) async fn a_moved_record_takes_its_notices_along(house: &impl House) {
    let ledger = house.hub().await.unwrap();
    let channel = one_stay(&ledger).await;
    let (mut effects, framed) = settling(&ledger, 1, &channel, 600).await;
    effects.decisions.push(permitted(1, 1, &channel, 600));
    let person = ledger.relink(RecordId(1), None, &by(599)).await.unwrap();
    let id = framed.id.clone();
    ledger.apply(effects, vec![framed]).await.unwrap();
    assert_eq!(
        state(&ledger, &id).await,
        (DeliveryState::Dead, Some(Code::DLV_RECALLED.to_string()), 0)
    );
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(1)], &mut world)
        .await
        .unwrap();
    assert_eq!(world.notices[&NoticeId(1)].person, person);
    let all = ledger.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(all.len(), 1);
}
