//! A post in the words of `renkei-post/1`. Pure: the result is stored, and every retry sends it.

use renkei_core::{AttachmentRef, Channel, FrameError, Payload, Post};
use serde::{Deserialize, Serialize};

use super::subject::{Places, Template};
use crate::post;

/// The contract's name and version.
pub(super) const CONTRACT: &str = "renkei-post/1";
/// Document types the contract takes.
const TYPES: &[&str] = &["application/pdf", "image/jpeg", "image/png", "text/plain"];

/// The body of a post.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Framed {
    contract: String,
    pub(super) channel: String,
    pub(super) kind: String,
    headline: String,
    text: String,
    pub(super) urgency: String,
    occurred_at: String,
    author: Author,
    source_note: String,
    documents: Vec<AttachmentRef>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Author {
    facility_id: String,
    display: String,
}

pub(super) fn frame(
    post: &Post,
    channel: &Channel,
    subject: &Template,
) -> Result<Payload, FrameError> {
    post::check_documents(&post.attachments, TYPES)?;
    let (headline, text) = post::marked(post)?;
    let framed = Framed {
        contract: CONTRACT.to_owned(),
        channel: channel.peer_ref.as_str().to_owned(),
        kind: post.kind.code().to_owned(),
        headline,
        text,
        urgency: post.urgency.as_str().to_owned(),
        occurred_at: post::occurred_at(post)?,
        author: Author {
            facility_id: post.author_facility.clone(),
            display: post.author.clone(),
        },
        source_note: post.source_note.clone(),
        documents: post.attachments.clone(),
    };
    framed
        .subject(subject)
        .ok_or_else(|| post::refuse("the channel's name cannot stand in a subject"))?;
    Ok(Payload {
        body: serde_json::to_string(&framed)
            .map_err(|_| post::refuse("the post cannot be written as JSON"))?,
        attachments: post.attachments.clone(),
    })
}

impl Framed {
    /// Where it is published.
    pub(super) fn subject(&self, template: &Template) -> Option<String> {
        template.fill(&Places {
            channel: &self.channel,
            kind: &self.kind,
            urgency: &self.urgency,
        })
    }
}
