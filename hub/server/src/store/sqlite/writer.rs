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
pub(super) type Body<'c, T> = BoxFuture<'c, Result<T, StoreError>>;

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
    pub(super) async fn write<T, F>(&self, priority: Priority, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Body<'c, T> + Send + 'static,
    {
        self.run(priority, move |connection| {
            Box::pin(async move {
                let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
                let result = body(&mut tx).await;
                match result {
                    Ok(value) => {
                        tx.commit().await?;
                        Ok(value)
                    }
                    Err(error) => {
                        tx.rollback().await?;
                        Err(error)
                    }
                }
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

    async fn run<T, F>(&self, priority: Priority, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Body<'c, T> + Send + 'static,
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
