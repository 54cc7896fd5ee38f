//! Kinds of values, known before a mapping runs.

use std::fmt;

/// A set of kinds: what an expression may give, or a place may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u32);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $bit:literal $word:literal;)*) => {
        impl Kinds {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            const WORDS: &'static [(Self, &'static str)] = &[$((Self::$name, $word)),*];
        }
    };
}

kinds! {
    /// Letters; what every source field is.
    TEXT = 0 "text";
    /// A decimal number as written.
    NUMBER = 1 "a number";
    /// Yes or no.
    BOOL = 2 "true or false";
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    DATE = 3 "a date";
    /// A date, with a time and offset where one was sent.
    DATE_TIME = 4 "a date and time";
    /// A date and time, never less.
    INSTANT = 5 "an instant";
    /// `HH:MM:SS`.
    TIME = 6 "a time of day";
    /// FHIR `Coding`.
    CODING = 7 "a coding";
    /// FHIR `CodeableConcept`.
    CONCEPT = 8 "a concept";
    /// FHIR `Quantity`.
    QUANTITY = 9 "a quantity";
    /// `Observation.referenceRange`.
    RANGE = 10 "a reference range";
    /// FHIR `Reference`.
    REFERENCE = 11 "a reference";
    /// FHIR `Identifier`.
    IDENTIFIER = 12 "an identifier";
    /// FHIR `HumanName`.
    NAME = 13 "a name";
    /// FHIR `ContactPoint`.
    CONTACT = 14 "a contact point";
    /// FHIR `Address`.
    ADDRESS = 15 "an address";
    /// What a laboratory wrote as its result: stands at `value[x]`.
    RESULT = 16 "a result";
    /// FHIR `Annotation`.
    NOTE = 17 "a note";
    /// FHIR `Period`.
    PERIOD = 18 "a period";
    /// Several texts, for an element that repeats.
    LIST = 19 "a list of texts";
}

impl Kinds {
    /// No kind at all.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ANY: Self = Self(u32::MAX);
    /// Kinds that are one text at run time.
    pub const SCALAR: Self = Self(0x7F);

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether everything in `self` is also in `other`.
    pub(crate) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// What of `self` is not in `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("anything");
        }
        let is_plain = Self::SCALAR.is_within(*self);
        let others = if is_plain {
            self.without(Self::SCALAR)
        } else {
            *self
        };
        let listed = Self::WORDS
            .iter()
            .filter(|(kind, _)| kind.is_within(others));
        let plain = is_plain.then_some("a plain value");
        let words: Vec<&str> = plain
            .into_iter()
            .chain(listed.map(|(_, word)| *word))
            .collect();
        f.write_str(&words.join(" or "))
    }
}
