//! What an operator writes about beds: `[beds]`, and what of it the pure stops read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp, civil};
use renkei_adapters::exposure::{self, Plaintext};
use renkei_adapters::http::Hook;
use renkei_adapters::secret::Secret;
use renkei_core::{Code, FacilityId, SourceName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::{Admit, Source};

/// Seconds between two reports of a ward, where nothing else is said.
const HOURLY: u64 = 3_600;

/// Bed availability.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Beds {
    /// Address and port of the query API (`GET /v1/beds`). Beyond loopback it needs `plaintext`; put a TLS
    /// proxy in front of it. Default: none is opened. Example: `"127.0.0.1:8480"`.
    pub listen: Option<SocketAddr>,
    /// Permission to listen beyond loopback. Default: none.
    pub plaintext: Option<Plaintext>,
    /// The token callers send as `Authorization: Bearer`. Needed with `listen`.
    pub token: Option<Secret>,
    /// Seconds between two reports of a ward. A row that does not say until when it holds is stale after
    /// twice this. Default: 3600.
    pub interval_secs: u64,
    /// The same for single hospitals, by facility number. Default: none.
    pub intervals_secs: BTreeMap<String, u64>,
    /// Sources that report for other hospitals than their own facility: facility numbers, or `"*"` for any.
    /// Default: none.
    pub speaks_for: BTreeMap<String, Vec<String>>,
    /// Days the history is kept. Default: 400.
    pub history_days: u32,
    /// Hospitals whose wards are counted from their open stays, by facility number. Default: none.
    pub from_stays: BTreeMap<String, FromStays>,
    /// Who is told, by name. Default: nobody.
    pub subscriber: BTreeMap<String, Subscriber>,
}

impl Default for Beds {
    fn default() -> Self {
        Self {
            listen: None,
            plaintext: None,
            token: None,
            interval_secs: HOURLY,
            intervals_secs: BTreeMap::new(),
            speaks_for: BTreeMap::new(),
            history_days: 400,
            from_stays: BTreeMap::new(),
            subscriber: BTreeMap::new(),
        }
    }
}

/// A hospital whose wards are counted from its ADT messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FromStays {
    /// The source of its ADT messages. It must admit `"all"`: of patients who are turned away nobody knows
    /// that they lie in a bed.
    pub source: String,
    /// From when on every open stay is known: the storage was walked, or the feed has run for longer than
    /// the longest stay. Nothing is shown before. Example: `"2026-12-01T00:00:00+09:00"`.
    #[schemars(with = "String")]
    pub complete_from: Timestamp,
    /// Its wards by code, as in PV1-3.1.
    pub wards: BTreeMap<String, CountedWard>,
}

/// A ward that is counted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountedWard {
    /// Beds that are staffed.
    pub staffed: u32,
    /// Its name. Default: its code.
    #[serde(default)]
    pub name: String,
    /// 高度急性期, 急性期, 回復期, 慢性期 or 休棟. Default: not said.
    #[serde(default)]
    pub function: String,
    /// Kind of bed. Default: not said. Example: `"一般"`.
    #[serde(default)]
    pub bed_type: String,
    /// Conditions of acceptance. Default: none. Example: `["dementia", "tpn"]`.
    #[serde(default)]
    pub acceptance: Vec<String>,
}

/// Somebody who is told of the board: a desk, a clinic, a bulletin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// Where it is posted as JSON. `https://`, or `http://` to this machine.
    pub url: String,
    /// A secret that goes along as `Authorization: Bearer`. Default: none.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Only wards in these municipalities, districts or medical areas (区西部 …). Default: all.
    #[serde(default)]
    pub areas: Vec<String>,
    /// Only wards of these functions or kinds of bed. Default: all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Times of day (Japan) at which it is told how the board stands. Empty: whenever it changes. Default:
    /// empty. Example: `["07:30", "12:30", "17:30"]`.
    #[serde(default)]
    pub digest: Vec<String>,
}

impl Subscriber {
    /// The times of its digest.
    pub fn times(&self) -> Vec<civil::Time> {
        let times = self.digest.iter();
        times
            .filter_map(|time| civil::Time::strptime("%H:%M", time).ok())
            .collect()
    }
}

/// One thing wrong: its code, the field below `beds`, and why.
type Wrong = (Code, String, String);

