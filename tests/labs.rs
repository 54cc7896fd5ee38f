//! A laboratory connected without code: its files in a drop folder, read by a YAML mapping.

use renkei_core::Code;
use renkei_sim::hospital::{Event, MllpClient, Person, What};

use crate::harness::{TestHub, put, until};
use crate::hub::{Config, Folders, renkei};
use crate::peers::Post;
use crate::people::{HOSPITAL, Told, ago, kana, message, register};
use crate::stores::{On, on_each_store};

const PAGE: &str = include_str!("../mappings/LANGUAGE.md");

/// The first block of a language on the page about the mapping language.
fn on_the_page(language: &str) -> &'static str {
    let rest = PAGE.split_once(&format!("```{language}\n")).unwrap().1;
    rest.split_once("```").unwrap().0
}

/// A folder with the tutorial's mapping and table, as the page shows them, and what one hospital does
/// differently as two overlays.
pub(crate) fn site() -> Folders {
    let folders = Folders::new();
    for folder in ["kitatama", "tama", "centre", "chart", "maps/tables"] {
        std::fs::create_dir_all(folders.path(folder)).unwrap();
    }
    let maps = folders.path("maps");
    std::fs::write(maps.join("kitatama-lab.yaml"), on_the_page("yaml")).unwrap();
    std::fs::write(maps.join("tables/local-jlac10.csv"), on_the_page("csv")).unwrap();
    for (name, below) in [("his", "hl7v2"), ("store", "ssmix2")] {
        let overlay = format!(
            "map: {name}\nextends: builtin/{below}\npatch:\n  - Patient:\n      managingOrganization.display: MSH-4\n"
        );
        std::fs::write(maps.join(format!("{name}.yaml")), overlay).unwrap();
    }
    folders
}

/// Three laboratories: the tutorial's, one that keeps to the base, one with fixed records; and a chart.
fn config(on: &On) -> Config {
    let source = |name: &str, mapping: &str| {
        format!(
            "[source.{name}]\nmapping = \"{mapping}\"\nadapter.folder = {{ path = \"@root@/{name}\", \
             facility = \"{HOSPITAL}\", poll_secs = 1, stable_secs = 0, partner_secs = 2 }}\n"
        )
    };
    let posted = format!(
        "[source.posted]\nmapping = \"maps/kitatama-lab.yaml\"\nadapter.push = {{ listen = \"127.0.0.1:0\", \
         facility = \"{HOSPITAL}\", token = {{ file = \"@root@/secret\" }} }}\n"
    );
    let overlaid = format!(
        "[source.overlaid]\nmapping = \"maps/his.yaml\"\n\
         adapter.mllp = {{ listen = \"127.0.0.1:0\", facility = \"{HOSPITAL}\" }}\n"
    );
    Config {
        more: source("kitatama", "maps/kitatama-lab.yaml")
            + &source("tama", "builtin/lab-csv")
            + &source("centre", "builtin/lab-256")
            + &source("chart", "builtin/emr-manbo")
            + &posted
            + &overlaid,
        ..Config::on(on)
    }
}

/// Puts a file of a laboratory where it belongs, as CP932.
fn drop_file(hub: &TestHub, folder: &str, name: &str, text: &str) {
    let (bytes, _, bad) = encoding_rs::SHIFT_JIS.encode(text);
    assert!(!bad, "{text}");
    let folder = hub.folders.path(folder);
    std::fs::write(folder.join(".writing"), bytes).unwrap();
    std::fs::rename(folder.join(".writing"), folder.join(name)).unwrap();
}

async fn taken(hub: &TestHub, folder: &str, name: &str) {
    let done = hub.folders.path(folder).join("done").join(name);
    until("the file was taken", async || done.exists()).await;
    hub.idle().await;
}

/// One row in the layout of the tutorial.
fn row(person: &Person, order: &str, code: &str, name: &str, result: &str) -> String {
    let kana = kana(person);
    let (id, day) = (&person.local_id, ago(30).date());
    format!("{id},{kana},2,{order},{day},{code},{name},{result}\r\n")
}

const HEAD: &str = "患者ID,患者名,性別,受付No,検査年月日,検査コード,検査名称,検査値,単位,異常\r\n";

fn has(post: &Post, part: &str) -> bool {
    post.headline.contains(part) || post.text.contains(part)
}

