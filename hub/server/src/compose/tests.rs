use renkei_core::{Change, NoticeKind, Profession};
use renkei_sim::hospital::{Drug, Event, LabReport, LabRow, Prescription, Stay, What};

use crate::rehearsal::{Rehearsal, admission, day, discharge, person};
use crate::world::Notice;

fn prescription(days: i32, names: &[&str]) -> Event {
    let ordered = day(days);
    let start = ordered.date();
    let drugs = names.iter().enumerate().map(|(at, name)| {
        Drug::tablet(u32::try_from(at).unwrap() + 1, "103835401", name, 14, start)
    });
    let order = Prescription {
        at_discharge: true,
        ordered,
        drugs: drugs.collect(),
    };
    Event::new(ordered, &person(), What::Prescribe(order))
        .stay(&Stay::demo(day(0)))
        .order(77)
}

fn albumin(days: i32, value: &str) -> Event {
    let row = LabRow::number(
        "3A015000002327101",
        "アルブミン",
        value,
        "g/dL",
        "3.8-5.2",
        "L",
    );
    let report = LabReport {
        specimen: "S1".into(),
        material: ("023".into(), "血清".into()),
        collected: day(days),
        panel: ("E001".into(), "生化学".into()),
        rows: vec![row],
    };
    Event::new(day(days), &person(), What::Results(report))
        .stay(&Stay::demo(day(0)))
        .order(88)
}

fn notices(rehearsal: &Rehearsal, kind: NoticeKind) -> Vec<Notice> {
    rehearsal
        .world
        .notices
        .values()
        .filter(|notice| notice.kind == kind)
        .cloned()
        .collect()
}

/// A team that was told of the admission.
fn told_of_the_admission(team: &[Profession]) -> Rehearsal {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(team);
    let told = hub.after(0);
    hub.delivered(&told);
    hub
}

#[test]
fn an_admission_is_told_at_once_and_once() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::CareManager, Profession::Nurse]);
    let posts = hub.after(0);
    assert_eq!(posts.len(), 1);
    assert!(
        posts[0].post.headline.starts_with("【入院】"),
        "{}",
        posts[0].post.headline
    );
    hub.delivered(&posts);
    hub.send(&admission());
    assert!(
        hub.after(120).is_empty(),
        "the same message again tells nothing"
    );
}

#[test]
fn messages_of_one_discharge_become_one_notice() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    hub.send(&albumin(1, "3.1"));
    assert!(hub.after(120).is_empty(), "a result alone tells nothing");
    hub.send(&prescription(20, &["ムコダイン錠", "アムロジピン錠"]));
    assert!(
        hub.after(120).is_empty(),
        "a prescription alone tells nothing"
    );
    hub.send(&discharge(21, "06"));
    assert!(hub.after(5).is_empty(), "it settles first");
    let posts = hub.after(6);
    assert_eq!(posts.len(), 1);
    let text = &posts[0].post.text;
    assert!(
        posts[0].post.headline.contains("退院"),
        "{}",
        posts[0].post.headline
    );
    assert!(
        text.contains("アルブミン") && text.contains("2剤"),
        "{text}"
    );
    assert!(posts[0].post.sheet.is_some());
}

#[test]
fn a_discharge_that_settles_is_told_before_the_next_admission() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    hub.send(&discharge(21, "06"));
    assert!(hub.after(1).is_empty(), "it settles first");
    let back = day(22);
    let again = Event::new(back, &crate::rehearsal::person(), What::Admit).stay(&Stay::demo(back));
    hub.send(&again);
    let kinds: Vec<String> = hub
        .after(0)
        .iter()
        .map(|post| post.post.headline.chars().take(4).collect())
        .collect();
    assert_eq!(kinds, ["【退院】", "【入院】"]);
}

