//! §7.1 and §7.3: `sns-gateway/1` behind other paths and other JSON.

use axum::http::HeaderName;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::Said;
use crate::hash::hex_sha256;
use crate::refusal::Refusal;
use crate::request::{Body, Call, Part};

/// How far the time of a signature may be off, in seconds.
const MAX_AGE_SECS: u64 = 300;

/// Paths and key of one peer.
#[derive(Debug)]
pub(super) struct Care {
    base: &'static str,
    signing_key: Option<String>,
}

impl Care {
    pub(super) fn signed(base: &'static str, key: String) -> Self {
        Self {
            base,
            signing_key: Some(key),
        }
    }

    pub(super) fn unsigned(base: &'static str) -> Self {
        Self {
            base,
            signing_key: None,
        }
    }

    pub(super) fn hear(&self, call: &mut Call, now: Timestamp) -> Result<(), Refusal> {
        if call.path == format!("/{}/token", self.base) {
            call.path = "/oauth/token".to_owned();
            return Ok(());
        }
        if let Some(key) = &self.signing_key {
            check_signature(call, key, now)?;
        }
        let path = call.path.clone();
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        let Some((base, steps)) = steps.split_first() else {
            return Err(Refusal::not_found("path"));
        };
        if *base != self.base {
            return Err(Refusal::not_found("path"));
        }
        let (path, body) = match (call.method.as_str(), steps) {
            ("GET", ["offices"]) => ("/v1/facilities".to_owned(), None),
            ("GET", ["teams"]) => ("/v1/patient-groups".to_owned(), None),
            ("GET", ["teams", team]) => (format!("/v1/patient-groups/{team}"), None),
            ("GET", ["teams", team, "reports"]) => {
                (format!("/v1/patient-groups/{team}/posts"), None)
            }
            ("POST", ["teams", team, "reports"]) => (
                format!("/v1/patient-groups/{team}/posts"),
                Some(report(call.json()?)?),
            ),
            ("GET", ["reports", report]) => (format!("/v1/posts/{report}"), None),
            ("POST", ["reports", report, "marks"]) => (
                format!("/v1/posts/{report}/corrections"),
                Some(mark(call.json()?)?),
            ),
            ("GET", ["confirmations"]) => ("/v1/acks".to_owned(), None),
            ("GET", ["tickets", ticket]) => (format!("/tickets/{ticket}"), None),
            ("POST", ["files"]) => {
                call.body = file(call)?;
                ("/v1/attachments".to_owned(), None)
            }
            _ => return Err(Refusal::not_found("path")),
        };
        call.path = path;
        for (theirs, ours) in [
            ("page", "cursor"),
            ("size", "limit"),
            ("from", "since"),
            ("after", "since"),
        ] {
            if let Some(value) = call.query.remove(theirs) {
                call.query.insert(ours.to_owned(), value);
            }
        }
        if let Some(body) = body {
            call.body = Body::Json(body);
            call.headers.remove("idempotency-key");
            if let Some(key) = call.headers.get("x-request-no").cloned() {
                call.headers
                    .insert(HeaderName::from_static("idempotency-key"), key);
            }
        }
        Ok(())
    }
}

fn check_signature(call: &Call, key: &str, now: Timestamp) -> Result<(), Refusal> {
    let refused = || Refusal::new(401, "bad_signature", "the call is not signed as agreed");
    let time = call.header("x-care-time").ok_or_else(refused)?;
    let seconds: i64 = time.parse().map_err(|_| refused())?;
    if now.as_second().abs_diff(seconds) > MAX_AGE_SECS {
        return Err(refused());
    }
    let text = format!(
        "{}\n{}\n{time}\n{}",
        call.method.as_str(),
        call.target,
        hex_sha256(&call.raw)
    );
    let given = call.header("x-care-signature").ok_or_else(refused)?;
    let given = data_encoding::BASE64
        .decode(given.as_bytes())
        .map_err(|_| refused())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| refused())?;
    mac.update(text.as_bytes());
    mac.verify_slice(&given).map_err(|_| refused())
}

