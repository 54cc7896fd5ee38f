//! Codes: tables, code systems, what a laboratory test is about.

use std::borrow::Cow;

use renkei_core::Code;
use renkei_fhir::jp_core::{self, Usage, system};

use super::{Argument, Ask, Form, Function, form, optional, repeated, value};
use crate::hl7v2::results::{INTERPRETATIONS, infection, value as results};
use crate::local::kind::Kinds;
use crate::local::value::{Out, Value};

const SCALAR: Kinds = Kinds::SCALAR;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "table",
        takes: SCALAR,
        parameters: &[
            form("table", Form::Table),
            optional(form("column", Form::Column)),
        ],
        gives: Kinds::TEXT,
        about: "What a table says about a code (second column, or the one named); an unknown code is nothing and a finding.",
        examples: &[
            ("x | table(sex)", "2", "female"),
            ("x | table(sex)", "8", ""),
            ("x | table(sex) ?? 'unknown'", "8", "unknown"),
        ],
        run: |input, ask| {
            let row = ask.table(0).and_then(|table| table.row(input.as_text()));
            match row {
                Some(row) => Value::text(row.get(ask.column(1)).map_or("", String::as_str)),
                None => ask.refuse(Code::MAP_UNKNOWN_CODE, input.as_text()),
            }
        },
    },
    Function {
        name: "known",
        takes: SCALAR,
        parameters: &[form("table", Form::Table)],
        gives: Kinds::BOOL,
        about: "Whether a table has the code.",
        examples: &[
            ("x | known(sex)", "1", "true"),
            ("x | known(sex)", "8", "false"),
        ],
        run: |input, ask| {
            Value::Bool(
                ask.table(0)
                    .is_some_and(|table| table.row(input.as_text()).is_some()),
            )
        },
    },
    Function {
        name: "pick",
        takes: SCALAR,
        parameters: &[
            form("code", Form::Fixed),
            form("to", Form::Fixed),
            repeated(form("more", Form::Fixed)),
        ],
        gives: Kinds::TEXT,
        about: "A small table in place: pairs of code and text; any other code is nothing, without a finding.",
        examples: &[
            ("x | pick('H', 'u1', 'L', 'u1') ?? 'u2'", "H", "u1"),
            ("x | pick('H', 'u1') ?? 'u2'", "N", "u2"),
        ],
        run: |input, ask| {
            let pairs = ask.arguments.chunks_exact(2);
            for pair in pairs {
                if let [Argument::Value(code), Argument::Value(to)] = pair
                    && code.as_text() == input.as_text()
                {
                    return to.clone();
                }
            }
            Value::Nothing
        },
    },
    Function {
        name: "yes",
        takes: SCALAR,
        parameters: &[
            form("text", Form::Fixed),
            repeated(optional(form("more", Form::Fixed))),
        ],
        gives: Kinds::BOOL,
        about: "True for one of the texts, false for anything else that was sent.",
        examples: &[
            ("x | yes('1', '有')", "有", "true"),
            ("x | yes('1')", "0", "false"),
            ("x | yes('1')", "", ""),
        ],
        run: |input, ask| {
            let is = |argument: &Argument<'_>| matches!(argument, Argument::Value(text) if text.as_text() == input.as_text());
            Value::Bool(ask.arguments.iter().any(is))
        },
    },
    Function {
        name: "coding",
        takes: SCALAR,
        parameters: &[
            form("system", Form::Fixed),
            optional(value("display", Kinds::TEXT)),
        ],
        gives: Kinds::CODING,
        about: "A Coding: system by its HL7 name (`JC10`, `HOT9`, `I10`, `ISO+`), a URI, or a name of the facility's own.",
        examples: &[
            (
                "x | coding('JC10', 'アルブミン')",
                "3A015000002327101",
                r#"{"system":"http://medis.or.jp/CodeSystem/master-JLAC10-17digits","code":"3A015000002327101","display":"アルブミン"}"#,
            ),
            (
                "x | coding('lab01')",
                "10230",
                r#"{"system":"http://renkei.invalid/facility/1319999999/CodeSystem/lab01","code":"10230"}"#,
            ),
        ],
        run: |input, ask| {
            let code = input.into_text();
            let (name, display) = (ask.owned(0), ask.owned(1));
            Value::tree(coding(ask.facility(), name, code, display))
        },
    },
    Function {
        name: "concept",
        takes: SCALAR.or(Kinds::CODING),
        parameters: &[optional(value("text", Kinds::TEXT))],
        gives: Kinds::CONCEPT,
        about: "A CodeableConcept from a coding and its words, or from words alone.",
        examples: &[
            (
                "x | coding('http://loinc.org') | concept('体温')",
                "8310-5",
                r#"{"coding":[{"system":"http://loinc.org","code":"8310-5"}],"text":"体温"}"#,
            ),
            ("x | concept", "血清", r#"{"text":"血清"}"#),
        ],
        run: |input, ask| {
            let (codings, words) = match input {
                Value::Tree(coding) => (vec![*coding], ask.owned(0)),
                words => (Vec::new(), words.into_text()),
            };
            Value::tree(Out::object([
                ("coding", Out::List(codings)),
                ("text", Out::text(words)),
            ]))
        },
    },
    Function {
        name: "translate",
        takes: SCALAR,
        parameters: &[
            form("table", Form::Table),
            form("system", Form::Fixed),
            optional(value("text", Kinds::TEXT)),
        ],
        gives: Kinds::CONCEPT,
        about: "A CodeableConcept by a table: its second column as code of the system, its third as display. A code not in the table keeps its text and raises a finding.",
        examples: &[
            (
                "x | translate(sex, 'http://hl7.org/fhir/administrative-gender', '性別')",
                "2",
                r#"{"coding":[{"system":"http://hl7.org/fhir/administrative-gender","code":"female"}],"text":"性別"}"#,
            ),
            ("x | translate(sex, 'L')", "8", r#"{"text":"8"}"#),
        ],
        run: translate,
    },
    Function {
        name: "flag",
        takes: SCALAR,
        parameters: &[],
        gives: Kinds::CONCEPT,
        about: "A laboratory's flag (H, L, HH, LL, A, N, …) as interpretation; an unknown one keeps its text and raises a finding.",
        examples: &[
            (
                "x | flag",
                "Ｈ",
                r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"H"}]}"#,
            ),
            ("x | flag", "★", r#"{"text":"★"}"#),
        ],
        run: |input, ask| {
            let folded = results::fold(input.as_text()).to_ascii_uppercase();
            match INTERPRETATIONS.iter().find(|code| **code == folded) {
                Some(code) => Value::tree(Out::object([(
                    "coding",
                    Out::List(vec![Out::object([
                        ("system", Out::text(system::INTERPRETATION)),
                        ("code", Out::text(*code)),
                    ])]),
                )])),
                None => {
                    ask.remark(Code::MAP_UNKNOWN_CODE, input.as_text());
                    Value::tree(Out::object([("text", Out::text(input.into_text()))]))
                }
            }
        },
    },
    Function {
        name: "lab_kind",
        takes: Kinds::NONE,
        parameters: &[value("jlac10", SCALAR), value("name", SCALAR)],
        gives: Kinds::TEXT,
        about: "What a test is about, by JLAC10 and name: `laboratory`, `microbiology`, `infection` (restricted) or `infection-held` (never automatic).",
        examples: &[
            (
                "lab_kind(x, 'アルブミン')",
                "3A015000002327101",
                "laboratory",
            ),
            ("lab_kind(x, 'HBs抗原')", "", "infection"),
            ("lab_kind(x, 'RPR')", "", "infection-held"),
        ],
        run: |_, ask| Value::Text(Cow::Borrowed(lab_kind(ask.text(0), ask.text(1)))),
    },
];

