//! `sns-gateway/1` (`CONTRACT.md` §2): patient groups, timelines, 了解, webhooks.
//!
//! Plays メディカルケアステーション, and, in another [`Dialect`], a ward's REST system (§5).
//! It is not a copy of any product: the contract is this project's own.

mod posts;
mod show;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::feed;
use crate::http::{self, Peer, Running, Shared, SimError};
use crate::refusal::Refusal;
use crate::request::{Call, Content, Reply};
use crate::second::Second;
use crate::seed::{Client, Seed};
use crate::state::{EntryKind, Happening, Limits, State, What};

const SCOPES: [&str; 5] = [
    "groups.read",
    "members.read",
    "posts.read",
    "posts.write",
    "acks.read",
];

/// How to start the simulator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Loopback address; port 0 picks a free one. `renkei sim mcs` uses 18081.
    pub listen: SocketAddr,
    /// Name shown in `/_sim/state`.
    pub name: String,
    /// Who exists at the start.
    pub seed: Seed,
    /// Tokens, rate, webhook repetition.
    pub limits: Limits,
    /// Words on the wire; default the contract's own.
    pub dialect: Dialect,
    /// Another shape on the wire; default none.
    pub second: Option<Second>,
}

impl Config {
    /// The contract's own words under the name `mcs`.
    #[must_use]
    pub fn new(listen: SocketAddr, seed: Seed) -> Self {
        Self {
            listen,
            name: "mcs".to_owned(),
            seed,
            limits: Limits::default(),
            dialect: Dialect::default(),
            second: None,
        }
    }

    /// The ward's REST system: same rules, other words (`CONTRACT.md` §5).
    #[must_use]
    pub fn ward(listen: SocketAddr, seed: Seed) -> Self {
        Self {
            name: "ward".to_owned(),
            dialect: Dialect::ward_w2(),
            ..Self::new(listen, seed)
        }
    }
}

/// Starts the simulator.
///
/// # Errors
/// [`SimError`] when the address is not loopback or not free.
pub async fn start(config: Config) -> Result<Running, SimError> {
    let peer = Mcs {
        state: State::new(&config.name, config.limits, config.seed),
    };
    let shared = Shared::new(peer, config.dialect).speaking(config.second);
    http::serve(config.listen, shared).await
}

#[derive(Debug)]
struct Mcs {
    state: State,
}

impl Peer for Mcs {
    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn keys(&self, call: &Call) -> Vec<String> {
        call.header("idempotency-key")
            .map(str::to_owned)
            .into_iter()
            .collect()
    }

    fn answer(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("POST", ["oauth", "token"]) => self.state.give_token(call, &SCOPES),
            ("GET", ["v1", "facilities"]) => self.facilities(call),
            ("GET", ["v1", "patient-groups"]) => self.groups(call),
            ("GET", ["v1", "patient-groups", id]) => self.group(call, id),
            ("GET", ["v1", "patient-groups", id, "posts"]) => self.timeline(call, id),
            ("POST", ["v1", "patient-groups", id, "posts"]) => self.post(call, id),
            ("POST", ["v1", "attachments"]) => self.attach(call),
            ("GET", ["v1", "attachments", id]) => self.attachment(call, id),
            ("GET", ["v1", "posts", id]) => self.read_post(call, id),
            ("DELETE", ["v1", "posts", id]) => self.withdraw(call, id),
            ("POST", ["v1", "posts", id, "corrections"]) => self.correct(call, id),
            ("GET", ["v1", "posts", id, "acks"]) => self.acks_of(call, id),
            ("GET", ["v1", "acks"]) => self.acks(call),
            (
                _,
                ["oauth", "token"]
                | [
                    "v1",
                    "facilities" | "patient-groups" | "attachments" | "acks",
                ]
                | ["v1", "patient-groups" | "attachments" | "posts", _]
                | ["v1", "patient-groups", _, "posts"]
                | ["v1", "posts", _, "corrections" | "acks"],
            ) => Err(Refusal::new(
                405,
                "method_not_allowed",
                "this path takes another method",
            )),
            _ => Err(Refusal::not_found("path")),
        }
    }

    fn written(
        &self,
        user_ref: &str,
        headline: &str,
        text: &str,
        reply_to: Option<&str>,
    ) -> (Value, &'static str) {
        let request = json!({
            "author": {"user_ref": user_ref}, "headline": headline, "text": text, "category": "", "urgency": "u3",
            "ack_requested": false, "occurred_at": self.state.now().to_string(), "source_note": "", "reply_to": reply_to,
        });
        (request, "post")
    }

    fn event(&self, happening: &Happening, client_id: &str) -> Option<(&'static str, Value)> {
        match &happening.what {
            What::Written(place) => Some((
                "post.created",
                show::post(&self.state, self.state.entries.get(*place)?, client_id),
            )),
            What::Acked(place, member) => {
                let entry = self.state.entries.get(*place)?;
                Some((
                    "ack.created",
                    show::ack(entry, member, happening.at, client_id),
                ))
            }
            What::MemberAdded(member) => Some(("member.added", json!(member))),
            What::MemberRemoved(member) => Some(("member.removed", json!(member))),
            What::Archived => Some(("group.archived", json!({"status": "archived"}))),
            What::Read(..) | What::Measured(_) | What::PatientChanged(_) => None,
        }
    }
}

