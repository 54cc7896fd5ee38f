//! バイタルリンク (as in 新宿きんと雲): messages and documents into rooms, 了解 read back.
//!
//! Speaks the contract of `adapters/sim/CONTRACT.md` §3, this project's own: the vendor publishes no
//! write interface. Each district's Vital Link is a peer of its own. Called by the outbox (sink half)
//! and started beside the sources (source half). It decides nothing about what may be said or to whom.

mod changes;
mod config;
mod frame;
mod send;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Channel, ChannelKind, ChannelView, Clock, Delivery, FrameError, Inbox, Member, PatientHeader,
    Payload, PeerRef, Post, Profession, SendError, SendOutcome, Shutdown, Sink, SinkName, Source,
    SourceError, Wire,
};
use serde::Deserialize;

pub use config::Config;

use crate::Ends;
use crate::http::{self, Call, CallError, Step, follow, in_lines};
use crate::news::{News, Teller};
use crate::problem::ConfigProblem;

/// What the client asks for.
const SCOPES: &str = "rooms.read messages.write documents.write changes.read";
/// Pages of a list at most: 100,000 rooms.
const PAGES: usize = 1_000;

/// Makes both halves. The source half is absent when polling is off. `wire` is what `connection.dialect`
/// names.
///
/// # Errors
/// [`ConfigProblem`] for the first setting that cannot be used, an unreadable secret included.
pub fn build(
    name: &SinkName,
    config: Config,
    clock: Arc<dyn Clock>,
    wire: Option<Arc<dyn Wire>>,
) -> Result<Ends, ConfigProblem> {
    if let Some(problem) = config.check().into_iter().next() {
        return Err(problem);
    }
    let peer = Arc::new(VitalLink {
        name: name.clone(),
        client: http::Client::new(config.connection.clone(), SCOPES, Arc::clone(&clock), wire)?,
        config,
        clock,
    });
    let source = (peer.config.poll_secs > 0).then(|| Arc::clone(&peer) as Arc<dyn Source>);
    Ok((peer, source))
}

/// Both halves of one account.
struct VitalLink {
    name: SinkName,
    client: Arc<http::Client>,
    config: Config,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Sink for VitalLink {
    fn frame(&self, post: &Post, _: &Channel) -> Result<Payload, FrameError> {
        frame::frame(post, &self.config)
    }

    async fn look(&self, channel: &Channel) -> Result<ChannelView, SendError> {
        let steps = [Step::Word("rooms"), Step::Id(channel.peer_ref.as_str())];
        let body = self
            .get(http::path("/v1", &steps))
            .await
            .map_err(CallError::into_send_error)?;
        let room = http::read::<Room>(&body).and_then(|room| room.view(&self.config.user_ref));
        room.map_err(CallError::into_send_error)
    }

    async fn channels(&self) -> Result<Vec<ChannelView>, SendError> {
        self.rooms().await.map_err(CallError::into_send_error)
    }

    async fn send(&self, deliveries: &[Delivery]) -> Vec<SendOutcome> {
        in_lines(deliveries, self.client.parallel(), |delivery| {
            Box::pin(async move {
                self.deliver(delivery)
                    .await
                    .unwrap_or_else(|error| error.into_outcome(&*self.clock))
            })
        })
        .await
    }

    async fn probe(&self) -> Result<(), SendError> {
        let answer = self.get("/v1/rooms?limit=1".to_owned()).await;
        answer.map(drop).map_err(CallError::into_send_error)
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

#[async_trait]
impl Source for VitalLink {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        let teller = Teller::new(&self.name, &self.config.facility, inbox, shutdown);
        follow(&self.client, "/v1/changes", self.config.poll(), &teller, |raw| {
            changes::change(raw).unwrap_or_else(|error| {
                tracing::warn!(sink = %self.name, error = %renkei_core::chain(&error), "unreadable change");
                Some(News::unreadable(raw, self.clock.now()))
            })
        })
        .await
    }
}

impl VitalLink {
    async fn get(&self, path: String) -> Result<bytes::Bytes, CallError> {
        self.client
            .call(&Call::get(path))
            .await
            .map_err(CallError::harmless)
    }

    async fn rooms(&self) -> Result<Vec<ChannelView>, CallError> {
        let mut views = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let body = self.get(format!("/v1/rooms?limit=100{cursor}")).await?;
            let page: Page = http::read(&body)?;
            for room in page.items {
                views.push(room.view(&self.config.user_ref)?);
            }
            match page.next_cursor {
                None => return Ok(views),
                Some(next) => cursor = format!("&cursor={}", http::encode(&next)),
            }
        }
        Err(CallError::Protocol("a list without end".into()))
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Room>,
    next_cursor: Option<String>,
}

/// A room as the peer shows it.
#[derive(Deserialize)]
struct Room {
    room_id: String,
    kind: String,
    status: String,
    host_facility_id: Option<String>,
    patient: Option<PatientHeader>,
    members: Vec<RoomMember>,
}

#[derive(Deserialize)]
struct RoomMember {
    user_ref: String,
    facility_id: Option<String>,
    #[serde(default)]
    profession: String,
}

impl Room {
    /// What the hub is told; `own` is our system account, which is no reader.
    fn view(self, own: &str) -> Result<ChannelView, CallError> {
        let unknown = || CallError::Protocol("a room of an unknown kind".into());
        let readers = self
            .members
            .into_iter()
            .filter(|member| member.user_ref != own);
        let members = readers.map(|member| Member {
            user_ref: member.user_ref,
            facility: member.facility_id,
            professions: vec![Profession::of(&member.profession)],
        });
        Ok(ChannelView {
            peer_ref: PeerRef::new(&self.room_id),
            kind: ChannelKind::find(&self.kind).ok_or_else(unknown)?,
            // Whatever is not known to be in use is not written to.
            archived: self.status != "active",
            header: self.patient,
            members: Some(members.collect()),
            host_facility: self.host_facility_id,
        })
    }
}
