//! Bed availability: feeds in a drop folder, the board asked and told, wards counted from stays.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use renkei_core::Code;
use renkei_sim::hospital::Person;
use serde_json::Value;

use crate::harness::{TestHub, until};
use crate::hub::{Config, Folders, renkei};
use crate::people::{HOSPITAL, HOSPITAL_NAME, Told, ago, register};
use crate::stores::{On, on_each_store};

/// Somebody who is told of the board.
struct Desk {
    url: String,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    /// Answers 503 while set.
    deaf: Arc<Mutex<bool>>,
}

impl Desk {
    async fn start() -> Self {
        let (heard, deaf) = (Arc::<Mutex<Vec<_>>>::default(), Arc::default());
        let (told, away) = (heard.clone(), Arc::<Mutex<bool>>::clone(&deaf));
        let hook = move |headers: axum::http::HeaderMap, body: axum::Json<Value>| {
            let key = headers["Idempotency-Key"].to_str().unwrap().to_owned();
            told.lock().unwrap().push((key, body.0));
            std::future::ready(if *away.lock().unwrap() {
                axum::http::StatusCode::SERVICE_UNAVAILABLE
            } else {
                axum::http::StatusCode::NO_CONTENT
            })
        };
        let router = axum::Router::new().route("/board", axum::routing::post(hook));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/board", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard, deaf }
    }

    fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }
}

/// So many minutes from now, as a hospital writes it.
fn minutes(from_now: i64) -> Timestamp {
    let now = Timestamp::now() + SignedDuration::from_mins(from_now);
    Timestamp::from_second(now.as_second()).unwrap()
}

const HEAD: &str = "hospital_code,hospital_name,ward_code,ward_name,area,function,bed_type,licensed,staffed,occupied,available_m,available_f,available_any,private_available,acceptance,expected_wait_days,updated_at,valid_until,contact";

/// One row: hospital, ward, occupied, free for either, minutes from now, minutes it is valid for.
fn row(hospital: &str, ward: &str, occupied: i64, free: i64, at: i64, valid: i64) -> String {
    let (updated, until) = (minutes(at), minutes(at + valid));
    format!(
        "{hospital},,{ward},,杉並区,回復期,一般,40,38,{occupied},,,{free},,dementia;tpn,,{updated},{until},"
    )
}

fn folder(root: &Folders) {
    std::fs::create_dir_all(root.path("feed")).unwrap();
}

fn config(on: &On, more: &str) -> Config {
    let more = format!(
        "[source.beds]\nmapping = \"builtin/bed-csv\"\nadapter.folder = {{ path = \"@root@/feed\", \
         facility = \"{HOSPITAL}\", poll_secs = 1, stable_secs = 0, partner_secs = 2 }}\n\
         [beds]\nlisten = \"127.0.0.1:0\"\ntoken = {{ file = \"@root@/secret\" }}\n{more}"
    );
    Config {
        more,
        ..Config::on(on)
    }
}

async fn start(config: Config, people: &[Person]) -> TestHub {
    let folders = Folders::new();
    folder(&folders);
    TestHub::in_folders(folders, people, config, async |_| ()).await
}

async fn report(hub: &TestHub, name: &str, rows: &[String]) {
    let folder = hub.folders.path("feed");
    let text = format!("{HEAD}\n{}\n", rows.join("\n"));
    std::fs::write(folder.join(".writing"), text).unwrap();
    std::fs::rename(folder.join(".writing"), folder.join(name)).unwrap();
    let done = folder.join("done").join(name);
    until("the file was taken", async || done.exists()).await;
    hub.idle().await;
}

fn api(hub: &TestHub) -> SocketAddr {
    let log = hub.hub.log_text();
    let line = log.lines().find(|line| line.contains("beds are served"));
    let at = line.unwrap().split_once("address=").unwrap().1.trim();
    at.parse().unwrap()
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder();
    let client = client.no_proxy().timeout(Duration::from_secs(10));
    client.build().unwrap()
}

