//! What the ledger keeps of beds.

use std::collections::BTreeSet;

use renkei_core::{Bed, BedState, BedStatus, MessageId, SourceName};

use super::House;
use super::fixture::*;
use crate::beds::{Bedside, Kept, Known, NotedStay, Ward};
use crate::store::Store;
use crate::store::beds::{BedPost, Beds, HistoryOf, Stays};
use crate::world::Effects;

fn known(ward: &str, free: i64, seconds: i64) -> Known {
    let bed = Bed {
        hospital_code: HOSPITAL.to_owned(),
        ward_code: ward.to_owned(),
        available_any: Some(free),
        acceptance: vec!["tpn".to_owned()],
        updated_at: at(seconds),
        ..Bed::default()
    };
    Known {
        bed,
        valid_until: at(seconds + 7_200),
        received_at: at(seconds + 60),
        source: SourceName::new("beds"),
        message: Some(MessageId(1)),
    }
}

fn said(rows: &[(Known, bool)]) -> Effects {
    let kept = |(known, late): &(Known, bool)| Kept {
        known: known.clone(),
        late: *late,
    };
    Effects {
        beds: rows.iter().map(kept).collect(),
        ..Effects::default()
    }
}

fn history(ward: Option<&str>) -> HistoryOf {
    HistoryOf {
        hospital: HOSPITAL.to_owned(),
        ward: ward.map(str::to_owned),
        since: at(0),
        limit: 10,
    }
}

pub(in crate::store) async fn the_newest_row_of_a_ward_stands(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 1).await;
    let (first, second) = (known("3E", 2, 0), known("3E", 1, 600));
    let other = known("4E", 5, 0);
    let both = [
        (first.clone(), false),
        (other.clone(), false),
        (second.clone(), false),
    ];
    ledger.apply(said(&both), Vec::new()).await.unwrap();
    // Another hub decided over what it had read before.
    let older = known("3E", 9, 300);
    ledger
        .apply(said(&[(older.clone(), false)]), Vec::new())
        .await
        .unwrap();
    assert_eq!(
        ledger.wards().await.unwrap(),
        [second.clone(), other.clone()]
    );
    let mut world = world();
    let keys = crate::world::Keys {
        beds: BTreeSet::from([Ward::of(&second.bed), Ward::of(&known("9W", 0, 0).bed)]),
        ..Default::default()
    };
    ledger.load(&keys, &mut world).await.unwrap();
    assert_eq!(world.beds.len(), 1);
    assert_eq!(world.beds[&Ward::of(&second.bed)], second);
    let rows = ledger.ward_history(&history(Some("3E"))).await.unwrap();
    let times: Vec<_> = rows.iter().map(|kept| kept.known.clone()).collect();
    assert_eq!(times, [second, older, first]);
    assert_eq!(ledger.ward_history(&history(None)).await.unwrap().len(), 4);
}

pub(in crate::store) async fn the_history_of_beds_is_said_once_and_ends(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 1).await;
    let (row, late) = (known("3E", 2, 600), known("3E", 4, 0));
    let rows = [(row, false), (late, true)];
    for _ in 0..2 {
        ledger.apply(said(&rows), Vec::new()).await.unwrap();
    }
    let kept = ledger.ward_history(&history(None)).await.unwrap();
    assert_eq!(
        kept.iter().map(|kept| kept.late).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(ledger.forget_beds(at(600), 10).await.unwrap(), 1);
    assert_eq!(ledger.forget_beds(at(600), 10).await.unwrap(), 0);
    assert_eq!(ledger.ward_history(&history(None)).await.unwrap().len(), 1);
    assert_eq!(ledger.wards().await.unwrap().len(), 1, "the board stays");
}

/// Stays and where their patients lie from then on; nowhere is not any more.
fn noted(stays: &[(&str, &str)], seconds: i64) -> Effects {
    let lies = |place: &str| Bedside {
        ward: Ward {
            hospital: HOSPITAL.to_owned(),
            code: place.split('/').next().unwrap().to_owned(),
        },
        place: place.to_owned(),
    };
    let stay = |(stay, place): &(&str, &str)| {
        let lies = (!place.is_empty()).then(|| lies(place));
        let at = at(seconds);
        ((*stay).to_owned(), NotedStay { lies, at })
    };
    Effects {
        stays: stays.iter().map(stay).collect(),
        heard: [(HOSPITAL.to_owned(), at(seconds))].into(),
        ..Effects::default()
    }
}

/// With what is said of beds at the same time.
fn and_beds(mut effects: Effects, beds: &[(&str, &str)], seconds: i64) -> Effects {
    let state = |(place, status): &(&str, &str)| {
        let state = BedState {
            ward: place.split('/').next().unwrap().to_owned(),
            place: (*place).to_owned(),
            status: BedStatus::find(status).unwrap(),
            at: at(seconds),
        };
        ((HOSPITAL.to_owned(), state.place.clone()), state)
    };
    effects.bed_states = beds.iter().map(state).collect();
    effects
}

