//! See [`crate::store::search`]. Rows of the index are written with the versions they speak of; words
//! (codes and systems) are written before, in a transaction of their own, and remembered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{LocalId, ResourceType, Sensitive};
use renkei_fhir::view::CodedView;
use sha2::{Digest as _, Sha256};

use super::rows::Shape;
use super::speak::{Conn, query};
use super::writer::Priority;
use super::{Database, json, micros};
use crate::compose::chart::instant;
use crate::store::StoreError;
use crate::store::search::{Found, Latest, LatestOf, Search, Token, Whose};
use crate::world::NewVersion;

/// Of two writers of one row the one with the newer version is right, whoever comes last.
const RESULTS: Shape = Shape {
    head: "INSERT INTO result (record, code, date, resource, system, version, again) VALUES ",
    columns: 7,
    tail: " ON CONFLICT (record, code, date, resource, system) DO UPDATE SET version = excluded.version, again = excluded.again \
           WHERE excluded.version > result.version",
};
const WORDS: Shape = Shape {
    head: "INSERT INTO word (text) VALUES ",
    columns: 1,
    tail: " ON CONFLICT DO NOTHING",
};
const KNOWN_WORDS: &str =
    "SELECT w.id, w.text FROM texts(?1) AS k CROSS JOIN word AS w ON w.text = k.value";
const STILL_UNSEARCHED: &str = "SELECT below FROM unsearched";
/// ?1 from, ?2 below.
const OLDER: &str = "SELECT r.id, r.record, r.version, v.body FROM resource AS r CROSS JOIN version AS v ON v.resource = r.id AND v.version = r.version \
     WHERE r.id >= ?1 AND r.id < ?2 AND r.kind = 'Observation' AND r.record IS NOT NULL AND NOT r.withdrawn";
/// Row ids looked at in one step of [`Search::index_older`].
const STEP: i64 = 512;
/// Words remembered. A code list has some thousands; whoever sends a new code with every result costs a
/// lookup, not memory.
const REMEMBERED: usize = 50_000;
/// Longer words are kept by their hash: PostgreSQL's index takes less than 2,700 bytes.
const LONGEST_WORD: usize = 512;
/// The time of a result that has none: after all others.
const NO_DATE: i64 = i64::MIN;

/// One statement for each way to name the patient and the code. The patient's row is a single value, so the
/// primary key of `result` is walked backwards in the order that is asked for; nothing is sorted.
macro_rules! latest {
    ($record:literal, $code:literal, $system:literal, $count:literal) => {
        concat!(
            "SELECT r.logical_id, r.version, v.body FROM result AS t CROSS JOIN resource AS r ON r.id = t.resource AND r.version = t.version \
             CROSS JOIN version AS v ON v.resource = r.id AND v.version = r.version WHERE t.record = (", $record, ") \
             AND t.code = (SELECT c.id FROM word AS c WHERE c.text = ", $code, ") AND ", $system, " AND NOT r.withdrawn \
             ORDER BY t.date DESC, t.resource DESC LIMIT ", $count)
    };
    (local, $($rest:literal),*) => {
        latest!("SELECT p.id FROM record AS p WHERE p.facility = ?1 AND p.local_id = ?2", $($rest),*)
    };
    (logical_id, $($rest:literal),*) => {
        latest!("SELECT p.record FROM resource AS p WHERE p.logical_id = ?1 AND p.kind = 'Patient'", $($rest),*)
    };
}
const BY_LOCAL: &str = latest!(local, "?3", "NOT t.again", "?4");
const BY_LOCAL_AND_SYSTEM: &str = latest!(
    local,
    "?3",
    "t.system = (SELECT s.id FROM word AS s WHERE s.text = ?4)",
    "?5"
);
const BY_LOGICAL_ID: &str = latest!(logical_id, "?2", "NOT t.again", "?3");
const BY_LOGICAL_ID_AND_SYSTEM: &str = latest!(
    logical_id,
    "?2",
    "t.system = (SELECT s.id FROM word AS s WHERE s.text = ?3)",
    "?4"
);

/// What a ledger remembers for searching.
#[derive(Debug, Default)]
pub(super) struct Memory {
    words: Mutex<HashMap<String, i64>>,
    /// Everything is indexed; it stays so.
    complete: AtomicBool,
}

/// One coding of a current result, its words not yet looked up.
#[derive(Debug)]
pub(super) struct Coded {
    record: i64,
    resource: i64,
    version: u32,
    date: i64,
    system: String,
    code: String,
    again: bool,
}

impl Coded {
    /// Record, code, date, resource, system, version.
    pub(super) fn row(&self) -> (i64, &str, i64, i64, &str, u32) {
        (
            self.record,
            &self.code,
            self.date,
            self.resource,
            &self.system,
            self.version,
        )
    }
}

