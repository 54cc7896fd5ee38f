//! Compares what went in with what came out, element by element.

use serde_json::{Map, Value};

use crate::{Difference, Kind};

/// Names of FHIR R4 choice elements: two spellings of one of them cannot both be right.
const CHOICES: &[&str] = &[
    "abatement",
    "allowed",
    "asNeeded",
    "author",
    "born",
    "bounds",
    "collected",
    "content",
    "deceased",
    "defaultValue",
    "dose",
    "effective",
    "item",
    "medication",
    "minimum",
    "multipleBirth",
    "occurred",
    "occurrence",
    "onset",
    "performed",
    "rate",
    "reported",
    "scheduled",
    "serviced",
    "target",
    "time",
    "timing",
    "value",
];

/// Adds every difference between `original` and `printed`.
pub(crate) fn values(original: &Value, printed: &Value, differences: &mut Vec<Difference>) {
    compare(original, printed, &mut String::new(), differences);
}

/// Appends a property to a path.
pub(crate) fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// Appends an array position to a path.
pub(crate) fn push_index(path: &mut String, index: usize) {
    path.push('[');
    path.push_str(&index.to_string());
    path.push(']');
}

fn compare(
    original: &Value,
    printed: &Value,
    path: &mut String,
    differences: &mut Vec<Difference>,
) {
    match (original, printed) {
        (Value::Object(original), Value::Object(printed)) => {
            objects(original, printed, path, differences)
        }
        (Value::Array(original), Value::Array(printed)) => {
            arrays(original, printed, path, differences)
        }
        _ if same(original, printed) => {}
        _ => differences.push(Difference {
            path: path.clone(),
            kind: Kind::Changed,
        }),
    }
}

fn objects(
    original: &Map<String, Value>,
    printed: &Map<String, Value>,
    path: &mut String,
    differences: &mut Vec<Difference>,
) {
    let length = path.len();
    for (name, value) in original {
        push_name(path, name);
        match printed.get(name) {
            Some(other) => compare(value, other, path, differences),
            None => {
                let kind = if has_other_choice(name, original) {
                    Kind::Doubled
                } else {
                    Kind::Lost
                };
                differences.push(Difference {
                    path: path.clone(),
                    kind,
                });
            }
        }
        path.truncate(length);
    }
    for name in printed.keys().filter(|name| !original.contains_key(*name)) {
        push_name(path, name);
        differences.push(Difference {
            path: path.clone(),
            kind: Kind::Added,
        });
        path.truncate(length);
    }
}

fn arrays(
    original: &[Value],
    printed: &[Value],
    path: &mut String,
    differences: &mut Vec<Difference>,
) {
    let length = path.len();
    for index in 0..original.len().max(printed.len()) {
        push_index(path, index);
        match (original.get(index), printed.get(index)) {
            (Some(one), Some(other)) => compare(one, other, path, differences),
            (Some(_), None) => differences.push(Difference {
                path: path.clone(),
                kind: Kind::Lost,
            }),
            _ => differences.push(Difference {
                path: path.clone(),
                kind: Kind::Added,
            }),
        }
        path.truncate(length);
    }
}

fn has_other_choice(name: &str, siblings: &Map<String, Value>) -> bool {
    let stem = |name: &str| CHOICES.iter().find(|choice| is_form_of(name, choice));
    stem(name).is_some_and(|stem| {
        siblings
            .keys()
            .any(|other| other != name && is_form_of(other, stem))
    })
}

fn is_form_of(name: &str, choice: &str) -> bool {
    name.strip_prefix(choice)
        .is_some_and(|kind| kind.starts_with(|first: char| first.is_ascii_uppercase()))
}

fn same(original: &Value, printed: &Value) -> bool {
    match (original, printed) {
        (Value::Number(original), Value::Number(printed)) => {
            original == printed || original.as_f64() == printed.as_f64()
        }
        (Value::String(original), Value::String(printed)) => {
            original == printed
                || plain_time(original).is_some_and(|time| plain_time(printed) == Some(time))
        }
        _ => original == printed,
    }
}

/// Splits a FHIR time with seconds and offset into date and time, fraction without trailing zeros, and offset;
/// `None` for any other text.
fn plain_time(text: &str) -> Option<(&str, &str, &str)> {
    let (whole, rest) = text.split_at_checked("2025-01-31T09:00:00".len())?;
    let pattern = whole.bytes().zip("0000-00-00T00:00:00".bytes());
    if !pattern.into_iter().all(|(byte, shape)| {
        if shape == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == shape
        }
    }) {
        return None;
    }
    let digits = rest.strip_prefix('.').map_or(0, |rest| {
        rest.bytes().take_while(u8::is_ascii_digit).count() + 1
    });
    let (fraction, offset) = rest.split_at(digits);
    let offset = if matches!(offset, "+00:00" | "-00:00") {
        "Z"
    } else {
        offset
    };
    Some((
        whole,
        fraction.trim_end_matches('0').trim_end_matches('.'),
        offset,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(original: &str, printed: &str) -> Vec<(String, Kind)> {
        let parse = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        let mut differences = Vec::new();
        values(&parse(original), &parse(printed), &mut differences);
        differences
            .into_iter()
            .map(|difference| (difference.path, difference.kind))
            .collect()
    }

    #[test]
    fn spelling_is_no_difference() {
        let original = r#"{"a":6.80,"b":7,"c":"2025-01-31T09:00:00.000+09:00","d":"2025-01-31T09:00:00+00:00","e":1e2}"#;
        let printed = r#"{"e":100.0,"b":7.0,"a":6.8,"c":"2025-01-31T09:00:00+09:00","d":"2025-01-31T09:00:00.0Z"}"#;
        assert_eq!(differ(original, printed), []);
    }

    #[test]
    fn other_values_are_differences() {
        for (original, printed) in [
            (r#"{"a":6.8}"#, r#"{"a":6.81}"#),
            (
                r#"{"a":"2025-01-31T09:00:00.5Z"}"#,
                r#"{"a":"2025-01-31T09:00:00Z"}"#,
            ),
            (
                r#"{"a":"2025-01-31T09:00:00+09:00"}"#,
                r#"{"a":"2025-01-31T00:00:00Z"}"#,
            ),
            (
                r#"{"a":"１２３４５６７８９０１２３４５６７８９"}"#,
                r#"{"a":""}"#,
            ),
            (r#"{"a":{}}"#, r#"{"a":[]}"#),
            (r#"{"a":"6"}"#, r#"{"a":6}"#),
        ] {
            assert_eq!(
                differ(original, printed),
                [("a".to_owned(), Kind::Changed)],
                "{original}"
            );
        }
    }

    #[test]
    fn places_are_named() {
        assert_eq!(
            differ(
                r#"{"a":[{"b":1,"x":2},3],"valueString":"s","valueInteger":1}"#,
                r#"{"a":[{"b":1}],"c":0,"valueInteger":1}"#
            ),
            [
                ("a[0].x".to_owned(), Kind::Lost),
                ("a[1]".to_owned(), Kind::Lost),
                ("valueString".to_owned(), Kind::Doubled),
                ("c".to_owned(), Kind::Added),
            ]
        );
    }
}