async fn last_post(hub: &TestHub, person: &Person, count: usize) -> Post {
    let doors = &hub.district.sim("mcs").doors;
    let mut posts = Vec::new();
    until(&format!("mcs has {count} posts"), async || {
        posts = doors.told_of(person).await;
        posts.len() >= count
    })
    .await;
    assert_eq!(posts.len(), count, "{posts:#?}");
    posts.pop().unwrap()
}

/// What a file of rows became: state, code, mapper, findings, by the source's messages in order.
pub(crate) async fn outcomes(hub: &TestHub, source: &str) -> Vec<String> {
    let sql = format!(
        "SELECT o.state || ' ' || coalesce(o.code, '-') || ' ' || o.mapper || ' ' || o.findings \
         FROM outcome o JOIN message m USING (position) WHERE m.source = '{source}' ORDER BY m.position"
    );
    hub.office.texts(&sql).await
}

async fn start(on: &On, people: &[Person]) -> TestHub {
    let start = TestHub::in_folders(site(), people, config(on), async |office| {
        office.admit(people).await;
    });
    let mut hub = start.await;
    for person in people {
        hub.process(&register(person, 100)).await;
    }
    hub
}

/// Connected as the tutorial shows: results are recorded, the laboratory's own critical flag is told,
/// a corrected result corrects what was told, and one that is taken back takes it back.
async fn a_laboratory_without_code(on: On) {
    let people = [Person::synthetic(4), Person::synthetic(5)];
    let [person, other] = &people;
    let hub = start(&on, std::slice::from_ref(person)).await;

    let file = [
        HEAD.to_owned(),
        row(person, "501", "A01", "アルブミン", "3.10,g/dL,L"),
        row(other, "502", "A01", "アルブミン", "4.00,g/dL,"),
        row(person, "501", "A02", "CRP", "8.80,mg/dL,HH"),
    ];
    drop_file(&hub, "kitatama", "r1.csv", &file.concat());
    let post = last_post(&hub, person, 1).await;
    assert!(has(&post, "CRP") && has(&post, "8.80"), "{post:?}");
    taken(&hub, "kitatama", "r1.csv").await;
    let observations = hub.office.bodies("Observation").await;
    assert_eq!(
        observations.len(),
        2,
        "of who is not enrolled nothing is kept"
    );
    let albumin = observations
        .iter()
        .find(|body| body.contains("3A015000002327101"));
    assert!(albumin.unwrap().contains("\"value\":3.10,"), "{albumin:?}");
    let outcome = &outcomes(&hub, "kitatama").await[0];
    assert!(
        outcome.starts_with("processed - local/1-kitatama-lab."),
        "{outcome}"
    );
    assert_eq!(outcomes(&hub, "kitatama").await.len(), 1);

    // The same file again, and a later one of the whole day: nothing new of what is known.
    drop_file(&hub, "kitatama", "r1.csv", &file.concat());
    taken(&hub, "kitatama", "r1.csv.2").await;
    assert_eq!(outcomes(&hub, "kitatama").await.len(), 1);
    let corrected = [
        HEAD.to_owned(),
        row(person, "501", "A02", "CRP", "0.88,mg/dL,H"),
    ];
    drop_file(&hub, "kitatama", "r2.csv", &corrected.concat());
    let post = last_post(&hub, person, 2).await;
    assert!(has(&post, "【訂正】") && has(&post, "0.88"), "{post:?}");
    hub.idle().await;

    // The other laboratory says itself what it takes back.
    let head = "患者番号,氏名,カナ,生年月日,性別,オーダ番号,採取日,採取時刻,報告日時,材料コード,材料名,\
                項目コード,項目名,JLAC10,結果,形,単位,基準,下限,上限,フラグ,状態,コメント,ラボ,ラボ名\r\n";
    let potassium = |value: &str, state: &str, minutes: i64| {
        let said = ago(minutes).strftime("%Y/%m/%d %H:%M").to_string();
        format!(
            "{head}{id},,{kana},,2,T1,{day},,{said},023,血清,K,カリウム,3H015000002326101,{value},,mEq/L,,3.5,5.0,HH,{state},,,\r\n",
            id = person.local_id,
            kana = kana(person),
            day = ago(60).date(),
        )
    };
    drop_file(&hub, "tama", "k1.csv", &potassium("6.80", "F", 30));
    let post = last_post(&hub, person, 3).await;
    assert!(has(&post, "カリウム 6.80"), "{post:?}");
    hub.idle().await;
    drop_file(&hub, "tama", "k2.csv", &potassium("", "D", 20));
    let post = last_post(&hub, person, 4).await;
    assert!(has(&post, "【取消】"), "{post:?}");
    hub.idle().await;
    let cancelled = hub.office.bodies("Observation").await;
    let cancelled = cancelled
        .iter()
        .find(|body| body.contains("3H015000002326101"));
    assert!(cancelled.unwrap().contains("\"entered-in-error\""));
}

