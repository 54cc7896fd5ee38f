//! What is counted at each stop, in one place: every name, its help, and the one line a room calls.
//!
//! Called once per group or batch, after it was committed: what is counted here is in the ledger.
//! Without `[observe] listen` no recorder is installed and these calls count nothing. Labels are
//! names from the configuration, codes and verbs: never an id, never anything of a message.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use renkei_core::source::Processed;
use renkei_core::{Code, MessageId, Receipt, SinkName, SourceName};

use crate::world::{DeliveryState, Finish, PlannedDelivery};

pub(super) const RECEIVED: &str = "renkei_messages_received_total";
pub(super) const ACCEPTED: &str = "renkei_messages_accepted_total";
pub(super) const DUPLICATE: &str = "renkei_messages_duplicate_total";
pub(super) const TURNED_AWAY: &str = "renkei_messages_turned_away_total";
/// Also counted by the adapters that reject before the inbox is asked.
pub(super) const REFUSED: &str = "renkei_messages_refused_total";
pub(super) const ENDED: &str = "renkei_messages_ended_total";
pub(super) const GROUP: &str = "renkei_group_size";
pub(super) const COMMIT: &str = "renkei_commit_seconds";
pub(super) const BATCH: &str = "renkei_batch_seconds";
pub(super) const SETTLED: &str = "renkei_notices_settled_total";
pub(super) const PLANNED: &str = "renkei_deliveries_planned_total";
pub(super) const FINISHED: &str = "renkei_deliveries_finished_total";
pub(super) const ATTEMPTS: &str = "renkei_attempts_total";
pub(super) const SEND: &str = "renkei_send_seconds";
pub(super) const PAUSED: &str = "renkei_sink_paused";
/// Moved by the adapters that listen.
pub(super) const CONNECTIONS: &str = "renkei_source_connections";
pub(super) const BUILD: &str = "renkei_build_info";
pub(super) const STARTED: &str = "process_start_time_seconds";

/// A transaction of the walk, as a label.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    /// Stop 2: messages of a group were stored.
    Accept,
    /// Stops 3 to 6: the effects of a batch were applied.
    Apply,
    /// Stops 6 to 8: due notices were settled and their deliveries written.
    Settle,
    /// Stop 9: what became of a group of deliveries was written.
    Finish,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Accept, Self::Apply, Self::Settle, Self::Finish];

    const fn label(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Apply => "apply",
            Self::Settle => "settle",
            Self::Finish => "finish",
        }
    }
}

