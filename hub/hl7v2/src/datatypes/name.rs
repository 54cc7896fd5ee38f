//! Names of people: XPN and XCN with their kanji, kana and alphabetic forms.

use std::borrow::Cow;

use crate::kana;
use crate::view::{Component, Field, Repetition};

/// How a name is written: XPN.8, XCN.15 (HL7 table 4000 / 0465).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Representation {
    /// `I`: kanji.
    Ideographic,
    /// `P`: kana.
    Phonetic,
    /// `A`: Latin letters.
    Alphabetic,
}

impl Representation {
    fn from_code(code: &str) -> Option<Self> {
        match code {
            "I" => Some(Self::Ideographic),
            "P" => Some(Self::Phonetic),
            "A" => Some(Self::Alphabetic),
            _ => None,
        }
    }

    /// By script: all kana is phonetic, all Latin alphabetic, anything else ideographic; `None`
    /// for an empty name.
    fn of_script(name: &str) -> Option<Self> {
        if name.trim().is_empty() {
            None
        } else if name.chars().all(kana::is_kana) {
            Some(Self::Phonetic)
        } else if name.chars().all(is_latin) {
            Some(Self::Alphabetic)
        } else {
            Some(Self::Ideographic)
        }
    }
}

fn is_latin(character: char) -> bool {
    matches!(character, '\u{20}'..='\u{24F}' | '\u{FF01}'..='\u{FF5E}' | '\u{3000}' | '\u{2019}')
}

/// What XPN and XCN have in common.
struct Name<'a> {
    family: Cow<'a, str>,
    given: Cow<'a, str>,
    representation: Option<Representation>,
    is_shifted: bool,
    is_split: bool,
}

impl<'a> Name<'a> {
    /// The representation is the explicit code, else a lone `I`, `P` or `A` one component early
    /// (seen in the wild), else the script of the name.
    fn read(
        family: Component<'a>,
        given: Component<'a>,
        explicit: Component<'a>,
        early: Component<'a>,
    ) -> Self {
        let mut family = family.subcomponent(1).text();
        let mut given = given.text();
        let said = Representation::from_code(explicit.raw().trim());
        let said_early =
            Representation::from_code(early.raw().trim()).filter(|_| explicit.is_empty());
        let sample = if family.is_empty() { &given } else { &family };
        let representation = said
            .or(said_early)
            .or_else(|| Representation::of_script(sample));
        let mut is_split = false;
        if given.is_empty()
            && representation != Some(Representation::Alphabetic)
            && let Some(parts) = split_whole(&family)
        {
            (family, given) = parts;
            is_split = true;
        }
        Self {
            family,
            given,
            representation,
            is_shifted: said_early.is_some(),
            is_split,
        }
    }
}

/// Splits `山本　京子` into family and given name when there are exactly two parts.
fn split_whole<'a>(whole: &Cow<'a, str>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let is_space = |character| matches!(character, ' ' | '\u{3000}');
    let mut parts = whole.split(is_space).filter(|part| !part.is_empty());
    let (family, given) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    match whole {
        Cow::Borrowed(text) => {
            let mut parts = text.split(is_space).filter(|part| !part.is_empty());
            Some((Cow::Borrowed(parts.next()?), Cow::Borrowed(parts.next()?)))
        }
        Cow::Owned(_) => Some((Cow::Owned(family.to_owned()), Cow::Owned(given.to_owned()))),
    }
}

/// XPN, one form of a person's name (PID-5, NK1-2).
///
/// The forms of one name are repetitions in any order, and any may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xpn<'a> {
    /// XPN.1, first subcomponent.
    pub family: Cow<'a, str>,
    /// XPN.2.
    pub given: Cow<'a, str>,
    /// XPN.3.
    pub middle: Cow<'a, str>,
    /// XPN.7, such as `L` (legal); empty when it held the representation.
    pub name_type: Cow<'a, str>,
    /// XPN.8, or found as [`Xpn::is_shifted`] says, or by script; `None` for an empty name.
    pub representation: Option<Representation>,
    /// The representation stood one component early, in XPN.7. A finding.
    pub is_shifted: bool,
    /// The whole name stood in XPN.1 and was split at its space. A finding.
    pub is_split: bool,
}

impl<'a> Xpn<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        let part = |number| repetition.component(number);
        let name = Name::read(part(1), part(2), part(8), part(7));
        Self {
            family: name.family,
            given: name.given,
            middle: part(3).text(),
            name_type: if name.is_shifted {
                Cow::Borrowed("")
            } else {
                part(7).text()
            },
            representation: name.representation,
            is_shifted: name.is_shifted,
            is_split: name.is_split,
        }
    }

    /// All repetitions of a field that carry a name.
    pub fn all(field: Field<'a>) -> impl Iterator<Item = Self> {
        field
            .repetitions()
            .map(Self::new)
            .filter(|name| !name.is_empty())
    }

    /// Family, middle and given name in Japanese order with one space; for alphabetic names given
    /// name first.
    #[must_use]
    pub fn text(&self) -> String {
        let japanese = [&self.family, &self.middle, &self.given];
        let western = [&self.given, &self.middle, &self.family];
        let is_western = self.representation == Some(Representation::Alphabetic);
        let parts = if is_western { western } else { japanese };
        let mut text = String::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(part);
        }
        text
    }

    /// True when no name was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.family.is_empty() && self.given.is_empty()
    }
}

