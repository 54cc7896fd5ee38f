//! The hospital's record system as the stage runs it: some events go over the wire (MLLP), others into
//! the SS-MIX2 storages. It keeps its own count of what it told, to be held against the ledger.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use renkei_sim::hospital::{Config, Event, Hospital, Site};

/// One hospital with both ways out.
#[derive(Debug)]
pub struct Emr {
    wire: Hospital,
    tree: Hospital,
    roots: [PathBuf; 2],
    sent: u64,
    names: BTreeSet<PathBuf>,
}

/// First control id of what goes into the storages: the two ways out share no id.
const FIRST_IN_STORAGE: u64 = 500_001;

impl Emr {
    /// A hospital that writes below `folder` and sends to `mllp`.
    ///
    /// # Errors
    /// As the file system says.
    pub fn new(site: Site, folder: &Path, mllp: SocketAddr) -> anyhow::Result<Self> {
        let roots = [folder.join("ssmix2"), folder.join("ssmix2-extended")];
        for root in &roots {
            std::fs::create_dir_all(root)?;
        }
        let config = Config {
            site,
            storage: None,
            extended: None,
            mllp: Some(mllp),
            first_control_id: 1,
        };
        let wire = Hospital::new(config.clone());
        let tree = Hospital::new(Config {
            storage: Some(roots[0].clone()),
            extended: Some(roots[1].clone()),
            mllp: None,
            first_control_id: FIRST_IN_STORAGE,
            ..config
        });
        Ok(Self {
            wire,
            tree,
            roots,
            sent: 0,
            names: BTreeSet::new(),
        })
    }

    /// The standardized and the extended storage.
    pub fn roots(&self) -> &[PathBuf; 2] {
        &self.roots
    }

    /// Sends an event and waits for its acknowledgement.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn wire(&mut self, event: &Event) -> anyhow::Result<()> {
        let done = self.wire.perform(event).await?;
        let ack = done.ack.context("an event without a message")?;
        ensure!(
            ack.is_accepted(),
            "the hub answered {} {}",
            ack.code,
            ack.text
        );
        self.sent += 1;
        Ok(())
    }

    /// Writes an event into the storages.
    ///
    /// # Errors
    /// As the file system says.
    pub async fn file(&mut self, event: &Event) -> anyhow::Result<()> {
        self.tree.perform(event).await?;
        for root in &self.roots {
            names_below(root, &mut self.names)?;
        }
        Ok(())
    }

    /// Messages acknowledged over the wire.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Names that ever stood in the storages: a file renamed by its flag has had two.
    pub fn written(&self) -> u64 {
        self.names.len() as u64
    }

    /// Files that stand in the storages now.
    ///
    /// # Errors
    /// As the file system says.
    pub fn standing(&self) -> anyhow::Result<u64> {
        let mut names = BTreeSet::new();
        for root in &self.roots {
            names_below(root, &mut names)?;
        }
        Ok(names.len() as u64)
    }
}

fn names_below(folder: &Path, names: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names_below(&entry.path(), names)?;
        } else {
            names.insert(entry.path());
        }
    }
    Ok(())
}
