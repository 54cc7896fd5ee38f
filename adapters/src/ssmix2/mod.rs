//! SS-MIX2 storages: HL7 files and documents that a hospital's record system writes into a folder
//! tree, read by polling.
//!
//! A pass lists names only. Before anything below a patient's folder is listed or opened, the intake
//! gate is asked for that patient; nothing about the others is read, remembered or logged, not even
//! a hash. What is new is looked at until it stands still, read, and offered to the inbox in the
//! order of the times in the names; what was taken is written down as notes ([`memory`]).
//!
//! The state of a file is its name's flag. A rename (`1` → `2`, `1`/`2` → `0`) is an event: the same
//! bytes are offered again under the new name. A file that is gone withdraws nothing; it is counted.
//! Nothing is written into a storage, and links are not followed out of it.
//!
//! What the first walk of a storage finds, or the first walk of a patient admitted later, is marked
//! as backfill. A patient's folder that appears while the patient was already admitted is news.

mod config;
mod listing;
mod memory;
mod patient;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use renkei_core::{AcceptError, BoxError, Code, Inbox, Shutdown, Source, SourceError, SourceName};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::files::{self, blocking};
use memory::{Memory, Patient};
use patient::{End, Job, Tally};

pub use config::{Config, Kind, Root};

/// Patients read at the same time: their messages share commits.
const PATIENTS_AT_ONCE: usize = 64;
/// First wait after "no room"; doubles up to the poll interval or a minute.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The shortest wait between two passes.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// The storages of one source.
pub struct Ssmix2 {
    name: SourceName,
    config: Arc<Config>,
}

impl Ssmix2 {
    /// Takes a configuration. No folder is looked at before [`Source::run`].
    ///
    /// # Errors
    /// [`SourceError`] when the configuration cannot be used.
    pub fn new(name: SourceName, config: Config) -> Result<Self, SourceError> {
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(SourceError {
                code: Code::CFG_INVALID,
                reason: problems.join("; "),
                source: None,
            });
        }
        Ok(Self {
            name,
            config: Arc::new(config),
        })
    }
}

#[async_trait]
impl Source for Ssmix2 {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        info!(source = %self.name, roots = self.config.roots.len(), "reading SS-MIX2 storages");
        let notes = loop {
            match inbox.recall(&self.name).await {
                Ok(notes) => break notes,
                Err(AcceptError::Broken(source)) => return Err(broken(source)),
                Err(AcceptError::Stopping) => return Ok(()),
                Err(AcceptError::Full) => tokio::select! {
                    () = tokio::time::sleep(FIRST_PAUSE) => {}
                    () = shutdown.fired() => return Ok(()),
                },
            }
        };
        let mut reader = Reader {
            name: &self.name,
            config: &self.config,
            inbox,
            shutdown: &shutdown,
            memory: Memory::recall(notes),
            oddities: HashMap::new(),
            rechecked: None,
        };
        let mut pause = FIRST_PAUSE;
        while !shutdown.is_fired() {
            let end = reader.pass().await?;
            let wait = match end {
                End::Stopping => return Ok(()),
                End::Full => {
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
                End::Done { waiting } => {
                    pause = FIRST_PAUSE;
                    let stable = Duration::from_secs(self.config.stable_secs);
                    let poll = Duration::from_secs(self.config.poll_secs);
                    if waiting { poll.min(stable) } else { poll }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait.max(SHORTEST_WAIT)) => {}
                () = shutdown.fired() => {}
            }
        }
        Ok(())
    }
}

fn broken(source: BoxError) -> SourceError {
    SourceError {
        code: Code::INB_REFUSED_BY_STORE,
        reason: "the inbox failed".to_owned(),
        source: Some(source),
    }
}

struct Reader<'a> {
    name: &'a SourceName,
    config: &'a Arc<Config>,
    inbox: Arc<dyn Inbox>,
    shutdown: &'a Shutdown,
    memory: Memory,
    /// Oddities of the last pass by root: told again only when they change.
    oddities: HashMap<PathBuf, [usize; 4]>,
    rechecked: Option<Instant>,
}

/// One pass over one root.
struct Pass {
    root: Arc<patient::Storage>,
    /// The admission epoch at the start, and the one of the last complete pass.
    epoch: u64,
    last_epoch: Option<u64>,
    tally: Tally,
    end: End,
    /// Every folder above the patients could be read.
    complete: bool,
    jobs: JoinSet<patient::Outcome>,
}

