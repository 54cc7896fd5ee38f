//! The data types inside resources (FHIR R4 §2.24), with the shortcuts that mappings use most.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Element, Text, choice, element};
use crate::Decimal;

/// JSON text that is already FHIR, taken over byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct RawJson<'a>(Cow<'a, str>);

impl<'a> RawJson<'a> {
    /// Takes over `json` after checking that it is one JSON value.
    ///
    /// # Errors
    /// When it is not.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json).map(|raw: &RawValue| Self(Cow::Borrowed(raw.get())))
    }

    /// A resource printed here.
    pub(super) fn printed(resource: &impl Element) -> RawJson<'static> {
        RawJson(Cow::Owned(super::printed(resource)))
    }

    /// The same text without a copy.
    #[must_use]
    pub fn borrowed(&self) -> RawJson<'_> {
        RawJson(Cow::Borrowed(&self.0))
    }

    /// The text taken over.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

element! {
    /// About the resource itself: which profiles it claims, where it came from.
    Meta {
        last_updated: Text<'a>,
        /// For resources made from a message: which message, never a path with patient data.
        source: Text<'a>,
        profile: Vec<Text<'a>>,
        security: Vec<Coding<'a>>,
        tag: Vec<Coding<'a>>,
    }
}

element! {
    /// An identifier within the namespace `system`.
    Identifier {
        r#use: Text<'a>,
        r#type: CodeableConcept<'a>,
        system: Text<'a>,
        value: Text<'a>,
        period: Period<'a>,
    }
}

element! {
    /// A name in one representation (`JP_HumanName`): `text` is family, one half-width space, given.
    HumanName {
        /// Holds the representation, see [`HumanName::represented`].
        extension: Vec<Extension<'a>>,
        r#use: Text<'a>,
        text: Text<'a>,
        family: Text<'a>,
        given: Vec<Text<'a>>,
        prefix: Vec<Text<'a>>,
        period: Period<'a>,
    }
}

element! {
    /// A postal address; Japanese senders mostly give it as one `text`.
    Address {
        r#use: Text<'a>,
        r#type: Text<'a>,
        text: Text<'a>,
        line: Vec<Text<'a>>,
        city: Text<'a>,
        district: Text<'a>,
        state: Text<'a>,
        postal_code: Text<'a>,
        country: Text<'a>,
        period: Period<'a>,
    }
}

element! {
    /// A phone, fax or mail address.
    ContactPoint {
        extension: Vec<Extension<'a>>,
        system: Text<'a>,
        value: Text<'a>,
        r#use: Text<'a>,
        rank: Option<u32>,
        period: Period<'a>,
    }
}

element! {
    /// A code of one code system.
    Coding {
        system: Text<'a>,
        version: Text<'a>,
        code: Text<'a>,
        display: Text<'a>,
        user_selected: Option<bool>,
    }
}

element! {
    /// A concept: every coding the source sent, and its own words as `text`.
    CodeableConcept {
        /// `JP_Condition_Diagnosis` keeps the modifiers of a disease name here.
        extension: Vec<Extension<'a>>,
        coding: Vec<Coding<'a>>,
        text: Text<'a>,
    }
}

element! {
    /// An amount; also FHIR `Duration`, `Age` and `SimpleQuantity`, which only restrict it.
    Quantity {
        value: Option<Decimal<'a>>,
        /// `<`, `<=`, `>=` or `>`.
        comparator: Text<'a>,
        unit: Text<'a>,
        system: Text<'a>,
        code: Text<'a>,
    }
}

element! {
    /// From `low` to `high`, both included.
    Range {
        low: Quantity<'a>,
        high: Quantity<'a>,
    }
}

element! {
    /// An amount per another amount.
    Ratio {
        /// `JP_Medication` keeps the kind of strength here.
        extension: Vec<Extension<'a>>,
        numerator: Quantity<'a>,
        denominator: Quantity<'a>,
    }
}

element! {
    /// A stretch of time, `dateTime`s at both ends.
    Period {
        start: Text<'a>,
        end: Text<'a>,
    }
}

element! {
    /// A pointer to another resource: by address, or by an identifier when we do not hold the resource.
    Reference {
        /// `Patient/ID`, or `#id` of a contained resource.
        reference: Text<'a>,
        r#type: Text<'a>,
        identifier: Option<Box<Identifier<'a>>>,
        display: Text<'a>,
    }
}

element! {
    /// Bytes by value or by address. `hash` is base64 of SHA-1 in R4; `size` counts the bytes before base64.
    Attachment {
        content_type: Text<'a>,
        language: Text<'a>,
        data: Text<'a>,
        url: Text<'a>,
        size: Option<u32>,
        hash: Text<'a>,
        title: Text<'a>,
        creation: Text<'a>,
    }
}

element! {
    /// A remark.
    Annotation {
        author_string: Text<'a>,
        time: Text<'a>,
        text: Text<'a>,
    }
}

element! {
    /// Something FHIR has no element for; either a value or nested extensions.
    Extension {
        extension: Vec<Extension<'a>>,
        url: Text<'a>,
        value: Option<ExtensionValue<'a>>,
    }
}

