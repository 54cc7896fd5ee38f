//! Large files against small ones: whatever the window, the same rows come out with the same places.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_core::cutter::{CutError, Part, Pieces};
use renkei_core::{Code, FacilityId, Mapper as _, Message, MessageId, Meta, SourceName};

use super::{About, Sizes, split as split_large};
use crate::Options;
use crate::local::{Input, Library, LocalMapper, Mapping, Memory, Shipped, split};

/// A file in memory that notes how it was read.
struct Watched<'b> {
    bytes: &'b [u8],
    largest: usize,
    read: usize,
}

impl<'b> Watched<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            largest: 0,
            read: 0,
        }
    }
}

impl Pieces for Watched<'_> {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        let at = usize::try_from(at).expect("within memory");
        let bytes = self.bytes.get(at..at + into.len());
        into.copy_from_slice(bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        self.largest = self.largest.max(into.len());
        self.read += into.len();
        Ok(())
    }
}

fn options() -> Options {
    Options::new(FacilityId::new("1319999999").expect("ten digits"))
}

fn now() -> Timestamp {
    "2025-03-01T00:00:00Z".parse().expect("a time")
}

fn shipped(name: &str) -> Mapping {
    let text = Shipped.mapping(name).expect("shipped");
    Mapping::load(name, &text, &Shipped).unwrap_or_else(|problems| panic!("{problems}"))
}

fn sizes(window: usize) -> Sizes {
    Sizes {
        window,
        round: 3 * window,
        ..Sizes::default()
    }
}

fn large(mapping: &Mapping, file: &mut Watched<'_>, sizes: Sizes) -> Result<Vec<Part>, CutError> {
    let options = options();
    let about = About {
        file: "day.csv",
        received_at: now(),
        options: &options,
    };
    let mut all = Vec::new();
    split_large(&mapping.plan, file, about, sizes, &mut |parts| {
        all.extend(parts);
        true
    })?;
    Ok(all)
}

/// What comes of each patient's part: bodies, and findings with their places in the file. Nobody's is `-`.
type Made = BTreeMap<String, (Vec<String>, Vec<String>)>;

fn made(mapping: &Mapping, parts: Vec<Part>) -> Made {
    let mapper = LocalMapper::new(mapping.clone(), options()).expect("options that suit");
    let one = |part: Part| {
        let subject = part
            .subject
            .map_or("-".to_owned(), |id| id.expose().to_owned());
        let message = Message {
            id: MessageId(1),
            source: SourceName::new("lab"),
            facility: options().facility,
            body: part.body,
            meta: Meta {
                places: part.places,
                ..Meta::default()
            },
            received_at: now(),
        };
        let draft = mapper.map(&message).expect("this format");
        let bodies = draft.resources.iter();
        let bodies = bodies
            .map(|resource| resource.body.expose().clone())
            .collect();
        let findings = draft.findings.iter();
        let findings = findings
            .map(|found| format!("{} {}", found.code, found.at))
            .collect();
        (subject, (bodies, findings))
    };
    parts.into_iter().map(one).collect()
}

fn small(mapping: &Mapping, bytes: &[u8]) -> Vec<Part> {
    let input = Input {
        bytes,
        received_at: now(),
        file: "day.csv",
    };
    let cut = mapping.split(input, &options()).expect("this format");
    let parts = cut.parts.into_iter().map(|part| Part {
        subject: Some(part.local_id),
        body: part.body.into(),
        places: part.places,
        refused: None,
    });
    let rest = cut.rest.map(|rest| Part {
        subject: None,
        body: rest.body.into(),
        places: rest.places,
        refused: None,
    });
    parts.chain(rest).collect()
}

const HEAD: &str = "患者番号,オーダ番号,採取日,項目コード,項目名,JLAC10,結果,単位,コメント";

/// Rows of seven patients, scattered, with all that can be odd about a row.
fn rows(count: usize, line_end: &str) -> String {
    let mut text = format!("{HEAD}{line_end}");
    for row in 0..count {
        let patient = row * 5 % 7;
        let line = match row % 23 {
            5 => format!("{patient:04},A{row},20250111"),
            9 => format!(",A{row},20250111,1,アルブミン,3A015000002327101,3.1,g/dL,nobody"),
            12 => format!(
                "{patient:04},A{row},20250111,1,アルブミン,3A015000002327101,3.2,g/dL,\"two{line_end}lines, {row}\""
            ),
            15 => format!(
                "{patient:04},A{row},20250111,1,アルブミン,3A015000002327101,3.3,g/dL,\"open {row}"
            ),
            17 => String::new(),
            20 => format!("{patient:04},A{row},20250111,9,未知,,3.4,g/dL,no code"),
            _ => {
                format!("{patient:04},A{row},20250111,1,アルブミン,3A015000002327101,3.{row},g/dL,")
            }
        };
        text.push_str(&line);
        text.push_str(line_end);
    }
    text
}

