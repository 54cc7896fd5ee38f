//! Records to drafts: grouping, keys, resources, items.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use renkei_core::{
    Authority, Carry, Code, Draft, DraftResource, Facts, Finding, Item, ItemClass, ItemEvent,
    LocalId, ResourceKey, ResourceType, Sensitive, Severity, Strength, Subject, Urgency,
    Withdrawal, limits,
};
use renkei_fhir::jp_core::system;
use renkei_hl7v2::kana;
use unicode_normalization::UnicodeNormalization;

use super::function::lab_kind;
use super::plan::{Entry, Expression, ItemPlan, Plan, SubjectPlan};
use super::run::{Known, Run};
use super::source::Doc;
use super::value::Out;
use crate::Options;
use crate::moment::fhir_instant;

/// When and from where an input came.
#[derive(Debug, Clone)]
pub(crate) struct Given<'g> {
    pub(crate) options: &'g Options,
    pub(crate) received_at: Timestamp,
    pub(crate) file: &'g str,
}

impl Given<'_> {
    pub(crate) fn known(&self) -> Known {
        let received_at = fhir_instant(self.received_at, self.options.zone);
        Known {
            time: received_at.clone(),
            received_at,
            file: self.file.to_owned(),
            ..Known::default()
        }
    }
}

/// The rows of one draft.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) local_id: String,
    pub(crate) rows: Vec<usize>,
}

/// Records nobody can be read from.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) rows: Vec<usize>,
    pub(crate) findings: Vec<Finding>,
}

/// What the records of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// All that makes them one draft.
    Draft,
    /// At least the patient; and all of them can be read.
    Patient,
}

