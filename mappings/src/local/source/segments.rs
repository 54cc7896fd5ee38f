//! HL7 v2 messages: fields by their usual names, records by a segment.

use std::borrow::Cow;

use renkei_hl7v2::{Field, Repetition};

use crate::reader::{Reader, Seg};

/// A field of a segment: `PID-5[2].1.2`. Numbers count from 1; 0 means the whole of what stands before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    /// Three letters; empty inside `each:` over segments.
    pub(crate) segment: String,
    /// Which of the segments of this name; 0 the one of the record.
    pub(crate) occurrence: usize,
    pub(crate) field: usize,
    pub(crate) repetition: usize,
    pub(crate) component: usize,
    pub(crate) subcomponent: usize,
}

/// A message and which of its segments begin a record.
pub(crate) struct Segments<'m> {
    reader: Reader<'m>,
    all: Vec<Seg<'m>>,
    records: Vec<usize>,
}

impl<'m> Segments<'m> {
    /// All records of a message; the message itself is one when no segment is named.
    pub(crate) fn new(reader: Reader<'m>, by: Option<&str>) -> Self {
        let all: Vec<Seg<'m>> = reader.segments().collect();
        let records = match by {
            None => vec![0],
            Some(name) => (0..all.len())
                .filter(|at| all[*at].name() == name)
                .collect(),
        };
        Self {
            reader,
            all,
            records,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// `OBX[2]`, the place of a record.
    pub(crate) fn place(&self, record: usize) -> String {
        self.records
            .get(record)
            .and_then(|at| self.all.get(*at))
            .map_or_else(|| "MSH".to_owned(), |seg| seg.place())
    }

    /// The segment a path means for a record: the record's own, else the first behind it before the next
    /// record, else the nearest before it; for the message as one record, the first.
    pub(crate) fn segment(&self, record: usize, name: &str, occurrence: usize) -> Option<Seg<'m>> {
        if occurrence > 0 {
            return self
                .all
                .iter()
                .filter(|seg| seg.name() == name)
                .nth(occurrence - 1)
                .copied();
        }
        let start = *self.records.get(record)?;
        let end = self
            .records
            .get(record + 1)
            .copied()
            .unwrap_or(self.all.len());
        let found = self.all[start..end].iter().find(|seg| seg.name() == name);
        found
            .or_else(|| {
                self.all[..start]
                    .iter()
                    .rev()
                    .find(|seg| seg.name() == name)
            })
            .copied()
    }

    /// Every segment of a name within a record.
    pub(crate) fn segments(&self, record: usize, name: &str) -> Vec<usize> {
        let Some(start) = self.records.get(record).copied() else {
            return Vec::new();
        };
        let end = self
            .records
            .get(record + 1)
            .copied()
            .unwrap_or(self.all.len());
        (start..end)
            .filter(|at| self.all[*at].name() == name)
            .collect()
    }

    pub(crate) fn at(&self, index: usize) -> Option<Seg<'m>> {
        self.all.get(index).copied()
    }

    /// The message with its marks.
    pub(crate) fn reader(&self) -> Reader<'m> {
        self.reader
    }

    pub(crate) fn unread(&self) -> Vec<String> {
        self.reader.unread()
    }
}

impl FieldPath {
    /// Reads `PID-5[2].1.2`, `ZXX[2]-3`; `None` when it is none.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (segment, rest) = path.split_once('-')?;
        let (segment, occurrence) = match segment.split_once('[') {
            Some((name, number)) => (name, index(number.strip_suffix(']')?)?),
            None => (segment, 0),
        };
        let right = segment.len() == 3
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && segment.starts_with(|letter: char| letter.is_ascii_uppercase());
        let mut parsed = Self::parts(rest)?;
        if !right {
            return None;
        }
        parsed.segment = segment.to_owned();
        parsed.occurrence = occurrence;
        Some(parsed)
    }

    /// Reads `5[2].1.2`.
    pub(crate) fn parts(rest: &str) -> Option<Self> {
        let mut numbers = rest.split('.');
        let first = numbers.next()?;
        let (field, repetition) = match first.split_once('[') {
            Some((field, number)) => (index(field)?, index(number.strip_suffix(']')?)?),
            None => (index(first)?, 1),
        };
        let mut next = || numbers.next().map_or(Some(0), index);
        let (component, subcomponent) = (next()?, next()?);
        numbers.next().is_none().then_some(Self {
            segment: String::new(),
            occurrence: 0,
            field,
            repetition,
            component,
            subcomponent,
        })
    }

    /// Its text in a segment; the first component unless one is named.
    pub(crate) fn of<'m>(&self, segment: Seg<'m>) -> Cow<'m, str> {
        let field: Field<'m> = segment.field(self.field);
        part(
            field.repetition(self.repetition),
            self.component.max(1),
            self.subcomponent,
        )
    }
}

/// A component of a repetition.
pub(crate) fn part<'m>(
    repetition: Repetition<'m>,
    component: usize,
    subcomponent: usize,
) -> Cow<'m, str> {
    let component = repetition.component(component);
    match subcomponent {
        0 => component.text(),
        number => component.subcomponent(number).text(),
    }
}

fn index(text: &str) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|number| (1..1000).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_anything_else_refused() {
        let path = FieldPath::parse("PID-5[2].1.2").expect("a path");
        assert_eq!(
            (
                path.field,
                path.repetition,
                path.component,
                path.subcomponent
            ),
            (5, 2, 1, 2)
        );
        assert_eq!(
            FieldPath::parse("ZP1[3]-2").map(|path| path.occurrence),
            Some(3)
        );
        for bad in [
            "PID",
            "PID-",
            "PID-0",
            "pid-5",
            "PID-5[0]",
            "PID-5.1.2.3",
            "PIDX-1",
            "PID-a",
            "1PI-2",
        ] {
            assert_eq!(FieldPath::parse(bad), None, "{bad}");
        }
    }
}
