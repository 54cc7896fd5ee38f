//! Codes inside orders and results: CWE and CE values with every coding kept, units, and the codes that
//! stand in each other's place.

use std::borrow::Cow;

use renkei_core::{Code, Finding, Severity};
use renkei_fhir::emit::{CodeableConcept, Coding, Text};
use renkei_fhir::jp_core::{SystemMatch, Usage, code_system};
use renkei_fhir::ucum;
use renkei_hl7v2::{Component, Repetition};

use crate::context::Context;
use crate::reader::{Seg, trimmed};

/// What a sender calls its unit, and the UCUM code when there is one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Unit<'m> {
    /// As people read it.
    pub(crate) text: Text<'m>,
    /// UCUM, empty when the unit is not known.
    pub(crate) code: Text<'static>,
}

/// A code, its words and the name of its system (one triplet of a CWE).
pub(crate) struct Triplet<'m> {
    /// Opaque code, may be empty.
    pub(crate) code: Text<'m>,
    /// Words, may be empty.
    pub(crate) display: Text<'m>,
    /// The name of the system as sent.
    pub(crate) system: &'m str,
}

impl<'m> Triplet<'m> {
    /// True when neither code nor words were sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.code.is_empty() && self.display.is_empty()
    }

    /// Puts code and words into their places when they stand in each other's (`Rh+^+^JSHR002`).
    pub(crate) fn set_right(&mut self) -> bool {
        let is_swapped = match self.system {
            "JC10" => !is_jlac10(&self.code) && is_jlac10(&self.display),
            "JSHR002" => !is_blood_type(&self.code) && is_blood_type(&self.display),
            _ => {
                !self.code.is_ascii()
                    && (4..=20).contains(&self.display.len())
                    && self
                        .display
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric())
            }
        };
        if is_swapped {
            std::mem::swap(&mut self.code, &mut self.display);
        }
        is_swapped
    }
}

/// JLAC10 with or without its result id (17 or 15 characters).
pub(crate) fn is_jlac10(code: &str) -> bool {
    matches!(code.len(), 15..=17)
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && code.as_bytes()[0].is_ascii_digit()
}

fn is_blood_type(code: &str) -> bool {
    matches!(code, "+" | "-" | "A" | "B" | "O" | "AB")
}

impl<'m> Context<'m> {
    /// The two triplets of a coded value; the second is empty for most senders.
    pub(crate) fn triplets(
        &mut self,
        segment: Seg<'m>,
        field: usize,
        value: Repetition<'m>,
    ) -> [Triplet<'m>; 2] {
        let mut parts = value.components();
        let mut next = || {
            let mut text = || {
                parts
                    .next()
                    .map_or(Cow::Borrowed(""), |part| trimmed(part.text()))
            };
            let (code, display) = (text(), text());
            let system = parts
                .next()
                .map_or("", |part: Component<'m>| part.raw().trim());
            Triplet {
                code,
                display,
                system,
            }
        };
        let mut triplets = [next(), next()];
        for triplet in &mut triplets {
            if triplet.set_right() {
                self.note(Code::MAP_CODE_MISPLACED, segment.at(field));
            } else if triplet.display.is_empty() && !triplet.code.is_ascii() {
                // Words where the code goes, from a sender without codes.
                triplet.display = std::mem::take(&mut triplet.code);
            }
        }
        triplets
    }

    /// A coded value with all its codings; its words are those of the first triplet that has any.
    pub(crate) fn coded(
        &mut self,
        segment: Seg<'m>,
        field: usize,
        value: Repetition<'m>,
        usage: Usage,
    ) -> CodeableConcept<'m> {
        let triplets = self.triplets(segment, field, value);
        let mut concept = self.concept_from(triplets, usage);
        let original = trimmed(value.component(9).text());
        if !original.is_empty() {
            concept.text = original;
        }
        concept
    }

