//! Names only: what stands in a storage, without opening or looking at any file.
//!
//! ```text
//! standard  <root>/<3>/<3>/<patient>/<care date>/<data type>/<file>
//! extended  <root>/<3>/<3>/<patient>/<care date>/<data kind>/<content folder>/<files>
//! ```
//! A file or content folder is named `patient_date_type_order_time_department_flag`; extended
//! storages also without the department, and their data kind may hold `_`, so the patient is read
//! from the left, flag and time from the right.

use std::ffi::OsString;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use renkei_core::Flag;

use super::config::Kind;
use crate::files;

/// Folders below a content folder that are still searched for files.
const DEEPEST_ATTACHMENT: usize = 3;

/// A folder below the root.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Its name as people see it.
    pub(super) name: String,
}

/// A file that may be a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Path below the root, NFC, `/`-separated, with the flag.
    pub(super) shown: String,
    /// The same without the flag: what stays when the file is renamed.
    pub(super) unflagged: String,
    pub(super) flag: Option<Flag>,
    /// Data-type or data-kind folder.
    pub(super) data_type: String,
    /// Care-date folder.
    pub(super) date: String,
    /// The 17-digit time of the name as a number; 0 when there is none.
    pub(super) time: u64,
}

impl Found {
    /// Ascending = order of application: by time, then superseded, current, deleted.
    pub(super) fn order(&self) -> (u64, u8, &str) {
        let rank = match self.flag {
            Some(Flag::Superseded) => 0,
            Some(Flag::Current) | None => 1,
            Some(Flag::Deleted) => 2,
        };
        (self.time, rank, &self.shown)
    }
}

/// What stands in one patient's folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) found: Vec<Found>,
    /// Names that are not this patient's.
    pub(super) unexpected: usize,
    /// Folders and links that could not be read.
    pub(super) unreadable: usize,
    /// Links that lead out of the storage.
    pub(super) outside: usize,
}

/// The folders in a folder, sorted by name. Links out of `root` are left out.
///
/// # Errors
/// When the folder itself cannot be read.
pub(super) fn folders(root: &Path, path: &Path) -> io::Result<Vec<Folder>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = files::as_text(&entry.file_name());
        if !files::has_hidden_name(&name)
            && matches!(kind_of(root, &entry), Ok(Some(Entry::Folder)))
        {
            folders.push(Folder {
                path: entry.path(),
                name,
            });
        }
    }
    folders.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(folders)
}

enum Entry {
    Folder,
    File,
}

/// What an entry is; a link counts as what it points to. `None` = a link out of the storage, or
/// something that is neither file nor folder.
fn kind_of(root: &Path, entry: &DirEntry) -> io::Result<Option<Entry>> {
    let mut kind = entry.file_type()?;
    if kind.is_symlink() {
        let target = entry.path().canonicalize()?;
        if !target.starts_with(root) {
            return Ok(None);
        }
        kind = target.metadata()?.file_type();
    }
    Ok(if kind.is_dir() {
        Some(Entry::Folder)
    } else if kind.is_file() {
        Some(Entry::File)
    } else {
        None
    })
}

/// Lists one patient's folder. `shown` is its path below the root as people see it.
pub(super) fn patient(root: &Path, kind: Kind, folder: &Folder, shown: &str) -> Listing {
    let mut lister = Lister {
        root,
        patient: &folder.name,
        listing: Listing::default(),
    };
    for date in lister.entries(&folder.path, false) {
        let shown = format!("{shown}/{}", date.name);
        for data_type in lister.entries(&date.path, false) {
            let shown = format!("{shown}/{}", data_type.name);
            match kind {
                Kind::Standard => lister.standard(&date.name, &data_type, &shown),
                Kind::Extended => lister.extended(&date.name, &data_type, &shown),
            }
        }
    }
    lister.listing
}

struct Lister<'a> {
    root: &'a Path,
    patient: &'a str,
    listing: Listing,
}

