//! The JSON Schema of mapping files, for editors: which keys there are, and the FHIR elements below each type.
//!
//! An editor completes and explains by it. It is wider than the loader, which also knows fields, functions, kinds
//! and tables; what it refuses, the loader refuses too.

use serde_json::{Map, Value, json};

use super::source::decode::Encoding;
use super::{element, layout, load};

/// What an editor shows beside a key of a mapping.
const ABOUT: &[(&str, &str)] = &[
    ("map", "Its name."),
    (
        "version",
        "A whole number that grows when its output changes.",
    ),
    ("about", "One sentence about what it is for."),
    (
        "extends",
        "builtin/… that comes with renkei, another mapping beside this one, or builtin/hl7v2 / builtin/ssmix2.",
    ),
    ("source", "What the input looks like."),
    (
        "tables",
        "Small tables in place: name: {code: text}. Others are tables/NAME.csv.",
    ),
    (
        "subject",
        "Whose record it is: local_id, and what helps to recognise the person.",
    ),
    (
        "group",
        "Expressions; records of the same patient and group make one draft.",
    ),
    ("when", "Condition for a record to be read at all."),
    ("time", "When the source says it."),
    (
        "resources",
        "FHIR resources to make: one type each, and what steers it.",
    ),
    ("items", "What people may be told."),
    (
        "rows",
        "Rows about no patient: Bed (checked) or Row (free).",
    ),
    (
        "payload",
        "One JSON document of any shape, for outgoing messages.",
    ),
    (
        "patch",
        "Elements of the resources of a mapping in Rust below that are replaced.",
    ),
    ("unused", "Fields left on purpose."),
    (
        "tests",
        "Input and what must come out; run by renkei map test and before a hub takes the mapping over.",
    ),
];

/// The schema (JSON Schema 2020-12).
pub fn for_editors() -> Value {
    let mut keys: Map<String, Value> = Map::new();
    for key in load::KEYS {
        let about = ABOUT.iter().find(|(known, _)| known == key);
        let mut schema = of_key(key);
        if let (Some((_, about)), Some(schema)) = (about, schema.as_object_mut()) {
            schema.insert("description".to_owned(), json!(about));
        }
        keys.insert((*key).to_owned(), schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "renkei mapping",
        "type": "object",
        "required": ["map"],
        "properties": keys,
        "additionalProperties": false,
        "$defs": definitions(),
    })
}

fn of_key(key: &str) -> Value {
    let leaf = || json!({ "$ref": "#/$defs/expression" });
    match key {
        "map" | "about" | "extends" => json!({ "type": "string" }),
        "version" => json!({ "type": "integer", "minimum": 0 }),
        "source" => source(),
        "tables" => json!({
            "type": "object",
            "additionalProperties": { "type": "object" },
        }),
        "subject" => closed(load::SUBJECT, leaf()),
        "group" => json!({ "type": "array", "items": leaf() }),
        "when" | "time" => leaf(),
        "resources" => json!({ "type": "array", "items": entry(load::RESOURCE_KEYS) }),
        "patch" => json!({ "type": "array", "items": entry(&["name", "when"]) }),
        "rows" => json!({ "type": "array", "items": {
            "type": "object",
            "properties": {
                "name": { "type": "string" }, "each": { "const": "row" }, "when": leaf(),
                "Bed": reference("Bed"), "Row": { "type": "object" },
            },
            "additionalProperties": false,
        } }),
        "items" => json!({ "type": "array", "items": closed(load::ITEM_KEYS, json!({})) }),
        "unused" => json!({ "type": "array", "items": { "type": "string" } }),
        "tests" => json!({ "type": "array", "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string" },
                "input": { "type": "string" },
                "file": { "type": "string" },
                "expect": { "type": "object" },
                "findings": { "type": "array", "items": { "type": "string" } },
            },
            "additionalProperties": false,
        } }),
        _ => json!({}),
    }
}

