//! What the hospital writes about one patient, event by event, in the order the story asks for it. The
//! clinical content is the simulator's own discharge story.

use anyhow::Context as _;
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use renkei_sim::hospital::{Drug, Event, Person, Prescription, Scenario, Site, Stay, What};

/// Days of the stay.
pub const STAY_DAYS: i32 = 21;
/// Died in hospital (HL70112 as JAHIS uses it).
const DIED: &str = "20";

/// One patient's chart.
#[derive(Debug, Clone)]
pub struct Chart {
    person: Person,
    stay: Stay,
    order: u64,
    story: Vec<Event>,
}

impl Chart {
    /// A stay that begins at `admitted`; `order` is its first order number.
    pub fn new(site: &Site, person: &Person, admitted: DateTime, order: u64) -> Self {
        Self {
            person: person.clone(),
            stay: Stay::demo(admitted),
            order,
            story: Scenario::discharge_story(site, person, admitted.date(), order).events,
        }
    }

    /// Demographics (ADT^A08).
    pub fn register(&self, at: DateTime) -> Event {
        Event::new(at, &self.person, What::Register)
    }

    /// Admission (ADT^A01).
    pub fn admit(&self, at: DateTime) -> Event {
        self.stay_event(at, What::Admit, self.order)
    }

    /// Another ward (ADT^A02).
    pub fn transfer(&mut self, at: DateTime, ward: &str) -> Event {
        let next = [ward.to_owned(), format!("{ward}12"), "1".to_owned()];
        self.stay.prior = Some(std::mem::replace(&mut self.stay.place, next));
        let event = self
            .stay_event(at, What::Transfer, self.order + 2)
            .occurred(at);
        self.stay.prior = None;
        event
    }

    /// The planned day of discharge (ADT^A16).
    pub fn plan(&mut self, at: DateTime, day: Date) -> Event {
        self.stay.expected_discharge = Some(day);
        self.stay_event(at, What::PlanDischarge, self.order + 3)
    }

    /// Home with visiting nurses (ADT^A03).
    pub fn discharge(&mut self, at: DateTime, left: DateTime) -> Event {
        self.leaves(at, left, "06")
    }

    /// Died in hospital (ADT^A03).
    pub fn death(&mut self, at: DateTime, died: DateTime) -> Event {
        self.leaves(at, died, DIED)
    }

    fn leaves(&mut self, at: DateTime, left: DateTime, disposition: &str) -> Event {
        self.stay.discharged = Some((left, disposition.to_owned()));
        self.stay_event(at, What::Discharge, self.order)
            .occurred(left)
    }

    /// The allergy list (ADT^A60).
    ///
    /// # Errors
    /// When the simulator's story has none.
    pub fn allergies(&self, at: DateTime) -> anyhow::Result<Event> {
        self.told(at, |what| matches!(what, What::Allergies(_)))
    }

    /// The problem list (PPR^ZD1).
    ///
    /// # Errors
    /// When the simulator's story has none.
    pub fn problems(&self, at: DateTime) -> anyhow::Result<Event> {
        self.told(at, |what| matches!(what, What::Problems(_)))
    }

    /// Results of a specimen collected at `collected`, albumin as given, in the storage (OUL^R22) or
    /// from the laboratory system (ORU^R01).
    ///
    /// # Errors
    /// When the simulator's story has none.
    pub fn results(
        &self,
        at: DateTime,
        collected: DateTime,
        albumin: &str,
        way: Way,
    ) -> anyhow::Result<Event> {
        let mut event = self.told(at, |what| matches!(what, What::Results(_)))?;
        let What::Results(mut report) = event.what else {
            anyhow::bail!("no results");
        };
        report.specimen = format!("{:015}", at.date().day().unsigned_abs());
        report.collected = collected;
        if let Some(row) = report.rows.first_mut() {
            albumin.clone_into(&mut row.value);
        }
        event.order = Some(self.order + 100 + u64::from(at.date().day().unsigned_abs()));
        event.what = match way {
            Way::Storage => What::Results(report),
            Way::Laboratory => What::LaboratoryResults(report),
        };
        Ok(event)
    }

    /// The discharge prescription (RDE^O11); the same order again replaces it.
    ///
    /// # Errors
    /// When the simulator's story has none.
    pub fn prescribe(&self, at: DateTime, ordered: DateTime) -> anyhow::Result<Event> {
        let mut event = self.told(at, |what| matches!(what, What::Prescribe(_)))?;
        if let What::Prescribe(order) = &mut event.what {
            move_to(order, ordered);
        }
        Ok(event)
    }

    /// The same prescription with its second drug replaced by another.
    ///
    /// # Errors
    /// When the simulator's story has none.
    pub fn prescribe_instead(
        &self,
        at: DateTime,
        ordered: DateTime,
        hot9: &str,
        name: &str,
    ) -> anyhow::Result<Event> {
        let mut event = self.prescribe(at, ordered)?;
        if let What::Prescribe(order) = &mut event.what {
            let drug = order
                .drugs
                .get_mut(1)
                .context("a prescription of one drug")?;
            *drug = Drug::tablet(drug.rp, hot9, name, 14, ordered.date());
        }
        Ok(event)
    }

    /// The discharge summary, CDA and PDF, in the extended storage.
    ///
    /// # Errors
    /// When the simulator's story has none.
    pub fn summary(&self, at: DateTime) -> anyhow::Result<Event> {
        self.told(at, |what| matches!(what, What::Document(_)))
    }

    fn stay_event(&self, at: DateTime, what: What, order: u64) -> Event {
        Event::new(at, &self.person, what)
            .stay(&self.stay)
            .order(order)
    }

    /// An event of the simulator's story, at another time.
    fn told(&self, at: DateTime, wanted: impl Fn(&What) -> bool) -> anyhow::Result<Event> {
        let found = self.story.iter().find(|event| wanted(&event.what));
        let mut event = found
            .context("the simulator's story has no such event")?
            .clone();
        event.at = at;
        event.occurred = None;
        if event.stay.is_some() {
            event.stay = Some(self.stay.clone());
        }
        Ok(event)
    }
}

/// Which way results come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// OML-11 of the storage.
    Storage,
    /// A laboratory system over MLLP.
    Laboratory,
}

fn move_to(order: &mut Prescription, ordered: DateTime) {
    order.ordered = ordered;
    for drug in &mut order.drugs {
        drug.start = ordered.date();
    }
}

/// A clock reading on a day so many days before `day`.
pub fn days_before(day: Date, days: i32, hour: i8, minute: i8) -> DateTime {
    let day = day.checked_sub(days.days()).unwrap_or(day);
    day.at(hour, minute, 0, 0)
}