async fn ask(hub: &TestHub, what: &str, token: &str) -> (u16, String) {
    let url = format!("http://{}/v1/beds{what}", api(hub));
    let answer = client().get(url).bearer_auth(token).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Ward, state and free beds, as `renkei beds --json` lists them.
async fn listed(hub: &TestHub, more: &[&str]) -> Vec<String> {
    let config = hub.folders.path("renkei.toml").display().to_string();
    let mut arguments = vec!["beds", "--json", "--config", &config];
    arguments.extend(more);
    let (code, out, told) = renkei(&arguments, hub.folders.root.path()).await;
    assert_eq!(code, 0, "{told}");
    let line = |line: &str| {
        let ward: Value = serde_json::from_str(line).unwrap();
        format!(
            "{} {} {}",
            ward["ward"].as_str().unwrap(),
            ward["state"].as_str().unwrap(),
            ward["free"]
        )
    };
    out.lines().map(line).collect()
}

/// What the findings of the last file are: code and place.
async fn findings(hub: &TestHub) -> Vec<String> {
    let sql = "SELECT o.findings FROM outcome o JOIN message m USING (position) WHERE m.source = 'beds' ORDER BY m.position DESC LIMIT 1";
    let found: Vec<Value> = serde_json::from_str(&hub.office.texts(sql).await[0]).unwrap();
    let text = |found: &Value| {
        format!(
            "{} {}",
            found["code"].as_str().unwrap(),
            found["at"].as_str().unwrap()
        )
    };
    found.iter().map(text).collect()
}

/// What each bad row of a feed does: the good rows go on, the last good one of a ward stands, and what is too
/// old is never free.
async fn a_feed_with_bad_rows(on: On) {
    let hub = start(config(&on, ""), &[]).await;
    let good = [
        row(HOSPITAL, "1N", 30, 2, -60, 600),
        row(HOSPITAL, "2N", 30, 3, -60, 600),
        row(HOSPITAL, "3N", 30, 4, -60, 600),
        row(HOSPITAL, "4N", 30, 5, -60, 10),
    ];
    report(&hub, "0900.csv", &good).await;
    assert_eq!(findings(&hub).await, [] as [&str; 0]);
    let bad = [
        row(HOSPITAL, "1N", 30, -1, -5, 600),
        row(HOSPITAL, "2N", 30, 9, 60, 600),
        row(HOSPITAL, "3N", 30, 1, -90, 600),
        row(HOSPITAL, "5N", 39, 2, -5, 600),
        row("1310000001", "1N", 30, 1, -5, 600),
        row(HOSPITAL, "6N", 30, 1, -5, 600),
        good[1].clone(),
    ];
    report(&hub, "1000.csv", &bad).await;
    let expected = [
        format!("{} row 2 available_any", Code::BED_IMPOSSIBLE),
        format!("{} row 3 updated_at", Code::BED_FUTURE),
        format!("{} row 4 updated_at", Code::BED_LATE),
        format!("{} row 5 available_any", Code::BED_IMPOSSIBLE),
        format!("{} row 6 hospital_code", Code::BED_NOT_THEIRS),
    ];
    assert_eq!(findings(&hub).await, expected);
    let board = [
        "3N fresh 4",
        "2N fresh 3",
        "1N fresh 2",
        "6N fresh 1",
        "4N stale null",
    ];
    assert_eq!(listed(&hub, &[]).await, board);
    assert_eq!(
        listed(
            &hub,
            &["--free", "3", "--area", "杉並区", "--accepts", "tpn"]
        )
        .await,
        board[..2]
    );
    assert_eq!(
        listed(&hub, &["--area", "区西部"]).await,
        board,
        "杉並区 is in it"
    );
    assert_eq!(listed(&hub, &["--area", "区東部"]).await, [] as [&str; 0]);
    assert_eq!(listed(&hub, &["--kind", "急性期"]).await, [] as [&str; 0]);
    // The late row is in the history, the refused ones are not.
    let config = hub.folders.path("renkei.toml").display().to_string();
    let history = ["beds", "history", HOSPITAL, "--json", "--config", &config];
    let (code, out, _) = renkei(&history, hub.folders.root.path()).await;
    assert_eq!((code, out.lines().count()), (0, 6), "{out}");
    assert_eq!(out.matches("\"late\":true").count(), 1);
    // The bytes are kept like any message's, and reading them again changes nothing.
    assert_eq!(hub.office.replay_all().await, 2);
    hub.idle().await;
    assert_eq!(listed(&hub, &[]).await, board);
    let (_, again, _) = renkei(&history, hub.folders.root.path()).await;
    assert_eq!(again, out);
    let refused = ["beds", "--accepts", "胃瘻", "--config", &config];
    let (code, _, told) = renkei(&refused, hub.folders.root.path()).await;
    assert!(code == 64 && told.contains("dementia"), "{code} {told}");
}

/// Who asks shows the token; the answer says how fresh it is.
async fn the_board_is_asked_over_http(on: On) {
    let hub = start(config(&on, ""), &[]).await;
    let rows = [
        row(HOSPITAL, "1N", 30, 2, -60, 600),
        row(HOSPITAL, "4N", 30, 5, -60, 10),
    ];
    report(&hub, "0900.csv", &rows).await;
    assert_eq!(ask(&hub, "", "wrong").await.0, 401);
    let (status, text) = ask(&hub, "?free=1", "s3cret").await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, answer["wards"].as_array().unwrap().len()),
        (200, 1)
    );
    let ward = &answer["wards"][0];
    assert_eq!(
        (ward["free"].as_i64(), ward["hospital_name"].as_str()),
        (Some(2), Some(HOSPITAL_NAME))
    );
    assert!(ward["age_secs"].as_i64().unwrap() >= 3_600);
    let (_, text) = ask(&hub, "?area=%E5%8C%BA%E8%A5%BF%E9%83%A8", "s3cret").await;
    let western: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(western["wards"].as_array().unwrap().len(), 2, "区西部");
    assert_eq!(western["wards"][0]["medical_area"], "区西部");
    let (_, text) = ask(&hub, "?sex=male", "s3cret").await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let stale = &answer["wards"][1];
    assert_eq!(stale["state"], "stale");
    assert!(stale["free"].is_null() && stale["free_male"].is_null());
    let (_, words) = ask(&hub, "/bulletin", "s3cret").await;
    assert!(
        words.contains("空き2") && words.ends_with("情報が古く不明：1病棟"),
        "{words}"
    );
    let (_, text) = ask(&hub, "/fhir", "s3cret").await;
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let kinds = bundle["entry"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Location", "MeasureReport", "Location"]);
    let (_, text) = ask(
        &hub,
        &format!("/history?hospital={HOSPITAL}&ward=1N"),
        "s3cret",
    )
    .await;
    let past: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(past["rows"].as_array().unwrap().len(), 1);
    for bad in ["?accepts=x", "?free=many", "?colour=red"] {
        assert_eq!(ask(&hub, bad, "s3cret").await.0, 400, "{bad}");
    }
}

