//! Synthetic people and small effects.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use renkei_core::notice::{Allergies, PatientLine, Speaker};
use renkei_core::{
    Authority, Change, Channel, Code, DeliveryId, Disclosure, Draft, FacilityId, Facts, Form,
    ItemClass, LocalId, MessageId, Meta, NewMessage, NoticeContent, NoticeId, NoticeKind, Payload,
    PersonId, Post, RecordId, ResourceType, Sensitive, SourceName, Strength, Subject, Urgency,
};
use sha2::{Digest, Sha256};

use crate::config::{Settle, Setup};
use crate::route::relevance::Relevance;
use crate::store::operator::{By, ChannelRow, ConsentRow, Import, Operator};
use crate::store::{Framed, Prepared, Store, StoredBody, pack};
use crate::world::{
    DeliveryState, Effects, Keys, MessageOutcome, MessageState, Minted, NewVersion, Notice,
    PlannedDelivery, Record, Sighting, Stored, World,
};

pub(in crate::store) const HOSPITAL: &str = "1310000001";
pub(in crate::store) const CLINIC: &str = "1310000002";

/// Seconds after a morning in Japan, 2026-01-31 11:00.
pub(in crate::store) fn at(seconds: i64) -> Timestamp {
    let morning: Timestamp = "2026-01-31T02:00:00Z".parse().unwrap();
    morning + SignedDuration::from_secs(seconds)
}

pub(in crate::store) fn by(seconds: i64) -> By {
    By {
        actor: "kanri".to_owned(),
        reason: "test".to_owned(),
        at: at(seconds),
    }
}

pub(in crate::store) fn facility(number: &str) -> FacilityId {
    FacilityId::new(number).unwrap()
}

pub(in crate::store) fn local(number: &str, id: &str) -> (FacilityId, LocalId) {
    (facility(number), LocalId::new(id))
}

/// A message ready to be accepted.
pub(in crate::store) fn message(control: &str, body: &str) -> Prepared {
    let new = NewMessage {
        source: SourceName::new("byoin"),
        facility: facility(HOSPITAL),
        dedup_key: control.to_owned(),
        subject: None,
        ordering_key: "1".to_owned(),
        barrier: false,
        body: body.to_owned().into(),
        meta: Meta::default(),
        refused: None,
    };
    Prepared {
        sha256: new.sha256(),
        lane: 7,
        body: StoredBody::Inline(pack(&new.body)),
        message: new,
        received_at: at(0),
    }
}

pub(in crate::store) fn facts(kana: &str, birth_date: &str) -> Facts {
    Facts {
        kana: kana.to_owned(),
        birth_date: birth_date.to_owned(),
        sex: "female".to_owned(),
        ..Facts::default()
    }
}

pub(in crate::store) fn record(
    id: i64,
    local_id: &str,
    person: Option<i64>,
    facts: Facts,
) -> Record {
    Record {
        id: RecordId(id),
        facility: facility(HOSPITAL),
        local_id: LocalId::new(local_id),
        person: person.map(PersonId),
        facts,
        authority: Authority::Primary,
        rejected: false,
    }
}

pub(in crate::store) fn version(
    row: i64,
    record: i64,
    kind: ResourceType,
    key: &str,
    version: u32,
    message: i64,
) -> NewVersion {
    let body = format!(
        r#"{{"resourceType":"{}","version":{version}}}"#,
        kind.as_str()
    );
    NewVersion {
        message: Some(MessageId(message)),
        stored: Stored {
            row,
            record: Some(RecordId(record)),
            kind,
            logical_id: format!("id-{key}"),
            scope: Some(format!("order:OML:{key}")),
            version,
            hash: Sha256::digest(body.as_bytes()).into(),
            body: Arc::from(body),
            source_time: at(0),
            storage_order: 0,
            authority: Authority::Primary,
            strength: Strength::Final,
            withdrawn: false,
        },
        key: Sensitive::new(format!("{record:04}|{key}")),
        recorded_at: at(1),
    }
}

pub(in crate::store) fn sighting(message: i64, resource: i64, version: u32) -> Sighting {
    Sighting {
        message: MessageId(message),
        resource,
        version,
        late: false,
    }
}

pub(in crate::store) fn notice(id: i64, person: i64, record: i64, key: &str) -> Notice {
    Notice {
        id: NoticeId(id),
        person: PersonId(person),
        record: RecordId(record),
        source: SourceName::new("byoin"),
        kind: NoticeKind::Discharge,
        event_key: format!("id-{key}"),
        focus: format!("id-{key}"),
        urgency: Urgency::U1,
        occurred_at: at(0),
        cancelled: false,
        never_automatic: None,
        backfill: false,
        first_part_at: at(0),
        last_part_at: at(0),
        due_at: Some(at(600)),
        reroute: None,
        version: 0,
        content: None,
        told: Vec::new(),
        parts: Vec::new(),
    }
}

