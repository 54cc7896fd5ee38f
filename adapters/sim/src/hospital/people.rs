//! Plain structs for the hospital's people and stays.

use jiff::civil::{Date, DateTime};

/// The hospital as sender.
#[derive(Clone, Debug)]
pub struct Site {
    /// MSH-3.
    pub application: String,
    /// MSH-4; not the facility number: a hub must not trust it.
    pub facility: String,
    /// Name, ORC-21.
    pub name: String,
    /// Postal code and address, ORC-22.
    pub zip: String,
    /// Address in one line.
    pub address: String,
    /// Phone, ORC-23.
    pub phone: String,
}

impl Site {
    /// 架空総合病院.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            application: "RENKEISIM".to_owned(),
            facility: "HOSP01".to_owned(),
            name: "架空総合病院".to_owned(),
            zip: "166-0004".to_owned(),
            address: "東京都杉並区架空町99丁目9番9号".to_owned(),
            phone: "03-0000-0000".to_owned(),
        }
    }
}

/// PID-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// `M`
    Male,
    /// `F`
    Female,
    /// `O`
    Other,
    /// `U`
    Unknown,
}

impl Sex {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Male => "M",
            Self::Female => "F",
            Self::Other => "O",
            Self::Unknown => "U",
        }
    }

    /// As FHIR and the peers say it: `male`, `female`, `other`, `unknown`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Person {
    /// Patient number at the hospital, at least six characters.
    pub local_id: String,
    /// 姓.
    pub family: String,
    /// 名.
    pub given: String,
    /// セイ, full-width katakana.
    pub kana_family: String,
    /// メイ, full-width katakana.
    pub kana_given: String,
    /// Day of birth.
    pub birth: Date,
    /// Administrative sex.
    pub sex: Sex,
    /// Phone at home; empty = not sent.
    pub phone: String,
    /// Postal code with hyphen.
    pub zip: String,
    /// Address in one line.
    pub address: String,
    /// Covers, main one first.
    pub insurance: Vec<Insurance>,
}

/// One cover (IN1).
#[derive(Clone, Debug)]
pub struct Insurance {
    /// JHSD0001 code, for example `39`.
    pub plan: String,
    /// Text of the code.
    pub plan_name: String,
    /// 保険者番号.
    pub insurer: String,
    /// 記号; empty where there is none.
    pub symbol: String,
    /// 番号.
    pub number: String,
    /// 枝番; when present, IN1-10 carries `記号~番号~枝番` as SS-MIX2 1.2h writes it.
    pub branch: String,
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
}

/// A member of the hospital's staff.
#[derive(Clone, Debug)]
pub struct Staff {
    /// Local id.
    pub id: String,
    /// 姓.
    pub family: String,
    /// 名.
    pub given: String,
}

/// Where and under whom a person is treated.
#[derive(Clone, Debug)]
pub struct Stay {
    /// An outpatient visit (PV1-2 `O`) instead of a stay.
    pub outpatient: bool,
    /// Ward, room and bed; for an outpatient visit only the first, a department code.
    pub place: [String; 3],
    /// Place before a transfer.
    pub prior: Option<[String; 3]>,
    /// Department of HL70069, two digits, and its name.
    pub department: (String, String),
    /// Attending doctor.
    pub doctor: Staff,
    /// Admission, or start of the visit.
    pub admitted: DateTime,
    /// Whether PV1-44 is also sent after the admission itself; many hospitals do not.
    pub repeats_admission: bool,
    /// Expected discharge.
    pub expected_discharge: Option<Date>,
    /// Discharge and HL70112 disposition, for example `06` (home with home nursing).
    pub discharged: Option<(DateTime, String)>,
}

