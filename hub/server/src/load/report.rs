//! What a run of `renkei load` says at its end.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sent;
use super::day::ratio;
use super::messages::Kind;
use super::tally::Times;
use super::watch::{Watch, most};

/// Quantiles of times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many.
    pub count: u64,
    /// Half were not longer.
    pub p50: f64,
    /// Nine of ten were not longer.
    pub p90: f64,
    /// 99 of a hundred were not longer.
    pub p99: f64,
    /// 999 of a thousand were not longer.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl From<&Times> for Quantiles {
    fn from(times: &Times) -> Self {
        Self {
            count: times.count(),
            p50: times.quantile_ms(0.5),
            p90: times.quantile_ms(0.9),
            p99: times.quantile_ms(0.99),
            p99_9: times.quantile_ms(0.999),
            max: times.longest_ms(),
        }
    }
}

/// Everything a run found. Counts are messages, times milliseconds where nothing else is said.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Plays the same plan again.
    pub seed: u64,
    /// In the plan; `None` at full speed.
    pub planned: Option<u64>,
    /// Of the plan, sent.
    pub offered: u64,
    /// Of the plan, never sent.
    pub unsent: u64,
    /// Answered AA.
    pub accepted: u64,
    /// Answers AE.
    pub errors: u64,
    /// Answers AR.
    pub rejected: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Sent again because of AE or a cut.
    pub repeated: u64,
    /// Sent once more on purpose.
    pub duplicates: u64,
    /// Of the offered, corrections.
    pub corrections: u64,
    /// Connections that broke.
    pub cuts: u64,
    /// Answers to nothing that was sent.
    pub strays: u64,
    /// Lines in the sender's log.
    pub logged: u64,
    /// From the first instant to the last answer.
    pub took_secs: f64,
    /// AA a second over all of it.
    pub per_second: f64,
    /// AA in each minute.
    pub per_minute: Vec<u64>,
    /// From the planned instant to AA.
    pub latency_ms: Quantiles,
    /// The same for messages with forty results.
    pub latency_oru40_ms: Quantiles,
    /// From the planned instant until the bytes were handed over.
    pub lateness_ms: Quantiles,
    /// What was seen of the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<Seen>,
}

/// What was seen of the hub: the most of each, and what is left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Most messages that waited.
    pub waiting: u64,
    /// Most notices whose time to settle had come and that were not told on.
    pub unsettled: u64,
    /// Most deliveries that waited, all sinks together.
    pub pending: u64,
    /// Most deliveries that waited at each sink.
    pub pending_by_sink: BTreeMap<String, u64>,
    /// Oldest message that waited, in seconds.
    pub oldest_waiting_secs: i64,
    /// Oldest delivery that waited, in seconds.
    pub oldest_pending_secs: i64,
    /// Most memory, in bytes; 0 = not looked at.
    pub rss_bytes: u64,
    /// CPU used between the first look and the last, in seconds.
    pub cpu_secs: f64,
    /// Left at the last look: messages waiting, notices to be told on, deliveries not confirmed.
    pub left: u64,
    /// Parked or failed at the last look.
    pub stuck: u64,
    /// Held or dead at the last look.
    pub undelivered: u64,
    /// From the end of sending until nothing was left, in seconds; `None` = not waited for, or not reached.
    pub drained_secs: Option<f64>,
}

impl Seen {
    /// Sums up what was seen.
    pub fn of(watch: &Watch, drained: Option<std::time::Duration>) -> Option<Self> {
        let (first, last) = (watch.samples.first()?, watch.samples.last()?);
        let most = most(&watch.samples);
        Some(Self {
            waiting: most.waiting,
            unsettled: most.unsettled,
            pending: most.pending,
            pending_by_sink: watch.most_pending.clone(),
            oldest_waiting_secs: most.oldest_waiting_secs,
            oldest_pending_secs: most.oldest_pending_secs,
            rss_bytes: most.rss_bytes,
            cpu_secs: last.cpu.saturating_sub(first.cpu).as_secs_f64(),
            left: last.backlog(),
            stuck: last.stuck,
            undelivered: last.undelivered,
            drained_secs: drained.map(|took| took.as_secs_f64()),
        })
    }
}

