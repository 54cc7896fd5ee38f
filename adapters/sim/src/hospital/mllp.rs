//! A sender over MLLP (HL7 v2.5 appendix: `0B … 1C 0D`), one message at a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest acknowledgement read.
const MAX_ACK_BYTES: usize = 64 * 1024;

/// Why no acknowledgement came. Whether the message was taken is unknown then.
#[derive(Debug, thiserror::Error)]
pub enum MllpError {
    /// The connection could not be made or broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer has no MSA.
    #[error("the answer is no acknowledgement")]
    NotAnAck,
}

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// MSA-1: `AA`, `AE`, `AR`, `CA`, `CE` or `CR`.
    pub code: String,
    /// MSA-2: control id of the message answered.
    pub control_id: String,
    /// ERR-8 or MSA-3, for people; may be empty.
    pub text: String,
}

impl Ack {
    /// Whether the receiver took the message over.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.code.as_str(), "AA" | "CA")
    }
}

/// One connection, made when needed and made again after a failure.
#[derive(Debug)]
pub struct MllpClient {
    peer: SocketAddr,
    stream: Option<TcpStream>,
    /// Longest wait for one answer; default 30 s.
    pub timeout: Duration,
}

impl MllpClient {
    /// A client for this listener; connects on the first [`MllpClient::send`].
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            stream: None,
            timeout: Duration::from_secs(30),
        }
    }

    /// Sends one message and waits for its answer. Never repeats by itself.
    ///
    /// # Errors
    /// [`MllpError`]; the connection is given up then.
    pub async fn send(&mut self, message: &[u8]) -> Result<Ack, MllpError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.peer).await?,
        };
        let exchange = async {
            let mut frame = Vec::with_capacity(message.len() + 3);
            frame.push(0x0B);
            frame.extend_from_slice(message);
            frame.extend_from_slice(&[0x1C, 0x0D]);
            stream.write_all(&frame).await?;
            read_frame(&mut stream).await
        };
        let answer = tokio::time::timeout(self.timeout, exchange).await;
        let answer = answer.map_err(|_| MllpError::Timeout(self.timeout))??;
        let ack = read_ack(&answer).ok_or(MllpError::NotAnAck)?;
        self.stream = Some(stream);
        Ok(ack)
    }
}

async fn read_frame(stream: &mut TcpStream) -> Result<Vec<u8>, MllpError> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(&[0x1C, 0x0D]) {
        if bytes.len() > MAX_ACK_BYTES {
            return Err(MllpError::NotAnAck);
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok(bytes)
}

fn read_ack(frame: &[u8]) -> Option<Ack> {
    let decoded = renkei_hl7v2::decode(frame);
    let message = renkei_hl7v2::Message::parse(&decoded.text).ok()?;
    let msa = message.first("MSA")?;
    let err = message
        .first("ERR")
        .map(|err| err.field(8).text().into_owned())
        .unwrap_or_default();
    let text = if err.is_empty() {
        msa.field(3).text().into_owned()
    } else {
        err
    };
    Some(Ack {
        code: msa.field(1).text().into_owned(),
        control_id: msa.field(2).text().into_owned(),
        text,
    })
}
