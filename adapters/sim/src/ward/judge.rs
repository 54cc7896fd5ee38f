//! Whether a drop is accepted, and what it becomes.

use std::io;

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{Encoding, Ward, csv_text};
use crate::hash::{fingerprint, hex_sha256};
use crate::state::{Entry, EntryKind};
use crate::uploads::MAX_FILE_BYTES;

const MANIFEST: [&str; 10] = [
    "doc_id",
    "version",
    "patient_local_id",
    "birth_date",
    "sex",
    "doc_type",
    "occurred_at",
    "author_org",
    "file",
    "sha256",
];
const CONTENT: [&str; 4] = ["headline", "text", "urgency", "source_note"];

/// Why a drop is refused.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

impl Fault {
    pub(super) fn new(code: &'static str, text: &'static str) -> Self {
        Self { code, text }
    }
}

/// How a drop was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fresh,
    Duplicate,
    Superseded,
}

impl Verdict {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Fresh => "",
            Self::Duplicate => "duplicate",
            Self::Superseded => "superseded",
        }
    }
}

/// A manifest whose rows agree with each other and with the stem.
struct Manifest {
    doc_id: String,
    version: u32,
    local_id: String,
    birth_date: String,
    sex: String,
    doc_type: String,
    author_org: String,
    /// File name and checksum.
    files: Vec<(String, String)>,
    fields: Value,
}

/// A content file that passed its checks.
struct Content {
    name: String,
    media_type: &'static str,
    bytes: Vec<u8>,
}

impl Ward {
    /// Facility that a manifest names, as far as it can be read.
    pub(super) fn sender_of(&self, stem: &str) -> Option<String> {
        let bytes = self.folder.read(&format!("{stem}.manifest.csv")).ok()??;
        let rows = csv_text::read(&bytes, &MANIFEST, self.encoding).ok()?;
        rows.first()?.get(7).cloned()
    }

    /// Judges a drop and, when it is accepted, shows it to the team.
    pub(super) fn judge(&mut self, stem: &str) -> io::Result<Result<Verdict, Fault>> {
        let Some(bytes) = self.folder.read(&format!("{stem}.manifest.csv"))? else {
            return Ok(Err(Fault::new("missing_file", "the manifest is missing")));
        };
        let manifest = match Manifest::read(&bytes, stem, self.encoding) {
            Ok(manifest) => manifest,
            Err(fault) => return Ok(Err(fault)),
        };
        let contents = match self.contents(stem, &manifest)? {
            Ok(contents) => contents,
            Err(fault) => return Ok(Err(fault)),
        };
        let sums: Vec<String> = contents
            .iter()
            .map(|content| hex_sha256(&content.bytes))
            .collect();
        let content = fingerprint(&json!([hex_sha256(&bytes), sums]));
        match self.received.get(stem) {
            Some(first) if *first == content => return Ok(Ok(Verdict::Duplicate)),
            Some(_) => {
                return Ok(Err(Fault::new(
                    "version_conflict",
                    "this version was sent with other bytes",
                )));
            }
            None => {}
        }
        let team_id = match self.addressee(&manifest) {
            Ok(team_id) => team_id,
            Err(fault) => return Ok(Err(fault)),
        };
        self.received.insert(stem.to_owned(), content);
        Ok(Ok(self.show(stem, &team_id, &manifest, contents)))
    }

    fn contents(&self, stem: &str, manifest: &Manifest) -> io::Result<Result<Vec<Content>, Fault>> {
        let mut contents = Vec::new();
        for (name, sha256) in &manifest.files {
            let Some(length) = self.folder.len(name) else {
                return Ok(Err(Fault::new(
                    "missing_file",
                    "a file of the manifest is missing",
                )));
            };
            if length > MAX_FILE_BYTES as u64 {
                return Ok(Err(Fault::new("too_large", "a file is larger than 20 MiB")));
            }
            let bytes = self.folder.read(name)?.unwrap_or_default();
            if hex_sha256(&bytes) != *sha256 {
                return Ok(Err(Fault::new(
                    "checksum_mismatch",
                    "a file is not what the manifest says",
                )));
            }
            let media_type = match check_content(name, &bytes, self.encoding) {
                Ok(media_type) => media_type,
                Err(fault) => return Ok(Err(fault)),
            };
            contents.push(Content {
                name: name.clone(),
                media_type,
                bytes,
            });
        }
        let known = [format!("{stem}.manifest.csv"), format!("{stem}.done")];
        let listed = |name: &String| {
            known.contains(name) || manifest.files.iter().any(|(file, _)| file == name)
        };
        if !self.folder.files_of(stem)?.iter().all(listed) {
            return Ok(Err(Fault::new(
                "unexpected_file",
                "a file is not in the manifest",
            )));
        }
        Ok(Ok(contents))
    }

