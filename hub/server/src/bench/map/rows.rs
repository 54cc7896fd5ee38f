//! The file of the bench: rows of a laboratory as its centre would send them, about invented people.
//!
//! CP932 in the layout of `builtin/lab-csv`, patient after patient, two orders of twenty rows each. Of a
//! hundred rows two have a code that no table knows, one a unit without UCUM code, ten are flagged, and one in
//! five hundred is critical.

use std::fmt::Write as _;

use renkei_sim::hospital::Person;

use crate::load::dice::{For, roll};

const HEAD: &str = "患者番号,氏名,カナ,生年月日,性別,オーダ番号,採取日,採取時刻,報告日時,材料コード,材料名,\
                    項目コード,項目名,JLAC10,結果,形,単位,基準,下限,上限,フラグ,状態,コメント,ラボ,ラボ名\r\n";
/// Rows of one order.
pub(super) const ORDER_ROWS: usize = 20;
/// Rows of one patient.
pub(super) const PATIENT_ROWS: usize = 2 * ORDER_ROWS;
/// Number of the first invented person; others than those of the other benches.
const FIRST_PERSON: u64 = 200_001;

/// One item: local code, name, JLAC10, unit, limits in hundredths.
type Item = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u64,
    u64,
);

const ITEMS: [Item; ORDER_ROWS] = [
    ("10230", "アルブミン", "3A015000002327101", "g/dL", 380, 520),
    ("10210", "総蛋白", "3A010000002327101", "g/dL", 660, 810),
    ("10555", "CRP", "5C070000002306201", "mg/dL", 0, 30),
    ("10310", "AST(GOT)", "3B035000002327201", "U/L", 1300, 3000),
    ("10320", "ALT(GPT)", "3B045000002327201", "U/L", 700, 3000),
    ("10330", "γ-GT", "3B090000002327101", "U/L", 900, 3200),
    (
        "10340",
        "総ビリルビン",
        "3J010000002327101",
        "mg/dL",
        40,
        150,
    ),
    ("10410", "尿素窒素", "3C025000002327101", "mg/dL", 800, 2000),
    (
        "10420",
        "クレアチニン",
        "3C015000002327101",
        "mg/dL",
        46,
        79,
    ),
    ("10430", "尿酸", "3C020000002327101", "mg/dL", 260, 550),
    (
        "10510",
        "ナトリウム",
        "3H010000002326101",
        "mEq/L",
        13800,
        14500,
    ),
    ("10520", "カリウム", "3H015000002326101", "mEq/L", 360, 480),
    (
        "10530",
        "クロール",
        "3H020000002326101",
        "mEq/L",
        10100,
        10800,
    ),
    (
        "10540",
        "カルシウム",
        "3H030000002327101",
        "mg/dL",
        880,
        1010,
    ),
    (
        "10610",
        "グルコース",
        "3D010000002227201",
        "mg/dL",
        7300,
        10900,
    ),
    ("10620", "HbA1c(NGSP)", "3D046000001906202", "%", 490, 600),
    (
        "10710",
        "白血球数",
        "2A010000001930101",
        "10*3/uL",
        330,
        860,
    ),
    (
        "10720",
        "ヘモグロビン",
        "2A030000001930101",
        "g/dL",
        1160,
        1480,
    ),
    ("20010", "尿蛋白", "1A010000000190111", "", 0, 0),
    ("20020", "尿潜血", "1A100000000190111", "", 0, 0),
];

/// `rows` rows with their header, CP932.
pub(super) fn file(rows: usize) -> Vec<u8> {
    let mut text = String::from(HEAD);
    let mut person = Person::synthetic(FIRST_PERSON);
    for row in 0..rows {
        if row % PATIENT_ROWS == 0 {
            person = Person::synthetic(FIRST_PERSON + (row / PATIENT_ROWS) as u64);
        }
        push(&mut text, &person, row);
    }
    encoding_rs::SHIFT_JIS.encode(&text).0.into_owned()
}

fn push(text: &mut String, person: &Person, row: usize) {
    let thrown = |place: u64| roll(1, For::Value, row as u64 * 8 + place);
    let is = |place: u64, of: u64| thrown(place) % of == 0;
    let (code, name, jlac10, unit, low, high) = ITEMS[row % ORDER_ROWS];
    let order = row / ORDER_ROWS;
    let is_words = unit.is_empty();
    let jlac10 = if is(0, 50) { "" } else { jlac10 };
    let unit = if is(1, 100) && !is_words {
        "架空単位"
    } else {
        unit
    };
    let flag = match (is(2, 500), thrown(3) % 20) {
        _ if is_words => "",
        (true, _) => "HH",
        (false, 0) => "H",
        (false, 1) => "L",
        _ => "",
    };
    let result = match thrown(4) % 4 {
        grade if is_words => {
            ["(-)", "(±)", "1+", "(-)"][usize::try_from(grade).unwrap_or(0)].to_owned()
        }
        _ => hundredths(low + thrown(5) % (high - low + 1)),
    };
    let comment = if is(6, 100) { "溶血あり" } else { "" };
    // Half of the laboratories print the range as one text, the others as two fields.
    let (range, low, high) = match (is_words, order % 2) {
        (true, _) => ("(-)".to_owned(), String::new(), String::new()),
        (false, 0) => (
            format!("{}-{}", hundredths(low), hundredths(high)),
            String::new(),
            String::new(),
        ),
        (false, _) => (String::new(), hundredths(low), hundredths(high)),
    };
    let (material, words) = if is_words {
        ("001", "尿")
    } else {
        ("023", "血清")
    };
    let minute = row / ORDER_ROWS % 60;
    // Writing to a string cannot fail.
    let _ok = write!(
        text,
        "{id},{family}　{given},{kana},{birth},{sex},A{order:07},2025/01/11,07:{minute:02},2025/01/11 10:30,\
         {material},{words},{code},{name},{jlac10},{result},,{unit},{range},{low},{high},{flag},F,{comment},\
         LAB01,架空検査センター\r\n",
        id = person.local_id,
        family = person.family,
        given = person.given,
        kana = reading(person),
        birth = person.birth.strftime("%Y/%m/%d"),
        sex = match person.sex.word() {
            "male" => "1",
            "female" => "2",
            _ => "U",
        },
    );
}

fn reading(person: &Person) -> String {
    [&person.kana_family, " ", &person.kana_given].concat()
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_is_announced() {
        let bytes = file(4 * PATIENT_ROWS);
        let (text, _, bad) = encoding_rs::SHIFT_JIS.decode(&bytes);
        assert!(
            !bad && bytes.len() < text.len(),
            "CP932, with Japanese in it"
        );
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), 4 * PATIENT_ROWS);
        assert!(rows.iter().all(|row| row.len() == 25));
        let patients: std::collections::BTreeSet<_> = rows.iter().map(|row| &row[0]).collect();
        assert_eq!(patients.len(), 4);
    }
}
