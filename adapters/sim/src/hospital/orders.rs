//! Plain structs for what a hospital prescribes, measures, finds and writes.

use jiff::civil::{Date, DateTime};

/// A prescription (RDE^O11): one order, its drugs grouped by Rp.
#[derive(Clone, Debug)]
pub struct Prescription {
    /// Whether it is taken along at discharge (RXE-21 `DCG`).
    pub at_discharge: bool,
    /// When it was ordered; the care date of the storage. Kept when the order is changed or cancelled.
    pub ordered: DateTime,
    /// Drugs in the order of their Rp.
    pub drugs: Vec<Drug>,
}

/// One RXE.
#[derive(Clone, Debug)]
pub struct Drug {
    /// Rp number, from 1.
    pub rp: u32,
    /// Code, for example HOT9.
    pub code: String,
    /// Name as the hospital writes it.
    pub name: String,
    /// Coding system of the code: `HOT9`, `YJ`, `99HOS` …
    pub system: String,
    /// Amount per dose; `None` is written as `""` (ointments, gargles).
    pub dose: Option<String>,
    /// MERIT-9 unit and its text.
    pub unit: (String, String),
    /// Amount per day; `None` where it cannot be said.
    pub daily: Option<String>,
    /// Total dispensed.
    pub total: String,
    /// JAMI usage code (16 digits); empty = text only.
    pub usage: String,
    /// 用法 in words.
    pub usage_text: String,
    /// HL70162 route and its text.
    pub route: (String, String),
    /// Days; `None` for 頓用.
    pub days: Option<u32>,
    /// First day.
    pub start: Date,
}

impl Drug {
    /// A tablet three times a day after meals.
    #[must_use]
    pub fn tablet(rp: u32, hot9: &str, name: &str, days: u32, start: Date) -> Self {
        Self {
            rp,
            code: hot9.to_owned(),
            name: name.to_owned(),
            system: "HOT9".to_owned(),
            dose: Some("1".to_owned()),
            unit: ("TAB".to_owned(), "錠".to_owned()),
            daily: Some("3".to_owned()),
            total: (days * 3).to_string(),
            usage: "1013044400000000".to_owned(),
            usage_text: "内服・経口・１日３回朝昼夕食後".to_owned(),
            route: ("PO".to_owned(), "口".to_owned()),
            days: Some(days),
            start,
        }
    }
}

/// A laboratory report: OUL^R22 in the storage, ORU^R01 from a laboratory system.
#[derive(Clone, Debug)]
pub struct LabReport {
    /// Specimen id.
    pub specimen: String,
    /// JLAC10 material and its name, for example `023` 血清.
    pub material: (String, String),
    /// Collection.
    pub collected: DateTime,
    /// Panel code and name (local).
    pub panel: (String, String),
    /// Results in order.
    pub rows: Vec<LabRow>,
}

/// One OBX.
#[derive(Clone, Debug)]
pub struct LabRow {
    /// JLAC10, 17 digits; empty = text only.
    pub code: String,
    /// Name of the item.
    pub name: String,
    /// `NM` or `ST`.
    pub value_type: String,
    /// Value as sent; leading spaces count in `ST`.
    pub value: String,
    /// Unit.
    pub unit: String,
    /// Reference range, for example `3.8-5.2`.
    pub range: String,
    /// Flag of the laboratory: `L`, `H`, `A` … or empty.
    pub flag: String,
    /// OBX-11: `F`, `P`, `C`, `D`, `X`, `W`.
    pub status: String,
}

impl LabRow {
    /// A final numeric result.
    #[must_use]
    pub fn number(
        code: &str,
        name: &str,
        value: &str,
        unit: &str,
        range: &str,
        flag: &str,
    ) -> Self {
        let own = str::to_owned;
        Self {
            code: own(code),
            name: own(name),
            value_type: own("NM"),
            value: own(value),
            unit: own(unit),
            range: own(range),
            flag: own(flag),
            status: own("F"),
        }
    }
}

/// One allergy (IAM); ADT^A60 carries the whole list.
#[derive(Clone, Debug)]
pub struct Allergy {
    /// HL70127 class and text: `DA` 薬剤アレルギー, `FA` 食物アレルギー.
    pub class: (String, String),
    /// Substance code, text and system.
    pub substance: (String, String, String),
    /// HL70128 severity and text.
    pub severity: (String, String),
    /// Reaction in words.
    pub reaction: String,
}

/// One disease (PRB); PPR^ZD1 carries the whole list.
#[derive(Clone, Debug)]
pub struct Problem {
    /// PRB-4.
    pub instance: String,
    /// MEDIS 病名管理番号, 8 digits; empty = text only.
    pub code: String,
    /// Name.
    pub name: String,
    /// ICD-10 without the dot.
    pub icd10: String,
    /// First day.
    pub started: Date,
    /// Last day and HL70241 outcome, for example `N` 回復.
    pub ended: Option<(Date, String)>,
    /// PRB-13 疑い.
    pub suspected: bool,
    /// PRB-18 主病名.
    pub main: bool,
}

/// One vital sign (ORU^R30).
#[derive(Clone, Debug)]
pub struct VitalRow {
    /// JLAC10, 17 digits, for example `9P100000000000001` (temperature, axilla).
    pub code: String,
    /// Name.
    pub name: String,
    /// Value as read.
    pub value: String,
    /// Unit.
    pub unit: String,
}

/// A document of the extended storage.
#[derive(Clone, Debug)]
pub struct Document {
    /// Title, for example 退院時サマリー; also the local name.
    pub title: String,
    /// LOINC code and name, for example `18842-5` 退院時サマリー.
    pub loinc: (String, String),
    /// The document's own number; the same number again replaces it.
    pub number: String,
    /// File name and bytes; the main one (CDA) first.
    pub files: Vec<(String, Vec<u8>)>,
    /// Whether the document is taken back (folder renamed to flag 0).
    pub deleted: bool,
}
