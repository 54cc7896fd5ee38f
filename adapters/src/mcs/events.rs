//! 了解 and the peer's other events, as messages for the inbox. A 了解 has the peer's ack id as its
//! key, whether it was looked up or announced, so that one confirmation is one message.

use jiff::Timestamp;
use renkei_core::{PeerRef, Profession, ReceiptKind, peer};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Dialect;
use crate::http::CallError;
use crate::news::News;

#[derive(Deserialize)]
struct Ack {
    ack_id: String,
    post_id: String,
    user_ref: Option<String>,
    #[serde(default)]
    professions: Vec<String>,
    acked_at: Timestamp,
}

/// One entry of the feed of acks.
pub(super) fn ack(raw: &str, dialect: &Dialect) -> Result<News, CallError> {
    let ack: Ack = dialect.read(raw.as_bytes())?;
    Ok(News {
        key: format!("ack {}", ack.ack_id),
        about: ack.post_id.clone(),
        name: "ack".to_owned(),
        what: peer::News::Receipt {
            delivery: None,
            post: Some(PeerRef::new(&ack.post_id)),
            kind: ReceiptKind::Seen,
            by: ack.user_ref,
            professions: ack
                .professions
                .iter()
                .map(|code| Profession::of(code))
                .collect(),
        },
        at: ack.acked_at,
        raw: raw.to_owned(),
    })
}

/// An event as announced by webhook.
#[derive(Deserialize)]
struct Event<'a> {
    event_id: String,
    #[serde(rename = "type")]
    name: String,
    occurred_at: Timestamp,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Origin {
    #[serde(default)]
    origin: String,
    client_ref: Option<String>,
}

/// One webhook body. Our own posts come back too; they are nothing new.
pub(super) fn event(body: &str, dialect: &Dialect) -> Result<Option<News>, CallError> {
    let event: Event<'_> = crate::http::read(body.as_bytes())?;
    match event.name.as_str() {
        "ack.created" => return ack(event.data.get(), dialect).map(Some),
        "post.created" => {
            let post: Origin = dialect.read(event.data.get().as_bytes())?;
            if post.origin == "api" && post.client_ref.is_some() {
                return Ok(None);
            }
        }
        _ => {}
    }
    Ok(Some(News {
        key: format!("event {}", event.event_id),
        about: event.event_id,
        what: peer::News::Other {
            name: event.name.clone(),
        },
        name: event.name,
        at: event.occurred_at,
        raw: body.to_owned(),
    }))
}
