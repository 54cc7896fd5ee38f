//! One OBX before it is written: what it is about and which key it has.

use std::borrow::Cow;

use renkei_core::{Code, Finding, ResourceKey, Severity};
use renkei_fhir::emit::{CodeableConcept, Coding};
use renkei_fhir::jp_core::Usage;

use super::Kind;
use super::coded::{Triplet, is_jlac10, is_standard, with_text};
use super::infection::{self, Infection};
use crate::context::Context;
use crate::reader::Seg;

/// One OBX with its notes.
pub(crate) struct Row<'m> {
    pub(crate) obx: Seg<'m>,
    pub(crate) notes: Vec<Seg<'m>>,
    /// OBX-3 with all codings; never without words.
    pub(crate) code: CodeableConcept<'m>,
    /// The JLAC10 code of the item, with or without its last digits; empty when there is none.
    pub(crate) jlac10: Cow<'m, str>,
    /// Code and system of OBX-3 as sent, else its words: a part of the key.
    pub(crate) item: Cow<'m, str>,
    /// OBX-4.
    pub(crate) sub_id: Cow<'m, str>,
    pub(crate) infection: Option<Infection>,
    pub(crate) kind: Kind,
}

/// A row with the key of the Observation it becomes.
pub(crate) struct Keyed<'m> {
    pub(crate) row: Row<'m>,
    pub(crate) key: ResourceKey,
    /// The logical id of the key.
    pub(crate) id: String,
}

impl<'m> Keyed<'m> {
    /// Gives a row its key.
    pub(crate) fn new(row: Row<'m>, key: ResourceKey) -> Self {
        let id = key.logical_id();
        Self { row, key, id }
    }
}

impl<'m> Row<'m> {
    /// Reads OBX-3 and OBX-4; `None`, with a finding, when the row does not say what it is about.
    pub(crate) fn read(context: &mut Context<'m>, obx: Seg<'m>, notes: &[Seg<'m>]) -> Option<Self> {
        let triplets = context.triplets(obx, 3, obx.field(3).repetition(1));
        if triplets.iter().all(Triplet::is_empty) {
            let finding = Finding::new(Code::MAP_NO_CODE, Severity::Error, obx.at(3));
            context.find(finding);
            return None;
        }
        let jlac10 = triplets
            .iter()
            .find(|triplet| {
                matches!(triplet.system, "JC10" | "JLAC10")
                    || (triplet.system.is_empty() && is_jlac10(&triplet.code))
            })
            .map_or(Cow::Borrowed(""), |triplet| triplet.code.clone());
        let is_known = triplets
            .iter()
            .any(|triplet| is_standard(triplet.system, &triplet.code));
        let item = match triplets.iter().find(|triplet| !triplet.code.is_empty()) {
            Some(triplet) => Cow::Owned([&triplet.code, "^", triplet.system].concat()),
            None => triplets[0].display.clone(),
        };
        let named_system = triplets
            .iter()
            .map(|triplet| triplet.system)
            .find(|system| !system.is_empty());
        let mut code = with_text(context.concept_from(triplets, Usage::Any));
        if code.coding.is_empty() {
            // JP Core 1.2.0 wants a coding; one of words only says that there is no code.
            let system = context.system(&Cow::Borrowed(named_system.unwrap_or("")), "", Usage::Any);
            code.coding.push(Coding {
                system,
                display: code.text.clone(),
                ..Coding::default()
            });
        }
        if !is_known {
            context.note(Code::MAP_LOCAL_CODE, obx.at(3));
        }
        let infection = match jlac10.len() {
            5.. => infection::by_jlac10(&jlac10),
            _ => infection::by_name(&code.text),
        };
        Some(Self {
            obx,
            notes: notes.to_vec(),
            code,
            jlac10,
            item,
            sub_id: obx.text(4),
            infection,
            kind: Kind::Laboratory,
        })
    }

    /// Measured at the bed or at home: blood pressure, temperature, respiration, pulse (JLAC10 class 9).
    pub(crate) fn is_vital_sign(&self) -> bool {
        ["9A75", "9A76", "9P1", "9P2", "9P3"]
            .iter()
            .any(|prefix| self.jlac10.starts_with(prefix))
    }

    /// OBX-11 D or W.
    pub(crate) fn is_taken_back(&self) -> bool {
        matches!(self.obx.text(11).as_ref(), "D" | "W")
    }
}
