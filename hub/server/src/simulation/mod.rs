//! Several hubs on one ledger, step by step in an order that a seed has drawn: they crash, stand still
//! beyond their lease, lose their connections, are handed the same message twice, and stop between what
//! they decide and what they write. One thread, a clock that only the schedule moves, and a ledger and a
//! peer that let a hub go on when they are told to. What must hold afterwards is in [`verdict`].
//!
//! A seed that fails is printed with its schedule; `RENKEI_SEED=n` plays it again, `RENKEI_SIMULATE=n` tries
//! new ones for so many seconds.

mod hub;
mod paced;
mod story;
mod verdict;

use std::fmt::Write as _;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use renkei_core::{Clock as _, Receipt};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::engine::Did;
use crate::rehearsal::{Rehearsal, at, day};
use crate::store::sql::{Access, Database};
use crate::store::{Place, Prepared, Server, Store, StoreError};
use hub::{Hub, Turn};
use paced::{Answer, At, Hand, Peer};
use story::Story;

/// How long new seeds are tried.
const BUDGET: Duration = Duration::from_secs(25);
/// How long one schedule may take: a ledger that never answers ends it.
const PATIENCE: Duration = Duration::from_secs(300);
/// Seeds tried at least, however slow the machine is.
const SEEDS: u64 = 12;
/// Steps of a schedule before everything is healed.
const STEPS: usize = 160;
/// Rounds until nothing may be left to do.
const ROUNDS: usize = 80;

/// A generator of numbers that is the same everywhere (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn of(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64)).unwrap()
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// One run.
struct Run {
    dice: Dice,
    clock: Arc<Hand>,
    peer: Arc<Peer>,
    setup: Arc<RwLock<Arc<crate::config::Setup>>>,
    folder: tempfile::TempDir,
    url: Option<String>,
    hubs: Vec<Option<Hub>>,
    story: Story,
    schedule: String,
}

impl Run {
    async fn new(seed: u64, hubs: usize, server: Option<&str>) -> Self {
        let mut dice = Dice(seed);
        let folder = tempfile::tempdir().unwrap();
        let url = match server {
            Some(server) => {
                empty(server).await;
                Some(server.to_owned())
            }
            None => None,
        };
        let mut setup = (*Rehearsal::new().world.setup).clone();
        setup.settle.after = Duration::from_secs(60);
        setup.settle.at_most = Duration::from_secs(300);
        let story = Story::new(&mut dice);
        let mut run = Self {
            dice,
            clock: Arc::new(Hand::at(at(day(0)))),
            peer: Arc::default(),
            setup: Arc::new(RwLock::new(Arc::new(setup))),
            folder,
            url,
            hubs: Vec::new(),
            story,
            schedule: String::new(),
        };
        let office = Database::open(run.place(0), Access::Command).await.unwrap();
        run.story.admit(&office).await;
        drop(office);
        for _ in 0..hubs {
            run.hubs.push(None);
        }
        for hub in 0..hubs {
            run.hubs[hub] = Some(Hub::open(&run, hub).await);
        }
        run
    }

    fn place(&self, hub: usize) -> Place {
        let server = self.url.as_ref().map(|url| Server::new(url, None).unwrap());
        Place {
            server,
            ..Place::from(&self.folder.path().join(format!("hub{hub}")))
        }
    }

    fn note(&mut self, line: &str) {
        let _ = writeln!(self.schedule, "{line}");
    }

    /// One step of the schedule.
    async fn step(&mut self) {
        let number = self.dice.of(self.hubs.len());
        if self.hubs[number].is_none() {
            if self.dice.percent(30) {
                self.note(&format!("open {number}"));
                self.hubs[number] = Some(Hub::open(self, number).await);
            }
            return;
        }
        match self.dice.roll(100) {
            0..=17 => self.say(number).await,
            18..=45 => self.engine(number).await,
            46..=71 => self.courier(number).await,
            72..=79 => self.lease(number).await,
            80..=88 => self.time().await,
            89..=91 => self.group_changes(),
            92..=94 => self.falls_silent(number).await,
            95..=96 => self.is_cut_off(number).await,
            _ => self.crash(number).await,
        }
    }

