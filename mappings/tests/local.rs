//! Local mappings from outside: every kind of source, overlays on a mapping in Rust, and any bytes.

use renkei_core::{FacilityId, Mapper, Message, MessageId, Meta, SourceName};
use renkei_mappings::Options;
use renkei_mappings::local::{
    Input, Library, LocalMapper, Mapping, Memory, Piece, Problems, Report, Shipped,
};
use serde_json::Value;

use crate::cases;

pub(crate) fn options() -> Options {
    Options::new(FacilityId::new(cases::FACILITY).unwrap())
}

fn load(text: &str) -> Result<Mapping, Problems> {
    Mapping::load("lab.yaml", text, &Shipped)
}

pub(crate) fn loaded(text: &str) -> Mapping {
    load(text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn read(mapping: &Mapping, bytes: &[u8]) -> (Vec<Piece>, Report) {
    let input = Input {
        bytes,
        received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
        file: "results.csv",
    };
    let mut pieces = Vec::new();
    let report = mapping
        .read(input, &options(), &mut |piece| pieces.push(piece))
        .unwrap();
    (pieces, report)
}

/// Bodies, rows and payloads as one JSON value per piece.
pub(crate) fn printed(pieces: &[Piece]) -> Vec<Value> {
    let mut all = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Draft(draft) => all.extend(
                draft
                    .resources
                    .iter()
                    .map(|resource| serde_json::from_str(resource.body.expose()).unwrap()),
            ),
            Piece::Row { json, .. } | Piece::Payload(json) => {
                all.push(serde_json::from_str(json).unwrap())
            }
        }
    }
    all
}

fn findings(report: &Report) -> Vec<String> {
    report
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.code, finding.at))
        .collect()
}

#[test]
fn bombs_and_depths_are_refused() {
    let deep = format!("map: x\nsource: {}", "{a: ".repeat(500));
    let nested = format!(
        "map: x\nsource: {{format: json}}\npayload:\n  a: {}x{}\n",
        "(".repeat(100),
        ")".repeat(100)
    );
    let wide = format!("map: x\npayload: [{}]\n", "a, ".repeat(60_000));
    let huge = format!("map: x\nabout: {}\n", "x".repeat(600_000));
    let bomb = "map: x\na: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    for text in [&deep, &nested, &wide, &huge, bomb] {
        let problems = load(text).expect_err("refused");
        assert!(problems.0.len() <= 100);
    }
}

#[test]
fn a_workbook_has_dates_and_a_header_row() {
    let mapping = loaded(
        "map: x\nsource: {format: xlsx, sheet: 結果, header: 2, columns: [患者番号, 採取日, 項目, 結果]}\n\
         rows:\n  - Row:\n      patient: 患者番号\n      at: 採取日 | datetime\n      item: 項目\n      value: 結果\n",
    );
    let bytes = std::fs::read(cases::fixtures().join("mappings/results.xlsx")).unwrap();
    let (pieces, report) = read(&mapping, &bytes);
    assert_eq!(findings(&report), Vec::<String>::new());
    let rows = printed(&pieces);
    assert_eq!(rows[0]["at"], "2025-01-11");
    assert_eq!(rows[1]["at"], "2025-01-11T07:00:00+09:00");
    assert_eq!(rows[1]["value"], "0.02未満");
    assert_eq!(rows[2]["value"], "98");
    let broken = |name: &str| std::fs::read(cases::fixtures().join("mappings").join(name)).unwrap();
    let (backwards, endless) = (
        broken("cells-backwards.xlsx"),
        broken("column-without-end.xlsx"),
    );
    for bytes in [&bytes[..200], b"PK\x05\x06", b"", &backwards, &endless] {
        let input = Input {
            bytes,
            received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
            file: "",
        };
        assert!(mapping.read(input, &options(), &mut |_| {}).is_err());
    }
}

