//! Elements with parts of their own, and what steers a pipe.

use std::borrow::Cow;

use renkei_core::Code;
use renkei_fhir::jp_core::extension;

use super::{Form, Function, form, optional, value};
use crate::local::kind::Kinds;
use crate::local::value::{Out, Value};

const SCALAR: Kinds = Kinds::SCALAR;
const MOMENT: Kinds = Kinds::DATE.or(Kinds::DATE_TIME).or(Kinds::INSTANT);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "required",
        takes: Kinds::ANY,
        parameters: &[],
        gives: Kinds::ANY,
        about: "Nothing here is a finding, and leaves out the smallest thing that needs the value.",
        examples: &[("x | required", "a", "a")],
        run: |input, _| input,
    },
    Function {
        name: "sure",
        takes: SCALAR,
        parameters: &[
            value("confidence", SCALAR),
            value("at least", Kinds::NUMBER),
        ],
        gives: Kinds::ANY,
        about: "The text of an OCR field when its confidence is high enough; else nothing and a finding.",
        examples: &[
            ("x | sure('0.95', 0.9)", "山本", "山本"),
            ("x | sure('0.5', 0.9)", "山本", ""),
        ],
        run: |input, ask| {
            let number = |at: usize| ask.text(at).parse::<f64>().ok();
            match (number(0), number(1)) {
                (Some(found), Some(least)) if found >= least => input,
                _ => ask.refuse(Code::MAP_LOW_CONFIDENCE, input.as_text()),
            }
        },
    },
    Function {
        name: "refs",
        takes: Kinds::NONE,
        parameters: &[form("entry", Form::Entry)],
        gives: Kinds::TEXT,
        about: "After `each:` only: the references (`Observation/…`) of what an entry of `resources:` has made in this draft.",
        examples: &[],
        run: |_, _| Value::Nothing,
    },
    Function {
        name: "name",
        takes: SCALAR,
        parameters: &[optional(form(
            "representation",
            Form::OneOf(&["IDE", "SYL", "ABC"]),
        ))],
        gives: Kinds::NAME,
        about: "A HumanName from family and given name with a blank between; representation `IDE` kanji, `SYL` kana, `ABC` roman.",
        examples: &[(
            "x | name('IDE')",
            "山本　京子",
            r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation","valueCode":"IDE"}],"use":"official","text":"山本 京子","family":"山本","given":["京子"]}"#,
        )],
        run: |input, ask| {
            let parts: Vec<&str> = input.as_text().split_whitespace().collect();
            let (family, given) = match parts.as_slice() {
                [] => return Value::Nothing,
                [only] => ("", vec![*only]),
                [family, given @ ..] => (*family, given.to_vec()),
            };
            // A name without a blank is not divided by guessing.
            let given: Vec<Out<'_>> = match family {
                "" => Vec::new(),
                _ => given
                    .iter()
                    .map(|part| Out::text((*part).to_owned()))
                    .collect(),
            };
            let represented = match ask.text(0) {
                "" => Vec::new(),
                _ => vec![Out::object([
                    ("url", Out::text(extension::EN_REPRESENTATION)),
                    ("valueCode", Out::text(ask.owned(0))),
                ])],
            };
            Value::tree(Out::object([
                ("extension", Out::List(represented)),
                ("use", Out::text("official")),
                ("text", Out::text(parts.join(" "))),
                ("family", Out::text(family.to_owned())),
                ("given", Out::List(given)),
            ]))
        },
    },
    Function {
        name: "contact",
        takes: SCALAR,
        parameters: &[
            form(
                "system",
                Form::OneOf(&["phone", "fax", "email", "pager", "url", "sms", "other"]),
            ),
            optional(form(
                "use",
                Form::OneOf(&["home", "work", "temp", "old", "mobile"]),
            )),
        ],
        gives: Kinds::CONTACT,
        about: "A ContactPoint: `phone`, `fax`, `email`; use `home`, `work`, `mobile`.",
        examples: &[(
            "x | contact('phone', 'home')",
            "03-0000-0001",
            r#"{"system":"phone","value":"03-0000-0001","use":"home"}"#,
        )],
        run: |input, ask| {
            Value::tree(Out::object([
                ("system", Out::text(ask.owned(0))),
                ("value", Out::text(input.into_text())),
                ("use", Out::text(ask.owned(1))),
            ]))
        },
    },
    Function {
        name: "address",
        takes: SCALAR,
        parameters: &[optional(value("postal code", SCALAR))],
        gives: Kinds::ADDRESS,
        about: "An Address in one line.",
        examples: &[(
            "x | address('166-0004')",
            "東京都杉並区架空町99-1",
            r#"{"text":"東京都杉並区架空町99-1","postalCode":"166-0004","country":"JP"}"#,
        )],
        run: |input, ask| {
            Value::tree(Out::object([
                ("text", Out::text(input.into_text())),
                ("postalCode", Out::text(ask.owned(0))),
                ("country", Out::text("JP")),
            ]))
        },
    },
    Function {
        name: "note",
        takes: SCALAR,
        parameters: &[],
        gives: Kinds::NOTE,
        about: "An Annotation.",
        examples: &[("x | note", "溶血あり", r#"{"text":"溶血あり"}"#)],
        run: |input, _| Value::tree(Out::object([("text", Out::text(input.into_text()))])),
    },
    Function {
        name: "period",
        takes: Kinds::NONE,
        parameters: &[value("start", MOMENT), value("end", MOMENT)],
        gives: Kinds::PERIOD,
        about: "A Period; one end may be nothing.",
        examples: &[(
            "period(x | date, '20250131' | date)",
            "20250110",
            r#"{"start":"2025-01-10","end":"2025-01-31"}"#,
        )],
        run: |_, ask| {
            let end = |at: usize| -> Cow<'_, str> { ask.owned(at) };
            Value::tree(Out::object([
                ("start", Out::Text(end(0))),
                ("end", Out::Text(end(1))),
            ]))
        },
    },
];
