//! `bench search`: the latest results of a code for a patient among 100,000 Observations, against the same
//! statement by hand.
//!
//! Both sides say the same text over the same connections and read the same columns of the same rows;
//! what differs is the ledger's verb around it. What the index costs is measured as well: every few
//! batches the same bytes are recorded as a type that is not indexed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Authority, FacilityId, Facts, LocalId, Message, MessageId, Meta, PersonId, RecordId,
    ResourceType, Sensitive, SourceName, Strength, limits,
};
use renkei_fhir::view::CodedView;
use renkei_mappings::Options;
use sha2::{Digest as _, Sha256};

use super::{Failure, Report, float, median, process_cpu, quantile};
use crate::config::{Settle, Setup};
use crate::load::district::HOSPITAL;
use crate::load::messages::{self, Kind};
use crate::route::relevance::Relevance;
use crate::store::operator::Operator as _;
use crate::store::search::{LatestOf, Search as _, Token, Whose};
use crate::store::sql::{Access, ByHand, Database};
use crate::store::{Place, Server, Store as _};
use crate::world::{Effects, Ids, Keys, NewVersion, Record, Stored, World};

/// How much is searched.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Patients.
    pub patients: usize,
    /// Those of them who have half of all results.
    pub heavy: usize,
    /// Results.
    pub observations: usize,
}

/// What the design asks about.
pub const DISTRICT: Scale = Scale {
    patients: 10_000,
    heavy: 100,
    observations: 100_000,
};
/// A message brings results of eight codes, one of each.
const PER_MESSAGE: usize = 8;
/// After so many batches one is recorded without the index.
const WITHOUT_EVERY: usize = 4;
/// Results asked for.
const COUNT: u32 = 50;
/// Searches of one side in one round, and rounds at least.
const ROUND: usize = 400;
const ROUNDS: usize = 5;

/// Measures for about `seconds`, after the ledger was filled; `database` names an empty one on a server.
///
/// # Errors
/// [`Failure`] when the ledger is not empty or refuses, or when both sides do not find the same.
pub async fn run(
    seconds: f64,
    folder: &std::path::Path,
    database: Option<&str>,
    scale: Scale,
) -> Result<Report, Failure> {
    let server = database
        .map(|url| Server::new(url, None))
        .transpose()
        .map_err(|problem| Failure::Message(problem.to_owned()))?;
    let place = Place {
        server,
        ..Place::from(folder)
    };
    let ledger = Database::open(place, Access::Command).await?;
    if ledger.ledger_counts().await?.records > 0 {
        return Err(Failure::Message("the ledger is not empty".to_owned()));
    }
    let mut report = Report {
        bench: "search",
        ratio: 0.0,
        ratio_is: "median time of a search by the ledger's verb over the same statement by hand, median of the rounds",
        target: "<= 1.5",
        conditions: vec![
            format!(
                "{} patients, {} Observations by the ledger's own way of recording; half of them belong to {} patients, who are asked for, {COUNT} results of a code at most",
                scale.patients, scale.observations, scale.heavy
            ),
            format!(
                "{}; both sides over the same connections, one search at a time, rounds of {ROUND} interleaved",
                if database.is_some() {
                    "PostgreSQL, analysed"
                } else {
                    "SQLite"
                }
            ),
        ],
        figures: Vec::new(),
    };
    let stock = Stock::build(scale)?;
    fill(&ledger, &stock, &mut report).await?;
    let by_hand = ledger.by_hand();
    by_hand.settle().await?;
    let (whole, index) = by_hand.bytes().await?;
    report.add("search.database", megabytes(whole), "MB");
    report.add("search.index", megabytes(index), "MB");
    compare(&ledger, &by_hand, &stock, seconds, &mut report).await?;
    Ok(report)
}

