//! What makes a run repeatable: a clock that only the schedule moves, and a ledger and a peer that stop
//! where two hubs could get between each other's steps, until the schedule lets them go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use renkei_core::source::Processed;
use renkei_core::{
    Channel, ChannelKind, ChannelView, Clock, Delivery, DeliveryId, FacilityId, FrameError,
    LocalId, Member, MessageId, Note, NoticeId, Payload, PeerReceipt, PeerRef, Post, Profession,
    Receipt, ReceiptKind, SendError, SendOutcome, Sink, SinkName, SourceName,
};
use tokio::sync::{mpsc, oneshot};

use crate::store::sql::Database;
use crate::store::{Framed, Held, Prepared, SinkOverride, Store, StoreError, Waiting, Wants};
use crate::world::{ChannelChange, Due, Effects, Finish, Keys, World};

/// A clock that stands still until it is told.
pub(super) struct Hand(AtomicI64);

impl Hand {
    pub(super) fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_microsecond()))
    }

    pub(super) fn move_on(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Where something stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Effects are decided and not written.
    Apply,
    /// Outcomes are known and not written.
    Finish,
    /// A group is on its way to the peer.
    Send,
}

/// Something that stands still, and how it is told to go on.
pub(super) struct Parked {
    pub(super) at: At,
    go: oneshot::Sender<Answer>,
}

impl Parked {
    pub(super) fn go_on(self, answer: Answer) {
        let _gone = self.go.send(answer);
    }
}

/// How the peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Well,
    /// It took it, but nobody hears that.
    Lost,
    /// It did not take it.
    Later,
    /// It took it and says so in a message of its own.
    ByReceipt,
}

/// Parks rooms of one hub.
#[derive(Clone)]
pub(super) struct Pace(pub(super) mpsc::UnboundedSender<Parked>);

impl Pace {
    pub(super) async fn park(&self, at: At) -> Answer {
        let (go, gone) = oneshot::channel();
        let _scheduler_left = self.0.send(Parked { at, go });
        match gone.await {
            Ok(answer) => answer,
            // The hub has crashed: it never goes on.
            Err(_) => std::future::pending().await,
        }
    }
}

/// What a reader sees of a post.
#[derive(Debug, Clone)]
pub(super) struct Effect {
    pub(super) id: DeliveryId,
    pub(super) channel: PeerRef,
    pub(super) body: String,
    pub(super) version: u32,
}

/// The outside world: a peer that recognises repeats by the delivery's id.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) effects: Mutex<Vec<Effect>>,
    pub(super) repeats: Mutex<usize>,
    /// What it has still to say.
    pub(super) receipts: Mutex<Vec<PeerReceipt>>,
    /// Channels with a helper in the group.
    pub(super) helpers: Mutex<BTreeSet<PeerRef>>,
    /// Channels that ever had one: their posts may name no ward.
    pub(super) helped: Mutex<BTreeSet<PeerRef>>,
    /// Deliveries whose answer was lost and that have not come again.
    pub(super) doubtful: Mutex<BTreeMap<DeliveryId, PeerRef>>,
}

/// The members of a group as it is declared; a helper may have joined since.
pub(super) fn members(helper: bool) -> Vec<Member> {
    let mut professions = vec![Profession::Doctor, Profession::Nurse];
    if helper {
        professions.push(Profession::Helper);
    }
    let member = |profession: Profession| Member {
        user_ref: profession.code().to_owned(),
        facility: None,
        professions: vec![profession],
    };
    professions.into_iter().map(member).collect()
}

impl Peer {
    fn take(&self, delivery: &Delivery, answer: Answer, now: Timestamp) -> SendOutcome {
        let mut effects = self.effects.lock().unwrap();
        let source = || "the simulation".into();
        if answer == Answer::Later {
            return SendOutcome::Retry {
                after: None,
                unavailable: false,
                source: source(),
            };
        }
        let known = effects.iter().position(|one| one.id == delivery.id);
        let place = known.unwrap_or_else(|| {
            effects.push(Effect {
                id: delivery.id.clone(),
                channel: delivery.channel.peer_ref.clone(),
                body: delivery.payload.body.clone(),
                version: delivery.version,
            });
            effects.len() - 1
        });
        *self.repeats.lock().unwrap() += usize::from(known.is_some());
        let peer_ref = PeerRef::new(format!("post-{place}"));
        let mut doubtful = self.doubtful.lock().unwrap();
        if answer == Answer::Lost {
            doubtful.insert(delivery.id.clone(), delivery.channel.peer_ref.clone());
            return SendOutcome::Unknown { source: source() };
        }
        doubtful.remove(&delivery.id);
        if answer == Answer::ByReceipt {
            self.receipts.lock().unwrap().push(PeerReceipt {
                sink: SinkName::new("mcs"),
                delivery: None,
                post: Some(peer_ref.clone()),
                kind: ReceiptKind::Accepted,
                by: None,
                professions: Vec::new(),
                at: now,
            });
            return SendOutcome::AwaitingAck {
                peer_ref: Some(peer_ref),
                until: now + SignedDuration::from_mins(3),
            };
        }
        SendOutcome::Confirmed { peer_ref }
    }
}

