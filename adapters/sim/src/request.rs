//! One call to a peer, read completely before anything is decided.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::refusal::Refusal;

/// Largest request a peer reads (`CONTRACT.md` §1, Files).
pub(crate) const MAX_REQUEST_BYTES: usize = 25 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// The body as it came; empty when it was too large.
    pub(crate) raw: Bytes,
}

/// The body, as its content type says.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Json(Value),
    Form(HashMap<String, String>),
    Parts(Vec<Part>),
    Empty,
    Other,
    /// The content type promised something the bytes are not.
    Broken,
    TooLarge,
}

/// One part of a multipart body.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// An answer: JSON, or the bytes of a file.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) replayed: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Json(Value),
    File { media_type: String, bytes: Bytes },
}

impl Reply {
    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self {
            status,
            content: Content::Json(value),
            replayed: false,
        }
    }

    pub(crate) fn replay(value: Value) -> Self {
        Self {
            status: 200,
            content: Content::Json(value),
            replayed: true,
        }
    }
}

impl Call {
    /// Reads the whole request; a body that cannot be read is a finding, not an error.
    pub(crate) async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let (body, raw) = match axum::body::to_bytes(body, MAX_REQUEST_BYTES).await {
            Ok(bytes) => (read_body(&parts, bytes.clone()).await, bytes),
            Err(_) => (Body::TooLarge, Bytes::new()),
        };
        let target = parts.uri.path_and_query();
        let query = Query::try_from_uri(&parts.uri)
            .map(|Query(query)| query)
            .unwrap_or_default();
        Self {
            path: parts.uri.path().to_owned(),
            target: target.map(ToString::to_string).unwrap_or_default(),
            method: parts.method,
            query,
            headers: parts.headers,
            body,
            raw,
        }
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The JSON body, or why there is none.
    pub(crate) fn json(&self) -> Result<&Value, Refusal> {
        match &self.body {
            Body::Json(value) => Ok(value),
            Body::Broken | Body::Empty => Err(Refusal::bad_request("the body is not JSON")),
            Body::TooLarge => Err(too_large()),
            Body::Form(_) | Body::Parts(_) | Body::Other => Err(Refusal::new(
                415,
                "unsupported_media_type",
                "send application/json",
            )),
        }
    }

    /// The multipart body, or why there is none.
    pub(crate) fn parts(&self) -> Result<&[Part], Refusal> {
        match &self.body {
            Body::Parts(parts) => Ok(parts),
            Body::Broken => Err(Refusal::bad_request("the multipart body cannot be read")),
            Body::TooLarge => Err(too_large()),
            Body::Json(_) | Body::Form(_) | Body::Empty | Body::Other => Err(Refusal::new(
                415,
                "unsupported_media_type",
                "send multipart/form-data",
            )),
        }
    }
}

/// Reads a JSON value into the documented shape. serde's text may quote values, so only its
/// sentences about field names are passed on.
pub(crate) fn shape<T: DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|error| {
        let text = error.to_string();
        if text.starts_with("unknown field") || text.starts_with("missing field") {
            Refusal::bad_request(text)
        } else {
            Refusal::bad_request("a field has the wrong type or value")
        }
    })
}

fn too_large() -> Refusal {
    Refusal::new(
        413,
        "too_large",
        "the request is larger than the peer reads",
    )
}

async fn read_body(head: &Parts, bytes: Bytes) -> Body {
    let declared = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let media_type = declared
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match media_type.as_str() {
        "" if bytes.is_empty() => Body::Empty,
        "application/json" => serde_json::from_slice(&bytes).map_or(Body::Broken, Body::Json),
        "application/x-www-form-urlencoded" => read_form(&bytes),
        "multipart/form-data" => read_parts(head, bytes).await,
        _ => Body::Other,
    }
}

fn read_form(bytes: &[u8]) -> Body {
    // A query string and a form body share one syntax.
    let uri = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| format!("/?{text}").parse::<Uri>().ok());
    match uri.map(|uri| Query::try_from_uri(&uri)) {
        Some(Ok(Query(form))) => Body::Form(form),
        _ => Body::Broken,
    }
}

async fn read_parts(head: &Parts, bytes: Bytes) -> Body {
    // With the original head, so that the router's lifted body limit holds here too.
    let request = Request::from_parts(head.clone(), axum::body::Body::from(bytes));
    let Ok(mut multipart) = Multipart::from_request(request, &()).await else {
        return Body::Broken;
    };
    let mut parts = Vec::new();
    loop {
        match multipart.next_field().await {
            Ok(None) => return Body::Parts(parts),
            Ok(Some(field)) => {
                let name = field.name().unwrap_or("").to_owned();
                let file_name = field.file_name().map(str::to_owned);
                let media_type = field.content_type().map(str::to_owned);
                let Ok(bytes) = field.bytes().await else {
                    return Body::Broken;
                };
                parts.push(Part {
                    name,
                    file_name,
                    media_type,
                    bytes,
                });
            }
            Err(_) => return Body::Broken,
        }
    }
}
