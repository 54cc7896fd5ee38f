//! What every reader of a message shares: the draft being filled, findings, keys, references, codes and
//! times. The rules for keys are those of the table in ARCHITECTURE.md ("Identity of things").

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use renkei_core::draft::{StayHint, WithdrawReason};
use renkei_core::{
    Authority, Carry, Code, CompleteScope, Draft, DraftResource, Finding, Flag, Item, ItemClass,
    ItemEvent, Message, ResourceKey, ResourceType, Sensitive, Severity, Strength, Urgency,
    Withdrawal, limits,
};
use renkei_fhir::emit::{CodeableConcept, Coding, Identifier, Reference, Text};
use renkei_fhir::jp_core::{self, Usage};
use renkei_hl7v2::{Component, Repetition};

use crate::Options;
use crate::moment::{BadMoment, Moment};
use crate::reader::{Reader, Seg, trimmed};
use crate::storage::StoragePath;

/// The scope of a patient's problem list.
pub(crate) const PROBLEMS: &str = "problems";
/// The scope of a patient's allergies.
pub(crate) const ALLERGIES: &str = "allergies";
/// The scope of a patient's insurance covers.
pub(crate) const COVERAGES: &str = "coverages";

/// One message on its way into a draft.
pub(crate) struct Context<'m> {
    /// How the mapper was built.
    pub(crate) options: &'m Options,
    /// What the storage path says, for files of a storage.
    pub(crate) storage: Option<StoragePath>,
    /// The condition flag, [`Flag::Current`] where there is none.
    pub(crate) flag: Flag,
    /// MSH-9.1, such as `ADT`.
    pub(crate) kind: String,
    /// MSH-9.2, such as `A01`.
    pub(crate) trigger: String,
    /// When the source says it (EVN-2, else MSH-7, else the time of receipt).
    pub(crate) source_time: Timestamp,
    /// The 17-digit time of the storage file, 0 elsewhere.
    pub(crate) storage_order: u64,
    /// The patient number, as PID-3 writes it.
    pub(crate) local_id: String,
    /// The draft so far.
    pub(crate) draft: Draft,
    patient: ResourceKey,
}

impl<'m> Context<'m> {
    /// A context for one message about the patient `local_id`.
    pub(crate) fn new(
        options: &'m Options,
        message: &Message,
        storage: Option<StoragePath>,
    ) -> Self {
        let flag = message
            .meta
            .flag
            .or_else(|| storage.as_ref().and_then(|path| path.flag));
        Self {
            options,
            flag: flag.unwrap_or(Flag::Current),
            storage_order: storage.as_ref().map_or(0, |path| path.order_in_key),
            storage,
            kind: String::new(),
            trigger: String::new(),
            source_time: message.received_at,
            local_id: String::new(),
            draft: Draft::default(),
            patient: ResourceKey::new(ResourceType::Patient, &options.facility, &[]),
        }
    }

    /// Sets whose message it is.
    pub(crate) fn set_patient(&mut self, local_id: String) {
        self.patient =
            ResourceKey::new(ResourceType::Patient, &self.options.facility, &[&local_id]);
        self.local_id = local_id;
    }

    /// Reads EVN-2, else MSH-7, as the time of the message; more than a day ahead of `received_at` it is
    /// replaced by that.
    pub(crate) fn read_source_time(&mut self, reader: Reader<'m>, received_at: Timestamp) {
        let evn = reader.first("EVN").map(|evn| (evn, 2));
        let places = evn.into_iter().chain([(reader.header(), 7)]);
        for (segment, number) in places {
            let Some(at) = self.moment(segment, number).and_then(Moment::instant) else {
                continue;
            };
            let ahead = at.duration_since(received_at);
            if Duration::try_from(ahead).is_ok_and(|ahead| ahead > limits::FUTURE_SLACK) {
                self.warn(Code::MAP_FUTURE_DATE, segment.at(number));
                break;
            }
            self.source_time = at;
            return;
        }
        if self
            .draft
            .findings
            .last()
            .is_none_or(|finding| finding.code != Code::MAP_FUTURE_DATE)
        {
            self.warn(Code::MAP_NO_TIME, "MSH-7");
        }
        self.source_time = received_at;
    }

    // ---- findings ----

    /// Something was left out, replaced or doubtful.
    pub(crate) fn warn(&mut self, code: Code, at: impl Into<String>) {
        self.draft
            .findings
            .push(Finding::new(code, Severity::Warning, at));
    }

    /// A deviation that lost nothing.
    pub(crate) fn note(&mut self, code: Code, at: impl Into<String>) {
        self.draft
            .findings
            .push(Finding::new(code, Severity::Info, at));
    }