#[test]
fn xml_attributes_repetitions_and_filters() {
    let mapping = loaded(
        "map: x\nsource: {format: xml, records: report/patient}\nrows:\n  - Row:\n      id: '@id'\n      name: names/name\n",
    );
    // A quoted leaf is a fixed text; an attribute is written with its element.
    let (pieces, _) = read(
        &mapping,
        b"<report><patient id='1'><names/></patient></report>",
    );
    assert_eq!(printed(&pieces)[0]["id"], "@id");
    let mapping = loaded(
        "map: x\nsource: {format: xml, records: report/patient}\nrows:\n  - Row:\n      id: ./@id\n      kana: names/name[@type='kana']\n      tests:\n        each: tests/test\n        code: ./@code\n        value: .value | number\n",
    );
    let text = "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><report><patient id='7'><names><name type='kanji'>山本</name><name type='kana'>ヤマモト</name></names><tests><test code='a'><value>6.80</value></test><test code='b'><value>7</value></test></tests><spare>x</spare></patient></report>";
    let bytes = cp932(text);
    let (pieces, report) = read(&mapping, &bytes);
    let row = &printed(&pieces)[0];
    assert_eq!(row["id"], "7");
    assert_eq!(row["kana"], "ヤマモト");
    assert!(matches!(&pieces[0], Piece::Row { json, .. } if json.contains("\"value\":6.80")));
    assert_eq!(row["tests"][1]["code"], "b");
    assert_eq!(
        report.unread,
        ["report/patient/names/name", "report/patient/spare"]
    );
}

pub(crate) fn cp932(text: &str) -> Vec<u8> {
    let (bytes, _, is_lossy) = encoding_rs::SHIFT_JIS.encode(text);
    assert!(!is_lossy);
    bytes.into_owned()
}

#[test]
fn ocr_fields_need_their_confidence() {
    let mapping = loaded(
        "map: x\nsource: {format: ocr, fields: [患者氏名, 生年月日]}\nrows:\n  - Row:\n      name: 患者氏名 | sure(患者氏名.confidence, 0.9)\n      birth: 生年月日 | sure(生年月日.confidence, 0.9) | date\n",
    );
    let text = r#"{"fields":{"患者氏名":{"text":"山本 京子","confidence":0.97},"生年月日":{"text":"S14.2.15","confidence":0.42}}}"#;
    let (pieces, report) = read(&mapping, text.as_bytes());
    assert_eq!(printed(&pieces), [serde_json::json!({"name": "山本 京子"})]);
    assert_eq!(findings(&report), ["RNK-MAP-126 record 1 生年月日"]);
}

#[test]
fn a_fhir_resource_becomes_a_payload_of_another_shape() {
    let mapping = loaded(
        "map: sink\nsource: {format: fhir}\npayload:\n  patient:\n    number: identifier[system='urn:a'].value\n    kana: name[extension.valueCode='SYL'].text | half_kana\n  '=when': birthDate | format_date('yyyy/MM/dd')\n  vip: false\n  note: ~\n",
    );
    let text = r#"{"resourceType":"Patient","identifier":[{"system":"urn:b","value":"1"},{"system":"urn:a","value":"2"}],"name":[{"extension":[{"valueCode":"IDE"}],"text":"山本"},{"extension":[{"valueCode":"SYL"}],"text":"ヤマモト"}],"birthDate":"1939-02-15"}"#;
    let (pieces, _) = read(&mapping, text.as_bytes());
    assert_eq!(
        printed(&pieces)[0],
        serde_json::json!({"patient": {"number": "2", "kana": "ﾔﾏﾓﾄ"}, "when": "1939/02/15", "vip": false})
    );
}

#[test]
fn mixed_encodings_are_reported_by_row() {
    let mapping = loaded(
        "map: x\nsource: {format: csv, encoding: cp932, columns: [番号, 氏名]}\nrows:\n  - Row: {id: 番号, name: 氏名}\n",
    );
    let mut bytes = cp932("番号,氏名\r\n1,山本\r\n");
    bytes.extend_from_slice("2,坂本\r\n".as_bytes());
    bytes.extend_from_slice(b"3,\x82\r\n");
    bytes.extend(cp932("4,橋本\r\n"));
    let (pieces, report) = read(&mapping, &bytes);
    let names: Vec<String> = printed(&pieces)
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["山本", "坂本", "\u{FFFD}", "橋本"]);
    assert_eq!(
        findings(&report),
        ["RNK-CHR-001 row 3", "RNK-CHR-002 row 4"]
    );
}

