//! What policy removes and what it must not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_core::delivery::AttachmentRef;
use renkei_core::{
    Code, Finding, LocalId, MessageId, PeerReceipt, PeerRef, Receipt, ReceiptKind, Severity,
};
use sha2::{Digest, Sha256};

use super::House;
use super::fixture::*;
use crate::store::Store;
use crate::store::keeper::{Cut, Keeper, Kind, Prunable, Restored, Stopped};
use crate::store::operator::{DeliveryFilter, MessageFilter, Operator, Selection};
use crate::world::{DeliveryState, Effects, Finish, MessageState};

/// A day of the cut that everything in these tests is older than, and when it is asked.
const YEARS: i64 = 6 * 365 * 24 * 3_600;

pub(super) fn cut(kind: Kind, seconds: i64) -> Cut {
    Cut {
        kind,
        before: at(seconds),
        unread_before: at(seconds),
    }
}

/// Slices of a few rows until nothing is left.
pub(super) async fn sweep(ledger: &impl Keeper, cut: &Cut, now: Timestamp) -> u64 {
    let mut removed = 0;
    for _ in 0..1_000 {
        let slice = ledger.prune(cut, 2, now).await.unwrap();
        removed += slice.removed;
        if slice.done {
            return removed;
        }
    }
    panic!("a sweep does not end");
}

async fn body_gone(ledger: &impl Operator, message: i64) -> bool {
    let detail = ledger.message(MessageId(message)).await.unwrap().unwrap();
    detail.message.body_removed_at.is_some()
}

pub(in crate::store) async fn only_processed_bodies_go_and_repeats_are_still_known(
    house: &impl House,
) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 5).await;
    let mut effects = stay(1, "0001", 1);
    effects.outcomes = vec![
        processed(1, Some(1)),
        ended(2, Some(1), MessageState::Parked, Some(Code::IDN_AMBIGUOUS)),
        ended(3, None, MessageState::Failed, Some(Code::MAP_NO_PATIENT)),
        processed(5, Some(1)),
    ];
    ledger.apply(effects, Vec::new()).await.unwrap();
    let now = at(YEARS);
    // Nothing is old enough yet.
    assert_eq!(sweep(&ledger, &cut(Kind::Bodies, -10), now).await, 0);
    let all = cut(Kind::Bodies, 10);
    let expected = Prunable { free: 2, kept: 3 };
    assert_eq!(ledger.prunable(&all, now).await.unwrap(), expected);
    assert_eq!(sweep(&ledger, &all, now).await, 2);
    for (message, gone) in [(1, true), (2, false), (3, false), (4, false), (5, true)] {
        assert_eq!(body_gone(&ledger, message).await, gone, "message {message}");
    }
    let detail = ledger.message(MessageId(1)).await.unwrap().unwrap();
    assert_eq!(detail.message.body_removed_at, Some(now));
    assert_eq!(detail.message.state, MessageState::Processed);
    assert_eq!(detail.versions.len(), 1, "what was read stays");
    // The fingerprint stays: the same bytes are a repeat for ever.
    let again = ledger.accept(vec![message("A0", "MSH|A0")]).await.unwrap();
    assert_eq!(again, [Receipt::Duplicate(MessageId(1))]);
    // What was passed is asked again a day later, and goes once it has ended.
    assert_eq!(sweep(&ledger, &all, now).await, 0);
    let done = Effects {
        outcomes: vec![processed(4, Some(1))],
        ..Effects::default()
    };
    ledger.apply(done, Vec::new()).await.unwrap();
    let expected = Prunable { free: 0, kept: 3 };
    assert_eq!(ledger.prunable(&all, now).await.unwrap(), expected);
    let tomorrow = at(YEARS + 25 * 3_600);
    let expected = Prunable { free: 1, kept: 2 };
    assert_eq!(ledger.prunable(&all, tomorrow).await.unwrap(), expected);
    assert_eq!(sweep(&ledger, &all, tomorrow).await, 1);
    assert!(body_gone(&ledger, 4).await);
}

