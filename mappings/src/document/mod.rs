//! Documents as they are (PDF, CDA R2) to DocumentReference: what kind, whose, when, and the hash of the
//! untouched bytes. Nothing is read out of a document but the header of a CDA.
//!
//! They come from an SS-MIX2 extended storage, whose folder names the kind, or from a folder with a sidecar
//! row. The mapping `ssmix2` hands them over when a file of the storage is no HL7 message.

use renkei_core::draft::WithdrawReason;
use renkei_core::{
    Authority, Code, Draft, Facts, Finding, ItemEvent, LocalId, MapError, Mapper, MapperId,
    Message, ResourceType, Severity, Subject, Urgency, limits,
};
use renkei_fhir::emit::{
    Attachment, CodeableConcept, Coding, DocumentContent, DocumentReference, Identifier, Meta,
    Reference, Text,
};
use renkei_fhir::jp_core::{self, identifier, profile, system};
use sha2::{Digest, Sha256};

use crate::Options;
use crate::context::Context;
use crate::moment::{Moment, fhir_instant};
use crate::storage::StoragePath;

mod cda;
mod kind;

/// Grows when the output of this mapping changes.
const VERSION: u32 = 1;

/// The address of stored bytes: this, then the SHA-256 in hexadecimal.
pub const BLOB_URL: &str = "urn:renkei:blob:sha256:";

/// Columns of a sidecar row that are read, with the spellings accepted.
const LOCAL_ID: &[&str] = &["local_id", "patient_id", "患者番号", "患者ID"];
const TITLE: &[&str] = &["title", "文書名", "タイトル"];
const KIND: &[&str] = &["kind", "document_kind", "文書種別"];
const WRITTEN: &[&str] = &["date", "created", "作成日", "作成日時"];
const DOCUMENT_ID: &[&str] = &["document_id", "文書番号", "文書ID"];
const COLUMNS: [&[&str]; 5] = [LOCAL_ID, TITLE, KIND, WRITTEN, DOCUMENT_ID];

/// The mapping `document`.
#[derive(Debug)]
pub struct Document {
    options: Options,
    id: MapperId,
}

impl Document {
    /// A mapper over one source.
    pub fn new(options: Options) -> Self {
        let id = MapperId {
            name: "document",
            version: VERSION,
            config: options.hash(),
        };
        Self { options, id }
    }
}

impl Mapper for Document {
    fn id(&self) -> MapperId {
        self.id.clone()
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        if message.body.is_empty() {
            return Err(MapError {
                code: Code::MAP_NOT_THIS_FORMAT,
                at: "body".to_owned(),
            });
        }
        Ok(read(&self.options, message))
    }
}

/// Whether bytes of a storage are a document and no HL7 message.
pub(crate) fn is_document(body: &[u8]) -> bool {
    !matches!(media_type(body), "" | "text/plain")
}

/// Reads any document.
pub(crate) fn read(options: &Options, message: &Message) -> Draft {
    let storage = message.meta.path.as_deref().and_then(StoragePath::parse);
    let mut context = Context::new(options, message, storage);
    let column = |names: &[&str]| {
        let found = names
            .iter()
            .find_map(|&name| message.meta.sidecar.get(name));
        found
            .map(|value| value.trim().to_owned())
            .unwrap_or_default()
    };
    let is_described = COLUMNS.iter().any(|names| !column(names).is_empty());
    if context.storage.is_none() && !is_described {
        context.warn(Code::DOC_NO_SIDECAR, "document");
    }
    let media_type = match &message.meta.media_type {
        Some(said) => said.clone(),
        None => media_type(&message.body).to_owned(),
    };
    let header = match media_type.contains("xml") {
        true => cda::header(&message.body).unwrap_or_else(|| {
            context.warn(Code::DOC_BAD_XML, "document");
            cda::Header::default()
        }),
        false => cda::Header::default(),
    };
    let in_path = context
        .storage
        .as_ref()
        .map(|path| path.patient.clone())
        .unwrap_or_default();
    let local_id = [column(LOCAL_ID), in_path, header.patient.clone()]
        .into_iter()
        .find(|id| !id.is_empty());
    let Some(local_id) = local_id else {
        context.find(Finding::new(
            Code::MAP_NO_PATIENT,
            Severity::Error,
            "document",
        ));
        return context.finish();
    };
    if !header.patient.is_empty()
        && header.patient.trim_start_matches('0') != local_id.trim_start_matches('0')
    {
        context.warn(Code::MAP_PATIENT_MISMATCH, "recordTarget");
        context.draft.hold = Some(Code::MAP_PATIENT_MISMATCH);
    }
    context.set_patient(local_id);
    context.draft.subject = Some(Subject {
        facility: options.facility.clone(),
        local_id: LocalId::new(&context.local_id),
        facts: Facts::default(),
        authority: Authority::Snapshot,
    });
    let sent = Sent {
        title: column(TITLE),
        kind: column(KIND),
        written: column(WRITTEN),
        document_id: column(DOCUMENT_ID),
        media_type,
    };
    reference(&mut context, message, &header, sent);
    context.finish()
}

/// What a sidecar row says.
struct Sent {
    title: String,
    kind: String,
    written: String,
    document_id: String,
    media_type: String,
}

