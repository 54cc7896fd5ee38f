//! Excel workbooks: a named sheet, a header row, dates as dates.

use std::borrow::Cow;
use std::io::Cursor;
use std::panic::catch_unwind;

use calamine::{Data, DataRef, Reader as _, Xlsx};
use renkei_core::{Finding, limits};

use super::super::split::MARK;
use super::decode::Encoding;
use super::rows::{Delimited, Rows};
use super::{Unusable, refuse};

/// A sheet of a workbook, laid out like a delimited file.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    /// The first one when not named.
    pub(crate) name: Option<String>,
    pub(crate) layout: Delimited,
}

/// How large a workbook may be unpacked.
const UNPACKED_BYTES: u64 = 512 * 1024 * 1024;

/// A sheet of a workbook as CSV text, the first one when not named; `None` when there is no such sheet.
pub fn workbook_as_csv(bytes: &[u8], name: Option<&str>) -> Option<String> {
    let sheet = Sheet {
        name: name.map(str::to_owned),
        layout: Delimited {
            delimiter: b',',
            header: 1,
            by_name: true,
            ragged: true,
            columns: Vec::new(),
        },
    };
    sheet
        .as_csv(bytes)
        .ok()
        .and_then(|csv| String::from_utf8(csv).ok())
}

impl Sheet {
    /// Reads all rows.
    pub(crate) fn read(&self, bytes: &[u8], findings: &mut Vec<Finding>) -> Result<Rows, Unusable> {
        let csv = self.as_rows(bytes)?;
        self.layout.read(&csv, Encoding::Utf8, findings)
    }

    /// The sheet as CSV; a part that was cut from one is that already.
    pub(crate) fn as_rows<'b>(&self, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, Unusable> {
        if bytes.starts_with(MARK) {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut marked = MARK.to_vec();
        marked.extend(self.as_csv(bytes)?);
        Ok(Cow::Owned(marked))
    }

    /// The sheet as CSV. The reader of workbooks counts without looking, and is built to stop where a number
    /// of a broken one is too large (`Cargo.toml`): that is a workbook that cannot be read.
    fn as_csv(&self, bytes: &[u8]) -> Result<Vec<u8>, Unusable> {
        catch_unwind(|| self.cells_as_csv(bytes)).unwrap_or_else(|_| Err(refuse("workbook")))
    }

    /// Line for row, so that places in findings are those Excel shows.
    fn cells_as_csv(&self, bytes: &[u8]) -> Result<Vec<u8>, Unusable> {
        if unpacked_size(bytes).is_none_or(|size| size > UNPACKED_BYTES) {
            return Err(refuse("workbook"));
        }
        let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|_| refuse("workbook"))?;
        let first = book.sheet_names().first().cloned();
        let name = self
            .name
            .clone()
            .or(first)
            .ok_or_else(|| refuse("workbook"))?;
        let mut cells = book
            .worksheet_cells_reader(&name)
            .map_err(|_| refuse("sheet"))?;
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(Vec::new());
        let mut row: Vec<String> = Vec::new();
        let mut current = 0;
        let mut bytes = 0;
        while let Some(cell) = cells.next_cell().map_err(|_| refuse("sheet"))? {
            let (line, column) = cell.get_position();
            let value = text(cell.get_value().clone());
            let is_beyond = column as usize >= limits::LOCAL_COLUMNS;
            if is_beyond && value.is_empty() {
                continue;
            }
            // Cells stand in their order; a file that says otherwise, or names one twice, is not believed.
            let is_next = line > current || (line == current && column as usize >= row.len());
            if is_beyond || !is_next {
                return Err(refuse("sheet"));
            }
            // Rows without a cell are not in the file; a few are filled, so that line numbers stay right.
            bytes += (line - current) as usize;
            bytes += value.len() + 1;
            if bytes > limits::LOCAL_INPUT_BYTES {
                return Err(refuse("sheet"));
            }
            while current < line {
                finish(&mut writer, &mut row);
                current += 1;
            }
            while row.len() < column as usize {
                row.push(String::new());
            }
            row.push(value);
        }
        finish(&mut writer, &mut row);
        writer.into_inner().map_err(|_| refuse("sheet"))
    }
}

/// Writes a row; an empty one keeps its line.
fn finish(writer: &mut csv::Writer<Vec<u8>>, row: &mut Vec<String>) {
    if row.is_empty() {
        row.push(String::new());
    }
    // Writing into memory does not fail.
    let _ = writer.write_record(&*row);
    row.clear();
}

fn text(value: DataRef<'_>) -> String {
    match Data::from(value) {
        Data::Empty | Data::Error(_) => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text,
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(flag) => if flag { "1" } else { "0" }.to_owned(),
        Data::DateTime(at) => {
            let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
            if at.is_duration() {
                format!("{hour:02}:{minute:02}:{second:02}")
            } else if (hour, minute, second) == (0, 0, 0) {
                format!("{year:04}-{month:02}-{day:02}")
            } else if year < 1901 {
                format!("{hour:02}:{minute:02}:{second:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
            }
        }
    }
}

/// The sum of the sizes a zip archive says its members have; `None` when it is no archive.
fn unpacked_size(bytes: &[u8]) -> Option<u64> {
    const END: [u8; 4] = *b"PK\x05\x06";
    const ENTRY: [u8; 4] = *b"PK\x01\x02";
    let tail = bytes.len().saturating_sub(66_000);
    let end = tail + bytes[tail..].windows(4).rposition(|window| window == END)?;
    let number = |at: usize, size: usize| -> Option<usize> {
        let part = bytes.get(at..at + size)?;
        Some(
            part.iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let entries = number(end + 10, 2)?;
    let mut at = number(end + 16, 4)?;
    let mut sum: u64 = 0;
    for _ in 0..entries {
        if bytes.get(at..at + 4)? != ENTRY {
            return None;
        }
        sum = sum.saturating_add(number(at + 24, 4)? as u64);
        at += 46 + number(at + 28, 2)? + number(at + 30, 2)? + number(at + 32, 2)?;
    }
    Some(sum)
}
