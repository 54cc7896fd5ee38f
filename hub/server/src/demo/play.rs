//! The play while it runs: stage, cast, charts, and the checks that every figure passes before it is
//! printed as right.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context as _;
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, ToSpan as _};
use renkei_core::{FacilityId, LocalId, NoticeKind, PersonId, clock};
use renkei_sim::hospital::{Event, Site};

use super::cast::{self, CARE_LINK, CLINIC_LINK, Cast, HOSPITAL, NURSES_WARD, PHARMACY_MCS};
use super::chart::{Chart, STAY_DAYS, days_before};
use super::doors::{Entry, Inside};
use super::page;
use super::stage::Stage;
use crate::store::Store as _;
use crate::store::operator::{By, EventRow, Operator as _, PersonFilter};

/// Peer, its column in the table, and its name in a box.
pub const SYSTEMS: [(&str, &str, &str); 4] = [
    (CLINIC_LINK, "診療所VL", "バイタルリンク（新宿の診療所）"),
    (
        NURSES_WARD,
        "訪看なかの",
        "中野区のシステム（訪問看護、W1ファイル）",
    ),
    (
        CARE_LINK,
        "ケアマネVL",
        "バイタルリンク（杉並のケアマネジャー）",
    ),
    (PHARMACY_MCS, "薬局MCS", "MCS（薬局）"),
];

/// What a check found, in order.
#[derive(Debug, Default)]
pub struct Checks {
    made: usize,
    failed: Vec<String>,
}

impl Checks {
    /// Holds a figure of the ledger against what was really seen.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, wanted: T) {
        if found == wanted {
            self.hold(what, true, &format!("{found:?}"));
        } else {
            self.hold(what, false, &format!("{found:?} ≠ {wanted:?}"));
        }
    }

    /// Takes a check's answer.
    pub fn hold(&mut self, what: &str, holds: bool, found: &str) {
        self.made += 1;
        let word = if holds { "一致" } else { "不一致" };
        page::tell(&format!("  ［{word}］{what}：{found}"));
        if !holds {
            self.failed.push(what.to_owned());
        }
    }

    /// Checks made.
    pub fn made(&self) -> usize {
        self.made
    }

    /// What did not hold.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }
}

/// The play.
#[derive(Debug)]
pub struct Play {
    /// Hospital, hub and peers.
    pub stage: Stage,
    /// Who plays.
    pub cast: Cast,
    /// The day of the discharge: today.
    pub day: Date,
    /// What was checked.
    pub checks: Checks,
    /// The events as the ledger had them before the storages were read again.
    pub told: Vec<EventRow>,
    /// Why something was stopped before it became a notice, as the ledger said it then.
    pub stopped: Vec<(&'static str, String)>,
    charts: BTreeMap<&'static str, Chart>,
    shown: HashSet<(&'static str, String)>,
}

impl Play {
    /// Before the first beat.
    ///
    /// # Errors
    /// When a patient of the story is missing.
    pub fn new(stage: Stage, cast: Cast, site: &Site, day: Date) -> anyhow::Result<Self> {
        let mut charts = BTreeMap::new();
        for (patient, order) in cast.0.iter().zip((10_001..).step_by(1_000)) {
            let admitted = match patient.letter {
                "A" => days_before(day, STAY_DAYS, 10, 10),
                _ => day.at(13, 0, 0, 0),
            };
            charts.insert(
                patient.letter,
                Chart::new(site, &patient.person, admitted, order),
            );
        }
        Ok(Self {
            stage,
            cast,
            day,
            checks: Checks::default(),
            told: Vec::new(),
            stopped: Vec::new(),
            charts,
            shown: HashSet::new(),
        })
    }

    /// A patient's chart.
    ///
    /// # Errors
    /// When nobody has the letter.
    pub fn chart(&mut self, letter: &str) -> anyhow::Result<&mut Chart> {
        self.charts.get_mut(letter).context("no such chart")
    }

    /// A clock reading on the day of the discharge.
    pub fn today(&self, hour: i8, minute: i8) -> DateTime {
        self.day.at(hour, minute, 0, 0)
    }

    /// A clock reading some days before.
    pub fn before(&self, days: i32, hour: i8, minute: i8) -> DateTime {
        days_before(self.day, days, hour, minute)
    }

    /// An operator acts.
    pub fn by(&self, actor: &str, reason: &str) -> By {
        By {
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            at: self.stage.now(),
        }
    }

    /// Sends events over the wire, one after the other.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn wire(&mut self, events: impl IntoIterator<Item = Event>) -> anyhow::Result<()> {
        for event in events {
            self.stage.wire(&event).await?;
        }
        Ok(())
    }

    /// Moves the clock to when the next notice settles, and waits until the hub is at rest. Gives the
    /// minutes moved.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub async fn settle(&self) -> anyhow::Result<i64> {
        let minutes = self.settle_only().await?;
        self.stage.calm().await?;
        Ok(minutes)
    }

