//! Local mappings: any text as a mapping, any bytes as an input. What must hold is said here, for `ops/fuzz`
//! and for the tests of the package, which try mutated samples in every run.

#![allow(
    dead_code,
    reason = "the fuzz targets and the tests each use a part of it"
)]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use renkei_core::{Draft, FacilityId, Mapper as _, Message, MessageId, Meta, SourceName};
use renkei_mappings::Options;
use renkei_mappings::local::{Input, Library as _, LocalMapper, Mapping, Piece, Report, Shipped};
use serde_json::Value;

/// Between a mapping and its input, where one piece of bytes is both.
pub(crate) const BETWEEN: &str = "\n%%%%\n";

/// Pieces that matter to the reader of mappings.
pub(crate) const MAPPING_WORDS: &[&str] = &[
    "|",
    "??",
    "(",
    ")",
    "'",
    "\n",
    "  ",
    "- ",
    ": ",
    "each: ",
    "when: ",
    "is: ",
    "not ",
    "some (",
    "refs(Observation)",
    "$patient",
    ".",
    "~",
    "[",
    "]",
    "{",
    "}",
    "*a",
    "&a",
    "| date",
    "| required",
    "| table(sex)",
    "extends: builtin/lab-csv\n",
    "value[x]: ",
    "結果",
    "\u{FEFF}",
    "\t",
    "\"",
    "#",
    "9999999999",
    "join('', ",
    "| pad(9999)",
    "records: a/b\n",
    "format: xml\n",
];

/// Pieces that matter to the readers of files.
pub(crate) const INPUT_WORDS: &[&str] = &[
    ",",
    "\"",
    "\r\n",
    "\n",
    "\u{FEFF}",
    "\0",
    "昭和",
    "元年",
    "99999999999999999999",
    "<",
    "(-)",
    "\x1a",
    "O1",
    "A1",
    "{",
    "}",
    "[",
    "]",
    "\\u0000",
    "1e999",
    "-",
    ".",
    "HIV",
    "20250230",
    "\t",
    "未満",
    "|",
    "^~\\&",
    "ZPI|",
];

/// What a source is configured with: a facility that does not exist.
pub(crate) fn options() -> Options {
    Options::new(FacilityId::new("1319999999").expect("ten digits"))
}

/// A text as a mapping: refused with what is wrong, or loaded, and its own tests run.
pub(crate) fn load(text: &str) -> Option<Mapping> {
    match Mapping::load("fuzzed.yaml", text, &Shipped) {
        Ok(mapping) => {
            drop(mapping.test(&Shipped));
            Some(mapping)
        }
        Err(problems) => {
            assert!(!problems.0.is_empty() && problems.0.len() <= 100);
            assert!(problems.to_string().len() < 200_000);
            None
        }
    }
}

/// Bytes through a mapping: refused, or pieces that are whole and speak of what they say; the same twice; and
/// a file that is cut by patient is cut into parts about that patient.
pub(crate) fn read(mapping: &Mapping, bytes: &[u8]) {
    let Ok(mapper) = LocalMapper::new(mapping.clone(), options()) else {
        return;
    };
    let input = Input {
        bytes,
        received_at: "2025-03-01T00:00:00Z".parse().expect("a time"),
        file: "",
    };
    let whole = || -> (Vec<Piece>, Option<Report>) {
        let mut pieces = Vec::new();
        let report = mapper.read(input, &mut |piece| pieces.push(piece));
        (pieces, report.ok())
    };
    let (first, report) = whole();
    for piece in &first {
        match piece {
            Piece::Draft(draft) => draft_holds(draft),
            Piece::Row { json, .. } | Piece::Payload(json) => {
                let value: Value = serde_json::from_str(json).expect("what is made is JSON");
                assert!(value.is_object() || matches!(piece, Piece::Payload(_)));
            }
        }
    }
    let (again, second) = whole();
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    assert_eq!(
        report.map(|report| report.unread),
        second.map(|report| report.unread)
    );
    if !mapping.has_subject() || mapping.reads_hl7() {
        return;
    }
    let Ok(cut) = mapping.split(input, &options()) else {
        return;
    };
    let mut parts = BTreeMap::new();
    for part in cut.parts {
        assert!(part.records > 0, "a part of nothing");
        assert!(part.body.len() <= 3 * bytes.len() * part.records + 16);
        let Ok(draft) = mapper.map(&message(part.body)) else {
            return;
        };
        let subject = draft.subject.as_ref().map(|subject| &subject.local_id);
        assert!(subject.is_none_or(|local_id| *local_id == part.local_id));
        take_bodies(&draft, &mut parts);
    }
    // Bytes of more than one reading may be read otherwise when most of them are gone.
    if bytes.is_ascii() {
        let mut all = BTreeMap::new();
        for piece in &first {
            if let Piece::Draft(draft) = piece {
                take_bodies(draft, &mut all);
            }
        }
        assert_eq!(parts, all, "parts say what the file says");
    }
}

fn take_bodies(draft: &Draft, bodies: &mut BTreeMap<String, String>) {
    for resource in &draft.resources {
        bodies.insert(resource.key.reference(), resource.body.expose().clone());
    }
}

