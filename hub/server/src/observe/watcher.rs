//! The one task that looks every few seconds: reads how the queues stand, what the process takes and how
//! much room is left; shows it as gauges, and turns alarms. No scrape reads the ledger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, describe_counter, describe_gauge, gauge};
use renkei_core::{Clock, Code, SinkName, chain};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::alarm::{self, Figures, Question, Raised, Reading};
use super::config::Alarms;
use super::process;
use super::pulse::Pulse;
use crate::inbox::space;
use crate::store::watch::{AlarmLine, Standing, Watch};

const OLDEST_WAITING: &str = "renkei_oldest_waiting_seconds";
const WAITING: &str = "renkei_messages_waiting";
const UNSETTLED: &str = "renkei_notices_unsettled";
const PARKED: &str = "renkei_messages_parked";
const FAILED: &str = "renkei_messages_failed";
const OLDEST_PENDING: &str = "renkei_oldest_pending_seconds";
const PENDING: &str = "renkei_deliveries_pending";
const SENT: &str = "renkei_deliveries_sent";
const HELD: &str = "renkei_deliveries_held";
const DEAD: &str = "renkei_deliveries_dead";
const LEDGER: &str = "renkei_ledger_bytes";
const FREE: &str = "renkei_disk_free_bytes";
const DISK: &str = "renkei_disk_size_bytes";
const ALARM: &str = "renkei_alarm";
const RESIDENT: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds_total";
const READ: &str = "renkei_ledger_read_seconds";

/// Reading takes at most this share of the time: behind a slow database the figures get older, the walk
/// does not get slower.
const REST_PER_READING: u32 = 20;

/// What the task works with.
pub(crate) struct Watcher {
    /// The ledger.
    pub(crate) ledger: Arc<dyn Watch>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where the ledger's disk is.
    pub(crate) folder: PathBuf,
    /// What the parts of the hub say about themselves.
    pub(crate) pulse: Arc<Pulse>,
    /// Every sink of the configuration.
    pub(crate) sinks: Vec<SinkName>,
    /// When it becomes an alarm.
    pub(crate) limits: Alarms,
    /// Between two readings.
    pub(crate) every: Duration,
    /// Fires when an alarm has turned and the world is to be told.
    pub(crate) turned: Arc<Notify>,
}

/// What the task remembers between two readings.
#[derive(Default)]
struct Memory {
    raised: Raised,
    /// Turns that the ledger did not take yet; what is announced is not announced again.
    unsaved: Vec<AlarmLine>,
    /// Codes that were shown once are shown as 0 when nothing stands under them any more.
    held: BTreeMap<String, u64>,
    dead: BTreeMap<String, u64>,
    /// The ledger did not answer, and that was said.
    blind: bool,
}

