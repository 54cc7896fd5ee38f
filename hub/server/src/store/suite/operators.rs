//! The operator's verbs.

use renkei_core::{
    Change, ChannelId, ChannelKind, ChannelStatus, ChannelView, Code, DeliveryId, MessageId,
    NoticeId, PatientHeader, PeerRef, PersonId, RecordId, SinkName,
};

use super::House;
use super::fixture::*;
use crate::config::SinkMode;
use crate::store::Store;
use crate::store::operator::{
    ChannelFilter, Decision, DeliveryFilter, Import, MessageFilter, OperateError, Operator,
    PersonFilter, Proposed, RowOutcome, RowResult, Selection,
};
use crate::world::{DeliveryState, Effects, Finish, MessageState, Review};

fn outcomes(results: &[RowResult]) -> Vec<(RowOutcome, Option<Code>)> {
    results
        .iter()
        .map(|result| (result.outcome, result.code))
        .collect()
}

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

pub(in crate::store) async fn patients_are_enrolled(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let two = [local(HOSPITAL, "0001"), local(HOSPITAL, "0\"2|")];
    assert_eq!(ledger.enrol(&two, &by(0)).await.unwrap(), 2);
    assert_eq!(ledger.enrol(&two, &by(1)).await.unwrap(), 0);
    assert_eq!(ledger.unenrol(&two[..1], &by(2)).await.unwrap(), 1);
    assert_eq!(ledger.enrolled().await.unwrap(), two[1..]);
    let audit = ledger.check_audit().await.unwrap();
    assert_eq!((audit.lines, audit.broken_at), (3, None));
}

pub(in crate::store) async fn consents_are_imported(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 1).await;
    ledger.apply(stay(1, "0001", 1), Vec::new()).await.unwrap();
    let good = consent_row("0001");
    let waiting = consent_row("9999");
    let mut other_kana = consent_row("0001");
    other_kana.kana = "ベツ ハナコ".to_owned();
    let mut bad_day = consent_row("0001");
    bad_day.valid_until = "2026-02-30".to_owned();
    let mut bad_item = consent_row("0001");
    bad_item.items = "everything".to_owned();
    let rows = [good.clone(), waiting, other_kana, bad_day, bad_item];
    let expected = [
        (RowOutcome::Added, None),
        (RowOutcome::WaitingForPatient, None),
        (RowOutcome::Refused, Some(Code::RTE_CONSENT_MISMATCH)),
        (RowOutcome::Refused, Some(Code::CFG_CSV_ROW)),
        (RowOutcome::Refused, Some(Code::CFG_CSV_ROW)),
    ];
    let dry = ledger
        .import_consents(
            &rows,
            &by(0),
            Import {
                dry_run: true,
                back_deliver: false,
            },
        )
        .await
        .unwrap();
    assert_eq!(outcomes(&dry), expected);
    assert!(
        ledger.enrolled().await.unwrap().is_empty(),
        "a dry run writes nothing"
    );
    let done = ledger
        .import_consents(&rows, &by(0), Import::default())
        .await
        .unwrap();
    assert_eq!(outcomes(&done), expected);
    assert_eq!(done[4].row, 5);
    assert_eq!(
        ledger.enrolled().await.unwrap().len(),
        2,
        "who consents is enrolled"
    );
    let again = ledger
        .import_consents(&rows[..1], &by(1), Import::default())
        .await
        .unwrap();
    assert_eq!(again[0].outcome, RowOutcome::Unchanged);
    let mut changed = good.clone();
    changed.items = "admission|discharge".to_owned();
    assert_eq!(
        ledger
            .import_consents(&[changed], &by(2), Import::default())
            .await
            .unwrap()[0]
            .outcome,
        RowOutcome::Updated
    );
    let mut withdrawn = good.clone();
    withdrawn.withdrawn_on = "2026-02-01".to_owned();
    let result = ledger
        .import_consents(&[withdrawn], &by(3), Import::default())
        .await
        .unwrap();
    assert_eq!(result[0].outcome, RowOutcome::Withdrawn);
    let after = ledger
        .import_consents(&[good], &by(4), Import::default())
        .await
        .unwrap();
    assert_eq!(
        after[0].outcome,
        RowOutcome::Unchanged,
        "an import without the withdrawal does not undo it"
    );
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(1)], &mut world)
        .await
        .unwrap();
    assert_eq!(world.consents[&RecordId(1)][0].withdrawn_on, "2026-02-01");
}

