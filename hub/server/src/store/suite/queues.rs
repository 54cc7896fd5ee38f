//! The operator's verbs about the two queues: replay, release, desk, recall, trace, counts.

use renkei_core::{Change, Code, DeliveryId, MessageId, NoticeId, PeerRef, SinkName};

use super::House;
use super::fixture::*;
use crate::config::SinkMode;
use crate::store::Store;
use crate::store::operator::{DeliveryFilter, MessageFilter, OperateError, Operator, Selection};
use crate::world::{DeliveryState, Effects, Finish, MessageState};

async fn deliver(ledger: &impl Store, id: &DeliveryId, seconds: i64) {
    let done = Finish {
        id: id.clone(),
        state: DeliveryState::Delivered,
        code: None,
        due_at: None,
        peer_ref: Some(PeerRef::new("post-1")),
        attempt: Some("confirmed"),
        at: at(seconds),
    };
    ledger.finish(vec![done], Vec::new()).await.unwrap();
}

async fn held(ledger: &(impl Store + Operator), id: &DeliveryId, code: Code) {
    let hold = Finish {
        id: id.clone(),
        state: DeliveryState::Held,
        code: Some(code),
        due_at: None,
        peer_ref: None,
        attempt: None,
        at: at(610),
    };
    ledger.finish(vec![hold], Vec::new()).await.unwrap();
}

pub(in crate::store) async fn messages_are_replayed(house: &impl House) {
    let ledger = house.command().await.unwrap();
    one_stay(&ledger).await;
    let mut cut = message("cut", "MSH|cut");
    cut.message.refused = Some(Code::HL7_FRAME_TRUNCATED);
    ledger.accept(vec![cut]).await.unwrap();
    accepted(&ledger, "C", 1).await;
    let all = ledger.messages(&MessageFilter::default()).await.unwrap();
    assert_eq!(
        all.iter()
            .map(|line| (line.id.0, line.state))
            .collect::<Vec<_>>(),
        [
            (3, MessageState::Received),
            (2, MessageState::Failed),
            (1, MessageState::Processed)
        ]
    );
    let detail = ledger.message(MessageId(1)).await.unwrap().unwrap();
    assert_eq!(
        (
            detail.unread.len(),
            detail.versions.len(),
            detail.message.mapper.as_str()
        ),
        (1, 1, "hl7v2/1-test")
    );
    assert!(ledger.message(MessageId(99)).await.unwrap().is_none());
    let everything = Selection::Matching(MessageFilter::default());
    assert_eq!(
        ledger.replay(&everything, false, &by(5)).await.unwrap(),
        1,
        "neither what waits nor what was cut off"
    );
    let waiting = ledger.waiting(10).await.unwrap();
    assert_eq!(
        waiting
            .iter()
            .map(|waiting| (waiting.message.id.0, waiting.replay))
            .collect::<Vec<_>>(),
        [(1, true), (3, false)]
    );
    ledger
        .apply(
            Effects {
                outcomes: vec![processed(1, Some(1))],
                ..Effects::default()
            },
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        ledger
            .replay(&Selection::These(vec![MessageId(1)]), true, &by(6))
            .await
            .unwrap(),
        1
    );
    assert!(
        !ledger.waiting(1).await.unwrap()[0].replay,
        "released on purpose"
    );
}

