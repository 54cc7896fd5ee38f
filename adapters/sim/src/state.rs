//! What a peer remembers: teams, entries, files, people's reactions, keys and refusals.
//!
//! Shared by every simulator; each peer renders it in its own words. Everything is in memory and
//! behind one lock, so each call is decided alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hash::hex_sha256;
use crate::refusal::Refusal;
use crate::seed::{Client, Facility, GroupKind, GroupStatus, Member, PatientHeader, Seed, Team};

/// Refusals kept for `/_sim/state`; older ones are only counted.
const MAX_REJECTED: usize = 10_000;

/// What an operator of a peer would set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Life of a token, in seconds; default 3600.
    pub token_secs: i64,
    /// Calls per client and minute; `None` (default) = unlimited.
    pub calls_per_minute: Option<u32>,
    /// Gap before the first repetition of a webhook, doubled each time; default 1 s.
    pub webhook_retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_secs: 3600,
            calls_per_minute: None,
            webhook_retry: Duration::from_secs(1),
        }
    }
}

/// A post, message or document.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) kind: EntryKind,
    pub(crate) team_id: String,
    pub(crate) team_kind: GroupKind,
    /// `None` = written by a person.
    pub(crate) client_id: Option<String>,
    /// Idempotency key or uid.
    pub(crate) key: Option<String>,
    pub(crate) accepted_at: Timestamp,
    /// The fields as sent.
    pub(crate) request: Value,
    /// The header shown when the entry was accepted: proof of where it went.
    pub(crate) patient: Option<PatientHeader>,
    pub(crate) readable_by: Vec<String>,
    pub(crate) corrections: Vec<Value>,
    pub(crate) withdrawn_at: Option<Timestamp>,
    pub(crate) replaced_by: Option<String>,
    /// Places in `State::files`.
    pub(crate) files: Vec<usize>,
    pub(crate) seen_by: Vec<Sighting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Message,
    Document,
}

/// One member's reading of one entry.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) member: Member,
    pub(crate) read_at: Timestamp,
    pub(crate) acked_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    pub(crate) id: String,
    pub(crate) client_id: String,
    pub(crate) file_name: String,
    pub(crate) media_type: String,
    pub(crate) sha256: String,
    pub(crate) bytes: Bytes,
}

#[derive(Clone, Debug)]
pub(crate) struct Vital {
    pub(crate) client_id: Option<String>,
    pub(crate) team_id: String,
    pub(crate) patient: Option<PatientHeader>,
    pub(crate) item: Value,
}

/// Something the team could notice, in order: the source of feeds, events and confirmation files.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) team_id: String,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Place in `State::entries`.
    Written(usize),
    Read(usize, Member),
    Acked(usize, Member),
    /// Place in `State::vitals`.
    Measured(usize),
    MemberAdded(Member),
    MemberRemoved(Member),
    Archived,
    PatientChanged(PatientHeader),
}

/// What one idempotency key (or uid) has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRecord {
    pub(crate) requests: u64,
    pub(crate) effects: u64,
    /// Fingerprint and first answer of the accepted request.
    pub(crate) accepted: Option<([u8; 32], Value)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Timestamp,
}

/// The one active fault plan (`CONTRACT.md` §6).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    pub(crate) latency_ms: u64,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after_secs: Option<u32>,
    pub(crate) drop: Option<DropWhen>,
    pub(crate) next: Option<u64>,
    pub(crate) only: Option<String>,
    pub(crate) duplicate_webhooks: bool,
    pub(crate) clock_skew_secs: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DropWhen {
    Before,
    After,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) accepted: u64,
    pub(crate) replayed: u64,
    pub(crate) rejected: u64,
    pub(crate) effects: u64,
    pub(crate) posts: u64,
    pub(crate) documents: u64,
    pub(crate) vitals: u64,
    pub(crate) acks: u64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) facilities: BTreeMap<String, Facility>,
    pub(crate) teams: BTreeMap<String, Team>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) calls: HashMap<String, (i64, u32)>,
    pub(crate) keys: HashMap<(String, String), KeyRecord>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) entry_places: HashMap<String, usize>,
    pub(crate) files: Vec<StoredFile>,
    pub(crate) file_places: HashMap<String, usize>,
    pub(crate) vitals: Vec<Vital>,
    pub(crate) happenings: Vec<Happening>,
    pub(crate) webhooks: Vec<Value>,
    pub(crate) rejected: Vec<Value>,
    pub(crate) counts: Counts,
    pub(crate) faults: Faults,
    issued: u64,
}

