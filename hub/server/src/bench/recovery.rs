//! `bench recovery`: a hub with a long queue is killed in the middle of its work, again and again, and
//! started again: how long until it listens, and how long until nothing waits any more.
//!
//! The queue is filled through the real inbox while nothing processes. The hub is a process of its own;
//! it ends by SIGKILL. Every message is another patient's news: nothing of the backlog is a repetition.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use renkei_core::{
    FacilityId, Inbox as _, LocalId, Meta, NewMessage, Receipt, SourceName, SystemClock,
};
use renkei_sim::hospital::Person;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failure, Report, float};
use crate::demo::process::HubProcess;
use crate::inbox::gate::Gate;
use crate::inbox::space::Space;
use crate::inbox::{Parts, Writer};
use crate::load::messages::{self, Kind};
use crate::store::blob::Folder;
use crate::store::sql::{Access, Database};
use crate::store::watch::Watch as _;
use crate::store::{Place, Server, Store as _};

/// The facility that has sent the backlog, and the source it came by.
const FACILITY: &str = "1312345670";
const SOURCE: &str = "bench";
/// How often the hub is killed before it may finish.
const KILLS: usize = 5;
/// A hub shall listen within this time.
const TARGET: Duration = Duration::from_millis(300);
/// Longest wait for work to be done.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Messages handed to the inbox at a time: what senders queue while one group is written.
const AT_A_TIME: usize = 1_024;
/// The mix, in percent.
const MIX: [(Kind, usize); 4] = [
    (Kind::Adt, 60),
    (Kind::Oru8, 25),
    (Kind::Rde5, 10),
    (Kind::Oru40, 5),
];

/// What is measured, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Messages that wait when the hub is killed first.
    pub waiting: usize,
    /// A PostgreSQL database without tables instead of a file.
    pub database: Option<String>,
    /// The program `renkei`.
    pub program: PathBuf,
}

