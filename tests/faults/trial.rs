//! A hub under load that something happens to.

use std::time::{Duration, Instant};

use renkei_sim::hospital::{MllpClient, Person};

use crate::conservation::Findings;
use crate::harness::{say, until, until_within};
use crate::hub::{Config, Folders, Hub};
use crate::office::Office;
use crate::peers::{District, SINKS};
use crate::power::shim::Shim;
use crate::sender::{Log, Sender};
use crate::story::{self, Dice};

const CONNECTIONS: usize = 6;
/// Long enough for a slow machine; nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How a trial is set up.
pub(crate) struct Setup {
    /// What figures are printed under.
    pub(crate) name: &'static str,
    pub(crate) inpatients: usize,
    /// People with results only: messages by the hundred, of which nobody is told.
    pub(crate) outpatients: usize,
    pub(crate) results: usize,
    pub(crate) connections: usize,
    pub(crate) config: Config,
}

impl Setup {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            inpatients: 24,
            outpatients: 0,
            results: 0,
            connections: CONNECTIONS,
            config: Config {
                ward_by_rest: true,
                ..Config::default()
            },
        }
    }
}

/// A hub, the district around it, and a hospital that has a lot to say.
pub(crate) struct Trial {
    name: &'static str,
    seed: u64,
    began: Instant,
    pub(crate) dice: Dice,
    pub(crate) people: Vec<Person>,
    pub(crate) folders: Folders,
    pub(crate) config: Config,
    pub(crate) district: District,
    pub(crate) office: Office,
    pub(crate) sender: Sender,
    pub(crate) hub: Hub,
    figures: Vec<String>,
}

impl Trial {
    /// Starts a hub; nobody has said anything yet. `prepare` may still change the folders and the
    /// configuration.
    pub(crate) async fn start(
        setup: Setup,
        prepare: impl AsyncFnOnce(&Folders, &District, &mut Config),
    ) -> Self {
        let seed = story::seed();
        let Setup {
            name,
            inpatients,
            outpatients,
            results,
            connections,
            mut config,
        } = setup;
        say(&format!("faults: {name}: seed {seed}"));
        let mut dice = Dice(seed);
        // One more, who comes when all is over.
        let numbers = 1001..1002 + (inpatients + outpatients) as u64;
        let people: Vec<Person> = numbers.map(Person::synthetic).collect();
        let folders = Folders::new();
        let district = District::with_rest_ward(folders.root.path(), &people).await;
        prepare(&folders, &district, &mut config).await;
        let office = Office::open(folders.home(&config.on)).await;
        office.enrol(&people[inpatients..]).await;
        office.admit(&people[..inpatients]).await;
        office.admit(&people[people.len() - 1..]).await;
        folders.configure(&config, &district);
        let told = &people[..people.len() - 1];
        let shares = story::shares(told, inpatients, connections, results, &mut dice);
        let sender = Sender::start(shares, &mut dice);
        let hub = Hub::start(&folders, &config).await;
        let address = hub.mllp();
        sender.tell(|orders| orders.address = Some(address));
        Self {
            name,
            seed,
            began: Instant::now(),
            dice,
            people,
            folders,
            config,
            district,
            office,
            sender,
            hub,
            figures: Vec::new(),
        }
    }

    /// The same, under a shim that does nothing yet.
    pub(crate) async fn shimmed(setup: Setup) -> (Self, Shim) {
        let mut shim = None;
        let trial = Self::start(setup, async |folders, _, config| {
            let new = Shim::new(folders);
            config.env.extend(new.env());
            shim = Some(new);
        })
        .await;
        (trial, shim.unwrap())
    }

    /// Notes a figure to be printed in the end.
    pub(crate) fn note(&mut self, figure: String) {
        self.figures.push(figure);
    }

    /// Each connection tells this much more of its story.
    pub(crate) fn tell_more(&self, messages: usize) {
        self.sender.tell(|orders| orders.story += messages);
    }

    /// Waits until this many more messages were acknowledged.
    pub(crate) async fn acknowledged_more(&self, messages: usize) {
        let enough = self.sender.acknowledged() + messages;
        until_within("messages are acknowledged", PATIENCE, async || {
            self.sender.acknowledged() >= enough
        })
        .await;
    }

    /// Waits until everything that was told so far is processed and delivered.
    pub(crate) async fn caught_up(&self) {
        until_within("everything was told", PATIENCE, async || {
            self.sender.unacknowledged() == 0 && self.office.is_idle().await
        })
        .await;
    }

    /// Looks into the ledger anew, after its server has gone and come back.
    pub(crate) async fn look_again(&mut self) {
        self.office = Office::open(self.folders.home(&self.config.on)).await;
    }

    /// Starts the hub again, after it has ended.
    pub(crate) async fn restart(&mut self) {
        self.sender.tell(|orders| orders.address = None);
        self.hub = Hub::start(&self.folders, &self.config).await;
        let address = self.hub.mllp();
        self.sender.tell(|orders| orders.address = Some(address));
    }

    /// The faults are over: the rest is told, a fresh message flows to every sink, and everything is as
    /// it must be.
    pub(crate) async fn settle(mut self) {
        self.sender.tell(|orders| orders.finish = true);
        until_within("the story is told", PATIENCE, async || {
            self.sender.is_finished() && self.office.is_idle().await
        })
        .await;
        let fresh = self.fresh().await;
        until("the fresh message has flowed", async || {
            self.office.is_idle().await
        })
        .await;
        let person = self.people.last().unwrap();
        for sink in SINKS {
            let told = self.district.sim(sink).doors.told_of(person).await;
            assert!(
                !told.is_empty(),
                "{sink} heard nothing of the fresh message"
            );
        }
        assert_eq!(self.hub.terminate().await.code(), Some(0));
        let mut logs = self.sender.finished().await;
        logs.push(fresh);
        let found = Findings::of(&self.people, &logs, &self.office, &self.district).await;
        let said: usize = logs.iter().map(|log| log.acknowledged.len()).sum();
        say(&format!(
            "faults: {}: {}, acknowledged {said}, told {} events, lost {}, twice {}, inversions {}, otherwise wrong {}, repeated sends {}, {} s",
            self.name,
            self.figures.join(", "),
            found.events,
            found.lost.len(),
            found.twice.len(),
            found.inversions.len(),
            found.wrong.len(),
            found.repeated_sends,
            self.began.elapsed().as_secs(),
        ));
        found.assert_none(self.seed);
    }

    /// Somebody who was never heard of is admitted and discharged.
    async fn fresh(&mut self) -> Log {
        let at = self.people.len() - 1;
        let mut client = MllpClient::new(self.hub.mllp());
        let mut log = Log::default();
        for step in story::inpatient(at, &self.people[at], &mut self.dice) {
            let ack = client.send(&step.bytes).await.unwrap();
            assert!(ack.is_accepted(), "{ack:?}");
            log.acknowledged.push(step);
        }
        log
    }
}
