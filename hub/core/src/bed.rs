//! One ward of one hospital at one time: a row of the bed feed contract. No patient data anywhere in it.
//!
//! Also one single bed, as ADT messages speak of it. Mappings make both, the hub's bed board judges them.
//! Nothing here decides.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Conditions of acceptance that can be asked for, with their Japanese words.
pub const CONDITIONS: [(&str, &str); 8] = [
    ("dementia", "認知症"),
    ("ventilator", "人工呼吸器"),
    ("dialysis", "透析"),
    ("tpn", "中心静脈栄養"),
    ("isolation", "個室隔離"),
    ("end_of_life", "看取り"),
    ("night", "夜間"),
    ("respite", "レスパイト"),
];

/// The function (病床機能報告) of a ward that is closed: nothing in it is free.
pub const CLOSED: &str = "休棟";

/// What a hospital says about one ward. Texts are empty and counts `None` when they were not sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bed {
    /// Ten-digit facility number of the hospital.
    pub hospital_code: String,
    /// The ward's code within the hospital.
    pub ward_code: String,
    /// The hospital's name as its feed writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hospital_name: String,
    /// The ward's name as its feed writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ward_name: String,
    /// Municipality, as its feed writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub area: String,
    /// 高度急性期, 急性期, 回復期, 慢性期 or [`CLOSED`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub function: String,
    /// Kind of bed: 一般, 療養, 地域包括ケア …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bed_type: String,
    /// Beds the hospital is licensed for (許可病床).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licensed: Option<i64>,
    /// Beds that are staffed (稼働病床).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staffed: Option<i64>,
    /// Beds with a patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupied: Option<i64>,
    /// Free beds for men only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_m: Option<i64>,
    /// Free beds for women only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_f: Option<i64>,
    /// Free beds for either; those for men only or women only are not among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_any: Option<i64>,
    /// How many of the free beds are single rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_available: Option<i64>,
    /// What the ward can take; words of [`CONDITIONS`], others are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acceptance: Vec<String>,
    /// Expected wait in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_wait_days: Option<i64>,
    /// When the counts were taken.
    pub updated_at: Timestamp,
    /// Until when they may be believed, as the hospital says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact: String,
}

/// For whom a bed is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BedSex {
    /// A man.
    Male,
    /// A woman.
    Female,
}

impl Bed {
    /// Free beds for a person of this sex, or of all kinds together; `None` when the hospital did not say.
    /// A closed ward has none.
    pub fn free(&self, sex: Option<BedSex>) -> Option<i64> {
        if self.function == CLOSED {
            return Some(0);
        }
        let counts = match sex {
            None => [self.available_any, self.available_m, self.available_f],
            Some(BedSex::Male) => [self.available_any, self.available_m, None],
            Some(BedSex::Female) => [self.available_any, None, self.available_f],
        };
        counts.into_iter().flatten().reduce(i64::saturating_add)
    }
}

/// Whether a bed can be used (HL7 v2.5 table 0116).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BedStatus {
    /// C
    Closed,
    /// H: being cleaned.
    Housekeeping,
    /// I
    Isolated,
    /// K
    Contaminated,
    /// O
    Occupied,
    /// U
    Unoccupied,
}

impl BedStatus {
    /// Every status with its code.
    const CODES: [(&'static str, Self); 6] = [
        ("C", Self::Closed),
        ("H", Self::Housekeeping),
        ("I", Self::Isolated),
        ("K", Self::Contaminated),
        ("O", Self::Occupied),
        ("U", Self::Unoccupied),
    ];

    /// Finds a status by its code.
    pub fn find(code: &str) -> Option<Self> {
        let mut codes = Self::CODES.into_iter();
        codes.find_map(|(known, status)| (known == code).then_some(status))
    }

    /// Its code in table 0116.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "C",
            Self::Housekeeping => "H",
            Self::Isolated => "I",
            Self::Contaminated => "K",
            Self::Occupied => "O",
            Self::Unoccupied => "U",
        }
    }
}

/// What a hospital says about one bed. Who lies in it is never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BedState {
    /// The ward's code.
    pub ward: String,
    /// The bed as stays name it: `ward/room/bed`.
    pub place: String,
    /// Whether it can be used.
    pub status: BedStatus,
    /// Since when, as the hospital says.
    pub at: Timestamp,
}

/// A row of a feed with its place in the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BedRow {
    /// `row 3`, `record 2`.
    pub at: String,
    /// What it says.
    pub bed: Bed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_is_what_was_said_for_that_sex_and_unknown_is_not_none() {
        let bed = Bed {
            available_any: Some(1),
            available_m: Some(2),
            ..Bed::default()
        };
        assert_eq!(bed.free(None), Some(3));
        assert_eq!(bed.free(Some(BedSex::Male)), Some(3));
        assert_eq!(bed.free(Some(BedSex::Female)), Some(1));
        let only_men = Bed {
            available_m: Some(2),
            ..Bed::default()
        };
        assert_eq!(only_men.free(Some(BedSex::Female)), None);
        let closed = Bed {
            function: CLOSED.to_owned(),
            available_any: Some(4),
            ..Bed::default()
        };
        assert_eq!(closed.free(None), Some(0));
    }

    #[test]
    fn a_status_is_found_by_its_code() {
        for (code, status) in BedStatus::CODES {
            assert_eq!(BedStatus::find(code), Some(status));
            assert_eq!(status.code(), code);
        }
        for other in ["", "c", "X", "OU"] {
            assert_eq!(BedStatus::find(other), None);
        }
    }

    #[test]
    fn it_reads_what_mappings_write() {
        let text = r#"{"hospital_code":"1319999999","ward_code":"3E","available_f":2,
            "acceptance":["tpn"],"updated_at":"2025-01-31T09:00:00+09:00"}"#;
        let bed: Bed = serde_json::from_str(text).unwrap();
        assert_eq!(bed.updated_at.to_string(), "2025-01-31T00:00:00Z");
        assert_eq!(bed.free(None), Some(2));
        let again: Bed = serde_json::from_str(&serde_json::to_string(&bed).unwrap()).unwrap();
        assert_eq!(again, bed);
    }
}