pub(in crate::store) fn content(place: &str) -> NoticeContent {
    NoticeContent {
        kind: NoticeKind::Discharge,
        urgency: Urgency::U1,
        cancelled: false,
        speaker: Speaker {
            facility: "架空総合病院".to_owned(),
            desk: "医療連携室".to_owned(),
            phone: "03-0000-0000".to_owned(),
            hours: "平日9–17時".to_owned(),
        },
        patient: PatientLine {
            family_kana: "カクウ".to_owned(),
            age: Some(85),
            sex: "女性".to_owned(),
        },
        occurred: "2026-01-31T11:00".to_owned(),
        planned: None,
        place: Some(place.to_owned()),
        department: None,
        destination: None,
        medication: None,
        allergies: Allergies::Unknown,
        problems: Vec::new(),
        labs: Vec::new(),
        documents: Vec::new(),
        alarm: None,
    }
}

pub(in crate::store) fn post(headline: &str) -> Post {
    Post {
        client_ref: "1.1".to_owned(),
        kind: NoticeKind::Discharge,
        change: Change::First,
        headline: headline.to_owned(),
        text: "退院されました".to_owned(),
        urgency: Urgency::U1,
        occurred_at: "2026-01-31T11:00:00+09:00".to_owned(),
        author: "架空総合病院".to_owned(),
        author_facility: HOSPITAL.to_owned(),
        source_note: "自動転送".to_owned(),
        attachments: Vec::new(),
        sheet: None,
    }
}

pub(in crate::store) fn payload() -> Payload {
    Payload {
        body: "{\"text\":\"退院されました\"}".to_owned(),
        attachments: Vec::new(),
    }
}

pub(in crate::store) fn planned(
    notice: i64,
    version: u32,
    channel: &Channel,
) -> (PlannedDelivery, Framed) {
    let disclosure = Disclosure(BTreeMap::from([(ItemClass::Discharge, Form::Full)]));
    let id = DeliveryId::derive(channel.id, NoticeId(notice), version, &disclosure.key());
    let delivery = PlannedDelivery {
        id: id.clone(),
        notice: NoticeId(notice),
        version,
        channel: channel.clone(),
        change: Change::First,
        disclosure,
        late: false,
        post: post("【退院】1/31(土) 架空総合病院 → 自宅"),
        state: DeliveryState::Pending,
        code: None,
        replaces: None,
        released_by: None,
    };
    (
        delivery,
        Framed {
            id,
            payload: Ok(payload()),
        },
    )
}

pub(in crate::store) fn processed(
    message: i64,
    record: Option<i64>,
) -> (MessageId, MessageOutcome) {
    ended(message, record, MessageState::Processed, None)
}

pub(in crate::store) fn ended(
    message: i64,
    record: Option<i64>,
    state: MessageState,
    code: Option<Code>,
) -> (MessageId, MessageOutcome) {
    let outcome = MessageOutcome {
        state,
        code,
        record: record.map(RecordId),
        mapper: "hl7v2/1-test".to_owned(),
        findings: Vec::new(),
        unread: vec!["ZXX[1]".to_owned()],
        at: at(1),
    };
    (MessageId(message), outcome)
}

pub(in crate::store) fn world() -> World {
    let setup = Setup {
        facilities: BTreeMap::new(),
        sinks: BTreeMap::new(),
        live_from: BTreeMap::new(),
        settle: Settle::default(),
        staging: false,
        relevance: Relevance::built_in().unwrap(),
        beds: Default::default(),
    };
    World::empty(at(0), Arc::new(setup))
}

/// The keys of a draft about one patient.
pub(in crate::store) fn keys(number: &str, local_id: &str, facts: Facts) -> Keys {
    let subject = Subject {
        facility: facility(number),
        local_id: LocalId::new(local_id),
        facts,
        authority: Authority::Primary,
    };
    let mut keys = Keys::default();
    keys.add(&Draft {
        subject: Some(subject),
        ..Draft::default()
    });
    keys
}

pub(in crate::store) fn consent_row(local_id: &str) -> ConsentRow {
    ConsentRow {
        facility: HOSPITAL.to_owned(),
        local_id: local_id.to_owned(),
        kana: "ｶｸｳ ﾊﾅｺ".to_owned(),
        birth_date: "1940-04-01".to_owned(),
        form_id: "F1".to_owned(),
        form_version: "2".to_owned(),
        signed_on: "2026-01-01".to_owned(),
        signer: "本人".to_owned(),
        recipients: "sink:mcs|class:visit-nurse-station".to_owned(),
        items: "*".to_owned(),
        purpose: "在宅療養".to_owned(),
        valid_from: "2026-01-01".to_owned(),
        ..ConsentRow::default()
    }
}

