//! `source:` of a mapping: which bytes, which fields.

use std::collections::BTreeSet;

use renkei_core::Code;

use super::compile::Compiler;
use super::grammar;
use super::load::{SUBJECT, entries, list};
use super::problem::{Problem, Spot};
use super::source::decode::Encoding;
use super::source::fixed::{Field, Fixed, Join, RecordKind};
use super::source::rows::{Column, Delimited};
use super::source::sheet::Sheet;
use super::source::tree::{self, Step};
use super::source::{Format, Input};
use super::table::Table;
use super::yaml::{Key, Kind, Node};

pub(super) const FORMATS: &[&str] = &[
    "csv", "tsv", "xlsx", "fixed", "json", "xml", "hl7v2", "ocr", "fhir",
];

/// Reads `source:` into the compiler; `None` when nothing can be said about its fields.
pub(crate) fn read(
    compiler: &mut Compiler<'_>,
    node: Option<&Node>,
    builtin: Option<&'static str>,
    root: &Spot,
) -> Option<()> {
    let Some(node) = node else {
        if builtin.is_some() {
            compiler.input.format = Format::Hl7v2 { records: None };
            return Some(());
        }
        compiler.problem(Problem::at(
            Code::MAP_KEY,
            root,
            "`source:` is missing: what the input is",
        ));
        return None;
    };
    let format = match node.get("format").and_then(Node::text) {
        Some(format) if FORMATS.contains(&format) => format,
        None if builtin.is_some() => "hl7v2",
        format => {
            let spot = node.get("format").map_or(&node.spot, |node| &node.spot);
            let says = format!("`format:` is one of {}", FORMATS.join(", "));
            let problem = Problem::at(Code::MAP_KEY, spot, says);
            compiler.problem(problem.did_you_mean(format.unwrap_or(""), FORMATS.iter().copied()));
            return None;
        }
    };
    let own: &[&str] = match format {
        "csv" | "tsv" => &["header", "match", "ragged", "columns", "delimiter"],
        "xlsx" => &["sheet", "header", "match", "columns"],
        "fixed" => &["length", "layout", "rows", "join", "columns"],
        "json" | "xml" | "fhir" => &["records", "fields"],
        "ocr" => &["fields"],
        _ => &["records"],
    };
    let known: Vec<&str> = ["format", "encoding"].iter().chain(own).copied().collect();
    known_keys(compiler, node, &known);
    compiler.input.encoding = encoding(compiler, node.get("encoding"));
    let format = match format {
        "csv" | "tsv" => Format::Delimited(delimited(compiler, node, format)?),
        "xlsx" => Format::Sheet(Sheet {
            name: node.get("sheet").and_then(Node::text).map(str::to_owned),
            layout: Delimited {
                ragged: true,
                ..delimited(compiler, node, format)?
            },
        }),
        "fixed" => Format::Fixed(fixed(compiler, node)?),
        "xml" => Format::Xml {
            records: records(compiler, node, '/')?,
        },
        "json" | "fhir" | "ocr" => {
            compiler.is_ocr = format == "ocr";
            Format::Json {
                records: records(compiler, node, '.')?,
            }
        }
        _ => Format::Hl7v2 {
            records: node.get("records").and_then(Node::text).map(str::to_owned),
        },
    };
    if let Some(fields) = node.get("fields") {
        let fields: BTreeSet<String> = list(Some(fields))
            .iter()
            .filter_map(Node::text)
            .map(str::to_owned)
            .collect();
        compiler.fields = Some(fields);
    }
    compiler.input = Input {
        format,
        encoding: compiler.input.encoding,
    };
    for (at, column) in compiler.input.columns().into_iter().enumerate() {
        compiler.columns.extend(column.map(|name| (name, at)));
    }
    if matches!(compiler.input.format, Format::Fixed(_)) {
        other_names(compiler, node.get("columns"));
    }
    Some(())
}

