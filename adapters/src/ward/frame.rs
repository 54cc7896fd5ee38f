//! A post as the rows of a W1 document. Pure: the result is stored, and every retry writes it.

use renkei_core::{Channel, Delivery, FrameError, Payload, Post};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::config::{Encoding, FileDrop};
use super::ms932::{self, Replacement};
use super::table;
use crate::post;

/// Characters of a text; one row cannot be split.
const TEXT: usize = 2_000;
/// PDF files beside one text.
const PDFS: usize = 9;

/// What is stored as the payload's body.
#[derive(Serialize, Deserialize)]
pub(super) struct Framed {
    headline: String,
    text: String,
    urgency: String,
    source_note: String,
    doc_type: String,
    occurred_at: String,
    author_org: String,
    patient_local_id: String,
    birth_date: String,
    sex: String,
    /// What was written otherwise because the encoding lacks it.
    replacements: Vec<Replacement>,
}

pub(super) fn frame(
    post: &Post,
    channel: &Channel,
    config: &FileDrop,
) -> Result<Payload, FrameError> {
    post::check_documents(&post.attachments, &["application/pdf"])?;
    if post.attachments.len() > PDFS {
        return Err(post::refuse(format!("more than {PDFS} PDF files")));
    }
    if channel.header.birth_date.is_empty() || channel.header.sex.is_empty() {
        return Err(post::refuse(
            "the channel's patient header has no birth date or sex",
        ));
    }
    let mut replacements = Vec::new();
    let mut written = |column: &str, text: &str| match config.encoding {
        Encoding::Utf8 => text.to_owned(),
        Encoding::Ms932 => ms932::substitute(column, text, &mut replacements),
    };
    let (headline, text) = post::marked(post)?;
    let (headline, text) = post::fit(written("headline", &headline), written("text", &text));
    let source_note = written("source_note", &post.source_note);
    if text.chars().count() > TEXT {
        return Err(post::refuse(format!(
            "the text is longer than {TEXT} characters"
        )));
    }
    if !(1..=200).contains(&source_note.chars().count()) {
        return Err(post::refuse("the source note has not 1 to 200 characters"));
    }
    let framed = Framed {
        headline,
        text,
        urgency: post.urgency.as_str().to_owned(),
        source_note,
        doc_type: post.kind.code().to_owned(),
        occurred_at: post::occurred_at(post)?,
        author_org: post.author_facility.clone(),
        patient_local_id: channel.peer_ref.as_str().to_owned(),
        birth_date: channel.header.birth_date.clone(),
        sex: channel.header.sex.clone(),
        replacements,
    };
    Ok(Payload {
        body: serde_json::to_string(&framed)
            .map_err(|_| post::refuse("the post cannot be written as JSON"))?,
        attachments: post.attachments.clone(),
    })
}

/// The files of one document, the manifest last.
pub(super) struct Files {
    pub(super) stem: String,
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// Document id and version of a delivery: `<docid>_<version>`. The id is that of the first telling, so
/// that every version bears it. `None` when it could not be a file name.
pub(super) fn stem(delivery: &Delivery) -> Option<String> {
    let docid = delivery.replaces.as_ref().unwrap_or(&delivery.id).as_str();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let fits = (1..=64).contains(&docid.len())
        && docid.bytes().all(plain)
        && (1..=999_999).contains(&delivery.version);
    fits.then(|| format!("{docid}_{}", delivery.version))
}

impl Framed {
    /// The files of this document. The same delivery gives the same bytes.
    pub(super) fn files(
        &self,
        stem: &str,
        withdrawn: bool,
        documents: &[renkei_core::Attachment],
        encoding: Encoding,
    ) -> Result<Files, csv::Error> {
        let mut files = Vec::new();
        if !withdrawn {
            let row = [&self.headline, &self.text, &self.urgency, &self.source_note];
            let rows = [row.map(String::as_str).to_vec()];
            files.push((
                format!("{stem}.csv"),
                table::write(CONTENT, &rows, encoding)?,
            ));
            for (at, document) in documents.iter().enumerate() {
                let name = match at {
                    0 => format!("{stem}.pdf"),
                    at => format!("{stem}-{}.pdf", at + 1),
                };
                files.push((name, document.bytes.to_vec()));
            }
        }
        let (docid, version) = stem.rsplit_once('_').unwrap_or((stem, ""));
        let doc_type = if withdrawn {
            "withdrawn"
        } else {
            &self.doc_type
        };
        let row = |file: &str, sha256: &str| {
            let columns = [
                docid,
                version,
                &self.patient_local_id,
                &self.birth_date,
                &self.sex,
                doc_type,
                &self.occurred_at,
                &self.author_org,
                file,
                sha256,
            ];
            columns.map(str::to_owned).to_vec()
        };
        let mut rows: Vec<Vec<String>> = files
            .iter()
            .map(|(name, bytes)| {
                row(
                    name,
                    &data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)),
                )
            })
            .collect();
        if rows.is_empty() {
            rows.push(row("", ""));
        }
        files.push((
            format!("{stem}.manifest.csv"),
            table::write(MANIFEST, &rows, encoding)?,
        ));
        Ok(Files {
            stem: stem.to_owned(),
            files,
        })
    }
}

const CONTENT: &[&str] = &["headline", "text", "urgency", "source_note"];
const MANIFEST: &[&str] = &[
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
