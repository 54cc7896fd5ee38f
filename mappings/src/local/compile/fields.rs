//! Source fields, what a mapping knows beside them, and what `each:` goes through.

use std::collections::BTreeSet;

use renkei_core::Code;

use super::{At, Compiler, Place};
use crate::local::function;
use crate::local::grammar::Name;
use crate::local::problem::{Problem, Spot, full_width, nearest};
use crate::local::source::segments::FieldPath;
use crate::local::source::{Context, Each, Format, ItemPath, Path, tree};
use crate::local::yaml::Node;

/// HL7 v2.5 segments a mapping may name, beside Z-segments.
const SEGMENTS: &str = "MSH MSA MFI MFE EVN PID PD1 NK1 PV1 PV2 DB1 OBR OBX ORC NTE AL1 IAM DG1 DRG PR1 ROL GT1 IN1 \
IN2 IN3 RXE RXR RXC RXO RXD RXA RXG TQ1 TQ2 SPM SAC PRB GOL PTH VAR CTI BLG FT1 ODS ODT ORG TXA MRG NPU SCH RGS \
AIS AIG AIL AIP ARQ ERR QRD QRF QPD RCP DSP DSC FHS BHS BTS FTS ACC UB1 UB2 PDA CON STF PRA RF1 AUT PRD CTD IPC CM0";

