//! What a hospital says of a few patients, in order, and what must be known and told in the end.

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan as _};
use renkei_core::{Meta, NewMessage, PeerReceipt, PeerRef, SourceName};
use renkei_sim::hospital::{Event, Person, Site, Stay, What, build};

use super::Dice;
use crate::rehearsal::{HOSPITAL, day, facility};
use crate::store::operator::{By, ChannelRow, ConsentRow, Import, Operator as _};
use crate::store::sql::Database;
use crate::store::{Prepared, StoredBody, pack};

const PATIENTS: u64 = 3;
/// HL7 table 0112 and what a reader sees of it.
const PLACES: [(&str, &str); 3] = [("01", "自宅"), ("02", "他院"), ("04", "介護施設")];

/// What is true of a patient at the end of what was said.
#[derive(Debug, Default, Clone)]
pub(super) struct Truth {
    /// The ward of the admission, or that it was taken back.
    pub(super) admitted: Option<Option<String>>,
    /// Where the patient went, or that the discharge was taken back.
    pub(super) discharged: Option<Option<&'static str>>,
}

struct Patient {
    person: Person,
    /// What is still to be said, the next one last.
    left: Vec<Event>,
    said: usize,
    truth: Truth,
}

pub(super) struct Story {
    patients: Vec<Patient>,
    receipts: usize,
    accepted: usize,
}

impl Story {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let patients = (1..=PATIENTS).map(|number| patient(number, dice)).collect();
        Self {
            patients,
            receipts: 0,
            accepted: 0,
        }
    }

    /// Consents and channels of everybody.
    pub(super) async fn admit(&self, office: &Database) {
        let by = By {
            actor: "kanri".to_owned(),
            reason: "simulation".to_owned(),
            at: crate::rehearsal::at(day(0)),
        };
        let (mut consents, mut channels) = (Vec::new(), Vec::new());
        for Patient { person, .. } in &self.patients {
            consents.push(ConsentRow {
                facility: HOSPITAL.to_owned(),
                local_id: person.local_id.clone(),
                kana: person.kana(),
                birth_date: person.birth.to_string(),
                form_id: "F-1".to_owned(),
                form_version: "1".to_owned(),
                signed_on: "2026-01-01".to_owned(),
                signer: "本人".to_owned(),
                recipients: "sink:mcs".to_owned(),
                items: "*".to_owned(),
                purpose: "在宅療養".to_owned(),
                valid_from: "2020-01-01".to_owned(),
                ..ConsentRow::default()
            });
            channels.push(ChannelRow {
                facility: HOSPITAL.to_owned(),
                local_id: person.local_id.clone(),
                sink: "mcs".to_owned(),
                peer_ref: group(person).to_string(),
                kind: "professional".to_owned(),
                host_facility: HOSPITAL.to_owned(),
                kana: person.kana(),
                birth_date: person.birth.to_string(),
                sex: "female".to_owned(),
                professions: "doctor|nurse".to_owned(),
                status: "confirmed".to_owned(),
                confirmed_by: "連携室".to_owned(),
            });
        }
        let new = Import::default();
        office.import_consents(&consents, &by, new).await.unwrap();
        office.import_channels(&channels, &by, new).await.unwrap();
    }

    /// The next word about somebody; `None` when everything is said.
    pub(super) fn next(&mut self, dice: &mut Dice, now: Timestamp) -> Option<Prepared> {
        let open: Vec<usize> = (0..self.patients.len())
            .filter(|place| !self.patients[*place].left.is_empty())
            .collect();
        if open.is_empty() {
            return None;
        }
        let place = open[dice.of(open.len())];
        let patient = &mut self.patients[place];
        let event = patient.left.pop()?;
        patient.said += 1;
        let control = format!("p{place}-{}", patient.said);
        let built = build(&Site::demo(), &event, &control).unwrap();
        let new = NewMessage {
            source: SourceName::new("hospital"),
            facility: facility(),
            dedup_key: control,
            subject: None,
            ordering_key: patient.person.local_id.clone(),
            barrier: dice.percent(12),
            body: built.bytes.into(),
            meta: Meta::default(),
            refused: None,
        };
        Some(prepared(new, i64::try_from(place).unwrap(), now))
    }

    /// What the peer has to say, as a message.
    pub(super) fn receipts(&mut self, receipts: &[PeerReceipt], now: Timestamp) -> Prepared {
        self.receipts += 1;
        let new = NewMessage {
            source: SourceName::new("mcs"),
            facility: facility(),
            dedup_key: format!("r{}", self.receipts),
            subject: None,
            ordering_key: "r".to_owned(),
            barrier: false,
            body: serde_json::to_vec(receipts).unwrap().into(),
            meta: Meta::default(),
            refused: None,
        };
        prepared(new, 0, now)
    }

    pub(super) fn accepted(&mut self, _control: &str) {
        self.accepted += 1;
    }

    /// How many messages the hubs have acknowledged.
    pub(super) fn count(&self) -> usize {
        self.accepted
    }

    pub(super) fn is_over(&self) -> bool {
        self.patients.iter().all(|patient| patient.left.is_empty())
    }

    /// The group of one of the patients.
    pub(super) fn channel(&self, dice: &mut Dice) -> PeerRef {
        group(&self.patients[dice.of(self.patients.len())].person)
    }

    /// Each patient's group and what must be known there.
    pub(super) fn truths(&self) -> impl Iterator<Item = (PeerRef, &Truth)> {
        let patients = self.patients.iter();
        patients.map(|patient| (group(&patient.person), &patient.truth))
    }
}

