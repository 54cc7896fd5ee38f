//! The one way to read the time, so that a test or a rehearsal can set it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The instant now, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Japan Standard Time, `+09:00`, without summer time: the zone of every source unless its
/// configuration names another.
pub fn japan() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(9))
}

/// The wall-clock reading in Japan at an instant, as posts show it.
pub fn in_japan(instant: Timestamp) -> DateTime {
    japan().to_datetime(instant)
}
