//! What the path of an SS-MIX2 file says (SS-MIX2 standardized storage, file naming).
//!
//! `<pid>_<care date>_<data type>_<order no>_<occurrence time>_<department>_<flag>`, seven parts; the
//! extended storage puts the same parts into the name of the folder around its files, its data kind may
//! hold `_`, and its department may be missing.

use renkei_core::Flag;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The order number that stands where there is no order.
pub const NO_ORDER: &str = "999999999999999";

/// The parts of a storage path. Holds the patient number: not for logs.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StoragePath {
    /// The patient number as the folder writes it.
    pub patient: String,
    /// `YYYYMMDD`, or empty for data without a date.
    pub care_date: String,
    /// `ADT-22`, or the data kind of the extended storage with its carets.
    pub data_type: String,
    /// The order number as written.
    pub order: String,
    /// The occurrence time as a number of 17 digits; shorter ones are filled with zeros on the right.
    pub order_in_key: u64,
    /// 診療科コード, or empty.
    pub department: String,
    /// The condition flag.
    pub flag: Option<Flag>,
    /// Whether anything deviates from the seven parts.
    pub is_unexpected: bool,
}

impl StoragePath {
    /// Reads a path; `None` when no component of it has the form of a storage name.
    pub fn parse(path: &str) -> Option<Self> {
        let composed: String;
        let path = match is_nfc_quick(path.chars()) {
            IsNormalized::Yes => path,
            _ => {
                composed = path.nfc().collect();
                &composed
            }
        };
        path.rsplit(['/', '\\']).find_map(Self::parse_name)
    }

    fn parse_name(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('_').collect();
        if parts.len() < 6 || parts[0].is_empty() {
            return None;
        }
        let flag = match parts[parts.len() - 1] {
            "0" => Some(Flag::Deleted),
            "1" => Some(Flag::Current),
            "2" => Some(Flag::Superseded),
            _ => None,
        };
        // The time is the only long number near the end; behind it stands the department, if any.
        let is_time = |part: &str| {
            (14..=17).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let time_at = (parts.len() - 3..parts.len() - 1)
            .rev()
            .find(|&at| is_time(parts[at]))?;
        if time_at < 4 {
            return None;
        }
        let care_date = parts[1];
        let has_date = care_date.len() == 8 && care_date.bytes().all(|byte| byte.is_ascii_digit());
        let department = parts[time_at + 1..parts.len() - 1]
            .first()
            .copied()
            .unwrap_or_default();
        let time = parts[time_at];
        let filled = time
            .bytes()
            .chain(*b"000")
            .take(17)
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Some(Self {
            patient: parts[0].to_owned(),
            care_date: if has_date {
                care_date.to_owned()
            } else {
                String::new()
            },
            data_type: parts[2..time_at - 1].join("_"),
            order: parts[time_at - 1].to_owned(),
            order_in_key: filled,
            department: if department == "-" {
                String::new()
            } else {
                department.to_owned()
            },
            flag,
            is_unexpected: parts.len() != 7
                || time.len() != 17
                || flag.is_none()
                || !(has_date || care_date == "-"),
        })
    }

    /// Whether the file stands for no order: its number is all nines.
    pub fn has_no_order(&self) -> bool {
        !self.order.is_empty() && self.order.bytes().all(|byte| byte == b'9')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seven_parts() {
        let path = "std/000/012/0000123456/20250110/ADT-22/0000123456_20250110_ADT-22_000000000010001_20250110101500000_01_1";
        let read = StoragePath::parse(path).unwrap();
        assert_eq!(read.patient, "0000123456");
        assert_eq!(
            (read.care_date.as_str(), read.data_type.as_str()),
            ("20250110", "ADT-22")
        );
        assert_eq!(
            (read.order.as_str(), read.order_in_key),
            ("000000000010001", 20_250_110_101_500_000)
        );
        assert_eq!(
            (read.department.as_str(), read.flag),
            ("01", Some(Flag::Current))
        );
        assert!(!read.is_unexpected && !read.has_no_order());
        let list = StoragePath::parse("1_-_PPR-01_999999999999999_20250110120000000_-_0").unwrap();
        assert!(list.has_no_order() && list.care_date.is_empty() && list.department.is_empty());
        assert_eq!(list.flag, Some(Flag::Deleted));
    }

    #[test]
    fn the_extended_storage_names_its_folder_so() {
        let path = "x/20250111/L-OBS^OBS^99ZL01/0000123456_20250111_L_A^OBS^99ZL01_000000020250111_202501120001000_1/main_document.hl7";
        let read = StoragePath::parse(path).unwrap();
        assert_eq!(read.data_type, "L_A^OBS^99ZL01");
        assert_eq!(
            (read.order.as_str(), read.order_in_key),
            ("000000020250111", 20_250_112_000_100_000)
        );
        assert!(read.is_unexpected);
        let decomposed =
            StoragePath::parse("1_20250101_^カ\u{3099}^^18842-5_1_20250101000000000_-_1").unwrap();
        assert_eq!(decomposed.data_type, "^ガ^^18842-5");
    }

    #[test]
    fn other_paths_are_none_of_ours() {
        for path in [
            "",
            "a/b.hl7",
            "1_2_3_4_5_6_7",
            "______",
            "1_20250101_X_20250101000000000_1",
        ] {
            assert!(StoragePath::parse(path).is_none(), "{path}");
        }
    }
}
