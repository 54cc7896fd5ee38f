//! The source half of W1: answers and 了解 in `out/`.
//!
//! Answer files are removed once the inbox has them. 了解 files stay, because the ward writes them anew
//! whenever one more person confirms; they are read again when they change, and removed a month after
//! their last change.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Code, Inbox, PeerRef, Profession, ReceiptKind, Shutdown, Source, SourceError, peer,
};

use super::FolderDrop;
use super::config::Encoding;
use super::table::{self, Row};
use crate::news::{News, Stop, Teller};

/// Largest answer file, in bytes.
const ANSWER_BYTES: u64 = 1024 * 1024;
/// Days a 了解 file is kept after its last change.
const SEEN_DAYS: i64 = 30;

/// Length and time of change: a file that differs in neither is not read again.
type State = (u64, Option<SystemTime>);

/// A file in `out/` that has not been read in this state.
struct Answer {
    name: String,
    stem: String,
    is_ack: bool,
    state: State,
    bytes: Vec<u8>,
}

#[async_trait]
impl Source for FolderDrop {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        let teller = Teller::new(&self.name, &self.config.facility, inbox, shutdown);
        let mut read: HashMap<String, State> = HashMap::new();
        let mut was_down = false;
        loop {
            match self.fresh(&read).await {
                Ok(answers) => {
                    was_down = false;
                    for answer in answers {
                        match self.take(answer, &teller, &mut read).await {
                            Ok(()) => {}
                            Err(Stop::Asked) => return Ok(()),
                            Err(Stop::Broken(error)) => return Err(error),
                        }
                    }
                }
                Err(error) => {
                    if !was_down {
                        tracing::warn!(source = %teller.source(), %error, "cannot read the ward's answers");
                    }
                    was_down = true;
                }
            }
            if teller.pause(self.config.poll()).await {
                return Ok(());
            }
        }
    }
}

impl FolderDrop {
    /// The files to read now, in the order of their names.
    async fn fresh(&self, read: &HashMap<String, State>) -> io::Result<Vec<Answer>> {
        let (folder, read) = (self.config.folder.join("out"), read.clone());
        let too_old = self.clock.now() - SignedDuration::from_hours(24 * SEEN_DAYS);
        tokio::task::spawn_blocking(move || look(&folder, &read, too_old))
            .await
            .map_err(io::Error::other)?
    }

    /// Offers what a file says, then lets go of it.
    async fn take(
        &self,
        answer: Answer,
        teller: &Teller,
        read: &mut HashMap<String, State>,
    ) -> Result<(), Stop> {
        let news = understand(&answer, self.config.encoding);
        match news {
            Some(news) => {
                for news in news {
                    teller.tell(news).await?;
                }
                if answer.is_ack {
                    let path = self.config.folder.join("out").join(&answer.name);
                    match fs::remove_file(path) {
                        Ok(()) => return Ok(()),
                        Err(error) => {
                            tracing::warn!(source = %teller.source(), %error, "an answer file cannot be removed");
                        }
                    }
                }
            }
            None => {
                tracing::warn!(source = %teller.source(), "an answer file is not in the contract; it is left where it is");
            }
        }
        read.insert(answer.name, answer.state);
        Ok(())
    }
}

/// A file that cannot be read now is tried again at the next look; it does not hold up the others.
fn look(
    folder: &Path,
    read: &HashMap<String, State>,
    too_old: Timestamp,
) -> io::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for entry in fs::read_dir(folder)? {
        match entry.and_then(|entry| look_at(&entry, read, too_old)) {
            Ok(answer) => answers.extend(answer),
            Err(error) => tracing::warn!(%error, "an answer file of the ward cannot be read"),
        }
    }
    answers.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(answers)
}

fn look_at(
    entry: &fs::DirEntry,
    read: &HashMap<String, State>,
    too_old: Timestamp,
) -> io::Result<Option<Answer>> {
    let Ok(name) = entry.file_name().into_string() else {
        return Ok(None);
    };
    let (stem, is_ack) = match (
        name.strip_suffix(".ack.csv"),
        name.strip_suffix(".seen.csv"),
    ) {
        (Some(stem), _) => (stem.to_owned(), true),
        (None, Some(stem)) => (stem.to_owned(), false),
        (None, None) => return Ok(None),
    };
    let metadata = entry.metadata()?;
    let state = (metadata.len(), metadata.modified().ok());
    if read.get(&name) == Some(&state) {
        let changed = state.1.and_then(|time| Timestamp::try_from(time).ok());
        if !is_ack && changed.is_some_and(|changed| changed < too_old) {
            fs::remove_file(entry.path())?;
        }
        return Ok(None);
    }
    let mut bytes = Vec::new();
    fs::File::open(entry.path())?
        .take(ANSWER_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(Some(Answer {
        name,
        stem,
        is_ack,
        state,
        bytes,
    }))
}

/// What a file says; `None` when it cannot be read.
fn understand(answer: &Answer, encoding: Encoding) -> Option<Vec<News>> {
    let rows = table::read(&answer.bytes, encoding)?;
    let (docid, version) = answer.stem.rsplit_once('_')?;
    if rows.is_empty()
        || rows
            .iter()
            .any(|row| row.get("doc_id") != docid || row.get("version") != version)
    {
        return None;
    }
    let mut news = Vec::new();
    for row in &rows {
        let read = if answer.is_ack {
            ack(&answer.stem, row)?
        } else {
            Some(seen(&answer.stem, row)?)
        };
        news.extend(read);
    }
    Some(news)
}

/// `Some(None)` = the ward asks for another try later, which the hub makes by itself.
fn ack(stem: &str, row: &Row) -> Option<Option<News>> {
    let kind = match (row.get("status"), row.get("code")) {
        ("ok", _) => ReceiptKind::Accepted,
        ("error", "try_later") => return Some(None),
        ("error", code) => ReceiptKind::Refused {
            code: refusal(code),
        },
        _ => return None,
    };
    let at: Timestamp = row.get("received_at").parse().ok()?;
    Some(Some(receipt(
        stem,
        format!("ack {stem} {at}"),
        "ack",
        kind,
        at,
        row,
    )))
}

fn seen(stem: &str, row: &Row) -> Option<News> {
    let at: Timestamp = row.get("seen_at").parse().ok()?;
    let by = row.get("user_ref");
    Some(receipt(
        stem,
        format!("seen {stem} {by}"),
        "seen",
        ReceiptKind::Seen,
        at,
        row,
    ))
}

fn receipt(
    stem: &str,
    key: String,
    name: &str,
    kind: ReceiptKind,
    at: Timestamp,
    row: &Row,
) -> News {
    let professions = row
        .get("professions")
        .split(';')
        .filter(|code| !code.is_empty());
    News {
        key,
        about: stem.to_owned(),
        name: name.to_owned(),
        what: peer::News::Receipt {
            delivery: None,
            post: Some(PeerRef::new(stem)),
            kind,
            by: Some(row.get("user_ref"))
                .filter(|by| !by.is_empty())
                .map(str::to_owned),
            professions: professions.map(Profession::of).collect(),
        },
        at,
        raw: row.raw.clone(),
    }
}

/// Our code for the ward's reason.
fn refusal(code: &str) -> Code {
    match code {
        "patient_mismatch" => Code::DLV_HEADER_DIFFERS,
        "unknown_patient" | "archived" => Code::DLV_CHANNEL_ARCHIVED,
        "no_consent" | "not_a_member" => Code::DLV_NOT_MEMBER,
        "version_conflict" => Code::DLV_KEY_REUSED,
        _ => Code::DLV_REJECTED,
    }
}
