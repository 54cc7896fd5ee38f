//! This hub's share of the work, when several hubs keep one ledger: leases are renewed every second, and
//! sources that only one hub may run run here while they are this hub's. With one hub everything is its
//! own at once. Called by [`crate::hub`]; what is shared out is decided below `store/`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use renkei_core::{Clock, Inbox, Source, SourceName, chain, limits};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::Engine;
use crate::hub::{HubError, shutdown};
use crate::observe::pulse::Pulse;
use crate::store::{Store, StoreError, Wants};
use crate::wake::Wake;

/// How often leases are renewed: several times while one holds.
const AGAIN: Duration = Duration::from_secs(1);

/// What takes and keeps the share.
pub(crate) struct Share {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Told what to be careful with.
    pub engine: Arc<Engine>,
    /// Fired when there may be more to do.
    pub wake: Wake,
    /// Every source whose messages this hub reads.
    pub sources: Vec<SourceName>,
    /// Those only one hub may run.
    pub alone: Vec<SourceName>,
    /// Which of them are this hub's.
    pub held: watch::Sender<Vec<SourceName>>,
}

impl Share {
    /// Renews what is held and moves towards the fair share.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(crate) async fn take(&self) -> Result<(), StoreError> {
        let wants = Wants {
            sources: self.sources.clone(),
            tasks: self.alone.clone(),
            now: self.clock.now(),
        };
        // No message is chosen between taking it over and knowing that it is suspect.
        let turn = self.engine.choosing.lock().await;
        let held = self.store.lease(&wants).await?;
        if held.taken_over {
            // The oldest were in the silent hub's hands; one of them may be what silenced it.
            let newest = self.store.newest_of_oldest(limits::PROCESS_BATCH).await?;
            let newest = newest.map_or(0, |message| message.0);
            self.engine
                .singly_up_to
                .fetch_max(newest, Ordering::Relaxed);
            warn!("messages of a hub that fell silent were taken over; the oldest run one by one");
        }
        drop(turn);
        let changed = self.held.send_if_modified(|known| {
            let differs = *known != held.tasks;
            if differs {
                known.clone_from(&held.tasks);
            }
            differs
        });
        if changed || held.taken_over {
            self.wake.look();
        }
        Ok(())
    }

    /// Keeps the share until `stop` fires.
    pub(crate) async fn keep(self, stop: CancellationToken) -> Result<(), HubError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
            match self.take().await {
                Ok(()) => {}
                Err(error) if error.passes() => {
                    warn!(error = %chain(&error), "leases not renewed");
                    if !self.store.holds() {
                        self.held.send_replace(Vec::new());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Runs a source whenever it is this hub's, until `stop` fires or it ends by itself.
pub(crate) async fn run_alone(
    (name, source): (SourceName, Arc<dyn Source>),
    inbox: Arc<dyn Inbox>,
    pulse: Arc<Pulse>,
    mut held: watch::Receiver<Vec<SourceName>>,
    stop: CancellationToken,
) -> Result<(), HubError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            mine = is_held(&mut held, &name, true) => if !mine {
                return Ok(());
            }
        }
        let turn = stop.child_token();
        let runs = pulse.source(&name);
        let running = source.run(inbox.clone(), shutdown(&turn));
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = &mut running => ended,
            _lost = is_held(&mut held, &name, false) => {
                info!(source = %name, "another hub runs this source now");
                turn.cancel();
                running.await
            }
        };
        runs.ended_well_if(ended.is_ok());
        match ended {
            Ok(()) if turn.is_cancelled() && !stop.is_cancelled() => {}
            Ok(()) => return Ok(()),
            Err(source) => return Err(HubError::Source { name, source }),
        }
    }
}

/// Waits until the source is held, or is not; false when nobody keeps the share any more.
async fn is_held(
    held: &mut watch::Receiver<Vec<SourceName>>,
    name: &SourceName,
    wanted: bool,
) -> bool {
    held.wait_for(|held| held.contains(name) == wanted)
        .await
        .is_ok()
}
