//! What is remembered of a large file: whose each stretch of rows is, and where it stands.

use std::collections::HashMap;
use std::sync::Arc;

use renkei_core::Code;
use renkei_core::cutter::CutError;

/// A row is nobody's: it is passed over on purpose.
pub(super) const NOBODY: u32 = u32::MAX;

/// A stretch of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) length: usize,
    /// Its first line, or record.
    pub(super) line: u32,
}

/// A patient of the file.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) local_id: Arc<str>,
    /// Of all rows.
    pub(super) bytes: u64,
}

/// Whose each stretch of rows is and where it stands, in the order of the file. Numbers are written as the
/// difference to what stands before, seven bits a byte.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) subjects: Vec<Subject>,
    known: HashMap<Arc<str>, u32>,
    known_bytes: usize,
    places: Vec<u8>,
    last: u64,
    last_line: u32,
    limit: usize,
}

impl Index {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            subjects: Vec::new(),
            known: HashMap::new(),
            known_bytes: 0,
            places: Vec::new(),
            last: 0,
            last_line: 0,
            limit,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    fn check(&self) -> Result<(), CutError> {
        if self.places.len() + self.known_bytes > self.limit {
            return Err(super::fail(Code::MAP_LIMIT, "input"));
        }
        Ok(())
    }

    /// The number of a patient.
    pub(super) fn subject(&mut self, local_id: String) -> Result<u32, CutError> {
        if let Some(number) = self.known.get(local_id.as_str()) {
            return Ok(*number);
        }
        let number = u32::try_from(self.subjects.len()).unwrap_or(NOBODY);
        let local_id: Arc<str> = local_id.into();
        // The id, both entries, and what a table keeps free.
        self.known_bytes += local_id.len() + 96;
        self.check()?;
        self.known.insert(Arc::clone(&local_id), number);
        self.subjects.push(Subject { local_id, bytes: 0 });
        Ok(number)
    }

    pub(super) fn push(&mut self, owner: u32, place: Place) -> Result<(), CutError> {
        let gap = place.start.saturating_sub(self.last);
        let skipped = place.line.saturating_sub(self.last_line);
        for number in [
            u64::from(owner),
            gap,
            place.length as u64,
            u64::from(skipped),
        ] {
            push_number(&mut self.places, number);
        }
        self.last = place.start + place.length as u64;
        self.last_line = place.line;
        if let Some(subject) = self.subjects.get_mut(owner as usize) {
            // What is put between two stretches counts too.
            subject.bytes += place.length as u64 + 2;
        }
        self.check()
    }

    /// All stretches with their owners.
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, Place)> {
        let mut bytes = self.places.iter();
        let (mut last, mut last_line) = (0, 0_u32);
        std::iter::from_fn(move || {
            let mut number = || next_number(&mut bytes);
            let (owner, gap, length, skipped) = (number()?, number()?, number()?, number()?);
            let place = Place {
                start: last + gap,
                length: usize::try_from(length).ok()?,
                line: last_line.saturating_add(u32::try_from(skipped).ok()?),
            };
            last = place.start + length;
            last_line = place.line;
            Some((u32::try_from(owner).ok()?, place))
        })
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7F) as u8);
}

fn next_number(bytes: &mut std::slice::Iter<'_, u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.next()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
