//! Reads JSON without losing sight of properties that are given twice.
//!
//! `serde_json::Value` keeps the last of two equal property names and forgets the first, so the text is walked
//! by a visitor of our own.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{Difference, GateError, Kind};

/// The value of `json`, and the properties that occur twice in it.
pub(crate) fn json(json: &str) -> Result<(Value, Vec<Difference>), GateError> {
    let mut doubled = Vec::new();
    let mut path = String::new();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = Walk {
        path: &mut path,
        doubled: &mut doubled,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value))
    .map_err(|error| GateError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    Ok((value, doubled))
}

struct Walk<'w> {
    path: &'w mut String,
    doubled: &'w mut Vec<Difference>,
}

impl Walk<'_> {
    fn below(&mut self) -> Walk<'_> {
        Walk {
            path: self.path,
            doubled: self.doubled,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        let length = self.path.len();
        loop {
            crate::compare::push_index(self.path, array.len());
            let member = members.next_element_seed(self.below())?;
            self.path.truncate(length);
            match member {
                Some(member) => array.push(member),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut properties: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let length = self.path.len();
        while let Some(name) = properties.next_key::<String>()? {
            crate::compare::push_name(self.path, &name);
            let value = properties.next_value_seed(self.below())?;
            if object.insert(name, value).is_some() {
                self.doubled.push(Difference {
                    path: self.path.clone(),
                    kind: Kind::Doubled,
                });
            }
            self.path.truncate(length);
        }
        Ok(Value::Object(object))
    }
}
