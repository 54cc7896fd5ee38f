use renkei_core::{Code, Flag, ResourceType};
use renkei_sim::hospital::{Drug, Event, Prescription, Stay, What};

use crate::rehearsal::{Rehearsal, admission, day, discharge, person};
use crate::world::Stored;

fn of(hub: &Rehearsal, kind: ResourceType) -> Vec<Stored> {
    let mut found: Vec<Stored> = hub
        .world
        .resources
        .values()
        .filter(|stored| stored.kind == kind)
        .cloned()
        .collect();
    found.sort_by_key(|stored| stored.row);
    found
}

fn codes(hub: &Rehearsal) -> Vec<Code> {
    hub.world
        .effects
        .outcomes
        .iter()
        .flat_map(|(_, outcome)| &outcome.findings)
        .map(|finding| finding.code)
        .collect()
}

fn prescription(said: i32, names: &[&str]) -> Event {
    let ordered = day(3);
    let drugs = names.iter().enumerate().map(|(at, name)| {
        Drug::tablet(
            u32::try_from(at).unwrap() + 1,
            "103835401",
            name,
            7,
            ordered.date(),
        )
    });
    let order = Prescription {
        at_discharge: false,
        ordered,
        drugs: drugs.collect(),
    };
    Event::new(day(said), &person(), What::Prescribe(order))
        .stay(&Stay::demo(day(0)))
        .order(42)
}

#[test]
fn a_discharge_without_admit_time_finds_its_stay() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.send(&discharge(21, "06"));
    let stays = of(&hub, ResourceType::Encounter);
    assert_eq!(stays.len(), 1);
    assert_eq!(stays[0].version, 2);
    assert!(
        stays[0].body.contains("2026-01-10T10:00") && stays[0].body.contains("2026-01-31T10:00"),
        "{}",
        stays[0].body
    );
    assert!(!stays[0].body.contains("~stay~"));
}

#[test]
fn a_discharge_that_comes_first_opens_a_provisional_stay_with_a_finding() {
    let mut hub = Rehearsal::new();
    hub.send(&discharge(21, "06"));
    assert_eq!(of(&hub, ResourceType::Encounter).len(), 1);
    assert!(codes(&hub).contains(&Code::REC_STAY_PROVISIONAL));
}

#[test]
fn a_corrected_admit_time_keeps_the_stay() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    let mut corrected = admission();
    let mut stay = Stay::demo(day(0).checked_add(jiff::ToSpan::minutes(30)).unwrap());
    stay.place = Stay::demo(day(0)).place;
    corrected.stay = Some(stay);
    corrected.at = day(1);
    hub.send(&corrected);
    let stays = of(&hub, ResourceType::Encounter);
    assert_eq!(stays.len(), 1);
    assert!(stays[0].body.contains("10:30"), "{}", stays[0].body);
}

#[test]
fn a_plan_after_the_discharge_does_not_reopen_the_stay() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.send(&discharge(21, "06"));
    let mut stay = Stay::demo(day(0));
    stay.expected_discharge = Some(day(21).date());
    let late = Event::new(day(22), &person(), What::PlanDischarge)
        .stay(&stay)
        .order(5)
        .occurred(day(20));
    hub.send(&late);
    let stays = of(&hub, ResourceType::Encounter);
    assert_eq!(stays.len(), 1);
    assert!(stays[0].body.contains("\"finished\""), "{}", stays[0].body);
}

#[test]
fn the_same_message_twice_writes_no_version() {
    let mut hub = Rehearsal::new();
    hub.send(&prescription(3, &["ムコダイン錠"]));
    let before = hub.world.effects.versions.len();
    hub.send(&prescription(3, &["ムコダイン錠"]));
    assert_eq!(hub.world.effects.versions.len(), before);
}

#[test]
fn a_rewritten_order_withdraws_what_it_no_longer_names() {
    let mut hub = Rehearsal::new();
    hub.send(&prescription(3, &["ムコダイン錠", "カロナール錠"]));
    hub.send(&prescription(4, &["ムコダイン錠"]));
    let orders = of(&hub, ResourceType::MedicationRequest);
    assert_eq!(orders.iter().filter(|order| order.withdrawn).count(), 1);
    assert_eq!(orders.iter().filter(|order| !order.withdrawn).count(), 1);
}

#[test]
fn an_older_file_of_the_key_brings_nothing_back() {
    let mut hub = Rehearsal::new();
    hub.send(&prescription(4, &["ムコダイン錠"]));
    hub.send_as(
        &prescription(3, &["ムコダイン錠", "カロナール錠"]),
        Some(Flag::Superseded),
    );
    let current: Vec<Stored> = of(&hub, ResourceType::MedicationRequest)
        .into_iter()
        .filter(|order| !order.withdrawn)
        .collect();
    assert_eq!(
        current.len(),
        1,
        "{:?}",
        current
            .iter()
            .map(|order| order.body.clone())
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_deleted_key_is_withdrawn_and_holds_off_a_late_original() {
    let mut hub = Rehearsal::new();
    hub.send_as(&prescription(5, &["ムコダイン錠"]), Some(Flag::Deleted));
    assert!(codes(&hub).contains(&Code::REC_CANCEL_FIRST));
    hub.send(&prescription(3, &["ムコダイン錠"]));
    let orders = of(&hub, ResourceType::MedicationRequest);
    assert!(
        orders.iter().all(|order| order.withdrawn),
        "the original came after its deletion"
    );
}

#[test]
fn an_orders_patient_block_never_replaces_what_adt_said() {
    let mut hub = Rehearsal::new();
    let mut snapshot = prescription(3, &["ムコダイン錠"]);
    snapshot.person.phone = "03-9999-9999".into();
    hub.send(&snapshot);
    hub.send(&Event::new(day(4), &person(), What::Register));
    snapshot.at = day(5);
    hub.send(&snapshot);
    let patients = of(&hub, ResourceType::Patient);
    assert_eq!(patients.len(), 1);
    assert!(!patients[0].body.contains("03-9999-9999"));
}

#[test]
fn one_provenance_per_message_that_wrote_versions() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.send(&admission());
    assert_eq!(of(&hub, ResourceType::Provenance).len(), 1);
}
