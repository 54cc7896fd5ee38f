//! Documents to put into the extended storage.

use std::fmt::Write;

use jiff::civil::DateTime;

use super::people::{Person, Sex, Site};

/// A CDA R2 header with a reference to a PDF beside it (`nonXMLBody`), UTF-8.
#[must_use]
pub fn cda_with_pdf(
    site: &Site,
    person: &Person,
    title: &str,
    loinc: (&str, &str),
    at: DateTime,
    pdf_name: &str,
) -> Vec<u8> {
    let sex = match person.sex {
        Sex::Male => "M",
        Sex::Female => "F",
        Sex::Other | Sex::Unknown => "UN",
    };
    let name = |family: &str, given: &str, kind: &str| {
        format!(
            "<name use=\"{kind}\"><family>{}</family><given>{}</given></name>",
            escape(family),
            escape(given)
        )
    };
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ClinicalDocument xmlns=\"urn:hl7-org:v3\">\n",
    );
    let time = at.strftime("%Y%m%d%H%M%S");
    // Writing to a string cannot fail.
    let _ok = writeln!(
        text,
        "<typeId root=\"2.16.840.1.113883.1.3\" extension=\"POCD_HD000040\"/>\
         <id root=\"1.2.392.999999.1\" extension=\"{id}-{time}\"/>\
         <code code=\"{code}\" codeSystem=\"2.16.840.1.113883.6.1\" displayName=\"{display}\"/>\
         <title>{title}</title><effectiveTime value=\"{time}+0900\"/>\
         <confidentialityCode code=\"N\" codeSystem=\"2.16.840.1.113883.5.25\"/><languageCode code=\"ja-JP\"/>\
         <recordTarget><patientRole><id root=\"1.2.392.999999.2\" extension=\"{id}\"/><patient>{kanji}{kana}\
         <administrativeGenderCode code=\"{sex}\" codeSystem=\"2.16.840.1.113883.5.1\"/><birthTime value=\"{birth}\"/>\
         </patient></patientRole></recordTarget>\
         <author><time value=\"{time}+0900\"/><assignedAuthor><id nullFlavor=\"NI\"/><representedOrganization><name>{site}</name>\
         </representedOrganization></assignedAuthor></author>\
         <custodian><assignedCustodian><representedCustodianOrganization><id nullFlavor=\"NI\"/><name>{site}</name>\
         </representedCustodianOrganization></assignedCustodian></custodian>\
         <component><nonXMLBody><text mediaType=\"application/pdf\"><reference value=\"{pdf}\"/></text></nonXMLBody></component>\
         </ClinicalDocument>",
        id = escape(&person.local_id),
        code = escape(loinc.0),
        display = escape(loinc.1),
        title = escape(title),
        kanji = name(&person.family, &person.given, "IDE"),
        kana = name(&person.kana_family, &person.kana_given, "SYL"),
        birth = person.birth.strftime("%Y%m%d"),
        site = escape(&site.name),
        pdf = escape(pdf_name),
    );
    text.into_bytes()
}

/// A PDF of one blank page, for scenarios that need some document.
#[must_use]
pub fn minimal_pdf() -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
    ];
    let mut text = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (place, object) in objects.iter().enumerate() {
        offsets.push(text.len());
        text.push_str(&format!("{} 0 obj\n{object}\nendobj\n", place + 1));
    }
    let start = text.len();
    text.push_str(&format!(
        "xref\n0 {}\n0000000000 65535 f \n",
        objects.len() + 1
    ));
    for offset in offsets {
        text.push_str(&format!("{offset:010} 00000 n \n"));
    }
    text.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        objects.len() + 1
    ));
    text.into_bytes()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
