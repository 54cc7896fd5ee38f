//! The pure stops on real messages, without a database: messages are built as a hospital writes them,
//! mapped, processed and settled over one world that is kept. For unit tests only.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{DateTime, date};
use jiff::{SignedDuration, Timestamp};
use renkei_core::notice::Speaker;
use renkei_core::{
    Channel, ChannelId, ChannelKind, ChannelStatus, FacilityId, Flag, Member, Message, MessageId,
    Meta, NoticeId, PatientHeader, PeerRef, PersonId, Profession, RecordId, SinkName, SourceName,
    clock,
};
use renkei_mappings::Options;
use renkei_sim::hospital::{Event, Person, Site, Stay, What, build};

use crate::config::{FacilitySetup, Settle, Setup, SinkMode, SinkSetup};
use crate::pipeline::{self, Mapped, Outcome};
use crate::route::relevance::Relevance;
use crate::world::{Consent, DeliveryState, EarlierDelivery, Effects, PlannedDelivery, World};

/// The hospital of the rehearsal.
pub(crate) const HOSPITAL: &str = "1311234567";

/// A world that is kept from message to message.
pub(crate) struct Rehearsal {
    pub(crate) world: World,
    next: i64,
}

impl Rehearsal {
    /// A world with one hospital and one live sink.
    pub(crate) fn new() -> Self {
        let speaker = Speaker {
            facility: "架空総合病院".into(),
            desk: "医療連携室".into(),
            phone: "03-0000-0000".into(),
            hours: "平日9–17時".into(),
        };
        let hospital = FacilitySetup {
            speaker,
            class: "hospital".into(),
            district: "suginami".into(),
            test_patients: vec![],
        };
        let sink = SinkSetup {
            mode: SinkMode::Live,
            agreement_ref: Some("test".into()),
            reply_reaches: false,
        };
        let setup = Setup {
            facilities: BTreeMap::from([(facility(), hospital)]),
            sinks: BTreeMap::from([(SinkName::new("mcs"), sink)]),
            live_from: BTreeMap::new(),
            settle: Settle::default(),
            staging: false,
            relevance: Relevance::built_in().unwrap(),
            beds: Default::default(),
        };
        let mut world = World::empty(at(day(0)), Arc::new(setup));
        world.now = at(day(0));
        Self { world, next: 1 }
    }

    /// Sends an event as a storage file of its key's current state; the hub's clock reads its time.
    pub(crate) fn send(&mut self, event: &Event) -> Outcome {
        self.send_as(event, Some(Flag::Current))
    }

    /// Sends an event with a condition flag, or over MLLP (`None`).
    pub(crate) fn send_as(&mut self, event: &Event, flag: Option<Flag>) -> Outcome {
        let built = build(&Site::demo(), event, &format!("T{}", self.next)).unwrap();
        self.world.now = self.world.now.max(at(event.at));
        let meta = match (flag, built.place) {
            (Some(flag), renkei_sim::hospital::Place::Standardized(kind)) => {
                let care = built
                    .care_date
                    .map_or("-".to_owned(), |day| day.strftime("%Y%m%d").to_string());
                let mark = match flag {
                    Flag::Deleted => 0,
                    Flag::Current => 1,
                    Flag::Superseded => 2,
                };
                let name = format!(
                    "{}_{care}_{kind}_{}_{}000_{}_{mark}",
                    event.person.local_id,
                    event.order_number(),
                    event.at.strftime("%Y%m%d%H%M%S"),
                    built.department
                );
                Meta {
                    path: Some(name),
                    flag: Some(flag),
                    data_type: Some(kind.to_owned()),
                    ..Meta::default()
                }
            }
            _ => Meta::default(),
        };
        let message = Message {
            id: MessageId(self.next),
            source: SourceName::new("hospital"),
            facility: facility(),
            body: built.bytes.into(),
            meta,
            received_at: self.world.now,
        };
        self.next += 1;
        let mapping = if flag.is_some() { "ssmix2" } else { "hl7v2" };
        let draft = renkei_mappings::build(mapping, Options::new(facility()))
            .unwrap()
            .map(&message);
        let mapped = Mapped {
            message,
            draft,
            mapper: mapping.into(),
            replay: false,
            control_id_reused: false,
        };
        pipeline::process(&mut self.world, &mapped)
    }

