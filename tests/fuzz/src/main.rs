//! Coverage-guided fuzzing of everything that reads bytes from outside, in one program: `ops/fuzz` builds it,
//! asks it for its targets and their seeds, and runs one target after the other.
//!
//! `RENKEI_FUZZ_TARGET` names the target; `RENKEI_FUZZ_SEEDS` a folder to write its seeds and words into
//! instead of running; without a target their names are printed. What must hold is said beside each reader.

#![no_main]

#[path = "../../../adapters/src/mllp/codec.rs"]
mod codec;
mod framing;
mod hl7v2;
mod local;
mod standard;
mod workbook;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use local::{BETWEEN, Form, INPUT_WORDS, MAPPING_WORDS};

/// Something that reads bytes.
struct Target {
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    words: fn() -> Vec<Vec<u8>>,
}

const TARGETS: &[Target] = &[
    Target {
        name: "hl7v2-decode",
        run: hl7v2::decode,
        seeds: messages,
        words: hl7v2_words,
    },
    Target {
        name: "hl7v2-parse",
        run: hl7v2::parse,
        seeds: messages,
        words: hl7v2_words,
    },
    Target {
        name: "hl7v2-ack",
        run: hl7v2::ack,
        seeds: messages,
        words: hl7v2_words,
    },
    Target {
        name: "mllp",
        run: framing::frames,
        seeds: wires,
        words: hl7v2_words,
    },
    Target {
        name: "standard",
        run: standard::message,
        seeds: standard::seeds,
        words: hl7v2_words,
    },
    Target {
        name: "loader",
        run: loader,
        seeds: mappings,
        words: mapping_words,
    },
    Target {
        name: "evaluator",
        run: evaluator,
        seeds: pairs,
        words: all_words,
    },
    Target {
        name: "csv",
        run: |data| file(Form::Csv, data),
        seeds: || files(Form::Csv),
        words: input_words,
    },
    Target {
        name: "fixed",
        run: |data| file(Form::Fixed, data),
        seeds: || files(Form::Fixed),
        words: input_words,
    },
    Target {
        name: "xml",
        run: |data| file(Form::Xml, data),
        seeds: || files(Form::Xml),
        words: xml_words,
    },
    Target {
        name: "json",
        run: |data| file(Form::Json, data),
        seeds: || files(Form::Json),
        words: input_words,
    },
    Target {
        name: "xlsx",
        run: workbook::book,
        seeds: workbook::seeds,
        words: xml_words,
    },
];

libfuzzer_sys::fuzz_target!(init: prepare(), |data: &[u8]| (target().run)(data));

fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("RENKEI_FUZZ_TARGET").unwrap_or_default();
        TARGETS
            .iter()
            .find(|target| target.name == name)
            .unwrap_or_else(|| {
                for target in TARGETS {
                    println!("{}", target.name);
                }
                std::process::exit(0)
            })
    })
}

/// Writes seeds and words where asked to, and ends.
fn prepare() {
    let target = target();
    let Some(folder) = std::env::var_os("RENKEI_FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    let seeds = folder.join("seeds");
    std::fs::create_dir_all(&seeds).expect("a folder for the seeds");
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        std::fs::write(seeds.join(format!("{number:04}")), seed).expect("a seed is written");
    }
    let words: String = (target.words)().iter().map(|word| line(word)).collect();
    std::fs::write(folder.join("words"), words).expect("the words are written");
    std::process::exit(0)
}

/// A word as a dictionary of libFuzzer has it.
fn line(word: &[u8]) -> String {
    let escaped: String = word.iter().map(|byte| format!("\\x{byte:02X}")).collect();
    format!("\"{escaped}\"\n")
}

/// Every file under `fixtures/`, in order.
fn fixtures() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the checkout") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"),
        &mut found,
    );
    found.sort();
    found
}

/// What stands between the marks.
fn parts(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let mark = BETWEEN.as_bytes();
        let at = data.windows(mark.len()).position(|window| window == mark);
        let (part, rest) = match at {
            Some(at) => (&data[..at], &data[at + mark.len()..]),
            None => (data, &data[data.len()..]),
        };
        done = at.is_none();
        data = rest;
        Some(part)
    })
}

fn loader(data: &[u8]) {
    local::load(&String::from_utf8_lossy(data));
}

