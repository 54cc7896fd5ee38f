//! Results: OUL^R22, ORU^R01 and ORU^R30 to Observation and DiagnosticReport (JP Core 1.2.0).
//!
//! A fold over the segments gathers one [`Group`] per OBR, whatever the order of ORC, OBR and SPM (OUL has
//! OBR before ORC and SPM before both, ORU the other way round). Each OBX becomes one Observation, each
//! order one report and one item per [`Kind`], so that what is restricted never rides with what is not.
//! Vital signs have no report; [`vitals`](super::vitals) gathers them by time.
//!
//! Called by the parent module for these types; knows nothing about files, flags or patients.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use renkei_core::draft::WithdrawReason;
use renkei_core::{Code, ItemClass, ItemEvent, ResourceKey, ResourceType, Strength, Urgency};
use renkei_fhir::emit::Reference;
use renkei_fhir::jp_core::Usage;

use crate::context::Context;
use crate::reader::{Reader, Seg};

pub(crate) mod coded;
pub(crate) mod infection;
mod observation;
pub(crate) mod range;
mod report;
mod row;
mod specimen;
pub(crate) mod value;

pub(super) use observation::{
    Effect, Measured, OfGroup, Taken, effective_of, notes, observe, taken,
};
pub(crate) use observation::{INTERPRETATIONS, POSITIVE_NEGATIVE};
pub(super) use row::{Keyed, Row};
pub(super) use value::fold;

use infection::Infection;
use report::Report;

/// What a result is about: decides profile, category and item class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A laboratory value.
    Laboratory,
    /// A culture, a germ, a susceptibility (JLAC10 class 6).
    Microbiology,
    /// A restricted infection test.
    Infection,
    /// A finding of physiology (ECG, ultrasound: data type OMG-13).
    Physiology,
    /// Measured at the bed or at home.
    VitalSign,
}

impl Kind {
    /// The word for it in keys and scopes; stable.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Laboratory => "laboratory",
            Self::Microbiology => "microbiology",
            Self::Infection => "infection",
            Self::Physiology => "physiology",
            Self::VitalSign => "vitals",
        }
    }

    fn class(self) -> ItemClass {
        match self {
            Self::Laboratory => ItemClass::Lab,
            Self::Microbiology => ItemClass::Microbiology,
            Self::Infection => ItemClass::Infection,
            Self::Physiology => ItemClass::ImagingReport,
            Self::VitalSign => ItemClass::Vitals,
        }
    }
}

/// One OBR with what belongs to it.
#[derive(Default)]
pub(super) struct Group<'m> {
    pub(super) specimen: Option<Seg<'m>>,
    pub(super) orc: Option<Seg<'m>>,
    pub(super) obr: Option<Seg<'m>>,
    notes: Vec<Seg<'m>>,
    rows: Vec<(Seg<'m>, Vec<Seg<'m>>)>,
}

/// In which order a sender puts SPM, ORC and OBR.
#[derive(Clone, Copy)]
struct Layout {
    specimen_first: bool,
    order_first: bool,
}

impl Layout {
    fn of(reader: Reader<'_>) -> Self {
        let first = |name: &str| reader.first(name).map_or(usize::MAX, Seg::index);
        let request = first("OBR");
        Self {
            specimen_first: first("SPM") < request,
            order_first: first("ORC") < request,
        }
    }
}

/// What is the same for all rows of a message.
pub(super) struct Shared {
    /// `Patient/…`.
    pub(super) subject: String,
    /// How often a key was seen, for the n-th of its like.
    seen: HashMap<String, u32>,
    /// The message type or its storage folder says that these are vital signs.
    pub(super) is_vital_feed: bool,
    is_physiology: bool,
}

impl Shared {
    fn of(context: &Context<'_>) -> Self {
        let data_type = context
            .storage
            .as_ref()
            .map_or("", |path| path.data_type.as_str());
        Self {
            subject: context.patient_key().reference(),
            seen: HashMap::new(),
            is_vital_feed: context.trigger == "R30" || data_type.contains("OBSERVATIONS"),
            is_physiology: data_type == "OMG-13",
        }
    }

    /// The key of an Observation: patient, order, specimen, item and system, sub-id, n-th of its like.
    pub(super) fn key(&mut self, context: &Context<'_>, parts: &[&str]) -> ResourceKey {
        let mut key = [&[context.local_id.as_str()], parts].concat().join("|");
        let nth = match self.seen.get_mut(&key) {
            Some(nth) => {
                *nth += 1;
                *nth
            }
            None => {
                self.seen.insert(key.clone(), 1);
                1
            }
        };
        key.push('|');
        key.push_str(&nth.to_string());
        ResourceKey {
            kind: ResourceType::Observation,
            facility: context.options.facility.clone(),
            key,
        }
    }
}

