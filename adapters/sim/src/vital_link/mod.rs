//! `vital_link` (`CONTRACT.md` §3): rooms, messages, documents, vital signs, one feed of changes.
//!
//! Plays バイタルリンク as used in 新宿きんと雲. It is not a copy of the product: the contract is
//! this project's own. The `uid` in the body is the key of everything written.

mod show;
mod vitals;
mod writes;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::doors::member_of;
use crate::feed;
use crate::http::{self, Peer, Running, Shared, SimError};
use crate::refusal::Refusal;
use crate::request::{Body, Call, Content, Reply};
use crate::second::Second;
use crate::seed::{GroupKind, Seed};
use crate::state::{EntryKind, Limits, State, Vital, What};

const SCOPES: [&str; 5] = [
    "rooms.read",
    "messages.write",
    "documents.write",
    "vitals.write",
    "changes.read",
];

/// How to start the simulator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Loopback address; port 0 picks a free one. `renkei sim vital_link` uses 18082.
    pub listen: SocketAddr,
    /// Who exists at the start; free groups are no rooms and are not shown.
    pub seed: Seed,
    /// Tokens and rate.
    pub limits: Limits,
    /// Another shape on the wire; default none.
    pub second: Option<Second>,
}

impl Config {
    /// Default limits.
    #[must_use]
    pub fn new(listen: SocketAddr, seed: Seed) -> Self {
        Self {
            listen,
            seed,
            limits: Limits::default(),
            second: None,
        }
    }
}

/// Starts the simulator.
///
/// # Errors
/// [`SimError`] when the address is not loopback or not free.
pub async fn start(config: Config) -> Result<Running, SimError> {
    let peer = VitalLink {
        state: State::new("vital_link", config.limits, config.seed),
    };
    let shared = Shared::new(peer, Dialect::default()).speaking(config.second);
    http::serve(config.listen, shared).await
}

#[derive(Debug)]
struct VitalLink {
    state: State,
}

impl Peer for VitalLink {
    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn keys(&self, call: &Call) -> Vec<String> {
        let uid = |value: &Value| value.get("uid").and_then(Value::as_str).map(str::to_owned);
        match &call.body {
            Body::Json(Value::Array(items)) => items.iter().filter_map(uid).collect(),
            Body::Json(value) => uid(value).into_iter().collect(),
            Body::Parts(parts) => writes::meta(parts)
                .ok()
                .as_ref()
                .and_then(uid)
                .into_iter()
                .collect(),
            Body::Form(_) | Body::Empty | Body::Other | Body::Broken | Body::TooLarge => Vec::new(),
        }
    }

    fn answer(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("POST", ["oauth", "token"]) => self.state.give_token(call, &SCOPES),
            ("GET", ["v1", "rooms"]) => self.rooms(call),
            ("GET", ["v1", "rooms", id]) => self.room(call, id),
            ("POST", ["v1", "rooms", id, "messages"]) => self.message(call, id),
            ("POST", ["v1", "rooms", id, "documents"]) => self.document(call, id),
            ("GET", ["v1", "documents", id]) => self.download(call, id),
            ("POST", ["v1", "patients", id, "vitals"]) => self.take_vitals(call, id),
            ("GET", ["v1", "changes"]) => self.changes(call),
            (
                _,
                ["oauth", "token"]
                | ["v1", "rooms" | "changes"]
                | ["v1", "rooms" | "documents", _]
                | ["v1", "rooms", _, "messages" | "documents"]
                | ["v1", "patients", _, "vitals"],
            ) => Err(Refusal::new(
                405,
                "method_not_allowed",
                "this path takes another method",
            )),
            _ => Err(Refusal::not_found("path")),
        }
    }

    fn measure(&mut self, team_id: &str, user_ref: &str, vital: &Value) -> Result<String, Refusal> {
        let member = member_of(&self.state, team_id, user_ref)?;
        let mut item =
            vitals::check(vital).map_err(|code| Refusal::unprocessable(code, "vital"))?;
        item["entered_by"] = json!(member.display);
        let team = self
            .state
            .teams
            .get(team_id)
            .ok_or_else(|| Refusal::not_found("team"))?;
        let vital = Vital {
            client_id: None,
            team_id: team_id.to_owned(),
            patient: team.patient.clone(),
            item,
        };
        Ok(vitals::keep(&mut self.state, vital))
    }

    fn written(
        &self,
        user_ref: &str,
        headline: &str,
        text: &str,
        _reply_to: Option<&str>,
    ) -> (Value, &'static str) {
        let request = json!({
            "uid": null, "author": {"user_ref": user_ref}, "title": headline, "body": text, "urgency": "u3",
            "ack_requested": false, "occurred_at": self.state.now().to_string(), "source_note": "",
        });
        (request, "message")
    }
}

