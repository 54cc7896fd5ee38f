//! A local mapping as a mapper, and laid over one in Rust.

use std::borrow::Cow;

use renkei_core::{
    BedRow, Code, Draft, Finding, MapError, Mapper, MapperId, Message, Sensitive, Severity,
};
use renkei_hl7v2::{Message as Hl7, decode, split_messages};

use super::draft::{self, Given, Group};
use super::plan::Entry;
use super::run::Run;
use super::source::segments::Segments;
use super::source::{Doc, json, tree};
use super::value::Out;
use super::{Input, Mapping, Piece, Report, element, joined};
use crate::Options;
use crate::reader::Reader;

/// A local mapping built for one source.
pub struct LocalMapper {
    mapping: Mapping,
    options: Options,
    below: Option<std::sync::Arc<dyn Mapper>>,
}

impl LocalMapper {
    /// A mapper of `mapping` for the source these options describe.
    ///
    /// # Errors
    /// When the options do not suit the mapping in Rust it lies over.
    pub fn new(mapping: Mapping, options: Options) -> Result<Self, crate::BuildError> {
        let below = match mapping.plan.builtin {
            Some(name) => Some(crate::build(name, options.clone())?),
            None => None,
        };
        Ok(Self {
            mapping,
            options,
            below,
        })
    }

    /// Reads an input as [`Mapping::read`] does, with the mapping in Rust below where there is one.
    ///
    /// # Errors
    /// When the bytes are not this format at all.
    pub fn read(&self, input: Input<'_>, give: &mut dyn FnMut(Piece)) -> Result<Report, MapError> {
        if self.below.is_none() {
            return self.mapping.read(input, &self.options, give);
        }
        let message = Message {
            id: renkei_core::MessageId(0),
            source: renkei_core::SourceName::new("map"),
            facility: self.options.facility.clone(),
            body: input.bytes.to_vec().into(),
            meta: renkei_core::Meta::default(),
            received_at: input.received_at,
        };
        let draft = self.map(&message)?;
        let report = Report {
            records: 1,
            findings: Vec::new(),
            unread: draft.unread.clone(),
        };
        give(Piece::Draft(Box::new(draft)));
        Ok(report)
    }

    fn over(
        &self,
        below: &dyn Mapper,
        message: &Message,
        given: &Given<'_>,
    ) -> Result<Draft, MapError> {
        let mut draft = below.map(message)?;
        let plan = &*self.mapping.plan;
        let Some(subject) = draft.subject.clone() else {
            return Ok(draft);
        };
        let records = None;
        let mut read = Vec::new();
        with_messages(&message.body, records, &mut |doc, _| {
            let group = Group {
                local_id: subject.local_id.expose().to_owned(),
                rows: (0..doc.len()).collect(),
            };
            let mut own = draft::make(plan, doc, given, &group);
            let mut run = Run::new(plan, doc, given.options, given.known());
            run.known.local_id = group.local_id;
            for patch in &plan.patches {
                apply(&mut run, patch, &mut draft);
            }
            own.findings.extend(run.take_findings());
            for resource in &mut own.resources {
                resource.source_time = draft
                    .resources
                    .first()
                    .map_or(resource.source_time, |first| first.source_time);
            }
            draft.resources.append(&mut own.resources);
            draft.withdrawals.append(&mut own.withdrawals);
            draft.items.append(&mut own.items);
            draft.findings.append(&mut own.findings);
            read.extend(self.mapping.unread(doc));
            Report::default()
        })?;
        draft.unread = still_unread(&draft.unread, &read);
        Ok(draft)
    }
}

/// What neither the mapping below nor the one above has read. A whole segment (`ZPI[1]`) of which the one above
/// read a part becomes the rest of its fields.
fn still_unread(below: &[String], above: &[String]) -> Vec<String> {
    let mut rest = Vec::new();
    for place in below {
        if above.contains(place) {
            rest.push(place.clone());
        } else if let Some((name, number)) = place.split_once('[').filter(|_| !place.contains('-'))
        {
            let first = format!("{name}-");
            let nth = format!("{name}[{number}-");
            let of_it = |other: &&String| {
                other.starts_with(&nth) || (number == "1]" && other.starts_with(&first))
            };
            rest.extend(above.iter().filter(of_it).cloned());
        }
    }
    rest
}

