//! Reading bytes as records and fields: the part of a mapping that stands under `source:`.

use std::borrow::Cow;

use renkei_core::{Code, Finding, MapError, Severity};
use renkei_hl7v2::Repetition;

pub(crate) mod decode;
pub(crate) mod fixed;
pub(crate) mod json;
pub(crate) mod odd;
pub(crate) mod rows;
pub(crate) mod segments;
pub(crate) mod sheet;
pub(crate) mod tree;
pub(crate) mod xml;

use decode::{Encoding, State};
use rows::Rows;
use segments::{FieldPath, Segments};
use tree::{Step, Tree};

/// The input is not of this format at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) MapError);

pub(crate) fn refuse(at: &str) -> Unusable {
    Unusable(MapError {
        code: Code::MAP_NOT_THIS_FORMAT,
        at: at.to_owned(),
    })
}

/// What the input is.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Delimited(rows::Delimited),
    Fixed(fixed::Fixed),
    Sheet(sheet::Sheet),
    Json {
        records: Option<Vec<Step>>,
    },
    Xml {
        records: Option<Vec<Step>>,
    },
    /// Records by a segment, or the message as one.
    Hl7v2 {
        records: Option<String>,
    },
}

/// The compiled `source:` of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) format: Format,
    pub(crate) encoding: Encoding,
}

impl Input {
    /// The names of the columns, for formats that have some.
    pub(crate) fn columns(&self) -> Vec<Option<String>> {
        match &self.format {
            Format::Delimited(layout) => layout
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            Format::Sheet(sheet) => sheet
                .layout
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            Format::Fixed(fixed) => fixed.columns().into_iter().map(Some).collect(),
            _ => Vec::new(),
        }
    }
}

/// A path as a mapping reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Path {
    Column(usize),
    /// From the record, or from the document for paths that begin with `/`.
    Tree {
        whole: bool,
        steps: Vec<Step>,
    },
    Field(FieldPath),
    /// `.a.b`, `.5.1`: of the thing `each:` is at.
    Item(ItemPath),
    Context(Context),
}

/// What follows the point of a path inside `each:`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ItemPath {
    Itself,
    Tree(Vec<Step>),
    /// Of a segment.
    Field(FieldPath),
    /// Component and subcomponent of a repetition.
    Component(usize, usize),
}

/// What a mapping knows beside the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// The facility that speaks, ten digits.
    Facility,
    /// The patient's number, padded as configured.
    LocalId,
    /// `Patient/…` of the subject.
    Patient,
    /// The id of the resource being made.
    Id,
    /// Number of the row, record or segment.
    Row,
    /// When the input was received.
    ReceivedAt,
    /// The time of the draft (`time:`, else when it was received).
    Time,
    /// The name of the file.
    File,
}

impl Context {
    /// Names in a mapping.
    pub(crate) const NAMES: &'static [(&'static str, Self)] = &[
        ("$facility", Self::Facility),
        ("$local_id", Self::LocalId),
        ("$patient", Self::Patient),
        ("$id", Self::Id),
        ("$row", Self::Row),
        ("$received_at", Self::ReceivedAt),
        ("$time", Self::Time),
        ("$file", Self::File),
    ];
}

/// What `each:` goes through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Each {
    Tree {
        whole: bool,
        steps: Vec<Step>,
    },
    ItemTree(Vec<Step>),
    /// Segments of a name within the record.
    Segments(String),
    /// Repetitions of a field.
    Repetitions(FieldPath),
    /// What an entry of `resources:` has made.
    Made(usize),
}

