//! What was examined: SPM, else the material digits of JLAC10, as a contained Specimen.
//!
//! Contained, because JP Core 1.2.0 demands a specimen on every laboratory Observation and senders number
//! them only sometimes: an Observation then stands by itself.

use std::borrow::Cow;

use renkei_fhir::emit::{
    CodeableConcept, Coding, Collected, Identifier, Period, Specimen, SpecimenCollection,
};
use renkei_fhir::jp_core::{Usage, identifier, system};

use super::Row;
use crate::context::Context;
use crate::moment::Moment;
use crate::reader::{Seg, trimmed};

/// The id of the contained specimen.
pub(super) const ID: &str = "specimen";

/// SPM-2, else SPM-4: a part of the key of its Observations.
pub(super) fn number_or_material(spm: Seg<'_>) -> Cow<'_, str> {
    let number = number(spm);
    if number.is_empty() {
        spm.text(4)
    } else {
        number
    }
}

/// The placer's number of a specimen, else the filler's (EIP).
fn number(spm: Seg<'_>) -> Cow<'_, str> {
    let field = spm.field(2);
    let placer = trimmed(field.component(1).subcomponent(1).text());
    if placer.is_empty() {
        trimmed(field.component(2).subcomponent(1).text())
    } else {
        placer
    }
}

/// The specimen an SPM describes, for all rows of its group.
pub(super) fn of_group<'m>(context: &mut Context<'m>, spm: Option<Seg<'m>>) -> Specimen<'m> {
    let mut specimen = Specimen {
        id: ID.into(),
        ..Specimen::default()
    };
    let Some(spm) = spm else {
        return specimen;
    };
    specimen.r#type = context.coded(spm, 4, spm.field(4).repetition(1), Usage::Any);
    let number = number(spm);
    if !number.is_empty() {
        let system = identifier::local(context.options.facility.as_str(), "specimen");
        specimen.identifier = vec![Identifier::new(system, number)];
    }
    specimen.collection = SpecimenCollection {
        collected: collected(context, spm),
        body_site: context.coded(spm, 8, spm.field(8).repetition(1), Usage::Any),
        ..SpecimenCollection::default()
    };
    specimen
}

/// The material digits of a row's JLAC10 code; empty when it has none.
pub(super) fn material_digits<'r>(row: &'r Row<'_>) -> &'r str {
    let digits = row.jlac10.get(9..12);
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.unwrap_or_default()
}

/// What was examined, by [`material_digits`], for rows whose group does not say it.
pub(super) fn material(digits: &str) -> CodeableConcept<'static> {
    CodeableConcept::of_coding(match digits {
        "" => Coding::new(system::DATA_ABSENT_REASON, "unknown", ""),
        digits => Coding::new(system::SPECIMEN_MATERIAL, digits.to_owned(), ""),
    })
}

/// SPM-17: a time, or a range of times.
fn collected<'m>(context: &mut Context<'m>, spm: Seg<'m>) -> Option<Collected<'m>> {
    let start = context.moment(spm, 17)?.fhir();
    let end = context
        .moment_in(spm, 17, spm.field(17).component(2))
        .map(Moment::fhir);
    Some(match end.filter(|end| *end != start) {
        None => Collected::DateTime(start.into()),
        Some(end) => Collected::Period(Period {
            start: start.into(),
            end: end.into(),
        }),
    })
}
