use renkei_core::{
    ChannelKind, ChannelStatus, Code, Form, ItemClass, PersonId, Profession, RecordId,
};

use crate::config::SinkMode;
use crate::rehearsal::{Rehearsal, admission, discharge};
use crate::world::{DeliveryState, Verdict};

fn decided(hub: &Rehearsal) -> Vec<(Verdict, Option<Code>)> {
    hub.world
        .effects
        .decisions
        .iter()
        .map(|decision| (decision.verdict, decision.code))
        .collect()
}

#[test]
fn no_channel_is_one_visible_row() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    assert!(hub.after(0).is_empty());
    assert_eq!(decided(&hub), [(Verdict::Deny, Some(Code::RTE_NO_CHANNEL))]);
}

#[test]
fn without_consent_nothing_goes_and_one_row_says_why() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Nurse]);
    hub.team(&[Profession::Doctor]);
    hub.world.consents.clear();
    assert!(hub.after(0).is_empty());
    assert_eq!(decided(&hub), [(Verdict::Deny, Some(Code::RTE_NO_CONSENT))]);
}

#[test]
fn a_withdrawn_or_ended_consent_covers_nothing() {
    for (until, withdrawn) in [("2025-12-31", ""), ("", "2026-01-01")] {
        let mut hub = Rehearsal::new();
        hub.send(&admission());
        hub.team(&[Profession::Nurse]);
        let consent = &mut hub.world.consents.get_mut(&RecordId(1)).unwrap()[0];
        consent.valid_until = until.into();
        consent.withdrawn_on = withdrawn.into();
        assert!(hub.after(0).is_empty());
    }
}

#[test]
fn a_form_of_another_birth_date_is_no_ground() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Nurse]);
    hub.world.consents.get_mut(&RecordId(1)).unwrap()[0].birth_date = "1900-01-01".into();
    assert!(hub.after(0).is_empty());
    assert_eq!(
        decided(&hub),
        [(Verdict::Deny, Some(Code::RTE_CONSENT_MISMATCH))]
    );
}

#[test]
fn everyone_who_can_read_must_be_covered() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Nurse]);
    hub.world.consents.get_mut(&RecordId(1)).unwrap()[0].recipients =
        vec!["facility:1312222222".into()];
    let mut another = hub.world.channels[&PersonId(1)][0].members[0].clone();
    another.facility = Some("1313333333".into());
    hub.world.channels.get_mut(&PersonId(1)).unwrap()[0]
        .members
        .push(another);
    assert!(hub.after(0).is_empty());
    hub.world.channels.get_mut(&PersonId(1)).unwrap()[0]
        .members
        .pop();
    let notice = *hub.world.notices.keys().next().unwrap();
    hub.world.effects = Default::default();
    super::plan::plan(&mut hub.world, notice);
    assert_eq!(hub.world.effects.deliveries.len(), 1);
}

#[test]
fn restricted_classes_must_be_named() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Doctor]);
    let planned = hub.after(0);
    assert_eq!(planned[0].disclosure.of(ItemClass::Admission), Form::Full);
    assert_eq!(planned[0].disclosure.of(ItemClass::Infection), Form::None);
}

#[test]
fn family_and_unconfirmed_channels_are_denied() {
    for (kind, status, code) in [
        (
            ChannelKind::Family,
            ChannelStatus::Confirmed,
            Code::RTE_FAMILY_CHANNEL,
        ),
        (
            ChannelKind::Professional,
            ChannelStatus::Proposed,
            Code::RTE_CHANNEL_NOT_CONFIRMED,
        ),
        (
            ChannelKind::Professional,
            ChannelStatus::Broken,
            Code::DLV_HEADER_DIFFERS,
        ),
    ] {
        let mut hub = Rehearsal::new();
        hub.send(&admission());
        hub.team(&[Profession::Nurse]);
        let channel = &mut hub.world.channels.get_mut(&PersonId(1)).unwrap()[0];
        (channel.kind, channel.status) = (kind, status);
        assert!(hub.after(0).is_empty());
        assert_eq!(decided(&hub), [(Verdict::Deny, Some(code))]);
    }
}

#[test]
fn a_death_is_rendered_and_held() {
    for disposition in ["20", "40", "41", "42"] {
        let mut hub = Rehearsal::new();
        hub.send(&admission());
        hub.team(&[Profession::Doctor]);
        let told = hub.after(0);
        hub.delivered(&told);
        hub.send(&discharge(21, disposition));
        let planned = hub.after(11);
        assert_eq!(planned.len(), 1);
        assert_eq!(
            (planned[0].state, planned[0].code),
            (DeliveryState::Held, Some(Code::RTE_NEVER_AUTOMATIC))
        );
    }
}

#[test]
fn old_news_is_marked_then_listed() {
    for (minutes, late, code) in [
        (25 * 60, true, None),
        (73 * 60, true, Some(Code::RTE_STALE)),
    ] {
        let mut hub = Rehearsal::new();
        hub.send(&admission());
        hub.team(&[Profession::Nurse]);
        let planned = hub.after(minutes);
        assert_eq!((planned[0].late, planned[0].code), (late, code));
    }
}

