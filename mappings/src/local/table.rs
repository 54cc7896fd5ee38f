//! Code tables: CSV files whose first column is what the source writes.

use std::collections::HashMap;

use renkei_core::limits;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns, from the first line that is no comment.
    pub columns: Vec<String>,
    /// The cells, one row per code, in the order of the file.
    pub rows: Vec<Vec<String>>,
    /// Lines before the header that begin with `#`, without it: origin, licence, version.
    pub remarks: Vec<String>,
    by_code: HashMap<String, usize>,
}

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Larger than the limit.
    #[error("a table has at most {} MiB", limits::TABLE_BYTES / (1024 * 1024))]
    TooLarge,
    /// There is no header.
    #[error("the table has no header line")]
    NoHeader,
    /// A row with another number of cells than the header.
    #[error("line {line} of the table has {cells} cells, its header has {columns}")]
    Width {
        /// Line of the file, from 1.
        line: u64,
        /// Cells there.
        cells: usize,
        /// Cells of the header.
        columns: usize,
    },
    /// The same code with different rows.
    #[error("line {line} of the table repeats a code with other cells")]
    Double {
        /// Line of the file, from 1.
        line: u64,
    },
    /// Not CSV at all.
    #[error("line {line} of the table is not CSV")]
    Csv {
        /// Line of the file, from 1.
        line: u64,
    },
}

impl Table {
    /// Reads a table from UTF-8 CSV (a byte order mark is passed over).
    ///
    /// # Errors
    /// The first line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        if text.len() > limits::TABLE_BYTES {
            return Err(TableError::TooLarge);
        }
        let mut rest = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut remarks = Vec::new();
        while let Some(line) = rest.strip_prefix('#') {
            let end = line.find('\n').unwrap_or(line.len());
            remarks.push(line[..end].trim().to_owned());
            rest = line.get(end + 1..).unwrap_or("");
        }
        let skipped = remarks.len() as u64;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(rest.as_bytes());
        let mut table = Self {
            columns: Vec::new(),
            rows: Vec::new(),
            remarks,
            by_code: HashMap::new(),
        };
        for record in reader.records() {
            let record = record.map_err(|error| TableError::Csv {
                line: skipped + error.position().map_or(0, csv::Position::line),
            })?;
            let line = skipped + record.position().map_or(0, csv::Position::line);
            table.take(record.iter().map(str::to_owned).collect(), line)?;
        }
        if table.columns.is_empty() {
            return Err(TableError::NoHeader);
        }
        Ok(table)
    }

    /// Rows for printing only: codes may repeat, none can be looked up.
    pub fn sheet(columns: Vec<String>, rows: Vec<Vec<String>>) -> Self {
        Self {
            columns,
            rows,
            remarks: Vec::new(),
            by_code: HashMap::new(),
        }
    }

    /// A table of two columns, as it stands inside a mapping.
    pub(crate) fn of_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let rows: Vec<Vec<String>> = pairs.into_iter().map(|(code, to)| vec![code, to]).collect();
        let by_code = rows
            .iter()
            .enumerate()
            .map(|(at, row)| (row[0].clone(), at))
            .collect();
        Self {
            columns: vec!["code".to_owned(), "to".to_owned()],
            rows,
            remarks: Vec::new(),
            by_code,
        }
    }

    fn take(&mut self, cells: Vec<String>, line: u64) -> Result<(), TableError> {
        if cells.iter().all(String::is_empty) {
            return Ok(());
        }
        if self.columns.is_empty() {
            self.columns = cells;
            return Ok(());
        }
        if cells.len() != self.columns.len() {
            return Err(TableError::Width {
                line,
                cells: cells.len(),
                columns: self.columns.len(),
            });
        }
        match self.by_code.get(&cells[0]) {
            Some(known) if self.rows[*known] == cells => {}
            Some(_) => return Err(TableError::Double { line }),
            None => {
                self.by_code.insert(cells[0].clone(), self.rows.len());
                self.rows.push(cells);
            }
        }
        Ok(())
    }

    /// The place of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The row of a code.
    pub fn row(&self, code: &str) -> Option<&[String]> {
        self.by_code.get(code).map(|at| self.rows[*at].as_slice())
    }

    /// The table as the CSV it is read from.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        for remark in &self.remarks {
            text.push_str("# ");
            text.push_str(remark);
            text.push('\n');
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            // Writing into memory does not fail.
            let _ = writer.write_record(row);
        }
        let bytes = writer.into_inner().unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&bytes));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_header_rows() {
        let text = "\u{FEFF}# origin: ours\n# version: 1\ncode,jlac10,name\n 10230 ,3A015000002327101,アルブミン\n\n10230,3A015000002327101,アルブミン\n";
        let table = Table::parse(text).expect("a table");
        assert_eq!(table.remarks, ["origin: ours", "version: 1"]);
        assert_eq!(table.column("name"), Some(2));
        assert_eq!(
            table.row("10230").map(|row| row[1].as_str()),
            Some("3A015000002327101")
        );
        assert_eq!(table.row("x"), None);
        assert_eq!(Table::parse(&table.to_csv()), Ok(table));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        assert_eq!(Table::parse("# only\n"), Err(TableError::NoHeader));
        assert_eq!(
            Table::parse("# r\na,b\n1\n"),
            Err(TableError::Width {
                line: 3,
                cells: 1,
                columns: 2
            })
        );
        assert_eq!(
            Table::parse("a,b\n1,2\n1,3\n"),
            Err(TableError::Double { line: 3 })
        );
    }
}