/// Says what every figure is, and shows those that are counted per source and sink as 0 before
/// anything happens: an alert rule cannot tell a missing series from a quiet one.
pub(super) fn introduce(sources: &[SourceName], sinks: &[SinkName], started: Timestamp) {
    describe_counter!(RECEIVED, "Messages that sources offered to the inbox");
    describe_counter!(ACCEPTED, "Messages committed as new");
    describe_counter!(DUPLICATE, "Messages whose bytes were committed before");
    describe_counter!(
        TURNED_AWAY,
        "Messages of patients who are not enrolled: nothing was kept"
    );
    describe_counter!(REFUSED, "Messages whose sender was told no, by code");
    describe_counter!(
        ENDED,
        "Messages the engine ended: processed, parked or failed, by code"
    );
    describe_histogram!(GROUP, "Rows of the walk that one transaction committed");
    describe_histogram!(
        COMMIT,
        "Time from asking for a transaction to its commit, in seconds"
    );
    describe_histogram!(
        BATCH,
        "Time of a whole batch: read, decide, send, commit; in seconds"
    );
    describe_counter!(SETTLED, "Notices settled: told, or found unchanged");
    describe_counter!(PLANNED, "Deliveries planned");
    describe_counter!(
        FINISHED,
        "Deliveries sent, delivered, held or dead, by code"
    );
    describe_counter!(ATTEMPTS, "Attempts at a delivery, by outcome");
    describe_histogram!(
        SEND,
        "Time a sink took for one group of deliveries, in seconds"
    );
    describe_gauge!(
        PAUSED,
        "1 while a sink's line is paused because its peer is unavailable"
    );
    describe_gauge!(CONNECTIONS, "Connections open at a listening source");
    describe_gauge!(BUILD, "1; the version is in the label");
    describe_gauge!(STARTED, "When the process started, in seconds since 1970");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 are exact up to 2^53"
    )]
    gauge!(STARTED).set(started.as_second() as f64);
    for source in sources {
        for name in [RECEIVED, ACCEPTED, DUPLICATE, TURNED_AWAY] {
            counter!(name, "source" => source.to_string()).increment(0);
        }
        counter!(REFUSED, "source" => source.to_string(), "code" => Code::INB_FULL.as_str())
            .increment(0);
        for outcome in ["processed", "parked", "failed"] {
            counter!(ENDED, "source" => source.to_string(), "outcome" => outcome, "code" => "")
                .increment(0);
        }
        gauge!(CONNECTIONS, "source" => source.to_string()).increment(0.0);
    }
    for sink in sinks {
        counter!(PLANNED, "sink" => sink.to_string()).increment(0);
        for state in [
            DeliveryState::Delivered,
            DeliveryState::Held,
            DeliveryState::Dead,
        ] {
            counter!(FINISHED, "sink" => sink.to_string(), "state" => state.code(), "code" => "")
                .increment(0);
        }
        counter!(ATTEMPTS, "sink" => sink.to_string(), "outcome" => "confirmed").increment(0);
        gauge!(PAUSED, "sink" => sink.to_string()).set(0.0);
    }
    counter!(SETTLED).increment(0);
    for verb in Verb::ALL {
        // Registers the series; an empty histogram is a count of 0.
        let _registered = (
            histogram!(GROUP, "verb" => verb.label()),
            histogram!(COMMIT, "verb" => verb.label()),
        );
    }
}

/// A transaction of `rows` rows was committed.
pub(crate) fn committed(verb: Verb, rows: usize, took: Duration) {
    histogram!(GROUP, "verb" => verb.label()).record(float(rows));
    histogram!(COMMIT, "verb" => verb.label()).record(took);
}

/// A batch is over, whatever became of it.
pub(crate) fn batch(verb: Verb, took: Duration) {
    histogram!(BATCH, "verb" => verb.label()).record(took);
}

