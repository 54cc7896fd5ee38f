//! Files of rows: what a [`Cutter`] makes of a file in a drop folder.

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use renkei_core::{AcceptError, Code, Cutter, MapError, NewMessage, limits};

use super::pass::{Reader, Standing};
use crate::files::{Look, Read};

/// Parts of one file on their way into the inbox at once: they are committed in groups.
const AT_ONCE: usize = 256;

impl Reader<'_> {
    /// Takes one file: each part is a message of its own. A file that looks cut short, or is not what the
    /// cutter reads, gets the time of a late partner to become whole.
    pub(super) async fn cut(
        &mut self,
        cutter: &Arc<dyn Cutter>,
        name: &str,
        path: &Path,
    ) -> Result<(), AcceptError> {
        let Standing::Still(look) = self.standing(name, path, None).await else {
            return Ok(());
        };
        let body = match self
            .bytes(path, look, limits::LOCAL_INPUT_BYTES as u64)
            .await
        {
            Some(Read::Whole(body)) => body,
            Some(Read::TooLarge(start)) => {
                self.refuse(name, start, Code::MAP_LIMIT, None).await?;
                return self.done(name, path, look, "").await;
            }
            Some(Read::Changed) | None => return Ok(()),
        };
        let (with, file, bytes) = (Arc::clone(cutter), name.to_owned(), body.clone());
        let cut = tokio::task::spawn_blocking(move || with.cut(&file, &bytes)).await;
        let cut = cut.unwrap_or_else(|_| {
            Err(MapError {
                code: Code::INB_PANIC,
                at: "file".to_owned(),
            })
        });
        let is_whole = cut.as_ref().is_ok_and(|cut| !cut.cut_short);
        if !is_whole && !self.waited_for(name) {
            return Ok(());
        }
        match cut {
            Ok(cut) => {
                let messages: Vec<NewMessage> = cut
                    .parts
                    .into_iter()
                    .map(|part| self.part(name, look, cut.timeless, part))
                    .collect();
                let inbox = Arc::clone(&self.inbox);
                futures_util::stream::iter(messages)
                    .map(|message| inbox.accept(message))
                    .buffered(AT_ONCE)
                    .try_for_each(|_| async { Ok(()) })
                    .await?;
            }
            Err(error) => self.refuse(name, body, error.code, None).await?,
        }
        self.no_longer_waits(name);
        self.done(name, path, look, "").await
    }

    fn part(
        &self,
        name: &str,
        look: Look,
        timeless: bool,
        part: renkei_core::cutter::Part,
    ) -> NewMessage {
        let subject = part.subject.as_ref().map_or("", |id| id.expose());
        let mut key = format!("{name}#{subject}");
        if timeless {
            key.push_str(&format!("@{}", look.changed_ms));
        }
        let mut message = self.message(name, part.body, None, part.subject);
        message.dedup_key = key;
        message.meta.places = part.places;
        message
    }
}
