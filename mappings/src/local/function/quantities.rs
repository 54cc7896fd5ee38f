//! Numbers as written, results as laboratories write them, reference ranges.

use std::borrow::Cow;

use renkei_core::Code;
use renkei_fhir::{Decimal, ucum};

use super::{Ask, Function, optional, value};
use crate::hl7v2::results::value::{self as results, Grade, Reading};
use crate::hl7v2::results::{POSITIVE_NEGATIVE, range};
use crate::local::kind::Kinds;
use crate::local::value::{Out, Value};

const SCALAR: Kinds = Kinds::SCALAR;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "number",
        takes: SCALAR,
        parameters: &[],
        gives: Kinds::NUMBER,
        about: "A decimal number, its digits kept as written.",
        examples: &[
            ("x | number", "6.80", "6.80"),
            ("x | number", "１２.５", "12.5"),
            ("x | number", "3以下", ""),
        ],
        run: |input, ask| number(input, ask, false),
    },
    Function {
        name: "whole",
        takes: SCALAR,
        parameters: &[],
        gives: Kinds::NUMBER,
        about: "A whole number.",
        examples: &[
            ("x | whole", "０12", "12"),
            ("x | whole", "-3", "-3"),
            ("x | whole", "1.5", ""),
        ],
        run: |input, ask| number(input, ask, true),
    },
    Function {
        name: "quantity",
        takes: SCALAR,
        parameters: &[optional(value("unit", SCALAR))],
        gives: Kinds::QUANTITY,
        about: "A Quantity with its comparator; a unit without UCUM code stays text and raises a finding.",
        examples: &[
            (
                "x | quantity('mg/dL')",
                "<0.30",
                r#"{"value":0.30,"comparator":"<","unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}"#,
            ),
            ("x | quantity", "6.80", r#"{"value":6.80}"#),
            ("x | quantity", "陰性", ""),
        ],
        run: |input, ask| match read_value(&input) {
            Reading::Number { comparator, number } => {
                Value::tree(quantity(comparator, number, 0, ask))
            }
            _ => ask.refuse(Code::MAP_BAD_NUMBER, input.as_text()),
        },
    },
    Function {
        name: "result",
        takes: SCALAR,
        parameters: &[
            optional(value("unit", SCALAR)),
            optional(value("form", SCALAR)),
        ],
        gives: Kinds::RESULT,
        about: "What a laboratory wrote, for `value[x]`: a quantity with comparator, a qualitative concept, or text. The form (U 以上, E 以下, L 未満, O 超過, B none) comes from a field beside it.",
        examples: &[
            (
                "x | result('g/dL')",
                "3.10",
                r#"{"value":3.10,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"}"#,
            ),
            (
                "x | result('mg/dL', 'L')",
                "0.02",
                r#"{"value":0.02,"comparator":"<","unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}"#,
            ),
            (
                "x | result",
                "0.02未満",
                r#"{"value":0.02,"comparator":"<"}"#,
            ),
            (
                "x | result",
                "(-)",
                r#"{"coding":[{"system":"http://jpfhir.jp/fhir/LaboResult/CodeSystem/JP_PosNegHold_CS","code":"2","display":"陰性"}],"text":"(-)"}"#,
            ),
            ("x | result", "1+", r#"{"text":"1+"}"#),
            ("x | result", "溶血のため測定不能", "溶血のため測定不能"),
        ],
        run: result,
    },
    Function {
        name: "grade",
        takes: SCALAR,
        parameters: &[],
        gives: Kinds::CONCEPT,
        about: "A qualitative result ((-), 陰性, 1+, ±) as a concept; anything else is nothing and a finding.",
        examples: &[
            ("x | grade", "2+", r#"{"text":"2+"}"#),
            ("x | grade", "3.1", ""),
        ],
        run: |input, ask| match read_value(&input) {
            Reading::Grade(grade, spelled) => Value::tree(graded(grade, spelled)),
            _ => ask.refuse(Code::MAP_VALUE_REFUSED, input.as_text()),
        },
    },
    Function {
        name: "range",
        takes: SCALAR,
        parameters: &[optional(value("unit", SCALAR))],
        gives: Kinds::RANGE,
        about: "A reference range as laboratories write it; what they wrote stays its text.",
        examples: &[
            (
                "x | range('g/dL')",
                "3.8-5.2",
                r#"{"low":{"value":3.8,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"},"high":{"value":5.2,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"},"text":"3.8-5.2"}"#,
            ),
            (
                "x | range",
                "0.30以下",
                r#"{"high":{"value":0.30},"text":"0.30以下"}"#,
            ),
        ],
        run: |input, ask| {
            let sent = input.into_text();
            let read = match &sent {
                Cow::Borrowed(sent) => range::read(sent),
                Cow::Owned(sent) => range::read(sent).map(range::Range::into_owned),
            };
            let Some(read) = read else {
                return Value::Nothing;
            };
            if read.is_words {
                ask.remark(Code::MAP_RANGE_AS_TEXT, &sent);
            }
            let low = read.low.map(|low| quantity("", low, 0, ask));
            let high = read.high.map(|high| quantity("", high, 0, ask));
            let ends = [
                ("low", low),
                ("high", high),
                ("text", Some(Out::Text(sent))),
            ];
            Value::tree(Out::object(
                ends.into_iter()
                    .filter_map(|(name, end)| Some((name, end?))),
            ))
        },
    },
    Function {
        name: "limits",
        takes: Kinds::NONE,
        parameters: &[
            value("low", SCALAR),
            value("high", SCALAR),
            optional(value("unit", SCALAR)),
        ],
        gives: Kinds::RANGE,
        about: "A reference range from two fields; one of them may be nothing.",
        examples: &[
            (
                "limits(x, '5.2')",
                "3.8",
                r#"{"low":{"value":3.8},"high":{"value":5.2}}"#,
            ),
            ("limits(x, '0.30')", "", r#"{"high":{"value":0.30}}"#),
        ],
        run: |_, ask| {
            let mut members = Vec::new();
            for (at, name) in [(0, "low"), (1, "high")] {
                let text = ask.owned(at);
                if text.is_empty() {
                    continue;
                }
                let number = match &text {
                    Cow::Borrowed(text) => plain(results::read(text)),
                    Cow::Owned(text) => plain(read(text)),
                };
                match number {
                    Some(number) => members.push((name, quantity("", number, 2, ask))),
                    None => ask.remark(Code::MAP_BAD_NUMBER, &text),
                }
            }
            Value::tree(Out::object(members))
        },
    },
    Function {
        name: "days",
        takes: SCALAR,
        parameters: &[],
        gives: Kinds::QUANTITY,
        about: "A number of days as JP Core wants it.",
        examples: &[(
            "x | days",
            "14",
            r#"{"value":14,"unit":"日","system":"http://unitsofmeasure.org","code":"d"}"#,
        )],
        run: |input, ask| match plain(read_value(&input)) {
            Some(number) => Value::tree(Out::object([
                ("value", Out::Bare(number.into_text())),
                ("unit", Out::text("日")),
                ("system", Out::text(ucum::SYSTEM)),
                ("code", Out::text("d")),
            ])),
            None => ask.refuse(Code::MAP_BAD_NUMBER, input.as_text()),
        },
    },
];

/// A result independent of the text it was read from: the text may live shorter than what is made of it.
fn read(text: &str) -> Reading<'static> {
    results::read(text).into_owned()
}

/// The same, borrowing from a text that lives as long as what is made of it.
fn read_value<'a>(value: &Value<'a>) -> Reading<'a> {
    match value {
        Value::Text(Cow::Borrowed(text)) | Value::Number(Cow::Borrowed(text)) => {
            results::read(text)
        }
        other => read(other.as_text()),
    }
}

