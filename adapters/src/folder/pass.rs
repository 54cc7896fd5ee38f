//! One pass over a drop folder.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use renkei_core::{
    AcceptError, Code, Cutter, Inbox, LocalId, Meta, NewMessage, Note, Shutdown, SourceName, limits,
};
use tokio::time::Instant;
use tracing::warn;

use super::config::{After, Config};
use super::sidecar::{BadRow, Row, Sidecar};
use crate::files::{self, Look, Read, Standstill, blocking};
use crate::split;

/// Extensions of documents that are not opened before their row is there.
const DOCUMENTS: [&str; 12] = [
    "pdf", "xml", "cda", "tif", "tiff", "jpg", "jpeg", "png", "gif", "rtf", "doc", "docx",
];
/// Where files go that were taken.
pub(super) const DONE: &str = "done";
/// Written when a folder that is only remembered was read once.
const WALKED: &str = "walked";

/// What a source keeps between passes.
pub(super) struct Reader<'a> {
    pub(super) name: &'a SourceName,
    pub(super) config: &'a Config,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) shutdown: &'a Shutdown,
    /// `f:<file>` → `<bytes> <changed ms> <row>`, `b:<row>`, [`WALKED`].
    pub(super) notes: BTreeMap<String, String>,
    /// Files that are not known to stand still.
    pub(super) watched: HashMap<String, Standstill>,
    /// Since when a document or a row has been waiting for the other.
    pub(super) alone_since: HashMap<String, Instant>,
    /// Cuts what lies in the folder, when that is files of rows; no sidecars and documents then.
    pub(super) cutter: Option<Arc<dyn Cutter>>,
    /// Files of rows up to this size, in bytes, are read at once.
    pub(super) whole_bytes: u64,
    pub(super) unreadable: bool,
    /// Something in this pass was not known to stand still.
    pub(super) restless: bool,
}

/// What a look at a file says.
pub(super) enum Standing {
    /// It was taken before, as it looks now.
    Taken,
    /// It may still be written, or cannot be looked at.
    Restless,
    Still(Look),
}

/// A sidecar file of this pass.
struct Open {
    path: PathBuf,
    name: String,
    look: Look,
    sidecar: Sidecar,
}

type Present = BTreeMap<String, PathBuf>;

