//! The hospital's messages in their published shapes.

use jiff::civil::{Date, date, datetime};
use renkei_hl7v2::build::Charset;
use renkei_sim::hospital::{
    Allergy, Drug, Event, LabReport, LabRow, Person, Place, Prescription, Problem, Site, VitalRow,
    What, build,
};

use crate::hospital::{person, stay};

fn lines(event: &Event) -> Vec<String> {
    let built = build(&Site::demo(), event, "SIM1").unwrap();
    let decoded = renkei_hl7v2::decode(&built.bytes);
    assert_eq!(
        decoded.text,
        built.text.trim_end_matches('\r'),
        "what was encoded reads back the same"
    );
    assert!(decoded.findings.is_empty(), "{:?}", decoded.findings);
    built
        .text
        .split_terminator('\r')
        .map(str::to_owned)
        .collect()
}

const PID: &str = "PID|0001||0000123456^^^^PI||松本^京子^^^^^L^I~マツモト^キョウコ^^^^^L^P||19390215|F|||^^^^166-0004^JPN^H^東京都杉並区架空町99丁目35番57号||^PRN^PH^^^^^^^^^03-0000-3456";
const DOCTOR: &str = "DR0101^橋本^健一^^^^^^^L^^^^^I";

#[test]
fn a_discharge_has_the_published_shape() {
    let mut stay = stay();
    stay.discharged = Some((datetime(2025, 1, 31, 11, 0, 0, 0), "06".into()));
    let event = Event::new(
        datetime(2025, 1, 31, 11, 25, 0, 0),
        &person(),
        What::Discharge,
    )
    .stay(&stay)
    .occurred(datetime(2025, 1, 31, 11, 0, 0, 0));
    let expected = [
        "MSH|^~\\&|RENKEISIM|HOSP01|GW|RCV|20250131112500||ADT^A03^ADT_A03|SIM1|P|2.5||||||~ISO IR87||ISO 2022-1994|SS-MIX2_1.20^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO".to_owned(),
        "EVN||20250131112500||||202501311100|HOSP01".to_owned(),
        PID.to_owned(),
        format!("PV1|0001|I|3E^301^1^^^N||||{DOCTOR}|||01|||||||{DOCTOR}|||||||||||||||||||06||||||||202501101010|202501311100"),
    ];
    assert_eq!(lines(&event), expected);
    stay.repeats_admission = false;
    let bare = lines(&Event {
        stay: Some(stay),
        ..event
    });
    assert!(
        bare[3].ends_with("|06|||||||||202501311100"),
        "no admit time: {}",
        bare[3]
    );
}

#[test]
fn a_discharge_prescription_has_the_published_shape() {
    let start = date(2025, 1, 31);
    let mut ointment = Drug::tablet(2, "", "軟膏", 7, start);
    ointment.dose = None;
    ointment.daily = None;
    ointment.usage = String::new();
    ointment.usage_text = "患部に塗布".into();
    ointment.days = None;
    let ordered = datetime(2025, 1, 30, 16, 0, 0, 0);
    let drugs = vec![
        Drug::tablet(1, "103835401", "ムコダイン錠２５０ｍｇ", 14, start),
        Drug::tablet(1, "110926901", "別の錠", 14, start),
        ointment,
    ];
    let order = Prescription {
        at_discharge: true,
        ordered,
        drugs,
    };
    let event = Event::new(ordered, &person(), What::Prescribe(order))
        .stay(&stay())
        .order(20001);
    let lines = lines(&event);
    let names: Vec<&str> = lines.iter().map(|line| &line[..3]).collect();
    assert_eq!(
        names,
        [
            "MSH", "PID", "PV1", "ORC", "RXE", "TQ1", "RXR", "ORC", "RXE", "TQ1", "RXR", "ORC",
            "RXE", "TQ1", "RXR"
        ]
    );
    let orc = format!(
        "ORC|NW|000000000020001||000000000020001_01_001|||||20250130160000|{DOCTOR}||{DOCTOR}|||||01^内科^HL70069||||架空総合病院|^^^^166-0004^JPN^^東京都杉並区架空町99丁目9番9号|^^^^^^^^^^^03-0000-0000||||||I^入院患者オーダ^HL70482"
    );
    assert_eq!(lines[3], orc);
    assert_eq!(
        lines[4],
        "RXE||103835401^ムコダイン錠２５０ｍｇ^HOT9|1||TAB^錠^MR9P|||||42|TAB^錠^MR9P||||||||3^TAB&錠&MR9P||IHP^入院処方^MR9P~DCG^退院処方^MR9P||||||21^内服^JHSP0003"
    );
    assert_eq!(
        lines[5],
        "TQ1|1||1013044400000000&内服・経口・１日３回朝昼夕食後&JAMISDP01|||14^D&日&ISO+|20250131"
    );
    assert!(lines[7].contains("_01_002") && lines[11].contains("_02_001"));
    assert!(
        lines[12].starts_with("RXE||^軟膏^HOT9|\"\"||\"\"|"),
        "{}",
        lines[12]
    );
    assert_eq!(
        lines[13],
        "TQ1|1||&患部に塗布&99HOS||||20250131||||患部に塗布"
    );
}

