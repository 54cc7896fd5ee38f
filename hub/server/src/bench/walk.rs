//! `bench walk`: the whole way. MLLP in, FHIR recorded, notices settled, three simulated peers answered.
//!
//! The hub is a process of its own and only its CPU counts; senders and peers live in this one and take
//! their share of the machine. Everybody is enrolled, has a consent and a confirmed channel at every
//! peer; the peers have no limits. Messages are offered at planned instants (`crate::load`), or, at full
//! speed, as fast as the hub takes them without its queues growing long.
//!
//! What counts as reached is what was acknowledged less what the queues grew by: a hub that only
//! collects reaches nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use renkei_sim::{Running, mcs, vital_link};

use super::{Failure, Report, is_in_memory, quantile, stock};
use crate::config::Checked;
use crate::demo::doors::Doors;
use crate::demo::process::HubProcess;
use crate::load::day::ratio;
use crate::load::district::{District, PEERS, Wiring};
use crate::load::messages::Kind;
use crate::load::plan::{Mix, Pace, Plan};
use crate::load::watch::{self, Sample, Watch, slope};
use crate::load::{self, Job, Sent};
use crate::store::operator::{By, Import, Operator as _};
use crate::store::sql::{Access, Database};

/// Messages a second that the design asks for.
const ASKED: f64 = 1000.0;
/// CPU of the hub per message that the design asks for, in milliseconds.
const CPU_ASKED: f64 = 0.6;
/// At full speed: what may be under way in the hub before the senders pause, and how often that is seen.
const FULL_BACKLOG: u64 = 1500;
const FULL_LOOK: Duration = Duration::from_millis(50);
/// Number of the first invented person.
const FIRST_PERSON: u64 = 100_001;
/// Syncs of the disk, each before and after.
const SYNCS: usize = 60;
/// A backlog grows when it gains more than this share of what is offered.
const GROWS: f64 = 0.01;

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that is the hub.
    pub program: PathBuf,
    /// For how long messages are offered.
    pub seconds: f64,
    /// Messages a second; `None` = as fast as the hub takes them.
    pub rate: Option<f64>,
    /// Patients, all of them enrolled and linked.
    pub patients: u32,
    /// Connections.
    pub connections: u32,
    /// Finished messages in the ledger before it begins.
    pub stored: u64,
    /// `[ledger] database`; `None` = SQLite in the folder.
    pub database: Option<String>,
    /// Whether posts carry the hub's PDF sheet.
    pub sheet: bool,
    /// The same seed plays the same plan.
    pub seed: u64,
}

/// A hub between its peers.
struct Stage {
    hub: HubProcess,
    watch: Watch,
    peers: Vec<Running>,
    to: SocketAddr,
}

/// Offers the mix for as long as asked, with all files in `folder`; the ratio is what was reached over
/// 1,000 messages a second.
///
/// # Errors
/// [`Failure`] when something cannot be put up, or the hub ends.
pub async fn run(options: &Options, folder: &Path) -> Result<Report, Failure> {
    let mut report = Report {
        bench: "walk",
        ratio: 0.0,
        ratio_is: "messages/s that went the whole way (acknowledged, less what the queues grew by) over 1,000",
        target: ">= 1",
        conditions: conditions(options, folder),
        figures: Vec::new(),
    };
    let began = Instant::now();
    let (mut stage, start) = Stage::build(options, folder, &mut report).await?;
    report.add("walk.prepared", began.elapsed().as_secs_f64(), "s");
    report.add("walk.start", start.as_secs_f64(), "s");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = stage.watch.look().await?;
    report.add("walk.memory_idle", megabytes(idle.rss_bytes), "MB");
    let mut syncs = sync_times(folder).await?;
    let answered = stage.answered().await?;
    let pace = match options.rate {
        Some(rate) => Pace::Steady {
            rate,
            span: Duration::from_secs_f64(options.seconds),
            bursts: None,
        },
        None => Pace::Full {
            span: Duration::from_secs_f64(options.seconds),
        },
    };
    let phase = stage.offer(options, pace, Mix::default()).await?;
    syncs.extend(sync_times(folder).await?);
    let posts = stage.answered().await? - answered;
    report.ratio = mixed(&mut report, options, &phase, posts);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let found = quantile(&mut syncs, share);
        report.add(format!("walk.disk_sync_{name}"), found, "ms");
    }
    // Apart, because one of them is as much work as ten others.
    let apart = Pace::Steady {
        rate: (options.rate.unwrap_or(ASKED) / 20.0).max(5.0),
        span: Duration::from_secs_f64((options.seconds / 6.0).max(1.0)),
        bursts: None,
    };
    let other = Options {
        seed: options.seed.wrapping_add(1),
        ..options.clone()
    };
    let phase = stage.offer(&other, apart, Mix::only(Kind::Oru40)).await?;
    report.add(
        "walk.oru40_alone.cpu",
        phase.cpu_per_message(),
        "ms/message",
    );
    stage.hub.stop().await.map_err(Failure::stage)?;
    Ok(report)
}

