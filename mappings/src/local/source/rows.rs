//! Rows and cells: CSV, TSV, and what fixed-width records and sheets become.

use renkei_core::{Code, Finding, MapError, Severity, limits};
use unicode_normalization::UnicodeNormalization;

use super::decode::{self, Encoding, State};
use super::odd::Odd;
use super::{Unusable, refuse};

/// All rows of an input, decoded, in one text.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    width: usize,
    text: String,
    /// Where each cell ends in the text.
    ends: Vec<u32>,
    /// The line (or record) of the input each row begins at.
    lines: Vec<u32>,
    /// Columns of the input that hold data but have no name in the mapping, from 1.
    pub(crate) unnamed: Vec<usize>,
    /// What stands before the first row, in bytes of the input.
    pub(crate) head: usize,
    /// Bytes and line (or record) of what was no row.
    pub(crate) lost: Vec<((u32, u32), u32)>,
    /// The bytes each row was made of, first and one past the last, in the order of the rows.
    pieces: Vec<(u32, u32)>,
    /// How many of them there are up to the end of each row.
    piece_ends: Vec<u32>,
    /// Where reading ended, in bytes of the input; before its end only when more was said to follow.
    pub(crate) tail: usize,
    /// Fixed records there were, whatever became of them.
    pub(crate) records: u32,
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// One cell; blanks at its ends were left out when it was written.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        if column >= self.width {
            return "";
        }
        let at = row * self.width + column;
        if at >= self.ends.len() {
            return "";
        }
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]) as usize;
        &self.text[start..self.ends[at] as usize]
    }

    /// Where a row stands in the input.
    pub(crate) fn line(&self, row: usize) -> u32 {
        self.lines.get(row).copied().unwrap_or(0)
    }

    /// Whether any row has something in a column.
    pub(crate) fn has_data(&self, column: usize) -> bool {
        (0..self.len()).any(|row| !self.cell(row, column).is_empty())
    }

    /// How many rows have something in a column.
    pub(crate) fn filled(&self, column: usize) -> usize {
        (0..self.len())
            .filter(|row| !self.cell(*row, column).is_empty())
            .count()
    }

    /// Says which bytes the row being written is made of.
    pub(crate) fn made_of(&mut self, start: usize, end: usize) {
        self.pieces.push((short(start), short(end)));
    }

    /// Says which bytes were no row.
    pub(crate) fn lose(&mut self, start: usize, end: usize, line: u32) {
        self.lost.push(((short(start), short(end)), line));
    }

    /// The bytes a row was made of.
    pub(crate) fn bytes_of(&self, row: usize) -> &[(u32, u32)] {
        let end = |row: usize| self.piece_ends.get(row).copied().unwrap_or(0) as usize;
        let start = row.checked_sub(1).map_or(0, end);
        self.pieces.get(start..end(row)).unwrap_or_default()
    }

    /// Appends a cell of the row that is being written.
    pub(crate) fn push_cell(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.end_cell();
    }

    /// Ends the row; `false` when the limit of a text is reached.
    pub(crate) fn end_row(&mut self, line: u32) {
        self.lines.push(line);
        self.piece_ends
            .push(u32::try_from(self.pieces.len()).unwrap_or(u32::MAX));
        while self.ends.len() < self.lines.len() * self.width {
            self.end_cell();
        }
    }

    fn end_cell(&mut self) {
        let start = self.ends.last().copied().unwrap_or(0) as usize;
        let cell = &self.text[start..];
        // Most cells are printable at both ends, which is cheaper to see than white space of any kind.
        let is_bare = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
        if !is_bare(cell.as_bytes().first()) || !is_bare(cell.as_bytes().last()) {
            let end = start + cell.trim_end().len();
            self.text.truncate(end);
            let ahead = end - start - self.text[start..].trim_start().len();
            self.text.drain(start..start + ahead);
        }
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }
}

fn short(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// How a delimited file is laid out.
#[derive(Debug, Clone)]
pub(crate) struct Delimited {
    pub(crate) delimiter: u8,
    /// Lines before the first row.
    pub(crate) header: usize,
    /// The last header line names the columns.
    pub(crate) by_name: bool,
    /// Rows may be shorter than the layout.
    pub(crate) ragged: bool,
    pub(crate) columns: Vec<Column>,
}

/// One column as the mapping knows it.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name in expressions; `None` for a place without a name.
    pub(crate) name: Option<String>,
    /// What its header says; empty when the file does not have it.
    pub(crate) header: String,
}

