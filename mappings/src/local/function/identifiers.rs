//! Numbers that name something, and their check digits.

use renkei_core::Code;
use renkei_fhir::jp_core::identifier;
use unicode_normalization::UnicodeNormalization;

use super::{Ask, Form, Function, form, optional, value};
use crate::local::kind::Kinds;
use crate::local::value::{Out, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "identifier",
        takes: Kinds::SCALAR,
        parameters: &[form("system", Form::Fixed)],
        gives: Kinds::IDENTIFIER,
        about: "An Identifier: system `patient`, `doctor`, `facility`, `insurer`, a URI, or a name of the facility's own.",
        examples: &[
            (
                "x | identifier('patient')",
                "0000123456",
                r#"{"system":"urn:oid:1.2.392.100495.20.3.51.11319999999","value":"0000123456"}"#,
            ),
            (
                "x | identifier('order')",
                "7",
                r#"{"system":"http://renkei.invalid/facility/1319999999/IdSystem/order","value":"7"}"#,
            ),
        ],
        run: |input, ask| {
            let system = system(ask.text(0), ask.facility());
            Value::tree(Out::object([
                ("system", Out::text(system)),
                ("value", Out::text(input.into_text())),
            ]))
        },
    },
    Function {
        name: "reference",
        takes: Kinds::SCALAR,
        parameters: &[
            form("type", Form::Fixed),
            form("system", Form::Fixed),
            optional(value("display", Kinds::TEXT)),
        ],
        gives: Kinds::REFERENCE,
        about: "A Reference to something known only by its number; systems as in `identifier`.",
        examples: &[(
            "x | reference('Practitioner', 'doctor', '橋本 健一')",
            "D01",
            r#"{"type":"Practitioner","identifier":{"system":"urn:oid:1.2.392.100495.20.3.41.11319999999","value":"D01"},"display":"橋本 健一"}"#,
        )],
        run: |input, ask| {
            let system = system(ask.text(1), ask.facility());
            let number = Out::object([
                ("system", Out::text(system)),
                ("value", Out::text(input.into_text())),
            ]);
            Value::tree(Out::object([
                ("type", Out::text(ask.owned(0))),
                ("identifier", number),
                ("display", Out::text(ask.owned(2))),
            ]))
        },
    },
    Function {
        name: "facility_number",
        takes: Kinds::SCALAR,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "A 10-character facility number whose check digit is right; else nothing and a finding.",
        examples: &[
            ("x | facility_number", "0110113719", "0110113719"),
            ("x | facility_number", "0110113718", ""),
        ],
        run: |input, ask| checked(input, ask, |text| text.len() == 10),
    },
    Function {
        name: "insurer_number",
        takes: Kinds::SCALAR,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "An insurer number (6 or 8 digits) whose check digit is right, padded to 8.",
        examples: &[
            ("x | insurer_number", "138057", "00138057"),
            ("x | insurer_number", "138058", ""),
        ],
        run: |input, ask| {
            let text = checked(input, ask, |text| {
                matches!(text.len(), 6 | 8) && text.bytes().all(|byte| byte.is_ascii_digit())
            });
            match text {
                Value::Text(text) => Value::text(format!("{text:0>8}")),
                other => other,
            }
        },
    },
    Function {
        name: "check_digit",
        takes: Kinds::SCALAR,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "A number whose last digit is its check digit (weights 2, 1 from the right, modulus 10).",
        examples: &[
            ("x | check_digit", "1319999999", "1319999999"),
            ("x | check_digit", "1319999998", ""),
        ],
        run: |input, ask| checked(input, ask, |text| text.len() >= 2),
    },
    Function {
        name: "postal_code",
        takes: Kinds::SCALAR,
        parameters: &[],
        gives: Kinds::TEXT,
        about: "A postal code as `NNN-NNNN`; anything but seven digits is nothing and a finding.",
        examples: &[
            ("x | postal_code", "〒166０００４", "166-0004"),
            ("x | postal_code", "166", ""),
        ],
        run: |input, ask| {
            let digits: String = input
                .as_text()
                .nfkc()
                .filter(char::is_ascii_digit)
                .collect();
            match digits.split_at_checked(3) {
                Some((area, rest)) if rest.len() == 4 => Value::text(format!("{area}-{rest}")),
                _ => ask.refuse(Code::MAP_VALUE_REFUSED, input.as_text()),
            }
        },
    },
    Function {
        name: "link",
        takes: Kinds::SCALAR,
        parameters: &[form("address", Form::Fixed)],
        gives: Kinds::TEXT,
        about: "A way back to a viewer: the address with the value, escaped, at `{}`. Only `https://`, and never with a user or password in it.",
        examples: &[
            (
                "x | link('https://lab.example/view?no={}')",
                "A 1/2",
                "https://lab.example/view?no=A%201%2F2",
            ),
            ("x | link('https://me:pw@lab.example/{}')", "1", ""),
        ],
        run: |input, ask| {
            let address = ask.text(0);
            let host = address.strip_prefix("https://");
            let host = host.and_then(|rest| rest.split(['/', '?', '#']).next());
            match host {
                Some(host) if !host.is_empty() && !host.contains(['@', '{']) => {
                    let value = escaped(input.as_text());
                    Value::text(address.replace("{}", &value))
                }
                _ => ask.refuse(Code::MAP_VALUE_REFUSED, input.as_text()),
            }
        },
    },
];

