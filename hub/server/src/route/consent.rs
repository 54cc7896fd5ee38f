//! Whether a consent covers a disclosure. A consent stays with its record: linking persons never
//! widens it.

use jiff::Timestamp;
use renkei_core::{Channel, FacilityId, ItemClass, clock};

use crate::config::Setup;
use crate::world::{Consent, Record};

/// What a consent is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Disclosing<'a> {
    /// The configuration, for classes and districts of facilities.
    pub setup: &'a Setup,
    /// The record whose content is disclosed.
    pub record: &'a Record,
    /// To whom.
    pub channel: &'a Channel,
    /// When.
    pub now: Timestamp,
}

impl Consent {
    /// Whether the form names the same patient as the record: kana and birth date must be equal.
    pub fn names(&self, record: &Record) -> bool {
        self.kana == record.facts.kana && self.birth_date == record.facts.birth_date
    }

    /// Whether this consent lets everyone who can read the channel know `class`.
    pub fn covers(&self, asked: Disclosing<'_>, class: ItemClass) -> bool {
        self.is_valid_on(&clock::in_japan(asked.now).date().to_string())
            && self.discloses(&asked.record.facility)
            && self.reaches(asked)
            && self.includes(class)
    }

    fn is_valid_on(&self, today: &str) -> bool {
        let begun = self.valid_from.is_empty() || self.valid_from.as_str() <= today;
        let not_over = self.valid_until.is_empty() || today <= self.valid_until.as_str();
        let not_withdrawn = self.withdrawn_on.is_empty() || today < self.withdrawn_on.as_str();
        begun && not_over && not_withdrawn
    }

    fn discloses(&self, facility: &FacilityId) -> bool {
        self.disclosers.is_empty()
            || self
                .disclosers
                .iter()
                .any(|discloser| discloser.trim_start_matches("facility:") == facility.as_str())
    }

    /// `*` covers what is not restricted; a restricted class must be named.
    fn includes(&self, class: ItemClass) -> bool {
        self.items
            .iter()
            .any(|item| item == class.code() || (item == "*" && !class.is_restricted()))
    }

    /// A sink as recipient means everyone the sink lets read there; otherwise each reader's facility
    /// must be named, by number, class or district. A reader without a facility is covered by none.
    fn reaches(&self, asked: Disclosing<'_>) -> bool {
        let names = |wanted: &str| self.recipients.iter().any(|recipient| recipient == wanted);
        if names(&format!("sink:{}", asked.channel.sink)) {
            return true;
        }
        let mut readers = asked
            .channel
            .members
            .iter()
            .map(|member| member.facility.as_deref())
            .peekable();
        if readers.peek().is_none() {
            return asked
                .channel
                .host_facility
                .as_deref()
                .is_some_and(|host| self.names_facility(asked.setup, host));
        }
        readers.all(|facility| {
            facility.is_some_and(|facility| self.names_facility(asked.setup, facility))
        })
    }

    fn names_facility(&self, setup: &Setup, facility: &str) -> bool {
        let known = FacilityId::new(facility)
            .ok()
            .and_then(|number| setup.facilities.get(&number));
        self.recipients
            .iter()
            .any(|recipient| match recipient.split_once(':') {
                Some(("facility", number)) => number == facility,
                Some(("class", class)) => known.is_some_and(|known| known.class == class),
                Some(("district", district)) => {
                    known.is_some_and(|known| known.district == district)
                }
                _ => false,
            })
    }
}
