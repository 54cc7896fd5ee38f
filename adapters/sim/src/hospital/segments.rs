//! Segments that several messages share, in the shapes of SS-MIX2 1.2.

use jiff::civil::{Date, DateTime};
use renkei_hl7v2::build::{Part, Segment};

use super::event::Event;
use super::people::{Insurance, Person, Site, Staff, Stay};

pub(super) fn seconds(at: DateTime) -> String {
    at.strftime("%Y%m%d%H%M%S").to_string()
}

pub(super) fn minutes(at: DateTime) -> String {
    at.strftime("%Y%m%d%H%M").to_string()
}

pub(super) fn day(date: Date) -> String {
    date.strftime("%Y%m%d").to_string()
}

pub(super) fn evn(site: &Site, event: &Event, occurred: bool) -> Segment {
    let segment = Segment::new("EVN")
        .text(2, &seconds(event.at))
        .text(7, &site.facility);
    if occurred {
        segment.text(6, &minutes(event.occurred.unwrap_or(event.at)))
    } else {
        segment
    }
}

pub(super) fn pid(person: &Person) -> Segment {
    let segment = Segment::new("PID")
        .text(1, "0001")
        .components(3, [person.local_id.as_str(), "", "", "", "PI"])
        .components(
            5,
            [
                person.family.as_str(),
                &person.given,
                "",
                "",
                "",
                "",
                "L",
                "I",
            ],
        )
        .repetition(
            5,
            [
                person.kana_family.as_str(),
                &person.kana_given,
                "",
                "",
                "",
                "",
                "L",
                "P",
            ],
        )
        .text(7, &day(person.birth))
        .text(8, person.sex.code())
        .components(
            11,
            ["", "", "", "", &person.zip, "JPN", "H", &person.address],
        );
    if person.phone.is_empty() {
        return segment;
    }
    segment.components(
        13,
        [
            "",
            "PRN",
            "PH",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            person.phone.as_str(),
        ],
    )
}

pub(super) fn staff(staff: &Staff) -> [&str; 15] {
    let mut parts = [""; 15];
    (parts[0], parts[1], parts[2]) = (&staff.id, &staff.family, &staff.given);
    (parts[9], parts[14]) = ("L", "I");
    parts
}

fn place(place: &[String; 3], kind: &'static str) -> [String; 6] {
    let [ward, room, bed] = place.clone();
    [
        ward,
        room,
        bed,
        String::new(),
        String::new(),
        kind.to_owned(),
    ]
}

pub(super) fn pv1(stay: &Stay) -> Segment {
    let (class, kind) = if stay.outpatient {
        ("O", "C")
    } else {
        ("I", "N")
    };
    let segment = Segment::new("PV1")
        .text(1, "0001")
        .text(2, class)
        .components(3, &place(&stay.place, kind))
        .components(7, staff(&stay.doctor))
        .text(10, &stay.department.0);
    match &stay.prior {
        Some(prior) => segment.components(6, &place(prior, kind)),
        None => segment,
    }
}

pub(super) fn orc(
    site: &Site,
    event: &Event,
    control: &str,
    rp: Option<&str>,
    at: DateTime,
) -> Segment {
    let order = event.order_number();
    let mut segment = Segment::new("ORC")
        .text(1, control)
        .text(2, &order)
        .text(9, &seconds(at));
    if let Some(rp) = rp {
        segment = segment.text(4, rp);
    }
    if let Some(stay) = &event.stay {
        segment = segment
            .components(10, staff(&stay.doctor))
            .components(12, staff(&stay.doctor))
            .components(
                17,
                [stay.department.0.as_str(), &stay.department.1, "HL70069"],
            );
    }
    let inpatient = event.stay.as_ref().is_some_and(|stay| !stay.outpatient);
    let class = if inpatient {
        ["I", "入院患者オーダ", "HL70482"]
    } else {
        ["O", "外来患者オーダ", "HL70482"]
    };
    segment
        .text(21, &site.name)
        .components(22, ["", "", "", "", &site.zip, "JPN", "", &site.address])
        .components(
            23,
            [
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                site.phone.as_str(),
            ],
        )
        .components(29, class)
}

pub(super) fn in1(place: usize, cover: &Insurance) -> Segment {
    let segment = Segment::new("IN1")
        .text(1, &place.to_string())
        .components(2, [cover.plan.as_str(), &cover.plan_name, "JHSD0001"])
        .text(3, &cover.insurer)
        .text(12, &day(cover.from))
        .text(13, &day(cover.until))
        .components(17, ["SEL", "本人", "HL70063"]);
    if cover.branch.is_empty() {
        return segment.text(10, &cover.symbol).text(11, &cover.number);
    }
    segment.texts(10, [cover.symbol.as_str(), &cover.number, &cover.branch])
}

/// A quantity in a component with subcomponents: `3^TAB&錠&MR9P`.
pub(super) fn amount<'a>(number: &'a str, unit: &'a [&'a str]) -> [Part<'a>; 2] {
    [Part::Text(number), Part::Subcomponents(unit)]
}
