//! A sender that keeps its word: several connections, several messages under way on each, and after a
//! broken connection everything unacknowledged again, in order. Its log is what must arrive.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::story::{Dice, Step};

/// Messages under way on one connection.
const WINDOW: usize = 64;
/// Pause before the next try.
const RECONNECT: Duration = Duration::from_millis(20);
/// How long a connection may take to end once everything is told.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of a hundred acknowledged messages so many are sent once more.
const DUPLICATES: u64 = 5;

/// What all connections are told.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    /// Where the hub is; `None` = nowhere now.
    pub(crate) address: Option<SocketAddr>,
    /// Where further hubs are, all of one ledger: every connection is made to the next of them in turn, so
    /// that what was said to one is said again to another.
    pub(crate) also: Vec<SocketAddr>,
    /// How much of its story each connection may have told by now.
    pub(crate) story: usize,
    /// Send results of outpatients as fast as they are taken.
    pub(crate) fill: bool,
    /// Tell the rest of the story and end.
    pub(crate) finish: bool,
}

/// What became of one connection.
#[derive(Default)]
pub(crate) struct Log {
    /// Every acknowledged message, in the order sent, the first time.
    pub(crate) acknowledged: Vec<Step>,
    /// Acknowledged repetitions.
    pub(crate) duplicates: usize,
}

/// All connections.
pub(crate) struct Sender {
    pub(crate) orders: watch::Sender<Orders>,
    unacknowledged: Vec<Arc<AtomicUsize>>,
    acknowledged: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    lines: Vec<JoinHandle<Log>>,
}

impl Sender {
    /// One connection per pair of a story and a supply of further messages.
    pub(crate) fn start(shares: Vec<(VecDeque<Step>, VecDeque<Step>)>, dice: &mut Dice) -> Self {
        let (orders, _) = watch::channel(Orders::default());
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let refused = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let mut unacknowledged = Vec::new();
        let mut lines = Vec::new();
        for (turn, (story, filler)) in shares.into_iter().enumerate() {
            let mine = Arc::new(AtomicUsize::new(0));
            unacknowledged.push(mine.clone());
            let line = Line {
                orders: orders.subscribe(),
                story,
                filler,
                told: 0,
                turn,
                repeats: VecDeque::new(),
                under_way: VecDeque::new(),
                dice: Dice(dice.roll(u64::MAX)),
                log: Log::default(),
                count: mine,
                acknowledged: acknowledged.clone(),
                refused: refused.clone(),
                connections: connections.clone(),
            };
            lines.push(tokio::spawn(line.run()));
        }
        Self {
            orders,
            unacknowledged,
            acknowledged,
            refused,
            connections,
            lines,
        }
    }

    /// Messages sent and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        let counts = self.unacknowledged.iter();
        counts.map(|count| count.load(Ordering::SeqCst)).sum()
    }

    /// Acknowledgments so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Answers so far that said: not now, send it again.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether every connection has told its story.
    pub(crate) fn is_finished(&self) -> bool {
        self.lines.iter().all(JoinHandle::is_finished)
    }

    /// Changes what the connections are told.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }

    /// Waits until every connection has told its story.
    pub(crate) async fn finished(self) -> Vec<Log> {
        let mut logs = Vec::new();
        for line in self.lines {
            let told = tokio::time::timeout(PATIENCE, line).await;
            logs.push(told.expect("a connection comes to its end").unwrap());
        }
        logs
    }
}