/// The number, when it is nothing else.
fn plain(reading: Reading<'_>) -> Option<Decimal<'_>> {
    match reading {
        Reading::Number {
            comparator: "",
            number,
        } => Some(number),
        _ => None,
    }
}

fn number<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>, whole: bool) -> Value<'a> {
    let found = plain(read_value(&input)).filter(|number| {
        !whole
            || number
                .as_str()
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    });
    match found {
        Some(number) => Value::Number(number.into_text()),
        None => ask.refuse(Code::MAP_BAD_NUMBER, input.as_text()),
    }
}

/// A Quantity in the unit that is argument `unit`.
fn quantity<'a>(
    comparator: &'static str,
    number: Decimal<'a>,
    unit: usize,
    ask: &mut Ask<'_, 'a>,
) -> Out<'a> {
    let unit = ask.owned(unit);
    let code = if unit.is_empty() {
        None
    } else {
        ucum::code(&unit)
    };
    if code.is_none() && !unit.is_empty() {
        ask.remark(Code::MAP_UNKNOWN_UNIT, &unit);
    }
    let system = if code.is_some() { ucum::SYSTEM } else { "" };
    Out::object([
        ("value", Out::Bare(number.into_text())),
        ("comparator", Out::text(comparator)),
        ("unit", Out::Text(unit)),
        ("system", Out::text(system)),
        ("code", Out::Text(code.unwrap_or_default())),
    ])
}

fn graded<'a>(grade: Grade, spelled: Cow<'a, str>) -> Out<'a> {
    let code = match grade {
        Grade::Positive => Some(("1", "陽性")),
        Grade::Negative => Some(("2", "陰性")),
        Grade::Undecided if spelled.contains("保留") => Some(("3", "判定保留")),
        Grade::Undecided | Grade::Degree => None,
    };
    let coding = code.map(|(code, display)| {
        Out::object([
            ("system", Out::text(POSITIVE_NEGATIVE)),
            ("code", Out::text(code)),
            ("display", Out::text(display)),
        ])
    });
    Out::object([
        ("coding", Out::List(coding.into_iter().collect())),
        ("text", Out::Text(spelled)),
    ])
}

fn result<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>) -> Value<'a> {
    let said = match ask.text(1) {
        "U" | "以上" | ">=" => ">=",
        "E" | "以下" | "<=" => "<=",
        "L" | "未満" | "<" => "<",
        "O" | "超過" | ">" => ">",
        "" | "B" | "N" | "=" => "",
        other => {
            let other = other.to_owned();
            ask.remark(Code::MAP_UNKNOWN_CODE, &other);
            ""
        }
    };
    match read_value(&input) {
        Reading::Nothing => Value::Nothing,
        Reading::Number { comparator, number } => {
            let comparator = if comparator.is_empty() {
                said
            } else {
                comparator
            };
            Value::Result("Quantity", Box::new(quantity(comparator, number, 0, ask)))
        }
        Reading::Grade(grade, spelled) => {
            Value::Result("CodeableConcept", Box::new(graded(grade, spelled)))
        }
        Reading::Text(_) => Value::Result("String", Box::new(Out::Text(input.into_text()))),
    }
}
