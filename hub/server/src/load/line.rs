//! One connection: sends its part of the plan at the planned instants, whatever the answers do, and
//! counts what comes back.
//!
//! What is under way is bounded; when it is full, or the connection is gone, sends wait and come late,
//! and the lateness is in every figure, because time runs from the planned instant. With repetition
//! (`retry`) a patient's next message waits for the answer to the one before, so that sending again
//! never turns their order around.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use jiff::{SignedDuration, Timestamp};
use renkei_hl7v2::build::BuildError;
use sha2::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::ledger::Entry;
use super::plan::{Pace, Plan, Planned};
use super::story::{Chart, Wanted};
use super::tally::Tally;

/// Messages and bytes of one connection that may be without an answer.
const WINDOW: usize = 1024;
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// The same at full speed: more only lengthens the line.
const WINDOW_FULL: usize = 8;
/// Answers are short; more than this without an end is no answer.
const ANSWER_BYTES: usize = 64 * 1024;
/// First pause before sending again after an AE, and before connecting again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) retry: bool,
    pub(super) failover: bool,
    /// Number of the first invented person.
    pub(super) first_person: u64,
    /// In front of every control id; another one for each run.
    pub(super) tag: String,
    pub(super) started: Instant,
    pub(super) started_at: Timestamp,
    /// Nothing is waited for longer than this without any answer, once all is sent.
    pub(super) patience: Duration,
    pub(super) progress: Progress,
    /// At full speed: whether more may be sent now.
    pub(super) open: watch::Receiver<bool>,
}

/// Counts of all connections, to be looked at while they run.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages of the plan sent.
    pub offered: AtomicU64,
    /// AA so far, repetitions of acknowledged messages aside.
    pub accepted: AtomicU64,
}

/// Sent and not answered, or about to be sent again.
struct UnderWay {
    planned: Planned,
    control_id: String,
    message_type: &'static str,
    corrects: bool,
    frame: Arc<[u8]>,
    /// When its time began to count.
    due: Instant,
    /// It was acknowledged before.
    is_duplicate: bool,
}

pub(super) struct Line {
    shared: Arc<Shared>,
    number: u32,
    addresses: Vec<SocketAddr>,
    /// Which of them.
    at: usize,
    charts: HashMap<u32, Chart>,
    under_way: VecDeque<UnderWay>,
    bytes_under_way: usize,
    /// To be sent again, and when.
    again: VecDeque<(Instant, UnderWay)>,
    /// Acknowledged, to be sent once more.
    duplicates: VecDeque<UnderWay>,
    pause: Duration,
    out: BytesMut,
    answers: BytesMut,
    last_answer: Instant,
    ledger: Option<mpsc::Sender<Entry>>,
    tally: Tally,
}

/// Why a connection was left.
enum Left {
    /// Everything is sent and answered.
    Done,
    /// It broke.
    Cut,
    /// Nothing is answered any more.
    GaveUp,
}

impl Line {
    pub(super) fn new(
        shared: Arc<Shared>,
        number: u32,
        addresses: Vec<SocketAddr>,
        ledger: Option<mpsc::Sender<Entry>>,
    ) -> Self {
        let at = usize::try_from(number).unwrap_or(0) % addresses.len().max(1);
        let last_answer = shared.started;
        Self {
            shared,
            number,
            addresses,
            at,
            charts: HashMap::new(),
            under_way: VecDeque::new(),
            bytes_under_way: 0,
            again: VecDeque::new(),
            duplicates: VecDeque::new(),
            pause: FIRST_PAUSE,
            out: BytesMut::new(),
            answers: BytesMut::new(),
            last_answer,
            ledger,
            tally: Tally::default(),
        }
    }

