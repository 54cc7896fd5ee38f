//! Local mappings: what one vendor, hospital or laboratory does differently, in a YAML file.
//!
//! A mapping has the shape of its output; its leaves are a small total language (`LANGUAGE.md` beside this
//! package: the grammar on one page, every function with examples). [`Mapping::load`] checks everything that can
//! be known before the first row: functions, kinds, tables, FHIR elements, source fields. [`Mapping::read`] turns
//! bytes into drafts, rows or a payload; one bad row is a finding with its place, the good rows go on.
//! [`LocalMapper`] is the same as a [`renkei_core::Mapper`].
//!
//! Called by the hub's normalization, by sinks that frame payloads, and by `renkei map`. No I/O: tables and
//! extended mappings come through a [`Library`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use jiff::Timestamp;
use renkei_core::{Code, Draft, Finding, MapError, Severity, limits};

use crate::Options;

mod beside;
mod compile;
mod covered;
mod dialect;
mod draft;
mod element;
mod extend;
mod function;
mod grammar;
mod guide;
mod kind;
mod large;
mod layout;
mod library;
mod load;
mod mapper;
mod plan;
mod problem;
mod propose;
mod run;
mod schema;
mod shape;
mod source;
mod split;
mod table;
#[cfg(test)]
mod tests;
pub mod twin;
mod value;
mod yaml;

pub use beside::TestOutcome;
pub use dialect::Dialect;
pub use function::{Form, Function, Parameter, areas};
pub use guide::functions_as_markdown;
pub use kind::Kinds;
pub use large::About;
pub use library::{Library, Memory, Shipped};
pub use mapper::LocalMapper;
pub use plan::Lineage;
pub use problem::{Problem, Problems};
pub use propose::{NotAccepted, accept, propose};
pub use schema::for_editors;
pub use source::decode::text_of;
pub use source::sheet::workbook_as_csv;
pub use split::{Cut, Part, Rest};
pub use table::{Table, TableError};

use draft::{By, Given};
use plan::Plan;
use run::Run;
use source::{Doc, Format};

/// A mapping that was loaded and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mapping {
    id: String,
    version: u32,
    about: String,
    hash: String,
    plan: Arc<Plan>,
}

/// An input for a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The bytes as received.
    pub bytes: &'a [u8],
    /// When they were received.
    pub received_at: Timestamp,
    /// The name of the file without its folder; empty when there is none.
    pub file: &'a str,
}

/// What a mapping makes, one piece at a time.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Resources, withdrawals and items about one patient.
    Draft(Box<Draft>),
    /// One row of `rows:`, as JSON text.
    Row {
        /// `Bed`, `Row` or the name the entry has.
        name: String,
        /// A JSON object.
        json: String,
        /// Where it comes from: `row 3`.
        at: String,
    },
    /// The one document of `payload:`, as JSON text.
    Payload(String),
}

/// What an input held, whatever was made of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Records there were.
    pub records: usize,
    /// Findings that belong to no piece: rows of another shape, records without a patient.
    pub findings: Vec<Finding>,
    /// Fields that held data and are neither read nor `unused:`.
    pub unread: Vec<String>,
}