fn group(person: &Person) -> PeerRef {
    PeerRef::new(format!("g-{}", person.local_id))
}

fn prepared(message: NewMessage, lane: i64, now: Timestamp) -> Prepared {
    Prepared {
        sha256: message.sha256(),
        lane,
        body: StoredBody::Inline(pack(&message.body)),
        message,
        received_at: now,
    }
}

fn patient(number: u64, dice: &mut Dice) -> Patient {
    let person = Person::synthetic(number);
    let mut truth = Truth::default();
    let began = day(0);
    let minute = |minutes: i64| -> DateTime { began.checked_add(minutes.minutes()).unwrap() };
    let mut stay = Stay::demo(began);
    let mut events = Vec::new();
    let mut ward = 0;
    let mut admit = |stay: &mut Stay, truth: &mut Truth, at: DateTime| {
        ward += 1;
        stay.place[0] = format!("{ward}N");
        truth.admitted = Some(Some(stay.place[0].clone()));
        Event::new(at, &person, What::Admit).stay(stay).order(1)
    };
    if dice.percent(50) {
        events.push(Event::new(minute(0), &person, What::Register));
    }
    events.push(admit(&mut stay, &mut truth, minute(1)));
    for turn in 0..dice.roll(3) {
        let at = minute(2 + i64::try_from(turn).unwrap());
        events.push(admit(&mut stay, &mut truth, at));
    }
    if dice.percent(20) {
        truth.admitted = Some(None);
        events.push(
            Event::new(minute(10), &person, What::CancelAdmit)
                .stay(&stay)
                .order(1),
        );
    } else if dice.percent(80) {
        let first = dice.of(PLACES.len());
        for turn in 0..=usize::from(dice.percent(40)) {
            let (code, label) = PLACES[(first + turn) % PLACES.len()];
            stay.discharged = Some((minute(20), code.to_owned()));
            truth.discharged = Some(Some(label));
            let at = minute(20 + i64::try_from(turn).unwrap());
            events.push(
                Event::new(at, &person, What::Discharge)
                    .stay(&stay)
                    .order(2),
            );
        }
        if dice.percent(25) {
            truth.discharged = Some(None);
            events.push(
                Event::new(minute(30), &person, What::CancelDischarge)
                    .stay(&stay)
                    .order(2),
            );
        }
    }
    events.reverse();
    Patient {
        person,
        left: events,
        said: 0,
        truth,
    }
}