pub(in crate::store) fn channel_row(local_id: &str, peer_ref: &str) -> ChannelRow {
    ChannelRow {
        facility: HOSPITAL.to_owned(),
        local_id: local_id.to_owned(),
        sink: "mcs".to_owned(),
        peer_ref: peer_ref.to_owned(),
        kind: "professional".to_owned(),
        host_facility: CLINIC.to_owned(),
        kana: "カクウ ハナコ".to_owned(),
        birth_date: "1940-04-01".to_owned(),
        sex: "female".to_owned(),
        professions: "doctor@1310000002|helper".to_owned(),
        status: "confirmed".to_owned(),
        confirmed_by: "連携室".to_owned(),
    }
}

/// Accepts `count` messages; their positions are `first..`.
pub(in crate::store) async fn accepted(ledger: &impl Store, control: &str, count: usize) {
    let group = (0..count)
        .map(|number| {
            message(
                &format!("{control}{number}"),
                &format!("MSH|{control}{number}"),
            )
        })
        .collect();
    ledger.accept(group).await.unwrap();
}

/// Person 1 with record 1 (0001), an Encounter, a notice about it, a consent and a confirmed channel.
/// Message 1 is processed.
pub(in crate::store) async fn one_stay(ledger: &(impl Store + Operator)) -> Channel {
    accepted(ledger, "A", 1).await;
    let mut effects = stay(1, "0001", 1);
    effects.outcomes = vec![processed(1, Some(1))];
    ledger.apply(effects, Vec::new()).await.unwrap();
    ledger
        .import_consents(&[consent_row("0001")], &by(2), Import::default())
        .await
        .unwrap();
    ledger
        .import_channels(&[channel_row("0001", "group-1")], &by(2), Import::default())
        .await
        .unwrap();
    channel_of(ledger, 1).await
}

/// The person, record, Encounter and notice `number`, written by message `message`.
pub(in crate::store) fn stay(number: i64, local_id: &str, message: i64) -> Effects {
    let key = format!("stay-{number}");
    let mut effects = Effects {
        persons: vec![PersonId(number)],
        ..Effects::default()
    };
    effects.records.insert(
        RecordId(number),
        record(
            number,
            local_id,
            Some(number),
            facts("カクウハナコ", "1940-04-01"),
        ),
    );
    effects.versions = vec![version(
        number,
        number,
        ResourceType::Encounter,
        &key,
        1,
        message,
    )];
    effects.sightings = vec![sighting(message, number, 1)];
    effects
        .notices
        .insert(NoticeId(number), notice(number, number, number, &key));
    effects
}

/// The channel a notice goes to, as settling loads it.
pub(in crate::store) async fn channel_of(ledger: &impl Store, notice: i64) -> Channel {
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(notice)], &mut world)
        .await
        .unwrap();
    let person = world.notices[&NoticeId(notice)].person;
    world.channels[&person][0].clone()
}

/// Settles a notice: its next version, told in `channel`.
pub(in crate::store) async fn settled(
    ledger: &impl Store,
    notice: i64,
    channel: &Channel,
    seconds: i64,
) -> DeliveryId {
    let (mut effects, framed) = settling(ledger, notice, channel, seconds).await;
    let id = effects.deliveries[0].id.clone();
    effects.decisions.push(permitted(
        notice,
        effects.deliveries[0].version,
        channel,
        seconds,
    ));
    ledger.apply(effects, vec![framed]).await.unwrap();
    id
}

pub(in crate::store) fn permitted(
    notice: i64,
    version: u32,
    channel: &Channel,
    seconds: i64,
) -> crate::world::Decision {
    crate::world::Decision {
        notice: NoticeId(notice),
        version,
        channel: Some(channel.id),
        verdict: crate::world::Verdict::Permit,
        code: None,
        reason: "consent F1".to_owned(),
        at: at(seconds),
    }
}

/// The effects of settling, without their decision.
pub(in crate::store) async fn settling(
    ledger: &impl Store,
    notice: i64,
    channel: &Channel,
    seconds: i64,
) -> (Effects, Framed) {
    let mut world = world();
    ledger
        .load_notices(&[NoticeId(notice)], &mut world)
        .await
        .unwrap();
    let mut now = world.notices[&NoticeId(notice)].clone();
    now.version += 1;
    now.due_at = None;
    now.told = vec![now.focus.clone()];
    let (delivery, framed) = planned(notice, now.version, channel);
    let minted = Minted {
        notice: now.id,
        version: now.version,
        content: Arc::new(content(&format!("{}病棟", now.version))),
        at: at(seconds),
    };
    let mut effects = Effects {
        minted: vec![minted],
        deliveries: vec![delivery],
        ..Effects::default()
    };
    effects.notices.insert(now.id, now);
    (effects, framed)
}
