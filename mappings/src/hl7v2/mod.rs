//! HL7 v2.5 as JAHIS and SS-MIX2 use it (reference: SS-MIX2 Ver.1.2i, JAHIS データ交換規約), to FHIR.
//!
//! Decode, split, find the patient, then one reader per family of messages: `adt` (stays, people,
//! allergies), `problems`, `orders`, `results`. Types without a reader keep the patient's snapshot and are
//! reported unread.

use renkei_core::{Code, Draft, Finding, MapError, Mapper, MapperId, Message, Severity};
use renkei_hl7v2::charset::{Decoded, FindingKind};
use renkei_hl7v2::tokenize;

use crate::Options;
use crate::context::Context;
use crate::document;
use crate::reader::{Reader, trimmed};
use crate::storage::StoragePath;

mod adt;
mod allergies;
mod beds;
mod coverage;
mod encounter;
mod measurements;
mod name;
mod orders;
mod patient;
mod problems;
pub mod restricted;
pub(crate) mod results;
mod tables;
mod vitals;

/// Grows when the output of these mappings changes.
const VERSION: u32 = 1;

/// Where messages come from, which decides what names their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// A connection or folder: MSH-9.
    Stream,
    /// An SS-MIX2 storage: the data-type folder, then MSH-9.
    Storage,
}

/// The mappings `hl7v2` and `ssmix2`.
#[derive(Debug)]
pub struct Hl7v2 {
    options: Options,
    feed: Feed,
    id: MapperId,
}

impl Hl7v2 {
    /// A mapper over one source.
    pub fn new(options: Options, feed: Feed) -> Self {
        let name = match feed {
            Feed::Stream => "hl7v2",
            Feed::Storage => "ssmix2",
        };
        let id = MapperId {
            name,
            version: VERSION,
            config: options.hash(),
        };
        Self { options, feed, id }
    }
}

impl Mapper for Hl7v2 {
    fn id(&self) -> MapperId {
        self.id.clone()
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        if self.feed == Feed::Storage && document::is_document(&message.body) {
            return Ok(document::read(&self.options, message));
        }
        let decoded = renkei_hl7v2::decode(&message.body);
        let parts = renkei_hl7v2::split_messages(&decoded.text);
        let Some((first, others)) = parts.split_first() else {
            return Err(MapError {
                code: Code::HL7_NO_MSH,
                at: "MSH".to_owned(),
            });
        };
        let mut draft = self.map_one(message, &decoded, first)?;
        for (part, number) in others.iter().zip(2..) {
            let next = self.map_one(message, &decoded, part)?;
            join(&mut draft, next, number);
        }
        Ok(draft)
    }
}

impl Hl7v2 {
    fn map_one(
        &self,
        message: &Message,
        decoded: &Decoded<'_>,
        text: &str,
    ) -> Result<Draft, MapError> {
        let parsed = tokenize::Message::parse(text).map_err(|error| MapError {
            code: Code::HL7_NO_MSH,
            at: error.location().to_string(),
        })?;
        let marks = Reader::marks(&parsed);
        let reader = Reader::new(&parsed, &marks);
        let storage = match self.feed {
            Feed::Storage => message.meta.path.as_deref().and_then(StoragePath::parse),
            Feed::Stream => None,
        };
        let mut context = Context::new(&self.options, message, storage);
        report_charset(&mut context, reader, decoded, text);
        self.read_type(&mut context, reader, message);
        context.read_source_time(reader, message.received_at);
        if context.kind == "ADT" && context.trigger == "A20" {
            beds::update(reader, &mut context);
        } else if read_patient_number(&mut context, reader) {
            read_by_type(reader, &mut context);
        }
        context.draft.unread = reader.unread();
        Ok(context.finish())
    }

