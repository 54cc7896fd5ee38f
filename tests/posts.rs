//! How many posts a hospital's history makes: none by themselves, and after a named operator's release
//! no more than there were admissions and discharges.

use std::collections::BTreeMap;

use renkei::world::DeliveryState;
use renkei_core::Code;
use renkei_sim::hospital::{Drug, Event, LabReport, LabRow, Person, Prescription, Problem, What};

use crate::harness::{TestHub, put, until, until_within};
use crate::hub::Config;
use crate::peers::SINKS;
use crate::people::{Told, ago, register};
use crate::stores::{On, on_each_store};
use crate::story::Dice;

const PEOPLE: u64 = 200;
const ADMISSIONS: usize = 82;
const DISCHARGES: usize = 70;
const DEATHS: usize = 6;

/// What one person's files say: everyone has results, prescriptions and diagnoses, some were admitted,
/// most of those discharged, a few by death.
fn history(number: usize, person: &Person, dice: &mut Dice) -> Vec<Event> {
    let days = |days: i64| days * 24 * 60;
    let begin = 10 + i64::try_from(dice.roll(300)).unwrap();
    let mut told = Told::admitted(person, days(begin));
    let mut events = vec![register(person, days(begin + 1))];
    let order = |number: u64| 1000 + number;
    if number < ADMISSIONS {
        events.push(told.admit());
    }
    for turn in 0..3 {
        let minutes = days(begin) - 600 - i64::try_from(turn).unwrap() * 1440;
        let report = LabReport {
            specimen: format!("{:015}", order(turn)),
            material: ("023".to_owned(), "血清".to_owned()),
            collected: ago(minutes),
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
        };
        events.push(
            told.step(minutes - 60, What::Results(report))
                .order(order(turn)),
        );
    }
    let prescribed = days(begin) - 2 * 1440;
    let drugs = Prescription {
        at_discharge: number < DISCHARGES && number.is_multiple_of(2),
        ordered: ago(prescribed),
        drugs: vec![Drug::tablet(
            1,
            "103835401",
            "ムコダイン錠２５０ｍｇ",
            7,
            ago(prescribed).date(),
        )],
    };
    events.push(
        told.step(prescribed, What::Prescribe(drugs))
            .order(order(50)),
    );
    let problem = Problem {
        instance: format!("{:015}", order(60)),
        code: "20058577".to_owned(),
        name: "急性肺炎".to_owned(),
        icd10: "J189".to_owned(),
        started: ago(days(begin)).date(),
        ended: None,
        suspected: false,
        main: true,
    };
    events.push(Event::new(
        ago(prescribed),
        person,
        What::Problems(vec![problem]),
    ));
    if number < DISCHARGES {
        let to = if number < DEATHS { "20" } else { "06" };
        let discharge = told.discharge(days(begin) - 5 * 1440, to);
        events.push(discharge);
    }
    events
}

async fn posts(hub: &TestHub, sink: &str) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for post in hub.district.sim(sink).doors.told().await {
        let kind = post
            .headline
            .split_inclusive('】')
            .next()
            .unwrap_or_default();
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

async fn a_history_tells_nobody_until_it_is_released_and_then_only_of_stays(on: On) {
    let people: Vec<Person> = (0..PEOPLE)
        .map(|number| Person::synthetic(5000 + number))
        .collect();
    let mut dice = Dice(82);
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    // The first walk finds everything there already: it is history.
    let mut files = 0;
    let histories: Vec<_> = people
        .iter()
        .enumerate()
        .map(|(number, person)| history(number, person, &mut dice))
        .collect();
    hub.restart_after(async |hub| {
        hub.office.forget_walks().await;
        for (number, events) in histories.iter().enumerate() {
            for (step, event) in events.iter().enumerate() {
                put(
                    &hub.folders.path("standard"),
                    &hub.folders.path("extended"),
                    event,
                    &format!("H{number}-{step}"),
                );
                files += 1;
            }
        }
    })
    .await;
    let ended = "SELECT count(*) FROM outcome JOIN message USING (position) WHERE source = 'storage' AND state = 'processed'";
    let patience = std::time::Duration::from_secs(120);
    until_within("the history is read", patience, async || {
        hub.office.number(ended).await == files
    })
    .await;
    let settled = "SELECT count(*) FROM notice WHERE due_at IS NOT NULL";
    until_within("the notices are settled", patience, async || {
        hub.office.number(settled).await == 0
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.district.effects().await, 0, "a history tells nobody");
    let held = hub.office.codes(DeliveryState::Held).await;
    let waiting = (ADMISSIONS + DISCHARGES - DEATHS) * SINKS.len();
    let expected = [
        (Code::RTE_BACKFILL.to_string(), waiting),
        (Code::RTE_NEVER_AUTOMATIC.to_string(), DEATHS * SINKS.len()),
    ];
    assert_eq!(held, expected.into());

    let released = hub.office.release(Code::RTE_BACKFILL).await;
    assert_eq!(released, waiting as u64);
    until_within("what was released is told", patience, async || {
        hub.office.is_idle().await
    })
    .await;
    let discharges = DISCHARGES - DEATHS;
    for sink in SINKS {
        let told = posts(&hub, sink).await;
        let expected = [
            ("【入院】".to_owned(), ADMISSIONS),
            ("【退院】".to_owned(), discharges),
        ];
        assert_eq!(told, expected.into(), "{sink}");
    }
    let held = hub.office.codes(DeliveryState::Held).await;
    assert_eq!(
        held,
        [(Code::RTE_NEVER_AUTOMATIC.to_string(), DEATHS * SINKS.len())].into()
    );

    // Read a second time from the beginning.
    let effects = hub.district.effects().await;
    hub.restart_after(async |hub| hub.office.forget_walks().await)
        .await;
    hub.walked().await;
    until("it is read again", async || {
        hub.office
            .number("SELECT count(*) FROM note WHERE key LIKE 'p:%' AND value LIKE '%false%'")
            .await
            >= people.len() as i64
    })
    .await;
    hub.idle().await;
    assert_eq!(hub.district.effects().await, effects);
}

on_each_store! {
    a_history_tells_nobody_until_it_is_released_and_then_only_of_stays,
}
