//! The power goes: what the real hub did to its disk is recorded, and for every moment that matters the
//! disk is put together as it would be then. Whatever was acknowledged must be there.

mod disk;
mod examine;
pub(crate) mod shim;
mod trace;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use renkei_sim::hospital::{Person, Scenario, Site};

use self::disk::{Content, Disk, Loss};
use self::examine::{Known, Ledger, Promised, examine, hash_of};
use self::shim::Shim;
use self::trace::{Event, accepted, named};
use crate::harness::{put, say, until, until_within};
use crate::hub::{Config, Folders, Hub};
use crate::office::Office;
use crate::peers::District;
use crate::people::ago;
use crate::sender::Sender;
use crate::story::{self, Dice, Step};

const PEOPLE: usize = 10;
const DOCUMENTS: usize = 8;
const CONNECTIONS: usize = 4;
/// Of so many messages one is too long to lie in the database.
const LONG: usize = 25;
/// Cut points at which any part of what was not synced is left, in the whole run.
const RANDOM: usize = 60;
/// Acknowledgments before which the disk forgets what it has promised, to see that it is found out.
const FORGOTTEN: usize = 6;
/// How many syncs of the log it forgets.
const FORGOTTEN_SYNCS: usize = 20;
/// Ways of losing the rest that are tried there.
const WAYS: [Loss; 4] = [Loss::Some, Loss::Torn, Loss::Torn, Loss::Nothing];

/// How long the ledger's log grows before it begins anew.
#[derive(Debug, Clone, Copy)]
enum Log {
    Usual,
    Short,
}

/// What the hub did, and what stood on its disk before.
struct Run {
    before: Content,
    record: Vec<u8>,
    /// The hash of the bytes each control id stands for.
    bytes: HashMap<String, String>,
    /// Control ids the sender was told are safe.
    acknowledged: HashSet<String>,
    /// Ids of all deliveries.
    deliveries: HashSet<String>,
}

/// A sender's story in shares, with some messages made too long to be kept inline.
fn shares(people: &[Person], dice: &mut Dice) -> Vec<(VecDeque<Step>, VecDeque<Step>)> {
    let mut shares = vec![(VecDeque::new(), VecDeque::new()); CONNECTIONS];
    let mut count = 0;
    for (patient, person) in people.iter().enumerate() {
        for mut step in story::inpatient(patient, person, dice) {
            count += 1;
            if count % LONG == 0 {
                step.bytes.extend(b"ZPX|");
                let letter = |_| b'A' + u8::try_from(dice.roll(58) % 26).unwrap();
                step.bytes.extend((0..420_000).map(letter));
                step.bytes.push(b'\r');
            }
            shares[patient % CONNECTIONS].0.push_back(step);
        }
    }
    shares
}

/// Whether this process has something open below a folder.
fn is_open_here(folder: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|path| path.starts_with(folder))
}

impl Run {
    /// A hospital tells a district's worth of stories to a hub that is being recorded.
    async fn record(dice: &mut Dice, log: Log) -> Self {
        let people: Vec<Person> = (1..=PEOPLE as u64).map(Person::synthetic).collect();
        let folders = Folders::new();
        let district = District::with_rest_ward(folders.root.path(), &people).await;
        let office = Office::open(&folders.data()).await;
        office.admit(&people).await;
        drop(office);
        let data = folders.data();
        until("the office has closed", async || !is_open_here(&data)).await;
        let before = Content::of(&data);

        let shim = Shim::recording(&folders);
        let config = Config {
            ward_by_rest: true,
            sheet: true,
            env: shim.env(),
            more: match log {
                Log::Usual => String::new(),
                Log::Short => "\n[ledger]\nlog_megabytes = 1\n".to_owned(),
            },
            ..Config::default()
        };
        folders.configure(&config, &district);
        let mut hub = Hub::start(&folders, &config).await;
        let shares = shares(&people, dice);
        let mut bytes = HashMap::new();
        for step in shares.iter().flat_map(|share| &share.0) {
            bytes.insert(step.control.clone(), hash_of(&step.bytes));
        }
        let sender = Sender::start(shares, dice);
        let address = hub.mllp();
        sender.tell(|orders| (orders.address, orders.finish) = (Some(address), true));
        for person in &people[..DOCUMENTS] {
            let story = Scenario::discharge_story(&Site::demo(), person, ago(300).date(), 1);
            let summary = story.events.last().unwrap();
            put(
                &folders.path("standard"),
                &folders.path("extended"),
                summary,
                "-",
            );
        }
        let limit = Duration::from_secs(60);
        until_within("the story is told", limit, async || sender.is_finished()).await;
        let office = Office::open(&data).await;
        until_within("everything was delivered", limit, async || {
            let documents = "SELECT count(*) FROM message JOIN outcome USING (position) WHERE source = 'storage'";
            office.number(documents).await >= i64::try_from(DOCUMENTS).unwrap() && office.is_idle().await
        })
        .await;
        let deliveries = office.texts("SELECT id FROM delivery").await;
        drop(office);
        until("the office has closed", async || !is_open_here(&data)).await;
        assert_eq!(hub.terminate().await.code(), Some(0));
        let logs = sender.finished().await;
        let acknowledged = logs.iter().flat_map(|log| &log.acknowledged);
        Self {
            before,
            record: shim.trace(),
            bytes,
            acknowledged: acknowledged.map(|step| step.control.clone()).collect(),
            deliveries: deliveries.into_iter().collect(),
        }
    }
}