/// A subscriber that is down gets the same bytes under the same key once it is up, also after a restart.
async fn a_subscriber_is_told_until_it_takes_it(on: On) {
    let desk = Desk::start().await;
    *desk.deaf.lock().unwrap() = true;
    let more = format!(
        "subscriber.desk = {{ url = \"{}\", areas = [\"杉並区\"] }}",
        desk.url
    );
    let mut hub = start(config(&on, &more), &[]).await;
    until("the desk was called", async || !desk.heard().is_empty()).await;
    hub.restart_after(async |_| ()).await;
    let before = desk.heard().len();
    until("the desk was called again", async || {
        desk.heard().len() > before
    })
    .await;
    *desk.deaf.lock().unwrap() = false;
    let sql = "SELECT CAST(count(*) AS TEXT) FROM bed_post WHERE taken_at IS NOT NULL";
    until("the desk has taken it", async || {
        hub.office.texts(sql).await == ["1"]
    })
    .await;
    let heard = desk.heard();
    assert!(heard.iter().all(|told| *told == heard[0]), "{heard:#?}");
    assert_eq!(heard[0].0, "beds-desk-1");
    assert_eq!(heard[0].1["wards"], Value::Array(Vec::new()));
}

/// Wards of a hospital without a feed: who is in lies in a bed, who moved lies in another.
async fn wards_are_counted_from_stays(on: On) {
    let people = [Person::synthetic(4), Person::synthetic(5)];
    let since = minutes(-600);
    let more = format!(
        "[beds.from_stays.{HOSPITAL}]\nsource = \"hospital\"\ncomplete_from = \"{since}\"\n\
         wards = {{ \"3E\" = {{ staffed = 3, function = \"急性期\" }} }}\n"
    );
    let config = Config {
        admit: "all",
        ..config(&on, &more)
    };
    let mut hub = start(config, &people).await;
    let mut told: Vec<Told> = Vec::new();
    for person in &people {
        hub.process(&register(person, 100)).await;
        let stay = Told::admitted(person, 90);
        hub.process(&stay.admit()).await;
        told.push(stay);
    }
    let ward = told[0].stay.place[0].clone();
    let free = async |hub: &TestHub| {
        let of_ward = |line: &String| line.starts_with(&format!("{ward} "));
        listed(hub, &[]).await.into_iter().find(of_ward)
    };
    until("both are counted", async || {
        free(&hub).await == Some(format!("{ward} fresh 1"))
    })
    .await;
    let home = told[0].discharge(10, "1");
    hub.process(&home).await;
    until("one went home", async || {
        free(&hub).await == Some(format!("{ward} fresh 2"))
    })
    .await;
    // A bed that is being cleaned is not free, though nobody lies in it.
    for (number, status, expected) in [(1, "H", 1), (2, "U", 2)] {
        let control_id = hub.control_id();
        let now = ago(5 - number).strftime("%Y%m%d%H%M%S").to_string();
        let update = format!(
            "MSH|^~\\&|HIS|HOSP01|HUB|R|{now}||ADT^A20^ADT_A20|{control_id}|P|2.5\rEVN||{now}\rNPU|{ward}^999^9|{status}\r"
        );
        assert_eq!(hub.send_bytes(update.as_bytes()).await.code, "AA");
        let ended = hub.ended(&control_id).await;
        assert!(ended.findings.is_empty(), "{:?}", ended.findings);
        until("the bed is told", async || {
            free(&hub).await == Some(format!("{ward} fresh {expected}"))
        })
        .await;
    }
}

