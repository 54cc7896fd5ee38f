//! The behaviour every ledger must show, generic over how one is opened. [`every_verb`] makes a test of
//! each; the implementation's own tests (plans, pragmas) stand beside it.

mod fixture;
mod outbox;
mod people;
mod queues;
mod walk;
mod watch;

use super::operator::Operator;
use super::watch::Watch;
use super::{Store, StoreError};

pub(super) use fixture::{by, message};
pub(super) use outbox::*;
pub(super) use people::*;
pub(super) use queues::*;
pub(super) use walk::*;
pub(super) use watch::*;

/// Where the ledgers of one test live: what one writes the next one finds.
pub(super) trait House {
    /// The implementation.
    type Ledger: Store + Operator + Watch;
    /// Opens it as the hub does.
    async fn hub(&self) -> Result<Self::Ledger, StoreError>;
    /// Opens it beside a running hub.
    async fn command(&self) -> Result<Self::Ledger, StoreError>;
    /// Pretends that a later renkei has migrated it.
    async fn migrate_further(&self);
}

/// One test per behaviour.
macro_rules! every_verb {
    ($house:expr, $($name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")] async fn $name() { crate::store::suite::$name(&$house).await; })*
    };
}
pub(super) use every_verb;
