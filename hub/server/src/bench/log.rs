//! The peer of `bench ingest`: an append-only file that gets one write and one `fdatasync` per group. It
//! can hold what was accepted and nothing else; the least that an honest ACK costs.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use renkei_core::source::Processed;
use renkei_core::{MessageId, Note, Receipt, SourceName};

use crate::inbox::Ledger;
use crate::store::{Prepared, StoreError};

/// The file.
pub(super) struct Log {
    file: Arc<Mutex<File>>,
    next: AtomicI64,
}

impl Log {
    /// Creates it in `folder`.
    pub(super) fn create(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(folder.join("frames.log"))?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            next: AtomicI64::new(1),
        })
    }
}

fn write(file: &Mutex<File>, group: &[Prepared]) -> std::io::Result<()> {
    let mut frames = Vec::with_capacity(group.iter().map(|one| one.message.body.len() + 8).sum());
    for one in group {
        frames.extend_from_slice(&(one.message.body.len() as u64).to_le_bytes());
        frames.extend_from_slice(&one.message.body);
    }
    let mut file = file
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    file.write_all(&frames)?;
    file.sync_data()
}

#[async_trait]
impl Ledger for Log {
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError> {
        let count = i64::try_from(group.len()).unwrap_or(0);
        let file = self.file.clone();
        // A thread of its own for the blocking sync, as the SQL driver has one.
        tokio::task::spawn_blocking(move || write(&file, &group))
            .await
            .map_err(|error| StoreError::Broken(Box::new(error)))?
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        Ok((first..first + count)
            .map(|id| Receipt::Stored(MessageId(id)))
            .collect())
    }

    async fn outcomes(
        &self,
        _messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError> {
        Ok(Vec::new())
    }

    async fn recall(&self, _source: &SourceName) -> Result<Vec<Note>, StoreError> {
        Ok(Vec::new())
    }

    async fn remember(&self, _source: &SourceName, _notes: Vec<Note>) -> Result<(), StoreError> {
        Err(StoreError::Refused(
            "the log of the bench has no memory for sources".into(),
        ))
    }
}
