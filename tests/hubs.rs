//! Two and three hubs on one PostgreSQL, while they are killed, stopped and started again, and stand still
//! in turn. What was acknowledged is told once, in order and in the right words, whoever did it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use renkei_sim::hospital::Person;

use crate::conservation::Findings;
use crate::harness::{put, say, until, until_within};
use crate::hub::{Config, Folders, Hub};
use crate::office::Office;
use crate::peers::{District, SINKS};
use crate::people::Told;
use crate::sender::Sender;
use crate::stores::On;
use crate::story::{self, Dice};

const INPATIENTS: usize = 300;
const OUTPATIENTS: usize = 60;
const CONNECTIONS: usize = 6;
/// Results an outpatient can have at most.
const RESULTS: usize = 400;
/// Messages that must be processed before the next thing happens.
const PROGRESS: i64 = 150;
/// Messages that wait: while there are so many, no more are sent.
const ENOUGH: i64 = 60;
const PATIENCE: Duration = Duration::from_secs(120);

/// What happens to a hub.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Cut off (SIGKILL), and started again while the others work.
    Killed,
    /// Stopped as an administrator does (SIGTERM), and started again.
    Restarted,
    /// Standing still (SIGSTOP) longer than its lease, then going on as if nothing had been.
    Frozen,
}

/// Hubs with a folder each, one ledger, one district.
struct Hubs {
    people: Vec<Person>,
    shared: Folders,
    folders: Vec<Folders>,
    config: Config,
    district: District,
    office: Office,
    running: Vec<Option<Hub>>,
}

impl Hubs {
    async fn prepare(count: usize, inpatients: usize, outpatients: usize) -> Self {
        let numbers = 1001..1001 + (inpatients + outpatients) as u64;
        let people: Vec<Person> = numbers.map(Person::synthetic).collect();
        let shared = Folders::new();
        let home = shared.home(&On::Postgres);
        let config = Config {
            database: home.address().map(str::to_owned),
            ward_by_rest: true,
            retry_millis: 100,
            ..Config::default()
        };
        let district = District::with_rest_ward(shared.root.path(), &people[..inpatients]).await;
        let office = Office::open(home).await;
        office.enrol(&people[inpatients..]).await;
        office.admit(&people[..inpatients]).await;
        let mut hubs = Self {
            people,
            shared,
            folders: Vec::new(),
            config,
            district,
            office,
            running: Vec::new(),
        };
        for _ in 0..count {
            let folders = Folders::new();
            let path = folders.configure(&hubs.config, &hubs.district);
            // The hospital's storages are in one place for all: what was read is remembered by path.
            let text = std::fs::read_to_string(&path).unwrap();
            let own = format!("{}/", folders.root.path().display());
            let shared = format!("{}/", hubs.shared.root.path().display());
            let text = text.replace(&own, &shared);
            std::fs::write(&path, text).unwrap();
            hubs.folders.push(folders);
            hubs.running.push(None);
        }
        hubs
    }

    async fn start(&mut self, number: usize) {
        let hub = Hub::start(&self.folders[number], &self.config).await;
        self.running[number] = Some(hub);
    }

    /// Tells the sender where hubs listen, but for one that is on its way out.
    fn tell(&self, sender: &Sender, without: Option<usize>) {
        let listening: Vec<SocketAddr> = self
            .running
            .iter()
            .enumerate()
            .filter(|(number, _)| Some(*number) != without)
            .filter_map(|(_, hub)| hub.as_ref().map(Hub::mllp))
            .collect();
        sender.tell(|orders| {
            orders.address = listening.first().copied();
            orders.also = listening.get(1..).unwrap_or_default().to_vec();
        });
    }

    async fn processed(&self) -> i64 {
        self.office.number("SELECT count(*) FROM outcome").await
    }

    /// Waits until so much more was processed.
    async fn progress(&self, what: &str, sender: &Sender, more: i64) {
        let before = self.processed().await;
        until_within(what, PATIENCE, async || {
            // Not faster than it is taken: the story must last for everything that happens.
            if self.office.number("SELECT count(*) FROM waiting").await < ENOUGH {
                sender.tell(|orders| orders.story += 1);
            }
            self.processed().await - before >= more
        })
        .await;
    }

    /// Messages a second that so many hubs take through to the end, while senders have always more.
    async fn rate(&self, sender: &Sender) -> f64 {
        sender.tell(|orders| orders.fill = true);
        self.progress("it runs", sender, PROGRESS).await;
        let (began, before) = (Instant::now(), self.processed().await);
        self.progress("it runs on", sender, 6 * PROGRESS).await;
        let done = self.processed().await - before;
        sender.tell(|orders| orders.fill = false);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let done = done as f64;
        done / began.elapsed().as_secs_f64()
    }

    async fn suffer(&mut self, number: usize, fate: Fate, sender: &Sender) {
        self.progress("all of them work", sender, PROGRESS).await;
        match fate {
            Fate::Killed => {
                let mut hub = self.running[number].take().unwrap();
                hub.kill().await;
                self.tell(sender, None);
                self.progress("the others go on", sender, PROGRESS).await;
                self.start(number).await;
            }
            Fate::Restarted => {
                let mut hub = self.running[number].take().unwrap();
                let status = hub.terminate().await;
                assert_eq!(status.code(), Some(0), "{}", hub.log_text());
                self.tell(sender, None);
                self.progress("the others go on", sender, PROGRESS / 3)
                    .await;
                self.start(number).await;
            }
            Fate::Frozen => {
                let hub = self.running[number].as_ref().unwrap();
                hub.freeze(true);
                self.tell(sender, Some(number));
                // The others take over what it held: its lanes have other holders.
                let held = "SELECT count(*) FROM hub AS h JOIN lane AS l ON l.holder = h.id WHERE h.seen_at < now_us() - 10000000";
                let silent = "SELECT count(*) FROM hub WHERE ended_at IS NULL AND seen_at < now_us() - 12000000 AND seen_at > now_us() - 60000000";
                until_within("it was given up", PATIENCE, async || {
                    self.office.number(silent).await > 0 && self.office.number(held).await == 0
                })
                .await;
                self.progress("the others go on", sender, PROGRESS / 3)
                    .await;
                hub.freeze(false);
            }
        }
        self.tell(sender, None);
    }
}

