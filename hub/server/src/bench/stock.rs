//! A ledger with a past: finished messages, written through the store's own verbs in large groups, so
//! that `bench walk` can be asked what five million of them change.
//!
//! They are not the whole of what a hub would have kept, and [`what_they_are`] says so.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Authority, FacilityId, Facts, LocalId, Message, MessageId, Meta, NewMessage, PersonId, Receipt,
    RecordId, ResourceType, SourceName, Strength,
};
use renkei_mappings::Options;
use renkei_sim::hospital::Person;
use sha2::{Digest as _, Sha256};

use super::Failure;
use crate::config::Setup;
use crate::load::district::HOSPITAL;
use crate::load::messages::{self, Kind};
use crate::store::{Prepared, Store, StoredBody, pack};
use crate::world::{
    Effects, Keys, MessageOutcome, MessageState, NewVersion, Record, Sighting, Stored, World,
};

/// Messages written at a time.
const GROUP: u64 = 4096;
/// Messages accepted in one transaction, as the inbox does it.
const ACCEPTED: usize = 512;
/// Patients the past is about, at most; others than those of the bench.
const PATIENTS: u64 = 100_000;
const FIRST_PERSON: u64 = 50_000_001;
/// What MSH-10 is before a number is put in, and the digits of that number.
const CONTROL_ID: &str = "PAST0000000000000000";
const DIGITS: usize = 16;

/// What the rows are, for the reader of the figures.
pub(super) fn what_they_are(count: u64) -> String {
    format!(
        "{count} finished messages stored before: ORU with 8 results about {} other patients, each with its bytes, its outcome, \
         one Observation (not nine resources) and its sighting; no notices and no deliveries",
        patients(count)
    )
}

fn patients(count: u64) -> u64 {
    PATIENTS.min(count.div_ceil(10)).max(1)
}

/// Writes the past.
///
/// # Errors
/// [`Failure`] when the template cannot be made or the ledger refuses.
pub(super) async fn fill(
    store: &impl Store,
    setup: &Arc<Setup>,
    count: u64,
) -> Result<(), Failure> {
    let template = Arc::new(Template::build(setup.clone())?);
    let patients = patients(count);
    people(store, &template, patients).await?;
    let mut next = spawn(&template, 0, count, patients);
    let mut from = 0;
    while from < count {
        let group = next.await.map_err(std::io::Error::other)?;
        from += group.len() as u64;
        next = spawn(&template, from, count, patients);
        write(store, &template, group, from, patients).await?;
    }
    Ok(())
}

/// Makes the next group on a thread of its own while the last one is written.
fn spawn(
    template: &Arc<Template>,
    from: u64,
    count: u64,
    patients: u64,
) -> tokio::task::JoinHandle<Vec<Prepared>> {
    let template = template.clone();
    tokio::task::spawn_blocking(move || {
        (from..count.min(from + GROUP))
            .map(|number| template.message(number, number % patients))
            .collect()
    })
}

/// What every message of the past is made of.
struct Template {
    setup: Arc<Setup>,
    source: SourceName,
    facility: FacilityId,
    bytes: Vec<u8>,
    /// Where in it the number of the control id begins.
    number_at: usize,
    /// The body of an Observation, as the mapping makes it.
    observation: Arc<str>,
    hash: [u8; 32],
    at: Timestamp,
}

impl Template {
    fn build(setup: Arc<Setup>) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::Message(error.to_string());
        let facility = FacilityId::new(HOSPITAL).map_err(|error| unusable(&error))?;
        let source = SourceName::new("past");
        let bytes = messages::message(Kind::Oru8, FIRST_PERSON, CONTROL_ID)?;
        let number_at = memchr::memmem::find(&bytes, CONTROL_ID.as_bytes())
            .map(|at| at + CONTROL_ID.len() - DIGITS)
            .ok_or_else(|| unusable(&"no control id"))?;
        let mapper = renkei_mappings::build("hl7v2", Options::new(facility.clone()))
            .map_err(|error| unusable(&error))?;
        let draft = mapper
            .map(&Message {
                id: MessageId(1),
                source: source.clone(),
                facility: facility.clone(),
                body: Bytes::from(bytes.clone()),
                meta: Meta::default(),
                received_at: Timestamp::now(),
            })
            .map_err(|error| unusable(&error))?;
        let observation = draft
            .resources
            .iter()
            .find(|resource| resource.key.kind == ResourceType::Observation)
            .ok_or_else(|| unusable(&"no Observation"))?;
        let observation: Arc<str> = observation.body.expose().as_str().into();
        Ok(Self {
            setup,
            source,
            facility,
            bytes,
            number_at,
            hash: Sha256::digest(observation.as_bytes()).into(),
            observation,
            at: Timestamp::now()
                .saturating_sub(SignedDuration::from_hours(24 * 400))
                .map_err(|error| unusable(&error))?,
        })
    }

    fn message(&self, number: u64, patient: u64) -> Prepared {
        let mut body = self.bytes.clone();
        let digits = format!("{number:0DIGITS$}");
        body[self.number_at..self.number_at + DIGITS].copy_from_slice(digits.as_bytes());
        let local = local_id(patient);
        let message = NewMessage {
            source: self.source.clone(),
            facility: self.facility.clone(),
            dedup_key: format!("PAST{digits}"),
            subject: Some(LocalId::new(&local)),
            ordering_key: local,
            barrier: false,
            body: Bytes::from(body),
            meta: Meta::default(),
            refused: None,
        };
        Prepared {
            sha256: message.sha256(),
            lane: i64::try_from(patient).unwrap_or(0),
            body: StoredBody::Inline(pack(&message.body)),
            message,
            received_at: self.at,
        }
    }
}

