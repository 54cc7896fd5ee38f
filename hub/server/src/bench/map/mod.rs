//! `bench map`: what the mapping language costs. The same rows of a laboratory through the shipped
//! `builtin/lab-csv` and through the same mapping written in Rust ([`renkei_mappings::local::twin`]): the same
//! bytes in, the same drafts out, which is compared before anything is measured.
//!
//! Beside the ratio: what one leaf costs, by function; a file of 100,000 rows on one core against reading,
//! decoding and splitting it alone; and the same file through a folder into the ledger of a hub ([`whole`]).

mod rows;
mod whole;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use renkei_core::{Draft, FacilityId, Finding, Mapper, Message, MessageId, Meta, SourceName};
use renkei_mappings::Options;
use renkei_mappings::local::{Input, Library as _, LocalMapper, Mapping, Shipped, twin};

use super::walk::megabytes;
use super::{Failure, Report, float, median, thread_cpu};
use crate::load::district::HOSPITAL;
use crate::load::watch;

/// Rows of the file.
pub const ROWS: usize = 100_000;
/// Patients of one turn of the comparison.
const TURN: usize = 25;
/// Rows and leaves of the small mappings that show what one leaf costs.
const LEAF_ROWS: usize = 500;
const LEAVES: usize = 40;

/// Leaves as mappings have them, over a column `x` of the kind the value shows.
const KINDS: [(&str, &str, &str); 8] = [
    ("path", "x", "架空検査センター"),
    ("choice", "y ?? x", "血清"),
    ("narrow", "x | narrow", "１２３４"),
    ("table", "x | table(sex)", "女"),
    ("datetime", "x | datetime('07:00')", "2025/01/11"),
    (
        "coding",
        "x | coding('JC10', 'アルブミン')",
        "3A015000002327101",
    ),
    ("result", "x | quantity('mg/dL')", "3.10"),
    ("range", "x | range('mg/dL')", "3.8-5.2"),
];

/// How to measure.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long the comparison takes, roughly.
    pub seconds: f64,
    /// Rows of the file.
    pub rows: usize,
    /// The program that is the hub; `None` leaves out the way into a ledger.
    pub program: Option<PathBuf>,
}

/// Both ways to read a part of the file, and what they read.
struct Case {
    language: LocalMapper,
    rust: twin::LabCsv,
    parts: Vec<Message>,
    /// Values in the JSON of all bodies.
    leaves: usize,
    rows: usize,
}

/// Measures, with its files in `folder`.
///
/// # Errors
/// [`Failure`] when a side cannot be built, both do not give the same, or the hub ends.
pub async fn run(config: &Config, folder: &Path) -> Result<Report, Failure> {
    let mut report = Report {
        bench: "map",
        ratio: 0.0,
        ratio_is: "CPU of rows of a laboratory -> drafts by builtin/lab-csv, over CPU of the same mapping in Rust",
        target: "<= 2",
        conditions: vec![
            format!(
                "{} rows of 25 columns, CP932, {} rows a patient; a leaf is one value in the JSON that is made",
                config.rows,
                rows::PATIENT_ROWS
            ),
            "thread CPU clock, turns of both sides interleaved, median of the turns; what a leaf of one kind costs: \
             40 of them in a row less one"
                .to_owned(),
        ],
        figures: Vec::new(),
    };
    let path = folder.join("results.csv");
    std::fs::write(&path, rows::file(config.rows))?;
    let mut case = one_core(&mut report, &path, config.rows)?;
    case.compare()?;
    let (language, rust, ratio) = case.measure(Duration::from_secs_f64(config.seconds * 0.6));
    report.ratio = ratio;
    let per_leaf = |nanos: f64| nanos * float(case.rows) / float(case.leaves);
    report.add("map.row", language, "ns/row");
    report.add("map.row_in_rust", rust, "ns/row");
    report.add(
        "map.leaves",
        float(case.leaves) / float(case.rows),
        "leaves/row",
    );
    report.add("map.leaf", per_leaf(language), "ns/leaf");
    report.add("map.leaf_in_rust", per_leaf(rust), "ns/leaf");
    for (name, expression, value) in KINDS {
        let share = Duration::from_secs_f64(config.seconds * 0.4 / float(KINDS.len()));
        let found = leaf(expression, value, share)?;
        report.add(format!("map.leaf.{name}"), found, "ns/leaf");
    }
    if let Some(program) = &config.program {
        whole::run(&mut report, program, &path, config.rows, folder).await?;
    }
    Ok(report)
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::Message(error.to_string())
}

fn options() -> Result<Options, Failure> {
    Ok(Options::new(FacilityId::new(HOSPITAL).map_err(unusable)?))
}