/// A Coding; `name` is an HL7 name, a URI or a name of the facility's own.
fn coding<'a>(
    facility: &'a str,
    name: Cow<'a, str>,
    code: Cow<'a, str>,
    display: Cow<'a, str>,
) -> Out<'a> {
    let uri = match name {
        name if name.starts_with("http") || name.starts_with("urn:") => name,
        Cow::Borrowed(name) => {
            jp_core::code_system(name).uri_or_local(&code, Usage::Any, facility, name)
        }
        Cow::Owned(name) => {
            let found = jp_core::code_system(&name);
            let found = found.uri_or_local(&code, Usage::Any, facility, &name);
            Cow::Owned(found.into_owned())
        }
    };
    Out::object([
        ("system", Out::Text(uri)),
        ("code", Out::Text(code)),
        ("display", Out::Text(display)),
    ])
}

fn translate<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>) -> Value<'a> {
    let code = input.into_text();
    let row = ask.table(0).and_then(|table| table.row(&code));
    let cell = |at: usize| row.and_then(|row| row.get(at)).map_or("", String::as_str);
    let mut text = ask.owned(2);
    let codings = if cell(1).is_empty() {
        ask.remark(Code::MAP_UNKNOWN_CODE, &code);
        if text.is_empty() {
            text = code;
        }
        Vec::new()
    } else {
        if text.is_empty() {
            text = if cell(2).is_empty() {
                code
            } else {
                Cow::Borrowed(cell(2))
            };
        }
        let (name, to, display) = (ask.owned(1), Cow::Borrowed(cell(1)), Cow::Borrowed(cell(2)));
        vec![coding(ask.facility(), name, to, display)]
    };
    Value::tree(Out::object([
        ("coding", Out::List(codings)),
        ("text", Out::Text(text)),
    ]))
}

/// What a test is about, by its JLAC10 code and its name; the more careful answer of both.
pub(crate) fn lab_kind(jlac10: &str, name: &str) -> &'static str {
    let found = infection::by_jlac10(jlac10).max(infection::by_name(name));
    match found {
        Some(infection::Infection::NeverAutomatic) => "infection-held",
        Some(infection::Infection::Restricted) => "infection",
        None if jlac10.starts_with('6') => "microbiology",
        None => "laboratory",
    }
}
