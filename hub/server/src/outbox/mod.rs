//! Stops 8 and 9, outbox and deliver: hands frozen payloads to a sink, one courier per sink.
//!
//! Before every post the channel is looked at again and policy is asked again; what differs is held or
//! re-routed. In flight is memory only: after a crash the same id is sent again, and the peer
//! recognises it. An unavailable peer pauses the sink (breaker, one probe); item errors back off alone.

pub mod breaker;
pub mod look;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Attachment, Change, Channel, Clock, Code, Delivery, DeliveryId, NoticeId, PeerRef, SendError,
    SendOutcome, Sink, SinkName, chain, limits,
};
use tracing::{Instrument as _, debug, info, warn};

use crate::config::Setup;
use crate::engine::{Did, FULL};
use crate::killpoint::{Point, reached};
use crate::observe::meter::{self, Verb};
use crate::observe::trace;
use crate::route::{Answer, Question, is_late, permit};
use crate::store::blob::{BlobError, Blobs};
use crate::store::{Store, StoreError};
use crate::world::{ChannelChange, DeliveryState, Due, Finish};
use breaker::Breaker;
use look::Seen;

/// Channels looked at at the same time.
const LOOKS: usize = 8;

/// How long attempts at one delivery wait.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure; doubled each time.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            most: Duration::from_secs(15 * 60),
        }
    }
}

impl Backoff {
    /// The wait after `attempts` failures, spread by up to a quarter so that a crowd does not come back
    /// at once; the spread is a function of the delivery, so a test can foretell it.
    pub fn after(&self, attempts: u32, id: &str) -> Duration {
        let doubled = self.first.saturating_mul(
            1_u32
                .checked_shl(attempts.saturating_sub(1).min(20))
                .unwrap_or(u32::MAX),
        );
        let wait = doubled.min(self.most);
        let spread = id.bytes().map(u32::from).sum::<u32>() % 256;
        wait + wait.mul_f64(f64::from(spread) / 1024.0)
    }
}

/// The deliveries that couriers are sending now, between reading them as due and having written what
/// became of them. Whoever ends a delivery that waits takes the lock first.
#[derive(Debug, Default)]
pub struct InFlight(pub tokio::sync::Mutex<HashSet<DeliveryId>>);

/// Delivers for one sink.
pub struct Courier {
    /// The sink's name.
    pub name: SinkName,
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// Documents.
    pub blobs: Arc<dyn Blobs>,
    /// The decided configuration.
    pub setup: Arc<RwLock<Arc<Setup>>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is being sent now, by all couriers.
    pub in_flight: Arc<InFlight>,
    /// Wakes the engine when a notice is to be routed again.
    pub engine: Arc<tokio::sync::Notify>,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// Pauses the sink when the peer is unavailable.
    pub breaker: Breaker,
    /// Deliveries in the last group; [`FULL`] = as many as there may be: more wait behind them.
    pub last: usize,
    /// What became of a group that the ledger could not take yet: forgotten, it would look as if it had
    /// never left.
    pub unwritten: Option<Told>,
}

/// What became of a group.
#[derive(Debug)]
pub struct Told {
    ids: Vec<DeliveryId>,
    finished: Vec<Finish>,
    changes: Vec<ChannelChange>,
}

/// What the checks before sending decided about a due delivery.
enum Checked {
    Send(Box<Due>),
    Finish(Finish),
    /// Leave it as it is: the peer could not be asked.
    Later(Finish),
}

impl Courier {
    /// Sends what is due, one group.
    ///
    /// # Errors
    /// Only when the ledger fails.
    pub async fn step(&mut self) -> Result<Did, StoreError> {
        if let Some(told) = self.unwritten.take() {
            return self.write(told).await;
        }
        let now = self.clock.now();
        let limit = match self.breaker.allows(now) {
            breaker::Allows::Nothing => return Ok(Did::Nothing),
            breaker::Allows::Probe => 1,
            breaker::Allows::All => limits::DELIVER_BATCH,
        };
        let due = {
            let mut in_flight = self.in_flight.0.lock().await;
            let due = self.store.due_deliveries(&self.name, now, limit).await?;
            in_flight.extend(due.iter().map(|due| due.id.clone()));
            due
        };
        self.last = if due.len() >= limit { FULL } else { due.len() };
        if due.is_empty() {
            return Ok(Did::Nothing);
        }
        let ids: Vec<DeliveryId> = due.iter().map(|due| due.id.clone()).collect();
        let began = Instant::now();
        let span = trace::deliver(&self.name, &ids);
        let result = match self.deliver(due, now).instrument(span.clone()).await {
            Ok((finished, changes)) => {
                let told = Told {
                    ids,
                    finished,
                    changes,
                };
                self.write(told).instrument(span).await
            }
            Err(error) => {
                self.landed(&ids).await;
                Err(error)
            }
        };
        meter::batch(Verb::Finish, began.elapsed());
        result
    }

