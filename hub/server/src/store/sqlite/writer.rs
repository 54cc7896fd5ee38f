//! The one writer: a task that owns the write connection and runs one transaction after the other,
//! accepts before outcomes before effects. A caller that goes away cannot leave a transaction open:
//! the task, not the caller, drives it to its end.

use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;

/// Whose turn it is first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Priority {
    Accept,
    Finish,
    Apply,
}

/// A job for the write connection.
type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, ()> + Send>;

/// A handle to the writer task.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    accept: mpsc::UnboundedSender<Job>,
    finish: mpsc::UnboundedSender<Job>,
    apply: mpsc::UnboundedSender<Job>,
}

/// What a transaction's body returns.
pub(super) type Body<'c, T, E = StoreError> = BoxFuture<'c, Result<T, E>>;

impl Writer {
    /// Starts the task. It ends when the last handle is gone.
    pub(super) fn start(mut connection: SqliteConnection) -> Self {
        let (accept, mut accepts) = mpsc::unbounded_channel::<Job>();
        let (finish, mut finishes) = mpsc::unbounded_channel::<Job>();
        let (apply, mut applies) = mpsc::unbounded_channel::<Job>();
        tokio::spawn(async move {
            loop {
                // Only the waiting is inside `select!`; the job itself runs to its end.
                let job = tokio::select! {
                    biased;
                    Some(job) = accepts.recv() => job,
                    Some(job) = finishes.recv() => job,
                    Some(job) = applies.recv() => job,
                    else => break,
                };
                job(&mut connection).await;
            }
            // The last connection to close checkpoints the log.
            let _closed = connection.close().await;
        });
        Self {
            accept,
            finish,
            apply,
        }
    }

    /// Runs `body` in one immediate transaction and commits it; rolled back on error.
    ///
    /// The transaction is driven by plain statements: after a full disk SQLite has rolled back by
    /// itself, and sqlx's own `Transaction` would believe in an open one for ever.
    pub(super) async fn write<T, E, F>(&self, priority: Priority, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Body<'c, T, E> + Send + 'static,
    {
        self.run(priority, move |connection| {
            Box::pin(async move {
                say(connection, "BEGIN IMMEDIATE").await?;
                let committed = match body(&mut *connection).await {
                    Ok(value) => say(connection, "COMMIT")
                        .await
                        .map(|()| value)
                        .map_err(E::from),
                    Err(error) => Err(error),
                };
                if committed.is_err() {
                    // What is reported is the first error; "no transaction is active" adds nothing.
                    let _already = say(connection, "ROLLBACK").await;
                }
                committed
            })
        })
        .await
    }

    /// Runs `body` on the write connection without a transaction.
    pub(super) async fn read<T, F>(&self, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Body<'c, T> + Send + 'static,
    {
        self.run(Priority::Finish, body).await
    }

    async fn run<T, E, F>(&self, priority: Priority, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Body<'c, T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                // Nobody waiting for the answer is no reason to undo what was done.
                let _gone = answer.send(body(connection).await);
            })
        });
        let queue = match priority {
            Priority::Accept => &self.accept,
            Priority::Finish => &self.finish,
            Priority::Apply => &self.apply,
        };
        let stopped = || StoreError::Broken("the writer has stopped".into());
        queue.send(job).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

async fn say(connection: &mut SqliteConnection, words: &'static str) -> Result<(), StoreError> {
    sqlx::query(words).execute(connection).await?;
    Ok(())
}
