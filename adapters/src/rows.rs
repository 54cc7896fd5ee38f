//! Files of rows on their way into the inbox, whichever way they came: cut by patient, every part a message of
//! its own.
//!
//! Called by `folder` and `push`, which make the messages. What a part says is read later, by the mapping.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use renkei_core::cutter::Part;
use renkei_core::{AcceptError, Code, Inbox, MapError, NewMessage};

/// Parts of one file on their way into the inbox at once: they are committed in groups.
const AT_ONCE: usize = 256;

/// Cuts a file where it holds up nobody else.
///
/// # Errors
/// The cutter's; [`Code::INB_PANIC`] when it fell over.
pub(crate) async fn cut<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MapError> + Send + 'static,
) -> Result<T, MapError> {
    let cut = tokio::task::spawn_blocking(work).await;
    cut.unwrap_or_else(|_| {
        Err(MapError {
            code: Code::INB_PANIC,
            at: "file".to_owned(),
        })
    })
}

/// What a part is known again by: the file, its patient, and an instant where the same bytes may be news.
pub(crate) fn key(file: &str, part: &Part, instant: Option<i64>) -> String {
    let subject = part.subject.as_ref().map_or("", |id| id.expose());
    match instant {
        Some(instant) => format!("{file}#{subject}@{instant}"),
        None => format!("{file}#{subject}"),
    }
}

/// Offers messages to the inbox, many at once and in their order.
///
/// # Errors
/// The first refusal of the inbox; what came after it may be in already.
pub(crate) async fn offer(
    inbox: &Arc<dyn Inbox>,
    messages: Vec<NewMessage>,
) -> Result<(), AcceptError> {
    futures_util::stream::iter(messages)
        .map(|message| inbox.accept(message))
        .buffered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await
}