    /// These are not being sent any more.
    async fn landed(&self, ids: &[DeliveryId]) {
        let mut in_flight = self.in_flight.0.lock().await;
        for id in ids {
            in_flight.remove(id);
        }
    }

    async fn deliver(
        &mut self,
        due: Vec<Due>,
        now: Timestamp,
    ) -> Result<(Vec<Finish>, Vec<ChannelChange>), StoreError> {
        let (to_send, mut finished, changes) = self.check(due, now).await;
        if !to_send.is_empty() {
            finished.extend(self.send(to_send).await?);
        }
        Ok((finished, changes))
    }

    /// Writes down what became of a group. While the ledger cannot take it, it counts as under way.
    async fn write(&mut self, told: Told) -> Result<Did, StoreError> {
        let (finished, changes) = (&told.finished, &told.changes);
        let trouble = finished
            .iter()
            .all(|finish| finish.state == DeliveryState::Pending);
        let reroutes = changes.iter().any(|change| !change.reroute.is_empty());
        let (counted, began) = (meter::Finished::of(finished), Instant::now());
        let written = self
            .store
            .finish(finished.clone(), changes.clone())
            .instrument(trace::finish(counted.count))
            .await;
        match written {
            Err(error) if error.passes() && !matches!(error, StoreError::Fenced) => {
                self.unwritten = Some(told);
                return Err(error);
            }
            written => {
                self.landed(&told.ids).await;
                written?;
            }
        }
        meter::committed(Verb::Finish, counted.count, began.elapsed());
        counted.show(&self.name);
        if reroutes {
            self.engine.notify_one();
        }
        Ok(if trouble { Did::Nothing } else { Did::Work })
    }