impl Compiler<'_> {
    /// A source field, something the mapping knows, or a part of what `each:` is at.
    pub(super) fn path(&mut self, name: &Name, place: Place<'_>) -> Option<Path> {
        let spot = Self::spot(place.node, place.text, &name.at);
        let text = name.text.as_str();
        if text.starts_with('$') {
            let known = Context::NAMES.iter().find(|(known, _)| *known == text);
            if let Some((_, context)) = known {
                return Some(Path::Context(*context));
            }
            let problem = Problem::at(Code::MAP_FIELD, &spot, format!("nothing is named `{text}`"));
            self.problem(
                problem.did_you_mean(text, Context::NAMES.iter().map(|(known, _)| *known)),
            );
            return None;
        }
        let of_record = text
            .strip_prefix("./")
            .filter(|_| self.items.is_empty() && self.separator() == '/');
        if text.starts_with('.') && of_record.is_none() {
            return self.item_path(text, &spot);
        }
        let path = match &self.input.format {
            Format::Delimited(_) | Format::Sheet(_) | Format::Fixed(_) => {
                match self.columns.get(text) {
                    Some(column) => {
                        self.read_columns.insert(*column);
                        Some(Path::Column(*column))
                    }
                    None => {
                        self.no_field(text, &spot);
                        None
                    }
                }
            }
            Format::Json { .. } | Format::Xml { .. } => {
                self.tree_path(of_record.unwrap_or(text), &spot)
            }
            Format::Hl7v2 { .. } => self.field_path(text, &spot).map(Path::Field),
        }?;
        self.reads.insert(text.to_owned());
        self.read_fields.insert(text.to_owned());
        Some(path)
    }

    fn no_field(&mut self, text: &str, spot: &Spot) {
        let mut known: Vec<String> = self.columns.keys().cloned().collect();
        known.extend(self.fields.iter().flatten().cloned());
        known.sort_unstable();
        let problem = Problem::at(
            Code::MAP_FIELD,
            spot,
            format!("the source has no field `{text}`"),
        );
        let near = nearest(text, known.iter().map(String::as_str)).map(str::to_owned);
        let problem = match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if function::find(text).is_some() => {
                problem.help(format!("a function follows a value: `value | {text}`"))
            }
            None => problem.help(
                full_width(text)
                    .unwrap_or_else(|| format!("a fixed text stands in quotes: '{text}'")),
            ),
        };
        self.problem(problem);
    }

    fn separator(&self) -> char {
        match self.input.format {
            Format::Xml { .. } => '/',
            _ => '.',
        }
    }

    fn tree_path(&mut self, text: &str, spot: &Spot) -> Option<Path> {
        let separator = self.separator();
        let (whole, rest) = match text.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some(mut steps) = tree::steps(rest, separator) else {
            let says = format!(
                "`{text}` is no path: names joined by `{separator}`, with `[2]` or `[name='x']`"
            );
            self.problem(Problem::at(Code::MAP_FIELD, spot, says));
            return None;
        };
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let plain = names.join(&separator.to_string());
        if self.is_ocr {
            let (field, part) = match names.as_slice() {
                [field] => (*field, "text"),
                [field, "confidence"] => (*field, "confidence"),
                _ => (plain.as_str(), "text"),
            };
            if self
                .fields
                .as_ref()
                .is_some_and(|known| !known.contains(field))
            {
                self.no_field(field, spot);
                return None;
            }
            steps = ["fields", field, part]
                .into_iter()
                .map(|name| tree::Step {
                    name: name.to_owned(),
                    only: tree::Only::All,
                })
                .collect();
            return Some(Path::Tree { whole: true, steps });
        }
        let is_known = |known: &BTreeSet<String>| {
            let inside = |known: &String| {
                known
                    .strip_prefix(plain.as_str())
                    .is_some_and(|rest| rest.starts_with(separator))
            };
            known.contains(&plain) || known.contains(text) || known.iter().any(inside)
        };
        if self.fields.as_ref().is_some_and(|known| !is_known(known)) {
            self.no_field(&plain, spot);
            return None;
        }
        Some(Path::Tree { whole, steps })
    }

    fn field_path(&mut self, text: &str, spot: &Spot) -> Option<FieldPath> {
        let parsed = FieldPath::parse(text).filter(|path| self.knows_segment(&path.segment, spot));
        if parsed.is_none() && FieldPath::parse(text).is_none() {
            let says =
                format!("`{text}` is no HL7 field: `PID-5`, `PID-5.1`, `PID-3[2].1`, `OBX[2]-5`");
            let problem = Problem::at(Code::MAP_FIELD, spot, says);
            self.problem(problem.help(format!("a fixed text stands in quotes: '{text}'")));
        }
        parsed
    }

    fn knows_segment(&mut self, name: &str, spot: &Spot) -> bool {
        if name.starts_with('Z') || SEGMENTS.split_whitespace().any(|known| known == name) {
            return true;
        }
        let problem = Problem::at(
            Code::MAP_FIELD,
            spot,
            format!("HL7 v2.5 has no segment `{name}`"),
        );
        self.problem(problem.did_you_mean(name, SEGMENTS.split_whitespace()));
        false
    }

    fn item_path(&mut self, text: &str, spot: &Spot) -> Option<Path> {
        let rest = &text[1..];
        let Some(at) = self.items.last().copied() else {
            let says = format!(
                "`{text}` is a part of what `each:` is at, and there is no `each:` around it"
            );
            self.problem(Problem::at(Code::MAP_FIELD, spot, says));
            return None;
        };
        let path = match (at, rest) {
            (At::Node | At::Repetition | At::Text, "") => Some(ItemPath::Itself),
            (At::Node, rest) => {
                tree::steps(rest.trim_start_matches('/'), self.separator()).map(ItemPath::Tree)
            }
            (At::Segment, rest) => FieldPath::parts(rest).map(ItemPath::Field),
            (At::Repetition, rest) => FieldPath::parts(rest).and_then(|path| {
                let is_plain = path.repetition == 1 && path.subcomponent == 0;
                is_plain.then_some(ItemPath::Component(path.field, path.component))
            }),
            (At::Text, _) => None,
        };
        if path.is_none() {
            let says = format!("`{text}` is no part of what `each:` is at");
            self.problem(Problem::at(Code::MAP_FIELD, spot, says));
        }
        path.map(Path::Item)
    }

    /// What `each:` goes through, and what its body is at.
    pub(crate) fn each(&mut self, node: &Node) -> Option<(Each, At)> {
        let Some(text) = node.text() else {
            let says = format!(
                "a field that repeats is wanted here, this is {}",
                node.what()
            );
            self.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
            return None;
        };
        if let Some(entry) = text
            .strip_prefix("refs(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            let entry = entry.trim();
            if let Some(at) = self.entries.iter().position(|known| known == entry) {
                return Some((Each::Made(at), At::Text));
            }
            let problem = Problem::at(
                Code::MAP_ELEMENT,
                &node.spot,
                format!("no entry of `resources:` is named `{entry}`"),
            );
            let known = self.entries.clone();
            self.problem(problem.did_you_mean(entry, known.iter().map(String::as_str)));
            return None;
        }
        let separator = self.separator();
        match &self.input.format {
            Format::Json { .. } | Format::Xml { .. } => {
                let (rest, item) = match text.strip_prefix('.') {
                    Some(rest) => (rest.trim_start_matches('/'), true),
                    None => (text, false),
                };
                if item {
                    if self.items.last() == Some(&At::Node)
                        && let Some(steps) = tree::steps(rest, separator)
                    {
                        return Some((Each::ItemTree(steps), At::Node));
                    }
                    let says = format!("`{text}` is no part of what `each:` is at");
                    self.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
                    return None;
                }
                let Path::Tree { whole, steps } = self.tree_path(text, &node.spot)? else {
                    return None;
                };
                self.read_fields.insert(text.to_owned());
                Some((Each::Tree { whole, steps }, At::Node))
            }
            Format::Hl7v2 { .. } => {
                if let Some(rest) = text.strip_prefix('.') {
                    let path =
                        FieldPath::parts(rest).filter(|_| self.items.last() == Some(&At::Segment));
                    if let Some(path) = path {
                        return Some((Each::Repetitions(path), At::Repetition));
                    }
                } else if text.len() == 3 && !text.contains('-') {
                    return self
                        .knows_segment(text, &node.spot)
                        .then(|| (Each::Segments(text.to_owned()), At::Segment));
                } else if let Some(path) = self.field_path(text, &node.spot) {
                    self.read_fields.insert(text.to_owned());
                    return Some((Each::Repetitions(path), At::Repetition));
                } else {
                    return None;
                }
                let says = format!("`{text}` is no segment or field that repeats");
                self.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
                None
            }
            _ => {
                let says = "rows have no parts that repeat; `each: row` stands beside a resource, `each: refs(name)` inside one";
                self.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
                None
            }
        }
    }
}