/// Fills, kills, and waits for the end.
///
/// # Errors
/// [`Failure`] when the ledger or the hub fails, or nothing moves.
pub async fn run(options: &Options, folder: &Path) -> Result<Report, Failure> {
    let listens = free_address()?;
    let config = configure(options, folder, listens)?;
    let place = place(options, folder)?;
    let began = Instant::now();
    fill(options.waiting, &place).await?;
    let filled = began.elapsed();

    let store = Database::open(&place, Access::Command).await?;
    let mut hub = HubProcess::new(&options.program, &config, &folder.join("hub.log"), listens);
    let failed = |error: anyhow::Error| Failure::Message(format!("{error:#}"));
    let mut starts = Vec::new();
    let mut left = waiting(&store).await?;
    for _ in 0..KILLS {
        starts.push(start(&mut hub).await?);
        // It has begun: a batch is in its hands.
        let before = left;
        left = until_fewer(&store, before).await?;
        hub.kill().await.map_err(failed)?;
    }
    let left_at_last = waiting(&store).await?;
    let began = Instant::now();
    starts.push(start(&mut hub).await?);
    while waiting(&store).await? > 0 {
        if began.elapsed() > PATIENCE {
            return Err(Failure::Message("the backlog does not end".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let emptied = began.elapsed();
    hub.stop().await.map_err(failed)?;

    let longest = starts.iter().max().copied().unwrap_or_default();
    let mut report = Report {
        bench: "recovery",
        ratio: longest.as_secs_f64() / TARGET.as_secs_f64(),
        ratio_is: "longest time from the start after a SIGKILL to listening, over 0.3 s",
        target: "<= 1",
        conditions: vec![
            format!(
                "{KILLS} kills in the middle of a batch; no peers; each message another patient's or another order's; on {}",
                if options.database.is_some() { "PostgreSQL" } else { "SQLite" }
            ),
            "after an unclean end the messages that may have caused it are processed one by one first".to_owned(),
        ],
        figures: Vec::new(),
    };
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    report.add("recovery.filled", float(options.waiting), "messages");
    report.add(
        "recovery.fill",
        float(options.waiting) / filled.as_secs_f64(),
        "messages/s",
    );
    for (place, start) in starts.iter().enumerate() {
        report.add(format!("recovery.listening.{place}"), millis(*start), "ms");
    }
    report.add("recovery.waiting", float(left_at_last), "messages");
    report.add("recovery.empty", millis(emptied), "ms");
    report.add(
        "recovery.drain",
        float(left_at_last) / emptied.as_secs_f64(),
        "messages/s",
    );
    Ok(report)
}

async fn start(hub: &mut HubProcess) -> Result<Duration, Failure> {
    let began = Instant::now();
    let started = hub.start().await;
    started.map_err(|error| Failure::Message(format!("{error:#}")))?;
    Ok(began.elapsed())
}

async fn waiting(store: &Database) -> Result<usize, Failure> {
    let waiting = store.standing(jiff::Timestamp::now()).await?.waiting;
    Ok(usize::try_from(waiting).unwrap_or(usize::MAX))
}

async fn until_fewer(store: &Database, before: usize) -> Result<usize, Failure> {
    let began = Instant::now();
    loop {
        let left = waiting(store).await?;
        if left < before {
            return Ok(left);
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::Message("nothing is processed".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn place(options: &Options, folder: &Path) -> Result<Place, Failure> {
    let mut place = Place::from(folder.join("data").as_path());
    if let Some(url) = &options.database {
        let server = Server::new(url, None).map_err(|why| Failure::Message(why.to_owned()))?;
        place.server = Some(server);
    }
    Ok(place)
}

fn configure(options: &Options, folder: &Path, listens: SocketAddr) -> Result<PathBuf, Failure> {
    let ledger = options.database.as_ref().map_or_else(String::new, |url| {
        format!("[ledger]\ndatabase = \"{url}\"\n")
    });
    let text = format!(
        "[hub]\ndata_dir = \"data\"\n{ledger}[facility.{FACILITY}]\nname = \"架空総合病院\"\nclass = \"hospital\"\ndistrict = \"suginami\"\n\
         [source.{SOURCE}]\nadmit = \"all\"\nadapter.mllp = {{ listen = \"{listens}\", facility = \"{FACILITY}\" }}\n"
    );
    let path = folder.join("renkei.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Accepts the backlog as senders would bring it, while nobody processes it.
async fn fill(count: usize, place: &Place) -> Result<(), Failure> {
    let store = Arc::new(Database::open(place, Access::Hub).await?);
    if !store.waiting(1).await?.is_empty() {
        return Err(Failure::Message("the database is in use".to_owned()));
    }
    let inbox = Writer::start(Parts {
        store,
        blobs: Arc::new(Folder::new(&place.folder)),
        clock: Arc::new(SystemClock),
        gate: Arc::new(Gate::new(std::collections::HashMap::new())),
        space: Space::new(place.folder.clone()),
        stored: Arc::new(Notify::new()),
        fatal: CancellationToken::new(),
    });
    let facility =
        FacilityId::new(FACILITY).map_err(|error| Failure::Message(error.to_string()))?;
    let mut offered: JoinSet<Result<(), Failure>> = JoinSet::new();
    for number in 0..count {
        while offered.len() >= AT_A_TIME {
            stored(offered.join_next().await)?;
        }
        let (inbox, facility) = (inbox.clone(), facility.clone());
        offered.spawn(async move {
            let message = message(number, facility)?;
            match inbox.accept(message).await {
                Ok(Receipt::Stored(_)) => Ok(()),
                other => Err(Failure::Message(format!("not stored: {other:?}"))),
            }
        });
    }
    while !offered.is_empty() {
        stored(offered.join_next().await)?;
    }
    Ok(())
}

fn stored(
    ended: Option<Result<Result<(), Failure>, tokio::task::JoinError>>,
) -> Result<(), Failure> {
    ended.map_or(Ok(()), |ended| ended.map_err(std::io::Error::other)?)
}

/// Message `number` of the backlog: of each hundred the mix, and no patient has two of a kind.
fn message(number: usize, facility: FacilityId) -> Result<NewMessage, Failure> {
    let mut turn = number * 37 % 100;
    let mut kind = Kind::Adt;
    for (one, share) in MIX {
        kind = one;
        if turn < share {
            break;
        }
        turn -= share;
    }
    // Kinds of one patient share an order number: two reports about one order would be one.
    let patient = number as u64 + 1;
    let control = format!("RECOVERY{number:010}");
    let body = messages::message(kind, patient, &control)?;
    let local_id = Person::synthetic(patient).local_id;
    Ok(NewMessage {
        source: SourceName::new(SOURCE),
        facility,
        dedup_key: control,
        subject: Some(LocalId::new(&local_id)),
        ordering_key: local_id,
        body: body.into(),
        meta: Meta::default(),
        refused: None,
        barrier: false,
    })
}
