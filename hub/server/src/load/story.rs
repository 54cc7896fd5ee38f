//! What a hospital says of one patient, message after message: registered, admitted, transferred,
//! discharged, registered again; results and prescriptions in between; now and then a correction.
//!
//! Half of the ADT messages are changes of demographics (A08), as hospitals send them; the other half are
//! the steps of a stay, of which people are told. Each message of a patient is at least a minute later
//! than the one before, so that no two stays are one; the first are therefore some hours old.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use renkei_core::clock;
use renkei_hl7v2::build::BuildError;
use renkei_sim::hospital::{Event, LabReport, Person, Prescription, Stay, What};

use super::dice::{For, roll};
use super::messages::{self, Kind};

/// How long ago the first message of a patient is; as many minutes of room for what follows.
const BEHIND: SignedDuration = SignedDuration::from_hours(12);
const STEP: SignedDuration = SignedDuration::from_mins(1);
const WARDS: [&str; 6] = ["3E", "3W", "4E", "4W", "5E", "5W"];
/// Where people go (HL7 table 0112): home, home with home nursing.
const PLACES: [&str; 2] = ["01", "06"];

/// What was said of one patient so far. Small: there is one for every patient of a day in Tokyo.
#[derive(Debug, Clone, Default)]
pub(super) struct Chart {
    last: Option<Timestamp>,
    /// ADT messages so far.
    steps: u32,
    /// Orders so far.
    orders: u64,
    stay: Option<Ward>,
    /// The last report or prescription, to be corrected.
    ordered: Option<Ordered>,
}

/// A stay, open or just ended.
#[derive(Debug, Clone, Copy)]
struct Ward {
    admitted: DateTime,
    ward: usize,
    discharged: Option<(DateTime, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Ordered {
    kind: Kind,
    order: u64,
    at: DateTime,
}

/// One message ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// ISO-2022-JP, without framing.
    pub(super) bytes: Vec<u8>,
    /// MSH-9, for example `ADT^A03`.
    pub(super) message_type: &'static str,
    /// It corrects what was said before.
    pub(super) corrects: bool,
}

/// What one message is to be.
pub(super) struct Wanted<'a> {
    /// Number of the invented person.
    pub(super) person: u64,
    pub(super) kind: Kind,
    /// Correct what was said last, when it is of this kind.
    pub(super) corrects: bool,
    /// The planned instant.
    pub(super) now: Timestamp,
    /// MSH-10.
    pub(super) control_id: &'a str,
    /// Decides values.
    pub(super) seed: u64,
}

impl Chart {
    /// The next message.
    ///
    /// # Errors
    /// [`BuildError`] when the simulator cannot build it.
    pub(super) fn say(&mut self, wanted: &Wanted<'_>) -> Result<Said, BuildError> {
        let at = self.next_time(wanted.now);
        let dice = roll(
            wanted.seed,
            For::Value,
            self.orders << 32 | u64::from(self.steps),
        );
        let (what, order, corrects) = match wanted.kind {
            Kind::Adt => self.movement(at, wanted.corrects, dice),
            kind => self.order(kind, at, wanted.corrects, dice),
        };
        let message_type = type_of(&what);
        let mut event = Event::new(at, &Person::synthetic(wanted.person), what);
        event.stay = Some(
            self.stay
                .filter(|ward| self.is_in(ward, &event.what))
                .map_or_else(|| Stay::visit(at), |ward| ward.stay()),
        );
        event.order = order.map(|order| wanted.person % 1_000_000_000 * 100_000 + order);
        let bytes = messages::encoded(&event, wanted.control_id)?;
        Ok(Said {
            bytes,
            message_type,
            corrects,
        })
    }

    fn next_time(&mut self, now: Timestamp) -> DateTime {
        let behind = now.saturating_sub(BEHIND).unwrap_or(now);
        let after = self.last.and_then(|last| last.checked_add(STEP).ok());
        let at = after.map_or(behind, |after| after.max(behind)).min(now);
        self.last = Some(at);
        let at = at.to_zoned(clock::japan()).datetime();
        at.with().subsec_nanosecond(0).build().unwrap_or(at)
    }

    /// Whether a message belongs to the stay: it is one of its steps, or the patient is in.
    fn is_in(&self, ward: &Ward, what: &What) -> bool {
        ward.discharged.is_none() || matches!(what, What::Admit | What::Discharge)
    }

    fn movement(&mut self, at: DateTime, corrects: bool, dice: u64) -> (What, Option<u64>, bool) {
        if corrects && let Some(ward) = &mut self.stay {
            let what = match &mut ward.discharged {
                None => {
                    ward.ward = (ward.ward + 1) % WARDS.len();
                    What::Admit
                }
                Some((_, place)) => {
                    *place = (*place + 1) % PLACES.len();
                    What::Discharge
                }
            };
            return (what, None, true);
        }
        let step = self.steps;
        self.steps = self.steps.wrapping_add(1);
        let pick = |of: usize| usize::try_from(dice % 840).unwrap_or(0) % of;
        let what = match (step % 6, &mut self.stay) {
            (1, stay) => {
                *stay = Some(Ward {
                    admitted: at,
                    ward: pick(WARDS.len()),
                    discharged: None,
                });
                What::Admit
            }
            (3, Some(ward)) => {
                ward.ward = (ward.ward + 1) % WARDS.len();
                What::Transfer
            }
            (5, Some(ward)) => {
                ward.discharged = Some((at, pick(PLACES.len())));
                What::Discharge
            }
            _ => What::Register,
        };
        (what, None, false)
    }