const FAMILIES: [(&str, &str); 12] = [
    ("山本", "ヤマモト"),
    ("松本", "マツモト"),
    ("橋本", "ハシモト"),
    ("坂本", "サカモト"),
    ("高橋", "タカハシ"),
    ("東", "アズマ"),
    ("京極", "キョウゴク"),
    ("能登", "ノト"),
    ("石川", "イシカワ"),
    ("糖谷", "アラタニ"),
    ("渡辺", "ワタナベ"),
    ("架空", "カクウ"),
];
const GIVENS: [(&str, &str, Sex); 8] = [
    ("京子", "キョウコ", Sex::Female),
    ("一郎", "イチロウ", Sex::Male),
    ("花", "ハナ", Sex::Female),
    ("健一", "ケンイチ", Sex::Male),
    ("本子", "モトコ", Sex::Female),
    ("進", "ススム", Sex::Male),
    ("桂", "カツラ", Sex::Female),
    ("東二", "トウジ", Sex::Male),
];

/// Names of whoever has a higher number: a city has more names than a test.
const MORE_FAMILIES: [(&str, &str); 48] = [
    ("佐藤", "サトウ"),
    ("鈴木", "スズキ"),
    ("田中", "タナカ"),
    ("伊藤", "イトウ"),
    ("中村", "ナカムラ"),
    ("小林", "コバヤシ"),
    ("加藤", "カトウ"),
    ("吉田", "ヨシダ"),
    ("山田", "ヤマダ"),
    ("佐々木", "ササキ"),
    ("山口", "ヤマグチ"),
    ("井上", "イノウエ"),
    ("木村", "キムラ"),
    ("林", "ハヤシ"),
    ("斎藤", "サイトウ"),
    ("清水", "シミズ"),
    ("山崎", "ヤマザキ"),
    ("森", "モリ"),
    ("池田", "イケダ"),
    ("阿部", "アベ"),
    ("石井", "イシイ"),
    ("小川", "オガワ"),
    ("前田", "マエダ"),
    ("岡田", "オカダ"),
    ("長谷川", "ハセガワ"),
    ("藤田", "フジタ"),
    ("後藤", "ゴトウ"),
    ("近藤", "コンドウ"),
    ("村上", "ムラカミ"),
    ("遠藤", "エンドウ"),
    ("青木", "アオキ"),
    ("福田", "フクダ"),
    ("西村", "ニシムラ"),
    ("太田", "オオタ"),
    ("三浦", "ミウラ"),
    ("藤原", "フジワラ"),
    ("岡本", "オカモト"),
    ("中川", "ナカガワ"),
    ("原田", "ハラダ"),
    ("小野", "オノ"),
    ("竹内", "タケウチ"),
    ("和田", "ワダ"),
    ("中山", "ナカヤマ"),
    ("石田", "イシダ"),
    ("上田", "ウエダ"),
    ("森田", "モリタ"),
    ("酒井", "サカイ"),
    ("宮崎", "ミヤザキ"),
];
const GIVEN_STEMS: [(&str, &str); 37] = [
    ("和", "カズ"),
    ("幸", "ユキ"),
    ("正", "マサ"),
    ("義", "ヨシ"),
    ("弘", "ヒロ"),
    ("清", "キヨ"),
    ("静", "シズ"),
    ("文", "フミ"),
    ("富", "トミ"),
    ("春", "ハル"),
    ("秋", "アキ"),
    ("千", "チ"),
    ("久", "ヒサ"),
    ("光", "ミツ"),
    ("信", "ノブ"),
    ("孝", "タカ"),
    ("友", "トモ"),
    ("重", "シゲ"),
    ("安", "ヤス"),
    ("松", "マツ"),
    ("竹", "タケ"),
    ("梅", "ウメ"),
    ("房", "フサ"),
    ("照", "テル"),
    ("道", "ミチ"),
    ("恒", "ツネ"),
    ("国", "クニ"),
    ("勝", "カツ"),
    ("貞", "サダ"),
    ("末", "スエ"),
    ("睦", "ムツ"),
    ("豊", "トヨ"),
    ("喜", "キ"),
    ("栄", "エイ"),
    ("敏", "トシ"),
    ("直", "ナオ"),
    ("由", "ヨリ"),
];
const GIVEN_ENDS: [(&str, &str, Sex); 12] = [
    ("子", "コ", Sex::Female),
    ("江", "エ", Sex::Female),
    ("美", "ミ", Sex::Female),
    ("代", "ヨ", Sex::Female),
    ("香", "カ", Sex::Female),
    ("乃", "ノ", Sex::Female),
    ("男", "オ", Sex::Male),
    ("一", "イチ", Sex::Male),
    ("彦", "ヒコ", Sex::Male),
    ("郎", "ロウ", Sex::Male),
    ("吉", "キチ", Sex::Male),
    ("人", "ト", Sex::Male),
];
/// The first of a city.
const CITY: u64 = 10_000;

