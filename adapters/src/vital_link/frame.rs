//! A post in Vital Link's words. Pure: the result is stored, and every retry sends it.

use renkei_core::{FrameError, Payload, Post, Urgency};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Config;
use crate::post;

/// Characters of a body.
const BODY: usize = 1_000;
/// Document types the contract takes.
const TYPES: &[&str] = &["application/pdf", "image/jpeg", "image/png", "text/plain"];

/// What is stored as the payload's body. The `uid`, what is replaced and the ids of documents depend
/// on the delivery and are added at sending.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Framed {
    /// One message, or the parts of a long one.
    pub(super) messages: Vec<Map<String, Value>>,
    /// The same fields for each document.
    pub(super) document: Map<String, Value>,
}

pub(super) fn frame(post: &Post, config: &Config) -> Result<Payload, FrameError> {
    post::check_documents(&post.attachments, TYPES)?;
    let (title, text) = post::marked(post)?;
    let occurred_at = post::occurred_at(post)?;
    if !(1..=200).contains(&post.source_note.chars().count()) {
        return Err(post::refuse("the source note has not 1 to 200 characters"));
    }
    let document = fields(json!({
        "author": {
            "facility_id": post.author_facility,
            "user_ref": config.user_ref,
            "display": post.author,
            "profession": config.profession,
        },
        "title": title,
        "occurred_at": occurred_at,
        "source_note": post.source_note,
    }));
    let messages = post::parts(&text, BODY)?.into_iter().map(|body| {
        let mut message = document.clone();
        message.extend(fields(json!({
            "body": body,
            "urgency": post.urgency.as_str(),
            "ack_requested": matches!(post.urgency, Urgency::U0 | Urgency::U1),
        })));
        message
    });
    let framed = Framed {
        messages: messages.collect(),
        document,
    };
    Ok(Payload {
        body: serde_json::to_string(&framed)
            .map_err(|_| post::refuse("the post cannot be written as JSON"))?,
        attachments: post.attachments.clone(),
    })
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
