//! Writes that are answered later: 202 with a ticket, and what became of it for whoever asks.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::key_of;
use crate::hash::fingerprint;
use crate::http::{Peer, tally};
use crate::refusal::Refusal;
use crate::request::{Call, Content, Reply};

/// What was taken over, by ticket.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    /// Nothing is worked off.
    hold: bool,
    all: Vec<Ticket>,
    /// Client and key to the place of its ticket.
    by_key: HashMap<(String, String), usize>,
}

#[derive(Debug)]
struct Ticket {
    call: Call,
    print: [u8; 32],
    looks: u32,
    ended: Option<Result<Reply, Refusal>>,
}

impl Tickets {
    pub(super) fn hold(&mut self, hold: bool) -> Value {
        self.hold = hold;
        let open = self.all.iter().filter(|one| one.ended.is_none()).count();
        json!({"open": open, "taken": self.all.len()})
    }

    pub(super) fn answer<P: Peer>(&mut self, peer: &mut P, call: &Call) -> Result<Reply, Refusal> {
        if let Some(number) = call.path.strip_prefix("/tickets/") {
            return self.look(peer, call, number);
        }
        let (Some(key), "POST") = (key_of(call), call.method.as_str()) else {
            return peer.answer(call);
        };
        let client = peer
            .state()
            .caller(call)
            .map(|(client, _)| client.id.clone());
        let Some(client) = client else {
            return peer.answer(call);
        };
        let print = fingerprint(&json!([call.path, call.json()?]));
        let place = (client, key.to_owned());
        let known = self
            .by_key
            .get(&place)
            .and_then(|at| Some((*at, self.all.get(*at)?)));
        match known {
            Some((_, ticket)) if ticket.print != print && !matches!(ticket.ended, Some(Err(_))) => {
                Err(Refusal::new(
                    409,
                    "idempotency_conflict",
                    "another body under this key",
                ))
            }
            Some((at, ticket)) => match &ticket.ended {
                None => Ok(taken(at)),
                Some(Ok(reply)) => Ok(Reply {
                    status: 200,
                    replayed: true,
                    ..reply.clone()
                }),
                Some(Err(_)) => Ok(self.take(place, call, print)),
            },
            None => Ok(self.take(place, call, print)),
        }
    }

    fn take(&mut self, place: (String, String), call: &Call, print: [u8; 32]) -> Reply {
        let at = self.all.len();
        self.by_key.insert(place, at);
        self.all.push(Ticket {
            call: call.clone(),
            print,
            looks: 0,
            ended: None,
        });
        taken(at)
    }

    /// The first look always comes too early.
    fn look<P: Peer>(&mut self, peer: &mut P, call: &Call, number: &str) -> Result<Reply, Refusal> {
        if peer.state().caller(call).is_none() {
            return Err(Refusal::new(
                401,
                "invalid_token",
                "a valid bearer token is needed",
            ));
        }
        let at = number
            .strip_prefix("T-")
            .and_then(|at| at.parse::<usize>().ok());
        let ticket = at.and_then(|at| self.all.get_mut(at));
        let ticket = ticket.ok_or_else(|| Refusal::not_found("ticket"))?;
        ticket.looks += 1;
        if ticket.ended.is_none() {
            if self.hold || ticket.looks < 2 {
                return Ok(Reply::json(200, json!({"state": "WORKING"})));
            }
            let mut fresh = ticket.call.clone();
            if let Some(token) = call.headers.get("authorization") {
                fresh.headers.insert("authorization", token.clone());
            }
            let answer = peer.answer(&fresh);
            tally(peer, &fresh, &answer);
            ticket.ended = Some(answer);
        }
        match &ticket.ended {
            Some(Ok(reply)) => {
                let result = match &reply.content {
                    Content::Json(value) => super::care::answer(&ticket.call, value.clone()),
                    Content::File { .. } => Value::Null,
                };
                Ok(Reply::json(200, json!({"state": "DONE", "result": result})))
            }
            Some(Err(no)) => {
                let code = super::care::code(no);
                Ok(Reply::json(200, json!({"state": "FAILED", "result": code})))
            }
            None => Ok(Reply::json(200, json!({"state": "WORKING"}))),
        }
    }
}

fn taken(at: usize) -> Reply {
    Reply::json(202, json!({"ticketNo": format!("T-{at}")}))
}
