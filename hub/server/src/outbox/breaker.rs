//! Pauses a sink while its peer is unavailable: open after a few failures in a row, one probe when the
//! pause is over, closed by one success.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Failures in a row that open it.
const FAILURES: u32 = 3;

/// The state of one sink's line.
#[derive(Debug)]
pub struct Breaker {
    first_pause: Duration,
    longest_pause: Duration,
    failures: u32,
    open_until: Option<Timestamp>,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allows {
    /// Everything due.
    All,
    /// One delivery, to see whether the peer is back.
    Probe,
    /// Nothing yet.
    Nothing,
}

impl Breaker {
    /// A closed breaker: pauses start at `first_pause` and double up to `longest_pause`.
    pub fn new(first_pause: Duration, longest_pause: Duration) -> Self {
        Self {
            first_pause,
            longest_pause,
            failures: 0,
            open_until: None,
        }
    }

    /// What may be sent at `now`.
    pub fn allows(&self, now: Timestamp) -> Allows {
        match self.open_until {
            None => Allows::All,
            Some(until) if now >= until || self.is_beyond(until, now) => Allows::Probe,
            Some(_) => Allows::Nothing,
        }
    }

    /// No pause is so long: the clock was set back since it began.
    fn is_beyond(&self, until: Timestamp, now: Timestamp) -> bool {
        SignedDuration::try_from(self.longest_pause)
            .is_ok_and(|longest| until.duration_since(now) > longest)
    }

    /// The peer was unavailable. Returns whether this opened the breaker.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return false;
        }
        let doubled = self
            .first_pause
            .saturating_mul(1 << (self.failures - FAILURES).min(16));
        let pause = SignedDuration::try_from(doubled.min(self.longest_pause))
            .unwrap_or(SignedDuration::from_mins(15));
        let opened = self.open_until.is_none();
        self.open_until = now.checked_add(pause).ok();
        opened
    }

    /// The peer answered.
    pub fn worked(&mut self) {
        self.failures = 0;
        self.open_until = None;
    }

    /// Until when nothing is sent.
    pub fn open_until(&self) -> Option<Timestamp> {
        self.open_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_open_it_and_one_success_closes_it() {
        let now = Timestamp::UNIX_EPOCH;
        let mut breaker = Breaker::new(Duration::from_secs(10), Duration::from_secs(60));
        assert!(!breaker.failed(now) && !breaker.failed(now) && breaker.failed(now));
        assert_eq!(breaker.allows(now), Allows::Nothing);
        let later = now + SignedDuration::from_secs(10);
        assert_eq!(breaker.allows(later), Allows::Probe);
        assert!(!breaker.failed(later));
        assert_eq!(
            breaker.allows(later + SignedDuration::from_secs(19)),
            Allows::Nothing
        );
        let a_day_before = now - SignedDuration::from_hours(24);
        assert_eq!(breaker.allows(a_day_before), Allows::Probe);
        breaker.worked();
        assert_eq!(breaker.allows(later), Allows::All);
    }
}