    /// The concept two triplets stand for.
    pub(crate) fn concept_from(
        &self,
        triplets: [Triplet<'m>; 2],
        usage: Usage,
    ) -> CodeableConcept<'m> {
        let mut concept = CodeableConcept::default();
        for triplet in triplets {
            if concept.text.is_empty() {
                concept.text = triplet.display.clone();
            }
            if !triplet.code.is_empty() {
                let system = self.system(&Cow::Borrowed(triplet.system), &triplet.code, usage);
                concept.coding.push(Coding::new(
                    system,
                    one_blank(triplet.code),
                    triplet.display,
                ));
            }
        }
        concept
    }

    /// A unit of measurement (OBX-6 and the like); what has no UCUM code is kept as text with a finding.
    pub(crate) fn unit(&mut self, segment: Seg<'m>, field: usize) -> Option<Unit<'m>> {
        let value = segment.field(field);
        if !value.has_value() {
            return None;
        }
        let (first, second) = (
            trimmed(value.component(1).text()),
            trimmed(value.component(2).text()),
        );
        let code = ucum::code(&first).or_else(|| ucum::code(&second));
        let text = if second.is_empty() { first } else { second };
        if text.is_empty() {
            return None;
        }
        if code.is_none() {
            let finding = Finding::new(Code::MAP_UNKNOWN_UNIT, Severity::Info, segment.at(field));
            self.find(finding.with_value(text.as_ref()));
        }
        Some(Unit {
            text,
            code: code.unwrap_or_default(),
        })
    }
}

/// Whether a name in CWE.3 stands for something known outside of the facility.
pub(crate) fn is_standard(system: &str, code: &str) -> bool {
    match code_system(system) {
        SystemMatch::Local | SystemMatch::Unknown => false,
        known => known.uri(code, Usage::Any).is_some(),
    }
}

/// A concept with words when it has none of its own.
pub(crate) fn with_text(mut concept: CodeableConcept<'_>) -> CodeableConcept<'_> {
    if concept.text.is_empty() {
        concept.text = concept
            .coding
            .first()
            .map_or(Text::default(), |coding| coding.code.clone());
    }
    concept
}

/// FHIR codes hold no runs of blanks (FHIR R4 `code`).
pub(crate) fn one_blank(code: Text<'_>) -> Text<'_> {
    if code.bytes().all(|byte| byte.is_ascii_graphic()) {
        return code;
    }
    if code.contains(|character: char| character.is_whitespace() && character != ' ')
        || code.contains("  ")
    {
        Cow::Owned(code.split_whitespace().collect::<Vec<_>>().join(" "))
    } else {
        code
    }
}

/// Text as FHIR strings allow it: no control characters but line ends and tabs, no outer blanks.
pub(crate) fn printable(text: Text<'_>) -> Text<'_> {
    let text = trimmed(text);
    // Control characters are below the blank, or DEL, or begin with C2 in UTF-8.
    let may_be_bad = |byte: u8| byte < b' ' || matches!(byte, 0x7F | 0xC2);
    if !text.bytes().any(may_be_bad) {
        return text;
    }
    let is_bad =
        |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if text.contains(is_bad) {
        Cow::Owned(text.replace(is_bad, ""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_right(code: &str, display: &str, system: &'static str) -> Option<(String, String)> {
        let mut triplet = Triplet {
            code: code.to_owned().into(),
            display: display.to_owned().into(),
            system,
        };
        triplet
            .set_right()
            .then(|| (triplet.code.into_owned(), triplet.display.into_owned()))
    }

    #[test]
    fn swapped_code_and_text_are_set_right() {
        for (code, display, system) in [
            ("+", "Rh+", "JSHR002"),
            ("3A015000002327101", "アルブミン", "JC10"),
            ("L00042", "うがい液", "99HOS"),
        ] {
            let right = Some((code.to_owned(), display.to_owned()));
            assert_eq!(set_right(display, code, system), right, "{display}");
            assert_eq!(set_right(code, display, system), None, "{code}");
        }
        assert_eq!(set_right("Rh+", "Rh", "JSHR002"), None);
        assert_eq!(set_right("胃炎", "", "99"), None);
    }

    #[test]
    fn fhir_codes_and_strings() {
        assert_eq!(one_blank("E.  coli\tx".into()), "E. coli x");
        assert!(matches!(one_blank("a b".into()), Cow::Borrowed("a b")));
        assert_eq!(printable(" a\u{1}\nb　".into()), "a\nb");
    }
}
