//! Names of people (XPN) as Japan writes them: kanji and kana as repetitions of one field.

use std::borrow::Cow;

use renkei_fhir::emit::HumanName;
use renkei_hl7v2::{Repetition, kana};

use crate::context::{joined_name, without_wide_space};
use crate::reader::trimmed;

/// In which script a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    /// 漢字, as the person writes it.
    Ideographic,
    /// カナ, as it is read.
    Phonetic,
    /// Roman letters.
    Alphabetic,
}

/// One name in one script.
pub(crate) struct Name<'m> {
    /// 姓
    pub(crate) family: Cow<'m, str>,
    /// 名
    pub(crate) given: Cow<'m, str>,
    /// The script.
    pub(crate) representation: Representation,
    /// Written in a form that had to be guessed by its script or cut at a blank.
    pub(crate) is_unusual: bool,
}

impl<'m> Name<'m> {
    /// Family and given name with one half-width space.
    pub(crate) fn text(&self) -> Cow<'m, str> {
        joined_name(self.family.clone(), self.given.clone())
    }

    /// As a `JP_HumanName`.
    pub(crate) fn into_fhir(self) -> HumanName<'m> {
        let code = match self.representation {
            Representation::Ideographic => "IDE",
            Representation::Phonetic => "SYL",
            Representation::Alphabetic => "ABC",
        };
        let text = self.text();
        HumanName {
            r#use: "official".into(),
            text,
            family: self.family,
            given: vec![self.given],
            ..HumanName::represented(code)
        }
    }
}

/// Reads one repetition of a name; `None` when it holds none.
///
/// XPN.8 names the script; `I`, `P` or `A` one component early happens; without either the script decides
/// (HL7 v2.5 ch. 2.A.88, table 0465). A whole name in XPN.1 is cut at its blank.
pub(crate) fn xpn(sent: Repetition<'_>) -> Option<Name<'_>> {
    let part = |number: usize| without_wide_space(trimmed(sent.component(number).text()));
    let (mut family, mut given) = (part(1), part(2));
    let mut is_unusual = false;
    if given.is_empty()
        && let Some((first, rest)) = family.split_once(' ')
    {
        is_unusual = true;
        (family, given) = (
            Cow::Owned(first.to_owned()),
            Cow::Owned(rest.trim().to_owned()),
        );
    }
    if family.is_empty() && given.is_empty() {
        return None;
    }
    let said = match sent.component(8).raw() {
        "" => {
            is_unusual = true;
            sent.component(7).raw()
        }
        code => code,
    };
    let representation = match said {
        "I" => Representation::Ideographic,
        "P" => Representation::Phonetic,
        "A" => Representation::Alphabetic,
        _ => by_script(&family, &given),
    };
    if representation == Representation::Phonetic {
        (family, given) = (widened(family), widened(given));
    }
    Some(Name {
        family,
        given,
        representation,
        is_unusual,
    })
}

fn by_script(family: &str, given: &str) -> Representation {
    let mut letters = family.chars().chain(given.chars());
    if letters.clone().all(kana::is_kana) {
        Representation::Phonetic
    } else if letters.all(|letter| letter.is_ascii()) {
        Representation::Alphabetic
    } else {
        Representation::Ideographic
    }
}

fn widened(text: Cow<'_, str>) -> Cow<'_, str> {
    match kana::to_full_width_kana(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(wide) => Cow::Owned(wide),
    }
}

/// Katakana for posts: half-width widened, hiragana turned, nothing else changed.
pub(crate) fn katakana(text: &str) -> String {
    let turned = |letter: char| match letter {
        '\u{3041}'..='\u{3096}' => char::from_u32(u32::from(letter) + 0x60).unwrap_or(letter),
        other => other,
    };
    kana::to_full_width_kana(text).chars().map(turned).collect()
}
