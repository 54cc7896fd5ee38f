//! The sender's own log: one line of JSON for every acknowledgment, in the order in which each
//! connection got them, so that somebody else can say afterwards what must have arrived.

use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Lines that may wait for the disk before acknowledgments do.
const WAITING: usize = 8192;

/// One acknowledgment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    /// MSH-10.
    #[serde(rename = "control")]
    pub(super) control_id: String,
    /// PID-3.1 of the invented patient.
    pub(super) patient: String,
    /// MSH-9.
    #[serde(rename = "type")]
    pub(super) message_type: &'static str,
    /// It corrects what was said before of this patient.
    pub(super) corrects: bool,
    /// It had been acknowledged before.
    pub(super) duplicate: bool,
    /// Of the bytes sent, without framing.
    pub(super) sha256: String,
    /// When the answer was read.
    pub(super) acknowledged_at: Timestamp,
}

/// An open log.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) lines: mpsc::Sender<Entry>,
    writing: JoinHandle<io::Result<u64>>,
}

impl Ledger {
    /// Opens the file and adds to its end.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)?;
        let (lines, mut waiting) = mpsc::channel::<Entry>(WAITING);
        let writing = tokio::task::spawn_blocking(move || {
            let mut file = io::BufWriter::new(file);
            let mut written = 0;
            while let Some(entry) = waiting.blocking_recv() {
                serde_json::to_writer(&mut file, &entry)?;
                file.write_all(b"\n")?;
                written += 1;
                if waiting.is_empty() {
                    file.flush()?;
                }
            }
            file.flush()?;
            Ok(written)
        });
        Ok(Self { lines, writing })
    }

    /// Writes the rest; every connection must have ended. Gives the lines written.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) async fn close(self) -> io::Result<u64> {
        drop(self.lines);
        self.writing.await.map_err(io::Error::other)?
    }
}
