//! The SS-MIX2 standardized and extended storages as a hospital writes them.
//!
//! Path `<root>/<3>/<3>/<id>/<care date>/<data type>/<file>`; an update renames the valid file to
//! flag 2, a deletion renames all files of the key to flag 0 and writes the cancelling message
//! with flag 0.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, DateTime};

use super::build::{Built, Place};
use super::event::Event;
use super::orders::Document;

/// Data-kind folder of vital signs (NHO extended storage).
const VITALS_FOLDER: &str = "L-OBSERVATIONS^OBSERVATIONS^99ZL01";

/// A standardized storage.
#[derive(Clone, Debug)]
pub struct Storage {
    root: PathBuf,
}

/// An extended storage.
#[derive(Clone, Debug)]
pub struct ExtendedStorage {
    root: PathBuf,
}

impl Storage {
    /// Under this root; made when first written.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Writes a message under its key and renames what it replaces or deletes. Gives the new file.
    ///
    /// # Errors
    /// The file system's; a patient number shorter than six characters.
    pub fn put(&self, event: &Event, built: &Built) -> io::Result<PathBuf> {
        let Place::Standardized(data_type) = built.place else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a message of the standardized storage",
            ));
        };
        let id = &event.person.local_id;
        let date = date_text(built.care_date);
        let folder = patient_folder(&self.root, id)?.join(&date).join(data_type);
        fs::create_dir_all(&folder)?;
        let key = format!("{id}_{date}_{data_type}_{}_", event.order_number());
        retire(&folder, &key, built.cancels)?;
        let flag = if built.cancels { "0" } else { "1" };
        let path = fresh(&folder, event.at, |time| {
            format!("{key}{time}_{}_{flag}", built.department)
        })?;
        write_whole(&path, &built.bytes)?;
        Ok(path)
    }
}

impl ExtendedStorage {
    /// Under this root; made when first written.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Writes a document with its attachments, replaces its earlier version, or takes it back.
    /// Gives the content folder; for a deletion the folder renamed last.
    ///
    /// # Errors
    /// The file system's; nothing to delete; a file name with a path in it.
    pub fn put_document(&self, event: &Event, document: &Document) -> io::Result<PathBuf> {
        let (code, name) = &document.loinc;
        let kind = format!("^{}^^{code}^{name}^LN", document.title);
        self.put(
            event,
            &kind,
            &document.number,
            &document.files,
            document.deleted,
        )
    }

    /// Writes vital signs (`main_document.hl7`).
    ///
    /// # Errors
    /// The file system's.
    pub fn put_vitals(&self, event: &Event, built: &Built) -> io::Result<PathBuf> {
        let files = [("main_document.hl7".to_owned(), built.bytes.clone())];
        self.put(event, VITALS_FOLDER, &event.order_number(), &files, false)
    }

    fn put(
        &self,
        event: &Event,
        kind: &str,
        number: &str,
        files: &[(String, Vec<u8>)],
        deleted: bool,
    ) -> io::Result<PathBuf> {
        let id = &event.person.local_id;
        let date = date_text(Some(event.occurred.unwrap_or(event.at).date()));
        let parent = patient_folder(&self.root, id)?.join(&date).join(kind);
        fs::create_dir_all(&parent)?;
        let key = format!("{id}_{date}_{kind}_{number}_");
        let retired = retire(&parent, &key, deleted)?;
        if deleted {
            return retired
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no document to delete"));
        }
        let department = event
            .stay
            .as_ref()
            .map_or("-", |stay| stay.department.0.as_str());
        let folder = fresh(&parent, event.at, |time| {
            format!("{key}{time}_{department}_1")
        })?;
        // Filled beside its place, so that nobody reads half a document.
        let unfinished = parent.join(".unfinished");
        fs::create_dir_all(&unfinished)?;
        for (name, bytes) in files {
            if Path::new(name)
                .file_name()
                .is_none_or(|own| own != name.as_str())
            {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a file name with a path in it",
                ));
            }
            fs::write(unfinished.join(name), bytes)?;
        }
        fs::rename(&unfinished, &folder)?;
        Ok(folder)
    }
}

fn patient_folder(root: &Path, id: &str) -> io::Result<PathBuf> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match (id.get(..3), id.get(3..6)) {
        (Some(first), Some(second)) if plain && id.len() <= 15 => {
            Ok(root.join(first).join(second).join(id))
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a patient number has 6 to 15 letters and digits",
        )),
    }
}

fn date_text(date: Option<Date>) -> String {
    date.map_or_else(
        || "-".to_owned(),
        |date| date.strftime("%Y%m%d").to_string(),
    )
}

/// Renames the files (or folders) of a key: to flag 0 on deletion, else the valid one to flag 2.
fn retire(folder: &Path, key: &str, deleted: bool) -> io::Result<Option<PathBuf>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let Some((stem, flag)) = name.rsplit_once('_') else {
            continue;
        };
        if !name.starts_with(key) {
            continue;
        }
        let next = match (deleted, flag) {
            (true, "1" | "2") => "0",
            (false, "1") => "2",
            _ => continue,
        };
        let renamed = folder.join(format!("{stem}_{next}"));
        fs::rename(folder.join(&name), &renamed)?;
        last = Some(renamed);
    }
    Ok(last)
}

/// A name with the 17-digit time of sending, moved on by milliseconds while one like it exists.
fn fresh(folder: &Path, at: DateTime, name: impl Fn(&str) -> String) -> io::Result<PathBuf> {
    let mut moved = at;
    loop {
        let milliseconds = moved.subsec_nanosecond() / 1_000_000;
        let time = format!("{}{milliseconds:03}", moved.strftime("%Y%m%d%H%M%S"));
        let name = name(&time);
        let (stem, _) = name.rsplit_once('_').unwrap_or((&name, ""));
        if !["0", "1", "2"]
            .iter()
            .any(|flag| folder.join(format!("{stem}_{flag}")).exists())
        {
            return Ok(folder.join(name));
        }
        moved = moved
            .checked_add(jiff::ToSpan::millisecond(1))
            .map_err(io::Error::other)?;
    }
}

/// Written beside, then renamed: readers never see half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}
