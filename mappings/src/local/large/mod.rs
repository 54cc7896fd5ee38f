//! A file too large to be held, cut by patient: rows of CSV, TSV and fixed records only.
//!
//! Two passes. The first looks through the file window by window and notes whose each row is and where it stands;
//! the second reads the rows of a few patients at a time back from the file and gives each patient's part, with
//! the places of its rows. So a part holds all rows of its patient, however they are scattered, and what is held
//! is the index (some bytes for each place where another patient's rows begin), never the file, and no second
//! copy of patient data lies on any disk.
//!
//! Refused, with the code of the limit: documents (JSON, XML, workbooks), encodings that are not cut at line ends
//! (UTF-16, ISO-2022-JP), fixed records that are joined with others, mappings about nobody, and files whose index
//! would be over its limit.

mod index;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use renkei_core::cutter::{CutError, Part, Pieces};
use renkei_core::{Code, LocalId, MapError, limits};

use super::Mapping;
use super::draft::{self, By, Given};
use super::plan::Plan;
use super::source::decode::Encoding;
use super::source::odd::Odd;
use super::source::rows::Rows;
use super::source::{Doc, Format};
use super::split::{Gathered, MARK, lines};
use crate::Options;
use index::{Index, NOBODY, Place, Subject};

/// How much is held at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) window: usize,
    pub(crate) round: usize,
    pub(crate) part: usize,
    pub(crate) index: usize,
    pub(crate) rest: usize,
    pub(crate) garbage: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            window: limits::LARGE_WINDOW_BYTES,
            round: limits::LARGE_ROUND_BYTES,
            part: limits::LOCAL_INPUT_BYTES,
            index: limits::LARGE_INDEX_BYTES,
            rest: limits::LARGE_REST_BYTES,
            garbage: limits::LARGE_GARBAGE_BYTES,
        }
    }
}

/// What there is beside the bytes.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The name of the file without its folder.
    pub file: &'a str,
    /// When it was received.
    pub received_at: Timestamp,
    /// The options of its source.
    pub options: &'a Options,
}

impl Mapping {
    /// Cuts a file of any size by patient; `give` takes the parts, some megabytes at a time, and says whether to
    /// go on. Rows that cannot be read are a part of nobody's, the last one.
    ///
    /// # Errors
    /// When the file is not this format or cannot be read piece by piece, when reading fails, and when `give`
    /// wanted no more.
    pub fn split_large(
        &self,
        body: &mut dyn Pieces,
        about: About<'_>,
        give: &mut dyn FnMut(Vec<Part>) -> bool,
    ) -> Result<(), CutError> {
        split(&self.plan, body, about, Sizes::default(), give)
    }
}

/// [`Mapping::split_large`] with sizes of one's own.
pub(crate) fn split(
    plan: &Plan,
    body: &mut dyn Pieces,
    about: About<'_>,
    sizes: Sizes,
    give: &mut dyn FnMut(Vec<Part>) -> bool,
) -> Result<(), CutError> {
    let mut survey = Survey::begin(plan, body, sizes)?;
    survey.all(body, about)?;
    survey.parts(body, give)
}

fn fail(code: Code, at: impl Into<String>) -> CutError {
    CutError::Map(MapError {
        code,
        at: at.into(),
    })
}

/// A file that is being looked through.
struct Survey<'p> {
    plan: &'p Plan,
    sizes: Sizes,
    is_fixed: bool,
    /// The byte order mark as every part begins with it, and the header.
    mark: &'static [u8],
    head: Vec<u8>,
    /// Where the next window begins.
    at: u64,
    /// Lines (records, where they are fixed) before it.
    before: u32,
    index: Index,
    /// Rows that could not be read: where, how long, on which line.
    lost: Vec<Place>,
    lost_bytes: usize,
    /// The first such row that is not kept.
    lost_more: Option<Place>,
}

