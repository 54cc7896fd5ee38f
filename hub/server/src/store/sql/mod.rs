//! The ledger on SQLite: one file, WAL, `synchronous = FULL` (an ACK is a promise that survives a power
//! cut). One writer task owns the one write connection; reads go through a small pool.
//!
//! sqlx crosses to a worker thread per statement, so every verb is written in sets: multi-row VALUES in
//! chunks of a few sizes (the statement cache holds), or one statement over a JSON list.

mod accept;
mod alike;
mod apply;
mod beds;
mod blobs;
mod by_hand;
#[cfg(test)]
mod counted;
mod deliveries;
mod keep;
mod lanes;
#[cfg(test)]
mod lanes_tests;
mod listen;
mod load;
mod notices;
mod open;
mod operate;
#[cfg(test)]
mod postgres_tests;
mod receipts;
mod rows;
mod search;
mod speak;
#[cfg(test)]
mod tests;
mod waiting;
mod watch;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::source::Processed;
use renkei_core::{
    BoxError, Code, DeliveryId, FacilityId, LocalId, MessageId, Note, NoticeId, Receipt, SinkName,
    SourceName,
};

use super::packed::{pack_text, unpack_text};
use super::{Framed, Held, Prepared, SinkOverride, Store, StoreError, Waiting, Wants};
use crate::killpoint::{Point, reached};
use crate::world::{ChannelChange, Due, Effects, Finish, Keys, World};
use lanes::Lanes;
use speak::{Dialect, Line, Pool, query};
use sqlx::postgres::PgDatabaseError;
use writer::{Priority, Writer};

pub use by_hand::ByHand;
pub use keep::snapshot;
pub use open::Access;

/// The ledger in one SQLite file, or on a PostgreSQL server.
#[derive(Debug)]
pub struct Database {
    writer: Writer,
    reads: Pool,
    /// Where the hub's own work reads what it is decided over.
    work: Pool,
    folder: PathBuf,
    lanes: Arc<Lanes>,
    search: search::Memory,
    /// Held while the hub runs: a second hub on the same file is refused.
    _lock: Option<std::fs::File>,
}

/// An instant as stored: microseconds since 1970.
fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// An instant as read.
fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// JSON of a small value for a column.
fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(Box::new(error)))
}

/// A FHIR text out of a column.
fn text(packed: &[u8]) -> Result<String, StoreError> {
    unpack_text(packed).ok_or_else(|| StoreError::Broken("a FHIR text that cannot be read".into()))
}

/// A small value out of a column; a damaged one is a failure of the ledger.
fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Broken(Box::new(error)))
}

/// What a database error means for the caller.
fn classify(error: sqlx::Error) -> StoreError {
    let refused = error
        .as_database_error()
        .map(|error| error.try_downcast_ref::<PgDatabaseError>().is_some());
    match (refused, &error) {
        (Some(true), _) => said_by_postgres(error),
        (Some(false), _) => said_by_sqlite(error),
        (None, sqlx::Error::PoolTimedOut) => StoreError::Full(Box::new(error)),
        (None, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => {
            StoreError::Away(Box::new(error))
        }
        (None, _) => StoreError::Broken(Box::new(error)),
    }
}

/// PostgreSQL's SQLSTATE (its manual, appendix A).
fn said_by_postgres(error: sqlx::Error) -> StoreError {
    let state = error
        .as_database_error()
        .and_then(|error| error.code())
        .unwrap_or_default()
        .into_owned();
    let source: BoxError = Box::new(error);
    match (state.get(..2).unwrap_or(""), state.as_str()) {
        // Out of space, of connections, of time; a lock that was not had.
        ("53", _) | (_, "55P03" | "57014" | "25P03") => StoreError::Full(source),
        // Another hub wrote the same rows.
        (_, "40001" | "40P01" | "23505") => StoreError::Conflict(source),
        // Shutting down, starting, connection lost.
        ("57" | "08", _) => StoreError::Away(source),
        ("22" | "23" | "42" | "21" | "0A", _) => StoreError::Refused(source),
        _ => StoreError::Broken(source),
    }
}

/// SQLite's result codes, primary byte.
fn said_by_sqlite(error: sqlx::Error) -> StoreError {
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok());
    let source: BoxError = Box::new(error);
    match code.map(|code| code & 0xff) {
        // BUSY, LOCKED, FULL, NOMEM
        Some(5 | 6 | 13 | 7) => StoreError::Full(source),
        // ERROR, CONSTRAINT, MISMATCH, TOOBIG, RANGE
        Some(1 | 19 | 20 | 18 | 25) => StoreError::Refused(source),
        _ => StoreError::Broken(source),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        classify(error)
    }
}