    /// Sends everything, and gives what was counted.
    ///
    /// # Errors
    /// [`BuildError`] when a message cannot be built.
    pub(super) async fn run(mut self) -> Result<Tally, BuildError> {
        let shared = self.shared.clone();
        let mut plan = shared.plan.of_line(self.number).peekable();
        loop {
            let left = match self.connect().await {
                Some(stream) => self.talk(stream, &mut plan).await?,
                None if self.is_hopeless(plan.peek().is_none()) => Left::GaveUp,
                None => continue,
            };
            match left {
                Left::Done => break,
                Left::Cut => self.cut(),
                Left::GaveUp => {
                    let open = self
                        .under_way
                        .iter()
                        .chain(self.again.iter().map(|(_, one)| one));
                    let open = open.filter(|one| !one.is_duplicate).count() as u64;
                    self.tally.unanswered += open;
                    if !matches!(shared.plan.pace, Pace::Full { .. }) {
                        self.tally.unsent += plan.count() as u64;
                    }
                    break;
                }
            }
        }
        Ok(self.tally)
    }

    /// Whether there is no sense in trying any longer: nobody has answered for too long.
    fn is_hopeless(&self, all_sent: bool) -> bool {
        let since_end = self.shared.started + self.shared.plan.span();
        let waited = Instant::now().saturating_duration_since(self.last_answer.max(since_end));
        let nothing_left = all_sent && self.under_way.is_empty() && self.again.is_empty();
        nothing_left || waited > self.shared.patience
    }

