//! The feed of changes, as messages for the inbox: 了解 as receipts, what people and other systems do
//! as news recorded unread. Our own entries and mere readings are nothing new.

use jiff::Timestamp;
use renkei_core::{PeerRef, Profession, ReceiptKind, peer};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{self, CallError};
use crate::news::News;

#[derive(Deserialize)]
struct Change<'a> {
    change_id: String,
    #[serde(rename = "type")]
    name: String,
    at: Timestamp,
    room_id: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Ack {
    #[serde(alias = "document_id")]
    message_id: String,
    user_ref: Option<String>,
    #[serde(default)]
    profession: String,
    uid: Option<String>,
}

#[derive(Deserialize)]
struct Origin {
    #[serde(default)]
    origin: String,
    uid: Option<String>,
}

/// One entry of the feed.
pub(super) fn change(raw: &str) -> Result<Option<News>, CallError> {
    let change: Change<'_> = http::read(raw.as_bytes())?;
    let data = change.data.get().as_bytes();
    let what = match change.name.as_str() {
        "read" => return Ok(None),
        "message" | "document" => {
            let entry: Origin = http::read(data)?;
            if entry.origin == "api" && entry.uid.is_some() {
                return Ok(None);
            }
            other(&change.name)
        }
        "ack" => {
            let ack: Ack = http::read(data)?;
            // Without a uid it confirms somebody else's entry.
            match ack.uid {
                None => return Ok(None),
                Some(_) => peer::News::Receipt {
                    delivery: None,
                    post: Some(PeerRef::new(&ack.message_id)),
                    kind: ReceiptKind::Seen,
                    by: ack.user_ref,
                    professions: vec![Profession::of(&ack.profession)],
                },
            }
        }
        name => other(name),
    };
    Ok(Some(News {
        key: format!("change {}", change.change_id),
        about: change.room_id,
        name: change.name,
        what,
        at: change.at,
        raw: raw.to_owned(),
    }))
}

fn other(name: &str) -> peer::News {
    peer::News::Other {
        name: name.to_owned(),
    }
}