impl Beds {
    /// Everything that is wrong with it.
    pub(crate) fn problems(&self, sources: &[(SourceName, Source)]) -> Vec<Wrong> {
        let mut wrong: Vec<Wrong> = Vec::new();
        let mut add = |field: &str, why: &str| {
            wrong.push((Code::CFG_INVALID, field.to_owned(), why.to_owned()));
        };
        if self.listen.is_some() && self.token.is_none() {
            add("token", "is needed with `listen`");
        }
        if self.listen.is_none() && self.plaintext.is_some() {
            add("plaintext", "permits nothing without `listen`");
        }
        let every = self.intervals_secs.values().chain([&self.interval_secs]);
        if every.into_iter().any(|secs| !(1..=86_400).contains(secs)) {
            add("interval_secs", "must be 1 to 86400");
        }
        if self.history_days == 0 {
            add("history_days", "must be at least 1");
        }
        let is_source = |name: &str| sources.iter().any(|(source, _)| source.as_str() == name);
        for (name, hospitals) in &self.speaks_for {
            if !is_source(name) {
                add(&format!("speaks_for.{name}"), "there is no such source");
            }
            let bad =
                |number: &&String| *number != "*" && FacilityId::new(number.as_str()).is_err();
            if hospitals.iter().any(|number| bad(&number)) {
                add(
                    &format!("speaks_for.{name}"),
                    "takes ten-digit facility numbers, or \"*\"",
                );
            }
        }
        for (hospital, counted) in &self.from_stays {
            let place = format!("from_stays.{hospital}");
            if FacilityId::new(hospital.as_str()).is_err() {
                add(&place, "is no ten-digit facility number");
            }
            let source = sources
                .iter()
                .find(|(name, _)| name.as_str() == counted.source);
            match source {
                None => add(&place, "`source` names no source"),
                Some((_, source)) if source.admit != Admit::All => add(
                    &place,
                    "its source must admit \"all\": patients who are turned away lie in beds too",
                ),
                Some(_) => {}
            }
        }
        for (name, subscriber) in &self.subscriber {
            if let Err(problem) = Hook::check(&subscriber.url) {
                add(&format!("subscriber.{name}.url"), &problem.reason);
            }
            if subscriber.times().len() != subscriber.digest.len() {
                add(
                    &format!("subscriber.{name}.digest"),
                    "takes times such as \"07:30\"",
                );
            }
        }
        if let Some(listen) = self.listen {
            let exposed = exposure::problems(listen, None, self.plaintext.as_ref());
            let exposed = exposed.into_iter();
            wrong.extend(exposed.map(|why| (Code::CFG_EXPOSED, "listen".to_owned(), why)));
        }
        wrong
    }

    /// Whether nothing it serves or tells leaves this machine.
    pub(crate) fn stays_on_this_machine(&self) -> bool {
        let here = |subscriber: &Subscriber| Hook::stays_on_this_machine(&subscriber.url);
        self.listen.is_none_or(|listen| listen.ip().is_loopback())
            && self.subscriber.values().all(here)
    }

    /// What the pure stops read of it.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            interval_secs: self.interval_secs,
            intervals_secs: self.intervals_secs.clone(),
            speaks_for: self.speaks_for.clone(),
            counted: self
                .from_stays
                .iter()
                .map(|(hospital, counted)| (hospital.clone(), SourceName::new(&*counted.source)))
                .collect(),
        }
    }
}

/// What the pure stops read of `[beds]`.
#[derive(Debug, Clone)]
pub struct Rules {
    interval_secs: u64,
    intervals_secs: BTreeMap<String, u64>,
    speaks_for: BTreeMap<String, Vec<String>>,
    /// Hospitals that are counted from their stays, with the source of their ADT.
    counted: BTreeSet<(String, SourceName)>,
}

impl Default for Rules {
    fn default() -> Self {
        Beds::default().rules()
    }
}

impl Rules {
    /// How often a hospital reports.
    pub fn interval(&self, hospital: &str) -> SignedDuration {
        let own = self.intervals_secs.get(hospital).copied();
        let secs = own.unwrap_or(self.interval_secs);
        SignedDuration::from_secs(i64::try_from(secs).unwrap_or(0))
    }

    /// Whether a source of this facility may report about a hospital.
    pub fn speaks_for(&self, source: &SourceName, own: &str, hospital: &str) -> bool {
        let named = || self.speaks_for.get(source.as_str());
        hospital == own
            || named().is_some_and(|named| named.iter().any(|of| of == "*" || of == hospital))
    }

    /// Whether the stays of this hospital are counted, from messages of this source.
    pub fn counts(&self, hospital: &str, source: &SourceName) -> bool {
        !self.counted.is_empty()
            && self
                .counted
                .contains(&(hospital.to_owned(), source.clone()))
    }
}
