//! The report over the results of one order, and the item people are told.

use std::borrow::Cow;

use jiff::Timestamp;
use renkei_core::draft::WithdrawReason;
use renkei_core::{Code, ResourceKey, ResourceType, Strength};
use renkei_fhir::emit::{
    CodeableConcept, Coding, DiagnosticReport, Effective, Identifier, Meta, Reference, Text,
};
use renkei_fhir::jp_core::{identifier, profile, system};

use super::coded::printable;
use super::{Group, Keyed, Kind, State, Taken, effective_of, is_cancel, is_complete, tell};
use crate::context::Context;
use crate::moment::{Moment, Precision};

/// One report on its way.
pub(super) struct Report<'m> {
    pub(super) kind: Kind,
    pub(super) order: Cow<'m, str>,
    /// HIV and the like: a named person releases it.
    pub(super) never_automatic: bool,
    panels: Vec<CodeableConcept<'m>>,
    /// The numbers of the order as sent: the placer's and the filler's.
    numbers: [Vec<Text<'m>>; 2],
    taken: Option<Taken<'m>>,
    issued: Text<'m>,
    remarks: String,
    results: Vec<Keyed<'m>>,
    states: Vec<State>,
    withdrawn: usize,
    /// OBR-25 X of an order without rows.
    is_not_obtained: bool,
    /// ORC-1 takes the order back.
    is_cancelled: bool,
    at: Option<Timestamp>,
}

impl<'m> Report<'m> {
    /// An empty report.
    pub(super) fn new(kind: Kind, order: Cow<'m, str>) -> Self {
        Self {
            kind,
            order,
            never_automatic: false,
            panels: Vec::new(),
            numbers: [Vec::new(), Vec::new()],
            taken: None,
            issued: Text::default(),
            remarks: String::new(),
            results: Vec::new(),
            states: Vec::new(),
            withdrawn: 0,
            is_not_obtained: false,
            is_cancelled: false,
            at: None,
        }
    }

    /// Takes over what an OBR says about all its rows; its notes only when `with_notes`.
    pub(super) fn add_group(
        &mut self,
        context: &mut Context<'m>,
        group: &Group<'m>,
        panel: Option<CodeableConcept<'m>>,
        with_notes: bool,
    ) {
        let panel = panel.filter(|panel| *panel != CodeableConcept::default());
        self.panels
            .extend(panel.filter(|panel| !self.panels.contains(panel)));
        let taken = effective_of(context, group);
        self.at = self.at.max(Some(taken.at));
        self.taken.get_or_insert(taken);
        for segment in [group.orc, group.obr].into_iter().flatten() {
            for (numbers, field) in self.numbers.iter_mut().zip([2, 3]) {
                let number = segment.text(field);
                if !number.is_empty() && !numbers.contains(&number) {
                    numbers.push(number);
                }
            }
        }
        if let Some(orc) = group.orc {
            self.is_cancelled |= is_cancel(&orc.text(1));
            orc.mark(&[5]); // the state of the order is that of its rows
        }
        if let Some(obr) = group.obr {
            self.is_not_obtained |= obr.text(25) == "X" && group.rows.is_empty();
        }
        self.read_issued(context, group);
        for note in group.notes.iter().filter(|_| with_notes) {
            if !self.remarks.is_empty() {
                self.remarks.push('\n');
            }
            self.remarks.push_str(&printable(note.field(3).full_text()));
        }
    }

    /// OBR-22, else ORC-9; the latest of all groups.
    fn read_issued(&mut self, context: &mut Context<'m>, group: &Group<'m>) {
        let places = [
            group.obr.map(|obr| (obr, 22)),
            group.orc.map(|orc| (orc, 9)),
        ];
        let mut moments = Vec::new();
        for (segment, field) in places.into_iter().flatten() {
            moments.extend(context.moment(segment, field));
        }
        // FHIR R4 `instant`: never only a date.
        let issued = moments
            .into_iter()
            .find(|moment| moment.precision() == Precision::Time);
        let issued = issued.map(Moment::fhir).unwrap_or_default();
        if issued.as_str() > self.issued.as_ref() {
            self.issued = issued.into();
        }
    }

    /// Adds a recorded result.
    pub(super) fn add_result(&mut self, result: Keyed<'m>, state: State) {
        self.at = self.at.max(Some(state.occurred_at));
        self.results.push(result);
        self.states.push(state);
    }

    /// Counts a result that was taken back.
    pub(super) fn add_withdrawn(&mut self) {
        self.withdrawn += 1;
    }

