//! Tokens, scopes, agreements, rate limits and keys: the gates every call to a REST peer passes.

use data_encoding::BASE64;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hash::hex_sha256;
use crate::refusal::Refusal;
use crate::request::{Body, Call, Reply};
use crate::seed::{Client, Team};
use crate::state::{State, Token};

/// Who an entry names as its writer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Author {
    pub(crate) facility_id: String,
    pub(crate) user_ref: String,
    #[serde(rename = "display")]
    _display: String,
    #[serde(rename = "profession")]
    _profession: String,
}

impl State {
    /// `POST /oauth/token`.
    pub(crate) fn give_token(
        &mut self,
        call: &Call,
        all_scopes: &[&str],
    ) -> Result<Reply, Refusal> {
        let Body::Form(form) = &call.body else {
            return Err(Refusal::new(400, "oauth:invalid_request", "send a form"));
        };
        let field = |name: &str| form.get(name).map(String::as_str);
        if field("grant_type") != Some("client_credentials") {
            return Err(Refusal::new(
                400,
                "oauth:unsupported_grant_type",
                "only client_credentials",
            ));
        }
        let basic = call.header("authorization").and_then(basic_credentials);
        let (id, secret) = match (&basic, field("client_id"), field("client_secret")) {
            (Some((id, secret)), _, _) => (id.as_str(), secret.as_str()),
            (None, Some(id), Some(secret)) => (id, secret),
            _ => {
                return Err(Refusal::new(
                    400,
                    "oauth:invalid_request",
                    "client_id and client_secret are needed",
                ));
            }
        };
        let client = self
            .clients
            .get(id)
            .filter(|client| client.secret == secret);
        let client = client
            .ok_or_else(|| Refusal::new(401, "oauth:invalid_client", "unknown client or secret"))?;
        let allowed: Vec<String> = client
            .scopes
            .clone()
            .unwrap_or_else(|| all_scopes.iter().map(|scope| (*scope).to_owned()).collect());
        let scopes: Vec<String> = match field("scope") {
            None | Some("") => allowed.clone(),
            Some(asked) => asked.split(' ').map(str::to_owned).collect(),
        };
        if scopes.iter().any(|scope| !allowed.contains(scope)) {
            return Err(Refusal::new(
                400,
                "oauth:invalid_scope",
                "a scope is not granted to this client",
            ));
        }
        let client_id = client.id.clone();
        let serial = self.issue("token");
        let token = hex_sha256(format!("{client_id} {serial} {}", self.now()).as_bytes());
        let expires_at = self.now() + SignedDuration::from_secs(self.limits.token_secs);
        let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": self.limits.token_secs, "scope": scopes.join(" ")});
        self.tokens.insert(
            token,
            Token {
                client_id,
                scopes,
                expires_at,
            },
        );
        Ok(Reply::json(200, answer))
    }

    /// The client behind the bearer token, if it is known and alive.
    pub(crate) fn caller(&self, call: &Call) -> Option<(&Client, &Token)> {
        let token = call.header("authorization")?.strip_prefix("Bearer ")?;
        let token = self
            .tokens
            .get(token)
            .filter(|token| token.expires_at > self.now())?;
        Some((self.clients.get(&token.client_id)?, token))
    }

    /// Token, agreement, scope and rate limit, in this order.
    pub(crate) fn admit(&mut self, call: &Call, scope: &str) -> Result<Client, Refusal> {
        let (client, token) = self
            .caller(call)
            .ok_or_else(|| Refusal::new(401, "invalid_token", "a valid bearer token is needed"))?;
        if !client.agreement {
            return Err(Refusal::new(
                403,
                "no_agreement",
                "the client's agreement is not signed",
            ));
        }
        if !token.scopes.iter().any(|granted| granted == scope) {
            return Err(Refusal::new(
                403,
                "insufficient_scope",
                format!("the token lacks {scope}"),
            ));
        }
        let client = client.clone();
        let now = self.now().as_second();
        if let Some(limit) = self.limits.calls_per_minute {
            let (minute, used) = self.calls.entry(client.id.clone()).or_default();
            if *minute != now.div_euclid(60) {
                (*minute, *used) = (now.div_euclid(60), 0);
            }
            *used += 1;
            if *used > limit {
                let wait = u32::try_from(60 - now.rem_euclid(60)).unwrap_or(60);
                let mut refusal =
                    Refusal::new(429, "rate_limited", "too many calls in this minute");
                refusal.retry_after_secs = Some(wait);
                return Err(refusal);
            }
        }
        Ok(client)
    }

    /// A team the client may look at.
    pub(crate) fn team_of(&self, client: &Client, id: &str) -> Result<&Team, Refusal> {
        let team = self
            .teams
            .get(id)
            .ok_or_else(|| Refusal::not_found("team"))?;
        if team.includes(&client.facility_id) {
            Ok(team)
        } else {
            Err(Refusal::new(
                403,
                "not_a_member",
                "the client's facility is not in this team",
            ))
        }
    }

    /// A team the client may write to under this author. `undoing` is always allowed, even
    /// without consent and after archiving.
    pub(crate) fn writable(
        &self,
        client: &Client,
        id: &str,
        author: &Author,
        undoing: bool,
    ) -> Result<&Team, Refusal> {
        let team = self
            .teams
            .get(id)
            .ok_or_else(|| Refusal::not_found("team"))?;
        if author.facility_id != client.facility_id {
            return Err(Refusal::new(
                403,
                "author_not_yours",
                "the author is not of the client's facility",
            )
            .at("author"));
        }
        let team = self.team_of(client, &team.id)?;
        if !team
            .members
            .iter()
            .any(|member| member.user_ref == author.user_ref)
        {
            return Err(
                Refusal::new(403, "not_a_member", "the author is no member of this team")
                    .at("author"),
            );
        }
        if !undoing && !team.consent {
            return Err(Refusal::new(
                403,
                "no_consent",
                "the patient's consent is missing or withdrawn",
            ));
        }
        if !undoing && team.is_archived() {
            return Err(Refusal::new(410, "archived", "the team is archived"));
        }
        Ok(team)
    }

    /// What a known key answers: a replay, a conflict, or nothing.
    pub(crate) fn replay(
        &self,
        client: &Client,
        key: &str,
        content: &[u8; 32],
        conflict: &'static str,
    ) -> Result<Option<Value>, Refusal> {
        let record = self.keys.get(&(client.id.clone(), key.to_owned()));
        match record.and_then(|record| record.accepted.as_ref()) {
            None => Ok(None),
            Some((first, answer)) if first == content => Ok(Some(answer.clone())),
            Some(_) => Err(Refusal::new(
                409,
                conflict,
                "this key was used for another request",
            )),
        }
    }

    /// Ties the first answer to its key, with one effect.
    pub(crate) fn settle(&mut self, client: &Client, key: &str, content: [u8; 32], answer: &Value) {
        let record = self
            .keys
            .entry((client.id.clone(), key.to_owned()))
            .or_default();
        record.effects += 1;
        record.accepted = Some((content, answer.clone()));
    }
}

fn basic_credentials(header: &str) -> Option<(String, String)> {
    let bytes = BASE64
        .decode(header.strip_prefix("Basic ")?.as_bytes())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
