//! The source: a durable pull consumer with explicit acknowledgment.
//!
//! A message is acknowledged to the server when the inbox has committed it, and not before; what is
//! given out again is a duplicate and acknowledged. While there is no room a message is tried again
//! here and the server is told that it is being worked on; the server gives out at most
//! `max_ack_pending` messages, so a slow ledger slows the reading.
//!
//! Order. After a break (the hub killed, a connection lost) the server would give out new messages
//! before those that were under way, which come again only after `ack_wait`. So the place up to which
//! everything was acknowledged is written down, and the consumer is made anew from there
//! ([`Reader::rewind`]): whenever one is found with messages under way that nobody holds, and whenever
//! the server's count shows that something it gave out never arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::{self, AckKind, Message, stream};
use async_nats::{Client, Event};
use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _};
use renkei_core::{
    AcceptError, BoxError, Code, Inbox, Note, Shutdown, SourceError, SourceName, chain,
};
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::config::{self, Begin};
use super::connection::ConnectError;
use super::intake::{self, Arrived};
use super::window::{Halt, Job, Window};
use crate::problem::ConfigProblem;

/// First wait after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A request for messages lives this long, and the server says as often that it is there.
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The note with the place up to which everything was acknowledged.
const PLACE: &str = "place";

/// One stream that is read.
pub struct Source {
    name: SourceName,
    config: config::Source,
}

impl Source {
    /// Takes a configuration. Nobody is asked before [`renkei_core::Source::run`].
    ///
    /// # Errors
    /// [`SourceError`] when the configuration cannot be used.
    pub fn new(name: SourceName, config: config::Source) -> Result<Self, SourceError> {
        let problems = config.check();
        if problems.is_empty() {
            return Ok(Self { name, config });
        }
        let texts: Vec<String> = problems.iter().map(ConfigProblem::to_string).collect();
        Err(SourceError {
            code: Code::CFG_INVALID,
            reason: texts.join("; "),
            source: None,
        })
    }
}

#[async_trait]
impl renkei_core::Source for Source {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        info!(source = %self.name, stream = %self.config.stream, "reading a JetStream stream");
        let reader = Reader {
            name: &self.name,
            config: &self.config,
            inbox,
            shutdown,
            connected: Arc::new(Notify::new()),
        };
        match reader.run().await {
            Stop::Asked => Ok(()),
            Stop::Broken(source) => Err(SourceError {
                code: Code::INB_REFUSED_BY_STORE,
                reason: "the inbox failed".to_owned(),
                source: Some(source),
            }),
        }
    }
}

/// Why reading ends.
enum Stop {
    Asked,
    Broken(BoxError),
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no connection")]
    Connect(#[from] ConnectError),
    #[error("the server's answer does not help")]
    Server(#[source] BoxError),
    /// Not a failure: the consumer has to be looked at again.
    #[error("the connection was lost and came back")]
    Reconnected,
    #[error("something the server gave out never arrived")]
    Gap,
    #[error("the inbox has no room for the place in the stream")]
    NoRoom,
}

enum Ended {
    Stop(Stop),
    Trouble(Trouble),
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Halt> for Ended {
    fn from(halt: Halt) -> Self {
        Self::Stop(match halt {
            Halt::Stopping => Stop::Asked,
            Halt::Broken(source) => Stop::Broken(source),
        })
    }
}

impl From<AcceptError> for Ended {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Full => Self::Trouble(Trouble::NoRoom),
            AcceptError::Stopping => Self::Stop(Stop::Asked),
            AcceptError::Broken(source) => Self::Stop(Stop::Broken(source)),
        }
    }
}

fn server(error: impl Into<BoxError>) -> Ended {
    Ended::Trouble(Trouble::Server(error.into()))
}

/// What one run of the source works with.
struct Reader<'a> {
    name: &'a SourceName,
    config: &'a config::Source,
    inbox: Arc<dyn Inbox>,
    shutdown: Shutdown,
    /// Fires when a lost connection came back.
    connected: Arc<Notify>,
}

/// What a session goes on from.
struct Open {
    consumer: Consumer<pull::Config>,
    /// The consumer's count of what it gave out so far.
    given_out: u64,
}

