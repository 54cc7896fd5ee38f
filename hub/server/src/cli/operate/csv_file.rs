//! CSV files as offices have them: UTF-8 with or without BOM, or CP932; the header is checked by name,
//! the columns may stand in any order.

use std::borrow::Cow;
use std::path::Path;

use renkei_core::Code;
use serde::de::DeserializeOwned;

use super::Refusal;

/// A larger file is no table an office keeps.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Columns of `people.csv`.
pub(super) const PEOPLE: &[&str] = &["facility", "local_id"];
/// Columns of `consents.csv`.
pub(super) const CONSENTS: &[&str] = &[
    "facility",
    "local_id",
    "kana",
    "birth_date",
    "form_id",
    "form_version",
    "signed_on",
    "signer",
    "relation",
    "disclosers",
    "recipients",
    "items",
    "purpose",
    "valid_from",
    "valid_until",
    "withdrawn_on",
];
/// Columns of `channels.csv`.
pub(super) const CHANNELS: &[&str] = &[
    "facility",
    "local_id",
    "sink",
    "peer_ref",
    "kind",
    "host_facility",
    "kana",
    "birth_date",
    "sex",
    "professions",
    "status",
    "confirmed_by",
];

/// A row that was not taken. No patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedRow {
    /// From 1, header not counted.
    pub(super) row: usize,
    /// The rule.
    pub(super) code: Code,
    /// Why, in words.
    pub(super) reason: String,
}

/// The rows of a file, each with its number.
#[derive(Debug)]
pub(super) struct Rows<T> {
    /// Rows that can be read.
    pub(super) good: Vec<(usize, T)>,
    /// Rows that cannot.
    pub(super) refused: Vec<RefusedRow>,
}

/// Reads a file with exactly these columns.
///
/// # Errors
/// [`Refusal::Data`] when the file as a whole cannot be used.
pub(super) fn read<T: DeserializeOwned>(path: &Path, columns: &[&str]) -> Result<Rows<T>, Refusal> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| Refusal::Data(format!("{name}: {error}")))?;
    parse(&bytes, columns).map_err(|reason| Refusal::Data(format!("{name}: {reason}")))
}

/// The rows of a file's bytes; the error says why the file as a whole cannot be used.
fn parse<T: DeserializeOwned>(bytes: &[u8], columns: &[&str]) -> Result<Rows<T>, String> {
    let text = decode(bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::None)
        .from_reader(text.as_bytes());
    let head: csv::StringRecord = reader
        .headers()
        .map_err(|_| "the header cannot be read".to_owned())?
        .iter()
        .map(str::trim)
        .collect();
    check_head(&head, columns)?;
    let mut rows = Rows {
        good: Vec::new(),
        refused: Vec::new(),
    };
    for (at, record) in reader.records().enumerate() {
        let row = at + 1;
        let mut refuse = |reason: String| {
            rows.refused.push(RefusedRow {
                row,
                code: Code::CFG_CSV_ROW,
                reason,
            });
        };
        let Ok(record) = record else {
            refuse("the row cannot be read as CSV".to_owned());
            continue;
        };
        let record: csv::StringRecord = record.iter().map(str::trim).collect();
        // Spreadsheets leave empty rows at the end.
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() != head.len() {
            refuse(format!(
                "{} fields where the header has {}",
                record.len(),
                head.len()
            ));
            continue;
        }
        match record.deserialize(Some(&head)) {
            Ok(read) => rows.good.push((row, read)),
            Err(_) => refuse("the row cannot be read".to_owned()),
        }
    }
    Ok(rows)
}

/// The text of a file, or why it has none.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    if bytes.len() > MOST_BYTES {
        return Err("larger than 64 MiB");
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("the file is UTF-16; save it as \"CSV UTF-8\"");
    }
    let without_mark = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(without_mark) {
        return Ok(Cow::Borrowed(text));
    }
    encoding_rs::SHIFT_JIS
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or("the file is neither UTF-8 nor CP932 (Shift_JIS)")
}

/// Every column once and no other: a column left out by mistake would read as empty, and an empty
/// `withdrawn_on` is a valid consent.
fn check_head(head: &csv::StringRecord, columns: &[&str]) -> Result<(), String> {
    let count = |wanted: &str| head.iter().filter(|name| *name == wanted).count();
    let missing: Vec<&str> = columns
        .iter()
        .copied()
        .filter(|wanted| count(wanted) == 0)
        .collect();
    let unknown = head.iter().filter(|name| !columns.contains(name)).count();
    if missing.is_empty() && unknown == 0 {
        return match columns.iter().find(|wanted| count(wanted) > 1) {
            Some(twice) => Err(format!("the header has {twice} twice")),
            None => Ok(()),
        };
    }
    // A file without a header has a patient in its first line: unknown names are counted, not repeated.
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!("without {}", missing.join(", ")));
    }
    if unknown > 0 {
        wrong.push(format!("with {unknown} unknown columns"));
    }
    Err(format!(
        "a header {}; the columns are {}",
        wrong.join(" and "),
        columns.join(",")
    ))
}

