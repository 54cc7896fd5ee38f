//! `renkei bench`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::{Exit, say};
use crate::bench::{convert, ingest};

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
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// How long to measure, roughly. Default: 8 for convert, 60 for ingest.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

impl Bench {
    /// Runs one bench and prints what it found.
    ///
    /// # Errors
    /// When it cannot run here.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let (report, common) = match self.what {
            What::Convert { common } => (convert::run(common.seconds(8.0))?, common),
            What::Ingest { common, dir } => {
                let dir = dir.unwrap_or_else(std::env::temp_dir);
                let folder = tempfile::Builder::new()
                    .prefix("renkei-bench-")
                    .tempdir_in(&dir)
                    .with_context(|| dir.display().to_string())?;
                (
                    ingest::run(common.seconds(60.0), folder.path()).await?,
                    common,
                )
            }
        };
        if common.json {
            say(&serde_json::to_string(&report)?);
        } else {
            for line in report.lines() {
                say(&line);
            }
        }
        Ok(Exit::Done)
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
