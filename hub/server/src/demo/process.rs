//! The hub as a process of its own, so that it can be killed in the middle and started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::{Child, Command};

use super::doors::until;

/// Longest wait for a start or an orderly end.
const PATIENCE: Duration = Duration::from_secs(20);

/// `renkei run --config F`, its log in a file.
#[derive(Debug)]
pub struct HubProcess {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    listens: SocketAddr,
    child: Option<Child>,
}

impl HubProcess {
    /// The program `renkei`, a configuration, the file its log is added to, and one address it listens
    /// on. Nothing runs yet.
    pub fn new(program: &Path, config: &Path, log: &Path, listens: SocketAddr) -> Self {
        Self {
            program: program.to_owned(),
            config: config.to_owned(),
            log: log.to_owned(),
            listens,
            child: None,
        }
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it ends instead; its last line is repeated.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let child = Command::new(&self.program)
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env("NO_COLOR", "1")
            .kill_on_drop(true)
            .spawn()
            .context("the hub cannot be started")?;
        let child = self.child.insert(child);
        let (listens, log) = (self.listens, &self.log);
        until("the hub listens", PATIENCE, async || {
            if let Some(status) = child.try_wait()? {
                bail!("the hub ended with {status}: {}", last_line(log));
            }
            Ok(tokio::net::TcpStream::connect(listens).await.ok().map(drop))
        })
        .await
    }

    /// Its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// SIGKILL: no goodbye, nothing flushed.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the hub does not run")?;
        child.kill().await?;
        Ok(())
    }

    /// SIGTERM, and waits for the orderly end.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the hub does not run")?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id
            .and_then(rustix::process::Pid::from_raw)
            .context("the hub has ended")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, child.wait())
            .await
            .context("the hub does not end")??;
        ensure!(
            status.success(),
            "the hub ended with {status}: {}",
            last_line(&self.log)
        );
        Ok(())
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// As the file system says.
    pub fn logged(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("").to_owned()
}
