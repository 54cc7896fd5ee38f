//! Finds the element that makes a resource unreadable.
//!
//! The parser names the rule that was broken but not the place. The place is found by leaving out one element
//! after the other: where the complaint goes away, or turns into "this element is missing", the fault is inside.

use fhir_sdk::r4b::resources::Resource;
use serde_json::{Value, json};

use crate::compare::{push_index, push_name};

/// Path of the innermost element at fault; empty when something is missing at the top, or several things are wrong.
pub(crate) fn place(resource: &Value) -> String {
    if resource.get(TYPE).is_some_and(|kind| !is_known(kind)) {
        return TYPE.to_owned();
    }
    let mut path = String::new();
    let mut steps = Vec::new();
    while let Some(step) = faulty_child(resource, &steps) {
        match &step {
            Step::Name(name) => push_name(&mut path, name),
            Step::Index(index) => push_index(&mut path, *index),
        }
        steps.push(step);
    }
    path
}

const TYPE: &str = "resourceType";

/// A known type without content is refused too, but for another reason.
fn is_known(kind: &Value) -> bool {
    let alone = json!({ TYPE: kind });
    serde_json::from_value::<Resource>(alone).map_or_else(
        |error| !error.to_string().starts_with("unknown variant"),
        |_| true,
    )
}

enum Step {
    Name(String),
    Index(usize),
}

fn faulty_child(resource: &Value, parent: &[Step]) -> Option<Step> {
    let children: Vec<Step> = match follow(resource, parent)? {
        Value::Object(object) => object
            .keys()
            .filter(|name| *name != TYPE)
            .cloned()
            .map(Step::Name)
            .collect(),
        Value::Array(array) => (0..array.len()).map(Step::Index).collect(),
        _ => return None,
    };
    children.into_iter().find(|child| {
        let mut reduced = resource.clone();
        remove(&mut reduced, parent, child);
        match serde_json::from_value::<Resource>(reduced) {
            Ok(_) => true,
            Err(error) => matches!(child, Step::Name(name) if error.to_string() == format!("missing field `{name}`")),
        }
    })
}

fn follow<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

fn remove(value: &mut Value, parent: &[Step], child: &Step) {
    let target = parent.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get_mut(name),
        Step::Index(index) => value.get_mut(index),
    });
    match (target, child) {
        (Some(Value::Object(object)), Step::Name(name)) => {
            object.shift_remove(name);
        }
        (Some(Value::Array(array)), Step::Index(index)) => {
            array.remove(*index);
        }
        _ => {}
    }
}
