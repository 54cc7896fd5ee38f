//! Stories a hospital plays.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, time};

use super::document::{cda_with_pdf, minimal_pdf};
use super::event::{Event, What};
use super::orders::{Allergy, Document, Drug, LabReport, LabRow, Prescription, Problem};
use super::people::{Person, Site, Stay};

/// Events in the order they are sent.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// The events.
    pub events: Vec<Event>,
}

impl Scenario {
    /// One stay from registration to discharge: A08, A60, A01, PPR^ZD1, OUL^R22 with a low albumin,
    /// A02, A16, discharge prescription of three drugs, A03 and a discharge summary (CDA + PDF).
    /// `first_order` and the four after it are the order numbers used.
    #[must_use]
    pub fn discharge_story(
        site: &Site,
        person: &Person,
        admission: Date,
        first_order: u64,
    ) -> Self {
        let at = |days: i32, hour: i8, minute: i8| {
            let date = admission.checked_add(days.days()).unwrap_or(admission);
            date.to_datetime(time(hour, minute, 0, 0))
        };
        let mut stay = Stay::demo(at(0, 10, 10));
        let mut events = vec![
            Event::new(at(0, 9, 0), person, What::Register),
            Event::new(at(0, 9, 1), person, What::Allergies(vec![penicillin()])),
            Event::new(at(0, 10, 15), person, What::Admit)
                .stay(&stay)
                .order(first_order),
            Event::new(
                at(0, 12, 0),
                person,
                What::Problems(vec![pneumonia(admission, first_order)]),
            ),
            Event::new(at(1, 11, 30), person, What::Results(albumin(at(1, 7, 0))))
                .stay(&stay)
                .order(first_order + 1),
        ];
        stay.prior = Some(std::mem::replace(
            &mut stay.place,
            ["5W".to_owned(), "512".to_owned(), "2".to_owned()],
        ));
        let moved = Event::new(at(5, 15, 0), person, What::Transfer)
            .stay(&stay)
            .order(first_order + 2);
        events.push(moved.occurred(at(5, 14, 30)));
        stay.prior = None;
        stay.expected_discharge = Some(at(21, 0, 0).date());
        events.push(
            Event::new(at(18, 9, 0), person, What::PlanDischarge)
                .stay(&stay)
                .order(first_order + 3),
        );
        let order = discharge_drugs(at(20, 16, 0));
        events.push(
            Event::new(at(20, 16, 0), person, What::Prescribe(order))
                .stay(&stay)
                .order(first_order + 4),
        );
        stay.discharged = Some((at(21, 11, 0), "06".to_owned()));
        let left = Event::new(at(21, 11, 25), person, What::Discharge)
            .stay(&stay)
            .order(first_order);
        events.push(left.occurred(at(21, 11, 0)));
        let summary = discharge_summary(site, person, at(21, 11, 28), first_order);
        events.push(Event::new(at(21, 11, 28), person, What::Document(summary)).stay(&stay));
        Self { events }
    }
}

fn penicillin() -> Allergy {
    let own = str::to_owned;
    Allergy {
        class: (own("DA"), own("薬剤アレルギー")),
        substance: (own("1"), own("ペニシリン"), own("99XYZ")),
        severity: (own("MO"), own("中等度")),
        reaction: own("発疹"),
    }
}

fn pneumonia(started: Date, number: u64) -> Problem {
    Problem {
        instance: format!("{number:015}"),
        code: "20058577".to_owned(),
        name: "急性肺炎".to_owned(),
        icd10: "J189".to_owned(),
        started,
        ended: None,
        suspected: false,
        main: true,
    }
}

fn albumin(collected: DateTime) -> LabReport {
    LabReport {
        specimen: "000000000300001".to_owned(),
        material: ("023".to_owned(), "血清".to_owned()),
        collected,
        panel: ("E001".to_owned(), "生化学的検査".to_owned()),
        rows: vec![
            LabRow::number(
                "3A015000002327101",
                "アルブミン",
                "3.1",
                "g/dL",
                "3.8-5.2",
                "L",
            ),
            LabRow::number(
                "3H015000002326101",
                "カリウム",
                "4.4",
                "meq/L",
                "3.5-5.0",
                "",
            ),
        ],
    }
}

fn discharge_drugs(ordered: DateTime) -> Prescription {
    let start = ordered.date();
    let mut gargle = Drug::tablet(2, "", "院内調剤うがい液", 14, start);
    gargle.code = "L00042".to_owned();
    gargle.system = "99HOS".to_owned();
    gargle.dose = None;
    gargle.daily = None;
    gargle.unit = ("HON".to_owned(), "本".to_owned());
    gargle.route = ("MM".to_owned(), "粘膜".to_owned());
    gargle.total = "1".to_owned();
    gargle.usage = String::new();
    gargle.usage_text = "うがい　１日数回".to_owned();
    Prescription {
        at_discharge: true,
        ordered,
        drugs: vec![
            Drug::tablet(1, "103835401", "ムコダイン錠２５０ｍｇ", 14, start),
            Drug::tablet(
                1,
                "110926901",
                "パンスポリンＴ錠１００　１００ｍｇ",
                14,
                start,
            ),
            gargle,
        ],
    }
}

fn discharge_summary(site: &Site, person: &Person, at: DateTime, number: u64) -> Document {
    let title = "退院時サマリー";
    let loinc = ("18842-5", title);
    Document {
        title: title.to_owned(),
        loinc: (loinc.0.to_owned(), loinc.1.to_owned()),
        number: format!("DS{number:013}"),
        files: vec![
            (
                "main_document.xml".to_owned(),
                cda_with_pdf(site, person, title, loinc, at, "summary.pdf"),
            ),
            ("summary.pdf".to_owned(), minimal_pdf()),
        ],
        deleted: false,
    }
}
