//! Questions to the board: by area, kind, sex and conditions, always with freshness. What is not fresh shows
//! no counts at all, so that nobody reads an old number as a free bed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use renkei_core::bed::{CLOSED, CONDITIONS};
use renkei_core::{Bed, BedSex, FacilityId};
use serde::{Deserialize, Serialize};

use super::{Kept, Known, area};
use crate::config::Setup;

/// What is looked for. Empty: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Facility number of one hospital.
    pub hospital: Option<String>,
    /// Municipality as hospitals write it, the district of the configuration, or a medical area (区西部 …);
    /// several by comma.
    pub area: Option<String>,
    /// Function of the ward (急性期 …) or kind of bed (一般 …); several by comma.
    pub kind: Option<String>,
    /// For whom.
    pub sex: Option<BedSex>,
    /// Conditions that must all be accepted, by comma: `dementia,tpn`.
    pub accepts: Option<String>,
    /// Only single rooms.
    pub private: bool,
    /// Only wards that are fresh and have at least this many free.
    pub free: Option<i64>,
}

/// A condition nobody can accept, because it is not in the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such condition: {0}; there are: {list}", list = CONDITIONS.map(|(known, _)| known).join(", "))]
pub struct NoSuchCondition(pub String);

/// Whether a row may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its time has not passed.
    Fresh,
    /// Its time has passed: how many are free is not known.
    Stale,
}

/// One ward as an answer shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Facility number.
    pub hospital: String,
    /// The hospital's name.
    pub hospital_name: String,
    /// The ward's code.
    pub ward: String,
    /// The ward's name.
    pub ward_name: String,
    /// Municipality.
    pub area: String,
    /// Which of Tokyo's medical areas (二次保健医療圏) that is in; empty when it is in none.
    pub medical_area: &'static str,
    /// Function of the ward.
    pub function: String,
    /// Kind of bed.
    pub bed_type: String,
    /// Whether the counts may be believed.
    pub state: State,
    /// Free beds for whom was asked; absent when stale or not said.
    pub free: Option<i64>,
    /// Of these for men only.
    pub free_male: Option<i64>,
    /// Of these for women only.
    pub free_female: Option<i64>,
    /// Of these single rooms.
    pub free_private: Option<i64>,
    /// Staffed beds, as last said.
    pub staffed: Option<i64>,
    /// What the ward can take.
    pub acceptance: Vec<String>,
    /// Expected wait in days; absent when stale.
    pub expected_wait_days: Option<i64>,
    /// When the counts were taken.
    pub updated_at: Timestamp,
    /// Seconds since then.
    pub age_secs: i64,
    /// Until when they may be believed.
    pub valid_until: Timestamp,
    /// Counted by the hub from open stays.
    pub counted: bool,
    /// Whom to ask.
    pub contact: String,
}

/// One row of the history, as an answer shows it.
#[derive(Debug, Clone, Serialize)]
pub struct PastRow {
    /// What was said.
    #[serde(flatten)]
    pub bed: Bed,
    /// Until when it was believed.
    pub believed_until: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// Which source brought it.
    pub source: String,
    /// It came after a newer one and never stood on the board.
    pub late: bool,
}

impl From<Kept> for PastRow {
    fn from(kept: Kept) -> Self {
        let known = kept.known;
        Self {
            bed: known.bed,
            believed_until: known.valid_until,
            received_at: known.received_at,
            source: known.source.as_str().to_owned(),
            late: kept.late,
        }
    }
}

impl Wanted {
    /// Refuses conditions that are not in the list: an empty answer would look like "no bed".
    ///
    /// # Errors
    /// The first such condition.
    pub fn check(&self) -> Result<(), NoSuchCondition> {
        let known = |word: &&str| CONDITIONS.iter().any(|(known, _)| known == word);
        match words(self.accepts.as_deref()).find(|word| !known(word)) {
            Some(word) => Err(NoSuchCondition(word.to_owned())),
            None => Ok(()),
        }
    }