impl Watcher {
    /// Looks until `stop` fires.
    pub(crate) async fn run(self, stop: CancellationToken) {
        introduce();
        let mut memory = Memory::default();
        let mut recalled = false;
        loop {
            let began = Instant::now();
            if !recalled {
                recalled = self.recall(&mut memory).await;
            }
            // Before it is known what is raised already, nothing is raised again.
            self.look(&mut memory, recalled).await;
            let rest = began.elapsed().saturating_mul(REST_PER_READING);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.every.max(rest)) => {}
            }
        }
    }

    /// Takes over what an earlier run left raised.
    async fn recall(&self, memory: &mut Memory) -> bool {
        let Ok(alarms) = self.ledger.alarms().await else {
            return false;
        };
        for alarm in alarms.into_iter().filter(|alarm| alarm.raised) {
            let sink = (!alarm.sink.is_empty()).then(|| SinkName::new(&alarm.sink));
            if let Some(question) = Question::find(&alarm.name) {
                memory.raised.remember((question, sink));
            }
        }
        true
    }

    async fn look(&self, memory: &mut Memory, judge: bool) {
        process::show(RESIDENT, CPU);
        let free = space::free(&self.folder);
        if let Some(free) = free {
            gauge!(FREE).set(float(free.bytes));
            gauge!(DISK).set(float(free.of));
        }
        self.pulse.room(free.is_none_or(|free| free.is_enough()));
        let began = Instant::now();
        let standing = match self.ledger.standing(self.clock.now()).await {
            Ok(standing) => {
                memory.blind = false;
                Some(standing)
            }
            Err(error) => {
                if !std::mem::replace(&mut memory.blind, true) {
                    warn!(error = %chain(&error), "how the queues stand could not be read");
                }
                None
            }
        };
        gauge!(READ).set(began.elapsed().as_secs_f64());
        if let Some(standing) = &standing {
            self.show(standing, memory);
        }
        let figures = Figures {
            standing: standing.as_ref(),
            free,
            paused: &self.pulse.paused(),
            sinks: &self.sinks,
        };
        if judge {
            let mut readings = alarm::read(&figures, &self.limits);
            readings.extend(memory.raised.orphans(&self.sinks));
            self.judge(&readings, memory).await;
        }
    }

    fn show(&self, standing: &Standing, memory: &mut Memory) {
        let age = |age: Option<i64>| age.map_or(0.0, |age| float(age.unsigned_abs()));
        gauge!(OLDEST_WAITING).set(age(standing.oldest_waiting_secs));
        gauge!(WAITING).set(float(standing.waiting));
        gauge!(UNSETTLED).set(float(standing.unsettled));
        gauge!(PARKED).set(float(standing.parked));
        gauge!(FAILED).set(float(standing.failed));
        gauge!(LEDGER, "part" => "database").set(float(standing.bytes));
        gauge!(LEDGER, "part" => "log").set(float(standing.log_bytes));
        for sink in &self.sinks {
            let line = standing.lines.get(sink).copied().unwrap_or_default();
            let name = sink.to_string();
            gauge!(OLDEST_PENDING, "sink" => name.clone()).set(age(line.oldest_pending_secs));
            gauge!(PENDING, "sink" => name.clone()).set(float(line.pending));
            gauge!(SENT, "sink" => name).set(float(line.sent));
        }
        by_code(HELD, &standing.held, &mut memory.held);
        by_code(DEAD, &standing.dead, &mut memory.dead);
    }

    async fn judge(&self, readings: &[Reading], memory: &mut Memory) {
        let good_for = Duration::from_secs(self.limits.good_for_secs);
        let now = Instant::now();
        let mut turns = std::mem::take(&mut memory.unsaved);
        let again = turns.len();
        for reading in readings {
            if let Some(raised) = memory.raised.turn(reading, now, good_for) {
                turns.push(self.line(reading, raised));
            }
            let (question, sink) = &reading.subject;
            let raised = if memory.raised.has(&reading.subject) {
                1.0
            } else {
                0.0
            };
            let sink = sink.as_ref().map_or_else(String::new, ToString::to_string);
            gauge!(ALARM, "name" => question.name(), "sink" => sink).set(raised);
        }
        for (index, line) in turns.into_iter().enumerate() {
            match self.ledger.turn_alarm(&line).await {
                Ok(true) => self.announce(&line, readings, index < again),
                // Another hub on the same ledger has said so.
                Ok(false) => {}
                // A full disk must not keep the alarm about it from being heard.
                Err(_) => {
                    self.announce(&line, readings, index < again);
                    memory.unsaved.push(line);
                }
            }
        }
    }

    fn line(&self, reading: &Reading, raised: bool) -> AlarmLine {
        let (question, sink) = &reading.subject;
        AlarmLine {
            name: question.name().to_owned(),
            sink: sink.as_ref().map_or_else(String::new, ToString::to_string),
            raised,
            since: self.clock.now(),
            value: i64::try_from(reading.value).unwrap_or(i64::MAX),
            // Without a webhook nobody is left to be told.
            told: self.limits.webhook.is_none(),
        }
    }

    fn announce(&self, line: &AlarmLine, readings: &[Reading], said: bool) {
        self.turned.notify_one();
        if said {
            return;
        }
        let code = Question::find(&line.name).map_or(Code::OPS_WAITING, Question::code);
        let about = |reading: &&Reading| reading.subject.0.name() == line.name;
        let limit = readings
            .iter()
            .find(about)
            .map_or(0, |reading| reading.limit);
        let (alarm, sink, value) = (&line.name, &line.sink, line.value);
        if line.raised {
            warn!(%code, alarm, sink, value, limit, "alarm raised");
        } else {
            info!(%code, alarm, sink, value, limit, "alarm resolved");
        }
    }
}

/// Shows counts by code, and 0 where there was one before.
fn by_code(name: &'static str, counts: &BTreeMap<String, u64>, before: &mut BTreeMap<String, u64>) {
    for code in before.keys().filter(|code| !counts.contains_key(*code)) {
        gauge!(name, "code" => code.clone()).set(0.0);
    }
    for (code, count) in counts {
        gauge!(name, "code" => code.clone()).set(float(*count));
    }
    before.extend(counts.iter().map(|(code, count)| (code.clone(), *count)));
}

fn introduce() {
    describe_gauge!(
        OLDEST_WAITING,
        "Age of the oldest message that waits to be processed, in seconds; 0 = none waits"
    );
    describe_gauge!(WAITING, "Messages waiting to be processed");
    describe_gauge!(
        UNSETTLED,
        "Notices whose time to settle has come and that are not told on yet"
    );
    describe_gauge!(PARKED, "Messages parked: they wait for a person");
    describe_gauge!(FAILED, "Messages failed");
    describe_gauge!(
        OLDEST_PENDING,
        "Age of the oldest delivery waiting for a sink, in seconds; 0 = none waits"
    );
    describe_gauge!(PENDING, "Deliveries waiting for a sink");
    describe_gauge!(SENT, "Deliveries handed over and not confirmed");
    describe_gauge!(HELD, "Deliveries held, by code: most wait for a person");
    describe_gauge!(DEAD, "Deliveries dead, by code");
    describe_gauge!(LEDGER, "Bytes of the database, and of the log beside it");
    describe_gauge!(FREE, "Bytes free on the ledger's disk");
    describe_gauge!(DISK, "Size of the ledger's disk in bytes");
    describe_gauge!(ALARM, "1 while the hub's own alarm is raised");
    describe_gauge!(RESIDENT, "Resident memory in bytes");
    describe_counter!(CPU, "Processor time taken, in whole seconds");
    describe_gauge!(
        READ,
        "Time the last reading of these figures took, in seconds"
    );
    for name in [HELD, DEAD] {
        gauge!(name, "code" => "").set(0.0);
    }
    counter!(CPU).absolute(0);
}

/// A figure as Prometheus keeps it.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people; exact up to 2^53"
)]
pub(super) fn float(figure: u64) -> f64 {
    figure as f64
}