#[test]
fn shadow_and_assisted_sinks_keep_what_they_would_send() {
    for (mode, code) in [
        (SinkMode::Shadow, Code::RTE_SHADOW),
        (SinkMode::Assisted, Code::RTE_ASSISTED),
    ] {
        let mut hub = Rehearsal::new();
        hub.send(&admission());
        hub.team(&[Profession::Nurse]);
        let mut setup = (*hub.world.setup).clone();
        setup.sinks.values_mut().for_each(|sink| sink.mode = mode);
        hub.world.setup = setup.into();
        let planned = hub.after(0);
        assert_eq!(
            (planned[0].state, planned[0].code),
            (DeliveryState::Held, Some(code))
        );
        assert!(!planned[0].post.text.is_empty());
    }
}

#[test]
fn inviting_a_helper_shortens_the_next_post() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Doctor]);
    hub.team(&[Profession::Doctor, Profession::Helper]);
    let planned = hub.after(0);
    assert_eq!(planned.len(), 2);
    assert!(planned[1].post.text.chars().count() < planned[0].post.text.chars().count());
}

/// What the courier does when a look finds other readers than the post was rendered for.
fn readers_change(hub: &mut Rehearsal, professions: &[Profession]) {
    let notice = *hub.world.notices.keys().next().unwrap();
    let channel = &mut hub.world.channels.get_mut(&PersonId(1)).unwrap()[0];
    let first = channel.members[0].clone();
    channel.members = professions
        .iter()
        .map(|profession| renkei_core::Member {
            professions: vec![*profession],
            ..first.clone()
        })
        .collect();
    for earlier in hub.world.deliveries.get_mut(&notice).into_iter().flatten() {
        (earlier.state, earlier.code, earlier.attempts) =
            (DeliveryState::Dead, Some(Code::DLV_SUPERSEDED), 0);
    }
    hub.world.effects = Default::default();
    super::plan::plan(&mut hub.world, notice);
}

#[test]
fn a_release_holds_when_the_readers_change() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Nurse]);
    let stale = hub.after(73 * 60);
    assert_eq!(stale[0].code, Some(Code::RTE_STALE));
    hub.delivered(&stale);
    for earlier in hub.world.deliveries.values_mut().flatten() {
        earlier.released_by = Some("担当".into());
    }
    readers_change(&mut hub, &[Profession::Helper]);
    let again = &hub.world.effects.deliveries;
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].state, again[0].released_by.as_deref()),
        (DeliveryState::Pending, Some("担当"))
    );
    assert_ne!(again[0].id, stale[0].id);
}

#[test]
fn readers_who_change_back_get_the_first_rendering() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Nurse]);
    let first = hub.after(0);
    hub.delivered(&first);
    readers_change(&mut hub, &[Profession::Nurse]);
    assert!(hub.world.effects.deliveries.is_empty());
    assert_eq!(hub.world.effects.revived, [(first[0].id.clone(), None)]);
}

#[test]
fn what_a_lost_hub_may_have_told_is_corrected_and_stays_for_a_person() {
    let mut hub = Rehearsal::new();
    hub.send(&admission());
    hub.team(&[Profession::Doctor]);
    let first = hub.after(0);
    hub.delivered(&first);
    let notice = first[0].notice;
    let restored = |hub: &mut Rehearsal| {
        for earlier in hub.world.deliveries.values_mut().flatten() {
            (earlier.state, earlier.code, earlier.attempts) =
                (DeliveryState::Held, Some(Code::DLV_RESTORED), 0);
        }
        hub.world.effects = Default::default();
    };
    // Routed again to other readers: nobody is told by itself what may have been told.
    restored(&mut hub);
    let channel = &mut hub.world.channels.get_mut(&PersonId(1)).unwrap()[0];
    channel.members[0].professions = vec![Profession::Helper];
    super::plan::plan(&mut hub.world, notice);
    assert!(hub.world.effects.deliveries.is_empty());
    assert!(hub.world.effects.superseded.is_empty());
    // What has changed since is a correction of it.
    restored(&mut hub);
    let channel = &mut hub.world.channels.get_mut(&PersonId(1)).unwrap()[0];
    channel.members[0].professions = vec![Profession::Doctor];
    let mut elsewhere = admission();
    elsewhere.at = crate::rehearsal::day(1);
    let stay = elsewhere.stay.as_mut().unwrap();
    stay.place = ["4S".to_owned(), "401".to_owned(), "1".to_owned()];
    hub.send(&elsewhere);
    let corrected = hub.after(120);
    assert_eq!(corrected.len(), 1, "{corrected:?}");
    assert_eq!(corrected[0].change, renkei_core::Change::Corrected);
    assert_eq!(corrected[0].replaces, Some(first[0].id.clone()));
    assert!(hub.world.effects.superseded.is_empty());
}
