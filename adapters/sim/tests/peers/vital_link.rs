//! `CONTRACT.md` §3: rooms, messages, documents, vitals, changes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, PDF, sha256, start_vital_link};

const MESSAGES: &str = "/v1/rooms/g/messages";
const DOCUMENTS: &str = "/v1/rooms/g/documents";

fn author() -> Value {
    json!({"facility_id": "A", "user_ref": "sys-a", "display": "病院A", "profession": "medical-clerk"})
}

pub(crate) fn message(uid: &str) -> Value {
    json!({
        "uid": uid, "author": author(), "title": "【退院】1/31(金)", "body": "退院しました", "urgency": "u2",
        "ack_requested": true, "occurred_at": "2025-01-31T02:00:00Z", "source_note": "自動転送",
    })
}

fn with(mut body: Value, fields: &[(&str, Value)]) -> Value {
    for (name, value) in fields {
        body[*name] = value.clone();
    }
    body
}

fn meta(uid: &str) -> Value {
    json!({"uid": uid, "author": author(), "title": "退院時サマリー", "occurred_at": "2025-01-31T02:00:00Z", "source_note": "自動転送"})
}

#[tokio::test]
async fn rooms_are_found_by_patient_and_show_one_profession_each() {
    let (_running, api) = start_vital_link().await;
    let found = api
        .get("/v1/rooms?facility_id=A&local_id=0000123456")
        .await
        .json;
    assert_eq!(
        found["items"].as_array().unwrap().len(),
        4,
        "a free group is no room"
    );
    assert_eq!(
        api.get("/v1/rooms?patient_id=pt-g").await.json["items"][0]["room_id"],
        "g"
    );
    let room = api.get("/v1/rooms/g").await.json;
    assert_eq!(
        room["members"][1],
        json!({"user_ref": "nurse", "display": "坂本 花", "facility_id": "B", "profession": "nurse"})
    );
    assert_eq!(room["patient"]["kana"], "ヤマモト キョウコ");
    assert_eq!(api.get("/v1/rooms/g-free").await.status, 404);
    assert_eq!(
        api.get("/v1/rooms/g-strangers").await.code(),
        "not_a_member"
    );
    assert_eq!(
        Api {
            token: "x".into(),
            ..api.clone()
        }
        .get("/v1/rooms")
        .await
        .code(),
        "invalid_token"
    );
}

#[tokio::test]
async fn a_uid_is_written_once() {
    let (_running, api) = start_vital_link().await;
    let first = api.post(MESSAGES, &message("n1.1")).await;
    assert_eq!(
        (first.status, first.json["uid"].as_str()),
        (201, Some("n1.1"))
    );
    let again = api.post(MESSAGES, &message("n1.1")).await;
    assert_eq!(
        (again.status, again.replayed, &again.json),
        (200, true, &first.json)
    );
    let other = api
        .post(MESSAGES, &with(message("n1.1"), &[("body", json!("別"))]))
        .await;
    assert_eq!((other.status, other.code()), (409, "uid_conflict"));
    let document = api
        .upload(
            DOCUMENTS,
            "application/pdf",
            PDF,
            &sha256(PDF),
            Some(&meta("n1.1")),
        )
        .await;
    assert_eq!(document.code(), "uid_conflict", "one space of names");
    let state = api.state().await;
    assert_eq!(
        state["keys"],
        json!([{"client_id": "a", "key": "n1.1", "requests": 4, "effects": 1}])
    );
    assert_eq!(state["posts"][0]["patient"]["local_id"], "0000123456");
}

#[tokio::test]
async fn messages_are_held_to_their_limits_and_gates() {
    let (_running, api) = start_vital_link().await;
    let cases = [
        (
            with(message("u"), &[("title", json!("山".repeat(61)))]),
            422,
            "title_length",
        ),
        (
            with(message("u"), &[("body", json!("本".repeat(1001)))]),
            422,
            "body_length",
        ),
        (
            with(message("u"), &[("uid", json!("a b"))]),
            422,
            "bad_value",
        ),
        (
            with(message("u"), &[("urgency", json!("now"))]),
            422,
            "bad_value",
        ),
        (
            with(message("u"), &[("documents", json!(["document-9"]))]),
            422,
            "unknown_document",
        ),
        (
            with(message("u"), &[("documents", json!(vec!["d"; 11]))]),
            422,
            "too_many_documents",
        ),
        (
            with(
                message("u"),
                &[("replaces", json!("gone")), ("change", json!("corrected"))],
            ),
            422,
            "unknown_replaces",
        ),
        (
            with(message("u"), &[("change", json!("corrected"))]),
            422,
            "bad_value",
        ),
        (
            with(message("u"), &[("extra", json!(1))]),
            400,
            "bad_request",
        ),
    ];
    for (body, status, code) in cases {
        let answer = api.post(MESSAGES, &body).await;
        assert_eq!((answer.status, answer.code()), (status, code));
    }
    for (room, status, code) in [
        ("g-archived", 410, "archived"),
        ("g-no-consent", 403, "no_consent"),
        ("g-strangers", 403, "not_a_member"),
        ("g-free", 404, "not_found"),
    ] {
        let answer = api
            .post(&format!("/v1/rooms/{room}/messages"), &message("u"))
            .await;
        assert_eq!((answer.status, answer.code()), (status, code), "{room}");
    }
    assert_eq!(
        api.post(
            MESSAGES,
            &with(message("u"), &[("body", json!("本".repeat(1000)))])
        )
        .await
        .status,
        201
    );
}

