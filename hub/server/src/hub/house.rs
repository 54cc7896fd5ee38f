//! What a running hub looks after until it is asked to end: the rooms that may end by themselves, what other
//! processes wrote, and what is written down now and then.

use std::sync::Arc;

use renkei_core::chain;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::rooms::{LOOK_AGAIN, or_later};
use super::{Hub, HubError};
use crate::hands::{Hands, beyond};
use crate::observe::pulse::Part;
use crate::store::{Store, StoreError};

impl Hub {
    /// Waits for the end; meanwhile notices what other processes wrote.
    pub(super) async fn watch(
        &self,
        mut version: i64,
        stop: &CancellationToken,
        rooms: &mut JoinSet<Result<(), HubError>>,
        running: &mut JoinSet<Result<(), HubError>>,
    ) -> Result<(), HubError> {
        let mut hands = Hands::default();
        self.pulse.beat(Part::Ledger);
        let mut look = tokio::time::Instant::now() + LOOK_AGAIN;
        loop {
            self.pulse.beat(Part::Hub);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.fatal.cancelled() => return Err(StoreError::Broken("the ledger failed at a write".into()).into()),
                Some(ended) = rooms.join_next() => return ended.unwrap_or_else(|error| Err(StoreError::Broken(Box::new(error)).into())),
                Some(ended) = running.join_next() => match ended {
                    Ok(Ok(())) if stop.is_cancelled() => return Ok(()),
                    Ok(Ok(())) => {}
                    // One source that needs an operator does not stop the others.
                    Ok(Err(error)) => error!(error = %chain(&error), "a source stopped"),
                    Err(error) => error!(error = %chain(&error), "a source ended unexpectedly"),
                },
                () = self.wake.elsewhere.notified() => {
                    or_later(self.inbox.look_for_ended().await, "senders are told later")?;
                    continue;
                }
                () = tokio::time::sleep_until(look) => {}
            }
            look = tokio::time::Instant::now() + LOOK_AGAIN;
            match self.look_around(&mut version, &mut hands).await {
                Ok(()) => {}
                Err(error) if error.passes() => {
                    warn!(error = %chain(&error), "the ledger could not be looked at");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Notices what other processes wrote, and writes down what is written now and then.
    async fn look_around(&self, version: &mut i64, hands: &mut Hands) -> Result<(), StoreError> {
        let now = self.store.data_version().await?;
        self.pulse.beat(Part::Ledger);
        if now != *version {
            self.refresh().await?;
            *version = now;
            self.wake.look();
        }
        self.inbox.look_for_ended().await?;
        self.keep_house(hands).await
    }

    /// What has to be written down now and then: who was turned away, and that the clock was set back.
    async fn keep_house(&self, hands: &mut Hands) -> Result<(), StoreError> {
        let turned_away = self.gate.turned_away_so_far();
        if turned_away > 0 {
            self.store.count("intake.not_enrolled", turned_away).await?;
            self.gate.counted(turned_away);
        }
        let now = self.clock.now();
        if hands.were_set_back(now) {
            let settled = beyond(now, self.configured.settle.at_most);
            let tried = beyond(now, self.longest_wait);
            let due = self.store.catch_up(now, settled, tried).await?;
            if due > 0 {
                warn!(
                    due,
                    "the clock was set back; what it would have made wait is due now"
                );
                self.wake.look();
            }
        }
        hands.see(now);
        Ok(())
    }

    /// Takes over what operators decided: who is enrolled, how far each sink may go.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        self.gate.enrol(self.store.enrolled().await?);
        let overrides = self.store.overrides().await?;
        let mut setup = (*self.configured).clone();
        let mut paused = Vec::new();
        for change in overrides {
            if let (Some(mode), Some(sink)) = (change.mode, setup.sinks.get_mut(&change.sink)) {
                sink.mode = mode;
            }
            if change.paused {
                paused.push(change.sink);
            }
        }
        if let Ok(mut shared) = self.setup.write() {
            *shared = Arc::new(setup);
        }
        if let Ok(mut shared) = self.paused.write() {
            *shared = paused;
        }
        Ok(())
    }
}
