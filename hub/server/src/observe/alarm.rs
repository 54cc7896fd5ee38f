//! When an alarm is raised and when it is over: pure, over figures that were read. An alarm is raised
//! once, stays raised until all has been well for a while, and is resolved once.
//!
//! Called by `watcher`. It knows no clock, no ledger, and tells nobody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use renkei_core::{Code, SinkName};

use super::config::Alarms;
use crate::inbox::space::Free;
use crate::store::watch::Standing;

/// Dead as they should be: nobody has to do anything.
pub(crate) const ENDED_WELL: [Code; 2] = [Code::DLV_SUPERSEDED, Code::DLV_RECALLED];

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// Are messages processed?
    OldestWaiting,
    /// Do deliveries get out?
    OldestPending,
    /// Does a message wait for a person?
    Parked,
    /// Did a delivery end without its readers?
    Dead,
    /// Is there room?
    FreeSpace,
    /// Does the peer answer?
    SinkPaused,
}

impl Question {
    const ALL: [Self; 6] = [
        Self::OldestWaiting,
        Self::OldestPending,
        Self::Parked,
        Self::Dead,
        Self::FreeSpace,
        Self::SinkPaused,
    ];

    /// As the ledger, the metrics and the webhook say it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OldestWaiting => "oldest_waiting",
            Self::OldestPending => "oldest_pending",
            Self::Parked => "parked",
            Self::Dead => "dead",
            Self::FreeSpace => "free_space",
            Self::SinkPaused => "sink_paused",
        }
    }

    /// The page an operator reads.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::OldestWaiting => Code::OPS_WAITING,
            Self::OldestPending => Code::OPS_PENDING,
            Self::Parked => Code::OPS_PARKED,
            Self::Dead => Code::OPS_DEAD,
            Self::FreeSpace => Code::OPS_SPACE,
            Self::SinkPaused => Code::OPS_SINK_PAUSED,
        }
    }

    /// Finds a question by its name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|question| question.name() == name)
    }
}

/// One alarm there can be: a question, and the sink it is about when it is asked per sink.
pub(crate) type Subject = (Question, Option<SinkName>);

/// What was read about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// About what.
    pub(crate) subject: Subject,
    /// Seconds, a count, or bytes.
    pub(crate) value: u64,
    /// Where it becomes an alarm.
    pub(crate) limit: u64,
    /// Whether it is one.
    pub(crate) bad: bool,
}

/// Everything the questions are answered from.
pub(crate) struct Figures<'f> {
    /// How the queues stand; `None` when the ledger did not answer.
    pub(crate) standing: Option<&'f Standing>,
    /// The space of the ledger's disk; `None` when it cannot be asked.
    pub(crate) free: Option<Free>,
    /// Lines that are paused, and for how long.
    pub(crate) paused: &'f BTreeMap<SinkName, Duration>,
    /// Every sink of the configuration.
    pub(crate) sinks: &'f [SinkName],
}

/// Answers every question that can be answered.
pub(crate) fn read(figures: &Figures<'_>, limits: &Alarms) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut at_least = |subject: Subject, value: u64, limit: u64| {
        readings.push(Reading {
            subject,
            value,
            limit,
            bad: limit > 0 && value >= limit,
        });
    };
    if let Some(standing) = figures.standing {
        let waits = secs(standing.oldest_waiting_secs);
        at_least(
            (Question::OldestWaiting, None),
            waits,
            limits.oldest_waiting_secs,
        );
        at_least((Question::Parked, None), standing.parked, limits.parked);
        let well = |code: &String| ENDED_WELL.iter().any(|well| well.as_str() == code);
        let dead = standing.dead.iter().filter(|(code, _)| !well(code));
        let dead = dead.map(|(_, count)| count).sum();
        at_least((Question::Dead, None), dead, limits.dead);
        for sink in figures.sinks {
            let line = standing.lines.get(sink).copied().unwrap_or_default();
            let waits = secs(line.oldest_pending_secs);
            let subject = (Question::OldestPending, Some(sink.clone()));
            at_least(subject, waits, limits.oldest_pending_secs);
            // A pause that nobody waits for harms nobody.
            let paused = figures.paused.get(sink).filter(|_| line.pending > 0);
            let paused = paused.map_or(0, Duration::as_secs);
            let subject = (Question::SinkPaused, Some(sink.clone()));
            at_least(subject, paused, limits.sink_paused_secs);
        }
    }
    if let Some(free) = figures.free {
        let limit = free.of / 100 * limits.free_space_percent;
        readings.push(Reading {
            subject: (Question::FreeSpace, None),
            value: free.bytes,
            limit,
            bad: free.bytes < limit,
        });
    }
    readings
}

fn secs(age: Option<i64>) -> u64 {
    age.map_or(0, |age| u64::try_from(age).unwrap_or(0))
}

/// Which alarms are raised, and since when all has been well with them.
#[derive(Debug, Default)]
pub(crate) struct Raised(BTreeMap<Subject, Option<Instant>>);

impl Raised {
    /// Takes over what an earlier run left raised.
    pub(crate) fn remember(&mut self, subject: Subject) {
        self.0.insert(subject, None);
    }

    /// Whether an alarm is raised.
    pub(crate) fn has(&self, subject: &Subject) -> bool {
        self.0.contains_key(subject)
    }

    /// Raised subjects that nobody reads about any more: their sink has left the configuration.
    pub(crate) fn orphans(&self, sinks: &[SinkName]) -> Vec<Reading> {
        let gone =
            |sink: &Option<SinkName>| sink.as_ref().is_some_and(|sink| !sinks.contains(sink));
        let orphans = self.0.keys().filter(|(_, sink)| gone(sink));
        let reading = |subject: &Subject| Reading {
            subject: subject.clone(),
            value: 0,
            limit: 0,
            bad: false,
        };
        orphans.map(reading).collect()
    }

