//! The sink: publishes posts and waits for the server's word that the stream has them.

use std::sync::Arc;

use async_nats::connection::State;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context};
use async_trait::async_trait;
use bytes::Bytes;
use renkei_core::{
    BoxError, Change, Channel, ChannelView, Code, Delivery, FrameError, Member, Payload, PeerRef,
    Post, SendError, SendOutcome, SinkName,
};
use tokio::sync::OnceCell;
use tracing::warn;

use super::config;
use super::connection::ConnectError;
use super::frame::{self, CONTRACT, Framed};
use super::subject::Template;
use crate::Ends;
use crate::http::in_lines;
use crate::post;
use crate::problem::ConfigProblem;

/// Deliveries under way at once, each for another person.
const PARALLEL: usize = 16;
/// Bytes of a document in one message at most; less when the server takes less.
const PART: usize = 512 * 1024;
/// Kept free of the server's limit for the headers.
const HEADERS: usize = 8 * 1024;

/// Makes the sink. There is no source half: a stream of answers is a source of its own.
///
/// # Errors
/// [`ConfigProblem`] for the first setting that cannot be used.
pub fn build(name: &SinkName, config: config::Sink) -> Result<Ends, ConfigProblem> {
    if let Some(problem) = config.check().into_iter().next() {
        return Err(problem);
    }
    let subject = Template::parse(&config.subject)
        .map_err(|reason| ConfigProblem::invalid("subject", reason))?;
    let sink = Sink {
        name: name.clone(),
        config,
        subject,
        context: OnceCell::new(),
    };
    Ok((Arc::new(sink), None))
}

/// One stream that is written.
struct Sink {
    name: SinkName,
    config: config::Sink,
    subject: Template,
    /// Made when it is first needed; comes back by itself when it is lost.
    context: OnceCell<Context>,
}

/// Why a message was not published.
enum Failure {
    Connect(ConnectError),
    Publish(PublishError),
    /// Before anything left.
    Unavailable(BoxError),
}

#[async_trait]
impl renkei_core::Sink for Sink {
    fn frame(&self, post: &Post, channel: &Channel) -> Result<Payload, FrameError> {
        frame::frame(post, channel, &self.subject)
    }

    /// A stream tells nothing about a channel; who reads it stands in the configuration.
    async fn look(&self, channel: &Channel) -> Result<ChannelView, SendError> {
        let reader = |profession: &renkei_core::Profession| Member {
            user_ref: format!("reader/{}", profession.code()),
            facility: None,
            professions: vec![*profession],
        };
        let readers = &self.config.readers;
        Ok(ChannelView {
            peer_ref: channel.peer_ref.clone(),
            kind: channel.kind,
            archived: false,
            header: None,
            members: (!readers.is_empty()).then(|| readers.iter().map(reader).collect()),
            host_facility: channel.host_facility.clone(),
        })
    }

    async fn channels(&self) -> Result<Vec<ChannelView>, SendError> {
        Ok(Vec::new())
    }

    async fn send(&self, deliveries: &[Delivery]) -> Vec<SendOutcome> {
        in_lines(deliveries, PARALLEL, |delivery| {
            Box::pin(async move {
                match self.deliver(delivery).await {
                    Ok(outcome) => outcome,
                    Err(failure) => outcome(failure),
                }
            })
        })
        .await
    }

    async fn probe(&self) -> Result<(), SendError> {
        let context = self
            .context()
            .await
            .map_err(ConnectError::into_send_error)?;
        match context.get_stream(&self.config.stream).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                GetStreamErrorKind::JetStream(_) => SendError::Protocol(error.into()),
                _ => SendError::Unavailable(error.into()),
            }),
        }
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

