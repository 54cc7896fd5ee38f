//! What a disk holds after the power went, as far as a file system promises anything.
//!
//! Promised are the bytes of a file when a sync of it was done after they were written, and a name when
//! a sync of its folder was done after it was made, taken away or changed. Of everything else any part
//! may be there: each sector of a write by itself, each name by itself. Nothing is promised because a
//! particular file system happens to do it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::power::trace::Event;
use crate::story::Dice;

const SECTOR: u64 = 512;

/// How the disk treated what nobody had asked it to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// Nothing of it is there.
    All,
    /// All of it is there.
    Nothing,
    /// Any writes and any changes of names, each whole.
    Some,
    /// Any sectors of any writes, and any changes of names.
    Torn,
}

/// Everything that happened to the disk, up to a moment.
pub(crate) struct Disk<'a> {
    root: PathBuf,
    files: Vec<File<'a>>,
    /// The file that an inode is at this moment; numbers are used again.
    inodes: HashMap<u64, usize>,
    /// Names as the hub sees them.
    names: BTreeMap<PathBuf, usize>,
    /// Names that are promised.
    kept: BTreeMap<PathBuf, usize>,
    changes: Vec<Change>,
    begun: HashMap<u64, usize>,
    events: usize,
    promises: usize,
    /// Syncs that shall not have been done, by their numbers: to see whether that is found out.
    forgotten: HashSet<u64>,
    /// No sync of a folder shall have been done.
    forgets_folders: bool,
}

#[derive(Default)]
struct File<'a> {
    is_folder: bool,
    kept: Vec<u8>,
    pending: Vec<(usize, Op<'a>)>,
}

#[derive(Clone, Copy)]
enum Op<'a> {
    Write { offset: u64, bytes: &'a [u8] },
    Cut { length: u64 },
}

/// A change of names that is not promised yet; both sides of a renaming come and go together.
struct Change {
    at: usize,
    folder: PathBuf,
    take: Vec<PathBuf>,
    make: Option<(PathBuf, usize)>,
}

/// What a folder holds at one moment.
pub(crate) struct Content {
    root: PathBuf,
    /// Name, inode, and bytes; a folder has none.
    entries: Vec<(PathBuf, u64, Option<Vec<u8>>)>,
}

impl Content {
    /// What lies below `root` now.
    pub(crate) fn of(root: &Path) -> Self {
        let mut content = Self {
            root: root.to_owned(),
            entries: Vec::new(),
        };
        content.take_in(root);
        content
    }

    fn take_in(&mut self, path: &Path) {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::metadata(path).unwrap();
        let bytes = found.is_file().then(|| std::fs::read(path).unwrap());
        self.entries.push((path.to_owned(), found.ino(), bytes));
        if found.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                self.take_in(&entry.unwrap().path());
            }
        }
    }
}

impl<'a> Disk<'a> {
    /// A disk that holds this, all of it promised.
    pub(crate) fn holding(content: &Content) -> Self {
        let mut disk = Self {
            root: content.root.clone(),
            files: Vec::new(),
            inodes: HashMap::new(),
            names: BTreeMap::new(),
            kept: BTreeMap::new(),
            changes: Vec::new(),
            begun: HashMap::new(),
            events: 0,
            promises: 0,
            forgotten: HashSet::new(),
            forgets_folders: false,
        };
        for (path, inode, bytes) in &content.entries {
            let place = disk.new_file(path, *inode, bytes.is_none());
            disk.files[place].kept = bytes.clone().unwrap_or_default();
        }
        disk.kept.clone_from(&disk.names);
        disk
    }

    /// The same, but these syncs were not done.
    pub(crate) fn forgetting(mut self, syncs: HashSet<u64>) -> Self {
        self.forgotten = syncs;
        self
    }

    /// The same, but no sync of a folder was done.
    pub(crate) fn forgetting_folders(mut self) -> Self {
        self.forgets_folders = true;
        self
    }

