//! Prescriptions and injections: RDE^O11 to MedicationRequest (JP Core 1.2.0 `JP_MedicationRequest`,
//! `JP_MedicationRequest_Injection`).
//!
//! A fold over the segments gathers one [`Prescribed`] per RXE with the TQ1, RXR, RXC and NTE around it,
//! whatever their order; each becomes one request, each order one item. Cancels (ORC-1 CA, DC and the like)
//! take the requests back; a cancel without RXE takes back whatever the order holds.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use renkei_core::draft::WithdrawReason;
use renkei_core::id::hash_id;
use renkei_core::{
    Code, Finding, ItemClass, ItemEvent, ResourceKey, ResourceType, Severity, Urgency,
};
use renkei_fhir::emit::{
    Annotation, CodeableConcept, Identifier, MedicationChoice, MedicationRequest, Meta, Reference,
    Text,
};
use renkei_fhir::jp_core::{Usage, identifier, profile};

use super::results::coded::{printable, with_text};
use super::results::{is_cancel, is_complete};
use crate::context::Context;
use crate::moment::fhir_instant;
use crate::reader::{Reader, Seg};

mod amount;
mod dosage;
mod mixture;

/// One RXE with what belongs to it.
pub(super) struct Prescribed<'m> {
    orc: Option<Seg<'m>>,
    rxe: Seg<'m>,
    timings: Vec<Seg<'m>>,
    routes: Vec<Seg<'m>>,
    components: Vec<Seg<'m>>,
    notes: Vec<Seg<'m>>,
}

/// What was gathered of a message.
#[derive(Default)]
struct Gathered<'m> {
    prescribed: Vec<Prescribed<'m>>,
    /// ORCs that no RXE followed.
    bare_orders: Vec<Seg<'m>>,
}

/// The requests of one order, for its item.
struct Order<'m> {
    number: Cow<'m, str>,
    is_injection: bool,
    keys: Vec<ResourceKey>,
    authored_at: Timestamp,
}

/// Where a request stands: Rp and place in it.
struct Position<'m> {
    rp: Text<'m>,
    in_rp: Text<'m>,
}

/// Reads all requests of a message.
pub(super) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let gathered = gather(reader);
    let is_injection_folder = context
        .storage
        .as_ref()
        .is_some_and(|path| path.data_type == "OMP-02");
    let mut counts = Counts::default();
    let mut orders: Vec<Order<'m>> = Vec::new();
    for orc in gathered.bare_orders {
        read_bare(context, orc);
    }
    for prescribed in &gathered.prescribed {
        let is_injection = is_injection_folder || mixture::is_injection(prescribed);
        read_one(context, prescribed, is_injection, &mut counts, &mut orders);
    }
    for order in orders {
        let class = if order.is_injection {
            ItemClass::Injection
        } else {
            ItemClass::Medication
        };
        let mut keys = order.keys.into_iter();
        let Some(focus) = keys.next() else {
            continue;
        };
        let item = context.item(
            class,
            ItemEvent::Recorded,
            focus,
            order.authored_at,
            Urgency::U2,
        );
        item.members = keys.collect();
    }
}