/// One row of `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ResultRow {
    record: i64,
    code: i64,
    date: i64,
    resource: i64,
    system: i64,
    version: u32,
    again: bool,
}

/// The codings of the results among these versions; of several versions of one the last counts. Reading
/// JSON is done before the transaction.
pub(super) fn codings(versions: &[NewVersion]) -> Vec<Coded> {
    let mut current: BTreeMap<i64, &NewVersion> = BTreeMap::new();
    for version in versions {
        if version.stored.kind == ResourceType::Observation {
            current.insert(version.stored.row, version);
        }
    }
    let mut codings = Vec::new();
    for version in current.into_values() {
        let stored = &version.stored;
        if let Some(record) = stored.record
            && !stored.withdrawn
        {
            code(
                record.0,
                stored.row,
                stored.version,
                &stored.body,
                &mut codings,
            );
        }
    }
    codings
}

/// Adds the codings of one result. A body that cannot be read has none: it is no reason to refuse it.
pub(super) fn code(record: i64, resource: i64, version: u32, body: &str, codings: &mut Vec<Coded>) {
    let Ok(view) = CodedView::parse(body) else {
        return;
    };
    let date = moment(view.effective()).map_or(NO_DATE, micros);
    let said: BTreeSet<(String, String)> = view
        .code
        .coding
        .iter()
        .filter(|coding| !coding.code.is_empty())
        .map(|coding| (word(&coding.code), word(&coding.system)))
        .collect();
    let mut before = None;
    for (code, system) in said {
        let again = before.as_ref() == Some(&code);
        before = Some(code.clone());
        codings.push(Coded {
            record,
            resource,
            version,
            date,
            system,
            code,
            again,
        });
    }
}

/// When it was: a year or a month begins with its first day.
fn moment(text: &str) -> Option<Timestamp> {
    match text.len() {
        4 => instant(&format!("{text}-01-01")),
        7 => instant(&format!("{text}-01")),
        _ => instant(text),
    }
}

/// A code or a system as it is kept and looked for.
fn word(text: &str) -> String {
    if text.len() > LONGEST_WORD {
        let hash = Sha256::digest(text.as_bytes());
        format!("sha256:{}", data_encoding::HEXLOWER.encode(&hash))
    } else {
        // PostgreSQL has no NUL in a text.
        text.replace('\0', "\u{fffd}")
    }
}

/// Writes rows of the index; sorted, so that hubs meet them in one order.
pub(super) async fn write(tx: &mut Conn, rows: &[ResultRow]) -> Result<(), StoreError> {
    RESULTS
        .execute(tx, rows, |query, row| {
            Ok(query
                .bind(row.record)
                .bind(row.code)
                .bind(row.date)
                .bind(row.resource)
                .bind(row.system)
                .bind(row.version)
                .bind(row.again))
        })
        .await?;
    Ok(())
}

