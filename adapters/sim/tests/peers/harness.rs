//! A client of a simulator, as a sending system would be one.

use std::net::SocketAddr;
use std::time::Duration;

use renkei_sim::{Running, Seed, mcs, vital_link};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) const PDF: &[u8] = b"%PDF-1.7\n% an empty page\n";

/// A port nobody has yet.
pub(crate) fn free() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn http() -> reqwest::Client {
    // Plain HTTP only, but the client wants a provider to exist. A second installation is refused: fine.
    let _second = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// Two clients with an agreement, one without; five teams, one per situation.
pub(crate) fn seed() -> Seed {
    let header = |local_id: &str, kana: &str| json!({"local_id": local_id, "kana": kana, "birth_date": "1939-02-15", "sex": "female", "name": "山本 京子"});
    let members = json!([
        {"user_ref": "sys-a", "display": "病院A", "facility_id": "A", "professions": ["medical-clerk"]},
        {"user_ref": "nurse", "display": "坂本 花", "facility_id": "B", "professions": ["nurse", "public-health-nurse"]},
    ]);
    let team = |id: &str, kind: &str| json!({"id": id, "kind": kind, "host_facility_id": "A", "patient": header("0000123456", "ヤマモト キョウコ"), "members": members});
    let mut archived = team("g-archived", "professional");
    archived["status"] = json!("archived");
    let mut refused = team("g-no-consent", "professional");
    refused["consent"] = json!(false);
    let mut free = team("g-free", "free");
    free["patient"] = Value::Null;
    let strangers = json!({"id": "g-strangers", "host_facility_id": "C", "patient": header("77", "サカモト タロウ"),
        "members": [{"user_ref": "x", "display": "x", "facility_id": "C"}]});
    serde_json::from_value(json!({
        "clients": [
            {"id": "a", "secret": "sa", "facility_id": "A"},
            {"id": "b", "secret": "sb", "facility_id": "B"},
            {"id": "unsigned", "secret": "su", "facility_id": "A", "agreement": false},
        ],
        "facilities": [
            {"facility_id": "A", "name": "架空総合病院", "type": "hospital"},
            {"facility_id": "B", "name": "架空訪問看護", "type": "visit-nurse-station", "admin": "nurse"},
        ],
        "teams": [team("g", "professional"), archived, refused, free, strangers, team("g-family", "family")],
    }))
    .unwrap()
}

pub(crate) async fn start_mcs() -> (Running, Api) {
    let running = mcs::start(mcs::Config::new(free(), seed())).await.unwrap();
    let api = Api::login(&running, "a", "sa").await;
    (running, api)
}

pub(crate) async fn start_vital_link() -> (Running, Api) {
    let running = vital_link::start(vital_link::Config::new(free(), seed()))
        .await
        .unwrap();
    let api = Api::login(&running, "a", "sa").await;
    (running, api)
}

/// One logged-in client.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
}

/// Status, headers of interest and JSON of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) replayed: bool,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or("")
    }
}

pub(crate) async fn read(response: Response) -> Answer {
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (retry_after, replayed) = (
        header("retry-after"),
        header("idempotency-replayed").is_some(),
    );
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    Answer {
        status,
        retry_after,
        replayed,
        json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}

impl Api {
    pub(crate) async fn login(running: &Running, id: &str, secret: &str) -> Self {
        let answer = ask_token(
            &running.url(),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret),
            ],
        )
        .await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        Self {
            http: http(),
            base: running.url(),
            token: answer.json["access_token"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        read(
            self.request(Method::POST, path)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: &Value) -> Answer {
        read(
            self.request(Method::POST, path)
                .header("Idempotency-Key", key)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn upload(
        &self,
        path: &str,
        media_type: &str,
        bytes: &[u8],
        sha256: &str,
        meta: Option<&Value>,
    ) -> Answer {
        let file = Part::bytes(bytes.to_vec())
            .file_name("summary.pdf")
            .mime_str(media_type)
            .unwrap();
        let mut form = Form::new()
            .text("sha256", sha256.to_owned())
            .part("file", file);
        if let Some(meta) = meta {
            form = form.text("meta", meta.to_string());
        }
        read(
            self.request(Method::POST, path)
                .multipart(form)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// `/_sim/…`
    pub(crate) async fn door(&self, name: &str, body: &Value) -> Answer {
        read(
            self.http
                .post(format!("{}/_sim/{name}", self.base))
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn state(&self) -> Value {
        read(
            self.http
                .get(format!("{}/_sim/state", self.base))
                .send()
                .await
                .unwrap(),
        )
        .await
        .json
    }
}

pub(crate) async fn ask_token(base: &str, form: &[(&str, &str)]) -> Answer {
    read(
        http()
            .post(format!("{base}/oauth/token"))
            .form(form)
            .send()
            .await
            .unwrap(),
    )
    .await
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A post within every limit.
pub(crate) fn post(text: &str) -> Value {
    json!({
        "client_ref": "notice-1", "author": {"facility_id": "A", "user_ref": "sys-a", "display": "病院A", "profession": "medical-clerk"},
        "headline": "【退院】1/31(金) 架空総合病院 → 自宅", "text": text, "category": "discharge", "urgency": "u2",
        "ack_requested": true, "occurred_at": "2025-01-31T02:00:00Z", "source_note": "電子カルテから自動転送",
    })
}
