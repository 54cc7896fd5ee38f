//! One MLLP connection: read frames, offer them to the inbox, answer in order.
//!
//! A sender may have several frames under way; they are offered to the inbox together, so that one
//! commit serves them all, and answered in the order they came. Two messages with the same ordering
//! key are never under way together: the second is offered when the first is settled, so that
//! neither a refusal nor the inbox's own parallelism can turn their order around.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use renkei_core::{Code, FacilityId, Inbox, Meta, NewMessage, Shutdown, SourceError, SourceName};
use renkei_hl7v2::Peek;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep};
use tokio_util::codec::Framed;
use tracing::{debug, warn};

use super::Peer;
use super::ahead::Ahead;
use super::answer::{Asked, Writer};
use super::codec::{Codec, Frame};
use super::config::Config;
use super::settle::{Job, Settled, Then, answer_later, settle};
use crate::split;

/// Messages of one connection that may be on their way into the inbox.
const WINDOW: usize = 64;
/// Bytes of bodies of one connection that may be on their way (one message is always let through).
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Application answers that may wait for processing before reading pauses.
const WAITING_ANSWERS: usize = 1024;
/// First pause of reading after "no room"; doubles up to [`LONGEST_PAUSE`] while there is none.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A sender that does not read its answers is given up after this.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
/// After an over-long frame what the sender still writes is thrown away for this long, so that it
/// can read the answer: closing at once would reset the connection under it.
const LINGER: Duration = Duration::from_secs(5);

/// What all connections of a listener share.
pub(super) struct Room {
    pub(super) source: SourceName,
    pub(super) config: Arc<Config>,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) shutdown: Shutdown,
    pub(super) answers: Writer,
}

type Later<'a> = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>>;
type Settling<'a> = Pin<Box<dyn Future<Output = Settled> + Send + 'a>>;

/// One connection's state.
struct Line<'a, S> {
    room: &'a Room,
    peer: &'a Peer,
    framed: Framed<Ahead<S>, Codec>,
    /// Cut out of frames, not offered yet.
    waiting: VecDeque<Job>,
    offered: FuturesOrdered<Settling<'a>>,
    /// Ordering key and size of what is offered, in the same order.
    keys: VecDeque<(String, usize)>,
    bytes_offered: usize,
    answers_later: FuturesOrdered<Later<'a>>,
    reading: bool,
    /// False once the sender cannot be written to any more.
    writing: bool,
    lingering: bool,
    pause: Duration,
    paused_until: Option<Instant>,
    /// The sender was put off and has gone. What it had still written it will write again, with what
    /// was put off before it: nothing of it is taken now, or it would overtake.
    gone: bool,
}

/// Counts a message that its sender is told "no" about, whether or not its bytes are kept.
fn count_refused(source: &SourceName, code: Code) {
    metrics::counter!("renkei_messages_refused_total", "source" => source.to_string(), "code" => code.as_str())
        .increment(1);
}

/// Counts a connection for as long as it is open.
struct Open(metrics::Gauge);

