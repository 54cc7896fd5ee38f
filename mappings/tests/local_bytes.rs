//! Any mapping and any bytes: refused or read, never a panic, the same twice.

use proptest::prelude::*;
use renkei_mappings::local::{Input, Library, Mapping, Piece, Shipped};
use serde_json::Value;

use crate::local::{ADT, cp932, loaded, options, printed};

/// How many mutated inputs each property is tried with; `RENKEI_FUZZ_CASES` for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("RENKEI_FUZZ_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(300))
}

/// A small generator, so that a case is known by its seed.
struct Seed(u64);

impl Seed {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (below.max(1) as u64)).unwrap()
    }

    /// Deletes, doubles, swaps and overwrites pieces.
    fn mutate(&mut self, mut bytes: Vec<u8>, words: &[&str]) -> Vec<u8> {
        for _ in 0..1 + self.next(6) {
            let at = self.next(bytes.len() + 1);
            let end = (at + self.next(24)).min(bytes.len());
            match self.next(6) {
                0 => drop(bytes.drain(at..end)),
                1 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                2 if at < bytes.len() => bytes[at] = u8::try_from(self.next(256)).unwrap(),
                3 => {
                    let word = words[self.next(words.len())];
                    bytes.splice(at..at, word.bytes());
                }
                4 => {
                    let word = words[self.next(words.len())];
                    bytes.splice(at..end, word.bytes());
                }
                _ => bytes.truncate(bytes.len() - self.next(8).min(bytes.len())),
            }
        }
        bytes
    }
}

const MAPPING_WORDS: &[&str] = &[
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
const INPUT_WORDS: &[&str] = &[
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

fn inputs() -> Vec<(Mapping, Vec<u8>)> {
    let mut inputs = Vec::new();
    for name in Shipped.mappings() {
        let text = Shipped.mapping(&name).unwrap();
        let mapping = Mapping::load(&name, &text, &Shipped).unwrap();
        // The input of the mapping's first test, in the encoding it is read in.
        let start = text.find("    input: |\n").unwrap() + "    input: |\n".len();
        let lines = text[start..]
            .lines()
            .take_while(|line| line.starts_with("      "));
        let sample: String = lines.map(|line| format!("{}\n", &line[6..])).collect();
        let bytes = if text.contains("encoding: cp932") {
            cp932(&sample)
        } else {
            sample.into_bytes()
        };
        inputs.push((mapping, bytes));
    }
    let overlay = "map: o\nsource: {format: hl7v2, records: OBX}\nsubject: {local_id: PID-3}\nresources:\n  - each: row\n    key: [OBX-3, ZPI-1]\n    Observation: {status: 'final', code.text: OBX-3.2, note: {each: NTE, text: .3}, valueString: ZPI-4}\n";
    inputs.push((
        loaded(overlay),
        ADT.replace("ZPI", "OBX|1|ST|a^b||1\rNTE|1||x\rZPI")
            .into_bytes(),
    ));
    let xml = "map: x\nsource: {format: xml, records: a/b}\nrows:\n  - Row:\n      x: c/@d\n      y: {each: c, is: .}\n      z: /a/e[@f='1'] | number\n";
    inputs.push((
        loaded(xml),
        b"<a><b><c d='1'>x</c><c/></b><e f='1'>6.80</e></a>".to_vec(),
    ));
    inputs
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_broken_mapping_is_refused_and_never_more(seed in 1_u64..) {
        let names = Shipped.mappings();
        let mut seed = Seed(seed);
        let name = &names[seed.next(names.len())];
        let text = Shipped.mapping(name).unwrap().into_owned().into_bytes();
        let text = seed.mutate(text, MAPPING_WORDS);
        let text = String::from_utf8_lossy(&text);
        match Mapping::load("fuzzed.yaml", &text, &Shipped) {
            Ok(mapping) => drop(mapping.test(&Shipped)),
            Err(problems) => {
                prop_assert!(!problems.0.is_empty() && problems.0.len() <= 100);
                prop_assert!(problems.to_string().len() < 200_000);
            }
        }
    }

    #[test]
    fn a_broken_input_makes_whole_resources_or_none(seed in 1_u64..) {
        thread_local!(static INPUTS: Vec<(Mapping, Vec<u8>)> = inputs());
        INPUTS.with(|inputs| {
            let mut seed = Seed(seed);
            let (mapping, bytes) = &inputs[seed.next(inputs.len())];
            let bytes = seed.mutate(bytes.clone(), INPUT_WORDS);
            let input = Input {
                bytes: &bytes,
                received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
                file: "",
            };
            let mut pieces = Vec::new();
            let first = mapping.read(input, &options(), &mut |piece| pieces.push(piece));
            for value in printed(&pieces) {
                prop_assert!(value.is_object());
            }
            for piece in &pieces {
                if let Piece::Draft(draft) = piece {
                    for resource in &draft.resources {
                        let body: Value = serde_json::from_str(resource.body.expose()).unwrap();
                        prop_assert_eq!(&body["id"], &Value::from(resource.key.logical_id()));
                    }
                    for finding in &draft.findings {
                        prop_assert!(!finding.at.is_empty());
                    }
                }
            }
            if let Ok(cut) = mapping.split(input, &options()) {
                for part in cut.parts {
                    prop_assert!(part.records > 0 && part.body.len() <= 3 * bytes.len() * part.records + 16);
                }
            }
            let mut again = Vec::new();
            let second = mapping.read(input, &options(), &mut |piece| again.push(piece));
            prop_assert_eq!(format!("{pieces:?}"), format!("{again:?}"));
            prop_assert_eq!(first.map(|report| report.unread), second.map(|report| report.unread));
            Ok(())
        })?;
    }
}
