//! `renkei check` and `renkei schema`.

use std::sync::Arc;

use renkei_core::{SystemClock, chain};

use super::{ConfigFile, Exit, complain, say};
use crate::config::file::File;
use crate::config::{Checked, Problem};
use crate::hub;
use crate::store::sql::Database;

/// Checks a configuration.
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask every peer whether it answers, without writing anything a person would see.
    #[arg(long)]
    probe: bool,
}

impl Check {
    /// Checks it.
    ///
    /// # Errors
    /// None beyond what the file system says.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let checked = match Checked::read(&self.config.config) {
            Ok(checked) => checked,
            Err(problems) => return Ok(report(&problems)),
        };
        say(&format!(
            "{}: {} sources, {} peers, no problems",
            self.config.config.display(),
            checked.sources.len(),
            checked.peers.len()
        ));
        if !self.probe {
            return Ok(Exit::Done);
        }
        let mut all_answer = true;
        if checked.place.server.is_some() {
            match Database::answers(&checked.place).await {
                Ok(()) => say("ledger: answers"),
                Err(error) => {
                    all_answer = false;
                    complain(&format!("ledger: {}", chain(&error)));
                }
            }
        }
        for (name, sink) in hub::sinks(&checked, &(Arc::new(SystemClock) as _))? {
            match sink.probe().await {
                Ok(()) => say(&format!("peer.{name}: answers")),
                Err(error) => {
                    all_answer = false;
                    complain(&format!("peer.{name}: {}", chain(&error)));
                }
            }
        }
        Ok(if all_answer { Exit::Done } else { Exit::Data })
    }
}

/// Names every problem.
pub fn report(problems: &[Problem]) -> Exit {
    for problem in problems {
        complain(&problem.to_string());
    }
    Exit::Usage
}

/// Prints the JSON Schema of the configuration.
///
/// # Errors
/// When the schema cannot be written as JSON.
pub fn schema() -> anyhow::Result<Exit> {
    say(&serde_json::to_string_pretty(&schemars::schema_for!(File))?);
    Ok(Exit::Done)
}
