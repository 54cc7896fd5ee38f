//! `builtin/lab-csv` once more, written in Rust: what `renkei bench map` measures the language against, and what
//! the tests hold the shipped mapping against, row for row.
//!
//! Written as the mappings of the standards are: text borrowed from the decoded file, the structs of `renkei-fhir`,
//! the readers of results, dates and kana that both share. It follows the shipped file rule by rule; what it does
//! not do is read a file that mixes encodings, open a quote that was never closed, or say which columns were unread.

mod bodies;
mod row;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use renkei_core::draft::WithdrawReason;
use renkei_core::{
    Authority, Carry, Code, Draft, DraftResource, Facts, Finding, Item, ItemClass, ItemEvent,
    LocalId, MapError, Mapper, MapperId, Message, ResourceKey, ResourceType, Sensitive, Severity,
    Strength, Subject, Urgency, Withdrawal, limits,
};
use renkei_hl7v2::kana;

use super::function::{katakana, lab_kind, narrowed, read_date};
use super::{Library, Table};
use crate::Options;
use crate::moment::{Moment, fhir_instant};
use row::{COLUMNS, Column, Row, decoded, records};

/// The mapping, built for one facility.
pub struct LabCsv {
    options: Options,
    sex: Table,
    status: Table,
    jlac10: Table,
}

/// One order of one kind: what one report is made of.
struct Order<'r, 't> {
    local_id: String,
    rows: Vec<&'r Row<'t>>,
}

impl LabCsv {
    /// The mapping for the source these options describe; `None` when the library lacks one of its tables.
    pub fn new(options: Options, library: &dyn Library) -> Option<Self> {
        let table = |name: &str| Table::parse(&library.table(name)?).ok();
        Some(Self {
            options,
            sex: table("sex")?,
            status: table("lab-status")?,
            jlac10: table("local-jlac10")?,
        })
    }

    /// All rows of a file; what is wrong with single ones is a finding.
    fn rows<'t>(
        &'t self,
        records: &'t [(csv::StringRecord, u32)],
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<Row<'t>>, MapError> {
        let (head, records) = records.split_first().ok_or_else(not_this_format)?;
        let names: Vec<String> = head.0.iter().map(super::source::rows::header_key).collect();
        let places = COLUMNS.map(|column| names.iter().position(|name| name == column));
        if places.iter().all(Option::is_none) {
            return Err(not_this_format());
        }
        for (column, _) in COLUMNS.iter().zip(places).filter(|(_, at)| at.is_none()) {
            let text = format!("the file has no column `{column}`");
            findings.push(
                Finding::new(Code::MAP_COLUMN_MISSING, Severity::Error, "row 1").saying(text),
            );
        }
        let mut rows = Vec::with_capacity(records.len());
        for (record, line) in records {
            if record.iter().all(str::is_empty) {
                continue;
            }
            let surplus_is_blank = || record.iter().skip(names.len()).all(str::is_empty);
            if record.len() < names.len() || (record.len() > names.len() && !surplus_is_blank()) {
                let text = format!(
                    "the row has {} cells, the layout {}",
                    record.len(),
                    names.len()
                );
                let at = format!("row {line}");
                findings.push(Finding::new(Code::MAP_ROW_SHAPE, Severity::Error, at).saying(text));
                continue;
            }
            let cells = places.map(|at| at.and_then(|at| record.get(at)).unwrap_or("").trim());
            let mut row = Row {
                cells,
                line: *line,
                jlac10: cells[Column::Jlac10 as usize],
                kind: "",
            };
            if row.jlac10.is_empty() {
                let known = self.jlac10.row(row.get(Column::Item));
                row.jlac10 = known.and_then(|row| row.get(1)).map_or("", String::as_str);
            }
            row.kind = lab_kind(row.jlac10, row.get(Column::ItemName));
            rows.push(row);
        }
        Ok(rows)
    }

    /// The rows of each order, in the order of their first row.
    fn orders<'r, 't>(
        &self,
        rows: &'r [Row<'t>],
        findings: &mut Vec<Finding>,
    ) -> Vec<Order<'r, 't>> {
        let mut orders: Vec<Order<'r, 't>> = Vec::new();
        let mut known: HashMap<(String, Cow<'t, str>, &'static str), usize> = HashMap::new();
        for row in rows {
            let mut local_id = narrowed(row.get(Column::LocalId)).into_owned();
            if local_id.is_empty() {
                let at = row.place(Column::LocalId);
                findings.push(Finding::new(Code::MAP_NO_PATIENT, Severity::Error, at));
                continue;
            }
            if let Some(form) = self.options.local_id {
                let missing = form.width.saturating_sub(local_id.chars().count());
                local_id.insert_str(0, &form.padding.to_string().repeat(missing));
            }
            let at = known
                .entry((local_id.clone(), row.order(), row.kind))
                .or_insert_with(|| {
                    orders.push(Order {
                        local_id,
                        rows: Vec::new(),
                    });
                    orders.len() - 1
                });
            orders[*at].rows.push(row);
        }
        orders
    }
}