fn megabytes(bytes: u64) -> f64 {
    float(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6
}

/// What everything recorded is made of.
struct Stock {
    scale: Scale,
    setup: Arc<Setup>,
    facility: FacilityId,
    patient: String,
    /// Per code: the body before its time, and after it.
    results: Vec<(String, String)>,
    /// What each of them is found by.
    codes: Vec<Token>,
    at: Timestamp,
}

impl Stock {
    fn build(scale: Scale) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::Message(error.to_string());
        let facility = FacilityId::new(HOSPITAL).map_err(|error| unusable(&error))?;
        let mapper = renkei_mappings::build("hl7v2", Options::new(facility.clone()))
            .map_err(|error| unusable(&error))?;
        let draft = mapper
            .map(&Message {
                id: MessageId(1),
                source: SourceName::new("bench"),
                facility: facility.clone(),
                body: Bytes::from(messages::message(Kind::Oru8, 1, "SEARCH")?),
                meta: Meta::default(),
                received_at: Timestamp::now(),
            })
            .map_err(|error| unusable(&error))?;
        let bodies = |kind| {
            let of_kind = draft.resources.iter();
            of_kind.filter(move |resource| resource.key.kind == kind)
        };
        let (mut results, mut codes) = (Vec::new(), Vec::new());
        for resource in bodies(ResourceType::Observation) {
            let body = resource.body.expose();
            let view = CodedView::parse(body).map_err(|error| unusable(&error))?;
            let said = view.code.coding.first();
            let said = said.ok_or_else(|| unusable(&"a result without a code"))?;
            codes.push(Token {
                system: Some(said.system.as_str().to_owned()),
                code: said.code.as_str().to_owned(),
            });
            let parts = body.split_once(view.effective());
            let (before, after) = parts.ok_or_else(|| unusable(&"a result without a time"))?;
            results.push((before.to_owned(), after.to_owned()));
        }
        if results.len() != PER_MESSAGE {
            return Err(unusable(&"a message has another number of results"));
        }
        let patient = bodies(ResourceType::Patient).next();
        let patient = patient.ok_or_else(|| unusable(&"no Patient"))?;
        let setup = Setup {
            facilities: std::collections::BTreeMap::new(),
            sinks: std::collections::BTreeMap::new(),
            live_from: std::collections::BTreeMap::new(),
            settle: Settle::default(),
            staging: false,
            relevance: Relevance::built_in().map_err(|error| unusable(&error))?,
            beds: Default::default(),
        };
        Ok(Self {
            scale,
            setup: Arc::new(setup),
            facility,
            patient: patient.body.expose().clone(),
            results,
            codes,
            at: Timestamp::now(),
        })
    }

    fn version(
        &self,
        row: i64,
        record: i64,
        kind: ResourceType,
        key: String,
        body: String,
    ) -> NewVersion {
        let id = &Sha256::digest(key.as_bytes())[..16];
        NewVersion {
            message: None,
            stored: Stored {
                row,
                record: Some(RecordId(record)),
                kind,
                logical_id: data_encoding::BASE32_NOPAD.encode(id).to_ascii_lowercase(),
                scope: None,
                version: 1,
                hash: Sha256::digest(body.as_bytes()).into(),
                body: Arc::from(body),
                source_time: self.at,
                storage_order: 0,
                authority: Authority::Primary,
                strength: Strength::Final,
                withdrawn: false,
            },
            key: Sensitive::new(key),
            recorded_at: self.at,
        }
    }

    /// The eight results of a message, at a time of their own.
    fn message(&self, number: usize, row: i64, record: i64, kind: ResourceType) -> Vec<NewVersion> {
        // Results do not come in the order of their times.
        let minutes = (number.wrapping_mul(7_919) % 2_000_000) as u64;
        let minutes = SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(0));
        let at = self.at.saturating_sub(minutes).unwrap_or(self.at);
        let at = renkei_core::clock::in_japan(at).strftime("%Y-%m-%dT%H:%M:%S+09:00");
        let at = at.to_string();
        (row..)
            .zip(&self.results)
            .map(|(row, (before, after))| {
                let key = format!("{} {row}", kind.as_str());
                self.version(row, record, kind, key, format!("{before}{at}{after}"))
            })
            .collect()
    }
}

fn local_id(patient: usize) -> LocalId {
    LocalId::new(format!("{:010}", patient + 1))
}

/// Whose the results of a message are: by turns one of those who have many, and one of the others.
fn patient_of(message: usize, scale: Scale) -> usize {
    let turn = message / 2;
    if message.is_multiple_of(2) {
        turn % scale.heavy
    } else {
        scale.heavy + turn % (scale.patients - scale.heavy)
    }
}

