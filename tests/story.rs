//! What the hospital of the crash test says, message by message, and what each message means.
//!
//! Inpatients have three stays within the last day: admission, now and then corrected; results and a
//! prescription; discharge, now and then corrected; some last stays are taken back. Outpatients only
//! have results, some of them corrected: nobody is told of those.

use std::collections::VecDeque;

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use renkei_core::limits;
use renkei_sim::hospital::{
    Allergy, Drug, Event, LabReport, LabRow, Person, Prescription, Stay, What,
};

use crate::people::{ago, message};

/// Numbers from a seed (splitmix64): the same seed plays the same story.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// True in this many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// What a message means to a reader of the sender's log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// Who someone is.
    Known,
    /// The person has this allergy.
    Allergic(&'static str),
    /// Admitted to a ward; again for the same time = corrected.
    Admitted { at: DateTime, ward: String },
    /// The admission was a mistake.
    NotAdmitted { at: DateTime },
    /// Discharged to a place of HL7 table 0112; again for the same time = corrected.
    Discharged { at: DateTime, to: &'static str },
    /// The discharge was a mistake.
    NotDischarged { at: DateTime },
    /// A result; the same order again = corrected.
    Result { order: u64, value: String },
    /// A prescription.
    Prescribed,
}

/// One message of one patient.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Place of the patient in the story.
    pub(crate) patient: usize,
    pub(crate) control: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fact: Fact,
    /// It changes what an earlier message said.
    pub(crate) corrects: bool,
}

/// Writes one patient's messages.
struct Writer<'a> {
    patient: usize,
    person: &'a Person,
    dice: &'a mut Dice,
    orders: u64,
    /// Corrections of stays so far.
    corrections: u32,
    steps: Vec<Step>,
}

/// Corrections of the stays of one patient at most. Three stays are seven posts with a cancellation, and what
/// goes beyond a group's posts of a day is held for a person, as it should be.
const CORRECTIONS: u32 = limits::POSTS_PER_GROUP_AND_DAY - 7;
const WARDS: [&str; 6] = ["3E", "3W", "4E", "4W", "5E", "5W"];
const PLACES: [&str; 4] = ["01", "06", "02", "04"];

/// All messages of an inpatient, in order.
pub(crate) fn inpatient(patient: usize, person: &Person, dice: &mut Dice) -> Vec<Step> {
    let mut writer = Writer::new(patient, person, dice);
    writer.push(ago(23 * 60), What::Register, None, None, Fact::Known, false);
    if writer.dice.percent(50) {
        let allergy = Allergy {
            class: ("DA".to_owned(), "薬剤アレルギー".to_owned()),
            substance: ("1".to_owned(), "ペニシリン".to_owned(), "99XYZ".to_owned()),
            severity: ("MO".to_owned(), "中等度".to_owned()),
            reaction: "発疹".to_owned(),
        };
        let what = What::Allergies(vec![allergy]);
        let fact = Fact::Allergic("ペニシリン");
        writer.push(ago(23 * 60 - 1), what, None, None, fact, false);
    }
    for turn in 0..3 {
        let minutes = 22 * 60 - turn * 6 * 60 - i64::try_from(patient % 50).unwrap();
        writer.stay(minutes, turn == 2);
    }
    writer.steps
}

/// The first messages of an outpatient, and then as many results as are asked for.
pub(crate) fn outpatient(
    patient: usize,
    person: &Person,
    dice: &mut Dice,
    results: usize,
) -> Vec<Step> {
    let mut writer = Writer::new(patient, person, dice);
    writer.push(ago(23 * 60), What::Register, None, None, Fact::Known, false);
    for turn in 0..results {
        writer.result(22 * 60 - i64::try_from(turn % 1200).unwrap(), None);
    }
    writer.steps
}

impl<'a> Writer<'a> {
    fn new(patient: usize, person: &'a Person, dice: &'a mut Dice) -> Self {
        Self {
            patient,
            person,
            dice,
            orders: patient as u64 * 100_000 + 1,
            corrections: 0,
            steps: Vec::new(),
        }
    }

    fn push(
        &mut self,
        at: DateTime,
        what: What,
        stay: Option<&Stay>,
        order: Option<u64>,
        fact: Fact,
        corrects: bool,
    ) {
        let mut event = Event::new(at, self.person, what);
        event.stay = stay.cloned();
        event.order = order;
        let control = format!("C{}-{}", self.patient, self.steps.len());
        let bytes = message(&event, &control).bytes;
        self.steps.push(Step {
            patient: self.patient,
            control,
            bytes,
            fact,
            corrects,
        });
    }

    /// Whether the hospital corrects what it has just said of a stay.
    fn is_corrected(&mut self) -> bool {
        let wished = self.dice.percent(15);
        let corrected = wished && self.corrections < CORRECTIONS;
        self.corrections += u32::from(corrected);
        corrected
    }

