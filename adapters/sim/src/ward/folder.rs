//! The four folders of W1 and their naming.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// `in/`, `out/`, `taken/`, `err/` under one root.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn make(root: &Path) -> io::Result<Self> {
        for name in ["in", "out", "taken", "err"] {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Stems whose `.done` is there, in the order of their names.
    pub(super) fn waiting(&self) -> io::Result<Vec<String>> {
        let mut stems = Vec::new();
        for name in self.names()? {
            stems.extend(name.strip_suffix(".done").map(str::to_owned));
        }
        stems.sort();
        Ok(stems)
    }

    /// Files of a stem in `in/`, unfinished ones left out.
    pub(super) fn files_of(&self, stem: &str) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| belongs(name, stem) && !name.ends_with(".tmp"));
        names.sort();
        Ok(names)
    }

    /// Bytes of a file in `in/`; `None` when it is not there.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.root.join("in").join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Length of a file in `in/`; `None` when it is not there.
    pub(super) fn len(&self, name: &str) -> Option<u64> {
        fs::metadata(self.root.join("in").join(name))
            .ok()
            .map(|metadata| metadata.len())
    }

    /// Puts a file into `out/`: written beside, then renamed.
    pub(super) fn answer(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let out = self.root.join("out");
        let unfinished = out.join(format!("{name}.tmp"));
        fs::write(&unfinished, bytes)?;
        fs::rename(unfinished, out.join(name))
    }

    /// Moves a judged drop away; the marker last, so that a crash between repeats the judgement.
    pub(super) fn clear(&self, stem: &str, taken: bool) -> io::Result<()> {
        let target = self.root.join(if taken { "taken" } else { "err" });
        let marker = format!("{stem}.done");
        let mut names = self.files_of(stem)?;
        names.retain(|name| *name != marker);
        names.push(marker);
        for name in names {
            fs::rename(self.root.join("in").join(&name), target.join(&name))?;
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join("in"))? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }
}

/// `<stem>.…` or `<stem>-n.…`: another version of the same document does not belong.
fn belongs(name: &str, stem: &str) -> bool {
    let Some(rest) = name.strip_prefix(stem) else {
        return false;
    };
    let mut rest = rest.chars();
    match rest.next() {
        Some('.') => true,
        Some('-') => {
            rest.next().is_some_and(|digit| digit.is_ascii_digit()) && rest.next() == Some('.')
        }
        _ => false,
    }
}