    /// The team of the patient; consent and archive do not matter to a withdrawal.
    fn addressee(&self, manifest: &Manifest) -> Result<String, Fault> {
        let patients: Vec<_> = self
            .state
            .teams
            .values()
            .filter_map(|team| Some((team, team.patient.as_ref()?)))
            .filter(|(_, patient)| patient.local_id == manifest.local_id)
            .collect();
        if patients.is_empty() {
            return Err(Fault::new("unknown_patient", "no such patient number"));
        }
        let same = patients.iter().find(|(_, patient)| {
            patient.birth_date == manifest.birth_date && patient.sex == manifest.sex
        });
        let (team, _) =
            same.ok_or_else(|| Fault::new("patient_mismatch", "birth date or sex differ"))?;
        if !team.includes(&manifest.author_org) {
            return Err(Fault::new(
                "not_a_member",
                "the sender is not in this patient's team",
            ));
        }
        let withdrawing = manifest.doc_type == "withdrawn";
        if !withdrawing && !team.consent {
            return Err(Fault::new(
                "no_consent",
                "the patient's consent is missing or withdrawn",
            ));
        }
        if !withdrawing && team.is_archived() {
            return Err(Fault::new("archived", "the patient's team is archived"));
        }
        Ok(team.id.clone())
    }

    /// Stores the entry and settles which version counts.
    fn show(
        &mut self,
        stem: &str,
        team_id: &str,
        manifest: &Manifest,
        contents: Vec<Content>,
    ) -> Verdict {
        let now = self.state.now();
        let mut request = json!({"manifest": manifest.fields});
        let mut files = Vec::new();
        for content in contents {
            if content.media_type == "text/csv" {
                request["content"] = content_json(&content.bytes, self.encoding);
            }
            let bytes = Bytes::from(content.bytes);
            files.push(
                self.state
                    .keep_file(
                        &manifest.author_org,
                        &content.name,
                        content.media_type,
                        bytes,
                    )
                    .0,
            );
        }
        let versions = |entry: &Entry| {
            let (doc_id, version) = entry.id.rsplit_once('_')?;
            (doc_id == manifest.doc_id).then(|| version.parse::<u32>().ok())?
        };
        let newest = self
            .state
            .entries
            .iter()
            .filter_map(|entry| Some((versions(entry)?, entry.id.clone())))
            .max();
        let mut entry = Entry::new(stem.to_owned(), EntryKind::Document, team_id, now, request);
        entry.client_id = Some(manifest.author_org.clone());
        entry.key = Some(stem.to_owned());
        entry.files = files;
        let newer = newest.filter(|(version, _)| *version > manifest.version);
        let verdict = if newer.is_some() {
            Verdict::Superseded
        } else {
            Verdict::Fresh
        };
        entry.replaced_by = newer.map(|(_, id)| id);
        for old in &mut self.state.entries {
            if versions(old).is_some_and(|version| version < manifest.version) {
                if verdict == Verdict::Fresh {
                    old.replaced_by = Some(stem.to_owned());
                }
                if manifest.doc_type == "withdrawn" {
                    old.withdrawn_at.get_or_insert(now);
                }
            }
        }
        self.state.write(entry);
        verdict
    }
}

