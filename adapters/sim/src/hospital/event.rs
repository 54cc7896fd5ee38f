//! One thing that happens in a hospital.

use jiff::civil::DateTime;

use super::orders::{Allergy, Document, LabReport, Prescription, Problem, VitalRow};
use super::people::{Person, Stay};

/// One thing that happens, with all a message about it needs.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it is entered and sent (MSH-7, EVN-2), Asia/Tokyo.
    pub at: DateTime,
    /// When it happened (EVN-6); default `at`.
    pub occurred: Option<DateTime>,
    /// Who it is about.
    pub person: Person,
    /// Where the person is then; needed by everything but A08, A60, PPR^ZD1.
    pub stay: Option<Stay>,
    /// オーダ番号, 15 digits. A change or cancel bears the number of what it changes.
    /// `None` = 999999999999999.
    pub order: Option<u64>,
    /// What happens.
    pub what: What,
}

/// What happens. Names are the hospital's; the trigger is in brackets.
#[derive(Clone, Debug)]
pub enum What {
    /// Demographics entered or changed (ADT^A08).
    Register,
    /// Outpatient visit (ADT^A04).
    Visit,
    /// Admission (ADT^A01).
    Admit,
    /// Admission cancelled (ADT^A11).
    CancelAdmit,
    /// Ward, room, bed or department changed (ADT^A02).
    Transfer,
    /// Discharge planned (ADT^A16); the day is `Stay::expected_discharge`.
    PlanDischarge,
    /// Planned discharge cancelled (ADT^A25).
    CancelPlan,
    /// Discharge (ADT^A03); time and disposition are in `Stay::discharged`.
    Discharge,
    /// Discharge cancelled (ADT^A13).
    CancelDischarge,
    /// The whole allergy list (ADT^A60).
    Allergies(Vec<Allergy>),
    /// The whole problem list (PPR^ZD1).
    Problems(Vec<Problem>),
    /// Prescription (RDE^O11, ORC-1 `NW`); again with the same order number = changed.
    Prescribe(Prescription),
    /// Prescription cancelled (RDE^O11, ORC-1 `CA`).
    CancelPrescription(Prescription),
    /// Laboratory results as the storage has them (OUL^R22).
    Results(LabReport),
    /// Laboratory results as a laboratory system sends them (ORU^R01); not kept in a storage.
    LaboratoryResults(LabReport),
    /// Vital signs (ORU^R30); extended storage.
    Vitals(Vec<VitalRow>),
    /// A document; extended storage, no message.
    Document(Document),
}

impl Event {
    /// An event without a stay or an order number.
    #[must_use]
    pub fn new(at: DateTime, person: &Person, what: What) -> Self {
        Self {
            at,
            occurred: None,
            person: person.clone(),
            stay: None,
            order: None,
            what,
        }
    }

    /// With the stay it belongs to.
    #[must_use]
    pub fn stay(mut self, stay: &Stay) -> Self {
        self.stay = Some(stay.clone());
        self
    }

    /// With an order number.
    #[must_use]
    pub fn order(mut self, number: u64) -> Self {
        self.order = Some(number);
        self
    }

    /// With the time it happened.
    #[must_use]
    pub fn occurred(mut self, at: DateTime) -> Self {
        self.occurred = Some(at);
        self
    }

    /// The order number as written: 15 digits.
    #[must_use]
    pub fn order_number(&self) -> String {
        format!("{:015}", self.order.unwrap_or(999_999_999_999_999))
    }
}