    /// Records the report and its item; takes it back when nothing of it is left.
    pub(super) fn record(self, context: &mut Context<'m>, subject: &str) {
        let scope = Context::order_scope("result", &self.order);
        let key = context.key(
            ResourceType::DiagnosticReport,
            &[&self.order, self.kind.word()],
        );
        if context.storage.is_some() && !is_complete(context, &scope) {
            context.complete(scope.clone(), WithdrawReason::Superseded);
        }
        if self.results.is_empty() && (self.withdrawn > 0 || self.is_cancelled) {
            context.withdraw(key, WithdrawReason::EnteredInError, Some(scope));
            return;
        }
        let (status, strength) = self.status();
        let body = self.body(context, &key, subject, status).to_json();
        let resource = context.record(key.clone(), body);
        resource.strength = strength;
        resource.scope = Some(scope);
        if self.results.is_empty() {
            return;
        }
        let members: Vec<ResourceKey> = self.results.into_iter().map(|result| result.key).collect();
        let is_critical = self.states.iter().any(|state| state.is_critical);
        let at = self.at.unwrap_or(context.source_time);
        tell(context, self.kind, key, members, at, is_critical);
        if let Some(item) = context.draft.items.last_mut() {
            item.never_automatic = self.never_automatic.then_some(Code::RTE_NEVER_AUTOMATIC);
        }
    }

    /// FHIR R4 `diagnostic-report-status` from its rows.
    fn status(&self) -> (&'static str, Strength) {
        let is_open = |state: &&State| state.strength == Strength::Preliminary;
        let open = self.states.iter().filter(is_open).count();
        let all = |status: &str| self.states.iter().all(|state| state.status == status);
        if self.states.is_empty() && self.is_not_obtained {
            ("cancelled", Strength::Final)
        } else if self.states.is_empty() || all("registered") {
            ("registered", Strength::Preliminary)
        } else if all("cancelled") {
            ("cancelled", Strength::Final)
        } else if open == self.states.len() {
            ("preliminary", Strength::Preliminary)
        } else if open > 0 {
            ("partial", Strength::Preliminary)
        } else if self.states.iter().any(|state| state.status == "corrected") {
            ("corrected", Strength::Final)
        } else if self.states.iter().any(|state| state.status == "amended") {
            ("amended", Strength::Final)
        } else {
            ("final", Strength::Final)
        }
    }

    fn body<'a>(
        &'a self,
        context: &Context<'_>,
        key: &ResourceKey,
        subject: &'a str,
        status: &'static str,
    ) -> DiagnosticReport<'a> {
        let filler_system = identifier::local(context.options.facility.as_str(), "filler-order");
        let [placers, fillers] = &self.numbers;
        let placers = placers
            .iter()
            .map(|number| Identifier::new(identifier::RESOURCE_INSTANCE, number.as_ref()));
        let fillers = fillers
            .iter()
            .map(|number| Identifier::new(filler_system.clone(), number.as_ref()));
        let effective = self.taken.as_ref().map(|taken| match self.kind {
            // JP Core 1.2.0 `JP_DiagnosticReport_Microbiology`: dateTime only.
            Kind::Microbiology => Effective::DateTime(taken.start.as_ref().into()),
            _ => taken.effective(),
        });
        let (profile, category) = shape(self.kind);
        DiagnosticReport {
            id: key.logical_id().into(),
            meta: Meta::of_profile(profile),
            identifier: placers.chain(fillers).collect(),
            status: status.into(),
            category: category.into_iter().collect(),
            code: self.code(),
            subject: Reference::to(subject),
            effective,
            issued: self.issued.as_ref().into(),
            result: self
                .results
                .iter()
                .map(|result| Reference::to(["Observation/", &result.id].concat()))
                .collect(),
            conclusion: self.remarks.as_str().into(),
            ..DiagnosticReport::default()
        }
    }

    /// The kind of report, and the panel when there is one; the words are those of all panels.
    fn code(&self) -> CodeableConcept<'_> {
        let words: Vec<&str> = self
            .panels
            .iter()
            .map(|panel| panel.text.as_ref())
            .filter(|text| !text.is_empty())
            .collect();
        let document = match self.kind {
            Kind::Laboratory | Kind::Infection => Some(system::LAB_REPORT),
            Kind::Microbiology => Some(("18725-2", "微生物学的検査報告書")),
            Kind::Physiology | Kind::VitalSign => None,
        };
        let mut coding: Vec<Coding<'_>> = document
            .map(|(code, display)| Coding::new(system::DOCUMENT, code, display))
            .into_iter()
            .collect();
        if let [panel] = self.panels.as_slice() {
            coding.extend(panel.coding.iter().cloned());
        }
        let text = if words.is_empty() {
            Text::Borrowed(document.map_or("検査報告書", |(_, display)| display))
        } else {
            Text::Owned(words.join("、"))
        };
        CodeableConcept {
            coding,
            text,
            ..CodeableConcept::default()
        }
    }
}

/// Profile and category of a report (JP Core 1.2.0).
fn shape(kind: Kind) -> (&'static str, Option<CodeableConcept<'static>>) {
    let loinc = |code: &'static str| {
        Some(CodeableConcept::of_coding(Coding::new(
            system::LOINC,
            code,
            "",
        )))
    };
    match kind {
        Kind::Laboratory | Kind::Infection => (
            profile::DIAGNOSTIC_REPORT_LAB,
            loinc(system::LAB_REPORT_CATEGORY),
        ),
        Kind::Microbiology => (
            profile::DIAGNOSTIC_REPORT_MICROBIOLOGY,
            loinc(system::MICROBIOLOGY_REPORT_CATEGORY),
        ),
        Kind::Physiology | Kind::VitalSign => (profile::DIAGNOSTIC_REPORT_COMMON, None),
    }
}
