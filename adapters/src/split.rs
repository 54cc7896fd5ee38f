//! Cuts received bytes into messages without decoding them: every message keeps the bytes it came
//! with. (What the text says is the mappings' business; `renkei_hl7v2::batch` does the same on
//! text.)
//!
//! CR and LF never stand inside a character of ISO-2022-JP, CP932 or UTF-8, so lines may be cut
//! before the character set is known.

use bytes::Bytes;

/// The messages of a frame or file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// Each message's own bytes, in order. Bytes without any MSH are one message, for the mapping to
    /// refuse; bytes with nothing in them are none.
    pub bodies: Vec<Bytes>,
    /// A batch trailer (BTS-1) announced other messages than were found: (announced, found).
    pub miscounted: Option<(u64, u64)>,
}

/// Cuts at every line that starts a message and drops the batch's own lines (FHS, BHS, BTS, FTS;
/// HL7 v2.5 ch. 2.10.3).
pub fn split(body: &Bytes) -> Messages {
    let mut messages = Messages::default();
    let mut open: Option<usize> = None;
    let mut found_in_batch = 0;
    let mut start = 0;
    while start < body.len() {
        let end = memchr::memchr2(b'\r', b'\n', &body[start..]).map_or(body.len(), |at| start + at);
        let own = start + leading_controls(&body[start..end]);
        if let Some(name) = divider(&body[own..end]) {
            if let Some(from) = open.take() {
                messages.bodies.push(body.slice(from..start));
            }
            match name {
                b"MSH" => {
                    open = Some(own);
                    found_in_batch += 1;
                }
                b"BHS" => found_in_batch = 0,
                b"BTS" => {
                    let announced = announced(&body[own..end]);
                    messages.miscounted = messages.miscounted.or(announced
                        .filter(|announced| *announced != found_in_batch)
                        .map(|announced| (announced, found_in_batch)));
                }
                _ => {}
            }
        }
        start = end + 1;
    }
    match open {
        Some(0) => messages.bodies.push(body.clone()),
        Some(from) => messages.bodies.push(body.slice(from..)),
        None if messages.bodies.is_empty() && body.iter().any(|byte| !byte.is_ascii_control()) => {
            messages.bodies.push(body.clone());
        }
        None => {}
    }
    messages
}

/// Framing bytes and byte-order marks written to files stand before the first segment of a line.
fn leading_controls(line: &[u8]) -> usize {
    let mut at = line
        .iter()
        .take_while(|byte| matches!(byte, 0x0b | 0x1c | 0x1a | 0))
        .count();
    if line[at..].starts_with(&[0xef, 0xbb, 0xbf]) {
        at += 3;
    }
    at
}

fn divider(line: &[u8]) -> Option<&[u8]> {
    let name = line.get(..3)?;
    let trailer = matches!(name, b"BTS" | b"FTS");
    let known = trailer || matches!(name, b"MSH" | b"FHS" | b"BHS");
    let separated = line.get(3).map_or(trailer, u8::is_ascii_punctuation);
    (known && separated).then_some(name)
}

fn announced(line: &[u8]) -> Option<u64> {
    let separator = *line.get(3)?;
    let count = line[4..].split(|byte| *byte == separator).next()?;
    std::str::from_utf8(count).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bodies(text: &'static [u8]) -> Vec<Bytes> {
        split(&Bytes::from_static(text)).bodies
    }

    #[test]
    fn a_single_message_keeps_every_byte() {
        let one = b"MSH|^~\\&|A\rPID|1\r\x1b$B;3K\\\x1b(B\r\n";
        assert_eq!(bodies(one), [&one[..]]);
        assert_eq!(bodies(b"no header at all"), [&b"no header at all"[..]]);
        assert!(bodies(b"\r\n\x1c\r").is_empty());
        assert_eq!(
            bodies(b"\xef\xbb\xbfMSH|^~\\&|A\r"),
            [&b"MSH|^~\\&|A\r"[..]]
        );
    }

    #[test]
    fn several_messages_and_batches_are_cut() {
        assert_eq!(
            bodies(b"MSH|^~\\&|A\rPID|1\r\x1c\r\x0bMSH|^~\\&|B\r\x1c\r"),
            [&b"MSH|^~\\&|A\rPID|1\r\x1c\r"[..], b"MSH|^~\\&|B\r\x1c\r"]
        );
        let batch = b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A\rMSH|^~\\&|B\rBTS|2\rFTS|1\r";
        let found = split(&Bytes::from_static(batch));
        assert_eq!(found.bodies, [&b"MSH|^~\\&|A\r"[..], b"MSH|^~\\&|B\r"]);
        assert_eq!(found.miscounted, None);
        let wrong = split(&Bytes::from_static(b"BHS|^~\\&\rMSH|^~\\&|A\rBTS|2|x\r"));
        assert_eq!(wrong.miscounted, Some((2, 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_split(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(raw);
            let total: usize = split(&body).bodies.iter().map(Bytes::len).sum();
            prop_assert!(total <= body.len());
        }
    }
}