impl Manifest {
    fn read(bytes: &[u8], stem: &str, encoding: Encoding) -> Result<Self, Fault> {
        let bad = |text: &'static str| Fault::new("bad_manifest", text);
        let rows = csv_text::read(bytes, &MANIFEST, encoding)
            .map_err(|code| Fault::new(code, "the manifest cannot be read in this profile"))?;
        let first = rows.first().ok_or_else(|| bad("the manifest has no row"))?;
        if rows.len() > 10 || rows.iter().any(|row| row.get(..8) != first.get(..8)) {
            return Err(bad("the rows do not agree, or are more than ten"));
        }
        let at = |place: usize| first.get(place).cloned().unwrap_or_default();
        let (doc_id, version) = (at(0), at(1));
        let id_ok = (1..=64).contains(&doc_id.len())
            && doc_id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let number: u32 = version
            .parse()
            .map_err(|_| bad("version is not a number"))?;
        if !id_ok || format!("{doc_id}_{number}") != stem || !(1..=999_999).contains(&number) {
            return Err(bad("doc_id and version are not those of the file name"));
        }
        let doc_type = at(5);
        if !(1..=40).contains(&doc_type.chars().count())
            || at(6).parse::<jiff::Timestamp>().is_err()
        {
            return Err(bad("doc_type or occurred_at is outside the contract"));
        }
        let mut files = Vec::new();
        for row in &rows {
            let (file, sha256) = (
                row.get(8).cloned().unwrap_or_default(),
                row.get(9).cloned().unwrap_or_default(),
            );
            let empty = file.is_empty() && sha256.is_empty();
            if empty && doc_type == "withdrawn" && rows.len() == 1 {
                continue;
            }
            if !is_content_name(&file, stem) || files.iter().any(|(known, _)| *known == file) {
                return Err(bad("a file name does not belong to this document"));
            }
            files.push((file, sha256));
        }
        let fields = MANIFEST
            .iter()
            .zip(first)
            .take(8)
            .map(|(name, value)| ((*name).to_owned(), json!(value)));
        let fields = Value::Object(fields.collect());
        Ok(Self {
            doc_id,
            version: number,
            local_id: at(2),
            birth_date: at(3),
            sex: at(4),
            doc_type,
            author_org: at(7),
            files,
            fields,
        })
    }
}

/// `<stem>.csv`, `<stem>.pdf` or `<stem>-2.pdf` … `<stem>-9.pdf`.
fn is_content_name(name: &str, stem: &str) -> bool {
    match name.strip_prefix(stem) {
        Some(".csv" | ".pdf") => true,
        Some(rest) => {
            rest.len() == 6
                && rest.starts_with('-')
                && rest.ends_with(".pdf")
                && (b'2'..=b'9').contains(&rest.as_bytes()[1])
        }
        None => false,
    }
}

fn check_content(name: &str, bytes: &[u8], encoding: Encoding) -> Result<&'static str, Fault> {
    if name.ends_with(".pdf") {
        return if bytes.starts_with(b"%PDF-") {
            Ok("application/pdf")
        } else {
            Err(Fault::new("unsupported_type", "a .pdf file is not a PDF"))
        };
    }
    let rows = csv_text::read(bytes, &CONTENT, encoding).map_err(|code| match code {
        "bad_encoding" => Fault::new(
            "bad_encoding",
            "the text is not in the encoding of the profile",
        ),
        _ => Fault::new("unsupported_type", "the .csv file has other columns"),
    })?;
    let within = |place: usize, max: usize| {
        let text = rows.first().and_then(|row| row.get(place));
        text.is_some_and(|text| (1..=max).contains(&text.chars().count()))
    };
    let urgency = rows
        .first()
        .and_then(|row| row.get(2))
        .map_or("", String::as_str);
    let fits = rows.len() == 1 && within(0, 60) && within(1, 2000) && within(3, 200);
    if fits && ["u0", "u1", "u2", "u3"].contains(&urgency) {
        Ok("text/csv")
    } else {
        Err(Fault::new(
            "unsupported_type",
            "the text is outside its limits",
        ))
    }
}

fn content_json(bytes: &[u8], encoding: Encoding) -> Value {
    let rows = csv_text::read(bytes, &CONTENT, encoding).unwrap_or_default();
    let fields = CONTENT.iter().zip(rows.first().into_iter().flatten());
    Value::Object(
        fields
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect(),
    )
}