pub(in crate::store) async fn a_body_that_is_gone_is_not_processed_again(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 2).await;
    let mut effects = stay(1, "0001", 1);
    effects.outcomes = vec![processed(1, Some(1)), processed(2, Some(1))];
    ledger.apply(effects, Vec::new()).await.unwrap();
    let one = Cut {
        kind: Kind::Bodies,
        ..cut(Kind::Bodies, 10)
    };
    let slice = ledger.prune(&one, 1, at(YEARS)).await.unwrap();
    assert_eq!(slice.removed, 1);
    let both = Selection::These(vec![MessageId(1), MessageId(2)]);
    assert_eq!(ledger.replay(&both, true, &by(YEARS)).await.unwrap(), 1);
    let waiting = ledger.waiting(10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].message.id, MessageId(2));
    assert_eq!(waiting[0].damaged, None);
    // What waits is not touched, however old it is.
    assert_eq!(sweep(&ledger, &cut(Kind::Bodies, 10), at(YEARS)).await, 0);
    assert!(!body_gone(&ledger, 2).await);
    // And should one wait all the same, it fails with the code that says why.
    house
        .tamper("INSERT INTO waiting (position, lane) VALUES (1, 7)")
        .await;
    let waiting = ledger.waiting(10).await.unwrap();
    assert_eq!(waiting[0].damaged, Some(Code::INB_BODY_REMOVED));
}

pub(in crate::store) async fn a_hold_keeps_everything_of_a_patient(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 3).await;
    let mut effects = stay(1, "0001", 1);
    effects.outcomes = vec![processed(1, Some(1)), processed(3, None)];
    ledger.apply(effects, Vec::new()).await.unwrap();
    let mut effects = stay(2, "0002", 2);
    effects.outcomes = vec![processed(2, Some(2))];
    ledger.apply(effects, Vec::new()).await.unwrap();
    let (here, one) = local(HOSPITAL, "0001");
    assert!(ledger.hold(&here, &one, &by(20)).await.unwrap());
    assert!(
        !ledger.hold(&here, &one, &by(21)).await.unwrap(),
        "held once"
    );
    let holds = ledger.list_holds().await.unwrap();
    assert_eq!((holds.len(), holds[0].released_at), (1, None));
    assert_eq!(
        (holds[0].local_id.as_str(), holds[0].reason.as_str()),
        ("0001", "test")
    );
    let all = cut(Kind::Bodies, 10);
    assert_eq!(sweep(&ledger, &all, at(YEARS)).await, 1);
    // Of the third nobody knows whose it is: it may be the held patient's.
    for (message, gone) in [(1, false), (2, true), (3, false)] {
        assert_eq!(body_gone(&ledger, message).await, gone, "message {message}");
    }
    assert!(ledger.release_hold(&here, &one, &by(YEARS)).await.unwrap());
    assert!(!ledger.release_hold(&here, &one, &by(YEARS)).await.unwrap());
    let nobody = LocalId::new("9999");
    assert!(
        !ledger
            .release_hold(&here, &nobody, &by(YEARS))
            .await
            .unwrap()
    );
    assert_eq!(sweep(&ledger, &all, at(YEARS + 25 * 3_600)).await, 2);
    let holds = ledger.list_holds().await.unwrap();
    assert_eq!(holds[0].released_at, Some(at(YEARS)));
    let audit = ledger.check_audit().await.unwrap();
    assert_eq!((audit.lines, audit.broken_at), (2, None));
}

pub(in crate::store) async fn what_nobody_reads_is_kept_longer(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 1).await;
    let mut document = message("doc", "%PDF-1.7");
    document.message.meta.media_type = Some("application/pdf".to_owned());
    ledger.accept(vec![document]).await.unwrap();
    let mut effects = stay(1, "0001", 1);
    let mut unread = processed(1, Some(1));
    unread.1.findings = vec![Finding {
        code: Code::HL7_UNKNOWN_TYPE,
        severity: Severity::Info,
        at: "MSH-9".to_owned(),
        text: "not read".to_owned(),
        value: None,
    }];
    effects.outcomes = vec![unread, processed(2, Some(1))];
    ledger.apply(effects, Vec::new()).await.unwrap();
    let policy = Cut {
        unread_before: at(-10),
        ..cut(Kind::Bodies, 10)
    };
    assert_eq!(sweep(&ledger, &policy, at(YEARS)).await, 0);
    assert!(!body_gone(&ledger, 1).await);
    // It is asked again when the longer policy is over, not every day.
    let soon = Cut {
        unread_before: at(10),
        ..policy
    };
    assert_eq!(sweep(&ledger, &soon, at(YEARS + 5)).await, 0);
    assert_eq!(sweep(&ledger, &soon, at(YEARS + 10)).await, 1);
    assert!(body_gone(&ledger, 1).await);
    // An original document is never a raw body.
    assert!(!body_gone(&ledger, 2).await);
}

