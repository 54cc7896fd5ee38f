//! One delivery: documents first, then the post, each under a key derived from the delivery id, so that
//! a repetition after any break makes no second effect.

use renkei_core::{Attachment, Change, Code, Delivery, PeerRef, SendOutcome};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Gateway;
use super::frame::Framed;
use crate::http::{Body, Call, CallError, Step, Upload, encode};
use crate::post;

#[derive(Deserialize)]
struct Posted {
    post_id: String,
}

#[derive(Deserialize)]
struct Uploaded {
    attachment_id: String,
}

/// What of a post we need to find the others of its telling.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    post_id: String,
    accepted_at: Option<String>,
    reply_to: Option<String>,
    client_ref: Option<String>,
    #[serde(default)]
    withdrawn: bool,
}

impl Gateway {
    pub(super) async fn deliver(&self, delivery: &Delivery) -> Result<SendOutcome, CallError> {
        let framed: Framed = match serde_json::from_str(&delivery.payload.body) {
            Ok(framed) if post::has_its_documents(delivery) => framed,
            _ => {
                return Ok(SendOutcome::Rejected {
                    code: Code::DLV_FRAME,
                    source: "the stored payload is not what this sink frames".into(),
                });
            }
        };
        let undone = match (&framed.banner, &delivery.reply_to) {
            (Some(banner), Some(first)) => {
                self.correct(delivery, first, banner).await?;
                delivery.change != Change::Corrected
            }
            _ => false,
        };
        let told = self.tell(delivery, framed.posts).await;
        match (told, &delivery.reply_to) {
            // Undoing is always allowed, telling is not: the banner stands on the first post, and an
            // archived group or a withdrawn consent needs no second word.
            (Err(error), Some(first))
                if undone && (error.is_status(403) || error.is_status(410)) =>
            {
                Ok(SendOutcome::Confirmed {
                    peer_ref: first.clone(),
                })
            }
            (told, _) => told.map(|peer_ref| SendOutcome::Confirmed { peer_ref }),
        }
    }

    /// Posts the parts; the first carries the documents, later ones reply to it.
    async fn tell(
        &self,
        delivery: &Delivery,
        posts: Vec<Map<String, Value>>,
    ) -> Result<PeerRef, CallError> {
        let mut documents = Vec::with_capacity(delivery.attachments.len());
        for attachment in &delivery.attachments {
            documents.push(self.upload(attachment).await.map_err(CallError::harmless)?);
        }
        let group = delivery.channel.peer_ref.as_str();
        let path = self.dialect.path(&[
            Step::Word("patient-groups"),
            Step::Id(group),
            Step::Word("posts"),
        ]);
        let mut first: Option<PeerRef> = None;
        for (at, mut fields) in posts.into_iter().enumerate() {
            let mut late = Map::new();
            if let Some(reply_to) = delivery.reply_to.as_ref().or(first.as_ref()) {
                late.insert("reply_to".to_owned(), json!(reply_to));
            }
            if at == 0 && !documents.is_empty() {
                late.insert("attachments".to_owned(), json!(documents));
            }
            if let Value::Object(late) = self.dialect.write(Value::Object(late)) {
                fields.extend(late);
            }
            let key = match at {
                0 => delivery.id.to_string(),
                at => format!("{}.{}", delivery.id, at + 1),
            };
            let posted: Posted = self.write(path.clone(), key, fields).await?;
            first.get_or_insert_with(|| PeerRef::new(&posted.post_id));
        }
        first.ok_or_else(|| CallError::Protocol("a payload without a post".into()))
    }

    async fn upload(&self, attachment: &Attachment) -> Result<String, CallError> {
        let upload = Upload {
            meta: None,
            sha256: attachment.reference.sha256.clone(),
            file_name: attachment.reference.file_name.clone(),
            media_type: attachment.reference.media_type.clone(),
            bytes: attachment.bytes.clone(),
        };
        let path = self.dialect.path(&[Step::Word("attachments")]);
        let body = self
            .client
            .call(&Call::post(path, Body::File(upload)))
            .await?;
        self.dialect
            .read::<Uploaded>(&body)
            .map(|uploaded| uploaded.attachment_id)
    }

    /// Puts the banner on the first post and, when everything is taken back, on every other post of
    /// the same telling: its further parts and the corrections made since.
    async fn correct(
        &self,
        delivery: &Delivery,
        first: &PeerRef,
        banner: &Map<String, Value>,
    ) -> Result<(), CallError> {
        let key = format!("{}.correction", delivery.id);
        self.mark(first.as_str(), key, banner).await?;
        if delivery.change == Change::Corrected {
            return Ok(());
        }
        for post in self.others(delivery, first).await? {
            let key = format!("{}.correction.{post}", delivery.id);
            self.mark(&post, key, banner).await?;
        }
        Ok(())
    }

    async fn mark(
        &self,
        post: &str,
        key: String,
        banner: &Map<String, Value>,
    ) -> Result<(), CallError> {
        let path = self.dialect.path(&[
            Step::Word("posts"),
            Step::Id(post),
            Step::Word("corrections"),
        ]);
        self.write::<Value>(path, key, banner.clone())
            .await
            .map(drop)
    }

    /// Our own posts that reply to the first one and are still readable, but for the answer this very
    /// delivery may have given already.
    async fn others(&self, delivery: &Delivery, first: &PeerRef) -> Result<Vec<String>, CallError> {
        let first_path = self
            .dialect
            .path(&[Step::Word("posts"), Step::Id(first.as_str())]);
        let shown: Shown = self.get(first_path).await?;
        let Some(since) = shown.accepted_at else {
            return Err(CallError::Protocol("a post without its time".into()));
        };
        let group = delivery.channel.peer_ref.as_str();
        let path = self.dialect.path(&[
            Step::Word("patient-groups"),
            Step::Id(group),
            Step::Word("posts"),
        ]);
        let posts: Vec<Shown> = self
            .list(&path, &format!("&since={}", encode(&since)))
            .await?;
        let own = self.own_reference(delivery);
        Ok(posts
            .into_iter()
            .filter(|post| post.reply_to.as_deref() == Some(first.as_str()) && !post.withdrawn)
            .filter(|post| post.client_ref.is_some() && post.client_ref != own)
            .map(|post| post.post_id)
            .collect())
    }

    async fn write<T: serde::de::DeserializeOwned>(
        &self,
        path: String,
        key: String,
        fields: Map<String, Value>,
    ) -> Result<T, CallError> {
        let body = Body::Json(Value::Object(fields).to_string());
        let call = Call::post(path, body).with_key(&self.dialect.key_header, key);
        let answer = self.client.call(&call).await?;
        self.dialect.read(&answer)
    }

    /// The `client_ref` of the delivery's own post.
    fn own_reference(&self, delivery: &Delivery) -> Option<String> {
        let framed: Framed = serde_json::from_str(&delivery.payload.body).ok()?;
        let field = self.dialect.field("client_ref");
        framed
            .posts
            .first()?
            .get(field)?
            .as_str()
            .map(str::to_owned)
    }
}