/// Row ids for so many rows.
async fn ids(ledger: &Database, stock: &Stock, rows: usize) -> Result<Ids, Failure> {
    let mut keys = Keys::default();
    let room = i64::try_from(rows).unwrap_or(i64::MAX);
    (keys.room.person, keys.room.record, keys.room.resource) = (room, room, room);
    let mut world = World::empty(stock.at, stock.setup.clone());
    ledger.load(&keys, &mut world).await?;
    Ok(world.ids)
}

async fn fill(ledger: &Database, stock: &Stock, report: &mut Report) -> Result<(), Failure> {
    let records = people(ledger, stock).await?;
    let messages = stock.scale.observations / PER_MESSAGE;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let (mut with_cpu, mut without_cpu) = (Vec::new(), Vec::new());
    let mut first = 0;
    while first < messages {
        let turn = first / limits::PROCESS_BATCH;
        let until = messages.min(first + limits::PROCESS_BATCH);
        let kinds = [ResourceType::DiagnosticReport, ResourceType::Observation];
        let skipped = usize::from(!turn.is_multiple_of(WITHOUT_EVERY));
        for kind in &kinds[skipped..] {
            let rows = (until - first) * PER_MESSAGE;
            let ids = ids(ledger, stock, rows).await?;
            let mut effects = Effects::default();
            for (number, row) in (first..until).zip((ids.resource..).step_by(PER_MESSAGE)) {
                let record = records[patient_of(number, stock.scale)];
                effects
                    .versions
                    .extend(stock.message(number, row, record, *kind));
            }
            let (began, cpu) = (Instant::now(), process_cpu());
            ledger.apply(effects, Vec::new()).await?;
            let each = |took: Duration| took.as_secs_f64() * 1e6 / float(rows);
            let (took, cpu) = (each(began.elapsed()), each(process_cpu() - cpu));
            if *kind == ResourceType::Observation {
                with.push(took);
                with_cpu.push(cpu);
            } else {
                without.push(took);
                without_cpu.push(cpu);
            }
        }
        first = until;
    }
    for (label, values) in [
        ("search.insert", &mut with),
        ("search.insert_without_index", &mut without),
        ("search.insert_cpu", &mut with_cpu),
        ("search.insert_cpu_without_index", &mut without_cpu),
    ] {
        report.add(label, median(values), "us per Observation");
    }
    Ok(())
}

/// The patients; gives their records.
async fn people(ledger: &Database, stock: &Stock) -> Result<Vec<i64>, Failure> {
    let mut records = Vec::with_capacity(stock.scale.patients);
    let numbers: Vec<usize> = (0..stock.scale.patients).collect();
    for part in numbers.chunks(2_000) {
        let ids = ids(ledger, stock, part.len()).await?;
        let mut effects = Effects::default();
        for (place, number) in (0..).zip(part) {
            let (person, id) = (PersonId(ids.person + place), RecordId(ids.record + place));
            effects.persons.push(person);
            let facts = Facts {
                kana: format!("カクウ{number}"),
                birth_date: "1940-04-01".to_owned(),
                ..Facts::default()
            };
            effects.records.insert(
                id,
                Record {
                    id,
                    facility: stock.facility.clone(),
                    local_id: local_id(*number),
                    person: Some(person),
                    facts,
                    authority: Authority::Primary,
                    rejected: false,
                },
            );
            effects.versions.push(stock.version(
                ids.resource + place,
                id.0,
                ResourceType::Patient,
                patient_key(*number),
                stock.patient.clone(),
            ));
            records.push(id.0);
        }
        ledger.apply(effects, Vec::new()).await?;
    }
    Ok(records)
}

fn patient_key(number: usize) -> String {
    format!("Patient {number}")
}

/// The questions: every patient with many results, every code.
fn questions(stock: &Stock) -> Vec<LatestOf> {
    let code = |token: &Token| Token {
        system: None,
        code: token.code.clone(),
    };
    let heavy = stock.scale.heavy;
    (0..heavy * PER_MESSAGE)
        .map(|number| LatestOf {
            patient: Whose::Local(stock.facility.clone(), local_id(number % heavy)),
            code: code(&stock.codes[number / heavy]),
            count: COUNT,
        })
        .collect()
}