/// One pass over the segments. TQ1, RXR and RXC before their RXE wait for it.
fn gather(reader: Reader<'_>) -> Gathered<'_> {
    let mut gathered = Gathered::default();
    let mut order: Option<Seg<'_>> = None;
    let mut is_open = false;
    let (mut timings, mut routes, mut components) = (Vec::new(), Vec::new(), Vec::new());
    for segment in reader.segments().skip(1) {
        let open = gathered.prescribed.last_mut().filter(|_| is_open);
        match (segment.name(), open) {
            ("ORC", _) => {
                if let Some(bare) = order.filter(|_| !is_open) {
                    gathered.bare_orders.push(bare);
                }
                (order, is_open) = (Some(segment), false);
            }
            ("RXE", _) => {
                gathered.prescribed.push(Prescribed {
                    orc: order,
                    rxe: segment,
                    timings: std::mem::take(&mut timings),
                    routes: std::mem::take(&mut routes),
                    components: std::mem::take(&mut components),
                    notes: Vec::new(),
                });
                is_open = true;
            }
            ("TQ1", Some(open)) => open.timings.push(segment),
            ("RXR", Some(open)) => open.routes.push(segment),
            ("RXC", Some(open)) => open.components.push(segment),
            ("NTE", Some(open)) => open.notes.push(segment),
            ("TQ1", None) => timings.push(segment),
            ("RXR", None) => routes.push(segment),
            ("RXC", None) => components.push(segment),
            _ => {}
        }
    }
    gathered.bare_orders.extend(order.filter(|_| !is_open));
    if let Some(last) = gathered.prescribed.last_mut() {
        last.timings.extend(timings);
        last.routes.extend(routes);
        last.components.extend(components);
    }
    gathered
}

/// An ORC without RXE: a cancel empties its order, anything else says nothing we could record.
fn read_bare<'m>(context: &mut Context<'m>, orc: Seg<'m>) {
    let number = orc.text(2);
    if number.is_empty() || !is_cancel(&orc.text(1)) {
        let finding = Finding::new(Code::HL7_SEGMENT_MISSING, Severity::Warning, orc.place());
        context.find(finding.saying("an order without an RXE was not recorded"));
        return;
    }
    orc.mark(&[9, 12, 29]);
    complete(context, &number, WithdrawReason::Cancelled);
}

fn complete(context: &mut Context<'_>, order: &str, reason: WithdrawReason) {
    let scope = Context::order_scope("medication", order);
    if !is_complete(context, &scope) {
        context.complete(scope, reason);
    }
}

/// How often things were seen: requests per Rp, and like keys.
#[derive(Default)]
struct Counts(HashMap<String, u32>);

impl Counts {
    fn next(&mut self, parts: &[&str]) -> u32 {
        let count = self.0.entry(parts.join("|")).or_insert(0);
        *count += 1;
        *count
    }
}

fn read_one<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    is_injection: bool,
    counts: &mut Counts,
    orders: &mut Vec<Order<'m>>,
) {
    let sent = order_number(context, prescribed);
    let number = sent
        .clone()
        .unwrap_or_else(|| Cow::Owned(format!("at {}", context.source_time)));
    let control = prescribed.orc.map_or(Cow::Borrowed(""), |orc| orc.text(1));
    if context.storage.is_some() || matches!(control.as_ref(), "XO" | "RP") {
        complete(context, &number, WithdrawReason::Superseded);
    }
    let position = position(context, prescribed, &number, counts);
    let Some((medication, of_key)) = drug(context, prescribed, is_injection) else {
        let finding = Finding::new(Code::MAP_NO_CODE, Severity::Error, prescribed.rxe.at(2));
        context.find(finding);
        return;
    };
    let nth = counts
        .next(&["key", &number, &position.rp, &of_key])
        .to_string();
    let key = context.key(
        ResourceType::MedicationRequest,
        &[&number, &position.rp, &of_key, &nth],
    );
    let scope = Context::order_scope("medication", &number);
    let status = match status(prescribed, &control) {
        Some(status) => status,
        None => {
            mark_all(prescribed);
            context.withdraw(key, WithdrawReason::Cancelled, Some(scope));
            return;
        }
    };
    let (authored_on, authored_at) = authored_on(context, prescribed);
    let mut request = MedicationRequest {
        id: key.logical_id().into(),
        status: status.into(),
        identifier: identifiers(sent, position, is_injection),
        authored_on,
        ..MedicationRequest::default()
    };
    fill(context, prescribed, is_injection, medication, &mut request);
    let body = request.to_json();
    context.record(key.clone(), body).scope = Some(scope);
    let same =
        |order: &&mut Order<'m>| order.number == number && order.is_injection == is_injection;
    match orders.iter_mut().find(same) {
        Some(order) => order.keys.push(key),
        None => orders.push(Order {
            number,
            is_injection,
            keys: vec![key],
            authored_at,
        }),
    }
}

