//! How a day of all Tokyo is spread over its minutes.
//!
//! From the sizing of the project (137,268 patients in 54 district associations): 374,897 events a day,
//! a fifth of them in the busiest hour, and within each hour three minutes at five times the hour's
//! mean: about 104 events a second at worst.

use std::time::Duration;

/// Events of all streams on one day.
pub const EVENTS: u64 = 374_897;
/// Patients the events are about.
pub const PATIENTS: u32 = 137_268;

/// How many of a thousand events fall into each hour; chosen, but for the fifth in the busiest hour.
const OF_THOUSAND: [u16; 24] = [
    4, 3, 3, 3, 4, 8, 16, 35, 80, 200, 120, 85, 45, 70, 70, 65, 60, 50, 30, 20, 12, 8, 5, 4,
];
/// Minutes of each hour that carry a burst.
const BURST_MINUTES: [usize; 3] = [5, 25, 45];
/// How many times the hour's mean a burst is.
const BURST: f64 = 5.0;
const MINUTES: usize = 24 * 60;

/// A day with a number of events.
#[derive(Debug, Clone)]
pub struct Day {
    /// Events until the end of each minute.
    until: Vec<u64>,
}

impl Day {
    /// Spreads `total` events.
    pub fn of(total: u64) -> Self {
        let bursts = BURST_MINUTES.len() as f64;
        let quiet = (60.0 - bursts * BURST) / (60.0 - bursts);
        let weights = (0..MINUTES).map(|minute| {
            let is_burst = BURST_MINUTES.contains(&(minute % 60));
            f64::from(OF_THOUSAND[minute / 60]) * if is_burst { BURST } else { quiet }
        });
        let whole = OF_THOUSAND
            .iter()
            .map(|share| f64::from(*share) * 60.0)
            .sum::<f64>();
        let mut so_far = 0.0;
        let mut until: Vec<u64> = weights
            .map(|weight| {
                so_far += weight;
                share(total, so_far / whole)
            })
            .collect();
        // Rounding of sums must not lose the last event.
        if let Some(last) = until.last_mut() {
            *last = total;
        }
        Self { until }
    }

    /// Events of the day.
    pub fn total(&self) -> u64 {
        self.until.last().copied().unwrap_or(0)
    }

    /// When the event at this place happens, from midnight; the end of the day beyond the last.
    pub fn at(&self, place: u64) -> Duration {
        let minute = self.until.partition_point(|until| *until <= place);
        let from = minute
            .checked_sub(1)
            .and_then(|before| self.until.get(before))
            .copied()
            .unwrap_or(0);
        let Some(until) = self.until.get(minute) else {
            return Duration::from_secs(24 * 3600);
        };
        let within = (ratio(place - from, 1) + 0.5) / ratio(until - from, 1);
        Duration::from_secs(minute as u64 * 60) + Duration::from_secs_f64(within * 60.0)
    }
}

/// A share of a count, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count of events is a count of events"
)]
fn share(total: u64, of: f64) -> u64 {
    (ratio(total, 1) * of).round() as u64
}

/// A ratio of counts.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of events are far below 2^52"
)]
pub(crate) fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_are_a_whole_day() {
        assert_eq!(
            OF_THOUSAND
                .iter()
                .map(|share| u32::from(*share))
                .sum::<u32>(),
            1000
        );
        assert_eq!(OF_THOUSAND.iter().max(), Some(&200));
    }

    #[test]
    fn every_event_has_its_place_and_none_is_lost() {
        for total in [0, 1, 7, 1_440, EVENTS] {
            let day = Day::of(total);
            assert_eq!(day.total(), total);
            let mut before = Duration::ZERO;
            for place in 0..total {
                let at = day.at(place);
                assert!(at >= before, "event {place} of {total}");
                before = at;
            }
            assert!(before < Duration::from_secs(24 * 3600));
        }
    }

    #[test]
    fn the_busiest_hour_and_minute_are_what_the_sizing_says() {
        let day = Day::of(EVENTS);
        let between = |from: u64, until: u64| {
            (0..EVENTS)
                .filter(|place| (from..until).contains(&(day.at(*place).as_secs() / 60)))
                .count()
        };
        let hour = ratio(between(9 * 60, 10 * 60) as u64, EVENTS);
        assert!((0.199..0.201).contains(&hour), "{hour}");
        let burst = ratio(between(9 * 60 + 25, 9 * 60 + 26) as u64, 60);
        assert!((103.0..105.0).contains(&burst), "{burst} events/s");
    }
}
