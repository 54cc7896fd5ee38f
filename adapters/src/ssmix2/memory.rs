//! What a reader remembers about the files it has taken, in memory and as notes in the inbox.
//!
//! One note per patient and care date, because a patient's day changes as a whole and rarely: a
//! storage of 200,000 files has some ten thousand small notes, and a new file rewrites one of them.
//! Keys are hashes; a note shows neither patient nor path.
//!
//! ```text
//! r:<root>             {"epoch":7}                            the last complete pass
//! p:<patient>          {"first_walk":true}                    its first walk is not over
//! f:<patient>:<date>   [[<file>,"1",<bytes>,<changed ms>],…]  files taken
//! ```

use std::collections::HashMap;

use renkei_core::{Flag, Note};
use serde::{Deserialize, Serialize};

use crate::files::{self, Look, Standstill};

/// A file that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) flag: Option<Flag>,
    pub(super) look: Look,
}

/// A file that is not known to be complete yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) still: Standstill,
    /// It was there at the first walk.
    pub(super) backfill: bool,
}

/// One patient's folder under one root.
#[derive(Debug, Default)]
pub(super) struct Patient {
    /// Files of the first walk are still to be taken; survives a restart.
    pub(super) first_walk: bool,
    /// Every file was seen once since the start, so what is new now is new.
    pub(super) seen: bool,
    dates: HashMap<u64, Date>,
    pub(super) waiting: HashMap<u64, Waiting>,
}

#[derive(Debug, Default)]
struct Date {
    /// Sorted by file. A list, because there are many and most are short.
    files: Vec<(u64, Taken)>,
    changed: bool,
}

#[derive(Serialize, Deserialize)]
struct PatientNote {
    first_walk: bool,
}

#[derive(Serialize, Deserialize)]
struct RootNote {
    epoch: u64,
}

/// What all passes share.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) patients: HashMap<String, Patient>,
    /// Admission epoch of the last complete pass, by root.
    pub(super) epochs: HashMap<String, u64>,
}

/// The short form of a name within a patient's memory.
pub(super) fn short(name: &str) -> u64 {
    u64::from_str_radix(&files::hash_parts(&[name])[..16], 16).unwrap_or(0)
}

impl Memory {
    /// Reads the notes. Notes that cannot be read are forgotten: their files are read again and
    /// recognised as duplicates.
    pub(super) fn recall(notes: Vec<Note>) -> Self {
        let mut memory = Self::default();
        for Note { key, value } in notes {
            let value = value.unwrap_or_default();
            match key.split(':').collect::<Vec<_>>().as_slice() {
                ["r", root] => {
                    if let Ok(note) = serde_json::from_str::<RootNote>(&value) {
                        memory.epochs.insert((*root).to_owned(), note.epoch);
                    }
                }
                ["p", patient] => {
                    if let Ok(note) = serde_json::from_str::<PatientNote>(&value) {
                        memory.patient(patient).first_walk = note.first_walk;
                    }
                }
                ["f", patient, date] => {
                    if let (Ok(date), Some(files)) =
                        (u64::from_str_radix(date, 16), parse_files(&value))
                    {
                        let date = memory.patient(patient).dates.entry(date).or_default();
                        date.files = files;
                    }
                }
                _ => {}
            }
        }
        memory
    }

    fn patient(&mut self, key: &str) -> &mut Patient {
        self.patients.entry(key.to_owned()).or_default()
    }
}

/// The note of a complete pass.
pub(super) fn root_note(root: &str, epoch: u64) -> Note {
    Note {
        key: format!("r:{root}"),
        value: serde_json::to_string(&RootNote { epoch }).ok(),
    }
}

impl Patient {
    /// A patient of whom nothing was taken yet.
    pub(super) fn new(first_walk: bool) -> Self {
        Self {
            first_walk,
            ..Self::default()
        }
    }

    pub(super) fn taken(&self, date: &str, file: u64) -> Option<Taken> {
        let files = &self.dates.get(&short(date))?.files;
        let at = files.binary_search_by_key(&file, |(file, _)| *file).ok()?;
        Some(files[at].1)
    }

