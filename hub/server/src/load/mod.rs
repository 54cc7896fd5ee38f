//! `renkei load`: sends what a hospital would say, at planned instants, to see what a hub does with it.
//!
//! The generator is open-loop: a slow answer delays nothing, and time is counted from the planned
//! instant, so that a hub which stops for a second cannot hide the messages that would have come in
//! that second. People are invented ([`messages`]), the plan is a pure function of its seed ([`plan`]),
//! and memory is bounded whatever the hub does ([`mod@line`]).
//!
//! Called by `cli::load` and by `bench walk`. It knows nothing of the hub but an address to send to
//! and, to watch it, its ledger ([`watch`]).

pub mod day;
pub(crate) mod dice;
pub mod district;
mod ledger;
mod line;
pub mod messages;
pub mod plan;
pub mod report;
mod story;
pub mod tally;
pub mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub use line::Progress;
use line::{Line, Shared};
use plan::Plan;
use tally::Tally;

/// What to send, and to whom.
#[derive(Debug, Clone)]
pub struct Job {
    /// Listeners of one hub or of several; connections take turns.
    pub to: Vec<SocketAddr>,
    /// What is sent when.
    pub plan: Plan,
    /// After AE or a cut connection the same bytes are sent again until they are acknowledged.
    pub retry: bool,
    /// A connection that cannot be made goes to the next address.
    pub failover: bool,
    /// Number of the first invented person.
    pub first_person: u64,
    /// Longest wait for an answer once everything is sent.
    pub patience: Duration,
    /// The sender's log.
    pub ledger: Option<PathBuf>,
}

/// Sending could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A message could not be built.
    #[error("a message cannot be built")]
    Build(#[from] renkei_hl7v2::build::BuildError),
    /// The sender's log cannot be written.
    #[error("the sender's log")]
    Ledger(#[source] std::io::Error),
    /// A connection's task ended badly.
    #[error("a connection")]
    Line(#[from] tokio::task::JoinError),
    /// There is nowhere to send to, or nobody to speak of.
    #[error("{0}")]
    Plan(&'static str),
}

/// What sending gave.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Everything counted.
    pub tally: Tally,
    /// From the first planned instant to the last answer.
    pub took: Duration,
    /// Lines in the sender's log.
    pub logged: u64,
}

/// A run.
#[derive(Debug)]
pub struct Running {
    lines: tokio::task::JoinSet<Result<Tally, renkei_hl7v2::build::BuildError>>,
    ledger: Option<ledger::Ledger>,
    control: Control,
}

/// Looks at a run and, at full speed, holds it back.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
    gate: Arc<tokio::sync::watch::Sender<bool>>,
}

/// Starts sending.
///
/// # Errors
/// [`LoadError`] when the plan makes no sense or the log cannot be opened.
pub fn start(job: Job) -> Result<Running, LoadError> {
    if job.to.is_empty() {
        return Err(LoadError::Plan("there is no address to send to"));
    }
    if job.plan.lines == 0 || job.plan.patients < job.plan.lines {
        return Err(LoadError::Plan(
            "there must be a connection, and at least one patient for each",
        ));
    }
    let ledger = job.ledger.as_deref().map(ledger::Ledger::open);
    let ledger = ledger.transpose().map_err(LoadError::Ledger)?;
    let started_at = Timestamp::now();
    let (gate, open) = tokio::sync::watch::channel(true);
    let shared = Arc::new(Shared {
        plan: job.plan,
        retry: job.retry,
        failover: job.failover,
        first_person: job.first_person,
        tag: tag(started_at),
        started: Instant::now(),
        started_at,
        patience: job.patience,
        progress: Progress::default(),
        open,
    });
    let mut lines = tokio::task::JoinSet::new();
    for number in 0..shared.plan.lines {
        let log = ledger.as_ref().map(|ledger| ledger.lines.clone());
        lines.spawn(Line::new(shared.clone(), number, job.to.clone(), log).run());
    }
    Ok(Running {
        lines,
        ledger,
        control: Control {
            shared,
            gate: Arc::new(gate),
        },
    })
}

impl Control {
    /// Counts so far.
    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// At full speed: whether more may be sent now.
    pub fn let_more(&self, open: bool) {
        self.gate
            .send_if_modified(|now| std::mem::replace(now, open) != open);
    }
}

impl Running {
    /// What looks at it from outside.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until everything is sent and answered.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn finish(mut self) -> Result<Sent, LoadError> {
        let mut tally = Tally::default();
        while let Some(line) = self.lines.join_next().await {
            tally.join(&line??);
        }
        let took = self.control.shared.started.elapsed();
        let logged = match self.ledger.take() {
            Some(ledger) => ledger.close().await.map_err(LoadError::Ledger)?,
            None => 0,
        };
        Ok(Sent {
            tally,
            took,
            logged,
        })
    }
}

/// What control ids of a run begin with: no two runs of a day share it.
fn tag(at: Timestamp) -> String {
    let ticks = at.as_microsecond().rem_euclid(1 << 40);
    format!("L{ticks:010X}").chars().take(10).collect()
}