/// ?1 now, ?2 limit. A request to route again is due at once.
const DUE_NOTICES: &str = "SELECT id FROM (SELECT id, due_at FROM notice WHERE due_at IS NOT NULL AND due_at <= ?1 AND mine(person) \
     UNION SELECT q.notice, 0 FROM reroute AS q JOIN notice AS n ON n.id = q.notice WHERE mine(n.person)) AS due \
     GROUP BY id ORDER BY min(due_at), id LIMIT ?2";
const NEXT_DUE: &str = "SELECT min(due_at) FROM (SELECT min(due_at) AS due_at FROM notice WHERE due_at IS NOT NULL AND mine(person) \
     UNION ALL SELECT 0 FROM reroute AS q JOIN notice AS n ON n.id = q.notice WHERE mine(n.person)) AS due";

/// How often a group is written again when another hub wrote the same rows at once.
const TRIES: usize = 4;

impl Database {
    /// Makes and learns the lanes of sources this hub has not met: in a transaction of its own, because
    /// lanes of one that is rolled back would never be anybody's.
    async fn meet_sources<'s>(
        &self,
        sources: impl Iterator<Item = &'s SourceName>,
    ) -> Result<(), StoreError> {
        let new = self.lanes.unknown(sources);
        if new.is_empty() || self.reads.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let made = self.writer.write(Priority::Accept, move |tx| {
            Box::pin(async move { lanes::of_sources(tx, new).await })
        });
        self.lanes.learn(made.await?);
        Ok(())
    }

    async fn accept_once(&self, group: &Arc<Vec<Prepared>>) -> Result<Vec<Receipt>, StoreError> {
        self.meet_sources(group.iter().map(|prepared| &prepared.message.source))
            .await?;
        let (group, lanes) = (group.clone(), self.lanes.clone());
        self.writer
            .write(Priority::Accept, move |tx| {
                Box::pin(async move {
                    let receipts = accept::accept(tx, &lanes, &group).await;
                    reached(Point::AcceptBefore);
                    receipts
                })
            })
            .await
    }

    async fn finish_once(
        &self,
        group: &Arc<Vec<Finish>>,
        channels: &Arc<Vec<ChannelChange>>,
    ) -> Result<(), StoreError> {
        let (group, channels) = (group.clone(), channels.clone());
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    let finished = deliveries::finish(tx, &group, &channels).await;
                    reached(Point::FinishBefore);
                    finished
                })
            })
            .await
    }
}

#[cfg(test)]
impl Database {
    /// The number of this start of the hub.
    pub(crate) fn hub_number(&self) -> i64 {
        self.lanes.hub.unwrap_or(0)
    }

    /// The name of its folder, as its sessions on the server carry it.
    pub(crate) fn hub_name(&self) -> String {
        std::fs::read_to_string(self.folder.join("hub-name")).unwrap_or_default()
    }
}

#[async_trait]
impl Store for Database {
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError> {
        let group = Arc::new(group);
        let mut receipts = self.accept_once(&group).await;
        for _ in 1..TRIES {
            if !matches!(receipts, Err(StoreError::Conflict(_))) {
                break;
            }
            receipts = self.accept_once(&group).await;
        }
        reached(Point::AcceptAfter);
        receipts
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        waiting::waiting(&self.work, self.lanes.hub, limit, &self.folder).await
    }

    async fn newest_of_oldest(&self, count: usize) -> Result<Option<MessageId>, StoreError> {
        let row = query(
            "SELECT max(position) FROM (SELECT w.position FROM waiting AS w WHERE my_lane(w.lane) ORDER BY w.position LIMIT ?1) AS oldest",
        )
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_one(&self.work)
        .await?;
        Ok(row.get::<Option<i64>>(0).map(MessageId))
    }

