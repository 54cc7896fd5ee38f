//! Why a call gave no usable answer, and what that means for a delivery. Holds the status and our
//! code, never the peer's text: it may repeat what was posted.

use std::time::Duration;

use renkei_core::wire::Unspeakable;
use renkei_core::{BoxError, Clock, Code, SendError, SendOutcome};

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Never reached the peer, or it says that it is down.
    #[error("the peer is unavailable")]
    Unavailable {
        after: Option<Duration>,
        #[source]
        source: BoxError,
    },
    /// Too many calls.
    #[error("the peer asks for slower calls (status 429)")]
    Busy { after: Option<Duration> },
    /// Our credentials are not accepted, by the token endpoint or with a fresh token.
    #[error("{}: the peer does not accept our credentials", Code::DLV_CREDENTIALS)]
    Credentials {
        #[source]
        source: Option<BoxError>,
    },
    /// The call went out, no answer came back.
    #[error("the peer did not answer")]
    NoAnswer(#[source] BoxError),
    /// The peer answered no.
    #[error("the peer answered with status {status}")]
    Refused { status: u16, reason: PeerReason },
    /// An answer outside the contract.
    #[error("the peer's answer is not in its contract")]
    Protocol(#[source] BoxError),
    /// The peer has taken it over and is not done yet.
    #[error("the peer is still working on it")]
    Working { every: Duration },
    /// The peer's dialect has no words for it; nothing was sent.
    #[error("the dialect cannot say it")]
    Unspeakable(#[source] Unspeakable),
}

/// The peer's own error code, only to be compared with those we know.
#[derive(Default)]
pub(crate) struct PeerReason(pub(crate) String);

impl std::fmt::Debug for PeerReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl CallError {
    /// Whether the peer refused with this status and this code of its contract.
    pub(crate) fn is(&self, wanted: u16, code: &str) -> bool {
        matches!(self, Self::Refused { status, reason } if *status == wanted && reason.0 == code)
    }

    /// Whether the peer refused with this status.
    pub(crate) fn is_status(&self, wanted: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }

    /// For calls that change nothing people see (reads, uploads): no answer is only a peer that is
    /// down, and the call may be made again.
    pub(crate) fn harmless(self) -> Self {
        match self {
            Self::NoAnswer(source) => Self::Unavailable {
                after: None,
                source,
            },
            other => other,
        }
    }

    /// What it means for a delivery.
    pub(crate) fn into_outcome(self, clock: &dyn Clock) -> SendOutcome {
        let retry = |after, unavailable, error: Self| SendOutcome::Retry {
            after,
            unavailable,
            source: error.into(),
        };
        match self {
            Self::Unavailable { after, .. } => retry(after, true, self),
            Self::Busy { after } => retry(after, false, self),
            Self::Credentials { .. } => retry(None, true, self),
            Self::NoAnswer(_) | Self::Protocol(_) => SendOutcome::Unknown {
                source: self.into(),
            },
            // Nobody knows yet what the peer will call it.
            Self::Working { every } => SendOutcome::AwaitingAck {
                peer_ref: None,
                until: clock
                    .now()
                    .saturating_add(every)
                    .unwrap_or_else(|_| clock.now()),
            },
            Self::Unspeakable(_) => SendOutcome::Rejected {
                code: Code::DLV_FRAME,
                source: self.into(),
            },
            Self::Refused { status, .. } => match refusal(status) {
                code @ (Code::DLV_NOT_MEMBER | Code::DLV_CHANNEL_ARCHIVED) => {
                    SendOutcome::Blocked { code }
                }
                code => SendOutcome::Rejected {
                    code,
                    source: self.into(),
                },
            },
        }
    }

    /// What it means for a look or a probe.
    pub(crate) fn into_send_error(self) -> SendError {
        match self {
            Self::Unavailable { .. } | Self::Busy { .. } | Self::NoAnswer(_) => {
                SendError::Unavailable(self.into())
            }
            Self::Credentials { .. } => SendError::Refused {
                code: Code::DLV_CREDENTIALS,
            },
            Self::Refused { status, .. } => SendError::Refused {
                code: refusal(status),
            },
            Self::Protocol(source) => SendError::Protocol(source),
            Self::Working { .. } | Self::Unspeakable(_) => SendError::Protocol(self.into()),
        }
    }
}

/// Our code for a status that a repetition would not change.
fn refusal(status: u16) -> Code {
    match status {
        403 => Code::DLV_NOT_MEMBER,
        404 | 410 => Code::DLV_CHANNEL_ARCHIVED,
        409 => Code::DLV_KEY_REUSED,
        _ => Code::DLV_REJECTED,
    }
}