/// A mapping and its input, both mutated.
fn evaluator(data: &[u8]) {
    let mut parts = parts(data);
    let mapping = parts.next().unwrap_or_default();
    if let Some(mapping) = local::load(&String::from_utf8_lossy(mapping)) {
        parts.take(2).for_each(|input| local::read(&mapping, input));
    }
}

/// A file for the mapping that the first byte names.
fn file(form: Form, data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else {
        return;
    };
    let suits = || local::samples().iter().filter(|sample| sample.form == form);
    let sample = suits().nth(usize::from(which) % suits().count().max(1));
    if let Some(sample) = sample {
        local::read(&sample.mapping, bytes);
    }
}

fn files(form: Form) -> Vec<Vec<u8>> {
    let suits = local::samples().iter().filter(|sample| sample.form == form);
    let seed = |(which, sample): (usize, &local::Sample)| {
        [&[u8::try_from(which).unwrap_or(0)][..], &sample.input].concat()
    };
    suits.enumerate().map(seed).collect()
}

fn mappings() -> Vec<Vec<u8>> {
    let samples = local::samples().iter();
    samples
        .map(|sample| sample.text.clone().into_bytes())
        .collect()
}

fn pairs() -> Vec<Vec<u8>> {
    let samples = local::samples().iter();
    let pair = |sample: &local::Sample| {
        // Its tests would be run for each input.
        let text = sample.text.split("\ntests:").next().unwrap_or_default();
        [text.as_bytes(), BETWEEN.as_bytes(), &sample.input].concat()
    };
    samples.map(pair).collect()
}

fn messages() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = hl7v2::SEEDS.iter().map(|seed| seed.to_vec()).collect();
    let is_message = |file: &PathBuf| file.extension().is_some_and(|end| end == "hl7");
    let messages = fixtures().into_iter().filter(is_message);
    seeds.extend(messages.map(|file| std::fs::read(file).expect("a fixture")));
    seeds
}

/// Messages as they stand on a connection, several in a row.
fn wires() -> Vec<Vec<u8>> {
    let framed = |message: &[u8]| [b"\x0b", message, b"\x1c\r"].concat();
    let mut seeds: Vec<Vec<u8>> = hl7v2::SEEDS
        .iter()
        .map(|seed| [&b"\x07"[..], &framed(seed)].concat())
        .collect();
    seeds.push(
        [
            b"\0noise\r\n".to_vec(),
            framed(b"MSH|1\r\x0bnote\r"),
            b"\x0bMSH|2\r".to_vec(),
            framed(b"MSH|3"),
        ]
        .concat(),
    );
    seeds.push([&b"\x03\x0b"[..], &[b'x'; 600], b"\x1c\r"].concat());
    seeds
}

fn hl7v2_words() -> Vec<Vec<u8>> {
    let segments = [
        "MSH|", "PID|", "EVN|", "PV1|", "PV2|", "OBR|", "OBX|", "RXE|", "TQ1|", "PRB|", "AL1|",
        "NTE|", "SPM|", "IN1|",
    ];
    let names = segments.map(|name| format!("\r{name}").into_bytes());
    hl7v2::PIECES
        .iter()
        .map(|piece| piece.to_vec())
        .chain(names)
        .chain([b"\x0b".to_vec(), b"\x1c\r".to_vec()])
        .collect()
}

fn mapping_words() -> Vec<Vec<u8>> {
    MAPPING_WORDS
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

fn input_words() -> Vec<Vec<u8>> {
    INPUT_WORDS
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

fn xml_words() -> Vec<Vec<u8>> {
    let words = [
        "<c ",
        "</c>",
        "/>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&amp;",
        "&#x3042;",
        "&#0;",
        "<!DOCTYPE a [<!ENTITY x \"y\">]>",
        "<?xml encoding=\"Shift_JIS\"?>",
        "xmlns:n=''",
        "t=\"s\"",
        "r=\"XFD1048576\"",
        "<v>1e300</v>",
    ];
    words
        .map(|word| word.as_bytes().to_vec())
        .into_iter()
        .chain(input_words())
        .collect()
}

fn all_words() -> Vec<Vec<u8>> {
    mapping_words().into_iter().chain(input_words()).collect()
}
