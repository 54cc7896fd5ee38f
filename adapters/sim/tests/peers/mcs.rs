//! `CONTRACT.md` §1 and §2: tokens, gates, keys, posts, corrections.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, PDF, ask_token, post, read, seed, sha256, start_mcs};

const POSTS: &str = "/v1/patient-groups/g/posts";

#[tokio::test]
async fn tokens_follow_rfc_6749() {
    let (running, _) = start_mcs().await;
    let url = running.url();
    let grant = ("grant_type", "client_credentials");
    let wrong = ask_token(&url, &[grant, ("client_id", "a"), ("client_secret", "no")]).await;
    assert_eq!(
        (wrong.status, wrong.json["error"].as_str()),
        (401, Some("invalid_client"))
    );
    let other = ask_token(
        &url,
        &[
            ("grant_type", "password"),
            ("client_id", "a"),
            ("client_secret", "sa"),
        ],
    )
    .await;
    assert_eq!(
        (other.status, other.json["error"].as_str()),
        (400, Some("unsupported_grant_type"))
    );
    let scope = ask_token(
        &url,
        &[
            grant,
            ("client_id", "a"),
            ("client_secret", "sa"),
            ("scope", "everything"),
        ],
    )
    .await;
    assert_eq!(
        (scope.status, scope.json["error"].as_str()),
        (400, Some("invalid_scope"))
    );
    let bare = ask_token(&url, &[grant]).await;
    assert_eq!(
        (bare.status, bare.json["error"].as_str()),
        (400, Some("invalid_request"))
    );
    let request = crate::harness::http()
        .post(format!("{url}/oauth/token"))
        .basic_auth("a", Some("sa"));
    let basic = read(
        request
            .form(&[grant, ("scope", "acks.read")])
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (
            basic.status,
            basic.json["expires_in"].as_i64(),
            basic.json["scope"].as_str()
        ),
        (200, Some(3600), Some("acks.read"))
    );
}

#[tokio::test]
async fn every_call_needs_a_living_token_with_the_scope_and_an_agreement() {
    let (running, api) = start_mcs().await;
    let nobody = Api {
        token: "made-up".to_owned(),
        ..api.clone()
    };
    let refused = nobody
        .request(Method::GET, "/v1/patient-groups")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\""
    );
    assert_eq!(read(refused).await.code(), "invalid_token");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "a"),
        ("client_secret", "sa"),
        ("scope", "groups.read"),
    ];
    let narrow = ask_token(&running.url(), &form).await;
    let narrow = Api {
        token: narrow.json["access_token"].as_str().unwrap().to_owned(),
        ..api.clone()
    };
    let answer = narrow.post_keyed(POSTS, "k", &post("x")).await;
    assert_eq!((answer.status, answer.code()), (403, "insufficient_scope"));
    assert_eq!(
        narrow.get("/v1/patient-groups/g").await.json["members"],
        json!([])
    );
    let unsigned = Api::login(&running, "unsigned", "su").await;
    let answer = unsigned.get("/v1/patient-groups").await;
    assert_eq!((answer.status, answer.code()), (403, "no_agreement"));
    api.door("faults", &json!({"clock_skew_secs": 3601})).await;
    assert_eq!(api.get("/v1/patient-groups").await.code(), "invalid_token");
}

