//! JSON that has been taken apart beforehand and only has to be written again: the part of a conversion
//! that nobody can save.
//!
//! A plain tree of owned strings, with nothing to decide while it is written; it prints through the same
//! serializer as the mappings do and gives the same bytes, numbers as spelled included.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value.
#[derive(Debug)]
pub(super) enum Prebuilt {
    /// Members in their order.
    Object(Vec<(String, Prebuilt)>),
    /// Elements.
    Array(Vec<Prebuilt>),
    /// Text.
    Text(String),
    /// Numbers, `true`, `false` and `null`, as spelled.
    Scalar(Box<RawValue>),
}

impl Prebuilt {
    /// Takes JSON apart.
    ///
    /// # Errors
    /// When it is not JSON.
    pub(super) fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let inner = |raw: &RawValue| Self::parse(raw.get());
        Ok(match json.trim_start().as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(json)?;
                let member = |(name, raw): (String, &RawValue)| Ok((name, inner(raw)?));
                Self::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(json)?;
                Self::Array(elements.into_iter().map(inner).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(json)?),
            _ => Self::Scalar(serde_json::from_str(json)?),
        })
    }
}

impl Serialize for Prebuilt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Scalar(raw) => raw.serialize(serializer),
        }
    }
}

/// The members of an object in their order, values untouched.
struct Members<'de>(Vec<(String, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_apart_is_written_alike() {
        let json = r#"{"b":[1.50,"あ\"\\\n",true,null,{}],"a":{"z":-0.10,"y":[]}}"#;
        let tree = Prebuilt::parse(json).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), json);
        assert!(Prebuilt::parse("{").is_err() && Prebuilt::parse("").is_err());
    }
}
