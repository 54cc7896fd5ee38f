//! One patient's folder, from names to accepted messages.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use renkei_core::{
    AcceptError, BoxError, Code, FacilityId, Flag, Inbox, LocalId, Meta, NewMessage, Receipt,
    Shutdown, SourceName, limits,
};
use tracing::warn;

use super::config::{Config, Kind};
use super::listing::{self, Folder, Found, Listing};
use super::memory::{Patient, Taken, Waiting, short};
use crate::files::{self, Look, Read, Standstill, blocking};
use crate::split;

/// Files taken between two writings of notes: what a crash may make the reader read twice.
const FILES_PER_NOTE: usize = 256;
/// An HL7 file that does not end like one is taken when it has stood still this many times longer.
const PATIENCE_WITHOUT_END: u32 = 10;

/// One root, as the jobs of a pass see it.
pub(super) struct Storage {
    pub(super) source: SourceName,
    pub(super) facility: FacilityId,
    pub(super) kind: Kind,
    /// Names the root in notes.
    pub(super) key: String,
    /// The root without links.
    pub(super) real: PathBuf,
    /// Whether known files are looked at again in this pass.
    pub(super) recheck: bool,
    pub(super) config: Arc<Config>,
}

/// Counts of a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) accepted: usize,
    pub(super) refused: usize,
    pub(super) passed_over: usize,
    pub(super) vanished: usize,
    pub(super) unexpected: usize,
    pub(super) unreadable: usize,
    pub(super) outside: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.passed_over += other.passed_over;
        self.vanished += other.vanished;
        self.unexpected += other.unexpected;
        self.unreadable += other.unreadable;
        self.outside += other.outside;
    }
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done {
        /// Some files are not known to be complete.
        waiting: bool,
    },
    Full,
    Stopping,
}

impl End {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stopping, _) | (_, Self::Stopping) => Self::Stopping,
            (Self::Full, _) | (_, Self::Full) => Self::Full,
            (Self::Done { waiting: one }, Self::Done { waiting: two }) => Self::Done {
                waiting: one || two,
            },
        }
    }
}

/// Reads one patient.
pub(super) struct Job {
    pub(super) storage: Arc<Storage>,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) shutdown: Shutdown,
    pub(super) folder: Folder,
    /// Path of the folder below the root.
    pub(super) shown: String,
    pub(super) key: String,
    pub(super) local_id: LocalId,
    pub(super) patient: Patient,
}

/// What a job gives back.
pub(super) struct Outcome {
    pub(super) key: String,
    pub(super) patient: Patient,
    pub(super) tally: Tally,
    /// `Err` = the ledger failed.
    pub(super) end: Result<End, BoxError>,
}

/// A file that stands still, with what was seen of it.
enum Ready {
    /// Not yet, or no longer there.
    No,
    Yes {
        look: Look,
        backfill: bool,
    },
}

impl Job {
    pub(super) async fn run(mut self) -> Outcome {
        let mut tally = Tally::default();
        let end = match self.read(&mut tally).await {
            Ok(()) => Ok(End::Done {
                waiting: !self.patient.waiting.is_empty(),
            }),
            Err(AcceptError::Full) => Ok(End::Full),
            Err(AcceptError::Stopping) => Ok(End::Stopping),
            Err(AcceptError::Broken(source)) => Err(source),
        };
        // What was taken before the trouble is written down all the same, where that is possible.
        let end = match (end, self.write_down().await) {
            (Ok(_), Err(AcceptError::Broken(source))) => Err(source),
            (end, _) => end,
        };
        Outcome {
            key: self.key,
            patient: self.patient,
            tally,
            end,
        }
    }