fn message(body: &[u8]) -> Message {
    Message {
        id: MessageId(1),
        source: SourceName::new("test"),
        facility: FacilityId::new(cases::FACILITY).unwrap(),
        body: body.to_vec().into(),
        meta: Meta::default(),
        received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
    }
}

pub(crate) const ADT: &str = "MSH|^~\\&|SIM|HOSP|||20250131090000||ADT^A08^ADT_A01|1|P|2.5||||||UNICODE UTF-8\r\
EVN||20250131090000\r\
PID|||0000123456||山本^京子^^^^^L^I~ヤマモト^キョウコ^^^^^L^P||19390215|F\r\
PV1||O\r\
ZPI|1|03-1111-2222~090-0000-0001|VIP|rest\r";

#[test]
fn an_overlay_changes_single_leaves_and_reads_z_segments() {
    let overlay = loaded(
        "map: hospital-a\nextends: builtin/hl7v2\npatch:\n  - Patient:\n      active: false\n      telecom:\n        each: ZPI-2\n        system: 'phone'\n        value: .1\n    when: ZPI-3 = 'VIP'\nresources:\n  - key: [\"'vip'\"]\n    Observation:\n      status: 'final'\n      code.text: ZPI-3\n      subject.reference: $patient\n",
    );
    let plain = renkei_mappings::build("hl7v2", options())
        .unwrap()
        .map(&message(ADT.as_bytes()))
        .unwrap();
    let mapper = LocalMapper::new(overlay, options()).unwrap();
    let draft = mapper.map(&message(ADT.as_bytes())).unwrap();
    assert_eq!(plain.unread, ["PV1[1]", "ZPI[1]"]);
    assert_eq!(
        draft.unread,
        ["PV1[1]", "ZPI-1", "ZPI-4"],
        "only the rest of the segment is unread"
    );
    let body = |draft: &renkei_core::Draft, at: usize| -> Value {
        serde_json::from_str(draft.resources[at].body.expose()).unwrap()
    };
    let (before, after) = (body(&plain, 0), body(&draft, 0));
    assert_eq!(after["active"], false);
    assert_eq!(after["telecom"][1]["value"], "090-0000-0001");
    assert_eq!(
        after["name"], before["name"],
        "what the overlay does not name stays"
    );
    assert_eq!(
        body(&draft, draft.resources.len() - 1)["code"]["text"],
        "VIP"
    );
    assert_eq!(mapper.id().name, "local");
    let other = renkei_mappings::local::LocalMapper::new(
        loaded("map: b\nextends: builtin/hl7v2\npatch: []\n"),
        options(),
    )
    .unwrap();
    assert_ne!(mapper.id(), other.id());
}

#[test]
fn one_message_speaks_about_one_patient() {
    let mapping = Mapping::load(
        "lab.yaml",
        &Shipped.mapping("builtin/emr-patients").unwrap(),
        &Shipped,
    )
    .unwrap();
    let mapper = LocalMapper::new(mapping, options()).unwrap();
    let head = "患者番号,氏名,カナ,生年月日,性別,郵便番号,住所,電話,携帯,更新日時\n";
    let one = format!("{head}1,山本 京子,,,,,,,,\n");
    assert_eq!(
        mapper
            .map(&message(one.as_bytes()))
            .unwrap()
            .resources
            .len(),
        1
    );
    let two = format!("{one}2,坂本 花,,,,,,,,\n");
    let error = mapper
        .map(&message(two.as_bytes()))
        .expect_err("two patients");
    assert_eq!(error.code.as_str(), "RNK-MAP-124");
}