impl Open {
    fn at(source: &SourceName) -> Self {
        let open = metrics::gauge!("renkei_source_connections", "source" => source.to_string());
        open.increment(1.0);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Serves one connection until the sender closes it, is idle for too long, or the hub stops.
///
/// # Errors
/// [`SourceError`] when the ledger failed; the sender is not answered then.
pub(super) async fn serve<S>(stream: S, peer: Peer, room: &Room) -> Result<(), SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    debug!(source = %room.source, peer = %peer.address, "connected");
    let _open = Open::at(&room.source);
    let mut line = Line {
        room,
        peer: &peer,
        framed: Framed::new(Ahead::new(stream), Codec::new(room.config.max_frame_bytes)),
        waiting: VecDeque::new(),
        offered: FuturesOrdered::new(),
        keys: VecDeque::new(),
        bytes_offered: 0,
        answers_later: FuturesOrdered::new(),
        reading: true,
        writing: true,
        lingering: false,
        pause: FIRST_PAUSE,
        paused_until: None,
        gone: false,
    };
    line.run().await?;
    line.close().await;
    debug!(source = %room.source, peer = %peer.address, "disconnected");
    Ok(())
}

impl<S> Line<'_, S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    async fn run(&mut self) -> Result<(), SourceError> {
        let room = self.room;
        let mut stop = std::pin::pin!(room.shutdown.fired());
        let mut stopped = false;
        let idle = room.config.idle_timeout();
        let mut idle_alarm: Pin<Box<Sleep>> =
            Box::pin(tokio::time::sleep(idle.unwrap_or(Duration::MAX / 4)));
        let mut last_traffic = Instant::now();
        loop {
            self.offer();
            let busy = !self.offered.is_empty() || !self.waiting.is_empty();
            if !busy && self.answers_later.is_empty() && !self.reading {
                return Ok(());
            }
            let paused = self.paused_until.is_some();
            let reads = self.reading
                && self.waiting.is_empty()
                && !paused
                && self.answers_later.len() < WAITING_ANSWERS;
            let pause_over = self.paused_until.unwrap_or(last_traffic);
            tokio::select! {
                Some(settled) = self.offered.next(), if !self.offered.is_empty() => {
                    self.settled(settled).await?;
                    last_traffic = Instant::now();
                }
                Some(answer) = self.answers_later.next(), if !self.answers_later.is_empty() => {
                    self.write(answer).await;
                    self.flush().await;
                    last_traffic = Instant::now();
                }
                frame = listen(&mut self.framed, paused), if reads || paused => {
                    if let Some(frame) = frame {
                        self.read(frame);
                    } else {
                        self.gone = true;
                        self.paused_until = None;
                    }
                    last_traffic = Instant::now();
                }
                () = tokio::time::sleep_until(pause_over), if self.paused_until.is_some() => {
                    self.paused_until = None;
                }
                () = &mut stop, if !stopped => {
                    stopped = true;
                    self.reading = false;
                    self.answers_later = FuturesOrdered::new();
                }
                () = &mut idle_alarm, if idle.is_some() => {
                    let limit = idle.unwrap_or(Duration::MAX);
                    if last_traffic.elapsed() >= limit && !busy {
                        self.give_up_reading("a connection was idle for too long and was closed");
                        self.answers_later = FuturesOrdered::new();
                    }
                    let from = if last_traffic.elapsed() >= limit { Instant::now() } else { last_traffic };
                    idle_alarm.as_mut().reset(from + limit);
                }
            }
        }
    }

    fn read(&mut self, frame: Option<Result<Frame, std::io::Error>>) {
        match frame {
            None => self.reading = false,
            Some(Err(problem)) => {
                debug!(source = %self.room.source, peer = %self.peer.address, error = %problem.kind(), "connection lost");
                self.writing = false;
                self.give_up_reading("a connection broke");
            }
            Some(Ok(Frame::Whole(body))) => {
                let messages = split::split(&body);
                if let Some((announced, found)) = messages.miscounted {
                    warn!(source = %self.room.source, code = %Code::HL7_BATCH_COUNT, announced, found, "a batch counts other messages than it holds");
                }
                if messages.bodies.is_empty() {
                    let job = self.job(body);
                    self.waiting.push_back(job);
                }
                for body in messages.bodies {
                    let job = self.job(body);
                    if is_acknowledgment(&job.peek) {
                        // Answering an answer would never end.
                        debug!(source = %self.room.source, "an acknowledgment was received and ignored");
                        continue;
                    }
                    self.waiting.push_back(job);
                }
            }
            Some(Ok(Frame::TooLarge { start, arrived })) => {
                warn!(source = %self.room.source, code = %Code::HL7_FRAME_TOO_LARGE, bytes = arrived, "a frame was over the limit");
                count_refused(&self.room.source, Code::HL7_FRAME_TOO_LARGE);
                let mut job = self.refused(start, Code::HL7_FRAME_TOO_LARGE);
                if let Some(message) = &mut job.message {
                    let length = ("frame_bytes_at_least".to_owned(), arrived.to_string());
                    message.meta.sidecar.extend([length]);
                }
                job.rejected = Some(Code::HL7_FRAME_TOO_LARGE);
                self.waiting.push_back(job);
                self.reading = false;
                self.lingering = true;
            }
            Some(Ok(Frame::Truncated(body))) => self.truncated(body),
        }
    }

    /// Stops reading; what stands unfinished in the buffer is kept as a truncated frame.
    fn give_up_reading(&mut self, why: &'static str) {
        debug!(source = %self.room.source, peer = %self.peer.address, "{why}");
        self.reading = false;
        let mut rest = std::mem::take(self.framed.read_buffer_mut());
        if let Some(body) = self.framed.codec_mut().cut(&mut rest) {
            self.truncated(body);
        }
    }

    fn truncated(&mut self, body: bytes::Bytes) {
        warn!(source = %self.room.source, code = %Code::HL7_FRAME_TRUNCATED, bytes = body.len(), "a frame was cut short");
        count_refused(&self.room.source, Code::HL7_FRAME_TRUNCATED);
        let mut job = self.refused(body, Code::HL7_FRAME_TRUNCATED);
        job.silent = true;
        self.waiting.push_back(job);
    }

    fn job(&self, body: bytes::Bytes) -> Job {
        let peek = renkei_hl7v2::peek(&body);
        let facility = self.facility(&peek);
        let rejected = match (&facility, peek.has_header) {
            (_, false) => Some(Code::HL7_NO_MSH),
            (None, true) => Some(Code::INB_UNKNOWN_SENDER),
            (Some(_), true) => None,
        };
        if let Some(code) = rejected {
            warn!(source = %self.room.source, peer = %self.peer.address, %code, bytes = body.len(), "a message was rejected");
            count_refused(&self.room.source, code);
        }
        let refused = rejected.filter(|code| *code == Code::HL7_NO_MSH);
        let message = facility.map(|facility| self.message(&peek, facility, body, refused));
        Job {
            asked: Asked::by(&peek),
            peek,
            message,
            rejected,
            silent: false,
            put_off: false,
        }
    }

    fn refused(&self, body: bytes::Bytes, code: Code) -> Job {
        let peek = renkei_hl7v2::peek(&body);
        let message = self
            .facility(&peek)
            .map(|facility| self.message(&peek, facility, body, Some(code)));
        Job {
            asked: Asked::by(&peek),
            peek,
            message,
            rejected: None,
            silent: false,
            put_off: false,
        }
    }

    fn facility(&self, peek: &Peek) -> Option<FacilityId> {
        let config = &self.room.config;
        if !config.facility_by_client.is_empty() {
            return self
                .peer
                .known
                .as_ref()
                .map(|(_, facility)| facility.clone());
        }
        if !config.facility_by_sender.is_empty() {
            return config
                .facility_by_sender
                .get(&peek.sending_facility)
                .cloned();
        }
        config.facility.clone()
    }

    fn message(
        &self,
        peek: &Peek,
        facility: FacilityId,
        body: bytes::Bytes,
        refused: Option<Code>,
    ) -> NewMessage {
        let subject = self.room.config.local_id.apply(&peek.patient_id);
        let peer = match &self.peer.known {
            Some((name, _)) => name.clone(),
            None => self.peer.address.ip().to_canonical().to_string(),
        };
        let mut message = NewMessage {
            source: self.room.source.clone(),
            facility,
            dedup_key: peek.control_id.clone(),
            ordering_key: subject
                .as_ref()
                .map_or_else(String::new, |id| id.expose().to_owned()),
            barrier: peek.message_type.moves_identity(),
            subject,
            body,
            meta: Meta {
                peer: Some(peer),
                ..Meta::default()
            },
            refused,
        };
        if message.dedup_key.is_empty() {
            // All messages without a control id under one key would look like one id used again.
            message.dedup_key = crate::files::hash_key(&message.sha256());
        }
        message
    }

    /// Offers what may go: within the window, and nobody overtaking their own earlier message.
    fn offer(&mut self) {
        while let Some(job) = self.waiting.front() {
            let (key, size) = match &job.message {
                Some(message) => (message.ordering_key.as_str(), message.body.len()),
                None => ("", 0),
            };
            let full = self.offered.len() >= WINDOW
                || (!self.offered.is_empty() && self.bytes_offered + size > WINDOW_BYTES);
            if full || self.keys.iter().any(|(offered, _)| offered == key) {
                return;
            }
            self.keys.push_back((key.to_owned(), size));
            self.bytes_offered += size;
            if let Some(mut job) = self.waiting.pop_front() {
                job.put_off |= self.gone;
                self.offered.push_back(Box::pin(settle(self.room, job)));
            }
        }
    }

    /// Takes in a settled job and every further one that is ready, then writes all answers at once.
    async fn settled(&mut self, first: Settled) -> Result<(), SourceError> {
        let mut next = Some(first);
        while let Some(settled) = next {
            if let Some((_, size)) = self.keys.pop_front() {
                self.bytes_offered -= size;
            }
            match settled.then {
                Then::GoOn => self.pause = FIRST_PAUSE,
                Then::Pause if self.gone => {}
                Then::Pause => {
                    self.waiting.iter_mut().for_each(|job| job.put_off = true);
                    self.paused_until = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
                Then::Close => self.reading = false,
                Then::Broken(source) => {
                    return Err(SourceError {
                        code: Code::INB_REFUSED_BY_STORE,
                        reason: "the inbox failed; no answer was given".to_owned(),
                        source: Some(source),
                    });
                }
            }
            for answer in settled.answers {
                self.write(answer).await;
            }
            if let Some((id, peek, asked)) = settled.later {
                self.answers_later
                    .push_back(Box::pin(answer_later(self.room, id, peek, asked)));
            }
            next = self.offered.next().now_or_never().flatten();
        }
        self.flush().await;
        Ok(())
    }

    async fn write(&mut self, answer: Option<Vec<u8>>) {
        let Some(answer) = answer else { return };
        if self.writing {
            let written = tokio::time::timeout(WRITE_LIMIT, self.framed.feed(&answer[..])).await;
            self.writing = matches!(written, Ok(Ok(())));
        }
    }

    async fn flush(&mut self) {
        if self.writing {
            let flush = SinkExt::<&[u8]>::flush(&mut self.framed);
            let flushed = tokio::time::timeout(WRITE_LIMIT, flush).await;
            self.writing = matches!(flushed, Ok(Ok(())));
        }
    }

    /// Ends the connection, after letting the sender of an over-long frame read its answer.
    async fn close(mut self) {
        if !self.writing {
            return;
        }
        let stream = self.framed.get_mut();
        if stream.shutdown().await.is_err() || !self.lingering {
            return;
        }
        let mut rest = [0; 16 * 1024];
        let drained = tokio::time::timeout(LINGER, async {
            tokio::select! {
                () = async { while let Ok(1..) = stream.read(&mut rest).await {} } => {}
                () = self.room.shutdown.fired() => {}
            }
        });
        if drained.await.is_err() {
            debug!(source = %self.room.source, peer = %self.peer.address, "a sender went on writing after its frame was rejected");
        }
    }
}

/// The next frame; in a pause only, that the sender has gone (`None`).
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<Ahead<S>, Codec>,
    paused: bool,
) -> Option<Option<Result<Frame, std::io::Error>>> {
    if paused {
        framed.get_mut().gone().await;
        return None;
    }
    Some(framed.next().await)
}

fn is_acknowledgment(peek: &Peek) -> bool {
    matches!(peek.message_type.code.as_str(), "ACK" | "MCF")
}
