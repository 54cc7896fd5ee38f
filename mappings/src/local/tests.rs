//! The language against itself: every example of every function, every shipped mapping with its tests.

use renkei_core::FacilityId;

use super::*;

fn options() -> Options {
    Options::new(FacilityId::new("1319999999").expect("ten digits"))
}

fn input(bytes: &[u8]) -> Input<'_> {
    Input {
        bytes,
        received_at: "2025-03-01T00:00:00Z".parse().expect("a time"),
        file: "test",
    }
}

fn shown(problems: Problems) -> String {
    problems.to_string()
}

/// What `expression` over a field `x` prints; empty for nothing.
fn evaluate(expression: &str, x: &str) -> String {
    let folded = expression.replace('\n', " ");
    let text =
        format!("map: t\nsource: {{format: json, fields: [x]}}\npayload:\n  v: >-\n    {folded}\n");
    let mapping = Mapping::load("t.yaml", &text, &Shipped)
        .map_err(shown)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let document = format!("{{\"x\":{}}}", serde_json::to_string(x).expect("a string"));
    let mut printed = String::new();
    mapping
        .read(input(document.as_bytes()), &options(), &mut |piece| {
            if let Piece::Payload(json) = piece {
                printed = json;
            }
        })
        .expect("JSON");
    let Some(inner) = printed
        .strip_prefix("{\"v\":")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return String::new();
    };
    serde_json::from_str::<String>(inner).unwrap_or_else(|_| inner.to_owned())
}

#[test]
fn every_example_of_every_function_holds() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (_, functions) in areas() {
        for function in functions {
            assert!(
                function.name == "refs" || !function.examples.is_empty(),
                "{} has no example",
                function.name
            );
            for (expression, x, prints) in function.examples {
                count += 1;
                let found = evaluate(expression, x);
                if found != *prints {
                    wrong.push(format!("{expression} with {x}: {found}, not {prints}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100);
}

#[test]
fn every_shipped_mapping_loads_and_its_tests_hold() {
    let mut wrong = Vec::new();
    for name in Shipped.mappings() {
        let text = Shipped.mapping(&name).expect("listed");
        let mapping = match Mapping::load(&format!("{name}.yaml"), &text, &Shipped) {
            Ok(mapping) => mapping,
            Err(problems) => {
                wrong.push(problems.to_string());
                continue;
            }
        };
        let outcomes = mapping.test(&Shipped);
        assert!(!outcomes.is_empty(), "{name} has no test");
        for outcome in outcomes {
            for problem in outcome.problems {
                wrong.push(format!("{}: {problem}", outcome.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn rows_of_a_bed_feed_are_about_nobody_and_keep_their_place() {
    let text = Shipped.mapping("builtin/bed-csv").unwrap();
    let mapping = Mapping::load("bed-csv.yaml", &text, &Shipped).unwrap();
    let facility = renkei_core::FacilityId::new("1319999999").unwrap();
    let mapper = LocalMapper::new(mapping, Options::new(facility.clone())).unwrap();
    let header = "hospital_code,hospital_name,ward_code,ward_name,area,function,bed_type,licensed,staffed,occupied,available_m,available_f,available_any,private_available,acceptance,expected_wait_days,updated_at,valid_until,contact";
    let rows = "1319999999,,3E,,,,,99999999999999999999,,,,,,,,,2025-01-31T09:00:00+09:00,,\n1319999999,,4E,,,,,20,,,,,-1,,tpn,,2025-01-31T09:00:00+09:00,,";
    let message = renkei_core::Message {
        id: renkei_core::MessageId(1),
        source: renkei_core::SourceName::new("beds"),
        facility,
        body: format!("{header}\n{rows}\n").into_bytes().into(),
        meta: renkei_core::Meta::default(),
        received_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let draft = renkei_core::Mapper::map(&mapper, &message).unwrap();
    assert!(draft.subject.is_none() && draft.resources.is_empty());
    let wards: Vec<_> = draft
        .beds
        .iter()
        .map(|row| (&*row.at, &*row.bed.ward_code))
        .collect();
    assert_eq!(wards, [("row 2", "3E"), ("row 3", "4E")]);
    assert_eq!(draft.beds[0].bed.licensed, None);
    assert_eq!(draft.beds[1].bed.available_any, Some(-1));
    let found: Vec<_> = draft
        .findings
        .iter()
        .map(|found| (found.code, &*found.at))
        .collect();
    assert_eq!(found, [(Code::MAP_VALUE_REFUSED, "row 2 column 許可病床")]);
}