    /// The hospital says its next word to this hub, or the peer does; sometimes the answer is lost, and it
    /// is said again to another hub, sometimes at the same moment.
    async fn say(&mut self, number: usize) {
        let receipts: Vec<_> = std::mem::take(&mut *self.peer.receipts.lock().unwrap());
        let message = if receipts.is_empty() {
            let Some(message) = self.story.next(&mut self.dice, self.clock.now()) else {
                return;
            };
            message
        } else {
            self.story.receipts(&receipts, self.clock.now())
        };
        let control = message.message.dedup_key.clone();
        let other = self.dice.of(self.hubs.len());
        let twice = self.dice.percent(25);
        self.note(&format!(
            "say {control} to {number}{}",
            if twice {
                format!(" and {other}")
            } else {
                String::new()
            }
        ));
        let say = |store: Option<Arc<Database>>, message: Prepared| async move {
            let mut told = None;
            for _ in 0..40 {
                let store = store.as_ref()?;
                match store.accept(vec![message.clone()]).await {
                    Ok(receipts) => {
                        told = receipts.first().copied();
                        break;
                    }
                    Err(error) if error.passes() => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert!(told.is_some(), "a hub takes no message");
            told
        };
        let store = |hub: &Option<Hub>| hub.as_ref().map(|hub| hub.store.clone());
        let first = say(store(&self.hubs[number]), message.clone());
        let answers = if twice {
            let second = say(store(&self.hubs[other]), message);
            let (first, second) = tokio::join!(first, second);
            [first, second]
        } else {
            [first.await, None]
        };
        let stored = answers
            .iter()
            .flatten()
            .filter(|one| matches!(one, Receipt::Stored(_)));
        assert_eq!(stored.count(), 1, "{control} was stored once: {answers:?}");
        self.story.accepted(&control);
    }

    /// Starts the engine of a hub, or lets it go on.
    async fn engine(&mut self, number: usize) {
        let Some(hub) = &mut self.hubs[number] else {
            return;
        };
        let fresh = hub.engine_turn.is_none();
        match &mut hub.engine_turn {
            Some(turn) => {
                if let Some(parked) = turn.parked.take() {
                    parked.go_on(Answer::Well);
                }
            }
            None => {
                let engine = hub.engine.clone();
                hub.engine_turn = Some(Turn {
                    task: tokio::spawn(async move { engine.step().await }),
                    parked: None,
                });
            }
        }
        let turn = hub.engine_turn.as_mut().unwrap();
        tokio::select! {
            ended = &mut turn.task => {
                let did = ended.unwrap();
                hub.engine_turn = None;
                self.note(&format!("engine {number}{}: {}", if fresh { "" } else { " goes on" }, outcome(&did)));
            }
            Some(parked) = hub.parks.recv() => {
                let at = parked.at;
                turn.parked = Some(parked);
                self.note(&format!("engine {number} stands still at {at:?}"));
            }
        }
    }

    /// Starts the courier of a hub, or lets it go on with an answer of the peer. While its engine stands
    /// still it may hold what the courier waits for.
    async fn courier(&mut self, number: usize) {
        let roll = self.dice.roll(100);
        let answer = match roll {
            0..=54 => Answer::Well,
            55..=69 => Answer::Lost,
            70..=84 => Answer::Later,
            _ => Answer::ByReceipt,
        };
        self.courier_with(number, answer).await;
    }

    async fn courier_with(&mut self, number: usize, answer: Answer) {
        let Some(hub) = &mut self.hubs[number] else {
            return;
        };
        if hub.engine_turn.is_some() {
            return;
        }
        let mut said = String::new();
        match (&mut hub.courier_turn, hub.courier.take()) {
            (Some(turn), _) => {
                if let Some(parked) = turn.parked.take() {
                    if parked.at == At::Send {
                        said = format!(", the peer: {answer:?}");
                    }
                    parked.go_on(answer);
                }
            }
            (None, Some(mut courier)) => {
                let step = async move {
                    let did = courier.step().await;
                    (courier, did)
                };
                hub.courier_turn = Some(Turn {
                    task: tokio::spawn(step),
                    parked: None,
                });
            }
            (None, None) => panic!("a hub without a courier"),
        }
        let turn = hub.courier_turn.as_mut().unwrap();
        tokio::select! {
            ended = &mut turn.task => {
                let (courier, did) = ended.unwrap();
                hub.courier = Some(courier);
                hub.courier_turn = None;
                self.note(&format!("courier {number}{said}: {}", outcome(&did)));
            }
            Some(parked) = hub.parks.recv() => {
                let at = parked.at;
                turn.parked = Some(parked);
                self.note(&format!("courier {number}{said} stands still at {at:?}"));
            }
        }
    }

    async fn lease(&mut self, number: usize) {
        let Some(hub) = &self.hubs[number] else {
            return;
        };
        let taken = hub.share.take().await;
        self.note(&format!("lease {number}: {taken:?}"));
        if let Err(error) = taken {
            assert!(error.passes(), "{error:?}");
        }
    }

    async fn time(&mut self) {
        let seconds = 1 + self.dice.roll(90);
        self.clock
            .move_on(SignedDuration::from_secs(i64::try_from(seconds).unwrap()));
        self.note(&format!("{seconds} s pass"));
    }

    /// A helper joins a group or leaves it. Not while it is in doubt whether the group has heard something:
    /// then a person would have to look.
    fn group_changes(&mut self) {
        let channel = self.story.channel(&mut self.dice);
        let on_its_way = self
            .hubs
            .iter()
            .flatten()
            .any(|hub| hub.courier_turn.is_some());
        let doubtful = self
            .peer
            .doubtful
            .lock()
            .unwrap()
            .values()
            .any(|one| *one == channel);
        if on_its_way || doubtful {
            return;
        }
        let mut helpers = self.peer.helpers.lock().unwrap();
        if !helpers.remove(&channel) {
            helpers.insert(channel.clone());
            self.peer.helped.lock().unwrap().insert(channel.clone());
        }
        drop(helpers);
        self.note(&format!("{channel}: the group changes"));
    }

    /// A hub stands still until its lease is over.
    async fn falls_silent(&mut self, number: usize) {
        let (Some(hub), Some(url)) = (&self.hubs[number], &self.url) else {
            return;
        };
        let id = hub.store.hub_number();
        let mut raw = PgConnection::connect(url).await.unwrap();
        let sql = format!(
            "UPDATE lane SET until = 1 WHERE holder = {id}; UPDATE hub SET seen_at = 1 WHERE id = {id}"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut raw)
            .await
            .unwrap();
        self.note(&format!("{number} falls silent"));
    }

    /// The server ends all sessions of a hub.
    async fn is_cut_off(&mut self, number: usize) {
        let (Some(hub), Some(url)) = (&self.hubs[number], &self.url) else {
            return;
        };
        let mut raw = PgConnection::connect(url).await.unwrap();
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        )
        .bind(format!("renkei {}", hub.store.hub_name()))
        .fetch_all(&mut raw)
        .await
        .unwrap();
        self.note(&format!("{number} loses its sessions"));
    }

    async fn crash(&mut self, number: usize) {
        let Some(hub) = self.hubs[number].take() else {
            return;
        };
        let Hub {
            engine_turn,
            courier_turn,
            ..
        } = hub;
        if let Some(turn) = engine_turn {
            turn.task.abort();
            let _aborted = turn.task.await;
        }
        if let Some(turn) = courier_turn {
            turn.task.abort();
            let _aborted = turn.task.await;
        }
        self.note(&format!("{number} crashes"));
    }

    /// The faults stop: everything said is told to its end.
    async fn settle(&mut self) {
        self.note("-- the faults stop");
        for _ in 0..ROUNDS {
            for number in 0..self.hubs.len() {
                if self.hubs[number].is_none() {
                    self.hubs[number] = Some(Hub::open(self, number).await);
                }
                self.lease(number).await;
                self.say(number).await;
                for _ in 0..6 {
                    self.engine(number).await;
                }
                for _ in 0..6 {
                    self.courier_with(number, Answer::Well).await;
                }
            }
            self.clock.move_on(SignedDuration::from_secs(45));
            let standing_still = self.hubs.iter().flatten();
            let still = standing_still
                .filter(|hub| hub.engine_turn.is_some() || hub.courier_turn.is_some())
                .count();
            let receipts = self.peer.receipts.lock().unwrap().is_empty();
            if still == 0 && receipts && self.story.is_over() && verdict::is_quiet(self).await {
                return;
            }
        }
        let mut open = verdict::what_is_open(self).await;
        let now = self.clock.now();
        for hub in self.hubs.iter().flatten() {
            let notices = hub.store.due_notices(now, 9).await;
            let pause = hub.courier.as_ref().map(|one| one.breaker.open_until());
            let number = hub.store.hub_number();
            let _ = writeln!(
                open,
                "hub {number}: due {notices:?}, paused {pause:?} at {now}"
            );
        }
        panic!("it never comes to rest: {open}");
    }

    async fn play(&mut self) {
        for _ in 0..STEPS {
            self.step().await;
        }
        self.settle().await;
        verdict::pass(self).await;
    }
}

/// Empties a ledger, if there is one already: making its tables takes longer than a run.
async fn empty(url: &str) {
    const ROWS: &str = "DO $$ DECLARE t record; BEGIN \
         SET LOCAL session_replication_role = replica; \
         FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations' LOOP \
           EXECUTE format('DELETE FROM %I', t.tablename); END LOOP; \
         IF to_regclass('lane') IS NOT NULL THEN \
           INSERT INTO lane (kind, name, number) SELECT 'person', '', number FROM generate_series(0, 15) AS number; END IF; END $$";
    let mut raw = PgConnection::connect(url).await.unwrap();
    let schema = url.rsplit_once("%3D").unwrap().1;
    for sql in [
        format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        ROWS.to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut raw)
            .await
            .unwrap();
    }
}