/// Stop 1 to 2: what became of a group; `receipts` is empty when it was not taken.
pub(crate) fn offered(sources: &[SourceName], receipts: &[Receipt]) {
    let mut tally: HashMap<(&'static str, &SourceName), u64> = HashMap::new();
    let mut receipts = receipts.iter();
    for source in sources {
        *tally.entry((RECEIVED, source)).or_default() += 1;
        let name = match receipts.next() {
            Some(Receipt::Stored(_)) => ACCEPTED,
            Some(Receipt::Duplicate(_)) => DUPLICATE,
            Some(Receipt::NotEnrolled) => TURNED_AWAY,
            None => REFUSED,
        };
        *tally.entry((name, source)).or_default() += 1;
    }
    for ((name, source), count) in tally {
        if name == REFUSED {
            refused(source, Code::INB_FULL, count);
        } else {
            counter!(name, "source" => source.to_string()).increment(count);
        }
    }
}

/// Messages were not taken.
pub(crate) fn refused(source: &SourceName, code: Code, count: u64) {
    counter!(REFUSED, "source" => source.to_string(), "code" => code.as_str()).increment(count);
}

/// A message that never reached a group: the gate or the disk turned it away.
pub(crate) fn not_queued(source: &SourceName, code: Option<Code>) {
    counter!(RECEIVED, "source" => source.to_string()).increment(1);
    match code {
        Some(code) => refused(source, code, 1),
        None => counter!(TURNED_AWAY, "source" => source.to_string()).increment(1),
    }
}

/// Stop 3 to 6: how the messages of a committed batch ended.
pub(crate) fn ended(sources: &HashMap<MessageId, SourceName>, ended: &[(MessageId, Processed)]) {
    let mut tally: HashMap<(&SourceName, &'static str, &'static str), u64> = HashMap::new();
    for (id, how) in ended {
        let Some(source) = sources.get(id) else {
            continue;
        };
        let (outcome, code) = match how {
            Processed::Processed => ("processed", ""),
            Processed::Parked(code) => ("parked", code.as_str()),
            Processed::Failed(code) => ("failed", code.as_str()),
        };
        *tally.entry((source, outcome, code)).or_default() += 1;
    }
    for ((source, outcome, code), count) in tally {
        counter!(ENDED, "source" => source.to_string(), "outcome" => outcome, "code" => code)
            .increment(count);
    }
}

/// Stop 6 to 8: notices were settled, and this was planned for them.
pub(crate) fn settled(notices: usize, planned: &[(SinkName, DeliveryState, Option<Code>)]) {
    counter!(SETTLED).increment(notices as u64);
    let mut tally: HashMap<&(SinkName, DeliveryState, Option<Code>), u64> = HashMap::new();
    for one in planned {
        *tally.entry(one).or_default() += 1;
    }
    for ((sink, state, code), count) in tally {
        counter!(PLANNED, "sink" => sink.to_string()).increment(count);
        if *state != DeliveryState::Pending {
            finished_as(sink, *state, *code, count);
        }
    }
}

/// What [`settled`] needs of the deliveries, before the store takes them away.
pub(crate) fn planned(
    deliveries: &[PlannedDelivery],
) -> Vec<(SinkName, DeliveryState, Option<Code>)> {
    deliveries
        .iter()
        .map(|planned| (planned.channel.sink.clone(), planned.state, planned.code))
        .collect()
}

/// Stop 9: what became of a group of deliveries, counted before the store takes it away.
pub(crate) struct Finished {
    tally: HashMap<(DeliveryState, Option<Code>), u64>,
    attempts: HashMap<&'static str, u64>,
    /// How many.
    pub(crate) count: usize,
}

impl Finished {
    /// Counts a group.
    pub(crate) fn of(group: &[Finish]) -> Self {
        let (mut tally, mut attempts) = (HashMap::new(), HashMap::new());
        for finish in group {
            *tally.entry((finish.state, finish.code)).or_default() += 1;
            if let Some(attempt) = finish.attempt {
                *attempts.entry(attempt).or_default() += 1;
            }
        }
        Self {
            tally,
            attempts,
            count: group.len(),
        }
    }

    /// Shows it, once it is committed.
    pub(crate) fn show(self, sink: &SinkName) {
        for ((state, code), count) in self.tally {
            if state != DeliveryState::Pending {
                finished_as(sink, state, code, count);
            }
        }
        for (attempt, count) in self.attempts {
            counter!(ATTEMPTS, "sink" => sink.to_string(), "outcome" => attempt).increment(count);
        }
    }
}

fn finished_as(sink: &SinkName, state: DeliveryState, code: Option<Code>, count: u64) {
    let code = code.map_or("", |code| code.as_str());
    counter!(FINISHED, "sink" => sink.to_string(), "state" => state.code(), "code" => code)
        .increment(count);
}

/// Stop 9: a sink took this long for one group.
pub(crate) fn sent(sink: &SinkName, took: Duration) {
    histogram!(SEND, "sink" => sink.to_string()).record(took);
}

/// Whether a sink's line is paused.
pub(super) fn paused(sink: &SinkName, paused: bool) {
    gauge!(PAUSED, "sink" => sink.to_string()).set(if paused { 1.0 } else { 0.0 });
}

/// A count as Prometheus keeps it; exact up to 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people; exact up to 2^53"
)]
fn float(count: usize) -> f64 {
    count as f64
}