/// `columns:` of fixed records: other names for their fields, `検査日: O1.採取日`; an empty one is not sent.
fn other_names(compiler: &mut Compiler<'_>, node: Option<&Node>) {
    for (key, field) in node.map(entries).unwrap_or_default() {
        check_name(compiler, &key.text, &key.spot);
        let name = field.text().unwrap_or("");
        match compiler.columns.get(name).copied() {
            Some(at) => {
                compiler.columns.insert(key.text.clone(), at);
            }
            None if name.is_empty() => {
                compiler.columns.insert(key.text.clone(), NOT_SENT);
            }
            None => {
                let problem = Problem::at(
                    Code::MAP_FIELD,
                    &field.spot,
                    format!("the layout has no field `{name}`"),
                );
                let known: Vec<String> = compiler.columns.keys().cloned().collect();
                compiler.problem(problem.did_you_mean(name, known.iter().map(String::as_str)));
            }
        }
    }
}

/// A column no row has.
const NOT_SENT: usize = usize::MAX;

/// The entries of a map, with a problem for each key it does not have.
pub(crate) fn known_keys<'n>(
    compiler: &mut Compiler<'_>,
    node: &'n Node,
    known: &[&str],
) -> &'n [(Key, Node)] {
    let Kind::Map(all) = &node.kind else {
        let says = format!("a map of keys is wanted here, this is {}", node.what());
        compiler.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
        return &[];
    };
    for (key, _) in all
        .iter()
        .filter(|(key, _)| !known.contains(&key.text.as_str()))
    {
        let problem = Problem::at(
            Code::MAP_KEY,
            &key.spot,
            format!("there is no key `{}` here", key.text),
        );
        let inside = if known.contains(&"subject") {
            inside(&key.text)
        } else {
            None
        };
        compiler.problem(match inside {
            Some(above) => problem.help(format!(
                "it belongs under `{above}:`, two blanks further right"
            )),
            None => problem.did_you_mean(&key.text, known.iter().copied()),
        });
    }
    all
}

/// The key of the whole mapping a key belongs under.
fn inside(key: &str) -> Option<&'static str> {
    match key {
        key if SUBJECT.contains(&key) => Some("subject"),
        "format" | "encoding" | "columns" | "header" | "records" | "layout" | "fields" => {
            Some("source")
        }
        _ => None,
    }
}

fn encoding(compiler: &mut Compiler<'_>, node: Option<&Node>) -> Encoding {
    let Some(node) = node else {
        return Encoding::Auto;
    };
    let name = node.text().unwrap_or("").to_ascii_lowercase();
    if let Some((_, encoding)) = Encoding::NAMES.iter().find(|(known, _)| *known == name) {
        return *encoding;
    }
    let names: Vec<&str> = Encoding::NAMES.iter().map(|(name, _)| *name).collect();
    let problem = Problem::at(
        Code::MAP_KEY,
        &node.spot,
        format!("`encoding:` is one of {}", names.join(", ")),
    );
    compiler.problem(problem.did_you_mean(&name, names));
    Encoding::Auto
}

fn number(compiler: &mut Compiler<'_>, node: Option<&Node>, usual: usize, most: usize) -> usize {
    let Some(node) = node.filter(|node| !matches!(node.kind, Kind::Empty)) else {
        return usual;
    };
    match node.text().and_then(|text| text.parse().ok()) {
        Some(number) if number <= most => number,
        _ => {
            let says = format!("a whole number up to {most} is wanted here");
            compiler.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
            usual
        }
    }
}

fn one_of(compiler: &mut Compiler<'_>, node: Option<&Node>, words: &[&str]) -> usize {
    let Some(node) = node else {
        return 0;
    };
    let found = words.iter().position(|word| node.text() == Some(*word));
    found.unwrap_or_else(|| {
        let says = format!("one of `{}` is wanted here", words.join("`, `"));
        compiler.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
        0
    })
}

