//! Keeping: a backup taken under load is one state of everything and comes back without telling anybody;
//! what policy removes is gone and everything else is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::HEXLOWER;
use renkei::world::DeliveryState;
use renkei_core::Code;
use renkei_sim::hospital::Person;
use sha2::{Digest as _, Sha256};

use crate::harness::{TestHub, until};
use crate::hub::{Config, renkei};
use crate::office::Office;
use crate::people::{HOSPITAL, Told, message, register};
use crate::stores::{On, on_each_store};

/// One line per message: all that was received.
const RECEIVED: &str =
    "SELECT source || ' ' || control || ' ' || hex(body_hash) FROM message ORDER BY position";
/// One line per ended message, with how much it wrote.
const ENDED: &str = "SELECT CAST(o.position AS TEXT) || ' ' || o.state || ' ' || coalesce(o.code, '') || ' ' || \
     CAST((SELECT count(*) FROM sighting AS s WHERE s.message = o.position) AS TEXT) || ' ' || \
     CAST((SELECT count(*) FROM version AS v WHERE v.message = o.position) AS TEXT) FROM outcome AS o ORDER BY o.position";
const HALF: &str = "SELECT count(*) FROM message AS m WHERE (SELECT count(*) FROM waiting AS w WHERE w.position = m.position) + \
     (SELECT count(*) FROM outcome AS o WHERE o.position = m.position) <> 1";

/// People of whom the paused peer has not heard.
const UNTOLD: &str =
    "SELECT count(DISTINCT person) FROM delivery WHERE sink = 'vital_link' AND state = 'pending'";

