//! The CSV file that says what the documents beside it are.
//!
//! `documents.csv` speaks of any document in the folder, `<name>.csv` of the one with that name,
//! with or without its extension. UTF-8 or CP932, a header line, columns in any order:
//!
//! | column | Japanese header | meaning |
//! |---|---|---|
//! | `local_id` | 患者番号, 患者ID | the facility's patient number; required |
//! | `file` | ファイル名 | name of the document; may be missing in `<name>.csv` |
//! | `kind` | 文書種別 | LOINC or local code of the kind of document |
//! | `title` | 文書名, タイトル | |
//! | `date` | 作成日, 文書日付 | |
//! | `author` | 作成者 | |
//!
//! Further columns are passed on under their own names.

use std::collections::BTreeMap;

use renkei_core::LocalId;

use crate::{files, local_id};

/// The name of the sidecar that speaks of a whole folder.
pub(super) const FOR_ALL: &str = "documents.csv";

const COLUMNS: [(&str, &[&str]); 6] = [
    ("local_id", &["患者番号", "患者ID", "患者id"]),
    ("file", &["ファイル名", "ファイル"]),
    ("kind", &["文書種別", "種別"]),
    ("title", &["文書名", "タイトル", "題名"]),
    ("date", &["作成日", "文書日付", "日付"]),
    ("author", &["作成者", "記載者"]),
];

/// One row that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) local_id: LocalId,
    /// Name of the document.
    pub(super) file: String,
    /// All columns by their English names.
    pub(super) columns: BTreeMap<String, String>,
    /// Names this very row in notes.
    pub(super) hash: String,
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadRow {
    /// As it stands in the file, in UTF-8.
    pub(super) text: String,
    pub(super) local_id: Option<LocalId>,
    pub(super) hash: String,
}

/// A whole sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sidecar {
    pub(super) rows: Vec<Row>,
    pub(super) bad: Vec<BadRow>,
}

impl Sidecar {
    /// Reads a sidecar. `beside` are the names of the documents in the folder, for sidecars that do
    /// not name theirs.
    pub(super) fn parse(name: &str, bytes: &[u8], rule: local_id::Rule, beside: &[String]) -> Self {
        let text = as_text(bytes);
        let mut sidecar = Self::default();
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let headers: Vec<String> = match reader.headers() {
            Ok(headers) => headers.iter().map(column_name).collect(),
            Err(_) => Vec::new(),
        };
        if !headers.iter().any(|header| header == "local_id") {
            sidecar.bad.push(BadRow::new(name, &text, None));
            return sidecar;
        }
        let own = own_document(name, beside);
        let mut record = csv::StringRecord::new();
        loop {
            let start = offset(reader.position());
            let more = reader.read_record(&mut record);
            let raw = text
                .get(start..offset(reader.position()))
                .unwrap_or_default();
            match more {
                Ok(false) => return sidecar,
                Ok(true) => match row(name, &headers, &record, rule, own) {
                    Ok(row) => sidecar.rows.push(row),
                    Err(local_id) => sidecar.bad.push(BadRow::new(name, raw.trim(), local_id)),
                },
                Err(_) => {
                    sidecar.bad.push(BadRow::new(name, raw.trim(), None));
                    // A reader that does not move on would never end.
                    if offset(reader.position()) <= start {
                        return sidecar;
                    }
                }
            }
        }
    }
}

impl Row {
    /// The same row when it turned out to be of no use.
    pub(super) fn as_bad(&self) -> BadRow {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        BadRow {
            text: columns.join("\n"),
            local_id: Some(self.local_id.clone()),
            hash: self.hash.clone(),
        }
    }
}

impl BadRow {
    fn new(name: &str, text: &str, local_id: Option<LocalId>) -> Self {
        Self {
            text: text.to_owned(),
            local_id,
            hash: files::hash_parts(&["bad", name, text]),
        }
    }
}

fn offset(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

fn as_text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::SHIFT_JIS
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
    }
}

fn column_name(header: &str) -> String {
    let known = COLUMNS
        .iter()
        .find(|(name, others)| header.eq_ignore_ascii_case(name) || others.contains(&header));
    known.map_or_else(|| header.to_owned(), |(name, _)| (*name).to_owned())
}

