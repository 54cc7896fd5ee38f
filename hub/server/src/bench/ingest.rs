//! `bench ingest`: connections over MLLP, ACK after commit, against the same server that only appends to
//! a log.
//!
//! Listener, reading of the header, hash, compression, grouping and ACK are the very same code on both
//! sides; only what [`Ledger::accept`] does with a group differs. Processing is paused; a whole hub that
//! processes what it accepts is measured after it. The senders live in this process on one thread: they
//! take their share of the machine on both sides alike.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use renkei_adapters::mllp::{Config, Mllp};
use renkei_core::{FacilityId, Shutdown, Source as _, SourceName, SystemClock};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::senders::{Sent, Stock};
use super::{Failure, Report, float, is_in_memory, median, process_cpu};
use crate::config::Checked;
use crate::config::file::File;
use crate::hub::Hub;
use crate::inbox::gate::Gate;
use crate::inbox::space::Space;
use crate::inbox::{Ledger, Parts, Writer};
use crate::load::messages::Kind;
use crate::store::Store as _;
use crate::store::blob::Folder;
use crate::store::sql::{Access, Database};

/// Senders at a time.
const CONNECTIONS: usize = 64;
/// The facility that sends.
const FACILITY: &str = "1312345670";
/// Length of one turn, and turns per side at least.
const TURN: Duration = Duration::from_secs(2);
const TURNS: u32 = 3;
/// How long what was accepted may take to be processed, and how often that is looked at.
const DRAINED_WITHIN: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(20);
/// The sizes measured: their labels and kinds.
const SIZES: [(&str, Kind); 2] = [("1k3", Kind::Adt), ("8k", Kind::Oru40)];

/// Measures both sizes for about `seconds` in all, with its files in `folder`; the ratio is the lower of
/// the two.
///
/// # Errors
/// [`Failure`] when a server cannot start or does not acknowledge.
pub async fn run(seconds: f64, folder: &Path) -> Result<Report, Failure> {
    let mut report = Report {
        bench: "ingest",
        ratio: f64::INFINITY,
        ratio_is: "acknowledged messages/s of the ledger over those of the append-only log, the lower of both sizes",
        target: ">= 0.8, and p99 <= 2 x",
        conditions: vec![
            format!("{CONNECTIONS} connections, one message under way on each, senders in this process on one thread"),
            "turns of both sides interleaved, order alternating; ratios are medians over pairs of turns".to_owned(),
        ],
        figures: Vec::new(),
    };
    if is_in_memory(folder) {
        report
            .conditions
            .push("the folder lies in memory: nothing here says anything about a disk".to_owned());
    }
    // Per size: the turns of both sides, and one turn's worth with processing.
    let share = seconds / (float(SIZES.len()) * 2.5);
    let turn = TURN.min(Duration::from_secs_f64(share / f64::from(TURNS)));
    for (label, kind) in SIZES {
        let stock = Stock::build(kind)?;
        report.add(
            format!("ingest.{label}.message"),
            float(stock.bytes),
            "bytes",
        );
        let turns = (share / turn.as_secs_f64()).round().max(f64::from(TURNS));
        let ratio = compare(&mut report, label, &stock, turn, turns, &folder.join(label)).await?;
        report.ratio = report.ratio.min(ratio);
        with_processing(
            &mut report,
            label,
            &stock,
            turn.mul_f64(turns / 2.0),
            &folder.join(label),
        )
        .await?;
    }
    Ok(report)
}

/// Both sides in turns; gives the ratio of their throughput.
async fn compare(
    report: &mut Report,
    label: &str,
    stock: &Stock,
    turn: Duration,
    turns: f64,
    folder: &Path,
) -> Result<f64, Failure> {
    let log = Server::start(Arc::new(Log::create(&folder.join("log"))?), folder).await?;
    let store = Database::open(&folder.join("ledger"), Access::Hub).await?;
    let ledger = Server::start(Arc::new(store), folder).await?;
    let (mut rates, mut tails) = (Vec::new(), Vec::new());
    let mut sides = [Side::default(), Side::default()];
    let mut ledger_first = false;
    while float(rates.len()) < turns {
        let order = if ledger_first { [1, 0] } else { [0, 1] };
        let mut pair = [(0.0, 0.0); 2];
        for side in order {
            let server = [&log, &ledger][side];
            let before = process_cpu();
            let sent = stock.send(server.address, CONNECTIONS, turn).await?;
            let spent = process_cpu() - before;
            pair[side] = (sent.rate(), sent.quantile_ms(0.99));
            sides[side].add(sent, spent);
        }
        rates.push(pair[1].0 / pair[0].0);
        tails.push(pair[1].1 / pair[0].1);
        ledger_first = !ledger_first;
    }
    for (name, side) in ["log", "ledger"].iter().zip(&sides) {
        side.report(report, &format!("ingest.{label}.{name}"));
    }
    log.stop().await;
    ledger.stop().await;
    let ratio = median(&mut rates);
    report.add(format!("ingest.{label}.throughput_over_log"), ratio, "x");
    report.add(
        format!("ingest.{label}.p99_over_log"),
        median(&mut tails),
        "x",
    );
    Ok(ratio)
}