fn rewrite(root: &Path, part: &str, by: &str) {
    let path = root.join("renkei.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(part), "{part}");
    std::fs::write(&path, text.replacen(part, by, 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_one_state_and_comes_back_silently() {
    let people: Vec<Person> = (1001..1011).map(Person::synthetic).collect();
    // What cannot leave is pending when the backup is taken.
    let paused = async |office: &Office| {
        office.admit(&people).await;
        office.pause("vital_link", true).await;
    };
    let mut hub = TestHub::prepared(&people, Config::default(), paused).await;
    let root = hub.folders.root.path().to_owned();
    let run = async |arguments: &[&str]| renkei(arguments, &root).await;
    let mut stays: Vec<Told> = Vec::new();
    for person in &people {
        let told = Told::admitted(person, 600);
        hub.process(&told.admit()).await;
        stays.push(told);
    }
    // Too long for its row: it lies among the documents.
    let mut long = message(&register(&people[0], 590), "LONG000001").bytes;
    long.extend_from_slice(b"NTE|1||");
    for number in 0..20_000_u32 {
        long.extend_from_slice(
            HEXLOWER
                .encode(&Sha256::digest(number.to_be_bytes()))
                .as_bytes(),
        );
    }
    long.push(b'\r');
    assert_eq!(hub.send_bytes(&long).await.code, "AA");
    hub.ended("LONG000001").await;
    until("everybody waits for the paused peer", async || {
        hub.office.number(UNTOLD).await == i64::try_from(people.len()).unwrap()
    })
    .await;
    let acknowledged = hub.office.texts(RECEIVED).await;
    assert!(acknowledged.len() >= people.len());
    let over = AtomicBool::new(false);
    let backup = async {
        let done = run(&["backup", "copy", "--config", "renkei.toml"]).await;
        over.store(true, Ordering::Relaxed);
        done
    };
    let mut said = 0_i64;
    let load = async {
        for told in &mut stays {
            hub.send(&told.discharge(300, "01")).await;
        }
        while !over.load(Ordering::Relaxed) {
            let person = &people[usize::try_from(said).unwrap() % people.len()];
            hub.send(&register(person, 200 - said % 100)).await;
            said += 1;
        }
    };
    let ((code, out, complaint), ()) = tokio::join!(backup, load);
    assert_eq!(code, 0, "{complaint}");
    assert!(out.contains("messages"), "{out}");
    hub.office.pause("mcs", true).await;
    until("everything received was processed", async || {
        hub.office.number("SELECT count(*) FROM waiting").await == 0
    })
    .await;
    let (live, live_ended) = (
        hub.office.texts(RECEIVED).await,
        hub.office.texts(ENDED).await,
    );

    // Never over anything, and never from something damaged.
    let (code, _, complaint) = run(&["restore", "copy", "--to", "data", "--by", "氏名"]).await;
    assert_eq!(code, 65);
    assert!(
        complaint.contains(Code::LDG_NOT_EMPTY.as_str()),
        "{complaint}"
    );
    let ledger = root.join("copy/renkei.db");
    let whole = std::fs::read(&ledger).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&ledger, &damaged).unwrap();
    let (code, _, complaint) = run(&["restore", "copy", "--to", "never", "--by", "氏名"]).await;
    assert_eq!(code, 65);
    assert!(
        complaint.contains(Code::LDG_BACKUP_DAMAGED.as_str()),
        "{complaint}"
    );
    assert_eq!(std::fs::read_dir(root.join("never")).unwrap().count(), 0);
    std::fs::write(&ledger, &whole).unwrap();

    let (code, out, complaint) =
        run(&["restore", "copy", "--to", "restored", "--by", "氏名"]).await;
    assert_eq!(code, 0, "{out} {complaint}");
    let restored = Office::open(&root.join("restored")).await;
    let received = restored.texts(RECEIVED).await;
    assert!(
        received.len() >= acknowledged.len(),
        "what was acknowledged before it is in it"
    );
    assert_eq!(
        received,
        live[..received.len()],
        "the first so many messages, whole"
    );
    assert_eq!(restored.number(HALF).await, 0, "each waits or has ended");
    let (ended, live_ended): (BTreeSet<_>, BTreeSet<_>) = (
        restored.texts(ENDED).await.into_iter().collect(),
        live_ended.into_iter().collect(),
    );
    assert!(
        ended.is_subset(&live_ended),
        "{:?}",
        ended.difference(&live_ended)
    );
    assert!(ended.len() >= people.len());
    let apart = "SELECT hex(body_hash) FROM message WHERE body IS NULL";
    let [name] = restored.texts(apart).await.try_into().unwrap();
    let name = name.to_lowercase();
    let file = root.join("restored/blobs").join(&name[..2]).join(&name);
    assert_eq!(std::fs::read(file).unwrap(), long);

    let held = restored.codes(DeliveryState::Held).await;
    assert!(
        held[Code::DLV_RESTORED.as_str()] >= people.len(),
        "{held:?}"
    );
    assert!(restored.deliveries(DeliveryState::Pending).await.is_empty());

    // Another hub starts on it: it finishes what was under way and tells nobody.
    let before = hub.district.effects().await;
    hub.restart_after(async |_| rewrite(&root, "data_dir = \"data\"", "data_dir = \"restored\""))
        .await;
    restored.pause("vital_link", false).await;
    until("nothing is left to do", async || restored.is_idle().await).await;
    assert_eq!(hub.district.effects().await, before, "told by itself");
    let (code, out, complaint) = run(&["verify", "--deep", "--config", "renkei.toml"]).await;
    assert_eq!(code, 0, "{out} {complaint}");
    // Nothing of it was lost: a named person lets it go, and it arrives.
    for person in &people {
        let told = hub.district.vital_link.doors.told_of(person).await;
        assert!(told.is_empty(), "{told:?}");
    }
    let released = restored.release(Code::DLV_RESTORED).await;
    assert!(released >= people.len() as u64, "{released}");
    until("what was released has arrived", async || {
        restored.is_idle().await
    })
    .await;
    for person in &people {
        let told = hub.district.vital_link.doors.told_of(person).await;
        let of = |kind: &str| {
            told.iter()
                .filter(|post| post.headline.contains(kind))
                .count()
        };
        assert_eq!(of("【入院】"), 1, "{told:?}");
        // Whether the discharge had been processed by the time of the backup is a matter of moments.
        assert!(of("【退院】") <= 1 && told.len() <= 2, "{told:?}");
    }
    // What is new flows.
    let sent = hub.send(&Told::admitted(&people[1], 5).admit()).await;
    until("a new message is processed", async || {
        restored.ended(&sent.control_id).await.is_some()
    })
    .await;
}

on_each_store! {
    what_is_old_goes_and_everything_else_stays,
}

async fn what_is_old_goes_and_everything_else_stays(on: On) {
    let people: Vec<Person> = (1001..1004).map(Person::synthetic).collect();
    let mut hub = TestHub::start(&people, Config::on(&on)).await;
    let root = hub.folders.root.path().to_owned();
    let run = async |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--config", "renkei.toml"]);
        renkei(&all, &root).await
    };
    let mut controls = Vec::new();
    for person in &people {
        let built = hub.send(&Told::admitted(person, 60).admit()).await;
        hub.ended(&built.control_id).await;
        controls.push(built);
    }
    hub.idle().await;
    let patient = ["--facility", HOSPITAL, "--local-id", &people[1].local_id];
    let why = ["--by", "氏名", "--reason", "証拠保全"];
    let set = [&["hold", "set"][..], &patient, &why].concat();
    let (code, _, complaint) = run(&set).await;
    assert_eq!(code, 0, "{complaint}");
    assert_eq!(run(&set).await.0, 65, "held already");
    let (_, out, _) = run(&["hold", "list", "--json"]).await;
    assert!(out.contains(&people[1].local_id), "{out}");
    let (code, out, _) = run(&["retention", "show", "--json"]).await;
    assert_eq!(code, 0);
    assert!(
        out.contains("\"free\":0") && !out.contains("\"free\":1"),
        "{out}"
    );

    // A hundred days later.
    std::fs::write(root.join("clock"), format!("{}", 100 * 24 * 3_600)).unwrap();
    rewrite(
        &root,
        "data_dir = \"data\"",
        "data_dir = \"data\"\nrehearsal_clock = \"clock\"",
    );
    let bodies = "SELECT count(*) FROM message WHERE body IS NOT NULL";
    let before = hub.office.number(bodies).await;
    let (code, _, complaint) = run(&["retention", "run", "--dry-run"]).await;
    assert_eq!(
        (code, hub.office.number(bodies).await),
        (0, before),
        "{complaint}"
    );
    let (code, out, complaint) = run(&["retention", "run", "--now"]).await;
    assert_eq!(code, 0, "{out} {complaint}");
    let kept = hub
        .office
        .texts("SELECT control FROM message WHERE body IS NOT NULL AND source = 'hospital'")
        .await;
    assert_eq!(kept, [controls[1].control_id.clone()], "the held patient's");
    let (_, out, _) = run(&["trace", &controls[0].control_id]).await;
    assert!(
        out.contains("body removed by policy") && out.contains("Encounter"),
        "{out}"
    );
    let gone = hub.office.ended(&controls[0].control_id).await.unwrap();
    let id = gone.message.id.to_string();
    let (code, _, complaint) = run(&["replay", &id, "--by", "氏名"]).await;
    assert_eq!(code, 65);
    assert!(
        complaint.contains(Code::INB_BODY_REMOVED.as_str()),
        "{complaint}"
    );
    // The same bytes again are a repeat, with or without the body.
    let messages = hub.office.number("SELECT count(*) FROM message").await;
    let again = hub.send_bytes(&controls[0].bytes).await;
    assert_eq!(again.code, "AA");
    assert_eq!(
        hub.office.number("SELECT count(*) FROM message").await,
        messages
    );
    let (code, out, complaint) = run(&["verify", "--deep", "--json"]).await;
    assert_eq!((code, out.as_str()), (0, ""), "{complaint}");
    let release = [&["hold", "release"][..], &patient, &why].concat();
    assert_eq!(run(&release).await.0, 0);
    assert_eq!(run(&release).await.0, 65, "not held any more");
}