/// Rows that cannot be read wait for a person with their places; the others go on. A file that is still
/// being written is not touched.
async fn what_cannot_be_read(on: On) {
    let people = [Person::synthetic(6), Person::synthetic(7)];
    let hub = start(&on, &people).await;
    let file = [
        HEAD.to_owned(),
        row(&people[0], "601", "A01", "アルブミン", "3.10,g/dL,"),
        "0000123456,short\r\n".to_owned(),
        row(&people[1], "602", "A01", "アルブミン", "4.00,g/dL,"),
        ",ダレカ,2,603,2025-01-11,A01,アルブミン,3.3,g/dL,\r\n".to_owned(),
        row(&people[1], "602", "Z99", "未知の項目", "1,x,"),
    ]
    .concat();
    drop_file(&hub, "kitatama", "mixed.csv", &file);
    taken(&hub, "kitatama", "mixed.csv").await;
    let said = outcomes(&hub, "kitatama").await;
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].starts_with("processed -"), "{said:#?}");
    assert!(said[1].contains("row 6 column 項目コード"), "{said:#?}");
    assert!(said[2].starts_with("parked RNK-MAP-120"), "{said:#?}");
    assert!(said[2].contains("row 3") && said[2].contains("row 5 column 患者番号"));
    assert_eq!(hub.office.bodies("Observation").await.len(), 3);

    // Cut in the middle of a line: left alone until it is whole.
    let (half, rest) = file.split_at(file.find("short").unwrap());
    drop_file(&hub, "kitatama", "zz-partial.csv", half);
    drop_file(
        &hub,
        "kitatama",
        "aa-other.csv",
        &file.replace("601", "604"),
    );
    taken(&hub, "kitatama", "aa-other.csv").await;
    let partial = hub.folders.path("kitatama/zz-partial.csv");
    assert!(partial.exists());
    drop_file(&hub, "kitatama", "zz-partial.csv", &format!("{half}{rest}"));
    taken(&hub, "kitatama", "zz-partial.csv").await;

    // No such columns at all: kept whole, with its code.
    drop_file(&hub, "tama", "other.csv", "a,b\r\n1,2\r\n");
    taken(&hub, "tama", "other.csv").await;
    let refused = outcomes(&hub, "tama").await;
    assert!(refused[0].starts_with("failed RNK-MAP-001"), "{refused:#?}");
}

