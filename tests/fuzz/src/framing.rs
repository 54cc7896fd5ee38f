//! MLLP framing over any bytes.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::codec::{Codec, Frame};

/// Small, so that short inputs go over it.
const LIMIT: usize = 512;

/// Frames are the same however the network cuts them, hold only bytes of the wire, and one that is written
/// is read again.
pub(crate) fn frames(data: &[u8]) {
    let Some((step, wire)) = data.split_first() else {
        return;
    };
    let whole = read(wire, wire.len().max(1));
    let total: usize = whole.iter().map(|frame| body(frame).len()).sum();
    assert!(total <= wire.len(), "bytes from nowhere");
    let is_giant = |frame: &Frame| matches!(frame, Frame::TooLarge { .. });
    // Of one that is too large, how much had arrived depends on the pieces.
    if !whole.iter().any(is_giant) {
        assert_eq!(read(wire, usize::from(*step) + 1), whole);
    }
    for frame in &whole {
        if let Frame::Whole(body) = frame {
            let mut buffer = BytesMut::new();
            let written = Codec::new(LIMIT).encode(&body[..], &mut buffer);
            assert!(written.is_ok());
            assert_eq!(read(&buffer, 1), [Frame::Whole(body.clone())]);
        }
    }
}

fn body(frame: &Frame) -> &Bytes {
    match frame {
        Frame::Whole(body) | Frame::Truncated(body) | Frame::TooLarge { start: body, .. } => body,
    }
}

fn read(wire: &[u8], step: usize) -> Vec<Frame> {
    let mut codec = Codec::new(LIMIT);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in wire.chunks(step) {
        buffer.extend_from_slice(piece);
        while let Ok(Some(frame)) = codec.decode(&mut buffer) {
            frames.push(frame);
        }
    }
    while let Ok(Some(frame)) = codec.decode_eof(&mut buffer) {
        frames.push(frame);
    }
    frames
}
