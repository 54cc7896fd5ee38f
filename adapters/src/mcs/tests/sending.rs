//! Posts, documents, corrections, looks: the sink half.

use super::*;

#[tokio::test]
async fn a_post_arrives_as_written_with_its_document() {
    let peer = peer().await;
    let mut post = a_post();
    post.attachments = vec![a_pdf().reference];
    let delivery = a_delivery(&*peer.sink, &post, &a_channel(GROUP), 1);
    peer.confirmed(&delivery).await;
    let state = peer.doors.state().await;
    let request = &state["posts"][0]["request"];
    assert_eq!(request["headline"], post.headline);
    assert_eq!(request["text"], post.text);
    assert_eq!(request["author"]["facility_id"], "1311234567");
    assert_eq!(request["ack_requested"], true);
    assert_eq!(request["source_note"], post.source_note);
    assert_eq!(state["posts"][0]["key"], delivery.id.as_str());
    assert_eq!(state["files"][0]["sha256"], a_pdf().reference.sha256);
    assert_eq!(
        state["posts"][0]["files"],
        json!([state["files"][0]["file_id"]])
    );
}

#[tokio::test]
async fn a_repeat_after_a_lost_answer_makes_one_effect() {
    let peer = peer().await;
    let mut post = a_post();
    post.attachments = vec![a_pdf().reference];
    let delivery = a_delivery(&*peer.sink, &post, &a_channel(GROUP), 1);
    assert_eq!(
        delivery.payload,
        peer.sink.frame(&post, &delivery.channel).unwrap()
    );
    peer.doors
        .faults(json!({"drop": "after", "next": 1, "only": "/posts"}))
        .await;
    assert!(matches!(
        peer.send(&delivery).await,
        SendOutcome::Unknown { .. }
    ));
    peer.confirmed(&delivery).await;
    assert_eq!(peer.doors.key(delivery.id.as_str()).await, (2, 1));
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], 1);
    assert_eq!(state["files"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_upload_is_only_an_unavailable_peer() {
    let peer = peer().await;
    let mut post = a_post();
    post.attachments = vec![a_pdf().reference];
    let delivery = a_delivery(&*peer.sink, &post, &a_channel(GROUP), 1);
    peer.doors
        .faults(json!({"drop": "after", "next": 1, "only": "/attachments"}))
        .await;
    let outcome = peer.send(&delivery).await;
    assert!(
        matches!(
            outcome,
            SendOutcome::Retry {
                unavailable: true,
                ..
            }
        ),
        "{outcome:?}"
    );
    peer.confirmed(&delivery).await;
}

#[tokio::test]
async fn every_answer_has_its_outcome() {
    let peer = peer().await;
    let delivery = peer.delivery(1);
    for (status, blocks, rejects) in [
        (403, Some(Code::DLV_NOT_MEMBER), None),
        (404, Some(Code::DLV_CHANNEL_ARCHIVED), None),
        (410, Some(Code::DLV_CHANNEL_ARCHIVED), None),
        (409, None, Some(Code::DLV_KEY_REUSED)),
        (400, None, Some(Code::DLV_REJECTED)),
        (413, None, Some(Code::DLV_REJECTED)),
        (415, None, Some(Code::DLV_REJECTED)),
        (422, None, Some(Code::DLV_REJECTED)),
    ] {
        peer.doors
            .faults(json!({"status": status, "next": 1}))
            .await;
        let outcome = peer.send(&delivery).await;
        assert_eq!(
            (blocked(&outcome), rejected(&outcome)),
            (blocks, rejects),
            "{status}"
        );
    }
    for status in [500, 502, 503] {
        peer.doors
            .faults(json!({"status": status, "next": 1, "retry_after_secs": 7}))
            .await;
        match peer.send(&delivery).await {
            SendOutcome::Retry {
                after,
                unavailable: true,
                ..
            } => assert_eq!(after.unwrap().as_secs(), 7),
            other => panic!("{other:?}"),
        }
    }
    peer.doors
        .faults(json!({"status": 429, "next": 1, "retry_after_secs": 9}))
        .await;
    match peer.send(&delivery).await {
        SendOutcome::Retry {
            after,
            unavailable: false,
            ..
        } => assert_eq!(after.unwrap().as_secs(), 9),
        other => panic!("{other:?}"),
    }
    assert_eq!(peer.doors.state().await["counts"]["posts"], 0);
    peer.confirmed(&delivery).await;
}

#[tokio::test]
async fn a_silent_peer_costs_one_timeout_and_the_rest_of_the_batch_waits() {
    let peer = peer().await;
    let mut batch: Vec<Delivery> = (1..=20).map(|version| peer.delivery(version)).collect();
    for (at, delivery) in batch.iter_mut().enumerate() {
        delivery.channel.person = renkei_core::PersonId(i64::try_from(at % 2).unwrap());
    }
    peer.doors.faults(json!({"latency_ms": 60_000})).await;
    let begun = std::time::Instant::now();
    let outcomes = peer.sink.send(&batch).await;
    assert!(begun.elapsed().as_millis() < 2_000, "{:?}", begun.elapsed());
    assert_eq!(outcomes.len(), 20);
    let unknown = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, SendOutcome::Unknown { .. }));
    assert_eq!(unknown.count(), 2);
    assert!(matches!(outcomes[19], SendOutcome::Retry { .. }));
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable() {
    let peer = peer().await;
    let delivery = peer.delivery(1);
    let Peer {
        _sim: sim, sink, ..
    } = peer;
    sim.stop().await;
    let outcome = sink.send(&[delivery]).await.remove(0);
    assert!(
        matches!(
            outcome,
            SendOutcome::Retry {
                unavailable: true,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(matches!(sink.probe().await, Err(SendError::Unavailable(_))));
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_wrong_credentials_are_named() {
    let limits = Limits {
        token_secs: 10,
        ..Limits::default()
    };
    let peer = peer_with(limits, "demo-secret", "", None).await;
    peer.sink.probe().await.unwrap();
    // The peer's clock runs ahead: our token is dead there before we think so.
    peer.doors.faults(json!({"clock_skew_secs": 20})).await;
    peer.confirmed(&peer.delivery(1)).await;

    let peer = peer_with(Limits::default(), "wrong", "", None).await;
    match peer.send(&peer.delivery(1)).await {
        SendOutcome::Retry {
            unavailable: true,
            source,
            ..
        } => {
            assert!(
                source
                    .to_string()
                    .starts_with(Code::DLV_CREDENTIALS.as_str())
            );
        }
        other => panic!("{other:?}"),
    }
    let probe = peer.sink.probe().await;
    assert!(matches!(
        probe,
        Err(SendError::Refused {
            code: Code::DLV_CREDENTIALS
        })
    ));
}

#[tokio::test]
async fn a_key_with_another_content_is_refused() {
    let peer = peer().await;
    peer.confirmed(&peer.delivery(1)).await;
    let mut post = a_post();
    post.text = "別の内容".to_owned();
    let other = a_delivery(&*peer.sink, &post, &a_channel(GROUP), 1);
    assert_eq!(
        rejected(&peer.send(&other).await),
        Some(Code::DLV_KEY_REUSED)
    );
}

#[tokio::test]
async fn no_consent_holds_and_an_archive_holds() {
    let peer = peer().await;
    peer.doors
        .act(json!({"act": "set_consent", "team_id": GROUP, "consent": false}))
        .await;
    assert_eq!(
        blocked(&peer.send(&peer.delivery(1)).await),
        Some(Code::DLV_NOT_MEMBER)
    );
    peer.doors
        .act(json!({"act": "set_consent", "team_id": GROUP, "consent": true}))
        .await;
    peer.doors
        .act(json!({"act": "archive", "team_id": GROUP}))
        .await;
    assert_eq!(
        blocked(&peer.send(&peer.delivery(1)).await),
        Some(Code::DLV_CHANNEL_ARCHIVED)
    );
}

#[tokio::test]
async fn a_correction_replies_to_the_first_post_and_marks_it() {
    let peer = peer().await;
    let first = peer.delivery(1);
    let posted = peer.confirmed(&first).await;
    let correction = peer.correction(&first, &posted, Change::Corrected, 2);
    peer.doors
        .faults(json!({"drop": "after", "next": 1, "only": "/corrections"}))
        .await;
    assert!(matches!(
        peer.send(&correction).await,
        SendOutcome::Unknown { .. }
    ));
    let reply = peer.confirmed(&correction).await;
    assert_ne!(reply, posted);
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], 2);
    assert_eq!(state["posts"][1]["request"]["reply_to"], posted.as_str());
    let headline = state["posts"][1]["request"]["headline"].as_str().unwrap();
    assert!(headline.starts_with("【訂正】"), "{headline}");
    let marks = state["posts"][0]["corrections"].as_array().unwrap();
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0]["kind"], "corrected");
}

#[tokio::test]
async fn a_wrong_patient_post_disappears_with_everything_told_since() {
    let peer = peer().await;
    let first = peer.delivery(1);
    let posted = peer.confirmed(&first).await;
    let correction = peer.correction(&first, &posted, Change::Corrected, 2);
    peer.confirmed(&correction).await;
    peer.doors
        .act(json!({"act": "write", "team_id": GROUP, "user_ref": "u-nurse", "headline": "返信", "text": "了解しました", "reply_to": posted.as_str()}))
        .await;
    let recall = peer.correction(&first, &posted, Change::WrongPatient, 3);
    peer.confirmed(&recall).await;
    peer.confirmed(&recall).await;
    let state = peer.doors.state().await;
    let withdrawn: Vec<&Value> = state["posts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|post| &post["withdrawn"])
        .collect();
    assert_eq!(withdrawn, [true, true, false, false]);
    assert_eq!(state["counts"]["posts"], 4);
}

#[tokio::test]
async fn undoing_works_without_consent_and_a_correction_is_held() {
    let peer = peer().await;
    let first = peer.delivery(1);
    let posted = peer.confirmed(&first).await;
    peer.doors
        .act(json!({"act": "set_consent", "team_id": GROUP, "consent": false}))
        .await;
    let correction = peer.correction(&first, &posted, Change::Corrected, 2);
    assert_eq!(
        blocked(&peer.send(&correction).await),
        Some(Code::DLV_NOT_MEMBER)
    );
    let cancellation = peer.correction(&first, &posted, Change::Cancelled, 3);
    assert_eq!(peer.confirmed(&cancellation).await, posted);
    let state = peer.doors.state().await;
    let marks = state["posts"][0]["corrections"].as_array().unwrap();
    assert_eq!(marks.len(), 2);
    assert_eq!(marks[1]["kind"], "cancelled");
}

#[tokio::test]
async fn a_long_text_becomes_numbered_posts_with_keys_of_their_own() {
    let peer = peer().await;
    let mut post = a_post();
    post.text = "経過の記録です。\n".repeat(300);
    let delivery = a_delivery(&*peer.sink, &post, &a_channel(GROUP), 1);
    let posted = peer.confirmed(&delivery).await;
    assert_eq!(peer.confirmed(&delivery).await, posted);
    let state = peer.doors.state().await;
    assert_eq!(state["counts"]["posts"], 2);
    assert_eq!(state["posts"][1]["request"]["reply_to"], posted.as_str());
    assert!(
        state["posts"][1]["request"]["text"]
            .as_str()
            .unwrap()
            .starts_with("(2/2)\n")
    );
}

#[tokio::test]
async fn a_look_shows_who_reads_and_about_whom() {
    let peer = peer().await;
    let channel = a_channel(GROUP);
    let view = peer.sink.look(&channel).await.unwrap();
    assert_eq!(view.header, Some(channel.header.clone()));
    assert_eq!(view.kind, ChannelKind::Professional);
    let readers = view.members.as_ref().unwrap();
    // Four members, one of them our own system account: it is no reader.
    assert_eq!(readers.len(), 3);
    assert!(
        readers
            .iter()
            .all(|reader| reader.user_ref != "renkei-hospital")
    );
    assert!(!view.archived);
    let other = json!({"local_id": "0000999999", "kana": "ベツ ヒト", "birth_date": "1950-01-01", "sex": "male", "name": "別人"});
    peer.doors
        .act(json!({"act": "set_patient", "team_id": GROUP, "patient": other}))
        .await;
    peer.doors
        .act(json!({"act": "archive", "team_id": GROUP}))
        .await;
    let view = peer.sink.look(&channel).await.unwrap();
    assert_ne!(view.header, Some(channel.header));
    assert!(view.archived);
    let gone = peer.sink.look(&a_channel("no/such group")).await;
    assert!(matches!(
        gone,
        Err(SendError::Refused {
            code: Code::DLV_CHANNEL_ARCHIVED
        })
    ));
}

#[tokio::test]
async fn every_group_of_a_long_list_is_found() {
    let peer = peer().await;
    let teams: Vec<Value> = (0..250)
        .map(|number| json!({"id": format!("g-{number:04}"), "host_facility_id": "1311234567", "patient": null}))
        .collect();
    peer.doors.seed(json!({ "teams": teams })).await;
    assert_eq!(peer.sink.channels().await.unwrap().len(), 253);
}

#[tokio::test]
async fn another_dialect_is_served_by_settings_alone() {
    let peer = peer_with(
        Limits::default(),
        "demo-secret",
        "",
        Some(Dialect::ward_w2()),
    )
    .await;
    let first = peer.delivery(1);
    let posted = peer.confirmed(&first).await;
    let recall = peer.correction(&first, &posted, Change::WrongPatient, 2);
    peer.confirmed(&recall).await;
    peer.confirmed(&recall).await;
    assert_eq!(peer.sink.channels().await.unwrap().len(), 3);
    assert!(
        peer.sink
            .look(&a_channel(GROUP))
            .await
            .unwrap()
            .header
            .is_some()
    );
    let state = peer.doors.state().await;
    assert_eq!(state["posts"][0]["withdrawn"], true);
    assert_eq!(state["posts"][1]["withdrawn"], false);
    assert_eq!(state["counts"]["posts"], 2);
    let inbox = Arc::new(MemoryInbox::default());
    let running = start(peer.source.clone().unwrap(), Arc::clone(&inbox));
    peer.doors.acknowledge(posted.as_str(), "u-nurse").await;
    inbox.wait_for(1).await;
    running.stop().await;
}

#[tokio::test]
async fn errors_repeat_nothing_of_the_post() {
    let peer = peer().await;
    let mut post = a_post();
    post.headline = "ヤマモト様".to_owned();
    let delivery = a_delivery(&*peer.sink, &post, &a_channel("g-gone"), 1);
    for fault in [
        json!({"status": 422}),
        json!({"status": 500}),
        json!({"drop": "before"}),
    ] {
        peer.doors.faults(fault).await;
        let printed = format!("{:?}", peer.send(&delivery).await);
        assert!(
            !printed.contains("ヤマモト") && !printed.contains("g-gone"),
            "{printed}"
        );
    }
}