#[test]
fn an_infection_is_restricted_whatever_the_mapping_says() {
    let mapping = loaded(
        "map: x\nsource: {format: csv, columns: [番号, 項目]}\nsubject: {local_id: 番号}\nresources:\n  - each: row\n    key: [項目]\n    Observation: {status: 'final', code.text: 項目}\nitems:\n  - {class: 'lab', focus: Observation, members: [Observation]}\n",
    );
    for (item, class, held) in [
        ("アルブミン", "lab", false),
        ("HBs抗原", "infection", false),
        ("ＨＩＶ抗体", "infection", true),
    ] {
        let (pieces, _) = read(&mapping, format!("番号,項目\n1,CRP\n1,{item}\n").as_bytes());
        let Piece::Draft(draft) = &pieces[0] else {
            panic!("a draft");
        };
        assert_eq!(draft.items[0].class.code(), class, "{item}");
        assert_eq!(draft.items[0].never_automatic.is_some(), held, "{item}");
    }
}

#[test]
fn nothing_in_nothing_out_unless_it_is_required() {
    let mapping = loaded(
        "map: x\nsource: {format: csv, columns: [番号, 値, 単位, 医師]}\nsubject: {local_id: 番号}\nresources:\n  - each: row\n    key: [$row]\n    Observation:\n      status: 'final'\n      code.text: 値 | required\n      performer:\n        - identifier: {system: 'urn:x', value: 医師}\n      valueQuantity: {value: 値 | number, unit: 単位}\n",
    );
    let (pieces, report) = read(
        &mapping,
        "番号,値,単位,医師\n1,6.80,,\n1,,mg,D1\n".as_bytes(),
    );
    let bodies = printed(&pieces);
    assert_eq!(bodies.len(), 1, "the row without a value makes no resource");
    assert_eq!(
        bodies[0].get("performer"),
        None,
        "fixed texts alone make no element"
    );
    let Piece::Draft(draft) = &pieces[0] else {
        panic!("a draft");
    };
    let text = draft.resources[0].body.expose();
    assert!(
        text.contains("\"valueQuantity\":{\"value\":6.80}"),
        "{text}"
    );
    assert_eq!(draft.findings[0].at, "row 3 column 値");
    assert!(report.findings.is_empty());
}

#[test]
fn a_file_of_many_patients_is_cut_into_parts_the_same_mapping_reads() {
    let head = "患者番号,氏名,カナ,生年月日,性別,郵便番号,住所,電話,携帯,更新日時\r\n";
    let row = |number: &str, name: &str| format!("{number},{name},,,,,\"東京都,架空町\",,,\r\n");
    let text = format!(
        "{head}{}\r\n{}short\r\n{},nobody,,,,,,,,\r\n{}",
        row("1", "山本 京子"),
        row("2", "坂本 花"),
        "",
        row("1", "山本 京子")
    );
    let mapping = Mapping::load(
        "x",
        &Shipped.mapping("builtin/emr-patients").unwrap(),
        &Shipped,
    )
    .unwrap();
    let mapper = LocalMapper::new(mapping.clone(), options()).unwrap();
    let utf16: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for bytes in [text.as_bytes().to_vec(), cp932(&text), utf16] {
        let input = Input {
            bytes: &bytes,
            received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
            file: "",
        };
        let cut = mapping.split(input, &options()).unwrap();
        let parts = cut.parts;
        assert_eq!(
            findings(&cut.report),
            ["RNK-MAP-120 row 5", "RNK-MAP-002 row 6 column 患者番号"]
        );
        // What could not be read is a body of its own and says the same, with the places of the file.
        let renkei_mappings::local::Rest { body, places } = cut.rest.unwrap();
        let mut rest = message(&body);
        rest.meta.places = places;
        let draft = mapper.map(&rest).unwrap();
        assert!(draft.subject.is_none());
        assert_eq!(draft.hold.map(|code| code.as_str()), Some("RNK-MAP-120"));
        let said: Vec<_> = draft.findings.iter().map(|found| &found.at).collect();
        assert_eq!(said, ["row 5", "row 6 column 患者番号"]);
        assert_eq!(parts[0].places, [(2, 2), (3, 7)]);
        assert_eq!(parts[1].places, [(2, 4)]);
        let counts: Vec<_> = parts
            .iter()
            .map(|part| (part.local_id.expose(), part.records))
            .collect();
        assert_eq!(counts, [("1", 2), ("2", 1)]);
        for part in &parts {
            let draft = mapper.map(&message(&part.body)).unwrap();
            assert_eq!(draft.subject.unwrap().local_id, part.local_id);
            assert_eq!(draft.findings, []);
        }
    }
}

