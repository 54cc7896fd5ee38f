//! Files of rows: what a [`Cutter`] makes of a file in a drop folder. One that is too large to be held is read
//! piece by piece, and its parts go into the inbox while it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use renkei_core::cutter::{Cut, CutError, Part, Pieces};
use renkei_core::{AcceptError, Code, Cutter, MapError, NewMessage, limits};
use tokio::sync::mpsc;
use tracing::warn;

use super::pass::{DONE, Reader, Standing};
use crate::files::{self, Look, Read};
use crate::rows;

/// Cuts a file, with the records it lacks out of what lies in its folder or was taken from it; and whether it
/// lacks some even so.
fn cut_with_partners(
    cutter: &dyn Cutter,
    path: &Path,
    body: &Bytes,
) -> Result<(Cut, bool), MapError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let cut = cutter.cut(&name, body)?;
    if !cutter.lacks_partners(body) {
        return Ok((cut, false));
    }
    match cutter.completed(body, &beside(path)) {
        None => Ok((cut, true)),
        Some(whole) => {
            let lacks = cutter.lacks_partners(&whole);
            let whole = cutter.cut(&name, &whole)?;
            let cut_short = cut.cut_short;
            Ok((Cut { cut_short, ..whole }, lacks))
        }
    }
}

/// The other files of a file's folder and those that were taken from it, the newest first.
fn beside(path: &Path) -> Vec<Bytes> {
    let Some(folder) = path.parent() else {
        return Vec::new();
    };
    let mut found: Vec<(Look, PathBuf)> = [folder.to_owned(), folder.join(DONE)]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| {
            let other = entry.ok()?.path();
            let look = files::look(&other).ok()?;
            (other != path).then_some((look, other))
        })
        .collect();
    found.sort_by_key(|(look, _)| std::cmp::Reverse(look.changed_ms));
    let mut room = limits::LOCAL_INPUT_BYTES as u64;
    let mut others = Vec::new();
    for (look, other) in found.into_iter().take(limits::PARTNER_FILES) {
        if let Ok(Read::Whole(bytes)) = files::read(&other, look, room) {
            room = room.saturating_sub(bytes.len() as u64);
            others.push(bytes);
        }
    }
    others
}

impl Reader<'_> {
    /// Takes one file: each part is a message of its own. A file that looks cut short, or is not what the
    /// cutter reads, gets the time of a late partner to become whole; so does one whose rows belong to records of
    /// another file, which is looked for in the folder.
    pub(super) async fn cut(
        &mut self,
        cutter: &Arc<dyn Cutter>,
        name: &str,
        path: &Path,
    ) -> Result<(), AcceptError> {
        let Standing::Still(look) = self.standing(name, path, None).await else {
            return Ok(());
        };
        let body = match self.bytes(path, look, self.whole_bytes).await {
            Some(Read::Whole(body)) => body,
            Some(Read::TooLarge(start)) => {
                return self.cut_large(cutter, name, path, look, start).await;
            }
            Some(Read::Changed) | None => return Ok(()),
        };
        let (with, file, bytes) = (Arc::clone(cutter), path.to_owned(), body.clone());
        let cut = rows::cut(move || cut_with_partners(&*with, &file, &bytes));
        let (cut, is_whole) = match cut.await {
            Ok((cut, lacks)) => {
                let is_whole = !cut.cut_short && !lacks;
                (Ok(cut), is_whole)
            }
            Err(error) => (Err(error), false),
        };
        if !is_whole && !self.waited_for(name) {
            return Ok(());
        }
        match cut {
            Ok(cut) => self.accept(name, look, cut).await?,
            Err(error) => self.refuse(name, body, error.code, None).await?,
        }
        self.no_longer_waits(name);
        self.done(name, path, look, "").await
    }

    /// The same for a file that is too large to be held; `start` is its beginning.
    async fn cut_large(
        &mut self,
        cutter: &Arc<dyn Cutter>,
        name: &str,
        path: &Path,
        look: Look,
        start: Bytes,
    ) -> Result<(), AcceptError> {
        // One cut waits while one is stored and one is made: that is all of the file that is ever held.
        let (to, mut from) = mpsc::channel::<Cut>(1);
        let (with, file, place) = (Arc::clone(cutter), name.to_owned(), path.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let mut body = Opened::open(&place, look, to.clone())?;
            with.cut_large(&file, &mut body, &mut |cut| to.blocking_send(cut).is_ok())
        });
        loop {
            let cut = tokio::select! {
                cut = from.recv() => cut,
                () = self.shutdown.fired() => return Err(AcceptError::Stopping),
            };
            let Some(cut) = cut else {
                break;
            };
            if cut.cut_short && !self.waited_for(name) {
                return Ok(());
            }
            self.accept(name, look, cut).await?;
        }
        match work.await {
            Ok(Ok(())) => {}
            Ok(Err(CutError::Map(error))) => self.refuse(name, start, error.code, None).await?,
            Ok(Err(CutError::Read(problem))) => {
                warn!(source = %self.name, error = %problem.kind(), "a large file changed or cannot be read, looking again");
                return Ok(());
            }
            Ok(Err(CutError::Stopped)) => return Ok(()),
            Err(_panicked) => self.refuse(name, start, Code::INB_PANIC, None).await?,
        }
        self.no_longer_waits(name);
        self.done(name, path, look, "").await
    }

    async fn accept(&self, name: &str, look: Look, cut: Cut) -> Result<(), AcceptError> {
        let parts = cut.parts.into_iter();
        let messages: Vec<NewMessage> = parts
            .map(|part| self.part(name, look, cut.timeless, part))
            .collect();
        rows::offer(&self.inbox, messages).await
    }

    fn part(&self, name: &str, look: Look, timeless: bool, part: Part) -> NewMessage {
        let key = rows::key(name, &part, timeless.then_some(look.changed_ms));
        if let Some(code) = part.refused {
            warn!(source = %self.name, %code, "a part of a file is too large to be read");
        }
        let mut message = self.message(name, part.body, part.refused, part.subject);
        message.dedup_key = key;
        message.meta.places = part.places;
        message
    }
}

/// A file that is read while it looks as it did, and while somebody waits for what is made of it.
struct Opened {
    file: File,
    look: Look,
    wanted: mpsc::Sender<Cut>,
}

impl Opened {
    fn open(path: &Path, look: Look, wanted: mpsc::Sender<Cut>) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { file, look, wanted })
    }
}

impl Pieces for Opened {
    fn length(&self) -> u64 {
        self.look.size
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        if self.wanted.is_closed() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if Look::from(&self.file.metadata()?) != self.look {
            return Err(io::Error::other("the file changed"));
        }
        self.file.read_exact_at(into, at)
    }
}