/// Reads all results of a message.
pub(super) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let groups = gather(reader);
    let mut shared = Shared::of(context);
    let mut reports: Vec<Report<'m>> = Vec::new();
    let mut vitals = Vec::new();
    for group in groups {
        let order = order_number(context, &group);
        let (bedside, rows) = plan(context, &mut shared, &group, &order);
        if !bedside.is_empty() {
            vitals.push((group.orc, group.obr, order.clone(), bedside));
        }
        read_group(context, &shared, &group, order, rows, &mut reports);
    }
    for report in reports {
        report.record(context, &shared.subject);
    }
    for (orc, obr, order, rows) in vitals {
        let group = Group {
            orc,
            obr,
            ..Group::default()
        };
        super::vitals::read(context, &mut shared, &group, &order, rows);
    }
}

/// One pass over the segments.
fn gather(reader: Reader<'_>) -> Vec<Group<'_>> {
    let layout = Layout::of(reader);
    let mut groups: Vec<Group<'_>> = Vec::new();
    let (mut specimen, mut order) = (None, None);
    let mut is_open = false;
    for segment in reader.segments().skip(1) {
        match segment.name() {
            "SPM" if layout.specimen_first || groups.is_empty() => {
                (specimen, is_open) = (Some(segment), false);
            }
            "SPM" => {
                if let Some(group) = groups.last_mut() {
                    group.specimen.get_or_insert(segment);
                }
            }
            "ORC" if layout.order_first => (order, is_open) = (Some(segment), false),
            "ORC" => match groups
                .last_mut()
                .filter(|group| is_open && group.orc.is_none())
            {
                Some(group) => group.orc = Some(segment),
                None => order = Some(segment),
            },
            "OBR" => {
                let (orc, specimen) = (order, specimen.filter(|_| layout.specimen_first));
                groups.push(Group {
                    specimen,
                    orc,
                    obr: Some(segment),
                    ..Group::default()
                });
                is_open = true;
            }
            "OBX" => {
                if !is_open {
                    groups.push(Group {
                        specimen,
                        orc: order,
                        ..Group::default()
                    });
                    is_open = true;
                }
                if let Some(group) = groups.last_mut() {
                    group.rows.push((segment, Vec::new()));
                }
            }
            "NTE" if is_open => {
                if let Some(group) = groups.last_mut() {
                    match group.rows.last_mut() {
                        Some((_, notes)) => notes.push(segment),
                        None => group.notes.push(segment),
                    }
                }
            }
            _ => {}
        }
    }
    groups
}

/// ORC-2, else OBR-2, else the filler's number, else the storage file's, else the time of the message.
fn order_number<'m>(context: &mut Context<'m>, group: &Group<'m>) -> Cow<'m, str> {
    for field in [2, 3] {
        for segment in [group.orc, group.obr].into_iter().flatten() {
            let number = segment.text(field);
            if !number.is_empty() {
                return number;
            }
        }
    }
    let place = group
        .obr
        .or(group.orc)
        .map_or_else(|| "OBR".to_owned(), |segment| segment.at(2));
    context.note(Code::MAP_IDENTIFIER_MISSING, place);
    match &context.storage {
        Some(path) if !path.order.is_empty() => Cow::Owned(path.order.clone()),
        _ => Cow::Owned(format!("at {}", context.source_time)),
    }
}

/// Decides for each row what it is and which key it has: vital signs, and the rest.
fn plan<'m>(
    context: &mut Context<'m>,
    shared: &mut Shared,
    group: &Group<'m>,
    order: &str,
) -> (Vec<Row<'m>>, Vec<Keyed<'m>>) {
    let panel = group
        .obr
        .map_or(Cow::Borrowed(""), |obr| obr.field(4).full_text());
    let panel_infection = infection::by_name(&panel);
    let specimen = group
        .specimen
        .map_or(Cow::Borrowed(""), specimen::number_or_material);
    let (mut bedside, mut others) = (Vec::new(), Vec::new());
    for (obx, notes) in &group.rows {
        let Some(mut row) = Row::read(context, *obx, notes) else {
            continue;
        };
        row.infection = row.infection.max(panel_infection);
        row.kind = if row.infection.is_some() {
            Kind::Infection
        } else if shared.is_vital_feed || row.is_vital_sign() {
            Kind::VitalSign
        } else if row.jlac10.starts_with('6') {
            Kind::Microbiology
        } else if shared.is_physiology {
            Kind::Physiology
        } else {
            Kind::Laboratory
        };
        if row.kind == Kind::VitalSign {
            bedside.push(row);
            continue;
        }
        let key = shared.key(context, &[order, &specimen, &row.item, &row.sub_id]);
        others.push(Keyed::new(row, key));
    }
    (bedside, others)
}

