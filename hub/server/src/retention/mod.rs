//! Removing what policy no longer keeps: slice by slice, at the lowest priority, never while the inbox is
//! busy, from where it stopped. What was read, decided and told stays; so does everything under a legal
//! hold.
//!
//! Called by `hub` (by itself, every hour) and by `cli` (`renkei retention run`). It decides what is old;
//! whether a row may go is asked by the ledger in the very transaction that removes it.

pub mod config;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use renkei_core::{Clock, chain, limits};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::store::StoreError;
use crate::store::blob::Folder;
use crate::store::keeper::{Cut, Keeper, Kind, Prunable};
use crate::store::operator::By;
pub use config::Retention;

/// After the start, so that a start is not slowed down.
const FIRST: Duration = Duration::from_secs(60);
/// Between two sweeps.
const EVERY: Duration = Duration::from_secs(3_600);
/// The writer is taken so long at a time.
const SLICE: Duration = Duration::from_millis(20);
/// Rows of the first slice, and of the largest.
const ROWS: (u32, u32) = (32, 500);
/// After a slice the writer is left alone so many times as long.
const REST: u32 = 9;
/// More waiting messages than one batch: the inbox is busy.
const BUSY: u32 = 128;
const _: () = assert!(BUSY as usize == limits::PROCESS_BATCH);
/// How long to wait for a busy inbox or a busy ledger.
const WAIT: Duration = Duration::from_millis(250);
/// Receipts of posts nobody knows: groups hold posts that are not ours.
const RECEIPTS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What removes.
pub struct Sweeper {
    /// The ledger.
    pub store: Arc<dyn Keeper>,
    /// Its files.
    pub blobs: Folder,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long things are kept.
    pub policy: Retention,
}

/// What a sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows, by kind.
    pub rows: BTreeMap<Kind, u64>,
    /// Files that nothing names.
    pub blobs: u64,
    /// It was told to stop, or a kind could not be finished.
    pub unfinished: bool,
}

/// What a sweep would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Rows, by kind.
    pub rows: BTreeMap<Kind, Prunable>,
    /// Files that nothing names.
    pub blobs: u64,
}

impl Sweeper {
    /// Sweeps every hour until `stop` fires. A sweep that fails is told and tried again.
    pub async fn run(self, stop: CancellationToken) {
        let mut wait = FIRST;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = EVERY;
            match self.sweep(&stop).await {
                Ok(swept) if swept == Swept::default() => {}
                Ok(swept) => info!(rows = ?swept.rows, blobs = swept.blobs, "removed by policy"),
                Err(error) => {
                    warn!(error = %chain(&error), "removing by policy is tried again later")
                }
            }
        }
    }

    /// One sweep over everything.
    ///
    /// # Errors
    /// When the ledger or the file system fails; what was removed until then is removed.
    pub async fn sweep(&self, stop: &CancellationToken) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for kind in Kind::ALL {
            match self.passes(kind, stop, &mut swept).await {
                Ok(()) => {}
                Err(StoreError::Refused(source)) => {
                    error!(kind = kind.name(), error = %chain(source.as_ref()), "not removed");
                    swept.unfinished = true;
                }
                Err(error) => return Err(error),
            }
        }
        let rows: Vec<(Kind, u64)> = swept
            .rows
            .iter()
            .map(|(kind, rows)| (*kind, *rows))
            .collect();
        if !rows.is_empty() {
            let by = By {
                actor: "renkei".to_owned(),
                reason: "retention policy".to_owned(),
                at: self.clock.now(),
            };
            self.store.swept(&rows, &by).await?;
        }
        swept.blobs = self.files(stop, true).await?;
        swept.unfinished |= stop.is_cancelled();
        Ok(swept)
    }

    /// What a sweep would remove now; writes nothing.
    ///
    /// # Errors
    /// When the ledger or the file system fails.
    pub async fn preview(&self) -> Result<Preview, StoreError> {
        let now = self.clock.now();
        let mut preview = Preview::default();
        for kind in Kind::ALL {
            let prunable = self.store.prunable(&self.cut(kind, now), now).await?;
            preview.rows.insert(kind, prunable);
        }
        preview.blobs = self.files(&CancellationToken::new(), false).await?;
        Ok(preview)
    }

    /// What of a kind is old enough at `now`.
    pub fn cut(&self, kind: Kind, now: Timestamp) -> Cut {
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let before = match kind {
            Kind::Bodies => days(self.policy.raw_bodies_days),
            Kind::Deliveries => days(self.policy.deliveries_days),
            Kind::Receipts => RECEIPTS,
            Kind::Audit => days(self.policy.audit_days),
        };
        let ago = |age| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        Cut {
            kind,
            before: ago(before),
            // A longer policy, never a shorter one.
            unread_before: ago(before.max(days(self.policy.unread_bodies_days))),
        }
    }

    /// Slices of one kind until nothing is left.
    async fn passes(
        &self,
        kind: Kind,
        stop: &CancellationToken,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let mut rows = ROWS.0;
        while !stop.is_cancelled() {
            if self.store.waiting_up_to(BUSY + 1).await? > BUSY {
                pause(WAIT, stop).await;
                continue;
            }
            let now = self.clock.now();
            let slice = match self.store.prune(&self.cut(kind, now), rows, now).await {
                Ok(slice) => slice,
                Err(StoreError::Full(_) | StoreError::Conflict(_) | StoreError::Away(_)) => {
                    pause(WAIT, stop).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if slice.removed > 0 {
                *swept.rows.entry(kind).or_default() += slice.removed;
            }
            if slice.done {
                return Ok(());
            }
            rows = if slice.took > SLICE {
                (rows / 2).max(1)
            } else if slice.took < SLICE / 3 {
                (rows * 2).min(ROWS.1)
            } else {
                rows
            };
            pause(slice.took * REST, stop).await;
        }
        Ok(())
    }

    /// Files that are old enough and named by nothing; removed when `remove` is set. Not while a backup
    /// is taken: it names files by an earlier state.
    async fn files(&self, stop: &CancellationToken, remove: bool) -> Result<u64, StoreError> {
        let age = Duration::from_secs(u64::from(self.policy.unnamed_blobs_hours) * 3_600);
        let Some(_alone) = self.blobs.sweeping()? else {
            return Ok(0);
        };
        let mut gone = 0;
        for shard in 0..=u8::MAX {
            if stop.is_cancelled() {
                break;
            }
            gone += self.store.collect(shard, age, remove).await?;
            tokio::task::yield_now().await;
        }
        Ok(gone)
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