impl<'p> Survey<'p> {
    fn begin(plan: &'p Plan, body: &mut dyn Pieces, sizes: Sizes) -> Result<Self, CutError> {
        let is_fixed = match &plan.input.format {
            Format::Fixed(fixed) if fixed.joins.is_empty() => true,
            Format::Delimited(_) => false,
            _ => return Err(fail(Code::MAP_LIMIT, "input")),
        };
        let has_lines = !matches!(plan.input.encoding, Encoding::Utf16 | Encoding::Iso2022Jp);
        if plan.subject.is_none() || !has_lines {
            return Err(fail(Code::MAP_LIMIT, "input"));
        }
        let mut survey = Self {
            plan,
            sizes,
            is_fixed,
            mark: b"",
            head: Vec::new(),
            at: 0,
            before: 0,
            index: Index::new(sizes.index),
            lost: Vec::new(),
            lost_bytes: 0,
            lost_more: None,
        };
        let mut first = vec![0; survey.available(body)];
        body.read(0, &mut first)?;
        if first.starts_with(&[0xFF, 0xFE]) || first.starts_with(&[0xFE, 0xFF]) {
            return Err(fail(Code::MAP_LIMIT, "input"));
        }
        if let Format::Delimited(layout) = &plan.input.format {
            if first.starts_with(MARK) {
                survey.mark = MARK;
            }
            let text = &first[survey.mark.len()..];
            let head = layout.head(text).filter(|end| *end < text.len());
            let head = head.ok_or_else(|| fail(Code::MAP_NOT_THIS_FORMAT, "row 1"))?;
            survey.head = text[..head].to_vec();
            survey.at = (survey.mark.len() + head) as u64;
            survey.before = lines(&survey.head);
        }
        Ok(survey)
    }

    /// How many bytes of the file the next window has at most.
    fn available(&self, body: &dyn Pieces) -> usize {
        let left = body.length().saturating_sub(self.at);
        usize::try_from(left).map_or(self.sizes.window, |left| left.min(self.sizes.window))
    }

    /// Looks through all of it.
    fn all(&mut self, body: &mut dyn Pieces, about: About<'_>) -> Result<(), CutError> {
        let mut buffer = [self.mark, &self.head].concat();
        let ahead = buffer.len();
        while self.at < body.length() {
            let size = self.available(body);
            let is_last = self.at + size as u64 == body.length();
            buffer.resize(ahead + size, 0);
            body.read(self.at, &mut buffer[ahead..])?;
            let window = &buffer[ahead..];
            let end = match self.end_of(window) {
                _ if is_last => size,
                0 => {
                    self.endless_line(body, window.len())?;
                    continue;
                }
                end => end,
            };
            buffer.truncate(ahead + end);
            let used = self.window(&buffer, !is_last, about)?;
            let counted = lines(&buffer[ahead..ahead + used]);
            if !self.is_fixed {
                self.before = self.before.saturating_add(counted);
            }
            self.at += used as u64;
            if self.index.is_empty() && self.at >= self.sizes.garbage {
                return Err(fail(Code::MAP_NOT_THIS_FORMAT, "row 1"));
            }
        }
        Ok(())
    }

    /// Where the last whole row of a window ends; 0 when none does.
    fn end_of(&self, window: &[u8]) -> usize {
        let behind = |sign: u8| {
            window
                .iter()
                .rposition(|byte| *byte == sign)
                .map(|at| at + 1)
        };
        let end = behind(b'\n').or_else(|| behind(b'\r'));
        match (&self.plan.input.format, end) {
            (_, Some(end)) => end,
            // Records without line ends between them.
            (Format::Fixed(fixed), None) => window.len() - window.len() % fixed.length,
            _ => 0,
        }
    }

    /// Passes over a line longer than a window; its beginning is kept.
    fn endless_line(&mut self, body: &mut dyn Pieces, seen: usize) -> Result<(), CutError> {
        self.lose(Place {
            start: self.at,
            length: seen.min(limits::KEPT_OF_GIANT),
            line: self.before.saturating_add(1),
        });
        loop {
            let mut window = vec![0; self.available(body)];
            body.read(self.at, &mut window)?;
            let end = window.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.at += end.map_or(window.len(), |end| end + 1) as u64;
            if end.is_some() || window.is_empty() {
                let is_counted = end.is_some_and(|end| window[end] == b'\n');
                self.before = self.before.saturating_add(u32::from(is_counted));
                return Ok(());
            }
            if self.index.is_empty() && self.at >= self.sizes.garbage {
                return Err(fail(Code::MAP_NOT_THIS_FORMAT, "row 1"));
            }
        }
    }