/// A folder in memory, where there is one: thousands of small databases are written and thrown away.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::TempDir::with_prefix_in("renkei-power-", place).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledgment_survives_the_loss_of_power() {
    let mut dice = dice("power");
    let run = Run::record(&mut dice, Log::Usual).await;
    let events = trace::events(&run.record);
    survives("power", &run, &events, &mut dice).await;
    let found_out = forget(&run, &events, &mut dice).await;
    say(&format!("power: syncs forgotten on purpose: {found_out}"));
}

/// What was written back into the file is written over in the log: an acknowledgment that lies there only
/// must not be.
#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledgment_survives_a_log_that_begins_anew() {
    let mut dice = dice("power, short log");
    let run = Run::record(&mut dice, Log::Short).await;
    let events = trace::events(&run.record);
    let log = log_of(&events);
    let begun = events.iter().filter(
        |event| matches!(event, Event::Wrote { inode, offset: 0, .. } if Some(*inode) == log),
    );
    let begun = begun.count();
    say(&format!("power, short log: begun {begun} times"));
    assert!(begun > 3, "the log was to be written over");
    survives("power, short log", &run, &events, &mut dice).await;
}

fn dice(name: &str) -> Dice {
    let seed = story::seed();
    say(&format!(
        "{name}: seed {seed} (RENKEI_SEED={seed} plays the same story)"
    ));
    Dice(seed)
}

