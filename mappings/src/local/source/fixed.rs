//! Records of fixed length, cut by bytes before they are decoded: a full-width character is two bytes.

use std::collections::{BTreeMap, HashMap, HashSet};

use renkei_core::{Code, Finding, Severity};

use super::decode::{self, Encoding, State};
use super::odd::Odd;
use super::rows::Rows;
use super::{Unusable, refuse};

/// A file of fixed records.
#[derive(Debug, Clone)]
pub(crate) struct Fixed {
    /// Bytes of a record.
    pub(crate) length: usize,
    /// The kinds of records, by the bytes they begin with.
    pub(crate) kinds: Vec<RecordKind>,
    /// Which of them gives rows.
    pub(crate) rows: usize,
    /// Kinds a row is joined with.
    pub(crate) joins: Vec<Join>,
}

/// One kind of record.
#[derive(Debug, Clone)]
pub(crate) struct RecordKind {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

/// One field; its name in expressions is `KIND.name`.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// First byte, from 0.
    pub(crate) start: usize,
    pub(crate) length: usize,
    /// How often it repeats inside the record.
    pub(crate) times: usize,
    /// Bytes from one repetition to the next.
    pub(crate) stride: usize,
}

/// How a row finds the record it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) kind: usize,
    /// Fields that must be alike in both: that of the other record, that of the row's own.
    pub(crate) keys: Vec<(usize, usize)>,
}

/// What stands in the fields of a join.
type Key<'b> = Vec<&'b [u8]>;

impl Fixed {
    /// Names of all fields, in the order of the cells of a row.
    pub(crate) fn columns(&self) -> Vec<String> {
        self.used()
            .flat_map(|kind| {
                let kind = &self.kinds[kind];
                kind.fields
                    .iter()
                    .map(|field| format!("{}.{}", kind.name, field.name))
            })
            .collect()
    }