fn outcome(did: &Result<Did, StoreError>) -> String {
    match did {
        Ok(did) => format!("{did:?}"),
        Err(error) => {
            assert!(error.passes(), "{error:?}");
            format!("{error}")
        }
    }
}

/// Plays seeds until the time is over; the figures of all of them.
async fn seeds(what: &str, hubs: usize, server: Option<&str>) {
    let schema = format!("sim{hubs}{:x}", std::process::id());
    let url = server.map(|server| format!("{server}?options=-csearch_path%3D{schema}"));
    let only: Option<u64> = std::env::var("RENKEI_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    let budget = std::env::var("RENKEI_SIMULATE").ok();
    let budget = budget.map_or(BUDGET, |given| Duration::from_secs(given.parse().unwrap()));
    let began = Instant::now();
    let (mut played, mut effects, mut repeats) = (0, 0, 0);
    while only.map_or(played < SEEDS || began.elapsed() < budget, |_| played == 0) {
        let seed = only.unwrap_or(played * 7 + hubs as u64);
        let mut run = Run::new(seed, hubs, url.as_deref()).await;
        let play = async {
            let played = tokio::time::timeout(PATIENCE, run.play()).await;
            played.expect("a schedule comes to its end");
        };
        let played_well =
            futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(play)).await;
        if let Err(panic) = played_well {
            eprintln!("{}", run.schedule);
            eprintln!(
                "simulation of {what}: seed {seed} fails (RENKEI_SEED={seed} plays it again)"
            );
            std::panic::resume_unwind(panic);
        }
        effects += run.peer.effects.lock().unwrap().len();
        repeats += *run.peer.repeats.lock().unwrap();
        drop(run);
        played += 1;
    }
    if let Some(url) = url {
        let mut raw = PgConnection::connect(&url).await.unwrap();
        let drop = format!("DROP SCHEMA {schema} CASCADE");
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut raw)
            .await
            .unwrap();
    }
    eprintln!("simulation of {what}: {played} seeds, {effects} told, {repeats} repeats recognised");
}

fn server() -> String {
    std::env::var("RENKEI_TEST_POSTGRES")
        .expect("RENKEI_TEST_POSTGRES is not set: run by ops/postgres with cargo test …")
}

#[tokio::test]
async fn one_hub_on_a_file() {
    seeds("one hub on a file", 1, None).await;
}

#[tokio::test]
async fn two_hubs_on_a_server() {
    seeds("two hubs on a server", 2, Some(&server())).await;
}

#[tokio::test]
async fn three_hubs_on_a_server() {
    seeds("three hubs on a server", 3, Some(&server())).await;
}