    /// As [`Play::settle`], while deliveries cannot leave.
    ///
    /// # Errors
    /// When a notice is not settled in time.
    pub async fn settle_only(&self) -> anyhow::Result<i64> {
        let mut moved = SignedDuration::ZERO;
        while let Some(due) = self.stage.ledger.next_due().await? {
            let now = self.stage.now();
            if due > now {
                self.stage
                    .at(clock::in_japan(due).checked_add(1.second())?)
                    .await?;
                moved += due.duration_since(now);
            }
            self.stage.settled().await?;
        }
        Ok(moved.as_mins() + i64::from(moved.as_secs() % 60 > 0))
    }

    /// What a peer knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn inside(&self, peer: &str) -> anyhow::Result<Inside> {
        self.stage.doors(peer)?.look().await
    }

    /// Prints the posts that came since the last call, each exactly as its peer received it. Gives them
    /// by peer.
    ///
    /// # Errors
    /// When a peer does not answer.
    pub async fn show(&mut self) -> anyhow::Result<Vec<(&'static str, Entry)>> {
        let mut news = Vec::new();
        for (peer, _, name) in SYSTEMS {
            let inside = self.inside(peer).await?;
            for entry in inside.readable() {
                if self.shown.insert((peer, entry.entry_id.clone())) {
                    page::post(name, &inside, entry);
                    news.push((peer, entry.clone()));
                }
            }
        }
        Ok(news)
    }

    /// The events, from the ledger.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn events(&self) -> anyhow::Result<Vec<EventRow>> {
        Ok(self.stage.ledger.event_rows().await?)
    }

    /// The one event of this kind about this patient.
    ///
    /// # Errors
    /// When there is none or another.
    pub async fn event(&self, letter: &str, kind: NoticeKind) -> anyhow::Result<EventRow> {
        let people = self.people().await?;
        let mut found = self.events().await?.into_iter().filter(|event| {
            event.kind == kind && people.get(&event.person).is_some_and(|who| *who == letter)
        });
        match (found.next(), found.next()) {
            (Some(event), None) => Ok(event),
            (None, _) => anyhow::bail!("no notice `{}` about {letter}", kind.code()),
            (Some(_), Some(_)) => anyhow::bail!("two notices `{}` about {letter}", kind.code()),
        }
    }

    /// The letter of each person, from the ledger.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn people(&self) -> anyhow::Result<HashMap<PersonId, &'static str>> {
        let mut people = HashMap::new();
        for patient in &self.cast.0 {
            let filter = PersonFilter {
                facility: Some(FacilityId::new(HOSPITAL)?),
                local_id: Some(LocalId::new(&patient.person.local_id)),
                ..PersonFilter::default()
            };
            for line in self.stage.ledger.people(&filter).await? {
                people.extend(line.person.map(|person| (person, patient.letter)));
            }
        }
        Ok(people)
    }

    /// Forms and channels, as the host office hands them in.
    ///
    /// # Errors
    /// When a row is refused.
    pub async fn import(&self) -> anyhow::Result<(usize, usize)> {
        use crate::store::operator::{ChannelRow, ConsentRow, Import, RowOutcome};
        let (forms, places) = (
            self.stage.folder.join("consents.csv"),
            self.stage.folder.join("channels.csv"),
        );
        cast::write_csv(
            &forms,
            &self.cast.consents(self.before(STAY_DAYS + 30, 0, 0).date()),
        )?;
        cast::write_csv(&places, &self.cast.channels())?;
        let by = self.by("demo", "the story");
        let ledger = &self.stage.ledger;
        ledger.enrol(&self.cast.enrolled()?, &by).await?;
        let forms: Vec<ConsentRow> = cast::read_csv(&forms)?;
        let places: Vec<ChannelRow> = cast::read_csv(&places)?;
        let mut results = ledger
            .import_consents(&forms, &by, Import::default())
            .await?;
        results.extend(
            ledger
                .import_channels(&places, &by, Import::default())
                .await?,
        );
        let refused = results
            .iter()
            .find(|result| result.outcome == RowOutcome::Refused);
        if let Some(refused) = refused {
            anyhow::bail!("row {} was refused: {}", refused.row, refused.why);
        }
        Ok((forms.len(), places.len()))
    }
}