pub(in crate::store) async fn deliveries_are_released_and_handed_over(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let (first, second) = (
        settled(&ledger, 1, &channel, 600).await,
        settled(&ledger, 1, &channel, 601).await,
    );
    held(&ledger, &first, Code::RTE_STALE).await;
    held(&ledger, &second, Code::RTE_ASSISTED).await;
    let stale = DeliveryFilter {
        code: Some(Code::RTE_STALE),
        ..DeliveryFilter::default()
    };
    assert_eq!(
        ledger
            .release(&Selection::Matching(stale), &by(620))
            .await
            .unwrap(),
        1
    );
    let due = ledger
        .due_deliveries(&SinkName::new("mcs"), at(620), 10)
        .await
        .unwrap();
    assert_eq!(
        (due.len(), due[0].released, due[0].id.clone()),
        (1, true, first.clone())
    );
    let desk = ledger.desk().await.unwrap();
    assert_eq!(
        (
            desk.len(),
            desk[0].peer_ref.as_str(),
            desk[0].header.birth_date.as_str()
        ),
        (1, "group-1", "1940-04-01")
    );
    assert!(matches!(
        ledger.desk_done(&first, &by(630)).await,
        Err(OperateError::NotNow { .. })
    ));
    ledger.desk_done(&second, &by(630)).await.unwrap();
    let done = ledger.delivery(&second).await.unwrap().unwrap();
    assert_eq!(
        (done.delivery.state, done.delivery.told_at),
        (DeliveryState::Delivered, Some(at(630)))
    );
    assert_eq!(
        (done.attempts[0].outcome.as_str(), done.decisions.len()),
        ("by hand", 1)
    );
    assert_eq!(done.post.text, "退院されました");
    let dead = Finish {
        id: first.clone(),
        state: DeliveryState::Dead,
        code: Some(Code::DLV_REJECTED),
        due_at: None,
        peer_ref: None,
        attempt: None,
        at: at(640),
    };
    ledger.finish(vec![dead], Vec::new()).await.unwrap();
    assert_eq!(
        ledger
            .retry(&Selection::These(vec![first, second]), &by(650))
            .await
            .unwrap(),
        1
    );
    let counters = ledger.status(at(700)).await.unwrap().counters;
    assert_eq!(
        (
            counters["human.release"],
            counters["human.desk"],
            counters["human.retry"]
        ),
        (1, 1, 1)
    );
}

pub(in crate::store) async fn a_wrong_patient_is_recalled(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let (first, second) = (
        settled(&ledger, 1, &channel, 600).await,
        settled(&ledger, 1, &channel, 601).await,
    );
    deliver(&ledger, &first, 602).await;
    let recalled = Operator::recall(
        &ledger,
        &first,
        &by(700),
        Box::new(|_| Ok((post("【取消】"), payload()))),
    )
    .await
    .unwrap();
    assert_eq!(
        (recalled.told.len(), recalled.stopped.as_slice()),
        (1, [second.clone()].as_slice())
    );
    let told = &recalled.told[0];
    assert_eq!(
        (&told.told, told.members.len(), told.code),
        (&first, 2, None)
    );
    let days = (
        recalled.full_report_by.duration_since(at(700)).as_hours(),
        recalled.first_report_by.duration_since(at(700)).as_hours(),
    );
    assert_eq!(days, (720, 120));
    let stopped = ledger.delivery(&second).await.unwrap().unwrap().delivery;
    assert_eq!(
        (stopped.state, stopped.code.as_deref()),
        (DeliveryState::Dead, Some(Code::DLV_RECALLED.as_str()))
    );
    let due = ledger
        .due_deliveries(&SinkName::new("mcs"), at(700), 10)
        .await
        .unwrap();
    assert_eq!(
        (due.len(), due[0].change, due[0].released),
        (1, Change::WrongPatient, true)
    );
    assert_eq!(
        (due[0].reply_to.clone(), due[0].version),
        (Some(PeerRef::new("post-1")), 2)
    );
    assert_eq!(
        ledger
            .retry(&Selection::These(vec![second]), &by(701))
            .await
            .unwrap(),
        0
    );
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(1)], &mut world)
        .await
        .unwrap();
    assert_eq!(
        world.notices[&NoticeId(1)].never_automatic,
        Some(Code::DLV_RECALLED)
    );
    assert_eq!(world.deliveries[&NoticeId(1)].len(), 3);
    assert_eq!(ledger.status(at(700)).await.unwrap().incidents, 1);
    let again = Operator::recall(
        &ledger,
        &first,
        &by(800),
        Box::new(|_| Err(Code::DLV_FRAME)),
    )
    .await
    .unwrap();
    assert!(again.told.is_empty(), "it is withdrawn there already");
}

