//! A folder that files are dropped into: HL7 files, and documents (PDF, CDA, images) with a CSV file
//! beside them that says whose they are ([`sidecar`]).
//!
//! With a [`Cutter`] the folder holds files of rows instead (CSV, workbooks, fixed records, JSON, XML): every
//! file becomes one message per patient, and one with the rows that could not be read; a file of any size,
//! where its format allows to read it piece by piece.
//!
//! A document is opened only after the intake gate has let its patient in; until then it stays where
//! it is, and so does its sidecar. An HL7 file has to be opened to know whose it is; the inbox's gate
//! decides about each of its messages. What was taken is moved into `done`, or remembered as a note
//! under a hash of its name. What cannot be used is kept as a refused message: a document without a
//! row (`RNK-DOC-002`), a row that cannot be used or never got its document (`RNK-DOC-003`), a file
//! over the limit (`RNK-DOC-004`).

mod config;
mod cut;
mod pass;
mod sidecar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use renkei_core::{
    AcceptError, BoxError, Code, Cutter, Inbox, Note, Shutdown, Source, SourceError, SourceName,
    limits,
};
use tracing::info;

pub use config::{After, Config};

/// First wait after "no room"; doubles up to a minute.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The shortest wait between two passes.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// One drop folder.
pub struct Folder {
    name: SourceName,
    config: Config,
    cutter: Option<Arc<dyn Cutter>>,
    whole_bytes: u64,
}

impl Folder {
    /// Takes a configuration. The folder is not looked at before [`Source::run`].
    ///
    /// # Errors
    /// [`SourceError`] when the configuration cannot be used.
    pub fn new(name: SourceName, config: Config) -> Result<Self, SourceError> {
        let problems = config.validate();
        if problems.is_empty() {
            return Ok(Self {
                name,
                config,
                cutter: None,
                whole_bytes: limits::LOCAL_INPUT_BYTES as u64,
            });
        }
        Err(SourceError {
            code: Code::CFG_INVALID,
            reason: problems.join("; "),
            source: None,
        })
    }
}

impl Folder {
    /// The same folder with files of rows in it, cut by `cutter` into messages about one patient each.
    #[must_use]
    pub fn cut_by(mut self, cutter: Option<Arc<dyn Cutter>>) -> Self {
        self.cutter = cutter;
        self
    }

    /// The same folder, where larger files of rows than this, in bytes, are read piece by piece.
    #[cfg(test)]
    fn whole_up_to(mut self, bytes: u64) -> Self {
        self.whole_bytes = bytes;
        self
    }
}

#[async_trait]
impl Source for Folder {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        info!(source = %self.name, "reading a drop folder");
        let mut pause = FIRST_PAUSE;
        let mut reader = None;
        while !shutdown.is_fired() {
            let ended = match &mut reader {
                None => inbox.recall(&self.name).await.map(|notes| {
                    let reader_now = self.reader(&inbox, notes, &shutdown);
                    reader = Some(reader_now);
                    Duration::ZERO
                }),
                Some(reader) => reader.pass().await.map(|waiting| {
                    let stable = Duration::from_secs(self.config.stable_secs);
                    let poll = Duration::from_secs(self.config.poll_secs);
                    if waiting { poll.min(stable) } else { poll }
                }),
            };
            let wait = match ended {
                Ok(wait) => {
                    pause = FIRST_PAUSE;
                    wait
                }
                Err(AcceptError::Full) => {
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
                Err(AcceptError::Stopping) => return Ok(()),
                Err(AcceptError::Broken(source)) => return Err(broken(source)),
            };
            tokio::select! {
                () = tokio::time::sleep(wait.max(SHORTEST_WAIT)) => {}
                () = shutdown.fired() => {}
            }
        }
        Ok(())
    }
}

impl Folder {
    fn reader<'a>(
        &'a self,
        inbox: &Arc<dyn Inbox>,
        notes: Vec<Note>,
        shutdown: &'a Shutdown,
    ) -> pass::Reader<'a> {
        pass::Reader {
            name: &self.name,
            config: &self.config,
            inbox: Arc::clone(inbox),
            shutdown,
            notes: notes
                .into_iter()
                .filter_map(|note| Some((note.key, note.value?)))
                .collect(),
            watched: HashMap::new(),
            alone_since: HashMap::new(),
            cutter: self.cutter.clone(),
            whole_bytes: self.whole_bytes,
            unreadable: false,
            restless: false,
        }
    }
}

fn broken(source: BoxError) -> SourceError {
    SourceError {
        code: Code::INB_REFUSED_BY_STORE,
        reason: "the inbox failed".to_owned(),
        source: Some(source),
    }
}