    async fn read(&mut self, tally: &mut Tally) -> Result<(), AcceptError> {
        let listing = self.list().await;
        tally.unexpected += listing.unexpected;
        tally.unreadable += listing.unreadable;
        tally.outside += listing.outside;
        let found = one_per_file(listing.found, tally);
        if self.patient.first_walk && self.patient.count() == 0 {
            // Written before anything is taken: after a crash the rest is still a first walk.
            let note = self.patient.walk_note(&self.key);
            self.inbox
                .remember(&self.storage.source, vec![note])
                .await?;
        }
        if listing.unreadable == 0 {
            self.count_vanished(&found, tally);
        }
        let mut since_note = 0;
        for (file, found) in &found {
            if self.shutdown.is_fired() {
                return Err(AcceptError::Stopping);
            }
            if let Ready::Yes { look, backfill } = self.ready(*file, found, tally).await
                && self.take(*file, found, look, backfill, tally).await?
            {
                since_note += 1;
                if since_note % FILES_PER_NOTE == 0 {
                    self.write_down().await?;
                }
            }
        }
        if tally.unreadable > 0 {
            // What could not be read now must not pass for news later.
            return Ok(());
        }
        self.patient.seen = true;
        if self.patient.first_walk
            && !self
                .patient
                .waiting
                .values()
                .any(|waiting| waiting.backfill)
        {
            self.write_down().await?;
            self.patient.first_walk = false;
            let note = self.patient.walk_note(&self.key);
            self.inbox
                .remember(&self.storage.source, vec![note])
                .await?;
        }
        Ok(())
    }

    async fn list(&self) -> Listing {
        let storage = Arc::clone(&self.storage);
        let (folder, shown) = (self.folder.clone(), self.shown.clone());
        let listed = blocking(move || {
            Ok(listing::patient(
                &storage.real,
                storage.kind,
                &folder,
                &shown,
            ))
        });
        listed.await.unwrap_or_else(|_| Listing {
            unreadable: 1,
            ..Listing::default()
        })
    }

    fn count_vanished(&mut self, found: &[(u64, Found)], tally: &mut Tally) {
        let there: HashSet<u64> = found.iter().map(|(file, _)| *file).collect();
        self.patient.waiting.retain(|file, _| there.contains(file));
        let still: usize = found
            .iter()
            .filter(|(file, found)| self.patient.taken(&found.date, *file).is_some())
            .count();
        tally.vanished += self.patient.count() - still;
    }

    /// Whether a file is new and stands still. Looks at it only when its name is new, when it waits,
    /// or when known files are to be looked at again.
    async fn ready(&mut self, file: u64, found: &Found, tally: &mut Tally) -> Ready {
        let taken = self.patient.taken(&found.date, file);
        let same_name = taken.is_some_and(|taken| taken.flag == found.flag);
        let waits = self.patient.waiting.contains_key(&file);
        if same_name && !waits && !self.storage.recheck {
            return Ready::No;
        }
        let path = found.path.clone();
        let Ok(look) = blocking(move || files::look_behind_links(&path)).await else {
            tally.unreadable += 1;
            return Ready::No;
        };
        if same_name && taken.is_some_and(|taken| taken.look == look) {
            self.patient.waiting.remove(&file);
            return Ready::No;
        }
        let backfill = self.patient.first_walk && !self.patient.seen && taken.is_none();
        // A renamed file whose content stands as it was taken is complete already.
        if taken.is_some_and(|taken| taken.look == look) {
            return Ready::Yes { look, backfill };
        }
        let stable = Duration::from_secs(self.storage.config.stable_secs);
        let waiting = self.patient.waiting.entry(file).or_insert_with(|| Waiting {
            still: Standstill::new(look),
            backfill,
        });
        if waiting.still.again(look, stable) {
            return Ready::Yes {
                look,
                backfill: waiting.backfill,
            };
        }
        Ready::No
    }

