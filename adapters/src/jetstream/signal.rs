//! The wake signal between hubs on one database: an empty message of core NATS that says "look". It
//! carries nothing and may be lost; whoever misses it looks by itself a little later.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use renkei_core::{BoxError, Shutdown, chain};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::config::Wake;

/// First wait for a server; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Carries signals until the hub stops: publishes one when `said` fired, at most as often as the
/// configuration allows, and fires `heard` when another hub published one. Own signals are not heard.
/// A server that is away costs signals and nothing else.
pub async fn carry(config: &Wake, said: Arc<Notify>, heard: Arc<Notify>, shutdown: Shutdown) {
    let mut pause = FIRST_PAUSE;
    let (client, mut subscriber) = loop {
        match connect(config).await {
            Ok(connected) => break connected,
            Err(error) if pause == FIRST_PAUSE => {
                warn!(error = %chain(error.as_ref()), "no wake signals between hubs, trying again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.fired() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    info!("carrying wake signals between hubs");
    // What was said while nobody could be told.
    heard.notify_one();
    let mut quiet_until = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = shutdown.fired() => return,
            signal = subscriber.next() => match signal {
                Some(_) => heard.notify_one(),
                // The client is closed; it never is while we hold it.
                None => return shutdown.fired().await,
            },
            () = said_and_quiet(&said, quiet_until) => {
                quiet_until = tokio::time::Instant::now() + config.pause();
                let published = client.publish(config.subject.clone(), Bytes::new()).await;
                if let Err(error) = published {
                    warn!(error = %chain(&error), "a wake signal was not sent");
                }
            }
        }
    }
}

/// Resolves when something was said and the pause after the last signal is over. Dropped in between it
/// loses nothing: `said` keeps one signal, and it is taken last.
async fn said_and_quiet(said: &Notify, quiet_until: tokio::time::Instant) {
    tokio::time::sleep_until(quiet_until).await;
    said.notified().await;
}

async fn connect(config: &Wake) -> Result<(Client, Subscriber), BoxError> {
    let client = config
        .connection()
        .connect("renkei wake".to_owned(), |_| ())
        .await?;
    let subscriber = client.subscribe(config.subject.clone()).await?;
    // Nothing that is published after this is missed.
    client.flush().await?;
    Ok((client, subscriber))
}