fn report() -> LabReport {
    LabReport {
        specimen: "000000000300001".into(),
        material: ("023".into(), "血清".into()),
        collected: datetime(2025, 1, 11, 7, 0, 0, 0),
        panel: ("E001".into(), "生化学的検査".into()),
        rows: vec![
            LabRow::number(
                "3A015000002327101",
                "アルブミン",
                "3.1",
                "g/dL",
                "3.8-5.2",
                "L",
            ),
            LabRow {
                value_type: "ST".into(),
                ..LabRow::number("1A990000000192054", "糖", " 2 +", "", "", "A")
            },
        ],
    }
}

#[test]
fn results_keep_the_order_of_segments_that_each_message_asks_for() {
    let at = datetime(2025, 1, 11, 11, 30, 0, 0);
    let storage = lines(
        &Event::new(at, &person(), What::Results(report()))
            .stay(&stay())
            .order(30001),
    );
    let names = |lines: &[String]| {
        lines
            .iter()
            .map(|line| line[..3].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&storage),
        ["MSH", "PID", "PV1", "SPM", "OBR", "ORC", "OBX", "OBX"]
    );
    assert_eq!(
        storage[3],
        "SPM|1|000000000300001||023^血清^JC10|||||||||||||202501110700"
    );
    assert_eq!(
        storage[4],
        "OBR|1|000000000030001|000000000300001|E001^生化学的検査^99O03|||202501110700|||||||||||||||20250111113000"
    );
    assert_eq!(
        storage[6],
        "OBX|1|NM|3A015000002327101^アルブミン^JC10||3.1|g/dL^g/dL^ISO+|3.8-5.2|L|||F|||202501110700"
    );
    assert_eq!(
        storage[7],
        "OBX|2|ST|1A990000000192054^糖^JC10|| 2 +|||A|||F|||202501110700"
    );
    let laboratory =
        lines(&Event::new(at, &person(), What::LaboratoryResults(report())).order(30001));
    assert_eq!(
        names(&laboratory),
        ["MSH", "PID", "ORC", "OBR", "OBX", "OBX"]
    );
    let vital = VitalRow {
        code: "9P100000000000001".into(),
        name: "体温".into(),
        value: "36.80".into(),
        unit: "Cel".into(),
    };
    let vitals = lines(&Event::new(at, &person(), What::Vitals(vec![vital])));
    assert_eq!(names(&vitals), ["MSH", "PID", "ORC", "OBR", "OBX"]);
    assert!(vitals[0].contains("|ORU^R30^ORU_R30|") && vitals[4].contains("|36.80|"));
}

#[test]
fn lists_carry_every_allergy_and_problem() {
    let at = datetime(2025, 1, 10, 12, 0, 0, 0);
    let allergy = Allergy {
        class: ("DA".into(), "薬剤アレルギー".into()),
        substance: ("1".into(), "ペニシリン".into(), "99XYZ".into()),
        severity: ("MO".into(), "中等度".into()),
        reaction: "発疹".into(),
    };
    let listed = lines(&Event::new(
        at,
        &person(),
        What::Allergies(vec![allergy.clone(), allergy]),
    ));
    assert_eq!(
        listed[4],
        "IAM|2|DA^薬剤アレルギー^HL70127|1^ペニシリン^99XYZ|MO^中等度^HL70128|発疹|A^追加^HL70323"
    );
    let problem = Problem {
        instance: "000000000000902".into(),
        code: "20058577".into(),
        name: "急性肺炎".into(),
        icd10: "J189".into(),
        started: date(2025, 1, 10),
        ended: Some((date(2025, 1, 20), "N".into())),
        suspected: true,
        main: true,
    };
    let listed = lines(&Event::new(at, &person(), What::Problems(vec![problem])));
    assert_eq!(
        listed[2],
        "PRB|AD|20250110|20058577^急性肺炎^MDCDX2|000000000000902|||20250110||20250120|J189^^I10^H^入院時^JHSD0004^2013|||1^疑いあり^JHSD0005|N^^HL70241|20250120|20250110||1^主診断^JHSD0007"
    );
    assert_eq!(listed[3], "ZPR||20058577^急性肺炎^MDCDX2");
    assert!(listed[4].starts_with("ORC|NW|000000000000902|"));
}