impl State {
    pub(crate) fn new(name: &str, limits: Limits, seed: Seed) -> Self {
        let mut state = Self {
            name: name.to_owned(),
            limits,
            clients: BTreeMap::new(),
            facilities: BTreeMap::new(),
            teams: BTreeMap::new(),
            tokens: HashMap::new(),
            calls: HashMap::new(),
            keys: HashMap::new(),
            entries: Vec::new(),
            entry_places: HashMap::new(),
            files: Vec::new(),
            file_places: HashMap::new(),
            vitals: Vec::new(),
            happenings: Vec::new(),
            webhooks: Vec::new(),
            rejected: Vec::new(),
            counts: Counts::default(),
            faults: Faults::default(),
            issued: 0,
        };
        state.load(seed);
        state
    }

    /// Adds or replaces by id; `replace` drops everything first, the fault plan excepted.
    pub(crate) fn load(&mut self, seed: Seed) {
        if seed.replace {
            let faults = std::mem::take(&mut self.faults);
            *self = Self::new(&self.name.clone(), self.limits.clone(), Seed::default());
            self.faults = faults;
        }
        let now = self.now().to_string();
        for client in seed.clients {
            self.clients.insert(client.id.clone(), client);
        }
        for mut facility in seed.facilities {
            facility.updated_at.clone_from(&now);
            self.facilities
                .insert(facility.facility_id.clone(), facility);
        }
        for mut team in seed.teams {
            team.updated_at.clone_from(&now);
            if team.patient_id.is_empty() {
                team.patient_id = format!("pt-{}", team.id);
            }
            self.teams.insert(team.id.clone(), team);
        }
    }

