//! The messages that are sent: what a hospital and its laboratory say, built by the simulator, encoded in
//! ISO-2022-JP, about invented people. Also those of the benches.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, date};
use renkei_hl7v2::Charset;
use renkei_hl7v2::build::BuildError;
use renkei_hl7v2::encode::encode;
use renkei_sim::hospital::{
    Drug, Event, LabReport, LabRow, Person, Prescription, Site, Stay, What, build,
};

/// A kind of message of the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ADT of one patient; in the benches of single messages an ADT^A01.
    Adt,
    /// RDE^O11 with five drugs.
    Rde5,
    /// ORU^R01 with eight results.
    Oru8,
    /// ORU^R01 with forty results.
    Oru40,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Adt, Self::Rde5, Self::Oru8, Self::Oru40];

    /// The name in labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adt => "adt",
            Self::Rde5 => "rde5",
            Self::Oru8 => "oru8",
            Self::Oru40 => "oru40",
        }
    }
}

/// Item (JLAC10, 17 digits), name, unit, reference range, a value and its flag, as a laboratory sends them.
type Item = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const ITEMS: [Item; 40] = [
    ("3A010000002327101", "総蛋白", "g/dL", "6.6-8.1", "6.2", "L"),
    (
        "3A015000002327101",
        "アルブミン",
        "g/dL",
        "4.1-5.1",
        "3.1",
        "L",
    ),
    (
        "3B035000002327201",
        "ＡＳＴ（ＧＯＴ）",
        "U/L",
        "13-30",
        "28",
        "",
    ),
    (
        "3B045000002327201",
        "ＡＬＴ（ＧＰＴ）",
        "U/L",
        "7-23",
        "31",
        "H",
    ),
    (
        "3B050000002327201",
        "乳酸脱水素酵素",
        "U/L",
        "124-222",
        "198",
        "",
    ),
    (
        "3B070000002327101",
        "アルカリ性ホスファターゼ",
        "U/L",
        "38-113",
        "102",
        "",
    ),
    ("3B090000002327101", "γ－ＧＴ", "U/L", "9-32", "44", "H"),
    (
        "3B110000002327101",
        "コリンエステラーゼ",
        "U/L",
        "201-421",
        "188",
        "L",
    ),
    (
        "3B010000002327101",
        "クレアチンキナーゼ",
        "U/L",
        "41-153",
        "87",
        "",
    ),
    ("3B160000002327101", "アミラーゼ", "U/L", "44-132", "69", ""),
    (
        "3C025000002327101",
        "尿素窒素",
        "mg/dL",
        "8-20",
        "27.4",
        "H",
    ),
    (
        "3C015000002327101",
        "クレアチニン",
        "mg/dL",
        "0.46-0.79",
        "1.08",
        "H",
    ),
    ("3C020000002327101", "尿酸", "mg/dL", "2.6-5.5", "5.90", "H"),
    (
        "3H010000002326101",
        "ナトリウム",
        "mmol/L",
        "138-145",
        "136",
        "L",
    ),
    (
        "3H015000002326101",
        "カリウム",
        "mmol/L",
        "3.6-4.8",
        "4.9",
        "H",
    ),
    (
        "3H020000002326101",
        "クロール",
        "mmol/L",
        "101-108",
        "102",
        "",
    ),
    (
        "3H030000002327101",
        "カルシウム",
        "mg/dL",
        "8.8-10.1",
        "8.5",
        "L",
    ),
    (
        "3H040000002327101",
        "無機リン",
        "mg/dL",
        "2.7-4.6",
        "3.2",
        "",
    ),
    (
        "3H025000002327101",
        "マグネシウム",
        "mg/dL",
        "1.8-2.4",
        "2.1",
        "",
    ),
    ("3I010000002327101", "鉄", "ug/dL", "40-188", "35", "L"),
    (
        "3F050000002327101",
        "総コレステロール",
        "mg/dL",
        "142-248",
        "171",
        "",
    ),
    ("3F015000002327101", "中性脂肪", "mg/dL", "30-117", "96", ""),
    (
        "3F070000002327101",
        "ＨＤＬ－コレステロール",
        "mg/dL",
        "48-103",
        "52",
        "",
    ),
    (
        "3F077000002327101",
        "ＬＤＬ－コレステロール",
        "mg/dL",
        "65-163",
        "98",
        "",
    ),
    (
        "3D010000002226101",
        "グルコース（空腹時）",
        "mg/dL",
        "73-109",
        "118",
        "H",
    ),
    (
        "3D046000001906202",
        "ヘモグロビンＡ１ｃ（ＮＧＳＰ）",
        "%",
        "4.9-6.0",
        "6.3",
        "H",
    ),
    (
        "3J010000002327101",
        "総ビリルビン",
        "mg/dL",
        "0.4-1.5",
        "0.60",
        "",
    ),
    (
        "3J015000002327101",
        "直接ビリルビン",
        "mg/dL",
        "0.0-0.3",
        "0.10",
        "",
    ),
    (
        "5C070000002306201",
        "Ｃ反応性蛋白",
        "mg/dL",
        "0.00-0.14",
        "2.87",
        "H",
    ),
    (
        "2A010000001930101",
        "白血球数",
        "10*3/uL",
        "3.3-8.6",
        "9.4",
        "H",
    ),
    (
        "2A020000001930101",
        "赤血球数",
        "10*6/uL",
        "3.86-4.92",
        "3.51",
        "L",
    ),
    (
        "2A030000001930101",
        "ヘモグロビン",
        "g/dL",
        "11.6-14.8",
        "10.7",
        "L",
    ),
    (
        "2A040000001930101",
        "ヘマトクリット",
        "%",
        "35.1-44.4",
        "32.5",
        "L",
    ),
    (
        "2A050000001930101",
        "血小板数",
        "10*3/uL",
        "158-348",
        "241",
        "",
    ),
    ("2A060000001930101", "ＭＣＶ", "fL", "83.6-98.2", "92.6", ""),
    ("2A070000001930101", "ＭＣＨ", "pg", "27.5-33.2", "30.5", ""),
    (
        "2A080000001930101",
        "ＭＣＨＣ",
        "g/dL",
        "31.7-35.3",
        "32.9",
        "",
    ),
    (
        "2B030000002231152",
        "プロトロンビン時間活性",
        "%",
        "70-130",
        "88",
        "",
    ),
    (
        "2B100000002231101",
        "フィブリノゲン",
        "mg/dL",
        "200-400",
        "412",
        "H",
    ),
    (
        "2B140000002206201",
        "Ｄダイマー",
        "ug/mL",
        "0.0-1.0",
        "1.4",
        "H",
    ),
];

