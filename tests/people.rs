//! Synthetic people and their stays, as messages of a hospital.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use renkei_sim::hospital::{self, Built, Event, Person, Sex, Site, Stay, What};

/// The hospital's number: of no real institution.
pub(crate) const HOSPITAL: &str = "1319999999";
/// Its name, as posts give it.
pub(crate) const HOSPITAL_NAME: &str = "架空総合病院";

/// The clock of the hospital, some minutes ago.
pub(crate) fn ago(minutes: i64) -> DateTime {
    let at = Timestamp::now()
        .checked_sub(SignedDuration::from_mins(minutes))
        .unwrap();
    let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
    let at = at.to_zoned(tokyo).datetime();
    at.with().second(0).subsec_nanosecond(0).build().unwrap()
}

/// Kana as a peer's patient header shows it.
pub(crate) fn kana(person: &Person) -> String {
    format!("{} {}", person.kana_family, person.kana_given)
}

/// Sex as a peer's patient header shows it.
pub(crate) fn sex(person: &Person) -> &'static str {
    match person.sex {
        Sex::Male => "male",
        Sex::Female => "female",
        Sex::Other => "other",
        Sex::Unknown => "unknown",
    }
}

/// One message of the hospital.
pub(crate) fn message(event: &Event, control_id: &str) -> Built {
    hospital::build(&Site::demo(), event, control_id).unwrap()
}

/// A stay of which the hospital tells step by step.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) person: Person,
    pub(crate) stay: Stay,
}

impl Told {
    /// Admitted some minutes ago.
    pub(crate) fn admitted(person: &Person, minutes: i64) -> Self {
        let mut stay = Stay::demo(ago(minutes));
        stay.repeats_admission = false;
        Self {
            person: person.clone(),
            stay,
        }
    }

    /// A step of the stay, entered some minutes ago.
    pub(crate) fn step(&self, minutes: i64, what: What) -> Event {
        Event::new(ago(minutes), &self.person, what).stay(&self.stay)
    }

    /// The admission, entered when it happened.
    pub(crate) fn admit(&self) -> Event {
        Event::new(self.stay.admitted, &self.person, What::Admit)
            .stay(&self.stay)
            .order(100)
    }

    /// The discharge, some minutes ago, to a place of HL7 table 0112.
    pub(crate) fn discharge(&mut self, minutes: i64, to: &str) -> Event {
        self.stay.discharged = Some((ago(minutes), to.to_owned()));
        self.step(minutes, What::Discharge).order(200)
    }
}

/// Demographics with the cover, as a hospital sends them first.
pub(crate) fn register(person: &Person, minutes: i64) -> Event {
    Event::new(ago(minutes), person, What::Register)
}