impl Sink {
    async fn context(&self) -> Result<&Context, ConnectError> {
        let connect = || async {
            let name = format!("renkei peer {}", self.name);
            let client = self.config.connection.connect(name, |_| ()).await?;
            let context = jetstream::ContextBuilder::new()
                .timeout(self.config.connection.timeout())
                .build(client);
            if let Ok(stream) = context.get_stream(&self.config.stream).await {
                let window = stream.cached_info().config.duplicate_window;
                if window.as_secs() < SHORT_WINDOW {
                    warn!(sink = %self.name, seconds = window.as_secs(), "the stream soon forgets message ids: a post repeated later is told apart by its readers only");
                }
            }
            Ok(context)
        };
        self.context.get_or_try_init(connect).await
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<SendOutcome, Failure> {
        let framed = serde_json::from_str::<Framed>(&delivery.payload.body).ok();
        let place = framed
            .as_ref()
            .and_then(|framed| framed.subject(&self.subject));
        let (Some(framed), Some(subject)) = (framed, place) else {
            return Ok(refused("the stored payload is not what this sink frames"));
        };
        if !post::has_its_documents(delivery) {
            return Ok(refused("a delivery without its documents"));
        }
        let context = self.context().await.map_err(Failure::Connect)?;
        // What is handed over without a connection would lie in memory and leave later.
        if context.client().connection_state() != State::Connected {
            return Err(Failure::Unavailable("the connection is lost".into()));
        }
        for (at, attachment) in delivery.attachments.iter().enumerate() {
            let most = context.client().max_payload().saturating_sub(HEADERS);
            let size = PART.min(most).max(1);
            let parts = attachment.bytes.len().div_ceil(size).max(1);
            for part in 0..parts {
                let bytes = &attachment.bytes;
                let range = part * size..bytes.len().min((part + 1) * size);
                let id = format!("{}.d{}.{}", delivery.id.as_str(), at + 1, part + 1);
                let message = self
                    .message(delivery, &framed, &id, bytes.slice(range))
                    .header("Renkei-Document", attachment.reference.sha256.as_str())
                    .header("Renkei-Part", format!("{}/{parts}", part + 1));
                self.publish(context, format!("{subject}.document"), message)
                    .await?;
            }
        }
        let body = Bytes::from(delivery.payload.body.clone());
        let message = self.message(delivery, &framed, delivery.id.as_str(), body);
        let sequence = self.publish(context, subject, message).await?;
        Ok(SendOutcome::Confirmed {
            peer_ref: PeerRef::new(format!("{}:{sequence}", self.config.stream)),
        })
    }

    /// A message with what is said about every message of a delivery.
    fn message(
        &self,
        delivery: &Delivery,
        framed: &Framed,
        id: &str,
        payload: Bytes,
    ) -> PublishMessage {
        let message = PublishMessage::build()
            .payload(payload)
            .message_id(id)
            .expected_stream(&self.config.stream)
            .header("Renkei-Contract", CONTRACT)
            .header("Renkei-Delivery", delivery.id.as_str())
            .header("Renkei-Kind", framed.kind.as_str())
            .header("Renkei-Version", delivery.version.to_string())
            .header("Renkei-Change", change(delivery.change));
        match &delivery.replaces {
            Some(first) => message.header("Renkei-Replaces", first.as_str()),
            None => message,
        }
    }

    /// Publishes one message and waits until the stream has it; gives its place there, the first one
    /// when it was there already.
    async fn publish(
        &self,
        context: &Context,
        subject: String,
        message: PublishMessage,
    ) -> Result<u64, Failure> {
        let answer = context
            .send_publish(subject, message)
            .await
            .map_err(Failure::Publish)?;
        Ok(answer.await.map_err(Failure::Publish)?.sequence)
    }
}

/// Seconds that a stream should know message ids at least.
const SHORT_WINDOW: u64 = 3_600;

fn change(change: Change) -> &'static str {
    post::change_word(change).unwrap_or("first")
}

fn refused(reason: &'static str) -> SendOutcome {
    SendOutcome::Rejected {
        code: Code::DLV_FRAME,
        source: reason.into(),
    }
}

/// What a failure means for a delivery.
fn outcome(failure: Failure) -> SendOutcome {
    let later = |source: BoxError| SendOutcome::Retry {
        after: None,
        unavailable: true,
        source,
    };
    match failure {
        Failure::Connect(error) => later(error.into()),
        Failure::Unavailable(source) => later(source),
        Failure::Publish(error) => match error.kind() {
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => SendOutcome::Unknown {
                source: error.into(),
            },
            PublishErrorKind::MaxPayloadExceeded => SendOutcome::Rejected {
                code: Code::DLV_FRAME,
                source: error.into(),
            },
            // No stream, a full one, another one than expected: what the server's operator mends.
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::WrongLastMessageId
            | PublishErrorKind::WrongLastSequence
            | PublishErrorKind::MaxAckPending
            | PublishErrorKind::Other => later(error.into()),
        },
    }
}