fn delimited(compiler: &mut Compiler<'_>, node: &Node, format: &str) -> Option<Delimited> {
    let header = number(compiler, node.get("header"), 1, 100);
    let by_name = header > 0 && one_of(compiler, node.get("match"), &["name", "position"]) == 0;
    let delimiter = match node.get("delimiter").and_then(Node::text) {
        None if format == "tsv" => b'\t',
        None => b',',
        Some("tab") => b'\t',
        // Bytes from `@` on also are second bytes of CP932.
        Some(text) if text.len() == 1 && text.as_bytes()[0] < b'@' => text.as_bytes()[0],
        Some(_) => {
            let spot = node.get("delimiter").map_or(&node.spot, |node| &node.spot);
            let says = "a delimiter is one sign before `@` in ASCII, such as `;`, or `tab`";
            compiler.problem(Problem::at(Code::MAP_KEY, spot, says));
            b','
        }
    };
    let Some(listed) = node.get("columns") else {
        compiler.problem(Problem::at(
            Code::MAP_KEY,
            &node.spot,
            "`columns:` is missing: the names of the columns",
        ));
        return None;
    };
    let mut columns = Vec::new();
    match &listed.kind {
        Kind::List(names) => {
            for name in names {
                columns.push(Column {
                    name: name.text().map(str::to_owned),
                    header: name.text().unwrap_or("").to_owned(),
                });
                check_name(compiler, name.text().unwrap_or("x"), &name.spot);
            }
        }
        Kind::Map(pairs) => {
            if !by_name {
                let says =
                    "columns by position are a list; names with their headers need `match: name`";
                compiler.problem(Problem::at(Code::MAP_KEY, &listed.spot, says));
            }
            for (key, header) in pairs {
                check_name(compiler, &key.text, &key.spot);
                columns.push(Column {
                    name: Some(key.text.clone()),
                    header: header.text().unwrap_or("").to_owned(),
                });
            }
        }
        _ => {
            let says =
                "`columns:` is a list of names, or a map of names and what the file calls them";
            compiler.problem(Problem::at(Code::MAP_KEY, &listed.spot, says));
            return None;
        }
    }
    for (at, column) in columns.iter().enumerate() {
        if column.name.is_some() && columns[..at].iter().any(|other| other.name == column.name) {
            let says = format!(
                "two columns are named `{}`",
                column.name.as_deref().unwrap_or("")
            );
            compiler.problem(Problem::at(Code::MAP_KEY, &listed.spot, says));
        }
    }
    Some(Delimited {
        delimiter,
        header,
        by_name,
        ragged: one_of(compiler, node.get("ragged"), &["false", "true"]) == 1,
        columns,
    })
}

fn check_name(compiler: &mut Compiler<'_>, name: &str, spot: &Spot) {
    if !grammar::is_expressible(name) {
        let says = format!("`{name}` cannot be written in an expression");
        let problem = Problem::at(Code::MAP_KEY, spot, says);
        compiler.problem(problem.help("give it a plain name: `columns: {結果値: '結果値(数値)'}`"));
    }
}

fn records(compiler: &mut Compiler<'_>, node: &Node, separator: char) -> Option<Option<Vec<Step>>> {
    let Some(records) = node.get("records") else {
        return Some(None);
    };
    let text = records.text().unwrap_or("");
    let steps = tree::steps(text.trim_start_matches('/'), separator);
    if steps.is_none() {
        let says = format!("a path to what repeats is wanted here: names joined by `{separator}`");
        compiler.problem(Problem::at(Code::MAP_KEY, &records.spot, says));
        return None;
    }
    Some(steps)
}