/// The name under which headers are compared.
pub(crate) fn header_key(text: &str) -> String {
    text.nfkc().filter(|sign| !sign.is_whitespace()).collect()
}

impl Delimited {
    /// Reads all rows; what is wrong with single rows is a finding.
    pub(crate) fn read(
        &self,
        bytes: &[u8],
        encoding: Encoding,
        findings: &mut Vec<Finding>,
    ) -> Result<Rows, Unusable> {
        let mut odd = Odd::default();
        let rows = self.read_piece(bytes, encoding, false, &mut odd)?;
        odd.into(findings);
        Ok(rows)
    }

    /// Where the rows begin; `None` when the header is not whole.
    pub(crate) fn head(&self, body: &[u8]) -> Option<usize> {
        let mut records = Records::new(body, self.delimiter);
        for _ in 0..self.header {
            records.read(&mut csv::ByteRecord::new())?;
        }
        let end = records.end();
        let is_cut = body.get(end) == Some(&b'\n') && body[..end].ends_with(b"\r");
        Some(end + usize::from(is_cut))
    }

    /// Reads the rows of a piece of a file that begins with its header. When more follows it, a last record
    /// whose quote is open is left for the next piece; one as long as the piece is not.
    pub(crate) fn read_piece(
        &self,
        bytes: &[u8],
        encoding: Encoding,
        more_follows: bool,
        findings: &mut Odd,
    ) -> Result<Rows, Unusable> {
        let (body, decoder, state) = decode::open(bytes, encoding);
        if state == State::Broken {
            findings.push(|| Finding::new(Code::CHARSET_UNDECODABLE, Severity::Warning, "row 1"));
        }
        let mut records = Records::new(&body, self.delimiter);
        let mut places: Vec<Option<usize>> = (0..self.columns.len()).map(Some).collect();
        let mut width = self.columns.len();
        for number in 1..=self.header {
            let mut record = csv::ByteRecord::new();
            if records.read(&mut record).is_none() {
                return Err(refuse("row 1"));
            }
            if self.by_name && number == self.header {
                let (charset, _) = decoder.of_row(record.as_slice());
                let names: Vec<String> = record
                    .iter()
                    .map(|cell| {
                        let mut text = String::new();
                        decode::push(cell, charset, &mut text);
                        header_key(&text)
                    })
                    .collect();
                places = self.places(&names, findings)?;
                width = names.len();
            }
        }
        let mut rows = Rows::new(self.columns.len());
        rows.head = records.end();
        // For each column of the file whether the mapping has a name for it, or data was seen in it.
        let mut known: Vec<bool> = vec![false; width];
        for place in places.iter().flatten() {
            if let Some(known) = known.get_mut(*place) {
                *known = true;
            }
        }
        rows.tail = body.len();
        let mut record = csv::ByteRecord::new();
        let mut is_first = true;
        while let Some(line) = records.read(&mut record) {
            let (start, end) = records.bytes();
            let may_go_on = more_follows && !std::mem::take(&mut is_first);
            if may_go_on && records.end() == body.len() && is_open(&body[start..end]) {
                rows.tail = start;
                break;
            }
            if rows.ends.len() + rows.lost.len() > limits::LOCAL_CELLS {
                return Err(Unusable(MapError {
                    code: Code::MAP_LIMIT,
                    at: format!("row {line}"),
                }));
            }
            if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            let has_swallowed = self.has_swallowed(&body[start..end], width);
            if has_swallowed || !self.fits(&record, width) {
                let cells = record.len();
                // A quote opened and never closed: only its line is lost.
                let restarts = records.restart_behind_line();
                let end = if restarts { records.end() } else { end };
                rows.lose(start, end, line);
                findings.push(|| {
                    let text = if has_swallowed {
                        "a quote is opened in the row and not closed".to_owned()
                    } else {
                        format!("the row has {cells} cells, the layout {width}")
                    };
                    Finding::new(Code::MAP_ROW_SHAPE, Severity::Error, format!("row {line}"))
                        .saying(text)
                });
                continue;
            }
            rows.made_of(start, end);
            let (charset, mut state) = decoder.guess(record.as_slice());
            for place in &places {
                let cell = place.and_then(|at| record.get(at)).unwrap_or(b"");
                if !decode::push(cell, charset, &mut rows.text) {
                    state = State::Broken;
                }
                rows.end_cell();
            }
            let code = match state {
                State::Clean => None,
                State::Other => Some(Code::CHARSET_MISMATCH),
                State::Broken => Some(Code::CHARSET_UNDECODABLE),
            };
            if let Some(code) = code {
                findings.push(|| Finding::new(code, Severity::Warning, format!("row {line}")));
            }
            for (at, cell) in record.iter().enumerate().take(width) {
                if !known[at] && !cell.trim_ascii().is_empty() {
                    known[at] = true;
                    rows.unnamed.push(at + 1);
                }
            }
            rows.end_row(line);
        }
        rows.unnamed.sort_unstable();
        Ok(rows)
    }

