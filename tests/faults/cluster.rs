//! A PostgreSQL server of a test's own, which may be restarted, killed, and filled up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _};

use super::proxy::Proxy;
use crate::stores::{Home, On};

/// A server below a folder; it ends with the test.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    pub(crate) url: String,
    /// Whether the folder is a small disk of its own.
    small: bool,
}

impl Cluster {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::below(folder(), false)
    }

    /// Starts one on a disk of so many megabytes.
    ///
    /// # Panics
    /// When this process may not mount one: the test needs root.
    pub(crate) fn on_small_disk(megabytes: u32) -> Self {
        let folder = folder();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={megabytes}m,mode=755"))
            .arg("renkei-test")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "a small disk cannot be mounted; this test needs root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self::below(folder, true)
    }

    fn below(folder: tempfile::TempDir, small: bool) -> Self {
        let mut cluster = Self {
            folder,
            url: String::new(),
            small,
        };
        cluster.url = cluster.order(&["start"]);
        cluster
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("pg")
    }

    fn ops(&self, words: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (verb, rest) = words.split_first().unwrap();
        // A server that neither starts nor stops ends the test.
        Command::new("timeout")
            .arg("120")
            .arg(root.join("ops/postgres"))
            .arg(verb)
            .arg(self.path())
            .args(rest)
            .output()
            .unwrap()
    }

    fn order(&self, words: &[&str]) -> String {
        let done = self.ops(words);
        assert!(
            done.status.success(),
            "ops/postgres {words:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Stops it: `fast` sends everybody home first, `immediate` does not.
    pub(crate) fn stop(&self, how: &str) {
        self.order(&["stop", how]);
    }

    /// Cuts it off (SIGKILL of the postmaster; its children notice and end).
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.path().join("data/postmaster.pid")).unwrap();
        let pid: i32 = pid.lines().next().unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    /// Starts it again, as soon as what is left of it has ended; one that has survived is left alone.
    pub(crate) async fn again(&self) {
        crate::harness::until("the server starts again", async || {
            let session = PgConnection::connect(&self.url).await;
            session.is_ok() || self.ops(&["again"]).status.success()
        })
        .await;
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let host = self.url.split_once('@').unwrap().1;
        host.split_once('/').unwrap().0.parse().unwrap()
    }

    /// The ledger on it, for tests.
    pub(crate) fn on(&self) -> On {
        On::Cluster(self.url.clone())
    }

    /// As another user than its administrator sees it.
    pub(crate) fn as_user(&self, user: &str) -> On {
        On::Cluster(self.url.replace("renkei@", &format!("{user}@")))
    }

    /// Where a hub reaches the ledger over a wire.
    pub(crate) fn over(&self, wire: &Proxy, home: &Home) -> String {
        home.through(
            &self
                .url
                .replace(&self.address().to_string(), &wire.address().to_string()),
        )
    }

    /// Does something as its administrator.
    pub(crate) async fn administer(&self, sql: &str) -> Vec<PgRow> {
        let mut session = PgConnection::connect(&self.url).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut session);
        let rows = rows.await.unwrap();
        session.close().await.unwrap();
        rows
    }

    /// Takes the room on its disk, but for so many kilobytes.
    pub(crate) fn fill_up(&self, leave: u64) {
        use std::io::Write as _;
        assert!(self.small, "other people's disk");
        let disk = rustix::fs::statvfs(self.folder.path()).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        let piece = vec![0_u8; 64 * 1024];
        for _ in 0..free.saturating_sub(leave * 1024) / piece.len() as u64 {
            // The server writes too, and may have been quicker.
            if ballast.write_all(&piece).is_err() {
                return;
            }
        }
    }

    /// Gives the room back.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _stopped = self.ops(&["stop", "immediate"]);
        if self.small {
            // Lazy: what the server has left may still hold it for a moment.
            let mut unmount = Command::new("umount");
            let _unmounted = unmount.arg("--lazy").arg(self.folder.path()).output();
        }
    }
}

/// A folder another user may pass through: the server does not run as root.
fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    // Short, because a socket's path may have 107 characters.
    let folder = tempfile::TempDir::with_prefix("rnkpg").unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    folder
}
