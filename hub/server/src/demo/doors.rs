//! The test doors of the simulators (`adapters/sim/CONTRACT.md` §6) as a client sees them: look inside,
//! make people act, make things fail.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use renkei_sim::{Member, PatientHeader, Team};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest wait for one door.
const PATIENCE: Duration = Duration::from_secs(10);

/// The doors of one simulator.
#[derive(Debug, Clone)]
pub struct Doors {
    address: String,
    client: reqwest::Client,
}

/// What a simulated peer has seen and shows.
#[derive(Debug, Clone, Deserialize)]
pub struct Inside {
    /// Counts since the start.
    pub counts: Counts,
    /// Groups, rooms or W1 patients.
    pub teams: Vec<Team>,
    /// Posts and messages.
    pub posts: Vec<Entry>,
    /// Documents of Vital Link and W1.
    pub documents: Vec<Entry>,
    /// Uploaded files.
    pub files: Vec<File>,
    /// Idempotency keys and what they brought about.
    pub keys: Vec<Key>,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Calls.
    pub requests: u64,
    /// Calls answered as a repetition.
    pub replayed: u64,
    /// Calls refused.
    pub rejected: u64,
    /// What people could see.
    pub effects: u64,
    /// Posts and messages.
    pub posts: u64,
    /// Documents.
    pub documents: u64,
    /// 了解.
    pub acks: u64,
}

/// One post, message or document.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// The peer's id.
    pub entry_id: String,
    /// Where it stands.
    pub team_id: String,
    /// Idempotency key or uid.
    pub key: Option<String>,
    /// `api` or `person`.
    pub origin: String,
    /// The fields as received.
    pub request: Value,
    /// The patient header above it when it was accepted.
    pub patient: Option<PatientHeader>,
    /// Who could read it then.
    pub readable_by: Vec<String>,
    /// Files that came with it.
    pub files: Vec<String>,
}

/// One uploaded file.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    /// The peer's id.
    pub file_id: String,
    /// Its name.
    pub file_name: String,
    /// Its type.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
}

/// One idempotency key.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// The key.
    pub key: String,
    /// Times it was used.
    pub requests: u64,
    /// What people could see of it.
    pub effects: u64,
}

impl Entry {
    /// The first line, in whatever words the peer has for it.
    pub fn headline(&self) -> &str {
        self.words(&["headline", "title"])
    }

    /// The text, in whatever words the peer has for it.
    pub fn text(&self) -> &str {
        self.words(&["text", "body"])
    }

    fn words(&self, names: &[&str]) -> &str {
        let content = self.request.get("content").unwrap_or(&self.request);
        let said = names.iter().find_map(|name| content.get(name)?.as_str());
        said.unwrap_or_default()
    }

    /// What it replaces or replies to, where it says so.
    pub fn follows(&self) -> Option<&str> {
        let said = ["replaces", "reply_to"].iter();
        said.filter_map(|name| self.request.get(name)?.as_str())
            .next()
    }
}

impl Inside {
    /// Everything that people read as a post: messages, and the documents of a file drop.
    pub fn readable(&self) -> impl Iterator<Item = &Entry> {
        let dropped = self
            .documents
            .iter()
            .filter(|entry| entry.request.get("manifest").is_some());
        self.posts.iter().chain(dropped)
    }

    /// The files a post came with: its own, and those of the documents it names.
    pub fn files_of(&self, entry: &Entry) -> Vec<&File> {
        let named = ["attachments", "documents"];
        let ids = named
            .iter()
            .filter_map(|name| entry.request.get(name)?.as_array())
            .flatten()
            .filter_map(Value::as_str);
        let documents =
            ids.filter_map(|id| self.documents.iter().find(|entry| entry.entry_id == id));
        let files = documents
            .flat_map(|document| &document.files)
            .chain(&entry.files);
        files
            .filter_map(|id| self.files.iter().find(|file| file.file_id == *id))
            .filter(|file| file.media_type != "text/csv")
            .collect()
    }

    /// A member of a team.
    pub fn member(&self, team: &str, user: &str) -> Option<&Member> {
        let team = self.teams.iter().find(|known| known.id == team)?;
        team.members.iter().find(|member| member.user_ref == user)
    }
}

impl Doors {
    /// The doors at `http://address`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn at(address: String) -> anyhow::Result<Self> {
        // An error only says that the process already has a provider.
        let _known = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { address, client })
    }

    /// `http://…`, without a trailing slash.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Everything the simulator knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn look(&self) -> anyhow::Result<Inside> {
        let answer = self.client.get(self.door("state")).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// The counts only.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        let answer = self.client.get(self.door("counts")).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// A person presses 了解.
    ///
    /// # Errors
    /// When the peer knows neither entry nor person.
    pub async fn acknowledge(&self, entry: &str, user: &str) -> anyhow::Result<()> {
        self.post(
            "act",
            &json!({"act": "ack", "entry_id": entry, "user_ref": user}),
        )
        .await
    }

    /// The office writes another patient's header over a group.
    ///
    /// # Errors
    /// When the peer does not know the group.
    pub async fn rename_patient(&self, team: &str, header: &PatientHeader) -> anyhow::Result<()> {
        self.post(
            "act",
            &json!({"act": "set_patient", "team_id": team, "patient": header}),
        )
        .await
    }

    /// Replaces the plan of faults; `{}` clears it.
    ///
    /// # Errors
    /// When the plan is none.
    pub async fn fail(&self, plan: &Value) -> anyhow::Result<()> {
        self.post("faults", plan).await
    }

    async fn post(&self, door: &str, body: &Value) -> anyhow::Result<()> {
        let answer = self.client.post(self.door(door)).json(body).send().await?;
        let status = answer.status();
        ensure!(
            status.is_success(),
            "the simulator refused `{door}` with {status}"
        );
        Ok(())
    }

    fn door(&self, name: &str) -> String {
        format!("{}/_sim/{name}", self.address)
    }
}

/// Waits until `look` finds what it looks for.
///
/// # Errors
/// The last error of `look`, or that it did not come within `limit`.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = tokio::time::Instant::now() + limit;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if tokio::time::Instant::now() >= end {
            return None.with_context(|| format!("waited {limit:?} in vain: {what}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