    fn fits(&self, bed: &Bed, place: &Place<'_>) -> bool {
        let any = |list: Option<&str>, of: [&str; 2]| {
            list.is_none() || words(list).any(|word| of.contains(&word))
        };
        let hospital = self.hospital.as_deref();
        hospital.is_none_or(|hospital| hospital == bed.hospital_code)
            && (self.area.is_none() || words(self.area.as_deref()).any(|word| place.is(word)))
            && any(self.kind.as_deref(), [&bed.function, &bed.bed_type])
            && words(self.accepts.as_deref())
                .all(|word| bed.acceptance.iter().any(|accepted| accepted == word))
    }
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    let words = list.unwrap_or_default().split([',', '、']).map(str::trim);
    words.filter(|word| !word.is_empty())
}

/// Where a ward is.
struct Place<'p> {
    /// Municipality.
    area: &'p str,
    /// The hospital's district, as configured.
    district: &'p str,
    /// Of Tokyo's medical areas; empty when it is in none.
    medical: &'static str,
}

impl<'p> Place<'p> {
    fn new(area: &'p str, district: &'p str) -> Self {
        let medical = match area::of(area) {
            "" => area::of(district),
            medical => medical,
        };
        Self {
            area,
            district,
            medical,
        }
    }

    /// Whether a word of a question means it.
    fn is(&self, word: &str) -> bool {
        [self.area, self.district].contains(&word) || area::named(word) == Some(self.medical)
    }
}

/// The wards that fit, those with most free beds first, stale ones last.
pub fn lines(board: &[Known], setup: &Setup, wanted: &Wanted, now: Timestamp) -> Vec<Line> {
    let mut lines: Vec<Line> = board
        .iter()
        .filter_map(|known| line(known, setup, wanted, now))
        .collect();
    lines.sort_by(|a, b| {
        let rank = |line: &Line| (line.state, std::cmp::Reverse(line.free.unwrap_or(-1)));
        let place = |line: &Line| (line.area.clone(), line.hospital.clone(), line.ward.clone());
        rank(a).cmp(&rank(b)).then_with(|| place(a).cmp(&place(b)))
    });
    lines
}

/// The rows of the board that these lines show.
pub fn rows_of<'k>(board: &'k [Known], lines: &[Line]) -> Vec<&'k Known> {
    let shown: BTreeSet<(&str, &str)> = lines
        .iter()
        .map(|line| (&*line.hospital, &*line.ward))
        .collect();
    let is_shown =
        |known: &&Known| shown.contains(&(&*known.bed.hospital_code, &*known.bed.ward_code));
    board.iter().filter(is_shown).collect()
}

fn line(known: &Known, setup: &Setup, wanted: &Wanted, now: Timestamp) -> Option<Line> {
    let bed = &known.bed;
    let facility = FacilityId::new(&*bed.hospital_code)
        .ok()
        .and_then(|id| setup.facilities.get(&id));
    let or = |said: &str, configured: Option<&str>| match said {
        "" => configured.unwrap_or_default().to_owned(),
        said => said.to_owned(),
    };
    let district = facility.map_or("", |facility| &facility.district);
    let area = or(&bed.area, Some(district));
    let place = Place::new(&area, district);
    let medical_area = place.medical;
    if !wanted.fits(bed, &place) {
        return None;
    }
    let is_fresh = now <= known.valid_until;
    let fresh = |count: Option<i64>| {
        let count = if bed.function == CLOSED {
            Some(0)
        } else {
            count
        };
        count.filter(|_| is_fresh)
    };
    let free = if wanted.private {
        bed.private_available
    } else {
        bed.free(wanted.sex)
    };
    let free = fresh(free);
    if wanted
        .free
        .is_some_and(|least| free.is_none_or(|free| free < least))
    {
        return None;
    }
    let name = facility.map(|facility| facility.speaker.facility.as_str());
    let contact = facility.map(|facility| {
        let ask = [facility.speaker.desk.as_str(), &facility.speaker.phone];
        ask.join(" ").trim().to_owned()
    });
    Some(Line {
        hospital: bed.hospital_code.clone(),
        hospital_name: or(&bed.hospital_name, name),
        ward: bed.ward_code.clone(),
        ward_name: or(&bed.ward_name, Some(&bed.ward_code)),
        area,
        medical_area,
        function: bed.function.clone(),
        bed_type: bed.bed_type.clone(),
        state: if is_fresh { State::Fresh } else { State::Stale },
        free,
        free_male: fresh(bed.available_m),
        free_female: fresh(bed.available_f),
        free_private: fresh(bed.private_available),
        staffed: bed.staffed,
        acceptance: bed.acceptance.clone(),
        expected_wait_days: fresh(bed.expected_wait_days),
        updated_at: bed.updated_at,
        age_secs: now.duration_since(bed.updated_at).as_secs(),
        valid_until: known.valid_until,
        counted: known.message.is_none(),
        contact: or(&bed.contact, contact.as_deref()),
    })
}

