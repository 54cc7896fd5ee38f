//! The database server goes away, or does not do what it is asked. A running hub never ends because of
//! that: senders are told to try again later, and it goes on by itself.

use std::time::Duration;

use super::cluster::Cluster;
use super::proxy::{Proxy, Wire};
use super::trial::{PATIENCE, Setup, Trial};
use crate::harness::{until, until_within};
use crate::hub::{Config, Folders, Hub, renkei};
use crate::office::Office;
use crate::peers::District;
use crate::stores::On;

/// A hub under load with its ledger on a server of its own.
async fn trial(name: &'static str, on: On) -> Trial {
    let mut setup = Setup::new(name);
    setup.inpatients = 48;
    setup.config.on = on;
    let mut trial = Trial::start(setup, async |_, _, _| {}).await;
    keep_talking(&mut trial).await;
    trial
}

/// Something is always under way when a fault comes.
async fn keep_talking(trial: &mut Trial) {
    trial.tell_more(6);
    trial.acknowledged_more(24).await;
    trial.tell_more(6);
}

/// Work has gone on after a fault: what was told is taken, processed and delivered.
async fn recovered(trial: &mut Trial) {
    trial.tell_more(4);
    trial.caught_up().await;
    assert!(trial.hub.is_running(), "{}", trial.hub.log_text());
}