    fn stay(&mut self, minutes: i64, is_last: bool) {
        let at = ago(minutes);
        let mut stay = Stay::demo(at);
        stay.repeats_admission = self.dice.percent(50);
        let first = usize::try_from(self.dice.roll(6)).unwrap();
        let admitted = |ward: &str| Fact::Admitted {
            at,
            ward: ward.to_owned(),
        };
        stay.place[0] = WARDS[first].to_owned();
        self.push(
            at,
            What::Admit,
            Some(&stay),
            Some(1),
            admitted(WARDS[first]),
            false,
        );
        if self.is_corrected() {
            let ward = WARDS[(first + 1) % WARDS.len()];
            stay.place[0] = ward.to_owned();
            self.push(
                later(at, 5),
                What::Admit,
                Some(&stay),
                Some(1),
                admitted(ward),
                true,
            );
        }
        self.result(minutes - 30, Some(&stay));
        self.result(minutes - 60, Some(&stay));
        let order = Prescription {
            at_discharge: false,
            ordered: later(at, 70),
            drugs: vec![Drug::tablet(
                1,
                "103835401",
                "ムコダイン錠２５０ｍｇ",
                3,
                at.date(),
            )],
        };
        self.orders += 1;
        let number = self.orders;
        self.push(
            later(at, 70),
            What::Prescribe(order),
            Some(&stay),
            Some(number),
            Fact::Prescribed,
            false,
        );
        if is_last && self.dice.percent(10) {
            let fact = Fact::NotAdmitted { at };
            self.push(
                later(at, 90),
                What::CancelAdmit,
                Some(&stay),
                Some(1),
                fact,
                true,
            );
            return;
        }
        self.end(&mut stay, later(at, 240), is_last);
    }

    fn end(&mut self, stay: &mut Stay, left: DateTime, is_last: bool) {
        let first = usize::try_from(self.dice.roll(4)).unwrap();
        let discharged = |to: &'static str| Fact::Discharged { at: left, to };
        stay.discharged = Some((left, PLACES[first].to_owned()));
        self.push(
            left,
            What::Discharge,
            Some(stay),
            Some(2),
            discharged(PLACES[first]),
            false,
        );
        if self.is_corrected() {
            let to = PLACES[(first + 1) % PLACES.len()];
            stay.discharged = Some((left, to.to_owned()));
            self.push(
                later(left, 5),
                What::Discharge,
                Some(stay),
                Some(2),
                discharged(to),
                true,
            );
        }
        if is_last && self.dice.percent(10) {
            let fact = Fact::NotDischarged { at: left };
            self.push(
                later(left, 10),
                What::CancelDischarge,
                Some(stay),
                Some(2),
                fact,
                true,
            );
        }
    }

    fn result(&mut self, minutes: i64, stay: Option<&Stay>) {
        self.orders += 1;
        let order = self.orders;
        let mut report = LabReport {
            specimen: format!("{order:015}"),
            material: ("023".to_owned(), "血清".to_owned()),
            collected: ago(minutes),
            panel: ("E001".to_owned(), "生化学的検査".to_owned()),
            rows: vec![LabRow::number(
                "3H015000002326101",
                "カリウム",
                "",
                "meq/L",
                "",
                "",
            )],
        };
        for corrects in [false, true] {
            if corrects && !self.dice.percent(4) {
                return;
            }
            let value = format!("{}.{order}1", self.dice.roll(9) + 1);
            report.rows[0].value.clone_from(&value);
            report.rows[0].status = if corrects { "C" } else { "F" }.to_owned();
            let at = ago(minutes - i64::from(corrects));
            let what = What::LaboratoryResults(report.clone());
            self.push(
                at,
                what,
                stay,
                Some(order),
                Fact::Result { order, value },
                corrects,
            );
        }
    }
}

/// Each connection's part of the story, its patients taking turns, and its supply of results.
///
/// The first `inpatients` of the people have stays, the others have so many `results` at most.
pub(crate) fn shares(
    people: &[Person],
    inpatients: usize,
    connections: usize,
    results: usize,
    dice: &mut Dice,
) -> Vec<(VecDeque<Step>, VecDeque<Step>)> {
    let mut shares = Vec::new();
    for connection in 0..connections {
        let mine = |from: usize, to: usize| {
            (from..to).filter(move |patient| patient % connections == connection)
        };
        let stories = mine(0, inpatients).map(|patient| inpatient(patient, &people[patient], dice));
        let story = in_turns(stories.collect());
        let results = mine(inpatients, people.len())
            .map(|patient| outpatient(patient, &people[patient], dice, results));
        let filler = in_turns(results.collect());
        shares.push((story, filler));
    }
    shares
}

fn in_turns(stories: Vec<Vec<Step>>) -> VecDeque<Step> {
    let longest = stories.iter().map(Vec::len).max().unwrap_or(0);
    let steps =
        (0..longest).flat_map(|turn| stories.iter().filter_map(move |story| story.get(turn)));
    steps.cloned().collect()
}

fn later(at: DateTime, minutes: i64) -> DateTime {
    at.checked_add(minutes.minutes()).unwrap()
}

/// The seed of this run: `RENKEI_SEED`, or the time.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("RENKEI_SEED").ok();
    given.map_or_else(
        || Timestamp::now().as_microsecond().unsigned_abs(),
        |seed| seed.parse().unwrap(),
    )
}