/// `1/31 14:00`, in Japan.
fn clock(at: Timestamp) -> String {
    let japan = TimeZone::fixed(Offset::constant(9));
    at.to_zoned(japan).strftime("%-m/%-d %H:%M").to_string()
}

/// The board in Japanese words, for a bulletin: wards with free beds, how many have none, how many are not
/// known.
pub fn bulletin(lines: &[Line], now: Timestamp, staging: bool) -> String {
    let mark = if staging { "【試験】" } else { "" };
    let mut text = format!("{mark}【空床情報】{}現在", clock(now));
    let is_free = |line: &&Line| line.free.is_some_and(|free| free > 0);
    for line in lines.iter().filter(is_free) {
        let kind = [&*line.area, &line.function, &line.bed_type];
        let kind: Vec<&str> = kind.into_iter().filter(|word| !word.is_empty()).collect();
        let _ = write!(text, "\n{} {}", line.hospital_name, line.ward_name);
        if !kind.is_empty() {
            let _ = write!(text, "（{}）", kind.join("・"));
        }
        let _ = write!(text, " 空き{}", line.free.unwrap_or(0));
        let parts = [
            ("男", line.free_male),
            ("女", line.free_female),
            ("個室", line.free_private),
        ];
        for (word, count) in parts {
            if let Some(count) = count.filter(|count| *count > 0) {
                let _ = write!(text, " {word}{count}");
            }
        }
        let accepted: BTreeMap<&str, &str> = CONDITIONS.into_iter().collect();
        let accepts: Vec<&str> = line
            .acceptance
            .iter()
            .map(|word| accepted.get(&**word).copied().unwrap_or(word))
            .collect();
        if !accepts.is_empty() {
            let _ = write!(text, " 受入：{}", accepts.join("・"));
        }
        let _ = write!(text, " {}更新", clock(line.updated_at));
        if !line.contact.is_empty() {
            let _ = write!(text, " 問合せ {}", line.contact);
        }
    }
    let of = |wanted: fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    let full = of(|line| line.free == Some(0));
    let unsaid = of(|line| line.state == State::Fresh && line.free.is_none());
    let stale = of(|line| line.state == State::Stale);
    for (count, words) in [
        (full, "空きなし"),
        (unsaid, "空床数の記載なし"),
        (stale, "情報が古く不明"),
    ] {
        if count > 0 {
            let _ = write!(text, "\n{words}：{count}病棟");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use renkei_core::SourceName;

    use super::*;

    fn setup() -> Setup {
        Setup {
            facilities: Default::default(),
            sinks: Default::default(),
            live_from: Default::default(),
            settle: Default::default(),
            staging: false,
            relevance: crate::route::relevance::Relevance::built_in().unwrap(),
            beds: Default::default(),
        }
    }

    fn at(text: &str) -> Timestamp {
        format!("2025-01-31T{text}+09:00").parse().unwrap()
    }

    fn known(ward: &str, change: impl Fn(&mut Bed)) -> Known {
        let mut bed = Bed {
            hospital_code: "1319999999".to_owned(),
            ward_code: ward.to_owned(),
            area: "杉並区".to_owned(),
            function: "回復期".to_owned(),
            bed_type: "一般".to_owned(),
            available_any: Some(1),
            available_f: Some(2),
            private_available: Some(1),
            acceptance: vec!["dementia".to_owned(), "tpn".to_owned()],
            expected_wait_days: Some(3),
            updated_at: at("09:00:00"),
            ..Bed::default()
        };
        change(&mut bed);
        Known {
            valid_until: at("11:00:00"),
            received_at: bed.updated_at,
            source: SourceName::new("beds"),
            message: None,
            bed,
        }
    }

    fn found(board: &[Known], wanted: &str, now: &str) -> Vec<(String, Option<i64>)> {
        let wanted: Wanted = toml::from_str(wanted).unwrap();
        wanted.check().unwrap();
        let lines = lines(board, &setup(), &wanted, at(now)).into_iter();
        lines.map(|line| (line.ward, line.free)).collect()
    }

    #[test]
    fn a_ward_is_stale_the_second_after_its_time_and_shows_no_count() {
        let board = [known("3E", |_| ())];
        assert_eq!(found(&board, "", "11:00:00"), [("3E".to_owned(), Some(3))]);
        assert_eq!(found(&board, "", "11:00:01"), [("3E".to_owned(), None)]);
        assert_eq!(found(&board, "free = 0", "11:00:01"), []);
        let stale = lines(&board, &setup(), &Wanted::default(), at("11:00:01"));
        let text = serde_json::to_value(&stale[0]).unwrap();
        for count in [
            "free",
            "free_male",
            "free_female",
            "free_private",
            "expected_wait_days",
        ] {
            assert!(text[count].is_null(), "{count}: {text}");
        }
        assert_eq!(
            (text["state"].as_str(), text["age_secs"].as_i64()),
            (Some("stale"), Some(7_201))
        );
        let bulletin = bulletin(&stale, at("11:00:01"), false);
        assert_eq!(
            bulletin,
            "【空床情報】1/31 11:00現在\n情報が古く不明：1病棟"
        );
    }

    #[test]
    fn a_ward_is_where_its_hospital_says_or_is_configured() {
        for (area, district, medical) in [
            ("杉並区", "", "区西部"),
            ("", "suginami", "区西部"),
            ("東京都八丈町", "suginami", "島しょ"),
            ("第三地区", "suginami", "区西部"),
            ("第三地区", "", ""),
        ] {
            let place = Place::new(area, district);
            assert_eq!(place.medical, medical, "{area} {district}");
        }
        let nowhere = Place::new("横浜市", "");
        assert!(nowhere.is("横浜市") && !nowhere.is("区西部") && !nowhere.is("浜"));
    }

    #[test]
    fn what_is_looked_for_is_found() {
        let board = [
            known("3E", |_| ()),
            known("4E", |bed| {
                bed.area = "中野区".to_owned();
                bed.function = "急性期".to_owned();
                (bed.available_any, bed.available_f, bed.available_m) = (None, None, Some(5));
                bed.private_available = None;
                bed.acceptance.clear();
            }),
            known("5E", |bed| {
                bed.function = renkei_core::bed::CLOSED.to_owned()
            }),
        ];
        let wards = |wanted: &str| -> Vec<String> {
            let found = found(&board, wanted, "10:00:00").into_iter();
            found
                .map(|(ward, free)| format!("{ward} {free:?}"))
                .collect()
        };
        assert_eq!(
            wards(""),
            ["4E Some(5)", "3E Some(3)", "5E Some(0)"],
            "most free first"
        );
        assert_eq!(wards("area = '中野区'"), ["4E Some(5)"]);
        assert_eq!(
            wards("area = '中野区,杉並区'\nfree = 1"),
            ["4E Some(5)", "3E Some(3)"]
        );
        let western = ["4E Some(5)", "3E Some(3)", "5E Some(0)"];
        assert_eq!(wards("area = '区西部'"), western, "杉並区 and 中野区");
        assert_eq!(wards("area = '区東部, 中野区'"), ["4E Some(5)"]);
        assert_eq!(wards("area = '区西部保健医療圏'\nfree = 4"), ["4E Some(5)"]);
        assert_eq!(wards("area = '区南部,島しょ'"), [] as [&str; 0]);
        assert_eq!(wards("kind = '急性期'"), ["4E Some(5)"]);
        assert_eq!(wards("kind = '一般'\nfree = 4"), ["4E Some(5)"]);
        assert_eq!(
            wards("sex = 'male'\nfree = 1"),
            ["4E Some(5)", "3E Some(1)"]
        );
        assert_eq!(
            wards("sex = 'female'"),
            ["3E Some(3)", "5E Some(0)", "4E None"]
        );
        assert_eq!(wards("accepts = 'tpn, dementia'\nfree = 1"), ["3E Some(3)"]);
        assert_eq!(wards("private = true\nfree = 1"), ["3E Some(1)"]);
        assert_eq!(wards("hospital = '1310000001'"), [] as [&str; 0]);
        let unknown: Wanted = toml::from_str("accepts = 'tpn,胃瘻'").unwrap();
        assert_eq!(unknown.check(), Err(NoSuchCondition("胃瘻".to_owned())));
    }
}