/// Waits until somebody was told to try again later. More is told all the while: a session that has not
/// noticed yet that its server is gone may still take what comes first.
async fn put_off(trial: &Trial) {
    let before = trial.sender.refused();
    trial.tell_more(4);
    until_within("senders are told to try again", PATIENCE, async || {
        if trial.sender.unacknowledged() == 0 {
            trial.tell_more(1);
        }
        trial.sender.refused() > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_under_load_loses_nothing() {
    let cluster = Cluster::start();
    let mut trial = trial("database restarts", cluster.on()).await;
    for how in ["fast", "immediate", "killed"] {
        if how == "killed" {
            cluster.kill();
        } else {
            cluster.stop(how);
        }
        put_off(&trial).await;
        cluster.again().await;
        trial.look_again().await;
        recovered(&mut trial).await;
        trial.note(format!("stopped {how}"));
        keep_talking(&mut trial).await;
    }
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_or_silent_wire_to_the_server_is_survived() {
    let cluster = Cluster::start();
    let wire = Proxy::between(cluster.address()).await;
    let mut setup = Setup::new("wire to the database");
    setup.inpatients = 48;
    setup.config.on = cluster.on();
    let mut trial = Trial::start(setup, async |folders, _, config| {
        let home = folders.home(&config.on);
        config.database = Some(cluster.over(&wire, &home));
    })
    .await;
    for broken in [Wire::Cut, Wire::Silent] {
        keep_talking(&mut trial).await;
        wire.set(broken);
        put_off(&trial).await;
        wire.set(Wire::Whole);
        recovered(&mut trial).await;
        trial.note(format!("wire {broken:?}"));
    }
    // A firewall that has forgotten: what was open stays silent for ever, what is new gets through.
    keep_talking(&mut trial).await;
    wire.set(Wire::Forgotten);
    recovered(&mut trial).await;
    trial.note("open connections forgotten".to_owned());
    trial.settle().await;
}

/// The hub's sessions that are in the middle of something; those of the test carry no name of a hub.
const BUSY: &str = "application_name LIKE 'renkei %' AND state <> 'idle'";
/// How often each verb must hit one.
const HITS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_ends_sessions_and_statements_loses_nothing() {
    let cluster = Cluster::start();
    let mut setup = Setup::new("sessions and statements ended");
    setup.inpatients = 48;
    // Enough that the hub has always something to do.
    setup.outpatients = 60;
    setup.results = 200;
    setup.config.on = cluster.on();
    let mut trial = Trial::start(setup, async |_, _, _| {}).await;
    keep_talking(&mut trial).await;
    for verb in ["pg_cancel_backend", "pg_terminate_backend"] {
        let order = format!("SELECT {verb}(pid) FROM pg_stat_activity WHERE {BUSY}");
        let mut hit = 0;
        trial.sender.tell(|orders| orders.fill = true);
        until_within("enough was hit", PATIENCE, async || {
            trial.tell_more(1);
            hit += cluster.administer(&order).await.len();
            hit >= HITS
        })
        .await;
        trial.sender.tell(|orders| orders.fill = false);
        recovered(&mut trial).await;
        trial.note(format!("{verb} {hit} times"));
    }
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_free_connection_is_asked_again() {
    let cluster = Cluster::start();
    cluster.administer("CREATE ROLE hub LOGIN").await;
    cluster
        .administer("GRANT CREATE ON DATABASE renkei TO hub")
        .await;
    let mut trial = trial("no connection left", cluster.as_user("hub")).await;
    cluster
        .administer("ALTER ROLE hub CONNECTION LIMIT 0")
        .await;
    let everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hub'";
    let ended = cluster.administer(everybody).await.len();
    assert!(ended >= 3, "the hub's writers were there: {ended}");
    put_off(&trial).await;
    cluster
        .administer("ALTER ROLE hub CONNECTION LIMIT -1")
        .await;
    trial.look_again().await;
    recovered(&mut trial).await;
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_puts_senders_off_and_no_more() {
    let cluster = Cluster::start();
    let mut trial = trial("a table locked", cluster.on()).await;
    let mut lock = crate::stores::Look::into(&trial.folders.home(&cluster.on())).await;
    for statement in ["BEGIN", "LOCK TABLE message IN ACCESS EXCLUSIVE MODE"] {
        lock.rows(statement).await.unwrap();
    }
    put_off(&trial).await;
    lock.rows("ROLLBACK").await.unwrap();
    recovered(&mut trial).await;
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_is_full_puts_senders_off_and_no_more() {
    let cluster = Cluster::on_small_disk(400);
    let mut setup = Setup::new("disk of the database full");
    setup.inpatients = 48;
    // Enough to write until nothing fits any more.
    setup.outpatients = 60;
    setup.results = 400;
    setup.config.on = cluster.on();
    let mut trial = Trial::start(setup, async |_, _, _| {}).await;
    keep_talking(&mut trial).await;
    cluster.fill_up(256);
    let before = trial.sender.refused();
    trial.sender.tell(|orders| orders.fill = true);
    until_within("senders are told to try again", PATIENCE, async || {
        trial.sender.refused() > before
    })
    .await;
    trial.sender.tell(|orders| orders.fill = false);
    assert!(trial.hub.is_running(), "{}", trial.hub.log_text());
    cluster.make_room();
    // It may have ended itself where it could not write its log; an administrator starts it again.
    cluster.again().await;
    trial.look_again().await;
    recovered(&mut trial).await;
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_waits_for_a_server_that_starts_later() {
    let cluster = Cluster::start();
    let folders = Folders::new();
    let config = Config::on(&cluster.on());
    let district = District::start(folders.root.path(), &[]).await;
    folders.configure(&config, &district);
    let office = Office::open(folders.home(&config.on)).await;
    drop(office);
    cluster.stop("fast");
    let mut waiting = Hub::spawn(&folders, &config);
    until("it says that it waits", async || {
        waiting.log_text().contains("waiting for it")
    })
    .await;
    assert!(waiting.is_running(), "{}", waiting.log_text());
    // Asked to stop, it does not wait any longer.
    assert_eq!(waiting.terminate().await.code(), Some(0));
    let waiting = Hub::spawn(&folders, &config);
    until("it says that it waits", async || {
        waiting.log_text().contains("waiting for it")
    })
    .await;
    cluster.again().await;
    let mut hub = waiting.listens().await;
    assert!(!hub.log_text().contains(&cluster.address().to_string()));
    assert_eq!(hub.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_and_one_nobody_knows_are_told_so() {
    let cluster = Cluster::start();
    cluster.administer("CREATE ROLE guest LOGIN").await;
    for user in ["guest", "nobody"] {
        let folders = Folders::new();
        let config = Config::on(&cluster.as_user(user));
        let district = District::start(folders.root.path(), &[]).await;
        folders.configure(&config, &district);
        let run = renkei(&["run", "--config", "renkei.toml"], folders.root.path());
        let (code, _, complaint) = tokio::time::timeout(Duration::from_secs(60), run)
            .await
            .unwrap();
        assert_eq!(code, 64, "{user}: {complaint}");
        assert!(complaint.contains("RNK-CFG-008"), "{user}: {complaint}");
        assert!(!complaint.contains("127.0.0.1"), "{user}: {complaint}");
    }
}