/// All but letters, digits and `-._~` as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

/// The system of an identifier by its short name.
fn system(name: &str, facility: &str) -> String {
    match name {
        "patient" => identifier::patient(facility),
        "doctor" => identifier::doctor(facility),
        "facility" => identifier::MEDICAL_INSTITUTION.to_owned(),
        "insurer" => identifier::INSURER.to_owned(),
        "prescription" => identifier::local_prescription(facility),
        "rp-number" => identifier::RP_NUMBER.to_owned(),
        "order-in-rp" => identifier::ORDER_IN_RP.to_owned(),
        "resource" => identifier::RESOURCE_INSTANCE.to_owned(),
        uri if uri.contains(':') => uri.to_owned(),
        local => identifier::local(facility, local),
    }
}

fn checked<'a>(input: Value<'a>, ask: &mut Ask<'_, 'a>, form: fn(&str) -> bool) -> Value<'a> {
    let text: String = input
        .as_text()
        .nfkc()
        .filter(|sign| !matches!(sign, '-' | ' '))
        .collect();
    if form(&text) && has_check_digit(&text) {
        Value::text(text)
    } else {
        ask.refuse(Code::MAP_VALUE_REFUSED, input.as_text())
    }
}

/// Weights 2, 1, 2, 1 … from the right of all but the last; the digits of each product summed; letters count
/// A = 10 … Z = 32, without I, O and Q (numbers of care offices).
fn has_check_digit(number: &str) -> bool {
    let Some((body, check)) = number.split_at_checked(number.len().saturating_sub(1)) else {
        return false;
    };
    let mut sum = 0;
    for (place, letter) in body.bytes().rev().enumerate() {
        let Some(worth) = worth(letter) else {
            return false;
        };
        let product = if place % 2 == 0 { worth * 2 } else { worth };
        sum += product / 10 + product % 10;
    }
    !body.is_empty() && check.parse::<u32>() == Ok((10 - sum % 10) % 10)
}

fn worth(letter: u8) -> Option<u32> {
    match letter {
        b'0'..=b'9' => Some(u32::from(letter - b'0')),
        b'A'..=b'Z' => {
            let place = b"ABCDEFGHJKLMNPRSTUVWXYZ"
                .iter()
                .position(|known| *known == letter)?;
            u32::try_from(place + 10).ok()
        }
        _ => None,
    }
}
