//! MLLP framing (HL7 v2.5 implementation guide, appendix C): `VT message FS CR`, read tolerantly.
//!
//! Bytes between frames are skipped, the closing CR may be missing, and a VT inside a message is
//! data (Word writes one for a soft line break) unless a new message starts right after it: then the
//! frame before was never finished.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use renkei_core::limits::KEPT_OF_GIANT;
use tokio_util::codec::{Decoder, Encoder};

const VT: u8 = 0x0b;
const FS: u8 = 0x1c;
const CR: u8 = 0x0d;

/// What stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A complete frame, without its framing bytes.
    Whole(Bytes),
    /// A frame that grew over the limit: its first [`KEPT_OF_GIANT`] bytes, and how many had arrived
    /// when it was given up. Nothing more can be read from this connection.
    TooLarge {
        /// The bytes kept.
        start: Bytes,
        /// Bytes of the frame that had arrived.
        arrived: usize,
    },
    /// A frame that ended without FS, by disconnect or because another one started.
    Truncated(Bytes),
}

/// Reads frames, writes answers.
#[derive(Debug)]
pub struct Codec {
    max_frame_bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// Inside a frame; the buffer starts after the VT and `seen` bytes of it hold no FS.
    Inside {
        seen: usize,
    },
    /// A frame was too large: everything is skipped.
    GivenUp,
}

impl Codec {
    /// A codec for one connection.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            state: State::Between,
        }
    }

    /// Looks through what is in the buffer of the open frame from `seen` on.
    fn inside(&mut self, buffer: &mut BytesMut, seen: usize) -> Option<Frame> {
        let mut from = seen;
        while let Some(at) = memchr::memchr2(FS, VT, &buffer[from..]).map(|at| from + at) {
            if at > self.max_frame_bytes {
                break;
            }
            if buffer[at] == FS {
                let body = buffer.split_to(at).freeze();
                buffer.advance(1);
                self.state = State::Between;
                return Some(Frame::Whole(body));
            }
            match starts_message(&buffer[at + 1..]) {
                Some(true) => {
                    let body = buffer.split_to(at).freeze();
                    buffer.advance(1);
                    self.state = State::Inside { seen: 0 };
                    return Some(Frame::Truncated(body));
                }
                Some(false) => from = at + 1,
                None => {
                    self.state = State::Inside { seen: at };
                    return None;
                }
            }
        }
        if buffer.len() > self.max_frame_bytes {
            let arrived = buffer.len();
            let start = Bytes::copy_from_slice(&buffer[..arrived.min(KEPT_OF_GIANT)]);
            *buffer = BytesMut::new();
            self.state = State::GivenUp;
            return Some(Frame::TooLarge { start, arrived });
        }
        self.state = State::Inside { seen: buffer.len() };
        None
    }

    /// Takes the unfinished frame out of the buffer when the connection broke inside one.
    pub fn cut(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        let inside = matches!(self.state, State::Inside { .. });
        self.state = State::Between;
        let rest = buffer.split().freeze();
        (inside && !rest.is_empty()).then_some(rest)
    }
}

/// Whether a message or batch starts here; `None` = too few bytes to tell.
fn starts_message(bytes: &[u8]) -> Option<bool> {
    let names: [&[u8]; 3] = [b"MSH", b"FHS", b"BHS"];
    match bytes.get(..3) {
        Some(start) => Some(names.contains(&start)),
        None if names.iter().any(|name| name.starts_with(bytes)) => None,
        None => Some(false),
    }
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = std::io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, std::io::Error> {
        loop {
            match self.state {
                State::GivenUp => {
                    buffer.clear();
                    return Ok(None);
                }
                State::Between => match memchr::memchr(VT, buffer) {
                    None => {
                        buffer.clear();
                        return Ok(None);
                    }
                    Some(at) => {
                        buffer.advance(at + 1);
                        self.state = State::Inside { seen: 0 };
                    }
                },
                State::Inside { seen } => match self.inside(buffer, seen) {
                    Some(Frame::Whole(body) | Frame::Truncated(body)) if body.is_empty() => {}
                    found => return Ok(found),
                },
            }
        }
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, std::io::Error> {
        if let Some(frame) = self.decode(buffer)? {
            return Ok(Some(frame));
        }
        Ok(self.cut(buffer).map(Frame::Truncated))
    }
}

impl Encoder<&[u8]> for Codec {
    type Error = std::io::Error;

    fn encode(&mut self, body: &[u8], buffer: &mut BytesMut) -> Result<(), std::io::Error> {
        buffer.reserve(body.len() + 3);
        buffer.put_u8(VT);
        buffer.put_slice(body);
        buffer.put_slice(&[FS, CR]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `wire` in pieces of `step` bytes and ends the connection.
    fn read(wire: &[u8], step: usize, limit: usize) -> Vec<Frame> {
        let mut codec = Codec::new(limit);
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for piece in wire.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        while let Some(frame) = codec.decode_eof(&mut buffer).unwrap() {
            frames.push(frame);
        }
        frames
    }

    fn whole(body: &'static str) -> Frame {
        Frame::Whole(Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let wire = b"noise\r\n\x0bMSH|1\r\x1c\r\r\n\x0bMSH|2\r\x1c\x0bMSH|3\r\x0bnote\r\x1cx\x0bMSH|4\r\x0bMSH|5\r\x1c\r\x0b\x1c\r\x0bMSH|6";
        let frames = [
            whole("MSH|1\r"),
            whole("MSH|2\r"),
            whole("MSH|3\r\x0bnote\r"),
            Frame::Truncated(Bytes::from_static(b"MSH|4\r")),
            whole("MSH|5\r"),
            Frame::Truncated(Bytes::from_static(b"MSH|6")),
        ];
        for step in [1, 2, 3, 7, wire.len()] {
            assert_eq!(read(wire, step, 1000), frames, "in pieces of {step}");
        }
    }

    #[test]
    fn the_limit_counts_the_message() {
        let exact = [&b"\x0b"[..], &[b'x'; 100], b"\x1c\r"].concat();
        assert!(matches!(&read(&exact, 7, 100)[..], [Frame::Whole(body)] if body.len() == 100));
        let frames = read(&exact, 7, 99);
        assert!(
            matches!(&frames[..], [Frame::TooLarge { start, arrived }] if start.len() == *arrived && *arrived >= 100)
        );
        let giant = [&b"\x0b"[..], &vec![b'x'; 200_000], b"\x1c\r\x0bMSH|\x1c\r"].concat();
        assert!(
            matches!(&read(&giant, 8192, 100_000)[..], [Frame::TooLarge { start, .. }] if start.len() == KEPT_OF_GIANT)
        );
    }

    #[test]
    fn an_answer_is_framed() {
        let mut buffer = BytesMut::new();
        Codec::new(1).encode(&b"MSA|AA"[..], &mut buffer).unwrap();
        assert_eq!(&buffer[..], b"\x0bMSA|AA\x1c\r");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_read_the_same(
            wire in proptest::collection::vec(prop_oneof![Just(VT), Just(FS), Just(CR), Just(b'M'), Just(b'S'), Just(b'H'), any::<u8>()], 0..120),
            step in 1_usize..20,
        ) {
            prop_assert_eq!(read(&wire, step, 1000), read(&wire, wire.len().max(1), 1000));
        }
    }
}