const DRUGS: [(&str, &str); 5] = [
    ("103835401", "アムロジピン錠５ｍｇ「架空」"),
    ("110626901", "ランソプラゾールＯＤ錠１５ｍｇ「架空」"),
    ("100607002", "酸化マグネシウム錠３３０ｍｇ「架空」"),
    ("102371001", "フロセミド錠２０ｍｇ「架空」"),
    ("113457802", "メトホルミン塩酸塩錠２５０ｍｇ「架空」"),
];

const DAY: Date = date(2025, 1, 10);

/// One message about the invented person `person`, MSH-10 = `control_id`.
///
/// # Errors
/// [`BuildError`] when the simulator cannot build it.
pub fn message(kind: Kind, person: u64, control_id: &str) -> Result<Vec<u8>, BuildError> {
    let at = DAY.at(11, 30, 0, 0);
    let collected = DAY.at(7, 0, 0, 0);
    let what = match kind {
        Kind::Adt => What::Admit,
        Kind::Rde5 => What::Prescribe(prescription(at)),
        Kind::Oru8 | Kind::Oru40 => What::LaboratoryResults(results(kind, collected, 123)),
    };
    let stay = Stay::demo(DAY.at(10, 10, 0, 0));
    let event = Event::new(at, &Person::synthetic(person), what)
        .stay(&stay)
        .order(20_000 + person);
    encoded(&event, control_id)
}