impl Reader<'_> {
    /// Takes what is complete. `true` when something is not known to be complete.
    pub(super) async fn pass(&mut self) -> Result<bool, AcceptError> {
        let path = self.config.path.clone();
        let present = match blocking(move || list(&path)).await {
            Ok(present) => present,
            Err(problem) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    warn!(source = %self.name, error = %problem.kind(), "the drop folder cannot be read, trying again");
                }
                return Ok(false);
            }
        };
        (self.unreadable, self.restless) = (false, false);
        self.watched.retain(|name, _| present.contains_key(name));
        if let Some(cutter) = self.cutter.clone() {
            for (name, path) in &present {
                if self.shutdown.is_fired() {
                    return Err(AcceptError::Stopping);
                }
                self.cut(&cutter, name, path).await?;
            }
            self.walked().await?;
            return Ok(self.restless);
        }
        let sidecars = self.sidecars(&present).await?;
        let mut spoken_for = HashMap::new();
        for open in &sidecars {
            self.sidecar(open, &present, &mut spoken_for).await?;
        }
        for (name, path) in &present {
            if self.shutdown.is_fired() {
                return Err(AcceptError::Stopping);
            }
            if !is_sidecar(name) && !spoken_for.contains_key(name) {
                self.without_row(name, path).await?;
            }
        }
        self.walked().await?;
        Ok(self.restless)
    }

    /// Notes that a folder that is only remembered was read once.
    async fn walked(&mut self) -> Result<(), AcceptError> {
        if self.config.after == After::Remember && !self.restless {
            self.note_once(WALKED.to_owned(), "1").await?;
        }
        Ok(())
    }

    /// Reads the sidecars that stand still and are not done with.
    async fn sidecars(&mut self, present: &Present) -> Result<Vec<Open>, AcceptError> {
        let beside: Vec<String> = present
            .keys()
            .filter(|name| !is_sidecar(name))
            .cloned()
            .collect();
        let mut sidecars = Vec::new();
        for (name, path) in present.iter().filter(|(name, _)| is_sidecar(name)) {
            let Standing::Still(look) = self.standing(name, path, Some("")).await else {
                continue;
            };
            match self.bytes(path, look, limits::FRAME_BYTES as u64).await {
                Some(Read::Whole(bytes)) => {
                    let sidecar = Sidecar::parse(name, &bytes, self.config.local_id, &beside);
                    let (path, name) = (path.clone(), name.clone());
                    sidecars.push(Open {
                        path,
                        name,
                        look,
                        sidecar,
                    });
                }
                Some(Read::TooLarge(start)) => {
                    self.refuse(name, start, Code::DOC_TOO_LARGE, None).await?;
                    self.done(name, path, look, "").await?;
                }
                Some(Read::Changed) | None => {}
            }
        }
        Ok(sidecars)
    }

    /// Works through the rows of one sidecar, and puts it away when all are settled.
    async fn sidecar(
        &mut self,
        open: &Open,
        present: &Present,
        spoken_for: &mut HashMap<String, String>,
    ) -> Result<(), AcceptError> {
        let mut settled = true;
        for row in &open.sidecar.rows {
            if let Some(first) = spoken_for.get(&row.file) {
                // Two different rows about one document: the first counts.
                settled &= *first == row.hash || self.bad_row(open, &row.as_bad()).await?;
                continue;
            }
            spoken_for.insert(row.file.clone(), row.hash.clone());
            settled &= match present.get(&row.file) {
                Some(path) => self.document(row, path).await?,
                None => self.missing(open, row).await?,
            };
        }
        for row in &open.sidecar.bad {
            settled &= self.bad_row(open, row).await?;
        }
        if settled && self.config.after == After::Move {
            self.done(&open.name, &open.path, open.look, "").await?;
            self.forget(&open.sidecar).await?;
        }
        Ok(())
    }

    /// A document with its row: `true` when it is done with.
    async fn document(&mut self, row: &Row, path: &Path) -> Result<bool, AcceptError> {
        if !self
            .inbox
            .admits(self.name, &self.config.facility, &row.local_id)
        {
            return Ok(false);
        }
        let look = match self.standing(&row.file, path, Some(&row.hash)).await {
            Standing::Taken => return Ok(true),
            Standing::Restless => return Ok(false),
            Standing::Still(look) => look,
        };
        let (body, refused) = match self.bytes(path, look, limits::DOCUMENT_BYTES).await {
            Some(Read::Whole(body)) => (body, None),
            Some(Read::TooLarge(start)) => {
                warn!(source = %self.name, code = %Code::DOC_TOO_LARGE, bytes = look.size, "a document is over the limit");
                (start, Some(Code::DOC_TOO_LARGE))
            }
            Some(Read::Changed) | None => return Ok(false),
        };
        let mut message = self.message(&row.file, body, refused, Some(row.local_id.clone()));
        // The row belongs to the key: the same document under a corrected row is another message.
        message.dedup_key = format!("{}#{}", row.file, row.hash);
        message.meta.media_type = Some(files::media_type(&row.file, &message.body).to_owned());
        message.meta.data_type = row.columns.get("kind").cloned();
        message.meta.sidecar.clone_from(&row.columns);
        self.inbox.accept(message).await?;
        self.done(&row.file, path, look, &row.hash).await?;
        Ok(true)
    }

    /// A row whose document is not there: taken before, or still to come, or never.
    async fn missing(&mut self, open: &Open, row: &Row) -> Result<bool, AcceptError> {
        let noted = self.notes.get(&file_key(&row.file));
        if noted.is_some_and(|note| note.ends_with(&format!(" {}", row.hash))) {
            return Ok(true);
        }
        self.bad_row(open, &row.as_bad()).await
    }

    /// A row that cannot be used, or not yet: reported when it has waited long enough.
    async fn bad_row(&mut self, open: &Open, row: &BadRow) -> Result<bool, AcceptError> {
        let key = format!("b:{}", row.hash);
        if self.notes.contains_key(&key) {
            return Ok(true);
        }
        if !self.waited(&key) {
            return Ok(false);
        }
        let body = Bytes::from(row.text.clone());
        let name = format!("{}#{}", open.name, row.hash);
        self.refuse(&name, body, Code::DOC_SIDECAR_ROW, row.local_id.clone())
            .await?;
        self.alone_since.remove(&key);
        self.note_once(key, "1").await?;
        Ok(true)
    }

    /// A file that no sidecar speaks of: HL7, or a document that waits for its row.
    async fn without_row(&mut self, name: &str, path: &Path) -> Result<(), AcceptError> {
        let Standing::Still(look) = self.standing(name, path, None).await else {
            return Ok(());
        };
        let key = file_key(name);
        let is_document = DOCUMENTS.contains(&extension(name).as_str());
        if is_document && !self.waited(&key) {
            return Ok(());
        }
        let by_name = extension(name) == "hl7";
        let limit = if is_document {
            limits::DOCUMENT_BYTES
        } else {
            limits::FRAME_BYTES as u64
        };
        match self.bytes(path, look, limit).await {
            Some(Read::Whole(body)) if !is_document && (by_name || is_hl7(&body)) => {
                if !files::ends_like_hl7(&body) && !self.waited(&key) {
                    return Ok(());
                }
                self.hl7(name, &body).await?;
            }
            Some(Read::Whole(body)) => {
                if !self.waited(&key) {
                    return Ok(());
                }
                self.refuse(name, body, Code::DOC_NO_SIDECAR, None).await?;
            }
            Some(Read::TooLarge(start)) => {
                self.refuse(name, start, Code::DOC_TOO_LARGE, None).await?;
            }
            Some(Read::Changed) | None => return Ok(()),
        }
        self.alone_since.remove(&key);
        self.done(name, path, look, "").await
    }

    async fn hl7(&self, name: &str, body: &Bytes) -> Result<(), AcceptError> {
        let bodies = split::split(body).bodies;
        if bodies.is_empty() {
            return self
                .refuse(name, body.clone(), Code::HL7_NO_MSH, None)
                .await;
        }
        for (index, body) in bodies.into_iter().enumerate() {
            let subject = self
                .config
                .local_id
                .apply(&renkei_hl7v2::peek(&body).patient_id);
            let mut message = self.message(name, body, None, subject);
            message.dedup_key = format!("{name}#{}", index + 1);
            self.inbox.accept(message).await?;
        }
        Ok(())
    }

    pub(super) async fn refuse(
        &self,
        name: &str,
        body: Bytes,
        code: Code,
        subject: Option<LocalId>,
    ) -> Result<(), AcceptError> {
        warn!(source = %self.name, %code, bytes = body.len(), "a file or row could not be used");
        let message = self.message(name, body, Some(code), subject);
        self.inbox.accept(message).await.map(|_| ())
    }

    pub(super) fn message(
        &self,
        name: &str,
        body: Bytes,
        refused: Option<Code>,
        subject: Option<LocalId>,
    ) -> NewMessage {
        let first_walk = self.config.after == After::Remember && !self.notes.contains_key(WALKED);
        NewMessage {
            source: self.name.clone(),
            facility: self.config.facility.clone(),
            dedup_key: name.to_owned(),
            ordering_key: subject
                .as_ref()
                .map_or_else(String::new, |id| id.expose().to_owned()),
            barrier: renkei_hl7v2::peek(&body).message_type.moves_identity(),
            subject,
            body,
            meta: Meta {
                path: Some(name.to_owned()),
                backfill: first_walk,
                ..Meta::default()
            },
            refused,
        }
    }

    /// Looks at a file. It counts as taken when it was taken as it looks now, with this `row` (any
    /// when `None`).
    pub(super) async fn standing(
        &mut self,
        name: &str,
        path: &Path,
        row: Option<&str>,
    ) -> Standing {
        let path = path.to_owned();
        let Ok(look) = blocking(move || files::look(&path)).await else {
            return Standing::Restless;
        };
        let noted = self
            .notes
            .get(&file_key(name))
            .is_some_and(|note| match row {
                Some(row) => *note == note_text(look, row),
                None => note.starts_with(&note_text(look, "")),
            });
        if noted {
            return Standing::Taken;
        }
        let stable = Duration::from_secs(self.config.stable_secs);
        let watched = self
            .watched
            .entry(name.to_owned())
            .or_insert_with(|| Standstill::new(look));
        if watched.again(look, stable) {
            return Standing::Still(look);
        }
        self.restless = true;
        Standing::Restless
    }

    pub(super) async fn bytes(&self, path: &Path, look: Look, limit: u64) -> Option<Read> {
        let path = path.to_owned();
        blocking(move || files::read(&path, look, limit)).await.ok()
    }

    /// Whether a file or row has waited for its partner long enough.
    fn waited(&mut self, key: &str) -> bool {
        let since = *self
            .alone_since
            .entry(key.to_owned())
            .or_insert_with(Instant::now);
        since.elapsed() >= Duration::from_secs(self.config.partner_secs)
    }

    /// Whether a file that does not look whole has had the time of a late partner to become so.
    pub(super) fn waited_for(&mut self, name: &str) -> bool {
        self.waited(&file_key(name))
    }

    pub(super) fn no_longer_waits(&mut self, name: &str) {
        self.alone_since.remove(&file_key(name));
    }

    /// Puts a file away. One with a row is noted in any case, so that its sidecar knows; one that
    /// cannot be moved is noted too.
    pub(super) async fn done(
        &mut self,
        name: &str,
        path: &Path,
        look: Look,
        row: &str,
    ) -> Result<(), AcceptError> {
        self.watched.remove(name);
        let moves = self.config.after == After::Move;
        if !moves || !row.is_empty() {
            self.note(file_key(name), Some(note_text(look, row)))
                .await?;
        }
        if moves {
            let path = path.to_owned();
            if let Err(problem) = blocking(move || put_away(&path)).await {
                warn!(source = %self.name, error = %problem.kind(), "a file that was taken could not be moved");
                self.note(file_key(name), Some(note_text(look, row)))
                    .await?;
            }
        }
        Ok(())
    }

    /// Forgets the rows of a sidecar that was put away with its documents.
    async fn forget(&mut self, sidecar: &Sidecar) -> Result<(), AcceptError> {
        let files = sidecar.rows.iter().map(|row| file_key(&row.file));
        let rows = sidecar.rows.iter().map(|row| &row.hash);
        let bad = rows
            .chain(sidecar.bad.iter().map(|row| &row.hash))
            .map(|hash| format!("b:{hash}"));
        for key in files.chain(bad).collect::<Vec<_>>() {
            if self.notes.contains_key(&key) {
                self.note(key, None).await?;
            }
        }
        Ok(())
    }

    async fn note_once(&mut self, key: String, value: &str) -> Result<(), AcceptError> {
        if self.notes.contains_key(&key) {
            return Ok(());
        }
        self.note(key, Some(value.to_owned())).await
    }

    async fn note(&mut self, key: String, value: Option<String>) -> Result<(), AcceptError> {
        let note = Note {
            key: key.clone(),
            value: value.clone(),
        };
        self.inbox.remember(self.name, vec![note]).await?;
        match value {
            Some(value) => self.notes.insert(key, value),
            None => self.notes.remove(&key),
        };
        Ok(())
    }
}