/// Everything of a request that does not depend on what else is in the message.
fn fill<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    is_injection: bool,
    medication: CodeableConcept<'m>,
    request: &mut MedicationRequest<'m>,
) {
    request.intent = "order".into();
    request.subject = context.patient_reference();
    request.category = categories(context, prescribed);
    request.requester = requester(context, prescribed);
    request.note = notes(prescribed);
    group(context, prescribed, request);
    if is_injection {
        request.meta = Meta::of_profile(profile::MEDICATION_REQUEST_INJECTION);
        mixture::fill(context, prescribed, request);
    } else {
        request.meta = Meta::of_profile(profile::MEDICATION_REQUEST);
        request.medication = Some(MedicationChoice::CodeableConcept(medication));
    }
    dosage::fill(context, prescribed, is_injection, request);
}

/// ORC-2, else ORC-3, else RXE-15, else the storage file's number.
fn order_number<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
) -> Option<Cow<'m, str>> {
    let numbers = prescribed
        .orc
        .map(|orc| [orc.text(2), orc.text(3)])
        .unwrap_or_default();
    let numbers = numbers.into_iter().chain([prescribed.rxe.text(15)]);
    if let Some(number) = numbers.into_iter().find(|number| !number.is_empty()) {
        return Some(number);
    }
    let place = prescribed.orc.unwrap_or(prescribed.rxe).at(2);
    context.note(Code::MAP_IDENTIFIER_MISSING, place);
    let path = context
        .storage
        .as_ref()
        .filter(|path| !path.order.is_empty());
    path.map(|path| Cow::Owned(path.order.clone()))
}

/// The Rp of ORC-4 (`1`, `12345678_01` or `123456789012345_01_001`) and the place in it.
///
/// JP Core 1.2.0 wants both on every request and without leading zeros. Without ORC-4 everything of an order
/// is Rp 1.
fn position<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    order: &str,
    counts: &mut Counts,
) -> Position<'m> {
    let group = prescribed.orc.map_or(Cow::Borrowed(""), |orc| orc.text(4));
    let part = |number: usize| group.split('_').nth(number).filter(|part| !part.is_empty());
    let rp = part(1).unwrap_or_else(|| part(0).unwrap_or(""));
    if rp.is_empty() {
        context.note(
            Code::MAP_IDENTIFIER_MISSING,
            prescribed.orc.unwrap_or(prescribed.rxe).at(4),
        );
    }
    let rp = without_zeros(if rp.is_empty() { "1" } else { rp });
    let counted = counts.next(&["rp", order, &rp]);
    let in_rp = part(2).map_or_else(|| counted.to_string(), without_zeros);
    Position {
        rp: rp.into(),
        in_rp: in_rp.into(),
    }
}

fn without_zeros(number: &str) -> String {
    let short = number.trim_start_matches('0');
    if short.is_empty() {
        "0".to_owned()
    } else {
        short.to_owned()
    }
}

/// What is prescribed, and the part of the key that names it: first code with its system, else a hash of the
/// words. An injection is named by its first component, because RXE-2 then only says what kind it is.
fn drug<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    is_injection: bool,
) -> Option<(CodeableConcept<'m>, String)> {
    let component = prescribed.components.first().filter(|_| is_injection);
    let (segment, field) = component.map_or((prescribed.rxe, 2), |component| (*component, 2));
    let concept = with_text(context.coded(
        segment,
        field,
        segment.field(field).repetition(1),
        Usage::Any,
    ));
    if concept == CodeableConcept::default() {
        return None;
    }
    let name = match concept.coding.first() {
        Some(_) => {
            let value = segment.field(field).repetition(1);
            let first = if value.component(1).has_value() { 1 } else { 4 };
            format!(
                "{}^{}",
                concept.coding[0].code,
                value.component(first + 2).raw().trim()
            )
        }
        None => hash_id(&[&concept.text]),
    };
    Some((concept, name))
}

