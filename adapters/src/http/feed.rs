//! Follows a peer's feed (`?since=CURSOR`): reads a page, offers each item to the inbox, and only then
//! writes the cursor down. A crash in between makes repeats, which the inbox recognises.

use std::time::Duration;

use renkei_core::{Note, SourceError};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Call, CallError, Client, encode, read};
use crate::news::{News, Stop, Teller};

/// Entries asked for at once.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next_cursor: String,
    more: bool,
}

/// Follows the feed at `path` until the hub stops. What `understand` makes nothing of is our own echo,
/// or nothing anybody needs.
pub(crate) async fn follow(
    client: &Client,
    path: &str,
    every: Duration,
    teller: &Teller,
    understand: impl Fn(&str) -> Option<News> + Sync,
) -> Result<(), SourceError> {
    match walk(client, path, every, teller, &understand).await {
        Stop::Asked => Ok(()),
        Stop::Broken(error) => Err(error),
    }
}

async fn walk(
    client: &Client,
    path: &str,
    every: Duration,
    teller: &Teller,
    understand: &(impl Fn(&str) -> Option<News> + Sync),
) -> Stop {
    let key = format!("cursor {path}");
    let mut cursor = match teller.recall(&key).await {
        Ok(cursor) => cursor,
        Err(stop) => return stop,
    };
    let mut was_down = false;
    loop {
        let more = match page(client, path, cursor.as_deref()).await {
            Ok(body) => match take(&body, &key, &mut cursor, teller, understand).await {
                Ok(more) => more,
                Err(Halt::Stop(stop)) => return stop,
                Err(Halt::Page(error)) => {
                    tracing::warn!(source = %teller.source(), error = %renkei_core::chain(&error), "unreadable page of a feed");
                    false
                }
            },
            Err(error) if error.is(400, "bad_cursor") && cursor.is_some() => {
                tracing::warn!(source = %teller.source(), "the peer forgot our place in its feed; reading it from the start");
                cursor = None;
                true
            }
            Err(error) => {
                if !was_down {
                    tracing::warn!(source = %teller.source(), error = %renkei_core::chain(&error), "cannot read the feed");
                }
                was_down = true;
                if teller.pause(every).await {
                    return Stop::Asked;
                }
                continue;
            }
        };
        was_down = false;
        if teller.is_stopping() || (!more && teller.pause(every).await) {
            return Stop::Asked;
        }
    }
}

enum Halt {
    Stop(Stop),
    Page(CallError),
}

async fn page(
    client: &Client,
    path: &str,
    cursor: Option<&str>,
) -> Result<bytes::Bytes, CallError> {
    let since = cursor.map(|cursor| format!("&since={}", encode(cursor)));
    let address = format!("{path}?limit={PAGE}{}", since.unwrap_or_default());
    client
        .call(&Call::get(address))
        .await
        .map_err(CallError::harmless)
}

async fn take(
    body: &[u8],
    key: &str,
    cursor: &mut Option<String>,
    teller: &Teller,
    understand: &(impl Fn(&str) -> Option<News> + Sync),
) -> Result<bool, Halt> {
    let page: Page<'_> = read(body).map_err(Halt::Page)?;
    for item in &page.items {
        if let Some(news) = understand(item.get()) {
            teller.tell(news).await.map_err(Halt::Stop)?;
        }
    }
    let moved = cursor.as_deref() != Some(page.next_cursor.as_str());
    if moved {
        let note = Note {
            key: key.to_owned(),
            value: Some(page.next_cursor.clone()),
        };
        teller.remember(note).await.map_err(Halt::Stop)?;
        *cursor = Some(page.next_cursor);
    }
    // A page that says "more" without moving on would be read for ever.
    Ok(page.more && moved)
}
