//! The header of a CDA R2 document: title, time, code, id, patient number. Streaming, no entities, no DTD.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting read; a document beyond it is not well-formed for us.
const DEEPEST: usize = 256;

/// What the header says; empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    /// `title`
    pub(super) title: String,
    /// `effectiveTime/@value`, as in HL7 v2.
    pub(super) effective_time: String,
    /// `code/@code`
    pub(super) code: String,
    /// `id`: root and extension.
    pub(super) id: String,
    /// `recordTarget/patientRole/id/@extension` of the first id.
    pub(super) patient: String,
}

/// Reads the header; `None` when the text is not well-formed to its end or declares a DTD.
///
/// XML that is no CDA gives an empty header.
pub(super) fn header(body: &[u8]) -> Option<Header> {
    let decoded = renkei_hl7v2::decode(body);
    let mut reader = Reader::from_str(&decoded.text);
    let mut header = Header::default();
    let mut path: Vec<String> = Vec::new();
    let mut roots = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                roots += usize::from(path.is_empty());
                path.push(element.local_name().as_ref().to_owned());
                element_at(&path, &element, &mut header);
                if path.len() > DEEPEST {
                    return None;
                }
            }
            Event::Empty(element) => {
                roots += usize::from(path.is_empty());
                path.push(element.local_name().as_ref().to_owned());
                element_at(&path, &element, &mut header);
                path.pop();
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(text) if is_at(&path, &["ClinicalDocument", "title"]) => {
                header.title.push_str(text.xml10_content().trim());
            }
            Event::CData(text) if is_at(&path, &["ClinicalDocument", "title"]) => {
                header.title.push_str(text.xml10_content().trim());
            }
            Event::DocType(_) => return None,
            Event::Eof => break,
            _ => {}
        }
    }
    (path.is_empty() && roots == 1).then_some(header)
}

fn is_at(path: &[String], place: &[&str]) -> bool {
    path.len() == place.len() && path.iter().zip(place).all(|(step, name)| step == name)
}

fn element_at(path: &[String], element: &BytesStart<'_>, header: &mut Header) {
    let attribute = |name: &str| match element.try_get_attribute(name) {
        Ok(Some(found)) => found.value.trim().to_owned(),
        _ => String::new(),
    };
    if is_at(path, &["ClinicalDocument", "effectiveTime"]) {
        header.effective_time = attribute("value");
    } else if is_at(path, &["ClinicalDocument", "code"]) {
        header.code = attribute("code");
    } else if is_at(path, &["ClinicalDocument", "id"]) {
        header.id = [attribute("root"), attribute("extension")]
            .join("|")
            .trim_matches('|')
            .to_owned();
    } else if header.patient.is_empty()
        && is_at(
            path,
            &["ClinicalDocument", "recordTarget", "patientRole", "id"],
        )
    {
        header.patient = attribute("extension");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="D-1"/><code code="18842-5" codeSystem="2.16.840.1.113883.6.1"/>
<title>退院時サマリー</title><effectiveTime value="20250131120000+0900"/>
<recordTarget><patientRole><id root="1.2" extension="0000123456"/></patientRole></recordTarget>
<component><section><title>経過</title></section></component></ClinicalDocument>"#;

    #[test]
    fn the_header_is_read_and_nothing_below() {
        let read = header(SUMMARY.as_bytes()).unwrap();
        assert_eq!(
            (read.title.as_str(), read.code.as_str(), read.id.as_str()),
            ("退院時サマリー", "18842-5", "1.2.3|D-1")
        );
        assert_eq!(
            (read.effective_time.as_str(), read.patient.as_str()),
            ("20250131120000+0900", "0000123456")
        );
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
            &SUMMARY[..SUMMARY.len() - 3],
            &"<a>".repeat(DEEPEST + 1),
        ] {
            assert_eq!(
                header(bad.as_bytes()),
                None,
                "{}",
                &bad[..bad.len().min(20)]
            );
        }
        assert_eq!(header(b"<html><body/></html>"), Some(Header::default()));
    }
}