fn not_this_format() -> MapError {
    MapError {
        code: Code::MAP_NOT_THIS_FORMAT,
        at: "row 1".to_owned(),
    }
}

impl Mapper for LabCsv {
    fn id(&self) -> MapperId {
        MapperId {
            name: "lab-csv in Rust",
            version: 1,
            config: self.options.hash(),
        }
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        let text = decoded(&message.body);
        let records = records(&text);
        let mut odd = Vec::new();
        let rows = self.rows(&records, &mut odd)?;
        let mut draft = Draft::default();
        let mut at: HashMap<ResourceKey, usize> = HashMap::new();
        for order in self.orders(&rows, &mut odd) {
            let mut making = Making {
                mapping: self,
                received_at: message.received_at,
                time: message.received_at,
                time_text: String::new(),
                patient: String::new(),
                draft: &mut draft,
                at: &mut at,
                first_finding: 0,
            };
            making.order(&order)?;
        }
        draft.findings.append(&mut odd);
        Ok(draft)
    }
}

/// The drafts of one file while they are made into one.
struct Making<'m, 'd> {
    mapping: &'m LabCsv,
    received_at: Timestamp,
    time: Timestamp,
    time_text: String,
    /// `Patient/…`.
    patient: String,
    draft: &'d mut Draft,
    at: &'d mut HashMap<ResourceKey, usize>,
    /// Where the findings of this order begin.
    first_finding: usize,
}

impl Making<'_, '_> {
    /// Notes something odd, once for its place.
    fn note(&mut self, code: Code, severity: Severity, at: String) {
        let of_order = &self.draft.findings[self.first_finding..];
        if !of_order
            .iter()
            .any(|known| known.code == code && known.at == at)
        {
            self.draft.findings.push(Finding::new(code, severity, at));
        }
    }

    fn options(&self) -> &Options {
        &self.mapping.options
    }

    fn key(&self, kind: ResourceType, parts: &[&str]) -> ResourceKey {
        ResourceKey::new(kind, &self.options().facility, parts)
    }

    /// A date with the time of another column; what cannot be read is a finding.
    fn moment(&mut self, row: &Row<'_>, column: Column, clock: &str) -> Option<Moment> {
        let text = row.get(column);
        let read = (!text.is_empty()).then(|| read_date(text, clock, self.options().zone))?;
        if read.is_none() {
            self.note(Code::MAP_BAD_DATE, Severity::Warning, row.place(column));
        }
        read
    }

