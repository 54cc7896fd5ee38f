//! What every source must keep, as a suite that runs on each of them, and the inbox it runs with.
//!
//! A source's tests bring a [`Rig`] (how to play the peer) and call [`holds`]. Plain public code, so
//! that the end-to-end tests can use the recording inbox and the log capture too.

mod inbox;
mod logs;

pub use inbox::{Accepted, RecordingInbox};
pub use logs::Logs;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use renkei_core::{Code, Inbox, Shutdown, Source, limits};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing in the suite should ever take this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A name that every sample message carries and no log line may.
pub const CANARY: &str = "CANARYYAMADA";

/// How a peer sees what became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Acknowledged, or never looked at again because it is done.
    Taken,
    /// The peer is told to try again, or the source will look again by itself.
    TryAgain,
    /// Sending the same again is useless.
    Rejected,
}

/// Plays the peer of one source.
#[async_trait]
pub trait Rig: Send + Sync + 'static {
    /// The source under test, ready to run.
    fn source(&self) -> Arc<dyn Source>;
    /// Offers sample `number` in the peer's own way and resolves with what the peer is told. A number
    /// offered again is the same sample, byte for byte. Its text holds [`CANARY`].
    async fn offer(&self, number: u32) -> Verdict;
    /// Offers something over the size limit.
    async fn offer_oversize(&self) -> Verdict;
    /// The code an oversize message is kept under.
    fn oversize_code(&self) -> Code;
}

/// A running source that can be stopped.
pub struct Running {
    token: CancellationToken,
    task: JoinHandle<Result<(), renkei_core::SourceError>>,
}

impl Running {
    /// Starts a source on an inbox.
    pub fn start(source: Arc<dyn Source>, inbox: Arc<dyn Inbox>) -> Self {
        let token = CancellationToken::new();
        let shutdown = shutdown(&token);
        let task = tokio::spawn(async move { source.run(inbox, shutdown).await });
        Self { token, task }
    }

    /// Fires the shutdown and waits for the end, at most as long as the hub gives.
    ///
    /// # Panics
    /// When the source does not stop in time.
    pub async fn stop(self) -> Result<(), renkei_core::SourceError> {
        self.token.cancel();
        self.ended().await
    }

    /// Waits until the source ends by itself.
    ///
    /// # Panics
    /// When it does not end in time, or panicked.
    pub async fn ended(self) -> Result<(), renkei_core::SourceError> {
        match tokio::time::timeout(limits::DRAIN + Duration::from_secs(1), self.task).await {
            Ok(Ok(result)) => result,
            Ok(Err(problem)) => panic!("the source panicked: {problem}"),
            Err(_) => panic!("the source did not stop in time"),
        }
    }
}

/// A [`Shutdown`] that fires with a token.
pub fn shutdown(token: &CancellationToken) -> Shutdown {
    let (fired, wait) = (token.clone(), token.clone());
    Shutdown::new(
        move || fired.is_cancelled(),
        move || {
            let token = wait.clone();
            Box::pin(async move { token.cancelled().await })
        },
    )
}

/// Runs the whole contract on the source of a rig that offers to `inbox`.
///
/// Must run on a current-thread runtime: log lines are captured per thread.
///
/// # Panics
/// When the source breaks the contract; the message says which rule.
pub async fn holds(rig: Arc<dyn Rig>, inbox: Arc<RecordingInbox>) {
    let logs = Logs::default();
    let capturing = logs.capture();
    let running = Running::start(rig.source(), Arc::<RecordingInbox>::clone(&inbox));

    acknowledges_only_after_accept(&rig, &inbox).await;
    accepts_a_repeat_once(&rig, &inbox).await;
    keeps_what_found_no_room(&rig, &inbox).await;
    refuses_oversize(&rig, &inbox).await;

    let stopped = running.stop().await;
    assert!(
        stopped.is_ok(),
        "a stopped source ends without error: {stopped:?}"
    );
    drop(capturing);
    let lines = logs.text();
    assert!(!lines.is_empty(), "a source says at least that it runs");
    for secret in [CANARY, "0000123401"] {
        assert!(!lines.contains(secret), "patient text in a log line");
    }
}

async fn acknowledges_only_after_accept(rig: &Arc<dyn Rig>, inbox: &RecordingInbox) {
    inbox.hold();
    let peer = Arc::clone(rig);
    let mut offered = tokio::spawn(async move { peer.offer(1).await });
    within(inbox.until_offered(1)).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(
        !offered.is_finished(),
        "acknowledged before the inbox had committed"
    );
    inbox.release();
    let verdict = within(&mut offered).await;
    assert!(
        matches!(verdict, Ok(Verdict::Taken)),
        "a committed message is acknowledged: {verdict:?}"
    );
    assert_eq!(inbox.stored().len(), 1, "the message was stored");
}

async fn accepts_a_repeat_once(rig: &Arc<dyn Rig>, inbox: &RecordingInbox) {
    let verdict = within(rig.offer(1)).await;
    assert_eq!(verdict, Verdict::Taken, "a repeat is acknowledged again");
    assert_eq!(inbox.stored().len(), 1, "a repeat is stored once");
}

async fn keeps_what_found_no_room(rig: &Arc<dyn Rig>, inbox: &RecordingInbox) {
    inbox.fill_up(true);
    let verdict = within(rig.offer(2)).await;
    assert_eq!(
        verdict,
        Verdict::TryAgain,
        "without room the peer is told to try again"
    );
    assert_eq!(inbox.stored().len(), 1, "nothing was stored without room");
    inbox.fill_up(false);
    let verdict = within(rig.offer(2)).await;
    assert_eq!(
        verdict,
        Verdict::Taken,
        "with room again the message is taken"
    );
    assert_eq!(inbox.stored().len(), 2);
}

async fn refuses_oversize(rig: &Arc<dyn Rig>, inbox: &RecordingInbox) {
    within(rig.offer_oversize()).await;
    within(inbox.until_stored(3)).await;
    let stored = inbox.stored();
    let Some(kept) = stored
        .iter()
        .find(|accepted| accepted.message.refused.is_some())
    else {
        panic!("the start of an oversize message is kept");
    };
    assert_eq!(
        kept.message.refused,
        Some(rig.oversize_code()),
        "oversize has its code"
    );
    assert!(
        kept.message.body.len() <= limits::KEPT_OF_GIANT,
        "only the start is kept"
    );
}

/// Waits for a condition of a test, but not for ever.
///
/// # Panics
/// When it takes longer than half a minute.
pub async fn within<T>(condition: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, condition).await {
        Ok(value) => value,
        Err(_) => panic!("a condition did not come true in time"),
    }
}
