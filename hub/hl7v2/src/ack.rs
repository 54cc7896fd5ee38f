//! Answers to received messages: MSH, MSA and, where something is wrong, ERR (HL7 v2.5 ch. 2.9).
//!
//! Always possible: a message of which nothing could be read is answered too.

use crate::build::{Builder, Header, Segment};
use crate::encode;
use crate::location::Location;
use crate::peek::Peek;
use crate::tokenize::Message;

/// MSA-1, HL7 table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error: the sender may try again.
    AE,
    /// Application reject: sending the same again is useless.
    AR,
    /// Commit accept (enhanced mode).
    CA,
    /// Commit error (enhanced mode).
    CE,
    /// Commit reject (enhanced mode).
    CR,
}

impl AckCode {
    /// As written in MSA-1.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// The same answer as accept acknowledgment of enhanced mode.
    #[must_use]
    pub fn enhanced(self) -> Self {
        match self {
            Self::AA | Self::CA => Self::CA,
            Self::AE | Self::CE => Self::CE,
            Self::AR | Self::CR => Self::CR,
        }
    }
}

/// ERR-3, HL7 table 0357.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 100
    SegmentSequence,
    /// 101
    RequiredFieldMissing,
    /// 102
    DataType,
    /// 103
    TableValueNotFound,
    /// 200
    UnsupportedMessageType,
    /// 201
    UnsupportedEventCode,
    /// 202
    UnsupportedProcessingId,
    /// 203
    UnsupportedVersion,
    /// 204
    UnknownKey,
    /// 205
    DuplicateKey,
    /// 206
    RecordLocked,
    /// 207
    Internal,
}

impl ErrorCode {
    /// Code and text of table 0357.
    #[must_use]
    pub fn code_and_text(self) -> (&'static str, &'static str) {
        match self {
            Self::SegmentSequence => ("100", "Segment sequence error"),
            Self::RequiredFieldMissing => ("101", "Required field missing"),
            Self::DataType => ("102", "Data type error"),
            Self::TableValueNotFound => ("103", "Table value not found"),
            Self::UnsupportedMessageType => ("200", "Unsupported message type"),
            Self::UnsupportedEventCode => ("201", "Unsupported event code"),
            Self::UnsupportedProcessingId => ("202", "Unsupported processing id"),
            Self::UnsupportedVersion => ("203", "Unsupported version id"),
            Self::UnknownKey => ("204", "Unknown key identifier"),
            Self::DuplicateKey => ("205", "Duplicate key identifier"),
            Self::RecordLocked => ("206", "Application record locked"),
            Self::Internal => ("207", "Application internal error"),
        }
    }
}

/// What ERR tells the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrDetail {
    /// ERR-3.
    pub code: ErrorCode,
    /// ERR-2, if there is a place.
    pub location: Option<Location>,
    /// ERR-8, for a person at the sender's side; must not repeat patient data. May be empty.
    pub text: String,
}

/// The answer to a message, as bytes without framing, in the character set the sender declared.
///
/// Sender and receiver are swapped, MSH-9 is `ACK^trigger^ACK`, MSH-11, -12, -18 and -20 are those
/// of the message, MSA-2 its control id. `control_id` is our own MSH-10, `time` our MSH-7 as
/// `YYYYMMDDHHMMSS`. Both are escaped like any value.
#[must_use]
pub fn ack(
    original: &Peek,
    code: AckCode,
    error: Option<&ErrDetail>,
    control_id: &str,
    time: &str,
) -> Vec<u8> {
    let trigger = original.message_type.trigger.as_str();
    let header = Header {
        sending_application: &original.receiving_application,
        sending_facility: &original.receiving_facility,
        receiving_application: &original.sending_application,
        receiving_facility: &original.sending_facility,
        sent_at: time,
        message_type: ["ACK", trigger, "ACK"],
        control_id,
        processing_id: &original.processing_id,
        version: &original.version,
        charset: None,
    };
    let acknowledgment = Segment::new("MSA")
        .text(1, code.as_str())
        .text(2, &original.control_id);
    let declared = original
        .charset_declaration
        .split(original.delimiters.repetition());
    let header = header
        .segment()
        .texts(18, declared)
        .text(20, &original.charset_handling);
    let mut answer = Builder::with_header(header).push(acknowledgment);
    if let Some(error) = error {
        answer = answer.push(error_segment(error));
    }
    // No name and no number here depends on data, so the builder has nothing to refuse.
    let text = answer.finish().unwrap_or_default();
    encode::encode(&text, original.answer_charset()).bytes
}

