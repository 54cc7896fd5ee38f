//! Where local mappings of this machine find their tables and what they extend: the folder they lie in, then
//! what comes with renkei.
//!
//! Used by the hub and by `renkei map`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use renkei_mappings::local::{Library, Shipped};

/// Tables and mappings beside a mapping file, then those that come with renkei. Names never lead out of the
/// folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder a mapping file lies in.
    pub fn of(file: &Path) -> Self {
        let root = match file.parent() {
            // A bare file name: its folder cannot be listed by the empty name.
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            parent => parent.map(Path::to_owned).unwrap_or_default(),
        };
        Self { root }
    }

    fn read(&self, name: &str, places: &[&str], ending: &str) -> Option<Vec<u8>> {
        let is_inside = Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_inside {
            return None;
        }
        places.iter().find_map(|place| {
            let path = self.root.join(place).join(format!("{name}{ending}"));
            std::fs::read(path).ok()
        })
    }

    fn text(&self, name: &str, places: &[&str], ending: &str) -> Option<Cow<'_, str>> {
        let bytes = self.read(name, places, ending)?;
        String::from_utf8(bytes).ok().map(Cow::Owned)
    }

    fn names(&self, place: &str, ending: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(place))
            .into_iter()
            .flatten();
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                name.strip_suffix(ending).map(str::to_owned)
            })
            .collect()
    }
}

impl Library for Folder {
    fn table(&self, name: &str) -> Option<Cow<'_, str>> {
        let own = self.text(name, &["tables", ""], ".csv");
        own.or_else(|| {
            Shipped
                .table(name)
                .map(|text| Cow::Owned(text.into_owned()))
        })
    }

    fn mapping(&self, name: &str) -> Option<Cow<'_, str>> {
        let own = self.text(name, &[""], ".yaml");
        own.or_else(|| {
            Shipped
                .mapping(name)
                .map(|text| Cow::Owned(text.into_owned()))
        })
    }

    fn file(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.read(name, &[""], "").map(Cow::Owned)
    }

    fn tables(&self) -> Vec<String> {
        let mut names = self.names("tables", ".csv");
        names.extend(Shipped.tables());
        names
    }

    fn mappings(&self) -> Vec<String> {
        let mut names = self.names("", ".yaml");
        names.extend(Shipped.mappings());
        names
    }
}

/// What a folder of mappings looks like: two equal looks mean that nobody has changed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look(Vec<(PathBuf, u64, SystemTime)>);

impl Folder {
    /// Looks at the mappings and tables there are, without reading them.
    pub fn look(&self) -> Look {
        let mut found = Vec::new();
        for place in ["", "tables"] {
            let entries = std::fs::read_dir(self.root.join(place))
                .into_iter()
                .flatten();
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_ours = path
                    .extension()
                    .and_then(|ending| ending.to_str())
                    .is_some_and(|ending| matches!(ending, "yaml" | "yml" | "csv"));
                let Some(data) = is_ours.then(|| std::fs::metadata(&path).ok()).flatten() else {
                    continue;
                };
                let changed = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((path, data.len(), changed));
            }
        }
        found.sort_unstable();
        Look(found)
    }
}
