//! One file about many patients, cut into one body per patient that the same mapping reads again.
//!
//! Sources call this before the inbox: a message speaks about one patient, the gate asks for each of them, and
//! each patient's part can wait for a person while the others go on. Rows nobody can be read from are a body of
//! their own, so that nothing is lost.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use renkei_core::{Code, LocalId, MapError, limits};

use super::draft::{self, By, Given};
use super::source::decode::Encoding;
use super::source::rows::Rows;
use super::source::{Doc, Format, decode, json, xml};
use super::{Input, Mapping, Report};
use crate::Options;

/// What one patient has in a file.
#[derive(Debug, Clone)]
pub struct Part {
    /// The patient's number, padded as the options say.
    pub local_id: LocalId,
    /// The header and the rows of this patient, byte for byte as they stood (UTF-16 and ISO-2022-JP as UTF-8
    /// with a byte order mark, a sheet as CSV with one, a document without the records of others: XML as UTF-8
    /// with a byte order mark, JSON printed anew).
    pub body: Vec<u8>,
    /// Rows in it.
    pub records: usize,
    /// Runs of (row in the body, row in the file), each good up to the next.
    pub places: Vec<(u32, u32)>,
}

/// Rows that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The header and the rows.
    pub body: Vec<u8>,
    /// As [`Part::places`].
    pub places: Vec<(u32, u32)>,
}

/// A file cut by patient.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// One per patient, in the order of their first row.
    pub parts: Vec<Part>,
    /// What could not be read; the same mapping reads it and says what is wrong with each row.
    pub rest: Option<Rest>,
    /// Rows in the file, and what is odd about rows that are in no part.
    pub report: Report,
}