fn conditions(options: &Options, folder: &Path) -> Vec<String> {
    let mut said = vec![
        format!(
            "60 % ADT (half of them steps of a stay), 25 % ORU with 8 results, 10 % RDE with 5 drugs, 5 % ORU with 40; \
             {} patients with consent and channels at three simulated peers; {} connections; seed {}",
            options.patients, options.connections, options.seed
        ),
        "senders and peers in this process, the hub in its own; its CPU only".to_owned(),
        format!(
            "sheets {}; notices settle 1 s after their last part",
            if options.sheet { "on" } else { "off" }
        ),
    ];
    if options.rate.is_none() {
        said.push(format!(
            "full speed: senders pause while more than {FULL_BACKLOG} messages and deliveries are under way in the hub"
        ));
    }
    if options.stored > 0 {
        said.push(stock::what_they_are(options.stored));
    }
    if options.database.is_none() && is_in_memory(folder) {
        said.push("the folder lies in memory: nothing here says anything about a disk".to_owned());
    }
    said
}

/// The figures of the mix; gives the ratio.
fn mixed(report: &mut Report, options: &Options, phase: &Phase, posts: u64) -> f64 {
    let tally = &phase.sent.tally;
    let secs = options.seconds.min(phase.sent.took.as_secs_f64());
    let per_second = |count: u64| ratio(count, 1) / secs;
    let accepted = per_second(tally.accepted);
    let (waiting, unsettled, pending) = (
        phase.growth(|one| one.waiting),
        phase.growth(|one| one.unsettled),
        phase.growth(|one| one.pending + one.sent),
    );
    // Deliveries that pile up are messages that did not arrive, by as many as a message brings.
    let deliveries_per_message = ratio(posts.max(1), tally.accepted.max(1));
    // A notice is of at least one message.
    let reached = accepted
        - waiting.max(0.0)
        - unsettled.max(0.0)
        - pending.max(0.0) / deliveries_per_message;
    let grows = waiting > GROWS * accepted
        || unsettled > GROWS * accepted
        || pending > GROWS * accepted * deliveries_per_message;
    report.add("walk.reached", reached, "messages/s");
    report.add("walk.offered", per_second(tally.offered), "messages/s");
    report.add("walk.acknowledged", accepted, "messages/s");
    report.add(
        "walk.posts",
        ratio(posts, 1) / phase.until_drained().as_secs_f64(),
        "posts/s",
    );
    report.add("walk.posts_per_message", deliveries_per_message, "posts");
    report.add("walk.backlog_grows", f64::from(u8::from(grows)), "yes=1");
    report.add("walk.waiting_growth", waiting, "messages/s");
    report.add("walk.unsettled_growth", unsettled, "notices/s");
    report.add("walk.pending_growth", pending, "deliveries/s");
    let most = phase.most();
    for (label, value, unit) in [
        ("walk.waiting_most", most.waiting, "messages"),
        ("walk.unsettled_most", most.unsettled, "notices"),
        ("walk.pending_most", most.pending, "deliveries"),
        (
            "walk.oldest_waiting_most",
            most.oldest_waiting_secs.unsigned_abs(),
            "s",
        ),
        (
            "walk.oldest_pending_most",
            most.oldest_pending_secs.unsigned_abs(),
            "s",
        ),
        ("walk.parked_or_failed", most.stuck, "messages"),
        ("walk.held_or_dead", most.undelivered, "deliveries"),
        (
            "walk.answered_otherwise",
            tally.errors + tally.rejected + tally.unanswered,
            "messages",
        ),
        ("walk.stored", options.stored, "messages"),
    ] {
        report.add(label, ratio(value, 1), unit);
    }
    if let Some(took) = phase.drained {
        report.add("walk.drained_after", took.as_secs_f64(), "s");
    }
    report.add("walk.cpu", phase.cpu_per_message(), "ms/message");
    report.add(
        "walk.cpu_over_asked",
        phase.cpu_per_message() / CPU_ASKED,
        "x",
    );
    report.add("walk.memory_most", megabytes(most.rss_bytes), "MB");
    let (all, oru40) = (tally.all_latency(), &tally.latency[Kind::Oru40 as usize]);
    for (label, times) in [
        ("ack", &all),
        ("ack_oru40", oru40),
        ("lateness", &tally.lateness),
    ] {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            report.add(
                format!("walk.{label}_{name}"),
                times.quantile_ms(share),
                "ms",
            );
        }
    }
    reached / ASKED
}

