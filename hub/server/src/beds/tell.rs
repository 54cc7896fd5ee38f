//! Tells subscribers (a desk, a clinic, a bulletin) how the board stands: at the times of their digest, or
//! when it changes, a ward growing stale included. Every post is the whole board of that subscriber, so one
//! that is lost or late does no harm. A post is written to the ledger before it goes, and the same bytes go
//! under the same key until they were taken or a newer post takes their place.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use renkei_adapters::http::Hook;
use renkei_adapters::problem::ConfigProblem;
use renkei_core::chain;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::config::Subscriber;
use super::view::{self, Line, Wanted};
use crate::config::Setup;
use crate::store::StoreError;
use crate::store::beds::{BedPost, Beds};

/// Between two posts to one subscriber: hospitals report in bursts.
const GAP: SignedDuration = SignedDuration::from_secs(30);
/// First wait after an address did not take a post; doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// What a subscriber gets.
#[derive(Serialize)]
struct Told<'a> {
    contract: &'static str,
    subscriber: &'a str,
    number: i64,
    as_of: Timestamp,
    /// A rehearsal: 【試験】.
    test: bool,
    /// The same in Japanese words, for a bulletin.
    text: String,
    wards: &'a [Line],
}

/// What there is to do for a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// The last post was not taken yet.
    Again(BedPost),
    /// A new one.
    New(BedPost),
}

/// The board as this subscriber wants it.
pub fn wanted(subscriber: &Subscriber) -> Wanted {
    let joined = |list: &[String]| (!list.is_empty()).then(|| list.join(","));
    Wanted {
        area: joined(&subscriber.areas),
        kind: joined(&subscriber.kinds),
        ..Wanted::default()
    }
}

/// What is next for a subscriber. `lines` is the board as it wants it.
pub fn next(
    (name, subscriber): (&str, &Subscriber),
    last: Option<&BedPost>,
    lines: &[Line],
    now: Timestamp,
    staging: bool,
) -> Next {
    let seen = seen(lines);
    let number = last.map_or(1, |last| last.number + 1);
    let post = |text: String, taken_at| BedPost {
        subscriber: name.to_owned(),
        number,
        seen: seen.clone(),
        body: text,
        made_at: now,
        taken_at,
    };
    let times = subscriber.times();
    let is_due = match (last, latest(&times, now)) {
        // Nothing is told before the first time of the digest.
        (None, Some(_)) => return Next::New(post(String::new(), Some(now))),
        (Some(last), Some(slot)) => last.made_at < slot,
        (None, None) => true,
        (Some(last), None) => last.seen != seen && last.made_at + GAP <= now,
    };
    if is_due {
        let told = Told {
            contract: "renkei-beds/1",
            subscriber: name,
            number,
            as_of: now,
            test: staging,
            text: view::bulletin(lines, now, staging),
            wards: lines,
        };
        return match serde_json::to_string(&told) {
            Ok(text) => Next::New(post(text, None)),
            Err(_) => Next::Nothing,
        };
    }
    match last {
        Some(last) if last.taken_at.is_none() => Next::Again(last.clone()),
        _ => Next::Nothing,
    }
}

/// The newest time of the digest that has come; `None` without a digest.
fn latest(times: &[Time], now: Timestamp) -> Option<Timestamp> {
    let japan = TimeZone::fixed(Offset::constant(9));
    let today = now.to_zoned(japan.clone()).date();
    let yesterday = today.checked_sub(1.day()).unwrap_or(today);
    let slots = times.iter().flat_map(|time| {
        [today, yesterday].map(|day| day.to_datetime(*time).to_zoned(japan.clone()))
    });
    let slots = slots.filter_map(|slot| slot.ok().map(|slot| slot.timestamp()));
    slots.filter(|slot| *slot <= now).max()
}

/// A hash of what a reader sees, the age of it aside.
fn seen(lines: &[Line]) -> String {
    let mut hasher = Sha256::new();
    for line in lines {
        let ageless = Line {
            age_secs: 0,
            ..line.clone()
        };
        hasher.update(serde_json::to_vec(&ageless).unwrap_or_default());
    }
    HEXLOWER.encode(&hasher.finalize()[..16])
}

/// One subscriber, and how its address has behaved.
pub(crate) struct Teller {
    name: String,
    subscriber: Subscriber,
    hook: Hook,
    wait: Duration,
    not_before: Option<tokio::time::Instant>,
}

impl Teller {
    /// A teller of one subscriber.
    ///
    /// # Errors
    /// When the address or its secret cannot be used.
    pub(crate) fn new(name: &str, subscriber: &Subscriber) -> Result<Self, ConfigProblem> {
        Ok(Self {
            name: name.to_owned(),
            subscriber: subscriber.clone(),
            hook: Hook::new(&subscriber.url, subscriber.secret.clone())?,
            wait: FIRST,
            not_before: None,
        })
    }

