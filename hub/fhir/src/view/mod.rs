//! Narrow, borrowed views of stored FHIR: only the elements a stop or a sink needs, whatever else the text holds.
//!
//! A view is read with `View::parse(&json)` and thrown away; it is never printed as FHIR again (the text is the
//! truth). Unknown elements are skipped, absent ones are empty. The views have no `Debug`: they hold patient data.
//!
//! Strings without escapes are borrowed from the text. Numbers are kept [as written](Number).

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

mod clinical;
mod parts;
mod person;
mod results;

pub use clinical::*;
pub use parts::*;
pub use person::*;
pub use results::*;

/// A stored resource that could not be read. Says where, never what stood there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored FHIR is not readable as {view}, at line {line} column {column}")]
pub struct ViewError {
    /// The view that was asked for.
    pub view: &'static str,
    /// Line in the text, from 1.
    pub line: usize,
    /// Column in the line, from 1.
    pub column: usize,
}

/// Text of an element; empty when absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

/// `Cow` inside an `Option` or a `Vec` would be copied always; this borrows there as well. `null` (allowed in
/// arrays of primitives that carry extensions) reads as empty.
impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// A number exactly as the text spells it; empty when absent.
#[derive(Clone, Copy, Default)]
pub struct Number<'a>(Option<&'a RawValue>);

impl<'a> Number<'a> {
    /// The spelling, as `6.80`.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0.map_or("", RawValue::get)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The whole number, if it is one that fits.
    #[must_use]
    pub fn to_u32(&self) -> Option<u32> {
        self.as_str().parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        let numeric = raw
            .get()
            .starts_with(|first: char| first == '-' || first.is_ascii_digit());
        Ok(Self(numeric.then_some(raw)))
    }
}

/// Defines a borrowed struct whose fields may all be absent from the text.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        #[derive(Clone, Default, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
        $(#[$meta])*
        pub struct $name<'a> {
            $(
                #[doc = concat!("FHIR R4 element `", stringify!($field), "`.")]
                $(#[$field_meta])*
                pub $field: $kind,
            )*
        }
    };
}

/// Defines a view: a part that is read from the text of a whole resource.
macro_rules! view {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        crate::view::part! {
            $(#[$meta])*
            $name {
                /// Logical id.
                id: crate::view::Text<'a>,
                $($fields)*
            }
        }

        impl<'a> $name<'a> {
            /// Reads the elements of this view from the JSON text of a resource.
            ///
            /// # Errors
            /// When `json` is not JSON, or an element of the view has another JSON type than FHIR gives it.
            pub fn parse(json: &'a str) -> Result<Self, crate::view::ViewError> {
                serde_json::from_str(json).map_err(|error| crate::view::ViewError {
                    view: stringify!($name),
                    line: error.line(),
                    column: error.column(),
                })
            }
        }
    };
}

pub(crate) use {part, view};

#[cfg(test)]
mod tests;
