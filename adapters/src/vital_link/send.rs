//! One delivery: documents first, then the message. The `uid` in each body is the key, so a repetition
//! after any break makes no second effect.
//!
//! `uid` = delivery id of the first telling, version of this one: `<first>.<version>`; its further
//! parts end in `.p2`, its documents in `.d1`. So every later version knows what it replaces.

use renkei_core::{Change, Code, Delivery, PeerRef, SendOutcome};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::VitalLink;
use super::frame::Framed;
use crate::http::{self, Body, Call, CallError, Step, Upload};
use crate::post;

/// Earlier versions looked for, newest first.
const VERSIONS: u32 = 20;
/// Parts and documents one version can have.
const PARTS: usize = 3;
const DOCUMENTS: usize = 10;

#[derive(Deserialize)]
struct Written {
    #[serde(alias = "document_id")]
    message_id: String,
}

impl VitalLink {
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
        let stem = Stem::of(delivery);
        let mut documents = Vec::with_capacity(delivery.attachments.len());
        for place in 1..=delivery.attachments.len() {
            documents.push(self.document(delivery, &stem, &framed, place).await?);
        }
        let mut first: Option<PeerRef> = None;
        let mut replaced = Vec::new();
        for (at, message) in framed.messages.iter().enumerate() {
            let mut message = message.clone();
            if at == 0 && !documents.is_empty() {
                message.insert("documents".to_owned(), json!(documents));
            }
            let (written, earlier) = self.message(delivery, &stem, message, at + 1).await?;
            first.get_or_insert_with(|| PeerRef::new(&written.message_id));
            replaced.extend(earlier);
        }
        let peer_ref =
            first.ok_or_else(|| CallError::Protocol("a payload without a message".into()))?;
        if matches!(delivery.change, Change::Cancelled | Change::WrongPatient)
            && let Some(message) = framed.messages.first()
        {
            self.take_back(delivery, &stem, message, &replaced).await?;
        }
        Ok(SendOutcome::Confirmed { peer_ref })
    }

    /// Sends one part of the message; a correction replaces the newest earlier version that the peer
    /// has, and where it has none, it is told as new.
    async fn message(
        &self,
        delivery: &Delivery,
        stem: &Stem<'_>,
        mut message: Map<String, Value>,
        part: usize,
    ) -> Result<(Written, Option<String>), CallError> {
        message.insert("uid".to_owned(), json!(stem.message(stem.version, part)));
        let earlier = stem
            .earlier(delivery)
            .map(|version| stem.message(version, part));
        self.replacing(delivery, message, earlier.collect(), |message| {
            self.room_call(
                delivery,
                "messages",
                Body::Json(Value::Object(message).to_string()),
            )
        })
        .await
    }

    async fn document(
        &self,
        delivery: &Delivery,
        stem: &Stem<'_>,
        framed: &Framed,
        place: usize,
    ) -> Result<String, CallError> {
        let Some(attachment) = delivery.attachments.get(place - 1) else {
            return Err(CallError::Protocol(
                "a delivery without its documents".into(),
            ));
        };
        let mut meta = framed.document.clone();
        meta.insert("uid".to_owned(), json!(stem.document(stem.version, place)));
        let earlier = stem
            .earlier(delivery)
            .map(|version| stem.document(version, place));
        let (written, _) = self
            .replacing(delivery, meta, earlier.collect(), |meta| {
                let upload = Upload {
                    meta: Some(Value::Object(meta).to_string()),
                    sha256: attachment.reference.sha256.clone(),
                    file_name: attachment.reference.file_name.clone(),
                    media_type: attachment.reference.media_type.clone(),
                    bytes: attachment.bytes.clone(),
                };
                self.room_call(delivery, "documents", Body::File(upload))
            })
            .await?;
        Ok(written.message_id)
    }

    /// Tries `earlier` in turn as what is replaced, then nothing; gives the answer and the uid that was
    /// replaced. A conflict means that this uid was accepted before with another of them: the next one
    /// is the right one.
    async fn replacing(
        &self,
        delivery: &Delivery,
        fields: Map<String, Value>,
        earlier: Vec<String>,
        call: impl Fn(Map<String, Value>) -> Call + Send,
    ) -> Result<(Written, Option<String>), CallError> {
        let tries = earlier.into_iter().map(Some).chain([None]);
        let mut last = CallError::Protocol("nothing was tried".into());
        for replaced in tries {
            let mut fields = fields.clone();
            if let (Some(uid), Some(word)) = (&replaced, post::change_word(delivery.change)) {
                fields.insert("replaces".to_owned(), json!(uid));
                fields.insert("change".to_owned(), json!(word));
            }
            match self.client.call(&call(fields)).await {
                Ok(body) => return Ok((http::read(&body)?, replaced)),
                Err(error) if error.is(422, "unknown_replaces") || error.is_status(409) => {
                    last = error
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Takes back what else was told: every earlier version, part and document. Those the peer does
    /// not have end their row; those the message itself replaced are done.
    async fn take_back(
        &self,
        delivery: &Delivery,
        stem: &Stem<'_>,
        message: &Map<String, Value>,
        replaced: &[String],
    ) -> Result<(), CallError> {
        for version in stem.earlier(delivery) {
            let parts: Vec<_> = (1..=PARTS)
                .map(|part| stem.message(version, part))
                .collect();
            let documents: Vec<_> = (1..=DOCUMENTS)
                .map(|place| stem.document(version, place))
                .collect();
            for row in [parts, documents] {
                for uid in row {
                    if !replaced.contains(&uid)
                        && !self.take_back_one(delivery, stem, message, &uid).await?
                    {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// False when the peer does not have it.
    async fn take_back_one(
        &self,
        delivery: &Delivery,
        stem: &Stem<'_>,
        message: &Map<String, Value>,
        uid: &str,
    ) -> Result<bool, CallError> {
        let what = uid.strip_prefix(stem.first).unwrap_or(uid);
        let mut message = message.clone();
        message.insert(
            "uid".to_owned(),
            json!(format!("{}:{what}", stem.message(stem.version, 1))),
        );
        message.insert("replaces".to_owned(), json!(uid));
        message.insert(
            "change".to_owned(),
            json!(post::change_word(delivery.change)),
        );
        let body = Body::Json(Value::Object(message).to_string());
        match self
            .client
            .call(&self.room_call(delivery, "messages", body))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is(422, "unknown_replaces") => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn room_call(&self, delivery: &Delivery, what: &str, body: Body) -> Call {
        let room = delivery.channel.peer_ref.as_str();
        let steps = [Step::Word("rooms"), Step::Id(room), Step::Word(what)];
        Call::post(http::path("/v1", &steps), body)
    }
}

/// What the uids of one telling are made of.
struct Stem<'a> {
    first: &'a str,
    version: u32,
}

impl<'a> Stem<'a> {
    fn of(delivery: &'a Delivery) -> Self {
        Self {
            first: delivery.replaces.as_ref().unwrap_or(&delivery.id).as_str(),
            version: delivery.version,
        }
    }

    fn message(&self, version: u32, part: usize) -> String {
        match part {
            1 => format!("{}.{version}", self.first),
            part => format!("{}.{version}.p{part}", self.first),
        }
    }

    fn document(&self, version: u32, place: usize) -> String {
        format!("{}.{version}.d{place}", self.first)
    }

    /// The versions before this one, newest first; none for a first telling.
    fn earlier(&self, delivery: &Delivery) -> impl Iterator<Item = u32> + use<> {
        let count = match (&delivery.replaces, delivery.change) {
            (None, _) | (_, Change::First) => 0,
            (Some(_), _) => self.version.saturating_sub(1).min(VERSIONS),
        };
        let version = self.version;
        (1..=count).map(move |back| version - back)
    }
}
