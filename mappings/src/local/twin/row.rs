//! The rows of a laboratory's file, decoded and split.

use std::borrow::Cow;

use encoding_rs::SHIFT_JIS;

use crate::local::function::narrowed;
use crate::local::split::MARK;

/// The columns, as the file heads them.
pub(super) const COLUMNS: [&str; 25] = [
    "患者番号",
    "氏名",
    "カナ",
    "生年月日",
    "性別",
    "オーダ番号",
    "採取日",
    "採取時刻",
    "報告日時",
    "材料コード",
    "材料名",
    "項目コード",
    "項目名",
    "JLAC10",
    "結果",
    "形",
    "単位",
    "基準",
    "下限",
    "上限",
    "フラグ",
    "状態",
    "コメント",
    "ラボ",
    "ラボ名",
];

/// Places in [`COLUMNS`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    LocalId,
    Kanji,
    Kana,
    Birth,
    Sex,
    Order,
    Day,
    Clock,
    Reported,
    Material,
    MaterialName,
    Item,
    ItemName,
    Jlac10,
    Result,
    Form,
    Unit,
    Range,
    Low,
    High,
    Flag,
    State,
    Comment,
    Lab,
    LabName,
}

/// One row of the file.
pub(super) struct Row<'t> {
    pub(super) cells: [&'t str; COLUMNS.len()],
    pub(super) line: u32,
    /// JLAC10, of the row itself or by the table of local codes.
    pub(super) jlac10: &'t str,
    /// As `lab_kind` says it.
    pub(super) kind: &'static str,
}

impl<'t> Row<'t> {
    pub(super) fn get(&self, column: Column) -> &'t str {
        self.cells[column as usize]
    }

    /// The first of these columns that holds something.
    pub(super) fn first(&self, columns: &[Column]) -> &'t str {
        let mut cells = columns.iter().map(|column| self.get(*column));
        cells.find(|cell| !cell.is_empty()).unwrap_or("")
    }

    pub(super) fn order(&self) -> Cow<'t, str> {
        match (self.get(Column::Order), self.get(Column::Day)) {
            ("", "") => Cow::Borrowed(self.get(Column::Clock)),
            ("", day) if self.get(Column::Clock).is_empty() => Cow::Borrowed(day),
            ("", day) => Cow::Owned([day, " ", self.get(Column::Clock)].concat()),
            (order, _) => Cow::Borrowed(order),
        }
    }

    pub(super) fn is_taken_back(&self) -> bool {
        matches!(self.get(Column::State), "D" | "W")
    }

    pub(super) fn is_preliminary(&self) -> bool {
        matches!(
            self.get(Column::State),
            "P" | "R" | "S" | "I" | "O" | "中間"
        )
    }

    pub(super) fn is_critical(&self) -> bool {
        let flag = narrowed(self.get(Column::Flag));
        ["HH", "LL", "AA"]
            .iter()
            .any(|alarm| flag.eq_ignore_ascii_case(alarm))
    }

    pub(super) fn place(&self, column: Column) -> String {
        format!("row {} column {}", self.line, COLUMNS[column as usize])
    }
}

pub(super) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => SHIFT_JIS.decode_without_bom_handling(bytes).0,
    }
}

/// The records with the line each begins at.
pub(super) fn records(text: &str) -> Vec<(csv::StringRecord, u32)> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut all = Vec::new();
    let mut record = csv::StringRecord::new();
    while matches!(reader.read_record(&mut record), Ok(true)) {
        let (at, line) = record
            .position()
            .map_or((0, 1), |at| (at.byte(), at.line()));
        // What ends a line is counted to the record that follows it.
        let before = text
            .as_bytes()
            .iter()
            .skip(usize::try_from(at).unwrap_or(0));
        let ends = before.take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let line = line + ends.filter(|byte| **byte == b'\n').count() as u64;
        all.push((record.clone(), u32::try_from(line).unwrap_or(u32::MAX)));
    }
    all
}