impl Mcs {
    fn facilities(&mut self, call: &Call) -> Result<Reply, Refusal> {
        self.state.admit(call, "groups.read")?;
        let since = since(call, "updated_since")?;
        let found: Vec<_> = self
            .state
            .facilities
            .values()
            .filter(|one| later(&one.updated_at, since))
            .collect();
        feed::list(&call.query, &found, |one| json!(one)).map(|page| Reply::json(200, page))
    }

    fn groups(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "groups.read")?;
        let members = self.sees_members(call);
        let since = since(call, "updated_since")?;
        let (facility, local_id) = (call.query.get("facility_id"), call.query.get("local_id"));
        let found: Vec<_> = self
            .state
            .teams
            .values()
            .filter(|team| team.includes(&client.facility_id))
            .filter(|team| facility.is_none_or(|id| *id == team.host_facility_id))
            .filter(|team| {
                local_id.is_none_or(|id| {
                    team.patient
                        .as_ref()
                        .is_some_and(|patient| patient.local_id == *id)
                })
            })
            .filter(|team| later(&team.updated_at, since))
            .collect();
        feed::list(&call.query, &found, |team| show::group(team, members))
            .map(|page| Reply::json(200, page))
    }

    fn group(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "groups.read")?;
        let members = self.sees_members(call);
        let team = self.state.team_of(&client, id)?;
        Ok(Reply::json(200, show::group(team, members)))
    }

    fn timeline(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.read")?;
        let since = since(call, "since")?;
        let state = &self.state;
        state.team_of(&client, id)?;
        let found: Vec<_> = state
            .entries
            .iter()
            .filter(|entry| {
                entry.team_id == id && since.is_none_or(|since| entry.accepted_at >= since)
            })
            .collect();
        feed::list(&call.query, &found, |entry| {
            show::post(state, entry, &client.id)
        })
        .map(|page| Reply::json(200, page))
    }

    fn read_post(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.read")?;
        let entry = self.post_of(&client, id)?;
        Ok(Reply::json(200, show::post(&self.state, entry, &client.id)))
    }

    fn attachment(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "posts.read")?;
        let place = *self
            .state
            .file_places
            .get(id)
            .ok_or_else(|| Refusal::not_found("attachment"))?;
        let file = self
            .state
            .files
            .get(place)
            .ok_or_else(|| Refusal::not_found("attachment"))?;
        // Readable by its owner, and by whoever reads a post that still shows it.
        let shown = self.state.entries.iter().any(|entry| {
            entry.files.contains(&place)
                && entry.withdrawn_at.is_none()
                && self.state.team_of(&client, &entry.team_id).is_ok()
        });
        if file.client_id != client.id && !shown {
            return Err(Refusal::not_found("attachment"));
        }
        let content = Content::File {
            media_type: file.media_type.clone(),
            bytes: file.bytes.clone(),
        };
        Ok(Reply {
            status: 200,
            content,
            replayed: false,
        })
    }

    fn acks_of(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "acks.read")?;
        let entry = self.post_of(&client, id)?;
        let acks: Vec<_> = entry
            .seen_by
            .iter()
            .filter_map(|seen| seen.acked_at.map(|at| (&seen.member, at)))
            .collect();
        feed::list(&call.query, &acks, |(member, at)| {
            show::ack(entry, member, *at, &client.id)
        })
        .map(|page| Reply::json(200, page))
    }

    fn acks(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "acks.read")?;
        let page = feed::feed(&call.query, &self.state, |happening| {
            let What::Acked(place, member) = &happening.what else {
                return None;
            };
            let entry = self.state.entries.get(*place)?;
            let own = entry.client_id.as_deref() == Some(client.id.as_str());
            own.then(|| show::ack(entry, member, happening.at, &client.id))
        })?;
        Ok(Reply::json(200, page))
    }

    fn post_of(&self, client: &Client, id: &str) -> Result<&crate::state::Entry, Refusal> {
        let entry = self
            .state
            .entry(id)
            .filter(|entry| entry.kind == EntryKind::Message);
        let entry = entry.ok_or_else(|| Refusal::not_found("post"))?;
        self.state.team_of(client, &entry.team_id)?;
        Ok(entry)
    }

    fn sees_members(&self, call: &Call) -> bool {
        self.state
            .caller(call)
            .is_some_and(|(_, token)| token.scopes.iter().any(|scope| scope == "members.read"))
    }
}

/// A time in the query.
fn since(call: &Call, name: &str) -> Result<Option<jiff::Timestamp>, Refusal> {
    let text = call.query.get(name);
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|_| Refusal::bad_request(format!("`{name}` is not an RFC 3339 time")))
}

fn later(updated_at: &str, since: Option<jiff::Timestamp>) -> bool {
    since.is_none_or(|since| {
        updated_at
            .parse::<jiff::Timestamp>()
            .is_ok_and(|at| at >= since)
    })
}