    fn new_file(&mut self, path: &Path, inode: u64, is_folder: bool) -> usize {
        let place = self.files.len();
        self.files.push(File {
            is_folder,
            ..File::default()
        });
        self.inodes.insert(inode, place);
        self.names.insert(path.to_owned(), place);
        place
    }

    fn change(&mut self, folder: &Path, take: Vec<PathBuf>, make: Option<(PathBuf, usize)>) {
        self.changes.push(Change {
            at: self.events,
            folder: folder.parent().unwrap().to_owned(),
            take,
            make,
        });
    }

    fn pend(&mut self, inode: u64, op: Op<'a>) {
        if let Some(place) = self.inodes.get(&inode) {
            self.files[*place].pending.push((self.events, op));
        }
    }

    /// The next thing happens.
    pub(crate) fn play(&mut self, event: &Event<'a>) {
        self.events += 1;
        match event {
            Event::Said { .. } => {}
            Event::Named { path, inode } => {
                if let Some(place) = self.names.get(path) {
                    self.inodes.insert(*inode, *place);
                }
            }
            Event::Created { path, inode } | Event::Folder { path, inode } => {
                let is_folder = matches!(event, Event::Folder { .. });
                let place = self.new_file(path, *inode, is_folder);
                self.change(path, Vec::new(), Some((path.clone(), place)));
            }
            Event::Renamed { old, new } => {
                let place = self.names.remove(old).unwrap();
                assert_eq!(old.parent(), new.parent(), "nothing is moved elsewhere");
                assert!(!self.files[place].is_folder, "no folder is renamed");
                self.names.insert(new.clone(), place);
                self.change(new, vec![old.clone()], Some((new.clone(), place)));
            }
            Event::Removed { path } => {
                self.names.remove(path);
                self.change(path, vec![path.clone()], None);
            }
            Event::Wrote {
                inode,
                offset,
                bytes,
            } => self.pend(
                *inode,
                Op::Write {
                    offset: *offset,
                    bytes,
                },
            ),
            Event::Cut { inode, length } => self.pend(*inode, Op::Cut { length: *length }),
            Event::SyncBegins { number } => {
                self.begun.insert(*number, self.events);
            }
            Event::SyncDone { inode, number } => self.synced(*inode, *number),
        }
    }

    fn synced(&mut self, inode: u64, number: u64) {
        let upto = self.begun.remove(&number).unwrap();
        let Some(place) = self.inodes.get(&inode).copied() else {
            return;
        };
        if self.forgotten.contains(&number) {
            return;
        }
        self.promises += 1;
        if self.files[place].is_folder {
            if self.forgets_folders {
                return;
            }
            let here: HashSet<PathBuf> = self
                .names
                .iter()
                .filter(|(_, there)| **there == place)
                .map(|(path, _)| path.clone())
                .collect();
            let all = std::mem::take(&mut self.changes);
            for change in all {
                if change.at < upto && here.contains(&change.folder) {
                    change.apply(&mut self.kept);
                } else {
                    self.changes.push(change);
                }
            }
            return;
        }
        let file = &mut self.files[place];
        let all = std::mem::take(&mut file.pending);
        for (at, op) in all {
            if at < upto {
                op.apply(&mut file.kept);
            } else {
                file.pending.push((at, op));
            }
        }
    }

    /// Writes into `into` what would be there if the power went now.
    pub(crate) fn lose_power(&self, into: &Path, loss: Loss, dice: &mut Dice) {
        let mut names = self.kept.clone();
        for change in &self.changes {
            if loss.keeps(dice) {
                change.apply(&mut names);
            }
        }
        for (path, place) in &names {
            let file = &self.files[*place];
            // The shared memory of a database is none of the disk.
            if path.to_str().unwrap().ends_with("-shm") || !self.is_reached(path, &names) {
                continue;
            }
            let path = into.join(path.strip_prefix(&self.root).unwrap());
            if file.is_folder {
                std::fs::create_dir_all(path).unwrap();
            } else {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, file.after(loss, dice)).unwrap();
            }
        }
    }

    /// Whether every folder on the way is there too.
    fn is_reached(&self, path: &Path, names: &BTreeMap<PathBuf, usize>) -> bool {
        let mut above = path.ancestors().skip(1);
        above
            .by_ref()
            .take_while(|folder| folder.starts_with(&self.root))
            .all(|folder| names.contains_key(folder))
    }

    /// A number that changes when more is promised.
    pub(crate) fn promises(&self) -> usize {
        self.promises
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        for path in &self.take {
            names.remove(path);
        }
        if let Some((path, place)) = &self.make {
            names.insert(path.clone(), *place);
        }
    }
}

