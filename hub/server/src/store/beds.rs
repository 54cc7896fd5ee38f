//! What the ledger keeps of beds: the newest row of each ward, the history, open stays by ward, and the post
//! each subscriber is to get.
//!
//! Rows of feeds come in with the effects of their message ([`super::Store::apply`]). Called by `beds` and
//! `cli`. Same implementations and same behaviour suite as [`super::Store`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::BedStatus;

use super::StoreError;
use crate::beds::{Kept, Known};

/// The verbs about beds.
#[async_trait]
pub trait Beds: Send + Sync + 'static {
    /// The newest row of every ward, by hospital and ward.
    async fn wards(&self) -> Result<Vec<Known>, StoreError>;
    /// What was said about a hospital's wards, or about one of them, newest first.
    async fn ward_history(&self, of: &HistoryOf) -> Result<Vec<Kept>, StoreError>;
    /// Open stays of a hospital by ward, and when its source last said anything.
    async fn stays(&self, hospital: &str) -> Result<Stays, StoreError>;
    /// Writes rows the hub has counted itself; a newer row of the ward stands.
    async fn put_counted(&self, rows: Vec<Known>) -> Result<(), StoreError>;
    /// Removes up to `limit` rows of the history that were received before; how many.
    async fn forget_beds(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// The last post made for a subscriber.
    async fn bed_post(&self, subscriber: &str) -> Result<Option<BedPost>, StoreError>;
    /// Writes the next post. `false`: another hub has written that number already.
    async fn put_bed_post(&self, post: &BedPost) -> Result<bool, StoreError>;
    /// Notes that a post was taken, unless a later one was made meanwhile.
    async fn bed_post_taken(&self, post: &BedPost, at: Timestamp) -> Result<(), StoreError>;
}

/// Which part of the history is asked for.
#[derive(Debug, Clone)]
pub struct HistoryOf {
    /// The hospital's facility number.
    pub hospital: String,
    /// One of its wards; `None` = all.
    pub ward: Option<String>,
    /// Rows taken since then.
    pub since: Timestamp,
    /// How many at most.
    pub limit: u32,
}

/// Open stays of one hospital.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stays {
    /// When its source last said anything.
    pub heard: Option<Timestamp>,
    /// How many there are, by ward.
    pub by_ward: BTreeMap<String, i64>,
    /// Beds nobody is known to lie in that are said not to be free, by ward and status.
    pub said: BTreeMap<(String, BedStatus), i64>,
}

/// What a subscriber is to get, or got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BedPost {
    /// Whose.
    pub subscriber: String,
    /// Counts up from 1 for each subscriber.
    pub number: i64,
    /// What of the board it shows, as a hash.
    pub seen: String,
    /// The JSON that is posted, the same bytes until it was taken.
    pub body: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
}