    async fn connect(&mut self) -> Option<TcpStream> {
        let address = *self.addresses.get(self.at)?;
        let connected = tokio::time::timeout(LONGEST_PAUSE, TcpStream::connect(address)).await;
        if let Ok(Ok(stream)) = connected {
            let _slower = stream.set_nodelay(true);
            return Some(stream);
        }
        if self.shared.failover {
            self.at = (self.at + 1) % self.addresses.len().max(1);
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        None
    }

    /// What was under way when the connection broke: sent again in order, or never answered.
    fn cut(&mut self) {
        self.tally.cuts += 1;
        self.out.clear();
        self.answers.clear();
        self.bytes_under_way = 0;
        let open = std::mem::take(&mut self.under_way);
        if !self.shared.retry {
            self.tally.unanswered += open.iter().filter(|one| !one.is_duplicate).count() as u64;
            return;
        }
        let now = Instant::now();
        for one in open.into_iter().rev() {
            self.again.push_front((now, one));
        }
    }

    async fn talk(
        &mut self,
        stream: TcpStream,
        plan: &mut std::iter::Peekable<impl Iterator<Item = Planned>>,
    ) -> Result<Left, BuildError> {
        let (mut reads, mut writes) = stream.into_split();
        let shared = self.shared.clone();
        let mut open = shared.open.clone();
        loop {
            let now = Instant::now();
            self.fill(now, plan, *open.borrow_and_update())?;
            let wakes = self.wakes(plan.peek(), now);
            if wakes.is_none() && self.under_way.is_empty() && self.out.is_empty() {
                return Ok(Left::Done);
            }
            let gives_up =
                self.last_answer.max(shared.started + shared.plan.span()) + shared.patience;
            if now > gives_up {
                return Ok(Left::GaveUp);
            }
            let wakes = wakes.unwrap_or(gives_up).min(now + Duration::from_secs(1));
            tokio::select! {
                answered = read(&mut reads, &mut self.answers) => {
                    if !answered || !self.take_answers().await {
                        return Ok(Left::Cut);
                    }
                }
                written = write(&mut writes, &mut self.out), if !self.out.is_empty() => {
                    if !written {
                        return Ok(Left::Cut);
                    }
                }
                () = tokio::time::sleep_until(wakes) => {}
                _ = open.changed(), if matches!(shared.plan.pace, Pace::Full { .. }) => {}
            }
        }
    }

    /// Puts everything whose time has come into the buffer, as far as there is room.
    fn fill(
        &mut self,
        now: Instant,
        plan: &mut std::iter::Peekable<impl Iterator<Item = Planned>>,
        is_open: bool,
    ) -> Result<(), BuildError> {
        while self.has_room()
            && self
                .again
                .front()
                .is_some_and(|(at, one)| *at <= now && self.may_go(one.planned.patient))
        {
            if let Some((_, one)) = self.again.pop_front() {
                self.tally.repeated += 1;
                self.send(one);
            }
        }
        while self.has_room() {
            let Some(one) = self.duplicates.pop_front() else {
                break;
            };
            if !self.may_go(one.planned.patient) {
                self.duplicates.push_front(one);
                break;
            }
            self.tally.duplicates += 1;
            self.send(one);
        }
        while self.has_room()
            && let Some(next) = plan.peek()
            && self.is_due(next, now, is_open)
        {
            if let Some(planned) = plan.next() {
                let one = self.say(planned, now)?;
                self.tally.offered += 1;
                self.tally.corrections += u64::from(one.corrects);
                self.tally
                    .lateness
                    .add(now.saturating_duration_since(one.due));
                self.shared.progress.offered.fetch_add(1, Ordering::Relaxed);
                self.send(one);
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let window = match self.shared.plan.pace {
            Pace::Full { .. } => WINDOW_FULL,
            Pace::Steady { .. } | Pace::Day { .. } => WINDOW,
        };
        self.under_way.len() < window && self.bytes_under_way < WINDOW_BYTES
    }

    /// Whether a message of this patient would not overtake another one.
    fn may_go(&self, patient: u32) -> bool {
        !self.shared.retry
            || self
                .under_way
                .iter()
                .all(|one| one.planned.patient != patient)
    }

    fn is_due(&self, next: &Planned, now: Instant, is_open: bool) -> bool {
        let is_now = match self.shared.plan.pace {
            Pace::Full { span } => is_open && now < self.shared.started + span,
            Pace::Steady { .. } | Pace::Day { .. } => self.shared.started + next.at <= now,
        };
        let waits = |(_, one): &(Instant, UnderWay)| one.planned.patient == next.patient;
        is_now && self.may_go(next.patient) && !self.again.iter().any(waits)
    }

    /// When there is something to do by itself; `None` = never again.
    fn wakes(&self, next: Option<&Planned>, now: Instant) -> Option<Instant> {
        let again = self
            .again
            .front()
            .map(|(at, _)| (*at).max(now + Duration::from_millis(1)));
        let next = next.and_then(|next| match self.shared.plan.pace {
            Pace::Full { span } => (now < self.shared.started + span).then_some(now + FIRST_PAUSE),
            Pace::Steady { .. } | Pace::Day { .. } => {
                let at = self.shared.started + next.at;
                // Overdue for want of room or of an answer: an answer wakes us.
                Some(if at > now {
                    at
                } else {
                    now + Duration::from_secs(1)
                })
            }
        });
        let duplicates = (!self.duplicates.is_empty()).then_some(now + FIRST_PAUSE);
        [again, next, duplicates].into_iter().flatten().min()
    }

    fn say(&mut self, planned: Planned, now: Instant) -> Result<UnderWay, BuildError> {
        let shared = &self.shared;
        let due = match shared.plan.pace {
            Pace::Full { .. } => now,
            Pace::Steady { .. } | Pace::Day { .. } => shared.started + planned.at,
        };
        let since = SignedDuration::try_from(due.saturating_duration_since(shared.started));
        let at = shared
            .started_at
            .saturating_add(since.unwrap_or(SignedDuration::ZERO));
        let control_id = format!("{}{:010}", shared.tag, planned.place);
        let chart = self.charts.entry(planned.patient).or_default();
        let said = chart.say(&Wanted {
            person: shared.first_person + u64::from(planned.patient),
            kind: planned.kind,
            corrects: planned.corrects,
            now: at.unwrap_or(shared.started_at),
            control_id: &control_id,
            seed: shared.plan.seed ^ planned.place,
        })?;
        let frame = [&[0x0b], said.bytes.as_slice(), &[0x1c, 0x0d]].concat();
        Ok(UnderWay {
            planned,
            control_id,
            message_type: said.message_type,
            corrects: said.corrects,
            frame: frame.into(),
            due,
            is_duplicate: false,
        })
    }

    fn send(&mut self, one: UnderWay) {
        self.out.extend_from_slice(&one.frame);
        self.bytes_under_way += one.frame.len();
        self.under_way.push_back(one);
    }

    /// Takes every whole answer; false when the connection is of no more use.
    async fn take_answers(&mut self) -> bool {
        while let Some(end) = memchr::memmem::find(&self.answers, &[0x1c, 0x0d]) {
            let frame = self.answers.split_to(end + 2);
            let Some((code, control_id)) = acknowledgment(&frame) else {
                self.tally.strays += 1;
                continue;
            };
            let of_it = |one: &UnderWay| one.control_id.as_bytes() == control_id;
            let Some(place) = self.under_way.iter().position(of_it) else {
                self.tally.strays += 1;
                continue;
            };
            if let Some(one) = self.under_way.remove(place) {
                self.bytes_under_way -= one.frame.len();
                self.last_answer = Instant::now();
                self.answered(code, one).await;
            }
        }
        self.answers.len() <= ANSWER_BYTES
    }

    async fn answered(&mut self, code: &[u8], one: UnderWay) {
        match code {
            b"AA" | b"CA" => {
                self.pause = FIRST_PAUSE;
                self.write_down(&one).await;
                if one.is_duplicate {
                    return;
                }
                let now = Instant::now();
                self.tally
                    .accept(one.planned.kind, now - one.due, now - self.shared.started);
                self.shared
                    .progress
                    .accepted
                    .fetch_add(1, Ordering::Relaxed);
                if one.planned.twice {
                    self.duplicates.push_back(UnderWay {
                        is_duplicate: true,
                        ..one
                    });
                }
            }
            b"AR" | b"CR" => self.tally.rejected += 1,
            _ => {
                self.tally.errors += 1;
                if self.shared.retry {
                    self.again.push_back((Instant::now() + self.pause, one));
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn write_down(&self, one: &UnderWay) {
        let Some(ledger) = &self.ledger else { return };
        let body = one.frame.get(1..one.frame.len() - 2).unwrap_or_default();
        let entry = Entry {
            control_id: one.control_id.clone(),
            patient: format!(
                "{:010}",
                self.shared.first_person + u64::from(one.planned.patient)
            ),
            message_type: one.message_type,
            corrects: one.corrects,
            duplicate: one.is_duplicate,
            sha256: data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(body)),
            acknowledged_at: Timestamp::now(),
        };
        // A ledger that cannot be written ends the run elsewhere.
        let _gone = ledger.send(entry).await;
    }
}

/// Reads more answers; false when there will be no more.
async fn read(reads: &mut OwnedReadHalf, answers: &mut BytesMut) -> bool {
    matches!(reads.read_buf(answers).await, Ok(count) if count > 0)
}

/// Writes what it can; false when the connection is gone.
async fn write(writes: &mut OwnedWriteHalf, out: &mut BytesMut) -> bool {
    match writes.write(out).await {
        Ok(count) if count > 0 => {
            out.advance(count);
            true
        }
        _ => false,
    }
}

/// MSA-1 and MSA-2 of an answer.
fn acknowledgment(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memmem::find(frame, b"\rMSA|")? + 5;
    let rest = frame.get(at..)?;
    let line = rest.split(|byte| *byte == b'\r').next()?;
    let mut fields = line.split(|byte| *byte == b'|');
    Some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_or_left_alone() {
        let frame = b"\x0bMSH|^~\\&|A|B\rMSA|AE|T1|no room\rERR|\r\x1c\r";
        assert_eq!(acknowledgment(frame), Some((&b"AE"[..], &b"T1"[..])));
        assert_eq!(acknowledgment(b"\x0bMSH|\rMSA|AA\r\x1c\r"), None);
        assert_eq!(acknowledgment(b"MSA|AA|1"), None);
    }
}