/// Says of a body that it is UTF-8, and of one for a workbook's mapping that it is CSV.
pub(crate) const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Mapping {
    /// Whether it speaks of patients; else of rows without any, such as free beds.
    pub fn has_subject(&self) -> bool {
        self.plan.subject.is_some() || self.plan.builtin.is_some()
    }

    /// Whether it reads HL7 v2, by itself or over a mapping in Rust; else files.
    pub fn reads_hl7(&self) -> bool {
        matches!(self.plan.input.format, Format::Hl7v2 { .. })
    }

    /// Whether it lies over a mapping in Rust.
    pub fn is_overlay(&self) -> bool {
        self.plan.builtin.is_some()
    }

    /// Whether what it makes has a time of its own; else the time of receipt stands for it, and the same bytes
    /// may be news when they come again.
    pub fn has_time(&self) -> bool {
        let plan = &self.plan;
        plan.builtin.is_some()
            || plan.time.is_some()
            || plan.resources.iter().any(|entry| entry.time.is_some())
    }

    /// Whether the last byte of a file says that its writer was not done.
    pub fn is_cut_short(&self, bytes: &[u8]) -> bool {
        let has_lines = matches!(
            self.plan.input.format,
            Format::Delimited(_) | Format::Fixed(_)
        );
        // A line end of UTF-16 has a zero byte on one of its sides.
        has_lines && !matches!(bytes.last(), Some(b'\r' | b'\n' | 0x1A | 0))
    }

    /// Whether rows of a file are joined with records that must be in another file.
    pub fn lacks_partners(&self, bytes: &[u8]) -> bool {
        match &self.plan.input.format {
            Format::Fixed(fixed) => fixed.lacks_partners(bytes),
            _ => false,
        }
    }

    /// A file with the records it lacks out of others, behind its own; `None` when they hold none of them.
    pub fn completed(&self, bytes: &[u8], others: &[&[u8]]) -> Option<Vec<u8>> {
        match &self.plan.input.format {
            Format::Fixed(fixed) => fixed.completed(bytes, others),
            _ => None,
        }
    }

    /// Cuts a file by patient.
    ///
    /// # Errors
    /// When the bytes are not this format, or over the limit.
    pub fn split(&self, input: Input<'_>, options: &Options) -> Result<Cut, MapError> {
        let fail = |code: Code| MapError {
            code,
            at: "input".to_owned(),
        };
        if input.bytes.len() > limits::LOCAL_INPUT_BYTES {
            return Err(fail(Code::MAP_LIMIT));
        }
        let given = Given {
            options,
            received_at: input.received_at,
            file: input.file,
        };
        let plan = &*self.plan;
        let mut report = Report::default();
        let bytes: Cow<'_, [u8]> = match &plan.input.format {
            Format::Sheet(sheet) => sheet.as_rows(input.bytes).map_err(|unusable| unusable.0)?,
            _ => Cow::Borrowed(input.bytes),
        };
        let mut text = String::new();
        let doc = plan
            .input
            .read(&bytes, &mut text, &mut report.findings)
            .map_err(|unusable| unusable.0)?;
        report.records = doc.len();
        let (groups, lost) = draft::groups(plan, &doc, &given, By::Patient);
        let mut parts: Vec<(String, Vec<usize>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for group in groups {
            let at = *known.entry(group.local_id.clone()).or_insert_with(|| {
                parts.push((group.local_id, Vec::new()));
                parts.len() - 1
            });
            parts[at].1.extend(group.rows);
        }
        for (_, rows) in &mut parts {
            rows.sort_unstable();
        }
        report.findings.extend(lost.findings);
        let mut cut = Cut {
            report,
            ..Cut::default()
        };
        match &doc {
            Doc::Rows(rows) => {
                let (body, ..) = decode::open(&bytes, plan.input.encoding);
                let is_fixed = matches!(plan.input.format, Format::Fixed(_));
                let knife = Knife {
                    body: if is_fixed { &bytes } else { &body },
                    is_marked: !is_fixed
                        && (matches!(body, Cow::Owned(_)) || bytes.starts_with(MARK)),
                    by_record: is_fixed,
                    rows,
                };
                cut.rest = knife.rest(&lost.rows);
                cut.parts = parts
                    .into_iter()
                    .map(|(local_id, own)| knife.part(local_id, &own))
                    .collect();
            }
            Doc::Tree { tree, records, .. } if parts.len() > 1 || !lost.rows.is_empty() => {
                let whole = match &plan.input.format {
                    Format::Xml { .. } => Some(plan.input.text_of_xml(&bytes)),
                    _ => None,
                };
                let only = |own: &[usize]| {
                    let others = all_but(records, own);
                    let text = match &whole {
                        Some(whole) => xml::without(whole, &others),
                        None => Some(json::without(tree, &others)),
                    };
                    let mut body = Vec::new();
                    if !matches!(plan.input.encoding, Encoding::Auto | Encoding::Utf8)
                        || whole.is_some()
                    {
                        // Whatever the mapping or the document says of its encoding.
                        body.extend_from_slice(MARK);
                    }
                    let text = text.ok_or_else(|| fail(Code::MAP_NOT_THIS_FORMAT))?;
                    body.extend_from_slice(text.as_bytes());
                    Ok::<_, MapError>(body)
                };
                if !lost.rows.is_empty() {
                    cut.rest = Some(Rest {
                        body: only(&lost.rows)?,
                        places: runs_of(&lost.rows),
                    });
                }
                for (local_id, own) in parts {
                    cut.parts.push(Part {
                        local_id: LocalId::new(local_id),
                        body: only(&own)?,
                        records: own.len(),
                        places: runs_of(&own),
                    });
                }
            }
            _ => {
                cut.parts = parts
                    .into_iter()
                    .map(|(local_id, rows)| Part {
                        local_id: LocalId::new(local_id),
                        body: input.bytes.to_vec(),
                        records: rows.len(),
                        places: vec![(1, 1)],
                    })
                    .collect();
            }
        }
        Ok(cut)
    }
}

/// Cuts a file of rows.
struct Knife<'b> {
    body: &'b [u8],
    is_marked: bool,
    /// Rows are counted by records, not by lines.
    by_record: bool,
    rows: &'b Rows,
}

