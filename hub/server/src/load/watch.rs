//! Looks at a hub while it is loaded: what waits in its ledger, and what its process uses.
//!
//! The ledger is read as `renkei status` reads it, beside the running hub; the process is read from
//! `/proc`. Samples are kept whole, half a second apart: two a second for a day are a few megabytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use renkei_core::{Clock, Code};
use serde::Serialize;
use tokio::time::Instant;

use crate::config::Checked;
use crate::store::sql::{Access, Database};
use crate::store::watch::Watch as _;
use crate::store::{Store as _, StoreError};

/// From one sample to the next, usually.
pub const EVERY: Duration = Duration::from_millis(500);

/// One look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds since the first look.
    pub at_secs: f64,
    /// Messages accepted and not processed.
    pub waiting: u64,
    /// Notices whose time to settle has come and that have not become deliveries.
    pub unsettled: u64,
    /// Deliveries not sent.
    pub pending: u64,
    /// Deliveries sent and not confirmed.
    pub sent: u64,
    /// Age of the oldest message that waits, in seconds.
    pub oldest_waiting_secs: i64,
    /// Age of the oldest delivery that waits, in seconds.
    pub oldest_pending_secs: i64,
    /// Messages parked or failed.
    pub stuck: u64,
    /// Deliveries held or dead, those aside that a newer version replaced.
    pub undelivered: u64,
    /// Whether a notice has yet to settle.
    pub settling: bool,
    /// Memory of the hub, in bytes.
    pub rss_bytes: u64,
    /// CPU the hub has used since it started.
    pub cpu: Duration,
}

impl Sample {
    /// What has not gone the whole way.
    pub const fn backlog(&self) -> u64 {
        self.waiting + self.unsettled + self.pending + self.sent
    }

    /// Nothing is left to do.
    pub const fn is_drained(&self) -> bool {
        self.backlog() == 0 && !self.settling
    }
}

/// What is looked at.
pub struct Watch {
    ledger: Option<(Database, Arc<dyn Clock>)>,
    pid: Option<u32>,
    began: Instant,
    /// Every look so far.
    pub samples: Vec<Sample>,
    /// The most deliveries that waited at each sink.
    pub most_pending: BTreeMap<String, u64>,
}

/// Looking was not possible.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The configuration cannot be used; `renkei check` says why.
    #[error("the configuration cannot be used: {}", .0.display())]
    Config(PathBuf),
    /// The ledger.
    #[error("the ledger")]
    Store(#[from] StoreError),
    /// The process is not there (any more).
    #[error("process {0} cannot be read")]
    Process(u32),
}

impl Watch {
    /// Opens the ledger that a configuration names, and notes the process.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn open(config: Option<&Path>, pid: Option<u32>) -> Result<Self, WatchError> {
        let ledger = match config {
            None => None,
            Some(config) => {
                let checked = Checked::read(config)
                    .map_err(|_problems| WatchError::Config(config.to_owned()))?;
                let ledger = Database::open(&checked.place, Access::Command).await?;
                Some((ledger, checked.clock()))
            }
        };
        Ok(Self {
            ledger,
            pid,
            began: Instant::now(),
            samples: Vec::new(),
            most_pending: BTreeMap::new(),
        })
    }

    /// Looks now.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn look(&mut self) -> Result<Sample, WatchError> {
        let mut sample = Sample {
            at_secs: self.began.elapsed().as_secs_f64(),
            ..Sample::default()
        };
        if let Some((ledger, clock)) = &self.ledger {
            let now = clock.now();
            // What leaves one queue may enter the other between two looks: the first queue first.
            let standing = ledger.standing(now).await?;
            sample.settling = ledger.next_due().await?.is_some();
            sample.waiting = standing.waiting;
            sample.unsettled = standing.unsettled;
            sample.oldest_waiting_secs = standing.oldest_waiting_secs.unwrap_or(0);
            for (sink, line) in &standing.lines {
                sample.pending += line.pending;
                sample.sent += line.sent;
                let oldest = line.oldest_pending_secs.unwrap_or(0);
                sample.oldest_pending_secs = sample.oldest_pending_secs.max(oldest);
                let most = self.most_pending.entry(sink.to_string()).or_default();
                *most = line.pending.max(*most);
            }
            sample.stuck = standing.parked + standing.failed;
            // What a newer version has replaced before it was sent is no loss.
            let lost = |(code, _): &(&String, &u64)| code.as_str() != Code::DLV_SUPERSEDED.as_str();
            let dead = standing.dead.iter().filter(lost).map(|(_, count)| count);
            sample.undelivered = standing.held.values().chain(dead).sum();
        }
        if let Some(pid) = self.pid {
            sample.rss_bytes = rss(pid).ok_or(WatchError::Process(pid))?;
            sample.cpu = cpu(pid).ok_or(WatchError::Process(pid))?;
        }
        self.samples.push(sample);
        Ok(sample)
    }

    /// Looks again and again until this future is dropped or a look fails.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn keep_looking(
        &mut self,
        every: Duration,
        mut each: impl FnMut(&Sample),
    ) -> Result<std::convert::Infallible, WatchError> {
        loop {
            each(&self.look().await?);
            tokio::time::sleep(every).await;
        }
    }

    /// Waits until nothing is left to do; gives how long that took, or `None` when it did not come to
    /// pass within `limit`.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn drained(&mut self, limit: Duration) -> Result<Option<Duration>, WatchError> {
        let began = Instant::now();
        let mut is_still = false;
        loop {
            // Twice in a row: between two looks a message may have become a delivery.
            let is_drained = self.look().await?.is_drained();
            if is_drained && is_still {
                return Ok(Some(began.elapsed()));
            }
            is_still = is_drained;
            if began.elapsed() > limit {
                return Ok(None);
            }
            tokio::time::sleep(EVERY / 5).await;
        }
    }
}