    /// Any other finding, for one with its own text, value or severity.
    pub(crate) fn find(&mut self, finding: Finding) {
        self.draft.findings.push(finding);
    }

    // ---- values ----

    /// A time in a field; what cannot be read is left out with a finding.
    pub(crate) fn moment(&mut self, segment: Seg<'m>, number: usize) -> Option<Moment> {
        self.moment_in(segment, number, segment.field(number).component(1))
    }

    /// A time in a component of a field.
    pub(crate) fn moment_in(
        &mut self,
        segment: Seg<'m>,
        number: usize,
        value: Component<'m>,
    ) -> Option<Moment> {
        let text = trimmed(value.text());
        if text.is_empty() {
            return None;
        }
        match Moment::parse(&text, self.options.zone) {
            Ok(moment) => Some(moment),
            Err(bad) => {
                let code = match bad {
                    BadMoment::Era => Code::MAP_ERA_DATE,
                    BadMoment::Unreadable => Code::MAP_BAD_DATE,
                };
                self.find(
                    Finding::new(code, Severity::Warning, segment.at(number)).with_value(text),
                );
                None
            }
        }
    }

    /// The first repetition of a coded field.
    pub(crate) fn concept(&mut self, segment: Seg<'m>, number: usize) -> CodeableConcept<'m> {
        self.concept_as(segment, number, Usage::Any)
    }

    /// The first repetition of a coded field whose system depends on what the code is for.
    pub(crate) fn concept_as(
        &mut self,
        segment: Seg<'m>,
        number: usize,
        usage: Usage,
    ) -> CodeableConcept<'m> {
        self.concept_of(segment.field(number).repetition(1), usage, segment, number)
    }