impl VitalLink {
    fn rooms(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "rooms.read")?;
        let wanted =
            |name: &str, value: &str| call.query.get(name).is_none_or(|asked| asked == value);
        let found: Vec<_> = self
            .state
            .teams
            .values()
            .filter(|team| team.kind != GroupKind::Free && team.includes(&client.facility_id))
            .filter(|team| {
                wanted("patient_id", &team.patient_id)
                    && wanted("facility_id", &team.host_facility_id)
            })
            .filter(|team| {
                wanted(
                    "local_id",
                    team.patient
                        .as_ref()
                        .map_or("", |patient| patient.local_id.as_str()),
                )
            })
            .collect();
        feed::list(&call.query, &found, |team| show::room(team)).map(|page| Reply::json(200, page))
    }

    fn room(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "rooms.read")?;
        let team = self.state.team_of(&client, id)?;
        if team.kind == GroupKind::Free {
            return Err(Refusal::not_found("room"));
        }
        Ok(Reply::json(200, show::room(team)))
    }

    fn download(&mut self, call: &Call, id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "changes.read")?;
        let entry = self
            .state
            .entry(id)
            .filter(|entry| entry.kind == EntryKind::Document && entry.withdrawn_at.is_none());
        let entry = entry.ok_or_else(|| Refusal::not_found("document"))?;
        self.state.team_of(&client, &entry.team_id)?;
        let file = entry
            .files
            .first()
            .and_then(|place| self.state.files.get(*place));
        let file = file.ok_or_else(|| Refusal::not_found("document"))?;
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

    fn changes(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "changes.read")?;
        let state = &self.state;
        let page = feed::feed(&call.query, state, |happening| {
            let team = state.teams.get(&happening.team_id)?;
            if !team.includes(&client.facility_id) && !happening.removes(&client.facility_id) {
                return None;
            }
            let (change_type, data) = show::change(state, happening, &client.id)?;
            Some(json!({
                "change_id": happening.id, "type": change_type, "at": happening.at.to_string(),
                "room_id": team.id, "patient_id": team.patient_id, "data": data,
            }))
        })?;
        Ok(Reply::json(200, page))
    }
}

impl crate::state::Entry {
    /// The uid, when `client_id` may know it.
    fn uid_for(&self, client_id: &str) -> Value {
        if self.client_id.as_deref() == Some(client_id) {
            json!(self.key)
        } else {
            Value::Null
        }
    }
}

/// Whether an entry is a thing a `What` speaks of by one of two names.
fn id_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Message => "message_id",
        EntryKind::Document => "document_id",
    }
}

/// What happened, for the feed's type; kept beside the peer so that a new `What` asks its question here.
fn change_type(what: &What, kind: Option<EntryKind>) -> &'static str {
    match what {
        What::Written(_) if kind == Some(EntryKind::Document) => "document",
        What::Written(_) => "message",
        What::Read(..) => "read",
        What::Acked(..) => "ack",
        What::Measured(_) => "vital",
        What::MemberAdded(_) => "member_added",
        What::MemberRemoved(_) => "member_removed",
        What::Archived => "room_archived",
        What::PatientChanged(_) => "patient_changed",
    }
}
