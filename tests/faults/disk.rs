//! The disk is full, fails, cannot be written, or is not ours any more.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::trial::{PATIENCE, Setup, Trial};
use crate::harness::{until, until_within};
use crate::hub::{Config, Folders, RENKEI};
use crate::peers::{District, SINKS};
use crate::power::shim::{EACCES, EIO, EROFS, Orders};

/// Room of a disk on which accepting never stops.
const AMPLE: u64 = 4 << 30;
/// How often somebody talks who waits for the hub to notice something.
const TALKS: Duration = Duration::from_millis(100);
/// Says that the process may mount: it runs in a mount namespace of its own.
const OWN_MOUNTS: &str = "RENKEI_TEST_OWN_MOUNTS";

/// Runs the test `name` again in a mount namespace of its own, as root or as the root of a user namespace,
/// so that it may mount what it likes and nothing of it stays. True in that inner run.
fn may_mount(name: &str) -> bool {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return true;
    }
    let how = if rustix::process::geteuid().is_root() {
        "-m"
    } else {
        "-Urm"
    };
    let inner = Command::new("unshare")
        .args([how, "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(OWN_MOUNTS, "1")
        .status();
    let inner = inner.expect("the tests of disks need `unshare` of util-linux");
    assert!(
        inner.success(),
        "{name} failed, or this machine gives no mount namespace (`unshare {how}`)"
    );
    false
}

fn mount(arguments: &[&str], place: &Path) -> bool {
    let mounted = Command::new("mount").args(arguments).arg(place).status();
    mounted.unwrap().success()
}

/// A disk of its own for the hub.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    fn used(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.0).unwrap();
        (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    }

    /// Makes it so large that this much is free.
    async fn leave(&self, free: u64) {
        let page = 4096;
        // Refused when more was written meanwhile than is to be left.
        until("the disk is resized", async || {
            let size = format!("remount,size={}", (self.used() + free) / page * page);
            mount(&["-o", &size], self.0)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_puts_senders_off_and_recovers_by_itself() {
    if !may_mount("faults::disk::a_full_disk_puts_senders_off_and_recovers_by_itself") {
        return;
    }
    let mut setup = Setup::new("full disk");
    // Sheets are written while notices settle: another kind of file that finds no room.
    setup.config.sheet = true;
    setup.outpatients = 40;
    setup.results = 100;
    let mut trial = Trial::start(setup, async |folders, _, _| {
        std::fs::create_dir(folders.data()).unwrap();
        let size = format!("size={AMPLE}");
        assert!(mount(
            &["-t", "tmpfs", "-o", &size, "tmpfs"],
            &folders.data()
        ));
    })
    .await;
    let data = trial.folders.data();
    let disk = Disk(&data);
    let mut seen = Vec::new();
    // 200 KiB: the database itself finds no room. 600 MiB: accepting stops before that happens.
    for free in [200 << 10, 600 << 20] {
        let is_little = free < 1 << 20;
        trial.tell_more(12);
        trial.sender.tell(|orders| orders.fill = is_little);
        trial.acknowledged_more(20).await;
        let refused = trial.sender.refused();
        disk.leave(free).await;
        let sender = &trial.sender;
        let mut said = Instant::now();
        until_within("senders are put off", PATIENCE, async || {
            // A look at the disk is believed for a while: somebody has to go on talking until then, and not
            // so fast that nothing is left to say.
            if !is_little && sender.refused() == refused && said.elapsed() > TALKS {
                sender.tell(|orders| orders.story += 1);
                said = Instant::now();
            }
            sender.refused() > refused + 20
        })
        .await;
        assert!(trial.hub.is_running(), "{}", trial.hub.log_text());
        if !is_little {
            // What was accepted is told to its end while nothing new is taken.
            let office = &trial.office;
            until_within("what was accepted is finished", PATIENCE, async || {
                office.is_idle().await
            })
            .await;
        }
        seen.push(trial.sender.refused() - refused);
        disk.leave(AMPLE).await;
        trial.sender.tell(|orders| orders.fill = false);
        trial.caught_up().await;
    }
    let log = trial.hub.log_text();
    assert!(log.contains("no room"), "nobody said that there is no room");
    trial.note(format!("AE {seen:?} times, one process throughout"));
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_ends_the_hub_without_an_answer_and_a_restart_loses_nothing() {
    let mut setup = Setup::new("failing disk");
    setup.config.sheet = true;
    let (mut trial, shim) = Trial::shimmed(setup).await;
    let none = Orders::default();
    let kinds = [
        (
            "sync fails",
            Orders {
                fail_sync: EIO,
                ..none
            },
        ),
        (
            "write fails",
            Orders {
                fail_write: EIO,
                ..none
            },
        ),
        (
            "read-only",
            Orders {
                fail_write: EROFS,
                ..none
            },
        ),
        (
            "not permitted",
            Orders {
                fail_open: EACCES,
                fail_write: EACCES,
                ..none
            },
        ),
    ];
    for (name, orders) in kinds {
        trial.tell_more(10);
        trial.acknowledged_more(20).await;
        shim.order(orders);
        let ended = trial.hub.ended(Duration::from_secs(30)).await;
        let log = trial.hub.log_text();
        let code = ended.and_then(|status| status.code());
        assert_eq!(code, Some(70), "{name}: {log}");
        // Its last words: where it failed may also be before anything is logged.
        let said = log.contains("the ledger: the database failed");
        assert!(said, "{name}: nothing was said: {log}");
        trial.note(format!("{name}: exit 70"));
        shim.order(none);
        trial.restart().await;
        // Work gets done in each life, so that no message is ever suspected of ending the hub.
        trial.caught_up().await;
    }
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_that_cannot_be_read_for_a_while_are_told_afterwards() {
    let mut setup = Setup::new("permission lost");
    setup.config.sheet = true;
    let (mut trial, shim) = Trial::shimmed(setup).await;
    trial.tell_more(10);
    trial.acknowledged_more(20).await;
    trial.caught_up().await;
    // Planned and not told: the sheets lie there and cannot be read when the time comes.
    for sink in SINKS {
        trial.office.pause(sink, true).await;
    }
    until("the sinks are paused", async || {
        trial
            .office
            .number("SELECT count(*) FROM sink_override WHERE paused = 1")
            .await
            == 3
    })
    .await;
    trial.tell_more(10);
    trial.acknowledged_more(20).await;
    let office = &trial.office;
    let left = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM notice WHERE due_at IS NOT NULL)";
    // The hub notices the pause a little after it is written: what it told until then lies nowhere.
    let stuck = "SELECT count(*) FROM delivery WHERE state = 'pending' AND created_at < (unixepoch('subsec') - 1) * 1000000";
    until_within("posts wait for paused sinks", PATIENCE, async || {
        if office
            .number("SELECT count(*) FROM delivery WHERE state = 'pending'")
            .await
            == 0
        {
            trial.tell_more(2);
        }
        office.number(stuck).await > 0
    })
    .await;
    until_within("everything is planned", PATIENCE, async || {
        office.number(left).await == 0
    })
    .await;
    shim.order(Orders {
        fail_open: EACCES,
        ..Orders::default()
    });
    for sink in SINKS {
        trial.office.pause(sink, false).await;
    }
    until("somebody said so", async || {
        trial.hub.log_text().contains("attachment")
    })
    .await;
    shim.order(Orders::default());
    trial.note("attachments unreadable for a while".to_owned());
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_read_only_disk_the_hub_does_not_start() {
    if !may_mount("faults::disk::on_a_read_only_disk_the_hub_does_not_start") {
        return;
    }
    let folders = Folders::new();
    let district = District::start(folders.root.path(), &[]).await;
    folders.configure(&Config::default(), &district);
    std::fs::create_dir(folders.data()).unwrap();
    mount(&["-t", "tmpfs", "-o", "ro", "tmpfs"], &folders.data());
    let hub = tokio::process::Command::new(RENKEI)
        .args(["run", "--config"])
        .arg(folders.path("renkei.toml"))
        .env("NO_COLOR", "1")
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(PATIENCE, hub).await.unwrap().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(70), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
}
