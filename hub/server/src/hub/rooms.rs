//! The rooms that work again and again: the engine and a courier for each sink, woken by a signal or a timer,
//! and how long each lets work gather.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use renkei_core::{SinkName, chain};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::HubError;
use crate::engine::{Did, Engine, FULL};
use crate::observe::pulse::{Part, Pulse};
use crate::outbox::Courier;
use crate::store::StoreError;
use crate::wake::Wake;

/// How long a lost signal or another process's write may go unnoticed.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long a room lets work gather once there is some: each statement costs the same for one message as
/// for a hundred. Longer while much comes: nobody hears of it, and it is done with fewer statements. A
/// full group is followed by the next at once.
const GATHER: Duration = Duration::from_millis(10);
const GATHER_MUCH: Duration = Duration::from_millis(50);
/// That many in the last group are much.
const MUCH: usize = 4;
/// How long a room waits when there was no room: what it does would fail again, and a peer would hear the
/// same again and again.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What may go well later is tried again then; anything else ends the hub.
pub(super) fn or_later<T>(done: Result<T, StoreError>, what: &str) -> Result<Option<T>, HubError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.passes() => {
            warn!(error = %chain(&error), "{what}, trying again");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn run_engine(
    engine: Arc<Engine>,
    wake: Wake,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) -> Result<(), HubError> {
    loop {
        pulse.beat(Part::Engine);
        let Some(did) = or_later(engine.step().await, "not processed")? else {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(NO_ROOM) => continue,
            }
        };
        if did == Did::Work {
            wake.say();
            if stop.is_cancelled() {
                return Ok(());
            }
            tokio::time::sleep(gather(engine.last())).await;
            continue;
        }
        let next = or_later(engine.next_due().await, "not looked at")?.flatten();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = wake.stored.notified() => tokio::time::sleep(gather(0)).await,
            () = tokio::time::sleep(until(next, engine.clock.now())) => {}
        }
    }
}

pub(super) async fn run_courier(
    mut courier: Courier,
    outbox: Arc<Notify>,
    paused: Arc<RwLock<Vec<SinkName>>>,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) -> Result<(), HubError> {
    loop {
        pulse.sink(&courier.name, courier.breaker.open_until().is_some());
        let signal = outbox.notified();
        let is_paused = paused
            .read()
            .is_ok_and(|paused| paused.contains(&courier.name));
        let did = if is_paused {
            Did::Nothing
        } else {
            match or_later(courier.step().await, "not delivered, or not noted")? {
                Some(did) => did,
                None => tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(NO_ROOM) => continue,
                },
            }
        };
        if did == Did::Work && !stop.is_cancelled() {
            tokio::time::sleep(gather(courier.last)).await;
            continue;
        }
        let next = or_later(courier.next_due().await, "not looked at")?.flatten();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = signal => tokio::time::sleep(gather(0)).await,
            () = tokio::time::sleep(until(next, courier.clock.now())) => {}
        }
    }
}

/// How long to wait for more, by how much the last group held.
fn gather(last: usize) -> Duration {
    match last {
        FULL => Duration::ZERO,
        MUCH.. => GATHER_MUCH,
        _ => GATHER,
    }
}

/// The wait until a timer, never longer than [`LOOK_AGAIN`] and never a busy loop.
fn until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    let wait = next.map_or(LOOK_AGAIN, |next| {
        Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
    });
    wait.clamp(Duration::from_millis(5), LOOK_AGAIN)
}
