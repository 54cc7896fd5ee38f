//! A stream that can be listened to while nothing is taken from it: a sender that was told to come again
//! and hangs up shall be noticed before its pause is over, for it holds a connection meanwhile.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Bytes heard ahead at most; behind more than that nobody is seen going.
const AHEAD_BYTES: usize = 64 * 1024;

/// A stream and what was heard ahead of being read.
pub(super) struct Ahead<S> {
    stream: S,
    heard: BytesMut,
    ended: bool,
}

impl<S: AsyncRead + Unpin> Ahead<S> {
    /// Over a stream of which nothing was read yet.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            heard: BytesMut::new(),
            ended: false,
        }
    }

    /// Completes when the sender has gone. May be dropped at any time; nothing that was heard is lost.
    pub(super) async fn gone(&mut self) {
        while !self.ended {
            if self.heard.len() >= AHEAD_BYTES {
                return std::future::pending().await;
            }
            // An error is met again, and reported, by whoever reads.
            self.ended = !matches!(self.stream.read_buf(&mut self.heard).await, Ok(1..));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.heard.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.heard.len().min(buffer.remaining());
        buffer.put_slice(&self.heard[..length]);
        self.heard.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn what_was_heard_ahead_is_read_first_and_a_hang_up_is_noticed() {
        let (mut near, far) = tokio::io::duplex(1024);
        let mut ahead = Ahead::new(far);
        near.write_all(b"first").await.unwrap();
        tokio::select! {
            () = ahead.gone() => panic!("nobody has gone"),
            () = tokio::task::yield_now() => {}
        }
        near.write_all(b" second").await.unwrap();
        drop(near);
        ahead.gone().await;
        let mut read = String::new();
        ahead.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "first second");
    }
}