/// The file on one core: what nobody can save, then cutting and mapping all of it.
fn one_core(report: &mut Report, path: &Path, rows: usize) -> Result<Case, Failure> {
    let shipped = Shipped.mapping("builtin/lab-csv").unwrap_or_default();
    let mapping = Mapping::load("lab-csv", &shipped, &Shipped).map_err(unusable)?;
    let no_table = || unusable("a table of builtin/lab-csv is missing");
    let mut case = Case {
        language: LocalMapper::new(mapping.clone(), options()?).map_err(unusable)?,
        rust: twin::LabCsv::new(options()?, &Shipped).ok_or_else(no_table)?,
        parts: Vec::new(),
        leaves: 0,
        rows,
    };
    let (mut limits, mut cuts, mut alls) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..3 {
        let before = thread_cpu();
        let found = split_rows(&std::fs::read(path)?);
        limits.push((thread_cpu() - before).as_secs_f64());
        if found != rows + 1 {
            return Err(Failure::Unequal(format!(
                "{found} rows in the file, not {rows} and a header"
            )));
        }
        watch::forget_peak();
        let idle = watch::peak(std::process::id()).unwrap_or(0);
        let before = thread_cpu();
        let body = Bytes::from(std::fs::read(path)?);
        case.parts = parts(&mapping, &body)?;
        cuts.push((thread_cpu() - before).as_secs_f64());
        for message in &case.parts {
            black_box(case.language.map(message).map_err(unusable)?);
        }
        alls.push((thread_cpu() - before).as_secs_f64());
        memory = watch::peak(std::process::id())
            .unwrap_or(0)
            .saturating_sub(idle);
    }
    let (limit, cut, all) = (median(&mut limits), median(&mut cuts), median(&mut alls));
    let size = std::fs::metadata(path)?.len();
    report.add("map.file", megabytes(size), "MB");
    report.add("map.limit", float(rows) / limit, "rows/s");
    report.add("map.cut", float(rows) / cut, "rows/s");
    report.add("map.cut_and_map", float(rows) / all, "rows/s");
    report.add("map.over_limit", all / limit, "x");
    report.add("map.memory", megabytes(memory), "MB");
    Ok(case)
}

/// Decodes a file and counts its rows: the part of reading it that nobody can save.
fn split_rows(bytes: &[u8]) -> usize {
    let (text, _) = encoding_rs::SHIFT_JIS.decode_without_bom_handling(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = csv::ByteRecord::new();
    let mut count = 0;
    while matches!(reader.read_byte_record(&mut record), Ok(true)) {
        black_box(&record);
        count += 1;
    }
    count
}

/// The file cut into a message per patient, as a folder hands it to the inbox.
fn parts(mapping: &Mapping, body: &Bytes) -> Result<Vec<Message>, Failure> {
    let facility = options()?.facility;
    let received_at = Timestamp::now();
    let input = Input {
        bytes: body,
        received_at,
        file: "results.csv",
    };
    let cut = mapping.split(input, &options()?).map_err(unusable)?;
    let message = |part: renkei_mappings::local::Part| Message {
        id: MessageId(1),
        source: SourceName::new("bench"),
        facility: facility.clone(),
        body: part.body.into(),
        meta: Meta::default(),
        received_at,
    };
    Ok(cut.parts.into_iter().map(message).collect())
}

impl Case {
    /// Refuses to measure two sides that do not give the same.
    fn compare(&mut self) -> Result<(), Failure> {
        self.leaves = 0;
        for (number, message) in self.parts.iter().enumerate() {
            let language = self.language.map(message).map_err(unusable)?;
            let rust = self.rust.map(message).map_err(unusable)?;
            if let Some(what) = difference(&language, &rust) {
                return Err(Failure::Unequal(format!("{what} of patient {number}")));
            }
            let bodies = language.resources.iter();
            self.leaves += bodies
                .map(|resource| {
                    serde_json::from_str(resource.body.expose()).map(|body| leaves(&body))
                })
                .sum::<Result<usize, _>>()
                .map_err(unusable)?;
        }
        Ok(())
    }

    /// Nanoseconds of CPU per row: by the language, in Rust, and the median of the turns' ratios.
    fn measure(&self, share: Duration) -> (f64, f64, f64) {
        let (mut language, mut rust, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let until = Instant::now() + share;
        let mut turns = self.parts.chunks(TURN).cycle();
        while ratios.len() < 4 || Instant::now() < until {
            let Some(messages) = turns.next() else {
                break;
            };
            let first = turn(&self.language, messages);
            let second = turn(&self.rust, messages);
            language.push(first);
            rust.push(second);
            ratios.push(first / second);
        }
        (
            median(&mut language),
            median(&mut rust),
            median(&mut ratios),
        )
    }
}

/// Nanoseconds of CPU per row.
fn turn(mapper: &dyn Mapper, messages: &[Message]) -> f64 {
    let before = thread_cpu();
    for message in messages {
        let _draft = black_box(mapper.map(black_box(message)));
    }
    let rows = messages.len() * rows::PATIENT_ROWS;
    (thread_cpu() - before).as_secs_f64() * 1e9 / float(rows)
}

/// The first thing two drafts differ in.
fn difference(left: &Draft, right: &Draft) -> Option<&'static str> {
    let bodies = |draft: &Draft| {
        let resources = draft.resources.iter();
        let one = |resource: &renkei_core::DraftResource| {
            let settled = (
                resource.authority,
                resource.strength,
                resource.carry.clone(),
            );
            let said = (resource.source_time, resource.scope.clone());
            (
                resource.key.clone(),
                resource.body.expose().clone(),
                settled,
                said,
            )
        };
        resources.map(one).collect::<Vec<_>>()
    };
    let findings = |draft: &Draft| {
        let one = |finding: &Finding| (finding.at.clone(), finding.code);
        let mut all: Vec<_> = draft.findings.iter().map(one).collect();
        all.sort();
        all
    };
    let subject = |draft: &Draft| {
        let subject = draft.subject.clone();
        subject.map(|subject| (subject.local_id, subject.facts, subject.authority))
    };
    [
        (subject(left) == subject(right), "the subject"),
        (bodies(left) == bodies(right), "the bodies"),
        (left.items == right.items, "the items"),
        (findings(left) == findings(right), "the findings"),
        (
            left.withdrawals.len() == right.withdrawals.len(),
            "what is taken back",
        ),
        (left.unread == right.unread, "what is unread"),
        (left.hold == right.hold, "what is held"),
    ]
    .into_iter()
    .find_map(|(same, what)| (!same).then_some(what))
}

/// Values of a JSON document.
fn leaves(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Object(members) => members.values().map(leaves).sum(),
        serde_json::Value::Array(elements) => elements.iter().map(leaves).sum(),
        _ => 1,
    }
}