    /// Notes the rows of one window, which stands behind the header; gives how many of its bytes were used.
    fn window(
        &mut self,
        bytes: &[u8],
        more_follows: bool,
        about: About<'_>,
    ) -> Result<usize, CutError> {
        let plan = self.plan;
        let mut odd = Odd::default();
        let encoding = plan.input.encoding;
        let rows = match &plan.input.format {
            Format::Delimited(layout) => layout.read_piece(bytes, encoding, more_follows, &mut odd),
            Format::Fixed(fixed) => fixed.read_piece(bytes, encoding, &mut odd),
            _ => return Err(fail(Code::MAP_LIMIT, "input")),
        };
        let rows = rows.map_err(|unusable| CutError::Map(unusable.0))?;
        let given = Given {
            options: about.options,
            received_at: about.received_at,
            file: about.file,
        };
        let doc = Doc::Rows(rows);
        let (groups, lost) = draft::groups(plan, &doc, &given, By::Patient);
        let Doc::Rows(rows) = &doc else {
            return Ok(bytes.len());
        };
        let mut owners = vec![NOBODY; rows.len()];
        for group in groups {
            let owner = self.index.subject(group.local_id)?;
            for row in group.rows {
                owners[row] = owner;
            }
        }
        let mut unread: Vec<((u32, u32), u32)> = rows.lost.clone();
        for row in lost.rows {
            let pieces = rows.bytes_of(row).iter();
            unread.extend(pieces.map(|piece| (*piece, rows.line(row))));
        }
        unread.sort_unstable();
        unread.dedup_by_key(|(piece, _)| piece.0);
        for (piece, line) in unread {
            let place = self.place(piece, line);
            self.lose(place);
        }
        self.take(rows, &owners, bytes)?;
        // Bytes of the rows count without the mark, those of the window behind header and mark.
        let used = if self.is_fixed {
            bytes.len()
        } else {
            rows.tail.saturating_sub(self.head.len())
        };
        self.before = self.before.saturating_add(rows.records);
        Ok(used)
    }

    /// A stretch of the window as it stands in the file.
    fn place(&self, (start, end): (u32, u32), line: u32) -> Place {
        let in_window = (start as usize).saturating_sub(self.head.len());
        let own_lines = if self.is_fixed { 0 } else { lines(&self.head) };
        Place {
            start: self.at + in_window as u64,
            length: end.saturating_sub(start) as usize,
            line: self.before.saturating_add(line).saturating_sub(own_lines),
        }
    }

    /// Notes whose the rows are; those that follow one another are one stretch.
    fn take(&mut self, rows: &Rows, owners: &[u32], bytes: &[u8]) -> Result<(), CutError> {
        let text = &bytes[self.mark.len()..];
        let mut run: Option<(u32, (u32, u32), u32)> = None;
        for (row, owner) in owners.iter().enumerate() {
            let Some(piece) = rows.bytes_of(row).first().copied() else {
                continue;
            };
            let line = rows.line(row);
            run = match run {
                // Several rows of one record.
                Some((of, known, first)) if of == *owner && known.1 >= piece.1 => {
                    Some((of, known, first))
                }
                Some((of, known, first))
                    if of == *owner && !self.is_fixed && is_line_end(text, known.1, piece.0) =>
                {
                    Some((of, (known.0, piece.1), first))
                }
                Some(ended) => {
                    self.note(ended)?;
                    Some((*owner, piece, line))
                }
                None => Some((*owner, piece, line)),
            };
        }
        run.map_or(Ok(()), |ended| self.note(ended))
    }

    fn note(&mut self, (owner, piece, line): (u32, (u32, u32), u32)) -> Result<(), CutError> {
        if owner == NOBODY {
            return Ok(());
        }
        let place = self.place(piece, line);
        self.index.push(owner, place)
    }

