//! The hub is cut off again and again, at every commit point and in between, while senders wait for
//! answers and deliveries wait to go. Nothing acknowledged may be lost, nobody may be told twice, and
//! each team must hear things in the order in which they were said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use renkei_sim::hospital::Person;
use serde_json::json;

use crate::conservation::Findings;
use crate::harness::{say, until, until_within};
use crate::hub::{Config, Folders, Hub};
use crate::office::Office;
use crate::peers::{District, SINKS};
use crate::sender::Sender;
use crate::stores::{On, on_each_store};
use crate::story::{self, Dice};

const INPATIENTS: usize = 600;
const OUTPATIENTS: usize = 200;
const CONNECTIONS: usize = 8;
/// Results an outpatient can have at most: a quick hub takes hundreds of thousands before it is killed often enough.
const RESULTS: usize = 2_500;
const ACKNOWLEDGED: usize = 20_000;
const KILLS: usize = 52;
const KILLS_PER_POINT: usize = 5;
const UNACKNOWLEDGED: usize = 64;
const UNDELIVERED: i64 = 100;

/// What was said and has not become deliveries yet.
const BACKLOG: &str = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM notice WHERE due_at IS NOT NULL)";

/// Where the process is cut off; the last one is anywhere, from outside.
const POINTS: [&str; 9] = [
    "accept-before",
    "accept-after",
    "apply-before",
    "apply-after",
    "send-before",
    "send-after",
    "finish-before",
    "finish-after",
    "anywhere",
];

/// The district, the hub's folders, and the sender.
struct Trial {
    on: On,
    people: Vec<Person>,
    folders: Folders,
    district: District,
    office: Office,
    sender: Sender,
    dice: Dice,
    kills: BTreeMap<&'static str, usize>,
    longest_start: Duration,
}

impl Trial {
    async fn prepare(on: On, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let numbers = 1001..1001 + (INPATIENTS + OUTPATIENTS) as u64;
        let people: Vec<Person> = numbers.map(Person::synthetic).collect();
        let folders = Folders::new();
        let district = District::with_rest_ward(folders.root.path(), &people[..INPATIENTS]).await;
        let office = Office::open(folders.home(&on)).await;
        office.enrol(&people[INPATIENTS..]).await;
        office.admit(&people[..INPATIENTS]).await;
        let sender = Sender::start(
            story::shares(&people, INPATIENTS, CONNECTIONS, RESULTS, &mut dice),
            &mut dice,
        );
        Self {
            on,
            people,
            folders,
            district,
            office,
            sender,
            dice,
            kills: BTreeMap::new(),
            longest_start: Duration::ZERO,
        }
    }

    async fn start(&mut self, point: &str) -> Hub {
        let flag = self.folders.path("now");
        let _gone = std::fs::remove_file(&flag);
        let config = Config {
            ward_by_rest: true,
            retry_millis: 100,
            env: vec![("RENKEI_KILL_AT", format!("{point}:{}", flag.display()))],
            ..Config::on(&self.on)
        };
        self.folders.configure(&config, &self.district);
        let hub = Hub::start(&self.folders, &config).await;
        self.longest_start = self.longest_start.max(hub.start);
        let address = hub.mllp();
        self.sender.tell(|orders| orders.address = Some(address));
        hub
    }

