//! `CONTRACT.md` §2, what comes back: groups, timelines, 了解, webhooks; §5, the dialect.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use renkei_sim::{Running, Seed, Webhook, mcs};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::{Mutex, mpsc};

use crate::harness::{Api, free, post, read, seed, start_mcs};

const POSTS: &str = "/v1/patient-groups/g/posts";

#[tokio::test]
async fn groups_show_header_and_members_to_their_members_only() {
    let (_running, api) = start_mcs().await;
    let group = api.get("/v1/patient-groups/g").await.json;
    assert_eq!(
        (group["kind"].as_str(), group["status"].as_str()),
        (Some("professional"), Some("active"))
    );
    assert_eq!(
        group["patient"],
        json!({"local_id": "0000123456", "kana": "ヤマモト キョウコ", "birth_date": "1939-02-15", "sex": "female", "name": "山本 京子"})
    );
    assert_eq!(
        group["members"][1],
        json!({"user_ref": "nurse", "display": "坂本 花", "facility_id": "B", "professions": ["nurse", "public-health-nurse"]})
    );
    assert_eq!(
        api.get("/v1/patient-groups/g-strangers").await.code(),
        "not_a_member"
    );
    let all = api.get("/v1/patient-groups?facility_id=A").await.json;
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
    assert_eq!(
        api.get("/v1/patient-groups?facility_id=C").await.json["items"],
        json!([])
    );
    let named = api.get("/v1/facilities").await.json;
    assert_eq!(named["items"][1]["admin"], "nurse");
}

#[tokio::test]
async fn lists_are_paged_to_their_end() {
    let (_running, api) = start_mcs().await;
    let mut seen = Vec::new();
    let mut path = "/v1/patient-groups?limit=2".to_owned();
    loop {
        let page = api.get(&path).await.json;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|group| group["group_id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/patient-groups?limit=2&cursor={cursor}");
    }
    assert_eq!(
        seen,
        ["g", "g-archived", "g-family", "g-free", "g-no-consent"]
    );
    assert_eq!(
        api.get("/v1/patient-groups?cursor=n99").await.code(),
        "bad_cursor"
    );
    assert_eq!(
        api.get("/v1/patient-groups?limit=0").await.code(),
        "bad_request"
    );
}

