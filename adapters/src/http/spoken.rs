//! A call in a peer's own words: what the dialect makes of it, signed at sending, and what it says the answer
//! means. A call that the peer works on later is asked for by its ticket.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use renkei_core::Wire;
use renkei_core::wire::{Asked, AskedBody, CallId, Letters, Reading, Signature, Signed, Spoken};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::{Answer, Body, Call, CallError, Client, PeerReason, exchange, judge};

/// Tickets of calls the peer works on, by idempotency key. Forgotten with the process: the call made again
/// under its key gives the ticket, or the answer, again.
#[derive(Default)]
pub(super) struct Tickets(Mutex<HashMap<String, Ticket>>);

/// What the peer calls a call it works on, and how often it may be asked.
#[derive(Clone)]
struct Ticket {
    name: String,
    every: Duration,
}

/// Tickets remembered at most; beyond it a call is made again instead of asked for.
const TICKETS: usize = 10_000;

impl Tickets {
    fn get(&self, key: &str) -> Option<Ticket> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned()
    }

    fn keep(&self, key: &str, ticket: &Ticket) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < TICKETS {
            known.insert(key.to_owned(), ticket.clone());
        }
    }

    fn forget(&self, key: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(key);
    }
}

/// An answer as the dialect reads it.
enum Heard {
    /// JSON in the contract's words.
    Said(Bytes),
    Later(Ticket),
    Working {
        every: Duration,
    },
}

impl Client {
    /// Makes the call in the words of the dialect.
    pub(super) async fn speak(&self, wire: &dyn Wire, call: &Call) -> Result<Bytes, CallError> {
        let key = call.key.as_ref().map(|(_, key)| key.as_str());
        let spoken = wire
            .request(&asked(call, key))
            .map_err(CallError::Unspeakable)?;
        if let Some((key, ticket)) = key.and_then(|key| Some((key, self.tickets.get(key)?))) {
            return self.ask_after(wire, spoken.call, Some(key), &ticket).await;
        }
        match self.heard(wire, &spoken, false).await? {
            Heard::Said(answer) => Ok(answer),
            Heard::Later(ticket) => {
                if let Some(key) = key {
                    self.tickets.keep(key, &ticket);
                }
                self.ask_after(wire, spoken.call, key, &ticket).await
            }
            Heard::Working { every } => Err(CallError::Working { every }),
        }
    }

    /// Asks what became of a call.
    async fn ask_after(
        &self,
        wire: &dyn Wire,
        call: CallId,
        key: Option<&str>,
        ticket: &Ticket,
    ) -> Result<Bytes, CallError> {
        let forget = || key.into_iter().for_each(|key| self.tickets.forget(key));
        let poll = wire
            .poll(call, &ticket.name)
            .map_err(CallError::Unspeakable)?;
        let working = |every| Err(CallError::Working { every });
        match self.heard(wire, &poll, true).await {
            Ok(Heard::Said(answer)) => {
                forget();
                Ok(answer)
            }
            Ok(Heard::Later(Ticket { every, .. }) | Heard::Working { every }) => working(every),
            Err(CallError::Refused { status, reason }) => {
                // The next attempt makes the call again, under the same key.
                forget();
                if matches!(status, 404 | 410) && reason.0.is_empty() {
                    return working(ticket.every);
                }
                Err(CallError::Refused { status, reason })
            }
            Err(error @ CallError::Credentials { .. }) => Err(error),
            // The peer has it, whatever became of the question.
            Err(_) => working(ticket.every),
        }
    }

    /// Sends it, with a fresh token when the first one is refused.
    async fn heard(
        &self,
        wire: &dyn Wire,
        spoken: &Spoken,
        polled: bool,
    ) -> Result<Heard, CallError> {
        let token = self.tokens.get(self, None).await?;
        let first = self.say(wire, spoken, &token).await?;
        let heard = self.read(wire, spoken.call, polled, first);
        if !matches!(&heard, Err(error) if error.is_status(401)) {
            return heard;
        }
        let fresh = self.tokens.get(self, Some(&token)).await?;
        let second = self.say(wire, spoken, &fresh).await?;
        match self.read(wire, spoken.call, polled, second) {
            Err(error) if error.is_status(401) => Err(CallError::Credentials {
                source: Some(error.into()),
            }),
            heard => heard,
        }
    }