/// A result whose order went out in another file finds it among the files of its folder. One whose order nobody
/// has, or whose key two orders bear, waits for a person.
async fn ordered_in_another_file(on: On) {
    let person = Person::synthetic(10);
    let hub = start(&on, std::slice::from_ref(&person)).await;
    let id = &person.local_id;
    let day = ago(60).strftime("%y%m%d").to_string();
    let order = |key: &str, doctor: &str| {
        let order = format!(
            "O1000123{key:<20}{:31}{doctor:<10}{id:<15}{id:<15}{:<20}FY085S140215{day}0700001",
            "", "TEST"
        );
        format!("{order:<256}\r\n")
    };
    let result = |key: &str, name: &str| {
        let result = format!(
            "A1000123{key:<20}{:<20}{name:<20}E{:9}{:<17}{:>8} ",
            "L1", "", "3A015000002327101", "3.10"
        );
        format!("{result:<256}\r\n")
    };
    drop_file(
        &hub,
        "centre",
        "orders-1.dat",
        &(order("k1", "A") + &order("k2", "A")),
    );
    taken(&hub, "centre", "orders-1.dat").await;
    drop_file(
        &hub,
        "centre",
        "orders-2.dat",
        &(order("k1", "A") + &order("k2", "B")),
    );
    taken(&hub, "centre", "orders-2.dat").await;
    assert_eq!(outcomes(&hub, "centre").await, Vec::<String>::new());
    let results = [
        result("k1", "TEST"),
        result("k2", "TEST"),
        result("k1", "OTHER"),
        result("k9", "TEST"),
    ];
    drop_file(&hub, "centre", "results.dat", &results.concat());
    taken(&hub, "centre", "results.dat").await;
    let said = outcomes(&hub, "centre").await;
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].starts_with("processed - local/1-lab-256."),
        "{said:#?}"
    );
    assert!(said[1].starts_with("parked RNK-MAP-123"), "{said:#?}");
    let places = ["record 2", "record 3", "record 4"];
    assert!(
        places.iter().all(|place| said[1].contains(place)),
        "{said:#?}"
    );
    let observations = hub.office.bodies("Observation").await;
    assert_eq!(observations.len(), 1);
    let when = ago(60).strftime("%Y-%m-%dT07:00:00+09:00").to_string();
    assert!(observations[0].contains(&when), "{observations:?}");

    // The order came late: the same file again is read with it.
    drop_file(&hub, "centre", "orders-3.dat", &order("k9", "A"));
    taken(&hub, "centre", "orders-3.dat").await;
    drop_file(&hub, "centre", "again.dat", &result("k9", "TEST"));
    taken(&hub, "centre", "again.dat").await;
    assert_eq!(hub.office.bodies("Observation").await.len(), 2);

    // A dry run finds it among the files it is given.
    let desk = tempfile::tempdir().unwrap();
    std::fs::write(desk.path().join("orders.dat"), order("k1", "A")).unwrap();
    std::fs::write(desk.path().join("results.dat"), result("k1", "TEST")).unwrap();
    let both = [
        "map",
        "orders.dat",
        "results.dat",
        "--with",
        "builtin/lab-256",
    ];
    let (code, said, complaint) = renkei(&both, desk.path()).await;
    assert_eq!(code, 0, "{complaint}");
    assert!(said.contains("Observation"), "{said}");
}

/// A patient as another chart's published interface answers it, by mapping only.
async fn a_chart_without_code(on: On) {
    let person = Person::synthetic(11);
    let hub = start(&on, std::slice::from_ref(&person)).await;
    let answer = include_str!("../fixtures/mappings/manbo-patient.json");
    let answer = answer.replace("0a1b2c3d", &person.local_id);
    let path = hub.folders.path("chart");
    std::fs::write(path.join(".writing"), answer).unwrap();
    std::fs::rename(path.join(".writing"), path.join("patient.json")).unwrap();
    taken(&hub, "chart", "patient.json").await;
    let said = outcomes(&hub, "chart").await;
    assert!(
        said[0].starts_with("processed - local/1-emr-manbo."),
        "{said:#?}"
    );
    let patients = hub.office.bodies("Patient").await;
    assert_eq!(patients.len(), 1);
    assert!(patients[0].contains("090-0000-0002"), "{patients:?}");
    assert!(!patients[0].contains("犬"), "free text stays where it is");
}

/// A changed table is taken over while the hub runs; a mapping with a fault is not, and says so.
async fn changed_while_it_runs(on: On) {
    let person = Person::synthetic(8);
    let hub = start(&on, std::slice::from_ref(&person)).await;
    let maps = hub.folders.path("maps");
    let file = |order: &str| HEAD.to_owned() + &row(&person, order, "N01", "新項目", "1.0,g/dL,");
    drop_file(&hub, "kitatama", "n1.csv", &file("701"));
    taken(&hub, "kitatama", "n1.csv").await;
    let table = maps.join("tables/local-jlac10.csv");
    let more = std::fs::read_to_string(&table).unwrap() + "N01,3B035000002327201,AST\n";
    std::fs::write(&table, more).unwrap();
    until("the table was taken over", async || {
        hub.hub
            .log_text()
            .contains("a changed mapping was taken over")
    })
    .await;
    drop_file(&hub, "kitatama", "n2.csv", &file("702"));
    taken(&hub, "kitatama", "n2.csv").await;
    let said = outcomes(&hub, "kitatama").await;
    assert!(
        said[0].contains("RNK-MAP-007") && !said[1].contains("RNK-MAP-007"),
        "{said:#?}"
    );
    let version = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    assert_ne!(version(&said[0]), version(&said[1]));

    let yaml = maps.join("kitatama-lab.yaml");
    let right = std::fs::read_to_string(&yaml).unwrap();
    for (wrong, place) in [
        (
            right.replace("encoding: cp932", "encodign: cp932"),
            "RNK-MAP-102",
        ),
        (
            right.replace("valueQuantity.value: 3.10", "valueQuantity.value: 3.11"),
            "RNK-MAP-112",
        ),
    ] {
        assert_ne!(wrong, right);
        std::fs::write(&yaml, wrong).unwrap();
        until("the fault was told", async || {
            hub.hub.log_text().contains(place)
        })
        .await;
    }
    assert!(
        hub.hub
            .log_text()
            .contains(Code::MAP_NOT_TAKEN_OVER.as_str())
    );
    drop_file(&hub, "kitatama", "n3.csv", &file("703"));
    taken(&hub, "kitatama", "n3.csv").await;
    let said = outcomes(&hub, "kitatama").await;
    assert_eq!(version(&said[1]), version(&said[2]));

    // At the next start it would be refused, with the line and a caret.
    let config = hub.folders.path("renkei.toml").display().to_string();
    let (code, _, told) = renkei(&["check", "--config", &config], hub.folders.root.path()).await;
    assert_eq!(code, 64, "{told}");
    assert!(
        told.contains("RNK-MAP-112") && told.contains("^^^"),
        "{told}"
    );
}