fn file_key(name: &str) -> String {
    format!("f:{}", files::hash_parts(&[name]))
}

fn note_text(look: Look, row: &str) -> String {
    format!("{} {} {row}", look.size, look.changed_ms)
}

fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .map_or_else(String::new, |(_, extension)| extension.to_ascii_lowercase())
}

fn is_sidecar(name: &str) -> bool {
    extension(name) == "csv"
}

fn is_hl7(body: &[u8]) -> bool {
    let start = body
        .iter()
        .position(|byte| byte.is_ascii_uppercase())
        .unwrap_or(0);
    start < 8
        && [&b"MSH"[..], b"FHS", b"BHS"]
            .iter()
            .any(|name| body[start..].starts_with(name))
}

/// Regular files of the folder itself, by name. Links and what programs leave behind are passed over.
fn list(path: &Path) -> io::Result<Present> {
    let mut present = Present::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = files::as_text(&entry.file_name());
        if entry.file_type()?.is_file() && !files::has_hidden_name(&name) {
            present.insert(name, entry.path());
        }
    }
    Ok(present)
}

/// Moves a file into `done`; a name that is taken there gets a number.
fn put_away(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("a file without a name"));
    };
    let done = folder.join(DONE);
    std::fs::create_dir_all(&done)?;
    let mut target = done.join(name);
    let mut number = 1;
    while target.symlink_metadata().is_ok() {
        number += 1;
        let mut numbered = name.to_owned();
        numbered.push(format!(".{number}"));
        target = done.join(numbered);
    }
    std::fs::rename(path, target)
}
