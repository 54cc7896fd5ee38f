//! メディカルケアステーション: posts into patient groups, 了解 read back.
//!
//! Speaks `sns-gateway/1` (`adapters/sim/CONTRACT.md` §2), a contract of this project's own: the vendor
//! publishes no write interface. The ward REST profile is the same client with another [`Dialect`].
//! Called by the outbox (sink half) and started beside the sources (source half). It decides nothing
//! about what may be said or to whom.

mod config;
mod dialect;
mod events;
mod frame;
mod send;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Channel, ChannelKind, ChannelView, Clock, Delivery, FrameError, Member, PatientHeader, Payload,
    PeerRef, Post, Profession, SendError, SendOutcome, Sink, SinkName, Source, Wire,
};
use serde::Deserialize;

pub use config::{Config, Webhook};
pub use dialect::Dialect;

use crate::Ends;
use crate::http::{self, Call, CallError, Step, in_lines};
use crate::problem::ConfigProblem;

/// What the client asks for; a peer that does not grant all of it is refused as misconfigured, because
/// a group whose members cannot be read cannot be posted to.
const SCOPES: &str = "groups.read members.read posts.read posts.write acks.read";
/// Pages of a list at most: 100,000 groups.
const PAGES: usize = 1_000;

/// Makes both halves. The source half is absent when neither polling nor a webhook is configured. `wire` is
/// what `connection.dialect` names.
///
/// # Errors
/// [`ConfigProblem`] for the first setting that cannot be used, unreadable secrets and certificates
/// included.
pub fn build(
    name: &SinkName,
    config: Config,
    clock: Arc<dyn Clock>,
    wire: Option<Arc<dyn Wire>>,
) -> Result<Ends, ConfigProblem> {
    if let Some(problem) = config.check().into_iter().next() {
        return Err(problem);
    }
    if let Some(webhook) = &config.webhook {
        webhook.secret.read().map_err(|error| {
            ConfigProblem::invalid("webhook.secret", renkei_core::chain(&error))
        })?;
    }
    let gateway = Arc::new(Gateway {
        name: name.clone(),
        client: http::Client::new(config.connection.clone(), SCOPES, Arc::clone(&clock), wire)?,
        dialect: config.dialect.clone().unwrap_or_default(),
        config,
        clock,
    });
    let hears = gateway.config.poll_secs > 0 || gateway.config.webhook.is_some();
    let source = hears.then(|| Arc::clone(&gateway) as Arc<dyn Source>);
    Ok((gateway, source))
}

/// Both halves of one account.
struct Gateway {
    name: SinkName,
    client: Arc<http::Client>,
    config: Config,
    dialect: Dialect,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Sink for Gateway {
    fn frame(&self, post: &Post, _: &Channel) -> Result<Payload, FrameError> {
        frame::frame(post, &self.config, &self.dialect)
    }

    async fn look(&self, channel: &Channel) -> Result<ChannelView, SendError> {
        let id = channel.peer_ref.as_str();
        let path = self
            .dialect
            .path(&[Step::Word("patient-groups"), Step::Id(id)]);
        let group: Group = self.get(path).await.map_err(CallError::into_send_error)?;
        group
            .view(&self.config.user_ref)
            .map_err(CallError::into_send_error)
    }

    async fn channels(&self) -> Result<Vec<ChannelView>, SendError> {
        let path = self.dialect.path(&[Step::Word("patient-groups")]);
        let groups: Vec<Group> = self
            .list(&path, "")
            .await
            .map_err(CallError::into_send_error)?;
        let views: Result<Vec<_>, _> = groups
            .into_iter()
            .map(|group| group.view(&self.config.user_ref))
            .collect();
        views.map_err(CallError::into_send_error)
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
        let path = self.dialect.path(&[Step::Word("facilities")]);
        let call = Call::get(format!("{path}?limit=1"));
        let answer = self.client.call(&call).await;
        answer.map(drop).map_err(CallError::into_send_error)
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

impl Gateway {
    async fn get<T: serde::de::DeserializeOwned>(&self, path: String) -> Result<T, CallError> {
        let body = self
            .client
            .call(&Call::get(path))
            .await
            .map_err(CallError::harmless)?;
        self.dialect.read(&body)
    }

    /// All items of a list; `filter` is `&name=value`, encoded.
    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        filter: &str,
    ) -> Result<Vec<T>, CallError> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let page: Page<T> = self
                .get(format!("{path}?limit=100{filter}{cursor}"))
                .await?;
            items.extend(page.items);
            match page.next_cursor {
                None => return Ok(items),
                Some(next) => cursor = format!("&cursor={}", http::encode(&next)),
            }
        }
        Err(CallError::Protocol("a list without end".into()))
    }
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// A patient group as the peer shows it.
#[derive(Deserialize)]
struct Group {
    group_id: String,
    kind: String,
    status: String,
    host_facility_id: Option<String>,
    patient: Option<PatientHeader>,
    members: Vec<GroupMember>,
}

#[derive(Deserialize)]
struct GroupMember {
    user_ref: String,
    facility_id: Option<String>,
    #[serde(default)]
    professions: Vec<String>,
}

impl Group {
    /// What the hub is told; `own` is our system account, which is no reader.
    fn view(self, own: &str) -> Result<ChannelView, CallError> {
        let unknown = || CallError::Protocol("a group of an unknown kind".into());
        Ok(ChannelView {
            peer_ref: PeerRef::new(&self.group_id),
            kind: ChannelKind::find(&self.kind).ok_or_else(unknown)?,
            // Whatever is not known to be in use is not written to.
            archived: self.status != "active",
            header: self.patient,
            members: Some(
                self.members
                    .into_iter()
                    .filter(|member| member.user_ref != own)
                    .map(GroupMember::member)
                    .collect(),
            ),
            host_facility: self.host_facility_id,
        })
    }
}

impl GroupMember {
    fn member(self) -> Member {
        Member {
            user_ref: self.user_ref,
            facility: self.facility_id,
            professions: self
                .professions
                .iter()
                .map(|code| Profession::of(code))
                .collect(),
        }
    }
}
