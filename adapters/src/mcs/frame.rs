//! A post in the words of `sns-gateway/1`. Pure: the result is stored, and every retry sends it.

use renkei_core::{FrameError, Payload, Post, Urgency};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Config, Dialect};
use crate::post;

/// Characters of a text.
const TEXT: usize = 2_000;
/// Document types the contract takes.
const TYPES: &[&str] = &["application/pdf", "image/jpeg", "image/png", "text/plain"];

/// What is stored as the payload's body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Framed {
    /// One post, or the parts of a long one; ids of documents and of the post replied to are only
    /// known at sending and are added there.
    pub(super) posts: Vec<Map<String, Value>>,
    /// What the banner on the first post says, for corrections and cancellations.
    pub(super) banner: Option<Map<String, Value>>,
}

pub(super) fn frame(
    post: &Post,
    config: &Config,
    dialect: &Dialect,
) -> Result<Payload, FrameError> {
    post::check_documents(&post.attachments, TYPES)?;
    let (headline, text) = post::marked(post)?;
    let occurred_at = post::occurred_at(post)?;
    for (text, what) in [
        (&post.client_ref, "reference"),
        (&post.source_note, "source note"),
    ] {
        if !(1..=200).contains(&text.chars().count()) {
            return Err(post::refuse(format!(
                "the {what} has not 1 to 200 characters"
            )));
        }
    }
    let author = json!({
        "facility_id": post.author_facility,
        "user_ref": config.user_ref,
        "display": post.author,
        "profession": config.profession,
    });
    let wire = |value: Value| match dialect.write(value) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let posts = post::parts(&text, TEXT)?.into_iter().map(|text| {
        wire(json!({
            "client_ref": post.client_ref,
            "author": author,
            "headline": headline,
            "text": text,
            "category": post.kind.code(),
            "urgency": post.urgency.as_str(),
            "ack_requested": matches!(post.urgency, Urgency::U0 | Urgency::U1),
            "occurred_at": occurred_at,
            "source_note": post.source_note,
        }))
    });
    let framed = Framed {
        posts: posts.collect(),
        banner: post::change_word(post.change)
            .map(|kind| wire(json!({ "kind": kind, "text": headline }))),
    };
    Ok(Payload {
        body: serde_json::to_string(&framed)
            .map_err(|_| post::refuse("the post cannot be written as JSON"))?,
        attachments: post.attachments.clone(),
    })
}