    /// The peer's clock, skewed when a fault says so.
    pub(crate) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_secs(self.faults.clock_skew_secs))
            .unwrap_or(now)
    }

    /// A new id, unique in this process.
    pub(crate) fn issue(&mut self, prefix: &str) -> String {
        self.issued += 1;
        format!("{prefix}-{:06}", self.issued)
    }

    /// Something happened now.
    pub(crate) fn note(&mut self, team_id: &str, what: What) {
        self.note_at(self.now(), team_id, what);
    }

    fn note_at(&mut self, at: Timestamp, team_id: &str, what: What) {
        let id = self.issue("ev");
        let team_id = team_id.to_owned();
        self.happenings.push(Happening {
            id,
            at,
            team_id,
            what,
        });
    }

    /// Stores an entry as it is readable now and tells the team.
    pub(crate) fn write(&mut self, mut entry: Entry) -> String {
        if let Some(team) = self.teams.get(&entry.team_id) {
            entry.team_kind = team.kind;
            entry.patient.clone_from(&team.patient);
            entry.readable_by = team
                .members
                .iter()
                .map(|member| member.user_ref.clone())
                .collect();
        }
        match entry.kind {
            EntryKind::Message => self.counts.posts += 1,
            EntryKind::Document => self.counts.documents += 1,
        }
        self.counts.effects += 1;
        let at = entry.accepted_at;
        let (id, team_id, place) = (entry.id.clone(), entry.team_id.clone(), self.entries.len());
        self.entry_places.insert(id.clone(), place);
        self.entries.push(entry);
        self.note_at(at, &team_id, What::Written(place));
        id
    }

    pub(crate) fn entry(&self, id: &str) -> Option<&Entry> {
        self.entry_places
            .get(id)
            .and_then(|place| self.entries.get(*place))
    }

    pub(crate) fn entry_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.entry_places
            .get(id)
            .and_then(|place| self.entries.get_mut(*place))
    }

    /// Keeps a file; the same bytes from the same client are the same file.
    pub(crate) fn keep_file(
        &mut self,
        client_id: &str,
        name: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> (usize, bool) {
        let sha256 = hex_sha256(&bytes);
        let identity = format!("{client_id} {media_type} {sha256}");
        if let Some(place) = self.file_places.get(&identity) {
            return (*place, false);
        }
        let (id, place) = (self.issue("file"), self.files.len());
        self.file_places.insert(identity, place);
        self.file_places.insert(id.clone(), place);
        self.files.push(StoredFile {
            id,
            client_id: client_id.to_owned(),
            file_name: name.to_owned(),
            media_type: media_type.to_owned(),
            sha256,
            bytes,
        });
        (place, true)
    }

    /// A member reads an entry, or confirms it (了解). Each happens once.
    pub(crate) fn see(
        &mut self,
        entry_id: &str,
        user_ref: &str,
        acked: bool,
    ) -> Result<String, Refusal> {
        let now = self.now();
        let place = *self
            .entry_places
            .get(entry_id)
            .ok_or_else(|| Refusal::not_found("entry"))?;
        let entry = self
            .entries
            .get_mut(place)
            .ok_or_else(|| Refusal::not_found("entry"))?;
        let team = self
            .teams
            .get(&entry.team_id)
            .ok_or_else(|| Refusal::not_found("team"))?;
        let member = team
            .members
            .iter()
            .find(|member| member.user_ref == user_ref);
        let member = member.ok_or_else(|| Refusal::not_found("member"))?.clone();
        let team_id = entry.team_id.clone();
        let known = entry
            .seen_by
            .iter()
            .position(|seen| seen.member.user_ref == user_ref);
        let at = known.unwrap_or(entry.seen_by.len());
        if known.is_none() {
            entry.seen_by.push(Sighting {
                member: member.clone(),
                read_at: now,
                acked_at: None,
            });
        }
        let fresh_ack = acked
            && entry
                .seen_by
                .get(at)
                .is_some_and(|seen| seen.acked_at.is_none());
        if fresh_ack && let Some(seen) = entry.seen_by.get_mut(at) {
            seen.acked_at = Some(now);
        }
        if known.is_none() {
            self.note_at(now, &team_id, What::Read(place, member.clone()));
        }
        if fresh_ack {
            self.counts.acks += 1;
            self.note_at(now, &team_id, What::Acked(place, member));
        }
        Ok(entry_id.to_owned())
    }

    pub(crate) fn reject(
        &mut self,
        method: &str,
        path: &str,
        refusal: &Refusal,
        client_id: Option<&str>,
        key: Option<&str>,
    ) {
        self.counts.rejected += 1;
        if self.rejected.len() < MAX_REJECTED {
            self.rejected.push(json!({
                "at": self.now().to_string(), "method": method, "path": path, "status": refusal.status,
                "code": refusal.code, "client_id": client_id, "key": key,
            }));
        }
    }

    /// What is left of the fault plan for one request; counts it down.
    pub(crate) fn strike(&mut self, path: &str) -> Faults {
        let faults = &mut self.faults;
        let aimed = match &faults.only {
            Some(part) => path.contains(part.as_str()),
            None => path != "/oauth/token",
        };
        if !aimed || faults.next == Some(0) {
            return Faults::default();
        }
        if let Some(next) = &mut faults.next {
            *next -= 1;
        }
        faults.clone()
    }
}

impl Entry {
    /// An entry before [`State::write`] fills in who can read it.
    pub(crate) fn new(
        id: String,
        kind: EntryKind,
        team_id: &str,
        accepted_at: Timestamp,
        request: Value,
    ) -> Self {
        Self {
            id,
            kind,
            team_id: team_id.to_owned(),
            team_kind: GroupKind::Professional,
            client_id: None,
            key: None,
            accepted_at,
            request,
            patient: None,
            readable_by: Vec::new(),
            corrections: Vec::new(),
            withdrawn_at: None,
            replaced_by: None,
            files: Vec::new(),
            seen_by: Vec::new(),
        }
    }

    pub(crate) fn origin(&self) -> &'static str {
        if self.client_id.is_some() {
            "api"
        } else {
            "person"
        }
    }
}

impl Happening {
    /// Whether it takes someone of this facility out of a team: the facility is told, even as its last news.
    pub(crate) fn removes(&self, facility_id: &str) -> bool {
        matches!(&self.what, What::MemberRemoved(member) if member.facility_id == facility_id)
    }
}

impl Team {
    /// Whether a facility has someone in the team or hosts it.
    pub(crate) fn includes(&self, facility_id: &str) -> bool {
        self.host_facility_id == facility_id
            || self
                .members
                .iter()
                .any(|member| member.facility_id == facility_id)
    }

    pub(crate) fn is_archived(&self) -> bool {
        self.status == GroupStatus::Archived
    }
}
