//! `renkei sinks`: how far each peer may go, without a restart.

use clap::Subcommand;
use renkei_core::{Code, SinkName};
use serde::Serialize;

use super::{ConfigFile, Exit, MaybeNamed, Opened, Printing, Refusal, or_dash, word};
use crate::config::SinkMode;
use crate::store::operator::Operator as _;

/// How far each peer may go.
#[derive(Debug, clap::Args)]
pub(crate) struct Sinks {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Every peer with its mode.
    List,
    /// Sends nothing there until it is resumed; receiving and recording go on.
    Pause(Change),
    /// Sends there again.
    Resume(Change),
    /// Sets the mode; it outlives restarts and stands above the configuration.
    Mode {
        /// The peer.
        name: String,
        /// shadow (send nothing), assisted (a person hands over) or live (needs agreement_ref).
        #[arg(value_parser = mode)]
        mode: SinkMode,
        #[command(flatten)]
        by: MaybeNamed,
    },
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The peer.
    name: String,
    #[command(flatten)]
    by: MaybeNamed,
}

fn mode(text: &str) -> Result<SinkMode, String> {
    match text {
        "shadow" => Ok(SinkMode::Shadow),
        "assisted" => Ok(SinkMode::Assisted),
        "live" => Ok(SinkMode::Live),
        _ => Err("one of shadow, assisted, live".to_owned()),
    }
}

/// One peer as it is run now.
#[derive(Serialize)]
struct Line {
    sink: SinkName,
    mode: SinkMode,
    configured: SinkMode,
    paused: bool,
    agreement_ref: Option<String>,
}

impl Sinks {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let printing = self.printing;
        match self.verb {
            Verb::List => list(&opened, printing).await?,
            Verb::Pause(Change { name, by }) => {
                set(&opened, &name, None, Some(true), &by, printing).await?;
            }
            Verb::Resume(Change { name, by }) => {
                set(&opened, &name, None, Some(false), &by, printing).await?;
            }
            Verb::Mode { name, mode, by } => {
                set(&opened, &name, Some(mode), None, &by, printing).await?;
            }
        }
        Ok(Exit::Done)
    }
}

async fn set(
    opened: &Opened,
    name: &str,
    mode: Option<SinkMode>,
    paused: Option<bool>,
    by: &MaybeNamed,
    printing: Printing,
) -> anyhow::Result<()> {
    let sink = opened.sink(name)?;
    let setup = opened.checked.setup.sinks.get(&sink);
    let agreed = setup.is_some_and(|setup| setup.agreement_ref.is_some());
    if mode == Some(SinkMode::Live) && !agreed {
        let code = Code::RTE_NO_AGREEMENT;
        return Err(Refusal::Usage(format!("{code} peer.{sink}: {}", code.title())).into());
    }
    let act = opened.by(&by.actor(), "");
    opened
        .ledger
        .sink_override(&sink, mode, paused, &act)
        .await?;
    let now = match (mode, paused) {
        (Some(mode), _) => word(&mode),
        (None, Some(true)) => "paused".to_owned(),
        (None, _) => "resumed".to_owned(),
    };
    printing.done(&format!("{sink}: {now}"))
}

async fn list(opened: &Opened, printing: Printing) -> anyhow::Result<()> {
    let overrides = opened.ledger.sink_overrides().await?;
    let sinks = &opened.checked.setup.sinks;
    let lines: Vec<Line> = sinks
        .iter()
        .map(|(sink, setup)| {
            let change = overrides.iter().find(|change| change.sink == *sink);
            Line {
                sink: sink.clone(),
                mode: change.and_then(|change| change.mode).unwrap_or(setup.mode),
                configured: setup.mode,
                paused: change.is_some_and(|change| change.paused),
                agreement_ref: setup.agreement_ref.clone(),
            }
        })
        .collect();
    let head = ["sink", "mode", "configured", "paused", "agreement"];
    printing.list(&lines, &head, |line| {
        vec![
            line.sink.to_string(),
            word(&line.mode),
            word(&line.configured),
            if line.paused { "yes" } else { "no" }.to_owned(),
            or_dash(line.agreement_ref.as_ref()),
        ]
    })
}