    async fn say(
        &self,
        wire: &dyn Wire,
        spoken: &Spoken,
        token: &str,
    ) -> Result<Answer, CallError> {
        let method = Method::from_bytes(spoken.method.as_bytes())
            .map_err(|error| CallError::Protocol(error.into()))?;
        let mut request = self
            .http
            .request(method, format!("{}{}", self.endpoint, spoken.path))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in &spoken.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        if let Some(signature) = wire.signature() {
            for (name, value) in self.signed(signature, spoken)? {
                request = request.header(name, value);
            }
        }
        if let Some(kind) = &spoken.content_type {
            request = request
                .header(CONTENT_TYPE, kind.as_str())
                .body(spoken.body.clone());
        }
        if spoken.body.len() > LARGE {
            request = request.timeout(self.connection.upload_timeout());
        }
        exchange(request).await
    }

    fn read(
        &self,
        wire: &dyn Wire,
        call: CallId,
        polled: bool,
        answer: Answer,
    ) -> Result<Heard, CallError> {
        match wire.read(call, polled, answer.status.as_u16(), &answer.body) {
            Reading::Answer(text) => Ok(Heard::Said(Bytes::from(text))),
            Reading::Later { ticket, every } => Ok(Heard::Later(Ticket {
                name: ticket,
                every,
            })),
            Reading::Working { every } => Ok(Heard::Working { every }),
            Reading::Unreadable(at) => Err(CallError::Protocol(at.into())),
            Reading::Refused { status, code } => {
                let said = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                let refused = |reason| CallError::Refused { status, reason };
                match judge(said, answer.after, Bytes::new()) {
                    Err(CallError::Refused { .. }) | Ok(_) => {
                        Err(refused(PeerReason(code.to_owned())))
                    }
                    Err(other) => Err(other),
                }
            }
            Reading::ByStatus => match judge(answer.status, answer.after, Bytes::new()) {
                Err(error) => Err(error),
                Ok(_) => Err(CallError::Protocol("a status nobody spoke of".into())),
            },
        }
    }

    /// The headers that sign a call, made now: a signature bears the time of its sending.
    fn signed(
        &self,
        signature: &Signature,
        spoken: &Spoken,
    ) -> Result<Vec<(String, String)>, CallError> {
        let no_key = || CallError::Credentials { source: None };
        let key = self.connection.signing_key.as_ref().ok_or_else(no_key)?;
        let key = key.read().map_err(|error| CallError::Credentials {
            source: Some(error.into()),
        })?;
        let time = self.clock.now().as_second().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| no_key())?;
        for (at, part) in signature.over.iter().enumerate() {
            if at > 0 {
                mac.update(signature.between.as_bytes());
            }
            match part {
                Signed::Method => mac.update(spoken.method.as_bytes()),
                Signed::Path => mac.update(spoken.path.as_bytes()),
                Signed::Time => mac.update(time.as_bytes()),
                Signed::Body => mac.update(&spoken.body),
                Signed::BodySha256 => {
                    let digest = Sha256::digest(&spoken.body);
                    mac.update(data_encoding::HEXLOWER.encode(&digest).as_bytes());
                }
            }
        }
        let bytes = mac.finalize().into_bytes();
        let letters = match signature.letters {
            Letters::Hex => data_encoding::HEXLOWER.encode(&bytes),
            Letters::Base64 => data_encoding::BASE64.encode(&bytes),
        };
        let own = (
            signature.header.clone(),
            format!("{}{letters}", signature.prefix),
        );
        let time = signature.time_header.clone().map(|header| (header, time));
        Ok(time.into_iter().chain([own]).collect())
    }
}

/// Bodies beyond this many bytes get the time of a document.
const LARGE: usize = 64 * 1024;

fn asked<'a>(call: &'a Call, key: Option<&'a str>) -> Asked<'a> {
    Asked {
        method: call.method.as_str(),
        path: &call.path,
        key,
        body: match &call.body {
            Body::Nothing => AskedBody::Nothing,
            Body::Json(text) => AskedBody::Json(text),
            Body::File(upload) => AskedBody::File {
                meta: upload.meta.as_deref(),
                sha256: &upload.sha256,
                file_name: &upload.file_name,
                media_type: &upload.media_type,
                bytes: &upload.bytes,
            },
        },
    }
}