fn read_group<'m>(
    context: &mut Context<'m>,
    shared: &Shared,
    group: &Group<'m>,
    order: Cow<'m, str>,
    rows: Vec<Keyed<'m>>,
    reports: &mut Vec<Report<'m>>,
) {
    let panel = group
        .obr
        .map(|obr| context.coded(obr, 4, obr.field(4).repetition(1), Usage::Any));
    let mut kinds: Vec<Kind> = rows.iter().map(|keyed| keyed.row.kind).collect();
    if kinds.is_empty() && group.rows.is_empty() && group.obr.is_some() {
        kinds.push(if shared.is_physiology {
            Kind::Physiology
        } else {
            Kind::Laboratory
        });
    }
    kinds.sort_unstable();
    kinds.dedup();
    // What a laboratory says about all rows of a group may speak about the most sensitive of them.
    let noted = kinds.last().copied();
    for kind in kinds {
        let report = report_for(reports, kind, order.clone());
        report.add_group(context, group, panel.clone(), noted == Some(kind));
    }
    let of_group = OfGroup::read(context, shared, group, &rows);
    let is_cancelled = group.orc.is_some_and(|orc| is_cancel(&orc.text(1)));
    let scope = Context::order_scope("result", &order);
    if is_cancelled && !is_complete(context, &scope) {
        context.complete(scope.clone(), WithdrawReason::EnteredInError);
        if let Some(spm) = group.specimen {
            spm.mark(&[4, 17]);
        }
    }
    let members = members_of_pairs(&rows);
    for (mut keyed, members) in rows.into_iter().zip(members) {
        let report = report_for(reports, keyed.row.kind, order.clone());
        report.never_automatic |= keyed.row.infection == Some(Infection::NeverAutomatic);
        let effect = if is_cancelled {
            mark_taken_back(&keyed.row);
            Effect::Withdrawn
        } else {
            observe(context, shared, group, &mut keyed, &of_group, members)
        };
        match effect {
            Effect::Recorded(state) => {
                if let Some(resource) = context.draft.resources.last_mut() {
                    resource.scope = Some(scope.clone());
                }
                report.add_result(keyed, state);
            }
            Effect::Withdrawn => {
                context.withdraw(
                    keyed.key,
                    WithdrawReason::EnteredInError,
                    Some(scope.clone()),
                );
                report.add_withdrawn();
            }
        }
    }
}

fn report_for<'r, 'm>(
    reports: &'r mut Vec<Report<'m>>,
    kind: Kind,
    order: Cow<'m, str>,
) -> &'r mut Report<'m> {
    let found = reports
        .iter()
        .position(|report| report.kind == kind && report.order == order);
    let at = found.unwrap_or_else(|| {
        reports.push(Report::new(kind, order));
        reports.len() - 1
    });
    &mut reports[at]
}

/// Whether a scope is already said to be complete.
pub(super) fn is_complete(context: &Context<'_>, scope: &str) -> bool {
    let mut known = context.draft.complete_scopes.iter();
    known.any(|known| known.scope == scope)
}

/// What a withdrawn row repeats says nothing new.
fn mark_taken_back(row: &Row<'_>) {
    row.obx.mark(&[2, 5, 6, 7, 8, 11, 14]);
}

/// ORC-1 codes that take an order back (HL7 table 0119).
pub(super) fn is_cancel(control: &str) -> bool {
    matches!(control, "CA" | "OC" | "CR" | "DC" | "OD" | "DR")
}

/// Rows of microbiology with the same sub-id belong together: the first, the germ, has the others (amount,
/// susceptibilities) as members. One list per row.
fn members_of_pairs(rows: &[Keyed<'_>]) -> Vec<Vec<Reference<'static>>> {
    let sub_id = |keyed: &Keyed<'_>| {
        let row = &keyed.row;
        let is_paired =
            row.kind == Kind::Microbiology && !row.sub_id.is_empty() && !row.is_taken_back();
        is_paired.then(|| row.sub_id.to_string())
    };
    let mut members = vec![Vec::new(); rows.len()];
    for (index, keyed) in rows.iter().enumerate() {
        let Some(id) = sub_id(keyed) else {
            continue;
        };
        let leader = rows[..index]
            .iter()
            .position(|other| sub_id(other).as_ref() == Some(&id));
        if let Some(leader) = leader {
            members[leader].push(Reference::to(["Observation/", &keyed.id].concat()));
        }
    }
    members
}

/// How an Observation came out, for its report and items.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// The FHIR status it got.
    pub(super) status: &'static str,
    /// Whether it may still change.
    pub(super) strength: Strength,
    /// HH, LL or AA: the laboratory's own alarm.
    pub(super) is_critical: bool,
    /// When it was measured or taken.
    pub(super) occurred_at: Timestamp,
}

/// One item about results.
pub(super) fn tell(
    context: &mut Context<'_>,
    kind: Kind,
    focus: ResourceKey,
    members: Vec<ResourceKey>,
    occurred_at: Timestamp,
    is_critical: bool,
) {
    let urgency = if is_critical {
        Urgency::U1
    } else {
        Urgency::U2
    };
    context
        .item(
            kind.class(),
            ItemEvent::Recorded,
            focus,
            occurred_at,
            urgency,
        )
        .members = members;
}