    async fn count_attempt(&self, messages: &[MessageId]) -> Result<(), StoreError> {
        let ids = json(&messages)?;
        self.writer
            .write(Priority::Apply, move |tx| {
                Box::pin(async move {
                    query("UPDATE waiting SET attempts = attempts + 1 WHERE position IN (SELECT value FROM ints(?1))")
                        .bind(ids)
                        .execute(&mut *tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn load(&self, keys: &Keys, world: &mut World) -> Result<(), StoreError> {
        load::load(&self.work, keys, world).await
    }

    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, StoreError> {
        let rows = query(DUE_NOTICES)
            .bind(micros(now))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.work)
            .await?;
        Ok(rows.iter().map(|row| NoticeId(row.get(0))).collect())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = query(NEXT_DUE).fetch_one(&self.work).await?;
        Ok(row.get::<Option<i64>>(0).map(instant))
    }

    async fn load_notices(
        &self,
        notices: &[NoticeId],
        world: &mut World,
    ) -> Result<(), StoreError> {
        notices::load(&self.work, notices, world).await
    }

    async fn apply(&self, effects: Effects, framed: Vec<Framed>) -> Result<(), StoreError> {
        let results = self.result_rows(search::codings(&effects.versions)).await?;
        // Before the transaction: nobody else writes meanwhile.
        let texts = apply::texts(&effects.versions);
        let applied = self
            .writer
            .write(Priority::Apply, move |tx| {
                Box::pin(async move {
                    let applied = apply::apply(tx, effects, framed, &results, texts).await;
                    reached(Point::ApplyBefore);
                    applied
                })
            })
            .await;
        reached(Point::ApplyAfter);
        applied
    }

    async fn due_deliveries(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        deliveries::due(&self.work, sink, now, limit).await
    }

    async fn next_delivery(&self, sink: &SinkName) -> Result<Option<Timestamp>, StoreError> {
        let row = query(deliveries::NEXT)
            .bind(sink.as_str())
            .fetch_one(&self.work)
            .await?;
        Ok(row.get::<Option<i64>>(0).map(instant))
    }

    async fn finish(
        &self,
        group: Vec<Finish>,
        channels: Vec<ChannelChange>,
    ) -> Result<(), StoreError> {
        let (group, channels) = (Arc::new(group), Arc::new(channels));
        let mut finished = self.finish_once(&group, &channels).await;
        for _ in 1..TRIES {
            if !matches!(finished, Err(StoreError::Conflict(_))) {
                break;
            }
            finished = self.finish_once(&group, &channels).await;
        }
        reached(Point::FinishAfter);
        finished
    }

    async fn start_attempt(&self, deliveries: &[DeliveryId]) -> Result<(), StoreError> {
        let ids = json(&deliveries)?;
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    query("UPDATE delivery SET started = TRUE WHERE id IN (SELECT value FROM texts(?1))")
                        .bind(ids)
                        .execute(&mut *tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn outcomes(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError> {
        let rows = query("SELECT o.position, o.state, o.code FROM ints(?1) AS k CROSS JOIN outcome AS o ON o.position = k.value")
            .bind(json(&messages)?)
            .fetch_all(&self.reads)
            .await?;
        let ended = |row: &Line| {
            let code = row
                .get::<Option<&str>>(2)
                .and_then(Code::find)
                .unwrap_or(Code::INB_PANIC);
            let how = match row.get::<&str>(1) {
                "parked" => Processed::Parked(code),
                "failed" => Processed::Failed(code),
                _ => Processed::Processed,
            };
            (MessageId(row.get(0)), how)
        };
        Ok(rows.iter().map(ended).collect())
    }

    async fn enrolled(&self) -> Result<Vec<(FacilityId, LocalId)>, StoreError> {
        let rows = query("SELECT facility, local_id FROM enrolment")
            .fetch_all(&self.reads)
            .await?;
        let pair = |row: &Line| {
            Some((
                FacilityId::new(row.get::<String>(0)).ok()?,
                LocalId::new(row.get::<String>(1)),
            ))
        };
        Ok(rows.iter().filter_map(pair).collect())
    }

    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, StoreError> {
        let rows = query("SELECT key, value FROM note WHERE source = ?1")
            .bind(source.as_str())
            .fetch_all(&self.reads)
            .await?;
        Ok(rows
            .iter()
            .map(|row| Note {
                key: row.get(0),
                value: Some(row.get(1)),
            })
            .collect())
    }

    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), StoreError> {
        let source = source.as_str().to_owned();
        let notes = json(&notes)?;
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    query(
                        "DELETE FROM note WHERE source = ?1 AND key IN \
                         (SELECT value ->> 'key' FROM tuples(?2) WHERE value ->> 'value' IS NULL)",
                    )
                    .bind(&source)
                    .bind(&notes)
                    .execute(&mut *tx)
                    .await?;
                    query(
                        "INSERT INTO note (source, key, value) \
                         SELECT ?1, value ->> 'key', value ->> 'value' FROM tuples(?2) WHERE value ->> 'value' IS NOT NULL \
                         ON CONFLICT (source, key) DO UPDATE SET value = excluded.value",
                    )
                    .bind(&source)
                    .bind(&notes)
                    .execute(&mut *tx)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn overrides(&self) -> Result<Vec<SinkOverride>, StoreError> {
        let rows = query("SELECT sink, mode, paused FROM sink_override")
            .fetch_all(&self.reads)
            .await?;
        let one = |row: &Line| {
            Ok(SinkOverride {
                sink: SinkName::new(row.get::<String>(0)),
                mode: row
                    .get::<Option<String>>(1)
                    .map(|mode| parsed(&format!("\"{mode}\"")))
                    .transpose()?,
                paused: row.get(2),
            })
        };
        rows.iter().map(one).collect()
    }

    async fn data_version(&self) -> Result<i64, StoreError> {
        self.writer
            .read(|connection| {
                Box::pin(async move {
                    let text = match connection.dialect() {
                        Dialect::Sqlite => "PRAGMA data_version",
                        // Whatever an operator does leaves a line.
                        Dialect::Postgres => "SELECT coalesce(max(id), 0) FROM audit",
                    };
                    Ok(query(text).fetch_one(connection).await?.get(0))
                })
            })
            .await
    }

    async fn lease(&self, wants: &Wants) -> Result<Held, StoreError> {
        let Some(hub) = self.lanes.hub else {
            return Ok(Held {
                tasks: wants.tasks.clone(),
                taken_over: false,
            });
        };
        self.meet_sources(wants.sources.iter()).await?;
        let (lanes, wants) = (self.lanes.clone(), wants.clone());
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move { lanes::lease(tx, &lanes, hub, &wants).await })
            })
            .await
    }

    fn holds(&self) -> bool {
        self.lanes.hold()
    }

    async fn begin_run(&self, at: Timestamp) -> Result<bool, StoreError> {
        let hub = self.lanes.hub;
        self.writer
            .write(Priority::Apply, move |tx| {
                Box::pin(async move {
                    let before = match hub {
                        Some(hub) => query(lanes::BEFORE).bind(hub),
                        None => query("SELECT ended_at IS NOT NULL FROM run ORDER BY id DESC LIMIT 1"),
                    };
                    let before = before.fetch_optional(&mut *tx).await?;
                    query("INSERT INTO run (started_at) VALUES (?1)")
                        .bind(micros(at))
                        .execute(&mut *tx)
                        .await?;
                    let clean = before.is_none_or(|row| row.get(0));
                    // Of several hubs each finds out by its lanes what may be on its way.
                    if !clean && hub.is_none() {
                        query("UPDATE delivery SET attempts = 1 WHERE state = 'pending' AND attempts = 0 AND due_at <= ?1")
                            .bind(micros(at))
                            .execute(&mut *tx)
                            .await?;
                    }
                    Ok(clean)
                })
            })
            .await
    }

    async fn catch_up(
        &self,
        now: Timestamp,
        notices: Timestamp,
        deliveries: Timestamp,
    ) -> Result<u64, StoreError> {
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    let settling = query("UPDATE notice SET due_at = ?1 WHERE due_at > ?2")
                        .bind(micros(now))
                        .bind(micros(notices))
                        .execute(&mut *tx)
                        .await?;
                    let waiting = query(
                        "UPDATE delivery SET due_at = ?1 WHERE state = 'pending' AND due_at > ?2",
                    )
                    .bind(micros(now))
                    .bind(micros(deliveries))
                    .execute(&mut *tx)
                    .await?;
                    Ok(settling + waiting)
                })
            })
            .await
    }

    async fn end_run(&self, at: Timestamp) -> Result<(), StoreError> {
        let hub = self.lanes.hub;
        self.writer
            .write(Priority::Apply, move |tx| {
                Box::pin(async move {
                    if let Some(hub) = hub {
                        lanes::sign_out(&mut *tx, hub).await?;
                    }
                    query("UPDATE run SET ended_at = ?1 WHERE id = (SELECT max(id) FROM run)")
                        .bind(micros(at))
                        .execute(&mut *tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn count(&self, counter: &'static str, by: u64) -> Result<(), StoreError> {
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    query("INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value")
                        .bind(counter)
                        .bind(i64::try_from(by).unwrap_or(i64::MAX))
                        .execute(&mut *tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}