impl Database {
    /// The rows of these codings, their words numbered.
    pub(super) async fn result_rows(
        &self,
        codings: Vec<Coded>,
    ) -> Result<Vec<ResultRow>, StoreError> {
        if codings.is_empty() {
            return Ok(Vec::new());
        }
        let words: BTreeSet<&str> = codings
            .iter()
            .flat_map(|coded| [coded.code.as_str(), coded.system.as_str()])
            .collect();
        let numbers = self.numbers(words).await?;
        let number = |word: &str| {
            let number = numbers.get(word).copied();
            number.ok_or_else(|| StoreError::Broken("a word was not written".into()))
        };
        let mut rows = codings
            .iter()
            .map(|coded| {
                Ok(ResultRow {
                    record: coded.record,
                    code: number(&coded.code)?,
                    date: coded.date,
                    resource: coded.resource,
                    system: number(&coded.system)?,
                    version: coded.version,
                    again: coded.again,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        rows.sort_unstable();
        Ok(rows)
    }

    /// The numbers of words: from memory, else from the table, else new ones.
    async fn numbers(&self, words: BTreeSet<&str>) -> Result<HashMap<String, i64>, StoreError> {
        let mut numbers = HashMap::with_capacity(words.len());
        let mut missing: Vec<String> = Vec::new();
        {
            let known = remembered(&self.search.words);
            for word in words {
                if let Some(number) = known.get(word) {
                    numbers.insert(word.to_owned(), *number);
                } else {
                    missing.push(word.to_owned());
                }
            }
        }
        if missing.is_empty() {
            return Ok(numbers);
        }
        let mut learned = self.known(&missing).await?;
        missing.retain(|word| !learned.contains_key(word));
        if !missing.is_empty() {
            let new = missing.clone();
            self.writer
                .write(Priority::Apply, move |tx| {
                    Box::pin(async move {
                        WORDS
                            .execute(tx, &new, |query, word| Ok(query.bind(word)))
                            .await?;
                        Ok::<_, StoreError>(())
                    })
                })
                .await?;
            learned.extend(self.known(&missing).await?);
        }
        let mut known = remembered(&self.search.words);
        if known.len() + learned.len() > REMEMBERED {
            known.clear();
        }
        known.extend(learned.iter().map(|(word, number)| (word.clone(), *number)));
        numbers.extend(learned);
        Ok(numbers)
    }

    async fn known(&self, words: &[String]) -> Result<HashMap<String, i64>, StoreError> {
        let rows = query(KNOWN_WORDS)
            .bind(json(&words)?)
            .fetch_all(&self.reads)
            .await?;
        Ok(rows.iter().map(|row| (row.get(1), row.get(0))).collect())
    }

    /// Whether everything recorded is in the index.
    async fn is_all_indexed(&self) -> Result<bool, StoreError> {
        let complete = &self.search.complete;
        if !complete.load(Ordering::Relaxed) {
            let left = query(STILL_UNSEARCHED).fetch_optional(&self.reads).await?;
            complete.store(left.is_none(), Ordering::Relaxed);
        }
        Ok(complete.load(Ordering::Relaxed))
    }
}

fn remembered(
    words: &Mutex<HashMap<String, i64>>,
) -> std::sync::MutexGuard<'_, HashMap<String, i64>> {
    match words.lock() {
        Ok(words) => words,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// The statement for a question, and its parameters before the count.
pub(super) fn asked(of: &LatestOf) -> (&'static str, Vec<String>) {
    let text = match (&of.patient, &of.code.system) {
        (Whose::Local(..), None) => BY_LOCAL,
        (Whose::Local(..), Some(_)) => BY_LOCAL_AND_SYSTEM,
        (Whose::LogicalId(_), None) => BY_LOGICAL_ID,
        (Whose::LogicalId(_), Some(_)) => BY_LOGICAL_ID_AND_SYSTEM,
    };
    let mut parameters = match &of.patient {
        Whose::Local(facility, local) => {
            vec![
                facility.as_str().to_owned(),
                LocalId::expose(local).to_owned(),
            ]
        }
        Whose::LogicalId(id) => vec![id.clone()],
    };
    let Token { system, code } = &of.code;
    parameters.push(word(code));
    parameters.extend(system.as_deref().map(word));
    (text, parameters)
}

#[async_trait]
impl Search for Database {
    async fn latest(&self, of: &LatestOf) -> Result<Latest, StoreError> {
        // Asked first: what is complete before the search is complete in it.
        let complete = self.is_all_indexed().await?;
        let (text, parameters) = asked(of);
        let mut asking = query(text);
        for parameter in parameters {
            asking = asking.bind(parameter);
        }
        let rows = asking.bind(of.count).fetch_all(&self.reads).await?;
        let found = rows
            .iter()
            .map(|row| {
                Ok(Found {
                    logical_id: row.get(0),
                    version: row.get(1),
                    body: Sensitive::new(super::text(row.get(2))?),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Latest { found, complete })
    }

    async fn index_older(&self) -> Result<bool, StoreError> {
        let Some(left) = query(STILL_UNSEARCHED).fetch_optional(&self.reads).await? else {
            self.search.complete.store(true, Ordering::Relaxed);
            return Ok(false);
        };
        let below: i64 = left.get(0);
        let from = below.saturating_sub(STEP);
        let older = query(OLDER)
            .bind(from)
            .bind(below)
            .fetch_all(&self.reads)
            .await?;
        let mut codings = Vec::new();
        for row in &older {
            let body = super::text(row.get(3))?;
            code(row.get(1), row.get(0), row.get(2), &body, &mut codings);
        }
        let rows = self.result_rows(codings).await?;
        self.writer
            .write(Priority::Apply, move |tx| {
                Box::pin(async move {
                    write(tx, &rows).await?;
                    let step = if from <= 1 {
                        query("DELETE FROM unsearched WHERE below = ?1").bind(below)
                    } else {
                        query("UPDATE unsearched SET below = ?2 WHERE below = ?1")
                            .bind(below)
                            .bind(from)
                    };
                    step.execute(tx).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(true)
    }
}

/// What is asked here, for the test of the query plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, &'static str)> {
    vec![
        ("latest by local id", BY_LOCAL),
        ("latest by local id and system", BY_LOCAL_AND_SYSTEM),
        ("latest by logical id", BY_LOGICAL_ID),
        ("latest by logical id and system", BY_LOGICAL_ID_AND_SYSTEM),
        ("known words", KNOWN_WORDS),
        ("older", OLDER),
    ]
}