#[test]
fn a_document_is_cut_by_its_records_and_keeps_its_numbers() {
    let mapping = loaded(
        "map: x
source: {format: json, records: rows, fields: [id, v, name]}
subject:
  local_id: id
resources:
  - each: row
    key: [v]
    Observation:
      status: 'final'
      code.text: /name
      valueQuantity.value: v | number
",
    );
    let text = r#"{"name":"a\"b","rows":[{"id":"1","v":6.80},{"id":"2","v":1},{"v":2},{"id":"1","v":7.0}]}"#;
    let input = Input {
        bytes: text.as_bytes(),
        received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
        file: "",
    };
    let cut = mapping.split(input, &options()).unwrap();
    let bodies: Vec<_> = cut
        .parts
        .iter()
        .map(|part| String::from_utf8(part.body.clone()).unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            r#"{"name":"a\"b","rows":[{"id":"1","v":6.80},{"id":"1","v":7.0}]}"#,
            r#"{"name":"a\"b","rows":[{"id":"2","v":1}]}"#,
        ]
    );
    assert_eq!(cut.parts[0].places, [(1, 1), (2, 4)]);
    assert_eq!(cut.rest.unwrap().places, [(1, 3)]);
    let mapper = LocalMapper::new(mapping, options()).unwrap();
    for body in &bodies {
        assert!(
            mapper
                .map(&message(body.as_bytes()))
                .unwrap()
                .subject
                .is_some()
        );
    }
}

#[test]
fn xml_is_cut_by_its_records_whatever_its_encoding() {
    let mapping = loaded(
        "map: x
source: {format: xml, records: r/p}
subject:
  local_id: ./@id
resources:
  - each: row
    key: [v]
    Observation:
      status: 'final'
      code.text: /r/head
      valueString: v
",
    );
    let text = "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>\r\n<r><head>検査</head><p id='1'><v>山</v></p>\r\n<p id='2'><v>川</v></p><p><v>谷</v></p><p id='1'><v>&lt;森</v></p></r>";
    let mapper = LocalMapper::new(mapping.clone(), options()).unwrap();
    for bytes in [cp932(text), text.replace("Shift_JIS", "UTF-8").into_bytes()] {
        let input = Input {
            bytes: &bytes,
            received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
            file: "",
        };
        let cut = mapping.split(input, &options()).unwrap();
        let said: Vec<String> = cut
            .parts
            .iter()
            .map(|part| {
                let id = part.local_id.expose();
                format!("{id} {} {:?}", part.records, part.places)
            })
            .collect();
        assert_eq!(said, ["1 2 [(1, 1), (2, 4)]", "2 1 [(1, 2)]"]);
        let values: Vec<Vec<String>> = cut
            .parts
            .iter()
            .map(|part| {
                let draft = mapper.map(&message(&part.body)).unwrap();
                assert_eq!(draft.findings, []);
                assert_eq!(draft.subject.as_ref().unwrap().local_id, part.local_id);
                let bodies = draft.resources.iter();
                let body = |body: &str| serde_json::from_str::<Value>(body).unwrap();
                bodies
                    .map(|one| body(one.body.expose()))
                    .map(|one| format!("{} {}", one["code"]["text"], one["valueString"]))
                    .collect()
            })
            .collect();
        assert_eq!(
            values,
            [
                vec!["\"検査\" \"山\"", "\"検査\" \"<森\""],
                vec!["\"検査\" \"川\""]
            ]
        );
        let rest = cut.rest.unwrap();
        assert_eq!(rest.places, [(1, 3)]);
        let rest = String::from_utf8(rest.body).unwrap();
        assert!(rest.contains('谷') && !rest.contains('山') && !rest.contains('川'));
    }
}

