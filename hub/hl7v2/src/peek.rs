//! A first look at raw bytes: just enough of MSH and PID to log, deduplicate, route and answer.
//!
//! Sources call it on the connection's task before anything is stored, so it is cheap (only the
//! bytes up to the PID segment are decoded) and never fails: what cannot be read is empty.

use memchr::memchr2;

use crate::charset::{self, Charset, Declared};
use crate::tokenize::{Message, Segment};
use crate::view::Delimiters;

/// How far the PID segment is searched for.
const FURTHEST_PID: usize = 64 * 1024;
/// How many lines may stand before it (MSH, SFT, NTE, EVN).
const LINES_BEFORE_PID: usize = 16;

/// MSH-9, also of a whole [`Message`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MessageType {
    /// MSH-9.1, such as `ADT`.
    pub code: String,
    /// MSH-9.2, such as `A01`.
    pub trigger: String,
    /// MSH-9.3, such as `ADT_A01`; often empty.
    pub structure: String,
}

/// What a first look found. Every text is unescaped and empty when absent.
///
/// `patient_id`, names of applications and control ids may identify people: keep them out of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// False when no MSH with usable delimiters starts the bytes; everything else is empty then.
    pub has_header: bool,
    /// MSH-3.1.
    pub sending_application: String,
    /// MSH-4.1.
    pub sending_facility: String,
    /// MSH-5.1.
    pub receiving_application: String,
    /// MSH-6.1.
    pub receiving_facility: String,
    /// MSH-7.1, as sent.
    pub sent_at: String,
    /// MSH-9.
    pub message_type: MessageType,
    /// MSH-10.
    pub control_id: String,
    /// MSH-11.1: `P`, `T` or `D`.
    pub processing_id: String,
    /// MSH-12.1.
    pub version: String,
    /// MSH-15, accept acknowledgment: `AL`, `NE`, `ER`, `SU`; empty = original mode.
    pub accept_ack: String,
    /// MSH-16, application acknowledgment.
    pub application_ack: String,
    /// MSH-18 as sent, so that an answer can declare the same.
    pub charset_declaration: String,
    /// MSH-20 as sent.
    pub charset_handling: String,
    /// The set the bytes up to the PID segment are in.
    pub charset: Option<Charset>,
    /// PID-3.1 of the first repetition: the sender's patient id, as sent.
    pub patient_id: String,
    pub(crate) delimiters: Delimiters,
}

impl Peek {
    /// True when the sender asked for enhanced acknowledgment (MSH-15 or MSH-16 is filled):
    /// then accept answers are CA, CE, CR instead of AA, AE, AR.
    #[must_use]
    pub fn is_enhanced_mode(&self) -> bool {
        !self.accept_ack.is_empty() || !self.application_ack.is_empty()
    }

    /// The set that an answer should be written in: the declared one, else the one found.
    #[must_use]
    pub fn answer_charset(&self) -> Charset {
        match charset::parse_declaration(&self.charset_declaration, self.delimiters.repetition()) {
            Some(Declared::Iso2022Jp) => Charset::Iso2022Jp,
            Some(Declared::Utf8) => Charset::Utf8,
            Some(Declared::Cp932) => Charset::Cp932,
            Some(Declared::Ascii) => Charset::Ascii,
            Some(Declared::Other) | None => self.charset.unwrap_or(Charset::Ascii),
        }
    }
}

/// Looks at the first message of some raw bytes, framing allowed.
#[must_use]
pub fn peek(raw: &[u8]) -> Peek {
    let body = charset::strip_framing(raw);
    let decoded = charset::decode(&body[..end_of_interest(body)]);
    let Some(text) = crate::split_messages(&decoded.text).into_iter().next() else {
        return Peek::default();
    };
    match Message::parse(text) {
        Ok(message) => Peek {
            charset: Some(decoded.charset),
            ..Peek::from(&message)
        },
        Err(_) => Peek::default(),
    }
}

impl From<&Message<'_>> for Peek {
    /// The same look at a message that is parsed already; `charset` stays unknown.
    fn from(message: &Message<'_>) -> Self {
        let header = message.header();
        let text = |field: usize| header.field(field).text().into_owned();
        Self {
            has_header: true,
            sending_application: text(3),
            sending_facility: text(4),
            receiving_application: text(5),
            receiving_facility: text(6),
            sent_at: text(7),
            message_type: MessageType::of(header),
            control_id: text(10),
            processing_id: text(11),
            version: text(12),
            accept_ack: text(15),
            application_ack: text(16),
            charset_declaration: header.field(18).raw().to_owned(),
            charset_handling: header.field(20).raw().to_owned(),
            charset: None,
            patient_id: message
                .first("PID")
                .map_or_else(String::new, |pid| pid.field(3).text().into_owned()),
            delimiters: message.delimiters(),
        }
    }
}