pub(in crate::store) async fn ended_deliveries_let_go_of_their_files(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let sheet: [u8; 32] = Sha256::digest(b"sheet").into();
    let (mut effects, mut framed) = settling(&ledger, 1, &channel, 600).await;
    let id = effects.deliveries[0].id.clone();
    effects
        .decisions
        .push(permitted(1, effects.deliveries[0].version, &channel, 600));
    let mut payload = payload();
    payload.attachments = vec![AttachmentRef {
        sha256: data_encoding::HEXLOWER.encode(&sheet),
        media_type: "application/pdf".to_owned(),
        file_name: "joho-sheet.pdf".to_owned(),
        size: 5,
    }];
    framed.payload = Ok(payload);
    ledger.apply(effects, vec![framed]).await.unwrap();
    let other = [7; 32];
    assert_eq!(ledger.named(&[sheet, other]).await.unwrap(), [sheet]);
    assert_eq!(ledger.named_after(None, 10).await.unwrap(), [sheet]);
    assert!(
        ledger
            .named_after(Some(sheet), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let old = cut(Kind::Deliveries, YEARS);
    // It has not ended.
    assert_eq!(sweep(&ledger, &old, at(YEARS)).await, 0);
    let finish = Finish {
        id: id.clone(),
        state: DeliveryState::Delivered,
        code: None,
        due_at: None,
        peer_ref: Some(PeerRef::new("post-1")),
        attempt: Some("confirmed"),
        at: at(700),
    };
    ledger.finish(vec![finish], Vec::new()).await.unwrap();
    let (here, one) = local(HOSPITAL, "0001");
    let day = |days: i64| at(YEARS + days * 25 * 3_600);
    ledger.hold(&here, &one, &by(800)).await.unwrap();
    assert_eq!(sweep(&ledger, &old, day(1)).await, 0, "held");
    ledger.release_hold(&here, &one, &by(900)).await.unwrap();
    assert_eq!(
        sweep(&ledger, &old, day(2)).await,
        2,
        "a file and an attempt"
    );
    assert!(ledger.named(&[sheet]).await.unwrap().is_empty());
    let kept = ledger.delivery(&id).await.unwrap().unwrap();
    assert!(kept.attempts.is_empty() && !kept.decisions.is_empty());
    assert_eq!(kept.delivery.told_at, Some(at(700)));
}

pub(in crate::store) async fn receipts_of_nobody_go(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let receipts = (0..5).map(|number| PeerReceipt {
        sink: channel.sink.clone(),
        delivery: None,
        post: Some(PeerRef::new(format!("stranger-{number}"))),
        kind: ReceiptKind::Seen,
        by: None,
        professions: Vec::new(),
        at: at(number),
    });
    let said = Effects {
        receipts: receipts.map(|receipt| (MessageId(1), receipt)).collect(),
        ..Effects::default()
    };
    ledger.apply(said, Vec::new()).await.unwrap();
    let old = cut(Kind::Receipts, 3);
    let expected = Prunable { free: 3, kept: 0 };
    assert_eq!(ledger.prunable(&old, at(YEARS)).await.unwrap(), expected);
    assert_eq!(sweep(&ledger, &old, at(YEARS)).await, 3);
    assert_eq!(ledger.inventory().await.unwrap().rows["early_receipt"], 2);
}

pub(in crate::store) async fn the_old_end_of_the_audit_is_cut_and_stays_provable(
    house: &impl House,
) {
    let ledger = house.command().await.unwrap();
    for second in 0..7 {
        ledger.enrol(&[], &by(second)).await.unwrap();
    }
    let old = cut(Kind::Audit, 5);
    let expected = Prunable { free: 5, kept: 0 };
    assert_eq!(ledger.prunable(&old, at(YEARS)).await.unwrap(), expected);
    // Five lines went; each cut of two, two and one has written a line of its own.
    assert_eq!(sweep(&ledger, &old, at(YEARS)).await, 5);
    let check = ledger.check_audit().await.unwrap();
    assert_eq!((check.lines, check.broken_at), (2 + 3, None));
    ledger.enrol(&[], &by(YEARS)).await.unwrap();
    let check = ledger.check_audit().await.unwrap();
    assert_eq!((check.lines, check.broken_at), (6, None));
    // Cut further by hand, with an anchor that fits: no line of the chain says so.
    house
        .tamper(
            "UPDATE audit_anchor SET through = 6, hash = (SELECT hash FROM audit WHERE id = 6); DELETE FROM audit WHERE id = 6",
        )
        .await;
    assert_eq!(ledger.check_audit().await.unwrap().broken_at, None);
    let how = crate::store::keeper::Thoroughness::Rows;
    let findings = ledger.verify(how, None).await.unwrap();
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["audit-anchor"]);
    // Without an anchor the beginning is missing.
    house.tamper("DELETE FROM audit_anchor").await;
    assert_eq!(ledger.check_audit().await.unwrap().broken_at, Some(7));
}

pub(in crate::store) async fn a_broken_chain_is_not_cut(house: &impl House) {
    let ledger = house.command().await.unwrap();
    for second in 0..5 {
        ledger.enrol(&[], &by(second)).await.unwrap();
    }
    house
        .tamper("UPDATE audit SET actor = 'somebody else' WHERE id = 2")
        .await;
    let refused = ledger.prune(&cut(Kind::Audit, 5), 3, at(YEARS)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(ledger.inventory().await.unwrap().rows["audit"], 5);
}

pub(in crate::store) async fn a_sweep_goes_on_where_it_stopped(house: &impl House) {
    let all = cut(Kind::Bodies, 10);
    {
        let ledger = house.command().await.unwrap();
        accepted(&ledger, "A", 9).await;
        let mut effects = stay(1, "0001", 1);
        effects.outcomes = (1..=9).map(|message| processed(message, Some(1))).collect();
        ledger.apply(effects, Vec::new()).await.unwrap();
        let slice = ledger.prune(&all, 4, at(YEARS)).await.unwrap();
        assert_eq!((slice.removed, slice.done), (4, false));
        assert!(body_gone(&ledger, 4).await && !body_gone(&ledger, 5).await);
    }
    let ledger = house.command().await.unwrap();
    let expected = Prunable { free: 5, kept: 0 };
    assert_eq!(ledger.prunable(&all, at(YEARS)).await.unwrap(), expected);
    assert_eq!(sweep(&ledger, &all, at(YEARS)).await, 5);
    ledger
        .swept(&[(Kind::Bodies, 9)], &by(YEARS))
        .await
        .unwrap();
    assert_eq!(ledger.check_audit().await.unwrap().lines, 1);
}

pub(in crate::store) async fn a_restored_ledger_tells_nobody_by_itself(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let pending = settled(&ledger, 1, &channel, 600).await;
    accepted(&ledger, "B", 1).await;
    let mut effects = stay(2, "0002", 2);
    effects.outcomes = Vec::new();
    ledger.apply(effects, Vec::new()).await.unwrap();
    assert!(ledger.begin_run(at(880)).await.unwrap());
    ledger.end_run(at(890)).await.unwrap();
    let how = Restored {
        by: by(1_000),
        taken_at: at(900),
        nothing_told_since: false,
    };
    let stopped = ledger.restored(&how).await.unwrap();
    let expected = Stopped {
        deliveries: 1,
        notices: 1,
        messages: 1,
    };
    assert_eq!(stopped, expected);
    let held = ledger.delivery(&pending).await.unwrap().unwrap().delivery;
    assert_eq!(held.state, DeliveryState::Held);
    assert_eq!(held.code.as_deref(), Some(Code::DLV_RESTORED.as_str()));
    assert!(ledger.waiting(10).await.unwrap()[0].replay);
    let mut world = world();
    let room = keys(HOSPITAL, "0003", facts("カクウジロウ", "1950-01-01"));
    ledger.load(&room, &mut world).await.unwrap();
    let above = world.ids.notice;
    ledger
        .load_notices(&[renkei_core::NoticeId(2)], &mut world)
        .await
        .unwrap();
    assert!(world.notices[&renkei_core::NoticeId(2)].backfill);
    // The lost hub may have used the next numbers of notices.
    assert!(above > 1_000_000_000, "{above}");
    assert!(
        !ledger.begin_run(at(1_001)).await.unwrap(),
        "what was due counts as tried"
    );
    // A late word of the peer settles it.
    let heard = PeerReceipt {
        sink: channel.sink.clone(),
        delivery: Some(pending.clone()),
        post: None,
        kind: ReceiptKind::Accepted,
        by: None,
        professions: Vec::new(),
        at: at(1_100),
    };
    let said = Effects {
        receipts: vec![(MessageId(1), heard)],
        ..Effects::default()
    };
    ledger.apply(said, Vec::new()).await.unwrap();
    let told = ledger.delivery(&pending).await.unwrap().unwrap().delivery;
    assert_eq!(told.state, DeliveryState::Delivered);
    // A named person who knows that nothing was told since lets it go on.
    let id = settled(&ledger, 1, &channel, 1_200).await;
    let same = Restored {
        nothing_told_since: true,
        ..how
    };
    assert_eq!(ledger.restored(&same).await.unwrap(), Stopped::default());
    let goes_on = ledger.deliveries(&DeliveryFilter::default()).await.unwrap();
    let states: BTreeMap<_, _> = goes_on
        .iter()
        .map(|line| (line.id.clone(), line.state))
        .collect();
    assert_eq!(states[&id], DeliveryState::Pending);
    assert!(
        ledger
            .messages(&MessageFilter::default())
            .await
            .unwrap()
            .len()
            == 2
    );
}