/// Statuses of beds of a hospital whose wards are not counted: kept, said to be for nothing, nothing on the board.
async fn beds_of_a_hospital_that_is_not_counted(on: On) {
    let mut hub = start(config(&on, ""), &[]).await;
    let control_id = hub.control_id();
    let now = ago(5).strftime("%Y%m%d%H%M%S").to_string();
    let update = format!(
        "MSH|^~\\&|HIS|HOSP01|HUB|R|{now}||ADT^A20^ADT_A20|{control_id}|P|2.5\rEVN||{now}\rNPU|3E^301^1|H\r"
    );
    // The source admits who is enrolled, and this is about nobody.
    assert_eq!(hub.send_bytes(update.as_bytes()).await.code, "AA");
    let ended = hub.ended(&control_id).await;
    let codes: Vec<Code> = ended.findings.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::BED_NOT_COUNTED]);
    assert_eq!(listed(&hub, &[]).await, [] as [&str; 0]);
}

/// A hospital that pushes its snapshot: who may, what is kept, and what the answers promise.
async fn a_snapshot_is_pushed(on: On) {
    let more = format!(
        "[source.pushed]\nmapping = \"builtin/bed-json\"\nadapter.push = {{ listen = \"127.0.0.1:0\", \
         facility = \"{HOSPITAL}\", token = {{ file = \"@root@/secret\" }} }}\n"
    );
    let hub = start(config(&on, &more), &[]).await;
    let at = hub.hub.listening["pushed"];
    let push = async |token: &str, key: &str, body: String| {
        let request = client().post(format!("http://{at}/board.json"));
        let request = request.bearer_auth(token).header("Idempotency-Key", key);
        let answer = request.body(body).send().await.unwrap();
        answer.status().as_u16()
    };
    let snapshot = serde_json::json!({
        "hospital": {"code": HOSPITAL, "area": "杉並区"}, "updated_at": minutes(-5).to_string(),
        "wards": [
            {"code": "3E", "function": "回復期", "licensed": 40, "available": {"male": 1, "female": 2}},
            {"code": "4E", "licensed": 20, "available": {"any": -3}},
        ]
    });
    let snapshot = snapshot.to_string();
    assert_eq!(push("wrong", "1", snapshot.clone()).await, 401);
    assert_eq!(push("s3cret", "1", snapshot.clone()).await, 200);
    assert_eq!(push("s3cret", "1", snapshot.clone()).await, 200, "again");
    // What cannot be read is kept, and fails where everybody sees it.
    assert_eq!(push("s3cret", "2", "<html>".to_owned()).await, 200);
    hub.idle().await;
    assert_eq!(listed(&hub, &[]).await, ["3E fresh 3"]);
    let sql = "SELECT o.state || ' ' || coalesce(o.code, '-') FROM outcome o JOIN message m USING (position) WHERE m.source = 'pushed' ORDER BY m.position";
    let states = hub.office.texts(sql).await;
    assert_eq!(states[0], "processed -");
    assert!(
        states.len() == 2 && states[1].starts_with("failed RNK-MAP-"),
        "{states:?}"
    );
}

on_each_store!(
    a_snapshot_is_pushed,
    a_feed_with_bad_rows,
    the_board_is_asked_over_http,
    a_subscriber_is_told_until_it_takes_it,
    wards_are_counted_from_stays,
    beds_of_a_hospital_that_is_not_counted,
);
