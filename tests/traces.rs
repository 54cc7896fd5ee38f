//! Spans of the walk, as a collector gets them.

use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use renkei_sim::hospital::Person;

use crate::harness::{TestHub, until};
use crate::hub::Config;
use crate::people::Told;
use crate::stores::On;

/// The words a hub names its spans with.
const SPANS: [&str; 5] = [
    "accept group",
    "process batch",
    "settle",
    "deliver group",
    "finish",
];

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_span_per_group_and_nothing_of_the_patient() {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let takes = heard.clone();
    let traces = move |headers: HeaderMap, body: bytes::Bytes| {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        takes.lock().unwrap().extend_from_slice(&body);
        std::future::ready("")
    };
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(traces));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let person = Person::synthetic(710);
    let config = Config {
        observe: format!("otlp = \"http://{address}\"\nalarms.free_space_percent = 0"),
        env: vec![("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned())],
        ..Config::on(&On::Sqlite)
    };
    let mut hub = TestHub::start(std::slice::from_ref(&person), config).await;
    let sent = hub.send(&Told::admitted(&person, 120).admit()).await;
    hub.idle().await;
    until("every kind of group was traced", async || {
        let heard = heard.lock().unwrap();
        SPANS.iter().all(|span| contains(&heard, span))
    })
    .await;
    // What is left at the end is handed over, too.
    heard.lock().unwrap().clear();
    hub.send(&Told::admitted(&person, 60).admit()).await;
    assert_eq!(hub.hub.terminate().await.code(), Some(0));
    let heard = heard.lock().unwrap();
    assert!(contains(&heard, "accept group"));
    for secret in [person.local_id.as_str(), sent.control_id.as_str()] {
        assert!(!contains(&heard, secret), "{secret}");
    }
    assert!(!hub.hub.log_text().contains("accept group"));
}
