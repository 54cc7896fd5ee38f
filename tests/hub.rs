//! The hub as a process of its own, and its configuration.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::harness::until;
use crate::peers::{District, SIGNING_KEY, SYSTEM};
use crate::people::{HOSPITAL, HOSPITAL_NAME};
use crate::stores::{Home, On};

/// The binary that cargo has just built.
pub(crate) const RENKEI: &str = env!("CARGO_BIN_EXE_renkei");

/// What a test wants otherwise than usual.
#[derive(Clone)]
pub(crate) struct Config {
    /// Where the ledger lives.
    pub(crate) on: On,
    /// Where the hub reaches the ledger's server instead of where it is.
    pub(crate) database: Option<String>,
    /// `notices.settle_secs`; 0 = every notice at once.
    pub(crate) settle_secs: u64,
    /// `hub.retry.first_millis`.
    pub(crate) retry_millis: u64,
    /// `timeout_ms` of the connections to peers.
    pub(crate) timeout_millis: u64,
    /// Whether posts carry the hub's sheet.
    pub(crate) sheet: bool,
    /// `"enrolled"` or `"all"`.
    pub(crate) admit: &'static str,
    /// Further fields of the MLLP listener, each ended by a comma.
    pub(crate) mllp: String,
    /// Further tables; `@root@` is the folder of the test.
    pub(crate) more: String,
    /// Fields of `[observe]`, each on its line. How full this machine's disk is says nothing about a
    /// hub, so there is no alarm about it unless a test asks for one.
    pub(crate) observe: String,
    /// Whether the third sink is a ward by REST instead of by file drop.
    pub(crate) ward_by_rest: bool,
    /// Whether peers speak their second dialects, the third by REST.
    pub(crate) dialects: bool,
    /// `RENKEI_LOG`.
    pub(crate) log: &'static str,
    /// Further environment.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Sinks that are reached elsewhere than at their peer: through something that fails.
    pub(crate) through: Vec<(&'static str, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            on: On::Sqlite,
            database: None,
            settle_secs: 0,
            retry_millis: 50,
            timeout_millis: 15_000,
            sheet: false,
            admit: "enrolled",
            mllp: String::new(),
            more: String::new(),
            observe: "alarms.free_space_percent = 0".to_owned(),
            ward_by_rest: false,
            dialects: false,
            log: "info",
            env: Vec::new(),
            through: Vec::new(),
        }
    }
}

impl Config {
    /// As usual, with the ledger there.
    pub(crate) fn on(on: &On) -> Self {
        Self {
            on: on.clone(),
            ..Self::default()
        }
    }
}

/// The folders of one test.
pub(crate) struct Folders {
    pub(crate) root: tempfile::TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let root = tempfile::TempDir::with_prefix("renkei-").unwrap();
        for folder in ["standard", "extended", "drop"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("secret"), "s3cret").unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The hub's own folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The hub's ledger.
    pub(crate) fn home(&self, on: &On) -> Home {
        Home::new(on, self.data())
    }