impl Mapping {
    /// Loads and checks a mapping. `name` is how messages call it, such as its file name.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(name: &str, text: &str, library: &dyn Library) -> Result<Self, Problems> {
        load::load(name, text, library)
    }

    /// The name the mapping gives itself.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version the mapping gives itself; 1 when it says none.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the mapping says it is for.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Hash of its text, of what it extends and of its tables: 26 characters.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Where each element of the output comes from, in the order of the file.
    pub fn lineage(&self) -> &[Lineage] {
        &self.plan.lineage
    }

    /// The fields the source has, as far as the mapping lists them, and whether they are read.
    pub fn fields(&self) -> Vec<(String, bool)> {
        let columns = self.plan.input.columns().into_iter().enumerate();
        columns
            .filter_map(|(at, name)| Some((name?, self.plan.read_columns.contains(&at))))
            .collect()
    }

    /// Runs the tests beside the mapping.
    pub fn test(&self, library: &dyn Library) -> Vec<TestOutcome> {
        beside::run(self, library)
    }

    /// Reads an input and gives each piece as soon as it is made.
    ///
    /// # Errors
    /// Only when the bytes are not this format at all, or larger than the limit.
    pub fn read(
        &self,
        input: Input<'_>,
        options: &Options,
        give: &mut dyn FnMut(Piece),
    ) -> Result<Report, MapError> {
        self.reading(input, options, give, &mut |_| {})
    }

    /// As [`Self::read`]; `look` sees each document behind its reading, with what was read of it marked.
    fn reading(
        &self,
        input: Input<'_>,
        options: &Options,
        give: &mut dyn FnMut(Piece),
        look: &mut dyn FnMut(&Doc<'_>),
    ) -> Result<Report, MapError> {
        if input.bytes.len() > limits::LOCAL_INPUT_BYTES {
            return Err(MapError {
                code: Code::MAP_LIMIT,
                at: "input".to_owned(),
            });
        }
        let given = Given {
            options,
            received_at: input.received_at,
            file: input.file,
        };
        if let Format::Hl7v2 { records } = &self.plan.input.format {
            return mapper::with_messages(input.bytes, records.as_deref(), &mut |doc, findings| {
                let mut report = self.pieces(doc, &given, give);
                look(doc);
                report.findings.splice(0..0, findings);
                report
            });
        }
        let mut findings = Vec::new();
        let mut text = String::new();
        let doc = self
            .plan
            .input
            .read(input.bytes, &mut text, &mut findings)
            .map_err(|unusable| unusable.0)?;
        let mut report = self.pieces(&doc, &given, give);
        look(&doc);
        report.findings.splice(0..0, findings);
        Ok(report)
    }

    /// Everything made of one document.
    fn pieces(&self, doc: &Doc<'_>, given: &Given<'_>, give: &mut dyn FnMut(Piece)) -> Report {
        let plan = &*self.plan;
        let mut report = Report {
            records: doc.len(),
            ..Report::default()
        };
        if plan.subject.is_some() {
            let (groups, lost) = draft::groups(plan, doc, given, By::Draft);
            report.findings.extend(lost.findings);
            for group in &groups {
                give(Piece::Draft(Box::new(draft::make(plan, doc, given, group))));
            }
        }
        if !plan.rows.is_empty() || plan.payload.is_some() {
            self.flat(doc, given, give, &mut report);
        }
        report.unread = self.unread(doc);
        report
    }

    /// Rows and payload.
    fn flat(
        &self,
        doc: &Doc<'_>,
        given: &Given<'_>,
        give: &mut dyn FnMut(Piece),
        report: &mut Report,
    ) {
        let plan = &*self.plan;
        let mut run = Run::new(plan, doc, given.options, given.known());
        run.rows = (0..doc.len()).collect();
        for record in 0..doc.len() {
            run.record = record;
            if plan.when.as_ref().is_some_and(|when| !run.test(when)) {
                continue;
            }
            for entry in &plan.rows {
                let is_due = entry.each_row || record == 0;
                if !is_due || entry.when.as_ref().is_some_and(|when| !run.test(when)) {
                    continue;
                }
                if let Some(members) = run.members(&entry.body) {
                    give(Piece::Row {
                        name: entry.name.clone(),
                        json: value::Out::Object(members).to_json(),
                        at: doc.place(record),
                    });
                }
            }
        }
        run.record = 0;
        let payload = match &plan.payload {
            Some(plan::Body::Object(members)) => run.members(members).map(value::Out::Object),
            Some(body) => match run.body(body) {
                run::Made::Value(value) => value.into_out(),
                run::Made::Nothing | run::Made::Missing => None,
            },
            None => None,
        };
        if let Some(out) = payload {
            give(Piece::Payload(out.to_json()));
        }
        report.findings.extend(run.take_findings());
    }

    /// Fields that held data and were neither read nor acknowledged.
    fn unread(&self, doc: &Doc<'_>) -> Vec<String> {
        let plan = &*self.plan;
        let mut unread = match doc {
            Doc::Rows(rows) => {
                let named = plan.input.columns().into_iter().enumerate();
                let mut unread: Vec<String> = named
                    .filter(|(at, _)| !plan.read_columns.contains(at) && rows.has_data(*at))
                    .map(|(at, name)| name.unwrap_or_else(|| format!("column {}", at + 1)))
                    .collect();
                unread.extend(rows.unnamed.iter().map(|at| format!("column {at}")));
                unread
            }
            Doc::Tree {
                tree, separator, ..
            } => tree.unread(*separator),
            Doc::Segments(segments) => segments.unread(),
        };
        unread.retain(|field| !self.is_left(field));
        unread
    }
}

/// A draft of several of the same patient, with what belongs to the whole input.
pub(crate) fn joined(drafts: Vec<Draft>, report: Report) -> Result<Draft, MapError> {
    let mut whole = Draft::default();
    let mut at: HashMap<renkei_core::ResourceKey, usize> = HashMap::new();
    for draft in drafts {
        let other = |subject: &renkei_core::Subject| {
            whole
                .subject
                .as_ref()
                .is_some_and(|known| known.local_id != subject.local_id)
        };
        if draft.subject.as_ref().is_some_and(other) {
            return Err(MapError {
                code: Code::MAP_SEVERAL_SUBJECTS,
                at: "input".to_owned(),
            });
        }
        if whole.subject.is_none() {
            whole.subject = draft.subject;
        }
        for resource in draft.resources {
            let known = match at.entry(resource.key.clone()) {
                Entry::Occupied(known) => whole.resources.get_mut(*known.get()),
                Entry::Vacant(free) => {
                    free.insert(whole.resources.len());
                    None
                }
            };
            match known {
                Some(known) => {
                    if known.body.expose() != resource.body.expose()
                        && resource.key.kind != renkei_core::ResourceType::Patient
                    {
                        whole.findings.push(Finding::new(
                            Code::MAP_DUPLICATE,
                            Severity::Warning,
                            "input",
                        ));
                    }
                    *known = resource;
                }
                None => whole.resources.push(resource),
            }
        }
        whole.withdrawals.extend(draft.withdrawals);
        whole.items.extend(draft.items);
        whole.findings.extend(draft.findings);
    }
    whole.findings.extend(report.findings);
    whole.unread = report.unread;
    Ok(whole)
}
