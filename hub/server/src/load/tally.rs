//! What is counted while messages are sent, in bounded memory.

use std::time::Duration;

use super::messages::Kind;

/// Parts of each doubling, as a power of two: a figure is off by 1/64 of itself at most.
const FINENESS: u32 = 6;
/// Beyond this (about 38 hours in microseconds) everything counts as this.
const LONGEST: u64 = 1 << 37;

/// Times in microseconds, and how often each was seen.
#[derive(Debug, Clone)]
pub struct Times {
    counts: Vec<u64>,
    count: u64,
    longest: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: vec![0; slot(LONGEST) + 1],
            count: 0,
            longest: 0,
        }
    }
}

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        if let Some(count) = self.counts.get_mut(slot(micros.min(LONGEST))) {
            *count += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(micros);
    }

    /// Adds all of another.
    pub fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The time in milliseconds that `share` of all did not exceed, rounded up to the fineness; 0 of none.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut left = super::day::ratio(self.count, 1) * share;
        for (slot, count) in self.counts.iter().enumerate() {
            left -= super::day::ratio(*count, 1);
            if *count > 0 && left <= 0.0 {
                return millis(upper(slot).min(self.longest));
            }
        }
        self.longest_ms()
    }

    /// The longest in milliseconds, exactly.
    pub fn longest_ms(&self) -> f64 {
        millis(self.longest)
    }
}

fn millis(micros: u64) -> f64 {
    super::day::ratio(micros, 1000)
}

/// Which slot a number falls into: one each below `2^FINENESS`, then `2^FINENESS` per doubling.
fn slot(micros: u64) -> usize {
    let doublings = (u64::BITS - micros.leading_zeros()).saturating_sub(FINENESS + 1);
    let place = (u64::from(doublings) << FINENESS) + (micros >> doublings);
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The largest number of a slot.
fn upper(slot: usize) -> u64 {
    let slot = slot as u64;
    let doublings = (slot >> FINENESS).saturating_sub(1);
    let place = slot - (doublings << FINENESS);
    ((place + 1) << doublings) - 1
}

/// What became of the messages of one connection, or of all.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Messages of the plan that were sent.
    pub offered: u64,
    /// Answered AA (CA).
    pub accepted: u64,
    /// Answers AE (CE); with repetition the message is sent again.
    pub errors: u64,
    /// Answers AR (CR): refused for good.
    pub rejected: u64,
    /// Sent again because of AE or a connection that was cut.
    pub repeated: u64,
    /// Sent once more on purpose after they were acknowledged.
    pub duplicates: u64,
    /// Of the offered, those that correct what was said before.
    pub corrections: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Of the plan, never sent: nobody took it until patience ended.
    pub unsent: u64,
    /// Connections that broke.
    pub cuts: u64,
    /// Answers that belong to nothing that was sent.
    pub strays: u64,
    /// From the planned instant to AA, per kind in the order of [`Kind::ALL`].
    pub latency: [Times; 4],
    /// From the planned instant to the moment the bytes were handed to the connection.
    pub lateness: Times,
    /// AA per minute of the run.
    pub per_minute: Vec<u64>,
}

impl Tally {
    /// Counts an AA that came so long after its planned instant, in this moment of the run.
    pub fn accept(&mut self, kind: Kind, latency: Duration, at: Duration) {
        self.accepted += 1;
        if let Some(times) = self.latency.get_mut(kind as usize) {
            times.add(latency);
        }
        let minute = usize::try_from(at.as_secs() / 60).unwrap_or(0);
        if self.per_minute.len() <= minute {
            self.per_minute.resize(minute + 1, 0);
        }
        if let Some(count) = self.per_minute.get_mut(minute) {
            *count += 1;
        }
    }

    /// Adds all of another.
    pub fn join(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.offered, other.offered),
            (&mut self.accepted, other.accepted),
            (&mut self.errors, other.errors),
            (&mut self.rejected, other.rejected),
            (&mut self.repeated, other.repeated),
            (&mut self.duplicates, other.duplicates),
            (&mut self.corrections, other.corrections),
            (&mut self.unanswered, other.unanswered),
            (&mut self.unsent, other.unsent),
            (&mut self.cuts, other.cuts),
            (&mut self.strays, other.strays),
        ] {
            *mine += theirs;
        }
        for (mine, theirs) in self.latency.iter_mut().zip(&other.latency) {
            mine.join(theirs);
        }
        self.lateness.join(&other.lateness);
        let minutes = self.per_minute.len().max(other.per_minute.len());
        self.per_minute.resize(minutes, 0);
        for (mine, theirs) in self.per_minute.iter_mut().zip(&other.per_minute) {
            *mine += theirs;
        }
    }

    /// Latency of all kinds together.
    pub fn all_latency(&self) -> Times {
        let mut all = Times::default();
        for times in &self.latency {
            all.join(times);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_and_the_longest_is_exact() {
        let mut times = Times::default();
        for micros in 1..=100_000 {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(times.count(), 100_000);
        for (share, wanted) in [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (0.999, 99.9)] {
            let found = times.quantile_ms(share);
            assert!(
                found >= wanted && found <= wanted * 1.016,
                "{share}: {found}"
            );
        }
        assert_eq!(times.longest_ms().to_string(), "100");
        assert_eq!(times.quantile_ms(1.0).to_string(), "100");
    }

    #[test]
    fn of_nothing_everything_is_zero() {
        let times = Times::default();
        assert_eq!(times.quantile_ms(0.99).to_string(), "0");
        assert_eq!(times.longest_ms().to_string(), "0");
    }

    #[test]
    fn every_number_lies_in_its_slot() {
        let mut before = None;
        for micros in (0..5_000).chain((13..37).map(|power| (1 << power) - 1)) {
            let slot = slot(micros);
            assert!(upper(slot) >= micros, "{micros}");
            assert!(slot == 0 || upper(slot - 1) < micros, "{micros}");
            assert!(before.is_none_or(|before| before <= slot));
            before = Some(slot);
        }
        let mut times = Times::default();
        times.add(Duration::MAX);
        assert_eq!(times.count(), 1);
    }

    #[test]
    fn tallies_add_up() {
        let mut one = Tally::default();
        one.accept(Kind::Adt, Duration::from_millis(4), Duration::from_secs(59));
        let mut other = Tally {
            cuts: 2,
            ..Tally::default()
        };
        other.accept(
            Kind::Oru40,
            Duration::from_millis(9),
            Duration::from_secs(61),
        );
        one.join(&other);
        assert_eq!((one.accepted, one.cuts), (2, 2));
        assert_eq!(one.per_minute, [1, 1]);
        assert_eq!(one.all_latency().count(), 2);
        assert_eq!(one.all_latency().longest_ms().to_string(), "9");
    }
}