/// One time of offering, from the first message until nothing was left.
struct Phase {
    sent: Sent,
    before: Sample,
    /// While messages were offered.
    samples: Vec<Sample>,
    drained: Option<Duration>,
    after: Sample,
}

impl Phase {
    /// Growth per second once the first quarter is over.
    fn growth(&self, of: impl Fn(&Sample) -> u64) -> f64 {
        let later = self.samples.iter().skip(self.samples.len() / 4);
        let points: Vec<(f64, f64)> = later.map(|one| (one.at_secs, ratio(of(one), 1))).collect();
        slope(&points)
    }

    fn most(&self) -> Sample {
        watch::most(self.samples.iter().chain([&self.after]))
    }

    fn until_drained(&self) -> Duration {
        Duration::from_secs_f64((self.after.at_secs - self.before.at_secs).max(0.001))
    }

    /// Milliseconds of the hub's CPU, until nothing was left to do.
    fn cpu_per_message(&self) -> f64 {
        let spent = self.after.cpu.saturating_sub(self.before.cpu).as_secs_f64();
        spent * 1000.0 / ratio(self.sent.tally.accepted.max(1), 1)
    }
}

impl Stage {
    /// Puts up peers, ledger and hub; gives the time from the start of its process until it listens.
    async fn build(
        options: &Options,
        folder: &Path,
        report: &mut Report,
    ) -> Result<(Self, Duration), Failure> {
        let district = District {
            first_person: FIRST_PERSON,
            patients: options.patients,
        };
        let peers = put_up(&district).await?;
        let addresses: Vec<SocketAddr> = peers.iter().map(Running::address).collect();
        let to = free_address()?;
        let wiring = Wiring {
            mllp: to,
            peers: [addresses[0], addresses[1], addresses[2]],
            database: options.database.clone(),
            settle_secs: 1,
            retry_most_secs: 5,
            sheet: options.sheet,
        };
        let config = folder.join("renkei.toml");
        district.write_hub(folder, &wiring)?;
        let checked = Checked::read(&config).map_err(|problems| {
            Failure::Message(
                problems
                    .first()
                    .map_or_else(String::new, ToString::to_string),
            )
        })?;
        let ledger = Database::open(&checked.place, Access::Command).await?;
        let by = By {
            actor: "bench".to_owned(),
            reason: "walk".to_owned(),
            at: Timestamp::now(),
        };
        ledger
            .import_consents(&district.consents(), &by, Import::default())
            .await?;
        ledger
            .import_channels(&district.channels(), &by, Import::default())
            .await?;
        if options.stored > 0 {
            let began = Instant::now();
            stock::fill(&ledger, &Arc::new(checked.setup), options.stored).await?;
            report.add("walk.stocked_in", began.elapsed().as_secs_f64(), "s");
        }
        drop(ledger);
        let mut hub = HubProcess::new(&options.program, &config, &folder.join("hub.log"), to);
        let began = Instant::now();
        hub.start().await.map_err(Failure::stage)?;
        let start = began.elapsed();
        let watch = Watch::open(Some(&config), hub.id()).await?;
        Ok((
            Self {
                hub,
                watch,
                peers,
                to,
            },
            start,
        ))
    }