    /// Reads a file and offers what is in it. `false` when it turned out not to be complete.
    async fn take(
        &mut self,
        file: u64,
        found: &Found,
        look: Look,
        backfill: bool,
        tally: &mut Tally,
    ) -> Result<bool, AcceptError> {
        let is_hl7_by_name = self.storage.kind == Kind::Standard || found.shown.ends_with(".hl7");
        let limit = if is_hl7_by_name {
            limits::FRAME_BYTES as u64
        } else {
            limits::DOCUMENT_BYTES
        };
        let path = found.path.clone();
        let body = match blocking(move || files::read(&path, look, limit)).await {
            Ok(Read::Changed) => return Ok(false),
            Err(_) => {
                tally.unreadable += 1;
                return Ok(false);
            }
            Ok(body) => body,
        };
        let base = NewMessage {
            source: self.storage.source.clone(),
            facility: self.storage.facility.clone(),
            dedup_key: String::new(),
            subject: Some(self.local_id.clone()),
            ordering_key: self.local_id.expose().to_owned(),
            // A storage holds one patient per folder; merges are not among its data types.
            barrier: false,
            body: Bytes::new(),
            meta: Meta {
                path: Some(found.shown.clone()),
                flag: found.flag,
                data_type: Some(found.data_type.clone()),
                backfill,
                ..Meta::default()
            },
            refused: None,
        };
        let messages = match body {
            Read::Whole(body) => {
                let is_hl7 = is_hl7_by_name || body.starts_with(b"MSH|");
                if is_hl7 && !files::ends_like_hl7(&body) && !self.is_patient_enough(file) {
                    return Ok(false);
                }
                if is_hl7 {
                    hl7(&base, &body)
                } else {
                    vec![document(&base, &found.shown, body)]
                }
            }
            Read::TooLarge(start) => {
                let code = if is_hl7_by_name {
                    Code::HL7_FRAME_TOO_LARGE
                } else {
                    Code::DOC_TOO_LARGE
                };
                warn!(source = %self.storage.source, %code, bytes = look.size, "a file of a storage is over the limit");
                let mut message = NewMessage {
                    body: start,
                    refused: Some(code),
                    ..base
                };
                message
                    .meta
                    .sidecar
                    .insert("file_bytes".to_owned(), look.size.to_string());
                vec![message]
            }
            Read::Changed => return Ok(false),
        };
        for (index, mut message) in messages.into_iter().enumerate() {
            message.dedup_key = format!("{}/{}#{}", self.storage.facility, found.shown, index + 1);
            let refused = message.refused.is_some();
            match self.inbox.accept(message).await? {
                Receipt::NotEnrolled => return Ok(false),
                Receipt::Stored(_) | Receipt::Duplicate(_) => {
                    tally.accepted += usize::from(!refused);
                    tally.refused += usize::from(refused);
                }
            }
        }
        self.patient.take(
            &found.date,
            file,
            Taken {
                flag: found.flag,
                look,
            },
        );
        Ok(true)
    }

    /// Whether a file without a closing byte has stood still long enough to be taken as it is: some
    /// senders end files without one, and half a file looks the same.
    fn is_patient_enough(&self, file: u64) -> bool {
        let stable = Duration::from_secs(self.storage.config.stable_secs.max(1));
        let Some(waiting) = self.patient.waiting.get(&file) else {
            return true;
        };
        waiting.still.lasts() >= stable * PATIENCE_WITHOUT_END
    }

    async fn write_down(&mut self) -> Result<(), AcceptError> {
        let notes = self.patient.changes(&self.key);
        if notes.is_empty() {
            return Ok(());
        }
        let written = self.inbox.remember(&self.storage.source, notes).await;
        if written.is_err() {
            self.patient.changed_again();
        }
        written
    }
}

/// In order of application, one entry per file: should two flags of one name stand side by side,
/// the stronger one counts (0 over 1 over 2).
fn one_per_file(found: Vec<Found>, tally: &mut Tally) -> Vec<(u64, Found)> {
    let mut by_file: HashMap<u64, Found> = HashMap::with_capacity(found.len());
    for found in found {
        match by_file.entry(short(&found.unflagged)) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(found);
            }
            std::collections::hash_map::Entry::Occupied(mut other) => {
                tally.unexpected += 1;
                if strength(found.flag) > strength(other.get().flag) {
                    other.insert(found);
                }
            }
        }
    }
    let mut files: Vec<_> = by_file.into_iter().collect();
    files.sort_by(|(_, one), (_, other)| one.order().cmp(&other.order()));
    files
}

fn strength(flag: Option<Flag>) -> u8 {
    match flag {
        None => 0,
        Some(Flag::Superseded) => 1,
        Some(Flag::Current) => 2,
        Some(Flag::Deleted) => 3,
    }
}

fn hl7(base: &NewMessage, body: &Bytes) -> Vec<NewMessage> {
    let bodies = split::split(body).bodies;
    if bodies.is_empty() {
        let refused = Some(Code::HL7_NO_MSH);
        return vec![NewMessage {
            body: body.clone(),
            refused,
            ..base.clone()
        }];
    }
    bodies
        .into_iter()
        .map(|body| NewMessage {
            body,
            ..base.clone()
        })
        .collect()
}

fn document(base: &NewMessage, name: &str, body: Bytes) -> NewMessage {
    let mut message = NewMessage {
        body,
        ..base.clone()
    };
    message.meta.media_type = Some(files::media_type(name, &message.body).to_owned());
    message
}