impl Lister<'_> {
    /// Files (or folders) in a folder; trouble is counted, not raised.
    fn entries(&mut self, path: &Path, files: bool) -> Vec<Folder> {
        let mut entries = Vec::new();
        let Ok(reading) = std::fs::read_dir(path) else {
            self.listing.unreadable += 1;
            return entries;
        };
        for entry in reading {
            let Ok(entry) = entry else {
                self.listing.unreadable += 1;
                continue;
            };
            let name = files::as_text(&entry.file_name());
            if files::has_hidden_name(&name) {
                continue;
            }
            match kind_of(self.root, &entry) {
                Ok(Some(Entry::File)) if files => entries.push(Folder {
                    path: entry.path(),
                    name,
                }),
                Ok(Some(Entry::Folder)) if !files => entries.push(Folder {
                    path: entry.path(),
                    name,
                }),
                Ok(Some(_)) => {}
                Ok(None) => self.listing.outside += 1,
                Err(_) => self.listing.unreadable += 1,
            }
        }
        entries
    }

    fn standard(&mut self, date: &str, data_type: &Folder, shown: &str) {
        for file in self.entries(&data_type.path, true) {
            match parse_name(&file.name) {
                Some(name) if self.is_own(name.patient) => self.listing.found.push(Found {
                    unflagged: format!("{shown}/{}", name.unflagged),
                    flag: name.flag,
                    time: name.time,
                    shown: format!("{shown}/{}", file.name),
                    path: file.path,
                    data_type: data_type.name.clone(),
                    date: date.to_owned(),
                }),
                _ => self.listing.unexpected += 1,
            }
        }
    }

    fn extended(&mut self, date: &str, data_type: &Folder, shown: &str) {
        for content in self.entries(&data_type.path, false) {
            let Some(name) = parse_name(&content.name) else {
                self.listing.unexpected += 1;
                continue;
            };
            if !self.is_own(name.patient) {
                self.listing.unexpected += 1;
                continue;
            }
            let mut inside = Vec::new();
            self.attachments(&content.path, "", DEEPEST_ATTACHMENT, &mut inside);
            for (path, below) in inside {
                self.listing.found.push(Found {
                    path,
                    shown: format!("{shown}/{}{below}", content.name),
                    unflagged: format!("{shown}/{}{below}", name.unflagged),
                    flag: name.flag,
                    data_type: data_type.name.clone(),
                    date: date.to_owned(),
                    time: name.time,
                });
            }
        }
    }

    fn attachments(
        &mut self,
        path: &Path,
        below: &str,
        depth: usize,
        into: &mut Vec<(PathBuf, String)>,
    ) {
        for file in self.entries(path, true) {
            into.push((file.path, format!("{below}/{}", file.name)));
        }
        if depth > 0 {
            for folder in self.entries(path, false) {
                self.attachments(
                    &folder.path,
                    &format!("{below}/{}", folder.name),
                    depth - 1,
                    into,
                );
            }
        }
    }

    /// A file of another patient in this folder is not ours to open.
    fn is_own(&self, patient: &str) -> bool {
        patient == self.patient
            || patient.trim_start_matches('0') == self.patient.trim_start_matches('0')
    }
}

/// The parts of a name that the hub needs.
#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    patient: &'a str,
    unflagged: &'a str,
    flag: Option<Flag>,
    time: u64,
}

/// `None` when nothing stands before the first `_`.
fn parse_name(name: &str) -> Option<Name<'_>> {
    let (patient, _) = name.split_once('_')?;
    if patient.is_empty() {
        return None;
    }
    let (rest, last) = name.rsplit_once('_')?;
    let flag = match last {
        "0" => Some(Flag::Deleted),
        "1" => Some(Flag::Current),
        "2" => Some(Flag::Superseded),
        _ => None,
    };
    let unflagged = if flag.is_some() { rest } else { name };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = unflagged.split('_').collect();
    // Seven parts have a fixed place for it; else it is the last part that looks like one.
    let time = match parts.as_slice() {
        [_, _, _, _, time, _] if digits(time) => Some(*time),
        _ => parts
            .iter()
            .rev()
            .copied()
            .find(|part| (14..=17).contains(&part.len()) && digits(part)),
    };
    Some(Name {
        patient,
        unflagged,
        flag,
        time: time.map_or(0, seventeen_digits),
    })
}

/// Shorter times (seconds only) are filled up to milliseconds, so that they compare.
fn seventeen_digits(digits: &str) -> u64 {
    let cut = &digits[..digits.len().min(17)];
    format!("{cut:0<17}").parse().unwrap_or(0)
}

/// A path below the root, for opening; kept apart from how it is shown.
pub(super) fn real_root(path: &Path) -> io::Result<PathBuf> {
    let real = path.canonicalize()?;
    std::fs::read_dir(&real)?;
    Ok(real)
}

/// The name a root goes by in keys of notes.
pub(super) fn root_name(path: &Path) -> String {
    let name: OsString = path.as_os_str().to_owned();
    files::as_text(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_both_ends() {
        let standard = "0123456789_20080126_OML-11_081251234567800_200802031630123_01_1";
        let name = parse_name(standard).unwrap();
        assert_eq!(
            (name.patient, name.flag),
            ("0123456789", Some(Flag::Current))
        );
        assert_eq!(
            name.unflagged,
            "0123456789_20080126_OML-11_081251234567800_200802031630123_01"
        );
        assert_eq!(name.time, 20_080_203_163_012_300);
        let extended =
            "9999013_20240131_^退院_時サマリー^^18842-5^退院時サマリー^LN_20240131101112345_0";
        let name = parse_name(extended).unwrap();
        assert_eq!(
            (name.time, name.flag),
            (20_240_131_101_112_345, Some(Flag::Deleted))
        );
        assert_eq!(parse_name("README"), None);
        assert_eq!(parse_name("_1"), None);
        assert_eq!(parse_name("P_1").unwrap().time, 0);
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_read_is_counted_and_hides_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let patient_folder = root.join("0123456789");
        let data_type = patient_folder.join("20250111/ADT-22");
        std::fs::create_dir_all(&data_type).unwrap();
        std::os::unix::fs::symlink(root.join("gone"), patient_folder.join("20250112")).unwrap();
        std::fs::write(
            data_type.join("0123456789_20250111_ADT-22_1_20250111110000000_01_1"),
            "MSH|",
        )
        .unwrap();
        let folder = Folder {
            path: patient_folder,
            name: "0123456789".to_owned(),
        };
        let listing = patient(&root, Kind::Standard, &folder, "012/345/0123456789");
        assert_eq!(
            (listing.found.len(), listing.unreadable, listing.outside),
            (1, 1, 0)
        );
        let gone = Folder {
            path: root.join("gone"),
            ..folder
        };
        assert_eq!(patient(&root, Kind::Standard, &gone, "x").unreadable, 1);
    }
}