/// FHIR R4 `medicationrequest-status`; `None` = taken back (ORC-1, HL7 table 0119; ORC-5, table 0038).
fn status(prescribed: &Prescribed<'_>, control: &str) -> Option<&'static str> {
    let state = prescribed.orc.map_or(Cow::Borrowed(""), |orc| orc.text(5));
    match (control, state.as_ref()) {
        (control, _) if is_cancel(control) => None,
        (_, "CA" | "DC") => None,
        ("HD" | "OH", _) | (_, "HD") => Some("on-hold"),
        (_, "CM") => Some("completed"),
        _ => Some("active"),
    }
}

/// What a cancel repeats of its order says nothing new.
fn mark_all(prescribed: &Prescribed<'_>) {
    let all: Vec<usize> = (1..=45).collect();
    let one = prescribed.orc.into_iter().chain([prescribed.rxe]);
    let lists = [
        &prescribed.timings,
        &prescribed.routes,
        &prescribed.components,
        &prescribed.notes,
    ];
    for segment in one.chain(lists.into_iter().flatten().copied()) {
        segment.mark(&all);
    }
}

/// ORC-9, else RXE-32, else the time of the message with a finding.
fn authored_on<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
) -> (Text<'m>, Timestamp) {
    let places = [
        prescribed.orc.map(|orc| (orc, 9)),
        Some((prescribed.rxe, 32)),
    ];
    for (segment, field) in places.into_iter().flatten() {
        let moment = context.moment(segment, field);
        if let Some((moment, at)) = moment.and_then(|moment| Some((moment, moment.instant()?))) {
            return (moment.fhir().into(), at);
        }
    }
    context.note(
        Code::MAP_NO_TIME,
        prescribed.orc.unwrap_or(prescribed.rxe).at(9),
    );
    let at = context.source_time;
    (fhir_instant(at, context.options.zone).into(), at)
}

fn identifiers<'m>(
    order: Option<Cow<'m, str>>,
    position: Position<'m>,
    is_injection: bool,
) -> Vec<Identifier<'m>> {
    let mut identifiers = vec![Identifier::new(identifier::RP_NUMBER, position.rp)];
    if !is_injection {
        identifiers.push(Identifier::new(identifier::ORDER_IN_RP, position.in_rp));
    }
    identifiers.extend(order.map(|order| Identifier::new(identifier::RESOURCE_INSTANCE, order)));
    identifiers
}

/// RXE-15, the prescription's own number, and TQ1-9, its priority.
fn group<'m>(
    context: &Context<'m>,
    prescribed: &Prescribed<'m>,
    request: &mut MedicationRequest<'m>,
) {
    let prescription = prescribed.rxe.text(15);
    if !prescription.is_empty() {
        let system = identifier::local_prescription(context.options.facility.as_str());
        request.group_identifier = Identifier::new(system, prescription);
    }
    let priority = prescribed
        .timings
        .first()
        .map_or(Cow::Borrowed(""), |timing| timing.text(9));
    request.priority = match priority.as_ref() {
        "R" => "routine".into(),
        "S" => "stat".into(),
        "A" => "asap".into(),
        _ => Text::default(),
    };
}

/// MERIT-9 kinds of prescription (RXE-21; `DCG` = at discharge), in- or outpatient (ORC-29), 内服 or 頓用
/// (RXE-27), each a category of its own.
fn categories<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
) -> Vec<CodeableConcept<'m>> {
    let places = [
        Some((prescribed.rxe, 21)),
        prescribed.orc.map(|orc| (orc, 29)),
        Some((prescribed.rxe, 27)),
    ];
    let mut categories = Vec::new();
    for (segment, field) in places.into_iter().flatten() {
        for repetition in segment
            .field(field)
            .repetitions()
            .filter(|repetition| repetition.has_value())
        {
            let category = context.coded(segment, field, repetition, Usage::OrderCategory);
            if category != CodeableConcept::default() {
                categories.push(category);
            }
        }
    }
    categories
}

/// ORC-12, else ORC-10, as a logical reference.
fn requester<'m>(context: &Context<'m>, prescribed: &Prescribed<'m>) -> Reference<'m> {
    let Some(orc) = prescribed.orc else {
        return Reference::default();
    };
    let entered = orc.field(10).repetition(1);
    let ordered = orc.field(12).repetition(1);
    context.practitioner(if ordered.has_value() {
        ordered
    } else {
        entered
    })
}

fn notes<'m>(prescribed: &Prescribed<'m>) -> Vec<Annotation<'m>> {
    let text = |note: &Seg<'m>| Annotation::of_text(printable(note.field(3).full_text()));
    prescribed.notes.iter().map(text).collect()
}