impl Reader<'_> {
    async fn pass(&mut self) -> Result<End, SourceError> {
        let recheck_after = Duration::from_secs(self.config.recheck_secs);
        let recheck = self
            .rechecked
            .is_some_and(|last| last.elapsed() >= recheck_after);
        if recheck || self.rechecked.is_none() {
            self.rechecked = Some(Instant::now());
        }
        let mut all = End::Done { waiting: false };
        for root in &self.config.roots {
            let path = root.path.clone();
            let real = match blocking(move || listing::real_root(&path)).await {
                Ok(real) => real,
                Err(problem) => {
                    // A share that is not mounted must not look like a storage without files.
                    warn!(source = %self.name, error = %problem.kind(), "a storage cannot be read, trying again");
                    continue;
                }
            };
            let storage = Arc::new(patient::Storage {
                source: self.name.clone(),
                facility: root.facility.clone(),
                kind: root.kind,
                key: files::hash_parts(&[root.facility.as_str(), &listing::root_name(&root.path)]),
                real,
                recheck,
                config: Arc::clone(self.config),
            });
            let end = self.root(storage, &root.path).await?;
            all = all.and(end);
            if matches!(all, End::Full | End::Stopping) {
                break;
            }
        }
        Ok(all)
    }

    async fn root(&mut self, root: Arc<patient::Storage>, path: &Path) -> Result<End, SourceError> {
        let last_epoch = self.memory.epochs.get(&root.key).copied();
        let mut pass = Pass {
            epoch: self.inbox.admission_epoch(),
            last_epoch,
            tally: Tally::default(),
            end: End::Done { waiting: false },
            complete: true,
            jobs: JoinSet::new(),
            root,
        };
        let root = pass.root.real.clone();
        let top = self.folders(&mut pass, root).await;
        'walk: for first in top {
            for second in self.folders(&mut pass, first.path).await {
                let shown = format!("{}/{}", first.name, second.name);
                for patient in self.folders(&mut pass, second.path).await {
                    if self.shutdown.is_fired() || !matches!(pass.end, End::Done { .. }) {
                        break 'walk;
                    }
                    self.patient(&mut pass, patient, &shown).await?;
                }
            }
        }
        while !pass.jobs.is_empty() {
            self.collect(&mut pass).await?;
        }
        if self.shutdown.is_fired() {
            pass.end = End::Stopping;
        }
        if matches!(pass.end, End::Done { .. }) {
            self.tell(path, &pass);
            if pass.complete && pass.last_epoch != Some(pass.epoch) {
                let note = memory::root_note(&pass.root.key, pass.epoch);
                match self.inbox.remember(self.name, vec![note]).await {
                    Ok(()) => {
                        self.memory.epochs.insert(pass.root.key.clone(), pass.epoch);
                    }
                    Err(AcceptError::Broken(source)) => return Err(broken(source)),
                    Err(AcceptError::Full | AcceptError::Stopping) => {}
                }
            }
        }
        Ok(pass.end)
    }

    async fn folders(&self, pass: &mut Pass, path: PathBuf) -> Vec<listing::Folder> {
        let root = Arc::clone(&pass.root);
        match blocking(move || listing::folders(&root.real, &path)).await {
            Ok(folders) => folders,
            Err(problem) => {
                pass.complete = false;
                warn!(source = %self.name, error = %problem.kind(), "a folder of a storage cannot be read");
                Vec::new()
            }
        }
    }

    /// Asks the gate for one patient, and starts reading when it opens.
    async fn patient(
        &mut self,
        pass: &mut Pass,
        folder: listing::Folder,
        above: &str,
    ) -> Result<(), SourceError> {
        let Some(local_id) = self.config.local_id.apply(&folder.name) else {
            return Ok(());
        };
        let shown = format!("{above}/{}", folder.name);
        let key = files::hash_parts(&[&pass.root.key, &shown]);
        if !self.inbox.admits(self.name, &pass.root.facility, &local_id) {
            pass.tally.passed_over += 1;
            if let Some(patient) = self.memory.patients.remove(&key)
                && let Err(AcceptError::Broken(source)) =
                    self.inbox.remember(self.name, patient.forget(&key)).await
            {
                return Err(broken(source));
            }
            return Ok(());
        }
        while pass.jobs.len() >= PATIENTS_AT_ONCE {
            self.collect(pass).await?;
        }
        let known = self.memory.patients.remove(&key);
        // Asked after the gate: an epoch that is still the one of the last complete pass says that
        // this patient was admitted then, so the folder itself is new.
        let is_news = pass.last_epoch == Some(self.inbox.admission_epoch());
        let patient = known.unwrap_or_else(|| Patient::new(!is_news));
        let job = Job {
            storage: Arc::clone(&pass.root),
            inbox: Arc::clone(&self.inbox),
            shutdown: self.shutdown.clone(),
            folder,
            shown,
            key,
            local_id,
            patient,
        };
        pass.jobs.spawn(job.run());
        Ok(())
    }

    async fn collect(&mut self, pass: &mut Pass) -> Result<(), SourceError> {
        match pass.jobs.join_next().await {
            None => {}
            Some(Ok(outcome)) => {
                self.memory.patients.insert(outcome.key, outcome.patient);
                pass.tally.add(outcome.tally);
                let end = outcome.end.map_err(broken)?;
                pass.end = pass.end.and(end);
            }
            Some(Err(problem)) => {
                // Its memory is lost: its files are read again and recognised, and what was not
                // taken yet must not pass for news, so this pass does not count as complete.
                pass.complete = false;
                self.memory.epochs.remove(&pass.root.key);
                warn!(source = %self.name, code = %Code::INB_PANIC, panicked = problem.is_panic(), "reading one patient failed");
            }
        }
        Ok(())
    }

    /// Says what was odd, when it is not what was said before.
    fn tell(&mut self, path: &Path, pass: &Pass) {
        let Tally {
            accepted,
            refused,
            passed_over,
            vanished,
            unexpected,
            unreadable,
            outside,
        } = pass.tally;
        if pass.last_epoch.is_none() {
            info!(source = %self.name, accepted, refused, "the first walk of a storage is over");
        } else {
            debug!(source = %self.name, accepted, refused, passed_over, "pass over a storage");
        }
        let odd = [vanished, unexpected, unreadable, outside];
        let before = self
            .oddities
            .insert(path.to_owned(), odd)
            .unwrap_or_default();
        if odd != before {
            warn!(source = %self.name, code = %Code::MAP_PATH_UNEXPECTED, vanished, unexpected, unreadable, outside, "odd things in a storage");
        }
    }
}
