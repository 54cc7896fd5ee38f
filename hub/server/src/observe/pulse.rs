//! What the parts of a running hub say about themselves, and the two answers made of it: does it live,
//! is it ready. Memory only; written by `hub`, read by the server and by the alarms.
//!
//! Ages are measured by the machine's steady clock: a clock that is set back must not make a hub look
//! dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use renkei_core::{SinkName, SourceName};

use super::meter;

/// The hub's own loop or its engine not heard of for this long: something in the process is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// The ledger not read for this long: it does not answer.
const UNREAD: Duration = Duration::from_secs(30);

/// Where the hub is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Built, not running.
    Starting,
    /// Sources, engine and couriers run.
    Running,
    /// It drains.
    Stopping,
}

/// A part of the hub that says now and then that it goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// The loop that watches over all others.
    Hub,
    /// The engine.
    Engine,
    /// The ledger: it was read.
    Ledger,
}

/// What the parts of a running hub say about themselves.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    stage: AtomicU8,
    /// Milliseconds after `began` when each part was heard of last; 0 = never.
    heard: [AtomicU64; 3],
    no_room: AtomicBool,
    stopped: Mutex<BTreeSet<SourceName>>,
    paused: Mutex<BTreeMap<SinkName, Instant>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            stage: AtomicU8::new(0),
            heard: [const { AtomicU64::new(0) }; 3],
            no_room: AtomicBool::new(false),
            stopped: Mutex::default(),
            paused: Mutex::default(),
        }
    }
}

impl Pulse {
    /// The hub has come to this stage.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// A part goes on.
    pub(crate) fn beat(&self, part: Part) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard[part as usize].store(now.max(1), Ordering::Relaxed);
    }

    /// Whether accepting has stopped for want of room.
    pub(crate) fn room(&self, enough: bool) {
        self.no_room.store(!enough, Ordering::Relaxed);
    }

    /// A source begins to run. Unless it says that it ended well, it counts as stopped once the
    /// returned guard is gone: after an error, and after a panic.
    pub(crate) fn source(self: &Arc<Self>, source: &SourceName) -> RunningSource {
        RunningSource(Some((self.clone(), source.clone())))
    }

    /// A courier says whether its line is paused.
    pub(crate) fn sink(&self, sink: &SinkName, paused: bool) {
        let mut lines = lock(&self.paused);
        if paused == lines.contains_key(sink) {
            return;
        }
        if paused {
            lines.insert(sink.clone(), Instant::now());
        } else {
            lines.remove(sink);
        }
        meter::paused(sink, paused);
    }

    /// For how long each paused line has been paused.
    pub(crate) fn paused(&self) -> BTreeMap<SinkName, Duration> {
        let lines = lock(&self.paused);
        lines
            .iter()
            .map(|(sink, since)| (sink.clone(), since.elapsed()))
            .collect()
    }

    /// Why the process should be started anew; empty while it lives.
    pub(crate) fn ills(&self) -> Vec<String> {
        let running = self.stage.load(Ordering::Relaxed) == Stage::Running as u8;
        let stuck = running && self.silent(Part::Hub, STUCK);
        stuck.then(|| "hub".to_owned()).into_iter().collect()
    }

    /// Why nothing should be sent to it now, in fixed words and configured names; empty when ready.
    pub(crate) fn unready(&self) -> Vec<String> {
        let stage = self.stage.load(Ordering::Relaxed);
        let checks = [
            (stage == Stage::Starting as u8, "starting"),
            (stage == Stage::Stopping as u8, "stopping"),
            (self.silent(Part::Hub, STUCK), "hub"),
            (self.silent(Part::Engine, STUCK), "engine"),
            (self.silent(Part::Ledger, UNREAD), "ledger"),
            (self.no_room.load(Ordering::Relaxed), "space"),
        ];
        let mut reasons: Vec<String> = checks
            .into_iter()
            .filter(|(wrong, _)| *wrong)
            .map(|(_, reason)| reason.to_owned())
            .collect();
        let stopped = lock(&self.stopped);
        reasons.extend(stopped.iter().map(|source| format!("source.{source}")));
        reasons
    }

    fn silent(&self, part: Part, limit: Duration) -> bool {
        let heard = self.heard[part as usize].load(Ordering::Relaxed);
        heard == 0 || self.began.elapsed() > Duration::from_millis(heard).saturating_add(limit)
    }
}

/// A source that runs.
pub(crate) struct RunningSource(Option<(Arc<Pulse>, SourceName)>);

impl RunningSource {
    /// It ended because it was asked to, or had nothing more to do.
    pub(crate) fn ended_well(mut self) {
        self.0 = None;
    }

    /// It ended; well or not.
    pub(crate) fn ended_well_if(self, well: bool) {
        if well {
            self.ended_well();
        }
    }
}

impl Drop for RunningSource {
    fn drop(&mut self) {
        if let Some((pulse, source)) = self.0.take() {
            lock(&pulse.stopped).insert(source);
        }
    }
}

/// A poisoned lock holds what it held: nothing here can be half written.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_ready_when_every_part_was_heard_of_and_says_what_is_missing() {
        let pulse = Arc::new(Pulse::default());
        assert_eq!(pulse.unready(), ["starting", "hub", "engine", "ledger"]);
        assert!(pulse.ills().is_empty());
        for part in [Part::Hub, Part::Engine, Part::Ledger] {
            pulse.beat(part);
        }
        pulse.enter(Stage::Running);
        assert!(pulse.unready().is_empty());
        pulse.room(false);
        pulse.source(&SourceName::new("hospital")).ended_well();
        drop(pulse.source(&SourceName::new("lab")));
        assert_eq!(pulse.unready(), ["space", "source.lab"]);
        pulse.room(true);
        pulse.enter(Stage::Stopping);
        assert_eq!(pulse.unready(), ["stopping", "source.lab"]);
    }

    #[test]
    fn a_running_hub_that_was_never_heard_of_is_ill() {
        let pulse = Pulse::default();
        pulse.enter(Stage::Running);
        assert_eq!(pulse.ills(), ["hub"]);
        pulse.beat(Part::Hub);
        assert!(pulse.ills().is_empty());
    }

    #[test]
    fn a_paused_line_is_paused_since_its_first_pause() {
        let (pulse, sink) = (Pulse::default(), SinkName::new("mcs"));
        pulse.sink(&sink, true);
        let first = pulse.paused()[&sink];
        pulse.sink(&sink, true);
        assert!(pulse.paused()[&sink] >= first);
        pulse.sink(&sink, false);
        assert!(pulse.paused().is_empty());
    }
}
