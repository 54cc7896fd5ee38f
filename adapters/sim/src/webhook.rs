//! Events sent to clients: signed, repeated, at least once.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{Peer, Shared};
use crate::seed::Webhook;

/// Attempts per event (`CONTRACT.md` §2, Webhooks).
const ATTEMPTS: u32 = 5;

/// Sends what happened since place `from` to every client that is told.
pub(crate) fn announce<P: Peer>(shared: &Shared<P>, from: usize) {
    let mut peer = shared.lock();
    let duplicate = peer.state().faults.duplicate_webhooks;
    let retry = peer.state().limits.webhook_retry;
    let state = peer.state();
    let news: Vec<_> = state.happenings.iter().skip(from).cloned().collect();
    if news.is_empty() {
        return;
    }
    let clients: Vec<_> = state
        .clients
        .values()
        .filter(|client| client.webhook.is_some())
        .cloned()
        .collect();
    for happening in news {
        for client in &clients {
            let Some(webhook) = &client.webhook else {
                continue;
            };
            let team = peer.state().teams.get(&happening.team_id);
            let removed = happening.removes(&client.facility_id);
            if !removed && !team.is_some_and(|team| team.includes(&client.facility_id)) {
                continue;
            }
            let Some((event_type, data)) = peer.event(&happening, &client.id) else {
                continue;
            };
            let mut body = json!({
                "event_id": happening.id, "type": event_type, "occurred_at": happening.at.to_string(),
                "group_id": happening.team_id, "data": data,
            });
            shared.dialect.write(&mut body);
            let place = peer.state().webhooks.len();
            let record = json!({"event_id": happening.id, "type": event_type, "client_id": client.id, "attempts": 0, "status": null});
            peer.state().webhooks.push(record);
            let repeats = if duplicate { 2 } else { 1 };
            let post = Posting {
                webhook: webhook.clone(),
                event_id: happening.id.clone(),
                body: body.to_string(),
                place,
                repeats,
                retry,
            };
            tokio::spawn(post.run(shared.clone()));
        }
    }
}

struct Posting {
    webhook: Webhook,
    event_id: String,
    body: String,
    /// Place in `State::webhooks`.
    place: usize,
    repeats: u32,
    retry: Duration,
}

impl Posting {
    async fn run<P: Peer>(self, shared: Shared<P>) {
        let mut left = self.repeats;
        let mut gap = self.retry;
        for attempt in 1..=ATTEMPTS {
            let timestamp = shared.lock().state().now().as_second();
            let answer = tokio::time::timeout(Duration::from_secs(10), self.send(timestamp)).await;
            let status = answer.ok().and_then(Result::ok);
            if let Some(record) = shared.lock().state().webhooks.get_mut(self.place) {
                record["attempts"] = json!(attempt);
                record["status"] = json!(status);
            }
            if status.is_some_and(|status| (200..300).contains(&status)) {
                left -= 1;
                if left == 0 {
                    return;
                }
                continue;
            }
            tokio::time::sleep(gap).await;
            gap *= 2;
        }
    }

    /// One plain HTTP/1.1 POST on loopback; gives the status.
    async fn send(&self, timestamp: i64) -> std::io::Result<u16> {
        let odd =
            |text: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, text.to_owned());
        let rest = self
            .webhook
            .url
            .strip_prefix("http://")
            .ok_or_else(|| odd("webhooks are plain http"))?;
        let (host, path) = rest
            .find('/')
            .map_or((rest, "/"), |slash| rest.split_at(slash));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\nSns-Event-Id: {}\r\nSns-Timestamp: {timestamp}\r\nSns-Signature: v1={}\r\n\r\n",
            self.body.len(),
            self.event_id,
            sign(&self.webhook.secret, timestamp, &self.body),
        );
        let mut stream = TcpStream::connect(host).await?;
        if !stream.peer_addr()?.ip().is_loopback() {
            return Err(odd("webhooks stay on loopback"));
        }
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(self.body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer).await?;
        let line = answer
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        let status = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        status.ok_or_else(|| odd("no status line"))
    }
}

/// Hex HMAC-SHA256 over `timestamp.body`.
fn sign(secret: &str, timestamp: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length; kept total all the same
    };
    mac.update(format!("{timestamp}.{body}").as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}
