//! Which rows reach the board. Per ward the newest wins; what cannot be is refused with a code, and what was
//! known before stands. Judged by the time the row was received, so that processing again decides the same.

use jiff::{SignedDuration, Timestamp};
use renkei_core::bed::CONDITIONS;
use renkei_core::{Bed, BedRow, Code, Finding, Message, Severity, limits};

use super::{Kept, Known, Ward};
use crate::world::World;

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is the newest of its ward.
    Taken,
    /// Nothing new: the same row again.
    Same,
    /// Older than what is known: history only.
    Late,
    /// Refused, because of one of its fields.
    Refused(Code, &'static str),
}

/// Judges one row against what is known of its ward.
pub fn judge(known: Option<&Bed>, bed: &Bed, received_at: Timestamp) -> Judged {
    if let Some(field) = impossible(bed) {
        return Judged::Refused(Code::BED_IMPOSSIBLE, field);
    }
    if bed.updated_at > later(received_at, limits::BED_FUTURE_SLACK) {
        return Judged::Refused(Code::BED_FUTURE, "updated_at");
    }
    match known {
        Some(known) if bed == known => Judged::Same,
        Some(known) if bed.updated_at < known.updated_at => Judged::Late,
        Some(known) if bed.updated_at == known.updated_at => {
            Judged::Refused(Code::BED_CONFLICT, "updated_at")
        }
        _ => Judged::Taken,
    }
}

/// The first field that cannot be, if any.
fn impossible(bed: &Bed) -> Option<&'static str> {
    if bed.hospital_code.trim().is_empty() {
        return Some("hospital_code");
    }
    if bed.ward_code.trim().is_empty() {
        return Some("ward_code");
    }
    let counts = [
        ("licensed", bed.licensed),
        ("staffed", bed.staffed),
        ("occupied", bed.occupied),
        ("available_m", bed.available_m),
        ("available_f", bed.available_f),
        ("available_any", bed.available_any),
        ("private_available", bed.private_available),
    ];
    let negative = |count: &Option<i64>| count.is_some_and(|count| count < 0);
    if let Some((field, _)) = counts.iter().find(|(_, count)| negative(count)) {
        return Some(field);
    }
    if negative(&bed.expected_wait_days) {
        return Some("expected_wait_days");
    }
    if let Some(licensed) = bed.licensed
        && let Some((field, _)) = counts
            .iter()
            .find(|(_, count)| count.is_some_and(|count| count > licensed))
    {
        return Some(field);
    }
    // Free and occupied beds are licensed ones; where that is not said, staffed ones.
    let said = [bed.available_any, bed.available_m, bed.available_f];
    let free = said.into_iter().flatten().reduce(i64::saturating_add);
    if let (Some(free), Some(total)) = (free, bed.licensed.or(bed.staffed))
        && free.saturating_add(bed.occupied.unwrap_or(0)) > total
    {
        return Some("available_any");
    }
    if let (Some(free), Some(private)) = (free, bed.private_available)
        && private > free
    {
        return Some("private_available");
    }
    (bed.valid_until.is_some_and(|until| until < bed.updated_at)).then_some("valid_until")
}

/// Until when a row is believed: as it says itself, else twice its interval; never longer than the limit.
/// The second: it says longer.
pub fn valid_until(bed: &Bed, interval: SignedDuration) -> (Timestamp, bool) {
    let most = later(bed.updated_at, limits::BED_VALID_AT_MOST);
    let twice = bed
        .updated_at
        .checked_add(interval.saturating_mul(2))
        .unwrap_or(most);
    match bed.valid_until {
        Some(said) => (said.min(most), said > most),
        None => (twice.min(most), false),
    }
}

