//! `renkei bench`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::{Exit, complain, say};
use crate::bench::{convert, ingest, map, recovery, search, walk};

/// Measures the hub against its limit in the same run.
#[derive(Debug, clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Bytes of a message to FHIR JSON, against decoding and writing alone.
    Convert {
        #[command(flatten)]
        common: Common,
    },
    /// Messages over MLLP acknowledged after commit, against an append-only log.
    Ingest {
        #[command(flatten)]
        common: Common,
        /// Folder on the disk to measure; a folder of its own is made there and removed.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Rows of a laboratory through the mapping language, against the same mapping in Rust.
    Map {
        #[command(flatten)]
        common: Common,
        /// Folder on the disk to measure; a folder of its own is made there and removed.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// The whole way: MLLP, FHIR, notices, three simulated peers, against 1,000 messages a second.
    Walk {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        walk: WalkArguments,
    },
    /// The latest results of a code for a patient among 100,000, against the same statement by hand.
    Search {
        #[command(flatten)]
        common: Common,
        /// The ledger in PostgreSQL: its address, as in `[ledger] database`; an empty database.
        #[arg(long, value_name = "URL")]
        database: Option<String>,
        /// Folder on the disk to measure; a folder of its own is made there and removed.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// A hub with a long queue is killed again and again: time to listening, time to an empty queue.
    Recovery(RecoveryArguments),
}

#[derive(Debug, clap::Args)]
struct RecoveryArguments {
    /// Everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// Messages that wait.
    #[arg(long, default_value_t = 100_000)]
    waiting: usize,
    /// The ledger in PostgreSQL: its address, as in `[ledger] database`; an empty database.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Folder on the disk to measure; a folder of its own is made there and removed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct WalkArguments {
    /// Messages a second; `max` = as fast as the hub takes them.
    #[arg(long, default_value = "1000", value_parser = Rate::parse)]
    rate: Rate,
    /// Patients, with consent and a channel at each peer.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patients: u32,
    /// Connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=400))]
    connections: u32,
    /// Finished messages in the ledger before it begins.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    stored: u64,
    /// The ledger in PostgreSQL: its address, as in `[ledger] database`; an empty database.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Posts carry the hub's PDF sheet.
    #[arg(long)]
    sheet: bool,
    /// The same seed plays the same plan.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder on the disk to measure; a folder of its own is made there and removed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the folder where it is, with the ledger and the hub's log.
    #[arg(long)]
    keep: bool,
}

/// A rate, or none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate(Option<f64>);

impl Rate {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self(None));
        }
        let rate: f64 = text.parse().map_err(|_| "a number or `max`".to_owned())?;
        if (0.1..=1e6).contains(&rate) {
            Ok(Self(Some(rate)))
        } else {
            Err("from 0.1 to a million".to_owned())
        }
    }
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// How long to measure, roughly. Default: 8 for convert and map, 60 for ingest, 120 for walk, 20 for search.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

impl Bench {
    /// Runs one bench and prints what it found.
    ///
    /// # Errors
    /// When it cannot run here.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let (report, json) = match self.what {
            What::Convert { common } => (convert::run(common.seconds(8.0))?, common.json),
            What::Ingest { common, dir } => {
                let folder = own_folder(dir)?;
                let report = ingest::run(common.seconds(60.0), folder.path()).await?;
                (report, common.json)
            }
            What::Map { common, dir } => {
                let folder = own_folder(dir)?;
                let config = map::Config {
                    seconds: common.seconds(8.0),
                    rows: map::ROWS,
                    program: Some(std::env::current_exe()?),
                };
                (map::run(&config, folder.path()).await?, common.json)
            }
            What::Recovery(recovery) => {
                let folder = own_folder(recovery.dir)?;
                let options = recovery::Options {
                    waiting: recovery.waiting,
                    database: recovery.database,
                    program: std::env::current_exe()?,
                };
                let report = recovery::run(&options, folder.path()).await?;
                (report, recovery.json)
            }
            What::Walk { common, walk } => {
                let mut folder = own_folder(walk.dir.clone())?;
                if walk.keep {
                    folder.disable_cleanup(true);
                    complain(&format!("kept: {}", folder.path().display()));
                }
                let options = walk.options(common.seconds(120.0))?;
                (walk::run(&options, folder.path()).await?, common.json)
            }
            What::Search {
                common,
                database,
                dir,
            } => {
                let folder = own_folder(dir)?;
                let seconds = common.seconds(20.0);
                let (folder, database) = (folder.path(), database.as_deref());
                let report = search::run(seconds, folder, database, search::DISTRICT).await?;
                (report, common.json)
            }
        };
        if json {
            say(&serde_json::to_string(&report)?);
        } else {
            for line in report.lines() {
                say(&line);
            }
        }
        Ok(Exit::Done)
    }
}

fn own_folder(dir: Option<PathBuf>) -> anyhow::Result<tempfile::TempDir> {
    let dir = dir.unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new()
        .prefix("renkei-bench-")
        .tempdir_in(&dir)
        .with_context(|| dir.display().to_string())
}

impl WalkArguments {
    fn options(self, seconds: f64) -> anyhow::Result<walk::Options> {
        Ok(walk::Options {
            program: std::env::current_exe()?,
            seconds,
            rate: self.rate.0,
            patients: self.patients.max(self.connections),
            connections: self.connections,
            stored: self.stored,
            database: self.database,
            sheet: self.sheet,
            seed: self.seed,
        })
    }
}

impl Common {
    /// The time asked for, at least a tenth of a second and at most an hour.
    fn seconds(&self, default: f64) -> f64 {
        self.seconds
            .filter(|seconds| seconds.is_finite())
            .unwrap_or(default)
            .clamp(0.1, 3600.0)
    }
}