/// A whole hub that accepts and processes at the same time.
async fn with_processing(
    report: &mut Report,
    label: &str,
    stock: &Stock,
    span: Duration,
    folder: &Path,
) -> Result<(), Failure> {
    let unusable = |error: &dyn std::fmt::Display| Failure::Message(error.to_string());
    let text = format!(
        "[hub]\ndata_dir = \"hub\"\n[facility.{FACILITY}]\nname = \"架空総合病院\"\nclass = \"hospital\"\ndistrict = \"suginami\"\n[source.bench]\nadmit = \"all\"\n\
         adapter.mllp = {{ listen = \"127.0.0.1:0\", facility = \"{FACILITY}\" }}\n"
    );
    let file: File = toml::from_str(&text).map_err(|error| unusable(&error))?;
    let checked = Checked::check(file, folder).map_err(|problems| match problems.first() {
        Some(problem) => unusable(problem),
        None => unusable(&"configuration"),
    })?;
    let place = checked.place.clone();
    let hub = Hub::build(checked, Arc::new(SystemClock)).await?;
    let look = Database::open(&place, Access::Command).await?;
    let Some((_, address)) = hub.listening().first().cloned() else {
        return Err(unusable(&"no listener"));
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(hub.run(stop.clone()));
    let before = process_cpu();
    let sent = stock.send(address, CONNECTIONS, span).await?;
    let began = Instant::now();
    drained(&look).await?;
    let spent = process_cpu() - before;
    let waited = began.elapsed();
    stop.cancel();
    running.await.map_err(std::io::Error::other)??;
    let mut side = Side::default();
    side.add(sent, spent);
    let label = format!("ingest.{label}.processing");
    side.report(report, &label);
    report.add(format!("{label}.drained_after"), waited.as_secs_f64(), "s");
    Ok(())
}

/// Waits until everything that was accepted is processed: its CPU belongs to the messages.
async fn drained(ledger: &Database) -> Result<(), Failure> {
    let began = Instant::now();
    while ledger.newest_of_oldest(1).await?.is_some() {
        if began.elapsed() > DRAINED_WITHIN {
            return Err(Failure::Message("the hub does not get on".to_owned()));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// All turns of one side.
#[derive(Default)]
struct Side {
    sent: Sent,
    /// CPU of the process without the senders.
    cpu: Duration,
}

impl Side {
    fn add(&mut self, sent: Sent, process: Duration) {
        self.cpu += process.saturating_sub(sent.cpu);
        self.sent.join(sent);
    }

    fn report(&self, report: &mut Report, label: &str) {
        let count = float(self.sent.waits.len());
        report.add(
            format!("{label}.throughput"),
            self.sent.rate(),
            "messages/s",
        );
        report.add(format!("{label}.p50"), self.sent.quantile_ms(0.5), "ms");
        report.add(format!("{label}.p99"), self.sent.quantile_ms(0.99), "ms");
        report.add(
            format!("{label}.cpu"),
            self.cpu.as_secs_f64() * 1e6 / count,
            "us/message",
        );
    }
}

/// The real listener over the real inbox, over either ledger, without processing.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Server {
    async fn start(ledger: Arc<dyn Ledger>, folder: &Path) -> Result<Self, Failure> {
        let facility =
            FacilityId::new(FACILITY).map_err(|error| Failure::Message(error.to_string()))?;
        let config = Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), facility);
        let listener = Mllp::bind(SourceName::new("bench"), config).await?;
        let address = listener.local_addr()?;
        let inbox = Writer::start(Parts {
            store: ledger,
            blobs: Arc::new(Folder::new(folder)),
            clock: Arc::new(SystemClock),
            gate: Arc::new(Gate::new(HashMap::new())),
            space: Space::new(folder.to_owned()),
            stored: Arc::new(Notify::new()),
            fatal: CancellationToken::new(),
        });
        let stop = CancellationToken::new();
        let (asked, waited) = (stop.clone(), stop.clone());
        let shutdown = Shutdown::new(
            move || asked.is_cancelled(),
            move || Box::pin(waited.clone().cancelled_owned()),
        );
        let running = tokio::spawn(async move {
            // A listener that ends early breaks its connections; the senders report that.
            let _ended = listener.run(inbox, shutdown).await;
        });
        Ok(Self {
            address,
            stop,
            running,
        })
    }

    async fn stop(self) {
        self.stop.cancel();
        let _ended = self.running.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn both_sides_acknowledge_and_give_one_ratio() {
        let folder = tempfile::tempdir().unwrap();
        let report = run(0.2, folder.path()).await.unwrap();
        assert!(report.ratio.is_finite() && report.ratio > 0.0);
        let lines = report.lines();
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("ratio ingest "))
                .count(),
            1
        );
        let processed = report
            .figures
            .iter()
            .find(|figure| figure.label == "ingest.8k.processing.throughput");
        assert!(processed.is_some_and(|figure| figure.value > 0.0));
    }
}