#[test]
fn records_are_completed_out_of_other_files_and_never_by_a_guess() {
    let mut library = Memory::default();
    let layout = "field,position,length\nA.key,2,1\nA.name,3,2\nA.id,5,2\nB.key,2,1\nB.name,3,2\nB.value,7,2\n";
    library.tables.insert("two".to_owned(), layout.to_owned());
    let text = "map: x
source: {format: fixed, length: 8, layout: two, rows: B, join: {A: [key, name]}}
subject: {local_id: A.id}
resources:
  - each: row
    key: [B.value]
    Observation: {status: 'final', code.text: B.value}
";
    let mapping =
        Mapping::load("x", text, &library).unwrap_or_else(|problems| panic!("{problems}"));
    let own = b"B1xx  v1\r\nB2xx  v2\r\nB3xx  v3\r\n\x1a";
    assert!(mapping.lacks_partners(own));
    assert_eq!(
        mapping.completed(own, &[b"A4xxp4  \r\n", b"", b"\xFF\x00"]),
        None
    );
    let (first, second) = (
        &b"A1xxp1  \r\nA2xxp2  \r\nA3yyp3  \r\n"[..],
        &b"A2xxp9  \nA1xxp1  "[..],
    );
    let whole = mapping.completed(own, &[first, second]).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&whole),
        "B1xx  v1\r\nB2xx  v2\r\nB3xx  v3\r\nA1xxp1  \r\n",
        "two orders under one key are none, and another name is another order"
    );
    let cut = |bytes: &[u8]| {
        let input = Input {
            bytes,
            received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
            file: "",
        };
        mapping.split(input, &options()).unwrap()
    };
    assert!(cut(own).parts.is_empty());
    let cut = cut(&whole);
    assert_eq!(cut.parts.len(), 1);
    assert_eq!(cut.parts[0].local_id.expose(), "p1");
    assert_eq!(
        findings(&cut.report),
        ["RNK-MAP-123 record 2", "RNK-MAP-123 record 3"]
    );
    assert!(!mapping.lacks_partners(&cut.parts[0].body));
}

#[test]
fn fixed_records_are_cut_with_their_orders() {
    let mapping =
        Mapping::load("x", &Shipped.mapping("builtin/lab-256").unwrap(), &Shipped).unwrap();
    let order = |key: &str, patient: &str| {
        format!(
            "O1000123{key:<20}{:41}{patient:<15}{patient:<15}{:<20}FY085S1402152501110700001",
            "", "TEST"
        )
    };
    let result = |key: &str| {
        format!(
            "A1000123{key:<20}{:<20}{:<20}E{:9}{:<17}{:>8} ",
            "L1", "TEST", "", "3A015000002327101", "3.1"
        )
    };
    let record = |text: String| format!("{text:<256}\r\n");
    let bytes: String = [
        order("k1", "1"),
        order("k2", "2"),
        result("k2"),
        result("k1"),
        result("k3"),
    ]
    .map(record)
    .concat();
    let input = Input {
        bytes: bytes.as_bytes(),
        received_at: "2025-03-01T00:00:00Z".parse().unwrap(),
        file: "",
    };
    let cut = mapping.split(input, &options()).unwrap();
    let parts = cut.parts;
    assert_eq!(findings(&cut.report), ["RNK-MAP-123 record 5"]);
    assert_eq!(parts.len(), 2);
    // The order stands before its result and goes by the result's number.
    assert_eq!(parts[0].places, [(1, 3), (2, 3)]);
    let mapper = LocalMapper::new(mapping, options()).unwrap();
    let renkei_mappings::local::Rest { body, places } = cut.rest.unwrap();
    let mut rest = message(&body);
    rest.meta.places = places;
    let draft = mapper.map(&rest).unwrap();
    assert_eq!(draft.findings[0].at, "record 5");
    for part in parts {
        assert_eq!(part.body.len(), 2 * 258);
        let draft = mapper.map(&message(&part.body)).unwrap();
        assert_eq!(draft.subject.unwrap().local_id, part.local_id);
        assert_eq!(draft.resources.len(), 3);
    }
}