async fn compare(
    ledger: &Database,
    by_hand: &ByHand,
    stock: &Stock,
    seconds: f64,
    report: &mut Report,
) -> Result<(), Failure> {
    let questions = questions(stock);
    let ready: Vec<_> = questions.iter().map(|of| by_hand.ready(of)).collect();
    let mut rows = 0;
    // Both find the same; and everything has been read once.
    for (of, ready) in questions.iter().zip(&ready) {
        let latest = ledger.latest(of).await?;
        let bare = by_hand.latest(ready).await?;
        rows += bare.len();
        let mut alike = true;
        for (found, (id, version, body)) in latest.found.iter().zip(&bare) {
            alike &= (&found.logical_id, i64::from(found.version)) == (id, *version)
                && *found.body.expose() == ByHand::text(body)?;
        }
        if !alike || !latest.complete || latest.found.len() != bare.len() || bare.is_empty() {
            return Err(Failure::Unequal("rows".to_owned()));
        }
    }
    report.add(
        "search.rows",
        float(rows) / float(questions.len()),
        "rows per search",
    );
    let began = Instant::now();
    let (mut verb, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut from = 0;
    while ratios.len() < ROUNDS || began.elapsed().as_secs_f64() < seconds {
        let (mut of_verb, mut of_bare) = (Vec::new(), Vec::new());
        for turn in 0..ROUND {
            let at = (from + turn) % questions.len();
            // Who asks second finds the pages warm: by turns.
            for side in [turn % 2, 1 - turn % 2] {
                let began = Instant::now();
                if side == 0 {
                    std::hint::black_box(ledger.latest(&questions[at]).await?);
                    of_verb.push(micros(began));
                } else {
                    std::hint::black_box(by_hand.latest(&ready[at]).await?);
                    of_bare.push(micros(began));
                }
            }
        }
        from += ROUND;
        ratios.push(median(&mut of_verb) / median(&mut of_bare).max(f64::MIN_POSITIVE));
        verb.append(&mut of_verb);
        bare.append(&mut of_bare);
    }
    report.ratio = median(&mut ratios);
    for (label, values) in [("search", &mut verb), ("search.by_hand", &mut bare)] {
        report.add(format!("{label}.p50"), quantile(values, 0.5), "us");
        report.add(format!("{label}.p99"), quantile(values, 0.99), "us");
    }
    others(ledger, stock, report).await
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

/// The other ways to ask.
async fn others(ledger: &Database, stock: &Stock, report: &mut Report) -> Result<(), Failure> {
    let key = |number: usize| {
        let named = stock.version(
            0,
            0,
            ResourceType::Patient,
            patient_key(number),
            String::new(),
        );
        named.stored.logical_id
    };
    let heavy = stock.scale.heavy;
    let mut ways: Vec<(&str, Vec<LatestOf>)> = Vec::new();
    for label in [
        "search.with_system",
        "search.by_logical_id",
        "search.few_results",
    ] {
        ways.push((label, questions(stock)));
    }
    for (number, of) in ways[0].1.iter_mut().enumerate() {
        of.code = stock.codes[number / heavy].clone();
    }
    for (number, of) in ways[1].1.iter_mut().enumerate() {
        of.patient = Whose::LogicalId(key(number % heavy));
    }
    for (number, of) in ways[2].1.iter_mut().enumerate() {
        of.patient = Whose::Local(stock.facility.clone(), local_id(heavy + number));
    }
    for (label, questions) in ways {
        let mut took = Vec::with_capacity(questions.len());
        for of in &questions {
            let began = Instant::now();
            let latest = ledger.latest(of).await?;
            took.push(micros(began));
            if latest.found.is_empty() {
                return Err(Failure::Unequal(label.to_owned()));
            }
        }
        report.add(format!("{label}.p50"), median(&mut took), "us");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Scale = Scale {
        patients: 200,
        heavy: 3,
        observations: 1_600,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn both_sides_find_the_same_and_an_empty_ledger_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let report = run(0.0, folder.path(), None, SMALL).await.unwrap();
        let figure = |label: &str| {
            let found = report.figures.iter().find(|figure| figure.label == label);
            found.unwrap().value
        };
        // 100 messages about three patients: 33 or 34 results of each code.
        assert!((33.0..34.0).contains(&figure("search.rows")));
        assert!(report.ratio > 0.0 && figure("search.index") > 0.0);
        assert!(figure("search.database") > figure("search.index"));
        assert!(run(0.0, folder.path(), None, SMALL).await.is_err());
    }
}