    /// Where each column of the mapping stands in the file.
    fn places(&self, names: &[String], findings: &mut Odd) -> Result<Vec<Option<usize>>, Unusable> {
        let mut places = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let key = header_key(&column.header);
            let place = names
                .iter()
                .position(|name| *name == key && !key.is_empty());
            if place.is_none() && !key.is_empty() {
                findings.push(|| {
                    let text = format!("the file has no column `{}`", column.header);
                    let at = format!("row {}", self.header);
                    Finding::new(Code::MAP_COLUMN_MISSING, Severity::Error, at).saying(text)
                });
            }
            places.push(place);
        }
        if places.iter().all(Option::is_none) {
            return Err(refuse(&format!("row {}", self.header)));
        }
        Ok(places)
    }

    /// Whether a record runs over lines of which one would be a row by itself: then a quote was opened that
    /// nobody closed, and other patients' rows look like the text of one cell.
    fn has_swallowed(&self, record: &[u8], width: usize) -> bool {
        let mut lines = record.split(|byte| *byte == b'\n').skip(1);
        let cells = |line: &[u8]| 1 + line.iter().filter(|byte| **byte == self.delimiter).count();
        width > 1 && lines.any(|line| cells(line) == width)
    }

    fn fits(&self, record: &csv::ByteRecord, width: usize) -> bool {
        let cells = record.len();
        let surplus_is_blank = || {
            record
                .iter()
                .skip(width)
                .all(|cell| cell.trim_ascii().is_empty())
        };
        cells <= limits::LOCAL_COLUMNS
            && (cells == width
                || (cells < width && self.ragged)
                || (cells > width && surplus_is_blank()))
    }
}

/// Whether a record ends inside quotes, as far as their number tells.
fn is_open(record: &[u8]) -> bool {
    record.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}

/// Records of a delimited file with the line they begin at.
struct Records<'b> {
    body: &'b [u8],
    /// Bytes and lines passed over before the reader began.
    offset: usize,
    lines: u64,
    reader: csv::Reader<&'b [u8]>,
    delimiter: u8,
    /// Where the last record began, within the reader.
    last: usize,
    last_line: u64,
}

impl<'b> Records<'b> {
    fn new(body: &'b [u8], delimiter: u8) -> Self {
        Self {
            body,
            offset: 0,
            lines: 0,
            reader: Self::reader(body, delimiter),
            delimiter,
            last: 0,
            last_line: 1,
        }
    }

    fn reader(body: &'b [u8], delimiter: u8) -> csv::Reader<&'b [u8]> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(body)
    }

    /// Reads the next record over the last one; gives its line.
    fn read(&mut self, record: &mut csv::ByteRecord) -> Option<u32> {
        match self.reader.read_byte_record(record) {
            Ok(true) => {}
            // Reading from memory with flexible widths does not fail.
            Ok(false) | Err(_) => return None,
        }
        let position = record.position();
        self.last = position.map_or(0, |at| usize::try_from(at.byte()).unwrap_or(0));
        // The reader counts what ends a line, and blank lines, to the record that follows.
        let before = self.body.get(self.offset + self.last..).unwrap_or(b"");
        let ends = before
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let skipped = ends.filter(|byte| **byte == b'\n').count() as u64;
        self.last_line = self.lines + position.map_or(0, csv::Position::line) + skipped;
        Some(u32::try_from(self.last_line).unwrap_or(u32::MAX))
    }