impl Report {
    /// Sums up a run.
    pub fn of(seed: u64, planned: Option<u64>, sent: &Sent, hub: Option<Seen>) -> Self {
        let tally = &sent.tally;
        let took = sent.took.as_secs_f64();
        Self {
            seed,
            planned,
            offered: tally.offered,
            unsent: tally.unsent,
            accepted: tally.accepted,
            errors: tally.errors,
            rejected: tally.rejected,
            unanswered: tally.unanswered,
            repeated: tally.repeated,
            duplicates: tally.duplicates,
            corrections: tally.corrections,
            cuts: tally.cuts,
            strays: tally.strays,
            logged: sent.logged,
            took_secs: took,
            per_second: if took > 0.0 {
                ratio(tally.accepted, 1) / took
            } else {
                0.0
            },
            per_minute: tally.per_minute.clone(),
            latency_ms: Quantiles::from(&tally.all_latency()),
            latency_oru40_ms: Quantiles::from(&tally.latency[Kind::Oru40 as usize]),
            lateness_ms: Quantiles::from(&tally.lateness),
            hub,
        }
    }

    /// Whether everything of the plan was acknowledged.
    pub const fn is_whole(&self) -> bool {
        self.accepted == self.offered && self.unsent == 0
    }

    /// For people: a label, a number, a unit.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("seed {}", self.seed)];
        let counts = [
            ("planned", self.planned.unwrap_or(self.offered)),
            ("offered", self.offered),
            ("unsent", self.unsent),
            ("acknowledged AA", self.accepted),
            ("answered AE", self.errors),
            ("answered AR", self.rejected),
            ("unanswered", self.unanswered),
            ("repeated", self.repeated),
            ("duplicates", self.duplicates),
            ("corrections", self.corrections),
            ("connections cut", self.cuts),
        ];
        lines.extend(counts.map(|(label, count)| format!("{label} {count} messages")));
        lines.push(format!("took {:.1} s", self.took_secs));
        lines.push(format!("throughput {:.1} messages/s", self.per_second));
        for (minute, count) in self.per_minute.iter().enumerate() {
            lines.push(format!("minute {minute} {count} messages"));
        }
        for (label, times) in [
            ("latency", &self.latency_ms),
            ("latency oru40", &self.latency_oru40_ms),
            ("lateness", &self.lateness_ms),
        ] {
            for (name, value) in [
                ("p50", times.p50),
                ("p90", times.p90),
                ("p99", times.p99),
                ("p99.9", times.p99_9),
                ("worst", times.max),
            ] {
                lines.push(format!("{label} {name} {value:.2} ms"));
            }
        }
        lines.extend(self.hub.iter().flat_map(Seen::lines));
        lines
    }
}

impl Seen {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("hub most waiting {} messages", self.waiting),
            format!("hub oldest waiting {} s", self.oldest_waiting_secs),
            format!("hub most unsettled {} notices", self.unsettled),
            format!("hub most pending {} deliveries", self.pending),
            format!("hub oldest pending {} s", self.oldest_pending_secs),
            format!("hub left {}", self.left),
            format!("hub parked or failed {} messages", self.stuck),
            format!("hub held or dead {} deliveries", self.undelivered),
        ];
        for (sink, most) in &self.pending_by_sink {
            lines.push(format!("hub most pending at {sink} {most} deliveries"));
        }
        if self.rss_bytes > 0 {
            lines.push(format!(
                "hub most memory {:.1} MB",
                ratio(self.rss_bytes, 1_000_000)
            ));
            lines.push(format!("hub cpu {:.2} s", self.cpu_secs));
        }
        if let Some(secs) = self.drained_secs {
            lines.push(format!("hub drained after {secs:.1} s"));
        }
        lines
    }
}