    /// Lets `minutes` pass and settles what has fallen due. Returns what was planned.
    pub(crate) fn after(&mut self, minutes: i64) -> Vec<PlannedDelivery> {
        self.world.now += SignedDuration::from_mins(minutes);
        let mut due: Vec<NoticeId> = self
            .world
            .notices
            .values()
            .filter(|notice| notice.due_at.is_some_and(|due| due <= self.world.now))
            .map(|notice| notice.id)
            .collect();
        due.sort();
        self.world.charts.clear();
        for stored in self.world.resources.values() {
            if let Some(record) = stored.record {
                self.world
                    .charts
                    .entry(record)
                    .or_default()
                    .push(stored.logical_id.clone());
            }
        }
        self.world.effects = Effects::default();
        for notice in due {
            pipeline::settle(&mut self.world, notice);
        }
        self.world.effects.deliveries.clone()
    }

    /// Notes that planned deliveries reached their readers.
    pub(crate) fn delivered(&mut self, planned: &[PlannedDelivery]) {
        for delivery in planned {
            let content = self.world.notices[&delivery.notice]
                .content
                .clone()
                .unwrap();
            self.world
                .deliveries
                .entry(delivery.notice)
                .or_default()
                .push(EarlierDelivery {
                    id: delivery.id.clone(),
                    notice: delivery.notice,
                    version: delivery.version,
                    channel: delivery.channel.id,
                    change: delivery.change,
                    state: DeliveryState::Delivered,
                    code: None,
                    attempts: 1,
                    peer_ref: Some(PeerRef::new("p")),
                    replaces: delivery.replaces.clone(),
                    released_by: delivery.released_by.clone(),
                    content,
                });
        }
    }

    /// Links a group of these professions to the first person and lets the first record's consent cover
    /// everything that is not restricted.
    pub(crate) fn team(&mut self, professions: &[Profession]) {
        let id = ChannelId(self.world.channels.values().map(Vec::len).sum::<usize>() as i64 + 1);
        let member = |profession: &Profession| Member {
            user_ref: profession.code().into(),
            facility: Some("1312222222".into()),
            professions: vec![*profession],
        };
        self.world
            .channels
            .entry(PersonId(1))
            .or_default()
            .push(Channel {
                id,
                sink: SinkName::new("mcs"),
                person: PersonId(1),
                peer_ref: PeerRef::new(format!("g{id}")),
                kind: ChannelKind::Professional,
                status: ChannelStatus::Confirmed,
                host_facility: None,
                header: PatientHeader::default(),
                members: professions.iter().map(member).collect(),
            });
        let facts = self.world.records[&RecordId(1)].facts.clone();
        self.world.consents.insert(
            RecordId(1),
            vec![Consent {
                form_id: "F-1".into(),
                kana: facts.kana,
                birth_date: facts.birth_date,
                disclosers: vec![],
                recipients: vec!["sink:mcs".into()],
                items: vec!["*".into()],
                valid_from: "2020-01-01".into(),
                valid_until: String::new(),
                withdrawn_on: String::new(),
            }],
        );
    }
}

/// The hospital's number.
pub(crate) fn facility() -> FacilityId {
    FacilityId::new(HOSPITAL).unwrap()
}

/// Ten in the morning, so many days after the story begins.
pub(crate) fn day(days: i32) -> DateTime {
    date(2026, 1, 10)
        .at(10, 0, 0, 0)
        .checked_add(jiff::ToSpan::days(days))
        .unwrap()
}

/// A wall-clock time in Japan as an instant.
pub(crate) fn at(local: DateTime) -> Timestamp {
    local.to_zoned(clock::japan()).unwrap().timestamp()
}

/// The person the story is about.
pub(crate) fn person() -> Person {
    Person::synthetic(1)
}

/// An admission on day 0.
pub(crate) fn admission() -> Event {
    Event::new(day(0), &person(), What::Admit)
        .stay(&Stay::demo(day(0)))
        .order(1)
}

/// A discharge on day `days` with a disposition of HL7 table 0112; like most hospitals' it does not
/// repeat the admission time.
pub(crate) fn discharge(days: i32, disposition: &str) -> Event {
    let mut stay = Stay::demo(day(0));
    stay.repeats_admission = false;
    stay.discharged = Some((day(days), disposition.into()));
    Event::new(day(days), &person(), What::Discharge)
        .stay(&stay)
        .order(2)
}
