//! What is sent when, decided before anything is sent: a pure function of the seed and a place in the
//! plan. Nothing of it is kept, so a plan of any length takes no memory, and every connection reads its
//! own part without asking the others.

use std::time::Duration;

use super::day::{Day, ratio};
use super::dice::{For, roll, within};
use super::messages::Kind;

/// Everything that decides what is sent.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The same seed gives the same plan.
    pub seed: u64,
    /// Connections; those of one patient are always the same.
    pub lines: u32,
    /// Patients the messages are about; at least one per connection.
    pub patients: u32,
    /// How many of each kind.
    pub mix: Mix,
    /// When.
    pub pace: Pace,
    /// How many of a million messages are sent once more after they were acknowledged.
    pub duplicates_ppm: u32,
    /// How many of a million messages correct what was said before.
    pub corrections_ppm: u32,
}

/// When messages are sent.
#[derive(Debug, Clone)]
pub enum Pace {
    /// So many a second, and bursts on top.
    Steady {
        /// Messages a second.
        rate: f64,
        /// For how long.
        span: Duration,
        /// What comes on top.
        bursts: Option<Bursts>,
    },
    /// A day, so many times faster.
    Day {
        /// Its curve.
        day: Day,
        /// 24 makes an hour of it.
        speed: f64,
    },
    /// As fast as the hub takes it for so long: no planned instants, latency counts from sending.
    Full {
        /// For how long.
        span: Duration,
    },
}

/// Messages that come all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bursts {
    /// How many at a time.
    pub size: u64,
    /// From one to the next; the first comes at the beginning.
    pub every: Duration,
}

/// How many of each kind, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// In the order of [`Kind::ALL`].
    pub weights: [u32; 4],
}

impl Default for Mix {
    /// 60 % ADT, 10 % RDE with five drugs, 25 % ORU with eight results, 5 % ORU with forty.
    fn default() -> Self {
        Self {
            weights: [60, 10, 25, 5],
        }
    }
}

impl Mix {
    /// Only one kind.
    pub fn only(kind: Kind) -> Self {
        Self {
            weights: Kind::ALL.map(|each| u32::from(each == kind)),
        }
    }

    fn kind(&self, roll: u64) -> Kind {
        let all: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut at = roll % all.max(1);
        for (kind, weight) in Kind::ALL.into_iter().zip(self.weights) {
            let Some(rest) = at.checked_sub(u64::from(weight)) else {
                return kind;
            };
            at = rest;
        }
        Kind::Adt
    }
}

/// One message of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Its place in the plan.
    pub place: u64,
    /// When it is sent, from the start.
    pub at: Duration,
    /// Whom it is about, from 0.
    pub patient: u32,
    /// What it is.
    pub kind: Kind,
    /// It is sent once more after it was acknowledged.
    pub twice: bool,
    /// It corrects what was said of this patient before, where there is something.
    pub corrects: bool,
}

impl Plan {
    /// The message at a place, while there is one.
    pub fn get(&self, place: u64) -> Option<Planned> {
        let at = self.at(place)?;
        let line = place % u64::from(self.lines.max(1));
        let ask = |question| roll(self.seed, question, place);
        Some(Planned {
            place,
            at,
            patient: self.patient_of(line, ask(For::Patient)),
            kind: self.mix.kind(ask(For::Kind)),
            twice: within(ask(For::Duplicate), self.duplicates_ppm),
            corrects: within(ask(For::Correction), self.corrections_ppm),
        })
    }

    /// The messages of one connection, in order.
    pub fn of_line(&self, line: u32) -> impl Iterator<Item = Planned> + use<'_> {
        let step = u64::from(self.lines.max(1));
        (0..)
            .map(move |turn: u64| u64::from(line) + turn * step)
            .map_while(|place| self.get(place))
    }

    /// Messages in all; `None` where the hub decides.
    pub fn messages(&self) -> Option<u64> {
        match &self.pace {
            Pace::Day { day, .. } => Some(day.total()),
            Pace::Full { .. } => None,
            Pace::Steady { .. } => {
                // The instants never go back, so the end is found by halving.
                let (mut inside, mut outside) = (0, 1);
                while self.at(outside).is_some() {
                    (inside, outside) = (outside, outside.saturating_mul(2));
                }
                while outside - inside > 1 {
                    let middle = inside.midpoint(outside);
                    if self.at(middle).is_some() {
                        inside = middle;
                    } else {
                        outside = middle;
                    }
                }
                Some(if self.at(inside).is_some() {
                    outside
                } else {
                    0
                })
            }
        }
    }

    /// From the first instant to the last.
    pub fn span(&self) -> Duration {
        match &self.pace {
            Pace::Steady { span, .. } | Pace::Full { span } => *span,
            Pace::Day { speed, .. } => Duration::from_secs(24 * 3600).div_f64(*speed),
        }
    }

    fn at(&self, place: u64) -> Option<Duration> {
        match &self.pace {
            Pace::Day { day, speed } => {
                (place < day.total()).then(|| day.at(place).div_f64(*speed))
            }
            Pace::Full { .. } => Some(Duration::ZERO),
            Pace::Steady { rate, span, bursts } => {
                let at = match bursts {
                    None => (*rate > 0.0).then(|| ratio(place, 1) / rate)?,
                    Some(bursts) => bursts.at(place, *rate)?,
                };
                (at < span.as_secs_f64()).then(|| Duration::from_secs_f64(at))
            }
        }
    }

    /// A patient whose messages go over this connection.
    fn patient_of(&self, line: u64, roll: u64) -> u32 {
        let (patients, lines) = (u64::from(self.patients), u64::from(self.lines.max(1)));
        let of_line = (patients + lines - 1 - line.min(lines - 1)) / lines;
        let patient = roll % of_line.max(1) * lines + line;
        u32::try_from(patient).unwrap_or(0)
    }
}