    /// A coded value: both triplets of a CWE as codings, its words as text (HL7 v2.5 ch. 2.A.13).
    pub(crate) fn concept_of(
        &mut self,
        value: Repetition<'m>,
        usage: Usage,
        segment: Seg<'m>,
        number: usize,
    ) -> CodeableConcept<'m> {
        let mut concept = CodeableConcept::default();
        for first in [1, 4] {
            let part = |offset: usize| trimmed(value.component(first + offset).text());
            let (mut code, mut display, system) = (part(0), part(1), part(2));
            if !code.is_empty() && !code.is_ascii() && is_code(&display) {
                std::mem::swap(&mut code, &mut display);
                self.warn(Code::MAP_CODE_MISPLACED, segment.at(number));
            } else if display.is_empty() && !code.is_ascii() {
                display = std::mem::take(&mut code);
            }
            if concept.text.is_empty() {
                concept.text = display.clone();
            }
            if !code.is_empty() {
                concept.coding.push(Coding::new(
                    self.system(&system, &code, usage),
                    code,
                    display,
                ));
            }
        }
        let original = trimmed(value.component(9).text());
        if !original.is_empty() {
            concept.text = original;
        }
        concept
    }

    /// The FHIR uri of a coding system; a local name gets one within the facility, no name none.
    pub(crate) fn system(&self, name: &Cow<'m, str>, code: &str, usage: Usage) -> Text<'m> {
        let facility = self.options.facility.as_str();
        match name {
            name if name.is_empty() => Cow::Borrowed(""),
            name if let Some(uri) = self.options.code_systems.get(name.as_ref()) => {
                Cow::Borrowed(uri)
            }
            Cow::Borrowed(name) => {
                jp_core::code_system(name).uri_or_local(code, usage, facility, name)
            }
            Cow::Owned(name) => Cow::Owned(
                jp_core::code_system(name)
                    .uri_or_local(code, usage, facility, name)
                    .into_owned(),
            ),
        }
    }

    /// A doctor or other staff (XCN) as a logical reference; empty when nothing was sent.
    pub(crate) fn practitioner(&self, staff: Repetition<'m>) -> Reference<'m> {
        let id = trimmed(staff.component(1).text());
        let name = joined_name(
            trimmed(staff.component(2).text()),
            trimmed(staff.component(3).text()),
        );
        let mut reference = Reference {
            display: name,
            ..Reference::default()
        };
        if !id.is_empty() {
            let system = jp_core::identifier::doctor(self.options.facility.as_str());
            reference.identifier = Some(Box::new(Identifier::new(system, id)));
        }
        if reference.identifier.is_some() || !reference.display.is_empty() {
            reference.r#type = "Practitioner".into();
        }
        reference
    }

    // ---- keys and references ----

    /// A key within the patient's record: the local id, then `parts`.
    pub(crate) fn key(&self, kind: ResourceType, parts: &[&str]) -> ResourceKey {
        let mut all = Vec::with_capacity(parts.len() + 1);
        all.push(self.local_id.as_str());
        all.extend_from_slice(parts);
        ResourceKey::new(kind, &self.options.facility, &all)
    }

    /// The key of the patient.
    pub(crate) fn patient_key(&self) -> &ResourceKey {
        &self.patient
    }

    /// `Patient/…`.
    pub(crate) fn patient_reference(&self) -> Reference<'static> {
        Reference::to(self.patient.reference())
    }

    /// The scope of one order: `order:<type>:<number>`.
    pub(crate) fn order_scope(kind: &str, number: &str) -> String {
        ["order:", kind, ":", number].concat()
    }

    // ---- results ----

    /// Records a resource under its key, as said by the purpose of the message, replacing what was there.
    /// Adjust the returned entry where the rules differ. `body` is the resource printed.
    pub(crate) fn record(&mut self, key: ResourceKey, body: String) -> &mut DraftResource {
        let at = self.draft.resources.len();
        self.draft.resources.push(DraftResource {
            key,
            body: Sensitive::new(body),
            source_time: self.source_time,
            storage_order: self.storage_order,
            authority: Authority::Primary,
            strength: Strength::Final,
            carry: Carry::Replace,
            scope: None,
        });
        &mut self.draft.resources[at]
    }

    /// Takes a resource back; also when it was never seen, so that a late original stays away.
    pub(crate) fn withdraw(
        &mut self,
        key: ResourceKey,
        reason: WithdrawReason,
        scope: Option<String>,
    ) {
        self.draft.withdrawals.push(Withdrawal {
            key,
            reason,
            source_time: self.source_time,
            storage_order: self.storage_order,
            scope,
        });
    }

    /// Says that this message lists a scope completely.
    pub(crate) fn complete(&mut self, scope: impl Into<String>, reason: WithdrawReason) {
        self.draft.complete_scopes.push(CompleteScope {
            scope: scope.into(),
            as_of: self.source_time,
            reason,
        });
    }

    /// Adds an item; adjust the returned entry for members and what is never automatic.
    pub(crate) fn item(
        &mut self,
        class: ItemClass,
        event: ItemEvent,
        focus: ResourceKey,
        occurred_at: Timestamp,
        urgency: Urgency,
    ) -> &mut Item {
        let at = self.draft.items.len();
        self.draft.items.push(Item {
            class,
            event,
            focus,
            members: Vec::new(),
            occurred_at,
            urgency,
            never_automatic: None,
        });
        &mut self.draft.items[at]
    }

    /// Says which stay the message speaks about.
    pub(crate) fn stay(&mut self, hint: StayHint) {
        self.draft.stay = Some(hint);
    }

    /// The draft, with the condition flag applied.
    ///
    /// Flag 0 withdraws whatever the content keys (snapshots of others excepted) and empties its scopes.
    /// Flag 2 is history: it is recorded under its own older time, so that the current file of the same key
    /// wins whichever comes first; it tells nobody anything and takes nothing back.
    pub(crate) fn finish(mut self) -> Draft {
        match self.flag {
            Flag::Current => {}
            Flag::Superseded => {
                self.draft.items.clear();
                self.draft.withdrawals.clear();
                self.draft.complete_scopes.clear();
                self.draft.bed_states.clear();
            }
            Flag::Deleted => self.withdraw_everything(),
        }
        self.draft
    }

    fn withdraw_everything(&mut self) {
        self.draft.bed_states.clear();
        for resource in std::mem::take(&mut self.draft.resources) {
            let is_own = match resource.key.kind {
                ResourceType::Patient => matches!(self.trigger.as_str(), "A08" | "A28" | "A31"),
                _ => resource.authority == Authority::Primary,
            };
            if resource.key.is_unresolved_stay() {
                // What a deleted event did to a stay was turned into its cancel by the reader.
                self.draft.resources.push(resource);
            } else if is_own {
                self.withdraw(resource.key, WithdrawReason::EnteredInError, resource.scope);
            }
        }
        for scope in &mut self.draft.complete_scopes {
            scope.reason = WithdrawReason::EnteredInError;
        }
    }
}

/// Family and given name with one half-width space between (JP Core 1.2.0 `JP_HumanName.text`).
pub(crate) fn joined_name<'m>(family: Cow<'m, str>, given: Cow<'m, str>) -> Cow<'m, str> {
    let family = without_wide_space(family);
    let given = without_wide_space(given);
    if given.is_empty() {
        family
    } else if family.is_empty() {
        given
    } else {
        Cow::Owned(format!("{family} {given}"))
    }
}

/// Ideographic spaces as plain ones: they are not allowed in names and texts.
pub(crate) fn without_wide_space(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\u{3000}') {
        Cow::Owned(text.replace('\u{3000}', " "))
    } else {
        text
    }
}

/// Looks like a code: short, no blanks, only ASCII.
fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 20
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}
