//! Which acknowledgments a sender asked for, and their bytes (HL7 v2.5 ch. 2.9.2–2.9.3).
//!
//! Original mode: one AA, AE or AR. Enhanced mode (MSH-15 or MSH-16 is filled): a commit answer CA,
//! CE or CR as MSH-15 says, and an application answer AA, AE or AR as MSH-16 says, on the same
//! connection. A message that was not committed gets no application answer when the commit answer
//! already said so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use renkei_core::{Clock, Code, clock};
use renkei_hl7v2::Peek;
use renkei_hl7v2::ack::{self, AckCode, ErrDetail, ErrorCode};

/// What became of a message, as far as its sender is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// Nothing was kept: send again later. Or: kept, and it failed.
    Error(Code),
    /// Sending the same again is useless.
    Rejected(Code),
}

/// HL7 table 0155.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl When {
    fn parse(field: &str) -> Self {
        match field.trim() {
            "NE" | "" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
            _ => Self::Always,
        }
    }

    fn covers(self, verdict: Verdict) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => verdict != Verdict::Accepted,
            Self::OnSuccess => verdict == Verdict::Accepted,
        }
    }
}

/// The answers one sender asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    commit: When,
    application: When,
}

impl Asked {
    pub(super) fn by(peek: &Peek) -> Self {
        if peek.is_enhanced_mode() {
            return Self {
                commit: When::parse(&peek.accept_ack),
                application: When::parse(&peek.application_ack),
            };
        }
        Self {
            commit: When::Never,
            application: When::Always,
        }
    }

    /// Whether the sender hears of it when a message cannot be taken. One that does not would never
    /// send it again.
    pub(super) fn hears_of_errors(self) -> bool {
        let error = Verdict::Error(Code::INB_FULL);
        self.commit.covers(error) || self.application.covers(error)
    }

    /// Whether an answer after processing is of any use.
    pub(super) fn wants_application_answer(self) -> bool {
        self.application != When::Never
    }

    /// Whether a commit answer goes out before the application answer.
    pub(super) fn is_answered_in_two_steps(self) -> bool {
        self.commit.covers(Verdict::Accepted)
    }
}

/// Writes answers; one per listener.
pub(super) struct Writer {
    clock: Arc<dyn Clock>,
    prefix: i64,
    written: AtomicU64,
}

impl Writer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let prefix = clock.now().as_second();
        Self {
            clock,
            prefix,
            written: AtomicU64::new(0),
        }
    }

    /// The commit answer, when asked for.
    pub(super) fn commit(&self, peek: &Peek, asked: Asked, verdict: Verdict) -> Option<Vec<u8>> {
        asked
            .commit
            .covers(verdict)
            .then(|| self.write(peek, code(verdict).enhanced(), verdict))
    }

    /// The application answer, when asked for.
    pub(super) fn application(
        &self,
        peek: &Peek,
        asked: Asked,
        verdict: Verdict,
    ) -> Option<Vec<u8>> {
        asked
            .application
            .covers(verdict)
            .then(|| self.write(peek, code(verdict), verdict))
    }

    /// The one answer to a message that was not taken.
    pub(super) fn refusal(&self, peek: &Peek, asked: Asked, verdict: Verdict) -> Option<Vec<u8>> {
        self.commit(peek, asked, verdict)
            .or_else(|| self.application(peek, asked, verdict))
    }

    fn write(&self, peek: &Peek, code: AckCode, verdict: Verdict) -> Vec<u8> {
        let error = match verdict {
            Verdict::Accepted => None,
            Verdict::Error(code) | Verdict::Rejected(code) => Some(ErrDetail {
                code: table_0357(code),
                location: None,
                text: format!("{code} {}", code.title()),
            }),
        };
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let control_id = format!("R{:x}.{number:x}", self.prefix);
        let time = clock::in_japan(self.clock.now())
            .strftime("%Y%m%d%H%M%S")
            .to_string();
        ack::ack(peek, code, error.as_ref(), &control_id, &time)
    }
}

fn code(verdict: Verdict) -> AckCode {
    match verdict {
        Verdict::Accepted => AckCode::AA,
        Verdict::Error(_) => AckCode::AE,
        Verdict::Rejected(_) => AckCode::AR,
    }
}

fn table_0357(code: Code) -> ErrorCode {
    match code {
        Code::HL7_NO_MSH => ErrorCode::SegmentSequence,
        Code::INB_UNKNOWN_SENDER => ErrorCode::UnknownKey,
        Code::HL7_UNKNOWN_TYPE => ErrorCode::UnsupportedMessageType,
        Code::MAP_NO_PATIENT => ErrorCode::RequiredFieldMissing,
        _ => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use renkei_core::SystemClock;

    fn answers(accept: &str, application: &str, verdict: Verdict) -> Vec<String> {
        let text =
            format!("MSH|^~\\&|HIS|H|HUB|R|20250111||ADT^A08|C1|P|2.5|||{accept}|{application}\r");
        let peek = renkei_hl7v2::peek(text.as_bytes());
        let asked = Asked::by(&peek);
        let writer = Writer::new(Arc::new(SystemClock));
        let written = if verdict == Verdict::Accepted {
            vec![
                writer.commit(&peek, asked, verdict),
                writer.application(&peek, asked, verdict),
            ]
        } else {
            vec![writer.refusal(&peek, asked, verdict)]
        };
        written
            .into_iter()
            .flatten()
            .map(|bytes| {
                let text = String::from_utf8(bytes).unwrap();
                text.split("MSA|").nth(1).unwrap()[..5].to_owned()
            })
            .collect()
    }

    #[test]
    fn each_mode_gets_what_it_asked_for() {
        let error = Verdict::Error(Code::INB_FULL);
        let rejected = Verdict::Rejected(Code::INB_UNKNOWN_SENDER);
        let cases: [(&str, &str, Verdict, &[&str]); 14] = [
            ("", "", Verdict::Accepted, &["AA|C1"]),
            ("", "", error, &["AE|C1"]),
            ("", "", rejected, &["AR|C1"]),
            ("AL", "NE", Verdict::Accepted, &["CA|C1"]),
            ("AL", "NE", error, &["CE|C1"]),
            ("AL", "NE", rejected, &["CR|C1"]),
            ("AL", "AL", Verdict::Accepted, &["CA|C1", "AA|C1"]),
            ("AL", "AL", error, &["CE|C1"]),
            ("NE", "AL", error, &["AE|C1"]),
            ("ER", "NE", Verdict::Accepted, &[]),
            ("ER", "NE", error, &["CE|C1"]),
            ("SU", "", error, &[]),
            ("SU", "ER", Verdict::Accepted, &["CA|C1"]),
            ("", "AL", Verdict::Accepted, &["AA|C1"]),
        ];
        for (accept, application, verdict, expected) in cases {
            assert_eq!(
                answers(accept, application, verdict),
                expected,
                "{accept} {application}"
            );
        }
    }

    #[test]
    fn a_sender_that_never_hears_of_errors_is_known() {
        let asked = |accept: &str, application: &str| {
            let text = format!("MSH|^~\\&|A|||||||C|P|2.5|||{accept}|{application}\r");
            Asked::by(&renkei_hl7v2::peek(text.as_bytes()))
        };
        assert!(asked("", "").hears_of_errors());
        assert!(asked("ER", "NE").hears_of_errors());
        assert!(!asked("NE", "NE").hears_of_errors());
        assert!(!asked("SU", "SU").hears_of_errors());
    }
}
