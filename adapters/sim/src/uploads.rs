//! Files sent to a peer: size, type, first bytes and checksum.

use crate::hash::hex_sha256;
use crate::refusal::Refusal;
use crate::request::Part;

/// Largest file a peer takes (`CONTRACT.md` §1, Files).
pub(crate) const MAX_FILE_BYTES: usize = 20 * 1024 * 1024;

/// A file that passed every check.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    pub(crate) file_name: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) part: &'a Part,
}

/// Finds a part by name.
pub(crate) fn part<'a>(parts: &'a [Part], name: &str) -> Option<&'a Part> {
    parts.iter().find(|part| part.name == name)
}

/// Checks the parts `file` and `sha256`; `also` names the other parts the call may have.
pub(crate) fn check<'a>(parts: &'a [Part], also: &[&str]) -> Result<Upload<'a>, Refusal> {
    if parts.iter().any(|part| {
        !["file", "sha256"].contains(&part.name.as_str()) && !also.contains(&part.name.as_str())
    }) {
        return Err(Refusal::bad_request("unknown part"));
    }
    let file = part(parts, "file").ok_or_else(|| Refusal::bad_request("part file is missing"))?;
    let declared =
        part(parts, "sha256").ok_or_else(|| Refusal::bad_request("part sha256 is missing"))?;
    let (Some(file_name), Some(media_type)) = (&file.file_name, &file.media_type) else {
        return Err(Refusal::bad_request(
            "part file needs a file name and a content type",
        ));
    };
    if file.bytes.len() > MAX_FILE_BYTES {
        return Err(Refusal::new(
            413,
            "too_large",
            "the file is larger than 20 MiB",
        ));
    }
    let agrees = match media_type.as_str() {
        "application/pdf" => file.bytes.starts_with(b"%PDF-"),
        "image/jpeg" => file.bytes.starts_with(&[0xFF, 0xD8, 0xFF]),
        "image/png" => file.bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        "text/plain" => std::str::from_utf8(&file.bytes).is_ok_and(|text| !text.contains('\0')),
        _ => {
            return Err(Refusal::new(
                415,
                "unsupported_media_type",
                "pdf, jpeg, png or plain text",
            ));
        }
    };
    if !agrees {
        return Err(Refusal::new(
            415,
            "media_type_mismatch",
            "the bytes are not of the declared type",
        ));
    }
    if declared.bytes != hex_sha256(&file.bytes).as_bytes() {
        return Err(Refusal::unprocessable("checksum_mismatch", "sha256"));
    }
    Ok(Upload {
        file_name,
        media_type,
        part: file,
    })
}