pub(in crate::store) async fn a_bed_out_of_use_is_counted_until_it_is_used(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 1).await;
    let said = async || {
        let stays = ledger.stays(HOSPITAL).await.unwrap();
        let said = stays.said.into_iter();
        said.map(|((ward, status), count)| format!("{ward} {} {count}", status.code()))
            .collect::<Vec<_>>()
    };
    let beds = |beds: &[(&str, &str)], seconds| and_beds(Effects::default(), beds, seconds);
    let first = beds(
        &[
            ("3E/1/1", "H"),
            ("3E/1/2", "H"),
            ("3E/2/1", "U"),
            ("4E/1/1", "C"),
        ],
        60,
    );
    ledger.apply(first, Vec::new()).await.unwrap();
    assert_eq!(said().await, ["3E H 2", "4E C 1"]);
    // What is older is no news, what is newer is.
    let more = beds(&[("3E/1/1", "U"), ("4E/1/1", "U")], 30);
    ledger.apply(more, Vec::new()).await.unwrap();
    assert_eq!(said().await, ["3E H 2", "4E C 1"]);
    ledger
        .apply(beds(&[("3E/1/2", "U")], 70), Vec::new())
        .await
        .unwrap();
    assert_eq!(said().await, ["3E H 1", "4E C 1"]);
    // Whoever lies in a bed is counted as a stay, whatever is said of the bed.
    let admitted = and_beds(noted(&[("a", "3E/1/1")], 100), &[("3E/1/1", "O")], 100);
    ledger.apply(admitted, Vec::new()).await.unwrap();
    assert_eq!(said().await, ["4E C 1"]);
    // Moved to another bed: the first is free again, unless it is said to be cleaned.
    let moved = noted(&[("a", "3E/1/2")], 200);
    ledger.apply(moved, Vec::new()).await.unwrap();
    assert_eq!(said().await, ["4E C 1"]);
    let home = and_beds(noted(&[("a", "")], 300), &[("3E/1/2", "K")], 300);
    ledger.apply(home, Vec::new()).await.unwrap();
    assert_eq!(said().await, ["3E K 1", "4E C 1"]);
}

pub(in crate::store) async fn open_stays_are_counted_by_ward(house: &impl House) {
    let ledger = house.command().await.unwrap();
    accepted(&ledger, "A", 1).await;
    assert_eq!(ledger.stays(HOSPITAL).await.unwrap(), Stays::default());
    let begun = noted(&[("a", "3E"), ("b", "3E"), ("c", "4E")], 60);
    ledger.apply(begun, Vec::new()).await.unwrap();
    // One moved, one went home, one was never there; what was heard before is no news.
    let later = noted(&[("a", "4E"), ("c", ""), ("d", "")], 30);
    ledger.apply(later, Vec::new()).await.unwrap();
    let expected = Stays {
        heard: Some(at(60)),
        by_ward: [("3E".to_owned(), 1), ("4E".to_owned(), 1)].into(),
        ..Stays::default()
    };
    assert_eq!(ledger.stays(HOSPITAL).await.unwrap(), expected);
    let counted = Known {
        message: None,
        ..known("3E", 7, 60)
    };
    ledger.put_counted(vec![counted.clone()]).await.unwrap();
    assert_eq!(ledger.wards().await.unwrap(), [counted]);
}

pub(in crate::store) async fn a_post_about_beds_is_written_once(house: &impl House) {
    let (ledger, other) = (
        house.command().await.unwrap(),
        house.command().await.unwrap(),
    );
    let post = |number, seen: &str| BedPost {
        subscriber: "desk".to_owned(),
        number,
        seen: seen.to_owned(),
        body: "{}".to_owned(),
        made_at: at(number),
        taken_at: None,
    };
    assert_eq!(ledger.bed_post("desk").await.unwrap(), None);
    assert!(ledger.put_bed_post(&post(1, "a")).await.unwrap());
    assert!(!other.put_bed_post(&post(1, "b")).await.unwrap());
    assert_eq!(other.bed_post("desk").await.unwrap(), Some(post(1, "a")));
    assert!(other.put_bed_post(&post(2, "b")).await.unwrap());
    // The word about the first comes after the second was made.
    ledger.bed_post_taken(&post(1, "a"), at(10)).await.unwrap();
    assert_eq!(ledger.bed_post("desk").await.unwrap(), Some(post(2, "b")));
    ledger.bed_post_taken(&post(2, "b"), at(20)).await.unwrap();
    let taken = ledger.bed_post("desk").await.unwrap().unwrap();
    assert_eq!(taken.taken_at, Some(at(20)));
}
