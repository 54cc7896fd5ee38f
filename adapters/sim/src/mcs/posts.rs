//! What a client writes: attachments, posts, corrections, withdrawals.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Mcs, show};
use crate::gate::Author;
use crate::hash::fingerprint;
use crate::refusal::Refusal;
use crate::request::{Call, Reply, shape};
use crate::seed::{Client, GroupKind};
use crate::state::{Entry, EntryKind};
use crate::uploads;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPost {
    client_ref: String,
    author: Author,
    headline: String,
    text: String,
    category: String,
    urgency: String,
    #[serde(rename = "ack_requested")]
    _ack_requested: bool,
    occurred_at: String,
    source_note: String,
    reply_to: Option<String>,
    #[serde(default)]
    attachments: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCorrection {
    kind: String,
    text: String,
}

impl Mcs {
    pub(super) fn attach(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.write")?;
        let upload = uploads::check(call.parts()?, &[])?;
        let bytes = upload.part.bytes.clone();
        let (place, fresh) =
            self.state
                .keep_file(&client.id, upload.file_name, upload.media_type, bytes);
        let file = self
            .state
            .files
            .get(place)
            .ok_or_else(|| Refusal::not_found("attachment"))?;
        let answer = json!({
            "attachment_id": file.id, "sha256": file.sha256, "bytes": file.bytes.len(), "media_type": file.media_type,
        });
        Ok(if fresh {
            Reply::json(201, answer)
        } else {
            Reply::replay(answer)
        })
    }

    pub(super) fn post(&mut self, call: &Call, group_id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.write")?;
        let post: NewPost = shape(call.json()?)?;
        let (key, content, known) = self.key(call, &client)?;
        if let Some(answer) = known {
            return Ok(Reply::replay(answer));
        }
        let team = self
            .state
            .writable(&client, group_id, &post.author, false)?;
        if team.kind == GroupKind::Free {
            return Err(Refusal::new(
                403,
                "kind_not_allowed",
                "a free group takes no post about a patient",
            ));
        }
        post.check()?;
        if let Some(reply_to) = &post.reply_to
            && self
                .state
                .entry(reply_to)
                .is_none_or(|entry| entry.team_id != group_id)
        {
            return Err(Refusal::unprocessable("unknown_reply_to", "reply_to"));
        }
        let files = self.files_of(&client, &post.attachments)?;
        let (id, now) = (self.state.issue("post"), self.state.now());
        let mut entry = Entry::new(
            id.clone(),
            EntryKind::Message,
            group_id,
            now,
            call.json()?.clone(),
        );
        entry.client_id = Some(client.id.clone());
        entry.key = Some(key.clone());
        entry.files = files;
        self.state.write(entry);
        let answer = json!({"post_id": id, "accepted_at": now.to_string(), "url": show::url(&id)});
        self.state.settle(&client, &key, content, &answer);
        Ok(Reply::json(201, answer))
    }

    pub(super) fn correct(&mut self, call: &Call, post_id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.write")?;
        let correction: NewCorrection = shape(call.json()?)?;
        let (key, content, known) = self.key(call, &client)?;
        if let Some(answer) = known {
            return Ok(Reply::replay(answer));
        }
        self.own_post(&client, post_id)?;
        if !["corrected", "cancelled", "wrong_patient"].contains(&correction.kind.as_str()) {
            return Err(Refusal::unprocessable("bad_value", "kind"));
        }
        if !(1..=2000).contains(&correction.text.chars().count()) {
            return Err(Refusal::unprocessable("text_length", "text"));
        }
        let (id, now) = (self.state.issue("correction"), self.state.now());
        self.state.counts.effects += 1;
        let entry = self
            .state
            .entry_mut(post_id)
            .ok_or_else(|| Refusal::not_found("post"))?;
        entry.corrections.push(json!({
            "correction_id": id, "kind": correction.kind, "text": correction.text, "accepted_at": now.to_string(),
        }));
        if correction.kind == "wrong_patient" {
            entry.withdrawn_at.get_or_insert(now);
        }
        let answer = json!({
            "correction_id": id, "post_id": post_id, "accepted_at": now.to_string(), "readers": show::readers(entry),
        });
        self.state.settle(&client, &key, content, &answer);
        Ok(Reply::json(201, answer))
    }

    pub(super) fn withdraw(&mut self, call: &Call, post_id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.write")?;
        self.own_post(&client, post_id)?;
        let now = self.state.now();
        let entry = self
            .state
            .entry_mut(post_id)
            .ok_or_else(|| Refusal::not_found("post"))?;
        let first = entry.withdrawn_at.is_none();
        let at = *entry.withdrawn_at.get_or_insert(now);
        let answer = json!({"post_id": post_id, "withdrawn_at": at.to_string(), "readers": show::readers(entry)});
        self.state.counts.effects += u64::from(first);
        Ok(Reply::json(200, answer))
    }

    fn own_post(&self, client: &Client, post_id: &str) -> Result<(), Refusal> {
        let entry = self
            .state
            .entry(post_id)
            .ok_or_else(|| Refusal::not_found("post"))?;
        if entry.client_id.as_deref() == Some(client.id.as_str()) {
            Ok(())
        } else {
            Err(Refusal::new(
                403,
                "not_author",
                "only the client that posted may correct or withdraw",
            ))
        }
    }

    /// The key of a write, the fingerprint of its content, and the first answer when it is a repetition.
    fn key(
        &self,
        call: &Call,
        client: &Client,
    ) -> Result<(String, [u8; 32], Option<Value>), Refusal> {
        let key = call.header("idempotency-key").unwrap_or_default();
        if !(1..=200).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::new(
                400,
                "idempotency_key_required",
                "1 to 200 visible ASCII characters",
            ));
        }
        let content = fingerprint(&json!([call.method.as_str(), call.path, call.json()?]));
        let known = self
            .state
            .replay(client, key, &content, "idempotency_conflict")?;
        Ok((key.to_owned(), content, known))
    }

    fn files_of(&self, client: &Client, ids: &[String]) -> Result<Vec<usize>, Refusal> {
        let find = |id: &String| {
            let place = *self.state.file_places.get(id)?;
            self.state
                .files
                .get(place)
                .filter(|file| file.client_id == client.id && file.id == *id)?;
            Some(place)
        };
        let places = ids.iter().map(|id| {
            find(id).ok_or_else(|| Refusal::unprocessable("unknown_attachment", "attachments"))
        });
        places.collect()
    }
}

impl NewPost {
    fn check(&self) -> Result<(), Refusal> {
        let within = |text: &str, max: usize| (1..=max).contains(&text.chars().count());
        if !within(&self.headline, 60) || self.headline.contains(['\r', '\n']) {
            return Err(Refusal::unprocessable("headline_length", "headline"));
        }
        if !within(&self.text, 2000) {
            return Err(Refusal::unprocessable("text_length", "text"));
        }
        if self.attachments.len() > 10 {
            return Err(Refusal::unprocessable(
                "too_many_attachments",
                "attachments",
            ));
        }
        for (text, field) in [
            (&self.client_ref, "client_ref"),
            (&self.category, "category"),
            (&self.source_note, "source_note"),
        ] {
            if !within(text, 200) {
                return Err(Refusal::unprocessable("bad_value", field));
            }
        }
        if !["u0", "u1", "u2", "u3"].contains(&self.urgency.as_str()) {
            return Err(Refusal::unprocessable("bad_value", "urgency"));
        }
        if self.occurred_at.parse::<jiff::Timestamp>().is_err() {
            return Err(Refusal::unprocessable("bad_value", "occurred_at"));
        }
        Ok(())
    }
}
