//! The dialects that come with renkei, and what is said of mistakes in one.

use super::super::Shipped;
use super::*;

const CARE: &str = include_str!("../../../../adapters/dialects/care.yaml");
const CITY: &str = include_str!("../../../../adapters/dialects/city.yaml");
const ROOM: &str = include_str!("../../../../adapters/dialects/room-xml.yaml");

fn load(text: &str) -> Result<Dialect, Problems> {
    Dialect::load("d.yaml", text, &Shipped)
}

#[test]
fn what_is_shipped_loads_and_its_tests_hold() {
    for text in [CARE, CITY, ROOM] {
        assert!(Dialect::is_one(text));
        let dialect = load(text).unwrap_or_else(|problems| panic!("{problems}"));
        let outcomes = dialect.test();
        assert!(outcomes.len() >= 3);
        for outcome in outcomes {
            assert!(outcome.problems.is_empty(), "{outcome:?}");
        }
    }
}

#[test]
fn a_mistake_is_pointed_at() {
    for (base, from, to, says) in [
        (
            CARE,
            "speaks: sns-gateway/1",
            "speaks: sns-gatway/1",
            "did you mean `sns-gateway/1`?",
        ),
        (CARE, "  attach:", "  atach:", "did you mean `attach`?"),
        (
            CARE,
            "        title: body.headline",
            "        title: body.headlin",
            "did you mean `body.headline`?",
        ),
        (
            CARE,
            "post_id: reportNo\n\n  show",
            "post_di: reportNo\n\n  show",
            "did you mean `post_id`?",
        ),
        (
            CARE,
            "/care/teams/{group}/reports\n",
            "/care/teams/{headline}/reports\n",
            "cannot stand in a path: there are group, key",
        ),
        (
            CARE,
            "POST /care/files",
            "POST https://elsewhere.example/files",
            "a path begins with one `/`",
        ),
        (
            CARE,
            "POST /care/files",
            "POST //elsewhere.example/files",
            "a path begins with one `/`",
        ),
        (
            CARE,
            "POST /care/files",
            "POTS /care/files",
            "did you mean `POST`?",
        ),
        (
            CARE,
            "token: /care/token",
            "token: //elsewhere/token",
            "a path that begins with one `/`",
        ),
        (
            CARE,
            "      X-File-Name: file.name",
            "      Authorization: file.name",
            "renkei itself sends",
        ),
        (CARE, "    content: file\n", "", "the document is not sent"),
        (
            CARE,
            "      X-Request-No: key\n    body:\n      mark",
            "      X-Other: post\n    body:\n      mark",
            "the idempotency `key` is not sent",
        ),
        (
            CARE,
            "means: archived",
            "means: archieved",
            "did you mean `archived`?",
        ),
        (
            CARE,
            "over: [method, path, time, body-sha256]",
            "over: [method, path, time]",
            "must hold `body`",
        ),
        (
            CARE,
            "letters: base64",
            "letters: base46",
            "did you mean `base64`?",
        ),
        (
            CARE,
            "yes('true')\n        happened",
            "yess('true')\n        happened",
            "did you mean `yes`?",
        ),
        (
            CITY,
            "  working: state",
            "  worknig: state",
            "did you mean `working`?",
        ),
        (
            CITY,
            "poll: GET /city/tickets/{ticket}",
            "poll: GET /city/tickets/{tiket}",
            "did you mean `ticket`?",
        ),
        (
            CITY,
            "status: 202\n  ticket",
            "status: 404\n  ticket",
            "a whole number from 200 to 299",
        ),
        (
            ROOM,
            "        Title: body.title\n        Text",
            "        1Title: body.title\n        Text",
            "no name of XML",
        ),
        (
            ROOM,
            "      Message:\n",
            "      More: 'x'\n      Message:\n",
            "an XML body is one element",
        ),
    ] {
        assert!(base.contains(from), "{from}");
        let problems = load(&base.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(problems.contains(says), "{to}:\n{problems}");
        assert!(
            problems.contains("d.yaml:") && problems.contains('^'),
            "{problems}"
        );
    }
    assert!(load("dialect: x\n").is_err());
    assert!(load("").is_err());
}

fn post<'a>(path: &'a str, body: &'a str) -> Asked<'a> {
    Asked {
        method: "POST",
        path,
        key: Some("k-1"),
        body: AskedBody::Json(body),
    }
}

#[test]
fn the_same_call_gives_the_same_bytes_and_ids_stay_one_step() {
    let dialect = load(CARE).expect("loads");
    let body = r#"{"kind":"corrected","text":"a"}"#;
    let asked = post("/v1/posts/p%2F..%2F1/corrections", body);
    let spoken = dialect.request(&asked).expect("said");
    assert_eq!(spoken.path, "/care/reports/p%2F..%2F1/marks");
    assert_eq!(
        spoken.headers,
        [("X-Request-No".to_owned(), "k-1".to_owned())]
    );
    assert_eq!(&spoken.body[..], br#"{"mark":"CORRECTED","lines":"a"}"#);
    assert_eq!(dialect.request(&asked).expect("said").body, spoken.body);
    for wrong in [
        "/v1/posts/%2E%2E/corrections",
        "/v1/posts//corrections",
        "/v1/other",
    ] {
        assert!(dialect.request(&post(wrong, body)).is_err(), "{wrong}");
    }
    // Names of calls and places, never what was to be said.
    let error = dialect
        .request(&post("/v1/posts//corrections", body))
        .expect_err("no id");
    assert_eq!(error.to_string(), "RNK-DLV-013: correct path");
}

#[test]
fn what_xml_cannot_carry_is_not_sent() {
    let dialect = load(ROOM).expect("loads");
    let body = |title: &str| {
        format!(
            r#"{{"uid":"u","author":{{"facility_id":"f","user_ref":"u","display":"d","profession":"nurse"}},"title":"{title}","body":"b","urgency":"u1","ack_requested":true,"occurred_at":"2025-01-31T11:00:00+09:00","source_note":"n"}}"#
        )
    };
    let said = |title: &str| dialect.request(&post("/v1/rooms/r/messages", &body(title)));
    let good = said("a<b").expect("said");
    let text = std::str::from_utf8(&good.body).expect("text");
    assert!(
        text.contains("<Title>a&lt;b</Title>") && !text.contains("<Instead"),
        "{text}"
    );
    assert!(said("a\\u0001b").is_err());
}

#[test]
fn an_answer_that_hides_who_reads_is_not_believed() {
    let dialect = load(CARE).expect("loads");
    let group = dialect
        .inner
        .contract
        .calls
        .iter()
        .position(|call| call.name == "group");
    let read = |person: &str, members: &str| {
        let text = format!(r#"{{"teamNo":"g","category":"CARE","closed":false{person}{members}}}"#);
        dialect.read(CallId(group.expect("known")), false, 200, text.as_bytes())
    };
    let person = r#","person":{"no":"1","kana":"ア","born":"19390215","gender":"F"}"#;
    let members = r#","member":[{"id":"u","jobs":""}]"#;
    let Reading::Answer(answer) = read(person, members) else {
        panic!("readable");
    };
    assert!(answer.contains(r#""professions":[]"#), "{answer}");
    assert_eq!(
        read(person, ""),
        Reading::Unreadable("group: no members".to_owned())
    );
    assert_eq!(
        read("", members),
        Reading::Unreadable("group: no patient".to_owned())
    );
    for bad in ["", "[", "<a/>", "null", "\u{0}"] {
        let reading = dialect.read(CallId(group.expect("known")), false, 200, bad.as_bytes());
        assert!(
            !matches!(reading, Reading::Refused { .. }),
            "{bad}: {reading:?}"
        );
    }
}