/// Reads an object whose fields are all known.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn of(value: &'a Value, known: &[&str]) -> Result<Self, Refusal> {
        let map = value
            .as_object()
            .ok_or_else(|| Refusal::bad_request("an object is wanted"))?;
        if map.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(Refusal::bad_request("unknown field"));
        }
        Ok(Self(map))
    }

    fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.maybe(name)
            .ok_or_else(|| Refusal::bad_request("missing field"))
    }

    fn maybe(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

fn report(body: &Value) -> Result<Value, Refusal> {
    let outer = Fields::of(body, &["report"])?;
    let inner = outer.0.get("report").unwrap_or(&Value::Null);
    let fields = Fields::of(
        inner,
        &[
            "ref",
            "from",
            "title",
            "lines",
            "kind",
            "priority",
            "wantsReply",
            "happened",
            "note",
            "answers",
            "files",
        ],
    )?;
    let from = fields.0.get("from").unwrap_or(&Value::Null);
    let from = Fields::of(from, &["office", "id", "name", "job"])?;
    let wants = fields.0.get("wantsReply").and_then(Value::as_bool);
    let wants = wants.ok_or_else(|| Refusal::bad_request("wantsReply is true or false"))?;
    let mut post = json!({
        "client_ref": fields.text("ref")?,
        "author": {
            "facility_id": from.text("office")?, "user_ref": from.text("id")?,
            "display": from.text("name")?, "profession": from.text("job")?,
        },
        "headline": fields.text("title")?,
        "text": fields.text("lines")?,
        "category": fields.text("kind")?,
        "urgency": format!("u{}", fields.text("priority")?),
        "ack_requested": wants,
        "occurred_at": fields.text("happened")?,
        "source_note": fields.text("note")?,
    });
    if let Some(answers) = fields.maybe("answers") {
        post["reply_to"] = json!(answers);
    }
    if let Some(files) = fields.0.get("files") {
        let files = files
            .as_array()
            .ok_or_else(|| Refusal::bad_request("files is a list"))?;
        let numbers: Result<Vec<&str>, Refusal> = files
            .iter()
            .map(|file| Fields::of(file, &["fileNo"])?.text("fileNo"))
            .collect();
        post["attachments"] = json!(numbers?);
    }
    Ok(post)
}

fn mark(body: &Value) -> Result<Value, Refusal> {
    let fields = Fields::of(body, &["mark", "lines"])?;
    let kind = match fields.text("mark")? {
        "CORRECTED" => "corrected",
        "CANCELLED" => "cancelled",
        "WRONG" => "wrong_patient",
        _ => return Err(Refusal::unprocessable("bad_value", "mark")),
    };
    Ok(json!({"kind": kind, "text": fields.text("lines")?}))
}

/// The bytes of a document as the body, its name and hash as headers.
fn file(call: &Call) -> Result<Body, Refusal> {
    let header = |name: &str| {
        let value = call.header(name).map(str::to_owned);
        value.ok_or_else(|| Refusal::bad_request("a header of the file is missing"))
    };
    let part = |name: &str, bytes, media_type| Part {
        name: name.to_owned(),
        file_name: None,
        media_type,
        bytes,
    };
    let sha256 = header("x-file-sha256")?;
    let mut file = part("file", call.raw.clone(), Some(header("content-type")?));
    file.file_name = Some(header("x-file-name")?);
    Ok(Body::Parts(vec![file, part("sha256", sha256.into(), None)]))
}

/// An answer of the contract in the words of the dialect.
pub(super) fn answer(call: &Call, value: Value) -> Value {
    let steps = call.segments();
    match (call.method.as_str(), steps.as_slice()) {
        ("GET", ["v1", "facilities"]) => json!({"offices": value["items"]}),
        ("GET", ["v1", "patient-groups"]) => page(&value, "teams", team),
        ("GET", ["v1", "patient-groups", _]) => team(&value),
        ("GET", ["v1", "patient-groups", _, "posts"]) => page(&value, "reports", shown),
        ("GET", ["v1", "posts", _]) => shown(&value),
        ("GET", ["v1", "acks"]) => page(&value, "confirmations", confirmation),
        ("POST", ["v1", "attachments"]) => json!({"fileNo": value["attachment_id"]}),
        ("POST", ["v1", "patient-groups", _, "posts"]) if value.get("post_id").is_some() => {
            json!({"reportNo": value["post_id"], "at": value["accepted_at"]})
        }
        ("POST", ["v1", "posts", _, "corrections"]) if value.get("correction_id").is_some() => {
            json!({"markNo": value["correction_id"]})
        }
        _ => value,
    }
}

fn page(value: &Value, name: &str, one: fn(&Value) -> Value) -> Value {
    let items: Vec<Value> = value["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(one)
        .collect();
    let mut page = json!({"next": value["next_cursor"]});
    page[name] = json!(items);
    if let Some(more) = value.get("more") {
        page["hasMore"] = more.clone();
    }
    page
}

fn jobs(value: &Value) -> String {
    let jobs = value.as_array().into_iter().flatten();
    let jobs: Vec<&str> = jobs.filter_map(Value::as_str).collect();
    jobs.join(",")
}

fn team(value: &Value) -> Value {
    let person = match &value["patient"] {
        Value::Null => Value::Null,
        patient => {
            let born = patient["birth_date"]
                .as_str()
                .unwrap_or("")
                .replace('-', "");
            let gender = match patient["sex"].as_str() {
                Some("male") => "M",
                Some("female") => "F",
                Some("other") => "O",
                _ => "U",
            };
            json!({
                "no": patient["local_id"], "kana": patient["kana"], "born": born, "gender": gender,
                "name": patient["name"],
            })
        }
    };
    let category = match value["kind"].as_str() {
        Some("professional") => "CARE",
        Some("family") => "FAMILY",
        Some("direct") => "DIRECT",
        _ => "FREE",
    };
    let members: Vec<Value> = value["members"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|member| {
            json!({
                "id": member["user_ref"], "office": member["facility_id"],
                "jobs": jobs(&member["professions"]),
            })
        })
        .collect();
    json!({
        "teamNo": value["group_id"], "category": category, "closed": value["status"] != "active",
        "office": value["host_facility_id"], "person": person, "member": members,
    })
}

fn shown(value: &Value) -> Value {
    json!({
        "reportNo": value["post_id"], "at": value["accepted_at"], "answers": value["reply_to"],
        "ref": value["client_ref"], "removed": value["withdrawn"],
    })
}

fn confirmation(value: &Value) -> Value {
    json!({
        "no": value["ack_id"], "reportNo": value["post_id"], "who": value["user_ref"],
        "jobs": jobs(&value["professions"]), "at": value["acked_at"],
    })
}

/// The dialect's word for a refusal.
pub(super) fn code(no: &Refusal) -> &'static str {
    match no.code {
        "invalid_token" => "E-TOKEN",
        "bad_signature" => "E-SIGN",
        "not_a_member" | "author_not_yours" | "kind_not_allowed" => "E-MEMBER",
        "no_consent" => "E-CONSENT",
        "no_agreement" => "E-AGREEMENT",
        "archived" => "E-CLOSED",
        "not_found" => "E-NOTHING",
        "idempotency_conflict" => "E-KEY",
        "bad_cursor" => "E-PLACE",
        "rate_limited" => "E-SLOW",
        "fault" => "E-FAULT",
        _ => "E-SHAPE",
    }
}

/// Whatever the contract refuses is 400 here; only tokens, haste and failures have a status of their own.
pub(super) fn refusal(no: &Refusal) -> Said {
    let status = match no.status {
        401 | 429 | 500..=599 => no.status,
        _ => 400,
    };
    Said::json(status, &json!({"result": code(no)}))
}