/// What is posted with the token is kept before it is answered; HL7 v2 over MLLP is read by an overlay.
async fn posted_and_overlaid(on: On) {
    let person = Person::synthetic(9);
    let hub = start(&on, std::slice::from_ref(&person)).await;
    let url = format!("http://{}/results/r9.csv", hub.hub.listening["posted"]);
    let patience = std::time::Duration::from_secs(30);
    let http = reqwest::Client::builder()
        .timeout(patience)
        .build()
        .unwrap();
    let rows = HEAD.to_owned() + &row(&person, "901", "A01", "アルブミン", "3.10,g/dL,L");
    let (body, ..) = encoding_rs::SHIFT_JIS.encode(&rows);
    for (token, expected) in [("other", 401), ("s3cret", 200), ("s3cret", 200)] {
        let sent = http
            .post(&url)
            .bearer_auth(token)
            .body(body.to_vec())
            .send();
        assert_eq!(sent.await.unwrap().status().as_u16(), expected);
    }
    // Answered after the commit, and the repetition is known.
    let kept = "SELECT count(*) FROM message WHERE source = 'posted'";
    assert_eq!(hub.office.number(kept).await, 1);
    hub.idle().await;
    assert_eq!(hub.office.bodies("Observation").await.len(), 1);

    let mut client = MllpClient::new(hub.hub.listening["overlaid"]);
    let built = message(&register(&person, 5), "OVERLAID1");
    assert_eq!(client.send(&built.bytes).await.unwrap().code, "AA");
    hub.idle().await;
    let said = outcomes(&hub, "overlaid").await;
    assert!(said[0].starts_with("processed - local/1-his."), "{said:#?}");
    let patient = hub.office.bodies("Patient").await;
    assert!(patient[0].contains("\"display\":\"HOSP01\""), "{patient:?}");
}