/// The thing `each:` is at.
#[derive(Debug, Clone)]
pub(crate) enum Item<'a> {
    Node(u32),
    Segment(usize),
    Repetition(Repetition<'a>),
    Text(Cow<'a, str>),
}

/// An input that was read.
pub(crate) enum Doc<'a> {
    Rows(Rows),
    Tree {
        tree: Tree<'a>,
        records: Vec<u32>,
        separator: char,
    },
    Segments(Segments<'a>),
}

impl<'a> Doc<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Tree { records, .. } => records.len(),
            Self::Segments(segments) => segments.len(),
        }
    }

    /// `row 3`, `record 2`, `OBX[2]`.
    pub(crate) fn place(&self, record: usize) -> String {
        match self {
            Self::Rows(rows) => format!("row {}", rows.line(record)),
            Self::Tree { .. } => format!("record {}", record + 1),
            Self::Segments(segments) => segments.place(record),
        }
    }

    /// The text of a path; empty when there is none. Context paths are answered by the caller.
    pub(crate) fn get<'d>(
        &'d self,
        record: usize,
        item: Option<&Item<'d>>,
        path: &Path,
    ) -> Cow<'d, str>
    where
        'a: 'd,
    {
        match (self, path) {
            (Self::Rows(rows), Path::Column(column)) => Cow::Borrowed(rows.cell(record, *column)),
            (Self::Tree { tree, records, .. }, Path::Tree { whole, steps }) => {
                let from = if *whole {
                    0
                } else {
                    records.get(record).copied().unwrap_or(0)
                };
                Cow::Borrowed(tree.get(from, steps))
            }
            (Self::Segments(segments), Path::Field(field)) => segments
                .segment(record, &field.segment, field.occurrence)
                .map_or(Cow::Borrowed(""), |segment| field.of(segment)),
            (_, Path::Item(path)) => match (self, item, path) {
                (Self::Tree { tree, .. }, Some(Item::Node(node)), ItemPath::Tree(steps)) => {
                    Cow::Borrowed(tree.get(*node, steps))
                }
                (Self::Tree { tree, .. }, Some(Item::Node(node)), ItemPath::Itself) => {
                    Cow::Borrowed(tree.text(*node))
                }
                (Self::Segments(segments), Some(Item::Segment(at)), ItemPath::Field(field)) => {
                    segments
                        .at(*at)
                        .map_or(Cow::Borrowed(""), |segment| field.of(segment))
                }
                (_, Some(Item::Repetition(repetition)), ItemPath::Component(component, sub)) => {
                    segments::part(*repetition, *component, *sub)
                }
                (_, Some(Item::Repetition(repetition)), ItemPath::Itself) => repetition.text(),
                (_, Some(Item::Text(text)), ItemPath::Itself) => text.clone(),
                _ => Cow::Borrowed(""),
            },
            _ => Cow::Borrowed(""),
        }
    }

    /// The things an `each:` goes through; made references are answered by the caller.
    pub(crate) fn items<'d>(
        &'d self,
        record: usize,
        item: Option<&Item<'d>>,
        each: &Each,
    ) -> Vec<Item<'d>>
    where
        'a: 'd,
    {
        match (self, each) {
            (Self::Tree { tree, records, .. }, Each::Tree { whole, steps }) => {
                let from = if *whole {
                    0
                } else {
                    records.get(record).copied().unwrap_or(0)
                };
                tree.all(from, steps).into_iter().map(Item::Node).collect()
            }
            (Self::Tree { tree, .. }, Each::ItemTree(steps)) => match item {
                Some(Item::Node(node)) => {
                    tree.all(*node, steps).into_iter().map(Item::Node).collect()
                }
                _ => Vec::new(),
            },
            (Self::Segments(segments), Each::Segments(name)) => segments
                .segments(record, name)
                .into_iter()
                .map(Item::Segment)
                .collect(),
            (Self::Segments(segments), Each::Repetitions(path)) => {
                let segment = if path.segment.is_empty() {
                    match item {
                        Some(Item::Segment(at)) => segments.at(*at),
                        _ => None,
                    }
                } else {
                    segments.segment(record, &path.segment, path.occurrence)
                };
                let field = segment
                    .map(|segment| segment.field(path.field))
                    .filter(|field| field.has_value());
                field.map_or_else(Vec::new, |field| {
                    field.repetitions().map(Item::Repetition).collect()
                })
            }
            _ => Vec::new(),
        }
    }
}

impl Input {
    /// Reads an input that is not HL7 v2.
    pub(crate) fn read<'a>(
        &self,
        bytes: &'a [u8],
        text: &'a mut String,
        findings: &mut Vec<Finding>,
    ) -> Result<Doc<'a>, Unusable> {
        let tree = |records: &Option<Vec<Step>>, tree: Option<Tree<'a>>, separator: char| {
            let tree = tree.ok_or_else(|| refuse("document"))?;
            let records = match records {
                Some(steps) => tree.all(0, steps),
                None => vec![0],
            };
            Ok(Doc::Tree {
                tree,
                records,
                separator,
            })
        };
        match &self.format {
            Format::Delimited(layout) => layout.read(bytes, self.encoding, findings).map(Doc::Rows),
            Format::Fixed(fixed) => fixed.read(bytes, self.encoding, findings).map(Doc::Rows),
            Format::Sheet(sheet) => sheet.read(bytes, findings).map(Doc::Rows),
            Format::Json { records } => {
                decode_into(bytes, self.encoding, text, findings);
                tree(records, json::parse(text), '.')
            }
            Format::Xml { records } => {
                decode_into(bytes, self.encoding_of_xml(bytes), text, findings);
                tree(records, xml::parse(text), '/')
            }
            Format::Hl7v2 { .. } => Err(refuse("document")),
        }
    }

    /// The text of an XML document.
    pub(crate) fn text_of_xml<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        decode::text(bytes, self.encoding_of_xml(bytes)).0
    }

    /// What the mapping says, else the document itself.
    fn encoding_of_xml(&self, bytes: &[u8]) -> Encoding {
        match self.encoding {
            Encoding::Auto => xml_encoding(bytes),
            said => said,
        }
    }
}

fn decode_into(bytes: &[u8], said: Encoding, text: &mut String, findings: &mut Vec<Finding>) {
    let (decoded, state) = decode::text(bytes, said);
    *text = decoded.into_owned();
    let code = match state {
        State::Clean => return,
        State::Other => Code::CHARSET_MISMATCH,
        State::Broken => Code::CHARSET_UNDECODABLE,
    };
    findings.push(Finding::new(code, Severity::Warning, "document"));
}

/// What an XML declaration says about the encoding.
fn xml_encoding(bytes: &[u8]) -> Encoding {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_ascii_lowercase();
    let declared = head
        .split_once("encoding=")
        .and_then(|(_, rest)| rest.split(['"', '\'']).nth(1));
    match declared {
        Some("shift_jis" | "windows-31j" | "ms932" | "cp932" | "sjis") => Encoding::Cp932,
        Some("euc-jp") => Encoding::EucJp,
        Some("iso-2022-jp") => Encoding::Iso2022Jp,
        _ => Encoding::Auto,
    }
}