/// Family name, given name, their kana, sex.
fn name(number: u64) -> ([String; 2], [String; 2], Sex) {
    let pick =
        |length: usize, step: u64| usize::try_from(number / step % length as u64).unwrap_or(0);
    if number < CITY {
        let (family, kana_family) = FAMILIES[pick(FAMILIES.len(), 1)];
        let (given, kana_given, sex) = GIVENS[pick(GIVENS.len(), 12)];
        return (
            [family, given].map(str::to_owned),
            [kana_family, kana_given].map(str::to_owned),
            sex,
        );
    }
    let families = MORE_FAMILIES.len();
    let (family, kana_family) = MORE_FAMILIES[pick(families, 1)];
    let (stem, kana_stem) = GIVEN_STEMS[pick(GIVEN_STEMS.len(), families as u64)];
    let stems = (families * GIVEN_STEMS.len()) as u64;
    let (end, kana_end, sex) = GIVEN_ENDS[pick(GIVEN_ENDS.len(), stems)];
    (
        [family.to_owned(), format!("{stem}{end}")],
        [kana_family.to_owned(), format!("{kana_stem}{kana_end}")],
        sex,
    )
}

impl Person {
    /// An invented person, the same for the same number. Names hold delimiter bytes in
    /// ISO-2022-JP on purpose (本 `\`, 京 `~`, 糖 `|`).
    #[must_use]
    pub fn synthetic(number: u64) -> Self {
        let ([family, given], [kana_family, kana_given], sex) = name(number);
        let days = i32::try_from(number.wrapping_mul(7919) % 14_600).unwrap_or(0);
        let birth = Date::constant(1925, 1, 1);
        let birth = birth.checked_add(jiff::ToSpan::days(days)).unwrap_or(birth);
        Self {
            local_id: format!("{:010}", number % 10_000_000_000),
            family,
            given,
            kana_family,
            kana_given,
            birth,
            sex,
            phone: format!("03-0000-{:04}", number % 10_000),
            zip: "166-0004".to_owned(),
            address: format!(
                "東京都杉並区架空町99丁目{}番{}号",
                number / 100 % 100 + 1,
                number % 100 + 1
            ),
            insurance: vec![Insurance {
                plan: "39".to_owned(),
                plan_name: "後期高齢者医療".to_owned(),
                insurer: "39999999".to_owned(),
                symbol: String::new(),
                number: format!("{:08}", number % 100_000_000),
                branch: String::new(),
                from: Date::constant(2024, 8, 1),
                until: Date::constant(2030, 7, 31),
            }],
        }
    }
}

impl Person {
    /// Kana as a peer shows it: family and given name with one space.
    #[must_use]
    pub fn kana(&self) -> String {
        format!("{} {}", self.kana_family, self.kana_given)
    }
}

impl Stay {
    /// An inpatient stay in ward 3E under 橋本健一, internal medicine.
    #[must_use]
    pub fn demo(admitted: DateTime) -> Self {
        Self {
            outpatient: false,
            place: ["3E".to_owned(), "301".to_owned(), "1".to_owned()],
            prior: None,
            department: ("01".to_owned(), "内科".to_owned()),
            doctor: Staff {
                id: "DR0101".to_owned(),
                family: "橋本".to_owned(),
                given: "健一".to_owned(),
            },
            admitted,
            repeats_admission: true,
            expected_discharge: None,
            discharged: None,
        }
    }

    /// A visit to the internal medicine outpatients.
    #[must_use]
    pub fn visit(at: DateTime) -> Self {
        let place = ["01".to_owned(), String::new(), String::new()];
        Self {
            outpatient: true,
            place,
            ..Self::demo(at)
        }
    }
}