/// The refused rows as CSV: `row,code,reason`.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_refused(path: &Path, refused: &[RefusedRow]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["row", "code", "reason"])?;
    for row in refused {
        writer.write_record([&row.row.to_string(), row.code.as_str(), &row.reason])?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::operator::{ChannelRow, ConsentRow};
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Pair {
        facility: String,
        local_id: String,
    }

    fn pairs(bytes: &[u8]) -> Result<Rows<Pair>, String> {
        parse(bytes, PEOPLE)
    }

    #[test]
    fn columns_are_found_by_name_with_and_without_bom() {
        for text in [
            "facility,local_id\r\n1319999999,0001\r\n",
            "\u{feff}local_id , facility\n0001,1319999999\n",
            "facility,local_id\n 1319999999 ,\"　0001 \"",
        ] {
            let rows = pairs(text.as_bytes()).unwrap();
            assert_eq!(rows.good.len(), 1, "{text}");
            let (row, pair) = &rows.good[0];
            assert_eq!((*row, pair.facility.as_str()), (1, "1319999999"));
            assert_eq!(pair.local_id, "0001", "leading zeros stay");
        }
    }

    #[test]
    fn a_consent_in_cp932_is_read() {
        let head = CONSENTS.join(",");
        let text = format!(
            "{head}\n1319999999,0001,ヤマモト キョウコ,1939-02-15,f,1,2027-01-05,本人,,,sink:mcs,*,連携,,,\n"
        );
        let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(&text);
        let rows: Rows<ConsentRow> = parse(&cp932, CONSENTS).unwrap();
        assert_eq!(rows.good[0].1.kana, "ヤマモト キョウコ");
        assert_eq!(rows.good[0].1.signer, "本人");
    }

    #[test]
    fn the_rows_know_all_columns_of_the_header() {
        let line = |columns: &[&str]| {
            format!(
                "{}\n{}\n",
                columns.join(","),
                columns
                    .iter()
                    .map(|name| format!("v-{name}"))
                    .collect::<Vec<_>>()
                    .join(",")
            )
        };
        let consents: Rows<ConsentRow> = parse(line(CONSENTS).as_bytes(), CONSENTS).unwrap();
        let back = serde_json::to_value(&consents.good[0].1).unwrap();
        let channels: Rows<ChannelRow> = parse(line(CHANNELS).as_bytes(), CHANNELS).unwrap();
        let other = serde_json::to_value(&channels.good[0].1).unwrap();
        for (value, columns) in [(back, CONSENTS), (other, CHANNELS)] {
            let fields = value.as_object().unwrap();
            assert_eq!(fields.len(), columns.len());
            for column in columns {
                assert_eq!(fields[*column], format!("v-{column}"));
            }
        }
    }

    #[test]
    fn the_examples_are_read() {
        let people = include_bytes!("../../../../../ops/example/people.csv");
        assert_eq!(pairs(people).unwrap().good.len(), 1);
        let consents = include_bytes!("../../../../../ops/example/consents.csv");
        let consents: Rows<ConsentRow> = parse(consents, CONSENTS).unwrap();
        assert_eq!(consents.good.len(), 1);
        let channels = include_bytes!("../../../../../ops/example/channels.csv");
        let channels: Rows<ChannelRow> = parse(channels, CHANNELS).unwrap();
        assert_eq!(channels.good.len(), 1);
    }

    #[test]
    fn a_wrong_header_refuses_the_file_and_repeats_nothing_of_it() {
        let wrong = |text: &str| pairs(text.as_bytes()).unwrap_err();
        assert!(wrong("facility\n1\n").contains("without local_id"));
        assert!(wrong("facility,local_id,name\n").contains("1 unknown"));
        assert!(wrong("facility,local_id,local_id\n").contains("local_id twice"));
        let headless = wrong("1319999999,0000123456\n1319999999,2\n");
        assert!(!headless.contains("0000123456"), "{headless}");
        assert!(wrong("").contains("without facility, local_id"));
    }

    #[test]
    fn bad_rows_are_numbered_and_the_others_stay() {
        let rows = pairs(b"facility,local_id\n1,2\n1\n,\n1,2,3\n3,4\n").unwrap();
        let numbers: Vec<usize> = rows.good.iter().map(|(row, _)| *row).collect();
        assert_eq!(numbers, [1, 5]);
        let refused: Vec<_> = rows
            .refused
            .iter()
            .map(|row| (row.row, row.reason.as_str()))
            .collect();
        assert_eq!(
            refused,
            [
                (2, "1 fields where the header has 2"),
                (4, "3 fields where the header has 2")
            ]
        );
    }

    #[test]
    fn other_encodings_are_named() {
        assert!(pairs(b"\xFF\xFEf\0").unwrap_err().contains("UTF-16"));
        assert!(
            pairs(b"facility,local_id\n\xFF\xFF,1\n")
                .unwrap_err()
                .contains("CP932")
        );
    }

    #[test]
    fn refused_rows_become_a_csv() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv.errors.csv");
        let row = RefusedRow {
            row: 2,
            code: Code::CFG_CSV_ROW,
            reason: "a, b".to_owned(),
        };
        write_refused(&path, &[row]).unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "row,code,reason\n2,RNK-CFG-006,\"a, b\"\n"
        );
    }
}