    fn order(
        &mut self,
        kind: Kind,
        at: DateTime,
        corrects: bool,
        dice: u64,
    ) -> (What, Option<u64>, bool) {
        let earlier = self
            .ordered
            .filter(|earlier| corrects && earlier.kind == kind);
        let ordered = earlier.unwrap_or_else(|| {
            self.orders += 1;
            Ordered {
                kind,
                order: self.orders,
                at,
            }
        });
        self.ordered = Some(ordered);
        let what = if kind == Kind::Rde5 {
            What::Prescribe(prescription(ordered, earlier.is_some()))
        } else {
            What::LaboratoryResults(report(ordered, earlier.is_some(), dice))
        };
        (what, Some(ordered.order), earlier.is_some())
    }
}

impl Ward {
    fn stay(self) -> Stay {
        let mut stay = Stay::demo(self.admitted);
        WARDS[self.ward].clone_into(&mut stay.place[0]);
        stay.discharged = self
            .discharged
            .map(|(at, place)| (at, PLACES[place].to_owned()));
        stay
    }
}

fn prescription(ordered: Ordered, is_corrected: bool) -> Prescription {
    let mut prescription = messages::prescription(ordered.at);
    if is_corrected {
        prescription.drugs.pop();
    }
    prescription
}

/// A report whose values have other last digits each time; a correction has the first anew.
fn report(ordered: Ordered, is_corrected: bool, dice: u64) -> LabReport {
    let mut report = messages::results(ordered.kind, ordered.at, ordered.order);
    let mut dice = dice;
    for row in &mut report.rows {
        let digit = dice % 10;
        dice = dice.rotate_right(7);
        row.value.pop();
        row.value.push_str(&digit.to_string());
        if is_corrected {
            "C".clone_into(&mut row.status);
        }
    }
    report
}

fn type_of(what: &What) -> &'static str {
    match what {
        What::Admit => "ADT^A01",
        What::Transfer => "ADT^A02",
        What::Discharge => "ADT^A03",
        What::Prescribe(_) => "RDE^O11",
        What::LaboratoryResults(_) => "ORU^R01",
        _ => "ADT^A08",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(chart: &mut Chart, kind: Kind, corrects: bool) -> (Said, String) {
        let said = chart
            .say(&Wanted {
                person: 100_017,
                kind,
                corrects,
                now: "2025-01-31T02:00:00Z".parse().unwrap(),
                control_id: "C1",
                seed: 5,
            })
            .unwrap();
        let text = renkei_hl7v2::decode(&said.bytes).text.into_owned();
        (said, text)
    }

    #[test]
    fn a_stay_is_told_step_by_step() {
        let mut chart = Chart::default();
        let types: Vec<_> = (0..8)
            .map(|_| say(&mut chart, Kind::Adt, false).0.message_type)
            .collect();
        let stay = [
            "ADT^A08", "ADT^A01", "ADT^A08", "ADT^A02", "ADT^A08", "ADT^A03",
        ];
        assert_eq!(types[..6], stay);
        assert_eq!(types[6..], stay[..2]);
    }

    #[test]
    fn a_correction_is_about_what_was_said_before() {
        let mut chart = Chart::default();
        assert!(
            !say(&mut chart, Kind::Oru8, true).0.corrects,
            "nothing was said yet"
        );
        let order = |text: &str| {
            let obr = text
                .split('\r')
                .find(|line| line.starts_with("OBR|"))
                .unwrap();
            obr.split('|').nth(2).unwrap().to_owned()
        };
        let (_, first) = say(&mut chart, Kind::Oru8, false);
        let (said, second) = say(&mut chart, Kind::Oru8, true);
        assert!(said.corrects);
        assert_eq!(order(&first), order(&second));
        assert!(second.contains("|||C|"), "{second}");
        assert!(
            !say(&mut chart, Kind::Rde5, true).0.corrects,
            "another kind"
        );
        say(&mut chart, Kind::Adt, false);
        let (_, admitted) = say(&mut chart, Kind::Adt, false);
        let (said, corrected) = say(&mut chart, Kind::Adt, true);
        assert_eq!((said.message_type, said.corrects), ("ADT^A01", true));
        let pv1 = |text: &str| {
            text.split('\r')
                .find(|line| line.starts_with("PV1|"))
                .unwrap()
                .to_owned()
        };
        let field =
            |text: &str, number: usize| pv1(text).split('|').nth(number).unwrap().to_owned();
        assert_eq!(field(&admitted, 44), field(&corrected, 44), "the same stay");
        assert_ne!(field(&admitted, 3), field(&corrected, 3), "another ward");
    }

    #[test]
    fn the_same_numbers_say_the_same_and_time_goes_on() {
        let (mut one, mut other) = (Chart::default(), Chart::default());
        let mut before = String::new();
        for turn in 0..40 {
            let kind = Kind::ALL[turn % 4];
            let (said, text) = say(&mut one, kind, turn % 7 == 0);
            assert_eq!(said, say(&mut other, kind, turn % 7 == 0).0);
            let at = text.split('|').nth(6).unwrap().to_owned();
            assert!(at > before, "{at} after {before}");
            before = at;
        }
    }

    #[test]
    fn messages_have_the_size_of_real_ones() {
        let mut chart = Chart::default();
        let size = |chart: &mut Chart, kind| say(chart, kind, false).0.bytes.len();
        say(&mut chart, Kind::Adt, false);
        assert!((1_000..1_700).contains(&size(&mut chart, Kind::Adt)));
        assert!((7_000..11_000).contains(&size(&mut chart, Kind::Oru40)));
        assert!((1_500..3_500).contains(&size(&mut chart, Kind::Oru8)));
    }
}