/// The message of an event with all that hospitals and laboratories usually add to it.
pub(super) fn encoded(event: &Event, control_id: &str) -> Result<Vec<u8>, BuildError> {
    let built = build(&Site::demo(), event, control_id)?;
    let text = match event.what {
        What::Admit => with_family_and_cover(&built.text, &event.person),
        What::LaboratoryResults(_) => with_local_codes(&built.text),
        _ => return Ok(built.bytes),
    };
    Ok(encode(&text, Charset::Iso2022Jp).bytes)
}

/// What hospitals add to an admission beside the patient and the stay: next of kin, height and weight, an
/// allergy, the insurance cover (SS-MIX2 ADT-22).
fn with_family_and_cover(text: &str, who: &Person) -> String {
    let Person {
        family,
        kana_family,
        phone,
        address,
        zip,
        ..
    } = who;
    let number = who.insurance.first().map_or("", |cover| &cover.number);
    format!(
        "{text}NK1|1|{family}^太郎^^^^^L^I~{kana_family}^タロウ^^^^^L^P|CHD^子^HL70063|^^^^{zip}^JPN^H^{address}|^PRN^PH^^^^^^^^^{phone}|^WPN^PH^^^^^^^^^03-0000-0000|N^近親者^HL70131\r\
         OBX|1|NM|9N001000000000001^身長^JC10||152.4|cm^cm^ISO+|||||F|||20250110\r\
         OBX|2|NM|9N006000000000001^体重^JC10||48.6|kg^kg^ISO+|||||F|||20250110\r\
         AL1|1|DA^薬剤アレルギー^HL70127|A0012^ペニシリン系抗生物質^99XYZ|SE^重症^HL70128|発疹、呼吸困難\r\
         IN1|1|39^後期高齢者医療^JHSD0001|39999999|||||||{number}|||20240801|20300731|||SEL^本人^HL70063\r\
         IN1|2|12^生活保護法による医療扶助^JHSD0001|12999999|||||||1234567|||20240801|20300731\r"
    )
}

/// What laboratories put into an OBX beside item, value and flag: the code of the hospital's own system, who
/// answers for the result and the method.
fn with_local_codes(text: &str) -> String {
    let mut written = String::with_capacity(text.len() * 2);
    for (line, number) in text.split_terminator('\r').zip(0_u32..) {
        let mut fields: Vec<&str> = line.split('|').collect();
        let item;
        if let ["OBX", _, _, code, ..] = fields[..] {
            let name = code.split('^').nth(1).unwrap_or_default();
            item = format!("{code}^L{number:05}^{name}^99LAB");
            fields[3] = &item;
            fields.extend(["", "DR0301^検査^一郎", "^自動分析法"]);
        }
        written.push_str(&fields.join("|"));
        written.push('\r');
    }
    written
}

/// A report of one specimen, eight or forty results.
pub(super) fn results(kind: Kind, collected: DateTime, specimen: u64) -> LabReport {
    let count = if kind == Kind::Oru40 { ITEMS.len() } else { 8 };
    let row = |&(code, name, unit, range, value, flag): &Item| {
        LabRow::number(code, name, value, unit, range, flag)
    };
    LabReport {
        specimen: format!("{}{specimen:05}", collected.strftime("%y%m%d")),
        material: ("023".to_owned(), "血清".to_owned()),
        collected,
        panel: ("BIO40".to_owned(), "生化学・血液一般".to_owned()),
        rows: ITEMS.iter().take(count).map(row).collect(),
    }
}

/// Five drugs from the day after `at` on.
pub(super) fn prescription(at: DateTime) -> Prescription {
    let start = at.date().checked_add(1.day()).unwrap_or(at.date());
    let drugs = (1..).zip(&DRUGS);
    Prescription {
        at_discharge: false,
        ordered: at,
        drugs: drugs
            .map(|(rp, (code, name))| Drug::tablet(rp, code, name, 14, start))
            .collect(),
    }
}
