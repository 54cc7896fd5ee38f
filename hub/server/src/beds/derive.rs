//! Counting a ward from its open stays (ADT), for hospitals that send no bed feed.
//!
//! Which stay lies in which bed is noted with the effects of each ADT message, and so is what is said of the beds
//! themselves (A20, PV1-40): one that is closed or being cleaned is not free, though nobody lies in it. The room
//! writes the counts to the board now and then. Only for sources that admit everyone, only from the instant on since when every
//! open stay is known, and only as long as the source is heard: else the ward is stale, never free.

use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Bed, BedStatus, Code, Draft, Finding, Message, ResourceType, Severity, SourceName,
};
use serde::Deserialize;

use super::config::FromStays;
use super::{Bedside, Known, NotedStay, Ward, board};
use crate::record::Changes;
use crate::store::beds::Stays;
use crate::world::World;

/// What of an Encounter says who lies where.
#[derive(Deserialize)]
struct Stay {
    #[serde(default)]
    status: String,
    #[serde(default)]
    class: Class,
    #[serde(default)]
    location: Vec<Place>,
}

#[derive(Deserialize, Default)]
struct Class {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    status: String,
    #[serde(default)]
    location: Named,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    identifier: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Number {
    value: String,
}

/// Where an inpatient lies now: `ward/room/bed`, as far as it was said.
fn lies_in(body: &str) -> Option<String> {
    let stay: Stay = serde_json::from_str(body).ok()?;
    let is_open = matches!(stay.status.as_str(), "arrived" | "in-progress" | "onleave");
    if !is_open || stay.class.code != "IMP" {
        return None;
    }
    let now = stay
        .location
        .iter()
        .find(|place| place.status == "active")?;
    let place = &now.location.identifier.value;
    (!ward_of(place).is_empty()).then(|| place.clone())
}

fn ward_of(place: &str) -> &str {
    place.split('/').next().unwrap_or_default()
}

/// Notes where the patients of the stays lie that a message has changed, what it says of beds, and that its
/// source was heard. Returns what was odd.
pub fn note(
    world: &mut World,
    message: &Message,
    draft: &Draft,
    changes: &Changes,
) -> Option<Finding> {
    let hospital = message.facility.as_str();
    if !world.setup.beds.counts(hospital, &message.source) {
        // Beside a patient it is a detail; a message about beds alone should not seem to have done something.
        let is_for_nothing = draft.subject.is_none() && !draft.bed_states.is_empty();
        return is_for_nothing.then(|| Finding::new(Code::BED_NOT_COUNTED, Severity::Info, "NPU"));
    }
    let heard = world.effects.heard.entry(hospital.to_owned());
    let heard = heard.or_insert(message.received_at);
    *heard = (*heard).max(message.received_at);
    for id in &changes.versions {
        let Some(stored) = world.resources.get(id) else {
            continue;
        };
        if stored.kind != ResourceType::Encounter {
            continue;
        }
        let place = (!stored.withdrawn).then(|| lies_in(&stored.body)).flatten();
        let lies = place.map(|place| Bedside {
            ward: Ward {
                hospital: hospital.to_owned(),
                code: ward_of(&place).to_owned(),
            },
            place,
        });
        let at = stored.source_time;
        let noted = NotedStay { lies, at };
        world.effects.stays.insert(id.clone(), noted);
    }
    for state in &draft.bed_states {
        let key = (hospital.to_owned(), state.place.clone());
        let known = world.effects.bed_states.get(&key);
        if known.is_none_or(|known| known.at <= state.at) {
            world.effects.bed_states.insert(key, state.clone());
        }
    }
    None
}

/// The rows of a hospital's counted wards, as of when its source was last heard. Empty before all open stays
/// are known. A bed that is said to be taken or out of use is not free, whoever lies where; more of them than
/// staffed beds: none is free.
pub fn count(
    hospital: &str,
    config: &FromStays,
    stays: &Stays,
    interval: SignedDuration,
) -> Vec<Known> {
    let Some(heard) = stays.heard.filter(|heard| *heard >= config.complete_from) else {
        return Vec::new();
    };
    let rows = config.wards.iter().map(|(code, ward)| {
        let said = |status| {
            stays
                .said
                .get(&(code.clone(), status))
                .copied()
                .unwrap_or(0)
        };
        let stays = stays.by_ward.get(code).copied().unwrap_or(0);
        let occupied = stays.saturating_add(said(BedStatus::Occupied));
        let out_of_use = [
            BedStatus::Closed,
            BedStatus::Housekeeping,
            BedStatus::Isolated,
            BedStatus::Contaminated,
        ];
        let taken = out_of_use
            .map(said)
            .into_iter()
            .fold(occupied, i64::saturating_add);
        let staffed = i64::from(ward.staffed);
        let bed = Bed {
            hospital_code: hospital.to_owned(),
            ward_code: code.clone(),
            ward_name: ward.name.clone(),
            function: ward.function.clone(),
            bed_type: ward.bed_type.clone(),
            staffed: Some(staffed),
            occupied: Some(occupied),
            available_any: Some(staffed.saturating_sub(taken).max(0)),
            acceptance: ward.acceptance.clone(),
            updated_at: heard,
            ..Bed::default()
        };
        Known {
            valid_until: board::valid_until(&bed, interval).0,
            bed,
            received_at: heard,
            source: SourceName::new(&*config.source),
            message: None,
        }
    });
    rows.collect()
}

/// Which of the counted rows are worth writing: other counts than the board shows, or the board's row has
/// used up half its interval.
pub fn news(
    counted: Vec<Known>,
    board: &[Known],
    interval: SignedDuration,
    now: Timestamp,
) -> Vec<Known> {
    let is_news = |row: &Known| {
        let shown = board
            .iter()
            .find(|known| Ward::of(&known.bed) == Ward::of(&row.bed));
        shown.is_none_or(|shown| {
            let differs = Bed {
                updated_at: shown.bed.updated_at,
                ..row.bed.clone()
            } != shown.bed;
            let aged = now.duration_since(shown.bed.updated_at) * 2 > interval;
            row.bed.updated_at > shown.bed.updated_at && (differs || aged)
        })
    };
    counted.into_iter().filter(is_news).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::config::CountedWard;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn encounter(status: &str, class: &str, places: &[(&str, &str)]) -> String {
        let places: Vec<_> = places
            .iter()
            .map(|(status, number)| {
                serde_json::json!({"status": status, "location": {"identifier": {"value": number}}})
            })
            .collect();
        serde_json::json!({"resourceType": "Encounter", "status": status, "class": {"code": class}, "location": places}).to_string()
    }

    #[test]
    fn who_is_in_lies_where_the_last_move_says() {
        let moved = encounter(
            "in-progress",
            "IMP",
            &[("completed", "3E/301/1"), ("active", "4W/2")],
        );
        assert_eq!(lies_in(&moved).as_deref(), Some("4W/2"));
        let first = encounter("arrived", "IMP", &[("active", "3E/301")]);
        assert_eq!(lies_in(&first).as_deref(), Some("3E/301"));
        let away = encounter("onleave", "IMP", &[("active", "3E")]);
        assert_eq!(lies_in(&away).as_deref(), Some("3E"), "the bed is kept");
        for (status, class) in [
            ("finished", "IMP"),
            ("planned", "IMP"),
            ("cancelled", "IMP"),
            ("in-progress", "AMB"),
        ] {
            assert_eq!(
                lies_in(&encounter(status, class, &[("active", "3E")])),
                None
            );
        }
        assert_eq!(
            lies_in(&encounter("in-progress", "IMP", &[("planned", "3E")])),
            None
        );
        assert_eq!(lies_in("{"), None);
    }

    fn config() -> FromStays {
        let ward = |staffed| CountedWard {
            staffed,
            name: String::new(),
            function: "急性期".to_owned(),
            bed_type: String::new(),
            acceptance: Vec::new(),
        };
        FromStays {
            source: "kaku".to_owned(),
            complete_from: at("2026-12-01T00:00:00Z"),
            wards: BTreeMap::from([("3E".to_owned(), ward(3)), ("4E".to_owned(), ward(2))]),
        }
    }

    #[test]
    fn nothing_is_counted_before_all_stays_are_known_and_an_overfull_ward_is_not_negative() {
        let hour = SignedDuration::from_hours(1);
        let mut stays = Stays {
            heard: Some(at("2026-11-30T23:00:00Z")),
            by_ward: BTreeMap::from([
                ("3E".to_owned(), 1),
                ("4E".to_owned(), 5),
                ("9X".to_owned(), 1),
            ]),
            ..Stays::default()
        };
        assert_eq!(count("1319999999", &config(), &Stays::default(), hour), []);
        assert_eq!(count("1319999999", &config(), &stays, hour), []);
        stays.heard = Some(at("2026-12-01T10:00:00Z"));
        let rows = count("1319999999", &config(), &stays, hour);
        let free: Vec<_> = rows
            .iter()
            .map(|row| (&*row.bed.ward_code, row.bed.free(None)))
            .collect();
        assert_eq!(free, [("3E", Some(2)), ("4E", Some(0))]);
        assert_eq!(rows[0].valid_until, at("2026-12-01T12:00:00Z"));
    }

    #[test]
    fn a_bed_that_is_cleaned_or_closed_is_not_free() {
        let mut stays = Stays {
            heard: Some(at("2026-12-01T10:00:00Z")),
            by_ward: BTreeMap::from([("3E".to_owned(), 1)]),
            ..Stays::default()
        };
        let mut counted = |said: &[(BedStatus, i64)]| {
            let said = said.iter();
            stays.said = said
                .map(|(status, count)| (("3E".to_owned(), *status), *count))
                .collect();
            let hour = SignedDuration::from_hours(1);
            let bed = &count("1319999999", &config(), &stays, hour)[0].bed;
            (bed.occupied, bed.free(None))
        };
        assert_eq!(counted(&[]), (Some(1), Some(2)));
        for status in ["C", "H", "I", "K"] {
            let status = BedStatus::find(status).unwrap();
            assert_eq!(counted(&[(status, 1)]), (Some(1), Some(1)), "{status:?}");
        }
        assert_eq!(counted(&[(BedStatus::Occupied, 1)]), (Some(2), Some(1)));
        let many = [(BedStatus::Closed, 2), (BedStatus::Housekeeping, i64::MAX)];
        assert_eq!(counted(&many), (Some(1), Some(0)));
    }

    #[test]
    fn the_board_is_written_when_counts_change_or_grow_old() {
        let hour = SignedDuration::from_hours(1);
        let stays = |heard, occupied| Stays {
            heard: Some(at(heard)),
            by_ward: BTreeMap::from([("3E".to_owned(), occupied)]),
            ..Stays::default()
        };
        let rows = |heard, occupied| count("1319999999", &config(), &stays(heard, occupied), hour);
        let board = rows("2026-12-01T10:00:00Z", 1);
        let news = |rows: Vec<Known>, now| news(rows, &board, hour, at(now)).len();
        assert_eq!(
            news(rows("2026-12-01T10:05:00Z", 1), "2026-12-01T10:05:00Z"),
            0
        );
        assert_eq!(
            news(rows("2026-12-01T10:05:00Z", 2), "2026-12-01T10:05:00Z"),
            1
        );
        assert_eq!(
            news(rows("2026-12-01T10:40:00Z", 1), "2026-12-01T10:40:00Z"),
            2
        );
        assert_eq!(
            news(rows("2026-12-01T10:00:00Z", 1), "2026-12-01T11:40:00Z"),
            0,
            "nothing was heard"
        );
        assert_eq!(
            news(rows("2026-12-01T10:05:00Z", 1), "2026-12-01T10:05:00Z"),
            0
        );
    }
}