#[tokio::test]
async fn a_new_version_replaces_the_old_one_even_in_an_archived_room() {
    let (_running, api) = start_vital_link().await;
    let first = api.post(MESSAGES, &message("n.1")).await.json["message_id"].clone();
    api.door("act", &json!({"act": "archive", "team_id": "g"}))
        .await;
    let second = with(
        message("n.2"),
        &[
            ("replaces", json!("n.1")),
            ("change", json!("wrong_patient")),
        ],
    );
    let answer = api.post(MESSAGES, &second).await;
    assert_eq!(answer.status, 201);
    let changes = api.get("/v1/changes").await.json;
    let old = &changes["items"][0];
    assert_eq!(
        (&old["data"]["message_id"], &old["data"]["replaced_by"]),
        (&first, &answer.json["message_id"])
    );
    assert_eq!(old["data"]["body"], "");
    assert_eq!(api.state().await["posts"][0]["withdrawn"], true);
}

#[tokio::test]
async fn documents_are_checked_stored_and_linked() {
    let (_running, api) = start_vital_link().await;
    let first = api
        .upload(
            DOCUMENTS,
            "application/pdf",
            PDF,
            &sha256(PDF),
            Some(&meta("d.1")),
        )
        .await;
    assert_eq!(
        (first.status, first.json["sha256"].as_str()),
        (201, Some(sha256(PDF).as_str()))
    );
    let again = api
        .upload(
            DOCUMENTS,
            "application/pdf",
            PDF,
            &sha256(PDF),
            Some(&meta("d.1")),
        )
        .await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    let changed = api
        .upload(
            DOCUMENTS,
            "application/pdf",
            b"%PDF-1.4 other",
            &sha256(b"%PDF-1.4 other"),
            Some(&meta("d.1")),
        )
        .await;
    assert_eq!(changed.code(), "uid_conflict");
    assert_eq!(
        api.upload(
            DOCUMENTS,
            "application/pdf",
            PDF,
            &sha256(b""),
            Some(&meta("d.2"))
        )
        .await
        .code(),
        "checksum_mismatch"
    );
    assert_eq!(
        api.upload(
            DOCUMENTS,
            "text/html",
            PDF,
            &sha256(PDF),
            Some(&meta("d.2"))
        )
        .await
        .code(),
        "unsupported_media_type"
    );
    assert_eq!(
        api.upload(DOCUMENTS, "application/pdf", PDF, &sha256(PDF), None)
            .await
            .code(),
        "bad_request"
    );
    let id = first.json["document_id"].as_str().unwrap();
    assert_eq!(
        api.post(
            MESSAGES,
            &with(message("n.1"), &[("documents", json!([id]))])
        )
        .await
        .status,
        201
    );
    let bytes = api
        .request(Method::GET, &format!("/v1/documents/{id}"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(&bytes[..], PDF);
    let cancel = with(
        message("d.1x"),
        &[("replaces", json!("d.1")), ("change", json!("cancelled"))],
    );
    assert_eq!(
        api.post(MESSAGES, &cancel).await.status,
        201,
        "a message may take back a document"
    );
    let state = api.state().await;
    assert_eq!(
        state["documents"][0]["replaced_by"],
        state["posts"][1]["entry_id"]
    );
    assert_eq!(
        state["files"][0]["base64"],
        data_encoding::BASE64.encode(PDF)
    );
}

#[tokio::test]
async fn vitals_are_answered_item_by_item() {
    let (_running, api) = start_vital_link().await;
    let path = "/v1/patients/pt-g/vitals";
    let vital = |uid: &str, code: &str, value: Value, unit: &str| json!({"uid": uid, "code": code, "value": value, "unit": unit, "measured_at": "2025-02-01T00:00:00Z"});
    let batch = json!([
        vital("v1", "BT", json!(36.5), "Cel"),
        vital("v2", "SPO2", json!(101), "%"),
        vital("v3", "BT", json!(36.5), "degF"),
        vital("v4", "XX", json!(1), "1"),
        vital("v5", "BT", json!("36.5"), "Cel"),
        vital("v1", "BT", json!(37.5), "Cel"),
    ]);
    let answer = api.post(path, &batch).await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        answer.json["items"],
        json!([
            {"uid": "v1", "status": 201}, {"uid": "v2", "status": 422, "code": "out_of_range"},
            {"uid": "v3", "status": 422, "code": "wrong_unit"}, {"uid": "v4", "status": 422, "code": "unknown_code"},
            {"uid": "v5", "status": 422, "code": "bad_value"}, {"uid": "v1", "status": 409, "code": "uid_conflict"},
        ])
    );
    let again = api
        .post(path, &json!([vital("v1", "BT", json!(36.50), "Cel")]))
        .await;
    assert_eq!(again.json["items"], json!([{"uid": "v1", "status": 200}]));
    assert_eq!(api.post(path, &json!({})).await.status, 400);
    assert_eq!(api.post(path, &json!([])).await.code(), "too_many_items");
    assert_eq!(
        api.post("/v1/patients/pt-none/vitals", &batch).await.status,
        404
    );
    assert_eq!(
        api.post("/v1/patients/pt-g-strangers/vitals", &batch)
            .await
            .code(),
        "not_a_member"
    );
    assert_eq!(
        api.post("/v1/patients/pt-g-no-consent/vitals", &batch)
            .await
            .code(),
        "no_consent"
    );
    assert_eq!(
        api.post("/v1/patients/pt-g-archived/vitals", &batch)
            .await
            .code(),
        "archived"
    );
    assert_eq!(api.state().await["counts"]["vitals"], 1);
}

#[tokio::test]
async fn changes_tell_everything_in_order_from_a_cursor() {
    let (running, api) = start_vital_link().await;
    let id = api.post(MESSAGES, &message("n.1")).await.json["message_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let member = json!({"user_ref": "n2", "display": "坂", "facility_id": "B", "professions": []});
    let vital = json!({"uid": "home-1", "code": "SPO2", "value": 96, "unit": "%", "measured_at": "2025-02-01T00:00:00Z"});
    let header = json!({"local_id": "0000123456", "kana": "ヤマモト キョウコ", "birth_date": "1939-02-16", "sex": "female", "name": "山本 京子"});
    let acts = [
        json!({"act": "ack", "entry_id": id, "user_ref": "nurse"}),
        json!({"act": "write", "team_id": "g", "user_ref": "nurse", "headline": "様子", "text": "発熱"}),
        json!({"act": "measure", "team_id": "g", "user_ref": "nurse", "vital": vital}),
        json!({"act": "invite", "team_id": "g", "member": member}),
        json!({"act": "remove", "team_id": "g", "user_ref": "n2"}),
        json!({"act": "set_patient", "team_id": "g", "patient": header}),
        json!({"act": "archive", "team_id": "g"}),
    ];
    for act in &acts {
        assert_eq!(api.door("act", act).await.status, 200, "{act}");
    }
    let mut types = Vec::new();
    let mut path = "/v1/changes?limit=3".to_owned();
    loop {
        let page = api.get(&path).await.json;
        types.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["type"].as_str().unwrap().to_owned()),
        );
        path = format!(
            "/v1/changes?limit=3&since={}",
            page["next_cursor"].as_str().unwrap()
        );
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(
        types,
        [
            "message",
            "read",
            "ack",
            "message",
            "vital",
            "member_added",
            "member_removed",
            "patient_changed",
            "room_archived"
        ]
    );
    assert_eq!(api.get(&path).await.json["items"], json!([]));
    let all = api.get("/v1/changes").await.json;
    assert_eq!(
        (
            all["items"][2]["data"]["uid"].as_str(),
            all["items"][2]["data"]["profession"].as_str()
        ),
        (Some("n.1"), Some("nurse"))
    );
    assert_eq!(all["items"][3]["data"]["origin"], "person");
    assert_eq!(
        (
            all["items"][4]["data"]["entered_by"].as_str(),
            all["items"][4]["patient_id"].as_str()
        ),
        (Some("坂本 花"), Some("pt-g"))
    );
    let b = Api::login(&running, "b", "sb").await;
    let seen = b.get("/v1/changes").await.json;
    assert_eq!(
        seen["items"][0]["data"]["uid"],
        Value::Null,
        "another client's uid is not shown"
    );
    b.door(
        "act",
        &json!({"act": "remove", "team_id": "g", "user_ref": "nurse"}),
    )
    .await;
    let last = b.get("/v1/changes").await.json;
    let types: Vec<_> = last["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].clone())
        .collect();
    assert_eq!(
        types,
        ["member_removed", "member_removed"],
        "a facility that left sees its own removals only"
    );
}