/// XCN, a staff member (PV1-7, ORC-12): id and one form of the name. A second repetition may give
/// the same person in kana.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xcn<'a> {
    /// XCN.1.
    pub id: Cow<'a, str>,
    /// XCN.2, first subcomponent. The whole name where the sender does not split it.
    pub family: Cow<'a, str>,
    /// XCN.3.
    pub given: Cow<'a, str>,
    /// XCN.10, such as `L`.
    pub name_type: Cow<'a, str>,
    /// XCN.15, or found one component early, or by script; `None` for an empty name.
    pub representation: Option<Representation>,
    /// The representation stood one component early. A finding.
    pub is_shifted: bool,
    /// The whole name stood in XCN.2 and was split at its space. A finding.
    pub is_split: bool,
}

impl<'a> Xcn<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        let part = |number| repetition.component(number);
        let name = Name::read(part(2), part(3), part(15), part(14));
        Self {
            id: part(1).text(),
            family: name.family,
            given: name.given,
            name_type: part(10).text(),
            representation: name.representation,
            is_shifted: name.is_shifted,
            is_split: name.is_split,
        }
    }

    /// All repetitions of a field that carry an id or a name.
    pub fn all(field: Field<'a>) -> impl Iterator<Item = Self> {
        field
            .repetitions()
            .map(Self::new)
            .filter(|person| !person.is_empty())
    }

    /// Family and given name with one space.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.family.clone().into_owned();
        if !text.is_empty() && !self.given.is_empty() {
            text.push(' ');
        }
        text.push_str(&self.given);
        text
    }

    /// True when neither id nor name was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id.is_empty() && self.family.is_empty() && self.given.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Delimiters;

    fn name(raw: &str) -> Xpn<'_> {
        Xpn::new(Repetition::new(raw, Delimiters::default()))
    }

    fn staff(raw: &str) -> Xcn<'_> {
        Xcn::new(Repetition::new(raw, Delimiters::default()))
    }

    #[test]
    fn both_forms_of_a_name() {
        let field = Field::new(
            "ヤマモト^キョウコ^^^^^L^P~山本^京子^^^^^L^I~",
            Delimiters::default(),
        );
        let forms: Vec<_> = Xpn::all(field).collect();
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].representation, Some(Representation::Phonetic));
        assert_eq!(forms[1].representation, Some(Representation::Ideographic));
        assert_eq!(
            (forms[1].text().as_str(), forms[1].name_type.as_ref()),
            ("山本 京子", "L")
        );
        assert!(!forms[1].is_shifted && !forms[1].is_split);
    }

    #[test]
    fn a_representation_one_component_early() {
        let shifted = name("山本^京子^^^^L^I");
        assert_eq!(shifted.representation, Some(Representation::Ideographic));
        assert!(shifted.is_shifted && shifted.name_type.is_empty());
        assert!(!name("山本^京子^^^^^L").is_shifted);
        // With XPN.8 present XPN.7 is a name type, even when it is `P`.
        assert_eq!(
            name("山本^京子^^^^^P^I").representation,
            Some(Representation::Ideographic)
        );
    }

    #[test]
    fn the_script_decides_when_nothing_is_said() {
        for (raw, expected) in [
            ("ヤマモト^キョウコ", Some(Representation::Phonetic)),
            ("ﾔﾏﾓﾄ^ｷｮｳｺ", Some(Representation::Phonetic)),
            ("やまもと^きょうこ", Some(Representation::Phonetic)),
            ("山本^キョウコ", Some(Representation::Ideographic)),
            ("Yamamoto^Kyoko", Some(Representation::Alphabetic)),
            ("ＹＡＭＡＭＯＴＯ^", Some(Representation::Alphabetic)),
            ("^京子", Some(Representation::Ideographic)),
            ("", None),
        ] {
            assert_eq!(name(raw).representation, expected, "{raw}");
        }
    }

    #[test]
    fn a_whole_name_in_one_part_is_split_and_flagged() {
        let whole = name("山本　京子^^^^^^L^I");
        assert_eq!(
            (whole.family.as_ref(), whole.given.as_ref()),
            ("山本", "京子")
        );
        assert!(whole.is_split);
        assert!(matches!(whole.family, Cow::Borrowed(_)));
        assert!(name("ﾔﾏﾓﾄ ｷｮｳｺ^^^^^^L^P").is_split);
        for kept in [
            "マリア　ダ　シルバ^^^^^^L^P",
            "van Dyke^^^^^^L^A",
            "山本^^^^^^L^I",
            "　山本　^^^^^^L^I",
        ] {
            assert!(!name(kept).is_split, "{kept}");
        }
        assert_eq!(name("Yamamoto^Kyoko^M^^^^L^A").text(), "Kyoko M Yamamoto");
        assert_eq!(name(r"山\T\本　京子").family, "山&本");
        assert!(name("\"\"").is_empty());
    }

    #[test]
    fn staff_members() {
        let doctor = staff("ishi01^医師一郎^^^^^^^^L^^^^^I");
        assert_eq!(
            (doctor.id.as_ref(), doctor.family.as_ref()),
            ("ishi01", "医師一郎")
        );
        assert_eq!(
            (doctor.representation, doctor.name_type.as_ref()),
            (Some(Representation::Ideographic), "L")
        );
        assert_eq!(staff("DR1^橋本^健一^^^^^^^L^^^^^I").text(), "橋本 健一");
        assert_eq!(
            staff("DR1^ハシモト^ケンイチ").representation,
            Some(Representation::Phonetic)
        );
        assert!(staff("DR1^橋本^健一^^^^^^^L^^^^I").is_shifted);
        assert!(staff("DR1^橋本　健一").is_split);
        let field = Field::new("DR1^橋本~^^~DR2", Delimiters::default());
        assert_eq!(Xcn::all(field).count(), 2);
    }
}