    /// Tells what there is to tell.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(crate) async fn step(
        &mut self,
        ledger: &dyn Beds,
        setup: &Setup,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self
            .not_before
            .is_some_and(|at| tokio::time::Instant::now() < at)
        {
            return Ok(());
        }
        let board = ledger.wards().await?;
        let lines = view::lines(&board, setup, &wanted(&self.subscriber), now);
        let last = ledger.bed_post(&self.name).await?;
        let whom = (&*self.name, &self.subscriber);
        let post = match next(whom, last.as_ref(), &lines, now, setup.staging) {
            Next::Nothing => return Ok(()),
            Next::Again(post) => post,
            Next::New(post) if !ledger.put_bed_post(&post).await? => return Ok(()),
            Next::New(post) if post.taken_at.is_some() => return Ok(()),
            Next::New(post) => post,
        };
        let key = format!("beds-{}-{}", post.subscriber, post.number);
        let body = Bytes::from(post.body.clone());
        match self.hook.post("application/json", Some(&key), body).await {
            Ok(_) => {
                (self.wait, self.not_before) = (FIRST, None);
                ledger.bed_post_taken(&post, now).await
            }
            Err(error) => {
                warn!(subscriber = %self.name, error = %chain(&error), "a subscriber did not take the board, trying again");
                self.not_before = Some(tokio::time::Instant::now() + self.wait);
                self.wait = self.wait.saturating_mul(2).min(LONGEST);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(digest: &[&str]) -> Subscriber {
        Subscriber {
            url: "http://127.0.0.1:1/".to_owned(),
            secret: None,
            areas: Vec::new(),
            kinds: Vec::new(),
            digest: digest.iter().map(|time| (*time).to_owned()).collect(),
        }
    }

    fn at(text: &str) -> Timestamp {
        format!("2025-01-31T{text}:00+09:00").parse().unwrap()
    }

    fn line(free: i64, age_secs: i64) -> Line {
        Line {
            hospital: "1319999999".to_owned(),
            hospital_name: "架空総合病院".to_owned(),
            ward: "3E".to_owned(),
            ward_name: "3階東".to_owned(),
            area: "杉並区".to_owned(),
            medical_area: "区西部",
            function: "回復期".to_owned(),
            bed_type: "一般".to_owned(),
            state: view::State::Fresh,
            free: Some(free),
            free_male: Some(1),
            free_female: None,
            free_private: None,
            staffed: Some(38),
            acceptance: vec!["dementia".to_owned()],
            expected_wait_days: None,
            updated_at: at("09:00"),
            age_secs,
            valid_until: at("11:00"),
            counted: false,
            contact: "03-0000-0000".to_owned(),
        }
    }

    fn made(next: Next) -> BedPost {
        match next {
            Next::New(post) => post,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_is_told_once_and_the_same_bytes_until_they_are_taken() {
        let desk = subscriber(&[]);
        let next = |last: Option<&BedPost>, lines: &[Line], now| {
            next(("desk", &desk), last, lines, at(now), false)
        };
        let first = made(next(None, &[line(2, 0)], "09:00"));
        assert_eq!((first.number, first.taken_at), (1, None));
        // Only its age has changed.
        let again = next(Some(&first), &[line(2, 60)], "09:01");
        assert_eq!(again, Next::Again(first.clone()));
        let taken = BedPost {
            taken_at: Some(at("09:01")),
            ..first.clone()
        };
        assert_eq!(next(Some(&taken), &[line(2, 60)], "09:01"), Next::Nothing);
        let second = made(next(Some(&taken), &[line(1, 60)], "09:01"));
        assert_eq!(second.number, 2);
        // Reports come in bursts.
        assert_eq!(
            next(Some(&second), &[line(0, 60)], "09:01"),
            Next::Again(second.clone())
        );
        // A newer one takes the place of what was never taken.
        assert_eq!(made(next(Some(&second), &[line(0, 60)], "09:02")).number, 3);
    }

    #[test]
    fn a_digest_comes_at_its_times_of_day() {
        let desk = subscriber(&["07:30", "17:30"]);
        let next = |last: Option<&BedPost>, free, now| {
            next(("desk", &desk), last, &[line(free, 0)], at(now), false)
        };
        let begun = made(next(None, 2, "09:00"));
        assert!(
            begun.taken_at.is_some() && begun.body.is_empty(),
            "nothing before its time"
        );
        assert_eq!(next(Some(&begun), 1, "17:29"), Next::Nothing);
        let evening = made(next(Some(&begun), 1, "17:30"));
        assert!(evening.body.contains("空き1"), "{}", evening.body);
        assert_eq!(next(Some(&evening), 0, "23:59"), Next::Again(evening));
        assert_eq!(
            latest(&desk.times(), at("07:29")),
            Some(at("17:30") - SignedDuration::from_hours(24))
        );
    }

    #[test]
    fn a_post_says_it_in_words_and_as_data() {
        let desk = subscriber(&[]);
        let mut stale = line(0, 0);
        (stale.state, stale.free) = (view::State::Stale, None);
        let post = made(next(
            ("desk", &desk),
            None,
            &[line(2, 0), stale],
            at("09:10"),
            true,
        ));
        let told: serde_json::Value = serde_json::from_str(&post.body).unwrap();
        assert_eq!(
            told["text"],
            "【試験】【空床情報】1/31 09:10現在\n架空総合病院 3階東（杉並区・回復期・一般） 空き2 男1 受入：認知症 1/31 09:00更新 問合せ 03-0000-0000\n情報が古く不明：1病棟"
        );
        assert_eq!(told["test"], true);
        assert_eq!(told["wards"][0]["free"], 2);
        assert!(told["wards"][1]["free"].is_null());
    }
}