choice! {
    /// `Extension.value[x]`, the types in use.
    ExtensionValue {
        "valueBoolean" => Boolean(bool),
        "valueCode" => Code(Text<'a>),
        "valueCodeableConcept" => CodeableConcept(CodeableConcept<'a>),
        "valueCoding" => Coding(Coding<'a>),
        "valueDate" => Date(Text<'a>),
        "valueDateTime" => DateTime(Text<'a>),
        "valueDecimal" => Decimal(Decimal<'a>),
        "valueDuration" => Duration(Quantity<'a>),
        "valueIdentifier" => Identifier(Box<Identifier<'a>>),
        "valueInteger" => Integer(i32),
        "valuePeriod" => Period(Period<'a>),
        "valueQuantity" => Quantity(Quantity<'a>),
        "valueRange" => Range(Box<Range<'a>>),
        "valueRatio" => Ratio(Box<Ratio<'a>>),
        "valueReference" => Reference(Reference<'a>),
        "valueString" => String(Text<'a>),
        "valueUri" => Uri(Text<'a>),
    }
}

element! {
    /// Extensions on a primitive element, printed under its name with a leading underscore.
    PrimitiveExtension {
        extension: Vec<Extension<'a>>,
    }
}

impl<'a> Meta<'a> {
    /// Claims one profile.
    pub fn of_profile(profile: impl Into<Text<'a>>) -> Self {
        Self {
            profile: vec![profile.into()],
            ..Self::default()
        }
    }
}

impl<'a> Identifier<'a> {
    /// `value` within `system`.
    pub fn new(system: impl Into<Text<'a>>, value: impl Into<Text<'a>>) -> Self {
        Self {
            system: system.into(),
            value: value.into(),
            ..Self::default()
        }
    }
}

impl<'a> HumanName<'a> {
    /// A name with its representation: `IDE` kanji, `SYL` kana, `ABC` roman (JP Core 1.2.0 `JP_HumanName`).
    pub fn represented(representation: impl Into<Text<'a>>) -> Self {
        let url = crate::jp_core::extension::EN_REPRESENTATION;
        Self {
            extension: vec![Extension::new(
                url,
                ExtensionValue::Code(representation.into()),
            )],
            ..Self::default()
        }
    }
}

impl<'a> Coding<'a> {
    /// `code` of `system`, with the words the source used for it (may be empty).
    pub fn new(
        system: impl Into<Text<'a>>,
        code: impl Into<Text<'a>>,
        display: impl Into<Text<'a>>,
    ) -> Self {
        Self {
            system: system.into(),
            code: code.into(),
            display: display.into(),
            ..Self::default()
        }
    }
}

impl<'a> CodeableConcept<'a> {
    /// Only words: what is said when no code is known.
    pub fn of_text(text: impl Into<Text<'a>>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// One coding without further words.
    #[must_use]
    pub fn of_coding(coding: Coding<'a>) -> Self {
        Self {
            coding: vec![coding],
            ..Self::default()
        }
    }
}

impl<'a> Quantity<'a> {
    /// A value in a UCUM unit; `unit` is what people read, `code` the UCUM code.
    pub fn in_ucum(
        value: Decimal<'a>,
        unit: impl Into<Text<'a>>,
        code: impl Into<Text<'a>>,
    ) -> Self {
        let system = crate::ucum::SYSTEM.into();
        Self {
            value: Some(value),
            unit: unit.into(),
            system,
            code: code.into(),
            ..Self::default()
        }
    }

    /// A number of days, spelled as JP Core fixes it: unit `日`, UCUM `d` (JP Core 1.2.0 `expectedSupplyDuration`).
    #[must_use]
    pub fn in_days(value: Decimal<'a>) -> Self {
        Self::in_ucum(value, "日", "d")
    }
}

impl<'a> Reference<'a> {
    /// To a resource we hold: `Patient/ID`.
    pub fn to(reference: impl Into<Text<'a>>) -> Self {
        Self {
            reference: reference.into(),
            ..Self::default()
        }
    }

    /// To a resource in `contained`, by its id without `#`.
    #[must_use]
    pub fn to_contained(id: &str) -> Self {
        Self {
            reference: ["#", id].concat().into(),
            ..Self::default()
        }
    }

    /// To something known only by its identifier (FHIR R4 §2.3.0.2, logical reference).
    pub fn to_identified(
        r#type: impl Into<Text<'a>>,
        identifier: Identifier<'a>,
        display: impl Into<Text<'a>>,
    ) -> Self {
        Self {
            r#type: r#type.into(),
            identifier: Some(Box::new(identifier)),
            display: display.into(),
            ..Self::default()
        }
    }
}

impl<'a> Annotation<'a> {
    /// A remark without author or time.
    pub fn of_text(text: impl Into<Text<'a>>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

impl<'a> Extension<'a> {
    /// An extension with a value.
    pub fn new(url: impl Into<Text<'a>>, value: ExtensionValue<'a>) -> Self {
        Self {
            url: url.into(),
            value: Some(value),
            ..Self::default()
        }
    }
}

impl PrimitiveExtension<'static> {
    /// Says why a mandatory element has no value (FHIR R4 `data-absent-reason`): `unknown`, `masked`, ….
    #[must_use]
    pub fn data_absent(reason: &'static str) -> Self {
        let url = crate::jp_core::extension::DATA_ABSENT_REASON;
        Self {
            extension: vec![Extension::new(url, ExtensionValue::Code(reason.into()))],
        }
    }
}