pub(in crate::store) async fn a_term_leads_to_everything(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let id = settled(&ledger, 1, &channel, 600).await;
    deliver(&ledger, &id, 601).await;
    accepted(&ledger, "OTHER", 1).await;
    ledger.apply(stay(2, "0002", 2), Vec::new()).await.unwrap();
    for term in ["1", "A0", "0001", "stay-1", id.as_str(), "post-1"] {
        let trace = ledger.trace(term).await.unwrap();
        assert_eq!(
            trace
                .messages
                .iter()
                .map(|one| one.message.id.0)
                .collect::<Vec<_>>(),
            [1],
            "{term}"
        );
        assert_eq!(
            (
                trace.versions.len(),
                trace.notices.len(),
                trace.decisions.len()
            ),
            (1, 1, 1),
            "{term}"
        );
        assert_eq!(
            (
                trace.deliveries.len(),
                trace.attempts.len(),
                trace.truncated
            ),
            (1, 1, false),
            "{term}"
        );
    }
    let nothing = ledger.trace("nobody-knows").await.unwrap();
    assert!(nothing.messages.is_empty() && nothing.notices.is_empty());
    assert!(ledger.trace("").await.unwrap().messages.is_empty());
}

pub(in crate::store) async fn everything_is_counted(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    let id = settled(&ledger, 1, &channel, 600).await;
    accepted(&ledger, "B", 2).await;
    ledger.begin_run(at(0)).await.unwrap();
    let status = ledger.status(at(660)).await.unwrap();
    assert_eq!(
        (
            status.oldest_waiting_secs,
            status.oldest_pending_secs,
            status.waiting,
            status.pending
        ),
        (Some(660), Some(60), 2, 1)
    );
    assert_eq!(status.last_run.map(|run| run.started_at), Some(at(0)));
    held(&ledger, &id, Code::RTE_BUDGET).await;
    let counts = ledger.ledger_counts().await.unwrap();
    assert_eq!(
        (
            counts.messages["processed"],
            counts.messages["received"],
            counts.sources["byoin"]
        ),
        (1, 2, 3)
    );
    assert_eq!(
        (
            counts.resources["Encounter"],
            counts.versions,
            counts.notices["discharge"],
            counts.notice_versions
        ),
        (1, 1, 1, 1)
    );
    assert_eq!((counts.decisions.len(), counts.deliveries.len()), (1, 1));
    assert_eq!(
        (counts.deliveries[0].state, counts.deliveries[0].count),
        (DeliveryState::Held, 1)
    );
    assert_eq!(
        ledger.status(at(660)).await.unwrap().held[Code::RTE_BUDGET.as_str()],
        1
    );
    let event = ledger.event_rows().await.unwrap().remove(0);
    assert_eq!(
        (
            event.messages,
            event.resources,
            event.fhir_versions,
            event.versions
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(
        (event.deliveries.len(), event.decisions.as_slice()),
        (1, ["permit".to_owned()].as_slice())
    );
}

pub(in crate::store) async fn sinks_are_set(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let mcs = SinkName::new("mcs");
    ledger
        .sink_override(&mcs, Some(SinkMode::Assisted), None, &by(0))
        .await
        .unwrap();
    ledger
        .sink_override(&mcs, None, Some(true), &by(1))
        .await
        .unwrap();
    let set = ledger.sink_overrides().await.unwrap();
    assert_eq!(
        (set.len(), set[0].mode, set[0].paused),
        (1, Some(SinkMode::Assisted), true)
    );
    ledger
        .sink_override(&mcs, Some(SinkMode::Live), Some(false), &by(2))
        .await
        .unwrap();
    let set = ledger.sink_overrides().await.unwrap();
    assert_eq!((set[0].mode, set[0].paused), (Some(SinkMode::Live), false));
}
