//! CSV files of W1 in the profile's encoding (RFC 4180, CRLF).

use encoding_rs::SHIFT_JIS;

use super::config::Encoding;

/// A file with a header line. Text was brought into the encoding's characters before.
pub(super) fn write<T: AsRef<[u8]>>(
    header: &[&str],
    rows: &[Vec<T>],
    encoding: Encoding,
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(match encoding {
        Encoding::Utf8 => bytes,
        Encoding::Ms932 => SHIFT_JIS
            .encode(&String::from_utf8_lossy(&bytes))
            .0
            .into_owned(),
    })
}

const BREAKS: [char; 2] = ['\r', '\n'];

/// A row by column name, with the text it was read from.
pub(super) struct Row {
    columns: Vec<(String, String)>,
    /// Header line and row as they stand in the file, each ended by CRLF: the same wherever in the
    /// file the row stands.
    pub(super) raw: String,
}

impl Row {
    /// A column; empty when the file has none of that name.
    pub(super) fn get(&self, name: &str) -> &str {
        let column = self.columns.iter().find(|(known, _)| known == name);
        column.map_or("", |(_, value)| value)
    }
}

/// The rows of a file; `None` when it is not a table in this encoding.
pub(super) fn read(bytes: &[u8], encoding: Encoding) -> Option<Vec<Row>> {
    let text = match encoding {
        Encoding::Utf8 => std::str::from_utf8(bytes).ok()?.to_owned(),
        Encoding::Ms932 => SHIFT_JIS
            .decode_without_bom_handling_and_without_replacement(bytes)?
            .into_owned(),
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    let place = |byte: u64| usize::try_from(byte).ok();
    let head = text.get(..place(reader.position().byte())?)?;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let start = place(reader.position().byte())?;
        if !reader.read_record(&mut record).ok()? {
            return Some(rows);
        }
        let own = text.get(start..place(reader.position().byte())?)?;
        rows.push(Row {
            columns: header
                .iter()
                .cloned()
                .zip(record.iter().map(str::to_owned))
                .collect(),
            raw: format!(
                "{}\r\n{}\r\n",
                head.trim_matches(BREAKS),
                own.trim_matches(BREAKS)
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_own_text() {
        let rows = [vec!["1", "改行\nあり"], vec!["2", "表"]];
        for encoding in [Encoding::Ms932, Encoding::Utf8] {
            let bytes = write(&["id", "text"], &rows, encoding).unwrap();
            let read = read(&bytes, encoding).unwrap();
            assert_eq!(read[0].get("text"), "改行\nあり");
            assert_eq!(read[1].raw, "id,text\r\n2,表\r\n");
            assert_eq!(read[1].get("nothing"), "");
        }
        assert!(read(b"id\r\n\x82", Encoding::Ms932).is_none());
        assert!(read(b"id\r\n\xff", Encoding::Utf8).is_none());
    }
}