fn later(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Judges the rows of one message over the world; effects overlay it, so the next row sees them. Returns
/// what was odd.
pub fn take(world: &mut World, message: &Message, rows: &[BedRow]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for row in rows {
        let odd = |code, severity, field: &str| {
            Finding::new(code, severity, format!("{} {field}", row.at))
        };
        let bed = &row.bed;
        let setup = world.setup.beds.clone();
        let own = message.facility.as_str();
        if !setup.speaks_for(&message.source, own, &bed.hospital_code) {
            findings.push(odd(Code::BED_NOT_THEIRS, Severity::Error, "hospital_code"));
            continue;
        }
        let unknown = |condition: &String| !CONDITIONS.iter().any(|(known, _)| known == condition);
        if bed.acceptance.iter().any(unknown) {
            findings.push(odd(Code::BED_CONDITION, Severity::Info, "acceptance"));
        }
        let ward = Ward::of(bed);
        let known = world.beds.get(&ward).map(|known| &known.bed);
        let late = match judge(known, bed, message.received_at) {
            Judged::Taken => false,
            Judged::Same => continue,
            Judged::Late => {
                findings.push(odd(Code::BED_LATE, Severity::Info, "updated_at"));
                true
            }
            Judged::Refused(code, field) => {
                let severity = match code {
                    Code::BED_CONFLICT => Severity::Warning,
                    _ => Severity::Error,
                };
                findings.push(odd(code, severity, field));
                continue;
            }
        };
        let (valid_until, is_cut) = valid_until(bed, setup.interval(&bed.hospital_code));
        if is_cut {
            findings.push(odd(Code::BED_VALIDITY, Severity::Warning, "valid_until"));
        }
        let known = Known {
            bed: bed.clone(),
            valid_until,
            received_at: message.received_at,
            source: message.source.clone(),
            message: Some(message.id),
        };
        if !late {
            world.beds.insert(ward, known.clone());
        }
        world.effects.beds.push(Kept { known, late });
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use renkei_core::{FacilityId, MessageId, Meta, SourceName};

    use super::*;
    use crate::beds::config::Beds;
    use crate::config::{Settle, Setup};
    use crate::route::relevance::Relevance;

    const OWN: &str = "1319999999";

    fn at(text: &str) -> Timestamp {
        format!("2025-01-31T{text}:00+09:00").parse().unwrap()
    }

    fn world() -> World {
        let beds: Beds = toml::from_str(
            "[speaks_for]\ncollector = ['1310000001']\n[intervals_secs]\n1310000001 = 14400",
        )
        .unwrap();
        let setup = Setup {
            facilities: Default::default(),
            sinks: Default::default(),
            live_from: Default::default(),
            settle: Settle::default(),
            staging: false,
            relevance: Relevance::built_in().unwrap(),
            beds: beds.rules(),
        };
        World::empty(at("10:00"), Arc::new(setup))
    }

    fn message(number: i64, source: &str, received: &str) -> Message {
        Message {
            id: MessageId(number),
            source: SourceName::new(source),
            facility: FacilityId::new(OWN).unwrap(),
            body: Default::default(),
            meta: Meta::default(),
            received_at: at(received),
        }
    }

    fn bed(free: i64, updated: &str) -> Bed {
        Bed {
            hospital_code: OWN.to_owned(),
            ward_code: "3E".to_owned(),
            licensed: Some(40),
            occupied: Some(35),
            available_any: Some(free),
            updated_at: at(updated),
            ..Bed::default()
        }
    }

    /// What of one row becomes of the board: the free beds shown, and the finding.
    fn after(known: &Bed, row: Bed) -> (Option<i64>, Option<(Code, String)>) {
        let mut world = world();
        let ward = Ward::of(known);
        let rows = |bed: &Bed| {
            vec![BedRow {
                at: "row 2".to_owned(),
                bed: bed.clone(),
            }]
        };
        assert_eq!(
            take(&mut world, &message(1, "beds", "09:00"), &rows(known)),
            []
        );
        let findings = take(&mut world, &message(2, "beds", "10:00"), &rows(&row));
        assert!(findings.len() < 2, "{findings:?}");
        let finding = findings.into_iter().next();
        let shown = world.beds[&ward].bed.free(None);
        (shown, finding.map(|finding| (finding.code, finding.at)))
    }

    /// Issue of the feed: what a bad row does to a good board. 2 free beds are known since 09:00.
    #[test]
    fn a_bad_row_leaves_what_is_known() {
        let good = bed(2, "09:00");
        let with = |change: &dyn Fn(&mut Bed)| {
            let mut bed = bed(5, "09:55");
            change(&mut bed);
            bed
        };
        let refused = |code, field: &str| (Some(2), Some((code, format!("row 2 {field}"))));
        let cannot = |field: &str| refused(Code::BED_IMPOSSIBLE, field);
        let table = [
            ("newer", bed(5, "09:55"), (Some(5), None)),
            ("repeated", bed(2, "09:00"), (Some(2), None)),
            (
                "out of order",
                bed(4, "08:00"),
                refused(Code::BED_LATE, "updated_at"),
            ),
            (
                "same time, other counts",
                bed(3, "09:00"),
                refused(Code::BED_CONFLICT, "updated_at"),
            ),
            ("four minutes ahead", bed(5, "10:04"), (Some(5), None)),
            (
                "six minutes ahead",
                bed(5, "10:06"),
                refused(Code::BED_FUTURE, "updated_at"),
            ),
            ("negative", bed(-1, "09:55"), cannot("available_any")),
            (
                "negative wait",
                with(&|bed| bed.expected_wait_days = Some(-1)),
                cannot("expected_wait_days"),
            ),
            (
                "more free than beds",
                bed(41, "09:55"),
                cannot("available_any"),
            ),
            (
                "free and occupied are too many",
                bed(6, "09:55"),
                cannot("available_any"),
            ),
            (
                "men, women and any are too many",
                with(&|bed| bed.available_m = Some(1)),
                cannot("available_any"),
            ),
            (
                "too many occupied",
                with(&|bed| bed.occupied = Some(41)),
                cannot("occupied"),
            ),
            (
                "too many staffed",
                with(&|bed| bed.staffed = Some(41)),
                cannot("staffed"),
            ),
            (
                "more single rooms than free",
                with(&|bed| bed.private_available = Some(6)),
                cannot("private_available"),
            ),
            (
                "sums that overflow",
                with(&|bed| {
                    bed.licensed = None;
                    bed.staffed = Some(40);
                    bed.available_any = Some(i64::MAX);
                }),
                cannot("available_any"),
            ),
            (
                "ends before it begins",
                with(&|bed| bed.valid_until = Some(at("09:54"))),
                cannot("valid_until"),
            ),
            (
                "no ward",
                with(&|bed| bed.ward_code = " ".to_owned()),
                cannot("ward_code"),
            ),
            (
                "another hospital",
                with(&|bed| bed.hospital_code = "1310000001".to_owned()),
                refused(Code::BED_NOT_THEIRS, "hospital_code"),
            ),
            (
                "unknown condition",
                with(&|bed| bed.acceptance = vec!["胃瘻".to_owned()]),
                (
                    Some(5),
                    Some((Code::BED_CONDITION, "row 2 acceptance".to_owned())),
                ),
            ),
            (
                "believed for a year",
                with(&|bed| {
                    bed.valid_until = Some(at("09:00") + SignedDuration::from_hours(9_000))
                }),
                (
                    Some(5),
                    Some((Code::BED_VALIDITY, "row 2 valid_until".to_owned())),
                ),
            ),
            (
                "counts not said",
                with(&|bed| bed.available_any = None),
                (None, None),
            ),
        ];
        for (name, row, expected) in table {
            assert_eq!(after(&good, row), expected, "{name}");
        }
    }

    #[test]
    fn a_row_is_believed_as_long_as_it_says_or_for_two_intervals() {
        let (mut bed, hour) = (bed(2, "09:00"), SignedDuration::from_hours(1));
        assert_eq!(valid_until(&bed, hour), (at("11:00"), false));
        bed.valid_until = Some(at("09:30"));
        assert_eq!(valid_until(&bed, hour), (at("09:30"), false));
        let most = bed.updated_at + SignedDuration::from_hours(48);
        bed.valid_until = Some(most + SignedDuration::from_secs(1));
        assert_eq!(valid_until(&bed, hour), (most, true));
        bed.valid_until = None;
        assert_eq!(
            valid_until(&bed, SignedDuration::from_hours(30)),
            (most, false)
        );
        bed.updated_at = Timestamp::MAX;
        assert_eq!(
            valid_until(&bed, SignedDuration::MAX),
            (Timestamp::MAX, false)
        );
    }

    #[test]
    fn rows_of_one_file_are_taken_in_their_order_and_late_ones_are_history() {
        let mut world = world();
        let rows = [bed(2, "09:00"), bed(1, "09:30"), bed(4, "08:00")];
        let rows = rows.map(|bed| BedRow {
            at: String::new(),
            bed,
        });
        take(&mut world, &message(1, "beds", "10:00"), &rows);
        let kept = world.effects.beds.iter();
        let kept: Vec<_> = kept
            .map(|kept| (kept.known.bed.free(None), kept.late))
            .collect();
        assert_eq!(kept, [(Some(2), false), (Some(1), false), (Some(4), true)]);
    }

    #[test]
    fn a_source_that_collects_speaks_for_whom_it_may() {
        let mut world = world();
        let mut other = bed(1, "09:00");
        other.hospital_code = "1310000001".to_owned();
        let rows = [BedRow {
            at: "row 2".to_owned(),
            bed: other,
        }];
        assert_eq!(
            take(&mut world, &message(1, "collector", "10:00"), &rows),
            []
        );
        let known = world.beds.values().next().unwrap();
        assert_eq!(known.valid_until, at("17:00"), "its own interval");
    }
}