#[tokio::test]
async fn a_timeline_is_read_since_a_time_and_hides_foreign_references() {
    let (running, api) = start_mcs().await;
    let first = api.post_keyed(POSTS, "k1", &post("一")).await.json;
    let wrote = json!({"act": "write", "team_id": "g", "user_ref": "nurse", "headline": "", "text": "体温37.8", "reply_to": first["post_id"]});
    let id = api.door("act", &wrote).await.json["id"].clone();
    let page = api.get(POSTS).await.json;
    let posts = page["items"].as_array().unwrap();
    assert_eq!(
        (posts[0]["client_ref"].as_str(), posts[0]["origin"].as_str()),
        (Some("notice-1"), Some("api"))
    );
    assert_eq!(
        (
            &posts[1]["post_id"],
            &posts[1]["reply_to"],
            posts[1]["origin"].as_str()
        ),
        (&id, &first["post_id"], Some("person"))
    );
    assert_eq!(posts[1]["author"]["facility_id"], "B");
    let at = posts[1]["accepted_at"].as_str().unwrap();
    let later = api.get(&format!("{POSTS}?since={at}")).await.json;
    assert_eq!(later["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        api.get(&format!("{POSTS}?since=yesterday")).await.code(),
        "bad_request"
    );
    let b = Api::login(&running, "b", "sb").await;
    assert_eq!(
        b.get(POSTS).await.json["items"][0]["client_ref"],
        Value::Null
    );
}

#[tokio::test]
async fn confirmations_are_listed_per_post_and_fed_by_cursor() {
    let (running, api) = start_mcs().await;
    let id = api.post_keyed(POSTS, "k1", &post("一")).await.json["post_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let start = api.get("/v1/acks").await.json;
    assert_eq!(
        (&start["items"], start["more"].as_bool()),
        (&json!([]), Some(false))
    );
    let ack = json!({"act": "ack", "entry_id": id, "user_ref": "nurse"});
    assert_eq!(api.door("act", &ack).await.status, 200);
    assert_eq!(api.door("act", &ack).await.status, 200);
    assert_eq!(
        api.door(
            "act",
            &json!({"act": "ack", "entry_id": id, "user_ref": "x"})
        )
        .await
        .status,
        404
    );
    let listed = api.get(&format!("/v1/posts/{id}/acks")).await.json;
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        1,
        "了解 once per member"
    );
    let fed = api
        .get(&format!(
            "/v1/acks?since={}",
            start["next_cursor"].as_str().unwrap()
        ))
        .await
        .json;
    assert_eq!(fed["items"], listed["items"]);
    assert_eq!(
        (
            fed["items"][0]["user_ref"].as_str(),
            fed["items"][0]["client_ref"].as_str()
        ),
        (Some("nurse"), Some("notice-1"))
    );
    let rest = api
        .get(&format!(
            "/v1/acks?since={}",
            fed["next_cursor"].as_str().unwrap()
        ))
        .await
        .json;
    assert_eq!(rest["items"], json!([]));
    let b = Api::login(&running, "b", "sb").await;
    assert_eq!(
        b.get("/v1/acks").await.json["items"],
        json!([]),
        "only acks on one's own posts"
    );
    assert_eq!(api.get("/v1/acks?since=x").await.code(), "bad_cursor");
}

#[tokio::test]
async fn people_come_and_go_and_the_header_changes() {
    let (_running, api) = start_mcs().await;
    let helper = json!({"user_ref": "helper", "display": "石本", "facility_id": "C", "professions": ["helper"]});
    api.door(
        "act",
        &json!({"act": "invite", "team_id": "g", "member": helper}),
    )
    .await;
    let header = json!({"local_id": "0000123456", "kana": "ヤマモト キヨウコ", "birth_date": "1939-02-15", "sex": "female", "name": "山本 京子"});
    api.door(
        "act",
        &json!({"act": "set_patient", "team_id": "g", "patient": header}),
    )
    .await;
    api.door(
        "act",
        &json!({"act": "remove", "team_id": "g", "user_ref": "nurse"}),
    )
    .await;
    let group = api.get("/v1/patient-groups/g").await.json;
    assert_eq!(group["patient"]["kana"], "ヤマモト キヨウコ");
    assert_eq!(group["members"][1]["user_ref"], "helper");
    assert_eq!(api.post_keyed(POSTS, "k", &post("x")).await.status, 201);
    assert_eq!(
        api.state().await["posts"][0]["patient"]["kana"],
        "ヤマモト キヨウコ"
    );
    let added = json!({"replace": true, "clients": [], "teams": []});
    assert_eq!(api.door("seed", &added).await.status, 200);
    assert_eq!(api.state().await["teams"], json!([]));
}

/// A receiver of events that fails as often as it is told.
struct Receiver {
    url: String,
    events: mpsc::UnboundedReceiver<(HeaderMap, String)>,
}

async fn receiver(failures: u32) -> Receiver {
    let (sender, events) = mpsc::unbounded_channel();
    let left = Arc::new(Mutex::new(failures));
    let app = Router::new().fallback(take).with_state((sender, left));
    let listener = tokio::net::TcpListener::bind(free()).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Receiver { url, events }
}

type Sink = (mpsc::UnboundedSender<(HeaderMap, String)>, Arc<Mutex<u32>>);

async fn take(State((sender, left)): State<Sink>, headers: HeaderMap, body: String) -> StatusCode {
    sender.send((headers, body)).unwrap();
    let mut left = left.lock().await;
    if *left == 0 {
        return StatusCode::NO_CONTENT;
    }
    *left -= 1;
    StatusCode::SERVICE_UNAVAILABLE
}

async fn start_with_hook(url: &str) -> (Running, Api) {
    let mut seed: Seed = seed();
    seed.clients[0].webhook = Some(Webhook {
        url: url.to_owned(),
        secret: "hook-secret".to_owned(),
    });
    let mut config = mcs::Config::new(free(), seed);
    config.limits.webhook_retry = std::time::Duration::from_millis(1);
    let running = mcs::start(config).await.unwrap();
    let api = Api::login(&running, "a", "sa").await;
    (running, api)
}

#[tokio::test]
async fn events_are_signed_and_repeated_until_taken() {
    let mut receiver = receiver(2).await;
    let (_running, api) = start_with_hook(&receiver.url).await;
    let id = api.post_keyed(POSTS, "k", &post("一")).await.json["post_id"].clone();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (headers, body) = receiver.events.recv().await.unwrap();
        let timestamp = headers["sns-timestamp"].to_str().unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"hook-secret").unwrap();
        mac.update(format!("{timestamp}.{body}").as_bytes());
        let expected = format!(
            "v1={}",
            data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
        );
        assert_eq!(headers["sns-signature"], expected.as_str());
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (event["type"].as_str(), &event["data"]["post_id"]),
            (Some("post.created"), &id)
        );
        assert_eq!(event["event_id"], headers["sns-event-id"].to_str().unwrap());
        ids.push(event["event_id"].clone());
    }
    assert!(ids.iter().all(|event_id| *event_id == ids[0]));
}

