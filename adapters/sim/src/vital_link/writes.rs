//! Messages and documents a client writes into a room.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{VitalLink, id_name};
use crate::gate::Author;
use crate::hash::fingerprint;
use crate::refusal::Refusal;
use crate::request::{Call, Part, Reply, shape};
use crate::seed::{Client, GroupKind};
use crate::state::{Entry, EntryKind};
use crate::uploads;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    uid: String,
    author: Author,
    title: String,
    body: String,
    urgency: String,
    #[serde(rename = "ack_requested")]
    _ack_requested: bool,
    occurred_at: String,
    source_note: String,
    replaces: Option<String>,
    change: Option<String>,
    #[serde(default)]
    documents: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentMeta {
    uid: String,
    author: Author,
    title: String,
    occurred_at: String,
    source_note: String,
    replaces: Option<String>,
    change: Option<String>,
}

/// What a new entry needs besides its kind.
struct Writing<'a> {
    client: &'a Client,
    room_id: &'a str,
    uid: &'a str,
    request: Value,
    replaces: Option<String>,
    change: Option<&'a str>,
    files: Vec<usize>,
}

/// The JSON of the part `meta`.
pub(super) fn meta(parts: &[Part]) -> Result<Value, Refusal> {
    let part =
        uploads::part(parts, "meta").ok_or_else(|| Refusal::bad_request("part meta is missing"))?;
    serde_json::from_slice(&part.bytes).map_err(|_| Refusal::bad_request("part meta is not JSON"))
}