/// The log beside the ledger's file.
fn log_of(events: &[Event<'_>]) -> Option<u64> {
    events.iter().find_map(|event| match event {
        Event::Created { path, inode } | Event::Named { path, inode } => {
            path.to_str()?.ends_with("-wal").then_some(*inode)
        }
        _ => None,
    })
}

/// Wherever the power goes, everything that was promised is there.
async fn survives(name: &str, run: &Run, events: &[Event<'_>], dice: &mut Dice) {
    let began = Instant::now();
    let plan = Plan::all(events, dice);
    let figures = replay(run, events, Disk::holding(&run.before), &plan).await;
    say(&format!(
        "{name}: {} messages acknowledged, {} deliveries told, {} writes and {} syncs recorded",
        figures.acknowledged, figures.told, figures.writes, figures.syncs,
    ));
    say(&format!(
        "{name}: {} cut points, {} reconstructions, {} acknowledgments checked, violations {}, {} s",
        figures.points,
        figures.reconstructions,
        figures.checked,
        figures.wrongs.len(),
        began.elapsed().as_secs()
    ));
    assert!(
        figures.wrongs.is_empty(),
        "{} wrong, such as {:#?}",
        figures.wrongs.len(),
        &figures.wrongs[..figures.wrongs.len().min(10)]
    );
    let missing = run
        .acknowledged
        .iter()
        .filter(|control| !figures.seen.contains(*control));
    assert_eq!(
        missing.count(),
        0,
        "an answer reached the sender and is not in the record"
    );
}

/// A disk that forgets what it has promised: each time something must be found missing.
async fn forget(run: &Run, events: &[Event<'_>], dice: &mut Dice) -> String {
    let disk = || Disk::holding(&run.before);
    // A repeated message is safe already when it comes again.
    let mut heard: HashSet<String> = HashSet::new();
    let mut answers = Vec::new();
    for (at, event) in events.iter().enumerate() {
        if let Event::Said { bytes } = event
            && accepted(bytes)
                .into_iter()
                .any(|control| heard.insert(control))
        {
            answers.push(at);
        }
    }
    let log = log_of(events);
    let mut found = 0;
    for _ in 0..FORGOTTEN {
        let at = answers[usize::try_from(dice.roll(answers.len() as u64)).unwrap()];
        let synced = events[..at].iter().rev().filter_map(|event| match event {
            Event::SyncDone { inode, number } if Some(*inode) == log => Some(*number),
            _ => None,
        });
        let disk = disk().forgetting(synced.take(FORGOTTEN_SYNCS).collect());
        let figures = replay(run, &events[..=at], disk, &Plan::at(at)).await;
        let lost = figures.wrongs.iter();
        let lost = lost.filter(|wrong| wrong.ends_with("was acknowledged and is not there"));
        assert_ne!(
            lost.count(),
            0,
            "the last syncs were forgotten, and nothing is missing"
        );
        found += figures.wrongs.len();
    }
    let end = *answers.last().unwrap();
    let folders = replay(
        run,
        &events[..=end],
        disk().forgetting_folders(),
        &Plan::at(end),
    )
    .await;
    assert!(
        !folders.wrongs.is_empty(),
        "the names of files were forgotten, and nothing is missing"
    );
    format!(
        "{FORGOTTEN} of the log, {found} violations found; all of folders, {} violations found",
        folders.wrongs.len()
    )
}

/// Where the power goes, and how much of the rest is lost there.
struct Plan {
    /// By number of the event after which it goes.
    points: HashMap<usize, Vec<Loss>>,
    seed: u64,
}

impl Plan {
    /// Once, and nothing is left but what was promised.
    fn at(place: usize) -> Self {
        Self {
            points: HashMap::from([(place, vec![Loss::All])]),
            seed: 0,
        }
    }

    /// At every acknowledgment and at both ends of every sync; at random moments between.
    fn all(events: &[Event<'_>], dice: &mut Dice) -> Self {
        let mut points: HashMap<usize, Vec<Loss>> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            match event {
                Event::Said { bytes } if !accepted(bytes).is_empty() => {
                    points.insert(place, vec![Loss::All]);
                }
                Event::SyncBegins { .. } if dice.percent(50) => {
                    points.insert(place, vec![WAYS[usize::try_from(dice.roll(4)).unwrap()]]);
                }
                Event::SyncDone { .. } => {
                    points.insert(place, vec![Loss::All]);
                }
                _ => {}
            }
        }
        for _ in 0..RANDOM {
            let place = usize::try_from(dice.roll(events.len() as u64)).unwrap();
            points.insert(place, WAYS.to_vec());
        }
        Self {
            points,
            seed: dice.roll(u64::MAX),
        }
    }
}

/// What a replay came to.
#[derive(Default)]
struct Figures {
    writes: usize,
    syncs: usize,
    acknowledged: usize,
    told: usize,
    points: usize,
    reconstructions: usize,
    checked: usize,
    seen: HashSet<String>,
    wrongs: Vec<String>,
}

async fn replay(run: &Run, events: &[Event<'_>], mut disk: Disk<'_>, plan: &Plan) -> Figures {
    let mut figures = Figures::default();
    let mut promised = Promised::default();
    for event in events {
        if let Event::Said { bytes } = event {
            let ids = named(bytes, &run.deliveries);
            promised.will_be_told.extend(ids.into_iter().cloned());
        }
    }
    let mut known = Known::default();
    // Between two syncs nothing is promised anew: what is left when all the rest is lost stays the same.
    let mut least: (usize, Option<Ledger>) = (usize::MAX, None);
    let mut dice = Dice(plan.seed);
    for (place, event) in events.iter().enumerate() {
        disk.play(event);
        match event {
            Event::Said { bytes } => {
                promised.acknowledged.extend(accepted(bytes));
                for id in named(bytes, &run.deliveries) {
                    promised.will_be_told.remove(id);
                    promised.told.insert(id.clone());
                }
            }
            Event::Wrote { .. } => figures.writes += 1,
            Event::SyncDone { .. } => figures.syncs += 1,
            _ => {}
        }
        let Some(losses) = plan.points.get(&place) else {
            continue;
        };
        figures.points += 1;
        for loss in losses {
            let is_known = matches!(loss, Loss::All) && least.0 == disk.promises();
            let mut found = Vec::new();
            let mut ledger = None;
            if !is_known {
                let folder = scratch();
                disk.lose_power(folder.path(), *loss, &mut dice);
                (ledger, found) = examine(folder.path(), &mut known).await;
                figures.reconstructions += 1;
            }
            if matches!(loss, Loss::All) && !is_known {
                least = (disk.promises(), ledger.take());
            }
            let ledger = if matches!(loss, Loss::All) {
                least.1.as_ref()
            } else {
                ledger.as_ref()
            };
            found.extend(
                ledger
                    .map(|ledger| ledger.broken(&promised, &run.bytes))
                    .into_iter()
                    .flatten(),
            );
            figures.checked += promised.acknowledged.len();
            figures.wrongs.extend(
                found
                    .into_iter()
                    .map(|wrong| format!("event {place}, {loss:?} lost: {wrong}")),
            );
        }
    }
    figures.acknowledged = promised.acknowledged.len();
    figures.told = promised.told.len();
    figures.seen = promised.acknowledged;
    figures
}
