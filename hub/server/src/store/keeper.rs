//! Keeping: what is removed by policy, what a legal hold protects, whether a ledger is whole, and what
//! becomes of one that was made from a backup.
//!
//! Called by `retention` (the hub's own, slice by slice) and by `cli`. Removing never touches what was
//! read from a message, what was decided and told, or the fingerprint by which a repeat is recognised.
//! Same implementations and same behaviour suite as [`super::Store`].

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{FacilityId, LocalId};
use serde::Serialize;

use super::StoreError;
use super::operator::{By, OperateError};

/// The verbs of keeping.
#[async_trait]
pub trait Keeper: Send + Sync + 'static {
    /// Removes what is old enough among the next `rows` of a kind, in one short transaction at the lowest
    /// priority. Where it stopped is remembered with it.
    async fn prune(&self, cut: &Cut, rows: u32, now: Timestamp) -> Result<Slice, StoreError>;
    /// How much of a kind could be removed now. Reads pages of rows, writes nothing.
    async fn prunable(&self, cut: &Cut, now: Timestamp) -> Result<Prunable, StoreError>;
    /// Writes down, in the audit, what a sweep has removed.
    async fn swept(&self, removed: &[(Kind, u64)], by: &By) -> Result<(), StoreError>;
    /// Messages waiting to be processed, counted up to `limit`.
    async fn waiting_up_to(&self, limit: u32) -> Result<u32, StoreError>;
    /// Those of these blobs (SHA-256) that a message or a delivery names.
    async fn named(&self, blobs: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError>;
    /// The next blobs that something names, in the order of their hashes.
    async fn named_after(
        &self,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Removes blobs of one shard (their first byte) that were stored `age` ago or earlier and that nothing
    /// names; without `remove` only counts them.
    async fn collect(&self, shard: u8, age: Duration, remove: bool) -> Result<u64, StoreError>;
    /// Protects a patient's record. `false`: it is held already.
    async fn hold(
        &self,
        facility: &FacilityId,
        local_id: &LocalId,
        by: &By,
    ) -> Result<bool, OperateError>;
    /// Ends a hold. `false`: there was none.
    async fn release_hold(
        &self,
        facility: &FacilityId,
        local_id: &LocalId,
        by: &By,
    ) -> Result<bool, OperateError>;
    /// Holds, newest first. Shows patient numbers.
    async fn list_holds(&self) -> Result<Vec<HoldLine>, OperateError>;
    /// Looks for what is not as it must be. `repair` mends what can be mended without losing anything,
    /// and writes it down in the audit.
    async fn verify(
        &self,
        how: Thoroughness,
        repair: Option<&By>,
    ) -> Result<Vec<Finding>, StoreError>;
    /// How much of everything there is, by table, and the version of the schema.
    async fn inventory(&self) -> Result<Inventory, StoreError>;
    /// Makes a ledger that was made from a backup fit to run: see [`Restored`].
    async fn restored(&self, how: &Restored) -> Result<Stopped, StoreError>;
}

/// What can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The received bytes of processed messages.
    Bodies,
    /// The sheets and attempts of ended deliveries.
    Deliveries,
    /// Receipts of posts nobody here knows.
    Receipts,
    /// Lines of the audit.
    Audit,
}

impl Kind {
    /// In the order in which a sweep goes.
    pub const ALL: [Self; 4] = [Self::Bodies, Self::Deliveries, Self::Receipts, Self::Audit];

    /// Its name in the ledger and in lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Deliveries => "deliveries",
            Self::Receipts => "receipts",
            Self::Audit => "audit",
        }
    }
}

/// What of a kind is old enough.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Which kind.
    pub kind: Kind,
    /// Everything before this instant.
    pub before: Timestamp,
    /// Bodies of a type that nobody reads: everything before this instant.
    pub unread_before: Timestamp,
}

/// What one slice did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// Rows that were removed (bodies: emptied).
    pub removed: u64,
    /// Nothing old enough is left to look at.
    pub done: bool,
    /// How long the writer was taken.
    pub took: Duration,
}

/// What could be removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Prunable {
    /// Old enough and free to go.
    pub free: u64,
    /// Old enough, but held, not ended, or kept by a longer policy.
    pub kept: u64,
}

/// One legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldLine {
    /// The facility.
    pub facility: FacilityId,
    /// The patient's number there.
    pub local_id: String,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// Since when.
    pub at: Timestamp,
    /// When it ended.
    pub released_at: Option<Timestamp>,
    /// Who ended it.
    pub released_by: Option<String>,
}

/// How thoroughly a ledger is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// Every rule between rows, every file.
    Rows,
    /// Also every body against its fingerprint, and SQLite's own check of its pages.
    Deep,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule, `outcome-and-waiting`; all of them are on the page of RNK-LDG-001.
    pub check: &'static str,
    /// Which row or file: an id, never a patient.
    pub at: String,
    /// What mends it.
    pub repair: &'static str,
    /// Whether `--repair` does, without losing anything.
    pub safe: bool,
    /// It was mended now.
    pub mended: bool,
}

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Inventory {
    /// The newest migration.
    pub schema: i64,
    /// Rows by table.
    pub rows: std::collections::BTreeMap<String, u64>,
}

/// A ledger was made from a backup.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Who did it, and when.
    pub by: By,
    /// When the backup was taken.
    pub taken_at: Timestamp,
    /// The named person knows that the hub has told nobody anything since the backup was taken: what was
    /// pending goes on by itself. Otherwise the lost hub may have told it, and everything that could tell
    /// waits for a named person.
    pub nothing_told_since: bool,
}

/// What waits for a named person after a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Deliveries that were pending or sent and are held now.
    pub deliveries: u64,
    /// Notices that were about to settle: what follows from them is held.
    pub notices: u64,
    /// Messages that waited: what follows from them is held.
    pub messages: u64,
}