    /// Where the last record ends in the body, or the reader begins anew; 0 before the first.
    fn end(&self) -> usize {
        let end = self.offset + usize::try_from(self.reader.position().byte()).unwrap_or(0);
        end.min(self.body.len())
    }

    /// First byte of the last record and one past its last, line ends aside.
    fn bytes(&self) -> (usize, usize) {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let (start, end) = (self.offset + self.last, self.end());
        let record = self.body.get(start..end).unwrap_or(b"");
        let skip = record
            .iter()
            .position(|byte| !is_end(byte))
            .unwrap_or(record.len());
        let behind = record
            .iter()
            .rev()
            .position(|byte| !is_end(byte))
            .unwrap_or(0);
        (start + skip, (end - behind).max(start + skip))
    }

    /// When the last record ran over several lines, begins anew behind its first one.
    fn restart_behind_line(&mut self) -> bool {
        let start = self.offset + self.last;
        let end = self.offset + usize::try_from(self.reader.position().byte()).unwrap_or(0);
        let record = self
            .body
            .get(start..end.min(self.body.len()))
            .unwrap_or(b"");
        // The reader counts the line end that follows a record to the next one.
        let begins = record
            .iter()
            .position(|byte| !matches!(byte, b'\r' | b'\n'))
            .unwrap_or(0);
        let Some(line_end) = record[begins..].iter().position(|byte| *byte == b'\n') else {
            return false;
        };
        let next = start + begins + line_end + 1;
        if next >= end {
            return false;
        }
        self.offset = next;
        self.lines = self.last_line;
        self.reader = Self::reader(&self.body[next..], self.delimiter);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(columns: &[&str], header: usize) -> Delimited {
        Delimited {
            delimiter: b',',
            header,
            by_name: header > 0,
            ragged: false,
            columns: columns
                .iter()
                .map(|name| Column {
                    name: Some((*name).to_owned()),
                    header: (*name).to_owned(),
                })
                .collect(),
        }
    }

    fn read(layout: &Delimited, text: &str) -> (Vec<Vec<String>>, Vec<String>) {
        let mut findings = Vec::new();
        let rows = layout
            .read(text.as_bytes(), Encoding::Utf8, &mut findings)
            .expect("usable");
        let cells = (0..rows.len())
            .map(|row| {
                (0..layout.columns.len())
                    .map(|column| rows.cell(row, column).to_owned())
                    .collect()
            })
            .collect();
        let findings = findings
            .iter()
            .map(|found| format!("{} {}", found.code, found.at))
            .collect();
        (cells, findings)
    }

    #[test]
    fn columns_are_found_by_their_header_in_any_order() {
        let (rows, findings) = read(
            &layout(&["a", "b"], 1),
            "ｂ, a ,c\r\n1,2,3\r\n\r\n4,\" x,\"\"y\",6\n",
        );
        assert_eq!(rows, [["2", "1"], ["x,\"y", "4"]]);
        assert!(findings.is_empty());
    }

    #[test]
    fn rows_of_another_shape_are_reported_and_the_others_go_on() {
        let text = "a,b\n1,2\n3\n4,5,6\n7,8,\n\"open,9\n10,11\n12,13\n";
        let (rows, findings) = read(&layout(&["a", "b"], 1), text);
        assert_eq!(rows, [["1", "2"], ["7", "8"], ["10", "11"], ["12", "13"]]);
        assert_eq!(
            findings,
            [
                "RNK-MAP-120 row 3",
                "RNK-MAP-120 row 4",
                "RNK-MAP-120 row 6"
            ]
        );
    }

    #[test]
    fn missing_columns_are_named_and_a_foreign_file_is_refused() {
        let (rows, findings) = read(&layout(&["a", "z"], 1), "a,b\n1,2\n");
        assert_eq!(rows, [["1", ""]]);
        assert_eq!(findings, ["RNK-MAP-121 row 1"]);
        let mut findings = Vec::new();
        assert!(
            layout(&["x"], 1)
                .read(b"a,b\n1,2\n", Encoding::Utf8, &mut findings)
                .is_err()
        );
        assert!(
            layout(&["x"], 1)
                .read(b"", Encoding::Utf8, &mut findings)
                .is_err()
        );
    }
}