/// An overlay reads a storage as the mapping below it does: its folders, its corrected and its deleted files.
async fn a_storage_is_overlaid(on: On) {
    let people = [Person::synthetic(51), Person::synthetic(52)];
    let source = |name: &str, mapping: &str| {
        format!(
            "[source.{name}]\nmapping = \"maps/{mapping}.yaml\"\nadapter.ssmix2 = {{ poll_secs = 0, stable_secs = 0, \
             roots = [{{ path = \"@root@/{name}\", facility = \"{HOSPITAL}\" }}] }}\n"
        )
    };
    let folders = site();
    let sources = ["overlaid_a", "overlaid_b"];
    for source in sources {
        std::fs::create_dir_all(folders.path(source)).unwrap();
    }
    let config = Config {
        more: source(sources[0], "his") + &source(sources[1], "store"),
        ..Config::on(&on)
    };
    let hub = TestHub::in_folders(folders, &people, config, async |office| {
        office.admit(&people).await;
    });
    let hub = hub.await;
    until("every storage was walked once", async || {
        let log = hub.hub.log_text();
        log.matches("the first walk of a storage is over").count() >= 4
    })
    .await;
    let cancelled = async || {
        let all = hub.district.sim("mcs").doors.told().await;
        all.iter().filter(|post| has(post, "【取消】")).count()
    };
    for ((source, mapping), person) in sources.into_iter().zip(["his", "store"]).zip(&people) {
        let before = cancelled().await;
        let mut told = Told::admitted(person, 300);
        let mut number = 0;
        let mut store = |event: &Event| {
            number += 1;
            let (root, id) = (hub.folders.path(source), format!("{source}{number}"));
            put(&root, &root, event, &id);
        };
        store(&register(person, 301));
        store(&told.admit());
        last_post(&hub, person, 1).await;
        // The hospital writes the admission anew: the file before becomes flag 2.
        told.stay.place[0] = "7N".to_owned();
        let mut again = told.admit();
        again.at = ago(200);
        store(&again);
        let post = last_post(&hub, person, 2).await;
        assert!(has(&post, "【訂正】") && has(&post, "7N"), "{post:?}");
        // And deletes it: every file of the key becomes flag 0.
        let mut cancel = told.step(100, What::CancelAdmit).order(100);
        cancel.stay = Some(told.stay.clone());
        store(&cancel);
        until("mcs reads the cancellation", async || {
            cancelled().await > before
        })
        .await;
        hub.idle().await;
        for said in outcomes(&hub, source).await {
            assert!(said.contains(&format!(" local/1-{mapping}.")), "{said}");
        }
    }
    let patients = hub.office.bodies("Patient").await;
    assert_eq!(patients.len(), 2);
    for patient in patients {
        assert!(patient.contains("\"display\":\"HOSP01\""), "{patient}");
    }
}

/// Beside an editor: every save is checked and tested again.
#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_is_watched_while_it_is_written() {
    use std::process::Stdio;
    use tokio::process::Command;
    let folders = site();
    let yaml = folders.path("maps/kitatama-lab.yaml");
    let said = folders.path("said");
    let mut watching = Command::new(crate::hub::RENKEI)
        .args(["map", "watch", "kitatama-lab.yaml"])
        .current_dir(folders.path("maps"))
        .stdout(std::fs::File::create(&said).unwrap())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let times = |what: &str| {
        std::fs::read_to_string(&said)
            .unwrap()
            .matches(what)
            .count()
    };
    until("it is fine", async || times("-- fine") == 1).await;
    let right = std::fs::read_to_string(&yaml).unwrap();
    std::fs::write(&yaml, right.replace("value: 3.10", "value: 3.11")).unwrap();
    until("the test fails", async || times("-- not yet") >= 1).await;
    std::fs::write(&yaml, &right).unwrap();
    until("it is fine again", async || times("-- fine") == 2).await;
    watching.kill().await.unwrap();
}

/// Proposals for a laboratory's own codes, accepted by a person, are the table the mapping reads.
#[tokio::test(flavor = "multi_thread")]
async fn proposed_codes_are_accepted_by_a_person() {
    let folders = Folders::new();
    let write = |name: &str, text: &str| std::fs::write(folders.path(name), text).unwrap();
    write("own.csv", "code,name\nA01,ｱﾙﾌﾞﾐﾝ\nA09,謎\n");
    write(
        "jlac10.csv",
        "code,name\n3A015000002327101,アルブミン\n5C070000002306201,CRP\n",
    );
    let root = folders.root.path();
    let propose = ["map", "table", "propose", "own.csv", "--from", "jlac10.csv"];
    let (code, out, _) = renkei(&propose, root).await;
    assert_eq!(code, 0);
    assert!(
        out.contains("A01,ｱﾙﾌﾞﾐﾝ,3A015000002327101,アルブミン,100,\n"),
        "{out}"
    );
    write("proposals.csv", &out.replace(",100,\n", ",100,x\n"));
    let accept = ["map", "table", "accept", "proposals.csv"];
    let (code, out, _) = renkei(&accept, root).await;
    assert_eq!(code, 0);
    assert_eq!(out, "code,jlac10,name\nA01,3A015000002327101,ｱﾙﾌﾞﾐﾝ\n");
}

on_each_store!(
    posted_and_overlaid,
    a_storage_is_overlaid,
    a_laboratory_without_code,
    what_cannot_be_read,
    ordered_in_another_file,
    a_chart_without_code,
    changed_while_it_runs
);