/// The way to the peer from one hub.
pub(super) struct Line {
    pub(super) peer: Arc<Peer>,
    pub(super) pace: Pace,
    pub(super) clock: Arc<Hand>,
}

#[async_trait]
impl Sink for Line {
    fn frame(&self, post: &Post, _channel: &Channel) -> Result<Payload, FrameError> {
        Ok(Payload {
            body: format!("{}\n{}", post.headline, post.text),
            attachments: Vec::new(),
        })
    }

    async fn look(&self, channel: &Channel) -> Result<ChannelView, SendError> {
        let helper = self
            .peer
            .helpers
            .lock()
            .unwrap()
            .contains(&channel.peer_ref);
        Ok(ChannelView {
            peer_ref: channel.peer_ref.clone(),
            kind: ChannelKind::Professional,
            archived: false,
            header: None,
            members: Some(members(helper)),
            host_facility: None,
        })
    }

    async fn channels(&self) -> Result<Vec<ChannelView>, SendError> {
        Ok(Vec::new())
    }

    async fn send(&self, deliveries: &[Delivery]) -> Vec<SendOutcome> {
        let answer = self.pace.park(At::Send).await;
        let now = self.clock.now();
        let taken = deliveries.iter();
        taken.map(|one| self.peer.take(one, answer, now)).collect()
    }

    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

/// A hub's ledger that stands still before it writes.
pub(super) struct Paced {
    pub(super) inner: Arc<Database>,
    pub(super) pace: Pace,
}

#[async_trait]
impl Store for Paced {
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError> {
        Store::accept(self.inner.as_ref(), group).await
    }
    async fn waiting(&self, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        Store::waiting(self.inner.as_ref(), limit).await
    }
    async fn newest_of_oldest(&self, count: usize) -> Result<Option<MessageId>, StoreError> {
        Store::newest_of_oldest(self.inner.as_ref(), count).await
    }
    async fn count_attempt(&self, messages: &[MessageId]) -> Result<(), StoreError> {
        Store::count_attempt(self.inner.as_ref(), messages).await
    }
    async fn load(&self, keys: &Keys, world: &mut World) -> Result<(), StoreError> {
        Store::load(self.inner.as_ref(), keys, world).await
    }
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, StoreError> {
        Store::due_notices(self.inner.as_ref(), now, limit).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Store::next_due(self.inner.as_ref()).await
    }
    async fn load_notices(
        &self,
        notices: &[NoticeId],
        world: &mut World,
    ) -> Result<(), StoreError> {
        Store::load_notices(self.inner.as_ref(), notices, world).await
    }
    async fn apply(&self, effects: Effects, framed: Vec<Framed>) -> Result<(), StoreError> {
        self.pace.park(At::Apply).await;
        Store::apply(self.inner.as_ref(), effects, framed).await
    }
    async fn due_deliveries(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        Store::due_deliveries(self.inner.as_ref(), sink, now, limit).await
    }
    async fn next_delivery(&self, sink: &SinkName) -> Result<Option<Timestamp>, StoreError> {
        Store::next_delivery(self.inner.as_ref(), sink).await
    }
    async fn finish(
        &self,
        group: Vec<Finish>,
        channels: Vec<ChannelChange>,
    ) -> Result<(), StoreError> {
        self.pace.park(At::Finish).await;
        Store::finish(self.inner.as_ref(), group, channels).await
    }
    async fn start_attempt(&self, deliveries: &[DeliveryId]) -> Result<(), StoreError> {
        Store::start_attempt(self.inner.as_ref(), deliveries).await
    }
    async fn outcomes(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError> {
        Store::outcomes(self.inner.as_ref(), messages).await
    }
    async fn enrolled(&self) -> Result<Vec<(FacilityId, LocalId)>, StoreError> {
        Store::enrolled(self.inner.as_ref()).await
    }
    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, StoreError> {
        Store::recall(self.inner.as_ref(), source).await
    }
    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), StoreError> {
        Store::remember(self.inner.as_ref(), source, notes).await
    }
    async fn overrides(&self) -> Result<Vec<SinkOverride>, StoreError> {
        Store::overrides(self.inner.as_ref()).await
    }
    async fn data_version(&self) -> Result<i64, StoreError> {
        Store::data_version(self.inner.as_ref()).await
    }
    async fn begin_run(&self, at: Timestamp) -> Result<bool, StoreError> {
        Store::begin_run(self.inner.as_ref(), at).await
    }
    async fn catch_up(
        &self,
        now: Timestamp,
        notices: Timestamp,
        deliveries: Timestamp,
    ) -> Result<u64, StoreError> {
        Store::catch_up(self.inner.as_ref(), now, notices, deliveries).await
    }
    async fn count(&self, counter: &'static str, by: u64) -> Result<(), StoreError> {
        Store::count(self.inner.as_ref(), counter, by).await
    }
    async fn lease(&self, wants: &Wants) -> Result<Held, StoreError> {
        Store::lease(self.inner.as_ref(), wants).await
    }
    fn holds(&self) -> bool {
        Store::holds(self.inner.as_ref())
    }
    async fn end_run(&self, at: Timestamp) -> Result<(), StoreError> {
        Store::end_run(self.inner.as_ref(), at).await
    }
}