#[tokio::test]
async fn unknown_paths_methods_and_shapes_are_refused() {
    let (_running, api) = start_mcs().await;
    assert_eq!(api.get("/v1/patients").await.code(), "not_found");
    let wrong = read(
        api.request(Method::DELETE, "/v1/acks")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((wrong.status, wrong.code()), (405, "method_not_allowed"));
    let mut extra = post("x");
    extra["patient_name"] = json!("山本");
    let answer = api.post_keyed(POSTS, "k", &extra).await;
    assert_eq!((answer.status, answer.code()), (400, "bad_request"));
    assert!(
        !answer.json.to_string().contains("山本"),
        "an error repeats no value"
    );
    let mut missing = post("x");
    missing.as_object_mut().unwrap().remove("urgency");
    assert_eq!(api.post_keyed(POSTS, "k", &missing).await.status, 400);
    let text = api
        .request(Method::POST, POSTS)
        .header("Idempotency-Key", "k")
        .header("content-type", "text/plain")
        .body("x");
    assert_eq!(
        read(text.send().await.unwrap()).await.code(),
        "unsupported_media_type"
    );
    assert_eq!(api.state().await["counts"]["effects"], 0);
}

#[tokio::test]
async fn a_post_needs_a_key_and_the_key_makes_it_once() {
    let (_running, api) = start_mcs().await;
    let bare = api.post(POSTS, &post("一")).await;
    assert_eq!(
        (bare.status, bare.code()),
        (400, "idempotency_key_required")
    );
    let first = api.post_keyed(POSTS, "k1", &post("一")).await;
    assert_eq!((first.status, first.replayed), (201, false));
    let again = api.post_keyed(POSTS, "k1", &post("一")).await;
    assert_eq!(
        (again.status, again.replayed, &again.json),
        (200, true, &first.json)
    );
    let other = api.post_keyed(POSTS, "k1", &post("二")).await;
    assert_eq!((other.status, other.code()), (409, "idempotency_conflict"));
    let elsewhere = api
        .post_keyed("/v1/patient-groups/g-family/posts", "k1", &post("一"))
        .await;
    assert_eq!(elsewhere.code(), "idempotency_conflict");
    let state = api.state().await;
    assert_eq!(state["posts"].as_array().unwrap().len(), 1);
    assert_eq!(
        state["keys"],
        json!([{"client_id": "a", "key": "k1", "requests": 4, "effects": 1}])
    );
    assert_eq!(state["posts"][0]["patient"]["local_id"], "0000123456");
    assert_eq!(state["posts"][0]["readable_by"], json!(["sys-a", "nurse"]));
    assert_eq!(state["posts"][0]["request"]["text"], "一");
    assert_eq!(state["rejected"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free_and_a_replay_outlives_the_group() {
    let (_running, api) = start_mcs().await;
    assert_eq!(
        api.post_keyed(POSTS, "k", &post("")).await.code(),
        "text_length"
    );
    assert_eq!(api.post_keyed(POSTS, "k", &post("良")).await.status, 201);
    api.door("act", &json!({"act": "archive", "team_id": "g"}))
        .await;
    assert_eq!(api.post_keyed(POSTS, "k", &post("良")).await.status, 200);
    let late = api.post_keyed(POSTS, "k2", &post("遅")).await;
    assert_eq!((late.status, late.code()), (410, "archived"));
}

#[tokio::test]
async fn only_members_with_consent_post_and_only_into_living_patient_groups() {
    let (running, api) = start_mcs().await;
    let cases = [
        ("g-archived", 410, "archived"),
        ("g-no-consent", 403, "no_consent"),
        ("g-free", 403, "kind_not_allowed"),
        ("g-strangers", 403, "not_a_member"),
        ("g-unknown", 404, "not_found"),
    ];
    for (group, status, code) in cases {
        let answer = api
            .post_keyed(
                &format!("/v1/patient-groups/{group}/posts"),
                group,
                &post("x"),
            )
            .await;
        assert_eq!((answer.status, answer.code()), (status, code), "{group}");
    }
    let mut stranger = post("x");
    stranger["author"]["user_ref"] = json!("somebody");
    assert_eq!(
        api.post_keyed(POSTS, "k", &stranger).await.code(),
        "not_a_member"
    );
    let b = Api::login(&running, "b", "sb").await;
    assert_eq!(
        b.post_keyed(POSTS, "k", &post("x")).await.code(),
        "author_not_yours"
    );
    api.door(
        "act",
        &json!({"act": "set_consent", "team_id": "g", "consent": false}),
    )
    .await;
    assert_eq!(
        api.post_keyed(POSTS, "k", &post("x")).await.code(),
        "no_consent"
    );
    assert_eq!(api.state().await["counts"]["effects"], 0);
}

#[tokio::test]
async fn lengths_count_characters_and_values_are_closed_lists() {
    let (_running, api) = start_mcs().await;
    let with = |field: &str, value: Value| {
        let mut body = post("x");
        body[field] = value;
        body
    };
    let cases = [
        (with("headline", json!("山".repeat(61))), "headline_length"),
        (with("headline", json!("一\n二")), "headline_length"),
        (with("text", json!("本".repeat(2001))), "text_length"),
        (with("urgency", json!("u4")), "bad_value"),
        (with("occurred_at", json!("2025-01-31")), "bad_value"),
        (with("category", json!("")), "bad_value"),
        (with("reply_to", json!("post-999")), "unknown_reply_to"),
        (
            with("attachments", json!(["file-999"])),
            "unknown_attachment",
        ),
        (
            with("attachments", json!(vec!["x"; 11])),
            "too_many_attachments",
        ),
    ];
    for (body, code) in cases {
        let answer = api.post_keyed(POSTS, "k", &body).await;
        assert_eq!((answer.status, answer.code()), (422, code));
    }
    let mut full = with("headline", json!("山".repeat(60)));
    full["text"] = json!("本".repeat(2000));
    assert_eq!(api.post_keyed(POSTS, "k", &full).await.status, 201);
}

#[tokio::test]
async fn attachments_are_checked_and_kept_once() {
    let (_running, api) = start_mcs().await;
    let path = "/v1/attachments";
    let first = api
        .upload(path, "application/pdf", PDF, &sha256(PDF), None)
        .await;
    assert_eq!(
        (first.status, first.json["bytes"].as_u64()),
        (201, Some(PDF.len() as u64))
    );
    let again = api
        .upload(path, "application/pdf", PDF, &sha256(PDF), None)
        .await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    assert_eq!(
        api.upload(path, "application/pdf", PDF, &sha256(b"x"), None)
            .await
            .code(),
        "checksum_mismatch"
    );
    assert_eq!(
        api.upload(path, "application/zip", PDF, &sha256(PDF), None)
            .await
            .code(),
        "unsupported_media_type"
    );
    assert_eq!(
        api.upload(path, "image/png", PDF, &sha256(PDF), None)
            .await
            .code(),
        "media_type_mismatch"
    );
    let big = vec![b' '; 20 * 1024 * 1024 + 1];
    let answer = api
        .upload(path, "text/plain", &big, &sha256(&big), None)
        .await;
    assert_eq!((answer.status, answer.code()), (413, "too_large"));
    assert_eq!(
        api.post(path, &json!({})).await.code(),
        "unsupported_media_type"
    );

    let mut body = post("添付");
    body["attachments"] = json!([first.json["attachment_id"]]);
    let posted = api.post_keyed(POSTS, "k", &body).await;
    let shown = api
        .get(&format!(
            "/v1/posts/{}",
            posted.json["post_id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(shown.json["attachments"][0]["sha256"], sha256(PDF));
    let id = first.json["attachment_id"].as_str().unwrap();
    let bytes = api
        .request(Method::GET, &format!("/v1/attachments/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(bytes.headers()["content-type"], "application/pdf");
    assert_eq!(&bytes.bytes().await.unwrap()[..], PDF);
    let state = api.state().await;
    assert_eq!(state["files"].as_array().unwrap().len(), 1);
    assert_eq!(state["posts"][0]["files"], json!([id]));
}

#[tokio::test]
async fn corrections_mark_the_post_and_tell_who_read_it() {
    let (running, api) = start_mcs().await;
    let first = api.post_keyed(POSTS, "k1", &post("初")).await;
    let id = first.json["post_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/posts/{id}/corrections");
    api.door(
        "act",
        &json!({"act": "read", "entry_id": id, "user_ref": "nurse"}),
    )
    .await;
    let body = json!({"kind": "corrected", "text": "【訂正】日付"});
    assert_eq!(
        api.post(&path, &body).await.code(),
        "idempotency_key_required"
    );
    let corrected = api.post_keyed(&path, "c1", &body).await;
    assert_eq!(
        (
            corrected.status,
            corrected.json["readers"][0]["user_ref"].as_str()
        ),
        (201, Some("nurse"))
    );
    assert_eq!(api.post_keyed(&path, "c1", &body).await.status, 200);
    assert_eq!(
        api.post_keyed(&path, "c2", &json!({"kind": "oops", "text": "x"}))
            .await
            .code(),
        "bad_value"
    );
    assert_eq!(
        api.post_keyed(&path, "c2", &json!({"kind": "corrected", "text": ""}))
            .await
            .code(),
        "text_length"
    );
    let b = Api::login(&running, "b", "sb").await;
    assert_eq!(b.post_keyed(&path, "c3", &body).await.code(), "not_author");
    assert_eq!(
        api.post_keyed("/v1/posts/post-9/corrections", "c4", &body)
            .await
            .status,
        404
    );

    api.door("act", &json!({"act": "archive", "team_id": "g"}))
        .await;
    let wrong = api
        .post_keyed(
            &path,
            "c5",
            &json!({"kind": "wrong_patient", "text": "【取消】"}),
        )
        .await;
    assert_eq!(wrong.status, 201, "undoing is allowed in an archived group");
    let shown = b.get(&format!("/v1/posts/{id}")).await.json;
    assert_eq!(
        (shown["withdrawn"].as_bool(), shown["text"].as_str()),
        (Some(true), Some(""))
    );
    assert_eq!(shown["corrections"].as_array().unwrap().len(), 2);
    let state = api.state().await;
    assert_eq!(
        (
            state["counts"]["posts"].as_u64(),
            state["counts"]["effects"].as_u64()
        ),
        (Some(1), Some(3))
    );
}

#[tokio::test]
async fn a_withdrawn_post_is_an_empty_shell_and_withdrawing_twice_is_once() {
    let (running, api) = start_mcs().await;
    let id = api.post_keyed(POSTS, "k", &post("消")).await.json["post_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/posts/{id}");
    let b = Api::login(&running, "b", "sb").await;
    assert_eq!(
        read(b.request(Method::DELETE, &path).send().await.unwrap())
            .await
            .code(),
        "not_author"
    );
    let first = read(api.request(Method::DELETE, &path).send().await.unwrap()).await;
    let again = read(api.request(Method::DELETE, &path).send().await.unwrap()).await;
    assert_eq!((first.status, &first.json), (200, &again.json));
    assert_eq!(api.get(&path).await.json["headline"], "");
    assert_eq!(api.state().await["counts"]["effects"], 2);
}

#[tokio::test]
async fn the_rate_limit_counts_per_client() {
    let mut config = renkei_sim::mcs::Config::new(crate::harness::free(), seed());
    config.limits.calls_per_minute = Some(1000);
    let running = renkei_sim::mcs::start(config).await.unwrap();
    let api = Api::login(&running, "a", "sa").await;
    // The window is a clock minute: at most 2,000 calls fit around one change of the minute.
    let mut refused = None;
    for _ in 0..2001 {
        let answer = api.get("/v1/patient-groups/g-unknown").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("no call was refused");
    let wait: u64 = refused
        .retry_after
        .as_deref()
        .expect("Retry-After")
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait));
    let b = Api::login(&running, "b", "sb").await;
    assert_eq!(b.get("/v1/patient-groups/g").await.status, 200);
}

#[tokio::test]
async fn simulators_refuse_to_leave_loopback() {
    let config = renkei_sim::mcs::Config::new("0.0.0.0:0".parse().unwrap(), seed());
    let refused = renkei_sim::mcs::start(config).await;
    assert!(matches!(refused, Err(renkei_sim::SimError::NotLoopback(_))));
}

#[tokio::test]
async fn the_demo_seed_loads_and_has_a_professional_group() {
    let seed = renkei_sim::Seed::demo().unwrap();
    let running =
        renkei_sim::mcs::start(renkei_sim::mcs::Config::new(crate::harness::free(), seed))
            .await
            .unwrap();
    let api = Api::login(&running, "renkei", "demo-secret").await;
    let page = api.get("/v1/patient-groups?local_id=0000123456").await.json;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    running.stop().await;
    assert!(
        api.request(Method::GET, "/v1/patient-groups")
            .send()
            .await
            .is_err(),
        "stopped"
    );
}
