//! How the source half of a sink speaks to the inbox: one [`PeerEvent`] per message, offered again
//! while the inbox is full.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use renkei_core::{
    AcceptError, Code, FacilityId, Inbox, Meta, NewMessage, Note, PeerEvent, Shutdown, SinkName,
    SourceError, SourceName, peer,
};

/// How long to wait before a full inbox is asked again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Something a peer told us.
pub(crate) struct News {
    /// The peer's id of the event: a repeat is recognised by it.
    pub(crate) key: String,
    /// The post or group it is about: order holds among these.
    pub(crate) about: String,
    /// The peer's own event name.
    pub(crate) name: String,
    pub(crate) what: peer::News,
    pub(crate) at: Timestamp,
    /// The peer's text.
    pub(crate) raw: String,
}

impl News {
    /// Something outside the contract: kept for a person to look at.
    pub(crate) fn unreadable(raw: &str, at: Timestamp) -> Self {
        let name = "unreadable".to_owned();
        let key = format!("{name} {}", renkei_core::id::hash_id(&[raw]));
        Self {
            about: key.clone(),
            key,
            what: peer::News::Other { name: name.clone() },
            name,
            at,
            raw: raw.to_owned(),
        }
    }
}

/// Why a source ends.
pub(crate) enum Stop {
    /// The hub stops.
    Asked,
    /// An operator must act.
    Broken(SourceError),
}

/// Speaks to the inbox in the name of one peer.
pub(crate) struct Teller {
    source: SourceName,
    sink: SinkName,
    facility: FacilityId,
    inbox: Arc<dyn Inbox>,
    shutdown: Shutdown,
}

impl Teller {
    /// The source half of `sink` has its name.
    pub(crate) fn new(
        sink: &SinkName,
        facility: &FacilityId,
        inbox: Arc<dyn Inbox>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            source: SourceName::new(sink.as_str()),
            sink: sink.clone(),
            facility: facility.clone(),
            inbox,
            shutdown,
        }
    }

    pub(crate) fn source(&self) -> &SourceName {
        &self.source
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.shutdown.is_fired()
    }

    /// Waits; true when the hub stops meanwhile.
    pub(crate) async fn pause(&self, how_long: Duration) -> bool {
        tokio::select! {
            () = self.shutdown.fired() => true,
            () = tokio::time::sleep(how_long) => self.shutdown.is_fired(),
        }
    }

    fn message(&self, news: News) -> Result<NewMessage, SourceError> {
        let event = PeerEvent {
            sink: self.sink.clone(),
            news: news.what,
            at: news.at,
            raw: news.raw,
        };
        let body = serde_json::to_vec(&event).map_err(|error| SourceError {
            code: Code::INB_REFUSED_BY_STORE,
            reason: "an event could not be written as JSON".to_owned(),
            source: Some(error.into()),
        })?;
        Ok(NewMessage {
            source: self.source.clone(),
            facility: self.facility.clone(),
            dedup_key: news.key,
            subject: None,
            ordering_key: news.about,
            barrier: false,
            body: Bytes::from(body),
            meta: Meta {
                data_type: Some(news.name),
                ..Meta::default()
            },
            refused: None,
        })
    }

    /// Offers the news once.
    pub(crate) async fn offer(&self, news: News) -> Result<(), AcceptError> {
        let message = self
            .message(news)
            .map_err(|error| AcceptError::Broken(error.into()))?;
        self.inbox.accept(message).await.map(drop)
    }

    /// Offers the news until the inbox has it.
    pub(crate) async fn tell(&self, news: News) -> Result<(), Stop> {
        let message = self.message(news).map_err(Stop::Broken)?;
        self.persist(|| self.inbox.accept(message.clone()))
            .await
            .map(drop)
    }

    /// What was remembered under this key.
    pub(crate) async fn recall(&self, key: &str) -> Result<Option<String>, Stop> {
        let notes = self.persist(|| self.inbox.recall(&self.source)).await?;
        Ok(notes
            .into_iter()
            .find(|note| note.key == key)
            .and_then(|note| note.value))
    }

    /// Writes a note down.
    pub(crate) async fn remember(&self, note: Note) -> Result<(), Stop> {
        self.persist(|| self.inbox.remember(&self.source, vec![note.clone()]))
            .await
    }

    async fn persist<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, AcceptError>>,
    {
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(AcceptError::Full) => {
                    if self.pause(FULL_PAUSE).await {
                        return Err(Stop::Asked);
                    }
                }
                Err(AcceptError::Stopping) => return Err(Stop::Asked),
                Err(error @ AcceptError::Broken(_)) => {
                    return Err(Stop::Broken(SourceError {
                        code: Code::INB_REFUSED_BY_STORE,
                        reason: "the inbox failed".to_owned(),
                        source: Some(error.into()),
                    }));
                }
            }
        }
    }
}