#[test]
fn a_changed_prescription_corrects_and_a_later_result_does_not() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    hub.send(&prescription(20, &["ムコダイン錠"]));
    hub.send(&discharge(21, "06"));
    let first = hub.after(11);
    hub.delivered(&first);
    hub.send(&albumin(20, "2.9"));
    assert!(
        hub.after(120).is_empty(),
        "what comes later is not told again"
    );
    let mut changed = prescription(20, &["ムコダイン錠", "カロナール錠"]);
    changed.at = day(22);
    hub.send(&changed);
    let second = hub.after(120);
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].change, Change::Corrected);
    assert_eq!(second[0].replaces, Some(first[0].id.clone()));
    assert!(
        second[0].post.text.contains("カロナール"),
        "{}",
        second[0].post.text
    );
}

#[test]
fn a_result_wakes_no_notice_that_does_not_tell_it() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    hub.send(&albumin(1, "3.1"));
    assert_eq!(notices(&hub, NoticeKind::Admission)[0].due_at, None);
    hub.send(&discharge(21, "06"));
    let told = hub.after(11);
    hub.delivered(&told);
    let mut later = albumin(20, "2.9");
    later.order = Some(89);
    hub.send(&later);
    assert_eq!(notices(&hub, NoticeKind::Discharge)[0].due_at, None);
}

#[test]
fn a_result_that_was_told_is_corrected_and_a_later_one_does_not_take_its_place() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    hub.send(&albumin(1, "3.1"));
    hub.send(&discharge(21, "06"));
    let first = hub.after(11);
    hub.delivered(&first);
    let mut later = albumin(19, "2.2");
    later.order = Some(89);
    hub.send(&later);
    let mut corrected = albumin(1, "3.3");
    corrected.at = day(22);
    hub.send(&corrected);
    let second = hub.after(120);
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].change, Change::Corrected);
    let text = &second[0].post.text;
    assert!(text.contains("3.3") && !text.contains("2.2"), "{text}");
}

#[test]
fn the_value_before_is_corrected_too() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    hub.send(&albumin(1, "3.1"));
    let mut newer = albumin(9, "2.8");
    newer.order = Some(89);
    hub.send(&newer);
    hub.send(&discharge(21, "06"));
    let first = hub.after(11);
    hub.delivered(&first);
    let labs = |hub: &Rehearsal| {
        let notice = &notices(hub, NoticeKind::Discharge)[0];
        notice.content.as_ref().unwrap().labs.clone()
    };
    assert!(labs(&hub)[0].previous.as_ref().unwrap().contains("3.1"));
    let mut corrected = albumin(1, "3.5");
    corrected.at = day(22);
    hub.send(&corrected);
    assert_eq!(hub.after(120).len(), 1);
    assert!(labs(&hub)[0].previous.as_ref().unwrap().contains("3.5"));
}

#[test]
fn a_corrected_patient_line_wakes_what_was_told_with_the_other() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    let mut moved = person();
    moved.address = "東京都架空区別町9-9-9".into();
    hub.send(&Event::new(day(1), &moved, What::Register));
    let admission = |hub: &Rehearsal| notices(hub, NoticeKind::Admission)[0].clone();
    assert_eq!(admission(&hub).due_at, None, "no post names an address");
    let mut corrected = moved;
    corrected.kana_family = "ベツメイ".into();
    hub.send(&Event::new(day(2), &corrected, What::Register));
    hub.after(11);
    let notice = admission(&hub);
    assert_eq!(notice.version, 2);
    assert_eq!(notice.content.unwrap().patient.family_kana, "ベツメイ");
}

#[test]
fn an_admission_sent_twice_still_does_not_follow_the_beds() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    let mut again = admission();
    again.at = day(1);
    again.stay.as_mut().unwrap().doctor.family = "別人".into();
    hub.send(&again);
    assert!(hub.after(11).is_empty(), "no reader sees who attends");
    let mut stay = again.stay.unwrap();
    let moved_to = ["5W".to_owned(), "512".to_owned(), "1".to_owned()];
    stay.prior = Some(std::mem::replace(&mut stay.place, moved_to));
    hub.send(
        &Event::new(day(2), &person(), What::Transfer)
            .stay(&stay)
            .order(3),
    );
    let moved = hub.after(11);
    assert_eq!(moved.len(), 1, "only the transfer is told");
    assert!(moved[0].post.headline.contains("【転棟】"));
}

