//! The one writer: a task that owns the write connection and runs one transaction after the other,
//! accepts before outcomes before effects before tidying up. A caller that goes away cannot leave a transaction open:
//! the task, not the caller, drives it to its end.
//!
//! PostgreSQL has several writers at a time: there each of the first three has a task and a connection of its
//! own, which is made again when it breaks.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::open::DIAL;
use super::speak::{Conn, Dialect, Said, Session, query};
use crate::store::StoreError;

/// How long undoing may take on a server; a connection that cannot do it is given up, and so is what it
/// had not committed.
const UNDO: Duration = Duration::from_secs(3);

/// Whose turn it is first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Priority {
    Accept,
    Finish,
    Apply,
    /// Tidying up: only when nobody else asks.
    Keep,
}

/// A job for the write connection.
type Job = Box<dyn for<'c> FnOnce(&'c mut Link) -> BoxFuture<'c, ()> + Send>;

/// A handle to the writer task.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    accept: mpsc::UnboundedSender<Job>,
    finish: mpsc::UnboundedSender<Job>,
    apply: mpsc::UnboundedSender<Job>,
    keep: mpsc::UnboundedSender<Job>,
}

/// What a transaction's body returns.
pub(super) type Body<'c, T, E = StoreError> = BoxFuture<'c, Result<T, E>>;

/// A write connection that is made again after it broke.
#[derive(Debug)]
pub(super) struct Link {
    conn: Option<Conn>,
    /// How to make it again; a file needs no second call.
    again: Option<PgConnectOptions>,
    said: Said,
}

impl Link {
    /// A link over a connection that is there.
    pub(super) fn over(conn: Conn, again: Option<PgConnectOptions>) -> Self {
        let said = conn.said.clone();
        Self {
            conn: Some(conn),
            again,
            said,
        }
    }

    async fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        let conn = match (self.conn.take(), &self.again) {
            (Some(conn), _) => conn,
            (None, Some(options)) => {
                let session = tokio::time::timeout(DIAL, PgConnection::connect_with(options));
                let session = session
                    .await
                    .map_err(|late| StoreError::Away(Box::new(late)))?;
                Conn {
                    session: Session::Postgres(session?),
                    said: self.said.clone(),
                }
            }
            (None, None) => return Err(StoreError::Broken("the connection is gone".into())),
        };
        Ok(self.conn.insert(conn))
    }

    /// A connection that could not even roll back is not used again.
    fn hang_up(&mut self) {
        if self.again.is_some() {
            self.conn = None;
        }
    }

    async fn close(self) {
        let _closed = match self.conn.map(|conn| conn.session) {
            // The last connection to close checkpoints the log.
            Some(Session::Sqlite(session)) => session.close().await,
            Some(Session::Postgres(session)) => session.close().await,
            None => Ok(()),
        };
    }
}

/// Jobs of each priority.
type Queues = [Option<mpsc::UnboundedReceiver<Job>>; 4];

async fn serve(mut link: Link, queues: Queues) {
    // A queue that is served elsewhere is one that has ended.
    let [mut accepts, mut finishes, mut applies, mut keeps] =
        queues.map(|queue| queue.unwrap_or_else(|| mpsc::unbounded_channel().1));
    loop {
        // Only the waiting is inside `select!`; the job itself runs to its end.
        let job = tokio::select! {
            biased;
            Some(job) = accepts.recv() => job,
            Some(job) = finishes.recv() => job,
            Some(job) = applies.recv() => job,
            Some(job) = keeps.recv() => job,
            else => break,
        };
        job(&mut link).await;
    }
    link.close().await;
}

impl Writer {
    /// One task for all, or one for each; tidying up shares that of the effects. They end when the last handle is gone.
    pub(super) fn start(links: Vec<Link>) -> Self {
        let (accept, accepts) = mpsc::unbounded_channel::<Job>();
        let (finish, finishes) = mpsc::unbounded_channel::<Job>();
        let (apply, applies) = mpsc::unbounded_channel::<Job>();
        let (keep, keeps) = mpsc::unbounded_channel::<Job>();
        let mut queues: Queues = [Some(accepts), Some(finishes), Some(applies), Some(keeps)];
        let count = links.len();
        let alone = count == 1;
        for (turn, link) in links.into_iter().enumerate() {
            let served = if alone {
                std::mem::take(&mut queues)
            } else {
                let mut one = Queues::default();
                let last = turn + 1 == count;
                for (at, (to, from)) in one.iter_mut().zip(&mut queues).enumerate() {
                    if at == turn || (last && at > turn) {
                        *to = from.take();
                    }
                }
                one
            };
            tokio::spawn(serve(link, served));
        }
        Self {
            accept,
            finish,
            apply,
            keep,
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
        F: for<'c> FnOnce(&'c mut Conn) -> Body<'c, T, E> + Send + 'static,
    {
        self.run(priority, move |link| {
            Box::pin(async move {
                let conn = link.conn().await?;
                let begin = match conn.dialect() {
                    Dialect::Sqlite => "BEGIN IMMEDIATE",
                    Dialect::Postgres => "BEGIN",
                };
                let written = match say(conn, begin).await {
                    Ok(()) => body(&mut *conn).await,
                    Err(error) => Err(error.into()),
                };
                let committed = match written {
                    Ok(value) => say(conn, "COMMIT").await.map(|()| value).map_err(E::from),
                    Err(error) => Err(error),
                };
                // What is reported is the first error; "no transaction is active" adds nothing.
                if committed.is_err() && !undone(conn).await {
                    link.hang_up();
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
        F: for<'c> FnOnce(&'c mut Conn) -> Body<'c, T> + Send + 'static,
    {
        self.run(Priority::Finish, move |link| {
            Box::pin(async move { body(link.conn().await?).await })
        })
        .await
    }

    /// Runs one statement on the write connection to a file, in its turn.
    pub(super) async fn ask<T, F>(&self, statement: F) -> Result<T, sqlx::Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
    {
        let asked = self.read(move |conn| {
            Box::pin(async move {
                Ok(match conn.file() {
                    Some(file) => statement(file).await,
                    None => Err(sqlx::Error::WorkerCrashed),
                })
            })
        });
        asked.await.map_err(|_stopped| sqlx::Error::WorkerCrashed)?
    }

    async fn run<T, E, F>(&self, priority: Priority, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Link) -> Body<'c, T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |link| {
            Box::pin(async move {
                // Nobody waiting for the answer is no reason to undo what was done.
                let _gone = answer.send(body(link).await);
            })
        });
        let queue = match priority {
            Priority::Accept => &self.accept,
            Priority::Finish => &self.finish,
            Priority::Apply => &self.apply,
            Priority::Keep => &self.keep,
        };
        let stopped = || StoreError::Broken("the writer has stopped".into());
        queue.send(job).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// Rolls back; false when the connection is of no more use.
async fn undone(conn: &mut Conn) -> bool {
    let dialect = conn.dialect();
    let undoing = say(conn, "ROLLBACK");
    match dialect {
        Dialect::Sqlite => undoing.await.is_ok(),
        Dialect::Postgres => matches!(tokio::time::timeout(UNDO, undoing).await, Ok(Ok(()))),
    }
}

async fn say(conn: &mut Conn, words: &'static str) -> Result<(), StoreError> {
    query(words).execute(conn).await?;
    Ok(())
}
