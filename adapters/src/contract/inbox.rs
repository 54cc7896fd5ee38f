//! An inbox in memory that remembers everything and can be made to misbehave.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use renkei_core::source::Processed;
use renkei_core::{
    AcceptError, FacilityId, Inbox, LocalId, MessageId, NewMessage, Note, Receipt, SourceName,
};
use tokio::sync::watch;

/// One stored message.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its position.
    pub id: MessageId,
    /// What was accepted.
    pub message: NewMessage,
}

/// Implements [`Inbox`] in memory: deduplicates, gates by an enrolment list when one is set, and can
/// be held, filled up or broken.
pub struct RecordingInbox {
    state: Mutex<State>,
    /// Counts every change, so that conditions can be awaited.
    changed: watch::Sender<u64>,
    epoch: AtomicU64,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    stored: Vec<Accepted>,
    known: HashMap<(String, [u8; 32]), MessageId>,
    notes: BTreeMap<String, String>,
    /// `None` = everybody is admitted.
    enrolled: Option<BTreeSet<String>>,
    asked: BTreeSet<String>,
    full: bool,
    broken: bool,
    processed: HashMap<i64, Processed>,
    offered: usize,
    refused_for_room: usize,
    not_enrolled: usize,
    remembered: usize,
}

impl Default for RecordingInbox {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            epoch: AtomicU64::new(1),
            held: watch::Sender::new(false),
        }
    }
}

impl RecordingInbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    async fn until(&self, condition: impl Fn(&State) -> bool) {
        let mut changes = self.changed.subscribe();
        while !condition(&self.state()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// From now on only these patients are admitted; the epoch grows.
    pub fn enroll(&self, local_ids: &[&str]) {
        self.change(|state| {
            state.enrolled = Some(local_ids.iter().map(|&id| id.to_owned()).collect());
        });
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Every accept waits until [`RecordingInbox::release`].
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Lets waiting accepts go on.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Answers every accept with [`AcceptError::Full`], or no more.
    pub fn fill_up(&self, full: bool) {
        self.change(|state| state.full = full);
    }

    /// Answers every accept with [`AcceptError::Broken`].
    pub fn break_down(&self) {
        self.change(|state| state.broken = true);
    }

    /// Says how a message ended, for [`Inbox::processed`].
    pub fn finish(&self, id: MessageId, how: Processed) {
        self.change(|state| state.processed.insert(id.0, how));
    }

    /// Everything stored, in order.
    pub fn stored(&self) -> Vec<Accepted> {
        self.state().stored.clone()
    }

    /// The bodies of everything stored, in order.
    pub fn bodies(&self) -> Vec<String> {
        let state = self.state();
        let text =
            |accepted: &Accepted| String::from_utf8_lossy(&accepted.message.body).into_owned();
        state.stored.iter().map(text).collect()
    }

    /// The source's memory as it stands.
    pub fn notes(&self) -> BTreeMap<String, String> {
        self.state().notes.clone()
    }

    /// The local ids the gate was asked about.
    pub fn asked(&self) -> BTreeSet<String> {
        self.state().asked.clone()
    }

    /// Messages dropped because their patient is not enrolled.
    pub fn not_enrolled(&self) -> usize {
        self.state().not_enrolled
    }

    /// Times [`Inbox::remember`] was called.
    pub fn remembered(&self) -> usize {
        self.state().remembered
    }

    /// Times an accept found no room.
    pub fn refused_for_room(&self) -> usize {
        self.state().refused_for_room
    }

    /// Waits until this many messages are stored.
    pub async fn until_stored(&self, count: usize) {
        self.until(|state| state.stored.len() >= count).await;
    }

    /// Waits until a message with this text in it is stored.
    pub async fn until_text(&self, text: &str) {
        let has = |body: &[u8]| body.windows(text.len()).any(|part| part == text.as_bytes());
        self.until(|state| {
            state
                .stored
                .iter()
                .any(|accepted| has(&accepted.message.body))
        })
        .await;
    }

    /// Waits until accept was called this often.
    pub async fn until_offered(&self, count: usize) {
        self.until(|state| state.offered >= count).await;
    }

    /// Waits until this many accepts found no room.
    pub async fn until_refused_for_room(&self, count: usize) {
        self.until(|state| state.refused_for_room >= count).await;
    }

    /// Waits until notes were written this often.
    pub async fn until_remembered(&self, count: usize) {
        self.until(|state| state.remembered >= count).await;
    }
}

#[async_trait]
impl Inbox for RecordingInbox {
    fn admits(&self, _: &SourceName, _: &FacilityId, subject: &LocalId) -> bool {
        let mut state = self.state();
        state.asked.insert(subject.expose().to_owned());
        state
            .enrolled
            .as_ref()
            .is_none_or(|enrolled| enrolled.contains(subject.expose()))
    }

    fn admission_epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    async fn accept(&self, message: NewMessage) -> Result<Receipt, AcceptError> {
        self.change(|state| state.offered += 1);
        let mut held = self.held.subscribe();
        let _ = held.wait_for(|held| !held).await;
        self.change(|state| {
            if state.broken {
                return Err(AcceptError::Broken("the disk is gone".into()));
            }
            if state.full {
                state.refused_for_room += 1;
                return Err(AcceptError::Full);
            }
            if let (Some(enrolled), Some(subject)) = (&state.enrolled, &message.subject)
                && !enrolled.contains(subject.expose())
            {
                state.not_enrolled += 1;
                return Ok(Receipt::NotEnrolled);
            }
            let key = (message.dedup_key.clone(), message.sha256());
            if let Some(id) = state.known.get(&key) {
                return Ok(Receipt::Duplicate(*id));
            }
            let id = MessageId(i64::try_from(state.stored.len()).unwrap_or(i64::MAX) + 1);
            state.known.insert(key, id);
            state.stored.push(Accepted { id, message });
            Ok(Receipt::Stored(id))
        })
    }

    async fn processed(&self, id: MessageId) -> Result<Processed, AcceptError> {
        self.until(|state| state.processed.contains_key(&id.0))
            .await;
        self.state()
            .processed
            .get(&id.0)
            .copied()
            .ok_or(AcceptError::Stopping)
    }

    async fn recall(&self, _: &SourceName) -> Result<Vec<Note>, AcceptError> {
        let note = |(key, value): (&String, &String)| Note {
            key: key.clone(),
            value: Some(value.clone()),
        };
        Ok(self.state().notes.iter().map(note).collect())
    }

    async fn remember(&self, _: &SourceName, notes: Vec<Note>) -> Result<(), AcceptError> {
        self.change(|state| {
            for note in notes {
                match note.value {
                    Some(value) => state.notes.insert(note.key, value),
                    None => state.notes.remove(&note.key),
                };
            }
            state.remembered += 1;
        });
        Ok(())
    }
}
