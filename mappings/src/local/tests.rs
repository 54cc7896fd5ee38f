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