fn local_id(patient: u64) -> String {
    format!("{:010}", FIRST_PERSON + patient)
}

fn empty(template: &Template) -> World {
    World::empty(template.at, template.setup.clone())
}

/// The patients, each a person of its own. Kana are stretched, because the invented people share 96 names.
async fn people(store: &impl Store, template: &Template, patients: u64) -> Result<(), Failure> {
    const SYLLABLES: [&str; 10] = ["ア", "キ", "ス", "テ", "ノ", "ハ", "ミ", "ユ", "レ", "ワ"];
    let mut numbers = (0..patients).peekable();
    while numbers.peek().is_some() {
        let mut world = empty(template);
        store.load(&Keys::default(), &mut world).await?;
        let ids = world.ids;
        for (place, number) in (0..).zip(numbers.by_ref().take(2048)) {
            let who = Person::synthetic(FIRST_PERSON + number);
            let stretched: String = format!("{number:06}")
                .bytes()
                .map(|digit| SYLLABLES[usize::from(digit - b'0')])
                .collect();
            let (person, id) = (PersonId(ids.person + place), RecordId(ids.record + place));
            world.effects.persons.push(person);
            world.effects.records.insert(
                id,
                Record {
                    id,
                    facility: template.facility.clone(),
                    local_id: LocalId::new(&who.local_id),
                    person: Some(person),
                    facts: Facts {
                        kana: format!("{}{stretched}", who.kana_family),
                        family_kana: who.kana_family.clone(),
                        birth_date: who.birth.to_string(),
                        sex: who.sex.word().to_owned(),
                        insurance: vec![format!(
                            "late-elderly:39999999:{:08}",
                            FIRST_PERSON + number
                        )],
                        ..Facts::default()
                    },
                    authority: Authority::Primary,
                    rejected: false,
                },
            );
        }
        store.apply(world.effects, Vec::new()).await?;
    }
    Ok(())
}

/// Accepts a group and ends it; `until` is the number after its last.
async fn write(
    store: &impl Store,
    template: &Template,
    group: Vec<Prepared>,
    until: u64,
    patients: u64,
) -> Result<(), Failure> {
    let first = until - group.len() as u64;
    let mut accepted: Vec<MessageId> = Vec::with_capacity(group.len());
    let mut group = group.into_iter().peekable();
    while group.peek().is_some() {
        let part: Vec<Prepared> = group.by_ref().take(ACCEPTED).collect();
        for receipt in store.accept(part).await? {
            match receipt {
                Receipt::Stored(id) => accepted.push(id),
                Receipt::Duplicate(_) | Receipt::NotEnrolled => {
                    return Err(Failure::Message("the ledger is not empty".to_owned()));
                }
            }
        }
    }
    let mut world = empty(template);
    store.load(&Keys::default(), &mut world).await?;
    // The patients were the first to be written, in order.
    let record = |number: u64| RecordId(i64::try_from(number % patients).unwrap_or(0) + 1);
    let resource = world.ids.resource;
    for ((message, number), row) in accepted.into_iter().zip(first..).zip(resource..) {
        end(
            &mut world.effects,
            template,
            message,
            number,
            row,
            record(number),
        );
    }
    Ok(store.apply(world.effects, Vec::new()).await?)
}

fn end(
    effects: &mut Effects,
    template: &Template,
    message: MessageId,
    number: u64,
    row: i64,
    record: RecordId,
) {
    let key = format!("past {number}");
    let logical_id = data_encoding::BASE32_NOPAD
        .encode(&Sha256::digest(key.as_bytes())[..16])
        .to_ascii_lowercase();
    effects.versions.push(NewVersion {
        message: Some(message),
        stored: Stored {
            row,
            record: Some(record),
            kind: ResourceType::Observation,
            logical_id,
            scope: None,
            version: 1,
            body: template.observation.clone(),
            hash: template.hash,
            source_time: template.at,
            storage_order: 0,
            authority: Authority::Primary,
            strength: Strength::Final,
            withdrawn: false,
        },
        key: renkei_core::Sensitive::new(key),
        recorded_at: template.at,
    });
    effects.sightings.push(Sighting {
        message,
        resource: row,
        version: 1,
        late: false,
    });
    effects.outcomes.push((
        message,
        MessageOutcome {
            state: MessageState::Processed,
            code: None,
            record: Some(record),
            mapper: "past".to_owned(),
            findings: Vec::new(),
            unread: Vec::new(),
            at: template.at,
        },
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Checked;
    use crate::load::district::{District, Wiring};
    use crate::store::operator::Operator as _;
    use crate::store::sql::{Access, Database};

    #[tokio::test]
    async fn the_past_is_finished_and_as_large_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let district = District {
            first_person: 1,
            patients: 1,
        };
        let wiring = Wiring::on_ports(20_000).unwrap();
        district.write_hub(folder.path(), &wiring).unwrap();
        let checked = Checked::read(&folder.path().join("renkei.toml")).unwrap();
        let store = Database::open(&checked.place, Access::Hub).await.unwrap();
        let setup = Arc::new(checked.setup);
        fill(&store, &setup, 5_000).await.unwrap();
        let counts = store.ledger_counts().await.unwrap();
        assert_eq!(counts.messages.get("processed"), Some(&5_000));
        assert_eq!(counts.messages.len(), 1, "{:?}", counts.messages);
        assert_eq!((counts.records, counts.persons), (500, 500));
        assert_eq!(counts.resources.get("Observation"), Some(&5_000));
        let trace = store.trace("PAST0000000000004999").await.unwrap();
        assert_eq!(trace.messages.len(), 1);
        assert!(
            fill(&store, &setup, 10).await.is_err(),
            "only into an empty ledger"
        );
    }
}
