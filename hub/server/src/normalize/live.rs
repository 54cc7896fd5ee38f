//! A local mapping in use: loaded and tested when the hub starts, and exchanged as a whole when its file, a table
//! or a mapping below it has changed. A message is read by one version; what cannot be loaded, or does not pass its
//! own tests, is not taken over and changes nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use renkei_core::Code;
use renkei_mappings::local::{Library as _, Mapping, Problems, Shipped};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::library::{Folder, Look};

/// How often the files are looked at. A change is taken over at the second look that shows it, so that a file
/// that is being written is not read.
const LOOK: Duration = Duration::from_secs(1);

/// A mapping a source names.
#[derive(Debug)]
pub struct Live {
    name: String,
    /// None for one that comes with renkei: it cannot change.
    file: Option<PathBuf>,
    folder: Folder,
    current: RwLock<Arc<Mapping>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// As it was when it was loaded, or refused, last.
    settled: Look,
    /// As it was at the last look, when that was different.
    restless: Option<Look>,
}

/// A mapping cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no such file, or it cannot be read.
    #[error("`{name}` cannot be read; mappings that come with renkei are {shipped}", shipped = Shipped.mappings().join(", "))]
    Unread {
        /// As configured.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It has faults, or its own tests do not hold.
    #[error(transparent)]
    Faults(#[from] Problems),
}

impl Live {
    /// Loads and tests a mapping by its name or its path; a relative one starts at `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(name: &str, base: &Path) -> Result<Self, Unusable> {
        let is_shipped = Shipped.mapping(name).is_some();
        let file = (!is_shipped).then(|| base.join(name));
        let folder = Folder::of(file.as_deref().unwrap_or(Path::new("")));
        let seen = Seen {
            settled: file.as_ref().map(|_| folder.look()).unwrap_or_default(),
            restless: None,
        };
        let mapping = read(name, file.as_deref(), &folder)?;
        Ok(Self {
            name: name.to_owned(),
            file,
            folder,
            current: RwLock::new(Arc::new(mapping)),
            seen: Mutex::new(seen),
        })
    }

    /// As the configuration names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version in use.
    pub fn current(&self) -> Arc<Mapping> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the files and takes over what has changed and stands still; with `at_once` without waiting
    /// for that.
    pub fn look(&self, at_once: bool) {
        if self.file.is_none() {
            return;
        }
        let now = self.folder.look();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now == seen.settled && !at_once {
            seen.restless = None;
            return;
        }
        if seen.restless.as_ref() != Some(&now) && !at_once {
            seen.restless = Some(now);
            return;
        }
        *seen = Seen {
            settled: now,
            restless: None,
        };
        self.exchange();
    }

    fn exchange(&self) {
        let (before, name) = (self.current(), &self.name);
        match read(name, self.file.as_deref(), &self.folder) {
            Ok(mapping) if mapping.hash() == before.hash() => {}
            Ok(mapping)
                if mapping.reads_hl7() != before.reads_hl7()
                    || mapping.has_subject() != before.has_subject() =>
            {
                warn!(code = %Code::MAP_NOT_TAKEN_OVER, mapping = name, "a changed mapping reads another kind of source; start the hub again to use it");
            }
            Ok(mapping) => {
                info!(
                    mapping = name,
                    hash = mapping.hash(),
                    version = mapping.version(),
                    before = before.hash(),
                    "a changed mapping was taken over"
                );
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(mapping);
            }
            // Texts of problems may quote what a test reads; the places say enough.
            Err(Unusable::Faults(Problems(problems))) => {
                let places: Vec<String> = problems
                    .iter()
                    .take(5)
                    .map(|one| format!("{} {}:{}:{}", one.code, one.file, one.line, one.column))
                    .collect();
                warn!(code = %Code::MAP_NOT_TAKEN_OVER, mapping = name, problems = problems.len(), places = places.join(", "), "a changed mapping was not taken over; the earlier version goes on");
            }
            Err(Unusable::Unread { source, .. }) => {
                warn!(code = %Code::MAP_NOT_TAKEN_OVER, mapping = name, error = %source.kind(), "a mapping cannot be read any more; the earlier version goes on");
            }
        }
    }
}

fn read(name: &str, file: Option<&Path>, folder: &Folder) -> Result<Mapping, Unusable> {
    let (shown, text) = match file {
        None => {
            let text = Shipped.mapping(name).unwrap_or_default();
            (name.to_owned(), text.into_owned())
        }
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| Unusable::Unread {
                name: path.display().to_string(),
                source,
            })?;
            (path.display().to_string(), text)
        }
    };
    let mapping = Mapping::load(&shown, &text, folder)?;
    let outcomes = mapping.test(folder).into_iter();
    let failed: Vec<_> = outcomes.flat_map(|outcome| outcome.problems).collect();
    if failed.is_empty() {
        Ok(mapping)
    } else {
        Err(Problems(failed).into())
    }
}

/// The room that looks after the mappings until `stop`: every [`LOOK`], and at once at SIGHUP.
pub async fn keep(mappings: Vec<Arc<Live>>, stop: CancellationToken) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        let asked = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let at_once = tokio::select! {
            () = stop.cancelled() => return,
            _ = asked => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let mappings = mappings.clone();
        let looked = tokio::task::spawn_blocking(move || {
            for mapping in &mappings {
                mapping.look(at_once);
            }
        });
        if let Err(error) = looked.await {
            warn!(code = %Code::MAP_NOT_TAKEN_OVER, error = %renkei_core::chain(&error), "looking at the mappings ended unexpectedly");
        }
    }
}
