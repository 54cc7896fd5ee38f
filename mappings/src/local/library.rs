//! Where a mapping finds its tables and the mappings it extends.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Gives texts by name. Implemented over a folder by the command line and the hub; a mapping itself does no
/// I/O.
pub trait Library {
    /// The CSV text of a table, `sex` for `tables/sex.csv`.
    fn table(&self, name: &str) -> Option<Cow<'_, str>>;
    /// The YAML text of a mapping, by the name another one extends it with.
    fn mapping(&self, name: &str) -> Option<Cow<'_, str>>;
    /// The bytes of a file a test beside a mapping names.
    fn file(&self, name: &str) -> Option<Cow<'_, [u8]>>;
    /// The names of all tables, for suggestions.
    fn tables(&self) -> Vec<String>;
    /// The names of all mappings, for suggestions.
    fn mappings(&self) -> Vec<String>;
}

/// The mappings and tables that come with renkei; mappings are named `builtin/…`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shipped;

// The lists are written out: what is shipped is a decision, not whatever lies in a folder.
const MAPPINGS: &[(&str, &str)] = &[
    ("builtin/lab-csv", include_str!("../../local/lab-csv.yaml")),
    ("builtin/lab-45", include_str!("../../local/lab-45.yaml")),
    ("builtin/lab-dat", include_str!("../../local/lab-dat.yaml")),
    ("builtin/lab-256", include_str!("../../local/lab-256.yaml")),
    (
        "builtin/lab-256-variant",
        include_str!("../../local/lab-256-variant.yaml"),
    ),
    ("builtin/bed-csv", include_str!("../../local/bed-csv.yaml")),
    (
        "builtin/bed-json",
        include_str!("../../local/bed-json.yaml"),
    ),
    (
        "builtin/emr-patients",
        include_str!("../../local/emr-patients.yaml"),
    ),
    (
        "builtin/emr-problems",
        include_str!("../../local/emr-problems.yaml"),
    ),
    (
        "builtin/emr-prescriptions",
        include_str!("../../local/emr-prescriptions.yaml"),
    ),
    (
        "builtin/emr-changes",
        include_str!("../../local/emr-changes.yaml"),
    ),
    (
        "builtin/emr-manbo",
        include_str!("../../local/emr-manbo.yaml"),
    ),
    (
        "builtin/orca-patient",
        include_str!("../../local/orca-patient.yaml"),
    ),
];
const TABLES: &[(&str, &str)] = &[
    ("sex", include_str!("../../tables/sex.csv")),
    ("lab-status", include_str!("../../tables/lab-status.csv")),
    (
        "local-jlac10",
        include_str!("../../tables/local-jlac10.csv"),
    ),
    ("lab-master", include_str!("../../tables/lab-master.csv")),
    (
        "bed-function",
        include_str!("../../tables/bed-function.csv"),
    ),
    ("drug-unit", include_str!("../../tables/drug-unit.csv")),
    ("medis-256", include_str!("../../tables/medis-256.csv")),
    (
        "medis-256-variant",
        include_str!("../../tables/medis-256-variant.csv"),
    ),
];

impl Library for Shipped {
    fn table(&self, name: &str) -> Option<Cow<'_, str>> {
        find(TABLES, name)
    }
    fn mapping(&self, name: &str) -> Option<Cow<'_, str>> {
        find(MAPPINGS, name)
    }
    fn file(&self, _name: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
    fn tables(&self) -> Vec<String> {
        TABLES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
    fn mappings(&self) -> Vec<String> {
        MAPPINGS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect()
    }
}

fn find(list: &'static [(&str, &str)], name: &str) -> Option<Cow<'static, str>> {
    list.iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| Cow::Borrowed(*text))
}

/// Texts held in memory, before what is shipped.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Tables by name.
    pub tables: BTreeMap<String, String>,
    /// Mappings by name.
    pub mappings: BTreeMap<String, String>,
    /// Files of tests by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Library for Memory {
    fn table(&self, name: &str) -> Option<Cow<'_, str>> {
        let own = self
            .tables
            .get(name)
            .map(|text| Cow::Borrowed(text.as_str()));
        own.or_else(|| find(TABLES, name))
    }
    fn mapping(&self, name: &str) -> Option<Cow<'_, str>> {
        let own = self
            .mappings
            .get(name)
            .map(|text| Cow::Borrowed(text.as_str()));
        own.or_else(|| find(MAPPINGS, name))
    }
    fn file(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.files
            .get(name)
            .map(|bytes| Cow::Borrowed(bytes.as_slice()))
    }
    fn tables(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.keys().cloned().collect();
        names.extend(Shipped.tables());
        names
    }
    fn mappings(&self) -> Vec<String> {
        let mut names: Vec<String> = self.mappings.keys().cloned().collect();
        names.extend(Shipped.mappings());
        names
    }
}