#[tokio::test]
async fn each_kind_of_event_arrives_and_duplicates_can_be_asked_for() {
    let mut receiver = receiver(0).await;
    let (_running, api) = start_with_hook(&receiver.url).await;
    let id = api.post_keyed(POSTS, "k", &post("一")).await.json["post_id"].clone();
    let nurse =
        json!({"user_ref": "n2", "display": "坂", "facility_id": "B", "professions": ["nurse"]});
    let acts = [
        json!({"act": "ack", "entry_id": id, "user_ref": "nurse"}),
        json!({"act": "invite", "team_id": "g", "member": nurse}),
        json!({"act": "remove", "team_id": "g", "user_ref": "n2"}),
        json!({"act": "archive", "team_id": "g"}),
    ];
    for act in &acts {
        assert_eq!(api.door("act", act).await.status, 200);
    }
    let mut types = Vec::new();
    for _ in 0..5 {
        let event: Value = serde_json::from_str(&receiver.events.recv().await.unwrap().1).unwrap();
        types.push(event["type"].as_str().unwrap().to_owned());
    }
    types.sort();
    assert_eq!(
        types,
        [
            "ack.created",
            "group.archived",
            "member.added",
            "member.removed",
            "post.created"
        ]
    );
    api.door("faults", &json!({"duplicate_webhooks": true}))
        .await;
    api.door("act", &json!({"act": "write", "team_id": "g-family", "user_ref": "nurse", "headline": "", "text": "x"})).await;
    let one = receiver.events.recv().await.unwrap().1;
    let two = receiver.events.recv().await.unwrap().1;
    assert_eq!(one, two);
}

#[tokio::test]
async fn the_ward_dialect_is_the_same_contract_in_other_words() {
    let running = mcs::start(mcs::Config::ward(free(), seed())).await.unwrap();
    let api = Api::login(&running, "a", "sa").await;
    let mut note = post("本文");
    let fields = note.as_object_mut().unwrap();
    let (headline, text) = (
        fields.remove("headline").unwrap(),
        fields.remove("text").unwrap(),
    );
    note["title"] = headline;
    note["body"] = text;
    let path = "/api/v2/teams/g/notes";
    let unkeyed = api.post_keyed(path, "k", &note).await;
    assert_eq!(
        (unkeyed.status, unkeyed.code()),
        (400, "idempotency_key_required")
    );
    let send = |body: Value| read_note(&api, path, body);
    let first = send(note.clone()).await;
    assert_eq!(first.status, 201);
    assert!(first.json["note_id"].is_string());
    assert_eq!(send(note.clone()).await.status, 200);
    let group = api.get("/api/v2/teams/g").await.json;
    assert_eq!(
        (
            group["team_id"].as_str(),
            group["patient"]["local_id"].as_str()
        ),
        (Some("g"), Some("0000123456"))
    );
    assert_eq!(api.get(path).await.json["items"][0]["body"], "本文");
    assert_eq!(
        api.get("/api/v2/patient-groups/g").await.status,
        404,
        "the plain word is foreign here"
    );
    assert_eq!(api.get("/v1/teams/g").await.status, 404);
    let mut long = note;
    long["title"] = json!("山".repeat(61));
    let refused = read(
        api.request(Method::POST, path)
            .header("X-Request-Key", "k2")
            .json(&long)
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (refused.code(), refused.json["error"]["field"].as_str()),
        ("headline_length", Some("title"))
    );
    assert_eq!(api.post_keyed(path, "k", &post("x")).await.status, 400);
}

async fn read_note(api: &Api, path: &str, body: Value) -> crate::harness::Answer {
    read(
        api.request(Method::POST, path)
            .header("X-Request-Key", "k")
            .json(&body)
            .send()
            .await
            .unwrap(),
    )
    .await
}
