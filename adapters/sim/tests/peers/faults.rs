//! `CONTRACT.md` §6: what goes wrong on demand, and what is counted then.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, post, start_mcs, start_vital_link};

const POSTS: &str = "/v1/patient-groups/g/posts";

/// Sends under one key; `Err` when the connection is cut.
async fn send(api: &Api, key: &str) -> Result<u16, reqwest::Error> {
    let request = api
        .request(Method::POST, POSTS)
        .header("Idempotency-Key", key)
        .json(&post("一"));
    request
        .send()
        .await
        .map(|response| response.status().as_u16())
}

fn key(state: &Value) -> (u64, u64) {
    (
        state["keys"][0]["requests"].as_u64().unwrap(),
        state["keys"][0]["effects"].as_u64().unwrap(),
    )
}

#[tokio::test]
async fn a_cut_after_the_effect_counts_one_effect_and_two_requests() {
    let (_running, api) = start_mcs().await;
    api.door(
        "faults",
        &json!({"drop": "after", "next": 1, "only": "/posts"}),
    )
    .await;
    assert!(send(&api, "k").await.is_err());
    assert_eq!(send(&api, "k").await.unwrap(), 200);
    let state = api.state().await;
    assert_eq!(key(&state), (2, 1));
    assert_eq!(state["posts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_cut_before_the_effect_leaves_nothing_behind() {
    let (_running, api) = start_mcs().await;
    api.door("faults", &json!({"drop": "before", "next": 1}))
        .await;
    assert!(send(&api, "k").await.is_err());
    assert_eq!(key(&api.state().await), (1, 0));
    assert_eq!(send(&api, "k").await.unwrap(), 201);
    assert_eq!(key(&api.state().await), (2, 1));
}

#[tokio::test]
async fn a_status_is_answered_for_the_next_calls_or_until_cleared() {
    let (_running, api) = start_mcs().await;
    api.door(
        "faults",
        &json!({"status": 429, "retry_after_secs": 7, "next": 2}),
    )
    .await;
    let first = api.post_keyed(POSTS, "k", &post("一")).await;
    assert_eq!(
        (first.status, first.retry_after.as_deref(), first.code()),
        (429, Some("7"), "fault")
    );
    assert_eq!(send(&api, "k").await.unwrap(), 429);
    assert_eq!(send(&api, "k").await.unwrap(), 201);
    assert_eq!(key(&api.state().await), (3, 1));
    api.door("faults", &json!({"status": 503, "only": "/posts"}))
        .await;
    for _ in 0..3 {
        assert_eq!(send(&api, "k2").await.unwrap(), 503);
    }
    assert_eq!(
        api.get("/v1/patient-groups/g").await.status,
        200,
        "aimed at another path"
    );
    api.door("faults", &json!({})).await;
    assert_eq!(send(&api, "k2").await.unwrap(), 201);
    assert_eq!(
        api.door("faults", &json!({"statsu": 500})).await.status,
        400
    );
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let (_running, api) = start_mcs().await;
    api.door("faults", &json!({"latency_ms": 60, "next": 1}))
        .await;
    let begun = Instant::now();
    assert_eq!(send(&api, "k").await.unwrap(), 201);
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_skewed_clock_shows_in_answers() {
    let (_running, api) = start_mcs().await;
    let day = 86_400;
    api.door("faults", &json!({"clock_skew_secs": -day})).await;
    let accepted = api.post_keyed(POSTS, "k", &post("一")).await.json["accepted_at"]
        .as_str()
        .unwrap()
        .to_owned();
    let age = jiff::Timestamp::now().as_second()
        - accepted.parse::<jiff::Timestamp>().unwrap().as_second();
    assert!((day - 5..day + 60).contains(&age));
}

#[tokio::test]
async fn uids_count_like_keys() {
    let (_running, api) = start_vital_link().await;
    let path = "/v1/rooms/g/messages";
    let body = crate::vital_link::message("n1.1");
    api.door("faults", &json!({"drop": "after", "next": 1}))
        .await;
    assert!(
        api.request(Method::POST, path)
            .json(&body)
            .send()
            .await
            .is_err()
    );
    assert_eq!(api.post(path, &body).await.status, 200);
    let state = api.state().await;
    assert_eq!(key(&state), (2, 1));
    assert_eq!(state["counts"]["posts"], 1);
}
