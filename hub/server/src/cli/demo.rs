//! `renkei demo`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Exit, complain, say};
use crate::demo;
use crate::demo::play::Play;

/// The story of one discharge on this machine: hospital, hub, MCS, Vital Link, ward system.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// End after the story instead of staying up to be looked at.
    #[arg(long)]
    exit: bool,
    /// Keep everything in this folder; it must be empty or new. Default: a fresh temporary folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// First of five ports. Default: free ones.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

impl Demo {
    /// Plays it. Exit 70 when a figure did not hold.
    ///
    /// # Errors
    /// When the stage fails.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let temporary = match &self.dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("renkei-demo-").tempdir()?),
        };
        let folder = match (&self.dir, &temporary) {
            (Some(dir), _) => dir.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::from("."),
        };
        if !is_empty(&folder)? {
            complain(&format!("{} is not empty", folder.display()));
            return Ok(Exit::Usage);
        }
        let folder = folder.canonicalize()?;
        let played = demo::perform(&folder, self.port).await;
        let mut play = match played {
            Ok(play) => play,
            Err(error) => {
                complain(&format!(
                    "the hub's log: {}",
                    last_lines(&folder.join("hub.log"))
                ));
                return Err(error);
            }
        };
        let exit = verdict(&play);
        if !self.exit {
            stay(&play).await?;
        }
        play.stage.hub.stop().await?;
        Ok(exit)
    }
}

fn verdict(play: &Play) -> Exit {
    let checks = &play.checks;
    if checks.failed().is_empty() {
        say(&format!("確認{}件、すべて一致。", checks.made()));
        return Exit::Done;
    }
    for what in checks.failed() {
        complain(&format!("不一致：{what}"));
    }
    Exit::Fault
}

/// Leaves everything up until Ctrl-C.
async fn stay(play: &Play) -> anyhow::Result<()> {
    let stage = &play.stage;
    say("");
    say("このまま動いています。Ctrl-Cで終わります。別の端末で：");
    let config = stage.config.display();
    let patient = &play.cast.patient("A")?.person.local_id;
    say(&format!("  renkei trace {patient} --config {config}"));
    say(&format!("  renkei status --config {config}"));
    for peer in &stage.peers {
        say(&format!(
            "  curl {}/_sim/state    # {}",
            peer.doors.address(),
            peer.name
        ));
    }
    say(&format!(
        "  HL7 over MLLP: {}　ログ: {}",
        stage.mllp,
        stage.folder.join("hub.log").display()
    ));
    tokio::signal::ctrl_c()
        .await
        .context("no Ctrl-C can be heard")
}

fn is_empty(folder: &Path) -> anyhow::Result<bool> {
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::read_dir(folder)?.next().is_none())
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
