//! Excel workbooks: their parts are mutated, then packed, because nothing gets through a checksum by chance.

use super::local::{BETWEEN, read};
use renkei_mappings::local::{Mapping, Shipped, workbook_as_csv};

const MAPPING: &str = "map: x\nsource: {format: xlsx, columns: [患者番号, 採取日, 項目, 結果]}\nsubject: {local_id: 患者番号}\n\
resources:\n  - each: row\n    key: [項目, 採取日]\n    time: 採取日 | datetime\n    Observation: {status: 'final', code.text: 項目, valueString: 結果}\n";

/// The parts a mutation begins with: sheet, shared texts, styles, workbook.
const PARTS: [(&str, &str); 4] = [
    (
        "xl/worksheets/sheet1.xml",
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><dimension ref=\"A1:D3\"/><sheetData>\
         <row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c><c r=\"C1\" t=\"s\"><v>2</v></c><c r=\"D1\" t=\"s\"><v>3</v></c></row>\
         <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>0000123456</t></is></c><c r=\"B2\" s=\"1\"><v>45668.291666</v></c><c r=\"C2\" t=\"str\"><f>A1&amp;\"x\"</f><v>ALB</v></c><c r=\"D2\"><v>3.1</v></c></row>\
         <row r=\"3\"><c r=\"A3\"><v>7</v></c><c r=\"B3\" t=\"d\"><v>2025-01-11</v></c><c r=\"C3\" t=\"b\"><v>1</v></c><c r=\"D3\" t=\"e\"><v>#N/A</v></c></row>\
         </sheetData></worksheet>",
    ),
    (
        "xl/sharedStrings.xml",
        "<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" count=\"4\" uniqueCount=\"4\"><si><t>患者番号</t></si>\
         <si><r><t>採取</t></r><r><t>日</t></r><rPh sb=\"0\" eb=\"1\"><t>サイ</t></rPh></si><si><t>項目</t></si><si><t xml:space=\"preserve\">結果</t></si></sst>",
    ),
    (
        "xl/styles.xml",
        "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"yyyy/m/d h:mm\"/></numFmts>\
         <cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"164\"/></cellXfs></styleSheet>",
    ),
    (
        "xl/workbook.xml",
        "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
         <workbookPr date1904=\"0\"/><sheets><sheet name=\"結果\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
    ),
];

/// What a workbook cannot do without.
const FRAME: [(&str, &str); 3] = [
    (
        "[Content_Types].xml",
        "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>",
    ),
    (
        "_rels/.rels",
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>",
    ),
    (
        "xl/_rels/workbook.xml.rels",
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>",
    ),
];

thread_local!(static READER: Mapping = Mapping::load("x.yaml", MAPPING, &Shipped).unwrap_or_else(|problems| panic!("{problems}")));

/// First byte 0: the rest is a workbook as it is. Else its parts, packed here.
pub(crate) fn book(data: &[u8]) {
    let Some((&way, rest)) = data.split_first() else {
        return;
    };
    let packed = if way == 0 {
        rest.to_vec()
    } else {
        packed(rest)
    };
    READER.with(|mapping| read(mapping, &packed));
    let first = workbook_as_csv(&packed, None);
    assert_eq!(first, workbook_as_csv(&packed, None));
}

/// The parts as they are, and a real workbook.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let parts = PARTS.map(|(_, text)| text).join(BETWEEN);
    let mut seeds = vec![[&b"\x01"[..], parts.as_bytes()].concat()];
    for file in super::fixtures() {
        if file.extension().is_some_and(|end| end == "xlsx") {
            let body = std::fs::read(&file).expect("a fixture");
            seeds.push([&b"\0"[..], &body].concat());
        }
    }
    seeds
}

fn packed(parts: &[u8]) -> Vec<u8> {
    let mut given = super::parts(parts);
    let parts = PARTS.map(|(name, usual)| (name, given.next().unwrap_or(usual.as_bytes())));
    let frame = FRAME.map(|(name, text)| (name, text.as_bytes()));
    zip(&[&frame[..], &parts[..]].concat())
}

/// An archive of members that are not squeezed (APPNOTE 4.3).
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut index) = (Vec::new(), Vec::new());
    let number = |of: usize| u32::try_from(of).expect("small").to_le_bytes();
    for (name, body) in members {
        let at = number(archive.len());
        // Version, flags, method, time and date; checksum, both sizes, length of the name, no extra field.
        let mut head = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x5A];
        head.extend(checksum(body).to_le_bytes());
        head.extend(number(body.len()));
        head.extend(number(body.len()));
        head.extend(&number(name.len())[..2]);
        head.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&head);
        archive.extend(name.as_bytes());
        archive.extend(*body);
        index.extend(b"PK\x01\x02\x14\0");
        index.extend(&head);
        // No comment, first disk, no attributes.
        index.extend([0; 10]);
        index.extend(at);
        index.extend(name.as_bytes());
    }
    let (start, count) = (number(archive.len()), number(members.len()));
    archive.extend(&index);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([&count[..2], &count[..2]].concat());
    archive.extend(number(index.len()));
    archive.extend(start);
    archive.extend([0, 0]);
    archive
}

/// CRC-32 as zip has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(sum & 1))
        })
    })
}