/// Gathers the records of each draft: those with the same patient and the same `group:`. Records nobody can be
/// read from are findings.
pub(crate) fn groups<'a>(
    plan: &'a Plan,
    doc: &'a Doc<'a>,
    given: &Given<'a>,
    by: By,
) -> (Vec<Group>, Lost) {
    // Cutting by patient asks for the rest of the key only where that can fail.
    let parts: &[Expression] = match by {
        By::Patient if !plan.group.iter().any(Expression::can_fail) => &[],
        By::Patient | By::Draft => &plan.group,
    };
    let mut rows = Vec::new();
    let mut run = Run::new(plan, doc, given.options, given.known());
    let mut groups: Vec<Group> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    for record in 0..doc.len() {
        run.record = record;
        run.rows = vec![record];
        if plan.when.as_ref().is_some_and(|when| !run.test(when)) {
            continue;
        }
        let mut local_id = String::new();
        if let Some(subject) = &plan.subject {
            local_id = padded(run.text(&subject.local_id), given.options);
            if local_id.is_empty() {
                run.has_failed();
                let at = run.place(Some(&subject.local_id));
                run.find(Finding::new(Code::MAP_NO_PATIENT, Severity::Error, at));
                rows.push(record);
                continue;
            }
        }
        let mut key = local_id.clone();
        for part in parts {
            key.push('\u{1F}');
            key.push_str(&run.text(part));
        }
        if run.has_failed() {
            rows.push(record);
            continue;
        }
        let at = *by_key.entry(key).or_insert_with(|| {
            groups.push(Group {
                local_id,
                rows: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].rows.push(record);
    }
    // What else was odd is said where the draft is made.
    let mut findings = run.take_findings();
    let is_lost = |code: Code| {
        matches!(
            code,
            Code::MAP_NO_PATIENT | Code::MAP_REQUIRED_EMPTY | Code::MAP_LIMIT
        )
    };
    findings.retain(|finding| is_lost(finding.code));
    (groups, Lost { rows, findings })
}

fn padded(local_id: String, options: &Options) -> String {
    match options.local_id {
        Some(form) if !local_id.is_empty() => {
            let missing = form.width.saturating_sub(local_id.chars().count());
            let mut padded: String = std::iter::repeat_n(form.padding, missing).collect();
            padded.push_str(&local_id);
            padded
        }
        _ => local_id,
    }
}

/// Makes the draft of one group.
pub(crate) fn make<'a>(
    plan: &'a Plan,
    doc: &'a Doc<'a>,
    given: &Given<'a>,
    group: &Group,
) -> Draft {
    let mut run = Run::new(plan, doc, given.options, given.known());
    run.rows.clone_from(&group.rows);
    run.record = group.rows.first().copied().unwrap_or(0);
    let patient = ResourceKey::new(
        ResourceType::Patient,
        &given.options.facility,
        &[&group.local_id],
    );
    run.known.local_id.clone_from(&group.local_id);
    run.known.patient = patient.reference();
    let mut maker = Maker {
        time: given.received_at,
        draft: Draft::default(),
        made: vec![Vec::new(); plan.resources.len()],
        kinds: HashMap::new(),
        at: HashMap::new(),
        of_row: HashMap::new(),
        run,
        given,
    };
    maker.read_time(plan.time.as_ref());
    if let Some(subject) = &plan.subject {
        maker.subject(subject, &group.local_id);
    }
    let mut keyed = maker.keys(&plan.resources);
    // What refers to others is made last, when it is known which of them could be made.
    keyed.sort_by_key(|one| one.entry.refers);
    for one in keyed {
        maker.record(one);
    }
    maker.items();
    let mut draft = maker.draft;
    draft.findings.append(&mut maker.run.take_findings());
    draft
}

/// One resource that will be made.
struct Keyed<'a> {
    entry: &'a Entry,
    record: usize,
    key: ResourceKey,
    id: String,
    withdrawn: bool,
}

struct Maker<'a, 'g> {
    run: Run<'a>,
    given: &'g Given<'a>,
    time: Timestamp,
    draft: Draft,
    /// Keys made, per entry.
    made: Vec<Vec<ResourceKey>>,
    /// What an Observation or report is about, where that is restricted.
    kinds: HashMap<ResourceKey, &'static str>,
    /// Where a key stands in the draft.
    at: HashMap<ResourceKey, usize>,
    /// What an entry makes of a row.
    of_row: HashMap<(usize, usize), ResourceKey>,
}

impl<'a> Maker<'a, '_> {
    /// `time:`; a day or more ahead, the time of receipt is taken.
    fn read_time(&mut self, expression: Option<&'a Expression>) {
        let Some(expression) = expression else {
            return;
        };
        let text = self.run.text(expression);
        let Some(at) = instant(&text, self.given.options.zone) else {
            return;
        };
        if is_ahead(at, self.given.received_at) {
            let at = self.run.place(Some(expression));
            self.run
                .find(Finding::new(Code::MAP_FUTURE_DATE, Severity::Warning, at));
            return;
        }
        self.time = at;
        self.run.known.time = fhir_instant(at, self.given.options.zone);
    }

    fn subject(&mut self, plan: &'a SubjectPlan, local_id: &str) {
        let mut text = |expression: &'a Option<Expression>| {
            expression
                .as_ref()
                .map(|expression| self.run.text(expression))
                .unwrap_or_default()
        };
        let kana = text(&plan.kana);
        let digits: String = text(&plan.phone)
            .nfkc()
            .filter(char::is_ascii_digit)
            .collect();
        let family = kana::to_full_width_kana(&kana)
            .split_whitespace()
            .next()
            .unwrap_or("")
            .to_owned();
        let facts = Facts {
            kana: kana::search_key(&kana),
            family_kana: if kana.trim().contains([' ', '\u{3000}']) {
                family
            } else {
                String::new()
            },
            kanji: text(&plan.kanji)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            birth_date: text(&plan.birth_date),
            sex: text(&plan.sex),
            phones: if digits.len() >= 9 {
                vec![digits]
            } else {
                Vec::new()
            },
            addresses: Some(text(&plan.address))
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect(),
            insurance: Vec::new(),
        };
        let says_it = |entry: &Entry| entry.kind == Some(ResourceType::Patient);
        let authority = self
            .run
            .plan
            .resources
            .iter()
            .find(|entry| says_it(entry))
            .map(|entry| entry.authority);
        self.draft.subject = Some(Subject {
            facility: self.given.options.facility.clone(),
            local_id: LocalId::new(local_id),
            facts,
            authority: authority.unwrap_or(Authority::Snapshot),
        });
    }

    /// The keys of everything that will be made, so that any body can refer to it.
    fn keys(&mut self, entries: &'a [Entry]) -> Vec<Keyed<'a>> {
        let mut keyed = Vec::with_capacity(self.run.rows.len() + entries.len());
        for (number, entry) in entries.iter().enumerate() {
            let mut rows = self.run.rows.clone();
            if !entry.each_row {
                rows.truncate(1);
            }
            let items = &self.run.plan.items;
            let is_focus = items
                .iter()
                .any(|item| item.each_row && item.focus == number);
            let mut known = HashSet::with_capacity(rows.len());
            for record in rows {
                self.run.record = record;
                if entry.when.as_ref().is_some_and(|when| !self.run.test(when)) {
                    continue;
                }
                let Some(kind) = entry.kind else {
                    continue;
                };
                let own: Vec<Cow<'a, str>> = entry
                    .key
                    .iter()
                    .map(|part| self.run.value(part).into_text())
                    .collect();
                if self.run.has_failed() {
                    continue;
                }
                if !entry.key.is_empty() && own.iter().all(|part| part.is_empty()) {
                    let at = self.run.place(entry.key.first());
                    let says = format!(
                        "nothing tells this {} from others: its key is empty",
                        entry.shape
                    );
                    self.run.find(
                        Finding::new(Code::MAP_REQUIRED_EMPTY, Severity::Error, at).saying(says),
                    );
                    continue;
                }
                let mut parts: Vec<&str> = Vec::with_capacity(own.len() + 1);
                parts.push(&self.run.known.local_id);
                parts.extend(own.iter().map(|part| &**part));
                let key = ResourceKey::new(kind, &self.given.options.facility, &parts);
                let id = key.logical_id();
                let withdrawn = entry
                    .withdraw
                    .as_ref()
                    .is_some_and(|test| self.run.test(test));
                if !withdrawn && known.insert(id.clone()) {
                    self.run.made[number].push([kind.as_str(), "/", &id].concat());
                    self.made[number].push(key.clone());
                }
                if !withdrawn && is_focus {
                    self.of_row.insert((number, record), key.clone());
                }
                keyed.push(Keyed {
                    entry,
                    record,
                    key,
                    id,
                    withdrawn,
                });
            }
        }
        keyed
    }

    fn record(&mut self, keyed: Keyed<'a>) {
        let Keyed { entry, key, .. } = keyed;
        self.run.record = keyed.record;
        self.run.known.id = keyed.id;
        let mut text = |expression: &'a Option<Expression>| {
            expression
                .as_ref()
                .map(|expression| self.run.text(expression))
                .filter(|text| !text.is_empty())
        };
        let scope = text(&entry.scope);
        let own_time = text(&entry.time).and_then(|text| instant(&text, self.given.options.zone));
        let source_time = own_time
            .filter(|at| !is_ahead(*at, self.given.received_at))
            .unwrap_or(self.time);
        if keyed.withdrawn {
            self.draft.withdrawals.push(Withdrawal {
                key,
                reason: entry.reason,
                source_time,
                storage_order: 0,
                scope,
            });
            return;
        }
        let Some(members) = self.run.members(&entry.body) else {
            self.forget(&key);
            return;
        };
        let out = resource(entry, self.run.known.id.clone(), members);
        if let Some(kind) = restricted(&out) {
            let strictest = self.kinds.entry(key.clone()).or_insert(kind);
            *strictest = if kind == "infection-held" {
                kind
            } else {
                strictest
            };
        }
        let preliminary = entry
            .preliminary
            .as_ref()
            .is_some_and(|test| self.run.test(test));
        let made = DraftResource {
            key: key.clone(),
            body: Sensitive::new(out.to_json()),
            source_time,
            storage_order: 0,
            authority: entry.authority,
            strength: if preliminary {
                Strength::Preliminary
            } else {
                Strength::Final
            },
            carry: if entry.merge {
                Carry::Merge { clear: Vec::new() }
            } else {
                Carry::Replace
            },
            scope,
        };
        match self.at.get(&key) {
            Some(at) => {
                if self.draft.resources[*at].body.expose() != made.body.expose() {
                    let place = self.run.place(None);
                    self.run
                        .find(Finding::new(Code::MAP_DUPLICATE, Severity::Warning, place));
                    self.draft.resources[*at] = made;
                }
            }
            None => {
                self.at.insert(key, self.draft.resources.len());
                self.draft.resources.push(made);
            }
        }
    }

    /// A resource that could not be made is nobody's member.
    fn forget(&mut self, key: &ResourceKey) {
        let reference = key.reference();
        for (references, keys) in self.run.made.iter_mut().zip(&mut self.made) {
            references.retain(|known| *known != reference);
            keys.retain(|known| known != key);
        }
    }

    fn items(&mut self) {
        for plan in &self.run.plan.items {
            let all = self.run.rows.clone();
            if plan.each_row {
                for row in all {
                    let focus = self.of_row.get(&(plan.focus, row)).cloned();
                    let focus = focus.filter(|key| self.made[plan.focus].contains(key));
                    self.item(plan, row, &[row], focus);
                }
            } else {
                let first = all.first().copied().unwrap_or(0);
                let focus = self.made[plan.focus].first().cloned();
                self.item(plan, first, &all, focus);
            }
        }
    }

    /// One item, asked of `record`; the most urgent of `rows` counts.
    fn item(
        &mut self,
        plan: &'a ItemPlan,
        record: usize,
        rows: &[usize],
        focus: Option<ResourceKey>,
    ) {
        self.run.record = record;
        if plan.when.as_ref().is_some_and(|when| !self.run.test(when)) {
            return;
        }
        let Some(focus) = focus else {
            return;
        };
        let mut members: Vec<ResourceKey> = Vec::new();
        for entry in &plan.members {
            let others = self.made[*entry].iter().filter(|key| **key != focus);
            members.extend(others.cloned());
        }
        let class = self.run.text(&plan.class);
        let Some(mut class) = ItemClass::find(&class) else {
            let says = "the item has no known class; nobody is told about it";
            let at = self.run.place(Some(&plan.class));
            self.run.find(
                Finding::new(Code::MAP_UNKNOWN_CODE, Severity::Error, at)
                    .saying(says)
                    .with_value(class),
            );
            return;
        };
        let occurred = plan
            .occurred_at
            .as_ref()
            .map(|expression| self.run.text(expression));
        let occurred_at = occurred
            .and_then(|text| instant(&text, self.given.options.zone))
            .unwrap_or(self.time);
        let mut hold = plan.hold.as_ref().is_some_and(|test| self.run.test(test));
        let mut urgency = Urgency::U3;
        for row in rows {
            self.run.record = *row;
            urgency = urgency.min(match self.run.value(&plan.urgency).as_text() {
                "u0" => Urgency::U0,
                "u1" => Urgency::U1,
                "u3" => Urgency::U3,
                _ => Urgency::U2,
            });
        }
        // Whatever the mapping says: what speaks of a restricted infection is an item of that class.
        for key in members.iter().chain([&focus]) {
            if let Some(kind) = self.kinds.get(key) {
                class = if class.is_restricted() {
                    class
                } else {
                    ItemClass::Infection
                };
                hold |= *kind == "infection-held";
            }
        }
        // An alarm is told as an alarm, whatever its class: a restricted one only by a person.
        hold |= plan.event == ItemEvent::Alarm && class.is_restricted();
        self.draft.items.push(Item {
            class,
            event: plan.event,
            focus,
            members,
            occurred_at,
            urgency,
            never_automatic: hold.then_some(Code::RTE_NEVER_AUTOMATIC),
        });
    }
}