    /// Everything of one order.
    fn order(&mut self, order: &Order<'_, '_>) -> Result<(), MapError> {
        let Some(first) = order.rows.first() else {
            return Ok(());
        };
        self.first_finding = self.draft.findings.len();
        self.read_time(first);
        self.subject(order, first)?;
        let patient = self.key(ResourceType::Patient, &[&order.local_id]);
        self.patient = patient.reference();
        let number = first.order();
        let scope = ["order:result:", first.get(Column::Order)].concat();
        let body = self.patient_body(first, &patient, &order.local_id);
        self.resource(patient, body, first, None);
        let mut made: Vec<ResourceKey> = Vec::with_capacity(order.rows.len());
        let mut of_row = Vec::with_capacity(order.rows.len());
        for row in &order.rows {
            let parts = [
                &*order.local_id,
                &row.order(),
                row.first(&[Column::Material, Column::MaterialName]),
                row.first(&[Column::Item, Column::Jlac10, Column::ItemName]),
            ];
            let key = self.key(ResourceType::Observation, &parts);
            if row.is_taken_back() {
                self.draft.withdrawals.push(Withdrawal {
                    key,
                    reason: WithdrawReason::EnteredInError,
                    source_time: self.time,
                    storage_order: 0,
                    scope: Some(scope.clone()),
                });
                of_row.push(None);
                continue;
            }
            let says_what = [Column::ItemName, Column::Item, Column::Jlac10];
            if row.first(&says_what).is_empty() {
                self.status(row);
                let at = format!("row {}", row.line);
                self.note(Code::MAP_REQUIRED_EMPTY, Severity::Error, at);
                of_row.push(None);
                continue;
            }
            let body = self.observation_body(row, &key);
            self.resource(key.clone(), body, row, Some(&scope));
            of_row.push(Some(key.clone()));
            if !made.contains(&key) {
                made.push(key);
            }
        }
        if order.rows.iter().any(|row| !row.is_taken_back()) {
            let parts = [&*order.local_id, &number, first.kind];
            let key = self.key(ResourceType::DiagnosticReport, &parts);
            let body = self.report_body(order, &key, &made);
            let preliminary = order.rows.iter().find(|row| row.is_preliminary());
            self.resource(
                key.clone(),
                body,
                preliminary.unwrap_or(first),
                Some(&scope),
            );
            self.item(order, first, key, made);
        }
        for (row, key) in order.rows.iter().zip(of_row) {
            self.alarm(row, key);
        }
        Ok(())
    }

    fn read_time(&mut self, first: &Row<'_>) {
        let clock = first.get(Column::Clock);
        let reported = self.moment(first, Column::Reported, "");
        let said = reported.or_else(|| self.moment(first, Column::Day, clock));
        if let Some(at) = said.and_then(Moment::instant) {
            let ahead = at.duration_since(self.received_at);
            if std::time::Duration::try_from(ahead).is_ok_and(|ahead| ahead > limits::FUTURE_SLACK)
            {
                let at = first.place(Column::Reported);
                self.note(Code::MAP_FUTURE_DATE, Severity::Warning, at);
            } else {
                self.time = at;
            }
        }
        self.time_text = fhir_instant(self.time, self.options().zone);
    }

    /// When the material was taken, else when it was reported.
    fn effective(&mut self, row: &Row<'_>) -> String {
        let taken = self.moment(row, Column::Day, row.get(Column::Clock));
        let said = taken.or_else(|| self.moment(row, Column::Reported, ""));
        said.map_or_else(|| self.time_text.clone(), Moment::fhir)
    }