fn message(body: Vec<u8>) -> Message {
    Message {
        id: MessageId(1),
        source: SourceName::new("fuzz"),
        facility: options().facility,
        body: body.into(),
        meta: Meta::default(),
        received_at: "2025-03-01T00:00:00Z".parse().expect("a time"),
    }
}

/// Resources are JSON under the id of their key, and whatever was odd has a place.
pub(crate) fn draft_holds(draft: &Draft) {
    for resource in &draft.resources {
        let body: Value = serde_json::from_str(resource.body.expose()).expect("a body is JSON");
        assert_eq!(body["id"], Value::from(resource.key.logical_id()));
        assert_eq!(
            body["resourceType"],
            Value::from(resource.key.kind.as_str())
        );
    }
    assert!(draft.findings.iter().all(|finding| !finding.at.is_empty()));
}

/// What an input of a mapping is, and so which target it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Fixed,
    Json,
    Xml,
    Hl7v2,
}

/// A mapping with a small input it reads.
pub(crate) struct Sample {
    pub(crate) form: Form,
    pub(crate) text: String,
    pub(crate) mapping: Mapping,
    pub(crate) input: Vec<u8>,
}

const OVERLAY: &str = "map: o\nextends: builtin/hl7v2\npatch:\n  - Patient: {managingOrganization.display: MSH-4}\n  - Observation: {note: {each: NTE, text: .3}}\n";
const SEGMENTS: &str = "map: s\nsource: {format: hl7v2, records: OBX}\nsubject: {local_id: PID-3}\nresources:\n  - each: row\n    key: [OBX-3, ZPI-1]\n    Observation: {status: 'final', code.text: OBX-3.2, note: {each: NTE, text: .3}, valueString: ZPI-4}\n";
const MESSAGE: &str = "MSH|^~\\&|SIM|HOSP|||20250131090000||ADT^A08^ADT_A01|1|P|2.5||||||UNICODE UTF-8\r\
EVN||20250131090000\rPID|1||0000123456^^^^PI||架空^京子^^^^^L^I~カクウ^キョウコ^^^^^L^P||19390215|F\rPV1|1|O\r\
OBX|1|ST|a^b||1\rNTE|1||x\rZPI|1|2|3|4\r";
const XML: &str = "map: x\nsource: {format: xml, records: a/b}\nsubject: {local_id: c/@d}\nresources:\n  - each: row\n    key: [c/@d]\n    Observation:\n      status: 'final'\n      code.text: c\n      note: {each: c, text: .}\n      valueQuantity.value: /a/e[@f='1'] | number\n";
const XML_ROWS: &str = "map: x\nsource: {format: xml, records: a/b}\nrows:\n  - Row:\n      x: c/@d\n      y: {each: c, is: .}\n      z: /a/e[@f='1'] | number\n";
const XML_INPUT: &str = "<?xml version='1.0' encoding='UTF-8'?><a xmlns:n='u'><b><c d='1'>x &amp; <![CDATA[y]]></c><n:c/></b><!-- z --><e f='1'>6.80</e></a>";
const JSON: &str = "map: j\nsource: {format: json, records: rows}\nsubject: {local_id: id}\nresources:\n  - each: row\n    key: [id, /at]\n    Observation: {status: 'final', code.text: name, note: {each: notes, text: .}}\n";
const JSON_INPUT: &str = "{\"at\":\"2025-01-31\",\"rows\":[{\"id\":\"1\",\"name\":\"a\\u3042\",\"notes\":[\"x\",1.50,null,{\"y\":[]}]},{\"id\":\"2\"}]}";

/// The mappings that are shipped with the input of their first test, and a few for what they do not use.
pub(crate) fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = Vec::new();
        for name in Shipped.mappings() {
            let text = Shipped.mapping(&name).expect("it is listed").into_owned();
            let form = match &*name {
                "builtin/bed-json" => Form::Json,
                "builtin/lab-256" | "builtin/lab-256-variant" => Form::Fixed,
                _ => Form::Csv,
            };
            // The input of the mapping's first test, in the encoding it is read in.
            let (_, after) = text.split_once("    input: |\n").expect("it has a test");
            let lines = after.lines().take_while(|line| line.starts_with("      "));
            let sample: String = lines.map(|line| format!("{}\n", &line[6..])).collect();
            let input = if text.contains("encoding: cp932") {
                renkei_hl7v2::encode::encode(&sample, renkei_hl7v2::charset::Charset::Cp932).bytes
            } else {
                sample.into_bytes()
            };
            let mapping = Mapping::load(&name, &text, &Shipped).expect("it is shipped");
            samples.push(Sample {
                form,
                text,
                mapping,
                input,
            });
        }
        let own = [
            (Form::Hl7v2, OVERLAY, MESSAGE),
            (Form::Hl7v2, SEGMENTS, MESSAGE),
            (Form::Xml, XML, XML_INPUT),
            (Form::Xml, XML_ROWS, XML_INPUT),
            (Form::Json, JSON, JSON_INPUT),
        ];
        samples.extend(own.map(|(form, text, input)| {
            let mapping = Mapping::load("own.yaml", text, &Shipped);
            Sample {
                form,
                text: text.to_owned(),
                mapping: mapping.unwrap_or_else(|problems| panic!("{problems}")),
                input: input.as_bytes().to_vec(),
            }
        }));
        samples
    })
}