pub(in crate::store) async fn a_withdrawal_stops_what_is_unsent_and_a_grant_sends_nothing(
    house: &impl House,
) {
    let ledger = house.command().await.unwrap();
    let channel = one_stay(&ledger).await;
    settled(&ledger, 1, &channel, 600).await;
    let mut second_form = consent_row("0001");
    second_form.form_id = "F2".to_owned();
    ledger
        .import_consents(
            std::slice::from_ref(&second_form),
            &by(601),
            Import::default(),
        )
        .await
        .unwrap();
    assert!(
        ledger.due_notices(at(700), 10).await.unwrap().is_empty(),
        "a grant delivers nothing by itself"
    );
    let mut withdrawn = consent_row("0001");
    withdrawn.withdrawn_on = "2026-01-31".to_owned();
    ledger
        .import_consents(&[withdrawn], &by(602), Import::default())
        .await
        .unwrap();
    assert_eq!(
        ledger.due_notices(at(700), 10).await.unwrap(),
        [NoticeId(1)]
    );
    // Denied for want of consent: judged again only when asked for.
    accepted(&ledger, "B", 1).await;
    ledger.apply(stay(2, "0002", 2), Vec::new()).await.unwrap();
    let (mut effects, _) = settling(&ledger, 2, &channel, 603).await;
    effects.deliveries.clear();
    let mut denied = permitted(2, 1, &channel, 603);
    (denied.verdict, denied.code, denied.channel) = (
        crate::world::Verdict::Deny,
        Some(Code::RTE_NO_CONSENT),
        None,
    );
    effects.decisions.push(denied);
    ledger.apply(effects, Vec::new()).await.unwrap();
    let grant = [consent_row("0002")];
    ledger
        .import_consents(&grant, &by(604), Import::default())
        .await
        .unwrap();
    assert_eq!(
        ledger.due_notices(at(700), 10).await.unwrap(),
        [NoticeId(1)]
    );
    ledger
        .import_consents(
            &grant,
            &by(605),
            Import {
                dry_run: false,
                back_deliver: true,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        ledger.due_notices(at(700), 10).await.unwrap(),
        [NoticeId(1), NoticeId(2)]
    );
}

pub(in crate::store) async fn channels_are_imported_and_confirmed(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 2).await;
    ledger.apply(stay(1, "0001", 1), Vec::new()).await.unwrap();
    ledger.apply(stay(2, "0002", 2), Vec::new()).await.unwrap();
    let mut proposed = channel_row("0001", "group-1");
    proposed.status = "proposed".to_owned();
    let mut other = channel_row("0001", "group-x");
    other.birth_date = "1941-04-01".to_owned();
    let mut anonymous = channel_row("0001", "group-y");
    anonymous.confirmed_by = String::new();
    let mut wizard = channel_row("0001", "group-z");
    wizard.professions = "wizard".to_owned();
    let rows = [
        proposed.clone(),
        channel_row("0002", "group-1"),
        other,
        anonymous,
        wizard,
        channel_row("7777", "group-7"),
    ];
    let results = ledger
        .import_channels(&rows, &by(0), Import::default())
        .await
        .unwrap();
    assert_eq!(
        outcomes(&results),
        [
            (RowOutcome::Added, None),
            (RowOutcome::Refused, Some(Code::DLV_CHANNEL_SHARED)),
            (RowOutcome::Refused, Some(Code::DLV_HEADER_DIFFERS)),
            (RowOutcome::Refused, Some(Code::CFG_CSV_ROW)),
            (RowOutcome::Refused, Some(Code::CFG_CSV_ROW)),
            (RowOutcome::WaitingForPatient, None),
        ]
    );
    assert_eq!(
        ledger
            .import_channels(&rows[..1], &by(1), Import::default())
            .await
            .unwrap()[0]
            .outcome,
        RowOutcome::Unchanged
    );
    let filter = ChannelFilter {
        status: Some(ChannelStatus::Proposed),
        ..ChannelFilter::default()
    };
    let line = ledger.list_channels(&filter).await.unwrap().remove(0);
    assert_eq!(
        (line.person, line.members.len(), line.confirmed_by),
        (Some(PersonId(1)), 2, None)
    );
    ledger.confirm_channel(line.id, &by(2)).await.unwrap();
    assert!(matches!(
        ledger.confirm_channel(line.id, &by(3)).await,
        Err(OperateError::NotNow { .. })
    ));
    assert!(matches!(
        ledger.confirm_channel(ChannelId(99), &by(3)).await,
        Err(OperateError::Unknown { .. })
    ));
    assert_eq!(
        ledger.status(at(9)).await.unwrap().counters["human.confirm"],
        2,
        "one confirmed, one imported as confirmed"
    );
    ledger.break_channel(line.id, &by(4)).await.unwrap();
    assert_eq!(channel_of(&ledger, 1).await.status, ChannelStatus::Broken);
}

