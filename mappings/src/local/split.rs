//! One file about many patients, cut into one body per patient that the same mapping reads again.
//!
//! Sources call this before the inbox: a message speaks about one patient, and the gate asks for each of them.

use std::collections::{BTreeSet, HashMap};

use renkei_core::{Code, LocalId, MapError, limits};

use super::draft::{self, Given};
use super::source::{Doc, Format, decode};
use super::{Input, Mapping, Report};
use crate::Options;

/// What one patient has in a file.
#[derive(Debug, Clone)]
pub struct Part {
    /// The patient's number, padded as the options say.
    pub local_id: LocalId,
    /// The header and the rows of this patient, byte for byte as they stood (UTF-16 and ISO-2022-JP as UTF-8
    /// with a byte order mark).
    pub body: Vec<u8>,
    /// Rows in it.
    pub records: usize,
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Mapping {
    /// Cuts a file of rows or fixed records by patient. What belongs to nobody is in the report; a row of
    /// another shape is in no part. Documents and workbooks about one patient are one part.
    ///
    /// # Errors
    /// When the bytes are not this format, over the limit, or a document about several patients.
    pub fn split(
        &self,
        input: Input<'_>,
        options: &Options,
    ) -> Result<(Vec<Part>, Report), MapError> {
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
        let mut text = String::new();
        let doc = plan
            .input
            .read(input.bytes, &mut text, &mut report.findings)
            .map_err(|unusable| unusable.0)?;
        report.records = doc.len();
        let (groups, lost) = draft::groups(plan, &doc, &given);
        report.findings.extend(lost);
        let mut parts: Vec<(String, Vec<usize>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for group in groups {
            let at = *known.entry(group.local_id.clone()).or_insert_with(|| {
                parts.push((group.local_id, Vec::new()));
                parts.len() - 1
            });
            parts[at].1.extend(group.rows);
        }
        let rows = match (&doc, &plan.input.format) {
            (Doc::Rows(rows), Format::Delimited(_) | Format::Fixed(_)) => rows,
            _ if parts.len() > 1 => return Err(fail(Code::MAP_SEVERAL_SUBJECTS)),
            _ => {
                let whole = parts.into_iter().map(|(local_id, rows)| Part {
                    local_id: LocalId::new(local_id),
                    body: input.bytes.to_vec(),
                    records: rows.len(),
                });
                return Ok((whole.collect(), report));
            }
        };
        let (body, ..) = decode::open(input.bytes, plan.input.encoding);
        let is_marked = matches!(body, std::borrow::Cow::Owned(_)) || input.bytes.starts_with(MARK);
        let body: &[u8] = match &plan.input.format {
            Format::Fixed(_) => input.bytes,
            _ => &body,
        };
        let cut = parts.into_iter().map(|(local_id, mut own)| {
            own.sort_unstable();
            let pieces: BTreeSet<(u32, u32)> = own
                .iter()
                .flat_map(|row| rows.bytes_of(*row))
                .copied()
                .collect();
            let mut part = if is_marked { MARK.to_vec() } else { Vec::new() };
            part.extend_from_slice(body.get(..rows.head).unwrap_or(b""));
            for (start, end) in pieces {
                if part.last().is_some_and(|last| *last != b'\n') && part != MARK {
                    part.extend_from_slice(b"\r\n");
                }
                part.extend_from_slice(body.get(start as usize..end as usize).unwrap_or(b""));
            }
            part.extend_from_slice(b"\r\n");
            Part {
                local_id: LocalId::new(local_id),
                body: part,
                records: own.len(),
            }
        });
        Ok((cut.collect(), report))
    }
}