    /// When to try again at the earliest.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let next = self.store.next_delivery(&self.name).await?;
        Ok(next.map(|next| {
            self.breaker
                .open_until()
                .map_or(next, |until| next.max(until))
        }))
    }

    /// Looks at each channel once and asks policy again.
    async fn check(
        &mut self,
        due: Vec<Due>,
        now: Timestamp,
    ) -> (Vec<Due>, Vec<Finish>, Vec<ChannelChange>) {
        let (mut to_send, mut finished, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        let seen = self.look(&due).await;
        for delivery in due {
            // A withdrawal from the wrong readers goes to them whatever the group says by now; it
            // repeats nothing of what was told.
            if delivery.change == Change::WrongPatient {
                to_send.push(delivery);
                continue;
            }
            let Some(look) = seen.get(&delivery.channel.peer_ref) else {
                continue;
            };
            match self.judge(delivery, look, now, &mut changes) {
                Checked::Send(delivery) => to_send.push(*delivery),
                Checked::Finish(finish) | Checked::Later(finish) => finished.push(finish),
            }
        }
        (to_send, finished, changes)
    }

    /// Looks at every channel of a group once, several at a time.
    async fn look(&self, due: &[Due]) -> HashMap<PeerRef, Result<Seen, SendError>> {
        let mut channels: HashMap<PeerRef, Channel> = HashMap::new();
        for delivery in due {
            if delivery.change != Change::WrongPatient {
                let peer_ref = delivery.channel.peer_ref.clone();
                channels
                    .entry(peer_ref)
                    .or_insert_with(|| delivery.channel.clone());
            }
        }
        let looks: Vec<BoxFuture<'static, _>> = channels
            .into_iter()
            .map(|(peer_ref, channel)| {
                let sink = self.sink.clone();
                async move { (peer_ref, sink.look(&channel).await.map(Seen::of)) }.boxed()
            })
            .collect();
        stream::iter(looks).buffer_unordered(LOOKS).collect().await
    }

    fn judge(
        &mut self,
        mut due: Due,
        look: &Result<Seen, SendError>,
        now: Timestamp,
        changes: &mut Vec<ChannelChange>,
    ) -> Checked {
        let life = SignedDuration::try_from(limits::DELIVERY_LIFE).unwrap_or(SignedDuration::MAX);
        if now.duration_since(due.created_at) > life && !due.released {
            return Checked::Finish(finish(
                &due,
                DeliveryState::Dead,
                Some(Code::DLV_EXPIRED),
                now,
            ));
        }
        let seen = match look {
            Ok(seen) => seen,
            Err(error) => return self.not_looked(&due, error, now),
        };
        if let Some(code) = seen.broken(&due) {
            changes.push(ChannelChange {
                channel: due.channel.id,
                members: None,
                broken: Some(code),
                reroute: Vec::new(),
                sink: self.name.clone(),
            });
            return Checked::Finish(finish(&due, DeliveryState::Held, Some(code), now));
        }
        let members_changed = seen
            .members
            .as_ref()
            .is_some_and(|members| *members != due.channel.members);
        if let Some(members) = &seen.members {
            due.channel.members.clone_from(members);
        }
        let setup = self.setup.read().map_or_else(
            |poisoned| poisoned.into_inner().clone(),
            |setup| setup.clone(),
        );
        let question = Question {
            setup: &setup,
            record: &due.record,
            consents: &due.consents,
            channel: &due.channel,
            content: &due.content,
            occurred_at: due.occurred_at,
            source: &due.source,
            never_automatic: None,
            backfill: false,
            released: due.released,
            posts_today: 0,
            now,
        };
        let (answer, late) = (permit(&question), is_late(&question));
        let mut reroute: Vec<NoticeId> = Vec::new();
        let checked = match answer {
            Answer::Deny { code } | Answer::Hold { code, .. } => {
                Checked::Finish(finish(&due, DeliveryState::Held, Some(code), now))
            }
            Answer::Permit { disclosure, .. }
                if due.in_doubt && disclosure.key() != due.disclosure.key() =>
            {
                // Somebody may have read it, and others read there now: told anew it might be told twice.
                Checked::Finish(finish(
                    &due,
                    DeliveryState::Held,
                    Some(Code::DLV_UNKNOWN_OUTCOME),
                    now,
                ))
            }
            Answer::Permit { disclosure, .. }
                if disclosure.key() != due.disclosure.key()
                    || (late && !due.late && !due.in_doubt) =>
            {
                // What may be read has changed since it was rendered: this one ends, another is planned.
                reroute.push(due.notice);
                Checked::Finish(finish(
                    &due,
                    DeliveryState::Dead,
                    Some(Code::DLV_SUPERSEDED),
                    now,
                ))
            }
            Answer::Permit { .. } => Checked::Send(Box::new(due.clone())),
        };
        if members_changed || !reroute.is_empty() {
            changes.push(ChannelChange {
                channel: due.channel.id,
                members: seen.members.clone(),
                broken: None,
                reroute,
                sink: self.name.clone(),
            });
        }
        checked
    }

    fn not_looked(&mut self, due: &Due, error: &SendError, now: Timestamp) -> Checked {
        match error {
            SendError::Unavailable(_) | SendError::Protocol(_) => {
                warn!(sink = %self.name, error = %chain(error), "channel not looked at, sink paused");
                self.breaker.failed(now);
                let mut finish = finish(
                    due,
                    DeliveryState::Pending,
                    Some(Code::DLV_SINK_UNAVAILABLE),
                    now,
                );
                finish.due_at = self.breaker.open_until();
                Checked::Later(finish)
            }
            SendError::Refused { code } => {
                Checked::Finish(finish(due, DeliveryState::Held, Some(*code), now))
            }
        }
    }

    async fn send(&mut self, due: Vec<Due>) -> Result<Vec<Finish>, StoreError> {
        let (mut deliveries, mut ready, mut finished) = (Vec::new(), Vec::new(), Vec::new());
        for due in due {
            match self.delivery(&due).await {
                Ok(delivery) => {
                    deliveries.push(delivery);
                    ready.push(due);
                }
                Err(error) => finished.push(self.unread(&due, &error)),
            }
        }
        if ready.is_empty() {
            return Ok(finished);
        }
        if !self.sink.is_idempotent() {
            let ids: Vec<_> = ready.iter().map(|due| due.id.clone()).collect();
            self.store.start_attempt(&ids).await?;
        }
        if !self.store.holds() {
            // This process stood still: another hub may be sending these by now.
            return Err(StoreError::Fenced);
        }
        reached(Point::SendBefore);
        let began = Instant::now();
        let outcomes = self.sink.send(&deliveries).await;
        meter::sent(&self.name, began.elapsed());
        reached(Point::SendAfter);
        let now = self.clock.now();
        let mut outcomes = outcomes.into_iter();
        for due in ready {
            let outcome = outcomes.next().unwrap_or(SendOutcome::Unknown {
                source: "the sink gave no outcome".into(),
            });
            finished.push(self.outcome(&due, outcome, now));
        }
        Ok(finished)
    }

    /// An attachment is gone: a person has to look. One that cannot be read now may be read later.
    fn unread(&self, due: &Due, error: &BlobError) -> Finish {
        warn!(delivery_id = %due.id, error = %chain(error), "an attachment cannot be read");
        let now = self.clock.now();
        let mut unread = finish(due, DeliveryState::Held, Some(Code::INB_BLOB_MISSING), now);
        if matches!(error, BlobError::Io(_)) {
            unread.state = DeliveryState::Pending;
            unread.due_at = later(now, self.backoff.after(1, due.id.as_str()));
        }
        unread
    }

    async fn delivery(&self, due: &Due) -> Result<Delivery, BlobError> {
        let mut attachments = Vec::new();
        for reference in &due.payload.attachments {
            attachments.push(Attachment {
                bytes: self.blobs.get(&reference.sha256).await?,
                reference: reference.clone(),
            });
        }
        Ok(Delivery {
            id: due.id.clone(),
            channel: due.channel.clone(),
            payload: due.payload.clone(),
            attachments,
            change: due.change,
            version: due.version,
            reply_to: due.reply_to.clone(),
            replaces: due.replaces.clone(),
            attempt: due.attempts + 1,
        })
    }

    /// What to do next is a property of the outcome.
    fn outcome(&mut self, due: &Due, outcome: SendOutcome, now: Timestamp) -> Finish {
        let mut done = finish(due, DeliveryState::Delivered, None, now);
        match outcome {
            SendOutcome::Confirmed { peer_ref } => {
                self.breaker.worked();
                done.peer_ref = Some(peer_ref);
                done.attempt = Some("confirmed");
            }
            SendOutcome::AwaitingAck { peer_ref, until } => {
                self.breaker.worked();
                // What has no name at the peer yet cannot be corrected: it stays the head of its line.
                done.state = match &peer_ref {
                    Some(_) => DeliveryState::Sent,
                    None => DeliveryState::Pending,
                };
                done.peer_ref = peer_ref;
                done.due_at = Some(until);
                done.attempt = Some("handed over");
            }
            SendOutcome::Retry {
                after,
                unavailable,
                source,
            } => {
                debug!(sink = %self.name, delivery_id = %due.id, error = %chain(source.as_ref()), "delivery postponed");
                if unavailable && self.breaker.failed(now) {
                    info!(sink = %self.name, "sink paused");
                }
                let wait =
                    after.unwrap_or_else(|| self.backoff.after(due.attempts + 1, due.id.as_str()));
                done.state = DeliveryState::Pending;
                done.code = unavailable.then_some(Code::DLV_SINK_UNAVAILABLE);
                done.due_at = later(now, wait);
                done.attempt = Some("retry");
            }
            SendOutcome::Blocked { code } => {
                self.breaker.worked();
                done.state = DeliveryState::Held;
                done.code = Some(code);
                done.attempt = Some("blocked");
            }
            SendOutcome::Rejected { code, source } => {
                self.breaker.worked();
                warn!(sink = %self.name, delivery_id = %due.id, code = %code, error = %chain(source.as_ref()), "delivery rejected");
                done.state = DeliveryState::Dead;
                done.code = Some(code);
                done.attempt = Some("rejected");
            }
            SendOutcome::Unknown { source } => {
                warn!(sink = %self.name, delivery_id = %due.id, error = %chain(source.as_ref()), "no answer to a delivery");
                done.attempt = Some("unknown");
                if self.sink.is_idempotent() {
                    let wait = self.backoff.after(due.attempts + 1, due.id.as_str());
                    done.state = DeliveryState::Pending;
                    done.due_at = later(now, wait);
                } else {
                    done.state = DeliveryState::Held;
                    done.code = Some(Code::DLV_UNKNOWN_OUTCOME);
                }
            }
        }
        done
    }
}

/// The instant after a wait.
fn later(now: Timestamp, wait: Duration) -> Option<Timestamp> {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| now.checked_add(wait).ok())
        .or(Some(now))
}

fn finish(due: &Due, state: DeliveryState, code: Option<Code>, at: Timestamp) -> Finish {
    Finish {
        id: due.id.clone(),
        state,
        code,
        due_at: None,
        peer_ref: None,
        attempt: None,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_spread_by_a_quarter_at_most() {
        let backoff = Backoff {
            first: Duration::from_secs(5),
            most: Duration::from_secs(60),
        };
        let waits: Vec<Duration> = (1..=8).map(|attempt| backoff.after(attempt, "a")).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(waits[0] >= Duration::from_secs(5) && waits[0] < Duration::from_millis(6_250));
        assert!(waits[7] >= Duration::from_secs(60) && waits[7] < Duration::from_secs(75));
        assert_eq!(backoff.after(u32::MAX, "a"), backoff.after(u32::MAX, "a"));
        assert_ne!(backoff.after(3, "a"), backoff.after(3, "b"));
    }
}
