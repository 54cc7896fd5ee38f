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

pub mod datatypes;
pub mod diagnostics;
pub mod document;
pub mod encounter;
pub mod json;
pub mod medication;
pub mod person;
pub mod place;
pub mod problem;

pub use datatypes::*;
pub use diagnostics::*;
pub use document::*;
pub use encounter::*;
pub use json::Json;
pub use medication::*;
pub use person::*;
pub use place::*;
pub use problem::*;

/// Text of an element: borrowed from the message where possible. Empty means the element is absent.
pub type Text<'a> = Cow<'a, str>;

/// Anything that can stand as a FHIR element: knows when it says nothing, and prints itself.
pub trait Element {
    /// True when printing this would give an empty string, array or object.
    fn is_absent(&self) -> bool;

    /// Prints the value, leaving out absent members.
    fn write(&self, json: &mut Json);

    /// Prints it as a member of an object under `quoted_name`; a choice element brings a name of its own.
    fn write_member(&self, quoted_name: &'static str, json: &mut Json) {
        json.name(quoted_name);
        self.write(json);
    }
}

impl Element for Text<'_> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, json: &mut Json) {
        json.text(self);
    }
}

impl<T: Element> Element for Vec<T> {
    fn is_absent(&self) -> bool {
        self.iter().all(Element::is_absent)
    }

    fn write(&self, json: &mut Json) {
        json.open_array();
        for member in self.iter().filter(|member| !member.is_absent()) {
            json.next();
            member.write(json);
        }
        json.close_array();
    }
}

impl<T: Element> Element for Option<T> {
    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Element::is_absent)
    }

    fn write(&self, json: &mut Json) {
        if let Some(value) = self {
            value.write(json);
        }
    }

    fn write_member(&self, quoted_name: &'static str, json: &mut Json) {
        if let Some(value) = self {
            value.write_member(quoted_name, json);
        }
    }
}

impl<T: Element> Element for Box<T> {
    fn is_absent(&self) -> bool {
        self.as_ref().is_absent()
    }

    fn write(&self, json: &mut Json) {
        self.as_ref().write(json);
    }
}

/// Elements that are never absent and print as they spell themselves.
macro_rules! always_present {
    ($($kind:ty: |$value:ident| $spelled:expr,)*) => { $(impl Element for $kind {
        fn is_absent(&self) -> bool {
            false
        }

        fn write(&self, json: &mut Json) {
            let $value = self;
            json.raw($spelled);
        }
    })* };
}
always_present! {
    bool: |value| if *value { "true" } else { "false" },
    u32: |value| &value.to_string(),
    i32: |value| &value.to_string(),
    crate::Decimal<'_>: |value| value.as_str(),
    RawJson<'_>: |value| value.as_str(),
}

/// Defines an element: a struct whose absent fields are not printed. A field is printed under its own name in
/// camel case, unless another follows it: `authored_on_absent "_authoredOn": …`.
macro_rules! element {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        crate::emit::element! { @ [json => {}] $(#[$meta])* $name { $($fields)* } }
    };
    (@ [$begun:ident => $begin:block] $(#[$meta:meta])* $name:ident {
        $($(#[$field_meta:meta])* $field:ident $($json_name:literal)?: $kind:ty,)*
    }) => {
        #[derive(Debug, Clone, Default, PartialEq)]
        $(#[$meta])*
        pub struct $name<'a> {
            $(
                #[doc = concat!("FHIR R4 `", stringify!($name), "` element `", stringify!($field), "`.")]
                $(#[$field_meta])*
                pub $field: $kind,
            )*
        }

        impl crate::emit::Element for $name<'_> {
            fn is_absent(&self) -> bool {
                $(crate::emit::Element::is_absent(&self.$field))&&*
            }

            fn write(&self, $begun: &mut crate::emit::Json) {
                $begun.open_object();
                $begin
                $(if !crate::emit::Element::is_absent(&self.$field) {
                    let name = crate::emit::json::member_name!($field $($json_name)?);
                    crate::emit::Element::write_member(&self.$field, name, $begun);
                })*
                $begun.close_object();
            }
        }
    };
}

/// Defines a resource: an element that prints its `resourceType` first.
macro_rules! resource {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        crate::emit::element! {
            @ [json => {
                json.raw(concat!("\"resourceType\":\"", stringify!($name), "\""));
            }]
            $(#[$meta])*
            $name { $($fields)* }
        }

        impl $name<'_> {
            /// The JSON text of the resource. The same values give the same bytes.
            #[must_use]
            pub fn to_json(&self) -> String {
                crate::emit::printed(self)
            }

            /// The same, to stand inside other resources.
            #[must_use]
            pub fn to_raw(&self) -> crate::emit::RawJson<'static> {
                crate::emit::RawJson::printed(self)
            }
        }
    };
}

/// What most resources fit into, in bytes: printing then never has to move the text.
const USUAL_BYTES: usize = 2_048;

/// The JSON text of a resource.
fn printed(resource: &impl Element) -> String {
    let mut json = Json::with_room(USUAL_BYTES);
    resource.write(&mut json);
    json.into_text()
}

/// Defines a choice element (`value[x]`): exactly one of its spellings is printed.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($json:literal => $variant:ident($kind:ty),)* }) => {
        #[derive(Debug, Clone, PartialEq)]
        $(#[$meta])*
        pub enum $name<'a> {
            $(
                #[doc = concat!("`", $json, "`")]
                $variant($kind),
            )*
        }

        impl crate::emit::Element for $name<'_> {
            fn is_absent(&self) -> bool {
                match self {
                    $(Self::$variant(value) => crate::emit::Element::is_absent(value),)*
                }
            }

            fn write(&self, json: &mut crate::emit::Json) {
                match self {
                    $(Self::$variant(value) => crate::emit::Element::write(value, json),)*
                }
            }

            fn write_member(&self, _: &'static str, json: &mut crate::emit::Json) {
                match self {
                    $(Self::$variant(value) => {
                        json.name(concat!("\"", $json, "\":"));
                        crate::emit::Element::write(value, json);
                    })*
                }
            }
        }
    };
}

pub(crate) use {choice, element, resource};

#[cfg(test)]
mod tests;