/// [`ack`] for a message that is parsed already.
#[must_use]
pub fn ack_message(
    original: &Message<'_>,
    code: AckCode,
    error: Option<&ErrDetail>,
    control_id: &str,
    time: &str,
) -> Vec<u8> {
    ack(&Peek::from(original), code, error, control_id, time)
}

fn error_segment(error: &ErrDetail) -> Segment {
    let (code, text) = error.code.code_and_text();
    let segment = Segment::new("ERR")
        .components(3, [code, text, "HL70357"])
        .text(4, "E")
        .text(8, &error.text);
    let Some(at) = error.location else {
        return segment;
    };
    // ERL: segment, sequence, field, repetition, component, subcomponent.
    let number = |value: u32| {
        if value == 0 {
            String::new()
        } else {
            value.to_string()
        }
    };
    let repetition = if at.field == 0 {
        0
    } else {
        at.repetition.max(1)
    };
    let parts = [
        at.segment.as_str().to_owned(),
        number(at.occurrence),
        number(at.field),
        number(repetition),
        number(at.component),
        number(at.subcomponent),
    ];
    segment.components(2, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charset::{Charset, decode};
    use crate::peek::peek;

    const ADT: &[u8] = b"MSH|^~\\&|\x1b$BEl5~\x1b(B|HOSP|HUB|RCV|20250111||ADT^A08^ADT_A01|C1|T|2.5||||||~ISO IR87||ISO 2022-1994\rPID|1||1\r";

    #[test]
    fn an_accepted_message_is_answered_to_its_sender() {
        let bytes = ack(&peek(ADT), AckCode::AA, None, "R1", "20250111113000");
        assert_eq!(
            bytes,
            b"MSH|^~\\&|HUB|RCV|\x1b$BEl5~\x1b(B|HOSP|20250111113000||ACK^A08^ACK|R1|T|2.5||||||~ISO IR87||ISO 2022-1994\rMSA|AA|C1\r"
        );
        let text = decode(ADT).text.into_owned();
        let message = Message::parse(&text).expect("parses");
        assert_eq!(
            ack_message(&message, AckCode::AA, None, "R1", "20250111113000"),
            bytes
        );
        assert_eq!(AckCode::AE.enhanced().as_str(), "CE");
    }

    #[test]
    fn an_error_names_code_place_and_text() {
        let error = ErrDetail {
            code: ErrorCode::RequiredFieldMissing,
            location: Some(Location::segment("PID", 1).field(3)),
            text: "患者IDがありません|x".into(),
        };
        let bytes = ack(
            &peek(ADT),
            AckCode::AE,
            Some(&error),
            "R1",
            "20250111113000",
        );
        let decoded = decode(&bytes);
        assert_eq!(decoded.charset, Charset::Iso2022Jp);
        assert!(decoded.findings.is_empty());
        let message = Message::parse(&decoded.text).expect("parses");
        let err = message.first("ERR").expect("ERR");
        assert_eq!(err.field(2).raw(), "PID^1^3^1");
        assert_eq!(err.field(3).raw(), "101^Required field missing^HL70357");
        assert_eq!(err.field(4).raw(), "E");
        assert_eq!(err.field(8).text(), "患者IDがありません|x");
    }

    #[test]
    fn nothing_readable_is_answered_too() {
        let bytes = ack(&peek(b"garbage"), AckCode::AR, None, "R1", "20250111113000");
        assert_eq!(
            bytes,
            b"MSH|^~\\&|||||20250111113000||ACK^^ACK|R1|P|2.5\rMSA|AR\r"
        );
    }

    #[test]
    fn a_control_id_cannot_inject_segments() {
        let bytes = ack(
            &peek(b"MSH|^~\\&|A\\X0D\\MSA||||||ADT|C\\X0D\\MSA|"),
            AckCode::AA,
            None,
            "R",
            "t",
        );
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\r').count(), 2);
    }
}
