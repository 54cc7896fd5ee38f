//! The senders of `bench ingest`: connections that each wait for the ACK before the next message, on one
//! thread of their own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Failure, thread_cpu};
use crate::load::messages::{self, Kind};

/// Patients the messages are about.
const PATIENTS: u64 = 512;
/// What MSH-10 is before a number is put in.
const CONTROL_ID: &str = "BENCH00000000000000";
/// Digits of that number.
const DIGITS: usize = 14;
/// Next number, so that no message of a process repeats another.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Framed messages of one kind, ready but for the control id.
#[derive(Clone)]
pub(super) struct Stock {
    frames: Arc<Vec<(Vec<u8>, usize)>>,
    /// Bytes of one message, without framing.
    pub(super) bytes: usize,
}

/// What one turn of sending gave.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Round trips in microseconds, sorted.
    pub(super) waits: Vec<f64>,
    pub(super) took: Duration,
    /// CPU of the senders' thread.
    pub(super) cpu: Duration,
}

impl Sent {
    /// Acknowledged messages per second.
    pub(super) fn rate(&self) -> f64 {
        super::float(self.waits.len()) / self.took.as_secs_f64()
    }

    /// The wait in milliseconds that `share` of all messages did not exceed.
    pub(super) fn quantile_ms(&self, share: f64) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let at = (super::float(last) * share) as usize;
        self.waits.get(at).copied().unwrap_or(0.0) / 1000.0
    }

    /// Both turns together.
    pub(super) fn join(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.waits.sort_by(f64::total_cmp);
        self.took += other.took;
        self.cpu += other.cpu;
    }
}

impl Stock {
    /// Messages of this kind about [`PATIENTS`] patients.
    pub(super) fn build(kind: Kind) -> Result<Self, Failure> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        for person in 0..PATIENTS {
            let message = messages::message(kind, person + 1, CONTROL_ID)?;
            bytes = message.len();
            let frame = [&[0x0b], &message[..], &[0x1c, 0x0d]].concat();
            let at = memchr::memmem::find(&frame, CONTROL_ID.as_bytes())
                .ok_or_else(|| Failure::Message("no control id".to_owned()))?;
            frames.push((frame, at + CONTROL_ID.len() - DIGITS));
        }
        Ok(Self {
            frames: Arc::new(frames),
            bytes,
        })
    }

    /// Sends from `connections` connections to `peer` for `span`.
    ///
    /// # Errors
    /// When a connection breaks or a message is not acknowledged.
    pub(super) async fn send(
        &self,
        peer: SocketAddr,
        connections: usize,
        span: Duration,
    ) -> io::Result<Sent> {
        let stock = self.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("senders".to_owned())
            .spawn(move || {
                let _gone = tell.send(stock.send_here(peer, connections, span));
            })?;
        told.await.map_err(io::Error::other)?
    }

    fn send_here(self, peer: SocketAddr, connections: usize, span: Duration) -> io::Result<Sent> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let cpu = thread_cpu();
        let mut sent = runtime.block_on(async {
            let mut streams = Vec::new();
            for _ in 0..connections {
                let stream = TcpStream::connect(peer).await?;
                stream.set_nodelay(true)?;
                streams.push(stream);
            }
            let start = Instant::now();
            let lines = streams
                .into_iter()
                .map(|stream| tokio::spawn(line(stream, self.frames.clone(), start + span)));
            let mut sent = Sent::default();
            for line in lines.collect::<Vec<_>>() {
                sent.waits.extend(line.await.map_err(io::Error::other)??);
            }
            sent.took = start.elapsed();
            io::Result::Ok(sent)
        })?;
        sent.waits.sort_by(f64::total_cmp);
        sent.cpu = thread_cpu() - cpu;
        Ok(sent)
    }
}

/// One connection: send, wait for the ACK, again.
async fn line(
    mut stream: TcpStream,
    frames: Arc<Vec<(Vec<u8>, usize)>>,
    until: Instant,
) -> io::Result<Vec<f64>> {
    let mut waits = Vec::new();
    let (mut frame, mut answer) = (Vec::new(), Vec::with_capacity(1024));
    while Instant::now() < until {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let chosen = usize::try_from(number).unwrap_or(0) % frames.len();
        let (template, at) = &frames[chosen];
        frame.clear();
        frame.extend_from_slice(template);
        frame[*at..at + DIGITS].copy_from_slice(format!("{number:014}").as_bytes());
        let start = Instant::now();
        stream.write_all(&frame).await?;
        answer.clear();
        while !answer.ends_with(&[0x1c, 0x0d]) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        waits.push(start.elapsed().as_secs_f64() * 1e6);
        if memchr::memmem::find(&answer, b"MSA|AA|").is_none() {
            return Err(io::Error::other("a message was not acknowledged"));
        }
    }
    Ok(waits)
}