    fn sex(&mut self, row: &Row<'_>) -> &'static str {
        let sent = row.get(Column::Sex);
        let known = self.mapping.sex.row(sent).and_then(|row| row.get(1));
        let found = known.and_then(|word| {
            ["male", "female", "other", "unknown"]
                .into_iter()
                .find(|known| known == word)
        });
        if found.is_none() && !sent.is_empty() {
            self.note(
                Code::MAP_UNKNOWN_CODE,
                Severity::Warning,
                row.place(Column::Sex),
            );
        }
        found.unwrap_or("")
    }

    fn birth_date(&mut self, row: &Row<'_>) -> String {
        let read = self.moment(row, Column::Birth, "");
        read.map_or_else(String::new, Moment::date)
    }

    fn subject(&mut self, order: &Order<'_, '_>, first: &Row<'_>) -> Result<(), MapError> {
        if let Some(known) = &self.draft.subject {
            return if known.local_id.expose() == order.local_id {
                Ok(())
            } else {
                Err(MapError {
                    code: Code::MAP_SEVERAL_SUBJECTS,
                    at: "input".to_owned(),
                })
            };
        }
        let kana = katakana(first.get(Column::Kana));
        let family = kana.split_once(' ').map_or("", |(family, _)| family);
        let facts = Facts {
            kana: kana::search_key(&kana),
            family_kana: family.to_owned(),
            kanji: one_blank(first.get(Column::Kanji)),
            birth_date: self.birth_date(first),
            sex: self.sex(first).to_owned(),
            ..Facts::default()
        };
        self.draft.subject = Some(Subject {
            facility: self.options().facility.clone(),
            local_id: LocalId::new(&order.local_id),
            facts,
            authority: Authority::Snapshot,
        });
        Ok(())
    }

    /// Records a body; `row` says how settled it is.
    fn resource(&mut self, key: ResourceKey, body: String, row: &Row<'_>, scope: Option<&str>) {
        let is_patient = key.kind == ResourceType::Patient;
        let made = DraftResource {
            key: key.clone(),
            body: Sensitive::new(body),
            source_time: self.time,
            storage_order: 0,
            authority: if is_patient {
                Authority::Snapshot
            } else {
                Authority::Primary
            },
            strength: if !is_patient && row.is_preliminary() {
                Strength::Preliminary
            } else {
                Strength::Final
            },
            carry: if is_patient {
                Carry::Merge { clear: Vec::new() }
            } else {
                Carry::Replace
            },
            scope: scope.map(str::to_owned),
        };
        let Some(at) = self.at.get(&key) else {
            self.at.insert(key, self.draft.resources.len());
            self.draft.resources.push(made);
            return;
        };
        let known = &mut self.draft.resources[*at];
        let is_other = known.body.expose() != made.body.expose();
        *known = made;
        if is_other && !is_patient {
            let at = format!("row {}", row.line);
            self.note(Code::MAP_DUPLICATE, Severity::Warning, at);
        }
    }

    /// What there is to tell about the order as a whole.
    fn item(
        &mut self,
        order: &Order<'_, '_>,
        first: &Row<'_>,
        focus: ResourceKey,
        members: Vec<ResourceKey>,
    ) {
        let class = match first.kind {
            "infection" | "infection-held" => ItemClass::Infection,
            "microbiology" => ItemClass::Microbiology,
            _ => ItemClass::Lab,
        };
        let is_critical = order.rows.iter().any(|row| row.is_critical());
        let item = Item {
            class,
            event: ItemEvent::Recorded,
            focus,
            members,
            occurred_at: self.occurred_at(first),
            urgency: if is_critical {
                Urgency::U1
            } else {
                Urgency::U2
            },
            never_automatic: (first.kind == "infection-held").then_some(Code::RTE_NEVER_AUTOMATIC),
        };
        self.draft.items.push(item);
    }

    /// What the laboratory itself calls critical is told by itself.
    fn alarm(&mut self, row: &Row<'_>, focus: Option<ResourceKey>) {
        if let Some(focus) = focus.filter(|_| row.is_critical() && row.kind == "laboratory") {
            let occurred_at = self.occurred_at(row);
            self.draft.items.push(Item {
                class: ItemClass::Alert,
                event: ItemEvent::Alarm,
                focus,
                members: Vec::new(),
                occurred_at,
                urgency: Urgency::U1,
                never_automatic: None,
            });
        }
    }

    fn occurred_at(&mut self, row: &Row<'_>) -> Timestamp {
        let taken = self.moment(row, Column::Day, row.get(Column::Clock));
        taken.and_then(Moment::instant).unwrap_or(self.time)
    }
}

fn one_blank(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