/// The whole trial with so many hubs.
async fn trial(count: usize) {
    let began = Instant::now();
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let seed = story::seed();
    say(&format!(
        "hubs: {count} hubs, seed {seed} (RENKEI_SEED={seed} plays it again)"
    ));
    let mut dice = Dice(seed);
    let mut hubs = Hubs::prepare(count, INPATIENTS, OUTPATIENTS).await;
    let shares = story::shares(&hubs.people, INPATIENTS, CONNECTIONS, RESULTS, &mut dice);
    let sender = Sender::start(shares, &mut dice);
    let deadlocks_before = hubs.office.number(deadlocks).await;
    let mut rates = Vec::new();
    for number in 0..count {
        hubs.start(number).await;
        hubs.tell(&sender, None);
        rates.push(hubs.rate(&sender).await);
    }
    let mut fates = Vec::new();
    for round in 0..2 * count {
        let fate = match (round + usize::try_from(dice.roll(2)).unwrap()) % 3 {
            0 => Fate::Killed,
            1 => Fate::Restarted,
            _ => Fate::Frozen,
        };
        hubs.suffer(round % count, fate, &sender).await;
        fates.push(fate);
    }
    // A rolling restart of all, one after the other.
    for number in 0..count {
        hubs.suffer(number, Fate::Restarted, &sender).await;
    }
    sender.tell(|orders| orders.finish = true);
    until_within("the story is told", 3 * PATIENCE, async || {
        sender.is_finished() && hubs.office.is_idle().await
    })
    .await;
    for hub in hubs.running.iter_mut().flatten() {
        assert_eq!(hub.terminate().await.code(), Some(0), "{}", hub.log_text());
    }
    let logs = sender.finished().await;
    let found = Findings::of(&hubs.people, &logs, &hubs.office, &hubs.district).await;
    let said: usize = logs
        .iter()
        .map(|log| log.acknowledged.len() + log.duplicates)
        .sum();
    let rates: Vec<String> = rates
        .iter()
        .map(|rate| format!("{:.2}", rate / rates[0]))
        .collect();
    say(&format!(
        "hubs: {count} hubs, {fates:?} and a rolling restart: acknowledged {said}, told {} events {} corrections {} cancellations at {} sinks, \
         lost {}, effects twice {}, inversions {}, repeated sends {}, throughput against one hub {}, deadlocks on the server {}, {} s",
        found.events,
        found.corrections,
        found.cancellations,
        SINKS.len(),
        found.lost.len(),
        found.twice.len(),
        found.inversions.len(),
        found.repeated_sends,
        rates.join(" / "),
        hubs.office.number(deadlocks).await - deadlocks_before,
        began.elapsed().as_secs()
    ));
    found.assert_none(seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_lose_each_other() {
    trial(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hubs_lose_each_other() {
    trial(3).await;
}

/// A storage is read by one hub at a time; when that hub is lost, another goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_is_read_by_one_hub_at_a_time() {
    let mut hubs = Hubs::prepare(2, 6, 0).await;
    hubs.start(0).await;
    hubs.start(1).await;
    let reads = |hubs: &Hubs, number: usize| {
        let hub = hubs.running[number].as_ref();
        hub.is_some_and(|hub| hub.log_text().contains("reading SS-MIX2 storages"))
    };
    until("one of them reads the storage", async || {
        reads(&hubs, 0) != reads(&hubs, 1)
    })
    .await;
    until("it was walked once", async || {
        hubs.office
            .number("SELECT count(*) FROM note WHERE key LIKE 'r:%'")
            .await
            >= 2
    })
    .await;
    let (standard, extended) = (hubs.shared.path("standard"), hubs.shared.path("extended"));
    let tell = |people: &[Person], from: usize| {
        for (number, person) in people.iter().enumerate() {
            let stay = Told::admitted(person, 60);
            put(
                &standard,
                &extended,
                &stay.admit(),
                &format!("S{}", from + number),
            );
        }
    };
    tell(&hubs.people[..3], 0);
    until("they were told", async || {
        hubs.district.mcs.doors.told().await.len() >= 3
    })
    .await;
    assert!(reads(&hubs, 0) != reads(&hubs, 1), "one at a time");
    let reader = usize::from(reads(&hubs, 1));
    let mut gone = hubs.running[reader].take().unwrap();
    gone.kill().await;
    tell(&hubs.people[3..], 3);
    until("the other reads on", async || {
        hubs.district.mcs.doors.told().await.len() >= 6
    })
    .await;
    hubs.start(reader).await;
    until("nothing is left to do", async || {
        hubs.office.is_idle().await
    })
    .await;
    for person in &hubs.people {
        let told = hubs.district.mcs.doors.told_of(person).await;
        assert_eq!(told.len(), 1, "{told:?}");
    }
    for hub in hubs.running.iter_mut().flatten() {
        assert_eq!(hub.terminate().await.code(), Some(0), "{}", hub.log_text());
    }
}