fn lab() -> Mapping {
    let columns: Vec<&str> = HEAD.split(',').collect();
    let others = "氏名 カナ 生年月日 性別 採取時刻 報告日時 材料コード 材料名 形 基準 下限 上限 フラグ 状態 ラボ ラボ名";
    let given = columns.iter().map(|name| format!("    {name}: {name}\n"));
    let absent = others.split(' ').map(|name| format!("    {name}: ''\n"));
    let columns: String = given.chain(absent).collect();
    let text = format!("map: day\nextends: builtin/lab-csv\nsource:\n  columns:\n{columns}");
    Mapping::load("day", &text, &Shipped).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn whatever_the_window_the_same_comes_out() {
    let mapping = lab();
    for (line_end, encoding) in [("\r\n", "cp932"), ("\n", "utf-8"), ("\r\n", "marked")] {
        let text = rows(230, line_end);
        let bytes = match encoding {
            "cp932" => encoding_rs::SHIFT_JIS.encode(&text).0.into_owned(),
            "marked" => [split::MARK, text.as_bytes()].concat(),
            _ => text.into_bytes(),
        };
        let expected = made(&mapping, small(&mapping, &bytes));
        assert_eq!(expected.len(), 8, "seven patients and what cannot be read");
        assert!(expected["-"].1.len() > 15, "{:?}", expected["-"].1);
        for window in [700, 1_024, 4_096, 1 << 20] {
            let mut file = Watched::new(&bytes);
            let parts = large(&mapping, &mut file, sizes(window)).expect("this format");
            assert_eq!(
                made(&mapping, parts),
                expected,
                "{encoding}, window {window}"
            );
            assert!(file.largest <= window);
        }
    }
}

#[test]
fn fixed_records_with_and_without_line_ends() {
    let text = "map: f\nsource:\n  format: fixed\n  length: 20\n  layout: small\n  rows: R\n\
                subject: {local_id: R.id}\nresources:\n  - each: row\n    key: [R.value]\n    Observation:\n      \
                status: 'final'\n      code.text: 'x'\n      valueString: R.value\n";
    let mut library = Memory::default();
    let layout = "field,position,length,times,stride,about\nR.id,2,6,1,,\nR.value,8,6,1,,\n";
    library.tables.insert("small".to_owned(), layout.to_owned());
    let mapping = Mapping::load("f", text, &library);
    let mapping = mapping.unwrap_or_else(|problems| panic!("{problems}"));
    for line_end in ["\r\n", ""] {
        let record = |row: usize| format!("R{:06}{row:06}       {line_end}", row * row % 5);
        let bytes = (0..300).map(record).collect::<String>().into_bytes();
        let expected = made(&mapping, small(&mapping, &bytes));
        assert!(expected.len() > 2 && !expected.contains_key("-"));
        for window in [64, 1_000, 1 << 20] {
            let parts = large(&mapping, &mut Watched::new(&bytes), sizes(window)).expect("read");
            assert_eq!(made(&mapping, parts), expected, "window {window}");
        }
    }
}

#[test]
fn noise_and_endless_lines_end_soon() {
    let mapping = lab();
    let few = Sizes {
        garbage: 20_000,
        ..sizes(1_000)
    };
    let noises: [&[u8]; 3] = [b"\xFF\x00\x81,\"\n", b"x", b"a,b\n"];
    for noise in noises {
        let head = format!("{HEAD}\r\n").into_bytes();
        let bytes = [head, noise.repeat(2_000_000 / noise.len())].concat();
        let mut file = Watched::new(&bytes);
        let ended = large(&mapping, &mut file, few);
        assert!(
            matches!(&ended, Err(CutError::Map(error)) if error.code == Code::MAP_NOT_THIS_FORMAT),
            "{ended:?}"
        );
        assert!(file.read < 60_000, "{} bytes were read", file.read);
        let headless = &bytes[HEAD.len() + 2..];
        assert!(large(&mapping, &mut Watched::new(headless), few).is_err());
    }
    // Between good rows it is one row that cannot be read.
    let row =
        |value: &str| format!("0001,A1,20250111,1,アルブミン,3A015000002327101,{value},g/dL,\r\n");
    let text = [
        HEAD,
        "\r\n",
        &row("3.1"),
        &"x".repeat(50_000),
        "\r\n",
        &row("3.2"),
    ]
    .concat();
    let parts = large(&mapping, &mut Watched::new(text.as_bytes()), sizes(1_000)).expect("read");
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].places, [(2, 2), (3, 4)]);
    let made = made(&mapping, parts);
    assert_eq!(made["-"].1, ["RNK-MAP-120 row 3"]);
}