/// One connection.
struct Line {
    orders: watch::Receiver<Orders>,
    story: VecDeque<Step>,
    filler: VecDeque<Step>,
    told: usize,
    /// Which of several hubs comes next.
    turn: usize,
    /// Acknowledged, to be sent once more, as a sender does that has lost an answer.
    repeats: VecDeque<Step>,
    /// Sent, in order; `true` = a repetition of something acknowledged before.
    under_way: VecDeque<(Step, bool)>,
    dice: Dice,
    log: Log,
    count: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Line {
    async fn run(mut self) -> Log {
        loop {
            let orders = self.orders.borrow_and_update().clone();
            if self.is_over(&orders) {
                return self.log;
            }
            let hubs: Vec<SocketAddr> = orders.address.into_iter().chain(orders.also).collect();
            self.turn += 1;
            if let Some(address) = hubs.get(self.turn % hubs.len().max(1)).copied()
                && let Ok(stream) = TcpStream::connect(address).await
            {
                self.connections.fetch_add(1, Ordering::SeqCst);
                self.talk(stream, address).await;
            }
            let over = self.orders.borrow().clone();
            if self.is_over(&over) {
                return self.log;
            }
            // A hub that is gone comes back under another address; one that was full takes more soon.
            let told = tokio::time::timeout(RECONNECT, self.orders.changed()).await;
            if matches!(told, Ok(Err(_))) {
                return self.log;
            }
        }
    }

    fn is_over(&self, orders: &Orders) -> bool {
        let left = [self.story.len(), self.repeats.len(), self.under_way.len()];
        orders.finish && left == [0, 0, 0]
    }

    /// Speaks over one connection until it breaks or everything is told.
    async fn talk(&mut self, stream: TcpStream, hub: SocketAddr) {
        let (mut reads, mut writes) = stream.into_split();
        let again: Vec<Step> = self
            .under_way
            .iter()
            .map(|(step, _)| step.clone())
            .collect();
        for step in again {
            if write(&mut writes, &step).await.is_err() {
                return;
            }
        }
        let mut answers = Answers::default();
        loop {
            while let Some((step, repeated)) = self.next() {
                self.under_way.push_back((step.clone(), repeated));
                self.count.store(self.under_way.len(), Ordering::SeqCst);
                if write(&mut writes, &step).await.is_err() {
                    return;
                }
            }
            let orders = self.orders.borrow_and_update().clone();
            let is_there = orders.address == Some(hub) || orders.also.contains(&hub);
            if self.is_over(&orders) || !is_there {
                return;
            }
            tokio::select! {
                read = answers.read(&mut reads) => match read {
                    Some(codes) => {
                        for (code, control) in codes {
                            if !self.answered(&code, &control) {
                                return;
                            }
                        }
                    }
                    None => return,
                },
                changed = self.orders.changed() => if changed.is_err() { return },
            }
        }
    }

    /// What may be sent now.
    fn next(&mut self) -> Option<(Step, bool)> {
        if self.under_way.len() >= WINDOW {
            return None;
        }
        if let Some(step) = self.repeats.pop_front() {
            return Some((step, true));
        }
        let orders = self.orders.borrow();
        if (self.told < orders.story || orders.finish)
            && let Some(step) = self.story.pop_front()
        {
            self.told += 1;
            return Some((step, false));
        }
        if orders.fill {
            return self.filler.pop_front().map(|step| (step, false));
        }
        None
    }

    /// Takes an acknowledgment; false when the connection is of no more use.
    fn answered(&mut self, code: &str, control: &str) -> bool {
        let Some((step, repeated)) = self.under_way.front() else {
            return false;
        };
        assert_eq!(
            control, step.control,
            "answers come in the order of the messages"
        );
        if code != "AA" {
            assert_eq!(code, "AE", "good messages are only put off");
            self.refused.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        let (step, repeated) = (step.clone(), *repeated);
        self.under_way.pop_front();
        self.count.store(self.under_way.len(), Ordering::SeqCst);
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        if repeated {
            self.log.duplicates += 1;
            return true;
        }
        if self.dice.percent(DUPLICATES) {
            self.repeats.push_back(step.clone());
        }
        self.log.acknowledged.push(step);
        true
    }
}

/// Acknowledgments as they come in.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
}

impl Answers {
    /// The next acknowledgments: MSA-1 and MSA-2. `None` when the connection is gone.
    async fn read(&mut self, reads: &mut OwnedReadHalf) -> Option<Vec<(String, String)>> {
        let mut chunk = [0; 16 * 1024];
        let count = reads
            .read(&mut chunk)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        self.bytes.extend_from_slice(&chunk[..count]);
        let mut codes = Vec::new();
        while let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\x1c\r") {
            let frame: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&frame);
            let msa = text.split('\r').find_map(|line| line.strip_prefix("MSA|"));
            let mut fields = msa.unwrap().split('|').map(str::to_owned);
            codes.push((fields.next().unwrap(), fields.next().unwrap()));
        }
        Some(codes)
    }
}

async fn write(writes: &mut OwnedWriteHalf, step: &Step) -> std::io::Result<()> {
    let frame = [b"\x0b", step.bytes.as_slice(), b"\x1c\r"].concat();
    writes.write_all(&frame).await
}