/// The document that a `<name>.csv` belongs to.
fn own_document<'a>(name: &str, beside: &'a [String]) -> Option<&'a str> {
    let stem = &name[..name.len() - ".csv".len()];
    let exact = beside.iter().find(|other| other.as_str() == stem);
    let by_stem = || {
        let is_own = |other: &&String| {
            other
                .rsplit_once('.')
                .is_some_and(|(other, _)| other == stem)
        };
        let mut candidates = beside.iter().filter(is_own);
        let only = candidates.next()?;
        candidates.next().is_none().then_some(only)
    };
    exact.or_else(by_stem).map(String::as_str)
}

/// `Err` with the local id, as far as there is one.
fn row(
    name: &str,
    headers: &[String],
    record: &csv::StringRecord,
    rule: local_id::Rule,
    own: Option<&str>,
) -> Result<Row, Option<LocalId>> {
    let columns: BTreeMap<String, String> = headers
        .iter()
        .zip(record)
        .filter(|(_, value)| !value.is_empty())
        .map(|(header, value)| (header.clone(), value.to_owned()))
        .collect();
    let local_id = columns.get("local_id").and_then(|id| rule.apply(id));
    let named = columns.get("file").map(String::as_str);
    let file = named.or(if name == FOR_ALL { None } else { own });
    // A row speaks of a file beside it, never of one elsewhere.
    let file = file.filter(|file| !file.contains(['/', '\\']) && *file != ".." && *file != ".");
    let (Some(local_id), Some(file), true) =
        (local_id.clone(), file, record.len() <= headers.len())
    else {
        return Err(local_id);
    };
    let mut parts = vec!["row", file];
    for (header, value) in &columns {
        parts.extend([header.as_str(), value.as_str()]);
    }
    Ok(Row {
        local_id,
        file: file.to_owned(),
        hash: files::hash_parts(&parts),
        columns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, bytes: &[u8]) -> Sidecar {
        let beside = ["a.pdf".to_owned(), "b.xml".to_owned(), "b.pdf".to_owned()];
        Sidecar::parse(name, bytes, local_id::Rule::default(), &beside)
    }

    #[test]
    fn both_encodings_and_both_languages_of_header_read_the_same() {
        let english =
            "\u{feff}local_id,file,kind,title,ward\r\n0012,a.pdf,18842-5,退院時サマリー,3A\r\n";
        let japanese =
            "患者番号,ファイル名,文書種別,文書名,ward\n0012,a.pdf,18842-5,退院時サマリー,3A\n";
        let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(japanese);
        let read = parse("documents.csv", english.as_bytes());
        assert_eq!(read, parse("documents.csv", &cp932));
        let row = &read.rows[0];
        assert_eq!(
            (row.local_id.expose(), row.file.as_str()),
            ("0012", "a.pdf")
        );
        assert_eq!(row.columns["title"], "退院時サマリー");
        assert_eq!(row.columns["ward"], "3A");
        assert!(read.bad.is_empty());
    }

    #[test]
    fn rows_that_cannot_be_used_are_kept_as_they_stand() {
        let text = "local_id,file\n,a.pdf\n0012,../a.pdf\n0013\n0014,a.pdf,x,y\n0015,a.pdf\n";
        let read = parse("documents.csv", text.as_bytes());
        let bad: Vec<_> = read.bad.iter().map(|row| row.text.as_str()).collect();
        assert_eq!(bad, [",a.pdf", "0012,../a.pdf", "0013", "0014,a.pdf,x,y"]);
        assert_eq!(read.rows.len(), 1);
        assert_eq!(parse("documents.csv", b"name,file\nx,y\n").bad.len(), 1);
        assert_eq!(parse("documents.csv", b"").bad.len(), 1);
    }

    #[test]
    fn a_sidecar_of_one_document_need_not_name_it() {
        let text = b"local_id,kind\n0012,18842-5\n";
        assert_eq!(parse("a.csv", text).rows[0].file, "a.pdf");
        assert_eq!(parse("b.xml.csv", text).rows[0].file, "b.xml");
        assert_eq!(
            parse("b.csv", text).bad.len(),
            1,
            "two documents have this name"
        );
        assert_eq!(parse("c.csv", text).bad.len(), 1);
    }
}
