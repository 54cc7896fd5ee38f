//! Ward profile W1 (`CONTRACT.md` §4): a watched folder, acknowledgement files, 了解 files.
//!
//! Plays a ward's or city's file exchange after its SFTP server; the server itself is not played.
//! The REST profile W2 is [`crate::mcs::Config::ward`].

mod csv_text;
mod folder;
mod judge;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::dialect::Dialect;
use crate::http::{self, Peer, Running, Shared, SimError};
use crate::refusal::Refusal;
use crate::request::{Call, Reply};
use crate::seed::Seed;
use crate::state::{DropWhen, Limits, State, What};
use folder::Folder;
use judge::Verdict;

/// Encoding of every CSV, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Windows code page 932.
    #[default]
    Ms932,
    /// UTF-8 without a byte order mark.
    Utf8,
}

/// How to start the simulator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Loopback address of `/_sim/*`; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Folder that gets `in/`, `out/`, `taken/` and `err/`.
    pub folder: PathBuf,
    /// Encoding of the profile.
    pub encoding: Encoding,
    /// Pause between two looks; default 50 ms.
    pub look_every: Duration,
    /// Who exists at the start; teams are the patients.
    pub seed: Seed,
}

impl Config {
    /// MS932, a look every 50 ms.
    #[must_use]
    pub fn new(listen: SocketAddr, folder: PathBuf, seed: Seed) -> Self {
        Self {
            listen,
            folder,
            encoding: Encoding::default(),
            look_every: Duration::from_millis(50),
            seed,
        }
    }
}

/// Makes the folders and starts looking.
///
/// # Errors
/// [`SimError`] when the address is not loopback or not free, or the folders cannot be made.
pub async fn start(config: Config) -> Result<Running, SimError> {
    let folder = Folder::make(&config.folder)?;
    let state = State::new("ward", Limits::default(), config.seed);
    let ward = Ward {
        state,
        folder,
        encoding: config.encoding,
        received: HashMap::new(),
        confirmed: 0,
    };
    let shared = Shared::new(ward, Dialect::default());
    let mut running = http::serve(config.listen, shared.clone()).await?;
    let task = tokio::spawn(watch_folder(shared, config.look_every, running.stopping()));
    running.also(task);
    Ok(running)
}

struct Ward {
    state: State,
    folder: Folder,
    encoding: Encoding,
    /// Stem → content hash of what was accepted under it.
    received: HashMap<String, [u8; 32]>,
    /// Happenings already turned into 了解 files.
    confirmed: usize,
}

impl Peer for Ward {
    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn keys(&self, _call: &Call) -> Vec<String> {
        Vec::new()
    }

    fn answer(&mut self, _call: &Call) -> Result<Reply, Refusal> {
        Err(Refusal::not_found("path"))
    }

    fn written(
        &self,
        user_ref: &str,
        headline: &str,
        text: &str,
        _reply_to: Option<&str>,
    ) -> (Value, &'static str) {
        (
            json!({"author": {"user_ref": user_ref}, "headline": headline, "text": text}),
            "note",
        )
    }
}

/// Looks until told to stop. Each `.done` is one request to the fault plan.
async fn watch_folder(shared: Shared<Ward>, every: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = look(&shared).await {
            tracing::warn!(%error, "ward simulator cannot use its folder");
        }
        let stopped = tokio::time::timeout(every, stop.wait_for(|stop| *stop)).await;
        if stopped.is_ok() {
            return;
        }
    }
}

async fn look(shared: &Shared<Ward>) -> std::io::Result<()> {
    let waiting = shared.lock().folder.waiting()?;
    for stem in waiting {
        let faults = {
            let mut ward = shared.lock();
            ward.state.counts.requests += 1;
            ward.state.strike(&stem)
        };
        if faults.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
        }
        let shared = shared.clone();
        let work = move || {
            shared
                .lock()
                .take(&stem, faults.status.is_some(), faults.drop)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(std::io::Error::other)??;
    }
    shared.lock().confirm()
}

impl Ward {
    /// Takes one finished drop: judge, answer, move away. A drop fault leaves the files where they are.
    fn take(&mut self, stem: &str, later: bool, drop: Option<DropWhen>) -> std::io::Result<()> {
        let org = self.sender_of(stem);
        let key = (org.clone().unwrap_or_default(), stem.to_owned());
        self.state.keys.entry(key.clone()).or_default().requests += 1;
        if drop == Some(DropWhen::Before) {
            return Ok(());
        }
        let verdict = if later {
            Err(judge::Fault::new("try_later", "try again later"))
        } else {
            self.judge(stem)?
        };
        match &verdict {
            Ok(Verdict::Fresh | Verdict::Superseded) => {
                self.state.counts.accepted += 1;
                self.state.keys.entry(key).or_default().effects += 1;
            }
            Ok(Verdict::Duplicate) => self.state.counts.replayed += 1,
            Err(fault) => {
                let refusal = Refusal::new(422, fault.code, fault.text);
                self.state
                    .reject("DROP", stem, &refusal, org.as_deref(), Some(stem));
            }
        }
        if drop == Some(DropWhen::After) {
            return Ok(());
        }
        let (status, code, text) = match &verdict {
            Ok(verdict) => ("ok", verdict.code(), ""),
            Err(fault) => ("error", fault.code, fault.text),
        };
        let (doc_id, version) = stem.rsplit_once('_').unwrap_or((stem, ""));
        let at = self.state.now().to_string();
        let header = ["doc_id", "version", "status", "code", "text", "received_at"];
        let row = [doc_id, version, status, code, text, &at]
            .map(str::to_owned)
            .to_vec();
        let ack = csv_text::write(&header, &[row], self.encoding)?;
        self.folder.answer(&format!("{stem}.ack.csv"), &ack)?;
        self.folder.clear(stem, verdict.is_ok())
    }

    /// Writes the 了解 files that are due.
    fn confirm(&mut self) -> std::io::Result<()> {
        let fresh: Vec<usize> = self
            .state
            .happenings
            .iter()
            .skip(self.confirmed)
            .filter_map(|happening| {
                if let What::Acked(place, _) = happening.what {
                    Some(place)
                } else {
                    None
                }
            })
            .collect();
        for place in fresh {
            let Some(entry) = self.state.entries.get(place) else {
                continue;
            };
            let Some((doc_id, version)) = entry.id.rsplit_once('_') else {
                continue;
            };
            let rows: Vec<Vec<String>> = entry
                .seen_by
                .iter()
                .filter_map(|seen| {
                    let member = &seen.member;
                    let at = seen.acked_at?.to_string();
                    let professions = member.professions.join(";");
                    let row = [
                        doc_id,
                        version,
                        &member.user_ref,
                        &member.display,
                        &member.facility_id,
                        &professions,
                        &at,
                    ];
                    Some(row.map(str::to_owned).to_vec())
                })
                .collect();
            let header = [
                "doc_id",
                "version",
                "user_ref",
                "display",
                "facility_id",
                "professions",
                "seen_at",
            ];
            let bytes = csv_text::write(&header, &rows, self.encoding)?;
            self.folder
                .answer(&format!("{}.seen.csv", entry.id), &bytes)?;
        }
        self.confirmed = self.state.happenings.len();
        Ok(())
    }
}