    /// Sets kind and trigger: the folder of a storage decides, MSH-9 fills in.
    fn read_type(&self, context: &mut Context<'_>, reader: Reader<'_>, message: &Message) {
        let field = reader.header().field(9);
        let part = |number: usize| trimmed(field.component(number).text()).into_owned();
        (context.kind, context.trigger) = (part(1), part(2));
        if self.feed == Feed::Stream {
            return;
        }
        if context
            .storage
            .as_ref()
            .is_none_or(|path| path.is_unexpected)
            && message.meta.path.is_some()
        {
            context.note(Code::MAP_PATH_UNEXPECTED, "path");
        }
        let from_path = context.storage.as_ref().map(|path| path.data_type.clone());
        let Some(data_type) = message.meta.data_type.clone().or(from_path) else {
            return;
        };
        let Some((kind, triggers)) = types_of(&data_type) else {
            return;
        };
        let same_kind = kind.split('/').any(|kind| kind == context.kind);
        if !same_kind || !(triggers.is_empty() || triggers.contains(&context.trigger.as_str())) {
            context.warn(Code::HL7_TYPE_MISMATCH, "MSH-9");
            context.kind = kind.split('/').next().unwrap_or_default().to_owned();
            context.trigger = triggers.first().copied().unwrap_or_default().to_owned();
        }
    }
}

/// What a data-type folder holds: message types (first = the usual one) and triggers; no triggers = any.
fn types_of(data_type: &str) -> Option<(&'static str, &'static [&'static str])> {
    Some(match data_type {
        "ADT-00" => ("ADT", &["A08", "A23", "A28", "A31"]),
        "ADT-01" => ("ADT", &["A54", "A55"]),
        "ADT-12" => ("ADT", &["A04"]),
        "ADT-21" => ("ADT", &["A14", "A27"]),
        "ADT-22" => ("ADT", &["A01", "A11"]),
        "ADT-31" => ("ADT", &["A21", "A52"]),
        "ADT-32" => ("ADT", &["A22", "A53"]),
        "ADT-41" => ("ADT", &["A15", "A26"]),
        "ADT-42" => ("ADT", &["A02", "A12"]),
        "ADT-51" => ("ADT", &["A16", "A25"]),
        "ADT-52" => ("ADT", &["A03", "A13"]),
        "ADT-61" => ("ADT", &["A60"]),
        "PPR-01" => ("PPR", &[]),
        "OMP-01" | "OMP-02" => ("RDE", &[]),
        "OMP-11" | "OMP-12" => ("RAS", &[]),
        "OML-01" => ("OML", &[]),
        "OML-11" => ("OUL", &[]),
        "OMG-01" | "OMG-02" | "OMG-03" => ("OMG", &[]),
        "OMG-11" | "OMG-12" => ("OMI", &[]),
        "OMG-13" => ("ORU", &[]),
        "OMD" => ("OMD", &[]),
        _ => return None,
    })
}

fn read_by_type<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    match context.kind.as_str() {
        "ADT" => adt::read(reader, context),
        "PPR" => problems::read(reader, context),
        "RDE" => {
            patient::read(reader, context, patient::Telling::Snapshot);
            orders::read(reader, context);
        }
        "OUL" | "ORU" => {
            patient::read(reader, context, patient::Telling::Snapshot);
            results::read(reader, context);
        }
        _ => unknown_type(reader, context),
    }
}

/// A type without a reader: the patient is kept, the rest is reported unread.
fn unknown_type<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    patient::read(reader, context, patient::Telling::Snapshot);
    context.note(Code::HL7_UNKNOWN_TYPE, "MSH-9");
}