impl Mapper for LocalMapper {
    fn id(&self) -> MapperId {
        let options = self.options.hash();
        MapperId {
            name: "local",
            version: self.mapping.version(),
            config: format!(
                "{}.{}.{}",
                self.mapping.id(),
                self.mapping.hash(),
                options.get(..8).unwrap_or(&options)
            ),
        }
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        let path = message.meta.path.as_deref().unwrap_or("");
        let file = path.rsplit('/').next().unwrap_or("");
        if let Some(below) = &self.below {
            let given = Given {
                options: &self.options,
                received_at: message.received_at,
                file,
            };
            return self.over(&**below, message, &given);
        }
        let input = Input {
            bytes: &message.body,
            received_at: message.received_at,
            file,
        };
        let (mut drafts, mut beds, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        let report = self
            .mapping
            .read(input, &self.options, &mut |piece| match piece {
                Piece::Draft(draft) => drafts.push(*draft),
                Piece::Row { name, json, at } if name == "Bed" => match serde_json::from_str(&json)
                {
                    Ok(bed) => beds.push(BedRow { at, bed }),
                    // The shape is checked when the mapping is loaded; what is left is a number too long to be one.
                    Err(_) => odd.push(Finding::new(Code::MAP_BAD_NUMBER, Severity::Error, at)),
                },
                Piece::Row { .. } | Piece::Payload(_) => {}
            })?;
        let nobody = drafts.is_empty() && self.mapping.has_subject();
        let mut draft = joined(drafts, report)?;
        // Nothing could be read, and not because nothing was sent: a person looks at it.
        let mut errors = draft.findings.iter();
        draft.hold = errors
            .find(|found| nobody && found.severity == Severity::Error)
            .map(|found| found.code);
        draft.beds = beds;
        draft.findings.extend(odd);
        in_the_file(&mut draft.findings, &message.meta.places);
        Ok(draft)
    }
}

/// Says of findings about a part of a file where they stand in the file.
fn in_the_file(findings: &mut [Finding], places: &[(u32, u32)]) {
    if !places.is_empty() {
        for finding in findings {
            finding.at = place_in_the_file(&finding.at, places);
        }
    }
}

/// `row 3` of a part as the file counts it.
fn place_in_the_file(at: &str, places: &[(u32, u32)]) -> String {
    let translated = || {
        let (word, rest) = at.split_once(' ')?;
        let is_counted = matches!(word, "row" | "record");
        let digits = rest.len()
            - rest
                .trim_start_matches(|sign: char| sign.is_ascii_digit())
                .len();
        let number: u32 = rest.get(..digits)?.parse().ok().filter(|_| is_counted)?;
        let run = places.partition_point(|(own, _)| *own <= number);
        let (own, there) = places.get(run.checked_sub(1)?)?;
        Some(format!(
            "{word} {}{}",
            there + (number - own),
            &rest[digits..]
        ))
    };
    translated().unwrap_or_else(|| at.to_owned())
}

/// Decodes and splits HL7 v2 and hands over each message.
pub(crate) fn with_messages(
    bytes: &[u8],
    records: Option<&str>,
    take: &mut dyn FnMut(&Doc<'_>, Vec<Finding>) -> Report,
) -> Result<Report, MapError> {
    let decoded = decode(bytes);
    let mut whole = Report::default();
    let mut count = 0;
    for text in split_messages(&decoded.text) {
        let Ok(message) = Hl7::parse(text) else {
            continue;
        };
        count += 1;
        let marks = Reader::marks(&message);
        let doc = Doc::Segments(Segments::new(Reader::new(&message, &marks), records));
        let report = take(&doc, Vec::new());
        whole.records += report.records;
        whole.findings.extend(report.findings);
        whole.unread.extend(report.unread);
    }
    if count == 0 {
        return Err(MapError {
            code: Code::HL7_NO_MSH,
            at: "MSH".to_owned(),
        });
    }
    Ok(whole)
}

/// Changes the elements of every resource of a type.
fn apply<'a>(run: &mut Run<'a>, patch: &'a Entry, draft: &mut Draft) {
    if patch.when.as_ref().is_some_and(|when| !run.test(when)) {
        return;
    }
    let Some(members) = run.members(&patch.body) else {
        return;
    };
    for resource in &mut draft.resources {
        if Some(resource.key.kind) != patch.kind {
            continue;
        }
        let changed = json::parse(resource.body.expose()).map(|tree| {
            let mut out = out_of(&tree, 0);
            lay_over(&mut out, &members, patch.shape);
            out.to_json()
        });
        match changed {
            Some(body) => resource.body = Sensitive::new(body),
            None => run.find(Finding::new(Code::MAP_LIMIT, Severity::Error, "patch")),
        }
    }
}

/// Members of objects are laid over member by member, everything else is replaced.
fn lay_over<'a>(below: &mut Out<'a>, above: &[(Cow<'_, str>, Out<'_>)], shape: &str) {
    let Out::Object(members) = below else {
        return;
    };
    let shape = element::shape(shape);
    for (name, value) in above {
        let inner = shape
            .and_then(|shape| shape.find(name))
            .map_or("", |found| found.kind);
        // Another type of the same choice (`valueString` over `valueQuantity`) takes its place.
        let order = |name: &str| {
            shape
                .and_then(|shape| shape.find(name))
                .map(|found| found.order)
        };
        members.retain(|(known, _)| {
            known == name || order(known).is_none() || order(known) != order(name)
        });
        match (members.iter_mut().find(|(known, _)| known == name), value) {
            (Some((_, known @ Out::Object(_))), Out::Object(parts)) => {
                lay_over(known, parts, inner)
            }
            (Some((_, known)), value) => *known = owned(value),
            (None, value) => members.push((Cow::Owned(name.to_string()), owned(value))),
        }
    }
    if let Some(shape) = shape {
        members.sort_by_key(|(name, _)| match &**name {
            "resourceType" => 0,
            name => shape.find(name).map_or(u16::MAX, |found| found.order),
        });
    }
}

fn owned<'o>(out: &Out<'_>) -> Out<'o> {
    match out {
        Out::Text(text) => Out::Text(Cow::Owned(text.to_string())),
        Out::Bare(text) => Out::Bare(Cow::Owned(text.to_string())),
        Out::Object(members) => Out::Object(
            members
                .iter()
                .map(|(name, value)| (Cow::Owned(name.to_string()), owned(value)))
                .collect(),
        ),
        Out::List(values) => Out::List(values.iter().map(owned).collect()),
    }
}

/// A JSON document as it prints.
fn out_of<'o>(tree: &tree::Tree<'_>, node: u32) -> Out<'o> {
    match tree.shape(node) {
        tree::Form::Object => Out::Object(
            tree.members(node)
                .map(|(name, child)| (Cow::Owned(name.to_owned()), out_of(tree, child)))
                .collect(),
        ),
        tree::Form::List => Out::List(
            tree.members(node)
                .map(|(_, child)| out_of(tree, child))
                .collect(),
        ),
        tree::Form::Text => Out::Text(Cow::Owned(tree.raw(node).to_owned())),
        tree::Form::Bare => Out::Bare(Cow::Owned(tree.raw(node).to_owned())),
    }
}