/// 1 to 100 of `A-Z a-z 0-9 . _ : -`.
pub(super) fn is_uid(uid: &str) -> bool {
    (1..=100).contains(&uid.len())
        && uid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

impl VitalLink {
    pub(super) fn message(&mut self, call: &Call, room_id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "messages.write")?;
        let message: NewMessage = shape(call.json()?)?;
        let content = fingerprint(&json!([call.path, call.json()?]));
        if let Some(answer) = self.known(&client, &message.uid, &content)? {
            return Ok(Reply::replay(answer));
        }
        self.check_room(
            &client,
            room_id,
            &message.author,
            message.replaces.is_some(),
        )?;
        check_title(&message.title)?;
        if !(1..=1000).contains(&message.body.chars().count()) {
            return Err(Refusal::unprocessable("body_length", "body"));
        }
        if message.documents.len() > 10 {
            return Err(Refusal::unprocessable("too_many_documents", "documents"));
        }
        if !["u0", "u1", "u2", "u3"].contains(&message.urgency.as_str()) {
            return Err(Refusal::unprocessable("bad_value", "urgency"));
        }
        check_common(&message.occurred_at, &message.source_note)?;
        let own = |id: &String| {
            let entry = self
                .state
                .entry(id)
                .filter(|entry| entry.kind == EntryKind::Document);
            entry.is_some_and(|entry| {
                entry.team_id == room_id && entry.client_id.as_deref() == Some(client.id.as_str())
            })
        };
        if !message.documents.iter().all(own) {
            return Err(Refusal::unprocessable("unknown_document", "documents"));
        }
        let replaces = self.replaced(
            &client,
            room_id,
            message.replaces.as_deref(),
            message.change.as_deref(),
            None,
        )?;
        let (id, at) = self.enter(
            EntryKind::Message,
            Writing {
                client: &client,
                room_id,
                uid: &message.uid,
                request: call.json()?.clone(),
                replaces,
                change: message.change.as_deref(),
                files: Vec::new(),
            },
        );
        let answer = json!({"message_id": id, "uid": message.uid, "accepted_at": at});
        self.state.settle(&client, &message.uid, content, &answer);
        Ok(Reply::json(201, answer))
    }

    pub(super) fn document(&mut self, call: &Call, room_id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "documents.write")?;
        let parts = call.parts()?;
        let upload = uploads::check(parts, &["meta"])?;
        let request = meta(parts)?;
        let meta: DocumentMeta = shape(&request)?;
        let sha256 = crate::hash::hex_sha256(&upload.part.bytes);
        let content = fingerprint(&json!([call.path, request, upload.media_type, sha256]));
        if let Some(answer) = self.known(&client, &meta.uid, &content)? {
            return Ok(Reply::replay(answer));
        }
        self.check_room(&client, room_id, &meta.author, meta.replaces.is_some())?;
        check_title(&meta.title)?;
        check_common(&meta.occurred_at, &meta.source_note)?;
        let kind = EntryKind::Document;
        let replaces = self.replaced(
            &client,
            room_id,
            meta.replaces.as_deref(),
            meta.change.as_deref(),
            Some(kind),
        )?;
        let bytes = upload.part.bytes.clone();
        let (place, _) =
            self.state
                .keep_file(&client.id, upload.file_name, upload.media_type, bytes);
        let (id, at) = self.enter(
            kind,
            Writing {
                client: &client,
                room_id,
                uid: &meta.uid,
                request,
                replaces,
                change: meta.change.as_deref(),
                files: vec![place],
            },
        );
        let answer = json!({
            "document_id": id, "uid": meta.uid, "sha256": sha256, "bytes": upload.part.bytes.len(),
            "media_type": upload.media_type, "accepted_at": at,
        });
        self.state.settle(&client, &meta.uid, content, &answer);
        Ok(Reply::json(201, answer))
    }

    fn known(
        &self,
        client: &Client,
        uid: &str,
        content: &[u8; 32],
    ) -> Result<Option<Value>, Refusal> {
        if !is_uid(uid) {
            return Err(Refusal::unprocessable("bad_value", "uid"));
        }
        self.state.replay(client, uid, content, "uid_conflict")
    }

    fn check_room(
        &self,
        client: &Client,
        room_id: &str,
        author: &Author,
        undoing: bool,
    ) -> Result<(), Refusal> {
        let team = self.state.writable(client, room_id, author, undoing)?;
        if team.kind == GroupKind::Free {
            Err(Refusal::not_found("room"))
        } else {
            Ok(())
        }
    }

    /// The entry a `replaces` names. A document replaces a document; a message may replace either.
    fn replaced(
        &self,
        client: &Client,
        room_id: &str,
        uid: Option<&str>,
        change: Option<&str>,
        kind: Option<EntryKind>,
    ) -> Result<Option<String>, Refusal> {
        let Some(uid) = uid else {
            return if change.is_none() {
                Ok(None)
            } else {
                Err(Refusal::unprocessable("bad_value", "change"))
            };
        };
        if !change
            .is_some_and(|change| ["corrected", "cancelled", "wrong_patient"].contains(&change))
        {
            return Err(Refusal::unprocessable("bad_value", "change"));
        }
        let found = self.state.entries.iter().find(|entry| {
            entry.key.as_deref() == Some(uid)
                && entry.client_id.as_deref() == Some(client.id.as_str())
                && entry.team_id == room_id
                && kind.is_none_or(|kind| entry.kind == kind)
        });
        let found = found.ok_or_else(|| Refusal::unprocessable("unknown_replaces", "replaces"))?;
        Ok(Some(found.id.clone()))
    }

    /// Stores the entry and marks what it replaces; gives id and time of acceptance.
    fn enter(&mut self, kind: EntryKind, writing: Writing<'_>) -> (String, String) {
        let prefix = id_name(kind).trim_end_matches("_id");
        let (id, now) = (self.state.issue(prefix), self.state.now());
        let mut entry = Entry::new(id.clone(), kind, writing.room_id, now, writing.request);
        entry.client_id = Some(writing.client.id.clone());
        entry.key = Some(writing.uid.to_owned());
        entry.files = writing.files;
        self.state.write(entry);
        if let Some(old) = writing.replaces.and_then(|old| self.state.entry_mut(&old)) {
            old.replaced_by = Some(id.clone());
            if writing.change == Some("wrong_patient") {
                old.withdrawn_at.get_or_insert(now);
            }
        }
        (id, now.to_string())
    }
}

fn check_title(title: &str) -> Result<(), Refusal> {
    if (1..=60).contains(&title.chars().count()) && !title.contains(['\r', '\n']) {
        Ok(())
    } else {
        Err(Refusal::unprocessable("title_length", "title"))
    }
}

fn check_common(occurred_at: &str, source_note: &str) -> Result<(), Refusal> {
    if occurred_at.parse::<jiff::Timestamp>().is_err() {
        return Err(Refusal::unprocessable("bad_value", "occurred_at"));
    }
    if !(1..=200).contains(&source_note.chars().count()) {
        return Err(Refusal::unprocessable("bad_value", "source_note"));
    }
    Ok(())
}