#[test]
fn a_cancelled_discharge_is_told_only_to_who_was_told() {
    let mut hub = told_of_the_admission(&[Profession::Nurse]);
    hub.send(&discharge(21, "01"));
    let mut cancel = discharge(21, "01");
    cancel.what = What::CancelDischarge;
    cancel.at = day(22);
    let told = hub.after(11);
    hub.delivered(&told);
    hub.send(&cancel);
    let posts = hub.after(11);
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].change, Change::Cancelled);
    assert!(
        posts[0].post.headline.contains("取消"),
        "{}",
        posts[0].post.headline
    );
}

#[test]
fn a_later_bed_is_no_correction_of_the_admission() {
    let mut hub = told_of_the_admission(&[Profession::Doctor]);
    let mut stay = Stay::demo(day(0));
    let moved_to = ["5W".to_owned(), "512".to_owned(), "1".to_owned()];
    stay.prior = Some(std::mem::replace(&mut stay.place, moved_to));
    let transfer = Event::new(day(2), &person(), What::Transfer)
        .stay(&stay)
        .order(3);
    hub.send(&transfer);
    let moved = hub.after(11);
    assert_eq!(moved.len(), 1);
    assert!(moved[0].post.headline.contains("【転棟】"));
    hub.delivered(&moved);
    hub.send(&albumin(3, "3.1"));
    assert!(hub.after(120).is_empty(), "the admission was told rightly");

    let mut elsewhere = admission();
    elsewhere.at = day(4);
    let ward = elsewhere.stay.as_mut().unwrap();
    ward.place = ["4S".to_owned(), "401".to_owned(), "1".to_owned()];
    hub.send(&elsewhere);
    let corrected = hub.after(120);
    let admission = corrected
        .iter()
        .find(|delivery| delivery.post.headline.contains("【入院】"))
        .unwrap();
    assert_eq!(admission.change, Change::Corrected);
    assert!(
        admission.post.text.contains("訂正：病棟"),
        "{}",
        admission.post.text
    );
}

#[test]
fn what_is_cancelled_before_it_settles_is_never_told() {
    let mut hub = told_of_the_admission(&[Profession::Nurse]);
    hub.send(&discharge(21, "01"));
    let mut cancel = discharge(21, "01");
    cancel.what = What::CancelDischarge;
    hub.send(&cancel);
    assert!(hub.after(120).is_empty());
    assert_eq!(notices(&hub, NoticeKind::Discharge)[0].version, 0);
}

#[test]
fn a_planned_discharge_is_told_and_its_new_day_is_a_correction() {
    let mut hub = told_of_the_admission(&[Profession::CareManager]);
    let plan = |on: i32, said: i32| {
        let mut stay = Stay::demo(day(0));
        stay.expected_discharge = Some(day(on).date());
        Event::new(day(said), &person(), What::PlanDischarge)
            .stay(&stay)
            .order(5)
    };
    hub.send(&plan(21, 18));
    let first = hub.after(11);
    assert_eq!(first.len(), 1);
    assert!(
        first[0].post.headline.contains("1/31"),
        "{}",
        first[0].post.headline
    );
    hub.delivered(&first);
    hub.send(&plan(22, 19));
    let second = hub.after(11);
    assert_eq!(second.len(), 1, "one notice, a new version");
    assert_eq!(second[0].change, Change::Corrected);
    assert!(
        second[0].post.text.contains("2/1") || second[0].post.headline.contains("2/1"),
        "{}",
        second[0].post.text
    );
}
