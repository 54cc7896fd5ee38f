//! Notices that the machine's clock was set back. Timers are rows with an instant: after a jump back by a
//! day they would all wait a day longer. Called by `hub` now and then; nothing here sets a clock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Smaller steps are those of a clock being kept right; they delay a timer by as much.
const STEP: SignedDuration = SignedDuration::from_secs(60);

/// The hands of the clock as they were seen last.
#[derive(Debug, Default)]
pub struct Hands {
    seen: Option<(Timestamp, Instant)>,
}

impl Hands {
    /// Whether the clock shows less than it must by now. At the first look too: it may have been set back
    /// while nobody ran.
    pub fn were_set_back(&self, now: Timestamp) -> bool {
        self.seen.is_none_or(|(seen, at)| {
            let passed = SignedDuration::try_from(at.elapsed()).unwrap_or(SignedDuration::ZERO);
            now.duration_since(seen) + STEP < passed
        })
    }

    /// What the clock shows is taken as right from now on.
    pub fn see(&mut self, now: Timestamp) {
        self.seen = Some((now, Instant::now()));
    }
}

/// The instant after twice a wait: nothing that waits by itself waits longer.
pub fn beyond(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait.saturating_mul(2))
        .ok()
        .and_then(|wait| now.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_back_is_one() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(48);
        let mut hands = Hands::default();
        assert!(hands.were_set_back(now), "nobody knows what was before");
        hands.see(now);
        assert!(!hands.were_set_back(now));
        assert!(!hands.were_set_back(now - SignedDuration::from_secs(30)));
        assert!(!hands.were_set_back(now + SignedDuration::from_hours(24)));
        assert!(hands.were_set_back(now - SignedDuration::from_hours(24)));
    }

    #[test]
    fn beyond_is_never_before() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            beyond(now, Duration::from_secs(60)),
            now + SignedDuration::from_mins(2)
        );
        assert_eq!(beyond(now, Duration::MAX), Timestamp::MAX);
    }
}
