//! Data types inside the views.

use super::{Number, Text, part};

part! {
    /// A code of one code system.
    CodingPart {
        system: Text<'a>,
        code: Text<'a>,
        display: Text<'a>,
    }
}

part! {
    /// A concept with its codings and its words.
    ConceptPart {
        extension: Vec<ExtensionPart<'a>>,
        coding: Vec<CodingPart<'a>>,
        text: Text<'a>,
    }
}

impl<'a> ConceptPart<'a> {
    /// What people read: the text, else the first display, else the first code; empty if none.
    #[must_use]
    pub fn words(&self) -> &str {
        let displays = self.coding.iter().map(|coding| coding.display.as_str());
        let codes = self.coding.iter().map(|coding| coding.code.as_str());
        std::iter::once(self.text.as_str())
            .chain(displays)
            .chain(codes)
            .find(|text| !text.is_empty())
            .unwrap_or("")
    }

    /// The code of one code system; empty if there is none.
    #[must_use]
    pub fn code_of(&self, system: &str) -> &str {
        self.coding
            .iter()
            .find(|coding| coding.system == *system)
            .map_or("", |coding| coding.code.as_str())
    }

    /// True when any coding has this code, whatever its system.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.coding.iter().any(|coding| coding.code == *code)
    }
}

part! {
    /// An identifier within its system.
    IdentifierPart {
        system: Text<'a>,
        value: Text<'a>,
    }
}

/// The value of the first identifier of `system`; empty if there is none.
#[must_use]
pub fn identifier_of<'i>(identifiers: &'i [IdentifierPart<'_>], system: &str) -> &'i str {
    identifiers
        .iter()
        .find(|identifier| identifier.system == *system)
        .map_or("", |identifier| identifier.value.as_str())
}

part! {
    /// A pointer to another resource.
    ReferencePart {
        reference: Text<'a>,
        identifier: IdentifierPart<'a>,
        display: Text<'a>,
    }
}

part! {
    /// An amount as written.
    QuantityPart {
        value: Number<'a>,
        comparator: Text<'a>,
        unit: Text<'a>,
        code: Text<'a>,
    }
}

impl QuantityPart<'_> {
    /// True when no value is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Comparator, value and unit as people write them: `<0.02 mg/dL`; empty without a value.
    #[must_use]
    pub fn words(&self) -> String {
        let unit = if self.unit.is_empty() {
            &self.code
        } else {
            &self.unit
        };
        match (self.is_empty(), unit.is_empty()) {
            (true, _) => String::new(),
            (_, true) => format!("{}{}", self.comparator.as_str(), self.value.as_str()),
            _ => format!(
                "{}{} {}",
                self.comparator.as_str(),
                self.value.as_str(),
                unit.as_str()
            ),
        }
    }
}

part! {
    /// A stretch of time.
    PeriodPart {
        start: Text<'a>,
        end: Text<'a>,
    }
}

part! {
    /// An extension with the value types the views ask for.
    ExtensionPart {
        url: Text<'a>,
        value_string: Text<'a>,
        value_code: Text<'a>,
        value_date_time: Text<'a>,
        value_codeable_concept: ConceptPart<'a>,
    }
}

/// The first extension with this address.
#[must_use]
pub fn extension_of<'i, 'a>(
    extensions: &'i [ExtensionPart<'a>],
    url: &str,
) -> Option<&'i ExtensionPart<'a>> {
    extensions.iter().find(|extension| extension.url == *url)
}

part! {
    /// A phone, fax or mail address.
    TelecomPart {
        system: Text<'a>,
        value: Text<'a>,
        r#use: Text<'a>,
    }
}

part! {
    /// A postal address.
    AddressPart {
        r#use: Text<'a>,
        text: Text<'a>,
        line: Vec<Text<'a>>,
        city: Text<'a>,
        state: Text<'a>,
        postal_code: Text<'a>,
    }
}
