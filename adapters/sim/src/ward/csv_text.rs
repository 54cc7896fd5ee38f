//! CSV in the encoding of the profile.

use std::io;

use encoding_rs::SHIFT_JIS;

use super::Encoding;

/// Rows under exactly this header, or the code of what is wrong.
pub(super) fn read(
    bytes: &[u8],
    header: &[&str],
    encoding: Encoding,
) -> Result<Vec<Vec<String>>, &'static str> {
    let text = match encoding {
        Encoding::Utf8 if bytes.starts_with(b"\xEF\xBB\xBF") => return Err("bad_encoding"),
        Encoding::Utf8 => std::str::from_utf8(bytes)
            .map_err(|_| "bad_encoding")?
            .to_owned(),
        Encoding::Ms932 => {
            let text = SHIFT_JIS
                .decode_without_bom_handling_and_without_replacement(bytes)
                .ok_or("bad_encoding")?;
            // Private use characters are gaiji: outside the profile.
            if text
                .chars()
                .any(|character| ('\u{E000}'..='\u{F8FF}').contains(&character))
            {
                return Err("bad_encoding");
            }
            text.into_owned()
        }
    };
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    if reader.headers().map_err(|_| "bad_manifest")? != header {
        return Err("bad_manifest");
    }
    let rows = reader.records().map(|record| {
        let record = record.map_err(|_| "bad_manifest")?;
        Ok(record.iter().map(str::to_owned).collect())
    });
    rows.collect()
}

/// Rows under a header, lines ended by CRLF. Characters MS932 lacks become 〓.
pub(super) fn write(
    header: &[&str],
    rows: &[Vec<String>],
    encoding: Encoding,
) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(header).map_err(io::Error::other)?;
    for row in rows {
        writer.write_record(row).map_err(io::Error::other)?;
    }
    let text = writer
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))?;
    if encoding == Encoding::Utf8 {
        return Ok(text);
    }
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        let mut buffer = [0; 4];
        let (encoded, _, unknown) = SHIFT_JIS.encode(character.encode_utf8(&mut buffer));
        let (replacement, _, _) = SHIFT_JIS.encode("〓");
        bytes.extend_from_slice(if unknown { &replacement } else { &encoded });
    }
    Ok(bytes)
}