    /// How many files were taken.
    pub(super) fn count(&self) -> usize {
        self.dates.values().map(|date| date.files.len()).sum()
    }

    /// Remembers a file; written down by the next [`Patient::changes`].
    pub(super) fn take(&mut self, date: &str, file: u64, taken: Taken) {
        self.waiting.remove(&file);
        let date = self.dates.entry(short(date)).or_default();
        match date.files.binary_search_by_key(&file, |(file, _)| *file) {
            Ok(at) => date.files[at].1 = taken,
            Err(at) => date.files.insert(at, (file, taken)),
        }
        date.changed = true;
    }

    /// The note about the first walk.
    pub(super) fn walk_note(&self, key: &str) -> Note {
        let note = PatientNote {
            first_walk: self.first_walk,
        };
        Note {
            key: format!("p:{key}"),
            value: serde_json::to_string(&note).ok(),
        }
    }

    /// What could not be written down is written next time.
    pub(super) fn changed_again(&mut self) {
        for date in self.dates.values_mut() {
            date.changed = true;
        }
    }

    /// Notes about what was taken since the last call.
    pub(super) fn changes(&mut self, key: &str) -> Vec<Note> {
        let mut notes = Vec::new();
        for (name, date) in &mut self.dates {
            if std::mem::take(&mut date.changed) {
                notes.push(Note {
                    key: format!("f:{key}:{name:016x}"),
                    value: Some(print_files(&date.files)),
                });
            }
        }
        notes
    }

    /// Notes that forget this patient altogether.
    pub(super) fn forget(&self, key: &str) -> Vec<Note> {
        let dates = self.dates.keys().map(|name| format!("f:{key}:{name:016x}"));
        dates
            .chain([format!("p:{key}")])
            .map(|key| Note { key, value: None })
            .collect()
    }
}

fn print_files(files: &[(u64, Taken)]) -> String {
    let rows: Vec<_> = files
        .iter()
        .map(|(file, taken)| {
            (
                format!("{file:016x}"),
                taken.flag,
                taken.look.size,
                taken.look.changed_ms,
            )
        })
        .collect();
    serde_json::to_string(&rows).unwrap_or_default()
}

fn parse_files(note: &str) -> Option<Vec<(u64, Taken)>> {
    let rows: Vec<(String, Option<Flag>, u64, i64)> = serde_json::from_str(note).ok()?;
    let files: Option<Vec<_>> = rows
        .into_iter()
        .map(|(file, flag, size, changed_ms)| {
            let file = u64::from_str_radix(&file, 16).ok()?;
            let look = Look { size, changed_ms };
            Some((file, Taken { flag, look }))
        })
        .collect();
    files.map(|mut files| {
        files.sort_unstable_by_key(|(file, _)| *file);
        files
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_bring_back_what_was_taken_and_show_no_names() {
        let mut patient = Patient {
            first_walk: true,
            ..Patient::default()
        };
        let taken = Taken {
            flag: Some(Flag::Current),
            look: Look {
                size: 120,
                changed_ms: -5,
            },
        };
        patient.take("20240131", short("a"), taken);
        patient.take(
            "-",
            short("b"),
            Taken {
                flag: None,
                ..taken
            },
        );
        let mut notes = patient.changes("k1");
        assert_eq!(notes.len(), 2);
        assert!(patient.changes("k1").is_empty());
        assert!(
            notes
                .iter()
                .all(|note| !format!("{note:?}").contains("20240131"))
        );
        notes.push(patient.walk_note("k1"));
        notes.push(root_note("root", 7));
        notes.push(Note {
            key: "f:k1:zz".to_owned(),
            value: Some("broken".to_owned()),
        });
        let memory = Memory::recall(notes);
        assert_eq!(memory.epochs["root"], 7);
        let recalled = &memory.patients["k1"];
        assert!(recalled.first_walk);
        assert_eq!(recalled.taken("20240131", short("a")), Some(taken));
        assert_eq!(recalled.count(), 2);
        assert_eq!(recalled.forget("k1").len(), 3);
    }
}