fn reference(context: &mut Context<'_>, message: &Message, header: &cda::Header, sent: Sent) {
    let data_kind = message
        .meta
        .data_type
        .clone()
        .or_else(|| Some(context.storage.as_ref()?.data_type.clone()));
    let data_kind = if sent.kind.is_empty() {
        data_kind.unwrap_or_default()
    } else {
        sent.kind
    };
    let kind = kind::of(&data_kind, &header.code, &context.options.document_kinds);
    if !kind.is_known {
        context.warn(Code::DOC_UNKNOWN_KIND, "document");
    }
    // The name in the storage tells when it was written; a later reading must not make it newer.
    let in_path = context
        .storage
        .as_ref()
        .map(|path| format!("{:017}", path.order_in_key));
    let in_path = in_path.as_deref().and_then(|time| time.get(..14));
    let written = [
        sent.written.as_str(),
        header.effective_time.as_str(),
        in_path.unwrap_or_default(),
    ];
    let written = written
        .into_iter()
        .find(|text| !text.is_empty())
        .and_then(|text| written_at(context, text));
    if let Some(at) = written {
        let ahead = std::time::Duration::try_from(at.duration_since(message.received_at));
        if ahead.is_ok_and(|ahead| ahead > limits::FUTURE_SLACK) {
            context.warn(Code::MAP_FUTURE_DATE, "document");
        } else {
            context.source_time = at;
        }
    }
    let number = document_number(context, header, &sent.document_id, message);
    let key = context.key(ResourceType::DocumentReference, &["document", &number]);
    let titles = [&sent.title, &header.title, &kind.name];
    let title = titles
        .into_iter()
        .find(|title| !title.is_empty())
        .cloned()
        .unwrap_or_default();
    let facility = context.options.facility.as_str().to_owned();
    let document_system = identifier::local(&facility, "document");
    let date = fhir_instant(context.source_time, context.options.zone);
    let document = DocumentReference {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::DOCUMENT_REFERENCE),
        master_identifier: Identifier::new(document_system, number),
        status: "current".into(),
        r#type: type_of(&kind, &facility),
        category: vec![CodeableConcept::of_text(kind.class.label())],
        subject: context.patient_reference(),
        date: date.clone().into(),
        custodian: Reference::to_identified(
            "Organization",
            Identifier::new(identifier::MEDICAL_INSTITUTION, facility.clone()),
            Text::default(),
        ),
        description: title.clone().into(),
        content: vec![content(&message.body, sent.media_type, title, date)],
        ..DocumentReference::default()
    };
    let body = document.to_json();
    if context.flag == renkei_core::Flag::Deleted {
        context.withdraw(key.clone(), WithdrawReason::EnteredInError, None);
    } else {
        context.record(key.clone(), body);
    }
    let at = context.source_time;
    context.item(kind.class, ItemEvent::DocumentArrived, key, at, Urgency::U2);
}

/// The bytes as they are: where they lie, how many, what they are called.
fn content<'d>(
    body: &[u8],
    media_type: String,
    title: String,
    date: String,
) -> DocumentContent<'d> {
    DocumentContent {
        attachment: Attachment {
            content_type: media_type.into(),
            url: blob_url(body).into(),
            size: u32::try_from(body.len()).ok(),
            title: title.into(),
            creation: date.into(),
            ..Attachment::default()
        },
        ..DocumentContent::default()
    }
}

/// The document's own id, else its place without flag and time, else its bytes: versions of one document
/// share it.
fn document_number(
    context: &Context<'_>,
    header: &cda::Header,
    sidecar_id: &str,
    message: &Message,
) -> String {
    if !sidecar_id.is_empty() {
        return sidecar_id.to_owned();
    }
    if !header.id.is_empty() {
        return header.id.clone();
    }
    match (&context.storage, &message.meta.path) {
        (Some(path), Some(whole)) => {
            // Several files may lie in one folder of the extended storage.
            let file = whole.rsplit(['/', '\\']).next().unwrap_or_default();
            let file = if StoragePath::parse(file).is_some() {
                ""
            } else {
                file
            };
            [&path.care_date, &path.data_type, &path.order, file].join("|")
        }
        (None, Some(whole)) => whole.clone(),
        _ => hex(&Sha256::digest(&message.body)),
    }
}

fn written_at(context: &mut Context<'_>, text: &str) -> Option<jiff::Timestamp> {
    let compact: String = text
        .chars()
        .filter(|letter| !matches!(letter, '/' | '-' | ':' | ' ' | 'T'))
        .collect();
    // An offset must keep its sign; CDA times have no other minus.
    let text = if text.contains('+')
        || text.len() > 14 && text.as_bytes().iter().all(u8::is_ascii_digit)
    {
        text.to_owned()
    } else {
        compact
    };
    match Moment::parse(&text, context.options.zone) {
        Ok(moment) => moment.instant(),
        Err(_) => {
            context.warn(Code::MAP_BAD_DATE, "document");
            None
        }
    }
}

fn type_of<'k>(kind: &'k kind::Kind, facility: &str) -> CodeableConcept<'k> {
    let mut concept = CodeableConcept::of_text(kind.name.as_str());
    if !kind.loinc.is_empty() {
        concept
            .coding
            .push(Coding::new(system::LOINC, kind.loinc.as_str(), ""));
    }
    if !kind.local.is_empty() {
        let uri = jp_core::coding::local(facility, &kind.local_system);
        concept
            .coding
            .push(Coding::new(uri, kind.local.as_str(), ""));
    }
    concept
}

/// The address of bytes in the blob store.
pub fn blob_url(body: &[u8]) -> String {
    format!("{BLOB_URL}{}", hex(&Sha256::digest(body)))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// What the first bytes say; empty when they say nothing.
fn media_type(body: &[u8]) -> &'static str {
    let start = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let start = start.trim_ascii_start();
    match start {
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        [b'<', ..] => "text/xml",
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "image/tiff",
        _ => "",
    }
}
