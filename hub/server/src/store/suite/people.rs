//! The operator's verbs about people: enrolment, consent, channels, reviews.

use renkei_core::{
    ChannelId, ChannelKind, ChannelStatus, ChannelView, Code, NoticeId, PatientHeader, PeerRef,
    PersonId, RecordId, SinkName,
};

use super::House;
use super::fixture::*;
use crate::store::Store;
use crate::store::operator::{
    ChannelFilter, Decision, Import, MessageFilter, OperateError, Operator, PersonFilter, Proposed,
    RowOutcome, RowResult,
};
use crate::world::{Effects, MessageState, Review};

fn outcomes(results: &[RowResult]) -> Vec<(RowOutcome, Option<Code>)> {
    results
        .iter()
        .map(|result| (result.outcome, result.code))
        .collect()
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