impl Bursts {
    /// Seconds from the start: each period begins with a burst, and the steady rate fills it evenly.
    fn at(&self, place: u64, rate: f64) -> Option<f64> {
        let every = self.every.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of messages in one period"
        )]
        let steady = (rate * every).round() as u64;
        let period = self.size.checked_add(steady).filter(|all| *all > 0)?;
        let (turn, within) = (place / period, place % period);
        let offset = within
            .checked_sub(self.size)
            .map_or(0.0, |place| (ratio(place, 1) + 0.5) / ratio(steady, 1));
        Some((ratio(turn, 1) + offset) * every)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn plan(pace: Pace) -> Plan {
        Plan {
            seed: 7,
            lines: 8,
            patients: 2_001,
            mix: Mix::default(),
            pace,
            duplicates_ppm: 50_000,
            corrections_ppm: 20_000,
        }
    }

    fn steady(rate: f64, secs: u64, bursts: Option<Bursts>) -> Plan {
        plan(Pace::Steady {
            rate,
            span: Duration::from_secs(secs),
            bursts,
        })
    }

    fn all(plan: &Plan) -> Vec<Planned> {
        (0..).map_while(|place| plan.get(place)).collect()
    }

    #[test]
    fn the_rate_is_kept_evenly() {
        let plan = steady(250.0, 20, None);
        assert_eq!(plan.messages(), Some(5_000));
        let all = all(&plan);
        assert_eq!(all.len(), 5_000);
        for pair in all.windows(2) {
            assert_eq!(pair[1].at - pair[0].at, Duration::from_millis(4));
        }
    }

    #[test]
    fn bursts_come_on_top_and_all_at_once() {
        let bursts = Bursts {
            size: 300,
            every: Duration::from_secs(5),
        };
        let plan = steady(100.0, 20, Some(bursts));
        assert_eq!(plan.messages(), Some(4 * (300 + 500)));
        let mut at: BTreeMap<Duration, u64> = BTreeMap::new();
        let mut before = Duration::ZERO;
        for planned in all(&plan) {
            assert!(planned.at >= before);
            before = planned.at;
            *at.entry(planned.at).or_default() += 1;
        }
        let together: Vec<_> = at.iter().filter(|(_, count)| **count > 1).collect();
        assert_eq!(together.len(), 4);
        for (place, (at, count)) in together.into_iter().enumerate() {
            assert_eq!((at.as_secs(), *count), (place as u64 * 5, 300));
        }
    }

    #[test]
    fn nothing_is_planned_at_no_rate() {
        assert_eq!(steady(0.0, 20, None).messages(), Some(0));
        let none = Bursts {
            size: 0,
            every: Duration::from_secs(1),
        };
        assert_eq!(steady(0.0, 20, Some(none)).messages(), Some(0));
    }

    #[test]
    fn kinds_and_repetitions_come_in_their_shares() {
        let all = all(&steady(1000.0, 100, None));
        let share = |is: &dyn Fn(&Planned) -> bool| {
            ratio(
                all.iter().filter(|planned| is(planned)).count() as u64,
                all.len() as u64,
            )
        };
        for (kind, wanted) in Kind::ALL.into_iter().zip([0.60, 0.10, 0.25, 0.05]) {
            let found = share(&|planned| planned.kind == kind);
            assert!((found - wanted).abs() < 0.006, "{kind:?} {found}");
        }
        assert!((share(&|planned| planned.twice) - 0.05).abs() < 0.004);
        assert!((share(&|planned| planned.corrects) - 0.02).abs() < 0.003);
    }

    #[test]
    fn the_seed_decides_everything() {
        let plan = steady(500.0, 4, None);
        assert_eq!(all(&plan), all(&plan.clone()));
        let other = Plan {
            seed: 8,
            ..plan.clone()
        };
        assert_ne!(all(&plan), all(&other));
    }

    #[test]
    fn a_patient_keeps_to_one_connection_and_all_are_met() {
        let plan = steady(1000.0, 60, None);
        let mut lines: BTreeMap<u32, u64> = BTreeMap::new();
        for planned in all(&plan) {
            assert!(planned.patient < plan.patients);
            let line = planned.place % u64::from(plan.lines);
            assert_eq!(*lines.entry(planned.patient).or_insert(line), line);
        }
        assert_eq!(lines.len(), 2_001);
        let mut parted: Vec<Planned> = (0..8).flat_map(|line| plan.of_line(line)).collect();
        parted.sort_by_key(|planned| planned.place);
        assert_eq!(parted, all(&plan));
    }

    #[test]
    fn a_day_is_sent_whole_and_faster() {
        let plan = plan(Pace::Day {
            day: Day::of(3_000),
            speed: 24.0,
        });
        assert_eq!(plan.messages(), Some(3_000));
        assert_eq!(plan.span(), Duration::from_secs(3600));
        let all = all(&plan);
        assert_eq!(all.len(), 3_000);
        assert!(
            all.last()
                .is_some_and(|last| last.at < Duration::from_secs(3600))
        );
    }
}