/// Nanoseconds of one leaf: rows with many of them, less rows with one.
fn leaf(expression: &str, value: &str, share: Duration) -> Result<f64, Failure> {
    let mapping = |count: usize| {
        let leaves: String = (0..count)
            .map(|number| format!("      l{number}: {expression}\n"))
            .collect();
        let text = format!(
            "map: leaves\nsource:\n  format: csv\n  columns: {{x: x, y: y}}\nrows:\n  - Row:\n{leaves}"
        );
        Mapping::load("leaves", &text, &Shipped).map_err(unusable)
    };
    let (one, many) = (mapping(1)?, mapping(LEAVES + 1)?);
    let file = format!("x,y\n{}", format!("{value},\n").repeat(LEAF_ROWS));
    let options = options()?;
    let input = Input {
        bytes: file.as_bytes(),
        received_at: Timestamp::now(),
        file: "leaves.csv",
    };
    let spent = |mapping: &Mapping| {
        let before = thread_cpu();
        let read = mapping.read(input, &options, &mut |piece| {
            black_box(piece);
        });
        black_box(read.map(|report| report.records)).map_err(unusable)?;
        Ok::<f64, Failure>((thread_cpu() - before).as_secs_f64() * 1e9)
    };
    let mut found = Vec::new();
    let until = Instant::now() + share;
    while found.len() < 3 || Instant::now() < until {
        let (few, all) = (spent(&one)?, spent(&many)?);
        found.push((all - few) / float(LEAVES * LEAF_ROWS));
    }
    Ok(median(&mut found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_sides_give_the_same_and_there_is_one_ratio() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            seconds: 0.2,
            rows: 50 * rows::PATIENT_ROWS,
            program: None,
        };
        let report = run(&config, folder.path()).await.unwrap();
        let lines = report.lines();
        let ratios = lines.iter().filter(|line| line.starts_with("ratio map "));
        assert_eq!(ratios.count(), 1, "{lines:#?}");
        let figure = |label: &str| {
            let mut figures = report.figures.iter();
            figures.find(|figure| figure.label == label).unwrap().value
        };
        assert!(figure("map.leaves") > 20.0 && figure("map.leaf") > 0.0);
        assert!(
            figure("map.over_limit") > 1.0,
            "nothing maps for less than reading alone"
        );
    }

    #[test]
    fn a_difference_is_seen() {
        let mut other = Draft::default();
        assert_eq!(difference(&Draft::default(), &other), None);
        other.unread.push("column 1".to_owned());
        assert_eq!(
            difference(&Draft::default(), &other),
            Some("what is unread")
        );
    }
}