    /// Offers messages until the plan is over, then waits until nothing is left.
    async fn offer(&mut self, options: &Options, pace: Pace, mix: Mix) -> Result<Phase, Failure> {
        let is_full = matches!(pace, Pace::Full { .. });
        let before = self.watch.look().await?;
        let first = self.watch.samples.len();
        let running = load::start(Job {
            to: vec![self.to],
            plan: Plan {
                seed: options.seed,
                lines: options.connections,
                patients: options.patients,
                mix,
                pace,
                duplicates_ppm: 0,
                corrections_ppm: 0,
            },
            retry: false,
            failover: false,
            first_person: FIRST_PERSON,
            patience: Duration::from_secs(60),
            ledger: None,
        })?;
        let control = running.control();
        let every = if is_full { FULL_LOOK } else { watch::EVERY };
        let hold_back = |sample: &Sample| control.let_more(sample.backlog() < FULL_BACKLOG);
        let sent = tokio::select! {
            sent = running.finish() => sent?,
            Err(error) = self.watch.keep_looking(every, hold_back) => return Err(error.into()),
        };
        let samples = self.watch.samples.get(first..).unwrap_or_default().to_vec();
        let patience = Duration::from_secs_f64(options.seconds.max(60.0));
        let drained = self.watch.drained(patience).await?;
        let after = self.watch.look().await?;
        Ok(Phase {
            sent,
            before,
            samples,
            drained,
            after,
        })
    }

    /// Posts and messages that people at the peers could see so far.
    async fn answered(&self) -> Result<u64, Failure> {
        let mut posts = 0;
        for peer in &self.peers {
            let doors = Doors::at(peer.url()).map_err(Failure::stage)?;
            posts += doors.counts().await.map_err(Failure::stage)?.posts;
        }
        Ok(posts)
    }
}

/// The three peers, in the order of [`PEERS`].
async fn put_up(district: &District) -> Result<Vec<Running>, Failure> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let failed = |error: renkei_sim::SimError| Failure::stage(error.into());
    let mut peers = Vec::new();
    for (name, _, _) in PEERS {
        let seed = district.seed(name);
        let running = match name {
            "mcs" => mcs::start(mcs::Config::new(any, seed)).await,
            "vital_link" => vital_link::start(vital_link::Config::new(any, seed)).await,
            _ => mcs::start(mcs::Config::ward(any, seed)).await,
        };
        peers.push(running.map_err(failed)?);
    }
    Ok(peers)
}

/// An address that is free at this moment.
pub(super) fn free_address() -> Result<SocketAddr, Failure> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(std::net::TcpListener::bind(any)?.local_addr()?)
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    ratio(bytes, 1_000_000)
}

/// How long this disk takes for a write of 4 KB and its sync, in milliseconds.
async fn sync_times(folder: &Path) -> Result<Vec<f64>, Failure> {
    let path = folder.join("sync.probe");
    let probe = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let mut file = std::fs::File::create(path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let began = Instant::now();
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        std::io::Result::Ok(times)
    });
    Ok(probe.await.map_err(std::io::Error::other)??)
}
