//! Second dialects of the REST peers (`CONTRACT.md` §7): the same rules behind other paths and bodies, a
//! signature, XML, or answers that come later.
//!
//! Written by hand from the contract, not from the files with which renkei speaks them: it is the second
//! opinion on those. Called by the listener before and after the peer.

mod care;
mod tickets;
mod xml;

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::Value;

use crate::http::Peer;
use crate::refusal::Refusal;
use crate::request::{Call, Content, Reply};

use care::Care;
use tickets::Tickets;

/// Which second dialect a peer speaks.
#[derive(Clone, Debug)]
pub enum Second {
    /// `CONTRACT.md` §7.1: other paths, other JSON, every call signed with this key.
    Care {
        /// The key of the HMAC.
        signing_key: String,
    },
    /// `CONTRACT.md` §7.2: XML.
    Xml,
    /// `CONTRACT.md` §7.3: as `Care`, unsigned, and what is written is answered later.
    City,
}

/// A second dialect at work.
#[derive(Debug)]
pub(crate) struct Speaker {
    tongue: Tongue,
    tickets: Option<Mutex<Tickets>>,
}

#[derive(Debug)]
enum Tongue {
    Care(Care),
    Xml,
}

/// What goes back over the line.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) media_type: &'static str,
    pub(crate) body: String,
}

impl Speaker {
    pub(crate) fn new(second: Second) -> Self {
        let (tongue, later) = match second {
            Second::Care { signing_key } => {
                (Tongue::Care(Care::signed("care", signing_key)), false)
            }
            Second::City => (Tongue::Care(Care::unsigned("city")), true),
            Second::Xml => (Tongue::Xml, false),
        };
        Self {
            tongue,
            tickets: later.then(Mutex::default),
        }
    }

    /// Rewrites a call into the contract's words.
    pub(crate) fn hear(&self, call: &mut Call, now: Timestamp) -> Result<(), Refusal> {
        match &self.tongue {
            Tongue::Care(care) => care.hear(call, now),
            Tongue::Xml => xml::hear(call),
        }
    }

    /// The peer's answer, now or by a ticket.
    pub(crate) fn answer<P: Peer>(&self, peer: &mut P, call: &Call) -> Result<Reply, Refusal> {
        match self.tickets() {
            None => peer.answer(call),
            Some(mut tickets) => tickets.answer(peer, call),
        }
    }

    /// Whether answers wait until someone lets them go; `None` when they come at once.
    pub(crate) fn hold(&self, hold: bool) -> Option<Value> {
        self.tickets().map(|mut tickets| tickets.hold(hold))
    }

    fn tickets(&self) -> Option<MutexGuard<'_, Tickets>> {
        let tickets = self.tickets.as_ref()?;
        Some(tickets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An answer in the dialect's words.
    pub(crate) fn say(&self, call: &Call, answer: Result<Reply, Refusal>) -> Response {
        let is_token = call.path == "/oauth/token";
        let after = answer.as_ref().err().and_then(|no| no.retry_after_secs);
        let said = match (answer, &self.tongue) {
            (
                Ok(Reply {
                    status,
                    content: Content::File { media_type, bytes },
                    ..
                }),
                _,
            ) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                return (status, [(header::CONTENT_TYPE, media_type)], bytes).into_response();
            }
            (
                Ok(Reply {
                    status,
                    content: Content::Json(value),
                    ..
                }),
                _,
            ) if is_token => Said::json(status, &value),
            (Err(no), _) if is_token => Said::json(no.status, &no.body()),
            (
                Ok(Reply {
                    status,
                    content: Content::Json(value),
                    ..
                }),
                Tongue::Care(_),
            ) => Said::json(status, &care::answer(call, value)),
            (Err(no), Tongue::Care(_)) => care::refusal(&no),
            (
                Ok(Reply {
                    content: Content::Json(value),
                    ..
                }),
                Tongue::Xml,
            ) => xml::answer(call, &value),
            (Err(no), Tongue::Xml) => xml::refusal(&no),
        };
        let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, said.media_type)];
        let mut response = (status, kind, said.body).into_response();
        if let Some(seconds) = after {
            let name = HeaderName::from_static("retry-after");
            response
                .headers_mut()
                .insert(name, HeaderValue::from(seconds));
        }
        response
    }
}

impl Said {
    fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            media_type: "application/json",
            body: value.to_string(),
        }
    }
}

/// The key of a call that writes, in the contract's words.
fn key_of(call: &Call) -> Option<&str> {
    call.header("idempotency-key").filter(|key| !key.is_empty())
}
