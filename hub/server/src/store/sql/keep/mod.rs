//! See [`crate::store::keeper::Keeper`]. Lists are read page by page over the pool; what is removed is
//! removed by one short transaction at the lowest priority, which asks again whether it may.

mod audit;
mod blobs;
mod holds;
mod passing;
mod restored;
mod rules;
mod searched;
pub mod snapshot;
mod verify;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{FacilityId, LocalId};

use super::operate::audit as chain;
use super::speak::{Conn, On, query};
use super::writer::{Body, Priority};
use super::{Database, micros};
use crate::store::StoreError;
use crate::store::keeper::{
    Cut, Finding, HoldLine, Inventory, Keeper, Kind, Prunable, Restored, Slice, Stopped,
    Thoroughness,
};
use crate::store::operator::{By, OperateError};

impl Database {
    /// One transaction of tidying up: how much it removed, and how long it took the writer.
    async fn tidy<F>(&self, body: F) -> Result<Slice, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> Body<'c, u64> + Send + 'static,
    {
        self.writer
            .write(Priority::Keep, move |tx| {
                Box::pin(async move {
                    let began = Instant::now();
                    let removed = body(tx).await?;
                    Ok(Slice {
                        removed,
                        done: false,
                        took: began.elapsed(),
                    })
                })
            })
            .await
    }
}

#[async_trait]
impl Keeper for Database {
    async fn prune(&self, cut: &Cut, rows: u32, now: Timestamp) -> Result<Slice, StoreError> {
        let (cut, at) = (*cut, micros(now));
        match cut.kind {
            Kind::Bodies | Kind::Deliveries => {
                let look = passing::look(&self.reads, &cut, rows, now).await?;
                if look.is_empty() {
                    return Ok(Slice {
                        done: true,
                        ..Slice::default()
                    });
                }
                let done = look.done;
                let slice = self
                    .tidy(move |tx| Box::pin(passing::remove(tx, cut.kind, look, at)))
                    .await?;
                Ok(Slice { done, ..slice })
            }
            Kind::Receipts => {
                let before = micros(cut.before);
                let slice = self
                    .tidy(move |tx| {
                        Box::pin(async move {
                            Ok(query(RECEIPTS).bind(before).bind(rows).execute(tx).await?)
                        })
                    })
                    .await?;
                Ok(Slice {
                    done: slice.removed < u64::from(rows),
                    ..slice
                })
            }
            Kind::Audit => {
                let Some(end) = audit::next(&self.reads, cut.before, rows).await? else {
                    return Ok(Slice {
                        done: true,
                        ..Slice::default()
                    });
                };
                self.tidy(move |tx| Box::pin(audit::cut(tx, end, now)))
                    .await
            }
        }
    }

    async fn prunable(&self, cut: &Cut, now: Timestamp) -> Result<Prunable, StoreError> {
        match cut.kind {
            Kind::Bodies | Kind::Deliveries => passing::count(&self.reads, cut, now).await,
            Kind::Receipts => {
                let free = query("SELECT count(*) FROM early_receipt WHERE at < ?1")
                    .bind(micros(cut.before))
                    .fetch_one(&self.reads)
                    .await?
                    .count(0);
                Ok(Prunable { free, kept: 0 })
            }
            Kind::Audit => audit::count(&self.reads, cut.before).await,
        }
    }

    async fn swept(&self, removed: &[(Kind, u64)], by: &By) -> Result<(), StoreError> {
        let words: Vec<String> = removed
            .iter()
            .map(|(kind, count)| format!("{} {count}", kind.name()))
            .collect();
        let (by, words) = (by.clone(), words.join(", "));
        self.writer
            .write(Priority::Keep, move |tx| {
                Box::pin(async move { chain::line(tx, &by, "retention", &words).await })
            })
            .await
    }

    async fn waiting_up_to(&self, limit: u32) -> Result<u32, StoreError> {
        let row = query("SELECT count(*) FROM (SELECT position FROM waiting LIMIT ?1) AS oldest")
            .bind(limit)
            .fetch_one(&self.reads)
            .await?;
        Ok(row.get(0))
    }

    async fn named(&self, blobs: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        blobs::named(&self.reads, blobs).await
    }

    async fn named_after(
        &self,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        blobs::named_after(&self.reads, after, limit).await
    }

    async fn collect(&self, shard: u8, age: Duration, remove: bool) -> Result<u64, StoreError> {
        blobs::collect(self, shard, age, remove).await
    }

    async fn hold(
        &self,
        facility: &FacilityId,
        local_id: &LocalId,
        by: &By,
    ) -> Result<bool, OperateError> {
        let (facility, local_id, by) = (facility.clone(), local_id.clone(), by.clone());
        self.operate(move |tx| {
            Box::pin(async move { holds::set(tx, &facility, &local_id, &by).await })
        })
        .await
    }

    async fn release_hold(
        &self,
        facility: &FacilityId,
        local_id: &LocalId,
        by: &By,
    ) -> Result<bool, OperateError> {
        let (facility, local_id, by) = (facility.clone(), local_id.clone(), by.clone());
        self.operate(move |tx| {
            Box::pin(async move { holds::release(tx, &facility, &local_id, &by).await })
        })
        .await
    }

    async fn list_holds(&self) -> Result<Vec<HoldLine>, OperateError> {
        Ok(holds::list(&self.reads).await?)
    }

    async fn verify(
        &self,
        how: Thoroughness,
        repair: Option<&By>,
    ) -> Result<Vec<Finding>, StoreError> {
        verify::verify(self, how, repair).await
    }

    async fn inventory(&self) -> Result<Inventory, StoreError> {
        inventory(&self.reads).await
    }

    async fn restored(&self, how: &Restored) -> Result<Stopped, StoreError> {
        let how = how.clone();
        self.writer
            .write(Priority::Keep, move |tx| {
                Box::pin(async move { restored::restored(tx, &how).await })
            })
            .await
    }
}

/// ?1 before, ?2 rows.
const RECEIPTS: &str = "DELETE FROM early_receipt WHERE id IN (SELECT id FROM early_receipt WHERE at < ?1 ORDER BY at LIMIT ?2)";

/// Every table that holds what was received, recorded, decided or told.
const TABLES: [&str; 26] = [
    "message",
    "waiting",
    "outcome",
    "person",
    "record",
    "review",
    "enrolment",
    "resource",
    "version",
    "sighting",
    "consent",
    "channel",
    "notice",
    "reroute",
    "notice_version",
    "decision",
    "delivery",
    "attempt",
    "attachment",
    "seen",
    "early_receipt",
    "note",
    "sink_override",
    "audit",
    "incident",
    "hold",
];

pub(super) async fn inventory<'c>(on: impl Into<On<'c>>) -> Result<Inventory, StoreError> {
    let mut on = on.into();
    let row = query("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(on.again())
        .await?;
    let mut inventory = Inventory {
        schema: row.get(0),
        rows: std::collections::BTreeMap::new(),
    };
    for table in TABLES {
        let row = query(format!("SELECT count(*) FROM {table}"))
            .fetch_one(on.again())
            .await?;
        inventory.rows.insert(table.to_owned(), row.count(0));
    }
    Ok(inventory)
}