    /// The point that has been hit least so far.
    fn next_point(&mut self) -> &'static str {
        let hit = |point: &&str| self.kills.get(*point).copied().unwrap_or(0);
        let least = POINTS.iter().map(hit).min().unwrap();
        let open: Vec<&'static str> = POINTS
            .into_iter()
            .filter(|point| hit(point) == least)
            .collect();
        open[usize::try_from(self.dice.roll(open.len() as u64)).unwrap()]
    }

    async fn pending(&self, sink: &str) -> i64 {
        let pending = match sink {
            "mcs" => "SELECT count(*) FROM delivery WHERE state = 'pending' AND sink = 'mcs'",
            "ward" => "SELECT count(*) FROM delivery WHERE state = 'pending' AND sink = 'ward'",
            "vital_link" => {
                "SELECT count(*) FROM delivery WHERE state = 'pending' AND sink = 'vital_link'"
            }
            _ => "SELECT count(*) FROM delivery WHERE state = 'pending'",
        };
        self.office.number(pending).await
    }

    /// Peers take so long over a post that enough is always under way, and so little that it ends.
    async fn pace(&self) {
        for (sink, path) in SINKS.into_iter().zip(["/posts", "/messages", "/posts"]) {
            let latency = if self.pending(sink).await < 200 {
                1_000
            } else {
                30
            };
            let plan = json!({ "latency_ms": latency, "only": path });
            self.district.sim(sink).doors.faults(plan).await;
        }
    }

    /// One life of the hub: it works for a while, then it is cut off in the middle of everything.
    async fn live_and_die(&mut self, share: usize) {
        let point = self.next_point();
        self.pace().await;
        let processed = "SELECT count(*) FROM outcome";
        let before = self.office.number(processed).await;
        let mut hub = self.start(point).await;
        self.sender
            .tell(|orders| orders.story += share / CONNECTIONS + 1);
        // Work gets done in each life, so that no message is ever suspected of killing the hub.
        until_within("work is done", Duration::from_secs(300), async || {
            let done = self.office.number(processed).await - before;
            done >= 60 || self.office.number("SELECT count(*) FROM waiting").await == 0
        })
        .await;
        until_within(
            "enough is undelivered",
            Duration::from_secs(600),
            async || {
                let enough = self.pending("mcs").await >= 60
                    && self.pending("all").await >= UNDELIVERED + 40;
                // Not faster than it is told on: the story must last for every life.
                if !enough
                    && self.sender.unacknowledged() < 16
                    && self.office.number(BACKLOG).await < 16
                {
                    self.sender.tell(|orders| orders.story += 2);
                }
                enough
            },
        )
        .await;
        let quick = json!({ "latency_ms": 10, "only": "/posts" });
        self.district.mcs.doors.faults(quick).await;
        self.sender.tell(|orders| orders.fill = true);
        let sender = &self.sender;
        until("enough is unacknowledged", async || {
            sender.unacknowledged() >= UNACKNOWLEDGED + 32
        })
        .await;
        if point == "anywhere" {
            tokio::time::sleep(Duration::from_millis(self.dice.roll(40))).await;
            hub.kill().await;
        } else {
            std::fs::write(self.folders.path("now"), "").unwrap();
            let ended = hub.ended(Duration::from_secs(20)).await;
            assert!(ended.is_some(), "the hub never passed {point}");
        }
        self.sender
            .tell(|orders| (orders.address, orders.fill) = (None, false));
        let (unacknowledged, undelivered) =
            (self.sender.unacknowledged(), self.pending("all").await);
        eprintln!(
            "crash on {:?}: {point}: {unacknowledged} unacknowledged, {undelivered} undelivered, {} acknowledged",
            self.on,
            self.sender.acknowledged()
        );
        if unacknowledged >= UNACKNOWLEDGED && undelivered >= UNDELIVERED {
            *self.kills.entry(point).or_default() += 1;
        }
    }

    fn counted(&self) -> usize {
        self.kills.values().sum()
    }

    /// The last life: everything is told to its end.
    async fn settle(&mut self) -> Hub {
        for sink in SINKS {
            self.district.sim(sink).doors.faults(json!({})).await;
        }
        let hub = self.start("anywhere").await;
        self.sender
            .tell(|orders| orders.fill = self.sender.acknowledged() < ACKNOWLEDGED);
        let patience = Duration::from_secs(600);
        until_within("enough was acknowledged", patience, async || {
            self.sender.acknowledged() >= ACKNOWLEDGED + ACKNOWLEDGED / 10
        })
        .await;
        self.sender
            .tell(|orders| (orders.fill, orders.finish) = (false, true));
        until_within("the story is told", patience, async || {
            self.sender.is_finished() && self.office.is_idle().await
        })
        .await;
        hub
    }
}

async fn nothing_is_lost_and_nobody_is_told_twice(on: On) {
    let began = Instant::now();
    let seed = story::seed();
    let name = format!("crash on {on:?}");
    let say = |figure: &str| say(&format!("{name}: {figure}"));
    say(&format!("seed {seed} (RENKEI_SEED={seed} plays it again)"));
    let mut trial = Trial::prepare(on, seed).await;
    let story = INPATIENTS * 18;
    while trial.counted() < KILLS || trial.next_point_count() < KILLS_PER_POINT {
        // Half of its share at once, the rest as it is needed: some lives do not count.
        trial.live_and_die(story / (2 * KILLS)).await;
        assert!(
            began.elapsed() < Duration::from_secs(2_400),
            "{:?}",
            trial.kills
        );
    }
    let mut hub = trial.settle().await;
    assert_eq!(hub.terminate().await.code(), Some(0));
    let Trial {
        people,
        district,
        office,
        sender,
        kills,
        longest_start,
        ..
    } = trial;
    let logs = sender.finished().await;
    let found = Findings::of(&people, &logs, &office, &district).await;
    let said: usize = logs.iter().map(|log| log.acknowledged.len()).sum();
    let repeated: usize = logs.iter().map(|log| log.duplicates).sum();
    let corrections = logs
        .iter()
        .flat_map(|log| &log.acknowledged)
        .filter(|step| step.corrects);
    let corrections = corrections.count();
    say(&format!(
        "kills {} {kills:?}",
        kills.values().sum::<usize>()
    ));
    say(&format!(
        "acknowledged {} (messages {said}, of them corrections {corrections}, duplicates {repeated})",
        said + repeated
    ));
    say(&format!(
        "told {} events, {} corrections, {} cancellations at {} sinks",
        found.events,
        found.corrections,
        found.cancellations,
        SINKS.len()
    ));
    say(&format!("lost {}", found.lost.len()));
    say(&format!("effects twice {}", found.twice.len()));
    say(&format!(
        "order inversions per (sink, person) {}",
        found.inversions.len()
    ));
    say(&format!("repeated sends {}", found.repeated_sends));
    say(&format!(
        "longest recovery to listening {} ms",
        longest_start.as_millis()
    ));
    say(&format!("took {} s", began.elapsed().as_secs()));
    assert!(said + repeated >= ACKNOWLEDGED);
    assert!(repeated * 100 >= said * 4 && corrections * 100 >= said * 2);
    found.assert_none(seed);
}

impl Trial {
    /// Kills at the point that has been hit least.
    fn next_point_count(&self) -> usize {
        POINTS
            .iter()
            .map(|point| self.kills.get(point).copied().unwrap_or(0))
            .min()
            .unwrap()
    }
}

on_each_store! {
    nothing_is_lost_and_nobody_is_told_twice,
}