    /// What a reading turns at `now`: `Some(true)` raises the alarm, `Some(false)` resolves it after
    /// `good_for` without a bad reading.
    pub(crate) fn turn(
        &mut self,
        reading: &Reading,
        now: Instant,
        good_for: Duration,
    ) -> Option<bool> {
        match (self.0.get_mut(&reading.subject), reading.bad) {
            (None, false) => None,
            (None, true) => {
                self.0.insert(reading.subject.clone(), None);
                Some(true)
            }
            (Some(good_since), true) => {
                *good_since = None;
                None
            }
            (Some(good_since), false) => {
                let since = *good_since.get_or_insert(now);
                if now.duration_since(since) < good_for {
                    return None;
                }
                self.0.remove(&reading.subject);
                Some(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::watch::LineStanding;

    const GOOD_FOR: Duration = Duration::from_secs(300);

    fn standing() -> Standing {
        Standing::default()
    }

    fn bad(standing: &Standing, paused: &BTreeMap<SinkName, Duration>) -> Vec<Subject> {
        let sinks = [SinkName::new("mcs"), SinkName::new("ward")];
        let figures = Figures {
            standing: Some(standing),
            free: Some(Free { bytes: 11, of: 100 }),
            paused,
            sinks: &sinks,
        };
        let readings = read(&figures, &Alarms::default());
        let bad = readings.into_iter().filter(|reading| reading.bad);
        bad.map(|reading| reading.subject).collect()
    }

    #[test]
    fn each_question_has_its_limit() {
        let nothing = BTreeMap::new();
        let mcs = Some(SinkName::new("mcs"));
        assert_eq!(bad(&standing(), &nothing), []);
        let mut late = standing();
        late.oldest_waiting_secs = Some(599);
        assert_eq!(bad(&late, &nothing), []);
        late.oldest_waiting_secs = Some(600);
        late.parked = 1;
        late.dead.insert(Code::DLV_SUPERSEDED.to_string(), 7);
        assert_eq!(
            bad(&late, &nothing),
            [(Question::OldestWaiting, None), (Question::Parked, None)]
        );
        let mut dead = standing();
        dead.dead.insert(Code::DLV_EXPIRED.to_string(), 1);
        assert_eq!(bad(&dead, &nothing), [(Question::Dead, None)]);
        let mut line = standing();
        let waits = LineStanding {
            pending: 1,
            oldest_pending_secs: Some(3_600),
            sent: 0,
        };
        line.lines.insert(SinkName::new("mcs"), waits);
        assert_eq!(
            bad(&line, &nothing),
            [(Question::OldestPending, mcs.clone())]
        );
        line.lines
            .get_mut(&SinkName::new("mcs"))
            .unwrap()
            .oldest_pending_secs = Some(1);
        let paused = BTreeMap::from([
            (SinkName::new("mcs"), Duration::from_secs(600)),
            // Nothing waits for it.
            (SinkName::new("ward"), Duration::from_secs(6_000)),
        ]);
        assert_eq!(bad(&line, &paused), [(Question::SinkPaused, mcs)]);
    }

    #[test]
    fn without_the_ledger_only_the_disk_is_judged() {
        let nothing = BTreeMap::new();
        let figures = |bytes| Figures {
            standing: None,
            free: Some(Free { bytes, of: 1_000 }),
            paused: &nothing,
            sinks: &[],
        };
        for (bytes, expected) in [(100, false), (99, true)] {
            let readings = read(&figures(bytes), &Alarms::default());
            assert_eq!(readings.len(), 1);
            assert_eq!(readings[0].bad, expected, "{bytes}");
        }
        let never = Alarms {
            free_space_percent: 0,
            ..Alarms::default()
        };
        assert!(!read(&figures(0), &never)[0].bad);
    }

    #[test]
    fn a_flapping_alarm_is_raised_once_and_resolved_once() {
        let start = Instant::now();
        let mut raised = Raised::default();
        let reading = |bad| Reading {
            subject: (Question::Parked, None),
            value: 1,
            limit: 1,
            bad,
        };
        let mut turns = Vec::new();
        // Bad every fourth minute of an hour, then well.
        for minute in 0..70_u64 {
            let bad = minute < 60 && minute % 4 == 0;
            let now = start + Duration::from_secs(minute * 60);
            turns.extend(
                raised
                    .turn(&reading(bad), now, GOOD_FOR)
                    .map(|turn| (minute, turn)),
            );
        }
        // The last bad reading was in minute 56; minute 57 was the first good one.
        assert_eq!(turns, [(0, true), (62, false)]);
    }

    #[test]
    fn what_an_earlier_run_left_raised_is_not_raised_again() {
        let now = Instant::now();
        let mut raised = Raised::default();
        let subject = (Question::OldestPending, Some(SinkName::new("gone")));
        raised.remember(subject.clone());
        let still = Reading {
            subject: subject.clone(),
            value: 9_999,
            limit: 1,
            bad: true,
        };
        assert_eq!(raised.turn(&still, now, GOOD_FOR), None);
        // Its sink left the configuration: it is over after the usual time.
        let orphans = raised.orphans(&[]);
        assert_eq!(orphans.len(), 1);
        assert_eq!(raised.turn(&orphans[0], now, GOOD_FOR), None);
        assert_eq!(
            raised.turn(&orphans[0], now + GOOD_FOR, GOOD_FOR),
            Some(false)
        );
        assert!(raised.orphans(&[]).is_empty());
    }
}
