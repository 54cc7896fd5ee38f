//! What inputs held and what of it was read, counted over many of them: `renkei map coverage`.
//!
//! A place counts when it held data: a field of a segment, a column of a row, a leaf of a document. MSH and set
//! ids do not: they say nothing a reader could miss. What was read is what the mapping itself reports as not read
//! turned around, so that this counts what an operator sees, and reading alone pays nothing for it.

use std::collections::{BTreeMap, HashSet};

use renkei_core::{Code, Mapper, Message};
use renkei_hl7v2::{Message as Hl7, decode, split_messages};

use crate::Options;
use crate::local::{Input, Mapping};
use crate::reader::{Reader, trimmed};

/// What became of a place that held data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The mapping read it.
    Carried,
    /// It stands under `unused:` of the mapping.
    LeftOnPurpose,
    /// Nobody read it.
    Unread,
}

/// One kind of place and how often it held data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// `PV1-3`, `採取日`, `events.id`.
    pub(crate) field: String,
    /// The type of the message, `ADT`; empty for files.
    pub(crate) kind: String,
    /// How often.
    pub(crate) count: usize,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// How often one field held data, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Read.
    pub carried: usize,
    /// Left on purpose.
    pub left: usize,
    /// Not read.
    pub unread: usize,
    /// Not read, by the type of the message.
    pub unread_in: BTreeMap<String, usize>,
}

/// A count of fields or values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Read, and always so.
    pub carried: usize,
    /// Left on purpose; not part of the share.
    pub left: usize,
    /// Not read, or not always.
    pub unread: usize,
}

impl Share {
    /// What held data and was not left on purpose.
    pub fn all(self) -> usize {
        self.carried + self.unread
    }

    /// Carried of a hundred, rounded down; 100 when nothing held data.
    pub fn percent(self) -> usize {
        (self.carried * 100).checked_div(self.all()).unwrap_or(100)
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            carried: self.carried + other.carried,
            left: self.left + other.left,
            unread: self.unread + other.unread,
        }
    }
}

/// What one mapping carried of all it was given.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Messages, or records of files.
    pub records: usize,
    /// Messages or files that could not be read at all.
    pub failed: usize,
    /// Every field that held data.
    pub fields: BTreeMap<String, Tally>,
    /// What was odd, by code.
    pub findings: BTreeMap<Code, usize>,
}

impl Coverage {
    /// Reads a message of HL7 v2 or a document with a mapping in Rust, or with one laid over it, whose `unused:`
    /// `is_left` knows. Documents hold no fields.
    pub fn add_message(
        &mut self,
        message: &Message,
        mapper: &dyn Mapper,
        is_left: &dyn Fn(&str) -> bool,
    ) {
        let draft = match mapper.map(message) {
            Ok(draft) => draft,
            Err(error) => return self.fail(error.code),
        };
        self.records += 1;
        for finding in &draft.findings {
            *self.findings.entry(finding.code).or_default() += 1;
        }
        if message.meta.media_type.is_some() {
            return;
        }
        let unread: HashSet<&str> = draft.unread.iter().map(String::as_str).collect();
        let decoded = decode(&message.body);
        for text in split_messages(&decoded.text) {
            let Ok(parsed) = Hl7::parse(text) else {
                continue;
            };
            let marks = Reader::marks(&parsed);
            let reader = Reader::new(&parsed, &marks);
            let kind = kind_of(reader);
            for place in reader.held() {
                let fate = if is_left(&place.at) {
                    Fate::LeftOnPurpose
                } else if unread.contains(place.at.as_str())
                    || unread.contains(place.segment.as_str())
                {
                    Fate::Unread
                } else {
                    Fate::Carried
                };
                self.add(Held {
                    field: place.field,
                    kind: kind.clone(),
                    count: 1,
                    fate,
                });
            }
        }
    }

    /// Reads a file with a local mapping.
    pub fn add_file(&mut self, input: Input<'_>, mapping: &Mapping, options: &Options) {
        let mut held = Vec::new();
        match mapping.covered(input, options, &mut held) {
            Ok(report) => {
                self.records += report.records;
                for finding in &report.findings {
                    *self.findings.entry(finding.code).or_default() += 1;
                }
                held.into_iter().for_each(|one| self.add(one));
            }
            Err(error) => self.fail(error.code),
        }
    }

    /// Fields: one is carried when it always was.
    pub fn of_fields(&self) -> Share {
        let one = |tally: &Tally| Share {
            carried: usize::from(tally.unread == 0 && tally.carried > 0),
            left: usize::from(tally.unread == 0 && tally.carried == 0),
            unread: usize::from(tally.unread > 0),
        };
        self.fields
            .values()
            .fold(Share::default(), |sum, tally| sum.with(one(tally)))
    }

    /// Single values.
    pub fn of_values(&self) -> Share {
        self.fields.values().fold(Share::default(), |sum, tally| {
            sum.with(Share {
                carried: tally.carried,
                left: tally.left,
                unread: tally.unread,
            })
        })
    }

    fn fail(&mut self, code: Code) {
        self.failed += 1;
        *self.findings.entry(code).or_default() += 1;
    }

    fn add(&mut self, held: Held) {
        let tally = self.fields.entry(held.field).or_default();
        match held.fate {
            Fate::Carried => tally.carried += held.count,
            Fate::LeftOnPurpose => tally.left += held.count,
            Fate::Unread => {
                tally.unread += held.count;
                if !held.kind.is_empty() {
                    *tally.unread_in.entry(held.kind).or_default() += held.count;
                }
            }
        }
    }
}

/// MSH-9.1, the type of a message.
pub(crate) fn kind_of(reader: Reader<'_>) -> String {
    trimmed(reader.header().field(9).component(1).text()).into_owned()
}