#[test]
fn every_trigger_has_its_folder_and_care_date() {
    let mut stay = stay();
    stay.expected_discharge = Some(date(2025, 1, 30));
    stay.discharged = Some((datetime(2025, 1, 31, 11, 0, 0, 0), "01".into()));
    let order = || Prescription {
        at_discharge: false,
        ordered: datetime(2025, 1, 12, 9, 0, 0, 0),
        drugs: vec![],
    };
    let cases: [(What, &str, &str, Option<Date>, bool); 14] = [
        (What::Register, "ADT^A08", "ADT-00", None, false),
        (
            What::Visit,
            "ADT^A04",
            "ADT-12",
            Some(date(2025, 1, 10)),
            false,
        ),
        (
            What::Admit,
            "ADT^A01",
            "ADT-22",
            Some(date(2025, 1, 10)),
            false,
        ),
        (
            What::CancelAdmit,
            "ADT^A11",
            "ADT-22",
            Some(date(2025, 1, 10)),
            true,
        ),
        (
            What::Transfer,
            "ADT^A02",
            "ADT-42",
            Some(date(2025, 1, 20)),
            false,
        ),
        (
            What::PlanDischarge,
            "ADT^A16",
            "ADT-51",
            Some(date(2025, 1, 30)),
            false,
        ),
        (
            What::CancelPlan,
            "ADT^A25",
            "ADT-51",
            Some(date(2025, 1, 30)),
            true,
        ),
        (
            What::Discharge,
            "ADT^A03",
            "ADT-52",
            Some(date(2025, 1, 31)),
            false,
        ),
        (
            What::CancelDischarge,
            "ADT^A13",
            "ADT-52",
            Some(date(2025, 1, 31)),
            true,
        ),
        (What::Allergies(vec![]), "ADT^A60", "ADT-61", None, false),
        (What::Problems(vec![]), "PPR^ZD1", "PPR-01", None, false),
        (
            What::Prescribe(order()),
            "RDE^O11",
            "OMP-01",
            Some(date(2025, 1, 12)),
            false,
        ),
        (
            What::CancelPrescription(order()),
            "RDE^O11",
            "OMP-01",
            Some(date(2025, 1, 12)),
            true,
        ),
        (
            What::Results(report()),
            "OUL^R22",
            "OML-11",
            Some(date(2025, 1, 11)),
            false,
        ),
    ];
    for (what, message, folder, care_date, cancels) in cases {
        let event = Event::new(datetime(2025, 2, 1, 9, 0, 0, 0), &person(), what)
            .stay(&stay)
            .occurred(datetime(2025, 1, 20, 14, 0, 0, 0));
        let built = build(&Site::demo(), &event, "X").unwrap();
        let seen = (
            built.message_type.as_str(),
            built.place,
            built.care_date,
            built.cancels,
        );
        assert_eq!(
            seen,
            (message, Place::Standardized(folder), care_date, cancels)
        );
    }
    let homeless = Event::new(datetime(2025, 2, 1, 9, 0, 0, 0), &person(), What::Admit);
    assert!(
        build(&Site::demo(), &homeless, "X").is_err(),
        "an admission needs a stay"
    );
}

#[test]
fn invented_people_are_stable_distinct_and_encodable() {
    for number in [0, 1, 95, 96, 123_456, u64::MAX] {
        let person = Person::synthetic(number);
        assert_eq!(person.local_id, Person::synthetic(number).local_id);
        let text = format!(
            "{}{}{}{}",
            person.family, person.given, person.kana_family, person.address
        );
        assert!(
            renkei_hl7v2::encode::encode(&text, Charset::Iso2022Jp).is_complete(),
            "{number}"
        );
    }
    let ids: std::collections::HashSet<_> = (0..2000)
        .map(|number| Person::synthetic(number).local_id)
        .collect();
    assert_eq!(ids.len(), 2000);
}