fn closed(keys: &[&str], each: Value) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), each.clone()))
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn source() -> Value {
    let encodings: Vec<&str> = Encoding::NAMES.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "properties": {
            "format": { "enum": layout::FORMATS },
            "encoding": { "enum": encodings },
            "header": { "type": "integer", "description": "Lines before the data; the last names the columns." },
            "match": { "enum": ["name", "position"] },
            "ragged": { "type": "boolean", "description": "Short rows are allowed." },
            "delimiter": { "type": "string" },
            "columns": { "type": ["array", "object"], "description": "Names in order, or name: what the file calls it ('' when it is not sent)." },
            "sheet": { "type": "string" },
            "length": { "type": "integer", "description": "Bytes of a record." },
            "layout": { "type": "string", "description": "A table field,position,length,times,stride." },
            "rows": { "type": "string", "description": "The record that makes rows." },
            "join": { "type": "object", "description": "RECORD: the field both have, or a list of fields." },
            "records": { "type": "string", "description": "Path to what repeats." },
            "fields": { "type": "array", "items": { "type": "string" } },
        },
        "additionalProperties": false,
    })
}

/// An entry of `resources:` or `patch:`.
fn entry(keys: &[&str]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let schema = match *key {
            "each" => json!({ "const": "row" }),
            "reason" => json!({ "enum": ["entered-in-error", "cancelled"] }),
            "authority" => json!({ "enum": ["primary", "snapshot"] }),
            "carry" => json!({ "enum": ["replace", "merge"] }),
            "key" => json!({ "type": "array" }),
            _ => json!({ "$ref": "#/$defs/expression" }),
        };
        properties.insert((*key).to_owned(), schema);
    }
    let mut types: Vec<&str> = element::resources().collect();
    types.sort_unstable();
    for kind in types {
        properties.insert(kind.to_owned(), reference(kind));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn reference(kind: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{kind}") })
}

/// Every type by its name: an expression, a map of its elements, or a list of these.
fn definitions() -> Value {
    let mut all = Map::new();
    all.insert(
        "expression".to_owned(),
        json!({
            "type": ["string", "number", "boolean", "null", "array", "object"],
            "description": "Quoted is fixed text, plain is an expression: field | function(argument) ?? other",
        }),
    );
    for kind in element::shapes() {
        let Some(shape) = element::shape(kind) else {
            continue;
        };
        let mut properties: Map<String, Value> = ["when", "each", "is"]
            .iter()
            .map(|key| ((*key).to_owned(), json!({})))
            .collect();
        for name in shape.names() {
            let inner = shape.find(&name).map_or("", |found| found.kind);
            let schema = if element::shape(inner).is_some() {
                reference(inner)
            } else {
                json!({ "$ref": "#/$defs/expression" })
            };
            properties.insert(name, schema);
        }
        // A dotted name is the short form of a map inside a map.
        let open = json!({ "type": "object", "properties": properties });
        let many = json!({ "type": "array" });
        let leaf = json!({ "type": ["string", "number", "boolean", "null"] });
        all.insert(kind.to_owned(), json!({ "anyOf": [open, many, leaf] }));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::super::{Library as _, Shipped};
    use super::*;

    /// Every key the shipped mappings use at the top and in entries is known to the schema.
    #[test]
    fn the_schema_knows_what_the_shipped_mappings_use() {
        let schema = for_editors();
        for name in Shipped.mappings() {
            let text = Shipped.mapping(&name).expect("shipped");
            let keys = text
                .lines()
                .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
            for key in keys.filter_map(|line| line.split(':').next()) {
                assert!(schema["properties"].get(key).is_some(), "{name}: {key}");
            }
        }
        let known = &schema["$defs"]["Observation"]["anyOf"][0]["properties"];
        assert_eq!(known["code"]["$ref"], "#/$defs/CodeableConcept");
        assert!(known.get("valueQuantity").is_some() && known.get("value[x]").is_some());
        assert!(
            schema["properties"]["items"]["items"]["properties"]
                .get("each")
                .is_some()
        );
    }
}