impl Loss {
    fn keeps(self, dice: &mut Dice) -> bool {
        match self {
            Self::All => false,
            Self::Nothing => true,
            Self::Some | Self::Torn => dice.percent(50),
        }
    }
}

impl File<'_> {
    fn after(&self, loss: Loss, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.kept.clone();
        for (_, op) in &self.pending {
            match (loss, op) {
                (Loss::Torn, Op::Write { offset, bytes: new }) => {
                    for (from, part) in sectors(*offset, new) {
                        if loss.keeps(dice) {
                            Op::Write {
                                offset: from,
                                bytes: part,
                            }
                            .apply(&mut bytes);
                        }
                    }
                }
                _ => {
                    if loss.keeps(dice) {
                        op.apply(&mut bytes);
                    }
                }
            }
        }
        bytes
    }
}

/// A write, cut where sectors of the file end.
fn sectors(offset: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let (mut from, mut rest) = (offset, bytes);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(SECTOR - from % SECTOR).unwrap();
        let (part, after) = rest.split_at(length.min(rest.len()));
        parts.push((from, part));
        from += part.len() as u64;
        rest = after;
    }
    parts
}

impl Op<'_> {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let from = usize::try_from(*offset).unwrap();
                let end = from + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[from..end].copy_from_slice(bytes);
            }
            Self::Cut { length } => to.resize(usize::try_from(*length).unwrap(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(disk: &Disk<'_>, loss: Loss) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        disk.lose_power(folder.path(), loss, &mut Dice(1));
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read(path).unwrap())
            })
            .collect()
    }

    #[test]
    fn only_what_was_synced_is_promised() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut disk = Disk::holding(&Content::of(&root));
        let (name, inode) = (root.join("new"), 1_000_000_007);
        let folder_inode = {
            use std::os::unix::fs::MetadataExt as _;
            std::fs::metadata(&root).unwrap().ino()
        };
        let sync = |disk: &mut Disk<'_>, inode, number| {
            disk.play(&Event::SyncBegins { number });
            disk.play(&Event::SyncDone { inode, number });
        };
        disk.play(&Event::Created {
            path: name.clone(),
            inode,
        });
        disk.play(&Event::Wrote {
            inode,
            offset: 0,
            bytes: b"one",
        });
        sync(&mut disk, inode, 1);
        assert!(left(&disk, Loss::All).is_empty(), "a name of no folder");
        sync(&mut disk, folder_inode, 2);
        assert_eq!(left(&disk, Loss::All)["new"], b"one");
        disk.play(&Event::SyncBegins { number: 3 });
        disk.play(&Event::Wrote {
            inode,
            offset: 3,
            bytes: b"two",
        });
        disk.play(&Event::SyncDone { inode, number: 3 });
        assert_eq!(
            left(&disk, Loss::All)["new"],
            b"one",
            "written while it was synced"
        );
        assert_eq!(left(&disk, Loss::Nothing)["new"], b"onetwo");
        sync(&mut disk, inode, 4);
        let other = root.join("other");
        disk.play(&Event::Renamed {
            old: name,
            new: other,
        });
        assert_eq!(left(&disk, Loss::All)["new"], b"onetwo");
        assert_eq!(left(&disk, Loss::Nothing)["other"], b"onetwo");
    }
}