/// The most of everything that was seen.
pub fn most<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Sample {
    let mut most = Sample::default();
    for sample in samples {
        most.at_secs = most.at_secs.max(sample.at_secs);
        most.waiting = most.waiting.max(sample.waiting);
        most.unsettled = most.unsettled.max(sample.unsettled);
        most.pending = most.pending.max(sample.pending);
        most.sent = most.sent.max(sample.sent);
        most.oldest_waiting_secs = most.oldest_waiting_secs.max(sample.oldest_waiting_secs);
        most.oldest_pending_secs = most.oldest_pending_secs.max(sample.oldest_pending_secs);
        most.stuck = most.stuck.max(sample.stuck);
        most.undelivered = most.undelivered.max(sample.undelivered);
        most.settling |= sample.settling;
        most.rss_bytes = most.rss_bytes.max(sample.rss_bytes);
        most.cpu = most.cpu.max(sample.cpu);
    }
    most
}

/// Memory of a process, in bytes.
fn rss(pid: u32) -> Option<u64> {
    status(pid, "VmRSS:")
}

/// The most memory a process has had since it began or was told to forget, in bytes.
pub fn peak(pid: u32) -> Option<u64> {
    status(pid, "VmHWM:")
}

/// Makes this process forget its peak; where that is not allowed, [`peak`] stays what it was.
pub fn forget_peak() {
    let _ok = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(pid: u32, label: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// CPU a process has used: user and system time of all its threads.
fn cpu(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may hold anything; what follows its bracket does not.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = |text: &str| text.parse::<u64>().ok();
    let used = ticks(fields.next()?)? + ticks(fields.next()?)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_micros(used * 1_000_000 / per_second.max(1)))
}

/// How a series grows: its slope per second by least squares; 0 of fewer than three points.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    if points.len() < 3 {
        return 0.0;
    }
    let count = super::day::ratio(points.len() as u64, 1);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_a_slope() {
        let line: Vec<_> = (0..20)
            .map(|x| (f64::from(x), 3.0 + 2.5 * f64::from(x)))
            .collect();
        assert!((slope(&line) - 2.5).abs() < 1e-9);
        let level: Vec<_> = (0..20).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        assert!(slope(&level).abs() < 0.02);
        assert!(slope(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]).abs() < 1e-9);
        assert!(slope(&[]).abs() < 1e-9);
    }

    #[test]
    fn this_process_can_be_read_and_none_other_is_made_up() {
        let own = std::process::id();
        assert!(rss(own).is_some_and(|bytes| bytes > 1_000_000));
        assert!(cpu(own).is_some());
        assert!(rss(u32::MAX).is_none() && cpu(u32::MAX).is_none());
    }
}