impl Knife<'_> {
    fn part(&self, local_id: String, own: &[usize]) -> Part {
        // Records that several rows are made of stand once; the number is that of a row they begin.
        let mut pieces: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for row in own {
            for piece in self.rows.bytes_of(*row) {
                pieces.entry(*piece).or_insert(self.rows.line(*row));
            }
            if let Some(first) = self.rows.bytes_of(*row).first() {
                pieces.insert(*first, self.rows.line(*row));
            }
        }
        let (body, places) = self.gather(pieces.into_iter());
        Part {
            local_id: LocalId::new(local_id),
            body,
            records: own.len(),
            places,
        }
    }

    /// What could not be read, of any shape.
    fn rest(&self, lost: &[usize]) -> Option<Rest> {
        let rows = lost.iter().flat_map(|row| {
            let line = self.rows.line(*row);
            self.rows
                .bytes_of(*row)
                .iter()
                .map(move |piece| (*piece, line))
        });
        let misshapen = self.rows.lost.iter().copied();
        let pieces: BTreeMap<(u32, u32), u32> = rows.chain(misshapen).collect();
        (!pieces.is_empty()).then(|| {
            let (body, places) = self.gather(pieces.into_iter());
            Rest { body, places }
        })
    }

    fn gather(
        &self,
        pieces: impl Iterator<Item = ((u32, u32), u32)>,
    ) -> (Vec<u8>, Vec<(u32, u32)>) {
        let head = self.body.get(..self.rows.head).unwrap_or(b"");
        let mut gathered = Gathered::begin(self.is_marked, head, self.by_record);
        for ((start, end), there) in pieces {
            let piece = self.body.get(start as usize..end as usize).unwrap_or(b"");
            gathered.add(there, piece);
        }
        gathered.finish()
    }
}

/// A header and rows on their way to be a body, with the places of the rows.
pub(crate) struct Gathered {
    body: Vec<u8>,
    /// Bytes of the mark, behind which no line end is needed.
    mark: usize,
    by_record: bool,
    here: u32,
    runs: Runs,
}

impl Gathered {
    /// A body with its header and no rows. `by_record`: rows are counted by records, not by lines.
    pub(crate) fn begin(is_marked: bool, head: &[u8], by_record: bool) -> Self {
        let mark = if is_marked { MARK } else { b"" };
        Self {
            body: [mark, head].concat(),
            mark: mark.len(),
            by_record,
            here: if by_record { 1 } else { 1 + lines(head) },
            runs: Runs::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// Adds a stretch of rows that begins on line (or record) `there` of the file.
    fn add(&mut self, there: u32, piece: &[u8]) {
        self.separate();
        self.body.extend_from_slice(piece);
        self.count(there, piece.len());
    }

    /// The same with bytes that `fill` brings; they are all records of the length `by_record` counts, or lines.
    pub(crate) fn try_add<E>(
        &mut self,
        there: u32,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.separate();
        let start = self.body.len();
        self.body.resize(start + length, 0);
        fill(&mut self.body[start..])?;
        self.count(there, length);
        Ok(())
    }

    /// Ends the line before.
    fn separate(&mut self) {
        let is_open = self.body.last().is_some_and(|last| *last != b'\n');
        if is_open && self.body.len() != self.mark {
            self.body.extend_from_slice(b"\r\n");
            self.here += u32::from(!self.by_record);
        }
    }

    fn count(&mut self, there: u32, length: usize) {
        self.runs.add(self.here, there);
        let piece = &self.body[self.body.len() - length..];
        self.here += if self.by_record { 1 } else { lines(piece) };
    }

    /// The body, and the runs of (row in the body, row in the file).
    pub(crate) fn finish(mut self) -> (Vec<u8>, Vec<(u32, u32)>) {
        self.body.extend_from_slice(b"\r\n");
        (self.body, self.runs.0)
    }
}

/// Lines that end in some bytes.
pub(crate) fn lines(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// Runs of numbers that keep their distance.
#[derive(Default)]
struct Runs(Vec<(u32, u32)>);

impl Runs {
    fn add(&mut self, here: u32, there: u32) {
        let goes_on = self
            .0
            .last()
            .is_some_and(|(own, other)| here.wrapping_sub(*own) == there.wrapping_sub(*other));
        if !goes_on {
            self.0.push((here, there));
        }
    }
}

fn runs_of(own: &[usize]) -> Vec<(u32, u32)> {
    let mut runs = Runs::default();
    let number = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
    for (here, there) in own.iter().enumerate() {
        runs.add(number(here), number(*there));
    }
    runs.0
}

/// The records of a document but these.
fn all_but(records: &[u32], own: &[usize]) -> HashSet<u32> {
    let kept: HashSet<u32> = own
        .iter()
        .filter_map(|at| records.get(*at).copied())
        .collect();
    records
        .iter()
        .copied()
        .filter(|record| !kept.contains(record))
        .collect()
}
