//! Waking: who writes to the ledger says so, and who waits for work hears it, in this process and, over
//! a carrier, in the other hubs on one database. Called by [`crate::hub`].
//!
//! A signal carries no data and may be lost: whoever misses one looks at the database by itself a little
//! later. So a carrier (NATS, LISTEN/NOTIFY of PostgreSQL) never affects what happens, only how soon.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Joins the signals of one hub. A carrier fires the other hubs when `said` fires, and fires `heard`
/// when another hub was fired. Signals that nobody has looked at yet are one.
#[derive(Debug, Clone)]
pub struct Wake {
    /// Fired here when something for all hubs to look at was committed; a carrier listens.
    pub said: Arc<Notify>,
    /// The same for the carrier that is the database itself.
    pub told: Arc<Notify>,
    /// Fired by a carrier when another hub committed something.
    pub heard: Arc<Notify>,
    /// Fired by the inbox when messages were stored.
    pub accepted: Arc<Notify>,
    /// Wakes the engine.
    pub stored: Arc<Notify>,
    /// Wakes the couriers.
    pub outbox: Arc<Notify>,
    /// Fired when another hub committed something: a message whose sender waits may have ended.
    pub elsewhere: Arc<Notify>,
}

impl Default for Wake {
    fn default() -> Self {
        let signal = || Arc::new(Notify::new());
        Self {
            said: signal(),
            told: signal(),
            heard: signal(),
            accepted: signal(),
            stored: signal(),
            outbox: signal(),
            elsewhere: signal(),
        }
    }
}

impl Wake {
    /// The engine and the couriers look at the database.
    pub fn look(&self) {
        self.stored.notify_one();
        self.outbox.notify_waiters();
    }

    /// Tells the other hubs, over every carrier there is.
    pub fn say(&self) {
        self.said.notify_one();
        self.told.notify_one();
    }

    /// Passes signals on until `stop` fires: what the inbox stored to the engine and to the other hubs,
    /// what other hubs said to everybody here.
    pub async fn pass_on(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.accepted.notified() => {
                    self.stored.notify_one();
                    self.say();
                }
                () = self.heard.notified() => {
                    self.elsewhere.notify_one();
                    self.look();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_stored_here_is_said_and_what_is_heard_is_looked_at() {
        let wake = Wake::default();
        let stop = CancellationToken::new();
        let passing = tokio::spawn(wake.clone().pass_on(stop.clone()));
        wake.accepted.notify_one();
        wake.said.notified().await;
        wake.stored.notified().await;
        let outbox = wake.outbox.notified();
        wake.heard.notify_one();
        outbox.await;
        wake.stored.notified().await;
        stop.cancel();
        passing.await.unwrap();
    }
}
