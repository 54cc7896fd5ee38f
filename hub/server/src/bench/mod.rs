//! `renkei bench`: measures the hub against its limit in the same run, so that a figure means something
//! on any machine. Called by `cli::bench` only.
//!
//! Every bench gives exactly one ratio; all other figures have labels of their own and a unit. Variants
//! that are compared run in turns, and the median of the turns counts: a busy machine disturbs both
//! sides alike. Nothing here is a promise about absolute speed.

pub mod convert;
pub mod ingest;
mod log;
pub mod map;
mod prebuilt;
pub mod recovery;
pub mod search;
mod senders;
mod stock;
pub mod walk;

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What one bench found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `convert`, `ingest`, `map`, `walk`, `search`.
    pub bench: &'static str,
    /// The one ratio of the bench.
    pub ratio: f64,
    /// What the ratio is of.
    pub ratio_is: &'static str,
    /// The ratio the design asks for, with its direction: `<= 3`.
    pub target: &'static str,
    /// What the reader must know about this run.
    pub conditions: Vec<String>,
    /// Everything else.
    pub figures: Vec<Figure>,
}

/// One labelled number.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What it is.
    pub label: String,
    /// The number, in `unit`.
    pub value: f64,
    /// `us`, `ms`, `bytes`, `messages/s`, `x`.
    pub unit: &'static str,
}

impl Report {
    /// Adds a figure.
    fn add(&mut self, label: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            label: label.into(),
            value,
            unit,
        });
    }

    /// The report as lines for people; exactly one begins with `ratio `.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .conditions
            .iter()
            .map(|condition| format!("# {condition}"))
            .collect();
        lines.push(format!(
            "# ratio: {}; target {}",
            self.ratio_is, self.target
        ));
        lines.push(format!("ratio {} {:.2}", self.bench, self.ratio));
        lines.extend(
            self.figures
                .iter()
                .map(|figure| format!("{} {:.2} {}", figure.label, figure.value, figure.unit)),
        );
        lines
    }
}

/// A bench could not run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A message could not be built or mapped.
    #[error("a message of the bench cannot be made: {0}")]
    Message(String),
    /// A message could not be built.
    #[error("a message of the bench cannot be built")]
    Build(#[from] renkei_hl7v2::build::BuildError),
    /// Both sides must do the same work; they did not.
    #[error("the two sides differ: {0}")]
    Unequal(String),
    /// The ledger.
    #[error("the ledger")]
    Store(#[from] crate::store::StoreError),
    /// The listener.
    #[error("the listener")]
    Source(#[from] renkei_core::SourceError),
    /// The hub with processing.
    #[error("the hub")]
    Hub(#[from] crate::hub::HubError),
    /// The ledger, as operators write it.
    #[error("the ledger")]
    Operate(#[from] crate::store::operator::OperateError),
    /// The senders.
    #[error("the senders")]
    Load(#[from] crate::load::LoadError),
    /// The hub cannot be looked at.
    #[error("looking at the hub")]
    Watch(#[from] crate::load::watch::WatchError),
    /// A hub or a peer could not be put up, or did not go on.
    #[error("the stage")]
    Stage(#[source] renkei_core::BoxError),
    /// Files, sockets, threads.
    #[error("the operating system")]
    Io(#[from] std::io::Error),
}

impl Failure {
    fn stage(error: anyhow::Error) -> Self {
        Self::Stage(error.into())
    }
}

/// CPU time this thread has used.
fn thread_cpu() -> Duration {
    spent(ClockId::ThreadCPUTime)
}

/// CPU time this process has used, all threads.
fn process_cpu() -> Duration {
    spent(ClockId::ProcessCPUTime)
}

fn spent(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// The median; 0 of nothing.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[values.len() / 2],
        values => f64::midpoint(values[values.len() / 2 - 1], values[values.len() / 2]),
    }
}

/// Whether the folder lies on tmpfs, where a sync costs nothing.
fn is_in_memory(folder: &Path) -> bool {
    /// `TMPFS_MAGIC` of `linux/magic.h`.
    const TMPFS: i64 = 0x0102_1994;
    rustix::fs::statfs(folder).is_ok_and(|disk| disk.f_type == TMPFS)
}

/// The value that `share` of all do not exceed; 0 of nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a length"
)]
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (float(values.len().saturating_sub(1)) * share).ceil() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

/// A count as a number to divide.
#[expect(
    clippy::cast_precision_loss,
    reason = "sizes of messages are far below 2^52"
)]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_one_ratio_line() {
        let mut report = Report {
            bench: "convert",
            ratio: 1.234,
            ratio_is: "a over b",
            target: "<= 3",
            conditions: vec!["here".to_owned()],
            figures: Vec::new(),
        };
        report.add("convert.adt", 2.0, "us");
        let lines = report.lines();
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("ratio "))
                .count(),
            1
        );
        assert!(lines.contains(&"ratio convert 1.23".to_owned()));
        assert!(lines.contains(&"convert.adt 2.00 us".to_owned()));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]).to_string(), "2.5");
        assert_eq!(median(&mut []).to_string(), "0");
        let mut hundred: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut hundred, 0.99).to_string(), "100");
        assert_eq!(quantile(&mut [], 0.5).to_string(), "0");
    }
}
