//! The wake signal between hubs on one PostgreSQL: LISTEN/NOTIFY. It carries no data and may be lost;
//! whoever misses one looks at the database a little later.

use std::sync::Arc;
use std::time::Duration;

use renkei_core::chain;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Database;
use super::speak::{Pooled, query};

/// Signals are gathered this long: a hub under load says so some ten times a second.
const GATHER: Duration = Duration::from_millis(50);
/// How long to wait before listening again after the connection broke.
const AGAIN: Duration = Duration::from_secs(2);
/// Ledgers of one database tell each other apart by their schema.
const SAY: &str = "SELECT pg_notify('renkei', current_schema())";

impl Database {
    /// Tells other hubs when `said` fires and fires `heard` when they do, until `stop`. A file has no
    /// other hubs.
    pub async fn carry(&self, said: Arc<Notify>, heard: Arc<Notify>, stop: CancellationToken) {
        if self.lanes.hub.is_none() {
            return stop.cancelled().await;
        }
        let telling = async {
            loop {
                said.notified().await;
                tokio::time::sleep(GATHER).await;
                if let Err(error) = query(SAY).execute(&self.reads).await {
                    debug!(error = %chain(&error), "other hubs were not told");
                }
            }
        };
        let hearing = async {
            loop {
                if let Err(error) = self.hear(&heard).await {
                    debug!(error = %chain(&error), "other hubs are not heard");
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = telling => {}
            () = hearing => {}
        }
    }

    async fn hear(&self, heard: &Notify) -> Result<(), sqlx::Error> {
        let Pooled::Postgres(pool) = &self.reads.pooled else {
            return Ok(());
        };
        let own: String = query("SELECT current_schema()")
            .fetch_one(&self.reads)
            .await?
            .get(0);
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen("renkei").await?;
        loop {
            if listener.recv().await?.payload() == own {
                heard.notify_one();
            }
        }
    }
}
