//! Views of one field and what is inside it: repetition, component, subcomponent.
//!
//! All views are small `Copy` values over the decoded text. What is absent is an empty view, so
//! that reading `field(5).component(2).text()` needs no `Option`. Splitting happens on demand.

use std::borrow::Cow;

use crate::escape::unescape;

/// The delimiters of one message, from MSH-1 and MSH-2 (HL7 v2.5 ch. 2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    pub(crate) field: u8,
    pub(crate) component: u8,
    pub(crate) repetition: u8,
    pub(crate) escape: char,
    pub(crate) subcomponent: u8,
}

impl Default for Delimiters {
    /// The recommended ones: `|^~\&`.
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: '\\',
            subcomponent: b'&',
        }
    }
}

impl Delimiters {
    /// For MSH-1 and MSH-2, whose text *is* the delimiters and is never split or unescaped.
    pub(crate) const LITERAL: Self = Self {
        field: 0,
        component: 0,
        repetition: 0,
        escape: '\0',
        subcomponent: 0,
    };

    /// MSH-1.
    #[must_use]
    pub fn field(&self) -> char {
        char::from(self.field)
    }

    /// First character of MSH-2.
    #[must_use]
    pub fn component(&self) -> char {
        char::from(self.component)
    }

    /// Second character of MSH-2.
    #[must_use]
    pub fn repetition(&self) -> char {
        char::from(self.repetition)
    }

    /// Third character of MSH-2; `¥` (U+00A5) where a Japanese font showed a backslash as yen.
    #[must_use]
    pub fn escape(&self) -> char {
        self.escape
    }

    /// Fourth character of MSH-2.
    #[must_use]
    pub fn subcomponent(&self) -> char {
        char::from(self.subcomponent)
    }
}

/// The `number`-th part (from 1) of `text` split at `separator`; empty when there is none.
fn part(text: &str, separator: u8, number: usize) -> &str {
    let mut rest = text;
    for _ in 1..number {
        match rest.bytes().position(|byte| byte == separator) {
            Some(end) => rest = &rest[end + 1..],
            None => return "",
        }
    }
    if number == 0 {
        return "";
    }
    first_part(rest, separator)
}

fn first_part(text: &str, separator: u8) -> &str {
    match text.bytes().position(|byte| byte == separator) {
        Some(end) => &text[..end],
        None => text,
    }
}

/// All parts of `text` split at `separator`, one empty part for an empty text. Parts are a few bytes long: looking
/// at each byte is quicker here than starting a search for the next separator.
#[derive(Clone)]
struct Parts<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let part = first_part(rest, self.separator);
        self.rest = rest.get(part.len() + 1..);
        Some(part)
    }
}

fn parts(text: &str, separator: u8) -> Parts<'_> {
    let rest = Some(text);
    Parts { rest, separator }
}

macro_rules! view {
    ($(#[$meta:meta])* $name:ident, $whole:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            raw: &'a str,
            delimiters: Delimiters,
        }

        impl<'a> $name<'a> {
            pub(crate) fn new(raw: &'a str, delimiters: Delimiters) -> Self {
                Self { raw, delimiters }
            }

            /// The text as sent, escape sequences and delimiters included.
            #[must_use]
            pub fn raw(self) -> &'a str {
                self.raw
            }

            /// True when nothing was sent (which differs from [`Self::is_null`]).
            #[must_use]
            pub fn is_empty(self) -> bool {
                self.raw.is_empty()
            }

            /// True for `""`: the sender says that the value is to be deleted (HL7 v2.5 ch. 2.6).
            #[must_use]
            pub fn is_null(self) -> bool {
                self.raw == "\"\""
            }

            /// True when there is something to read: neither empty nor `""`.
            #[must_use]
            pub fn has_value(self) -> bool {
                !self.is_empty() && !self.is_null()
            }

            /// All of the text with its escape sequences replaced and delimiters left standing;
            /// empty for `""`.
            #[must_use]
            pub fn $whole(self) -> Cow<'a, str> {
                if self.is_null() {
                    return Cow::Borrowed("");
                }
                unescape(self.raw, &self.delimiters)
            }
        }
    };
}

view!(
    /// One field, all repetitions of it.
    Field, full_text
);
view!(
    /// One repetition of a field.
    Repetition, full_text
);
view!(
    /// One component of a repetition.
    Component, text
);
view!(
    /// One subcomponent, the smallest part.
    Subcomponent, text
);

