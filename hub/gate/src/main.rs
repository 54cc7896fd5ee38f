//! `renkei-gate FILE.ndjson…`: checks files with one resource or collection Bundle per line.
//!
//! Every difference is one line `file:line ResourceType/id path kind` on stdout, then a final count. Exit 0 when
//! nothing differs, 65 when something does or is not FHIR, 64 without arguments, 66 when a file cannot be read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;

use renkei_gate::round_trip;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: renkei-gate FILE.ndjson...");
        return ExitCode::from(64);
    }
    let mut report = Report {
        out: io::stdout().lock(),
        resources: 0,
        differences: 0,
    };
    for file in &files {
        if let Err(error) = check_file(file, &mut report) {
            eprintln!("renkei-gate: {file}: {error}");
            return ExitCode::from(66);
        }
    }
    let Report {
        mut out,
        resources,
        differences,
    } = report;
    if writeln!(out, "{resources} resources, {differences} differences").is_err() {
        return ExitCode::from(70);
    }
    ExitCode::from(if differences == 0 { 0 } else { 65 })
}

struct Report<W> {
    out: W,
    resources: usize,
    differences: usize,
}

impl<W: Write> Report<W> {
    fn line(&mut self, place: &str, name: &str, what: &str) -> io::Result<()> {
        self.differences += 1;
        writeln!(self.out, "{place} {name} {what}")
    }
}

fn check_file<W: Write>(file: &str, report: &mut Report<W>) -> io::Result<()> {
    for (index, line) in BufReader::new(File::open(file)?).lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            check_line(&format!("{file}:{}", index + 1), &line, report)?;
        }
    }
    Ok(())
}

/// The entries of a Bundle, each as its own text.
#[derive(Deserialize)]
struct Entries<'a> {
    #[serde(borrow)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

/// A Bundle is checked entry by entry, so that one refused resource does not hide the others.
fn check_line<W: Write>(place: &str, line: &str, report: &mut Report<W>) -> io::Result<()> {
    let mut envelope = serde_json::from_str::<Value>(line).unwrap_or_default();
    if envelope["resourceType"] != "Bundle" {
        return check_resource(place, line, report);
    }
    let Ok(Entries { entry }) = serde_json::from_str(line) else {
        return check_resource(place, line, report);
    };
    for resource in entry.iter().filter_map(|entry| entry.resource) {
        check_resource(place, resource.get(), report)?;
    }
    for entry in envelope["entry"].as_array_mut().into_iter().flatten() {
        entry
            .as_object_mut()
            .and_then(|entry| entry.shift_remove("resource"));
    }
    check_resource(place, &envelope.to_string(), report)
}

fn check_resource<W: Write>(place: &str, json: &str, report: &mut Report<W>) -> io::Result<()> {
    report.resources += 1;
    let name = name_of(json);
    match round_trip(json) {
        Ok(differences) => {
            for difference in differences {
                report.line(
                    place,
                    &name,
                    &format!("{} {}", difference.path, difference.kind),
                )?;
            }
            Ok(())
        }
        Err(error) => report.line(place, &name, &format!("- {error}")),
    }
}

fn name_of(json: &str) -> String {
    let resource = serde_json::from_str::<Value>(json).unwrap_or_default();
    let part = |name: &str| resource[name].as_str().unwrap_or("-").to_owned();
    format!("{}/{}", part("resourceType"), part("id"))
}