    /// The kinds whose fields a row has.
    fn used(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.rows).chain(self.joins.iter().map(|join| join.kind))
    }

    /// Reads all rows; what is wrong with single records is a finding.
    pub(crate) fn read(
        &self,
        bytes: &[u8],
        encoding: Encoding,
        findings: &mut Vec<Finding>,
    ) -> Result<Rows, Unusable> {
        let mut odd = Odd::default();
        let rows = self.read_piece(bytes, encoding, &mut odd)?;
        odd.into(findings);
        Ok(rows)
    }

    /// The same for a piece of a file, which ends where a record does.
    pub(crate) fn read_piece(
        &self,
        bytes: &[u8],
        encoding: Encoding,
        findings: &mut Odd,
    ) -> Result<Rows, Unusable> {
        let mut rows = Rows::new(self.columns().len());
        let records = self.records(bytes, findings, &mut rows);
        let place = |record: &[u8]| {
            let start = (record.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            (start, start + record.len())
        };
        let kinds: Vec<Option<usize>> = records
            .iter()
            .map(|(_, record)| self.kind(record))
            .collect();
        if !records.is_empty() && kinds.iter().all(Option::is_none) {
            return Err(refuse("record 1"));
        }
        let mut joined: HashMap<(usize, Key<'_>), &[u8]> = HashMap::new();
        for ((_, record), kind) in records.iter().zip(&kinds) {
            for join in self.joins.iter().filter(|join| Some(join.kind) == *kind) {
                joined.insert((join.kind, self.their_key(join, record)), record);
            }
        }
        let decoder = decode::open(b"", encoding).1;
        for ((number, record), kind) in records.iter().zip(&kinds) {
            let at = || format!("record {number}");
            match kind {
                None => {
                    findings.push(|| {
                        Finding::new(Code::MAP_ROW_SHAPE, Severity::Error, at())
                            .saying("the record begins with no known kind")
                    });
                    let (start, end) = place(record);
                    rows.lose(start, end, *number);
                }
                Some(kind) if *kind == self.rows => {
                    let mut parts = vec![*record];
                    for join in &self.joins {
                        parts.extend(joined.get(&(join.kind, self.own_key(join, record))));
                    }
                    if parts.len() <= self.joins.len() {
                        findings
                            .push(|| Finding::new(Code::MAP_JOIN_MISSING, Severity::Error, at()));
                        let (start, end) = place(record);
                        rows.lose(start, end, *number);
                        continue;
                    }
                    self.push_rows(bytes, &parts, *number, decoder, &mut rows, findings);
                }
                Some(_) => {}
            }
        }
        Ok(rows)
    }

    fn their_key<'b>(&self, join: &Join, record: &'b [u8]) -> Key<'b> {
        let fields = &self.kinds[join.kind].fields;
        let keys = join.keys.iter();
        keys.map(|(theirs, _)| fields[*theirs].of(record, 0))
            .collect()
    }

    fn own_key<'b>(&self, join: &Join, record: &'b [u8]) -> Key<'b> {
        let fields = &self.kinds[self.rows].fields;
        let keys = join.keys.iter();
        keys.map(|(_, own)| fields[*own].of(record, 0)).collect()
    }

    /// The records rows are joined with that an input does not hold.
    fn missing<'b>(&self, bytes: &'b [u8]) -> HashSet<(usize, Key<'b>)> {
        let (mut wanted, mut there) = (HashSet::new(), HashSet::new());
        for (_, record) in self.records(bytes, &mut Odd::default(), &mut Rows::default()) {
            let kind = self.kind(record);
            for join in &self.joins {
                if kind == Some(self.rows) {
                    wanted.insert((join.kind, self.own_key(join, record)));
                }
                if kind == Some(join.kind) {
                    there.insert((join.kind, self.their_key(join, record)));
                }
            }
        }
        wanted.retain(|key| !there.contains(key));
        wanted
    }

    /// Whether rows of an input are joined with records it does not hold.
    pub(crate) fn lacks_partners(&self, bytes: &[u8]) -> bool {
        !self.joins.is_empty() && !self.missing(bytes).is_empty()
    }

    /// An input with the records its rows are joined with and it does not hold, out of other inputs; behind what
    /// it holds, so that its own records keep their numbers. Two different ones under one key are none: which is
    /// meant is not guessed.
    pub(crate) fn completed(&self, bytes: &[u8], others: &[&[u8]]) -> Option<Vec<u8>> {
        let wanted = self.missing(bytes);
        let mut found: BTreeMap<(usize, Key<'_>), Option<&[u8]>> = BTreeMap::new();
        for other in others {
            for (_, record) in self.records(other, &mut Odd::default(), &mut Rows::default()) {
                let kind = self.kind(record);
                for join in self.joins.iter().filter(|join| Some(join.kind) == kind) {
                    let key = (join.kind, self.their_key(join, record));
                    if !wanted.contains(&key) {
                        continue;
                    }
                    let same = |known: &mut Option<&[u8]>| {
                        if known.is_some_and(|known| known.trim_ascii() != record.trim_ascii()) {
                            *known = None;
                        }
                    };
                    found.entry(key).and_modify(same).or_insert(Some(record));
                }
            }
        }
        let mut body = bytes.to_vec();
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0x1A);
        let end = body.iter().rposition(|byte| !is_end(byte));
        body.truncate(end.map_or(0, |last| last + 1));
        let before = body.len();
        for record in found.into_values().flatten() {
            body.extend_from_slice(b"\r\n");
            body.extend_from_slice(record);
        }
        let has_more = body.len() > before;
        body.extend_from_slice(b"\r\n");
        has_more.then_some(body)
    }

    /// The records with their number. Line ends stand between them or not.
    fn records<'b>(
        &self,
        bytes: &'b [u8],
        findings: &mut Odd,
        rows: &mut Rows,
    ) -> Vec<(u32, &'b [u8])> {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0x1A);
        let mut records = Vec::new();
        let mut rest = bytes;
        // Where the line ends, counted from the end of the input: looked for once per line.
        let mut line_end = usize::MAX;
        for number in 1.. {
            let skip = rest
                .iter()
                .position(|byte| !is_end(byte))
                .unwrap_or(rest.len());
            rest = &rest[skip..];
            if rest.is_empty() {
                break;
            }
            rows.records = number;
            let full = self.length.min(rest.len());
            if line_end > rest.len() {
                line_end = rest.len() - rest.iter().position(is_end).unwrap_or(rest.len());
            }
            let line = rest.len() - line_end;
            let (record, behind) = rest.split_at(if line < full { line } else { full });
            rest = behind;
            let mut problem = "";
            if record.len() < self.length {
                problem = "the record is shorter than its layout; its end was read as blank";
            }
            // What follows a full record on its line is either the next record or too much.
            let surplus = line.saturating_sub(full);
            let start = (record.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            let mut end = start + record.len();
            if surplus > 0 && !self.starts_record(rest) {
                let tail = &rest[..surplus];
                end += surplus;
                rest = &rest[surplus..];
                if !tail.iter().all(|byte| *byte == b' ') {
                    problem = "the record is longer than its layout; it was not read";
                }
            }
            if !problem.is_empty() {
                let is_lost = problem.ends_with("not read");
                let severity = if is_lost {
                    Severity::Error
                } else {
                    Severity::Info
                };
                findings.push(|| {
                    Finding::new(Code::MAP_ROW_SHAPE, severity, format!("record {number}"))
                        .saying(problem)
                });
                if is_lost {
                    rows.lose(start, end, number);
                    continue;
                }
            }
            records.push((number, record));
        }
        records
    }

    fn kind(&self, record: &[u8]) -> Option<usize> {
        self.kinds
            .iter()
            .position(|kind| record.starts_with(kind.name.as_bytes()))
    }

    fn starts_record(&self, rest: &[u8]) -> bool {
        self.kind(rest).is_some()
    }

    /// One row per repetition that holds something; one row for a record without repeating fields.
    fn push_rows(
        &self,
        bytes: &[u8],
        parts: &[&[u8]],
        number: u32,
        decoder: decode::Rows,
        rows: &mut Rows,
        findings: &mut Odd,
    ) {
        let own = &self.kinds[self.rows];
        let times = own
            .fields
            .iter()
            .map(|field| field.times)
            .max()
            .unwrap_or(1);
        let mut state = State::Clean;
        for repetition in 0..times {
            let repeats = |field: &&Field| field.times > 1;
            let holds = |field: &Field| !field.of(parts[0], repetition).trim_ascii().is_empty();
            if times > 1 && !own.fields.iter().filter(repeats).any(holds) {
                continue;
            }
            for (kind, part) in self.used().zip(parts) {
                for field in &self.kinds[kind].fields {
                    let which = if field.times > 1 { repetition } else { 0 };
                    let bytes = field.of(part, which);
                    let (charset, found) = decoder.of_row(bytes);
                    if found == State::Broken {
                        state = found;
                    }
                    let mut cell = String::new();
                    decode::push(bytes, charset, &mut cell);
                    rows.push_cell(&cell);
                }
            }
            for part in parts {
                let start = (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
                rows.made_of(start, start + part.len());
            }
            rows.end_row(number);
        }
        if state == State::Broken {
            findings.push(|| {
                let at = format!("record {number}");
                Finding::new(Code::CHARSET_UNDECODABLE, Severity::Warning, at)
            });
        }
    }
}

impl Field {
    /// The bytes of one repetition; fewer or none where the record is short.
    fn of<'b>(&self, record: &'b [u8], repetition: usize) -> &'b [u8] {
        let start = self.start + repetition * self.stride;
        let end = (start + self.length).min(record.len());
        record.get(start..end).unwrap_or(b"")
    }
}