pub(in crate::store) async fn channels_are_proposed_never_guessed(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 2).await;
    ledger.apply(stay(1, "0001", 1), Vec::new()).await.unwrap();
    let view = |peer_ref: &str, birth_date: &str, sex: &str| ChannelView {
        peer_ref: PeerRef::new(peer_ref),
        kind: ChannelKind::Professional,
        archived: false,
        header: Some(PatientHeader {
            local_id: String::new(),
            kana: "ｶｸｳ　ﾊﾅｺ".to_owned(),
            birth_date: birth_date.to_owned(),
            sex: sex.to_owned(),
        }),
        members: None,
        host_facility: None,
    };
    let mut family = view("g-family", "1940-04-01", "female");
    family.kind = ChannelKind::Family;
    let views = [
        view("g-1", "1940-04-01", "female"),
        view("g-2", "1940-04-01", "male"),
        view("g-3", "1940-04-02", "female"),
        view("g-4", "1940-04-01", ""),
        family,
    ];
    let mcs = SinkName::new("mcs");
    let found: Vec<Proposed> = ledger
        .propose(&mcs, &views, &by(0))
        .await
        .unwrap()
        .iter()
        .map(|one| one.outcome)
        .collect();
    assert_eq!(
        found,
        [
            Proposed::New,
            Proposed::Nobody,
            Proposed::Nobody,
            Proposed::Unfit,
            Proposed::Unfit
        ]
    );
    assert_eq!(
        ledger.propose(&mcs, &views[..1], &by(1)).await.unwrap()[0].outcome,
        Proposed::Known
    );
    assert_eq!(channel_of(&ledger, 1).await.status, ChannelStatus::Proposed);
    // A second person of the same name, birthday and sex: nobody is guessed.
    ledger.apply(stay(2, "0002", 2), Vec::new()).await.unwrap();
    assert_eq!(
        ledger
            .propose(&mcs, &[view("g-9", "1940-04-01", "female")], &by(2))
            .await
            .unwrap()[0]
            .outcome,
        Proposed::Several
    );
}

pub(in crate::store) async fn a_review_frees_what_is_parked(house: &impl House) {
    let ledger = house.command().await.unwrap();
    one_stay(&ledger).await;
    accepted(&ledger, "B", 3).await;
    let mut effects = Effects::default();
    for id in [2, 3] {
        effects.records.insert(
            RecordId(id),
            record(
                id,
                &format!("000{id}"),
                None,
                facts("カクウハナコ", "1940-04-01"),
            ),
        );
        effects.reviews.push(Review {
            record: RecordId(id),
            code: Code::IDN_AMBIGUOUS,
            candidates: vec![PersonId(1)],
        });
    }
    effects.outcomes = vec![
        ended(2, Some(2), MessageState::Parked, Some(Code::IDN_AMBIGUOUS)),
        ended(3, Some(2), MessageState::Parked, Some(Code::IDN_AMBIGUOUS)),
        ended(4, Some(3), MessageState::Parked, Some(Code::IDN_AMBIGUOUS)),
    ];
    ledger.apply(effects, Vec::new()).await.unwrap();
    let open = ledger.reviews().await.unwrap();
    assert_eq!(
        (open.len(), open[0].parked, open[0].candidates[0].person),
        (2, 2, Some(PersonId(1)))
    );
    assert_eq!(open[0].candidates[0].records[0].facts.kana, "カクウハナコ");
    let unknown = ledger
        .decide_review(RecordId(2), Decision::Join(PersonId(99)), &by(5))
        .await;
    assert!(matches!(
        unknown,
        Err(OperateError::Unknown { what: "person" })
    ));
    assert_eq!(
        ledger.reviews().await.unwrap().len(),
        2,
        "a refused decision leaves nothing"
    );
    assert_eq!(
        ledger
            .decide_review(RecordId(2), Decision::Join(PersonId(1)), &by(5))
            .await
            .unwrap(),
        2
    );
    assert!(matches!(
        ledger
            .decide_review(RecordId(2), Decision::NewPerson, &by(6))
            .await,
        Err(OperateError::NotNow { .. })
    ));
    assert_eq!(
        ledger
            .decide_review(RecordId(3), Decision::Reject, &by(7))
            .await
            .unwrap(),
        0
    );
    let waiting = ledger.waiting(10).await.unwrap();
    assert_eq!(
        waiting
            .iter()
            .map(|waiting| (waiting.message.id.0, waiting.replay))
            .collect::<Vec<_>>(),
        [(2, false), (3, false)]
    );
    let parked = ledger
        .messages(&MessageFilter {
            state: Some(MessageState::Parked),
            ..MessageFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(
        (parked.len(), parked[0].code.as_deref()),
        (1, Some(Code::IDN_REJECTED.as_str()))
    );
    let people = ledger
        .people(&PersonFilter {
            kana: Some("ｶｸｳ".to_owned()),
            ..PersonFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(people[0].records.len(), 2, "two records of one person");
    assert_eq!(
        ledger.relink(RecordId(3), None, &by(8)).await.unwrap(),
        PersonId(-3)
    );
    assert_eq!(
        ledger.waiting(10).await.unwrap().len(),
        3,
        "a rejected record taken back is processed too"
    );
    assert_eq!(
        ledger.status(at(9)).await.unwrap().counters["human.decide"],
        2
    );
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
    let recalled = Operator::recall(&ledger, 
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
    let again = Operator::recall(&ledger, &first, &by(800), Box::new(|_| Err(Code::DLV_FRAME)))
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
