//! The media type of a document, from its first bytes; the extension decides only where they say
//! nothing.

/// The media type. `name` is the file's name.
pub fn media_type(name: &str, body: &[u8]) -> &'static str {
    const SIGNATURES: [(&[u8], &str); 9] = [
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"{\\rtf", "application/rtf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
    ];
    if let Some((_, found)) = SIGNATURES.iter().find(|(start, _)| body.starts_with(start)) {
        return found;
    }
    if body.get(128..132) == Some(b"DICM") {
        return "application/dicom";
    }
    let text = body
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(body)
        .trim_ascii_start();
    if text.starts_with(b"<?xml") || text.starts_with(b"<ClinicalDocument") {
        return "text/xml";
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "xml" | "cda" => "text/xml",
        "htm" | "html" => "text/html",
        "csv" => "text/csv",
        "txt" => "text/plain",
        _ if text.starts_with(b"MSH") => "x-application/hl7-v2+er7",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_before_the_extension() {
        let cases: [(&str, &[u8], &str); 8] = [
            ("a.txt", b"%PDF-1.7", "application/pdf"),
            ("a", b"\xef\xbb\xbf<?xml version=\"1.0\"?>", "text/xml"),
            (
                "a",
                b"\n <ClinicalDocument xmlns=\"urn:hl7-org:v3\">",
                "text/xml",
            ),
            ("scan.pdf", b"II*\0....", "image/tiff"),
            ("a.JPG", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("memo.TXT", b"memo", "text/plain"),
            ("a", b"", "application/octet-stream"),
            ("a.hl7", b"MSH|^~\\&|", "x-application/hl7-v2+er7"),
        ];
        for (name, body, expected) in cases {
            assert_eq!(media_type(name, body), expected, "{name}");
        }
    }
}