fn fixed(compiler: &mut Compiler<'_>, node: &Node) -> Option<Fixed> {
    let length = number(compiler, node.get("length"), 0, 100_000);
    if length == 0 {
        compiler.problem(Problem::at(
            Code::MAP_KEY,
            &node.spot,
            "`length:` is missing: the bytes of a record",
        ));
        return None;
    }
    let named = node.get("layout");
    let spot = named.map_or(&node.spot, |node| &node.spot);
    let name = named.and_then(Node::text).unwrap_or("");
    let Some(text) = compiler.library.table(name) else {
        let known = compiler.library.tables();
        let problem = Problem::at(
            Code::MAP_TABLE,
            spot,
            format!("no layout table is named `{name}`"),
        );
        compiler.problem(problem.did_you_mean(name, known.iter().map(String::as_str)));
        return None;
    };
    let kinds = match Table::parse(&text)
        .map_err(|error| error.to_string())
        .and_then(|table| kinds(&table, length))
    {
        Ok(kinds) => kinds,
        Err(says) => {
            compiler.problem(Problem::at(
                Code::MAP_TABLE,
                spot,
                format!("the layout `{name}`: {says}"),
            ));
            return None;
        }
    };
    let find = |compiler: &mut Compiler<'_>, name: &str, spot: &Spot| {
        let found = kinds.iter().position(|kind| kind.name == name);
        if found.is_none() {
            let problem = Problem::at(
                Code::MAP_FIELD,
                spot,
                format!("the layout has no record `{name}`"),
            );
            compiler
                .problem(problem.did_you_mean(name, kinds.iter().map(|kind| kind.name.as_str())));
        }
        found
    };
    let rows_node = node.get("rows");
    let rows = find(
        compiler,
        rows_node.and_then(Node::text).unwrap_or(""),
        rows_node.map_or(&node.spot, |node| &node.spot),
    )?;
    let mut joins = Vec::new();
    for (key, field) in node.get("join").map(entries).unwrap_or_default() {
        let kind = find(compiler, &key.text, &key.spot)?;
        let mut keys = Vec::new();
        let names = match &field.kind {
            Kind::List(names) => names.as_slice(),
            _ => std::slice::from_ref(field),
        };
        for node in names {
            let name = node.text().unwrap_or("");
            let place = |kind: usize| {
                let mut fields = kinds[kind].fields.iter();
                fields.position(|known| known.name == name)
            };
            if let (Some(theirs), Some(own)) = (place(kind), place(rows)) {
                keys.push((theirs, own));
                continue;
            }
            let says = format!(
                "`{name}` is no field of both `{}` and `{}`",
                key.text, kinds[rows].name
            );
            compiler.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
        }
        if keys.is_empty() && matches!(&field.kind, Kind::List(_)) {
            let says = "a field that both records have is wanted here";
            compiler.problem(Problem::at(Code::MAP_KEY, &field.spot, says));
        }
        joins.push(Join { kind, keys });
    }
    Some(Fixed {
        length,
        kinds,
        rows,
        joins,
    })
}

/// Record kinds from a layout table: `field,position,length,times,stride`, the field as `KIND.name`, the
/// position from 1.
fn kinds(table: &Table, length: usize) -> Result<Vec<RecordKind>, String> {
    let column = |name: &str| {
        table
            .column(name)
            .ok_or(format!("the column `{name}` is missing"))
    };
    let (position, size) = (column("position")?, column("length")?);
    let (times, stride) = (table.column("times"), table.column("stride"));
    let mut kinds: Vec<RecordKind> = Vec::new();
    for row in &table.rows {
        let number = |at: Option<usize>, usual: usize| -> Result<usize, String> {
            match at.map_or("", |at| row[at].as_str()) {
                "" => Ok(usual),
                text => text
                    .parse()
                    .map_err(|_| format!("`{text}` of `{}` is no number", row[0])),
            }
        };
        let (kind, name) = row[0]
            .split_once('.')
            .ok_or(format!("`{}` is not `RECORD.field`", row[0]))?;
        let (position, size) = (number(Some(position), 0)?, number(Some(size), 0)?);
        let (times, stride) = (number(times, 1)?, number(stride, size)?);
        let last = position
            .saturating_add(stride.saturating_mul(times.saturating_sub(1)))
            .saturating_add(size);
        if position == 0 || size == 0 || times == 0 || times > 1000 || last > length + 1 {
            return Err(format!("`{}` does not lie inside the record", row[0]));
        }
        let field = Field {
            name: name.to_owned(),
            start: position - 1,
            length: size,
            times,
            stride,
        };
        match kinds.iter_mut().find(|known| known.name == kind) {
            Some(known) => known.fields.push(field),
            None => kinds.push(RecordKind {
                name: kind.to_owned(),
                fields: vec![field],
            }),
        }
    }
    Ok(kinds)
}
