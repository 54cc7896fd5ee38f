//! FHIR R4 resources as the mappings write them.
//!
//! Plain structs with public fields and `Default`, holding borrowed text: fill what the source said, leave the
//! rest. Three promises hold for everything built from them:
//!
//! * **Nothing empty is printed.** An empty [`Text`], an empty `Vec`, an element whose parts are all empty: none
//!   of them leaves a trace, also inside arrays (FHIR R4 §2.1.0: no empty strings, arrays or objects).
//! * **Same values, same bytes.** Properties come in the order of the FHIR definition, `resourceType` first.
//! * **Numbers as written**, see [`crate::decimal`].
//!
//! The structs hold the elements renkei produces, not all of FHIR; add a field where a mapping needs one. They are
//! never read back: see [`crate::view`] for that.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

pub mod datatypes;
pub mod diagnostics;
pub mod document;
pub mod encounter;
pub mod medication;
pub mod person;
pub mod problem;

pub use datatypes::*;
pub use diagnostics::*;
pub use document::*;
pub use encounter::*;
pub use medication::*;
pub use person::*;
pub use problem::*;

/// Text of an element: borrowed from the message where possible. Empty means the element is absent.
pub type Text<'a> = Cow<'a, str>;

/// Anything that can stand as a FHIR element: knows when it says nothing.
pub trait Element: Serialize {
    /// True when printing this would give an empty string, array or object.
    fn is_absent(&self) -> bool;

    /// Prints it, leaving out absent members of arrays.
    ///
    /// # Errors
    /// Those of the serializer.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

impl Element for Text<'_> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Element> Element for Vec<T> {
    fn is_absent(&self) -> bool {
        self.iter().all(Element::is_absent)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().filter(|member| !member.is_absent()))
    }
}

impl<T: Element> Element for Option<T> {
    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Element::is_absent)
    }
}

impl<T: Element> Element for Box<T> {
    fn is_absent(&self) -> bool {
        self.as_ref().is_absent()
    }
}

macro_rules! always_present {
    ($($kind:ty),*) => { $(impl Element for $kind {
        fn is_absent(&self) -> bool {
            false
        }
    })* };
}
always_present!(bool, u32, i32, crate::Decimal<'_>, RawJson<'_>);

/// Defines an element: a struct whose absent fields are not printed.
macro_rules! element {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        $(#[$meta])*
        pub struct $name<'a> {
            $(
                #[doc = concat!("FHIR R4 `", stringify!($name), "` element `", stringify!($field), "`.")]
                $(#[$field_meta])*
                #[serde(
                    serialize_with = "crate::emit::Element::write",
                    skip_serializing_if = "crate::emit::Element::is_absent"
                )]
                pub $field: $kind,
            )*
        }

        impl crate::emit::Element for $name<'_> {
            fn is_absent(&self) -> bool {
                $(crate::emit::Element::is_absent(&self.$field))&&*
            }
        }
    };
}

/// Defines a resource: an element that prints its `resourceType` first.
macro_rules! resource {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        crate::emit::element! {
            $(#[$meta])*
            #[serde(tag = "resourceType")]
            $name { $($fields)* }
        }

        impl $name<'_> {
            /// The JSON text of the resource. The same values give the same bytes.
            ///
            /// # Errors
            /// None in practice: every field prints. Kept as a `Result` because the serializer has one.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                crate::emit::printed(self)
            }
        }
    };
}

/// What most resources fit into, in bytes: printing then never has to move the text.
const USUAL_BYTES: usize = 2_048;

/// The JSON text of a resource.
pub(crate) fn printed<T: serde::Serialize>(resource: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, resource)?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Defines a choice element (`value[x]`): exactly one of its spellings is printed.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($json:literal => $variant:ident($kind:ty),)* }) => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        $(#[$meta])*
        pub enum $name<'a> {
            $(
                #[doc = concat!("`", $json, "`")]
                #[serde(rename = $json)]
                $variant($kind),
            )*
        }

        impl crate::emit::Element for $name<'_> {
            fn is_absent(&self) -> bool {
                match self {
                    $(Self::$variant(value) => crate::emit::Element::is_absent(value),)*
                }
            }
        }
    };
}

pub(crate) use {choice, element, resource};

#[cfg(test)]
mod tests;
