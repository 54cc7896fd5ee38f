//! How long a group waits for more messages before it is committed: each commit costs the same for one as
//! for ten. It learns from the groups before: as many as came last time, and now and then one more, are
//! waited for, and never longer than [`MOMENT`]. A sender that waits for each answer before it sends again is
//! thereby almost never kept waiting, however many of its kind there are: once they are all in, the group goes.

use std::time::Duration;

use renkei_core::limits;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Queued;

/// The longest a message waits for its group.
const MOMENT: Duration = Duration::from_millis(5);
/// After that many vain hopes in a row the hope comes no rarer: once in 2^6 groups.
const MOST_VAIN: u32 = 6;

/// How many are hoped for.
#[derive(Debug, Default)]
pub(super) struct Hope {
    /// The size of the last group.
    last: usize,
    /// Groups in a row that hoped for one more in vain.
    vain: u32,
    /// Groups until one more is hoped for again.
    modest: u32,
}

impl Hope {
    /// How many the next group waits for.
    fn size(&self) -> usize {
        self.last + usize::from(self.modest == 0)
    }

    /// A group went with that many.
    fn went(&mut self, size: usize) {
        if size > self.last {
            (self.vain, self.modest) = (0, 0);
        } else if self.modest > 0 {
            self.modest -= 1;
        } else {
            self.vain = (self.vain + 1).min(MOST_VAIN);
            self.modest = 1 << self.vain;
        }
        self.last = size;
    }
}

/// The group that begins with `first`: all that is queued, and what comes in a moment as far as there is
/// hope.
pub(super) async fn group(
    first: Queued,
    queued: &mut mpsc::Receiver<Queued>,
    hope: &mut Hope,
) -> Vec<Queued> {
    let until = Instant::now() + MOMENT;
    let mut bytes = first.prepared.message.body.len();
    let mut group = vec![first];
    while group.len() < limits::ACCEPT_GROUP && bytes < limits::ACCEPT_GROUP_BYTES {
        let next = match queued.try_recv() {
            Ok(next) => next,
            Err(_) if group.len() >= hope.size() => break,
            Err(_) => match timeout_at(until, queued.recv()).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(_) => break,
            },
        };
        bytes += next.prepared.message.body.len();
        group.push(next);
    }
    hope.went(group.len());
    group
}

#[cfg(test)]
mod tests {
    use super::Hope;

    /// Groups as they come when `present` are there at once and nobody comes later; gives how often it was
    /// waited in vain.
    fn waits(hope: &mut Hope, present: usize, groups: usize) -> usize {
        let mut waited = 0;
        for _ in 0..groups {
            waited += usize::from(present < hope.size());
            hope.went(present);
        }
        waited
    }

    #[test]
    fn one_that_waits_for_each_answer_is_seldom_kept_waiting() {
        let mut hope = Hope::default();
        assert!(waits(&mut hope, 1, 1_000) <= 25);
        assert!(waits(&mut hope, 64, 1_000) <= 25);
    }

    #[test]
    fn groups_grow_while_more_come_in_time() {
        let mut hope = Hope::default();
        for size in 1..=10 {
            assert_eq!(hope.size(), size);
            hope.went(size);
        }
        // As many as last time are waited for; one more only after a while.
        hope.went(10);
        assert_eq!(hope.size(), 10);
    }

    #[test]
    fn fewer_senders_are_waited_for_in_vain_only_once() {
        let mut hope = Hope::default();
        let _many = waits(&mut hope, 40, 10);
        hope.went(2);
        assert!(hope.size() <= 3);
    }
}
