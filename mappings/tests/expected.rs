//! Each case gives exactly the draft beside it.

use std::fs;

use serde_json::{Value, json};

use crate::cases::{self, Found};

/// The draft as people read it: bodies as JSON, the outcome in front.
fn printed(found: &Found) -> Value {
    let draft = match found.map() {
        Ok(draft) => draft,
        Err(error) => return json!({ "outcome": "failed", "code": error.code, "at": error.at }),
    };
    let outcome = renkei_mappings::outcome(&found.message(found.input.clone()), &draft);
    let mut value = serde_json::to_value(&draft).unwrap();
    for resource in value["resources"].as_array_mut().unwrap() {
        let body = resource["body"].as_str().unwrap().to_owned();
        resource["body"] = serde_json::from_str(&body).unwrap();
    }
    let mut all = serde_json::Map::new();
    all.insert("outcome".to_owned(), json!(outcome));
    for (name, part) in value.as_object().unwrap() {
        let is_empty = part.is_null() || part.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            all.insert(name.clone(), part.clone());
        }
    }
    Value::Object(all)
}

#[test]
fn every_case_gives_its_draft() {
    let update = std::env::var_os("RENKEI_UPDATE_FIXTURES").is_some();
    let mut wrong = Vec::new();
    let all = cases::all();
    assert!(all.len() >= 25, "only {} cases were found", all.len());
    for found in all {
        assert!(
            !found.case.shows.is_empty() && !found.case.shape.is_empty(),
            "{} says nothing",
            found.name
        );
        let text = serde_json::to_string_pretty(&printed(&found)).unwrap() + "\n";
        let file = found.folder.join("expected.json");
        if update {
            fs::write(&file, &text).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != text {
            wrong.push(found.name);
        }
    }
    assert!(
        wrong.is_empty(),
        "not as expected: {wrong:?}; set RENKEI_UPDATE_FIXTURES=1, then read the difference"
    );
}
