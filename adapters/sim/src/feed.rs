//! Pages: lists that end and feeds that do not.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::state::{Happening, State};

fn limit(query: &HashMap<String, String>) -> Result<usize, Refusal> {
    match query.get("limit").map(|text| text.parse::<usize>()) {
        None => Ok(50),
        Some(Ok(limit)) if (1..=100).contains(&limit) => Ok(limit),
        Some(_) => Err(Refusal::bad_request("limit is 1 to 100")),
    }
}

fn position(cursor: Option<&String>, prefix: char, end: usize) -> Result<usize, Refusal> {
    let Some(cursor) = cursor else { return Ok(0) };
    let place = cursor
        .strip_prefix(prefix)
        .and_then(|digits| digits.parse::<usize>().ok());
    place
        .filter(|place| *place <= end)
        .ok_or_else(|| Refusal::bad_request("unknown cursor"))
        .map_err(|mut refusal| {
            refusal.code = "bad_cursor";
            refusal
        })
}

/// One page of a list whose order does not change.
pub(crate) fn list<T>(
    query: &HashMap<String, String>,
    items: &[T],
    render: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let start = position(query.get("cursor"), 'n', items.len())?;
    let page: Vec<Value> = items
        .iter()
        .skip(start)
        .take(limit(query)?)
        .map(render)
        .collect();
    let next = start + page.len();
    let cursor = (next < items.len()).then(|| format!("n{next}"));
    Ok(json!({"items": page, "next_cursor": cursor}))
}

/// One page of what happened since a cursor; `render` leaves out what the caller may not see.
pub(crate) fn feed(
    query: &HashMap<String, String>,
    state: &State,
    render: impl Fn(&Happening) -> Option<Value>,
) -> Result<Value, Refusal> {
    let (mut place, limit) = (
        position(query.get("since"), 'c', state.happenings.len())?,
        limit(query)?,
    );
    let mut items = Vec::new();
    while items.len() < limit
        && let Some(happening) = state.happenings.get(place)
    {
        items.extend(render(happening));
        place += 1;
    }
    let more = state
        .happenings
        .iter()
        .skip(place)
        .any(|happening| render(happening).is_some());
    Ok(json!({"items": items, "next_cursor": format!("c{place}"), "more": more}))
}