impl MessageType {
    /// Whether it merges, moves, links or renumbers identities (HL7 v2.5 ch. 3.3): it is about more than
    /// one patient number, so nothing of its source may overtake it.
    #[must_use]
    pub fn moves_identity(&self) -> bool {
        self.code == "ADT"
            && matches!(
                self.trigger.as_str(),
                "A18"
                    | "A24"
                    | "A30"
                    | "A34"
                    | "A35"
                    | "A36"
                    | "A37"
                    | "A39"
                    | "A40"
                    | "A41"
                    | "A42"
                    | "A43"
                    | "A44"
                    | "A45"
                    | "A46"
                    | "A47"
                    | "A48"
                    | "A49"
                    | "A50"
                    | "A51"
            )
    }

    fn of(header: Segment<'_>) -> Self {
        let part = |number| header.field(9).component(number).text().trim().to_owned();
        Self {
            code: part(1),
            trigger: part(2),
            structure: part(3),
        }
    }
}

impl Message<'_> {
    /// MSH-9.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        MessageType::of(self.header())
    }
}

/// Length of the part that holds MSH and PID: CR and LF never occur inside a character of the four
/// sets, so lines can be cut before decoding. Without a PID nearby, the first line alone.
fn end_of_interest(body: &[u8]) -> usize {
    let near = &body[..body.len().min(FURTHEST_PID)];
    let mut start = 0;
    let mut end_of_header = None;
    for _ in 0..LINES_BEFORE_PID {
        let line_end = memchr2(b'\r', b'\n', &near[start..]).map_or(near.len(), |at| start + at);
        let line = &near[start..line_end];
        if line.starts_with(b"PID") {
            return line_end;
        }
        if end_of_header.is_none() && line.starts_with(b"MSH") {
            end_of_header = Some(line_end);
        }
        start = line_end + 1;
        if start >= near.len() {
            break;
        }
    }
    end_of_header.unwrap_or(near.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framed_message_is_looked_at() {
        let bytes = b"\x0bMSH|^~\\&|\x1b$BEl5~\x1b(B|HOSP|HUB|RCV|20250111113000||ADT^A08^ADT_A01|C1|P|2.5|||AL|NE||~ISO IR87||ISO 2022-1994\r\
            EVN||20250111\rPID|1||0000123456^^^^PI~77||\x1b$B;3K\\\x1b(B\rPV1|1|I\r\x1c\r";
        let peek = peek(bytes);
        assert!(peek.has_header && peek.is_enhanced_mode());
        assert_eq!(peek.sending_application, "東京");
        assert_eq!(peek.sent_at, "20250111113000");
        assert_eq!(
            (
                peek.message_type.code.as_str(),
                peek.message_type.trigger.as_str(),
                peek.message_type.structure.as_str()
            ),
            ("ADT", "A08", "ADT_A01")
        );
        assert_eq!(
            (peek.control_id.as_str(), peek.patient_id.as_str()),
            ("C1", "0000123456")
        );
        assert_eq!(
            (peek.accept_ack.as_str(), peek.application_ack.as_str()),
            ("AL", "NE")
        );
        assert_eq!(
            (peek.processing_id.as_str(), peek.version.as_str()),
            ("P", "2.5")
        );
        assert_eq!(peek.charset_declaration, "~ISO IR87");
        assert_eq!(peek.answer_charset(), Charset::Iso2022Jp);
    }

    #[test]
    fn bare_ids_missing_pids_and_far_pids() {
        assert_eq!(peek(b"MSH|^~\\&|A\nPID|||77").patient_id, "77");
        assert_eq!(peek(b"MSH|^~\\&|A\rEVN|x\r").patient_id, "");
        let far = [
            &b"MSH|^~\\&|A\r"[..],
            &b"NTE|1\r".repeat(100),
            b"PID|||77\r",
        ]
        .concat();
        let peeked = peek(&far);
        assert_eq!(
            (
                peeked.sending_application.as_str(),
                peeked.patient_id.as_str()
            ),
            ("A", "")
        );
        assert_eq!(
            peek(b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A\rPID|||77\r").patient_id,
            "77"
        );
    }

    #[test]
    fn unreadable_bytes_give_an_empty_look() {
        for bytes in [
            &b""[..],
            b"hello",
            b"\xff\xfe\0M",
            b"MSH",
            b"MSH||A",
            b"PID|1||2",
        ] {
            assert_eq!(peek(bytes), Peek::default());
        }
    }
}