#[test]
fn what_is_over_a_limit_is_said_and_the_others_go_on() {
    let mapping = lab();
    let text = rows(230, "\r\n");
    let refused = |sizes: Sizes| {
        let parts = large(&mapping, &mut Watched::new(text.as_bytes()), sizes).expect("read");
        let codes = parts
            .iter()
            .map(|part| (part.subject.is_some(), part.refused));
        let whole = parts.iter().filter(|part| part.refused.is_none()).count();
        (
            codes.filter(|(_, code)| code.is_some()).collect::<Vec<_>>(),
            whole,
        )
    };
    let (codes, whole) = refused(Sizes {
        part: 1_500,
        ..sizes(1_000)
    });
    assert_eq!(codes, [(true, Some(Code::MAP_LIMIT)); 7]);
    assert_eq!(whole, 1, "what cannot be read");
    let (codes, whole) = refused(Sizes {
        rest: 200,
        ..sizes(1_000)
    });
    assert_eq!((codes, whole), (vec![(false, Some(Code::MAP_LIMIT))], 8));
    let small = Sizes {
        index: 300,
        ..sizes(1_000)
    };
    let is_over = |ended: Result<Vec<Part>, CutError>| matches!(ended, Err(CutError::Map(error)) if error.code == Code::MAP_LIMIT);
    assert!(is_over(large(
        &mapping,
        &mut Watched::new(text.as_bytes()),
        small
    )));
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = [b"\xFF\xFE".as_slice(), &wide].concat();
    assert!(is_over(large(
        &mapping,
        &mut Watched::new(&wide),
        sizes(1_000)
    )));
    for other in ["builtin/lab-256", "builtin/bed-csv", "builtin/bed-json"] {
        assert!(
            is_over(large(
                &shipped(other),
                &mut Watched::new(b"[]"),
                sizes(1_000)
            )),
            "{other}"
        );
    }
}

#[test]
fn whoever_wants_no_more_is_given_no_more() {
    let (mapping, options) = (lab(), options());
    let text = rows(230, "\n");
    let about = About {
        file: "day.csv",
        received_at: now(),
        options: &options,
    };
    let mut given = 0;
    let mut file = Watched::new(text.as_bytes());
    let ended = split_large(&mapping.plan, &mut file, about, sizes(700), &mut |_| {
        given += 1;
        false
    });
    assert!(matches!(ended, Err(CutError::Stopped)));
    assert_eq!(given, 1);
}

#[test]
fn any_bytes_are_cut_or_refused() {
    let mapping = lab();
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 40).expect("24 bits")
    };
    let good = rows(60, "\r\n").into_bytes();
    for round in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..next() % 12 {
            let at = HEAD.len() + next() % (bytes.len() - HEAD.len());
            bytes[at] = [b'"', b'\n', b'\r', b',', 0xFF, b'x'][next() % 6];
        }
        let window = 600 + next() % 900;
        let parts = large(&mapping, &mut Watched::new(&bytes), sizes(window));
        let parts = parts.unwrap_or_else(|error| panic!("round {round}, window {window}: {error}"));
        let expected = made(&mapping, small(&mapping, &bytes));
        let found = made(&mapping, parts);
        let bodies = |made: &Made| -> usize { made.values().map(|(bodies, _)| bodies.len()).sum() };
        // A quote that opens late may be seen another way at the end of a window; nothing is lost by it.
        let difference = bodies(&expected).abs_diff(bodies(&found));
        assert!(
            difference <= 24,
            "round {round}, window {window}: {difference}"
        );
    }
}
