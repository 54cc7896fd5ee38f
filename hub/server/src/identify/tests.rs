use super::*;

fn facts(kana: &str, birth: &str, phone: &str) -> Facts {
    Facts {
        kana: kana.into(),
        birth_date: birth.into(),
        sex: "female".into(),
        phones: if phone.is_empty() {
            vec![]
        } else {
            vec![phone.into()]
        },
        ..Facts::default()
    }
}

#[test]
fn birth_date_sex_kana_and_phone_join() {
    let one = facts("カクウハナコ", "1939-02-15", "0300000001");
    assert_eq!(compare(&one, &one.clone()), Likeness::Same);
}

#[test]
fn kana_and_birth_date_alone_ask_a_person() {
    let one = facts("カクウハナコ", "1939-02-15", "0300000001");
    let other = facts("カクウハナコ", "1939-02-15", "0300000002");
    assert_eq!(compare(&one, &other), Likeness::InBetween);
}

#[test]
fn same_kana_with_a_slip_in_the_birth_date_asks_a_person() {
    let one = facts("カクウハナコ", "1939-02-15", "");
    assert_eq!(
        compare(&one, &facts("カクウハナコ", "1939-02-16", "")),
        Likeness::InBetween
    );
    assert_eq!(
        compare(&one, &facts("カクウハナコ", "1950-11-03", "")),
        Likeness::Other
    );
}

#[test]
fn a_shared_phone_of_a_couple_does_not_join() {
    let mut husband = facts("カクウタロウ", "1938-05-01", "0300000001");
    husband.sex = "male".into();
    assert_eq!(
        compare(&facts("カクウハナコ", "1939-02-15", "0300000001"), &husband),
        Likeness::Other
    );
}

#[test]
fn a_personal_insurance_number_joins_without_kana() {
    let mut one = facts("", "1939-02-15", "");
    one.insurance = vec!["late-elderly:39999999:00000001".into()];
    let mut other = facts("カクウハナコ", "1939-02-15", "");
    other.insurance = one.insurance.clone();
    assert_eq!(compare(&one, &other), Likeness::Same);
    other.birth_date = "1939-02-16".into();
    assert_eq!(compare(&one, &other), Likeness::InBetween);
}

#[test]
fn empty_facts_are_like_nobody() {
    assert_eq!(
        compare(&Facts::default(), &Facts::default()),
        Likeness::Other
    );
}