    /// Writes `renkei.toml`: one hospital by MLLP, SS-MIX2 storages and a drop folder, three sinks.
    pub(crate) fn configure(&self, config: &Config, district: &District) -> PathBuf {
        let root = self.root.path().display();
        let secret = self.path("secret").display().to_string();
        let Config {
            settle_secs,
            retry_millis,
            sheet,
            admit,
            mllp,
            more,
            observe,
            ..
        } = config;
        let mut text = format!(
            r#"
[hub]
data_dir = "data"
retry = {{ first_millis = {retry_millis}, most_secs = 1 }}

[notices]
settle_secs = {settle_secs}
settle_most_secs = 60

[documents]
sheet = {sheet}

[observe]
{observe}

[facility.{HOSPITAL}]
name = "{HOSPITAL_NAME}"
class = "hospital"
district = "shinjuku"
desk = "医療連携室"
phone = "03-0000-0000"
hours = "平日9–17時"

[source.hospital]
admit = "{admit}"
adapter.mllp = {{ {mllp} listen = "127.0.0.1:0", {facility} }}

[source.storage]
admit = "{admit}"
[source.storage.adapter.ssmix2]
roots = [
    {{ path = "{root}/standard", facility = "{HOSPITAL}" }},
    {{ path = "{root}/extended", facility = "{HOSPITAL}", kind = "extended" }},
]
poll_secs = 0
stable_secs = 0

[source.drop]
admit = "{admit}"
adapter.folder = {{ path = "{root}/drop", facility = "{HOSPITAL}", poll_secs = 1, stable_secs = 0 }}
{more}
"#,
            facility = if mllp.contains("facility_by") {
                String::new()
            } else {
                format!("facility = \"{HOSPITAL}\"")
            },
        );
        text = text.replace("@root@", &root.to_string());
        let url = |sink: &str| {
            let mut through = config.through.iter();
            through.find(|(name, _)| *name == sink).map_or_else(
                || district.sim(sink).url(),
                |(_, elsewhere)| elsewhere.clone(),
            )
        };
        for sink in ["mcs", "vital_link"] {
            rest_peer(&mut text, sink, sink, &url(sink), &secret, config);
        }
        if config.ward_by_rest || config.dialects {
            rest_peer(
                &mut text,
                "ward",
                "ward.rest",
                &url("ward"),
                &secret,
                config,
            );
        } else {
            let folder = district.ward_folder.display();
            let _written = write!(
                text,
                "\n[peer.ward]\nmode = \"live\"\nagreement_ref = \"test\"\n\
                 [peer.ward.adapter.ward.file_drop]\nfolder = \"{folder}\"\nfacility = \"{HOSPITAL}\"\npoll_secs = 1\n"
            );
        }
        if config.dialects {
            std::fs::write(self.path("signing"), SIGNING_KEY).unwrap();
            for (file, dialect) in DIALECTS {
                std::fs::write(self.path(file), dialect).unwrap();
            }
        }
        let home = self.home(&config.on);
        if let Some(database) = config.database.as_deref().or(home.address()) {
            let _written = write!(text, "\n[ledger]\ndatabase = \"{database}\"\n");
        }
        let path = self.path("renkei.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// The dialects that come with renkei, as they are.
const DIALECTS: [(&str, &str); 3] = [
    ("care.yaml", include_str!("../adapters/dialects/care.yaml")),
    (
        "room-xml.yaml",
        include_str!("../adapters/dialects/room-xml.yaml"),
    ),
    ("city.yaml", include_str!("../adapters/dialects/city.yaml")),
];

/// What a connection says of its dialect.
fn dialect(sink: &str, root: &Path) -> String {
    let (file, key) = match sink {
        "mcs" => (
            "care.yaml",
            format!(
                ", signing_key = {{ file = \"{}\" }}",
                root.join("signing").display()
            ),
        ),
        "vital_link" => ("room-xml.yaml", String::new()),
        _ => ("city.yaml", String::new()),
    };
    format!(", dialect = \"{file}\"{key}")
}

fn rest_peer(text: &mut String, name: &str, kind: &str, url: &str, secret: &str, config: &Config) {
    let timeout = config.timeout_millis;
    let folder = Path::new(secret).parent().unwrap();
    let dialect = if config.dialects {
        dialect(name, folder)
    } else {
        String::new()
    };
    let _written = write!(
        text,
        "\n[peer.{name}]\nmode = \"live\"\nagreement_ref = \"test\"\n\
         [peer.{name}.adapter.{kind}]\nfacility = \"{HOSPITAL}\"\nuser_ref = \"{SYSTEM}\"\npoll_secs = 1\n\
         connection = {{ timeout_ms = {timeout}, endpoint = \"{url}\", client_id = \"renkei\", secret = {{ file = \"{secret}\" }}{dialect} }}\n"
    );
}

impl Drop for Folders {
    /// After a failure the folders stay, to be looked at.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.root.disable_cleanup(true);
            eprintln!("kept: {}", self.root.path().display());
        }
    }
}

/// A running hub; killed when dropped.
pub(crate) struct Hub {
    child: Child,
    pub(crate) log: PathBuf,
    pub(crate) listening: HashMap<String, SocketAddr>,
    began: Instant,
    /// From the start of the process until it had said where it listens.
    pub(crate) start: Duration,
}

impl Hub {
    /// Starts it and waits until its sources run.
    pub(crate) async fn start(folders: &Folders, config: &Config) -> Self {
        Self::spawn(folders, config).listens().await
    }

    /// Starts it.
    pub(crate) fn spawn(folders: &Folders, config: &Config) -> Self {
        let runs = std::fs::read_dir(folders.root.path()).unwrap().count();
        let log = folders.path(&format!("hub-{runs}.log"));
        let began = Instant::now();
        let child = Self::command(folders, config)
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            listening: HashMap::new(),
            began,
            start: Duration::ZERO,
        }
    }

    /// Waits until its sources run.
    pub(crate) async fn listens(mut self) -> Self {
        let hub = &mut self;
        until("the hub listens", async || {
            if let Some(status) = hub.child.try_wait().unwrap() {
                panic!("the hub ended with {status}:\n{}", hub.log_text());
            }
            hub.log_text().contains("listening")
        })
        .await;
        hub.start = hub.began.elapsed();
        until("the hub runs", async || {
            hub.log_text().contains("hub running")
        })
        .await;
        for line in hub.log_text().lines() {
            let field = |name: &str| {
                let rest = line.split_once(&format!(" {name}="))?.1;
                rest.split(' ').next().map(str::to_owned)
            };
            if line.contains("listening")
                && let (Some(source), Some(address)) = (field("source"), field("address"))
            {
                hub.listening.insert(source, address.parse().unwrap());
            }
        }
        self
    }

    fn command(folders: &Folders, config: &Config) -> Command {
        let mut command = Command::new(RENKEI);
        command
            .args(["run", "--config"])
            .arg(folders.path("renkei.toml"))
            .env("RENKEI_LOG", config.log)
            .env("NO_COLOR", "1")
            .envs(config.env.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Where the hospital's MLLP listener is.
    pub(crate) fn mllp(&self) -> SocketAddr {
        self.listening["hospital"]
    }

    /// What it has said so far.
    pub(crate) fn log_text(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops it where it is (SIGSTOP), or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(self.pid().unwrap(), signal).unwrap();
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The memory it holds, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let pid = self.pid().unwrap().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    fn pid(&self) -> Option<Pid> {
        let raw = i32::try_from(self.child.id()?).unwrap();
        Pid::from_raw(raw)
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::TERM).unwrap();
        }
        tokio::time::timeout(Duration::from_secs(30), self.child.wait())
            .await
            .unwrap()
            .unwrap()
    }

    /// Cuts it off (SIGKILL).
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        ended.ok().map(Result::unwrap)
    }
}

/// Runs a command to its end: exit code, stdout, stderr.
pub(crate) async fn renkei(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let output = Command::new(RENKEI)
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("RENKEI_CONFIG")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .unwrap()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}