/// A resource with what renkei adds to every one.
fn resource<'a>(entry: &'a Entry, id: String, members: Vec<(Cow<'a, str>, Out<'a>)>) -> Out<'a> {
    let mut all = Vec::with_capacity(members.len() + 3);
    all.push((Cow::Borrowed("resourceType"), Out::text(entry.shape)));
    all.push((Cow::Borrowed("id"), Out::text(id)));
    if let Some(profile) = &entry.profile {
        let meta = Out::Object(vec![(
            Cow::Borrowed("profile"),
            Out::List(vec![Out::text(&**profile)]),
        )]);
        all.push((Cow::Borrowed("meta"), meta));
    }
    all.extend(members);
    Out::Object(all)
}

/// The restricted kind of a result, by the codes and words of its `code` and `category`.
fn restricted(resource: &Out<'_>) -> Option<&'static str> {
    let kind = resource.get("resourceType").and_then(Out::as_text)?;
    if !matches!(
        kind,
        "Observation" | "DiagnosticReport" | "ServiceRequest" | "Specimen"
    ) {
        return None;
    }
    let code = resource.get("code")?;
    let words = code.get("text").and_then(Out::as_text).unwrap_or("");
    let mut found = lab_kind("", words);
    for coding in code.get("coding").map(Out::items).unwrap_or_default() {
        let part = |name: &str| coding.get(name).and_then(Out::as_text).unwrap_or("");
        let jlac10 = if part("system") == system::JLAC10 {
            part("code")
        } else {
            ""
        };
        // The same words have been judged.
        let display = Some(part("display")).filter(|display| *display != words);
        found = match (found, lab_kind(jlac10, display.unwrap_or(""))) {
            ("infection-held", _) | (_, "infection-held") => "infection-held",
            ("infection", _) | (_, "infection") => "infection",
            (known, _) => known,
        };
    }
    found.starts_with("infection").then_some(found)
}

/// The instant a FHIR date or dateTime begins.
pub(crate) fn instant(text: &str, zone: jiff::tz::Offset) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let date = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let day: jiff::civil::Date = date.parse().ok()?;
    zone.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

fn is_ahead(at: Timestamp, received_at: Timestamp) -> bool {
    let ahead = at.duration_since(received_at);
    std::time::Duration::try_from(ahead).is_ok_and(|ahead| ahead > limits::FUTURE_SLACK)
}