impl<'a> Field<'a> {
    /// The repetitions in order; one empty repetition for an empty field.
    pub fn repetitions(self) -> impl Iterator<Item = Repetition<'a>> + Clone {
        parts(self.raw, self.delimiters.repetition)
            .map(move |raw| Repetition::new(raw, self.delimiters))
    }

    /// The repetition with this number, from 1.
    #[must_use]
    pub fn repetition(self, number: usize) -> Repetition<'a> {
        Repetition::new(
            part(self.raw, self.delimiters.repetition, number),
            self.delimiters,
        )
    }

    /// How many repetitions there are; 0 for an empty field.
    #[must_use]
    pub fn repetition_count(self) -> usize {
        if self.raw.is_empty() {
            0
        } else {
            self.repetitions().count()
        }
    }

    /// The component with this number (from 1) of the first repetition.
    #[must_use]
    pub fn component(self, number: usize) -> Component<'a> {
        self.first().component(number)
    }

    /// The first component of the first repetition, unescaped; empty for `""`.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        self.component(1).text()
    }

    fn first(self) -> Repetition<'a> {
        Repetition::new(
            first_part(self.raw, self.delimiters.repetition),
            self.delimiters,
        )
    }
}

impl<'a> Repetition<'a> {
    /// The components in order; one empty component for an empty repetition.
    pub fn components(self) -> impl Iterator<Item = Component<'a>> + Clone {
        parts(self.raw, self.delimiters.component)
            .map(move |raw| Component::new(raw, self.delimiters))
    }

    /// The component with this number, from 1.
    #[must_use]
    pub fn component(self, number: usize) -> Component<'a> {
        Component::new(
            part(self.raw, self.delimiters.component, number),
            self.delimiters,
        )
    }

    /// The first component, unescaped; empty for `""`.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        self.component(1).text()
    }
}

impl<'a> Component<'a> {
    /// The subcomponents in order; one empty subcomponent for an empty component.
    pub fn subcomponents(self) -> impl Iterator<Item = Subcomponent<'a>> + Clone {
        parts(self.raw, self.delimiters.subcomponent)
            .map(move |raw| Subcomponent::new(raw, self.delimiters))
    }

    /// The subcomponent with this number, from 1.
    #[must_use]
    pub fn subcomponent(self, number: usize) -> Subcomponent<'a> {
        Subcomponent::new(
            part(self.raw, self.delimiters.subcomponent, number),
            self.delimiters,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(raw: &str) -> Field<'_> {
        Field::new(raw, Delimiters::default())
    }

    #[test]
    fn parts_are_counted_from_one_and_absent_ones_are_empty() {
        let name = field("山本^京子^^^^^L^I~ヤマモト^キョウコ^^^^^L^P");
        assert_eq!(name.repetition_count(), 2);
        assert_eq!(name.component(1).raw(), "山本");
        assert_eq!(name.component(8).raw(), "I");
        assert_eq!(name.repetition(2).component(2).text(), "キョウコ");
        for absent in [
            name.component(0),
            name.component(9),
            name.repetition(3).component(1),
        ] {
            assert!(absent.is_empty());
            assert_eq!(absent.text(), "");
        }
        assert!(name.repetition(0).is_empty());
        assert_eq!(name.repetition(1).components().count(), 8);
        let unit = field("3^TAB&錠&MR9P").component(2);
        assert_eq!(unit.subcomponent(2).text(), "錠");
        assert_eq!(unit.subcomponents().count(), 3);
        assert_eq!(field("").repetition_count(), 0);
    }

    #[test]
    fn null_differs_from_empty_and_reads_as_no_text() {
        let null = field("\"\"");
        assert!(null.is_null() && !null.is_empty() && !null.has_value());
        assert_eq!(null.text(), "");
        assert_eq!(null.full_text(), "");
        assert!(field("a^\"\"").component(2).is_null());
        assert!(!field("\"").is_null());
        assert!(field("x").has_value());
    }

    #[test]
    fn text_is_unescaped_after_splitting() {
        let name = field(r"a\S\b^c\R\d");
        assert_eq!(name.text(), "a^b");
        assert_eq!(name.component(2).text(), "c~d");
        assert_eq!(name.full_text(), "a^b^c~d");
        assert_eq!(name.raw(), r"a\S\b^c\R\d");
    }
}
