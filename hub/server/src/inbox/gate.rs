//! The intake gate: of a patient who is not enrolled nothing is kept, not even a log line.

use std::collections::{HashMap, HashSet};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use renkei_core::{FacilityId, LocalId, SourceName};

use crate::config::file::Admit;

/// Who may be kept, per source.
#[derive(Debug)]
pub struct Gate {
    admits: HashMap<SourceName, Admit>,
    enrolled: RwLock<HashSet<(FacilityId, LocalId)>>,
    epoch: AtomicU64,
    turned_away: AtomicU64,
}

impl Gate {
    /// A gate for these sources with nobody enrolled yet. A source that is not listed admits everyone:
    /// the other halves of peers speak about our own deliveries.
    pub fn new(admits: HashMap<SourceName, Admit>) -> Self {
        Self {
            admits,
            enrolled: RwLock::default(),
            epoch: AtomicU64::new(1),
            turned_away: AtomicU64::new(0),
        }
    }

    /// Replaces the set of enrolled patients.
    pub fn enrol(&self, patients: impl IntoIterator<Item = (FacilityId, LocalId)>) {
        let new: HashSet<_> = patients.into_iter().collect();
        let mut enrolled = match self.enrolled.write() {
            Ok(enrolled) => enrolled,
            Err(poisoned) => poisoned.into_inner(),
        };
        self.epoch.store(
            new.iter().map(fingerprint).fold(1, u64::wrapping_add),
            Ordering::Relaxed,
        );
        *enrolled = new;
    }

    /// Whether messages about this patient may be kept.
    pub fn admits(&self, source: &SourceName, facility: &FacilityId, subject: &LocalId) -> bool {
        if self.admits.get(source) != Some(&Admit::Enrolled) {
            return true;
        }
        let enrolled = match self.enrolled.read() {
            Ok(enrolled) => enrolled,
            Err(poisoned) => poisoned.into_inner(),
        };
        enrolled.contains(&(facility.clone(), subject.clone()))
    }

    /// Changes whenever the set changes, and is the same for the same set after a restart: readers of
    /// storages remember it.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Counts a message that was not kept.
    pub fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Those not written down yet.
    pub fn turned_away_so_far(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// So many are written down now.
    pub fn counted(&self, written: u64) {
        self.turned_away.fetch_sub(written, Ordering::Relaxed);
    }
}

/// FNV-1a over facility and local id: the sum over a set does not depend on its order.
fn fingerprint((facility, local_id): &(FacilityId, LocalId)) -> u64 {
    let parts = [facility.as_str(), "\u{1f}", local_id.expose()];
    parts
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