/// Sets the patient number from PID-3, else from the storage path; false when there is none.
fn read_patient_number(context: &mut Context<'_>, reader: Reader<'_>) -> bool {
    let sent = reader.first("PID").map(|pid| {
        let field = pid.field(3);
        let is_patient_number = |id: &renkei_hl7v2::Repetition<'_>| id.component(5).raw() == "PI";
        let chosen = field
            .repetitions()
            .find(is_patient_number)
            .unwrap_or(field.repetition(1));
        trimmed(chosen.text()).into_owned()
    });
    let mut number = sent.unwrap_or_default();
    let in_path = context.storage.as_ref().map(|path| path.patient.clone());
    if number.is_empty() {
        let severity = if in_path.is_some() {
            Severity::Warning
        } else {
            Severity::Error
        };
        context.find(Finding::new(Code::MAP_NO_PATIENT, severity, "PID-3"));
        number = in_path.unwrap_or_default();
    } else if let Some(path) = in_path.filter(|path| *path != number) {
        context.warn(Code::MAP_PATIENT_MISMATCH, "PID-3");
        if path.trim_start_matches('0') != number.trim_start_matches('0') {
            context.draft.hold = Some(Code::MAP_PATIENT_MISMATCH);
        }
    }
    if number.is_empty() {
        return false;
    }
    if let Some(form) = context.options.local_id {
        let missing = form.width.saturating_sub(number.chars().count());
        number.insert_str(0, &form.padding.to_string().repeat(missing));
    }
    context.set_patient(number);
    true
}

/// Reports what was odd about the bytes; a name of the patient that cannot be read parks the message.
fn report_charset(
    context: &mut Context<'_>,
    reader: Reader<'_>,
    decoded: &Decoded<'_>,
    text: &str,
) {
    if reader.header().field(2).text().chars().count() < 4 {
        // The missing ones are taken as usual (HL7 v2.5 ch. 2.5.4).
        context.warn(Code::HL7_ENCODING_CHARACTERS, "MSH-2");
    }
    for (kind, offset) in decoded.findings_in(text) {
        let code = match kind {
            FindingKind::RomanReturn | FindingKind::RedundantEscape => continue,
            FindingKind::DeclaredOtherwise
            | FindingKind::Undeclared
            | FindingKind::ByteOrderMark => Code::CHARSET_MISMATCH,
            FindingKind::YenSignDelimiter => Code::HL7_ENCODING_CHARACTERS,
            FindingKind::HalfWidthKana => Code::CHARSET_HALF_KANA,
            FindingKind::VendorCharacter => Code::CHARSET_VENDOR_CHARACTER,
            FindingKind::UnterminatedKanji => Code::CHARSET_UNTERMINATED,
            FindingKind::UnsupportedSet | FindingKind::Malformed | FindingKind::Lost => {
                Code::CHARSET_UNDECODABLE
            }
            FindingKind::PrivateUse | FindingKind::SubstituteMark => Code::CHARSET_GAIJI,
        };
        let place = reader.message().locate(offset);
        let at = place.map_or_else(|| "MSH".to_owned(), |place| place.to_string());
        let is_name =
            place.is_some_and(|place| place.segment.as_str() == "PID" && place.field == 5);
        let is_unreadable = kind.is_possible_gaiji() && kind != FindingKind::SubstituteMark;
        if is_name && is_unreadable {
            context.draft.hold = Some(Code::CHARSET_GAIJI_IN_NAME);
            context.warn(Code::CHARSET_GAIJI_IN_NAME, at.clone());
        }
        context.warn(code, at);
    }
}

/// Adds the draft of a further message in the same bytes. One input speaks about one patient; a message
/// about another one is refused with a finding.
fn join(draft: &mut Draft, next: Draft, number: usize) {
    let subject = |draft: &Draft| {
        draft
            .subject
            .as_ref()
            .map(|subject| subject.local_id.clone())
    };
    if subject(draft) != subject(&next) {
        let at = format!("MSH[{number}]-9");
        let text = "several messages about different patients in one input; only those about the first were read";
        draft
            .findings
            .push(Finding::new(Code::MAP_PATIENT_MISMATCH, Severity::Error, at).saying(text));
        return;
    }
    draft.resources.extend(next.resources);
    draft.withdrawals.extend(next.withdrawals);
    draft.items.extend(next.items);
    draft.complete_scopes.extend(next.complete_scopes);
    draft.bed_states.extend(next.bed_states);
    draft.findings.extend(next.findings);
    draft.unread.extend(next.unread);
    draft.stay = next.stay.or_else(|| draft.stay.take());
    draft.hold = draft.hold.or(next.hold);
}
