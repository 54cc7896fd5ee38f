//! 了解 and events: the source half.

use super::*;

#[tokio::test]
async fn a_confirmation_comes_back_once_although_it_is_announced_and_looked_up() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (_hook, reference) = secret_file("hook-secret");
    let extra = format!("webhook = {{ listen = '127.0.0.1:{port}', secret = {reference} }}");
    let peer = peer_with(Limits::default(), "demo-secret", &extra, None).await;
    let client = json!({
        "id": "renkei", "secret": "demo-secret", "facility_id": "1311234567",
        "webhook": {"url": format!("http://127.0.0.1:{port}/events"), "secret": "hook-secret"},
    });
    peer.doors.seed(json!({ "clients": [client] })).await;
    let inbox = Arc::new(MemoryInbox::default());
    let running = start(peer.source.clone().unwrap(), Arc::clone(&inbox));
    let posted = peer.confirmed(&peer.delivery(1)).await;
    peer.doors.acknowledge(posted.as_str(), "u-nurse").await;
    inbox.wait_for_offers(2).await;
    peer.doors
        .act(json!({"act": "remove", "team_id": GROUP, "user_ref": "u-doctor"}))
        .await;
    let events = inbox.wait_for(2).await;
    running.stop().await;
    assert_eq!(
        events.len(),
        2,
        "one 了解 and one membership change, no echo of our own post"
    );
    match &events[0].news {
        peer::News::Receipt {
            post,
            kind,
            by,
            professions,
            ..
        } => {
            assert_eq!(post.as_ref(), Some(&posted));
            assert_eq!(*kind, ReceiptKind::Seen);
            assert_eq!(by.as_deref(), Some("u-nurse"));
            assert_eq!(professions.as_slice(), [renkei_core::Profession::Nurse]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        events[1].news,
        peer::News::Other {
            name: "member.removed".to_owned()
        }
    );
}

#[tokio::test]
async fn the_feed_is_followed_from_where_it_was_left() {
    let peer = peer().await;
    let inbox = Arc::new(MemoryInbox::default());
    let posted = peer.confirmed(&peer.delivery(1)).await;
    peer.doors.acknowledge(posted.as_str(), "u-nurse").await;
    let running = start(peer.source.clone().unwrap(), Arc::clone(&inbox));
    inbox.wait_for(1).await;
    running.stop().await;
    peer.doors.acknowledge(posted.as_str(), "u-doctor").await;
    let running = start(peer.source.clone().unwrap(), Arc::clone(&inbox));
    assert_eq!(inbox.wait_for(2).await.len(), 2);
    running.stop().await;
    inbox.wait_for_offers(2).await;
    assert_eq!(
        inbox.messages()[0].dedup_key,
        format!("ack {}.u-nurse", posted.as_str())
    );
}

/// A clock that stands still, so that signatures of another time are old.
struct Standing(jiff::Timestamp);

impl Clock for Standing {
    fn now(&self) -> jiff::Timestamp {
        self.0
    }
}

#[tokio::test]
async fn a_webhook_without_a_fresh_signature_is_refused() {
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (_hook, hook) = secret_file("hook-secret");
    let (_secret, secret) = secret_file("demo-secret");
    let config: Config = toml::from_str(&format!(
        "facility = '1311234567'\nuser_ref = 'u'\npoll_secs = 0\n\
         webhook = {{ listen = '127.0.0.1:{port}', secret = {hook} }}\n\
         connection = {{ endpoint = 'http://127.0.0.1:9', client_id = 'renkei', secret = {secret} }}"
    ))
    .unwrap();
    let clock = Standing("2025-01-31T02:00:00Z".parse().unwrap());
    let now = clock.0.as_second();
    let (_, source) = build(&SinkName::new("mcs"), config, Arc::new(clock), None).unwrap();
    let inbox = Arc::new(MemoryInbox::default());
    let running = start(source.unwrap(), Arc::clone(&inbox));
    let body = r#"{"event_id":"e1","type":"member.added","occurred_at":"2025-01-31T02:00:00Z","group_id":"g","data":{}}"#;
    let sign = |secret: &str, timestamp: i64, body: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{timestamp}.{body}").as_bytes());
        format!(
            "v1={}",
            data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
        )
    };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let knock = async |timestamp: i64, signature: String, body: &str| loop {
        let request = http
            .post(format!("http://127.0.0.1:{port}/"))
            .header("Sns-Timestamp", timestamp)
            .header("Sns-Signature", &signature)
            .body(body.to_owned());
        match request.send().await {
            Ok(response) => break response.status().as_u16(),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    for (timestamp, signature, body, status) in [
        (now, sign("other", now, body), body, 401),
        (now, sign("hook-secret", now, "{}"), body, 401),
        (now, "v1=zz".to_owned(), body, 401),
        (now - 301, sign("hook-secret", now - 301, body), body, 401),
        (now + 301, sign("hook-secret", now + 301, body), body, 401),
        (now, sign("hook-secret", now - 1, body), body, 401),
        (now, sign("hook-secret", now, "{}"), "{}", 400),
        (now - 299, sign("hook-secret", now - 299, body), body, 204),
        (now, sign("hook-secret", now, body), body, 204),
    ] {
        assert_eq!(knock(timestamp, signature, body).await, status);
    }
    running.stop().await;
    assert_eq!(
        inbox.events().len(),
        1,
        "the repeat of an event is one message"
    );
}