    /// Keeps a row that cannot be read, up to the limit.
    fn lose(&mut self, place: Place) {
        let is_kept = self.lost_more.is_none() && self.lost_bytes + place.length <= self.sizes.rest;
        if is_kept {
            self.lost_bytes += place.length + size_of::<Place>();
            self.lost.push(place);
        } else {
            self.lost_more.get_or_insert(place);
        }
    }

    /// The parts of all patients, a few at a time, and what could not be read.
    fn parts(
        &self,
        body: &mut dyn Pieces,
        give: &mut dyn FnMut(Vec<Part>) -> bool,
    ) -> Result<(), CutError> {
        let mut first = 0;
        while first < self.index.subjects.len() {
            let mut bytes = 0;
            let others = self.index.subjects[first..].iter().position(|subject| {
                bytes += subject.bytes;
                bytes > self.sizes.round as u64
            });
            // One patient at least.
            let last = others.map_or(self.index.subjects.len(), |count| first + count.max(1));
            if !give(self.round(body, first, last)?) {
                return Err(CutError::Stopped);
            }
            first = last;
        }
        let rest = self.rest(body)?;
        if rest.is_empty() || give(rest) {
            Ok(())
        } else {
            Err(CutError::Stopped)
        }
    }

    /// The parts of the patients from `first` up to `last`.
    fn round(
        &self,
        body: &mut dyn Pieces,
        first: usize,
        last: usize,
    ) -> Result<Vec<Part>, CutError> {
        let subjects = &self.index.subjects[first..last];
        let is_over = |subject: &Subject| {
            subject.bytes + self.head.len() as u64 + 16 > self.sizes.part as u64
        };
        let mut gathered: Vec<Gathered> = subjects
            .iter()
            .map(|_| Gathered::begin(!self.mark.is_empty(), &self.head, self.is_fixed))
            .collect();
        for (owner, place) in self.index.places() {
            let at = (owner as usize)
                .checked_sub(first)
                .filter(|at| *at < subjects.len());
            let Some(at) = at else {
                continue;
            };
            let mut length = place.length;
            if is_over(&subjects[at]) {
                length = length.min(limits::KEPT_OF_GIANT.saturating_sub(gathered[at].len()));
                if length == 0 {
                    continue;
                }
            }
            gathered[at].try_add(place.line, length, |into| body.read(place.start, into))?;
        }
        let parts = subjects.iter().zip(gathered);
        Ok(parts
            .map(|(subject, gathered)| {
                let (body, places) = gathered.finish();
                Part {
                    subject: Some(LocalId::new(&*subject.local_id)),
                    body: body.into(),
                    places,
                    refused: is_over(subject).then_some(Code::MAP_LIMIT),
                }
            })
            .collect())
    }

    /// The rows that cannot be read; and when there are more than are kept, the first of those, refused.
    fn rest(&self, body: &mut dyn Pieces) -> Result<Vec<Part>, CutError> {
        let kept = [(None, self.lost.as_slice())];
        let more = self.lost_more.as_slice();
        let refused = [(Some(Code::MAP_LIMIT), more)];
        let mut parts = Vec::new();
        for (refused, places) in kept.into_iter().chain(refused) {
            if places.is_empty() {
                continue;
            }
            let mut rest = Gathered::begin(!self.mark.is_empty(), &self.head, self.is_fixed);
            for place in places {
                let length = place.length.min(limits::KEPT_OF_GIANT);
                rest.try_add(place.line, length, |into| body.read(place.start, into))?;
            }
            let (body, places) = rest.finish();
            parts.push(Part {
                subject: None,
                body: body.into(),
                places,
                refused,
            });
        }
        Ok(parts)
    }
}

/// Whether only the end of one line stands between two rows.
fn is_line_end(text: &[u8], from: u32, to: u32) -> bool {
    matches!(
        text.get(from as usize..to as usize),
        Some(b"\n" | b"\r\n" | b"\r" | b"")
    )
}