impl Reader<'_> {
    async fn run(&self) -> Stop {
        let mut client: Option<Client> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut taken = 0_u64;
            let trouble = match self.session(&mut client, &mut taken).await {
                Ended::Stop(stop) => return stop,
                Ended::Trouble(trouble) => trouble,
            };
            if taken > 0 {
                pause = FIRST_PAUSE;
            }
            let looks_again = matches!(trouble, Trouble::Gap | Trouble::Reconnected);
            if looks_again {
                info!(source = %self.name, reason = %trouble, "looking at the consumer again");
            } else if pause == FIRST_PAUSE {
                warn!(source = %self.name, error = %chain(&trouble), "the stream cannot be read, trying again");
            }
            if looks_again && pause == FIRST_PAUSE {
                pause *= 2;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.connected.notified() => {}
                () = self.shutdown.fired() => return Stop::Asked,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads until something ends it. `taken` counts the messages.
    async fn session(&self, client: &mut Option<Client>, taken: &mut u64) -> Ended {
        let connection = match client {
            Some(client) => client.clone(),
            None => tokio::select! {
                connected = self.connect() => match connected {
                    Ok(connected) => client.insert(connected).clone(),
                    Err(error) => return Trouble::Connect(error).into(),
                },
                () = self.shutdown.fired() => return Ended::Stop(Stop::Asked),
            },
        };
        let mut window = Window::new(
            Arc::clone(&self.inbox),
            usize::from(self.config.max_ack_pending),
            self.config.ack_wait(),
        );
        let Err(ended) = self.read(&connection, &mut window, taken).await;
        // What the inbox holds already is waited for, so that its acknowledgments are out.
        let ended = match window.close().await {
            Err(halt @ Halt::Broken(_)) => halt.into(),
            _ => ended,
        };
        let flushed = tokio::time::timeout(self.config.connection.timeout(), connection.flush());
        if !matches!(flushed.await, Ok(Ok(()))) {
            debug!(source = %self.name, "the last acknowledgments may be lost");
        }
        ended
    }

    async fn connect(&self) -> Result<Client, ConnectError> {
        let connected = Arc::clone(&self.connected);
        let is_first = AtomicBool::new(true);
        let heard = move |event: &Event| {
            if matches!(event, Event::Connected) && !is_first.swap(false, Ordering::Relaxed) {
                connected.notify_one();
            }
        };
        let name = format!("renkei source {}", self.name);
        let client = self.config.connection.connect(name, heard).await?;
        info!(source = %self.name, "connected");
        Ok(client)
    }

    async fn read(
        &self,
        client: &Client,
        window: &mut Window,
        taken: &mut u64,
    ) -> Result<std::convert::Infallible, Ended> {
        let mut open = tokio::select! {
            open = self.open(client) => open?,
            () = self.shutdown.fired() => return Err(Ended::Stop(Stop::Asked)),
        };
        let mut messages = open
            .consumer
            .stream()
            .max_messages_per_batch(usize::from(self.config.max_ack_pending))
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(server)?;
        let mut stop = std::pin::pin!(self.shutdown.fired());
        loop {
            tokio::select! {
                () = &mut stop => return Err(Ended::Stop(Stop::Asked)),
                () = self.connected.notified() => return Err(Trouble::Reconnected.into()),
                settled = window.settled() => {
                    settled?;
                    *taken += 1;
                }
                message = messages.next(), if window.has_room() => match message {
                    Some(Ok(message)) => self.take(message, &mut open, window).await?,
                    Some(Err(error)) => return Err(server(error)),
                    None => return Err(server("the server ended the reading")),
                },
            }
        }
    }

    /// Puts a message on its way, unless one before it is missing.
    async fn take(
        &self,
        message: Message,
        open: &mut Open,
        window: &mut Window,
    ) -> Result<(), Ended> {
        let (stream_sequence, given_out) = {
            let info = message.info().map_err(server)?;
            (info.stream_sequence, info.consumer_sequence)
        };
        if given_out != open.given_out + 1 {
            return Err(Trouble::Gap.into());
        }
        open.given_out = given_out;
        let (message, acker) = message.split();
        let arrived = Arrived {
            subject: message.subject.as_str(),
            headers: message.headers.as_ref(),
            payload: &message.payload,
            stream_sequence,
        };
        match intake::messages(self.name, self.config, &arrived) {
            Some(messages) => window.push(Job {
                stream_sequence,
                messages,
                acker,
            }),
            None => {
                warn!(source = %self.name, code = %Code::INB_UNKNOWN_SENDER, place = stream_sequence, "a message was rejected");
                acker.ack_with(AckKind::Term).await.map_err(server)?;
            }
        }
        Ok(())
    }

    /// The consumer, with nothing under way.
    async fn open(&self, client: &Client) -> Result<Open, Ended> {
        let context = jetstream::ContextBuilder::new()
            .timeout(self.config.connection.timeout())
            .build(client.clone());
        // What was lost before is found now.
        let _known = self.connected.notified().now_or_never();
        let stream = context
            .get_stream(&self.config.stream)
            .await
            .map_err(server)?;
        let existing = match stream
            .get_consumer::<pull::Config>(&self.config.durable)
            .await
        {
            Ok(existing) => Some(existing),
            Err(error) if is_not_found(&error) => None,
            Err(error) => return Err(server(error)),
        };
        if let Some(consumer) = existing {
            let info = consumer.cached_info();
            if info.num_ack_pending == 0 && self.is_as_configured(&consumer) {
                let given_out = info.delivered.consumer_sequence;
                return Ok(Open {
                    consumer,
                    given_out,
                });
            }
            let floor = info.ack_floor.stream_sequence;
            return self.rewind(&stream, Some(floor)).await;
        }
        self.rewind(&stream, None).await
    }

    /// Makes the consumer anew, behind what was acknowledged. The place is in the ledger before the old
    /// consumer is gone, so that a crash in between loses nothing.
    async fn rewind(&self, stream: &stream::Stream, floor: Option<u64>) -> Result<Open, Ended> {
        let info = stream.cached_info();
        let created = info.created.unix_timestamp_nanos();
        let known = self.inbox.recall(self.name).await?;
        let known = known
            .into_iter()
            .find(|note| note.key == PLACE)
            .and_then(|note| place(&note.value?, created));
        let begin = match self.config.begin {
            Begin::Oldest => 0,
            Begin::New => info.state.last_sequence,
        };
        let place = floor.max(known).unwrap_or(begin);
        if known != Some(place) {
            let note = Note {
                key: PLACE.to_owned(),
                value: Some(format!("{created} {place}")),
            };
            self.inbox.remember(self.name, vec![note]).await?;
        }
        if floor.is_some() {
            info!(source = %self.name, place, "reading again from the first message that was not acknowledged");
            stream
                .delete_consumer(&self.config.durable)
                .await
                .map_err(server)?;
        }
        let consumer = stream
            .create_consumer(self.consumer(place + 1))
            .await
            .map_err(server)?;
        Ok(Open {
            consumer,
            given_out: 0,
        })
    }

    fn consumer(&self, start_sequence: u64) -> pull::Config {
        pull::Config {
            durable_name: Some(self.config.durable.clone()),
            description: Some("renkei: made and remade by the hub".to_owned()),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.config.ack_wait(),
            max_ack_pending: i64::from(self.config.max_ack_pending),
            filter_subject: self.config.subject.clone().unwrap_or_default(),
            ..pull::Config::default()
        }
    }

    fn is_as_configured(&self, consumer: &Consumer<pull::Config>) -> bool {
        let is = &consumer.cached_info().config;
        let wanted = self.consumer(1);
        is.ack_policy == wanted.ack_policy
            && is.ack_wait == wanted.ack_wait
            && is.max_ack_pending == wanted.max_ack_pending
            && is.filter_subject == wanted.filter_subject
            && is.max_deliver <= 0
    }
}

/// The place in a note, when it speaks of this stream and not of an earlier one of its name.
fn place(note: &str, created: i128) -> Option<u64> {
    let (of, place) = note.split_once(' ')?;
    (of == created.to_string()).then(|| place.parse().ok())?
}

fn is_not_found(error: &async_nats::Error) -> bool {
    let error = error.downcast_ref::<jetstream::context::ConsumerInfoError>();
    error.is_some_and(|error| error.kind() == ConsumerInfoErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_only_in_its_own_stream() {
        assert_eq!(place("17 42", 17), Some(42));
        assert_eq!(place("17 42", 18), None);
        assert_eq!(place("42", 42), None);
        assert_eq!(place("17 x", 17), None);
    }
}
